"""Builds the alerts of one attempt: from the plan, for an escalation, or from what a host that died had begun."""

from collections import Counter
from collections.abc import Sequence

from ray_tui.actions import probe_hooks as hooks
from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_codes import public
from ray_tui.actions.probe_judging import POLICY_MARK, SYSTEM_OF, WEBHOOKS, Channel, Leg, Limits, duration
from ray_tui.actions.probe_watch import Watch
from ray_tui.core import facts as f
from ray_tui.core.state import Probe
from ray_tui.step import Context

LIVES_LONGER = 60.0
"""What a probe's own end is later than everything that is waited for: it ends by itself if we die."""
POLICIES = "ray_tui_policies"
"""The annotation of an escalation probe that names the policies it tests."""


def run_id(context: Context) -> str:
    opened = context.state.opened
    return opened.run_id if opened else context.config.run.release


def blind(context: Context, receiver: str, kind: str) -> str:
    """Why nothing of this integration can be seen; "" where it can."""
    ports, settings = context.ports, context.config.alert_paths
    there = {"pagerduty": ports.paging, "slack": ports.chat, "email": ports.mail}
    if kind in WEBHOOKS:
        return hooks.blind(context, receiver, kind)
    if kind not in SYSTEM_OF:
        return f"what {kind} delivers cannot be seen by ray-tui"
    if there[kind] is None:
        return f"no [{SYSTEM_OF[kind]}] is configured to see what {kind} delivers"
    if kind == "slack" and receiver not in settings.slack_channels:
        return f"its Slack channel is not known ([alert_paths.slack_channels] {receiver!r} = channel id)"
    if kind == "email" and settings.mailboxes and receiver not in settings.mailboxes:
        return "its mail does not arrive in the [mail] mailbox ([alert_paths] mailboxes)"
    return ""


def unseen(context: Context, target: planning.Target) -> str:
    reasons = [blind(context, target.receiver, kind) for kind in target.integrations]
    return "; ".join(dict.fromkeys(reasons)) if reasons and all(reasons) else ""


# --- probes ----------------------------------------------------------------------------------------------------------


def _channels(context: Context, receiver: str, kinds: Sequence[str]) -> list[Channel]:
    return [
        Channel(kind, number, blind(context, receiver, kind), hooks.sink_of(context, receiver, kind))
        if kind in WEBHOOKS
        else Channel(kind, number, blind(context, receiver, kind))
        for kind, number in Counter(kinds).items()
    ]


def _annotations(context: Context, token: str, summary: str) -> dict[str, str]:
    return {
        "summary": f"[TEST] ray-tui {context.config.run.release}: {summary} ({token})",
        "description": (
            f"[TEST] Synthetic alert of run {run_id(context)}, probe {token}: it proves the alert path after a "
            "deployment. No service is affected."
        ),
        "runbook": "Nothing is broken: do what the summary says. The probe resolves itself.",
    }


def acknowledge_probe(
    context: Context, planned: planning.PlannedAlert, prefix: str, rota: planning.Rota, limits: Limits
) -> Alert:
    token = planning.token(prefix, planned.legs[0].receiver, "acknowledge")
    now = context.now()
    legs = []
    for target in planned.legs:
        paged = planning.policies_meant(target.receiver, rota) if "pagerduty" in target.integrations else ()
        pages = tuple(dict.fromkeys(f"{one.user} (level 1)" for policy in paged for one in rota.at_level(policy, 1)))
        channels = _channels(context, target.receiver, target.integrations)
        leg_id = planning.token(prefix, target.receiver, "acknowledge")
        leg = Leg(leg_id, target.receiver, "acknowledge", channels, now, pages=pages)
        _note_blind(leg)
        for warning in planned.warnings:
            leg.problem("shared_group", "t3", warning, blocks=False)
        legs.append(leg)
    annotations = _annotations(context, token, f"please acknowledge within {duration(limits.sla)}")
    lives = max(limits.sla, limits.delivery) + limits.margin + limits.patience + LIVES_LONGER
    return Alert(
        token, {**planned.labels, planning.PROBE_LABEL: token},
        {**annotations, **public(context, legs)},
        now, now + lives, legs, planned.group_interval,
    )  # fmt: skip


def _note_blind(leg: Leg) -> None:
    reasons = [channel.blind for channel in leg.channels if channel.blind]
    if reasons:
        leg.problem("unobservable", "t4", "; ".join(dict.fromkeys(reasons)))


def escalation_probe(watch: Watch, preview: planning.Preview, alert: Alert, legs: Sequence[Leg]) -> Alert | None:
    """A second probe to the same receivers, for the policies that their pages went through; None where not agreed."""
    context = watch.context
    agreed = {row.policy_id for row in preview.rows}
    tested: list[Leg] = []
    for leg in legs:
        if leg.policy_id in preview.protected:
            leg.problem("unescalated", "t7", preview.protected[leg.policy_id], blocks=False)
        elif leg.policy_id not in agreed:
            name = watch.rota.policy_name(leg.policy_id)
            leg.problem("unescalated", "t7", f"nobody agreed to page through {name}, where it led", blocks=False)
        else:
            tested.append(leg)
    if not tested:
        return None
    now, slack = context.now(), context.config.thresholds.escalation_slack_seconds
    token = planning.token(watch.prefix, tested[0].receiver, "escalate")
    probes = []
    for leg in tested:
        people = [(one.user, level) for level in (1, 2) for one in watch.rota.at_level(leg.policy_id, level)]
        expected = next(one.expected for one in leg.channels if one.kind == "pagerduty")
        probes.append(
            Leg(
                planning.token(watch.prefix, leg.receiver, "escalate"), leg.receiver, "escalate",
                [Channel("pagerduty", expected)], now, watch.rota.first_delay(leg.policy_id) + slack,
                pages=tuple(f"{user} (level {level})" for user, level in people), policy_id=leg.policy_id,
            )
        )  # fmt: skip
    longest = max(leg.escalation_limit for leg in probes)
    lives = watch.limits.delivery + longest + watch.limits.margin + watch.limits.patience + LIVES_LONGER
    annotations = _annotations(context, token, "escalation probe: do not acknowledge at level 1")
    annotations[POLICIES] = ",".join(leg.policy_id for leg in probes)
    labels = {**alert.labels, planning.PROBE_LABEL: token}
    return Alert(token, labels, annotations, now, now + lives, probes, alert.group_interval)


# --- taking up after a crash -----------------------------------------------------------------------------------------


def taken_up(context: Context, prefix: str, rota: planning.Rota) -> list[Alert]:
    """The probes of this attempt that a host which died had begun, with everything that it had seen."""
    by_alert: dict[str, list[Probe]] = {}
    for probe in context.state.probes.values():
        if probe.intended.id.startswith(prefix):
            by_alert.setdefault(probe.intended.labels[planning.PROBE_LABEL], []).append(probe)
    return [_taken_up_one(context, token, probes, rota) for token, probes in by_alert.items()]


def _taken_up_one(context: Context, token: str, probes: Sequence[Probe], rota: planning.Rota) -> Alert:
    """Watched on where an answer to its send is on record, looked up first where none is, left alone when cleared."""
    first = probes[0].intended
    policies = first.annotations.get(POLICIES, "").split(",")
    slack = context.config.thresholds.escalation_slack_seconds
    legs = []
    for number, probe in enumerate(probes):
        known = probe.intended
        leg = Leg(
            known.id, known.receiver, known.purpose, _channels(context, known.receiver, known.integrations),
            known.starts_at, hops=_hops_of(probe), problems=list(probe.problems), pages=known.pages, how=known.how,
        )  # fmt: skip
        arrived = leg.hops.get("t4")
        if arrived is not None and arrived.detail.startswith(POLICY_MARK):
            leg.policy_id = arrived.detail.removeprefix(POLICY_MARK)
        if known.purpose == "escalate":
            leg.policy_id = leg.policy_id or (policies[number] if number < len(policies) else "")
            leg.escalation_limit = rota.first_delay(leg.policy_id) + slack
        leg.done = probe.cleared is not None
        legs.append(leg)
    alert = Alert(token, dict(first.labels), dict(first.annotations), first.starts_at, first.ends_at, legs)
    alert.how = first.how
    if all(leg.done for leg in legs):
        alert.phase = "cleared"
    else:
        answered = any("t0" in leg.hops or leg.has("unsent", "peer_down", "unknown", "interrupted") for leg in legs)
        alert.phase = "watching" if answered else "unsure"
    return alert


def _hops_of(probe: Probe) -> dict[str, f.ProbeHopSeen]:
    return {
        hop: f.ProbeHopSeen(
            id=probe.intended.id, hop=hop, earliest=seen.earliest, latest=seen.latest, source=seen.source,
            who=seen.who, detail=seen.detail,
        )
        for hop, seen in probe.hops.items()
    }  # fmt: skip


def join(watch: Watch, planned: Sequence[Alert]) -> list[Alert]:
    """The planned alerts that no host has begun; a leg that a torn write lost joins the alert that was begun."""
    begun = {alert.token: alert for alert in watch.alerts}
    fresh = []
    for alert in planned:
        known = begun.get(alert.token)
        if known is None:
            fresh.append(alert)
            continue
        for leg in alert.legs:
            if leg.id not in {one.id for one in known.legs} and known.phase != "cleared":
                leg.starts_at = known.starts_at
                leg.news.insert(0, watch.intended(known, leg))
                known.legs.append(leg)
    return fresh
