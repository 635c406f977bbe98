"""A share of few cases says little, and says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_tui.analysis import wilson
from ray_tui.core.verdicts import Finding


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (85, 100, 0.7672, 0.9069)],
)
def test_the_interval_is_wilsons(hits, n, low, high):
    """The interval agrees with values published for the Wilson score method."""
    assert wilson.interval(hits, n) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_value_and_stays_within_0_and_1(case):
    """For any hits of n, 0 <= low <= hits/n <= high <= 1, and misses mirror hits."""
    hits, n = case
    low, high = wilson.interval(hits, n)
    assert 0 <= low <= high <= 1
    assert low <= (hits / n if n else 0.5) <= high
    mirrored = wilson.interval(n - hits, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_more_hits_than_cases_is_our_bug_and_raises():
    """A share over one cannot be asked for."""
    with pytest.raises(ValueError, match="3 of 2"):
        wilson.interval(3, 2)


@pytest.mark.parametrize(
    ("true", "n", "finding"),
    [
        (0, 0, Finding.INSUFFICIENT),
        (9, 9, Finding.INSUFFICIENT),
        (10, 10, Finding.OK),
        (17, 20, Finding.OK),
        (16, 20, Finding.DEGRADED),
    ],
)
def test_precision_is_insufficient_under_ten_cases(true, n, finding):
    """Nine of nine is not a pass; 17 of 20 meets 85%, 16 of 20 does not."""
    assert wilson.precision(true, n).finding is finding


def test_precision_over_nothing_has_no_value():
    """No case gives no number, and the widest interval."""
    share = wilson.precision(0, 0)
    assert share.value is None
    assert (share.low, share.high) == (0, 1)
