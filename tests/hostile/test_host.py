"""The run's process among others: one host a run, stale sockets, signals at any moment."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from ray_tui import rendezvous
from tests.hostile.world import ENV, RAW_CONTROL, Repo, program, repo_is_sound, wait_until


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A stack in a process of its own, whose rules folder is really loaded: such a run gets to page."""
    folder = tmp_path_factory.mktemp("own") / "demo"
    folder.mkdir()
    with (folder / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray_tui.demo", "--dir", str(folder)], stdout=log, stderr=log, env=ENV
        )
    try:
        wait_until((folder / "stack.json").exists, "the stack")
        yield Repo(folder)
    finally:
        process.terminate()
        process.wait(10)


def firing(repo):
    """Alerts of ours that are still active on any peer."""
    peers = json.loads((repo.folder / "stack.json").read_text())["addresses"]["alertmanagers"]
    found = []
    for peer in peers:
        with urllib.request.urlopen(f"{peer}/api/v2/alerts") as answer:
            found += [one for one in json.load(answer) if "ray_tui_probe" in one["labels"]]
    return found


def ended(process, seconds=30):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert "Traceback (most recent call last)" not in out + err, err[-3000:]
    return process.returncode, out, err


def started(repo):
    """A new run in the background, once its journal is there."""
    before = runs_of(repo)
    process = repo.start("--anew")
    wait_until(lambda: runs_of(repo) > before or process.poll() is not None, "the run")
    return process, max(runs_of(repo) - before, default=None)


def runs_of(repo):
    return {path.parent for path in (repo.store / "runs").glob("*/journal.jsonl")}


@pytest.mark.parametrize(
    ("number", "code", "when"),
    [
        (signal.SIGTERM, 143, b'"ProbeHopSeen"'),
        (signal.SIGHUP, 129, b'"PromptAnswered"'),
        (signal.SIGINT, 130, b'"ProbeIntended"'),
    ],
    ids=["TERM", "HUP", "INT"],
)
def test_a_signal_ends_a_headless_run_cleanly_and_it_can_be_resumed(own, number, code, when):
    """Exit 128+n, journal whole, no probe of ours left firing, the run is offered for `--resume`."""
    process, folder = started(own)
    journal = folder / "journal.jsonl"
    wait_until(lambda: when in journal.read_bytes() or process.poll() is not None, f"{when} in the journal")
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    returned, _, _ = ended(process)
    assert returned == code
    state = own.state()
    assert not state.ended
    assert all(probe.cleared for probe in state.probes.values())
    assert firing(own) == []
    assert program("verify", folder).code == 0
    listed = json.loads(program("runs", "--json", "--config", own.config).out)
    assert {row["run_id"]: row["status"] for row in listed}[folder.name] == "resumable"
    assert not rendezvous.is_locked(folder)


def test_control_c_twice_still_ends(own):
    """An impatient second Ctrl-C neither hangs nor breaks the journal."""
    process, folder = started(own)
    wait_until(lambda: b'"StepStarted"' in (folder / "journal.jsonl").read_bytes(), "its first step")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    code, _, _ = ended(process)
    assert code in (130, -signal.SIGINT)
    repo_is_sound(own)


def test_a_second_host_on_the_same_run_is_refused(world, repo):
    """While one carries the run out, another is told to join it; the first is not disturbed."""
    world.fronts["prometheus"].faults.next("/", times=1000, kind="hang")
    process = repo.start()
    wait_until(lambda: repo.has_started("prerequisites"), "the run")
    second = repo.run("--resume", "--run", repo.run_folder().name)
    assert second.code == 2, second.said
    assert "ray-tui attach" in second.err
    assert json.loads(program("runs", "--json", "--config", repo.config).out)[0]["status"] == "live"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    repo_is_sound(repo)


@pytest.mark.parametrize("stale", ["socket", "file"])
def test_what_a_dead_host_left_behind_is_replaced(repo, tmp_path, stale):
    """A killed host leaves lock file and socket: the resume takes both over."""
    process = repo.start()
    wait_until(lambda: repo.has_started("1.2"), "the run")
    process.kill()
    process.communicate()
    path = rendezvous.socket_path(repo.run_folder().name, None)
    path.unlink(missing_ok=True)
    if stale == "socket":
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    else:
        path.write_text("left")
    done = repo.run("--resume")
    assert done.summary["verdicts"]["gate.instrumentation"] == "passed", done.said
    assert not path.exists()
    repo_is_sound(repo)


def test_attaching_to_a_run_without_a_host_says_what_to_do(repo):
    """Exit 2: the run's name, and how to go on or look."""
    repo.run()
    done = program("attach", "--plain", "--config", repo.config)
    assert done.code == 2, done.said
    assert "run --resume" in done.err


def test_a_run_that_is_not_there_is_named(repo):
    """Exit 2, and what there is."""
    for command in ("run --headless --run no-such\x1b[2J", "attach --plain nope", "replay --plain nope"):
        done = program(*command.split(), "--config", repo.config)
        assert done.code == 2, done.said
        assert "no run here yet" in done.err
        assert RAW_CONTROL.search(done.err) is None, done.err


@pytest.mark.parametrize(
    "arguments",
    [("gates", "--evidence", "{}"), ("evidence", "--output", "{}"),
     ("verify", "{}"), ("runs",)],
    ids=lambda value: value[0],
)  # fmt: skip
@pytest.mark.parametrize("what", ["missing", "file", "garbage"])
def test_looking_at_nothing_is_never_a_pass_of_a_gate(tmp_path, arguments, what):
    """Gates over nothing, a file, or garbage: not 0, no traceback, no hang on a FIFO among the evidence."""
    target = tmp_path / "evidence"
    if what == "file":
        target.write_text("x")
    elif what == "garbage":
        target.mkdir()
        (target / "instrumentation-audit.json").write_bytes(b"\xff" * 100)
        (target / "monitoring-requirements.json").mkdir()
        (target / "alert-test-results.json").write_bytes(b"[" * 100_000)
        os.mkfifo(target / "dashboard-config.json")
        (target / "waivers.json").symlink_to("waivers.json")
    done = program(*(str(one).format(target) for one in arguments), cwd=tmp_path, seconds=20)
    assert done.code in range(5)
    if arguments[0].startswith("gate"):
        assert done.code in (1, 2, 3), done.said
