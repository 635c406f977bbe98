"""Rule files: what is refused, where, and that writing gives the same rules again."""

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ray_tui.analysis import rule_files
from ray_tui.analysis.rule_files import Group, Rule, format_duration, parse_duration
from ray_tui.core.errors import InputError

RULES = Path(__file__).parents[3] / "shared" / "corpus" / "rules"
PROMTOOL = shutil.which("promtool")


def corpus() -> list[Path]:
    return sorted(RULES.glob("*/*.y*ml"))


def without_lines(groups: tuple[Group, ...]) -> list[Group]:
    return [
        dataclasses.replace(g, line=0, rules=tuple(dataclasses.replace(r, line=0) for r in g.rules)) for g in groups
    ]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("0", 0), ("0s", 0), ("250ms", 0.25), ("1d12h", 129600), ("2y", 63072000)],
)
def test_durations_are_read(written: str, seconds: float):
    """Prometheus' own format."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "11am", "5", "1m1h", "-5m", "5 m", "1.5h"])
def test_what_is_no_duration_is_refused(written: str):
    """Units must be there, in order, and whole."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(300, "5m"), (5400, "1h30m"), (604800, "1w"), (28 * 86400, "4w"), (30 * 86400, "30d"), (0, "0s"), (0.25, "250ms")],
)
def test_durations_are_written_as_prometheus_writes_them(seconds: float, written: str):
    """Weeks only where exact, as in rule names such as ratio_rate4w."""
    assert format_duration(seconds) == written


def test_a_rule_keeps_what_its_file_says():
    """Numbers in labels stay text, the line is that of the rule."""
    (group,) = rule_files.parse(
        "groups:\n- name: g\n  interval: 1m\n  rules:\n  - alert: A\n    expr: up == 0\n    for: 5m\n"
        "    labels: {tier: 2, critical: yes}\n    annotations: {summary: 'x {{ $labels.job }}'}\n"
    )

    assert group.interval_seconds == 60
    assert group.rules == (
        Rule(
            "A",
            "alerting",
            "up == 0",
            for_seconds=300,
            labels={"tier": "2", "critical": "yes"},
            annotations={"summary": "x {{ $labels.job }}"},
            line=5,
        ),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups:\n- name: g\n  namespace: x\n", ":3: unknown field 'namespace' in a group"),
        ("groups:\n- name: g\n- name: g\n", ":3: group 'g' is already in this file"),
        ("groups:\n- rules: []\n", ":2: a group has no name"),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    for: 11am\n", ":6: for: not a duration"),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    expr: down\n", ":6: key 'expr' is already set"),
        ("groups:\n- name: g\n  rules:\n  - expr: up\n", ":4: a rule needs either record or alert"),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr:\n", ":4: rule 'A' has no expr"),
        ("groups:\n- name: g\n  rules:\n  - record: a-b\n    expr: up\n", ":4: 'a-b' is no valid metric name"),
        ("groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    for: 1m\n", ":6: a recording rule can't have"),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n", ":5: rule 'A': not valid PromQL"),
        ("groups: [\n", "not valid YAML"),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: '{{ $x }}'}\n",
            "undefined variable $x",
        ),
        ("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {a: '{{ bad'}\n", "never closed"),
        ("a: &a [x, *a]\n", "nested too deeply"),
    ],
)
def test_an_error_names_the_file_and_the_line(text: str, said: str):
    """What Prometheus would refuse is refused, and the place is said."""
    with pytest.raises(InputError, match="mine") as caught:
        rule_files.parse(text, "mine.yml")

    assert said in str(caught.value)


def test_a_rule_twice_in_a_file_is_told_and_not_refused():
    """Prometheus loads it, so do we; its results collide, so we say so."""
    groups = rule_files.parse("groups:\n- name: g\n  rules:\n" + "  - record: a\n    expr: up\n" * 2)

    assert [(first.line, again.line) for first, again in rule_files.duplicates(groups)] == [(4, 6)]


def test_writing_is_deterministic_and_reads_back_the_same():
    """Label order and multi-line expressions don't matter."""
    one = Rule("A", "alerting", "up\n  == 0\n", 300, 60, {"b": "1", "a": "yes"}, {"summary": "x: {{ $value }}"})
    other = dataclasses.replace(one, labels={"a": "yes", "b": "1"})
    group = Group("g", (one,), 60, 30, 7, {"team": "x"})

    text = rule_files.render([group])

    assert text == rule_files.render([dataclasses.replace(group, rules=(other,))])
    assert without_lines(rule_files.parse(text)) == [group]


def test_the_whole_corpus_is_read_or_refused_and_survives_writing():
    """Every file that isn't broken on purpose is read, and rendering it loses nothing."""
    if not RULES.exists():
        pytest.skip(f"no corpus at {RULES}")
    refused, read = [], 0
    for path in corpus():
        try:
            groups = rule_files.parse(path.read_text(), path.name)
        except InputError:
            refused.append(path.name)
            continue
        read += 1
        assert without_lines(rule_files.parse(rule_files.render(groups))) == without_lines(groups)

    assert refused == ["bad-promql.yml", "bad-rules-syntax.yml", "rules-bad.yml", "rules_extrafields.yml"]
    assert read == 25


def test_files_that_pint_finds_fatal_are_refused_on_its_first_line():
    """Of pint's cases the nine that are whole rule files: three are fatal, on these lines; six are not."""
    folder = RULES.parent / "rules-lint" / "pint"
    if not folder.exists():
        pytest.skip(f"no corpus at {folder}")
    refused, read = {}, 0
    for path in sorted(folder.glob("*/rules/*")):
        if not re.search("^groups:", path.read_text(), re.MULTILINE):
            continue  # a bare list of rules, or a ConfigMap: pint reads those, Prometheus doesn't
        try:
            rule_files.parse(path.read_text(), path.name)
            read += 1
        except InputError as exc:
            refused[path.parent.parent.name] = str(exc).split(" ")[0]

    assert refused == {
        "0004_fail_invalid_yaml": "ok.yml:5:",
        "0006_rr_labels": "0001.yml:8:",
        "0086_rulefmt_ignored_errors": "strict.yml:4:",
    }
    assert read == 8


@pytest.mark.real
def test_promtool_agrees_on_every_plain_file(tmp_path: Path):
    """What promtool refuses we refuse, what it takes we take; it can't read PrometheusRule, but can what we render."""
    if PROMTOOL is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "promtool is required and not installed"
        pytest.skip("promtool is not installed")
    if not RULES.exists():
        pytest.skip(f"no corpus at {RULES}")
    for path in corpus():
        try:
            groups = rule_files.parse(path.read_text(), path.name)
        except InputError:
            checked = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True)
            assert checked.returncode != 0, path.name
            continue
        written = tmp_path / path.name
        written.write_text(rule_files.render(groups))
        checked = subprocess.run([PROMTOOL, "check", "rules", written], capture_output=True, text=True)
        assert checked.returncode == 0, f"{path.name}: {checked.stderr}"
