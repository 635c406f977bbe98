"""1.3: how fast and how well each service runs after the deploy, and whether that is worse than it was before."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from ray_tui.actions.prior_baseline import Prior, earlier_baseline, staging_results
from ray_tui.actions.services import ServiceFacts, deployed_at, effective_services, owner_for_gap, with_resolved
from ray_tui.analysis import compare, red
from ray_tui.clock import iso
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.policy import Thresholds
from ray_tui.core.ports import Labels, Matrix
from ray_tui.core.readings import Reading
from ray_tui.core.verdicts import Criterion, Finding, Verdict
from ray_tui.evidence import baselines
from ray_tui.step import Context, Header, Result, criterion

EVIDENCE = (baselines.NAME,)
WORSE_THAN_STAGING = "staging-degraded"
QUEUE_LAG = "queue_lag_seconds"
"""The gauge that workers are asked for; a worker without it has its throughput alone."""


@dataclass(frozen=True)
class Kpi:
    """One figure of a service. ``floor`` is the absolute shift below which a large percentage is no news."""

    name: str
    unit: str
    reading: str
    worse: Literal["up", "neither"]
    floor: float = 0.0


RATE = Kpi("request_rate", "reqps", "rate", "neither")
ERRORS = Kpi("error_ratio", "percentunit", "errors", "up", 0.005)
P50 = Kpi("latency_p50", "s", "p50", "up", 0.005)
P99 = Kpi("latency_p99", "s", "p99", "up", 0.005)
THROUGHPUT = Kpi("throughput", "ops", "rate", "neither")
LAG = Kpi("queue_lag", "s", "lag", "up", 1.0)

Points = dict[str, list[tuple[float, float]]]
"""Our service name -> (time, value), in time order, values as they came."""


@dataclass(frozen=True)
class Span:
    """The window that is measured: samples at ``start + step`` … ``end``, each the mean over one step."""

    start: float
    end: float
    step: float


@dataclass
class Measured:
    """What the metrics store answered."""

    points: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    """(service, KPI) -> points."""
    queries: dict[tuple[str, str], str] = field(default_factory=dict)
    """(service, KPI) -> the question as it is for this service alone; all services were asked about at once."""
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def window_of(deployed: float, now: float, thresholds: Thresholds) -> Span:
    """It ends now and begins ``baseline_window_seconds`` before, but never before the deploy. Whole steps only."""
    step = thresholds.baseline_step_seconds
    start = max(deployed, now - thresholds.baseline_window_seconds)
    steps = max(0, int((now - start) // step))
    return Span(now - steps * step, now, step)


async def run(context: Context) -> Result:
    """Measure, compare with the prior baseline and with staging, keep what was there beside the new one."""
    services = effective_services(context.config, context.state)
    deployed = deployed_at(context.config, context.state)
    span = window_of(deployed, context.now(), context.config.thresholds)
    await context.progress(f"measuring {len(services)} services over {span.end - span.start:.0f} s")
    measured = await _measure(context, services, span) if span.end > span.start else Measured()
    _observe(context, measured)
    earlier, staging = earlier_baseline(context), staging_results(context)
    prior = earlier.prior
    kpis = _compared(measured, prior, staging, services, span, context.config.thresholds)
    criteria = _judge(kpis, measured, prior, services, span, deployed)
    data = {
        "kpis": kpis,
        "window": {"start": span.start, "end": span.end, "step": span.step},
        "deployed_at": deployed,
        "environment_label": context.config.telemetry.environment_label,
        "prior": {
            "file": baselines.kept_name(prior.data) if prior.data else "",
            "release": prior.release, "source": prior.source, "problem": prior.problem,
        },
        "rotated": earlier.rotated,
        "staging": staging.source,
        "method": compare.METHOD,
        "warnings": [
            text
            for text in (
                prior.problem, *earlier.passed_over, staging.problem, *measured.doubts, unselected(context.config)
            )
            if text
        ],
    }  # fmt: skip
    gaps = () if measured.problems else _gaps(kpis, services, context.config)
    if not measured.problems:
        gaps = with_resolved(context.state, context.step, gaps)
    return Result(_summary(kpis, criteria), criteria, data, gaps, earlier.files)


def unselected(config: Config) -> str:
    """What to say where nothing makes the figures those of the named environment alone; empty where something does."""
    if config.telemetry.environment_label:
        return ""
    return (
        f"no question selected the environment {config.run.environment}: where the metrics store holds several, set "
        "[telemetry] environment_label"
    )


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """None: ``baseline-metrics.json`` is the artifact."""
    return {}


# --- measuring -------------------------------------------------------------------------------------------------------


async def _measure(context: Context, services: Mapping[str, ServiceFacts], span: Span) -> Measured:
    """One range query per KPI for all services that share label names."""
    measured = Measured()
    serving = {one.name: _labels(context.config, one.name) for one in services.values() if one.serves_requests}
    working = {one.name: one for one in services.values() if not one.serves_requests and one.activity}
    await asyncio.gather(
        *(_serving(context, measured, names, own, span) for names, own in red.grouped(serving).items()),
        *(_working(context, measured, one, span) for one in working.values()),
    )
    return measured


def _labels(config: Config, service: str) -> Labels:
    labels: Labels = config.names_of(service, "metrics")
    return labels


async def _serving(
    context: Context, measured: Measured, names: tuple[str, ...], own: Mapping[str, Labels], span: Span
) -> None:
    for service, labels in own.items():
        rate, bad, *quantiles = _questions(context.config, names, [labels], span)
        ratio = f"({bad} or {rate} * 0) / {rate}"
        for kpi, query in zip((RATE, ERRORS, P50, P99), (rate, ratio, *quantiles), strict=True):
            measured.queries[service, kpi.name] = query
    asked = _questions(context.config, names, list(own.values()), span)
    total, failed, p50, p99 = await asyncio.gather(*(_range(context, measured, query, own, span) for query in asked))
    if total is None or failed is None or p50 is None or p99 is None:
        return
    for kpi, points in ((RATE, total), (ERRORS, error_ratio(total, failed)), (P50, p50), (P99, p99)):
        measured.points.update({(service, kpi.name): found for service, found in points.items()})


def _questions(config: Config, names: tuple[str, ...], rows: Sequence[Labels], span: Span) -> tuple[str, str, str, str]:
    """All requests, those that failed, the median and the 99th percentile of these services."""
    telemetry, window = config.telemetry, red.seconds(span.step)
    return (
        red.rate(telemetry.requests, names, rows, window),
        red.rate(telemetry.requests, names, rows, window, telemetry.errors),
        red.quantile(0.5, telemetry.duration, names, rows, window),
        red.quantile(0.99, telemetry.duration, names, rows, window),
    )


def error_ratio(total: Points, failed: Points) -> Points:
    """Failed by all requests at each time with traffic; no failed series then means none failed."""
    ratios: Points = {}
    for service, points in total.items():
        bad = dict(failed.get(service, ()))
        ratios[service] = [(at, bad.get(at, 0.0) / value) for at, value in points if value > 0]
    return ratios


async def _working(context: Context, measured: Measured, one: ServiceFacts, span: Span) -> None:
    own = {one.name: _labels(context.config, one.name)}
    names = tuple(sorted(own[one.name]))
    rates = one.activity.endswith(("_total", "_count"))
    gauge = f"max {red.by(names)} ({red.selector(one.activity, own.values())})"
    moves = red.rate(one.activity, names, own.values(), red.seconds(span.step)) if rates else gauge
    lag = f"max {red.by(names)} ({red.selector(QUEUE_LAG, own.values())})"
    for kpi, expr in ((THROUGHPUT, moves), (LAG, lag)):
        measured.queries[one.name, kpi.name] = expr
        points = await _range(context, measured, expr, own, span)
        measured.points.update({(service, kpi.name): found for service, found in (points or {}).items()})


async def _range(
    context: Context, measured: Measured, expr: str, own: Mapping[str, Labels], span: Span
) -> Points | None:
    """None where the store could not be asked; the problem is kept."""
    metrics = context.ports.metrics
    if metrics is None:
        measured.problems.append("no [metrics] is configured")
        return None
    try:
        answer: Matrix = await metrics.query_range(expr, span.start + span.step, span.end, span.step)
    except BackendError as exc:
        measured.problems.append(str(exc))
        return None
    measured.doubts += answer.warnings
    found: Points = {}
    for series in answer.series:
        service = red.owner_of(series.labels, own)
        if service is not None:
            found.setdefault(service, []).extend(series.points)
    return {service: sorted(points) for service, points in found.items()}


def _observe(context: Context, measured: Measured) -> None:
    """Sparklines: the newest points of each series."""
    known = {kpi.name: kpi for kpi in (RATE, ERRORS, P50, P99, THROUGHPUT, LAG)}
    for (service, name), points in measured.points.items():
        kpi = known[name]
        for at, value in points[-60:]:
            if isfinite(value):
                context.observe(Reading(series=f"{service}/{kpi.reading}", at=at, value=value, unit=kpi.unit))


async def look(context: Context) -> bool:
    """The same figures as they are now, over one step: shown, never judged, on no record. False where none came."""
    now, step = context.now(), context.config.thresholds.baseline_step_seconds
    services = effective_services(context.config, context.state)
    measured = await _measure(context, services, Span(now - step, now, step))
    _observe(context, measured)
    return bool(measured.points)


# --- comparing -------------------------------------------------------------------------------------------------------


def _compared(
    measured: Measured, prior: Prior, staging: Prior, services: Mapping[str, ServiceFacts], span: Span,
    thresholds: Thresholds,
) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for one in services.values():
        for kpi in _kpis_of(one, measured):
            key = (one.name, kpi.name)
            values = [value for _, value in measured.points.get(key, ())]
            found = _compare(kpi, prior.samples.get(key), values, thresholds, _windows(prior, span))
            bench = _compare(kpi, staging.samples.get(key), values, thresholds, None)
            row = _row(one.name, kpi, values, prior.samples.get(key, ()), found, bench)
            rows.append({**row, "query": measured.queries.get(key, "")})
    return rows


def _kpis_of(one: ServiceFacts, measured: Measured) -> tuple[Kpi, ...]:
    if one.serves_requests:
        return (RATE, ERRORS, P50, P99)
    asked = (THROUGHPUT, LAG) if one.activity else ()
    return tuple(kpi for kpi in asked if kpi is THROUGHPUT or (one.name, kpi.name) in measured.points)


def _windows(prior: Prior, span: Span) -> tuple[compare.Window, compare.Window] | None:
    return (prior.window, compare.Window(span.start, span.end)) if prior.window else None


def _compare(
    kpi: Kpi, before: Sequence[float] | None, after: Sequence[float], thresholds: Thresholds,
    windows: tuple[compare.Window, compare.Window] | None,
) -> compare.Comparison:  # fmt: skip
    direction = compare.Worse.UP if kpi.worse == "up" else compare.Worse.EITHER
    return compare.compare(
        before,
        after,
        thresholds.baseline_tolerance,
        kpi.floor,
        direction,
        thresholds.baseline_minimum_samples,
        windows,
        kpi.unit,
    )


def _row(
    service: str, kpi: Kpi, values: Sequence[float], before: Sequence[float], found: compare.Comparison,
    staging: compare.Comparison,
) -> dict[str, Any]:  # fmt: skip
    """One line of the artifact. A rate that moved is news but not worse: traffic is the users' doing."""
    spread, was = compare.quantiles(values), compare.quantiles(before, (0.5,))
    finding, why = found.finding, found.why
    if kpi.worse == "neither" and finding is Finding.DEGRADED:
        finding, why = Finding.OK, f"informational: {why}"
    bench = staging.finding
    if kpi.worse == "neither" and bench is Finding.DEGRADED:
        bench = Finding.OK
    return {
        "service": service,
        "kpi": kpi.name,
        "unit": kpi.unit,
        "now": _rounded(spread.values.get(0.5)),
        "prior": _rounded(was.values.get(0.5)),
        "relative": _rounded(found.relative),
        "shift": _rounded(found.shift),
        "allowed": _rounded(found.allowed),
        "finding": finding.value,
        "p": _rounded(found.p),
        "n": spread.n,
        "dropped": spread.dropped,
        "why": why,
        "quantiles": {f"{p:g}": _rounded(value) for p, value in spread.values.items()},
        "staging": {"finding": bench.value, "relative": _rounded(staging.relative), "why": staging.why},
        "samples": [_rounded(value) for value in values if isfinite(value)],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else float(f"{value:.6g}")


# --- judging ---------------------------------------------------------------------------------------------------------


def _judge(
    kpis: Sequence[Mapping[str, Any]], measured: Measured, prior: Prior, services: Mapping[str, ServiceFacts],
    span: Span, deployed: float,
) -> tuple[Criterion, ...]:  # fmt: skip
    criteria = [_captured(kpis, measured, span, deployed)]
    if measured.doubts:
        criteria.append(_partial(measured))
    if prior.problem:
        criteria.append(_unreadable(prior))
    return (*criteria, *_degraded(kpis, services), *_worse_than_staging(kpis, services))


def _captured(kpis: Sequence[Mapping[str, Any]], measured: Measured, span: Span, deployed: float) -> Criterion:
    silent = sorted({row["service"] for row in kpis} - {row["service"] for row in kpis if row["n"]})
    verdict, remedy = Verdict.PASSED, ""
    actual = f"{len(kpis)} KPIs over {span.end - span.start:.0f} s since {iso(span.start)}"
    if measured.problems:
        verdict, actual = Verdict.ERROR, "; ".join(dict.fromkeys(measured.problems))
        remedy = "mend the metrics store, then run 1.3 again"
    elif not deployed > 0:
        verdict = Verdict.INCONCLUSIVE
        actual = "nobody said when the deployment finished: whether the samples were taken after it is unknown"
        remedy = "set [run] deployed_at, or deployed_at in post-deployment-validation.json, then run 1.3 again"
    elif span.end <= span.start:
        verdict, actual = Verdict.INCONCLUSIVE, f"less than one step of {span.step:.0f} s since the deploy"
        remedy = "wait, then run 1.3 again"
    elif not kpis or silent:
        verdict = Verdict.INCONCLUSIVE
        actual = f"no sample of {', '.join(silent)}" if silent else "no service has a KPI"
        remedy = "send traffic, or mend the metrics' names, then run 1.3 again"
    return criterion(
        "baseline.captured", "Baseline captured", verdict, actual,
        required="samples of every service, taken after the deploy", evidence=EVIDENCE, remedy=remedy,
    )  # fmt: skip


def _partial(measured: Measured) -> Criterion:
    return criterion(
        "baseline.whole", "Whole answers", Verdict.INCONCLUSIVE,
        f"the answers may be partial: {'; '.join(dict.fromkeys(measured.doubts))}",
        required="answers without warnings", evidence=EVIDENCE, remedy="mend the metrics store, then run 1.3 again",
    )  # fmt: skip


def _unreadable(prior: Prior) -> Criterion:
    return criterion(
        "baseline.prior", "Prior baseline readable", Verdict.INCONCLUSIVE, prior.problem,
        required="a prior baseline, where there is one, can be compared with", evidence=EVIDENCE,
        remedy="mend that file where it lies and run 1.3 again, or waive with a reason",
    )  # fmt: skip


def _degraded(kpis: Sequence[Mapping[str, Any]], services: Mapping[str, ServiceFacts]) -> list[Criterion]:
    required = "no latency or error increase beyond the tolerance on a critical changed service"
    worse: dict[str, list[Mapping[str, Any]]] = {}
    for row in kpis:
        if row["finding"] == Finding.DEGRADED.value and services[row["service"]].critical_changed:
            worse.setdefault(row["service"], []).append(row)
    if not worse:
        compared = sum(row["finding"] == Finding.OK.value for row in kpis)
        actual = f"none degraded; {compared} of {len(kpis)} KPIs could be compared"
        return [criterion("baseline.degraded", "Not degraded", Verdict.PASSED, actual, required=required,
                          evidence=EVIDENCE)]  # fmt: skip
    return [
        criterion(
            f"baseline.degraded:{service}", f"{service} not degraded", Verdict.FAILED,
            "; ".join(f"{row['kpi']} {row['why']}" for row in rows), required=required, evidence=EVIDENCE,
            remedy=f"look at the release's effect on {service}; roll back, or waive with a reason",
        )
        for service, rows in worse.items()
    ]  # fmt: skip


def _worse_than_staging(kpis: Sequence[Mapping[str, Any]], services: Mapping[str, ServiceFacts]) -> list[Criterion]:
    """Production that is worse than what staging promised halts too; without staging figures nothing is said."""
    worse: dict[str, list[Mapping[str, Any]]] = {}
    for row in kpis:
        if row["staging"]["finding"] == Finding.DEGRADED.value and services[row["service"]].critical_changed:
            worse.setdefault(row["service"], []).append(row)
    return [
        criterion(
            f"baseline.staging:{service}", f"{service} as in staging", Verdict.FAILED,
            "; ".join(f"{row['kpi']} against staging {row['staging']['why']}" for row in rows),
            required="no latency or error increase over staging beyond the tolerance on a critical changed service",
            evidence=EVIDENCE,
            remedy=f"look at what {service} meets in production and not in staging; roll back, or waive with a reason",
        )
        for service, rows in worse.items()
    ]  # fmt: skip


def _gaps(
    kpis: Sequence[Mapping[str, Any]], services: Mapping[str, ServiceFacts], config: Config
) -> tuple[f.GapFound, ...]:
    """One backlog entry a service for what could not be compared, one for what is degraded, one for each benchmark."""
    titles = {
        Finding.NONE_PRIOR.value: "no prior baseline to compare with",
        Finding.INSUFFICIENT.value: "too few samples to compare with the prior baseline",
        Finding.DEGRADED.value: "degraded against its prior baseline",
        WORSE_THAN_STAGING: "degraded against staging",
    }
    found: dict[tuple[str, str], list[str]] = {}
    for row in kpis:
        if row["finding"] in titles:
            found.setdefault((row["service"], row["finding"]), []).append(row["kpi"])
        if row["staging"]["finding"] == Finding.DEGRADED.value:
            found.setdefault((row["service"], WORSE_THAN_STAGING), []).append(row["kpi"])
    return tuple(
        f.GapFound(
            id=f"baseline:{service}:{finding}", step="1.3", title=f"{service}: {titles[finding]} ({', '.join(names)})",
            subject=service, owner=owner_for_gap(services[service], config), due="next release cycle",
            severity="warns" if finding in (Finding.DEGRADED.value, WORSE_THAN_STAGING) else "info",
        )
        for (service, finding), names in found.items()
    )  # fmt: skip


def _summary(kpis: Sequence[Mapping[str, Any]], criteria: Sequence[Criterion]) -> str:
    counts = {finding: sum(row["finding"] == finding.value for row in kpis) for finding in Finding}
    said = f"{len(kpis)} KPIs: " + ", ".join(f"{count} {finding.value}" for finding, count in counts.items() if count)
    bad = [one.title for one in criteria if not one.verdict.lets_go_on]
    return f"{said}; blocked by: {', '.join(bad)}" if bad else said
