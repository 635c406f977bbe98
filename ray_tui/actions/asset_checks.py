"""One monitoring asset looked at again, live: what a scheduled check does. It pages nobody and changes nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from ray_tui.actions import alert_checks, dashboard_checks, probe_plan, probe_routes
from ray_tui.actions.panel_queries import Asker
from ray_tui.actions.services import ServiceFacts, effective_services
from ray_tui.analysis import coverage, red, routing
from ray_tui.config import Config
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import Alerting, LoadedRule, Metrics, Paging, PeerStatus, Ports, Vector
from ray_tui.core.state import RunState
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import criterion

FORMS = "dashboard:<uid>, alerts:<group>, synthetic:<service> or alert-paths"


@dataclass(frozen=True)
class Looking:
    """What a check may use. The services are the configuration's: there is no run whose papers would add to them."""

    config: Config
    ports: Ports
    now: float

    @property
    def services(self) -> Mapping[str, ServiceFacts]:
        return effective_services(self.config, RunState())

    @property
    def metrics(self) -> Metrics:
        """Raises InputError where none is configured."""
        if self.ports.metrics is None:
            raise InputError("no [metrics] is configured: nothing live can be asked. Name the metrics server there.")
        return self.ports.metrics


async def check(asset: str, looking: Looking) -> tuple[Criterion, ...]:
    """The asset's criteria, by its id as the schedule has it. Raises InputError for one of no known form."""
    kind, _, name = asset.partition(":")
    try:
        match kind, bool(name):
            case "dashboard", True:
                return await _dashboard(name, looking)
            case "alerts", True:
                return await _alert_group(name, looking)
            case "synthetic", True:
                return (await _synthetic(name, looking),)
            case "alert-paths", False:
                return await _alert_paths(looking)
    except BackendError as exc:
        return (_criterion("asked", f"{asset} can be asked", Verdict.ERROR, str(exc), "an answer", "Repair it"),)
    raise InputError(f"{asset!r} is no monitoring asset: write {FORMS}")


# --- dashboards ------------------------------------------------------------------------------------------------------


async def _dashboard(uid: str, looking: Looking) -> tuple[Criterion, ...]:
    """Every panel is run live and scored, as in 2.1."""
    config, boards = looking.config, looking.ports.dashboards
    if boards is None:
        raise InputError("no [dashboards] is configured: name the Grafana that holds it there.")
    board = await boards.get(uid)
    if board is None:
        return (_found(uid, f"there is no dashboard {uid!r}"),)
    setting = dashboard_checks.Setting(
        looking.services, config.telemetry.service_label, config.telemetry.route_label, await boards.datasources()
    )
    asker = Asker(looking.metrics)
    try:
        checked = await dashboard_checks.check(asker, board, setting)
    except InputError as exc:
        return (_found(uid, str(exc)),)
    finally:
        await asker.close()
    return dashboard_checks.judge([checked], config.thresholds.dashboard_score)


def _found(uid: str, why: str) -> Criterion:
    return _criterion(
        "dashboard", f"Dashboard {uid} can be read", Verdict.FAILED, why, "it is there, and its panels can be read",
        "Restore it in Grafana, or carry out 2.1 and 3.1 again so that the schedule knows it is gone",
    )  # fmt: skip


# --- alert groups ----------------------------------------------------------------------------------------------------


async def _alert_group(group: str, looking: Looking) -> tuple[Criterion, ...]:
    """Its rules are loaded, evaluate, are complete, and end at a receiver."""
    rules = [rule for rule in await looking.metrics.rules() if rule.group == group]
    routes = await alert_checks.read_routes(looking.ports.alerting)
    services, label = looking.services, looking.config.telemetry.service_label
    alerts = alert_checks.examine(rules, routes, (), services, label, looking.config.alerts)
    return (_loaded(group, rules), *alert_checks.sound(alerts, rules, services), _routed(alerts, routes))


def _loaded(group: str, rules: Sequence[LoadedRule]) -> Criterion:
    return _criterion(
        "loaded", f"Rule group {group} is loaded", Verdict.PASSED if rules else Verdict.FAILED,
        f"{len(rules)} rules" if rules else "the server has loaded no rule of it", "at least one rule",
        "Put its file back where the server reads rules, and reload",
    )  # fmt: skip


def _routed(alerts: Sequence[alert_checks.Alert], routes: alert_checks.Routes) -> Criterion:
    """A critical alert that reaches nobody fails; another one may be meant for no one, and is named."""
    silent = [one for one in alerts if one.nobody]
    lost = [f"{one.name} ends at {', '.join(one.receivers) or 'no receiver'}" for one in silent if one.critical]
    rest = [one.name for one in silent if not one.critical]
    verdict = Verdict.FAILED if lost else Verdict.PASSED if alerts else Verdict.INCONCLUSIVE
    actual = f"{len(alerts) - len(silent)} of {len(alerts)} alerts reach a receiver"
    actual += f"; not critical, and nobody is told: {alert_checks.named(rest)}" if rest else ""
    if lost:
        actual = f"nobody would be told: {alert_checks.named(lost)}"
    if routes.problem:
        verdict, actual = routes.verdict, routes.problem
    return _criterion(
        "routed", "Its critical alerts reach a receiver", verdict, actual,
        "each critical alert reaches a receiver that tells somebody", "Add a route, or name every peer in [alerting]",
    )  # fmt: skip


# --- synthetics ------------------------------------------------------------------------------------------------------


async def _synthetic(service: str, looking: Looking) -> Criterion:
    """The probe's newest sample is fresh, and every probe of the service succeeds."""
    config = looking.config
    labels, probe = config.names_of(service, "synthetics"), config.telemetry.probe
    names = sorted(labels)
    seen_expr = red.last_seen(probe, names, [labels])
    ok_expr = f"min {red.by(names)} ({red.selector(probe, [labels])})"
    seen, ok = await asyncio.gather(looking.metrics.query(seen_expr), looking.metrics.query(ok_expr))
    at = max((one.value for one in seen.samples), default=None)
    fresh = coverage.cell(
        service, "synthetics", True, at, 0.0, looking.now, config.thresholds.fresh_seconds, seen_expr
    )  # fmt: skip
    verdict, actual = fresh.verdict or Verdict.INCONCLUSIVE, fresh.why
    if verdict is Verdict.PASSED:
        verdict, actual = _succeeding(ok, actual)
    if verdict is Verdict.PASSED and (doubts := [*seen.warnings, *ok.warnings]):
        verdict, actual = Verdict.INCONCLUSIVE, f"the answer may be partial: {line('; '.join(doubts))}"
    return _criterion(
        "synthetic", f"The probe of {service} is fresh and succeeds", verdict, f"{actual} ({ok_expr})",
        f"a sample of at most {config.thresholds.fresh_seconds:g} s, value 1",
        "See why the probe fails or no longer runs; [telemetry] probe names its series",
    )  # fmt: skip


def _succeeding(answer: Vector, seen: str) -> tuple[Verdict, str]:
    values = [one.value for one in answer.samples]
    if not values or not all(map(isfinite, values)):
        return Verdict.INCONCLUSIVE, "the probe's result is no number"
    if min(values) < 1:
        return Verdict.FAILED, f"a probe fails; {seen}"
    return Verdict.PASSED, f"every probe succeeds; {seen}"


# --- alert paths, dry ------------------------------------------------------------------------------------------------


async def _alert_paths(looking: Looking) -> tuple[Criterion, ...]:
    """Peers, routes, receivers and who is on call, by what they say: no probe is fired."""
    alerting, settings = looking.ports.alerting, looking.config.alert_paths
    if alerting is None:
        raise InputError("no [alerting] is configured: name every Alertmanager peer there.")
    peers = await alerting.status()
    ready = _peers(alerting, peers)
    try:
        config = routing.load(peers[0].config_yaml, peers[0].peer, strict=False)
    except InputError as exc:
        actual = f"the live Alertmanager configuration cannot be read: {exc}"
        return (ready, _criterion("routing", "Routes can be read", Verdict.ERROR, actual, "its YAML", "Repair it"))
    rules, active, managers = await asyncio.gather(
        looking.metrics.rules(), looking.metrics.alerts(), looking.metrics.alertmanagers()
    )
    critical = [name for name, service in looking.services.items() if service.critical]
    severities = looking.config.alerts
    shapes = probe_routes.shapes(rules, critical, looking.config.telemetry.service_label, severities)
    firing = [one.labels for one in active if one.state == "firing"]
    simulated = probe_routes.simulate(config, shapes, firing, looking.now, severities)
    base = {"alertname": probe_plan.ALERTNAME, **settings.labels}
    loud = [one.labels for one in simulated if one.critical]
    targets = probe_plan.targets(config, settings.receivers, base, loud, severities)
    return (
        _sends_to(managers),
        ready,
        probe_routes.judge(simulated),
        _receivers(targets),
        await _on_call(targets, looking.ports.paging),
    )


def _sends_to(managers: Sequence[str]) -> Criterion:
    return _criterion(
        "alertmanagers", "Alerts leave the metrics server", Verdict.PASSED if managers else Verdict.FAILED,
        f"sends to {', '.join(managers)}" if managers else "it knows no Alertmanager: every alert is dropped",
        "at least one active Alertmanager", "Name the Alertmanagers under `alerting:` in its configuration",
    )  # fmt: skip


def _peers(alerting: Alerting, there: Sequence[PeerStatus]) -> Criterion:
    """Every configured peer answers, has joined its cluster, and runs with the same configuration."""
    answered = {one.peer for one in there}
    wrong = [f"{peer} does not answer" for peer in alerting.peers if peer not in answered]
    wrong += [f"{one.peer} is {one.cluster}" for one in there if one.cluster not in ("ready", "disabled")]
    wrong += ["their configurations differ"] if len({one.config_yaml for one in there}) > 1 else []
    return _criterion(
        "peers", "Every Alertmanager peer is ready", Verdict.FAILED if wrong else Verdict.PASSED,
        "; ".join(wrong) or f"{', '.join(sorted(answered))}: one configuration", "all of [alerting], one configuration",
        "Start the peer that is missing; reload the one that was left behind",
    )  # fmt: skip


def _receivers(targets: Sequence[probe_plan.Target]) -> Criterion:
    """Each receiver of a critical route has somebody behind it, and an alert that would reach it."""
    wrong = [f"no integration is behind {one.receiver}" for one in targets if not one.integrations]
    wrong += [f"no alert would reach {one.receiver}" for one in targets if one.integrations and one.example is None]
    verdict = Verdict.FAILED if wrong else Verdict.PASSED if targets else Verdict.INCONCLUSIVE
    return _criterion(
        "receivers", "Receivers of critical routes are known", verdict,
        "; ".join(wrong) or ", ".join(f"{one.receiver} ({', '.join(one.integrations)})" for one in targets)
        or "no route names a critical alert", "an integration behind each, and a route that leads there",
        "Give the receiver an integration, or repair its route",
    )  # fmt: skip


async def _on_call(targets: Sequence[probe_plan.Target], paging: Paging | None) -> Criterion:
    """Somebody is on call at level 1 of every policy that a paging receiver means."""
    title, required = "Somebody is on call", "at level 1 of each policy that critical alerts page"
    remedy = "Fill the rota, or name the paging system in [paging]"
    pagers = [one.receiver for one in targets if "pagerduty" in one.integrations]
    if not pagers:
        return _criterion("on_call", title, Verdict.PASSED, "no critical receiver pages by a rota", required)
    if paging is None:
        actual = f"no [paging] is configured: nobody knows whom {', '.join(pagers)} would page"
        return _criterion("on_call", title, Verdict.INCONCLUSIVE, actual, required, remedy)
    services, policies, duty = await asyncio.gather(paging.services(), paging.policies(), paging.on_call())
    rota = probe_plan.Rota(services, policies, duty)
    meant = {receiver: probe_plan.policies_meant(receiver, rota) for receiver in pagers}
    empty = [f"{receiver} pages nobody" for receiver, found in meant.items() if not found]
    called = {policy: rota.at_level(policy, 1) for found in meant.values() for policy in found}
    empty += [f"nobody is on call for {rota.policy_name(policy)}" for policy, people in called.items() if not people]
    named = sorted({one.user for people in called.values() for one in people})
    return _criterion(
        "on_call", title, Verdict.FAILED if empty else Verdict.PASSED, "; ".join(empty) or ", ".join(named), required,
        remedy,
    )  # fmt: skip


def _criterion(name: str, title: str, verdict: Verdict, actual: str, required: str, remedy: str = "") -> Criterion:
    return criterion(
        f"check.{name}", title, verdict, actual, required=required, remedy="" if verdict is Verdict.PASSED else remedy
    )
