"""The console as a program: follows a run's handle, repaints at most ten times a second, and always leaves cleanly."""

import asyncio
import contextlib
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.console import RenderableType
from rich.segment import Segment
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.command import CommandPalette, Provider
from textual.filter import LineFilter, Monochrome, NoColor
from textual.notifications import Notify
from textual.screen import ModalScreen, Screen
from textual.timer import Timer

from ray_tui.core import views
from ray_tui.core.errors import RayError
from ray_tui.core.facts import ConsoleAttached, Entry
from ray_tui.core.handle import Link, Rewound, RunHandle
from ray_tui.core.presence import Look, Presence
from ray_tui.core.pulse import HEARD_AGAIN, Pulse, silence
from ray_tui.core.readings import Gauges
from ray_tui.core.state import RunState, apply
from ray_tui.core.untrusted import clean, line
from ray_tui.tui import clipboard, keys, theme
from ray_tui.tui.about import seq_of
from ray_tui.tui.commands import RunCommands
from ray_tui.tui.lines import ASCII
from ray_tui.tui.options import ConsoleExit, ConsoleOptions, over_ssh
from ray_tui.tui.over import Over
from ray_tui.tui.player import PRESSES, Player
from ray_tui.tui.screens import console, dialog_style
from ray_tui.tui.screens.console import LOG, ConsoleScreen
from ray_tui.tui.trimmed import TrimmedUpdate
from ray_tui.tui.typeahead import Passed, Typeahead
from ray_tui.tui.view import View, leaving, mapping, mappings, without_us
from ray_tui.tui.widgets.bar import Bar

if TYPE_CHECKING:
    from ray_tui.tui.desk import Desk
    from ray_tui.tui.screens.dialog import Dialog
    from ray_tui.tui.screens.read import CopyAsAsked, JournalAsked

PAINT_SECONDS = 0.1
NO_COLOURS = NoColor()
READING_SECONDS = 0.5
TICK_SECONDS = 1.0
BATCH = 200
"""Entries or readings taken before the screen gets its turn."""
NOTICE_SECONDS = 4.0
CRASH_NAME = "console-crash.log"
Answer = TypeVar("Answer")


class ControlFilter(LineFilter):
    """The last net: no control character, bidi mark or zero-width reaches the terminal, whoever painted it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control or (safe := clean(segment.text, 100_000)) == segment.text
            else Segment(safe, segment.style)
            for segment in segments
        ]  # fmt: skip


class RayApp(App[ConsoleExit], inherit_bindings=False):
    """One console on one run."""

    TITLE = "ray-tui"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {RunCommands}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "interrupt", "how to leave", id="interrupt", show=False, priority=True),
        Binding("f1", "deed('help')", "help", id="help.f1", show=False),
    ]
    CSS = f"""{console.STYLESHEET}{dialog_style.STYLESHEET}
    CommandPalette {{ background: $background; }}
    CommandPalette > Vertical {{ background: $background; }}
    CommandPalette #--input {{ border: round $primary; }}
    CommandPalette SearchIcon {{ color: $foreground; }}
    CommandPalette CommandList {{ border-bottom: hkey $primary; }}
    Toast {{ background: $background; border-left: outer $primary; color: $foreground; width: auto; max-width: 100%;
             padding: 0 1; margin-top: 0; }}
    Dialog > ToastRack {{ margin-bottom: 0; }}
    .-replay ConsoleScreen > ToastRack {{ margin-bottom: 2; }}
    Toast.-error {{ border-left: outer $ray-bad; }}
    Toast.-warning {{ border-left: outer $ray-warn; }}
    .-ascii Toast {{ border-left: ascii $primary; }}
    .-ascii Toast.-error {{ border-left: ascii $ray-bad; }}
    .-ascii CommandPalette #--input {{ border: ascii $primary; }}
    .-ascii CommandPalette SearchIcon, .-ascii CommandPalette LoadingIndicator {{ display: none; }}
    .-ascii CommandPalette CommandList {{ scrollbar-size-vertical: 0; border: none; }}
    """

    def __init__(self, handle: RunHandle, options: ConsoleOptions) -> None:
        self.handle = handle
        self.options = options
        self.state = RunState()
        self.gauges = Gauges()
        self.paints = 0
        """How often the screen was gone through; what did not change was not sent."""
        self.crash: BaseException | None = None
        self.drafts: dict[tuple[str, str], str] = {}
        self.keymap, wrong = keys.validated(options.keymap)
        self.keymap_problems = [f"{binding}: {why}" for binding, why in wrong.items()]
        self._themes, self._theme_problems = theme.load(options.theme_folders)
        self._theme_stamps = theme.stamps(options.theme_folders)
        super().__init__()
        self._first_theme()
        self.over = Over(self)
        self.player = Player(self)
        self.typeahead = Typeahead(self, super().on_event)
        self.console_screen = ConsoleScreen(ascii_only=options.ascii)
        self._paint_timer: Timer | None = None
        self._reading_timer: Timer | None = None
        self._link = handle.link
        self._lost = False
        self._hung_up = False
        self._crash_kept: Path | None = None
        self._goodbye: asyncio.Future[None] | None = None
        self._painted_seq = -1
        self._told_place = ""
        self._looks: tuple[Look, ...] = ()
        self._opening = False
        self._unshown = contextlib.ExitStack()
        """Holds empty panes back until there is something in them: a start sends one full screen, not three."""
        self._mission_due = options.show_mission and handle.transport is None
        self._net = ControlFilter()
        if options.animations is False or (options.animations is None and over_ssh(options.environment)):
            self.animation_level = "none"

    # --- start and end -----------------------------------------------------------------------------------------------

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.DEFAULTS

    def refresh_css(self, animate: bool = True) -> None:
        """Before there is a screen the colours are enough: the stylesheet is about to be read, once."""
        if self.screen_stack:
            super().refresh_css(animate=animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def get_line_filters(self) -> Sequence[LineFilter]:
        # Textual's greys for NO_COLOR know no theme of the terminal's own colours: all of it would be black on black.
        theirs = [NO_COLOURS if isinstance(one, Monochrome) else one for one in super().get_line_filters()]
        return [*theirs, self._net]

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate):
            renderable = TrimmedUpdate.of(renderable)
        super()._display(screen, renderable)
        if isinstance(renderable, LayoutUpdate) and not self._batch_count:
            for widget in screen._compositor.visible_widgets:
                widget._exchange_repaint_regions()  # the whole screen was sent: nothing that was asked for is left

    def on_mount(self) -> None:
        self.set_class(self.options.ascii, "-ascii")
        self.set_class(self.handle.transport is not None, "-replay")
        self.set_keymap(self.keymap)
        self._catch_signals()
        self.run_worker(self._follow_entries(), group="follow")
        self._unshown.enter_context(self.batch_update())

    def get_default_screen(self) -> Screen[Any]:
        return self.console_screen

    def begin(self) -> None:
        """The panes have their places: what was read of the run until now is the first thing painted."""
        self._notices()
        self.run_worker(self._follow_readings(), group="follow")
        self.set_interval(TICK_SECONDS, self._tick)
        self.repaint()
        self._unshown.close()
        self.call_after_refresh(self._load_over)

    def _load_over(self) -> None:
        self.spawn(self.over.load())

    def _first_theme(self) -> None:
        """Before anything is painted: Textual reads every stylesheet again for a theme that changes later."""
        for loaded in self._themes:
            self.register_theme(loaded.theme)
        wanted = "ansi-16" if self.options.environment.get("NO_COLOR") else self.options.theme
        if wanted not in self.theme_names:
            self._theme_problems.append(f"theme {wanted!r} is not there; known: {', '.join(self.theme_names)}")
            wanted = "ray-dark"
        if wanted in self.theme_names:
            self.theme = wanted

    def _reload_themes(self) -> None:
        """A theme file that was saved is used at once; one that is wrong is said, and the old one stays."""
        stamps = theme.stamps(self.options.theme_folders)
        if stamps == self._theme_stamps:
            return
        self._theme_stamps = stamps
        loaded, problems = theme.load(self.options.theme_folders)
        if problems and problems != self._theme_problems:
            self.say("Themes: " + "; ".join(problems), bad=True)
        self._themes, self._theme_problems = loaded, problems
        for one in loaded:
            changed = self.available_themes.get(one.name) != one.theme
            self.register_theme(one.theme)
            if changed and one.name == self.theme:
                self.refresh_css(animate=False)
                for widget in self.screen.walk_children():
                    widget.refresh()

    def _notices(self) -> None:
        found = []
        if self.keymap_problems:
            found.append("Keymap: " + "; ".join(self.keymap_problems))
        if self._theme_problems:
            found.append("Themes: " + "; ".join(self._theme_problems))
        transport = self.handle.transport
        if transport is not None and not transport.has_graphs:
            found.append(
                "This replay has no live graphs: the tape lies in the run's folder, not in a package or journal."
            )
        if found:
            self.say("\n".join(found))

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def hung_up(number: int, frame: object) -> None:
            # Not a loop handler: a dead terminal can block the very loop that would run it. Leave politely if that
            # works; if it has not within a moment, the process ends, and with it the hold on the driver's seat.
            _end_anyway(128 + number)
            loop.call_soon_threadsafe(self._signalled, number)

        try:
            for number in (signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, hung_up)
            loop.add_signal_handler(signal.SIGINT, self.action_interrupt)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # not the main thread (tests): the embedding program has the signals

    def on_unmount(self) -> None:
        try:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
        except (NotImplementedError, RuntimeError, ValueError):
            return

    def _signalled(self, number: int) -> None:
        self._hung_up = True
        # The host hears it first: to leave a dead terminal may take longer than there is time.
        self._goodbye = asyncio.ensure_future(self.handle.close(self.parting))
        self.leave(128 + number)

    @property
    def parting(self) -> str:
        """How this console goes, for the journal."""
        return "crashed" if self.crash is not None else "hung up" if self._hung_up else "left"

    def detach(self) -> None:
        """Off the screen by the person's wish; of a run that is over, the exit code is the run's."""
        over = self.state.ended and self.handle.transport is None
        self.leave(views.exit_code(self.state) if over else 0)

    def leave(self, code: int) -> None:
        """Off the screen; the run goes on."""
        self.exit(self._exit_report(code), return_code=code)

    def _exit_report(self, code: int) -> ConsoleExit:
        if self.handle.transport is not None:
            return ConsoleExit("detached", code, "Replay closed.")
        if self.state.ended:
            word = "completed" if self.state.completed is not None else "aborted"
            return ConsoleExit("ended", code, f"Run {self.handle.run_id} is {word}.")
        if self.shown_link in (Link.LOST, Link.ENDED):
            return ConsoleExit("lost", code, f"The host does not answer. {self.way_back}")
        goes_on = f"the run {without_us(self.state)}" if self.shown_link is Link.LIVE else "the host is silent"
        return ConsoleExit("detached", code, f"Detached; {goes_on}. {self.way_back}")

    @property
    def attach_hint(self) -> str:
        return self.options.attach_hint or f"ray-tui attach {self.handle.run_id.rsplit('-', 1)[-1]}"

    @property
    def way_back(self) -> str:
        return self.options.way_back() or f"Come back: {self.attach_hint}"

    def action_interrupt(self) -> None:
        """Ctrl-C ends nothing, and says what does."""
        view = self.view()
        said = f"Ctrl-C ends nothing. {self._leave_words()}: {leaving(view)}."
        if view.transport is None and not view.state.ended:
            said += " To end the run itself: ctrl+p, Abort." if view.drives else " Only its driver can end the run."
        self.say(said)

    def _leave_words(self) -> str:
        top = self.screen
        if (dialog := self.dialog) is not None:
            return re.sub(r": [a-z ]+,", ",", dialog.q_does).removesuffix(": ")
        live = keys.shown(self.keymap)["detach"]
        return live if top is self.console_screen else f"Esc, then {live}"

    # --- keys --------------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Keys go one by one: what is typed while a dialog opens is the dialog's."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            await self.typeahead.typed(event)
        else:
            await super().on_event(event)

    def on_passed(self, message: Passed) -> None:
        self.typeahead.passed(message)

    def _handle_exception(self, error: Exception) -> None:
        """No traceback with locals on the terminal: they may hold secrets. The caller prints one line."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        if self.crash is None:
            self.crash = getattr(error, "error", None) or error
            self._write_crash(self.crash)
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        self._return_code = 1
        self._close_messages_no_wait()

    def _write_crash(self, error: BaseException) -> None:
        """Beside the run; where that is another person's, with one's own things. No place for it: no details."""
        text = clean("".join(traceback.format_exception(error)), 100_000)  # frames and lines, but no locals
        own = self.options.copy_folder / CRASH_NAME if self.options.copy_folder else None
        for path in (self.options.crash_log, own):
            if path is None or self._crash_kept is not None:
                continue
            with contextlib.suppress(OSError):
                if path == own:
                    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_text(text, "utf-8")
                self._crash_kept = path

    def crash_report(self) -> ConsoleExit:
        assert self.crash is not None
        what = f"{type(self.crash).__name__}: {line(str(self.crash), 200)}"
        log = f" Details: {self._crash_kept}." if self._crash_kept else ""
        if self.handle.transport is not None:
            said = f"The console crashed ({what}); a replay changes nothing.{log} Start it again."
        elif self.state.ended:
            said = f"The console crashed ({what}); the run was over already.{log} `ray-tui runs` lists it."
        else:
            said = f"The console crashed ({what}); the run goes on.{log} {self.way_back}"
        return ConsoleExit("crashed", self.return_code or 1, said)

    # --- following the run -------------------------------------------------------------------------------------------

    async def _follow_entries(self) -> None:
        count = 0
        try:
            async for entry in self.handle.entries():
                if isinstance(entry, Rewound):
                    self.state = RunState()
                    self.gauges.series.clear()
                    self.desk.later.clear()
                else:
                    apply(self.state, entry)
                    self._begins_the_run(entry)
                self.repaint_soon()
                count += 1
                if count % BATCH == 0:
                    await asyncio.sleep(0)
        except (RayError, OSError) as exc:
            self._lost = True
            self.say(f"The link to the run broke: {exc}. {self.way_back}", bad=True)
        self.repaint_soon()

    def _begins_the_run(self, entry: Entry) -> None:
        """The mission is for the console that a run begins with; who comes back or joins has work to do."""
        if self._mission_due and isinstance(entry.fact, ConsoleAttached):
            self._mission_due = False
            if entry.fact.console == self.handle.console:
                self.open_mission()

    async def _follow_readings(self) -> None:
        count = 0
        try:
            async for reading in self.handle.readings():
                self.gauges.add(reading)
                if self._reading_timer is None:
                    self._reading_timer = self.set_timer(READING_SECONDS, self._paint_readings)
                count += 1
                if count % BATCH == 0:
                    await asyncio.sleep(0)
        except (RayError, OSError):
            return  # the entries' follower says it

    @property
    def shown_link(self) -> Link:
        return Link.LOST if self._lost else self.handle.link

    def view(self) -> View:
        """What panes paint from, now."""
        pulse = self.handle if isinstance(self.handle, Pulse) else None
        return View(
            state=self.state, gauges=self.gauges, now=self._now(),
            person=self.handle.person, console=self.handle.console, read_only=self.handle.read_only,
            link=self.shown_link, transport=self.handle.transport, looks=self._looks,
            silent_seconds=pulse.silent_seconds if pulse else 0.0, unanswered=pulse.unanswered if pulse else 0,
            signing=self.options.signing(),
        )  # fmt: skip

    def _now(self) -> float:
        """The wall clock; in a replay the run's own time, which goes on between two facts."""
        transport = self.handle.transport
        if transport is None:
            return self.options.clock.wall()
        return max(self.state.at, self.state.started_at + transport.position[1]) if self.state.opened else 0.0

    def _tick(self) -> None:
        """Once a second, and only where something moves by itself: the clock of a run, the link, a replay."""
        self._reload_themes()
        self._share_focus()
        if self._link is not self.shown_link:
            was, self._link = self._link, self.shown_link
            if self._link is Link.SILENT:
                self.say(silence(self.state.host.pid if self.state.host else 0), bad=True)
            elif was is Link.SILENT and self._link is Link.LIVE:
                self.say(HEARD_AGAIN)
            self.repaint_soon()
        elif self.handle.transport is not None:
            if self.player.moved():
                self.repaint_soon()
        elif (not self.state.ended and self.state.opened is not None) or self._link is Link.SILENT:
            self.repaint_soon()

    def _share_focus(self) -> None:
        """Say where this person looks and see where the others do, where the handle knows of any."""
        if not isinstance(self.handle, Presence):
            return
        place = self.console_screen.place()
        if place != self._told_place:
            self._told_place = place
            self.handle.look_at(place)
        looks = tuple(self.handle.looks)
        if looks != self._looks:
            self._looks = looks
            self.repaint_soon()

    def repaint_soon(self) -> None:
        """Many facts, one repaint."""
        if self._paint_timer is None:
            self._paint_timer = self.set_timer(PAINT_SECONDS, self.repaint)

    def repaint(self) -> None:
        """Go through the screen now; lines that did not change are not sent."""
        if self._paint_timer is not None:
            self._paint_timer.stop()
            self._paint_timer = None
        if not self._stands:
            return
        self.paints += 1
        view = self.view()
        if (dialog := self.dialog) is not None:
            dialog.show_view(view)
        else:
            # A mere tick leaves the live values to their own timer: else they would be sent twice as often.
            ticking = self._reading_timer is not None and self._painted_seq == self.state.seq
            self.console_screen.show_view(view, live=not ticking)
            self._painted_seq = self.state.seq
        if self.over.loaded:
            self.desk.look(view)

    @property
    def _stands(self) -> bool:
        """Whether there is a screen to paint on: not before the first layout, and not while the console is leaving."""
        return self.console_screen.laid_out and bool(self.screen_stack) and bool(self.console_screen.query("#keys"))

    def _paint_readings(self) -> None:
        self._reading_timer = None
        if not self._stands:
            return
        self.paints += 1
        if self.dialog is None:
            self.console_screen.show_readings(self.view())

    # --- what keys and the palette do --------------------------------------------------------------------------------

    def deeds(self) -> Mapping[str, Callable[[], object]]:
        """By name; the decisions among them say so where this console may not decide."""
        desk, console = self.desk, self.console_screen
        decisions: dict[str, Callable[[], object]] = {
            "retry": lambda: desk.choose_retry(console.picked_step() if console.picked else ""),
            "waive": lambda: desk.waive(console.chosen_step()),
            "manual": lambda: desk.manual(console.chosen_step()),
            "note": desk.note,
            "take_seat": desk.take_seat,
            "grant_seat": desk.grant_seat,
            "abort": desk.abort,
        }
        return {
            **{name: partial(self._decide, deed) for name, deed in decisions.items()},
            "prompts": desk.open_waiting,
            "filter_log": self.open_filter,
            "clear_filter": self.clear_filter,
            "help": self.open_help,
            "mission": self.open_mission,
            "theme": self.open_themes,
            "overview": console.action_overview,
            **{f"phase_{number}": partial(console.action_focus_phase, number) for number in range(1, 5)},
            "event_log": partial(console.action_focus_phase, LOG),
            "jump": console.begin_jump,
            "zoom": console.action_zoom,
            "copy": console.action_copy,
            "copy_as": console.action_copy_as,
            "seek": lambda: self.over.reader.ask_seek(self.player),
            "bar": console.action_focus_bar,
            **{f"replay_{what}": partial(self.player.press, what) for what in PRESSES},
            "copy_next": self.copy_next,
            "detach": self.detach,
        }

    def action_deed(self, name: str) -> None:
        if self.dialog is None:
            self.deeds()[name]()

    def action_transport(self, what: str) -> None:
        self.player.press(what)

    def on_bar_sought(self, message: Bar.Sought) -> None:
        self.player.go(message.marker, message.seconds)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "transport" or (action == "deed" and parameters == ("seek",)):
            return self.handle.transport is not None
        return True

    def _decide(self, deed: Callable[[], object]) -> None:
        if self.handle.transport is not None:
            self.say("This is a replay: nothing can be decided in it.")
        elif self.handle.read_only:
            self.say("This console only watches; attach without --observe to take part.")
        else:
            deed()

    def decline(self, step: str) -> None:
        self.desk.decline(step)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside; an exception of it is a crash."""
        self.run_worker(work, group="work")

    # --- dialogs and notices -----------------------------------------------------------------------------------------

    @property
    def desk(self) -> "Desk":
        return self.over.desk

    @property
    def dialog(self) -> "Dialog[Any] | None":
        """The one on top."""
        return self.over.dialog(self.screen) if self.screen is not self.console_screen else None

    @property
    def busy(self) -> bool:
        """Something else than the console is on top, or about to be."""
        return self._opening or self.screen is not self.console_screen

    def open_dialog(self, dialog: ModalScreen[Answer], closed: Callable[[Answer | None], object] | None = None) -> None:
        self._opening = True

        def after(answer: Answer | None) -> None:
            if closed is not None:
                closed(answer)
            self.repaint_soon()

        def opened() -> None:
            self._opening = False
            self.repaint_soon()

        self.push_screen(dialog, after)
        self.call_after_refresh(opened)

    def say(self, text: str, *, bad: bool = False) -> None:
        """A notice."""
        shown = clean(text, 600)
        shown = shown.translate(ASCII) if self.options.ascii else shown
        seconds = NOTICE_SECONDS * (2 if bad else 1)
        self.notify(shown, severity="error" if bad else "information", timeout=seconds, markup=False)

    def on_notify(self, event: Notify) -> None:
        """It takes the place of the one before: the same again is one, and never more than one covers the screen."""
        self.clear_notifications()

    def open_detail(self, target: str) -> None:
        self.over.reader.open_detail(target)

    def open_help(self, here: Sequence[tuple[str, str]] = ()) -> None:
        problems = [*self.keymap_problems, *self._theme_problems]
        self.over.reader.open_help(problems, here, self.console_screen.listing.chosen, self.options.places)

    def open_mission(self) -> None:
        self.over.reader.open_mission()

    def open_filter(self) -> None:
        self.over.reader.open_filter(self.console_screen.event_log)

    def clear_filter(self) -> None:
        log = self.console_screen.event_log
        if log.wanted:
            log.set_filter("", self.state)
            self.repaint_soon()

    @property
    def theme_names(self) -> list[str]:
        return [loaded.name for loaded in self._themes]

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder="Search for commands", id="--command-palette"))

    def open_themes(self) -> None:
        self.over.reader.open_themes(self.theme)

    def choose_theme(self, name: str) -> None:
        self.theme = name

    def other_runs(self) -> list[tuple[str, str]]:
        return [(name, opens) for name, opens in self.options.runs() if name != self.handle.run_id]

    def service_names(self) -> list[str]:
        data: Any = self.state.steps["1.2"].data
        return [line(str(item.get("name", "")), 120) for item in mappings(mapping(data).get("services"))][:200]

    # --- copying -----------------------------------------------------------------------------------------------------

    def on_journal_asked(self, message: "JournalAsked") -> None:
        seq = seq_of(self.view(), message.target)
        if not seq:
            self.say("This is computed from many facts; no single journal line is behind it.")
        elif not self.console_screen.show_entry(seq):
            self.say(f"Journal seq {seq} is no longer in the event log; the journal file holds it.")

    def copy_next(self) -> None:
        if self.state.completed is not None:
            self.copy(self.state.completed.next_command)

    def on_copy_as_asked(self, message: "CopyAsAsked") -> None:
        self.copy_as(message.target, message.text)

    def copy_as(self, target: str, text: str) -> None:
        self.over.reader.copy_as(target, text, self.options.places)

    def copy(self, text: str) -> None:
        self.run_worker(self._copy(clean(text, 200_000)), group="copy")

    async def _copy(self, text: str) -> None:
        small = len(text.encode()) <= clipboard.MOST
        path = clipboard.to_file(text, self.options.copy_folder)
        where = f"; also in {path}" if path else ""
        if small and await clipboard.to_tmux(text, self.options.environment):
            self.say(f"Copied into tmux's buffer{where}.")
        elif small:
            self.copy_to_clipboard(text)
            self.say(f"Sent to the terminal's clipboard{where}.")
        elif path:
            self.say(f"Too long for the clipboard: written to {path}.")
        else:
            self.say("Too long for the clipboard, and there is no folder to write it to.", bad=True)


HUNG_UP_SECONDS = 2.0


def _end_anyway(code: int) -> None:
    """End the process soon, whatever it hangs on; the run lives elsewhere, and its host sees the link close."""
    timer = threading.Timer(HUNG_UP_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()


async def run_console(handle: RunHandle, options: ConsoleOptions, *, headless: bool = False) -> ConsoleExit:
    """Show the run until the person leaves. Closes the handle; never ends the run, nor raises for a crash."""
    app = RayApp(handle, options)
    try:
        left = await app.run_async(headless=headless)
    finally:
        await handle.close(app.parting)
    if app.crash is not None:
        return app.crash_report()
    return left if left is not None else ConsoleExit("detached", app.return_code or 0, app.way_back)
