"""Alerts and silences as the demo's Alertmanager holds them and shows them on the wire."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray_tui.clock import iso
from ray_tui.demo.alertmanager_config import LABEL_NAME, BadRequest, Labels, Matcher

ZERO_TIME = "0001-01-01T00:00:00Z"


class Invalid(ValueError):
    """What the API's request validation answers: an object with a code of its own."""

    def __init__(self, code: int, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


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
        if not LABEL_NAME.fullmatch(name):
            raise BadRequest(f'invalid label set: invalid name "{name}"')
    if starts > ends:
        raise BadRequest("start time must be before end time")
    return Alert(labels, dict(wire.get("annotations") or {}), starts, ends, now, wire.get("generatorURL") or "")
