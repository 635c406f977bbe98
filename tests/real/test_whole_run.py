"""One whole headless run against real Prometheus and Alertmanagers, and what each system says of it afterwards."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from ray_tui.core import plan
from ray_tui.core.state import Hop, Probe
from ray_tui.demo import scenario
from tests.real.systems import (
    HEADLESS,
    PROBE,
    PUSHED,
    RUN_SECONDS,
    Command,
    RealSystems,
    assert_paged_once,
    probes_of,
    ray,
    run_folder,
)

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

CAUSES = (
    ("t0", "t1"), ("t1", "t2"), ("t0", "t3"), ("t3", "t4"), ("t0", "t4"), ("t4", "t5"), ("t4", "t6"), ("t5", "t6"),
    ("t4", "t7"), ("t5", "t7"), ("t6", "t8"), ("t7", "t8"),
)  # fmt: skip
"""Hops of which the second cannot happen before the first."""


@dataclass(frozen=True)
class Finished:
    """The run when it was over and the systems still ran."""

    systems: RealSystems
    run: Command
    verify: Command
    loaded: dict[str, list[dict[str, Any]]]
    written: dict[str, str]
    pushed: float | None
    alerts: dict[str, list[dict[str, Any]]]

    @property
    def summary(self) -> dict[str, Any]:
        assert self.run.out, self.run.said
        summary: dict[str, Any] = json.loads(self.run.out)
        return summary

    @property
    def folder(self) -> Path:
        return run_folder(self.systems.repository)

    @property
    def probes(self) -> dict[str, Probe]:
        probes = probes_of(self.systems.repository)
        assert probes, self.run.said
        return probes


async def carry_out(folder: Path) -> Finished:
    async with RealSystems(folder, scenario.load("healthy")) as systems:
        run = await ray(systems.repository, *HEADLESS, seconds=RUN_SECONDS)
        verify = await ray(systems.repository, "verify", plan.STORE, "--config", "ray-tui.toml", "--json", seconds=30)
        return Finished(
            systems,
            run,
            verify,
            await asyncio.to_thread(systems.prometheus.rules),
            {path.name: path.read_text(encoding="utf-8") for path in systems.rule_dir.glob("*.yml")},
            await asyncio.to_thread(systems.prometheus.value, PUSHED),
            await asyncio.to_thread(systems.peers.alerts),
        )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Carried out once; the tests read what was left."""
    return asyncio.run(carry_out(tmp_path_factory.mktemp("real")))


def test_a_release_that_is_watched_passes_on_real_systems(finished: Finished) -> None:
    """Exit 0, every action and gate passed, nothing asked that the answers do not say."""
    assert finished.run.code == 0, finished.run.said
    verdicts = finished.summary["verdicts"]
    assert set(plan.STEPS) == set(verdicts)
    assert {step: verdict for step, verdict in verdicts.items() if verdict not in ("passed", "not_applicable")} == {}


def test_the_run_leaves_every_artifact_and_its_twin(finished: Finished) -> None:
    """All that the protocol's table of artifacts requires lies in the store, and in the run's own evidence."""
    wanted = {
        name
        for action in plan.ACTIONS
        for artifact in action.artifacts
        if artifact.required
        for name in (artifact.name, artifact.twin)
        if name is not None
    }
    for place in (finished.systems.repository / plan.STORE, finished.folder / "evidence"):
        assert wanted - {path.name for path in place.iterdir()} == set(), finished.run.said


def test_the_rules_that_the_real_prometheus_has_loaded_are_those_in_its_folder(finished: Finished) -> None:
    """Same names, expressions, waits and labels, file by file; the release's rules among them, none in error. (P34)"""
    for file, text in finished.written.items():
        wanted = Counter(
            _shape(rule.get("alert") or rule["record"], rule["expr"], rule.get("for", "0s"), rule.get("labels") or {})
            for group in yaml.safe_load(text)["groups"]
            for rule in group["rules"]
        )
        there = Counter(
            _shape(rule["name"], rule["query"], f"{rule.get('duration', 0):.0f}s", rule.get("labels") or {})
            for rule in finished.loaded[file]
        )
        assert there == wanted, file
    assert set(finished.loaded) == set(finished.written)
    rules = [rule for file in finished.loaded.values() for rule in file]
    assert {"CheckoutV2EndpointSlow", "RecommendationsErrors", "CheckoutErrorBudgetBurn"} <= {r["name"] for r in rules}
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


def _shape(name: str, expr: str, wait: str, labels: dict[str, str]) -> tuple[str, str, str, str]:
    """A rule so that the file's spelling and the server's (which sorts matchers) are the same."""
    seconds = sum(
        int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", wait)
    )
    spelt = re.sub(
        r"\{([^{}]*)\}", lambda m: "{" + ",".join(sorted(m[1].split(","))) + "}", str(promql_parser.parse(expr))
    )
    return name, spelt, f"{seconds}s", json.dumps(labels, sort_keys=True)


def test_every_probe_has_its_hops_and_they_are_in_order(finished: Finished) -> None:
    """From fired to cleared: bounds that are intervals, and no effect certainly before its cause. (P41 P42 P43)"""
    for probe in finished.probes.values():
        seen = probe.hops
        assert _wanted(probe) <= set(seen), (probe.intended.id, sorted(seen), probe.problems)
        assert [hop for hop, when in seen.items() if not when.earliest <= when.latest] == []
        early = [(one, two) for one, two in CAUSES if one in seen and two in seen and _before(seen[two], seen[one])]
        assert early == [], probe.intended.id
        assert probe.cleared is not None
        assert probe.cleared.clean, probe.cleared.left


def _wanted(probe: Probe) -> set[str]:
    """t3 stands on counters that know no receiver: it cannot be told for every probe."""
    last = {"t6"} if probe.intended.purpose == "acknowledge" else {"t7"}
    notified = {"t5"} if "pagerduty" in probe.intended.integrations else set()
    return {"t0", "t1", "t2", "t4", "t8"} | last | notified


def _before(one: Hop, other: Hop) -> bool:
    """Certainly, whatever we do not know of the clocks."""
    return one.latest < other.earliest


def test_each_measured_time_is_the_receivers_own(finished: Finished) -> None:
    """Delivered, notified, acknowledged: each holds the moment that the pager, chat or mailbox kept. (P41 P43)"""
    systems = finished.systems
    compared: Counter[str] = Counter()

    def inside(probe: Probe, hop: str, at: float) -> None:
        seen = probe.hops[hop]
        assert seen.earliest <= at <= seen.latest, (probe.intended.id, hop, at, seen)
        compared[f"{probe.intended.receiver} {hop}"] += 1

    for probe in finished.probes.values():
        token, receiver = probe.intended.labels[PROBE], probe.intended.receiver
        if receiver.startswith("pd-"):
            (incident,) = (one for one in systems.pagerduty.incidents.values() if token in json.dumps(one.event))
            first = min(one.at for one in systems.pagerduty.pages_sent if one.incident_id == incident.id)
            inside(probe, "t4", incident.created_at)
            inside(probe, "t5", first)
            if probe.intended.purpose == "acknowledge":
                inside(probe, "t6", incident.acknowledgements[0][0])
        elif receiver == "slack-release":
            (message,) = (one for all_ in systems.slack.messages.values() for one in all_ if token in json.dumps(one))
            inside(probe, "t4", float(message["ts"]))
        elif receiver == "mail-audit":
            first_mail = min(one.received_at for one in systems.mail.mailbox if _carries(one.message, token))
            inside(probe, "t4", first_mail)
    receivers = {key.partition(" ")[0] for key in compared}
    assert receivers == {"pd-checkout", "pd-payments", "pd-platform", "slack-release", "mail-audit"}


def _carries(message: Any, token: str) -> bool:
    return token in "".join(str(part.get_content()) for part in message.walk() if not part.is_multipart())


def test_the_correlation_finds_every_episode_of_the_stored_history(finished: Finished) -> None:
    """Alerts as the real Prometheus kept them for a fortnight, matched with the incidents that they were of. (P54)"""
    report = json.loads((finished.folder / "evidence" / "alert-tuning-report.json").read_text(encoding="utf-8"))
    world = finished.systems.world
    happened = Counter(one.alert for one in world.episodes)
    right = Counter(one.alert for one in world.episodes if one.incident_id is not None)
    found = {row["rule"]: (row["n"], row["true"]) for row in report["body"]["rules"]}
    assert found == {alert: (n, right[alert]) for alert, n in happened.items()}
    assert report["body"]["recall"] == 1.0


def test_nobody_is_paged_twice_by_one_probe(finished: Finished) -> None:
    """Two clustered peers, one incident a probe and policy, one notification of a person an attempt."""
    assert_paged_once(finished.systems, finished.probes)


def test_nothing_of_the_test_is_left_on_the_real_alertmanagers(finished: Finished) -> None:
    """Only what the rules themselves fire is there."""
    assert len(finished.alerts) == 2
    for url, alerts in finished.alerts.items():
        assert {one["labels"]["alertname"] for one in alerts} == {"Watchdog"}, url


def test_what_the_run_left_is_what_it_wrote(finished: Finished) -> None:
    """``ray-tui verify`` finds the journal's chain, the evidence and the package intact."""
    assert finished.verify.code == 0, finished.verify.said
    checks = json.loads(finished.verify.out)["checks"]
    assert {"journal.jsonl", "MONITORING-PACKAGE.zip"} <= {Path(one["what"]).name for one in checks}


def test_the_systems_were_the_real_ones(finished: Finished) -> None:
    """Prometheus scraped the pushgateway, and the heartbeat came through both it and the Alertmanagers."""
    systems = finished.systems
    assert finished.pushed == pytest.approx(systems.world.deployed_at, abs=0.001)
    beats = [one for one in systems.sink.received if one.receiver == "watchdog"]
    assert beats
    assert {alert["labels"]["datacenter"] for alert in beats[0].payload["alerts"]} == {"loopback"}
