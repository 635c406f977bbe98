"""Every scenario ends where its file says, with the exit code that its file says, and names what it measured."""

import json

import pytest

from ray_tui.core import plan
from ray_tui.demo import scenario as scenario_files
from tests.e2e.demo import ray_tui
from tests.side_by_side import asked_for, carried_out

LANES = 2
SAID = {
    "missing-coverage": "checkout",
    "regression": "checkout",
    "dead-panel": "Latency p99 is broken",
    "rule-without-threshold": "threshold",
    "misrouted-alert": "payments",
    "lost-page": "pd-payments",
    "late-ack": "ack",
    "broken-escalation": "escalat",
    "noisy-alerts": "CartHighErrorRatio",
    "missed-incident": "search",
    "unowned-check": "ghost-team",
    "stale-approval": "approved release checkout-v2.4.0, not checkout-v2.4.1",
    "metrics-down": "metrics",
}
"""A word that the reason must hold: the thing that is wrong in that world."""


@pytest.fixture(scope="module")
def ended(request, tmp_path_factory):
    """Scenario -> (folder, process) of its demo, once that has ended."""
    folders = {name: tmp_path_factory.mktemp(name) / "demo" for name in asked_for(request, "name")}

    def demo(name):
        return folders[name], ray_tui("demo", "--headless", "--json", "--scenario", name, "--dir", folders[name])

    with carried_out(folders, demo, LANES) as found:
        yield found


@pytest.mark.parametrize("name", ["healthy"])
def test_healthy_passes_with_every_artifact(ended, name):
    """The demo's main job: exit 0, every artifact of the plan, all gates passed, both folders written. (P74, P92)"""
    folder, done = ended[name].result()
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert all(summary["verdicts"][gate.id] == "passed" for gate in plan.GATES)
    store = folder / ".artifacts" / "monitoring"
    for action in plan.ACTIONS:
        for artifact in action.artifacts:
            assert (store / artifact.name).is_file(), artifact.name
    assert (folder / ".cursor" / "context-kit" / "monitoring-summary.md").is_file()
    assert ray_tui("verify", store).returncode == 0
    gates = ray_tui("gates", "--evidence", store, "--config", folder / "ray-tui.toml", "--json")
    assert gates.returncode == 0, gates.stdout


@pytest.mark.parametrize("name", [name for name in scenario_files.names() if name != "healthy"])
def test_one_thing_wrong_stops_the_run_there(ended, name):
    """Exit code, place and measured reason are the scenario's own."""
    scenario = scenario_files.load(name)
    _, done = ended[name].result()
    summary = json.loads(done.stdout)
    assert done.returncode == scenario.exit_code, summary["why"] + done.stderr
    assert summary["halted_at"] == scenario.stops_at, summary["why"]
    assert SAID[name] in summary["why"]
    assert "[RAY ERROR]" in done.stderr
