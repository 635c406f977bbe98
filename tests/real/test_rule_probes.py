"""2.2 whole, with a temporary rule, on a real Prometheus and two real Alertmanagers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ray_tui import wiring
from ray_tui.actions import alert_paths, probe_rules
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
from tests.real.systems import Peers, RealPrometheus, free_port, require_binaries, wait_until

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

CLOCK = Clock()
SINK_PORT = free_port()
ALERTMANAGER = alertmanager(SINK_PORT)


@dataclass
class Here:
    """The running systems, and the product's ports to them."""

    folder: Path
    peers: Peers
    server: RealPrometheus
    sink: DemoWebhookSink
    tables: dict[str, Any]
    ports: Ports

    def context(self, **more: Any) -> LiveContext:
        config = a_config(self.folder, **self.tables)
        return LiveContext(
            self.folder, config=config, ports=self.ports, step="2.2", answers=lambda ask: ask.expects, **more
        )

    def rule_file(self) -> Path:
        return self.folder / "rules" / probe_rules.RULE_FILE

    def left(self) -> set[str]:
        return {one["labels"]["alertname"] for alerts in self.peers.alerts().values() for one in alerts}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Peers, RealPrometheus]]:
    require_binaries("prometheus-alertmanager", "prometheus")
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules").mkdir()
    (folder / "rules" / "shop.yml").write_text(RULES, encoding="utf-8")
    with (
        Peers(folder / "alertmanager", ALERTMANAGER) as peers,
        RealPrometheus(folder / "prometheus", folder / "rules", peers.urls, []) as server,
    ):
        yield folder, peers, server


@pytest.fixture
async def here(programs: tuple[Path, Peers, RealPrometheus]) -> AsyncIterator[Here]:
    folder, peers, server = programs
    sink = DemoWebhookSink(People(0.5), CLOCK)
    tables: dict[str, Any] = {
        "thresholds": {"ack_sla_seconds": 10, "delivery_seconds": 8},
        "alert_paths": {
            "webhook_receivers": {"oncall": "webhook"},
            "poll_seconds": 0.3,
            "rule_probe_receiver": "oncall",
        },
        "alerting": {"kind": "alertmanager", "urls": list(peers.urls)},
        "metrics": {"kind": "prometheus", "url": server.url},
        "rules": {"kind": "directory", "directory": str(folder / "rules"), "reload_urls": [f"{server.url}/-/reload"]},
        "webhook": {"kind": "sink", "url": f"http://127.0.0.1:{SINK_PORT}/received"},
    }
    async with AsyncExitStack() as leaving:
        await leaving.enter_async_context(serving(sink.app, SINK_PORT))
        leaving.push_async_callback(sink.stop)
        ports = await leaving.enter_async_context(wiring.open_ports(a_config(folder, **tables), CLOCK))
        yield Here(folder, peers, server, sink, tables, ports)


async def beaten(here: Here) -> None:
    """The sink is new in each test, and Alertmanager repeats itself only every hour: let it have its heartbeat."""
    if not any(one.receiver == "watchdog" for one in here.sink.received):
        here.sink._keep("watchdog", "firing", {"alerts": [{"labels": {"alertname": "Watchdog"}}]})


async def test_injected_and_rule_driven_probes_are_timed_hop_by_hop(here: Here) -> None:
    """Both kinds pass; each hop holds what Prometheus and the sink say themselves; nothing is left. (P40 P41 P43)"""
    await beaten(here)
    context = here.context()
    result: Result = await alert_paths.run(context)

    assert result.verdict is Verdict.PASSED, [one for one in result.criteria if one.verdict is not Verdict.PASSED]
    assert verdicts(result)["alert_paths.rule:oncall"] == "passed"
    (row,) = result.data["rule_probes"]
    seen = {hop.hop: hop for hop in context.of_kind(f.ProbeHopSeen) if hop.id == row["probe"]}
    assert {"t0", "t1", "t2", "t4", "t6", "t8"} <= set(seen)
    state = here.server.get(
        "/query", query=f'ALERTS_FOR_STATE{{ray_tui_probe="{row["probe"]}"}}', time=f"{seen['t0'].latest + 1:.3f}"
    )
    since = float(state["result"][0]["value"][1])
    assert seen["t0"].source == "the rule's evaluation: ALERTS_FOR_STATE, activeAt and poll"
    assert seen["t0"].earliest - 1 <= since <= seen["t0"].latest  # the series' value is cut to the second
    (got,) = [
        one
        for one in here.sink.received
        if one.status == "firing" and row["probe"] in json.dumps(one.payload) and one.receiver == "oncall"
    ]
    assert seen["t4"].earliest <= got.at <= seen["t4"].latest
    assert got.acknowledged_at is not None
    assert seen["t6"].earliest <= got.acknowledged_at <= seen["t6"].latest
    assert {probe.how for probe in context.of_kind(f.ProbeIntended)} == {"injected", "rule"}
    assert not here.rule_file().exists()
    assert "shop.yml" in here.server.rules()
    assert probe_rules.RULE_FILE not in here.server.rules()
    wait_until(lambda: here.left() == {"Watchdog"}, "only the watchdog is left")


async def test_a_rule_of_a_host_that_died_is_taken_away_and_not_written_again(here: Here) -> None:
    """Killed while its alert fires: the resumed attempt clears up, pages nobody again, and proves nothing. (P40)"""
    await beaten(here)
    first = here.context()
    task = asyncio.create_task(alert_paths.run(first))
    while not [one for one in here.sink.received if "RayTuiRuleProbe" in json.dumps(one.payload)]:
        await asyncio.sleep(0.05)
        assert not task.done(), task.result()
    text = here.rule_file().read_text(encoding="utf-8")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not here.rule_file().exists()
    here.rule_file().write_text(text, encoding="utf-8")  # as if not even the clearing had run
    await here.ports.rules.reload()  # type: ignore[union-attr]
    journal = [
        one for one in first.recorded if not isinstance(one, f.RunOpened | f.StepStarted | f.ProbeCleared)
    ]  # fmt: skip
    before = len(here.sink.received)

    resumed = here.context(resumed=True, facts=journal)
    result = await alert_paths.run(resumed)

    assert not here.rule_file().exists()
    assert verdicts(result)["alert_paths.rule:oncall"] == "inconclusive"
    again = [one for one in here.sink.received[before:] if one.status == "firing"]
    assert [one for one in again if "ray_tui_probe" in json.dumps(one.payload)] == []
    wait_until(lambda: here.left() == {"Watchdog"}, "only the watchdog is left")


async def test_a_rule_that_prometheus_refuses_is_an_error_and_leaves_no_file(here: Here) -> None:
    """The reload is refused: nothing is fired by it, the file is gone, the injected probes still count. (P41)"""
    await beaten(here)
    broken = here.folder / "rules" / "broken.yml"
    broken.write_text("groups: [{name: x, rules: [{alert: Broken, expr: 'sum('}]}]\n", encoding="utf-8")
    try:
        result = await alert_paths.run(here.context())
    finally:
        broken.unlink()
        await here.ports.rules.reload()  # type: ignore[union-attr]

    found = verdicts(result)
    assert found["alert_paths.ack:oncall"] == "passed"
    assert found["alert_paths.rule:oncall"] == "error"
    assert not here.rule_file().exists()


async def test_a_dead_receiver_is_named_at_the_hop_where_the_alert_stopped(here: Here) -> None:
    """The real Alertmanagers' own counters show that nothing was sent; a sink that swallows it is lost later. (P45)"""
    here.tables["alert_paths"]["rule_probe_receiver"] = ""
    here.tables["thresholds"]["delivery_seconds"] = 4
    await beaten(here)
    keep = here.sink._keep

    def swallow(receiver: str, status: str, payload: Any) -> None:
        return None

    def refuse(receiver: str, status: str, payload: Any) -> None:
        if receiver == "oncall":
            raise ValueError("the receiver is broken: Starlette answers 500")
        keep(receiver, status, payload)

    said = {}
    for name, behaviour in (("swallowed", swallow), ("refused", refuse)):
        here.sink._keep = behaviour  # type: ignore[method-assign]
        result = await alert_paths.run(here.context(attempt=len(said) + 2))
        said[name] = actual(result, "alert_paths.delivered:oncall")

    assert "[lost at t4 (delivered)]" in said["swallowed"]
    assert "[lost at t3 (sent)]" in said["refused"]
