"""What stands around the panes: the header, the phase rail with its gate lights, the transport bar."""

import re

from ray_tui.core import plan, views
from ray_tui.core.handle import Link, Transport
from ray_tui.tui.lines import Line, Span, clock_text, crop, width_of
from ray_tui.tui.view import SHORT_PHASES, View, badge, next_line

_LINKS: dict[Link, Span] = {
    Link.LIVE: ("● live", "good"), Link.LOST: ("○ LOST, retrying", "bad"), Link.ENDED: ("○ ended", "dim"),
    Link.REPLAY: ("● replay", "say"),
}  # fmt: skip
_MEASURED = re.compile(r"\d+(?:\.\d+)?\s?%|\d+/\d+|\d+(?:\.\d+)?")
_MARKS = {"action": "·", "gate": "✓", "halt": "✗", "waiver": "w", "end": "┤"}


def header(view: View, width: int) -> Line:
    """One line: is it watched, what, where, since when, who. The least needed parts are left out first."""
    opened = view.state.opened
    word, style = badge(view)
    known = f"{opened.release} → {opened.environment}" if opened else "no run yet"
    end = view.state.at if view.state.ended or view.transport is not None else view.now
    elapsed = clock_text(max(0.0, end - view.state.started_at)) if opened else "–"
    watching = [c.person for c in view.state.consoles.values() if c.id != view.state.driver_console]
    parts: list[tuple[int, tuple[Span, ...]]] = [
        (0, ((f" {word} ", f"badge-{style}"),)),
        (0, ((known, "strong"),)),
        (3, (("run ", "dim"), (opened.run_id.rsplit("-", 1)[-1] if opened else "–", ""))),
        (1, ((elapsed, ""),)),
        (0, (_LINKS[view.link],)),
        (2, (("driving: ", "dim"), (view.state.driver or "nobody", "strong" if view.drives else ""))),
        (4, (("watching: ", "dim"), (", ".join(dict.fromkeys(watching)), "")) if watching else ()),
        (5, (("demo", "warn"),) if view.demo else ()),
    ]
    for drop in (None, 4, 5, 3, 2, 1):
        parts = [(rank, spans) for rank, spans in parts if spans and rank != drop]
        line = _joined([spans for _, spans in parts])
        if width_of(line) <= width:
            break
    return crop(line, width)


def _joined(groups: list[tuple[Span, ...]]) -> Line:
    out: list[Span] = []
    for spans in groups:
        if out:
            out.append(("  ", ""))
        out.extend(spans)
    return tuple(out)


def rail(view: View, width: int, active: int) -> Line:
    """Prerequisites, phases and gate lights, each as a glyph with a word or the measured value."""
    for form in ("long", "short", "bare"):
        line = _joined([_prerequisites(view), *(_phase(view, n, active, form) for n in range(1, 5)), _completion(view)])
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
    name = {"long": f"{number} {SHORT_PHASES[number - 1]}", "short": f"{number}", "bare": f"{number}"}[form]
    here = number == active
    count = f" {settled}/{total}" if form != "bare" else ""
    return (
        ("[" if here else "", "strong"), (f"{name} ", "strong" if here else ""), view.phase_mark(number),
        (count, "dim"), ("]" if here else "", "strong"), *_light(view, number, form),
    )  # fmt: skip


def _light(view: View, number: int, form: str) -> tuple[Span, ...]:
    gate = plan.PHASES[number - 1].gate
    glyph, style = view.mark(gate.id)
    step = view.step(gate.id)
    found = _MEASURED.search(step.summary) if form != "bare" and step.verdict is not None else None
    measured = found.group().replace(" ", "") if found else ""
    return ((f" G{number} ", "dim"), (f"{glyph}{' ' if measured else ''}{measured}", style))


def next_row(view: View, width: int) -> Line:
    """Who must act next, and by when."""
    seats = view.state.seat_requests
    asks: tuple[Span, ...] = ((f"   {seats[0]} asks for the seat", "warn"),) if seats else ()
    return crop(((" next: ", "dim"), *next_line(view), *asks), width)


def pane_title(number: int) -> str:
    return f"{number} {SHORT_PHASES[number - 1]}"


def pane_state(view: View, number: int) -> str:
    word, settled, total = views.phase_status(view.state, number)
    glyph = {"halted": "✗", "running": "▶", "done": "✓"}.get(word, "·")
    return f"{glyph} {settled}/{total} {word}"


def transport_bar(transport: Transport, width: int) -> Line:
    """Play or pause, where we are, how fast, and the markers on a line."""
    _, at = transport.position
    _, total = transport.duration
    left = f" {'▶' if transport.playing else '⏸'}  {clock_text(at)} / {clock_text(total)}  ×{transport.speed:g}  "
    right = "  space play  [ ] jump  : seek" if width >= 100 else ""
    room = max(10, width - len(left) - len(right) - 2)
    track = ["─"] * room
    for marker in transport.markers:
        if marker.kind != "action":
            place = min(room - 1, int(marker.at / total * room)) if total > 0 else 0
            track[place] = _MARKS[marker.kind]
    here = min(room - 1, int(at / total * room)) if total > 0 else 0
    return (
        (left, "strong"), ("├", "dim"), ("".join(track[:here]), "run"), ("●", "strong"),
        ("".join(track[here + 1 :]), "dim"), ("┤", "dim"), (right, "dim"),
    )  # fmt: skip


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
