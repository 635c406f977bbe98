"""2.2: where every loaded alert goes by the live routes, and whether the dead man's switch is alive."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import alert_paths, probe_routes
from ray_tui.analysis import routing
from ray_tui.config import Alerts
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.ports import ActiveAlert
from ray_tui.core.verdicts import Verdict
from ray_tui.gates import alert_validation
from ray_tui.step import Header
from tests.actions.probe_world import WATCHDOG, World, a_rule
from tests.fakes import actual, verdicts

CONFIG = """
global: {slack_api_url: "http://slack", smtp_smarthost: "mail:25", smtp_from: "am@shop.example"}
route:
  receiver: everybody
  routes:
    - {matchers: ['severity="critical"', 'service="payments"'], receiver: void}
    - {matchers: ['severity="critical"', 'service="search"'], receiver: chat, mute_time_intervals: [always]}
    - {matchers: ['severity="critical"'], receiver: chat}
inhibit_rules:
  - {source_matchers: ['alertname="Down"'], target_matchers: ['severity="warning"']}
time_intervals: [{name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}]
receivers:
  - {name: everybody, email_configs: [{to: all@shop.example}]}
  - {name: chat, slack_configs: [{channel: "#ops"}]}
  - {name: void}
"""
CRITERION, WATCH = "alert_paths.coverage", "alert_paths.watchdog"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def simulated(*rules: Any, firing: tuple[dict[str, str], ...] = ()) -> tuple[probe_routes.Simulated, ...]:
    shapes = probe_routes.shapes(rules, ("checkout", "payments"), "service", Alerts())
    return probe_routes.simulate(routing.load(CONFIG), shapes, firing, 1_000_000.0, Alerts())


def test_every_loaded_alert_is_followed_to_its_end() -> None:
    """Routes, the default, mute times, inhibitions by what fires, and services that a rule does not name. (P45)"""
    found = simulated(
        a_rule("Slow", severity="warning", service="cart"), a_rule("Broken", severity="critical"),
        a_rule("NoResults", severity="critical", service="search"), firing=({"alertname": "Down"},),
    )  # fmt: skip
    body = probe_routes.data(routing.load(CONFIG), found, Alerts())

    ends = {(one.alert, one.labels.get("service")): one.receivers for one in found}
    assert ends == {
        ("Slow", "cart"): ("everybody",), ("Broken", "checkout"): ("chat",), ("Broken", "payments"): ("void",),
        ("NoResults", "search"): ("chat",),
    }  # fmt: skip
    assert [one["labels"]["service"] for one in body["reaches_nobody"]] == ["payments"]
    assert [one["alert"] for one in body["only_default"]] == ["Slow"]
    assert [one["alert"] for one in body["muted_now"]] == ["NoResults"]
    assert [(one["alert"], one["by"]) for one in body["inhibited_now"]] == [("Slow", ["Down"])]
    rows = {row["receiver"]: row for row in body["receivers"]}
    assert rows["chat"]["routes_name"] == ["critical"]
    assert rows["chat"]["alerts"] == {"critical": 2}
    assert rows["everybody"]["alerts"] == {"warning": 1}


@pytest.mark.parametrize(
    ("labels", "verdict", "said"),
    [
        ({"severity": "critical", "service": "payments"}, "failed", "service=payments"),
        ({"severity": "critical", "service": "search"}, "inconclusive", "muted now"),
        ({"severity": "critical", "service": "checkout"}, "passed", "1 critical"),
        ({"severity": "warning", "service": "payments"}, "inconclusive", "none is loaded"),
    ],
)
def test_a_critical_alert_must_reach_somebody(labels: dict[str, str], verdict: str, said: str) -> None:
    """Nobody fails, muted now is not proved, and where nothing critical is loaded nothing is proved either. (P45)"""
    judged = probe_routes.judge(simulated(a_rule("Broken", **labels)))

    assert judged.verdict.value == verdict
    assert said in judged.actual


@pytest.mark.parametrize(("value", "critical"), [("P1", True), ("p1", True), ("critical", False), ("", False)])
def test_critical_is_what_the_configuration_says(value: str, critical: bool) -> None:
    """Label and values are the team's own, and the evidence says what counted."""
    ours = Alerts(severity_label="prio", critical=("P1",))
    shapes = probe_routes.shapes([a_rule("Broken", prio=value)], ("checkout",), "service", ours)
    (one,) = probe_routes.simulate(routing.load(CONFIG), shapes, (), 1_000_000.0, ours)

    assert (one.severity, one.critical, "service" in one.labels) == (value or "none", critical, critical)
    (row,) = probe_routes.data(routing.load(CONFIG), [replace(one, reaches_nobody=True)], ours)["reaches_nobody"]
    assert row["critical"] is critical


async def test_the_paths_stand_in_the_results_and_in_the_table(world: World) -> None:
    """alert-test-results.json and its readable table list who is told of what. (P47)"""
    world.load(WATCHDOG, a_rule("Down", severity="critical"), a_rule("Odd", severity="info"))
    result = await world.tested()
    header = Header("run", "rel", "production", "2.2", 1, 0.0, "passed", result.summary, result.criteria)

    assert verdicts(result)[CRITERION] == "passed"
    assert [one["alert"] for one in result.data["paths"]["reaches_nobody"]] == ["Odd"]
    text = alert_paths.documents(result.data, header)["alert-test-results.md"]
    assert "Reach nobody: Odd (info)" in text
    assert "Watchdog fires, and watchdog got it" in text


async def test_rules_that_cannot_be_listed_prove_no_coverage(world: World) -> None:
    """An error, never a pass. (P45)"""

    async def dead() -> Any:
        raise BackendUnreachable("metrics", "refused")

    world.metrics.rules = dead  # type: ignore[method-assign]
    found = verdicts(await world.tested())

    assert (found["alert_paths.rules"], found[CRITERION], found[WATCH]) == ("error", "inconclusive", "error")


async def test_a_heartbeat_that_arrives_is_alive(world: World) -> None:
    """The alert fires, is routed, and its sink has it. (P41)"""
    result = await world.tested()

    assert verdicts(result)[WATCH] == "passed"
    assert result.data["watchdog"]["receivers"] == ["watchdog"]
    assert result.data["watchdog"]["last_seen"]


def _no_rule(world: World) -> None:
    world.load(a_rule("Down", severity="critical"))


def _not_firing(world: World) -> None:
    world.metrics.firing = ()


def _pending(world: World) -> None:
    world.metrics.firing = (ActiveAlert({"alertname": "Watchdog"}, {}, "pending", 0.0, 1.0),)


def _unrouted(world: World) -> None:
    world.alerting.routes = world.alerting.routes[1:]


def _silent(world: World) -> None:
    world.webhook.received.clear()


def _long_ago(world: World) -> None:
    world.webhook.received = [replace(one, at=one.at - 86_400) for one in world.webhook.received]


def _by_mail(world: World) -> None:
    world.alerting.sinks["watchdog"] = [world.mail]


@pytest.mark.parametrize(
    ("bend", "verdict", "said"),
    [
        (_no_rule, "failed", "no loaded alert fires always"), (_not_firing, "failed", "should always fire"),
        (_pending, "failed", "should always fire"), (_unrouted, "failed", "nobody is told"),
        (_silent, "failed", "has not got it"), (_long_ago, "failed", "has not got it"),
        (_by_mail, "inconclusive", "cannot be seen"),
    ],
)  # fmt: skip
async def test_a_dead_mans_switch_that_is_dead_blocks(world: World, bend: Any, verdict: str, said: str) -> None:
    """Absent, not firing, routed to nobody, not arriving, or not to be seen: named, and never a pass. (P45)"""
    bend(world)
    result = await world.tested()

    assert verdicts(result)[WATCH] == verdict
    assert said in actual(result, WATCH)
    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "passed"


@pytest.mark.parametrize("bend", [_silent, _by_mail])
async def test_gate_two_reads_the_dead_switch_and_lost_alerts_from_the_evidence_itself(world: World, bend: Any) -> None:
    """Even where the action's own criteria were turned into passes, the body still blocks. (P45)"""
    world.load(WATCHDOG, a_rule("Down", severity="critical"), a_rule("Lost", severity="page"))
    bend(world)
    result = await world.tested()
    passed = [one.but(verdict=Verdict.PASSED).to_json() for one in result.criteria]
    twin = {"release": "r", "criteria": passed, "body": result.data}

    judged = alert_validation.judge({"alert-test-results.json": twin}, world.context().config.thresholds, 0.0)

    found = {one.id: one for one in judged}
    assert found["alert_validation.coverage"].verdict is Verdict.FAILED
    assert "Lost" in found["alert_validation.coverage"].actual
    assert not found["alert_validation.watchdog"].verdict.lets_go_on


def test_a_peer_that_is_too_old_for_a_field_is_told_what_it_needs() -> None:
    """Fields that are newer than the peer's version, each with the first version that knows it."""
    config = routing.load(
        "route: {receiver: t}\nreceivers: [{name: t, msteamsv2_configs: [{webhook_url: 'http://t'}]}]\n"
    )

    (said,) = routing.unknown_to(config, "0.25.0")
    assert said.startswith("msteamsv2_configs needs Alertmanager ≥ 0.28")
    assert routing.unknown_to(config, "0.28.1") == ()
    assert routing.unknown_to(config, "(devel)") == ()
