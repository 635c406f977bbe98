"""A painted line: styled spans of known width in cells, and the few ways to make one. Pure; knows no Textual."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ray_tui.core.untrusted import cell_width, clean

Span = tuple[str, str]
"""Text and the name of a style: good, bad, warn, run, dim, say, strong, or empty."""
Line = tuple[Span, ...]

TONES = {"good": "good", "bad": "bad", "warn": "warn", "say": "say", "plain": ""}
_BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = str.maketrans(
    {
        "✓": "+", "✗": "x", "▶": ">", "·": ".", "–": "-", "—": "-", "…": "~", "→": ">", "●": "*", "○": "o", "▸": ">",
        "│": "|", "─": "-", "├": "|", "┤": "|", "━": "=", "╸": ">", "╺": "-", "⏸": "=", "×": "x", "±": "~", "‹": "<",
        "›": ">", "←": "<", "≥": ">=", "≤": "<=", "™": "(TM)", "🚫": "(!)", "▁": "_", "▂": ".", "▃": ":", "▄": "-",
        "▅": "=", "▆": "+", "▇": "*", "█": "#", "Δ": "d", "↑": "^", "↓": "v",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a pane. ``target`` says what Enter opens: ``step:1.2``, ``probe:<id>``, ``data:1.2/services/0``."""

    line: Line
    target: str = ""


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly ``width`` cells: padded, or cut with an ellipsis. Never more than one line."""
    if width <= 0:
        return ""
    text = clean(text.replace("\n", " ").replace("\t", " "), 4_000)
    used = cell_width(text)
    if used > width:
        return _cut(text, width)
    pad = " " * (width - used)
    return pad + text if right else text + pad


def _cut(text: str, width: int) -> str:
    kept, used = [], 0
    for char in text:
        cells = cell_width(char)
        if used + cells > width - 1:
            break
        kept.append(char)
        used += cells
    return "".join(kept) + "…" + " " * (width - 1 - used)


def width_of(line: Line) -> int:
    return sum(cell_width(text) for text, _ in line)


def crop(line: Line, width: int) -> Line:
    """The line in at most ``width`` cells."""
    out: list[Span] = []
    left = width
    for text, style in line:
        used = cell_width(text)
        if used > left:
            if left > 0:
                out.append((fit(text, left), style))
            break
        out.append((text, style))
        left -= used
    return tuple(out)


def columns(cells: Sequence[Span | str], widths: Sequence[int]) -> Line:
    """Cells side by side, one space between; a negative width aligns to the right, zero leaves the column out."""
    out: list[Span] = []
    for cell, width in zip(cells, widths, strict=True):
        if width == 0:
            continue
        text, style = (cell, "") if isinstance(cell, str) else cell
        out.append((fit(text, abs(width), right=width < 0), style))
        out.append((" ", ""))
    return tuple(out)


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Lines of at most ``width`` cells, broken at spaces where possible; the text's own line breaks are kept."""
    out: list[str] = []
    for paragraph in clean(text, 20_000).replace("\t", "    ").split("\n"):
        out.extend(_wrap_one(paragraph, max(width, 8), indent))
    return out


def _wrap_one(text: str, width: int, indent: str) -> Iterable[str]:
    lead = ""
    while cell_width(lead + text) > width:
        room = width - len(lead)
        end = _cells_index(text, room)
        space = text.rfind(" ", 1, end + 1)
        cut = space if space > room // 3 else end
        yield lead + text[:cut].rstrip()
        text = text[cut:].lstrip(" ")
        lead = indent
    yield lead + text


def _cells_index(text: str, cells: int) -> int:
    used = 0
    for index, char in enumerate(text):
        used += cell_width(char)
        if used > cells:
            return max(index, 1)
    return len(text)


def sparkline(values: Sequence[float], width: int) -> str:
    """The values in at most ``width`` block characters (means of equal parts), between their least and greatest."""
    finite = [v for v in values if v == v and v not in (float("inf"), float("-inf"))]
    if not finite or width <= 0:
        return ""
    if len(finite) > width:
        edges = [round(i * len(finite) / width) for i in range(width + 1)]
        finite = [sum(finite[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(finite), max(finite)
    if high <= low:
        return _BLOCKS[2] * len(finite)
    return "".join(_BLOCKS[min(7, int((v - low) / (high - low) * 8))] for v in finite)


def bar(done: float, width: int) -> tuple[str, str]:
    """A progress bar as its filled and its empty part; ``done`` is a ratio and is clamped."""
    filled = round(max(0.0, min(1.0, done)) * width)
    if filled >= width:
        return "━" * width, ""
    return "━" * max(filled - 1, 0) + ("╸" if filled else ""), "─" * (width - filled)


def clock_text(seconds: float) -> str:
    """``3:48`` or ``1:02:03``; negative times carry a minus."""
    sign, whole = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, rest = divmod(int(whole), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02d}:{rest:02d}" if hours else f"{sign}{minutes}:{rest:02d}"


def short_seconds(seconds: float) -> str:
    """``0.2s``, ``41s``, ``3m05``, ``2h10`` in at most five cells or so."""
    if seconds < 0:
        return f"-{short_seconds(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 100:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}" if minutes < 100 else f"{minutes // 60}h{minutes % 60:02d}"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def chart(
    values: Sequence[float], width: int, height: int, band: tuple[float, float] | None = None, unit: str = ""
) -> list[Line]:
    """The values as a chart of dots with its scale at the left; rows inside ``band`` are shaded with ``·``."""
    finite = [v for v in values if v == v and v not in (float("inf"), float("-inf"))]
    if not finite:
        return [(("no samples", "dim"),)]
    edges = [*finite, *(band or ())]
    low, high = min(edges), max(edges)
    span = (high - low) or abs(high) or 1.0
    room = max(8, min(width - 11, len(finite)))
    points = [finite[int(i * len(finite) / room)] for i in range(room)] if len(finite) > room else finite
    rows: list[Line] = []
    for row in range(height):
        top = high - span * row / height
        bottom = high - span * (row + 1) / height
        last = row == height - 1
        inside = band is not None and band[0] <= (top + bottom) / 2 <= band[1]
        spans: list[Span] = [
            (f"{number(top if row == 0 else (bottom if last else (top + bottom) / 2), unit):>9} ", "dim")
        ]
        for value in points:
            here = bottom < value <= top or (last and value <= bottom) or (row == 0 and value >= top)
            outside = band is not None and not band[0] <= value <= band[1]
            spans.append(("●", "bad" if outside else "run") if here else ("·" if inside else " ", "dim"))
        rows.append(tuple(spans))
    return rows


def number(value: object, unit: str = "") -> str:
    """A value as people read it: ``231 ms``, ``0.21%``, ``4.2k``; ``?`` for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value) if value not in (None, "") else "–"
    if value != value or value in (float("inf"), float("-inf")):
        return "?"
    match unit:
        case "s" | "seconds":
            return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.3g} s"
        case "ms":
            return f"{value:.0f} ms"
        case "percentunit" | "ratio":
            return f"{value * 100:.3g}%"
        case "percent" | "%":
            return f"{value:.3g}%"
        case "reqps" | "ops" | "rps":
            return f"{number(value)}/s" if abs(value) >= 10_000 else f"{value:.3g}/s"
        case "bytes":
            return _bytes(value)
    text = f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{text} {unit}" if unit not in ("", "short", "none") else text
