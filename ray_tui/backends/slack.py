"""The Slack Web API, which answers 200 to everything: messages with our token, and which people reacted to them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess, Strict
from ray_tui.backends.answers import Answer, promised, retry_after, unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBroken, BackendBusy, BackendError, BackendRefused
from ray_tui.core.ports import ChatMessage, Health, SideEffect
from ray_tui.secrets import SecretRef

PAGE_SIZE = "15"
"""Apps outside the marketplace may not ask for more."""
MOST_PAGES = 20

TODO = {
    "not_in_channel": "Invite the app to the channel",
    "channel_not_found": "Correct the channel's name or id, and invite the app to it",
    "missing_scope": "Add the scope to the app and install it again",
    "invalid_auth": "Check the token",
    "not_authed": "Check the token",
    "token_revoked": "Install the app again and store its new token",
    "token_expired": "Install the app again and store its new token",
    "account_inactive": "Install the app again and store its new token",
}


class Settings(Strict):
    """One Slack workspace, through an app's bot token."""

    kind: Literal["slack"]
    """Which kind of system this is."""
    token: SecretRef
    """A bot token (xoxb-…) with channels:history, channels:read, chat:write, reactions:read and users:read."""
    test_channel: str = ""
    """A channel (name or id) that the health check reads, to prove that the app is a member."""
    api_url: BaseUrl = "https://slack.com/api"
    """The Web API."""
    access: HttpAccess = HttpAccess()
    """Time limits, proxy and TLS."""


class NotifierSettings(Settings):
    """Tells a downstream owner in a channel."""

    channel: str
    """The owner's channel, by name or id."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {
    ("chat", "slack"): Settings,
    ("notifiers", "slack"): NotifierSettings,
}


def open(settings: Settings, opening: Opening) -> "Slack | SlackNotifier":  # noqa: A001 (each backend file has one)
    def headers() -> dict[str, str]:
        return {"Authorization": f"Bearer {settings.token.resolve(opening.config_folder)}"}

    system = "notifier" if isinstance(settings, NotifierSettings) else "chat"
    token = str(settings.token)
    http = Http.open(system, settings.api_url, settings.access, opening, headers=headers, credentials=token)
    slack = Slack(http, settings.test_channel)
    return SlackNotifier(slack, settings.channel) if isinstance(settings, NotifierSettings) else slack


class SlackNotifier:
    """``Notifier`` in a channel."""

    name = "Slack notifier"
    side_effect = SideEffect.QUERY  # by the token, in the channel's history

    def __init__(self, slack: "Slack", channel: str) -> None:
        self._slack = slack
        self._channel = channel

    async def close(self) -> None:
        await self._slack.close()

    async def health(self) -> Health:
        return await self._slack.health()

    async def notify(self, subject: str, text: str, token: str) -> str:
        carried = text if token in text or token in subject else f"{text}\n{token}"
        return await self._slack.post(self._channel, f"*{subject}*\n{carried}")

    async def told(self, token: str, since: float) -> str | None:
        found = await self._slack.find(self._channel, token, since)
        return found[0].id if found else None


class Slack:
    """``Chat`` over the Web API."""

    name = "Slack"
    side_effect = SideEffect.QUERY  # by a token in the text

    def __init__(self, http: Http, test_channel: str) -> None:
        self._http = http
        self._test_channel = test_channel
        self._channels: dict[str, str] = {}
        self._users: dict[str, tuple[str, bool]] = {}
        """User id -> (name, whether it is a bot)."""
        self._posting = asyncio.Lock()

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Checks the token, and reads one message of the test channel where one is configured."""
        try:
            answer = await self._http.request("POST", "/auth.test", data={}, may_repeat=True)
            who = _ok(answer)
            detail = f"{who.get('user', 'the app')} in {who.get('team', 'its workspace')}"
            if self._test_channel:
                await self._ask("conversations.history", channel=await self._id(self._test_channel), limit="1")
                detail += f", reads {self._test_channel}"
        except BackendError as error:
            return unwell(error)
        return Health(True, untrusted.line(detail), None, answer.skew)

    async def find(self, channel: str, token: str, since: float) -> tuple[ChatMessage, ...]:
        assert token, "an empty token would match every message"
        channel_id = await self._id(channel)
        rows = self._paged(
            "conversations.history", "messages", channel=channel_id, oldest=f"{since:.6f}", limit=PAGE_SIZE
        )
        ours = [message async for message in rows if token in json.dumps(message, ensure_ascii=False)]
        with promised("chat", "a message of conversations.history"):
            return tuple([await self._message(channel_id, message) for message in reversed(ours)])

    async def post(self, channel: str, text: str) -> str:
        async with self._posting:
            said = _ok(await self._http.request("POST", "/chat.postMessage", data={"channel": channel, "text": text}))
        return str(said.get("ts", ""))

    async def _message(self, channel_id: str, message: Mapping[str, Any]) -> ChatMessage:
        reactions = [
            (reaction["name"], *await self._user(user))
            for reaction in message.get("reactions") or ()
            for user in reaction.get("users") or ()
        ]
        replies = []
        if message.get("reply_count"):
            rows = self._paged(
                "conversations.replies", "messages", channel=channel_id, ts=message["ts"], limit=PAGE_SIZE
            )
            replies = [await self._reply(reply) async for reply in rows if reply["ts"] != message["ts"]]
        return ChatMessage(
            channel_id, message["ts"], float(message["ts"]), text_of(message), tuple(reactions), tuple(replies)
        )

    async def _reply(self, reply: Mapping[str, Any]) -> tuple[str, float, str, bool]:
        name, is_bot = await self._user(reply["user"]) if reply.get("user") else ("", True)
        return name, float(reply["ts"]), text_of(reply), is_bot or bool(reply.get("bot_id"))

    async def _user(self, user: str) -> tuple[str, bool]:
        """(name, whether it is a bot); asked once a user: a bot's reaction is nobody's acknowledgement."""
        if user not in self._users:
            found = (await self._ask("users.info", user=user))["user"]
            name = next((str(found[key]) for key in ("real_name", "name") if found.get(key)), user)
            self._users[user] = untrusted.line(name), bool(found.get("is_bot")) or found.get("id") == "USLACKBOT"
        return self._users[user]

    async def _id(self, channel: str) -> str:
        """A channel's id, looked up by its name where it is none."""
        if re.fullmatch(r"[CGD][A-Z0-9]{2,}", channel):
            return channel
        name = channel.removeprefix("#")
        if name not in self._channels:
            rows = self._paged(
                "conversations.list",
                "channels",
                exclude_archived="true",
                limit="200",
                types="public_channel,private_channel",
            )
            self._channels = {row["name"]: row["id"] async for row in rows}
        if name not in self._channels:
            raise BackendRefused("chat", f"Slack shows no channel {channel}", TODO["channel_not_found"])
        return self._channels[name]

    async def _paged(self, method: str, plural: str, **params: str) -> AsyncIterator[Mapping[str, Any]]:
        for _ in range(MOST_PAGES):
            said = await self._ask(method, **params)
            for row in said.get(plural) or ():
                yield row
            params["cursor"] = (said.get("response_metadata") or {}).get("next_cursor") or ""
            if not params["cursor"]:
                return
        raise BackendBroken("chat", f"{method} has more than {MOST_PAGES} pages", "Ask for a shorter time")

    async def _ask(self, method: str, **params: str) -> Mapping[str, Any]:
        return _ok(await self._http.get(f"/{method}", list(params.items())))


def _ok(answer: Answer) -> Mapping[str, Any]:
    """The body of a success. Slack's failures are HTTP 200 with ``ok: false``."""
    said = answer.json()
    if not isinstance(said, dict) or "ok" not in said:
        raise answer.broken("its answer has no `ok`", "Check the address")
    if said["ok"] is True:
        return said
    error = untrusted.line(str(said.get("error", "no error given")), 100)
    needed = f" (needed: {untrusted.line(str(said['needed']), 100)})" if said.get("needed") else ""
    what = f"{answer.place} answered ok:false, {error}{needed}"
    if error in ("ratelimited", "rate_limited"):
        wait = retry_after(answer.headers, answer.answered_at)
        raise BackendBusy(answer.system, what, "Try again later", status=answer.status, retry_after_seconds=wait)
    if error in ("fatal_error", "internal_error", "service_unavailable"):
        raise BackendBroken(answer.system, what, "Look at status.slack.com", status=answer.status)
    raise BackendRefused(answer.system, what, TODO.get(error, ""), status=answer.status)


def text_of(message: Mapping[str, Any]) -> str:
    """What a message says, its attachments included, where Alertmanager puts everything."""
    parts: Sequence[Any] = [message.get("text")]
    for attachment in message.get("attachments") or ():
        parts = [*parts, attachment.get("title"), attachment.get("text") or attachment.get("fallback")]
    return "\n".join(str(part) for part in parts if part)
