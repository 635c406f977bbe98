"""Dashboards: every layout is walked, panels are understood, and the score adds up."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ray_tui.analysis import dashboards, promql
from ray_tui.analysis.dashboards import Panel, PanelResult, QueryResult, Target, is_red_panel, red_kind, score
from ray_tui.core.errors import InputError

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "dashboards"
FILES = sorted(CORPUS.glob("*/*.json"))


def panel(expr: str = "up", *, title: str = "p", kind: str = "timeseries", **more: Any) -> Panel:
    return Panel(1, title, kind, more.pop("row", ""), (Target(expr, "A", "prom", "prometheus"),), **more)


def result(*queries: QueryResult, title: str = "p") -> PanelResult:
    return PanelResult(panel(title=title), queries)


GOOD = QueryResult("A", valid=True, resolved=True, live=True)


@pytest.mark.parametrize(
    "path", FILES or [pytest.param(Path("no corpus"), marks=pytest.mark.skip("no corpus"))], ids=lambda p: p.name
)
def test_a_real_dashboard_is_walked_and_left_as_it_was(path: Path):
    """Every panel once, every query readable, the model untouched. (P33)"""
    model = json.loads(path.read_text())
    before = copy.deepcopy(model)

    panels = dashboards.walk(model)

    def count(listed: list[dict[str, Any]]) -> int:
        return sum(1 + count(one.get("panels", [])) for one in listed)

    assert model == before
    assert len(panels) == count(model["panels"])
    assert any(one.asks for one in panels)
    variables = {one.name: "stand-in" for one in dashboards.variables(model)} | dashboards.values(
        dashboards.variables(model)
    )
    for target in (target for one in panels for target in one.queries if target.is_promql):
        promql.parse(dashboards.placeholders(target.expr))
        promql.parse(promql.substitute_grafana(target.expr, variables))


def test_the_largest_dashboard_has_all_its_collapsed_panels():
    """node-exporter-full: 110 of its panels lie in collapsed rows."""
    path = CORPUS / "rfmoz" / "node-exporter-full.json"
    if not path.exists():
        pytest.skip(f"no corpus at {path}")
    panels = dashboards.walk(json.loads(path.read_text()))

    assert len(panels) == 141
    assert sum(one.asks for one in panels) == 125
    assert {one.row for one in panels if one.title == "Memory Committed"} == {"Memory Meminfo"}


def test_old_rows_nested_panels_and_library_panels_are_found():
    """The layout before version 16, a collapsed row, an expanded one, and a panel that lives elsewhere."""
    model = {
        "rows": [
            {"title": "Old", "panels": [{"id": 1, "type": "graph", "targets": [{"expr": "a"}], "datasource": "P"}]}
        ],
        "panels": [
            {"id": 2, "type": "row", "title": "Closed", "panels": [{"id": 3, "type": "stat", "title": "in"}]},
            {"id": 4, "type": "row", "title": "Open", "panels": []},
            {"id": 5, "libraryPanel": {"uid": "lib", "name": "x"}},
        ],
    }

    found = dashboards.walk({"dashboard": model, "meta": {}})

    assert [(one.id, one.kind, one.row) for one in found] == [
        (0, "row", "Old"),
        (1, "graph", "Old"),
        (2, "row", "Closed"),
        (3, "stat", "Closed"),
        (4, "row", "Open"),
        (5, "library-panel", "Open"),
    ]
    assert found[1].targets == (Target("a", "", "P", ""),)
    assert found[5].asks
    assert not found[3].asks


def test_hidden_queries_and_grafanas_own_do_not_count():
    """A panel whose only query is hidden shows nothing."""
    targets = [{"expr": "a", "hide": True}, {"expr": "b", "datasource": {"uid": "-- Grafana --", "type": "datasource"}}]
    (found,) = dashboards.walk({"panels": [{"id": 1, "type": "stat", "targets": targets}]})

    assert len(found.targets) == 2
    assert found.queries == ()
    assert not found.asks


@pytest.mark.parametrize("model", [None, 3, {"dashboard": 3}, {"elements": {}}, {"spec": {"elements": {}}}])
def test_what_can_not_be_read_is_an_error(model: Any):
    """The v2 layout would otherwise look like an empty dashboard."""
    with pytest.raises(InputError):
        dashboards.walk(model)


@pytest.mark.parametrize("junk", [{}, {"panels": None}, {"panels": [None, 3, {"targets": "x", "title": 4}]}])
def test_junk_is_walked_without_a_crash(junk: dict[str, Any]):
    """Wrong types are nothing."""
    assert not any(one.asks for one in dashboards.walk(junk))
    assert dashboards.variables(junk) == ()


def test_variables_open_with_what_grafana_would_choose():
    """Current value, All, the first custom choice; a query without a current value is left to the live data."""
    listed = [
        {"name": "a", "type": "query", "current": {"value": "x"}, "query": 'label_values(up{job="$j"}, pod)'},
        {"name": "b", "type": "query", "current": {"value": ["$__all"]}, "allValue": ".+", "multi": True},
        {"name": "c", "type": "custom", "query": "one : 1, two : 2"},
        {"name": "d", "type": "query", "query": {"query": "label_values(namespace)"}, "multi": True},
        {"name": "e", "type": "query", "includeAll": True, "query": "q"},
        {"name": "f", "type": "constant", "query": "k"},
        {"name": "g", "type": "interval", "current": {"value": "$__auto_interval_g"}, "query": "1m,5m"},
    ]
    found = dashboards.variables({"templating": {"list": listed}})

    assert dashboards.values(found) == {"a": "x", "b": ".+", "c": "1", "e": ".*", "f": "k", "g": "$__interval"}
    assert dashboards.values(found, {"d": ["prod", "dev"]})["d"] == ("prod",)
    assert found[0].lookup == ('group by (pod) (up{job="$j"})', "pod")
    assert found[3].lookup == ('group by (namespace) ({namespace!=""})', "namespace")
    assert found[4].lookup is None


def test_a_data_source_variable_is_filled_in():
    """An unknown variable is None: the reference does not resolve."""
    target = Target("up", "A", "${ds}", "prometheus")

    assert dashboards.datasource_of(target, {"ds": "uid-1"}) == "uid-1"
    assert dashboards.datasource_of(target, {}) is None
    assert dashboards.datasource_of(Target("up", "A", "", ""), {}) == ""


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ('sum(rate(http_requests_total{service="shop"}[5m]))', "rate"),
        ('sum(rate(http_requests_total{service="shop",code=~"5.."}[5m]))', "errors"),
        ('rate(shop_errors_total{service="shop"}[$__rate_interval])', "errors"),
        ('histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket{service="shop"}[5m])))', "duration"),
        (
            'rate(x_duration_seconds_sum{service="shop"}[5m]) / rate(x_duration_seconds_count{service="shop"}[5m])',
            "duration",
        ),
        ('rate(container_network_receive_bytes_total{service="shop"}[5m])', None),
        ('up{service="shop"}', None),
        ("sum(", None),
    ],
)
def test_red_panels_are_known_by_their_queries(expr: str, expected: str | None):
    """Rate, errors, duration of this service, and of no other. (P33)"""
    found = panel(expr)

    assert red_kind(found) == expected
    assert is_red_panel(found, "shop") is (expected is not None)
    assert not is_red_panel(found, "cart")


def test_a_panel_that_takes_its_service_from_a_variable_is_everyones():
    """`service="$service"` shows whichever service is chosen."""
    assert is_red_panel(panel('rate(http_requests_total{service="$service"}[5m])'), "shop")


def test_slo_panels_are_known_by_metric_or_title():
    """Budgets and burn rates; a text panel about SLOs shows none. (P35)"""
    assert dashboards.is_slo_panel(panel("slo:period_error_budget_remaining:ratio"))
    assert dashboards.is_slo_panel(panel("my_availability", title="Error budget left"))
    assert not dashboards.is_slo_panel(panel("slow_queries_total"))
    assert not dashboards.is_slo_panel(Panel(1, "Our SLO", "text", "", ()))


def test_a_dashboard_where_everything_works_scores_100():
    """50 + 20 + 15 + 10 + 5."""
    found = score([result(GOOD), result(GOOD, GOOD)])

    assert found.total == 100
    assert found.conclusive
    assert [(part.name, part.weight, part.points) for part in found.parts] == [
        ("live data", 50, 50),
        ("valid queries", 20, 20),
        ("references resolve", 15, 15),
        ("release fit", 10, 10),
        ("lint", 5, 5),
    ]


@pytest.mark.parametrize(
    ("query", "total"),
    [
        (QueryResult("A", valid=True, resolved=True, live=False), 75),
        (QueryResult("A", valid=False, resolved=True, live=False), 65),
        (QueryResult("A", valid=True, resolved=False, live=False), 67.5),
    ],
)
def test_each_fault_costs_its_part(query: QueryResult, total: float):
    """One of two panels is broken: half of what that fault weighs is gone, and the panel is named. (P37)"""
    found = score([result(GOOD), result(query, title="sick")])

    assert found.total == total
    assert found.broken == ("sick",)


def test_fit_and_lint_count_and_never_go_below_nothing():
    """NaN, too many issues, a negative share."""
    issues = [dashboards.LintIssue("x", 1, "y")] * 9

    assert score([result(GOOD)], 0.5, issues).total == 90
    assert score([result(GOOD)], float("nan")).total == 90
    assert score([result(GOOD)], -3, issues).total == 85


def test_no_panel_with_a_query_is_inconclusive_and_scores_nothing():
    """A gate over nothing is never passed; text panels don't count. (P37)"""
    text = PanelResult(Panel(1, "hello", "text", "", ()), ())

    for results in ([], [text]):
        found = score(results)
        assert (found.total, found.conclusive) == (0, False)


def test_a_panel_that_could_not_be_asked_makes_the_score_inconclusive():
    """ "Could not check" is neither live nor proven dead. (P37)"""
    found = score([result(GOOD), result(QueryResult("A", valid=True, resolved=True, live=None))])

    assert not found.conclusive
    assert found.total == 75
    assert "1 panels could not be asked" in found.why_inconclusive


def test_release_share_counts_what_is_shown():
    """Names of services, metrics or endpoints in queries and titles."""
    panels = [panel('rate(http_requests_total{route="/api/pay"}[5m])', title="Checkout")]

    assert dashboards.release_share(panels, ["checkout", "/api/pay", "cart", "refunds"]) == 0.5
    assert dashboards.release_share(panels, []) == 1


def test_lint_names_what_a_reviewer_would():
    """Titles, units, data sources, repeated ids, nothing asked."""
    model = {
        "title": " ",
        "panels": [
            {"id": 1, "type": "timeseries", "title": "", "targets": [{"expr": "up", "refId": "A"}]},
            {"id": 1, "type": "stat", "title": "empty"},
        ],
    }

    assert [issue.id for issue in dashboards.lint(model)] == [
        "dashboard-title-missing",
        "dashboard-uid-missing",
        "panel-title-missing",
        "unit-missing",
        "datasource-missing",
        "panel-id-repeated",
        "panel-without-query",
    ]
    assert "no-queries" in {issue.id for issue in dashboards.lint({"title": "t", "uid": "u"})}
