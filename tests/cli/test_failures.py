"""Whatever goes wrong: the documented exit code, one line for a person, one document for a machine."""

import io
import json
import os
import socket
import zipfile

import pytest

from ray_tui import cli, scaffold
from ray_tui.cli import asked, said
from ray_tui.core import facts as f
from ray_tui.evidence import package
from ray_tui.journal import Journal
from tests.cli.runs import a_run, clean

RUN_ID = "2026-11-22T1915Z-v1-7f3a1c"


def failure(done, code):
    """The one document on standard output, and the same words for a person."""
    said = json.loads(clean(done, code).stdout)
    assert set(said) == {"error", "exit_code", "cause"}
    assert said["exit_code"] == code
    assert said["error"].split("\n")[0] in done.stderr
    return said


def an_open_run(store):
    """A run that could go on, and its journal's path."""
    path = store / "runs" / RUN_ID / "journal.jsonl"
    journal, _ = Journal.open(path)
    facts = (
        f.RunOpened(run_id=RUN_ID, release="v1", environment="production", deployed_at=0, config_digest=""),
        f.NoteAdded(text="the first note"),
    )
    journal.append([f.Entry(seq=n, at=float(n), mono=float(n), actor=f.ENGINE, fact=x) for n, x in enumerate(facts, 1)])
    journal.close()
    return path


def a_package(folder):
    journal = (a_run(folder) / "journal.jsonl").read_bytes()
    items = [package.Item("journal.jsonl", journal, "engine", True, "application/jsonl")]
    archive, _ = package.build(items, {"through_seq": 3, "journal_head": "0" * 64})
    return archive


def altered(data):
    return data.replace(b"the first note", b"the worst note")


@pytest.mark.parametrize(
    "arguments",
    [
        ("gates", "--config", "absent.toml"),
        ("verify", "absent"),
        ("runs", "--config", "absent.toml"),
        ("diff", "absent", "absent"),
        ("gate", "alerts", "--sla", "soon"),
        ("evidence", "--output", "absent"),
        ("doctor", "--nonsense"),
        ("run",),
        ("demo", "--plain"),
    ],
)
def test_a_failure_is_a_document_where_one_was_asked_for(ray, arguments):
    """A wrong path, a wrong value, an unknown option, a console: error, exit code and cause."""
    failure(ray(*arguments, "--json"), 2)


def test_a_failure_without_json_prints_nothing_on_standard_output(ray):
    """A person reads standard error."""
    assert clean(ray("verify", "absent"), 2).stdout == ""


def test_an_error_of_our_own_is_no_failed_gate(tmp_path, monkeypatch, capsys):
    """Exit 3: nothing was judged. One line; the traceback lies in a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["ray-tui", "gates", "--json"])
    monkeypatch.setattr(cli, "_start_lightly", lambda: None)
    monkeypatch.setattr(asked, "config_or_none", lambda path: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == said.INCONCLUSIVE
    out, err = capsys.readouterr()
    kept = tmp_path / "ray-tui" / "error.log"
    assert str(kept) in err
    assert len(err.splitlines()) == 1
    assert "ZeroDivisionError" in kept.read_text()
    assert json.loads(out)["exit_code"] == said.INCONCLUSIVE


@pytest.mark.parametrize("how", [("--headless", "--json"), ("--plain",)])
def test_a_changed_journal_is_not_resumed_by_any_front_end(ray, tmp_path, how):
    """Exit 4 with the cause, and the list of runs says so, too."""
    scaffold.write(tmp_path)
    path = an_open_run(tmp_path / ".artifacts" / "monitoring")
    path.write_bytes(altered(path.read_bytes()))
    done = clean(ray("run", "--resume", *how), 4)
    assert "journal.jsonl:2" in done.stderr
    if "--json" in how:
        assert failure(done, 4)["cause"] == "journal.chain"
        (row,) = json.loads(clean(ray("runs", "--json"), 0).stdout)
        assert (row["status"], row["exit_code"]) == ("tampered", 4)


@pytest.mark.parametrize("what", ["cut", "junk", "empty", "flipped", "flipped elsewhere"])
def test_a_damaged_package_is_neither_replayed_nor_compared(ray, tmp_path, what):
    """Exit 4, and what is wrong with it."""
    whole = a_package(tmp_path)
    changed = {
        "cut": whole[:-40], "junk": b"not a zip at all", "empty": empty_zip(), "flipped": altered(whole),
        "flipped elsewhere": whole.replace(b'"required":', b'"requirde":'),
    }[what]  # fmt: skip
    assert changed != whole
    path = tmp_path / "bad.zip"
    path.write_bytes(changed)
    assert str(path) in clean(ray("replay", path, "--plain"), 4).stderr
    assert failure(ray("diff", path, path, "--json"), 4)["cause"].startswith("zip.")


def empty_zip():
    held = io.BytesIO()
    zipfile.ZipFile(held, "w").close()
    return held.getvalue()


def test_a_whole_package_is_replayed_by_itself(ray, tmp_path):
    """With its own exit code."""
    (tmp_path / "good.zip").write_bytes(a_package(tmp_path))
    assert "the first note" in clean(ray("replay", "good.zip", "--plain"), 5).stdout


def test_a_path_that_holds_nothing_to_replay_is_a_wrong_path(ray, tmp_path):
    """A folder without a journal; a pipe, which is not waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("folder", "pipe"):
        assert name in clean(ray("replay", name, "--plain"), 2).stderr


def test_a_baseline_is_a_file(ray, tmp_path):
    """A folder is refused before anything is measured."""
    scaffold.write(tmp_path)
    assert "names the file" in clean(ray("baseline", "--output", tmp_path), 2).stderr


def test_a_host_that_cannot_begin_leaves_nothing_and_says_why(ray, tmp_path):
    """A port in use is for whoever configured it: exit 2 as without a person, and no empty run."""
    (tmp_path / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (tmp_path / "ray-tui.toml").open("a") as file:
            file.write(f'\n[acknowledge]\nlisten = "127.0.0.1:{port}"\nurl = "http://127.0.0.1:{port}"\n')
        for how in ("--plain", "--headless"):
            assert f"127.0.0.1:{port}" in clean(ray("run", how), 2).stderr
    assert list((tmp_path / ".artifacts" / "monitoring" / "runs").glob("*")) == []


def test_help_keeps_what_stands_in_brackets(ray):
    """Names of tables in the configuration are no markup."""
    assert "[run] release" in clean(ray("run", "--help"), 0).stdout
    assert "[[approvals]]" in clean(ray("sign", "--help"), 0).stdout
    assert "[people]" in clean(ray("sign", "--help"), 0).stdout
