"""When each hop of an alert happened, as far as clocks, resolutions and polls let us know."""

from collections.abc import Sequence
from math import ceil, isfinite

from ray_tui.core.value import Value
from ray_tui.core.verdicts import Verdict

MOST_SKEW_SECONDS = 30.0
"""Clocks further apart than this say nothing about an SLA of minutes."""
DATE_RESOLUTION_SECONDS = 1.0


class Interval(Value):
    """Something (a time on our clock, or a duration) that lies somewhere in [earliest, latest], in seconds."""

    earliest: float
    latest: float

    def __post_init__(self) -> None:
        if not self.earliest <= self.latest:  # NaN too
            raise ValueError(f"[{self.earliest}, {self.latest}] is not an interval")

    @property
    def width(self) -> float:
        return self.latest - self.earliest

    @property
    def perhaps_negative(self) -> bool:
        """As a duration: the order of the two hops lies within what we do not know of the clocks."""
        return self.earliest < 0 <= self.latest

    @property
    def impossible(self) -> bool:
        """As a duration: the effect came before its cause, so a clock or a bound is wrong."""
        return self.latest < 0


class Judgement(Value):
    """A verdict and the reason to print beside it."""

    verdict: Verdict
    why: str


def observed(at: float, resolution: float, skew: tuple[float, float] = (0.0, 0.0), poll_gap: float = 0.0) -> Interval:
    """When a thing that a system dates ``at`` happened, on our clock.

    The system cuts to ``resolution`` seconds (so it happened in [at, at + resolution] of its clock), its
    clock minus ours lies in ``skew`` = [least, most], and where ``at`` is the time of the poll that saw it
    first, it happened up to ``poll_gap`` seconds earlier.
    """
    least, most = skew
    return Interval(at - most - poll_gap, at + resolution - least)


def elapsed(start: Interval, end: Interval) -> Interval:
    """How long it took from one hop to another. See ``perhaps_negative`` and ``impossible``."""
    return Interval(end.earliest - start.latest, end.latest - start.earliest)


def skew_from_date(sent_at: float, answered_at: float, date_header_unix: float) -> tuple[float, float]:
    """Their clock minus ours, as [least, most], from a Date header (whole seconds, cut) and our round trip."""
    return date_header_unix - answered_at, date_header_unix + DATE_RESOLUTION_SECONDS - sent_at


def judge_sla(
    acknowledged: Interval | None,
    sla_seconds: float,
    *,
    skew: tuple[float, float] | None = None,
    deadline_passed: bool = True,
) -> Judgement:
    """Whether a page was acknowledged in time; ``acknowledged`` is the duration from firing to
    acknowledgement.

    Passed if certainly within, failed if certainly late or never seen by the deadline, else inconclusive.
    """
    sla = f"{sla_seconds:g} s allowed"
    if skew is not None and not all(abs(bound) <= MOST_SKEW_SECONDS for bound in skew):  # NaN too
        apart = max(abs(skew[0]), abs(skew[1]))
        why = f"clocks may be {apart:.0f} s apart ({MOST_SKEW_SECONDS:.0f} s allowed): synchronise, test again"
        return Judgement(Verdict.INCONCLUSIVE, why)
    if acknowledged is None:
        if deadline_passed:
            return Judgement(Verdict.FAILED, f"nobody acknowledged before the deadline; {sla}")
        return Judgement(Verdict.INCONCLUSIVE, "not acknowledged yet; the deadline has not passed")
    if acknowledged.impossible or not (isfinite(acknowledged.earliest) and isfinite(acknowledged.latest)):
        return Judgement(Verdict.INCONCLUSIVE, "acknowledged before it fired, by these clocks: check them, test again")
    took = f"acknowledged after {max(0.0, acknowledged.earliest):.1f} to {acknowledged.latest:.1f} s, {sla}"
    if acknowledged.latest <= sla_seconds:
        return Judgement(Verdict.PASSED, took)
    if acknowledged.earliest > sla_seconds:
        return Judgement(Verdict.FAILED, took)
    return Judgement(Verdict.INCONCLUSIVE, took)


def percentile(values: Sequence[float], p: float) -> float | None:
    """The nearest-rank percentile (``p`` in 0..100): always a value that was seen. None over no values.

    Raises ValueError on a ``p`` outside of 0..100 or a value that is not finite.
    """
    if not 0 <= p <= 100:
        raise ValueError(f"percentile {p} is not within 0..100")
    if not all(isfinite(value) for value in values):
        raise ValueError("a percentile needs finite values")
    if not values:
        return None
    return sorted(values)[max(1, ceil(p / 100 * len(values))) - 1]
