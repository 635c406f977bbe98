"""What becomes of an event in the demo's PagerDuty: the incident that it opens, whom that wakes, and who answers."""

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ray_tui.clock import Clock
from ray_tui.demo.people import PEOPLE, SERVICES, PagerService, People, Person, Policy, pager_service_of
from ray_tui.demo.scenario import Scenario

SEVERITIES = ("critical", "error", "warning", "info")
_API, _WEB = "https://api.pagerduty.com", "https://shop.pagerduty.com"
_CHANNELS = ("sms", "phone", "push")

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


class PagerDutyWorld:
    """One state for both APIs. ``incidents``, ``pages_sent`` and ``changes`` may be read, the switches set, by tests.

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

    def stamp(self, at: float) -> str:
        """This server's time, to the second."""
        return datetime.fromtimestamp(int(at + self.skew_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
