"""What a PromQL expression asks: its metrics, matchers, windows and the condition under which it answers at all."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import promql_parser as pp

from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import line

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_PRESENCE = frozenset({"absent", "absent_over_time"})
_ANSWERS_ANYWAY = frozenset({"vector", "scalar", "time", "pi"})
"""Functions that answer something even where their argument is empty."""

_RANGES = (pp.MatrixSelector, pp.SubqueryExpr)

ALL = "$__all"
"""Grafana's value of a variable on which "All" is chosen."""


class PromqlError(InputError):
    """An expression that is not PromQL, or that names a variable nobody set. ``position`` counts characters from 0."""

    def __init__(self, expr: str, what: str, position: int | None = None) -> None:
        self.expr = expr
        self.position = position
        where = "" if position is None else f" at character {position}"
        super().__init__(f"not valid PromQL{where}: {line(what)}. In: {line(expr)}")


@dataclass(frozen=True)
class Threshold:
    """One condition that filters. ``value`` is None where the bound is another series, or presence itself.

    ``op`` is a comparison, with the metric on its left, or ``absent``, or ``unless``.
    """

    op: str
    value: float | None
    text: str


@dataclass(frozen=True)
class LabelMatcher:
    """``name op value`` as it stands in a selector."""

    name: str
    op: str
    value: str


@dataclass(frozen=True)
class Selector:
    """One vector selector. ``metric`` is None where the name is no plain text; alternatives of ``or`` are merged."""

    metric: str | None
    matchers: tuple[LabelMatcher, ...]


@dataclass(frozen=True)
class Expression:
    """The facts of one expression. ``always_answers``: no condition stands between the data and an alert."""

    text: str
    metrics: frozenset[str]
    selectors: tuple[Selector, ...]
    thresholds: tuple[Threshold, ...]
    windows: tuple[timedelta, ...]
    functions: frozenset[str]
    always_answers: bool
    is_constant: bool
    compares_with_bool: bool


@lru_cache(maxsize=4096)
def parse(expr: str) -> Expression:
    """Every fact at once; raises PromqlError. About 100 µs."""
    tree = _tree(expr)
    nodes = tuple(_walk(tree))
    selectors = tuple(_selector(node) for node in nodes if isinstance(node, pp.VectorSelector))
    conditions, filtered = _conditions(tree)
    return Expression(
        text=expr,
        metrics=frozenset(name for selector in selectors for name in _names(selector)),
        selectors=selectors,
        thresholds=conditions,
        windows=tuple(sorted({node.range for node in nodes if isinstance(node, _RANGES) and node.range is not None})),
        functions=frozenset(node.func.name for node in nodes if isinstance(node, pp.Call)),
        always_answers=not filtered,
        is_constant=not selectors,
        compares_with_bool=any(_returns_bool(node) for node in nodes),
    )


def metrics(expr: str) -> frozenset[str]:
    """Names of the metrics read; ``{__name__=~"a|b"}`` counts as both, other name patterns as none."""
    return parse(expr).metrics


def thresholds(expr: str) -> tuple[Threshold, ...]:
    """The outermost conditions that decide whether the expression answers; none for one that always does."""
    return parse(expr).thresholds


def windows(expr: str) -> tuple[timedelta, ...]:
    """Distinct range durations, shortest first."""
    return parse(expr).windows


def selectors(expr: str) -> tuple[Selector, ...]:
    """Every vector selector, in the order of the text."""
    return parse(expr).selectors


def label_matchers(expr: str) -> tuple[LabelMatcher, ...]:
    """Every label matcher but those on the metric's name, without repeats, in the order of the text."""
    found = (matcher for selector in selectors(expr) for matcher in selector.matchers if matcher.name != "__name__")
    return tuple(dict.fromkeys(found))


# --- the tree --------------------------------------------------------------------------------------------------------


def _tree(expr: str) -> pp.Expr:
    if not expr.strip():
        raise PromqlError(expr, "the expression is empty", 0)
    try:
        return pp.parse(expr)
    except ValueError as exc:
        raise PromqlError(expr, str(exc), _position(expr, str(exc))) from exc


def _position(expr: str, problem: str) -> int | None:
    """Where the problem shows, as far as the parser's words and the brackets tell."""
    named = re.search(r"function with name '([^']+)'", problem)
    if named:
        return expr.find(named.group(1))
    opened: list[int] = []
    quote = ""
    for at, char in enumerate(expr):
        if quote:
            if char == quote and (quote == "`" or not _escaped(expr, at)):
                quote = ""
        elif char in "\"'`":
            quote = char
            opened.append(at)
        elif char in "([{":
            opened.append(at)
        elif char in ")]}":
            while opened and expr[opened[-1]] in "\"'`":
                opened.pop()
            if not opened or "([{".index(expr[opened.pop()]) != ")]}".index(char):
                return at
    opened = [at for at in opened if expr[at] in "([{" or quote]
    return (
        opened[-1] if opened else len(expr) if problem in ("invalid promql query", "unexpected end of input") else None
    )


def _escaped(text: str, at: int) -> bool:
    slashes = 0
    while at - slashes - 1 >= 0 and text[at - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _children(node: pp.Expr) -> tuple[pp.Expr, ...]:
    match node:
        case pp.BinaryExpr():
            return (node.lhs, node.rhs)
        case pp.AggregateExpr():
            return (node.param, node.expr) if isinstance(node.param, pp.Expr) else (node.expr,)
        case pp.Call():
            return tuple(node.args)
        case pp.MatrixSelector():
            return (node.vector_selector,)
        case pp.ParenExpr() | pp.UnaryExpr() | pp.SubqueryExpr():
            return (node.expr,)
        case _:
            return ()


def _walk(node: pp.Expr) -> Iterator[pp.Expr]:
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(_children(current)))


def _selector(node: pp.VectorSelector) -> Selector:
    operators = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    every = [*node.matchers.matchers, *(one for group in node.matchers.or_matchers for one in group)]
    found = tuple(LabelMatcher(one.name, operators[str(one.op).rsplit(".", 1)[-1]], one.value) for one in every)
    equal = [one.value for one in found if one.name == "__name__" and one.op == "="]
    return Selector(node.name or (equal[0] if len(equal) == 1 else None), found)


def _names(selector: Selector) -> tuple[str, ...]:
    if selector.metric:
        return (selector.metric,)
    patterns = [one.value for one in selector.matchers if one.name == "__name__" and one.op in ("=~", "=")]
    return tuple(
        name for pattern in patterns for name in pattern.split("|") if re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name)
    )


# --- conditions ------------------------------------------------------------------------------------------------------


def _returns_bool(node: pp.Expr) -> bool:
    return isinstance(node, pp.BinaryExpr) and node.modifier is not None and bool(node.modifier.return_bool)


def _unwrap(node: pp.Expr) -> pp.Expr:
    while isinstance(node, pp.ParenExpr):
        node = node.expr
    return node


def _constant(node: pp.Expr) -> float | None:
    """The number that the expression always is, or None."""
    node = _unwrap(node)
    match node:
        case pp.NumberLiteral():
            return float(node.val)
        case pp.UnaryExpr():  # the parser drops a unary plus
            inner = _constant(node.expr)
            return None if inner is None else -inner
        case pp.Call():
            return (
                math.pi if node.func.name == "pi" else _constant(node.args[0]) if node.func.name == "scalar" else None
            )
        case pp.BinaryExpr():
            left, right = _constant(node.lhs), _constant(node.rhs)
            return None if left is None or right is None else _fold(str(node.op), left, right)
        case _:
            return None


def _fold(op: str, left: float, right: float) -> float | None:
    """IEEE arithmetic as Go does it: x/0 is ±Inf or NaN, never an error."""
    try:
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
            case "^":
                return math.pow(left, right)
            case "atan2":
                return math.atan2(left, right)
            case _:
                return None
    except ZeroDivisionError:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left * math.copysign(1, right))
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _conditions(node: pp.Expr) -> tuple[tuple[Threshold, ...], bool]:
    """The conditions of an expression, and whether it can be empty because of them (False: it always answers)."""
    node = _unwrap(node)
    match node:
        case pp.BinaryExpr():
            return _binary_conditions(node)
        case pp.UnaryExpr() | pp.AggregateExpr() | pp.SubqueryExpr():
            return _conditions(node.expr)
        case pp.Call():
            if node.func.name in _PRESENCE:
                return (Threshold("absent", None, line(node.prettify())),), True
            if node.func.name in _ANSWERS_ANYWAY or not node.args:
                return (), False
            parts = [_conditions(arg) for arg in node.args]
            return tuple(found for part, _ in parts for found in part), any(filtered for _, filtered in parts)
        case _:
            return (), False


def _binary_conditions(node: pp.BinaryExpr) -> tuple[tuple[Threshold, ...], bool]:
    op = str(node.op)
    if op in COMPARISONS and not _returns_bool(node):
        return (_comparison(op, node.lhs, node.rhs),), True
    left, left_filters = _conditions(node.lhs)
    right, right_filters = _conditions(node.rhs)
    if op == "or":  # one unconditional side is enough for an answer at any time
        return (left + right, True) if left_filters and right_filters else ((), False)
    if op == "unless":
        return (left if left_filters else (Threshold("unless", None, f"unless {line(node.rhs.prettify())}"),)), True
    return left + right, left_filters or right_filters


def _comparison(op: str, left: pp.Expr, right: pp.Expr) -> Threshold:
    value = _constant(right)
    bound = right
    if value is None and _constant(left) is not None:
        op, value, bound = _FLIPPED[op], _constant(left), left
    return Threshold(op, value, f"{op} {line(_unwrap(bound).prettify())}")


# --- Grafana's variables ---------------------------------------------------------------------------------------------

# Group numbers as in Grafana's own pattern: $name, [[name:format]], ${name.path:format}.
_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")


def grafana_variables(expr: str) -> frozenset[str]:
    """Names of the dashboard's variables in an expression; neither built-ins (``__interval``) nor ``$1`` of a regex."""
    names = {found.group(1) or found.group(2) or found.group(4) for found in _VARIABLE.finditer(expr)}
    return frozenset(name for name in names if not name.startswith("__") and not name.isdigit())


def substitute_grafana(
    expr: str,
    variables: Mapping[str, str | Sequence[str]],
    interval: str = "1m",
    rate_interval: str = "5m",
    range_seconds: float = 3600,
) -> str:
    """The expression as Grafana would send it. Raises PromqlError for a variable that has no value.

    Several values become ``(a|b)``, ``$__all`` becomes ``.*``; a single text is put in as it stands.
    """
    built_in = {
        "__interval": interval,
        "__rate_interval": rate_interval,
        "__range": f"{max(1, round(range_seconds))}s",
        "__range_s": str(round(range_seconds)),
        "__range_ms": str(round(range_seconds * 1000)),
        "__interval_ms": str(_milliseconds(interval)),
        "__auto": interval,
    }

    def value_of(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2) or found.group(4)
        form = found.group(3) or found.group(6) or ""
        if name.isdigit():
            return found.group()
        if name.startswith("__auto_interval"):
            return interval
        if name in built_in:
            return built_in[name]
        if name not in variables:
            raise PromqlError(expr, f"variable {name!r} has no value on this dashboard", found.start())
        return _formatted(name, variables[name], form)

    for _ in range(5):  # a variable's value may name a variable
        changed = _VARIABLE.sub(value_of, expr)
        if changed == expr:
            break
        expr = changed
    return expr


def _milliseconds(interval: str) -> int:
    try:
        return round(pp.parse_duration(interval).total_seconds() * 1000)
    except ValueError:
        return 60_000


def _formatted(name: str, value: str | Sequence[str], form: str) -> str:
    values = [value] if isinstance(value, str) else list(value)
    if ALL in values:
        return ".*"
    many = not isinstance(value, str)
    match form:
        case "" | "regex":
            escaped = (
                [_escape_regex(one, in_promql=form == "") for one in values] if many or form == "regex" else values
            )
            return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        case "pipe":
            return "|".join(values)
        case "csv" | "raw" | "text" | "percentencode":
            return ",".join(values)
        case "singlequote":
            return ",".join("'" + one.replace("'", "\\'") + "'" for one in values)
        case "doublequote":
            return ",".join('"' + one.replace('"', '\\"') + '"' for one in values)
        case "json":
            return json.dumps(values)
        case "queryparam":
            return "&".join(f"var-{name}={one}" for one in values)
        case _:  # Grafana's answer to a form it does not know is "glob"
            return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"


def _escape_regex(value: str, *, in_promql: bool) -> str:
    """Escaped for a regex; inside a PromQL string each backslash stands twice, as Grafana's data source writes it."""
    if re.fullmatch(r"\.[*+]", value):  # a custom "All" value, or a constant that is meant as a pattern
        return value
    escaped = re.sub(r"([\\^$*+?.()|{}\[\]/'])", r"\\\1", value) if not in_promql else value
    if in_promql:
        escaped = re.sub(r"([$^*{}\[\]'+?.()|])", r"\\\\\1", value.replace("\\", "\\\\\\\\"))
    return escaped
