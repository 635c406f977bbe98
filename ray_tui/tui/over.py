"""What opens over the console. No first paint needs it: it is loaded once the console is on the screen."""

import asyncio
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from ray_tui.tui.stage import Stage

if TYPE_CHECKING:
    from ray_tui.tui.desk import Desk
    from ray_tui.tui.reader import Reader
    from ray_tui.tui.screens.dialog import Dialog

PIECES = ("screens.dialog", "screens.read", "screens.ask", "screens.decide", "desk", "reader")


class Over:
    """One per console; whatever is asked for earlier is loaded then."""

    def __init__(self, app: Stage) -> None:
        self.app = app
        self.loaded = False

    @cached_property
    def desk(self) -> "Desk":
        from ray_tui.tui.desk import Desk

        return Desk(self.app)

    @cached_property
    def reader(self) -> "Reader":
        from ray_tui.tui.reader import Reader

        return Reader(self.app, self.desk)

    def dialog(self, top: Screen[Any]) -> "Dialog[Any] | None":
        """The screen on top, where it is a dialog."""
        from ray_tui.tui.screens.dialog import Dialog

        return top if isinstance(top, Dialog) else None

    async def load(self) -> None:
        """In pieces, between which keys are heard; then what waits for this console opens."""
        for name in PIECES:
            await asyncio.sleep(0)
            import_module(f"ray_tui.tui.{name}")
        self.loaded = True
        self.app.repaint()
