"""A finished journal, shown again: facts are re-folded, never re-run; graphs come from the tape."""

import asyncio
import bisect
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.commands import Command, Refused, Reply
from ray_tui.core.handle import Link, Marker, Rewound, Transport
from ray_tui.core.readings import Reading

LONGEST_PAUSE_SECONDS = 2.0
"""Idle time is compressed: two facts are never shown further apart than this at speed 1."""
TICK_SECONDS = 0.05
SLOWEST, FASTEST = 0.5, 100.0


class Replay:
    """A RunHandle and its Transport over entries that are all known."""

    read_only = True
    console = "replay"
    person = "replay"

    def __init__(self, entries: Sequence[f.Entry], tape: Sequence[Reading] = (), *, playing: bool = True) -> None:
        self._entries = list(entries)
        self._tape = sorted(tape, key=lambda reading: reading.at)
        opened = next((e.fact for e in self._entries if isinstance(e.fact, f.RunOpened)), None)
        self.run_id = opened.run_id if opened else ""
        self._played_at = _compressed(self._entries)
        self._shown = 0
        self._clock = 0.0
        self._playing = playing
        self._speed = 1.0
        self._rewound = False
        self._played_tape = 0
        """How many readings were given since the state began anew."""
        self._moved = asyncio.Event()
        self._closed = False
        self._markers = _markers(self._entries)

    # --- the handle ---------------------------------------------------------------------------------------------------

    @property
    def link(self) -> Link:
        return Link.ENDED if self._closed else Link.REPLAY

    @property
    def transport(self) -> Transport | None:
        return self

    async def entries(self) -> AsyncIterator[f.Entry | Rewound]:
        given = 0
        while not self._closed:
            if self._rewound:
                self._rewound = False
                given = self._played_tape = 0
                yield Rewound()
            while given < self._shown and not self._rewound:
                given += 1
                yield self._entries[given - 1]
            if self._rewound:
                continue
            self._moved.clear()
            if self._playing and self._shown < len(self._entries):
                await self._tick()
            else:
                await self._moved.wait()

    async def readings(self) -> AsyncIterator[Reading]:
        while not self._closed:
            while (
                not self._rewound
                and self._played_tape < len(self._tape)
                and self._tape[self._played_tape].at <= self._now()
            ):
                self._played_tape += 1
                yield self._tape[self._played_tape - 1]
            await asyncio.sleep(0.2)

    async def submit(self, command: Command) -> Reply:
        return Refused("This is a replay: what happened cannot be changed.")

    async def close(self, why: str = "left") -> None:
        self._closed = True
        self._moved.set()

    # --- the transport ------------------------------------------------------------------------------------------------

    @property
    def playing(self) -> bool:
        return self._playing and self._shown < len(self._entries)

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def position(self) -> tuple[int, float]:
        if not self._shown:
            return 0, 0.0
        return self._shown, self._now() - self._entries[0].at

    @property
    def duration(self) -> tuple[int, float]:
        if not self._entries:
            return 0, 0.0
        return len(self._entries), self._entries[-1].at - self._entries[0].at

    @property
    def markers(self) -> Sequence[Marker]:
        return self._markers

    @property
    def has_graphs(self) -> bool:
        return bool(self._tape)

    def play(self) -> None:
        if self._shown >= len(self._entries):
            self.seek(0)
        self._playing = True
        self._moved.set()

    def pause(self) -> None:
        self._playing = False
        self._moved.set()

    def set_speed(self, speed: float) -> None:
        self._speed = min(FASTEST, max(SLOWEST, speed))
        self._moved.set()

    def step(self) -> None:
        self._playing = False
        self.seek(self._shown + 1)

    def seek(self, seq: int) -> None:
        seq = min(len(self._entries), max(0, seq))
        if seq < self._shown:
            self._rewound = True
        self._shown = seq
        self._clock = self._played_at[seq - 1] if seq else 0.0
        self._moved.set()

    def seek_seconds(self, seconds: float) -> None:
        if self._entries:
            start = self._entries[0].at
            self.seek(bisect.bisect_right([entry.at - start for entry in self._entries], seconds))
            self._clock += self._into_pause(start + seconds)

    def _into_pause(self, at: float) -> float:
        """How much of what follows the last entry shown has been played when the run's own time is this."""
        if not 0 < self._shown < len(self._entries):
            return 0.0
        since, until = self._entries[self._shown - 1].at, self._entries[self._shown].at
        share = min(1.0, max(0.0, (at - since) / (until - since))) if until > since else 0.0
        return share * (self._played_at[self._shown] - self._played_at[self._shown - 1])

    def _now(self) -> float:
        """The run's own time where the replay stands; in a compressed pause it runs faster."""
        if not self._shown:
            return 0.0
        at, played = self._entries[self._shown - 1].at, self._played_at[self._shown - 1]
        if self._shown == len(self._entries):
            return at
        pause = self._played_at[self._shown] - played
        share = min(1.0, max(0.0, (self._clock - played) / pause)) if pause > 0 else 0.0
        return at + share * max(0.0, self._entries[self._shown].at - at)

    async def _tick(self) -> None:
        try:
            await asyncio.wait_for(self._moved.wait(), TICK_SECONDS)
        except TimeoutError:
            self._clock += TICK_SECONDS * self._speed
            self._shown = max(self._shown, bisect.bisect_right(self._played_at, self._clock))


def _compressed(entries: Sequence[f.Entry]) -> list[float]:
    """When each entry is shown at speed 1, in seconds from the start."""
    at, shown = 0.0, []
    for number, entry in enumerate(entries):
        if number:
            at += min(LONGEST_PAUSE_SECONDS, max(0.0, entry.at - entries[number - 1].at))
        shown.append(at)
    return shown


def _markers(entries: Sequence[f.Entry]) -> list[Marker]:
    found = []
    for entry in entries:
        at = entry.at - entries[0].at
        match entry.fact:
            case f.StepStarted() if not entry.fact.step.startswith("gate."):
                found.append(Marker(entry.seq, at, "action", plan.title(entry.fact.step), entry.fact.step))
            case f.GateJudged():
                gate = plan.gate(entry.fact.gate)
                found.append(Marker(entry.seq, at, "gate", f"{entry.fact.verdict.glyph} G{gate.number}", gate.id))
            case f.Halted():
                found.append(Marker(entry.seq, at, "halt", f"halt {entry.fact.step}", entry.fact.step))
            case f.Waived():
                found.append(Marker(entry.seq, at, "waiver", entry.fact.criterion, entry.fact.criterion))
            case f.RunCompleted() | f.RunAborted():
                found.append(Marker(entry.seq, at, "end", "end", "end"))
    return found


def read_tape(path: Path) -> list[Reading]:
    """The tape's readings; lines that are not are passed over: a tape is illustration, not evidence."""
    readings: list[Reading] = []
    if not path.is_file():
        return readings
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            readings.append(Reading.from_json(json.loads(line)))
        except ValueError:
            continue
    return readings
