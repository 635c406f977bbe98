"""What a demo leaves behind: it says so, it is listed, and it ends by itself."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ray_tui import demo_stack, rendezvous
from ray_tui.config import parse
from ray_tui.core import facts as f
from ray_tui.core.answers import Answers
from ray_tui.core.errors import InputError
from ray_tui.demo.__main__ import runs_are_over
from ray_tui.journal import Journal

RUN = '[run]\nrelease = "v1"\nenvironment = "demo"\n'
RUN_ID = "2026-11-22T1915Z-v1-7f3a1c"
OPENED = f.RunOpened(run_id=RUN_ID, release="v1", environment="demo", deployed_at=0, config_digest="")


def journalled(folder, *facts, run_id=RUN_ID):
    run = folder / ".artifacts" / "monitoring" / "runs" / run_id
    run.mkdir(parents=True)
    journal, _ = Journal.open(run / "journal.jsonl")
    journal.append([f.Entry(seq=n, at=float(n), mono=float(n), actor=f.ENGINE, fact=x) for n, x in enumerate(facts, 1)])
    journal.close()


def test_a_demo_is_over_when_every_run_of_it_is(tmp_path):
    """No run yet, one that goes on, one that has ended, a second one: only the third is over."""
    assert not runs_are_over(tmp_path)
    journalled(tmp_path, OPENED, f.RunAborted(reason="enough"), f.ConsoleDetached(console="c"))
    assert runs_are_over(tmp_path)
    journalled(tmp_path, OPENED, run_id="2026-11-22T1925Z-v1-9f3a1c")
    assert not runs_are_over(tmp_path)


def test_the_servers_of_a_demo_end_after_its_run(tmp_path):
    """The process of the stack ends by itself, some time after the last run's end; while it lives it is listed."""
    folder = tmp_path / "anywhere"
    folder.mkdir()
    command = [sys.executable, "-m", "ray_tui.demo", "--dir", str(folder), "--after", "0.5"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          cwd=Path(__file__).parents[2]) as process:  # fmt: skip
        try:
            wait_for(lambda: running_in(folder), "the demo in the list")
            (left,) = running_in(folder)
            assert (left.pid, left.scenario) == (process.pid, "healthy")
            assert f"kill {process.pid}" in left.to_text()
            assert process.poll() is None
            journalled(folder, OPENED, f.RunAborted(reason="enough"))
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert running_in(folder) == []


def running_in(folder):
    """This folder's demo, as `ray-tui runs` lists it."""
    return [left for left in demo_stack.left_running() if left.folder == folder]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_stopped_while_its_stack_starts_takes_it_along(tmp_path, number):
    """No run has begun: nobody would know of the servers, and nobody would end them."""
    command = [sys.executable, "-m", "ray_tui", "demo", "--headless", "--dir", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          cwd=Path(__file__).parents[2]) as process:  # fmt: skip
        try:
            wait_for(lambda: stacks_in(tmp_path / "demo"), "the stack's process")
            process.send_signal(number)
        finally:
            process.kill()
    wait_for(lambda: not stacks_in(tmp_path / "demo"), "the end of the stack")


def stacks_in(folder):
    """The stack's processes, from their first moment on."""
    wanted = {b"ray_tui.demo", str(folder).encode()}
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if wanted <= set(path.read_bytes().split(b"\0")):
                found.append(path.parent.name)
    return found


def test_a_folder_is_the_demo_of_one_world(tmp_path):
    """What was left of another scenario there would be taken for this one's."""
    (tmp_path / "stack.json").write_text('{"pid": 1, "scenario": "late-ack"}')
    with pytest.raises(InputError, match="is the demo 'late-ack'"), demo_stack.started("healthy", tmp_path, keep=False):
        raise AssertionError("it was started")
    assert (tmp_path / "stack.json").exists()


def test_what_ends_a_demo_ends_its_run_as_well(tmp_path):
    """The command that is shown names the process of the servers and that of the run's host."""
    store = tmp_path / ".artifacts" / "monitoring"
    journalled(tmp_path, OPENED, f.HostStarted(pid=4711))
    (run,) = [path.parent for path in (store / "runs").glob("*/journal.jsonl")]
    left = demo_stack.Left(tmp_path, 42, "healthy")
    assert left.to_text().endswith("kill 42"), "nobody carries it out"
    lock = rendezvous.Lock.take(run)
    try:
        assert left.to_text().endswith("kill 42 4711")
    finally:
        lock.release()


@pytest.mark.parametrize("keep", [True, False])
def test_leaving_a_demo_says_what_is_left_and_how_to_end_it(tmp_path, keep):
    """The process, its files and the command that ends it; nothing where nothing is left running."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        stack = demo_stack.DemoStack(tmp_path, parse(RUN, tmp_path / "ray-tui.toml"), Answers(), process, keep)
    said = stack.parting()
    assert (f"kill {process.pid}" in said) is keep
    assert (str(tmp_path) in said) is keep
    assert ("15 minutes after the run" in said) is keep


def wait_for(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)
