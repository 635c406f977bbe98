"""The Grafana HTTP API: dashboards under their optimistic lock, data sources, annotations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, tidy, unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendRefused
from ray_tui.core.ports import Dashboard, Datasource, Health

PAGE_SIZE = 1_000
MOST_PAGES = 50
LONGEST_FIELD = 200_000
"""Text panels hold whole pages."""


class Settings(HttpSettings):
    """Grafana 9 to 12."""

    kind: Literal["grafana"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("dashboards", "grafana"): Settings}


def open(settings: Settings, opening: Opening) -> "Grafana":  # noqa: A001 (each backend file has one)
    return Grafana(Http.open("dashboards", settings.url, settings, opening))


class Grafana:
    """``Dashboards`` over HTTP. A save is never repeated: the stored version tells whether it took effect."""

    name = "Grafana"

    def __init__(self, http: Http) -> None:
        self._http = http
        self._originals: dict[str, dict[str, str]] = {}
        """Dashboard -> cleaned text -> what Grafana had: what we write back must not be our visible form of it."""

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """``/api/health`` needs no login, so something that does is read as well."""
        try:
            answer = await self._http.get("/api/health")
            with answer.promised():
                said = answer.json()
                if said.get("database", "ok") != "ok":
                    return Health(False, f"its database is {untrusted.line(str(said['database']))}")
            (await self._http.get("/api/search", [("limit", "1")])).json()
        except BackendError as error:
            return unwell(error)
        version = said.get("version")
        return Health(True, f"answers at {self._http.base_url}", str(version) if version else None, answer.skew)

    async def get(self, uid: str) -> Dashboard | None:
        answer = await self._http.get(f"/api/dashboards/uid/{quote(uid, safe='')}", accept=(200, 404))
        if answer.status == 404:
            return None
        with answer.promised():
            raw = answer.raw_json()
            cleaned = tidy(raw, answer.body, LONGEST_FIELD)
            model, meta = cleaned["dashboard"], cleaned["meta"]
            self._originals[uid] = dict(changed(raw["dashboard"], model))
            return Dashboard(
                uid=model["uid"],
                title=untrusted.line(model["title"]),
                version=model["version"],
                folder_uid=meta.get("folderUid") or "",
                url=self._http.base_url + meta["url"],
                provisioned=bool(meta.get("provisioned")),
                model=model,
            )

    async def save(
        self, model: Mapping[str, Any], *, folder_uid: str, message: str, expected_version: int | None
    ) -> Dashboard:
        written = {**restored(model, self._originals.get(str(model.get("uid")), {})), "id": None}
        written.pop("version", None)
        if expected_version is not None:
            written["version"] = expected_version
        # Without folderUid an update moves the dashboard to the root.
        body = {"dashboard": written, "folderUid": folder_uid, "message": message, "overwrite": False}
        answer = await self._http.request("POST", "/api/dashboards/db", data=body, accept=(200, 400, 412))
        if answer.status != 200:
            raise refusal(answer, str(model.get("title", "")))
        with answer.promised():
            uid = answer.json()["uid"]
        stored = await self.get(uid)
        if stored is None:
            raise answer.broken(f"it says that it saved {uid}, and then has no such dashboard", "Look at Grafana's log")
        return stored

    async def delete(self, uid: str) -> None:
        """A dashboard that is not there is what was asked for."""
        await self._http.request("DELETE", f"/api/dashboards/uid/{quote(uid, safe='')}", accept=(200, 404))
        self._originals.pop(uid, None)

    async def search(self, tag: str | None = None) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for page in range(1, MOST_PAGES + 1):
            params = [("type", "dash-db"), ("limit", str(PAGE_SIZE)), ("page", str(page))]
            answer = await self._http.get("/api/search", params + ([("tag", tag)] if tag is not None else []))
            with answer.promised():
                rows = [(row["uid"], untrusted.line(row["title"])) for row in answer.json()]
            found += rows
            if len(rows) < PAGE_SIZE:
                return tuple(found)
        raise BackendRefused("dashboards", f"more than {PAGE_SIZE * MOST_PAGES} dashboards", "Search by a tag")

    async def datasources(self) -> tuple[Datasource, ...]:
        answer = await self._http.get("/api/datasources")
        with answer.promised():
            return tuple(
                Datasource(row["uid"], untrusted.line(row["name"]), row["type"], bool(row.get("isDefault")))
                for row in answer.json()
            )

    async def annotate(self, text: str, tags: Sequence[str], at: float, dashboard_uid: str | None = None) -> str:
        body: dict[str, Any] = {"time": round(at * 1000), "tags": list(tags), "text": text}
        if dashboard_uid is not None:
            body["dashboardUID"] = dashboard_uid
        answer = await self._http.request("POST", "/api/annotations", data=body)
        with answer.promised():
            return str(answer.json()["id"])

    async def annotations(self, tags: Sequence[str]) -> tuple[str, ...]:
        params = [("type", "annotation"), ("limit", "1000"), *(("tags", tag) for tag in tags)]
        answer = await self._http.get("/api/annotations", params)
        with answer.promised():
            return tuple(row["text"] for row in answer.json())


TODO = {
    "version-mismatch": "Somebody else changed it meanwhile: read it again and repeat",
    "name-exists": "A dashboard with this uid exists already: read it and update it",
    "plugin-dashboard": "It belongs to a plugin: copy it and change the copy",
    "empty-name": "Give it a title",
}


def refusal(answer: Answer, title: str) -> BackendRefused:
    """Why a dashboard was not saved, by the status word beside the message where there is one."""
    said = answer.json()
    said = said if isinstance(said, dict) else {}
    message = untrusted.line(str(said.get("message", "")))
    todo = TODO.get(str(said.get("status", "")), "")
    if not todo and re.search(r"provisioned", message):
        todo = "It comes from a file: change that file"
    if not todo and re.search(r"same (uid|name)", message):
        todo = TODO["name-exists"]
    what = f"dashboard {untrusted.line(title)!r} was not saved: {message or 'no reason given'}"
    return BackendRefused("dashboards", what, todo, status=answer.status)


def changed(raw: Any, cleaned: Any) -> "list[tuple[str, str]]":
    """(cleaned, raw) of every text that cleaning has changed; of two that look alike afterwards, the last one."""
    if isinstance(raw, str):
        return [(cleaned, raw)] if cleaned != raw else []
    if isinstance(raw, dict):
        keys = [pair for old, new in zip(raw, cleaned, strict=False) for pair in changed(old, new)]
        return keys + [
            pair for old, new in zip(raw.values(), cleaned.values(), strict=False) for pair in changed(old, new)
        ]
    if isinstance(raw, list):
        return [pair for old, new in zip(raw, cleaned, strict=False) for pair in changed(old, new)]
    return []


def restored(value: Any, originals: Mapping[str, str]) -> Any:
    """The model with every text of Grafana's own as Grafana had it."""
    if isinstance(value, str):
        return originals.get(value, value)
    if isinstance(value, Mapping):
        return {originals.get(key, key): restored(item, originals) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [restored(item, originals) for item in value]
    return value
