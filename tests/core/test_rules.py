"""Who may do what, and what comes next."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan, rules, views, ways
from ray_tui.core.commands import (
    Abort,
    AddNote,
    AnswerPrompt,
    ConfirmWaiver,
    Decline,
    DeclineWaiver,
    GrantSeat,
    KeepSeat,
    ProposeWaiver,
    RecordManual,
    Refused,
    RequestSeat,
    RunStep,
    TakeSeat,
)  # fmt: skip
from ray_tui.core.limits import Limits
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict

MIRA = f.Actor(person="mira", uid=1001, console="c1")
SAM = f.Actor(person="sam", uid=1002, console="c2")
PEOPLE = {
    "mira": ("sre-lead", "operator"),
    "sam": ("release-manager",),
    "jo": ("observer",),
    "lee": ("security",),
}


def book(**policy):
    return rules.Rulebook(policy=Limits(**policy), people=PEOPLE, now=1000.0, config_digest="d1")


class Run:
    """A state that facts are fed into."""

    def __init__(self):
        self.state = RunState()
        self.seq = 0
        self.feed(
            f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="d1"),
            f.ConsoleAttached(console="c1", person="mira"),
            f.ConsoleAttached(console="c2", person="sam"),
            f.SeatTaken(person="mira", console="c1"),
        )

    def feed(self, *facts, actor=f.ENGINE):
        for fact in facts:
            self.seq += 1
            apply(self.state, f.Entry(seq=self.seq, at=900.0 + self.seq, mono=self.seq, actor=actor, fact=fact))
        return self

    def ask(self, actor, command, rulebook=None):
        decision = rules.decide(self.state, actor, command, rulebook or book(unsigned_approvals=True))
        if not isinstance(decision, Refused):
            self.feed(*decision, actor=actor)
        return decision

    def passes(self, *steps):
        for step in steps:
            self.feed(f.StepStarted(step=step, attempt=self.state.steps[step].attempt + 1))
            ok = Criterion(id=f"{step}.ok", title="ok", verdict=Verdict.PASSED, actual="ok")
            if step.startswith("gate."):
                self.feed(f.GateJudged(gate=step[5:], verdict=Verdict.PASSED, actual="ok", criteria=(ok,)))
            else:
                self.feed(f.StepFinished(step=step, verdict=Verdict.PASSED, summary="ok", criteria=(ok,)))
        return self

    def halts(self, step, verdict=Verdict.FAILED, waivable=True):
        bad = Criterion(id=f"{step}.bad", title="bad", verdict=verdict, actual="3 of 4", waivable=waivable)
        return self.feed(
            f.StepStarted(step=step, attempt=self.state.steps[step].attempt + 1),
            f.StepFinished(step=step, verdict=verdict, summary="bad", criteria=(bad,)),
            f.Halted(step=step, reason="bad: 3 of 4", criteria=(bad.id,), verdict=verdict),
        )


def test_steps_come_in_plan_order():
    """Nothing is skipped: after each settled step the next one of the plan is due."""
    run = Run()
    for step in plan.STEPS:
        assert rules.next_step(run.state) == rules.Do(step)
        run.passes(step)
    assert isinstance(rules.next_step(run.state), rules.Over)


def test_a_halt_waits_for_a_person():
    """A halted run goes nowhere by itself. (P24)"""
    run = Run().passes("prerequisites").halts("1.1")
    assert rules.next_step(run.state) == rules.Wait("bad: 3 of 4")


def test_retry_runs_the_step_again_and_its_gate_is_judged_again():
    """Repeating an earlier action unsettles every gate from there on."""
    run = Run().passes("prerequisites", "1.1", "1.2", "1.3", "gate.instrumentation").halts("2.1")
    run.ask(MIRA, RunStep(step="1.2"))
    assert run.state.running() == "1.2"
    run.passes("1.2")
    assert rules.next_step(run.state) == rules.Do("gate.instrumentation")


@pytest.mark.parametrize(
    ("again", "due"),
    [
        ("1.2", ["gate.instrumentation", "gate.alert_validation", "3.3", "gate.assurance", "4.1", "4.2", "4.3"]),
        ("3.3", ["gate.assurance", "4.1", "4.2", "4.3"]),
        ("4.1", ["4.2", "4.3"]),
        ("gate.assurance", []),
        ("prerequisites", ["gate.instrumentation", "gate.alert_validation", "gate.assurance", "4.2", "4.3"]),
    ],
)
def test_what_sums_the_run_up_is_done_again_after_an_earlier_step(again, due):
    """The scorecard, the package, its approval and the backlog stand on evidence that has changed. (P63 P66)"""
    run = Run().passes(*plan.STEPS[:-1])
    assert not isinstance(run.ask(MIRA, RunStep(step=again)), Refused)
    run.feed(f.StepFinished(step=again, verdict=Verdict.PASSED, summary="ok"))

    left = [step for step in plan.STEPS if not run.state.steps[step].settled]

    assert left == [*due, "gate.handoff", "completion"]


def test_a_step_that_is_not_open_is_refused():
    """Phase 3 cannot be run before phase 2."""
    run = Run().passes("prerequisites")
    refused = run.ask(MIRA, RunStep(step="3.1"))
    assert isinstance(refused, Refused)
    assert "not open yet" in refused.why


def test_only_the_driver_commands():
    """A second console watches, asks for the seat, is granted it, and then drives."""
    run = Run().passes("prerequisites").halts("1.1")
    assert isinstance(run.ask(SAM, RunStep(step="1.1")), Refused)
    run.ask(SAM, RequestSeat())
    assert run.state.seat_requests == ["sam"]
    run.ask(MIRA, GrantSeat(person="sam"))
    assert run.state.driver == "sam"
    assert run.state.seat_requests == []
    assert not isinstance(run.ask(SAM, RunStep(step="1.1")), Refused)


def test_the_driver_s_no_to_who_asks_for_the_seat_is_on_record():
    """Only the driver says it, and only to one who asks; then nobody asks any more."""
    run = Run()
    assert isinstance(run.ask(MIRA, KeepSeat(person="sam")), Refused)
    run.ask(SAM, RequestSeat())
    assert isinstance(run.ask(SAM, KeepSeat(person="sam")), Refused)
    run.ask(MIRA, KeepSeat(person="sam"))
    assert run.state.seat_requests == []
    assert run.state.driver == "mira"
    assert run.state.log[-1].text == "mira keeps the driver's seat; sam goes on watching"


def test_an_observing_console_never_drives():
    """--observe is read-only for certain."""
    run = Run().feed(f.ConsoleAttached(console="c3", person="jo", read_only=True))
    refused = run.ask(f.Actor(person="jo", console="c3"), TakeSeat())
    assert isinstance(refused, Refused)


def test_one_confirmation_never_passes_for_two():
    """Where policy asks for two other people, one cannot grant a waiver alone, nor twice; the second one's does."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    two = book(unsigned_approvals=True, approvers=2)
    run.ask(MIRA, waive(run))
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"), two)
    assert run.state.waivers == {}
    assert run.state.halt is not None
    assert isinstance(run.ask(SAM, ConfirmWaiver(waiver_id="W1"), two), Refused)
    assert isinstance(run.ask(MIRA, ConfirmWaiver(waiver_id="W1"), two), Refused)
    assert isinstance(run.ask(f.Actor(person="jo", console="c3"), ConfirmWaiver(waiver_id="W1"), two), Refused)
    run.ask(f.Actor(person="lee", console="c4"), ConfirmWaiver(waiver_id="W1"), two)
    assert run.state.waivers["W1"].approver == "sam, lee"
    assert run.state.halt is None


def test_a_second_person_s_no_closes_the_proposal():
    """Its initiator and who only observes cannot say it; the halt stays, and the next waiver has an id of its own."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    assert isinstance(run.ask(MIRA, DeclineWaiver(waiver_id="W1")), Refused)
    assert isinstance(run.ask(f.Actor(person="jo", console="c3"), DeclineWaiver(waiver_id="W1")), Refused)
    run.ask(SAM, DeclineWaiver(waiver_id="W1"))
    assert run.state.proposed == {}
    assert run.state.halt is not None
    assert run.state.log[-1].text == "sam declined waiver W1 of 1.2.bad"
    assert isinstance(run.ask(SAM, DeclineWaiver(waiver_id="W1")), Refused)
    run.ask(MIRA, waive(run))
    assert list(run.state.proposed) == ["W2"]


def test_a_demo_waiver_needs_a_second_person_too():
    """The demo stamps its approvals, and has no exception for one's own waiver."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    assert isinstance(run.ask(MIRA, ConfirmWaiver(waiver_id="W1"), book(demo=True)), Refused)
    assert run.state.waivers == {}


def waive(run, **more):
    fields = {"criterion": "1.2.bad", "step": "1.2", "reason": "search has no traces by design", "days": 7} | more
    return ProposeWaiver(**fields)


def test_a_waiver_needs_a_second_person():
    """Proposed by one, confirmed by another; only then does the run go on, and as waived, not passed."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    assert isinstance(run.ask(MIRA, ConfirmWaiver(waiver_id="W1")), Refused)
    assert run.state.halt is not None
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    assert run.state.halt is None
    assert rules.next_step(run.state) == rules.Do("1.3")
    assert rules.effective_verdict(run.state, "1.2", run.state.steps["1.2"].criteria, 1000.0) is Verdict.WAIVED


def test_what_is_asked_for_already_is_not_asked_for_again():
    """One open waiver a criterion: the second proposal is refused with the first one's id, and is not offered."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    assert [c.id for c in ways.waivable(run.state, "1.2", 1000.0)] == ["1.2.bad"]
    run.ask(MIRA, waive(run))
    refused = run.ask(MIRA, waive(run, reason="another reason for the same thing"))
    assert isinstance(refused, Refused)
    assert "W1 asks for that already" in refused.why
    assert ways.waivable(run.state, "1.2", 1000.0) == ()
    assert list(run.state.proposed) == ["W1"]


def test_an_open_waiver_lapses_when_its_step_is_run_again():
    """It was asked for what was there then: nobody is waited for any more, confirming says why, no id comes twice."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    run.feed(f.StepStarted(step="1.2", attempt=2))
    assert run.state.proposed == {}
    refused = run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    assert isinstance(refused, Refused)
    assert "has lapsed" in refused.why
    run.halts("1.2")
    run.ask(MIRA, waive(run))
    assert list(run.state.proposed) == ["W2"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reason": "too short"}, "at least 15"),
        ({"days": 31}, "at most 30 days"),
        ({"days": 0}, "at most 30 days"),
        ({"criterion": "1.2.*"}, "no criterion"),
        ({"step": "9.9"}, "no criterion"),
    ],
)
def test_a_waiver_is_bounded(change, why):
    """Reason, expiry and scope are checked; there is no wildcard."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    refused = run.ask(MIRA, waive(run, **change))
    assert isinstance(refused, Refused)
    assert why in refused.why


def test_a_waiver_is_bound_to_its_evidence():
    """Changed evidence makes the criterion fail again."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    worse = Criterion(id="1.2.bad", title="bad", verdict=Verdict.FAILED, actual="2 of 4")
    assert rules.effective(run.state, "1.2", worse, 1000.0) is Verdict.FAILED


def test_what_was_waived_becomes_a_backlog_entry():
    """Put off, not done: from the moment it is waived, with its initiator as owner and its expiry as due date. (P70)"""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run, days=1))
    assert run.state.backlog == {}
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    gap = run.state.backlog["waived:1.2:1.2.bad"]
    assert (gap.owner, gap.due, gap.status) == ("mira", "1970-01-02", "open")


@pytest.mark.parametrize(("verdict", "paid"), [(Verdict.PASSED, True), (Verdict.FAILED, False), (None, False)])
def test_what_was_waived_is_paid_once_it_passes(verdict, paid):
    """While it does not, or nobody could look, the entry stays open. (P70)"""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run))
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    again = [Criterion(id="1.2.bad", title="bad", verdict=verdict, actual="4 of 4")] if verdict else []
    assert [(gap.id, gap.status) for gap in rules.paid(run.state, "1.2", again)] == (
        [("waived:1.2:1.2.bad", "resolved")] if paid else []
    )


def test_an_expired_waiver_covers_nothing():
    """After its expiry the criterion fails again."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    run.ask(MIRA, waive(run, days=1))
    run.ask(SAM, ConfirmWaiver(waiver_id="W1"))
    criterion = run.state.steps["1.2"].criteria[0]
    assert rules.effective(run.state, "1.2", criterion, 1000.0 + 86_399) is Verdict.WAIVED
    assert rules.effective(run.state, "1.2", criterion, 1000.0 + 86_401) is Verdict.FAILED


def test_what_cannot_be_waived_is_refused():
    """A criterion says itself whether it can be waived."""
    run = Run().passes("prerequisites", "1.1").halts("1.2", waivable=False)
    assert isinstance(run.ask(MIRA, waive(run)), Refused)


def test_manual_validation_settles_what_automation_could_not_judge():
    """An inconclusive criterion may be settled by what a person saw. (P87)"""
    run = Run().passes("prerequisites", "1.1").halts("1.2", verdict=Verdict.INCONCLUSIVE)
    run.ask(MIRA, RecordManual(criterion="1.2.bad", step="1.2", note="looked at every dashboard by hand"))
    assert run.state.halt is None


def test_manual_validation_never_settles_a_proven_failure():
    """A measured failure can be repaired or waived, not talked away."""
    run = Run().passes("prerequisites", "1.1").halts("1.2")
    refused = run.ask(MIRA, RecordManual(criterion="1.2.bad", step="1.2", note="looked at every dashboard by hand"))
    assert isinstance(refused, Refused)
    assert "by measurement" in refused.why


def test_manual_validation_never_settles_what_cannot_be_waived():
    """A criterion that nobody may waive is no more settled by a note. (P87)"""
    run = Run().passes("prerequisites", "1.1").halts("1.2", Verdict.ERROR, waivable=False)
    refused = run.ask(MIRA, RecordManual(step="1.2", criterion="1.2.bad", note="seen in Grafana by myself"))
    assert isinstance(refused, Refused)
    assert "cannot be settled" in refused.why
    assert run.state.manuals == {}


def test_a_must_cannot_be_declined():
    """A [MUST] action is waived criterion by criterion; a guideline is declined with a reason."""
    run = Run()
    assert isinstance(run.ask(MIRA, Decline(step="1.2", reason="we do not feel like it")), Refused)
    run.ask(MIRA, Decline(step="2.3", reason="runbooks are kept elsewhere"))
    assert run.state.declined == {"2.3": "runbooks are kept elsewhere"}
    assert run.state.steps["2.3"].settled


@pytest.mark.parametrize("step", ["1.3", "3.3", "4.3"])
def test_declining_an_output_settles_nothing_by_itself(step):
    """What another protocol waits for is not settled by a reason alone; at its turn it is still due."""
    run = Run()
    run.ask(MIRA, Decline(step=step, reason="measured by another team"))
    assert run.state.declined == {step: "measured by another team"}
    assert not run.state.steps[step].settled
    run.passes(*plan.STEPS[: plan.STEPS.index(step)])
    assert rules.next_step(run.state) == rules.Do(step)


@pytest.mark.parametrize("done", [True, False])
def test_nothing_is_declined_that_is_over(done):
    """What has been carried out, or declined already, is not declined again."""
    run = Run().passes("prerequisites", "1.1", "1.2")
    run.passes("1.3") if done else run.ask(MIRA, Decline(step="1.3", reason="measured by another team"))
    refused = run.ask(MIRA, Decline(step="1.3", reason="on second thoughts, no"))
    assert isinstance(refused, Refused)
    assert ("carried out already" if done else "declined already") in refused.why


def test_what_was_declined_can_be_carried_out_after_all():
    """A declined 2.3 blocks completion for good: it is no dead end, and its gate is judged again. (P21 P48)"""
    run = Run().passes("prerequisites", "1.1", "1.2", "1.3", "gate.instrumentation", "2.1", "2.2")
    run.ask(MIRA, Decline(step="2.3", reason="runbooks are kept elsewhere"))
    run.passes(*plan.STEPS[plan.STEPS.index("2.3") + 1 : -1]).halts("completion", waivable=False)
    assert views.validated_for_completion(run.state, 1000.0) == (Verdict.FAILED, "not validated: 2.3 (declined)")

    assert not isinstance(run.ask(MIRA, RunStep(step="2.3")), Refused)
    assert run.state.declined == {}
    run.passes("2.3")
    assert rules.next_step(run.state) == rules.Do("gate.alert_validation")
    assert views.validated_for_completion(run.state, 1000.0)[0] is Verdict.PASSED


def prompt(kind="confirm", **more):
    return f.PromptRaised(id="2.1#1:apply", step="2.1", prompt=kind, title="Apply?", text="", **more)


def test_a_typed_confirmation_wants_the_words_to_the_letter():
    """Anything but the expected words is refused; ``no`` is always possible."""
    run = Run().feed(prompt("typed", expects="page priya"))
    assert isinstance(run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="page  priya")), Refused)
    assert not isinstance(run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="page priya")), Refused)


STRANGER = f.Actor(person="uid:4711", uid=4711, console="c9")


@pytest.mark.parametrize(
    "command",
    [TakeSeat(), RequestSeat(), RunStep(step="1.1"), AnswerPrompt(prompt_id="2.1#1:apply", answer="yes"),
     Abort(reason="because I can"), Decline(step="2.3", reason="because nobody stops me")],
    ids=lambda command: command.command,
)  # fmt: skip
def test_whom_people_does_not_know_only_watches_and_notes(command):
    """An empty seat is nobody's who is unknown to [people]; a note of theirs is taken."""
    run = Run().feed(f.ConsoleDetached(console="c1"), f.ConsoleAttached(console="c9", person="uid:4711"), prompt())
    refused = run.ask(STRANGER, command)
    assert isinstance(refused, Refused)
    assert "uid:4711 is nobody in [people]" in refused.why
    assert not isinstance(run.ask(STRANGER, AddNote(text="the canary looks odd")), Refused)


def test_the_seat_is_not_given_to_whom_people_does_not_know():
    """Nor can the driver let a stranger in."""
    run = Run().feed(f.ConsoleAttached(console="c9", person="uid:4711"))
    assert isinstance(run.ask(MIRA, GrantSeat(person="uid:4711")), Refused)
    assert run.state.driver == "mira"


@pytest.mark.parametrize("rulebook", [rules.Rulebook(), book(demo=True)], ids=["no people", "demo"])
def test_without_people_or_in_a_demo_anybody_drives(rulebook):
    """One person alone needs no list of people."""
    run = Run().feed(f.ConsoleDetached(console="c1"))
    assert not isinstance(run.ask(STRANGER, TakeSeat(), rulebook), Refused)
    assert run.state.driver == "uid:4711"


@pytest.mark.parametrize("console", ["c2", rules.HEADLESS])
def test_a_change_of_live_monitoring_is_confirmed_by_who_may(console):
    """Driving is not enough where the question names roles, with or without a terminal. (P33 P34)"""
    run = Run().feed(prompt(roles=("sre-lead", "operator")), f.SeatTaken(person="sam", console=console))
    yes = AnswerPrompt(prompt_id="2.1#1:apply", answer="yes")
    refused = run.ask(f.Actor(person="sam", console=console), yes)
    assert isinstance(refused, Refused)
    assert "needs sre-lead or operator" in refused.why
    assert not isinstance(run.ask(MIRA, yes), Refused)


def test_an_approval_needs_its_role():
    """Only someone with the role may approve. (P9)"""
    run = Run().feed(prompt("approve", roles=("sre-lead",), data={"role": "sre-lead", "subject": "config"}))
    assert isinstance(run.ask(SAM, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes")), Refused)
    run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes"))
    assert [(a.role, a.person, a.assurance) for a in run.state.approvals] == [("sre-lead", "mira", "unsigned")]


@pytest.mark.parametrize("signed", ["", "SHA256:key"])
@pytest.mark.parametrize("claimed", ["jo", "intern"])
def test_an_answers_file_approves_only_for_who_holds_the_role(claimed, signed):
    """Neither a name that nobody knows nor an observer's good signature is an approval, not even in a demo. (P9)"""
    run = Run().feed(prompt("approve", roles=("sre-lead",), data={"role": "sre-lead"}))
    answer = AnswerPrompt(prompt_id="2.1#1:apply", answer="yes", claimed_person=claimed)
    for demo in (False, True):
        refused = run.ask(MIRA, answer, book(unsigned_approvals=True, demo=demo).but(verified_key=signed))
        assert isinstance(refused, Refused)
        assert f"{claimed} has no such role" in refused.why
    assert run.state.approvals == []


@pytest.mark.parametrize(
    ("person", "console", "demo", "may"),
    [
        ("mira", "c1", False, True),  # her role
        ("sam", "c2", False, False),  # drives, and that is not enough
        ("sam", "c2", True, True),  # drives a demo: plays every role
        ("mira", "c1", True, True),  # holds the role in a demo that another drives
        ("lee", "c3", True, False),  # neither
    ],
)
def test_in_a_demo_the_role_answers_as_everywhere_and_who_drives_plays_every_role(person, console, demo, may):
    """One rule for the host and for every console, which knows roles by what the host has recorded. (P9)"""
    run = Run().feed(
        f.RunOpened(run_id="r", release="v1", environment="e", deployed_at=0, config_digest="d1", demo=demo),
        f.HostStarted(pid=1, roles=PEOPLE),
        f.SeatTaken(person="sam", console="c2"),
        prompt("approve", roles=("sre-lead",)),
    )
    actor = f.Actor(person=person, console=console)
    raised = run.state.open_prompts[0].raised
    for known in (book(demo=demo), rules.book_of(run.state)):
        assert (rules.may_answer(raised, actor, run.state, known) is None) == may


FAR = {"given_at": 5000.0, "expires_at": 9e9, "release": "v0", "config_digest": "d0"}


def test_a_console_does_not_date_its_approval():
    """When, until when and for what is this run's to say, whatever the client sends. (P68)"""
    run = Run().feed(prompt("approve", roles=("sre-lead",), data={"role": "sre-lead"}))
    run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes", data=FAR))
    (given,) = run.state.approvals
    assert (given.given_at, given.expires_at) == (1000.0, 1000.0 + 30 * rules.DAY)
    assert (given.release, given.config_digest) == ("v1", "d1")


def test_an_earlier_approval_of_an_answers_file_is_bounded():
    """It says what it was given for, but neither from the future nor for longer than policy allows. (P68)"""
    run = Run().feed(prompt("approve", roles=("sre-lead",), data={"role": "sre-lead"}))
    run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes", data=FAR, claimed_person="mira"))
    (given,) = run.state.approvals
    assert (given.given_at, given.expires_at) == (1000.0, 1000.0 + 30 * rules.DAY)
    assert (given.release, given.config_digest) == ("v0", "d0")


def test_unsigned_approvals_only_where_policy_allows():
    """Without a signature and without leave, an approval is refused."""
    run = Run().feed(prompt("approve", roles=("sre-lead",), data={"role": "sre-lead"}))
    refused = run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes"), book())
    assert isinstance(refused, Refused)
    assert "signed" in refused.why


def test_one_person_cannot_hold_two_roles():
    """Unless policy says so."""
    run = Run().feed(
        f.ApprovalRecorded(role="release-manager", person="mira", subject="deploy", given_at=1.0),
        prompt("approve", roles=("sre-lead",), data={"role": "sre-lead"}),
    )
    answer = AnswerPrompt(prompt_id="2.1#1:apply", answer="yes")
    assert isinstance(run.ask(MIRA, answer), Refused)
    assert not isinstance(run.ask(MIRA, answer, book(unsigned_approvals=True, one_person_many_roles=True)), Refused)


@pytest.mark.parametrize(
    ("answer", "reason", "taken"),
    [
        ("reject", "", False),
        ("reject", "   too short    ", False),
        ("reject", "these pages are wanted", True),
        ("later", "", True),
    ],
)
def test_an_option_may_need_a_reason(answer, reason, taken):
    """It is refused when it is given, with how long the reason must be: the question stays open. (P58)"""
    run = Run().feed(prompt("choose", options=("later", "reject"), with_reason=("reject",)))

    refused = run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer=answer, reason=reason))

    assert isinstance(refused, Refused) is not taken
    if not taken:
        assert refused.why == "reject: say why, in at least 15 characters."
    assert (run.state.prompts["2.1#1:apply"].answered is not None) is taken


def test_a_question_is_answered_once():
    """The second answer is refused, and says who gave the first."""
    run = Run().feed(prompt())
    run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="yes"))
    refused = run.ask(MIRA, AnswerPrompt(prompt_id="2.1#1:apply", answer="no"))
    assert isinstance(refused, Refused)
    assert "mira" in refused.why


def test_an_ended_run_takes_only_notes():
    """After an abort nothing changes any more."""
    run = Run()
    run.ask(MIRA, Abort(reason="rolled back"))
    assert isinstance(run.ask(MIRA, RunStep(step="prerequisites")), Refused)
    assert not isinstance(run.ask(SAM, AddNote(text="see INC-12")), Refused)
