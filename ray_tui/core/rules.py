"""What may happen next, and who may make it happen. Pure: state and command in, facts or a refusal out."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from ray_tui.core import declining, plan
from ray_tui.core import facts as f
from ray_tui.core.answering import wrong_answer
from ray_tui.core.commands import (
    Abort,
    AcknowledgeProbe,
    AddNote,
    AnswerPrompt,
    Command,
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
)
from ray_tui.core.limits import DEFAULTS, Limits
from ray_tui.core.state import RunState
from ray_tui.core.together import asked
from ray_tui.core.value import Value, field
from ray_tui.core.verdicts import Criterion, Verdict, combine

DAY = 86_400.0


class Rulebook(Value):
    """Everything beside the state that a decision depends on."""

    policy: Limits = DEFAULTS
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Who stands in [people], and in which roles."""
    now: float = 0.0
    config_digest: str = ""
    verified_key: str = ""
    """Fingerprint of the key whose signature on this command the host verified for the actor; empty: none."""
    acknowledges: tuple[str, str] | None = None
    """(Probe, integration) whose code this command carries, as the host found; None: it is nobody's code."""


def book_of(state: RunState) -> Rulebook:
    """As much of the host's rulebook as its facts tell: by it a console knows who may do what."""
    demo = state.opened is not None and state.opened.demo
    roles = state.host.roles if state.host is not None else {}
    return Rulebook(policy=Limits(demo=demo), people=roles)


class Do(Value):
    """Run this step now."""

    step: str


class Wait(Value):
    """Nothing to do before someone acts."""

    why: str


class Over(Value):
    """The run has ended."""


def next_step(state: RunState) -> Do | Wait | Over:
    """The first step in plan order that is not settled; a halt waits for a person."""
    if state.ended:
        return Over()
    if state.halt is not None:
        return Wait(state.halt.reason)
    for step in plan.STEPS:
        if not state.steps[step].settled:
            return Do(step)
    return Over()


def criterion_digest(criterion: Criterion) -> str:
    """What a waiver is bound to: when the measured value or the verdict changes, the waiver no longer covers it."""
    import hashlib  # OpenSSL's, whose loading no first paint of a console should wait for

    bound = [criterion.id, criterion.verdict.value, criterion.actual, criterion.required]
    return hashlib.sha256(json.dumps(bound, ensure_ascii=True).encode()).hexdigest()


def covered_by(state: RunState, step: str, criterion: Criterion, now: float) -> str:
    """The waiver or manual validation that stands in for a criterion's measurement; "" where none does."""
    digest = criterion_digest(criterion)
    for waiver in state.waivers.values():
        covers = (waiver.criterion, waiver.step, waiver.evidence_sha256) == (criterion.id, step, digest)
        if covers and waiver.expires_at > now:
            return waiver.id
    if criterion.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR):
        for manual in state.manuals.values():
            if (manual.criterion, manual.step, manual.evidence_sha256) == (criterion.id, step, digest):
                return manual.id
    return ""


def effective(state: RunState, step: str, criterion: Criterion, now: float) -> Verdict:
    """A criterion's verdict, with a valid waiver or manual validation taken into account."""
    if criterion.verdict.lets_go_on:
        return criterion.verdict
    return Verdict.WAIVED if covered_by(state, step, criterion, now) else criterion.verdict


def effective_verdict(state: RunState, step: str, criteria: Sequence[Criterion], now: float) -> Verdict:
    return combine(effective(state, step, criterion, now) for criterion in criteria)


def blocking(state: RunState, step: str, now: float) -> tuple[Criterion, ...]:
    """What keeps a step from being settled, waivers taken into account."""
    return tuple(c for c in state.steps[step].criteria if not effective(state, step, c, now).lets_go_on)


Decision = Sequence[f.Fact] | Refused


def decide(state: RunState, actor: f.Actor, command: Command, book: Rulebook) -> Decision:
    """The facts that a command causes, or why not."""
    if state.ended and not isinstance(command, AddNote):
        return Refused("The run has ended; open a new one with `ray-tui run`.")
    if not isinstance(command, AddNote | AcknowledgeProbe) and actor.console != HEADLESS:
        why = stranger(actor.person, book)
        if why:
            return Refused(why)
    match command:
        case AddNote():
            return [f.NoteAdded(text=command.text)] if command.text.strip() else Refused("The note is empty.")
        case RequestSeat():
            return [f.SeatRequested(person=actor.person, console=actor.console)]
        case TakeSeat():
            return _take_seat(state, actor)
        case GrantSeat():
            return _grant_seat(state, actor, command, book)
        case KeepSeat():
            return _keep_seat(state, actor, command)
        case AnswerPrompt():
            return _answer(state, actor, command, book)
        case ConfirmWaiver():
            return _confirm_waiver(state, actor, command, book)
        case DeclineWaiver():
            return _decline_waiver(state, actor, command, book)
        case AcknowledgeProbe():
            return _acknowledge(state, actor, command, book)
    if not drives(state, actor):
        return Refused(f"{state.driver} drives this run; ask for the seat first.")
    match command:
        case RunStep():
            return _run_step(state, command)
        case ProposeWaiver():
            return _waive(state, actor, command, book)
        case RecordManual():
            return _manual(state, actor, command, book)
        case Decline():
            return _decline(state, actor, command, book)
        case Abort():
            reason = command.reason.strip()
            return [f.RunAborted(reason=reason)] if reason else Refused("Say why the run is aborted.")
    raise AssertionError(f"a command without a rule: {command!r}")


def stranger(person: str, book: Rulebook) -> str:
    """Why this person may only watch and add notes; "" for who is known, where [people] names nobody, in a demo."""
    if not book.people or book.policy.demo or person in book.people:
        return ""
    return f"{person} is nobody in [people], and may watch and add notes: list them with `login` and their roles."


def drives(state: RunState, actor: f.Actor) -> bool:
    """Whether this actor holds the driver's seat; an empty seat is anybody's."""
    if not state.driver or not state.driver_console:
        return True
    return state.driver == actor.person and state.driver_console in ("", actor.console)


def _take_seat(state: RunState, actor: f.Actor) -> Decision:
    console = state.consoles.get(actor.console)
    if console is not None and console.read_only:
        return Refused("This console only watches (--observe).")
    if state.driver_console and state.driver_console == actor.console:
        return Refused("You drive already.")
    return [f.SeatTaken(person=actor.person, console=actor.console, how="taken" if state.driver_console else "first")]


def _grant_seat(state: RunState, actor: f.Actor, command: GrantSeat, book: Rulebook) -> Decision:
    if not drives(state, actor):
        return Refused("Only the driver can grant the seat.")
    why = stranger(command.person, book)
    if why:
        return Refused(why)
    console = next((c for c in state.consoles.values() if c.person == command.person and not c.read_only), None)
    if console is None:
        return Refused(f"{command.person} has no console here that could drive.")
    return [f.SeatTaken(person=command.person, console=console.id, how="granted")]


def _keep_seat(state: RunState, actor: f.Actor, command: KeepSeat) -> Decision:
    if not drives(state, actor):
        return Refused("Only the driver can keep the seat.")
    if command.person not in state.seat_requests:
        return Refused(f"{command.person} does not ask for the seat.")
    return [f.SeatKept(person=command.person, driver=actor.person)]


def _run_step(state: RunState, command: RunStep) -> Decision:
    if command.step not in state.steps:
        return Refused(f"There is no step {command.step!r}; steps are {', '.join(plan.STEPS)}.")
    running = state.running()
    if running is not None:
        return Refused(f"{plan.title(running)} is running.")
    step = state.steps[command.step]
    halted = state.halt is not None and state.halt.step == command.step
    if step.attempt == 0 and not step.settled and not halted:  # what was declined may be carried out after all
        upcoming = next_step(state)
        if not (isinstance(upcoming, Do) and upcoming.step == command.step):
            return Refused(f"{plan.title(command.step)} is not open yet: the steps before it come first.")
    return [f.StepStarted(step=command.step, attempt=step.attempt + 1)]


def roles_of(person: str, book: Rulebook) -> tuple[str, ...]:
    return book.people.get(person, ())


def may_answer(prompt: f.PromptRaised, actor: f.Actor, state: RunState, book: Rulebook) -> Refused | None:
    """None when this actor may answer this prompt: by role, or from the driver's seat, which in a demo plays all."""
    if set(prompt.roles) & set(roles_of(actor.person, book)):
        return None
    if (book.policy.demo or not prompt.roles) and drives(state, actor):
        return None
    if not prompt.roles:
        return Refused(f"{state.driver} drives this run, and is asked.")
    needed = " or ".join(prompt.roles)
    return Refused(f"This needs {needed}; {actor.person} has no such role in [people].")


def _answer(state: RunState, actor: f.Actor, command: AnswerPrompt, book: Rulebook) -> Decision:
    prompt = state.prompts.get(command.prompt_id)
    if prompt is None:
        return Refused(f"There is no prompt {command.prompt_id!r}.")
    if prompt.answered is not None:
        return Refused(f"{prompt.answered.person} has answered that already.")
    raised = prompt.raised
    claimed = command.claimed_person
    if claimed and not (book.policy.unsigned_approvals or book.verified_key):
        return Refused(f"The answers file claims {claimed}, but policy wants a signature.")
    person = claimed or actor.person
    refusal = may_answer(raised, f.Actor(person=person, uid=actor.uid, console=actor.console), state, book)
    if refusal is not None:
        return refusal
    wrong = wrong_answer(raised, command.answer, command.reason, book.policy.reason_characters)
    if wrong:
        return Refused(wrong)
    answered = f.PromptAnswered(
        id=raised.id, answer=command.answer, reason=command.reason, person=person, data=command.data
    )
    if raised.prompt != "approve" or command.answer != "yes":
        return [answered]
    approval = _approval(state, raised, person, command, book)
    return approval if isinstance(approval, Refused) else [approval, answered]


def _approval(
    state: RunState, raised: f.PromptRaised, person: str, command: AnswerPrompt, book: Rulebook
) -> f.ApprovalRecorded | Refused:
    if not (book.verified_key or book.policy.unsigned_approvals or book.policy.demo):
        return Refused("This approval must be signed with your SSH key ([policy] unsigned_approvals is off).")
    role = str(raised.data.get("role") or (raised.roles[0] if raised.roles else "operator"))
    if not book.policy.one_person_many_roles:
        for given in state.approvals:
            if given.person == person and given.role != role:
                return Refused(f"{person} has approved as {given.role}; one person cannot hold two roles.")
    stated = command.data if command.claimed_person else {}  # only an answers file brings an earlier approval
    given_at = min(float(stated.get("given_at") or book.now), book.now)
    longest = given_at + book.policy.approval_days * DAY
    return f.ApprovalRecorded(
        role=role,
        person=person,
        subject=str(raised.data.get("subject") or raised.title),
        subject_sha256=str(raised.data.get("sha256") or ""),
        release=str(stated.get("release") or (state.opened.release if state.opened else "")),
        config_digest=str(stated.get("config_digest") or book.config_digest),
        given_at=given_at,
        effective_at=given_at,
        expires_at=min(float(stated.get("expires_at") or longest), longest),
        assurance=_assurance(book, bool(command.claimed_person)),
        key_fingerprint=book.verified_key,
        signature=command.signature if book.verified_key else "",
        note=command.reason,
    )


def _assurance(book: Rulebook, claimed: bool) -> Literal["signed", "unsigned", "claimed", "demo"]:
    if book.policy.demo:
        return "demo"
    if book.verified_key:
        return "signed"
    return "claimed" if claimed else "unsigned"


def _criterion(state: RunState, step: str, criterion_id: str) -> Criterion | Refused:
    found = next((c for c in state.steps[step].criteria if c.id == criterion_id), None) if step in state.steps else None
    if found is None:
        return Refused(f"{step} has no criterion {criterion_id!r}; a waiver names one criterion of one step.")
    if found.verdict.lets_go_on:
        return Refused(f"{found.title} {found.verdict.value}; there is nothing to waive.")
    return found


def _waive(state: RunState, actor: f.Actor, command: ProposeWaiver, book: Rulebook) -> Decision:
    criterion = _criterion(state, command.step, command.criterion)
    if isinstance(criterion, Refused):
        return criterion
    if not criterion.waivable:
        return Refused(f"{criterion.title} cannot be waived. {criterion.remedy}".strip())
    reason = command.reason.strip()
    if len(reason) < book.policy.reason_characters:
        return Refused(f"A waiver's reason has at least {book.policy.reason_characters} characters.")
    if not 0 < command.days <= book.policy.waiver_days:
        return Refused(f"A waiver runs at most {book.policy.waiver_days} days.")
    waiting = asked(state, command.step).get(criterion.id)
    if waiting is not None:
        return Refused(f"Waiver {waiting.id} asks for that already, and waits for a second person.")
    decided = len(state.waivers) + len(state.waivers_declined) + len(state.waivers_lapsed)
    waiver_id = f"W{len(state.proposed) + decided + 1}"
    proposed = f.WaiverProposed(
        id=waiver_id, criterion=criterion.id, step=command.step, reason=reason, operator=actor.person,
        expires_at=book.now + command.days * DAY, ticket=command.ticket, evidence_sha256=criterion_digest(criterion),
    )  # fmt: skip
    named = [name.strip() for name in command.claimed_approver.split(",") if name.strip()]
    if not named:
        return [proposed]
    if not (book.policy.unsigned_approvals or book.verified_key):
        return Refused("The answers file names an approver, but policy wants a signature.")
    if len(set(named)) < book.policy.approvers:
        return Refused(f"The answers file names {len(set(named))} approvers; policy wants {book.policy.approvers}.")
    for name in named:
        refusal = _may_confirm(proposed, name, book)
        if refusal is not None:
            return refusal
    return [proposed, *_granted(state, proposed, tuple(dict.fromkeys(named)), book, claimed=True)]


def _confirm_waiver(state: RunState, actor: f.Actor, command: ConfirmWaiver, book: Rulebook) -> Decision:
    proposed = state.proposed.get(command.waiver_id)
    if proposed is None:
        return _no_waiver(state, command.waiver_id)
    refusal = _may_confirm(proposed, actor.person, book)
    if refusal is not None:
        return refusal
    before = state.confirmed.get(proposed.id, ())
    if actor.person in before:
        return Refused("You have confirmed it already; policy wants another person as well.")
    people = (*before, actor.person)
    if len(people) < book.policy.approvers:
        wanted = book.policy.approvers
        return [f.WaiverConfirmed(id=proposed.id, person=actor.person, so_far=len(people), wanted=wanted)]
    return _granted(state, proposed, people, book, claimed=False)


def _decline_waiver(state: RunState, actor: f.Actor, command: DeclineWaiver, book: Rulebook) -> Decision:
    """Whoever may be the second person may also say no; a no needs no signature."""
    proposed = state.proposed.get(command.waiver_id)
    if proposed is None:
        return _no_waiver(state, command.waiver_id)
    why = no_second(proposed.operator, actor.person, roles_of(actor.person, book))
    if why:
        return Refused(why)
    return [f.WaiverDeclined(id=proposed.id, criterion=proposed.criterion, step=proposed.step, person=actor.person)]


def _no_waiver(state: RunState, waiver_id: str) -> Refused:
    lapsed = state.waivers_lapsed.get(waiver_id)
    if lapsed is None:
        return Refused(f"There is no open waiver {waiver_id!r}.")
    return Refused(f"Waiver {waiver_id} has lapsed: {lapsed.step} was run again after it was asked for.")


def _may_confirm(proposed: f.WaiverProposed, person: str, book: Rulebook) -> Refused | None:
    """None when this person may be the second one; the demo's policy knows no exception."""
    why = no_second(proposed.operator, person, roles_of(person, book))
    if why:
        return Refused(why)
    if not (book.verified_key or book.policy.unsigned_approvals or book.policy.demo):
        return Refused("This waiver must be signed with your SSH key ([policy] unsigned_approvals is off).")
    return None


def no_second(initiator: str, person: str, roles: Collection[str]) -> str:
    """Why this person cannot be the second of a waiver; "" where they can. Who only observes decides nothing."""
    if person == initiator:
        return "A waiver needs a second person: its initiator cannot approve it."
    if not set(roles) - {"observer"}:
        return f"{person} is not a person with a role in [people] that decides."
    return ""


def _granted(
    state: RunState, proposed: f.WaiverProposed, people: tuple[str, ...], book: Rulebook, *, claimed: bool
) -> list[f.Fact]:
    waived = f.Waived(
        id=proposed.id, criterion=proposed.criterion, step=proposed.step, reason=proposed.reason,
        operator=proposed.operator, approver=", ".join(people), expires_at=proposed.expires_at, ticket=proposed.ticket,
        evidence_sha256=proposed.evidence_sha256, assurance=_assurance(book, claimed),
    )  # fmt: skip
    return [waived, _owed(waived), *_clears(state, waived, book)]


OWED = "waived:"
"""What the id of an entry begins with that a waiver made."""


def paid(state: RunState, step: str, criteria: Sequence[Criterion]) -> list[f.GapFound]:
    """Entries of what was waived of a step and has passed since; one that was not looked at stays open."""
    passed = {f"{OWED}{step}:{one.id}" for one in criteria if one.verdict is Verdict.PASSED}
    owed = (gap for gap in state.backlog.values() if gap.id in passed and gap.status == "open")
    return [gap.but(status="resolved") for gap in owed]


def _owed(waived: f.Waived) -> f.GapFound:
    """What is waived is put off, not done: an entry with its initiator as owner and its expiry as due date."""
    return f.GapFound(
        id=f"{OWED}{waived.step}:{waived.criterion}", step=waived.step, title=f"{waived.criterion} was waived",
        subject=waived.criterion, owner=waived.operator,
        due=datetime.fromtimestamp(waived.expires_at, UTC).date().isoformat(), reference=waived.ticket or waived.id,
    )  # fmt: skip


def _clears(state: RunState, settled: f.Waived | f.ManualRecorded, book: Rulebook) -> list[f.Fact]:
    """The halt ends when this was the last thing that blocked it."""
    if state.halt is None or state.halt.step != settled.step:
        return []
    left = [c for c in blocking(state, settled.step, book.now) if c.id != settled.criterion]
    if left:
        return []
    return [f.HaltCleared(step=settled.step, how="waived" if isinstance(settled, f.Waived) else "manual")]


def _manual(state: RunState, actor: f.Actor, command: RecordManual, book: Rulebook) -> Decision:
    criterion = _criterion(state, command.step, command.criterion)
    if isinstance(criterion, Refused):
        return criterion
    if not criterion.waivable:
        return Refused(f"{criterion.title} cannot be settled by manual validation. {criterion.remedy}".strip())
    if criterion.verdict is Verdict.FAILED:
        return Refused(
            f"{criterion.title} failed by measurement ({criterion.actual}); manual validation is for what automation "
            "could not judge. Repair it and retry, or waive it."
        )
    if len(command.note.strip()) < book.policy.reason_characters:
        return Refused(f"Say what you saw, in at least {book.policy.reason_characters} characters.")
    recorded = f.ManualRecorded(
        id=f"M{len(state.manuals) + 1}", criterion=criterion.id, step=command.step, note=command.note.strip(),
        operator=actor.person, evidence_sha256=criterion_digest(criterion), attachments=command.attachments,
        alert_tests=command.alert_tests,
    )  # fmt: skip
    return [recorded, *_clears(state, recorded, book)]


LISTENER = "listener"
"""The console id of the host's own listener: only it can say that a link or Slack was used, and by whom."""
HEADLESS = "headless"
"""The console id of a run that answers from a file."""
UNKNOWN_CODE = "No open test alert has this code. It stands in the message that the alert brought."
TOO_MANY_CODES = "Too many wrong codes; wait a minute."
PROBE_OVER = "That test alert is over; it can no longer be acknowledged."


def _acknowledge(state: RunState, actor: f.Actor, command: AcknowledgeProbe, book: Rulebook) -> Decision:
    """Anybody of [people] may: it drives nothing. What comes from ray-tui itself is on record as a machine's."""
    console = state.consoles.get(actor.console)
    if console is not None and console.read_only:
        return Refused("This console only watches (--observe).")
    heard = actor.console == LISTENER
    if heard == (command.via == "command") or (command.claimed_person and not heard):
        return Refused("Only the listener can say that a link or Slack's button was used, and by whom.")
    machine = command.ours or actor.console == HEADLESS
    if not heard and not machine and book.people and actor.person not in book.people:
        return Refused(f"{actor.person} is nobody in [people]; who acknowledges must be known: list them with `login`.")
    probe = state.probes.get(book.acknowledges[0]) if book.acknowledges is not None else None
    if book.acknowledges is None or probe is None:
        return Refused(UNKNOWN_CODE)
    if probe.cleared is not None:
        return Refused(PROBE_OVER)
    integration = book.acknowledges[1]
    before = [one for one in probe.acknowledged if one.integration == integration and one.machine in (False, machine)]
    if before:
        return Refused(f"{before[0].person} has acknowledged it already.")
    person = (command.claimed_person if heard else actor.person) or "somebody"
    return [
        f.ProbeAcknowledged(
            id=probe.intended.id, at=book.now, person=person, via=command.via, integration=integration,
            detail=command.detail if heard else "", machine=machine,
        )
    ]  # fmt: skip


def not_declinable(step: str) -> str:
    """Why a person cannot decline this step; "" where they can."""
    if step not in {action.id for action in plan.ACTIONS}:
        return f"There is no action {step!r}."
    action = plan.action(step)
    if action.must:
        return f"{action.id} is a [MUST]; it can be waived criterion by criterion, not declined."
    return ""


def _decline(state: RunState, actor: f.Actor, command: Decline, book: Rulebook) -> Decision:
    why = not_declinable(command.step)
    if why:
        return Refused(why)
    if len(command.reason.strip()) < book.policy.reason_characters:
        return Refused(f"A reason to decline has at least {book.policy.reason_characters} characters.")
    if state.running() == command.step:
        return Refused(f"{plan.title(command.step)} is running.")
    if command.step in state.declined or state.steps[command.step].settled:
        how = "declined" if command.step in state.declined else "carried out"
        return Refused(f"{plan.title(command.step)} has been {how} already.")
    facts: list[f.Fact] = [f.StepDeclined(step=command.step, reason=command.reason.strip())]
    if state.halt is not None and state.halt.step == command.step and not declining.owed(command.step):
        facts.append(f.HaltCleared(step=command.step, how="declined"))
    return facts
