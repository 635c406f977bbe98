"""Gate 2, judged over evidence that is whole, bent, thin or missing."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.gates import alert_validation as gate

NOW = 1_795_377_600.0
PATHS, BOARDS = "alert-test-results.json", "dashboard-config.json"
Inputs = dict[str, Any]


def passed(id_: str) -> dict[str, Any]:
    return Criterion(id=id_, title=id_, verdict=Verdict.PASSED, actual="ok").to_json()


def evidence() -> Inputs:
    """Two receivers that a person acknowledged, an escalation that worked, one good dashboard."""

    def receiver(name: str, kind: str) -> dict[str, Any]:
        return {
            "receiver": name, "integrations": [kind], "probe": f"p-{name}", "labels": {}, "hops": {},
            "elapsed": {"delivered": [0.5, 1.0], "acknowledged": [40.0, 41.5]}, "acknowledged_by": "Mira Okafor",
            "verdict": "passed", "problems": [],
        }  # fmt: skip

    paths = {
        "sla_seconds": 300.0,
        "receivers": [receiver("pd-checkout", "pagerduty"), receiver("mail-audit", "email")],
        "escalations": [
            {
                "policy": "PPOLCHK", "policy_name": "Checkout on-call", "receiver": "pd-checkout",
                "limit_seconds": 360.0, "elapsed": {"escalated": [299.0, 301.0]}, "escalated_to": "Tom Brandt",
                "verdict": "passed", "problems": [],
            }
        ],
    }  # fmt: skip
    panel = {"title": "p95", "state": "ok", "critical": True, "why": ""}
    boards = {
        "dashboards": [{"uid": "red", "title": "RED", "required": True, "score": 96.0, "panels": [panel]}],
        "alerts": [], "loaded_equals_written": True,
    }  # fmt: skip
    ids = ("alert_paths.receivers", "alert_paths.ack:pd-checkout", "alert_paths.escalation:PPOLCHK")
    return {
        PATHS: {"artifact": PATHS, "release": "r1", "criteria": [passed(one) for one in ids], "body": paths},
        BOARDS: {"artifact": BOARDS, "release": "r1", "criteria": [passed("configure.score")], "body": boards},
    }


def judged(inputs: Mapping[str, Any], **thresholds: Any) -> dict[str, Criterion]:
    return {one.id: one for one in gate.judge(inputs, Thresholds(**thresholds), NOW)}


def verdict(inputs: Mapping[str, Any], **thresholds: Any) -> Verdict:
    return worst(judged(inputs, **thresholds).values())


def bent(change: Callable[[Inputs], Any]) -> Inputs:
    inputs = copy.deepcopy(evidence())
    change(inputs)
    return inputs


def row(inputs: Inputs, number: int = 0) -> Any:
    return inputs[PATHS]["body"]["receivers"][number]


def board(inputs: Inputs) -> Any:
    return inputs[BOARDS]["body"]["dashboards"][0]


def test_whole_evidence_passes() -> None:
    """Everything acknowledged in time, escalation works, dashboards good. (P76)"""
    assert verdict(evidence()) is Verdict.PASSED


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ([299.0, 300.0], "passed"),
        ([299.0, 300.001], "inconclusive"),
        ([300.0, 301.0], "inconclusive"),
        ([300.001, 301.0], "failed"),
        (None, "failed"),
    ],
)
def test_acknowledgements_are_judged_anew_from_their_intervals(interval: Any, expected: str) -> None:
    """Exactly on the SLA passes; certainly late fails; in between is inconclusive. (P76)"""
    inputs = bent(lambda i: row(i)["elapsed"].update(acknowledged=interval))

    assert judged(inputs)["alert_validation.ack:pd-checkout"].verdict.value == expected


def unheard(inputs: Inputs, **row: Any) -> None:
    inputs[PATHS]["body"]["paths"] = {"reaches_nobody": [{"alert": "Down", **row}]}


def test_what_the_run_did_not_count_as_critical_is_not_here_either() -> None:
    """By its [alerts], whatever word it uses; evidence that does not say is read by the usual words."""
    for row in ({"severity": "critical", "critical": False}, {"severity": "P1"}):
        inputs = evidence()
        unheard(inputs, **row)
        assert "alert_validation.coverage" not in judged(inputs)


def test_a_stricter_sla_than_the_test_had_is_held_against_it() -> None:
    """`--sla` judges the intervals, whatever verdict the action recorded. (P76)"""
    assert judged(evidence(), ack_sla_seconds=30)["alert_validation.ack:pd-checkout"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("change", "blocked", "expected"),
    [
        (lambda i: row(i).update(verdict="failed"), "alert_validation.ack:pd-checkout", "failed"),
        (lambda i: row(i).update(verdict="splendid"), "alert_validation.ack:pd-checkout", "error"),
        (lambda i: row(i).update(verdict="waived"), "alert_validation.ack:pd-checkout", "inconclusive"),
        (lambda i: row(i).update(acknowledged_by=None), "alert_validation.ack:pd-checkout", "inconclusive"),
        (
            lambda i: row(i).update(problems=[{"problem": "duplicate", "hop": "t4", "detail": "2", "blocks": True}]),
            "alert_validation.ack:pd-checkout",
            "failed",
        ),
        (
            lambda i: row(i).update(verdict="error", elapsed={}, acknowledged_by=None),
            "alert_validation.ack:pd-checkout",
            "error",
        ),
        (lambda i: i[PATHS]["body"].update(receivers=[]), "alert_validation.receivers", "inconclusive"),
        (
            lambda i: i[PATHS]["body"]["receivers"].append(copy.deepcopy(row(i))),
            "alert_validation.receivers",
            "error",
        ),
        (
            lambda i: i[PATHS]["body"]["escalations"][0].update(verdict="failed"),
            "alert_validation.escalation:PPOLCHK",
            "failed",
        ),
        (
            lambda i: i[PATHS]["body"]["escalations"][0]["elapsed"].update(escalated=[361.0, 362.0]),
            "alert_validation.escalation:PPOLCHK",
            "failed",
        ),
        (
            lambda i: i[PATHS]["body"]["escalations"][0].update(elapsed={}),
            "alert_validation.escalation:PPOLCHK",
            "inconclusive",
        ),
        (lambda i: board(i).update(score=89.9), "alert_validation.dashboards", "failed"),
        (lambda i: board(i).update(score=101.0), "alert_validation.dashboards", "error"),
        (lambda i: board(i).update(required=False), "alert_validation.dashboards", "inconclusive"),
        (lambda i: board(i)["panels"][0].update(state="empty"), "alert_validation.panels", "failed"),
        (lambda i: board(i)["panels"][0].update(state="not-checked"), "alert_validation.panels", "inconclusive"),
        (lambda i: board(i).update(panels=[]), "alert_validation.panels", "inconclusive"),
        (lambda i: i[BOARDS]["body"].update(loaded_equals_written=False), "alert_validation.rules", "failed"),
        (lambda i: i[BOARDS]["body"].pop("loaded_equals_written"), "alert_validation.rules", "inconclusive"),
        (lambda i: i[BOARDS]["body"].update(loaded_equals_written=1), "alert_validation.rules", "inconclusive"),
        (lambda i: unheard(i, severity="page"), "alert_validation.coverage", "failed"),
        (lambda i: unheard(i, severity="P1", critical=True), "alert_validation.coverage", "failed"),
        (lambda i: i[BOARDS].update(release="r2"), "alert_validation.release", "failed"),
        (lambda i: i.pop(PATHS), f"evidence:{PATHS}", "failed"),
        (lambda i: i.pop(BOARDS), f"evidence:{BOARDS}", "failed"),
        (lambda i: i[PATHS].pop("body"), f"evidence:{PATHS}", "error"),
        (lambda i: i[PATHS].update(criteria=[]), f"evidence:{PATHS}", "error"),
        (lambda i: row(i).pop("problems"), f"evidence:{PATHS}", "error"),
        (lambda i: row(i)["elapsed"].update(acknowledged=[5.0, 4.0]), f"evidence:{PATHS}", "error"),
        (lambda i: row(i)["elapsed"].update(acknowledged=[float("nan"), 4.0]), f"evidence:{PATHS}", "error"),
        (lambda i: board(i).update(score=float("nan")), f"evidence:{BOARDS}", "error"),
        (lambda i: board(i).update(score="100"), f"evidence:{BOARDS}", "error"),
    ],
)
def test_whatever_is_absent_bent_or_bad_does_not_pass(
    change: Callable[[Inputs], Any], blocked: str, expected: str
) -> None:
    """Fail closed, with the criterion that says why. (P76)"""
    found = judged(bent(change))

    assert found[blocked].verdict.value == expected
    assert not worst(found.values()).lets_go_on


def test_a_pager_without_any_tested_escalation_is_inconclusive() -> None:
    """The seed tests escalation and forgets it in the gate; we do not. (P76)"""

    def without(inputs: Inputs) -> None:
        inputs[PATHS]["body"]["escalations"] = []
        inputs[PATHS]["criteria"] = [passed("alert_paths.receivers")]

    assert judged(bent(without))["alert_validation.escalations"].verdict is Verdict.INCONCLUSIVE


def test_what_the_actions_held_against_themselves_counts() -> None:
    """A finding that the gate does not judge anew is taken over. (P76)"""
    left = Criterion(id="alert_paths.clean", title="clean", verdict=Verdict.FAILED, actual="incident open")
    inputs = bent(lambda i: i[PATHS]["criteria"].append(left.to_json()))

    assert judged(inputs)["alert_paths.clean"].verdict is Verdict.FAILED


def late() -> tuple[Inputs, Criterion]:
    """Evidence whose acknowledgement came late, and the action's own criterion about it."""
    finding = Criterion(id="alert_paths.ack:pd-checkout", title="ack", verdict=Verdict.FAILED, actual="late: 400 s")

    def change(inputs: Inputs) -> None:
        row(inputs).update(verdict="failed")
        row(inputs)["elapsed"].update(acknowledged=[400.0, 401.0])
        inputs[PATHS]["criteria"][1] = finding.to_json()

    return bent(change), finding


def waiver(finding: Criterion, **instead: Any) -> dict[str, Any]:
    one = {
        "criterion": finding.id, "step": "2.2", "evidence_sha256": criterion_digest(finding), "expires_at": NOW + 60,
    }  # fmt: skip
    return {"body": {"waivers": [{**one, **instead}]}}


def test_a_waiver_given_at_the_action_holds_here() -> None:
    """Bound to that very finding, and still valid. (P76)"""
    inputs, finding = late()
    inputs["waivers.json"] = waiver(finding)

    assert judged(inputs)["alert_validation.ack:pd-checkout"].verdict is Verdict.WAIVED


@pytest.mark.parametrize(
    "instead", [{"expires_at": NOW - 1}, {"evidence_sha256": "0" * 64}, {"step": "2.1"}, {"criterion": "alert_paths.*"}]
)
def test_a_waiver_that_is_old_foreign_or_unbound_does_not(instead: dict[str, Any]) -> None:
    """Changed evidence or an expired waiver makes the gate fail again. (P76)"""
    inputs, finding = late()
    inputs["waivers.json"] = waiver(finding, **instead)

    assert judged(inputs)["alert_validation.ack:pd-checkout"].verdict is Verdict.FAILED


def test_a_waiver_of_delivery_does_not_cover_a_late_acknowledgement() -> None:
    """Only what was waived is. (P76)"""
    finding = Criterion(id="alert_paths.delivered:pd-checkout", title="d", verdict=Verdict.FAILED, actual="duplicate")

    def change(inputs: Inputs) -> None:
        row(inputs).update(verdict="failed")
        row(inputs)["elapsed"].update(acknowledged=[400.0, 401.0])
        inputs[PATHS]["criteria"].append(finding.to_json())

    inputs = bent(change)
    inputs["waivers.json"] = waiver(finding)

    assert judged(inputs)["alert_validation.ack:pd-checkout"].verdict is Verdict.FAILED


@pytest.mark.parametrize(("found", "expected"), [("inconclusive", "waived"), ("error", "waived"), ("failed", "failed")])
def test_what_a_person_saw_by_hand_settles_what_could_not_be_judged(found: str, expected: str) -> None:
    """A manual test stands in for a machine that could not look, never for one that saw a failure. (P76, P88)"""
    finding = Criterion(
        id="alert_paths.ack:pd-checkout", title="ack", verdict=Verdict(found), actual="its channel is not known"
    )

    def change(inputs: Inputs) -> None:
        row(inputs).update(verdict=found, elapsed={}, acknowledged_by=None)
        inputs[PATHS]["criteria"][1] = finding.to_json()

    inputs = bent(change)
    manual = {"criterion": finding.id, "step": "2.2", "evidence_sha256": criterion_digest(finding)}
    inputs["waivers.json"] = {"body": {"waivers": [], "manual": [manual]}}

    assert judged(inputs)["alert_validation.ack:pd-checkout"].verdict.value == expected


@pytest.mark.parametrize(("which", "expected"), [("red", "waived"), ("other", "failed")])
def test_a_dashboards_waiver_holds_for_that_dashboard_only(which: str, expected: str) -> None:
    """A low score that was waived at 2.1 is waived here, by its uid. (P76)"""
    finding = Criterion(id=f"configure.dashboard:{which}", title="d", verdict=Verdict.FAILED, actual="score 60")

    def change(inputs: Inputs) -> None:
        board(inputs).update(score=60.0)
        inputs[BOARDS]["criteria"].append(finding.to_json())

    inputs = bent(change)
    inputs["waivers.json"] = waiver(finding, step="2.1")

    assert judged(inputs)["alert_validation.dashboards"].verdict.value == expected


@pytest.mark.parametrize("garbage", [None, [], 3, "x", {}, {"body": []}, {"body": {"receivers": 3}}])
def test_garbage_is_a_criterion_and_never_an_exception(garbage: Any) -> None:
    """Whatever stands where a twin should. (P76)"""
    inputs = {PATHS: garbage, BOARDS: garbage, "waivers.json": garbage}

    assert not verdict(inputs).lets_go_on
