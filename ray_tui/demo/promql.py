"""What a PromQL expression means: Prometheus 2.42's semantics for the subset that the demo answers."""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import promql_parser as ast

from ray_tui.demo.series import Labels, Matcher, Samples, Storage

LOOKBACK_MS = 300_000
SUBQUERY_STEP_MS = 60_000
"""The step of a subquery that names none (the server's evaluation interval)."""


class BadExpression(ValueError):
    """The text is not PromQL."""


class Unsupported(ValueError):
    """PromQL that this evaluator does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not supported by the demo: {what}")


class ExecutionError(ValueError):
    """PromQL that cannot be evaluated over the data, in Prometheus's words."""


@dataclass(frozen=True, slots=True)
class Point:
    """One element of an instant vector."""

    labels: Labels
    value: float


Vector = list[Point]
Value = float | str | Vector


@dataclass(frozen=True)
class RawSeries:
    """One element of a range vector or a matrix: times in ms."""

    labels: Labels
    times: list[int]
    values: list[float]


@lru_cache(maxsize=512)
def parse(text: str) -> Any:
    """The expression's syntax tree. Raises BadExpression."""
    try:
        return ast.parse(text)
    except ValueError as exc:
        raise BadExpression(f"1:1: parse error: {exc}") from exc


def kind(node: Any) -> str:
    """``vector``, ``matrix``, ``scalar`` or ``string``."""
    match node:
        case ast.ParenExpr() | ast.UnaryExpr():
            return kind(node.expr)
        case ast.NumberLiteral():
            return "scalar"
        case ast.StringLiteral():
            return "string"
        case ast.MatrixSelector() | ast.SubqueryExpr():
            return "matrix"
        case ast.Call():
            return "scalar" if node.func.name in ("time", "scalar", "pi") else "vector"
        case ast.BinaryExpr():
            return "scalar" if kind(node.lhs) == kind(node.rhs) == "scalar" else "vector"
        case _:
            return "vector"


def instant(storage: Storage, text: str, at_ms: int) -> tuple[str, Value | list[RawSeries]]:
    """(kind, value) of an expression at one time."""
    tree = parse(text)
    evaluation = Evaluation(storage, [at_ms])
    what = kind(tree)
    if what == "matrix":
        return what, [raw for raw in evaluation.matrix(tree, at_ms) if raw.times]
    return what, evaluation.evaluate(tree, at_ms)


def over_range(storage: Storage, text: str, start_ms: int, end_ms: int, step_ms: int) -> list[RawSeries]:
    """The expression at every step, joined to series in label order. The caller has checked its kind."""
    tree = parse(text)
    steps = list(range(start_ms, end_ms + 1, step_ms))
    evaluation = Evaluation(storage, steps)
    found: dict[Labels, RawSeries] = {}
    for at in steps:
        value = evaluation.evaluate(tree, at)
        assert not isinstance(value, str)
        for point in [Point((), value)] if isinstance(value, float) else value:
            series = found.get(point.labels)
            if series is None:
                series = found[point.labels] = RawSeries(point.labels, [], [])
            series.times.append(at)
            series.values.append(point.value)
    return [found[labels] for labels in sorted(found)]


@dataclass
class Evaluation:
    """One query: its steps are known beforehand, so each selector is looked up once."""

    storage: Storage
    steps: Sequence[int]
    _selected: dict[int, Sequence[Samples]] = field(default_factory=dict)
    _keys: dict[tuple[int, Labels], Labels] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)
    """Nodes whose identity is a key above must stay alive."""
    _children: dict[int, dict[str, Any]] = field(default_factory=dict)

    def evaluate(self, node: Any, at: int) -> Value:
        match node:
            case ast.NumberLiteral():
                return float(node.val)
            case ast.StringLiteral():
                return str(node.val)
            case ast.ParenExpr():
                return self.evaluate(self._child(node, "expr"), at)
            case ast.UnaryExpr():
                value = self.evaluate(self._child(node, "expr"), at)
                return -value if isinstance(value, float) else _mapped(_vector(value), lambda number: -number)
            case ast.VectorSelector():
                return [Point(labels, value) for labels, _, value in self.newest(node, at)]
            case ast.AggregateExpr():
                return self._aggregate(node, at)
            case ast.BinaryExpr():
                return self._binary(node, at)
            case ast.Call():
                return self._call(node, at)
            case ast.MatrixSelector() | ast.SubqueryExpr():
                raise ExecutionError("a range vector cannot stand here")
            case _:
                raise Unsupported(type(node).__name__)

    def _child(self, node: Any, name: str) -> Any:
        """A part of a node; the parser makes a new object at each access, and identity is a key here."""
        parts = self._children.get(id(node))
        if parts is None:
            names = [key for key in ("expr", "lhs", "rhs", "param", "args", "vector_selector") if hasattr(node, key)]
            parts = {key: getattr(node, key) for key in names}
            self._children[id(node)] = parts
            self._kept.append(node)
        return parts[name]

    # --- selectors

    def newest(self, node: Any, at: int) -> Iterable[tuple[Labels, int, float]]:
        """(labels, sample time, value) of each series that has a sample within the lookback."""
        offset = _offset(node)
        for series in self._select(node, node, offset, 0):
            sample = series.last(at - offset)
            if sample is not None and sample[0] >= at - offset - LOOKBACK_MS:
                yield series.labels, *sample

    def _select(self, key: Any, selector: Any, offset: int, range_ms: int) -> Sequence[Samples]:
        found = self._selected.get(id(key))
        if found is None:
            if selector.at is not None:
                raise Unsupported("the @ modifier")
            steps = [step - offset for step in self.steps]
            found = self.storage.select(matchers_of(selector), steps, range_ms)
            self._selected[id(key)] = found
            self._kept.append(key)
        return found

    def matrix(self, node: Any, at: int) -> list[RawSeries]:
        """The raw samples that a range selector or a subquery covers at a time."""
        if isinstance(node, ast.ParenExpr):
            return self.matrix(self._child(node, "expr"), at)
        if isinstance(node, ast.SubqueryExpr):
            return self._subquery(node, at)
        selector = self._child(node, "vector_selector")
        offset, range_ms = _offset(selector), _ms(node.range)
        end = at - offset
        series = self._select(node, selector, offset, range_ms)
        return [RawSeries(one.labels, *one.window(end - range_ms, end)) for one in series]

    def _subquery(self, node: Any, at: int) -> list[RawSeries]:
        if node.at is not None:
            raise Unsupported("the @ modifier")
        step = _ms(node.step) if node.step else SUBQUERY_STEP_MS
        end = at - (_ms(node.offset) if node.offset else 0)
        start = end - _ms(node.range)
        first = -(-start // step) * step
        inner = Evaluation(self.storage, range(first, end + 1, step))
        expr = self._child(node, "expr")
        found: dict[Labels, RawSeries] = {}
        for moment in inner.steps:
            value = inner.evaluate(expr, moment)
            for point in [Point((), value)] if isinstance(value, float) else _vector(value):
                raw = found.setdefault(point.labels, RawSeries(point.labels, [], []))
                raw.times.append(moment)
                raw.values.append(point.value)
        return list(found.values())

    # --- functions

    def _call(self, node: Any, at: int) -> Value:
        name = node.func.name
        args = self._child(node, "args")
        if name in _EXTRAPOLATED:
            return _unique(self._extrapolated(name, args[0], at))
        if name in _OVER_TIME:
            return self._over_time(name, args, at)
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, args, at)
        if name in _MATHS:
            vector = _vector(self.evaluate(args[0], at))
            numbers = [_scalar(self.evaluate(arg, at)) for arg in args[1:]]
            return _mapped(vector, lambda value: _MATHS[name](value, *numbers))
        raise Unsupported(f"the function {name}()")

    def _extrapolated(self, name: str, node: Any, at: int) -> Vector:
        plain = _unwrapped(node)
        if not isinstance(plain, ast.MatrixSelector):
            span = _ms(plain.range)
            end = at - (_ms(plain.offset) if plain.offset else 0)
            return [
                Point(nameless(raw.labels), value)
                for raw in self.matrix(node, at)
                if (value := _of_raw(name, raw, end - span, end)) is not None
            ]
        while plain is not node:  # walk down by identity, so that the look-up is remembered
            node = self._child(node, "expr")
            plain = _unwrapped(node)
        selector = self._child(node, "vector_selector")
        offset, span = _offset(selector), _ms(node.range)
        end = at - offset
        answer: Vector = []
        for series in self._select(node, selector, offset, span):
            if series.monotonic and name in ("rate", "increase"):
                edges = series.edges(end - span, end)
                value = None if edges is None else extrapolated(name, *edges, edges[4] - edges[2], end - span, end)
            else:
                value = _of_raw(name, RawSeries(series.labels, *series.window(end - span, end)), end - span, end)
            if value is not None:
                answer.append(Point(self._nameless(series.labels), value))
        return answer

    def _nameless(self, labels: Labels) -> Labels:
        key = (0, labels)
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = nameless(labels)
        return found

    def _over_time(self, name: str, args: Sequence[Any], at: int) -> Vector:
        numbers = [_scalar(self.evaluate(arg, at)) for arg in args[:-1]]
        function = _OVER_TIME[name]
        keep = name == "last_over_time"
        return _unique(
            [
                Point(raw.labels if keep else nameless(raw.labels), function(raw.values, *numbers))
                for raw in self.matrix(args[-1], at)
                if raw.times
            ]
        )

    # --- aggregation

    def _aggregate(self, node: Any, at: int) -> Vector:
        operator = str(node.op)
        if operator not in _AGGREGATES and operator not in ("topk", "bottomk", "quantile"):
            raise Unsupported(f"the aggregation {operator}")
        vector = _vector(self.evaluate(self._child(node, "expr"), at))
        groups: dict[Labels, list[Point]] = {}
        grouping = self._grouping(node)
        for point in vector:
            key = (id(node), point.labels)
            group = self._keys.get(key)
            if group is None:
                group = self._keys[key] = grouping(point.labels)
            groups.setdefault(group, []).append(point)
        if operator in _AGGREGATES:
            function = _AGGREGATES[operator]
            return [Point(group, function([point.value for point in points])) for group, points in groups.items()]
        parameter = _scalar(self.evaluate(self._child(node, "param"), at))
        if operator == "quantile":
            return [
                Point(group, quantile(parameter, [point.value for point in points])) for group, points in groups.items()
            ]
        if math.isnan(parameter) or math.isinf(parameter):
            raise ExecutionError(f"Scalar value {format_value(parameter)} overflows int64")
        best = int(parameter)
        return [point for points in groups.values() for point in _extremes(points, best, operator == "topk")]

    def _grouping(self, node: Any) -> Callable[[Labels], Labels]:
        modifier = node.modifier
        if modifier is None:
            return lambda _labels: ()
        names = set(modifier.labels)
        if str(modifier.type).endswith("By"):
            return lambda labels: tuple(pair for pair in labels if pair[0] in names)
        return lambda labels: tuple(pair for pair in labels if pair[0] not in names and pair[0] != "__name__")

    # --- operators

    def _binary(self, node: Any, at: int) -> Value:
        operator = str(node.op).strip()
        left = self.evaluate(self._child(node, "lhs"), at)
        right = self.evaluate(self._child(node, "rhs"), at)
        want_bool = node.modifier is not None and node.modifier.return_bool
        if operator in ("and", "or", "unless"):
            return _set_operation(operator, _vector(left), _vector(right), _signature(node.modifier))
        if operator not in _ARITHMETIC and operator not in _COMPARISONS:
            raise Unsupported(f"the operator {operator}")
        if isinstance(left, float) and isinstance(right, float):
            if operator in _COMPARISONS:
                return 1.0 if _COMPARISONS[operator](left, right) else 0.0
            return _ARITHMETIC[operator](left, right)
        if isinstance(right, float):
            return _with_scalar(operator, _vector(left), right, False, want_bool)
        if isinstance(left, float):
            return _with_scalar(operator, _vector(right), left, True, want_bool)
        fill = getattr(node.modifier, "fill_values", None)
        if fill is not None and (fill.lhs is not None or fill.rhs is not None):
            raise Unsupported("fill modifiers")
        return _matched(operator, _vector(left), _vector(right), node.modifier, want_bool)


# --- small parts


def matchers_of(selector: Any) -> list[Matcher]:
    """A selector's matchers, its name among them."""
    if selector.matchers.or_matchers:
        raise Unsupported("or between matchers")
    matchers = [
        Matcher(one.name, _MATCH[str(one.op).rpartition(".")[2]], one.value) for one in selector.matchers.matchers
    ]
    if selector.name:
        matchers.insert(0, Matcher("__name__", "=", selector.name))
    return matchers


_MATCH = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _offset(selector: Any) -> int:
    return _ms(selector.offset) if selector.offset else 0


def _unwrapped(node: Any) -> Any:
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    return node


def _vector(value: Value) -> Vector:
    if not isinstance(value, list):
        raise ExecutionError("expected an instant vector")
    return value


def _scalar(value: Value) -> float:
    if not isinstance(value, float):
        raise ExecutionError("expected a scalar")
    return value


def _unique(vector: Vector) -> Vector:
    if len({point.labels for point in vector}) != len(vector):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return vector


def _mapped(vector: Vector, function: Callable[[float], float]) -> Vector:
    return _unique([Point(nameless(point.labels), function(point.value)) for point in vector])


def format_value(value: float) -> str:
    """As Go's ``FormatFloat(v, 'f', -1, 64)`` does."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        digits = mantissa.lstrip("-").replace(".", "")
        whole = len(mantissa.lstrip("-").partition(".")[0]) + int(exponent)
        sign = "-" if value < 0 else ""
        if whole <= 0:
            return sign + "0." + "0" * -whole + digits.rstrip("0")
        padded = digits.ljust(whole, "0")
        rest = padded[whole:].rstrip("0")
        return sign + padded[:whole] + (f".{rest}" if rest else "")
    return text.removesuffix(".0")


# --- rate and its kin (promql/functions.go: extrapolatedRate, instantValue)


def extrapolated(
    name: str, count: int, first_at: int, first: float, last_at: int, last: float, growth: float, start: int, end: int
) -> float | None:
    """rate, increase or delta from a window's ends and its growth (resets already added). Needs two samples."""
    if count < 2:
        return None
    to_start, to_end = (first_at - start) / 1000, (end - last_at) / 1000
    sampled = (last_at - first_at) / 1000
    between = sampled / (count - 1)
    if name != "delta" and growth > 0 and first >= 0:
        to_start = min(to_start, sampled * (first / growth))  # a counter does not begin below nought
    threshold = between * 1.1
    whole = sampled
    whole += to_start if to_start < threshold else between / 2
    whole += to_end if to_end < threshold else between / 2
    factor = whole / sampled
    if name == "rate":
        factor /= (end - start) / 1000
    return growth * factor


def _of_raw(name: str, raw: RawSeries, start: int, end: int) -> float | None:
    values, times = raw.values, raw.times
    if len(values) < 2:
        return None
    if name in ("irate", "idelta"):
        growth = values[-1] - values[-2]
        if name == "idelta":
            return growth
        if values[-1] < values[-2]:
            growth = values[-1]
        return growth / ((times[-1] - times[-2]) / 1000)
    growth = values[-1] - values[0]
    if name != "delta":
        growth += sum(before for before, after in pairwise(values) if after < before)
    return extrapolated(name, len(values), times[0], values[0], times[-1], values[-1], growth, start, end)


_EXTRAPOLATED = frozenset({"rate", "increase", "delta", "irate", "idelta"})


# --- numbers


def _sum(values: Sequence[float]) -> float:
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


def _mean(values: Sequence[float]) -> float:
    return _sum(values) / len(values)


def _least(values: Sequence[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _greatest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _nan_first(value: float) -> tuple[bool, float]:
    return (False, 0.0) if math.isnan(value) else (True, value)


def quantile(q: float, values: Sequence[float]) -> float:
    """Linear between ranks; NaN sorts before everything."""
    if not values or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values, key=_nan_first)
    rank = q * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def _extremes(points: Sequence[Point], count: int, top: bool) -> list[Point]:
    if count < 1:
        return []

    def order(point: Point) -> tuple[bool, float]:
        return math.isnan(point.value), 0.0 if math.isnan(point.value) else (-point.value if top else point.value)

    return sorted(points, key=order)[:count]


_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": _sum,
    "avg": _mean,
    "min": _least,
    "max": _greatest,
    "count": lambda values: float(len(values)),
    "group": lambda _values: 1.0,
}

_OVER_TIME: dict[str, Callable[..., float]] = {
    "avg_over_time": _mean,
    "min_over_time": _least,
    "max_over_time": _greatest,
    "sum_over_time": _sum,
    "count_over_time": lambda values: float(len(values)),
    "last_over_time": lambda values: values[-1],
    "present_over_time": lambda _values: 1.0,
    "quantile_over_time": lambda values, q: quantile(q, values),
}


def _round(value: float, to: float = 1.0) -> float:
    inverse = _divide(1.0, to)
    scaled = value * inverse + 0.5
    return _divide(math.floor(scaled) if math.isfinite(scaled) else scaled, inverse)


def _at_least(value: float, least: float) -> float:
    return math.nan if math.isnan(value) or math.isnan(least) else max(value, least)


def _at_most(value: float, most: float) -> float:
    return math.nan if math.isnan(value) or math.isnan(most) else min(value, most)


_MATHS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "clamp_min": _at_least,
    "clamp_max": _at_most,
    "round": _round,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
}


def _divide(left: float, right: float) -> float:
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1.0, right)
    return left / right


def _modulo(left: float, right: float) -> float:
    if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _modulo,
    "^": _power,
}

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}


# --- functions with rules of their own

Special = Callable[[Evaluation, Sequence[Any], int], Value]


def _time(_evaluation: Evaluation, _args: Sequence[Any], at: int) -> Value:
    return at / 1000


def _timestamp(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    plain = args[0]
    while isinstance(plain, ast.ParenExpr):
        plain = evaluation._child(plain, "expr")
    if isinstance(plain, ast.VectorSelector):
        return _unique([Point(nameless(labels), when / 1000) for labels, when, _ in evaluation.newest(plain, at)])
    return _mapped(_vector(evaluation.evaluate(args[0], at)), lambda _value: at / 1000)


def _to_vector(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    return [Point((), _scalar(evaluation.evaluate(args[0], at)))]


def _to_scalar(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    vector = _vector(evaluation.evaluate(args[0], at))
    return vector[0].value if len(vector) == 1 else math.nan


def _absent_labels(selector: Any) -> Labels:
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers_of(selector):
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in found.items() if value))


def _absent(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    if _vector(evaluation.evaluate(args[0], at)):
        return []
    plain = _unwrapped(args[0])
    return [Point(_absent_labels(plain) if isinstance(plain, ast.VectorSelector) else (), 1.0)]


def _absent_over_time(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    if any(raw.times for raw in evaluation.matrix(args[0], at)):
        return []
    plain = _unwrapped(args[0])
    return [Point(_absent_labels(plain.vector_selector) if isinstance(plain, ast.MatrixSelector) else (), 1.0)]


def _sorted(descending: bool) -> Special:
    def function(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
        vector = _vector(evaluation.evaluate(args[0], at))
        return _extremes(vector, len(vector), descending)

    return function


def _clamp(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    vector = _vector(evaluation.evaluate(args[0], at))
    least, most = (_scalar(evaluation.evaluate(arg, at)) for arg in args[1:])
    if most < least:
        return []
    return _mapped(vector, lambda value: _at_least(_at_most(value, most), least))


def _histogram_quantile(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    q = _scalar(evaluation.evaluate(args[0], at))
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for point in _vector(evaluation.evaluate(args[1], at)):
        bound = _number(dict(point.labels).get("le", ""))
        if bound is None:
            continue
        rest = tuple(pair for pair in point.labels if pair[0] not in ("le", "__name__"))
        groups.setdefault(rest, []).append((bound, point.value))
    return [Point(labels, bucket_quantile(q, buckets)) for labels, buckets in groups.items()]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def bucket_quantile(q: float, buckets: Iterable[tuple[float, float]]) -> float:
    """(upper bound, cumulative count) in any order; promql/quantile.go: bucketQuantile."""
    if math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    joined: dict[float, float] = {}
    for bound, count in buckets:
        joined[bound] = joined.get(bound, 0.0) + count
    bounds = sorted(joined)
    if not bounds or bounds[-1] != math.inf:
        return math.nan
    counts: list[float] = []
    for bound in bounds:
        counts.append(max(joined[bound], counts[-1]) if counts else joined[bound])
    if len(bounds) < 2 or counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = q * counts[-1]
    place = bisect_left(counts, rank, 0, len(bounds) - 1)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    low, count = 0.0, counts[place]
    if place:
        low = bounds[place - 1]
        count -= counts[place - 1]
        rank -= counts[place - 1]
    return low + (bounds[place] - low) * _divide(rank, count)


_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _label_replace(evaluation: Evaluation, args: Sequence[Any], at: int) -> Value:
    vector = _vector(evaluation.evaluate(args[0], at))
    target, template, source, pattern = (str(evaluation.evaluate(arg, at)) for arg in args[1:])
    if not _LABEL_NAME.fullmatch(target):
        raise ExecutionError(f"invalid destination label name in label_replace(): {target}")
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as exc:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from exc
    answer: Vector = []
    for point in vector:
        labels = dict(point.labels)
        found = compiled.fullmatch(labels.get(source, ""))
        if found:
            labels[target] = _REFERENCE.sub(partial(_expanded, found), template)
            if not labels[target]:
                del labels[target]
        answer.append(Point(tuple(sorted(labels.items())), point.value))
    return _unique(answer)


def _expanded(found: re.Match[str], reference: re.Match[str]) -> str:
    if reference[1]:
        return "$"
    name = reference[2] or reference[3]
    try:
        return found[int(name) if name.isdigit() else name] or ""
    except (IndexError, KeyError):
        return ""


_SPECIAL: dict[str, Special] = {
    "time": _time,
    "timestamp": _timestamp,
    "vector": _to_vector,
    "scalar": _to_scalar,
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "sort": _sorted(False),
    "sort_desc": _sorted(True),
    "clamp": _clamp,
    "histogram_quantile": _histogram_quantile,
    "label_replace": _label_replace,
}


# --- vector matching (promql/engine.go: VectorBinop, resultMetric)


def _signature(modifier: Any) -> Callable[[Labels], Labels]:
    matching = None if modifier is None else modifier.matching
    if matching is None:
        return nameless
    names = set(matching.labels)
    if str(matching.type).endswith("Include"):
        return lambda labels: tuple(pair for pair in labels if pair[0] in names)
    return lambda labels: tuple(pair for pair in labels if pair[0] not in names and pair[0] != "__name__")


def _set_operation(operator: str, left: Vector, right: Vector, signature: Callable[[Labels], Labels]) -> Vector:
    if operator == "or":
        taken = {signature(point.labels) for point in left}
        return _unique(left + [point for point in right if signature(point.labels) not in taken])
    there = {signature(point.labels) for point in right}
    return [point for point in left if (signature(point.labels) in there) is (operator == "and")]


def _with_scalar(operator: str, vector: Vector, scalar: float, scalar_first: bool, want_bool: bool) -> Vector:
    compare = _COMPARISONS.get(operator)
    if compare is None:
        compute = _ARITHMETIC[operator]
        if scalar_first:
            return _mapped(vector, lambda value: compute(scalar, value))
        return _mapped(vector, lambda value: compute(value, scalar))

    def holds(value: float) -> bool:
        return compare(scalar, value) if scalar_first else compare(value, scalar)

    if want_bool:
        return _mapped(vector, lambda value: 1.0 if holds(value) else 0.0)
    return [point for point in vector if holds(point.value)]


def _matched(operator: str, left: Vector, right: Vector, modifier: Any, want_bool: bool) -> Vector:
    if not left or not right:
        return []
    card = "OneToOne" if modifier is None else str(modifier.card).rpartition(".")[2]
    swapped = card == "OneToMany"
    many, one = (right, left) if swapped else (left, right)
    signature = _signature(modifier)
    partners: dict[Labels, Point] = {}
    for point in one:
        key = signature(point.labels)
        if key in partners:
            side = "left" if swapped else "right"
            raise ExecutionError(
                f"found duplicate series for the match group {_shown(key)} on the {side} hand-side of the operation: "
                f"[{_shown(point.labels)}, {_shown(partners[key].labels)}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
        partners[key] = point
    answer: Vector = []
    seen: set[Labels] = set()
    taken: set[tuple[Labels, Labels]] = set()
    for point in many:
        key = signature(point.labels)
        partner = partners.get(key)
        if partner is None:
            continue
        first, second = (partner.value, point.value) if swapped else (point.value, partner.value)
        if operator in _COMPARISONS:
            holds = _COMPARISONS[operator](first, second)
            if not want_bool and not holds:
                continue
            value = (1.0 if holds else 0.0) if want_bool else first
        else:
            value = _ARITHMETIC[operator](first, second)
        labels = _result_labels(operator, point.labels, partner.labels, modifier, card, want_bool)
        if card == "OneToOne":
            if key in seen:
                raise ExecutionError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            seen.add(key)
        elif (key, labels) in taken:
            raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
        taken.add((key, labels))
        answer.append(Point(labels, value))
    return _unique(answer)


def _result_labels(operator: str, many: Labels, one: Labels, modifier: Any, card: str, want_bool: bool) -> Labels:
    labels = dict(many)
    if operator in _ARITHMETIC or want_bool:
        labels.pop("__name__", None)
    matching = None if modifier is None else modifier.matching
    if card == "OneToOne":
        if matching is not None:
            names = set(matching.labels)
            keep = str(matching.type).endswith("Include")
            labels = {name: value for name, value in labels.items() if (name in names) is keep}
    else:
        extra = dict(one)
        for name in modifier.group_labels or ():
            if extra.get(name):
                labels[name] = extra[name]
            else:
                labels.pop(name, None)
    return tuple(sorted(labels.items()))


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
