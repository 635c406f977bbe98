"""Service level objectives: read their specs, turn them into multi-window burn-rate rules, account for the budget.

The rules are those of Sloth (https://sloth.dev) for the same spec, so that its dashboards and alerts keep working.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ray_tui.analysis import promql
from ray_tui.analysis.rule_files import Group, Rule, format_duration, parse_duration
from ray_tui.analysis.strict_yaml import Fields, Items, Value, complaint, documents, fields, items, text, text_map
from ray_tui.core.errors import InputError
from ray_tui.core.ports import Labels

DAY_SECONDS = 86_400.0
PERIOD_SECONDS = 30 * DAY_SECONDS
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


# --- burn-rate windows -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BurnWindow:
    """Alert when this share of the period's budget burns within ``long_seconds`` and is still burning now."""

    severity: Literal["page", "ticket"]
    budget_percent: float
    short_seconds: float
    long_seconds: float

    def factor(self, period_seconds: float) -> float:
        """The burn rate that uses up ``budget_percent`` within the long window."""
        hours = self.budget_percent * (period_seconds / 3600) / 100
        return hours / (self.long_seconds / 3600)


BURN_WINDOWS: tuple[BurnWindow, ...] = (
    # Google, The Site Reliability Workbook, ch. 5 "Alerting on SLOs", table 5-8; the second ticket row is Sloth's.
    BurnWindow("page", 2, 300, 3600),
    BurnWindow("page", 5, 1800, 6 * 3600),
    BurnWindow("ticket", 10, 2 * 3600, 24 * 3600),
    BurnWindow("ticket", 10, 6 * 3600, 72 * 3600),
)


def load_windows(content: str, source: str = "windows.yaml") -> tuple[float, tuple[BurnWindow, ...]]:
    """(period in seconds, its four windows) of an AlertWindows file; raises InputError naming the key."""
    root = fields(_only(content, source), source, "an AlertWindows file")
    if root.get("kind") != "AlertWindows":
        raise complaint(source, root.line, f"kind must be AlertWindows, not {root.get('kind')!r}")
    spec = fields(root.get("spec"), source, "spec")
    windows = []
    for severity in ("page", "ticket"):
        part = fields(spec.get(severity), source, f"spec.{severity}", spec.line)
        for speed in ("quick", "slow"):
            where = f"spec.{severity}.{speed}"
            row = fields(part.get(speed), source, where, part.line)
            percent = _number(row, "errorBudgetPercent", source, where)
            if not 0 < percent <= 100:
                raise complaint(source, row.line, f"{where}.errorBudgetPercent must be above 0 and at most 100")
            short, long = (_seconds(row, key, source, where) for key in ("shortWindow", "longWindow"))
            if short >= long:
                raise complaint(source, row.line, f"{where}.shortWindow must be shorter than its longWindow")
            windows.append(BurnWindow("page" if severity == "page" else "ticket", percent, short, long))
    return _seconds(spec, "sloPeriod", source, "spec"), tuple(windows)


# --- the account -----------------------------------------------------------------------------------------------------


def attainment(good: float, total: float) -> float | None:
    """Share of good events, 0 to 1, weighted by events; None without any event or with figures that aren't numbers."""
    if not (math.isfinite(good) and math.isfinite(total)) or total <= 0 or good < 0:
        return None
    return min(1.0, good / total)


def budget_left(objective_percent: float, good: float, total: float) -> float | None:
    """Share of the error budget that is left: 1 untouched, 0 spent, below 0 overspent; None as for ``attainment``.

    An objective of 100 leaves no budget: 1 while nothing failed, else minus infinity.
    """
    reached = attainment(good, total)
    if reached is None or not 0 < objective_percent <= 100:
        return None
    allowed, failed = (100 - objective_percent) / 100, 1 - reached
    if allowed == 0:
        return 1.0 if failed == 0 else -math.inf
    return 1 - failed / allowed


def burn_rate(error_ratio: float, objective_percent: float) -> float | None:
    """How many times faster than allowed the budget burns; None for figures that can't be judged."""
    if not math.isfinite(error_ratio) or error_ratio < 0 or not 0 < objective_percent < 100:
        return None
    return error_ratio / ((100 - objective_percent) / 100)


# --- specs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alert:
    """One of the two alerts of an SLO."""

    name: str
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Slo:
    """One objective. ``error_ratio`` is PromQL with ``{{.window}}``, or None, and ``why_not`` says why."""

    service: str
    name: str
    objective: float
    error_ratio: str | None
    description: str = ""
    labels: Labels = field(default_factory=dict)
    page: Alert | None = None
    ticket: Alert | None = None
    period_seconds: float = PERIOD_SECONDS
    spec: str = "prometheus/v1"
    mode: str = "cli-gen-prom"
    why_not: str = ""
    line: int = 0

    @property
    def id(self) -> str:
        return f"{self.service}-{self.name}"


@dataclass(frozen=True)
class SloFile:
    """What one file holds. ``warnings`` name keys that we, like Sloth, read over; ``others`` are (kind, name)."""

    slos: tuple[Slo, ...]
    others: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def load(content: str, source: str = "slo.yaml") -> SloFile:
    """Every SLO of a Sloth or OpenSLO file; raises InputError that names file, line and key."""
    reader = _Reader(source)
    for root in documents(content, source):
        for value in root if isinstance(root, Items) else [root]:
            if value is not None:
                reader.read(fields(value, source, "an SLO file"))
    if not reader.slos and not reader.others:
        raise complaint(source, 1, "no SLO in this file")
    problem = duplicate(reader.slos)
    if problem:
        raise complaint(
            source, problem[1].line, f"SLO {problem[1].id!r} is defined twice; the first is on line {problem[0].line}"
        )
    return SloFile(tuple(reader.slos), tuple(reader.others), tuple(reader.warnings))


def duplicate(slos: Iterable[Slo]) -> tuple[Slo, Slo] | None:
    """The first two of the same id, over any number of files; None where there are none."""
    seen: dict[str, Slo] = {}
    for slo in slos:
        if slo.id in seen:
            return seen[slo.id], slo
        seen[slo.id] = slo
    return None


def _only(content: str, source: str) -> Value:
    found = documents(content, source)
    if len(found) != 1:
        raise complaint(source, 1, f"{len(found)} YAML documents where one was expected")
    return found[0]


def _number(found: Fields, key: str, source: str, where: str) -> float:
    written = text(found.get(key), source, f"{where}.{key}", found.line)
    if not re.fullmatch(r"-?\d+(\.\d+)?", written):
        raise complaint(source, found.lines.get(key, found.line), f"{where}.{key} must be a number, not {written!r}")
    return float(written)


def _seconds(found: Fields, key: str, source: str, where: str) -> float:
    written = text(found.get(key), source, f"{where}.{key}", found.line)
    try:
        seconds = parse_duration(written)
    except ValueError as exc:
        raise complaint(source, found.lines.get(key, found.line), f"{where}.{key}: {exc}") from exc
    if seconds <= 0:
        raise complaint(source, found.lines.get(key, found.line), f"{where}.{key} must be longer than nothing")
    return seconds


_SLOTH_KEYS: Mapping[str, frozenset[str]] = {
    "": frozenset(("version", "service", "labels", "slos", "slo_plugins")),
    "slo": frozenset(("name", "description", "objective", "labels", "sli", "alerting", "plugins")),
    "sli": frozenset(("raw", "events", "plugin")),
    "alerting": frozenset(("name", "labels", "annotations", "page_alert", "ticket_alert", "pageAlert", "ticketAlert")),
}


@dataclass
class _Reader:
    """Collects what one file holds."""

    source: str
    slos: list[Slo] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, found: Fields, key: str, message: str) -> InputError:
        return complaint(self.source, found.lines.get(key, found.line), message)

    def read(self, root: Fields) -> None:
        api = text(root.get("apiVersion"), self.source, "apiVersion")
        if api.startswith("openslo"):
            self._openslo(root, api)
        elif api:
            if api != "sloth.slok.dev/v1" or root.get("kind") != "PrometheusServiceLevel":
                kind = root.get("kind")
                raise self.refuse(
                    root, "apiVersion", f"apiVersion {api!r} with kind {kind!r} is no SLO spec that we know"
                )
            self._sloth(fields(root.get("spec"), self.source, "spec"), api, "cli-gen-k8s", "spec.", camel=True)
        else:
            version = text(root.get("version"), self.source, "version")
            if version != "prometheus/v1":
                raise self.refuse(root, "version", f"version must be prometheus/v1, not {version!r}")
            self._sloth(root, version, "cli-gen-prom", "", camel=False)

    # Sloth

    def _sloth(self, root: Fields, spec: str, mode: str, prefix: str, *, camel: bool) -> None:
        self._note_unknown(root, "", prefix or "the file")
        service = self._name(root, "service", f"{prefix}service")
        labels = text_map(root.get("labels"), self.source, f"{prefix}labels", root.line)
        listed = items(root.get("slos"), self.source, f"{prefix}slos", root.line)
        if not listed:
            raise self.refuse(root, "slos", f"{prefix}slos is empty; a spec needs at least one SLO")
        for at, value in enumerate(listed):
            where = f"{prefix}slos[{at}]"
            found = fields(value, self.source, where)
            self._note_unknown(found, "slo", where)
            slo_labels = text_map(found.get("labels"), self.source, f"{where}.labels", found.line)
            page, ticket = self._alerts(found, where, camel)
            self.slos.append(
                Slo(
                    service=service,
                    name=self._name(found, "name", f"{where}.name"),
                    objective=self._objective(found, "objective", where),
                    error_ratio=self._sli(found, where, camel),
                    description=text(found.get("description"), self.source, f"{where}.description"),
                    labels={**labels, **slo_labels},
                    page=page,
                    ticket=ticket,
                    spec=spec,
                    mode=mode,
                    line=found.line,
                )
            )

    def _note_unknown(self, found: Fields, level: str, where: str) -> None:
        for key in found:
            if key not in _SLOTH_KEYS[level]:
                self.warnings.append(
                    f"{self.source}:{found.lines[key]}: {key!r} in {where} is not known and is ignored"
                )

    def _name(self, found: Fields, key: str, where: str) -> str:
        name = text(found.get(key), self.source, where)
        if not _NAME.fullmatch(name):
            raise self.refuse(found, key, f"{where} must be a name of letters, digits, '-', '_' and '.', not {name!r}")
        return name

    def _objective(self, found: Fields, key: str, where: str) -> float:
        objective = _number(found, key, self.source, where)
        if not 0 < objective <= 100:
            raise self.refuse(found, key, f"{where}.{key} must be above 0 and at most 100, not {objective:g}")
        return objective

    def _sli(self, found: Fields, where: str, camel: bool) -> str:
        sli = fields(found.get("sli"), self.source, f"{where}.sli", found.line)
        self._note_unknown(sli, "sli", f"{where}.sli")
        given = [key for key in ("events", "raw", "plugin") if sli.get(key) is not None]
        if len(given) != 1:
            raise self.refuse(
                sli, "events", f"{where}.sli needs exactly one of events, raw, plugin; it has {given or 'none'}"
            )
        if given == ["plugin"]:
            raise self.refuse(sli, "plugin", f"{where}.sli.plugin: plugins can't run here; write events or raw instead")
        names = {"events": ("error_query", "total_query"), "raw": ("error_ratio_query",)}[given[0]]
        part = fields(sli[given[0]], self.source, f"{where}.sli.{given[0]}")
        queries = [self._query(part, _camel(name) if camel else name, f"{where}.sli.{given[0]}") for name in names]
        return f"({queries[0]})\n/\n({queries[1]})\n" if len(queries) == 2 else f"({queries[0]})"

    def _query(self, found: Fields, key: str, where: str) -> str:
        query = text(found.get(key), self.source, f"{where}.{key}", found.line)
        if not _WINDOW.search(query):
            raise self.refuse(found, key, f"{where}.{key} must contain {{{{.window}}}} where its range goes")
        try:
            promql.parse(_WINDOW.sub("5m", query))
        except promql.PromqlError as exc:
            raise self.refuse(found, key, f"{where}.{key}: {exc}") from exc
        return query

    def _alerts(self, found: Fields, where: str, camel: bool) -> tuple[Alert | None, Alert | None]:
        alerting = fields(found.get("alerting"), self.source, f"{where}.alerting", found.line)
        for key in alerting:
            if key not in _SLOTH_KEYS["alerting"] or key in (
                ("page_alert", "ticket_alert") if camel else ("pageAlert", "ticketAlert")
            ):
                self.warnings.append(
                    f"{self.source}:{alerting.lines[key]}: {key!r} in {where}.alerting is not known and is ignored"
                )
        keys = ("pageAlert", "ticketAlert") if camel else ("page_alert", "ticket_alert")
        page, ticket = (self._alert(alerting, key, f"{where}.alerting.{key}") for key in keys)
        if (page or ticket) and not text(alerting.get("name"), self.source, f"{where}.alerting.name"):
            raise self.refuse(alerting, "name", f"{where}.alerting.name is missing, and its alerts are not disabled")
        return page, ticket

    def _alert(self, alerting: Fields, key: str, where: str) -> Alert | None:
        own = fields(alerting.get(key), self.source, where, alerting.line)
        if text(own.get("disable"), self.source, f"{where}.disable").lower() == "true":
            return None
        merged = [
            {
                **text_map(alerting.get(part), self.source, part, alerting.line),
                **text_map(own.get(part), self.source, f"{where}.{part}", own.line),
            }
            for part in ("labels", "annotations")
        ]
        return Alert(text(alerting.get("name"), self.source, "name"), merged[0], merged[1])

    # OpenSLO

    def _openslo(self, root: Fields, api: str) -> None:
        kind = text(root.get("kind"), self.source, "kind")
        metadata = fields(root.get("metadata"), self.source, "metadata", root.line)
        name = text(metadata.get("name"), self.source, "metadata.name", metadata.line)
        if not kind or not name:
            raise self.refuse(root, "kind", "an OpenSLO object needs kind and metadata.name")
        if kind != "SLO":
            self.others.append((kind, name))
            return
        spec = fields(root.get("spec"), self.source, "spec", root.line)
        service = text(spec.get("service") or spec.get("serviceRef"), self.source, "spec.service") or name
        period = self._period(spec)
        listed = items(spec.get("objectives"), self.source, "spec.objectives", spec.line)
        if not listed:
            self.others.append(("SLO without objectives", name))
        for at, value in enumerate(listed):
            where = f"spec.objectives[{at}]"
            found = fields(value, self.source, where)
            query, why_not = self._ratio(spec, found, api)
            self.slos.append(
                Slo(
                    service=service,
                    name=f"{name}-{at}",
                    objective=self._target(found, where),
                    error_ratio=query,
                    description=text(spec.get("description"), self.source, "spec.description"),
                    period_seconds=period,
                    spec=api,
                    mode="cli-gen-openslo",
                    why_not=why_not,
                    line=found.line,
                )
            )

    def _target(self, found: Fields, where: str) -> float:
        if found.get("targetPercent") is not None:
            return self._objective(found, "targetPercent", where)
        target = _number(found, "target", self.source, where)
        if not 0 < target <= 1:
            raise self.refuse(found, "target", f"{where}.target is a ratio above 0 and at most 1, not {target:g}")
        return target * 100

    def _period(self, spec: Fields) -> float:
        units = {"minute": 60.0, "hour": 3600.0, "day": DAY_SECONDS, "week": 7 * DAY_SECONDS, "month": 30 * DAY_SECONDS}
        for key in ("timeWindows", "timeWindow"):
            for value in items(spec.get(key), self.source, f"spec.{key}", spec.line):
                window = fields(value, self.source, f"spec.{key}")
                if window.get("count") is not None:
                    unit = text(window.get("unit"), self.source, "unit").lower()
                    if unit not in units:
                        raise self.refuse(window, "unit", f"spec.{key}.unit must be one of {', '.join(units)}")
                    return _number(window, "count", self.source, f"spec.{key}") * units[unit]
                written = text(window.get("duration"), self.source, f"spec.{key}.duration")
                calendar = re.fullmatch(r"(\d+)([MQY])", written)
                if calendar:
                    return int(calendar.group(1)) * {"M": 30, "Q": 91, "Y": 365}[calendar.group(2)] * DAY_SECONDS
                return _seconds(window, "duration", self.source, f"spec.{key}")
        return PERIOD_SECONDS

    def _ratio(self, spec: Fields, objective: Fields, api: str) -> tuple[str | None, str]:
        """The error ratio of good (or bad) over total, or why we can't write one."""
        if api == "openslo/v1alpha":
            metric = fields(objective.get("ratioMetrics"), self.source, "ratioMetrics", objective.line)
        else:
            indicator = fields(spec.get("indicator") or spec.get("sli"), self.source, "spec.indicator", spec.line)
            inner = fields(indicator.get("spec"), self.source, "spec.indicator.spec", indicator.line)
            metric = fields(inner.get("ratioMetric"), self.source, "ratioMetric", inner.line)
        side = "good" if metric.get("good") is not None else "bad"
        if metric.get(side) is None or metric.get("total") is None:
            return None, "its indicator is no ratio of good or bad to total events"
        (kind, part), (total_kind, total) = (self._source_query(metric, key) for key in (side, "total"))
        if {kind, total_kind} != {"prometheus"}:
            return None, f"its metrics come from {kind}, not from Prometheus"
        if not (_WINDOW.search(part) and _WINDOW.search(total)):
            return None, "its queries have no {{.window}}: they can't be asked over the alerts' windows"
        ratio = f"\n    (\n      {part}\n    )\n    /\n    (\n      {total}\n    )\n  "
        return (f"(\n  1 - ({ratio})\n)" if side == "good" else f"(\n  ({ratio})\n)"), ""

    def _source_query(self, metric: Fields, key: str) -> tuple[str, str]:
        part = fields(metric.get(key), self.source, key, metric.line)
        if part.get("metricSource") is not None:
            part = fields(part["metricSource"], self.source, f"{key}.metricSource")
            inner = fields(part.get("spec"), self.source, f"{key}.metricSource.spec", part.line)
            return text(part.get("type"), self.source, "type").lower(), text(inner.get("query"), self.source, "query")
        kind = text(part.get("source"), self.source, "source").lower() or "an unnamed source"
        return kind, text(part.get("query"), self.source, "query") if not isinstance(part.get("query"), Fields) else ""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


# --- rules -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What to generate, and with which windows. ``version`` stands in the label sloth_version."""

    windows: tuple[BurnWindow, ...] = BURN_WINDOWS
    period_seconds: float | None = None
    extra_labels: Labels = field(default_factory=dict)
    recordings: bool = True
    alerts: bool = True
    version: str = "ray-tui"


DEFAULT_OPTIONS = Options()


def generate(slos: Sequence[Slo], options: Options = DEFAULT_OPTIONS) -> tuple[Group, ...]:
    """Recording and alerting rules, SLO by SLO; raises InputError for one whose ratio can't be written."""
    found: list[Group] = []
    for slo in slos:
        if slo.error_ratio is None:
            raise InputError(f"SLO {slo.id!r}: {slo.why_not}. Give it a Prometheus ratio, or leave it out")
        if options.recordings:
            found.append(Group(f"sloth-slo-sli-recordings-{slo.id}", _sli_rules(slo, slo.error_ratio, options)))
            found.append(Group(f"sloth-slo-meta-recordings-{slo.id}", _meta_rules(slo, options)))
        alerts = _alert_rules(slo, options) if options.alerts else ()
        if alerts:
            found.append(Group(f"sloth-slo-alerts-{slo.id}", alerts))
    return tuple(found)


def _period_of(slo: Slo, options: Options) -> float:
    return options.period_seconds or slo.period_seconds


def _identity(slo: Slo) -> dict[str, str]:
    return {"sloth_id": slo.id, "sloth_service": slo.service, "sloth_slo": slo.name}


def _selector(slo: Slo) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in _identity(slo).items()) + "}"


def _labels(slo: Slo, options: Options, **more: str) -> dict[str, str]:
    return {**slo.labels, **options.extra_labels, **_identity(slo), **more}


def _record(name: str, expr: str, labels: Labels) -> Rule:
    return Rule(name, "recording", expr, labels=labels)


def _ratio_name(seconds: float) -> str:
    return f"slo:sli_error:ratio_rate{format_duration(seconds)}"


def _shortest(options: Options) -> float:
    return next(window.short_seconds for window in options.windows if window.severity == "page")


def _sli_rules(slo: Slo, error_ratio: str, options: Options) -> tuple[Rule, ...]:
    sizes = sorted({size for window in options.windows for size in (window.short_seconds, window.long_seconds)})
    found = []
    for size in sizes:
        window = format_duration(size)
        labels = _labels(slo, options, sloth_window=window)
        found.append(_record(_ratio_name(size), _WINDOW.sub(window, error_ratio), labels))
    period = format_duration(_period_of(slo, options))
    base = f"{_ratio_name(_shortest(options))}{_selector(slo)}[{period}]"
    whole = f"sum_over_time({base})\n/ ignoring (sloth_window)\ncount_over_time({base})\n"
    found.append(_record(f"slo:sli_error:ratio_rate{period}", whole, _labels(slo, options, sloth_window=period)))
    return tuple(found)


def _meta_rules(slo: Slo, options: Options) -> tuple[Rule, ...]:
    period = _period_of(slo, options)
    selector, labels = _selector(slo), _labels(slo, options)
    ratio = _go_number(slo.objective / 100)

    def burn(size: float) -> str:
        return (
            f"{_ratio_name(size)}{selector}\n/ on(sloth_id, sloth_slo, sloth_service) group_left\n"
            f"slo:error_budget:ratio{selector}\n"
        )

    info = _labels(
        slo,
        options,
        sloth_mode=slo.mode,
        sloth_objective=_go_number(slo.objective),
        sloth_spec=slo.spec,
        sloth_version=options.version,
    )
    return (
        _record("slo:objective:ratio", f"vector({ratio})", labels),
        _record("slo:error_budget:ratio", f"vector(1-{ratio})", labels),
        _record("slo:time_period:days", f"vector({_go_number(period / DAY_SECONDS)})", labels),
        _record("slo:current_burn_rate:ratio", burn(_shortest(options)), labels),
        _record("slo:period_burn_rate:ratio", burn(period), labels),
        _record("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{selector}", labels),
        _record("sloth_slo_info", "vector(1)", info),
    )


def _alert_rules(slo: Slo, options: Options) -> tuple[Rule, ...]:
    found = []
    for severity, alert in (("page", slo.page), ("ticket", slo.ticket)):
        if alert is None:
            continue
        name = "{{$labels.sloth_service}} {{$labels.sloth_slo}} SLO error budget burn rate is"
        annotations = {"title": f"({severity}) {name} too fast.", "summary": f"{name} over expected."}
        windows = [window for window in options.windows if window.severity == severity]
        expr = "or\n".join(_burns(slo, window, options) for window in windows)
        labels = {**alert.labels, "sloth_severity": severity}
        found.append(
            Rule(alert.name, "alerting", expr, labels=labels, annotations={**annotations, **alert.annotations})
        )
    return tuple(found)


def _burns(slo: Slo, window: BurnWindow, options: Options) -> str:
    """Both windows burn faster than the factor: the long one proves it matters, the short one that it goes on."""
    factor = _go_number(window.factor(_period_of(slo, options)))
    bound = f"({factor} * {_go_number((100 - slo.objective) / 100)})"
    long, short = (
        f"    max({_ratio_name(size)}{_selector(slo)} > {bound}) without (sloth_window)\n"
        for size in (window.long_seconds, window.short_seconds)
    )
    return f"(\n{short}    and\n{long})\n"


def _go_number(value: float) -> str:
    """The shortest text that reads back as the same float, whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(value)
