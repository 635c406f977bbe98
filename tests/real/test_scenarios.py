"""What is wrong in the demo's scenarios, bent on real systems: the run stops where it stops on the demo's."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from ray_tui.demo import scenario
from tests.real.systems import HEADLESS, RUN_SECONDS, Command, RealSystems, ray
from tests.side_by_side import asked_for, carried_out

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
LANES = 2
Ended = tuple[Command, dict[str, list[dict[str, Any]]]]
"""The run's process, and what each Alertmanager held afterwards."""


@pytest.fixture(scope="module")
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ended]]]:
    """Scenario -> its run, once that has ended; each on systems of its own."""
    folders = {name: tmp_path_factory.mktemp(name) for name in asked_for(request, "name")}

    async def run(name: str) -> Ended:
        async with RealSystems(folders[name], scenario.load(name)) as systems:
            ended = await ray(systems.repository, *HEADLESS, seconds=RUN_SECONDS)
            return ended, await asyncio.to_thread(systems.peers.alerts)

    with carried_out(folders, lambda name: asyncio.run(run(name)), LANES) as found:
        yield found


@pytest.mark.parametrize("name", ["regression", "misrouted-alert", "noisy-alerts"])
def test_a_run_stops_where_something_is_wrong(name: str, ended: dict[str, Future[Ended]]) -> None:
    """Slow histograms, a real routing tree that loses alerts, a stored history of false alarms. (P58)"""
    bent = scenario.load(name)
    run, left = ended[name].result()
    assert run.code == bent.exit_code, run.said
    assert json.loads(run.out)["halted_at"] == bent.stops_at, run.said
    assert not [one for alerts in left.values() for one in alerts if one["labels"]["alertname"].startswith("RayTui")]
