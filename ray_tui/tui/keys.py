"""Every key of the console: its stable id, what it does, and whether a person's keymap may put it there."""

import difflib
from collections.abc import Mapping, Sequence

from textual.binding import Binding, BindingType
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character

from ray_tui.core.value import Value


class Key(Value):
    """One binding. ``id`` is what ``[ui.keymap]`` names; ``group`` is its heading in the help."""

    id: str
    keys: str
    action: str
    says: str
    group: str = "Look"
    replay: bool = False
    priority: bool = False
    """Also where a field or a list has the focus."""


KEYS: tuple[Key, ...] = (
    Key("focus.1", "1", "focus_phase(1)", "phase 1"),
    Key("focus.2", "2", "focus_phase(2)", "phase 2"),
    Key("focus.3", "3", "focus_phase(3)", "phase 3"),
    Key("focus.4", "4", "focus_phase(4)", "phase 4"),
    Key("focus.log", "5,e", "focus_phase(5)", "event log"),
    Key("focus.overview", "0", "overview", "overview, follow the run and its log"),
    Key("focus.zoom", "z", "zoom", "the pane alone, all of the screen"),
    Key("move.up", "up,k", "move(-1)", "row up"),
    Key("move.down", "down,j", "move(1)", "row down"),
    Key("move.page_up", "pageup", "move(-10)", "ten rows up"),
    Key("move.page_down", "pagedown", "move(10)", "ten rows down"),
    Key("move.half_up", "ctrl+u", "half_page(-1)", "half a page up"),
    Key("move.half_down", "ctrl+d", "half_page(1)", "half a page down"),
    Key("move.first", "home", "end(-1)", "first row; of the log the oldest line"),
    Key("move.last", "end,G", "end(1)", "last row; of the log the newest line, and follow it"),
    Key("move.left", "left,h", "phase(-1)", "phase before"),
    Key("move.right", "right,l", "phase(1)", "phase after"),
    Key("move.next_action", "tab", "next_action(1)", "next action"),
    Key("move.previous_action", "shift+tab", "next_action(-1)", "action before"),
    Key("open.detail", "enter", "detail", "why is it so?"),
    Key("jump", "f,;", "app.deed('jump')", "letters on all that can be opened"),
    Key("log.filter", "/", "app.deed('filter_log')", "filter the log; Esc shows all of it"),
    Key("copy", "y", "copy", "copy the row"),
    Key("copy.as", "Y", "copy_as", "copy its query or as a command"),
    Key("run.prompts", "p", "app.deed('prompts')", "open questions", "Decide"),
    Key("run.retry", "r", "app.deed('retry')", "retry the halted step (asks first)", "Decide"),
    Key("run.waive", "w", "app.deed('waive')", "waive a criterion, or all of one cause", "Decide"),
    Key("run.manual", "m", "app.deed('manual')", "record manual validation", "Decide"),
    Key("run.note", "n", "app.deed('note')", "add a note", "Decide"),
    Key("seat.take", "t", "app.deed('take_seat')", "take the driver's seat", "Pair"),
    Key("seat.grant", "g", "app.deed('grant_seat')", "give the seat away", "Pair"),
    Key("replay.play", "space", "app.transport('play')", "play or pause", "Replay", True),
    Key("replay.step", ".", "app.transport('step')", "one entry on", "Replay", True),
    Key("replay.next", "]", "app.transport('next')", "next marker", "Replay", True),
    Key("replay.previous", "[", "app.transport('previous')", "marker before", "Replay", True),
    Key("replay.slower", "<", "app.transport('slower')", "slower", "Replay", True),
    Key("replay.faster", ">", "app.transport('faster')", "faster", "Replay", True),
    Key("replay.bar", "b", "focus_bar", "along the bar: left, right, Tab, then Enter", "Replay", True),
    Key("replay.seek", ":", "app.deed('seek')", "go to a time, seq or step", "Replay", True),
    Key("help", "?", "app.deed('help')", "help", "Console"),
    Key("theme", "T", "app.deed('theme')", "choose a theme", "Console"),
    Key("detach", "q", "app.deed('detach')", "leave; the run is not touched", "Console"),
)
DIALOG: tuple[Key, ...] = (
    Key("dialog.leave", "q", "leave", "leave the console"),
    Key("dialog.page_down", "pagedown", "read_on(1)", "read on", priority=True),
    Key("dialog.page_up", "pageup", "read_on(-1)", "read back", priority=True),
    Key("dialog.half_down", "ctrl+d", "read_on(0.5)", "half a page down"),
    Key("dialog.half_up", "ctrl+u", "read_on(-0.5)", "half a page up"),
    Key("copy", "y", "copy", "copy all of the text"),
    Key("help", "question_mark,f1", "help", "these keys"),
)
"""In whatever asks or tells. Esc closes it, and stays where it is."""
EDITOR: tuple[Key, ...] = (Key("dialog.next", "tab", "app.focus_next", "choices", priority=True),)
FORM: tuple[Key, ...] = (
    Key("form.up", "up", "field(-1)", "field above"),
    Key("form.down", "down", "field(1)", "field below"),
)
READING: tuple[Key, ...] = (
    Key("read.close", "enter,q", "later", "close"),
    Key("read.down", "down,j", "scroll(1)", "down"),
    Key("read.up", "up,k", "scroll(-1)", "up"),
    Key("read.first", "home,g", "end(-1)", "first line"),
    Key("read.last", "end,G", "end(1)", "last line"),
    Key("read.page_down", "space", "read_on(1)", "page down"),
    Key("read.copy_as", "Y,c", "copy_as", "copy as"),
)
DETAIL: tuple[Key, ...] = (Key("read.journal", "e", "journal", "its journal line"),)
HELP: tuple[Key, ...] = (Key("help.names", "i", "other_page", "names for [ui.keymap]"),)
RESERVED = frozenset({"ctrl+c", "ctrl+p", "escape", "f1"})
_CONTEXTS: tuple[tuple[Key, ...], ...] = (
    KEYS, DIALOG + EDITOR, DIALOG + FORM,
    tuple(key for key in DIALOG if key.id != "dialog.leave") + READING + DETAIL + HELP,
)  # fmt: skip
"""What is bound at the same time: one key has one meaning in each."""
EVERY: tuple[Key, ...] = KEYS + tuple(
    key for key in DIALOG + EDITOR + FORM + READING + DETAIL + HELP if key.id not in {one.id for one in KEYS}
)
"""Each id once: what a keymap may name."""
_NAMED = frozenset(KEY_NAME_REPLACEMENTS.values()) | {
    key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<")
}
_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "hyper", "meta"})


def bindings(table: Sequence[Key] = KEYS) -> list[BindingType]:
    return [Binding(key.keys, key.action, key.says, id=key.id, show=False, priority=key.priority) for key in table]


def canonical(keys: str) -> tuple[str, ...]:
    """Key names as Textual knows them: ``?`` is ``question_mark``, ``T`` stays ``T``."""
    parts = [keys] if keys == "," else [part.strip() for part in keys.split(",")]
    return tuple(_character_to_key(part) if len(part) == 1 else part for part in parts if part)


def is_key(name: str) -> bool:
    """Whether a terminal can send it. A capital is its letter: no key is called ``shift+z``."""
    *modifiers, key = name.split("+")
    known = len(key) == 1 or key in _NAMED or key_to_character(key) is not None
    return known and _MODIFIERS.issuperset(modifiers) and not (modifiers == ["shift"] and len(key) == 1)


def validated(keymap: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The part of a person's keymap that can be used, and by id what is wrong with the rest."""
    good: dict[str, str] = {}
    problems: dict[str, str] = {}
    for binding, keys in keymap.items():
        if why := _unusable(binding, keys):
            problems[binding] = why
        else:
            good[binding] = keys
    while (clash := _first_clash(good)) is not None:
        loser, key, winner = clash
        problems[loser] = f"{key} is already {winner}"
        del good[loser]
    return good, problems


def _unusable(binding: str, keys: str) -> str:
    ids = [key.id for key in EVERY]
    if binding not in ids:
        meant = difflib.get_close_matches(binding, ids, n=1)
        return "is no binding" + (f", did you mean {meant[0]}?" if meant else "")
    wanted = canonical(keys)
    if not wanted:
        return "has no key"
    if strange := [key for key in wanted if not is_key(key)]:
        return f"{', '.join(strange)} is no key; write it as n, N, ctrl+n, f2, pageup or question_mark"
    return f"{keys} is reserved" if RESERVED & set(wanted) else ""


def _first_clash(good: Mapping[str, str]) -> tuple[str, str, str] | None:
    clashes = (_clash({key.id: good.get(key.id, key.keys) for key in context}, good) for context in _CONTEXTS)
    return next((clash for clash in clashes if clash is not None), None)


def _clash(table: Mapping[str, str], changed: Mapping[str, str]) -> tuple[str, str, str] | None:
    """(the changed binding that gives way, the key, who has it); None where every key has one meaning."""
    taken: dict[str, str] = {}
    for binding, keys in table.items():
        for key in canonical(keys):
            other = taken.setdefault(key, binding)
            if other != binding:
                loser, winner = (binding, other) if binding in changed else (other, binding)
                return loser, key, winner
    return None


def shown(keymap: Mapping[str, str]) -> dict[str, str]:
    """Binding id -> its first key, as it is printed."""
    return {key.id: keymap.get(key.id, key.keys).split(",")[0] or "," for key in KEYS}
