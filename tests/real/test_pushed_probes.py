"""2.2 with a pushed series under a permanent rule: a real Pushgateway, Prometheus and two real Alertmanagers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_tui import wiring
from ray_tui.actions import alert_paths, probe_pushed
from ray_tui.clock import Clock
from ray_tui.core import facts as f
from ray_tui.core.ports import Ports
from ray_tui.core.verdicts import Verdict
from ray_tui.demo.people import People
from ray_tui.demo.serving import serving
from ray_tui.demo.webhook_sink import DemoWebhookSink
from ray_tui.step import Result
from tests.fakes import LiveContext, a_config, actual, verdicts
from tests.real.shop import RULES, alertmanager
from tests.real.systems import Peers, Program, RealPrometheus, free_port, get, require_binaries, wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

CLOCK = Clock()
SINK_PORT = free_port()
METRIC = "ray_tui_probe_until"
ALERTMANAGER = alertmanager(SINK_PORT)


@dataclass(frozen=True)
class Programs:
    folder: Path
    peers: Peers
    server: RealPrometheus
    gateway: str

    @property
    def rule_file(self) -> Path:
        return self.folder / "rules" / "permanent.yml"


@dataclass
class Here:
    """The running systems, and the product's ports to them."""

    programs: Programs
    sink: DemoWebhookSink
    tables: dict[str, Any]
    ports: Ports

    def context(self, **more: Any) -> LiveContext:
        folder = self.programs.folder
        config = a_config(folder, **self.tables)
        return LiveContext(folder, config=config, ports=self.ports, step="2.2", answers=lambda ask: ask.expects, **more)

    def groups(self) -> list[dict[str, str]]:
        """What of ours the gateway holds."""
        held = [one["labels"] for one in get(f"{self.programs.gateway}/api/v1/metrics")["data"]]
        return [labels for labels in held if "ray_tui_probe" in labels]

    def left(self) -> set[str]:
        return {one["labels"]["alertname"] for alerts in self.programs.peers.alerts().values() for one in alerts}

    def pages(self) -> list[str]:
        """Who was told of a pushed probe that fires, once for each time."""
        return [
            one.receiver
            for one in self.sink.received
            if one.status == "firing" and "RayTuiPushedProbe" in json.dumps(one.payload)
        ]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    require_binaries("prometheus-alertmanager", "prometheus", "prometheus-pushgateway")
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "rules").mkdir()
    (folder / "rules" / "shop.yml").write_text(RULES, encoding="utf-8")
    gateway = f"http://127.0.0.1:{free_port()}"
    # Debian's keeps what is pushed in one file for all, unless it is told otherwise
    arguments = [f"--web.listen-address={gateway.removeprefix('http://')}", f"--persistence.file={folder / 'pushed'}"]
    pushing = Program.start("prometheus-pushgateway", gateway, folder, arguments)
    scrape = {
        "job_name": "pushgateway", "honor_labels": True,
        "static_configs": [{"targets": [gateway.removeprefix("http://")]}],
    }  # fmt: skip
    try:
        pushing.wait_ready()
        with (
            Peers(folder / "alertmanager", ALERTMANAGER) as peers,
            RealPrometheus(folder / "prometheus", folder / "rules", peers.urls, [scrape]) as server,
        ):
            made = Programs(folder, peers, server, gateway)
            permanent(made, probe_pushed.rule_text(METRIC))
            yield made
    finally:
        pushing.stop()


def permanent(programs: Programs, text: str) -> None:
    """Load this as the user's permanent rule, evaluated every second, and wait until it is well."""
    tree = yaml.safe_load(text)
    tree["groups"][0]["interval"] = "1s"
    programs.rule_file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with Reload(programs):
        pass


class Reload:
    """Reloads, and waits for the rules to be evaluated and for the Alertmanagers to be known again."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs

    def __enter__(self) -> None:
        import httpx

        server = self.programs.server
        answer = httpx.post(f"{server.url}/-/reload", timeout=5, trust_env=False)
        assert answer.is_success, answer.text
        wait_until(lambda: len(server.alertmanagers()) == len(server.peers), "Prometheus knows its Alertmanagers")
        wait_until(
            lambda: all(one["health"] == "ok" for rules in server.rules().values() for one in rules), "rules are well"
        )

    def __exit__(self, *_: object) -> None:
        return None


@pytest.fixture
async def here(programs: Programs) -> AsyncIterator[Here]:
    sink = DemoWebhookSink(People(0.5), CLOCK)
    tables: dict[str, Any] = {
        "thresholds": {"ack_sla_seconds": 25, "delivery_seconds": 20},
        "alert_paths": {
            "webhook_receivers": {"oncall": "webhook"},
            "poll_seconds": 0.3,
            "rule_probe_receiver": "oncall",
            "push_seconds": 15,
        },
        "alerting": {"kind": "alertmanager", "urls": list(programs.peers.urls)},
        "metrics": {"kind": "prometheus", "url": programs.server.url},
        "pusher": {"kind": "pushgateway", "url": programs.gateway},
        "webhook": {"kind": "sink", "url": f"http://127.0.0.1:{SINK_PORT}/received"},
    }
    async with AsyncExitStack() as leaving:
        await leaving.enter_async_context(serving(sink.app, SINK_PORT))
        leaving.push_async_callback(sink.stop)
        ports = await leaving.enter_async_context(wiring.open_ports(a_config(programs.folder, **tables), CLOCK))
        sink._keep("watchdog", "firing", {"alerts": [{"labels": {"alertname": "Watchdog"}}]})
        yield Here(programs, sink, tables, ports)


async def test_a_pushed_series_pages_once_and_is_taken_back(here: Here) -> None:
    """Timed by ALERTS_FOR_STATE, every hop in order, one page, and nothing is left on the gateway. (P40 P41 P43)"""
    context = here.context()
    result: Result = await alert_paths.run(context)

    assert result.verdict is Verdict.PASSED, [one for one in result.criteria if one.verdict is not Verdict.PASSED]
    assert verdicts(result)["alert_paths.rule:oncall"] == "passed"
    (row,) = result.data["rule_probes"]
    seen = {hop.hop: hop for hop in context.of_kind(f.ProbeHopSeen) if hop.id == row["probe"]}
    assert {"t0", "t1", "t2", "t4", "t6", "t8"} <= set(seen)
    assert "ALERTS_FOR_STATE" in seen["t0"].source
    assert row["labels"].items() >= {"severity": "critical", "ray_tui_probe": row["probe"]}.items()
    assert "job" not in row["labels"]
    assert here.pages() == ["oncall"]
    assert here.groups() == []
    wait_until(lambda: here.left() == {"Watchdog"}, "only the watchdog is left")
    assert here.pages() == ["oncall"]


async def test_a_push_of_a_host_that_died_is_taken_back_and_not_repeated(here: Here) -> None:
    """Killed while it fires: the resumed attempt deletes the group, reads it back, and pages nobody again. (P40)"""
    first = here.context()
    task = asyncio.create_task(alert_paths.run(first))
    while not here.pages():
        await asyncio.sleep(0.05)
        assert not task.done(), task.result()
    (group,) = here.groups()
    labels = {name: value for name, value in group.items() if value}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.groups() == []
    until = CLOCK.wall() + 600
    assert here.ports.pusher is not None
    await here.ports.pusher.push(labels, METRIC, {"severity": "critical"}, until)  # as if nothing had been cleared
    here.sink.received.clear()
    here.sink._keep("watchdog", "firing", {"alerts": [{"labels": {"alertname": "Watchdog"}}]})
    journal = [one for one in first.recorded if not isinstance(one, f.RunOpened | f.StepStarted | f.ProbeCleared)]

    result = await alert_paths.run(here.context(resumed=True, facts=journal))

    assert here.groups() == []
    assert verdicts(result)["alert_paths.rule:oncall"] == "inconclusive"
    assert verdicts(result)["alert_paths.clean"] == "passed", actual(result, "alert_paths.clean")
    wait_until(lambda: here.left() == {"Watchdog"}, "only the watchdog is left")


async def test_a_push_that_nobody_takes_back_stops_by_itself(here: Here) -> None:
    """The series' value is its end: then the rule stops firing although the gateway still holds it. (P40)"""
    assert here.ports.pusher is not None
    assert here.ports.metrics is not None
    group = {"job": probe_pushed.JOB, "ray_tui_probe": "orphan/1 ü"}
    await here.ports.pusher.push(group, METRIC, {"severity": "warning"}, CLOCK.wall() + 4)

    async def firing() -> bool:
        assert here.ports.metrics is not None
        return any(one.labels.get("ray_tui_probe") == "orphan/1 ü" for one in await here.ports.metrics.alerts())

    for wanted in (True, False):
        ends = CLOCK.wall() + 15
        while await firing() is not wanted:
            assert CLOCK.wall() < ends, f"firing is not {wanted}"
            await asyncio.sleep(0.1)
    assert await here.ports.pusher.pushed(group)
    await here.ports.pusher.delete(group)
    await here.ports.pusher.delete(group)  # twice is fine
    assert not await here.ports.pusher.pushed(group)


async def test_without_its_permanent_rule_nothing_is_pushed(here: Here) -> None:
    """Not loaded: inconclusive, the rule's text is the remedy, nobody is paged by it, the other probes count. (P45)"""
    here.programs.rule_file.unlink()
    with Reload(here.programs):
        try:
            result = await alert_paths.run(here.context())
        finally:
            permanent(here.programs, probe_pushed.rule_text(METRIC))

    found = {one.id: one for one in result.criteria}
    assert found["alert_paths.ack:oncall"].verdict is Verdict.PASSED, found["alert_paths.ack:oncall"].actual
    assert found["alert_paths.rule:oncall"].verdict is Verdict.INCONCLUSIVE
    assert METRIC in found["alert_paths.rule:oncall"].actual
    assert probe_pushed.rule_text(METRIC) in found["alert_paths.rule:oncall"].remedy
    assert here.pages() == []
    assert here.groups() == []


async def test_a_gateway_that_nobody_scrapes_is_named(here: Here) -> None:
    """The series is pushed and the rule does not fire: lost at t0, and the group is gone again. (P45)"""
    here.tables["alert_paths"]["push_seconds"] = 3
    here.tables["alert_paths"]["push_metric"] = "ray_tui_other_until"
    permanent(here.programs, probe_pushed.rule_text("ray_tui_other_until").replace("max without", "max  without"))
    push = type(here.ports.pusher).push

    async def elsewhere(self: Any, group: Any, metric: str, labels: Any, value: float) -> None:
        await push(self, group, "ray_tui_unscraped", labels, value)

    try:
        assert here.ports.pusher is not None
        here.ports.pusher.push = elsewhere.__get__(here.ports.pusher)  # type: ignore[method-assign]
        result = await alert_paths.run(here.context())
    finally:
        permanent(here.programs, probe_pushed.rule_text(METRIC))

    assert verdicts(result)["alert_paths.rule:oncall"] == "failed"
    said = actual(result, "alert_paths.rule:oncall")
    assert "does the metrics store scrape the Pushgateway" in said
    assert "t0" in said
    assert here.groups() == []
