"""Faults around a server, and the shop's own endpoints, on a real socket."""

import asyncio

import httpx
import pytest

from ray_tui.demo.faults import Faults
from ray_tui.demo.serving import serving, start
from ray_tui.demo.targets import DemoTargets


async def test_a_fault_answers_so_often_and_no_more():
    """Two bad answers on matching paths, then the app again; other paths are never touched."""
    faults = Faults(DemoTargets().app)
    faults.next("/checkout", status=429, body={"error": "slow down"}, headers={"Retry-After": "1"}, times=2)
    async with serving(faults) as url, httpx.AsyncClient(base_url=url) as client:
        statuses = [(await client.get(path)).status_code for path in ("/cart/healthz", *["/checkout/healthz"] * 3)]

    assert statuses == [200, 429, 429, 200]
    assert faults.seen[0] == ("GET", "/cart/healthz")
    assert faults.waiting == []


async def test_headers_and_json_bodies_are_sent():
    """A mapping becomes JSON under its content type."""
    faults = Faults(DemoTargets().app)
    faults.next(status=429, body={"a": 1}, headers={"Retry-After": "1"})
    async with serving(faults) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/")

    assert (answer.json(), answer.headers["retry-after"]) == ({"a": 1}, "1")
    assert answer.headers["content-type"] == "application/json"


async def test_html_and_broken_json():
    """A proxy's page and a body that breaks off."""
    faults = Faults(DemoTargets().app)
    faults.next(kind="html", status=502)
    faults.next(kind="invalid-json")
    async with serving(faults) as url, httpx.AsyncClient(base_url=url) as client:
        page, broken = await client.get("/"), await client.get("/")

    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    assert broken.status_code == 200
    with pytest.raises(ValueError):
        broken.json()


@pytest.mark.parametrize("kind", ["hang", "drip"])
async def test_a_client_with_a_deadline_gets_away(kind: str):
    """Neither answers to the end; the server stops within its time all the same."""
    faults = Faults(DemoTargets().app)
    faults.next(kind=kind)
    running = await start(faults)
    async with httpx.AsyncClient(base_url=running.base_url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.get("/")
    await running.stop()
    await running.stop()


async def test_a_huge_body_is_larger_than_any_cap():
    """More than 64 MiB arrive if one lets them."""
    faults = Faults(DemoTargets().app)
    faults.next(kind="huge")
    size = 0
    async with serving(faults) as url, httpx.AsyncClient(base_url=url) as client, client.stream("GET", "/") as answer:
        async for chunk in answer.aiter_raw():
            size += len(chunk)

    assert size > 64 * 1024 * 1024


async def test_the_services_answer_visits():
    """Each HTTP service has a health endpoint; the worker and strangers have none."""
    targets = DemoTargets()
    targets.down.add("cart")
    async with serving(targets.app) as url, httpx.AsyncClient(base_url=url) as client:
        paths = ("/healthz", "/checkout/healthz", "/cart/healthz", "/notifications/healthz", "/nobody/healthz")
        statuses = [(await client.get(path)).status_code for path in paths]

    assert statuses == [200, 200, 503, 404, 404]
    assert targets.visits == ["", "checkout", "cart"]
