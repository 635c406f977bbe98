"""A run whose process is killed while real pages are out, and the one that goes on with it."""

import asyncio
from pathlib import Path

import pytest

from ray_tui.clock import Clock
from ray_tui.demo import scenario
from tests.real.systems import HEADLESS, RUN_SECONDS, RealSystems, assert_paged_once, launch, probes_of, ray

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


async def test_a_run_that_is_killed_while_pages_are_out_goes_on_and_pages_nobody_again(tmp_path: Path) -> None:
    """After kill -9 in the middle of 2.2 the resumed run passes, each person was paged once, nothing is left."""
    clock = Clock()
    async with RealSystems(tmp_path, scenario.load("healthy")) as systems:
        first = await launch(systems.repository, *HEADLESS)
        deadline = clock.monotonic() + 60
        while not systems.pagerduty.pages_sent and first.returncode is None and clock.monotonic() < deadline:
            await asyncio.sleep(0.02)
        was_running = first.returncode is None
        if was_running:
            first.kill()
        _, said = await first.communicate()
        assert was_running, said.decode()[-3000:]
        assert systems.pagerduty.pages_sent, said.decode()[-3000:]
        before = set(probes_of(systems.repository))

        resumed = await ray(systems.repository, *HEADLESS, "--resume", seconds=RUN_SECONDS)

        left = await asyncio.to_thread(systems.peers.alerts)
    assert resumed.code == 0, resumed.said
    probes = probes_of(systems.repository)
    assert before <= set(probes)
    assert_paged_once(systems, probes)
    assert all(probe.cleared is not None and probe.cleared.clean for probe in probes.values())
    assert {one["labels"]["alertname"] for alerts in left.values() for one in alerts} == {"Watchdog"}
