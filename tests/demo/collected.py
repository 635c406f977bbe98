"""The PromQL that our templates, SLO rules, the demo's rules and its panels send, collected from where it is made."""

import json
from collections.abc import Iterator

import yaml

from ray_tui.analysis import dashboards, promql, red, slo
from ray_tui.demo import grafana, workspace
from ray_tui.demo.prometheus import initial_rules
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.world import World

SCENARIO = Scenario(name="healthy", title="healthy")


def expressions(world: World) -> list[str]:
    """Each once, as it goes over the wire."""
    found = [*_panels(), *_rules(world), *_slos(), *_templates()]
    return list(dict.fromkeys(" ".join(expr.split()) for expr in found))


def _panels() -> Iterator[str]:
    models = [*grafana.shop_dashboards(SCENARIO), json.loads(workspace._recommendations_dashboard())]
    for model in models:
        values = dashboards.values(dashboards.variables(model), {"service": ["checkout", "payments"]})
        for panel in dashboards.walk(model):
            for target in panel.targets:
                if target.expr:
                    yield promql.substitute_grafana(target.expr, {"service": ["checkout"], **values})


def _rules(world: World) -> Iterator[str]:
    for text in (initial_rules(world), workspace.RELEASE_RULES):
        for group in yaml.safe_load(text)["groups"]:
            for rule in group["rules"]:
                yield rule["expr"]


def _slos() -> Iterator[str]:
    for group in slo.generate(slo.load(workspace.CHECKOUT_SLO).slos):
        for rule in group.rules:
            yield rule.expr


def _templates() -> Iterator[str]:
    names, rows = ("service",), [{"service": "checkout"}, {"service": "payments"}]
    failed = 'status=~"5.."'
    yield red.last_seen("http_requests_total", names, rows)
    yield f"min {red.by(names)} ({red.selector('probe_success', rows)})"
    yield red.scraped_since(red.selector("http_requests_total", rows), names, 1_795_374_000.0)
    yield red.rate("http_requests_total", names, rows, "30s")
    yield red.rate("http_requests_total", names, rows, "30s", failed)
    yield red.quantile(0.99, "http_request_duration_seconds", names, rows, "30s")
    yield f"max {red.by(names)} ({red.selector('queue_lag_seconds', [{'service': 'notifications'}])})"
    yield 'max_over_time(ALERTS{alertstate="firing"}[300s])'
