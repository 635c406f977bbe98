"""Slack as the demo runs it: one workspace, an incoming webhook, and a colleague who reacts to what asks for it."""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.people import PEOPLE, SLACK_WATCHER, People, asks_for_acknowledgement

TOKEN = "xoxb-demo"  # noqa: S105 (the demo's own, on loopback)
WEBHOOK_PATH = "/services/T/B/x"
BOT_USER, BOT_ID, TEAM = "URAYBOT", "BRAYBOT", "TSHOP"
REACTIONS = ("eyes", "white_check_mark")
LONGEST_TEXT = 40_000
_CHANNELS = (
    {"id": "C0RELEASE", "name": "release", "is_member": True, "is_archived": False},
    {"id": "C0GENERAL", "name": "general", "is_member": True, "is_archived": False},
    {"id": "C0PRIVATE", "name": "secrets", "is_member": False, "is_archived": False},
    {"id": "C0OLDTEAM", "name": "old-team", "is_member": True, "is_archived": True},
)
_READ_METHODS = frozenset(
    ("conversations.history", "conversations.replies", "conversations.list", "reactions.get", "users.info")
)

Message = dict[str, Any]
Arguments = Mapping[str, str]


class SlackError(Exception):
    """Answered with HTTP 200, ``ok: false`` and this word."""


class DemoSlack:
    """``messages`` holds each channel's messages, oldest first, replies among them (they carry a ``thread_ts``)."""

    def __init__(self, people: People, clock: Clock) -> None:
        self.people = people
        self.clock = clock
        self.messages: dict[str, list[Message]] = {str(each["id"]): [] for each in _CHANNELS}
        self.reaction_by_bot = False
        """The reactions come from our own bot user instead of a person."""
        self.interactivity: tuple[str, str] | None = None
        """(Request URL, signing secret) of the app: the colleague presses the message's button instead of reacting."""
        self.pressed: list[int] = []
        """What the app answered to each press."""
        self.history_limit = 100
        """The most that conversations.history gives at once (15 for apps outside Slack's marketplace)."""
        self._last_micros = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._methods: dict[str, Callable[[Arguments], dict[str, Any]]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._list,
            "reactions.get": self._reactions_get,
            "reactions.add": self._reactions_add,
            "users.info": self._users_info,
        }
        self.app = Starlette(
            routes=[
                Route("/api/{method}", self._call, methods=["GET", "POST"]),
                Route("/services/{path:path}", self._webhook, methods=["POST"]),
            ]
        )

    async def stop(self) -> None:
        """Nobody reacts any more. Stopping twice is fine."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- HTTP

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise SlackError("not_authed")
            if token != TOKEN:
                raise SlackError("invalid_auth")
            if method not in self._methods:
                raise SlackError("unknown_method")
            body: dict[str, Any] = {"ok": True, **self._methods[method](await _arguments(request, method))}
        except SlackError as error:
            body = {"ok": False, "error": str(error)}
        kind = request.headers.get("content-type", "")
        if kind.startswith("application/json") and "charset" not in kind:
            body["warning"] = "missing_charset"
            body.setdefault("response_metadata", {})["warnings"] = ["missing_charset"]
        return JSONResponse(body, headers={"x-oauth-scopes": "chat:write,channels:history,reactions:read"})

    async def _webhook(self, request: Request) -> Response:
        if request.url.path != WEBHOOK_PATH:
            return PlainTextResponse("no_service", 404)
        try:
            payload = json.loads(await request.body())
        except ValueError:
            return PlainTextResponse("invalid_payload", 400)
        if not isinstance(payload, dict):
            return PlainTextResponse("invalid_payload", 400)
        if not payload.get("text") and not payload.get("attachments") and not payload.get("blocks"):
            return PlainTextResponse("no_text", 400)
        try:
            channel = self._channel(str(payload.get("channel") or "#release"), writing=True)
        except SlackError as error:
            return PlainTextResponse(
                "channel_is_archived" if str(error) == "is_archived" else str(error),
                404 if "not" in str(error) else 410,
            )
        message: Message = {
            "subtype": "bot_message",
            "bot_id": "BWEBHOOK",
            "username": str(payload.get("username", "incoming-webhook")),
            "text": str(payload.get("text", "")),
        }
        if payload.get("attachments"):
            message["attachments"] = [
                {"id": number, **each} for number, each in enumerate(payload["attachments"], start=1)
            ]
        self._store(channel, message)
        return PlainTextResponse("ok")

    # --- the methods

    def _auth_test(self, _: Arguments) -> dict[str, Any]:
        url = "https://shop.slack.com/"
        return {
            "url": url,
            "team": "shop",
            "user": "ray-tui",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
        }

    def _post_message(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given.get("channel", ""), writing=True)
        text = given.get("text", "")
        if not text and not given.get("blocks"):
            raise SlackError("no_text")
        if len(text) > LONGEST_TEXT:
            raise SlackError("msg_too_long")
        message: Message = {"user": BOT_USER, "bot_id": BOT_ID, "app_id": "ARAYTUI", "team": TEAM, "text": text}
        if given.get("thread_ts"):
            self._find(channel, given["thread_ts"], "thread_not_found")
            message["thread_ts"] = given["thread_ts"]
        stored = self._store(channel, message)
        return {"channel": channel, "ts": stored["ts"], "message": stored}

    def _update(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given.get("channel", ""), writing=True)
        message = self._find(channel, given.get("ts", ""), "message_not_found")
        if message.get("user") != BOT_USER:
            raise SlackError("cant_update_message")
        if not given.get("text"):
            raise SlackError("no_text")
        message["text"] = given["text"]
        message["edited"] = {"user": BOT_USER, "ts": self._next_ts()}
        return {"channel": channel, "ts": message["ts"], "text": message["text"], "message": message}

    def _history(self, given: Arguments) -> dict[str, Any]:
        """Newest first; what stands in threads is not in it."""
        channel = self._channel(given.get("channel", ""))
        limit = min(_whole(given, "limit", 100), self.history_limit)
        inclusive = given.get("inclusive", "").lower() in {"true", "1"}
        before = _cursor_ts(given["cursor"]) if given.get("cursor") else None
        found = [
            message
            for message in reversed(self.messages[channel])
            if message.get("thread_ts", message["ts"]) == message["ts"]
            and (before is None or message["ts"] < before)
            and _in_window(message["ts"], given.get("oldest"), given.get("latest"), inclusive=inclusive)
        ]
        more = len(found) > limit
        cursor = base64.b64encode(f"next_ts:{found[limit - 1]['ts']}".encode()).decode() if more else ""
        return {"messages": found[:limit], "has_more": more, "response_metadata": {"next_cursor": cursor}}

    def _replies(self, given: Arguments) -> dict[str, Any]:
        """The parent first, then its thread, oldest first."""
        channel = self._channel(given.get("channel", ""))
        parent = self._find(channel, given.get("ts", ""), "thread_not_found")
        thread = [each for each in self.messages[channel] if each.get("thread_ts") == parent["ts"] and each != parent]
        return {"messages": [parent, *thread], "has_more": False, "response_metadata": {"next_cursor": ""}}

    def _list(self, _: Arguments) -> dict[str, Any]:
        channels = [{**each, "is_channel": True, "is_private": False} for each in _CHANNELS]
        return {"channels": channels, "response_metadata": {"next_cursor": ""}}

    def _reactions_get(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given.get("channel", ""))
        message = self._find(channel, given.get("timestamp", ""), "message_not_found")
        return {"type": "message", "channel": channel, "message": message}

    def _reactions_add(self, given: Arguments) -> dict[str, Any]:
        channel = self._channel(given.get("channel", ""), writing=True)
        message = self._find(channel, given.get("timestamp", ""), "message_not_found")
        if not given.get("name"):
            raise SlackError("invalid_name")
        self._react(message, given["name"], BOT_USER)
        return {}

    def _users_info(self, given: Arguments) -> dict[str, Any]:
        people = {person.slack_id: person.name for person in PEOPLE.values()} | {BOT_USER: "ray-tui"}
        user = given.get("user", "")
        if user not in people:
            raise SlackError("user_not_found")
        name = people[user]
        bot = user == BOT_USER
        return {
            "user": {
                "id": user,
                "team_id": TEAM,
                "name": name.split()[0].lower(),
                "real_name": name,
                "deleted": False,
                "is_bot": bot,
            }
        }

    # --- state

    def say(self, channel: str, person_key: str, text: str, thread_ts: str | None = None) -> Message:
        """What a person writes; for tests and for the demo's small talk."""
        message: Message = {"user": PEOPLE[person_key].slack_id, "team": TEAM, "text": text}
        if thread_ts:
            message["thread_ts"] = thread_ts
        return self._store(self._channel(channel), message)

    def _channel(self, name_or_id: str, *, writing: bool = False) -> str:
        wanted = name_or_id.removeprefix("#")
        for channel in _CHANNELS:
            if wanted in {channel["id"], channel["name"]}:
                if not channel["is_member"]:
                    raise SlackError("not_in_channel")
                if writing and channel["is_archived"]:
                    raise SlackError("is_archived")
                return str(channel["id"])
        raise SlackError("channel_not_found")

    def _find(self, channel: str, ts: str, otherwise: str) -> Message:
        for message in self.messages[channel]:
            if message["ts"] == ts:
                return message
        raise SlackError(otherwise)

    def _next_ts(self) -> str:
        """Unique and growing within the workspace."""
        self._last_micros = max(self._last_micros + 1, int(self.clock.wall() * 1e6))
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def _store(self, channel: str, message: Message) -> Message:
        stored: Message = {"type": "message", "ts": self._next_ts(), **message}
        self.messages[channel].append(stored)
        text = visible_text(stored)
        if asks_for_acknowledgement(text) and "[RESOLVED]" not in text:
            task = asyncio.create_task(self._acknowledge(stored))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return stored

    async def _acknowledge(self, message: Message) -> None:
        await asyncio.sleep(self.people.ack_after_seconds)
        if self.interactivity is not None:
            self.pressed.append(await self._press(message, *self.interactivity))
            return
        for name in REACTIONS:
            self._react(message, name, BOT_USER if self.reaction_by_bot else SLACK_WATCHER.slack_id)

    async def _press(self, message: Message, url: str, secret: str) -> int:
        """As Slack tells the app of a button in an attachment, which is where Alertmanager's ``actions`` stand."""
        user = {"id": SLACK_WATCHER.slack_id, "name": SLACK_WATCHER.key}
        actions = [{"name": "acknowledge", "type": "button", "value": "acknowledge"}]
        channel = next(each for each, said in self.messages.items() if message in said)
        told = {
            "type": "interactive_message", "actions": actions, "callback_id": "ray-tui", "team": {"id": TEAM},
            "channel": {"id": channel}, "user": user, "message_ts": message["ts"], "original_message": message,
        }  # fmt: skip
        body, stamp = urlencode({"payload": json.dumps(told)}), str(int(self.clock.wall()))
        mac = hmac.digest(secret.encode(), f"v0:{stamp}:{body}".encode(), "sha256").hex()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}",
        }  # fmt: skip
        async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:  # Slack waits 3 s
            return (await client.post(url, content=body, headers=headers)).status_code

    def _react(self, message: Message, name: str, user: str) -> None:
        reactions = message.setdefault("reactions", [])
        for reaction in reactions:
            if reaction["name"] == name:
                if user in reaction["users"]:
                    raise SlackError("already_reacted")
                reaction["users"].append(user)
                reaction["count"] += 1
                return
        reactions.append({"name": name, "users": [user], "count": 1})


def visible_text(message: Mapping[str, Any]) -> str:
    """All that a reader sees of a message."""
    parts = [str(message.get("text", ""))]
    for attachment in message.get("attachments", ()):
        parts.extend(str(attachment.get(name, "")) for name in ("pretext", "title", "text", "fallback"))
    return "\n".join(parts)


async def _arguments(request: Request, method: str) -> dict[str, str]:
    """Query, form, and for methods that write also JSON: the reading ones take no JSON body."""
    given = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        if method in _READ_METHODS:
            return given
        try:
            body = json.loads(await request.body())
        except ValueError as error:
            raise SlackError("invalid_json") from error
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        given |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    elif kind.startswith("application/x-www-form-urlencoded"):
        given |= dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
    return given


def _whole(given: Arguments, name: str, default: int) -> int:
    try:
        number = int(given.get(name) or default)
    except ValueError as error:
        raise SlackError("invalid_arguments") from error
    if not 1 <= number <= 999:
        raise SlackError("invalid_limit")
    return number


def _cursor_ts(cursor: str) -> str:
    try:
        kind, _, ts = base64.b64decode(cursor, validate=True).decode().partition(":")
    except ValueError as error:
        raise SlackError("invalid_cursor") from error
    if kind != "next_ts":
        raise SlackError("invalid_cursor")
    return ts


def _in_window(ts: str, oldest: str | None, latest: str | None, *, inclusive: bool) -> bool:
    at = _micros(ts)
    if oldest and (at < _micros(oldest) or (at == _micros(oldest) and not inclusive)):
        return False
    return not (latest and (at > _micros(latest) or (at == _micros(latest) and not inclusive)))


def _micros(ts: str) -> int:
    """A ts is an id; only to compare it with a window is it read as a time, without going through a float."""
    seconds, _, fraction = ts.partition(".")
    try:
        return int(seconds) * 1_000_000 + int(fraction.ljust(6, "0")[:6])
    except ValueError as error:
        raise SlackError("invalid_ts_oldest") from error
