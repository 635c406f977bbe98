"""A console that breaks: its terminal is given back whole, one line says what happened, and the run does not notice."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from ray_tui.core import facts as f
from ray_tui.rendezvous import is_locked
from ray_tui.tui.app import run_console
from ray_tui.tui.options import ConsoleOptions
from ray_tui.tui.screens.console import ConsoleScreen
from tests.e2e import crashing
from tests.e2e.demo import ray_tui, wait_until
from tests.e2e.person import Person, asks, at_the_console, box_on
from tests.e2e.tmux import Tmux
from tests.tui.fake_handle import FakeHandle, mid_run

LAUNCHER = Path(crashing.__file__)
FIRST_QUESTION = "Release Manager approval"
LIVE = {
    "pane 1": "z",
    "pane 2": "2",
    "pane 3": "3",
    "pane 4": "4",
    "rows of pane": "z",
    "event log": "z",
    "dialog": "n",
    "opening of a dialog": "?",
    "key": "z",
}
"""Where it breaks -> a key that makes the console go there."""
ON_AGAIN = (b"\x1b[?1049h", b"\x1b[?1000h", b"\x1b[?1003h", b"\x1b[?2004h")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A run that waits at its first question, with its host alive; its first console has left."""
    with at_the_console(tmp_path_factory.mktemp("crash") / "demo", 120, 40) as scene:
        Person(scene.console).until(asks(FIRST_QUESTION))
        scene.console.hang_up()
        wait_until(lambda: not scene.stack.state().consoles, "its departure")
        yield scene


class Broken:
    """A console that was brought to break: what its terminal, its shell and its exit code say afterwards."""

    def __init__(self, tmux, folder, where, arguments):
        self.trigger, self.raw = folder / "break", folder / "raw"
        command = shlex.join(map(str, (sys.executable, LAUNCHER, where, self.trigger, *arguments)))
        after = 'echo "exit=$?"; stty -a; echo; echo at the shell again; read -r typed; echo "typed: $typed"'
        self.terminal = tmux.open("sh", "-c", f"stty -a; {command}; {after}")
        self.tmux = tmux
        tmux.tmux("pipe-pane", "-t", self.terminal.name, "-o", f"cat >> {shlex.quote(str(self.raw))}")

    def breaks(self, key):
        self.trigger.touch()
        self.terminal.press(*key)
        self.terminal.wait_for("at the shell again")
        return self.tmux.tmux("capture-pane", "-p", "-J", "-t", self.terminal.name)

    def flags(self):
        """(in the alternate screen, the cursor shown, the mouse reported), as the terminal has them now."""
        wanted = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}#{mouse_sgr_flag}"
        return self.tmux.tmux("display-message", "-p", "-t", self.terminal.name, wanted).split()

    def is_given_back(self, said):
        """Screen, cursor, mouse and line discipline are the shell's again, and it reads what is typed."""
        assert self.flags() == ["0", "1", "00"], said
        settings = said[said.index("exit=") :].replace(";", " ").split()
        for wanted in ("echo", "icanon", "isig", "icrnl", "opost"):
            assert wanted in settings, said
        raw = self.raw.read_bytes() if self.raw.exists() else b""
        for on in ON_AGAIN:
            off = on[:-1] + b"l"
            assert raw.rfind(on) < raw.rfind(off) or on not in raw, on
        self.terminal.type("a b")
        self.terminal.press("Enter")
        self.terminal.wait_for("typed: a b")

    def said_one_line(self, said, *words):
        """No traceback, no local; one line that tells what happened, and an exit code that is not 0."""
        assert "exit=1" in said, said
        line = next(line for line in said.splitlines() if "The console crashed" in line)
        for word in ("RuntimeError", crashing.MESSAGE, *words):
            assert word in line, said
        assert crashing.SECRET not in said
        assert crashing.SECRET.encode() not in self.raw.read_bytes()
        for sign in ("Traceback", "locals", "token", "crashing.py", "╭", "│"):
            assert sign not in said, said


def to_the_panes(terminal):
    """Put off the question that opens by itself; what is left are the panes."""
    terminal.wait_for(asks(FIRST_QUESTION))
    terminal.press("Escape")
    terminal.wait_for(lambda shown: box_on(shown) is None and "Events" in shown)


@pytest.mark.parametrize("where", LIVE)
def test_a_console_that_breaks_gives_the_terminal_back_and_the_run_goes_on(scene, tmp_path, where):
    """Alternate screen left, cursor shown, mouse off, echo on, exit 1, one line with the way back; host unharmed."""
    hosts, folder = scene.hosts(), scene.stack.run_folder()
    before = len(scene.stack.entries())
    console = Broken(scene.tmux, tmp_path, where, ("attach", scene.run_id, "--config", scene.stack.config))
    to_the_panes(console.terminal)
    said = console.breaks(LIVE[where])
    back = f"attach {scene.run_id} --config {scene.stack.config}"
    console.said_one_line(said, "the run goes on", back)
    console.is_given_back(said)

    assert is_locked(folder)
    gone = [e for e in scene.stack.entries()[before:] if isinstance(e.fact, f.ConsoleDetached)]
    assert [(e.actor.person, e.fact.why) for e in gone] == [("mira", "crashed")]
    assert scene.hosts() == hosts
    assert ray_tui("verify", folder).returncode == 0
    log = (folder / "console.log").read_text()
    assert crashing.MESSAGE in log
    assert crashing.SECRET not in log
    again = scene.open("attach", scene.run_id, "--config", scene.stack.config)
    again.wait_for(FIRST_QUESTION)
    again.hang_up()
    wait_until(lambda: not scene.stack.state().consoles, "its departure")


def test_a_replay_whose_transport_bar_breaks_gives_the_terminal_back(scene, tmp_path):
    """The same without a host: nothing is said of a run that goes on elsewhere."""
    with Tmux(120, 40) as tmux:
        console = Broken(tmux, tmp_path, "transport bar", ("replay", scene.stack.run_folder()))
        console.terminal.wait_for("×")
        said = console.breaks("Space")
        console.said_one_line(said, "a replay changes nothing")
        assert "the run goes on" not in said
        console.is_given_back(said)


@pytest.mark.parametrize("beside_the_run", [True, False])
async def test_the_details_lie_where_the_line_says(tmp_path, monkeypatch, beside_the_run):
    """Beside the run; where that folder is another person's, with one's own things; named only if they are there."""

    def broken(*args):
        raise RuntimeError(crashing.MESSAGE)

    monkeypatch.setattr(ConsoleScreen, "show_pane", broken)
    theirs = tmp_path / "theirs"
    theirs.mkdir() if beside_the_run else theirs.write_text("no folder: nobody can write into it, not even root")
    options = ConsoleOptions(show_mission=False, crash_log=theirs / "console.log", copy_folder=tmp_path / "mine")
    left = await run_console(FakeHandle(*mid_run()), options, headless=True)
    named = Path(re.search(r"Details: (\S+)\. ", left.message).group(1))
    assert named.parent == (theirs if beside_the_run else tmp_path / "mine")
    assert crashing.MESSAGE in named.read_text()
    options = ConsoleOptions(show_mission=False, crash_log=tmp_path / "nowhere" / "console.log")
    left = await run_console(FakeHandle(*mid_run()), options, headless=True)
    assert left.how == "crashed"
    assert "Details" not in left.message
