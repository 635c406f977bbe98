"""A console that has stopped reading costs its host nothing: the run goes on for the others; it catches up later."""

import asyncio
import contextlib
import json
import os
import threading

import pytest

from ray_tui import host, wire
from ray_tui.core import facts as f
from ray_tui.core.commands import AddNote, Refused
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState
from ray_tui.engine import Engine, Places
from ray_tui.handles.socket import SocketHandle
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal
from tests.fakes import a_config, all_ports

STOPPED_SECONDS = 5.0
BURST = 50
LINE = "." * 2000
MOST_UNSENT = 1 << 20
"""Bytes that a host may hold for one console that does not read."""


class Busy:
    """A step that never ends: 1,000 readings and 20 long lines a second."""

    async def run(self, context):
        number = 0
        while True:
            await asyncio.sleep(0.05)
            await context.progress(f"line {number} {LINE}")
            for _ in range(BURST):
                number += 1
                context.observe(Reading(series=f"s{number % 40}", at=context.now(), value=float(number), unit="s"))


@pytest.fixture
async def served(tmp_path):
    """(engine, host, the socket's path) of a run that is busy."""
    config = a_config(tmp_path)
    places = Places.of(config, "2026-run-abc123")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(
        journal=journal, state=RunState(), config=config, ports=all_ports(), places=places, inputs=Inputs(config),
        module_for=lambda name: Busy(),
    )  # fmt: skip
    engine.record(
        f.RunOpened(run_id="2026-run-abc123", release="v1", environment="production", deployed_at=0, config_digest="d")
    )
    server, path = host.Host(engine), tmp_path / "x.sock"
    await server.listen(path)
    task = asyncio.create_task(engine.run())
    yield engine, server, path
    engine.stop("test over")
    await server.close("test over")
    await asyncio.wait({task}, timeout=5)
    with contextlib.suppress(Exception):
        task.result()
    journal.close()


async def stopped_console(path):
    """A console that says hello and reads its welcome, and then nothing."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 16)
    writer.write(wire.encode({"hello": {"since": 0, "read_only": True, "hints": {}}}))
    welcome = wire.decode(await asyncio.wait_for(reader.readline(), 5))["welcome"]
    writer.transport.pause_reading()
    return reader, writer, welcome["console"]


async def test_a_console_that_stops_reading_stops_nobody_else(served):
    """For 5 s at 1,000 readings/s: another console is answered throughout, what is held back is bounded; then it has
    missed no entry."""
    engine, server, path = served
    reader, writer, console = await stopped_console(path)
    other = await SocketHandle.attach(path)
    loop = asyncio.get_running_loop()
    until, answered, most = loop.time() + STOPPED_SECONDS, 0, 0
    while loop.time() < until:
        reply = await other.submit(AddNote(text=f"note {answered}"))
        assert not isinstance(reply, Refused), reply.why
        answered += 1
        most = max(most, server.consoles[console].writer.transport.get_write_buffer_size())
        await asyncio.sleep(0.05)
    assert answered >= 10
    assert 65536 < most < MOST_UNSENT, "it really was stopped, and the host did not pile up what it misses"
    assert len(engine.readings) <= engine.readings.maxlen
    written = len(engine.lines)
    assert written > 100

    writer.transport.resume_reading()
    seqs = []
    while not seqs or seqs[-1] < written:
        message = json.loads(await asyncio.wait_for(reader.readline(), 10))
        if "entry" in message:
            seqs.append(message["entry"]["seq"])
    assert seqs == list(range(1, seqs[-1] + 1)), "every entry once, in order"
    writer.close()
    await other.close()


async def test_a_console_that_never_reads_can_go_away(served):
    """It disappears without having read: the host lets go of it and says so."""
    engine, server, path = served
    _, writer, console = await stopped_console(path)
    deadline = asyncio.get_running_loop().time() + 10
    while server.consoles[console].writer.transport.get_write_buffer_size() <= 65536:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    writer.transport.abort()
    while console in server.consoles:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    (gone,) = [line.entry.fact for line in engine.lines if isinstance(line.entry.fact, f.ConsoleDetached)]
    assert (gone.console, gone.why) == (console, "lost the link")


async def test_a_disk_that_takes_its_time_stops_nobody(served):
    """While batched observations are on their way to the disk, the run goes on and consoles are told of it."""
    engine, _, path = served
    gate, begun = threading.Event(), threading.Event()

    def slow_flush():
        begun.set()
        gate.wait(20)

    whole, engine.journal.flush = engine.journal.flush, slow_flush
    other = await SocketHandle.attach(path)
    try:
        async with asyncio.timeout(20):
            while not begun.is_set():
                await asyncio.sleep(0.01)
            written, entries = len(engine.lines), other.entries()
            while (await anext(entries)).seq < written + 10:
                pass
        assert not gate.is_set()
    finally:
        gate.set()
        engine.journal.flush = whole
        await other.close()


def test_a_flush_in_another_thread_misses_nothing_that_is_appended_meanwhile(tmp_path, monkeypatch):
    """What is appended while the disk is busy is put on the disk by the next flush, and closing waits for a flush."""
    journal, _ = Journal.open(tmp_path / "journal.jsonl")
    gate, begun, synced = threading.Event(), threading.Event(), []

    def sync(fd):
        begun.set()
        gate.wait(20)
        synced.append((tmp_path / "journal.jsonl").read_bytes().count(b"\n"))

    def line(number):
        return f.Entry(seq=number, at=0.0, mono=0.0, actor=f.ENGINE, fact=f.Progressed(step="1.1", text=str(number)))

    journal.append([line(1)])
    monkeypatch.setattr(os, "fdatasync", sync)
    flushing = threading.Thread(target=journal.flush)
    flushing.start()
    assert begun.wait(10)
    journal.append([line(2)])
    gate.set()
    flushing.join()
    journal.flush()
    assert synced == [2, 2], "the second line has had a flush that began after it"
    journal.append([line(3)])
    journal.close()
    assert synced == [2, 2, 3]
