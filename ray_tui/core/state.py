"""What a run is, folded from its facts: the only truth that consoles, gates and replay share."""

from typing import Any, Literal

from ray_tui.core import declining, plan
from ray_tui.core import facts as f
from ray_tui.core.value import Changing, field
from ray_tui.core.verdicts import Criterion, Verdict

Status = Literal["waiting", "running", "finished", "halted", "declined"]


class Step(Changing):
    """One action, gate, the prerequisites or the completion."""

    status: Status = "waiting"
    attempt: int = 0
    verdict: Verdict | None = None
    summary: str = ""
    criteria: tuple[Criterion, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    finished_at: float | None = None
    progress: str = ""
    done: int | None = None
    total: int | None = None
    settled: bool = False
    """Waivers, manual validation or a decline let the run go past it."""
    seq: int = 0
    """The entry that last changed it."""


class Prompt(Changing):
    raised: f.PromptRaised
    at: float
    seq: int
    answered: f.PromptAnswered | None = None
    by: f.Actor | None = None


class Hop(Changing):
    earliest: float
    latest: float
    source: str
    who: str
    detail: str
    seq: int


class Probe(Changing):
    """One synthetic alert and what became of it."""

    intended: f.ProbeIntended
    at: float
    seq: int
    hops: dict[str, Hop] = field(default_factory=dict)
    problems: list[f.ProbeProblem] = field(default_factory=list)
    acknowledged: list[f.ProbeAcknowledged] = field(default_factory=list)
    """By command, link or Slack's button; what a pager or a reply says is a hop."""
    cleared: f.ProbeCleared | None = None


class Intent(Changing):
    intended: f.IntentRecorded
    at: float
    outcome: f.OutcomeRecorded | None = None


class Console(Changing):
    id: str
    person: str
    read_only: bool
    since: float


class LogLine(Changing):
    """One line of the event log: enough to show it, and the journal line behind it."""

    seq: int
    at: float
    person: str
    kind: str
    step: str
    text: str
    tone: Literal["good", "bad", "warn", "plain", "say"] = "plain"
    fact: f.Fact | None = None
    """What the journal holds there, to be read as it is."""

    @property
    def signed(self) -> str:
        """The text; a note is somebody's own words, and says whose."""
        return f"{self.text} ({self.person})" if self.kind == "NoteAdded" else self.text


LOG_KEEPS = 2_000


class RunState(Changing):
    opened: f.RunOpened | None = None
    seq: int = 0
    at: float = 0.0
    started_at: float = 0.0
    host: f.HostStarted | None = None
    changed_file: str = ""
    """The configuration file, where it says something else than what the host has read."""
    steps: dict[str, Step] = field(default_factory=lambda: {step: Step() for step in plan.STEPS})
    halt: f.Halted | None = None
    halt_seq: int = 0
    prompts: dict[str, Prompt] = field(default_factory=dict)
    approvals: list[f.ApprovalRecorded] = field(default_factory=list)
    proposed: dict[str, f.WaiverProposed] = field(default_factory=dict)
    confirmed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Waiver id -> who has confirmed it, where policy still wants another person."""
    waivers: dict[str, f.Waived] = field(default_factory=dict)
    waivers_declined: dict[str, f.WaiverDeclined] = field(default_factory=dict)
    waivers_lapsed: dict[str, f.WaiverProposed] = field(default_factory=dict)
    """Still open when their step was run again: what they were asked for is not what is there now."""
    manuals: dict[str, f.ManualRecorded] = field(default_factory=dict)
    declined: dict[str, str] = field(default_factory=dict)
    """Guideline action -> why nobody carries it out; a step that is started after all is none of them."""
    probes: dict[str, Probe] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    evidence: dict[str, f.EvidenceWritten] = field(default_factory=dict)
    backlog: dict[str, f.GapFound] = field(default_factory=dict)
    announced: list[tuple[float, str, str]] = field(default_factory=list)
    """(at, step, text): the communication log."""
    package: f.PackageSealed | None = None
    notified: dict[str, f.HandoffNotified] = field(default_factory=dict)
    hooks: dict[str, f.HookRan] = field(default_factory=dict)
    notes: list[tuple[float, str, str]] = field(default_factory=list)
    consoles: dict[str, Console] = field(default_factory=dict)
    driver: str = ""
    """Who drives now; empty once their console has gone: an empty seat is anybody's."""
    driver_console: str = ""
    seat_requests: list[str] = field(default_factory=list)
    log: list[LogLine] = field(default_factory=list)
    completed: f.RunCompleted | None = None
    aborted: f.RunAborted | None = None
    ended_at: float | None = None
    """When it was completed or aborted; consoles and the host may stay on after that."""

    @property
    def ended(self) -> bool:
        return self.completed is not None or self.aborted is not None

    @property
    def unanswered(self) -> list[Prompt]:
        return [prompt for prompt in self.prompts.values() if prompt.answered is None]

    @property
    def open_prompts(self) -> list[Prompt]:
        """What waits for an answer; of a run that has ended nothing does."""
        return [] if self.ended else self.unanswered

    def running(self) -> str | None:
        """The step that is running now."""
        return next((name for name, step in self.steps.items() if step.status == "running"), None)


def apply(state: RunState, entry: f.Entry) -> RunState:
    """Fold one entry into the state (in place, and returned). Kinds without a branch are display-only."""
    state.seq = entry.seq
    state.at = entry.at
    fact = entry.fact
    branch = _BRANCHES.get(type(fact))
    if branch is not None:
        branch(state, entry, fact)
    line = _log_line(state, entry)
    if line is not None:
        state.log.append(line)
        if len(state.log) > LOG_KEEPS:
            del state.log[: LOG_KEEPS // 10]
    return state


def fold(entries: Any) -> RunState:
    """The state after all these entries."""
    state = RunState()
    for entry in entries:
        apply(state, entry)
    return state


def _opened(state: RunState, entry: f.Entry, fact: f.RunOpened) -> None:
    state.opened = fact
    state.started_at = entry.at


def _host(state: RunState, entry: f.Entry, fact: f.HostStarted) -> None:
    state.host = fact
    state.changed_file = ""
    state.consoles.clear()  # consoles of a host that died did not say goodbye
    _leave_seat(state)


def _configuration(state: RunState, entry: f.Entry, fact: f.ConfigurationChanged) -> None:
    state.changed_file = "" if fact.back else fact.file


def _host_stopped(state: RunState, entry: f.Entry, fact: f.HostStopped) -> None:
    state.consoles.clear()
    _leave_seat(state)


def _leave_seat(state: RunState) -> None:
    state.driver = state.driver_console = ""


def _aborted(state: RunState, entry: f.Entry, fact: f.RunAborted) -> None:
    state.aborted = fact
    state.halt = None
    _over(state, entry)


def _completed(state: RunState, entry: f.Entry, fact: f.RunCompleted) -> None:
    state.completed = fact
    _over(state, entry)


def _over(state: RunState, entry: f.Entry) -> None:
    state.ended_at = entry.at
    state.seat_requests = []  # there is nothing left to drive


def _attached(state: RunState, entry: f.Entry, fact: f.ConsoleAttached) -> None:
    state.consoles[fact.console] = Console(fact.console, fact.person, fact.read_only, entry.at)


def _detached(state: RunState, entry: f.Entry, fact: f.ConsoleDetached) -> None:
    state.consoles.pop(fact.console, None)
    if state.driver_console == fact.console:
        _leave_seat(state)
    here = {console.person for console in state.consoles.values()}
    state.seat_requests = [person for person in state.seat_requests if person in here]


def _seat_requested(state: RunState, entry: f.Entry, fact: f.SeatRequested) -> None:
    if fact.person not in state.seat_requests:
        state.seat_requests.append(fact.person)


def _seat(state: RunState, entry: f.Entry, fact: f.SeatTaken) -> None:
    state.driver = fact.person
    state.driver_console = fact.console
    state.seat_requests = [person for person in state.seat_requests if person != fact.person]


def _seat_kept(state: RunState, entry: f.Entry, fact: f.SeatKept) -> None:
    state.seat_requests = [person for person in state.seat_requests if person != fact.person]


def _note(state: RunState, entry: f.Entry, fact: f.NoteAdded) -> None:
    state.notes.append((entry.at, entry.actor.person, fact.text))


def _started(state: RunState, entry: f.Entry, fact: f.StepStarted) -> None:
    step = state.steps.setdefault(fact.step, Step())
    again = fact.attempt > 1 or fact.step in state.declined
    state.declined.pop(fact.step, None)
    step.status, step.attempt, step.started_at, step.seq = "running", fact.attempt, entry.at, entry.seq
    step.verdict, step.summary, step.criteria, step.progress, step.settled = None, "", (), "", False
    step.done = step.total = step.finished_at = None
    for waiver in [one for one in state.proposed.values() if one.step == fact.step]:
        state.waivers_lapsed[waiver.id] = state.proposed.pop(waiver.id)
        state.confirmed.pop(waiver.id, None)
    if state.halt is not None:
        halted = state.steps.get(state.halt.step)
        if halted is not None and halted.status == "halted":
            halted.status = "waiting"  # it is judged again after what is repeated now
        state.halt = None
    if again:
        _unsettle_after(state, fact.step)


def _unsettle_after(state: RunState, step: str) -> None:
    """Evidence has changed: every gate from here on is judged again, and what sums the run up is done anew.

    The prerequisites leave no evidence but approvals, which 4.2 records; a gate leaves none.
    """
    summed_up: tuple[str, ...] = ("3.3", "4.1", "4.2", "4.3")
    if step.startswith("gate."):
        summed_up = ()
    elif step == plan.PREREQUISITES:
        summed_up = ("4.2", "4.3")
    for later in plan.STEPS[plan.STEPS.index(step) + 1 :]:
        if later.startswith("gate.") or later == plan.COMPLETION or later in summed_up:
            state.steps[later].status = "waiting"
            state.steps[later].settled = False


def _progressed(state: RunState, entry: f.Entry, fact: f.Progressed) -> None:
    step = state.steps.get(fact.step)
    if step is not None:
        step.progress, step.done, step.total, step.seq = fact.text, fact.done, fact.total, entry.seq


def _finished(state: RunState, entry: f.Entry, fact: f.StepFinished) -> None:
    step = state.steps.setdefault(fact.step, Step())
    step.status, step.attempt, step.verdict, step.summary = (
        "finished",
        fact.attempt,
        fact.verdict,
        fact.summary,
    )
    step.criteria, step.data, step.finished_at, step.seq = fact.criteria, fact.data, entry.at, entry.seq
    step.progress = ""
    if fact.verdict.lets_go_on:
        step.settled = True


def _interrupted(state: RunState, entry: f.Entry, fact: f.StepInterrupted) -> None:
    step = state.steps.setdefault(fact.step, Step())
    step.status, step.seq = "waiting", entry.seq


def _judged(state: RunState, entry: f.Entry, fact: f.GateJudged) -> None:
    step = state.steps.setdefault(f"gate.{fact.gate}", Step())
    step.status, step.attempt, step.verdict, step.summary = (
        "finished",
        fact.attempt,
        fact.verdict,
        fact.actual,
    )
    step.criteria, step.finished_at, step.seq = fact.criteria, entry.at, entry.seq
    if fact.verdict.lets_go_on:
        step.settled = True


def _halted(state: RunState, entry: f.Entry, fact: f.Halted) -> None:
    state.halt, state.halt_seq = fact, entry.seq
    step = state.steps.setdefault(fact.step, Step())
    step.status, step.seq = "halted", entry.seq


def _halt_cleared(state: RunState, entry: f.Entry, fact: f.HaltCleared) -> None:
    state.halt = None
    step = state.steps.setdefault(fact.step, Step())
    step.status, step.settled, step.seq = "finished", True, entry.seq
    if fact.how == "declined" or fact.step in state.declined:
        step.status = "declined"


def _step_declined(state: RunState, entry: f.Entry, fact: f.StepDeclined) -> None:
    state.declined[fact.step] = fact.reason
    step = state.steps.setdefault(fact.step, Step())
    if declining.owed(fact.step):  # at its turn it blocks until that is waived
        step.status, step.seq = "waiting", entry.seq
        if state.halt is not None and state.halt.step == fact.step:
            state.halt = None
        return
    step.status, step.settled, step.summary, step.seq = (
        "declined",
        True,
        f"declined: {fact.reason}",
        entry.seq,
    )


def _raised(state: RunState, entry: f.Entry, fact: f.PromptRaised) -> None:
    state.prompts[fact.id] = Prompt(fact, entry.at, entry.seq)


def _answered(state: RunState, entry: f.Entry, fact: f.PromptAnswered) -> None:
    prompt = state.prompts.get(fact.id)
    if prompt is not None:
        prompt.answered, prompt.by = fact, entry.actor


def _approved(state: RunState, entry: f.Entry, fact: f.ApprovalRecorded) -> None:
    state.approvals.append(fact)


def _proposed(state: RunState, entry: f.Entry, fact: f.WaiverProposed) -> None:
    state.proposed[fact.id] = fact


def _confirmed(state: RunState, entry: f.Entry, fact: f.WaiverConfirmed) -> None:
    state.confirmed[fact.id] = (*state.confirmed.get(fact.id, ()), fact.person)


def _waived(state: RunState, entry: f.Entry, fact: f.Waived) -> None:
    state.proposed.pop(fact.id, None)
    state.confirmed.pop(fact.id, None)
    state.waivers[fact.id] = fact


def _waiver_declined(state: RunState, entry: f.Entry, fact: f.WaiverDeclined) -> None:
    state.proposed.pop(fact.id, None)
    state.confirmed.pop(fact.id, None)
    state.waivers_declined[fact.id] = fact


def _manual(state: RunState, entry: f.Entry, fact: f.ManualRecorded) -> None:
    state.manuals[fact.id] = fact


def _intent(state: RunState, entry: f.Entry, fact: f.IntentRecorded) -> None:
    state.intents[fact.id] = Intent(fact, entry.at)


def _outcome(state: RunState, entry: f.Entry, fact: f.OutcomeRecorded) -> None:
    intent = state.intents.get(fact.id)
    if intent is not None:
        intent.outcome = fact


def _probe(state: RunState, entry: f.Entry, fact: f.ProbeIntended) -> None:
    state.probes[fact.id] = Probe(fact, entry.at, entry.seq)


def _hop(state: RunState, entry: f.Entry, fact: f.ProbeHopSeen) -> None:
    probe = state.probes.get(fact.id)
    if probe is not None:
        probe.hops[fact.hop] = Hop(fact.earliest, fact.latest, fact.source, fact.who, fact.detail, entry.seq)


def _problem(state: RunState, entry: f.Entry, fact: f.ProbeProblem) -> None:
    probe = state.probes.get(fact.id)
    if probe is not None:
        probe.problems.append(fact)


def _acknowledged(state: RunState, entry: f.Entry, fact: f.ProbeAcknowledged) -> None:
    probe = state.probes.get(fact.id)
    if probe is not None:
        probe.acknowledged.append(fact)


def _cleared(state: RunState, entry: f.Entry, fact: f.ProbeCleared) -> None:
    probe = state.probes.get(fact.id)
    if probe is not None:
        probe.cleared = fact


def _evidence(state: RunState, entry: f.Entry, fact: f.EvidenceWritten) -> None:
    state.evidence[fact.name] = fact


def _gap(state: RunState, entry: f.Entry, fact: f.GapFound) -> None:
    state.backlog[fact.id] = fact


def _sealed(state: RunState, entry: f.Entry, fact: f.PackageSealed) -> None:
    state.package = fact


def _notified(state: RunState, entry: f.Entry, fact: f.HandoffNotified) -> None:
    state.notified[fact.protocol] = fact


def _hook(state: RunState, entry: f.Entry, fact: f.HookRan) -> None:
    state.hooks[fact.hook] = fact


def _announced(state: RunState, entry: f.Entry, fact: f.Announced) -> None:
    state.announced.append((entry.at, fact.step, fact.text))


_BRANCHES: dict[type[f.Fact], Any] = {
    f.RunOpened: _opened, f.HostStarted: _host, f.HostStopped: _host_stopped, f.RunAborted: _aborted,
    f.ConfigurationChanged: _configuration,
    f.RunCompleted: _completed, f.ConsoleAttached: _attached, f.ConsoleDetached: _detached,
    f.SeatRequested: _seat_requested, f.SeatTaken: _seat, f.SeatKept: _seat_kept,
    f.NoteAdded: _note, f.StepStarted: _started,
    f.Announced: _announced, f.Progressed: _progressed, f.StepFinished: _finished,
    f.StepInterrupted: _interrupted, f.GateJudged: _judged, f.Halted: _halted, f.HaltCleared: _halt_cleared,
    f.StepDeclined: _step_declined, f.PromptRaised: _raised, f.PromptAnswered: _answered,
    f.ApprovalRecorded: _approved, f.WaiverProposed: _proposed, f.WaiverConfirmed: _confirmed, f.Waived: _waived,
    f.WaiverDeclined: _waiver_declined, f.ManualRecorded: _manual,
    f.IntentRecorded: _intent, f.OutcomeRecorded: _outcome, f.ProbeIntended: _probe, f.ProbeHopSeen: _hop,
    f.ProbeProblem: _problem, f.ProbeAcknowledged: _acknowledged, f.ProbeCleared: _cleared,
    f.EvidenceWritten: _evidence, f.GapFound: _gap,
    f.PackageSealed: _sealed, f.HandoffNotified: _notified, f.HookRan: _hook,
}  # fmt: skip
DISPLAY_ONLY: frozenset[type[f.Fact]] = frozenset({f.CommandRefused})


HOPS = {
    "t0": "fired", "t1": "accepted by every peer", "t2": "active", "t3": "sent", "t4": "delivered", "t5": "notified",
    "t6": "acknowledged", "t7": "escalated", "t8": "cleared",
}  # fmt: skip
"""What each hop of an alert's path is called."""


def _log_line(state: RunState, entry: f.Entry) -> LogLine | None:
    """How an entry reads in the event log; None for what is shown elsewhere."""
    told = _tell_probe(state, entry.fact) or _tell(entry.fact)
    if told is None:
        return None
    tone, step, text = told
    return LogLine(entry.seq, entry.at, entry.actor.person, entry.fact.kind, step, text, tone, entry.fact)


def _verdict_tone(verdict: Verdict) -> Literal["good", "bad", "warn"]:
    if verdict is Verdict.PASSED:
        return "good"
    return "warn" if verdict is Verdict.WAIVED else "bad"


_OF_A_PROBE = (f.ProbeHopSeen, f.ProbeProblem, f.ProbeAcknowledged, f.ProbeCleared)


def _tell_probe(state: RunState, fact: f.Fact) -> tuple[Any, str, str] | None:
    """A probe's facts name its receiver and how long it took, which the probe's own state knows."""
    if not isinstance(fact, _OF_A_PROBE) or fact.id not in state.probes:
        return None
    intended = state.probes[fact.id].intended
    name = intended.receiver if intended.purpose == "acknowledge" else f"{intended.receiver} (escalation)"
    match fact:
        case f.ProbeHopSeen():
            who = f" by {fact.who}" if fact.who and fact.hop == "t6" else f" to {fact.who}" if fact.who else ""
            after = max(0.0, fact.latest - intended.starts_at)
            tone = "good" if fact.hop in ("t6", "t7") else "plain"
            return tone, intended.step, f"{name} {HOPS.get(fact.hop, fact.hop)}{who} after {after:.1f} s"
        case f.ProbeProblem():
            return ("bad" if fact.blocks else "warn"), intended.step, f"{name}: {fact.detail}"
        case f.ProbeAcknowledged():
            text = f"{name}: {fact.person} acknowledged what came by {fact.integration} ({fact.via})"
            return ("bad" if fact.machine else "say"), intended.step, text
        case f.ProbeCleared():
            left = f"; left: {', '.join(fact.left)}" if fact.left else ""
            text = f"{name} cleared{': ' + fact.detail if fact.detail else ''}{left}"
            return ("plain" if fact.clean else "bad"), intended.step, text


def _tell(fact: f.Fact) -> tuple[Any, str, str] | None:
    match fact:
        case f.RunOpened():
            return "plain", "", f"run {fact.run_id} opened for {fact.release} in {fact.environment}"
        case f.HostStarted():
            return "plain", "", "run resumed" if fact.resumed else "host started"
        case f.ConfigurationChanged():
            if fact.back:
                return "plain", "", f"{fact.file} says again what this run began with"
            return "warn", "", f"{fact.file} has changed; this run uses what it began with"
        case f.HostStopped():
            return ("warn", "", f"host stopped: {fact.reason}") if fact.reason else ("plain", "", "host stopped")
        case f.RunAborted():
            return "bad", "", f"run aborted: {fact.reason}"
        case f.RunCompleted():
            return "good", "", "protocol complete"
        case f.ConsoleAttached():
            return "plain", "", f"{fact.person} {'watches' if fact.read_only else 'attached'}"
        case f.ConsoleDetached():
            return "plain", "", f"{fact.person or 'console ' + fact.console} {fact.why or 'detached'}"
        case f.SeatRequested():
            return "warn", "", f"{fact.person} asks for the driver's seat"
        case f.SeatTaken():
            return "plain", "", f"{fact.person} drives ({fact.how})"
        case f.SeatKept():
            return "warn", "", f"{fact.driver} keeps the driver's seat; {fact.person} goes on watching"
        case f.NoteAdded():
            return "say", "", fact.text
        case f.CommandRefused():
            return "warn", "", f"{fact.command} refused: {fact.why}"
        case f.StepStarted():
            again = f" (attempt {fact.attempt})" if fact.attempt > 1 else ""
            return "plain", fact.step, f"▶ {plan.title(fact.step)}{again}"
        case f.Announced():
            return "say", fact.step, fact.text
        case f.StepFinished():
            text = f"{fact.verdict.glyph} {plan.title(fact.step)}: {fact.summary}"
            return _verdict_tone(fact.verdict), fact.step, text
        case f.StepInterrupted():
            return "warn", fact.step, f"{plan.title(fact.step)} interrupted: {fact.why}"
        case f.GateJudged():
            gate = plan.gate(fact.gate)
            return _verdict_tone(fact.verdict), gate.id, f"{fact.verdict.glyph} {gate.title}: {fact.actual}"
        case f.Halted():
            return "bad", fact.step, f"halted at {plan.title(fact.step)}: {fact.reason}"
        case f.HaltCleared():
            return "warn", fact.step, f"{plan.title(fact.step)} goes on: {fact.how}"
        case f.StepDeclined():
            return "warn", fact.step, f"{plan.title(fact.step)} declined: {fact.reason}"
        case f.PromptRaised():
            return "warn", fact.step, f"asks: {fact.title}"
        case f.PromptAnswered():
            shown = fact.answer if len(fact.answer) <= 60 else "edited text"
            return "plain", "", f"{fact.person or 'someone'} answered: {shown}"
        case f.ApprovalRecorded():
            return "good", "", f"{fact.person} approved as {fact.role}: {fact.subject} ({fact.assurance})"
        case f.WaiverProposed():
            return "warn", fact.step, f"waiver of {fact.criterion} proposed by {fact.operator}: {fact.reason}"
        case f.WaiverConfirmed():
            return "warn", "", f"{fact.person} confirmed waiver {fact.id} ({fact.so_far} of {fact.wanted})"
        case f.WaiverDeclined():
            return "bad", fact.step, f"{fact.person} declined waiver {fact.id} of {fact.criterion}"
        case f.Waived():
            return "warn", fact.step, f"w {fact.criterion} waived by {fact.approver}: {fact.reason}"
        case f.ManualRecorded():
            return "warn", fact.step, f"manual validation of {fact.criterion}: {fact.note}"
        case f.ProbeIntended():
            return "plain", fact.step, f"probe to {fact.receiver} ({fact.purpose})"
        case f.ProbeHopSeen():
            return "plain", "2.2", f"{fact.id} {HOPS.get(fact.hop, fact.hop)}"
        case f.ProbeProblem():
            return ("bad" if fact.blocks else "warn"), "2.2", f"{fact.id}: {fact.detail}"
        case f.ProbeCleared():
            return ("plain" if fact.clean else "bad"), "2.2", f"{fact.id} cleared: {fact.detail}"
        case f.EvidenceWritten():
            return "plain", fact.step, f"evidence {fact.name}"
        case f.GapFound():
            return (
                ("plain" if fact.status == "resolved" else "warn"),
                fact.step,
                f"backlog: {fact.title} ({fact.owner})",
            )
        case f.PackageSealed():
            return "good", "4.1", f"package sealed: {fact.files} files, {fact.sha256[:12]}"
        case f.HandoffNotified():
            word = "notified" if fact.ok else "not notified"
            return ("good" if fact.ok else "bad"), "4.1", f"protocol {fact.protocol} {word} by {fact.channel}"
        case f.UnknownFact():
            return "plain", "", f"(a fact of a newer version: {fact.unknown_kind})"
    return None
