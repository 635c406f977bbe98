"""How PagerDuty's REST API shows what the demo's PagerDuty knows: incidents, alerts, log entries, people, schedules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ray_tui.demo.pagerduty_world import (
    Incident,
    PagerDutyWorld,
    Ref,
    reference,
    service_reference,
    user_reference,
)
from ray_tui.demo.people import PEOPLE, SERVICES, PagerService, Person, Policy

SCHEDULE_ID = "PSCHPLT"
"""The one schedule: level 1 of the Platform policy is on call through it, for a week at a time."""
_WEEK_SECONDS = 7 * 86_400


def incident_shown(world: PagerDutyWorld, incident: Incident, include: Iterable[str] = ()) -> dict[str, Any]:
    """``incident_key`` is null: incidents with alerts in them have none."""
    wanted = set(include)
    first = incident.log[0]
    wire = {
        **reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
        "type": "incident",
        "incident_number": incident.number,
        "title": incident.title,
        "created_at": world.stamp(incident.created_at),
        "updated_at": world.stamp(incident.changed_at),
        "last_status_change_at": world.stamp(incident.changed_at),
        "resolved_at": None if incident.resolved_at is None else world.stamp(incident.resolved_at),
        "status": incident.status,
        "incident_key": None,
        "urgency": "low" if incident.event["payload"].get("severity") in {"warning", "info"} else "high",
        "service": service_reference(incident.service),
        "priority": None,
        "assignments": [
            {"at": world.stamp(incident.changed_at), "assignee": user_reference(person)} for person in incident.assigned
        ],
        "acknowledgements": [
            {"at": world.stamp(at), "acknowledger": agent}
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
        wire["service"] = service_shown(world, incident.service)
    if "escalation_policies" in wanted:
        wire["escalation_policy"] = policy_shown(world, incident.policy)
    if "first_trigger_log_entries" in wanted:
        wire["first_trigger_log_entry"] = log_shown(world, incident, first)
    if "assignees" in wanted:
        for each, person in zip(wire["assignments"], incident.assigned, strict=True):
            each["assignee"] = user_shown(person)
    return wire


def alert_shown(world: PagerDutyWorld, incident: Incident) -> dict[str, Any]:
    payload = incident.event["payload"]
    details = payload.get("custom_details") or {}
    alert_id = f"{incident.id}A"
    return {
        **reference("alert", alert_id, incident.title),
        "type": "alert",
        "created_at": world.stamp(incident.created_at),
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


def log_shown(world: PagerDutyWorld, incident: Incident, entry: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in entry.items() if name != "at"}
    return {
        **shown,
        "created_at": world.stamp(entry["at"]),
        "incident": reference("incident", incident.id, f"[#{incident.number}] {incident.title}"),
        "service": service_reference(incident.service),
        "teams": [],
        "contexts": [],
    }


def service_shown(world: PagerDutyWorld, service: PagerService) -> dict[str, Any]:
    policy = world.people.policy_of(service.id)
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


def policy_shown(world: PagerDutyWorld, policy: Policy) -> dict[str, Any]:
    rules = [
        {
            "id": f"{policy.id}{level}",
            "escalation_delay_in_minutes": world.people.escalation_seconds / 60,
            "targets": _targets(policy, level, keys),
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


def _targets(policy: Policy, level: int, keys: Sequence[str]) -> list[Ref]:
    if _by_schedule(policy, level):
        return [reference("schedule", SCHEDULE_ID, "Platform primary")]
    return [user_reference(PEOPLE[key]) for key in keys]


def user_shown(person: Person) -> dict[str, Any]:
    return {
        **user_reference(person),
        "type": "user",
        "name": person.name,
        "email": person.email,
        "time_zone": "Etc/UTC",
        "role": "user",
        "job_title": "Engineer",
        "teams": [],
        "contact_methods": contact_methods(person),
        "notification_rules": [],
    }


def contact_methods(person: Person) -> list[dict[str, Any]]:
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


def oncalls(world: PagerDutyWorld) -> list[dict[str, Any]]:
    start, end = _shift(world)
    return [
        {
            "user": user_reference(PEOPLE[key]),
            "schedule": (
                reference("schedule", SCHEDULE_ID, "Platform primary") if _by_schedule(policy, level) else None
            ),
            "escalation_policy": reference("escalation_policy", policy.id, policy.name),
            "escalation_level": level,
            "start": world.stamp(start) if _by_schedule(policy, level) else None,
            "end": world.stamp(end) if _by_schedule(policy, level) else None,
        }
        for policy in world.people.policies
        for level, keys in enumerate(policy.levels, start=1)
        for key in keys
    ]


def _shift(world: PagerDutyWorld) -> tuple[float, float]:
    """The week's shift, never about to end: it began yesterday at midnight UTC."""
    midnight = world.clock.wall() // 86_400 * 86_400
    return midnight - 86_400, midnight - 86_400 + _WEEK_SECONDS


def schedule_shown(world: PagerDutyWorld, since: float | None, until: float | None) -> dict[str, Any]:
    """Rendered entries only appear when a window was asked for."""
    person = PEOPLE["sam"]
    start, _ = _shift(world)
    rendered: list[dict[str, Any]] = []
    if since is not None and until is not None:
        rendered = [{"start": world.stamp(since), "end": world.stamp(until), "user": user_reference(person)}]
    coverage = 100.0 if rendered else None
    layer = {
        "id": "PLAYER1",
        "name": "Week",
        "start": world.stamp(start),
        "end": None,
        "rotation_virtual_start": world.stamp(start),
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
