"""The demo's Prometheus on a real socket, held to the contract."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.prometheus import DemoPrometheus, initial_rules
from ray_tui.demo.scenario import Scenario, load
from ray_tui.demo.serving import serving
from ray_tui.demo.world import World

STARTED_AT = 1_700_000_000.0


@dataclass(frozen=True)
class Still(Clock):
    """A clock that is set by hand."""

    moment: list[float] = field(default_factory=lambda: [STARTED_AT + 61.5])

    def wall(self) -> float:
        return self.moment[0]

    def monotonic(self) -> float:
        return self.moment[0]


@dataclass
class Stand:
    server: DemoPrometheus
    client: httpx.AsyncClient
    clock: Still
    rule_dir: Path

    async def get(self, path: str, **params: object) -> httpx.Response:
        return await self.client.get(path, params=params)

    async def query(self, expr: str, **params: object) -> dict:
        answer = await self.get("/api/v1/query", query=expr, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def value(self, expr: str) -> float:
        (entry,) = (await self.query(expr))["result"]
        return float(entry["value"][1])


def a_world(scenario: Scenario | None = None) -> World:
    return World(scenario or Scenario(name="t", title="t"), STARTED_AT)


async def a_stand(folder: Path, world: World, alertmanagers: tuple[str, ...] = ()) -> AsyncIterator[Stand]:
    (folder / "shop.yml").write_text(initial_rules(world))
    clock = Still()
    server = DemoPrometheus(world, folder, clock, alertmanagers)
    async with serving(server.app) as url, httpx.AsyncClient(base_url=url) as client:
        yield Stand(server, client, clock, folder)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async for one in a_stand(tmp_path, a_world()):
        yield one


@pytest.fixture
async def down(tmp_path: Path) -> AsyncIterator[Stand]:
    async for one in a_stand(tmp_path, a_world(load("metrics-down"))):
        yield one


async def test_health_endpoints_answer_in_plain_text(stand: Stand):
    """/-/healthy and /-/ready say what the real ones say, and a Date header is sent."""
    healthy, ready = await stand.get("/-/healthy"), await stand.get("/-/ready")

    assert (healthy.status_code, healthy.text) == (200, "Prometheus Server is Healthy.\n")
    assert (ready.status_code, ready.text) == (200, "Prometheus Server is Ready.\n")
    assert ready.headers["content-type"].startswith("text/plain")
    assert parsedate_to_datetime(ready.headers["date"]) is not None


async def test_a_vector_has_labels_and_a_value_in_text(stand: Stand):
    """Times are numbers, values strings, the metric's name is a label."""
    data = await stand.query('up{service="checkout",job="shop"}')

    assert data == {
        "resultType": "vector",
        "result": [
            {
                "metric": {"__name__": "up", "instance": "checkout:8080", "job": "shop", "service": "checkout"},
                "value": [STARTED_AT + 61.5, "1"],
            }
        ],
    }


async def test_post_asks_as_get_does(stand: Stand):
    """Parameters may come in a form."""
    answer = await stand.client.post("/api/v1/query", data={"query": "count(up)", "time": str(STARTED_AT)})

    assert answer.json()["data"]["result"] == [{"metric": {}, "value": [int(STARTED_AT), "23"]}]


async def test_a_scalar_and_a_string_are_pairs(stand: Stand):
    """Neither is an array of objects."""
    scalar = await stand.query("1/0")
    text = await stand.query('"words"')

    assert scalar == {"resultType": "scalar", "result": [STARTED_AT + 61.5, "+Inf"]}
    assert text == {"resultType": "string", "result": [STARTED_AT + 61.5, "words"]}


async def test_a_range_selector_gives_raw_samples_on_the_grid(stand: Stand):
    """Instant queries of range vectors answer a matrix; samples lie 5 s apart."""
    data = await stand.query('up{service="cart",job="shop"}[15s]')

    assert data["resultType"] == "matrix"
    assert [at for at, _ in data["result"][0]["values"]] == [STARTED_AT + 50, STARTED_AT + 55, STARTED_AT + 60]


@pytest.mark.parametrize(
    ("path", "params", "status", "kind", "words"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:'),
        ("query", {}, 400, "bad_data", "no expression found in input"),
        ("query", {"query": "1", "time": "soon"}, 400, "bad_data", 'cannot parse "soon" to a valid timestamp'),
        ("query", {"query": "stddev(up)"}, 422, "execution", "not supported by the demo: the aggregation stddev"),
        ("query", {"query": "deriv(up[5m])"}, 422, "execution", "not supported by the demo: the function deriv()"),
        ("query", {"query": "up @ 5"}, 422, "execution", "not supported by the demo: the @ modifier"),
        ("query", {"query": "up / on() up"}, 422, "execution", "many-to-many matching not allowed"),
        (
            "query_range",
            {"query": "up", "start": 1, "end": 11002, "step": 1},
            400,
            "bad_data",
            "exceeded maximum resol",
        ),
        ("query_range", {"query": "up", "start": 5, "end": 4, "step": 1}, 400, "bad_data", "must not be before start"),
        ("query_range", {"query": "up", "start": 1, "end": 4, "step": 0}, 400, "bad_data", "zero or negative query"),
        ("query_range", {"query": "up", "start": 1, "step": 1}, 400, "bad_data", 'invalid parameter "end"'),
        (
            "query_range",
            {"query": "up[5m]", "start": 1, "end": 4, "step": 1},
            400,
            "bad_data",
            'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
        ),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("label/bad-name/values", {}, 400, "bad_data", 'invalid label name: "bad-name"'),
    ],
)
async def test_errors_come_in_the_envelope(stand: Stand, path: str, params: dict, status: int, kind: str, words: str):
    """Each with its status, its errorType and Prometheus's words."""
    answer = await stand.get(f"/api/v1/{path}", **params)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["status"], body["errorType"]) == ("error", kind)
    assert words in body["error"]


async def test_an_unknown_path_is_404_in_plain_text(stand: Stand):
    """Not JSON."""
    answer = await stand.get("/api/v1/nope")

    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


async def test_eleven_thousand_points_are_allowed(stand: Stand):
    """The limit itself is within the limit."""
    answer = await stand.get("/api/v1/query_range", query="vector(1)", start=0, end=11000, step=1)

    assert answer.status_code == 200
    assert len(answer.json()["data"]["result"][0]["values"]) == 11001


async def test_nothing_is_known_of_the_future(stand: Stand):
    """The newest sample is at most 5 s old, and a range that ends later stops with the lookback."""
    newest = await stand.value('timestamp(up{service="auth",job="shop"})')
    later = await stand.query('up{service="auth",job="shop"}', time=STARTED_AT + 61.5 + 302)

    assert newest == STARTED_AT + 60
    assert later["result"] == []


async def test_yesterday_can_be_asked(stand: Stand):
    """Ordinary series reach back a day and more."""
    expr = 'sum(rate(http_requests_total{service="checkout"}[5m] offset 1d))'

    assert await stand.value(expr) == pytest.approx(16, rel=0.2)


async def test_series_labels_and_values(stand: Stand):
    """The three listings agree on a selector."""
    series = (await stand.get("/api/v1/series", **{"match[]": 'build_info{service="checkout"}'})).json()["data"]
    names = (await stand.get("/api/v1/labels", **{"match[]": "build_info"})).json()["data"]
    values = (await stand.get("/api/v1/label/service/values")).json()["data"]
    metrics = (await stand.get("/api/v1/label/__name__/values")).json()["data"]

    assert [one["version"] for one in series] == ["v2.4.0", "v2.4.1"]
    assert names == ["__name__", "instance", "job", "service", "version"]
    assert len(values) == 12
    assert {"up", "http_requests_total", "ALERTS", "probe_success"} <= set(metrics)


async def test_metadata_names_types(stand: Stand):
    """One entry in a list per metric; a histogram goes by its base name."""
    data = (await stand.get("/api/v1/metadata")).json()["data"]

    assert data["http_request_duration_seconds"] == [
        {"type": "histogram", "help": "Time to serve a request.", "unit": ""}
    ]


async def test_targets_are_listed_and_filtered(stand: Stand):
    """Twelve services, eleven synthetic checks; the list that was filtered out is empty, not missing."""
    everything = (await stand.get("/api/v1/targets")).json()["data"]
    dropped = (await stand.get("/api/v1/targets", state="dropped")).json()["data"]
    pool = (await stand.get("/api/v1/targets", scrapePool="blackbox")).json()["data"]

    assert len(everything["activeTargets"]) == 23
    assert {target["health"] for target in everything["activeTargets"]} == {"up"}
    assert dropped == {"activeTargets": [], "droppedTargets": []}
    assert len(pool["activeTargets"]) == 11


async def test_a_healthy_world_fires_the_watchdog_alone(stand: Stand):
    """All rules are loaded and healthy, none other is even pending."""
    groups = (await stand.get("/api/v1/rules")).json()["data"]["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    alerts = (await stand.get("/api/v1/alerts")).json()["data"]["alerts"]

    assert len(rules) == 13
    assert {rule["health"] for rule in rules.values()} == {"ok"}
    assert {name for name, rule in rules.items() if rule["state"] != "inactive"} == {"Watchdog"}
    assert [(alert["labels"]["alertname"], alert["state"], alert["value"]) for alert in alerts] == [
        ("Watchdog", "firing", "1e+00")
    ]
    assert rules["CheckoutHighLatency"]["duration"] == 300
    assert rules["CheckoutHighLatency"]["labels"] == {
        "severity": "critical",
        "service": "checkout",
        "owner": "checkout-team",
    }
    assert rules["CheckoutHighLatency"]["annotations"]["runbook_url"] == "docs/runbooks/CheckoutHighLatency.md"


async def test_every_rule_of_the_team_asks_for_something_that_exists(stand: Stand):
    """Without its threshold each expression has an answer: no rule is silent because it looks at nothing."""
    groups = yaml.safe_load(initial_rules(a_world()))["groups"]

    for rule in groups[0]["rules"]:
        expr = rule["expr"].rpartition(" > ")[0] or rule["expr"].rpartition(" == ")[0] or rule["expr"]
        assert (await stand.query(expr))["result"], rule["alert"]


def test_a_rule_without_threshold_is_added():
    """The scenario's name is in the file, and its expression compares with nothing."""
    rules = yaml.safe_load(initial_rules(a_world(load("rule-without-threshold"))))["groups"][0]["rules"]
    (added,) = [rule for rule in rules if rule["alert"] == "SearchUnavailable"]

    assert not any(sign in added["expr"] for sign in (">", "<", "==", "!="))


RECORDING = """
groups:
- name: slo
  interval: 5s
  rules:
  - record: service:requests:rate1m
    expr: sum by (service) (rate(http_requests_total[1m]))
    labels: {slo: requests}
  - alert: Busy
    expr: service:requests:rate1m{service="gateway"} > 1
    for: 2s
    labels: {severity: critical, whose: "{{ $labels.service }}"}
    annotations: {summary: "at {{ $value | humanize }}"}
"""


async def test_a_recorded_series_is_there_after_the_reload(stand: Stand):
    """It equals its expression now, has a past, and can be aggregated over time."""
    (stand.rule_dir / "slo.yml").write_text(RECORDING)
    before = await stand.query("service:requests:rate1m")
    reloaded = await stand.client.post("/-/reload")

    assert (before["result"], reloaded.status_code) == ([], 200)
    at = STARTED_AT + 60
    recorded = (await stand.query('service:requests:rate1m{service="auth"}', time=at))["result"][0]
    direct = (await stand.query('sum(rate(http_requests_total{service="auth"}[1m]))', time=at))["result"][0]
    assert recorded["value"] == direct["value"]
    assert recorded["metric"] == {"__name__": "service:requests:rate1m", "service": "auth", "slo": "requests"}
    assert await stand.value('count_over_time(service:requests:rate1m{service="auth"}[10m])') == 120
    answer = await stand.get("/api/v1/query_range", query="service:requests:rate1m", start=at - 300, end=at, step=60)
    assert {len(series["values"]) for series in answer.json()["data"]["result"]} == {6}


async def test_for_is_honoured_and_alerts_becomes_a_series(stand: Stand):
    """Pending first, firing when it has been so for 2 s; ALERTS and ALERTS_FOR_STATE say so."""
    (stand.rule_dir / "slo.yml").write_text(RECORDING)
    await stand.client.post("/-/reload")

    async def busy() -> dict:
        alerts = (await stand.get("/api/v1/alerts")).json()["data"]["alerts"]
        return next(alert for alert in alerts if alert["labels"]["alertname"] == "Busy")

    first = await busy()
    stand.clock.moment[0] += 2.0
    second = await busy()

    assert (first["state"], second["state"]) == ("pending", "firing")
    assert first["activeAt"] == second["activeAt"]
    assert second["labels"]["whose"] == "gateway"
    assert second["annotations"]["summary"].startswith("at ")
    firing = await stand.query('ALERTS{alertname="Busy",alertstate="firing"}')
    assert len(firing["result"]) == 1
    assert await stand.value('ALERTS_FOR_STATE{alertname="Busy"}') == int(STARTED_AT + 61.5)


@pytest.mark.parametrize(
    "text",
    [
        "groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]",
        "groups: [{name: x, rules: [{alert: A, record: b, expr: '1'}]}]",
        "groups: [{name: x, colour: red, rules: []}]",
        "groups: [{name: x, rules: [{alert: A, expr: '1', for: soon}]}]",
        "groups: [{name: x}, {name: x}]",
        "groups: {",
        "- a list",
    ],
)
async def test_a_bad_rule_file_leaves_the_old_rules(stand: Stand, text: str):
    """The reload answers 500 in text without the reason; what was loaded stays."""
    (stand.rule_dir / "bad.yml").write_text(text)

    answer = await stand.client.post("/-/reload")
    groups = (await stand.get("/api/v1/rules")).json()["data"]["groups"]

    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/plain")
    assert "bad.yml" not in answer.text
    assert [group["name"] for group in groups] == ["shop"]


async def test_a_reload_takes_rules_away(stand: Stand):
    """No file, no rules, no alerts."""
    (stand.rule_dir / "shop.yml").unlink()

    await stand.client.post("/-/reload")

    assert (await stand.get("/api/v1/rules")).json()["data"] == {"groups": []}
    assert (await stand.get("/api/v1/alerts")).json()["data"] == {"alerts": []}


async def test_alertmanagers_are_away_after_a_reload_where_asked(stand: Stand):
    """As the real one, when the gap is switched on."""
    stand.server.alertmanagers = ("http://127.0.0.1:9",)
    stand.server.reload_gap_seconds = 4.0

    async def active() -> list[str]:
        data = (await stand.get("/api/v1/alertmanagers")).json()["data"]
        return [entry["url"] for entry in data["activeAlertmanagers"]]

    assert await active() == ["http://127.0.0.1:9/api/v2/alerts"]
    await stand.client.post("/-/reload")
    assert await active() == []
    stand.clock.moment[0] += 4.0
    assert await active() == ["http://127.0.0.1:9/api/v2/alerts"]


async def test_buildinfo_and_config_are_there(stand: Stand):
    """Both inside the envelope."""
    info = (await stand.get("/api/v1/status/buildinfo")).json()["data"]
    config = yaml.safe_load((await stand.get("/api/v1/status/config")).json()["data"]["yaml"])

    assert info["version"] == "2.42.0"
    assert config["rule_files"] == [f"{stand.rule_dir}/*.yml"]


async def test_a_server_that_is_down_answers_503_in_plain_text_to_everything(down: Stand):
    """Not JSON, whatever is asked."""
    for path in ("/-/ready", "/-/healthy", "/api/v1/query?query=up", "/api/v1/rules", "/nowhere"):
        answer = await down.client.get(path)
        assert (answer.status_code, answer.text) == (503, "Service Unavailable")
        assert answer.headers["content-type"].startswith("text/plain")
    assert (await down.client.post("/-/reload")).status_code == 503


async def test_firing_alerts_are_posted(tmp_path: Path):
    """Pending ones are not; a peer that is down does not keep the other from its alerts."""
    got: list[list[dict]] = []

    async def take(request: Request) -> Response:
        got.append(await request.json())
        return Response(status_code=200)

    (tmp_path / "slo.yml").write_text(RECORDING)
    clock = Still()
    sink = Starlette(routes=[Route("/api/v2/alerts", take, methods=["POST"])])
    async with serving(sink) as peer, httpx.AsyncClient() as client:
        server = DemoPrometheus(a_world(), tmp_path, clock, (peer, "http://127.0.0.1:9"))
        await server.evaluate(client)
        clock.moment[0] += 3
        await server.evaluate(client)

        ((alert,),) = got
        assert alert["labels"] == {
            "alertname": "Busy",
            "service": "gateway",
            "severity": "critical",
            "slo": "requests",
            "whose": "gateway",
        }
        assert alert["startsAt"] < alert["endsAt"]
        assert alert["generatorURL"].startswith("http")


async def test_the_background_task_sends_by_itself(tmp_path: Path):
    """Started, it evaluates without being asked; stopped, it ends."""
    arrived = asyncio.Event()

    async def take(_request: Request) -> Response:
        arrived.set()
        return Response(status_code=200)

    world = a_world()
    (tmp_path / "shop.yml").write_text(initial_rules(world))
    sink = Starlette(routes=[Route("/api/v2/alerts", take, methods=["POST"])])
    async with serving(sink) as peer:
        server = DemoPrometheus(world, tmp_path, Still(), (peer,))
        await server.start()
        try:
            async with asyncio.timeout(10):
                await arrived.wait()
        finally:
            await server.stop()


async def test_an_alert_that_is_over_is_resolved_once(tmp_path: Path):
    """A rule whose expression stops matching sends an endsAt that is not in the future, one time."""
    got: list[list[dict]] = []

    async def take(request: Request) -> Response:
        got.append(await request.json())
        return Response(status_code=200)

    until = int(STARTED_AT + 65)
    rule = f"groups: [{{name: g, rules: [{{alert: Brief, expr: 'vector({until}) > time()'}}]}}]"
    (tmp_path / "brief.yml").write_text(rule)
    clock = Still()
    sink = Starlette(routes=[Route("/api/v2/alerts", take, methods=["POST"])])
    async with serving(sink) as peer, httpx.AsyncClient() as client:
        server = DemoPrometheus(a_world(), tmp_path, clock, (peer,))
        for step in (0, 5, 1, 1, 1):
            clock.moment[0] += step
            await server.evaluate(client)

    assert [len(batch) for batch in got] == [1, 1]
    assert got[1][0]["startsAt"] == got[0][0]["startsAt"]
    assert got[1][0]["endsAt"] == "2023-11-14T22:14:26.500Z"
    assert server.engine.alerts[(str(tmp_path / "brief.yml"), "g", "Brief", f"vector({until}) > time()")] == {}
