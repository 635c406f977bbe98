"""The dialogs that only show: why something is so, the help with the live keys, the mission, the themes."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ray_tui.core import plan
from ray_tui.tui import keys
from ray_tui.tui.about import paragraph
from ray_tui.tui.lines import Line, columns
from ray_tui.tui.screens.dialog import Choice, ChoiceDialog, Dialog
from ray_tui.tui.view import View


class CopyAsked(Message):
    """Please put this into the clipboard."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class CopyAsAsked(Message):
    """Please let a person choose what of this is copied."""

    def __init__(self, target: str, text: str) -> None:
        super().__init__()
        self.target = target
        self.text = text


class ReadDialog(Dialog[None]):
    """Lines to scroll through; y copies them all."""

    subtitle = "↑↓ scroll   y copy   Esc close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q", "later", "close", id="read.close"),
        Binding("down,j", "scroll(1)", "down", id="read.down"),
        Binding("up,k", "scroll(-1)", "up", id="read.up"),
        Binding("space", "read_on(1)", "page down", id="read.page_down"),
        Binding("y", "copy", "copy", id="read.copy"),
        Binding("Y,c", "copy_as", "copy as", id="read.copy_as"),
    ]
    target = ""
    """What the lines are about, where they are about a row."""

    def action_scroll(self, by: int) -> None:
        text = self.query_one("#text")
        text.scroll_to(y=text.scroll_offset.y + by, animate=False)

    def action_copy(self) -> None:
        self.app.post_message(CopyAsked(self.text_shown()))

    def action_copy_as(self) -> None:
        self.app.post_message(CopyAsAsked(self.target, self.text_shown()))


def detail_dialog(title: str, lines: Sequence[Line], target: str) -> ReadDialog:
    dialog = ReadDialog(title, lines)
    dialog.target = target
    dialog.subtitle = "↑↓ scroll   y copy   Y copy as a command   Esc close"
    return dialog


def mission_lines(width: int) -> list[Line]:
    return [*paragraph(plan.MISSION, width), (), *paragraph(plan.CRITICAL, width, "bad")]


def mission_dialog(width: int) -> ReadDialog:
    """The seed's mission and its one [CRITICAL] rule."""
    dialog = ReadDialog("Mission", [*mission_lines(width), (), (("Enter begins.  ? shows this again.", "dim"),)])
    dialog.subtitle = "Enter"
    return dialog


def help_dialog(keymap: Mapping[str, str], problems: Sequence[str], view: View, width: int) -> ReadDialog:
    """Every key as it is bound now; the glyphs; the mission."""
    out: list[Line] = []
    groups = list(dict.fromkeys(key.group for key in keys.KEYS))
    for group in groups:
        if group == "Replay" and view.transport is None:
            continue
        out.append(((group, "strong"),))
        for key in keys.KEYS:
            if key.group == group:
                every = keymap.get(key.id, key.keys)
                shown = every if every == "," else every.replace(",", " ")
                out.append(columns([(shown, "run"), key.says, (key.id, "dim")], (18, 34, 24)))
        out.append(())
    out += [(("ctrl+p            ", "run"), ("command palette: every command, step and theme", "")), ()]
    out.append((("✓ passed  ✗ failed  ? inconclusive  ! error  w waived  ▶ running  · waiting  – not needed", ""),))
    out.append((("Times are UTC. Ctrl-C and q never end a run.", "dim"),))
    out += [(), (("Mission", "strong"),), *mission_lines(width)]
    for problem in problems:
        out += paragraph(problem, width, "warn", "! ")
    return ReadDialog("Help", out)


def theme_dialog(names: Sequence[str], now: str) -> ChoiceDialog:
    ordered = [now, *(name for name in names if name != now)]
    return ChoiceDialog("Theme", [], [Choice(name, name, "now" if name == now else "") for name in ordered])
