"""Whether the configuration file still says what the run's host has read from it; the host itself never goes by it."""

import asyncio
import contextlib
import json
from pathlib import Path

from ray_tui import config
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.errors import JournalError, RayError
from ray_tui.engine import Engine

LOOK_SECONDS = 1.0


async def watch(engine: Engine) -> None:
    """Put on record when the file begins to say something else, and when it says the same again; until the run ends."""
    path, begun = engine.config.file, _settings(engine.config)
    stamp, same = None, True
    with contextlib.suppress(JournalError):  # the loop says it
        while not engine.state.ended:
            await asyncio.sleep(LOOK_SECONDS)
            now = _stamp(path)
            if now == stamp:
                continue
            stamp = now
            if (await asyncio.to_thread(_read, path) == begun) != same:
                same = not same
                engine.record(f.ConfigurationChanged(file=path.name, back=same))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> str:
    try:
        return _settings(config.load(path, with_backends=False))
    except RayError as exc:
        return str(exc)


def _settings(chosen: Config) -> str:
    """All that a run goes by. Release and environment may have been given beside the file."""
    said = chosen.model_dump(mode="json", exclude={"ui": True, "run": {"release", "environment"}})
    return json.dumps(said, sort_keys=True)
