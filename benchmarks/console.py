"""What the console costs on a real pty: bytes, CPU, key to paint, beside a naive console under the same load.

``python benchmarks/console.py [--seconds 10]`` prints one table; exit 1 where a limit is missed. The readings are
decoded from JSON in the console's process, as they are when they come over a host's socket.
"""

import argparse
import asyncio
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import ClassVar

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 120, 40
CURSOR = "▸".encode()
SHOW_CHARTS = (b"1", b"z", *(b"\x1b[6~",) * 4)
"""Keys after which the whole screen is charts that move: what is out of sight costs nothing, and proves nothing."""
LIMITS = {
    "bytes/s": 20 * 1024,
    "cpu": 0.15,
    "p99 ms": 50.0,
    "still bytes/s": 200,
    "ended bytes/s": 0,
}
"""From the issue that asked for the console."""


@dataclass
class Measured:
    """One scenario."""

    name: str
    first_paint: float = 0.0
    bytes_per_second: float = 0.0
    cpu: float = 0.0
    keys: list[float] = field(default_factory=list)
    unanswered: int = 0

    def percentile(self, share: int) -> float:
        """Milliseconds; NaN where no key was answered."""
        if len(self.keys) < 2:
            return float("nan")
        return quantiles(self.keys, n=100, method="inclusive")[share - 1] * 1000


class Terminal:
    """A pty with a child in it, read as fast as it writes."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        for name in ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "TMUX", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            [sys.executable, __file__, "--child", *arguments], stdin=slave, stdout=slave, stderr=slave,
            env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.total = 0

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """What is written within this time, or up to the first chunk that holds ``until``."""
        deadline, seen = time.monotonic() + seconds, b""
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if not ready:
                break
            try:
                chunk = os.read(self.master, 1 << 16)
            except OSError:
                break
            self.total += len(chunk)
            seen += chunk
            if until and until in seen:
                break
        return seen

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.child.terminate()
        self.read(1.0)
        try:
            self.child.wait(3)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        os.close(self.master)


def measure(name: str, kind: str, rate: int, seconds: float, *, keys: bool) -> Measured:
    terminal = Terminal(kind, str(rate))
    found = Measured(name)
    try:
        seen = terminal.read(15, until=b"pd-payments")
        found.first_paint = (time.monotonic() - terminal.started) * 1000 if b"pd-payments" in seen else float("nan")
        if kind == "live":
            for key in SHOW_CHARTS:
                terminal.press(key)
                terminal.read(0.3)
        terminal.read(3.0)
        began, cpu, total = time.monotonic(), terminal.cpu_seconds(), terminal.total
        terminal.read(seconds)
        took = time.monotonic() - began
        found.bytes_per_second = (terminal.total - total) / took
        found.cpu = (terminal.cpu_seconds() - cpu) / took
        if keys:
            terminal.press(b"2")
            terminal.read(0.5)
            for index in range(60):
                pressed = time.monotonic()
                terminal.press(b"j" if index % 20 < 10 else b"k")
                if CURSOR in terminal.read(2.0, until=CURSOR):
                    found.keys.append(time.monotonic() - pressed)
                else:
                    found.unanswered += 1
                terminal.read(0.03)
    finally:
        terminal.close()
    return found


# --- the child -------------------------------------------------------------------------------------------------------


def child(kind: str, rate: int) -> None:
    if kind == "naive":
        naive(rate)
        return
    from ray_tui import wire
    from ray_tui.core import facts as f
    from ray_tui.core.readings import Reading
    from ray_tui.tui.app import run_console
    from ray_tui.tui.options import ConsoleOptions
    from tests.tui.fake_handle import T0, FakeHandle, FakeTransport, mid_run, opened

    class Loaded(FakeHandle):
        async def readings(self) -> AsyncIterator[Reading]:
            async for message in messages(rate):
                for body in wire.decode(message)["readings"]:
                    yield Reading.from_json(body)

    started = time.monotonic()

    class Now:
        """The run's own time, which moves on as a clock does."""

        def wall(self) -> float:
            return T0 + 400 + time.monotonic() - started

        def monotonic(self) -> float:
            return time.monotonic()

    quiet = f.NoteAdded(text="pd-payments is quiet")
    facts = {
        "still": [*opened(), quiet],
        "running": [*opened(), quiet, f.StepStarted(step="prerequisites", attempt=1)],
        "ended": [*mid_run(), f.RunCompleted(boxes={}, next_command="")],
    }.get(kind, mid_run())
    transport = FakeTransport(playing=False) if kind == "paused" else None
    options = ConsoleOptions(show_mission=False, clock=Now(), animations=False)  # type: ignore[arg-type]
    asyncio.run(run_console(Loaded(*facts, transport=transport), options))  # type: ignore[arg-type]


async def messages(rate: int) -> AsyncIterator[bytes]:
    """JSON readings of 40 series, in the messages in which a host tells of them (10 a second).

    Put together from prepared halves: writing JSON is the host's work, and would be counted as the console's here.
    """
    number, started = 0, time.monotonic()
    halves = []
    for one in range(7760):
        service = ("checkout", "payments", "search", "catalog")[one % 4]
        kpi = ("p99", "errors")[one // 4 % 2] if one % 8 else f"kpi{one % 40}"
        value = 0.2 + (one * 7919 % 97) / 400
        halves.append(f'{{"series": "{service}/{kpi}", "unit": "s", "value": {value}, "at": ')
    while True:
        await asyncio.sleep(0.1)
        due = int((time.monotonic() - started) * rate)
        told = (f"{halves[one % len(halves)]}{1.0e9 + one / rate}}}" for one in range(number, due))
        yield f'{{"readings": [{", ".join(told)}]}}\n'.encode("ascii")
        number = due


def naive(rate: int) -> None:
    """The straightforward console: a table cell, a log line and a clock, each written when something comes."""
    from textual.app import App, ComposeResult
    from textual.binding import BindingType
    from textual.widgets import DataTable, Footer, Header, RichLog

    class Naive(App[None]):
        BINDINGS: ClassVar[list[BindingType]] = [("j", "down", "down"), ("k", "up", "up")]

        def compose(self) -> ComposeResult:
            yield Header(show_clock=True)
            yield DataTable(cursor_type="row")
            yield RichLog(max_lines=1000)
            yield Footer()

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            table.add_column("series", key="series")
            table.add_column("value", key="value", width=20)
            for name in ("pd-payments", *(f"series {n}" for n in range(40))):
                table.add_row(name, "-", key=name)
            self.at = 0
            self.run_worker(self.follow())

        def action_down(self) -> None:
            self.move(1)

        def action_up(self) -> None:
            self.move(-1)

        def move(self, by: int) -> None:
            table = self.query_one(DataTable)
            self.at = max(0, min(39, self.at + by))
            table.move_cursor(row=self.at)
            self.sub_title = f"▸ {self.at}"

        async def follow(self) -> None:
            table, log = self.query_one(DataTable), self.query_one(RichLog)
            count = 0
            async for message in messages(rate):
                for reading in json.loads(message)["readings"]:
                    table.update_cell(f"series {count % 40}", "value", f"{reading['value']:.3f}")
                    log.write(f"{reading['series']} {reading['value']:.3f}")
                    count += 1
                    if count % 50 == 0:
                        await asyncio.sleep(0)

    Naive().run()


# --- the table -------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--child", nargs=2, metavar=("KIND", "RATE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child[0], int(chosen.child[1]))
        return 0
    seconds = chosen.seconds
    found = {
        "1,000/s": measure("1,000 readings/s", "live", 1_000, seconds, keys=True),
        "5,000/s": measure("5,000 readings/s", "live", 5_000, seconds, keys=True),
        "still": measure("live, nothing changes", "still", 0, seconds, keys=False),
        "running": measure("live, only a step's clock", "running", 0, seconds, keys=False),
        "sla": measure("live, alerts tick to the SLA", "sla", 0, seconds, keys=False),
        "ended": measure("finished", "ended", 0, seconds, keys=False),
        "paused": measure("replay, paused", "paused", 0, seconds, keys=False),
        "naive": measure("naive console, 1,000/s", "naive", 1_000, seconds, keys=True),
    }
    print(f"{COLUMNS}×{LINES}, {seconds:g} s each, {os.cpu_count()} cores")
    print(f"{'':24}{'bytes/s':>10}{'CPU':>8}{'key p50':>10}{'key p99':>10}{'lost':>6}{'first paint':>13}")
    for one in found.values():
        print(f"{one.name:24}{one.bytes_per_second:>10,.0f}{one.cpu:>8.1%}{one.percentile(50):>7.1f} ms"
              f"{one.percentile(99):>7.1f} ms{one.unanswered:>6}{one.first_paint:>10.0f} ms")  # fmt: skip
    ours, theirs = found["1,000/s"], found["naive"]
    print(f"naive / ours at 1,000/s: bytes ×{theirs.bytes_per_second / max(1, ours.bytes_per_second):.1f}, "
          f"CPU ×{theirs.cpu / max(1e-9, ours.cpu):.1f}")  # fmt: skip
    missed = judged(found)
    print("\n".join(f"missed: {one}" for one in missed) or "every limit is kept")
    return 1 if missed else 0


def judged(found: dict[str, Measured]) -> list[str]:
    """What misses its limit, in words."""
    out = []
    for name in ("1,000/s", "5,000/s"):
        one = found[name]
        for what, value, limit in (
            ("bytes/s", one.bytes_per_second, LIMITS["bytes/s"]),
            ("CPU", one.cpu, LIMITS["cpu"]),
            ("key p99 ms", one.percentile(99), LIMITS["p99 ms"]),
        ):
            if not value <= limit:
                out.append(f"{name}: {what} {value:,.2f}, limit {limit:,.2f}")
        if one.unanswered:
            out.append(f"{name}: {one.unanswered} keys were not answered within 2 s")
    for name in ("still", "running", "ended", "paused"):
        limit = LIMITS["ended bytes/s" if name in ("ended", "paused") else "still bytes/s"]
        if found[name].bytes_per_second > limit:
            out.append(f"{name}: {found[name].bytes_per_second:,.0f} bytes/s, limit {limit:,.0f}")
    return out


if __name__ == "__main__":
    sys.exit(main())
