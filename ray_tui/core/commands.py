"""What a person may ask of a run. A command is a wish; the engine's rules turn it into facts or a refusal."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ray_tui.core.facts import AlertTest


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class RunStep(_Command):
    """Run a step (again): the retry of a halt, or of an earlier action of a phase that is open."""

    command: Literal["run_step"] = "run_step"
    step: str


class AnswerPrompt(_Command):
    command: Literal["answer"] = "answer"
    prompt_id: str
    answer: str
    reason: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    signature: str = ""
    """An armoured SSH signature over the prompt's ``data["sign"]`` text, made in the console's process."""
    claimed_person: str = ""
    """Headless only: who an answers file says gave this; recorded as a claim, accepted only where policy allows."""


class ProposeWaiver(_Command):
    command: Literal["waive"] = "waive"
    criterion: str
    step: str
    reason: str
    days: float = 7
    ticket: str = ""
    claimed_approver: str = ""
    """Headless only: the second person whom an answers file names."""
    signature: str = ""


class ConfirmWaiver(_Command):
    command: Literal["confirm_waiver"] = "confirm_waiver"
    waiver_id: str
    signature: str = ""


class DeclineWaiver(_Command):
    """A second person's no."""

    command: Literal["decline_waiver"] = "decline_waiver"
    waiver_id: str


class RecordManual(_Command):
    command: Literal["manual"] = "manual"
    criterion: str
    step: str
    note: str
    attachments: tuple[dict[str, str], ...] = ()
    alert_tests: tuple[AlertTest, ...] = ()


class AcknowledgeProbe(_Command):
    """A person says that a test alert has reached them: by the code in its message, or by Slack's signed button."""

    command: Literal["acknowledge"] = "acknowledge"
    code: str = Field(default="", max_length=64)
    probe: str = Field(default="", max_length=200)
    """Listener only: the probe on whose message a button was pressed, as Slack has signed."""
    via: Literal["command", "link", "slack"] = "command"
    claimed_person: str = Field(default="", max_length=200)
    """Listener only: whom the page or Slack names."""
    detail: str = Field(default="", max_length=200)
    """Listener only: how far that can be relied on."""
    ours: bool = False
    """The host says so where the wish comes from its own process."""


class Decline(_Command):
    command: Literal["decline"] = "decline"
    step: str
    reason: str


class Abort(_Command):
    command: Literal["abort"] = "abort"
    reason: str


class AddNote(_Command):
    command: Literal["note"] = "note"
    text: str


class RequestSeat(_Command):
    command: Literal["request_seat"] = "request_seat"


class GrantSeat(_Command):
    command: Literal["grant_seat"] = "grant_seat"
    person: str


class KeepSeat(_Command):
    """The driver's no to one who asks for the seat."""

    command: Literal["keep_seat"] = "keep_seat"
    person: str


class TakeSeat(_Command):
    command: Literal["take_seat"] = "take_seat"


Command = Annotated[
    RunStep | AnswerPrompt | ProposeWaiver | ConfirmWaiver | DeclineWaiver | RecordManual | Decline | Abort
    | AddNote | RequestSeat | GrantSeat | KeepSeat | TakeSeat | AcknowledgeProbe,
    Field(discriminator="command"),
]  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """No, and why; an ordinary value, shown and recorded."""

    why: str


@dataclass(frozen=True)
class Accepted:
    """Yes; ``seq`` is the last fact that it caused (0 where it changed nothing)."""

    seq: int


Reply = Accepted | Refused
