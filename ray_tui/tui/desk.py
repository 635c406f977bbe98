"""Where a person's decisions become commands: opens the dialogs, one at a time, and submits what they answer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ray_tui.core import ways, whom
from ray_tui.core.commands import (
    Command,
    ConfirmWaiver,
    DeclineWaiver,
    GrantSeat,
    KeepSeat,
    Refused,
    RequestSeat,
    RunStep,
    TakeSeat,
)
from ray_tui.core.errors import RayError
from ray_tui.core.handle import Link
from ray_tui.core.pulse import ASKED_OF_THE_SILENT
from ray_tui.core.together import group_of, named
from ray_tui.tui import attention
from ray_tui.tui.screens import ask, decide
from ray_tui.tui.screens.dialog import Choice, ChoiceDialog, Dialog, text_width
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import View, asks_whom, may_confirm, name_of

Answer = TypeVar("Answer")
Work = tuple[Sequence[Command], str]
"""Commands, and what to say when all of several were taken."""


class Desk:
    """One per console."""

    def __init__(self, app: Stage) -> None:
        self.app = app
        self.later: set[str] = set()
        """What has been opened here: put off with Esc or decided, it opens no second time by itself; ``p`` does it."""

    @property
    def view(self) -> View:
        return self.app.view()

    @property
    def width(self) -> int:
        """Cells that a dialog's text has."""
        return text_width(self.app.size.width)

    def fitted(self, make: Callable[[int], Dialog[Answer]]) -> Dialog[Answer]:
        """A dialog that is laid out again when the terminal changes; it then shows the run as it is by then."""
        dialog = make(self.width)
        dialog.remake = make
        return dialog

    # --- questions that open by themselves ---------------------------------------------------------------------------

    def look(self, view: View) -> None:
        """Close what is decided already; open what waits for this console, if nothing is open."""
        top = self.app.screen
        if isinstance(top, Dialog):
            if top.key and not attention.still_open(view, top.key):
                top.dismiss(None)
            return
        if self.app.busy:
            return
        key = attention.wanted(view, self.later)
        if key is not None:
            self.open(key)

    def open(self, key: str) -> None:
        kind, _, name = key.partition(":")
        if kind == "prompt":
            self._open_prompt(name, key)
        elif kind == "halt":
            self._open_halt(key)
        elif kind == "waiver":
            self._open_waiver(name, key)
        elif kind == "seat":
            self._open_seat(name, key)

    def open_waiting(self) -> None:
        """Everything that waits for a decision: at once if it is one thing, else as a list."""
        view = self.view
        mine, others = attention.waiting(view), attention.for_others(view)
        if not mine and not others:
            return self.app.say("Nothing waits for a decision here.")
        if len(mine) + len(others) == 1:
            return self.open((*mine, *others)[0])
        choices = [Choice(key, self._name(view, key)) for key in mine]
        choices += [Choice(key, self._name(view, key), f"waits for {self._whom(view, key)}") for key in others]
        return self._ask(ChoiceDialog("What waits for a decision", [], choices), self.open)

    def _name(self, view: View, key: str) -> str:
        kind, _, name = key.partition(":")
        if kind == "prompt":
            return view.state.prompts[name].raised.title
        if kind == "halt":
            return f"Halted at {name_of(view.state.halt.step) if view.state.halt else '?'}"
        if kind == "seat":
            return f"{name} asks for the driver's seat"
        said = named(group_of(view.state, name))
        return said[:1].upper() + said[1:]

    def _whom(self, view: View, key: str) -> str:
        """Who decides what this console cannot."""
        kind, _, name = key.partition(":")
        if kind == "waiver":
            return "a second person"
        return asks_whom(view, view.state.prompts[name].raised) if kind == "prompt" else whom.driver(view.state)

    def _open_prompt(self, name: str, key: str) -> None:
        view = self.view
        raised = view.state.prompts[name].raised
        if not view.may_answer(raised):
            return self.app.open_dialog(self.fitted(lambda width: ask.waiting_dialog(self.view, raised, width)))
        return self._ask_until_taken(
            lambda width: ask.dialog_for(self.view, raised, width),
            lambda answer: ([ask.command_for(raised, answer)], "taken"), key,
        )  # fmt: skip

    def _open_halt(self, key: str) -> None:
        if not self.view.drives:
            return self.app.open_dialog(self.fitted(lambda width: decide.waiting_halt_dialog(self.view, width)))
        step = self.view.state.halt.step if self.view.state.halt else ""
        routes: dict[str, Callable[[str], None]] = {
            "retry": self.retry, "waive": self.waive, "manual": self.manual, "decline": self.decline,
            "abort": lambda _: self.abort(),
        }  # fmt: skip

        def decided(choice: str) -> None:
            self.later.add(key)  # whatever follows is this decision; p brings the choice back
            routes[choice](step)

        return self._ask(self.fitted(lambda width: decide.halt_dialog(self.view, width)), decided, key)

    def _open_waiver(self, name: str, key: str) -> None:
        view = self.view
        asked = group_of(view.state, name)
        if not asked:
            return None
        confirmed = view.person in view.state.confirmed.get(name, ())
        if confirmed or not may_confirm(view, asked[0].operator):
            return self.app.open_dialog(
                self.fitted(lambda width: decide.waiting_waiver_dialog(self.view, asked, width, self.app.attach_hint))
            )

        def decided(answer: str) -> Work:
            self.later |= {attention.waiver_key(waiver.id) for waiver in asked}
            if answer == "yes":
                return [ConfirmWaiver(waiver_id=waiver.id) for waiver in asked], "waivers confirmed"
            return [DeclineWaiver(waiver_id=waiver.id) for waiver in asked], "waivers declined"

        return self._ask_until_taken(lambda width: decide.confirm_waiver_dialog(self.view, asked, width), decided, key)

    def _open_seat(self, person: str, key: str) -> None:
        choices = [Choice("keep", "Keep it", f"{person} goes on watching; recorded"),
                   Choice("give", "Give it", f"{person} drives; recorded")]  # fmt: skip
        self._ask(
            ChoiceDialog(f"{person} asks for the driver's seat", [], choices, key=key),
            lambda how: self.submit(GrantSeat(person=person) if how == "give" else KeepSeat(person=person)),
            key,
        )

    # --- what a person begins ----------------------------------------------------------------------------------------

    def choose_retry(self, picked: str) -> None:
        """The halted step first; beside it the step of the row that a person has chosen, where that has run."""
        view = self.view
        halted = view.state.halt.step if view.state.halt else ""
        ran = picked if picked and picked != halted and view.step(picked).attempt else ""
        if not view.drives:
            who = view.state.driver or "nobody"
            what = f"{name_of(halted)} is halted; " if halted else ""
            return self.app.say(f"{what}{who} drives and may retry. t asks for the seat.")
        if not halted or not ran:
            return self.retry(halted or picked)
        choices = [Choice(halted, name_of(halted), "halted; the run waits for it"),
                   Choice(ran, name_of(ran), "the chosen row")]  # fmt: skip
        return self._ask(ChoiceDialog("Run which step again?", [], choices), self.retry)

    def retry(self, step: str) -> None:
        if not step:
            return self.app.say("Nothing is halted. Choose an action first (Tab), then retry it.")
        return self._ask(
            decide.retry_dialog(self.view, step, self.width),
            lambda answer: self.submit(RunStep(step=step)) if answer == "yes" else None,
        )

    def waive(self, step: str) -> None:
        view = self.view
        waivable = ways.waivable(view.state, step, view.now)
        if view.state.proposed and not waivable:
            return self.open_waiting()
        if not waivable:
            return self.app.say("Nothing here can be waived: choose a step whose criterion blocks and is waivable.")
        dialog = decide.WaiveDialog(view, step, self.width)
        dialog.remake = lambda width: decide.WaiveDialog(self.view, step, width)
        return self._ask(dialog, lambda values: self.submit_all(dialog.commands(values), "waivers proposed"))

    def manual(self, step: str) -> None:
        dialog = decide.ManualDialog(self.view, step, self.width)
        dialog.remake = lambda width: decide.ManualDialog(self.view, step, width)
        if not dialog.choices:
            return self.app.say("Manual validation settles what could not be judged; nothing of that kind blocks here.")
        return self._ask(dialog, lambda values: self.submit_all(dialog.commands(values), "validations recorded"))

    def decline(self, step: str) -> None:
        self._ask(decide.decline_dialog(self.view, step, self.width),
                  lambda values: self.submit(decide.decline_command(step, values)))  # fmt: skip

    def abort(self) -> None:
        self._ask(decide.abort_dialog(self.width), lambda values: self.submit(decide.abort_command(values)))

    def note(self) -> None:
        self._ask(decide.note_dialog(self.view, self.width), lambda values: self.submit(decide.note_command(values)))

    def take_seat(self) -> None:
        view = self.view
        driver = view.state.driver
        if driver and view.state.driver_console == view.console:
            return self.app.say("You drive already.")
        if not driver:
            return self.submit(TakeSeat())
        choices = [
            Choice("ask", "Ask for it", f"{driver} decides"),
            Choice("take", "Take it", f"from {driver}; recorded"),
        ]
        return self._ask(
            ChoiceDialog(f"{driver} drives this run", [], choices),
            lambda how: self.submit(RequestSeat() if how == "ask" else TakeSeat()),
        )

    def grant_seat(self) -> None:
        state = self.view.state
        if not state.driver:
            return self.app.say("Nobody drives. t takes the seat.")
        if not self.view.drives:
            return self.app.say(f"{state.driver} drives, and gives the seat. t asks for it, or takes it.")
        others = [c.person for c in state.consoles.values() if c.id != state.driver_console and not c.read_only]
        people = list(dict.fromkeys([*state.seat_requests, *others]))
        if not people:
            return self.app.say("Nobody else is here who could drive.")
        choices = [Choice(p, p, "asks for it" if p in state.seat_requests else "") for p in people]
        return self._ask(
            ChoiceDialog("Give the driver's seat to", [], choices), lambda person: self.submit(GrantSeat(person=person))
        )

    # --- asking and submitting ---------------------------------------------------------------------------------------

    def _ask(self, dialog: Dialog[Answer], decided: Callable[[Answer], object], key: str = "") -> None:
        def closed(answer: Answer | None) -> None:
            if answer is not None:
                decided(answer)
            self.app.repaint_soon()

        if key:
            self.later.add(key)  # at once: a repaint between its closing and what follows would open it again
        self.app.open_dialog(dialog, closed)

    def _ask_until_taken(
        self, make: Callable[[int], Dialog[Answer]], work: Callable[[Answer], Work],
        key: str, taken_back: tuple[Answer, str] | None = None,
    ) -> None:  # fmt: skip
        """Ask; what the run does not take is asked again, with what was answered and why it was refused."""
        dialog = self.fitted(make)
        dialog.taken_back = taken_back

        def answered(answer: Answer) -> None:
            def refused(why: str) -> None:
                if self.app.busy or not attention.still_open(self.view, key):
                    self.app.say(why, bad=True)
                else:
                    self._ask_until_taken(make, work, key, (answer, why))

            self.app.spawn(self._submit_all(*work(answer), refused))

        self._ask(dialog, answered, key)

    def submit(self, command: Command) -> None:
        self.submit_all([command], "taken")

    def submit_all(self, commands: Sequence[Command], done: str) -> None:
        """One after the other, each recorded by itself; the first refusal ends it, and how far it came is said."""
        self.app.spawn(self._submit_all(commands, done, partial(self.app.say, bad=True)))

    async def _submit_all(self, commands: Sequence[Command], done: str, refused: Callable[[str], None]) -> None:
        for count, command in enumerate(commands):
            why = await self._refusal(command)
            if why:
                if count:
                    why = f"{why} {count} of {len(commands)} {done}; p shows what is left."
                    refused = partial(self.app.say, bad=True)  # what was taken is not to be asked again
                refused(why)
                return
        if len(commands) > 1:
            self.app.say(f"{len(commands)} of {len(commands)} {done}.")

    async def _refusal(self, command: Command) -> str:
        """Why the run has not taken it; "" where it has. A refused answer can be given again."""
        if self.view.link is Link.SILENT:
            self.app.say(ASKED_OF_THE_SILENT)
        try:
            reply = await self.app.handle.submit(command)
        except (RayError, OSError) as exc:
            return f"The run did not take it: {exc}. Try again when the link is back."
        return reply.why if isinstance(reply, Refused) else ""
