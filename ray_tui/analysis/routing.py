"""Alertmanager's routing: which receivers an alert reaches, under which timers, and which labels surely reach one."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ray_tui.analysis import receivers as schema
from ray_tui.analysis import time_intervals
from ray_tui.analysis.matchers import Matcher, MatcherError, all_match, examples, parse, parse_classic, text_of
from ray_tui.analysis.receivers import Integration, Receiver
from ray_tui.analysis.rule_files import parse_duration
from ray_tui.analysis.strict_yaml import Fields, Scalar, Value, document, fields, items, line_of, text, text_map
from ray_tui.core.errors import InputError
from ray_tui.core.ports import Labels
from ray_tui.core.untrusted import clean

GROUP_WAIT_SECONDS = 30.0
GROUP_INTERVAL_SECONDS = 300.0
REPEAT_INTERVAL_SECONDS = 14_400.0

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TOP_FIELDS = frozenset(
    ("global", "route", "inhibit_rules", "receivers", "templates", "mute_time_intervals", "time_intervals", "tracing")
)
_TIMERS = ("group_wait", "group_interval", "repeat_interval")
_ROUTE_MATCHERS = ("match", "match_re", "matchers")
_ROUTE_INTERVALS = ("mute_time_intervals", "active_time_intervals")
_ROUTE_FIELDS = frozenset(("receiver", "group_by", "continue", "routes", *_TIMERS, *_ROUTE_MATCHERS, *_ROUTE_INTERVALS))
_INHIBIT_FIELDS = frozenset(
    ("name", "equal", "sources", *(f"{side}_{kind}" for side in ("source", "target") for kind in _ROUTE_MATCHERS))
)
_MOST_COMBINATIONS = 500


class RoutingError(InputError):
    """A configuration that Alertmanager refuses. ``reason`` is Alertmanager's own wording, where we know it."""

    def __init__(self, source: str, line: int, reason: str) -> None:
        self.reason = reason
        super().__init__(clean(f"{source}:{line}: {reason}"))


@dataclass(frozen=True)
class Route:
    """One node of the tree, with everything that it inherits filled in. ``key`` is its path from the root."""

    receiver: str
    matchers: tuple[Matcher, ...]
    goes_on: bool
    group_by: tuple[str, ...]
    group_by_all: bool
    group_wait: float
    group_interval: float
    repeat_interval: float
    mute: tuple[str, ...]
    active: tuple[str, ...]
    routes: tuple["Route", ...]
    key: str
    line: int


@dataclass(frozen=True)
class InhibitRule:
    """While a source fires, targets with equal labels are not notified."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class RoutingConfig:
    """A whole configuration, validated."""

    root: Route
    receivers: tuple[Receiver, ...]
    inhibit_rules: tuple[InhibitRule, ...]
    intervals: Mapping[str, tuple[time_intervals.TimeInterval, ...]]
    resolve_timeout: float
    newer_fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Hit:
    """One route that an alert ends in. ``inactive``: outside its active intervals, or in a mute one: nobody is told."""

    receiver: str
    group_by: tuple[str, ...]
    group_by_all: bool
    group_wait: float
    group_interval: float
    repeat_interval: float
    path: str
    muted_by: tuple[str, ...]
    inactive: bool
    is_root: bool


@dataclass(frozen=True)
class Inhibition:
    """Why an alert is not notified: the rule's line, and the labels of the alert that suppresses it."""

    line: int
    rule: str
    source: Labels


@dataclass(frozen=True)
class CriticalReceiver:
    """A receiver that critical alerts reach. ``example`` is a label set that surely does, or None: none was found."""

    name: str
    example: Labels | None
    paths: tuple[str, ...]
    integrations: tuple[Integration, ...]


# --- questions -------------------------------------------------------------------------------------------------------


def route(config: RoutingConfig, labels: Labels, at: float | None = None) -> tuple[Hit, ...]:
    """Every route that an alert ends in, in Alertmanager's order. Without ``at``, time intervals are not looked at."""
    return tuple(_hit(config, node, at) for node in _matching(config.root, labels))


def receivers(config: RoutingConfig) -> tuple[Receiver, ...]:
    """Every receiver with its integrations, in file order."""
    return config.receivers


def inhibited_by(config: RoutingConfig, target: Labels, active: Sequence[Labels]) -> tuple[Inhibition, ...]:
    """Every reason why the target is suppressed by alerts that are active now."""
    found: list[Inhibition] = []
    for rule in config.inhibit_rules:
        if not all_match(rule.target, target):
            continue
        both_sides = all_match(rule.source, target)
        for source in active:
            if not all_match(rule.source, source) or any(source.get(n, "") != target.get(n, "") for n in rule.equal):
                continue
            if both_sides and all_match(rule.target, source):  # an alert on both sides never inhibits its own kind
                continue
            found.append(Inhibition(rule.line, f"{text_of(rule.source)} inhibits {text_of(rule.target)}", source))
    return tuple(found)


def reaches_nobody(config: RoutingConfig, labels: Labels, at: float | None = None) -> bool:
    """Whether no integration would be told: empty receivers, or every route muted at that time."""
    silent = {receiver.name for receiver in config.receivers if receiver.reaches_nobody}
    return all(hit.receiver in silent or hit.inactive for hit in route(config, labels, at))


def only_default(config: RoutingConfig, labels: Labels) -> bool:
    """Whether no route of its own matches: the alert falls through to the root."""
    return all(hit.is_root for hit in route(config, labels))


def needs(config: RoutingConfig) -> tuple[tuple[str, str], ...]:
    """(field, first Alertmanager that knows it) for the newer fields in use. Best effort."""
    return config.newer_fields


def unknown_to(config: RoutingConfig, version: str) -> tuple[str, ...]:
    """For every field in use that an Alertmanager of this version is too old for: what it needs, in words."""
    have = _version(version)
    newer = ((name, first) for name, first in config.newer_fields if have and have < _version(first))
    return tuple(f"{name} needs Alertmanager ≥ {first} (this is {version})" for name, first in newer)


def _version(text: str) -> tuple[int, ...]:
    """``0.25.0`` as numbers; () for what is none."""
    found = re.match(r"v?(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else ()


def critical_receivers(
    config: RoutingConfig,
    severity_label: str,
    critical_values: Sequence[str],
    alerts: Sequence[Labels] = (),
    base: Labels | None = None,
) -> tuple[CriticalReceiver, ...]:
    """Receivers that a route naming a critical severity leads to, and those that any given critical alert reaches.

    Every example contains ``base`` and was checked by ``route``: it reaches that receiver, whatever else it reaches.
    """
    found: dict[str, tuple[Labels | None, list[str]]] = {}

    def add(receiver: str, path: str, example: Labels | None) -> None:
        before, paths = found.setdefault(receiver, (None, []))
        found[receiver] = (before or example, paths if path in paths else [*paths, path])

    for chain in _chains(config.root):
        on_path = tuple(matcher for node in chain for matcher in node.matchers)
        severities = _critical_here(on_path, severity_label, critical_values)
        if severities:
            example = _example(config, chain[-1], on_path, severity_label, severities, dict(base or {}))
            if example is not None or not _shadowed(chain[-1]):
                add(chain[-1].receiver, chain[-1].key, example)
    for labels in alerts:
        for hit in route(config, labels):
            add(hit.receiver, hit.path, dict(labels))
    known = {receiver.name: receiver.integrations for receiver in config.receivers}
    return tuple(
        CriticalReceiver(name, example, tuple(paths), known.get(name, ())) for name, (example, paths) in found.items()
    )


# --- how they are answered -------------------------------------------------------------------------------------------


def _matching(node: Route, labels: Labels) -> list[Route]:
    if not all_match(node.matchers, labels):
        return []
    found: list[Route] = []
    for child in node.routes:
        deeper = _matching(child, labels)
        found += deeper
        if deeper and not child.goes_on:
            break
    return found or [node]


def _hit(config: RoutingConfig, node: Route, at: float | None) -> Hit:
    def holds(name: str) -> bool:
        return at is not None and time_intervals.any_contains(config.intervals[name], at)

    muted_by = tuple(name for name in node.mute if holds(name))
    waiting = at is not None and bool(node.active) and not any(holds(name) for name in node.active)
    return Hit(
        node.receiver,
        node.group_by,
        node.group_by_all,
        node.group_wait,
        node.group_interval,
        node.repeat_interval,
        node.key,
        muted_by,
        bool(muted_by) or waiting,
        node is config.root,
    )


def _chains(node: Route, above: tuple[Route, ...] = ()) -> Iterator[tuple[Route, ...]]:
    """Every node with its ancestors, root first, in file order."""
    chain = (*above, node)
    yield chain
    for child in node.routes:
        yield from _chains(child, chain)


def _shadowed(node: Route) -> bool:
    """Whether a child without matchers takes everything: the node itself is never where an alert ends."""
    return any(not child.matchers for child in node.routes)


def _critical_here(on_path: Sequence[Matcher], label: str, values: Sequence[str]) -> tuple[str, ...]:
    """The critical values that the path lets through, if it looks at the severity at all."""
    about = [matcher for matcher in on_path if matcher.name == label]
    selective = any(not matcher.matches({label: other}) for matcher in about for other in ("", "info", "warning"))
    return tuple(value for value in values if all_match(about, {label: value})) if selective else ()


def _example(
    config: RoutingConfig,
    node: Route,
    on_path: Sequence[Matcher],
    severity_label: str,
    severities: Sequence[str],
    base: dict[str, str],
) -> Labels | None:
    """Labels that end in this very node; None where none of the combinations tried does."""
    choices: dict[str, list[str]] = {severity_label: list(severities)}
    for matcher in on_path:
        if matcher.name == severity_label:
            continue
        about = [other for other in on_path if other.name == matcher.name]
        values = [base[matcher.name]] if matcher.name in base else [v for m in about for v in examples(m)]
        choices[matcher.name] = [v for v in dict.fromkeys(values) if all_match(about, {matcher.name: v})]
    for tried in itertools.islice(itertools.product(*choices.values()), _MOST_COMBINATIONS):
        labels = {**base, **{name: value for name, value in zip(choices, tried, strict=True) if value}}
        if any(found is node for found in _matching(config.root, labels)):
            return labels
    return None


# --- loading ---------------------------------------------------------------------------------------------------------


@dataclass
class _Loader:
    """The state of one load: where we are, and what we met."""

    source: str
    strict: bool
    classic: bool
    newer: dict[str, str] = field(default_factory=dict)

    def refuse(self, line: int, reason: str) -> RoutingError:
        return RoutingError(self.source, line, reason)

    def known(self, found: Fields, allowed: frozenset[str], prefix: str = "", go_type: str = "config.plain") -> None:
        """Refuse what Alertmanager's strict decoder refuses; note what is newer than 0.25."""
        unknown = [key for key in found if key not in allowed]
        if unknown and self.strict:
            lines = "".join(f"\n  line {found.lines[key]}: field {key} not found in type {go_type}" for key in unknown)
            raise self.refuse(found.lines[unknown[0]], f"yaml: unmarshal errors:{lines}")
        for key in found:
            version = schema.since(f"{prefix}{key}")
            if version:
                self.newer[f"{prefix}{key}"] = version


def load(
    config_yaml: str, source: str = "alertmanager.yml", *, strict: bool = True, classic: bool = False
) -> RoutingConfig:
    """A validated configuration; raises RoutingError with Alertmanager's own words (current version).

    ``strict=False`` lets unknown fields pass: for a configuration that a running Alertmanager has already accepted.
    ``classic=True`` reads matchers as before 0.27.
    """
    loader = _Loader(source, strict, classic)
    root = document(config_yaml, source)
    if not isinstance(root, Fields):
        raise loader.refuse(line_of(root), "the configuration must be a mapping with route and receivers")
    loader.known(root, _TOP_FIELDS)
    global_fields = fields(root.get("global"), source, "global")
    loader.known(global_fields, schema.GLOBAL_FIELDS, "global.")
    intervals = _load_intervals(loader, root)
    listed = _load_receivers(loader, root, global_fields)
    inhibitions = tuple(
        _load_inhibition(loader, item) for item in items(root.get("inhibit_rules"), source, "inhibit_rules")
    )
    tree = None if root.get("route") is None else _load_route(loader, root["route"], None)
    problem = schema.global_problem(global_fields)
    if problem:
        raise loader.refuse(global_fields.line, problem)
    _check_receivers(loader, root, global_fields, listed)
    if tree is None:
        raise loader.refuse(root.line, "no routes provided")
    _check_tree(loader, tree, {receiver.name for receiver in listed}, set(intervals))
    written = text(global_fields.get("resolve_timeout"), source, "resolve_timeout")
    timeout = _seconds(loader, written or "5m", "resolve_timeout", global_fields.line)
    return RoutingConfig(tree, listed, inhibitions, intervals, timeout, tuple(sorted(loader.newer.items())))


def _seconds(loader: _Loader, written: str, key: str, line: int) -> float:
    try:
        return parse_duration(written)
    except ValueError as exc:
        raise loader.refuse(line, f"{key}: {exc}") from exc


def _load_intervals(loader: _Loader, root: Fields) -> dict[str, tuple[time_intervals.TimeInterval, ...]]:
    found: dict[str, tuple[time_intervals.TimeInterval, ...]] = {}
    for key, noun in (("mute_time_intervals", "mute time interval"), ("time_intervals", "time interval")):
        for item in items(root.get(key), loader.source, key):
            entry = fields(item, loader.source, noun)
            loader.known(entry, frozenset({"name", "time_intervals"}))
            name = text(entry.get("name"), loader.source, "name")
            if not name:
                raise loader.refuse(entry.line, f"missing name in {noun}")
            if name in found:
                raise loader.refuse(entry.line, f'{noun} "{name}" is not unique')
            parts = items(entry.get("time_intervals"), loader.source, "time_intervals")
            found[name] = tuple(time_intervals.parse(part, loader.source) for part in parts)
    return found


def _load_receivers(loader: _Loader, root: Fields, global_fields: Fields) -> tuple[Receiver, ...]:
    kinds = frozenset(f"{kind}_configs" for kind in schema.FIELDS)
    found: list[Receiver] = []
    for item in items(root.get("receivers"), loader.source, "receivers"):
        entry = fields(item, loader.source, "a receiver")
        loader.known(entry, kinds | {"name", "labels"})
        name = text(entry.get("name"), loader.source, "name")
        if not name:
            raise loader.refuse(entry.line, "missing name in receiver")
        integrations = [one for key in entry if key in kinds for one in _load_integrations(loader, entry, key)]
        found.append(Receiver(name, tuple(integrations), entry.line))
    return tuple(found)


def _load_integrations(loader: _Loader, entry: Fields, key: str) -> Iterator[Integration]:
    kind = key.removesuffix("_configs")
    go_type = "opsgenie.plain" if kind == "opsgenie" else "config.plain"
    for item in items(entry[key], loader.source, key):
        found = fields(item, loader.source, key, entry.line)
        loader.known(found, schema.FIELDS[kind] | schema.COMMON_FIELDS, f"{key}.", go_type)
        problem = schema.integration_problem(kind, found)
        if problem:
            raise loader.refuse(found.line, problem)
        told = found.get("send_resolved")
        resolved = told.is_true if isinstance(told, Scalar) else kind not in ("slack", "email", "wechat")
        yield Integration(kind, schema.target_of(kind, found), resolved, found.line)


def _check_receivers(loader: _Loader, root: Fields, global_fields: Fields, listed: tuple[Receiver, ...]) -> None:
    names: set[str] = set()
    for receiver, item in zip(listed, items(root.get("receivers"), loader.source, "receivers"), strict=True):
        if receiver.name in names:
            raise loader.refuse(receiver.line, f'notification config name "{receiver.name}" is not unique')
        names.add(receiver.name)
        for key, value in fields(item, loader.source, "a receiver").items():
            if not key.endswith("_configs"):
                continue
            for one in items(value, loader.source, key):
                found = fields(one, loader.source, key)
                problem = schema.missing_from_global(key.removesuffix("_configs"), found, global_fields)
                if problem:
                    raise loader.refuse(line_of(one, receiver.line), problem)


def _load_matchers(loader: _Loader, found: Fields, prefix: str = "") -> tuple[Matcher, ...]:
    """``match``, ``match_re`` and ``matchers`` together, sorted as Alertmanager sorts them."""
    plain, regex, modern = (f"{prefix}match", f"{prefix}match_re", f"{prefix}matchers")
    listed: list[Matcher] = []
    try:
        for name, value in text_map(found.get(plain), loader.source, plain, found.line).items():
            listed.append(Matcher(_label(loader, name, found.line), "=", value))
        old = fields(found.get(regex), loader.source, regex, found.line)
        for name, written in old.items():
            if written is None:
                raise loader.refuse(old.lines[name], f'no regular expression for label "{name}" in {regex}')
            pattern = text(written, loader.source, name)
            listed.append(Matcher(_label(loader, name, found.line), "=~", f"^(?:{pattern})$"))
        for item in items(found.get(modern), loader.source, modern, found.line):
            listed += (parse_classic if loader.classic else parse)(text(item, loader.source, modern))
    except MatcherError as exc:
        raise loader.refuse(found.line, exc.reason) from exc
    return tuple(sorted(listed, key=lambda one: (one.name, one.value, one.op)))


def _label(loader: _Loader, name: str, line: int) -> str:
    if not _LABEL.fullmatch(name):
        raise loader.refuse(line, f'invalid label name "{name}"')
    return name


def _load_inhibition(loader: _Loader, value: Value) -> InhibitRule:
    found = fields(value, loader.source, "an inhibition rule")
    loader.known(found, _INHIBIT_FIELDS)
    equal = tuple(text(item, loader.source, "equal") for item in items(found.get("equal"), loader.source, "equal"))
    return InhibitRule(
        _load_matchers(loader, found, "source_"), _load_matchers(loader, found, "target_"), equal, found.line
    )


def _load_route(loader: _Loader, value: Value, parent: Route | None) -> Route:
    found = fields(value, loader.source, "a route")
    loader.known(found, _ROUTE_FIELDS)
    matchers = _load_matchers(loader, found)
    group_by, group_by_all = _load_group_by(loader, found, parent)
    node = Route(
        receiver=text(found.get("receiver"), loader.source, "receiver") or (parent.receiver if parent else ""),
        matchers=matchers,
        goes_on=isinstance(going := found.get("continue"), Scalar) and going.is_true,
        group_by=group_by,
        group_by_all=group_by_all,
        group_wait=_timer(loader, found, "group_wait", parent.group_wait if parent else GROUP_WAIT_SECONDS),
        group_interval=_timer(
            loader, found, "group_interval", parent.group_interval if parent else GROUP_INTERVAL_SECONDS
        ),
        repeat_interval=_timer(
            loader, found, "repeat_interval", parent.repeat_interval if parent else REPEAT_INTERVAL_SECONDS
        ),
        mute=_names(loader, found, "mute_time_intervals"),
        active=_names(loader, found, "active_time_intervals"),
        routes=(),
        key=f"{parent.key}/{text_of(matchers)}" if parent else text_of(matchers),
        line=found.line,
    )
    children = items(found.get("routes"), loader.source, "routes", found.line)
    deeper = tuple(_load_route(loader, child, node) for child in children)
    return _with_routes(node, deeper)


def _with_routes(node: Route, routes: tuple[Route, ...]) -> Route:
    return replace(node, routes=routes)


def _names(loader: _Loader, found: Fields, key: str) -> tuple[str, ...]:
    return tuple(text(item, loader.source, key) for item in items(found.get(key), loader.source, key, found.line))


def _timer(loader: _Loader, found: Fields, key: str, inherited: float) -> float:
    if found.get(key) is None:
        return inherited
    seconds = _seconds(loader, text(found[key], loader.source, key), key, found.lines[key])
    if seconds == 0 and key != "group_wait":
        raise loader.refuse(found.lines[key], f"{key} cannot be zero")
    return seconds


def _load_group_by(loader: _Loader, found: Fields, parent: Route | None) -> tuple[tuple[str, ...], bool]:
    inherited = (parent.group_by, parent.group_by_all) if parent else ((), False)
    names = _names(loader, found, "group_by")
    if not names:
        return ((), False) if isinstance(found.get("group_by"), list) else inherited
    line = found.lines["group_by"]
    if "..." in names:
        if len(names) > 1:
            raise loader.refuse(line, "cannot have wildcard group_by (`...`) and other other labels at the same time")
        return inherited[0], True
    for at, name in enumerate(names):
        if not _LABEL.fullmatch(name):
            raise loader.refuse(line, f'invalid label name "{name}" in group_by list')
        if name in names[:at]:
            raise loader.refuse(line, f'duplicated label "{name}" in group_by')
    return names, False


def _check_tree(loader: _Loader, root: Route, names: set[str], intervals: set[str]) -> None:
    if not root.receiver:
        raise loader.refuse(root.line, "root route must specify a default receiver")
    if root.matchers:
        raise loader.refuse(root.line, "root route must not have any matchers")
    if root.mute:
        raise loader.refuse(root.line, "root route must not have any mute time intervals")
    if root.active:
        raise loader.refuse(root.line, "root route must not have any active time intervals")
    if root.goes_on:
        raise loader.refuse(root.line, "cannot have continue in root route")
    for chain in _chains(root):
        if chain[-1].receiver not in names:
            raise loader.refuse(chain[-1].line, f'undefined receiver "{chain[-1].receiver}" used in route')
    for chain in _chains(root):
        for name in (*chain[-1].active, *chain[-1].mute):
            if name not in intervals:
                raise loader.refuse(chain[-1].line, f'undefined time interval "{name}" used in route')
