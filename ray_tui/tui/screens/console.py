"""The screen that is always there: header, rail, four phase panes, event log, keys. It paints, and takes keys."""

from collections.abc import Mapping
from typing import ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.screen import Screen

from ray_tui.core import plan, views
from ray_tui.core.presence import LOG as LOG_PLACE
from ray_tui.core.presence import PLACES
from ray_tui.tui import attention, keys, use
from ray_tui.tui.jump import Jump, Spot, labelled
from ray_tui.tui.panes import frame
from ray_tui.tui.panes.phases import PHASES, said
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import View, leaving
from ray_tui.tui.widgets.bar import Bar
from ray_tui.tui.widgets.event_log import EventLog
from ray_tui.tui.widgets.listing import Listing
from ray_tui.tui.widgets.painted import Painted, literal

LOG = 5
WIDE = 120
TALL = 28
"""Rows below which even a pane that stands alone is no room for everything, until it is zoomed."""
LEAST = (60, 20)
"""Columns and rows below which there is a notice instead of panes."""


STYLESHEET = """
ConsoleScreen { layout: vertical; background: $background; }
ConsoleScreen > .strip { height: 1; width: 1fr; overflow: hidden; }
ConsoleScreen #rail, ConsoleScreen #keys { background: $background; }
ConsoleScreen #panes { height: 1fr; }
ConsoleScreen #panes > Horizontal { height: 2fr; }
ConsoleScreen #panes > Horizontal.-active { height: 3fr; }
ConsoleScreen #panes > Horizontal.-calm { height: 8; }
ConsoleScreen Listing { width: 2fr; height: 1fr; border: round $ray-dim 60%; border-title-color: $ray-dim;
                        border-subtitle-color: $ray-dim; padding: 0; background: $background; }
ConsoleScreen Listing.-active { width: 3fr; border: round $primary; border-title-color: $ray-strong;
                                border-title-style: bold; border-subtitle-color: $ray-strong; }
ConsoleScreen #log { height: 9; width: 1fr; }
ConsoleScreen Painted { scrollbar-background: $background; scrollbar-color: $ray-dim 50%;
                        scrollbar-color-hover: $primary; scrollbar-color-active: $primary;
                        scrollbar-background-hover: $background; }
ConsoleScreen.-narrow #log { height: 7; }
ConsoleScreen.-short #log { height: 5; }
ConsoleScreen.-big-log #panes { display: none; }
ConsoleScreen.-no-log #log { display: none; }
ConsoleScreen.-big-log #log { height: 1fr; }
ConsoleScreen #small { display: none; }
ConsoleScreen.-small > * { display: none; }
ConsoleScreen.-small > #small { display: block; height: 1fr; width: 1fr; }
ConsoleScreen.-plain Listing { border: ascii $ray-dim; }
ConsoleScreen.-plain Painted { scrollbar-size-vertical: 0; }
ConsoleScreen.-plain Listing.-active { border: ascii $primary; }
"""
"""Part of the app's: for a screen that brings its own, all of them would be read again at every start."""


class ConsoleScreen(Screen[None], inherit_bindings=False):
    """Below 120 columns one pane at a time; above, two by two with the active one larger."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *keys.bindings(),
        Binding("escape", "app.deed('clear_filter')", "all events", id="log.all", show=False),
    ]

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self.ascii_only = ascii_only
        self.active = 1
        self.picked = False
        """A person has chosen the pane; until then the active pane follows the run."""
        self.zoomed = False
        self._fitted: Size | None = None
        """What the panes were last arranged for; before that there is no width to paint for."""
        self._begun: tuple[bool, ...] = ()
        self._arranged = True
        """Panes have moved since they were last painted."""
        self._refitting = False
        self._at = ""
        """The step that the chosen row has followed to."""
        self.jump: Jump | None = None

    @property
    def ray(self) -> Stage:
        return cast("Stage", self.app)

    def compose(self) -> ComposeResult:
        yield Painted(id="small", ascii_only=self.ascii_only)
        yield Painted(id="header", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="rail", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="next", classes="strip", ascii_only=self.ascii_only)
        with Vertical(id="panes"):
            for row in (0, 1):
                with Horizontal(id=f"row{row}"):
                    for number in (row * 2 + 1, row * 2 + 2):
                        pane = Listing(id=f"pane{number}", ascii_only=self.ascii_only)
                        yield pane
        log = EventLog(id="log", ascii_only=self.ascii_only)
        yield log
        transport = self.ray.handle.transport
        if transport is not None:
            yield Bar(transport, id="transport", classes="strip", ascii_only=self.ascii_only)
        yield Painted(id="keys", classes="strip", ascii_only=self.ascii_only)

    def on_mount(self) -> None:
        self.set_class(self.ascii_only, "-plain")
        self._has_moved(self.ray.view())
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        if event.size == self._fitted:
            event.prevent_default()  # Textual says it two or three times at the start, and would lay out each time
            return
        begins, self._fitted = not self.laid_out, event.size
        self._arrange()
        if begins:
            self.ray.begin()
        else:
            self.call_after_refresh(self.ray.repaint)

    @property
    def laid_out(self) -> bool:
        return self._fitted is not None

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
        if self._has_moved(view):
            self._rearrange()
        live, self._arranged = live or self._arranged, False
        width = self.size.width
        if self._small:
            leave = keys.shown(self.ray.keymap)["detach"]
            self.query_one("#small", Painted).show_lines(frame.too_small(view, self.size, LEAST, leave))
            return
        self.query_one("#header", Painted).show_lines([frame.header(view, width)])
        marked = not self._wide_overview and self.active != LOG
        active, alone = self.phase if marked else 0, self.zoomed or width < WIDE
        self.query_one("#rail", Painted).show_lines([frame.rail(view, width, active, self.jump, alone=alone)])
        self.query_one("#next", Painted).show_lines([frame.next_row(view, width)])
        for number in range(1, 5):
            if self._visible(number) and (live or number != 1):
                self.show_pane(view, number)
        self.event_log.follow(view.state)
        self.event_log.retitle(frame.log_title(view, self.event_log.words()))
        if view.transport is not None:
            self.query_one(Bar).show_bar()
        self.query_one("#keys", Painted).show_lines([frame.keys_row(self._hints(view), width)])

    def show_pane(self, view: View, number: int) -> int:
        pane = self.pane(number)
        view.roomy = self.zoomed or (self.size.width < WIDE and self.size.height >= TALL)
        changed = pane.show_rows(PHASES[number - 1](view, pane.inner_width))
        pane.retitle(frame.pane_title(number, view))
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
        return bool(pane.display and row.display) and not self.has_class("-big-log") and not self._small

    @property
    def _small(self) -> bool:
        return self.app.size.width < LEAST[0] or self.app.size.height < LEAST[1]

    @property
    def _wide_overview(self) -> bool:
        return self.size.width >= WIDE and not self.picked and not self.zoomed

    def _has_moved(self, view: View) -> bool:
        """Whether the panes have to be arranged anew: the run is in another phase, or one has begun and needs room."""
        begun = tuple(views.phase_status(view.state, number)[0] != "waiting" for number in range(1, 5))
        phase, grown = self.active, begun != self._begun
        self._begun = begun
        self._follow_run(view)
        return grown or self.active != phase

    def _follow_run(self, view: View) -> None:
        if self.picked or self.active == LOG:
            return
        at = view.state.halt.step if view.state.halt else view.state.running()
        if at is None:
            at = next((step for step in plan.STEPS if not view.state.steps[step].settled), plan.COMPLETION)
        self.active = max(1, min(4, plan.phase_of(at)))
        if at != self._at:
            self._at = at
            self.pane(self.active).prefer(f"step:{at}")

    def _hints(self, view: View) -> list[tuple[str, str]]:
        live = keys.shown(self.ray.keymap)
        if self.jump is not None:
            typed = f"{self.jump.typed}…" if self.jump.typed else "letters"
            return [(typed, "go there and open it"), ("esc", "stay here")]
        if view.transport is not None:
            if self.query_one(Bar).caret is not None:
                return self._bar_hints(live)
            named = [("replay.play", "pause" if view.transport.playing else "play"), ("replay.step", "step"),
                     ("replay.next", "marks"), ("replay.faster", "speed"), ("replay.bar", "bar"),
                     ("replay.seek", "seek"), ("help", "help"), ("open.detail", "why?")]  # fmt: skip
            live["replay.next"] = f"{live['replay.previous']} {live['replay.next']}"
            live["replay.faster"] = f"{live['replay.slower']} {live['replay.faster']}"
        elif view.state.halt is not None and view.drives:
            ways = [(name, way) for name, way in use.AT_A_HALT.items() if way in use.ways_now(view)]
            named = [("run.prompts", "decide"), *ways, ("help", "help"), ("open.detail", "why?"), ("run.note", "note")]
        else:
            strayed = self.picked and not view.state.ended  # the run may go on where nobody here sees it
            back = [("focus.overview", "follow the run" if strayed else "overview")]
            named = [*self._may(view), *(back if strayed else ()), ("focus.1", "focus"), ("help", "help"),
                     ("open.detail", "why?"), ("focus.zoom", "all panes" if self.zoomed else "zoom"),
                     ("log.filter", "filter"), *(() if strayed else back)]  # fmt: skip
        named.append(("detach", leaving(view)))
        hints = [(live[name], word) for name, word in named]
        return [("1-4" if word == "focus" and key == "1" else key, word) for key, word in hints]

    def _bar_hints(self, live: Mapping[str, str]) -> list[tuple[str, str]]:
        there = self.query_one(Bar).pointed_at
        return [(live["open.detail"], f"go to {there}"), (f"{live['move.left']} {live['move.right']}", "move"),
                (live["move.next_action"], "next mark"), ("esc", "leave the bar")]  # fmt: skip

    def _may(self, view: View) -> list[tuple[str, str]]:
        """What this console may do to the run now; an observer: nothing."""
        if view.read_only or view.state.ended:
            return []
        asks = [("run.prompts", "answer")] if attention.waiting(view) else []
        waits = [("run.prompts", "what waits")] if not asks and (view.state.open_prompts or view.state.proposed) else []
        seat = [("seat.take", "ask for the seat" if view.state.driver else "take the seat")]
        seat = seat if view.decides and view.state.driver_console != view.console else []
        return [*asks, *waits, *seat, ("run.note", "note")]

    # --- arrangement -------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self._arranged = True
        wide = self.app.size.width >= WIDE
        alone = self.zoomed or not wide
        self.set_class(not wide, "-narrow")
        self.set_class(self.app.size.height < TALL, "-short")
        self.set_class(self._small, "-small")
        self.set_class(self.active == LOG and alone, "-big-log")
        self.set_class(self.active != LOG and self.zoomed, "-no-log")
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

    @on(Listing.Resized)
    def _refit(self) -> None:
        """Once for all panes that a change of layout has resized."""
        self._arranged = True
        if not self._refitting:
            self._refitting = True
            self.call_after_refresh(self._repaint_resized)

    def _repaint_resized(self) -> None:
        self._refitting = False
        self.ray.repaint()
        for listing in self.query(Listing):
            if listing.size.height:
                listing.settle()

    @on(EventLog.Scrolled)
    def _retitle_log(self) -> None:
        self.event_log.retitle(frame.log_title(self.ray.view(), self.event_log.words()))

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

    # --- jumping -----------------------------------------------------------------------------------------------------

    def place(self) -> str:
        """What has the focus, as others are told: the step of the chosen row, else the pane."""
        if self.active == LOG:
            return LOG_PLACE
        kind, _, rest = self.listing.chosen.partition(":")
        named = {"step": rest, "data": rest.split("/")[0], "service": "1.2", "probe": "2.2"}.get(kind, "")
        return named if named in PLACES else f"phase.{self.phase}"

    def begin_jump(self) -> None:
        """Put letters on the panes, the phases of the rail, and every row that is on the screen."""
        if self._small:
            return
        self.set_focus(None)
        rows = [(number, self.pane(number)) for number in range(1, 5) if self._visible(number)]
        shown = [*rows, (LOG, self.event_log)]
        ordered = sorted(shown, key=lambda pair: pair[0] != self.active)
        spots = [Spot(number) for number in range(1, 6)]
        self._show_jump(Jump(labelled(spots + [spot for number, listing in ordered for spot in listing.spots(number)])))

    def _show_jump(self, jump: Jump | None) -> None:
        self.jump = jump
        for number in range(1, 5):
            self.pane(number).show_letters(jump, number)
        self.event_log.show_letters(jump, LOG)
        self.ray.repaint()

    def on_key(self, event: events.Key) -> None:
        """While letters are shown every key is one of them."""
        if self.jump is None:
            return
        if event.key == "escape":
            self._show_jump(None)
        elif event.key == "backspace":
            self.jump.erase()
            self._show_jump(self.jump)
        elif event.character and event.is_printable:
            spot = self.jump.type(event.character)
            self._show_jump(None if spot else self.jump)
            if spot is not None:
                self._go(spot)
        event.stop()
        event.prevent_default()

    def on_screen_suspend(self) -> None:
        if self.jump is not None:
            self._show_jump(None)

    def _go(self, spot: Spot) -> None:
        if spot.pane != self.active:
            self.action_focus_phase(spot.pane)
        self.picked = True
        if spot.target:
            self.listing.choose(spot.target)
            self.ray.open_detail(spot.target)

    # --- keys that only look -----------------------------------------------------------------------------------------

    def action_focus_bar(self) -> None:
        if self.ray.handle.transport is not None and not self._small:
            self.query_one(Bar).take_keys()

    @on(Bar.Moved)
    def _bar_moved(self) -> None:
        self.ray.repaint()

    def action_focus_phase(self, number: int) -> None:
        self.set_focus(None)
        self.active, self.picked = number, True
        self._rearrange()

    def action_overview(self) -> None:
        self.set_focus(None)
        self.picked = self.zoomed = False
        if self.active == LOG:
            self.active = 1
        self.event_log.move_to_end(1)
        self._rearrange()

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self._rearrange()

    def action_phase(self, by: int) -> None:
        self.action_focus_phase((self.phase - 1 + by) % 4 + 1)

    def action_move(self, by: int) -> None:
        self.listing.move(by)

    def action_half_page(self, by: int) -> None:
        self.listing.move(by * max(1, self.listing.size.height // 2))

    def action_end(self, by: int) -> None:
        self.listing.move_to_end(by)

    def action_next_action(self, by: int) -> None:
        self.listing.move_to_action(by)

    def action_detail(self) -> None:
        if self.listing.chosen:
            self.ray.open_detail(self.listing.chosen)

    def show_entry(self, seq: int) -> bool:
        """Put the keys on the journal line of this seq, or on the one before it; False where the log has neither."""
        log, state = self.event_log, self.ray.state
        if log.wanted:
            log.set_filter("", state)
        seqs = [line.seq for line in state.log if line.seq <= seq]
        if not seqs:
            return False
        self.action_focus_phase(LOG)
        log.prefer(f"entry:{seqs[-1]}")
        return True

    def action_copy(self) -> None:
        if self.listing.chosen:
            self.ray.copy(said(self.ray.view(), self.listing.chosen))

    def action_copy_as(self) -> None:
        if self.listing.chosen:
            self.ray.copy_as(self.listing.chosen, "")

    def chosen_step(self) -> str:
        """The halted step, else the step of the chosen row, else empty."""
        halt = self.ray.state.halt
        return halt.step if halt is not None else self.picked_step()

    def picked_step(self) -> str:
        """The step of the row that a person has chosen."""
        target = self.listing.chosen
        return target.removeprefix("step:") if target.startswith("step:") else ""
