"""The demo's webhook sink over a real socket."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.people import People
from ray_tui.demo.serving import serving
from ray_tui.demo.webhook_sink import DemoWebhookSink


@pytest.fixture
async def sink() -> AsyncIterator[DemoWebhookSink]:
    demo = DemoWebhookSink(People(0.02), Clock())
    yield demo
    await demo.stop()


@pytest.fixture
async def client(sink: DemoWebhookSink) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sink.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


async def test_a_test_alert_is_received_found_and_acknowledged(
    client: httpx.AsyncClient, sink: DemoWebhookSink
) -> None:
    """What carries the token is listed with the sink's own time; Jo acknowledges after the delay."""
    before = Clock().wall()
    payload = {"status": "firing", "alerts": [{"annotations": {"summary": "[TEST] acknowledge t-1"}}]}
    assert (await client.post("/hook/watchdog", json=payload)).status_code == 200
    await client.post("/hook/watchdog", json={"status": "firing", "alerts": []})

    async with asyncio.timeout(5):
        while not sink.received[0].acknowledged_by:
            await asyncio.sleep(0.01)
    (receipt,) = (await client.get("/received", params={"token": "t-1"})).json()
    assert (receipt["receiver"], receipt["status"], receipt["payload"]) == ("watchdog", "firing", payload)
    assert receipt["acknowledged_by"] == "jo"
    assert before <= receipt["at"] <= receipt["acknowledged_at"]
    assert len((await client.get("/received")).json()) == 2


async def test_do_not_acknowledge_is_respected(client: httpx.AsyncClient, sink: DemoWebhookSink) -> None:
    """Only the message that asks is acknowledged."""
    await client.post("/hook/a", json={"status": "firing", "text": "[TEST] do not acknowledge"})
    await client.post("/hook/a", json={"status": "firing", "text": "[TEST] acknowledge"})
    async with asyncio.timeout(5):
        while not sink.received[1].acknowledged_by:
            await asyncio.sleep(0.01)
    assert sink.received[0].acknowledged_at is None


async def test_a_ping_is_a_heartbeat(client: httpx.AsyncClient, sink: DemoWebhookSink) -> None:
    """Any method counts."""
    assert (await client.get("/ping/watchdog")).text == "OK"
    assert (await client.post("/ping/watchdog", content=b"\xff")).status_code == 200
    assert [(each.receiver, each.status) for each in sink.received] == [("watchdog", "ping")] * 2


async def test_bad_json_is_refused(client: httpx.AsyncClient, sink: DemoWebhookSink) -> None:
    """400, and nothing is kept."""
    assert (await client.post("/hook/a", content=b"{")).status_code == 400
    assert sink.received == []


async def test_a_hand_off_with_the_same_key_is_one_hand_off(client: httpx.AsyncClient, sink: DemoWebhookSink) -> None:
    """The same Idempotency-Key answers the same reference; another protocol or key is another hand-off."""

    async def notify(protocol: str, key: str) -> str:
        answer = await client.post(f"/notify/{protocol}", json={"text": "t-1"}, headers={"Idempotency-Key": key})
        return str(answer.json()["reference"])

    first = await notify("20", "k1")
    assert await notify("20", "k1") == first
    assert await notify("20", "k2") != first
    assert await notify("21", "k1") != first
    assert [each.protocol for each in sink.hand_offs] == ["20", "20", "21"]
