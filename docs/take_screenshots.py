"""Takes the pictures of the console in docs/screenshots, each of a real run's journal, at the moment that it shows.

    python docs/take_screenshots.py [--runs FOLDER]

Two demo runs are carried out first (healthy and late-ack), unless FOLDER holds them already.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui import wiring
from ray_tui.clock import Clock
from ray_tui.core import facts as f
from ray_tui.core.handle import Link
from ray_tui.handles.replay import Replay, read_tape
from ray_tui.tui.app import RayApp
from ray_tui.tui.options import ConsoleOptions

HERE = Path(__file__).resolve().parent / "screenshots"
MOST_BYTES = 200_000
SETTLE_SECONDS = 20.0


@dataclass(frozen=True)
class Moment(Clock):
    """A clock that stands at the moment of the picture."""

    at: float = 0.0

    def wall(self) -> float:
        return self.at


class Live(Replay):
    """A journal up to one moment, held as the driver's console holds the run at that moment."""

    read_only = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        attached = [e for e in self._entries if isinstance(e.fact, f.ConsoleAttached) and not e.fact.read_only]
        driver = attached[0].fact if attached else None
        self.console = driver.console if isinstance(driver, f.ConsoleAttached) else "headless"
        opened = next(e.fact for e in self._entries if isinstance(e.fact, f.RunOpened))
        self.person = opened.operator

    @property
    def link(self) -> Link:
        return Link.LIVE

    @property
    def transport(self) -> None:
        return None


@dataclass(frozen=True)
class Picture:
    """One file: of which scenario, at which entry, how large, and what is pressed first."""

    name: str
    scenario: str
    at: Callable[[Sequence[f.Entry]], int]
    size: tuple[int, int]
    seconds_later: float = 0.0
    replay: bool = False
    keys: tuple[str, ...] = ()


def waterfall(entries: Sequence[f.Entry]) -> int:
    """The moment when some paths of 2.2 are proven and others still wait for a person."""
    acknowledged = [e.seq for e in entries if isinstance(e.fact, f.ProbeHopSeen) and e.fact.hop == "t6"]
    return acknowledged[len(acknowledged) // 2]


def halted(entries: Sequence[f.Entry]) -> int:
    return next(e.seq for e in entries if isinstance(e.fact, f.Halted))


def end(entries: Sequence[f.Entry]) -> int:
    return next(e.seq for e in entries if isinstance(e.fact, f.RunCompleted))


PICTURES = (
    Picture("console-160x48", "healthy", waterfall, (160, 48), 0.6),
    Picture("console-80x24", "healthy", waterfall, (80, 24), 0.6),
    Picture("halt-80x24", "late-ack", halted, (80, 24), 3.0),
    Picture("replay-160x48", "healthy", waterfall, (160, 48), replay=True),
    Picture("finished-160x48", "healthy", end, (160, 48)),
)


def run_folder(runs: Path, scenario: str) -> Path:
    """The scenario's run under ``runs``; carried out now where it is not there."""
    folder = runs / scenario
    if not list(folder.glob(".artifacts/monitoring/runs/*/journal.jsonl")):
        command = [sys.executable, "-m", "ray_tui", "demo", "--headless", "--scenario", scenario, "--dir", str(folder)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return next(folder.glob(".artifacts/monitoring/runs/*/journal.jsonl")).parent


async def take(picture: Picture, folder: Path) -> Path:
    """Show the run's state at that moment on a console without a terminal, and save what it shows."""
    entries = wiring.replay_entries(folder)
    seq = picture.at(entries)
    tape = read_tape(folder / "tape.jsonl")
    handle = Replay(entries, tape, playing=False) if picture.replay else Live(entries[:seq], tape, playing=False)
    handle.seek(seq)
    options = ConsoleOptions(
        theme="ray-dark", animations=False, show_mission=False, environment={},
        clock=Moment(at=entries[seq - 1].at + picture.seconds_later),
    )  # fmt: skip
    app = RayApp(handle, options)
    async with app.run_test(size=picture.size, notifications=False) as pilot:
        async with asyncio.timeout(SETTLE_SECONDS):
            while app.state.seq < seq:
                await pilot.pause(0.05)
            await pilot.pause(0.8)  # readings follow at their own pace
        await pilot.press(*picture.keys)
        await pilot.pause(0.3)
        app.repaint()
        await pilot.pause(0.3)
        drawn = app.export_screenshot(title=f"ray-tui {entries[0].fact.release}")
    await handle.close()
    path = HERE / f"{picture.name}.svg"
    path.write_text(steady(drawn), encoding="utf-8")
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, more than {MOST_BYTES}")
    return path


CELL = 12.2
"""Width of a character in the drawing."""
BLANKS = "((?:&#160;)*)"
TEXT = re.compile(
    r'(<text class="[^"]+") x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>'
    + BLANKS
    + "(.*?)"
    + BLANKS
    + "</text>"
)


def steady(drawn: str) -> str:
    """The same picture gives the same file: ids do not depend on the content, and fonts are the reader's own.

    Blanks at a text's ends become its place: some viewers drop them.
    """
    drawn = re.sub(r"terminal-\d+", "terminal-0", drawn)
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return TEXT.sub(_without_blanks, drawn)


def _without_blanks(found: re.Match[str]) -> str:
    head, x, y, length, more, before, text, after = found.groups()
    if not text:
        return ""
    left, right = before.count("&"), after.count("&")
    at, wide = float(x) + CELL * left, float(length) - CELL * (left + right)
    return f'{head} x="{at:.1f}" y="{y}" textLength="{wide:.1f}"{more}>{text}</text>'


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=Path, help="where the demo runs are, or are put")
    chosen = options.parse_args()
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        runs = chosen.runs or Path(scratch)
        for picture in PICTURES:
            path = asyncio.run(take(picture, run_folder(runs, picture.scenario)))
            sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
