"""Values as Grafana would print them: 0.0123 of ``percentunit`` is 1.23%, 0.25 of ``s`` is 250 ms."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

_SHORT = ("", " K", " Mil", " Bil", " Tri", " Quadr", " Quint")
_COUNT = ("", "K", "M", "B", "T")
_SI_SMALL = ("", "m", "µ", "n", "p")
_SI_LARGE = ("", "k", "M", "G", "T", "P", "E")
_IEC = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")

_COUNTED = {
    "reqps": "req/s",
    "ops": "ops/s",
    "iops": "io/s",
    "wps": "w/s",
    "rps": "r/s",
    "cps": "c/s",
    "eps": "events/s",
    "mps": "msg/s",
    "recps": "rec/s",
    "rds": "rd/s",
    "opm": "ops/m",
    "rpm": "r/m",
    "wpm": "w/m",
}
_SI = {
    "hertz": "Hz",
    "pps": "p/s",
    "bps": "b/s",
    "Bps": "B/s",
    "decbytes": "B",
    "decbits": "b",
    "watt": "W",
    "volt": "V",
    "amp": "A",
    "joule": "J",
}
_BINARY = {"bytes": "B", "bits": "b", "binBps": "B/s", "binbps": "b/s"}
_BOOL = {"bool": ("True", "False"), "bool_yes_no": ("Yes", "No"), "bool_on_off": ("On", "Off")}
_PLAIN = {"celsius": " °C", "fahrenheit": " °F", "kelvin": " K", "rotrpm": " rpm", "rothz": " Hz", "dB": " dB"}
_IN_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATIONS = (
    (31_536_000.0, "year"),
    (604_800.0, "week"),
    (86_400.0, "day"),
    (3_600.0, "hour"),
    (60.0, "min"),
    (1.0, "s"),
    (1e-3, "ms"),
    (1e-6, "µs"),
    (1e-9, "ns"),
)
_SPECIAL = ("", "none", "short", "sishort", "percent", "percentunit", "dateTimeAsIso")
_SPELLED_OUT = ("dtdurations", "dtdurationms", "clocks", "clockms")
KNOWN = frozenset((*_COUNTED, *_SI, *_BINARY, *_BOOL, *_PLAIN, *_IN_SECONDS, *_SPECIAL, *_SPELLED_OUT))
"""Units that are printed as Grafana prints them."""


def format_value(value: float | None, unit: str = "", decimals: int | None = None) -> str:
    """The value with its unit; "no data" for None; an unknown unit stands behind the number as written.

    Three digits round up as Grafana's do (99.95 percent is 100.0%): give ``decimals`` where that would mislead.
    """
    if value is None:
        return "no data"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if unit in _BOOL:
        return _BOOL[unit][0 if value else 1]
    if unit in _IN_SECONDS:
        return _duration(value, unit, decimals)
    if unit in _SPELLED_OUT:
        return _spelled_out(value / (1000 if unit.endswith("ms") else 1))
    if unit == "dateTimeAsIso":
        return _moment(value)
    return _scaled_by_kind(value, unit, decimals)


def _scaled_by_kind(value: float, unit: str, decimals: int | None) -> str:
    if unit in ("", "none"):
        return _fixed(value, decimals)
    if unit == "short":
        return _scaled(value, 1000, _SHORT, decimals)
    if unit == "percent":
        return f"{_fixed(value, decimals)}%"
    if unit == "percentunit":
        return f"{_fixed(value * 100, decimals)}%"
    if unit in _COUNTED:
        return f"{_scaled(value, 1000, _COUNT, decimals)} {_COUNTED[unit]}"
    if unit in _BINARY:
        return _scaled(value, 1024, tuple(f" {prefix}{_BINARY[unit]}" for prefix in _IEC), decimals)
    if unit in _SI or unit == "sishort":
        return _si(value, _SI.get(unit, ""), decimals)
    return f"{_fixed(value, decimals)}{_PLAIN.get(unit, f' {unit}')}"


def _fixed(value: float, decimals: int | None) -> str:
    """Three significant digits unless told otherwise (Grafana's own rule); whole numbers stay whole."""
    if decimals is None:
        whole = value == 0 or value % 1 == 0
        decimals = 0 if whole else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 12)}f}"


def _scaled(value: float, factor: int, suffixes: Sequence[str], decimals: int | None) -> str:
    step = 0
    while abs(value) >= factor and step < len(suffixes) - 1:
        value /= factor
        step += 1
    return f"{_fixed(value, decimals)}{suffixes[step]}"


def _si(value: float, symbol: str, decimals: int | None) -> str:
    if value == 0 or abs(value) >= 1:
        return _scaled(value, 1000, tuple(f" {prefix}{symbol}" for prefix in _SI_LARGE), decimals)
    step = 0
    while abs(value) < 1 and step < len(_SI_SMALL) - 1:
        value *= 1000
        step += 1
    return f"{_fixed(value, decimals)} {_SI_SMALL[step]}{symbol}"


def _duration(value: float, unit: str, decimals: int | None) -> str:
    seconds = value * _IN_SECONDS[unit]
    if value == 0:
        return f"0 {unit}"
    smallest = _IN_SECONDS[unit] if unit != "s" else 1e-9  # Grafana never prints ms as µs, but s as ms
    size, name = next((pair for pair in _DURATIONS if abs(seconds) >= pair[0]), _DURATIONS[-1])
    if size < smallest:
        size, name = next(pair for pair in _DURATIONS if pair[0] <= smallest)
    plural = "s" if name in ("min", "hour", "day", "week", "year") else ""
    return f"{_fixed(seconds / size, decimals)} {name}{plural}"


def _spelled_out(seconds: float) -> str:
    """``1 day, 2 hours``: the two largest parts."""
    sign, left = ("-" if seconds < 0 else ""), abs(seconds)
    parts: list[str] = []
    for size, name in _DURATIONS[:6]:
        count = int(left // size)
        if count and len(parts) < 2:
            noun = {"s": "second", "min": "minute"}.get(name, name)
            parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
            left -= count * size
    return sign + (", ".join(parts) or f"{round(left * 1000)} milliseconds")


def span(seconds: float) -> str:
    """A length of time in the one unit that a person would name it in: ``11 minutes``, ``1 hour``, ``13.9 days``."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            said = f"{seconds / size:.3g}"
            return f"{said} {unit}{'s' * (said != '1')}"
    return "0 seconds"


def _moment(milliseconds: float) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return _fixed(milliseconds, 0)
