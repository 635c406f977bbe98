"""A run whose process is killed while a pushed series makes a permanent rule fire, and the one that goes on with it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import probe_pushed
from ray_tui.clock import Clock
from ray_tui.demo import scenario
from tests.real.systems import (
    HEADLESS,
    RUN_SECONDS,
    RealSystems,
    get,
    launch,
    probes_of,
    ray,
    wait_until,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

RECEIVER, METRIC = "slack-release", "ray_tui_probe_until"


def gateway_of(systems: RealSystems) -> str:
    (job,) = [one for one in systems.prometheus.config["scrape_configs"] if one["job_name"] == "pushgateway"]
    return f"http://{job['static_configs'][0]['targets'][0]}"


def pushed(gateway: str) -> list[dict[str, Any]]:
    """Groups of ours that the gateway holds."""
    return [one["labels"] for one in get(f"{gateway}/api/v1/metrics")["data"] if "ray_tui_probe" in one["labels"]]


def with_pusher(systems: RealSystems) -> str:
    """The permanent rule is loaded, and the configuration says to push; answers the gateway's address."""
    gateway = gateway_of(systems)
    (systems.rule_dir / "permanent.yml").write_text(probe_pushed.rule_text(METRIC), encoding="utf-8")
    import httpx

    httpx.post(f"{systems.prometheus.url}/-/reload", timeout=5, trust_env=False).raise_for_status()
    wait_until(
        lambda: [one["health"] for one in systems.prometheus.rules().get("permanent.yml", ())] == ["ok"],
        "the permanent rule is well",
    )
    path = systems.repository / "ray-tui.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count("[alert_paths]\n") == 1
    probing = f'[alert_paths]\nrule_probe_receiver = "{RECEIVER}"\npush_seconds = 20\n'
    text = text.replace("[alert_paths]\n", probing)
    path.write_text(f'{text}\n[pusher]\nkind = "pushgateway"\nurl = "{gateway}"\n', encoding="utf-8")
    return gateway


async def test_a_push_of_a_killed_run_is_taken_back_by_the_next(tmp_path: Path) -> None:
    """kill -9 while it is pushed: its intent is on disk; the resumed run deletes it and pushes nothing. (P40 P43)"""
    clock = Clock()
    async with RealSystems(tmp_path, scenario.load("healthy")) as systems:
        gateway = await asyncio.to_thread(with_pusher, systems)
        first = await launch(systems.repository, *HEADLESS)
        deadline = clock.monotonic() + 120
        held: list[dict[str, Any]] = []
        while not held and first.returncode is None and clock.monotonic() < deadline:
            held = await asyncio.to_thread(pushed, gateway)
            await asyncio.sleep(0.01)
        was_running = first.returncode is None
        if was_running:
            first.kill()
        out, said = await first.communicate()
        assert was_running, (out + said).decode()[-3000:]
        (group,) = held
        (intended,) = [one for one in probes_of(systems.repository).values() if one.intended.how == "rule"]
        assert intended.intended.labels["ray_tui_probe"] == group["ray_tui_probe"]
        assert await asyncio.to_thread(pushed, gateway) == held  # nobody was left to take it back

        resumed = await ray(systems.repository, *HEADLESS, "--resume", seconds=RUN_SECONDS)

        left = await asyncio.to_thread(pushed, gateway)
        still = await asyncio.to_thread(systems.peers.alerts)
    probes = {one.intended.id: one for one in probes_of(systems.repository).values()}
    ruled = [one for one in probes.values() if one.intended.how == "rule"]
    assert [one.intended.id for one in ruled] == [intended.intended.id], resumed.said
    assert left == []
    assert ruled[0].cleared is not None
    assert ruled[0].cleared.clean, ruled[0].cleared.left
    assert {one["labels"]["alertname"] for alerts in still.values() for one in alerts} == {"Watchdog"}
    assert resumed.code != 0  # what it was to prove is not proved, and nobody waived that
    twin = systems.repository / ".artifacts" / "monitoring" / "alert-test-results.json"
    criteria = {one["id"]: one["verdict"] for one in json.loads(twin.read_text(encoding="utf-8"))["criteria"]}
    assert criteria[f"alert_paths.rule:{RECEIVER}"] == "inconclusive"
    assert criteria["alert_paths.clean"] == "passed"
