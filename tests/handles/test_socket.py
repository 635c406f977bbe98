"""A run in one place, held from several: every console sees the same, and none can hurt it."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ray_tui import host, rendezvous, wire
from ray_tui.core import facts as f
from ray_tui.core.commands import AddNote, AnswerPrompt, Refused, RequestSeat
from ray_tui.core.errors import InputError, RayError
from ray_tui.core.handle import Link, Rewound
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState, apply, fold
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.engine import Engine, Places
from ray_tui.handles.replay import Replay
from ray_tui.handles.socket import SocketHandle
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal, read
from ray_tui.step import Ask, Result
from ray_tui.wiring import SshSigner
from tests.fakes import a_config, all_ports


async def wait_for(condition, what, seconds=5.0):
    """Poll until the condition holds; fails naming what did not come."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"never came: {what}")
        await asyncio.sleep(0.01)


class Toy:
    """A step that asks one question and passes."""

    async def run(self, context):
        answer = await context.ask(Ask("go", "confirm", "Go on?", "Go on?"))
        context.observe(Reading(series="x", at=context.now(), value=1.0))
        good = Verdict.PASSED if answer.answer == "yes" else Verdict.FAILED
        return Result("toy", (Criterion(id="toy", title="toy", verdict=good, actual=answer.answer),), {"n": 1})

    def documents(self, data, header):
        return {}


class Approving(Toy):
    """A step that asks for the SRE lead's approval."""

    async def run(self, context):
        question = Ask(
            "ok", "approve", "Approve?", "Approve?", roles=("sre-lead",),
            data={"role": "sre-lead", "subject": "this", "sha256": "ab", "release": "v1", "config_digest": "d"},
        )  # fmt: skip
        await context.ask(question)
        return Result("toy", (Criterion(id="toy", title="toy", verdict=Verdict.PASSED, actual="yes"),), {})


@contextlib.asynccontextmanager
async def serving(folder, config, step, allowed=None):
    """An engine whose every step is ``step``, behind a socket."""
    places = Places.of(config, "2026-run-abc123")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(
        journal=journal, state=RunState(), config=config, ports=all_ports(), places=places, inputs=Inputs(config),
        module_for=lambda name: step,
    )  # fmt: skip
    engine.record(
        f.RunOpened(run_id="2026-run-abc123", release="v1", environment="production", deployed_at=0, config_digest="d")
    )
    server = host.Host(engine, allowed)
    path = folder / "x.sock"
    await server.listen(path)
    task = asyncio.create_task(engine.run())
    engine.host = server
    try:
        yield engine, path
    finally:
        engine.stop("test over")
        await server.close("test over")
        await asyncio.wait({task}, timeout=5)
        with contextlib.suppress(Exception):
            task.result()
        journal.close()


@pytest.fixture
async def served(tmp_path):
    """An engine of toy steps behind a socket: (engine, its host, the socket's path)."""
    config = a_config(tmp_path, people={"mira": {"uid": os.getuid()}})
    async with serving(tmp_path, config, Toy()) as (engine, path):
        yield engine, engine.host, path


class Watcher:
    """A console that folds whatever it is sent."""

    def __init__(self, handle):
        self.handle, self.state, self.entries = handle, RunState(), []
        self.task = asyncio.create_task(self._follow())

    async def _follow(self):
        async for entry in self.handle.entries():
            if isinstance(entry, Rewound):
                self.state, self.entries = RunState(), []
            else:
                self.entries.append(entry)
                apply(self.state, entry)

    async def leave(self):
        await self.handle.close()
        await self.task


async def attach(path, **kwargs):
    return Watcher(await SocketHandle.attach(path, **kwargs))


async def test_two_consoles_see_the_same_state_and_so_does_one_that_joins_late(served):
    """Same entries, same state, wherever and whenever one looks from."""
    engine, _, path = served
    one = await attach(path)
    await wait_for(lambda: one.state.open_prompts, "the question")
    prompt = one.state.open_prompts[0].raised
    await one.handle.submit(AnswerPrompt(prompt_id=prompt.id, answer="yes"))
    two = await attach(path)
    await one.handle.submit(AddNote(text="hello"))
    await wait_for(lambda: one.state.notes and two.state.notes, "the note on both")
    await wait_for(lambda: one.state.seq == two.state.seq == engine.state.seq, "all caught up")
    assert one.state == two.state == engine.state
    await one.leave()
    await two.leave()


async def test_a_replay_of_the_journal_gives_the_live_state(served):
    """Replay re-folds the same facts. Nothing is run again."""
    engine, _, path = served
    one = await attach(path)
    await wait_for(lambda: one.state.open_prompts, "the question")
    await one.handle.submit(AnswerPrompt(prompt_id=one.state.open_prompts[0].raised.id, answer="yes"))
    await wait_for(lambda: engine.state.steps["prerequisites"].settled, "the toy passed")
    entries = [line.entry for line in read(engine.journal.path)]
    assert fold(entries[: one.state.seq]) == one.state
    await one.leave()
    replay = Replay(entries, playing=False)
    replay.seek(len(entries))
    watcher = Watcher(replay)
    await wait_for(lambda: watcher.state.seq == len(entries), "the replay's end")
    assert watcher.state == fold(entries)
    replay.seek(3)
    await wait_for(lambda: watcher.state.seq == 3, "moved back")
    assert watcher.state == fold(entries[:3])
    await watcher.leave()


async def test_a_replay_refuses_commands(served):
    """What happened cannot be changed."""
    engine, _, _ = served
    replay = Replay([line.entry for line in engine.lines])
    assert isinstance(await replay.submit(AddNote(text="x")), Refused)


async def test_the_first_console_drives_and_the_seat_is_handed_over(served):
    """One driver at a time; hand-over is asked for, granted, and recorded."""
    engine, _, path = served
    one, two = await attach(path), await attach(path)
    await wait_for(lambda: len(engine.state.consoles) == 2, "both consoles")
    assert engine.state.driver_console == one.handle.console
    await two.handle.submit(RequestSeat())
    await wait_for(lambda: engine.state.seat_requests, "the request")
    await one.leave()
    await wait_for(lambda: not engine.state.driver_console, "the seat is free")
    await two.leave()


async def test_an_observer_can_change_nothing(served):
    """--observe is held to by the host, whatever the client sends."""
    engine, _, path = served
    watcher = await attach(path, read_only=True)
    reply = await watcher.handle.submit(AddNote(text="x"))
    assert isinstance(reply, Refused)
    assert not engine.state.notes
    await watcher.leave()


async def test_a_console_cannot_say_who_it_is(served):
    """A claim of another person is refused; the actor is the peer's uid as the kernel knows it."""
    engine, _, path = served
    one = await attach(path)
    await wait_for(lambda: one.state.open_prompts, "the question")
    command = AnswerPrompt(prompt_id=one.state.open_prompts[0].raised.id, answer="yes", claimed_person="priya")
    assert isinstance(await one.handle.submit(command), Refused)
    await one.handle.submit(AddNote(text="me"))
    noted = next(line.entry for line in engine.lines if isinstance(line.entry.fact, f.NoteAdded))
    assert noted.actor.uid == os.getuid()
    await one.leave()


async def test_nonsense_on_the_socket_hurts_nobody(served):
    """Garbage, half a line, a huge line: that connection ends, the others go on."""
    engine, _, path = served
    one = await attach(path)
    for garbage in (b"\xff\xfe\n", b"{}\n", b'{"hello": 3}\n', b"[1]\n", b"half"):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 6)
        writer.close()
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(wire.encode({"hello": {}}) + wire.encode({"id": 1, "command": {"command": "launch"}}))
    said = b""
    while b"refused" not in said:
        said += await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    await one.handle.submit(AddNote(text="still here"))
    await wait_for(lambda: engine.state.notes, "the note")
    await one.leave()


async def test_a_console_whose_reader_stopped_does_not_hold_the_run_up(served):
    """A stalled link: the host goes on recording, and others go on seeing."""
    engine, _, path = served
    _, writer = await asyncio.open_unix_connection(str(path), limit=1024)
    writer.write(wire.encode({"hello": {}}))
    one = await attach(path)
    for number in range(300):
        engine.record(f.NoteAdded(text="x" * 5_000 + str(number)))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await wait_for(lambda: len(one.state.notes) == 300, "every note on the other console")
    writer.close()
    await one.leave()


async def test_a_lost_link_comes_back_and_misses_nothing(served, tmp_path):
    """The connection is cut under a console; it reconnects and its entries have no gap and no repeat."""
    engine, serving, path = served
    one = await attach(path)
    await wait_for(lambda: one.state.seq >= 1, "the first entries")
    engine.record(f.NoteAdded(text="before"))
    for console in list(serving.consoles.values()):
        console.writer.transport.abort()
    await wait_for(lambda: one.handle.link is Link.LOST, "the link is lost")
    engine.record(f.NoteAdded(text="meanwhile"))
    await wait_for(lambda: one.handle.link is Link.LIVE, "the link is back")
    engine.record(f.NoteAdded(text="after"))
    await wait_for(lambda: len(one.state.notes) == 3, "all three notes")
    assert [entry.seq for entry in one.entries] == list(range(1, len(one.entries) + 1))
    await one.leave()


async def test_who_leaves_stays_until_the_host_has_heard_it(tmp_path):
    """The host is still writing, as at a run's end: a link that closes under it would be lost, and the goodbye too."""
    path, heard = tmp_path / "x.sock", []

    async def busy_host(reader, writer):
        await reader.readline()
        writer.write(wire.encode({"welcome": {"run_id": "r", "person": "mira", "console": "c1"}}))
        while "bye" not in (message := wire.decode(await reader.readline())):
            pass
        with contextlib.suppress(OSError):
            for _ in range(5):
                await asyncio.sleep(0.01)
                writer.write(wire.encode({"readings": [Reading(series="x", at=0.0, value=1.0).to_json()]}))
                await writer.drain()
            heard.append(message["bye"])
        writer.close()

    async with await asyncio.start_unix_server(busy_host, str(path)):
        handle = await SocketHandle.attach(path)
        await handle.close()
        assert heard == ["left"]


async def test_no_host_is_said_clearly(tmp_path):
    """Attaching to nothing names the socket and what to do."""
    with pytest.raises(RayError, match="run --resume"):
        await SocketHandle.attach(tmp_path / "none.sock")


def test_one_host_a_run(tmp_path):
    """The lock is the process's: a second host is told to attach."""
    lock = rendezvous.Lock.take(tmp_path / "run")
    with pytest.raises(rendezvous.RunLocked, match="ray-tui attach"):
        rendezvous.Lock.take(tmp_path / "run")
    lock.release()
    rendezvous.Lock.take(tmp_path / "run").release()


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path, monkeypatch):
    """Owner, mode and no symlink are checked, as tmux does."""
    from ray_tui.core.errors import InputError

    monkeypatch.setattr(os, "getuid", lambda: 987654)
    Path("/tmp/ray-tui-987654").mkdir(exist_ok=True)
    try:
        with pytest.raises(InputError, match="0700"):
            rendezvous.socket_folder(None)
    finally:
        Path("/tmp/ray-tui-987654").rmdir()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
async def test_an_approval_is_signed_in_the_console_and_verified_by_the_host(tmp_path):
    """The key never leaves the person's side; the host checks it against allowed_signers, and says whose it was."""
    for name in ("mira", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    allowed = tmp_path / "allowed_signers"
    allowed.write_text("mira " + (tmp_path / "mira.pub").read_text())
    people = {"mira": {"roles": ["sre-lead", "operator"], "uid": os.getuid()}}
    config = a_config(tmp_path, people=people, policy={"unsigned_approvals": False})
    async with serving(tmp_path, config, Approving(), allowed) as (engine, path):
        unsigned = await attach(path)
        await wait_for(lambda: unsigned.state.open_prompts, "the question")
        yes = AnswerPrompt(prompt_id=unsigned.state.open_prompts[0].raised.id, answer="yes")
        refused = await unsigned.handle.submit(yes)
        assert isinstance(refused, Refused)
        assert "signed" in refused.why
        await unsigned.leave()
        wrong = await attach(path, signer=SshSigner(tmp_path / "eve"))
        await wait_for(lambda: wrong.state.open_prompts, "the question again")
        refused = await wrong.handle.submit(yes)
        assert isinstance(refused, Refused)
        assert "not valid" in refused.why
        await wrong.leave()
        mira = await attach(path, signer=SshSigner(tmp_path / "mira"))
        await wait_for(lambda: mira.state.open_prompts, "the question once more")
        assert not isinstance(await mira.handle.submit(yes), Refused)
        given = engine.state.approvals[0]
        assert (given.person, given.assurance) == ("mira", "signed")
        assert given.key_fingerprint.startswith("SHA256:")
        await mira.leave()


async def test_whom_people_does_not_know_is_let_in_to_watch_and_to_add_notes(tmp_path):
    """The first console does not drive when [people] has nobody of its OS user; the run waits for one it knows."""
    async with serving(tmp_path, a_config(tmp_path), Toy()) as (engine, path):
        stranger = await attach(path)
        await wait_for(lambda: stranger.state.open_prompts, "the question")
        yes = AnswerPrompt(prompt_id=stranger.state.open_prompts[0].raised.id, answer="yes")
        refused = await stranger.handle.submit(yes)
        assert isinstance(refused, Refused)
        assert "nobody in [people]" in refused.why
        assert not isinstance(await stranger.handle.submit(AddNote(text="the canary looks odd")), Refused)
        assert engine.state.driver == ""
        assert [text for _, _, text in engine.state.notes] == ["the canary looks odd"]
        await stranger.leave()


async def test_in_a_demo_a_console_says_whom_it_plays(tmp_path):
    """One person can sit in two chairs of a demo: the second console acts as whom it names, and so it is noted."""
    config = a_config(tmp_path, policy={"demo": True})
    async with serving(tmp_path, config, Toy()) as (engine, path):
        console = await attach(path, plays="priya")
        assert console.handle.person == "priya"
        assert [one.person for one in engine.state.consoles.values()] == ["priya"]
        await console.leave()
        with pytest.raises(InputError, match="nobody in"):
            await SocketHandle.attach(path, plays="eve")


async def test_outside_a_demo_nobody_is_believed(served):
    """Who one is comes from the kernel; a console that claims another name is refused, and is not attached."""
    engine, _, path = served
    with pytest.raises(InputError, match="no demo"):
        await SocketHandle.attach(path, plays="sam")
    assert engine.state.consoles == {}
