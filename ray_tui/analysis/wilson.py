"""How sure a share of a few cases can make us: the Wilson score interval."""

from dataclasses import dataclass
from math import sqrt

from ray_tui.core.verdicts import Finding

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95% interval."""
MINIMUM = 10
"""Below so many cases a share is shown as insufficient (protocol 3.2)."""
TARGET = 0.85
"""The precision an alert rule should reach (protocol 3.3)."""


@dataclass(frozen=True)
class Share:
    """``hits`` of ``n`` cases, as a value with its 95% interval. ``value`` is None over no cases at all."""

    hits: int
    n: int
    value: float | None
    low: float
    high: float
    finding: Finding
    why: str


def interval(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval [low, high] of ``hits`` in ``n``; [0, 1] when ``n`` is 0.

    Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference", JASA
    22:209-212. Raises ValueError unless 0 <= hits <= n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is not a share: expected 0 <= hits <= n")
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    centre = p + z * z / (2 * n)
    spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must never push the interval off the value itself (at p = 0 and p = 1).
    return max(0.0, min(p, (centre - spread) / scale)), min(1.0, max(p, (centre + spread) / scale))


def precision(n_true: int, n: int, target: float = TARGET, minimum: int = MINIMUM) -> Share:
    """The share that was true: insufficient under ``minimum`` cases, else ok or degraded against ``target``."""
    low, high = interval(n_true, n)
    value = n_true / n if n else None
    if value is None or n < minimum:
        return Share(n_true, n, value, low, high, Finding.INSUFFICIENT, f"n = {n}, needs {minimum}")
    why = f"{n_true} of {n}, 95% interval {low:.0%} to {high:.0%}"
    return Share(n_true, n, value, low, high, Finding.OK if value >= target else Finding.DEGRADED, why)
