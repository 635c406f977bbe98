"""What the demo's Grafana holds: dashboards with their versions, folders, annotations and contact points."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ray_tui.clock import Clock, iso
from ray_tui.demo import slack
from ray_tui.demo.contact_points import Fault, Outside, deliver
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.shop_dashboards import Model, shop_dashboards

FOLDER_UID = "shop"
LONGEST_UID = 40


@dataclass(frozen=True)
class Version:
    """One saved state of a dashboard."""

    number: int
    model: Mapping[str, Any]
    message: str
    saved_at: float
    restored_from: int = 0


@dataclass
class Stored:
    """A dashboard with all that it ever was, oldest first."""

    id: int
    uid: str
    folder_uid: str
    versions: list[Version] = field(default_factory=list)

    @property
    def model(self) -> Model:
        """The current model as Grafana gives it out: with its id, uid and version."""
        last = self.versions[-1]
        return {**copy.deepcopy(dict(last.model)), "id": self.id, "uid": self.uid, "version": last.number}

    @property
    def title(self) -> str:
        return str(self.versions[-1].model["title"])

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def url(self) -> str:
        return f"/d/{self.uid}/{self.slug}"


class GrafanaError(Exception):
    """An answer that is not a success: ``{"message": …}`` and what else the case has."""

    def __init__(self, status: int, message: str, /, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message, **extra}


def changed_by_someone() -> GrafanaError:
    return GrafanaError(412, "The dashboard has been changed by someone else", status="version-mismatch")


def dashboard_not_found() -> GrafanaError:
    return GrafanaError(404, "Dashboard not found", status="not-found")


class GrafanaStore:
    """``dashboards`` by uid, ``annotations``, ``folders``; ``prometheus_url`` is where the data source proxy leads."""

    def __init__(self, clock: Clock, scenario: Scenario, prometheus_url: str = "") -> None:
        self.clock = clock
        self.prometheus_url = prometheus_url
        self.dashboards: dict[str, Stored] = {}
        self.folders: dict[str, Model] = {FOLDER_UID: {"id": 1, "uid": FOLDER_UID, "title": "Shop", "version": 1}}
        self.annotations: list[Model] = []
        self.provisioned: set[str] = set()
        """Uids of dashboards that come from files and cannot be saved or deleted."""
        self.database_ok = True
        self.contact_points: list[Model] = [
            {
                "uid": "cp-release",
                "name": "release-channel",
                "type": "slack",
                "settings": {"recipient": "#release", "token": "[REDACTED]"},
                "disableResolveMessage": False,
                "provenance": "",
            },
            {
                "uid": "cp-audit",
                "name": "audit-mail",
                "type": "email",
                "settings": {"addresses": "audit@shop.example"},
                "disableResolveMessage": False,
                "provenance": "file",
            },
        ]
        self.contact_secrets: dict[str, Model] = {"cp-release": {"token": slack.TOKEN}}
        """What a stored integration's settings hide, by its uid."""
        self.contact_faults: dict[str, Fault] = {}
        """By uid."""
        self.alertmanager: Literal["ready", "starting", "none"] = "ready"
        self.outside = Outside()
        self.ids = iter(range(2, 1_000_000))
        for model in shop_dashboards(scenario):
            self._store(model, FOLDER_UID, "shipped with the demo")

    async def stop(self) -> None:
        """Nothing runs on its own here."""

    # --- dashboards

    def save(self, body: Mapping[str, Any]) -> Stored:
        """POST /api/dashboards/db. Raises GrafanaError."""
        model = body.get("dashboard")
        if not isinstance(model, dict):
            raise GrafanaError(400, "bad request data")
        if not str(model.get("title") or "").strip():
            raise GrafanaError(400, "Dashboard title cannot be empty", status="empty-name")
        uid = str(model.get("uid") or "")
        if len(uid) > LONGEST_UID:
            raise GrafanaError(400, "uid too long, max 40 characters")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", uid):
            raise GrafanaError(400, "uid contains illegal characters")
        # Without a folder the dashboard goes to the root, wherever it was: Grafana's rule, and a trap.
        folder_uid = str(body.get("folderUid") or "")
        if folder_uid and folder_uid not in self.folders:
            raise GrafanaError(404, "folder not found", status="not-found")
        known = self._known(model, uid)
        if known is None:
            return self._store(model, folder_uid, str(body.get("message") or ""))
        if known.uid in self.provisioned:
            raise GrafanaError(400, "Cannot save provisioned dashboard")
        if not body.get("overwrite"):
            if model.get("id") is None and model.get("version") is None:
                raise GrafanaError(412, "A dashboard with the same uid already exists", status="name-exists")
            if model.get("version") != known.versions[-1].number:
                raise changed_by_someone()
        known.folder_uid = folder_uid
        self._add_version(known, model, str(body.get("message") or ""))
        return known

    def _known(self, model: Mapping[str, Any], uid: str) -> Stored | None:
        wanted_id = model.get("id")
        if wanted_id is None:
            return self.dashboards.get(uid)
        by_id = next((each for each in self.dashboards.values() if each.id == wanted_id), None)
        if by_id is None:
            raise dashboard_not_found()
        if uid and uid != by_id.uid and uid in self.dashboards:
            raise GrafanaError(412, "A dashboard with the same uid already exists", status="name-exists")
        return by_id

    def _store(self, model: Mapping[str, Any], folder_uid: str, message: str) -> Stored:
        number = next(self.ids)
        stored = Stored(number, str(model.get("uid") or f"demo{number:05d}"), folder_uid)
        self._add_version(stored, model, message)
        self.dashboards[stored.uid] = stored
        return stored

    def _add_version(self, stored: Stored, model: Mapping[str, Any], message: str, restored_from: int = 0) -> None:
        number = stored.versions[-1].number + 1 if stored.versions else 1
        kept = copy.deepcopy(dict(model))
        stored.versions.append(Version(number, kept, message, self.clock.wall(), restored_from))

    def restore(self, stored: Stored, number: int) -> None:
        """The old state becomes a new version."""
        old = next((each for each in stored.versions if each.number == number), None)
        if old is None:
            raise GrafanaError(404, "Dashboard version not found")
        self._add_version(stored, old.model, f"Restored from version {number}", number)

    def the(self, uid: str) -> Stored:
        if uid not in self.dashboards:
            raise dashboard_not_found()
        return self.dashboards[uid]

    # --- how it is shown

    def saved_wire(self, stored: Stored) -> Model:
        return {
            "id": stored.id,
            "uid": stored.uid,
            "url": stored.url,
            "status": "success",
            "version": stored.versions[-1].number,
            "slug": stored.slug,
            "folderUid": stored.folder_uid,
        }

    def full_wire(self, stored: Stored) -> Model:
        folder = self.folders.get(stored.folder_uid)
        meta = {
            "type": "db",
            "isStarred": False,
            "url": stored.url,
            "folderId": folder["id"] if folder else 0,
            "folderUid": stored.folder_uid,
            "folderTitle": folder["title"] if folder else "General",
            "slug": stored.slug,
            "version": stored.versions[-1].number,
            "canSave": stored.uid not in self.provisioned,
            "canEdit": True,
            "provisioned": stored.uid in self.provisioned,
            "created": iso(stored.versions[0].saved_at),
            "updated": iso(stored.versions[-1].saved_at),
        }
        return {"dashboard": stored.model, "meta": meta}

    def hit_wire(self, stored: Stored) -> Model:
        """A search result; the folder's keys are absent at the root."""
        folder = self.folders.get(stored.folder_uid)
        wire: Model = {
            "id": stored.id,
            "uid": stored.uid,
            "title": stored.title,
            "uri": f"db/{stored.slug}",
            "url": stored.url,
            "slug": "",
            "type": "dash-db",
            "tags": list(stored.model.get("tags") or ()),
            "isStarred": False,
            "sortMeta": 0,
        }
        if folder:
            wire |= {
                "folderId": folder["id"],
                "folderUid": folder["uid"],
                "folderTitle": folder["title"],
                "folderUrl": f"/dashboards/f/{folder['uid']}/{folder['uid']}",
            }
        return wire

    def datasources(self) -> list[Model]:
        rows = (
            ("prom", "Prometheus", "prometheus", True),
            ("loki", "Loki", "loki", False),
            ("tempo", "Tempo", "tempo", False),
        )
        return [
            {
                "id": number,
                "uid": uid,
                "orgId": 1,
                "name": name,
                "type": kind,
                "typeName": name,
                "typeLogoUrl": f"public/app/plugins/datasource/{kind}/img/logo.svg",
                "access": "proxy",
                "url": self.prometheus_url if uid == "prom" else f"http://{kind}.demo",
                "user": "",
                "database": "",
                "basicAuth": False,
                "isDefault": default,
                "jsonData": {},
                "readOnly": False,
            }
            for number, (uid, name, kind, default) in enumerate(rows, start=1)
        ]

    def add_contact_point(self, name: str, kind: str, settings: Mapping[str, Any], **secrets: str) -> str:
        """One more integration of the contact point ``name``; answers its uid. It hides the settings ``secrets``."""
        uid = f"cp-{len(self.contact_points) + 1}-{kind}"
        shown = {**settings, **dict.fromkeys(secrets, "[REDACTED]")}
        self.contact_points.append(
            {
                "uid": uid,
                "name": name,
                "type": kind,
                "settings": shown,
                "disableResolveMessage": False,
                "provenance": "",
            }
        )
        self.contact_secrets[uid] = dict(secrets)
        return uid

    async def test_receivers(self, body: Any, seconds: float) -> tuple[int, Model]:
        """Send a test alert through each integration; answers HTTP status and body."""
        if self.alertmanager == "none":
            raise GrafanaError(404, "Alertmanager does not exist for this organization")
        if self.alertmanager == "starting":
            raise GrafanaError(409, "Alertmanager is not ready yet")
        receivers = body.get("receivers") if isinstance(body, dict) else None
        if not receivers:
            raise GrafanaError(400, "invalid object specification: no receivers")
        alert = body.get("alert") or {}
        alert = {
            "labels": {"alertname": "TestAlert", "instance": "Grafana", **(alert.get("labels") or {})},
            "annotations": {"summary": "Notification test", **(alert.get("annotations") or {})},
        }
        states: list[str] = []
        shown: list[Model] = []
        for receiver in receivers:
            results = []
            for config in receiver.get("grafana_managed_receiver_configs") or ():
                state, error = await self._test_integration(config, alert, seconds)
                states.append(state)
                result = {"name": config.get("name"), "uid": config.get("uid") or "demo-test"}
                result |= {"status": "ok"} if state == "ok" else {"status": "failed", "error": error}
                results.append(result)
            shown.append({"name": receiver.get("name"), "grafana_managed_receiver_configs": results})
        answer = {"alert": alert, "receivers": shown, "notified_at": iso(self.clock.wall())}
        if set(states) <= {"ok"}:
            return (200 if states else 400), answer
        return {frozenset({"timeout"}): 408, frozenset({"invalid"}): 400}.get(frozenset(states), 207), answer

    async def _test_integration(self, config: Mapping[str, Any], alert: Model, seconds: float) -> tuple[str, str]:
        """ok, failed, timeout or invalid, and why. A stored integration's own secrets count where none are sent."""
        uid = str(config.get("uid") or "")
        given = {**(config.get("settings") or {}), **(config.get("secureSettings") or {})}
        fault = self.contact_faults.get(uid)
        if fault == "failed":
            return "failed", "the receiver answered 500"
        if fault == "timeout":
            return "timeout", "context deadline exceeded"
        if fault == "swallowed":
            return "ok", ""
        settings = {**self.contact_secrets.get(uid, {}), **given}
        return await deliver(str(config.get("type")), settings, alert, self.outside, seconds)
