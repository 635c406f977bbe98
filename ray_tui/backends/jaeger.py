"""The Jaeger query APIs: v3 where it is served, else the legacy one of its own screens."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, unwell
from ray_tui.backends.http import Http
from ray_tui.clock import iso
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, NotSupported
from ray_tui.core.ports import Health, LastSeen

WINDOWS_SECONDS = (300.0, 3600.0)
"""Searched from now backwards, before the whole time asked for: not every storage answers the newest first."""
AHEAD_SECONDS = 5.0
DEPTH = "20"
MOST_OPERATIONS = 200
"""Names that are searched for one by one."""
AT_ONCE = 4


class Settings(HttpSettings):
    """Jaeger's query service."""

    kind: Literal["jaeger"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("traces", "jaeger"): Settings}


def open(settings: Settings, opening: Opening) -> "Jaeger":  # noqa: A001 (each backend file has one)
    return Jaeger(Http.open("traces", settings.url, settings, opening))


class Jaeger:
    """``Traces`` over HTTP. Which API there is, is found out at the first question."""

    name = "Jaeger"

    def __init__(self, http: Http) -> None:
        self._http = http
        self._v3: bool | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        try:
            v3 = await self._is_v3()
            answer = await self._http.get("/api/v3/services" if v3 else "/api/services")
            answer.json()
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url} ({'v3' if v3 else 'legacy'} API)", None, answer.skew)

    async def last_seen(self, services: Mapping[str, str], since: float) -> Mapping[str, LastSeen]:
        await self._is_v3()
        found = await asyncio.gather(*(self._newest(name, wire, since) for name, wire in services.items()))
        return {one.service: one for one in found}

    async def operations(self, service_name: str, since: float) -> frozenset[str]:
        """Jaeger lists the names that it has kept, whatever their age: a span of each is searched for.

        Raises NotSupported where there are too many of them to be searched for.
        """
        listed = await self._listed(service_name)
        now = self._http.clock.wall() + AHEAD_SECONDS
        recent = await self._spans(service_name, since, now)
        found = {one.name for one in recent if one.at >= since}
        unseen = sorted(listed - found)
        if len(unseen) > MOST_OPERATIONS:
            raise NotSupported(
                "traces", f"{service_name} has {len(unseen)} operations that were not seen since the deploy; "
                f"at most {MOST_OPERATIONS} are searched for",
                "Give its spans names without ids, so that there are fewer",
            )  # fmt: skip
        searched = await asyncio.gather(*(self._is_since(service_name, name, since, now) for name in unseen))
        found |= {name for name, there in zip(unseen, searched, strict=True) if there}
        return frozenset(untrusted.line(name) for name in found)

    async def known_services(self, since: float) -> frozenset[str]:
        """Names that Jaeger has kept, whatever their age: it cannot be asked by time."""
        v3 = await self._is_v3()
        answer = await self._http.get("/api/v3/services" if v3 else "/api/services")
        with answer.promised():
            return frozenset(untrusted.line(name) for name in answer.json()["services" if v3 else "data"] or ())

    async def _listed(self, service_name: str) -> set[str]:
        if await self._is_v3():
            answer = await self._http.get("/api/v3/operations", [("service", service_name)])
            with answer.promised():
                return {str(one["name"]) for one in answer.json().get("operations") or ()}
        answer = await self._http.get(f"/api/services/{quote(service_name, safe='')}/operations")
        with answer.promised():
            return {str(name) for name in answer.json()["data"] or ()}

    async def _is_since(self, service_name: str, operation: str, since: float, now: float) -> bool:
        spans = await self._spans(service_name, since, now, operation)
        return any(one.name == operation and one.at >= since for one in spans)

    async def _newest(self, service: str, wire_name: str, since: float) -> LastSeen:
        query, now = f"service={wire_name}", self._http.clock.wall() + AHEAD_SECONDS
        for start in (*(now - back for back in WINDOWS_SECONDS if now - back > since), since):
            recent = [one.at for one in await self._spans(wire_name, start, now) if one.at >= since]
            if recent:
                return LastSeen(service, max(recent), query, f"{len(recent)} spans looked at")
        return LastSeen(service, None, query, "no trace in the window")

    async def _spans(self, wire_name: str, start: float, end: float, operation: str = "") -> list["_Span"]:
        """Spans of the service in the traces that were found, of whatever operation."""
        async with self._slots:
            if self._v3:
                params = [
                    ("query.service_name", wire_name),
                    ("query.start_time_min", iso(start)),
                    ("query.start_time_max", iso(end)),
                    ("query.search_depth", DEPTH),
                    *([("query.operation_name", operation)] if operation else []),
                ]
                answer = await self._http.get("/api/v3/traces", params, accept=(200, 404))
                return [] if answer.status == 404 else _otlp_spans(answer, wire_name)
            params = [
                ("service", wire_name),
                ("start", str(int(start * 1e6))),
                ("end", str(int(end * 1e6))),
                ("limit", DEPTH),
                *([("operation", operation)] if operation else []),
            ]
            return _legacy_spans(await self._http.get("/api/traces", params), wire_name)

    async def _is_v3(self) -> bool:
        if self._v3 is None:
            v3 = await self._http.get("/api/v3/services", accept=(200, 404))
            if v3.status == 404 or "json" not in v3.headers.get("content-type", ""):
                legacy = await self._http.get("/api/services", accept=(200, 404))
                if legacy.status == 404:
                    raise NotSupported("traces", "there is neither /api/v3 nor /api", "Check the address and base path")
                self._v3 = False
            else:
                self._v3 = True
        return self._v3


class _Span(NamedTuple):
    name: str
    at: float
    """Unix seconds at which it began."""


def _otlp_spans(answer: Answer, service: str) -> list[_Span]:
    """All matches are merged into one result; zero values are absent."""
    with answer.promised():
        return [
            _Span(str(span.get("name") or ""), int(span["startTimeUnixNano"]) / 1e9)
            for resource in answer.json()["result"].get("resourceSpans") or ()
            if _service_name(resource.get("resource", {}).get("attributes") or ()) == service
            for scope in resource.get("scopeSpans") or ()
            for span in scope.get("spans") or ()
            if span.get("startTimeUnixNano")
        ]


def _service_name(attributes: Sequence[Mapping[str, Any]]) -> str:
    found = (one["value"].get("stringValue", "") for one in attributes if one["key"] == "service.name")
    return str(next(found, ""))


def _legacy_spans(answer: Answer, service: str) -> list[_Span]:
    with answer.promised():
        return [
            _Span(str(span["operationName"]), span["startTime"] / 1e6)
            for trace in answer.json()["data"] or ()
            for span in trace["spans"]
            if trace["processes"][span["processID"]]["serviceName"] == service
        ]
