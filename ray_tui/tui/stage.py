"""What the console's parts may ask of the app that holds them: the seam that keeps them from importing it."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from textual.geometry import Size
from textual.screen import ModalScreen, Screen

from ray_tui.core.handle import RunHandle
from ray_tui.core.state import RunState
from ray_tui.tui.view import View

Answer = TypeVar("Answer")


class Stage(Protocol):
    """One console. Everything here returns at once; what a person decides arrives as a command, later."""

    handle: RunHandle
    state: RunState
    keymap: dict[str, str]
    drafts: dict[tuple[str, str], str]
    """What was written into a form that was put off, by its title and field."""

    @property
    def size(self) -> Size: ...

    @property
    def screen(self) -> Screen[object]: ...

    @property
    def busy(self) -> bool: ...

    @property
    def attach_hint(self) -> str:
        """The command that joins this run."""
        ...

    @property
    def theme_names(self) -> list[str]: ...

    def view(self) -> View: ...

    def begin(self) -> None:
        """The screen has its size: paint what is known of the run, then keep up with it."""
        ...

    def repaint(self) -> None: ...

    def repaint_soon(self) -> None: ...

    def say(self, text: str, *, bad: bool = False) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...

    def open_dialog(
        self, dialog: ModalScreen[Answer], closed: Callable[[Answer | None], object] | None = None
    ) -> None: ...

    def open_help(self, here: Sequence[tuple[str, str]] = ()) -> None:
        """The keys that have a use now; asked from a dialog, that dialog's."""
        ...

    def open_detail(self, target: str) -> None: ...

    def copy(self, text: str) -> None: ...

    def copy_as(self, target: str, text: str) -> None: ...

    def choose_theme(self, name: str) -> None: ...

    def service_names(self) -> list[str]: ...

    def other_runs(self) -> list[tuple[str, str]]:
        """(id, the command that opens it) of each run beside this one, newest first."""
        ...

    def deeds(self) -> Mapping[str, Callable[[], object]]:
        """Everything that a key can do, by the action's name."""
        ...

    def decline(self, step: str) -> None: ...

    def detach(self) -> None:
        """Off the screen; the run goes on."""
        ...
