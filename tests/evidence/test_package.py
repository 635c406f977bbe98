"""The package is the one that was sealed, or it is refused."""

import hashlib
import io
import json
import random
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_tui import chain
from ray_tui.core.errors import EvidenceError
from ray_tui.core.verdicts import Verdict
from ray_tui.evidence import package, text
from ray_tui.evidence.package import Item, Wanted, build, completeness, judge, zip_bytes
from ray_tui.evidence.verify import journal_head, verify_zip

PINNED = (3151, "4d158791b0d96074f6e49e0aef368a111bc4b65e6c67bad7c2339a7d16c48109")


def a_journal(facts=12):
    head, lines = chain.GENESIS, []
    for seq in range(1, facts + 1):
        head, line = chain.seal(head, json.dumps({"seq": seq, "kind": "noted"}).encode())
        lines.append(line)
    return b"".join(lines), head, facts


def some_items(journal):
    return [
        Item("journal.jsonl", journal, "engine", True, "application/jsonl"),
        Item("monitoring-requirements.md", b"# Requirements\n", "requirements", True, "text/markdown"),
        Item("screenshots/a.png", bytes(range(256)), "manual", False, "image/png"),
        Item("empty.csv", b"", "alert_paths", False, "text/csv"),
    ]


def a_package(items=None):
    journal, head, seq = a_journal()
    header = {"run": "r1", "release": "v2.4.1", "environment": "prod", "through_seq": seq, "journal_head": head}
    return build(items or some_items(journal), header)


def resealed(outer, archive):
    """An outer manifest that names this zip: what an attacker without the signature could also write."""
    zipped = {**outer["zip"], "sha256": hashlib.sha256(archive).hexdigest(), "size": len(archive)}
    return {**outer, "zip": zipped}


def files_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def cause(archive, outer, *, reseal=True):
    report = verify_zip(archive, resealed(outer, archive) if reseal else outer)
    assert report.ok is (report.cause == "")
    return report.cause


def test_a_package_is_verified_and_a_standard_reader_agrees():
    """What we built is accepted, and zipfile reads the same files with good checksums. (P61)"""
    archive, outer = a_package()
    report = verify_zip(archive, outer)
    assert (report.ok, report.cause, report.causes, report.through_seq) == (True, "", (), 12)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == sorted(report.files)
        info = opened.infolist()[0]
        assert (info.compress_type, info.date_time, info.create_system) == (0, (1980, 1, 1, 0, 0, 0), 3)
        assert info.external_attr >> 16 == 0o100600
        inner = json.loads(opened.read("manifest.json"))
    assert inner["files"] == outer["files"]
    assert {f["name"]: (f["action"], f["required"], f["media_type"], f["size"]) for f in outer["files"]}[
        "screenshots/a.png"
    ] == ("manual", False, "image/png", 256)


def test_the_outer_manifest_names_the_zip_and_where_the_journal_stood():
    """Its sha256 and size, the last fact and the head of the chain. (P65)"""
    archive, outer = a_package()
    _, head, seq = a_journal()
    assert outer["zip"]["sha256"] == hashlib.sha256(archive).hexdigest()
    assert (outer["through_seq"], outer["journal_head"]) == (seq, head)


@given(st.permutations(range(4)))
def test_the_same_files_give_the_same_bytes_in_any_order(order):
    """Deterministic: order of the items does not matter. (P61)"""
    items = some_items(a_journal()[0])
    assert a_package([items[i] for i in order]) == a_package(items)


def test_the_bytes_are_these_for_ever():
    """Pinned: another Python, platform or refactoring may not change a sealed package. (P61)"""
    archive, _ = a_package()
    assert (len(archive), hashlib.sha256(archive).hexdigest()) == PINNED


def test_a_package_on_disk_is_verified_with_the_manifests_bytes(tmp_path):
    """As a person downstream has them: two files."""
    archive, outer = a_package()
    path = tmp_path / package.ZIP_NAME
    path.write_bytes(archive)
    assert verify_zip(path, text.dumps(outer)).ok
    assert verify_zip(tmp_path / "gone.zip", outer).cause == "file.unreadable"
    assert verify_zip(path, b"{").cause == "manifest.shape"


def test_every_flipped_bit_is_refused():
    """One bit anywhere, headers included: the zip no longer is what the manifest names. (P64)"""
    archive, outer = a_package()
    positions = random.Random(12).sample(range(len(archive) * 8), 600)
    for position in positions:
        flipped = bytearray(archive)
        flipped[position // 8] ^= 1 << position % 8
        assert not verify_zip(bytes(flipped), outer).ok, position


def test_every_flipped_bit_is_refused_even_where_the_hash_is_rewritten():
    """Every bit of a small package, with the zip's own hash set right: structure, hashes and rebuild still
    refuse.

    Nothing in the zip is free: that is what rebuild-and-compare is for. (P64)
    """
    archive, outer = a_package()
    for position in range(len(archive) * 8):
        flipped = bytearray(archive)
        flipped[position // 8] ^= 1 << position % 8
        assert cause(bytes(flipped), outer) != "", position


def test_every_cut_and_every_addition_is_refused():
    """Truncated anywhere, or with anything before or after. (P64)"""
    archive, outer = a_package()
    for at in range(0, len(archive), 7):
        assert cause(archive[:at], outer) != ""
    assert cause(b"junk" + archive, outer) == "zip.prefix"
    assert cause(archive + b"junk", outer) == "zip.suffix"
    assert cause(archive + archive, outer) == "zip.prefix"
    other, _ = a_package(some_items(a_journal()[0])[:2])
    assert cause(other + archive, outer) == "zip.prefix"
    assert cause(b"", outer) == "zip.prefix"


def test_a_comment_is_refused():
    """On the archive, or on a file in it."""
    archive, outer = a_package()
    commented = archive[:-2] + struct.pack("<H", 5) + b"hello"
    assert cause(commented, outer) == "zip.comment"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in sorted(files_of(archive).items()):
            info = zipfile.ZipInfo(name)
            info.comment = b"hello"
            out.writestr(info, data)
    assert cause(buffer.getvalue(), outer) == "zip.comment"


def zipped(files, **changes):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            for key, value in changes.items():
                setattr(info, key, value)
            out.writestr(info, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../x", "zip.name"),
        ("/etc/passwd", "zip.name"),
        ("a\\b", "zip.name"),
        (".hidden", "zip.name"),
        ("a/" * 50 + "x", "zip.name"),
        ("ä.md", "zip.name"),
        ("dir/", "zip.name"),
        ("JOURNAL.jsonl", "zip.duplicate"),
        ("empty.csv/x", "zip.name"),
    ],
)
def test_a_name_that_no_package_of_ours_holds_is_refused(name, expected):
    """Paths that climb, hide, nest deeply or differ only by case. (P64)"""
    archive, outer = a_package()
    assert cause(zipped([*sorted(files_of(archive).items()), (name, b"x")]), outer) == expected


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused():
    """Readers disagree on which one they show. (P64)"""
    archive, outer = a_package()
    assert cause(zipped([*sorted(files_of(archive).items()), ("empty.csv", b"x")]), outer) == "zip.duplicate"


def test_the_same_files_in_another_zip_are_refused():
    """Compressed, dated otherwise or in another order: not the bytes that were sealed. (P64)"""
    archive, outer = a_package()
    files = sorted(files_of(archive).items())
    assert cause(zipped(files, compress_type=zipfile.ZIP_DEFLATED), outer) == "zip.layout"
    assert cause(zipped(files, date_time=(2026, 1, 1, 0, 0, 0)), outer) == "zip.rebuild"
    assert cause(zipped(files[::-1]), outer) == "zip.rebuild"
    assert verify_zip(zipped(files[::-1]), outer).causes == ("zip.rebuild", "zip.hash")


def test_missing_and_extra_files_are_refused_and_named():
    """The manifest is checked both ways. (P63)"""
    archive, outer = a_package()
    files = files_of(archive)
    less = {name: data for name, data in files.items() if name != "monitoring-requirements.md"}
    assert cause(zip_bytes(less), outer) == "zip.missing"
    assert "monitoring-requirements.md" in verify_zip(zip_bytes(less), outer).details[0]
    assert cause(zip_bytes({**files, "extra.md": b"x"}), outer) == "zip.extra"
    assert cause(zip_bytes({n: d for n, d in files.items() if n != "manifest.json"}), outer) == "zip.missing"
    assert cause(zip_bytes({n: d for n, d in files.items() if n != "journal.jsonl"}), outer) == "zip.missing"


def test_a_changed_file_or_manifest_is_refused():
    """Also when the inner manifest is changed to fit, for the outer one names its hash. (P64)"""
    archive, outer = a_package()
    files = files_of(archive)
    changed = {**files, "monitoring-requirements.md": b"# Nothing\n"}
    assert cause(zip_bytes(changed), outer) == "file.hash"
    inner = json.loads(files["manifest.json"])
    for one in inner["files"]:
        one["sha256"] = hashlib.sha256(changed[one["name"]]).hexdigest()
        one["size"] = len(changed[one["name"]])
    changed["manifest.json"] = text.dumps(inner)
    assert cause(zip_bytes(changed), outer) == "manifest.hash"
    fitting = {**outer, "inner_manifest_sha256": hashlib.sha256(changed["manifest.json"]).hexdigest()}
    assert cause(zip_bytes(changed), fitting) == "manifest.twins"


def repacked(journal):
    """A package whose every hash fits this journal, but whose seal is that of the real one."""
    _, head, seq = a_journal()
    return build(some_items(journal), {"through_seq": seq, "journal_head": head})


def test_a_journal_that_was_rewritten_is_refused_although_every_hash_fits():
    """A changed line, a lost tail, a whole other journal, none at all. (P64)"""
    journal, _, _ = a_journal()
    lines = journal.splitlines(keepends=True)
    for tampered, expected in (
        (journal.replace(b"noted", b"voted", 1), "journal.chain"),
        (b"".join(lines[1:]), "journal.chain"),
        (b"".join(lines[:-1]), "journal.head"),
        (journal[:-1], "journal.chain"),
        (b"", "journal.chain"),
        (a_journal(13)[0], "journal.head"),
        (b"\n", "journal.chain"),
    ):
        archive, outer = repacked(tampered)
        assert cause(archive, outer) == expected, tampered[:80]


def test_a_journal_line_without_a_seq_is_no_journal():
    """A chain over something else names no fact."""
    for body in (b"{}", b"[]", b'{"seq": "1"}', b'{"seq": true}', b"nonsense"):
        with pytest.raises(ValueError, match="seq"):
            journal_head(chain.seal(chain.GENESIS, body)[1])


def test_the_chain_can_be_checked_by_another_function():
    """A caller that knows its journal better passes its own check."""
    archive, outer = a_package()
    _, head, seq = a_journal()
    assert verify_zip(archive, outer, chained=lambda data: (head, seq)).ok
    assert verify_zip(archive, outer, chained=lambda data: (head, seq + 1)).cause == "journal.head"


def test_a_package_over_the_cap_is_not_read(tmp_path):
    """The cap holds before anything is decoded."""
    archive, outer = a_package()
    assert verify_zip(archive, outer, cap=len(archive)).ok
    assert verify_zip(archive, outer, cap=len(archive) - 1).cause == "size.cap"
    path = tmp_path / "x.zip"
    path.write_bytes(archive)
    assert verify_zip(path, outer, cap=10).cause == "size.cap"


@pytest.mark.parametrize("key", ["zip", "inner_manifest_sha256", "journal_head", "through_seq", "files", "schema"])
def test_an_outer_manifest_that_lacks_something_passes_nothing(key):
    """No field is optional: what is not said cannot be checked. (P65)"""
    archive, outer = a_package()
    assert verify_zip(archive, {k: v for k, v in outer.items() if k != key}).cause == "manifest.shape"
    assert verify_zip(archive, {**outer, key: None}).cause == "manifest.shape"


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_no_bytes_crash_the_verifier(data):
    """Whatever it is given, it answers, and not with ok."""
    _, outer = a_package()
    assert not verify_zip(data, resealed(outer, data)).ok
    assert not verify_zip(b"PK\x03\x04" + data + b"PK\x05\x06" + data[:18].ljust(18, b"\0"), outer).ok
    assert not verify_zip(b"", data).ok


@pytest.mark.parametrize(
    "name", ["../x", "a b", "", "manifest.json", "Journal.jsonl", "a\n", "a//b", "a/../b", "journal.jsonl/x"]
)
def test_a_name_that_would_not_be_accepted_back_is_not_built(name):
    """The builder and the verifier share one rule."""
    items = [*some_items(a_journal()[0]), Item(name, b"", "x", False, "text/plain")]
    with pytest.raises(EvidenceError, match="cannot build the package"):
        a_package(items)


def test_a_package_without_its_journal_or_seal_is_not_built():
    """It could not be verified."""
    journal, head, seq = a_journal()
    with pytest.raises(EvidenceError, match=r"no journal\.jsonl"):
        a_package(some_items(journal)[1:])
    for header in ({"through_seq": seq}, {"journal_head": head}):
        with pytest.raises(EvidenceError, match="header has no"):
            build(some_items(journal), header)


def wanted(required, optional):
    return [Wanted(f"r{i}", True) for i in range(required)] + [Wanted(f"o{i}", False) for i in range(optional)]


@pytest.mark.parametrize(
    ("absent", "verdicts"),
    [
        (set(), [Verdict.PASSED, Verdict.PASSED]),
        ({"o0"}, [Verdict.PASSED, Verdict.PASSED]),
        ({"o0", "o1"}, [Verdict.PASSED, Verdict.FAILED]),
        ({"r0"}, [Verdict.FAILED, Verdict.PASSED]),
    ],
)
def test_required_items_are_all_there_and_95_percent_of_all(absent, verdicts):
    """One required file missing halts at any ratio; 19 of 20 in all is enough. (P63) (P96)"""
    want = wanted(10, 10)
    found = completeness(want, {w.name for w in want} - absent)
    assert [c.verdict for c in judge(found)] == verdicts
    assert set(found.missing) == absent


def test_nothing_wanted_is_never_complete():
    """A package of nothing is inconclusive. (P63)"""
    assert [c.verdict for c in judge(completeness([], {"x"}))] == [Verdict.INCONCLUSIVE] * 2
