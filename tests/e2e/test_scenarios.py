"""Every scenario ends where its file says, with the exit code that its file says, and names what it measured."""

import json

import pytest

from ray_tui.core import plan
from ray_tui.demo import scenario as scenario_files
from tests.e2e.demo import ray_tui

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


def test_healthy_passes_with_every_artifact(tmp_path):
    """The demo's main job: exit 0, every artifact of the plan, all gates passed, both folders written. (P74, P92)"""
    done = ray_tui("demo", "--headless", "--json", "--dir", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert all(summary["verdicts"][gate.id] == "passed" for gate in plan.GATES)
    store = tmp_path / ".artifacts" / "monitoring"
    for action in plan.ACTIONS:
        for artifact in action.artifacts:
            assert (store / artifact.name).is_file(), artifact.name
    assert (tmp_path / ".cursor" / "context-kit" / "monitoring-summary.md").is_file()
    assert ray_tui("verify", store).returncode == 0
    gates = ray_tui("gates", "--evidence", store, "--config", tmp_path / "ray-tui.toml", "--json")
    assert gates.returncode == 0, gates.stdout


@pytest.mark.parametrize("name", [name for name in scenario_files.names() if name != "healthy"])
def test_one_thing_wrong_stops_the_run_there(tmp_path, name):
    """Exit code, place and measured reason are the scenario's own."""
    scenario = scenario_files.load(name)
    done = ray_tui("demo", "--headless", "--json", "--scenario", name, "--dir", tmp_path)
    summary = json.loads(done.stdout)
    assert done.returncode == scenario.exit_code, summary["why"] + done.stderr
    assert summary["halted_at"] == scenario.stops_at, summary["why"]
    assert SAID[name] in summary["why"]
    assert "[RAY ERROR]" in done.stderr
