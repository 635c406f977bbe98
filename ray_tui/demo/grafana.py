"""Grafana as the demo runs it: the shop's dashboards, and how saving, searching and annotating answer."""

import copy
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock, iso
from ray_tui.demo import slack
from ray_tui.demo.contact_points import Fault, Outside, deliver
from ray_tui.demo.scenario import Scenario

TOKEN = "demo-grafana-token"  # noqa: S105 (the demo's own, on loopback)
VERSION = "11.2.0"
FOLDER_UID = "shop"
LONGEST_UID = 40
RECEIVER_TEST_SECONDS = 15.0
_PROM = {"type": "prometheus", "uid": "prom"}
_METRIC = re.compile(r"\bhttp_request(?=s_total|_duration_seconds)")

Model = dict[str, Any]


# --- the shop's dashboards -------------------------------------------------------------------------------------------


def _panel(panel_id: int, title: str, exprs: Sequence[str], unit: str, description: str = "") -> Model:
    """A time series on the left, the right or the left again, two to a line."""
    return {
        "id": panel_id,
        "title": title,
        "type": "timeseries",
        "description": description,
        "datasource": dict(_PROM),
        "gridPos": {"h": 8, "w": 12, "x": panel_id % 2 * 12, "y": panel_id // 2 * 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": dict(_PROM), "expr": expr, "legendFormat": "{{service}}"}
            for number, expr in enumerate(exprs)
        ],
    }


def _row(panel_id: int, title: str, hidden: Sequence[Model] = ()) -> Model:
    """A row that holds panels is collapsed: Grafana keeps them inside it only then."""
    return {
        "id": panel_id,
        "title": title,
        "type": "row",
        "collapsed": bool(hidden),
        "gridPos": {"h": 1, "w": 24, "x": 0, "y": panel_id * 8},
        "panels": list(hidden),
    }


def _text(panel_id: int, title: str, content: str) -> Model:
    return {
        "id": panel_id,
        "title": title,
        "type": "text",
        "gridPos": {"h": 3, "w": 24, "x": 0, "y": 0},
        "options": {"mode": "markdown", "content": content},
    }


def _variable(name: str, query: str) -> Model:
    return {
        "name": name,
        "type": "query",
        "label": name.capitalize(),
        "datasource": dict(_PROM),
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
    }


def _requests(selector: str, window: str = "$__rate_interval") -> str:
    return f"sum by (service) (rate(http_requests_total{{{selector}}}[{window}]))"


def _error_ratio(selector: str, window: str = "$__rate_interval") -> str:
    failed = f'{selector}, status=~"5.."'
    return f"{_requests(failed, window)} / {_requests(selector, window)}"


def _p99(selector: str, window: str = "$__rate_interval") -> str:
    buckets = f"rate(http_request_duration_seconds_bucket{{{selector}}}[{window}])"
    return f"histogram_quantile(0.99, sum by (service, le) ({buckets}))"


def _dashboard(uid: str, title: str, tags: Sequence[str], panels: Sequence[Model], variables: Sequence[Model]) -> Model:
    return {
        "uid": uid,
        "title": title,
        "tags": list(tags),
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": list(variables)},
        "panels": list(panels),
        "links": [],
    }


def _red_panels(selector: str, first_id: int) -> list[Model]:
    """Rate, errors, duration."""
    return [
        _panel(first_id, "Request rate", [_requests(selector)], "reqps"),
        _panel(first_id + 1, "Error ratio", [_error_ratio(selector)], "percentunit"),
        _panel(first_id + 2, "Latency p99", [_p99(selector)], "s"),
    ]


def _shop_overview() -> Model:
    selector = 'service=~"$service"'
    busiest = [_panel(11, "Busy services", [f"{_requests(selector)} > 1"], "reqps")]
    panels = [
        _text(1, "About", "RED signals of every service of the shop. Pick services above."),
        _row(2, "RED"),
        *_red_panels(selector, 3),
        _row(10, "Details", busiest),
    ]
    variables = [_variable("service", "label_values(http_requests_total, service)")]
    return _dashboard("shop-overview", "Shop overview", ["ray-required", "shop"], panels, variables)


def _service_red(service: str) -> Model:
    selector = f'service="{service}"'
    by_version = f"sum by (version) (rate(http_requests_total{{{selector}}}[$__rate_interval]))"
    panels = [
        _text(1, "About", f"RED signals of {service}."),
        *_red_panels(selector, 2),
        _row(10, "Versions", [_panel(11, "Request rate by version", [by_version], "reqps")]),
    ]
    tags = ["ray-required", f"service:{service}"]
    return _dashboard(f"{service}-red", f"{service.capitalize()} RED", tags, panels, [])


def _slo_overview() -> Model:
    """Objective 99.9 %: the budget is 0.001."""
    selector = 'service=~"$service"'
    ratio = _error_ratio(selector, "1h")
    panels = [
        _panel(1, "Error budget left", [f"clamp_min(1 - ({ratio}) / 0.001, 0)"], "percentunit"),
        _panel(2, "Burn rate 1h", [f"({ratio}) / 0.001"], "none"),
        _panel(3, "Burn rate 5m", [f"({_error_ratio(selector, '5m')}) / 0.001"], "none"),
    ]
    variables = [_variable("service", "label_values(http_requests_total, service)")]
    return _dashboard("slo-overview", "SLO overview", ["ray-required", "slo"], panels, variables)


def shop_dashboards(scenario: Scenario) -> tuple[Model, ...]:
    """What is stored at the start. A dead panel's query asks for a metric that nobody exports."""
    models = (_shop_overview(), _service_red("checkout"), _service_red("payments"), _slo_overview())
    for name in scenario.assets.dead_panels:
        uid, _, title = name.partition("/")
        panels = [panel for model in models if model["uid"] == uid for panel in _all_panels(model)]
        found = [panel for panel in panels if panel["title"] == title and "targets" in panel]
        if not found:
            raise ValueError(f"the scenario kills panel {name!r}, and there is no such panel")
        for target in found[0]["targets"]:
            target["expr"] = _METRIC.sub("shop_legacy_request", target["expr"])
    return models


def _all_panels(model: Mapping[str, Any]) -> Iterable[Model]:
    for panel in model["panels"]:
        yield panel
        yield from panel.get("panels", ())


# --- what is stored --------------------------------------------------------------------------------------------------


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


class DemoGrafana:
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
        self.app = Starlette(routes=_routes(self))

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


# --- HTTP ------------------------------------------------------------------------------------------------------------

Handler = Callable[[Request], Awaitable[Response]]


def _guarded(handler: Handler) -> Handler:
    """A valid token, and errors in Grafana's shape."""

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not given:
            return JSONResponse({"message": "Unauthorized"}, 401)
        if given != f"Bearer {TOKEN}":
            body = {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401, "traceID": ""}
            return JSONResponse(body, 401)
        try:
            return await handler(request)
        except GrafanaError as error:
            return JSONResponse(error.body, error.status)

    return guarded


async def _json(request: Request) -> Any:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise GrafanaError(400, "bad request data") from error
    if not isinstance(body, dict):
        raise GrafanaError(400, "bad request data")
    return body


def _whole(request: Request, name: str, default: int) -> int:
    try:
        return int(request.query_params.get(name) or default)
    except ValueError as error:
        raise GrafanaError(400, f"{name} is not a number") from error


def _annotation_routes(grafana: DemoGrafana) -> list[tuple[str, str, Handler]]:
    async def find(request: Request) -> Response:
        query = request.query_params
        wanted = query.getlist("tags")
        enough = any if query.get("matchAny") == "true" else all
        since, until = _whole(request, "from", 0), _whole(request, "to", 0) or 2**62
        found = [
            each
            for each in grafana.annotations
            if since <= each["timeEnd"]
            and each["time"] <= until
            and (not wanted or enough(tag in each["tags"] for tag in wanted))
            and query.get("dashboardUID", each["dashboardUID"]) == each["dashboardUID"]
            and query.get("type") != "alert"
        ]
        newest_first = sorted(found, key=lambda each: (each["time"], each["id"]), reverse=True)
        return JSONResponse(newest_first[: _whole(request, "limit", 100)])

    def text_of(body: Mapping[str, Any]) -> str:
        if not body.get("text"):
            raise GrafanaError(400, "Failed to save annotation", error="text field should not be empty")
        return str(body["text"])

    async def add(request: Request) -> Response:
        body = await _json(request)
        text, uid = text_of(body), str(body.get("dashboardUID") or "")
        dashboard_id = grafana.the(uid).id if uid else 0
        time_ms = int(body.get("time") or grafana.clock.wall() * 1000)
        number = next(grafana.ids)
        grafana.annotations.append(
            {
                "id": number,
                "alertId": 0,
                "dashboardId": dashboard_id,
                "dashboardUID": uid,
                "panelId": int(body.get("panelId") or 0),
                "userId": 1,
                "userName": "ray-tui",
                "newState": "",
                "prevState": "",
                "time": time_ms,
                "timeEnd": int(body.get("timeEnd") or time_ms),
                "text": text,
                "tags": list(body.get("tags") or ()),
                "data": {},
            }
        )
        return JSONResponse({"message": "Annotation added", "id": number})

    def the(request: Request) -> Model:
        for each in grafana.annotations:
            if str(each["id"]) == request.path_params["id"]:
                return each
        raise GrafanaError(404, "Could not find annotation to update")

    async def change(request: Request) -> Response:
        each, body = the(request), await _json(request)
        if request.method == "PUT":
            text_of(body)
        each.update({name: body[name] for name in ("text", "tags", "time", "timeEnd") if name in body})
        return JSONResponse({"message": "Annotation updated" if request.method == "PUT" else "Annotation patched"})

    async def remove(request: Request) -> Response:
        grafana.annotations.remove(the(request))
        return JSONResponse({"message": "Annotation deleted"})

    async def tags(_: Request) -> Response:
        names = [tag for each in grafana.annotations for tag in each["tags"]]
        return JSONResponse({"result": {"tags": [{"tag": t, "count": names.count(t)} for t in sorted(set(names))]}})

    return [
        ("GET", "/api/annotations", find),
        ("POST", "/api/annotations", add),
        ("GET", "/api/annotations/tags", tags),
        ("PUT", "/api/annotations/{id}", change),
        ("PATCH", "/api/annotations/{id}", change),
        ("DELETE", "/api/annotations/{id}", remove),
    ]


def _datasource_routes(grafana: DemoGrafana) -> list[tuple[str, str, Handler]]:
    def the(request: Request) -> Model:
        for each in grafana.datasources():
            if request.path_params.get("uid") == each["uid"] or request.path_params.get("name") == each["name"]:
                return each
        raise GrafanaError(404, "Data source not found")

    async def every(_: Request) -> Response:
        return JSONResponse(grafana.datasources())

    async def one(request: Request) -> Response:
        return JSONResponse({**the(request), "version": 1, "secureJsonFields": {}})

    async def health(request: Request) -> Response:
        source = the(request)
        if source["uid"] == "prom" and grafana.prometheus_url:
            try:
                async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                    answer = await client.get(f"{grafana.prometheus_url}/api/v1/query", params={"query": "1+1"})
                ok, message = answer.is_success, f"status {answer.status_code}"
            except httpx.HTTPError as error:
                ok, message = False, str(error)
            if not ok:
                return JSONResponse({"status": "ERROR", "message": f"Error querying Prometheus: {message}"}, 400)
        return JSONResponse({"status": "OK", "message": "Successfully queried the data source."})

    async def proxy(request: Request) -> Response:
        """The backend's own status and body."""
        if the(request)["uid"] != "prom" or not grafana.prometheus_url:
            return JSONResponse({"message": "Bad gateway"}, 502)
        url = f"{grafana.prometheus_url}/{request.path_params['path']}"
        kind = {"content-type": request.headers["content-type"]} if "content-type" in request.headers else {}
        try:
            async with httpx.AsyncClient(timeout=15, trust_env=False) as client:
                answer = await client.request(
                    request.method,
                    url,
                    params=httpx.QueryParams(request.url.query),
                    content=await request.body(),
                    headers=kind,
                )
        except httpx.HTTPError:
            return JSONResponse({"message": "Bad gateway"}, 502)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return [
        ("GET", "/api/datasources", every),
        ("GET", "/api/datasources/uid/{uid}", one),
        ("GET", "/api/datasources/name/{name}", one),
        ("GET", "/api/datasources/uid/{uid}/health", health),
        ("GET", "/api/datasources/proxy/uid/{uid}/{path:path}", proxy),
        ("POST", "/api/datasources/proxy/uid/{uid}/{path:path}", proxy),
    ]


def _dashboard_routes(grafana: DemoGrafana) -> list[tuple[str, str, Handler]]:
    async def get(request: Request) -> Response:
        return JSONResponse(grafana.full_wire(grafana.the(request.path_params["uid"])))

    async def save(request: Request) -> Response:
        return JSONResponse(grafana.saved_wire(grafana.save(await _json(request))))

    async def delete(request: Request) -> Response:
        stored = grafana.the(request.path_params["uid"])
        if stored.uid in grafana.provisioned:
            raise GrafanaError(400, "provisioned dashboard cannot be deleted")
        del grafana.dashboards[stored.uid]
        message = f"Dashboard {stored.title} deleted"
        return JSONResponse({"title": stored.title, "message": message, "id": stored.id})

    def version_wire(stored: Stored, version: Version) -> Model:
        return {
            "id": stored.id * 1000 + version.number,
            "dashboardId": stored.id,
            "uid": stored.uid,
            "parentVersion": version.number - 1,
            "restoredFrom": version.restored_from,
            "version": version.number,
            "created": iso(version.saved_at),
            "createdBy": "ray-tui",
            "message": version.message,
        }

    async def versions(request: Request) -> Response:
        stored = grafana.the(request.path_params["uid"])
        rows = [version_wire(stored, version) for version in reversed(stored.versions)]
        return JSONResponse({"continueToken": "", "versions": rows})

    async def restore(request: Request) -> Response:
        stored, body = grafana.the(request.path_params["uid"]), await _json(request)
        if stored.uid in grafana.provisioned:
            raise GrafanaError(400, "Cannot save provisioned dashboard")
        grafana.restore(stored, body.get("version"))
        return JSONResponse(grafana.saved_wire(stored))

    async def tags(_: Request) -> Response:
        names = [tag for each in grafana.dashboards.values() for tag in each.model.get("tags") or ()]
        return JSONResponse([{"term": tag, "count": names.count(tag)} for tag in sorted(set(names))])

    async def search(request: Request) -> Response:
        query = request.query_params
        limit, page = min(_whole(request, "limit", 1000), 5000), max(_whole(request, "page", 1), 1)
        hits = [grafana.hit_wire(each) for each in grafana.dashboards.values()]
        for folder in grafana.folders.values():
            url = f"/dashboards/f/{folder['uid']}/{folder['uid']}"
            hits.append({**folder, "uri": "", "url": url, "type": "dash-folder", "tags": [], "isStarred": False})
        filters: list[Callable[[Model], bool]] = [
            lambda hit: query.get("query", "").lower() in hit["title"].lower(),
            lambda hit: all(tag in hit["tags"] for tag in query.getlist("tag")),
            lambda hit: query.get("type", hit["type"]) == hit["type"],
            lambda hit: not query.getlist("dashboardUIDs") or hit["uid"] in query.getlist("dashboardUIDs"),
            lambda hit: not query.getlist("folderUIDs") or hit.get("folderUid", "") in query.getlist("folderUIDs"),
            lambda hit: query.get("starred") != "true",
        ]
        found = sorted((hit for hit in hits if all(ok(hit) for ok in filters)), key=lambda hit: hit["title"])
        return JSONResponse(found[(page - 1) * limit : page * limit])

    return [
        ("GET", "/api/dashboards/uid/{uid}", get),
        ("DELETE", "/api/dashboards/uid/{uid}", delete),
        ("POST", "/api/dashboards/db", save),
        ("GET", "/api/dashboards/uid/{uid}/versions", versions),
        ("POST", "/api/dashboards/uid/{uid}/restore", restore),
        ("GET", "/api/dashboards/tags", tags),
        ("GET", "/api/search", search),
    ]


def _routes(grafana: DemoGrafana) -> list[Route]:
    async def health(_: Request) -> Response:
        state = "ok" if grafana.database_ok else "failing"
        body = {"commit": "demo", "database": state, "version": VERSION}
        return JSONResponse(body, 200 if grafana.database_ok else 503)

    async def folders(_: Request) -> Response:
        return JSONResponse(list(grafana.folders.values()))

    async def folder(request: Request) -> Response:
        uid = request.path_params["uid"]
        if uid not in grafana.folders:
            raise GrafanaError(404, "folder not found", status="not-found")
        return JSONResponse({**grafana.folders[uid], "url": f"/dashboards/f/{uid}/{uid}", "canSave": True})

    async def add_folder(request: Request) -> Response:
        body = await _json(request)
        if not body.get("title"):
            raise GrafanaError(400, "folder title cannot be empty")
        number = next(grafana.ids)
        uid = str(body.get("uid") or f"folder{number}")
        if uid in grafana.folders:
            raise GrafanaError(409, "a folder with the same uid already exists")
        grafana.folders[uid] = {"id": number, "uid": uid, "title": body["title"], "version": 1}
        return JSONResponse(grafana.folders[uid])

    async def contact_points(request: Request) -> Response:
        name = request.query_params.get("name")
        return JSONResponse([each for each in grafana.contact_points if name in {None, each["name"]}])

    async def receivers_test(request: Request) -> Response:
        try:
            seconds = float(request.headers.get("request-timeout", RECEIVER_TEST_SECONDS))
        except ValueError as error:
            raise GrafanaError(400, "invalid Request-Timeout header") from error
        if not 0 < seconds < 30:
            raise GrafanaError(400, "Request-Timeout must be below 30 seconds")
        status, body = await grafana.test_receivers(await _json(request), seconds)
        return JSONResponse(body, status)

    async def home(_: Request) -> Response:
        return PlainTextResponse("Grafana (demo)")

    table: list[tuple[str, str, Handler]] = [
        *_dashboard_routes(grafana),
        *_annotation_routes(grafana),
        *_datasource_routes(grafana),
        ("GET", "/api/folders", folders),
        ("POST", "/api/folders", add_folder),
        ("GET", "/api/folders/{uid}", folder),
        ("GET", "/api/v1/provisioning/contact-points", contact_points),
        ("POST", "/api/alertmanager/grafana/config/api/v1/receivers/test", receivers_test),
    ]
    return [
        Route("/api/health", health, methods=["GET"]),
        Route("/", home, methods=["GET"]),
        *(Route(path, _guarded(handler), methods=[method]) for method, path, handler in table),
    ]
