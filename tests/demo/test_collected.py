"""Nothing that we send is beyond the demo's evaluator."""

import pytest

from ray_tui.analysis import rule_files, slo
from ray_tui.demo import promql, workspace
from ray_tui.demo.prometheus import initial_rules
from ray_tui.demo.ruleset import RuleEngine, load_groups
from ray_tui.demo.world import World
from tests.demo.collected import SCENARIO, expressions

WORLD = World(SCENARIO, 1_700_000_000.0)


def test_the_collection_is_of_everything():
    """Panels, the team's rules, the release's rules, SLO rules and the recorded run all contribute."""
    found = expressions(WORLD)
    assert len(found) > 40
    for part in (
        "slo:sli_error:ratio_rate",
        "histogram_quantile",
        "probe_success",
        "/api/v2/checkout",
        "ALERTS_FOR_STATE",
        "count(up)",
        "group by",
        "last_over_time",
        "[2w]",
    ):
        assert any(part in expr for expr in found), part


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The demo's rules, the release's and the SLOs', loaded as the demo's Prometheus loads them."""
    folder = tmp_path_factory.mktemp("rules")
    texts = {
        "shop.yml": initial_rules(WORLD),
        "release.yml": workspace.RELEASE_RULES,
        "slo.yml": rule_files.render(slo.generate(slo.load(workspace.CHECKOUT_SLO).slos)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return RuleEngine(WORLD, load_groups(folder), now=WORLD.started_at + 60)


@pytest.mark.parametrize("expr", expressions(WORLD))
def test_the_demo_answers_whatever_we_send(engine, expr):
    """No expression of ours gets a 422: each parses and evaluates at a moment of the demo."""
    promql.instant(engine, expr, int((WORLD.started_at + 60) * 1000))
