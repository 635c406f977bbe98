"""A direct HTTP check of our own: one GET, never repeated, no redirect followed, its body kept only to be read."""

from typing import Literal

from pydantic import BaseModel, Field

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpAccess
from ray_tui.backends.answers import Answer, TooLarge
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendTimeout
from ray_tui.core.ports import Health, Visit, WebPage

LONGEST_PAGE = 2 * 1024 * 1024
"""Bytes of a page that is read."""


class Settings(HttpAccess):
    """How we visit; whom, the checks say."""

    kind: Literal["http"]
    """Which kind of system this is."""
    check_url: str = ""
    """An address whose good answer proves that visits work from here; empty: the health check says that none does."""
    good_statuses: tuple[int, ...] = Field(default=(200, 201, 202, 203, 204, 206))
    """Statuses that count as up. A redirect is none, unless it is named here."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("visits", "http"): Settings}


def open(settings: Settings, opening: Opening) -> "Visitor":  # noqa: A001 (each backend file has one)
    return Visitor(Http.open("visits", "", settings, opening), settings.good_statuses, settings.check_url)


class Visitor:
    """``Visits`` over HTTP. A page that is down is an answer, never an error."""

    name = "HTTP visits"

    def __init__(self, http: Http, good: tuple[int, ...], check_url: str) -> None:
        self._http = http
        self._good = frozenset(good)
        self._check_url = check_url

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        if not self._check_url:
            return Health(False, "nothing is proved: set check_url to an address that must answer")
        visit = await self.visit(self._check_url)
        return Health(visit.ok, visit.detail)

    async def visit(self, url: str) -> Visit:
        return (await self._get(url, keep_body=False))[0]

    async def read(self, url: str) -> WebPage:
        visit, answer = await self._get(url, keep_body=True)
        if answer is None or not visit.ok:
            return WebPage(visit)
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            said = answer.body.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return WebPage(visit, None, media_type)
        return WebPage(visit, None if "\x00" in said else untrusted.clean(said, LONGEST_PAGE), media_type)

    async def _get(self, url: str, *, keep_body: bool) -> tuple[Visit, Answer | None]:
        """Seconds are those until the headers were there, where no body is kept."""
        clock = self._http.clock
        began = clock.monotonic()
        try:
            answer = await self._http.request(
                "GET", url, accept=(), limit=LONGEST_PAGE, keep_body=keep_body, may_repeat=False
            )
        except TooLarge as error:
            good = error.status in self._good
            return Visit(url, good, error.status, clock.monotonic() - began, f"answered {error.status}"), None
        except BackendError as error:
            kind = "no answer in time" if isinstance(error, BackendTimeout) else "no answer"
            return Visit(url, False, error.status, clock.monotonic() - began, f"{kind}: {error.what}"), None
        seconds = answer.answered_at - answer.sent_at
        ok = answer.status in self._good
        detail = f"answered {answer.status}" + ("" if ok else ", which is not good")
        return Visit(url, ok, answer.status, seconds, detail), answer
