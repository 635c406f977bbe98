"""The screen that is always there: header, rail, four phase panes, event log, keys. It paints, and takes keys."""

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from ray_tui.core import plan, views
from ray_tui.tui import keys
from ray_tui.tui.lines import Row
from ray_tui.tui.panes import alerts, assurance, frame, handoff, instrumentation
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import View
from ray_tui.tui.widgets.event_log import EventLog
from ray_tui.tui.widgets.listing import Listing
from ray_tui.tui.widgets.painted import Painted, literal

Paint = Callable[[View, int], Sequence[Row]]
PHASES: tuple[Paint, ...] = (instrumentation.rows, alerts.rows, assurance.rows, handoff.rows)
LOG = 5
WIDE = 120


class ConsoleScreen(Screen[None], inherit_bindings=False):
    """Below 120 columns one pane at a time; above, two by two with the active one larger."""

    CSS = """
    ConsoleScreen { layout: vertical; background: $background; }
    ConsoleScreen > .strip { height: 1; width: 1fr; overflow: hidden; }
    #rail, #keys { background: $background; }
    #panes { height: 1fr; }
    #panes > Horizontal { height: 2fr; }
    #panes > Horizontal.-active { height: 3fr; }
    #panes > Horizontal.-calm { height: 8; }
    Listing { width: 2fr; height: 1fr; border: round $ray-dim 60%; border-title-color: $ray-dim;
              border-subtitle-color: $ray-dim; padding: 0; background: $background; }
    Listing.-active { width: 3fr; border: round $primary; border-title-color: $ray-strong;
                      border-title-style: bold; border-subtitle-color: $ray-strong; }
    #log { height: 9; width: 1fr; }
    Painted { scrollbar-background: $background; scrollbar-color: $ray-dim 50%; scrollbar-color-hover: $primary;
              scrollbar-color-active: $primary; scrollbar-background-hover: $background; }
    ConsoleScreen.-narrow #log { height: 7; }
    ConsoleScreen.-short #log { height: 5; }
    ConsoleScreen.-big-log #panes { display: none; }
    ConsoleScreen.-big-log #log { height: 1fr; }
    ConsoleScreen.-plain Listing { border: ascii $ray-dim; }
    ConsoleScreen.-plain Painted { scrollbar-size-vertical: 0; }
    ConsoleScreen.-plain Listing.-active { border: ascii $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings())

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self.ascii_only = ascii_only
        self.active = 1
        self.picked = False
        """A person has chosen the pane; until then the active pane follows the run."""
        self.zoomed = False
        self._begun: tuple[bool, ...] = ()
        self._arranged = True
        """Panes have moved since they were last painted."""
        self._at = ""
        """The step that the chosen row has followed to."""

    @property
    def ray(self) -> Stage:
        return cast("Stage", self.app)

    def compose(self) -> ComposeResult:
        yield Painted(id="header", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="rail", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="next", classes="strip", ascii_only=self.ascii_only)
        with Vertical(id="panes"):
            for row in (0, 1):
                with Horizontal(id=f"row{row}"):
                    for number in (row * 2 + 1, row * 2 + 2):
                        pane = Listing(id=f"pane{number}", ascii_only=self.ascii_only)
                        pane.border_title = frame.pane_title(number)
                        yield pane
        log = EventLog(id="log", ascii_only=self.ascii_only)
        log.border_title = "Events"
        yield log
        if self.ray.handle.transport is not None:
            yield Painted(id="transport", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="keys", classes="strip", ascii_only=self.ascii_only)

    def on_mount(self) -> None:
        self.set_class(self.ascii_only, "-plain")
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        self.call_after_refresh(self.ray.repaint)

    # --- painting ----------------------------------------------------------------------------------------------------

    def pane(self, number: int) -> Listing:
        return self.query_one(f"#pane{number}", Listing)

    @property
    def event_log(self) -> EventLog:
        return self.query_one("#log", EventLog)

    @property
    def listing(self) -> Listing:
        """What the keys move in."""
        return self.event_log if self.active == LOG else self.pane(self.active)

    @property
    def phase(self) -> int:
        return min(self.active, 4)

    def show_view(self, view: View, *, live: bool = True) -> None:
        """Paint everything that is visible; only lines that changed reach the terminal."""
        self._follow_run(view)
        self._settle_rows(view)
        live, self._arranged = live or self._arranged, False
        width = self.size.width
        self.query_one("#header", Painted).show_lines([frame.header(view, width)])
        self.query_one("#rail", Painted).show_lines(
            [frame.rail(view, width, self.phase if not self._wide_overview else 0)]
        )
        self.query_one("#next", Painted).show_lines([frame.next_row(view, width)])
        for number in range(1, 5):
            if self._visible(number) and (live or number != 1):
                self.show_pane(view, number)
        self.event_log.follow(view.state)
        if view.transport is not None:
            self.query_one("#transport", Painted).show_lines(
                [frame.transport_bar(view.transport, width, view.state.started_at)]
            )
        self.query_one("#keys", Painted).show_lines([frame.keys_row(self._hints(view), width)])

    def show_pane(self, view: View, number: int) -> int:
        pane = self.pane(number)
        view.roomy = self.zoomed or self.size.width < WIDE
        changed = pane.show_rows(PHASES[number - 1](view, pane.inner_width))
        state = frame.pane_state(view, number)
        if pane.border_subtitle != state:
            pane.border_subtitle = literal(state, ascii_only=self.ascii_only).plain
        return changed

    def show_readings(self, view: View) -> int:
        """Only what live values change; answers how many lines that were."""
        return self.show_pane(view, 1) if self._visible(1) else 0

    def _visible(self, number: int) -> bool:
        pane = self.pane(number)
        row = self.query_one(f"#row{(number - 1) // 2}")
        return bool(pane.display and row.display) and not self.has_class("-big-log")

    @property
    def _wide_overview(self) -> bool:
        return self.size.width >= WIDE and not self.picked and not self.zoomed

    def _follow_run(self, view: View) -> None:
        if self.picked or self.active == LOG:
            return
        at = view.state.halt.step if view.state.halt else view.state.running()
        if at is None:
            at = next((step for step in plan.STEPS if not view.state.steps[step].settled), plan.COMPLETION)
        number = max(1, min(4, plan.phase_of(at)))
        if number != self.active:
            self.active = number
            self._arrange()
        if at != self._at:
            self._at = at
            self.pane(number).prefer(f"step:{at}")

    def _settle_rows(self, view: View) -> None:
        """A row of phases grows when one of them begins."""
        begun = tuple(views.phase_status(view.state, number)[0] != "waiting" for number in range(1, 5))
        if begun != self._begun:
            self._begun = begun
            self._rearrange()

    def _hints(self, view: View) -> list[tuple[str, str]]:
        live = keys.shown(self.ray.keymap)
        if view.transport is not None:
            named = [("replay.play", "play"), ("replay.step", "step"), ("replay.next", "next"),
                     ("replay.previous", "back"), ("replay.seek", "seek"), ("open.detail", "why?"), ("help", "help"),
                     ("detach", "leave")]  # fmt: skip
        elif view.state.halt is not None:
            named = [("run.prompts", "decide"), ("run.retry", "retry"), ("run.waive", "waive"),
                     ("run.manual", "manual"), ("open.detail", "why?"), ("run.note", "note"), ("help", "help"),
                     ("detach", "detach")]  # fmt: skip
        else:
            asks = [("run.prompts", "answer")] if view.state.open_prompts or view.state.proposed else []
            named = [*asks, ("focus.1", "focus"), ("focus.overview", "overview"), ("open.detail", "why?"),
                     ("focus.zoom", "zoom"), ("run.note", "note"), ("log.filter", "filter"), ("help", "help"),
                     ("detach", "detach")]  # fmt: skip
        hints = [(live[name], word) for name, word in named]
        return [("1-4" if word == "focus" and key == "1" else key, word) for key, word in hints]

    # --- arrangement -------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self._arranged = True
        wide = self.size.width >= WIDE
        alone = self.zoomed or not wide
        self.set_class(not wide, "-narrow")
        self.set_class(self.size.height < 28, "-short")
        self.set_class(self.active == LOG and alone, "-big-log")
        for number in range(1, 5):
            pane = self.pane(number)
            pane.display = not alone or number == self.phase
            pane.set_class(number == self.active, "-active")
            pane.set_active(number == self.active)
        for row in (0, 1):
            holder = self.query_one(f"#row{row}")
            phases = (row * 2 + 1, row * 2 + 2)
            calm = not any(self._begun[n - 1 : n] == (True,) for n in phases) and self.phase not in phases
            holder.set_class(calm and not alone, "-calm")
            holder.display = not alone or (self.phase - 1) // 2 == row
            holder.set_class((self.phase - 1) // 2 == row and self.active != LOG, "-active")
        log = self.event_log
        log.set_class(self.active == LOG, "-active")
        log.set_active(self.active == LOG)

    def _rearrange(self) -> None:
        self._arrange()
        self.call_after_refresh(self.ray.repaint)

    @on(Listing.Picked)
    def _mouse(self, message: Listing.Picked) -> None:
        listing = message.listing
        number = LOG if listing.id == "log" else int(str(listing.id)[-1])
        if number != self.active:
            self.action_focus_phase(number)
        elif message.again:
            self.action_detail()
        else:
            listing.set_active(True)

    # --- keys that only look -----------------------------------------------------------------------------------------

    def action_focus_phase(self, number: int) -> None:
        self.active, self.picked = number, True
        self._rearrange()

    def action_overview(self) -> None:
        self.picked = self.zoomed = False
        if self.active == LOG:
            self.active = 1
        self._rearrange()

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self._rearrange()

    def action_phase(self, by: int) -> None:
        self.action_focus_phase((self.phase - 1 + by) % 4 + 1)

    def action_move(self, by: int) -> None:
        self.listing.move(by)

    def action_next_action(self, by: int) -> None:
        self.listing.move_to_action(by)

    def action_detail(self) -> None:
        if self.listing.chosen:
            self.ray.open_detail(self.listing.chosen)

    def action_copy(self) -> None:
        if self.listing.chosen_text:
            self.ray.copy(self.listing.chosen_text)

    def action_copy_as(self) -> None:
        if self.listing.chosen:
            self.ray.copy_as(self.listing.chosen, self.listing.chosen_text)

    def chosen_step(self) -> str:
        """The halted step, else the step of the chosen row, else empty."""
        halt = self.ray.state.halt
        if halt is not None:
            return halt.step
        target = self.listing.chosen
        return target.removeprefix("step:") if target.startswith("step:") else ""
