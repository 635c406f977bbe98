"""A file that somebody else wrote: read whole up to a limit, whatever stands at its path."""

import errno
import os
import stat
from pathlib import Path

from ray_tui.core.errors import InputError

NO_FILE = "no such file"


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; never waits, whatever stands there.

    Raises InputError naming the path and what to do: missing, unreadable, a folder, a FIFO, a device, too large."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # non-blocking: a FIFO nobody writes to
    except OSError as exc:
        if exc.errno == errno.ELOOP or (exc.errno == errno.ENOENT and path.is_symlink()):
            raise InputError(f"{path}: is a symbolic link that leads to no file. Correct or remove it.") from exc
        if exc.errno == errno.ENOENT:
            raise InputError(f"{path}: {NO_FILE}") from exc
        raise InputError(f"{path}: cannot be read: {exc.strerror}. Check its permissions.") from exc
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: is {_kind(found.st_mode)}, not a file. Put the file itself there.")
        if found.st_size > limit:
            raise InputError(f"{path}: has {found.st_size} bytes, over the limit of {limit}. Is it the right file?")
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}. Check the disk.") from exc
    finally:
        os.close(fd)
    if len(data) > limit:
        raise InputError(f"{path}: is over the limit of {limit} bytes. Is it the right file?")
    return data


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"
