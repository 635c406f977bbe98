"""PagerDuty's Events API v2 in the demo: what it takes, and what it objects to, in its words."""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.demo.pagerduty_world import SEVERITIES, PagerDutyWorld

LARGEST_EVENT = 512 * 1024


def routes(world: PagerDutyWorld) -> list[Route]:
    async def enqueue(request: Request) -> Response:
        raw = await request.body()
        if len(raw) > LARGEST_EVENT:
            return JSONResponse({"status": "invalid event", "message": "Event object is too large"}, 413)
        try:
            event = json.loads(raw)
        except ValueError:
            event = None
        errors = faults_of_event(event)
        if not errors and event["routing_key"] in world.reject_routing_keys:
            errors = ["Invalid routing key"]
        if errors:
            message = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return JSONResponse(message, 400)
        dedup_key = world.take(event)
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": dedup_key}, 202)

    async def change(request: Request) -> Response:
        try:
            event = json.loads(await request.body())
        except ValueError:
            event = None
        payload = event.get("payload") if isinstance(event, dict) else None
        if not isinstance(payload, dict) or not payload.get("summary") or not event.get("routing_key"):
            errors = ["'payload.summary' is missing or blank"]
            message = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return JSONResponse(message, 400)
        world.changes.append(event)
        return JSONResponse({"status": "success", "message": "Change event processed"}, 202)

    return [
        Route("/v2/change/enqueue", change, methods=["POST"]),
        Route("/{prefix:path}/change/enqueue", change, methods=["POST"]),
        Route("/enqueue", enqueue, methods=["POST"]),
        Route("/{prefix:path}/enqueue", enqueue, methods=["POST"]),
    ]


def faults_of_event(event: Any) -> list[str]:
    """What the Events API objects to, in its words; empty for a valid event."""
    if not isinstance(event, dict):
        return ["Invalid event format"]
    found = []
    key = event.get("routing_key")
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9]{32}", key):
        found.append("Invalid routing key")
    action = event.get("event_action")
    if action not in {"trigger", "acknowledge", "resolve"}:
        found.append("'event_action' is missing or invalid (must be one of trigger, acknowledge, resolve)")
    dedup_key = event.get("dedup_key")
    if dedup_key is not None and (not isinstance(dedup_key, str) or len(dedup_key) > 255):
        found.append("'dedup_key' is invalid (must be a string of at most 255 characters)")
    if action in {"acknowledge", "resolve"} and not dedup_key:
        found.append("'dedup_key' is missing or blank")
    if action == "trigger":
        found.extend(_faults_of_payload(event.get("payload")))
    return found


def _faults_of_payload(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    found = [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
    if len(str(payload.get("summary", ""))) > 1024:
        found.append("'payload.summary' is too long (maximum is 1024 characters)")
    if payload.get("severity") not in SEVERITIES:
        found.append(f"'payload.severity' is invalid (must be one of the following: {', '.join(SEVERITIES)})")
    return found
