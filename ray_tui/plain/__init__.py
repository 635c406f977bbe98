"""Follow a run line by line: for dumb terminals, screen readers and logs. Prints what happens, asks what is open."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from ray_tui.clock import Clock
from ray_tui.core import alert_tests, announcements, changed, declining, plan, views, ways, whom
from ray_tui.core import facts as f
from ray_tui.core.answering import limits_of, safe_first, wrong_answer, wrong_days
from ray_tui.core.commands import (
    Abort,
    AnswerPrompt,
    Command,
    ConfirmWaiver,
    Decline,
    DeclineWaiver,
    GrantSeat,
    KeepSeat,
    ProposeWaiver,
    RecordManual,
    Refused,
    RunStep,
)
from ray_tui.core.handle import Link, Rewound, RunHandle
from ray_tui.core.pulse import HEARD_AGAIN, silence
from ray_tui.core.state import RunState, apply
from ray_tui.core.together import group_of
from ray_tui.core.verdicts import Criterion
from ray_tui.plain import wishes
from ray_tui.plain.named import Unknown
from ray_tui.plain.shown import shown
from ray_tui.tui import attention, editor
from ray_tui.tui.attached import attachment
from ray_tui.tui.subject import signing_line
from ray_tui.tui.view import View

HELP = "q leaves, and the run goes on; s says where it stands; ? lists what else; Enter asks again what was put off."
QUIET_SECONDS = 0.2
"""The past is over when nothing more comes for so long; only then is the first question asked."""
CATCH_UP_SECONDS = 5.0
"""A run that never falls quiet is asked about after so long all the same."""
LINK_SECONDS = 1.0
"""Between two looks at whether the host is still heard."""
HIDDEN = ("sign", "text", "draft")
"""Keys of a prompt's data that are not for reading: what is signed, what is edited."""
SHORT_LINES = 12
"""More detail than so is shown when it is asked for: the question's own words come first."""
WAYS: Mapping[ways.Way, str] = {
    "retry": "retry",
    "manual": "record manual validation of what could not be judged",
    "waive": "waive one criterion or several (needs a second person)",
    "decline": "decline this guideline",
    "abort": "abort the run for good",
}

Editor = Callable[[str], Awaitable[str | None]]
"""Shows a text for editing; the new text, or None where that failed."""


def _way(way: ways.Way, step: str) -> str:
    owed = way == "decline" and declining.owed(step)
    return f"{WAYS[way]} (needs a second person)" if owed else WAYS[way]


class Left(Exception):
    """The person has left, or the input has ended."""


async def follow(
    handle: RunHandle,
    source: TextIO | None = None,
    output: TextIO | None = None,
    edit: Editor | None = None,
    way_back: Callable[[], str] = str,
    signing: Callable[[], str] = str,
    ascii_only: bool = False,
) -> int:
    """Until the run ends (its exit code), the person leaves (0), or a signal comes (129, 143).

    Where the input ends while a question is
    open, the exit code is the run's: nobody has passed anything.
    """
    console = Console(handle, source or sys.stdin, output or sys.stdout, edit, way_back, signing, ascii_only)
    with _signals(console):
        return await console.follow()


def _way_back(console: "Console") -> str:
    return console.way_back() or f"Come back: ray-tui attach {console.handle.run_id} --plain"


Decided = Command | Sequence[Command] | None


@dataclass
class Question:
    """Something that waits for a person. ``key`` is stable for as long as it waits."""

    key: str
    ask: Callable[[], Coroutine[Any, Any, "Decided"]]
    """The command to submit, or several that were decided together; None: put off."""


@dataclass
class Console:
    """One line-by-line console on one run."""

    handle: RunHandle
    source: TextIO
    output: TextIO
    edit: Editor | None = None
    way_back: Callable[[], str] = str
    """A sentence for who leaves: how to come back; from the run id alone where empty."""
    signing: Callable[[], str] = str
    """Whether what is approved here gets signed, and with which key."""
    ascii_only: bool = False
    clock: Clock = field(default_factory=Clock)
    state: RunState = field(default_factory=RunState)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _lines: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)
    _wanted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _reading: bool = False
    _over: bool = False
    _later: set[str] = field(default_factory=set)
    _details: list[str] = field(default_factory=list)
    _standing: tuple[str, ...] = ()
    """What waits for others, as it was last said."""
    _left: "asyncio.Future[int] | None" = None

    async def follow(self) -> int:
        loop = asyncio.get_running_loop()
        self._left = loop.create_future()
        threading.Thread(target=self._read, args=(loop,), daemon=True, name="plain-input").start()
        self.say(f"run {self.handle.run_id}. {'This console only watches. ' if self.handle.read_only else ''}{HELP}")
        pump = asyncio.create_task(self._pump())
        watching = asyncio.create_task(self._watch_link())
        asking = asyncio.create_task(self._converse(pump))
        try:
            ends: list[asyncio.Future[Any]] = [pump, asking, self._left]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._left.done():
                return self._left.result()
            if asking.done() and not pump.done():
                return await asking
            await pump
            return views.exit_code(self.state)
        finally:
            self._over = True
            self._wanted.release()
            for task in (pump, asking, watching):
                task.cancel()
            await asyncio.gather(pump, asking, watching, return_exceptions=True)

    def leave(self, code: int) -> None:
        """End this console; the run goes on."""
        if self._left is not None and not self._left.done():
            self._left.set_result(code)

    def say(self, text: str) -> None:
        self.output.write(self._shown(text) + "\n")
        self.output.flush()

    def _shown(self, text: str) -> str:
        return shown(text, self.output, self.ascii_only)

    # --- what happens ------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        async for entry in self.handle.entries():
            if isinstance(entry, Rewound):
                self.state = RunState()
                continue
            last = self.state.log[-1].seq if self.state.log else 0
            apply(self.state, entry)
            if self.state.log and self.state.log[-1].seq > last:
                told = self.state.log[-1]
                at = datetime.fromtimestamp(told.at, UTC).strftime("%H:%M:%S")
                self.say(f"{at} {told.signed}")
            self._changed.set()
            if self.state.ended:
                return
        self.say(f"The connection to the run has ended. {_way_back(self)}")

    async def _watch_link(self) -> None:
        """Say it once when the host falls silent, and when it is heard again."""
        was = self.handle.link
        while True:
            await asyncio.sleep(LINK_SECONDS)
            now = self.handle.link
            if now is Link.SILENT and was is not now:
                self.say(silence(self.state.host.pid if self.state.host else 0))
            elif was is Link.SILENT and now is Link.LIVE:
                self.say(HEARD_AGAIN)
            was = now

    # --- what is asked -----------------------------------------------------------------------------------------------

    async def _converse(self, pump: "asyncio.Task[None]") -> int:
        """Ask what is open, one question at a time, until the person leaves."""
        await self._caught_up(pump)
        try:
            while True:
                question = self._question()
                if question is None:
                    await self._idle()
                else:
                    await self._put(question)
        except Left:
            self.say(f"Left. The run goes on. {_way_back(self)}")
            return 0
        except EOFError:
            self.say("The input has ended and a question is open. The run waits for somebody who answers.")
            return views.exit_code(self.state)

    async def _caught_up(self, pump: "asyncio.Task[None]") -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CATCH_UP_SECONDS
        while not pump.done() and loop.time() < deadline:
            if not await self._change(QUIET_SECONDS) and self.state.seq:
                return

    async def _change(self, seconds: float) -> bool:
        """Whether something comes within so long. (wait_for of Python 3.11 can swallow a cancellation.)"""
        self._changed.clear()
        change = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({change}, timeout=seconds)
            return change.done()
        finally:
            change.cancel()

    def view(self) -> View:
        handle = self.handle
        return View(
            state=self.state, now=self.clock.wall(), person=handle.person, console=handle.console,
            read_only=handle.read_only, link=handle.link, transport=handle.transport,
            signing=self.signing(),
        )  # fmt: skip

    def _question(self) -> Question | None:
        """The first thing that waits for this person and was not put off."""
        waiting = (key for key in attention.waiting(self.view()) if key not in self._later)
        return next((self._of(key) for key in waiting), None)

    def _of(self, key: str) -> Question:
        kind, _, name = key.partition(":")
        match kind:
            case "prompt":
                return self._of_prompt(self.state.prompts[name].raised)
            case "waiver":
                return self._of_waivers(key, group_of(self.state, name))
            case "seat":
                return Question(key, lambda: self._ask_seat(name))
        return Question(key, self._ask_halt)

    def _say_who_is_waited_for(self) -> None:
        """Once, where the run stands still for somebody else."""
        view = self.view()
        open_ = (*(prompt.raised.id for prompt in self.state.open_prompts), *self.state.proposed)
        waits = (*open_, str(self.state.halt_seq)) if self.state.halt is not None else open_
        if waits != self._standing:
            self._standing = waits
            if waits and not attention.waiting(view):
                self.say(wishes.standing(view))

    async def _put(self, question: Question) -> None:
        """Ask; stop asking as soon as somebody else has answered."""
        self._details = []
        asking = asyncio.create_task(question.ask())
        try:
            while not asking.done():
                self._changed.clear()
                current = self._question()
                if current is None or current.key != question.key:
                    gone = question.key not in attention.waiting(self.view())
                    self.say("(answered meanwhile)" if gone else "(something else comes first)")
                    return
                change = asyncio.create_task(self._changed.wait())
                await asyncio.wait({asking, change}, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
            command = asking.result()
        finally:
            if not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        if not command:
            self._later.add(question.key)
            self.say("Put off. Enter asks again.")
            return
        commands = command if isinstance(command, Sequence) else [command]
        for count, one in enumerate(commands, 1):
            if not await self._submit(one, question.key):
                return
            if len(commands) > 1:
                self.say(f"{count} of {len(commands)} taken.")

    async def _submit(self, command: Command, key: str) -> bool:
        """Whether the run has taken it."""
        reply = await self.handle.submit(command)
        if isinstance(reply, Refused):
            self._later.add(key)
            self.say(f"Refused: {reply.why} Enter asks again.")
            return False
        while self.state.seq < reply.seq:
            self._changed.clear()
            await self._changed.wait()
        return True

    async def _idle(self) -> None:
        """Nothing is asked: a line is a wish, a change may bring a question."""
        self._say_who_is_waited_for()
        self._changed.clear()
        typed = asyncio.create_task(self.line())
        change = asyncio.create_task(self._changed.wait())
        await asyncio.wait({typed, change}, return_when=asyncio.FIRST_COMPLETED)
        change.cancel()
        if not typed.done():
            typed.cancel()
            await asyncio.gather(typed, return_exceptions=True)
            return
        try:
            await self._wish(typed.result())
        except EOFError:
            self._lines.put_nowait(None)  # the end stays the end: the next question finds it again
            await self._changed.wait()

    async def _wish(self, text: str) -> None:
        if not text:
            self._later.clear()
            return
        if text == "?":
            self._help()
            return
        try:
            wished = await self._abort() if text == "abort" else wishes.granted(self.view(), text)
        except Unknown as exc:
            self.say(str(exc))
            return
        if isinstance(wished, Sequence):
            self.say("\n".join(wished))
        elif wished is not None:
            reply = await self.handle.submit(wished)
            self.say(f"Refused: {reply.why}" if isinstance(reply, Refused) else "Done.")

    def _help(self) -> None:
        self.say("\n".join((HELP, *wishes.help_lines(), "  abort                   end the run for good")))

    def _looked(self, typed: str) -> bool:
        """Whether it was a word that only looks: a question that is open goes on being asked."""
        try:
            said = wishes.looked(self.view(), typed)
        except Unknown as exc:
            said = [str(exc)]
        if said is not None:
            self.say("\n".join(said))
        return said is not None

    # --- the kinds of question ---------------------------------------------------------------------------------------

    def _of_prompt(self, raised: f.PromptRaised) -> Question:
        async def ask() -> Command | None:
            self._introduce(raised)
            answer = await KINDS[raised.prompt](self, raised)
            if answer is None:
                return None
            return AnswerPrompt(prompt_id=raised.id, answer=answer[0], reason=answer[1])

        return Question(f"prompt:{raised.id}", ask)

    def _introduce(self, raised: f.PromptRaised) -> None:
        self.say(f"\nQUESTION: {raised.title}")
        if raised.text not in ("", raised.title, raised.data.get("text")):
            self.say(raised.text)
        self._details = described(raised.data)
        if len(self._details) <= SHORT_LINES:
            self._tell_details()
        else:
            self.say(f"  ({len(self._details)} lines of detail; d shows them)")
        self.say(f"Answered by {whom.answered_by(raised, self.state)}")
        if raised.prompt == "approve":
            self._tell_signing()

    def _tell_signing(self) -> None:
        for line in signing_line(self.view(), wishes.WIDTH):
            self.say("".join(text for text, _ in line))

    def _tell_details(self) -> None:
        for said in self._details:
            self.say(f"  {said}")

    async def _confirm(self, raised: f.PromptRaised) -> tuple[str, str] | None:
        typed = (await self.line("y: yes, N: no (default), l: later > ")).lower()
        if typed in ("l", "later"):
            return None
        return ("yes" if typed in ("y", "yes") else "no"), ""

    async def _typed(self, raised: f.PromptRaised) -> tuple[str, str] | None:
        while True:
            typed = await self.line(f"Type exactly: {raised.expects}   (no: decline, l: later) > ")
            if typed in ("l", "later"):
                return None
            wrong = wrong_answer(raised, typed, "", 0)
            if not wrong:
                return typed, ""
            self.say(f"That is not it. {wrong}")

    async def _approve(self, raised: f.PromptRaised) -> tuple[str, str] | None:
        while True:
            typed = (await self.line("Approve? yes, no, l: later > ")).lower()
            if typed in ("", "l", "later"):
                return None
            if typed in ("yes", "no"):
                return typed, await self.line("Note for the record (Enter: none) > ")
            self.say("Write yes or no in full.")

    async def _choose(self, raised: f.PromptRaised) -> tuple[str, str] | None:
        options = safe_first(raised.options)
        chosen = await self.number(options)
        if chosen is None:
            return None
        answer = options[chosen]
        if answer not in raised.with_reason:
            return answer, ""
        reason = await self._reason(f"{answer}: say why")
        return (answer, reason) if reason else None

    async def _edit(self, raised: f.PromptRaised) -> tuple[str, str] | None:
        text = str(raised.data.get("text") or raised.data.get("draft") or "")
        while True:
            self.say("\n".join(f"| {part}" for part in text.splitlines()) or "| (empty)")
            chosen = await self.number(("accept this text", "edit it in an editor", "decline (answer: no)"))
            if chosen is None:
                return None
            if chosen == 2:
                return "no", ""
            if chosen == 0:
                wrong = wrong_answer(raised, text, "", 0)
                if not wrong:
                    return text, ""
                self.say(wrong)
                continue
            edited = await (self.edit or self._in_editor)(text)
            text = text if edited is None else edited

    async def _in_editor(self, text: str) -> str | None:
        command = editor.command(os.environ)
        if not command:
            self.say("No editor was found; accept or decline, or put it off and export EDITOR.")
            return None
        try:
            return await asyncio.to_thread(editor.edited, command, text)
        except (OSError, ValueError) as exc:
            self.say(f"{command[0]} could not be used: {exc}. The text is as it was.")
            return None

    def _of_waivers(self, key: str, waivers: Sequence[f.WaiverProposed]) -> Question:
        """Those that were asked for together are one question; each is confirmed by itself."""
        waiver = waivers[0]

        async def ask() -> Decided:
            until = datetime.fromtimestamp(waiver.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            for one in waivers:
                self.say(f"\nWAIVER {one.id}: {one.operator} asks to waive {one.criterion}")
                for criterion in self._criteria_of(one):
                    self._show(criterion)
            self.say(f"  at {plan.title(waiver.step)}, until {until}, because: {waiver.reason}")
            self._tell_signing()
            what = "it" if len(waivers) == 1 else f"all {len(waivers)}"
            typed = await self.line(f"Waive {what}, as the second person? yes, no, l: later (default) > ")
            match typed.lower():
                case "yes":
                    return [ConfirmWaiver(waiver_id=one.id) for one in waivers]
                case "no":
                    return [DeclineWaiver(waiver_id=one.id) for one in waivers]
            return None

        return Question(key, ask)

    async def _ask_seat(self, person: str) -> Decided:
        typed = await self.line(f"\n{person} asks for the driver's seat. Give it? y, n: keep it, l: later (default) > ")
        match typed.lower():
            case "y" | "yes":
                return GrantSeat(person=person)
            case "n" | "no":
                return KeepSeat(person=person)
        return None

    async def _ask_halt(self) -> Decided:
        halt = self.state.halt
        assert halt is not None
        self.say("\n" + announcements.error(plan.title(halt.step), halt.reason))
        now = self.clock.wall()
        for criterion in ways.failing(self.state, halt.step, now):
            self._show(criterion)
        if stale := changed.since(self.state):
            self.say(f"  {stale} {changed.to_go_on(self.state)}")
        elif noted := changed.of_remedies(self.state, ways.failing(self.state, halt.step, now)):
            self.say(f"  {noted}")
        offered = ways.ways(self.state, halt.step, now)
        chosen = await self.number([_way(way, halt.step) for way in offered])
        if chosen is None:
            return None
        match offered[chosen]:
            case "retry":
                return await self._retry(halt.step)
            case "waive":
                return await self._waive(halt.step, ways.waivable(self.state, halt.step, now))
            case "manual":
                return await self._manual(halt.step, ways.unjudged(self.state, halt.step, now))
            case "decline":
                return await self._decline(halt.step)
            case "abort":
                return await self._abort()

    async def _retry(self, step: str) -> Command | None:
        typed = await self.line(f"Run {plan.title(step)} again? y, N (default) > ")
        return RunStep(step=step) if typed.lower() in ("y", "yes") else None

    async def _waive(self, step: str, waivable: Sequence[Criterion]) -> Decided:
        chosen = await self.numbers([f"{c.title}: {c.actual}" for c in waivable])
        if not chosen:
            return None
        limits = limits_of(self.state)
        reason = await self._reason("Reason")
        if not reason:
            return None
        usual = f"{min(7, limits.waiver_days)}"
        days = await self.line(f"Days, at most {limits.waiver_days} (Enter: {usual}) > ") or usual
        while wrong := wrong_days(days, limits.waiver_days):
            self.say(wrong)
            days = await self.line("Days > ")
        ticket = await self.line("Ticket (Enter: none) > ")
        return [ProposeWaiver(criterion=waivable[n].id, step=step, reason=reason, days=float(days), ticket=ticket)
                for n in chosen]  # fmt: skip

    async def _manual(self, step: str, unjudged: Sequence[Criterion]) -> Decided:
        chosen = await self.numbers([f"{c.title}: {c.actual}" for c in unjudged])
        if not chosen:
            return None
        note = await self._reason("What you saw")
        if not note:
            return None
        path = await self.line("Screenshot or sheet, a path (Enter: none) > ")
        attachments: tuple[dict[str, str], ...] = ()
        if path:
            try:
                attachments = (attachment(path),)
            except OSError as exc:
                self.say(f"{path} cannot be read: {exc.strerror or exc}")
                return None
        try:
            tests = alert_tests.parse(await self.line(f"{alert_tests.ASKED} > ") if step == alert_tests.STEP else "")
        except ValueError as exc:
            self.say(str(exc))
            return None
        return [
            RecordManual(criterion=unjudged[n].id, step=step, note=note, attachments=attachments, alert_tests=tests)
            for n in chosen
        ]

    async def _decline(self, step: str) -> Command | None:
        reason = await self._reason("Reason", "do not decline")
        return Decline(step=step, reason=reason) if reason else None

    async def _reason(self, what: str, enter: str = "later") -> str:
        """As long as this run's policy wants it; "" where the person goes back."""
        least = limits_of(self.state).reason_characters
        while True:
            typed = await self.line(f"{what}, at least {least} characters (Enter: {enter}) > ")
            if not typed or len(typed) >= least:
                return typed
            self.say(f"That has {len(typed)}.")

    async def _abort(self) -> Command | None:
        if await self.line("This ends the run for good. Type  abort  to do it > ") != "abort":
            return None
        reason = await self.line("Reason > ")
        return Abort(reason=reason) if reason else None

    def _criteria_of(self, waiver: f.WaiverProposed) -> list[Criterion]:
        found = self.state.steps.get(waiver.step)
        return [c for c in found.criteria if c.id == waiver.criterion] if found else []

    def _show(self, criterion: Criterion) -> None:
        self.say(f"  {criterion.verdict.value}: {criterion.title}: {criterion.actual}")
        if criterion.required:
            self.say(f"    required: {criterion.required}")
        if criterion.remedy:
            self.say(f"    remedy: {criterion.remedy}")

    # --- lines -------------------------------------------------------------------------------------------------------

    async def number(self, options: Sequence[str]) -> int | None:
        """Which of these, counted from 0; None: later."""
        for count, option in enumerate(options, 1):
            self.say(f"  {count}  {option}")
        while True:
            typed = await self.line(f"1 to {len(options)}, or Enter for later > ")
            if typed in ("", "l", "later"):
                return None
            if typed.isdecimal() and 1 <= int(typed) <= len(options):
                return int(typed) - 1
            if not self._looked(typed):
                self.say("There is no such number.")

    async def numbers(self, options: Sequence[str]) -> list[int]:
        """Which of these, counted from 0, each once; empty: later. With one option it is asked as ``number`` does."""
        if len(options) == 1:
            chosen = await self.number(options)
            return [] if chosen is None else [chosen]
        for count, option in enumerate(options, 1):
            self.say(f"  {count}  {option}")
        while True:
            typed = (await self.line(f"Which: 1 to {len(options)}, several as 1,3, or all; Enter for later > ")).lower()
            if typed in ("", "l", "later"):
                return []
            wanted = which(typed, len(options))
            if wanted:
                return wanted
            if not self._looked(typed):
                self.say("Name numbers of the list, with commas between them, or all.")

    async def line(self, ask: str = "") -> str:
        """What is typed next. Raises Left for q, EOFError at the end of the input."""
        while True:
            if ask:
                self.output.write(self._shown(ask))
                self.output.flush()
            if not self._reading:  # never two readers, and none while an editor has the terminal
                self._reading = True
                self._wanted.release()
            typed = await self._lines.get()
            self._reading = False
            if typed is None:
                raise EOFError
            typed = typed.strip()
            if typed == "q":
                raise Left
            if typed == "?" and ask:
                self._help()
                continue
            if typed != "d" or not (ask and self._details):
                return typed
            self._tell_details()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """A thread's work: one line for each one that is wanted."""
        while True:
            self._wanted.acquire()
            if self._over:
                return
            try:
                typed = self.source.readline() or None
            except (OSError, ValueError):
                typed = None
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._lines.put_nowait, typed)
            if typed is None:
                return


KINDS: Mapping[str, Callable[[Console, f.PromptRaised], Awaitable[tuple[str, str] | None]]] = {
    "confirm": Console._confirm,
    "typed": Console._typed,
    "approve": Console._approve,
    "choose": Console._choose,
    "edit": Console._edit,
}


def which(typed: str, most: int) -> list[int]:
    """``1,3`` or ``all`` as indices; empty where a part of it is no number of the list."""
    if typed == "all":
        return list(range(most))
    parts = typed.replace(" ", ",").split(",")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != len([part for part in parts if part]) or not all(1 <= number <= most for number in numbers):
        return []
    return [number - 1 for number in dict.fromkeys(numbers)]


def described(data: Mapping[str, Any], depth: int = 0) -> list[str]:
    """What a prompt's data says, one line each, nested things indented."""
    out: list[str] = []
    for key, value in data.items():
        if (key in HIDDEN and depth == 0) or value in (None, "", [], {}):
            continue
        out += _described(str(key), value, depth)
    return out


def _described(key: str, value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(value, Mapping):
        return [f"{pad}{key}:", *described(value, depth + 1)]
    if isinstance(value, list | tuple):
        if not any(isinstance(one, Mapping | list | tuple) for one in value):
            return [f"{pad}{key}: {', '.join(map(str, value))}"]
        return [said for count, one in enumerate(value, 1) for said in _described(f"{key} {count}", one, depth)]
    if isinstance(value, str) and "\n" in value:
        return [f"{pad}{key}:", *(f"{pad}  {part}" for part in value.splitlines())]
    return [f"{pad}{key}: {value}"]


@contextlib.contextmanager
def _signals(console: Console) -> Iterator[None]:
    """Ctrl-C explains how to leave; a hang-up or a terminate leaves. The run goes on in every case."""
    loop = asyncio.get_running_loop()
    reactions: dict[int, Callable[[], None]] = {
        signal.SIGINT: lambda: console.say(f"\nCtrl-C ends nothing here. {HELP}"),
        signal.SIGHUP: lambda: console.leave(128 + signal.SIGHUP),
        signal.SIGTERM: lambda: console.leave(128 + signal.SIGTERM),
    }
    taken = []
    for number, reaction in reactions.items():
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            loop.add_signal_handler(number, reaction)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
