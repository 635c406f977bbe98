"""Judge an alerting rule: does it have a threshold, a `for`, a severity, a runbook, an owner and a summary?"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ray_tui.analysis import promql
from ray_tui.analysis.rule_files import template_problem
from ray_tui.core.ports import LoadedRule

Severity = Literal["blocks", "warns"]

_DEFAULT_SEVERITIES: Mapping[str, Severity] = {
    "expression-broken": "blocks",
    "rule-unhealthy": "blocks",
    "threshold-missing": "blocks",
    "threshold-unreachable": "blocks",
    "for-missing": "blocks",
    "severity-missing": "blocks",
    "runbook-missing": "blocks",
    "owner-missing": "blocks",
    "runbook-not-a-link": "warns",
    "summary-missing": "warns",
    "template-broken": "warns",
}
RULE_IDS = frozenset(_DEFAULT_SEVERITIES)


@dataclass(frozen=True)
class Issue:
    """One thing wrong with one rule. ``id`` is stable and kebab-case; ``severity`` says whether it blocks Gate 2."""

    id: str
    rule: str
    severity: Severity
    message: str
    remedy: str


@dataclass(frozen=True)
class Policy:
    """What counts. ``severities`` overrides what an issue does; ``off`` names issues that are not looked for."""

    severity_label: str = "severity"
    owner_labels: tuple[str, ...] = ("owner", "team")
    runbook_annotations: tuple[str, ...] = ("runbook_url", "runbook")
    summary_annotations: tuple[str, ...] = ("summary", "message", "description")
    severities: Mapping[str, Severity] = field(default_factory=dict)
    off: frozenset[str] = frozenset()


def is_dead_mans_switch(rule: LoadedRule, severity_label: str) -> bool:
    """Whether the alert is meant to fire always, so that its silence is the alarm: ``vector(1)``, or severity none."""
    if rule.kind != "alerting":
        return False
    try:
        facts = promql.parse(rule.query)
    except promql.PromqlError:
        return False
    constant = facts.is_constant and facts.always_answers and "vector" in facts.functions
    return constant or (facts.always_answers and rule.labels.get(severity_label, "").lower() == "none")


def is_multi_window(expr: str) -> bool:
    """Whether two windows of the same thing must agree, as in burn-rate alerts: their short window is their ``for``."""
    facts = promql.parse(expr)
    recorded = {found.group(1) for name in facts.metrics if (found := re.search(r":[a-z_]*?rate(\d+[smhdw])$", name))}
    same_thing = len(recorded) >= 2 or (len(facts.windows) >= 2 and len(facts.metrics) <= 2)  # a ratio has two
    return same_thing and re.search(r"\band\b", expr) is not None


def check(rule: LoadedRule, policy: Policy) -> tuple[Issue, ...]:
    """Everything wrong with an alert, in a fixed order; nothing for a recording rule that is healthy.

    A dead man's switch needs neither threshold nor ``for``; a multi-window alert needs no ``for``.
    """
    found = _expression_issues(rule, policy)
    if rule.kind == "alerting":
        found += _label_issues(rule, policy) + _annotation_issues(rule, policy)
    return tuple(
        Issue(name, rule.name, policy.severities.get(name, _DEFAULT_SEVERITIES[name]), message, remedy)
        for name, message, remedy in found
        if name not in policy.off
    )


def blocking(issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
    """The issues that block."""
    return tuple(issue for issue in issues if issue.severity == "blocks")


_Found = list[tuple[str, str, str]]


def _expression_issues(rule: LoadedRule, policy: Policy) -> _Found:
    found: _Found = []
    if rule.health == "err" or rule.last_error:
        said = rule.last_error or "no reason given"
        found.append(
            ("rule-unhealthy", f"the server can't evaluate it: {said}", "Run the query by hand, mend it, reload.")
        )
    try:
        facts = promql.parse(rule.query)
    except promql.PromqlError as exc:
        return [*found, ("expression-broken", str(exc), "Mend the expression; promtool check rules shows the same.")]
    if rule.kind == "recording" or is_dead_mans_switch(rule, policy.severity_label):
        return found
    if facts.always_answers:
        trap = " `bool` turns the comparison into 0 or 1 and filters nothing." if facts.compares_with_bool else ""
        message = f"the expression has no threshold: it fires whenever there is data.{trap}"
        found.append(
            ("threshold-missing", message, "Compare with a bound: `… > 0.05`, without bool and without `or vector()`.")
        )
    never = [bound.text for bound in facts.thresholds if _unreachable(bound)]
    if never and len(never) == len(facts.thresholds):
        found.append(("threshold-unreachable", f"no value satisfies {', '.join(never)}", "Give it a finite bound."))
    if rule.for_seconds <= 0 and not is_multi_window(rule.query):
        found.append(
            ("for-missing", "one bad sample fires it: it has no `for`", "Add `for:` with a few evaluation intervals.")
        )
    return found


def _unreachable(bound: promql.Threshold) -> bool:
    if bound.value is None:
        return False
    return (math.isnan(bound.value) and bound.op != "!=") or (math.isinf(bound.value) and bound.op in (">", "<"))


def _label_issues(rule: LoadedRule, policy: Policy) -> _Found:
    found: _Found = []
    if not rule.labels.get(policy.severity_label, "").strip():
        label = policy.severity_label
        found.append(
            (
                "severity-missing",
                f"it has no `{label}` label to route by",
                f"Add `{label}` with a value that is routed.",
            )
        )
    if not any(rule.labels.get(name, "").strip() for name in policy.owner_labels):
        names = " or ".join(policy.owner_labels)
        found.append(("owner-missing", f"it has no `{names}` label", "Name the team that answers for it."))
    return found


def _annotation_issues(rule: LoadedRule, policy: Policy) -> _Found:
    found: _Found = []
    runbook = next((rule.annotations[name] for name in policy.runbook_annotations if rule.annotations.get(name)), "")
    if not runbook.strip():
        name = policy.runbook_annotations[0]
        found.append(
            ("runbook-missing", f"it has no `{name}` annotation", f"Add `{name}` with the link to its runbook.")
        )
    elif not re.match(r"https?://\S+$|[\w./#-]+\.md(#\S*)?$|\{\{", runbook.strip()):
        found.append(
            ("runbook-not-a-link", f"its runbook is no link: {runbook}", "Give an http(s) URL or a path to a .md file.")
        )
    if not any(rule.annotations.get(name, "").strip() for name in policy.summary_annotations):
        found.append(
            ("summary-missing", "it has no summary: the page says only its name", "Add a `summary` annotation.")
        )
    for name, template in sorted({**rule.labels, **rule.annotations}.items()):
        problem = template_problem(template)
        if problem:
            found.append(
                ("template-broken", f"{name}: {problem}", "Mend the template; Prometheus prints the error instead.")
            )
    return found
