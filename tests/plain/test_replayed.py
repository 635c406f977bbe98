"""A past run line by line: any moment of it can be gone to, and looked at as it was then."""

import io

import pytest

from ray_tui.core import facts as f
from ray_tui.core.facts import Entry
from ray_tui.handles.replay import Replay
from ray_tui.plain import replayed
from tests.tui.fake_handle import T0, mid_run


@pytest.fixture
def run():
    """The run of the pictures, a second from fact to fact, with a note."""
    actor = f.Actor(person="sam")
    facts = [*mid_run(), f.NoteAdded(text="who watches this?")]
    entries = [Entry(seq=n, at=T0 + n, mono=T0 + n, actor=actor, fact=fact) for n, fact in enumerate(facts, start=1)]
    return entries, Replay(entries, playing=False)


def said(run, typed):
    return "\n".join(replayed.told(*run, typed))


def seq_of(run, kind, step):
    return next(one.seq for one in run[0] if isinstance(one.fact, kind) and one.fact.step == step)


@pytest.mark.parametrize("where", ["2.2", "seq {}", "{}", "0:{}"])
def test_a_moment_is_gone_to_by_step_seq_or_time(run, where):
    """And says where the run stood."""
    began = seq_of(run, f.StepStarted, "2.2")
    text = said(run, f"at {where.format(began - 1 if ':' in where else began)}")
    assert "REPLAY" in text
    assert f"seq {began}  ▶ 2.2 Test Alert Paths" in text


def test_a_pane_is_shown_as_it_was_then(run):
    """Coverage before it was measured, and after."""
    said(run, f"at {seq_of(run, f.StepStarted, '1.2')}")
    assert "checkout" not in said(run, "show 1")
    said(run, "at 2.1")
    assert "checkout" in said(run, "show 1")
    assert "query" in said(run, "why checkout")


def test_what_is_no_moment_and_what_is_no_look_is_said(run):
    """The position stays."""
    said(run, "at 2.2")
    at = run[1].position
    assert "'noon' is no time, seq, step or gate" in said(run, "at noon")
    assert "cannot be changed" in said(run, "retry 1.2")
    assert "Name a step" in said(run, "why nosuch")
    assert "at 3:05" in said(run, "?")
    assert run[1].position == at


def test_it_begins_at_the_end_and_ends_with_q_or_the_input(run):
    """In ASCII where that is wished."""
    output = io.StringIO()
    replayed.read(*run, io.StringIO("grep watches\nat 2.2\nq\nat 1.1\n"), output, ascii_only=True)
    assert "who watches this? (sam)" in output.getvalue()
    assert "> 2.2 Test Alert Paths" in output.getvalue()
    assert output.getvalue().isascii()
    assert output.getvalue().count("replay > ") == 3
    replayed.read(*run, io.StringIO(""), output)
