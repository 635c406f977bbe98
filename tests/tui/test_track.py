"""The replay's bar: where its marks stand, and that keys and mouse go along it."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.handle import Marker
from ray_tui.core.verdicts import Verdict
from ray_tui.handles.replay import Replay
from ray_tui.tui.panes import transport as pane
from ray_tui.tui.track import Track
from ray_tui.tui.widgets.bar import Bar
from tests.tui.fake_handle import FakeHandle, FakeTransport, mid_run, until
from tests.tui.on_screen import console, dialog, shows, text_of

ONE_MOMENT = (Marker(10, 75, "gate", "✗ G2", "gate.b"), Marker(11, 76, "gate", "✓ G3", "gate.c"),
              Marker(12, 77, "halt", "halt 2.2", "2.2"), Marker(13, 200, "gate", "✓ G4", "gate.d"))  # fmt: skip
SPREAD = (Marker(75, 75, "gate", "✗ G2", "gate.b"), Marker(150, 150, "halt", "halt 2.2", "2.2"))


def drawn(markers, room=60):
    return "".join(Track(FakeTransport(markers=markers), room).cells)


def test_marks_stand_where_they_happened():
    """A quarter of the time is a quarter of the line."""
    line = drawn(SPREAD, 100)
    assert abs(line.index("✗G2") - 25) < 2
    assert abs(line.rindex("✗") - 50) < 2


def test_labels_of_one_moment_stand_side_by_side():
    """Two gates and a halt within two seconds: each keeps its whole label and its order, with a cell between."""
    assert "─✗G2─✓G3─✗─" in drawn(ONE_MOMENT)


def test_labels_at_the_end_are_whole():
    """What happened in the last moment is not cut off by the end."""
    assert drawn((Marker(298, 298, "gate", "✓ G3"), Marker(299, 299, "gate", "✓ G4"))).endswith("─✓G3─✓G4─")


def test_where_not_every_label_has_room_the_last_attempts_keep_theirs():
    """Twelve judgements of two gates on forty cells: the newest of each is named, the others are a sign."""
    many = [Marker(n, n * 20, "gate", f"✗ G{n % 2 + 1}", f"gate.{n % 2}") for n in range(1, 13)]
    line = drawn(many, 40)
    assert (line.count("✗"), line.count("✗G1"), line.count("✗G2")) == (12, 1, 1)
    assert line.rindex("G1") > line.rindex("✗─✗")


def test_more_marks_than_cells_keep_gates_and_halts():
    """Waivers give way first, and nothing is out of its place."""
    many = [Marker(n, n, "waiver" if n % 3 else "halt", "x") for n in range(1, 61)]
    line = drawn(many, 30)
    assert len(line) == 30
    assert line.count("✗") == 20


def test_a_label_is_one_step():
    """From its first cell right is behind it; from behind it left is its first cell."""
    line = Track(FakeTransport(markers=SPREAD), 80)
    on = line.cell(75, 75)
    assert [line.along(on, 1), line.along(on + 3, -1), line.along(0, -1), line.along(79, 10)] == [on + 3, on, 0, 79]


@pytest.mark.parametrize("markers", [(), SPREAD, ONE_MOMENT])
@pytest.mark.parametrize("room", [10, 33, 80])
def test_each_cell_is_a_moment_and_the_moment_is_that_cell(markers, room):
    """What a person points at is where the replay stands afterwards; a mark is one place, whichever cell is hit."""
    line = Track(FakeTransport(markers=markers), room)
    for cell in range(room):
        marker = line.marker(cell)
        if marker is None:
            assert line.cell(0, line.seconds(cell)) == cell
        else:
            assert line.marker(line.cell(marker.seq, marker.at)) is marker
    assert (line.seconds(0), line.seconds(room - 1)) == (0.0, 300.0)


def test_a_real_replay_stands_where_it_was_sent():
    """Each mark and each moment between, also in a pause of minutes in which nothing happened."""
    facts = [
        f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="c"),
        *(f.GateJudged(gate=gate.id.removeprefix("gate."), verdict=Verdict.PASSED, actual="a") for gate in plan.GATES),
        f.Halted(step="4.1", reason="no room"),
    ]
    times = (1000.0, 1200.0, 1201.0, 1500.0, 1500.5, 1503.0)
    replay = Replay(
        [f.Entry(seq=n, at=at, mono=at, actor=f.ENGINE, fact=fact)
         for n, (at, fact) in enumerate(zip(times, facts, strict=True), 1)],
        playing=False,
    )  # fmt: skip
    line = Track(replay, 60)
    assert "".join(line.cells).replace("─", "") == "✓G1✓G2✓G3✓G4✗"
    for cell in range(1, 60):
        marker = line.marker(cell)
        if marker is not None:
            replay.seek(marker.seq)
            assert line.marker(line.cell(*replay.position)) is marker
        else:
            replay.seek_seconds(line.seconds(cell))
            assert line.cell(*replay.position) == cell or replay.position == replay.duration


def test_the_replay_stands_on_a_mark_without_covering_its_name():
    """The cursor takes the sign's cell only."""
    transport = FakeTransport(markers=SPREAD, at=75)
    assert "─●G2─" in "".join(text for text, _ in pane.bar(transport, 120))


def test_the_line_stays_where_it_is():
    """Times, seqs and speeds keep their width, so that no mark moves while the replay plays."""
    shown = [FakeTransport(at=at, last=4000, speed=speed) for at in (1, 99, 3999) for speed in (0.5, 1.0, 100.0)]
    assert len({"".join(text for text, _ in pane.bar(one, 120)).index("├") for one in shown}) == 1


async def test_the_bar_takes_the_keys_and_gives_them_back():
    """b, then left and right go along it, Enter goes there; Esc leaves, and left changes the phase again."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=75))
    async with console(handle, (80, 24)) as (app, pilot):
        pane_of = app.console_screen.active
        on_mark = pane.track(handle.transport, 80).cell(75, 75)
        await pilot.press("b", "right", "l", "l", "h")
        await until(lambda: app.screen.query_one(Bar).caret == on_mark + 4, "the caret after the label")
        await shows(app, "esc leave the bar")
        assert app.console_screen.active == pane_of
        assert handle.transport.calls == []
        await pilot.press("enter")
        await until(lambda: handle.transport.calls, "a call")
        kind, seconds = handle.transport.calls[0]
        assert kind == "seconds"
        assert 75 < seconds < 90
        await pilot.press("escape", "left")
        await until(lambda: app.console_screen.active != pane_of, "another phase")
        await until(lambda: "▼" not in text_of(app), "no caret")


async def test_tab_on_the_bar_goes_from_mark_to_mark():
    """The footer names the mark; Enter goes to its seq."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle, (80, 24)) as (app, pilot):
        await pilot.press("b", "tab")
        await shows(app, "enter go to ✗ G2, 1:15")
        await pilot.press("tab")
        await shows(app, "enter go to halt 2.2, 2:30")
        await pilot.press("shift+tab", "enter")
        await until(lambda: handle.transport.calls == [("seek", 75)], "the seek")


async def test_the_bar_takes_a_persons_own_keys():
    """Who has moved left and right elsewhere moves along the bar with the same keys."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle, (80, 24), keymap={"move.right": "x", "replay.bar": "B"}) as (app, pilot):
        await pilot.press("B")
        await until(lambda: app.focused is not None, "the focus")
        caret = app.screen.query_one(Bar).caret
        await pilot.press("x", "x")
        await until(lambda: app.screen.query_one(Bar).caret == caret + 2, "two cells on")


@pytest.mark.parametrize("key", ["3", "0", "f"])
async def test_looking_elsewhere_leaves_the_bar(key):
    """A phase, the overview or a jump takes the keys along."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle) as (app, pilot):
        await pilot.press("b")
        await until(lambda: app.focused is not None, "the focus")
        await pilot.press(key)
        await until(lambda: app.focused is None and "▼" not in text_of(app), "the bar left")


async def test_a_dialog_over_the_bar_gives_the_keys_back_to_it():
    """Help and back: the caret stands where it stood."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle) as (app, pilot):
        await pilot.press("b", "tab", "question_mark")
        await dialog(app)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        await shows(app, "enter go to ✗ G2")
        await pilot.press("enter")
        await until(lambda: handle.transport.calls == [("seek", 75)], "the seek")


async def test_a_live_run_has_no_bar():
    """The key is free there."""
    async with console(FakeHandle(*mid_run())) as (app, pilot):
        await pilot.press("b")
        assert app.focused is None
        assert not app.screen.query(Bar)


async def test_the_mouse_goes_where_it_points():
    """A label is its mark; the line is its moment; the words before it are nothing."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle, (120, 40)) as (app, pilot):
        row = next(row for row in text_of(app).split("\n") if "├" in row and "×1" in row)
        for x in (2, row.index("✗G2") + 2, row.index("┤") - 1):
            await pilot.click(Bar, offset=(x, 0))
        await until(lambda: len(handle.transport.calls) == 2, "two calls")
        assert handle.transport.calls == [("seek", 75), ("seconds", 300.0)]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_bar_and_footer_say_each_key_once(size):
    """What the keys do stands in the footer alone."""
    handle = FakeHandle(*mid_run(), transport=FakeTransport(markers=SPREAD, at=1))
    async with console(handle, size) as (app, _):
        for words in ("space play", ". step", "[ ] marks", "< > speed", "b bar", ": seek", "? help", "q close"):
            assert text_of(app).count(words) == 1, words


def test_a_mark_that_is_not_a_gate_has_one_sign():
    """Halts and waivers are told apart by it."""
    assert drawn((Marker(100, 100, "halt", "halt 2.2"), Marker(200, 200, "waiver", "c"))).replace("─", "") == "✗w"
