"""PagerDuty as the demo runs it: what an event becomes, whom it wakes, and what the REST API says about it after."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ray_tui.clock import Clock
from ray_tui.demo.people import PEOPLE, SERVICES, PagerService, People, Person, Policy, pager_service_of
from ray_tui.demo.scenario import Scenario

API_KEY = "demo-pagerduty-key"
LARGEST_EVENT = 512 * 1024
SEVERITIES = ("critical", "error", "warning", "info")
SCHEDULE_ID = "PSCHPLT"
"""The one schedule: level 1 of the Platform policy is on call through it, for a week at a time."""
_API, _WEB = "https://api.pagerduty.com", "https://shop.pagerduty.com"
_CHANNELS = ("sms", "phone", "push")
_WEEK_SECONDS = 7 * 86_400

Ref = dict[str, Any]
Past = Mapping[str, Any]


@dataclass(frozen=True)
class PageSent:
    """One notification that reached one person. Counting these is counting who was woken how often."""

    at: float
    incident_id: str
    user: str
    level: int
    channel: str
    dedup_key: str
    summary: str
    custom_details: Mapping[str, Any]


@dataclass
class Incident:
    """An incident and the one alert in it. Times are unix seconds of the real clock; skew is added when shown."""

    id: str
    number: int
    service: PagerService
    policy: Policy
    created_at: float
    event: Mapping[str, Any]
    """The Events API body that opened it."""
    status: Literal["triggered", "acknowledged", "resolved"] = "triggered"
    changed_at: float = 0.0
    resolved_at: float | None = None
    assigned: tuple[Person, ...] = ()
    acknowledgements: list[tuple[float, Ref]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    """Oldest first."""
    notes: list[str] = field(default_factory=list)

    @property
    def dedup_key(self) -> str:
        return str(self.event["dedup_key"])

    @property
    def title(self) -> str:
        return str(self.event["payload"]["summary"])


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


def reference(kind: str, ref_id: str, summary: str) -> Ref:
    """PagerDuty's way to name another object: type ``<kind>_reference``."""
    plural = "escalation_policies" if kind == "escalation_policy" else f"{kind}s"
    return {
        "id": ref_id,
        "type": f"{kind}_reference",
        "summary": summary,
        "self": f"{_API}/{plural}/{ref_id}",
        "html_url": f"{_WEB}/{plural}/{ref_id}",
    }


def user_reference(person: Person) -> Ref:
    return reference("user", person.pagerduty_id, person.name)


def service_reference(service: PagerService) -> Ref:
    return reference("service", service.id, service.name)


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


class DemoPagerDuty:
    """Both APIs over one state. ``incidents``, ``pages_sent`` and ``changes`` may be read, the switches set, by tests.

    ``history`` holds past incidents: mappings with id, title, service, started_at, ended_at (None: open), severity,
    and, where alerts saw them, alert_keys (their names; shown as Alertmanager would in the alert's details).
    """

    def __init__(self, people: People, clock: Clock, scenario: Scenario, history: Sequence[Past] = ()) -> None:
        self.people = people
        self.clock = clock
        self.lost_pages = frozenset(scenario.people.lost_pages)
        self.incidents: dict[str, Incident] = {}
        self.pages_sent: list[PageSent] = []
        self.events: list[Mapping[str, Any]] = []
        """Every event that was answered 202, whatever became of it."""
        self.changes: list[Mapping[str, Any]] = []
        self.auto_ack = False
        """The integration acknowledges each incident itself, at once."""
        self.ack_by: Literal["user", "integration", "other_service"] = "user"
        self.ack_after_seconds: float | None = None
        """None: as long as ``people`` say."""
        self.duplicate_incidents = False
        self.stuck_incidents = False
        """No incident can be resolved: events change nothing, and the REST API answers 500."""
        self.notifies = True
        """False: incidents are opened, and nobody is told."""
        self.skew_seconds = 0.0
        """How far this server's clock is ahead of ours, in its timestamps and its Date header."""
        self.sends_date = False
        """Answer with a Date header of our own (always so while skewed); the server should then send none."""
        self.reject_routing_keys: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = iter(range(1001, 1_000_000))
        self._log_numbers = iter(range(1, 10_000_000))
        for past in history:
            self._remember(past)
        self.app = Starlette(routes=_routes(self), middleware=[Middleware(SkewedDate, pagerduty=self)])

    async def stop(self) -> None:
        """Everybody goes home: no more acknowledging or escalating. Stopping twice is fine."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- events

    def take(self, event: Mapping[str, Any]) -> str:
        """Act on a valid event; answers its dedup key. Accepting it promises nothing, as in the real one."""
        number = len(self.events)
        dedup_key = str(event.get("dedup_key") or f"demo-generated-{number:018d}")
        self.events.append(event)
        service = next((each for each in SERVICES if each.routing_key == event["routing_key"]), None)
        if service is None:
            return dedup_key
        found = self._open(service, dedup_key)
        if event["event_action"] == "trigger":
            lost = service.id in self.lost_pages or service.name in self.lost_pages
            if not found and not lost:
                for _ in range(2 if self.duplicate_incidents else 1):
                    self._trigger(service, {**event, "dedup_key": dedup_key})
            return dedup_key
        for incident in found:
            agent = service_reference(service)
            if event["event_action"] == "acknowledge":
                self.acknowledge(incident, agent, "api")
            elif not self.stuck_incidents:
                self.resolve(incident, agent, "api")
        return dedup_key

    def _open(self, service: PagerService, dedup_key: str) -> list[Incident]:
        return [
            each
            for each in self.incidents.values()
            if each.service == service and each.dedup_key == dedup_key and each.status != "resolved"
        ]

    def _trigger(self, service: PagerService, event: Mapping[str, Any]) -> None:
        number, now = next(self._numbers), self.clock.wall()
        incident = Incident(
            f"Q{number:06d}DEMO", number, service, self.people.policy_of(service.id), now, event, changed_at=now
        )
        self.incidents[incident.id] = incident
        self.note_down(incident, "trigger", service_reference(service), {"type": "api"})
        if self.auto_ack:
            self.acknowledge(incident, service_reference(service), "api")
        if self.notifies:
            self._spawn(self._page(incident))

    # --- people

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _page(self, incident: Incident) -> None:
        """Level after level until somebody acknowledges; past the last one the path is exhausted."""
        machine = service_reference(incident.service)
        for level, keys in enumerate(incident.policy.levels, start=1):
            people = tuple(PEOPLE[key] for key in keys)
            if not people:
                break
            refs = [user_reference(person) for person in people]
            incident.assigned = people
            if level > 1:
                self.note_down(incident, "escalate", machine, {"type": "timeout"}, assignees=refs)
            self.note_down(incident, "assign", machine, {"type": "auto"}, assignees=refs)
            for person in people:
                self._notify(incident, person, level)
            await asyncio.sleep(self.people.escalation_seconds)
            if incident.status != "triggered":
                return
        if incident.policy.levels:
            self.note_down(incident, "exhaust_escalation_path", machine, {"type": "timeout"})

    def _notify(self, incident: Incident, person: Person, level: int) -> None:
        kind = _CHANNELS[(level - 1) % len(_CHANNELS)]
        payload = incident.event["payload"]
        self.note_down(
            incident,
            "notify",
            service_reference(incident.service),
            {"type": kind, "notification": {"type": kind, "address": person.phone, "status": "success"}},
            user=user_reference(person),
        )
        details = payload.get("custom_details") or {}
        self.pages_sent.append(
            PageSent(
                self.clock.wall(),
                incident.id,
                person.key,
                level,
                kind,
                incident.dedup_key,
                incident.title,
                details if isinstance(details, dict) else {"details": details},
            )
        )
        if self.people.acknowledges(json.dumps(payload), level):
            self._spawn(self._answer(incident, person))

    async def _answer(self, incident: Incident, person: Person) -> None:
        delay = self.people.ack_after_seconds if self.ack_after_seconds is None else self.ack_after_seconds
        await asyncio.sleep(delay)
        if incident.status != "triggered":
            return
        if self.ack_by == "user":
            self.acknowledge(incident, user_reference(person), "mobile")
            return
        others = [each for each in SERVICES if (each == incident.service) == (self.ack_by == "integration")]
        self.acknowledge(incident, service_reference(others[0]), "api")

    # --- what can happen to an incident

    def acknowledge(self, incident: Incident, agent: Ref, channel: str) -> None:
        if incident.status == "resolved":
            return
        now = self.clock.wall()
        incident.status, incident.changed_at = "acknowledged", now
        incident.acknowledgements.append((now, agent))
        self.note_down(incident, "acknowledge", agent, {"type": channel})

    def resolve(self, incident: Incident, agent: Ref, channel: str) -> None:
        now = self.clock.wall()
        incident.status, incident.changed_at, incident.resolved_at = "resolved", now, now
        incident.assigned = ()
        self.note_down(incident, "resolve", agent, {"type": channel})

    def note_down(
        self, incident: Incident, kind: str, agent: Ref, channel: Ref, at: float | None = None, **extra: Any
    ) -> None:
        log_id = f"R{next(self._log_numbers):07d}DEMO"
        entry = {
            "id": log_id,
            "type": f"{kind}_log_entry",
            "summary": f"{kind.replace('_', ' ').capitalize()}, by {agent['summary']}.",
            "self": f"{_API}/log_entries/{log_id}",
            "html_url": None,
            "at": self.clock.wall() if at is None else at,
            "agent": agent,
            "channel": channel,
            **extra,
        }
        incident.log.append(entry)

    def _remember(self, past: Past) -> None:
        """An incident of the days before, with the log that it would have: paged, acknowledged, resolved."""
        shop_service = str(past["service"])
        service = next(each for each in SERVICES if each.id == pager_service_of(shop_service))
        number, severity = next(self._numbers), str(past.get("severity", "critical"))
        started, ended = float(past["started_at"]), past.get("ended_at")
        payload: dict[str, Any] = {
            "summary": past["title"],
            "source": shop_service,
            "component": shop_service,
            "severity": severity if severity in SEVERITIES else "error",
            "custom_details": {"service": shop_service, "severity": severity},
        }
        if past.get("alert_keys"):
            labels = "".join(f"Labels:\n - alertname = {name}\n" for name in past["alert_keys"])
            payload["custom_details"] |= {"firing": labels}
        event = {"routing_key": service.routing_key, "dedup_key": f"past-{past['id']}", "payload": payload}
        policy = self.people.policy_of(service.id)
        incident = Incident(str(past["id"]), number, service, policy, started, event, changed_at=started)
        self.incidents[incident.id] = incident
        machine, person = service_reference(service), user_reference(PEOPLE[policy.levels[0][0]])
        self.note_down(incident, "trigger", machine, {"type": "api"}, at=started)
        self.note_down(incident, "notify", machine, {"type": "sms"}, at=started + 1, user=person)
        self.note_down(incident, "acknowledge", person, {"type": "mobile"}, at=started + 60)
        incident.acknowledgements.append((started + 60, person))
        incident.status, incident.changed_at = "acknowledged", started + 60
        if ended is not None:
            self.note_down(incident, "resolve", person, {"type": "website"}, at=float(ended))
            incident.status, incident.changed_at, incident.resolved_at = "resolved", float(ended), float(ended)

    # --- how it is shown

    def stamp(self, at: float) -> str:
        """This server's time, to the second."""
        return datetime.fromtimestamp(int(at + self.skew_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def incident_wire(self, incident: Incident, include: Iterable[str] = ()) -> dict[str, Any]:
        """``incident_key`` is null: incidents with alerts in them have none."""
        wanted = set(include)
        first = incident.log[0]
        wire = {
            **reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
            "type": "incident",
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": self.stamp(incident.created_at),
            "updated_at": self.stamp(incident.changed_at),
            "last_status_change_at": self.stamp(incident.changed_at),
            "resolved_at": None if incident.resolved_at is None else self.stamp(incident.resolved_at),
            "status": incident.status,
            "incident_key": None,
            "urgency": "low" if incident.event["payload"].get("severity") in {"warning", "info"} else "high",
            "service": service_reference(incident.service),
            "priority": None,
            "assignments": [
                {"at": self.stamp(incident.changed_at), "assignee": user_reference(person)}
                for person in incident.assigned
            ],
            "acknowledgements": [
                {"at": self.stamp(at), "acknowledger": agent}
                for at, agent in (incident.acknowledgements if incident.status == "acknowledged" else ())
            ],
            "escalation_policy": reference("escalation_policy", incident.policy.id, incident.policy.name),
            "teams": [],
            "alert_counts": {
                "all": 1,
                "triggered": int(incident.status != "resolved"),
                "resolved": int(incident.status == "resolved"),
            },
            "first_trigger_log_entry": {
                "id": first["id"],
                "type": "trigger_log_entry_reference",
                "summary": first["summary"],
                "self": first["self"],
                "html_url": None,
            },
        }
        if "services" in wanted:
            wire["service"] = self.service_wire(incident.service)
        if "escalation_policies" in wanted:
            wire["escalation_policy"] = self.policy_wire(incident.policy)
        if "first_trigger_log_entries" in wanted:
            wire["first_trigger_log_entry"] = self.log_wire(incident, first)
        if "assignees" in wanted:
            for each, person in zip(wire["assignments"], incident.assigned, strict=True):
                each["assignee"] = self.user_wire(person)
        return wire

    def alert_wire(self, incident: Incident) -> dict[str, Any]:
        payload = incident.event["payload"]
        details = payload.get("custom_details") or {}
        alert_id = f"{incident.id}A"
        return {
            **reference("alert", alert_id, incident.title),
            "type": "alert",
            "created_at": self.stamp(incident.created_at),
            "status": "resolved" if incident.status == "resolved" else "triggered",
            "alert_key": incident.dedup_key,
            "suppressed": False,
            "severity": payload.get("severity"),
            "service": service_reference(incident.service),
            "incident": reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
            "integration": reference("integration", f"{incident.service.id}I", "Events API v2"),
            "body": {
                "type": "alert_body",
                "contexts": [],
                "details": details,
                "cef_details": {
                    "contexts": [],
                    "dedup_key": incident.dedup_key,
                    "description": incident.title,
                    "message": incident.title,
                    "details": details,
                    "severity": payload.get("severity"),
                    "source_origin": payload.get("source"),
                    "source_component": payload.get("component"),
                    "service_group": payload.get("group"),
                    "event_class": payload.get("class"),
                    "client": incident.event.get("client"),
                    "client_url": incident.event.get("client_url"),
                },
            },
        }

    def log_wire(self, incident: Incident, entry: Mapping[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in entry.items() if name != "at"}
        return {
            **shown,
            "created_at": self.stamp(entry["at"]),
            "incident": reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
            "service": service_reference(incident.service),
            "teams": [],
            "contexts": [],
        }

    def service_wire(self, service: PagerService) -> dict[str, Any]:
        policy = self.people.policy_of(service.id)
        return {
            **service_reference(service),
            "type": "service",
            "name": service.name,
            "description": None,
            "status": "active",
            "created_at": "2025-01-06T09:00:00Z",
            "alert_creation": "create_alerts_and_incidents",
            "escalation_policy": reference("escalation_policy", policy.id, policy.name),
            "integrations": [reference("integration", f"{service.id}I", "Events API v2")],
            "teams": [],
        }

    def policy_wire(self, policy: Policy) -> dict[str, Any]:
        rules = [
            {
                "id": f"{policy.id}{level}",
                "escalation_delay_in_minutes": self.people.escalation_seconds / 60,
                "targets": self._targets(policy, level, keys),
            }
            for level, keys in enumerate(policy.levels, start=1)
        ]
        services = [service_reference(each) for each in SERVICES if each.policy_id == policy.id]
        return {
            **reference("escalation_policy", policy.id, policy.name),
            "type": "escalation_policy",
            "name": policy.name,
            "num_loops": 0,
            "on_call_handoff_notifications": "if_has_services",
            "escalation_rules": rules,
            "services": services,
            "teams": [],
        }

    def _targets(self, policy: Policy, level: int, keys: Sequence[str]) -> list[Ref]:
        if _by_schedule(policy, level):
            return [reference("schedule", SCHEDULE_ID, "Platform primary")]
        return [user_reference(PEOPLE[key]) for key in keys]

    def user_wire(self, person: Person) -> dict[str, Any]:
        return {
            **user_reference(person),
            "type": "user",
            "name": person.name,
            "email": person.email,
            "time_zone": "Etc/UTC",
            "role": "user",
            "job_title": "Engineer",
            "teams": [],
            "contact_methods": self.contact_methods(person),
            "notification_rules": [],
        }

    def contact_methods(self, person: Person) -> list[dict[str, Any]]:
        rows = (("sms", person.phone), ("phone", person.phone), ("email", person.email))
        return [
            {
                "id": f"{person.pagerduty_id}{kind.upper()}",
                "type": f"{kind}_contact_method",
                "summary": "Work",
                "label": "Work",
                "address": address,
            }
            for kind, address in rows
        ]

    def oncalls(self) -> list[dict[str, Any]]:
        start, end = self._shift()
        return [
            {
                "user": user_reference(PEOPLE[key]),
                "schedule": (
                    reference("schedule", SCHEDULE_ID, "Platform primary") if _by_schedule(policy, level) else None
                ),
                "escalation_policy": reference("escalation_policy", policy.id, policy.name),
                "escalation_level": level,
                "start": self.stamp(start) if _by_schedule(policy, level) else None,
                "end": self.stamp(end) if _by_schedule(policy, level) else None,
            }
            for policy in self.people.policies
            for level, keys in enumerate(policy.levels, start=1)
            for key in keys
        ]

    def _shift(self) -> tuple[float, float]:
        """The week's shift, never about to end: it began yesterday at midnight UTC."""
        midnight = self.clock.wall() // 86_400 * 86_400
        return midnight - 86_400, midnight - 86_400 + _WEEK_SECONDS

    def schedule_wire(self, since: float | None, until: float | None) -> dict[str, Any]:
        """Rendered entries only appear when a window was asked for."""
        person = PEOPLE["sam"]
        start, _ = self._shift()
        rendered: list[dict[str, Any]] = []
        if since is not None and until is not None:
            rendered = [{"start": self.stamp(since), "end": self.stamp(until), "user": user_reference(person)}]
        coverage = 100.0 if rendered else None
        layer = {
            "id": "PLAYER1",
            "name": "Week",
            "start": self.stamp(start),
            "end": None,
            "rotation_virtual_start": self.stamp(start),
            "rotation_turn_length_seconds": _WEEK_SECONDS,
            "users": [{"user": user_reference(person)}],
            "restrictions": [],
            "rendered_schedule_entries": rendered,
            "rendered_coverage_percentage": coverage,
        }
        rows = {"rendered_schedule_entries": rendered, "rendered_coverage_percentage": coverage}
        return {
            **reference("schedule", SCHEDULE_ID, "Platform primary"),
            "type": "schedule",
            "name": "Platform primary",
            "time_zone": "Etc/UTC",
            "schedule_layers": [layer],
            "final_schedule": {"name": "Final Schedule", **rows},
            "overrides_subschedule": {"name": "Overrides", "rendered_schedule_entries": []},
            "users": [user_reference(person)],
            "escalation_policies": [reference("escalation_policy", "PPOLPLT", "Platform on-call")],
        }


def _by_schedule(policy: Policy, level: int) -> bool:
    return policy.id == "PPOLPLT" and level == 1


# --- HTTP ------------------------------------------------------------------------------------------------------------


class SkewedDate:
    """Middleware: a Date header that tells the demo's, perhaps skewed, time."""

    def __init__(self, app: ASGIApp, pagerduty: DemoPagerDuty) -> None:
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


def _events_routes(pd: DemoPagerDuty) -> list[Route]:
    async def enqueue(request: Request) -> Response:
        raw = await request.body()
        if len(raw) > LARGEST_EVENT:
            return JSONResponse({"status": "invalid event", "message": "Event object is too large"}, 413)
        try:
            event = json.loads(raw)
        except ValueError:
            event = None
        errors = faults_of_event(event)
        if not errors and event["routing_key"] in pd.reject_routing_keys:
            errors = ["Invalid routing key"]
        if errors:
            message = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return JSONResponse(message, 400)
        dedup_key = pd.take(event)
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
        pd.changes.append(event)
        return JSONResponse({"status": "success", "message": "Change event processed"}, 202)

    return [
        Route("/v2/change/enqueue", change, methods=["POST"]),
        Route("/{prefix:path}/change/enqueue", change, methods=["POST"]),
        Route("/enqueue", enqueue, methods=["POST"]),
        Route("/{prefix:path}/enqueue", enqueue, methods=["POST"]),
    ]


def _routes(pd: DemoPagerDuty) -> list[Route]:
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
            ("urgencies[]", lambda each: (pd.incident_wire(each)["urgency"],)),
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
        return _paged(request, "incidents", [pd.incident_wire(each, query.getlist("include[]")) for each in found])

    async def get_incident(request: Request) -> Response:
        include = request.query_params.getlist("include[]")
        return JSONResponse({"incident": pd.incident_wire(the_incident(request), include)})

    async def get_alerts(request: Request) -> Response:
        return _paged(request, "alerts", [pd.alert_wire(the_incident(request))])

    async def get_log(request: Request) -> Response:
        incident = the_incident(request)
        return _paged(request, "log_entries", [pd.log_wire(incident, each) for each in reversed(incident.log)])

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
        return pd.incident_wire(incident)

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
        rows = pd.oncalls()
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

    async def contact_methods(request: Request) -> Response:
        found = [each for each in PEOPLE.values() if each.pagerduty_id == request.path_params["id"]]
        if not found:
            raise not_found()
        return JSONResponse({"contact_methods": pd.contact_methods(found[0])})

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
        ("GET", "/users/{id}/contact_methods", contact_methods),
    ]
    return [
        *_events_routes(pd),
        *(Route(path, _guarded(handler), methods=[method]) for method, path, handler in rest),
        *collection("services", "service", lambda _: [pd.service_wire(each) for each in SERVICES]),
        *collection(
            "escalation_policies", "escalation_policy", lambda _: [pd.policy_wire(p) for p in pd.people.policies]
        ),
        *collection("users", "user", lambda _: [pd.user_wire(person) for person in PEOPLE.values()]),
        *collection("schedules", "schedule", lambda r: [pd.schedule_wire(_when(r, "since"), _when(r, "until"))]),
    ]
