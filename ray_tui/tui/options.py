"""What the console is told at its start: looks, keys and the clock. Nothing here says how a run is reached."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ray_tui.clock import Clock
from ray_tui.core.value import Value, field
from ray_tui.tui.places import Places


class ConsoleOptions(Value):
    """The person's wishes. ``animations`` None: on, but off over SSH."""

    theme: str = "ray-dark"
    ascii: bool = False
    keymap: Mapping[str, str] = field(default_factory=dict)
    animations: bool | None = None
    theme_folders: tuple[Path, ...] = ()
    signing: Callable[[], str] = str
    """Whether what is approved here gets signed, and with which key; empty: it does not."""
    clock: Clock = field(default_factory=Clock)
    show_mission: bool = True
    attach_hint: str = ""
    """What joins this run: ``ray-tui attach 7f3a``; derived from the run id where empty."""
    way_back: Callable[[], str] = str
    """A sentence for who leaves: how to come back, or to go on with a run whose host has gone; empty: by joining it."""
    runs: Callable[[], Sequence[tuple[str, str]]] = tuple
    """(id, the command that opens it) of the runs there are, newest first; asked when somebody looks for one."""
    places: Places = field(default_factory=Places)
    """Where the run's files lie, for the command lines that are copied."""
    crash_log: Path | None = None
    """Where a crash's traceback goes (without locals); nowhere where None."""
    copy_folder: Path | None = None
    """Where a copied text lands when the terminal takes no clipboard; nowhere where None."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class ConsoleExit(Value):
    """Why the console has left the screen. The run goes on in every case but ``ended``."""

    how: Literal["detached", "ended", "lost", "crashed"]
    code: int
    message: str


def over_ssh(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))
