"""The runs of a store: their folders, which of them are alive, and how a new one gets its host."""

import secrets
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ray_tui import journal, rendezvous
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.errors import InputError, JournalError, RayError, TamperError
from ray_tui.core.state import RunState, apply
from ray_tui.core.value import Value
from ray_tui.core.views import TAMPER_CODE, USAGE_CODE

if TYPE_CHECKING:
    from ray_tui.config import Config

HOST_START_SECONDS = 15.0
NEVER_BEGUN = frozenset({"host.log", "host.lock"})
"""All that a host leaves which ended before its run began."""


class RunOnDisk(Value, dict=True):
    """A run folder; its journal is read when somebody asks what it says."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @cached_property
    def alive(self) -> bool:
        return rendezvous.is_locked(self.folder)

    @cached_property
    def _read(self) -> "tuple[RunState, JournalError | None]":
        state = RunState()
        try:
            for line in journal.read(self.folder / "journal.jsonl", tail=True):
                apply(state, line.entry)
        except JournalError as exc:
            return state, exc
        return state, None

    @property
    def state(self) -> RunState:
        """Of a journal that cannot be read to its end: what stands before that."""
        return self._read[0]

    @property
    def broken(self) -> JournalError | None:
        """Why the journal cannot be read to its end; TamperError where it is not what was written."""
        return self._read[1]

    def is_of(self, release: str, environment: str) -> bool:
        """Read off the journal's first entry alone: a store may hold the runs of many releases."""
        try:
            first = next(journal.read(self.folder / "journal.jsonl", tail=True), None)
        except JournalError:
            return False
        opened = first.entry.fact if first is not None else None
        return isinstance(opened, f.RunOpened) and (opened.release, opened.environment) == (release, environment)

    def stands(self) -> str:
        """``halted at 1.2 Verify …``: where a run that is not over has come to."""
        if self.state.halt is not None:
            return f"halted at {plan.title(self.state.halt.step)}"
        step = self.state.running()
        return f"stopped in {plan.title(step)}" if step else "stopped between two steps"


def new_run_id(release: str, at: float) -> str:
    """``2026-11-22T1915Z-checkout-v2.4.1-7f3a``: sortable, readable, unique enough to name a socket."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H%MZ")
    return f"{stamp}-{release}-{secrets.token_hex(3)}"


def runs(store: Path) -> list[RunOnDisk]:
    """Every run under a store, newest first."""
    journals = [path for path in (store / "runs").glob("*/journal.jsonl") if path.is_file()]
    minute = len("2026-11-22T1915Z")  # within one, the name says nothing about the order
    journals.sort(key=lambda path: (path.parent.name[:minute], path.stat().st_mtime_ns), reverse=True)
    return [RunOnDisk(path.parent) for path in journals]


def folders(store: Path) -> list[Path]:
    """Every folder of a run, also of one that has lost its journal; not where a host has never come about."""
    found = [path for path in (store / "runs").glob("*") if path.is_dir() and not path.name.startswith(".")]
    return sorted(path for path in found if not {inside.name for inside in path.iterdir()} <= NEVER_BEGUN)


def find_run(store: Path, wanted: str | None, *, resumable: bool = False) -> RunOnDisk:
    """A run by its id, or the end of it; the newest where none is named. Raises InputError naming what there is."""
    known = runs(store)
    matching = [run for run in known if wanted is None or run.run_id == wanted or run.run_id.endswith(wanted)]
    if resumable and wanted is None:
        matching = [run for run in matching if not run.state.ended]
    if not known:
        raise InputError(f"{store}/runs: no run here yet. `ray-tui run` makes one; --config names another place.")
    if not matching:
        there = ", ".join(run.run_id for run in known[:5]) or "none"
        raise InputError(f"{store}/runs: no run {wanted or 'that could go on'}; there are: {there}")
    if wanted is not None and len(matching) > 1 and matching[0].run_id != wanted:
        raise InputError(f"{wanted!r} could be {', '.join(run.run_id for run in matching)}; say more of it")
    return matching[0]


def find_live(store: Path, wanted: str | None) -> RunOnDisk:
    """A run that a host carries out now, the newest where none is named; one that is only still shown comes last."""
    live = [run for run in runs(store) if run.alive] if wanted is None else []
    found = live[0] if live else find_run(store, wanted)
    if len(live) > 1:  # only to choose between them is a journal read
        found = next((run for run in live if not run.state.ended), found)
    if not found.alive:
        if found.state.ended:
            raise InputError(f"{found.run_id}: is over. `ray-tui replay {found.run_id}` shows it.")
        raise InputError(
            f"{found.run_id}: no host carries it out now. `ray-tui run --resume` goes on; `ray-tui replay` shows it."
        )
    return found


def carried_out(store: Path) -> RunOnDisk | None:
    """The run that a host carries out now and that is not over; None where there is none."""
    return next((run for run in runs(store) if run.alive and not run.state.ended), None)


def unfinished(chosen: "Config") -> RunOnDisk | None:
    """The newest run of this release and environment that could be resumed; none where a newer one was completed."""
    for run in runs(chosen.store):
        if not run.is_of(chosen.run.release, chosen.run.environment) or run.broken is not None:
            continue
        if run.state.completed is not None:
            return None
        if not run.state.ended:
            return None if run.alive else run
    return None


def hold_store(store: Path) -> rendezvous.Lock:
    """The right to publish into a store, for a host until its run is over. Raises InputError naming who has it."""
    try:
        return rendezvous.Lock.take(store / "runs")
    except rendezvous.RunLocked as exc:
        live = carried_out(store)
        name = live.run_id if live is not None else "another run"
        raise InputError(
            f"{name} is being carried out already, and publishes to {store}, too. Join it: "
            f"`ray-tui attach{f' {name}' if live is not None else ''}`; or begin when it is over."
        ) from exc


def start_host(chosen: "Config", run_id: str, *, resume: bool) -> Path:
    """Start a host in a session of its own and wait for its socket. Raises RayError with the end of its log."""
    folder = chosen.store / "runs" / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise InputError(f"{folder}: cannot be created: {exc.strerror}. A run needs a folder it can write.") from exc
    path = rendezvous.socket_path(run_id, chosen)
    command = [sys.executable, "-m", "ray_tui", "_host", "--config", str(chosen.file.resolve()), "--run", run_id]
    command += ["--release", chosen.run.release, "--environment", chosen.run.environment]
    if resume:
        command.append("--resume")
    log = folder / "host.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=chosen.folder
        )
    deadline = time.monotonic() + HOST_START_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and rendezvous.is_locked(folder):
            return path
        if child.poll() is not None:
            break
        time.sleep(0.05)
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    said = f"the host did not start: {' / '.join(tail) or 'it said nothing'}"
    if child.poll() == TAMPER_CODE:
        raise TamperError("journal", f"{said} (see {log})")
    if child.poll() != USAGE_CODE:
        raise RayError(f"{said} (see {log})")
    if {path.name for path in folder.iterdir()} <= NEVER_BEGUN:  # it is all said above
        shutil.rmtree(folder)
    raise InputError(said)
