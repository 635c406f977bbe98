"""Which message at a sink or in a chat belongs to which receiver's integration, and where nothing can be seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui import config
from ray_tui.actions import probe_hooks
from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_judging import Channel, Leg
from ray_tui.actions.probe_sightings import Turn, by_webhook
from ray_tui.core.ports import WebhookReceipt
from ray_tui.core.verdicts import Verdict
from tests.actions.probe_world import World
from tests.fakes import InMemoryWebhook, actual, verdicts


class NamesNoReceiver(InMemoryWebhook):
    """A sink whose rows do not say which receiver they are of."""

    async def receipts(self, token: str, since: float) -> tuple[WebhookReceipt, ...]:
        return tuple(replace(one, receiver="") for one in await super().receipts(token, since))


def a_receipt(at: float, receiver: str = "", status: str = "firing", by: str = "") -> WebhookReceipt:
    return WebhookReceipt(at, receiver, status, "text", by)


def a_leg(name: str, *channels: Channel) -> Leg:
    return Leg(f"{name}-ack", name, "acknowledge", list(channels), 0.0)


def seen(legs: list[Leg], receipts: list[WebhookReceipt], sink: str = "ops") -> dict[str, float | None]:
    """receiver/kind -> when the message that is its own came."""
    alert = Alert("tok", {}, {}, 0.0, 60.0, legs)
    found = {}
    for leg in legs:
        for one in leg.channels:
            stamp = probe_hooks.seen(alert, leg, one.kind, {("tok", sink): receipts}).delivered
            found[f"{leg.receiver}/{one.kind}"] = stamp.at if stamp else None
    return found


def discord(expected: int = 1, blind: str = "", sink: str = "ops") -> Channel:
    return Channel("discord", expected, blind, sink)


def test_receivers_in_one_chat_take_turns() -> None:
    """A chat does not say for whom a message is: the second receiver needs a second message. (P46)"""
    legs = [a_leg("a", discord()), a_leg("b", discord())]
    assert seen(legs, [a_receipt(1.0)]) == {"a/discord": 1.0, "b/discord": None}
    assert seen(legs, [a_receipt(2.0), a_receipt(1.0)]) == {"a/discord": 1.0, "b/discord": 2.0}


def test_two_integrations_of_one_receiver_need_two_messages() -> None:
    """Also where the sink names the receiver. (P46)"""
    leg = a_leg("a", Channel("webhook", 1, "", "ops"), discord())
    named = [a_receipt(1.0, "a")]
    assert seen([leg], named) == {"a/webhook": 1.0, "a/discord": None}
    assert seen([leg], [*named, a_receipt(3.0, "a")]) == {"a/webhook": 1.0, "a/discord": 3.0}
    twice = a_leg("a", discord(2))
    assert seen([twice], named) == {"a/discord": None}
    assert seen([twice], [*named, a_receipt(2.0, "a")]) == {"a/discord": 2.0}


def test_what_is_named_for_another_receiver_is_nobody_elses() -> None:
    """A sink's own word on the receiver goes before any turn."""
    legs = [a_leg("a", discord()), a_leg("b", discord())]
    assert seen(legs, [a_receipt(1.0, "b")]) == {"a/discord": None, "b/discord": 1.0}


def test_a_blind_integration_and_another_sink_take_no_turn() -> None:
    """Only what posts to the same place shares its messages."""
    legs = [a_leg("a", discord(blind="nobody said")), a_leg("b", discord(sink="else")), a_leg("c", discord())]
    alert = Alert("tok", {}, {}, 0.0, 60.0, legs)
    found = probe_hooks.seen(alert, legs[2], "discord", {("tok", "ops"): [a_receipt(1.0)]})
    assert found.delivered is not None
    assert probe_hooks.sinks(alert) == ["else", "ops"]


def test_copies_beyond_all_that_are_expected_are_counted() -> None:
    """Two of two are no repetition; three are."""
    two = [a_receipt(1.0), a_receipt(2.0)]
    assert by_webhook(two, "a", Turn(), Turn(0, 1, 2)).copies == 1
    assert by_webhook([*two, a_receipt(3.0)], "a", Turn(), Turn(0, 1, 2)).copies == 2
    assert by_webhook([a_receipt(1.0, status="resolved")], "a").delivered is None


async def test_a_receiver_that_nobody_mapped_is_unobservable_and_says_what_to_set(tmp_path: Path) -> None:
    """The one sink is no longer taken for every webhook's. (P46)"""
    world = World(tmp_path, [({"severity": "critical"}, ("hook",))])
    world.settings.pop("webhook_receivers")
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:hook"] == "inconclusive"
    assert "[unobservable at t4" in actual(result, "alert_paths.delivered:hook")
    (one,) = (one for one in result.criteria if one.id == "alert_paths.delivered:hook")
    assert "Set [alert_paths.webhook_receivers] 'hook' = " in one.remedy
    assert world.sends() == {}


async def test_a_receiver_is_seen_in_the_sink_that_it_is_mapped_to(tmp_path: Path) -> None:
    """By name, with that sink's own clock; a sink that is not configured sees nothing. (P45)"""
    world = World(tmp_path, [({"severity": "critical"}, ("hook",))])
    other = InMemoryWebhook(clock=world.clock, condition=world.webhook.condition)
    world.alerting.sinks["hook"] = [other]
    world.settings["webhook_receivers"] = {"hook": "webhook"}
    lost = await world.tested(ports=world.ports())
    assert verdicts(lost)["alert_paths.delivered:hook"] == "failed"

    world.settings["webhook_receivers"] = {"hook/webhook": "audit"}
    world.tables["webhooks"] = {"audit": {"kind": "sink", "url": "http://127.0.0.1:9"}}
    result = await world.tested(ports=world.ports(webhooks={"audit": other}), attempt=2)
    assert verdicts(result)["alert_paths.delivered:hook"] == "passed"
    assert verdicts(result)["alert_paths.ack:hook"] == "passed"
    assert "webhooks.audit" in result.data["skew_seconds"]


async def test_a_chat_is_no_proof_of_the_dead_mans_switch(tmp_path: Path) -> None:
    """Anybody's message with the word in it would do: only a sink that names receivers is asked. (P46)"""
    world = World(tmp_path)
    chat = {"kind": "template", "url": "http://127.0.0.1:9", "at": "at", "text": ["text"]}
    assert verdicts(await world.tested())["alert_paths.watchdog"] == "passed"
    world.tables["webhook"] = chat
    result = await world.tested(attempt=2)
    assert verdicts(result)["alert_paths.watchdog"] == "inconclusive"


async def test_a_sink_that_names_no_receiver_leaves_the_dead_mans_switch_open(tmp_path: Path) -> None:
    """It got the alert, nobody knows for whom: neither failed nor passed, and what to mend is named. (P46)"""
    world = World(tmp_path)
    sink = NamesNoReceiver(clock=world.clock, received=world.webhook.received)
    result = await world.tested(ports=world.ports(webhook=sink))
    switch = next(one for one in result.criteria if one.id == "alert_paths.watchdog")
    assert (switch.verdict, "names no `receiver`" in switch.actual) == (Verdict.INCONCLUSIVE, True)
    assert "docs/backends.md" in switch.remedy


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"alert_paths": {"webhook_receivers": {"ops": "teams"}}}, "there is no [webhooks.teams]"),
        ({"webhooks": {"webhook": {"kind": "sink", "url": "http://h"}}}, "[webhook]'s own"),
        ({"webhooks": {"a": {"kind": "fax"}}}, "webhooks.a.kind"),
        ({"webhooks": {"a": {"kind": "template", "url": "http://h"}}}, "needs `at` and `text`"),
    ],
)
def test_a_mapping_that_leads_nowhere_is_refused(tables: dict[str, Any], said: str) -> None:
    """Before a run, with the key."""
    _, faults = config.examined({"run": {"release": "r"}, **tables})
    assert said in "; ".join(fault.to_text() for fault in faults)
