"""A person at a console: reads the screen, and answers what it asks by the keyboard alone."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ray_tui.core import facts as f
from tests.e2e.demo import Stack
from tests.e2e.tmux import Terminal, Tmux

NOTE = "looked at it"
TYPED = re.compile(r"\btype\s{2,}(.+?)\s{2,}to\b", re.DOTALL)
OFFERED = re.compile(r"^(Retry|Manual|Waive…|Decline…|Abort…)\s", re.MULTILINE)
ANSWER_SECONDS = 15.0
EDGES = "│ ▁▂▃▄▅▆▇█▎▊▉▔┃▸"
"""What frames a line of a dialog: its border, its scrollbar, and the sign of the chosen line."""


@dataclass(frozen=True)
class Box:
    """The dialog on the screen: its title, the lines inside, and its foot."""

    title: str
    lines: tuple[str, ...]
    foot: str

    @property
    def text(self):
        return "\n".join(self.lines)


def box_on(shown):
    """The dialog that is open; None where the console's panes are seen, or a dialog that is only half painted."""
    lines = [line.strip() for line in shown.splitlines()]
    tops = [n for n, line in enumerate(lines) if line.startswith("╭") and line.count("╭") == 1]
    ends = [n for n, line in enumerate(lines) if line.startswith("╰") and re.search(r"Esc|Enter", line)]
    if not tops or not ends or ends[-1] < tops[0]:
        return None
    inside = tuple(line.strip(EDGES) for line in lines[tops[0] + 1 : ends[-1]])
    return Box(lines[tops[0]].strip("╭─╮ "), inside, lines[ends[-1]])


def asks(title):
    """Whether a screen shows the dialog of this title: the header and the log say what is asked before it opens."""
    return lambda shown: (box := box_on(shown)) is not None and box.title == title


@dataclass
class Person:
    """Answers Yes to everything that a healthy run asks; ``halted`` decides on what is halted."""

    terminal: Terminal
    halted: Callable[["Person", Box], None] | None = None
    asked: list[str] = field(default_factory=list)

    def until(self, wanted, seconds=60.0):
        """Answer whatever comes until the screen is as wanted; gives that screen."""
        holds = wanted if callable(wanted) else lambda shown: wanted in shown
        deadline, before = time.monotonic() + seconds, None
        while not holds(shown := self.terminal.screen()):
            box = box_on(shown)
            settled, before = box is not None and box == before, box
            if settled:
                self.answer(box)
            elif box is not None:
                pass  # it may be half painted; keys typed into it could be lost
            elif self.terminal.ended is not None:
                raise AssertionError(f"the console ended with {self.terminal.ended}:\n{shown}")
            elif self.halted is not None and "HALTED" in shown.partition("\n")[0]:
                self.terminal.press("p")
                with contextlib.suppress(AssertionError):
                    self.terminal.wait_for(lambda seen: box_on(seen) is not None or "HALTED" not in seen, 2)
            if time.monotonic() > deadline:
                raise AssertionError(f"never came: {wanted!r}; asked so far: {self.asked}\n{shown}")
            time.sleep(0.15)
        return shown

    def answer(self, box):
        """Do what the dialog asks for, and wait until it is gone; nothing while it is half painted."""
        deed = self._deed(box)
        if deed is not None:
            self.asked.append(box.title)
            deed()

    def _deed(self, box):
        if box.title.startswith("Halted at"):
            return (lambda: self.halted(self, box)) if self.halted and OFFERED.search(box.text) else None
        if box.title == "What waits for a decision":
            rows = [line for line in box.lines if line]
            first = next((n for n, row in enumerate(rows) if row.startswith("Waiver")), 0)
            return lambda: self._do(box, "", *["Down"] * first, "Enter")
        if typed := TYPED.search(box.text):
            return lambda: self._do(box, " ".join(typed.group(1).split()), "Enter")
        if "Tab: the text" in box.foot:
            return lambda: self._do(box, "", "Down", "Enter")
        if "Approve?" in box.lines:
            return lambda: (self.approve(), self.gone(box))
        if any(line.startswith("Yes ") for line in box.lines):
            return lambda: self._do(box, "", "Down", "Enter")
        if "Enter goes on" in box.text:
            return lambda: self._do(box, "", "Enter")
        # Another answered first, the question closed under these hands, and what they typed has opened a text.
        return (lambda: self._do(box, "", "Escape")) if "Esc: close" in box.foot else None

    def _do(self, box, text, *keys):
        if text:
            self.terminal.type(text)
        self.terminal.press(*keys)
        self.gone(box)

    def gone(self, box):
        """Wait until this dialog is off the screen, two looks in a row: one may catch a half painted screen."""
        looks = []

        def away(shown):
            now = box_on(shown)
            looks.append(now is None or now.title != box.title)
            return looks[-2:] == [True, True]

        self.terminal.wait_for(away, ANSWER_SECONDS)

    def approve(self):
        """Yes, then a note."""
        self.terminal.press("Down")
        self.onward()
        self.fill(NOTE)
        self.terminal.press("Enter")

    def onward(self):
        """Enter, until the cursor has gone to the next field."""
        before = self.terminal.cursor
        self.terminal.press("Enter")
        self.terminal.wait_for(lambda shown: self.terminal.cursor != before, ANSWER_SECONDS)

    def fill(self, text):
        """Type into the field where the cursor is, and see it."""
        self.terminal.type(text)
        self.terminal.wait_for(text)

    def choose(self, label):
        """Go down to the line that starts with this label, and take it."""
        box = box_on(self.terminal.screen())
        offered = [line.split()[0] for line in box.lines if OFFERED.match(line)]
        assert label in offered, f"no {label}:\n{self.terminal.screen()}"
        self.terminal.press(*["Down"] * offered.index(label), "Enter")


@dataclass
class Scene:
    """A demo that is carried out at a terminal, with room for more consoles."""

    tmux: Tmux
    stack: Stack
    console: Terminal

    def open(self, *args, **more):
        """Another terminal with the command line in it."""
        return self.tmux.open(sys.executable, "-m", "ray_tui", *args, **more)

    @property
    def run_id(self):
        return self.stack.run_folder().name

    def hosts(self):
        """Process ids of every host that the journal names."""
        return [entry.fact.pid for entry in self.stack.entries() if isinstance(entry.fact, f.HostStarted)]


@contextmanager
def at_the_console(folder, width=80, height=24, scenario="healthy"):
    """``ray-tui demo`` in a terminal of this size; whatever it has started is ended afterwards."""
    stack = Stack(Path(folder))
    with contextlib.ExitStack() as end:
        end.callback(end_everything, folder)
        tmux = end.enter_context(Tmux(width, height))
        command = ("-m", "ray_tui", "demo", "--dir", folder, "--scenario", scenario)
        yield Scene(tmux, stack, tmux.open(sys.executable, *command))


def end_everything(folder):
    """End what this folder's demo has left running: its console, its host, its servers; none other."""
    mine = str(folder)
    deadline = time.monotonic() + 15
    while left := [pid for pid in processes() if mine in command_of(pid) and pid != os.getpid()]:
        late = time.monotonic() > deadline - 8
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        if time.monotonic() > deadline:
            raise AssertionError(f"still there: {[command_of(pid) for pid in left]}")
        time.sleep(0.1)


def processes():
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def command_of(pid):
    """A Python process's command line; "" for any other."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return said if "ray_tui" in said and "python" in said.split(" ")[0] else ""


__all__ = ["NOTE", "Box", "Person", "Scene", "at_the_console", "box_on", "end_everything"]
