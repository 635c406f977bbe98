"""Grafana's HTTP as the demo answers it: searching, saving, annotating, testing a contact point."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock, iso
from ray_tui.demo.grafana_store import GrafanaError, GrafanaStore, Stored, Version
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.shop_dashboards import Model

TOKEN = "demo-grafana-token"  # noqa: S105 (the demo's own, on loopback)
VERSION = "11.2.0"
RECEIVER_TEST_SECONDS = 15.0

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


def _annotation_routes(grafana: GrafanaStore) -> list[tuple[str, str, Handler]]:
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


def _datasource_routes(grafana: GrafanaStore) -> list[tuple[str, str, Handler]]:
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


def _dashboard_routes(grafana: GrafanaStore) -> list[tuple[str, str, Handler]]:
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


def _routes(grafana: GrafanaStore) -> list[Route]:
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


class DemoGrafana(GrafanaStore):
    """The store behind its HTTP, as ``app``."""

    def __init__(self, clock: Clock, scenario: Scenario, prometheus_url: str = "") -> None:
        super().__init__(clock, scenario, prometheus_url)
        self.app = Starlette(routes=_routes(self))
