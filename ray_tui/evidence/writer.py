"""Put a file on disk so that a reader, or a crash, sees all of it or none of it."""

import contextlib
import errno
import hashlib
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ray_tui.core.errors import EvidenceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_TODO = {
    errno.ENOSPC: "the disk is full: free some space, then retry",
    errno.EDQUOT: "your disk quota is used up: free some space, then retry",
    errno.EROFS: "the file system is read-only: remount it, or choose another output folder",
    errno.EACCES: "you may not write there: fix the folder's owner or mode, or choose another output folder",
    errno.EPERM: "you may not write there: fix the folder's owner or mode, or choose another output folder",
    errno.ENOTDIR: "a part of the path is a file: move it away, or choose another output folder",
    errno.EISDIR: "a folder of that name is in the way: move it away, then retry",
    errno.EEXIST: "a file stands where the folder should be: move it away, or choose another output folder",
    errno.EIO: "the disk reports an error: check it (dmesg), choose another output folder",
}
_counter = itertools.count()


@dataclass(frozen=True)
class Written:
    """What is now on disk, as read back."""

    name: str
    sha256: str
    size: int


def publish(folder: Path, name: str, data: bytes) -> Written:
    """Replace ``folder/name`` atomically and durably, then read it back. Creates the folder where it is
    absent.

    ``name`` is one plain file name. Raises EvidenceError naming the path and what to do; the old file then
    still stands (unless only the last step failed: the flush of the folder, or the reading back).
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise EvidenceError(f"cannot write {name!r}: not a plain file name (letters, digits, dots, - and _)")
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, data)
        with path.open("rb") as file:
            back = file.read(len(data) + 1)
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    if back != data:
        raise EvidenceError(f"{path}: what was read back differs from what was written: check the disk, then retry")
    return Written(name, hashlib.sha256(back).hexdigest(), len(back))


def cannot_write(path: Path, exc: OSError) -> EvidenceError:
    """The error to raise for a failed write: the path, what happened, what to do."""
    todo = _TODO.get(exc.errno or 0, "fix that, then retry")
    return EvidenceError(f"cannot write {path}: {exc.strerror or exc}; {todo}")


def _replace(path: Path, data: bytes) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        temporary, file = _open_temporary(folder, path.name)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the news
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)  # or a crash may bring the old name back
    finally:
        os.close(folder)


def _open_temporary(folder: int, name: str) -> tuple[str, int]:
    """A new hidden file beside the target, under a name that nobody has."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        temporary = f".{name[:180]}.{os.getpid()}-{next(_counter)}.tmp"
        try:
            return temporary, os.open(temporary, flags, 0o644, dir_fd=folder)
        except FileExistsError:
            continue
