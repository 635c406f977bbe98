"""Whether every alert that Prometheus has loaded is complete, and whom the live Alertmanager would tell of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ray_tui.actions import loaded_rules
from ray_tui.actions.loaded_rules import RuleFile
from ray_tui.actions.services import ServiceFacts, owner_for_gap
from ray_tui.analysis import promql, routing, rule_quality
from ray_tui.analysis.rule_files import format_duration
from ray_tui.analysis.rule_quality import Issue
from ray_tui.config import Alerts, Config
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import Alerting, Labels, LoadedRule
from ray_tui.core.untrusted import clean, line
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import criterion

EVIDENCE = ("dashboard-config.json",)
POLICY = rule_quality.Policy()
ROUTE_CHECK = "RayTuiRouteCheck"
"""The name of an alert that nobody fires: routing is asked where a critical alert of a service would go."""
_ROUTING = ("routed-to-nobody", "only-default", "muted-now")
"""The gaps that are found in the live routing, not in the rule."""
_THRESHOLD = frozenset({"threshold-missing", "threshold-unreachable", "expression-broken"})
_NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Routes:
    """The live routing, peer by peer where peers differ; ``problem`` says why there is none."""

    configs: Mapping[str, routing.RoutingConfig] = field(default_factory=dict)
    """The first peer of each distinct configuration -> it."""
    problem: str = ""
    verdict: Verdict = Verdict.INCONCLUSIVE
    """What routing is judged with a problem."""

    def receivers(self, labels: Labels) -> tuple[str, ...]:
        """Whom an alert with these labels would reach, on any peer."""
        found = [hit.receiver for config in self.configs.values() for hit in routing.route(config, labels)]
        return tuple(dict.fromkeys(found))

    def nobody(self, labels: Labels) -> bool:
        """Whether on some peer no integration would be told."""
        return any(routing.reaches_nobody(config, labels) for config in self.configs.values())

    def only_default(self, labels: Labels) -> bool:
        return any(routing.only_default(config, labels) for config in self.configs.values())

    def muted(self, labels: Labels, at: float) -> bool:
        """Whether time intervals alone keep it from everybody at that time."""
        muted_now = any(routing.reaches_nobody(config, labels, at) for config in self.configs.values())
        return muted_now and not self.nobody(labels)


@dataclass(frozen=True)
class Alert:
    """One loaded alert, judged. ``labels`` are what routing sees, as far as the rule tells."""

    rule: LoadedRule
    service: str
    owner: str
    runbook: str
    thresholds: tuple[str, ...]
    issues: tuple[Issue, ...]
    labels: Labels
    receivers: tuple[str, ...]
    nobody: bool
    from_release: bool
    severity: str
    critical: bool

    @property
    def name(self) -> str:
        return self.rule.name


async def read_routes(alerting: Alerting | None) -> Routes:
    """The configuration that every peer runs with."""
    if alerting is None:
        return Routes(problem="no [alerting] is configured: nobody knows where alerts go")
    try:
        peers = await alerting.status()
    except BackendError as exc:
        return Routes(problem=str(exc), verdict=Verdict.ERROR)
    found: dict[str, routing.RoutingConfig] = {}
    for text in dict.fromkeys(one.config_yaml for one in peers):
        peer = next(one.peer for one in peers if one.config_yaml == text)
        try:
            found[peer] = routing.load(text, peer, strict=False)
        except InputError as exc:
            return Routes(problem=f"the live Alertmanager configuration cannot be read: {exc}", verdict=Verdict.ERROR)
    return Routes(found) if found else Routes(problem="no Alertmanager told its configuration")


def examine(
    loaded: Sequence[LoadedRule], routes: Routes, files: Sequence[RuleFile], services: Mapping[str, ServiceFacts],
    service_label: str, severities: Alerts,
) -> tuple[Alert, ...]:  # fmt: skip
    """Every loaded alert, in the server's order."""
    ours = {(file.name, group.name) for file in files for group in file.groups}
    return tuple(
        _alert(
            rule, routes, services, service_label, severities,
            any(rule.group == group and loaded_rules.belongs(rule, name) for name, group in ours),
        )
        for rule in loaded
        if rule.kind == "alerting"
    )  # fmt: skip


def _alert(
    rule: LoadedRule,
    routes: Routes,
    services: Mapping[str, ServiceFacts],
    service_label: str,
    severities: Alerts,
    ours: bool,
) -> Alert:
    labels = {**rule.labels, "alertname": rule.name}
    kept = kept_value(rule.query, service_label)
    if kept and service_label not in labels:
        labels[service_label] = kept
    return Alert(
        rule=rule,
        service=service_of(rule, services, service_label),
        owner=next((rule.labels[name] for name in POLICY.owner_labels if rule.labels.get(name)), ""),
        runbook=next((rule.annotations[name] for name in POLICY.runbook_annotations if rule.annotations.get(name)), ""),
        thresholds=_thresholds(rule.query),
        issues=rule_quality.check(rule, replace(POLICY, severity_label=severities.severity_label)),
        labels=labels,
        receivers=routes.receivers(labels),
        nobody=bool(routes.configs) and routes.nobody(labels),
        from_release=ours,
        severity=severities.severity(rule.labels),
        critical=severities.is_critical(rule.labels),
    )


def _thresholds(expr: str) -> tuple[str, ...]:
    try:
        return tuple(bound.text for bound in promql.thresholds(expr))
    except promql.PromqlError:
        return ()


def service_of(rule: LoadedRule, services: Mapping[str, ServiceFacts], service_label: str) -> str:
    """The service that an alert is about: by its label, else by the one service that its expression names."""
    for name in (service_label, "sloth_service"):
        value = rule.labels.get(name, "")
        if value and "{{" not in value:
            return value
    named = _named_values(rule.query, service_label)
    return named[0] if len(named) == 1 and (named[0] in services or not services) else ""


def _named_values(expr: str, label: str) -> list[str]:
    try:
        matchers = promql.label_matchers(expr)
    except promql.PromqlError:
        return []
    return list(dict.fromkeys(one.value for one in matchers if one.name == label and one.op == "=" and one.value))


_AGGREGATES = re.compile(
    r"\b(sum|avg|min|max|count|stddev|stdvar|group|quantile|count_values|absent\w*)\b\s*(\(|by\b|without\b)"
)


def kept_value(expr: str, label: str) -> str:
    """The label's value that an alert of this expression surely carries; "" where that is not sure."""
    named = _named_values(expr, label)
    if len(named) != 1:
        return ""
    kept = re.search(rf"\bby\s*\([^)]*\b{re.escape(label)}\b[^)]*\)", expr)
    return named[0] if kept or not _AGGREGATES.search(expr) else ""


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(
    alerts: Sequence[Alert], loaded: Sequence[LoadedRule], routes: Routes, services: Mapping[str, ServiceFacts],
    service_label: str, severities: Alerts,
) -> tuple[Criterion, ...]:  # fmt: skip
    """Thresholds, health, completeness and routing; nothing loaded is inconclusive, never a pass."""
    return (*sound(alerts, loaded, services), _routed(alerts, routes, services, service_label, severities))


def sound(
    alerts: Sequence[Alert], loaded: Sequence[LoadedRule], services: Mapping[str, ServiceFacts]
) -> tuple[Criterion, ...]:
    """The rules for themselves: thresholds, health and completeness."""
    return (_threshold(alerts), _health(loaded), _complete(alerts, services))


def _threshold(alerts: Sequence[Alert]) -> Criterion:
    without = {one.name: issue.message for one in alerts for issue in _no_threshold(one)}
    verdict = Verdict.FAILED if without else Verdict.PASSED if alerts else Verdict.INCONCLUSIVE
    actual = f"{len(alerts)} loaded alerts, each with a threshold" if alerts else "no alerting rule is loaded"
    if without:
        actual = f"without a threshold: {named(f'{name} ({why})' for name, why in without.items())}"
    return criterion(
        "configure.threshold", "Every alert has a threshold", verdict, actual, evidence=EVIDENCE,
        required="every loaded alert compares with a bound that can be crossed",
        remedy="Compare with a bound, as in `… > 0.05`, and run 2.1 again",
    )  # fmt: skip


def _health(loaded: Sequence[LoadedRule]) -> Criterion:
    failing = [f"{rule.name} ({line(rule.last_error) or rule.health})" for rule in loaded if _sick(rule)]
    unknown = [rule.name for rule in loaded if rule.health == "unknown" and not _sick(rule)]
    verdict = Verdict.PASSED if loaded else Verdict.INCONCLUSIVE
    actual = f"{len(loaded)} loaded rules evaluate" if loaded else "no rule is loaded"
    if unknown:
        verdict, actual = Verdict.INCONCLUSIVE, f"not evaluated yet: {named(unknown)}"
    if failing:
        verdict, actual = Verdict.FAILED, f"cannot be evaluated: {named(failing)}"
    return criterion(
        "configure.health", "Every loaded rule evaluates", verdict, actual, evidence=EVIDENCE,
        required="the server evaluates every rule without an error",
        remedy="Run the query by hand, mend it, and run 2.1 again",
    )  # fmt: skip


def _sick(rule: LoadedRule) -> bool:
    return rule.health == "err" or bool(rule.last_error)


def blocks(alert: Alert, services: Mapping[str, ServiceFacts]) -> bool:
    """Whether what is wrong with an alert blocks: it is critical, or its service changed with this release."""
    service = services.get(alert.service)
    return alert.critical or bool(service and service.changed) or alert.from_release


def fails(alert: Alert, services: Mapping[str, ServiceFacts]) -> str:
    """What of the rule itself 2.1 fails by; "" where nothing of it does."""
    said = [issue.message for issue in (*_no_threshold(alert), *_incomplete(alert, services))]
    return "; ".join([*said, "it reaches nobody"] if _lost(alert) else said)


def _no_threshold(alert: Alert) -> tuple[Issue, ...]:
    return tuple(issue for issue in alert.issues if issue.id in _THRESHOLD)


def _incomplete(alert: Alert, services: Mapping[str, ServiceFacts]) -> tuple[Issue, ...]:
    if not blocks(alert, services):
        return ()
    return tuple(
        issue for issue in rule_quality.blocking(alert.issues) if issue.id not in _THRESHOLD | {"rule-unhealthy"}
    )


def _lost(alert: Alert) -> bool:
    return alert.critical and alert.nobody


def _complete(alerts: Sequence[Alert], services: Mapping[str, ServiceFacts]) -> Criterion:
    wrong = [
        f"{one.name} ({'; '.join(issue.message for issue in found)})"
        for one in alerts
        if (found := _incomplete(one, services))
    ]
    verdict = Verdict.FAILED if wrong else Verdict.PASSED if alerts else Verdict.INCONCLUSIVE
    actual = "each alert that counts is complete" if alerts else "no alerting rule is loaded"
    return criterion(
        "configure.alerts", "Alerts say how long, how bad, what to do and who answers", verdict,
        f"incomplete: {named(wrong)}" if wrong else actual, evidence=EVIDENCE,
        required="`for`, severity, runbook link and owner on critical alerts and on those of changed services",
        remedy="Add what is missing to the rule, and run 2.1 again",
    )  # fmt: skip


def _routed(
    alerts: Sequence[Alert],
    routes: Routes,
    services: Mapping[str, ServiceFacts],
    service_label: str,
    severities: Alerts,
) -> Criterion:
    title, required = "Critical alerts reach a receiver", "every critical alert reaches a receiver that tells somebody"
    if routes.problem:
        return criterion(
            "configure.routed", title, routes.verdict, routes.problem, required=required, evidence=EVIDENCE,
            remedy="Name every Alertmanager peer in [alerting], and run 2.1 again",
        )  # fmt: skip
    lost = [f"{one.name} (service {one.service or 'unknown'}) ends at {_to(one.receivers)}" for one in alerts
            if _lost(one)]  # fmt: skip
    critical = [name for name, service in services.items() if service.critical]
    for name in critical:
        labels = {"alertname": ROUTE_CHECK, severities.severity_label: severities.critical[0], service_label: name}
        if routes.nobody(labels):
            lost.append(f"critical alerts of service {name} end at {_to(routes.receivers(labels))}")
    simulated = sum(one.critical for one in alerts) + len(critical)
    verdict = Verdict.FAILED if lost else Verdict.PASSED if simulated else Verdict.INCONCLUSIVE
    critical_is = f"{severities.severity_label} is one of {', '.join(severities.critical)}"
    actual = f"{simulated} critical alerts simulated, each reaches somebody"
    if not simulated:
        actual = f"no alert is critical: critical is whose {critical_is}, by [alerts]"
    return criterion(
        "configure.routed", title, verdict, f"nobody would be told: {named(lost)}" if lost else actual,
        required=required, evidence=EVIDENCE,
        remedy="Add a route for them to the Alertmanager configuration, reload it, and run 2.1 again",
    )  # fmt: skip


def _to(receivers: Sequence[str]) -> str:
    return ", ".join(f"receiver {name!r}" for name in receivers) or "no receiver"


def named(rows: Any) -> str:
    """Up to ten of them in words, and how many more there are."""
    listed = list(rows)
    more = f" and {len(listed) - _NAMED_AT_MOST} more" if len(listed) > _NAMED_AT_MOST else ""
    return "; ".join(map(str, listed[:_NAMED_AT_MOST])) + more


# --- what is written down --------------------------------------------------------------------------------------------


def gaps(
    alerts: Sequence[Alert], routes: Routes, services: Mapping[str, ServiceFacts], config: Config, now: float
) -> tuple[f.GapFound, ...]:
    """A backlog entry for every issue, and for alerts that reach nobody, only the default, or nobody at this hour."""
    found: dict[str, f.GapFound] = {}

    def add(alert: Alert, what: str, title: str, blocking: bool) -> None:
        id_ = f"alert:{alert.name}:{what}"
        found[id_] = f.GapFound(
            id=id_, step="2.1", title=f"{alert.name}: {title}", subject=alert.service or alert.name,
            owner=_owner(alert, services, config), due="next release cycle", severity="blocks" if blocking else "warns",
        )  # fmt: skip

    for one in alerts:
        for issue in one.issues:
            hard = issue.id in _THRESHOLD or issue.id == "rule-unhealthy"
            add(
                one,
                issue.id,
                f"{issue.message} {issue.remedy}",
                issue.severity == "blocks" and (hard or blocks(one, services)),
            )
        if one.nobody:
            add(one, "routed-to-nobody", f"it reaches nobody ({_to(one.receivers)})", one.critical)
        elif one.critical and routes.configs and routes.only_default(one.labels):
            add(one, "only-default", f"no route of its own: it falls through to {_to(one.receivers)}", False)
        elif one.critical and routes.configs and routes.muted(one.labels, now):
            add(one, "muted-now", "time intervals keep it from everybody at this hour", False)
    return tuple(found.values())


def unchecked(ids: Iterable[str], routes: Routes) -> set[str]:
    """Which entries of alerts nothing can be said about with the routing that could be read."""
    return set() if routes.configs else {one for one in ids if one.startswith("alert:") and one.endswith(_ROUTING)}


def _owner(alert: Alert, services: Mapping[str, ServiceFacts], config: Config) -> str:
    return alert.owner if alert.owner in config.owners else owner_for_gap(services.get(alert.service), config)


def rows(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """The alerts as JSON, for the record and for the actions after this one."""
    return [
        {
            "name": one.name, "expr": clean(one.rule.query), "thresholds": list(one.thresholds),
            "for": format_duration(max(0.0, one.rule.for_seconds)), "severity": one.severity, "owner": one.owner,
            "runbook": one.runbook, "service": one.service, "receivers": list(one.receivers),
            "issues": _said(one),
            "issue_ids": [issue.id for issue in one.issues], "group": one.rule.group, "file": one.rule.file,
            "critical": one.critical, "health": one.rule.health, "from_release": one.from_release,
            "summary": next((notes[key] for key in POLICY.summary_annotations if notes.get(key)), ""),
        }
        for one, notes in ((alert, alert.rule.annotations) for alert in alerts)
    ]  # fmt: skip


def _said(alert: Alert) -> list[str]:
    said = [issue.message for issue in alert.issues]
    return [*said, "it reaches nobody"] if _lost(alert) else said
