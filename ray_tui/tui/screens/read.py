"""The dialogs that only show: why something is so, the help with the live keys, the mission, the themes."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from ray_tui.core import plan
from ray_tui.tui import keys, use
from ray_tui.tui.about import paragraph
from ray_tui.tui.lines import Line, columns
from ray_tui.tui.screens.dialog import Q_CLOSES, Choice, ChoiceDialog, Dialog, Field, FormDialog
from ray_tui.tui.view import View


class CopyAsAsked(Message):
    """Please let a person choose what of this is copied."""

    def __init__(self, target: str, text: str) -> None:
        super().__init__()
        self.target = target
        self.text = text


class JournalAsked(Message):
    """Please show the journal line behind this row."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class ReadDialog(Dialog[None]):
    """Lines to scroll through; y copies them all."""

    hints: tuple[str, ...] = ("↑↓ scroll", "y copy")
    q_does = Q_CLOSES
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.READING)
    target = ""
    """What the lines are about, where they are about a row."""

    def action_scroll(self, by: int) -> None:
        text = self.query_one("#text")
        text.scroll_to(y=text.scroll_offset.y + by, animate=False)

    def action_end(self, by: int) -> None:
        text = self.query_one("#text", VerticalScroll)
        text.scroll_to(y=0 if by < 0 else text.max_scroll_y, animate=False)

    def action_copy_as(self) -> None:
        self.app.post_message(CopyAsAsked(self.target, self.text_shown()))


class DetailDialog(ReadDialog):
    """Why a row is as it is; e goes to the journal line behind it."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.DETAIL)

    def action_journal(self) -> None:
        self.dismiss(None)
        self.app.post_message(JournalAsked(self.target))


def detail_dialog(title: str, lines: Sequence[Line], target: str) -> ReadDialog:
    dialog = DetailDialog(title, lines)
    dialog.target = target
    dialog.hints = ("e journal line", "↑↓ scroll", "y copy", "Y copy as a command")
    return dialog


def mission_lines(width: int) -> list[Line]:
    return [*paragraph(plan.MISSION, width), (), *paragraph(plan.CRITICAL, width, "bad")]


DEMO = (
    "This is a demo: every system is a program on this machine, nothing else is touched and nobody is paged. Its "
    "people acknowledge by themselves. You hold every role."
)


def mission_dialog(width: int, demo: bool) -> ReadDialog:
    """The seed's mission and its one [CRITICAL] rule; of a demo, what is not real."""
    lines = [*mission_lines(width), ()]
    if demo:
        lines += [*paragraph(DEMO, width, "warn"), ()]
    dialog = ReadDialog("Mission", [*lines, (("Enter goes on.  ? shows this again.", "dim"),)])
    dialog.hints = ("Enter: go on",)
    return dialog


class HelpDialog(ReadDialog):
    """The keys; their names in the configuration on a second page."""

    hints = ("↑↓ scroll", "i names in ray-tui.toml")
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.HELP)

    def __init__(self, pages: Sequence[Sequence[Line]]) -> None:
        super().__init__("Help", pages[0])
        self.pages = pages

    def action_help(self) -> None:
        """It is open already."""

    def action_other_page(self) -> None:
        """Keys, or their names; and back."""
        self.lines = list(self.pages[1] if self.lines == list(self.pages[0]) else self.pages[0])
        self.query_one("#words", Static).update(self.joined())
        self.query_one("#text").scroll_to(y=0, animate=False)


def help_dialog(
    keymap: Mapping[str, str], problems: Sequence[str], view: View, width: int, here: Sequence[tuple[str, str]] = (),
    row: Sequence[tuple[str, str]] = (),
) -> HelpDialog:  # fmt: skip
    """The keys that have a use now, as they are bound; the glyphs; the mission. On the second page what [ui.keymap]
    calls all of them. ``here``: the keys of the dialog from which it was asked, and then no others; ``row``: what the
    keys of the chosen row do with it."""
    lines = _section("In this dialog", here, width) if here else _key_lines(keymap, view, width, row)
    return HelpDialog([[*_I_KEY, *lines, *_legend(problems, width)], _name_lines(keymap, width)])


_I_KEY: tuple[Line, ...] = ((("i", "run"), ("  what [ui.keymap] calls them, to put them elsewhere", "dim")), ())


def _section(title: str, said: Sequence[tuple[str, str]], width: int, style: str = "run") -> list[Line]:
    """A heading, and keys with what they do; empty where there are none."""
    widths = (18, max(20, width - 20))
    word = "dim" if style == "dim" else ""
    found: list[Line] = [columns([(keys, style), (says, word)], widths) for keys, says in said]
    return [((title, "strong" if style != "dim" else "dim"),), *found, ()] if found else []


def _name_lines(keymap: Mapping[str, str], width: int) -> list[Line]:
    """What a person's configuration calls each key."""
    out: list[Line] = [*paragraph('Names for [ui.keymap] in ray-tui.toml, as in  "run.note" = "N".', width), ()]
    widths = (23, 11, max(20, width - 37))
    out += [columns([(key.id, "run"), _shown(keymap, key), (key.says, "dim")], widths) for key in keys.EVERY]
    return out


def _shown(keymap: Mapping[str, str], key: keys.Key) -> str:
    every = keymap.get(key.id, key.keys)
    return every if every == "," else every.replace(",", " ")


def _key_lines(keymap: Mapping[str, str], view: View, width: int, row: Sequence[tuple[str, str]]) -> list[Line]:
    known = {key.id: key for key in keys.KEYS}
    out = _section("On the chosen row", [(_shown(keymap, known[name]), says) for name, says in row], width)
    groups = sorted(dict.fromkeys(key.group for key in keys.KEYS), key=("Look", "Console").count)
    for group in groups:  # what decides something comes before what only looks
        found = [key for key in keys.KEYS if key.group == group and key.id not in dict(row) and use.useful(view, key)]
        out += _section(group, [(_shown(keymap, key), key.says) for key in found], width)
    if view.state.halt is None and view.drives and not view.state.ended:
        later = [(_shown(keymap, known[name]), known[name].says) for name in use.AT_A_HALT]
        out += _section("When a run is halted", later, width, "dim")
    out += [(("ctrl+p            ", "run"), ("command palette: all of this and more, by name", "")), ()]
    return out


def _legend(problems: Sequence[str], width: int) -> list[Line]:
    out: list[Line] = [
        (("✓ passed  ✗ failed  ? inconclusive  ! error  w waived  ▶ running  · waiting  – not needed", ""),),
        (("Times are UTC. q leaves the console, Ctrl-C says so; neither ever ends a run.", "dim"),),
        (), (("Mission", "strong"),), *mission_lines(width),
    ]  # fmt: skip
    for problem in problems:
        out += paragraph(problem, width, "warn", "! ")
    return out


class FilterDialog(FormDialog):
    """What the event log shows; Esc shows all of it again."""

    hints = ("Enter: filter",)
    q_does = "Esc: show all, then q: "

    def __init__(self, wanted: str) -> None:
        super().__init__("Filter the log", [], [Field("wanted", "part of a text, kind, step or person", value=wanted)])

    def action_later(self) -> None:
        self.dismiss({"wanted": ""})


def theme_dialog(names: Sequence[str], now: str) -> ChoiceDialog:
    ordered = [now, *(name for name in names if name != now)]
    return ChoiceDialog("Theme", [], [Choice(name, name, "now" if name == now else "") for name in ordered])
