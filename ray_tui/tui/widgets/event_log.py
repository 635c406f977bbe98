"""The event log: the journal as people read it, followed at its end until someone scrolls back."""

from ray_tui.core.state import LogLine, RunState
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
        self._width = 0
        self._log_rows: list[Row] = []

    def set_filter(self, wanted: str, state: RunState) -> None:
        self.wanted = wanted.strip().casefold()
        self._width = 0
        self.follow(state)

    def follow(self, state: RunState) -> None:
        """Show what is new."""
        log = state.log
        first = log[0].seq if log else 0
        if self._width != self.inner_width or first != self._first or (log and log[-1].seq < self._seen) or not log:
            self._log_rows, self._seen, self._first, self._width = [], 0, first, self.inner_width
        fresh: list[LogLine] = []
        for line in reversed(log):
            if line.seq <= self._seen:
                break
            fresh.append(line)
        if not fresh and self._log_rows == list(self._rows):
            return
        for line in reversed(fresh):
            if not self.wanted or self._matches(line):
                self._log_rows.extend(self._wrapped(line))
        self._seen = log[-1].seq if log else 0
        at_end = self.scroll_offset.y + self.size.height >= len(self._rows)
        self.show_rows(list(self._log_rows))
        if (at_end and not self.active) or self.wanted:
            self.scroll_to_end()
        elif self.active and at_end and self._rows:
            self.choose(self._rows[-1].target)

    def scroll_to_end(self) -> None:
        self.scroll_to(y=max(0, len(self._rows) - self.size.height), animate=False, force=True)

    def set_active(self, active: bool) -> None:
        if active and not self.active and self._rows:
            self._chosen = self._rows[-1].target
        super().set_active(active)

    def _matches(self, line: LogLine) -> bool:
        return self.wanted in f"{line.text} {line.kind} {line.step} {line.person}".casefold()

    def _wrapped(self, line: LogLine) -> list[Row]:
        who = f" ({line.person})" if line.kind == "NoteAdded" else ""
        style = TONES[line.tone]
        target = f"entry:{line.seq}"
        rows = []
        parts = wrap(line.text + who, self.inner_width - 10)
        if line.kind not in WHOLE and len(parts) > MOST_ROWS:
            parts = [*parts[: MOST_ROWS - 1], fit(" ".join(parts[MOST_ROWS - 1 :]), self.inner_width - 10)]
        for index, part in enumerate(parts):
            lead = wall(line.at) if index == 0 else " " * 8
            rows.append(Row(((lead, "dim"), ("  ", ""), (part, style)), target))
        return rows
