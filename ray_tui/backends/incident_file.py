"""Past incidents from a CSV or JSON file that some other tool exported; every complaint names the file and the line."""

import asyncio
import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import Strict
from ray_tui.backends.answers import deeper_than, moment, unwell
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendRefused
from ray_tui.core.ports import Health, Incident

LARGEST = 50 * 1024 * 1024
REQUIRED = ("id", "service", "started_at")
OPTIONAL = ("title", "ended_at", "severity", "url", "alert_keys", "action")

Row = tuple[int, Mapping[str, Any]]


class Settings(Strict):
    """A file of incidents.

    CSV with a header line, or JSON: a list of objects, or ``{"incidents": [...]}``. Fields: id, service, started_at;
    if known title, ended_at, severity, url, alert_keys (in CSV separated by ``;``) and action. Times are RFC 3339 or
    unix seconds; without an offset they are UTC. Other fields are left alone."""

    kind: Literal["file"]
    """Which kind of system this is."""
    path: Path
    """The file, ending in .csv or .json; from the configuration's folder where it is relative."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("incidents", "file"): Settings}


def open(settings: Settings, opening: Opening) -> "IncidentFile":  # noqa: A001 (each backend file has one)
    return IncidentFile(opening.path(settings.path))


class IncidentFile:
    """``Incidents`` in a file, read anew at each question."""

    name = "incident file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def close(self) -> None:
        """Nothing is kept open."""

    async def health(self) -> Health:
        try:
            found = await asyncio.to_thread(read, self._path)
        except BackendError as error:
            return unwell(error)
        return Health(True, f"{self._path} holds {len(found)} incidents")

    async def between(self, start: float, end: float) -> tuple[Incident, ...]:
        """Those that overlap the window, oldest first."""
        found = await asyncio.to_thread(read, self._path)
        inside = [one for one in found if one.started_at < end and (one.ended_at is None or one.ended_at > start)]
        return tuple(sorted(inside, key=lambda one: one.started_at))


def read(path: Path) -> tuple[Incident, ...]:
    """Every incident of the file. BackendRefused names the file and the line of the first thing wrong."""
    text = _text(path)
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text)
    return tuple(_incident(path, line, row) for line, row in rows)


def _refused(path: Path, line: int | None, what: str, todo: str) -> BackendRefused:
    where = f"{path}:{line}" if line else str(path)
    return BackendRefused("incidents", untrusted.line(f"{where}: {what}", 500), todo)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as exc:
        raise _refused(path, None, f"cannot be read ({exc.strerror})", "Correct `path`") from exc
    if len(content) > LARGEST:
        raise _refused(path, None, f"is larger than {LARGEST // (1024 * 1024)} MB", "Export a shorter time")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise _refused(path, line, "is not UTF-8", "Export it as UTF-8") from None


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise _refused(path, 1, f"has no column {', '.join(missing)}", f"Its header names {', '.join(REQUIRED)}")
        reader.fieldnames = names
        before = reader.line_num
        for row in reader:
            if None in row or None in row.values():
                raise _refused(path, before + 1, f"has not {len(names)} fields", "Quote fields that hold a comma")
            yield before + 1, {name: value.strip() for name, value in row.items()}
            before = reader.line_num
    except csv.Error as exc:
        raise _refused(path, reader.line_num, f"is no CSV ({exc})", "Correct the line") from None


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    decoder = json.JSONDecoder()
    try:
        whole = decoder.decode(text)
    except json.JSONDecodeError as exc:
        raise _refused(path, exc.lineno, f"is no JSON ({exc.msg})", "Correct the line") from None
    except (RecursionError, ValueError):
        raise _refused(
            path, None, "is no JSON that can be read (too deep, or a number too long)", "Correct it"
        ) from None
    inner = whole.get("incidents") if isinstance(whole, dict) else whole
    if not isinstance(inner, list) or deeper_than(whole, 64):
        raise _refused(path, 1, "holds no list of incidents", 'Write [...] or {"incidents": [...]}')
    lines = _lines_of(text, decoder, wrapped=isinstance(whole, dict))
    for row in inner:
        line = next(lines, 0)
        if not isinstance(row, dict):
            raise _refused(path, line, "is no object", "Each incident is {...}")
        yield line, row


def _lines_of(text: str, decoder: json.JSONDecoder, *, wrapped: bool) -> Iterator[int]:
    """The line on which each element of the list begins, found by decoding one after the other."""
    start = re.search(r'"incidents"\s*:\s*\[' if wrapped else r"\[", text)
    at = start.end() if start else len(text)
    line, counted = 1, 0
    while found := re.compile(r"[\s,]*").match(text, at):
        at = found.end()
        if at >= len(text) or text[at] == "]":
            return
        line, counted = line + text.count("\n", counted, at), at
        yield line
        _, at = decoder.raw_decode(text, at)


def _incident(path: Path, line: int, row: Mapping[str, Any]) -> Incident:
    for name in REQUIRED:
        if row.get(name) in (None, ""):
            raise _refused(path, line, f"has no {name}", f"Each incident has {', '.join(REQUIRED)}")
    started = _time(path, line, "started_at", row["started_at"])
    ended = _time(path, line, "ended_at", row["ended_at"]) if row.get("ended_at") not in (None, "") else None
    if ended is not None and ended < started:
        raise _refused(path, line, "ended_at is before started_at", "Correct one of them")
    keys = row.get("alert_keys") or ()
    keys = keys.split(";") if isinstance(keys, str) else keys

    def text(name: str) -> str:
        return untrusted.line(str(row.get(name) or ""))

    return Incident(
        id=text("id"),
        title=text("title"),
        service=text("service"),
        started_at=started,
        ended_at=ended,
        severity=text("severity"),
        source=f"{path.name}:{line}",
        url=text("url"),
        alert_keys=tuple(untrusted.line(str(key).strip()) for key in keys if str(key).strip()),
        action=text("action"),
    )


def _time(path: Path, line: int, name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError("a truth value")
        number = float(value)
        if not math.isfinite(number):
            raise _refused(path, line, f"{name} is no time", "Write RFC 3339 or unix seconds")
        return number
    except (TypeError, ValueError):
        pass
    try:
        return moment(str(value).strip())
    except ValueError:
        shown = untrusted.line(str(value), 60)
        raise _refused(
            path, line, f"{name} {shown!r} is no time", "Write 2026-11-22T19:15:00Z or unix seconds"
        ) from None
