"""A run in its host's process, reached over a Unix socket; a dropped link is retried, and nothing is missed."""

import asyncio
import contextlib
import itertools
import os
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ray_tui import wire
from ray_tui.core import signing
from ray_tui.core.commands import Accepted, AnswerPrompt, Command, ConfirmWaiver, Refused, Reply
from ray_tui.core.errors import RayError
from ray_tui.core.facts import Entry, PromptRaised, WaiverProposed, entry_from_json
from ray_tui.core.handle import Link, Rewound, Transport
from ray_tui.core.ports import Signer
from ray_tui.core.readings import Reading

HINTS = ("SSH_CONNECTION", "SSH_USER_AUTH", "TERM", "TMUX")
RETRY_SECONDS = 1.0
REPLY_SECONDS = 10.0


class SocketHandle:
    """A RunHandle on a host. Use ``await SocketHandle.attach(path)``."""

    def __init__(self, path: Path, read_only: bool, signer: Signer | None = None) -> None:
        self.path = path
        self.run_id = ""
        self.person = ""
        self.console = ""
        self.read_only = read_only
        self.goodbye = ""
        """Why the host ended the link, if it did."""
        self._signer = signer
        self._to_sign: dict[str, bytes] = {}
        """Prompt or waiver id -> what a yes to it is signed over, as it was recorded."""
        self._link = Link.LOST
        self._seq = 0
        self._entries: asyncio.Queue[Entry | None] = asyncio.Queue()
        self._readings: deque[Reading] = deque(maxlen=4096)
        self._read = asyncio.Event()
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def attach(cls, path: Path, *, read_only: bool = False, signer: Signer | None = None) -> "SocketHandle":
        """Raises RayError when nobody answers at that socket."""
        handle = cls(path, read_only, signer)
        reader = await handle._connect()
        handle._task = asyncio.create_task(handle._follow(reader))
        return handle

    @property
    def link(self) -> Link:
        return self._link

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
        try:
            self._writer.write(wire.encode({"id": number, "command": command.model_dump(mode="json")}))
            await self._writer.drain()
            answer = await asyncio.wait_for(future, REPLY_SECONDS)
        except (OSError, TimeoutError):
            return Refused("The host did not answer in time; look at the log before you try again.")
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
        return command.model_copy(update={"signature": signature or ""})

    async def close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.write(wire.encode({"bye": "detached"}))
                await asyncio.wait_for(self._writer.drain(), 1)
        self._end()
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
        writer.write(wire.encode({"hello": {"since": self._seq, "read_only": self.read_only, "hints": hints}}))
        try:
            welcome = wire.decode(await asyncio.wait_for(reader.readline(), 5)).get("welcome")
        except (OSError, TimeoutError, ValueError) as exc:
            writer.close()
            raise RayError(f"{self.path}: the host does not answer. Is it a ray-tui host of this version?") from exc
        if not isinstance(welcome, dict):
            writer.close()
            raise RayError(f"{self.path}: answers, but is not a host of this version")
        self.run_id, self.person = str(welcome["run_id"]), str(welcome["person"])
        self.console = str(welcome["console"])
        self._writer = writer
        self._link = Link.LIVE
        return reader

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        while self._link is not Link.ENDED:
            with contextlib.suppress(OSError, ValueError):
                while line := await reader.readline():
                    if self._take(wire.decode(line)):
                        break
            if self.goodbye:
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
        elif "reading" in message:
            self._readings.append(Reading.model_validate(message["reading"]))
            self._read.set()
        elif "reply" in message:
            waiting = self._replies.get(int(message["reply"].get("id") or 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(message["reply"])
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
            self._entries.put_nowait(None)
            self._read.set()
