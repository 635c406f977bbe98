"""Alertmanager's event recorder: the JSON lines that it writes, read on from where they ended when we began.

Written against eventrecorder.proto of Alertmanager (``--enable-feature=event-recorder``): its first schema has labels
as lists of key and value, and details of an alert only under ``alerts``; the second has maps. Both are read.
"""

import asyncio
import json
import os
import re
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ray_tui.backends.answers import DEEPEST, Answer, deeper_than, moment
from ray_tui.backends.http import LARGE, Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendRefused
from ray_tui.core.ports import Labels, SentEvent

TAIL_BYTES = 4 * 1024 * 1024
"""How far before its end a log is looked at where something happened before we began."""
STEP_BYTES = 8 * 1024 * 1024
"""At most this much in one look; what is left is for the next one."""
LONGEST_LINE = 1024 * 1024
MOST_EVENTS = 20_000
"""Notifications that are remembered."""
_RANGE = re.compile(r"bytes \d+-\d+/(\d+)")


@dataclass(frozen=True)
class Notified:
    """One notification event, and the labels of the alerts in it that fired."""

    event: SentEvent
    firing: tuple[Labels, ...]


class Source(Protocol):
    """Bytes that only grow, until they begin anew."""

    async def size(self) -> tuple[int, str]:
        """How many bytes there are, and what tells this file from the one that replaces it."""
        ...

    async def read(self, offset: int, most: int) -> bytes: ...

    async def close(self) -> None: ...


class EventLog:
    """One peer's log. ``read`` takes in what is new; ``about`` looks through what was taken in."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._offset: int | None = None
        self._identity = ""
        self._rest = b""
        self._skipping = False
        """Inside a line that is too long to be ours."""
        self._found: deque[Notified] = deque(maxlen=MOST_EVENTS)
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        await self._source.close()

    async def read(self, *, earlier: bool) -> None:
        """``earlier``: on the first look, also at the end of what was there before it. Raises BackendError."""
        async with self._reading:
            size, identity = await self._source.size()
            if self._offset is None:
                self._offset, self._identity = (max(0, size - TAIL_BYTES) if earlier else size), identity
                self._skipping = earlier and self._offset > 0
            elif size < self._offset or identity != self._identity:  # rotated
                self._offset, self._identity, self._rest, self._skipping = 0, identity, b"", False
            if size > self._offset:
                new = await self._source.read(self._offset, min(size - self._offset, STEP_BYTES))
                self._offset += len(new)
                self._take(new)

    def about(self, labels: Labels, since: float) -> Iterator[SentEvent]:
        for one in self._found:
            if one.event.at >= since and any(_has(firing, labels) for firing in one.firing):
                yield one.event

    def _take(self, new: bytes) -> None:
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            if not self._skipping and 0 < len(line) <= LONGEST_LINE:
                found = notified(line)
                if found is not None:
                    self._found.append(found)
            self._skipping = False
        if len(self._rest) > LONGEST_LINE:
            self._rest, self._skipping = b"", True


def _has(firing: Labels, wanted: Labels) -> bool:
    return bool(wanted) and all(firing.get(name) == value for name, value in wanted.items())


# --- lines -----------------------------------------------------------------------------------------------------------


def notified(line: bytes) -> Notified | None:
    """A notification that was sent; None for every other event, and for a line that is none."""
    if b"otification" not in line:
        return None
    try:
        event = json.loads(line.decode("utf-8"))
        if deeper_than(event, DEEPEST):
            return None
        sent = event["data"]["notification"]
        info, by = _field(sent, "group_info") or {}, _field(sent, "integration") or {}
        return Notified(
            SentEvent(
                at=moment(str(event.get("@timestamp") or event["timestamp"])),
                receiver=untrusted.line(str(_field(info, "receiver_name") or "")),
                integration=untrusted.line(str(by.get("name") or "")),
                index=int(by.get("index") or 0),
                peer=untrusted.line(str(event.get("instance") or "")),
            ),
            tuple(_firing(sent)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _firing(sent: Mapping[str, Any]) -> Iterator[Labels]:
    """Labels of the alerts that it told of as firing: a resolved one is marked as such where its details stand."""
    rows = [*(_field(sent, "alerts") or ()), *(_field(sent, "firing_alerts") or ())]
    for row in rows:
        details = row.get("details") or row
        if not details.get("resolved") and details.get("labels"):
            yield untrusted.labels(_pairs(details["labels"]))


def _pairs(labels: Mapping[str, Any]) -> dict[str, str]:
    listed = labels.get("labels")
    if isinstance(listed, list):  # the first schema
        return {str(one.get("key") or ""): str(one.get("value") or "") for one in listed}
    return {str(name): str(value) for name, value in labels.items()}


def _field(of: Mapping[str, Any], name: str) -> Any:
    """By its name in the schema, or as JSON writes it (``groupInfo``)."""
    first, *more = name.split("_")
    return of.get(first + "".join(part.title() for part in more), of.get(name))


# --- sources ---------------------------------------------------------------------------------------------------------


class FileSource:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def close(self) -> None:
        return None

    async def size(self) -> tuple[int, str]:
        try:
            return await asyncio.to_thread(self._size)
        except OSError as exc:
            raise self._unreadable(exc) from exc

    async def read(self, offset: int, most: int) -> bytes:
        try:
            return await asyncio.to_thread(self._read, offset, most)
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _unreadable(self, exc: OSError) -> BackendRefused:
        what = f"the event log {self._path} cannot be read: {exc.strerror}"
        return BackendRefused("alerting", what, "Check `event_log` and its permissions")

    def _size(self) -> tuple[int, str]:
        found = self._path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is no file")
        return found.st_size, f"{found.st_dev}:{found.st_ino}"

    def _read(self, offset: int, most: int) -> bytes:
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.pread(handle, most, offset)
        finally:
            os.close(handle)


class UrlSource:
    """The same file behind a web server; one that knows no ranges is read whole, up to 64 MiB."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._whole: bytes | None = None
        """What the last question was answered with, where the server knows no ranges."""

    async def close(self) -> None:
        await self._http.close()

    async def size(self) -> tuple[int, str]:
        self._whole = None
        answer = await self._asked("bytes=-1")
        if answer.status == 416:  # it is empty
            return 0, ""
        if answer.status == 200:
            self._whole = answer.body
            return len(answer.body), ""
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if found is None:
            raise answer.broken("its part of the event log does not say how long the whole is")
        return int(found.group(1)), ""

    async def read(self, offset: int, most: int) -> bytes:
        if self._whole is not None:
            return self._whole[offset : offset + most]
        answer = await self._asked(f"bytes={offset}-{offset + most - 1}")
        if answer.status == 416:  # it was replaced by a shorter one meanwhile: the next look sees that
            return b""
        return answer.body if answer.status == 206 else answer.body[offset : offset + most]

    async def _asked(self, part: str) -> Answer:
        headers = {"Range": part, "Accept-Encoding": "identity"}
        return await self._http.request("GET", "", headers=headers, accept=(200, 206, 416), limit=LARGE)
