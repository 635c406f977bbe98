"""The Pushgateway's API: a series of ours in a group of its own, which stays until somebody deletes it."""

import base64
import re
from typing import Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import unwell
from ray_tui.backends.http import LARGE, Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendRefused
from ray_tui.core.ports import Health, Labels, SideEffect

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Settings(HttpSettings):
    """A Pushgateway that the metrics store scrapes, best with ``honor_labels: true``."""

    kind: Literal["pushgateway"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("pusher", "pushgateway"): Settings}


def open(settings: Settings, opening: Opening) -> "Pushgateway":  # noqa: A001 (each backend file has one)
    return Pushgateway(Http.open("pusher", settings.url, settings, opening))


class Pushgateway:
    """``Pusher`` over HTTP."""

    name = "Pushgateway"
    side_effect = SideEffect.DEDUP  # the same group again replaces itself

    def __init__(self, http: Http) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        try:
            answer = await self._http.get("/api/v1/status")
            with answer.promised():
                version = untrusted.line(str(answer.json()["data"]["build_information"]["version"]))
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", version, answer.skew)

    async def push(self, group: Labels, metric: str, labels: Labels, value: float) -> None:
        """Answered 200 when it has been checked against the other groups, 202 by a gateway that does not check."""
        text = exposition(metric, {name: one for name, one in labels.items() if name not in group}, value)
        await self._http.request("PUT", path_of(group), text=text, may_repeat=True, accept=(200, 202))

    async def delete(self, group: Labels) -> None:
        await self._http.request("DELETE", path_of(group), may_repeat=True, accept=(200, 202, 404))

    async def pushed(self, group: Labels) -> bool:
        answer = await self._http.get("/api/v1/metrics", limit=LARGE)
        with answer.promised():
            groups = [one["labels"] for one in answer.json()["data"]]
            return any(all(one.get(name) == value for name, value in group.items()) for one in groups)


def path_of(group: Labels) -> str:
    """``/metrics/job/…``: ``job`` first, values that a path cannot hold in base64."""
    parts = ["/metrics"]
    for name, value in sorted(group.items(), key=lambda one: (one[0] != "job", one[0])):
        if not _NAME.fullmatch(name):
            raise BackendRefused("pusher", f"{name[:100]!r} cannot be a grouping label", "Use letters, digits and _")
        if _PLAIN.fullmatch(value):
            parts.append(f"{name}/{value}")
        else:
            # the empty value is a single "=", by the gateway's documentation
            parts.append(f"{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}")
    return "/".join(parts)


def exposition(metric: str, labels: Labels, value: float) -> str:
    """One gauge in the text format."""
    for name in labels:
        if not _NAME.fullmatch(name):
            raise BackendRefused("pusher", f"{name[:100]!r} cannot be a label of a pushed series", "Leave it out")
    inner = ",".join(f'{name}="{_escaped(text)}"' for name, text in sorted(labels.items()))
    return f"# TYPE {metric} gauge\n{metric}{{{inner}}} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
