"""Where every loaded alert would go, by the live configuration alone: who is told, who only by default, who never."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_tui.analysis import routing
from ray_tui.analysis.rule_quality import is_dead_mans_switch
from ray_tui.config import Alerts
from ray_tui.core.ports import Labels, LoadedRule
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import criterion

NO_SEVERITY = "none"
OTHER_SEVERITIES = ("warning", "error", "high", "major", "info")
"""Looked for in routes as well, beside those of loaded alerts."""


@dataclass(frozen=True)
class Simulated:
    """One loaded alert, as far as its labels are known before it fires, and where it ends."""

    alert: str
    labels: Labels
    receivers: tuple[str, ...]
    reaches_nobody: bool
    """No integration is behind any of its receivers."""
    only_default: bool
    muted_now: bool
    """Somebody is behind them, and time intervals keep them all quiet at this moment."""
    inhibited_by: tuple[str, ...]
    """Alerts that fire now and suppress it."""
    severity: str
    critical: bool


def shapes(
    rules: Iterable[LoadedRule], services: Sequence[str], service_label: str, severities: Alerts
) -> list[Labels]:
    """What each alerting rule's alerts look like: static labels, and every critical service where none stands.

    Values that are templates are not known before an alert fires, and are left out.
    """
    found: list[Labels] = []
    for rule in (one for one in rules if one.kind == "alerting"):
        known = {name: value for name, value in rule.labels.items() if "{{" not in value} | {"alertname": rule.name}
        by_service = severities.is_critical(known) and service_label not in known
        found += [{**known, service_label: service} for service in services] if by_service and services else [known]
    return found


def simulate(
    config: routing.RoutingConfig, alerts: Sequence[Labels], firing: Sequence[Labels], now: float, severities: Alerts
) -> tuple[Simulated, ...]:
    """Each alert through the routing tree, its time intervals, and the inhibitions by what fires now."""
    return tuple(_simulated(config, labels, firing, now, severities) for labels in alerts)


def _simulated(
    config: routing.RoutingConfig, labels: Labels, firing: Sequence[Labels], now: float, severities: Alerts
) -> Simulated:
    hits = routing.route(config, labels, now)
    nobody = routing.reaches_nobody(config, labels)
    return Simulated(
        labels["alertname"],
        labels,
        tuple(dict.fromkeys(hit.receiver for hit in hits)),
        nobody,
        routing.only_default(config, labels),
        not nobody and routing.reaches_nobody(config, labels, now),
        tuple(
            dict.fromkeys(
                one.source.get("alertname", "an alert") for one in routing.inhibited_by(config, labels, firing)
            )
        ),
        severities.severity(labels) or NO_SEVERITY,
        severities.is_critical(labels),
    )


def judge(found: Sequence[Simulated]) -> Criterion:
    """Failed where a critical alert can reach nobody; without any critical alert there is nothing to judge."""
    critical = [one for one in found if one.critical]
    lost = [one for one in critical if one.reaches_nobody]
    quiet = [one for one in critical if one.muted_now]
    told = [f"{_named(one)} ends at {', '.join(one.receivers)}, where nobody is told" for one in lost]
    told += [f"{_named(one)} is muted now" for one in quiet]
    verdict = Verdict.FAILED if lost else Verdict.INCONCLUSIVE if quiet or not critical else Verdict.PASSED
    well = f"{len(critical)} critical alerts of {len(found)} reach a receiver" if critical else "none is loaded"
    return criterion(
        "alert_paths.coverage", "Every critical alert reaches somebody", verdict, "; ".join(told) or well,
        required="each loaded critical alert, by the live routes", evidence=("alert-test-results.json",),
        remedy="Route it to a receiver with an integration, then test again",
    )  # fmt: skip


def unjudged(why: str) -> Criterion:
    """Where loaded alerts or routes could not be read."""
    return criterion(
        "alert_paths.coverage", "Every critical alert reaches somebody", Verdict.INCONCLUSIVE, why,
        required="each loaded critical alert, by the live routes", evidence=("alert-test-results.json",),
        remedy="Repair it, then test again",
    )  # fmt: skip


def _named(one: Simulated) -> str:
    inside = ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items()) if name == "service")
    return f"{one.alert} ({inside})" if inside else one.alert


def data(config: routing.RoutingConfig, found: Sequence[Simulated], severities: Alerts) -> dict[str, Any]:
    """Receivers × severities, by the routes that name a severity and by the loaded alerts, and who is not told."""
    levels = dict.fromkeys((*severities.critical, *OTHER_SEVERITIES, *(one.severity for one in found)))
    named: dict[str, list[str]] = {}
    for severity in levels:
        for one in routing.critical_receivers(config, severities.severity_label, (severity,)):
            named.setdefault(one.name, []).append(severity)
    counts = Counter((receiver, one.severity) for one in found for receiver in one.receivers)
    return {
        "alerts": len(found),
        "receivers": [
            {
                "receiver": one.name,
                "integrations": [integration.kind for integration in one.integrations],
                "routes_name": named.get(one.name, []),
                "alerts": {severity: counts[one.name, severity] for severity in levels if counts[one.name, severity]},
            }
            for one in config.receivers
        ],
        "reaches_nobody": [_row(one) for one in found if one.reaches_nobody],
        "only_default": [_row(one) for one in found if one.only_default],
        "muted_now": [_row(one) for one in found if one.muted_now],
        "inhibited_now": [{**_row(one), "by": list(one.inhibited_by)} for one in found if one.inhibited_by],
    }


def _row(one: Simulated) -> Mapping[str, Any]:
    return {
        "alert": one.alert, "severity": one.severity, "critical": one.critical, "labels": dict(one.labels),
        "receivers": list(one.receivers),
    }  # fmt: skip


def switches(rules: Iterable[LoadedRule], severities: Alerts) -> tuple[LoadedRule, ...]:
    """Loaded alerts that are meant to fire always."""
    return tuple(rule for rule in rules if is_dead_mans_switch(rule, severities.severity_label))
