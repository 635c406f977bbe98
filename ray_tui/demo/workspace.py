"""The demo's repository: the configuration, secrets, rules, SLOs, dashboards and runbooks that a team would keep."""

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui.clock import iso
from ray_tui.demo.people import PEOPLE
from ray_tui.demo.scenario import Scenario

RELEASE = "checkout-v2.4.1"
RELEASE_BEFORE = "checkout-v2.4.0"
ENVIRONMENT = "production"
SERVICES: dict[str, dict[str, Any]] = {
    "frontend": {"critical": True, "owner": "platform-team"},
    "gateway": {"critical": True, "owner": "platform-team"},
    "checkout": {"critical": True, "changed": "modified", "owner": "checkout-team"},
    "payments": {"critical": True, "changed": "modified", "regulated": True, "owner": "payments-team"},
    "cart": {"critical": True, "owner": "checkout-team"},
    "search": {"changed": "modified", "owner": "platform-team"},
    "catalog": {"owner": "platform-team"},
    "recommendations": {"changed": "new", "owner": "platform-team"},
    "inventory": {"owner": "platform-team"},
    "shipping": {"owner": "platform-team"},
    "notifications": {
        "owner": "platform-team", "serves_requests": False, "activity": "queue_messages_processed_total",
    },
    "auth": {"critical": True, "owner": "platform-team"},
}  # fmt: skip
OWNERS = {
    "checkout-team": ("mira", "PPOLCHK"),
    "payments-team": ("priya", "PPOLPAY"),
    "platform-team": ("sam", "PPOLPLT"),
}
ROLES = {
    "mira": ("sre-lead", "operator"),
    "sam": ("release-manager", "operator"),
    "lee": ("security",),
    "priya": ("operator",),
    "tom": ("operator",),
    "jo": ("operator",),
}
SECRETS = {
    "grafana": "demo-grafana-token",
    "pagerduty": "demo-pagerduty-key",
    "slack": "xoxb-demo",
    "mail": "demo-mail",
    "github": "demo-github-token",
    "pagerduty-test": "rkpsvctst".ljust(32, "0"),
}


@dataclass(frozen=True)
class Addresses:
    """Where the demo's servers listen."""

    prometheus: str
    alertmanagers: tuple[str, ...]
    loki: str
    tempo: str
    grafana: str
    pagerduty: str
    slack: str
    sink: str
    github: str
    targets: str
    cron: str
    smtp_port: int
    imap_port: int
    event_logs: tuple[str, ...] = ()
    """What the Alertmanagers' event recorders write, where they are on."""


def write(folder: Path, scenario: Scenario, addresses: Addresses, deployed_at: float, now: float) -> None:
    """Lay the repository out. What exists already is left alone, but for the configuration's addresses."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, value in SECRETS.items():
        path = secrets / name
        path.touch(mode=0o600)
        path.write_text(value + "\n", encoding="utf-8")
    _put(folder / "ray-tui.toml", config_toml(scenario, addresses, deployed_at))
    _put_crontab(folder / "bin" / "crontab", addresses.cron)
    _put(folder / "answers.toml", answers_toml(scenario, now))
    _put(folder / "monitoring" / "rules" / "release.yml", RELEASE_RULES)
    _put(folder / "monitoring" / "slos" / "checkout.yml", CHECKOUT_SLO)
    _put(folder / "monitoring" / "dashboards" / "recommendations-red.json", _recommendations_dashboard())
    _put(folder / ".cursor" / "ai-driven-workflow" / "17-incident-response-rollback.md", "# Incident response\n")
    _put(folder / ".cursor" / "context-kit" / "README.md", "# Context kit\n")
    for alert, response in RUNBOOKS.items():
        _put(folder / "docs" / "runbooks" / f"{alert}.md", _runbook(alert, response))


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _put_crontab(path: Path, cron: str) -> None:
    """The demo's own ``crontab``: it asks the demo's cron, and leaves the machine's alone."""
    program = [sys.executable, "-m", "ray_tui.demo.crontab", cron.removeprefix("http://")]
    _put(path, f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
    path.chmod(0o755)


def config_toml(scenario: Scenario, addresses: Addresses, deployed_at: float) -> str:
    """A configuration as a user would write it, for these servers."""
    tables: list[tuple[str, dict[str, Any]]] = [
        ("run", {"release": RELEASE, "environment": ENVIRONMENT, "operator": "mira"}),
        ("paths", {
            "inputs": [".artifacts/deployment", ".artifacts/monitoring"],
            "rules": ["monitoring/rules/*.yml"],
            "slos": ["monitoring/slos/*.yml"],
            "dashboards": ["monitoring/dashboards/*.json"],
            "runbooks": ["docs/runbooks"],
        }),
        ("thresholds", {
            "ack_sla_seconds": 15.0, "escalation_slack_seconds": 10.0, "delivery_seconds": 10.0,
            "pages_per_person_and_hour": 6,
        }),
        ("policy", {"unsigned_approvals": True, "one_person_many_roles": True, "demo": True}),
        ("metrics", {"kind": "prometheus", "url": addresses.prometheus}),
        ("rules", {"kind": "directory", "directory": "prometheus/rules",
                   "reload_urls": [f"{addresses.prometheus}/-/reload"]}),
        ("alerting", {"kind": "alertmanager", "urls": list(addresses.alertmanagers),
                      **({"event_log": list(addresses.event_logs)} if addresses.event_logs else {})}),
        ("logs", {"kind": "loki", "url": addresses.loki}),
        ("traces", {"kind": "tempo", "url": addresses.tempo}),
        ("visits", {"kind": "http", "check_url": f"{addresses.targets}/checkout/healthz"}),
        ("dashboards", {"kind": "grafana", "url": addresses.grafana, "bearer_token": "file:secrets/grafana"}),
        ("paging", {"kind": "pagerduty", "api_url": addresses.pagerduty, "events_url": addresses.pagerduty,
                    "token": "file:secrets/pagerduty", "test_routing_key": "file:secrets/pagerduty-test",
                    "from_email": "mira@shop.example"}),
        ("chat", {"kind": "slack", "api_url": f"{addresses.slack}/api", "token": "file:secrets/slack"}),
        ("mail", {"kind": "smtp-imap", "smtp_host": "127.0.0.1", "smtp_port": addresses.smtp_port,
                  "smtp_security": "none", "imap_host": "127.0.0.1", "imap_port": addresses.imap_port,
                  "imap_security": "none", "user": "demo", "password": "file:secrets/mail",
                  "from_address": "ray-tui@shop.example"}),
        ("webhook", {"kind": "sink", "url": f"{addresses.sink}/received"}),
        ("alert_paths", {"slack_channels": {"slack-release": "C0RELEASE"}, "poll_seconds": 0.4}),
        ("schedule", _schedule(scenario)),
    ]  # fmt: skip
    for protocol in ("20", "21", "22"):
        told = {"kind": "webhook", "url": f"{addresses.sink}/notify/{protocol}", "honours_idempotency_key": True}
        tables.append((f"notify.{protocol}", told))
    tables.append(("tracker", {"kind": "github", "url": addresses.github, "repository": "shop/operations",
                               "token": "file:secrets/github"}))  # fmt: skip
    tables += [(f"services.{name}", dict(facts)) for name, facts in SERVICES.items()]
    tables += [(f"owners.{name}", {"people": [person], "policy": policy}) for name, (person, policy) in OWNERS.items()]
    for key, roles in ROLES.items():
        # Whoever runs the demo sits in mira's chair: the host names a console by its OS user.
        uid = {"uid": os.getuid()} if key == "mira" else {}
        person = {"name": PEOPLE[key].name, "roles": list(roles), "email": f"{key}@shop.example", **uid}
        tables.append((f"people.{key}", person))
    for name, values in tables:
        if name.startswith("services.") and values.get("serves_requests", True):
            values["url"] = f"{addresses.targets}/{name.removeprefix('services.')}/healthz"
    text = ["# The demo's configuration: what a team would keep as ray-tui.toml.", ""]
    for name, values in tables:
        text += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items()), ""]
    text += ["[[incidents]]", 'kind = "pagerduty"', 'token = "file:secrets/pagerduty"',
             f"api_url = {_toml(addresses.pagerduty)}", ""]  # fmt: skip
    text.insert(1, f"# Scenario: {scenario.name} ({scenario.title})")
    text.insert(2, f"# Deployed at {iso(deployed_at)}; the input artifacts say so too.")
    return "\n".join(text)


def _schedule(scenario: Scenario) -> dict[str, Any]:
    unowned = {asset: {"cadence": "*/30 * * * *", "owner": "ghost-team"} for asset in scenario.assets.unowned_checks}
    return {
        "target": "cron",
        "crontab": "bin/crontab",
        "timezone": "UTC",
        "dashboards": {"cadence": "*/30 * * * *", "owner": "platform-team"},
        "alerts": {"cadence": "*/30 * * * *", "owner": "platform-team"},
        "synthetics": {"cadence": "*/15 * * * *", "owner": "platform-team"},
        "alert_paths": {"cadence": "0 10 * * 1", "owner": "platform-team"},
        "assets": unowned,
    }


def _toml(value: Any) -> str:
    """Strings, numbers, lists and inline tables; JSON's forms are TOML's for all but objects."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def answers_toml(scenario: Scenario, now: float) -> str:
    """What the demo's people answer in a headless run: yes where all is well, and nothing that waives a fault."""
    stale = scenario.people.stale_approval
    lines = [
        "# The answers of the demo's people. A real team lists its own, with signatures.",
        "type_what_is_expected = true",
        "",
        "[confirm]",
        '"3.2:tuning-*" = "later"',
        '"*" = "yes"',
        "",
    ]
    for role, person in (("release-manager", "sam"), ("sre-lead", "mira"), ("security", "lee")):
        lines += ["[[approvals]]", f'role = "{role}"', f'person = "{person}"']
        if stale:
            lines += [f'release = "{RELEASE_BEFORE}"', f"given_at = {now - 40 * 86_400:.0f}",
                      f"expires_at = {now - 10 * 86_400:.0f}"]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


RELEASE_RULES = """\
groups:
  - name: release-checkout-v2.4.1
    rules:
      - alert: CheckoutV2EndpointSlow
        expr: >-
          histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket{service="checkout",
          route="/api/v2/checkout"}[5m]))) > 1.5
        for: 5m
        labels:
          severity: critical
          service: checkout
          owner: checkout-team
        annotations:
          summary: The new checkout endpoint is slow
          description: p99 of /api/v2/checkout is above 1.5 s
          runbook_url: docs/runbooks/CheckoutV2EndpointSlow.md
      - alert: RecommendationsErrors
        expr: >-
          sum by (service) (rate(http_requests_total{service="recommendations",status=~"5.."}[5m]))
          / sum by (service) (rate(http_requests_total{service="recommendations"}[5m])) > 0.05
        for: 5m
        labels:
          severity: warning
          service: recommendations
          owner: platform-team
        annotations:
          summary: The new recommendations service fails
          description: more than 5 % of its requests fail
          runbook_url: docs/runbooks/RecommendationsErrors.md
"""

CHECKOUT_SLO = """\
version: prometheus/v1
service: checkout
labels:
  owner: checkout-team
slos:
  - name: requests-availability
    objective: 99.5
    description: Checkout requests that succeed
    sli:
      events:
        error_query: sum(rate(http_requests_total{service="checkout",status=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total{service="checkout"}[{{.window}}]))
    alerting:
      name: CheckoutErrorBudgetBurn
      labels:
        service: checkout
        owner: checkout-team
      annotations:
        summary: Checkout burns its error budget
        runbook_url: docs/runbooks/CheckoutErrorBudgetBurn.md
      page_alert:
        labels:
          severity: critical
      ticket_alert:
        labels:
          severity: warning
"""


def _recommendations_dashboard() -> str:
    selector = 'service="recommendations"'
    queries = (
        ("Request rate", "reqps", f"sum(rate(http_requests_total{{{selector}}}[$__rate_interval]))"),
        ("Error ratio", "percentunit",
         f'(sum(rate(http_requests_total{{{selector},status=~"5.."}}[$__rate_interval])) or vector(0))'
         f" / sum(rate(http_requests_total{{{selector}}}[$__rate_interval]))"),
        ("p99 latency", "s",
         "histogram_quantile(0.99, sum by (le) "
         f"(rate(http_request_duration_seconds_bucket{{{selector}}}[$__rate_interval])))"),
    )  # fmt: skip
    panels = [
        {
            "id": number, "type": "timeseries", "title": title,
            "datasource": {"type": "prometheus", "uid": "prom"},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "gridPos": {"h": 8, "w": 8, "x": 8 * (number - 1), "y": 0},
            "targets": [{"refId": "A", "expr": expr, "datasource": {"type": "prometheus", "uid": "prom"}}],
        }
        for number, (title, unit, expr) in enumerate(queries, 1)
    ]  # fmt: skip
    model = {
        "uid": "recommendations-red", "title": "Recommendations RED", "schemaVersion": 39, "editable": True,
        "tags": ["ray-required", "service:recommendations"], "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []}, "annotations": {"list": []}, "panels": panels,
    }  # fmt: skip
    return json.dumps(model, indent=2) + "\n"


RUNBOOKS: dict[str, str] = {
    "CheckoutV2EndpointSlow": "Scale the checkout pods, then look at the payments dependency.",
    "RecommendationsErrors": "Switch recommendations off by its feature flag; the shop works without it.",
    "CheckoutErrorBudgetBurn": "Stop the rollout; compare error ratios by version; roll back when v2.4.1 stands out.",
}


def runbook_for(alert: str, response: str = "Look at the service's RED dashboard, then at its last deployment.") -> str:
    return _runbook(alert, response)


def _runbook(alert: str, response: str) -> str:
    return (
        f"# {alert}\n\n## Meaning\n\nThe alert {alert} fires.\n\n## Impact\n\nCustomers may notice.\n\n"
        f"## Diagnosis\n\nOpen the service's dashboard.\n\n## Mitigation\n\n{response}\n"
    )
