"""What is known of each service: the catalogue in the configuration, and what the release's papers add to it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ray_tui.config import SIGNALS, Config, Service, Signal
from ray_tui.core import facts as f
from ray_tui.core.rules import OWED
from ray_tui.core.state import RunState

Changed = Literal["", "new", "modified"]


@dataclass(frozen=True)
class ServiceFacts:
    """One service as every action after 1.1 sees it. ``endpoints`` are new in this release."""

    name: str
    critical: bool
    changed: Changed
    regulated: bool
    serves_requests: bool
    required_signals: tuple[Signal, ...]
    owner: str
    """A key of [owners], or what the papers say, or empty."""
    endpoints: tuple[str, ...]
    activity: str
    url: str
    sources: tuple[str, ...] = ()
    """Where that stands: ``file:line``, or ``configuration``."""

    @property
    def critical_changed(self) -> bool:
        return self.critical and bool(self.changed)


def effective_services(config: Config, state: RunState) -> dict[str, ServiceFacts]:
    """Service name -> facts: the catalogue in its order, then services that only the papers of 1.1 name.

    Critical and regulated hold when either side says so; owner and change are the configuration's where it has them.
    Of a critical changed service all four signals are required, whatever the configuration asks of it (seed, step 1.2).
    """
    papers = {str(row["name"]): row for row in state.steps["1.1"].data.get("services", ())}
    return {name: _merged(name, config, papers.get(name, {})) for name in dict.fromkeys((*config.services, *papers))}


def _merged(name: str, config: Config, paper: Mapping[str, Any]) -> ServiceFacts:
    known = config.services.get(name)
    service = known or Service()
    critical = service.critical or bool(paper.get("critical"))
    changed = service.changed or cast(Changed, paper.get("changed") or "")
    asked = SIGNALS if critical and changed else service.required_signals
    sources = (*(("configuration",) if known else ()), *map(str, paper.get("sources", ())))
    return ServiceFacts(
        name=name,
        critical=critical,
        changed=changed,
        regulated=service.regulated or bool(paper.get("regulated")),
        serves_requests=service.serves_requests,
        required_signals=tuple(signal for signal in SIGNALS if signal in asked),
        owner=service.owner or str(paper.get("owner") or ""),
        endpoints=tuple(dict.fromkeys((*service.endpoints, *map(str, paper.get("endpoints", ()))))),
        activity=service.activity,
        url=service.url,
        sources=tuple(dict.fromkeys(sources)),
    )


def deployed_at(config: Config, state: RunState) -> float:
    """When the deployment finished, unix seconds: the configuration's, else the papers' of 1.1, else the run's.

    0 where nobody has said.
    """
    papers = state.steps["1.1"].data.get("deployed_at")
    opened = state.opened.deployed_at if state.opened else 0.0
    return float(config.deployed_at() or papers or opened)


def owner_for_gap(facts: ServiceFacts | None, config: Config) -> str:
    """Who gets a backlog entry: the service's owner, else the first team, else the words that say nobody does."""
    if facts is not None and facts.owner:
        return facts.owner
    return next(iter(config.owners), "unowned")


def with_resolved(
    state: RunState, step: str, found: Iterable[f.GapFound], unchecked: Collection[str] = ()
) -> tuple[f.GapFound, ...]:
    """A step's gaps, and the open ones of its earlier attempts that it no longer finds, marked resolved.

    ``unchecked`` are ids that this attempt could say nothing about: they stay as they were, and so does what was
    waived, which is no finding.
    """
    now = tuple(found)
    known = {gap.id for gap in now} | set(unchecked)
    open_ = (gap for gap in state.backlog.values() if gap.step == step and gap.status == "open")
    gone = (gap for gap in open_ if gap.id not in known and not gap.id.startswith(OWED))
    return (*now, *(gap.but(status="resolved") for gap in gone))
