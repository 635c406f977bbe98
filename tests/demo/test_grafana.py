"""The demo's Grafana, held against the contract over a real socket."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import httpx
import promql_parser
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.grafana import TOKEN, DemoGrafana
from ray_tui.demo.grafana_store import FOLDER_UID
from ray_tui.demo.people import People
from ray_tui.demo.scenario import Assets, Scenario
from ray_tui.demo.serving import serving
from ray_tui.demo.shop_dashboards import shop_dashboards
from ray_tui.demo.webhook_sink import DemoWebhookSink

HEALTHY = Scenario(name="test", title="test")
RECEIVERS_TEST = "/api/alertmanager/grafana/config/api/v1/receivers/test"


@pytest.fixture
def grafana() -> DemoGrafana:
    return DemoGrafana(Clock(), HEALTHY)


@pytest.fixture
async def client(grafana: DemoGrafana) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with serving(grafana.app) as url, httpx.AsyncClient(base_url=url, headers=headers) as http:
        yield http


async def save(client: httpx.AsyncClient, dashboard: Mapping[str, Any], **more: Any) -> httpx.Response:
    return await client.post("/api/dashboards/db", json={"dashboard": dashboard, **more})


async def get(client: httpx.AsyncClient, uid: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get(f"/api/dashboards/uid/{uid}")).json()
    return body


def exprs(models: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    found = {}
    for model in models:
        for panel in model["panels"]:
            for each in (panel, *panel.get("panels", ())):
                for target in each.get("targets", ()):
                    found[f"{model['uid']}/{each['title']}"] = target["expr"]
    return found


async def test_health_needs_no_token_and_says_when_the_database_fails(
    client: httpx.AsyncClient, grafana: DemoGrafana
) -> None:
    """200 and ok; 503 and failing."""
    del client.headers["Authorization"]
    assert (await client.get("/api/health")).json()["database"] == "ok"
    grafana.database_ok = False
    answer = await client.get("/api/health")
    assert (answer.status_code, answer.json()["database"]) == (503, "failing")


async def test_everything_else_needs_the_token(client: httpx.AsyncClient) -> None:
    """401 in both of Grafana's shapes."""
    wrong = await client.get("/api/search", headers={"Authorization": "Bearer x"})
    assert (wrong.status_code, wrong.json()["messageId"]) == (401, "api-key.invalid")
    del client.headers["Authorization"]
    none = await client.get("/api/search")
    assert (none.status_code, none.json()) == (401, {"message": "Unauthorized"})


def test_the_shops_queries_parse_and_a_dead_panel_asks_for_nothing_that_exists() -> None:
    """Every expression is PromQL once Grafana's variables are filled in; the scenario bends just the named panel."""
    healthy = exprs(shop_dashboards(HEALTHY))
    assert {"shop-overview/Request rate", "checkout-red/Latency p99", "slo-overview/Burn rate 1h"} <= set(healthy)
    for expr in healthy.values():
        promql_parser.parse(expr.replace("$__rate_interval", "1m").replace("$service", ".+"))
    bent = Scenario(name="x", title="x", assets=Assets(dead_panels=("checkout-red/Error ratio",)))
    dead = exprs(shop_dashboards(bent))
    assert {name for name in healthy if dead[name] != healthy[name]} == {"checkout-red/Error ratio"}
    assert "shop_legacy_requests_total" in dead["checkout-red/Error ratio"]
    assert "http_requests_total" not in dead["checkout-red/Error ratio"]
    with pytest.raises(ValueError, match="no such panel"):
        shop_dashboards(Scenario(name="x", title="x", assets=Assets(dead_panels=("checkout-red/Nothing",))))


async def test_the_required_dashboards_are_found_by_tag(client: httpx.AsyncClient) -> None:
    """Tags narrow with AND; folder keys are there only in a folder; paging is by page number; no hit is []."""
    required = (await client.get("/api/search", params={"tag": "ray-required", "type": "dash-db"})).json()
    assert {each["uid"] for each in required} == {"shop-overview", "checkout-red", "payments-red", "slo-overview"}
    assert {each["folderUid"] for each in required} == {FOLDER_UID}
    both = (await client.get("/api/search", params={"tag": ["ray-required", "service:payments"]})).json()
    assert [each["uid"] for each in both] == ["payments-red"]
    second = (await client.get("/api/search", params={"type": "dash-db", "limit": 3, "page": 2})).json()
    assert len(second) == 1
    assert (await client.get("/api/search", params={"query": "nothing like it"})).json() == []
    await save(client, {"id": None, "title": "At the root"})
    (root,) = (await client.get("/api/search", params={"query": "root"})).json()
    assert "folderUid" not in root


async def test_a_dashboard_is_created_updated_and_restored(client: httpx.AsyncClient) -> None:
    """200 for both; versions count up; restoring an old one is a new version."""
    created = (await save(client, {"id": None, "uid": "mine", "title": "Mine one"}, folderUid=FOLDER_UID)).json()
    assert (created["version"], created["url"], created["status"]) == (1, "/d/mine/mine-one", "success")
    model = (await get(client, "mine"))["dashboard"]
    updated = (await save(client, {**model, "title": "Mine two"}, folderUid=FOLDER_UID, message="second")).json()
    assert updated["version"] == 2
    versions = (await client.get("/api/dashboards/uid/mine/versions")).json()["versions"]
    assert [(each["version"], each["message"]) for each in versions] == [(2, "second"), (1, "")]
    await client.post("/api/dashboards/uid/mine/restore", json={"version": 1})
    back = await get(client, "mine")
    assert (back["dashboard"]["title"], back["meta"]["version"]) == ("Mine one", 3)
    deleted = (await client.delete("/api/dashboards/uid/mine")).json()
    assert deleted["message"] == "Dashboard Mine one deleted"
    gone = await client.get("/api/dashboards/uid/mine")
    assert (gone.status_code, gone.json()["message"]) == (404, "Dashboard not found")


async def test_leaving_out_the_folder_moves_the_dashboard_to_the_root(client: httpx.AsyncClient) -> None:
    """The trap is there."""
    before = await get(client, "checkout-red")
    assert before["meta"]["folderUid"] == FOLDER_UID
    await save(client, before["dashboard"])
    assert (await get(client, "checkout-red"))["meta"]["folderUid"] == ""


async def test_a_stale_version_is_412_unless_overwritten(client: httpx.AsyncClient) -> None:
    """Somebody else's change is not lost by accident."""
    model = (await get(client, "checkout-red"))["dashboard"]
    assert (await save(client, model, folderUid=FOLDER_UID)).status_code == 200
    stale = await save(client, model, folderUid=FOLDER_UID)
    assert (stale.status_code, stale.json()["status"]) == (412, "version-mismatch")
    same_uid = await save(client, {"id": None, "uid": "checkout-red", "title": "x"})
    assert (same_uid.status_code, same_uid.json()["status"]) == (412, "name-exists")
    assert (await save(client, model, folderUid=FOLDER_UID, overwrite=True)).json()["version"] == 3


@pytest.mark.parametrize(
    ("dashboard", "more", "status", "message"),
    [
        ({"title": " "}, {}, 400, "Dashboard title cannot be empty"),
        ({"title": "x", "uid": "u" * 41}, {}, 400, "uid too long, max 40 characters"),
        ({"title": "x", "uid": "a/b"}, {}, 400, "uid contains illegal characters"),
        ({"title": "x", "id": 4711}, {}, 404, "Dashboard not found"),
        ({"title": "x"}, {"folderUid": "nowhere"}, 404, "folder not found"),
    ],
)
async def test_bad_saves_are_refused(
    client: httpx.AsyncClient, dashboard: dict[str, Any], more: dict[str, Any], status: int, message: str
) -> None:
    """Each with its status and message."""
    answer = await save(client, dashboard, **more)
    assert (answer.status_code, answer.json()["message"]) == (status, message)


async def test_a_provisioned_dashboard_cannot_be_changed(client: httpx.AsyncClient, grafana: DemoGrafana) -> None:
    """Neither saved nor deleted; bad JSON is said to be so."""
    grafana.provisioned.add("slo-overview")
    stored = await get(client, "slo-overview")
    assert stored["meta"]["provisioned"] is True
    refused = await save(client, stored["dashboard"], folderUid=FOLDER_UID)
    assert (refused.status_code, refused.json()["message"]) == (400, "Cannot save provisioned dashboard")
    assert (await client.delete("/api/dashboards/uid/slo-overview")).status_code == 400
    assert (await client.post("/api/dashboards/db", content=b"{")).json()["message"] == "bad request data"


async def test_annotations_are_found_by_all_their_tags(client: httpx.AsyncClient) -> None:
    """Times are milliseconds; tags are AND unless matchAny; an empty text is 400; they can be changed and deleted."""
    body = {"text": "deployed", "tags": ["ray-tui", "run:1"], "time": 1_795_373_700_000}
    number = (await client.post("/api/annotations", json=body)).json()["id"]
    await client.post("/api/annotations", json={**body, "tags": ["ray-tui"], "dashboardUID": "checkout-red"})

    async def found(**params: Any) -> list[int]:
        return [each["id"] for each in (await client.get("/api/annotations", params=params)).json()]

    assert await found(tags=["ray-tui", "run:1"]) == [number]
    assert len(await found(tags=["ray-tui", "run:1"], matchAny="true")) == 2
    assert await found(tags="ray-tui", to=1_795_373_600_000) == []
    assert len(await found(dashboardUID="checkout-red")) == 1
    empty = await client.post("/api/annotations", json={"text": ""})
    assert (empty.status_code, empty.json()["error"]) == (400, "text field should not be empty")
    changed = await client.patch(f"/api/annotations/{number}", json={"text": "rolled back"})
    assert changed.json() == {"message": "Annotation patched"}
    assert (await client.delete(f"/api/annotations/{number}")).json() == {"message": "Annotation deleted"}
    assert await found(tags="run:1") == []


async def test_the_data_source_proxy_relays_status_and_body(client: httpx.AsyncClient, grafana: DemoGrafana) -> None:
    """What the backend says comes through unchanged; without one it is 502; unknown sources are 404."""
    seen: list[str] = []

    async def backend(scope: Any, receive: Any, send: Any) -> None:
        seen.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        status = 200 if b"1%2B1" in scope["query_string"] else 422
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    path = "/api/datasources/proxy/uid/prom/api/v1/query"
    assert (await client.get(path, params={"query": "up"})).status_code == 502
    async with serving(backend) as grafana.prometheus_url:
        relayed = await client.get(path, params={"query": "up{", "time": "1"})
        assert (relayed.status_code, relayed.content) == (422, b"{}")
        assert seen == ["GET /api/v1/query?query=up%7B&time=1"]
        assert (await client.get("/api/datasources/uid/prom/health")).json()["status"] == "OK"
    dead = await client.get("/api/datasources/uid/prom/health")
    assert (dead.status_code, dead.json()["status"]) == (400, "ERROR")
    assert (await client.get("/api/datasources/uid/none")).json() == {"message": "Data source not found"}
    (default,) = [each for each in (await client.get("/api/datasources")).json() if each["isDefault"]]
    assert (default["uid"], default["type"]) == ("prom", "prometheus")


async def test_testing_a_contact_point_really_calls_its_webhook(client: httpx.AsyncClient) -> None:
    """200: all delivered; 207: one failed; 400: all are invalid, none are given, or the wait is too long."""
    sink = DemoWebhookSink(People(60.0), Clock())

    async def test_of(*configs: Mapping[str, Any], **headers: str) -> httpx.Response:
        receivers = [{"name": "t", "grafana_managed_receiver_configs": list(configs)}] if configs else []
        return await client.post(RECEIVERS_TEST, json={"receivers": receivers, "alert": {}}, headers=headers)

    async with serving(sink.app) as url:
        good = {"name": "a", "type": "webhook", "settings": {"url": f"{url}/hook/grafana"}}
        refusing = {"name": "b", "type": "webhook", "settings": {"url": f"{url}/nowhere"}}
        fine = await test_of(good)
        partly = await test_of(good, refusing)
        only = await test_of(refusing)
    invalid = await test_of({"name": "c", "type": "webhook", "settings": {}})
    assert fine.status_code == 200
    assert [each.receiver for each in sink.received] == ["grafana", "grafana"]
    results = partly.json()["receivers"][0]["grafana_managed_receiver_configs"]
    assert (partly.status_code, [each["status"] for each in results]) == (207, ["ok", "failed"])
    assert (only.status_code, invalid.status_code) == (207, 400)
    assert (await test_of()).status_code == 400
    assert (await test_of(good, **{"Request-Timeout": "30"})).status_code == 400


async def test_contact_points_hide_their_secrets(client: httpx.AsyncClient) -> None:
    """Read back as [REDACTED]; the name narrows."""
    points = (await client.get("/api/v1/provisioning/contact-points")).json()
    assert {each["name"]: each["settings"].get("token") for each in points} == {
        "release-channel": "[REDACTED]",
        "audit-mail": None,
    }
    one = (await client.get("/api/v1/provisioning/contact-points", params={"name": "audit-mail"})).json()
    assert [each["type"] for each in one] == ["email"]


async def test_folders_and_tags(client: httpx.AsyncClient) -> None:
    """Folders are listed, found and made; tags are counted."""
    assert [each["uid"] for each in (await client.get("/api/folders")).json()] == [FOLDER_UID]
    assert (await client.get("/api/folders/none")).status_code == 404
    made = (await client.post("/api/folders", json={"uid": "more", "title": "More"})).json()
    assert (await client.get(f"/api/folders/{made['uid']}")).json()["title"] == "More"
    tags = {each["term"]: each["count"] for each in (await client.get("/api/dashboards/tags")).json()}
    assert tags["ray-required"] == 4
