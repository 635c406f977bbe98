"""2.1 with the real backends over the demo's servers: the healthy shop passes, each bent one halts at its own check."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ray_tui import config, wiring
from ray_tui.actions import configure, runbooks
from ray_tui.clock import Clock
from ray_tui.core import facts as f
from ray_tui.demo.scenario import load
from ray_tui.demo.stack import Stack, open_stack
from ray_tui.step import Ask, Header, Result
from tests.fakes import LiveContext, actual, verdicts

Proof = Callable[..., Awaitable[tuple[Result, Stack, LiveContext]]]


@pytest.fixture
async def proof(tmp_path: Path) -> AsyncIterator[Proof]:
    """Opens a scenario's stack and carries 2.1 out against it; all of it ends with the test."""
    async with AsyncExitStack() as leaving:
        stacks: list[Stack] = []

        async def carry_out(
            name: str = "healthy", *, attempt: int = 1, answer: str = "yes", meanwhile: Callable[[Stack], object] = bool
        ) -> tuple[Result, Stack, LiveContext]:
            folder = tmp_path / "demo"
            if not stacks:
                stacks.append(await open_stack(folder, load(name), Clock(), leaving))
            loaded = config.load(folder / config.FILE_NAME)

            def agree(_: Ask) -> str:
                meanwhile(stacks[0])
                return answer

            ports = await leaving.enter_async_context(wiring.open_ports(loaded, Clock()))
            context = LiveContext(folder, config=loaded, ports=ports, step="2.1", attempt=attempt, answers=agree)
            return await configure.run(context), stacks[0], context

        yield carry_out


def unmet(result: Result) -> dict[str, str]:
    return {one.id: f"{one.verdict}: {one.actual}" for one in result.criteria if not one.verdict.lets_go_on}


async def test_the_healthy_demo_is_configured_and_proved_and_a_second_time_changes_nothing(proof: Proof) -> None:
    """Rules, SLO rules, the dashboard and the annotation are put in place and read back live. (P33 P34 P35 P39)"""
    result, stack, context = await proof()

    assert unmet(result) == {}
    assert {(item["kind"], item["action"]) for item in result.data["plan"]} == {
        ("rules", "create"), ("dashboard", "create"), ("annotation", "create"),
    }  # fmt: skip
    rules = stack.folder / "prometheus" / "rules"
    assert {path.name for path in rules.iterdir()} == {"shop.yml", "release.yml", "ray-tui-slo-checkout.yml"}
    assert "recommendations-red" in stack.grafana.dashboards
    assert {intent.outcome.outcome for intent in context.state.intents.values() if intent.outcome} == {"done"}
    assert {board["uid"] for board in result.data["dashboards"]} == {
        "shop-overview", "checkout-red", "payments-red", "slo-overview", "recommendations-red",
    }  # fmt: skip
    assert all(board["score"] >= 90 for board in result.data["dashboards"])
    names = {alert["name"]: alert for alert in result.data["alerts"]}
    assert names["CheckoutErrorBudgetBurn"]["from_release"]
    assert "pd-payments" in names["PaymentsHighErrorRatio"]["receivers"]
    header = Header("run", "checkout-v2.4.1", "production", "2.1", 1, 0.0, "passed", result.summary, result.criteria)
    text = configure.documents(result.data, header)["dashboard-config.md"]
    assert "/d/checkout-red" in text
    assert "CheckoutHighErrorRatio" in text

    again, _, second = await proof(attempt=2)
    assert unmet(again) == {}
    assert {item["action"] for item in again.data["plan"]} == {"unchanged"}
    assert second.asked == []
    assert second.of_kind(f.IntentRecorded) == []
    assert len(stack.grafana.annotations) == 1


async def test_a_dead_panel_halts_at_its_dashboard(proof: Proof) -> None:
    """A RED panel of checkout asks for a metric that does not exist. (P37)"""
    result, _, _ = await proof("dead-panel")

    found = unmet(result)
    assert set(found) == {"configure.panels:checkout-red", "configure.dashboard:checkout-red"}
    assert "Latency p99 is broken: no such metric" in found["configure.panels:checkout-red"]


async def test_a_rule_without_a_threshold_halts_and_is_named(proof: Proof) -> None:
    """All loaded alerts are looked at, not only those of the release. (P38)"""
    result, _, _ = await proof("rule-without-threshold")

    found = unmet(result)
    assert set(found) == {"configure.threshold"}
    assert "SearchUnavailable" in found["configure.threshold"]


async def test_critical_alerts_that_reach_nobody_halt_with_their_service(proof: Proof) -> None:
    """Payments' critical alerts fall through to the empty default receiver. (P38 P45)"""
    result, _, _ = await proof("misrouted-alert")

    found = unmet(result)
    assert set(found) == {"configure.routed"}
    assert "PaymentsHighErrorRatio" in found["configure.routed"]
    assert "service payments" in found["configure.routed"]
    assert "nobody" in found["configure.routed"]


async def test_a_plan_that_is_declined_touches_nothing(proof: Proof) -> None:
    """Neither the rule folder nor Grafana have changed."""
    result, stack, context = await proof(answer="no")

    assert verdicts(result)["configure.applied"] == "failed"
    assert actual(result, "configure.applied").startswith("declined by mira")
    assert [path.name for path in (stack.folder / "prometheus" / "rules").iterdir()] == ["shop.yml"]
    assert "recommendations-red" not in stack.grafana.dashboards
    assert context.of_kind(f.IntentRecorded) == []


async def test_a_dashboard_that_somebody_else_made_meanwhile_rolls_the_rules_back(proof: Proof) -> None:
    """The rules were loaded already; after the rollback they are gone from the folder and from the server."""
    taken = {"uid": "recommendations-red", "title": "Somebody else's", "panels": []}

    result, stack, context = await proof(meanwhile=lambda stack: stack.grafana.save({"dashboard": taken}))

    assert verdicts(result)["configure.applied"] == "failed"
    assert "everything was rolled back" in actual(result, "configure.applied")
    assert [path.name for path in (stack.folder / "prometheus" / "rules").iterdir()] == ["shop.yml"]
    metrics = context.ports.metrics
    assert metrics is not None
    assert {rule.group for rule in await metrics.rules()} == {"shop"}
    assert stack.grafana.dashboards["recommendations-red"].title == "Somebody else's"
    outcomes = {
        name.partition(":")[2]: one.outcome.outcome for name, one in context.state.intents.items() if one.outcome
    }
    assert outcomes["rules:release.yml"] == "rolled-back"
    assert outcomes["dashboard:recommendations-red"] == "failed"


async def test_every_alert_of_the_demo_leads_to_its_runbook_and_the_signals_are_saved(proof: Proof) -> None:
    """2.3 after 2.1: three runbooks of the release hold their block, and all links resolve. (P48)"""
    configured, stack, before = await proof()
    context = LiveContext(
        stack.folder, config=before.config, ports=before.ports, step="2.3", answers={"signals": "yes"},
        data={"2.1": configured.data},
    )  # fmt: skip
    result = await runbooks.run(context)

    assert unmet(result) == {}
    assert all(one["resolved"] for one in result.data["runbooks"])
    assert {one["path"]: one["state"] for one in result.data["signals"]["blocks"]} == {
        f"docs/runbooks/{name}.md": "written"
        for name in ("CheckoutErrorBudgetBurn", "CheckoutV2EndpointSlow", "RecommendationsErrors")
    }
    assert "### Updated Signals" in (stack.folder / "docs/runbooks/CheckoutV2EndpointSlow.md").read_text()
