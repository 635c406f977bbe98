"""How a time series of the demo is asked for its samples: runs of cells on one time grid, and what selects them."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

Labels = tuple[tuple[str, str], ...]
"""Label pairs, sorted by name, ``__name__`` among them."""

GRID_MS = 5000
"""The scrape interval: every sample lies on a multiple of it since the epoch."""


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


@dataclass(frozen=True)
class Matcher:
    """One label matcher; ``op`` is ``=``, ``!=``, ``=~`` or ``!~``. Regular expressions match the whole value."""

    name: str
    op: str
    value: str

    def matches(self, value: str) -> bool:
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        return (_compiled(self.value).fullmatch(value) is not None) is (self.op == "=~")


def labels_of(name: str, **labels: str) -> Labels:
    return tuple(sorted({"__name__": name, **labels}.items()))


def selected(labels: Labels, matchers: Iterable[Matcher]) -> bool:
    """Whether every matcher agrees; a missing label is the empty value."""
    values = dict(labels)
    return all(matcher.matches(values.get(matcher.name, "")) for matcher in matchers)


class Samples(Protocol):
    """One series. Times are unix milliseconds, both ends of a window are inside."""

    @property
    def labels(self) -> Labels: ...

    @property
    def monotonic(self) -> bool:
        """Whether the first and last sample of a window say all that a counter function needs."""
        ...

    def last(self, at: int) -> tuple[int, float] | None:
        """The newest sample at or before ``at``; None where there is none or the series has ended by then."""
        ...

    def window(self, start: int, end: int) -> tuple[list[int], list[float]]: ...

    def edges(self, start: int, end: int) -> tuple[int, int, float, int, float] | None:
        """(how many, first time, first value, last time, last value) of a window; None for fewer than one."""
        ...


@dataclass(frozen=True)
class GridSeries:
    """A series whose value is a function of the grid cell, defined on some runs of cells."""

    labels: Labels
    runs: tuple[tuple[int, int | None], ...]
    """First and last cell of each run, in time order; None: still going on."""
    value: Callable[[int], float]
    monotonic: bool = False
    constant: float | None = None
    until: int | None = None
    """The last cell that has been scraped so far; None: no limit."""

    def known_until(self, cell: int) -> "GridSeries":
        """The same series as someone sees it who lives in that cell."""
        return GridSeries(self.labels, self.runs, self.value, self.monotonic, self.constant, cell)

    def last(self, at: int) -> tuple[int, float] | None:
        cell = at // GRID_MS if self.until is None else min(at // GRID_MS, self.until)
        position = bisect_right(self.runs, cell, key=lambda run: run[0]) - 1
        if position < 0:
            return None
        end = self.runs[position][1]
        if end is not None and end < cell:  # a stale marker follows the last sample of a run
            return None
        return cell * GRID_MS, self.value(cell)

    def cells(self, start: int, end: int) -> list[range]:
        low, high = -(-start // GRID_MS), end // GRID_MS
        if self.until is not None:
            high = min(high, self.until)
        spans = (range(max(low, first), (high if last is None else min(high, last)) + 1) for first, last in self.runs)
        return [span for span in spans if span]

    def window(self, start: int, end: int) -> tuple[list[int], list[float]]:
        spans = self.cells(start, end)
        times = [cell * GRID_MS for span in spans for cell in span]
        if self.constant is not None:
            return times, [self.constant] * len(times)
        value = self.value
        return times, [value(cell) for span in spans for cell in span]

    def edges(self, start: int, end: int) -> tuple[int, int, float, int, float] | None:
        spans = self.cells(start, end)
        if not spans:
            return None
        first, last = spans[0][0], spans[-1][-1]
        count = sum(len(span) for span in spans)
        return count, first * GRID_MS, self.value(first), last * GRID_MS, self.value(last)


class Storage(Protocol):
    """What an evaluator reads from."""

    def select(self, matchers: Sequence[Matcher], steps: Sequence[int], range_ms: int) -> Sequence[Samples]:
        """Every series that matches and may have samples in ``[step - range_ms, step]`` for some step."""
        ...
