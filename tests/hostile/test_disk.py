"""A disk that is full or may not be written: what was acknowledged is readable; the run goes on once there is room."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.hostile.world import ENV, Repo, as_user, program

UID = 60_000 + os.getpid() % 5_000
"""Nobody's, and another one for each worker: the socket folder is named after it."""

# Inside a mount namespace of its own: the runs lie on a small disk, filled but for a little; then it is freed.
DRIVER = """
import json, os, pathlib, subprocess, sys
disk, left, command = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
filler = disk / "filler"
room = os.statvfs(disk)
filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize - left))
def written():
    return sorted(disk.rglob("journal.jsonl"), key=lambda path: path.stat().st_mtime_ns)
def go(*more):
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    journals = written()
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr,
            "journal": journals[-1].read_text() if journals else ""}
full = go()
filler.unlink()
again = go("--resume") if full["journal"].count("\\n") else go()
torn = {path.name: path.read_bytes().hex() for path in disk.rglob("torn-*.bin")}
run = written()[-1].parent
verified = subprocess.run([*command[:3], "verify", str(run)], capture_output=True, text=True)
print(json.dumps({"full": full, "again": again, "verified": verified.returncode, "torn": torn}))
"""


def can_mount():
    try:
        tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, timeout=10)
    except OSError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no mount namespace may be made here (unshare -rm)")
@pytest.mark.parametrize("left", [0, 40_960, 163_840])
def test_a_disk_that_fills_up_loses_nothing_and_the_run_goes_on(repo, left):
    """Room for so many bytes: the message says to free space, every whole line stays, `--resume` comes to the end."""
    repo.store.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ray_tui", "run", "--headless", "--json", "--config", str(repo.config),
               "--answers", str(repo.answers)]  # fmt: skip
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-c", DRIVER, str(repo.store), str(left), *command],
        capture_output=True, text=True, timeout=120, env=ENV,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    full, again = told["full"], told["again"]
    said = full["out"] + full["err"]
    assert "Traceback" not in said, said[-3000:]
    assert full["code"] in (1, 2, 3), said
    assert "free" in said, said
    assert "space" in said
    kept = full["journal"][: full["journal"].rfind("\n") + 1]
    assert again["journal"].startswith(kept)
    assert json.loads(again["out"])["verdicts"].get("gate.instrumentation") == "passed", again["err"][-2000:]
    assert told["verified"] == 0


@pytest.fixture
def elsewhere(world):
    """A repository of nobody's, in a folder that everybody can reach."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody else")
    base = Path(tempfile.mkdtemp(prefix="ray-hostile-", dir="/tmp"))
    base.chmod(0o755)
    repo = Repo.copy(world, base / "repo")
    for path in (repo.folder, *repo.folder.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)
    yield repo
    shutil.rmtree(base)
    shutil.rmtree(f"/tmp/ray-tui-{UID}", ignore_errors=True)


def test_a_store_that_may_not_be_written_is_said_before_anything_starts(elsewhere):
    """Not one step is taken: the folder, the reason, what a run needs. (P18)"""
    store = elsewhere.folder / ".artifacts" / "monitoring"
    shutil.rmtree(store, ignore_errors=True)
    os.chown(store.parent, 0, 0)
    done = elsewhere.run(wrap=as_user(UID), cwd="/")
    assert done.code in (2, 3), done.said
    assert str(store) in done.err
    assert "ermission denied" in done.err or "cannot be" in done.err


def test_a_context_folder_that_may_not_be_written_fails_the_prerequisites(elsewhere):
    """The write test is real: a verdict names the folder and what to do. (P19)"""
    kit = elsewhere.folder / ".cursor" / "context-kit"
    kit.mkdir(parents=True, exist_ok=True)
    os.chown(kit, 0, 0)
    done = elsewhere.run(wrap=as_user(UID), cwd="/")
    assert done.code == 1, done.said
    found = elsewhere.criteria()["prerequisites.writable:.cursor/context-kit/"]
    assert found.verdict.value == "failed"
    assert str(kit) in found.actual
    assert "ermission denied" in found.actual
    assert "writable" in found.remedy


def test_a_paper_that_may_not_be_read_is_named(elsewhere):
    """Somebody else's file, mode 0600: a failed verdict with the path and its permissions. (P1)"""
    path = elsewhere.deployment / "post-deployment-validation.json"
    os.chown(path, 0, 0)
    path.chmod(0o600)
    done = elsewhere.run(wrap=as_user(UID), cwd="/")
    assert done.code == 1, done.said
    found = elsewhere.criteria()["prerequisites.artifact:post-deployment-validation.json"]
    assert "ermission" in found.actual


def test_a_folder_of_papers_that_may_not_be_entered_is_named(elsewhere):
    """Not "missing": the papers may be there, we cannot look. (P1)"""
    os.chown(elsewhere.deployment, 0, 0)
    elsewhere.deployment.chmod(0o700)
    done = elsewhere.run(wrap=as_user(UID), cwd="/")
    assert done.code == 1, done.said
    for name in ("post-deployment-validation.json", "DEPLOYMENT-REPORT.md"):
        assert "ermission" in elsewhere.criteria()[f"prerequisites.artifact:{name}"].actual


def test_a_socket_folder_with_a_loose_mode_is_refused(elsewhere):
    """A /tmp/ray-tui-<uid> that others may enter is not used: exit 2, its path, what to do; no run is begun."""
    folder = Path(f"/tmp/ray-tui-{UID}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chown(folder, UID, UID)
    folder.chmod(0o777)
    done = elsewhere.run(wrap=as_user(UID), cwd="/")
    assert done.code == 2, done.said
    assert str(folder) in done.err
    assert "0700" in done.err


@pytest.mark.parametrize("name", ["file", "missing"])
def test_a_configured_socket_folder_that_is_none_is_refused(repo, tmp_path, name):
    """Exit 2 with the key's name."""
    if name == "file":
        (tmp_path / name).touch()
    repo.config.write_text(repo.config.read_text() + f'\n[host]\nsocket_dir = "{tmp_path / name}"\n')
    done = repo.run()
    assert done.code == 2, done.said
    assert "socket_dir" in done.err


def test_an_evidence_folder_that_is_a_file_is_named(repo):
    """Where the store should be stands a file: the path, and what to do."""
    shutil.rmtree(repo.store, ignore_errors=True)
    repo.store.write_text("in the way")
    done = program("run", "--headless", "--config", repo.config, "--answers", repo.answers)
    assert done.code in (2, 3), done.said
    assert str(repo.store) in done.err
