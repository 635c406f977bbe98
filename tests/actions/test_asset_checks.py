"""One asset looked at again, as a scheduler does it: live, without a page."""

from dataclasses import replace
from typing import Any

import pytest

from ray_tui.actions import asset_checks
from ray_tui.actions.asset_checks import Looking
from ray_tui.core.errors import BackendTimeout, InputError
from ray_tui.core.ports import LoadedRule, Ports, Sample
from tests.fakes import (
    NOW,
    FakeClock,
    InMemoryAlerting,
    InMemoryDashboards,
    InMemoryMetrics,
    InMemoryPaging,
    a_config,
    actual,
    all_ports,
    verdicts,
)  # fmt: skip

SOURCE = {"type": "prometheus", "uid": "prom"}
EXPR = 'sum(rate(http_requests_total{service="checkout"}[5m]))'
PROBE = 'min by \\(service\\) \\(probe_success{service="checkout"}\\)'


def a_rule(**more: Any) -> LoadedRule:
    made: dict[str, Any] = {
        "group": "shop", "file": "/etc/shop.yml", "name": "CheckoutErrors", "query": f"{EXPR} > 5", "kind": "alerting",
        "for_seconds": 300.0, "labels": {"severity": "critical", "service": "checkout", "owner": "checkout"},
        "annotations": {"summary": "It fails", "runbook_url": "docs/CheckoutErrors.md"}, "health": "ok",
    }  # fmt: skip
    return LoadedRule(**{**made, **more})


def a_world(**instead: Any) -> Ports:
    """A dashboard, a group with one rule, a probe, and routes: all of it well."""
    clock = FakeClock()
    metrics = InMemoryMetrics(clock=clock, loaded=(a_rule(), a_rule(group="other", name="Broken", health="err")))
    metrics.answer("", 1.0)
    metrics.answer("timestamp", [Sample({"service": "checkout"}, NOW, NOW - 20)])
    metrics.answer(PROBE, [Sample({"service": "checkout"}, NOW, 1.0)])
    boards = InMemoryDashboards()
    boards.put({
        "uid": "red", "title": "Checkout RED", "tags": ["service:checkout"], "schemaVersion": 39,
        "panels": [{
            "id": 1, "type": "timeseries", "title": "Rate", "datasource": SOURCE,
            "fieldConfig": {"defaults": {"unit": "reqps"}},
            "targets": [{"refId": "A", "expr": EXPR, "datasource": SOURCE}],
        }],
    })  # fmt: skip
    pager = InMemoryPaging(clock=clock)
    routed = [({"severity": "critical"}, ("pd-checkout",))]
    alerting = InMemoryAlerting(clock=clock, routes=routed, sinks={"pd-checkout": [pager]})
    usual = {"metrics": metrics, "dashboards": boards, "alerting": alerting, "paging": pager}
    return all_ports(clock, **{**usual, **instead})


async def look(asset: str, ports: Ports | None = None, **config: Any) -> Any:
    return await asset_checks.check(asset, Looking(a_config(**config), ports or a_world(), NOW))


@pytest.mark.parametrize("asset", ["dashboard:red", "alerts:shop", "synthetic:checkout", "alert-paths"])
async def test_an_asset_that_is_well_passes_and_nothing_is_fired_or_written(asset: str) -> None:
    """Each kind is looked at live; a scheduled run never pages. (P49)"""
    ports = a_world()

    found = await look(asset, ports)

    assert set(verdicts(found).values()) == {"passed"}, verdicts(found)
    assert isinstance(ports.alerting, InMemoryAlerting)
    assert isinstance(ports.dashboards, InMemoryDashboards)
    assert (ports.alerting.fired, ports.dashboards.saved) == ([], [])


async def test_a_dashboard_whose_panel_went_dark_fails_by_the_code_of_2_1() -> None:
    """The score falls, and the critical panel is named."""
    ports = a_world()
    assert isinstance(ports.metrics, InMemoryMetrics)
    ports.metrics.instant = []

    found = await look("dashboard:red", ports)

    assert verdicts(found) == {"configure.dashboard:red": "failed", "configure.panels:red": "failed"}
    assert "Rate is" in actual(found, "configure.panels:red")


async def test_a_dashboard_that_is_gone_fails() -> None:
    """Somebody deleted it since it was scheduled."""
    found = await look("dashboard:gone")

    assert actual(found, "check.dashboard") == "there is no dashboard 'gone'"


async def test_an_alert_group_fails_for_its_own_rules_alone() -> None:
    """The neighbour's broken rule is the neighbour's check."""
    assert verdicts(await look("alerts:shop"))["configure.health"] == "passed"
    assert verdicts(await look("alerts:other"))["configure.health"] == "failed"
    assert verdicts(await look("alerts:unloaded"))["check.loaded"] == "failed"


async def test_a_critical_alert_that_reaches_nobody_fails_and_another_is_named() -> None:
    """An alert for nobody may be meant so; a critical one not."""
    nowhere = InMemoryAlerting()

    found = await look("alerts:shop", a_world(alerting=nowhere))
    assert verdicts(found)["check.routed"] == "failed"

    metrics = InMemoryMetrics(loaded=(a_rule(labels={"severity": "info", "owner": "checkout"}),))
    found = await look("alerts:shop", a_world(alerting=nowhere, metrics=metrics))
    assert verdicts(found)["check.routed"] == "passed"
    assert "nobody is told: CheckoutErrors" in actual(found, "check.routed")


@pytest.mark.parametrize(
    ("pattern", "values", "verdict", "why"),
    [
        ("timestamp", [NOW - 4_000], "failed", "stale"),
        ("timestamp", [], "failed", "no data"),
        (PROBE, [0.0], "failed", "a probe fails"),
        (PROBE, [], "inconclusive", "no number"),
        (PROBE, [float("nan")], "inconclusive", "no number"),
    ],
)
async def test_a_probe_must_be_fresh_and_succeed(pattern: str, values: list[float], verdict: str, why: str) -> None:
    """An empty answer and NaN are no pass."""
    ports = a_world()
    assert isinstance(ports.metrics, InMemoryMetrics)
    ports.metrics.answer(pattern, [Sample({"service": "checkout"}, NOW, value) for value in values])

    found = await look("synthetic:checkout", ports)

    assert verdicts(found) == {"check.synthetic": verdict}
    assert why in actual(found, "check.synthetic")


async def test_alert_paths_fail_where_nobody_is_on_call_or_a_peer_is_away() -> None:
    """By what the systems say, without a probe."""
    found = await look("alert-paths", a_world(paging=InMemoryPaging(duty=())))
    assert verdicts(found)["check.on_call"] == "failed"

    ports = a_world()
    assert isinstance(ports.alerting, InMemoryAlerting)
    ports.alerting.down = {"http://am-2:9093"}
    found = await look("alert-paths", ports)
    assert actual(found, "check.peers") == "http://am-2:9093 does not answer"


async def test_alert_paths_fail_where_a_critical_route_ends_at_nobody() -> None:
    """Routing of every critical service, and the receivers behind it."""
    found = await look("alert-paths", a_world(alerting=InMemoryAlerting()))

    assert verdicts(found)["alert_paths.coverage"] == "failed"


@pytest.mark.parametrize("asset", ["dashboard:red", "alerts:shop", "synthetic:checkout", "alert-paths"])
async def test_a_system_that_cannot_be_asked_is_an_error_not_a_pass(asset: str) -> None:
    """Exit 3, not 0."""
    ports = a_world()
    assert isinstance(ports.metrics, InMemoryMetrics)
    ports.metrics.trouble = BackendTimeout("metrics", "15 s passed")

    assert "passed" not in {v for k, v in verdicts(await look(asset, ports)).items() if k == "check.asked"}
    assert set(verdicts(await look(asset, ports)).values()) & {"error"}


@pytest.mark.parametrize("asset", ["", "dashboard:", "alert-paths:x", "pager:1"])
async def test_an_asset_of_no_known_form_is_a_usage_error(asset: str) -> None:
    """The forms are named."""
    with pytest.raises(InputError, match=r"synthetic:<service>"):
        await look(asset)


async def test_without_its_system_an_asset_cannot_be_checked() -> None:
    """The table to fill is named."""
    with pytest.raises(InputError, match=r"\[alerting\]"):
        await look("alert-paths", replace(a_world(), alerting=None))
