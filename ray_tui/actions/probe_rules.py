"""The second kind of probe: an alert that a temporary rule fires, so that rule evaluation is timed as well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml

from ray_tui.actions import probe_build as build
from ray_tui.actions import probe_cleanup as cleanup
from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert, everywhere
from ray_tui.actions.probe_asking import Answers
from ray_tui.actions.probe_judging import Limits, Skew
from ray_tui.actions.probe_sightings import EXACT, Stamp, placed
from ray_tui.actions.probe_watch import Watch
from ray_tui.analysis import routing
from ray_tui.analysis.hops import Interval
from ray_tui.core.errors import BackendError
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


def plan(
    config: routing.RoutingConfig, receiver: str, alerts: Sequence[planning.PlannedAlert]
) -> planning.PlannedAlert | str:
    """The injected probe that proves this receiver, as a rule would fire it; or why none can."""
    injected = next((one for one in alerts if receiver in [leg.receiver for leg in one.legs]), None)
    if injected is None:
        return f"{receiver} is not among the receivers that are probed"
    labels = {**injected.labels, "alertname": ALERTNAME}
    if any("{{" in value or "$" in value for value in labels.values()):
        return "a label of its route would be read as a template by Prometheus"
    reached = {hit.receiver for hit in routing.route(config, {**labels, planning.PROBE_LABEL: "token"})}
    if not {leg.receiver for leg in injected.legs} <= reached:
        return f"an alert named {ALERTNAME} does not reach it: its route asks for another alertname"
    return replace(injected, labels=labels)


def probe(context: Context, planned: planning.PlannedAlert, prefix: str, rota: planning.Rota, limits: Limits) -> Alert:
    """As an injected one, with tokens of its own."""
    alert = build.acknowledge_probe(context, planned, prefix, rota, limits)
    before, alert.token = alert.token, _token(alert.token)
    alert.labels[planning.PROBE_LABEL] = alert.token
    alert.annotations = {name: text.replace(before, alert.token) for name, text in alert.annotations.items()}
    alert.ends_at += SETTLE_SECONDS + EVALUATION_SECONDS
    for leg in alert.legs:
        leg.id, leg.how = _token(leg.id), "rule"
    return alert


def _token(injected: str) -> str:
    return f"{injected.removesuffix('ack')}rule"


def rule_text(alert: Alert, due: float) -> str:
    """A rule file whose only alert fires from ``due`` (unix seconds) on, by the server's clock, until its end is over.

    So it stops by itself where nobody takes it away.
    """
    rule = {
        "alert": alert.labels["alertname"],
        "expr": f"vector(time()) > {math.ceil(due)} < {math.ceil(alert.ends_at)}",
        "labels": {name: value for name, value in alert.labels.items() if name != "alertname"},
        "annotations": alert.annotations,
    }
    return yaml.safe_dump({"groups": [{"name": "ray-tui-probe", "interval": "1s", "rules": [rule]}]}, sort_keys=False)


# --- carry out -------------------------------------------------------------------------------------------------------


@dataclass
class RuleWatch(Watch):
    """Follows one alert that a rule fires; its clock starts when the rule does."""

    due: float = 0.0
    looked: float = 0.0
    """When the last look began that did not show the rule as firing."""
    skew: Skew = None

    async def _post(self, alert: Alert) -> None:
        rules, metrics = self.context.ports.rules, self.context.ports.metrics
        assert rules is not None
        assert metrics is not None
        self.due = self.context.now() + SETTLE_SECONDS
        self.looked = self.context.now()
        alert.withdraw = lambda: take_away(self.context)
        try:
            self.skew = (await metrics.health()).clock_skew_seconds
            await rules.write(RULE_FILE, rule_text(alert, self.due))
            await rules.reload()
        except BackendError as error:
            everywhere(alert, "unsent", "t0", f"the rule was not loaded: {error}")

    async def _take(self, answers: Answers) -> None:
        for alert in self.alerts:
            if alert.phase == "watching" and "t0" not in alert.legs[0].hops:
                await self._evaluated(alert)
        await super()._take(answers)

    async def _evaluated(self, alert: Alert) -> None:
        """Whether the rule fires by now; its own date and our looks bound when it began to."""
        assert self.context.ports.metrics is not None
        began = self.context.now()
        try:
            active = await self.context.ports.metrics.alerts()
        except BackendError as error:
            self.trouble.setdefault("metrics", []).append(str(error))
            return
        mine = [one for one in active if one.labels.get(planning.PROBE_LABEL) == alert.token and one.state == "firing"]
        if not mine:
            self.looked = began
            return
        when, source = placed(Stamp(mine[0].active_at, EXACT), self.looked, self.context.now(), self.skew)
        for leg in alert.legs:
            leg.saw("t0", when, f"the rule's evaluation: {source}")

    async def _follow(self, alert: Alert, answers: Answers) -> None:
        first = alert.legs[0]
        if "t0" in first.hops or first.has("unsent"):
            await super()._follow(alert, answers)
        elif self.context.now() >= self.due + EVALUATION_SECONDS:
            said = (self.trouble.get("metrics") or ["the rule was loaded, and does not fire"])[-1]
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
    alert.withdraw = lambda: take_away(context)
    await cleanup.drop(context, [alert])


# --- judge -----------------------------------------------------------------------------------------------------------


def unproved(receiver: str, why: str) -> Criterion:
    """Asked for, and not carried out."""
    return criterion(
        f"alert_paths.rule:{receiver}", f"A rule's alert reaches {receiver}", Verdict.INCONCLUSIVE,
        f"not probed by a rule: {why}", required="evaluated, delivered and acknowledged",
        evidence=("alert-test-results.json",), remedy="Repair it, or empty [alert_paths] rule_probe_receiver",
    )  # fmt: skip
