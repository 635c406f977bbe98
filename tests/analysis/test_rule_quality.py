"""What rule_quality.py asks of an alert."""

import dataclasses
from pathlib import Path

import pytest

from ray_tui.analysis import rule_files, slo
from ray_tui.analysis.rule_quality import RULE_IDS, Policy, blocking, check, is_dead_mans_switch, is_multi_window
from ray_tui.core.ports import LoadedRule

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

GOOD = LoadedRule(
    group="g",
    file="f.yml",
    name="HighErrors",
    query='rate(errors_total{job="checkout"}[5m]) > 0.05',
    kind="alerting",
    for_seconds=300,
    labels={"severity": "critical", "team": "shop"},
    annotations={"summary": "too many errors", "runbook_url": "https://runbooks.example/high-errors"},
    health="ok",
)


def ids(rule: LoadedRule, policy: Policy | None = None) -> list[str]:
    return [issue.id for issue in check(rule, policy or Policy())]


def test_a_complete_alert_has_no_issue():
    """Threshold, for, severity, runbook, owner, summary: all there."""
    assert check(GOOD, Policy()) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"query": "rate(errors_total[5m])"}, ["threshold-missing"]),
        ({"query": "rate(errors_total[5m]) > bool 1"}, ["threshold-missing"]),
        ({"query": "errors > +Inf"}, ["threshold-unreachable"]),
        ({"query": "errors > NaN"}, ["threshold-unreachable"]),
        ({"query": "sum("}, ["expression-broken"]),
        ({"for_seconds": 0.0}, ["for-missing"]),
        ({"labels": {"team": "shop"}}, ["severity-missing"]),
        ({"labels": {"severity": "critical"}}, ["owner-missing"]),
        ({"labels": {"severity": " ", "owner": "me"}}, ["severity-missing"]),
        ({"annotations": {"summary": "x"}}, ["runbook-missing"]),
        ({"annotations": {"summary": "x", "runbook": "ask Bob"}}, ["runbook-not-a-link"]),
        ({"annotations": {"runbook": "docs/runbooks.md#errors"}}, ["summary-missing"]),
        ({"annotations": {**GOOD.annotations, "x": "{{ $nope }}"}}, ["template-broken"]),
        ({"health": "err", "last_error": "many-to-many"}, ["rule-unhealthy"]),
    ],
)
def test_each_thing_that_is_missing_is_its_own_issue(change: dict[str, object], expected: list[str]):
    """One mutation, one issue with a remedy. (P38)"""
    rule = dataclasses.replace(GOOD, **change)  # type: ignore[arg-type]

    assert ids(rule) == expected
    assert all(issue.remedy and issue.rule == "HighErrors" and issue.id in RULE_IDS for issue in check(rule, Policy()))


def test_the_bool_trap_is_explained():
    """The message says why the comparison does not count."""
    (issue,) = check(dataclasses.replace(GOOD, query="up > bool 1"), Policy())

    assert issue.severity == "blocks"
    assert "`bool`" in issue.message


@pytest.mark.parametrize(
    ("query", "severity", "expected"),
    [
        ("vector(1)", "critical", True),
        ("vector(1)", "none", True),
        ("up", "none", True),
        ("up", "critical", False),
        ("up == 0", "none", False),
        ("vector(1) > 2", "none", False),
    ],
)
def test_a_dead_mans_switch_is_one_that_always_fires_on_purpose(query: str, severity: str, expected: bool):
    """vector(1), or severity none without a condition."""
    labels = {"severity": severity, "team": "x"}
    assert is_dead_mans_switch(dataclasses.replace(GOOD, query=query, labels=labels), "severity") is expected


def test_a_dead_mans_switch_needs_neither_threshold_nor_for():
    """It must fire always; owner and runbook it needs like any other."""
    rule = dataclasses.replace(GOOD, query="vector(1)", for_seconds=0.0, labels={"severity": "none"})

    assert ids(rule) == ["owner-missing"]


def test_burn_rate_alerts_need_no_for():
    """Their short window does what `for` does. (P35)"""
    spec = slo.Slo("shop", "ok", 99.9, "(a[{{.window}}])\n/\n(b[{{.window}}])\n", page=slo.Alert("Burning"))
    rules = [r for g in slo.generate([spec]) for r in g.rules if r.kind == "alerting"]

    assert rules
    assert all(is_multi_window(rule.expr) for rule in rules)
    assert ids(dataclasses.replace(GOOD, query=rules[0].expr, for_seconds=0.0)) == []


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("rate(e[5m]) / rate(t[5m]) > 0.1 and rate(e[1h]) / rate(t[1h]) > 0.1", True),
        ("rate(a[5m]) > 1 and rate(b[1h]) > 1 and rate(c[1h]) > 1", False),
        ("rate(e[5m]) > 0.1 or rate(e[1h]) > 0.1", False),
        ("rate(e[5m]) > 0.1", False),
    ],
)
def test_only_two_windows_of_the_same_thing_stand_in_for_a_for(expr: str, expected: bool):
    """Different metrics that happen to have different ranges do not."""
    assert is_multi_window(expr) is expected


def test_a_policy_decides_what_blocks_and_what_is_not_looked_for():
    """A team may only warn on a missing `for`, and use its own labels."""
    rule = dataclasses.replace(GOOD, for_seconds=0.0, labels={"prio": "1", "squad": "x"})
    policy = Policy(
        severity_label="prio",
        owner_labels=("squad",),
        severities={"for-missing": "warns"},
        off=frozenset({"summary-missing"}),
    )

    assert blocking(check(rule, policy)) == ()
    assert ids(rule, policy) == ["for-missing"]


def test_a_recording_rule_is_only_asked_to_work():
    """No labels, no runbook; but its expression must be evaluated."""
    rule = LoadedRule("g", "f", "a:b", "sum(x)", "recording", health="ok")

    assert ids(rule) == []
    assert ids(dataclasses.replace(rule, health="err")) == ["rule-unhealthy"]


def test_the_corpus_of_kube_prometheus_lacks_owners_only():
    """Well-kept rules pass everything but the owner label; its two switches are recognised."""
    folder = CORPUS / "rules" / "kube-prometheus"
    if not folder.exists():
        pytest.skip(f"no corpus at {folder}")
    found: dict[str, list[str]] = {}
    switches = []
    for path in sorted(folder.glob("*.yaml")):
        for group in rule_files.parse(path.read_text(), path.name):
            for rule in group.rules:
                loaded = LoadedRule(
                    group.name,
                    path.name,
                    rule.name,
                    rule.expr,
                    rule.kind,
                    rule.for_seconds,
                    rule.labels,
                    rule.annotations,
                )
                if is_dead_mans_switch(loaded, "severity"):
                    switches.append(rule.name)
                for issue in check(loaded, Policy()):
                    found.setdefault(issue.id, []).append(rule.name)

    assert switches == ["Watchdog"]
    assert "threshold-missing" not in found
    assert "severity-missing" not in found
    assert "runbook-missing" not in found
    assert len(found["owner-missing"]) > 100
