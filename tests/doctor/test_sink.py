"""The doctor asks a webhook sink for what it must have got, and says what its answer lacks; the page shows the form."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.config import Config
from ray_tui.core.ports import WebhookReceipt
from ray_tui.demo.serving import serving
from ray_tui.doctor import sink
from tests.actions.probe_world import WATCHDOG
from tests.fakes import InMemoryMetrics, all_ports

NO_SINK = Config.model_validate({"run": {"release": "v1"}})
CHOSEN = NO_SINK.model_copy(update={"webhook": {"kind": "sink", "url": "http://127.0.0.1:9"}})
NOW = 1_772_357_500.0
WHOLE = {"at": NOW - 60, "receiver": "audit-hook", "status": "firing"}


async def looked(answer: object) -> tuple[bool, str]:
    """Whether the doctor is content with a sink that answers this, and what it says."""

    async def received(request: Request) -> Response:
        return JSONResponse(answer if request.query_params["token"] == "Watchdog" else [])

    async with serving(Starlette(routes=[Route("/received", received)])) as url:
        settings = settings_model("webhook", "sink")(kind="sink", url=f"{url}/received")
        backend = open_backend("webhook", settings, Opening(Clock(), jitter=lambda: 0.1))
        ports = replace(all_ports(metrics=InMemoryMetrics(loaded=(WATCHDOG,))), webhook=backend)
        try:
            (found,) = await sink.look(CHOSEN, ports, NOW)
        finally:
            await backend.close()
    assert found.ok or "docs/backends.md" in found.todo
    return found.ok, found.detail


@pytest.mark.parametrize(
    ("answer", "good", "said"),
    [
        ([WHOLE], True, "1 receipts of Watchdog in the last day"),
        ({"receipts": [WHOLE]}, True, "1 receipts of Watchdog in the last day"),
        ([], True, "not seen: it got nothing of Watchdog"),
        ([{**WHOLE, "receiver": None}], False, "names no `receiver`"),
        ([{**WHOLE, "status": "ok"}], False, "has no `status`"),
        ([{"receiver": "audit-hook"}], False, "no field 'at'"),
        ([{**WHOLE, "at": "yesterday"}], False, "another shape"),
        (["Watchdog"], False, "another shape"),
        ({"rows": []}, False, "neither a list of receipts nor"),
        ("", False, "neither a list of receipts nor"),
    ],
)
async def test_what_a_sinks_answer_lacks_is_said_with_the_page_that_shows_it(
    answer: object, good: bool, said: str
) -> None:
    """An answer that could not be read, or that 2.2 could not judge by, is found before a run. (P46)"""
    ok, detail = await looked(answer)
    assert ok is good
    assert said in detail


async def test_where_there_is_no_sink_nothing_is_asked() -> None:
    """A chat's messages name no receiver, and are not held to this form."""
    assert await sink.look(NO_SINK, all_ports(), NOW) == []


async def test_the_documented_answer_is_one_that_is_understood() -> None:
    """What docs/backends.md shows is read by the same code, every field of it."""
    page = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")
    shown = re.search(r"\*\*What a sink answers\.\*\*.*?```json\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    (row,) = json.loads(shown[1])
    assert set(row) == set(WebhookReceipt.__dataclass_fields__)
    assert (await looked([row]))[0]
