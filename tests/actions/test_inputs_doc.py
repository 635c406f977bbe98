"""docs/inputs.md and docs/schemas say what the readers really take."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import loaded_rules
from ray_tui.actions.prior_baseline import read_prior
from ray_tui.analysis import deployment_papers, rule_files, rule_quality
from ray_tui.core.errors import InputError
from ray_tui.core.plan import INPUTS_OPTIONAL, INPUTS_REQUIRED

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```", (DOCS / "inputs.md").read_text(), re.MULTILINE | re.DOTALL))
SCHEMAS = {path.name.removesuffix(".schema.json"): path for path in sorted((DOCS / "schemas").glob("*.schema.json"))}


def schema(stem: str) -> dict[str, Any]:
    return dict(json.loads(SCHEMAS[stem].read_text()))


def test_every_input_has_an_example() -> None:
    """The page shows each of the seven files."""
    assert set(EXAMPLES) == {*INPUTS_REQUIRED, *INPUTS_OPTIONAL}


@pytest.mark.parametrize("name", sorted(deployment_papers.READERS))
def test_the_page_shows_what_the_reader_takes(name: str) -> None:
    """Each example is read without a complaint."""
    assert deployment_papers.read(name, EXAMPLES[name].encode(), {}).release == "checkout-v2.4.1"


def test_the_baseline_that_the_page_shows_is_a_prior() -> None:
    """The example of a baseline can be compared with."""
    assert read_prior(EXAMPLES["baseline-metrics.json"].encode(), "x").problem == ""


@pytest.mark.parametrize("stem", sorted(set(SCHEMAS) - {"baseline-metrics"}))
def test_what_a_schema_requires_the_reader_requires(stem: str) -> None:
    """Without any one required key the reader names it, and the map entry; without any other key it does not mind."""
    example = json.loads(EXAMPLES[f"{stem}.json"])
    required = set(schema(stem)["required"])
    for key in example:
        less = json.dumps({k: v for k, v in example.items() if k != key}).encode()
        if key in required:
            with pytest.raises(InputError, match=re.escape(f'"{stem}.{key}" = ')):
                deployment_papers.read(f"{stem}.json", less, {})
        else:
            deployment_papers.read(f"{stem}.json", less, {})


def test_what_the_baseline_schema_requires_is_needed() -> None:
    """Without release or body a baseline is a problem, never no prior."""
    example = json.loads(EXAMPLES["baseline-metrics.json"])
    for key in schema("baseline-metrics")["required"]:
        less = json.dumps({k: v for k, v in example.items() if k != key}).encode()
        assert f"'{key}' is missing" in read_prior(less, "x").problem


def test_the_alert_that_the_page_shows_has_all_that_2_1_wants() -> None:
    """Nothing is wrong with it, and each line that the page names is one without which something is."""
    page = (DOCS / "inputs.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[-1]

    def wrong(text: str) -> set[str]:
        file = loaded_rules.RuleFile("orders.yml", text, rule_files.parse(text), "orders.yml")
        (rule,) = loaded_rules.as_loaded(file)
        return {issue.id for issue in rule_quality.check(rule, rule_quality.Policy())}

    assert wrong(shown) == set()
    assert wrong(shown.replace("        for: 5m\n", "")) == {"for-missing"}
    assert wrong(shown.replace(" > 0.05", "")) == {"threshold-missing"}
    assert wrong(shown.replace("severity: critical, ", "")) == {"severity-missing"}
    assert wrong(shown.replace("owner: orders-team, ", "")) == {"owner-missing"}
    assert wrong(shown.replace("owner:", "team:")) == set()
    assert wrong(re.sub(r" *runbook_url: .*\n", "", shown)) == {"runbook-missing"}
    assert wrong(re.sub(r" *summary: .*\n", "", shown)) == {"summary-missing"}
