"""The questions that panes and CI ask of a run: boxes, figures, exit codes."""

import pytest

from ray_tui.core import announcements, plan, views
from ray_tui.core import facts as f
from ray_tui.core.rules import criterion_digest
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict

NOW = 10_000.0
OK = Criterion(id="ok", title="ok", verdict=Verdict.PASSED, actual="ok")
BAD = Criterion(id="bad", title="bad", verdict=Verdict.FAILED, actual="bad")


def entries(*facts):
    return [f.Entry(seq=n, at=float(n), mono=float(n), actor=f.ENGINE, fact=fact) for n, fact in enumerate(facts, 1)]


def whole_run():
    """The facts of a run in which everything is as it should be, by name of what they prove."""
    facts = [f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="d")]
    facts += [f.Announced(text=announcements.phase_start(phase)) for phase in plan.PHASES]
    for step in plan.STEPS:
        facts.append(f.StepStarted(step=step))
        if step.startswith("gate."):
            facts.append(f.GateJudged(gate=step[5:], verdict=Verdict.PASSED, actual="ok", criteria=(OK,)))
        else:
            facts.append(f.StepFinished(step=step, verdict=Verdict.PASSED, summary="ok", criteria=(OK,)))
    for action in plan.ACTIONS:
        facts += [f.EvidenceWritten(name=a.name, sha256="x", size=1, step=action.id) for a in action.artifacts]
    facts += [f.HandoffNotified(protocol=number, channel="c", ok=True) for number in plan.OUTPUTS]
    facts += [f.HookRan(hook=hook, outcome=Verdict.PASSED) for hook in plan.HOOKS]
    return facts


def state_of(facts):
    state = RunState()
    for entry in entries(*facts):
        apply(state, entry)
    return state


def checked(facts):
    return [box.checked for box in views.handoff_boxes(state_of(facts), NOW)]


def test_all_seven_boxes_follow_from_a_whole_run():
    """Seven boxes, each computed from facts. (P90)"""
    assert checked(whole_run()) == [True] * 7


@pytest.mark.parametrize(
    ("box", "without"),
    [
        (0, lambda fact: isinstance(fact, f.StepFinished) and fact.step == "prerequisites"),
        (1, lambda fact: isinstance(fact, f.StepFinished) and fact.step == "3.2"),
        (2, lambda fact: isinstance(fact, f.GateJudged) and fact.gate == "alert_validation"),
        (3, lambda fact: isinstance(fact, f.EvidenceWritten) and fact.name == "observability-schedule.json"),
        (4, lambda fact: isinstance(fact, f.HandoffNotified) and fact.protocol == "21"),
        (5, lambda fact: isinstance(fact, f.HookRan) and fact.hook == "collect_perf.py"),
        (6, lambda fact: isinstance(fact, f.Announced) and "PHASE 3" in fact.text),
    ],
)
def test_each_box_opens_when_its_fact_is_missing(box, without):
    """No box can be ticked by hand: take its fact away and it is open, and says why. (P90)"""
    facts = [fact for fact in whole_run() if not without(fact)]
    assert not checked(facts)[box]
    assert views.handoff_boxes(state_of(facts), NOW)[box].why


def test_nothing_is_checked_before_anything_happened():
    """An empty run has no checked box that would need a fact."""
    assert checked([]) == [False] * 7


def test_completion_is_blocked_until_rules_dashboards_and_runbooks_are_validated():
    """The seed's [CRITICAL] line: 2.1, 2.2 and 2.3 must be validated; declining runbooks blocks it too. (P21)"""
    for step in ("2.1", "2.2", "2.3"):
        facts = [fact for fact in whole_run() if not (isinstance(fact, f.StepFinished) and fact.step == step)]
        blocked = (Verdict.FAILED, f"not validated: {step}")
        assert views.validated_for_completion(state_of(facts), NOW) == blocked
    declined = [*whole_run(), f.StepDeclined(step="2.3", reason="runbooks live elsewhere")]
    assert views.validated_for_completion(state_of(declined), NOW) == (Verdict.FAILED, "not validated: 2.3 (declined)")
    assert views.validated_for_completion(state_of(whole_run()), NOW) == (Verdict.PASSED, "validated in this run")


def test_what_was_waived_or_only_seen_is_not_validated_in_this_run():
    """A waiver of 2.1 and a person's note on 2.2 let the run go on and are named; an expired waiver blocks. (P21)"""
    broken = Criterion(id="broke", title="broke", verdict=Verdict.ERROR, actual="503")
    facts = [
        *whole_run(),
        f.StepFinished(step="2.1", verdict=Verdict.FAILED, summary="bad", criteria=(BAD,)),
        f.Waived(id="W1", criterion="bad", step="2.1", reason="known", operator="mira", approver="sam",
                 expires_at=NOW + 1, evidence_sha256=criterion_digest(BAD)),
        f.StepFinished(step="2.2", verdict=Verdict.ERROR, summary="503", criteria=(broken,)),
        f.ManualRecorded(id="M1", criterion="broke", step="2.2", note="seen by me", operator="mira",
                         evidence_sha256=criterion_digest(broken)),
    ]  # fmt: skip
    verdict, actual = views.validated_for_completion(state_of(facts), NOW)
    assert verdict is Verdict.WAIVED
    assert "2.1 bad (W1), 2.2 broke (M1)" in actual
    assert views.validated_for_completion(state_of(facts), NOW + 1) == (Verdict.FAILED, "not validated: 2.1")


def test_quality_metrics_are_figures():
    """Gate 2 pass rate, evidence completeness, integration integrity: measured, never [TBD]. (P95, P96, P97)"""
    metrics = views.quality_metrics(state_of(whole_run()))
    assert [(m.name, m.target, m.met) for m in metrics] == [
        ("Gate 2 Pass Rate", "≥ 95%", True),
        ("Evidence Completeness", "100%", True),
        ("Integration Integrity", "100%", True),
    ]
    assert all("TBD" not in m.actual for m in metrics)


def test_a_failed_check_lowers_the_gate_2_pass_rate():
    """Half of the checks passed: 50%, not met; a waived one counts as not passed. (P95)"""
    judged = f.GateJudged(gate="alert_validation", verdict=Verdict.FAILED, actual="x", criteria=(OK, BAD))
    metric = views.quality_metrics(state_of([*whole_run(), judged]))[0]
    assert (metric.actual, metric.met) == ("50% (1 of 2)", False)


def test_missing_outputs_lower_integrity_and_completeness():
    """One output to another protocol missing shows in both figures. (P96, P97)"""
    facts = [
        fact for fact in whole_run()
        if not (isinstance(fact, f.EvidenceWritten) and fact.name == "baseline-metrics.json")
    ]  # fmt: skip
    _, completeness, integrity = views.quality_metrics(state_of(facts))
    assert not completeness.met
    assert not integrity.met


def test_what_was_found_wrong_on_disk_counts_as_missing():
    """An output that is gone, or another file than was written, opens both boxes and lowers both figures.
    (P90 P96 P97)"""
    wrong = {"baseline-metrics.json": "changed"}
    read = f.HookRan(hook=views.READS_EVIDENCE, outcome=Verdict.FAILED, wrong=wrong)
    state = state_of([*whole_run(), read])
    boxes = views.handoff_boxes(state, NOW)
    assert [boxes[3].why, boxes[4].why] == ["open: baseline-metrics.json (changed)"] * 2
    _, completeness, integrity = views.quality_metrics(state)
    assert not completeness.met
    assert not integrity.met


def test_a_declined_and_waived_output_opens_no_box_but_is_no_output():
    """Nobody owes the scorecard any more; integrity is still less than whole. (P90 P97)"""
    card = "observability-scorecard.md"
    facts = [fact for fact in whole_run() if not (isinstance(fact, f.EvidenceWritten) and fact.name == card)]
    assert not checked(facts)[4]
    start = next(n for n, fact in enumerate(facts) if isinstance(fact, f.StepStarted) and fact.step == "3.3")
    facts[start : start + 2] = [
        f.StepDeclined(step="3.3", reason="another team"),
        f.HaltCleared(step="3.3", how="waived"),
    ]
    assert checked(facts) == [True] * 7
    assert views.quality_metrics(state_of(facts))[2].actual == "88% (7 of 8)"


def test_the_pass_rate_is_shown_across_earlier_runs_too():
    """This run's checks decide; what earlier runs came to stands beside it. (P95)"""
    bad = f.GateJudged(gate="alert_validation", verdict=Verdict.FAILED, actual="x", criteria=(OK, BAD))
    never = state_of([])
    earlier = views.Checks.of([state_of(whole_run()), state_of([bad]), never])
    metric = views.quality_metrics(state_of(whole_run()), earlier)[0]
    assert (metric.actual, metric.met) == ("100% (1 of 1); 67% (2 of 3) in 2 earlier runs", True)


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        (f.RunCompleted(), 0),
        (f.Halted(step="1.1", reason="x", verdict=Verdict.FAILED), 1),
        (f.Halted(step="1.1", reason="x", verdict=Verdict.INCONCLUSIVE), 3),
        (f.Halted(step="1.1", reason="x", verdict=Verdict.ERROR), 3),
        (f.RunAborted(reason="x"), 5),
    ],
)
def test_exit_codes(fact, code):
    """Passed, failed, inconclusive or error, aborted: each has its documented code."""
    assert views.exit_code(state_of([fact])) == code


def test_a_run_that_just_stopped_is_not_a_pass():
    """Neither halted nor complete: not 0."""
    assert views.exit_code(RunState()) == 1


def test_the_code_of_a_halt_is_of_what_blocks_now():
    """A failure that was waived leaves what could not be judged: that is 3, not 1."""
    failed = Criterion(id="a", title="a", verdict=Verdict.FAILED, actual="no")
    unknown = Criterion(id="b", title="b", verdict=Verdict.INCONCLUSIVE, actual="?")
    halted = [
        f.StepFinished(step="1.1", verdict=Verdict.FAILED, summary="x", criteria=(failed, unknown)),
        f.Halted(step="1.1", reason="x", criteria=("a", "b"), verdict=Verdict.FAILED),
    ]
    waived = f.Waived(id="W1", criterion="a", step="1.1", reason="known", operator="mira", approver="tom",
                      expires_at=NOW + 86_400, evidence_sha256=criterion_digest(failed))  # fmt: skip
    assert views.exit_code(state_of(halted)) == 1
    assert views.exit_code(state_of([*halted, waived])) == 3
