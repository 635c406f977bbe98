"""What a person may ask of a run. A command is a wish; the engine's rules turn it into facts or a refusal."""

from typing import Annotated, Any, Literal

from msgspec import Meta, convert

from ray_tui.core.facts import AlertTest
from ray_tui.core.record import Record, field
from ray_tui.core.value import Value


class _Command(Record, forbid_unknown_fields=True, tag_field="command"):
    @property
    def command(self) -> str:
        """Which one it is, as it stands in its JSON."""
        return str(self.__struct_config__.tag)


class RunStep(_Command, tag="run_step"):
    """Run a step (again): the retry of a halt, or of an earlier action of a phase that is open."""

    step: str


class AnswerPrompt(_Command, tag="answer"):
    prompt_id: str
    answer: str
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    signature: str = ""
    """An armoured SSH signature over the prompt's ``data["sign"]`` text, made in the console's process."""
    claimed_person: str = ""
    """Headless only: who an answers file says gave this; recorded as a claim, accepted only where policy allows."""


class ProposeWaiver(_Command, tag="waive"):
    criterion: str
    step: str
    reason: str
    days: float = 7
    ticket: str = ""
    claimed_approver: str = ""
    """Headless only: the second person whom an answers file names."""
    signature: str = ""


class ConfirmWaiver(_Command, tag="confirm_waiver"):
    waiver_id: str
    signature: str = ""


class DeclineWaiver(_Command, tag="decline_waiver"):
    """A second person's no."""

    waiver_id: str


class RecordManual(_Command, tag="manual"):
    criterion: str
    step: str
    note: str
    attachments: tuple[dict[str, str], ...] = ()
    alert_tests: tuple[AlertTest, ...] = ()


class AcknowledgeProbe(_Command, tag="acknowledge"):
    """A person says that a test alert has reached them: by the code in its message, or by Slack's signed button."""

    code: Annotated[str, Meta(max_length=64)] = ""
    probe: Annotated[str, Meta(max_length=200)] = ""
    """Listener only: the probe on whose message a button was pressed, as Slack has signed."""
    via: Literal["command", "link", "slack"] = "command"
    claimed_person: Annotated[str, Meta(max_length=200)] = ""
    """Listener only: whom the page or Slack names."""
    detail: Annotated[str, Meta(max_length=200)] = ""
    """Listener only: how far that can be relied on."""
    ours: bool = False
    """The host says so where the wish comes from its own process."""


class Decline(_Command, tag="decline"):
    step: str
    reason: str


class Abort(_Command, tag="abort"):
    reason: str


class AddNote(_Command, tag="note"):
    text: str


class RequestSeat(_Command, tag="request_seat"):
    """To be given the driver's seat."""


class GrantSeat(_Command, tag="grant_seat"):
    person: str


class KeepSeat(_Command, tag="keep_seat"):
    """The driver's no to one who asks for the seat."""

    person: str


class TakeSeat(_Command, tag="take_seat"):
    """To have the driver's seat without being given it."""


Command = (
    RunStep | AnswerPrompt | ProposeWaiver | ConfirmWaiver | DeclineWaiver | RecordManual | Decline | Abort
    | AddNote | RequestSeat | GrantSeat | KeepSeat | TakeSeat | AcknowledgeProbe
)  # fmt: skip


def command_from_json(body: Any) -> Command:
    """Raises ValidationError where it is no command of this version."""
    found: Command = convert(body, Command)
    return found


class Refused(Value):
    """No, and why; an ordinary value, shown and recorded."""

    why: str


class Accepted(Value):
    """Yes; ``seq`` is the last fact that it caused (0 where it changed nothing)."""

    seq: int


Reply = Accepted | Refused
