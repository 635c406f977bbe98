"""The demo's papers are of the published shape and true of its world."""

import json
from pathlib import Path

import pytest

from ray_tui.actions import review_deployment
from ray_tui.actions.prior_baseline import read_prior
from ray_tui.core.plan import INPUTS_OPTIONAL, INPUTS_REQUIRED
from ray_tui.core.verdicts import Verdict
from ray_tui.demo import artifacts, scenario
from ray_tui.demo.world import DEPLOYED_BEFORE_START_SECONDS, SERVICES
from tests.fakes import NOW, FakeContext, a_config

DEPLOYED = NOW - DEPLOYED_BEFORE_START_SECONDS


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / ".artifacts" / "deployment"
    artifacts.write_artifacts(folder, scenario.load("healthy"), DEPLOYED, NOW)
    return folder


def test_all_seven_input_files_are_there(written: Path) -> None:
    """The four required and the three optional inputs, and nothing else."""
    assert {path.name for path in written.iterdir()} == {*INPUTS_REQUIRED, *INPUTS_OPTIONAL}


async def test_the_review_passes_on_them(written: Path) -> None:
    """1.1 finds them consistent, and names every service of the demo."""
    config = a_config(run={"deployed_at": None}, services=dict.fromkeys(("checkout", "payments", "search")))
    result = await review_deployment.run(FakeContext(written.parents[1], config=config))

    assert result.verdict is Verdict.PASSED
    assert [row["name"] for row in result.data["services"]] == [service.name for service in SERVICES]
    assert result.data["deployed_at"] == pytest.approx(DEPLOYED, abs=0.001)
    assert result.data["warnings"] == []


def test_the_prior_baseline_ended_before_the_deploy(written: Path) -> None:
    """It is of the release before, has enough samples, and says nothing of a service that did not exist."""
    prior = read_prior((written / "baseline-metrics.json").read_bytes(), "baseline-metrics.json")

    assert prior.problem == ""
    assert prior.release != artifacts.RELEASE
    assert prior.window is not None
    assert prior.window.end < DEPLOYED
    assert len(prior.samples["checkout", "latency_p99"]) >= 20
    assert ("recommendations", "latency_p99") not in prior.samples


def test_the_same_world_gives_the_same_files(written: Path, tmp_path: Path) -> None:
    """Nothing in them depends on when they were written."""
    artifacts.write_artifacts(tmp_path / "again", scenario.load("healthy"), DEPLOYED, NOW)
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_regression_is_not_in_the_prior(written: Path, tmp_path: Path) -> None:
    """The prior is from before the deploy: a scenario that slows the release down leaves it as it was."""
    artifacts.write_artifacts(tmp_path / "slow", scenario.load("regression"), DEPLOYED, NOW)
    name = "baseline-metrics.json"
    assert json.loads((written / name).read_text()) == json.loads((tmp_path / "slow" / name).read_text())
