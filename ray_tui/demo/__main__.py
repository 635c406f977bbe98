"""``python -m ray_tui.demo --dir DIR --scenario NAME``: the demo stack as a process of its own."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from ray_tui.clock import Clock
from ray_tui.demo import scenario
from ray_tui.demo.stack import Stack, open_stack

LONGEST_SECONDS = 4 * 3600.0
"""A stack that nobody ends, ends itself."""
PAGES_SECONDS = 0.2


async def serve(folder: Path, name: str) -> None:
    """Run until SIGTERM, SIGINT, or for four hours."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as leaving:
        stack = await open_stack(folder, scenario.load(name), Clock(), leaving)
        counting = asyncio.create_task(_keep_pages(stack, folder / "pages.json"))
        try:
            await asyncio.wait_for(ended.wait(), LONGEST_SECONDS)
        except TimeoutError:
            pass
        finally:
            counting.cancel()


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
    asked = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd tells of its own deprecations at each login
    asyncio.run(serve(asked.dir, asked.scenario))
    return 0


if __name__ == "__main__":
    sys.exit(main())
