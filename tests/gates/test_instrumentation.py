"""Gate 1: judged from the evidence alone, and closed unless the evidence says otherwise."""

import copy
from typing import Any

import pytest

from ray_tui.core import plan
from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.gates import REGISTRY, instrumentation
from tests.fakes import NOW, RELEASE, actual, verdicts

AUDIT, REQUIREMENTS = "instrumentation-audit.json", "monitoring-requirements.json"
SIGNALS = ("metrics", "logs", "traces", "synthetics")
KINDS = ("kpis", "slos", "risks")
THRESHOLDS = Thresholds()
Twins = dict[str, Any]


def a_cell(service: str, signal: str, verdict: str | None = "passed", age: float | None = 5.0) -> dict[str, Any]:
    return {"service": service, "signal": signal, "verdict": verdict, "age_seconds": age, "query": "q", "why": "seen"}


def a_service(name: str, critical: bool = True, changed: str = "modified") -> dict[str, Any]:
    return {"name": name, "critical": critical, "changed": changed, "regulated": False}


def a_criterion(id_: str, verdict: str = "passed", actual_: str = "") -> dict[str, Any]:
    return {"id": id_, "title": id_, "verdict": verdict, "actual": actual_}


def evidence(services: int = 5) -> Twins:
    names = [f"s{number}" for number in range(services)]
    rows = [{"text": "p99", "service": "s0", "source": "DEPLOYMENT-REPORT.md:9"}]
    return {
        AUDIT: {
            "release": RELEASE,
            "criteria": [a_criterion("coverage.completeness")],
            "body": {
                "cells": [a_cell(name, signal) for name in names for signal in SIGNALS],
                "services": [a_service(name, critical=name == "s0") for name in names],
            },
        },
        REQUIREMENTS: {
            "release": RELEASE,
            "criteria": [a_criterion("review.consistent")],
            "body": {
                "services": [{"name": "s0"}],
                "kpis": rows,
                "slos": rows,
                "risks": rows,
                "inputs": [{"name": "x"}],
            },
        },
    }


def judge(twins: Twins, thresholds: Thresholds = THRESHOLDS) -> tuple[Criterion, ...]:
    return instrumentation.judge(twins, thresholds, NOW)


def miss(twins: Twins, count: int, *, verdict: str = "failed", of: str = "s4") -> Twins:
    """The first ``count`` cells of a service do not pass."""
    left = count
    for cell in twins[AUDIT]["body"]["cells"]:
        if cell["service"] == of and left:
            cell.update(verdict=verdict, age_seconds=None, why="no data")
            left -= 1
    return twins


def test_complete_evidence_passes() -> None:
    """Every cell passed and the requirements are documented. (P75)"""
    criteria = judge(evidence())
    assert worst(criteria) is Verdict.PASSED
    assert {"coverage.completeness", "coverage.critical", "requirements.documented"} <= set(verdicts(criteria))


@pytest.mark.parametrize(("missing", "verdict"), [(1, "passed"), (2, "failed")])
def test_the_threshold_is_on_passing_required_cells(missing: int, verdict: str) -> None:
    """19 of 20 cells are 95% and pass; 18 of 20 fail. (P75)"""
    assert verdicts(judge(miss(evidence(), missing)))["coverage.completeness"] == verdict


def test_the_threshold_can_be_set() -> None:
    """``--threshold`` decides: 18 of 20 pass at 0.9. (P75)"""
    criteria = judge(miss(evidence(), 2), Thresholds(coverage=0.9))
    assert verdicts(criteria)["coverage.completeness"] == "passed"


def test_one_miss_on_a_critical_changed_service_fails_above_the_threshold() -> None:
    """However many cells pass, a critical changed service may miss none. (P75)"""
    criteria = judge(miss(evidence(), 1, of="s0"))
    assert verdicts(criteria)["coverage.completeness"] == "passed"
    assert verdicts(criteria)["coverage.critical:s0"] == "failed"


def test_cells_that_are_not_required_do_not_count() -> None:
    """A cell without a verdict is in neither number."""
    twins = evidence()
    twins[AUDIT]["body"]["cells"][-1].update(verdict=None, age_seconds=None)
    assert actual(judge(twins), "coverage.completeness").startswith("19 of 19")


def test_zero_cells_are_inconclusive() -> None:
    """A gate over zero items does not pass."""
    twins = evidence()
    twins[AUDIT]["body"].update(cells=[], services=[])
    assert verdicts(judge(twins))["coverage.completeness"] == "inconclusive"


def test_a_critical_service_whose_cells_were_dropped_does_not_pass() -> None:
    """Cells that are not there were never checked."""
    twins = evidence()
    twins[AUDIT]["body"]["cells"] = [c for c in twins[AUDIT]["body"]["cells"] if c["service"] != "s0"]
    assert verdicts(judge(twins))["coverage.critical:s0"] == "inconclusive"


def test_a_service_dropped_from_the_list_does_not_hide_its_cells() -> None:
    """A service that is left out of the list cannot escape being critical unseen."""
    twins = evidence()
    twins[AUDIT]["body"]["services"] = twins[AUDIT]["body"]["services"][1:]
    assert verdicts(judge(twins))["coverage.services"] == "inconclusive"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"age_seconds": None}, "inconclusive"),
        ({"age_seconds": float("nan")}, "inconclusive"),
        ({"age_seconds": 9000.0}, "failed"),
        ({"age_seconds": -9000.0}, "failed"),
        ({"verdict": "fine"}, "error"),
        ({"verdict": "error"}, "error"),
        ({"verdict": "inconclusive"}, "inconclusive"),
    ],
)
def test_a_cell_that_cannot_have_passed_is_not_believed(change: dict[str, Any], verdict: str) -> None:
    """A pass without an age, at an impossible age, or in another word is no pass."""
    twins = evidence()
    twins[AUDIT]["body"]["cells"][0].update(change)
    assert verdicts(judge(twins))["coverage.critical:s0"] == verdict


def broken(name: str, **change: Any) -> Twins:
    twins = evidence()
    twins[name] = {**twins[name], **change}
    return twins


BAD: dict[str, Twins] = {
    "nothing": {},
    "no audit": {REQUIREMENTS: evidence()[REQUIREMENTS]},
    "no requirements": {AUDIT: evidence()[AUDIT]},
    "no body": broken(AUDIT, body=None),
    "a body that is a list": broken(REQUIREMENTS, body=[]),
    "cells that are text": broken(AUDIT, body={"cells": "many", "services": []}),
    "cells without a signal": broken(AUDIT, body={"cells": [{"service": "a"}], "services": []}),
    "a critical flag that is text": broken(
        AUDIT, body={**evidence()[AUDIT]["body"], "services": [{"name": "s0", "critical": "no", "changed": ""}]}
    ),
    "a cell twice": broken(
        AUDIT,
        body={**evidence()[AUDIT]["body"], "cells": [*evidence()[AUDIT]["body"]["cells"], a_cell("s0", "logs")]},
    ),
    "no criteria": broken(AUDIT, criteria=[]),
    "criteria of another form": broken(REQUIREMENTS, criteria=[{"id": 1}]),
    "KPIs of another form": broken(REQUIREMENTS, body={**evidence()[REQUIREMENTS]["body"], "kpis": ["p99"]}),
    "another release": broken(AUDIT, release="checkout-v2.4.0"),
}


@pytest.mark.parametrize("case", BAD)
def test_missing_or_malformed_evidence_closes_the_gate(case: str) -> None:
    """What cannot be read is a criterion that does not pass; never an exception, never a pass. (P75)"""
    assert not worst(judge(BAD[case])).lets_go_on


@pytest.mark.parametrize("none", ["kpis", "slos", "services", "inputs"])
def test_undocumented_requirements_fail(none: str) -> None:
    """Requirements that name no KPI, SLO, service or input are not documented. (P75)"""
    twins = evidence()
    twins[REQUIREMENTS]["body"][none] = []
    assert verdicts(judge(twins))["requirements.documented"] == "failed"


def test_requirements_without_a_source_fail() -> None:
    """Each requirement is traced."""
    twins = evidence()
    twins[REQUIREMENTS]["body"]["slos"] = [{"text": "availability"}]
    assert "1 without a source" in actual(judge(twins), "requirements.documented")


def test_what_an_action_recorded_as_failed_fails_here() -> None:
    """RED, endpoints and contradictions that stopped an action are not forgotten by the gate."""
    twins = evidence()
    twins[AUDIT]["criteria"].append(a_criterion("coverage.red:s0", "failed", "no traffic"))
    twins[REQUIREMENTS]["criteria"].append(a_criterion("review.consistent", "failed", "two releases"))
    found = verdicts(judge(twins))
    assert (found["coverage.red:s0"], found["review.consistent"]) == ("failed", "failed")


def test_a_finding_cannot_waive_itself() -> None:
    """ "waived" written into a twin without a waiver is not one."""
    twins = evidence()
    twins[AUDIT]["criteria"].append(a_criterion("coverage.red:s0", "waived", "no traffic"))
    assert verdicts(judge(twins))["coverage.red:s0"] == "inconclusive"


def with_waiver(twins: Twins, finding: Criterion, **change: Any) -> Twins:
    waiver = {
        "criterion": finding.id, "step": "1.2", "evidence_sha256": criterion_digest(finding), "expires_at": NOW + 60
    }  # fmt: skip
    return {**copy.deepcopy(twins), "waivers.json": {"body": {"waivers": [{**waiver, **change}]}}}


def waived_case() -> tuple[Twins, Criterion]:
    """Evidence in which s0 misses logs, and 1.2 recorded that finding."""
    twins = miss(evidence(), 1, of="s0")
    finding = next(one for one in judge(twins) if one.id == "coverage.critical:s0")
    twins[AUDIT]["criteria"].append(finding.to_json())
    return twins, finding


def test_what_was_waived_at_its_action_is_waived_here() -> None:
    """A valid waiver of 1.2's finding holds for the same finding of the gate; it does not count as passed."""
    twins, finding = waived_case()
    assert verdicts(judge(with_waiver(twins, finding)))["coverage.critical:s0"] == "waived"


@pytest.mark.parametrize(
    "change",
    [{"expires_at": NOW - 1}, {"evidence_sha256": "0" * 64}, {"step": "2.1"}, {"criterion": "*"}, {"expires_at": "x"}],
)
def test_a_waiver_of_something_else_waives_nothing(change: dict[str, Any]) -> None:
    """Expired, bound to other evidence, of another step, a wildcard, or malformed: the gate fails."""
    twins, finding = waived_case()
    assert verdicts(judge(with_waiver(twins, finding, **change)))["coverage.critical:s0"] == "failed"


def test_changed_evidence_makes_a_waived_gate_fail_again() -> None:
    """When another signal goes missing too, the waiver no longer covers the finding."""
    twins, finding = waived_case()
    assert verdicts(judge(with_waiver(miss(twins, 2, of="s0"), finding)))["coverage.critical:s0"] == "failed"


def test_the_registry_holds_gates_only() -> None:
    """Every file that the plan names is found."""
    assert REGISTRY["instrumentation"] is instrumentation
    assert set(REGISTRY) <= {gate.key for gate in plan.GATES}
