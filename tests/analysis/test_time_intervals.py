"""Alertmanager's time intervals."""

from datetime import datetime

import pytest

from ray_tui.analysis import time_intervals
from ray_tui.analysis.strict_yaml import document
from ray_tui.analysis.time_intervals import TimeInterval, contains
from ray_tui.core.errors import InputError


def interval(text: str) -> TimeInterval:
    return time_intervals.parse(document(text, "am.yml"), "am.yml")


def at(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("{}", "2026-11-22T10:00", True),
        ("times: [{start_time: '09:00', end_time: '17:00'}]", "2026-11-22T09:00", True),
        ("times: [{start_time: '09:00', end_time: '17:00'}]", "2026-11-22T17:00", False),
        ("times: [{start_time: '22:00', end_time: '24:00'}]", "2026-11-22T23:59", True),
        ("weekdays: ['monday:friday']", "2026-11-22T10:00", False),
        ("weekdays: ['sunday']", "2026-11-22T10:00", True),
        ("weekdays: [saturday, sunday]", "2026-11-23T10:00", False),
        ("days_of_month: ['1:5', '-3:-1']", "2026-11-28T10:00", True),
        ("days_of_month: ['-3:-1']", "2026-11-27T10:00", False),
        ("days_of_month: ['-1']", "2024-02-29T10:00", True),
        ("days_of_month: ['31']", "2026-11-30T10:00", False),
        ("days_of_month: ['29:31']", "2026-02-28T10:00", False),
        ("months: ['january:march', '11']", "2026-11-01T00:00", True),
        ("months: ['1:3']", "2026-04-01T00:00", False),
        ("years: ['2030:2050']", "2026-11-22T10:00", False),
        ("times: [{start_time: '09:00', end_time: '10:00'}]\nlocation: Europe/Berlin", "2026-11-22T08:30", True),
        ("times: [{start_time: '09:00', end_time: '10:00'}]\nlocation: Europe/Berlin", "2026-07-22T08:30", False),
        ("weekdays: ['monday']\nlocation: Australia/Sydney", "2026-11-22T20:00", True),
    ],
)
def test_a_moment_is_in_or_out(text: str, moment: str, expected: bool):
    """Ends of ranges, the month's end, daylight saving."""
    assert contains(interval(text), at(moment)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "times: [{start_time: '9:00', end_time: '17:00'}]",
        "times: [{start_time: '17:00', end_time: '09:00'}]",
        "times: [{start_time: '09:00'}]",
        "weekdays: ['friday:monday']",
        "weekdays: ['someday']",
        "weekdays: ['1']",
        "days_of_month: ['0']",
        "days_of_month: ['32']",
        "days_of_month: ['-3:5']",
        "days_of_month: ['10:5']",
        "days_of_month: ['29:-1']",
        "months: ['march:january']",
        "years: ['a']",
        "location: Mars/Base",
        "location: ../../etc/passwd",
        "hours: [1]",
    ],
)
def test_what_alertmanager_refuses_is_refused(text: str):
    """With file and line."""
    with pytest.raises(InputError, match="am"):
        interval(text)
