"""PagerDuty as the demo serves it: the Events API and the REST API over one world."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_tui.clock import Clock
from ray_tui.demo import pagerduty_events
from ray_tui.demo.pagerduty_shapes import (
    alert_shown,
    contact_methods,
    incident_shown,
    log_shown,
    oncalls,
    policy_shown,
    schedule_shown,
    service_shown,
    user_shown,
)
from ray_tui.demo.pagerduty_world import Incident, PagerDutyWorld, Past, Ref, reference, user_reference
from ray_tui.demo.people import PEOPLE, SERVICES, People
from ray_tui.demo.scenario import Scenario

API_KEY = "demo-pagerduty-key"


class DemoPagerDuty(PagerDutyWorld):
    """The world, and the app that serves it."""

    def __init__(self, people: People, clock: Clock, scenario: Scenario, history: Sequence[Past] = ()) -> None:
        super().__init__(people, clock, scenario, history)
        self.app = Starlette(routes=_routes(self), middleware=[Middleware(SkewedDate, pagerduty=self)])


class ApiError(Exception):
    """What the REST API answers instead: ``{"error": {message, code, errors}}``."""

    def __init__(self, status: int, code: int, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        body: dict[str, Any] = {"message": message, "code": code}
        if errors:
            body["errors"] = list(errors)
        self.status, self.body = status, {"error": body}


def not_found() -> ApiError:
    return ApiError(404, 2100, "Not Found")


def invalid_input(*errors: str) -> ApiError:
    return ApiError(400, 2001, "Invalid Input Provided", errors)


class SkewedDate:
    """Middleware: a Date header that tells the demo's, perhaps skewed, time."""

    def __init__(self, app: ASGIApp, pagerduty: PagerDutyWorld) -> None:
        self.app, self.pagerduty = app, pagerduty

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            own = self.pagerduty.sends_date or self.pagerduty.skew_seconds
            if message["type"] == "http.response.start" and own:
                at = self.pagerduty.clock.wall() + self.pagerduty.skew_seconds
                message["headers"] = [*message["headers"], (b"date", formatdate(at, usegmt=True).encode())]
            await send(message)

        await self.app(scope, receive, send_dated)


Handler = Callable[[Request], Awaitable[Response]]
_LIMITS = {"ratelimit-limit": "960", "ratelimit-remaining": "959", "ratelimit-reset": "30"}


def _guarded(handler: Handler) -> Handler:
    """REST: a valid key, and errors in the API's shape."""

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if given not in {f"Token token={API_KEY}", f"Bearer {API_KEY}"}:
            return JSONResponse({"error": {"message": "Invalid Authentication Provided", "code": 2006}}, 401)
        try:
            response = await handler(request)
        except ApiError as error:
            response = JSONResponse(error.body, error.status)
        response.headers.update(_LIMITS)
        return response

    return guarded


def _when(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_input(f"{name} is not a valid ISO 8601 date") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _paged(request: Request, plural: str, rows: Sequence[Any]) -> Response:
    """Classic paging; ``total`` is null unless asked for."""
    try:
        limit, offset = (int(request.query_params.get(name, low)) for name, low in (("limit", "25"), ("offset", "0")))
    except ValueError as error:
        raise invalid_input("Limit and offset must be numbers") from error
    if not 1 <= limit <= 100 or offset < 0:
        raise invalid_input("Limit must be between 1 and 100")
    if offset + limit > 10_000:
        raise invalid_input("Offset + limit must be less than 10000")
    total = len(rows) if request.query_params.get("total") == "true" else None
    more = offset + limit < len(rows)
    return JSONResponse(
        {plural: rows[offset : offset + limit], "limit": limit, "offset": offset, "more": more, "total": total}
    )


def _requester(request: Request) -> Ref:
    """The user that a write is done as. Raises ApiError without a usable From header."""
    sender = request.headers.get("from", "")
    if not sender.endswith("@shop.example"):
        raise ApiError(400, 2001, "Invalid Input Provided", ["Requester User Not Found"])
    key = sender.partition("@")[0]
    if key in PEOPLE:
        return user_reference(PEOPLE[key])
    return reference("user", f"P{key.upper()}", key)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise invalid_input("Request body is not valid JSON") from error


def _routes(pd: PagerDutyWorld) -> list[Route]:
    def the_incident(request: Request) -> Incident:
        incident = pd.incidents.get(request.path_params["incident_id"])
        if incident is None:
            raise not_found()
        return incident

    async def list_incidents(request: Request) -> Response:
        query = request.query_params
        now = pd.clock.wall() + pd.skew_seconds
        since, until = _when(request, "since"), _when(request, "until")
        if since is not None and (until or now) - since > timedelta(days=184).total_seconds():
            raise invalid_input("The date range must be less than 6 months")
        if query.get("date_range") == "all":
            since, until = 0.0, now + 1
        since = now - timedelta(days=31).total_seconds() if since is None else since
        until = now + 1 if until is None else until
        fields: tuple[tuple[str, Callable[[Incident], Iterable[str]]], ...] = (
            ("statuses[]", lambda each: (each.status,)),
            ("service_ids[]", lambda each: (each.service.id,)),
            ("urgencies[]", lambda each: (incident_shown(pd, each)["urgency"],)),
            ("user_ids[]", lambda each: (person.pagerduty_id for person in each.assigned)),
        )
        found = [
            each
            for each in pd.incidents.values()
            if int(since) <= int(each.created_at + pd.skew_seconds)  # to the second, like all its times
            and int(each.created_at + pd.skew_seconds) < until
            and all(not query.getlist(name) or set(query.getlist(name)) & set(of(each)) for name, of in fields)
            # Incidents have no key of their own here: asking for one looks at the keys of their alerts.
            and (not query.get("incident_key") or each.dedup_key == query["incident_key"])
        ]
        newest_first = "desc" in query.get("sort_by", "created_at:asc")
        found.sort(key=lambda each: (int(each.created_at), each.number), reverse=newest_first)
        return _paged(request, "incidents", [incident_shown(pd, each, query.getlist("include[]")) for each in found])

    async def get_incident(request: Request) -> Response:
        include = request.query_params.getlist("include[]")
        return JSONResponse({"incident": incident_shown(pd, the_incident(request), include)})

    async def get_alerts(request: Request) -> Response:
        return _paged(request, "alerts", [alert_shown(pd, the_incident(request))])

    async def get_log(request: Request) -> Response:
        incident = the_incident(request)
        return _paged(request, "log_entries", [log_shown(pd, incident, each) for each in reversed(incident.log)])

    def change(wanted: Any, incident: Incident | None, agent: Ref) -> dict[str, Any]:
        if not isinstance(wanted, dict) or incident is None:
            raise not_found()
        status = wanted.get("status")
        if status not in {"acknowledged", "resolved"}:
            raise invalid_input("Status must be acknowledged or resolved")
        if incident.status == "resolved":
            raise ApiError(400, 2001, "Invalid Input Provided", ["Incident Already Resolved"])
        if pd.stuck_incidents:
            raise ApiError(500, 2000, "Internal Server Error")
        if status == "acknowledged":
            pd.acknowledge(incident, agent, "website")
        else:
            pd.resolve(incident, agent, "website")
        return incident_shown(pd, incident)

    async def put_incidents(request: Request) -> Response:
        agent = _requester(request)
        body = await _json(request)
        wanted = body.get("incidents") if isinstance(body, dict) else None
        if not isinstance(wanted, list) or len(wanted) > 250:
            raise invalid_input("Incidents must be an array of at most 250")
        changed = [change(each, pd.incidents.get(str(each.get("id"))), agent) for each in wanted]
        return _paged(request, "incidents", changed)

    async def put_incident(request: Request) -> Response:
        agent = _requester(request)
        body = await _json(request)
        wanted = body.get("incident") if isinstance(body, dict) else None
        return JSONResponse({"incident": change(wanted, the_incident(request), agent)})

    async def post_note(request: Request) -> Response:
        agent, incident, body = _requester(request), the_incident(request), await _json(request)
        content = (body.get("note") or {}).get("content") if isinstance(body, dict) else None
        if not content:
            raise invalid_input("Content cannot be empty")
        incident.notes.append(content)
        pd.note_down(incident, "annotate", agent, {"type": "note", "summary": content})
        note = {"id": f"{incident.id}N{len(incident.notes)}", "user": agent, "content": content}
        return JSONResponse({"note": {**note, "created_at": pd.stamp(pd.clock.wall())}}, 201)

    async def get_notes(request: Request) -> Response:
        incident = the_incident(request)
        return JSONResponse({"notes": [{"content": content} for content in incident.notes]})

    async def get_oncalls(request: Request) -> Response:
        rows = oncalls(pd)
        for name, of in (
            ("escalation_policy_ids[]", "escalation_policy"),
            ("user_ids[]", "user"),
            ("schedule_ids[]", "schedule"),
        ):
            wanted = request.query_params.getlist(name)
            if wanted:
                rows = [row for row in rows if row[of] and row[of]["id"] in wanted]
        return _paged(request, "oncalls", rows)

    def collection(plural: str, singular: str, rows: Callable[[Request], list[dict[str, Any]]]) -> list[Route]:
        """A list with ``query`` and paging, and each of its objects by id."""

        async def every(request: Request) -> Response:
            text = request.query_params.get("query", "").lower()
            return _paged(request, plural, [row for row in rows(request) if text in row["name"].lower()])

        async def one(request: Request) -> Response:
            found = [row for row in rows(request) if row["id"] == request.path_params["id"]]
            if not found:
                raise not_found()
            return JSONResponse({singular: found[0]})

        return [
            Route(f"/{plural}", _guarded(every), methods=["GET"]),
            Route(f"/{plural}/{{id}}", _guarded(one), methods=["GET"]),
        ]

    async def get_contact_methods(request: Request) -> Response:
        found = [each for each in PEOPLE.values() if each.pagerduty_id == request.path_params["id"]]
        if not found:
            raise not_found()
        return JSONResponse({"contact_methods": contact_methods(found[0])})

    async def abilities(_: Request) -> Response:
        return JSONResponse({"abilities": ["teams", "urgencies", "service_support_hours", "event_rules"]})

    rest: list[tuple[str, str, Handler]] = [
        ("GET", "/incidents", list_incidents),
        ("PUT", "/incidents", put_incidents),
        ("GET", "/incidents/{incident_id}", get_incident),
        ("PUT", "/incidents/{incident_id}", put_incident),
        ("GET", "/incidents/{incident_id}/alerts", get_alerts),
        ("GET", "/incidents/{incident_id}/log_entries", get_log),
        ("GET", "/incidents/{incident_id}/notes", get_notes),
        ("POST", "/incidents/{incident_id}/notes", post_note),
        ("GET", "/oncalls", get_oncalls),
        ("GET", "/abilities", abilities),
        ("GET", "/users/{id}/contact_methods", get_contact_methods),
    ]
    return [
        *pagerduty_events.routes(pd),
        *(Route(path, _guarded(handler), methods=[method]) for method, path, handler in rest),
        *collection("services", "service", lambda _: [service_shown(pd, each) for each in SERVICES]),
        *collection(
            "escalation_policies",
            "escalation_policy",
            lambda _: [policy_shown(pd, p) for p in pd.people.policies],
        ),
        *collection("users", "user", lambda _: [user_shown(person) for person in PEOPLE.values()]),
        *collection("schedules", "schedule", lambda r: [schedule_shown(pd, _when(r, "since"), _when(r, "until"))]),
    ]
