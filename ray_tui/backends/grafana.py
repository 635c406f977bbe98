"""The Grafana HTTP API: dashboards under their optimistic lock, data sources, annotations, contact points."""

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
from ray_tui.core.errors import BackendBusy, BackendError, BackendRefused
from ray_tui.core.ports import (
    ContactIntegration,
    ContactOutcome,
    ContactPoint,
    ContactTest,
    Dashboard,
    Datasource,
    Health,
    SideEffect,
)

PAGE_SIZE = 1_000
MOST_PAGES = 50
LONGEST_FIELD = 200_000
"""Text panels hold whole pages."""
TEST_SECONDS = 15
"""What each integration of a tested contact point is given; Grafana refuses 30 and more."""
HIDDEN = "[REDACTED]"
"""What Grafana shows of a secret setting. Left out beside its uid, the stored one counts."""
CONTACT_POINTS = "/api/v1/provisioning/contact-points"
CONTACT_TEST = "/api/alertmanager/grafana/config/api/v1/receivers/test"


class Settings(HttpSettings):
    """Grafana 9 to 12."""

    kind: Literal["grafana"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("dashboards", "grafana"): Settings}


def open(settings: Settings, opening: Opening) -> "Grafana":  # noqa: A001 (each backend file has one)
    patient = settings.model_copy(
        update={
            "read_seconds": max(settings.read_seconds, TEST_SECONDS + 5.0),
            "total_seconds": max(settings.total_seconds, TEST_SECONDS + 10.0),
        }
    )  # it is silent until every integration of a contact point has answered
    return Grafana(*(Http.open("dashboards", settings.url, one, opening) for one in (settings, patient)))


class Grafana:
    """``Dashboards`` and ``ContactPoints`` over HTTP.

    A save is never repeated: the stored version tells whether it took effect. Nor is a contact point's test."""

    name = "Grafana"
    side_effect = SideEffect.QUERY  # by uid and version; annotations by their tags
    contact_side_effect = SideEffect.NONE

    def __init__(self, http: Http, patient: Http) -> None:
        self._http = http
        self._patient = patient
        self._originals: dict[str, dict[str, str]] = {}
        """Dashboard -> cleaned text -> what Grafana had: what we write back must not be our visible form of it."""

    async def close(self) -> None:
        await self._http.close()
        await self._patient.close()

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

    # --- contact points

    async def contact_points(self) -> tuple[ContactPoint, ...]:
        answer = await self._http.get(CONTACT_POINTS)
        with answer.promised():
            return grouped(answer.json())

    async def test_contact_point(
        self, point: ContactPoint, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> ContactTest:
        try:
            answer = await self._http.get(CONTACT_POINTS)  # not by its name, which is our visible form of it
            with answer.promised():
                raw = [row for row in answer.raw_json() if untrusted.line(row["name"]) == point.name]
                now = grouped(tidy(raw, answer.body, untrusted.LONGEST))
        except BackendError as error:
            error.never_sent = True  # it was only looked up
            raise
        if now != (point,):
            what = f"the integrations of contact point {point.name} are not those that were asked about"
            raise BackendRefused("dashboards", what, "Look at them, and test again")
        body = {
            "receivers": [{"name": raw[0]["name"], "grafana_managed_receiver_configs": [as_sent(row) for row in raw]}],
            "alert": {"labels": dict(labels), "annotations": dict(annotations)},
        }
        said = await self._patient.request(
            "POST", CONTACT_TEST, data=body, headers={"Request-Timeout": str(TEST_SECONDS)},
            accept=(200, 207, 400, 408, 409), may_repeat=False,
        )  # fmt: skip
        if said.status == 409:
            raise BackendBusy(
                "dashboards", f"{said.place}: Grafana's Alertmanager is not ready", "Test again later", status=409
            )
        with said.promised():
            return ContactTest(outcomes_of(said, point), said.sent_at, said.answered_at)


def grouped(rows: Sequence[Mapping[str, Any]]) -> tuple[ContactPoint, ...]:
    """Grafana lists integrations; those of one name are one contact point."""
    found: dict[str, list[ContactIntegration]] = {}
    for row in rows:
        one = ContactIntegration(untrusted.line(row["uid"]), untrusted.line(row["type"]))
        found.setdefault(untrusted.line(row["name"]), []).append(one)
    return tuple(ContactPoint(name, tuple(integrations)) for name, integrations in found.items())


def as_sent(row: Mapping[str, Any]) -> dict[str, Any]:
    """An integration as it is stored, but for the secrets that Grafana hides: by its uid it uses the stored ones."""
    return {
        "uid": row["uid"], "name": row["name"], "type": row["type"], "settings": without_hidden(row["settings"]),
        "secureSettings": {}, "disableResolveMessage": bool(row.get("disableResolveMessage")),
    }  # fmt: skip


def without_hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_hidden(item) for name, item in value.items() if item != HIDDEN}
    return [without_hidden(item) for item in value] if isinstance(value, list) else value


def outcomes_of(answer: Answer, point: ContactPoint) -> tuple[ContactOutcome, ...]:
    """By uid, from the body: its status is 207 for any failure, and 400 or 408 for some. What it omits is unknown."""
    said = answer.json()
    if answer.status == 400 and "receivers" not in said:
        reason = untrusted.line(str(said.get("message") or "no reason given"))
        raise BackendRefused("dashboards", f"contact point {point.name} was not tested: {reason}", status=400)
    rows = [row for one in said["receivers"] for row in one.get("grafana_managed_receiver_configs") or ()]
    by_uid: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_uid.setdefault(untrusted.line(str(row.get("uid") or "")), []).append(row)
    return tuple(_outcome(one.uid, by_uid.get(one.uid, []), answer.status) for one in point.integrations)


def _outcome(uid: str, rows: Sequence[Mapping[str, Any]], status: int) -> ContactOutcome:
    """Ok is what says so, once, under a status that agrees; failed is whatever says so."""
    failed = [row for row in rows if row["status"] == "failed"]
    if failed or status in (400, 408):
        why = failed[0].get("error") if failed else None
        return ContactOutcome(
            uid, "failed", untrusted.line(str(why or f"Grafana answered {status}, and gives no reason"))
        )
    if len(rows) == 1 and rows[0]["status"] == "ok":
        return ContactOutcome(uid, "ok")
    told = untrusted.line(", ".join(str(row["status"]) for row in rows)) or "nothing"
    return ContactOutcome(uid, "unknown", f"Grafana says {told} of it")


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
