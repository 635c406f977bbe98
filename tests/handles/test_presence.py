"""Where others look: told in passing over the socket, kept nowhere."""

import asyncio

from ray_tui import wire
from ray_tui.core import facts as f
from ray_tui.core.presence import PLACES, Look, Presence, look_of, phase_of, place_of
from ray_tui.handles.local import LocalHandle
from ray_tui.handles.replay import Replay
from ray_tui.handles.socket import SocketHandle
from tests.handles.test_socket import attach, served, wait_for  # noqa: F401 (served is a fixture)


def places(watcher):
    return {look.console: look.place for look in watcher.handle.looks}


async def test_each_sees_where_the_other_looks_and_nothing_is_recorded(served):  # noqa: F811
    """Two consoles: a pane, then a step; the newest counts, one does not see oneself, the journal does not grow."""
    engine, _, path = served
    one, two = await attach(path), await attach(path)
    await wait_for(lambda: len(engine.state.consoles) == 2, "both consoles")
    length = len(engine.lines)
    one.handle.look_at("phase.1")
    one.handle.look_at("2.2")
    await wait_for(lambda: places(two) == {one.handle.console: "2.2"}, "the first console's place")
    assert two.handle.looks[0].person == one.handle.person
    assert one.handle.looks == ()
    assert len(engine.lines) == length
    await one.leave()
    await wait_for(lambda: places(two) == {}, "the mark goes with the console")
    await two.leave()


async def test_an_observer_is_seen_too_and_who_joins_late_is_told(served):  # noqa: F811
    """--observe shows where it looks; a console that joins afterwards learns it at once."""
    _, _, path = served
    watcher = await attach(path, read_only=True)
    watcher.handle.look_at("gate.alert_validation" if "gate.alert_validation" in PLACES else "3.1")
    await asyncio.sleep(0)
    late = await attach(path)
    await wait_for(lambda: watcher.handle.console in places(late), "the observer's place")
    await late.leave()
    await watcher.leave()


async def test_a_console_that_comes_back_says_again_where_it_looks(served):  # noqa: F811
    """The link is cut: the old mark goes, and the new console carries the place."""
    _, serving, path = served
    one, two = await attach(path), await attach(path)
    one.handle.look_at("1.2")
    first = one.handle.console
    await wait_for(lambda: places(two) == {first: "1.2"}, "the place")
    serving.consoles[first].writer.transport.abort()
    await wait_for(lambda: one.handle.console != first and places(two) == {one.handle.console: "1.2"}, "it again")
    await one.leave()
    await two.leave()


async def test_a_flood_of_places_is_told_twice_a_second_at_most(served):  # noqa: F811
    """However often a console says where it looks, the others hear of the newest place only."""
    _, _, path = served
    heard = []
    two = await attach(path)
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.write(wire.encode({"hello": {}}))
    take = two.handle._take
    two.handle._take = lambda message: (heard.append(message) if "looking" in message else None) or take(message)
    for number in range(500):
        writer.write(wire.encode({"looking": "1.1" if number < 499 else "4.2"}))
    await wait_for(lambda: "4.2" in places(two).values(), "the newest place")
    assert len(heard) <= 3
    writer.close()
    await two.leave()


async def test_nonsense_about_places_is_nobodys_place(served):  # noqa: F811
    """A place is one of the plan's names; anything else, of any shape, is none, and hurts nobody."""
    engine, _, path = served
    two = await attach(path)
    _, writer = await asyncio.open_unix_connection(str(path))
    writer.write(wire.encode({"hello": {}}))
    for odd in ("\x1b]52;c;aGk=\x07", 7, None, ["1.1"], {"place": "1.1"}, "x" * 100_000, "1.1"):
        writer.write(wire.encode({"looking": odd}))
    await wait_for(lambda: list(places(two).values()) == ["1.1"], "the one that is a place")
    engine.record(f.NoteAdded(text="still here"))
    await wait_for(lambda: two.state.notes, "the note")
    writer.close()
    await two.leave()


def test_only_shapes_of_ours_are_looks():
    """What a host passes on is checked again."""
    assert look_of({"console": "c1", "person": "mi\x1bra", "place": "2.2"}) == Look("c1", "mi\\u{1b}ra", "2.2")
    assert look_of({"console": "c1", "place": "rm -rf"}) == Look("c1", "", "")
    assert [look_of(odd) for odd in (None, [], {}, {"console": 3}, {"console": ""})] == [None] * 5
    named = ("phase.3", "2.2", "log", "", "prerequisites", "completion")
    assert [phase_of(place) for place in named] == [3, 2, 5, 0, 1, 4]
    assert place_of("4.2") == "4.2"
    assert place_of("9.9") == ""


def test_replay_and_local_handles_have_no_others(tmp_path):
    """Presence is what a handle may lack: consoles ask whether it is there."""
    assert not isinstance(Replay([]), Presence)
    assert not issubclass(LocalHandle, SocketHandle)
    assert not hasattr(LocalHandle, "look_at")


async def test_an_older_console_passes_over_what_it_does_not_know(served):  # noqa: F811
    """A message of another version on the wire is left alone, by consoles and by the host."""
    engine, serving, path = served
    one = await attach(path)
    next(iter(serving.consoles.values())).writer.write(wire.encode({"weather": "rain"}))
    one.handle._writer.write(wire.encode({"weather": "sun"}))
    engine.record(f.NoteAdded(text="after"))
    await wait_for(lambda: one.state.notes, "the note after it")
    await one.leave()
