"""Killed around the pager's test event, a reload, a saved dashboard and an annotation, then resumed: once each."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_tui.core import plan
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Verdict
from tests.e2e.demo import Stack
from tests.e2e.kill_host import MOMENTS, Death
from tests.e2e.killing import KILLED, Hosts, a_demo, addresses, begun, criterion, state_of

pytestmark = pytest.mark.timeout(300)
CHANGES = {"reload": "/-/reload", "dashboard": "/api/dashboards/db", "annotation": "/api/annotations"}
"""What 2.1 intends, in its order, and the address that is POSTed to."""


@dataclass
class Changed:
    """One run of 2.1 that was killed at three changes."""

    ended: list[int]
    state: RunState
    versions: tuple[int, int]
    """Of the dashboard, before and after."""
    annotations: int


def grafana(stack: Stack, path: str) -> Any:
    url = f"{addresses(stack)['grafana']}{path}"
    return httpx.get(url, headers={"Authorization": "Bearer demo-grafana-token"}).json()


def version_of(stack: Stack) -> int:
    return int(grafana(stack, "/api/dashboards/uid/recommendations-red").get("dashboard", {}).get("version", 0))


def change(stack: Stack, hosts: Hosts, number: int) -> Changed:
    """A release with another rule and another dashboard; every change dies at another moment."""
    release = f"checkout-v3.{number}"
    for path, old in (("rules/release.yml", r"> 1\.\d+"), ("dashboards/recommendations-red.json", r'RED[ \d]*"')):
        file, new = stack.folder / "monitoring" / path, f'RED {number}"' if "RED" in old else f"> 1.{5 + number}"
        file.write_text(re.sub(old, new, file.read_text()))
    config = stack.folder / f"{release}.toml"
    config.write_text(stack.config.read_text().replace('release = "checkout-v2.4.1"', f'release = "{release}"'))
    folder = begun(config, f"2026-11-22T2000Z-kill-change{number}", "2.1")
    before = version_of(stack)
    ended = []
    for at, (name, address) in enumerate(CHANGES.items()):
        death = Death(MOMENTS[(number + at) % len(MOMENTS)], address, says=(f"#1:{name}",))
        ended.append(hosts.carry_out(config, folder.name, death)[0])
    hosts.carry_out(config, folder.name)
    annotations = grafana(stack, f"/api/annotations?tags={release}")
    return Changed(ended, state_of(folder), (before, version_of(stack)), len(annotations))


def test_changes_whose_host_died_take_effect_once(tmp_path: Path) -> None:
    """Rules stand loaded, the dashboard has one version more, the release one annotation, whenever the host died."""
    with Hosts(tmp_path) as hosts, a_demo(tmp_path / "demo") as stack:
        found = [change(stack, hosts, number) for number in range(len(MOMENTS))]

    for one in found:
        assert one.ended == [KILLED] * len(CHANGES)
        for name in ("configure.applied", "configure.loaded"):
            assert criterion(one.state, "2.1", name).verdict is Verdict.PASSED
        assert one.versions[1] == one.versions[0] + 1
        assert one.annotations == 1
        assert all(intent.outcome is not None for intent in one.state.intents.values())


def test_a_test_event_that_is_sent_again_is_one_alert_while_it_is_open_and_pages_nobody(tmp_path: Path) -> None:
    """The prerequisites repeat it after a crash: its key tells the pager, until it was resolved; none stays open."""
    with Hosts(tmp_path) as hosts, a_demo(tmp_path / "demo") as stack:
        runs = []
        for moment in MOMENTS:
            folder = begun(stack.config, f"2026-11-22T2000Z-kill-test{MOMENTS.index(moment)}", plan.PREREQUISITES)
            death = Death(moment, '"event_action": "trigger"', kind="PromptRaised", says=("approve",))
            ended, _ = hosts.carry_out(stack.config, folder.name, death)
            hosts.carry_out(stack.config, folder.name)
            runs.append((moment, folder, ended))
        incidents = httpx.get(
            f"{addresses(stack)['pagerduty']}/incidents", params={"limit": "100", "date_range": "all"},
            headers={"Authorization": "Token token=demo-pagerduty-key"},
        ).json()["incidents"]  # fmt: skip
        pages = stack.pages() if (stack.folder / "pages.json").exists() else []

    for moment, folder, ended in runs:
        assert ended == KILLED
        ours = [one["status"] for one in incidents if folder.name in str(one)]
        assert ours == ["resolved"] * (2 if moment == "after response" else 1)
    assert not [page for page in pages if "ray-tui-prerequisites" in str(page)]
