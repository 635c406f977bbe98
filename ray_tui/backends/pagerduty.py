"""PagerDuty: who is on call, which incidents carry our token, and what people and machines did about them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess, Strict
from ray_tui.backends.answers import moment, moment_or_none, promised, unwell
from ray_tui.backends.http import Http
from ray_tui.clock import iso
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendRefused, ConfigError
from ray_tui.core.ports import EscalationPolicy, Health, OnCall, Page, PageEvent, PagerService, SideEffect
from ray_tui.secrets import SecretRef

PAGE_SIZE = 100
MOST_ROWS = 10_000
"""PagerDuty refuses to page further."""
CLOSED_KEPT = 5_000
AT_ONCE = 4
LONGEST_FIELD = 100_000
"""Alertmanager puts all of a group's alerts into one text, and the token may stand at its end."""

T = TypeVar("T")

EventKind = Literal["triggered", "assigned", "notified", "acknowledged", "escalated", "exhausted", "resolved", "other"]
AgentKind = Literal["user", "service", "integration", "other"]

KIND_OF: Mapping[str, EventKind] = {
    "trigger": "triggered",
    "assign": "assigned",
    "notify": "notified",
    "acknowledge": "acknowledged",
    "acknowledgement": "acknowledged",
    "escalate": "escalated",
    "exhaust_escalation_path": "exhausted",
    "resolve": "resolved",
}
"""Log entry type without ``_log_entry`` -> our kind; the set of types is open, and both spellings of one are seen."""


class Settings(Strict):
    """One PagerDuty account."""

    kind: Literal["pagerduty"]
    """Which kind of system this is."""
    token: SecretRef
    """A REST API key."""
    login: Literal["api-key", "oauth"] = "api-key"
    """What ``token`` is: it is sent as ``Token token=…`` or as ``Bearer …``."""
    from_email: str = ""
    """The login of the user as whom our own test incidents are closed; needed only for that."""
    test_routing_key: SecretRef | None = None
    """The integration key of a test service that pages nobody; proves the Events side."""
    api_url: BaseUrl = "https://api.pagerduty.com"
    """The REST API; https://api.eu.pagerduty.com in the EU region."""
    events_url: BaseUrl = "https://events.pagerduty.com"
    """The Events API, without its path; https://events.eu.pagerduty.com in the EU region."""
    access: HttpAccess = HttpAccess()
    """Time limits, proxy and TLS."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("paging", "pagerduty"): Settings}


def open(settings: Settings, opening: Opening) -> "PagerDuty":  # noqa: A001 (each backend file has one)
    base, test_key = opening.config_folder, settings.test_routing_key
    scheme = "Token token=" if settings.login == "api-key" else "Bearer "

    def headers() -> dict[str, str]:
        secret = settings.token.resolve(base)
        return {"Authorization": scheme + secret, "Accept": "application/vnd.pagerduty+json;version=2"}

    rest = Http.open(
        "paging", settings.api_url, settings.access, opening, headers=headers, credentials=str(settings.token)
    )
    events = Http.open("paging", settings.events_url, settings.access, opening)
    resolve_key = None if test_key is None else lambda: test_key.resolve(base)
    return PagerDuty(rest, events, resolve_key, settings.from_email)


class PagerDuty:
    """``Paging`` over REST v2 and Events v2."""

    name = "PagerDuty"
    side_effect = SideEffect.QUERY  # by the incident's status
    test_side_effect = SideEffect.DEDUP  # by dedup_key, while it is open; then a new one pages nobody

    def __init__(self, rest: Http, events: Http, test_key: Callable[[], str] | None, from_email: str) -> None:
        self._rest = rest
        self._events = events
        self._test_key = test_key
        self._from = from_email
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._closed: dict[str, str] = {}
        """Resolved incident -> the text of its alerts, which can no longer change. Open ones are asked every time."""

    async def close(self) -> None:
        await self._rest.close()
        await self._events.close()

    async def health(self) -> Health:
        """Reads one service and who is on call: both are needed, and both need the key."""
        try:
            answer = await self._rest.get("/services", [("limit", "1")])
            answer.json()
            (await self._rest.get("/oncalls", [("limit", "1")])).json()
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._rest.base_url}", "REST v2", answer.skew)

    async def services(self) -> tuple[PagerService, ...]:
        return tuple([row async for row in self._rows("/services", "services", _service)])

    async def on_call(self) -> tuple[OnCall, ...]:
        return tuple([row async for row in self._rows("/oncalls", "oncalls", on_call)])

    async def policies(self) -> tuple[EscalationPolicy, ...]:
        return tuple([row async for row in self._rows("/escalation_policies", "escalation_policies", policy)])

    async def pages(self, token: str, since: float) -> tuple[Page, ...]:
        assert token, "an empty token would match every incident"
        # A second earlier: their times are cut to the second.
        window = [("since", iso(int(since) - 1)), ("sort_by", "created_at:desc")]
        window += [("statuses[]", status) for status in ("triggered", "acknowledged", "resolved")]
        found = {row["id"]: row async for row in self._rows("/incidents", "incidents", dict, window)}
        carries = await asyncio.gather(*(self._carries(incident, token) for incident in found.values()))
        ours = [incident for incident, ours in zip(found.values(), carries, strict=True) if ours]
        return tuple(await asyncio.gather(*(self._page(incident) for incident in reversed(ours))))

    async def resolve(self, incident_id: str, note: str) -> None:
        """An incident that is resolved already is what was asked for."""
        if not self._from:
            raise BackendRefused(
                "paging", f"incident {incident_id} cannot be resolved", "Set from_email to a user's login"
            )
        sender = {"From": self._from}
        body = {"incident": {"type": "incident_reference", "status": "resolved"}}
        try:
            await self._rest.request("PUT", f"/incidents/{_id(incident_id)}", data=body, headers=sender)
        except BackendRefused as refused:
            if refused.status != 400 or "already resolved" not in refused.what.lower():
                raise
        if note:
            await self._rest.request(
                "POST",
                f"/incidents/{_id(incident_id)}/notes",
                data={"note": {"content": note}},
                headers=sender,
                accept=(200, 201),
            )

    async def test_event(self, token: str) -> Health:
        if self._test_key is None:
            return Health(False, "no test_routing_key is configured: the Events side is not proved")
        try:
            key = await asyncio.to_thread(self._test_key)
        except ConfigError as exc:
            return Health(False, str(exc))
        payload = {
            "summary": f"[TEST] ray-tui checks this integration ({token})",
            "source": "ray-tui",
            "severity": "info",
        }
        event = {"routing_key": key, "dedup_key": token, "event_action": "trigger", "payload": payload}
        try:
            for body in (event, {**event, "event_action": "resolve"}):
                # The same key and body again is one alert: repeating is harmless.
                answer = await self._events.request("POST", "/v2/enqueue", data=body, accept=(202,), may_repeat=True)
                with answer.promised():
                    if answer.json()["status"] != "success":
                        raise ValueError("its status is not success")
        except BackendError as error:
            return Health(False, str(error).replace(key, "***"))
        return Health(
            True, "a test event and its end were accepted (202); acceptance alone opens no incident", "Events v2"
        )

    async def _carries(self, incident: Mapping[str, Any], token: str) -> bool:
        if token in json.dumps(
            [incident.get(name) for name in ("incident_key", "title", "summary")], ensure_ascii=False
        ):
            return True
        known = self._closed.get(incident["id"])
        if known is None:
            rows = self._rows(f"/incidents/{_id(incident['id'])}/alerts", "alerts", alert_text)
            async with self._slots:
                known = "\n".join([text async for text in rows])
            if incident["status"] == "resolved" and len(self._closed) < CLOSED_KEPT:
                self._closed[incident["id"]] = known
        return token in known

    async def _page(self, incident: Mapping[str, Any]) -> Page:
        rows = self._rows(
            f"/incidents/{_id(incident['id'])}/log_entries", "log_entries", dict, [("include[]", "channels")]
        )
        log = [entry async for entry in rows]
        with promised("paging", f"incident {incident['id']} and its log"):
            return page(incident, log)

    async def _rows(
        self, path: str, plural: str, read: Callable[[Mapping[str, Any]], T], params: Sequence[tuple[str, str]] = ()
    ) -> AsyncIterator[T]:
        """Every row of a classically paged list."""
        for offset in range(0, MOST_ROWS, PAGE_SIZE):
            answer = await self._rest.get(path, [*params, ("limit", str(PAGE_SIZE)), ("offset", str(offset))])
            with answer.promised():
                body = answer.json(LONGEST_FIELD)
                rows, more = [read(row) for row in body[plural]], body.get("more", False)
            for row in rows:
                yield row
            if not more:
                return
        raise BackendRefused(
            "paging", f"{path} has more than {MOST_ROWS} rows", "Narrow the time or the account's scope"
        )


def _id(text: str) -> str:
    return quote(text, safe="")


def _service(row: Mapping[str, Any]) -> PagerService:
    return PagerService(row["id"], untrusted.line(row["name"]), row["escalation_policy"]["id"])


def on_call(row: Mapping[str, Any]) -> OnCall:
    """One row of /oncalls; ``end`` is null for somebody who is on call for good."""
    schedule = row.get("schedule")
    return OnCall(
        row["escalation_policy"]["id"],
        untrusted.line(row["escalation_policy"]["summary"]),
        row["escalation_level"],
        row["user"]["id"],
        untrusted.line(row["user"]["summary"]),
        moment_or_none(row.get("end")),
        None if schedule is None else untrusted.line(schedule["summary"]),
    )


def policy(row: Mapping[str, Any]) -> EscalationPolicy:
    """One escalation policy; delays may be fractions of a minute."""
    delays = tuple(rule["escalation_delay_in_minutes"] * 60.0 for rule in row["escalation_rules"])
    return EscalationPolicy(row["id"], untrusted.line(row["name"]), delays, row.get("num_loops") or 0)


def alert_text(row: Mapping[str, Any]) -> str:
    """Everything in an alert that may carry a token: its key, its summary and whatever was sent along."""
    return json.dumps([row.get("alert_key"), row.get("summary"), row.get("body")], ensure_ascii=False)


def page(incident: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> Page:
    """``log`` comes newest first, several entries to a second; entries made while we paged come twice."""
    oldest_first = list({entry["id"]: entry for entry in reversed(log)}.values())
    return Page(
        incident_id=incident["id"],
        incident_key=incident.get("incident_key") or "",
        status=incident["status"],
        created_at=moment(incident["created_at"]),
        service_id=incident["service"]["id"],
        service=untrusted.line(incident["service"]["summary"]),
        policy_id=incident["escalation_policy"]["id"],
        urgency=incident.get("urgency") or "",
        url=incident.get("html_url") or "",
        events=tuple(_events(oldest_first)),
        alert_count=(incident.get("alert_counts") or {}).get("all", 1),
    )


def _events(log: Sequence[Mapping[str, Any]]) -> Iterator[PageEvent]:
    """The level is counted: one, and one more for every escalation so far."""
    level = 1
    for entry in log:
        kind = KIND_OF.get(entry["type"].removesuffix("_log_entry"), "other")
        level += kind == "escalated"
        agent, channel = entry.get("agent") or {}, entry.get("channel") or {}
        people = [entry["user"]] if entry.get("user") else list(entry.get("assignees") or ())
        named = ", ".join(person.get("summary") or person["id"] for person in people)
        yield PageEvent(
            at=moment(entry["created_at"]),
            kind=kind,
            agent_kind=agent_kind(agent.get("type") or ""),
            agent=untrusted.line(agent.get("summary") or ""),
            agent_id=agent.get("id") or "",
            channel=(channel.get("notification") or {}).get("type") or channel.get("type") or "",
            level=level if kind in ("assigned", "notified", "escalated") else None,
            detail=untrusted.line(named or entry.get("summary") or ""),
            recipients=tuple(person["id"] for person in people),
        )


def agent_kind(reference: str) -> AgentKind:
    """Who did it, by the reference's type: only ``user`` is a person."""
    if reference in ("user", "user_reference"):
        return "user"
    if "integration" in reference:
        return "integration"
    return "service" if reference.startswith("service") else "other"
