"""Past incidents from PagerDuty, to hold alerts against what really happened."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess, Strict
from ray_tui.backends.answers import moment, moment_or_none, unwell
from ray_tui.backends.http import Http
from ray_tui.clock import iso
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBroken, BackendError
from ray_tui.core.ports import Health, Incident
from ray_tui.secrets import SecretRef

PAGE_SIZE = 100
MOST_ROWS = 10_000
"""PagerDuty refuses to page further: a longer time is asked for in parts."""
PART_SECONDS = 30 * 86_400.0
BEFORE_SECONDS = 7 * 86_400.0
"""How much earlier than the window an incident may have begun that still overlaps it."""


class Settings(Strict):
    """One PagerDuty account, read only."""

    kind: Literal["pagerduty"]
    """Which kind of system this is."""
    token: SecretRef
    """A REST API key; a read-only one is enough."""
    login: Literal["api-key", "oauth"] = "api-key"
    """What ``token`` is: it is sent as ``Token token=…`` or as ``Bearer …``."""
    api_url: BaseUrl = "https://api.pagerduty.com"
    """The REST API; https://api.eu.pagerduty.com in the EU region."""
    service_ids: tuple[str, ...] = ()
    """Only incidents of these PagerDuty services; empty: of all."""
    access: HttpAccess = HttpAccess()
    """Time limits, proxy and TLS."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("incidents", "pagerduty"): Settings}


def open(settings: Settings, opening: Opening) -> "PagerDutyIncidents":  # noqa: A001 (each backend file has one)
    scheme = "Token token=" if settings.login == "api-key" else "Bearer "

    def headers() -> dict[str, str]:
        secret = settings.token.resolve(opening.config_folder)
        return {"Authorization": scheme + secret, "Accept": "application/vnd.pagerduty+json;version=2"}

    http = Http.open(
        "incidents", settings.api_url, settings.access, opening, headers=headers, credentials=str(settings.token)
    )
    return PagerDutyIncidents(http, settings.service_ids)


class PagerDutyIncidents:
    """``Incidents`` over REST v2."""

    name = "PagerDuty incidents"

    def __init__(self, http: Http, service_ids: tuple[str, ...]) -> None:
        self._http = http
        self._service_ids = service_ids

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        try:
            answer = await self._http.get("/incidents", [("limit", "1")])
            answer.json()
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", "REST v2", answer.skew)

    async def between(self, start: float, end: float) -> tuple[Incident, ...]:
        """Those that overlap the window and began at most a week before it, oldest first."""
        found: dict[str, Incident] = {}
        since = start - BEFORE_SECONDS
        while since < end:
            until = min(since + PART_SECONDS, end)
            async for one in self._part(since, until):
                if one.started_at < end and (one.ended_at is None or one.ended_at > start):
                    found[one.id] = one
            since = until
        return tuple(sorted(found.values(), key=lambda one: one.started_at))

    async def _part(self, since: float, until: float) -> AsyncIterator[Incident]:
        params = [
            ("since", iso(since)),
            ("until", iso(until)),
            ("sort_by", "created_at:asc"),
            ("limit", str(PAGE_SIZE)),
        ]
        params += [("statuses[]", status) for status in ("triggered", "acknowledged", "resolved")]
        params += [("service_ids[]", each) for each in self._service_ids]
        for offset in range(0, MOST_ROWS, PAGE_SIZE):
            answer = await self._http.get("/incidents", [*params, ("offset", str(offset))])
            with answer.promised():
                body = answer.json()
                rows, more = [incident(row) for row in body["incidents"]], body.get("more", False)
            for row in rows:
                yield row
            if not more:
                return
        what = f"more than {MOST_ROWS} incidents between {iso(since)} and {iso(until)}"
        raise BackendBroken("incidents", what, "Name the services in service_ids")


def incident(row: Mapping[str, Any]) -> Incident:
    """A REST incident. A resolved one that says no time ended when its status changed last."""
    ended = row.get("resolved_at") or (row.get("last_status_change_at") if row["status"] == "resolved" else None)
    severity = (row.get("priority") or {}).get("summary") or row.get("urgency") or ""
    return Incident(
        id=row["id"],
        title=untrusted.line(row.get("title") or row.get("summary") or ""),
        service=untrusted.line(row["service"]["summary"]),
        started_at=moment(row["created_at"]),
        ended_at=moment_or_none(ended),
        severity=untrusted.line(severity),
        source=f"PagerDuty {row['id']}",
        url=row.get("html_url") or "",
        alert_keys=(row["incident_key"],) if row.get("incident_key") else (),
    )
