"""A shift against a tolerance decides; p is only shown."""

import itertools
import math
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_tui.analysis.compare import (
    Window,
    Worse,
    compare,
    hodges_lehmann,
    mann_whitney,
    quantiles,
)
from ray_tui.core.verdicts import Finding

integers = st.integers(-(2**40), 2**40).map(float)
samples = st.lists(integers, min_size=1, max_size=25)


def judged(before, after, relative=0.1, absolute=0.0, direction=Worse.UP, **more):
    return compare(before, after, relative, absolute, direction, **more)


def ramp(start, n=20):
    return [float(start + i) for i in range(n)]


@given(samples, samples)
def test_the_shift_is_the_median_of_all_differences(before, after):
    """The fast Hodges-Lehmann equals the one by definition, exactly."""
    assert hodges_lehmann(before, after) == median(y - x for x in before for y in after)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=12), st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=12))
def test_the_shift_is_exact_for_any_float(before, after):
    """Also for fractions, zeros of both signs and subnormals."""
    assert hodges_lehmann(before, after) == pytest.approx(
        median(y - x for x in before for y in after), rel=1e-15, abs=0.0
    )


@given(samples, integers)
def test_a_constant_added_is_the_shift(before, constant):
    """Everything moved by c is shifted by c."""
    assert hodges_lehmann(before, [x + constant for x in before]) == constant


@given(samples, samples, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_sides_mirror(before, after, shuffled):
    """Shuffling changes nothing; swapping the sides negates the shift and keeps p."""
    mixed_before, mixed_after = list(before), list(after)
    shuffled.shuffle(mixed_before)
    shuffled.shuffle(mixed_after)
    assert hodges_lehmann(mixed_before, mixed_after) == hodges_lehmann(before, after)
    assert hodges_lehmann(after, before) == -hodges_lehmann(before, after)
    assert mann_whitney(mixed_before, mixed_after) == mann_whitney(before, after)
    assert mann_whitney(after, before) == pytest.approx(mann_whitney(before, after), rel=1e-12)


@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_the_exact_p_counts_rank_orders(m, n, data):
    """For small samples without ties, p is the share of rank orders that are at least as extreme."""
    order = data.draw(st.permutations(range(m + n)))
    before, after = [float(v) for v in order[:m]], [float(v) for v in order[m:]]

    def u(left):
        right = set(range(m + n)) - set(left)
        return sum(y > x for x in left for y in right)

    seen = u([int(v) for v in before])
    every = [u(left) for left in itertools.combinations(range(m + n), m)]
    low = sum(v <= min(seen, m * n - seen) for v in every)
    assert mann_whitney(before, after) == pytest.approx(min(1.0, 2 * low / len(every)))


@pytest.mark.parametrize(
    ("before", "after", "p"),
    [
        # scipy.stats.mannwhitneyu's documented example: males, females; exact 0.1111, asymptotic 0.1113
        ([19, 22, 16, 29, 24], [20, 11, 17, 12], 0.11111111),
        # with ties: normal approximation with tie and continuity corrections, worked by hand below
        ([1, 1, 2, 2, 3], [2, 3, 3, 4, 4], None),
    ],
)
def test_p_agrees_with_worked_examples(before, after, p):
    """The exact branch agrees with SciPy's documented value, the tied branch with the formula by hand."""
    if p is None:
        # U = 22 (ties count a half), mean 12.5, ties 2,3,3,2 -> sum(t^3-t) = 60, var = 25/12*(11-60/90) = 21.5278
        z = (22 - 12.5 - 0.5) / math.sqrt(25 / 12 * (11 - 60 / 90))
        p = math.erfc(z / math.sqrt(2))
    assert mann_whitney(before, after) == pytest.approx(p, rel=1e-6)


def test_identical_values_give_p_one():
    """No variance at all is no evidence at all."""
    assert mann_whitney([5.0] * 30, [5.0] * 30) == 1.0


def test_the_exact_and_the_normal_p_meet_at_the_border():
    """Thirty a side (exact) and thirty-one (normal) say nearly the same of the same shift."""
    at = [mann_whitney([i * 1.0 for i in range(n)], [i + 4.5 for i in range(n)]) for n in (30, 31)]
    assert at[0] == pytest.approx(at[1], rel=0.15)


@pytest.mark.parametrize(
    ("after", "direction", "finding"),
    [
        (ramp(100), Worse.UP, Finding.OK),
        (ramp(110), Worse.UP, Finding.OK),  # 10 of a median of 109.5 is within 10%
        (ramp(111), Worse.UP, Finding.DEGRADED),
        (ramp(80), Worse.UP, Finding.OK),
        (ramp(80), Worse.DOWN, Finding.DEGRADED),
        (ramp(80), Worse.EITHER, Finding.DEGRADED),
        (ramp(120), Worse.EITHER, Finding.DEGRADED),
    ],
)
def test_the_shift_is_judged_in_its_direction(after, direction, finding):
    """Only a shift for the worse, beyond tolerance, degrades."""
    assert judged(ramp(100), after, direction=direction).finding is finding


def test_a_small_figure_has_an_absolute_floor():
    """Doubling one millisecond is no news under a floor of five."""
    before, after = [1.0 + i / 1000 for i in range(20)], [2.0 + i / 1000 for i in range(20)]
    assert judged(before, after, absolute=5.0).finding is Finding.OK
    assert judged(before, after, absolute=0.5).finding is Finding.DEGRADED


def test_a_shift_of_exactly_the_tolerance_is_allowed():
    """Ten allowed, ten shifted: ok. Eleven: degraded."""
    assert judged(ramp(100), ramp(110), relative=0, absolute=10.0).finding is Finding.OK
    assert judged(ramp(100), ramp(111), relative=0, absolute=10.0).finding is Finding.DEGRADED


def test_a_significant_p_does_not_degrade_what_is_within_tolerance():
    """The verdict is the shift; p is shown."""
    found = judged(ramp(10_000, 200), [x + 150 for x in ramp(10_000, 200)])
    assert found.p < 0.001
    assert found.finding is Finding.OK
    assert found.shift == 150


def test_from_zero_there_is_no_relative_shift():
    """A median of zero leaves only the absolute tolerance."""
    found = judged([0.0] * 20, [0.3] * 20, absolute=0.2)
    assert found.relative is None
    assert found.finding is Finding.DEGRADED


@pytest.mark.parametrize("prior", [None, []])
def test_a_new_service_has_no_past(prior):
    """Without a prior the finding is none-prior, and no number is made up."""
    found = judged(prior, ramp(1))
    assert found.finding is Finding.NONE_PRIOR
    assert found.shift is found.p is None


def test_nineteen_samples_are_insufficient():
    """Fewer than twenty finite samples on a side are not judged."""
    assert judged(ramp(1, 19), ramp(1)).finding is Finding.INSUFFICIENT
    assert judged(ramp(1), [*ramp(1, 19), math.nan]).finding is Finding.INSUFFICIENT
    assert judged(ramp(1), []).finding is Finding.INSUFFICIENT


def test_samples_that_are_not_numbers_are_dropped_and_counted():
    """NaN and infinity change no figure, and are reported."""
    clean = judged(ramp(100), ramp(130))
    dirty = judged([*ramp(100), math.nan], [math.inf, *ramp(130), -math.inf])
    assert (dirty.shift, dirty.p, dirty.finding) == (clean.shift, clean.p, clean.finding)
    assert (dirty.dropped_before, dirty.dropped_after) == (1, 2)
    assert "1 before and 2 after were not finite" in dirty.why


def test_overlapping_windows_are_not_compared():
    """The same samples on both sides would show no shift: that is no finding."""
    assert judged(ramp(1), ramp(1), windows=(Window(0, 10), Window(9, 20))).finding is Finding.INSUFFICIENT
    assert judged(ramp(1), ramp(1), windows=(Window(0, 10), Window(10, 20))).finding is Finding.OK


def test_a_difference_too_large_for_a_float_is_not_ok():
    """An overflow fails closed."""
    assert judged([-1.7e308] * 20, [1.7e308] * 20).finding is Finding.DEGRADED


def test_quantiles_are_type_seven():
    """Linear interpolation, as numpy and R do by default; the method is named, the dropped are counted."""
    found = quantiles([4.0, 1.0, math.nan, 3.0, 2.0], (0.0, 0.25, 0.5, 0.9, 1.0))
    assert found.values == pytest.approx({0.0: 1.0, 0.25: 1.75, 0.5: 2.5, 0.9: 3.7, 1.0: 4.0})
    assert (found.n, found.dropped) == (4, 1)
    assert "type 7" in found.method
    assert quantiles([math.inf]).values == {}


@pytest.mark.parametrize(
    ("before", "after", "unit", "said"),
    [(0.1, 0.25, "s", "shifted by +150 ms (+150.0%), 10.0 ms allowed"),
     (0.02, 0.01, "percentunit", "shifted by -1% (-50.0%), 0.200% allowed"),
     (40.0, 44.0, "reqps", "shifted by +4 req/s (+10.0%), 4 req/s allowed")],
)  # fmt: skip
def test_a_shift_is_said_in_its_unit(before, after, unit, said):
    """As Grafana would print it: who reads it at night compares it with a dashboard."""
    found = compare([before] * 20, [after] * 20, 0.1, 0.0, Worse.UP, unit=unit)
    assert found.why.startswith(said)
