"""The past that 3.2 judges by: alerts and incidents of the window, how they were read, and which of them count."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from ray_tui.actions import probe_plan, tuning
from ray_tui.actions.scorecard import COVERED, LOOK_SECONDS
from ray_tui.analysis import episodes, promql, red
from ray_tui.analysis.units import span
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Incident, LoadedRule, Matrix, Metrics, PagerService, Silence
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Context, criterion

STEP_SECONDS = 300.0
MOST_STEPS = 8_640
"""30 days of five minutes; a longer window is looked at in wider steps."""
REPORT = "alert-tuning-report.json"
LISTENED = "count(up) or count(ALERTS)"
"""Answers wherever the store holds any sample of a scrape, or of a rule that always fires."""


@dataclass(frozen=True)
class Window:
    start: float
    end: float
    step: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass
class Past:
    """Everything that was read of the window, and what kept the rest from being read."""

    window: Window
    matrix: Matrix = field(default_factory=lambda: Matrix(()))
    rules: tuple[LoadedRule, ...] = ()
    silences: tuple[Silence, ...] = ()
    incidents: tuple[Incident, ...] = ()
    pager: tuple[PagerService, ...] = ()
    covered: float | None = None
    """The share of the window that the store has samples of; None: not measured."""
    criteria: list[Criterion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# --- reading ---------------------------------------------------------------------------------------------------------


async def read(context: Context) -> Past:
    """Alerts and incidents of the window; each failure is a criterion, and then nothing may be judged."""
    end = context.now()
    seconds = context.config.thresholds.correlation_days * 86_400
    step = max(STEP_SECONDS, ceil(seconds / MOST_STEPS / 60) * 60.0)
    past = Past(Window(end - seconds, end, step))
    past.criteria.append(await _read_alerts(context, past))
    past.criteria.append(await _read_incidents(context, past))
    if context.ports.alerting is not None:
        try:
            past.silences = await context.ports.alerting.silences()
        except BackendError as exc:
            past.notes.append(f"silences could not be read: {exc}")
    past.notes.append(
        "silences that Alertmanager has forgotten (after its --data.retention, 120 h by default) "
        "and work that [[maintenance]] does not name are not left out"
    )
    if context.ports.paging is not None:
        try:
            past.pager = await context.ports.paging.services()
        except BackendError as exc:
            past.notes.append(f"paging services could not be read: {exc}")
    return past


async def _read_alerts(context: Context, past: Past) -> Criterion:
    metrics, window = context.ports.metrics, past.window
    if metrics is None:
        return _source("history", "Alert history", Verdict.ERROR, "no [metrics] are configured", "Configure [metrics].")
    await context.progress(f"reading {window.seconds / 86_400:g} days of ALERTS")
    # The maximum over the step: an alert that fired between two looks is seen too.
    expr = f'max_over_time(ALERTS{{alertstate="firing"}}[{red.seconds(window.step)}])'
    try:
        past.matrix = await metrics.query_range(expr, window.start, window.end, window.step)
        past.rules = tuple(rule for rule in await metrics.rules() if rule.kind == "alerting")
    except BackendError as exc:
        return _source("history", "Alert history", Verdict.ERROR, str(exc), "Repair the metrics store, then retry.")
    if past.matrix.warnings:
        actual = f"the answer may be partial: {'; '.join(past.matrix.warnings)}"
        return _source("history", "Alert history", Verdict.INCONCLUSIVE, actual, "Retry when the store is whole.")
    if not past.matrix.series and not past.rules:
        actual = "no ALERTS series and no alerting rule: this store does not know the alerts"
        return _source("history", "Alert history", Verdict.INCONCLUSIVE, actual, "Ask the store that runs the rules.")
    return await _read_coverage(metrics, past)


async def _read_coverage(metrics: Metrics, past: Past) -> Criterion:
    """Silence counts only where somebody listened: ``up`` tells of each scrape, ``ALERTS`` of an evaluated heartbeat.

    Counted in the store; whole looks only, so that the youngest and the oldest count alike.
    """
    window, title = past.window, "Alert history"
    look = min(LOOK_SECONDS, max(window.step, window.seconds / 24))
    looks = max(1, int(window.seconds // look))
    try:
        alive = await metrics.query_range(LISTENED, window.end - (looks - 1) * look, window.end, look)
    except BackendError as exc:
        return _source("history", title, Verdict.ERROR, str(exc), "Repair the metrics store, then retry.")
    if alive.warnings:
        actual = f"how far it reaches may be partial: {'; '.join(alive.warnings)}"
        return _source("history", title, Verdict.INCONCLUSIVE, actual, "Retry when the store is whole.")
    seen = {at for series in alive.series for at, value in series.points if value > 0}
    past.covered = min(1.0, len(seen) / looks)
    if past.covered < COVERED:
        held = f"{span(len(seen) * look)} of {span(window.seconds)}"
        actual = f"the store answers for {held}: silence in the rest proves nothing"
        remedy = "Ask the store that keeps the history, or set thresholds.correlation_days to what is kept; then retry."
        return _source("history", title, Verdict.INCONCLUSIVE, actual, remedy)
    asked, covered = window.seconds / 86_400, len(seen) * look / 86_400
    actual = f"{len(past.matrix.series)} series; samples for {covered:.3g} of {asked:g} days, {window.step:g} s steps"
    return _source("history", title, Verdict.PASSED, actual)


async def _read_incidents(context: Context, past: Past) -> Criterion:
    sources = context.ports.incidents
    title = "Incident sources"
    if not sources:
        actual = "no [[incidents]] are configured: alerts cannot be held against what happened"
        return _source("sources", title, Verdict.INCONCLUSIVE, actual, "Configure [[incidents]]; a CSV file will do.")
    found: dict[tuple[str, str], Incident] = {}
    troubles = []
    for source in sources:
        try:
            for one in await source.between(past.window.start, past.window.end):
                found.setdefault((one.source, one.id), one)
        except BackendError as exc:
            troubles.append(f"{source.name}: {exc}")
    past.incidents = tuple(sorted(found.values(), key=lambda one: (one.started_at, one.id)))
    if troubles:
        return _source("sources", title, Verdict.ERROR, "; ".join(troubles), "Repair the source, then retry.")
    names = ", ".join(source.name for source in sources)
    return _source("sources", title, Verdict.PASSED, f"{len(found)} incidents from {names}")


def _source(name: str, title: str, verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
    return criterion(
        f"correlate.{name}", title, verdict, actual, required="read in full", evidence=(REPORT,), remedy=remedy
    )


# --- what counts -----------------------------------------------------------------------------------------------------


def heard(context: Context, past: Past) -> tuple[episodes.Episodes, int]:
    """The episodes that count, and how many are another team's. Heartbeats, which always fire, are no alerts."""
    heartbeats = {rule.name for rule in past.rules if _is_constant(rule.query)}
    series = [one for one in past.matrix.series if one.labels.get("alertname", "") not in heartbeats]
    labels = tuning.service_labels(context.config)
    names = {episodes.service_of(one.labels, labels) for one in series}
    found = episodes.find(series, past.window.step, past.silences, _maintenance(context, names), labels)
    rows = context.state.steps["2.1"].data.get("alerts")
    known = {str(row.get("name")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else set()
    kept = tuple(
        one for one in found.kept
        if not one.service or one.alert in known or tuning.ours(one.service, context.config)
    )  # fmt: skip
    counted = episodes.Episodes(kept, found.probes, found.silenced, found.maintenance)
    return counted, len(found.kept) - len(kept)


def _maintenance(context: Context, names: Collection[str]) -> list[episodes.Maintenance]:
    """The configured windows, their services under the names that the alerts' labels give them."""
    found = []
    for one in context.config.maintenance:
        services = frozenset(name for name in names if tuning.ours(name, context.config) in one.services)
        if services or not one.services:
            found.append(episodes.Maintenance(one.start.timestamp(), one.end.timestamp(), services))
    return found


def _is_constant(expr: str) -> bool:
    try:
        return promql.parse(expr).is_constant
    except promql.PromqlError:
        return False


def incidents(
    context: Context, past: Past, heard: Sequence[episodes.Episode]
) -> tuple[list[Incident], list[Incident], int]:
    """(ours, those of no service of ours, how many our own probes opened)."""
    marks = (probe_plan.ALERTNAME, *context.state.probes)
    real = [one for one in past.incidents if not tuning.is_our_probe(one, marks)]
    kept: list[Incident] = []
    others: list[Incident] = []
    for one in real:
        named = tuning.attribute(one, heard, context.config, past.pager)
        (others if named is None else kept).append(named or one)
    return kept, others, len(past.incidents) - len(real)


def worked_on(context: Context, incident: Incident) -> bool:
    return any(one.covers(incident.service, incident.started_at) for one in context.config.maintenance)
