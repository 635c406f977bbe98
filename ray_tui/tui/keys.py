"""Every key of the console: its stable id, what it does, and whether a person's keymap may put it there."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import _character_to_key


@dataclass(frozen=True)
class Key:
    """One binding. ``id`` is what ``[ui.keymap]`` names; ``group`` is its heading in the help."""

    id: str
    keys: str
    action: str
    says: str
    group: str = "Look"
    replay: bool = False


KEYS: tuple[Key, ...] = (
    Key("focus.1", "1", "focus_phase(1)", "phase 1"),
    Key("focus.2", "2", "focus_phase(2)", "phase 2"),
    Key("focus.3", "3", "focus_phase(3)", "phase 3"),
    Key("focus.4", "4", "focus_phase(4)", "phase 4"),
    Key("focus.log", "5,e", "focus_phase(5)", "event log"),
    Key("focus.overview", "0", "overview", "overview, follow the run"),
    Key("focus.zoom", "z", "zoom", "the pane alone, all of the screen"),
    Key("move.up", "up,k", "move(-1)", "row up"),
    Key("move.down", "down,j", "move(1)", "row down"),
    Key("move.page_up", "pageup", "move(-10)", "ten rows up"),
    Key("move.page_down", "pagedown", "move(10)", "ten rows down"),
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
    Key("detach", "q", "app.deed('detach')", "leave; the run goes on", "Console"),
)
RESERVED = frozenset({"ctrl+c", "ctrl+p", "escape", "f1"})


def bindings() -> list[Binding]:
    return [Binding(key.keys, key.action, key.says, id=key.id, show=False) for key in KEYS]


def canonical(keys: str) -> tuple[str, ...]:
    """Key names as Textual knows them: ``?`` is ``question_mark``, ``T`` stays ``T``."""
    parts = [keys] if keys == "," else [part.strip() for part in keys.split(",")]
    return tuple(_character_to_key(part) if len(part) == 1 else part for part in parts if part)


def validated(keymap: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The part of a person's keymap that can be used, and what is wrong with the rest."""
    known = {key.id: key.keys for key in KEYS}
    good: dict[str, str] = {}
    problems: list[str] = []
    for binding, keys in keymap.items():
        if binding not in known:
            meant = difflib.get_close_matches(binding, known, n=1)
            problems.append(f"{binding} is no binding" + (f", did you mean {meant[0]}?" if meant else ""))
        elif not canonical(keys):
            problems.append(f"{binding} has no key")
        elif RESERVED & set(canonical(keys)):
            problems.append(f"{binding}: {keys} is reserved")
        else:
            good[binding] = keys
    while True:
        clash = _clash({**known, **good}, good)
        if clash is None:
            return good, problems
        loser, key, winner = clash
        problems.append(f"{loser}: {key} is already {winner}")
        del good[loser]


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
