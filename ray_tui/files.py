"""A file that somebody else wrote: read whole up to a limit, whatever stands at its path."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_tui.core.errors import InputError

NO_FILE = "no such file"


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a regular file, to read from; never waits, whatever stands there.

    Raises InputError naming the path and what to do: missing, unreadable, a folder, a FIFO, a device."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # non-blocking: a FIFO nobody writes to
    except OSError as exc:
        if exc.errno == errno.ELOOP or (exc.errno == errno.ENOENT and path.is_symlink()):
            raise InputError(f"{path}: is a symbolic link that leads to no file. Correct or remove it.") from exc
        if exc.errno == errno.ENOENT:
            raise InputError(f"{path}: {NO_FILE}") from exc
        raise InputError(f"{path}: cannot be read: {exc.strerror}. Check its permissions.") from exc
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"{path}: is {_kind(mode)}, not a file. Put the file itself there.")
        yield fd
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}. Check the disk.") from exc
    finally:
        os.close(fd)


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file. Raises InputError as ``opened``, and where there are more than ``limit``."""
    with opened(path) as fd:
        size = os.fstat(fd).st_size
        if size > limit:
            raise InputError(f"{path}: has {size} bytes, over the limit of {limit}. Is it the right file?")
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        raise InputError(f"{path}: is over the limit of {limit} bytes. Is it the right file?")
    return data


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"
