"""A finished run shown again: where one can go, and that what is shown depends on the place alone."""

import asyncio

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.handle import Rewound
from ray_tui.core.readings import Gauges, Reading
from ray_tui.core.verdicts import Verdict
from ray_tui.handles.replay import Replay
from ray_tui.tui.player import where

T0 = 1_763_812_500.0


def a_journal(pause=10.0):
    facts = [
        f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="c"),
        f.StepStarted(step="2.2"),
        f.Halted(step="2.2", reason="late"),
        *(f.GateJudged(gate=gate.id.removeprefix("gate."), verdict=Verdict.PASSED, actual="a") for gate in plan.GATES),
        f.Announced(step="4.3", text="over"),
    ]
    return [f.Entry(seq=n, at=T0 + n * pause, mono=n * pause, actor=f.ENGINE, fact=fact)
            for n, fact in enumerate(facts, 1)]  # fmt: skip


@pytest.mark.parametrize("text", ["gate.handoff", "handoff", "gate 4", "G4", "g4", "Gate 4"])
def test_a_gate_is_found_by_every_name_that_it_has(text):
    """What the seek dialog names as an example is a place of a real replay."""
    gate = next(n for n, entry in enumerate(a_journal(), 1) if getattr(entry.fact, "gate", "") == "handoff")
    assert where(text, Replay(a_journal()).markers) == ("seq", gate)


def test_a_step_is_found_where_it_began():
    """A step's id means its first marker, not its halt."""
    assert where("2.2", Replay(a_journal()).markers) == ("seq", 2)


async def test_graphs_are_the_same_whichever_way_one_came():
    """A step back clears the graphs, and the tape is given again up to there. A replay without a tape says so."""
    tape = [Reading(series="s", at=T0 + n, value=n) for n in range(36)]  # older than both places
    replay, gauges = Replay(a_journal(), tape, playing=False), Gauges()

    async def entries():
        async for entry in replay.entries():
            if isinstance(entry, Rewound):
                gauges.series.clear()

    async def readings():
        async for reading in replay.readings():
            gauges.add(reading)

    def shown():
        return [value for _, value in gauges.series["s"].points] if "s" in gauges.series else []

    async def comes(last):
        async with asyncio.timeout(15):
            while shown() != list(range(last + 1)):
                await asyncio.sleep(0.02)

    followers = [asyncio.create_task(entries()), asyncio.create_task(readings())]
    replay.seek(5)
    await comes(35)
    replay.seek(4)
    async with asyncio.timeout(15):
        while shown():
            await asyncio.sleep(0)
    await comes(35)
    for task in followers:
        task.cancel()
    assert replay.has_graphs
    assert not Replay(a_journal()).has_graphs


async def test_time_goes_on_between_two_facts():
    """In a pause the replay's clock moves, and never past the next fact."""
    replay = Replay(a_journal(pause=100.0))
    replay.seek(1)
    follower = asyncio.create_task(anext(aiter(_after_first(replay))))
    async with asyncio.timeout(15):
        while not 0 < replay.position[1] < 100:
            await asyncio.sleep(0.01)
        assert replay.position[0] == 1
        await follower
    assert replay.position[1] >= 100


def test_a_moment_between_two_facts_is_a_place():
    """To seek into a pause stands in it, between what was known before and what came after."""
    replay = Replay(a_journal(pause=100.0), playing=False)
    replay.seek_seconds(130.0)
    assert replay.position == (2, pytest.approx(130.0))
    replay.seek_seconds(10_000.0)
    assert replay.position == replay.duration


def test_markers_count_from_the_first_entry():
    """As the position and the duration do."""
    assert [marker.at for marker in Replay(a_journal()).markers[:2]] == [10.0, 20.0]


def test_a_replay_at_its_end_does_not_play():
    """Play from there begins again."""
    replay = Replay(a_journal())
    replay.seek(99)
    assert not replay.playing
    replay.play()
    assert (replay.playing, replay.position[0]) == (True, 0)


async def _after_first(replay):
    async for entry in replay.entries():
        if entry.seq > 1:
            yield entry
