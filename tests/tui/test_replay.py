"""A replay is the same screen with a transport bar; nothing in it can change the run."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core.handle import Marker
from ray_tui.tui.player import next_speed, where
from tests.tui.fake_handle import T0, FakeHandle, FakeTransport, mid_run, opened, until
from tests.tui.on_screen import console, dialog, notices, shows, text_of

MARKERS = (
    Marker(10, 10, "action", "1.1 Review", "1.1"),
    Marker(40, 40, "gate", "✓ G1", "gate.instrumentation"),
    Marker(90, 90, "halt", "halt 2.2", "2.2"),
    Marker(120, 120, "waiver", "W1", "W1"),
    Marker(300, 300, "end", "end", "end"),
)


def replay(*facts: f.Fact) -> tuple[FakeHandle, FakeTransport]:
    transport = FakeTransport(markers=MARKERS, at=50)
    return FakeHandle(*(facts or mid_run()), transport=transport), transport


async def test_the_transport_bar_shows_place_speed_and_markers():
    """Position, duration, speed and the markers stand on one line."""
    handle, _ = replay()
    async with console(handle, (120, 40)) as (app, _):
        await shows(app, "0:50 / 5:00  ×1")
        bar = next(row for row in text_of(app).split("\n") if "0:50 / 5:00" in row)
        assert [bar.count(mark) for mark in "✓✗w"] == [1, 1, 1]
        assert "REPLAY" in text_of(app)


@pytest.mark.parametrize(
    ("key", "call"),
    [
        ("space", ("play", 0)),
        ("full_stop", ("step", 0)),
        ("right_square_bracket", ("seek", 90)),
        ("left_square_bracket", ("seek", 40)),
        ("greater_than_sign", ("speed", 2.0)),
        ("less_than_sign", ("speed", 0.5)),
    ],
)
async def test_each_key_moves_the_transport(key, call):
    """Space, dot, brackets and angles do what they say."""
    handle, transport = replay()
    async with console(handle) as (_, pilot):
        await pilot.press(key)
        await until(lambda: transport.calls, "a call")
        assert transport.calls == [call]
        if key == "space":
            await pilot.press("space")
            await until(lambda: len(transport.calls) == 2, "the pause")
            assert transport.calls[1] == ("pause", 0)


@pytest.mark.parametrize(
    ("typed", "call"),
    [("2:05", ("seconds", 125.0)), ("214", ("seek", 214)), ("2.2", ("seek", 90)), ("W1", ("seek", 120))],
)
async def test_seek_takes_a_time_a_seq_or_a_step(typed, call):
    """The colon asks where to."""
    handle, transport = replay()
    async with console(handle) as (app, pilot):
        await pilot.press("colon")
        await dialog(app)
        await pilot.press(*typed, "enter")
        await until(lambda: transport.calls, "a call")
        assert transport.calls == [call]


async def test_a_place_that_is_not_there_is_said():
    """Nonsense moves nothing."""
    handle, transport = replay()
    async with console(handle) as (app, _):
        app.player.seek("tomorrow")
        await until(lambda: "no time, seq or step" in notices(app), "the notice")
        assert transport.calls == []


async def test_a_rewind_begins_the_state_again():
    """After Rewound only what follows is shown."""
    handle, _ = replay()
    async with console(handle, (120, 40)) as (app, _):
        await shows(app, "pd-payments")
        handle.rewind()
        handle.feed(*opened())
        await until(lambda: app.state.seq == handle.seq and not app.state.probes, "a young state")
        await until(lambda: "pd-payments" not in text_of(app), "the old probes gone")


async def test_a_replay_asks_nothing_and_submits_nothing():
    """Prompts and halts of the past open no dialog, and the keys of decisions submit nothing."""
    raised = f.PromptRaised(id="q", step="2.2", prompt="confirm", title="Shall we?", text="")
    handle, _ = replay(*mid_run(), raised)
    async with console(handle, show_mission=True) as (app, pilot):
        await shows(app, "checkout v2.4.1")
        assert app.screen is app.console_screen
        await pilot.press("p")
        await until(lambda: "Nothing waits" in notices(app), "the notice")
        for key in ("n", "t", "r", "w", "m", "g"):
            await pilot.press(key)
            await until(lambda: not app._opening, "settled")
            if app.screen is not app.console_screen:
                pytest.fail(f"{key} opened {app.screen}")
        assert handle.submitted == []


async def test_replay_keys_do_nothing_on_a_live_run():
    """Space and brackets are free there."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, pilot):
        await pilot.press("space", "right_square_bracket", "colon")
        assert app.screen is app.console_screen


def test_speeds_stay_between_a_half_and_a_hundred():
    """Faster and slower step through fixed speeds and stop at the ends."""
    assert [next_speed(1, 1), next_speed(100, 1), next_speed(0.5, -1), next_speed(3, -1)] == [2.0, 100.0, 0.5, 2.0]


def test_where_reads_hours_too():
    """1:02:03 is a time."""
    assert where("1:02:03", ()) == ("seconds", 3723.0)
    assert where("1:02:03", (), T0, 4000.0) == ("seconds", 3723.0), "no clock of that run, but a time into it"
    assert where("nowhere", MARKERS) == ("", 0.0)


async def test_the_palette_of_a_replay_plays_and_seeks():
    """Its keys by name, every marker as a place; leaving it says nothing of a run that goes on."""
    from ray_tui.tui.commands import items

    handle, transport = replay()
    async with console(handle) as (app, _):
        named = {name: (says, do) for name, says, do in items(app)}
        assert "Detach" not in named
        assert "goes on" not in "".join(says for says, _ in named.values())
        assert "Abort the run" not in named
        for name in ("Play", "Go to halt 2.2", "Faster", "Mark before"):
            named[name][1]()
        assert transport.calls == [("play", 0), ("seek", 90), ("speed", 2.0), ("seek", 40)]
        assert "Pause" in {name for name, _, _ in items(app)}
        assert {"Go to 1.1 Review Deployment Outputs", "Go to Instrumentation Coverage Gate"} <= set(named)


async def test_the_help_of_a_replay_lists_what_works_there():
    """No key of a decision, and the transport's."""
    handle, _ = replay()
    async with console(handle, (120, 40)) as (app, pilot):
        await pilot.press("question_mark")
        text = (await dialog(app)).text_shown()
        assert "play or pause" in text
        assert "retry the halted step" not in text
        assert "take the driver" not in text


async def test_nobody_is_missed_at_the_wheel_of_a_replay():
    """A headless run had no driver: that is no warning afterwards. Who drove is named."""
    alone, _ = replay(*opened()[:2])
    async with console(alone, (160, 40)) as (app, _):
        await shows(app, "REPLAY")
        assert "driving" not in text_of(app)
    driven, _ = replay()
    async with console(driven, (160, 40)) as (app, _):
        await shows(app, "driving: mira")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("11:56:30", ("seconds", 90.0)), ("11:56:30Z", ("seconds", 90.0)), ("11:55:00", ("seconds", 0.0)),
        ("11:57", ("seconds", 120.0)), ("2:05", ("seconds", 125.0)), ("11:54:59", ("outside", 0.0)),
        ("20:36:30", ("outside", 0.0)), ("99:99:99", ("outside", 0.0)), ("5:12", ("outside", 0.0)),
    ],
)  # fmt: skip
def test_a_time_of_the_clock_is_one_where_the_run_has_it(typed, found):
    """As the event log prints it; what the run does not have is not taken for its end."""
    assert where(typed, MARKERS, T0 + 0.7, 300.0) == found


def test_a_run_over_midnight_has_the_clock_of_both_days():
    """From 23:58 to 00:03."""
    midnight = T0 - T0 % 86_400
    assert where("00:01:00", (), midnight - 120, 300.0) == ("seconds", 180.0)
    assert where("23:59:00", (), midnight - 120, 300.0) == ("seconds", 60.0)


async def test_seek_says_that_the_run_has_no_such_time():
    """The hint names a clock time of this very run; another one is refused with the run's own span."""
    handle, transport = replay()
    async with console(handle) as (app, pilot):
        await pilot.press(":")
        await shows(app, "of the clock (11:57:31)")
        await pilot.press(*"20:36:30", "enter")
        await until(lambda: "20:36:30 is not within this run: it went from 11:55:01 to 12:00:01 UTC" in notices(app),
                    "the notice")  # fmt: skip
        assert transport.calls == []
        app.player.seek("11:56:31")
        assert transport.calls == [("seconds", 90.0)]
