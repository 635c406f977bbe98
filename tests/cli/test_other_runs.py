"""What a console can say of the runs beside its own."""

from ray_tui import config, rendezvous, scaffold
from ray_tui.holding import lines_to_open, places
from tests.cli.runs import a_run


def test_each_run_comes_with_the_line_that_opens_it(tmp_path):
    """Newest first; one that a host carries out is attached to, the others are shown again."""
    scaffold.write(tmp_path)
    chosen = config.load(tmp_path / config.FILE_NAME)
    old, live = "2026-11-21T1000Z-a-1111", "2026-11-22T1000Z-b-2222"
    a_run(chosen.store, old)
    lock = rendezvous.Lock.take(a_run(chosen.store, live))
    found = lines_to_open(chosen)
    lock.release()
    where = f"--config {chosen.file.resolve()}"
    assert found == [(live, f"ray-tui attach {live} {where}"), (old, f"ray-tui replay {old} {where}")]


def test_lines_that_are_copied_name_the_files_of_this_run(tmp_path):
    """The journal of the run, of a replay, or the one in a package; commands with the configuration."""
    scaffold.write(tmp_path)
    chosen = config.load(tmp_path / config.FILE_NAME)
    folder = a_run(chosen.store, "2026-11-21T1000Z-a-1111")
    journal = folder.resolve() / "journal.jsonl"
    for recorded in (None, folder, folder / "journal.jsonl"):
        assert places(chosen, folder.name, recorded).journal == str(journal)
    package = tmp_path / "MONITORING-PACKAGE.zip"
    assert (
        places(chosen, folder.name, package).journal_line(3).startswith(f"unzip -p {package.resolve()} journal.jsonl")
    )
    assert places(chosen, folder.name, None).command("gates").endswith(f"gates --config {chosen.file.resolve()}")
    assert places(None, folder.name, package).run == str(package.resolve())
