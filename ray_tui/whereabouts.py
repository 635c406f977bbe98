"""Of a configuration what a console needs that joins a run: where the run lies, where its host is met, how it looks.

The host has read the whole file, and refused what is wrong with it, before the run began; a console that read it all
again would need pydantic, which alone is a fifth of a start. What cannot be read here is ``config.load``'s to explain.
"""

import tomllib
from pathlib import Path
from typing import Any

from ray_tui.core.errors import InputError
from ray_tui.core.limits import Limits
from ray_tui.core.record import Record, field
from ray_tui.core.value import Value
from ray_tui.files import read_file

FILE_NAME = "ray-tui.toml"
LONGEST_BYTES = 4_000_000
"""Of a configuration; a larger one is another file."""


class Meeting(Record):
    """Where consoles meet their host: [host], of which the rest is the host's own."""

    socket_dir: str = ""
    group: str = ""


class Looks(Record, forbid_unknown_fields=True):
    """The whole of [ui]."""

    theme: str = "ray-dark"
    ascii: bool = False
    keymap: dict[str, str] = field(default_factory=dict)
    animations: bool = False


class _Paths(Record):
    root: str = "."


class _Tables(Record):
    paths: _Paths = _Paths()
    host: Meeting = Meeting()
    ui: Looks = Looks()
    policy: Limits = Limits()
    rules: dict[str, Any] | None = None


class Whereabouts(Value):
    """What ``Config`` says of these by the same names."""

    file: Path
    paths: _Paths
    host: Meeting
    ui: Looks
    policy: Limits
    rules: dict[str, Any] | None

    @property
    def folder(self) -> Path:
        return folder_of(self.file)

    @property
    def store(self) -> Path:
        return store_of(self.file, self.paths.root)


def folder_of(file: Path) -> Path:
    """What a configuration's relative paths are relative to."""
    return file.resolve().parent


def root_of(file: Path, root: str) -> Path:
    """The folder that holds .artifacts/ and .cursor/."""
    return (folder_of(file) / root).resolve()


def store_of(file: Path, root: str) -> Path:
    """Where runs and what they publish lie."""
    return root_of(file, root) / ".artifacts" / "monitoring"


def find(start: Path) -> Path | None:
    """``ray-tui.toml`` in this folder or one above it."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def read(file: Path) -> Whereabouts | None:
    """None where it cannot be read, or says something else of these than a configuration may."""
    try:
        said = _Tables.from_json(tomllib.loads(read_file(file, LONGEST_BYTES).decode("utf-8")))
    except (InputError, ValueError, RecursionError):
        return None
    return Whereabouts(file, said.paths, said.host, said.ui, said.policy, said.rules)
