"""SLOs: Sloth's own outputs, what is refused, and the account of the budget."""

import math
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ray_tui.analysis import rule_files, slo
from ray_tui.analysis.slo import Options, Slo, attainment, budget_left, burn_rate, generate, load, load_windows
from ray_tui.core.errors import InputError

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "slo"
SLOTH = CORPUS / "sloth"
SKIP = [pytest.param(Path("no corpus"), marks=pytest.mark.skip("no corpus"))]
PROMTOOL = shutil.which("promtool")

SPEC = """
version: prometheus/v1
service: shop
slos:
  - name: ok
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(e[{{.window}}]))
        total_query: sum(rate(t[{{.window}}]))
    alerting:
      name: Burning
"""


def plain(groups: Any) -> list[Any]:
    return [
        (g.name, [(r.kind, r.name, r.expr, dict(r.labels), dict(r.annotations), r.for_seconds) for r in g.rules])
        for g in groups
    ]


def expected(path: Path) -> list[Any]:
    """Groups of a golden file; its own template escapes and the version are filled in."""
    text = re.sub(r'\{\{"(\{\{.*?\}\})"\}\}', r"\1", path.read_text()).replace("{{ .version }}", "dev")
    parts = [part for part in re.split(r"^---$", text, flags=re.MULTILINE) if part.strip()]
    return plain(group for part in parts for group in rule_files.parse(part, path.name))


@pytest.mark.parametrize("path", sorted(SLOTH.glob("expected/*.yml")) or SKIP, ids=lambda p: p.name)
def test_rules_are_those_that_sloth_generates(path: Path):
    """Same groups, names, expressions, labels and annotations for the same spec. (P35)"""
    spec = load((SLOTH / "in" / path.name).read_text(), path.name)

    found = generate(spec.slos, Options(extra_labels={"cmd": "examplesgen.sh"}, version="dev"))

    assert plain(found) == expected(path)


def variants() -> dict[str, dict[str, Any]]:
    windows = SLOTH / "windows" / "7d.yaml"
    period, rows = load_windows(windows.read_text()) if windows.exists() else (0.0, ())
    return {
        "out-base": {},
        "out-base-28d": {"period_seconds": 28 * 86400},
        "out-base-custom-windows-7d": {"period_seconds": period, "windows": rows},
        "out-base-extra-labels": {"extra_labels": {"exk1": "exv1", "exk2": "exv2"}},
        "out-base-no-alerts": {"alerts": False},
        "out-base-no-recordings": {"recordings": False},
    }


@pytest.mark.parametrize("name", variants())
def test_options_change_the_rules_as_sloths_flags_do(name: str):
    """Period, windows file, extra labels, without alerts, without recordings. (P35)"""
    path = SLOTH / "integration" / f"{name}.yaml.tpl"
    if not path.exists():
        pytest.skip(f"no corpus at {path}")
    spec = load((SLOTH / "integration" / "in-base.yaml").read_text())

    assert plain(generate(spec.slos, Options(version="dev", **variants()[name]))) == expected(path)


@pytest.mark.parametrize("path", sorted(SLOTH.glob("validate/good/*.yaml")) or SKIP, ids=lambda p: p.name)
def test_a_good_spec_is_accepted_and_its_unknown_keys_are_told(path: Path):
    """Sloth reads over `pageAlert` in this format; we do too, and say so."""
    found = load(path.read_text(), path.name)

    assert len(found.slos) == 2
    assert any("'pageAlert'" in warning for warning in found.warnings)


@pytest.mark.parametrize("path", sorted(SLOTH.glob("validate/bad/*.yaml")) or SKIP, ids=lambda p: p.name)
def test_a_bad_spec_is_refused_by_its_key(path: Path):
    """An objective of 101."""
    with pytest.raises(InputError, match=r"slos\[1\]\.objective must be above 0 and at most 100, not 101"):
        load(path.read_text(), path.name)


def test_a_pair_of_files_with_the_same_slo_is_refused():
    """Each is good alone; together their rules would collide."""
    paths = sorted(SLOTH.glob("validate_with_duplicates/prom/*.yaml"))
    if len(paths) != 2:
        pytest.skip(f"no corpus at {SLOTH}")
    every = [one for path in paths for one in load(path.read_text(), path.name).slos]

    assert slo.duplicate(every[:2]) is None
    assert slo.duplicate(every) is not None


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("openslo/**/*.*")) or SKIP, ids=lambda p: f"{p.parent.name}-{p.name}"
)
def test_openslo_files_are_read(path: Path):
    """Lists, several documents, JSON, every kind; what can't become rules says why."""
    found = load(path.read_text(), path.name)

    assert found.slos or found.others
    assert all(one.error_ratio or one.why_not for one in found.slos)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("prometheus/v1", "prometheus/v999", "version must be prometheus/v1"),
        ("99.9", "0", "slos[0].objective must be above 0"),
        ("99.9", "high", "slos[0].objective must be a number"),
        ("service: shop", "service: 'a b'", "service must be a name"),
        ("sum(rate(t[{{.window}}]))", "sum(rate(t[5m]))", "total_query must contain {{.window}}"),
        ("sum(rate(t[{{.window}}]))", "sum(rate(t[{{.window}}])", "total_query: not valid PromQL"),
        ("name: Burning", "labels: {}", "slos[0].alerting.name is missing"),
        ("events:", "plugin:", "plugins can't run here"),
        ("        error_query: sum(rate(e[{{.window}}]))\n", "", "error_query must contain"),
        ("slos:", "slas:", "slos is empty"),
    ],
)
def test_an_error_names_the_line_and_the_key(before: str, after: str, said: str):
    """A person must find the place."""
    with pytest.raises(InputError, match="spec") as caught:
        load(SPEC.replace(before, after), "spec")

    assert said in str(caught.value)


def test_an_slo_without_a_ratio_can_not_become_rules():
    """It is refused with the reason, not skipped in silence."""
    with pytest.raises(InputError, match="no ratio"):
        generate([Slo("a", "b", 99, None, why_not="no ratio")])


def test_alerts_carry_the_labels_of_their_spec():
    """Severity, owner and runbook come from the spec; own annotations win over the defaults."""
    text = SPEC + "      labels: {team: shop}\n      annotations: {summary: mine, runbook_url: 'https://x'}\n"
    text += "      page_alert: {labels: {severity: critical}}\n      ticket_alert: {disable: true}\n"

    (alert,) = [rule for group in generate(load(text).slos) for rule in group.rules if rule.kind == "alerting"]

    assert alert.labels == {"team": "shop", "severity": "critical", "sloth_severity": "page"}
    assert (alert.annotations["summary"], alert.annotations["runbook_url"]) == ("mine", "https://x")


def test_the_default_windows_are_those_of_the_workbook():
    """14.4, 6, 3 and 1 for a 30-day period."""
    assert [window.factor(slo.PERIOD_SECONDS) for window in slo.BURN_WINDOWS] == [14.4, 6, 3, 1]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("kind: AlertWindows", "kind: Windows", "kind must be AlertWindows"),
        ("errorBudgetPercent: 2", "errorBudgetPercent: 200", "at most 100"),
        ("shortWindow: 5m", "shortWindow: 2h", "must be shorter"),
        ("sloPeriod: 30d", "sloPeriod: soon", "spec.sloPeriod: not a duration"),
    ],
)
def test_a_windows_file_is_checked(before: str, after: str, said: str):
    """With the key in the message."""
    row = "{errorBudgetPercent: 2, shortWindow: 5m, longWindow: 1h}"
    text = "kind: AlertWindows\nspec:\n  sloPeriod: 30d\n" + "".join(
        f"  {severity}:\n    quick: {row}\n    slow: {row}\n" for severity in ("page", "ticket")
    )
    assert load_windows(text)[0] == slo.PERIOD_SECONDS
    with pytest.raises(InputError, match=said):
        load_windows(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("good", "total", "expected"),
    [
        (999, 1000, 0.999),
        (0, 10, 0),
        (10, 10, 1),
        (0, 0, None),
        (1, math.nan, None),
        (math.inf, 1, None),
        (-1, 2, None),
    ],
)
def test_attainment_is_weighted_by_events(good: float, total: float, expected: float | None):
    """No event, no attainment: None, never 100%. (P60)"""
    assert attainment(good, total) == expected


@pytest.mark.parametrize(
    ("objective", "good", "expected"),
    [(99.9, 1000, 1), (99.9, 999.5, 0.5), (99.9, 999, 0), (99.9, 998, -1), (100, 1000, 1), (100, 999, -math.inf)],
)
def test_the_budget_that_is_left(objective: float, good: float, expected: float):
    """1 is untouched, 0 is spent, below is overspent. (P60)"""
    assert budget_left(objective, good, 1000) == pytest.approx(expected)


def test_what_can_not_be_judged_has_no_budget_and_no_burn_rate():
    """Nothing seen is nothing known."""
    assert budget_left(99.9, 0, 0) is None
    assert budget_left(0, 1, 1) is None
    assert burn_rate(math.nan, 99.9) is None
    assert burn_rate(0.001, 99.9) == pytest.approx(1)


@pytest.mark.real
def test_promtool_accepts_the_generated_rules(tmp_path: Path):
    """What we write, Prometheus loads."""
    if PROMTOOL is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "promtool is required and not installed"
        pytest.skip("promtool is not installed")
    path = tmp_path / "rules.yml"
    path.write_text(rule_files.render(generate(load(SPEC).slos)))

    checked = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True, text=True)

    assert checked.returncode == 0, checked.stderr
    assert "17 rules found" in checked.stdout
