"""What a person may type between the questions of a line-by-line console: where the run stands, why, and what next.

The words are the full screen's own: the same panes and details, as lines.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ray_tui.core import plan
from ray_tui.core.commands import AddNote, Command, Decline, GrantSeat, KeepSeat, RequestSeat, RunStep, TakeSeat
from ray_tui.plain.named import Unknown, rows_named
from ray_tui.tui.about import about
from ray_tui.tui.copies import copies
from ray_tui.tui.lines import Line, Row, wrap
from ray_tui.tui.panes import frame
from ray_tui.tui.panes.phases import PHASES
from ray_tui.tui.view import View, next_line, wall

WIDTH = 100
"""Cells of a line; a narrower terminal wraps it."""
UNCUT = 1_000
"""Cells in which a pane cuts nothing: what it cuts at ``WIDTH`` is wrapped instead."""
MOST_LINES = 200
"""Of the event log that one search shows, the newest."""
PANES = {str(number): rows for number, rows in enumerate(PHASES, start=1)}


@dataclass(frozen=True)
class Wish:
    """One word that may be typed, and what comes of it: lines to read, or a command for the run."""

    usage: str
    what: str
    grant: Callable[[View, str], "Sequence[str] | Command"]


def granted(view: View, typed: str) -> Sequence[str] | Command:
    """Lines to print, or a command to submit. Raises Unknown."""
    word, _, rest = typed.partition(" ")
    wish = WISHES.get(word.lower())
    if wish is None:
        raise Unknown(f"{word!r} is nothing to type here; ? lists what is.")
    return wish.grant(view, rest.strip())


def looked(view: View, typed: str) -> Sequence[str] | None:
    """Lines to print where what was typed only looks; None where it is anything else. Raises Unknown."""
    word = typed.partition(" ")[0].lower()
    return cast("Sequence[str]", granted(view, typed)) if word in LOOKS else None


def help_lines(words: Collection[str] = ()) -> list[str]:
    """A line each; of these words only, where some are given."""
    listed = dict.fromkeys(wish for word, wish in WISHES.items() if not words or word in words)
    return [f"  {wish.usage:<24}{wish.what}" for wish in listed]


def standing(view: View) -> str:
    """Who must act next, and by when, on one line."""
    return f"next: {_text(next_line(view))}"


def _text(line: Line) -> str:
    return "".join(text for text, _ in line).rstrip()


def _status(view: View, rest: str) -> list[str]:
    return [_text(frame.header(view, WIDTH * 2)), _text(frame.rail(view, WIDTH * 2, 0)), standing(view)]


def _show(view: View, rest: str) -> list[str]:
    if rest not in PANES:
        raise Unknown("show 1, 2, 3 or 4: which phase?")
    view.roomy = True
    rows, whole = PANES[rest](view, WIDTH), _by_target(PANES[rest](view, UNCUT))
    left = _by_target(rows)
    out: list[str] = []
    for row in rows:
        said, uncut = _text(row.line), whole.get(row.target, [])
        at = len(uncut) - len(left[row.target])
        left[row.target].pop(0)
        full = uncut[at] if at >= 0 else said
        cut = full.count("…") < said.count("…")
        out += wrap(re.sub(" {3,}", "  ", full), WIDTH, indent="      ") if cut else [said]
    return out


def _by_target(rows: Sequence[Row]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.target, []).append(_text(row.line))
    return found


def _why(view: View, rest: str) -> list[str]:
    told = [about(view, target, WIDTH) for target in rows_named(view, rest)]
    return [said for title, lines in told for said in (title, *(_text(line) for line in lines))]


def _copy(view: View, rest: str) -> list[str]:
    found = [copy for target in rows_named(view, rest) for copy in copies(view, target)]
    if not found:
        raise Unknown(f"There is no query and no command behind {rest}; why {rest} shows what there is.")
    return [said for name, text in found for said in (f"{name}:", f"  {text}")]


def _grep(view: View, rest: str) -> list[str]:
    wanted = rest.casefold()
    log = view.state.log
    found = [line for line in log if wanted in f"{line.text} {line.kind} {line.step} {line.person}".casefold()]
    if not found:
        return [f"none of {len(log)} events has {rest!r} in it"]
    return [f"{wall(line.at)} seq {line.seq}  {line.signed}" for line in found[-MOST_LINES:]]


def _note(view: View, rest: str) -> Command:
    return AddNote(text=rest)


def _seat(view: View, rest: str) -> Command:
    how, _, person = rest.partition(" ")
    match how.lower():
        case "ask":
            return RequestSeat()
        case "take":
            return TakeSeat()
        case "give" if person.strip():
            return GrantSeat(person=person.strip())
        case "keep" if person.strip():
            return KeepSeat(person=person.strip())
    raise Unknown("seat ask, seat take, seat give PERSON, or seat keep PERSON: no to one who asks")


def _retry(view: View, rest: str) -> Command:
    if rest not in plan.STEPS:
        raise Unknown(f"retry which? {', '.join(plan.STEPS)}")
    return RunStep(step=rest)


def _decline(view: View, rest: str) -> Command:
    step, _, reason = rest.partition(" ")
    if not reason.strip():
        raise Unknown("decline STEP REASON: a guideline action that is not carried out, and why")
    return Decline(step=step, reason=reason.strip())


_WISHES = (
    (("s", "status"), Wish("s, status", "where the run stands, who drives, who must act and by when", _status)),
    (("show",), Wish("show 1|2|3|4", "a phase's pane: coverage, baseline, alert paths, schedule, package …", _show)),
    (
        ("why",),
        Wish("why WHAT", "a step, gate, service, KPI (payments p99), receiver, dashboard, rule, waivers, …", _why),
    ),
    (("copy",), Wish("copy WHAT", "the query behind it, and as a command: curl, promtool, amtool", _copy)),
    (("grep",), Wish("grep TEXT", "the event log, filtered", _grep)),
    (("n", "note"), Wish("n TEXT", "a note for the journal", _note)),
    (("seat",), Wish("seat ask|take|give|keep", "the driver's seat; give and keep name a person", _seat)),
    (("retry",), Wish("retry STEP", "run a step again, also an earlier one", _retry)),
    (("decline",), Wish("decline STEP REASON", "do without a guideline action", _decline)),
)
LOOKS = ("s", "status", "show", "why", "copy", "grep")
"""The words that ask nothing of the run, and so can be typed while a question is open."""
WISHES: Mapping[str, Wish] = {word: wish for words, wish in _WISHES for word in words}
