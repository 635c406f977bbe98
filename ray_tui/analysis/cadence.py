"""When something comes round: a cron expression that every scheduler reads alike, in a time zone that is known."""

import re
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ray_tui.core.errors import InputError


def next_run(cron: str, after: datetime, time_zone: str) -> datetime:
    """The first run after ``after`` (aware), in ``time_zone``.

    Across DST as Debian's cron: a run in the hour that is skipped happens right after it, one in the hour
    that comes twice happens once. Raises InputError, saying what to write instead.
    """
    assert after.tzinfo is not None, "a time without a zone has no next run"
    validate(cron)
    try:
        return next(CronSim(cron, after.astimezone(zone(time_zone))))
    except StopIteration:
        raise InputError(f'cron "{cron}" never comes round: no such date in the next 50 years') from None


def validate(cron: str) -> None:
    """Refuse what is no cron expression, or what not every scheduler reads in the same way. Raises
    InputError.
    """
    fields = cron.split()
    if len(fields) != 5 or cron != " ".join(fields):
        raise InputError(f'cron "{cron}": write five fields, e.g. "*/30 * * * *" (minute hour day month weekday)')
    if re.search(r"[^0-9A-Za-z*,/\- ]", cron) or re.search(r"\bL|L\b|W", re.sub(r"JUL|WED", "", cron.upper())):
        raise InputError(f'cron "{cron}": only numbers, names, "*", ",", "-" and "/" mean the same everywhere')
    if re.search(r"(^|,)\w+/", fields[4]) or any(re.search(r"(^|,)[^*,\-/]+/", field) for field in fields):
        raise InputError(f'cron "{cron}": a step needs a range: write "*/15" or "5-59/15", not "5/15"')
    if re.search(r"(?<![0-9/])0*7", fields[4]):
        raise InputError(f'cron "{cron}": write Sunday as 0, not 7')
    if fields[2] != "*" and fields[4] != "*":
        why = "schedulers disagree whether both days must match"
        raise InputError(f'cron "{cron}": {why}; use two entries, one by date and one by weekday')
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as exc:
        raise InputError(f'cron "{cron}": {exc}') from None


@cache
def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f'time zone "{name}" is not known here: write an IANA name such as "Europe/Berlin"') from None
