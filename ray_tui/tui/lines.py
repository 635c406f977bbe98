"""A painted line: styled spans of known width in cells, and the few ways to make one. Pure; knows no Textual."""

from collections.abc import Iterable, Sequence
from math import ceil, isfinite

from ray_tui.core.untrusted import cell_width, clean
from ray_tui.core.value import Value

Span = tuple[str, str]
"""Text and the name of a style: good, bad, warn, run, dim, say, strong, or empty."""
Line = tuple[Span, ...]

TONES = {"good": "good", "bad": "bad", "warn": "warn", "say": "say", "plain": ""}
ASCII = str.maketrans(
    {
        "✓": "+", "✗": "x", "▶": ">", "·": ".", "–": "-", "—": "-", "…": "~", "→": ">", "●": "*", "○": "o", "▸": "*",
        "◦": "@", "┆": "|", "└": "`", "▼": "v",
        "│": "|", "─": "-", "├": "|", "┤": "|", "━": "=", "╸": ">", "╺": "-", "‖": "=", "×": "x", "±": "~", "‹": "<",
        "›": ">", "←": "<", "≥": ">=", "≤": "<=", "™": "(TM)", "🚫": "(!)", "▁": "_", "▂": ".", "▃": ":", "▄": "-",
        "▅": "=", "▆": "+", "▇": "*", "█": "#", "Δ": "d", "↑": "^", "↓": "v",
    }
)  # fmt: skip


class Row(Value):
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
    """The line in at most ``width`` cells; what is cut off leaves an ellipsis, wherever the cut falls."""
    out: list[Span] = []
    left = width
    for text, style in line:
        used = cell_width(text)
        if used <= left:
            out.append((text, style))
            left -= used
            continue
        if left > 0:
            out.append((fit(text, left), style))
        elif text.strip():
            _end_in_ellipsis(out)
        break
    return tuple(out)


def _end_in_ellipsis(out: list[Span]) -> None:
    """The cut fell between two spans: the last one gives a cell."""
    while out and not out[-1][0]:
        out.pop()
    if out:
        text, style = out[-1]
        used = cell_width(text)
        out[-1] = (_cut(text, used) if not text.endswith("…") else text, style)


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


def bar(done: float, width: int) -> tuple[str, str]:
    """A progress bar as its filled and its empty part; ``done`` is a ratio and is clamped."""
    filled = round(max(0.0, min(1.0, done)) * width)
    if filled >= width:
        return "━" * width, ""
    return "━" * max(filled - 1, 0) + ("╸" if filled else ""), "─" * (width - filled)


def clock_text(seconds: float) -> str:
    """``3:48`` or ``1:02:03``; negative times carry a minus, and there is no ``-0:00``."""
    sign, whole = ("-", -seconds) if seconds <= -1 else ("", abs(seconds))
    minutes, rest = divmod(int(whole), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02d}:{rest:02d}" if hours else f"{sign}{minutes}:{rest:02d}"


SOON = 0.2
"""The share of a deadline from which on what is left of it is shown as a warning of the loudest kind."""


def within(seconds: float, whole: float) -> str:
    """A part of a deadline of ``whole`` seconds: ``12 s`` where that is less than a minute, else ``3:48``."""
    return f"{int(seconds)} s" if whole < 60 else clock_text(seconds)


def left_of(left: float, whole: float) -> Span:
    """What is left of a deadline of ``whole`` seconds, in words; the colour, by the share left, repeats them."""
    if left <= -1:
        return f"{within(-left, whole)} past the limit of {within(whole, whole)}", "bad"
    said = f"{within(ceil(max(0.0, left)), whole)} left of {within(whole, whole)}"  # with what is used: the whole
    if left < whole * SOON:
        return f"{said}, hurry", "bad"
    return said, "warn" if left < whole * 0.5 else "run"


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


def number(value: object) -> str:
    """A count or a figure without a unit: ``12.3k``; ``?`` for what is no finite number, text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value) if value not in (None, "") else "–"
    if not isfinite(value):
        return "?"
    return f"{value / 1000:.3g}k" if abs(value) >= 10_000 else f"{value:.4g}"
