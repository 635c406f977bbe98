"""What a person may type between the questions of a line-by-line console: where the run stands, why, and what next.

The words are the full screen's own: the same panes and details, as lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ray_tui.core import plan
from ray_tui.core.commands import AddNote, Command, Decline, GrantSeat, KeepSeat, RequestSeat, RunStep, TakeSeat
from ray_tui.tui.about import about
from ray_tui.tui.lines import Line
from ray_tui.tui.panes import alerts, assurance, frame, handoff, instrumentation
from ray_tui.tui.view import View, mappings, newest_probes, next_line, wall

WIDTH = 100
"""Cells of a line; a narrower terminal wraps it."""
MOST_LINES = 200
"""Of the event log that one search shows, the newest."""
PANES = {"1": instrumentation.rows, "2": alerts.rows, "3": assurance.rows, "4": handoff.rows}


class Unknown(Exception):
    """What was typed is no wish, or names nothing in this run; the text says what to type instead."""


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


def help_lines() -> list[str]:
    return [f"  {wish.usage:<24}{wish.what}" for wish in dict.fromkeys(WISHES.values())]


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
    return [_text(row.line) for row in PANES[rest](view, WIDTH)]


def _why(view: View, rest: str) -> list[str]:
    title, lines = about(view, _target(view, rest), WIDTH)
    return [title, *(_text(line) for line in lines)]


def _target(view: View, named: str) -> str:
    """What a row of the full screen would open: a step, a gate, a service, a receiver, a journal line."""
    wanted = named.casefold()
    gates = {word.format(gate.number): gate.id for gate in plan.GATES for word in ("gate {}", "g{}")}
    if wanted in plan.STEPS or wanted in gates:
        return f"step:{gates.get(wanted, wanted)}"
    if wanted.removeprefix("seq").strip().isdecimal():
        return f"entry:{int(wanted.removeprefix('seq'))}"
    services = {str(cell.get("service")) for cell in mappings(view.step("1.2").data.get("cells"))}
    receivers = {probe.intended.receiver: name for name, probe in newest_probes(view.state)}
    for kind, known in (("service", dict.fromkeys(services)), ("probe", receivers)):
        for name, key in known.items():
            if name.casefold() == wanted:
                return f"{kind}:{key or name}"
    known_names = ", ".join(sorted(services | set(receivers))) or "no service or receiver yet"
    raise Unknown(f"why 1.2, gate 2, seq 17, or one of: {known_names}")


def _grep(view: View, rest: str) -> list[str]:
    wanted = rest.casefold()
    log = view.state.log
    found = [line for line in log if wanted in f"{line.text} {line.kind} {line.step} {line.person}".casefold()]
    if not found:
        return [f"none of {len(log)} events has {rest!r} in it"]
    return [f"{wall(line.at)} seq {line.seq}  {line.text}" for line in found[-MOST_LINES:]]


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
    (("why",), Wish("why WHAT", "a step (1.2), a gate (gate 2), a service, a receiver, a line (seq 17)", _why)),
    (("grep",), Wish("grep TEXT", "the event log, filtered", _grep)),
    (("n", "note"), Wish("n TEXT", "a note for the journal", _note)),
    (("seat",), Wish("seat ask|take|give|keep", "the driver's seat; give and keep name a person", _seat)),
    (("retry",), Wish("retry STEP", "run a step again, also an earlier one", _retry)),
    (("decline",), Wish("decline STEP REASON", "do without a guideline action", _decline)),
)
WISHES: Mapping[str, Wish] = {word: wish for words, wish in _WISHES for word in words}
