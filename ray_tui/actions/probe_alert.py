"""One alert that is in the air: its identity, its legs, and how far it has come."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ray_tui.actions.probe_judging import Leg
from ray_tui.actions.probe_plan import How, Purpose
from ray_tui.core import facts as f
from ray_tui.core.ports import AlertToFire
from ray_tui.core.readings import Reading
from ray_tui.step import Context

Phase = Literal["unsent", "unsure", "watching", "clearing", "cleared"]


@dataclass
class Alert:
    """One alert and its legs. ``unsure``: intended by a host that died; whether it was sent is not known."""

    token: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float
    ends_at: float
    legs: list[Leg]
    group_interval: float = 300.0
    how: How = "injected"
    withdraw: Callable[[], Awaitable[None]] | None = None
    """What makes its source stop before it can be resolved; may be repeated."""
    lingers: float = 0.0
    """How long its source may go on after it was withdrawn, in seconds."""
    phase: Phase = "unsent"
    shown: bool = False
    """Some peer has shown it."""
    previous: dict[str, float] = field(default_factory=dict)
    """System -> when its last good look began."""
    cleared_from: float = 0.0
    resolve_heard: bool = False
    closing_failed: str = ""
    closed_by_us: bool = False
    gone_at: float | None = None

    @property
    def purpose(self) -> Purpose:
        return self.legs[0].purpose

    @property
    def kinds(self) -> set[str]:
        return {channel.kind for leg in self.legs for channel in leg.channels if not channel.blind}

    @property
    def systems(self) -> set[str]:
        """Whatever can see something of it, by the names of their tables."""
        return {channel.system for leg in self.legs for channel in leg.channels if not channel.blind}

    def to_fire(self, private: Mapping[str, str], ends_at: float | None = None) -> AlertToFire:
        """``private``: annotations that are sent, and are not on record."""
        told = {**self.annotations, **private}
        return AlertToFire(self.labels, told, self.starts_at, self.ends_at if ends_at is None else ends_at)


def everywhere(alert: Alert, problem: str, hop: str, detail: str) -> None:
    """The same problem on every leg."""
    for leg in alert.legs:
        leg.problem(problem, hop, detail)


async def record(context: Context, alert: Alert) -> None:
    """Put on record what was seen since the last time, and show it."""
    for leg in alert.legs:
        news, leg.news = leg.news, []
        await context.record(*news)
        for fact in news:
            took = leg.took(fact.hop) if isinstance(fact, f.ProbeHopSeen) else None
            if isinstance(fact, f.ProbeHopSeen) and took is not None:
                name = f"probe/{leg.receiver}/{leg.purpose}/{fact.hop}"
                context.observe(Reading(series=name, at=fact.latest, value=took.latest, unit="s"))
