"""``python -m ray_tui.demo --dir DIR --scenario NAME``: the demo stack as a process of its own."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from ray_tui.clock import Clock
from ray_tui.demo import scenario
from ray_tui.demo.stack import Stack, open_stack

LONGEST_SECONDS = 4 * 3600.0
"""A stack that nobody ends, ends itself."""
AFTER_SECONDS = 15 * 60.0
"""How long it stays for whoever still looks around, once its runs are over."""
LOOK_SECONDS = 10.0
PARENT_SECONDS = 0.2
"""How often a stack without a run looks whether the command that started it is still there."""
RUNS = Path(".artifacts") / "monitoring" / "runs"
TAIL = 256 * 1024
"""Bytes of a journal's end in which the fact that ended it stands: only comings and goings follow it."""
ENDS = (b'"kind":"RunCompleted"', b'"kind":"RunAborted"')
PAGES_SECONDS = 0.2


async def serve(folder: Path, name: str, after: float = AFTER_SECONDS, parent: int = 0) -> None:
    """Run until SIGTERM, SIGINT, ``after`` seconds after the last run has ended, or for four hours.

    Where ``parent`` dies before a run of its own begins, nobody knows of this stack: it ends, too.
    """
    earlier = set((folder / RUNS).glob("*/"))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as leaving:
        stack = await open_stack(folder, scenario.load(name), Clock(), leaving)
        counting = asyncio.create_task(_keep_pages(stack, folder / "pages.json"))
        watching = asyncio.create_task(_end_after(folder, after, ended))
        waited_for = asyncio.create_task(_end_with(parent, folder, earlier, ended)) if parent else None
        try:
            await asyncio.wait_for(ended.wait(), LONGEST_SECONDS)
        except TimeoutError:
            pass
        finally:
            counting.cancel()
            watching.cancel()
            if waited_for is not None:
                waited_for.cancel()


async def _end_with(parent: int, folder: Path, earlier: set[Path], ended: asyncio.Event) -> None:
    """Set ``ended`` when the parent is gone and no run has begun; once one has, it outlives the parent."""
    while set((folder / RUNS).glob("*/")) <= earlier:
        if os.getppid() != parent:
            ended.set()
            return
        await asyncio.sleep(PARENT_SECONDS)


async def _end_after(folder: Path, after: float, ended: asyncio.Event) -> None:
    """Set ``ended`` when every run of this demo has been over for so long; a run that begins meanwhile keeps it."""
    loop = asyncio.get_running_loop()
    since: float | None = None
    while True:
        if not runs_are_over(folder):
            since = None
        elif since is None:
            since = loop.time()
        if since is not None and loop.time() - since >= after:
            return ended.set()
        await asyncio.sleep(min(LOOK_SECONDS, max(after / 4, 0.05)))


def runs_are_over(folder: Path) -> bool:
    """Whether this demo has carried out a run, and none is left that could go on."""
    journals = list((folder / RUNS).glob("*/journal.jsonl"))
    return bool(journals) and all(_is_over(path) for path in journals)


def _is_over(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            file.seek(max(0, journal.stat().st_size - TAIL))
            tail = file.read(TAIL)
    except OSError:
        return False
    return any(end in tail for end in ENDS)


async def _keep_pages(stack: Stack, path: Path) -> None:
    """Every page that was sent to a person, for whoever wants to count them from outside."""
    written = -1
    while True:
        pages = stack.pagerduty.pages_sent
        if len(pages) != written:
            written = len(pages)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps([vars(page) for page in pages], default=str) + "\n", encoding="utf-8")
            temporary.replace(path)
        await asyncio.sleep(PAGES_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ray_tui.demo")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--scenario", default="healthy", choices=scenario.names())
    parser.add_argument("--after", type=float, default=AFTER_SECONDS, help="seconds that it outlives its runs by")
    parser.add_argument(
        "--parent", type=int, default=0, help="the process that starts a run here, or else takes it along"
    )
    asked = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells of its own deprecations at each login
    asyncio.run(serve(asked.dir, asked.scenario, asked.after, asked.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
