"""The run's process: holds the lock, serves consoles over a Unix socket, and asks the kernel who they are."""

import asyncio
import contextlib
import fcntl
import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ray_tui import wire
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core import signing, untrusted
from ray_tui.core.commands import ADAPTER, AnswerPrompt, Command, ConfirmWaiver, ProposeWaiver, Refused, TakeSeat
from ray_tui.core.errors import InputError, JournalError, RayError
from ray_tui.core.policy import Person
from ray_tui.core.rules import criterion_digest
from ray_tui.core.state import RunState
from ray_tui.engine import Engine
from ray_tui.evidence import signatures

LONGEST_PATH = 107
"""Bytes of an AF_UNIX path on Linux."""


class RunLocked(RayError):
    """Another host carries this run out already."""


@dataclass
class Lock:
    """flock on the run folder: it ends with the process, however that dies."""

    fd: int

    @classmethod
    def take(cls, run_folder: Path) -> "Lock":
        try:
            run_folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(run_folder / "host.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise InputError(
                f"{run_folder}: cannot be used: {exc.strerror}. A run needs a folder it can write, with free space."
            ) from exc
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(fd)
            raise RunLocked(
                f"{run_folder.name}: a host carries this run out already. Join it: `ray-tui attach {run_folder.name}`"
            ) from exc
        return cls(fd)

    def release(self) -> None:
        os.close(self.fd)


def is_locked(run_folder: Path) -> bool:
    """Whether a host is alive for this run."""
    if not (run_folder / "host.lock").exists():
        return False
    try:
        Lock.take(run_folder).release()
    except RunLocked:
        return True
    return False


def socket_folder(config: Config | None) -> Path:
    """Where sockets lie; created 0700 where it is ours alone. Raises InputError when it is not safe to use."""
    chosen = config.host.socket_dir if config is not None else ""
    if chosen:
        folder = Path(chosen)
        if not folder.is_dir():
            raise InputError(f"{folder}: [host] socket_dir is not a folder; create it (mode 2750, group [host] group)")
        return folder
    folder = Path("/tmp") / f"ray-tui-{os.getuid()}"  # noqa: S108 (owner and mode are checked at every open, as tmux does)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise InputError(f"{folder}: must be a folder of yours with mode 0700, and is not; remove it, then try again")
    return folder


def short_id(run_id: str) -> str:
    """The last part of a run id: 7f3a of 2026-11-22T1915Z-checkout-v2.4.1-7f3a."""
    return run_id.rsplit("-", 1)[-1]


def socket_path(run_id: str, config: Config | None) -> Path:
    path = socket_folder(config) / f"{short_id(run_id)}.sock"
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InputError(f"{path}: is longer than {LONGEST_PATH} bytes; set a shorter [host] socket_dir")
    return path


def person_of(uid: int, people: Mapping[str, Person]) -> str:
    """The person of [people] whose consoles run as this OS user; ``uid:<n>`` when nobody's do."""
    try:
        login = pwd.getpwuid(uid).pw_name
    except KeyError:
        login = ""
    for key, person in people.items():
        if person.uid == uid or (person.login and person.login == login):
            return key
    return f"uid:{uid}"


@dataclass
class Attached:
    """One console that is connected now."""

    id: str
    actor: f.Actor
    read_only: bool
    writer: asyncio.StreamWriter


@dataclass
class Host:
    """Serves one engine to consoles. The engine's loop does not wait for any of them."""

    engine: Engine
    allowed_signers: Path | None = None
    consoles: dict[str, Attached] = field(default_factory=dict)
    _count: int = 0
    _server: asyncio.Server | None = None
    _path: Path | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self, path: Path, group: str = "") -> None:
        """Accept consoles at this path; an abandoned socket of ours is replaced."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bound.bind(str(path))
        path.chmod(0o660 if group else 0o600)
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        self._server = await asyncio.start_unix_server(self._accept, sock=bound, limit=wire.LONGEST)
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
        since, hints, read_only = _hello(wire.decode(await asyncio.wait_for(reader.readline(), 5)))
        self._count += 1
        uid = peer_uid(writer)
        console_id = f"c{len(self.engine.lines)}.{self._count}"
        actor = f.Actor(person=person_of(uid, self.engine.config.people), uid=uid, console=console_id, hints=hints)
        console = Attached(console_id, actor, read_only, writer)
        self.consoles[console_id] = console
        opened = self.engine.state.opened
        writer.write(
            wire.encode(
                {"welcome": {"run_id": opened.run_id if opened else "", "person": actor.person, "console": console_id}}
            )
        )
        self._say(f.ConsoleAttached(console=console_id, person=actor.person, read_only=console.read_only), actor)
        if not console.read_only and not self.engine.state.driver_console:
            self.engine.submit(TakeSeat(), actor)  # the first console that may drive, drives
        pumps = [
            asyncio.create_task(self._send_entries(writer, since)),
            asyncio.create_task(self._send_readings(writer)),
        ]
        try:
            await self._listen_to(console, reader)
        finally:
            for pump in pumps:
                pump.cancel()
            self.consoles.pop(console_id, None)
            self._say(f.ConsoleDetached(console=console_id), actor)

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
        async for reading in self.engine.live_readings():
            if writer.transport.get_write_buffer_size() > 65536:
                continue  # lossy by design: a slow console gets fewer points, never a stalled host
            writer.write(wire.encode({"reading": reading.model_dump(mode="json")}))

    async def _listen_to(self, console: Attached, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = wire.decode(line)
            if "bye" in message:
                return
            if "command" in message:
                console.writer.write(wire.encode({"reply": {"id": message.get("id"), **self._obey(console, message)}}))
                await console.writer.drain()

    def _obey(self, console: Attached, message: Mapping[str, Any]) -> dict[str, Any]:
        if console.read_only:
            return {"refused": "This console only watches (--observe)."}
        try:
            command = ADAPTER.validate_python(message["command"])
        except ValidationError as exc:
            return {"refused": f"Not a command of this version: {exc.error_count()} errors"}
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


def _hello(message: Mapping[str, Any]) -> tuple[int, dict[str, str], bool]:
    """(entries seen already, hints, read-only) of a console's first message. Raises WireError when it is none."""
    hello = message.get("hello")
    if not isinstance(hello, dict):
        raise wire.WireError("no hello")
    since, hints = hello.get("since") or 0, hello.get("hints") or {}
    if not isinstance(since, int) or not isinstance(hints, dict):
        raise wire.WireError("a hello of another shape")
    told = {name: untrusted.line(str(hints[name]), 200) for name in HINTS if name in hints}
    return max(since, 0), told, bool(hello.get("read_only"))


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """The OS user at the other end, as the kernel says (SO_PEERCRED)."""
    connection = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)
