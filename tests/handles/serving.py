"""A host of a toy run in a process of its own, which a test can stop: `python -m tests.handles.serving FOLDER`."""

import asyncio
import sys
from pathlib import Path

from tests.fakes import a_config
from tests.handles.test_socket import Toy, serving

BEAT_SECONDS = 0.05


async def main(folder):
    async with serving(folder, a_config(folder, policy={"demo": True}), Toy()) as (engine, _):
        engine.host.beat_seconds = BEAT_SECONDS
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
