"""An Alertmanager's configuration as the demo reads it: matchers, routes, time intervals, receivers, inhibition."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import yaml

Labels = Mapping[str, str]
Yaml = Mapping[str, Any]


class BadConfig(ValueError):
    """A configuration that the real Alertmanager refuses to load, for the same reason."""


class BadRequest(ValueError):
    """What the API answers with 400 and the text as a JSON string."""


_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def duration_seconds(text: str) -> float:
    """``1h30m``, ``200ms``, in Prometheus's units."""
    parts = _DURATION.findall(text)
    if "".join(f"{number}{unit}" for number, unit in parts) != text or not parts:
        raise BadConfig(f"not a valid duration string: {text!r}")
    return float(sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts))


@dataclass(frozen=True)
class Matcher:
    """One label condition. A missing label is an empty one; regular expressions are anchored."""

    name: str
    op: str
    value: str

    def __post_init__(self) -> None:
        if self.op in {"=~", "!~"}:
            try:
                re.compile(self.value)
            except re.error as error:
                raise BadRequest(f"error parsing regexp: {error}: `{self.value}`") from error

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.name, "")
        if self.op in {"=", "!="}:
            return (value == self.value) == (self.op == "=")
        return (re.fullmatch(self.value, value) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.name}{self.op}"{escaped}"'


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """``{a="b",c=~"d"}`` with or without braces (the classic syntax). Raises BadRequest."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    return tuple(_parse_matcher(part) for part in _split_outside_quotes(inner) if part.strip())


def _split_outside_quotes(text: str) -> list[str]:
    parts, quoted, escaped = [""], False, False
    for char in text:
        if char == "," and not quoted:
            parts.append("")
            continue
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
        parts[-1] += char
    return parts


def _parse_matcher(text: str) -> Matcher:
    found = _MATCHER.fullmatch(text)
    if not found:
        raise BadRequest(f"bad matcher format: {text}")
    name, op, raw = found.groups()
    if raw.startswith('"') != raw.endswith('"') or raw == '"':
        raise BadRequest(f"matcher value contains unescaped double quote: {raw}")
    value = raw[1:-1] if raw.startswith('"') else raw
    if re.search(r'(?<!\\)(?:\\\\)*"', value):
        raise BadRequest(f"matcher value contains unescaped double quote: {raw}")
    unescape = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
    return Matcher(name, op, re.sub(r'\\[n"\\]', lambda escape: unescape[escape.group()], value))


def _matchers_of(node: Yaml, prefix: str = "") -> tuple[Matcher, ...]:
    """A node's ``matchers`` and the older ``match`` and ``match_re``, sorted by name as Alertmanager does."""
    found = [Matcher(name, "=", str(value)) for name, value in (node.get(f"{prefix}match") or {}).items()]
    for name, value in (node.get(f"{prefix}match_re") or {}).items():
        found.append(Matcher(name, "=~", f"^(?:{value})$"))
    for text in node.get(f"{prefix}matchers") or ():
        found.extend(parse_matchers(text))
    return tuple(sorted(found, key=lambda matcher: (matcher.name, matcher.value, matcher.op)))


# --- routes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """One node of the routing tree, with everything that it inherits filled in. ``key`` is its path of matchers."""

    receiver: str
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14_400.0
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    key: str = "{}"
    routes: tuple["Route", ...] = ()

    def match(self, labels: Labels) -> tuple["Route", ...]:
        """Depth first: the first child that matches, and the next ones while it says ``continue``; else this node."""
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return ()
        found: list[Route] = []
        for child in self.routes:
            matched = child.match(labels)
            found.extend(matched)
            if matched and not child.continues:
                break
        return tuple(found) or (self,)

    def group_labels(self, labels: Labels) -> dict[str, str]:
        names = labels if self.group_by_all else (name for name in self.group_by if name in labels)
        return {name: labels[name] for name in names}

    def walk(self) -> Iterable["Route"]:
        yield self
        for child in self.routes:
            yield from child.walk()


def build_route(node: Yaml, parent: Route | None = None) -> Route:
    """Raises BadConfig or BadRequest for what the real one refuses."""
    matchers = _matchers_of(node)
    if parent is None:
        if not node.get("receiver"):
            raise BadConfig("root route must specify a default receiver")
        if matchers:
            raise BadConfig("root route must not have any matchers")
        for key in ("continue", "mute_time_intervals", "active_time_intervals"):
            if node.get(key):
                raise BadConfig(f"root route must not have {key}")
    base = parent or Route(receiver="")
    group_by = tuple(node["group_by"]) if node.get("group_by") is not None else base.group_by
    if len(set(group_by)) != len(group_by):
        raise BadConfig("duplicated label in group_by")
    by_all = group_by == ("...",) or (node.get("group_by") is None and base.group_by_all)
    if not by_all and any(not LABEL_NAME.fullmatch(name) for name in group_by):
        raise BadConfig("invalid label name in group_by list")
    for key in ("group_interval", "repeat_interval"):
        if key in node and duration_seconds(node[key]) == 0:
            raise BadConfig(f"{key} cannot be zero")
    route = Route(
        receiver=node.get("receiver") or base.receiver,
        group_by=() if by_all else group_by,
        group_by_all=by_all,
        group_wait=duration_seconds(node["group_wait"]) if "group_wait" in node else base.group_wait,
        group_interval=duration_seconds(node["group_interval"]) if "group_interval" in node else base.group_interval,
        repeat_interval=(
            duration_seconds(node["repeat_interval"]) if "repeat_interval" in node else base.repeat_interval
        ),
        matchers=matchers,
        continues=bool(node.get("continue")),
        mute=tuple(node.get("mute_time_intervals") or ()),
        active=tuple(node.get("active_time_intervals") or ()),
        key="{}" if parent is None else f"{base.key}/{{{','.join(map(str, matchers))}}}",
    )
    children = tuple(build_route(child, route) for child in node.get("routes") or ())
    return Route(**{**vars(route), "routes": children})


# --- time intervals --------------------------------------------------------------------------------------------------

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def in_interval(parts: Sequence[Yaml], at: float) -> bool:
    """Whether any of a named interval's parts holds at a unix time; within a part every given field must."""
    return any(_part_holds(part, at) for part in parts)


def _part_holds(part: Yaml, at: float) -> bool:
    now = datetime.fromtimestamp(at, ZoneInfo(str(part.get("location") or "UTC")))
    last_day = ((now.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    minute = now.hour * 60 + now.minute
    return (
        _any(part.get("times"), lambda span: _minutes(span["start_time"]) <= minute < _minutes(span["end_time"]))
        and _any(part.get("weekdays"), lambda span: _within(span, now.weekday(), _WEEKDAYS, 0))
        and _any(part.get("months"), lambda span: _within(span, now.month, _MONTHS, 1))
        and _any(part.get("years"), lambda span: _within(span, now.year, (), 0))
        and _any(part.get("days_of_month"), lambda span: _day_within(str(span), now.day, last_day))
    )


def _any(spans: Sequence[Any] | None, holds: Callable[[Any], bool]) -> bool:
    return not spans or any(holds(span) for span in spans)


def _minutes(text: str | int) -> int:
    if isinstance(text, int):  # YAML 1.1 reads an unquoted 9:30 as 570
        return text
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _within(span: str | int, value: int, names: Sequence[str], offset: int) -> bool:
    ends = [
        names.index(end) + offset if (end := part.strip().lower()) in names else int(end)
        for part in str(span).split(":")
    ]
    return ends[0] <= value <= ends[-1]


def _day_within(span: str, day: int, last_day: int) -> bool:
    ends = [number if (number := int(part)) > 0 else last_day + 1 + number for part in span.split(":")]
    return ends[0] <= day <= ends[-1]


# --- configuration ---------------------------------------------------------------------------------------------------

INTEGRATIONS = ("webhook", "email", "pagerduty", "slack")
_SENDS_RESOLVED = {"webhook": True, "email": False, "pagerduty": True, "slack": False}
_SECRET_KEYS = frozenset(
    ("routing_key", "service_key", "api_url", "slack_api_url", "smtp_auth_password", "auth_password", "password")
)


@dataclass(frozen=True)
class Integration:
    """One way in which a receiver is told. ``index`` tells two of one kind in one receiver apart."""

    kind: str
    index: int
    settings: Yaml

    @property
    def send_resolved(self) -> bool:
        return bool(self.settings.get("send_resolved", _SENDS_RESOLVED[self.kind]))


@dataclass(frozen=True)
class InhibitRule:
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """A configuration that loaded."""

    original: str
    """As the status endpoint shows it: secrets replaced."""
    route: Route
    receivers: Mapping[str, tuple[Integration, ...]]
    inhibit_rules: tuple[InhibitRule, ...]
    intervals: Mapping[str, Sequence[Yaml]]
    resolve_timeout: float
    smtp_from: str = ""


def load_config(text: str) -> Config:
    """Raises BadConfig, saying what the real Alertmanager would object to."""
    try:
        tree = yaml.safe_load(text) or {}
        return _load(tree)
    except (yaml.YAMLError, BadRequest, AttributeError, TypeError) as error:
        raise BadConfig(str(error)) from error


def _load(tree: Yaml) -> Config:
    global_settings = tree.get("global") or {}
    if not tree.get("route"):
        raise BadConfig("no routes provided")
    route = build_route(tree["route"])
    receivers: dict[str, tuple[Integration, ...]] = {}
    for receiver in tree.get("receivers") or ():
        name = receiver.get("name")
        if not name:
            raise BadConfig("missing name in receiver")
        if name in receivers:
            raise BadConfig(f"notification config name {name!r} is not unique")
        receivers[name] = tuple(
            Integration(kind, index, {**_inherited(kind, global_settings), **settings})
            for kind in INTEGRATIONS
            for index, settings in enumerate(receiver.get(f"{kind}_configs") or ())
        )
    intervals: dict[str, Sequence[Yaml]] = {}
    for entry in (*(tree.get("time_intervals") or ()), *(tree.get("mute_time_intervals") or ())):
        if not entry.get("name"):
            raise BadConfig("missing name in time interval")
        if entry["name"] in intervals:
            raise BadConfig(f"time interval {entry['name']!r} is not unique")
        intervals[entry["name"]] = entry.get("time_intervals") or ()
    for node in route.walk():
        if node.receiver not in receivers:
            raise BadConfig(f"undefined receiver {node.receiver!r} used in route")
        for name in (*node.mute, *node.active):
            if name not in intervals:
                raise BadConfig(f"undefined time interval {name!r} used in route")
    return Config(
        original=yaml.safe_dump(_without_secrets(tree), sort_keys=False),
        route=route,
        receivers=receivers,
        inhibit_rules=tuple(
            InhibitRule(_matchers_of(rule, "source_"), _matchers_of(rule, "target_"), tuple(rule.get("equal") or ()))
            for rule in tree.get("inhibit_rules") or ()
        ),
        intervals=intervals,
        resolve_timeout=duration_seconds(global_settings.get("resolve_timeout", "5m")),
    )


def _inherited(kind: str, global_settings: Yaml) -> dict[str, Any]:
    names = {
        "email": {
            "smarthost": "smtp_smarthost",
            "from": "smtp_from",
            "auth_username": "smtp_auth_username",
            "auth_password": "smtp_auth_password",
        },
        "slack": {"api_url": "slack_api_url"},
        "pagerduty": {"url": "pagerduty_url"},
    }
    mine = names.get(kind, {})
    return {local: global_settings[name] for local, name in mine.items() if global_settings.get(name)}


def _without_secrets(node: Any, parent: str = "") -> Any:
    if isinstance(node, dict):
        return {key: _shown(key, value, parent) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_secrets(item, parent) for item in node]
    return node


def _shown(key: str, value: Any, parent: str) -> Any:
    if key in _SECRET_KEYS or (parent == "webhook_configs" and key == "url"):
        return "<secret>"
    return _without_secrets(value, key)
