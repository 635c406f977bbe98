"""A webhook receiver of the user's that remembers what it got, and can be asked by token."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, unix, unwell
from ray_tui.backends.http import LARGE, Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Health, WebhookReceipt

NOBODY = "ray-tui-no-such-token"
FORM = "Let it answer as docs/backends.md shows it (Where webhooks are seen)"


class Settings(HttpSettings):
    """``GET <url>?token=…`` answers what it has received with that token, as docs/backends.md shows it."""

    kind: Literal["sink"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("webhook", "sink"): Settings}


def open(settings: Settings, opening: Opening) -> "Sink":  # noqa: A001 (each backend file has one)
    return Sink(Http.open("webhook", settings.url, settings, opening))


class Sink:
    """``WebhookSink`` over HTTP."""

    name = "webhook sink"

    def __init__(self, http: Http) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Asks for a token that nobody sends: a sink that has it all the same does not look at tokens."""
        try:
            if await self.receipts(NOBODY, 0.0):
                return Health(False, "it answers receipts whatever token it is asked for: it must filter by `token`")
            answer = await self._http.get("", [("token", NOBODY)])
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", None, answer.skew)

    async def receipts(self, token: str, since: float) -> tuple[WebhookReceipt, ...]:
        assert token, "an empty token would match every receipt"
        answer = await self._http.get("", [("token", token)], limit=LARGE)
        body = answer.json()
        rows = body.get("receipts") if isinstance(body, dict) else body
        if not isinstance(rows, list):
            raise answer.broken('its answer is neither a list of receipts nor {"receipts": [...]}', FORM)
        found = [_receipt(answer, row, token) for row in rows]
        return tuple(sorted((one for one in found if one.at >= since), key=lambda one: one.at))


def _receipt(answer: Answer, row: Any, token: str) -> WebhookReceipt:
    try:
        return receipt(row, token)
    except KeyError as exc:
        raise answer.broken(f"a receipt has no field {exc}", FORM) from exc
    except (TypeError, ValueError, AttributeError) as exc:
        raise answer.broken(untrusted.line(f"a receipt has another shape ({exc})"), FORM) from exc


def receipt(row: Mapping[str, Any], token: str) -> WebhookReceipt:
    """One receipt; where the token stands is looked for in the payload, if the sink does not say it."""
    acknowledged = row.get("acknowledged_at")
    found_in = row.get("token_found_in") or next(paths(row.get("payload"), token), "")
    return WebhookReceipt(
        unix(row["at"]),
        untrusted.line(str(row.get("receiver") or "")),
        untrusted.line(str(row.get("status") or "")),
        untrusted.line(str(found_in)),
        untrusted.line(str(row.get("acknowledged_by") or "")),
        None if acknowledged is None else unix(acknowledged),
    )


def paths(value: Any, token: str, path: str = "") -> Iterator[str]:
    """Where in a payload a text carries the token: ``alerts[0].labels.run``; ``payload`` where it is the whole text."""
    if isinstance(value, str) and token in value:
        yield path.removeprefix(".") or "payload"
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from paths(item, token, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, token, f"{path}[{index}]")
