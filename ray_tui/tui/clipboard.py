"""Copying over whatever lies between: OSC 52, under tmux its own buffer, and a file where nothing else works."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

MOST = 64 * 1024
"""Bytes; terminals drop longer OSC 52 sequences silently."""
TMUX_SECONDS = 2.0


async def to_tmux(text: str, environment: Mapping[str, str]) -> bool:
    """Whether tmux took it (and passed it on, ``-w``). False outside tmux or when it refused."""
    if not environment.get("TMUX"):
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            "tmux", "load-buffer", "-w", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, env=dict(environment),
        )  # fmt: skip
        async with asyncio.timeout(TMUX_SECONDS):
            await process.communicate(text.encode())
    except (OSError, TimeoutError):
        return False
    return process.returncode == 0


def to_file(text: str, folder: Path | None) -> Path | None:
    """The file that holds it now; None where there is no folder or it cannot be written."""
    if folder is None:
        return None
    path = folder / "copied.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text, "utf-8")
    except OSError:
        return None
    return path
