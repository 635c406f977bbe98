"""A proposal is borne out by history that it was not chosen on."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_tui.analysis.backtest import Rule, propose, simulate
from ray_tui.core.ports import Incident, Series

STEP = 60.0
WEEK = 7 * 86_400
WINDOW = (0.0, 2.0 * WEEK)
RULE = Rule("HighErrors", ">", 5.0, 0.0, "checkout")


def history(bumps, end=2 * WEEK, step=600, base=1.0):
    """A flat line with bumps of (start, seconds, height)."""
    points = []
    for at in range(0, end, step):
        height = max((h for start, long, h in bumps if start <= at < start + long), default=base)
        points.append((float(at), height))
    return Series({"service": "checkout"}, tuple(points))


def incident(start, seconds=3_600, name=None):
    return Incident(name or f"I{start}", "broke", "checkout", start, start + seconds, "sev1", "x.csv")


def weekly(noise_height, real_height, noise=8, real=2):
    """In each week: noise of one height, incidents of another."""
    bumps, incidents = [], []
    for week in (0, WEEK):
        bumps += [(week + 20_000 + i * 50_000, 1_800, noise_height) for i in range(noise)]
        for i in range(real):
            at = week + 450_000 + i * 60_000
            bumps.append((at, 3_600, real_height))
            incidents.append(incident(at))
    return history(bumps), incidents


def test_a_noisy_rule_gets_a_threshold_that_keeps_every_incident():
    """Noise at 7, incidents at 20: a higher threshold pages only for incidents, on both halves. (P55)"""
    series, incidents = weekly(7.0, 20.0)
    found = propose(RULE, [series], incidents, WINDOW, 600)
    noisy = next(p for p in found.proposals if p.kind == "noisy")
    assert 7.0 <= noisy.after.threshold < 20.0 or noisy.after.for_seconds > 1_200
    for effect in (noisy.train, noisy.held_out):
        assert effect.before.pages == 10
        assert effect.after.pages == 2
        assert effect.after.precision == 1.0
        assert effect.after.detected == effect.before.detected
    assert "pages/week 10.0 → 2.0" in noisy.why


def test_a_missed_incident_gets_a_lower_threshold():
    """Incidents at 4 under a threshold of 5 are found by a lower one. (P56)"""
    series, incidents = weekly(1.0, 4.0, noise=0)
    found = propose(RULE, [series], incidents, WINDOW, 600)
    missed = next(p for p in found.proposals if p.kind == "missed")
    assert missed.after.threshold < 4.0
    assert (missed.train.before.recall, missed.train.after.recall) == (0.0, 1.0)
    assert (missed.held_out.before.recall, missed.held_out.after.recall) == (0.0, 1.0)


def test_what_only_the_first_half_supports_is_not_proposed():
    """Incidents at 20 in the first half and 6 in the second: raising the threshold would lose the latter."""
    bumps = [(20_000 + i * 50_000, 3_600, 7.0) for i in range(8)]
    bumps += [(450_000, 3_600, 20.0), (WEEK + 450_000, 3_600, 6.0)]
    found = propose(RULE, [history(bumps)], [incident(450_000), incident(WEEK + 450_000)], WINDOW, 600)
    for proposal in found.proposals:
        assert proposal.held_out.before.detected <= proposal.held_out.after.detected
    assert all(p.after.threshold < 6.0 for p in found.proposals)


def test_an_alert_that_fires_for_ever_is_no_improvement():
    """A threshold under everything gives one page and 'finds' every incident: it announces none of them."""
    series, incidents = weekly(7.0, 20.0)
    unseen = [incident(WEEK // 2 + 30_000), incident(WEEK + WEEK // 2 + 30_000)]
    flat = history([], base=3.0)
    for rule in (RULE, Rule("LowRate", "<", 1.0, 0.0, "checkout")):
        for proposal in propose(rule, [series], [*incidents, *unseen], WINDOW, 600).proposals:
            assert proposal.train.after.pages_per_week >= 1
            assert proposal.train.before.announced <= proposal.train.after.announced
            if proposal.kind == "noisy":
                assert proposal.after.threshold >= rule.threshold or rule.operator == "<"
        assert propose(rule, [flat], unseen, WINDOW, 600).proposals == ()


def test_fewer_pages_by_firing_all_the_time_are_not_proposed():
    """The incidents fall into alerts that were firing already: a lower threshold would 'detect' them with one page."""
    bumps, incidents = [], []
    for week in (0, WEEK):
        bumps += [(week + 20_000 + i * 50_000, 1_800, 7.0) for i in range(6)]
        bumps.append((week + 450_000, 20_000, 7.0))
        incidents.append(incident(week + 460_000))
    rule = Rule("HighErrors", ">=", 5.0, 0.0, "checkout")
    found = propose(rule, [history(bumps, base=3.0)], incidents, WINDOW, 600)
    assert [p.kind for p in found.proposals] == ["noisy"]
    assert found.proposals[0].after.threshold >= 5.0
    assert found.proposals[0].after.for_seconds > 0


def test_a_lower_threshold_may_not_bury_an_incident_that_was_announced():
    """Two more incidents found are not worth one that would now fall into an alert hours old."""
    bumps, incidents = [], []
    for week in (0, WEEK):
        bumps += [(week + 100_000, 10_000, 4.5), (week + 107_200, 3_600, 20.0)]
        bumps += [(week + 200_000, 3_600, 4.5), (week + 300_000, 3_600, 4.5)]
        incidents += [incident(week + at) for at in (107_200, 200_000, 300_000)]
    rule = Rule("HighErrors", ">=", 5.0, 0.0, "checkout")
    assert propose(rule, [history(bumps)], incidents, WINDOW, 600).proposals == ()
    without = [i for i in incidents if i.started_at % WEEK != 107_200]
    assert [p.kind for p in propose(rule, [history(bumps[2:4] + bumps[6:])], without, WINDOW, 600).proposals] == [
        "missed"
    ]


def test_without_a_detected_incident_nothing_is_made_quieter():
    """With nothing that must not be lost, silence would look perfect: no proposal, and a reason."""
    series, _ = weekly(7.0, 7.0)
    found = propose(RULE, [series], [], WINDOW, 600)
    assert found.proposals == ()
    assert "no incident" in found.why


def test_an_empty_history_proposes_nothing():
    """No data is no evidence."""
    assert propose(RULE, [], [], WINDOW, 600).proposals == ()
    assert propose(RULE, [], [incident(450_000)], WINDOW, 600).proposals == ()


def test_an_operator_that_is_no_threshold_is_refused():
    """== has no milder value."""
    with pytest.raises(ValueError, match="=="):
        propose(Rule("A", "==", 1, 0), [], [], WINDOW, 60)


@pytest.mark.parametrize(
    ("for_seconds", "spans"), [(0, [(60, 300), (480, 540)]), (120, [(180, 300)]), (240, [(300, 300)]), (300, [])]
)
def test_for_delays_and_drops_what_is_too_short(for_seconds, spans):
    """An alert fires once its condition has held that long."""
    values = [1, 9, 9, 9, 9, 9, 1, 1, 9, 9, 1]
    series = Series({}, tuple((i * 60.0, float(v)) for i, v in enumerate(values)))
    found = simulate(Rule("A", ">", 5, for_seconds), [series], STEP)
    assert [(e.started_at, e.ended_at) for e in found] == spans


def test_nan_and_gaps_start_for_again():
    """A value that is not a number does not fire; neither does a stretch that nobody saw."""
    nan = Series({}, ((0.0, 9.0), (60.0, math.nan), (120.0, 9.0)))
    gap = Series({}, ((0.0, 9.0), (60.0, 9.0), (600.0, 9.0)))
    assert simulate(Rule("A", ">", 5, 120), [nan], STEP) == ()
    assert simulate(Rule("A", ">", 5, 120), [gap], STEP) == ()
    assert simulate(Rule("A", "<", 10, 60), [gap], STEP)[0].ended_at == 60


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 190), st.integers(1, 12), st.integers(2, 30)), max_size=15),
    st.lists(st.integers(0, 199), max_size=5, unique=True),
    st.sampled_from([">", ">=", "<", "<="]),
)
def test_no_proposal_ever_loses_a_detected_incident(bumps, starts, operator):
    """Whatever the history: on neither half is an incident lost that the present setting detects."""
    series = history([(s * 600, n * 600, float(h)) for s, n, h in bumps], end=200 * 600)
    incidents = [incident(at * 600, 1_200) for at in starts]
    rule = Rule("A", operator, 8.0, 300.0, "checkout")
    for proposal in propose(rule, [series], incidents, (0.0, 200 * 600.0), 600).proposals:
        for effect in (proposal.train, proposal.held_out):
            assert effect.before.detected <= effect.after.detected
            assert effect.before.announced <= effect.after.announced
        if proposal.kind == "noisy":
            assert proposal.train.after.pages < proposal.train.before.pages
            assert proposal.held_out.after.pages <= proposal.held_out.before.pages
