"""One thing wrong at a time: what a scenario file may bend in the demo's otherwise healthy world."""

import tomllib
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Telemetry(Strict):
    missing: tuple[tuple[str, str], ...] = ()
    """(service, signal) pairs that send nothing after the deploy; signal is metrics, logs, traces or synthetics."""
    metrics_down: bool = False
    """The metrics server answers 503 in plain text to everything."""


class Regression(Strict):
    service: str = ""
    latency_factor: float = 1.0
    """How much slower the service is from the deploy on."""
    error_factor: float = 1.0


class Assets(Strict):
    dead_panels: tuple[str, ...] = ()
    """Titles of panels whose query is written for a metric that does not exist, as ``<dashboard uid>/<title>``."""
    rules_without_threshold: tuple[str, ...] = ()
    """Alert names whose expression compares with nothing."""
    misrouted_services: tuple[str, ...] = ()
    """Services whose critical alerts the Alertmanager configuration sends to the default receiver, which is nobody."""
    unowned_checks: tuple[str, ...] = ()
    """Checks whose owner in the configuration does not exist."""


class People(Strict):
    ack_after_seconds: float = 1.5
    """How long the on-call person takes to acknowledge, on every channel."""
    lost_pages: tuple[str, ...] = ()
    """PagerDuty services that answer 202 and open no incident."""
    broken_escalation: bool = False
    """Level 2 of every policy has nobody: escalation exhausts the path."""
    stale_approval: bool = False
    """The approvals at hand were given for the release before."""


class History(Strict):
    noisy_rules: tuple[str, ...] = ()
    """Alerts that fired many times with no incident behind them."""
    missed_incidents: tuple[str, ...] = ()
    """Services that had an incident which no alert saw."""


class Scenario(Strict):
    """A scenario file, whole."""

    name: str
    title: str
    expects: str = ""
    """In words: where a run must stop, and why."""
    exit_code: int = 0
    stops_at: str = ""
    """The action ("1.2"), gate ("gate.alerts") or "prerequisites" at which a run must stop; empty: nowhere."""
    telemetry: Telemetry = Field(default_factory=Telemetry)
    regression: Regression = Field(default_factory=Regression)
    assets: Assets = Field(default_factory=Assets)
    people: People = Field(default_factory=People)
    history: History = Field(default_factory=History)
    event_recorder: bool = False
    """Each Alertmanager's event recorder is on, and ray-tui is told where its log is."""


def names() -> tuple[str, ...]:
    """Every scenario that is shipped, sorted."""
    folder = resources.files("ray_tui.demo") / "scenarios"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name: str) -> Scenario:
    """Raises ValueError, naming the known ones, for an unknown scenario."""
    if name not in names():
        raise ValueError(f"no scenario {name!r}; there are: {', '.join(names())}")
    text = (resources.files("ray_tui.demo") / "scenarios" / f"{name}.toml").read_text(encoding="utf-8")
    return Scenario.model_validate(tomllib.loads(text))
