"""A host that is stopped is seen: it beats, and who has not heard it for long enough says so."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from ray_tui.clock import Clock
from ray_tui.core.commands import AddNote
from ray_tui.core.handle import Link
from ray_tui.core.pulse import PENDING_SECONDS, SILENT_SECONDS
from ray_tui.handles import socket
from ray_tui.handles.local import LocalHandle
from ray_tui.handles.replay import Replay
from ray_tui.handles.socket import SocketHandle
from tests.fakes import FakeClock
from tests.handles.test_socket import attach, served, wait_for  # noqa: F401 (served is a fixture)


async def settled(watcher):
    """Nothing comes any more: the toy run waits for an answer."""
    await wait_for(lambda: watcher.state.open_prompts, "the question")


async def test_a_host_that_says_nothing_for_ten_seconds_is_silent_and_for_how_long_is_known(served):  # noqa: F811
    """On the console's own clock; not a moment earlier, and no longer than until it is heard again."""
    _, host, path = served
    host.beat_seconds = 3600
    clock = FakeClock()
    one = await attach(path, clock=clock)
    await settled(one)
    clock.advance(SILENT_SECONDS - 0.1)
    assert (one.handle.link, one.handle.silent_seconds) == (Link.LIVE, 0)
    clock.advance(2.1)
    assert one.handle.link is Link.SILENT
    assert round(one.handle.silent_seconds) == 12
    await one.handle.submit(AddNote(text="are you there?"))
    assert (one.handle.link, one.handle.silent_seconds) == (Link.LIVE, 0)
    await one.leave()


async def test_a_beat_is_heard_and_is_no_fact(served):  # noqa: F811
    """A run in which nothing happens stays live by its beats alone, and its journal does not grow by them."""
    engine, host, path = served
    host.beat_seconds = 0.01
    clock = FakeClock()
    one = await attach(path, clock=clock)
    await settled(one)
    length, entries = len(engine.lines), len(one.entries)
    for _ in range(3):
        clock.advance(SILENT_SECONDS + 1)
        await wait_for(lambda: one.handle.link is Link.LIVE, "a beat")
    assert (len(engine.lines), len(one.entries)) == (length, entries)
    await one.leave()


async def test_a_host_that_never_promised_to_beat_is_not_called_silent(served):  # noqa: F811
    """One of an older version that goes on with its run says nothing for long, and is well."""
    _, host, path = served
    host.beat_seconds = 3600
    clock = FakeClock()
    one = await attach(path, clock=clock)
    one.handle._beats = False
    clock.advance(SILENT_SECONDS * 10)
    assert one.handle.link is Link.LIVE
    await one.leave()


async def test_what_a_stopped_host_was_asked_is_unanswered_until_it_wakes(tmp_path, monkeypatch):
    """SIGSTOP to a real host: silent, the note counts as unanswered; SIGCONT: live again, answered, and on record."""
    monkeypatch.setattr(socket, "REPLY_SECONDS", 0.05)
    child = subprocess.Popen([sys.executable, "-m", "tests.handles.serving", str(tmp_path)])
    try:
        await wait_for((tmp_path / "x.sock").exists, "the host's socket", 20)
        one = await attach(tmp_path / "x.sock", clock=Hasty())
        await settled(one)
        os.kill(child.pid, signal.SIGSTOP)
        await wait_for(lambda: one.handle.link is Link.SILENT, "the silence")
        reply = await one.handle.submit(AddNote(text="hello?"))
        assert "did not answer in time, and may still take it" in reply.why
        await wait_for(lambda: one.handle.unanswered == 1, "what is unanswered")
        os.kill(child.pid, signal.SIGCONT)
        await wait_for(lambda: one.state.notes, "the note")
        await wait_for(lambda: one.handle.unanswered == 0 and one.handle.link is Link.LIVE, "the host to be heard")
        await one.leave()
    finally:
        os.kill(child.pid, signal.SIGCONT)
        child.kill()
        child.wait()


class Hasty(Clock):
    """Ten seconds pass in half a one."""

    def monotonic(self):
        return time.monotonic() * 20


async def test_what_was_just_sent_is_not_yet_called_unanswered(served):  # noqa: F811
    """An answer takes its moment; only what is open for longer is told."""
    _, _, path = served
    clock = FakeClock()
    one = await attach(path, clock=clock)
    sending = asyncio.create_task(one.handle.submit(AddNote(text="hello")))
    await asyncio.sleep(0)
    assert one.handle._unanswered
    assert one.handle.unanswered == 0
    clock.advance(PENDING_SECONDS)
    assert one.handle.unanswered == 1
    await sending
    assert one.handle.unanswered == 0
    await one.leave()


def test_only_a_handle_whose_host_is_another_process_has_a_pulse():
    """A run in this very process and a replay have none to lose."""
    asked = ("silent_seconds", "unanswered")
    assert all(hasattr(SocketHandle, name) for name in asked)
    assert not any(hasattr(kind, name) for kind in (LocalHandle, Replay) for name in asked)
