"""A file is there whole, or not at all."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ray_tui.core.errors import EvidenceError
from ray_tui.evidence import writer
from ray_tui.evidence.index import index
from ray_tui.evidence.writer import publish


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read_back_and_hashed(tmp_path):
    """The answer describes what is on disk; nothing else is left beside it."""
    written = publish(tmp_path / "a" / "b", "x.json", b"{}\n")
    assert written == writer.Written("x.json", "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356", 3)
    assert names(tmp_path / "a" / "b") == ["x.json"]


def test_a_second_write_replaces_the_first(tmp_path):
    """Published evidence is the latest; also an empty file."""
    for data in (b"one", b"two" * 100_000, b""):
        publish(tmp_path, "x", data)
        assert (tmp_path / "x").read_bytes() == data
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "/a", ".hidden", "a\\b", "a\0b", "a\nb", "a..b", "x" * 300, "ä"]
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    """One plain file name, and nothing is written for another."""
    with pytest.raises(EvidenceError, match="plain file name"):
        publish(tmp_path, name, b"x")
    assert names(tmp_path) == []


def test_a_link_is_replaced_and_its_target_untouched(tmp_path):
    """Nobody can make us write through a link that they put there."""
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").symlink_to(outside)
    publish(folder, "x", b"ours")
    assert outside.read_text() == "theirs"
    assert not (folder / "x").is_symlink()


def test_a_folder_in_the_way_is_named_and_stays(tmp_path):
    """The error names the path and what to do; no temporary file is left."""
    (tmp_path / "x").mkdir()
    with pytest.raises(EvidenceError, match=r"cannot write .*/x: .*move it away"):
        publish(tmp_path, "x", b"data")
    assert names(tmp_path) == ["x"]


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    """A path through a file cannot be made."""
    (tmp_path / "f").write_text("")
    for folder in (tmp_path / "f", tmp_path / "f" / "g"):
        with pytest.raises(EvidenceError, match=r"cannot write .*move it away"):
            publish(folder, "x", b"data")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
@pytest.mark.parametrize(
    ("options", "todo"),
    [("size=64k", "the disk is full: free some space"), ("ro,size=64k", "the file system is read-only")],
)
def test_a_full_or_read_only_disk_is_told_and_the_old_file_stands(tmp_path, options, todo):
    """On a real 64 KiB tmpfs: the error says what to do, the old content is whole, no temporary file is left."""
    mounted = tmp_path / "m"
    mounted.mkdir()
    script = f"""
import os, pathlib
from ray_tui.core.errors import EvidenceError
from ray_tui.evidence.writer import publish
folder = pathlib.Path({str(mounted)!r})
ro = {options.startswith("ro")!r}
if not ro:
    publish(folder, "x", b"old")
try:
    publish(folder, "x", b"n" * 200_000)
except EvidenceError as exc:
    print(exc)
print(sorted(os.listdir(folder)), (folder / "x").read_bytes() if not ro else b"old")
"""
    done = subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            f'mount -t tmpfs -o {options} none "$0" && exec "$1" -c "$2"',
            mounted,
            sys.executable,
            script,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    if (
        "unshare failed" in done.stderr
        or "Operation not permitted" in done.stderr
        or "permission denied" in done.stderr
    ):
        pytest.skip("user namespaces are not allowed here")
    assert done.returncode == 0, done.stderr
    assert todo in done.stdout
    assert str(mounted / "x") in done.stdout
    assert "b'old'" in done.stdout
    assert ".tmp" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to stop being it")
def test_a_folder_that_is_not_ours_is_named():
    """EACCES, as another user: the path and what to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        call = f"publish(pathlib.Path({name!r}), 'x', b'y')"
        done = subprocess.run(
            [
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c"),
                f"import pathlib; from ray_tui.evidence.writer import publish; print('here'); {call}",
            ],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
        )
        if "here" not in done.stdout:
            pytest.skip("another user may not read this checkout")
        assert f"EvidenceError: cannot write {folder}/x: Permission denied; you may not write there" in " ".join(
            done.stderr.replace("ray_tui.core.errors.", "").split()
        )
        assert names(folder) == []


def test_a_reader_never_sees_half_a_file(tmp_path):
    """While one writes, another reads only the old or the new."""
    old, new = b"o" * 300_000, b"n" * 200_000
    publish(tmp_path, "x", old)
    stop = threading.Event()

    def write():
        for i in range(60):
            publish(tmp_path, "x", (new, old)[i % 2])
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not stop.is_set():
        seen.add((tmp_path / "x").read_bytes())
    thread.join()
    assert seen <= {old, new}


def test_an_index_lists_every_file_with_its_hash_and_maker(tmp_path):
    """By name, without hidden files and itself; the same folder gives the same index."""
    publish(tmp_path, "b.md", b"x")
    written = publish(tmp_path, "a.json", b"{}\n")
    (tmp_path / ".a.json.1-1.tmp").write_text("half")
    (tmp_path / "evidence-index.json").write_text("old")
    (tmp_path / "runs").mkdir()
    (tmp_path / "link.md").symlink_to(tmp_path / "b.md")
    found = index(tmp_path, {"a.json": "coverage"})
    assert [f["name"] for f in found["files"]] == ["a.json", "b.md"]
    assert found["files"][0] == {
        "name": "a.json",
        "sha256": written.sha256,
        "size": 3,
        "media_type": "application/json",
        "produced_by": "coverage",
    }
    assert found["files"][1]["produced_by"] is None
    assert found["skipped"] == [{"name": "link.md", "why": "is a link"}]
    assert found == index(tmp_path, {"a.json": "coverage"})


def test_a_folder_that_is_not_there_cannot_be_indexed(tmp_path):
    """Nothing to index is an error, not an empty index."""
    with pytest.raises(EvidenceError, match="cannot index"):
        index(tmp_path / "gone")
