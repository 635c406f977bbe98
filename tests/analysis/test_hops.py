"""What we know of when a page arrived, and what that proves of the SLA."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_tui.analysis.hops import Interval, elapsed, judge_sla, observed, percentile, skew_from_date
from ray_tui.core.verdicts import Verdict

seconds = st.floats(0, 1e6)


@given(seconds, st.floats(0.001, 60), st.floats(-20, 20), st.floats(0, 5), st.floats(0, 1), st.floats(0, 60))
def test_the_true_time_lies_in_the_interval(true, resolution, offset, uncertainty, part, gap):
    """Whatever their clock, its resolution and our polling do, the interval holds the true time on our clock."""
    skew = (offset - uncertainty * part, offset + uncertainty * (1 - part))
    theirs = math.floor((true + offset) / resolution) * resolution
    found = observed(theirs, resolution, skew)
    assert found.earliest - 1e-6 <= true <= found.latest + 1e-6
    late = observed(true + gap, 0.0, (0.0, 0.0), poll_gap=gap)
    assert late.earliest - 1e-6 <= true <= late.latest + 1e-6


@given(st.lists(seconds, min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_elapsed_holds_every_duration_that_is_possible(bounds, left, right):
    """Pick any time from either interval: their difference lies in the elapsed interval."""
    a, b, c, d = bounds
    start, end = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    took = elapsed(start, end)
    picked = (end.earliest + right * end.width) - (start.earliest + left * start.width)
    assert took.earliest - 1e-3 <= picked <= took.latest + 1e-3


def test_a_negative_duration_is_flagged_and_an_impossible_one_too():
    """An order that the clocks leave open is 'perhaps negative'; an effect before its cause is impossible."""
    assert Interval(-2, 3).perhaps_negative
    assert not Interval(-2, 3).impossible
    assert Interval(-5, -1).impossible
    assert not Interval(0, 1).perhaps_negative


def test_no_interval_is_made_of_what_is_not_a_number():
    """NaN and a reversed pair are refused, not stored."""
    for pair in ((math.nan, 1), (1, math.nan), (2, 1)):
        with pytest.raises(ValueError):
            Interval(*pair)


@pytest.mark.parametrize(
    ("acknowledged", "verdict"),
    [
        (Interval(10, 300), Verdict.PASSED),
        (Interval(299, 301), Verdict.INCONCLUSIVE),
        (Interval(300, 301), Verdict.INCONCLUSIVE),
        (Interval(300.1, 301), Verdict.FAILED),
        (Interval(-10, -1), Verdict.INCONCLUSIVE),
        (Interval(-1, 5), Verdict.PASSED),
        (Interval(-1, math.inf), Verdict.INCONCLUSIVE),
        (None, Verdict.FAILED),
    ],
)
def test_an_acknowledgement_is_judged_by_its_whole_interval(acknowledged, verdict):
    """Passed only if certainly within the SLA, failed if certainly late or never seen, else inconclusive."""
    judgement = judge_sla(acknowledged, 300)
    assert judgement.verdict is verdict
    assert judgement.why


def test_before_the_deadline_nobody_is_late():
    """A page not yet acknowledged is not failed while there is time."""
    assert judge_sla(None, 300, deadline_passed=False).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("skew", [(-31, 0), (0, 30.5), (math.nan, 0), (0, math.nan)])
def test_clocks_too_far_apart_prove_nothing(skew):
    """Over 30 s of skew, even a quick acknowledgement is inconclusive."""
    assert judge_sla(Interval(1, 2), 300, skew=skew).verdict is Verdict.INCONCLUSIVE
    assert judge_sla(Interval(1, 2), 300, skew=(-30, 30)).verdict is Verdict.PASSED


@given(seconds, st.floats(0, 5), st.floats(0, 1), st.floats(-100, 100))
def test_the_skew_from_a_date_header_holds_the_true_skew(sent, trip, part, skew):
    """The Date header is cut to a second: the bounds allow for that and for the round trip."""
    date = math.floor(sent + trip * part + skew)
    low, high = skew_from_date(sent, sent + trip, date)
    assert low - 1e-6 <= skew <= high + 1e-6


def test_a_percentile_is_a_value_that_was_seen():
    """Nearest rank; nothing for nothing; NaN is refused."""
    assert percentile([5, 1, 3], 50) == 3
    assert percentile(list(range(1, 101)), 95) == 95
    assert percentile([7], 0) == percentile([7], 100) == 7
    assert percentile([], 50) is None
    for values, p in (([math.nan], 50), ([1], 101)):
        with pytest.raises(ValueError):
            percentile(values, p)
