"""What one PromQL expression would show on a panel: asked live, once, and told apart from what is merely quiet."""

import asyncio
import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import promql_parser as pp

from ray_tui.analysis import promql, red
from ray_tui.core.errors import BackendError, BackendRefused
from ray_tui.core.ports import Metrics, Vector
from ray_tui.core.untrusted import line

AT_ONCE = 8
EXISTS_WITHIN = "1h"
"""A metric that had no sample for this long is taken for one that does not exist."""
_OF_THE_SERVER = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that Prometheus makes only while an alert is pending or firing."""
_FAILED = re.compile(r"(^|[\"^(|])5(\.\.|xx|\d\d|\[0-9\]|\\d)|error|fail", re.IGNORECASE)

State = Literal["ok", "empty", "error", "broken", "not-checked"]


@dataclass(frozen=True)
class Answered:
    """What came of one expression. ``unasked``: the network, not the query, is to blame."""

    state: State
    why: str
    unasked: bool = False


@dataclass
class Asker:
    """Runs each distinct expression once, eight at a time."""

    metrics: Metrics
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _asked: dict[str, asyncio.Task[Vector]] = field(default_factory=dict)

    async def vector(self, expr: str) -> Vector:
        """Raises BackendError. The answer, or the error, is remembered."""
        if expr not in self._asked:
            self._asked[expr] = asyncio.create_task(self._query(expr))
        return await asyncio.shield(self._asked[expr])

    async def _query(self, expr: str) -> Vector:
        async with self._gate:
            return await self.metrics.query(expr)

    async def close(self) -> None:
        """End what nobody waits for any more."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def exists(self, metric: str) -> bool:
        answer = await self.vector(f"count(last_over_time({_selecting(metric)}[{EXISTS_WITHIN}]))")
        return any(sample.value > 0 for sample in answer.samples)

    async def has_data(self, expr: str) -> bool:
        answer = await self.vector(expr)
        return not answer.warnings and any(isfinite(sample.value) for sample in answer.samples)


def _selecting(metric: str) -> str:
    return metric if re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", metric) else f"{{{red.quoted(metric)}}}"


async def answered(asker: Asker, expr: str) -> Answered:
    """Run one expression that has no variables left, and say what a panel would show of it."""
    try:
        answer = await asker.vector(expr)
        if answer.warnings:
            return Answered("error", f"a partial answer: {line('; '.join(answer.warnings))}", unasked=True)
        return await _seen(asker, expr, answer)
    except BackendRefused as exc:
        return Answered("error", line(str(exc)), unasked=exc.status not in (400, 422))
    except BackendError as exc:
        return Answered("error", line(str(exc)), unasked=True)


async def _seen(asker: Asker, expr: str, answer: Vector) -> Answered:
    try:
        facts = promql.parse(expr)
    except promql.PromqlError:
        facts = None
    metrics = sorted(facts.metrics - _OF_THE_SERVER) if facts else []
    missing = [metric for metric in metrics if not await asker.exists(metric)]
    finite = [sample for sample in answer.samples if isfinite(sample.value)]
    if missing and (not finite or len(missing) == len(metrics)):
        return Answered("broken", f"no such metric: {', '.join(missing)}")
    if finite:
        return Answered("ok", f"{len(finite)} series")
    if answer.samples:
        return Answered("empty", f"{len(answer.samples)} series, none with a number (NaN or infinite)")
    if facts and facts.metrics and facts.metrics <= _OF_THE_SERVER:
        return Answered("ok", "no alert is pending or firing")
    total = errors_of_total(expr)
    if total is not None and await asker.has_data(total):
        return Answered("ok", "no errors in the window: the total has data, the ratio is zero")
    if facts and not facts.always_answers and await _selected(asker, facts):
        return Answered("ok", "nothing passes its condition now; what it looks at has data")
    return Answered("empty", "no data")


async def _selected(asker: Asker, facts: promql.Expression) -> bool:
    """Whether every selector of a filtering expression selects something."""
    for one in facts.selectors:
        if one.metric is None:
            return False
        matchers = ",".join(f"{m.name}{m.op}{red.quoted(m.value)}" for m in one.matchers if m.name != "__name__")
        selector = f"{_selecting(one.metric)}{{{matchers}}}" if matchers else _selecting(one.metric)
        if not await asker.has_data(f"count({selector})"):
            return False
    return bool(facts.selectors)


def errors_of_total(expr: str) -> str | None:
    """The total of an expression that divides errors by a total, as PromQL; None for any other form.

    Subqueries and quoted names are left alone: the parser does not write them back as they were.
    """
    try:
        tree = pp.parse(expr)
    except ValueError:
        return None
    pending = [tree]
    while pending:
        node = pending.pop()
        match node:
            case pp.ParenExpr() | pp.UnaryExpr():
                pending.append(node.expr)
            case pp.Call():
                pending += [arg for arg in node.args if not isinstance(arg, pp.NumberLiteral | pp.StringLiteral)]
            case pp.AggregateExpr():
                pending.append(node.expr)
            case pp.BinaryExpr():
                left, right = str(node.lhs), str(node.rhs)
                if str(node.op) == "/" and _counts_errors(left) and not _counts_errors(right):
                    plain = re.search(r"\[[^\]]*:", right) is None and '{"' not in right
                    if _reads_something(right):
                        return right if plain else None
                pending += [node.rhs, node.lhs]
            case _:
                pass
    return None


def _counts_errors(expr: str) -> bool:
    try:
        facts = promql.parse(expr)
    except promql.PromqlError:
        return False
    values = [
        one.value for s in facts.selectors for one in s.matchers if one.op in ("=", "=~") and one.name != "__name__"
    ]
    return any(_FAILED.search(text) for text in (*values, *facts.metrics))


def _reads_something(expr: str) -> bool:
    try:
        return bool(promql.parse(expr).selectors)
    except promql.PromqlError:
        return False
