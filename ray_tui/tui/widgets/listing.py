"""A painted list with a chosen row: the body of every pane and of the event log."""

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.geometry import Region
from textual.message import Message

from ray_tui.core.untrusted import cell_width
from ray_tui.tui.jump import Jump, Spot
from ray_tui.tui.lines import Line, Row, Span
from ray_tui.tui.widgets.painted import Painted, content


class Listing(Painted):
    """Rows; those with a target can be chosen. The choice stays with its target when rows move."""

    class Picked(Message):
        """The mouse chose a row (or the pane)."""

        def __init__(self, listing: "Listing", again: bool) -> None:
            super().__init__()
            self.listing = listing
            self.again = again

    class Resized(Message):
        """Its rows were made for another size."""

    def __init__(self, *, id: str, classes: str = "", ascii_only: bool = False) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, ascii_only=ascii_only)
        self._rows: Sequence[Row] = ()
        self._chosen = ""
        self.active = False
        self._title: Line = ()
        self._jump: Jump | None = None
        self._pane = 0

    # --- title and letters to jump to ----------------------------------------------------------------------------

    def retitle(self, title: Line) -> None:
        """Show this title; only the row that it stands in is painted."""
        label = self._jump.label(self._pane) if self._jump else ""
        line: Line = ((f" {label} ", "jump"), (" ", ""), *title) if label else title
        if line != self._title:
            self._title = line
            self._border_title: Content | None = content(line, ascii_only=self._ascii)
            self.refresh(Region(-1, -1, max(1, self.outer_size.width), 1))

    @property
    def in_sight(self) -> Sequence[Row]:
        """The rows that are on the screen now."""
        top = self.scroll_offset.y
        return self._rows[top : top + max(0, self.size.height)]

    def spots(self, pane: int) -> list[Spot]:
        """What of this can be jumped to."""
        return [Spot(pane, target) for target in dict.fromkeys(row.target for row in self.in_sight if row.target)]

    def show_letters(self, jump: Jump | None, pane: int) -> None:
        """Put letters on the rows (and, with the next title, on the pane); None takes them away."""
        self._jump, self._pane = jump, pane
        self._paint()

    def _labels(self) -> dict[int, str]:
        """Row -> its letters: the first row on the screen of each target."""
        if self._jump is None:
            return {}
        found: dict[str, int] = {}
        for y, row in enumerate(self.in_sight, start=self.scroll_offset.y):
            if row.target and row.target not in found:
                found[row.target] = y
        labels = {y: self._jump.label(self._pane, target) for target, y in found.items()}
        return {y: label for y, label in labels.items() if label}

    # --- rows ----------------------------------------------------------------------------------------------------

    @property
    def inner_width(self) -> int:
        """Cells for a row: without the gutter and the place of a scrollbar."""
        return max(20, self.size.width - 2)

    @property
    def chosen(self) -> str:
        """The target of the chosen row; empty where nothing can be chosen."""
        targets = self._targets()
        if self._chosen in targets:
            return self._chosen
        return targets[0] if targets else ""

    def show_rows(self, rows: Sequence[Row]) -> int:
        """Show these; answers how many lines changed."""
        self._rows = rows
        return self._paint()

    def set_active(self, active: bool) -> None:
        self.active = active
        self._paint()

    def move(self, by: int) -> None:
        """Choose another row, that many targets on; scrolls where nothing can be chosen."""
        targets = self._targets()
        if not targets:
            self.scroll_to(y=max(0, self.scroll_offset.y + by), animate=False, force=True)
            return
        at = targets.index(self.chosen)
        self._choose(targets[max(0, min(len(targets) - 1, at + by))])

    def move_to_end(self, by: int) -> None:
        """The first row, or the last."""
        targets = self._targets()
        if targets:
            self._choose(targets[0 if by < 0 else -1])
        else:
            self.scroll_to(y=0 if by < 0 else len(self._rows), animate=False, force=True)

    def move_to_action(self, by: int) -> None:
        """Choose the next row that is an action or a gate, around the end."""
        steps = [target for target in self._targets() if target.startswith("step:")]
        if steps:
            at = steps.index(self.chosen) if self.chosen in steps else (-1 if by > 0 else 0)
            self._choose(steps[(at + by) % len(steps)])

    def choose(self, target: str) -> None:
        if target in self._targets():
            self._choose(target)

    def prefer(self, target: str) -> None:
        """Choose this row, now or when it comes."""
        self._chosen = target
        self.choose(target)

    def _choose(self, target: str) -> None:
        self._chosen = target
        self._paint()
        self._show_chosen(target)

    def _show_chosen(self, target: str) -> None:
        y = next((i for i, row in enumerate(self._rows) if row.target == target), 0)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if y < top:
            self.scroll_to(y=y, animate=False, force=True)
        elif y >= top + height:
            self.scroll_to(y=y - height + 1, animate=False, force=True)

    def _targets(self) -> list[str]:
        return list(dict.fromkeys(row.target for row in self._rows if row.target))

    def _paint(self) -> int:
        chosen = self.chosen if self.active else ""
        lines: list[Line] = []
        self.cursor_lines = set()
        labels = self._labels()
        for y, row in enumerate(self._rows):
            here = bool(chosen) and row.target == chosen
            if here:
                self.cursor_lines.add(y)
            line: Line = (("▸" if here else " ", "strong"), *row.line)
            label = labels.get(y, "")
            lines.append(((label, "jump"), *_without(line, len(label))) if label else line)
        return self.show_lines(lines)

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    def settle(self) -> None:
        """Its size has changed: the chosen row in sight where this is what the keys move in, else the beginning."""
        if not self.active:
            self.scroll_to(y=0, animate=False, force=True)
        elif self.chosen:
            self._show_chosen(self.chosen)

    def on_click(self, event: events.Click) -> None:
        y = event.y + self.scroll_offset.y - (1 if self.styles.border_top[0] else 0)
        again = False
        if 0 <= y < len(self._rows) and self._rows[y].target:
            again = self.active and self.chosen == self._rows[y].target
            self._chosen = self._rows[y].target
        self.post_message(self.Picked(self, again))


def _without(line: Line, cells: int) -> Line:
    """The line without its first cells; half of a wide character leaves a space."""
    out: list[Span] = []
    for text, style in line:
        kept = 0
        while cells > 0 and kept < len(text):
            cells -= cell_width(text[kept])
            kept += 1
        out.append((" " * -cells + text[kept:] if cells < 0 else text[kept:], style))
        cells = max(0, cells)
    return tuple(span for span in out if span[0])
