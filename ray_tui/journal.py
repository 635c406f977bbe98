"""The run's memory on disk: appended and synced before anyone is told, read back and verified line by line."""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from ray_tui import chain
from ray_tui.core.errors import JournalError, TamperError
from ray_tui.core.facts import Entry, entry_from_json
from ray_tui.core.value import Value

LONGEST_LINE = 64 * 1024 * 1024


class Line(Value):
    """One verified line: its entry, the chain's head after it, and its bytes as they stand in the file."""

    entry: Entry
    head: str
    raw: bytes


def read(path: Path, *, tail: bool = False) -> Iterator[Line]:
    """Every entry of a journal, verified in passing.

    An unterminated last line is what a crash leaves, and ends the reading silently when ``tail`` is true; otherwise it
    raises like everything else that is not as written: TamperError with a cause id (``journal.chain``,
    ``journal.json``, ``journal.seq``, ``journal.torn``).
    """
    head = chain.GENESIS
    expected = 1
    try:
        file = path.open("rb")
    except OSError as exc:
        raise JournalError(f"{path}: cannot be read: {exc.strerror}. Check the path and its permissions.") from exc
    with file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                if tail:
                    return
                raise TamperError("journal.torn", f"{path}:{number}: the last line is cut off")
            try:
                head, body = chain.open_line(head, raw[:-1])
            except ValueError as exc:
                raise TamperError("journal.chain", f"{path}:{number}: {exc}") from exc
            try:
                entry = entry_from_json(json.loads(body))
            except (ValueError, KeyError, RecursionError, TypeError) as exc:
                raise TamperError("journal.json", f"{path}:{number}: is not an entry: {exc}") from exc
            if entry.seq != expected:
                raise TamperError("journal.seq", f"{path}:{number}: is entry {entry.seq}, expected {expected}")
            expected += 1
            yield Line(entry, head, raw)


class Journal:
    """The one writer of a journal. Open it by ``Journal.open``; the caller holds the run's lock."""

    def __init__(self, path: Path, fd: int, head: str, seq: int, torn: str) -> None:
        self.path = path
        self.head = head
        self.seq = seq
        self.torn = torn
        """Name of the file that keeps a cut-off tail which was found at opening; empty when there was none."""
        self.broken: str = ""
        """Why nothing can be written any more; empty while all is well."""
        self._fd = fd
        self._unsynced = False
        self._syncing = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> "tuple[Journal, list[Line]]":
        """The journal, and what it holds already. An unterminated tail is kept aside and cut."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines: list[Line] = []
        torn = ""
        if path.exists():
            lines = list(read(path, tail=True))
            good = sum(len(line.raw) for line in lines)
            size = path.stat().st_size
            if size > good:
                torn = _cut(path, good)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as exc:
            raise JournalError(f"{path}: cannot be written: {exc.strerror}. A run needs its journal on disk.") from exc
        _sync_folder(path.parent)
        head = lines[-1].head if lines else chain.GENESIS
        return cls(path, fd, head, len(lines), torn), lines

    def append(self, entries: Iterable[Entry]) -> list[Line]:
        """Write entries in order. On disk when it returns if any of them is durable.

        What it answers is what a reader will make of them: a run is the same before and after a resume. Raises
        ValueError, before anything is written, where one is not of its form.
        Raises JournalError when the disk refuses; from then on the journal is read-only: what it acknowledged is safe.
        """
        if self.broken:
            raise JournalError(f"{self.path}: read-only since a write failed ({self.broken}); free space, then resume")
        head = self.head
        lines = []
        durable = False
        for entry in entries:
            body = json.dumps(
                entry.to_builtins(), ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True
            )
            head, raw = chain.seal(head, body.encode("ascii"))
            lines.append(Line(entry_from_json(json.loads(body)), head, raw))
            durable = durable or entry.fact.durable
        data = b"".join(line.raw for line in lines)
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                raise OSError(28, f"only {written} of {len(data)} bytes were written")
            if durable:
                os.fdatasync(self._fd)
        except OSError as exc:
            self.broken = str(exc)
            raise JournalError(
                f"{self.path}: cannot be written: {exc}. Nothing acknowledged is lost; free space on the disk, "
                "then `ray-tui run --resume`."
            ) from exc
        self._unsynced = not durable
        self.head = head
        self.seq += len(lines)
        return lines

    def flush(self) -> None:
        """Put batched observations on disk. May be called in another thread: a busy disk takes its time."""
        with self._syncing:
            if not self._unsynced or self.broken or self._fd < 0:
                return
            self._unsynced = False  # what is appended from here on is for the next time
            try:
                os.fdatasync(self._fd)
            except OSError as exc:
                self.broken = str(exc)
                raise JournalError(f"{self.path}: cannot be written: {exc}") from exc

    def close(self) -> None:
        if self._fd >= 0:
            if not self.broken:
                self.flush()
            with self._syncing:
                os.close(self._fd)
                self._fd = -1


def _cut(path: Path, good: int) -> str:
    """Keep the tail as ``torn-<n>.bin`` beside the journal, then cut it off."""
    with path.open("rb") as file:
        file.seek(good)
        tail = file.read(LONGEST_LINE)
    number = 1
    while (kept := path.with_name(f"torn-{number}.bin")).exists():
        number += 1
    with kept.open("wb") as file:
        file.write(tail)
        file.flush()
        os.fsync(file.fileno())
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, good)
        os.fsync(fd)
    finally:
        os.close(fd)
    return kept.name


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
