"""What rule files do to a metrics server: series that are recorded, alerts that are pending, firing and resolved."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ray_tui.demo import promql
from ray_tui.demo.series import GRID_MS, GridSeries, Labels, Matcher, Samples, selected
from ray_tui.demo.world import World

RECORDED_BEFORE_DEPLOY_SECONDS = 1200.0
"""Recorded series reach back so far: as if their rules had been loaded then."""
RESOLVED_KEPT_SECONDS = 900.0
KEPT_CELLS = 5000
"""Grid cells that are remembered of each recording rule."""


class BadRuleFile(ValueError):
    """A rule file that Prometheus would refuse."""


@dataclass(frozen=True)
class Rule:
    kind: str
    """``alerting`` or ``recording``."""
    name: str
    expr: str
    wait_seconds: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    name: str
    file: str
    interval_seconds: float
    rules: tuple[Rule, ...]


@dataclass
class LiveAlert:
    """One alert of one rule. Times are unix seconds."""

    labels: dict[str, str]
    annotations: dict[str, str]
    active_at: float
    value: float
    firing_since: float | None = None
    resolved_at: float | None = None
    last_sent: float | None = None
    resolved_sent: bool = False

    @property
    def state(self) -> str:
        return "pending" if self.firing_since is None else "firing"


def load_groups(folder: Path) -> tuple[Group, ...]:
    """Every group of ``folder/*.yml``. Raises BadRuleFile where one file is not a valid rule file."""
    groups: list[Group] = []
    for path in sorted(folder.glob("*.yml")):
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            raise BadRuleFile(f"{path}: {exc}") from exc
        groups += _groups(document, str(path))
    return tuple(groups)


def _groups(document: Any, file: str) -> Iterator[Group]:
    if document is None:
        return
    known(document, {"groups"}, file)
    names: set[str] = set()
    for entry in document.get("groups") or ():
        known(entry, {"name", "interval", "limit", "rules", "query_offset", "labels"}, file)
        name = entry.get("name")
        if not isinstance(name, str) or not name or name in names:
            raise BadRuleFile(f"{file}: group name {name!r} is missing or used twice")
        names.add(name)
        rules = tuple(_rule(rule, file) for rule in entry.get("rules") or ())
        yield Group(name, file, _duration(entry.get("interval", "5s"), file), rules)


def known(entry: Any, keys: set[str], file: str) -> None:
    """Raises BadRuleFile where something is not a mapping or has other keys."""
    if not isinstance(entry, dict):
        raise BadRuleFile(f"{file}: cannot unmarshal {entry!r}")
    for key in entry:
        if key not in keys:
            raise BadRuleFile(f"{file}: field {key} not found")


def _rule(entry: Any, file: str) -> Rule:
    known(entry, {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}, file)
    alert, record, expr = entry.get("alert"), entry.get("record"), entry.get("expr")
    if bool(alert) == bool(record):
        raise BadRuleFile(f"{file}: one of 'record' or 'alert' must be set")
    if expr is None:
        raise BadRuleFile(f"{file}: field 'expr' must be set in rule")
    if record and ("for" in entry or "annotations" in entry):
        raise BadRuleFile(f"{file}: invalid field 'for' or 'annotations' in recording rule")
    if record and not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", str(record)):
        raise BadRuleFile(f"{file}: invalid recording rule name: {record}")
    try:
        promql.parse(str(expr))
    except promql.BadExpression as exc:
        raise BadRuleFile(f"{file}: could not parse expression: {exc}") from exc
    return Rule(
        "alerting" if alert else "recording",
        str(alert or record),
        str(expr).strip(),
        _duration(entry.get("for", "0s"), file),
        _texts(entry.get("labels"), file),
        _texts(entry.get("annotations"), file),
    )


def _texts(entry: Any, file: str) -> dict[str, str]:
    if entry is None:
        return {}
    if not isinstance(entry, dict) or not all(isinstance(value, str | int | float) for value in entry.values()):
        raise BadRuleFile(f"{file}: labels and annotations must be text")
    return {str(name): str(value) for name, value in entry.items()}


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION = re.compile(r"(?:(\d+)(ms|[smhdwy]))")


def duration_seconds(text: str) -> float:
    """``1h30m`` -> 5400. Raises ValueError for anything else than Prometheus durations."""
    parts = _DURATION.findall(text)
    if text == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'not a valid duration string: "{text}"')
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _duration(value: Any, file: str) -> float:
    try:
        return duration_seconds(str(value))
    except ValueError as exc:
        raise BadRuleFile(f"{file}: {exc}") from exc


_TEMPLATE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")


def rendered(template: str, labels: Mapping[str, str], value: float) -> str:
    """``{{ $labels.x }}`` and ``{{ $value }}``; a pipe's functions are left out."""

    def fill(found: re.Match[str]) -> str:
        what = found[1].partition("|")[0].strip()
        if what == "$value":
            return promql.format_value(value)
        return labels.get(what.removeprefix("$labels."), "") if what.startswith("$labels.") else ""

    return _TEMPLATE.sub(fill, template)


@dataclass(frozen=True)
class Recorded:
    """A recorded series: samples on some grid cells, and a stale marker after each."""

    labels: Labels
    times: list[int]
    values: list[float]
    monotonic: bool = False

    def last(self, at: int) -> tuple[int, float] | None:
        cell = at // GRID_MS * GRID_MS
        place = bisect_left(self.times, cell)
        found = place < len(self.times) and self.times[place] == cell
        return (cell, self.values[place]) if found else None

    def window(self, start: int, end: int) -> tuple[list[int], list[float]]:
        low, high = bisect_left(self.times, start), bisect_right(self.times, end)
        return self.times[low:high], self.values[low:high]

    def edges(self, start: int, end: int) -> tuple[int, int, float, int, float] | None:
        times, values = self.window(start, end)
        return (len(times), times[0], values[0], times[-1], values[-1]) if times else None


@dataclass
class RuleEngine:
    """The world's series as of ``now``, plus those that the loaded rules make. Set ``now`` before each question."""

    world: World
    groups: tuple[Group, ...] = ()
    now: float = 0.0
    alerts: dict[tuple[str, str, str, str], dict[Labels, LiveAlert]] = field(default_factory=dict)
    """(file, group, name, expr) of a rule -> its alerts by labels."""
    errors: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    _memo: dict[tuple[str, str, str, str], dict[int, list[promql.Point]]] = field(default_factory=dict)
    _busy: set[tuple[str, str, str, str]] = field(default_factory=set)
    _clipped: dict[tuple[Matcher, ...], list[GridSeries]] = field(default_factory=dict)
    _clipped_at: int = -1
    _past: dict[Labels, list[tuple[int, int | None]]] = field(default_factory=dict)

    def rules(self) -> Iterator[tuple[tuple[str, str, str, str], Rule]]:
        for group in self.groups:
            for rule in group.rules:
                yield key_of(group, rule), rule

    def load(self, groups: tuple[Group, ...]) -> None:
        """Take new rules. Alerts of rules that are still there go on; those of others end unresolved."""
        self.groups = groups
        there = {key for key, _ in self.rules()}
        for key in [key for key in self.alerts if key not in there]:
            for labels in self.alerts.pop(key):
                self._mark(labels, None)
        for memory in (self._memo, self.errors):
            for key in [key for key in memory if key not in there]:
                del memory[key]

    # --- storage

    def select(self, matchers: Sequence[Matcher], steps: Sequence[int], range_ms: int) -> Sequence[Samples]:
        cell = int(self.now * 1000) // GRID_MS
        found: list[Samples] = list(self._of_world(matchers, cell))
        for labels, runs in self._past.items():
            if selected(labels, matchers):
                found.append(GridSeries(labels, tuple(runs), lambda _cell: 1.0, constant=1.0, until=cell))
        found += self._since(matchers, cell)
        return found + self._recorded(matchers, steps, range_ms)

    def _of_world(self, matchers: Sequence[Matcher], cell: int) -> list[GridSeries]:
        if cell != self._clipped_at or len(self._clipped) > 1000:
            self._clipped_at = cell
            self._clipped.clear()
        key = tuple(matchers)
        known = self._clipped.get(key)
        if known is None:
            known = self._clipped[key] = [series.known_until(cell) for series in self.world.select(matchers)]
        return known

    def _since(self, matchers: Sequence[Matcher], cell: int) -> Iterator[Samples]:
        """ALERTS_FOR_STATE of live alerts: when each became active."""
        for alerts in self.alerts.values():
            for alert in alerts.values():
                labels = tuple(sorted({"__name__": "ALERTS_FOR_STATE", **alert.labels}.items()))
                if alert.resolved_at is None and selected(labels, matchers):
                    began = float(int(alert.active_at))
                    first = int(alert.active_at * 1000) // GRID_MS
                    yield GridSeries(labels, ((first, None),), lambda _cell, began=began: began, until=cell)  # type: ignore[misc]

    def _recorded(self, matchers: Sequence[Matcher], steps: Sequence[int], range_ms: int) -> list[Samples]:
        wanted = [(key, rule) for key, rule in self.rules() if rule.kind == "recording" and _may_make(rule, matchers)]
        if not wanted:
            return []
        found: dict[Labels, Recorded] = {}
        chosen: dict[Labels, bool] = {}
        cells = self._cells(steps, range_ms)
        for key, rule in wanted:
            memory = self._filled(key, rule, cells)
            for cell in cells:
                for point in memory.get(cell, ()):
                    labels = point.labels
                    if labels not in chosen:
                        chosen[labels] = selected(labels, matchers)
                    if not chosen[labels]:
                        continue
                    series = found.get(labels)
                    if series is None:
                        series = found[labels] = Recorded(labels, [], [])
                    if not series.times or series.times[-1] < cell * GRID_MS:
                        series.times.append(cell * GRID_MS)
                        series.values.append(point.value)
        return list(found.values())

    def _cells(self, steps: Sequence[int], range_ms: int) -> list[int]:
        first = int((self.world.deployed_at - RECORDED_BEFORE_DEPLOY_SECONDS) * 1000) // GRID_MS
        last = int(self.now * 1000) // GRID_MS
        if range_ms == 0:
            cells = {step // GRID_MS for step in steps}
        else:
            cells = set()
            for step in steps:
                low = max(first, -(-(step - range_ms) // GRID_MS))
                cells.update(range(low, min(last, step // GRID_MS) + 1))
        return sorted(cell for cell in cells if first <= cell <= last)

    def _filled(
        self, key: tuple[str, str, str, str], rule: Rule, cells: Sequence[int]
    ) -> Mapping[int, list[promql.Point]]:
        """A recording rule's results, by cell, with these cells among them. A rule that needs itself finds nothing."""
        memory = self._memo.setdefault(key, {})
        missing = [cell for cell in cells if cell not in memory]
        if not missing or key in self._busy:
            return memory
        self._busy.add(key)
        try:
            evaluation = promql.Evaluation(self, [cell * GRID_MS for cell in missing])
            tree = promql.parse(rule.expr)
            for cell in missing:
                try:
                    points = _points(evaluation.evaluate(tree, cell * GRID_MS))
                    memory[cell] = [_relabelled(point, rule) for point in points]
                    self.errors[key] = ""
                except (promql.Unsupported, promql.ExecutionError) as exc:
                    memory[cell] = []
                    self.errors[key] = str(exc)
        finally:
            self._busy.discard(key)
        if len(memory) > KEPT_CELLS:
            for cell in sorted(memory)[: KEPT_CELLS // 2]:
                del memory[cell]
        return memory

    # --- alerts

    def evaluate(self) -> None:
        """Evaluate every rule now: alerts become pending, firing, resolved."""
        at = int(self.now * 1000)
        for key, rule in self.rules():
            if rule.kind == "recording":
                self._filled(key, rule, [at // GRID_MS])
                continue
            try:
                points = _points(promql.instant(self, rule.expr, at)[1])
            except (promql.Unsupported, promql.ExecutionError) as exc:
                self.errors[key] = str(exc)
                continue
            self.errors[key] = ""
            self._update(self.alerts.setdefault(key, {}), rule, points)

    def _update(self, alerts: dict[Labels, LiveAlert], rule: Rule, points: Sequence[promql.Point]) -> None:
        there: set[Labels] = set()
        for point in points:
            alert = _alert(rule, point, self.now)
            identity = tuple(sorted(alert.labels.items()))
            there.add(identity)
            known_alert = alerts.get(identity)
            if known_alert is None or known_alert.resolved_at is not None:
                alerts[identity] = known_alert = alert
            known_alert.value, known_alert.annotations = point.value, alert.annotations
            if known_alert.firing_since is None and self.now - known_alert.active_at >= rule.wait_seconds:
                known_alert.firing_since = self.now
            self._mark(identity, known_alert.state)
        for identity in [one for one in alerts if one not in there]:
            alert = alerts[identity]
            self._mark(identity, None)
            if alert.firing_since is None or alert.resolved_sent:
                del alerts[identity]
            elif alert.resolved_at is None:
                alert.resolved_at = self.now
            elif self.now - alert.resolved_at > RESOLVED_KEPT_SECONDS:
                del alerts[identity]

    def _mark(self, identity: Labels, state: str | None) -> None:
        """Write down what ALERTS says of an alert from this cell on."""
        cell = int(self.now * 1000) // GRID_MS
        for word in ("pending", "firing"):
            labels = tuple(sorted({"__name__": "ALERTS", **dict(identity), "alertstate": word}.items()))
            runs = self._past.get(labels)
            if word == state:
                if runs is None:
                    self._past[labels] = [(cell, None)]
                elif runs[-1][1] is not None:
                    runs.append((max(cell, runs[-1][1] + 1), None))
            elif runs is not None and runs[-1][1] is None:
                first = runs[-1][0]
                runs[-1] = (first, max(first, cell - 1))


def _may_make(rule: Rule, matchers: Sequence[Matcher]) -> bool:
    """Whether a rule's series can match, by what the rule itself says of their labels."""
    fixed = {**rule.labels, "__name__": rule.name}
    return all(matcher.matches(fixed[matcher.name]) for matcher in matchers if matcher.name in fixed)


def _points(value: object) -> list[promql.Point]:
    """A rule's result as a vector. Raises ExecutionError for text and range vectors."""
    if isinstance(value, float):
        return [promql.Point((), value)]
    if not isinstance(value, list) or not all(isinstance(point, promql.Point) for point in value):
        raise promql.ExecutionError("rule result is not a vector or scalar")
    return value


def key_of(group: Group, rule: Rule) -> tuple[str, str, str, str]:
    return group.file, group.name, rule.name, rule.expr


def _relabelled(point: promql.Point, rule: Rule) -> promql.Point:
    labels = {**dict(point.labels), **rule.labels, "__name__": rule.name}
    return promql.Point(tuple(sorted((name, value) for name, value in labels.items() if value)), point.value)


def _alert(rule: Rule, point: promql.Point, now: float) -> LiveAlert:
    own = {name: value for name, value in point.labels if name != "__name__"}
    given = {name: rendered(text, own, point.value) for name, text in rule.labels.items()}
    labels = {name: value for name, value in {**own, **given, "alertname": rule.name}.items() if value}
    annotations = {name: rendered(text, own, point.value) for name, text in rule.annotations.items()}
    return LiveAlert(labels, annotations, now, point.value)
