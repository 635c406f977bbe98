"""The PromQL that a whole run asks, as recorded; and of rules and panels, which a run need not all ask, as made."""

import json
from collections.abc import Iterator

import yaml

from ray_tui.analysis import dashboards, promql, slo
from ray_tui.demo import workspace
from ray_tui.demo.prometheus import initial_rules
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.shop_dashboards import shop_dashboards
from ray_tui.demo.world import World
from tests.demo.recording import listed

SCENARIO = Scenario(name="healthy", title="healthy")


def expressions(world: World) -> list[str]:
    """Each once, as it goes over the wire."""
    found = [*listed(), *_panels(), *_rules(world), *_slos()]
    return list(dict.fromkeys(" ".join(expr.split()) for expr in found))


def _panels() -> Iterator[str]:
    models = [*shop_dashboards(SCENARIO), json.loads(workspace._recommendations_dashboard())]
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
