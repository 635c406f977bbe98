"""The demo's Jaeger on a real socket, held to the contract; both its APIs show the same traces."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from ray_tui.clock import Clock, iso
from ray_tui.demo.jaeger import DemoJaeger
from ray_tui.demo.scenario import Scenario, Telemetry
from ray_tui.demo.serving import serving
from ray_tui.demo.world import World

STARTED_AT = 1_700_000_000.0
NOW = STARTED_AT + 61
DEPLOYED_AT = STARTED_AT - 2400


@dataclass(frozen=True)
class Still(Clock):
    """A clock that is set by hand."""

    moment: list[float] = field(default_factory=lambda: [NOW])

    def wall(self) -> float:
        return self.moment[0]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    scenario = Scenario(name="t", title="t", telemetry=Telemetry(missing=(("cart", "traces"),)))
    server = DemoJaeger(World(scenario, STARTED_AT), Still())
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as one:
        yield one


def window(start: float = DEPLOYED_AT, end: float = NOW) -> dict[str, str]:
    return {"query.start_time_min": iso(start), "query.start_time_max": iso(end)}


def spans_of(body: dict) -> list[dict]:
    resources = body["result"]["resourceSpans"]
    return [span for one in resources for scope in one["scopeSpans"] for span in scope["spans"]]


async def test_services_and_operations(client: httpx.AsyncClient):
    """v3 and the older API name the same; the service without traces is not there."""
    v3 = (await client.get("/api/v3/services")).json()
    old = (await client.get("/api/services")).json()
    operations = (await client.get("/api/v3/operations", params={"service": "checkout"})).json()

    assert len(v3["services"]) == 11  # cart was still seen before the deploy, within the hour
    assert old == {"data": v3["services"], "total": 0, "limit": 0, "offset": 0, "errors": None}
    assert {"name": "POST /api/v2/checkout", "spanKind": "server"} in operations["operations"]


async def test_found_traces_are_merged_into_one_result(client: httpx.AsyncClient):
    """Ids in hex, times in text, kind a number, no field for an absent parent."""
    params = {"query.service_name": "payments", "query.search_depth": 4, **window()}
    body = (await client.get("/api/v3/traces", params=params)).json()

    spans = spans_of(body)
    assert len({span["traceId"] for span in spans}) == 4
    assert all(len(span["traceId"]) == 32 and len(span["spanId"]) == 16 for span in spans)
    assert {span["kind"] for span in spans} == {2}
    assert isinstance(spans[0]["startTimeUnixNano"], str)
    assert sum("parentSpanId" not in span for span in spans) == 4


async def test_nothing_found_is_404_json_under_plain_text(client: httpx.AsyncClient):
    """Not an empty 200; the content type lies, as the real one's does."""
    answer = await client.get("/api/v3/traces", params={"query.service_name": "cart", **window()})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json() == {"error": {"httpCode": 404, "message": "No traces found"}}


@pytest.mark.parametrize(
    "params",
    [
        {"query.service_name": "cart"},
        {"query.service_name": "cart", "query.start_time_min": "1700000000", "query.start_time_max": "1700000001"},
        {"query.service_name": "cart", "query.search_depth": "many", **window()},
        {"query.service_name": "cart", "query.duration_min": "long", **window()},
    ],
)
async def test_a_bad_parameter_is_400(client: httpx.AsyncClient, params: dict):
    """Both times are required, in RFC 3339."""
    answer = await client.get("/api/v3/traces", params=params)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("malformed parameter")


async def test_operations_and_durations_narrow_a_search(client: httpx.AsyncClient):
    """The new route has traces since the deploy and none before."""
    params = {"query.service_name": "checkout", "query.operation_name": "POST /api/v2/checkout"}
    after = await client.get("/api/v3/traces", params={**params, **window()})
    before = await client.get("/api/v3/traces", params={**params, **window(DEPLOYED_AT - 3600, DEPLOYED_AT)})
    slow = await client.get("/api/v3/traces", params={**params, "query.duration_min": "100s", **window()})

    assert (after.status_code, before.status_code, slow.status_code) == (200, 404, 404)


async def test_one_trace_by_id_in_both_forms(client: httpx.AsyncClient):
    """The same spans with the same times, in ns and in µs."""
    found = (await client.get("/api/v3/traces", params={"query.service_name": "auth", **window()})).json()
    trace_id = spans_of(found)[0]["traceId"]
    new = spans_of((await client.get(f"/api/v3/traces/{trace_id}")).json())
    (old,) = (await client.get(f"/api/traces/{trace_id}")).json()["data"]

    assert {span["name"] for span in new} == {span["operationName"] for span in old["spans"]}
    times = {span["spanId"]: int(span["startTimeUnixNano"]) // 1000 for span in new}
    assert times == {span["spanID"]: span["startTime"] for span in old["spans"]}
    assert {old["processes"][span["processID"]]["serviceName"] for span in old["spans"]} >= {"frontend", "auth"}


async def test_unknown_ids(client: httpx.AsyncClient):
    """404 in each API's own words."""
    new, old = await client.get("/api/v3/traces/" + "ab" * 16), await client.get("/api/traces/" + "ab" * 16)

    assert (new.status_code, old.status_code) == (404, 404)
    assert old.json() == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": [{"code": 404, "msg": "trace not found"}],
    }


async def test_the_older_search(client: httpx.AsyncClient):
    """Times in µs; no match is 200 with an empty list; a missing service is 400."""
    recent = {"start": int(DEPLOYED_AT * 1e6), "end": int(NOW * 1e6)}
    some = await client.get("/api/traces", params={"service": "payments", "limit": 3, **recent})
    none = await client.get("/api/traces", params={"service": "cart", **recent})
    bad = await client.get("/api/traces")

    assert len(some.json()["data"]) == 3
    assert (none.status_code, none.json()["data"]) == (200, [])
    assert bad.status_code == 400
    assert bad.json()["errors"][0]["msg"].startswith("unable to parse param 'service'")
    references = [span["references"] for span in some.json()["data"][0]["spans"]]
    assert references.count([]) == 1


async def test_the_newest_jaeger_has_no_older_search():
    """Only the look-up by id is left of it."""
    server = DemoJaeger(World(Scenario(name="t", title="t"), STARTED_AT), Still(), legacy=False)
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/api/services")).status_code == 404
        assert (await client.get("/api/v3/services")).status_code == 200
        assert (await client.get("/api/traces/" + "ab" * 16)).json()["errors"]
