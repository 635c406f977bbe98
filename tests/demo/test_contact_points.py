"""The demo's Grafana delivers a contact point's test for real: to the demo's chat, mailbox, pager and sink."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.contact_points import Outside, deliver
from ray_tui.demo.grafana import TOKEN, DemoGrafana
from ray_tui.demo.mail import DemoMail
from ray_tui.demo.pagerduty import DemoPagerDuty
from ray_tui.demo.people import SERVICES, People
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import serving
from ray_tui.demo.slack import WEBHOOK_PATH, DemoSlack

CLOCK = Clock()
SCENARIO = Scenario(name="t", title="t")
PATH = "/api/alertmanager/grafana/config/api/v1/receivers/test"
ALERT = {"labels": {"alertname": "X", "ray_tui_probe": "tok-1"}, "annotations": {"summary": "[TEST] s"}}


@dataclass
class Shop:
    grafana: DemoGrafana
    slack: DemoSlack
    pagerduty: DemoPagerDuty
    mail: DemoMail
    urls: dict[str, str]

    async def tested(self, name: str) -> tuple[int, Any]:
        """As a client does it: what is stored, without what is hidden."""
        rows = [one for one in self.grafana.contact_points if one["name"] == name]
        stripped = [
            {**row, "settings": {key: one for key, one in row["settings"].items() if one != "[REDACTED]"}}
            for row in rows
        ]
        body = {"receivers": [{"name": name, "grafana_managed_receiver_configs": stripped}], "alert": ALERT}
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            answer = await client.post(self.urls["grafana"] + PATH, json=body)
        return answer.status_code, answer.json()


@asynccontextmanager
async def a_shop() -> AsyncIterator[Shop]:
    people = People(60.0)
    shop = Shop(
        DemoGrafana(CLOCK, SCENARIO), DemoSlack(people, CLOCK), DemoPagerDuty(people, CLOCK, SCENARIO),
        DemoMail(people, CLOCK), {},
    )  # fmt: skip
    await shop.mail.start()
    try:
        async with (
            serving(shop.grafana.app) as grafana,
            serving(shop.slack.app) as slack,
            serving(shop.pagerduty.app) as pd,
        ):
            shop.urls = {"grafana": grafana, "slack": slack, "pd": pd}
            shop.grafana.outside = Outside(f"{slack}/api", shop.mail.smarthost)
            yield shop
    finally:
        for server in (shop.slack, shop.pagerduty, shop.mail):
            await server.stop()


async def test_the_shops_own_contact_points_arrive() -> None:
    """By Slack's Web API with the stored token, and by SMTP."""
    async with a_shop() as shop:
        assert (await shop.tested("release-channel"))[0] == 200
        assert "tok-1" in json.dumps(shop.slack.messages["C0RELEASE"])
        assert (await shop.tested("audit-mail"))[0] == 200
        assert [b"tok-1" in one.raw for one in shop.mail.mailbox] == [True]


async def test_a_pager_and_an_incoming_webhook_get_it_by_their_stored_secrets() -> None:
    """The incident carries the labels in its details; the wrong key fails as the pager says."""
    key = next(one.routing_key for one in SERVICES if one.id == "PSVCCHK")
    async with a_shop() as shop:
        shop.grafana.add_contact_point("ops", "slack", {"recipient": ""}, url=shop.urls["slack"] + WEBHOOK_PATH)
        shop.grafana.add_contact_point("ops", "pagerduty", {"url": shop.urls["pd"] + "/v2/enqueue"}, integrationKey=key)
        assert (await shop.tested("ops"))[0] == 200
        assert "tok-1" in json.dumps(shop.slack.messages["C0RELEASE"])
        (event,) = shop.pagerduty.events
        assert "tok-1" in json.dumps(event["payload"])
        shop.pagerduty.reject_routing_keys = {key}
        status, body = await shop.tested("ops")
        outcomes = body["receivers"][0]["grafana_managed_receiver_configs"]
        assert (status, [one["status"] for one in outcomes]) == (207, ["ok", "failed"])
        assert "400" in outcomes[1]["error"]


@pytest.mark.parametrize(
    ("fault", "status", "delivered"), [("failed", 207, False), ("timeout", 408, False), ("swallowed", 200, False)]
)
async def test_an_integration_can_be_made_to_fail(fault: Any, status: int, delivered: bool) -> None:
    """By its uid; a swallowed test is said to be ok."""
    async with a_shop() as shop:
        shop.grafana.contact_faults["cp-audit"] = fault
        assert (await shop.tested("audit-mail"))[0] == status
        assert bool(shop.mail.mailbox) is delivered


async def test_its_alertmanager_can_be_missing_or_starting() -> None:
    """404 and 409, in Grafana's shape."""
    async with a_shop() as shop:
        shop.grafana.alertmanager = "none"
        assert await shop.tested("audit-mail") == (
            404,
            {"message": "Alertmanager does not exist for this organization"},
        )
        shop.grafana.alertmanager = "starting"
        assert (await shop.tested("audit-mail"))[0] == 409


async def test_a_secret_that_was_sent_as_its_placeholder_is_wrong() -> None:
    """[REDACTED] is no token: a client must leave it out."""
    async with a_shop() as shop:
        settings = {"recipient": "#release", "token": "[REDACTED]"}
        state, why = await deliver("slack", settings, ALERT, shop.grafana.outside, 5.0)
        assert state == "failed"
        assert "invalid_auth" in why
