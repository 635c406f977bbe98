"""The demo from the outside: start its process, wait for it, and end it with the demo."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray_tui import config, invoked, runs_on_disk
from ray_tui.config import Config
from ray_tui.core.answers import Answers
from ray_tui.core.errors import InputError, RayError
from ray_tui.demo import scenario as scenario_files

START_SECONDS = 30.0
STOP_SECONDS = 5.0


def scenarios() -> dict[str, str]:
    """Scenario name -> its title."""
    return {name: scenario_files.load(name).title for name in scenario_files.names()}


@dataclass
class DemoStack:
    """A running demo stack and the repository that it wrote."""

    folder: Path
    config: Config
    answers: Answers
    process: subprocess.Popen[bytes]
    keep: bool

    def leave_running_if_unfinished(self) -> None:
        """The console was left while the run goes on: its servers must outlive this command."""
        if any(not run.state.ended for run in runs_on_disk.runs(self.config.store)):
            self.keep = True

    def parting(self) -> str:
        """What is left running, until when, and how to end it now; empty where nothing is."""
        if not self.keep:
            return ""
        ends = " ".join(map(str, [self.process.pid, *_hosts(self.config.store)]))
        return (
            f"The demo's servers run on (process {self.process.pid}, files in {self.folder}) and end by themselves "
            f"15 minutes after the run has, or 4 hours after they began. "
            f"To end it all now: kill {ends}   `{invoked.command('runs')}` lists them."
        )


@dataclass(frozen=True)
class Left:
    """A demo that still runs, without the command that started it or beside it."""

    folder: Path
    pid: int
    scenario: str

    def to_text(self) -> str:
        join = invoked.command("attach", "--config", self.folder / "ray-tui.toml")
        ends = " ".join(map(str, [self.pid, *_hosts(self.folder / ".artifacts" / "monitoring")]))
        return (
            f"a demo ('{self.scenario}') runs in {self.folder}: {join}; "
            f"it ends 15 minutes after its run, 4 hours after it began, or now: kill {ends}"
        )


def _hosts(store: Path) -> list[int]:
    """The processes that carry out this store's live runs."""
    live = [run.state.host for run in runs_on_disk.runs(store) if run.alive]
    return [host.pid for host in live if host is not None]


def left_running() -> list[Left]:
    """The demos whose servers are alive on this machine, wherever their folders are, as far as those may be read."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = path.read_bytes().decode("utf-8", "surrogateescape").split("\0")
            if "ray_tui.demo" not in said:
                continue
            folder = Path(said[said.index("--dir") + 1])
            told = json.loads((folder / "stack.json").read_text(encoding="utf-8"))
            if told["pid"] == int(path.parent.name):
                found.append(Left(folder, told["pid"], str(told["scenario"])))
    return sorted(found, key=lambda left: left.folder)


@contextmanager
def started(name: str, folder: Path | None, *, keep: bool) -> Iterator[DemoStack]:
    """Start the stack; raises InputError for an unknown scenario or a folder that cannot be written."""
    try:
        scenario_files.load(name)
    except ValueError as exc:
        raise InputError(str(exc)) from exc
    try:
        where = folder or Path(tempfile.mkdtemp(prefix="ray-tui-demo-"))
        where.mkdir(parents=True, exist_ok=True)
        _same_world(where, name)
        log = (where / "demo.log").open("ab")
    except OSError as exc:
        raise InputError(f"{folder}: the demo's folder cannot be written: {exc.strerror}") from exc
    (where / "stack.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "ray_tui.demo", "--dir", str(where.resolve()), "--scenario", name]
    command += ["--parent", str(os.getpid())]
    with log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=where
        )
    stack = None
    try:
        _wait(where, process)
        chosen = config.load(where / "ray-tui.toml")
        answers = Answers.model_validate(tomllib.loads((where / "answers.toml").read_text(encoding="utf-8")))
        stack = DemoStack(where, chosen, answers, process, keep)
        yield stack
    finally:
        if stack is None or not stack.keep:
            stop(process)


def _same_world(folder: Path, name: str) -> None:
    """A folder is one world's: raises InputError where another scenario's runs lie in it."""
    try:
        before = str(json.loads((folder / "stack.json").read_text(encoding="utf-8"))["scenario"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if before != name:
        raise InputError(f"{folder} is the demo '{before}': --scenario {before} goes on there; another --dir is free")


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / "stack.json").read_text(encoding="utf-8"))["pid"] == process.pid:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said = (folder / "demo.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise RayError(f"the demo stack did not start: {' / '.join(said) or 'it said nothing'} (see {folder}/demo.log)")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the stack's process, politely first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
