"""What `ray-tui init` writes works: the example loads, the seed's literal command lines run, the workflow judges."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ray_tui import config, scaffold
from ray_tui.core import plan
from ray_tui.core.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A user's repository after `ray-tui init --scripts --workflow`, with one piece of evidence."""
    folder = tmp_path_factory.mktemp("repo")
    scaffold.write(folder, scripts=True, workflow=True)
    store = folder / ".artifacts" / "monitoring"
    store.mkdir(parents=True)
    (store / "instrumentation-audit.json").write_text(
        json.dumps({"artifact": "instrumentation-audit.json", "schema": 1, "release": "v1", "criteria": [], "body": {}})
    )
    return folder


def python(repo, *command):
    """A literal command line of the seed, in that repository."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *command], cwd=repo, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_configuration_that_is_written_loads(tmp_path):
    """It is the documented example."""
    assert scaffold.write(tmp_path) == [(tmp_path / "ray-tui.toml", True)]
    assert config.load(tmp_path / "ray-tui.toml").run.release


def test_what_exists_is_kept(tmp_path):
    """A second init changes nothing."""
    (tmp_path / "ray-tui.toml").write_text("mine")
    written = dict(scaffold.write(tmp_path, scripts=True))
    assert written[tmp_path / "ray-tui.toml"] is False
    assert (tmp_path / "ray-tui.toml").read_text() == "mine"
    assert set(scaffold.write(tmp_path, scripts=True)) == {(path, False) for path in written}


def test_a_folder_in_the_way_is_named(tmp_path):
    """Not silently kept as if it were a configuration."""
    (tmp_path / "ray-tui.toml").mkdir()
    with pytest.raises(InputError, match="in the way"):
        scaffold.write(tmp_path)


def test_the_scripts_are_those_of_the_seed(repo):
    """All eight names, to the letter, executable. (P83, P84, P85)"""
    assert tuple(script.name for script in scaffold.SCRIPTS) == plan.HOOKS
    for name in plan.HOOKS:
        assert stat.S_IMODE((repo / "scripts" / name).stat().st_mode) == 0o755


def test_the_gate_scripts_judge_and_never_pass_on_nothing(repo):
    """Gates 1 to 4 with the seed's flags, over evidence that is not enough. (P75, P76, P77, P78)"""
    for command in (
        ("scripts/validate_gate_12_instrumentation.py", "--threshold", "0.95"),
        ("scripts/validate_gate_12_alerts.py", "--sla", "5"),
        ("scripts/validate_gate_12_assurance.py",),
        ("scripts/validate_gate_12_handoff.py", "--threshold", "0.95"),
    ):
        done = python(repo, *command)
        assert done.returncode in (1, 3), (command, done.stderr)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        assert "[RAY GATE FAILED: " in done.stdout


def test_a_gate_script_hands_its_flags_through(repo):
    """--json and a threshold out of range arrive at the subcommand."""
    done = python(repo, "scripts/validate_gate_12_instrumentation.py", "--json")
    assert json.loads(done.stdout)["id"] == "gate.instrumentation"
    assert python(repo, "scripts/validate_gate_12_instrumentation.py", "--nonsense").returncode == 2


def test_all_gates_are_judged_by_one_script(repo):
    """run_protocol_12_gates.py is what CI calls. (P85)"""
    done = python(repo, "scripts/run_protocol_12_gates.py", "--json")
    assert done.returncode in (1, 3), done.stderr
    assert [one["id"] for one in json.loads(done.stdout)] == [gate.id for gate in plan.GATES]


def test_the_evidence_is_aggregated_with_its_hashes(repo):
    """aggregate_evidence_12.py --output writes the index. (P84)"""
    done = python(repo, "scripts/aggregate_evidence_12.py", "--output", ".artifacts/monitoring/")
    assert done.returncode == 0, done.stderr
    store = repo / ".artifacts" / "monitoring"
    index = json.loads((store / "evidence-index.json").read_text())
    digest = hashlib.sha256((store / "instrumentation-audit.json").read_bytes()).hexdigest()
    assert digest in json.dumps(index)


def test_the_prerequisites_script_fails_closed_where_no_system_answers(tmp_path):
    """validate_prerequisites_12.py names what is missing. (P83)"""
    scaffold.write(tmp_path, scripts=True)
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    done = python(tmp_path, "scripts/validate_prerequisites_12.py", "--json")
    assert done.returncode in (1, 3), done.stderr
    assert "post-deployment-validation.json" in done.stdout


def test_the_performance_script_takes_the_seed_s_flags(tmp_path):
    """collect_perf.py --env --output; without a metrics store it is no pass. (P31)"""
    scaffold.write(tmp_path, scripts=True)
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    output = ".artifacts/monitoring/baseline-metrics.json"
    done = python(tmp_path, "scripts/collect_perf.py", "--env", "production", "--output", output)
    assert done.returncode in (1, 3), done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_without_ray_tui_says_so(repo, tmp_path):
    """Exit 2, as a missing program is no failed gate."""
    script = repo / "scripts" / "run_protocol_12_gates.py"
    done = subprocess.run([sys.executable, "-S", "-E", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "not installed" in done.stderr


def test_the_workflow_is_the_seed_s(repo):
    """Its name, its cron, its trigger by hand, and the literal script; read-only. (P86)"""
    text = (repo / scaffold.WORKFLOW).read_text()
    workflow = yaml.safe_load(text)
    assert workflow["name"] == "Protocol 19 Validation"
    assert workflow[True] == {"schedule": [{"cron": "*/30 * * * *"}], "workflow_dispatch": None}
    assert workflow["permissions"] == {"contents": "read"}
    steps = {step["name"]: step for step in workflow["jobs"]["validate"]["steps"]}
    assert steps["Run Protocol 19 Gates"]["run"] == "python scripts/run_protocol_12_gates.py"


def test_a_workflow_alone_brings_the_script_that_it_calls(tmp_path):
    """Otherwise its first run would fail."""
    written = {path.name for path, _ in scaffold.write(tmp_path, workflow=True)}
    assert written == {"ray-tui.toml", "run_protocol_12_gates.py", "protocol-12-gates.yml"}
