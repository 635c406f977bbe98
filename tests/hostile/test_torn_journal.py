"""A journal cut or altered at any byte: the whole lines count, a cut tail is kept, an altered line is named."""

import json
import shutil
from pathlib import Path

import pytest

from ray_tui import chain, runs_on_disk, verifying, wiring
from ray_tui.core.errors import TamperError
from ray_tui.core.state import RunState, apply
from ray_tui.journal import Journal, read
from tests.hostile.world import Repo, program


@pytest.fixture(scope="module")
def finished(a_world, tmp_path_factory):
    """A repository with one run that went through phase 1."""
    a_world.clear()
    repo = Repo.copy(a_world, tmp_path_factory.mktemp("finished") / "repo")
    done = repo.run()
    assert done.summary["verdicts"]["gate.instrumentation"] == "passed", done.said
    return repo


def boundaries(raw):
    ends, at = [], 0
    for line in raw.splitlines(keepends=True):
        at += len(line)
        ends.append(at)
    return ends


def positions(raw):
    """Every boundary and its neighbours, and a hundred places between."""
    near = {end + by for end in boundaries(raw) for by in (-1, 0, 1)}
    return sorted(at for at in near | set(range(0, len(raw), max(1, len(raw) // 100))) if 0 <= at <= len(raw))


def folded(path):
    state = RunState()
    for line in read(path, tail=True):
        apply(state, line.entry)
    return state


def test_cut_anywhere_keeps_every_whole_line_and_the_tail(finished, tmp_path):
    """At some hundred positions: listing, replay and verification behave, opening keeps the tail beside and cuts it."""
    raw = finished.journal()
    ends = [0, *boundaries(raw)]
    run = tmp_path / "store" / "runs" / "cut"
    run.mkdir(parents=True)
    path = run / "journal.jsonl"
    cuts = positions(raw)
    assert len(cuts) >= 60
    for cut in cuts:
        path.write_bytes(raw[:cut])
        whole = max(index for index, end in enumerate(ends) if end <= cut)
        assert len(wiring.replay_entries(path)) == whole
        assert runs_on_disk.runs(run.parents[1])[0].state.seq == whole
        assert verifying.verify(path)["ok"] is (whole > 0)  # no run is without its first entry
        journal, lines = Journal.open(path)
        journal.close()
        assert len(lines) == whole
        assert path.read_bytes() == raw[: ends[whole]]
        tail = raw[ends[whole] : cut]
        assert bool(journal.torn) == bool(tail)
        if tail:
            kept = run / journal.torn
            assert kept.read_bytes() == tail
            kept.unlink()


def test_one_byte_changed_anywhere_is_found(finished, tmp_path):
    """At a hundred positions: whatever is altered before the last newline is tampering with a cause, or a cut tail."""
    raw = finished.journal()
    path = tmp_path / "journal.jsonl"
    for at in range(0, len(raw) - 1, max(1, len(raw) // 100)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(TamperError) as caught:
            list(read(path, tail=True))
        assert caught.value.cause.startswith("journal.")


@pytest.mark.parametrize("part", [0.12, 0.97])
def test_a_run_with_a_cut_journal_is_resumed(finished, tmp_path, part):
    """`run --resume` says that the tail was kept, goes on, and comes to the same end."""
    repo = Repo(tmp_path / "repo")
    shutil.copytree(finished.folder, repo.folder)
    path = repo.run_folder() / "journal.jsonl"
    raw = path.read_bytes()
    cut = int(len(raw) * part)
    while raw[cut - 1 : cut] == b"\n":
        cut += 1
    path.write_bytes(raw[:cut])
    done = repo.run("--resume")
    assert done.summary["verdicts"]["gate.instrumentation"] == "passed", done.said
    kept = repo.run_folder() / "torn-1.bin"
    assert raw[:cut].endswith(kept.read_bytes())
    assert b"torn-1.bin" in repo.journal()
    assert repo.journal().startswith(raw[: cut - len(kept.read_bytes())])
    assert program("verify", repo.run_folder()).code == 0


def altered(raw):
    return raw.replace(b"checkout-v2.4.1", b"checkout-v2.4.2", 1)


def line_gone(raw):
    lines = raw.splitlines(keepends=True)
    return b"".join(lines[:5] + lines[6:])


def swapped(raw):
    lines = raw.splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    return b"".join(lines)


def doubled(raw):
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines, lines[-1]])


def garbage_line(raw):
    return raw + b"\x00\xff\x1b[2J\n"


def blank_line(raw):
    return raw + b"\n"


def not_a_journal(raw):
    return b"hello\n"


@pytest.mark.parametrize(
    "change",
    [altered, line_gone, swapped, doubled, garbage_line, blank_line, not_a_journal],
    ids=lambda one: one.__name__,
)
def test_an_altered_journal_is_exit_4_with_its_line(finished, tmp_path, change):
    """`verify` and `replay --plain` exit 4 naming file and line; the file is untouched."""
    repo = Repo(tmp_path / "repo")
    shutil.copytree(finished.folder, repo.folder)
    path = repo.run_folder() / "journal.jsonl"
    path.write_bytes(change(path.read_bytes()))
    before = path.read_bytes()
    verified = program("verify", repo.run_folder(), "--json")
    assert verified.code == 4
    assert verified.summary["cause"].startswith("journal.")
    replayed = program("replay", "--plain", path)
    assert replayed.code == 4, replayed.said
    assert "journal.jsonl:" in replayed.err
    assert "\x1b" not in replayed.said
    assert path.read_bytes() == before


def test_an_altered_journal_is_not_resumed(finished, tmp_path):
    """A run whose memory was changed does not go on: exit 4, and not one byte is written to it."""
    repo = Repo(tmp_path / "repo")
    shutil.copytree(finished.folder, repo.folder)
    path = repo.run_folder() / "journal.jsonl"
    path.write_bytes(altered(path.read_bytes()))
    before = path.read_bytes()
    done = repo.run("--resume")
    assert done.code == 4, done.said
    assert "journal.jsonl:" in done.err
    listed = program("runs", "--json", "--config", repo.config)
    assert listed.code == 0
    assert [(row["run_id"], row["status"]) for row in json.loads(listed.out)] == [(repo.run_folder().name, "tampered")]
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["empty", "folder", "missing", "directory-of-nothing"])
def test_a_journal_that_is_none_is_said(tmp_path, what):
    """Replay and verify of nothing: a documented code, the path, no traceback."""
    target = tmp_path / "run"
    target.mkdir()
    if what == "empty":
        (target / "journal.jsonl").touch()
    elif what == "folder":
        (target / "journal.jsonl").mkdir()
    elif what == "missing":
        target = target / "journal.jsonl"
    for command in (("replay", "--plain", target), ("verify", target)):
        done = program(*command, cwd=tmp_path)
        assert done.code in (0, 1, 2, 3, 4) if what == "empty" else done.code in (2, 3, 4), done.said


def test_a_journal_of_a_newer_version_replays(finished, tmp_path):
    """Facts of a kind that this version does not know, and fields it does not know, are kept and passed over."""
    repo = Repo(tmp_path / "repo")
    shutil.copytree(finished.folder, repo.folder)
    path = repo.run_folder() / "journal.jsonl"
    before = folded(path)
    head, lines = chain.GENESIS, []
    bodies = [line.entry.to_json() for line in read(path)]
    for body in bodies[:2]:
        body["fact"]["a_field_of_tomorrow"] = {"x": [1]}
    tomorrow = {**bodies[-1], "fact": {"kind": "MoonPhaseNoticed", "phase": "full", "nested": {"a": 1}}}
    for number, body in enumerate([*bodies[:3], tomorrow, *bodies[3:], tomorrow], 1):
        head, raw = chain.seal(
            head, json.dumps({**body, "seq": number}, sort_keys=True, separators=(",", ":")).encode()
        )
        lines.append(raw)
    path.write_bytes(b"".join(lines))
    after = folded(path)
    assert {name: step.verdict for name, step in after.steps.items()} == {
        name: step.verdict for name, step in before.steps.items()
    }
    done = program("replay", "--plain", path)
    assert "1.3 Capture Baseline Snapshot" in done.out
    assert program("verify", path).code == 0
    assert Path(path).read_bytes() == b"".join(lines)
