"""What a server can be made to do wrong for its next few requests: bad answers that a client must survive."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

Kind = Literal["answer", "html", "invalid-json", "hang", "drip", "huge"]

DRIP_SECONDS = 0.2
"""Between two bytes of a dripping body."""
HUGE_BYTES = 80 * 1024 * 1024
_CHUNK = b" " * 65536


@dataclass
class Fault:
    """One thing that will go wrong, ``times`` times, on paths that begin with ``path_prefix``."""

    path_prefix: str
    kind: Kind
    status: int
    body: bytes
    content_type: str
    delay: float
    headers: Mapping[str, str]
    times: int


@dataclass
class Faults:
    """Middleware around an app: ``faults = Faults(app)``; serve ``faults`` instead of the app."""

    app: ASGIApp
    waiting: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """(method, path with query) of every request, whether it met a fault or not."""

    def next(
        self,
        path_prefix: str = "/",
        *,
        kind: Kind = "answer",
        status: int = 500,
        body: str | bytes | Mapping[str, object] = "",
        content_type: str | None = None,
        delay: float = 0.0,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Make the next ``times`` matching requests answer so, after ``delay`` seconds.

        ``html`` is a proxy's error page, ``invalid-json`` a 200 with broken JSON, ``hang`` says nothing, ``drip`` sends
        a byte now and then for ever, ``huge`` a body beyond every cap; ``status`` counts for ``answer`` and ``html``.
        """
        raw = (
            json.dumps(body).encode() if isinstance(body, Mapping) else body.encode() if isinstance(body, str) else body
        )
        known = content_type or ("application/json" if isinstance(body, Mapping) else "text/plain; charset=utf-8")
        self.waiting.append(Fault(path_prefix, kind, status, raw, known, delay, dict(headers or {}), times))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        self.seen.append((scope["method"], scope["path"] + (f"?{query}" if query else "")))
        fault = self._take(scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
        else:
            await _answer(fault, receive, send)

    def _take(self, path: str) -> Fault | None:
        for fault in self.waiting:
            if path.startswith(fault.path_prefix):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return None


async def _answer(fault: Fault, receive: Receive, send: Send) -> None:
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.kind == "hang":
        await _until_gone(receive)
    elif fault.kind == "drip":
        await _start(send, 200, "application/json", fault.headers)
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        gone = asyncio.create_task(_until_gone(receive))
        try:
            while not gone.done():
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.wait({gone}, timeout=DRIP_SECONDS)
        finally:
            gone.cancel()
    elif fault.kind == "huge":
        await _start(send, 200, "application/json", fault.headers)
        for _ in range(HUGE_BYTES // len(_CHUNK)):
            await send({"type": "http.response.body", "body": _CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": b"{}"})
    else:
        status, content_type, body = fault.status, fault.content_type, fault.body
        if fault.kind == "html":
            content_type = "text/html"
            body = (
                body or b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
            )
        elif fault.kind == "invalid-json":
            status, content_type, body = 200, "application/json", body or b'{"status":"success","data":'
        await _start(send, status, content_type, fault.headers)
        await send({"type": "http.response.body", "body": body})


async def _until_gone(receive: Receive) -> None:
    """Read until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, content_type: str, headers: Mapping[str, str]) -> None:
    pairs = [(b"content-type", content_type.encode())]
    pairs += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
