"""Discord and Microsoft Graph as far as a channel's messages go: what they take by webhook, and how they show it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock

TOKEN = "chat-secret-value"
DISCORD_EPOCH_MS = 1_420_070_400_000
Message = dict[str, Any]
User = Mapping[str, Any]
ANN: User = {"id": "80351110224678912", "username": "ann", "global_name": "Ann Lee"}
BOT: User = {"id": "80351110224678913", "username": "helper", "bot": True}


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


@dataclass
class Discord:
    """``messages`` oldest first. ``reacts_after``: so many seconds later Ann reacts to what asks for it."""

    clock: Clock
    messages: list[Message] = field(default_factory=list)
    reactions: dict[tuple[str, str], list[User]] = field(default_factory=dict)
    """(message, emoji) -> who."""
    reacts_after: float | None = None
    reacts: User = field(default_factory=lambda: ANN)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        base = "/api/v10/channels/{channel}/messages"
        self.app = Starlette(
            routes=[
                Route("/api/webhooks/{id}/{token}", self._webhook, methods=["POST"]),
                Route(base, self._list, methods=["GET"]),
                Route(base + "/{message}/reactions/{emoji}", self._reacted, methods=["GET"]),
            ]
        )

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, author: User, content: str, at: float | None = None, **more: Any) -> Message:
        when = self.clock.wall() if at is None else at
        id_ = str((int(when * 1000) - DISCORD_EPOCH_MS << 22) + len(self.messages))
        message = {
            "id": id_, "timestamp": stamp(when), "author": dict(author), "content": content, "embeds": [],
            "channel_id": "1", "type": 0, **more,
        }  # fmt: skip
        self.messages.append(message)
        return message

    def react(self, message: Message, emoji: str, user: User, custom: str | None = None) -> None:
        name = f"{emoji}:{custom}" if custom else emoji
        self.reactions.setdefault((message["id"], name), []).append(user)
        shown = {"count": 1, "me": False, "emoji": {"id": custom, "name": emoji}}
        message.setdefault("reactions", []).append(shown)

    async def _webhook(self, request: Request) -> Response:
        body = json.loads(await request.body())
        author = {"id": "1", "username": body.get("username", "hook"), "bot": True}
        more = {"embeds": body.get("embeds") or [], "webhook_id": "223704706495545344"}
        message = self.say(author, body.get("content") or "", **more)
        text = json.dumps(body).lower()
        if self.reacts_after is not None and "acknowledge" in text and "[resolved" not in text:
            task = asyncio.create_task(self._later(message, self.reacts_after))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return Response(status_code=204)

    async def _later(self, message: Message, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.react(message, "\N{EYES}", self.reacts)

    def _allowed(self, request: Request) -> bool:
        self.asked.append(str(request.url))
        return request.headers.get("authorization") == f"Bot {TOKEN}"

    async def _list(self, request: Request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"message": "401: Unauthorized", "code": 0}, 401)
        after, limit = int(request.query_params.get("after", 0)), int(request.query_params.get("limit", 50))
        found = [one for one in self.messages if int(one["id"]) > after][: min(limit, 100)]
        return JSONResponse(list(reversed(found)))

    async def _reacted(self, request: Request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"message": "401: Unauthorized", "code": 0}, 401)
        key = (request.path_params["message"], request.path_params["emoji"])
        if key not in self.reactions:
            return JSONResponse({"message": "Unknown Emoji", "code": 10014}, 400)
        return JSONResponse([dict(one) for one in self.reactions[key]])


@dataclass
class Graph:
    """A Teams channel. ``messages`` oldest first; shown newest first, ``page`` at a time."""

    clock: Clock
    messages: list[Message] = field(default_factory=list)
    page: int = 50
    next_base: str = ""
    """Where the link to the next page leads; this server where empty."""

    def __post_init__(self) -> None:
        self.app = Starlette(routes=[Route("/v1.0/teams/{t}/channels/{c}/messages", self._list, methods=["GET"])])

    def card(self, text: str, at: float | None = None, **more: Any) -> Message:
        """What a workflow makes of Alertmanager's webhook: an adaptive card, which is JSON in a text."""
        when = self.clock.wall() if at is None else at
        card = {"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": text}]}
        attachment = {"id": "a", "contentType": "application/vnd.microsoft.card.adaptive", "content": json.dumps(card)}
        message = {
            "id": str(int(when * 1000)), "createdDateTime": stamp(when), "lastModifiedDateTime": stamp(when),
            "subject": None, "summary": None, "from": who(app="Workflows"),
            "body": {"contentType": "html", "content": '<attachment id="a"></attachment>'},
            "attachments": [attachment], "reactions": [], "replies": [], **more,
        }  # fmt: skip
        self.messages.append(message)
        return message

    async def _list(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            error = {"code": "InvalidAuthenticationToken", "message": "Access token is empty."}
            return JSONResponse({"error": error}, 401)
        start = int(request.query_params.get("$skiptoken", 0))
        top = min(int(request.query_params.get("$top", 20)), self.page)
        rows = list(reversed(self.messages))
        body: dict[str, Any] = {"@odata.count": len(rows[start : start + top]), "value": rows[start : start + top]}
        if start + top < len(rows):
            base = self.next_base or str(request.base_url).rstrip("/")
            body["@odata.nextLink"] = f"{base}{request.url.path}?$top={top}&$expand=replies&$skiptoken={start + top}"
        return JSONResponse(body)


def who(name: str | None = None, id_: str = "", app: str = "") -> Message:
    """An identitySet: a person (Graph leaves the name of some out), or an application."""
    user = None if app else {"id": id_ or "u-1", "displayName": name, "userIdentityType": "aadUser"}
    return {"application": {"id": "app", "displayName": app} if app else None, "device": None, "user": user}


def reaction(by: Message, at: float, kind: str = "like") -> Message:
    return {"reactionType": kind, "displayName": kind, "createdDateTime": stamp(at), "user": by}


def reply(by: Message, at: float, text: str = "on it") -> Message:
    return {"id": "r", "createdDateTime": stamp(at), "deletedDateTime": None, "from": by, "body": {"content": text}}
