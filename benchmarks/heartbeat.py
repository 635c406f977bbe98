"""Whether a console that stops reading can make its host stumble: the gaps between the beats of the host's own loop.

``python benchmarks/heartbeat.py [--seconds 60] [--rate 1000]`` prints one line per situation; exit 1 where a beat was
100 ms late although nothing else on the machine explains it. A host with 1,000 readings/s and ten journal lines a
second serves a console on a pty and a second client. Then nobody reads the pty; then the console itself is stopped.
"""

import argparse
import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 120, 40
BEAT_SECONDS = 0.01
LIMIT_MS = 100.0
SETTLE_SECONDS = 3.0


NOT_RUN = "not given the CPU"


@dataclass
class Late:
    """One gap, with what the host's process did meanwhile: its own work, waiting for the disk, or not being run."""

    at: float
    ms: float
    cpu_ms: float
    disk_ms: float

    @property
    def why(self) -> str:
        """Whose doing it was, by its larger part; what is neither work nor waiting was time without a CPU."""
        if self.cpu_ms > self.ms / 2:
            return "the host's own work"
        return "the host's waiting for the disk" if self.disk_ms > self.ms / 2 else NOT_RUN


@dataclass
class Beats:
    """The gaps of one situation, in milliseconds."""

    name: str
    gaps: list[float] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    """Between two of the host's ten lines a second, as the second client gets them."""
    rss_mib: float = 0.0

    def told(self) -> str:
        def worst(values: list[float]) -> str:
            p99 = quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else float("nan")
            return f"{p99:>9.1f}{max(values, default=float('nan')):>9.1f}"

        return f"{self.name:34}{worst(self.gaps)}{worst(self.seen)}{self.rss_mib:>9.1f}"


# --- the host --------------------------------------------------------------------------------------------------------


async def host(folder: Path, rate: int) -> None:
    """An engine whose only step observes for ever; a line on stdin is answered with the gaps since the last."""
    from ray_tui import host as hosts
    from ray_tui.core import facts as f
    from ray_tui.core.readings import Reading
    from ray_tui.core.state import RunState
    from ray_tui.engine import Engine, Places
    from ray_tui.inputs import Inputs
    from ray_tui.journal import Journal
    from tests.fakes import a_config, all_ports

    class Busy:
        async def run(self, context: Any) -> None:
            number, started = 0, time.monotonic()
            while True:
                await asyncio.sleep(0.05)
                due = int((time.monotonic() - started) * rate)
                while number < due:
                    at, value = context.now(), (number * 7919 % 97) / 97
                    context.observe(Reading(series=f"s{number % 40}/p99", at=at, value=value, unit="s"))
                    number += 1

    class Beating:
        def __init__(self) -> None:
            self.taken: list[float] = []
            self.late: list[Late] = []

        async def beat(self) -> None:
            last, cpu = time.monotonic(), time.process_time()
            while True:
                disk = disk_seconds[0]
                await asyncio.sleep(BEAT_SECONDS)
                now, cpu_now = time.monotonic(), time.process_time()
                gap = (now - last) * 1000
                self.taken.append(gap)
                if gap > LIMIT_MS / 2:
                    waited = (disk_seconds[0] - disk) * 1000
                    self.late.append(Late(now, gap, (cpu_now - cpu) * 1000, waited))
                last, cpu = now, cpu_now

    disk_seconds, sync = [0.0], os.fdatasync

    def timed_sync(fd: int) -> None:
        began = time.monotonic()
        try:
            sync(fd)
        finally:
            disk_seconds[0] += time.monotonic() - began

    os.fdatasync = timed_sync
    config = a_config(folder)
    places = Places.of(config, "2026-run-abc123")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(journal=journal, state=RunState(), config=config, ports=all_ports(), places=places,
                    inputs=Inputs(config), module_for=lambda step: Busy())  # type: ignore[arg-type,return-value]  # fmt: skip
    engine.record(
        f.RunOpened(run_id="2026-run-abc123", release="v1", environment="production", deployed_at=0, config_digest="d")
    )
    serving = hosts.Host(engine)
    await serving.listen(folder / "x.sock")

    async def tell() -> None:
        number = 0
        while True:
            await asyncio.sleep(0.1)
            number += 1
            engine.record(f.Progressed(step="prerequisites", text=f"line {number} {'.' * 200}"))

    beating = Beating()
    running = [asyncio.create_task(one) for one in (engine.run(), tell(), beating.beat())]
    loop = asyncio.get_running_loop()
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    print("ready", flush=True)
    while await asked.readline():
        taken, beating.taken = beating.taken, []
        late, beating.late = beating.late, []
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        print(json.dumps({"gaps": taken, "late": [vars(one) for one in late], "rss": rss}), flush=True)
    for task in running:
        task.cancel()


async def console(path: Path) -> None:
    """The real console on the real socket."""
    from ray_tui.handles.socket import SocketHandle
    from ray_tui.tui.app import run_console
    from ray_tui.tui.options import ConsoleOptions

    await run_console(await SocketHandle.attach(path), ConsoleOptions(show_mission=False, animations=False))


class Client:
    """A second client in a thread: when each of the host's lines came."""

    def __init__(self, path: Path) -> None:
        self.path, self.gaps, self.last = path, [], 0.0  # type: ignore[var-annotated]
        threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True).start()

    async def _follow(self) -> None:
        from ray_tui.core import facts as f
        from ray_tui.handles.socket import SocketHandle

        handle = await SocketHandle.attach(self.path, read_only=True)
        async for entry in handle.entries():
            if isinstance(getattr(entry, "fact", None), f.Progressed):
                now = time.monotonic()
                if self.last:
                    self.gaps.append((now - self.last) * 1000)
                self.last = now

    def taken(self) -> list[float]:
        gaps, self.gaps = self.gaps, []
        return gaps


# --- the situations --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def child(*arguments: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, __file__, *arguments], env=environment, text=True, **more)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


class Pty:
    """The console's terminal; read only while ``reading``."""

    def __init__(self) -> None:
        import fcntl
        import struct
        import termios

        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.reading, self.over = True, False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while not self.over:
            if not self.reading:
                time.sleep(0.05)
                continue
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                with contextlib.suppress(OSError):
                    os.read(self.master, 1 << 16)


def measure(seconds: float, rate: int) -> list[Beats]:
    with contextlib.ExitStack() as end:
        folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix="ray-heartbeat-")))
        host = end.enter_context(
            child("--host", str(folder), "--rate", str(rate), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        assert host.stdin is not None
        assert host.stdout is not None
        assert host.stdout.readline().strip() == "ready"
        client = Client(folder / "x.sock")

        def situation(name: str, for_seconds: float) -> Beats:
            asked(host)
            client.taken()
            time.sleep(for_seconds)
            said = asked(host)
            late = [Late(**one) for one in said["late"]]
            return Beats(name, said["gaps"], late, client.taken(), said["rss"])

        time.sleep(SETTLE_SECONDS)
        found = [situation("no console", seconds / 2)]
        pty = Pty()
        shown = end.enter_context(
            child("--console", str(folder / "x.sock"), stdin=pty.slave, stdout=pty.slave, stderr=pty.slave)
        )
        time.sleep(SETTLE_SECONDS)
        found.append(situation("a console that reads", seconds / 2))
        pty.reading = False
        found.append(situation("nobody reads its terminal", seconds))
        pty.reading = True
        time.sleep(SETTLE_SECONDS)
        shown.send_signal(signal.SIGSTOP)
        found.append(situation("the console is stopped", seconds))
        shown.send_signal(signal.SIGCONT)
        found.append(situation("it goes on, and catches up", seconds / 4))
        assert shown.poll() is None, "the console did not survive"
        pty.over = True
        return found


def asked(host: subprocess.Popen[str]) -> dict[str, Any]:
    """The gaps since this was last asked."""
    assert host.stdin is not None
    assert host.stdout is not None
    host.stdin.write("gaps\n")
    host.stdin.flush()
    said: dict[str, Any] = json.loads(host.stdout.readline())
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--console", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.host:
        asyncio.run(host(chosen.host, chosen.rate))
        return 0
    if chosen.console:
        asyncio.run(console(chosen.console))
        return 0
    load = os.getloadavg()[0]
    found = measure(chosen.seconds, chosen.rate)
    print(f"{chosen.rate:,} readings/s, 10 lines/s, stopped for {chosen.seconds:g} s, {os.cpu_count()} cores, "
          f"load {load:.1f} before and {os.getloadavg()[0]:.1f} after")  # fmt: skip
    print(f"{'':34}{'beat p99':>9}{'max':>9}{'line p99':>9}{'max':>9}{'RSS MiB':>9}   (ms; beats are 10 ms, lines 100)")
    for one in found:
        print(one.told())
        for late in sorted(one.late, key=lambda late: -late.ms)[:3]:
            print(f"    late: {late.ms:.0f} ms: {late.cpu_ms:.0f} at work, {late.disk_ms:.0f} on the disk: {late.why}")
    ours = [late for one in found[1:] for late in one.late if late.ms >= LIMIT_MS and late.why != NOT_RUN]
    print("\n".join(f"missed: a beat came {late.ms:.0f} ms after the last: {late.why}" for late in ours)
          or f"no beat was {LIMIT_MS:g} ms late by the host's doing")  # fmt: skip
    return 1 if ours else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
