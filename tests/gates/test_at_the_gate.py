"""A waiver that was given where a gate itself had halted holds wherever that gate is judged from its evidence."""

import copy
from typing import Any

import pytest

from ray_tui import gates
from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict
from tests.gates.test_alert_validation import BOARDS, NOW, evidence

STEP = "gate.alert_validation"
PANELS = "alert_validation.panels"


def without_dashboards() -> dict[str, Any]:
    inputs = copy.deepcopy(evidence())
    inputs[BOARDS]["body"]["dashboards"] = []
    return inputs


def judged(inputs: dict[str, Any], key: str = "alert_validation") -> dict[str, Criterion]:
    return {one.id: one for one in gates.judge(key, inputs, Thresholds(), NOW)}


def waived(inputs: dict[str, Any], *found: Criterion, **instead: Any) -> dict[str, Any]:
    rows = [{"criterion": one.id, "step": STEP, "evidence_sha256": criterion_digest(one), "expires_at": NOW + 60,
             **instead} for one in found]  # fmt: skip
    return {**inputs, "waivers.json": {"body": {"waivers": rows}}}


def test_what_was_waived_at_the_gate_is_waived_there() -> None:
    """A team without Grafana waives it once more at Gate 2; `ray-tui gates` and CI read that waiver too. (P76)"""
    inputs = without_dashboards()
    found = [one for one in judged(inputs).values() if not one.verdict.lets_go_on]
    assert {one.id for one in found} == {"alert_validation.dashboards", PANELS}

    again = judged(waived(inputs, *found))

    assert {again[one.id].verdict for one in found} == {Verdict.WAIVED}
    assert all(one.verdict.lets_go_on for one in again.values())


@pytest.mark.parametrize(
    "instead",
    [{"expires_at": NOW}, {"step": "2.1"}, {"evidence_sha256": "0" * 64}, {"criterion": "alert_validation.rules"}],
)
def test_one_that_is_old_foreign_or_unbound_is_not(instead: dict[str, Any]) -> None:
    """It is bound to the gate, to the criterion and to what was found, and runs out. (P76)"""
    inputs = without_dashboards()
    found = judged(inputs)[PANELS]

    assert judged(waived(inputs, found, **instead))[PANELS].verdict is found.verdict


def test_what_may_not_be_waived_is_not_whoever_wrote_the_file() -> None:
    """A waivers.json by hand does not make a broken package whole. (P78)"""
    found = judged({}, "handoff")["handoff.intact"]

    again = judged(waived({}, found, step="gate.handoff"), "handoff")

    assert again["handoff.intact"].verdict is Verdict.FAILED
