"""One run at a time publishes into a store; a second one joins it, or waits."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ray_tui import config, rendezvous, runs_on_disk
from ray_tui.core import facts as f
from ray_tui.core.errors import InputError
from ray_tui.journal import Journal
from tests.cli.runs import a_run, clean

ROOT = Path(__file__).parents[2]
LIVE = "2026-11-22T1900Z-v1-0a11fe"
FINISHED = "2026-11-22T1915Z-v1-7f3a1c"


@pytest.fixture
def store(tmp_path):
    """A finished run that is newer than the one that a host carries out: this process, by its locks."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    store = config.load(tmp_path / "ray-tui.toml").store
    a_run(store, FINISHED)
    journal, _ = Journal.open(store / "runs" / LIVE / "journal.jsonl")
    opened = f.RunOpened(run_id=LIVE, release="v1", environment="production", deployed_at=0, config_digest="")
    journal.append([f.Entry(seq=1, at=1.0, mono=1.0, actor=f.ENGINE, fact=opened)])
    journal.close()
    locks = [runs_on_disk.hold_store(store), rendezvous.Lock.take(store / "runs" / LIVE)]
    yield store
    for lock in locks:
        lock.release()


def test_the_live_run_is_found_though_a_newer_one_has_ended(store):
    """A host carries it out; the other one's may still be up for whoever looks at it."""
    assert runs_on_disk.find_live(store, None).run_id == LIVE
    shown = rendezvous.Lock.take(store / "runs" / FINISHED)
    assert runs_on_disk.find_live(store, None).run_id == LIVE
    assert runs_on_disk.carried_out(store).run_id == LIVE
    shown.release()


def test_the_only_live_run_is_found_without_reading_its_journal(store, monkeypatch):
    """Its host reads it; a console that joins begins sooner."""
    monkeypatch.setattr(runs_on_disk.RunOnDisk, "_read", property(lambda run: pytest.fail(f"{run.run_id} was read")))
    assert runs_on_disk.find_live(store, None).run_id == LIVE


def test_a_run_that_is_over_is_said_to_be_over(ray, store):
    """Nobody is sent to resume it: it can only be replayed."""
    said = clean(ray("attach", "--plain", FINISHED), 2).stderr
    assert f"{FINISHED}: is over. `ray-tui replay {FINISHED}` shows it." in said


def test_a_console_attaches_to_the_live_run(ray, store):
    """Its socket is the one that is asked for: nobody listens there in this test."""
    assert "0a11fe.sock" in clean(ray("attach", "--plain"), 3).stderr


@pytest.mark.parametrize("arguments", [("run", "--headless", "--json"), ("run", "--plain")])
def test_a_second_run_is_refused_where_nobody_can_be_asked(ray, store, arguments):
    """Exit 2 naming the live run and how to join it; no folder of a run is left."""
    done = clean(ray(*arguments), 2)
    assert f"ray-tui attach {LIVE}" in done.stderr
    if "--json" in arguments:
        assert LIVE in json.loads(done.stdout)["error"]
    assert {path.name for path in (store / "runs").iterdir() if path.is_dir()} == {LIVE, FINISHED}


def test_a_store_is_free_again_when_its_host_is_gone(tmp_path):
    """Held by one, refused to the second, had by the third."""
    lock = runs_on_disk.hold_store(tmp_path)
    with pytest.raises(InputError, match="another run"):
        runs_on_disk.hold_store(tmp_path)
    lock.release()
    runs_on_disk.hold_store(tmp_path).release()


@pytest.mark.parametrize(("said", "code", "then"), [(b"n\n", 2, "begin when it is over"), (b"\n", 3, "0a11fe.sock")])
def test_a_person_is_offered_to_join_the_live_run(store, tmp_path, said, code, then):
    """No leaves it alone; yes goes to its socket, where nobody listens in this test."""
    person, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ray_tui", "run", "--plain"], stdin=terminal, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        os.write(person, said)
        _, told = process.communicate(timeout=60)
    os.close(person)
    os.close(terminal)
    assert f"{LIVE} is being carried out here already. Join it? [Y/n]" in told
    assert then in told
    assert process.returncode == code
