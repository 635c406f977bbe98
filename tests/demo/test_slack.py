"""The demo's Slack, held against the contract over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.people import People
from ray_tui.demo.serving import serving
from ray_tui.demo.slack import TOKEN, WEBHOOK_PATH, DemoSlack


@pytest.fixture
async def slack() -> AsyncIterator[DemoSlack]:
    demo = DemoSlack(People(0.02), Clock())
    yield demo
    await demo.stop()


@pytest.fixture
async def client(slack: DemoSlack) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with serving(slack.app) as url, httpx.AsyncClient(base_url=url, headers=headers) as http:
        yield http


async def until(holds: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.01)
    assert found, what
    return found


async def call(client: httpx.AsyncClient, method: str, **given: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/{method}", data=given)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


async def test_auth_test_and_the_ways_to_fail_it(client: httpx.AsyncClient) -> None:
    """Failures are HTTP 200 with ``ok: false``."""
    assert (await call(client, "auth.test"))["bot_id"]
    client.headers["Authorization"] = "Bearer xoxb-wrong"
    assert await call(client, "auth.test") == {"ok": False, "error": "invalid_auth"}
    del client.headers["Authorization"]
    assert (await call(client, "auth.test"))["error"] == "not_authed"


async def test_a_test_message_is_found_and_gets_a_persons_reaction(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """Posting by name answers the channel's id and a string ts; Sam reacts after the delay."""
    posted = await call(client, "chat.postMessage", channel="#release", text="[TEST] please acknowledge t-1")
    assert (posted["channel"], type(posted["ts"])) == ("C0RELEASE", str)

    await until(lambda: "reactions" in slack.messages["C0RELEASE"][0], "reacted")
    got = await call(client, "reactions.get", channel="C0RELEASE", timestamp=posted["ts"], full="true")
    assert got["message"]["reactions"] == [
        {"name": "eyes", "users": ["USAM"], "count": 1},
        {"name": "white_check_mark", "users": ["USAM"], "count": 1},
    ]
    assert (await call(client, "users.info", user="USAM"))["user"]["is_bot"] is False


async def test_no_reaction_to_ordinary_or_forbidding_messages(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """Only [TEST] messages without "do not acknowledge" are answered; others have no reactions key at all."""
    await call(client, "chat.postMessage", channel="release", text="deploying")
    await call(client, "chat.postMessage", channel="release", text="[TEST] do not acknowledge")
    await call(client, "chat.postMessage", channel="release", text="[TEST] acknowledge")
    plain, forbidding, answered = slack.messages["C0RELEASE"]
    await until(lambda: "reactions" in answered, "reacted to the last")
    assert "reactions" not in plain
    assert "reactions" not in forbidding


async def test_a_reaction_may_come_from_a_bot(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """The switch lets our own bot react."""
    slack.reaction_by_bot = True
    await call(client, "chat.postMessage", channel="release", text="[TEST] acknowledge")
    await until(lambda: "reactions" in slack.messages["C0RELEASE"][0], "reacted")
    user = slack.messages["C0RELEASE"][0]["reactions"][0]["users"][0]
    assert (await call(client, "users.info", user=user))["user"]["is_bot"] is True


async def test_the_incoming_webhook_takes_what_alertmanager_sends(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """Plain text ``ok``, and a bot message whose attachment carries the text."""
    body = {
        "channel": "#release",
        "username": "Alertmanager",
        "attachments": [{"title": "[FIRING:1] Probe t-1", "text": "[TEST] acknowledge", "color": "danger"}],
    }
    answer = await client.post(WEBHOOK_PATH, json=body)

    assert (answer.status_code, answer.text) == (200, "ok")
    (message,) = (await call(client, "conversations.history", channel="C0RELEASE"))["messages"]
    assert message["subtype"] == "bot_message"
    assert "user" not in message
    assert message["attachments"][0]["title"] == "[FIRING:1] Probe t-1"
    await until(lambda: "reactions" in slack.messages["C0RELEASE"][0], "reacted")


async def test_the_incoming_webhook_refuses_in_plain_text(client: httpx.AsyncClient) -> None:
    """404 no_service, 400 invalid_payload, 400 no_text, 404 channel_not_found, 410 channel_is_archived."""
    seen = [
        (await client.post("/services/T/B/other", json={"text": "x"})),
        (await client.post(WEBHOOK_PATH, content=b"{")),
        (await client.post(WEBHOOK_PATH, json={})),
        (await client.post(WEBHOOK_PATH, json={"text": "x", "channel": "#nowhere"})),
        (await client.post(WEBHOOK_PATH, json={"text": "x", "channel": "#old-team"})),
    ]
    assert [(each.status_code, each.text) for each in seen] == [
        (404, "no_service"),
        (400, "invalid_payload"),
        (400, "no_text"),
        (404, "channel_not_found"),
        (410, "channel_is_archived"),
    ]


async def test_history_is_newest_first_in_pages_without_threads(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """A cursor leads on to the end; replies are only in conversations.replies, after their parent."""
    first = slack.say("release", "mira", "one")
    slack.say("release", "tom", "two")
    third = slack.say("release", "jo", "three")
    slack.say("release", "lee", "in the thread", thread_ts=first["ts"])

    page = await call(client, "conversations.history", channel="C0RELEASE", limit=2)
    assert [each["text"] for each in page["messages"]] == ["three", "two"]
    assert page["has_more"] is True
    last = await call(
        client, "conversations.history", channel="C0RELEASE", cursor=page["response_metadata"]["next_cursor"]
    )
    assert [each["text"] for each in last["messages"]] == ["one"]
    assert last["response_metadata"]["next_cursor"] == ""
    thread = await call(client, "conversations.replies", channel="C0RELEASE", ts=first["ts"])
    assert [each["text"] for each in thread["messages"]] == ["one", "in the thread"]
    newer = await call(client, "conversations.history", channel="C0RELEASE", oldest=third["ts"])
    also = await call(client, "conversations.history", channel="C0RELEASE", oldest=third["ts"], inclusive="true")
    assert (len(newer["messages"]), len(also["messages"])) == (0, 1)


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("chat.postMessage", {"channel": "nowhere", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "secrets", "text": "x"}, "not_in_channel"),
        ("chat.postMessage", {"channel": "old-team", "text": "x"}, "is_archived"),
        ("chat.postMessage", {"channel": "release"}, "no_text"),
        ("chat.postMessage", {"channel": "release", "text": "x" * 40_001}, "msg_too_long"),
        ("conversations.replies", {"channel": "release", "ts": "1.000001"}, "thread_not_found"),
        ("conversations.history", {"channel": "release", "cursor": "!"}, "invalid_cursor"),
        ("reactions.get", {"channel": "release", "timestamp": "1.000001"}, "message_not_found"),
        ("users.info", {"user": "UNOBODY"}, "user_not_found"),
        ("files.delete", {}, "unknown_method"),
    ],
)
async def test_each_failure_has_its_word(
    client: httpx.AsyncClient, method: str, given: dict[str, str], error: str
) -> None:
    """``ok`` is false and ``error`` says which."""
    assert await call(client, method, **given) == {"ok": False, "error": error}


async def test_updates_and_reactions_of_our_own(client: httpx.AsyncClient, slack: DemoSlack) -> None:
    """Our message may be edited, a person's not; the same reaction twice is refused."""
    posted = await call(client, "chat.postMessage", channel="release", text="before")
    assert (await call(client, "chat.update", channel="C0RELEASE", ts=posted["ts"], text="after"))["text"] == "after"
    theirs = slack.say("release", "mira", "mine")
    refused = await call(client, "chat.update", channel="C0RELEASE", ts=theirs["ts"], text="x")
    assert refused["error"] == "cant_update_message"
    given = {"channel": "C0RELEASE", "timestamp": posted["ts"], "name": "tada"}
    assert (await call(client, "reactions.add", **given))["ok"]
    assert (await call(client, "reactions.add", **given))["error"] == "already_reacted"


async def test_json_bodies_are_for_writing_methods(client: httpx.AsyncClient) -> None:
    """A JSON body posts, with a warning about its charset; a reading method does not look at it."""
    posted = (await client.post("/api/chat.postMessage", json={"channel": "release", "text": "hello"})).json()
    assert (posted["ok"], posted["warning"]) == (True, "missing_charset")
    read = (await client.post("/api/conversations.history", json={"channel": "C0RELEASE"})).json()
    assert (read["ok"], read["error"]) == (False, "channel_not_found")
