"""A widget that paints prepared lines, and repaints only those that changed. Nothing in it is ever parsed as markup."""

from collections.abc import Iterator, Sequence

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ray_tui.core.untrusted import cell_width, clean
from ray_tui.tui.lines import ASCII, Line, width_of

STYLES = {
    "good": "$ray-good",
    "bad": "bold $ray-bad",
    "warn": "$ray-warn",
    "run": "bold $ray-run",
    "dim": "$ray-dim",
    "say": "$ray-say",
    "strong": "bold $ray-strong",
    "badge-good": "bold $ray-badge-text on $ray-good",
    "badge-bad": "bold $ray-badge-text on $ray-bad",
    "badge-warn": "bold $ray-badge-text on $ray-warn",
    "badge-run": "bold $ray-badge-text on $ray-run",
    "badge-dim": "bold $ray-badge-text on $ray-dim",
    "jump": "bold $ray-badge-text on $ray-warn",
}


def _shown(text: str, ascii_only: bool) -> str:
    shown = clean(text, 8_000)
    return shown.translate(ASCII) if ascii_only else shown


def literal(text: str, style: str = "", *, ascii_only: bool = False) -> Content:
    """Outside text as Content: cleaned, and never markup."""
    shown = clean(text, 20_000)
    return Content.styled(shown.translate(ASCII) if ascii_only else shown, STYLES.get(style, ""))


def content(line: Line, *, ascii_only: bool = False) -> Content:
    return Content.assemble(*((_shown(text, ascii_only), STYLES.get(style, "")) for text, style in line))


def _changed_cells(old: Line, new: Line, y: int, width: int) -> list[Region]:
    """The parts of a row that have to reach the terminal: span by span where both lines have the same columns."""
    if len(old) == len(new) and all(cell_width(a[0]) == cell_width(b[0]) for a, b in zip(old, new, strict=True)):
        return list(_changed_spans(old, new, y, width))
    same = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        same += 1
    tail = 0
    if width_of(old) == width_of(new):
        for one, other in zip(reversed(old[same:]), reversed(new[same:]), strict=False):
            if one != other:
                break
            tail += 1
    start = min(width - 1, width_of(new[:same]))
    end = width if not tail else min(width, width_of(new[: len(new) - tail]))
    return [Region(start, y, max(1, end - start), 1)]


NEAR = 6
"""Cells between two changes that are cheaper to send again than to step over: about what moving the cursor costs."""


def _changed_spans(old: Line, new: Line, y: int, width: int) -> Iterator[Region]:
    """Where each changed span differs: from its first to its last other character, neighbours joined."""
    start = begun = end = 0
    for (was, style), (now, other) in zip(old, new, strict=True):
        cells = cell_width(now)
        if (was, style) != (now, other):
            low, high = (0, cells) if style != other or len(now) != cells or len(was) != cells else _differing(was, now)
            if end and start + low - end > NEAR:
                yield Region(begun, y, end - begun, 1)
                end = 0
            begun = begun if end else start + low
            end = start + high
        start += cells
    if end and begun < width:
        yield Region(begun, y, max(1, min(end, width) - begun), 1)


def _differing(was: str, now: str) -> tuple[int, int]:
    """Two texts of the same length, one cell a character: the first place where they differ, and after the last."""
    differs = [n for n, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
    return (differs[0], differs[-1] + 1) if differs else (0, len(now))


class Painted(ScrollView, can_focus=False, inherit_bindings=False):
    """Lines in a box of fixed size. ``repaints`` counts the times that anything changed."""

    DEFAULT_CSS = """
    Painted { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None, ascii_only: bool = False) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._painted: list[Line] = []
        self._ascii = ascii_only
        self.repaints = 0
        self.cursor_lines: set[int] = set()

    @property
    def painted(self) -> Sequence[Line]:
        """What is shown, line by line."""
        return self._painted

    def show_lines(self, lines: Sequence[Line]) -> int:
        """Show these lines; answers how many changed."""
        before = self._painted
        self._painted = list(lines)
        if len(before) != len(lines):
            self.virtual_size = Size(0, len(lines))
            self._refresh_scrollbars()  # now, and not after a layout that would be sent without them
            self.repaints += 1
            self.refresh()
            return max(len(before), len(lines))
        changed = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if old != new]
        if changed:
            self.repaints += 1
            top = self.scroll_offset.y
            width = self.scrollable_content_region.width
            regions = [
                region
                for y in changed
                if 0 <= y - top < self.size.height
                for region in _changed_cells(before[y], lines[y], y - top, width)
            ]
            if regions:  # without any, everything would be painted anew for rows that are scrolled away
                self.refresh(*regions)
        return len(changed)

    def render_line(self, y: int) -> Strip:
        y += self.scroll_offset.y
        width = self.scrollable_content_region.width
        style = self.visual_style
        if y >= len(self._painted) or width <= 0:
            return Strip.blank(width, style.rich_style)
        if y in self.cursor_lines:
            style += self._get_style("on $ray-cursor")
        segments = [
            Segment(_shown(text, self._ascii), (style + self._get_style(STYLES.get(name, ""))).rich_style)
            for text, name in self._painted[y]
            if text
        ]
        return Strip(segments).simplify().crop_extend(0, width, style.rich_style)

    def lines_text(self) -> str:
        """What is shown, as plain text (for copying)."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._painted)
