"""A small world for 2.2: every port on one clock that stands until somebody sleeps, with short limits."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray_tui.actions import alert_paths
from ray_tui.core.ports import ActiveAlert, AlertSeen, AlertToFire, Health, Labels, LoadedRule, PeerAnswer, Ports
from ray_tui.step import Result
from tests.fakes import (
    FakeClock,
    FakeContext,
    InMemoryAlerting,
    InMemoryChat,
    InMemoryMail,
    InMemoryMetrics,
    InMemoryPaging,
    InMemoryWebhook,
    a_config,
    all_ports,
)  # fmt: skip

GLOBAL = "global: {smtp_smarthost: 'mail:25', smtp_from: am@shop.example, slack_api_url: 'http://slack'}\n"
SYNCHRONOUS = Health(True, "as if", "1.0", (0.0, 0.0))


def a_rule(name: str, query: str = "up == 0", **labels: str) -> LoadedRule:
    return LoadedRule("g", "f", name, query, "alerting", labels=labels)


WATCHDOG = a_rule("Watchdog", "vector(1)", severity="none")


class SpyingAlerting(InMemoryAlerting):
    """As the fake; a test may bend what ``find`` shows."""

    bend: Callable[[AlertSeen], AlertSeen] | None = None

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.sent_firing: list[str] = []

    async def fire(self, alert: AlertToFire) -> tuple[PeerAnswer, ...]:
        if alert.ends_at > self.clock.wall():
            self.sent_firing.append(alert.labels["ray_tui_probe"])
        return await super().fire(alert)

    async def find(self, matchers: Labels) -> tuple[AlertSeen, ...]:
        found = await super().find(matchers)
        return tuple(map(self.bend, found)) if self.bend else found


class World:
    """Ports on one clock, with synchronous clocks, and short limits: SLA 8 s, delivery 6 s, escalation 3 s + 6 s."""

    def __init__(self, folder: Path, routes: list[tuple[dict[str, str], tuple[str, ...]]] | None = None) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.paging = InMemoryPaging(clock=self.clock, condition=SYNCHRONOUS)
        self.mail = InMemoryMail(clock=self.clock, condition=SYNCHRONOUS)
        self.chat = InMemoryChat(clock=self.clock, condition=SYNCHRONOUS)
        self.webhook = InMemoryWebhook(clock=self.clock, condition=SYNCHRONOUS)
        self.alerting = SpyingAlerting(clock=self.clock)
        routes = routes or [({"severity": "critical"}, ("pd-checkout",))]
        self.alerting.routes = [({"alertname": "Watchdog"}, ("watchdog",)), *routes]
        self.metrics = InMemoryMetrics(clock=self.clock)
        self.load(WATCHDOG, *([a_rule("Down", **routes[0][0])] if "severity" in routes[0][0] else []))
        self.metrics.firing = (ActiveAlert({"alertname": "Watchdog"}, {}, "firing", self.clock.at - 60, 1.0),)
        beat = AlertToFire({"alertname": "Watchdog"}, {}, self.clock.at - 60, self.clock.at + 600)
        self.webhook.receive("watchdog", beat)
        self.webhook.received = [replace(one, at=self.clock.at - 60) for one in self.webhook.received]
        self.alerting.sinks = {
            "pd-checkout": [self.paging], "pd-payments": [self.paging], "mail-audit": [self.mail],
            "slack-release": [self.chat], "hook": [self.webhook], "watchdog": [self.webhook],
        }  # fmt: skip
        self.settings: dict[str, Any] = {
            "slack_channels": {"slack-release": "C1"}, "webhook_receivers": {"hook": "webhook"},
        }  # fmt: skip
        self.thresholds: dict[str, Any] = {
            "ack_sla_seconds": 8, "delivery_seconds": 6, "escalation_slack_seconds": 6, "pages_per_person_and_hour": 6,
        }  # fmt: skip
        self.people: dict[str, Any] = {}
        self.tables: dict[str, Any] = {}
        """Further tables of the configuration."""
        self.answers: Any = lambda ask: ask.expects

    def load(self, *rules: LoadedRule) -> None:
        """What the metrics server has loaded."""
        self.metrics.loaded = rules

    def ports(self, **instead: Any) -> Ports:
        self.alerting.config_yaml = GLOBAL + self.alerting._written()
        ports = all_ports(
            self.clock, paging=self.paging, mail=self.mail, chat=self.chat, webhook=self.webhook,
            alerting=self.alerting, metrics=self.metrics, heartbeat=None,
        )  # fmt: skip
        return replace(ports, **instead)

    def context(self, *, ports: Ports | None = None, **more: Any) -> FakeContext:
        config = a_config(alert_paths=self.settings, thresholds=self.thresholds, people=self.people, **self.tables)
        return FakeContext(
            self.folder, config=config, ports=ports or self.ports(), step="2.2", clock=self.clock,
            answers=self.answers, **more,
        )  # fmt: skip

    async def tested(self, **more: Any) -> Result:
        return await alert_paths.run(self.context(**more))

    def sends(self) -> Counter[str]:
        """How often each probe was sent firing."""
        return Counter(self.alerting.sent_firing)

    def firing(self) -> list[str]:
        return [one.labels["ray_tui_probe"] for one in self.alerting.held.values() if one.ends_at > self.clock.wall()]
