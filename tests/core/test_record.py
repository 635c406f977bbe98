"""What is written down is checked where it is read, and stays as it was read."""

from enum import StrEnum
from typing import Any

import pytest

from ray_tui.core import facts as f
from ray_tui.core.commands import Abort, RecordManual, TakeSeat, command_from_json
from ray_tui.core.record import Record, ValidationError, field
from ray_tui.core.verdicts import Criterion, Verdict


class Colour(StrEnum):
    RED = "red"


class Thing(Record):
    colour: Colour
    parts: tuple["Thing", ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    size: float = 1.0


THING = Thing(colour=Colour.RED, parts=(Thing(colour=Colour.RED),), more={"a": (1, Colour.RED), "b": {2: "x"}})
BODY = {
    "colour": "red", "parts": [{"colour": "red", "parts": [], "more": {}, "size": 1.0}],
    "more": {"a": [1, "red"], "b": {"2": "x"}}, "size": 1.0,
}  # fmt: skip


def test_a_record_is_written_as_json_knows_it():
    """Lists for tuples, texts for enumerations and keys, parts within parts."""
    assert THING.to_json() == BODY


def test_what_is_read_has_its_types_again():
    """Enumerations and tuples, and a float where a whole number was written."""
    read = Thing.from_json({**BODY, "size": 3})
    assert (read.colour, read.parts[0].colour, read.size) == (Colour.RED, Colour.RED, 3.0)
    assert (type(read.size), type(read.parts)) == (float, tuple)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"colour": "mauve"}, "$.colour"), ({"parts": [{"colour": 1}]}, "$.parts[0].colour"), ({"size": "3"}, "$.size"),
        ({"size": True}, "$.size"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_where_it_stands(wrong, said):
    """A text is no number, nor is a truth value: nothing is made to fit."""
    with pytest.raises(ValidationError) as caught:
        Thing.from_json({**BODY, **wrong})
    assert said in str(caught.value)


def test_a_record_is_changed_by_making_another():
    """The first stays as it is."""
    other = THING.but(size=2.0)
    assert (THING.size, other.size, other.colour) == (1.0, 2.0, Colour.RED)
    with pytest.raises(AttributeError):
        THING.size = 2.0


def test_a_field_named_as_what_keeps_newer_ones_is_a_newer_one():
    """Whatever a newer version calls its fields, they come back where they were."""
    body = {"kind": "NoteAdded", "text": "x", "newer": {"text": "y"}, "mood": "calm"}
    read = f.fact_from_json(body)
    assert (read.text, {"kind": read.written_kind, **read.to_json()}) == ("x", body)


def test_a_command_is_told_by_its_name_and_takes_nothing_else():
    """What a console of another version sends is refused, never half obeyed."""
    manual = RecordManual(criterion="c", step="1.2", note="seen", alert_tests=(f.AlertTest(receiver="r", fired="1"),))
    for command in (manual, TakeSeat(), Abort(reason="x")):
        assert command_from_json(command.to_json()) == command
        assert command.to_json()["command"] == command.command
    for wrong in (
        {"command": "fly"},
        {"reason": "x"},
        {"command": "abort"},
        {**TakeSeat().to_json(), "how": "now"},
        [],
    ):
        with pytest.raises(ValidationError):
            command_from_json(wrong)


def test_a_criterion_of_a_newer_version_is_read_as_far_as_it_is_known():
    """A field that was added does not make an old gate blind."""
    read = Criterion.from_json({"id": "a", "title": "A", "verdict": "failed", "actual": "1", "weight": 3})
    assert read == Criterion(id="a", title="A", verdict=Verdict.FAILED, actual="1")
