"""Small charts of a figure over time: against the normal band, with the release marked. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from ray_tui.analysis.units import format_value
from ray_tui.core.readings import Gauge
from ray_tui.tui.lines import Line, Span, crop, fit, width_of

Points = Sequence[tuple[float, float]]
"""(unix time, value) in time order."""
Band = tuple[float, float] | None
RELEASE = "┆"
LOW, NORMAL, HIGH = "▁▂", "▃▄▅▆", "▇█"
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
"""Seconds of one cell: cells keep their place on the clock, so that a chart moves only when a cell is full."""
BEFORE = 2
"""Cells for what it was before the release, where only its median is known."""


def value_text(value: object, unit: str = "") -> str:
    """A value as Grafana would print it; ``–`` for none, ``?`` for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value) if value not in (None, "") else "–"
    return format_value(float(value), unit) if isfinite(value) else "?"


def band_of(prior: object, allowed: object) -> Band:
    """What is normal: the past give or take what is allowed; a figure that was never negative does not become so."""
    if not isinstance(prior, int | float) or not isinstance(allowed, int | float):
        return None
    low = float(prior) - float(allowed)
    return (max(0.0, low) if prior >= 0 else low, float(prior) + float(allowed))


def points_of(gauge: Gauge | None, samples: Sequence[float], end: float, step: float) -> Points:
    """The samples that were measured, which end at ``end``, and what has come live since: that may have gaps."""
    first = end - step * (len(samples) - 1)
    measured = [(first + step * n, value) for n, value in enumerate(samples)]
    live = [] if gauge is None else [one for one in gauge.points if not measured or one[0] > end]
    return [*measured, *live]


def spark(points: Points, width: int, band: Band = None, before: float | None = None, released: float = 0.0) -> Line:
    """One row: low, normal and high blocks against the band; ``┆`` where the release was, and the past before it."""
    finite = [(at, value) for at, value in points if isfinite(value)]
    if not finite or width <= 0:
        return ((" " * max(0, width), ""),)
    inside = finite[0][0] < released <= finite[-1][0]
    lead: list[Span] = []
    if released and not inside and width >= 8:
        past = BEFORE if before is not None else 0
        lead = [(_level(before, band, ()) * past, "dim")] if before is not None else []
        lead.append((RELEASE, "strong"))
        width -= past + 1
    first, step, cells = _cells(finite, width)
    scale = [value for value in cells if value is not None]
    out: list[Span] = []
    for n, value in enumerate(cells):
        here = inside and first + n * step < released <= first + (n + 1) * step
        if here:
            out.append((RELEASE, "strong"))
        elif value is None:
            out.append((" ", ""))
        else:
            out.append((_level(value, band, scale), "warn" if _outside(value, band) else "say"))
    return (*lead, *_merged(out))


def _cells(points: Points, width: int) -> tuple[float, float, list[float | None]]:
    """(time of the first cell, seconds of a cell, the mean of each cell or None), ending with the newest point."""
    span = points[-1][0] - points[0][0]
    apart = span / max(1, len(points) - 1)
    fitting = (one for one in _STEPS if span / one <= width - 1 and one >= 0.8 * apart)
    step = next(fitting, max(1.0, span / max(1, width - 1)))
    last = int(points[-1][0] // step)
    first = max(last - width + 1, int(points[0][0] // step))
    sums: dict[int, list[float]] = {}
    for at, value in points:
        sums.setdefault(int(at // step), []).append(value)
    filled = [sums.get(n) for n in range(first, last + 1)]
    cells = [sum(found) / len(found) if found else None for found in filled]
    return first * step, step, cells + [None] * (width - len(cells))


def _outside(value: float, band: Band) -> bool:
    return band is not None and not band[0] <= value <= band[1]


def _level(value: float, band: Band, scale: Sequence[float]) -> str:
    if band is None:
        low, high = min(scale, default=value), max(scale, default=value)
        blocks = LOW + NORMAL + HIGH
        return blocks[min(7, int((value - low) / (high - low) * 8))] if high > low else NORMAL[0]
    low, high = band
    size = (high - low) or abs(high) or 1.0
    if value < low:
        return LOW[0] if value < low - size else LOW[1]
    if value > high:
        return HIGH[1] if value > high + size else HIGH[0]
    return NORMAL[min(3, int((value - low) / size * 4))]


def _merged(spans: Sequence[Span]) -> list[Span]:
    out: list[Span] = []
    for text, style in spans:
        if out and out[-1][1] == style:
            out[-1] = (out[-1][0] + text, style)
        else:
            out.append((text, style))
    return out


def legend(released: float, clock: str) -> Line:
    """What the signs of ``spark`` mean."""
    mark = ((f"{RELEASE} ", "strong"), (f"release {clock}Z  ", "dim")) if released else ()
    return (*mark, (f"{NORMAL[0]}–{NORMAL[-1]} normal  ", "dim"), (f"{HIGH} high  {LOW} low", "dim"))


def panel(
    points: Points, width: int, height: int, band: Band = None, unit: str = "", released: float = 0.0
) -> list[Line]:
    """A chart of several rows: ``●`` a value, ``·`` the normal band, ``┆`` the release; its scale at the left."""
    finite = [(at, value) for at, value in points if isfinite(value)]
    if not finite:
        return [(("no samples", "dim"),)]
    room = max(8, width - 13)
    inside = finite[0][0] < released <= finite[-1][0]
    edge = 1 if released and not inside else 0
    first, step, cells = _cells(finite, min(room - edge, max(8, len(finite))))
    edges = [value for value in cells if value is not None] + list(band or ())
    low, high = min(edges), max(edges)
    span = (high - low) or abs(high) or 1.0
    rows: list[Line] = []
    tops = [high - span * row / height for row in range(height + 1)]
    for row, (top, bottom) in enumerate(pairwise(tops)):
        last = row == height - 1
        middle = (top + bottom) / 2
        shaded = band is not None and band[0] <= middle <= band[1]
        scale = value_text(top if row == 0 else (bottom if last else middle), unit)
        spans: list[Span] = [(fit(scale, 11, right=True) + " ", "dim"), *([(RELEASE, "strong")] if edge else [])]
        for n, value in enumerate(cells):
            at_edge = value is not None and ((last and value <= bottom) or (row == 0 and value >= top))
            if value is not None and (bottom < value <= top or at_edge):
                spans.append(("●", "warn" if _outside(value, band) else "run"))
            elif inside and first + n * step < released <= first + (n + 1) * step:
                spans.append((RELEASE, "strong"))
            else:
                spans.append(("·" if shaded else " ", "dim"))
        rows.append(tuple(_merged(spans)))
    return rows


def panel_legend(points: Points, band: Band, unit: str, released: float, clock: str) -> Line:
    """What the signs of ``panel`` mean, in words."""
    out: list[Span] = [("● ", "run"), ("measured  ", "dim")]
    if band is not None:
        out.append((f"· normal: {value_text(band[0], unit)} to {value_text(band[1], unit)}  ", "dim"))
    if released:
        gap = points[0][0] - released if points else 0.0
        when = f", {gap / 60:.0f} min earlier" if gap >= 60 else ""
        out += [(f"{RELEASE} ", "strong"), (f"release {clock}Z{when}", "dim")]
    return tuple(out)


def under(legend: Line, indent: int, width: int) -> Line:
    """A legend below what it explains; where it would be cut it begins further to the left."""
    return crop(((" " * max(0, min(indent, width - width_of(legend))), ""), *legend), width)


_SEGMENTS = {
    "0": (" _ ", "| |", "|_|"), "1": ("   ", "  |", "  |"), "2": (" _ ", " _|", "|_ "), "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"), "5": (" _ ", "|_ ", " _|"), "6": (" _ ", "|_ ", "|_|"), "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"), "9": (" _ ", "|_|", " _|"), ".": (" ", " ", "."), "-": ("   ", " _ ", "   "),
    "?": (" _ ", " _|", " o "),
}  # fmt: skip


def large(text: str) -> tuple[str, str, str]:
    """A figure in digits of three rows, to be read from afar; what is no digit (a unit) stands small at the foot."""
    rows = ["", "", ""]
    for n, char in enumerate(text):
        shape = _SEGMENTS.get(char)
        if shape is None:
            rest = text[n:]
            return rows[0] + " " * len(rest), rows[1] + " " * len(rest), rows[2] + rest
        rows = [row + part for row, part in zip(rows, shape, strict=True)]
    return rows[0], rows[1], rows[2]
