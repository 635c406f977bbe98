"""Whether the rules that Prometheus has loaded mean what our rule files say, however either side writes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import promql_parser as pp

from ray_tui.analysis.rule_files import Group, Rule, format_duration
from ray_tui.core.ports import Labels, LoadedRule
from ray_tui.core.untrusted import clean, line

LONGEST = 1_000_000


@dataclass(frozen=True)
class RuleFile:
    """One rule file as it is to stand in the rule store. ``source`` is where it came from, for people."""

    name: str
    text: str
    groups: tuple[Group, ...]
    source: str

    @property
    def alerts(self) -> tuple[Rule, ...]:
        return tuple(rule for group in self.groups for rule in group.rules if rule.kind == "alerting")


def as_loaded(file: RuleFile) -> tuple[LoadedRule, ...]:
    """Its rules as the server would show them, once it has loaded the file and evaluated it without an error."""
    return tuple(
        LoadedRule(
            group.name, file.name, clean(rule.name), clean(rule.expr, LONGEST), rule.kind, rule.for_seconds,
            {**group.labels, **rule.labels}, rule.annotations, "ok",
        )
        for group in file.groups
        for rule in group.rules
    )  # fmt: skip


def differences(files: Sequence[RuleFile], loaded: Iterable[LoadedRule]) -> tuple[str, ...]:
    """What is loaded otherwise than written, a sentence each; nothing where all of it is loaded as it is written."""
    by_group: dict[str, list[LoadedRule]] = {}
    for rule in loaded:
        by_group.setdefault(rule.group, []).append(rule)
    found: list[str] = []
    for file in files:
        for group in file.groups:
            there = [rule for rule in by_group.get(group.name, ()) if belongs(rule, file.name)]
            found += [f"{file.name}, group {group.name!r}: {said}" for said in _group_differences(group, there)]
    return tuple(found)


def belongs(rule: LoadedRule, file_name: str) -> bool:
    """Whether a loaded rule comes from that file; a server that names no files is believed by the group's name."""
    return not rule.file or rule.file.rsplit("/", 1)[-1] == file_name


def _group_differences(group: Group, there: Sequence[LoadedRule]) -> list[str]:
    if not there:
        return ["is not loaded"] if group.rules else []
    if len(there) != len(group.rules):
        return [f"{len(there)} rules are loaded where {len(group.rules)} are written"]
    return [
        f"{rule.name}: {said}"
        for rule, loaded in zip(group.rules, there, strict=True)
        for said in _rule_differences(rule, loaded, group.labels)
    ]


def _rule_differences(rule: Rule, loaded: LoadedRule, group_labels: Labels) -> list[str]:
    if (rule.name, rule.kind) != (loaded.name, loaded.kind):
        return [f"{loaded.kind} rule {loaded.name!r} stands in its place"]
    found = []
    if not same_expression(rule.expr, loaded.query):
        found.append(f"the loaded expression is another one: {line(loaded.query)}")
    if rule.kind == "alerting" and abs(rule.for_seconds - loaded.for_seconds) > 0.0005:
        written, now = format_duration(rule.for_seconds), format_duration(max(0.0, loaded.for_seconds))
        found.append(f"`for` is {now} where {written} is written")
    sides: list[tuple[str, Labels, Labels]] = [("labels", {**group_labels, **rule.labels}, loaded.labels)]
    if rule.kind == "alerting":
        sides.append(("annotations", rule.annotations, loaded.annotations))
    for what, written_map, loaded_map in sides:
        names = _unlike(written_map, loaded_map)
        if names:
            found.append(f"{what} differ: {', '.join(names)}")
    return found


def _unlike(written: Labels, loaded: Labels) -> list[str]:
    """Names whose values differ; an empty value is none, as Prometheus sees it."""
    ours = {clean(name): clean(value, LONGEST).strip() for name, value in written.items() if value}
    theirs = {name: value.strip() for name, value in loaded.items() if value}
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


@lru_cache(maxsize=2048)
def same_expression(one: str, other: str) -> bool:
    """Whether two PromQL texts parse to the same tree: brackets, spaces, units and label order don't matter."""
    if "".join(one.split()) == "".join(other.split()):
        return True
    try:
        return bool(_canonical(pp.parse(one)) == _canonical(pp.parse(other)))
    except ValueError:
        return False


def _canonical(node: Any) -> Any:
    match node:
        case None:
            return None
        case pp.ParenExpr():
            return _canonical(node.expr)
        case pp.NumberLiteral() | pp.StringLiteral():
            return repr(node.val)
        case pp.UnaryExpr():
            return ("-", _canonical(node.expr))
        case pp.VectorSelector():
            return ("vector", _matchers(node), node.offset, _at(node.at))
        case pp.MatrixSelector():
            return ("range", _canonical(node.vector_selector), node.range)
        case pp.SubqueryExpr():
            return ("subquery", _canonical(node.expr), node.range, node.step, node.offset, _at(node.at))
        case pp.Call():
            return (node.func.name, *map(_canonical, node.args))
        case pp.AggregateExpr():
            grouping = node.modifier
            labels = None if grouping is None else (str(grouping.type), tuple(sorted(grouping.labels)))
            return (str(node.op), _canonical(node.param), _canonical(node.expr), _no_grouping(labels))
        case pp.BinaryExpr():
            return (str(node.op), _canonical(node.lhs), _canonical(node.rhs), _joining(node.modifier))
        case _:
            return str(node)


def _no_grouping(labels: tuple[str, tuple[str, ...]] | None) -> tuple[str, tuple[str, ...]] | None:
    """``by ()`` is what no grouping at all means."""
    return None if labels is not None and labels[0].endswith("By") and not labels[1] else labels


def _matchers(node: pp.VectorSelector) -> Any:
    every = {(one.name, str(one.op), one.value) for one in node.matchers.matchers}
    if node.name:
        every.add(("__name__", "MatchOp.Equal", node.name))
    either = {tuple(sorted((one.name, str(one.op), one.value) for one in group)) for group in node.matchers.or_matchers}
    return tuple(sorted(every)), tuple(sorted(either))


def _at(at: Any) -> str:
    return "" if at is None else str(at)


def _joining(modifier: Any) -> Any:
    if modifier is None:
        return (False, "VectorMatchCardinality.OneToOne", None, ())
    matching = modifier.matching
    on = None if matching is None else (str(matching.type), tuple(sorted(matching.labels)))
    return (bool(modifier.return_bool), str(modifier.card), on, tuple(sorted(modifier.group_labels or ())))
