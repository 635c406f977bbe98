"""The controls of a replay: keys and the seek dialog become calls on the handle's transport."""

import re
from collections.abc import Sequence
from math import floor, inf

from ray_tui.core.handle import Marker, Transport
from ray_tui.tui.lines import clock_text
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import wall

PRESSES = ("play", "step", "next", "previous", "slower", "faster")
DAY = 86_400.0
SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0)


class Player:
    def __init__(self, app: Stage) -> None:
        self.app = app
        self._shown: object = None

    @property
    def transport(self) -> Transport | None:
        return self.app.handle.transport

    def moved(self) -> bool:
        """Whether the transport stands elsewhere than when this was last asked."""
        transport = self.transport
        if transport is None:
            return False
        now = (transport.position, transport.playing, transport.speed)
        moved, self._shown = now != self._shown, now
        return moved

    def press(self, what: str) -> None:
        transport = self.transport
        if transport is None:
            return
        match what:
            case "play":
                transport.pause() if transport.playing else transport.play()
            case "step":
                transport.step()
            case "next" | "previous":
                found = neighbour(transport.markers, transport.position[0], 1 if what == "next" else -1)
                if found is not None:
                    transport.seek(found.seq)
            case "slower" | "faster":
                transport.set_speed(next_speed(transport.speed, 1 if what == "faster" else -1))
        self.app.repaint_soon()

    def can_seek(self) -> str:
        """What can be typed to go there, with a clock time of this very run."""
        transport = self.transport
        middle = self.app.state.started_at + (transport.duration[1] / 2 if transport is not None else 0.0)
        return f"a time into it (5:12) or of the clock ({wall(middle)}), a seq (214), a step (2.2) or a gate (G4)"

    def go(self, marker: Marker | None, seconds: float) -> None:
        """To a mark, or to a moment between marks."""
        if self.transport is None:
            return
        if marker is not None:
            self.transport.seek(marker.seq)
        else:
            self.transport.seek_seconds(seconds)
        self.app.repaint_soon()

    def seek(self, text: str) -> None:
        transport = self.transport
        if transport is None:
            return
        started, length = self.app.state.started_at, transport.duration[1]
        kind, value = where(text.strip(), transport.markers, started, length)
        if kind == "seq":
            transport.seek(int(value))
        elif kind == "seconds":
            transport.seek_seconds(value)
        elif kind == "outside":
            self.app.say(f"{text.strip()} is not within this run: {_span(started, length)}.")
        else:
            self.app.say(f"{text!r} is no time, seq or step of this run.")
        self.app.repaint_soon()


def neighbour(markers: Sequence[Marker], seq: int, by: int) -> Marker | None:
    """The next marker after, or the last before, this seq."""
    if by > 0:
        return next((marker for marker in markers if marker.seq > seq), None)
    return next((marker for marker in reversed(markers) if marker.seq < seq), None)


def next_speed(now: float, by: int) -> float:
    faster = [speed for speed in SPEEDS if speed > now]
    slower = [speed for speed in SPEEDS if speed < now]
    if by > 0:
        return faster[0] if faster else SPEEDS[-1]
    return slower[-1] if slower else SPEEDS[0]


def _span(started: float, length: float) -> str:
    return f"it went from {wall(started)} to {wall(started + length)} UTC and took {clock_text(length)}"


def where(text: str, markers: Sequence[Marker], started: float = 0.0, length: float = inf) -> tuple[str, float]:
    """("seq", n), ("seconds", s), ("outside", 0): a time that the run does not have, or ("", 0). A step or gate means
    its first marker. ``started`` in unix seconds, ``length`` in seconds."""
    parts = text.removesuffix("Z").split(":")
    if len(parts) in (2, 3) and all(part.isdecimal() for part in parts):
        return _when(parts, started, length)
    if text.isdecimal():
        return "seq", float(text)
    wanted = re.sub(r"^gate\s+(?=\d)", "g", text.casefold())
    found = next((marker for marker in markers if wanted and _is_called(marker, wanted)), None)
    return ("seq", float(found.seq)) if found is not None else ("", 0.0)


def _when(parts: Sequence[str], started: float, length: float) -> tuple[str, float]:
    """Hours, minutes and seconds are a time of the clock where the run has it, minutes and seconds a time into it."""
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + int(part)
    of_day = seconds if len(parts) == 3 else seconds * 60
    ahead = (of_day - floor(started)) % DAY  # the event log prints whole seconds
    readings = [(ahead, of_day < DAY and ahead <= length + 1), (seconds, seconds <= length)]
    ordered = readings if len(parts) == 3 else readings[::-1]
    return next((("seconds", at) for at, there in ordered if there), ("outside", 0.0))


def _is_called(marker: Marker, wanted: str) -> bool:
    """By its id, the end of it (``handoff``), a word of its label (``g4``), or the label's beginning."""
    name, label = marker.id.casefold(), marker.label.casefold()
    return wanted in (name, name.removeprefix("gate."), *label.split()) or label.startswith(wanted)
