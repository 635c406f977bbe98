"""The shop's dashboards as its Grafana holds them at the start, by scenario."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ray_tui.demo.scenario import Scenario

_PROM = {"type": "prometheus", "uid": "prom"}
_METRIC = re.compile(r"\bhttp_request(?=s_total|_duration_seconds)")

Model = dict[str, Any]


def _panel(panel_id: int, title: str, exprs: Sequence[str], unit: str, description: str = "") -> Model:
    """A time series on the left, the right or the left again, two to a line."""
    return {
        "id": panel_id,
        "title": title,
        "type": "timeseries",
        "description": description,
        "datasource": dict(_PROM),
        "gridPos": {"h": 8, "w": 12, "x": panel_id % 2 * 12, "y": panel_id // 2 * 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": dict(_PROM), "expr": expr, "legendFormat": "{{service}}"}
            for number, expr in enumerate(exprs)
        ],
    }


def _row(panel_id: int, title: str, hidden: Sequence[Model] = ()) -> Model:
    """A row that holds panels is collapsed: Grafana keeps them inside it only then."""
    return {
        "id": panel_id,
        "title": title,
        "type": "row",
        "collapsed": bool(hidden),
        "gridPos": {"h": 1, "w": 24, "x": 0, "y": panel_id * 8},
        "panels": list(hidden),
    }


def _text(panel_id: int, title: str, content: str) -> Model:
    return {
        "id": panel_id,
        "title": title,
        "type": "text",
        "gridPos": {"h": 3, "w": 24, "x": 0, "y": 0},
        "options": {"mode": "markdown", "content": content},
    }


def _variable(name: str, query: str) -> Model:
    return {
        "name": name,
        "type": "query",
        "label": name.capitalize(),
        "datasource": dict(_PROM),
        "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
    }


def _requests(selector: str, window: str = "$__rate_interval") -> str:
    return f"sum by (service) (rate(http_requests_total{{{selector}}}[{window}]))"


def _error_ratio(selector: str, window: str = "$__rate_interval") -> str:
    failed = f'{selector}, status=~"5.."'
    return f"{_requests(failed, window)} / {_requests(selector, window)}"


def _p99(selector: str, window: str = "$__rate_interval") -> str:
    buckets = f"rate(http_request_duration_seconds_bucket{{{selector}}}[{window}])"
    return f"histogram_quantile(0.99, sum by (service, le) ({buckets}))"


def _dashboard(uid: str, title: str, tags: Sequence[str], panels: Sequence[Model], variables: Sequence[Model]) -> Model:
    return {
        "uid": uid,
        "title": title,
        "tags": list(tags),
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": list(variables)},
        "panels": list(panels),
        "links": [],
    }


def _red_panels(selector: str, first_id: int) -> list[Model]:
    """Rate, errors, duration."""
    return [
        _panel(first_id, "Request rate", [_requests(selector)], "reqps"),
        _panel(first_id + 1, "Error ratio", [_error_ratio(selector)], "percentunit"),
        _panel(first_id + 2, "Latency p99", [_p99(selector)], "s"),
    ]


def _shop_overview() -> Model:
    selector = 'service=~"$service"'
    busiest = [_panel(11, "Busy services", [f"{_requests(selector)} > 1"], "reqps")]
    panels = [
        _text(1, "About", "RED signals of every service of the shop. Pick services above."),
        _row(2, "RED"),
        *_red_panels(selector, 3),
        _row(10, "Details", busiest),
    ]
    variables = [_variable("service", "label_values(http_requests_total, service)")]
    return _dashboard("shop-overview", "Shop overview", ["ray-required", "shop"], panels, variables)


def _service_red(service: str) -> Model:
    selector = f'service="{service}"'
    by_version = f"sum by (version) (rate(http_requests_total{{{selector}}}[$__rate_interval]))"
    panels = [
        _text(1, "About", f"RED signals of {service}."),
        *_red_panels(selector, 2),
        _row(10, "Versions", [_panel(11, "Request rate by version", [by_version], "reqps")]),
    ]
    tags = ["ray-required", f"service:{service}"]
    return _dashboard(f"{service}-red", f"{service.capitalize()} RED", tags, panels, [])


def _slo_overview() -> Model:
    """Objective 99.9 %: the budget is 0.001."""
    selector = 'service=~"$service"'
    ratio = _error_ratio(selector, "1h")
    panels = [
        _panel(1, "Error budget left", [f"clamp_min(1 - ({ratio}) / 0.001, 0)"], "percentunit"),
        _panel(2, "Burn rate 1h", [f"({ratio}) / 0.001"], "none"),
        _panel(3, "Burn rate 5m", [f"({_error_ratio(selector, '5m')}) / 0.001"], "none"),
    ]
    variables = [_variable("service", "label_values(http_requests_total, service)")]
    return _dashboard("slo-overview", "SLO overview", ["ray-required", "slo"], panels, variables)


def shop_dashboards(scenario: Scenario) -> tuple[Model, ...]:
    """What is stored at the start. A dead panel's query asks for a metric that nobody exports."""
    models = (_shop_overview(), _service_red("checkout"), _service_red("payments"), _slo_overview())
    for name in scenario.assets.dead_panels:
        uid, _, title = name.partition("/")
        panels = [panel for model in models if model["uid"] == uid for panel in _all_panels(model)]
        found = [panel for panel in panels if panel["title"] == title and "targets" in panel]
        if not found:
            raise ValueError(f"the scenario kills panel {name!r}, and there is no such panel")
        for target in found[0]["targets"]:
            target["expr"] = _METRIC.sub("shop_legacy_request", target["expr"])
    return models


def _all_panels(model: Mapping[str, Any]) -> Iterable[Model]:
    for panel in model["panels"]:
        yield panel
        yield from panel.get("panels", ())
