"""What tuning an alert rule needs: whose an incident is, what a rule compares, its file with another threshold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from ray_tui.analysis import backtest, promql, rule_files
from ray_tui.analysis.episodes import SERVICE_LABELS, Episode
from ray_tui.analysis.rule_files import format_duration
from ray_tui.config import Config
from ray_tui.core.errors import InputError
from ray_tui.core.ports import Incident, LoadedRule, PagerService

TEST_MARK = "[TEST]"
"""Stands in the summary of every alert that we fire."""


def slug(text: str) -> str:
    """A name for ids and prompts: lower case, hyphens, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:60].strip("-") or "unnamed"


# --- whose is it -----------------------------------------------------------------------------------------------------


def aliases(config: Config) -> dict[str, str]:
    """Other names of our services, as the stores call them -> ours. A name that two services share names none."""
    found: dict[str, set[str]] = {}
    for name, service in config.services.items():
        for other in (*service.names.metrics.values(), service.names.traces):
            if other and other.casefold() not in {one.casefold() for one in config.services}:
                found.setdefault(other.casefold(), set()).add(name)
    return {other: next(iter(names)) for other, names in found.items() if len(names) == 1}


def service_labels(config: Config) -> tuple[str, ...]:
    """Labels that name an alert's service, the configured one first."""
    return tuple(dict.fromkeys((config.telemetry.service_label, *SERVICE_LABELS)))


def ours(service: str, config: Config) -> str:
    """Our name of a service, whatever it is called there; empty where it is none of ours."""
    names = {name.casefold(): name for name in config.services} | aliases(config)
    return names.get(service.strip().casefold(), "")


def is_our_probe(incident: Incident, probe_alerts: Iterable[str] = ()) -> bool:
    """Whether an incident is one that a synthetic alert of ours opened."""
    said = (incident.title, *incident.alert_keys)
    return any(mark in text for text in said for mark in (TEST_MARK, "ray_tui_probe", *probe_alerts) if mark)


def attribute(
    incident: Incident, episodes: Sequence[Episode], config: Config, pager: Sequence[PagerService] = ()
) -> Incident | None:
    """The incident under our name of its service; None where it belongs to no service of ours.

    A paging service may stand for several of ours (those whose owner it pages): then the one that the title names
    counts, else every alert of them may have told of it. A title that names an alert rule names its alert.
    """
    named = tuple(sorted({e.alert for e in episodes if e.alert and _word(e.alert, incident.title)}))
    keys = tuple(dict.fromkeys((*incident.alert_keys, *named)))
    direct = ours(incident.service, config)
    covered = _covered(incident.service, config, pager)
    told = [name for name in config.services if _word(name, incident.title)]
    if direct and direct not in covered:
        covered = (direct, *covered)
    for candidates in ([one for one in told if one in covered], told if not covered else []):
        if len(candidates) == 1:
            return replace(incident, service=candidates[0], alert_keys=keys)
    if direct:
        return replace(incident, service=direct, alert_keys=keys)
    if len(covered) == 1:
        return replace(incident, service=covered[0], alert_keys=keys)
    if covered:
        of_them = {e.alert for e in episodes if ours(e.service, config) in covered}
        return replace(incident, alert_keys=tuple(dict.fromkeys((*keys, *sorted(of_them)))))
    return replace(incident, alert_keys=keys) if keys and (named or not incident.service) else None


def _covered(service: str, config: Config, pager: Sequence[PagerService]) -> tuple[str, ...]:
    """Our services whose owner is paged by the paging service of that name."""
    policies = {one.policy_id for one in pager if service.casefold() in (one.name.casefold(), one.id.casefold())}
    owners = {name for name, owner in config.owners.items() if owner.policy and owner.policy in policies}
    return tuple(name for name, one in config.services.items() if one.owner in owners)


def _word(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE) is not None


# --- what a rule compares --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """``left operator value``: a rule with one numeric threshold. ``at`` is where its number stands in the text."""

    left: str
    operator: str
    value: float
    at: tuple[int, int]


def comparison(expr: str) -> Comparison | None:
    """The rule's left-hand side and its one numeric threshold; None where it has none, or more than one."""
    try:
        found = promql.thresholds(expr)
    except promql.PromqlError:
        return None
    if len(found) != 1 or found[0].value is None or not isfinite(found[0].value):
        return None
    if found[0].op not in backtest.COMPARE:
        return None
    places = _top_level(expr)
    if len(places) != 1:
        return None
    start, end = places[0]
    left, right, op = expr[:start], expr[end:], expr[start:end]
    if _number(right) == found[0].value and op == found[0].op:
        at = len(expr) - len(right.lstrip())
        return _checked(Comparison(left.strip(), op, found[0].value, (at, len(expr.rstrip()))))
    if _number(left) == found[0].value:
        at = len(left) - len(left.lstrip())
        return _checked(Comparison(right.strip(), found[0].op, found[0].value, (at, len(left.rstrip()))))
    return None


def with_threshold(expr: str, value: float) -> str:
    """The same expression with another number. Only for one that ``comparison`` reads."""
    found = comparison(expr)
    assert found is not None
    return expr[: found.at[0]] + f"{value:.10g}" + expr[found.at[1] :]


def _checked(found: Comparison) -> Comparison | None:
    """None unless the left-hand side is an expression of its own that answers without a condition."""
    try:
        left = promql.parse(found.left)
    except promql.PromqlError:
        return None
    return found if not left.is_constant and not left.thresholds else None


def _number(text: str) -> float | None:
    try:
        return float(text.strip())
    except ValueError:
        return None


_OPERATORS = ("==", "!=", "<=", ">=", "<", ">")


def _top_level(expr: str) -> list[tuple[int, int]]:
    """Where comparisons stand outside of brackets and quotes; none where set operators or comments stand there too."""
    found: list[tuple[int, int]] = []
    depth, at, quote = 0, 0, ""
    while at < len(expr):
        char = expr[at]
        if quote:
            at += 1 if char == "\\" and quote != "`" else 0
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif char == "#":
            return []
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif depth == 0:
            if re.match(r"(and|or|unless|bool)\b", expr[at:], re.IGNORECASE) and not _inside_word(expr, at):
                return []
            op = next((one for one in _OPERATORS if expr.startswith(one, at)), "")
            if op:
                found.append((at, at + len(op)))
                at += len(op) - 1
        at += 1
    return found


def _inside_word(expr: str, at: int) -> bool:
    return at > 0 and (expr[at - 1].isalnum() or expr[at - 1] in "_:")


# --- proposals -------------------------------------------------------------------------------------------------------


def proposal_data(found: backtest.Proposal, loaded: LoadedRule, ident: str) -> dict[str, Any]:
    """A proposal as JSON; pages a week and precision are those of the held-out half."""
    before, after = found.before, found.after
    return {
        "id": ident,
        "kind": found.kind,
        "rule": found.before.alert,
        "change": f"{_setting(before)} → {_setting(after)}",
        "expr_before": loaded.query,
        "expr_after": with_threshold(loaded.query, after.threshold),
        "threshold_before": before.threshold,
        "threshold_after": after.threshold,
        "for_before": before.for_seconds,
        "for_after": after.for_seconds,
        "pages_before": found.held_out.before.pages_per_week,
        "pages_after": found.held_out.after.pages_per_week,
        "precision_before": found.held_out.before.precision,
        "precision_after": found.held_out.after.precision,
        "train": _effect(found.train),
        "held_out": _effect(found.held_out),
        "why": found.why,
        "accepted": None,
        "state": "proposed",
    }


def _setting(rule: backtest.Rule) -> str:
    return f"{rule.operator} {rule.threshold:g} for {format_duration(rule.for_seconds)}"


def _effect(effect: backtest.Effect) -> dict[str, Any]:
    return {
        name: {
            "pages": score.pages,
            "pages_per_week": score.pages_per_week,
            "precision": score.precision,
            "recall": score.recall,
        }
        for name, score in (("before", effect.before), ("after", effect.after))
    }


# --- the rule's file -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """Another threshold and duration for one rule."""

    rule: str
    threshold_before: float
    threshold_after: float
    for_before: float
    for_after: float

    @classmethod
    def of(cls, proposal: Mapping[str, Any]) -> "Change":
        return cls(
            str(proposal["rule"]), float(proposal["threshold_before"]), float(proposal["threshold_after"]),
            float(proposal["for_before"]), float(proposal["for_after"]),
        )  # fmt: skip


def holds(expr: str, for_seconds: float, threshold: float, wanted_for: float) -> bool:
    """Whether a rule stands at this threshold and duration."""
    found = comparison(expr)
    return found is not None and found.value == threshold and abs(for_seconds - wanted_for) < 1e-6


def state_in(text: str, change: Change) -> str:
    """``before``, ``after`` or ``other``: at which setting the rule stands in a file; ``absent`` where it does not."""
    found = _rules_named(text, change.rule)
    if len(found) != 1:
        return "absent" if not found else "other"
    rule = found[0]
    if holds(rule.expr, rule.for_seconds, change.threshold_after, change.for_after):
        return "after"
    return "before" if holds(rule.expr, rule.for_seconds, change.threshold_before, change.for_before) else "other"


def edited(text: str, change: Change) -> str | None:
    """The file with this rule changed and nothing else, its comments kept; None where that cannot be done surely."""
    groups = _parsed(text)
    if groups is None or state_in(text, change) != "before":
        return None
    wanted = [
        _changed(rule, change) if rule.name == change.rule and rule.kind == "alerting" else rule
        for group in groups
        for rule in group.rules
    ]
    for candidate in (*_in_place(text, groups, change), _rendered(text, groups, wanted)):
        now = _parsed(candidate) if candidate else None
        if now is not None and _same(groups, wanted, now):
            return candidate
    return None


def _parsed(text: str) -> tuple[rule_files.Group, ...] | None:
    try:
        return rule_files.parse(text)
    except InputError:
        return None


def _rules_named(text: str, name: str) -> list[rule_files.Rule]:
    return [
        rule
        for group in _parsed(text) or ()
        for rule in group.rules
        if rule.name == name and rule.kind == "alerting"
    ]  # fmt: skip


def _changed(rule: rule_files.Rule, change: Change) -> rule_files.Rule:
    return replace(rule, expr=with_threshold(rule.expr, change.threshold_after), for_seconds=change.for_after)


def _same(
    before: Sequence[rule_files.Group], wanted: Sequence[rule_files.Rule], now: Sequence[rule_files.Group]
) -> bool:
    """Whether the groups are as before, and the rules as wanted, lines and white space of expressions aside."""

    def heads(groups: Sequence[rule_files.Group]) -> list[rule_files.Group]:
        return [replace(group, rules=(), line=0) for group in groups]

    def plain(rule: rule_files.Rule) -> rule_files.Rule:
        return replace(rule, line=0, expr=" ".join(rule.expr.split()))

    found = [rule for group in now for rule in group.rules]
    sizes = [len(group.rules) for group in before] == [len(group.rules) for group in now]
    return sizes and heads(before) == heads(now) and [plain(r) for r in found] == [plain(r) for r in wanted]


def _in_place(text: str, groups: Sequence[rule_files.Group], change: Change) -> list[str]:
    """Candidates: within the rule's own lines, each place where its operator and number stand, replaced."""
    rules = sorted((rule for group in groups for rule in group.rules), key=lambda rule: rule.line)
    starts = sorted({rule.line for rule in rules} | {group.line for group in groups})
    rule = next(rule for rule in rules if rule.name == change.rule and rule.kind == "alerting")
    end = next((line for line in starts if line > rule.line), None)
    lines = text.splitlines(keepends=True)
    head, block, tail = (
        lines[: rule.line - 1],
        "".join(lines[rule.line - 1 : end and end - 1]),
        lines[end and end - 1 :],
    )
    tail = tail if end else []
    if change.for_after != change.for_before:
        written = format_duration(change.for_after)
        block, count = re.subn(r"^(\s*(?:- )?for:\s*)[\"']?[0-9a-z]+[\"']?", rf"\g<1>{written}", block, flags=re.M)
        if count != 1:
            return []
    number = f"{change.threshold_after:.10g}"
    out = [block] if change.threshold_after == change.threshold_before else []
    out += [
        block[: found.start(1)] + number + block[found.end(1) :]
        for found in re.finditer(r"(?<=[<>=])\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)", block)
        if _number(found[1]) == change.threshold_before
    ]
    return ["".join(head) + one + "".join(tail) for one in out]


def _rendered(text: str, groups: Sequence[rule_files.Group], wanted: Sequence[rule_files.Rule]) -> str | None:
    """Written anew, only where the file is just as we write files: nothing of a person's can be lost then."""
    if rule_files.render(groups) != text:
        return None
    left = iter(wanted)
    return rule_files.render([replace(group, rules=tuple(next(left) for _ in group.rules)) for group in groups])
