"""2.2 with the real backends over the demo's servers: what the wire makes of a healthy path and of each broken one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ray_tui import config, wiring
from ray_tui.actions import alert_paths
from ray_tui.clock import Clock
from ray_tui.core.verdicts import Verdict
from ray_tui.demo.scenario import Assets, People, Scenario
from ray_tui.demo.stack import Stack, open_stack
from ray_tui.step import Result
from tests.fakes import LiveContext, actual, verdicts

Proof = Callable[[Scenario], Awaitable[tuple[Result, Stack, LiveContext]]]


@pytest.fixture
async def proof(tmp_path: Path) -> AsyncIterator[Proof]:
    """Opens a stack for a scenario and carries 2.2 out against it; all of it ends with the test."""
    async with AsyncExitStack() as leaving:

        async def carry_out(scenario: Scenario) -> tuple[Result, Stack, LiveContext]:
            stack = await open_stack(tmp_path / "demo", scenario, Clock(), leaving)
            loaded = config.load(tmp_path / "demo" / config.FILE_NAME)
            ports = await leaving.enter_async_context(wiring.open_ports(loaded, Clock()))
            context = LiveContext(
                tmp_path / "demo", config=loaded, ports=ports, step="2.2", answers=lambda ask: ask.expects
            )
            result = await alert_paths.run(context)
            return result, stack, context

        yield carry_out


def scenario(**people: object) -> Scenario:
    return Scenario(name="test", title="test", people=People.model_validate(people))


async def test_every_path_of_the_healthy_demo_reaches_a_person(proof: Proof) -> None:
    """Pages, chat and mail arrive, people acknowledge, level 2 is called, and nothing is left. (P40 P41 P42 P43)"""
    result, stack, _ = await proof(scenario())

    assert [one for one in result.criteria if one.verdict is not Verdict.PASSED] == []
    assert {row["receiver"] for row in result.data["receivers"]} == {
        "pd-checkout", "pd-payments", "pd-platform", "mail-audit", "slack-release",
    }  # fmt: skip
    ours = [one for one in stack.pagerduty.incidents.values() if "ray_tui_probe" in str(one.event)]
    assert ours
    assert {one.status for one in ours} == {"resolved"}


async def test_a_page_that_pagerduty_swallows_is_lost(proof: Proof) -> None:
    """202 is not an incident: the receiver is named, the others still pass. (P45)"""
    result, _, _ = await proof(scenario(lost_pages=("PSVCPAY",)))

    found = verdicts(result)
    assert found["alert_paths.delivered:pd-payments"] == "failed"
    assert "lost" in actual(result, "alert_paths.delivered:pd-payments")
    assert found["alert_paths.ack:pd-checkout"] == "passed"


async def test_an_acknowledgement_after_the_sla_fails(proof: Proof) -> None:
    """Everybody takes 18 s where 15 s are allowed. (P46)"""
    result, _, _ = await proof(scenario(ack_after_seconds=18.0))

    found = verdicts(result)
    assert found["alert_paths.delivered:pd-checkout"] == "passed"
    assert found["alert_paths.ack:pd-checkout"] == "failed"
    assert found["alert_paths.clean"] == "passed"


async def test_an_escalation_that_ends_with_nobody_fails(proof: Proof) -> None:
    """Level 2 has nobody: acknowledged in time, and yet a failure. (P42)"""
    result, _, _ = await proof(scenario(broken_escalation=True))

    found = verdicts(result)
    assert found["alert_paths.ack:pd-checkout"] == "passed"
    assert found["alert_paths.escalation:PPOLCHK"] == "failed"
    assert "exhausted" in actual(result, "alert_paths.escalation:PPOLCHK")


async def test_an_alert_that_is_routed_to_nobody_fails_before_anything_is_sent_there(proof: Proof) -> None:
    """Loaded payments alerts fall through the routes: the receiver with nobody behind it is named. (P45)"""
    bent = Scenario(name="test", title="test", assets=Assets(misrouted_services=("payments",)))
    result, _, _ = await proof(bent)

    assert verdicts(result)["alert_paths.delivered:nobody"] == "failed"
    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "passed"


async def test_the_demos_event_recorders_time_every_send(proof: Proof) -> None:
    """Each receiver's notification is dated by the peer that sent it, around what the sinks got. (P41 P47)"""
    recording = Scenario(name="test", title="test", event_recorder=True)
    result, stack, _ = await proof(recording)

    assert [one for one in result.criteria if one.verdict is not Verdict.PASSED] == []
    for row in result.data["receivers"]:
        sent, delivered = row["hops"]["t3"], row["hops"]["t4"]
        assert sent["source"].startswith("event recorder"), row["receiver"]
        assert sent["who"] in {"alertmanager-0", "alertmanager-1"}
        assert sent["earliest"] <= delivered["latest"]
    assert all(peer.event_log is not None for peer in stack.alertmanagers)
