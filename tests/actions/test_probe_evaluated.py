"""When a rule began to fire: ALERTS_FOR_STATE, the alerts API and our looks, together and alone."""

import math
from typing import Any

import pytest

from ray_tui.actions.probe_evaluated import Looked, fired_at, look
from ray_tui.actions.probe_sightings import EXACT, SECOND, Stamp
from ray_tui.core.errors import BackendUnreachable, NotSupported
from ray_tui.core.ports import ActiveAlert, Sample
from tests.fakes import InMemoryMetrics

TOKEN, T = "probe-1-rule", 1_000_000.25
SAME = (0.0, 0.0)


def looked(shown: float | None = T, stated: float | None = math.floor(T)) -> Looked:
    return Looked(
        None if shown is None else Stamp(shown, EXACT), None if stated is None else Stamp(stated, SECOND), True, True
    )


@pytest.mark.parametrize(
    ("found", "earliest", "latest", "source"),
    [
        (looked(), T, T + EXACT, "ALERTS_FOR_STATE, activeAt and poll"),
        (looked(shown=None), T - 0.25, T + 0.75, "ALERTS_FOR_STATE and poll"),
        (looked(stated=None), T, T + EXACT, "activeAt and poll"),
    ],
)
def test_it_fired_where_all_that_is_known_overlaps(found: Looked, earliest: float, latest: float, source: str) -> None:
    """The series alone is good for a second, the alerts API for a millisecond; either suffices. (P41)"""
    fired = fired_at(found, T - 3, T + 3, SAME)

    assert (fired.when.earliest, fired.when.latest) == pytest.approx((earliest, latest))
    assert (fired.source, fired.disagreement) == (source, "")


def test_our_own_looks_bound_it_where_clocks_are_not_known() -> None:
    """Without a Date header no date of theirs is placed on our clock; what was seen is said all the same."""
    fired = fired_at(looked(), T + 40, T + 41, None)

    assert (fired.when.earliest, fired.when.latest) == (T + 40, T + 41)
    assert "ALERTS_FOR_STATE, activeAt" in fired.source
    assert fired.disagreement == ""


@pytest.mark.parametrize("skew", [SAME, (-0.5, 0.5), None])
def test_sources_that_exclude_each_other_are_said_to_disagree(skew: tuple[float, float] | None) -> None:
    """Five seconds apart are more than resolution and skew explain: our looks bound it, and it blocks. (P45)"""
    fired = fired_at(looked(stated=math.floor(T) + 5.0), T - 1, T + 9, skew)

    assert (fired.when.earliest, fired.when.latest) == (T - 1, T + 9)
    assert "activeAt and ALERTS_FOR_STATE are" in fired.disagreement
    assert " s apart" in fired.disagreement


def test_a_date_that_our_looks_exclude_disagrees_too() -> None:
    """Both sources say that it fired a minute before the rule was loaded."""
    fired = fired_at(looked(), T + 60, T + 62, (-1.0, 1.0))

    assert (fired.when.earliest, fired.when.latest) == (T + 60, T + 62)
    assert "our looks" in fired.disagreement
    assert "-1.0 to +1.0 s" in fired.disagreement


def test_a_skew_explains_a_difference_between_their_clock_and_ours() -> None:
    """Their clock is a minute ahead, and known to be."""
    fired = fired_at(looked(T + 60, math.floor(T) + 60.0), T - 2, T + 2, (59.0, 61.0))

    assert fired.disagreement == ""
    assert fired.when.earliest <= T <= fired.when.latest


def metrics(values: tuple[float, ...] = (), active: bool = False) -> InMemoryMetrics:
    found = InMemoryMetrics()
    found.answer("ALERTS_FOR_STATE", [Sample({"ray_tui_probe": TOKEN}, T, value) for value in values])
    if active:
        found.firing = (ActiveAlert({"ray_tui_probe": TOKEN}, {}, "firing", T, 1.0),)
    return found


def raising(error: Exception) -> Any:
    async def dead() -> Any:
        raise error

    return dead


async def test_a_look_asks_both_sources_for_our_token() -> None:
    """Neither, one or both show it; one of them alone may only be a moment ahead of the other."""
    neither = await look(metrics(), TOKEN)
    one = await look(metrics((T,)), TOKEN)
    both = await look(metrics((T,), active=True), TOKEN)

    assert (neither.found, neither.half) == (False, False)
    assert (one.found, one.half) == (True, True)
    assert (both.found, both.half) == (True, False)


async def test_a_store_without_an_alerts_api_is_believed_by_its_series() -> None:
    """Thanos or Mimir without rules: the series suffices, and nothing is waited for."""
    source = metrics((T,))
    source.alerts = raising(NotSupported("metrics", "this server has no /api/v1/alerts"))  # type: ignore[method-assign]
    found = await look(source, TOKEN)

    assert found.found
    assert not found.half
    assert found.trouble == ""


async def test_a_store_without_the_series_is_believed_by_its_alerts() -> None:
    """The question fails: what the alerts API shows suffices, and the failure is kept."""
    source = metrics(active=True).answer("ALERTS_FOR_STATE", BackendUnreachable("metrics", "refused"))
    found = await look(source, TOKEN)

    assert found.shown == Stamp(T, EXACT)
    assert not found.half
    assert "refused" in found.trouble


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0])
async def test_a_series_without_a_time_in_it_proves_nothing(value: float) -> None:
    """NaN, infinity and zero are no dates."""
    assert not (await look(metrics((value,)), TOKEN)).found


async def test_of_several_replicas_the_first_counts() -> None:
    """Two replicas evaluate on their own: the alert fired when the first of them did."""
    found = await look(metrics((T + 4, T)), TOKEN)

    assert found.stated == Stamp(T, SECOND)


async def test_a_series_of_another_probe_is_not_ours() -> None:
    """A front end that ignores the matcher lends us nothing."""
    source = InMemoryMetrics().answer("ALERTS_FOR_STATE", [Sample({"ray_tui_probe": "another"}, T, T)])

    assert not (await look(source, TOKEN)).found
