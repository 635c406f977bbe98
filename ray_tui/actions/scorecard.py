"""3.3 Publish the observability scorecard: what was promised, what was measured, and what is left at risk."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any, Literal

from ray_tui.actions.services import effective_services, owner_for_gap, with_resolved
from ray_tui.analysis import promql, red, slo, wilson
from ray_tui.analysis.rule_files import format_duration
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Metrics
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Finding, Verdict
from ray_tui.evidence import text
from ray_tui.step import Context, Header, Result, criterion

EVIDENCE = "observability-scorecard.json"
COVERED = 0.9
"""An attainment over less of the window than this is shown as insufficient."""
LOOK_SECONDS = 3600.0
"""Window coverage: in each such stretch, was there anything to judge?"""
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
Status = Literal["ok", "missed", "insufficient"]
_SIGNS: dict[str, str] = {"ok": "✅", "missed": "❌", "insufficient": "❔ insufficient"}


@dataclass(frozen=True)
class Row:
    """One line of the card. What could not be measured is ``insufficient``, never ``ok``."""

    metric: str
    target: str
    actual: str
    status: Status
    subject: str = ""

    def as_json(self) -> dict[str, Any]:
        finding = {"ok": Finding.OK, "missed": Finding.DEGRADED, "insufficient": Finding.INSUFFICIENT}[self.status]
        return {"metric": self.metric, "target": self.target, "actual": self.actual, "status": self.status,
                "finding": finding.value, "subject": self.subject}  # fmt: skip


@dataclass(frozen=True)
class Objective:
    """What is promised of one service: ``ratio`` is PromQL of the share of failed events over ``{{.window}}``."""

    service: str
    name: str
    percent: float
    ratio: str


@dataclass(frozen=True)
class Attained:
    """How an objective was met. ``share`` is None where nothing could be measured; ``covered`` likewise."""

    share: float | None
    covered: float | None
    why: str = ""


async def run(context: Context) -> Result:
    """Measure every row; findings never block, a card that cannot be computed does."""
    state, thresholds = context.state, context.config.thresholds
    rows: list[Row] = []
    trouble = ""
    try:
        rows += await _attainment(context)
    except BackendError as exc:
        trouble = str(exc)
        rows.append(Row("SLO attainment", f"≥ {_percent(thresholds.slo_target)}", "not measured", "insufficient"))
    rows += _alert_rows(state, thresholds.precision)
    rows.append(_coverage_row(state, thresholds.coverage))
    rows.append(_dashboard_row(state, thresholds.dashboard_score))
    rows.append(_acknowledgement_row(state, thresholds.ack_sla_seconds))
    gaps = with_resolved(state, context.step, _missed(context, rows))
    risks = _risks(state, gaps)
    rows.append(_risk_row(risks))
    measured = sum(row.status != "insufficient" for row in rows[:-1])
    verdict = Verdict.ERROR if trouble else Verdict.PASSED if measured else Verdict.INCONCLUSIVE
    counts = {status: sum(row.status == status for row in rows) for status in _SIGNS}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    computed = criterion(
        "scorecard.computed", "Scorecard computed", verdict, trouble or f"{len(rows)} rows: {summary}",
        required="at least one figure measured, no source failed", evidence=(EVIDENCE,),
        remedy="" if verdict is Verdict.PASSED else "Repair the metrics store and the steps before, then retry.",
    )  # fmt: skip
    data = {"rows": [row.as_json() for row in rows], "risks": risks, "counts": counts,
            "window_days": thresholds.correlation_days}  # fmt: skip
    return Result(summary, (computed,), data, gaps)


# --- SLO attainment --------------------------------------------------------------------------------------------------


def objectives(context: Context) -> list[Objective]:
    """The SLOs of 2.1, then the configured target for critical services that have none."""
    data = context.state.steps["2.1"].data.get("slos")
    found = []
    for row in data if isinstance(data, list | tuple) else ():
        percent = row.get("objective") if isinstance(row, Mapping) else None
        if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 < percent <= 100:
            found.append(
                Objective(
                    str(row.get("service", "")), str(row.get("name", "")), float(percent),
                    str(row.get("error_ratio") or ""),
                )
            )  # fmt: skip
    with_slo = {one.service for one in found}
    names = context.config.telemetry
    for service in effective_services(context.config, context.state).values():
        if not (service.critical and service.serves_requests) or service.name in with_slo:
            continue
        labels = context.config.names_of(service.name, "metrics")
        failed = red.selector(names.requests, [labels], names.errors)
        every = red.selector(names.requests, [labels])
        ratio = f"sum(rate({failed}[{{{{.window}}}}])) / sum(rate({every}[{{{{.window}}}}]))"
        target = round(100 * context.config.thresholds.slo_target, 6)
        found.append(Objective(service.name, "availability", target, ratio))
    return found


async def _attainment(context: Context) -> list[Row]:
    """Attainment, budget left and window coverage of each objective. Raises BackendError."""
    wanted = objectives(context)
    target = f"≥ {_percent(context.config.thresholds.slo_target)}"
    if not wanted:
        said = "no SLO is defined and no critical service serves requests"
        return [Row("SLO attainment", target, said, "insufficient")]
    if context.ports.metrics is None:
        return [Row("SLO attainment", target, "no [metrics] are configured", "insufficient")]
    rows = []
    for number, one in enumerate(wanted, 1):
        await context.progress(f"SLO {one.service}/{one.name}", number, len(wanted))
        seconds = context.config.thresholds.correlation_days * 86_400
        rows += slo_rows(one, await _measure(context.ports.metrics, one, context.now(), seconds), seconds)
    return rows


async def _measure(metrics: Metrics, one: Objective, now: float, seconds: float) -> Attained:
    """One query over the whole window weighs every event alike; a second one shows how much of it has data."""
    if not one.ratio:
        return Attained(None, None, "its error ratio is not known")
    try:
        whole, part = (
            _WINDOW.sub(window, one.ratio) for window in (format_duration(seconds), red.seconds(LOOK_SECONDS))
        )
        promql.parse(whole)
    except promql.PromqlError as exc:
        return Attained(None, None, str(exc))
    answer = await metrics.query(whole, now)
    looks = max(1, int(seconds // LOOK_SECONDS))
    history = await metrics.query_range(part, now - (looks - 1) * LOOK_SECONDS, now, LOOK_SECONDS)
    if answer.warnings or history.warnings:
        return Attained(None, None, "the answer may be partial: " + "; ".join((*answer.warnings, *history.warnings)))
    if len(answer.samples) != 1:
        said = "no data" if not answer.samples else f"{len(answer.samples)} series where one was expected"
        return Attained(None, None, said)
    failed = answer.samples[0].value
    if not isfinite(failed) or not 0 <= failed <= 1:
        return Attained(None, None, f"an error ratio of {failed:g} is none")
    seen = {at for series in history.series for at, value in series.points if isfinite(value)}
    return Attained(slo.attainment(1 - failed, 1.0), min(1.0, len(seen) / looks))


def slo_rows(one: Objective, found: Attained, seconds: float) -> list[Row]:
    """The three lines of one objective."""
    name, days = f"{one.service}/{one.name}", f"{seconds / 86_400:g} d"
    target = f"≥ {one.percent:g}%"
    if found.share is None or found.covered is None:
        return [
            Row(f"SLO attainment: {name}", target, found.why or "no data", "insufficient", one.service),
            Row(f"Error budget left: {name}", "> 0%", "not measured", "insufficient", one.service),
            Row(f"Window coverage: {name}", f"≥ {COVERED:.0%}", f"none of {days}", "insufficient", one.service),
        ]
    enough = found.covered >= COVERED
    left = slo.budget_left(one.percent, found.share, 1.0)
    met = found.share >= one.percent / 100
    spent = "not measured" if left is None else f"{left:.1%}" if isfinite(left) else "overspent"

    def status(good: bool) -> Status:
        return ("ok" if good else "missed") if enough else "insufficient"

    over = f"over {found.covered:.0%} of {days}"
    return [
        Row(f"SLO attainment: {name}", target, f"{_floor(found.share)} {over}", status(met), one.service),
        Row(f"Error budget left: {name}", "> 0%", spent, status(left is not None and left > 0), one.service),
        Row(
            f"Window coverage: {name}",
            f"≥ {COVERED:.0%}",
            over.removeprefix("over "),
            "ok" if enough else "insufficient",
            one.service,
        ),
    ]


def _floor(share: float) -> str:
    """Three decimals, rounded down: 99.9996% must not read as 100%."""
    return f"{int(share * 100_000 + 1e-9) / 1000:.3f}%"


# --- the other rows --------------------------------------------------------------------------------------------------


def _alert_rows(state: RunState, target: float) -> list[Row]:
    data = state.steps["3.2"].data
    rows = []
    for metric, key, wanted in (
        ("Alert Precision", "precision_share", target),
        ("Alert Recall", "recall_share", target),
    ):
        share = data.get(key)
        goal = f"≥ {wanted:.0%}"
        hits, n = (share.get("hits"), share.get("n")) if isinstance(share, Mapping) else (None, None)
        if not isinstance(hits, int) or not isinstance(n, int) or not 0 <= hits <= n:
            rows.append(Row(metric, goal, "3.2 measured none", "insufficient"))
            continue
        judged = wilson.precision(hits, n, wanted)
        shown = "no cases" if judged.value is None else f"{judged.value:.0%} ({judged.why})"
        status: dict[Finding, Status] = {Finding.OK: "ok", Finding.DEGRADED: "missed"}
        rows.append(Row(metric, goal, shown, status.get(judged.finding, "insufficient")))
    return rows


def _coverage_row(state: RunState, target: float) -> Row:
    found = state.steps["1.2"].data.get("completeness")
    goal = f"≥ {target:.0%}"
    ratio = found.get("ratio") if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or ratio is None or not _is_number(ratio):
        return Row("Instrumentation coverage", goal, "1.2 measured none", "insufficient")
    actual = f"{ratio:.1%} ({found.get('passing')} of {found.get('required')} cells)"
    return Row("Instrumentation coverage", goal, actual, "ok" if ratio >= target else "missed")


def _dashboard_row(state: RunState, target: float) -> Row:
    rows = state.steps["2.1"].data.get("dashboards")
    required = [
        row
        for row in (rows if isinstance(rows, list | tuple) else ())
        if isinstance(row, Mapping) and row.get("required")
    ]
    goal = f"≥ {target:g}"
    scores = [(row.get("score"), str(row.get("title", ""))) for row in required]
    if not scores or not all(_is_number(score) for score, _ in scores):
        return Row("Lowest dashboard score", goal, "no required dashboard was scored", "insufficient")
    score, title = min((float(score or 0), title) for score, title in scores)
    return Row("Lowest dashboard score", goal, f"{score:g} ({title})", "ok" if target <= score <= 100 else "missed")


def _acknowledgement_row(state: RunState, sla: float) -> Row:
    """The latest that each acknowledgement can have come; 95th percentile by nearest rank. Unacknowledged is missed."""
    rows = state.steps["2.2"].data.get("receivers")
    goal = f"≤ {sla:g} s"
    took: list[float] = []
    never = 0
    for row in rows if isinstance(rows, list | tuple) else ():
        elapsed = row.get("elapsed") if isinstance(row, Mapping) else None
        span = elapsed.get("acknowledged") if isinstance(elapsed, Mapping) else None
        if isinstance(span, list | tuple) and len(span) == 2 and all(_is_number(each) for each in span):
            took.append(float(span[1]))
        else:
            never += 1
    if not took:
        return Row("Acknowledgement p95", goal, "no page was acknowledged", "missed" if never else "insufficient")
    p95 = sorted(took)[ceil(0.95 * len(took)) - 1]
    actual = f"{p95:.1f} s (n = {len(took)})" + (f"; {never} never acknowledged" if never else "")
    return Row("Acknowledgement p95", goal, actual, "ok" if p95 <= sla and not never else "missed")


def _risks(state: RunState, more: Sequence[f.GapFound]) -> list[dict[str, Any]]:
    """Open backlog entries, the gravest first."""
    every = {**state.backlog, **{gap.id: gap for gap in more}}
    order = {"blocks": 0, "warns": 1, "info": 2}
    found = sorted((gap for gap in every.values() if gap.status == "open"), key=lambda g: (order[g.severity], g.id))
    return [
        {"id": gap.id, "title": gap.title, "subject": gap.subject, "owner": gap.owner, "due": gap.due,
         "severity": gap.severity} for gap in found
    ]  # fmt: skip


def _risk_row(risks: Sequence[Mapping[str, Any]]) -> Row:
    counts = {severity: sum(one["severity"] == severity for one in risks) for severity in ("blocks", "warns", "info")}
    actual = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    return Row("Outstanding risks", "none that blocks", actual, "missed" if counts["blocks"] else "ok")


# --- backlog ---------------------------------------------------------------------------------------------------------


def _missed(context: Context, rows: Sequence[Row]) -> tuple[f.GapFound, ...]:
    """Objectives that were missed: the other rows have entries from the step that measured them."""
    services = effective_services(context.config, context.state)
    return tuple(
        f.GapFound(
            id=f"scorecard:{row.metric}", step="3.3", title=f"{row.metric} is {row.actual}, wanted {row.target}",
            subject=row.subject, owner=owner_for_gap(services.get(row.subject), context.config),
            due="next release cycle", severity="warns",
        )
        for row in rows
        if row.status == "missed" and row.metric.startswith(("SLO attainment", "Error budget"))
    )  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _percent(share: float) -> str:
    return f"{100 * share:.6g}%"


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """``observability-scorecard.md``, in the seed's form: Metric | Target | Actual | Status."""
    rows = [
        [row["metric"], row["target"], row["actual"], _SIGNS.get(row["status"], "❔")] for row in data.get("rows", ())
    ]
    parts = [
        f"# Observability scorecard: {text.cell(header.release)} in {text.cell(header.environment)}",
        f"Run {text.cell(header.run_id)}, {iso(header.generated_at)}. Window: {text.cell(data.get('window_days', ''))} "
        f"days. {text.cell(header.summary)}",
        text.table(["Metric", "Target", "Actual", "Status"], rows),
        "## Outstanding risks",
    ]
    risks = [[one["id"], one["title"], one["owner"], one["due"], one["severity"]] for one in data.get("risks", ())]
    parts.append(text.table(["Id", "Risk", "Owner", "Due", "Severity"], risks) if risks else "None.")
    return {"observability-scorecard.md": "\n\n".join(part.rstrip("\n") for part in parts) + "\n"}
