"""Prometheus rule files: strict reading (plain groups and PrometheusRule objects) and deterministic writing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from ray_tui.analysis import promql
from ray_tui.analysis.strict_yaml import (
    Fields,
    Scalar,
    Value,
    complaint,
    documents,
    fields,
    items,
    line_of,
    reject_unknown,
    text,
    text_map,
)
from ray_tui.core.ports import Labels

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GROUP_FIELDS = ("name", "interval", "query_offset", "limit", "labels", "rules", "partial_response_strategy")
_RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")


def parse_duration(written: str) -> float:
    """Seconds of a Prometheus duration (``1h30m``, ``250ms``, ``0``); ValueError says what is wrong with it."""
    written = written.strip()
    if written == "0":
        return 0.0
    found = _DURATION.fullmatch(written)
    if not written or found is None:
        raise ValueError(f"not a duration: {written!r}; write it like 5m, 1h30m or 15s")
    return sum(int(part or 0) * size for part, size in zip(found.groups(), _UNITS_MS.values(), strict=True)) / 1000


def format_duration(seconds: float) -> str:
    """The duration as Prometheus prints it: 2419200 -> 4w, 2592000 -> 30d, 5400 -> 1h30m, 0 -> 0s."""
    left = round(seconds * 1000)
    if left < 0:
        raise ValueError(f"a duration can't be negative: {seconds}")
    if left == 0:
        return "0s"
    written = ""
    for unit, size in _UNITS_MS.items():
        if unit in ("y", "w") and left % size:  # Prometheus uses these only where they are exact
            continue
        count, left = divmod(left, size)
        written += f"{count}{unit}" if count else ""
    return written


@dataclass(frozen=True)
class Rule:
    """One rule as its file says it. ``line`` is where it starts."""

    name: str
    kind: Literal["alerting", "recording"]
    expr: str
    for_seconds: float = 0.0
    keep_firing_for_seconds: float = 0.0
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True)
class Group:
    """One rule group. None means "as the server's configuration says"."""

    name: str
    rules: tuple[Rule, ...]
    interval_seconds: float | None = None
    query_offset_seconds: float | None = None
    limit: int = 0
    labels: Labels = field(default_factory=dict)
    line: int = 0


def parse(content: str, source: str = "rules") -> tuple[Group, ...]:
    """Every group of the file; raises InputError with file and line for anything that Prometheus would refuse."""
    groups: list[Group] = []
    for root in documents(content, source):
        for value in _group_values(root, source):
            group = _group(value, source)
            if any(group.name == other.name for other in groups):
                raise complaint(source, group.line, f"group {group.name!r} is already in this file; rename one of them")
            groups.append(group)
    return tuple(groups)


def duplicates(groups: Iterable[Group]) -> tuple[tuple[Rule, Rule], ...]:
    """(first, repeated) for rules of the same name and labels. Prometheus loads them; their results collide."""
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], Rule] = {}
    found: list[tuple[Rule, Rule]] = []
    for rule in (rule for group in groups for rule in group.rules):
        key = (rule.name, tuple(sorted(rule.labels.items())))
        if key in seen:
            found.append((seen[key], rule))
        seen.setdefault(key, rule)
    return tuple(found)


def render(groups: Sequence[Group]) -> str:
    """The file that Prometheus loads. Same groups, same bytes: labels sorted, rules in the order given."""
    return yaml.dump(
        {"groups": [_group_document(group) for group in groups]},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100_000,
        default_flow_style=False,
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def _group_values(root: Value, source: str) -> tuple[Value, ...]:
    if root is None:
        return ()
    top = fields(root, source, "a rule file")
    if "apiVersion" in top or "kind" in top:
        return _operator_groups(top, source)
    reject_unknown(top, ("groups",), source, "a rule file")
    return tuple(items(top.get("groups"), source, "groups", top.line))


def _operator_groups(top: Fields, source: str) -> tuple[Value, ...]:
    kind = text(top.get("kind"), source, "kind", top.line)
    if kind != "PrometheusRule":
        raise complaint(source, top.line, f"kind {kind!r} is no rule file; PrometheusRule was expected")
    reject_unknown(top, ("apiVersion", "kind", "metadata", "spec", "status"), source, "a PrometheusRule")
    spec = fields(top.get("spec"), source, "spec", top.line)
    reject_unknown(spec, ("groups",), source, "spec")
    return tuple(items(spec.get("groups"), source, "spec.groups", spec.line))


def _group(value: Value, source: str) -> Group:
    found = fields(value, source, "a group")
    reject_unknown(found, _GROUP_FIELDS, source, "a group")
    name = text(found.get("name"), source, "name", found.line)
    if not name:
        raise complaint(source, found.line, "a group has no name; every group needs one")
    limit = text(found.get("limit"), source, "limit", found.line) or "0"
    if not re.fullmatch(r"\d{1,9}", limit):
        raise complaint(source, found.lines["limit"], f"limit must be a whole number, not {limit!r}")
    labels = _labels(found, "labels", source)
    rules = tuple(_rule(rule, source) for rule in items(found.get("rules"), source, "rules", found.line))
    return Group(
        name,
        rules,
        _duration(found, "interval", source),
        _duration(found, "query_offset", source),
        int(limit),
        labels,
        found.line,
    )


def _duration(found: Fields, key: str, source: str) -> float | None:
    value = found.get(key)
    if value is None:
        return None
    try:
        return parse_duration(text(value, source, key))
    except ValueError as exc:
        raise complaint(source, found.lines[key], f"{key}: {exc}") from exc


def _labels(found: Fields, key: str, source: str) -> dict[str, str]:
    labels = text_map(found.get(key), source, key, found.line)
    for name in labels:
        if not _LABEL.fullmatch(name) or (key == "labels" and name == "__name__"):
            raise complaint(source, line_of(found.get(key)), f"{name!r} is no valid name in {key}")
    return labels


def _rule(value: Value, source: str) -> Rule:
    found = fields(value, source, "a rule")
    reject_unknown(found, _RULE_FIELDS, source, "a rule")
    record, alert = (text(found.get(key), source, key, found.line) for key in ("record", "alert"))
    if bool(record) == bool(alert):
        raise complaint(source, found.line, "a rule needs either record or alert, and only one of them")
    expr = text(found.get("expr"), source, "expr", found.line)
    if not expr.strip():
        raise complaint(source, found.line, f"rule {record or alert!r} has no expr")
    try:
        promql.parse(expr)
    except promql.PromqlError as exc:
        raise complaint(source, found.lines["expr"], f"rule {record or alert!r}: {exc}") from exc
    rule = Rule(
        record or alert,
        "recording" if record else "alerting",
        expr,
        _duration(found, "for", source) or 0.0,
        _duration(found, "keep_firing_for", source) or 0.0,
        _labels(found, "labels", source),
        _labels(found, "annotations", source),
        found.line,
    )
    _check_rule(rule, found, source)
    return rule


def _check_rule(rule: Rule, found: Fields, source: str) -> None:
    if rule.kind == "recording":
        if not _METRIC.fullmatch(rule.name):
            raise complaint(source, found.lines["record"], f"{rule.name!r} is no valid metric name")
        for key in ("for", "keep_firing_for", "annotations"):
            if key in found and found[key] is not None:
                raise complaint(source, found.lines[key], f"a recording rule can't have {key!r}: only an alert can")
        return
    for key, values in (("labels", rule.labels), ("annotations", rule.annotations)):
        for name, template in values.items():
            problem = template_problem(template)
            if problem:
                lines = found[key].lines if isinstance(found[key], Fields) else {}  # type: ignore[union-attr]
                raise complaint(source, lines.get(name, rule.line), f"{key}.{name} of {rule.name!r}: {problem}")


_TEMPLATE_VARIABLES = frozenset({"labels", "value", "externalLabels", "externalURL"})
_ACTION = re.compile(r"\{\{(-\s)?(?P<body>(?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|/\*.*?\*/|[^\"`}]|\}(?!\}))*)\}\}", re.DOTALL)


def template_problem(template: str) -> str | None:
    """What Prometheus would refuse in a Go template, as far as braces and variables tell; None for nothing seen."""
    defined = set(_TEMPLATE_VARIABLES)
    rest = _ACTION.sub("", template)
    if "{{" in rest:
        return "a template action is opened with {{ and never closed"
    for action in _ACTION.finditer(template):
        body = re.sub(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`|/\*.*?\*/", "", action.group("body"))
        for declared in re.finditer(r"((?:\$\w+\s*,?\s*)+):=", body):
            defined |= set(re.findall(r"\$(\w+)", declared.group(1)))
        for used in re.findall(r"\$(\w+)", body):
            if used not in defined:
                return f"undefined variable ${used}; the template knows $labels, $value, $externalLabels, $externalURL"
    return None


# --- writing ---------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Scalar, _represent_text)


def _group_document(group: Group) -> dict[str, Any]:
    document: dict[str, Any] = {"name": group.name}
    if group.interval_seconds is not None:
        document["interval"] = format_duration(group.interval_seconds)
    if group.query_offset_seconds is not None:
        document["query_offset"] = format_duration(group.query_offset_seconds)
    if group.limit:
        document["limit"] = group.limit
    if group.labels:
        document["labels"] = dict(sorted(group.labels.items()))
    document["rules"] = [_rule_document(rule) for rule in group.rules]
    return document


def _rule_document(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {"record" if rule.kind == "recording" else "alert": rule.name, "expr": rule.expr}
    if rule.for_seconds:
        document["for"] = format_duration(rule.for_seconds)
    if rule.keep_firing_for_seconds:
        document["keep_firing_for"] = format_duration(rule.keep_firing_for_seconds)
    if rule.labels:
        document["labels"] = dict(sorted(rule.labels.items()))
    if rule.annotations:
        document["annotations"] = dict(sorted(rule.annotations.items()))
    return document
