"""Alertmanager's time intervals: when a route is muted or active."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ray_tui.analysis.strict_yaml import Value, complaint, fields, items, line_of, reject_unknown, text

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_CLOCK = re.compile(r"((([01][0-9])|(2[0-3])):[0-5][0-9])|(24:00)")
_ANY = 10**9
_FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
Range = tuple[int, int]


@dataclass(frozen=True)
class TimeInterval:
    """All the parts that are given must hold; None is "always". Ranges include both ends, but for ``times``:
    minutes of the day, the end excluded. Negative days of the month count from its end (-1 is the last)."""

    times: tuple[Range, ...] | None = None
    weekdays: tuple[Range, ...] | None = None
    days_of_month: tuple[Range, ...] | None = None
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    location: str = "UTC"


def contains(interval: TimeInterval, at: float) -> bool:
    """Whether a moment (unix seconds) lies in the interval, in the interval's own time zone."""
    moment = datetime.fromtimestamp(at, _zone(interval.location))
    minute = moment.hour * 60 + moment.minute
    return (
        (interval.times is None or any(start <= minute < end for start, end in interval.times))
        and _within(interval.weekdays, moment.isoweekday() % 7)
        and (interval.days_of_month is None or any(_day_within(span, moment) for span in interval.days_of_month))
        and _within(interval.months, moment.month)
        and _within(interval.years, moment.year)
    )


def any_contains(intervals: Iterable[TimeInterval], at: float) -> bool:
    """Whether a moment lies in at least one of them."""
    return any(contains(interval, at) for interval in intervals)


def parse(value: Value, source: str) -> TimeInterval:
    """One entry of ``time_intervals``; raises InputError with file and line."""
    found = fields(value, source, "a time interval")
    reject_unknown(found, _FIELDS, source, "a time interval")

    def spans(key: str, names: tuple[str, ...] = (), low: int = 0, high: int = 9999) -> tuple[Range, ...] | None:
        if found.get(key) is None:
            return None
        listed = items(found[key], source, key)
        return tuple(_span(text(item, source, key), item, source, key, names, low, high) for item in listed)

    location = text(found.get("location"), source, "location") or "UTC"
    try:
        _zone(location)
    except ValueError as exc:
        raise complaint(source, found.lines["location"], str(exc)) from exc
    times = None
    if found.get("times") is not None:
        times = tuple(_times(item, source) for item in items(found["times"], source, "times"))
    return TimeInterval(
        times,
        spans("weekdays", _WEEKDAYS, 0, 6),
        spans("days_of_month", (), -31, 31),
        spans("months", ("", *_MONTHS), -_ANY, _ANY),  # Alertmanager loads month 13, which never comes
        spans("years", (), -_ANY, _ANY),
        location,
    )


def _zone(name: str) -> tzinfo:
    if name in ("UTC", ""):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin") from exc


def _within(spans: tuple[Range, ...] | None, value: int) -> bool:
    return spans is None or any(start <= value <= end for start, end in spans)


def _day_within(span: Range, moment: datetime) -> bool:
    length = _days_in_month(moment)
    start, end = (day + length + 1 if day < 0 else day for day in span)
    if start > length:
        return False
    return max(-length, start) <= moment.day <= min(end, length)


def _days_in_month(moment: datetime) -> int:
    following = moment.replace(day=28, hour=12).toordinal() + 4
    return (datetime.fromordinal(following).replace(day=1).toordinal()) - moment.replace(day=1).toordinal()


def _times(value: Value, source: str) -> Range:
    found = fields(value, source, "a time range")
    reject_unknown(found, ("start_time", "end_time"), source, "a time range")
    minutes = []
    for key in ("start_time", "end_time"):
        written = text(found.get(key), source, key)
        if not _CLOCK.fullmatch(written):
            raise complaint(source, found.line, f"{key} must be HH:MM, not {written!r}")
        hour, minute = written.split(":")
        minutes.append(int(hour) * 60 + int(minute))
    if minutes[0] >= minutes[1]:
        raise complaint(source, found.line, "start time cannot be equal or greater than end time")
    return minutes[0], minutes[1]


def _span(written: str, value: Value, source: str, key: str, names: tuple[str, ...], low: int, high: int) -> Range:
    parts = written.lower().split(":")
    numbers = [_number(part.strip(), names) for part in parts]
    if len(parts) > 2 or None in numbers:
        raise complaint(source, line_of(value), f"couldn't parse {key} range {written!r}")
    start, end = numbers[0] or 0, numbers[-1] or 0
    for number in (start, end):
        if not low <= number <= high or (key == "days_of_month" and number == 0):
            raise complaint(source, line_of(value), f"{number} in {key} is out of range [{low}, {high}]")
    if key == "days_of_month" and start < 0 < end:
        raise complaint(source, line_of(value), "end day must be negative if start day is negative")
    # days from the end are compared as in the shortest month, by Alertmanager's timeinterval.go
    shortest = 28 if key == "days_of_month" else 0
    true_start, true_end = (number + shortest if number < 0 else number for number in (start, end))
    if true_start > true_end:
        raise complaint(source, line_of(value), f"the end of {key} range {written!r} lies before its start")
    return start, end


def _number(written: str, names: tuple[str, ...]) -> int | None:
    if written and written in names:
        return names.index(written)
    if names == _WEEKDAYS:
        return None
    return int(written) if re.fullmatch(r"-?\d{1,4}", written) else None
