"""What stands around the panes: the header, the phase rail with its gate lights, the keys."""

from ray_tui.core import plan, views
from ray_tui.core.handle import Link
from ray_tui.tui.jump import Jump
from ray_tui.tui.lines import TONES, Line, Span, clock_text, crop, width_of, wrap
from ray_tui.tui.view import SHORT_PHASES, View, badge, day, leaving, lookers, measured, next_line, wall

_LINKS: dict[Link, Span] = {
    Link.LIVE: ("● live", "good"), Link.SILENT: ("○ SILENT", "bad"), Link.LOST: ("○ LOST, retrying", "bad"),
    Link.ENDED: ("○ ended", "dim"),
}  # fmt: skip
FORMS = ("long", "short", "lean", "bare")
"""Of the rail: with names; with counts; with what was measured; glyphs alone."""


LEAST_KNOWN = 10
"""Cells of release and environment that are left before anything else of the header is left out."""
SHORTER = ("", "elapsed", "driver", "run", "here")
"""The order in which the header's parts take a shorter form; then the release does."""
GONE = ("", "here", "run", "link", "elapsed", "driver")
"""The order in which they are left out where even a short release has no room."""


def header(view: View, width: int) -> Line:
    """One line: is it watched, what, where, since when, who. Release and environment are shortened before anything is
    left out; that this console only reads is never left out."""
    opened = view.state.opened
    replayed = view.transport is not None
    over = view.state.ended or replayed
    run = opened.run_id.rsplit("-", 1)[-1] if opened else "–"
    known = f"{opened.release} → {opened.environment}" if opened else "no run yet"
    word, style = badge(view)
    until = view.state.ended_at or (view.state.at if replayed else view.now)
    elapsed = clock_text(max(0.0, until - view.state.started_at)) if opened else "–"
    forms: dict[str, list[Line]] = {
        "badge": [((" REPLAY ", "badge-dim"), (f" {word}", style)) if replayed else ((f" {word} ", f"badge-{style}"),)],
        "demo": [(("DEMO", "warn"),) if view.demo else ()],
        "known": [((known, "strong"),)],
        "run": [(("run ", "dim"), (run, "")), ((run, ""),), ()],
        "elapsed": [(("elapsed ", "dim"), (elapsed, "")), ((elapsed, ""),), ()],
        "link": [(("recorded ", "dim"), (day(view.state.started_at), "")), ()] if replayed else _link(view),
        "read-only": [((" READ-ONLY ", "badge-dim"),) if view.read_only and not replayed else ()],
        "driver": [_driver(view), _driver_short(view), ()] if view.state.driver or not over else [()],
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


def _link(view: View) -> list[Line]:
    """How the run is reached; for how long its host has been silent, and what it has not answered."""
    word, style = _LINKS[view.link]
    silent = f" {view.silent_seconds:.0f} s" if view.link is Link.SILENT else ""
    said: Line = ((f"{word}{silent}", style),)
    return [(*said, (f", {view.unanswered} unanswered", "warn")), said] if view.unanswered else [said]


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
    return [crop(((f" {wall(line.at)}  ", "dim"), (line.signed.split("\n")[0], TONES[line.tone])), width)
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
    """Whether the release is watched, and how much of the last check list holds: only all of it is a yes."""
    boxes = views.handoff_boxes(view.state, view.now)
    done = sum(box.checked for box in boxes)
    stopped = view.state.halt is not None or view.state.aborted is not None
    yes = done == len(boxes) and view.state.completed is not None
    said, style = ("yes", "good") if yes else (("no", "bad") if stopped else ("not yet", "warn"))
    of = f", {done} of {len(boxes)} boxes" if form == "long" else ""
    return (("Watched: ", ""), (f"{said}{of}", style))


def _phase(view: View, number: int, active: int, form: str, letter: str, others: str) -> tuple[Span, ...]:
    word, settled, total = views.phase_status(view.state, number)
    name = f" {SHORT_PHASES[number - 1]}" if form == "long" else ""
    here = number == active
    counted = form == "long" or (form == "short" and word != "waiting")
    count = f" {settled}/{total}" if counted and settled < total else ""
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
    head: Span = (" next: " if view.transport is None else " then: ", "dim")
    return crop((head, *next_line(view, width - width_of((head, *asks))), *asks), width)


def pane_title(number: int, view: View) -> Line:
    """The phase, and who else looks at it."""
    others = lookers(view, number)
    return ((f"{number} {SHORT_PHASES[number - 1]}", ""), *(((f" {others}", "say"),) if others else ()))


def log_title(view: View, title: str) -> Line:
    others = lookers(view, 5)
    return ((title, ""), *(((f" {others}", "say"),) if others else ()))


def pane_state(view: View, number: int) -> str:
    word, settled, total = views.phase_status(view.state, number)
    glyph = {"aborted": "✗", "halted": "✗", "running": "▶", "done": "✓"}.get(word, "·")
    return f"{glyph} {settled}/{total} {word}"


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
        f"{leave} to {leaving(view)}."
    )
    opened = view.state.opened
    what = (f"{opened.release} → {opened.environment}",) if opened else ()
    body = [*((text, "strong") for text in what), (said, ""), (notice, "dim")]
    return [((word, style),), *(((part, of),) for text, of in body for part in wrap(text, width))]
