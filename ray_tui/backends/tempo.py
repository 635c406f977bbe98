"""The Tempo API: TraceQL searches, whose answers are neither exhaustive nor stable and leave zero values out."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBusy, BackendError
from ray_tui.core.ports import Health, LastSeen

WINDOWS_SECONDS = (300.0, 3600.0)
"""Searched from now backwards, before the whole time asked for: a search gives any traces, not the newest."""
AHEAD_SECONDS = 5.0
AT_ONCE = 4
NOBODY = "ray-tui-no-such-service"


class Settings(HttpSettings):
    """Grafana Tempo."""

    kind: Literal["tempo"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("traces", "tempo"): Settings}


def open(settings: Settings, opening: Opening) -> "Tempo":  # noqa: A001 (each backend file has one)
    return Tempo(Http.open("traces", settings.url, settings, opening))


class Tempo:
    """``Traces`` over HTTP. A trace is found about 30 s after it was sent: a caller allows for it."""

    name = "Tempo"

    def __init__(self, http: Http) -> None:
        self._http = http
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._filters: bool | None = None

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Searches for one trace, which needs the tenant and the credentials."""
        try:
            await self._http.get("/ready", accept=(200, 404))
            answer = await self._http.get("/api/search", [("q", "{}"), ("limit", "1")])
            answer.json()
            version = await self._version()
        except BackendBusy as busy:
            return Health(False, f"{busy}; a fresh Tempo needs a moment")
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", version, answer.skew)

    async def last_seen(self, services: Mapping[str, str], since: float) -> Mapping[str, LastSeen]:
        found = await asyncio.gather(*(self._newest(name, wire, since) for name, wire in services.items()))
        return {one.service: one for one in found}

    async def operations(self, service_name: str, since: float) -> frozenset[str]:
        if await self._values_are_filtered():
            return await self._values("name", since, of_service(service_name))
        # A span's name is in the answer only where the question speaks of it.
        named = of_service(service_name, ' && name!=""')
        answer = await self._search(named, since, self._now(), limit=100, spans=20)
        with answer.promised():
            return frozenset(untrusted.line(name) for name in _span_names(answer.json(), service_name))

    async def known_services(self, since: float) -> frozenset[str]:
        return await self._values("resource.service.name", since, None)

    async def _newest(self, service: str, wire_name: str, since: float) -> LastSeen:
        query, now = of_service(wire_name), self._now()
        for start in (*(now - back for back in WINDOWS_SECONDS if now - back > since), since):
            async with self._slots:
                answer = await self._search(query, start, now, limit=50, spans=3)
            with answer.promised():
                times = [at for at in _starts(answer.json()) if at >= int(since * 1e9)]
            if times:
                return LastSeen(service, max(times) / 1e9, query, f"{len(times)} traces looked at")
        return LastSeen(service, None, query, "no trace in the window")

    async def _search(self, query: str, start: float, end: float, *, limit: int, spans: int) -> Answer:
        window = [("start", str(int(start))), ("end", str(int(end) + 1))]
        return await self._http.get("/api/search", [("q", query), ("limit", str(limit)), ("spss", str(spans)), *window])

    async def _values(self, tag: str, since: float, query: str | None) -> frozenset[str]:
        params = [("start", str(int(since))), ("end", str(int(self._now()) + 1))]
        params += [("q", query)] if query is not None else []
        answer = await self._http.get(f"/api/v2/search/tag/{tag}/values", params)
        with answer.promised():
            return frozenset(untrusted.line(one["value"]) for one in answer.json().get("tagValues") or ())

    async def _values_are_filtered(self) -> bool:
        """Whether this version obeys ``q`` on tag values: one that does not would give us other services' names."""
        if self._filters is None:
            self._filters = not await self._values("name", self._now() - 3600, of_service(NOBODY))
        return self._filters

    def _now(self) -> float:
        return self._http.clock.wall() + AHEAD_SECONDS

    async def _version(self) -> str | None:
        answer = await self._http.get("/api/status/buildinfo", accept=(200, 404))
        if answer.status == 404:
            return None
        with answer.promised():
            return str(answer.json()["version"])


def of_service(name: str, further: str = "") -> str:
    """TraceQL for every span of one service, on a further condition."""
    return f"{{resource.service.name={json.dumps(name, ensure_ascii=False)}{further}}}"


def _starts(found: Mapping[str, Any]) -> Iterator[int]:
    """For each trace, when it began or its newest matching span did, whichever is later; unix nanoseconds."""
    for trace in found.get("traces") or ():
        spans = [span for one in _span_sets(trace) for span in one.get("spans") or ()]
        yield max(int(one.get("startTimeUnixNano") or 0) for one in (trace, *spans))


def _span_names(found: Mapping[str, Any], service: str) -> Iterator[str]:
    for trace in found.get("traces") or ():
        if trace.get("rootServiceName") == service and trace.get("rootTraceName"):
            yield trace["rootTraceName"]
        for one in _span_sets(trace):
            yield from (span["name"] for span in one.get("spans") or () if span.get("name"))


def _span_sets(trace: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Old versions say spanSet, new ones spanSets, some both."""
    return [*(trace.get("spanSets") or ()), *([trace["spanSet"]] if trace.get("spanSet") else [])]
