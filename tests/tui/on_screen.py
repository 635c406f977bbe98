"""What tests of the console share: starting one, reading its screen, waiting for a condition."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from ray_tui.tui.app import RayApp
from ray_tui.tui.options import ConsoleOptions
from ray_tui.tui.screens.dialog import Choices, Dialog
from tests.tui.fake_handle import FakeHandle, StillClock, until


def text_of(app: RayApp) -> str:
    """The screen as it stands, row by row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def notices(app: RayApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


@asynccontextmanager
async def console(
    handle: FakeHandle, size: tuple[int, int] = (120, 40), *, notices_shown: bool = False, **options: Any
) -> AsyncIterator[tuple[RayApp, Pilot[Any]]]:
    """A console that has seen everything that was fed."""
    options.setdefault("show_mission", False)
    options.setdefault("clock", StillClock())
    options.setdefault("environment", {})
    app = RayApp(handle, ConsoleOptions(**options))
    async with app.run_test(size=size, notifications=notices_shown) as pilot:
        await until(lambda: app.state.seq == handle.seq and app.console_screen.is_mounted, "all entries")
        await until(lambda: app.paints > 0, "a first paint")
        await until(lambda: app.over.loaded, "what opens by itself")
        await pilot.pause()  # what the first paint has resized is painted too
        yield app, pilot


async def dialog(app: RayApp, kind: type[Dialog[Any]] = Dialog, *, read: bool = True) -> Dialog[Any]:
    """The dialog on top, once it is there and ready; ``read``: and has stood there so long that an Enter counts."""
    await until(lambda: isinstance(app.screen, kind) and app.screen.is_mounted and not app._opening, kind.__name__)
    await until(lambda: app.screen.focused is not None or app.screen.query("#text"), "focus")
    if read:
        for choices in app.screen.query(Choices):
            choices._let_go()
    return app.screen  # type: ignore[return-value]


async def shows(app: RayApp, wanted: str) -> None:
    await until(lambda: wanted in text_of(app), f"{wanted!r} on the screen:\n{text_of(app)}")


async def submitted(handle: FakeHandle, count: int = 1) -> Any:
    """The last command, once there are that many."""
    await until(lambda: len(handle.submitted) >= count, f"{count} commands")
    return handle.submitted[-1]
