"""3.2 Correlate alerts with incidents: which rules told the truth, what was missed, and what a person decides on it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.actions import past_alerts, tuning, tuning_decisions, tuning_report
from ray_tui.actions.past_alerts import REPORT, Past
from ray_tui.actions.services import effective_services, owner_for_gap, with_resolved
from ray_tui.actions.tuning_decisions import Decision, Need, service_of, share_data
from ray_tui.actions.tuning_report import percent
from ray_tui.analysis import episodes, wilson
from ray_tui.analysis.wilson import Share
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.ports import Incident
from ray_tui.core.verdicts import Criterion, Finding, Verdict
from ray_tui.step import Context, Header, Result, criterion


async def run(context: Context) -> Result:
    """Read the past, match it, ask for a decision on every gap. An unresolved gap halts."""
    past = await past_alerts.read(context)
    if any(not one.verdict.lets_go_on for one in past.criteria):
        return _unread(past)
    heard, foreign = past_alerts.heard(context, past)
    ours, unattributed, probes = past_alerts.incidents(context, past, heard.kept)
    found = episodes.match(
        heard.kept, ours, context.config.thresholds.correlation_grace_seconds, tuning.aliases(context.config)
    )
    target = context.config.thresholds.precision
    shares = {rule.alert: wilson.precision(rule.true, rule.n, target) for rule in found.rules}
    counted = [one for one in found.incidents if one.incident.started_at >= past.window.start]
    inside = [one for one in counted if not past_alerts.worked_on(context, one.incident)]
    missed = [one for one in inside if one.missed]
    needs = await tuning_decisions.find_needs(context, past, found, shares, missed)
    decisions = await tuning_decisions.decide(context, needs)
    insufficient = [rule for rule in found.rules if shares[rule.alert].finding is Finding.INSUFFICIENT]
    overall = wilson.precision(sum(rule.true for rule in found.rules), len(heard.kept), target)
    gaps = [*(_gap(need, decisions[need.slug]) for need in needs), *_thin(context, past, insufficient)]
    if overall.finding is Finding.INSUFFICIENT:
        gaps.append(_too_few(context, overall))
    attribution = _attribution(past, ours, unattributed)
    criteria = [*past.criteria, attribution, *_judged(needs, decisions, found.rules, inside)]
    recall = wilson.precision(sum(not one.missed for one in inside), len(inside), target)
    data = {
        "window": _window_data(past),
        "rules": [_rule_row(rule, shares[rule.alert], past, needs, decisions) for rule in found.rules],
        "proposals": [
            {**proposal, "accepted": decision.action.startswith("accepted") if decision.action else None,
             "state": decision.state}
            for need in needs
            if (proposal := (decision := decisions[need.slug]).proposal or need.proposal) is not None
        ],
        "missed": [_missed_row(one, needs, decisions) for one in missed],
        "recall": recall.value,
        "recall_share": share_data(recall),
        "precision": overall.value,
        "precision_share": share_data(overall),
        "incidents": len(inside),
        "episodes": len(heard.kept),
        "excluded": {
            "probes": heard.probes, "silenced": heard.silenced, "maintenance": heard.maintenance,
            "elsewhere": foreign, "probe_incidents": probes, "unattributed_incidents": len(unattributed),
            "maintenance_incidents": len(counted) - len(inside),
        },
        "maintenance": [one.model_dump(mode="json") for one in context.config.maintenance],
        "unattributed": [{"incident": one.id, "title": one.title, "service": one.service} for one in unattributed],
        "gaps": [
            {"id": gap.id, "subject": gap.subject, "title": gap.title, "status": gap.status,
             "reference": gap.reference} for gap in gaps
        ],
        "decisions": [
            {"criterion": f"correlate.gaps:{need.slug}", "kind": need.kind, "subject": need.subject,
             "why": need.why, "action": decisions[need.slug].action, "state": decisions[need.slug].state}
            for need in needs
        ],
        "notes": past.notes,
    }  # fmt: skip
    open_ = sum(not decision.resolved for decision in decisions.values())
    said = f"{len(heard.kept)} episodes, {len(inside)} incidents, precision {percent(overall.value)}"
    return Result(
        f"{said}; {open_} of {len(needs)} gaps unresolved",
        tuple(criteria),
        data,
        with_resolved(context.state, context.step, gaps),
    )


def _unread(past: Past) -> Result:
    bad = [one.actual for one in past.criteria if not one.verdict.lets_go_on]
    data = {
        "window": _window_data(past), "rules": [], "proposals": [], "missed": [], "recall": None,
        "recall_share": None, "precision": None, "precision_share": None, "incidents": len(past.incidents),
        "episodes": 0, "excluded": {}, "unattributed": [], "maintenance": [], "gaps": [], "decisions": [],
        "notes": past.notes,
    }  # fmt: skip
    return Result("; ".join(bad), tuple(past.criteria), data)


def _attribution(past: Past, ours: Sequence[Incident], unattributed: Sequence[Incident]) -> Criterion:
    """Incidents of other teams are left out; but when every incident is, the names do not fit."""
    lost = bool(unattributed) and not ours
    names = sorted({one.service or "(no service)" for one in unattributed})
    actual = f"{len(ours)} incidents belong to services of the catalogue"
    if unattributed:
        actual += f"; {len(unattributed)} do not ({', '.join(names[:8])})"
    return criterion(
        "correlate.attribution", "Incidents belong to services", Verdict.INCONCLUSIVE if lost else Verdict.PASSED,
        actual, required="not all of them elsewhere", evidence=(REPORT,),
        remedy="Name the services as the incidents do: [services.X.names], or [owners.X] policy." if lost else "",
    )  # fmt: skip


# --- what came of it -------------------------------------------------------------------------------------------------


def _judged(
    needs: Sequence[Need],
    decisions: Mapping[str, Decision],
    records: Sequence[episodes.RuleRecord],
    incidents: Sequence[episodes.IncidentRecord],
) -> list[Criterion]:
    """A gap that nobody has answered for fails. Too few cases are a finding with a backlog entry: no block."""
    rules = sum(rule.n >= wilson.MINIMUM for rule in records)
    if not needs:
        actual = (
            f"none of {rules} rules with {wilson.MINIMUM} episodes is noisy, "
            f"none of {len(incidents)} incidents was missed without an action"
        )
        if not rules and not incidents:
            actual = "insufficient, see the backlog: no incident, and no rule has enough episodes to be judged"
        return [criterion("correlate.gaps", "No unresolved monitoring gap", Verdict.PASSED, actual, evidence=(REPORT,))]
    return [
        criterion(
            f"correlate.gaps:{need.slug}",
            "Alert noise" if need.kind == "noisy" else "Missed incident",
            Verdict.PASSED if decisions[need.slug].resolved else Verdict.FAILED,
            f"{need.subject}: {need.why}; {decisions[need.slug].state}",
            required="accepted, rejected with a reason, or filed", evidence=(REPORT,),
            remedy="" if decisions[need.slug].resolved else "Retry, and accept, reject with a reason, or file it.",
        )
        for need in needs
    ]  # fmt: skip


def _gap(need: Need, decision: Decision) -> f.GapFound:
    """A noisy rule or missed incident as a backlog entry: closed once nobody has to do anything more."""
    closed = decision.resolved and (decision.state == "applied" or decision.action.startswith("rejected"))
    title = f"{need.subject}: tune this noisy rule" if need.kind == "noisy" else f"Detect what {need.subject} was"
    return f.GapFound(
        id=f"correlate:{need.slug}", step="3.2", title=f"{title} ({decision.state})", subject=need.service,
        owner=need.owner, due="next release cycle", severity="warns" if decision.resolved else "blocks",
        status="resolved" if closed else "open", reference=decision.action,
    )  # fmt: skip


def _thin(context: Context, past: Past, rules: Sequence[episodes.RuleRecord]) -> list[f.GapFound]:
    services = effective_services(context.config, context.state)
    by_name = {rule.name: service_of(rule, context) for rule in past.rules}
    return [
        f.GapFound(
            id=f"correlate:insufficient-{tuning.slug(rule.alert)}", step="3.2",
            title=f"{rule.alert}: {rule.n} episodes are too few to judge its precision",
            subject=by_name.get(rule.alert, ""),
            owner=owner_for_gap(services.get(by_name.get(rule.alert, "")), context.config),
            due="next release cycle", severity="info",
        )
        for rule in rules
    ]  # fmt: skip


def _too_few(context: Context, overall: Share) -> f.GapFound:
    return f.GapFound(
        id="correlate:insufficient", step="3.2", title=f"Alert precision could not be judged: {overall.why}",
        subject="alert precision", owner=owner_for_gap(None, context.config), due="next release cycle", severity="info",
    )  # fmt: skip


def _rule_row(
    rule: episodes.RuleRecord, share: Share, past: Past, needs: Sequence[Need], decisions: Mapping[str, Decision]
) -> dict[str, Any]:
    need = next((one for one in needs if one.kind == "noisy" and one.subject == rule.alert), None)
    status = share.finding.value
    if need is not None:
        status = decisions[need.slug].action.partition(":")[0] or "noisy"
    return {
        "rule": rule.alert, "n": rule.n, "true": rule.true, "false": rule.false, "precision": share.value,
        "low": share.low, "high": share.high, "finding": share.finding.value, "duplicates": rule.duplicates,
        "flaps": rule.flaps, "time_to_detect": rule.time_to_detect_seconds,
        "pages_per_week": episodes.pages_per_week(rule.n, past.window.seconds), "status": status,
    }  # fmt: skip


def _missed_row(
    record: episodes.IncidentRecord, needs: Sequence[Need], decisions: Mapping[str, Decision]
) -> dict[str, Any]:
    one = record.incident
    need = next((each for each in needs if each.kind == "missed" and each.subject == one.id), None)
    action = one.action.strip() or (decisions[need.slug].action if need else "")
    return {"incident": one.id, "title": one.title, "service": one.service, "started_at": iso(one.started_at),
            "severity": one.severity, "source": one.source, "action": action}  # fmt: skip


def _window_data(past: Past) -> dict[str, Any]:
    window = past.window
    return {"start": iso(window.start), "end": iso(window.end), "days": window.seconds / 86_400,
            "step_seconds": window.step, "covered": past.covered}  # fmt: skip


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """``alert-tuning-report.md``."""
    return tuning_report.documents(data, header)
