"""A webhook receiver that remembers: heartbeats, test alerts that a colleague acknowledges, downstream hand-offs."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.people import WEBHOOK_WATCHER, People, asks_for_acknowledgement


@dataclass
class Received:
    """One POST to /hook or one ping. ``at`` is the sink's own clock."""

    at: float
    receiver: str
    status: str
    payload: Any
    acknowledged_by: str = ""
    acknowledged_at: float | None = None


@dataclass(frozen=True)
class HandOff:
    """One notification of a downstream protocol's owner."""

    at: float
    protocol: str
    reference: str
    idempotency_key: str
    body: Any


class DemoWebhookSink:
    """``received`` and ``hand_offs`` are in order of arrival."""

    def __init__(self, people: People, clock: Clock) -> None:
        self.people = people
        self.clock = clock
        self.received: list[Received] = []
        self.hand_offs: list[HandOff] = []
        self.forgets = False
        """It answers 200 to every POST, and keeps nothing."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route("/hook/{name}", self._hook, methods=["POST"]),
                Route("/ping/{name}", self._ping, methods=["GET", "HEAD", "POST"]),
                Route("/received", self._received, methods=["GET"]),
                Route("/notify/{protocol}", self._notify, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
            ]
        )

    async def stop(self) -> None:
        """Nobody acknowledges any more. Stopping twice is fine."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _hook(self, request: Request) -> Response:
        try:
            payload = json.loads(await request.body())
        except ValueError:
            return PlainTextResponse("the body is not JSON", 400)
        status = str(payload.get("status", "")) if isinstance(payload, dict) else ""
        self._keep(request.path_params["name"], status, payload)
        return JSONResponse({"status": "ok"})

    async def _ping(self, request: Request) -> Response:
        """A healthchecks-style heartbeat: any method, any body."""
        self._keep(request.path_params["name"], "ping", (await request.body()).decode(errors="replace"))
        return PlainTextResponse("OK")

    def _keep(self, receiver: str, status: str, payload: Any) -> None:
        if self.forgets:
            return
        receipt = Received(self.clock.wall(), receiver, status, payload)
        self.received.append(receipt)
        if status != "resolved" and asks_for_acknowledgement(json.dumps(payload)):
            task = asyncio.create_task(self._acknowledge(receipt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, receipt: Received) -> None:
        await asyncio.sleep(self.people.ack_after_seconds)
        receipt.acknowledged_by, receipt.acknowledged_at = WEBHOOK_WATCHER.key, self.clock.wall()

    async def _received(self, request: Request) -> Response:
        """Everything, or what carries the token anywhere in it; oldest first."""
        token = request.query_params.get("token", "")
        found = [each for each in self.received if token in json.dumps(each.payload, ensure_ascii=False)]
        return JSONResponse([vars(each) for each in found])

    async def _notify(self, request: Request) -> Response:
        """The same Idempotency-Key for the same protocol answers the same reference and stores nothing more."""
        protocol = request.path_params["protocol"]
        key = request.headers.get("idempotency-key", "")
        try:
            body = json.loads(await request.body())
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        for known in self.hand_offs:
            if key and (known.protocol, known.idempotency_key) == (protocol, key):
                return JSONResponse({"reference": known.reference})
        reference = f"handoff-{protocol}-{len(self.hand_offs) + 1}"
        self.hand_offs.append(HandOff(self.clock.wall(), protocol, reference, key, body))
        return JSONResponse({"reference": reference})
