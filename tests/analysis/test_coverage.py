"""A cell passes only on data that the live system sent after the deploy."""

import math

import pytest

from ray_tui.analysis import coverage
from ray_tui.analysis.coverage import SIGNALS, cell, completeness, endpoint_seen, judge, strangers, suggest
from ray_tui.core.verdicts import Verdict, worst

DEPLOYED, NOW = 1_000.0, 2_000.0


def a_cell(service="checkout", signal="metrics", *, seen=1_990.0, required=True, error=None):
    return cell(service, signal, required, seen, DEPLOYED, NOW, 300.0, "up", error, "policy")


def a_row(service, **seen):
    return [a_cell(service, signal, seen=seen.get(signal, 1_990.0)) for signal in SIGNALS]


@pytest.mark.parametrize(
    ("seen", "verdict", "why"),
    [
        (1_990.0, Verdict.PASSED, "seen 10 s ago"),
        (None, Verdict.FAILED, "no data"),
        (999.0, Verdict.FAILED, "nothing since the deploy"),
        (1_000.0, Verdict.FAILED, "nothing since the deploy"),
        (1_600.0, Verdict.FAILED, "stale"),
        (2_030.0, Verdict.PASSED, "seen 0 s ago"),
        (2_100.0, Verdict.INCONCLUSIVE, "ahead of us"),
        (math.nan, Verdict.ERROR, "not a number"),
        (math.inf, Verdict.ERROR, "not a number"),
    ],
)
def test_only_fresh_data_from_after_the_deploy_passes(seen, verdict, why):
    """Old, absent, stale, future and nonsense times never pass."""
    found = a_cell(seen=seen)
    assert found.verdict is verdict
    assert why in found.why


def test_a_check_that_broke_is_an_error_even_with_old_data():
    """A 503 is not 'no data'."""
    assert a_cell(error="503").verdict is Verdict.ERROR
    assert a_cell(seen=None, error="503").verdict is Verdict.ERROR


def test_a_signal_that_is_not_needed_has_no_verdict_and_does_not_count():
    """Not needed is neither a pass nor a miss."""
    spare = a_cell(required=False, seen=None)
    assert spare.verdict is None
    assert completeness([spare, a_cell()]) == (1, 1, 1.0)


def test_nothing_required_is_inconclusive():
    """A gate over zero items is never passed."""
    assert completeness([]).ratio is None
    assert worst(judge([], [])) is Verdict.INCONCLUSIVE
    assert worst(judge([a_cell(required=False)], [])) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("missing", "verdict"), [(0, Verdict.PASSED), (1, Verdict.PASSED), (2, Verdict.FAILED)])
def test_nineteen_of_twenty_cells_are_enough(missing, verdict):
    """0.95 is reached by exactly 19 of 20."""
    cells = [a_cell(seen=None if i < missing else 1_990.0) for i in range(20)]
    assert judge(cells, [], 0.95)[0].verdict is verdict


NO_LOGS = coverage.unconfigured("logs")


@pytest.mark.parametrize(
    ("wrong", "helps"),
    [
        (a_cell(seen=None), "instrument the cells that have no data"),
        (a_cell(error="503"), "repair what could not be checked"),
        (a_cell("checkout", "logs", error=NO_LOGS), "name the store of logs in [logs]"),
    ],
)
def test_what_helps_depends_on_why_a_cell_does_not_pass(wrong, helps):
    """Nobody instruments a service for a store that is not there."""
    assert judge([wrong], [])[0].remedy == f"{helps}; then run coverage again"


def test_a_critical_service_is_helped_by_what_its_own_cells_lack():
    """A store that is not there is named beside what the service does not send, and nothing of another service's."""
    cells = [*a_row("checkout", traces=None), a_cell("checkout", "logs", error=NO_LOGS), a_cell("cart", error="503")]
    (found,) = [one for one in judge(cells, ["checkout"]) if one.id == "coverage.critical:checkout"]
    expected = "name the store of logs in [logs], make checkout send what is missing; then run coverage again"
    assert found.remedy == expected


def test_cells_that_could_not_be_checked_do_not_fail_the_ratio_that_they_would_decide():
    """One broken check among few is an error, not a failure; a certain failure stays one."""
    assert judge([a_cell(), a_cell(error="503")], [])[0].verdict is Verdict.ERROR
    assert judge([a_cell(seen=None), a_cell(error="503")], [])[0].verdict is Verdict.FAILED


def test_one_miss_on_a_critical_service_fails_whatever_the_ratio():
    """The miss has its own criterion, so that a waiver can name the service."""
    cells = [*a_row("checkout", traces=None), *(one for i in range(30) for one in a_row(f"s{i}"))]
    complete, *critical = judge(cells, ["checkout", "s1"])
    assert complete.verdict is Verdict.PASSED
    assert [(c.id, c.verdict) for c in critical] == [("coverage.critical:checkout", Verdict.FAILED)]
    assert "traces: no data" in critical[0].actual


def test_a_critical_service_without_a_miss_passes_once():
    """All four signals seen: one criterion for all of them. (P26)"""
    assert [(c.id, c.verdict) for c in judge(a_row("checkout"), ["checkout"])[1:]] == [
        ("coverage.critical", Verdict.PASSED)
    ]


def test_a_critical_service_that_nobody_checked_does_not_pass():
    """No cell at all, a signal never checked, nothing or less than four signals asked of it: inconclusive. (P26)"""
    nothing_asked = [a_cell(signal=signal, required=False) for signal in SIGNALS]
    one_left_out = [*a_row("checkout")[:3], a_cell(signal="synthetics", required=False)]
    for cells in ([], a_row("checkout")[:3], nothing_asked, one_left_out):
        critical = judge(cells, ["checkout"])[1:]
        assert [(c.id, c.verdict) for c in critical] == [("coverage.critical:checkout", Verdict.INCONCLUSIVE)]


@pytest.mark.parametrize(
    ("name", "known", "first"),
    [
        ("checkout", ["checkout-service", "cart"], "checkout-service"),
        ("checkoutservice", ["prod/checkout", "frontend"], "prod/checkout"),
        ("recommendation", ["recomendation", "payment"], "recomendation"),
        ("CartService", ["cart", "card-service"], "cart"),
    ],
)
def test_names_that_may_mean_the_same_are_suggested(name, known, first):
    """job, service and service.name spell one service in several ways."""
    assert suggest(name, known)[0] == first


def test_unlike_names_are_not_suggested_and_order_does_not_matter():
    """No suggestion is better than a wrong one."""
    assert suggest("checkout", ["frontend", "loki"]) == ()
    known = ["checkouts", "checkout-v2", "checkout-db"]
    assert suggest("checkout", known) == suggest("checkout", known[::-1])


def test_services_that_only_one_side_knows_are_listed():
    """Seen live but in no catalogue, and the reverse."""
    found = strangers(["cart", "checkout"], ["checkout", "shadow"])
    assert (found.live_only, found.catalogue_only) == (("shadow",), ("cart",))


@pytest.mark.parametrize(
    ("endpoint", "names", "seen"),
    [
        ("POST /cart/{id}", ["/cart/:id"], "/cart/:id"),
        ("POST /cart/{id}", ["POST /cart/<id>"], "POST /cart/<id>"),
        ("POST /cart/{id}", ["GET /cart/{id}"], None),
        ("/cart", ["/cart/{id}"], None),
    ],
)
def test_a_new_endpoint_is_found_among_routes_and_spans(endpoint, names, seen):
    """Path parameters match whatever they are called; methods match where both are known."""
    assert endpoint_seen(endpoint, names) == seen


def test_the_criteria_name_their_evidence():
    """A criterion says which file it was judged from."""
    assert {e for c in judge(a_row("a"), ["a"]) for e in c.evidence} == {coverage.EVIDENCE}
