"""A run that is not over is gone on with, or left behind by somebody who knows of it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ray_tui import config, holding, rendezvous, runs_on_disk
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Verdict
from ray_tui.journal import Journal
from tests.cli.runs import clean

ROOT = Path(__file__).parents[2]
LEFT = "2026-11-22T1900Z-v1-0a11fe"
LATER = "2026-11-22T1915Z-v1-7f3a1c"
HALTED = f.Halted(step="1.2", reason="no traces", criteria=("coverage",), verdict=Verdict.FAILED)
ABORTED = f.RunAborted(reason="not now")
COMPLETED = f.RunCompleted()


@pytest.fixture
def chosen(tmp_path):
    """A configuration, and a run of its release that nobody carries out and that is halted."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    chosen = config.load(tmp_path / "ray-tui.toml")
    journalled(chosen, LEFT, HALTED)
    return chosen


def journalled(chosen, run_id, *facts, release="v1"):
    """A run on disk of which these are the facts after its first."""
    journal, _ = Journal.open(chosen.store / "runs" / run_id / "journal.jsonl")
    opened = f.RunOpened(run_id=run_id, release=release, environment=chosen.run.environment, deployed_at=0,
                         config_digest="")  # fmt: skip
    facts = (opened, *facts)
    journal.append([f.Entry(seq=n, at=float(n), mono=0.0, actor=f.ENGINE, fact=one) for n, one in enumerate(facts, 1)])
    journal.close()


def left(chosen):
    found = runs_on_disk.unfinished(chosen)
    return found.run_id if found else None


def test_the_newest_run_that_is_not_over_is_found(chosen):
    """Of this release, in this environment; an aborted one after it hides nothing."""
    assert left(chosen) == LEFT
    journalled(chosen, LATER, ABORTED)
    assert left(chosen) == LEFT
    assert left(config.with_run(chosen, {"release": "v2"})) is None
    assert left(config.with_run(chosen, {"environment": "staging"})) is None


def test_what_a_completed_run_came_after_is_left_alone(chosen):
    """The release is handed over: nobody is asked about what went before."""
    journalled(chosen, LATER, COMPLETED)
    assert left(chosen) is None


def test_a_run_that_is_carried_out_needs_no_resuming(chosen):
    """It is joined instead."""
    lock = rendezvous.Lock.take(chosen.store / "runs" / LEFT)
    assert left(chosen) is None
    lock.release()


def test_a_run_whose_journal_was_changed_cannot_be_gone_on_with(chosen):
    """`verify` says what is the matter with it."""
    path = chosen.store / "runs" / LEFT / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"no traces", b"no spans."))
    assert left(chosen) is None


@pytest.mark.parametrize("arguments", [("run", "--headless", "--json"), ("run", "--plain")])
def test_an_unfinished_run_is_named_where_nobody_can_be_asked(ray, chosen, arguments):
    """Exit 2 with both ways on; no second run is begun."""
    done = clean(ray(*arguments), 2)
    for said in ("halted at 1.2", f"--resume --run {LEFT}", "--anew"):
        assert said in done.stderr
    if "--json" in arguments:
        assert LEFT in json.loads(done.stdout)["error"]
    assert [path.name for path in (chosen.store / "runs").iterdir() if path.is_dir()] == [LEFT]


def test_to_resume_and_to_begin_anew_exclude_each_other(ray, chosen):
    """Nothing is guessed."""
    assert "--anew" in clean(ray("run", "--resume", "--anew", "--headless"), 2).stderr


@pytest.mark.parametrize(("said", "resumed"), [("\n", LEFT), ("n\n", None)])
def test_a_person_is_asked_which_it_shall_be(chosen, said, resumed):
    """Enter goes on with what is there; no begins anew. Asked on a real terminal."""
    asking = (
        "from ray_tui import config, holding\n"
        f"print('goes on with', holding.to_go_on_with(config.load(__import__('pathlib').Path({str(chosen.file)!r}))))"
    )
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", asking], stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        os.write(person, said.encode())
        out, told = process.communicate(timeout=60)
    os.close(person)
    os.close(terminal)
    assert f"{LEFT} is not over: halted at 1.2" in told
    assert "[Y/n]" in told
    assert f"goes on with {resumed}" in out


@pytest.mark.parametrize("command", [("run", "--plain"), ()])
def test_both_ways_to_begin_ask_first(chosen, tmp_path, command):
    """`ray-tui run` and `ray-tui` alone: a person who hangs up at the question has begun nothing."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ray_tui", *command], stdin=terminal, stdout=terminal, stderr=subprocess.PIPE,
        text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
    ) as process:  # fmt: skip
        os.write(person, b"\x04")
        _, told = process.communicate(timeout=60)
    os.close(person)
    os.close(terminal)
    assert f"{LEFT} is not over" in told
    assert [path.name for path in (chosen.store / "runs").iterdir() if path.is_dir()] == [LEFT]


def test_begun_anew_nobody_is_asked(chosen, monkeypatch):
    """A demo, and whoever says --anew, get a run of their own."""
    begun = []
    monkeypatch.setattr(runs_on_disk, "start_host", lambda chosen, run_id, *, resume: begun.append((run_id, resume)))
    monkeypatch.setattr(holding, "on_socket", lambda *given: 0)
    holding.on_console(chosen, resume=None, observe=False, plain=True, anew=True)
    ((run_id, resume),) = begun
    assert run_id != LEFT
    assert not resume
