"""Values as Grafana prints them."""

import math

import pytest

from ray_tui.analysis.units import format_value, span


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.25, "s", "250 ms"),
        (0.0000123, "s", "12.3 µs"),
        (1.5, "s", "1.50 s"),
        (90, "s", "1.50 mins"),
        (7200, "s", "2 hours"),
        (200000, "s", "2.31 days"),
        (0, "s", "0 s"),
        (0.5, "ms", "0.500 ms"),
        (1234, "ms", "1.23 s"),
        (0.0123, "percentunit", "1.23%"),
        (99.95, "percent", "100.0%"),
        (12.5, "percent", "12.5%"),
        (1234, "reqps", "1.23K req/s"),
        (12, "reqps", "12 req/s"),
        (2048, "bytes", "2 KiB"),
        (1536, "bytes", "1.50 KiB"),
        (1500, "decbytes", "1.50 kB"),
        (1e9, "bps", "1 Gb/s"),
        (1024, "binBps", "1 KiB/s"),
        (1234567, "short", "1.23 Mil"),
        (999, "short", "999"),
        (-1500, "short", "-1.50 K"),
        (0.05, "hertz", "50 mHz"),
        (1, "bool_yes_no", "Yes"),
        (0, "bool", "False"),
        (93784, "dtdurations", "1 day, 2 hours"),
        (0, "dateTimeAsIso", "1970-01-01 00:00:00"),
        (3.14159, "", "3.14"),
        (0.00012345, "none", "0.000123"),
        (21.5, "celsius", "21.5 °C"),
        (7, "widgets", "7 widgets"),
        (None, "s", "no data"),
        (math.nan, "s", "NaN"),
        (math.inf, "bytes", "+Inf"),
        (-math.inf, "short", "-Inf"),
    ],
)
def test_a_value_is_printed_with_its_unit(value: float | None, unit: str, text: str):
    """Three digits that count, prefixes that fit."""
    assert format_value(value, unit) == text


def test_decimals_can_be_set():
    """As a panel's own setting does."""
    assert format_value(1.23456, "s", 1) == "1.2 s"
    assert format_value(2048, "bytes", 2) == "2.00 KiB"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (660, "11 minutes"), (3_600, "1 hour"),
        (5_400, "1.5 hours"), (86_400, "1 day"), (1_200_000, "13.9 days"),
    ],
)  # fmt: skip
def test_a_span_is_said_in_the_unit_that_a_person_would_use(seconds, said):
    """Nobody reads 0.0417 days."""
    assert span(seconds) == said
