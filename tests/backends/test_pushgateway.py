"""The Pushgateway's API: paths and text that it takes, and what it says when it does not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from ray_tui import testing
from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.backends.pushgateway import Pushgateway, exposition, path_of
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendBroken, BackendRefused, BackendUnreachable
from ray_tui.core.ports import Pusher
from ray_tui.demo.serving import serving
from tests.real.systems import Program, free_port, require_binaries

CLOCK = Clock()
GROUP = {"job": "ray-tui", "ray_tui_probe": "tok-1"}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Pushgateway]:
    settings = settings_model("pusher", "pushgateway")(kind="pushgateway", url=url)
    backend = open_backend("pusher", settings, Opening(CLOCK, jitter=lambda: 0.1))
    try:
        yield backend
    finally:
        await backend.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_binaries("prometheus-pushgateway")
    folder: Path = tmp_path_factory.mktemp("gateway")
    url = f"http://127.0.0.1:{free_port()}"
    # Debian's keeps what is pushed in one file for all, unless it is told otherwise
    arguments = [f"--web.listen-address={url.removeprefix('http://')}", f"--persistence.file={folder / 'pushed'}"]
    program = Program.start("prometheus-pushgateway", url, folder, arguments)
    try:
        program.wait_ready()
        yield url
    finally:
        program.stop()


@pytest.mark.real
async def test_a_group_is_pushed_replaced_seen_and_deleted(gateway: str) -> None:
    """On the real one: its value and labels, the same again, and gone; others' groups stay."""
    import httpx

    async with opened(gateway) as port, httpx.AsyncClient(trust_env=False) as client:
        assert isinstance(port, Pusher)
        health = await port.health()
        assert health.ok
        assert health.version
        other = {"job": "ray-tui", "ray_tui_probe": "tok-10"}
        await port.push(other, "until", {}, 1.0)
        assert not await port.pushed(GROUP)
        for until in (5.0, 1_795_377_660.0):
            await port.push(GROUP, "until", {"service": 'say "hi"\\\n', "job": "mine"}, until)
        assert await port.pushed(GROUP)
        shown = (await client.get(f"{gateway}/metrics")).text
        (line,) = [one for one in shown.splitlines() if one.startswith("until{") and '"tok-1"' in one]
        assert 'service="say \\"hi\\"\\\\\\n"' in line
        assert 'job="ray-tui"' in line
        assert float(line.rpartition(" ")[2]) == 1_795_377_660.0
        await port.delete(GROUP)
        await port.delete(GROUP)
        assert not await port.pushed(GROUP)
        assert await port.pushed(other)


@pytest.mark.real
@pytest.mark.parametrize("value", ["a/b", "ü ?#%", "", "..", ".", "x" * 200, 'say "hi"'])
async def test_any_value_may_name_a_group(gateway: str, value: str) -> None:
    """What a path cannot hold goes in base64; no value leads to another group."""
    group = {"job": "ray-tui", "ray_tui_probe": "fixed", "what": value}
    async with opened(gateway) as port:
        await port.push(group, "until", {}, 1.0)
        assert await port.pushed({name: one for name, one in group.items() if one})
        await port.delete(group)
        assert not await port.pushed({"ray_tui_probe": "fixed"})


@pytest.mark.real
@pytest.mark.parametrize("check", testing.checks("pusher"), ids=lambda check: check.__name__)
async def test_it_keeps_the_ports_promises(gateway: str, check: Any) -> None:
    """The checks that every backend must pass."""
    async with opened(gateway) as port:
        await check(port)


def test_names_that_are_none_are_refused_before_anything_is_sent() -> None:
    """A grouping label or a label beyond the classic names."""
    assert path_of(GROUP) == "/metrics/job/ray-tui/ray_tui_probe/tok-1"
    with pytest.raises(BackendRefused):
        path_of({"job": "x", "team/../..": "y"})
    with pytest.raises(BackendRefused):
        exposition("until", {"a b": "c"}, 1.0)


async def test_a_gateway_that_is_down_or_refuses_is_an_error() -> None:
    """Nobody there, a label that it refuses, an answer of another shape."""
    async with opened("http://127.0.0.1:9") as port:
        assert not (await port.health()).ok
        with pytest.raises(BackendUnreachable):
            await port.push(GROUP, "until", {}, 1.0)
        with pytest.raises(BackendUnreachable):
            await port.pushed(GROUP)

    async def refuse(_: Any) -> PlainTextResponse:
        return PlainTextResponse("pushed metrics are invalid or inconsistent with existing metrics", 400)

    async def odd(_: Any) -> JSONResponse:
        return JSONResponse({"status": "success", "data": [{"no": "labels"}]})

    routes = [
        Route("/metrics/{rest:path}", refuse, methods=["PUT", "DELETE"]), Route("/api/v1/metrics", odd),
    ]  # fmt: skip
    async with serving(Starlette(routes=routes)) as url, opened(url) as port:
        with pytest.raises(BackendRefused, match="inconsistent"):
            await port.push(GROUP, "until", {}, 1.0)
        with pytest.raises(BackendBroken):
            await port.pushed(GROUP)
