"""How every front end holds a run: what it may read, and the one way to ask for something."""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Literal, Protocol

from ray_tui.core.commands import Command, Reply
from ray_tui.core.facts import Entry
from ray_tui.core.readings import Reading
from ray_tui.core.value import Value


class Rewound(Value):
    """Forget the state: the entries that follow begin again at seq 1 (replay was moved back)."""


class Link(StrEnum):
    """How the run is reached right now."""

    LIVE = "live"
    SILENT = "silent"  # the host is there, and has not been heard for longer than it should be
    LOST = "lost"  # the host does not answer; the handle keeps trying
    ENDED = "ended"  # the run is over, or the host has said goodbye
    REPLAY = "replay"


class Marker(Value):
    """A place worth jumping to in a replay."""

    seq: int
    at: float
    """Seconds since the run's first entry."""
    kind: Literal["action", "gate", "halt", "waiver", "end"]
    label: str
    id: str = ""
    """What it is a marker of: a step's or gate's id (``2.2``, ``gate.handoff``), or a criterion's."""


class Transport(Protocol):
    """The controls of a replay."""

    @property
    def playing(self) -> bool: ...

    @property
    def speed(self) -> float:
        """0.5–100."""
        ...

    @property
    def position(self) -> tuple[int, float]:
        """(seq, seconds since the run's first entry) of what has been shown; seconds go on between two entries."""
        ...

    @property
    def duration(self) -> tuple[int, float]:
        """(last seq, seconds) of the whole run."""
        ...

    @property
    def markers(self) -> Sequence[Marker]: ...

    @property
    def has_graphs(self) -> bool:
        """Whether there is a tape of live values; a package holds none."""
        ...

    def play(self) -> None: ...

    def pause(self) -> None: ...

    def set_speed(self, speed: float) -> None: ...

    def step(self) -> None:
        """Show one more entry, and pause."""
        ...

    def seek(self, seq: int) -> None:
        """Show everything through this seq (clamped)."""
        ...

    def seek_seconds(self, seconds: float) -> None: ...


class RunHandle(Protocol):
    """A run: local, attached over a socket, or a replay. Consoles know nothing else."""

    run_id: str
    person: str
    """Who this front end acts as, as the host sees it."""
    console: str
    read_only: bool

    @property
    def link(self) -> Link: ...

    @property
    def transport(self) -> Transport | None:
        """None for a run that is live."""
        ...

    def entries(self) -> AsyncIterator[Entry | Rewound]:
        """Every entry from the first, then the live ones; ends when there will be no more. For one consumer."""
        ...

    def readings(self) -> AsyncIterator[Reading]:
        """Live values; lossy."""
        ...

    async def submit(self, command: Command) -> Reply:
        """Ask for something. The facts that it causes arrive through ``entries`` like anybody's."""
        ...

    async def close(self, why: str = "left") -> None:
        """Detach, and say how: ``left``, ``hung up`` or ``crashed``. The run goes on."""
        ...
