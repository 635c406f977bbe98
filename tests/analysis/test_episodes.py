"""Alerts against the incidents that people wrote down."""

import math

import pytest

from ray_tui.analysis.episodes import (
    Episode,
    Maintenance,
    find,
    match,
    pages_per_week,
    silences_labels,
)
from ray_tui.core.ports import Incident, Series, Silence
from ray_tui.core.verdicts import Finding

STEP = 60.0


def firing(*spans, alert="HighErrors", state="firing", **labels):
    points = tuple((float(t), 1.0) for start, end in spans for t in range(start, end + 1, int(STEP)))
    base = {"__name__": "ALERTS", "alertname": alert, "alertstate": state, "service": "checkout"}
    return Series({**base, **labels}, points)


def incident(start, end, service="checkout", name="INC-1", **more):
    return Incident(name, f"{name} broke", service, start, end, "sev1", "incidents.csv:2", **more)


def silence(start, end, *matchers):
    return Silence("s1", matchers or (("service", "=", "checkout"),), start, end, "ann", "deploy")


def episodes(count, start=0.0, gap=10_000.0, alert="HighErrors", service="checkout"):
    return [Episode(alert, service, {"service": service}, start + i * gap, start + i * gap + 300) for i in range(count)]


def spans(found):
    return [(e.started_at, e.ended_at) for e in found.kept]


def test_a_gap_of_more_than_two_steps_ends_an_episode():
    """Two steps missing are one episode still; three are the next. (P54)"""
    assert spans(find([firing((0, 300), (420, 600))], STEP)) == [(0, 600)]
    assert spans(find([firing((0, 300), (480, 600))], STEP)) == [(0, 300), (480, 600)]


def test_pending_and_nonsense_values_are_no_episode():
    """Only alertstate=firing with a value counts; NaN does not."""
    assert find([firing((0, 300), state="pending")], STEP).kept == ()
    nan = Series({"alertname": "A", "alertstate": "firing"}, ((0.0, math.nan), (60.0, 0.0)))
    assert find([nan], STEP).kept == ()


def test_our_own_probes_are_left_out_and_counted():
    """A probe of ours is neither noise nor detection."""
    found = find([firing((0, 300), ray_tui_probe="r1-a1"), firing((0, 300))], STEP)
    assert (len(found.kept), found.probes) == (1, 1)


def test_what_was_silenced_throughout_does_not_count():
    """Nobody was paged."""
    found = find([firing((100, 400))], STEP, [silence(0, 500)])
    assert (found.kept, found.silenced) == ((), 1)


def test_an_episode_that_outlasts_its_silence_begins_when_the_silence_ends():
    """Then the page goes out. A silence in the middle changes nothing."""
    assert spans(find([firing((100, 400))], STEP, [silence(0, 250)])) == [(250, 400)]
    assert spans(find([firing((100, 400))], STEP, [silence(200, 250)])) == [(100, 400)]
    assert spans(find([firing((100, 400))], STEP, [silence(0, 200), silence(200, 300)])) == [(300, 400)]


def test_maintenance_covers_its_services_only():
    """A window for another service, or after the episode, excuses nothing; one for all does."""
    for window, kept in (
        (Maintenance(0, 500, frozenset({"checkout"})), 0),
        (Maintenance(0, 500), 0),
        (Maintenance(0, 500, frozenset({"cart"})), 1),
        (Maintenance(500, 900), 1),
    ):
        found = find([firing((120, 420))], STEP, (), [window])
        assert (len(found.kept), found.maintenance) == (kept, 1 - kept)


@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        ([("service", "=", "checkout")], True),
        ([("service", "!=", "checkout")], False),
        ([("service", "=~", "check")], False),
        ([("service", "=~", "check.*")], True),
        ([("service", "!~", "cart|check.*")], False),
        ([("cluster", "=", "")], True),
        ([("cluster", "=", "eu")], False),
        ([("service", "=~", "check.*"), ("severity", "=", "page")], False),
        ([("service", "=~", "(")], False),
        ([("service", "~", "checkout")], False),
        ([], False),
    ],
)
def test_matchers_match_as_alertmanagers_do(matchers, matches):
    """Anchored, all of them, a missing label is empty; a bad pattern silences nothing."""
    assert silences_labels(Silence("s", tuple(matchers), 0, 1, "", ""), {"service": "checkout"}) is matches


def test_a_silence_on_an_external_label_applies():
    """Prometheus adds those on the way to Alertmanager; ALERTS does not have them."""
    quiet = [silence(0, 500, ("cluster", "=", "eu"))]
    assert len(find([firing((100, 400))], STEP, quiet).kept) == 1
    assert find([firing((100, 400))], STEP, quiet, external_labels={"cluster": "eu"}).kept == ()


@pytest.mark.parametrize(
    ("start", "end", "true"),
    [(1_000, 1_500, 1), (0, 400, 1), (0, 399, 0), (2_600, 2_700, 1), (2_601, 2_700, 0)],
)
def test_an_episode_is_true_when_it_overlaps_an_incident_give_or_take_the_grace(start, end, true):
    """Ten minutes on either side of [1000, 2000] belong to it. (P54)"""
    episode = Episode("A", "checkout", {}, start, end)
    assert match([episode], [incident(1_000, 2_000)]).rules[0].true == true


def test_another_service_is_no_match_but_case_aliases_and_alert_keys_are():
    """Services are compared without case and by the alias map; an incident that names the alert needs none.
    (P54)
    """
    one = episodes(1)
    assert match(one, [incident(0, 100, "cart")]).rules[0].true == 0
    assert match(one, [incident(0, 100, "")]).rules[0].true == 0
    assert match(episodes(1, service=""), [incident(0, 100, "")]).rules[0].true == 0
    assert match(one, [incident(0, 100, "Checkout ")]).rules[0].true == 1
    assert match(one, [incident(0, 100, "Checkout API")], aliases={"checkout api": "checkout"}).rules[0].true == 1
    assert match(one, [incident(0, 100, "", alert_keys=("HighErrors",))]).rules[0].true == 1


def test_an_open_incident_has_no_end():
    """An alert weeks later still belongs to it; one before it does not."""
    later = episodes(1, start=1e6)
    assert match(later, [incident(0, None)]).rules[0].true == 1
    assert match(later, [incident(2e6, None)]).rules[0].true == 0


def test_duplicates_flaps_and_time_to_detect_are_counted():
    """Two more episodes in one incident are duplicates; firing again within the grace is a flap."""
    told = [Episode("A", "checkout", {}, start, start + 60) for start in (100, 400, 5_000)]
    record = match(told, [incident(0, 6_000), incident(50_000, 50_100, name="INC-2")]).rules[0]
    assert (record.n, record.true, record.duplicates, record.flaps) == (3, 3, 2, 1)
    assert record.time_to_detect_seconds == 100
    assert record.incidents == ("INC-1",)


def test_a_missed_incident_is_found_and_recall_counts_it():
    """No episode overlaps it: nobody was told. (P56)"""
    found = match(episodes(1), [incident(0, 300), incident(50_000, 50_100, name="INC-2")])
    assert [(r.incident.id, r.missed) for r in found.incidents] == [("INC-1", False), ("INC-2", True)]
    assert (found.recall.hits, found.recall.n) == (1, 2)
    assert found.recall.finding is Finding.INSUFFICIENT


def test_pages_per_week_needs_a_window():
    """Fourteen in a fortnight are seven a week; no window, no rate."""
    assert pages_per_week(14, 14 * 86_400) == 7
    assert pages_per_week(1, 0) is None


def test_the_order_of_series_does_not_matter():
    """The same history gives the same episodes and records."""
    series = [firing((0, 300), pod="a"), firing((0, 300), pod="b"), firing((900, 960), alert="Slow")]
    assert find(series, STEP) == find(series[::-1], STEP)
    assert match(find(series, STEP).kept, []) == match(find(series[::-1], STEP).kept, [])
