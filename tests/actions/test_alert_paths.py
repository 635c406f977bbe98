"""2.2 over fakes: what proves a path, what fails it, and who is asked before anybody is paged."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import alert_paths
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.ports import AlertToFire, EscalationPolicy, LoadedRule, Silence
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header
from tests.actions.probe_world import SYNCHRONOUS, World
from tests.fakes import actual, verdicts


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_delivered_and_acknowledged_page_passes_hop_by_hop(world: World) -> None:
    """Fired, accepted, active, delivered, notified, acknowledged, cleared: in this order, from named sources. (P40)"""
    context = world.context()
    result = await alert_paths.run(context)

    assert result.verdict is Verdict.PASSED, result.criteria
    hops = result.data["receivers"][0]["hops"]
    known = [hops[name] for name in ("t0", "t1", "t2", "t4", "t5", "t6", "t8")]
    assert [one["latest"] for one in known] == sorted(one["latest"] for one in known)
    assert all(one["source"] for one in known)
    assert hops["t3"] is None
    assert hops["t6"]["who"] == "Mira Okafor"
    assert world.firing() == []


async def test_each_probe_is_on_record_before_it_is_sent(world: World) -> None:
    """ProbeIntended stands in the journal when the POST goes out. (P40)"""
    context = world.context()
    seen: list[bool] = []
    fire = world.alerting.fire

    async def watching(alert: Any) -> Any:
        seen.append(alert.labels["ray_tui_probe"] in context.state.probes)
        return await fire(alert)

    world.alerting.fire = watching  # type: ignore[method-assign]
    await alert_paths.run(context)

    assert seen
    assert all(seen)


async def test_test_stands_in_the_summary_and_the_token_in_the_text(world: World) -> None:
    """A person who is paged sees at once that it is a test, and what to do. (P40)"""
    context = world.context()
    await alert_paths.run(context)

    for probe in context.of_kind(f.ProbeIntended):
        assert probe.annotations["summary"].startswith("[TEST] ray-tui checkout-v2.4.1:")
        assert probe.labels["ray_tui_probe"] in probe.annotations["summary"]
        assert probe.ends_at > probe.starts_at


async def test_a_page_that_never_arrives_is_lost(world: World) -> None:
    """A lost page fails its receiver by name, and is not called late. (P41, P45)"""
    world.paging.loses = {"pd-checkout"}
    result = await world.tested()

    found = verdicts(result)
    assert found["alert_paths.delivered:pd-checkout"] == "failed"
    assert found["alert_paths.ack:pd-checkout"] == "failed"
    assert "lost" in actual(result, "alert_paths.delivered:pd-checkout")
    assert found["alert_paths.escalation:pd-checkout"] == "inconclusive"
    assert world.firing() == []


@pytest.mark.parametrize(("after", "verdict"), [(7.0, "passed"), (8.0, "failed"), (9.0, "failed")])
async def test_an_acknowledgement_is_judged_against_the_sla(world: World, after: float, verdict: str) -> None:
    """Delivered after 0.5 s, acknowledged ``after`` + 0.2 s more: certainly within 8 s, or certainly late. (P46)"""
    world.paging.acknowledges_after = after
    world.settings["poll_seconds"] = 0.1
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == verdict


async def test_an_acknowledgement_that_may_be_late_is_inconclusive(world: World) -> None:
    """It lies within one poll around the limit: neither passed nor failed. (P46)"""
    world.paging.acknowledges_after = 7.0
    world.settings["poll_seconds"] = 1.5
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "inconclusive"
    assert "by Mira Okafor" in actual(result, "alert_paths.ack:pd-checkout")


async def test_nobody_acknowledging_fails(world: World) -> None:
    """Delivered is not acknowledged. (P43, P46)"""
    world.paging.acknowledges_after = None
    result = await world.tested()

    found = verdicts(result)
    assert found["alert_paths.delivered:pd-checkout"] == "passed"
    assert found["alert_paths.ack:pd-checkout"] == "failed"
    assert "SLA of 8 s expired" in actual(result, "alert_paths.ack:pd-checkout")


async def test_a_machine_that_acknowledges_fails(world: World) -> None:
    """An acknowledgement by an integration is not a person's, however fast. (P43)"""
    world.paging.auto_acknowledges = True
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "failed"
    assert "auto_ack" in actual(result, "alert_paths.ack:pd-checkout")


async def test_two_incidents_for_one_probe_fail(world: World) -> None:
    """Whoever is paged twice for one alert has a broken path. (P41)"""
    received = world.paging.receive
    world.paging.receive = lambda receiver, alert: (received(receiver, alert), received(receiver, alert))[0]  # type: ignore
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "failed"
    assert "duplicate" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_a_silenced_probe_names_the_silence(world: World) -> None:
    """Suppressed alerts reach nobody; who silenced them is said. (P45)"""
    world.alerting.suppresses = True
    world.alerting.active_silences = (Silence("silence-1", (), 0.0, 1e12, "tom", "maintenance"),)
    result = await world.tested()

    said = actual(result, "alert_paths.delivered:pd-checkout")
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "failed"
    assert "silence-1 of tom: maintenance" in said


async def test_an_inhibited_probe_is_suppressed(world: World) -> None:
    """As is one that a live alert inhibits. (P45)"""
    world.alerting.suppresses = True
    world.alerting.bend = lambda one: replace(one, silenced_by=(), inhibited_by=("abc123",))  # type: ignore[attr-defined]
    result = await world.tested()

    assert "the alert abc123" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_a_peer_that_is_down_blocks(world: World) -> None:
    """Every peer must accept: one that is down would hide who does not hear. (P41)"""
    context = world.context()
    world.alerting.down = {"http://am-2:9093"}
    result = await alert_paths.run(context)

    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "failed"
    assert "http://am-2:9093" in actual(result, "alert_paths.delivered:pd-checkout")
    assert "t1" not in {hop.hop for hop in context.of_kind(f.ProbeHopSeen)}


async def test_level_two_is_called_when_level_one_leaves_the_page_alone(world: World) -> None:
    """A second probe, left unacknowledged on purpose, reaches another person. (P42)"""
    result = await world.tested()

    row = result.data["escalations"][0]
    assert row["escalated_to"] == "Tom Brandt"
    assert row["limit_seconds"] == 9.0
    assert verdicts(result)["alert_paths.escalation:PPOLCHK"] == "passed"


async def test_an_escalation_that_ends_with_nobody_fails(world: World) -> None:
    """Acknowledged in time, but nobody on level 2: the gate must hear of it. (P42, P45)"""
    world.paging.duty = tuple(one for one in world.paging.duty if one.level == 1)
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "passed"
    assert verdicts(result)["alert_paths.escalation:PPOLCHK"] == "failed"


async def test_an_escalation_that_comes_too_late_fails(world: World) -> None:
    """Later than the policy's own delay and the slack. (P42)"""
    late = EscalationPolicy("PPOLCHK", "Checkout on-call", (3.0, 3.0))
    world.paging.escalation = (EscalationPolicy("PPOLCHK", "Checkout on-call", (60.0, 3.0)),)
    context = world.context()
    listed = world.paging.policies

    async def as_documented() -> tuple[EscalationPolicy, ...]:
        await listed()
        return (late,)

    world.paging.policies = as_documented  # type: ignore[method-assign]
    result = await alert_paths.run(context)

    assert verdicts(result)["alert_paths.escalation:PPOLCHK"] == "failed"
    assert "not_escalated" in actual(result, "alert_paths.escalation:PPOLCHK")


async def test_one_alert_proves_receivers_that_it_reaches_together(tmp_path: Path) -> None:
    """A route with continue reaches pager and mail by one alert: one page, two proofs. (P41)"""
    world = World(tmp_path, [({"severity": "critical", "service": "payments"}, ("pd-payments", "mail-audit"))])
    result = await world.tested()

    assert result.verdict is Verdict.PASSED, result.criteria
    assert {row["receiver"] for row in result.data["receivers"]} == {"pd-payments", "mail-audit"}
    assert sorted(world.sends().values()) == [1, 1]  # one to acknowledge, one to escalate
    assert len([one for one in world.paging.received if one.receiver == "pd-payments"]) == 2


async def test_a_mail_is_acknowledged_by_a_reply(tmp_path: Path) -> None:
    """Relayed is not delivered, delivered is not read: a person's reply is. (P43)"""
    world = World(tmp_path, [({"severity": "critical"}, ("mail-audit",))])
    result = await world.tested()

    assert actual(result, "alert_paths.ack:mail-audit").endswith("by audit@shop.example")


async def test_a_mail_that_only_a_machine_answers_is_not_acknowledged(tmp_path: Path) -> None:
    """An out-of-office reply comes from nobody. (P43)"""
    world = World(tmp_path, [({"severity": "critical"}, ("mail-audit",))])
    world.mail.person = "noreply@shop.example"
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:mail-audit"] == "failed"


@pytest.mark.parametrize(("bot", "verdict"), [(False, "passed"), (True, "failed")])
async def test_a_reaction_counts_only_from_a_person(tmp_path: Path, bot: bool, verdict: str) -> None:
    """A bot that reacts to everything acknowledges nothing. (P43)"""
    world = World(tmp_path, [({"severity": "critical"}, ("slack-release",))])
    world.chat.is_bot = bot
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:slack-release"] == "passed"
    assert verdicts(result)["alert_paths.ack:slack-release"] == verdict


async def test_a_webhook_receipt_is_acknowledged_by_its_reader(tmp_path: Path) -> None:
    """The sink says who. (P43)"""
    world = World(tmp_path, [({"severity": "critical"}, ("hook",))])
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:hook"] == "passed"


async def test_clocks_that_are_far_apart_prove_nothing(world: World) -> None:
    """More than 30 s of skew: inconclusive, whatever the dates say. (P46)"""
    world.paging.condition = replace(SYNCHRONOUS, clock_skew_seconds=(-45.0, -44.0))
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "inconclusive"
    assert "skew" in actual(result, "alert_paths.ack:pd-checkout")


async def test_a_pager_that_fails_for_a_while_is_asked_again(world: World) -> None:
    """Three failed polls are no verdict. (P41)"""
    polls = iter(range(100))
    pages = world.paging.pages

    async def flaky(token: str, since: float) -> Any:
        if next(polls) in (0, 1, 2):
            raise BackendUnreachable("paging", "reset")
        return await pages(token, since)

    world.paging.pages = flaky  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "passed"


async def test_a_pager_that_never_answers_is_an_error_and_not_a_lost_page(world: World) -> None:
    """What could not be looked at is neither delivered nor lost. (P41)"""

    async def dead(token: str, since: float) -> Any:
        raise BackendUnreachable("paging", "refused")

    world.paging.pages = dead  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "error"
    assert "paging" in actual(result, "alert_paths.delivered:pd-checkout")
    assert verdicts(result)["alert_paths.clean"] == "failed"


async def test_nobody_is_paged_whom_nobody_can_name(world: World) -> None:
    """Who is on call cannot be read: nothing is fired. (P40)"""
    world.paging.trouble = BackendUnreachable("paging", "refused")

    with pytest.raises(BackendUnreachable):
        await world.tested()

    assert world.alerting.fired == []


async def test_the_people_are_named_and_counted_before_they_are_paged(world: World) -> None:
    """The text to type names everyone; the data says level, receiver and how often. (P40)"""
    context = world.context()
    await alert_paths.run(context)

    (asked,) = context.asked
    assert asked.prompt == "typed"
    assert asked.expects == "page Mira Okafor, Tom Brandt"
    assert [(one["person"], one["level"], one["count"]) for one in asked.data["pages"]] == [
        ("Mira Okafor", 1, 2),
        ("Tom Brandt", 2, 2),  # also where Mira does not answer: she is given 3 s, and the SLA is 8 s
    ]


@pytest.mark.parametrize("after", [2.0, None])
async def test_nobody_is_paged_more_often_than_was_confirmed(world: World, after: float | None) -> None:
    """Answered or not, what reaches each person stays within what the preview said. (P40)"""
    world.paging.acknowledges_after = after
    context = world.context()
    await alert_paths.run(context)

    (asked,) = context.asked
    allowed = Counter({(one["person"], one["level"]): one["count"] for one in asked.data["pages"]})
    names = {one.user_id: (one.user, one.level) for one in world.paging.duty if one.policy_id == "PPOLCHK"}
    notified = Counter(
        names[recipient]
        for received in world.paging.received
        for event in world.paging._page(received).events
        if event.kind == "notified"
        for recipient in event.recipients
    )
    assert notified
    assert notified <= allowed


@pytest.mark.parametrize("answer", ["no", "yes", "page Mira Okafor"])
async def test_without_the_exact_words_nobody_is_paged(world: World, answer: str) -> None:
    """Declined is a failure with a name; nothing is fired. (P40)"""
    world.answers = {"page": answer}
    result = await world.tested()

    assert world.alerting.fired == []
    assert verdicts(result)["alert_paths.receivers"] == "failed"
    assert "declined by mira" in actual(result, "alert_paths.receivers")


async def test_pages_over_the_budget_are_said_and_typed(world: World) -> None:
    """Earlier attempts within the hour count. (P40)"""
    world.thresholds["pages_per_person_and_hour"] = 2
    first, second = world.context(), None
    await alert_paths.run(first)
    second = world.context(attempt=2, facts=first.of_kind(f.ProbeIntended))
    await alert_paths.run(second)

    assert first.asked[0].expects == "page Mira Okafor, Tom Brandt"
    assert second.asked[0].expects == "page Mira Okafor, Tom Brandt, over budget"
    assert second.asked[0].data["over_budget"][0].startswith("Mira Okafor: 2 now and 2 in the last hour")


@pytest.mark.parametrize(
    "person",
    [{"pages_opt_in": False}, {"quiet_hours": "19:00-21:00", "timezone": "UTC"}, {"quiet_hours": "always"}],
)
async def test_whoever_must_not_be_paged_is_not(world: World, person: dict[str, Any]) -> None:
    """No consent, quiet hours, or quiet hours that cannot be read: the criterion names the person. (P40)"""
    world.people = {"mira": person}
    result = await world.tested()

    assert world.alerting.fired == []
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "inconclusive"
    assert "Mira Okafor" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_a_second_level_in_quiet_hours_spares_the_escalation(world: World) -> None:
    """Acknowledgement is tested, escalation is not, and the reason is said. (P42)"""
    world.people = {"tom": {"pages_opt_in": False}}
    world.paging.escalation = (EscalationPolicy("PPOLCHK", "Checkout on-call", (60.0, 60.0)),)
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "passed"
    assert verdicts(result)["alert_paths.escalation:PPOLCHK"] == "inconclusive"
    assert "Tom Brandt" in actual(result, "alert_paths.escalation:PPOLCHK")


async def test_a_dry_run_fires_nothing_and_proves_nothing(world: World) -> None:
    """It plans, asks nobody, and is inconclusive. (P40)"""
    world.settings["real_pages"] = False
    context = world.context()
    result = await alert_paths.run(context)

    assert (world.alerting.fired, context.asked) == ([], [])
    assert result.verdict is Verdict.INCONCLUSIVE


async def test_a_critical_route_to_nobody_fails(tmp_path: Path) -> None:
    """A receiver with nobody behind it is a failure, not something to skip. (P45)"""
    routes = [({"severity": "critical", "service": "x"}, ("void",)), ({"severity": "critical"}, ("pd-checkout",))]
    world = World(tmp_path, routes)
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:void"] == "failed"
    assert "nobody" in actual(result, "alert_paths.delivered:void")


async def test_a_loaded_critical_alert_that_falls_through_fails(tmp_path: Path) -> None:
    """payments has no route of its own: its loaded alert ends at the default, which is nobody. (P45)"""
    world = World(tmp_path, [({"severity": "critical", "service": "checkout"}, ("pd-checkout",))])
    ports = world.ports()
    rule = LoadedRule(
        "g", "f", "PaymentsDown", "up == 0", "alerting", labels={"severity": "critical", "service": "payments"}
    )
    assert ports.metrics is not None
    ports.metrics.loaded = [rule]  # type: ignore[attr-defined]

    async def rules() -> tuple[LoadedRule, ...]:
        return (rule,)

    ports.metrics.rules = rules  # type: ignore[method-assign]
    result = await world.tested(ports=ports)

    assert verdicts(result)["alert_paths.delivered:nobody"] == "failed"
    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "passed"


async def test_no_critical_receiver_at_all_is_inconclusive(tmp_path: Path) -> None:
    """Nothing proved is never a pass. (P47)"""
    world = World(tmp_path, [({"severity": "warning"}, ("slack-release",))])
    world.alerting.sinks = {"slack-release": [world.chat]}
    context = world.context(ports=world.ports(metrics=None))
    result = await alert_paths.run(context)

    unknown = ("alert_paths.receivers", "alert_paths.coverage", "alert_paths.watchdog")
    assert verdicts(result) == dict.fromkeys(unknown, "inconclusive")


async def test_what_no_port_can_see_is_inconclusive(tmp_path: Path) -> None:
    """A Slack receiver whose channel nobody configured is not fired at, and not passed. (P41)"""
    world = World(tmp_path, [({"severity": "critical"}, ("slack-release",))])
    world.settings = {}
    result = await world.tested()

    assert world.alerting.fired == []
    assert verdicts(result)["alert_paths.delivered:slack-release"] == "inconclusive"
    assert "slack_channels" in actual(result, "alert_paths.delivered:slack-release")


async def test_a_path_that_is_grouped_with_live_alerts_is_said(world: World) -> None:
    """group_by without the probe's label: a warning that does not block. (P41)"""
    ports = world.ports()
    world.alerting.config_yaml = world.alerting.config_yaml.replace("  - ray_tui_probe\n", "")
    result = await world.tested(ports=ports)

    problems = result.data["receivers"][0]["problems"]
    assert [(one["problem"], one["blocks"]) for one in problems] == [("shared_group", False)]
    assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize("error", [RuntimeError("bug"), asyncio.CancelledError()])
async def test_nothing_is_left_firing_after_an_exception(world: World, error: BaseException) -> None:
    """A cancellation, or a bug of ours, in the middle: every probe is resolved and its incident closed. (P40)"""
    context = world.context()

    async def breaks(seconds: float) -> None:
        world.clock.advance(seconds)
        if world.clock.at > world.clock.started + 1.5:
            raise error

    context.sleep = breaks  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        await alert_paths.run(context)

    assert world.sends()
    assert world.firing() == []
    assert {page.status for page in [world.paging._page(one) for one in world.paging.received]} == {"resolved"}
    assert all(probe.cleared and probe.cleared.clean for probe in context.state.probes.values())


async def test_what_cannot_be_resolved_is_named(world: World) -> None:
    """An incident that nobody closes is left, with its address. (P40)"""
    world.paging.resolved = lambda receiver, alert: None  # type: ignore[method-assign]

    async def refuses(incident_id: str, note: str) -> None:
        raise BackendUnreachable("paging", "refused")

    world.paging.resolve = refuses  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)["alert_paths.clean"] == "failed"
    assert "https://pd.example/incidents/" in actual(result, "alert_paths.clean")


async def test_an_incident_that_stays_open_is_closed_through_the_pager(world: World) -> None:
    """Alertmanager tells the pager late: the last resort closes it. (P40)"""
    world.paging.resolved = lambda receiver, alert: None  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)["alert_paths.clean"] == "passed"


async def test_the_table_is_the_same_for_the_same_results(world: World) -> None:
    """alert-test-results.md is rendered from the data alone, and names every receiver. (P47)"""
    result = await world.tested()
    header = Header("run", "rel", "production", "2.2", 1, 0.0, "passed", result.summary, result.criteria)

    text = alert_paths.documents(result.data, header)["alert-test-results.md"]

    assert text == alert_paths.documents(result.data, header)["alert-test-results.md"]
    assert "| pd-checkout | pagerduty | passed |" in text
    assert alert_paths.documents({}, header) == {}


async def test_counters_time_the_send_only_where_nothing_else_moved_them(world: World) -> None:
    """t3 is known when the counter rose by exactly our number, unknown when it rose by more. (P47)"""
    key = ("http://am-1:9093", "pagerduty")

    async def tested(extra: int) -> Any:
        other = World(world.folder)
        other.alerting.counters = {key: 5.0}

        async def counted() -> dict[tuple[str, str], float]:
            arrived = [one for one in other.paging.received if one.at <= other.clock.wall()]
            return {key: 5.0 + len(arrived) + (extra if arrived else 0)}

        other.alerting.notifications = counted  # type: ignore[method-assign]
        return (await other.tested()).data["receivers"][0]["hops"]["t3"]

    assert (await tested(0))["source"] == "notification counters of pagerduty"
    assert await tested(1) is None


async def test_a_broken_path_gets_a_backlog_entry_until_it_works(world: World) -> None:
    """From the moment it is found, with the owner whose policy it is; resolved when a later attempt passes. (P47)"""
    world.paging.acknowledges_after = None
    context = world.context()
    broken = await alert_paths.run(context)
    world.paging.acknowledges_after = 2.0
    again = world.context(attempt=2, facts=[*context.of_kind(f.ProbeIntended), *broken.gaps])
    repaired = await alert_paths.run(again)

    found = {gap.id: (gap.owner, gap.status) for gap in broken.gaps}
    assert found["alert_paths.ack:pd-checkout"] == ("checkout", "open")
    assert {gap.id: gap.status for gap in repaired.gaps}["alert_paths.ack:pd-checkout"] == "resolved"


async def test_a_dry_run_after_a_crash_still_clears_what_was_sent(world: World) -> None:
    """Pages were switched off meanwhile: nothing new is fired, and nothing is left. (P40)"""
    context = world.context()

    async def dies(seconds: float) -> None:
        raise KeyboardInterrupt

    context.sleep = dies  # type: ignore[method-assign]
    resolve = world.alerting.fire

    async def only_firing(alert: AlertToFire) -> Any:
        return await resolve(alert) if alert.ends_at > world.clock.at else ()

    world.alerting.fire = only_firing  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await alert_paths.run(context)
    world.alerting.fire = resolve  # type: ignore[method-assign]
    world.settings["real_pages"] = False
    journal = [one for one in context.recorded if not isinstance(one, f.RunOpened | f.StepStarted | f.ProbeCleared)]

    result = await alert_paths.run(world.context(resumed=True, facts=journal))

    assert world.firing() == []
    assert result.verdict is not Verdict.PASSED
