"""A terminal that a test can type into and read: one tmux server of its own, of a fixed size."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

WHOLE_SECONDS = 30.0
SETTINGS = {
    "remain-on-exit": "on",
    "remain-on-exit-format": "",
    "status": "off",
    "default-terminal": "tmux-256color",
    "escape-time": "0",
    "history-limit": "0",
}


def required():
    """Skip where tmux is absent; fail where RAY_TUI_REQUIRE_REAL=1 says that it must be there."""
    if shutil.which("tmux") is None:
        if os.environ.get("RAY_TUI_REQUIRE_REAL") == "1":
            pytest.fail("tmux is required (RAY_TUI_REQUIRE_REAL=1) and not on the PATH")
        pytest.skip("tmux is not installed")


class Terminal:
    """One window; ``screen()`` is what a person would see in it."""

    def __init__(self, server, name, code_file):
        self.server, self.name, self.code_file = server, name, code_file

    def screen(self):
        """The visible text, without trailing blanks."""
        return self.server.tmux("capture-pane", "-p", "-t", self.name).rstrip("\n")

    def lines(self):
        return self.screen().splitlines()

    def type(self, text):
        """Every character as it stands."""
        self.server.tmux("send-keys", "-t", self.name, "-l", text)

    def press(self, *keys):
        """Named keys: Enter, Down, Tab, Escape, C-c, Space."""
        self.server.tmux("send-keys", "-t", self.name, *keys)

    def wait_for(self, wanted, seconds=WHOLE_SECONDS):
        """The screen as soon as it holds the text, or the predicate holds of it; fails with what it showed last."""
        holds = wanted if callable(wanted) else lambda shown: wanted in shown
        deadline = time.monotonic() + seconds
        while not holds(shown := self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never came on the screen: {wanted!r}\n{shown}")
            time.sleep(0.03)
        return shown

    @property
    def cursor(self):
        """Where typed text goes: (column, row) as tmux says it."""
        return self.server.tmux("display-message", "-p", "-t", self.name, "#{cursor_x} #{cursor_y}").strip()

    @property
    def ended(self):
        """Its exit code; None while it runs. A file says it: tmux 3.3a at times loses a dead pane's status."""
        said = self.code_file.read_text().strip() if self.code_file.exists() else ""
        return int(said) if said else None

    def wait_for_end(self, seconds=WHOLE_SECONDS):
        deadline = time.monotonic() + seconds
        while (code := self.ended) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still runs:\n{self.screen()}")
            time.sleep(0.03)
        return code

    def hang_up(self):
        """Close the window: its program gets SIGHUP, as when a connection drops."""
        self.server.tmux("kill-pane", "-t", self.name)


class Tmux:
    """A tmux server that lives as long as the ``with``."""

    def __init__(self, width=80, height=24):
        required()
        self.width, self.height = width, height
        self.socket = f"ray-tui-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.windows = 0
        self.codes = tempfile.TemporaryDirectory(prefix="ray-tui-tmux-")

    def __enter__(self):
        self.tmux("-f", os.devnull, "new-session", "-d", "-s", "keeper", "-x", str(self.width), "-y", str(self.height),
                  "sleep", "infinity")  # fmt: skip
        for option, value in SETTINGS.items():
            self.tmux("set-option", "-g", option, value)
        return self

    def __exit__(self, *exc):
        path = Path(self.tmux("display-message", "-p", "#{socket_path}").strip())
        self.tmux("kill-server")
        path.unlink(missing_ok=True)
        self.codes.cleanup()

    def tmux(self, *args):
        """Raises AssertionError with what tmux said."""
        done = subprocess.run(["tmux", "-L", self.socket, *args], capture_output=True, text=True, timeout=10,
                              env={**os.environ, "TERM": "xterm-256color"})  # fmt: skip
        assert done.returncode == 0, f"tmux {shlex.join(args)}: {done.stderr}"
        return done.stdout

    def open(self, *command, size=None, env=None):
        """A new terminal that runs the command; of another size where one is given."""
        self.windows += 1
        name = f"w{self.windows}"
        width, height = size or (self.width, self.height)
        settings = [part for key, value in (env or {}).items() for part in ("-e", f"{key}={value}")]
        code_file = Path(self.codes.name) / name
        line = f"{shlex.join(map(str, command))}; echo $? > {shlex.quote(str(code_file))}"
        self.tmux("new-session", "-d", "-s", name, "-x", str(width), "-y", str(height), *settings, line)
        return Terminal(self, name, code_file)


__all__ = ["Terminal", "Tmux", "required"]
