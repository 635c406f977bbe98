"""Webhooks seen through a chat's own messages: Discord, Teams, and whatever a template describes."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendBroken, BackendError, BackendRefused
from ray_tui.core.ports import WebhookReceipt, WebhookSink
from ray_tui.demo.faults import Faults
from ray_tui.demo.serving import serving
from ray_tui.testing import checks
from tests.chat_servers import ANN, BOT, TOKEN, Discord, Graph, reaction, reply, who

CLOCK = Clock()
RESOLVED = "[RESOLVED] RayTuiProbe tok-1"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT", f"Bot {TOKEN}")
    monkeypatch.setenv("GRAPH", TOKEN)
    monkeypatch.setenv("WRONG", "Bot wrong-secret-value")


@asynccontextmanager
async def opened(url: str, **fields: Any) -> AsyncIterator[WebhookSink]:
    settings = settings_model("webhook", "template")(kind="template", url=url, **fields)
    backend = open_backend("webhook", settings, Opening(CLOCK, jitter=lambda: 0.1))
    try:
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def discord(secret: str = "env:BOT") -> AsyncIterator[tuple[WebhookSink, Discord]]:
    server = Discord(CLOCK)
    async with serving(server.app) as url:
        messages = f"{url}/api/v10/channels/1/messages"
        async with opened(messages, style="discord", headers={"Authorization": secret}) as port:
            yield port, server


@asynccontextmanager
async def teams() -> AsyncIterator[tuple[WebhookSink, Graph]]:
    server = Graph(CLOCK)
    async with serving(server.app) as url:
        messages = f"{url}/v1.0/teams/t-1/channels/19:c@thread.tacv2/messages"
        async with opened(messages, style="teams", bearer_token="env:GRAPH") as port:
            yield port, server


async def one(port: WebhookSink, since: float = 0.0) -> WebhookReceipt:
    (found,) = await port.receipts("tok-1", since)
    return found


# --- Discord ---------------------------------------------------------------------------------------------------------


async def test_discords_messages_are_found_by_their_token_in_embeds():
    """Alertmanager writes into embeds; the time is the message's own, and no receiver is named. (P16)"""
    async with discord() as (port, server):
        for check in checks("webhook"):
            await check(port)
        health = await port.health()
        assert health.ok, health.detail
        before = CLOCK.wall() - 0.01
        server.say(ANN, "about tok-12 and tok-1-x, which are others")
        server.say(BOT, "", embeds=[{"title": "[FIRING:1] RayTuiProbe", "description": " - ray_tui_probe = tok-1\n"}])
        found = await one(port)
        assert (found.receiver, found.status, found.token_found_in) == ("", "firing", "embeds[].description")
        assert before <= found.at <= CLOCK.wall()
        assert found.acknowledged_by == ""


async def test_a_persons_reaction_in_discord_acknowledges_and_a_bots_does_not():
    """Who reacted is asked for each emoji; reactions have no time of their own. (P45)"""
    async with discord() as (port, server):
        message = server.say(BOT, "[FIRING:1] tok-1")
        server.react(message, "\N{WHITE HEAVY CHECK MARK}", BOT)
        assert (await one(port)).acknowledged_by == ""
        server.react(message, "ack", ANN, custom="41771983429993937")
        found = await one(port)
        assert (found.acknowledged_by, found.acknowledged_at) == ("Ann Lee", None)


async def test_a_persons_reply_in_discord_acknowledges_with_its_time():
    """A bot's, a webhook's, or an answer to another message does not. (P45)"""
    async with discord() as (port, server):
        message = server.say(BOT, "[FIRING:1] tok-1")
        other = server.say(BOT, "[FIRING:1] tok-2")
        server.say(BOT, "noted", message_reference={"message_id": message["id"]})
        server.say(ANN, "hook", message_reference={"message_id": message["id"]}, webhook_id="5")
        server.say(ANN, "wrong one", message_reference={"message_id": other["id"]})
        assert (await one(port)).acknowledged_by == ""
        server.say(ANN, "on it", message_reference={"message_id": message["id"]})
        found = await one(port)
        assert found.acknowledged_by == "Ann Lee"
        assert found.acknowledged_at is not None
        assert 0 <= found.acknowledged_at - found.at < 5


async def test_a_busy_channel_is_read_on_and_one_too_busy_is_an_error():
    """A page holds 100; what is beyond ten pages is not said to be absent."""
    async with discord() as (port, server):
        now = CLOCK.wall()
        for number in range(250):
            server.say(ANN, f"chatter {number}", now - 5 + number / 100)
        server.say(BOT, "[FIRING:1] tok-1", now)
        assert (await one(port, now - 10)).status == "firing"
        assert await port.receipts("tok-1", now + 60) == ()
        for number in range(1000):
            server.say(ANN, f"more {number}", now + number / 100)
        with pytest.raises(BackendBroken, match="more than 10 pages"):
            await port.receipts("tok-1", now - 10)


async def test_what_is_resolved_is_no_delivery():
    """Alertmanager's title says that it is over."""
    async with discord() as (port, server):
        server.say(BOT, "", embeds=[{"title": RESOLVED}])
        assert (await one(port)).status == "resolved"


async def test_a_wrong_bot_token_is_not_well_and_not_shown():
    """401 names what to check. (P16)"""
    async with discord("env:WRONG") as (port, _):
        health = await port.health()
        assert not health.ok
        assert "401" in health.detail
        assert "wrong-secret-value" not in health.detail


# --- Teams -----------------------------------------------------------------------------------------------------------


async def test_a_card_in_teams_is_found_and_a_persons_reaction_acknowledges():
    """The card is JSON in a text; a reaction has its time; an application's does not count. (P45)"""
    async with teams() as (port, server):
        for check in checks("webhook"):
            await check(port)
        assert (await port.health()).ok
        message = server.card("[FIRING:1] RayTuiProbe\ntok-1\nplease acknowledge")
        found = await one(port)
        assert (found.receiver, found.status, found.token_found_in) == ("", "firing", "attachments[].content")
        now = CLOCK.wall()
        message["reactions"] = [reaction(who(app="Flow"), now)]
        assert (await one(port)).acknowledged_by == ""
        message["reactions"] += [reaction(who(None, "u-7"), now + 2), reaction(who("Ann Lee"), now + 1)]
        found = await one(port)
        assert found.acknowledged_by == "Ann Lee"
        assert found.acknowledged_at == pytest.approx(now + 1, abs=0.01)
        message["reactions"] = message["reactions"][:2]
        assert (await one(port)).acknowledged_by == "u-7"


async def test_a_persons_reply_in_teams_acknowledges():
    """One by an application, and one that was taken back, do not. (P45)"""
    async with teams() as (port, server):
        message, now = server.card("tok-1"), CLOCK.wall()
        message["replies"] = [reply(who(app="Bot"), now), {**reply(who("Lee"), now), "deletedDateTime": "2026-01-01"}]
        assert (await one(port)).acknowledged_by == ""
        message["replies"].append(reply(who("Ann Lee"), now + 1))
        assert (await one(port)).acknowledged_by == "Ann Lee"


async def test_teams_is_read_page_by_page_until_messages_are_too_old():
    """Its own link is followed, on the same server alone: the token goes nowhere else."""
    async with teams() as (port, server):
        server.page = 5
        now = CLOCK.wall()
        for number in range(100):
            server.card(f"old {number}", now - 3600)
        server.card("tok-1", now - 1)
        for number in range(20):
            server.card(f"new {number}", now)
        assert (await one(port, now - 10)).status == "firing"
        server.next_base = "http://attacker.example"
        with pytest.raises(BackendBroken, match="leads elsewhere"):
            await port.receipts("tok-1", now - 10)


# --- a template of one's own -----------------------------------------------------------------------------------------


TEMPLATE: dict[str, Any] = {
    "rows": "data.items", "at": "posted.at", "text": ["text", "blocks[].lines[].text"], "status": "state",
    "acknowledged_by": "seen[].who.name", "acknowledged_at": "seen[].at", "is_machine": "seen[].robot",
}  # fmt: skip
ROW: dict[str, Any] = {"posted": {"at": 1_700_000_000.5}, "text": "[TEST] tok-1", "state": "Firing", "seen": []}


@asynccontextmanager
async def templated(body: Callable[[], Any], **fields: Any) -> AsyncIterator[tuple[WebhookSink, Faults, list[str]]]:
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(f"{request.url.path}?{request.url.query}")
        said = body()
        return JSONResponse(said) if not isinstance(said, str) else Response(said, media_type="application/json")

    faults = Faults(Starlette(routes=[Route("/{rest:path}", answer)]))
    async with (
        serving(faults) as url,
        opened(f"{url}/v1/rooms/7/find/{{token}}?from={{since}}&x=%20", **{**TEMPLATE, **fields}) as port,
    ):
        yield port, faults, asked


def listed(*rows: Any) -> Callable[[], Any]:
    return lambda: {"data": {"items": list(rows)}}


async def test_a_template_says_where_everything_stands():
    """Token and time are filled into the address; texts, status and people are found by dotted paths. (P45)"""
    deep = {"posted": {"at": "2023-11-14T22:13:21Z"}, "blocks": [{"lines": [{"text": "x"}, {"text": "tok-1"}]}]}
    seen = [
        {"at": 1_700_000_009, "who": {"name": "robo"}, "robot": True},
        {"at": 1_700_000_012, "who": {"name": "Ann"}},
    ]
    async with templated(listed({**ROW, "seen": seen}, {"text": "no token, no time"}, deep)) as (port, _, asked):
        for check in checks("webhook"):
            await check(port)
        asked.clear()
        first, second = await port.receipts("tok-1", 1_699_999_999.9)
        assert asked == ["/v1/rooms/7/find/tok-1?from=1699999999&x=%20"]
        assert first == WebhookReceipt(1_700_000_000.5, "", "firing", "text", "Ann", 1_700_000_012.0)
        assert second == WebhookReceipt(1_700_000_001.0, "", "", "blocks[].lines[].text")
        assert await port.receipts("tok-1", 1_700_000_100) == ()


async def test_a_machine_flagged_on_the_message_counts_for_all_who_are_on_it():
    """One flag above a list goes for its items; anything that is not plainly no means yes. (P45)"""
    row = {**ROW, "seen": [{"who": {"name": "Ann"}}], "auto": "false"}
    async with templated(listed(row), is_machine="auto") as (port, _, _):
        assert (await one(port)).acknowledged_by == ""
    async with templated(listed({**row, "auto": False}), is_machine="auto") as (port, _, _):
        assert (await one(port)).acknowledged_by == "Ann"


async def test_what_comes_from_outside_is_cleaned():
    """Names and states are shown on a terminal."""
    row = {**ROW, "seen": [{"who": {"name": "A\u001b[31mnn\u202e"}}], "state": "fi\u0007ring"}
    async with templated(listed(row)) as (port, _, _):
        found = await one(port)
        assert "\x1b" not in found.acknowledged_by + found.status
        assert "\u202e" not in found.acknowledged_by
        assert "\\u{1b}" in found.acknowledged_by


HOSTILE: dict[str, Callable[[], Any]] = {
    "no rows": lambda: {"data": {}},
    "rows that are no list": lambda: {"data": {"items": {"text": "tok-1"}}},
    "rows of texts": listed("tok-1"),
    "a list where an object should be": lambda: [ROW],
    "a text at last": lambda: '"tok-1"',
    "no time": listed({"text": "tok-1"}),
    "an infinite time": lambda: '{"data": {"items": [{"text": "tok-1", "posted": {"at": 1e999}}]}}',
    "a time that is no number": lambda: '{"data": {"items": [{"text": "tok-1", "posted": {"at": NaN}}]}}',
    "milliseconds": listed({**ROW, "posted": {"at": 1_700_000_000_500}}),
    "a yes for a time": listed({**ROW, "posted": {"at": True}}),
    "words for a time": listed({**ROW, "posted": {"at": "yesterday"}}),
    "a list for a time": listed({**ROW, "posted": [1]}),
    "people that are no list": listed({**ROW, "seen": {"who": {"name": "Ann"}}}),
    "a broken time of a person": listed({**ROW, "seen": [{"who": {"name": "Ann"}, "at": "soon"}]}),
    "nested without end": lambda: '{"data": {"items": ' + "[" * 5000 + "]" * 5000 + "}}",
    "a torn body": lambda: '{"data": {"items": [',
    "empty": lambda: "",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_body_that_breaks_its_promise_is_an_error_and_never_nothing(name: str):
    """An answer that cannot be read says nothing of whether it arrived. (P46)"""
    async with templated(HOSTILE[name]) as (port, _, _):
        with pytest.raises(BackendBroken):
            await port.receipts("tok-1", 0.0)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "html", "status": 200}, {"kind": "invalid-json"}, {"kind": "huge"}, {"status": 500}, {"status": 404}],
)
async def test_a_server_that_misbehaves_is_an_error(fault: dict[str, Any]):
    """HTML, broken JSON, a body beyond the cap, statuses: none is read as an empty channel."""
    async with templated(listed(ROW)) as (port, faults, _):
        faults.next("/", **fault, times=10)
        with pytest.raises(BackendError):
            await port.receipts("tok-1", 0.0)


async def test_a_server_that_shows_any_token_is_not_well():
    """It would prove every delivery."""

    def echo() -> Any:
        return {"data": {"items": [{**ROW, "text": "ray-tui-no-such-token"}]}}

    async with templated(echo) as (port, _, _):
        assert not (await port.health()).ok


async def test_a_redirect_is_not_followed():
    """Our credentials stay where they belong."""
    async with templated(listed(ROW)) as (port, faults, _):
        faults.next("/", status=302, headers={"Location": "http://attacker.example/"})
        with pytest.raises(BackendBroken, match="redirect"):
            await port.receipts("tok-1", 0.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"at": "", "text": ()}, "needs `at` and `text`"),
        ({"style": "discord"}, "fills it in"),
        ({"style": "teams", "rows": "", "at": "", "text": (), "status": "", "acknowledged_by": "",
          "acknowledged_at": "", "is_machine": ""}, "without {token} and {since}"),
        ({"url": "https://chat.example/{room}"}, "{room} is not known"),
        ({"url": "https://{token}.example/"}, "stand in the path"),
        ({"url": "https://user:pw@chat.example/"}, "no user or password"),
        ({"url": "file:///etc/passwd"}, "starts with http"),
        ({"rows": "data..items"}, "no dotted path"),
        ({"text": ("a[0]",)}, "no dotted path"),
        ({"acknowledged_by": ""}, "say nothing without"),
        ({"style": "mastodon"}, "style"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_work_is_refused_at_once(fields: dict[str, Any], said: str):
    """Each names the key, and shows no value."""
    with pytest.raises(ValidationError) as caught:
        settings_model("webhook", "template")(
            **{"kind": "template", "url": "https://chat.example/{token}", **TEMPLATE, **fields}
        )
    assert said in str(caught.value)
    assert "pw@" not in str(caught.value)


async def test_a_sinks_impossible_times_are_refused_too():
    """Infinity and a plain yes are no times."""
    for at in ("1e999", "true", "1700000000500"):
        text = json.dumps([{"at": "AT", "receiver": "x", "status": "firing", "payload": "tok-1"}]).replace('"AT"', at)

        async def answer(_: Request, said: str = text) -> Response:
            return Response(said, media_type="application/json")

        async with serving(Starlette(routes=[Route("/received", answer)])) as url:
            settings = settings_model("webhook", "sink")(kind="sink", url=f"{url}/received")
            sink = open_backend("webhook", settings, Opening(CLOCK, jitter=lambda: 0.1))
            with pytest.raises(BackendBroken):
                await sink.receipts("tok-1", 0.0)
            await sink.close()


async def test_a_refusal_is_a_refusal():
    """403 names what is missing."""
    async with templated(listed(ROW)) as (port, faults, _):
        faults.next("/", status=403, body={"message": "Missing Access"})
        with pytest.raises(BackendRefused, match="Missing Access"):
            await port.receipts("tok-1", 0.0)
