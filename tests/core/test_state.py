"""The fold knows every fact, and a fact of tomorrow does not break today."""

from hypothesis import given
from hypothesis import strategies as st

from ray_tui.core import facts as f
from ray_tui.core import state
from ray_tui.core.verdicts import Verdict


def test_every_kind_of_fact_has_a_branch_or_is_display_only():
    """A new fact cannot be forgotten in the fold."""
    handled = set(state._BRANCHES) | state.DISPLAY_ONLY
    assert set(f.KINDS.values()) == handled


def test_an_unknown_fact_is_kept_whole():
    """A journal of a newer version is read, shown, and written back unchanged."""
    body = {"seq": 1, "at": 1.0, "mono": 1.0, "actor": {}, "fact": {"kind": "CometSeen", "tail": [1, 2]}}
    entry = f.entry_from_json(body)
    assert isinstance(entry.fact, f.UnknownFact)
    assert entry.to_json() == body
    assert "CometSeen" in state.apply(state.RunState(), entry).log[-1].text


def test_an_unknown_field_is_kept():
    """A newer version's field on a known kind survives reading and writing."""
    body = {"seq": 1, "at": 1.0, "mono": 1.0, "actor": {}, "fact": {"kind": "NoteAdded", "text": "x", "mood": "calm"}}
    assert f.entry_from_json(body).to_json() == body


@given(st.lists(st.sampled_from(["1.1", "1.2", "2.2"]), max_size=12), st.integers(0, 12))
def test_folding_in_two_parts_gives_the_same_state(steps, cut):
    """Whoever joins late, from any point, sees the same state."""
    facts = [fact for step in steps for fact in (f.StepStarted(step=step), f.Progressed(step=step, text="x"),
             f.StepFinished(step=step, verdict=Verdict.PASSED, summary="ok"))]  # fmt: skip
    entries = [f.Entry(seq=n, at=n, mono=n, actor=f.ENGINE, fact=fact) for n, fact in enumerate(facts, 1)]
    whole = state.fold(entries)
    parts = state.fold(entries[:cut])
    for entry in entries[cut:]:
        state.apply(parts, entry)
    assert parts == whole


def test_a_host_that_stops_without_a_reason_is_no_warning():
    """A headless run that was carried through: nothing is left open in its last line."""
    lines = [state.fold([_entry(f.HostStopped(reason=why))]).log[-1] for why in ("", "a signal")]
    assert [(line.tone, line.text) for line in lines] == [("plain", "host stopped"), ("warn", "host stopped: a signal")]


def _entry(fact):
    return f.Entry(seq=1, at=1.0, mono=1.0, actor=f.ENGINE, fact=fact)


def test_who_asked_for_the_seat_and_left_asks_no_more():
    """Nor does anybody once the run is over; one who has another console still does."""
    told = [
        f.ConsoleAttached(console="c1", person="mira"), f.ConsoleAttached(console="c2", person="jo"),
        f.ConsoleAttached(console="c3", person="jo"), f.SeatRequested(person="jo", console="c2"),
    ]  # fmt: skip
    entries = [_entry(fact) for fact in told]
    left = [*entries, _entry(f.ConsoleDetached(console="c2", person="jo"))]
    assert state.fold(left).seat_requests == ["jo"]
    assert state.fold([*left, _entry(f.ConsoleDetached(console="c3", person="jo"))]).seat_requests == []
    assert state.fold([*entries, _entry(f.RunAborted(reason="over"))]).seat_requests == []
