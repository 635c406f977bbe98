"""The run's process: holds the lock, serves consoles over a Unix socket, and asks the kernel who they are."""

import asyncio
import contextlib
import grp
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_tui import rendezvous, wire
from ray_tui.core import facts as f
from ray_tui.core import presence, signing, untrusted
from ray_tui.core.commands import (
    AcknowledgeProbe,
    AnswerPrompt,
    Command,
    ConfirmWaiver,
    ProposeWaiver,
    Refused,
    TakeSeat,
    command_from_json,
)
from ray_tui.core.errors import JournalError
from ray_tui.core.record import ValidationError
from ray_tui.core.rules import criterion_digest
from ray_tui.core.state import RunState
from ray_tui.engine import Engine
from ray_tui.evidence import signatures

PARTINGS = ("left", "hung up", "crashed")
LOST = "lost the link"


@dataclass
class Attached:
    """One console that is connected now."""

    id: str
    actor: f.Actor
    read_only: bool
    writer: asyncio.StreamWriter
    place: str = ""
    """Where it looks, as it said last; never journalled."""
    telling: asyncio.TimerHandle | None = None
    ours: bool = False
    """It is held by the host's own process: no person's."""

    @property
    def look(self) -> presence.Look:
        return presence.Look(self.id, self.actor.person, self.place)


@dataclass
class Host:
    """Serves one engine to consoles. The engine's loop does not wait for any of them."""

    engine: Engine
    allowed_signers: Path | None = None
    beat_seconds: float = wire.BEAT_SECONDS
    consoles: dict[str, Attached] = field(default_factory=dict)
    _count: int = 0
    _server: asyncio.Server | None = None
    _path: Path | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self, path: Path, group: str = "") -> None:
        """Accept consoles at this path: it is there when somebody answers; an abandoned socket of ours is replaced."""
        ready = path.with_suffix(".s")  # no longer than the path itself, whose length is limited
        with contextlib.suppress(FileNotFoundError):
            ready.unlink()
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound.bind(str(ready))
        ready.chmod(0o660 if group else 0o600)
        if group:
            os.chown(ready, -1, grp.getgrnam(group).gr_gid)
        self._server = await asyncio.start_unix_server(self._accept, sock=bound, limit=wire.LONGEST)
        ready.replace(path)
        self._path = path

    async def close(self, why: str) -> None:
        """Say goodbye to every console and stop listening."""
        for console in list(self.consoles.values()):
            with contextlib.suppress(OSError):
                console.writer.write(wire.encode({"bye": why}))
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)
        for console in list(self.consoles.values()):
            console.writer.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, wire.WireError, asyncio.IncompleteReadError, ValueError):
            pass  # the console went away or spoke nonsense: its loss, not the run's
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = wire.decode(await asyncio.wait_for(reader.readline(), 5))
        if "acknowledge" in first:
            writer.write(wire.encode(self._acknowledge(first, *peer(writer))))
            await writer.drain()
            return
        since, hints, read_only, plays = _hello(first)
        pid, uid = peer(writer)
        person = rendezvous.person_of(uid, self.engine.config.people)
        if plays:
            refusal = self._may_play(plays)
            if refusal:
                writer.write(wire.encode({"refused": refusal}))
                await writer.drain()
                return
            person = plays
        self._count += 1
        console_id = f"c{len(self.engine.lines)}.{self._count}"
        actor = f.Actor(person=person, uid=uid, console=console_id, hints=hints)
        read_only = read_only or self._only_observes(person)
        console = Attached(console_id, actor, read_only, writer, ours=pid == os.getpid())
        others = [one.look for one in self.consoles.values() if one.place]
        self.consoles[console_id] = console
        opened = self.engine.state.opened
        welcome = {
            "run_id": opened.run_id if opened else "", "person": person, "console": console_id, "read_only": read_only,
            "beats": True,
        }  # fmt: skip
        writer.write(wire.encode({"welcome": welcome}))
        for look in others:
            writer.write(wire.encode({"looking": look.as_message()}))
        self._say(f.ConsoleAttached(console=console_id, person=actor.person, read_only=console.read_only), actor)
        if not console.read_only and not self.engine.state.driver_console:
            self.engine.submit(TakeSeat(), actor)  # the first console that may drive, drives
        pumps = [
            asyncio.create_task(self._send_entries(writer, since)),
            asyncio.create_task(self._send_readings(writer)),
            asyncio.create_task(self._send_beats(writer)),
        ]
        how = LOST
        try:
            how = await self._listen_to(console, reader)
        finally:
            for pump in pumps:
                pump.cancel()
            self.consoles.pop(console_id, None)
            if console.telling is not None:
                console.telling.cancel()
            console.place = ""
            self._tell_place(console)
            self._say(f.ConsoleDetached(console=console_id, why=how, person=actor.person), actor)

    def _acknowledge(self, first: Mapping[str, Any], pid: int, uid: int) -> dict[str, Any]:
        """The one thing that a person may say without a console: a test alert has reached them. No seat is taken."""
        plays = untrusted.line(str(first.get("plays") or ""), 64)
        refusal = self._may_play(plays) if plays else ""
        if refusal:
            return {"refused": refusal}
        actor = f.Actor(person=plays or rendezvous.person_of(uid, self.engine.config.people), uid=uid)
        code = str(first["acknowledge"])[:64]
        reply = self.engine.submit(AcknowledgeProbe(code=code, ours=pid == os.getpid()), actor)
        if isinstance(reply, Refused):
            return {"refused": reply.why}
        said = self.engine.lines[-1].entry.fact
        assert isinstance(said, f.ProbeAcknowledged)
        probe = self.engine.state.probes[said.id].intended
        after = said.at - probe.starts_at
        told = {"receiver": probe.receiver, "after_seconds": after, "sla_seconds": probe.sla_seconds}
        return {"acknowledged": {**said.to_json(), **told}}

    def _only_observes(self, person: str) -> bool:
        """Whether [people] gives this person no role but observer: then every console of theirs only watches."""
        known = self.engine.config.people.get(person)
        return known is not None and set(known.roles) == {"observer"}

    def _may_play(self, person: str) -> str:
        """Why a console may not act as this person; "" in a demo, where one sits in several chairs."""
        config = self.engine.config
        if not config.policy.demo:
            return "This is no demo: who you are is your OS user, as the kernel says; --as cannot change it."
        known = ", ".join(config.people)
        return "" if person in config.people else f"{person} is nobody in [people]; there are {known}."

    def _say(self, fact: f.Fact, actor: f.Actor) -> None:
        with contextlib.suppress(JournalError):
            self.engine.record(fact, actor=actor)

    async def _send_entries(self, writer: asyncio.StreamWriter, since: int) -> None:
        sent = 0
        async for line in self.engine.entries(since):
            writer.write(b'{"entry":' + line.raw[65:-1] + b"}\n")
            sent += 1
            if sent % 50 == 0 or writer.transport.get_write_buffer_size() > 65536:
                await writer.drain()

    async def _send_readings(self, writer: asyncio.StreamWriter) -> None:
        async for readings in self.engine.live_readings():
            if writer.transport.get_write_buffer_size() > 65536:
                continue  # lossy by design: a slow console gets fewer points, never a stalled host
            writer.write(wire.encode({"readings": [reading.to_json() for reading in readings]}))

    async def _send_beats(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(self.beat_seconds)
            if writer.transport.get_write_buffer_size() == 0:  # what waits there will be heard as well
                writer.write(wire.BEAT)

    async def _listen_to(self, console: Attached, reader: asyncio.StreamReader) -> str:
        """Obey until it goes; how it went: as it says in its goodbye, or lost where it says none."""
        while line := await reader.readline():
            message = wire.decode(line)
            if "bye" in message:
                return str(message["bye"]) if message["bye"] in PARTINGS else "left"
            if "looking" in message:
                self._looks(console, presence.place_of(message["looking"]))
            if "command" in message:
                console.writer.write(wire.encode({"reply": {"id": message.get("id"), **self._obey(console, message)}}))
                await console.writer.drain()
        return LOST

    def _looks(self, console: Attached, place: str) -> None:
        """Note where a console looks; the others hear of it soon, and of the newest place only."""
        console.place = place
        if console.telling is None:
            loop = asyncio.get_running_loop()
            console.telling = loop.call_later(presence.TELL_SECONDS, self._tell_place, console)

    def _tell_place(self, console: Attached) -> None:
        console.telling = None
        told = wire.encode({"looking": console.look.as_message()})
        for other in self.consoles.values():
            if other is not console and other.writer.transport.get_write_buffer_size() <= 65536:
                other.writer.write(told)  # lossy: a console that reads slowly is not told

    def _obey(self, console: Attached, message: Mapping[str, Any]) -> dict[str, Any]:
        if console.read_only:
            return {"refused": "This console only watches (--observe, or a role that only observes)."}
        try:
            command = command_from_json(message["command"])
        except ValidationError as exc:
            return {"refused": f"Not a command of this version: {untrusted.line(str(exc), 200)}"}
        if isinstance(command, AcknowledgeProbe):
            command = command.but(ours=console.ours)
        if getattr(command, "claimed_person", "") or getattr(command, "claimed_approver", ""):
            return {"refused": "Only a headless run may act for someone else, from its answers file."}
        verified = self.verify(command, console.actor.person)
        if isinstance(verified, Refused):
            return {"refused": verified.why}
        reply = self.engine.submit(command, console.actor, verified)
        return {"refused": reply.why} if isinstance(reply, Refused) else {"accepted": reply.seq}

    def verify(self, command: Command, person: str) -> str | Refused:
        """The fingerprint of the key that signed this command for this person; "" where it is not signed."""
        if not isinstance(command, AnswerPrompt | ConfirmWaiver | ProposeWaiver) or not command.signature:
            return ""
        if self.allowed_signers is None:
            return Refused("The answer is signed, but [policy] names no allowed_signers to check it against.")
        return verify_signature(self.engine, command, person, self.allowed_signers)


def verify_signature(engine: Engine, command: Command, person: str, allowed_signers: Path) -> str | Refused:
    """The signing key's fingerprint when ``person`` signed exactly this command for this run."""
    known = engine.config.people.get(person)
    principal = known.principal if known and known.principal else person
    try:
        allowed = allowed_signers.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return Refused(f"{allowed_signers}: cannot be read: {exc}")
    message = signed_text(engine.state, command)
    if message is None:
        return Refused("There is nothing of that kind to sign in this run now.")
    armoured = getattr(command, "signature", "")
    found = signatures.verify(message, armoured, principal, allowed, engine.clock.wall(), signing.NAMESPACE)
    return found.fingerprint if found.ok else Refused(f"The signature is not valid: {found.why}")


def signed_text(state: RunState, command: Command) -> bytes | None:
    """What the signature on this command has to be over, rebuilt from the run's own record; None: nothing there."""
    match command:
        case AnswerPrompt() if command.prompt_id in state.prompts:
            return signing.prompt_text(state.prompts[command.prompt_id].raised, command.answer)
        case ConfirmWaiver() if command.waiver_id in state.proposed:
            return signing.proposed_text(state.proposed[command.waiver_id])
        case ProposeWaiver() if command.step in state.steps:
            for criterion in state.steps[command.step].criteria:
                if criterion.id == command.criterion:
                    reason, digest = command.reason.strip(), criterion_digest(criterion)
                    return signing.waiver_text(command.criterion, command.step, reason, digest)
    return None


HINTS = ("SSH_CONNECTION", "SSH_USER_AUTH", "TERM", "TMUX")


def _hello(message: Mapping[str, Any]) -> tuple[int, dict[str, str], bool, str]:
    """(entries seen already, hints, read-only, whom it plays) of a console's first message; WireError if it is none."""
    hello = message.get("hello")
    if not isinstance(hello, dict):
        raise wire.WireError("no hello")
    since, hints = hello.get("since") or 0, hello.get("hints") or {}
    if not isinstance(since, int) or not isinstance(hints, dict):
        raise wire.WireError("a hello of another shape")
    told = {name: untrusted.line(str(hints[name]), 200) for name in HINTS if name in hints}
    return max(since, 0), told, bool(hello.get("read_only")), untrusted.line(str(hello.get("plays") or ""), 64)


def peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """The process and the OS user at the other end, as the kernel says (SO_PEERCRED)."""
    connection = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return int(pid), int(uid)
