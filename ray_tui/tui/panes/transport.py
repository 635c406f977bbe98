"""The transport bar of a replay as a line: whether it plays, where it stands, how fast, and its track."""

from ray_tui.core.handle import Transport
from ray_tui.tui.lines import Line, clock_text, width_of
from ray_tui.tui.track import Track

LEAST_TRACK = 10
ROOMY = 100
"""Columns from which there is room for the seq beside the time."""


def place(transport: Transport, width: int) -> Line:
    """What stands before the track; it keeps its width while the replay plays."""
    seq, at = transport.position
    last, total = transport.duration
    clock, number = clock_text(total), str(last)
    shown = f"  seq {seq:>{len(number)}}/{number}" if width >= ROOMY else ""
    sign, word = ("▶", "playing") if transport.playing else ("‖", "paused")
    said = f"{sign} {word:7}" if width >= ROOMY else sign
    return (
        (f" {said}  {clock_text(at):>{len(clock)}} / {clock}  ×{transport.speed:<3g}{shown}  ", "strong"),
        ("├", "dim"),
    )


def track(transport: Transport, width: int) -> Track:
    return Track(transport, max(LEAST_TRACK, width - width_of(place(transport, width)) - 2))


def bar(transport: Transport, width: int, caret: int | None = None) -> Line:
    """``caret`` is the cell that the keys have moved to."""
    line = track(transport, width)
    here = line.cell(*transport.position)
    cells = [(text, "run" if n < here else "dim") for n, text in enumerate(line.cells)]
    cells[here] = ("●", "strong")
    if caret is not None:
        cells[min(caret, line.room - 1)] = ("▼", "jump")
    spans: list[tuple[str, str]] = []
    for text, style in cells:
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + text, style)
        else:
            spans.append((text, style))
    return (*place(transport, width), *spans, ("┤", "dim"))
