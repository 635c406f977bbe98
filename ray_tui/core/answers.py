"""What a headless run answers, decided before it began: questions, approvals, waivers, retries, what a person saw."""

import fnmatch
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ray_tui.core.commands import AnswerPrompt, Command, Decline, ProposeWaiver, RecordManual
from ray_tui.core.facts import PromptRaised
from ray_tui.core.policy import Role


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Approval(_Table):
    """An approval given before the run."""

    role: Role
    """In which role."""
    person: str
    """Who gives it: a key of [people]."""
    release: str = ""
    """The release it was given for; the run's where empty."""
    given_at: float | None = None
    """Unix seconds; now where absent."""
    expires_at: float | None = None
    """Unix seconds; policy's default where absent."""
    config_digest: str = ""
    """The configuration it was given for; the run's where empty."""
    note: str = ""
    sha256: str = ""
    """What exactly is approved: this block answers only a question about that hash; any of its role where empty."""
    signature: str = ""
    """A detached SSH signature, armoured; `ray-tui sign` writes such a block."""


class Said(_Table):
    """An answer with its reason."""

    answer: str
    reason: str = ""


class WaiverAnswer(_Table):
    """A waiver decided before the run; it applies when exactly this criterion blocks."""

    criterion: str
    """The criterion's id, to the letter."""
    step: str
    """The step or gate that it blocks: "1.3", "gate.alert_validation"."""
    reason: str
    approver: str
    """The second person; several, parted by commas, where [policy] approvers asks for more."""
    days: float = 7
    ticket: str = ""
    signature: str = ""


class ManualAnswer(_Table):
    """What a person saw where a criterion could not be judged; it never settles a measured failure."""

    criterion: str
    """The criterion's id, to the letter."""
    step: str
    """The step or gate that it blocks."""
    note: str
    """What was seen, where, and by whom."""


class Retry(_Table):
    """A halt that may mend itself: the step is run again, before anything is waived or the run ends as halted."""

    step: str
    """The step that has halted: "1.2"."""
    times: int = Field(default=1, ge=1, le=20)
    """How often at most."""
    after_seconds: float = Field(default=30, ge=0, le=3600, allow_inf_nan=False)
    """The pause before each."""


class Declined(_Table):
    """A guideline action that is not carried out: declined as the run begins, or where it halts."""

    step: str
    """One whose output another protocol waits for also needs a waiver of its ``decline:<step>``."""
    reason: str


class Answers(_Table):
    """An answers file. A prompt that it does not answer ends a headless run as halted."""

    confirm: dict[str, str | Said] = Field(default_factory=dict)
    """Prompt name or glob (``2.1:apply``, ``3.2:tuning-*``) -> answer, or ``{ answer = "reject", reason = "…" }``.
    For typed prompts: the text to be typed, under the prompt's own name."""
    approvals: tuple[Approval, ...] = ()
    waivers: tuple[WaiverAnswer, ...] = ()
    manual: tuple[ManualAnswer, ...] = ()
    retry: tuple[Retry, ...] = ()
    decline: tuple[Declined, ...] = ()
    type_what_is_expected: bool = False
    """Answers every typed confirmation with what it expects. For demos and tests: real pages deserve to be named."""

    def to_prompt(self, prompt: PromptRaised) -> Command | None:
        """The answer to a prompt; None when this file has none."""
        name = prompt_name(prompt.id)
        if prompt.prompt == "approve":
            role = str(prompt.data.get("role") or (prompt.roles[0] if prompt.roles else ""))
            asked = str(prompt.data.get("sha256") or "")
            fitting = [one for one in self.approvals if one.role == role and one.sha256 in ("", asked)]
            given = max(fitting, key=lambda one: bool(one.sha256), default=None)
            return None if given is None else _approve(prompt.id, given)
        # A glob never answers for a typed confirmation: whoever pages people names them.
        said = self.confirm.get(name) if prompt.prompt == "typed" else self._confirmed(name)
        if said is None and prompt.prompt == "typed" and self.type_what_is_expected:
            said = prompt.expects
        if said is None:
            return None
        decided = said if isinstance(said, Said) else Said(answer=said)
        return AnswerPrompt(prompt_id=prompt.id, answer=decided.answer, reason=decided.reason)

    def _confirmed(self, name: str) -> str | Said | None:
        if name in self.confirm:
            return self.confirm[name]
        return next((answer for glob, answer in self.confirm.items() if fnmatch.fnmatchcase(name, glob)), None)

    def to_halt(self, step: str, criteria: Sequence[str]) -> list[Command]:
        """A decline of the step; or a waiver or a manual validation for each of what blocks that this file names."""
        if f"decline:{step}" not in criteria:
            for declined in self.decline:
                if declined.step == step:
                    return [Decline(step=declined.step, reason=declined.reason)]
        settled = (self._settles(step, criterion) for criterion in criteria)
        return [command for command in settled if command is not None]

    def _settles(self, step: str, criterion: str) -> Command | None:
        """A manual validation comes first: it is refused where something was measured, a waiver never is."""
        for seen in self.manual:
            if (seen.step, seen.criterion) == (step, criterion):
                return RecordManual(criterion=criterion, step=step, note=seen.note)
        for waiver in self.waivers:
            if (waiver.step, waiver.criterion) == (step, criterion):
                return ProposeWaiver(
                    criterion=criterion, step=step, reason=waiver.reason, days=waiver.days, ticket=waiver.ticket,
                    claimed_approver=waiver.approver, signature=waiver.signature,
                )  # fmt: skip
        return None

    def retry_of(self, step: str, made: int) -> Retry | None:
        """Whether a step that has halted is run again, after ``made`` retries."""
        return next((one for one in self.retry if one.step == step and made < one.times), None)


def prompt_name(prompt_id: str) -> str:
    """``2.1:apply`` of ``2.1#3:apply``: an answers file does not know attempts."""
    step, _, rest = prompt_id.partition("#")
    return f"{step}:{rest.partition(':')[2]}"


def _approve(prompt_id: str, given: Approval) -> AnswerPrompt:
    data: dict[str, Any] = {
        key: value
        for key, value in (
            ("release", given.release),
            ("given_at", given.given_at),
            ("expires_at", given.expires_at),
            ("config_digest", given.config_digest),
        )
        if value
    }
    return AnswerPrompt(
        prompt_id=prompt_id, answer="yes", reason=given.note, data=data, signature=given.signature,
        claimed_person=given.person,
    )  # fmt: skip
