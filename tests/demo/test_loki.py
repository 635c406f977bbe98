"""The demo's Loki on a real socket, held to the contract."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.loki import DemoLoki
from ray_tui.demo.scenario import Scenario, Telemetry
from ray_tui.demo.serving import serving
from ray_tui.demo.world import World

STARTED_AT = 1_700_000_000.0
NOW_NS = int(STARTED_AT + 61) * 10**9
QUERY, RANGE = "/loki/api/v1/query", "/loki/api/v1/query_range"


@dataclass(frozen=True)
class Still(Clock):
    """A clock that is set by hand."""

    moment: list[float] = field(default_factory=lambda: [STARTED_AT + 61.0])

    def wall(self) -> float:
        return self.moment[0]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    scenario = Scenario(name="t", title="t", telemetry=Telemetry(missing=(("cart", "logs"),)))
    server = DemoLoki(World(scenario, STARTED_AT), Still())
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as one:
        yield one


async def data(client: httpx.AsyncClient, path: str, **params: object) -> dict:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    return answer.json()["data"]


async def test_it_is_ready_in_plain_text(client: httpx.AsyncClient):
    """/ready is text, buildinfo JSON."""
    ready = await client.get("/ready")
    build = await client.get("/loki/api/v1/status/buildinfo")

    assert (ready.status_code, ready.text.strip()) == (200, "ready")
    assert "version" in build.json()


async def test_log_lines_come_newest_first_with_times_in_text(client: httpx.AsyncClient):
    """Nanoseconds are strings; every line lies in [start, end); the limit is over all streams."""
    start = NOW_NS - 600 * 10**9
    found = await data(client, RANGE, query='{service_name="checkout"}', start=start, end=NOW_NS, limit=20)

    assert found["resultType"] == "streams"
    assert "summary" in found["stats"]
    values = [value for stream in found["result"] for value in stream["values"]]
    assert len(values) == 20
    for stream in found["result"]:
        assert set(stream["stream"]) == {"service_name", "app", "level"}
        times = [int(at) for at, _ in stream["values"]]
        assert times == sorted(times, reverse=True)
        assert all(isinstance(at, str) and start <= int(at) < NOW_NS for at, _ in stream["values"])


async def test_forward_is_oldest_first(client: httpx.AsyncClient):
    """direction=forward turns the order and takes the oldest lines."""
    start = NOW_NS - 600 * 10**9
    params = {"query": '{app="auth"}', "start": start, "end": NOW_NS, "limit": 5, "direction": "forward"}
    found = await data(client, RANGE, **params)

    times = [int(at) for stream in found["result"] for at, _ in stream["values"]]
    assert len(times) == 5
    assert max(times) < start + 60 * 10**9


async def test_lines_can_be_filtered_by_text(client: httpx.AsyncClient):
    """|= keeps what contains the words, != drops it."""
    start = NOW_NS - 3600 * 10**9
    both = {"start": start, "end": NOW_NS, "limit": 5000}
    everything = await data(client, RANGE, query='{service_name="checkout"}', **both)
    kept = await data(client, RANGE, query='{service_name="checkout"} |= "/api/v2/checkout"', **both)
    dropped = await data(client, RANGE, query='{service_name="checkout"} != `/api/v2/checkout`', **both)

    def count(found: dict) -> int:
        return sum(len(stream["values"]) for stream in found["result"])

    assert 0 < count(kept) < count(everything)
    assert count(kept) + count(dropped) == count(everything)


async def test_a_service_that_stopped_has_lines_from_before_the_deploy_only(client: httpx.AsyncClient):
    """A (service, logs) pair of the scenario falls silent at the deploy."""
    deployed = int((STARTED_AT - 2400) * 1e9)
    after = await data(client, RANGE, query='{service_name="cart"}', start=deployed, end=NOW_NS)
    before = await data(client, RANGE, query='{service_name="cart"}', start=deployed - 600 * 10**9, end=deployed)

    assert after["result"] == []
    assert before["result"] != []


async def test_counts_are_a_vector_in_seconds(client: httpx.AsyncClient):
    """The times of metric results are numbers of seconds, values text; a silent service is absent."""
    expr = 'sum by (service_name) (count_over_time({service_name=~".+"}[30m]))'
    found = await data(client, QUERY, query=expr, time=NOW_NS)

    assert found["resultType"] == "vector"
    counts = {entry["metric"]["service_name"]: entry["value"] for entry in found["result"]}
    assert len(counts) == 11
    assert "cart" not in counts
    assert counts["checkout"] == [int(STARTED_AT) + 61, counts["checkout"][1]]
    assert float(counts["checkout"][1]) == pytest.approx(450, abs=3)


async def test_counts_agree_with_lines(client: httpx.AsyncClient):
    """What count_over_time says is what query_range shows."""
    start = NOW_NS - 600 * 10**9
    lines = await data(client, RANGE, query='{app="search"}', start=start + 1, end=NOW_NS + 1, limit=5000)
    counted = await data(client, QUERY, query='count_over_time({app="search"}[10m])', time=NOW_NS)

    by_level = {entry["metric"]["level"]: int(entry["value"][1]) for entry in counted["result"]}
    assert by_level == {stream["stream"]["level"]: len(stream["values"]) for stream in lines["result"]}


async def test_counts_over_a_range_are_a_matrix(client: httpx.AsyncClient):
    """One value per step."""
    params = {"query": 'sum(rate({app="auth"}[1m]))', "start": NOW_NS - 300 * 10**9, "end": NOW_NS, "step": "60"}
    found = await data(client, RANGE, **params)

    assert found["resultType"] == "matrix"
    (series,) = found["result"]
    assert series["metric"] == {}
    assert len(series["values"]) == 6
    assert all(float(value) == pytest.approx(0.25, abs=0.05) for _, value in series["values"])


async def test_labels_values_and_series_agree(client: httpx.AsyncClient):
    """Twelve services spoke in the last six hours, whichever way one asks."""
    names = (await client.get("/loki/api/v1/labels")).json()
    values = (await client.get("/loki/api/v1/label/service_name/values")).json()
    series = (await client.get("/loki/api/v1/series", params={"match[]": '{app=~".+"}'})).json()
    empty = (await client.get("/loki/api/v1/labels", params={"start": 1, "end": 2})).json()

    assert names == {"status": "success", "data": ["app", "level", "service_name"]}
    assert len(values["data"]) == 12
    assert {one["service_name"] for one in series["data"]} == set(values["data"])
    assert empty == {"status": "success"}


async def test_the_index_counts_bytes(client: httpx.AsyncClient):
    """Volume is a vector by the labels asked, stats four numbers."""
    params = {"query": '{service_name=~".+"}', "targetLabels": "service_name", "start": NOW_NS - 600 * 10**9}
    volume = await data(client, "/loki/api/v1/index/volume", **params)
    stats = (await client.get("/loki/api/v1/index/stats", params={"query": '{app="auth"}'})).json()

    assert {entry["metric"]["service_name"] for entry in volume["result"]} >= {"checkout", "auth"}
    assert all(int(entry["value"][1]) > 0 for entry in volume["result"])
    assert set(stats) == {"streams", "chunks", "entries", "bytes"}


@pytest.mark.parametrize(
    ("path", "params", "words"),
    [
        (QUERY, {"query": '{app="a"}'}, "log queries are not supported as an instant query type"),
        (RANGE, {"query": "{app=}"}, "parse error at line 1, col 6: syntax error: unexpected }"),
        (RANGE, {"query": ""}, "parse error"),
        (RANGE, {"query": '{app="a"} | json'}, "syntax error: unexpected |"),
        (RANGE, {"query": "{}"}, "queries require at least one regexp or equality matcher"),
        (RANGE, {"query": '{app=~".*"}'}, "queries require at least one regexp or equality matcher"),
        (RANGE, {"query": '{app="a"}', "limit": 10000}, "limit > max_entries_limit_per_query (10000 > 5000)"),
        (RANGE, {"query": '{app="a"}', "start": 1, "end": NOW_NS}, "the query time range exceeds the limit"),
        (RANGE, {"query": '{app="a"}', "start": "soon"}, "cannot parse"),
        ("/loki/api/v1/series", {}, "0 matcher groups supplied"),
    ],
)
async def test_errors_are_plain_text(client: httpx.AsyncClient, path: str, params: dict, words: str):
    """400, text/plain, no JSON envelope."""
    answer = await client.get(path, params=params)

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert words in answer.text


async def test_a_missing_tenant_is_turned_away():
    """With a tenant set, every call but /ready needs its header."""
    server = DemoLoki(World(Scenario(name="t", title="t"), STARTED_AT), Still(), tenant="shop")
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as client:
        without = await client.get("/loki/api/v1/labels")
        within = await client.get("/loki/api/v1/labels", headers={"X-Scope-OrgID": "shop"})

    assert (without.status_code, without.text.strip()) == (401, "no org id")
    assert within.status_code == 200
