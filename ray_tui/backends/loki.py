"""The Loki API: which services have logged since a moment, and when they did so last."""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBusy, BackendError
from ray_tui.core.ports import Health, Labels, LastSeen

AHEAD_SECONDS = 5.0
"""How far the store's clock may run ahead of ours before we miss its newest line."""
AT_ONCE = 4

Names = tuple[str, ...]


class Settings(HttpSettings):
    """Loki, or a gateway in front of it."""

    kind: Literal["loki"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("logs", "loki"): Settings}


def open(settings: Settings, opening: Opening) -> "Loki":  # noqa: A001 (each backend file has one)
    return Loki(Http.open("logs", settings.url, settings, opening))


class Loki:
    """``Logs`` over HTTP. One metric query finds who logged at all; one line each tells when."""

    name = "Loki"

    def __init__(self, http: Http) -> None:
        self._http = http
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Lists labels, which needs the tenant and the credentials; ``/ready`` is asked first where there is one."""
        try:
            ready = await self._http.get("/ready", accept=(200, 404))
            answer = await self._http.get("/loki/api/v1/labels")
            _data(answer)
            version = await self._version()
        except BackendBusy as busy:
            return Health(False, f"{busy}; a fresh Loki needs about 15 s")
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", version, answer.skew or ready.skew)

    async def last_seen(self, services: Mapping[str, Labels], since: float) -> Mapping[str, LastSeen]:
        now = self._http.clock.wall()
        present = {
            name for names in _by_label_names(services).values() for name in await self._present(names, since, now)
        }
        found = await asyncio.gather(
            *(self._newest(name, services[name], since, now) for name in services if name in present)
        )
        seen = {one.service: one for one in found}
        return {
            name: seen.get(name) or LastSeen(name, None, selector(labels), "no line in the window")
            for name, labels in services.items()
        }

    async def known_services(self, label: str, since: float) -> frozenset[str]:
        window = [("start", nanoseconds(since)), ("end", nanoseconds(self._http.clock.wall() + AHEAD_SECONDS))]
        answer = await self._http.get(f"/loki/api/v1/label/{label}/values", window)
        with answer.promised():
            return frozenset(untrusted.line(value) for value in _data(answer) or ())

    async def _present(self, services: Mapping[str, Labels], since: float, now: float) -> set[str]:
        """Those of the services, all selected by the same label names, that have a line in the window."""
        names = tuple(sorted(next(iter(services.values()))))
        window = math.ceil(now - since + AHEAD_SECONDS)
        query = f"sum by ({', '.join(names)}) (count_over_time({among(names, services.values())}[{max(1, window)}s]))"
        try:
            answer = await self._http.get(
                "/loki/api/v1/query", [("query", query), ("time", nanoseconds(now + AHEAD_SECONDS)), ("limit", "5000")]
            )
        except BackendError as error:
            if "series" not in error.what or error.status not in (400, 422, 429, 500):
                raise
            if len(services) == 1:
                return set(services)  # too many series to count: there are some; its newest line will tell
            halves = _halves(services)
            return {name for half in halves for name in await self._present(half, since, now)}
        with answer.promised():
            counted = {tuple(one["metric"].get(name, "") for name in names) for one in _data(answer)["result"]}
        return {
            service
            for service, labels in services.items()
            if tuple(untrusted.clean(labels[name]) for name in names) in counted
        }

    async def _newest(self, service: str, labels: Labels, since: float, now: float) -> LastSeen:
        query = selector(labels)
        async with self._slots:
            answer = await self._http.get(
                "/loki/api/v1/query_range",
                [
                    ("query", query),
                    ("start", nanoseconds(since)),
                    ("end", nanoseconds(now + AHEAD_SECONDS)),
                    ("limit", "1"),
                    ("direction", "backward"),
                ],
            )
        with answer.promised():
            lines = [line for stream in _data(answer)["result"] for line in stream["values"]]
            if not lines:
                return LastSeen(service, None, query, "no line in the window")
            at, text = max(((int(line[0]), line[1]) for line in lines), key=lambda line: line[0])
            return LastSeen(service, at / 1e9, query, untrusted.line(text, 120))

    async def _version(self) -> str | None:
        answer = await self._http.get("/loki/api/v1/status/buildinfo", accept=(200, 404))
        if answer.status == 404:
            return None
        with answer.promised():
            return str(answer.json()["version"])


def _data(answer: Answer) -> Any:
    """The envelope's data; None where an empty tenant leaves it out."""
    with answer.promised():
        envelope = answer.json()
        if envelope["status"] != "success":
            raise ValueError("its envelope does not say success")
        return envelope.get("data")


def _by_label_names(services: Mapping[str, Labels]) -> dict[Names, dict[str, Labels]]:
    """The services, grouped by the label names that select them: each group is one query."""
    groups: dict[Names, dict[str, Labels]] = {}
    for service, labels in services.items():
        groups.setdefault(tuple(sorted(labels)), {})[service] = labels
    return groups


def _halves(services: Mapping[str, Labels]) -> Sequence[dict[str, Labels]]:
    ordered = list(services.items())
    return dict(ordered[: len(ordered) // 2]), dict(ordered[len(ordered) // 2 :])


def nanoseconds(at: float) -> str:
    """Loki reads an integer as nanoseconds. Whole microseconds: a float holds no more."""
    return str(round(at * 1_000_000) * 1000)


def selector(labels: Labels) -> str:
    """``{a="x", b="y"}``, in the order of the names."""
    return "{" + ", ".join(f"{name}={_quoted(value)}" for name, value in sorted(labels.items())) + "}"


def among(names: Names, services: Iterable[Labels]) -> str:
    """A selector for any of the values of each name. It may select more than was asked; never less."""
    chosen = list(services)
    matchers = []
    for name in names:
        values = sorted({labels[name] for labels in chosen})
        matchers.append(f"{name}=~{_quoted('|'.join(literally(value) for value in values))}")
    return "{" + ", ".join(matchers) + "}"


def literally(value: str) -> str:
    """A value as an RE2 expression that matches it alone (Go's ``regexp.QuoteMeta``)."""
    return "".join(f"\\{char}" if char in r"\.+*?()|[]{}^$" else char for char in value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
