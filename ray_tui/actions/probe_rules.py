"""The second kind of probe: an alert that a rule fires, so that rule evaluation is timed as well."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

import yaml

from ray_tui.actions import probe_build as build
from ray_tui.actions import probe_cleanup as cleanup
from ray_tui.actions import probe_evaluated as evaluated
from ray_tui.actions import probe_plan as planning
from ray_tui.actions import probe_pushed as pushed
from ray_tui.actions.probe_alert import Alert, everywhere
from ray_tui.actions.probe_asking import Answers
from ray_tui.actions.probe_codes import private
from ray_tui.actions.probe_judging import Limits, Skew, too_skewed
from ray_tui.actions.probe_watch import Watch
from ray_tui.analysis import routing
from ray_tui.analysis.hops import Interval
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Labels
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Context, criterion

RULE_FILE = "ray-tui-rule-probe.yml"
"""One name for all: whatever a host that died left there, the next one takes away."""
ALERTNAME = "RayTuiRuleProbe"
SETTLE_SECONDS = 8.0
"""After a reload Prometheus knows no Alertmanager for some 4 s, and an alert that fires then is dropped."""
EVALUATION_SECONDS = 30.0
"""How long after that the rule, whose group is evaluated every second, may take to fire."""


# --- plan ------------------------------------------------------------------------------------------------------------


Way: TypeAlias = "TemporaryRule | pushed.PushedSeries"
"""How an alert is made to fire by the metrics store: ``begin``, and ``end``, which may be repeated and raises
BackendError while it is not over. ``settle`` and ``patience``: when it may fire at the earliest, and how long after."""


@dataclass(frozen=True)
class Planned:
    """An alert that a rule is to fire, and how."""

    alert: planning.PlannedAlert
    way: Way


@dataclass(frozen=True)
class Unplanned:
    """Why a probe that is wanted cannot be planned, and what helps."""

    why: str
    remedy: str = "Repair it, or empty [alert_paths] rule_probe_receiver"


async def wanted(
    context: Context, config: routing.RoutingConfig, alerts: Sequence[planning.PlannedAlert]
) -> Planned | Unplanned | None:
    """By a pushed series where there is a [pusher], else by a temporary rule; None where none is asked for."""
    settings, ports = context.config.alert_paths, context.ports
    if not settings.rule_probe_receiver:
        return None
    if ports.metrics is None or (ports.rules is None and ports.pusher is None):
        return Unplanned("it needs [metrics] to see it fire, and [rules] to write the rule or [pusher] to push")
    if ports.pusher is None:
        found = plan(config, settings.rule_probe_receiver, alerts)
        return Unplanned(found) if isinstance(found, str) else Planned(found, TemporaryRule())
    remedy = f"Load this rule once, then test again:\n{pushed.rule_text(settings.push_metric)}"
    try:
        rule = pushed.permanent(await ports.metrics.rules(), settings.push_metric)
    except BackendError as error:
        return Unplanned(f"whether the permanent rule is loaded cannot be seen: {error}")
    return Unplanned(rule, remedy) if isinstance(rule, str) else _pushed(context, config, alerts, rule)


def _pushed(
    context: Context, config: routing.RoutingConfig, alerts: Sequence[planning.PlannedAlert], rule: pushed.Permanent
) -> Planned | Unplanned:
    settings = context.config.alert_paths
    injected = _injected(settings.rule_probe_receiver, alerts)
    if injected is None:
        return Unplanned(f"{settings.rule_probe_receiver} is not among the receivers that are probed")
    series = {name: value for name, value in injected.labels.items() if name != "alertname"}
    why = pushed.unpushable(series) or _astray(config, rule.alert_labels(series), injected)
    if why:
        return Unplanned(why, "Route it without those labels, or empty [alert_paths] rule_probe_receiver")
    way = pushed.PushedSeries(series, 0.0, settings.push_seconds)
    return Planned(replace(injected, labels=rule.alert_labels(series)), way)


def plan(
    config: routing.RoutingConfig, receiver: str, alerts: Sequence[planning.PlannedAlert]
) -> planning.PlannedAlert | str:
    """The injected probe that proves this receiver, as a temporary rule would fire it; or why none can."""
    injected = _injected(receiver, alerts)
    if injected is None:
        return f"{receiver} is not among the receivers that are probed"
    labels = {**injected.labels, "alertname": ALERTNAME}
    if any("{{" in value or "$" in value for value in labels.values()):
        return "a label of its route would be read as a template by Prometheus"
    return _astray(config, labels, injected) or replace(injected, labels=labels)


def _injected(receiver: str, alerts: Sequence[planning.PlannedAlert]) -> planning.PlannedAlert | None:
    return next((one for one in alerts if receiver in [leg.receiver for leg in one.legs]), None)


def _astray(config: routing.RoutingConfig, labels: Labels, injected: planning.PlannedAlert) -> str:
    """Why an alert with these labels does not prove what the injected one proves; "" where it does."""
    reached = {hit.receiver for hit in routing.route(config, {**labels, planning.PROBE_LABEL: "token"})}
    if {leg.receiver for leg in injected.legs} <= reached:
        return ""
    return f"an alert named {labels['alertname']} does not reach it: its route asks for other labels"


def probe(context: Context, planned: Planned, prefix: str, rota: planning.Rota, limits: Limits) -> Alert:
    """As an injected one, with tokens of its own."""
    alert = build.acknowledge_probe(context, planned.alert, prefix, rota, limits)
    before, alert.token = alert.token, _token(alert.token)
    alert.labels[planning.PROBE_LABEL] = alert.token
    alert.annotations = {name: text.replace(before, alert.token) for name, text in alert.annotations.items()}
    alert.ends_at += planned.way.settle + planned.way.patience
    alert.lingers = planned.way.patience if isinstance(planned.way, pushed.PushedSeries) else 0.0
    for leg in alert.legs:
        leg.id, leg.how = _token(leg.id), "rule"
    return alert


def _token(injected: str) -> str:
    return f"{injected.removesuffix('ack')}rule"


def rule_text(alert: Alert, due: float, told: Mapping[str, str] = MappingProxyType({})) -> str:
    """A rule file whose only alert fires from ``due`` (unix seconds) on, by the server's clock, until its end is over.

    So it stops by itself where nobody takes it away.
    """
    rule = {
        "alert": alert.labels["alertname"],
        "expr": f"vector(time()) > {math.ceil(due)} < {math.ceil(alert.ends_at)}",
        "labels": {name: value for name, value in alert.labels.items() if name != "alertname"},
        "annotations": {**alert.annotations, **told},
    }
    return yaml.safe_dump({"groups": [{"name": "ray-tui-probe", "interval": "1s", "rules": [rule]}]}, sort_keys=False)


# --- carry out -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TemporaryRule:
    """Makes an alert fire by writing a rule for it, and stop by taking the rule away."""

    settle: float = SETTLE_SECONDS
    patience: float = EVALUATION_SECONDS
    name: str = "the rule was loaded"
    silent: str = "it does not fire"

    async def begin(self, context: Context, alert: Alert, due: float) -> None:
        assert context.ports.rules is not None
        await context.ports.rules.write(RULE_FILE, rule_text(alert, due, private(context, alert)))
        await context.ports.rules.reload()

    async def end(self, context: Context, alert: Alert) -> None:
        await take_away(context)


@dataclass
class RuleWatch(Watch):
    """Follows one alert that a rule fires; its clock starts when the rule does."""

    way: Way = field(default_factory=TemporaryRule)
    due: float = 0.0
    looked: float = 0.0
    """When the last look began at which the alerts API did not show it as firing."""
    first_seen: float = 0.0
    """When it was seen for the first time, by one of two sources: the other is asked once more."""
    skew: Skew = None

    async def _post(self, alert: Alert) -> None:
        metrics = self.context.ports.metrics
        assert metrics is not None
        self.due = self.context.now() + self.way.settle
        self.looked = self.context.now()
        alert.withdraw = lambda: self.way.end(self.context, alert)
        try:
            self.skew = (await metrics.health()).clock_skew_seconds
            await self.way.begin(self.context, alert, self.due)
        except BackendError as error:
            everywhere(alert, "unsent", "t0", f"no rule could be made to fire: {error}")
        if too_skewed(self.skew):
            said = f"the metrics store's clock is {self.skew} s off ours: when its rule fired cannot be timed"
            everywhere(alert, "skew", "t0", said)

    async def _take(self, answers: Answers) -> None:
        for alert in self.alerts:
            if alert.phase == "watching" and "t0" not in alert.legs[0].hops:
                await self._evaluated(alert)
        await super()._take(answers)

    async def _evaluated(self, alert: Alert) -> None:
        """Whether the rule fires by now; its own dates and our looks bound when it began to."""
        assert self.context.ports.metrics is not None
        began = self.context.now()
        found = await evaluated.look(self.context.ports.metrics, alert.token)
        if found.trouble:
            self.trouble.setdefault("metrics", []).append(found.trouble)
        if not found.found:
            self.looked = began if found.api else self.looked
            return
        if found.half and not self.first_seen:
            self.first_seen = self.context.now()
            return
        fired = evaluated.fired_at(found, self.looked, self.first_seen or self.context.now(), self.skew)
        for leg in alert.legs:
            leg.saw("t0", fired.when, f"the rule's evaluation: {fired.source}")
            if fired.disagreement:
                leg.problem("sources_disagree", "t0", fired.disagreement)

    async def _follow(self, alert: Alert, answers: Answers) -> None:
        first = alert.legs[0]
        if "t0" in first.hops or first.has("unsent"):
            await super()._follow(alert, answers)
        elif self.context.now() >= self.due + self.way.patience:
            said = (self.trouble.get("metrics") or [f"{self.way.name}, and {self.way.silent}"])[-1]
            everywhere(alert, "not_evaluated", "t0", said)
            self._finish(alert)

    async def _active(self, alert: Alert, answers: Answers) -> None:
        """It was Prometheus that posted it: accepted is what every peer holds, under the labels that it has there."""
        assert self.context.ports.alerting is not None
        seen = answers.alerts.get(alert.token, [])
        if seen:
            alert.labels = dict(seen[0].labels)
        holding = {one.peer for one in seen}
        ended = answers.ended["alerting"]
        since = min(max(alert.previous.get("alerting", 0.0), alert.legs[0].floor), ended)
        if holding >= set(self.context.ports.alerting.peers):
            for leg in alert.legs:
                leg.saw("t1", Interval(since, ended), "GET alerts of every peer", detail=", ".join(sorted(holding)))
        await super()._active(alert, answers)


async def take_away(context: Context) -> None:
    """The rule file, whoever wrote it, and its alert with the next evaluation. May be repeated."""
    rules = context.ports.rules
    if rules is not None and await rules.read(RULE_FILE) is not None:
        await rules.remove(RULE_FILE)
        await rules.reload()


async def abandon(context: Context, alert: Alert) -> None:
    """What a host that died had begun: never fired again, taken away, and said to be unproved."""
    assert context.ports.alerting is not None
    try:
        held = await context.ports.alerting.find({planning.PROBE_LABEL: alert.token})
    except BackendError:
        held = ()
    if held:
        alert.labels = dict(held[0].labels)

    async def end() -> None:
        """Whichever way it was made to fire."""
        await take_away(context)
        await pushed.take_back(context, alert)

    alert.withdraw = end
    await pushed.until_taken_back(context, alert, context.config.alert_paths.push_seconds)
    await cleanup.drop(context, [alert])


# --- judge -----------------------------------------------------------------------------------------------------------


def unproved(receiver: str, found: Unplanned) -> Criterion:
    """Asked for, and not carried out."""
    return criterion(
        f"alert_paths.rule:{receiver}", f"A rule's alert reaches {receiver}", Verdict.INCONCLUSIVE,
        f"not probed by a rule: {found.why}", required="evaluated, delivered and acknowledged",
        evidence=("alert-test-results.json",), remedy=found.remedy,
    )  # fmt: skip
