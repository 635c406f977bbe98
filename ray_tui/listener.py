"""Hears by HTTP that a test alert has reached a person: the page behind a message's link, and Slack's signed button."""

import asyncio
import contextlib
import hmac
import html
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_tui.clock import Clock
from ray_tui.codes import CODE, LENGTH
from ray_tui.core import facts as f
from ray_tui.core.commands import AcknowledgeProbe, Refused, Reply
from ray_tui.core.errors import InputError
from ray_tui.core.handle import Rewound, RunHandle
from ray_tui.core.policy import Person
from ray_tui.core.rules import TOO_MANY_CODES, UNKNOWN_CODE
from ray_tui.core.untrusted import line

log = logging.getLogger("ray_tui.listener")

LONGEST_FORM = 4_096
LONGEST_SLACK = 256 * 1024
"""Bytes of a body; Slack sends the whole message along with the button."""
BODY_SECONDS = 10.0
SIGNED_SECONDS = 300.0
"""How far the time that Slack signed may be from ours: its own advice against replays."""
MOST_CONNECTIONS = 100
MOST_CODES = 5
"""Words of a Slack message that are tried as codes."""
STOP_SECONDS = 3.0
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,24}")
_CLICKS = ("block_actions", "interactive_message")
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"x-robots-tag", b"noindex, nofollow"),
)
"""Of every answer: a code stands in the address, and must not leave with a referrer or stay in a cache."""


@dataclass(frozen=True)
class Settings:
    """Whom the listener knows, and what Slack's requests are signed with (empty: Slack is not heard)."""

    people: Mapping[str, Person] = field(default_factory=dict)
    slack_channels: Mapping[str, str] = field(default_factory=dict)
    """Receiver -> channel id."""
    slack_secret: str = ""


@dataclass
class Listener:
    """The routes over one run. Nothing here decides: every word goes to the run as a command."""

    handle: RunHandle
    settings: Settings
    clock: Clock
    sent: dict[str, f.ProbeIntended] = field(default_factory=dict)
    """Probe id -> what was sent, as the run has told so far."""

    def app(self) -> ASGIApp:
        routes = [
            Route("/acknowledge/{code}", self.page, methods=["GET"]),
            Route("/acknowledge/{code}", self.said, methods=["POST"]),
        ]
        if self.settings.slack_secret:
            routes.append(Route("/slack/interactions", self.slack, methods=["POST"]))
        handlers: Any = {HTTPException: _refused, Exception: _broken}
        return _guarded(Starlette(routes=routes, exception_handlers=handlers))

    async def follow(self) -> None:
        """Keep up with what is sent, for Slack's messages carry a probe's token and not always its code."""
        async for entry in self.handle.entries():
            if isinstance(entry, Rewound):
                self.sent.clear()
            elif isinstance(entry.fact, f.ProbeIntended) and entry.fact.purpose == "acknowledge":
                self.sent[entry.fact.id] = entry.fact

    # --- the link

    async def page(self, request: Request) -> Response:
        """A form. Looking at it acknowledges nothing, for scanners of mail look at every link."""
        _code(request)
        return _html(200, "Acknowledge a test alert", _FORM)

    async def said(self, request: Request) -> Response:
        """The form, sent: by somebody of [people], as far as a name that was typed can say."""
        code = _code(request)
        typed = line(_field(await _body(request, LONGEST_FORM), "name"), 100)
        if not typed:
            raise HTTPException(400, "Say who you are.")
        person = person_named(typed, self.settings.people)
        if not person:
            raise HTTPException(
                403, "Nobody of that name is in [people] of this run. Write your name as it stands there."
            )
        command = AcknowledgeProbe(
            code=code, via="link", claimed_person=person, detail="the name was typed on the page, and is not proven"
        )
        reply = await self.handle.submit(command)
        if isinstance(reply, Refused):
            raise HTTPException(_status(reply), reply.why)
        return _html(200, "Acknowledged", f"<p>Thank you, {html.escape(typed)}. It is on record.</p>")

    # --- Slack

    async def slack(self, request: Request) -> Response:
        """A button of a message, pressed by a person. Answered with 200 once it is on record, never before."""
        body = await _body(request, LONGEST_SLACK)
        given = request.headers.get("x-slack-signature", "")
        if not signed(self.settings.slack_secret, _header(request, "x-slack-request-timestamp"), body, given,
                      self.clock.wall()):  # fmt: skip
            raise HTTPException(401, "The signature does not hold, or is too old.")
        click = read_click(_field(body, "payload"))
        if click is None:
            raise HTTPException(400, "Only a button or a menu of a message acknowledges.")
        if click.bot or not _SLACK_USER.fullmatch(click.user) or click.user == "USLACKBOT":
            raise HTTPException(403, "Only a person acknowledges.")
        key = next((key for key, one in self.settings.people.items() if one.slack_id == click.user), "")
        person = key or f"slack:{click.user}"
        reply: Reply = Refused(UNKNOWN_CODE)
        for named in self._named(click):
            command = AcknowledgeProbe(
                code=named.get("code", ""), probe=named.get("probe", ""), via="slack", claimed_person=person,
                detail=f"pressed by {click.user}, signed by Slack",
            )  # fmt: skip
            reply = await self.handle.submit(command)
            if not (isinstance(reply, Refused) and reply.why == UNKNOWN_CODE):
                break
        if isinstance(reply, Refused):
            raise HTTPException(_status(reply), reply.why)
        return Response(b"", 200, media_type="text/plain")

    def _named(self, click: "Click") -> Iterable[dict[str, str]]:
        """What the pressed button, or else its message, may mean: a probe by its token, or a code."""
        for text in (click.button, click.message):
            tokens = set(re.findall(r"[a-z0-9-]+", text))
            known = [one for one in self.sent.values() if "slack" in one.integrations]
            meant = [one for one in known if tokens & {one.id, one.labels.get(_PROBE_LABEL, "")}]
            if len(meant) > 1:
                meant = [one for one in meant if self.settings.slack_channels.get(one.receiver) == click.channel]
            if len(meant) == 1:
                yield {"probe": meant[0].id}
            for code in list(dict.fromkeys(CODE.findall(text)))[:MOST_CODES]:
                yield {"code": code}


_PROBE_LABEL = "ray_tui_probe"
_FORM = """<p>[TEST] This acknowledges a synthetic alert: it proves that alerts reach you. Nothing is broken.</p>
<form method="post"><p><label>Who are you? <input name="name" maxlength="100" required autofocus></label>
<button>Acknowledge</button></p></form>"""


# --- what was said ---------------------------------------------------------------------------------------------------


def person_named(typed: str, people: Mapping[str, Person]) -> str:
    """The key of [people] that a typed name or address means; "" for nobody. Without [people], what was typed."""
    if not people:
        return f"says: {typed}"
    wanted = typed.casefold()
    meant = {
        key for key, one in people.items() if wanted in (key.casefold(), one.name.casefold(), one.email.casefold())
    }
    return meant.pop() if len(meant) == 1 else ""


def signed(secret: str, stamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether Slack signed this body not long ago (its signing scheme v0)."""
    if not (secret and stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        return False
    mac = hmac.digest(secret.encode(), b"v0:" + stamp.encode() + b":" + body, "sha256").hex()
    holds = hmac.compare_digest(f"v0={mac}".encode(), signature.encode())
    return holds and abs(now - int(stamp)) <= SIGNED_SECONDS


@dataclass(frozen=True)
class Click:
    """Who pressed what, as Slack tells it."""

    user: str
    bot: bool
    channel: str
    button: str
    """What the button itself says."""
    message: str
    """The message that it belongs to, as JSON."""


def read_click(payload: str) -> Click | None:
    """From a ``block_actions`` or a legacy ``interactive_message`` payload; None for any other."""
    try:
        told = json.loads(payload)
        if told["type"] not in _CLICKS:
            return None
        user, channel, actions = told["user"], told.get("channel") or {}, told["actions"]
        bot = bool(user.get("is_bot") or user.get("bot_id"))
        message = told.get("message") or told.get("original_message") or {}
        button = json.dumps([{name: one.get(name) for name in _SAID} for one in actions[:10]])
        return Click(str(user["id"]), bot, str(channel.get("id") or ""), button, json.dumps(message))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


_SAID = ("value", "name", "action_id", "block_id", "selected_option", "selected_options")


def _code(request: Request) -> str:
    code = str(request.path_params["code"]).upper()
    if not (len(code) == LENGTH and CODE.fullmatch(code)):
        raise HTTPException(404, UNKNOWN_CODE)
    return code


def _status(refused: Refused) -> int:
    return {UNKNOWN_CODE: 404, TOO_MANY_CODES: 429}.get(refused.why, 409)


def _header(request: Request, name: str) -> str:
    return request.headers.get(name, "")


def _field(body: bytes, name: str) -> str:
    try:
        return (parse_qs(body.decode("utf-8"), max_num_fields=20).get(name) or [""])[0]
    except ValueError as exc:
        raise HTTPException(400, "That is no form.") from exc


async def _body(request: Request, longest: int) -> bytes:
    """Raises HTTPException: too long, or too slow."""
    got = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                got += part
                if len(got) > longest:
                    raise HTTPException(413, f"More than {longest} bytes.")
    except (TimeoutError, ClientDisconnect) as exc:
        raise HTTPException(408, "The request took too long.") from exc
    return bytes(got)


# --- answers ---------------------------------------------------------------------------------------------------------


def _html(status: int, title: str, inner: str) -> Response:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>{inner}</html>\n"
    )
    return Response(page, status, media_type="text/html", headers={"Retry-After": "60"} if status == 429 else None)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _html(error.status_code, "Not acknowledged", f"<p>{html.escape(error.detail)}</p>")


async def _broken(request: Request, error: Exception) -> Response:
    log.error("a request could not be answered: %s", type(error).__name__)
    return _html(500, "Not acknowledged", "<p>ray-tui itself failed; say it with the command instead.</p>")


def _guarded(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        await app(scope, receive, with_headers)

    return guarded


# --- serving ---------------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Uvicorn that leaves the process's signals to the host."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(handle: RunHandle, settings: Settings, clock: Clock, host: str, port: int) -> AsyncIterator[int]:
    """Listen for the length of a ``with`` block; gives the port. InputError: the address is not to be had."""
    listener = Listener(handle, settings, clock)
    taken = bound(host, port)
    server = _Server(
        uvicorn.Config(
            listener.app(), log_level="critical", log_config=None, lifespan="off", access_log=False, loop="none",
            ws="none", server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5, timeout_graceful_shutdown=1,
        )
    )  # fmt: skip
    tasks = [asyncio.create_task(server.serve(sockets=[taken])), asyncio.create_task(listener.follow())]
    try:
        yield int(taken.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait({tasks[0]}, timeout=STOP_SECONDS)
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        taken.close()


def bound(host: str, port: int) -> socket.socket:
    """Listening there. Raises InputError, which says what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise InputError(f"[acknowledge] listen {host}:{port}: is no address of this machine: {exc}") from exc
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(address)
        taken.listen(128)
    except OSError as exc:
        taken.close()
        raise InputError(
            f"[acknowledge] listen {host}:{port}: cannot be used: {exc.strerror}. Does another run listen there?"
        ) from exc
    return taken
