"""A scheduler's own program (crontab, systemctl, git, kubectl), asked with a deadline."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ray_tui.core import untrusted
from ray_tui.core.errors import RayError

SECONDS = 10.0


class CannotSchedule(RayError):
    """The scheduler, or the file it reads, could not be read or written; the message says what to do."""


class Said(NamedTuple):
    """What a program answered."""

    code: int
    out: str
    errors: str

    @property
    def why(self) -> str:
        """Why it failed, on one line."""
        return untrusted.line(self.errors) or f"exit code {self.code}"


async def ask(words: Sequence[str], folder: Path, *, todo: str, given: str = "") -> Said:
    """Run it in ``folder``, which a program's relative path starts from; never asks a person.

    Raises CannotSchedule: absent (with ``todo``), or it does not end in time.
    """
    name = words[0]
    program = shutil.which(str(folder / name) if "/" in name else name)
    if program is None:
        raise CannotSchedule(f"there is no {name} command here: {todo}")
    try:
        process = await asyncio.create_subprocess_exec(
            program, *words[1:], cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
        )  # fmt: skip
    except OSError as exc:
        raise CannotSchedule(f"{program} cannot be started: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(SECONDS):
            out, errors = await process.communicate(given.encode("utf-8"))
    except TimeoutError:
        raise CannotSchedule(f"{name} did not answer within {SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Said(process.returncode or 0, out.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))
