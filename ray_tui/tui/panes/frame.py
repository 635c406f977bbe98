"""What stands around the panes: the header, the phase rail with its gate lights, the transport bar."""

from ray_tui.core import plan, views
from ray_tui.core.handle import Link, Marker, Transport
from ray_tui.core.verdicts import GLYPHS
from ray_tui.tui.lines import TONES, Line, Span, clock_text, crop, width_of
from ray_tui.tui.view import SHORT_PHASES, View, badge, measured, next_line, wall

_LINKS: dict[Link, Span] = {
    Link.LIVE: ("● live", "good"), Link.LOST: ("○ LOST, retrying", "bad"), Link.ENDED: ("○ ended", "dim"),
    Link.REPLAY: ("● replay", "say"),
}  # fmt: skip
_MARKS = {"action": "·", "gate": "✓", "halt": "✗", "waiver": "w", "end": "┤"}
FORMS = ("long", "short", "lean", "bare")
"""Of the rail: with names; with counts; with what was measured; glyphs alone."""


def header(view: View, width: int) -> Line:
    """One line: is it watched, what, where, since when, who. The least needed parts are left out first."""
    opened = view.state.opened
    word, style = badge(view)
    known = f"{opened.release} → {opened.environment}" if opened else "no run yet"
    over = view.state.ended or view.transport is not None
    end = view.state.at if over else view.now
    elapsed = clock_text(max(0.0, end - view.state.started_at)) if opened else "–"
    watching = [c.person for c in view.state.consoles.values() if c.id != view.state.driver_console]
    parts: list[tuple[int, tuple[Span, ...]]] = [
        (0, ((f" {word} ", f"badge-{style}"),)),
        (0, ((known, "strong"),)),
        (3, (("run ", "dim"), (opened.run_id.rsplit("-", 1)[-1] if opened else "–", ""))),
        (1, ((elapsed, ""),)),
        (0, (_LINKS[view.link],)),
        (0, ((" READ-ONLY ", "badge-dim"),) if view.read_only and view.transport is None else ()),
        (2, () if view.state.ended else (("driving: ", "dim"), *_driver(view))),
        (4, (("here: ", "dim"), (", ".join(dict.fromkeys(watching)), "")) if watching else ()),
        (5, (("demo", "warn"),) if view.demo else ()),
    ]
    for drop in (None, 4, 5, 3, 2, 1):
        parts = [(rank, spans) for rank, spans in parts if spans and rank != drop]
        line = _joined([spans for _, spans in parts])
        if width_of(line) <= width:
            break
    return crop(line, width)


def _driver(view: View) -> tuple[Span, ...]:
    driver = view.state.driver or "nobody"
    if view.drives and view.state.driver_console:
        return ((driver, "strong"), (" (you)", "dim"))
    return ((driver, "" if view.state.driver else "warn"),)


def last_events(view: View, width: int) -> list[Line]:
    """The newest lines of the log, under a dialog."""
    return [crop(((f" {wall(line.at)}  ", "dim"), (line.text.split("\n")[0], TONES[line.tone])), width)
            for line in view.state.log[-3:]]  # fmt: skip


def _joined(groups: list[tuple[Span, ...]], between: str = "  ") -> Line:
    out: list[Span] = []
    for spans in groups:
        if out:
            out.append((between, ""))
        out.extend(spans)
    return tuple(out)


def rail(view: View, width: int, active: int) -> Line:
    """Prerequisites, phases and gate lights, each as a glyph with a word or the measured value."""
    for form in FORMS:
        parts = [_prerequisites(view), *(_phase(view, n, active, form) for n in range(1, 5)), _completion(view)]
        line = _joined(parts, " " if form in ("lean", "bare") else "  ")
        if width_of(line) + 1 <= width:
            break
    return crop(((" ", ""), *line), width)


def _prerequisites(view: View) -> tuple[Span, ...]:
    return (("Pre ", ""), view.mark(plan.PREREQUISITES))


def _completion(view: View) -> tuple[Span, ...]:
    boxes = views.handoff_boxes(view.state, view.now)
    done = sum(box.checked for box in boxes)
    return (("Done ", ""), (f"{done}/{len(boxes)}", "good" if done == len(boxes) else "dim"))


def _phase(view: View, number: int, active: int, form: str) -> tuple[Span, ...]:
    _, settled, total = views.phase_status(view.state, number)
    name = f"{number} {SHORT_PHASES[number - 1]}" if form == "long" else f"{number}"
    here = number == active
    count = f" {settled}/{total}" if form in ("long", "short") and settled < total else ""
    return (
        ("[" if here else "", "strong"), (f"{name} ", "strong" if here else ""), view.phase_mark(number),
        (count, "dim"), ("]" if here else "", "strong"), *_light(view, number, form),
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


def pane_title(number: int) -> str:
    return f"{number} {SHORT_PHASES[number - 1]}"


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
    track = ["─"] * room
    for marker in transport.markers:
        if marker.kind != "action":
            first = min(room - 1, int(_share(marker, transport, started_at) * room))
            for offset, char in enumerate(_mark(marker)):
                if first + offset < room and (offset == 0 or track[first + offset] == "─"):
                    track[first + offset] = char
    here = min(room - 1, int(at / total * room)) if total > 0 else 0
    return (
        (left, "strong"), ("├", "dim"), ("".join(track[:here]), "run"), ("●", "strong"),
        ("".join(track[here + 1 :]), "dim"), ("┤", "dim"), (right, "dim"),
    )  # fmt: skip


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
    """The footer: as many keys as fit."""
    out: list[Span] = [(" ", "")]
    used = 1
    for key, word in hints:
        need = len(key) + len(word) + 3
        if used + need > width:
            break
        out += [(key, "strong"), (f" {word}  ", "dim")]
        used += need
    return tuple(out)
