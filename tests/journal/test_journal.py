"""What was acknowledged is on disk, and what is on disk is what was written."""

import os

import pytest

from ray_tui.core import facts as f
from ray_tui.core.errors import JournalError, TamperError
from ray_tui.core.verdicts import Verdict
from ray_tui.journal import Journal, read


def entry(seq, text="x"):
    return f.Entry(seq=seq, at=float(seq), mono=float(seq), actor=f.ENGINE, fact=f.NoteAdded(text=text))


def written(path, count=5):
    journal, _ = Journal.open(path)
    for seq in range(1, count + 1):
        journal.append([entry(seq, f"note {seq} – ünïcode")])
    journal.close()
    return path.read_bytes()


def test_what_is_appended_lives_as_it_will_be_read(tmp_path):
    """A run is the same before and after a resume: tuples, enumerations, keys in the journal's order."""
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path)
    told = f.StepFinished(
        step="1.2", verdict=Verdict.PASSED, summary="ok", data={"b": (1, Verdict.PASSED), "a": {2: 3}}
    )
    listed = f.Halted(step="1.2", reason="x", criteria=["a", "b"])
    lines = journal.append([entry(1).but(fact=told), entry(2).but(fact=listed)])
    journal.close()
    assert [line.entry for line in lines] == [line.entry for line in read(path)]
    assert list(lines[0].entry.fact.data.items()) == [("a", {"2": 3}), ("b", [1, "passed"])]
    assert lines[1].entry.fact.criteria == ("a", "b")


@pytest.mark.parametrize(
    "fact",
    [
        f.StepStarted(step="1.2", attempt="first"),
        f.ProbeHopSeen(id="a", hop="t1", earliest=float("nan"), latest=1.0, source="x"),
        f.StepFinished(step="1.2", verdict=Verdict.PASSED, summary="ok", data={"value": float("inf")}),
    ],
)
def test_a_fact_that_is_not_of_its_form_never_reaches_the_disk(tmp_path, fact):
    """Nor does what was to be written with it; the journal goes on as it was."""
    path = tmp_path / "journal.jsonl"
    before = written(path)
    journal, _ = Journal.open(path)
    with pytest.raises(ValueError, match=r"attempt|JSON"):
        journal.append([entry(6), entry(7).but(fact=fact)])
    assert (path.read_bytes(), journal.seq, journal.broken) == (before, 5, "")
    journal.append([entry(6)])
    journal.close()
    assert [line.entry.seq for line in read(path)] == [1, 2, 3, 4, 5, 6]


def test_what_is_appended_is_read_back(tmp_path):
    """Entries come back in order, with the chain's head."""
    path = tmp_path / "journal.jsonl"
    written(path)
    lines = list(read(path))
    assert [line.entry.seq for line in lines] == [1, 2, 3, 4, 5]
    assert lines[2].entry.fact == f.NoteAdded(text="note 3 – ünïcode")


def test_a_journal_cut_at_any_byte_opens_with_every_whole_line(tmp_path):
    """Whatever byte a crash cut at: whole lines are kept, the torn tail is set aside, appending goes on."""
    data = written(tmp_path / "whole.jsonl", 3)
    for cut in range(len(data)):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        path = folder / "journal.jsonl"
        path.write_bytes(data[:cut])
        journal, lines = Journal.open(path)
        whole = data[:cut].count(b"\n")
        assert len(lines) == whole
        kept = b"".join(p.read_bytes() for p in folder.glob("torn-*.bin"))
        assert kept == data[:cut].rpartition(b"\n")[2]
        journal.append([entry(whole + 1)])
        journal.close()
        assert len(list(read(path))) == whole + 1


def test_every_changed_byte_is_found(tmp_path):
    """Flip any byte of a terminated line and the reading stops there, with a cause."""
    path = tmp_path / "journal.jsonl"
    data = written(path, 2)
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 0x01
        path.write_bytes(bytes(changed))
        with pytest.raises(TamperError) as caught:
            list(read(path))
        assert caught.value.cause.startswith("journal.")


def test_a_removed_or_repeated_line_is_found(tmp_path):
    """The chain binds each line to the one before."""
    path = tmp_path / "journal.jsonl"
    lines = written(path).splitlines(keepends=True)
    for bad in (lines[:1] + lines[2:], [lines[0], lines[0], *lines[1:]], [lines[1], lines[0], *lines[2:]]):
        path.write_bytes(b"".join(bad))
        with pytest.raises(TamperError):
            list(read(path))


def test_a_terminated_bad_line_stops_the_opening(tmp_path):
    """Only an unterminated tail is cut; a whole line that is wrong is never thrown away."""
    path = tmp_path / "journal.jsonl"
    data = written(path)
    path.write_bytes(data + b"garbage\n")
    with pytest.raises(TamperError):
        Journal.open(path)
    assert path.read_bytes() == data + b"garbage\n"


def test_a_full_disk_makes_the_journal_read_only_and_loses_nothing(tmp_path):
    """The first failed write raises, says what to do, and no later write is taken."""
    path = tmp_path / "journal.jsonl"
    journal, _ = Journal.open(path)
    journal.append([entry(1)])
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._fd)
    os.close(full)
    with pytest.raises(JournalError, match="free space"):
        journal.append([entry(2)])
    with pytest.raises(JournalError, match="read-only"):
        journal.append([entry(2)])
    journal.close()
    assert [line.entry.seq for line in read(path)] == [1]


def test_a_missing_journal_says_so(tmp_path):
    """The path is in the message."""
    with pytest.raises(JournalError, match=r"none\.jsonl"):
        list(read(tmp_path / "none.jsonl"))
