"""1.2: which signals were really seen since the deploy, asked of the stores once for all services."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import coverage
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendBusy, BackendTimeout, NotSupported
from ray_tui.core.ports import Ports, Sample, Target, Vector
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Result
from tests.fakes import (
    DEPLOYED_AT,
    NOW,
    SERVICES,
    FakeClock,
    FakeContext,
    InMemoryLogs,
    InMemoryMetrics,
    InMemoryTraces,
    InMemoryVisits,
    a_config,
    actual,
    all_ports,
    verdicts,
)

SEEN = NOW - 5
ROUTES = {"checkout": "/api/v2/checkout", "payments": "/pay", "search": "/search"}


def per_service(value: float, services: tuple[str, ...] = SERVICES, **labels: str) -> list[Sample]:
    return [Sample({"service": name, **labels}, NOW, value) for name in services]


def healthy(services: tuple[str, ...] = SERVICES) -> InMemoryMetrics:
    routes = [Sample({"service": name, "route": ROUTES.get(name, "/")}, NOW, SEEN) for name in services]
    metrics = InMemoryMetrics(clock=FakeClock())
    metrics.answer("max by (service) (timestamp(http_requests_total", per_service(SEEN, services))
    metrics.answer("max by (service, route)", routes)
    metrics.answer("timestamp(probe_success", per_service(SEEN, services))
    metrics.answer("min by (service) (probe_success", per_service(1.0, services))
    metrics.answer("group by (service)", per_service(1.0, services))
    metrics.answer("sum by (service) (rate(http_requests_total", per_service(12.0, services))
    metrics.answer("count by (service) (timestamp(http_requests_total", per_service(3.0, services))
    metrics.answer("count by (service) (timestamp(http_request_duration_seconds_bucket", per_service(12.0, services))
    return metrics


def world(**instead: Any) -> Ports:
    seen = dict.fromkeys(SERVICES, SEEN)
    return all_ports(
        **{"metrics": healthy(), "logs": InMemoryLogs(seen=seen), "traces": InMemoryTraces(seen=seen), **instead}
    )


async def audit(folder: Path, **more: Any) -> Result:
    return await coverage.run(FakeContext(folder, step="1.2", **{"ports": world(), **more}))


def cell(result: Result, service: str, signal: str) -> dict[str, Any]:
    return next(c for c in result.data["cells"] if (c["service"], c["signal"]) == (service, signal))


async def test_four_signals_of_every_changed_service_pass(tmp_path: Path) -> None:
    """Metrics, logs, traces and synthetics seen since the deploy: covered, with query and age in each cell. (P26)"""
    result = await audit(tmp_path)

    assert result.verdict is Verdict.PASSED
    assert result.data["completeness"] == {"passing": 12, "required": 12, "ratio": 1.0}
    assert cell(result, "checkout", "metrics")["age_seconds"] == 5.0
    assert "timestamp(http_requests_total" in cell(result, "checkout", "metrics")["query"]


async def test_one_question_a_signal_for_all_services(tmp_path: Path) -> None:
    """The store aggregates: the number of questions does not grow with the number of services."""
    metrics = healthy()
    await audit(tmp_path, ports=world(metrics=metrics))
    freshness = [expr for expr in metrics.asked if expr.startswith("max by (service) (timestamp(")]
    assert freshness == [
        'max by (service) (timestamp(http_requests_total{service=~"checkout|payments|search"}))',
        'max by (service) (timestamp(probe_success{service=~"checkout|payments|search"}))',
    ]


@pytest.mark.parametrize("signal", ["metrics", "logs", "traces", "synthetics"])
async def test_a_critical_service_without_one_signal_halts(tmp_path: Path, signal: str) -> None:
    """A miss of any signal on a critical changed service fails and names both; it goes into the backlog. (P28)"""
    others = ("checkout", "search")
    seen = dict.fromkeys(others, SEEN)
    instead: dict[str, Any] = {
        "metrics": {"metrics": healthy().answer("timestamp(http_requests_total", per_service(SEEN, others))},
        "synthetics": {"metrics": healthy().answer("timestamp(probe_success", per_service(SEEN, others))},
        "logs": {"logs": InMemoryLogs(seen=seen)},
        "traces": {"traces": InMemoryTraces(seen=seen)},
    }[signal]

    result = await audit(tmp_path, ports=world(**instead))

    assert verdicts(result)["coverage.critical:payments"] == "failed"
    assert f"{signal}: no data" in actual(result, "coverage.critical:payments")
    assert f"coverage:payments:{signal}" in [gap.id for gap in result.gaps]


LESS_ASKED: list[dict[str, Any]] = [
    {"signals": ["metrics"]},
    {"signals": []},
    {"serves_requests": False, "activity": "payments_total"},
]


@pytest.mark.parametrize("asked", LESS_ASKED, ids=str)
async def test_the_configuration_cannot_ask_less_of_a_critical_changed_service(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    """All four signals are required of it whatever [services] says: fewer only by a waiver. (P26)"""
    others = dict.fromkeys(("checkout", "search"), SEEN)
    ports = world(traces=InMemoryTraces(seen=others))
    result = await audit(tmp_path, ports=ports, config=a_config(services={"payments": asked}))
    assert verdicts(result)["coverage.critical:payments"] == "failed"
    assert "traces: no data" in actual(result, "coverage.critical:payments")
    assert next(one for one in result.criteria if one.id == "coverage.critical:payments").waivable


async def test_less_may_be_asked_of_another_service(tmp_path: Path) -> None:
    """Of a service that is not critical, or did not change, [services] says what is required."""
    config = a_config(services={"search": {"signals": ["metrics"]}})
    result = await audit(tmp_path, config=config)
    assert cell(result, "search", "traces")["required"] is False


async def test_a_cell_without_data_says_that_its_target_is_down(tmp_path: Path) -> None:
    """Who reads that nothing was seen also reads why nothing is scraped, without what an address may hide."""
    metrics = healthy().answer("timestamp(http_requests_total", per_service(SEEN, ("checkout", "search")))
    why = 'Get "http://10.0.0.7:9090/metrics?token=s3cret": connection refused'
    labels = {"service": "payments", "instance": "10.0.0.7:9090"}
    metrics.scraped = (Target(labels, "http://10.0.0.7:9090/metrics?token=s3cret", "down", why, NOW - 5),)

    result = await audit(tmp_path, ports=world(metrics=metrics))

    said = cell(result, "payments", "metrics")["why"]
    assert said.startswith("no data; its scrape target 10.0.0.7:9090 is down: Get ")
    assert "connection refused" in said
    assert "s3cret" not in said
    assert cell(result, "payments", "metrics")["verdict"] == "failed"


async def test_targets_that_cannot_be_listed_change_no_verdict(tmp_path: Path) -> None:
    """A store without scrape targets answers every other question: a warning, and the cell fails as it did."""

    class Pushed(InMemoryMetrics):
        async def targets(self) -> tuple[Target, ...]:
            raise NotSupported("metrics", "there are no targets", "nothing to do")

    metrics = Pushed(instant=healthy().answer("timestamp(http", per_service(SEEN, ("search",))).instant)
    result = await audit(tmp_path, ports=world(metrics=metrics))
    assert cell(result, "payments", "metrics")["why"] == "no data"
    assert "there are no targets" in result.data["warnings"][0]


async def test_data_from_before_the_deploy_is_not_coverage(tmp_path: Path) -> None:
    """A newest sample that is older than the deploy fails, however the store came by it."""
    metrics = healthy().answer("timestamp(http_requests_total", per_service(DEPLOYED_AT - 10))
    result = await audit(tmp_path, ports=world(metrics=metrics))
    assert "nothing since the deploy" in cell(result, "checkout", "metrics")["why"]
    assert result.verdict is Verdict.FAILED


async def test_stale_data_is_not_coverage(tmp_path: Path) -> None:
    """A service that fell silent ten minutes ago fails."""
    result = await audit(tmp_path, ports=world(metrics=healthy().answer("timestamp(http", per_service(NOW - 600))))
    assert "stale: 600 s old" in cell(result, "search", "metrics")["why"]


async def test_a_trace_may_be_as_late_as_its_store_is(tmp_path: Path) -> None:
    """A trace store finds traces half a minute late; that is allowed on top of the freshness of the others."""
    late = dict.fromkeys(SERVICES, NOW - 320)
    result = await audit(tmp_path, ports=world(traces=InMemoryTraces(seen=late), logs=InMemoryLogs(seen=late)))
    assert cell(result, "search", "traces")["verdict"] == "passed"
    assert cell(result, "search", "logs")["verdict"] == "failed"


async def test_a_store_that_breaks_is_an_error_and_no_failure(tmp_path: Path) -> None:
    """What could not be asked is an error: it halts, and is not shown as missing."""
    logs = InMemoryLogs(trouble=BackendTimeout("logs", "15 s passed"))
    result = await audit(tmp_path, ports=world(logs=logs))

    assert cell(result, "payments", "logs")["verdict"] == "error"
    assert verdicts(result)["coverage.critical:payments"] == "error"
    assert result.verdict is Verdict.ERROR


async def test_metrics_that_are_down_halt_as_an_error(tmp_path: Path) -> None:
    """With the metrics store away, metrics, synthetics and RED are errors, and nothing passes by default."""
    metrics = InMemoryMetrics(trouble=BackendBusy("metrics", "503", status=503))
    result = await audit(tmp_path, ports=world(metrics=metrics))

    assert cell(result, "checkout", "synthetics")["verdict"] == "error"
    assert verdicts(result)["coverage.red:checkout"] == "error"
    assert result.verdict is Verdict.ERROR


async def test_a_store_that_is_not_configured_is_inconclusive(tmp_path: Path) -> None:
    """Nobody can say whether there are traces: not a pass, and open to manual validation."""
    result = await audit(tmp_path, ports=world(traces=None))
    assert cell(result, "checkout", "traces")["verdict"] == "inconclusive"
    assert verdicts(result)["coverage.critical:checkout"] == "inconclusive"


async def test_an_answer_with_warnings_is_not_believed(tmp_path: Path) -> None:
    """A 200 with warnings may be partial: inconclusive."""
    partial = Vector(tuple(per_service(SEEN)), ("store gateway down",))
    result = await audit(tmp_path, ports=world(metrics=healthy().answer("timestamp(http_requests_total", partial)))
    assert cell(result, "checkout", "metrics")["verdict"] == "inconclusive"


async def test_an_empty_answer_everywhere_fails(tmp_path: Path) -> None:
    """Empty vectors are never a pass."""
    result = await audit(tmp_path, ports=world(metrics=InMemoryMetrics()))
    assert result.verdict is Verdict.FAILED
    assert verdicts(result)["coverage.completeness"] == "failed"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_a_time_that_is_no_number_is_an_error(tmp_path: Path, value: float) -> None:
    """NaN and infinity are never a pass, and the artifact stays JSON."""
    result = await audit(tmp_path, ports=world(metrics=healthy().answer("timestamp(http", per_service(value))))
    assert cell(result, "checkout", "metrics")["verdict"] == "error"
    assert cell(result, "checkout", "metrics")["age_seconds"] is None


RED = {
    "no traffic": ("sum by (service) (rate(", per_service(0.0)),
    "no status label": ("count by (service) (timestamp(http_requests_total", []),
    "no duration histogram": ("count by (service) (timestamp(http_request_duration", []),
}


@pytest.mark.parametrize("missing", RED)
async def test_a_critical_service_without_red_metrics_halts(tmp_path: Path, missing: str) -> None:
    """Rate, errors and duration are each needed of a critical service that serves requests."""
    pattern, answer = RED[missing]
    result = await audit(tmp_path, ports=world(metrics=healthy().answer(pattern, answer)))

    assert verdicts(result)["coverage.red:checkout"] == "failed"
    assert missing in actual(result, "coverage.red:checkout")
    assert "coverage.red:search" not in verdicts(result)
    assert "red:search" in [gap.id for gap in result.gaps]


async def test_traffic_from_before_the_deploy_is_no_rate(tmp_path: Path) -> None:
    """Two minutes after the deploy the last two minutes are asked for, and only series scraped since then count."""
    metrics = healthy()
    soon = a_config(run={"deployed_at": "2026-11-22T19:58:00Z"})
    await audit(tmp_path, ports=world(metrics=metrics), config=soon)
    rates = [expr for expr in metrics.asked if "rate(" in expr]
    assert rates
    assert all("[120s]" in expr for expr in rates)
    counted = [expr for expr in metrics.asked if expr.startswith("count by")]
    assert len(counted) == 2
    assert all(expr.endswith(f" > {NOW - 120:.3f})") for expr in counted)


async def test_seconds_after_the_deploy_no_traffic_is_no_news(tmp_path: Path) -> None:
    """In less time than two scrapes nobody can say that there is no traffic: inconclusive, not failed."""
    pattern, nothing = RED["no traffic"]
    soon = a_config(run={"deployed_at": "2026-11-22T19:59:40Z"})
    result = await audit(tmp_path, ports=world(metrics=healthy().answer(pattern, nothing)), config=soon)
    assert verdicts(result)["coverage.red:checkout"] == "inconclusive"


async def test_a_new_endpoint_that_nobody_called_halts(tmp_path: Path) -> None:
    """A new endpoint must be a route label or a span name since the deploy."""
    metrics = healthy().answer("max by (service, route)", [Sample({"service": "checkout", "route": "/old"}, NOW, SEEN)])
    result = await audit(tmp_path, ports=world(metrics=metrics))
    assert verdicts(result)["coverage.endpoints:checkout"] == "failed"


async def test_a_span_name_shows_an_endpoint_too(tmp_path: Path) -> None:
    """Without a route label, a span with method and path is the endpoint."""
    traces = InMemoryTraces(
        seen=dict.fromkeys(SERVICES, SEEN), spans={"checkout": frozenset({"POST /api/v2/checkout"})}
    )
    result = await audit(tmp_path, ports=world(metrics=healthy().answer("max by (service, route)", []), traces=traces))
    assert verdicts(result)["coverage.endpoints"] == "passed"


async def test_up_alone_is_not_coverage_of_a_worker(tmp_path: Path) -> None:
    """A worker needs a metric that moves: without one configured it is inconclusive, with one it can pass."""
    worker = {"changed": "modified", "serves_requests": False}
    seen = dict.fromkeys((*SERVICES, "mailer"), SEEN)
    metrics = healthy().answer("up", per_service(1.0, ("mailer",)))
    ports = world(metrics=metrics, logs=InMemoryLogs(seen=seen))
    result = await audit(tmp_path, ports=ports, config=a_config(services={"mailer": worker}))
    assert cell(result, "mailer", "metrics")["verdict"] == "inconclusive"
    assert cell(result, "mailer", "traces")["verdict"] is None

    metrics.answer("timestamp(mails_sent_total", per_service(SEEN, ("mailer",)))
    active = a_config(services={"mailer": {**worker, "activity": "mails_sent_total"}})
    assert (await audit(tmp_path, ports=ports, config=active)).verdict is Verdict.PASSED


async def test_services_with_other_label_names_are_asked_by_them(tmp_path: Path) -> None:
    """The explicit map decides which labels select a service; each set of label names is one question."""
    metrics = healthy(("checkout", "payments"))
    own = [Sample({"app": "search-api", "job": "k8s"}, NOW, SEEN)]
    metrics.answer("max by (app, job) (timestamp(http_requests_total", own)
    metrics.answer("max by (app, job) (timestamp(probe_success", own)
    config = a_config(services={"search": {"names": {"metrics": {"app": "search-api", "job": "k8s"}}}})

    result = await audit(tmp_path, ports=world(metrics=metrics), config=config)

    assert cell(result, "search", "metrics")["verdict"] == "passed"
    assert 'http_requests_total{app="search-api",job="k8s"}' in cell(result, "search", "metrics")["query"]


async def test_questions_select_the_environment_where_a_label_names_it(tmp_path: Path) -> None:
    """Another environment's series in the same store are no coverage of this one; labels given by hand win."""
    metrics = healthy()
    names = {"metrics": {"service": "search", "env": "live"}}
    config = a_config(telemetry={"environment_label": "env"}, services={"search": {"names": names}})
    result = await audit(tmp_path, ports=world(metrics=metrics), config=config)
    assert all('env="production"' in expr or 'env=~"live|production"' in expr for expr in metrics.asked)
    assert cell(result, "checkout", "metrics")["verdict"] == "failed"


async def test_a_person_confirms_what_a_service_is_called(tmp_path: Path) -> None:
    """A name that is not in the map is suggested, and counts only when a person confirms it."""
    seen = {"checkout": SEEN, "payments": SEEN, "search-svc": SEEN}

    class Store(InMemoryLogs):
        async def last_seen(self, services: Any, since: float) -> Any:
            found = await super().last_seen(services, since)
            return {
                name: replace(last, at=self.seen.get(services[name]["service_name"])) for name, last in found.items()
            }

    ports = world(logs=Store(seen=seen))
    answers = {"name-logs-search": "search-svc"}
    result = await audit(tmp_path, ports=ports, answers=answers)
    assert cell(result, "search", "logs")["verdict"] == "passed"
    assert result.data["renamed"] == [{"service": "search", "signal": "logs", "as": "search-svc"}]

    result = await audit(tmp_path, ports=ports, answers={"name-logs-search": coverage.NONE_OF_THESE})
    assert cell(result, "search", "logs")["verdict"] == "failed"
    assert [row["name"] for row in result.data["unknown_live"]] == ["search-svc"]


async def test_strangers_on_both_sides_are_listed(tmp_path: Path) -> None:
    """What is live but in no catalogue, and what is in the catalogue but never seen, are both named."""
    metrics = healthy(("checkout", "payments")).answer("group by", per_service(1.0, ("checkout", "payments", "ghost")))
    seen = dict.fromkeys(("checkout", "payments"), SEEN)
    ports = world(metrics=metrics, logs=InMemoryLogs(seen=seen), traces=InMemoryTraces(seen=seen))
    result = await audit(tmp_path, ports=ports)
    assert [row["name"] for row in result.data["unknown_live"]] == ["ghost"]
    assert result.data["never_seen"] == ["search"]


async def test_a_failing_probe_is_coverage_and_news(tmp_path: Path) -> None:
    """A probe that runs and fails covers its service; the failure is reported and put into the backlog."""
    metrics = healthy().answer("min by (service) (probe_success", per_service(0.0, ("search",)))
    result = await audit(tmp_path, ports=world(metrics=metrics))
    assert [row["service"] for row in result.data["failing_probes"]] == ["search"]
    assert "probe:search" in [gap.id for gap in result.gaps]


async def test_configured_addresses_are_visited(tmp_path: Path) -> None:
    """A direct check adds its detail."""
    visits = InMemoryVisits(down={"http://search/healthz": "connection refused"})
    config = a_config(services={"search": {"url": "http://search/healthz"}})
    result = await audit(tmp_path, ports=world(visits=visits), config=config)
    assert result.data["visits"] == [
        {"service": "search", "url": "http://search/healthz", "ok": False, "detail": "connection refused"}
    ]


async def test_a_gap_that_is_closed_is_resolved(tmp_path: Path) -> None:
    """The next attempt resolves the backlog entries that it no longer finds."""
    logs = InMemoryLogs(seen={"checkout": SEEN, "payments": SEEN})
    run = FakeContext(tmp_path, step="1.2", ports=world(logs=logs))
    await run.record(*(await coverage.run(run)).gaps)
    assert run.state.backlog["coverage:search:logs"].status == "open"
    logs.seen["search"] = SEEN

    await run.record(*(await coverage.run(run)).gaps)

    assert run.state.backlog["coverage:search:logs"].status == "resolved"


async def test_what_was_waived_is_no_finding_of_the_next_attempt(tmp_path: Path) -> None:
    """Its entry says that it was put off: that another attempt finds other things does not pay it."""
    owed = f.GapFound(id="waived:1.2:coverage.logs", step="1.2", title="waived", owner="mira", due="2026-12-24")
    run = FakeContext(tmp_path, step="1.2", ports=world(), facts=[owed])
    await run.record(*(await coverage.run(run)).gaps)
    assert run.state.backlog[owed.id].status == "open"


async def test_without_a_deploy_time_nothing_is_judged(tmp_path: Path) -> None:
    """ "Since the deploy" means nothing when nobody said when that was."""
    result = await audit(tmp_path, config=a_config(run={"deployed_at": None}))
    assert verdicts(result)["coverage.deploy-time"] == "inconclusive"


async def test_no_services_at_all_is_inconclusive(tmp_path: Path) -> None:
    """Zero cells are no coverage."""
    result = await audit(tmp_path, config=a_config(services=dict.fromkeys(SERVICES)))
    assert verdicts(result)["coverage.completeness"] == "inconclusive"


async def test_the_artifact_lists_every_service_in_every_signal(tmp_path: Path) -> None:
    """instrumentation-audit.json holds a cell for each service and signal, and is JSON. (P29)"""
    result = await audit(tmp_path)
    assert {(c["service"], c["signal"]) for c in result.data["cells"]} == {
        (service, signal) for service in SERVICES for signal in ("metrics", "logs", "traces", "synthetics")
    }
    assert json.loads(json.dumps(result.data, allow_nan=False)) == result.data


async def test_a_check_that_broke_neither_files_nor_closes_a_gap(tmp_path: Path) -> None:
    """With the log store away, an open gap of logs stays open and no new one is filed."""
    logs = InMemoryLogs(seen={"checkout": SEEN, "payments": SEEN})
    run = FakeContext(tmp_path, step="1.2", ports=world(logs=logs))
    await run.record(*(await coverage.run(run)).gaps)
    logs.trouble = BackendTimeout("logs", "15 s passed")

    result = await coverage.run(run)
    await run.record(*result.gaps)

    assert result.gaps == ()
    assert run.state.backlog["coverage:search:logs"].status == "open"


async def test_an_endpoint_last_seen_before_the_deploy_is_not_seen(tmp_path: Path) -> None:
    """A route label whose newest sample is older than the deploy is not this release's endpoint."""
    old = [Sample({"service": "checkout", "route": "/api/v2/checkout"}, NOW, DEPLOYED_AT - 60)]
    result = await audit(tmp_path, ports=world(metrics=healthy().answer("max by (service, route)", old)))
    assert verdicts(result)["coverage.endpoints:checkout"] == "failed"
