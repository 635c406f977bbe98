"""The Alertmanager v2 API, asked at every peer of one cluster: a load balancer in front would hide who did not hear."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, field_validator, model_validator

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess, base_url
from ray_tui.backends.answers import moment, origin
from ray_tui.backends.event_log import EventLog, FileSource, Source, UrlSource
from ray_tui.backends.http import Http
from ray_tui.clock import iso
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import (
    AlertSeen,
    AlertToFire,
    Health,
    Labels,
    PeerAnswer,
    PeerStatus,
    SentEvent,
    SideEffect,
    Silence,
)

LONGEST_CONFIG = 2_000_000
METRICS_BYTES = 8 * 1024 * 1024

T = TypeVar("T")


class Settings(HttpAccess):
    """Every peer of one Alertmanager cluster."""

    kind: Literal["alertmanager"]
    """Which kind of system this is."""
    urls: tuple[BaseUrl, ...] = Field(min_length=1)
    """Each peer's own address, with its path prefix if it has one; never that of a load balancer."""
    event_log: tuple[str, ...] = ()
    """The JSON lines that each peer's event recorder writes, as files or as http(s) addresses that serve them.

    As many as there are peers, for one alone notifies; the same one again where they share it."""

    @field_validator("event_log", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("event_log")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(base_url(one) if "://" in one else one for one in value)

    @model_validator(mode="after")
    def _of_every_peer(self) -> "Settings":
        if self.event_log and len(self.event_log) != len(self.urls):
            what = f"{len(self.event_log)} logs for {len(self.urls)} peers"
            raise ValueError(f"event_log: {what}: name one for each, for what one peer has not sent another may have")
        return self


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("alerting", "alertmanager"): Settings}


def open(settings: Settings, opening: Opening) -> "Alertmanager":  # noqa: A001 (each backend file has one)
    peers = {url: Http.open("alerting", url, settings, opening) for url in settings.urls}
    return Alertmanager(peers, [EventLog(_source(one, settings, opening)) for one in dict.fromkeys(settings.event_log)])


def _source(address: str, settings: Settings, opening: Opening) -> Source:
    """Our credentials are for the peers: a server of another origin is not shown them."""
    if "://" not in address:
        return FileSource(opening.path(Path(address)))
    bare: dict[str, Any] = {"bearer_token": None, "username": "", "password": None, "headers": {}, "tenant": ""}
    known = origin(address) in {origin(url) for url in settings.urls}
    return UrlSource(Http.open("alerting", address, settings if known else settings.model_copy(update=bare), opening))


class Alertmanager:
    """``Alerting`` over HTTP. Posting identical labels again has no second effect."""

    name = "Alertmanager"
    side_effect = SideEffect.QUERY  # by the probe's label; what has ended meanwhile would page anew

    def __init__(self, peers: Mapping[str, Http], logs: Sequence[EventLog] = ()) -> None:
        self._peers = dict(peers)
        self._logs = tuple(logs)

    @property
    def peers(self) -> tuple[str, ...]:
        return tuple(self._peers)

    async def close(self) -> None:
        for http in self._peers.values():
            await http.close()
        for log in self._logs:
            await log.close()

    async def health(self) -> Health:
        """Well only when every configured peer answers and has joined its cluster."""
        outcomes = await self._everywhere(self._status_of)
        unwell = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, BackendError)]
        there = [outcome for outcome in outcomes.values() if not isinstance(outcome, BackendError)]
        unwell += [f"{one.peer} is {one.cluster}" for one, _ in there if one.cluster not in ("ready", "disabled")]
        well = f"{len(there)} of {len(outcomes)} peers answer"
        return Health(
            not unwell,
            "; ".join([well, *unwell]),
            there[0][0].version if there else None,
            _hull([skew for _, skew in there]),
        )

    async def fire(self, alert: AlertToFire) -> tuple[PeerAnswer, ...]:
        body = [posted(alert)]

        async def post(peer: str, http: Http) -> PeerAnswer:
            sent_at = http.clock.wall()
            try:
                answer = await http.request("POST", "/api/v2/alerts", data=body, may_repeat=True)
            except BackendError as error:
                return PeerAnswer(peer, False, str(error), sent_at, http.clock.wall())
            return PeerAnswer(peer, True, f"accepted ({answer.status})", sent_at, answer.answered_at)

        return tuple(await asyncio.gather(*(post(peer, http) for peer, http in self._peers.items())))

    async def find(self, matchers: Labels) -> tuple[AlertSeen, ...]:
        params = [("filter", equals(name, value)) for name, value in sorted(matchers.items())]

        async def ask(peer: str, http: Http) -> tuple[AlertSeen, ...]:
            answer = await http.get("/api/v2/alerts", params)
            with answer.promised():
                return tuple(seen(peer, one) for one in answer.json())

        found = await self._some(ask)
        return tuple(alert for alerts in found for alert in alerts)

    async def status(self) -> tuple[PeerStatus, ...]:
        return tuple(status for status, _ in await self._some(self._status_of))

    async def silences(self) -> tuple[Silence, ...]:
        """Of all peers that answer, each once; expired ones too, as long as the peers keep them."""

        async def ask(peer: str, http: Http) -> tuple[Silence, ...]:
            answer = await http.get("/api/v2/silences")
            with answer.promised():
                return tuple(silence(one) for one in answer.json())

        found = await self._some(ask)
        return tuple({one.id: one for silences in found for one in silences}.values())

    async def notifications(self) -> Mapping[tuple[str, str], float]:
        async def ask(peer: str, http: Http) -> dict[str, float]:
            answer = await http.get("/metrics")
            return delivered(answer.text(METRICS_BYTES))

        outcomes = await self._everywhere(ask)
        return {
            (peer, integration): count
            for peer, outcome in outcomes.items()
            if not isinstance(outcome, BackendError)
            for integration, count in outcome.items()
        }

    async def sent(self, labels: Labels, since: float) -> tuple[SentEvent, ...] | None:
        """Where nothing was read yet and ``since`` is over, the end of what was written before is read as well."""
        if not self._logs:
            return None
        earlier = since < next(iter(self._peers.values())).clock.wall() - 1.0
        await asyncio.gather(*(log.read(earlier=earlier) for log in self._logs))
        return tuple(sorted((e for log in self._logs for e in log.about(labels, since)), key=lambda one: one.at))

    async def _status_of(self, peer: str, http: Http) -> tuple[PeerStatus, tuple[float, float] | None]:
        answer = await http.get("/api/v2/status")
        with answer.promised():
            said = answer.json(LONGEST_CONFIG)
            cluster, version = said["cluster"]["status"], said["versionInfo"]["version"]
            return PeerStatus(
                peer, untrusted.line(cluster), untrusted.line(version), said["config"]["original"]
            ), answer.skew

    async def _everywhere(self, ask: Callable[[str, Http], Awaitable[T]]) -> dict[str, T | BackendError]:
        async def one(peer: str, http: Http) -> T | BackendError:
            try:
                return await ask(peer, http)
            except BackendError as error:
                return error

        outcomes = await asyncio.gather(*(one(peer, http) for peer, http in self._peers.items()))
        return dict(zip(self._peers, outcomes, strict=True))

    async def _some(self, ask: Callable[[str, Http], Awaitable[T]]) -> list[T]:
        """The answers of the peers that answered; the first error when none did."""
        outcomes = (await self._everywhere(ask)).values()
        answers = [outcome for outcome in outcomes if not isinstance(outcome, BackendError)]
        if not answers:
            raise next(outcome for outcome in outcomes if isinstance(outcome, BackendError))
        return answers


def _hull(skews: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    """What holds for every peer; None where one of them does not date its answers."""
    known = [skew for skew in skews if skew is not None]
    if not known or len(known) < len(skews):
        return None
    return min(least for least, _ in known), max(most for _, most in known)


def posted(alert: AlertToFire) -> dict[str, Any]:
    """A postable alert."""
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": iso(alert.starts_at),
        "endsAt": iso(alert.ends_at),
        "generatorURL": alert.generator_url,
    }


def equals(name: str, value: str) -> str:
    """A matcher; names beyond the classic ones are quoted, which only newer servers understand."""
    shown = name if re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name) else json.dumps(name, ensure_ascii=False)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{shown}="{escaped}"'


def seen(peer: str, one: Mapping[str, Any]) -> AlertSeen:
    """A gettable alert; older servers have no ``mutedBy``."""
    status = one["status"]
    return AlertSeen(
        peer=peer,
        labels=untrusted.labels(one["labels"]),
        state=status["state"],
        receivers=tuple(receiver["name"] for receiver in one["receivers"]),
        silenced_by=tuple(status.get("silencedBy") or ()),
        inhibited_by=tuple(status.get("inhibitedBy") or ()),
        muted_by=tuple(status.get("mutedBy") or ()),
        starts_at=moment(one["startsAt"]),
        ends_at=moment(one["endsAt"]),
        fingerprint=one["fingerprint"],
    )


def silence(one: Mapping[str, Any]) -> Silence:
    """A gettable silence; ``isEqual`` is true where it is absent."""

    def operator(matcher: Mapping[str, Any]) -> str:
        equal, regex = matcher.get("isEqual", True), matcher["isRegex"]
        return ("=~" if regex else "=") if equal else ("!~" if regex else "!=")

    return Silence(
        one["id"],
        tuple((matcher["name"], operator(matcher), matcher["value"]) for matcher in one["matchers"]),
        moment(one["startsAt"]),
        moment(one["endsAt"]),
        untrusted.line(one.get("createdBy", "")),
        one.get("comment", ""),
    )


_COUNTER = re.compile(
    r"^alertmanager_notification(s|_requests)_(failed_)?total"
    r'\{(?:[^}]*,)?integration="([^"]*)"[^}]*\} ([0-9.eE+]+)',
    re.MULTILINE,
)


def delivered(exposition: str) -> dict[str, float]:
    """Integration -> notifications minus failed ones, from ``/metrics``; failures may be split by reason.

    A notification counts from its first try on, and fails only after its last; its requests tell sooner, so that the
    lower of the two is what was sent.
    """
    counts: dict[str, dict[str, float]] = {}
    for what, failed, integration, count in _COUNTER.findall(exposition):
        of_kind = counts.setdefault(integration, {})
        of_kind[what] = of_kind.get(what, 0.0) + (-float(count) if failed else float(count))
    return {integration: min(of_kind.values()) for integration, of_kind in counts.items()}
