"""What every implementation of a port must do: the same questions to fakes, to backends over the demo, to the real."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ray_tui.backends import Opening, jaeger, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRefused,
    BackendUnreachable,
    NotSupported,
)
from ray_tui.core.ports import (
    Alerting,
    AlertSeen,
    AlertToFire,
    Chat,
    Dashboards,
    Logs,
    Mailbox,
    Metrics,
    Paging,
    Traces,
    Visits,
    WebhookSink,
)
from ray_tui.demo.alertmanager import DemoAlertmanager, demo_config, form_cluster
from ray_tui.demo.faults import Faults
from ray_tui.demo.github import REPOSITORY as GITHUB_REPOSITORY
from ray_tui.demo.github import TOKEN as GITHUB_TOKEN
from ray_tui.demo.github import DemoGitHub
from ray_tui.demo.grafana import TOKEN as GRAFANA_TOKEN
from ray_tui.demo.grafana import DemoGrafana
from ray_tui.demo.jaeger import DemoJaeger
from ray_tui.demo.loki import DemoLoki
from ray_tui.demo.mail import DemoMail
from ray_tui.demo.pagerduty import API_KEY, DemoPagerDuty
from ray_tui.demo.people import SERVICES as PAGER_SERVICES
from ray_tui.demo.people import People
from ray_tui.demo.prometheus import DemoPrometheus
from ray_tui.demo.scenario import Scenario, Telemetry
from ray_tui.demo.serving import serving
from ray_tui.demo.slack import TOKEN as SLACK_TOKEN
from ray_tui.demo.slack import DemoSlack
from ray_tui.demo.targets import DemoTargets
from ray_tui.demo.tempo import DemoTempo
from ray_tui.demo.webhook_sink import DemoWebhookSink
from ray_tui.demo.world import SERVICES, WORKERS, World
from tests.fakes import InMemoryDashboards, InMemoryLogs, InMemoryTraces, InMemoryVisits

CLOCK = Clock()
SILENT = Scenario(
    name="test", title="", telemetry=Telemetry(missing=(("cart", "logs"), ("cart", "traces"), ("cart", "metrics")))
)
RULES = """
groups:
  - name: conformance
    interval: 1s
    rules:
      - alert: AlwaysOn
        expr: vector(1) > 0
        labels: {severity: warning}
        annotations: {summary: it is on}
      - alert: NeverOn
        expr: vector(1) > 2
        for: 5m
      - record: one:copy
        expr: vector(1)
"""
T = TypeVar("T")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PAGERDUTY", API_KEY)
    monkeypatch.setenv("DEMO_SLACK", SLACK_TOKEN)
    monkeypatch.setenv("DEMO_GRAFANA", GRAFANA_TOKEN)
    monkeypatch.setenv("DEMO_MAIL", "demo-mail")
    monkeypatch.setenv("DEMO_TEST_KEY", next(one for one in PAGER_SERVICES if one.id == "PSVCTST").routing_key)
    monkeypatch.setenv("WRONG", "wrong-secret-value")


@asynccontextmanager
async def opened(port: str, kind: str, base: Path | None = None, **fields: Any) -> AsyncIterator[Any]:
    """A backend as the configuration would open it."""
    settings = settings_model(port, kind)(kind=kind, **fields)
    backend = open_backend(port, settings, Opening(CLOCK, jitter=lambda: 0.1, config_folder=base))
    try:
        yield backend
    finally:
        await backend.close()


async def until(ask: Callable[[], Awaitable[T]], seconds: float = 15.0) -> T:
    """The first answer that is neither empty nor None."""
    deadline = CLOCK.monotonic() + seconds
    while True:
        found = await ask()
        if found or CLOCK.monotonic() > deadline:
            assert found, "it did not come about in time"
            return found
        await asyncio.sleep(0.05)


def required(program: str) -> str:
    """The program's path; skips without it, unless the environment insists."""
    found = shutil.which(program)
    if found is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", f"{program} is not installed"
        pytest.skip(f"{program} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cases(*factories: Callable[..., Any]) -> Any:
    """One run of a test for each factory; those named real_* are marked so."""
    marks = [
        pytest.param(one, id=one.__name__, marks=[pytest.mark.real] if one.__name__.startswith("real_") else [])
        for one in factories
    ]
    return pytest.mark.parametrize("factory", marks)


# --- metrics ---------------------------------------------------------------------------------------------------------


@dataclass
class MetricsCase:
    port: Metrics
    rule_folder: Path
    url: str


@asynccontextmanager
async def demo_prometheus(tmp_path: Path) -> AsyncIterator[MetricsCase]:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "conformance.yml").write_text(RULES)
    server = DemoPrometheus(World(SILENT, CLOCK.wall()), folder, CLOCK, ("http://127.0.0.1:9",))
    async with serving(server.app) as url, opened("metrics", "prometheus", url=url) as port:
        await server.start()
        try:
            yield MetricsCase(port, folder, url)
        finally:
            await server.stop()


@asynccontextmanager
async def real_prometheus(tmp_path: Path) -> AsyncIterator[MetricsCase]:
    program, address = required("prometheus"), f"127.0.0.1:{free_port()}"
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "conformance.yml").write_text(RULES)
    (tmp_path / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [f"{folder}/*.yml"],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9"]}]}]},
                "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [address]}]}],
            }
        )
    )
    command = [
        program,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
    ]
    with running(command, tmp_path / "log"):
        async with opened("metrics", "prometheus", url=f"http://{address}") as port:

            async def well() -> bool:
                return (await port.health()).ok

            await until(well)
            yield MetricsCase(port, folder, f"http://{address}")


METRICS = cases(demo_prometheus, real_prometheus)


@METRICS
async def test_metrics_are_reachable_and_answer_questions(factory: Any, tmp_path: Path):
    """Health asks a real question; vectors, scalars, NaN, infinity and emptiness arrive as they are. (P11)"""
    async with factory(tmp_path) as case:
        health = await case.port.health()
        assert health.ok, health.detail
        assert health.version
        least, most = health.clock_skew_seconds
        assert least <= 0 <= most

        assert [one.value for one in (await case.port.query("vector(3)")).samples] == [3.0]
        (scalar,) = (await case.port.query("1 + 1")).samples
        assert (dict(scalar.labels), scalar.value) == ({}, 2.0)
        (nan,) = (await case.port.query("vector(0) / vector(0)")).samples
        assert nan.value != nan.value
        assert (await case.port.query("vector(1) / vector(0)")).samples[0].value == float("inf")
        assert (await case.port.query("no_such_metric_at_all")).samples == ()


@METRICS
async def test_a_question_is_asked_at_the_time_given(factory: Any, tmp_path: Path):
    """`at` is what the server calls now, to the millisecond."""
    async with factory(tmp_path) as case:
        (sample,) = (await case.port.query("time()", at=1_700_000_000.25)).samples
        assert sample.value == pytest.approx(1_700_000_000.25, abs=0.001)


@METRICS
async def test_the_server_says_which_rule_files_it_reads(factory: Any, tmp_path: Path):
    """The patterns as they stand in its configuration: whether a folder is read at all is known before 2.1 writes."""
    async with factory(tmp_path) as case:
        assert await case.port.rule_files() == (f"{case.rule_folder}/*.yml",)


@METRICS
async def test_a_wrong_expression_is_refused_with_the_servers_reason(factory: Any, tmp_path: Path):
    """A parse error is the asker's, not the server's: 400 with its words."""
    async with factory(tmp_path) as case:
        with pytest.raises(BackendRefused, match="parse error") as caught:
            await case.port.query("sum(")
        assert caught.value.status == 400


@METRICS
async def test_a_range_beyond_the_servers_limit_is_asked_in_parts_and_joined(factory: Any, tmp_path: Path):
    """25,000 steps, more than twice the 11,000-point limit, come back as one series without gap or double."""
    end = float(int(CLOCK.wall()))
    async with factory(tmp_path) as case:
        matrix = await case.port.query_range("vector(1)", end - 24_999, end, 1.0)
        (series,) = matrix.series
        assert [at for at, _ in series.points] == [end - 24_999 + step for step in range(25_000)]


@METRICS
async def test_loaded_rules_and_firing_alerts_are_seen(factory: Any, tmp_path: Path):
    """Rules come as loaded; an alert fires with its labels once it was evaluated."""
    async with factory(tmp_path) as case:
        rules = {rule.name: rule for rule in await case.port.rules() if rule.group == "conformance"}
        assert {name: rule.kind for name, rule in rules.items()} == {
            "AlwaysOn": "alerting",
            "NeverOn": "alerting",
            "one:copy": "recording",
        }
        assert rules["NeverOn"].for_seconds == 300.0
        assert rules["AlwaysOn"].labels == {"severity": "warning"}
        assert rules["AlwaysOn"].file.endswith("conformance.yml")

        async def firing() -> Any:
            return [one for one in await case.port.alerts() if one.labels["alertname"] == "AlwaysOn"]

        (alert,) = await until(firing)
        assert alert.state == "firing"
        assert alert.annotations["summary"] == "it is on"
        assert alert.active_at <= CLOCK.wall() + 1


@METRICS
async def test_targets_metadata_and_alertmanagers_are_listed(factory: Any, tmp_path: Path):
    """The rest of what the protocol asks of a Prometheus has its shape."""
    async with factory(tmp_path) as case:

        async def scraped() -> Any:
            return [one for one in await case.port.targets() if one.health == "up" and one.last_scrape]

        assert (await until(scraped))[0].labels["job"]
        assert "counter" in (await until(case.port.metadata)).values()
        assert "127.0.0.1:9" in (await until(case.port.alertmanagers))[0]


@METRICS
async def test_rule_files_take_effect_by_reload_and_a_bad_one_is_refused(factory: Any, tmp_path: Path):
    """A written file is loaded after reload; a broken one is refused and the old rules stay."""
    async with (
        factory(tmp_path) as case,
        opened("rules", "directory", directory=str(case.rule_folder), reload_urls=[f"{case.url}/-/reload"]) as store,
    ):
        assert await store.read("extra.yml") is None
        good = 'groups: [{name: extra, rules: [{alert: Extra, expr: "up == 0"}]}]'
        await store.write("extra.yml", good)
        await store.reload()
        assert await store.read("extra.yml") == good
        assert "Extra" in {rule.name for rule in await case.port.rules()}

        await store.write("extra.yml", 'groups: [{name: extra, rules: [{alert: Extra, expr: "sum("}]}]')
        with pytest.raises(BackendRefused, match="keeps its old rules"):
            await store.reload()
        assert "Extra" in {rule.name for rule in await case.port.rules()}

        await store.remove("extra.yml")
        await store.reload()
        assert "Extra" not in {rule.name for rule in await case.port.rules()}
        assert sorted(path.name for path in case.rule_folder.iterdir()) == ["conformance.yml"]


async def test_warnings_on_a_success_reach_the_caller(tmp_path: Path):
    """A partial answer says so: `warnings` on a 200 are kept."""
    async with faulty_prometheus(tmp_path) as (faults, port):
        result = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}
        faults.next("/api/v1/query", status=200, body={"status": "success", "data": result, "warnings": ["store down"]})
        assert (await port.query("up")).warnings == ("store down",)


async def test_a_native_histogram_is_no_number(tmp_path: Path):
    """A sample that has only a histogram arrives as NaN, which nothing may pass on."""
    async with faulty_prometheus(tmp_path) as (faults, port):
        result = {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "1", "sum": "1"}]}]}
        faults.next("/api/v1/query", status=200, body={"status": "success", "data": result})
        (sample,) = (await port.query("up")).samples
        assert sample.value != sample.value


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "html", "status": 200}, BackendBroken),
        ({"kind": "html", "status": 502}, BackendBroken),
        ({"kind": "invalid-json"}, BackendBroken),
        ({"status": 200, "body": {"status": "success", "data": {"resultType": "vector"}}}, BackendBroken),
        ({"status": 200, "body": {"status": "error", "error": "no"}}, BackendBroken),
        (
            {"status": 422, "body": {"status": "error", "errorType": "execution", "error": "many-to-many"}},
            BackendRefused,
        ),
        ({"status": 503, "body": "Service Unavailable"}, BackendBusy),
    ],
)
async def test_a_metrics_server_that_misbehaves_never_answers_empty(fault: dict[str, Any], kind: Any, tmp_path: Path):
    """Every broken answer is an error: none looks like an empty vector."""
    async with faulty_prometheus(tmp_path) as (faults, port):
        faults.next("/api/v1/query", times=3, **fault)
        with pytest.raises(kind):
            await port.query("up")


async def test_a_gateway_that_forbids_posts_is_asked_by_get(tmp_path: Path):
    """405 on the form makes this and later questions a GET."""
    async with faulty_prometheus(tmp_path) as (faults, port):
        faults.next("/api/v1/query", status=405)
        assert (await port.query("vector(3)")).samples[0].value == 3.0
        assert faults.seen[-1][0] == "GET"


async def test_an_endpoint_that_is_not_there_is_not_supported(tmp_path: Path):
    """A 404 on an endpoint is told apart from an empty answer."""
    async with faulty_prometheus(tmp_path) as (faults, port):
        faults.next("/api/v1/metadata", status=404, body="404 page not found")
        with pytest.raises(NotSupported, match="/api/v1/metadata"):
            await port.metadata()


async def test_metrics_that_are_down_are_not_well():
    """A server that is not there is an unhealthy answer with the reason. (P11)"""
    async with opened("metrics", "prometheus", url="http://127.0.0.1:9") as port:
        health = await port.health()
        assert not health.ok
        assert "http://127.0.0.1:9" in health.detail


@asynccontextmanager
async def faulty_prometheus(tmp_path: Path) -> AsyncIterator[tuple[Faults, Metrics]]:
    server = DemoPrometheus(World(SILENT, CLOCK.wall()), tmp_path, CLOCK)
    faults = Faults(server.app)
    async with serving(faults) as url, opened("metrics", "prometheus", url=url) as port:
        yield faults, port


# --- alerting --------------------------------------------------------------------------------------------------------


@dataclass
class AlertingCase:
    port: Alerting
    peers: int
    receiver: str
    routed_by: dict[str, str]


@asynccontextmanager
async def demo_alertmanager(tmp_path: Path) -> AsyncIterator[AlertingCase]:
    config = demo_config(
        events_url="http://127.0.0.1:9/v2/enqueue",
        slack_url="http://127.0.0.1:9/s",
        smarthost="127.0.0.1:9",
        watchdog_url="http://127.0.0.1:9/w",
        scenario=SILENT,
    )
    one, other = DemoAlertmanager(config, CLOCK, "am-0"), DemoAlertmanager(config, CLOCK, "am-1")
    form_cluster(one, other)
    try:
        async with (
            serving(one.app) as first,
            serving(other.app) as second,
            opened("alerting", "alertmanager", urls=[first, second]) as port,
        ):
            yield AlertingCase(port, 2, "pd-checkout", {"severity": "critical", "service": "checkout"})
    finally:
        await one.stop()
        await other.stop()


@asynccontextmanager
async def real_alertmanager(tmp_path: Path) -> AsyncIterator[AlertingCase]:
    program, address = required("prometheus-alertmanager"), f"127.0.0.1:{free_port()}"
    tree = {
        "route": {
            "receiver": "nobody",
            "group_by": ["run"],
            "group_wait": "1s",
            "routes": [{"matchers": ['service="checkout"'], "receiver": "hook"}],
        },
        "receivers": [{"name": "nobody"}, {"name": "hook", "webhook_configs": [{"url": "http://127.0.0.1:9/"}]}],
    }
    (tmp_path / "am.yml").write_text(json.dumps(tree))
    command = [program, f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/am"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with running(command, tmp_path / "log"):
        async with opened("alerting", "alertmanager", urls=[f"http://{address}"]) as port:

            async def well() -> bool:
                return (await port.health()).ok

            await until(well)
            yield AlertingCase(port, 1, "hook", {"service": "checkout"})


ALERTING = cases(demo_alertmanager, real_alertmanager)


def an_alert(labels: dict[str, str], ends_in: float = 60.0) -> AlertToFire:
    now = CLOCK.wall()
    return AlertToFire(labels, {"summary": "a test"}, now - 1, now + ends_in)


@ALERTING
async def test_an_alert_is_taken_found_and_resolved_on_every_peer(factory: Any, tmp_path: Path):
    """Fired, it is found by its labels with the receiver that it was routed to; resolved, it is gone."""
    labels = {"alertname": 'Say "hi" \\ there', "run": "r-1", **{}}
    async with factory(tmp_path) as case:
        labels |= case.routed_by
        answers = await case.port.fire(an_alert(labels))
        assert [answer.ok for answer in answers] == [True] * case.peers
        assert tuple(answer.peer for answer in answers) == case.port.peers
        assert all(answer.sent_at <= answer.answered_at for answer in answers)

        async def found() -> tuple[AlertSeen, ...]:
            seen = await case.port.find(labels)
            return seen if len(seen) == case.peers and all(one.state == "active" for one in seen) else ()

        for seen in await until(found):
            assert seen.labels == labels
            assert case.receiver in seen.receivers
            assert (seen.silenced_by, seen.inhibited_by, seen.muted_by) == ((), (), ())
        assert await case.port.find({**labels, "run": "r-2"}) == ()

        await case.port.fire(an_alert(labels, ends_in=-0.5))

        async def gone() -> bool:
            return not await case.port.find(labels)

        await until(gone)


@ALERTING
async def test_alertmanagers_configuration_and_counters_can_be_read(factory: Any, tmp_path: Path):
    """Every peer's running configuration, cluster state and delivery counters."""
    async with factory(tmp_path) as case:
        health = await case.port.health()
        assert health.ok, health.detail
        statuses = await case.port.status()
        assert len(statuses) == case.peers
        assert all(case.receiver in status.config_yaml and "route:" in status.config_yaml for status in statuses)
        counters = await case.port.notifications()
        assert {peer for peer, _ in counters} == set(case.port.peers)
        assert counters[case.port.peers[0], "webhook"] == 0.0
        assert await case.port.silences() == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('"Failed to parse: bad label"', "bad label"),
        ('{"code":602,"message":"labels is required"}', "labels"),
        ("", "400"),
    ],
)
async def test_alertmanagers_three_ways_to_refuse_are_understood(body: str, said: str, tmp_path: Path):
    """A bare JSON string, an object and an empty body are each one refused peer answer."""
    server = DemoAlertmanager("route: {receiver: n}\nreceivers: [{name: n}]", CLOCK)
    faults = Faults(server.app)
    async with serving(faults) as url, opened("alerting", "alertmanager", urls=[url]) as port:
        faults.next("/api/v2/alerts", status=400, body=body, content_type="application/json")
        (answer,) = await port.fire(an_alert({"alertname": "x"}))
        assert not answer.ok
        assert said in answer.detail
    await server.stop()


async def test_a_peer_that_is_down_is_an_answer_and_no_error():
    """One dead peer of two: firing says so for that peer, reading goes on, health is bad."""
    server = DemoAlertmanager("route: {receiver: n}\nreceivers: [{name: n}]", CLOCK)
    async with serving(server.app) as url, opened("alerting", "alertmanager", urls=[url, "http://127.0.0.1:9"]) as port:
        answers = await port.fire(an_alert({"alertname": "x"}))
        assert [answer.ok for answer in answers] == [True, False]
        assert "http://127.0.0.1:9" in answers[1].detail
        assert [one.peer for one in await port.find({"alertname": "x"})] == [url]
        assert not (await port.health()).ok
    await server.stop()


async def test_no_peer_at_all_is_an_error():
    """Where nobody answers, emptiness would be a lie."""
    async with opened("alerting", "alertmanager", urls=["http://127.0.0.1:9"]) as port:
        with pytest.raises(BackendUnreachable):
            await port.find({"alertname": "x"})
        with pytest.raises(BackendError):
            await port.status()


async def test_silences_are_read_with_their_matchers():
    """The four operators come from isRegex and isEqual; an expired one tells still when it held. (P54)"""
    server = DemoAlertmanager("route: {receiver: n}\nreceivers: [{name: n}]", CLOCK)
    matchers = [
        {"name": "a", "value": "1", "isRegex": False},
        {"name": "b", "value": "2", "isRegex": False, "isEqual": False},
        {"name": "c", "value": "3.*", "isRegex": True, "isEqual": True},
        {"name": "d", "value": "4.*", "isRegex": True, "isEqual": False},
    ]
    times = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2126-01-01T00:00:00Z"}
    server.put_silence({"matchers": matchers, **times, "createdBy": "ann", "comment": "work"})
    async with serving(server.app) as url, opened("alerting", "alertmanager", urls=[url]) as port:
        (silence,) = await port.silences()
        assert silence.matchers == (("a", "=", "1"), ("b", "!=", "2"), ("c", "=~", "3.*"), ("d", "!~", "4.*"))
        assert (silence.created_by, silence.comment) == ("ann", "work")
        server.expire_silence(silence.id)
        (expired,) = await port.silences()
        assert expired.starts_at < expired.ends_at <= CLOCK.wall()
        assert expired.matchers == silence.matchers
    await server.stop()


# --- logs ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_loki(tmp_path: Path) -> AsyncIterator[Logs]:
    server = DemoLoki(World(SILENT, CLOCK.wall()), CLOCK, tenant="shop")
    async with serving(server.app) as url, opened("logs", "loki", url=url, tenant="shop") as port:
        yield port


@asynccontextmanager
async def fake_logs(tmp_path: Path) -> AsyncIterator[Logs]:
    yield InMemoryLogs(seen={one.name: CLOCK.wall() - 1 for one in SERVICES if one.name != "cart"})


@cases(demo_loki, fake_logs)
async def test_logs_are_reachable_and_tell_when_each_service_logged_last(factory: Any, tmp_path: Path):
    """Services that log are fresh, the silent one is None, and every name that was asked has an answer. (P12)"""
    since = CLOCK.wall() - 600
    async with factory(tmp_path) as port:
        health = await port.health()
        assert health.ok, health.detail
        asked = {one.name: {"app": one.name} for one in SERVICES} | {"no.such(one)": {"app": "no.such(one)"}}
        seen = await port.last_seen(asked, since)
        assert set(seen) == set(asked)
        assert {name for name, one in seen.items() if one.at is None} == {"cart", "no.such(one)"}
        assert all(since <= one.at <= CLOCK.wall() + 1 for one in seen.values() if one.at is not None)
        assert all(name in one.query for name, one in seen.items())
        known = await port.known_services("app", since)
        assert "checkout" in known
        assert "cart" not in known


async def test_services_selected_by_several_labels_are_found():
    """Selectors of different shapes are asked in groups, and each finds its own."""
    server = DemoLoki(World(SILENT, CLOCK.wall()), CLOCK)
    asked = {
        "checkout": {"app": "checkout", "service_name": "checkout"},
        "payments": {"service_name": "payments"},
        "crossed": {"app": "checkout", "service_name": "payments"},
    }
    async with serving(server.app) as url, opened("logs", "loki", url=url) as port:
        seen = await port.last_seen(asked, CLOCK.wall() - 600)
        assert {name: one.at is not None for name, one in seen.items()} == {
            "checkout": True,
            "payments": True,
            "crossed": False,
        }


async def test_too_many_series_are_asked_in_smaller_parts():
    """Loki's series limit splits the question; nobody is lost by it."""
    server = DemoLoki(World(SILENT, CLOCK.wall()), CLOCK)
    faults = Faults(server.app)
    async with serving(faults) as url, opened("logs", "loki", url=url) as port:
        too_many = "maximum of series (500) reached for a single query"
        faults.next("/loki/api/v1/query", status=400, body=too_many, content_type="text/plain", times=2)
        seen = await port.last_seen({one.name: {"app": one.name} for one in SERVICES}, CLOCK.wall() - 600)
        assert {name for name, one in seen.items() if one.at is None} == {"cart"}


async def test_logs_without_the_tenant_are_not_well():
    """A Loki that asks for a tenant refuses us without one, in plain text. (P12)"""
    server = DemoLoki(World(SILENT, CLOCK.wall()), CLOCK, tenant="shop")
    async with serving(server.app) as url, opened("logs", "loki", url=url) as port:
        health = await port.health()
        assert not health.ok
        assert "no org id" in health.detail


# --- traces ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_tempo(tmp_path: Path) -> AsyncIterator[Traces]:
    server = DemoTempo(World(SILENT, CLOCK.wall()), CLOCK)
    async with serving(server.app) as url, opened("traces", "tempo", url=url) as port:
        yield port


@asynccontextmanager
async def demo_jaeger(tmp_path: Path) -> AsyncIterator[Traces]:
    server = DemoJaeger(World(SILENT, CLOCK.wall()), CLOCK, legacy=False)
    async with serving(server.app) as url, opened("traces", "jaeger", url=url) as port:
        yield port


@asynccontextmanager
async def demo_legacy_jaeger(tmp_path: Path) -> AsyncIterator[Traces]:
    server = DemoJaeger(World(SILENT, CLOCK.wall()), CLOCK)
    faults = Faults(server.app)
    faults.next("/api/v3", status=404, body="404 page not found", times=10_000)
    async with serving(faults) as url, opened("traces", "jaeger", url=url) as port:
        yield port


@asynccontextmanager
async def fake_traces(tmp_path: Path) -> AsyncIterator[Traces]:
    yield InMemoryTraces(
        seen={one.name: CLOCK.wall() - 1 for one in SERVICES if one.name not in {"cart", *WORKERS}},
        spans={"checkout": frozenset({"POST /api/v2/checkout"})},
    )


@cases(demo_tempo, demo_jaeger, demo_legacy_jaeger, fake_traces)
async def test_traces_are_reachable_and_tell_when_each_service_was_traced_last(factory: Any, tmp_path: Path):
    """Traced services are fresh, silent ones None; span names are the service's own. (P13)"""
    since = CLOCK.wall() - 1200
    async with factory(tmp_path) as port:
        health = await port.health()
        assert health.ok, health.detail
        asked = {f"our-{one.name}": one.name for one in SERVICES} | {"our-nobody": "no-such-service"}
        if isinstance(port, InMemoryTraces):
            asked = {name.removeprefix("our-"): wire for name, wire in asked.items()}
        seen = await port.last_seen(asked, since)
        assert set(seen) == set(asked)
        silent = {asked[name] for name, one in seen.items() if one.at is None}
        assert silent == {"cart", "no-such-service", *WORKERS}
        assert all(since <= one.at <= CLOCK.wall() + 1 for one in seen.values() if one.at is not None)

        operations = await port.operations("checkout", since)
        assert any("/api/v2/checkout" in one for one in operations)
        assert not any("recommendations" in one for one in operations)
        assert not any("/api/v1/checkout" in one for one in operations), "its last span is from before that time"
        assert "checkout" in await port.known_services(since)


@cases(demo_jaeger, demo_legacy_jaeger)
async def test_an_operation_that_is_not_among_the_newest_traces_is_searched_for(
    factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Looking at one trace finds one operation; the names that Jaeger has kept are then asked for, each since then."""
    monkeypatch.setattr(jaeger, "DEPTH", "1")
    async with factory(tmp_path) as port:
        operations = await port.operations("gateway", CLOCK.wall() - 1200)
        assert {"POST /api/orders", "GET /api"} <= operations
        assert not any("/api/v1/checkout" in one for one in await port.operations("checkout", CLOCK.wall() - 1200))


@cases(demo_jaeger, demo_legacy_jaeger)
async def test_more_operations_than_can_be_searched_for_are_no_answer(
    factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Names with ids in them are too many to ask for: that is said, and none is believed or left out."""
    monkeypatch.setattr(jaeger, "MOST_OPERATIONS", 0)
    async with factory(tmp_path) as port:
        with pytest.raises(NotSupported, match="at most 0 are searched for"):
            await port.operations("checkout", CLOCK.wall() - 1200)


async def test_a_tempo_that_ignores_the_filter_does_not_lend_other_services_names():
    """Where tag values are not filtered by q, span names come from a search for the service."""
    server = DemoTempo(World(SILENT, CLOCK.wall()), CLOCK)
    faults = Faults(server.app)
    everything = {"tagValues": [{"type": "string", "value": "GET /of-somebody-else"}]}
    async with serving(faults) as url, opened("traces", "tempo", url=url) as port:
        faults.next("/api/v2/search/tag/name/values", status=200, body=everything, times=10)
        operations = await port.operations("checkout", CLOCK.wall() - 1200)
        assert "GET /of-somebody-else" not in operations
        assert any("/api/v2/checkout" in one for one in operations)


# --- synthetics ------------------------------------------------------------------------------------------------------


@dataclass
class VisitsCase:
    port: Visits
    good: str
    bad: str


@asynccontextmanager
async def demo_visits(tmp_path: Path) -> AsyncIterator[VisitsCase]:
    server = DemoTargets()
    server.down.add("cart")
    async with serving(server.app) as url, opened("visits", "http", check_url=f"{url}/healthz") as port:
        yield VisitsCase(port, f"{url}/checkout/healthz", f"{url}/cart/healthz")


@asynccontextmanager
async def fake_visits(tmp_path: Path) -> AsyncIterator[VisitsCase]:
    yield VisitsCase(InMemoryVisits(down={"http://shop/cart": "503"}), "http://shop/checkout", "http://shop/cart")


@cases(demo_visits, fake_visits)
async def test_synthetic_visits_tell_up_from_down(factory: Any, tmp_path: Path):
    """A good page is ok with its status and time; a failing one is an answer, not an error. (P14)"""
    async with factory(tmp_path) as case:
        health = await case.port.health()
        assert health.ok, health.detail
        good, bad = await case.port.visit(case.good), await case.port.visit(case.bad)
        assert (good.ok, good.status, good.url) == (True, 200, case.good)
        assert 0 <= good.seconds < 5
        assert (bad.ok, bad.status) == (False, 503)
        there, gone = await case.port.read(case.good), await case.port.read(case.bad)
        assert (there.visit.ok, there.visit.url) == (True, case.good)
        assert "ok" in (there.text or "")
        assert (gone.visit.ok, gone.visit.status, gone.text) == (False, 503, None)


async def test_a_page_is_read_only_where_it_is_text_and_small():
    """Its media type without parameters; bytes, a page over 2 MiB and nobody at all leave nothing to read."""
    server = DemoTargets()
    faults = Faults(server.app)
    async with serving(faults) as url, opened("visits", "http") as port:
        where = f"{url}/healthz"
        faults.next("/healthz", status=200, body="# Café\r\n")
        page = await port.read(where)
        assert (page.media_type, page.text) == ("text/plain", "# Café\n")
        for body in (b"\xff\xfe", b"a\x00b", b"x" * (2 * 1024 * 1024 + 1)):
            faults.next("/healthz", status=200, body=body)
            page = await port.read(where)
            assert (page.visit.ok, page.visit.status, page.text) == (True, 200, None)
        nobody = await port.read("http://127.0.0.1:9/x")
        assert (nobody.visit.ok, nobody.visit.status, nobody.text) == (False, None, None)


async def test_a_visit_that_meets_nobody_or_a_redirect_is_not_ok():
    """No connection has no status; a redirect is not followed and not up. (P14)"""
    server = DemoTargets()
    faults = Faults(server.app)
    async with serving(faults) as url, opened("visits", "http", check_url=f"{url}/healthz") as port:
        faults.next("/healthz", status=302, headers={"location": f"{url}/checkout/healthz"})
        redirected = await port.visit(f"{url}/healthz")
        assert (redirected.ok, redirected.status) == (False, 302)
        assert len(faults.seen) == 1
        nobody = await port.visit("http://127.0.0.1:9/x")
        assert (nobody.ok, nobody.status) == (False, None)
        for nonsense in ("http://[::1", "ftp://x.example/", "", "http://x.example:port/"):
            assert not (await port.visit(nonsense)).ok
        faults.next("/healthz", status=500)
        assert not (await port.health()).ok


async def test_visits_without_an_address_to_check_prove_nothing():
    """No check_url, no claim that synthetics are reachable. (P14)"""
    async with opened("visits", "http") as port:
        assert not (await port.health()).ok


# --- dashboards ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_grafana(tmp_path: Path) -> AsyncIterator[Dashboards]:
    server = DemoGrafana(CLOCK, SILENT)
    async with (
        serving(server.app) as url,
        opened("dashboards", "grafana", url=url, bearer_token="env:DEMO_GRAFANA") as port,
    ):
        yield port


@asynccontextmanager
async def fake_dashboards(tmp_path: Path) -> AsyncIterator[Dashboards]:
    yield InMemoryDashboards()


DASHBOARDS = cases(demo_grafana, fake_dashboards)
MODEL = {"uid": "ray-conf", "title": "Conformance", "tags": ["ray-conf"], "schemaVersion": 39, "panels": []}


@DASHBOARDS
async def test_a_dashboard_is_created_updated_and_deleted_under_its_version(factory: Any, tmp_path: Path):
    """Saving answers what is stored; a stale version is refused and changes nothing; deleting twice is fine."""
    async with factory(tmp_path) as port:
        health = await port.health()
        assert health.ok, health.detail
        assert await port.get("ray-conf") is None
        first = await port.save(MODEL, folder_uid="", message="new", expected_version=None)
        assert (first.uid, first.title, first.provisioned) == ("ray-conf", "Conformance", False)

        second = await port.save(
            {**first.model, "title": "Second"}, folder_uid=first.folder_uid, message="x", expected_version=first.version
        )
        assert second.version > first.version
        with pytest.raises(BackendRefused):
            await port.save({**MODEL, "title": "Lost"}, folder_uid="", message="x", expected_version=first.version)
        with pytest.raises(BackendRefused):
            await port.save(MODEL, folder_uid="", message="again", expected_version=None)
        stored = await port.get("ray-conf")
        assert (stored.title, stored.version) == ("Second", second.version)

        assert ("ray-conf", "Second") in await port.search()
        assert await port.search("ray-conf") == (("ray-conf", "Second"),)
        assert await port.search("no-such-tag") == ()
        await port.delete("ray-conf")
        assert await port.get("ray-conf") is None


@DASHBOARDS
async def test_data_sources_and_annotations(factory: Any, tmp_path: Path):
    """The default data source is known; an annotation is found by all of its tags."""
    async with factory(tmp_path) as port:
        assert any(one.is_default and one.kind == "prometheus" for one in await port.datasources())
        tags = ("deployment", "release:conf")
        assert await port.annotations(tags) == ()
        assert await port.annotate("released v2", tags, CLOCK.wall())
        assert await port.annotations(tags) == ("released v2",)
        assert await port.annotations((*tags, "other")) == ()


async def test_what_grafana_holds_is_written_back_as_it_was():
    """An emoji's invisible selector is shown to us as text, and saved again as the selector."""
    server = DemoGrafana(CLOCK, SILENT)
    async with (
        serving(server.app) as url,
        opened("dashboards", "grafana", url=url, bearer_token="env:DEMO_GRAFANA") as port,
    ):
        model = {**MODEL, "panels": [{"id": 1, "type": "text", "title": "\u26a0\ufe0f attention"}]}
        first = await port.save(model, folder_uid="", message="", expected_version=None)
        assert first.model["panels"][0]["title"] == "\u26a0\\u{fe0f} attention"

        await port.save(dict(first.model), folder_uid="", message="", expected_version=first.version)

        stored = server.dashboards["ray-conf"]
        assert "\ufe0f" in json.dumps(vars(stored), default=str, ensure_ascii=False)
        assert "u{fe0f}" not in json.dumps(vars(stored), default=str, ensure_ascii=False)


async def test_a_dashboard_from_a_file_says_so_when_saved():
    """A provisioned dashboard is refused with what to do."""
    server = DemoGrafana(CLOCK, SILENT)
    async with (
        serving(server.app) as url,
        opened("dashboards", "grafana", url=url, bearer_token="env:DEMO_GRAFANA") as port,
    ):
        first = await port.save(MODEL, folder_uid="", message="", expected_version=None)
        server.provisioned.add("ray-conf")
        assert (await port.get("ray-conf")).provisioned
        with pytest.raises(BackendRefused, match="comes from a file"):
            await port.save(dict(first.model), folder_uid="", message="", expected_version=first.version)


async def test_a_wrong_grafana_token_is_found_out():
    """/api/health needs no login: a bad token must be noticed all the same, and not repeated."""
    server = DemoGrafana(CLOCK, SILENT)
    async with serving(server.app) as url, opened("dashboards", "grafana", url=url, bearer_token="env:WRONG") as port:
        health = await port.health()
        assert not health.ok
        assert "env:WRONG" in health.detail
        assert "wrong-secret-value" not in health.detail


# --- paging ----------------------------------------------------------------------------------------------------------


@dataclass
class PagingCase:
    port: Paging
    server: DemoPagerDuty
    faults: Faults

    def trigger(self, token: str, service: str = "PSVCCHK", **details: str) -> None:
        """As Alertmanager would: the token stands in the details only, the key is a hash."""
        key = next(one.routing_key for one in PAGER_SERVICES if one.id == service)
        text = f"Labels:\n - alertname = X\n - ray_tui_probe = {token}\n"
        payload = {
            "summary": "[FIRING:1] X",
            "source": "am",
            "severity": "critical",
            "custom_details": {"firing": text, **details},
        }
        self.server.take(
            {"routing_key": key, "event_action": "trigger", "dedup_key": f"key-of-{hash(token)}", "payload": payload}
        )


@asynccontextmanager
async def demo_paging(**fields: Any) -> AsyncIterator[PagingCase]:
    people = People(ack_after_seconds=0.1)
    people.escalation_seconds = 0.5
    server = DemoPagerDuty(people, CLOCK, SILENT)
    faults = Faults(server.app)
    settings = {
        "token": "env:DEMO_PAGERDUTY",
        "test_routing_key": "env:DEMO_TEST_KEY",
        "from_email": "sam@shop.example",
    }
    async with (
        serving(faults) as url,
        opened("paging", "pagerduty", api_url=url, events_url=url, **(settings | fields)) as port,
    ):
        try:
            yield PagingCase(port, server, faults)
        finally:
            await server.stop()


async def test_pagerduty_is_operational_with_its_test_credentials():
    """The key is accepted, and a test event goes to the test service and is ended again. (P15)"""
    async with demo_paging() as case:
        assert (await case.port.health()).ok
        proved = await case.port.test_event("ray-tui-t1")
        assert proved.ok, proved.detail
        assert [event["event_action"] for event in case.server.events] == ["trigger", "resolve"]
        assert case.server.pages_sent == []
        assert all(one.status == "resolved" for one in case.server.incidents.values())


async def test_pagerduty_with_a_wrong_key_is_not_well():
    """A refused key names its reference and is never shown. (P15)"""
    async with demo_paging(token="env:WRONG") as case:
        health = await case.port.health()
        assert not health.ok
        assert "env:WRONG" in health.detail
        assert "wrong-secret-value" not in health.detail


async def test_without_a_test_key_the_events_side_is_not_proved():
    """No test routing key, no test event, and no claim. (P15)"""
    async with demo_paging(test_routing_key=None) as case:
        assert not (await case.port.test_event("t")).ok
        assert case.server.events == []


async def test_a_rejected_test_key_is_not_well_and_not_shown():
    """The Events API's refusal is told without the routing key. (P15)"""
    async with demo_paging() as case:
        key = os.environ["DEMO_TEST_KEY"]
        case.server.reject_routing_keys.add(key)
        proved = await case.port.test_event("t")
        assert not proved.ok
        assert "400" in proved.detail
        assert key not in proved.detail


async def test_who_is_on_call_and_how_it_escalates():
    """Levels, people, delays and the services that page through each policy."""
    async with demo_paging() as case:
        rota = {(one.policy_id, one.level): one.user for one in await case.port.on_call()}
        assert rota["PPOLPAY", 1] == "Priya Nair"
        assert rota["PPOLPAY", 2] == "Tom Brandt"
        assert next(one.until for one in await case.port.on_call() if one.policy_id == "PPOLPAY") is None
        policies = {one.id: one for one in await case.port.policies()}
        assert policies["PPOLPAY"].delays_seconds == pytest.approx((0.5, 0.5))
        assert {one.id: one.policy_id for one in await case.port.services()}["PSVCPAY"] == "PPOLPAY"


async def test_a_page_is_found_by_its_token_and_tells_who_acknowledged():
    """Only the incident with our token; its log oldest first; a person's acknowledgement is a person's."""
    since = CLOCK.wall() - 5
    async with demo_paging() as case:
        case.trigger("tok-1")
        case.trigger("tok-2")

        async def acknowledged() -> Any:
            return [page for page in await case.port.pages("tok-1", since) if page.status == "acknowledged"]

        (page,) = await until(acknowledged)
        assert (page.service_id, page.policy_id, page.urgency) == ("PSVCCHK", "PPOLCHK", "high")
        kinds = [event.kind for event in page.events]
        assert kinds[0] == "triggered"
        assert kinds.index("notified") < kinds.index("acknowledged")
        notified = next(event for event in page.events if event.kind == "notified")
        assert (notified.agent_kind, notified.recipients, notified.level) == ("service", ("PMIRA",), 1)
        assert notified.channel in ("sms", "phone", "push")
        done = next(event for event in page.events if event.kind == "acknowledged")
        assert (done.agent_kind, done.agent, done.agent_id) == ("user", "Mira Okafor", "PMIRA")
        assert await case.port.pages("tok-3", since) == ()


async def test_an_acknowledgement_by_a_machine_is_not_a_persons():
    """The integration's own acknowledgement is told apart by its agent."""
    async with demo_paging() as case:
        case.server.auto_ack = True
        case.trigger("tok-auto")
        (page,) = await case.port.pages("tok-auto", CLOCK.wall() - 5)
        assert {event.agent_kind for event in page.events if event.kind == "acknowledged"} == {"service"}


async def test_an_escalation_reaches_the_second_level():
    """Where level 1 leaves it alone, level 2 is notified, counted as such, and acknowledges."""
    since = CLOCK.wall() - 5
    async with demo_paging() as case:
        case.trigger("tok-up", note="do not acknowledge")

        async def acknowledged() -> Any:
            return [page for page in await case.port.pages("tok-up", since) if page.status == "acknowledged"]

        (page,) = await until(acknowledged)
        assert "escalated" in [event.kind for event in page.events]
        assert [(e.recipients, e.level) for e in page.events if e.kind == "notified"] == [
            (("PMIRA",), 1),
            (("PTOM",), 2),
        ]


async def test_a_token_in_a_later_alert_of_a_long_list_is_found():
    """Incidents are paged through, and closed ones are asked for their alerts only once."""
    async with demo_paging() as case:
        for number in range(120):
            case.trigger(f"bulk-{number:03d}")
        for incident in list(case.server.incidents.values()):
            case.server.resolve(incident, {"id": "PX", "type": "user_reference", "summary": "x"}, "website")
        since = CLOCK.wall() - 60
        assert len(await case.port.pages("bulk-000", since)) == 1
        asked = len([path for _, path in case.faults.seen if "/alerts" in path])
        assert asked == 120
        assert len(await case.port.pages("bulk-119", since)) == 1
        assert len([path for _, path in case.faults.seen if "/alerts" in path]) == asked


async def test_resolving_an_incident_twice_is_fine():
    """It ends resolved with our note; a second time changes nothing and is no error."""
    async with demo_paging() as case:
        case.trigger("tok-end")
        (page,) = await case.port.pages("tok-end", CLOCK.wall() - 5)
        await case.port.resolve(page.incident_id, "ray-tui test is over")
        await case.port.resolve(page.incident_id, "")
        incident = case.server.incidents[page.incident_id]
        assert (incident.status, incident.notes) == ("resolved", ["ray-tui test is over"])


async def test_past_incidents_are_read_from_pagerduty():
    """Those that overlap the window, with their service and end."""
    now = CLOCK.wall()
    past = [
        {
            "id": "Q1",
            "title": "Old",
            "service": "checkout",
            "started_at": now - 9e5,
            "ended_at": now - 8.9e5,
            "severity": "critical",
        },
        {
            "id": "Q2",
            "title": "In",
            "service": "payments",
            "started_at": now - 8000,
            "ended_at": now - 7000,
            "severity": "critical",
        },
        {
            "id": "Q3",
            "title": "Across",
            "service": "cart",
            "started_at": now - 90_000,
            "ended_at": now - 9000,
            "severity": "critical",
        },
    ]
    server = DemoPagerDuty(People(ack_after_seconds=0.1), CLOCK, SILENT, past)
    async with (
        serving(server.app) as url,
        opened("incidents", "pagerduty", api_url=url, token="env:DEMO_PAGERDUTY") as port,
    ):
        assert (await port.health()).ok
        found = await port.between(now - 10_000, now)
        assert [(one.id, one.title, one.service) for one in found] == [
            ("Q3", "Across", "Checkout"),
            ("Q2", "In", "Payments"),
        ]
        assert found[1].ended_at == pytest.approx(now - 7000, abs=1)


# --- chat ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_slack(**fields: Any) -> AsyncIterator[tuple[Chat, DemoSlack]]:
    server = DemoSlack(People(ack_after_seconds=0.05), CLOCK)
    async with (
        serving(server.app) as url,
        opened("chat", "slack", **({"api_url": f"{url}/api", "token": "env:DEMO_SLACK"} | fields)) as port,
    ):
        try:
            yield port, server
        finally:
            await server.stop()


async def test_slack_is_operational_with_its_test_credentials():
    """The token works and the app is in the test channel; being outside of it is found out. (P16)"""
    async with demo_slack(test_channel="#release") as (port, _):
        health = await port.health()
        assert health.ok, health.detail
    async with demo_slack(test_channel="#secrets") as (port, _):
        health = await port.health()
        assert not health.ok
        assert "not_in_channel" in health.detail


async def test_slack_with_a_wrong_token_is_not_well():
    """Slack says 200 with ok:false: that is a refusal, and the token is not shown. (P16)"""
    async with demo_slack(token="env:WRONG") as (port, _):
        health = await port.health()
        assert not health.ok
        assert "invalid_auth" in health.detail
        assert "wrong-secret-value" not in health.detail


async def test_a_message_is_found_with_the_people_who_reacted():
    """Our message by its token, with a person's reactions and a person's reply."""
    since = CLOCK.wall() - 1
    async with demo_slack() as (port, server):
        ts = await port.post("#release", "[TEST] probe tok-s1")
        server.say("#release", "mira", "about something else")

        async def reacted() -> Any:
            return [one for one in await port.find("#release", "tok-s1", since) if one.reactions]

        (message,) = await until(reacted)
        assert (message.id, message.channel) == (ts, "C0RELEASE")
        assert since <= message.at <= CLOCK.wall()
        assert ("eyes", "Sam Ito", False) in message.reactions


async def test_a_reaction_of_a_bot_is_marked_as_one():
    """A bot's reaction is nobody's acknowledgement."""
    async with demo_slack() as (port, server):
        server.reaction_by_bot = True
        await port.post("C0RELEASE", "[TEST] probe tok-s2")

        async def reacted() -> Any:
            return [one for one in await port.find("C0RELEASE", "tok-s2", CLOCK.wall() - 5) if one.reactions]

        (message,) = await until(reacted)
        assert all(is_bot for _, _, is_bot in message.reactions)


async def test_an_alert_that_came_through_the_incoming_webhook_is_found():
    """Alertmanager's messages have their text in attachments."""
    async with demo_slack() as (port, server):
        for number in range(40):
            server.say("#release", "mira", f"chatter {number}")
        server.history_limit = 15
        server._store("C0RELEASE", {"text": "", "attachments": [{"title": "[FIRING:1]", "text": "run tok-s3"}]})
        for number in range(40):
            server.say("#release", "mira", f"more chatter {number}")
        (message,) = await port.find("#release", "tok-s3", CLOCK.wall() - 5)
        assert "tok-s3" in message.text


async def test_an_unknown_channel_is_refused():
    """A wrong channel says so instead of finding nothing."""
    async with demo_slack() as (port, _):
        with pytest.raises(BackendRefused, match="no channel #nowhere"):
            await port.find("#nowhere", "tok", CLOCK.wall())


# --- mail ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_mail(**fields: Any) -> AsyncIterator[tuple[Mailbox, DemoMail]]:
    server = DemoMail(People(ack_after_seconds=0.05), CLOCK)
    await server.start()
    settings = {
        "smtp_host": "127.0.0.1",
        "smtp_port": server.smtp_port,
        "smtp_security": "none",
        "imap_host": "127.0.0.1",
        "imap_port": server.imap_port,
        "imap_security": "none",
        "user": "demo",
        "password": "env:DEMO_MAIL",
        "from_address": "ray-tui@shop.example",
    }
    try:
        async with opened("mail", "smtp-imap", **(settings | fields)) as port:
            yield port, server
    finally:
        await server.stop()


async def test_mail_is_operational_with_its_test_credentials():
    """Both servers let us in and the folder opens. (P17)"""
    async with demo_mail() as (port, _):
        health = await port.health()
        assert health.ok, health.detail


async def test_mail_with_a_wrong_password_or_no_server_is_not_well():
    """A refused login names its reference; a closed port names the place. (P17)"""
    async with demo_mail(password="env:WRONG") as (port, _):
        health = await port.health()
        assert not health.ok
        assert "env:WRONG" in health.detail
        assert "wrong-secret-value" not in health.detail
    async with demo_mail(imap_port=9) as (port, _):
        health = await port.health()
        assert not health.ok
        assert "IMAP 127.0.0.1:9" in health.detail


async def test_a_mail_is_found_by_its_token_together_with_the_answer_to_it():
    """What arrived, with the server's own time, and the person's reply that refers to it."""
    since = CLOCK.wall()
    async with demo_mail() as (port, _):
        sent = await port.send(["audit@shop.example"], "[TEST] probe", "please answer", "tok-m1")
        await port.send(["audit@shop.example"], "[TEST] another", "please answer", "tok-m2")

        async def answered() -> Any:
            found = await port.find("tok-m1", since)
            return found if len(found) == 2 else ()

        ours, reply = await until(answered)
        assert (ours.message_id, ours.subject) == (sent, "[TEST] probe")
        assert int(since) <= ours.received_at <= CLOCK.wall()
        assert reply.in_reply_to == sent
        assert "lee@shop.example" in reply.sender


async def test_a_token_is_found_in_encoded_bodies():
    """Quoted-printable breaks lines inside words: the token is looked for in the decoded text."""
    async with demo_mail() as (port, server):
        padding = "x" * 70
        body = f"<p>{padding}tok-=\r\nm3</p>"
        head = (
            "Subject: [FIRING]\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
        )
        server.deliver(f"From: am@shop.example\r\nTo: x@shop.example\r\n{head}\r\n\r\n{body}\r\n".encode())
        (mail,) = await port.find("tok-m3", CLOCK.wall() - 5)
        assert mail.subject == "[FIRING]"


async def test_accepted_mail_that_never_arrives_is_not_found():
    """SMTP's 250 is relayed, not delivered."""
    async with demo_mail() as (port, server):
        server.delivers = False
        await port.send(["audit@shop.example"], "[TEST]", "x", "tok-m4")
        assert await port.find("tok-m4", CLOCK.wall() - 5) == ()


# --- webhooks and notifiers ------------------------------------------------------------------------------------------


@asynccontextmanager
async def demo_sink() -> AsyncIterator[tuple[WebhookSink, DemoWebhookSink, str]]:
    server = DemoWebhookSink(People(ack_after_seconds=0.05), CLOCK)
    async with serving(server.app) as url, opened("webhook", "sink", url=f"{url}/received") as port:
        try:
            yield port, server, url
        finally:
            await server.stop()


async def test_a_webhooks_receipt_is_found_by_its_token():
    """Where the token stood, when it came, and who acknowledged it."""
    async with demo_sink() as (port, server, _):
        assert (await port.health()).ok
        server._keep("audit", "firing", {"alerts": [{"labels": {"run": "[TEST] tok-w1"}}]})
        server._keep("audit", "firing", {"alerts": [{"labels": {"run": "tok-w2"}}]})

        async def acknowledged() -> Any:
            return [one for one in await port.receipts("tok-w1", CLOCK.wall() - 5) if one.acknowledged_at]

        (receipt,) = await until(acknowledged)
        assert (receipt.receiver, receipt.status) == ("audit", "firing")
        assert receipt.token_found_in == "alerts[0].labels.run"
        assert receipt.acknowledged_by == "jo"
        assert await port.receipts("tok-w1", CLOCK.wall() + 60) == ()


async def test_a_sink_that_does_not_look_at_tokens_is_not_well():
    """A sink that answers everything to everybody would prove every delivery."""
    server = DemoWebhookSink(People(ack_after_seconds=1), CLOCK)
    faults = Faults(server.app)
    async with serving(faults) as url, opened("webhook", "sink", url=f"{url}/received") as port:
        everything = json.dumps([{"at": 1.0, "receiver": "x", "status": "firing", "token_found_in": "body"}])
        faults.next("/received", status=200, body=everything, content_type="application/json")
        assert not (await port.health()).ok


async def test_an_owner_is_told_once_by_webhook(monkeypatch: pytest.MonkeyPatch):
    """The token is the Idempotency-Key; a secret address is shown by no error."""
    async with demo_sink() as (_, server, url):
        async with opened("notifiers", "webhook", url=f"{url}/notify/20") as notifier:
            assert (await notifier.health()).ok
            first = await notifier.notify("Hand-off", "text", "tok-n1")
            assert await notifier.notify("Hand-off", "text", "tok-n1") == first == "handoff-20-1"
            assert [(one.idempotency_key, one.body["subject"]) for one in server.hand_offs] == [("tok-n1", "Hand-off")]

        monkeypatch.setenv("HOOK", f"{url}/nowhere/secret-path-part")
        async with opened("notifiers", "webhook", secret_url="env:HOOK") as notifier:
            with pytest.raises(BackendRefused) as caught:
                await notifier.notify("s", "t", "tok-n2")
            assert caught.value.status == 404
            assert "secret-path-part" not in str(caught.value)


async def test_an_entry_is_filed_as_an_issue_and_found_again_at_once(monkeypatch: pytest.MonkeyPatch):
    """By its token in an open issue with our label, over several pages; a pull request is no issue."""
    monkeypatch.setenv("DEMO_GITHUB", GITHUB_TOKEN)
    server = DemoGitHub(CLOCK)
    async with serving(server.app) as url:
        fields = {"url": url, "repository": GITHUB_REPOSITORY, "token": "env:DEMO_GITHUB"}
        async with opened("notifiers", "github", **fields) as tracker:
            assert (await tracker.health()).ok
            assert await tracker.told("tok-g1", CLOCK.wall()) is None
            address = await tracker.notify("Repair it", "tok-g1\n\ndetails", "tok-g1")
            assert address == "https://github.com/shop/operations/issues/1"
            assert server.issues[0]["labels"] == [{"name": "ray-tui"}]
            for number in range(120):
                server.issues.append(server.issues[0] | {"number": number + 2, "body": "tok-g1-other"})
            server.issues.append(server.issues[0] | {"number": 200, "pull_request": {}, "html_url": "a pull request"})
            assert await tracker.told("tok-g1", CLOCK.wall()) == address
            assert await tracker.told("tok-g", CLOCK.wall()) is None
            server.has_issues = False
            assert not (await tracker.health()).ok
            with pytest.raises(BackendRefused) as caught:
                await tracker.notify("Repair it", "tok-g2", "tok-g2")
            assert caught.value.status == 410
        for wrong in ({"token": "env:WRONG"}, {"repository": "shop/nowhere"}):
            async with opened("notifiers", "github", **{**fields, **wrong}) as tracker:
                assert not (await tracker.health()).ok
                with pytest.raises(BackendRefused) as caught:
                    await tracker.notify("Repair it", "tok-g3", "tok-g3")
                assert "wrong-secret-value" not in str(caught.value)


async def test_more_open_issues_than_are_looked_through_are_an_error_not_an_answer(monkeypatch: pytest.MonkeyPatch):
    """Not found among the first is not certainly not there."""
    monkeypatch.setenv("DEMO_GITHUB", GITHUB_TOKEN)
    server = DemoGitHub(CLOCK)
    async with serving(server.app) as url:
        fields = {"url": url, "repository": GITHUB_REPOSITORY, "token": "env:DEMO_GITHUB"}
        async with opened("notifiers", "github", **fields) as tracker:
            await tracker.notify("Repair it", "tok-g4", "tok-g4")
            server.issues *= 1100
            with pytest.raises(BackendBroken):
                await tracker.told("tok-g5", CLOCK.wall())


async def test_an_owner_is_told_in_slack_and_by_mail():
    """Both carry the token, so that a second try can look for the first."""
    async with demo_slack() as (_, slack):
        async with serving(slack.app) as url:
            fields = {"api_url": f"{url}/api", "token": "env:DEMO_SLACK", "channel": "#release"}
            async with opened("notifiers", "slack", **fields) as notifier:
                assert (await notifier.health()).ok
                reference = await notifier.notify("Hand-off", "text", "tok-n3")
        (message,) = slack.messages["C0RELEASE"]
        assert message["ts"] == reference
        assert "tok-n3" in message["text"]
    async with demo_mail() as (box, server):
        fields = {"smtp_host": "127.0.0.1", "smtp_port": server.smtp_port, "smtp_security": "none"}
        fields |= {"from_address": "ray-tui@shop.example", "to": ["lee@shop.example"]}
        async with opened("notifiers", "mail", **fields) as notifier:
            assert (await notifier.health()).ok
            reference = await notifier.notify("Hand-off", "text", "tok-n4")
        (mail,) = await box.find("tok-n4", CLOCK.wall() - 5)
        assert mail.message_id == reference
