"""The demo's pager, chat, mail, sink and Alertmanagers with switches for what may break, and 2.2 over real backends."""

import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ray_tui import wiring
from ray_tui.actions import alert_paths
from ray_tui.clock import Clock
from ray_tui.core.ports import ActiveAlert
from ray_tui.core.verdicts import Criterion
from ray_tui.demo import pagerduty, slack
from ray_tui.demo.alertmanager import DemoAlertmanager, form_cluster
from ray_tui.demo.faults import Faults
from ray_tui.demo.mail import PASSWORD, DemoMail
from ray_tui.demo.pagerduty import DemoPagerDuty
from ray_tui.demo.people import SERVICES, People
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import start
from ray_tui.demo.slack import WEBHOOK_PATH, DemoSlack
from ray_tui.demo.webhook_sink import DemoWebhookSink, Received
from ray_tui.gates import alert_validation
from ray_tui.step import Result
from tests.actions.probe_world import a_rule
from tests.fakes import InMemoryMetrics, LiveContext, a_config

SLA, DELIVERY, ESCALATION_SECONDS = 8.0, 5.0, 1.0
CLOCK = Clock()
EVER = 1_000_000
"""So many requests that a fault never ends."""


@dataclass
class FaultWorld:
    """Servers of its own for one receiver (pager, chat, mail or hook), two Alertmanagers in front.

    A test bends the servers, the faults in front of them (by name: paging, chat, sink, peer-0, peer-1) or, before
    ``open``, Alertmanager's configuration and the people. ``confirmed`` is called when the pages were agreed to:
    after everything that is read for the plan, before anything is fired.
    """

    folder: Path
    receiver: str
    people: People = field(default_factory=lambda: People(0.4, escalation_seconds=ESCALATION_SECONDS))
    routes: list[dict[str, Any]] = field(default_factory=list)
    """Before the receiver's own route."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Top-level keys of Alertmanager's configuration."""
    own_route: dict[str, Any] = field(default_factory=dict)
    confirmed: Callable[[], None] = lambda: None
    poll_seconds: float = 0.4
    mail_silence_seconds: float = 5.0
    faults: dict[str, Faults] = field(default_factory=dict)
    peers: tuple[DemoAlertmanager, ...] = ()
    result: Result | None = None

    def __post_init__(self) -> None:
        scenario = Scenario(name="t", title="t")
        self.pagerduty = DemoPagerDuty(self.people, CLOCK, scenario)
        self.slack, self.sink = DemoSlack(self.people, CLOCK), DemoWebhookSink(self.people, CLOCK)
        self.mail = DemoMail(self.people, CLOCK)

    async def carry_out(self) -> Result:
        """2.2 from its beginning to its end; the servers end with it."""
        async with AsyncExitStack() as leaving:
            tables = await self._open(leaving)
            config = a_config(self.folder, **tables)
            ports = await leaving.enter_async_context(wiring.open_ports(config, CLOCK))
            ports = replace(ports, metrics=self._metrics())

            def answer(question: Any) -> str:
                self.confirmed()
                return str(question.expects)

            context = LiveContext(self.folder, config=config, ports=ports, step="2.2", answers=answer)
            self.result = await alert_paths.run(context)
            return self.result

    async def _open(self, leaving: AsyncExitStack) -> dict[str, Any]:
        async def up(name: str, app: Any) -> str:
            self.faults[name].app = app
            running = await start(self.faults[name], dates=name != "paging" or not self.pagerduty.skew_seconds)
            leaving.push_async_callback(running.stop)
            return running.base_url

        for name in ("paging", "chat", "sink", "peer-0", "peer-1"):
            self.faults.setdefault(name, Faults(self.slack.app))
        await self.mail.start()
        leaving.push_async_callback(self.mail.stop)
        pd = await up("paging", self.pagerduty.app)
        chat, sink = await up("chat", self.slack.app), await up("sink", self.sink.app)
        text = self._alertmanager_yaml(pd, chat, sink)
        self.peers = tuple(DemoAlertmanager(text, CLOCK, f"alertmanager-{n}") for n in (0, 1))
        form_cluster(*self.peers)
        urls = [await up(f"peer-{n}", peer.app) for n, peer in enumerate(self.peers)]
        for server in (*self.peers, self.pagerduty, self.slack, self.sink):
            leaving.push_async_callback(server.stop)
        self.folder.mkdir(parents=True, exist_ok=True)
        secrets = {"pd": pagerduty.API_KEY, "slack": slack.TOKEN, "mail": PASSWORD}
        for name, secret in secrets.items():
            (self.folder / name).write_text(secret, encoding="utf-8")
            (self.folder / name).chmod(0o600)
        return self._tables(pd, chat, sink, urls)

    def _metrics(self) -> InMemoryMetrics:
        """One critical alert is loaded, and the dead man's switch is alive."""
        always, firing = a_rule("Watchdog", "vector(1)", severity="none"), {"alertname": "Watchdog"}
        self.sink.received.append(Received(CLOCK.wall(), "watchdog", "firing", {"commonLabels": firing}))
        return InMemoryMetrics(
            loaded=(always, a_rule("Down", severity="critical", service="checkout")),
            firing=(ActiveAlert(firing, {}, "firing", CLOCK.wall() - 60, 1.0),),
        )

    def _alertmanager_yaml(self, pd: str, chat: str, sink: str) -> str:
        key = next(one.routing_key for one in SERVICES if one.id == "PSVCCHK")
        text = "{{ .CommonAnnotations.summary }}\n{{ .CommonAnnotations.description }}"
        configs: dict[str, dict[str, Any]] = {
            "pager": {"pagerduty_configs": [{"routing_key": key, "url": f"{pd}/v2/enqueue", "severity": "critical"}]},
            "chat": {"slack_configs": [{"api_url": f"{chat}{WEBHOOK_PATH}", "channel": "#release", "text": text}]},
            "mail": {"email_configs": [{"to": "audit@shop.example", "require_tls": False}]},
            "hook": {"webhook_configs": [{"url": f"{sink}/hook/hook"}]},
        }
        own = {"matchers": ['severity="critical"'], "receiver": self.receiver, **self.own_route}
        watchdog = {"matchers": ['alertname="Watchdog"'], "receiver": "watchdog"}
        heard = {"name": "watchdog", "webhook_configs": [{"url": f"{sink}/hook/watchdog"}]}
        tree = {
            "global": {"smtp_smarthost": self.mail.smarthost, "smtp_from": "alertmanager@shop.example"},
            "route": {
                "receiver": "nobody", "group_by": ["alertname", "service", "ray_tui_probe"], "group_wait": "50ms",
                "group_interval": "1s", "repeat_interval": "1h", "routes": [watchdog, *self.routes, own],
            },
            "receivers": [{"name": "nobody"}, heard, {"name": self.receiver, **configs[self.receiver]}],
            **self.extra,
        }  # fmt: skip
        return yaml.safe_dump(tree, sort_keys=False)

    def _tables(self, pd: str, chat: str, sink: str, peers: list[str]) -> dict[str, Any]:
        return {
            "thresholds": {
                "ack_sla_seconds": SLA, "delivery_seconds": DELIVERY, "escalation_slack_seconds": 8.0,
                "pages_per_person_and_hour": 9,
            },
            "alert_paths": {
                "slack_channels": {"chat": "C0RELEASE"}, "webhook_receivers": {"hook": "webhook"},
                "poll_seconds": self.poll_seconds,
            },
            "alerting": {"kind": "alertmanager", "urls": peers},
            "paging": {"kind": "pagerduty", "api_url": pd, "events_url": pd, "token": "file:pd",
                       "from_email": "mira@shop.example"},
            "chat": {"kind": "slack", "api_url": f"{chat}/api", "token": "file:slack"},
            "mail": {"kind": "smtp-imap", "smtp_host": "127.0.0.1", "smtp_port": self.mail.smtp_port,
                     "smtp_security": "none", "imap_host": "127.0.0.1", "imap_port": self.mail.imap_port,
                     "imap_security": "none", "user": "demo", "password": "file:mail",
                     "from_address": "ray-tui@shop.example", "silence_seconds": self.mail_silence_seconds},
            "webhook": {"kind": "sink", "url": f"{sink}/received"},
        }  # fmt: skip

    # --- what a fault does

    def broken(self, server: str, path: str, **answer: Any) -> None:
        """From when the pages are agreed to (``times`` requests, else for ever), a server answers so."""
        answer.setdefault("times", EVER)
        front = self.faults.setdefault(server, Faults(self.slack.app))
        before = self.confirmed

        def begin() -> None:
            before()
            front.next(path, **answer)

        self.confirmed = begin

    def firing(self) -> list[str]:
        """Tokens that are still firing on some peer."""
        now = CLOCK.wall()
        return [
            alert.labels["ray_tui_probe"]
            for peer in self.peers
            for alert in peer.alerts.values()
            if "ray_tui_probe" in alert.labels and not alert.resolved(now)
        ]


def gate_of(result: Result) -> list[Criterion]:
    """What gate 2 makes of this evidence, its dashboards left aside."""
    rows = [one.to_json() for one in result.criteria]
    twin: Mapping[str, Any] = json.loads(json.dumps({"release": "r", "criteria": rows, "body": result.data}))
    judged = alert_validation.judge({"alert-test-results.json": twin}, a_config().thresholds, CLOCK.wall())
    return [one for one in judged if "dashboard" not in one.id]
