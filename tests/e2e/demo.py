"""The demo as a user starts it: subprocesses, files, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from ray_tui.core import facts as f
from ray_tui.core.errors import JournalError
from ray_tui.core.state import RunState, apply
from ray_tui.journal import read

ENV = {**os.environ, "PYTHONWARNINGS": "default", "TERM": "xterm-256color"}


def ray_tui(*args, timeout=180, cwd=None):
    """Run the command line; answers the finished process with text output."""
    return subprocess.run(
        [sys.executable, "-m", "ray_tui", *map(str, args)],
        capture_output=True, text=True, timeout=timeout, cwd=cwd, env=ENV, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def wait_until(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.005)


@dataclass
class Stack:
    """A demo stack process of its own."""

    folder: Path
    scenario: str = "healthy"
    process: subprocess.Popen | None = field(default=None)

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = (self.folder / "demo.log").open("ab")
        command = [sys.executable, "-m", "ray_tui.demo", "--dir", str(self.folder), "--scenario", self.scenario]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True, env=ENV)
        wait_until((self.folder / "stack.json").exists, "the demo stack")
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.log.close()

    @property
    def config(self):
        return self.folder / "ray-tui.toml"

    def headless(self, *more):
        """Start a headless run in the background."""
        command = [sys.executable, "-m", "ray_tui", "run", "--headless", "--json", "--config", str(self.config),
                   "--answers", str(self.folder / "answers.toml"), "--timeout", "170", *more]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)

    def run_folder(self):
        """The only run's folder; None before it exists."""
        found = sorted((self.folder / ".artifacts" / "monitoring" / "runs").glob("*/journal.jsonl"))
        return found[0].parent if found else None

    def entries(self):
        folder = self.run_folder()
        return [line.entry for line in read(folder / "journal.jsonl", tail=True)] if folder else []

    def lines(self):
        """How many whole lines the journal has right now."""
        folder = self.run_folder()
        try:
            return (folder / "journal.jsonl").read_bytes().count(b"\n") if folder else 0
        except OSError:
            return 0

    def state(self):
        state = RunState()
        try:
            for entry in self.entries():
                apply(state, entry)
        except JournalError as exc:
            raise AssertionError(f"the journal does not verify: {exc}") from exc
        return state

    def pages(self):
        """Every page that the demo's pager sent to a person."""
        return json.loads((self.folder / "pages.json").read_text())


def kill_when(stack, process, lines):
    """SIGKILL the process as soon as the journal has that many lines; False when it ended before."""
    while process.poll() is None:
        if stack.lines() >= lines:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            return True
        time.sleep(0.005)  # more often would take from the host what it needs to keep its limits
    return False


def evidence_of(stack):
    return {path.name for path in (stack.run_folder() / "evidence").iterdir()}


def probes(state):
    return [probe.intended for probe in state.probes.values()]


__all__ = ["Stack", "evidence_of", "f", "kill_when", "probes", "ray_tui", "wait_until"]
