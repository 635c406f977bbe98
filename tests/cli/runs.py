"""A run on disk, and what is asked of every command that ends."""

from ray_tui.core import facts as f
from ray_tui.journal import Journal


def clean(done, code):
    """No traceback, and this code."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


ABORTED = (f.NoteAdded(text="the first note"), f.RunAborted(reason="wrong release"))


def a_run(store, run_id="2026-11-22T1915Z-v1-7f3a1c", facts=ABORTED):
    """A run on disk that was aborted, or to which something else happened."""
    folder = store / "runs" / run_id
    folder.mkdir(parents=True)
    journal, _ = Journal.open(folder / "journal.jsonl")
    opened = f.RunOpened(run_id=run_id, release="v1", environment="production", deployed_at=0, config_digest="")
    facts = (opened, *facts)
    journal.append([f.Entry(seq=n, at=float(n), mono=float(n), actor=f.ENGINE, fact=x) for n, x in enumerate(facts, 1)])
    journal.close()
    return folder
