"""The transport bar of a replay as a thing to point at: by mouse, or with a caret that the keys move along it."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from ray_tui.core.handle import Marker, Transport
from ray_tui.tui.lines import clock_text, width_of
from ray_tui.tui.panes import transport as pane
from ray_tui.tui.track import Track
from ray_tui.tui.widgets.painted import Painted


class Bar(Painted):
    """Has the keys only while it is asked to: then left and right are its own, and everybody else's when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [  # by the ids of the keys that move elsewhere: one keymap for both
        Binding("left,h", "along(-1)", id="move.left", show=False),
        Binding("right,l", "along(1)", id="move.right", show=False),
        Binding("pageup", "along(-10)", id="move.page_up", show=False),
        Binding("pagedown", "along(10)", id="move.page_down", show=False),
        Binding("tab", "mark(1)", id="move.next_action", show=False),
        Binding("shift+tab", "mark(-1)", id="move.previous_action", show=False),
        Binding("enter", "go", id="open.detail", show=False),
        Binding("escape", "leave", show=False),
    ]

    class Sought(Message):
        """A person points at a mark, or at a moment between marks."""

        def __init__(self, marker: Marker | None, seconds: float) -> None:
            super().__init__()
            self.marker = marker
            self.seconds = seconds

    class Moved(Message):
        """The caret stands elsewhere, came or went."""

    def __init__(self, transport: Transport, *, id: str, classes: str, ascii_only: bool) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, ascii_only=ascii_only)
        self.transport = transport
        self.caret: int | None = None

    def show_bar(self) -> None:
        self.show_lines([pane.bar(self.transport, self.size.width, self.caret)])

    def take_keys(self) -> None:
        self.caret = self._track.cell(*self.transport.position)
        self.can_focus = True
        self.screen.set_focus(self)
        self.post_message(self.Moved())

    def on_blur(self) -> None:
        self.can_focus = False  # a widget that could have the keys, and has not, would hold them up
        self.caret = None
        self.post_message(self.Moved())

    @property
    def pointed_at(self) -> str:
        """What Enter goes to, in words."""
        marker, seconds = self._at(self.caret or 0)
        return f"{marker.label}, {clock_text(seconds)}" if marker is not None else clock_text(seconds)

    @property
    def _track(self) -> Track:
        return pane.track(self.transport, self.size.width)

    def _at(self, cell: int) -> tuple[Marker | None, float]:
        return self._track.marker(cell), self._track.seconds(cell)

    def action_along(self, by: int) -> None:
        self._move(self._track.along(self.caret or 0, by))

    def action_mark(self, by: int) -> None:
        self._move(self._track.beside(self.caret or 0, by))

    def _move(self, cell: int) -> None:
        self.caret = cell
        self.post_message(self.Moved())

    def action_go(self) -> None:
        self.post_message(self.Sought(*self._at(self.caret or 0)))

    def action_leave(self) -> None:
        self.screen.set_focus(None)

    def on_click(self, event: events.Click) -> None:
        cell = event.x - width_of(pane.place(self.transport, self.size.width))
        if 0 <= cell < self._track.room:
            self.post_message(self.Sought(*self._at(cell)))
