"""What is wrong in the demo's scenarios, bent on real systems: the run stops where it stops on the demo's."""

import asyncio
import json
from pathlib import Path

import pytest

from ray_tui.demo import scenario
from tests.real.systems import HEADLESS, RUN_SECONDS, RealSystems, ray

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@pytest.mark.parametrize("name", ["regression", "misrouted-alert", "noisy-alerts"])
async def test_a_run_stops_where_something_is_wrong(name: str, tmp_path: Path) -> None:
    """Slow histograms, a real routing tree that loses alerts, a stored history of false alarms. (P58)"""
    bent = scenario.load(name)
    async with RealSystems(tmp_path, bent) as systems:
        run = await ray(systems.repository, *HEADLESS, seconds=RUN_SECONDS)
        left = await asyncio.to_thread(systems.peers.alerts)
    assert run.code == bent.exit_code, run.said
    assert json.loads(run.out)["halted_at"] == bent.stops_at, run.said
    assert not [one for alerts in left.values() for one in alerts if one["labels"]["alertname"].startswith("RayTui")]
