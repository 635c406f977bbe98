"""The demo's cron: it takes a crontab, refuses one that it cannot read, shows what it holds, and runs what is due."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_PART = re.compile(r"(\d+)|(?:\*|(\d+)-(\d+))(?:/(\d+))?")
_PERCENT = re.compile(r"(?<!\\)%")
JOB_SECONDS = 120.0
"""A job that takes longer is ended."""


@dataclass(frozen=True)
class Job:
    """One line of the crontab: the minutes, hours, days, months and weekdays that it names, and a shell's command."""

    times: tuple[frozenset[int], ...]
    either: bool
    """Both a day and a weekday are named: one of them is enough."""
    command: str
    given: str
    """What the command finds on its standard input."""

    def due(self, at: datetime) -> bool:
        now = (at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
        minute, hour, day, month, weekday = (value in named for value, named in zip(now, self.times, strict=True))
        return minute and hour and month and (day or weekday if self.either else day and weekday)


@dataclass(frozen=True)
class Ran:
    """One job that was run: when it began (unix seconds), and its exit code; None where it was ended."""

    at: float
    command: str
    code: int | None


def jobs(text: str) -> Iterator[Job]:
    """Raises ValueError naming the line that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.split(None, 5)
        if len(parts) < 6:
            raise ValueError(f"line {number}: five fields and a command are needed")
        times = tuple(_values(part, number, *field) for part, field in zip(parts, FIELDS, strict=False))
        either = not parts[2].startswith("*") and not parts[4].startswith("*")
        command, *given = (part.replace("\\%", "%") for part in _PERCENT.split(parts[5]))
        yield Job(times, either, command, "\n".join(given))


def _values(text: str, line: int, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"line {line}: bad {name} {part!r}")
        one, first, last, step = match.groups()
        begins, ends = int(one or first or low), int(one or last or high)
        if not low <= begins <= ends <= high or (step and not int(step)):
            raise ValueError(f"line {line}: bad {name} {part!r}")
        found |= set(range(begins, ends + 1, int(step or 1)))
    return frozenset(value % 7 for value in found) if name == "weekday" else frozenset(found)


class DemoCron:
    """Holds one crontab, in UTC. ``ran`` is in order; jobs run one after another, so that a small machine can go on."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.clock = clock
        self.folder = folder
        self.tab: str | None = None
        self.ran: list[Ran] = []
        self._due: asyncio.Queue[Job] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.app = Starlette(
            routes=[
                Route("/crontab", self._show, methods=["GET"]),
                Route("/crontab", self._take, methods=["PUT"]),
                Route("/ran", self._ran, methods=["GET"]),
            ]
        )

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._work())]

    async def stop(self) -> None:
        """Nothing is run any more. Stopping twice is fine."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _show(self, _: Request) -> Response:
        if self.tab is None:
            return PlainTextResponse("no crontab for the demo", 404)
        return PlainTextResponse(self.tab)

    async def _take(self, request: Request) -> Response:
        text = (await request.body()).decode("utf-8", "replace")
        try:
            list(jobs(text))
        except ValueError as exc:
            return PlainTextResponse(f"errors in crontab file, can't install: {exc}", 400)
        self.tab = text
        return PlainTextResponse("")

    async def _ran(self, _: Request) -> Response:
        return JSONResponse([vars(one) for one in self.ran])

    async def _watch(self) -> None:
        """Once in each minute, what is due."""
        seen = int(self.clock.wall() // 60)
        while True:
            await asyncio.sleep(1.0)
            for minute in range(seen + 1, int(self.clock.wall() // 60) + 1):
                self.tick(datetime.fromtimestamp(minute * 60, UTC))
                seen = minute

    def tick(self, at: datetime) -> None:
        """A minute has begun."""
        for job in jobs(self.tab or ""):
            if job.due(at):
                self._due.put_nowait(job)

    async def _work(self) -> None:
        while True:
            job = await self._due.get()
            self.ran.append(await self._run(job))

    async def _run(self, job: Job) -> Ran:
        at = self.clock.wall()
        with (self.folder / "cron.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", job.command, cwd=self.folder, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                await asyncio.wait_for(process.communicate(job.given.encode()), JOB_SECONDS)
                return Ran(at, job.command, process.returncode)
            except TimeoutError:
                return Ran(at, job.command, None)
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)  # the shell, and all that it has started
                    await process.wait()
