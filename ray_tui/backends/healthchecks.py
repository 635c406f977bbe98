"""The management API of healthchecks.io (v3): when a check was last pinged, and whether it is missed by now."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess
from ray_tui.backends.answers import moment_or_none, unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Health, Ping
from ray_tui.secrets import SecretRef

KNOWN = ("new", "up", "grace", "down", "paused")


class Settings(HttpAccess):
    """One check of healthchecks.io, or of an instance of one's own."""

    kind: Literal["healthchecks"]
    """Which kind of system this is."""
    url: BaseUrl = "https://healthchecks.io"
    """Where it is, without a path of its API."""
    check: str = Field(pattern=r"^[0-9a-fA-F-]{32,40}$")
    """The check's uuid, or its unique key, which a read-only API key sees instead."""
    api_key: SecretRef
    """A read-only API key of the check's project; sent as ``X-Api-Key``."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("heartbeat", "healthchecks"): Settings}


def open(settings: Settings, opening: Opening) -> "Healthchecks":  # noqa: A001 (each backend file has one)
    def key() -> dict[str, str]:
        return {"X-Api-Key": settings.api_key.resolve(opening.config_folder)}

    http = Http.open("heartbeat", settings.url, settings, opening, headers=key, credentials=str(settings.api_key))
    return Healthchecks(http, settings.check)


class Healthchecks:
    """``Heartbeat`` over HTTP."""

    name = "healthchecks"

    def __init__(self, http: Http, check: str) -> None:
        self._http = http
        self._check = check

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Well when the check can be read; whether it is up is not asked here."""
        try:
            answer = await self._asked()
            with answer.promised():
                found = ping(answer.json())
        except BackendError as error:
            return unwell(error)
        return Health(True, f"check {found.check} is {found.status} at {self._http.base_url}", None, answer.skew)

    async def last_ping(self) -> Ping:
        answer = await self._asked()
        with answer.promised():
            return ping(answer.json())

    async def _asked(self) -> Any:
        return await self._http.get(f"/api/v3/checks/{self._check}")


def ping(row: dict[str, Any]) -> Ping:
    """One check. ``timeout`` is absent where it has a cron schedule; an unknown status is said to be unknown."""
    status = str(row["status"])
    timeout, grace = row.get("timeout"), row.get("grace")
    longest = float(timeout) + float(grace or 0) if timeout is not None else None
    return Ping(
        untrusted.line(str(row.get("name") or row.get("slug") or "without a name")),
        status if status in KNOWN else "unknown",  # type: ignore[arg-type]
        moment_or_none(row["last_ping"]),
        longest,
    )
