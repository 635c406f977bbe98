"""Which kinds of system can stand behind each port, and how one is opened; imports none of them before it is asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_tui.clock import Clock

if TYPE_CHECKING:
    from pydantic import BaseModel

KINDS: dict[str, dict[str, str]] = {
    "metrics": {"prometheus": "prometheus"},
    "rules": {"directory": "rule_directory"},
    "alerting": {"alertmanager": "alertmanager"},
    "logs": {"loki": "loki"},
    "traces": {"tempo": "tempo", "jaeger": "jaeger"},
    "visits": {"http": "visits"},
    "dashboards": {"grafana": "grafana"},
    "paging": {"pagerduty": "pagerduty"},
    "chat": {"slack": "slack"},
    "mail": {"smtp-imap": "mail"},
    "webhook": {"sink": "webhook", "template": "webhook_template"},
    "heartbeat": {"healthchecks": "healthchecks"},
    "pusher": {"pushgateway": "pushgateway"},
    "incidents": {"pagerduty": "incident_pagerduty", "file": "incident_file"},
    "notifiers": {"webhook": "notifiers", "slack": "slack", "mail": "mail", "github": "github_issues"},
}
"""Port -> kind -> module of this package. A module has ``SETTINGS`` ((port, kind) -> model) and ``open``."""


@dataclass(frozen=True)
class Opening:
    """What every backend is given at its start, besides its settings."""

    clock: Clock
    jitter: Callable[[], float]
    """A number in [0, 1) at each call, as ``random.random``: spreads our repeats."""
    config_folder: Path | None = None
    """Relative paths in settings (``file:`` secrets, CA files, rule folders) start here."""
    user_agent: str = "ray-tui"
    sleep: Callable[[float], Awaitable[None]] | None = None
    """Waits between repeats; None is asyncio's."""

    def path(self, path: Path) -> Path:
        """An absolute path, or one from the configuration's folder."""
        path = path.expanduser()
        return path if path.is_absolute() or self.config_folder is None else self.config_folder / path


def settings_model(port: str, kind: str) -> "type[BaseModel]":
    """The pydantic model of one kind's settings. ValueError, naming the known ones, for an unknown port or kind."""
    model: type[BaseModel] = _module(port, kind).SETTINGS[port, kind]
    return model


def open_backend(port: str, settings: "BaseModel", opening: Opening) -> Any:
    """The port's implementation. Contacts nobody and resolves no secret yet; end it by ``await close()``."""
    kind: str = getattr(settings, "kind", "")
    return _module(port, kind).open(settings, opening)


def _module(port: str, kind: str) -> Any:
    if port not in KINDS:
        raise ValueError(f"there is no port {port!r}: known are {', '.join(KINDS)}")
    if kind not in KINDS[port]:
        raise ValueError(f"{port} cannot be of kind {kind!r}: known are {', '.join(KINDS[port])}")
    return import_module(f"{__name__}.{KINDS[port][kind]}")
