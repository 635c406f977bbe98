"""A person's own editor: which one it is, and the text that it leaves behind."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FOUND = ("sensible-editor", "nano", "vim", "vi")
"""Tried in this order where neither VISUAL nor EDITOR names one."""


def command(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The editor as a command line; empty where there is none."""
    named = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        words = tuple(shlex.split(named))
    except ValueError:
        words = (named,)
    return words or next(((name,) for name in FOUND if shutil.which(name)), ())


def edited(editor: Sequence[str], text: str) -> str:
    """The text after the editor has ended well. Raises OSError or ValueError."""
    descriptor, name = tempfile.mkstemp(suffix=".md", prefix="ray-tui-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        ended = subprocess.run([*editor, name], check=False)
        if ended.returncode != 0:
            raise ValueError(f"it ended with code {ended.returncode}")
        return path.read_text("utf-8")
    finally:
        path.unlink(missing_ok=True)
