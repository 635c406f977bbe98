"""healthchecks.io's management API over real HTTP: what a check says of its pings, with the key that may read it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.backends.healthchecks import Healthchecks
from ray_tui.clock import Clock, iso
from ray_tui.core.errors import BackendBroken, BackendRefused, BackendUnreachable
from ray_tui.core.ports import Heartbeat, Ping
from ray_tui.demo.serving import serving

CLOCK = Clock()
CHECK = "13bf3f9b-6a4d-4f24-b6a3-2e4a2f6f9a11"
KEY = "hc-read-only-key"


class Instance:
    """As much of a healthchecks instance as is asked: pings come in by any method, and one check can be read."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {
            "name": "watchdog", "slug": "watchdog", "tags": "", "desc": "", "grace": 300, "n_pings": 0,
            "status": "new", "started": False, "last_ping": None, "next_ping": None, "manual_resume": False,
            "methods": "", "unique_key": "a6c7b0a8a66bed0df66abfdab3c77736861703ee", "timeout": 600,
        }  # fmt: skip
        self.app = Starlette(
            routes=[
                Route("/api/v3/checks/{check}", self.one),
                Route("/ping/{check}", self.ping, methods=["GET", "POST", "HEAD"]),
            ]
        )

    async def one(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != KEY:
            return JSONResponse({"error": "wrong api key"}, 401)
        if request.path_params["check"] != CHECK:
            return JSONResponse({"error": "not found"}, 404)
        return JSONResponse(self.row)

    async def ping(self, request: Request) -> Response:
        self.row |= {"status": "up", "last_ping": iso(CLOCK.wall()), "n_pings": self.row["n_pings"] + 1}
        return Response("OK")


@asynccontextmanager
async def opened(url: str, check: str = CHECK) -> AsyncIterator[Healthchecks]:
    settings = settings_model("heartbeat", "healthchecks")(
        kind="healthchecks", url=url, check=check, api_key="env:HC_KEY"
    )
    backend = open_backend("heartbeat", settings, Opening(CLOCK, jitter=lambda: 0.1))
    try:
        yield backend
    finally:
        await backend.close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HC_KEY", KEY)


async def test_a_ping_without_any_payload_is_seen() -> None:
    """Never pinged, then pinged by a plain GET: when, and after how long it would be missed."""
    import httpx

    instance = Instance()
    async with serving(instance.app) as url, opened(url) as port:
        assert isinstance(port, Heartbeat)
        assert await port.last_ping() == Ping("watchdog", "new", None, 900.0)
        before = CLOCK.wall()
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{url}/ping/{CHECK}")
        seen = await port.last_ping()
        assert (seen.status, seen.longest_silence) == ("up", 900.0)
        assert seen.at is not None
        assert before - 0.002 <= seen.at <= CLOCK.wall()
        health = await port.health()
        assert health.ok
        assert health.clock_skew_seconds is not None


async def test_a_check_by_schedule_and_a_new_status_are_read_as_far_as_they_go() -> None:
    """With a cron schedule there is no timeout; a status that we don't know is not taken for a good one."""
    instance = Instance()
    del instance.row["timeout"]
    instance.row |= {"schedule": "*/5 * * * *", "tz": "UTC", "status": "dreaming", "last_ping": None}
    async with serving(instance.app) as url, opened(url) as port:
        assert await port.last_ping() == Ping("watchdog", "unknown", None, None)


async def test_a_wrong_key_or_check_is_refused_and_no_key_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """401 and 404 are refusals, the health is bad, and the key stands in no message."""
    instance = Instance()
    async with serving(instance.app) as url:
        async with opened(url, "00000000-0000-0000-0000-000000000000") as port:
            with pytest.raises(BackendRefused):
                await port.last_ping()
        monkeypatch.setenv("HC_KEY", "wrong-secret-key")
        async with opened(url) as port:
            with pytest.raises(BackendRefused) as caught:
                await port.last_ping()
            assert "wrong-secret-key" not in str(caught.value)
            assert not (await port.health()).ok


async def test_an_instance_that_is_down_or_answers_otherwise_is_an_error() -> None:
    """Nobody there, or a row without its fields."""
    async with opened("http://127.0.0.1:9") as port:
        with pytest.raises(BackendUnreachable):
            await port.last_ping()
        assert not (await port.health()).ok
    instance = Instance()
    del instance.row["last_ping"]
    async with serving(instance.app) as url, opened(url) as port:
        with pytest.raises(BackendBroken):
            await port.last_ping()


@pytest.mark.parametrize("check", ["", "watchdog", "../../v3/checks/x", "a" * 60])
def test_only_a_uuid_or_a_unique_key_names_a_check(check: str) -> None:
    """Anything else would become another path of the API."""
    with pytest.raises(ValidationError):
        settings_model("heartbeat", "healthchecks")(kind="healthchecks", check=check, api_key="env:HC_KEY")
