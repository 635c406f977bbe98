"""`ray-tui baseline`, the seed's collect_perf.py: what it writes, and what becomes of the file that was there."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ray_tui import wiring
from ray_tui.cli.app import app
from ray_tui.clock import Clock, iso
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.ports import Ports
from ray_tui.evidence.baselines import kept_name
from tests.actions.test_baseline import measured, prior
from tests.fakes import InMemoryMetrics, all_ports

OUTPUT = Path(".artifacts/monitoring/baseline-metrics.json")
Capture = Callable[..., int]


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capture:
    """Run the command in a folder whose release was deployed an hour ago, against this metrics store."""
    monkeypatch.chdir(tmp_path)
    deployed = f'deployed_at = "{iso(Clock().wall() - 3600)}"\n'
    catalogue = "[services.checkout]\ncritical = true\nchanged = 'modified'\n"
    store: list[InMemoryMetrics] = []

    @asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[Ports]:
        yield all_ports(metrics=store[-1])

    monkeypatch.setattr(wiring, "open_ports", opened)

    def run(*flags: str, metrics: InMemoryMetrics | None = None, known: bool = True) -> int:
        store.append(metrics or measured())
        (tmp_path / "ray-tui.toml").write_text(f'[run]\nrelease = "v2"\n{deployed if known else ""}{catalogue}')
        return int(app(["baseline", "--output", str(OUTPUT), *flags], standalone_mode=False))

    return run


def stands(data: bytes) -> None:
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_bytes(data)


def down() -> InMemoryMetrics:
    return InMemoryMetrics(trouble=BackendUnreachable("metrics", "refused"))


def test_it_measures_and_writes_the_named_file(capture: Capture, capsys: Any) -> None:
    """--env is the environment that the file says it is of, --output is the file; exit 0. (P31)"""
    assert capture("--env", "canary") == 0
    assert "no question selected the environment canary" in capsys.readouterr().out
    twin = json.loads(OUTPUT.read_text())
    assert (twin["environment"], twin["release"], twin["verdict"]) == ("canary", "v2", "passed")
    assert {row["n"] for row in twin["body"]["kpis"]} == {60}


def test_the_baseline_that_was_there_is_compared_with_and_kept(capture: Capture, capsys: Any) -> None:
    """The seed's literal output path is the published baseline: its bytes stay, under the name that is said. (P31)"""
    stands(prior(0.1, "v1"))
    assert capture() == 1
    body = json.loads(OUTPUT.read_text())["body"]
    kept = OUTPUT.with_name(kept_name(prior(0.1, "v1")))
    assert kept.read_bytes() == prior(0.1, "v1")
    assert (body["prior"]["file"], body["rotated"]) == (kept.name, kept.name)
    assert kept.name in capsys.readouterr().out


def test_capturing_twice_keeps_both_and_compares_with_the_same_prior(capture: Capture) -> None:
    """The first capture of this release is kept too; the second is compared with the release before."""
    stands(prior(0.1, "v1"))
    capture()
    first = OUTPUT.read_bytes()
    assert capture() == 1
    assert OUTPUT.with_name(kept_name(first)).read_bytes() == first
    assert json.loads(OUTPUT.read_text())["body"]["prior"]["release"] == "v1"


@pytest.mark.parametrize("metrics", [down(), InMemoryMetrics()], ids=["down", "silent"])
def test_what_measured_nothing_replaces_no_baseline(capture: Capture, capsys: Any, metrics: InMemoryMetrics) -> None:
    """With metrics down or silent the baseline that was there stays as it is, and the answer says so."""
    stands(prior(0.1, "v1"))
    assert capture(metrics=metrics) == 3
    assert OUTPUT.read_bytes() == prior(0.1, "v1")
    assert "not written" in capsys.readouterr().out


def test_a_file_that_is_no_baseline_is_kept_as_it_was(capture: Capture) -> None:
    """What cannot be read is no pass, and is not lost."""
    stands(b"{ half a file")
    assert capture() == 3
    assert OUTPUT.with_name(kept_name(b"{ half a file")).read_bytes() == b"{ half a file"


def test_without_a_deploy_time_it_does_not_pass(capture: Capture) -> None:
    """Nobody knows whether the samples were taken after the deploy: exit 3. (P30)"""
    assert capture(known=False) == 3
    (captured,) = (c for c in json.loads(OUTPUT.read_text())["criteria"] if c["id"] == "baseline.captured")
    assert captured["verdict"] == "inconclusive"
