"""2.2: whether a critical alert really reaches a person who answers in time, proved by real alerts end to end."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ray_tui.actions import probe_build as build
from ray_tui.actions import probe_cleanup as cleanup
from ray_tui.actions import probe_contact_points as contacts
from ray_tui.actions import probe_plan as planning
from ray_tui.actions import probe_report as report
from ray_tui.actions import probe_routes as routes
from ray_tui.actions import probe_rules as by_rule
from ray_tui.actions import probe_watchdog as watchdog
from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_judging import Leg, Limits, Skew, duration, too_skewed
from ray_tui.actions.probe_watch import Watch
from ray_tui.actions.services import owner_for_gap, with_resolved
from ray_tui.analysis import routing
from ray_tui.core import facts as f
from ray_tui.core import untrusted
from ray_tui.core.announcements import not_passed
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import PeerStatus, Probed
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Ask, Context, Header, Result, criterion

LONGEST_CONFIG = 4_000_000
"""Characters of Alertmanager's configuration; a longer one is cut, and then refused as broken YAML."""
DRY_RUN = "dry run: nothing was fired", "Set alert_paths.real_pages, and test again"
"""Why, and what to do."""


async def run(context: Context) -> Result:
    """Plan, confirm, fire, follow, clear up. Raises BackendError where not even a plan can be made."""
    attempt = await _prepare(context)
    if isinstance(attempt, Result):
        return attempt
    watch = attempt.watch
    for one in (one for one in attempt.rule_left if one.phase != "cleared"):
        await by_rule.abandon(context, one)
    if attempt.dry or attempt.declined_by:
        await cleanup.drop(context, [one for one in watch.alerts if one.phase != "cleared"])
    else:
        await watch.run()
        if attempt.rule_watch is not None:
            await attempt.rule_watch.run()
    await contacts.carry_out(context, attempt.points, watch.limits, watch.skews)
    waits = not attempt.dry and not attempt.declined_by
    attempt.heartbeat = await watchdog.listen(context, attempt.config, watch.limits.patience if waits else 0.0)
    return _result(context, attempt)


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """The readable table beside ``alert-test-results.json``."""
    if "receivers" not in data:
        return {}
    return {"alert-test-results.md": report.markdown(data, header)}


# --- preparation -----------------------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """What was planned and agreed."""

    watch: Watch
    untestable: tuple[planning.Untestable, ...]
    preview: planning.Preview
    extra: tuple[Criterion, ...]
    """Criteria about the plan itself."""
    started_at: float
    config: routing.RoutingConfig
    simulated: tuple[routes.Simulated, ...] = ()
    heartbeat: watchdog.Heartbeat | None = None
    rule_watch: by_rule.RuleWatch | None = None
    rule_left: Sequence[Alert] = ()
    """Rule probes that a host which died had begun."""
    points: Sequence[contacts.Point] = ()
    """Grafana contact points: what is spared is not sent."""
    dry: bool = False
    declined_by: str = ""


async def _prepare(context: Context) -> Attempt | Result:
    ports = context.ports
    if ports.alerting is None:
        return _cannot("alerting", "no [alerting] is configured: no probe can be sent", "Name every Alertmanager peer")
    started_at = context.now()
    peers = await ports.alerting.status()
    try:
        config = routing.load(untrusted.clean(peers[0].config_yaml, LONGEST_CONFIG), peers[0].peer, strict=False)
    except InputError as error:
        return _cannot("config", f"the live Alertmanager configuration cannot be read: {error}", "Repair it")
    extra = [] if len({one.config_yaml for one in peers}) == 1 else [_peers_differ(peers, config)]
    prefix = planning.attempt_prefix(build.run_id(context), context.attempt)
    simulated, covered = await _simulated(context, config)
    extra += covered
    shapes = [one.labels for one in simulated if one.critical]
    rota, skews = await _rota(context), await _skews(context)
    settings = context.config.alert_paths
    base = {"alertname": planning.ALERTNAME, **settings.labels}
    chosen = planning.targets(config, settings.receivers, base, shapes, context.config.alerts)
    unseen = {one.receiver: why for one in chosen if (why := build.unseen(context, one))}
    plan = planning.plan(config, chosen, settings.labels, started_at, unseen)
    limits = _limits(context)
    allowed, refused, no_escalation = _spare(context, plan.alerts, rota, limits)
    ruled = await by_rule.wanted(context, config, allowed)
    rows = planning.pages(
        [*allowed, *([ruled.alert] if isinstance(ruled, by_rule.Planned) else [])], rota, limits.sla + limits.margin
    )
    points = await contacts.plan(context, prefix, rota, limits)
    rows += tuple(contacts.pages(points))
    budget = context.config.thresholds.pages_per_person_and_hour
    over = planning.over_budget(rows, _paged_before(context, prefix), budget)
    preview = planning.Preview(rows, over, no_escalation)
    names = {one.user_id: one.user for one in rota.on_call}
    watch = Watch(context, [], limits, skews, names, prefix, rota)
    attempt = Attempt(watch, (*plan.untestable, *refused), preview, tuple(extra), started_at, config, simulated)
    attempt.points = points
    known = build.taken_up(context, prefix, rota)
    taken_up = [one for one in known if one.how == "injected"]
    attempt.rule_left = [one for one in known if one.how == "rule"]
    watch.alerts = taken_up
    watch.covered = {leg.policy_id for one in taken_up if one.purpose == "escalate" for leg in one.legs}
    planned = [build.acknowledge_probe(context, one, prefix, rota, limits) for one in allowed]
    fresh = build.join(watch, planned)
    if not settings.real_pages:
        attempt.dry = True
        attempt.untestable += tuple(_dry(leg) for alert in planned for leg in alert.legs)
        for point in points:
            point.spare(Verdict.INCONCLUSIVE, f"{DRY_RUN[0]}; a test {contacts.BYPASSES}", DRY_RUN[1])
        return attempt
    if planned or contacts.to_send(points):
        await _confirm(context, attempt, allowed, fresh)
    watch.alerts += [] if attempt.declined_by else fresh
    if isinstance(ruled, by_rule.Unplanned):
        attempt.extra += (by_rule.unproved(settings.rule_probe_receiver, ruled),)
    elif ruled is not None and not attempt.rule_left and not attempt.declined_by:
        alert = by_rule.probe(context, ruled, prefix, rota, limits)
        attempt.rule_watch = by_rule.RuleWatch(context, [alert], limits, skews, names, prefix, rota, way=ruled.way)
    watch.escalation_of = lambda alert, legs: build.escalation_probe(watch, preview, alert, legs)
    for leg in (leg for alert in watch.alerts if alert.phase != "cleared" for leg in alert.legs):
        if too_skewed(leg.worst_skew(skews)):
            leg.problem("skew", "t6", f"clocks are {leg.worst_skew(skews)} s apart: nothing can be timed")
    return attempt


def _limits(context: Context) -> Limits:
    thresholds, poll = context.config.thresholds, context.config.alert_paths.poll_seconds
    margin = max(2.0, 2 * poll)
    return Limits(thresholds.ack_sla_seconds, thresholds.delivery_seconds, margin, 10.0 + 2 * poll)


async def _simulated(
    context: Context, config: routing.RoutingConfig
) -> tuple[tuple[routes.Simulated, ...], list[Criterion]]:
    """Every loaded alert through the live routes, and what is to be said of that."""
    metrics = context.ports.metrics
    if metrics is None:
        return (), [routes.unjudged("no [metrics] is configured: which alerts are loaded is not known")]
    try:
        rules, active = await metrics.rules(), await metrics.alerts()
    except BackendError as error:
        broken = criterion(
            "alert_paths.rules", "Loaded alerts are known", Verdict.ERROR, str(error), remedy="Repair it, test again",
            required="the alerting rules that could page can be listed",
        )  # fmt: skip
        return (), [broken, routes.unjudged("the loaded alerts could not be listed")]
    critical = [name for name, service in context.config.services.items() if service.critical]
    severities = context.config.alerts
    shapes = routes.shapes(rules, critical, context.config.telemetry.service_label, severities)
    firing = [one.labels for one in active if one.state == "firing"]
    found = routes.simulate(config, shapes, firing, context.now(), severities)
    return found, [routes.judge(found)]


async def _rota(context: Context) -> planning.Rota:
    """Who could be paged. Whoever cannot be named is not paged: an error ends the test before it begins."""
    paging = context.ports.paging
    if paging is None:
        return planning.Rota()
    return planning.Rota(await paging.services(), await paging.policies(), await paging.on_call())


async def _skews(context: Context) -> dict[str, Skew]:
    """Each system's clock against ours; None where it does not say."""
    ports: dict[str, Probed | None] = {
        "paging": context.ports.paging, "chat": context.ports.chat, "mail": context.ports.mail,
        "webhook": context.ports.webhook, "alerting": context.ports.alerting,
        **{f"webhooks.{name}": sink for name, sink in context.ports.webhooks.items()},
    }  # fmt: skip

    async def ask(port: Probed) -> Skew:
        try:
            return (await port.health()).clock_skew_seconds
        except BackendError:
            return None

    there = {system: port for system, port in ports.items() if port is not None}
    return dict(zip(there, await asyncio.gather(*(ask(port) for port in there.values())), strict=True))


def _spare(
    context: Context, alerts: Sequence[planning.PlannedAlert], rota: planning.Rota, limits: Limits
) -> tuple[list[planning.PlannedAlert], list[planning.Untestable], dict[str, str]]:
    """(alerts that may be fired, receivers that are spared, policies whose second level is), with the reasons."""
    people, now = context.config.people, context.now()
    reasons = {one.user_id: planning.protected(one.user_id, one.user, people, now) for one in rota.on_call}
    allowed: list[planning.PlannedAlert] = []
    refused: list[planning.Untestable] = []
    no_escalation: dict[str, str] = {}
    for alert in alerts:
        why: list[str] = []
        for leg in (leg for leg in alert.legs if "pagerduty" in leg.integrations):
            for policy in planning.policies_meant(leg.receiver, rota):
                second = [reasons[one.user_id] for one in rota.at_level(policy, 2) if reasons[one.user_id]]
                why += [reasons[one.user_id] for one in rota.at_level(policy, 1) if reasons[one.user_id]]
                if rota.first_delay(policy) <= limits.sla + limits.margin:  # nobody answers: level 2 is paged as well
                    why += second
                if second:
                    no_escalation[policy] = "; ".join(second)
        if not why:
            allowed.append(alert)
            continue
        said = "; ".join(dict.fromkeys(why))
        remedy = "Test when they may be paged, or change who is on call"
        refused += [
            planning.Untestable(leg.receiver, "protected", Verdict.INCONCLUSIVE, said, remedy, leg.integrations)
            for leg in alert.legs
        ]
    return allowed, refused, no_escalation


def _paged_before(context: Context, prefix: str) -> Counter[str]:
    """Pages of earlier attempts within the last hour, by person."""
    counts: Counter[str] = Counter()
    for probe in context.state.probes.values():
        recent = probe.intended.starts_at > context.now() - planning.HOUR
        if recent and not probe.intended.id.startswith(prefix):
            counts.update(page.rsplit(" (level", 1)[0] for page in probe.intended.pages)
    counts.update(contacts.paged_before(context.state.intents.values(), prefix, context.now() - planning.HOUR))
    return counts


# --- the question ----------------------------------------------------------------------------------------------------


async def _confirm(
    context: Context, attempt: Attempt, alerts: Sequence[planning.PlannedAlert], fresh: list[Alert]
) -> None:
    """Ask who may be paged. A stored answer covers a resumed attempt as long as it named the same people."""
    preview = attempt.preview
    lines = [f"{leg.receiver} ({', '.join(leg.integrations)})" for alert in alerts for leg in alert.legs]
    also = sorted({name for alert in alerts for name in alert.also})
    rule_of = context.config.alert_paths.rule_probe_receiver
    ruled = "A temporary rule" if context.ports.pusher is None else "A pushed series"
    said = [
        *([f"{_of(len(alerts), 'test alert')} for {_of(len(lines), 'receiver')}: {', '.join(lines)}."] * bool(alerts)),
        *(_shared(alert) for alert in alerts if len(alert.legs) > 1),
        *([f"They also reach {', '.join(also)}."] if also else []),
        *([f"{ruled} then reaches {rule_of} once more."] if rule_of else []),
        *contacts.preview(attempt.points),
        *(f"{row.person} (level {row.level}): at most {row.count} × for {row.receiver}." for row in preview.rows),
        *(f"Over the page budget: {over}." for over in preview.over),
        *(f"Warning: {warning}." for alert in alerts for warning in alert.warnings),
    ]
    answered = await context.ask(
        Ask(
            name="page", prompt="typed", title="Page these people for a test?", text="\n".join(said),
            expects=preview.expects,
            data={"pages": report.pages(preview), "over_budget": list(preview.over), "receivers": lines,
                  "contact_points": [one.label for one in contacts.to_send(attempt.points)]},
        )
    )  # fmt: skip
    if answered.answer == preview.expects:
        return
    if context.resumed and _covers(answered.answer, preview):
        return
    if context.resumed and answered.answer != "no":
        why, remedy = "other people are on call than those who were confirmed", "Test again, and confirm anew"
        attempt.untestable += tuple(
            planning.Untestable(
                leg.receiver, "unconfirmed", Verdict.INCONCLUSIVE, why, remedy, tuple(c.kind for c in leg.channels)
            )
            for alert in fresh
            for leg in alert.legs
        )
        for point in attempt.points:
            point.spare(Verdict.INCONCLUSIVE, why, remedy)
        fresh.clear()
        return
    attempt.declined_by = answered.person or "the operator"
    for point in attempt.points:
        point.spare(Verdict.FAILED, f"declined by {attempt.declined_by}", "Test again, and confirm")
    attempt.untestable += tuple(
        planning.Untestable(
            leg.receiver, "declined", Verdict.FAILED, f"declined by {attempt.declined_by}", "Test again, and confirm",
            leg.integrations,
        )
        for alert in alerts
        for leg in alert.legs
    )  # fmt: skip


def _of(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shared(alert: planning.PlannedAlert) -> str:
    receivers = " and ".join(leg.receiver for leg in alert.legs)
    return f"One of them reaches {receivers} at once: your routes send such an alert to each."


def _covers(answer: str, preview: planning.Preview) -> bool:
    """Whether what was typed before a crash names exactly the people who would be paged now."""
    suffix = ", over budget"
    same = answer.removesuffix(suffix) == preview.expects.removesuffix(suffix)
    return same and (answer.endswith(suffix) or not preview.over)


def _dry(leg: Leg) -> planning.Untestable:
    why, remedy = DRY_RUN
    kinds = tuple(one.kind for one in leg.channels)
    return planning.Untestable(leg.receiver, "dry_run", Verdict.INCONCLUSIVE, why, remedy, kinds)


# --- the result ------------------------------------------------------------------------------------------------------


def _result(context: Context, attempt: Attempt) -> Result:
    watch = attempt.watch
    fired = [alert for alert in watch.alerts if alert.phase != "unsent"]
    ruled = [*attempt.rule_left, *(attempt.rule_watch.alerts if attempt.rule_watch else ())]
    legs = [leg for alert in fired for leg in alert.legs]
    probed = {leg.receiver for leg in legs if leg.purpose == "acknowledge"}
    found = report.Findings(
        legs=legs,
        untestable=[one for one in attempt.untestable if one.receiver not in probed],
        cleared={key: probe.cleared for key, probe in context.state.probes.items() if probe.cleared is not None},
        rota=watch.rota,
        skews=watch.skews,
        preview=attempt.preview,
        sla=watch.limits.sla,
        started_at=min([attempt.started_at, *(alert.starts_at for alert in fired)]),
        finished_at=context.now(),
        labels={leg.id: alert.labels for alert in (*fired, *ruled) for leg in alert.legs},
        dry=attempt.dry,
        declined_by=attempt.declined_by,
        by_rule=[leg for alert in ruled if alert.phase != "unsent" for leg in alert.legs],
        paths=routes.data(attempt.config, attempt.simulated, context.config.alerts),
        watchdog={} if attempt.heartbeat is None else watchdog.data(attempt.heartbeat),
        contact_points=contacts.data(attempt.points, watch.limits),
    )
    beat = () if attempt.heartbeat is None else (watchdog.judge(attempt.heartbeat),)
    grafana = contacts.criteria(attempt.points, watch.limits)
    criteria = (*attempt.extra, *report.criteria(found), *beat, *grafana)
    gaps = _gaps(context, found, criteria)
    return Result(_summary(found, criteria), criteria, report.data(found), gaps)


def _gaps(context: Context, found: report.Findings, criteria: Sequence[Criterion]) -> tuple[f.GapFound, ...]:
    """A backlog entry for each path that is not proved, and for each thing that a reader must know of one that is.

    A dry run, or one that nobody agreed to, says nothing about the paths: entries stay as they were.
    """
    if found.dry or found.declined_by:
        return ()
    rows: list[tuple[str, str, str, Literal["blocks", "warns"]]] = [
        (one.id, one.id.partition(":")[2], f"{one.title}: {one.actual}", "blocks")
        for one in criteria
        if not one.verdict.lets_go_on
    ]
    rows += [
        (f"alert_paths.{one.problem}:{leg.receiver}", leg.receiver, f"{leg.receiver}: {one.detail}", "warns")
        for leg in found.acknowledging
        for one in leg.problems
        if not one.blocks
    ]
    policy_of = {leg.receiver: leg.policy_id for leg in found.legs if leg.policy_id}
    return with_resolved(
        context.state,
        "2.2",
        [
            f.GapFound(
                id=id_, step="2.2", title=title, subject=subject, due="next release cycle", severity=severity,
                owner=_owner(context, policy_of.get(subject, subject)),
            )
            for id_, subject, title, severity in rows
        ],
    )  # fmt: skip


def _owner(context: Context, policy_id: str) -> str:
    """The team whose policy it is, else who owns the alert-path test, else the first team."""
    owners = context.config.owners
    own = next((name for name, owner in owners.items() if owner.policy and owner.policy == policy_id), "")
    tester = context.config.schedule.alert_paths.owner
    return own or (tester if tester in owners else "") or owner_for_gap(None, context.config)


def _summary(found: report.Findings, criteria: Sequence[Criterion]) -> str:
    if any(not one.verdict.lets_go_on for one in criteria):
        return not_passed(criteria)
    slowest = max(took.latest for leg in found.acknowledging if (took := leg.took("t6")) is not None)
    paths, policies = len(found.acknowledging), len(found.escalating)
    return (
        f"{paths} alert paths reach a person who acknowledges within {duration(found.sla)} (slowest: {slowest:.1f} s); "
        f"{policies} escalations work"
    )


def _cannot(what: str, actual: str, remedy: str) -> Result:
    """Not even a plan: one criterion that says why."""
    broken = criterion(
        f"alert_paths.{what}", "Alert paths can be tested", Verdict.ERROR, actual, remedy=f"{remedy}, then test again",
        required="every Alertmanager peer and its configuration",
    )  # fmt: skip
    return Result(actual, (broken,), {})


def _peers_differ(peers: Sequence[PeerStatus], config: routing.RoutingConfig) -> Criterion:
    """With the fields that a peer is too old for, where that may be why."""
    names = ", ".join(one.peer for one in peers)
    old = [f"{one.peer}: {said}" for one in peers for said in routing.unknown_to(config, one.version)]
    return criterion(
        "alert_paths.peers", "Every Alertmanager peer runs the same configuration", Verdict.FAILED,
        "; ".join([f"the configurations of {names} differ", *old]), required="one configuration",
        remedy="Upgrade the peers that are too old" if old else "Reload the peers that were left behind",
    )  # fmt: skip
