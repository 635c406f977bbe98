"""What stands around the panes: the header, the phase rail with its gate lights, the transport bar."""

from collections.abc import Sequence

from ray_tui.core import plan, views
from ray_tui.core.handle import Link, Marker, Transport
from ray_tui.core.verdicts import GLYPHS
from ray_tui.tui.jump import Jump
from ray_tui.tui.lines import TONES, Line, Span, clock_text, crop, width_of, wrap
from ray_tui.tui.view import SHORT_PHASES, View, badge, lookers, measured, next_line, wall

_LINKS: dict[Link, Span] = {
    Link.LIVE: ("● live", "good"), Link.LOST: ("○ LOST, retrying", "bad"), Link.ENDED: ("○ ended", "dim"),
    Link.REPLAY: ("● replay", "say"),
}  # fmt: skip
_MARKS = {"action": "·", "gate": "✓", "halt": "✗", "waiver": "w", "end": "┤"}
FORMS = ("long", "short", "lean", "bare")
"""Of the rail: with names; with counts; with what was measured; glyphs alone."""


LEAST_KNOWN = 10
"""Cells of release and environment that are left before anything else of the header is left out."""
SHORTER = ("", "driver", "run", "here")
"""The order in which the header's parts take a shorter form; then the release does."""
GONE = ("", "here", "run", "elapsed", "driver")
"""The order in which they are left out where even a short release has no room."""


def header(view: View, width: int) -> Line:
    """One line: is it watched, what, where, since when, who. Release and environment are shortened before anything is
    left out; that this console only reads is never left out."""
    opened = view.state.opened
    over = view.state.ended or view.transport is not None
    run = opened.run_id.rsplit("-", 1)[-1] if opened else "–"
    known = f"{opened.release} → {opened.environment}" if opened else "no run yet"
    word, style = badge(view)
    elapsed = clock_text(max(0.0, (view.state.at if over else view.now) - view.state.started_at)) if opened else "–"
    forms: dict[str, list[Line]] = {
        "badge": [((f" {word} ", f"badge-{style}"),)],
        "demo": [(("DEMO", "warn"),) if view.demo else ()],
        "known": [((known, "strong"),)],
        "run": [(("run ", "dim"), (run, "")), ((run, ""),), ()],
        "elapsed": [((elapsed, ""),), ()],
        "link": [(_LINKS[view.link],)],
        "read-only": [((" READ-ONLY ", "badge-dim"),) if view.read_only and view.transport is None else ()],
        "driver": [()] if view.state.ended else [_driver(view), _driver_short(view), ()],
        "here": _here(view),
    }
    whole = width_of(forms["known"][0])
    for part, least in (*((name, whole) for name in SHORTER), *((name, LEAST_KNOWN) for name in GONE)):
        if len(forms.get(part, ())) > 1:
            del forms[part][0]
        room = (
            width - width_of(_joined([shown[0] for name, shown in forms.items() if shown[0] and name != "known"])) - 2
        )
        if room >= min(least, whole):
            break
    forms["known"] = [crop(forms["known"][0], max(0, room))]
    return crop(_joined([shown[0] for shown in forms.values() if shown[0]]), width)


def _here(view: View) -> list[Line]:
    """Who else is here: by name, or how many."""
    people = dict.fromkeys(c.person for c in view.state.consoles.values() if c.id != view.state.driver_console)
    return [(("here: ", "dim"), (", ".join(people), "")), ((f"+{len(people)}", ""),), ()] if people else [()]


def _driver(view: View) -> tuple[Span, ...]:
    driver = view.state.driver or "nobody"
    said: Span = ("driving: ", "dim")
    if view.drives and view.state.driver_console:
        return (said, (driver, "strong"), (" (you)", "dim"))
    return (said, (driver, "" if view.state.driver else "warn"))


def _driver_short(view: View) -> tuple[Span, ...]:
    if view.drives and view.state.driver_console:
        return (("you drive", "strong"),)
    return ((f"{view.state.driver or 'nobody'} drives", "" if view.state.driver else "warn"),)


def last_events(view: View, width: int, most: int = 3) -> list[Line]:
    """The newest lines of the log, under a dialog."""
    return [crop(((f" {wall(line.at)}  ", "dim"), (line.text.split("\n")[0], TONES[line.tone])), width)
            for line in view.state.log[-most:]]  # fmt: skip


def _joined(groups: list[tuple[Span, ...]], between: str = "  ") -> Line:
    out: list[Span] = []
    for spans in groups:
        if out:
            out.append((between, ""))
        out.extend(spans)
    return tuple(out)


def rail(view: View, width: int, active: int, jump: Jump | None = None, *, alone: bool = False) -> Line:
    """Prerequisites, phases and gate lights, each as a glyph with a word or the measured value.

    ``alone``: the other panes are hidden, so that who looks at them is marked here.
    """
    for form in FORMS:
        others = ["" if not alone or n == active or form == "bare" else lookers(view, n) for n in range(1, 5)]
        letters = [jump.label(n) if jump else "" for n in range(1, 5)]
        phases = (_phase(view, n, active, form, letters[n - 1], others[n - 1]) for n in range(1, 5))
        parts = [_prerequisites(view), *phases, _completion(view, form)]
        line = _joined(parts, " " if form in ("lean", "bare") else "  ")
        if width_of(line) + 1 <= width:
            break
    return crop(((" ", ""), *line), width)


def _prerequisites(view: View) -> tuple[Span, ...]:
    return (("Pre ", ""), view.mark(plan.PREREQUISITES))


def _completion(view: View, form: str) -> tuple[Span, ...]:
    """How much of the last check list holds: only all of it is a release that is watched."""
    boxes = views.handoff_boxes(view.state, view.now)
    done = sum(box.checked for box in boxes)
    if done == len(boxes):
        return (("Watched ", ""), (f"{done}/{len(boxes)}", "good"))
    if form == "long":
        return (("Watched: ", ""), (f"not yet, {done} of {len(boxes)} boxes", "warn"))
    return (("Watched ", ""), (f"{done}/{len(boxes)}", "warn"))


def _phase(view: View, number: int, active: int, form: str, letter: str, others: str) -> tuple[Span, ...]:
    _, settled, total = views.phase_status(view.state, number)
    name = f" {SHORT_PHASES[number - 1]}" if form == "long" else ""
    here = number == active
    count = f" {settled}/{total}" if form in ("long", "short") and settled < total else ""
    return (
        ("[" if here else "", "strong"), (letter or f"{number}", "jump" if letter else ("strong" if here else "")),
        (f"{name} ", "strong" if here else ""), view.phase_mark(number), (count, "dim"), (others, "say"),
        ("]" if here else "", "strong"), *_light(view, number, form),
    )  # fmt: skip


def _light(view: View, number: int, form: str) -> tuple[Span, ...]:
    gate = plan.PHASES[number - 1].gate
    glyph, style = view.mark(gate.id)
    said = measured(view, gate) if form != "bare" else ""
    return ((f" G{number} ", "dim"), (f"{glyph}{' ' if said else ''}{said}", style))


def next_row(view: View, width: int) -> Line:
    """Who must act next, and by when."""
    seats = view.state.seat_requests
    how = "  (g gives it)" if view.drives else ""
    asks: tuple[Span, ...] = ((f"   {', '.join(seats)} asks for the seat{how}", "warn"),) if seats else ()
    return crop(((" next: ", "dim"), *next_line(view), *asks), width)


def pane_title(number: int, view: View) -> Line:
    """The phase, and who else looks at it."""
    others = lookers(view, number)
    return ((f"{number} {SHORT_PHASES[number - 1]}", ""), *(((f" {others}", "say"),) if others else ()))


def log_title(view: View, title: str) -> Line:
    others = lookers(view, 5)
    return ((title, ""), *(((f" {others}", "say"),) if others else ()))


def pane_state(view: View, number: int) -> str:
    word, settled, total = views.phase_status(view.state, number)
    glyph = {"halted": "✗", "running": "▶", "done": "✓"}.get(word, "·")
    return f"{glyph} {settled}/{total} {word}"


def transport_bar(transport: Transport, width: int, started_at: float = 0.0) -> Line:
    """Play or pause, where we are, how fast, and the markers on a line: gates with their number, halts, waivers."""
    seq, at = transport.position
    last, total = transport.duration
    place = f"  seq {seq}/{last}" if width >= 100 else ""
    left = (
        f" {'▶' if transport.playing else '⏸'}  {clock_text(at)} / {clock_text(total)}  ×{transport.speed:g}{place}  "
    )
    right = "  space play  [ ] jump  : seek" if width >= 100 else ""
    room = max(10, width - len(left) - len(right) - 2)
    marks = [(_share(marker, transport, started_at), _mark(marker), marker.kind)
             for marker in transport.markers if marker.kind != "action"]  # fmt: skip
    track = placed(marks, room)
    here = min(room - 1, int(at / total * room)) if total > 0 else 0
    return (
        (left, "strong"), ("├", "dim"), ("".join(track[:here]), "run"), ("●", "strong"),
        ("".join(track[here + 1 :]), "dim"), ("┤", "dim"), (right, "dim"),
    )  # fmt: skip


def placed(marks: Sequence[tuple[float, str, str]], room: int) -> list[str]:
    """A line of cells with the marks at their shares: (share, text, kind). None covers another: where a label has no
    room its first sign stands alone, and where even that is taken it gives way; gates and halts go first."""
    track = ["─"] * room
    for share, text, _ in sorted(marks, key=lambda mark: mark[2] not in ("gate", "halt")):
        first = min(room - 1, int(share * room))
        for shown in (text, text[:1]):
            wanted = range(first, first + len(shown))
            if wanted.stop <= room and all(track[cell] == "─" for cell in wanted) and _apart(track, wanted, shown):
                track[first : wanted.stop] = shown
                break
    return track


def _apart(track: list[str], wanted: range, shown: str) -> bool:
    """Labels of several characters keep a cell between them."""
    beside = [track[cell] for cell in (wanted.start - 1, wanted.stop) if 0 <= cell < len(track)]
    return len(shown) == 1 or all(cell == "─" for cell in beside)


def _share(marker: Marker, transport: Transport, started_at: float) -> float:
    """Where on the bar; by seq where the run's start is not known yet."""
    last, total = transport.duration
    seconds = marker.at - started_at if marker.at > 1e8 else marker.at
    if total <= 0 or (marker.at > 1e8 and not started_at):
        return marker.seq / max(1, last)
    return max(0.0, min(1.0, seconds / total))


def _mark(marker: Marker) -> str:
    if marker.kind == "gate" and marker.label[:1] in GLYPHS.values():
        return marker.label.replace(" ", "")[:3]
    return _MARKS[marker.kind]


def keys_row(hints: list[tuple[str, str]], width: int) -> Line:
    """The footer: as many keys as fit, and always the last one (how to leave)."""
    last = hints[-1:]
    room = width - 1 - sum(_need(hint) for hint in last)
    shown: list[tuple[str, str]] = []
    for hint in hints[:-1]:
        room -= _need(hint)
        if room < 0:
            break
        shown.append(hint)
    out: list[Span] = [(" ", "")]
    for key, word in [*shown, *last]:
        out += [(key, "strong"), (f" {word}  ", "dim")]
    return crop(tuple(out), width)


def _need(hint: tuple[str, str]) -> int:
    return len(hint[0]) + len(hint[1]) + 3


def too_small(view: View, size: tuple[int, int], least: tuple[int, int], leave: str) -> list[Line]:
    """What a terminal that is too small for panes still says: is it watched, who must act, and what to do about it."""
    width = max(8, size[0])
    word, style = badge(view)
    said = "".join(text for text, _ in next_line(view))
    notice = (
        f"This terminal is {size[0]}×{size[1]}; the console needs {least[0]}×{least[1]}. Make it larger, or press "
        f"{leave}: the run goes on."
    )
    opened = view.state.opened
    what = (f"{opened.release} → {opened.environment}",) if opened else ()
    body = [*((text, "strong") for text in what), (said, ""), (notice, "dim")]
    return [((word, style),), *(((part, of),) for text, of in body for part in wrap(text, width))]
