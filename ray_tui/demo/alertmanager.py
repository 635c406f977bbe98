"""Alertmanager as the demo runs it: what becomes of an alert between POST and the notification that a human gets.

Told in the order an alert lives it: configuration, matchers, routes, time intervals, alerts, silences and inhibition,
the notification log that peers share, what each integration is sent, the groups that send it, the HTTP API.
"""

import asyncio
import hashlib
import html
import json
import re
import smtplib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ray_tui.clock import Clock, iso
from ray_tui.demo.people import SERVICES
from ray_tui.demo.scenario import Scenario

VERSION = "0.27.0"
ZERO_TIME = "0001-01-01T00:00:00Z"
PEER_TIMEOUT_SECONDS = 0.4
"""How long the next peer in line leaves the one before it to notify (the real one: 15 s)."""
RETRY_DELAYS_SECONDS = (0.1, 0.2, 0.4, 0.8)
"""Pauses between the tries of one notification inside one flush."""
SEND_TIMEOUT_SECONDS = 5.0

Labels = Mapping[str, str]
Yaml = Mapping[str, Any]


class BadConfig(ValueError):
    """A configuration that the real Alertmanager refuses to load, for the same reason."""


class BadRequest(ValueError):
    """What the API answers with 400 and the text as a JSON string."""


class Invalid(ValueError):
    """What the API's request validation answers: an object with a code of its own."""

    def __init__(self, code: int, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


# --- matchers --------------------------------------------------------------------------------------------------------

_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


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
    if not by_all and any(not _LABEL_NAME.fullmatch(name) for name in group_by):
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


# --- alerts, silences ------------------------------------------------------------------------------------------------


@dataclass
class Alert:
    """One label set and its latest times. It is resolved once ``ends_at`` has passed; nobody has to say so."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float
    ends_at: float
    updated_at: float
    generator_url: str = ""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)

    def resolved(self, at: float) -> bool:
        return self.ends_at <= at


def fingerprint(labels: Labels) -> str:
    """Prometheus's label-set fingerprint, 16 hex digits: FNV-1a over names and values by name, 0xff after each."""
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


@dataclass
class Silence:
    """Matchers, and the window in which they hold."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    updated_at: float
    created_by: str
    comment: str

    def state(self, at: float) -> str:
        if at < self.starts_at:
            return "pending"
        return "active" if at < self.ends_at else "expired"

    def matches(self, labels: Labels) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def wire(self, at: float) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": {"state": self.state(at)},
            "updatedAt": iso(self.updated_at),
            "comment": self.comment,
            "createdBy": self.created_by,
            "startsAt": iso(self.starts_at),
            "endsAt": iso(self.ends_at),
            "matchers": [
                {
                    "name": matcher.name,
                    "value": matcher.value,
                    "isRegex": matcher.op in {"=~", "!~"},
                    "isEqual": matcher.op in {"=", "=~"},
                }
                for matcher in self.matchers
            ],
        }


def instant(value: Any, name: str) -> float | None:
    """Unix seconds of an RFC 3339 text; None for none and for Go's zero time."""
    if value is None or value == ZERO_TIME:
        return None
    try:
        # Go writes nanoseconds; fromisoformat takes no more than six digits.
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except (TypeError, ValueError) as error:
        raise Invalid(400, f'parsing {name} failed: cannot parse "{value}" as "2006-01-02T15:04:05Z"', 400) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def read_alert(wire: Mapping[str, Any], now: float, resolve_timeout: float) -> Alert:
    """Raises BadRequest for an alert that a batch can do without: the others of the batch are still stored."""
    starts, ends = instant(wire.get("startsAt"), "startsAt"), instant(wire.get("endsAt"), "endsAt")
    if starts is None:
        starts = now if ends is None else ends
    if ends is None:
        ends = now + resolve_timeout
    labels = {name: value for name, value in wire["labels"].items() if value != ""}
    if not labels:
        raise BadRequest("at least one label pair required")
    for name in labels:
        if not _LABEL_NAME.fullmatch(name):
            raise BadRequest(f'invalid label set: invalid name "{name}"')
    if starts > ends:
        raise BadRequest("start time must be before end time")
    return Alert(labels, dict(wire.get("annotations") or {}), starts, ends, now, wire.get("generatorURL") or "")


# --- what peers share ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogEntry:
    """What one integration of one group was last told."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at: float


@dataclass
class Gossip:
    """What a cluster's peers know together: silences, and who has been told what. Alerts are *not* shared."""

    silences: dict[str, Silence] = field(default_factory=dict)
    log: dict[tuple[str, ...], LogEntry] = field(default_factory=dict)
    locks: dict[tuple[str, ...], asyncio.Lock] = field(default_factory=dict)
    """Held while a group's integration is being told: a demo cluster never pages twice."""


def needs_telling(
    entry: LogEntry | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    *,
    send_resolved: bool,
    repeat_before: float,
) -> bool:
    """Alertmanager's deduplication (notify.DedupStage.needsUpdate)."""
    if entry is None:
        return bool(firing)
    if not firing <= entry.firing:
        return True
    if not firing:
        return bool(entry.firing)
    if send_resolved and not resolved <= entry.resolved:
        return True
    return entry.at < repeat_before


# --- what is sent ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Notification:
    """One group's news for one receiver, at one time. ``alerts`` are pairs of alert and whether it is resolved."""

    receiver: str
    group_key: str
    group_labels: Labels
    alerts: tuple[tuple[Alert, bool], ...]
    external_url: str

    @property
    def status(self) -> str:
        return "resolved" if all(resolved for _, resolved in self.alerts) else "firing"

    @property
    def common_labels(self) -> dict[str, str]:
        return _common([alert.labels for alert, _ in self.alerts])

    @property
    def common_annotations(self) -> dict[str, str]:
        return _common([alert.annotations for alert, _ in self.alerts])

    @property
    def title(self) -> str:
        """The default subject: ``[FIRING:1] group values (other common values)``."""
        count = sum(not resolved for _, resolved in self.alerts)
        head = f"[FIRING:{count}]" if self.status == "firing" else "[RESOLVED]"
        names = sorted(self.group_labels, key=lambda name: (name != "alertname", name))
        others = [value for name, value in sorted(self.common_labels.items()) if name not in self.group_labels]
        text = f"{head} {' '.join(self.group_labels[name] for name in names)}"
        return f"{text} ({' '.join(others)})" if others else f"{text} "

    @property
    def view_url(self) -> str:
        return f"{self.external_url}/#/alerts?receiver={quote(self.receiver)}"


def _common(sets: Sequence[Labels]) -> dict[str, str]:
    first = sets[0] if sets else {}
    return {name: first[name] for name in sorted(first) if all(each.get(name) == first[name] for each in sets)}


_EXPRESSION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")


def render(template: str, news: Notification) -> str:
    """The demo's part of Go templates: ``.CommonLabels.x``, ``.CommonAnnotations.x``, ``.GroupLabels.x``, ``.Status``.

    Anything else stays as it is written.
    """

    def value(found: re.Match[str]) -> str:
        head, _, name = found.group(1).partition(".")[2].partition(".")
        maps = {
            "CommonLabels": news.common_labels,
            "CommonAnnotations": news.common_annotations,
            "GroupLabels": news.group_labels,
        }
        if head == "Status" and not name:
            return news.status
        return maps[head].get(name, "") if head in maps and name else found.group()

    return _EXPRESSION.sub(value, template)


def webhook_body(news: Notification) -> dict[str, Any]:
    """Webhook payload version 4."""
    return {
        "receiver": news.receiver,
        "status": news.status,
        "alerts": [
            {
                "status": "resolved" if resolved else "firing",
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": iso(alert.starts_at),
                "endsAt": iso(alert.ends_at) if resolved else ZERO_TIME,
                "generatorURL": alert.generator_url,
                "fingerprint": alert.fingerprint,
            }
            for alert, resolved in news.alerts
        ],
        "groupLabels": dict(news.group_labels),
        "commonLabels": news.common_labels,
        "commonAnnotations": news.common_annotations,
        "externalURL": news.external_url,
        "version": "4",
        "groupKey": news.group_key,
        "truncatedAlerts": 0,
    }


def pagerduty_body(news: Notification, settings: Yaml) -> dict[str, Any]:
    """Events API v2, as 0.25 sends it: the dedup key is a hash of the group key; counts are strings."""
    firing = [alert for alert, resolved in news.alerts if not resolved]
    resolved = [alert for alert, resolved in news.alerts if resolved]
    return {
        "routing_key": str(settings.get("routing_key", "")),
        "dedup_key": hashlib.sha256(news.group_key.encode()).hexdigest(),
        "event_action": "trigger" if news.status == "firing" else "resolve",
        "payload": {
            "summary": render(settings["description"], news) if "description" in settings else news.title,
            "source": "Alertmanager",
            "severity": render(str(settings.get("severity", "error")), news),
            "custom_details": {
                "firing": _as_text(firing),
                "num_firing": str(len(firing)),
                "num_resolved": str(len(resolved)),
                "resolved": _as_text(resolved),
                **{name: render(str(text), news) for name, text in (settings.get("details") or {}).items()},
            },
        },
        "client": "Alertmanager",
        "client_url": news.view_url,
    }


def _as_text(alerts: Sequence[Alert]) -> str:
    lines: list[str] = []
    for alert in alerts:
        lines.append("Labels:")
        lines.extend(f" - {name} = {value}" for name, value in sorted(alert.labels.items()))
        lines.append("Annotations:")
        lines.extend(f" - {name} = {value}" for name, value in sorted(alert.annotations.items()))
        lines.append(f"Source: {alert.generator_url}")
    return "".join(f"{line}\n" for line in lines)


def slack_body(news: Notification, settings: Yaml) -> dict[str, Any]:
    """What goes to a Slack incoming webhook."""
    title = render(settings["title"], news) if "title" in settings else news.title
    return {
        "channel": str(settings.get("channel", "")),
        "username": "Alertmanager",
        "attachments": [
            {
                "title": title,
                "title_link": news.view_url,
                "text": render(str(settings.get("text", "")), news),
                "fallback": f"{title} | {news.view_url}",
                "callback_id": "",
                "footer": "",
                "color": "danger" if news.status == "firing" else "good",
                "mrkdwn_in": ["fallback", "pretext", "text"],
            }
        ],
    }


def mail_message(news: Notification, settings: Yaml, now: float) -> EmailMessage:
    """text/html inside multipart/alternative, and no plain text: as the real one's default."""
    message = EmailMessage()
    message["Subject"] = news.title
    message["To"] = str(settings.get("to", ""))
    message["From"] = str(settings.get("from", ""))
    message["Message-Id"] = f"<{int(now * 1e9)}.{uuid.uuid4().int >> 66}@alertmanager>"
    message["Date"] = datetime.fromtimestamp(now, UTC)
    message.make_alternative()
    blocks = []
    for alert, resolved in news.alerts:
        pairs = [("Labels", alert.labels), ("Annotations", alert.annotations)]
        blocks.append(f"<strong>{'Resolved' if resolved else 'Firing'}</strong><br>")
        for head, values in pairs:
            rows = "".join(f"{html.escape(f'{name} = {value}')}<br>\n" for name, value in sorted(values.items()))
            blocks.append(f"<strong>{head}</strong><br>\n{rows}")
        blocks.append(f'<a href="{html.escape(alert.generator_url)}">Source</a><br>')
    view = f'<a href="{html.escape(news.view_url)}">View in Alertmanager</a>'
    page = f"<!DOCTYPE html>\n<html><head><title>{html.escape(news.title)}</title></head>\n<body>\n{view}<br>\n"
    message.add_alternative(page + "\n".join(blocks) + "\n</body></html>\n", subtype="html", cte="quoted-printable")
    return message


def is_here(host: str | None) -> bool:
    """Whether a host is this machine. The demo's Alertmanager talks to nobody else: it must never page anybody."""
    return host in {"127.0.0.1", "localhost", "::1"}


def send_mail(message: EmailMessage, settings: Yaml) -> None:
    """Blocking. Raises OSError (smtplib's errors are OSErrors) when the smarthost does not take it."""
    host, _, port = str(settings.get("smarthost", "")).rpartition(":")
    if not is_here(host):
        raise ConnectionRefusedError(f"the demo sends no mail to {host}")
    with smtplib.SMTP(host, int(port), timeout=SEND_TIMEOUT_SECONDS) as smtp:
        if settings.get("auth_username"):
            smtp.login(str(settings["auth_username"]), str(settings.get("auth_password", "")))
        smtp.send_message(message)


def notification_event(
    news: Notification, told: Sequence[tuple[Alert, bool]], integration: Integration, instance: str, at: float
) -> dict[str, Any]:
    """What the event recorder writes once a receiver has taken a notification: protobuf's JSON, its second schema.

    Zero values are left out, and 64-bit integers are strings, as protobuf has it.
    """

    def shown(alert: Alert, resolved: bool) -> dict[str, Any]:
        row = {
            "fingerprint": str(int(alert.fingerprint, 16)), "name": alert.labels.get("alertname", ""),
            "labels": dict(alert.labels), "annotations": dict(alert.annotations), "startsAt": iso(alert.starts_at),
            "endsAt": iso(alert.ends_at),
        }  # fmt: skip
        return {**row, "resolved": True} if resolved else row

    firing = [shown(alert, False) for alert, resolved in told if not resolved]
    gone = [shown(alert, True) for alert, resolved in told if resolved]
    index = {"index": str(integration.index)} if integration.index else {}
    return {
        "@timestamp": iso(at),
        "instance": instance,
        "data": {
            "notification": {
                "alerts": [*firing, *gone],
                **({"firingAlerts": firing} if firing else {}),
                **({"resolvedAlerts": gone} if gone else {}),
                "groupInfo": {
                    "groupKey": news.group_key, "groupLabels": dict(news.group_labels),
                    "groupId": hashlib.sha256(news.group_key.encode()).hexdigest(), "receiverName": news.receiver,
                },
                "reason": "NOTIFY_REASON_FIRST_NOTIFICATION" if firing else "NOTIFY_REASON_ALL_ALERTS_RESOLVED",
                "integration": {"name": integration.kind, **index},
            }
        },
    }  # fmt: skip


def _append(path: Path, event: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event, ensure_ascii=False) + "\n")


# --- the server ------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    """Alerts of one route with equal group labels: they are told together, at the route's pace."""

    route: Route
    labels: dict[str, str]
    alerts: dict[str, Alert] = field(default_factory=dict)
    flushed: bool = False
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        inner = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(self.labels.items()))
        return f"{self.route.key}:{{{inner}}}"


class NoAnswer:
    """Middleware: while ``is_down()`` says so, the connection breaks in the middle of the answer."""

    def __init__(self, app: ASGIApp, is_down: Callable[[], bool]) -> None:
        self.app, self.is_down = app, is_down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.is_down():
            await self.app(scope, receive, send)
            return
        # The server closes the connection when fewer bytes than promised were sent.
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"1")]})


class DemoAlertmanager:
    """One peer. Its alerts, groups, silences and counters are plain attributes that tests may read.

    Several peers become a cluster by ``form_cluster``. ``down`` makes a peer break every connection and notify nobody.
    """

    def __init__(
        self,
        config_yaml: str,
        clock: Clock,
        name: str = "alertmanager-0",
        peers: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.config_yaml = config_yaml
        self.config = load_config(config_yaml)
        self.clock = clock
        self.name = name
        self.peers = peers
        """Addresses (host:port) of all peers, for the status endpoint."""
        self.cluster: list[DemoAlertmanager] = [self]
        self.gossip = Gossip()
        self.external_url = f"http://{name}:9093"
        self.settling = False
        self.down = False
        self.alerts: dict[str, Alert] = {}
        self.groups: dict[tuple[Route, str], Group] = {}
        """By route, not by its key: two siblings with the same matchers have the same key."""
        self.notifications: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.notifications_failed: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.requests: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.requests_failed: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.reload_ok = True
        self.event_log: Path | None = None
        """Where its event recorder writes; None: it is off."""
        self.started_at = clock.wall()
        self._http: httpx.AsyncClient | None = None
        self.app = Starlette(routes=_http_routes(self), middleware=[Middleware(NoAnswer, is_down=lambda: self.down)])

    async def stop(self) -> None:
        """End all groups. Stopping twice is fine."""
        tasks = [group.task for group in self.groups.values() if group.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.groups.clear()
        if self._http:
            await self._http.aclose()
            self._http = None

    # --- taking alerts in

    def take(self, wire: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store what is valid of a batch and put it into its groups; answers what was wrong with the rest."""
        errors: list[str] = []
        now = self.clock.wall()
        for each in wire:
            try:
                alert = read_alert(each, now, self.config.resolve_timeout)
            except BadRequest as error:
                errors.append(str(error))
                continue
            known = self.alerts.get(alert.fingerprint)
            if known and not known.resolved(now) and known.starts_at < alert.ends_at:
                alert.starts_at = min(known.starts_at, alert.starts_at)
            self.alerts[alert.fingerprint] = alert
            for route in self.config.route.match(alert.labels):
                self._put(alert, route, now)
        return errors

    def _put(self, alert: Alert, route: Route, now: float) -> None:
        labels = route.group_labels(alert.labels)
        key = (route, json.dumps(labels, sort_keys=True))
        group = self.groups.get(key)
        if group is None:
            if alert.resolved(now):
                return  # nobody was told that it fires
            group = self.groups[key] = Group(route, labels)
        group.alerts[alert.fingerprint] = alert
        if not group.flushed and alert.starts_at + route.group_wait < now:
            group.hurry.set()
        if group.task is None:
            group.task = asyncio.create_task(self._run(key, group))

    # --- telling people

    async def _run(self, key: tuple[Route, str], group: Group) -> None:
        try:
            async with asyncio.timeout(group.route.group_wait):
                await group.hurry.wait()
        except TimeoutError:
            pass
        while True:
            group.flushed = True
            if not self.down:
                await self._flush(group)
            if not group.alerts:
                del self.groups[key]
                return
            await asyncio.sleep(group.route.group_interval)

    def _position(self) -> int:
        """How many living peers come before this one: each of them gets a head start."""
        return sum(not peer.down for peer in self.cluster[: self.cluster.index(self)])

    async def _flush(self, group: Group) -> None:
        await asyncio.sleep(self._position() * PEER_TIMEOUT_SECONDS)
        now = self.clock.wall()
        seen = {key: (alert, alert.resolved(now)) for key, alert in group.alerts.items()}
        told = tuple(
            (alert, resolved)
            for alert, resolved in sorted(seen.values(), key=lambda pair: pair[0].starts_at)
            if not self.silenced_by(alert, now) and not self.inhibited_by(alert, now)
        )
        well = True
        if told and not self.muted_by(group.route, now):
            news = Notification(group.route.receiver, group.key, group.labels, told, self.external_url)
            integrations = self.config.receivers[group.route.receiver]
            well = all(await asyncio.gather(*(self._tell(news, each, group.route, now) for each in integrations)))
        if well:
            for key, (alert, resolved) in seen.items():
                if resolved and group.alerts.get(key) is alert:
                    del group.alerts[key]

    async def _tell(self, news: Notification, integration: Integration, route: Route, now: float) -> bool:
        """One integration, once per cluster. False: it could not be told; the next flush tries again."""
        key = (news.group_key, news.receiver, integration.kind, str(integration.index))
        firing = frozenset(alert.fingerprint for alert, resolved in news.alerts if not resolved)
        resolved = frozenset(alert.fingerprint for alert, resolved in news.alerts if resolved)
        async with self.gossip.locks.setdefault(key, asyncio.Lock()):
            if not needs_telling(
                self.gossip.log.get(key),
                firing,
                resolved,
                send_resolved=integration.send_resolved,
                repeat_before=now - route.repeat_interval,
            ):
                return True
            kept = news.alerts if integration.send_resolved else tuple(pair for pair in news.alerts if not pair[1])
            if kept:
                self.notifications[integration.kind] += 1
                if not await self._send(Notification(**{**vars(news), "alerts": kept}), integration):
                    self.notifications_failed[integration.kind] += 1
                    return False
                if self.event_log is not None:
                    event = notification_event(news, kept, integration, self.name, self.clock.wall())
                    await asyncio.to_thread(_append, self.event_log, event)
            self.gossip.log[key] = LogEntry(firing, resolved, self.clock.wall())
            return True

    async def _send(self, news: Notification, integration: Integration) -> bool:
        """A few tries for what may pass (5xx, broken connections; 429 where the integration honours it)."""
        for delay in (*RETRY_DELAYS_SECONDS, None):
            self.requests[integration.kind] += 1
            ok, may_pass = await self._send_once(news, integration)
            if ok:
                return True
            self.requests_failed[integration.kind] += 1
            if not may_pass or delay is None:
                break
            await asyncio.sleep(delay)
        return False

    async def _send_once(self, news: Notification, integration: Integration) -> tuple[bool, bool]:
        settings = integration.settings
        if integration.kind == "email":
            message = mail_message(news, settings, self.clock.wall())
            try:
                await asyncio.to_thread(send_mail, message, settings)
            except OSError:
                return False, True
            return True, False
        url = str(settings.get("api_url" if integration.kind == "slack" else "url", ""))
        try:
            if not is_here(httpx.URL(url).host):
                return False, False
        except httpx.InvalidURL:
            return False, False
        if integration.kind == "pagerduty":
            body = pagerduty_body(news, settings)
        elif integration.kind == "slack":
            body = slack_body(news, settings)
        else:
            body = webhook_body(news)
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=SEND_TIMEOUT_SECONDS, trust_env=False)
        try:
            answer = await self._http.post(url, json=body, headers={"User-Agent": f"Alertmanager/{VERSION}"})
        except httpx.HTTPError:
            return False, True
        throttled = answer.status_code == 429 and integration.kind != "webhook"
        return answer.is_success, answer.status_code >= 500 or throttled

    # --- reasons not to

    def silenced_by(self, alert: Alert, at: float) -> list[str]:
        silences = self.gossip.silences.values()
        return sorted(each.id for each in silences if each.state(at) == "active" and each.matches(alert.labels))

    def inhibited_by(self, alert: Alert, at: float) -> list[str]:
        found: set[str] = set()
        for rule in self.config.inhibit_rules:
            if not _all_match(rule.target, alert.labels):
                continue
            both_sides = _all_match(rule.source, alert.labels)
            for other in self.alerts.values():
                if other is alert or other.resolved(at) or not _all_match(rule.source, other.labels):
                    continue
                if both_sides and _all_match(rule.target, other.labels):
                    continue
                if all(other.labels.get(name, "") == alert.labels.get(name, "") for name in rule.equal):
                    found.add(other.fingerprint)
        return sorted(found)

    def muted_by(self, route: Route, at: float) -> list[str]:
        """Names of the intervals that keep a route quiet now: its mute ones, or its active ones while none holds."""
        muting = [name for name in route.mute if in_interval(self.config.intervals[name], at)]
        if route.active and not any(in_interval(self.config.intervals[name], at) for name in route.active):
            muting.extend(route.active)
        return muting

    # --- what the API shows

    def wire(self, alert: Alert, at: float) -> dict[str, Any]:
        routes = self.config.route.match(alert.labels)
        silenced, inhibited = self.silenced_by(alert, at), self.inhibited_by(alert, at)
        muted = sorted({name for route in routes for name in self.muted_by(route, at)})
        return {
            "annotations": alert.annotations,
            "endsAt": iso(alert.ends_at),
            "fingerprint": alert.fingerprint,
            "receivers": [{"name": name} for name in dict.fromkeys(route.receiver for route in routes)],
            "startsAt": iso(alert.starts_at),
            "status": {
                "inhibitedBy": inhibited,
                "mutedBy": muted,
                "silencedBy": silenced,
                "state": "suppressed" if silenced or inhibited or muted else "active",
            },
            "updatedAt": iso(alert.updated_at),
            "generatorURL": alert.generator_url,
            "labels": alert.labels,
        }

    def status(self) -> dict[str, Any]:
        clustered = len(self.cluster) > 1 or bool(self.peers())
        cluster: dict[str, Any] = {"status": "disabled", "peers": []}
        if clustered:
            cluster = {
                "name": self.name,
                "status": "settling" if self.settling else "ready",
                "peers": [
                    {"name": f"peer-{number}", "address": address} for number, address in enumerate(self.peers())
                ],
            }
        return {
            "cluster": cluster,
            "versionInfo": {
                "version": VERSION,
                "revision": "demo",
                "branch": "HEAD",
                "buildUser": "ray-tui",
                "buildDate": "20260101-00:00:00",
                "goVersion": "go1.23",
            },
            "config": {"original": self.config.original},
            "uptime": iso(self.started_at),
        }

    def put_silence(self, wire: Mapping[str, Any]) -> str:
        """Create or update; answers the id that holds from now on. Raises BadRequest, Invalid, or KeyError."""
        wanted = _read_silence(wire, self.clock.wall())
        now = wanted.updated_at
        if wanted.id:
            known = self.gossip.silences.get(wanted.id)
            if known is None:
                raise KeyError(wanted.id)
            if _may_update(known, wanted, now):
                wanted.starts_at = known.starts_at if known.state(now) == "active" else wanted.starts_at
                self.gossip.silences[known.id] = wanted
                return known.id
            if known.state(now) != "expired":
                self.expire_silence(known.id)
        wanted.id = str(uuid.uuid4())
        wanted.starts_at = max(wanted.starts_at, now)
        self.gossip.silences[wanted.id] = wanted
        return wanted.id

    def expire_silence(self, silence_id: str) -> None:
        """It stays listed, as expired. Raises KeyError for an unknown one, BadRequest for one that is over."""
        silence, now = self.gossip.silences[silence_id], self.clock.wall()
        if silence.state(now) == "expired":
            raise BadRequest(f"silence {silence_id} already expired")
        silence.starts_at = min(silence.starts_at, now)
        silence.ends_at = silence.updated_at = now

    def metrics(self) -> str:
        now = self.clock.wall()
        firing = sum(not alert.resolved(now) for alert in self.alerts.values())
        counters = {
            "alertmanager_notifications_total": self.notifications,
            "alertmanager_notifications_failed_total": self.notifications_failed,
            "alertmanager_notification_requests_total": self.requests,
            "alertmanager_notification_requests_failed_total": self.requests_failed,
        }
        lines = [f'alertmanager_build_info{{version="{VERSION}"}} 1']
        for name, values in counters.items():
            lines.append(f"# TYPE {name} counter")
            lines.extend(f'{name}{{integration="{kind}"}} {count}' for kind, count in values.items())
        lines += [
            "# TYPE alertmanager_alerts gauge",
            f'alertmanager_alerts{{state="active"}} {firing}',
            "# TYPE alertmanager_cluster_members gauge",
            f"alertmanager_cluster_members {sum(not peer.down for peer in self.cluster)}",
            "# TYPE alertmanager_config_last_reload_successful gauge",
            f"alertmanager_config_last_reload_successful {int(self.reload_ok)}",
        ]
        return "".join(f"{line}\n" for line in lines)


def form_cluster(*peers: DemoAlertmanager) -> None:
    """Let these share silences and the notification log; the first that lives notifies."""
    for peer in peers:
        peer.cluster = list(peers)
        peer.gossip = peers[0].gossip


def _all_match(matchers: Sequence[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def _may_update(known: Silence, wanted: Silence, now: float) -> bool:
    if known.matchers != wanted.matchers:
        return False
    if known.state(now) == "active":
        return int(known.starts_at) == int(wanted.starts_at) and wanted.ends_at >= now
    return known.state(now) == "pending" and wanted.starts_at >= now


def _read_silence(wire: Mapping[str, Any], now: float) -> Silence:
    for name in ("matchers", "startsAt", "endsAt", "createdBy", "comment"):
        if wire.get(name) is None:
            raise Invalid(602, f"{name} in body is required")
    if not wire["matchers"]:
        raise Invalid(612, "matchers in body should have at least 1 items")
    matchers = []
    for number, each in enumerate(wire["matchers"]):
        for name in ("name", "value", "isRegex"):
            if each.get(name) is None:
                raise Invalid(602, f"matchers.{number}.{name} in body is required")
        op = ("=~" if each["isRegex"] else "=") if each.get("isEqual", True) else ("!~" if each["isRegex"] else "!=")
        matchers.append(Matcher(each["name"], op, each["value"]))
    starts, ends = instant(wire["startsAt"], "startsAt") or 0.0, instant(wire["endsAt"], "endsAt") or 0.0
    if starts >= ends:
        raise BadRequest("Failed to create silence: start time must be before end time")
    if ends < now:
        raise BadRequest("Failed to create silence: end time can't be in the past")
    if all(matcher.matches({}) for matcher in matchers):
        raise BadRequest("invalid silence: at least one matcher must not match the empty string")
    wanted_id = str(wire.get("id") or "")
    return Silence(wanted_id, tuple(matchers), starts, ends, now, wire["createdBy"], wire["comment"])


# --- HTTP ------------------------------------------------------------------------------------------------------------

Handler = Callable[[Request], Awaitable[Response]]


def _answering(handler: Handler) -> Handler:
    """Errors as this API words them: a JSON string, or the validator's object."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except BadRequest as error:
            return JSONResponse(str(error), 400)
        except Invalid as error:
            return JSONResponse({"code": error.code, "message": error.message}, error.status)

    return answered


async def _json_body(request: Request, name: str) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise Invalid(400, f'parsing {name} body from "" failed, because {error}', 400) from error


def _flags(request: Request, *names: str) -> dict[str, bool]:
    """Query parameters that are true unless they say otherwise."""
    read = {}
    for name in names:
        value = request.query_params.get(name, "true").lower()
        if value not in {"true", "false", "1", "0"}:
            raise Invalid(601, f'{name} in query must be of type boolean: "{value}"')
        read[name] = value in {"true", "1"}
    return read


def _filters(request: Request) -> list[Matcher]:
    return [matcher for text in request.query_params.getlist("filter") for matcher in parse_matchers(text)]


def _receiver_pattern(request: Request) -> re.Pattern[str] | None:
    text = request.query_params.get("receiver")
    try:
        return None if text is None else re.compile(f"^(?:{text})$")
    except re.error as error:
        raise BadRequest(f"failed to parse receiver param: {error}") from error


def _shown_alert(wire: Mapping[str, Any], include: Mapping[str, bool]) -> bool:
    status = wire["status"]
    return (
        (include["active"] or status["state"] != "active")
        and (include["silenced"] or not status["silencedBy"])
        and (include["inhibited"] or not status["inhibitedBy"])
    )


def _http_routes(am: DemoAlertmanager) -> list[HttpRoute]:
    async def get_status(_: Request) -> Response:
        return JSONResponse(am.status())

    async def get_receivers(_: Request) -> Response:
        return JSONResponse([{"name": name} for name in am.config.receivers])

    def listed(request: Request, alerts: Iterable[Alert]) -> list[dict[str, Any]]:
        now, matchers = am.clock.wall(), _filters(request)
        # "unprocessed" is checked, and without effect: every alert here has been processed.
        include = _flags(request, "active", "silenced", "inhibited", "unprocessed")
        current = [each for each in alerts if not each.resolved(now) and _all_match(matchers, each.labels)]
        wires = [am.wire(each, now) for each in sorted(current, key=lambda each: each.fingerprint)]
        return [each for each in wires if _shown_alert(each, include)]

    async def get_alerts(request: Request) -> Response:
        pattern = _receiver_pattern(request)
        wires = listed(request, am.alerts.values())
        if pattern:
            wires = [each for each in wires if any(pattern.match(one["name"]) for one in each["receivers"])]
        return JSONResponse(wires)

    async def post_alerts(request: Request) -> Response:
        batch = await _json_body(request, "alerts")
        if not isinstance(batch, list) or not all(isinstance(each, dict) for each in batch):
            raise Invalid(400, 'parsing alerts body from "" failed, because json: cannot unmarshal', 400)
        for number, each in enumerate(batch):
            if not isinstance(each.get("labels"), dict):
                raise Invalid(602, f"{number}.labels in body is required")
            for value in (*each["labels"].values(), *(each.get("annotations") or {}).values()):
                if not isinstance(value, str):
                    raise Invalid(400, 'parsing alerts body from "" failed, because json: cannot unmarshal', 400)
        errors = am.take(batch)
        return JSONResponse("; ".join(errors), 400) if errors else Response(status_code=200)

    async def get_groups(request: Request) -> Response:
        pattern, now = _receiver_pattern(request), am.clock.wall()
        with_muted = _flags(request, "muted")["muted"]
        shown = []
        for group in am.groups.values():
            alerts = listed(request, group.alerts.values())
            if not alerts or (pattern and not pattern.match(group.route.receiver)):
                continue
            muted = am.muted_by(group.route, now) or all(each["status"]["state"] == "suppressed" for each in alerts)
            if with_muted or not muted:
                receiver = {"name": group.route.receiver}
                shown.append({"labels": group.labels, "routeLabels": {}, "receiver": receiver, "alerts": alerts})
        return JSONResponse(shown)

    async def get_silences(request: Request) -> Response:
        matchers, now = _filters(request), am.clock.wall()
        include = _flags(request, "active", "expired", "pending")
        wires = [each.wire(now) for each in am.gossip.silences.values() if _silence_matches(each, matchers)]
        return JSONResponse([each for each in wires if include[each["status"]["state"]]])

    async def post_silences(request: Request) -> Response:
        body = await _json_body(request, "silence")
        if not isinstance(body, dict):
            raise Invalid(400, 'parsing silence body from "" failed, because json: cannot unmarshal', 400)
        try:
            return JSONResponse({"silenceID": am.put_silence(body)})
        except KeyError:
            return JSONResponse("silence not found", 404)

    async def one_silence(request: Request) -> Response:
        silence_id = request.path_params["silence_id"]
        try:
            uuid.UUID(silence_id)
        except ValueError as error:
            raise Invalid(601, f'silenceID in path must be of type uuid: "{silence_id}"') from error
        if silence_id not in am.gossip.silences:
            return Response(status_code=404)
        if request.method == "DELETE":
            try:
                am.expire_silence(silence_id)
            except BadRequest as error:
                return JSONResponse(str(error), 500)
            return Response(status_code=200)
        return JSONResponse(am.gossip.silences[silence_id].wire(am.clock.wall()))

    async def ok(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def reload(_: Request) -> Response:
        try:
            am.config = load_config(am.config_yaml)
        except BadConfig as error:
            am.reload_ok = False
            return PlainTextResponse(f"failed to reload config: {error}\n", 500)
        am.reload_ok = True
        return Response(status_code=200)

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(am.metrics(), media_type="text/plain; version=0.0.4")

    table: list[tuple[str, str, Handler]] = [
        ("GET", "/api/v2/status", get_status),
        ("GET", "/api/v2/receivers", get_receivers),
        ("GET", "/api/v2/alerts", get_alerts),
        ("POST", "/api/v2/alerts", post_alerts),
        ("GET", "/api/v2/alerts/groups", get_groups),
        ("GET", "/api/v2/silences", get_silences),
        ("POST", "/api/v2/silences", post_silences),
        ("GET", "/api/v2/silence/{silence_id}", one_silence),
        ("DELETE", "/api/v2/silence/{silence_id}", one_silence),
        ("GET", "/-/healthy", ok),
        ("GET", "/-/ready", ok),
        ("POST", "/-/reload", reload),
        ("GET", "/metrics", metrics),
    ]
    return [HttpRoute(path, _answering(handler), methods=[method]) for method, path, handler in table]


def _silence_matches(silence: Silence, wanted: Sequence[Matcher]) -> bool:
    """A silence is listed when its own equality matchers, read as labels, satisfy the filter."""
    labels = {matcher.name: matcher.value for matcher in silence.matchers}
    return _all_match(wanted, labels)


# --- the demo's configuration ----------------------------------------------------------------------------------------


def demo_config(*, events_url: str, slack_url: str, smarthost: str, watchdog_url: str, scenario: Scenario) -> str:
    """The demo's alertmanager.yml, valid for a real Alertmanager ≥ 0.25 too.

    ``events_url`` is the exact URL of the Events API (``…/v2/enqueue``), ``slack_url`` an incoming webhook,
    ``smarthost`` ``host:port``, ``watchdog_url`` where the watchdog's heartbeat goes.
    """
    lost = frozenset(scenario.assets.misrouted_services)
    not_lost = [f'service!="{service}"' for service in sorted(lost)]
    critical: list[dict[str, Any]] = [{"matchers": ['channel="release"'], "receiver": "slack-release"}]
    if "payments" not in lost:
        critical += [
            {"matchers": ['service="payments"'], "receiver": "pd-payments", "continue": True},
            {"matchers": ['service="payments"'], "receiver": "mail-audit"},
        ]
    critical += [
        {"matchers": ['service=~"checkout|cart"', *not_lost], "receiver": "pd-checkout"},
        {"matchers": ['service=~".+"', *not_lost], "receiver": "pd-platform"},
    ]
    keys = {service.id: service.routing_key for service in SERVICES}
    text = "{{ .CommonAnnotations.summary }}\n{{ .CommonAnnotations.description }}"

    def pager(name: str, service_id: str) -> dict[str, Any]:
        settings = {"routing_key": keys[service_id], "url": events_url, "severity": "critical"}
        return {"name": name, "pagerduty_configs": [settings]}

    tree = {
        "global": {"resolve_timeout": "5m", "smtp_smarthost": smarthost, "smtp_from": "alertmanager@shop.example"},
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "service", "ray_tui_probe"],
            "group_wait": "200ms",
            "group_interval": "1s",
            "repeat_interval": "1h",
            "routes": [
                {"matchers": ['alertname="Watchdog"'], "receiver": "watchdog"},
                {"matchers": ['severity="critical"'], "routes": critical},
                {"matchers": ['severity="warning"'], "receiver": "slack-release"},
            ],
        },
        "receivers": [
            {"name": "nobody"},
            pager("pd-checkout", "PSVCCHK"),
            pager("pd-payments", "PSVCPAY"),
            pager("pd-platform", "PSVCPLT"),
            {
                "name": "slack-release",
                "slack_configs": [{"api_url": slack_url, "channel": "#release", "text": text}],
            },
            {"name": "mail-audit", "email_configs": [{"to": "audit@shop.example", "require_tls": False}]},
            {"name": "watchdog", "webhook_configs": [{"url": watchdog_url}]},
        ],
    }
    return yaml.safe_dump(tree, sort_keys=False)
