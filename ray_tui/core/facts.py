"""Every kind of fact that a journal holds. Facts are forever: kinds keep their names, fields only gain defaults."""

from typing import Any, ClassVar, Literal

from ray_tui.core.record import Record, field
from ray_tui.core.side_effects import SideEffect
from ray_tui.core.verdicts import Criterion, Verdict


class Actor(Record, omit_defaults=True):
    """Who caused a fact, as the host knows it: never what a client claims."""

    person: str = "engine"
    """A person's id from the configuration, ``uid:<n>`` for one it does not know, or ``engine``."""
    uid: int | None = None
    console: str = ""
    """The console's id within the host, where one was attached."""
    hints: dict[str, str] = field(default_factory=dict)
    """What the environment says of the origin (SSH_CONNECTION); not proof."""


ENGINE = Actor()


class Fact(Record):
    """Something decided or observed that someone may later have to prove."""

    kind: ClassVar[str] = ""
    durable: ClassVar[bool] = True
    """Whether it must be on disk before anyone is told; observations may be batched for at most 100 ms."""
    newer: dict[str, Any] = field(default_factory=dict)
    """Fields that this version does not know, of a journal that a newer one wrote: kept, never applied."""

    @property
    def written_kind(self) -> str:
        """Its kind, also where this version does not know it."""
        return self.kind

    def to_builtins(self) -> dict[str, Any]:
        """Its fields, without its kind."""
        body = Record.to_builtins(self)
        newer: dict[str, Any] = body.pop("newer")
        return {**body, **newer}


class UnknownFact(Fact):
    """A kind that this version does not know: kept, shown, never applied."""

    unknown_kind: str = ""

    @property
    def written_kind(self) -> str:
        return self.unknown_kind

    def to_builtins(self) -> dict[str, Any]:
        return self.newer


# --- the run ---------------------------------------------------------------------------------------------------------


class RunOpened(Fact):
    kind = "RunOpened"
    run_id: str
    release: str
    environment: str
    deployed_at: float
    config_digest: str
    thresholds: dict[str, Any] = field(default_factory=dict)
    operator: str = ""
    demo: bool = False
    version: str = ""
    """The program's version."""


class HostStarted(Fact):
    kind = "HostStarted"
    pid: int
    resumed: bool = False
    torn: str = ""
    """The name of the file that keeps an unterminated tail which was cut off, if one was."""
    boot_id: str = ""
    config_digest: str = ""
    reason_characters: int = 15
    """[policy]: the shortest reason; so a console can ask for it before the host refuses."""
    waiver_days: int = 30
    """[policy]: the longest a waiver may run."""
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """[people]: who holds which roles; so a console can say who may answer, and a reader of the journal who could."""


class ConfigurationChanged(Fact):
    """The file, while a host that has read it carries the run out: it goes on with what it began with."""

    kind = "ConfigurationChanged"
    file: str
    back: bool = False
    """It says again what the host has read."""


class HostStopped(Fact):
    kind = "HostStopped"
    reason: str


class RunAborted(Fact):
    kind = "RunAborted"
    reason: str


class RunCompleted(Fact):
    kind = "RunCompleted"
    boxes: dict[str, bool] = field(default_factory=dict)
    next_command: str = ""


# --- people ----------------------------------------------------------------------------------------------------------


class ConsoleAttached(Fact):
    kind = "ConsoleAttached"
    durable = False
    console: str
    person: str
    read_only: bool = False


class ConsoleDetached(Fact):
    kind = "ConsoleDetached"
    durable = False
    console: str
    why: str = ""
    """How: ``left``, ``hung up``, ``crashed`` as the console said, or ``lost the link`` where it said nothing."""
    person: str = ""


class SeatRequested(Fact):
    kind = "SeatRequested"
    person: str
    console: str = ""


class SeatTaken(Fact):
    kind = "SeatTaken"
    person: str
    console: str = ""
    how: Literal["first", "granted", "taken"] = "first"


class SeatKept(Fact):
    """The driver has said no to one who asked for the seat."""

    kind = "SeatKept"
    person: str
    """Who had asked."""
    driver: str


class NoteAdded(Fact):
    kind = "NoteAdded"
    text: str


class CommandRefused(Fact):
    kind = "CommandRefused"
    durable = False
    command: str
    why: str


# --- steps and gates -------------------------------------------------------------------------------------------------


class StepStarted(Fact):
    kind = "StepStarted"
    step: str
    attempt: int = 1


class Announced(Fact):
    kind = "Announced"
    text: str
    step: str = ""


class Progressed(Fact):
    kind = "Progressed"
    durable = False
    step: str
    text: str
    done: int | None = None
    total: int | None = None


class StepFinished(Fact):
    kind = "StepFinished"
    step: str
    attempt: int = 1
    verdict: Verdict
    summary: str
    criteria: tuple[Criterion, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    """What the step's documents are rendered from, and what gates judge."""


class StepInterrupted(Fact):
    """The step ended without a result: aborted, or cancelled by a stop of the host."""

    kind = "StepInterrupted"
    step: str
    attempt: int = 1
    why: str = ""


class GateJudged(Fact):
    kind = "GateJudged"
    gate: str
    """The gate's key."""
    attempt: int = 1
    verdict: Verdict
    actual: str
    criteria: tuple[Criterion, ...] = ()
    rule_version: str = "1"


class Halted(Fact):
    kind = "Halted"
    step: str
    reason: str
    criteria: tuple[str, ...] = ()
    """Ids of the criteria that block."""
    verdict: Verdict = Verdict.FAILED


class HaltCleared(Fact):
    kind = "HaltCleared"
    step: str
    how: Literal["waived", "manual", "declined"]


class StepDeclined(Fact):
    kind = "StepDeclined"
    step: str
    reason: str


# --- what people say -------------------------------------------------------------------------------------------------


class PromptRaised(Fact):
    kind = "PromptRaised"
    id: str
    """Deterministic: ``<step>#<attempt>:<name>``, so that an answer survives a crash."""
    step: str
    prompt: Literal["confirm", "typed", "approve", "choose", "edit"]
    title: str
    text: str
    expects: str = ""
    """For ``typed``: what must be typed, to the letter."""
    roles: tuple[str, ...] = ()
    """Who may answer; empty: the driver."""
    options: tuple[str, ...] = ()
    with_reason: tuple[str, ...] = ()
    """Options that are taken only with a reason, of [policy] reason_characters at least."""
    keeps: tuple[str, ...] = ()
    """For ``edit``: lines that tell the text's parts apart and must still stand in it, nothing before the first."""
    data: dict[str, Any] = field(default_factory=dict)
    """What is being decided, for showing: a plan's diff, a subject's hash, who will be paged."""


class PromptAnswered(Fact):
    kind = "PromptAnswered"
    id: str
    answer: str
    """``yes``/``no`` for confirm and approve, the typed text, the option, or the edited text."""
    reason: str = ""
    person: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class ApprovalRecorded(Fact):
    kind = "ApprovalRecorded"
    role: str
    person: str
    subject: str
    subject_sha256: str = ""
    release: str = ""
    config_digest: str = ""
    given_at: float
    effective_at: float | None = None
    expires_at: float | None = None
    assurance: Literal["signed", "unsigned", "claimed", "demo"] = "unsigned"
    key_fingerprint: str = ""
    signature: str = ""
    note: str = ""


class WaiverProposed(Fact):
    kind = "WaiverProposed"
    id: str
    criterion: str
    step: str
    reason: str
    operator: str
    expires_at: float
    ticket: str = ""
    evidence_sha256: str


class WaiverConfirmed(Fact):
    """One of several other people whom policy asks for; the last one's confirmation is the Waived fact itself."""

    kind = "WaiverConfirmed"
    id: str
    person: str
    so_far: int
    wanted: int


class WaiverDeclined(Fact):
    """A second person has said no: the proposal is closed, and what it was to waive still blocks."""

    kind = "WaiverDeclined"
    id: str
    criterion: str
    step: str
    person: str


class Waived(Fact):
    kind = "Waived"
    id: str
    criterion: str
    step: str
    """The scope: one step or gate, never a wildcard."""
    reason: str
    operator: str
    approver: str
    expires_at: float
    ticket: str = ""
    evidence_sha256: str
    assurance: Literal["signed", "unsigned", "claimed", "demo"] = "unsigned"


class AlertTest(Record):
    """One test alert that a person sent and followed by hand. Times are as the person noted them; empty: it did not."""

    receiver: str
    fired: str
    delivered: str = ""
    acknowledged_by: str = ""
    acknowledged: str = ""


class ManualRecorded(Fact):
    """What a person saw where automation could not judge. It settles inconclusive and error, never a proven failure."""

    kind = "ManualRecorded"
    id: str
    criterion: str
    step: str
    note: str
    operator: str
    evidence_sha256: str
    attachments: tuple[dict[str, str], ...] = ()
    """name and sha256 of each screenshot or sheet."""
    alert_tests: tuple[AlertTest, ...] = ()


# --- side effects ----------------------------------------------------------------------------------------------------


class IntentRecorded(Fact):
    """On disk before the side effect. Without an OutcomeRecorded it is unknown; a resume reconciles it by its class."""

    kind = "IntentRecorded"
    id: str
    step: str
    what: str
    side_effect: SideEffect
    target: str = ""
    digest: str = ""
    deadline: float | None = None
    data: dict[str, Any] = field(default_factory=dict)


class OutcomeRecorded(Fact):
    kind = "OutcomeRecorded"
    id: str
    outcome: Literal["done", "failed", "unknown", "rolled-back"]
    detail: str = ""
    reference: str = ""
    reconciled: bool = False
    """True when it was found out after a crash rather than seen."""


class ProbeIntended(Fact):
    """A synthetic alert is about to be sent. After a crash a page may be out."""

    kind = "ProbeIntended"
    id: str
    """The attempt's id and the token that stands in the alert's text: unique, at most one page each."""
    step: str
    receiver: str
    purpose: Literal["acknowledge", "escalate"]
    how: Literal["injected", "rule"] = "injected"
    labels: dict[str, str]
    annotations: dict[str, str] = field(default_factory=dict)
    starts_at: float
    ends_at: float
    integrations: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    """Who is expected to be paged, as ``<name> (level n)``."""
    sla_seconds: float = 0.0
    escalation_seconds: float = 0.0
    """From the delivery on, within which level 2 has to be called; 0 where that is not tried or not known."""
    delivery_seconds: float = 0.0
    """From the firing on, within which it has to arrive; 0 in a journal that does not say."""


class ProbeHopSeen(Fact):
    """One hop of one probe: the true time lies in [earliest, latest] on our clock (unix seconds)."""

    kind = "ProbeHopSeen"
    id: str
    hop: str
    """t0 … t8."""
    earliest: float
    latest: float
    source: str
    who: str = ""
    detail: str = ""


class ProbeAcknowledged(Fact):
    """Somebody said, with the code of a message, or with a button that Slack signed, that it has reached them."""

    kind = "ProbeAcknowledged"
    id: str
    at: float
    """When we heard of it (unix seconds, our clock)."""
    person: str
    """A key of [people], ``uid:<n>``; ``says: <name>`` or ``slack:<id>`` for somebody whom [people] does not know."""
    via: Literal["command", "link", "slack"]
    integration: str
    """What brought the message: email, webhook, slack…"""
    detail: str = ""
    machine: bool = False
    """It came from ray-tui itself: nobody has acknowledged anything."""


class ProbeProblem(Fact):
    """Something that keeps a probe from passing, or that a reader must know of it."""

    kind = "ProbeProblem"
    id: str
    hop: str
    problem: str
    """A stable id: lost, auto_ack, late, duplicate, suppressed, wrong_key, exhausted, peer_down, skew…"""
    detail: str
    blocks: bool = True


class ProbeCleared(Fact):
    kind = "ProbeCleared"
    id: str
    clean: bool
    detail: str = ""
    left: tuple[str, ...] = ()
    """What is still open, and where."""


# --- results ---------------------------------------------------------------------------------------------------------


class EvidenceWritten(Fact):
    kind = "EvidenceWritten"
    name: str
    sha256: str
    size: int
    step: str
    required: bool = True
    renderer: str = "1"


class GapFound(Fact):
    """A backlog entry: an instrumentation gap or an enhancement. The same id again replaces the entry."""

    kind = "GapFound"
    id: str
    step: str
    title: str
    subject: str = ""
    owner: str
    due: str
    """An ISO date, or ``next release cycle``."""
    severity: Literal["blocks", "warns", "info"] = "warns"
    status: Literal["open", "resolved"] = "open"
    reference: str = ""


class PackageSealed(Fact):
    kind = "PackageSealed"
    sha256: str
    size: int
    through_seq: int
    journal_head: str
    manifest_sha256: str
    files: int


class HandoffNotified(Fact):
    kind = "HandoffNotified"
    protocol: str
    channel: str
    ok: bool
    reference: str = ""
    detail: str = ""
    package_sha256: str = ""


class HookRan(Fact):
    kind = "HookRan"
    hook: str
    outcome: Verdict
    detail: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    """File -> what is wrong with it, of the hook that reads all evidence again."""


class Place(Record):
    """Where an entry stands in its journal, when it came about, and who caused it."""

    seq: int
    at: float
    """Unix seconds, UTC."""
    mono: float
    """Monotonic seconds; comparable only between entries of one boot."""
    actor: Actor


class Entry(Place):
    """One journal line: a fact with its place, time and cause."""

    fact: Fact

    def to_builtins(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": self.at,
            "mono": self.mono,
            "actor": self.actor.to_builtins(),
            "fact": {"kind": self.fact.written_kind, **self.fact.to_builtins()},
        }


KINDS: dict[str, type[Fact]] = {sub.kind: sub for sub in Fact.__subclasses__() if sub.kind}


def fact_from_json(body: dict[str, Any]) -> Fact:
    """A fact from its JSON. An unknown kind is kept whole as an UnknownFact; a known one that does not fit raises."""
    rest = dict(body)
    kind = str(rest.pop("kind", ""))
    model = KINDS.get(kind)
    if model is None:
        return UnknownFact(unknown_kind=kind, newer=rest)
    known = set(model.fields())
    newer = {name: value for name, value in rest.items() if name not in known or name == "newer"}
    return model.from_json({**rest, "newer": newer})


def entry_from_json(body: dict[str, Any]) -> Entry:
    """Raises ValidationError or KeyError when it is not an entry."""
    place = Place.from_json({**body, "actor": body.get("actor") or {}})
    return Entry(seq=place.seq, at=place.at, mono=place.mono, actor=place.actor, fact=fact_from_json(body["fact"]))
