"""Where a run's lock and its socket lie, and who the kernel says is there: what a console needs to find its host."""

import contextlib
import errno
import fcntl
import os
import pwd
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ray_tui.core.errors import InputError, RayError
from ray_tui.core.value import Changing

if TYPE_CHECKING:
    from ray_tui.config import Config
    from ray_tui.core.policy import Person
    from ray_tui.whereabouts import Whereabouts

ASKED_SECONDS = 1.0
"""How long a lock that is held may only have been asked about, over and over; a host holds it for longer."""
LONGEST_PATH = 107
"""Bytes of an AF_UNIX path on Linux."""


class RunLocked(RayError):
    """Another host carries this run out already."""


class Lock(Changing):
    """flock on a folder, a run's or a store's: it ends with the process, however that dies."""

    fd: int

    @classmethod
    def take(cls, run_folder: Path) -> "Lock":
        try:
            run_folder.mkdir(parents=True, exist_ok=True)
            fd = _open(run_folder / "host.lock")
        except OSError as exc:
            raise InputError(
                f"{run_folder}: cannot be used: {exc.strerror}. A run needs a folder it can write, with free space."
            ) from exc
        until = time.monotonic() + ASKED_SECONDS
        while not _flock(fd, fcntl.LOCK_EX):
            if time.monotonic() > until:
                os.close(fd)
                raise RunLocked(
                    f"{run_folder.name}: a host carries this run out already. "
                    f"Join it: `ray-tui attach {run_folder.name}`"
                )
            time.sleep(0.005)
        return cls(fd)

    def release(self) -> None:
        os.close(self.fd)


def _open(path: Path) -> int:
    """Another person of the team, whose host came first, may have left the lock; to read it is enough to lock it."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def is_locked(run_folder: Path) -> bool:
    """Whether a host is alive for this run; also for whoever may read the lock only, as another person of the team.

    A lock that may not even be read counts as held: whoever wants to attach then hears it from the socket.
    """
    try:
        fd = os.open(run_folder / "host.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _flock(fd: int, how: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def socket_folder(config: "Config | Whereabouts | None") -> Path:
    """Where sockets lie; created 0700 where it is ours alone. Raises InputError when it is not safe to use."""
    chosen = config.host.socket_dir if config is not None else ""
    if chosen:
        folder = Path(chosen)
        if not folder.is_dir():
            raise InputError(f"{folder}: [host] socket_dir is not a folder; create it (mode 2750, group [host] group)")
        return folder
    folder = Path("/tmp") / f"ray-tui-{os.getuid()}"  # noqa: S108 (owner and mode are checked at every open, as tmux does)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise InputError(f"{folder}: must be a folder of yours with mode 0700, and is not; remove it, then try again")
    return folder


def short_id(run_id: str) -> str:
    """The last part of a run id: 7f3a of 2026-11-22T1915Z-checkout-v2.4.1-7f3a."""
    return run_id.rsplit("-", 1)[-1]


def socket_path(run_id: str, config: "Config | Whereabouts | None") -> Path:
    path = socket_folder(config) / f"{short_id(run_id)}.sock"
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InputError(f"{path}: is longer than {LONGEST_PATH} bytes; set a shorter [host] socket_dir")
    return path


def meeting_place(run_id: str, config: "Config | Whereabouts") -> Path:
    """The socket of a run that a host carries out. RayError where this OS user cannot meet that host there."""
    path = socket_path(run_id, config)
    try:
        path.stat()
        why = "" if os.access(path, os.W_OK) else os.strerror(errno.EACCES)
    except OSError as exc:
        why = exc.strerror or str(exc)
    if not why:
        return path
    host = config.host
    if host.socket_dir and host.group:
        todo = f"Be in its group, [host] group = {host.group!r} (log in anew after a change), and in the same folder."
    else:
        todo = (
            "Where that is another OS user, nobody else can join it: people of several OS users meet in "
            "[host] socket_dir (a folder of mode 2750) with [host] group, which a host reads when it starts. Set both, "
            f"stop the host (SIGTERM), and its user goes on: `ray-tui run --resume --run {run_id}`; approvals hold."
        )
    raise RayError(f"{path}: {why}. A host carries {run_id} out, and not where {_me()} could meet it. {todo}")


def _me() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def others(people: "Mapping[str, Person]") -> tuple[str, ...]:
    """Who of [people] has a console under another OS user than this process."""
    named = [name for name, person in people.items() if person.login or person.uid is not None]
    me = person_of(os.getuid(), people)
    return tuple(name for name in named if name != me)


def person_of(uid: int, people: "Mapping[str, Person]") -> str:
    """The person of [people] whose consoles run as this OS user; ``uid:<n>`` when nobody's do."""
    try:
        login = pwd.getpwuid(uid).pw_name
    except KeyError:
        login = ""
    for key, person in people.items():
        if person.uid == uid or (person.login and person.login == login):
            return key
    return f"uid:{uid}"
