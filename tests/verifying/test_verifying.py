"""Whatever a gate or a reader relies on is held against the journal that recorded it."""

import hashlib
import json
import shutil

import pytest

from ray_tui import verifying
from ray_tui.core import facts as f
from ray_tui.core.errors import InputError
from ray_tui.evidence import index, package, text
from ray_tui.evidence.package import MANIFEST_NAME, ZIP_NAME
from ray_tui.journal import Journal

AUDIT = "instrumentation-audit.json"
RESULTS = "alert-test-results.json"


def sha(data):
    return hashlib.sha256(data).hexdigest()


class ARun:
    """A run whose evidence is published, sealed and approved, written as a host writes it."""

    def __init__(self, store, name, at=0.0):
        self.store, self.folder, self.at = store, store / "runs" / name, at
        self.journal, _ = Journal.open(self.folder / "journal.jsonl")
        self.record(f.RunOpened(run_id=name, release=name, environment="demo", deployed_at=0, config_digest=""))
        self.publish(AUDIT, b'{"coverage": 1}\n')
        self.publish(RESULTS, text.dumps({"run": name}))

    def record(self, *facts):
        for fact in facts:
            seq = self.journal.seq + 1
            self.journal.append([f.Entry(seq=seq, at=self.at + seq, mono=0.0, actor=f.ENGINE, fact=fact)])

    def publish(self, name, data):
        for folder in (self.folder / "evidence", self.store):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        self.record(f.EvidenceWritten(name=name, sha256=sha(data), size=len(data), step="4.1"))

    def sealed(self):
        through, head = self.journal.seq, self.journal.head
        lines = (self.folder / "journal.jsonl").read_bytes()
        items = [package.Item("journal.jsonl", lines, "engine", True, "application/jsonl")]
        header = {"run_id": self.folder.name, "through_seq": through, "journal_head": head}
        archive, outer = package.build(items, header)
        manifest = text.dumps(outer)
        self.publish(ZIP_NAME, archive)
        self.publish(MANIFEST_NAME, manifest)
        self.record(f.PackageSealed(
            sha256=sha(archive), size=len(archive), through_seq=through, journal_head=head,
            manifest_sha256=sha(manifest), files=1,
        ))  # fmt: skip
        self.publish(verifying.APPROVAL, text.dumps({"body": {"package_sha256": sha(archive)}}))
        return self


@pytest.fixture
def store(tmp_path):
    """Two complete runs; the second one's evidence is the published one."""
    ARun(tmp_path, "first").sealed()
    ARun(tmp_path, "second", at=1000.0).sealed()
    return tmp_path


def causes(target):
    found = verifying.verify(target)
    assert found["ok"] is not any(not check["ok"] for check in found["checks"])
    return {check["cause"] for check in found["checks"] if check["cause"]}


def test_what_was_written_is_intact(store):
    """Every journal, file and package of both runs, and what is published. (P61)"""
    assert causes(store) == set()
    assert causes(store / "runs" / "first") == set()


def test_a_run_that_goes_on_and_has_sealed_nothing_is_intact(tmp_path):
    """There is nothing yet to hold its journal against."""
    ARun(tmp_path, "first")
    assert causes(tmp_path) == set()


def test_a_published_file_that_was_edited_is_not_what_its_run_wrote(store):
    """The very file that `ray-tui gates` judges."""
    (store / AUDIT).write_bytes(b'{"coverage": 2}\n')
    assert causes(store) == {"evidence.hash"}


def test_a_run_that_is_over_and_still_looked_at_has_not_published_last(tmp_path):
    """Its host lingers for a console; another run may publish meanwhile, and the console leaves after that."""
    first = ARun(tmp_path, "first")
    first.record(f.HostStarted(pid=1), f.RunAborted(reason="not now"))
    ARun(tmp_path, "second", at=1000.0).record(f.HostStarted(pid=2))
    first.at = 2000.0
    first.record(f.ConsoleDetached(console="c1"))
    assert causes(tmp_path) == set()
    (tmp_path / AUDIT).write_bytes(b'{"coverage": 2}\n')
    assert causes(tmp_path) == {"evidence.hash"}


def test_a_run_that_was_resumed_has_published_last(tmp_path):
    """Its host has published everything anew; what another run wrote there is not what it wrote."""
    first = ARun(tmp_path, "first")
    ARun(tmp_path, "second", at=1000.0)
    first.at = 2000.0
    first.record(f.HostStarted(pid=3, resumed=True))
    assert causes(tmp_path) == {"evidence.hash"}
    shutil.copy(first.folder / "evidence" / RESULTS, tmp_path / RESULTS)
    assert causes(tmp_path) == set()


def test_a_published_file_that_is_gone_is_missed(store):
    """Of whatever the last run has written."""
    (store / RESULTS).unlink()
    assert causes(store) == {"evidence.missing"}


def test_the_package_of_another_run_is_not_the_one_that_was_sealed(store):
    """Zip and manifest agree with each other, and with nothing else."""
    for name in (ZIP_NAME, MANIFEST_NAME):
        shutil.copy(store / "runs" / "first" / "evidence" / name, store / name)
    assert {"package.sealed", "evidence.hash"} <= causes(store)


def test_a_published_manifest_that_is_gone_is_missed(store):
    """Where runs are, its absence is found by what they recorded."""
    (store / MANIFEST_NAME).unlink()
    assert "evidence.missing" in causes(store)


def test_an_approval_of_another_package_is_refused(tmp_path):
    """Recorded as it is, and it approves something else."""
    run = ARun(tmp_path, "first").sealed()
    run.publish(verifying.APPROVAL, text.dumps({"body": {"package_sha256": "0" * 64}}))
    assert causes(tmp_path) == {"approval.hash"}


def test_what_a_gate_reads_and_no_run_wrote_is_refused(store):
    """A file put there by hand is no evidence; one that no gate reads is nobody's business."""
    (store / "my-notes.json").write_text("{}")
    assert causes(store) == set()
    (store / "waivers.json").write_text("{}")
    assert causes(store) == {"evidence.unrecorded"}


def test_an_index_that_was_made_anew_is_no_tampering(store):
    """`ray-tui evidence` writes it; one that lists something else is refused."""
    run = ARun(store, "third", at=2000.0)
    run.publish(index.NAME, b"{}\n")
    (store / index.NAME).write_bytes(text.dumps(index.index(store)))
    assert causes(store) == set()
    (store / index.NAME).write_bytes(text.dumps({**index.index(store), "count": 0}))
    assert causes(store) == {"evidence.hash"}


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_journal_that_was_cut_at_a_line_s_end_is_shorter_than_what_was_sealed(store, keep):
    """The chain of what is left is whole; the manifest says how far it went. (P65)"""
    path = store / "runs" / "second" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) if keep == 3 else keep]))
    found = causes(store)
    assert ("journal.head" in found) is (keep < 3)
    assert bool(found) is (keep < 3)


def test_a_journal_that_was_cut_before_anything_was_sealed_leaves_files_that_it_does_not_record(tmp_path):
    """No manifest says how far it went; the evidence beside it does."""
    path = ARun(tmp_path, "first").folder / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert "evidence.unrecorded" in causes(tmp_path)


def test_another_journal_in_a_run_s_place_does_not_reach_its_sealed_head(store):
    """Long enough, intact, and another one."""
    run = ARun(store / "elsewhere", "second")
    run.record(*(f.NoteAdded(text=str(n)) for n in range(9)))
    shutil.copy(run.folder / "journal.jsonl", store / "runs" / "second" / "journal.jsonl")
    assert "journal.head" in causes(store)


def test_an_emptied_journal_is_no_run(store):
    """A run begins with an entry."""
    path = store / "runs" / "second" / "journal.jsonl"
    path.write_bytes(b"")
    assert causes(store) == {"journal.empty"}
    assert causes(path.parent) == {"journal.empty"}
    assert causes(path) == {"journal.empty"}


def test_a_run_without_its_journal_is_found(store):
    """In its store, and asked for by its folder."""
    path = store / "runs" / "second" / "journal.jsonl"
    path.unlink()
    assert causes(store) == {"journal.missing"}
    assert causes(path.parent) == {"journal.missing"}


def test_published_evidence_outlives_no_run(store):
    """All runs gone: what is published has nothing to be held against."""
    for name in ("first", "second"):
        shutil.rmtree(store / "runs" / name)
    assert causes(store) == {"evidence.unrecorded"}


def test_a_host_that_never_began_is_no_run(store):
    """It left a log, and nothing to verify."""
    (store / "runs" / "third").mkdir()
    (store / "runs" / "third" / "host.log").write_text("the port is in use\n")
    assert causes(store) == set()


def test_a_package_alone_needs_its_manifest_beside_it(store, tmp_path_factory):
    """Where it was carried to: whole with its manifest, and not to be judged without."""
    there = tmp_path_factory.mktemp("there")
    shutil.copy(store / ZIP_NAME, there)
    with pytest.raises(InputError, match="cannot be verified without"):
        verifying.verify(there)
    shutil.copy(store / MANIFEST_NAME, there)
    assert causes(there) == set()
    assert causes(there / ZIP_NAME) == set()
    outer = json.loads((there / MANIFEST_NAME).read_bytes())
    (there / MANIFEST_NAME).write_bytes(text.dumps({**outer, "through_seq": 1}))
    assert causes(there) == {"journal.head"}
