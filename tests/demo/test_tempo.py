"""The demo's Tempo on a real socket, held to the contract."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.scenario import Scenario, load
from ray_tui.demo.serving import serving
from ray_tui.demo.tempo import DemoTempo
from ray_tui.demo.world import World

STARTED_AT = 1_700_000_000.0
DEPLOYED_AT = int(STARTED_AT - 2400)
NOW = int(STARTED_AT + 61)


@dataclass(frozen=True)
class Still(Clock):
    """A clock that is set by hand."""

    moment: list[float] = field(default_factory=lambda: [float(NOW)])

    def wall(self) -> float:
        return self.moment[0]


async def a_client(scenario: Scenario) -> AsyncIterator[httpx.AsyncClient]:
    server = DemoTempo(World(scenario, STARTED_AT), Still())
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async for one in a_client(Scenario(name="t", title="t")):
        yield one


@pytest.fixture
async def untraced() -> AsyncIterator[httpx.AsyncClient]:
    async for one in a_client(load("missing-coverage")):
        yield one


async def search(client: httpx.AsyncClient, q: str, **params: object) -> list[dict]:
    answer = await client.get("/api/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["metrics"]) == {"inspectedTraces", "inspectedBytes", "totalBlocks"}
    return answer.json()["traces"]


async def test_it_says_that_it_is_there(client: httpx.AsyncClient):
    """ready and echo in text, buildinfo in JSON."""
    assert (await client.get("/ready")).text.strip() == "ready"
    assert (await client.get("/api/echo")).text == "echo"
    assert "version" in (await client.get("/api/status/buildinfo")).json()


async def test_a_search_hit_has_hex_ids_and_nanoseconds_in_text(client: httpx.AsyncClient):
    """Leading zeros of the trace's id are dropped, durationMs is a number."""
    hits = await search(client, '{resource.service.name="checkout"}', limit=5)

    assert len(hits) == 5
    for hit in hits:
        assert not hit["traceID"].startswith("0")
        assert int(hit["traceID"], 16)
        assert isinstance(hit["startTimeUnixNano"], str)
        assert isinstance(hit["durationMs"], int)
        assert hit["rootServiceName"] == "frontend"
        (span_set,) = hit["spanSets"]
        assert span_set == hit["spanSet"]
        assert isinstance(span_set["spans"][0]["durationNanos"], str)


async def test_a_span_must_fulfil_all_conditions(client: httpx.AsyncClient):
    """Service and name of one and the same span."""
    new = await search(client, '{resource.service.name="checkout" && name="POST /api/v2/checkout"}')
    mixed = await search(client, '{resource.service.name="cart" && name="POST /api/v2/checkout"}')

    assert new != []
    assert mixed == []


async def test_new_endpoints_are_seen_from_the_deploy_on(client: httpx.AsyncClient):
    """Before it neither the route nor the new service has a span."""
    for q in ('{name="POST /api/v2/checkout"}', '{resource.service.name="recommendations"}'):
        assert await search(client, q, start=DEPLOYED_AT - 3600, end=DEPLOYED_AT) == []
        assert await search(client, q, start=DEPLOYED_AT, end=NOW) != []


async def test_a_service_without_traces_is_gone_and_the_others_are_not(untraced: httpx.AsyncClient):
    """checkout's spans are missing since the deploy; payments, which it calls, still has its own."""
    q = '{resource.service.name="checkout"}'
    assert await search(untraced, q, start=DEPLOYED_AT, end=NOW) == []
    assert await search(untraced, q, start=DEPLOYED_AT - 600, end=DEPLOYED_AT) != []
    assert await search(untraced, '{resource.service.name="payments"}') != []


async def test_tags_in_logfmt_work_too(client: httpx.AsyncClient):
    """tags= is the older way to ask."""
    answer = await client.get("/api/search", params={"tags": 'service.name=auth name="POST /api/token"', "limit": 3})

    assert len(answer.json()["traces"]) == 3


async def test_a_trace_by_id_has_batches_and_base64(client: httpx.AsyncClient):
    """v1 says batches, v2 resourceSpans; ids are base64 of what the search showed in hex."""
    (hit,) = await search(client, '{name="POST /api/payments"}', limit=1)
    first = (await client.get(f"/api/traces/{hit['traceID']}")).json()
    second = (await client.get(f"/api/v2/traces/{hit['traceID']}")).json()

    assert first["batches"] == second["trace"]["resourceSpans"]
    spans = [span for batch in first["batches"] for scope in batch["scopeSpans"] for span in scope["spans"]]
    assert {base64.b64decode(span["traceId"]).hex() for span in spans} == {hit["traceID"].rjust(32, "0")}
    assert all(isinstance(span["startTimeUnixNano"], str) for span in spans)
    roots = [span for span in spans if "parentSpanId" not in span]
    assert [span["name"] for span in roots] == ["POST /checkout"]
    ids = {span["spanId"] for span in spans}
    assert all(span["parentSpanId"] in ids for span in spans if span not in roots)


@pytest.mark.parametrize("path", ["/api/traces/", "/api/v2/traces/"])
async def test_unknown_and_malformed_ids(client: httpx.AsyncClient, path: str):
    """404 and 400, both in plain text."""
    unknown, malformed = await client.get(path + "ab" * 16), await client.get(path + "nothex")

    assert (unknown.status_code, malformed.status_code) == (404, 400)
    assert unknown.headers["content-type"].startswith("text/plain")


async def test_tag_values_in_both_versions(client: httpx.AsyncClient):
    """v1 lists words, v2 typed values; a q narrows it, an unparsable q is ignored silently."""
    v1 = (await client.get("/api/search/tag/service.name/values")).json()
    v2 = (await client.get("/api/v2/search/tag/resource.service.name/values")).json()
    q = {"q": '{resource.service.name="checkout"}'}
    names = (await client.get("/api/v2/search/tag/name/values", params=q)).json()
    ignored = (await client.get("/api/v2/search/tag/name/values", params={"q": "{nonsense"})).json()

    assert len(v1["tagValues"]) == 11
    assert "notifications" not in v1["tagValues"]
    assert v2["tagValues"] == [{"type": "string", "value": name} for name in v1["tagValues"]]
    assert names["tagValues"] == [{"type": "string", "value": "POST /api/v2/checkout"}]
    assert len(ignored["tagValues"]) > 5


@pytest.mark.parametrize(
    ("q", "words"),
    [
        ("name=x", "invalid TraceQL query: parse error at line 1, col 1"),
        ("{name=", "invalid TraceQL query: parse error at line 1, col 7"),
        ("{name}", "invalid TraceQL query: parse error at line 1, col 2"),
        ('{name="a" name="b"}', "invalid TraceQL query: parse error"),
        ('{name="a" &&}', "invalid TraceQL query: parse error"),
    ],
)
async def test_bad_traceql_is_400_in_plain_text(client: httpx.AsyncClient, q: str, words: str):
    """With the place of the error."""
    answer = await client.get("/api/search", params={"q": q})

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert words in answer.text


async def test_without_times_only_recent_traces_are_searched(client: httpx.AsyncClient):
    """All hits began within half an hour, the newest first."""
    hits = await search(client, "{}", limit=2000)

    starts = [int(hit["startTimeUnixNano"]) for hit in hits]
    assert min(starts) >= (NOW - 1800) * 10**9
    assert max(starts) <= NOW * 10**9
    assert starts == sorted(starts, reverse=True)
