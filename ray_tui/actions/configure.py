"""2.1: put the release's dashboards, alerts and SLO rules in place, and prove on live data that they work."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.actions import alert_checks, configure_report, dashboard_checks, loaded_rules, monitoring_plan
from ray_tui.actions import monitoring_apply as applying
from ray_tui.actions.dashboard_checks import CheckedBoard
from ray_tui.actions.foreseen import failures
from ray_tui.actions.monitoring_apply import Applied
from ray_tui.actions.monitoring_plan import Current, Desired, Item
from ray_tui.actions.panel_queries import Asker
from ray_tui.actions.services import effective_services, with_resolved
from ray_tui.analysis import slo
from ray_tui.analysis.rule_files import format_duration
from ray_tui.core import facts as f
from ray_tui.core.counted import counted
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import Dashboards, LoadedRule
from ray_tui.core.readings import Reading
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Ask, Context, Header, Result, criterion

EVIDENCE = ("dashboard-config.json",)
MAY_APPLY = ("sre-lead", "operator")
"""Whose yes lets the plan change live monitoring, where [people] says who is who."""


@dataclass
class Attempt:
    """What this attempt has found out so far; a result is made of it wherever it ends."""

    desired: Desired
    items: tuple[Item, ...] = ()
    applied: Applied | None = None
    criteria: list[Criterion] = field(default_factory=list)
    gaps: list[f.GapFound] = field(default_factory=list)
    unchecked: set[str] = field(default_factory=set)
    """Ids of backlog entries that this attempt has not looked at yet: at first all."""
    alerts: list[dict[str, Any]] = field(default_factory=list)
    boards: list[dict[str, Any]] = field(default_factory=list)
    loaded_equals_written: bool | None = None
    """None while it was not looked at, and where there is nothing to compare."""
    annotation: dict[str, Any] | None = None


async def run(context: Context) -> Result:
    """Plan, confirm, apply, and check what is live. Nothing is touched before a person has said yes."""
    await context.progress("reading rules, SLOs and dashboards of the release")
    desired = await asyncio.to_thread(monitoring_plan.read_desired, context.inputs, context.config)
    attempt = Attempt(desired, criteria=[_inputs(desired)], unchecked=set(context.state.backlog))
    if not desired.problems and await _put_in_place(context, attempt):
        await _validate(context, attempt)
    return _result(context, attempt)


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """``dashboard-config.md``: links, thresholds, routing, SLOs and the plan."""
    return {"dashboard-config.md": configure_report.markdown(data, header)}


# --- plan, confirm, apply --------------------------------------------------------------------------------------------


def _inputs(desired: Desired) -> Criterion:
    """A problem cannot be waived: what is written would be another thing than what was meant."""
    verdict, actual = Verdict.PASSED, f"{counted(len(desired.read), 'file')} read: {alert_checks.named(desired.read)}"
    remedy = "Correct the file at the line that is named; nothing was changed"
    if not desired.read:
        verdict, actual = Verdict.INCONCLUSIVE, "none is named: what the release wants is not known"
        remedy = "Name its files under [paths] rules, slos and dashboards, run 2.1 again"
    if desired.problems:
        verdict, actual = Verdict.FAILED, alert_checks.named(desired.problems)
    return criterion(
        "configure.inputs", "The release's monitoring files are sound", verdict, actual,
        required="every rule file, SLO and dashboard under [paths] can be read and would be accepted",
        evidence=EVIDENCE, waivable=not desired.problems, remedy=remedy,
    )  # fmt: skip


async def _put_in_place(context: Context, attempt: Attempt) -> bool:
    """Whether what is live may be looked at: nothing of the plan is missing. Its criterion is in ``attempt``."""
    desired, ports = attempt.desired, context.ports
    if ports.metrics is None:
        why = "no [metrics] is configured: what is loaded could not be read back"
        _applied(attempt, Verdict.INCONCLUSIVE, why, "Name the metrics server in [metrics]")
        return False
    try:
        if context.resumed:
            await applying.reconcile(context)
        await context.progress("comparing with what is live")
        current = await monitoring_plan.read_current(ports, desired, applying.tags(context.config.run))
    except BackendError as exc:
        _applied(
            attempt, Verdict.ERROR, f"no plan could be made, nothing was changed: {exc}", "Repair it, run 2.1 again"
        )
        return False
    attempt.items = monitoring_plan.make(desired, current, context.config.run.release)
    attempt.annotation = _annotation(context, current)
    why_not = monitoring_plan.problems(desired, current, ports)
    if why_not:
        said = f"{alert_checks.named(why_not)}; nothing was changed"
        _applied(attempt, Verdict.FAILED, said, "Correct the configuration or the files, run 2.1 again")
        return False
    return await _carry_out(context, attempt, current)


async def _carry_out(context: Context, attempt: Attempt, current: Current) -> bool:
    if not attempt.items:
        _applied(
            attempt, Verdict.INCONCLUSIVE, "there is no plan: the release names no file", "Name them under [paths]"
        )
        return True
    changes = [item for item in attempt.items if item.action != "unchanged"]
    if not changes:
        _applied(attempt, Verdict.PASSED, "nothing to change: everything stands as the release wants it")
        return True
    loads = {item.name for item in changes if item.kind == "rules"}
    foreseen = await failures(context, [file for file in attempt.desired.rules if file.name in loads])
    answered = await context.ask(_question(context, attempt.desired, attempt.items, changes, foreseen))
    if answered.answer != "yes":
        reason = f": {answered.reason}" if answered.reason else ""
        said = f"declined by {answered.person or 'somebody'}{reason}; nothing was changed"
        _applied(attempt, Verdict.FAILED, said, "Agree on the plan, run 2.1 again")
        return False
    attempt.applied = await applying.apply(context, attempt.desired, current, attempt.items)
    remedy = f"{attempt.applied.todo or 'Mend what is named'}; then run 2.1 again"
    if attempt.applied.left:
        remedy = f"Set right by hand: {alert_checks.named(attempt.applied.left)}; then run 2.1 again"
    _applied(attempt, attempt.applied.verdict, attempt.applied.actual, remedy)
    return attempt.applied.verdict is Verdict.PASSED


def _applied(attempt: Attempt, verdict: Verdict, actual: str, remedy: str = "") -> None:
    attempt.criteria.append(
        criterion(
            "configure.applied", "The plan is carried out", verdict, actual, remedy=remedy, evidence=EVIDENCE,
            required="rules, dashboards and the release annotation stand as the release wants them",
        )
    )  # fmt: skip


def _question(context: Context, desired: Desired, items: Sequence[Item], changes: Sequence[Item], foreseen: str) -> Ask:
    """The plan to agree to. After a crash, files that have changed meanwhile are another question."""
    before = context.state.prompts.get(f"{context.step}#{context.attempt}:apply")
    digest = desired.digest
    same = before is None or before.raised.data.get("desired_sha256") == digest
    signs = {"create": "+", "update": "~"}
    kept = "Each change is read back; if one fails, all are rolled back."
    listed = "\n".join(f"{signs[item.action]} {item.kind} {item.name}: {item.detail}" for item in changes)
    return Ask(
        name="apply" if same else f"apply:{digest[:8]}",
        prompt="confirm",
        title=f"Apply {len(changes)} changes to the live monitoring of {context.config.run.environment}?",
        text="\n\n".join(part for part in (listed, foreseen, kept) if part),
        roles=MAY_APPLY if context.config.people else (),
        data={
            "plan": [item.as_json() for item in items],
            "diff": monitoring_plan.all_diffs(changes),
            "desired_sha256": digest,
        },
    )


def _annotation(context: Context, current: Current) -> dict[str, Any] | None:
    if current.annotated is None:
        return None
    tags = applying.tags(context.config.run)
    return {"text": applying.annotation_text(context), "tags": list(tags), "was_there": current.annotated}


# --- what is live ----------------------------------------------------------------------------------------------------


async def _validate(context: Context, attempt: Attempt) -> None:
    try:
        await _validate_alerts(context, attempt)
    except BackendError as exc:
        attempt.criteria.append(_broken("configure.loaded", "Loaded rules are the written ones", exc))
    try:
        await _validate_boards(context, attempt)
    except BackendError as exc:
        attempt.criteria.append(_broken("configure.dashboards", "Required dashboards are found", exc))


def _broken(id_: str, title: str, error: BackendError) -> Criterion:
    return criterion(
        id_, title, Verdict.ERROR, str(error), required="it can be asked", evidence=EVIDENCE,
        remedy="Repair it, run 2.1 again",
    )  # fmt: skip


async def _validate_alerts(context: Context, attempt: Attempt) -> None:
    await context.progress("checking the loaded rules")
    metrics = context.ports.metrics
    assert metrics is not None, "without it nothing is applied"
    managers = await applying.until_alertmanagers(context)
    await applying.until_evaluated(context)
    loaded = await metrics.rules()
    services, label = effective_services(context.config, context.state), context.config.telemetry.service_label
    routes = await alert_checks.read_routes(context.ports.alerting)
    alerts = alert_checks.examine(loaded, routes, attempt.desired.rules, services, label, context.config.alerts)
    attempt.criteria.append(_loaded(attempt, loaded))
    attempt.criteria += alert_checks.judge(alerts, loaded, routes, services, label, context.config.alerts)
    if managers is not None:
        attempt.criteria.append(_managers(managers))
    attempt.gaps += alert_checks.gaps(alerts, routes, services, context.config, context.now())
    looked_at = {one for one in attempt.unchecked if one.startswith("alert:") and alerts}  # none at all closes nothing
    attempt.unchecked -= looked_at - alert_checks.unchecked(looked_at, routes)
    attempt.alerts = alert_checks.rows(alerts)


def _loaded(attempt: Attempt, loaded: Sequence[LoadedRule]) -> Criterion:
    files = attempt.desired.rules
    differing = loaded_rules.differences(files, loaded)
    attempt.loaded_equals_written = not differing if files else None
    written = sum(len(group.rules) for file in files for group in file.groups)
    verdict, actual = Verdict.PASSED, f"{counted(written, 'rule')} of {counted(len(files), 'file')} loaded as written"
    remedy = f"{applying.NOT_READ}; then run 2.1 again"
    if not files:
        verdict, actual = Verdict.INCONCLUSIVE, "the release names no rules: there is nothing to compare"
        remedy = "Name its rule files or SLOs under [paths], run 2.1 again"
    if differing:
        verdict, actual = Verdict.FAILED, alert_checks.named(differing)
    return criterion(
        "configure.loaded", "Loaded rules are the written ones", verdict, actual, evidence=EVIDENCE,
        required="same groups, names, expressions, durations, labels and annotations", remedy=remedy,
    )  # fmt: skip


def _managers(found: Sequence[str]) -> Criterion:
    return criterion(
        "configure.alertmanagers", "Alerts leave the metrics server", Verdict.PASSED if found else Verdict.FAILED,
        f"sends to {', '.join(found)}" if found else "it knows no Alertmanager: every alert is dropped",
        required="at least one active Alertmanager", evidence=EVIDENCE,
        remedy="Name the Alertmanagers under `alerting:` in its configuration, reload, run 2.1 again",
    )  # fmt: skip


async def _validate_boards(context: Context, attempt: Attempt) -> None:
    dashboards, metrics = context.ports.dashboards, context.ports.metrics
    assert metrics is not None, "without it nothing is applied"
    if dashboards is None:
        attempt.criteria.append(_found(0, (), "no [dashboards] is configured"))
        return
    tagged = [uid for uid, _ in await dashboards.search(dashboard_checks.REQUIRED_TAG)]
    uids = tuple(dict.fromkeys((*tagged, *(board.uid for board in attempt.desired.boards))))
    config = context.config
    setting = dashboard_checks.Setting(
        effective_services(config, context.state), config.telemetry.service_label, config.telemetry.route_label,
        await dashboards.datasources(),
    )  # fmt: skip
    asker = Asker(metrics)
    checked: list[CheckedBoard] = []
    missing: list[str] = []
    try:
        for number, uid in enumerate(uids):
            await context.progress(f"running the queries of dashboard {uid}", number, len(uids))
            one = await _check(context, dashboards, asker, uid, setting)
            if isinstance(one, str):
                missing.append(one)
                continue
            checked.append(one)
            context.observe(Reading(series=f"dashboard/{uid}", at=context.now(), value=one.score.total))
    finally:
        await asker.close()
    threshold = config.thresholds.dashboard_score
    attempt.criteria.append(_found(len(uids), missing))
    attempt.criteria += dashboard_checks.judge(checked, threshold)
    attempt.gaps += dashboard_checks.gaps(checked, setting, config, threshold)
    looked_at = {one for one in attempt.unchecked if one.startswith(("panel:", "lint:", "red-panel:"))}
    lost = [uid for uid in uids if uid not in {one.board.uid for one in checked}]
    attempt.unchecked -= looked_at - dashboard_checks.unchecked(looked_at, checked, lost)
    attempt.boards = [dashboard_checks.row(one) for one in checked]


async def _check(
    context: Context, dashboards: Dashboards, asker: Asker, uid: str,
    setting: dashboard_checks.Setting,
) -> CheckedBoard | str:  # fmt: skip
    """The dashboard checked, or why it could not be."""
    board = await dashboards.get(uid)
    if board is None:
        return f"{uid}: there is no such dashboard"
    try:
        return await dashboard_checks.check(asker, board, setting)
    except InputError as exc:
        return f"{uid}: {exc}"


def _found(count: int, missing: Sequence[str], why: str = "") -> Criterion:
    verdict = Verdict.FAILED if missing else Verdict.PASSED if count else Verdict.INCONCLUSIVE
    nothing = why or f"no dashboard is tagged {dashboard_checks.REQUIRED_TAG!r} or named under [paths] dashboards"
    actual = f"{count} required dashboards" if count else nothing
    return criterion(
        "configure.dashboards", "Required dashboards are found", verdict,
        alert_checks.named(missing) if missing else actual, evidence=EVIDENCE,
        required=f"at least one dashboard, tagged {dashboard_checks.REQUIRED_TAG!r} or named under [paths] dashboards",
        remedy="Tag what must work in Grafana, or name its JSON file; run 2.1 again",
    )  # fmt: skip


# --- the result ------------------------------------------------------------------------------------------------------


def _result(context: Context, attempt: Attempt) -> Result:
    stands = attempt.applied is None or attempt.applied.verdict is Verdict.PASSED
    data = {
        "plan": [item.as_json() for item in attempt.items],
        "dashboards": attempt.boards,
        "alerts": attempt.alerts,
        "loaded_equals_written": attempt.loaded_equals_written,
        "written": [item.name for item in attempt.items if item.kind == "rules" and item.action != "unchanged"]
        if stands and attempt.applied is not None
        else [],
        "files": list(attempt.desired.read),
        "slos": [_slo_row(one) for one in attempt.desired.slos],
        "annotation": attempt.annotation,
        "thresholds": {"dashboard_score": context.config.thresholds.dashboard_score},
    }
    criteria = tuple(attempt.criteria)
    gaps = with_resolved(context.state, context.step, attempt.gaps, attempt.unchecked)
    return Result(_summary(attempt, criteria), criteria, data, gaps)


def _slo_row(one: slo.Slo) -> dict[str, Any]:
    windows = [
        {
            "severity": window.severity, "long": format_duration(window.long_seconds),
            "short": format_duration(window.short_seconds), "budget_percent": window.budget_percent,
            "burn_rate": round(window.factor(one.period_seconds), 4),
        }
        for window in slo.BURN_WINDOWS
    ]  # fmt: skip
    alerts = [alert.name for alert in (one.page, one.ticket) if alert is not None]
    return {
        "id": one.id, "service": one.service, "name": one.name, "objective": one.objective,
        "description": one.description, "period_days": one.period_seconds / slo.DAY_SECONDS, "windows": windows,
        "alerts": list(dict.fromkeys(alerts)), "error_ratio": one.error_ratio or "",
    }  # fmt: skip


def _summary(attempt: Attempt, criteria: Sequence[Criterion]) -> str:
    bad = [one for one in criteria if not one.verdict.lets_go_on]
    if bad:
        return f"{bad[0].title}: {bad[0].actual}" + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else "")
    changed = sum(item.action != "unchanged" for item in attempt.items)
    lowest = min((board["score"] for board in attempt.boards), default=0)
    return (
        f"{changed} changes applied; {len(attempt.alerts)} alerts complete and routed; "
        f"{len(attempt.boards)} dashboards, the lowest at {lowest:g} of 100"
    )
