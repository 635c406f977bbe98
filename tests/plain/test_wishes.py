"""What is typed between the questions of a line-by-line console: the full screen's words, and its commands."""

import pytest

from ray_tui.core.commands import AddNote, Decline, GrantSeat, KeepSeat, RequestSeat, RunStep, TakeSeat
from ray_tui.core.state import RunState, apply
from ray_tui.plain import wishes
from ray_tui.tui.view import View
from tests.tui.fake_handle import T0, FakeHandle, mid_run


@pytest.fixture
def view():
    """The run of the pictures: 2.2 waits for acknowledgements, mira drives."""
    handle, state = FakeHandle(*mid_run()), RunState()
    while not handle._entries.empty():
        apply(state, handle._entries.get_nowait())
    return View(state=state, now=T0 + 400, person="mira", console="c-mira")


def said(view, typed):
    lines = wishes.granted(view, typed)
    assert isinstance(lines, list)
    return "\n".join(lines)


def test_status_says_where_it_stands_who_drives_and_who_must_act(view):
    """The three first rows of the full screen."""
    text = said(view, "s")
    assert "RUNNING" in text
    assert "driving: mira (you)" in text
    assert "G1 ✓" in text
    assert "must ack" in text


def test_every_pane_can_be_read(view):
    """Coverage, alert paths, schedule, package: the same rows."""
    assert "checkout" in said(view, "show 1")
    assert "2.2 Alert paths" in said(view, "show 2")
    assert "3.1 Schedule" in said(view, "show 3")
    assert "4.1 Package" in said(view, "show 4")


@pytest.mark.parametrize(
    ("typed", "has"),
    [
        ("why 1.2", "1.2"), ("why gate 1", "criteria"), ("why G1", "criteria"), ("why checkout", "query"),
        ("why pd-payments", "t1"), ("why seq 3", "journal seq 3"), ("why 3", "journal seq 3"),
    ],
)  # fmt: skip
def test_why_shows_the_facts_behind_a_step_a_gate_a_service_a_receiver_or_a_line(view, typed, has):
    """What Enter opens on the full screen."""
    assert has.casefold() in said(view, typed).casefold()


def test_a_name_that_is_nothing_says_what_there_is(view):
    """A dead end names the way on."""
    with pytest.raises(wishes.Unknown, match=r"gate 2.*checkout"):
        wishes.granted(view, "why nosuch")
    with pytest.raises(wishes.Unknown, match="lists what is"):
        wishes.granted(view, "frobnicate")
    with pytest.raises(wishes.Unknown, match="which phase"):
        wishes.granted(view, "show 7")


def test_the_log_is_filtered(view):
    """By text, kind, step or person, in any case; nothing found is said."""
    assert "mira drives" in said(view, "grep MIRA")
    assert "none of" in said(view, "grep nowhere")


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("n all is well", AddNote(text="all is well")),
        ("seat ask", RequestSeat()),
        ("seat take", TakeSeat()),
        ("seat give tom", GrantSeat(person="tom")),
        ("seat keep tom", KeepSeat(person="tom")),
        ("retry 1.2", RunStep(step="1.2")),
        ("decline 3.3 published by another team", Decline(step="3.3", reason="published by another team")),
    ],
)
def test_what_the_full_screen_can_ask_for_can_be_typed(view, typed, command):
    """The host decides; here nothing is refused."""
    assert wishes.granted(view, typed) == command


def test_help_names_every_wish_once():
    """In the order in which they are needed."""
    lines = wishes.help_lines()
    assert len(lines) == len({line.split()[0] for line in lines})
    assert any("why WHAT" in line for line in lines)
