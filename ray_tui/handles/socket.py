"""A run in its host's process, reached over a Unix socket; a dropped link is retried, and nothing is missed."""

import asyncio
import contextlib
import itertools
import os
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_tui import wire
from ray_tui.clock import Clock
from ray_tui.core import signing
from ray_tui.core.commands import Accepted, AnswerPrompt, Command, ConfirmWaiver, Refused, Reply
from ray_tui.core.errors import InputError, RayError
from ray_tui.core.facts import Entry, PromptRaised, WaiverProposed, entry_from_json
from ray_tui.core.handle import Link, Rewound, Transport
from ray_tui.core.presence import TELL_SECONDS, Look, look_of, place_of
from ray_tui.core.pulse import PENDING_SECONDS, SILENT_SECONDS
from ray_tui.core.readings import Reading

if TYPE_CHECKING:
    from ray_tui.core.ports import Signer

HINTS = ("SSH_CONNECTION", "SSH_USER_AUTH", "TERM", "TMUX")
RETRY_SECONDS = 1.0
REPLY_SECONDS = 10.0
GOODBYE_SECONDS = 1.0
"""A host that does not let go within so long is not waited for."""


async def acknowledge(path: Path, code: str, plays: str = "") -> dict[str, Any]:
    """Say by its code that a test alert has arrived; answers what the host recorded, with receiver and seconds.

    No console is attached for it. InputError: the host refuses; RayError: it does not answer.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=wire.LONGEST)
    except OSError as exc:
        raise RayError(f"{path}: no host answers there ({exc.strerror or exc}); it has not heard you.") from exc
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            try:
                writer.write(wire.encode({"acknowledge": code, "plays": plays}))
                answer = wire.decode(await reader.readline())
            finally:
                writer.close()
    except (OSError, ValueError) as exc:
        raise RayError(
            f"{path}: the host did not answer; whether it heard you is not known. Look at the run's log."
        ) from exc
    if "refused" in answer:
        raise InputError(str(answer["refused"]))
    said = answer.get("acknowledged")
    if not isinstance(said, dict):
        raise RayError(f"{path}: answers, but is not a host of this version")
    return said


class SocketHandle:
    """A RunHandle on a host. Use ``await SocketHandle.attach(path)``."""

    def __init__(
        self, path: Path, read_only: bool, signer: "Signer | None" = None, plays: str = "", clock: Clock | None = None
    ) -> None:
        self.path = path
        self.run_id = ""
        self.person = ""
        self.console = ""
        self.read_only = read_only
        self._plays = plays
        self.goodbye = ""
        """Why the host ended the link, if it did."""
        self._signer = signer
        self._to_sign: dict[str, bytes] = {}
        """Prompt or waiver id -> what a yes to it is signed over, as it was recorded."""
        self._looks: dict[str, Look] = {}
        self._place = ""
        self._telling: asyncio.TimerHandle | None = None
        self._link = Link.LOST
        self._clock = clock or Clock()
        self._beats = False
        self._heard = 0.0
        """When anything came from the host last."""
        self._unanswered: dict[int, float] = {}
        """Number of a command -> when it was sent."""
        self._seq = 0
        self._entries: asyncio.Queue[Entry | None] = asyncio.Queue()
        self._readings: deque[Reading] = deque(maxlen=4096)
        self._read = asyncio.Event()
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def attach(
        cls, path: Path, *, read_only: bool = False, signer: "Signer | None" = None, plays: str = "",
        clock: Clock | None = None,
    ) -> "SocketHandle":  # fmt: skip
        """``plays``: whom of [people] to act as, in a demo. RayError when nobody answers, or the host refuses."""
        handle = cls(path, read_only, signer, plays, clock)
        reader = await handle._connect()
        handle._task = asyncio.create_task(handle._follow(reader))
        return handle

    @property
    def link(self) -> Link:
        return Link.SILENT if self.silent_seconds else self._link

    @property
    def silent_seconds(self) -> float:
        passed = self._clock.monotonic() - self._heard
        return passed if self._beats and self._link is Link.LIVE and passed >= SILENT_SECONDS else 0.0

    @property
    def unanswered(self) -> int:
        now = self._clock.monotonic()
        return sum(now - sent >= PENDING_SECONDS for sent in self._unanswered.values())

    @property
    def transport(self) -> Transport | None:
        return None

    async def entries(self) -> AsyncIterator[Entry | Rewound]:
        while (entry := await self._entries.get()) is not None:
            yield entry

    async def readings(self) -> AsyncIterator[Reading]:
        while self._link is not Link.ENDED:
            while self._readings:
                yield self._readings.popleft()
            await self._read.wait()
            self._read.clear()

    @property
    def looks(self) -> tuple[Look, ...]:
        """Where the other consoles look; nothing while the link is lost."""
        return tuple(self._looks.values()) if self._link is Link.LIVE else ()

    def look_at(self, place: str) -> None:
        """Tell the others where this console looks: soon, the newest place only, and lost where the link is."""
        self._place = place_of(place)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell_place)

    def _tell_place(self) -> None:
        self._telling = None
        if self._writer is not None and self._writer.transport.get_write_buffer_size() == 0:
            self._writer.write(wire.encode({"looking": self._place}))

    async def submit(self, command: Command) -> Reply:
        if self._writer is None or self._link is not Link.LIVE:
            return Refused("The link to the host is lost; it is being retried.")
        try:
            command = await self._signed(command)
        except RayError as exc:
            return Refused(f"Your key could not sign: {exc}")
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = future
        self._unanswered[number] = self._clock.monotonic()
        try:
            self._writer.write(wire.encode({"id": number, "command": command.to_json()}))
            await self._writer.drain()
            answer = await asyncio.wait_for(future, REPLY_SECONDS)
        except (OSError, TimeoutError):
            return Refused(
                "The host did not answer in time, and may still take it. Look at the log before you try again."
            )
        finally:
            self._replies.pop(number, None)
        return Refused(str(answer["refused"])) if "refused" in answer else Accepted(int(answer.get("accepted") or 0))

    async def _signed(self, command: Command) -> Command:
        """The command with this person's signature, where there is a key and something to sign."""
        key = ""
        if isinstance(command, AnswerPrompt) and command.answer == "yes":
            key = command.prompt_id
        elif isinstance(command, ConfirmWaiver):
            key = command.waiver_id
        message = self._to_sign.get(key)
        if self._signer is None or message is None:
            return command
        signature = await self._signer.sign(message, signing.NAMESPACE)
        return command.but(signature=signature or "")

    async def close(self, why: str = "left") -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.write(wire.encode({"bye": why}))
                await asyncio.wait_for(self._writer.drain(), 1)
        self._end()
        if self._task is not None and self._writer is not None:
            # The host closes when it has heard: closed under its hands, the link would take the goodbye with it.
            await asyncio.wait({self._task}, timeout=GOODBYE_SECONDS)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._writer is not None:
            self._writer.close()

    async def _connect(self) -> asyncio.StreamReader:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.path), limit=wire.LONGEST)
        except OSError as exc:
            raise RayError(
                f"{self.path}: no host answers there ({exc.strerror or exc}). `ray-tui runs` lists runs; "
                "`ray-tui run --resume` goes on with one."
            ) from exc
        hints = {name: os.environ[name] for name in HINTS if name in os.environ}
        hello = {"since": self._seq, "read_only": self.read_only, "hints": hints, "plays": self._plays}
        writer.write(wire.encode({"hello": hello}))
        try:
            answer = wire.decode(await asyncio.wait_for(reader.readline(), 5))
            welcome = answer.get("welcome")
        except (OSError, TimeoutError, ValueError) as exc:
            writer.close()
            raise RayError(f"{self.path}: the host does not answer. Is it a ray-tui host of this version?") from exc
        if "refused" in answer:
            writer.close()
            raise InputError(str(answer["refused"]))
        if not isinstance(welcome, dict):
            writer.close()
            raise RayError(f"{self.path}: answers, but is not a host of this version")
        self.run_id, self.person = str(welcome["run_id"]), str(welcome["person"])
        self.console = str(welcome["console"])
        self.read_only = self.read_only or welcome.get("read_only") is True
        self._writer = writer
        self._link = Link.LIVE
        self._beats = welcome.get("beats") is True
        self._heard = self._clock.monotonic()
        self._unanswered.clear()
        self._looks.clear()
        if self._place:
            self._tell_place()  # a new link is a new console to the host
        return reader

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        while self._link is not Link.ENDED:
            with contextlib.suppress(OSError, ValueError):
                while line := await reader.readline():
                    self._heard = self._clock.monotonic()
                    if self._take(wire.decode(line)):
                        break
            if self.goodbye or self.link is Link.ENDED:
                self._end()
                return
            self._link = Link.LOST
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            while self._link is Link.LOST:
                await asyncio.sleep(RETRY_SECONDS)
                with contextlib.suppress(RayError):
                    reader = await self._connect()

    def _take(self, message: dict[str, Any]) -> bool:
        """Handle one message; True when the host has said goodbye."""
        if "entry" in message:
            entry = entry_from_json(message["entry"])
            if entry.seq > self._seq:
                self._seq = entry.seq
                self._note(entry)
                self._entries.put_nowait(entry)
        elif "readings" in message:
            self._readings.extend(map(Reading.from_json, message["readings"]))
            self._read.set()
        elif "reply" in message:
            number = int(message["reply"].get("id") or 0)
            self._unanswered.pop(number, None)
            waiting = self._replies.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(message["reply"])
        elif "looking" in message:
            look = look_of(message["looking"])
            if look is not None and look.place:
                self._looks[look.console] = look
            elif look is not None:
                self._looks.pop(look.console, None)
        elif "bye" in message:
            self.goodbye = str(message["bye"])
            return True
        return False

    def _note(self, entry: Entry) -> None:
        match entry.fact:
            case PromptRaised() if entry.fact.prompt == "approve":
                self._to_sign[entry.fact.id] = signing.prompt_text(entry.fact, "yes")
            case WaiverProposed():
                self._to_sign[entry.fact.id] = signing.proposed_text(entry.fact)

    def _end(self) -> None:
        if self._link is not Link.ENDED:
            self._link = Link.ENDED
            if self._telling is not None:
                self._telling.cancel()
            self._entries.put_nowait(None)
            self._read.set()
