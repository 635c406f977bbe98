"""The event log: the journal as people read it, followed at its end until someone scrolls back."""

from textual.message import Message

from ray_tui.core.state import LogLine, RunState
from ray_tui.core.untrusted import line
from ray_tui.tui.lines import TONES, Row, fit, wrap
from ray_tui.tui.view import wall
from ray_tui.tui.widgets.listing import Listing

MOST_ROWS = 2
"""Of one entry; Enter shows the rest."""
WHOLE = ("Announced", "NoteAdded")
"""Kinds that are read to the letter."""


class EventLog(Listing):
    """Keeps the rows of what it has seen; only new lines are wrapped and painted."""

    wanted = ""
    """The filter: part of a text, a kind, a step or a person, in any case."""

    def __init__(self, *, id: str, ascii_only: bool = False) -> None:  # noqa: A002
        super().__init__(id=id, ascii_only=ascii_only)
        self._seen = 0
        self._first = 0
        self._height = 0
        self._width = 0
        self._log_rows: list[Row] = []
        self._following = True
        """The end is in sight, and stays so when lines come or the pane is resized."""
        self._held = False
        """A chosen row keeps it where it is though the end was in sight."""
        self.matching = 0
        """Entries that the filter lets through."""
        self.total = 0

    class Scrolled(Message):
        """More or fewer entries are newer than what is in sight."""

    def words(self) -> str:
        """For the title: what it is filtered by, how much of it is left, and how much is below what is in sight."""
        named = f"Events with {line(self.wanted, 40)!r}  {self.matching} of {self.total}" if self.wanted else "Events"
        return f"{named}  ▼ {self.newer} newer" if self.newer else named

    @property
    def newer(self) -> int:
        """Entries below the last row in sight; none where it is about to scroll there."""
        if self._following and not self._held:
            return 0
        end = int(self.scroll_offset.y) + self.size.height
        below = {row.target for row in self._rows[end:]} if self.size.height else set()
        return len(below - {row.target for row in self._rows[max(0, end - 1) : end]})

    def set_filter(self, wanted: str, state: RunState) -> None:
        self.wanted = wanted.strip().casefold()
        self._width = 0
        self.follow(state)

    def follow(self, state: RunState) -> None:
        """Show what is new. While it is hidden there is no width to wrap for: it stays as it is until it is back."""
        if not self.size.width:
            return
        log = state.log
        first = log[0].seq if log else 0
        if self._width != self.inner_width or first != self._first or (log and log[-1].seq < self._seen) or not log:
            self._log_rows, self._seen, self._first, self._width = [], 0, first, self.inner_width
            self.matching = 0
        fresh: list[LogLine] = []
        for entry in reversed(log):
            if entry.seq <= self._seen:
                break
            fresh.append(entry)
        for entry in reversed(fresh):
            if not self.wanted or self._matches(entry):
                self._log_rows.extend(self._wrapped(entry))
                self.matching += 1
        self._seen = log[-1].seq if log else 0
        self.total = len(log)
        rows = self._log_rows or self._nothing()
        resized = self.size.height != self._height
        self._height = self.size.height
        if not fresh and rows == list(self._rows) and not resized:
            return
        self._held = self._chosen_before_the_end
        following = self._following and not self._held
        self.show_rows(list(rows))
        if following and self.active and fresh and self._log_rows:
            self.choose(self._rows[-1].target)
        if following:
            self.scroll_to_end()
        if resized:
            self.refresh()  # the rows of a smaller pane may still stand where the scrolling has begun

    @property
    def _chosen_before_the_end(self) -> bool:
        return self.active and self.chosen not in ("", self._rows[-1].target if self._rows else "")

    def _nothing(self) -> list[Row]:
        """An empty result says that it is one."""
        if not self.wanted:
            return []
        said = f"none of {self.total} events has {line(self.wanted, 40)!r} in it; Esc shows all of them"
        return [Row(((fit(said, self.inner_width).rstrip(), "warn"),))]

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Someone scrolled back, or down to the end again; a change of size alone decides nothing."""
        super().watch_scroll_y(old_value, new_value)
        if self.size.height == self._height:
            self._following = new_value + self.size.height >= len(self._rows)
            self.post_message(self.Scrolled())

    def settle(self) -> None:
        """Where it stands is the reader's: its end where that was in sight, else the row that was chosen."""
        if self._following and not self._chosen_before_the_end:
            self.scroll_to_end()
        elif self.active:
            super().settle()

    def scroll_to_end(self) -> None:
        self.scroll_to(y=max(0, len(self._rows) - self.size.height), animate=False, force=True)

    def move_to_end(self, by: int) -> None:
        """The newest line is followed from then on."""
        super().move_to_end(by)
        if by > 0:
            self._following, self._held = True, False
            self.scroll_to_end()
            self.post_message(self.Scrolled())
        else:
            self.scroll_to(y=0, animate=False, force=True)

    def set_active(self, active: bool) -> None:
        if active and not self.active and self._rows and self._following:
            self._chosen = self._rows[-1].target
        super().set_active(active)

    def _matches(self, line: LogLine) -> bool:
        return self.wanted in f"{line.text} {line.kind} {line.step} {line.person}".casefold()

    def _wrapped(self, line: LogLine) -> list[Row]:
        style = TONES[line.tone]
        target = f"entry:{line.seq}"
        rows = []
        room = self._width - 10
        parts = wrap(line.signed, room)
        if line.kind not in WHOLE and len(parts) > MOST_ROWS:
            parts = [*parts[: MOST_ROWS - 1], fit(" ".join(parts[MOST_ROWS - 1 :]), room)]
        for index, part in enumerate(parts):
            lead = wall(line.at) if index == 0 else " " * 8
            rows.append(Row(((lead, "dim"), ("  ", ""), (part, style)), target))
        return rows
