"""Whether a release moved a figure: two samples, their shift, and a tolerance."""

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, erfc, isfinite, sqrt

from ray_tui.analysis.units import format_value
from ray_tui.core.verdicts import Finding

MINIMUM = 20
"""Samples that each side needs before a shift is judged (protocol 1.3)."""
EXACT_UP_TO = 30
"""The largest side for which the exact distribution of U is counted; beyond it the normal one is as good."""
QUANTILES = (0.5, 0.9, 0.95, 0.99)
METHOD = "Hyndman-Fan type 7 (linear interpolation between order statistics)"


class Worse(StrEnum):
    """Which way a figure must not go."""

    UP = "up"  # latency, errors
    DOWN = "down"  # throughput, availability
    EITHER = "either"


@dataclass(frozen=True)
class Window:
    """A span of time in unix seconds."""

    start: float
    end: float


@dataclass(frozen=True)
class Comparison:
    """What became of a figure. Shift and p are None where nothing could be said.

    ``shift`` is Hodges-Lehmann, after minus before, in the figure's unit; ``relative`` is by |median before|,
    None where that is 0; ``p`` is two-sided Mann-Whitney and decides nothing; ``allowed`` is the tolerance
    used. ``dropped_*`` count samples that were NaN or infinite.
    """

    finding: Finding
    shift: float | None
    relative: float | None
    p: float | None
    n_before: int
    n_after: int
    dropped_before: int
    dropped_after: int
    allowed: float | None
    why: str


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of the finite samples, by probability; empty where there were none."""

    values: dict[float, float]
    n: int
    dropped: int
    method: str = METHOD


def compare(
    before: Sequence[float] | None,
    after: Sequence[float],
    tolerance_relative: float,
    tolerance_absolute: float,
    direction: Worse,
    minimum: int = MINIMUM,
    windows: tuple[Window, Window] | None = None,
    unit: str = "",
) -> Comparison:
    """Judge the shift from ``before`` to ``after`` against a tolerance.

    A shift for the worse is ``degraded`` when it is larger than both tolerances (the absolute one is the
    floor below which a large percentage of little is no news). No prior: ``none-prior``. Fewer than
    ``minimum`` finite samples on a side, or windows that overlap: ``insufficient``. Order of the samples does
    not matter. ``unit`` is for the words: as Grafana would print it.
    """
    kept_before, dropped_before = _finite(before or ())
    kept_after, dropped_after = _finite(after)

    def found(finding: Finding, why: str, **more: float | None) -> Comparison:
        return Comparison(
            finding,
            more.get("shift"),
            more.get("relative"),
            more.get("p"),
            len(kept_before),
            len(kept_after),
            dropped_before,
            dropped_after,
            more.get("allowed"),
            why + _dropped(dropped_before, dropped_after),
        )

    if not before:
        return found(Finding.NONE_PRIOR, "there is no prior baseline to compare with")
    if windows and windows[0].start < windows[1].end and windows[1].start < windows[0].end:
        return found(Finding.INSUFFICIENT, "the two windows overlap: the same samples would be on both sides")
    if min(len(kept_before), len(kept_after)) < minimum:
        counts = f"{len(kept_before)} before, {len(kept_after)} after"
        return found(Finding.INSUFFICIENT, f"{counts}; each side needs {minimum} samples")

    middle = abs(_quantile(kept_before, 0.5))
    shift = hodges_lehmann(kept_before, kept_after)
    allowed = max(tolerance_relative * middle, tolerance_absolute)
    relative = shift / middle if middle else None
    p = mann_whitney(kept_before, kept_after)
    if not isfinite(shift):  # the differences overflow: certainly not "no change"
        return found(Finding.DEGRADED, "the samples differ by more than a float holds", p=p, allowed=allowed)
    worse = {Worse.UP: shift, Worse.DOWN: -shift, Worse.EITHER: abs(shift)}[direction]
    finding = Finding.DEGRADED if not worse <= allowed else Finding.OK
    share = "" if relative is None else f" ({relative:+.1%})"
    sign = "+" if shift > 0 else ""
    shifted = f"{sign}{format_value(shift, unit)}{share}"
    why = f"shifted by {shifted}, {format_value(allowed, unit)} allowed; p = {p:.3g}"
    return found(finding, why, shift=shift, relative=relative, p=p, allowed=allowed)


def mann_whitney(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided p of the Mann-Whitney U test.

    Exact without ties while both sides are <= 30, by counting rank orders; else normal, with tie and
    continuity corrections. Mann & Whitney (1947), Ann. Math. Statist. 18:50-60; tie correction: Lehmann,
    "Nonparametrics" (1975). Raises ValueError when a side is empty.
    """
    m, n = len(before), len(after)
    if not m or not n:
        raise ValueError("Mann-Whitney needs samples on both sides")
    ranks, ties = _ranks([*before, *after])
    u = sum(ranks[m:]) - n * (n + 1) / 2
    if not ties and max(m, n) <= EXACT_UP_TO:
        return _exact_p(int(u), m, n)
    total = m + n
    variance = m * n / 12 * (total + 1 - sum(t**3 - t for t in ties) / (total * (total - 1)))
    if variance <= 0:  # every value is the same
        return 1.0
    z = max(0.0, abs(u - m * n / 2) - 0.5) / sqrt(variance)
    return erfc(z / sqrt(2))


def hodges_lehmann(before: Sequence[float], after: Sequence[float]) -> float:
    """The median of all differences ``after - before``, exactly, in O((m + n) log) without forming m*n of
    them.

    Hodges & Lehmann (1963), Ann. Math. Statist. 34:598-611. Antisymmetric: swapping the sides negates it.
    """
    xs, ys = sorted(before), sorted(after)
    count = len(xs) * len(ys)
    low = _kth_difference(xs, ys, (count + 1) // 2)
    high = low if count % 2 else _kth_difference(xs, ys, count // 2 + 1)
    return low if low == high else (low + high) / 2


def quantiles(values: Sequence[float], probabilities: Sequence[float] = QUANTILES) -> Quantiles:
    """Quantiles of the finite values: type 7 of Hyndman & Fan (1996), Am. Stat. 50:361-365."""
    kept, dropped = _finite(values)
    return Quantiles({p: _quantile(kept, p) for p in probabilities} if kept else {}, len(kept), dropped)


def _finite(values: Sequence[float]) -> tuple[list[float], int]:
    kept = sorted(value for value in values if isfinite(value))
    return kept, len(values) - len(kept)


def _dropped(before: int, after: int) -> str:
    return f"; {before} before and {after} after were not finite and were left out" if before or after else ""


def _quantile(ordered: Sequence[float], p: float) -> float:
    at = (len(ordered) - 1) * p
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    part = at - low
    return ordered[low] if part == 0 else ordered[low] * (1 - part) + ordered[high] * part


def _ranks(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """The mid-rank of each value, and the size of every group of ties."""
    counts = Counter(values)
    rank_of: dict[float, float] = {}
    below = 0
    for value in sorted(counts):
        rank_of[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    return [rank_of[value] for value in values], [count for count in counts.values() if count > 1]


def _exact_p(u: int, m: int, n: int) -> float:
    """How many of the C(m+n, m) orders have a U at least as far out: coefficients of the Gaussian binomial."""
    ways = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for at in range(m * n, n + i - 1, -1):  # times (1 - q^(n+i))
            ways[at] -= ways[at - n - i]
        for at in range(i, m * n + 1):  # divided by (1 - q^i)
            ways[at] += ways[at - i]
    tail = sum(ways[: min(u, m * n - u) + 1])
    return min(1.0, 2 * tail / comb(m + n, m))


def _kth_difference(xs: Sequence[float], ys: Sequence[float], k: int) -> float:
    """The k-th smallest (from 1) of all y - x: the least float that k differences do not exceed."""
    low, high = _rank(ys[0] - xs[-1]), _rank(ys[-1] - xs[0])
    while low < high:
        middle = (low + high) // 2
        if _count_up_to(xs, ys, _unrank(middle)) >= k:
            high = middle
        else:
            low = middle + 1
    return _unrank(low)


def _count_up_to(xs: Sequence[float], ys: Sequence[float], limit: float) -> int:
    """Pairs with y - x <= limit; both sides ascending, so the boundary only moves one way."""
    count, start = 0, 0
    for y in ys:
        while start < len(xs) and y - xs[start] > limit:
            start += 1
        if start == len(xs):
            break
        count += len(xs) - start
    return count


def _rank(value: float) -> int:
    """A float's place among all floats, so that bisection ends at an exact value."""
    bits: int = struct.unpack("<q", struct.pack("<d", value + 0.0))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _unrank(rank: int) -> float:
    magnitude: float = struct.unpack("<d", struct.pack("<q", abs(rank)))[0]
    return magnitude if rank >= 0 else -magnitude
