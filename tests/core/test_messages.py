"""The seed's literal strings are literal."""

from pathlib import Path

import pytest

from ray_tui.core import announcements, plan
from ray_tui.core.verdicts import Criterion, Verdict

SEED = Path(__file__).with_name("protocol-12.txt")
"""The seed's lines that hold a literal, as they stand there."""


def test_phase_starts_are_the_seeds_to_the_letter():
    """Each phase's start line stands exactly so. (P23, P36, P50, P62)"""
    assert [announcements.phase_start(phase) for phase in plan.PHASES] == [
        "[MASTER RAY™ | PHASE 1 START] - Reviewing deployment evidence to map monitoring requirements...",
        "[MASTER RAY™ | PHASE 2 START] - Activating dashboards and alert policies...",
        "[MASTER RAY™ | PHASE 3 START] - Scheduling ongoing observability validation tasks...",
        "[MASTER RAY™ | PHASE 4 START] - "
        "Delivering monitoring package to incident response and retrospective owners...",
    ]


def test_phase_lines_are_the_seeds_to_the_letter():
    """Each action with a line of its own says exactly that. (P27, P44, P57, P67)"""
    assert announcements.for_step("1.2") == (
        "[PHASE 1] Validating instrumentation coverage across services and dependencies...",
    )
    assert announcements.for_step("2.2") == (
        "[PHASE 2] Triggering synthetic alerts to confirm notification pathways...",
    )
    assert announcements.for_step("3.2") == (
        "[PHASE 3] Correlating recent alerts with incident history to tune thresholds...",
    )
    assert announcements.for_step("4.2") == ("[PHASE 4] Recording monitoring ownership and approvals...",)


def test_the_error_line_is_the_seeds():
    """The error line carries step and reason. (P80)"""
    said = announcements.error("2.2 Test Alert Paths", "slack-release was not acknowledged.")
    assert said == (
        '[RAY ERROR] - "Failed at 2.2 Test Alert Paths. Reason: slack-release was not acknowledged. '
        'Awaiting instructions."'
    )


def test_the_gate_failed_block_is_the_seeds():
    """The gate-failed block stands as in the seed, with the measured result. (P82)"""
    said = announcements.gate_failed(plan.gate("alert_validation"), "late: slack-release")
    assert said == (
        "[RAY GATE FAILED: Alert Validation Gate]\n"
        "> \"Quality gate 'Alert Validation Gate' failed.\n"
        "> Criteria: Synthetic alerts acknowledged within SLA, dashboards updated\n"
        "> Actual: late: slack-release\n"
        '> Required action: Repair alert routing, update dashboards, rerun tests."'
    )


@pytest.mark.parametrize(
    "said",
    [
        *announcements.LITERALS,
        announcements.CONFIRMATION,
        plan.NEXT_PROTOCOL,
        plan.MISSION.split(". ", 1)[1],
        plan.CRITICAL,
        *(gate.hook for gate in plan.GATES[::3]),
        *(action.announces for action in plan.ACTIONS if action.announces),
    ],
)
def test_every_literal_stands_in_the_seed(said):
    """What we call literal is a part of the seed. (P79, P81, P91, P93)"""
    flat = " ".join(SEED.read_text(encoding="utf-8").replace("**", "").split())
    assert " ".join(said.split()) in flat


def test_the_plan_has_the_seeds_shape():
    """Four phases of three actions, the third of each a guideline; every artifact and consumer is named. (P94)"""
    assert [len(phase.actions) for phase in plan.PHASES] == [3, 3, 3, 3]
    assert [action.id for action in plan.ACTIONS if not action.must] == ["1.3", "2.3", "3.3", "4.3"]
    for action in plan.ACTIONS:
        for artifact in action.artifacts:
            assert artifact.purpose
            assert artifact.consumers
            assert artifact.location == ".artifacts/monitoring/"


def test_ascii_rendering_loses_no_words():
    """Terminals without ™ get (TM); the words stay."""
    said = announcements.to_ascii(announcements.phase_start(plan.PHASES[0]))
    assert said == "[MASTER RAY(TM) | PHASE 1 START] - Reviewing deployment evidence to map monitoring requirements..."


def test_one_cause_of_many_is_said_once():
    """Criteria of one kind with one measurement share a sentence that names every subject; others keep their own."""

    def bad(stem, subject, actual):
        return Criterion(
            id=f"{stem}:{subject}", title=f"A person answers {subject}", verdict=Verdict.FAILED, actual=actual
        )

    same = [bad("ack", name, "nobody did within 15 s") for name in ("pd-a", "pd-b", "pd-c")]
    other = bad("ack", "mail", "answered after 40 s")
    assert announcements.not_passed([*same, other]) == (
        "A person answers pd-a, pd-b and pd-c: nobody did within 15 s; A person answers mail: answered after 40 s"
    )
    assert announcements.not_passed([same[0]]) == "A person answers pd-a: nobody did within 15 s"
