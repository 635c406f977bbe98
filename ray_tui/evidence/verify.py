"""Whether a package is, to the last byte, the one that was sealed. Nothing is ever extracted."""

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui import chain
from ray_tui.core.errors import EvidenceError, TamperError
from ray_tui.evidence import package, text
from ray_tui.evidence.package import CENTRAL, END, INNER_MANIFEST, JOURNAL, LOCAL

_END_SIZE = 22
Chained = Callable[[bytes], tuple[str, int]]
"""Journal bytes -> (head hash, last seq); raises ValueError where the chain breaks."""


@dataclass(frozen=True)
class Report:
    """``cause`` is a stable id ("" when ok), the most telling of all ``causes``; ``details`` are for people.

    size.cap, file.unreadable, manifest.shape, zip.end, zip.prefix, zip.suffix, zip.comment, zip.layout,
    zip.name, zip.duplicate, zip.missing, zip.extra, file.hash, manifest.hash, manifest.twins,
    journal.missing, journal.chain, journal.head, zip.rebuild, zip.hash.
    """

    ok: bool
    cause: str
    details: tuple[str, ...]
    causes: tuple[str, ...] = ()
    through_seq: int | None = None
    files: tuple[str, ...] = ()


class _BadError(Exception):
    """A check that ends the reading of the zip: what follows would have no meaning."""

    def __init__(self, cause: str, why: str) -> None:
        self.cause, self.why = cause, why
        super().__init__(why)


def verify_zip(
    source: Path | bytes,
    outer: Mapping[str, Any] | bytes,
    *,
    cap: int = package.MOST_BYTES,
    chained: Chained | None = None,
) -> Report:
    """Check a package against its outer manifest (decoded, or the bytes of the file). Never raises on bad
    input.

    The manifest itself must be trusted: compare its hash with the signed approval first.
    """
    causes: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    through: int | None = None
    try:
        data = _read(source, min(cap, package.MOST_BYTES))
        manifest = _outer(outer)
        through = manifest["through_seq"]
        if hashlib.sha256(data).hexdigest() != manifest["zip"]["sha256"] or len(data) != manifest["zip"]["size"]:
            causes.append(("zip.hash", "the zip is not the one whose hash the manifest names"))
        files = read_strict(data)
        causes[:0] = _inside(files, manifest, chained or journal_head)
        if package.zip_bytes(files) != data:
            causes.insert(0, ("zip.rebuild", "the same files, zipped again, give other bytes"))
    except _BadError as bad:
        causes.insert(0, (bad.cause, bad.why))
    return Report(
        ok=not causes,
        cause=causes[0][0] if causes else "",
        details=tuple(f"{cause}: {why}" for cause, why in causes),
        causes=tuple(cause for cause, _ in causes),
        through_seq=None if causes else through,
        files=() if causes else tuple(sorted(files)),
    )


def _read(source: Path | bytes, cap: int) -> bytes:
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                source = file.read(cap + 1)
        except OSError as exc:
            raise _BadError("file.unreadable", f"cannot read {exc.filename}: {exc.strerror}") from exc
    if len(source) > cap:
        raise _BadError("size.cap", f"larger than the cap of {cap} bytes")
    return source


def _outer(outer: Mapping[str, Any] | bytes) -> Mapping[str, Any]:
    try:
        found = text.loads(outer, package.MANIFEST_NAME) if isinstance(outer, bytes) else outer
    except EvidenceError as exc:
        raise _BadError("manifest.shape", str(exc)) from exc
    zipped = found.get("zip") if isinstance(found, Mapping) else None
    good = (
        isinstance(zipped, Mapping)
        and found.get("schema") == package.SCHEMA
        and isinstance(zipped.get("sha256"), str)
        and type(zipped.get("size")) is int
        and isinstance(found.get("inner_manifest_sha256"), str)
        and isinstance(found.get("journal_head"), str)
        and type(found.get("through_seq")) is int
        and isinstance(found.get("files"), list)
    )
    if not good:
        raise _BadError("manifest.shape", f"is not an outer manifest of {package.SCHEMA}")
    return found


def open_package(path: Path) -> dict[str, bytes]:
    """The files of a package that stands alone, to be read. Raises TamperError with the cause of what is wrong with it.

    Without its manifest it can only be held against itself: whole, of our making, and each file as its checksum says.
    """
    try:
        data = _read(path, package.MOST_BYTES)
        files = read_strict(data)
        if package.zip_bytes(files) != data:
            raise _BadError("zip.rebuild", "the same files, zipped again, give other bytes")
    except _BadError as bad:
        raise TamperError(bad.cause, f"{path}: {bad.why}. Fetch it again, or `ray-tui verify` its run.") from bad
    return files


# --- the container ---------------------------------------------------------------------------------------------------


def read_strict(data: bytes) -> dict[str, bytes]:
    """The files of a zip that our writer could have made. Raises ``_BadError`` on anything else."""
    if not data.startswith(LOCAL):
        raise _BadError("zip.prefix", "does not begin with a file: something stands before it, or it is no zip")
    count, size, start = _end(data)
    if start + size != len(data) - _END_SIZE:
        raise _BadError("zip.prefix", "its directory is not where it says: something was put before or between")
    found: dict[str, bytes] = {}
    names: list[str] = []
    at, expected = start, 0
    for _ in range(count):
        name, offset, crc, length, at = _directory_entry(data, at, len(data) - _END_SIZE)
        if offset != expected:
            raise _BadError("zip.layout", f"{name!r:.100}: files overlap, or something lies between them")
        begin = offset + 30 + len(name)
        header = data[offset:begin]
        if header[:4] != LOCAL or header[30:] != name.encode("ascii"):
            raise _BadError("zip.layout", f"{name!r:.100}: its two headers name different files")
        if header[14:26] != struct.pack("<III", crc, length, length) or header[26:30] != struct.pack(
            "<HH", len(name), 0
        ):
            raise _BadError("zip.layout", f"{name!r:.100}: its two headers disagree")
        expected = begin + length
        if expected > start:
            raise _BadError("zip.layout", f"{name!r:.100}: runs into the directory")
        names.append(name)
        found[name] = data[begin:expected]
    if at != len(data) - _END_SIZE or expected != start:
        raise _BadError("zip.layout", "holds bytes that belong to no file")
    if len(set(names)) != len(names):
        raise _BadError("zip.duplicate", "a name is there twice")
    problem = package.bad_names(names)
    if problem:
        raise _BadError("zip.duplicate" if problem.endswith("twice") else "zip.name", problem)
    return found


def _end(data: bytes) -> tuple[int, int, int]:
    """Files, size and start of the directory, from an end record that is the very end."""
    at = data.rfind(END)
    if at < 0 or len(data) - at < _END_SIZE:
        raise _BadError("zip.end", "has no end: it is cut off, or no zip")
    disk, directory_disk, here, count, size, start, comment = struct.unpack("<HHHHIIH", data[at + 4 : at + 22])
    if len(data) - at != _END_SIZE or comment:
        tail = len(data) - at - _END_SIZE
        if comment == tail:
            raise _BadError("zip.comment", f"carries a comment of {comment} bytes")
        raise _BadError("zip.suffix", f"{tail} bytes follow its end")
    if disk or directory_disk or here != count:
        raise _BadError("zip.layout", "claims to be one part of several")
    return count, size, start


def _directory_entry(data: bytes, at: int, limit: int) -> tuple[str, int, int, int, int]:
    """Name, offset, CRC and length of one file, and where the next entry begins."""
    if at + 46 > limit or data[at : at + 4] != CENTRAL:
        raise _BadError("zip.layout", "its directory does not list as many files as it says")
    flags, method = struct.unpack("<HH", data[at + 8 : at + 12])
    crc, packed, length, name_size, extra, comment = struct.unpack("<IIIHHH", data[at + 16 : at + 34])
    offset: int = struct.unpack("<I", data[at + 42 : at + 46])[0]
    end = at + 46 + name_size
    if end > limit:
        raise _BadError("zip.layout", "its directory is cut off")
    try:
        name = data[at + 46 : end].decode("ascii")
    except UnicodeDecodeError:
        raise _BadError("zip.name", "a name holds more than ASCII") from None
    if comment:
        raise _BadError("zip.comment", f"{name!r:.100} carries a comment")
    if flags or method or extra or packed != length:
        raise _BadError("zip.layout", f"{name!r:.100}: is encrypted, compressed or extended; ours are only stored")
    return name, offset, crc, length, end


# --- what it holds ---------------------------------------------------------------------------------------------------


def _inside(files: Mapping[str, bytes], outer: Mapping[str, Any], chained: Chained) -> list[tuple[str, str]]:
    if INNER_MANIFEST not in files:
        return [("zip.missing", f"{INNER_MANIFEST} is missing")]
    raw = files[INNER_MANIFEST]
    if hashlib.sha256(raw).hexdigest() != outer["inner_manifest_sha256"]:
        return [("manifest.hash", f"{INNER_MANIFEST} is not the one whose hash the outer manifest names")]
    try:
        inner = text.loads(raw, INNER_MANIFEST)
        listed = {one["name"]: (one["sha256"], one["size"]) for one in inner["files"]}
    except (EvidenceError, KeyError, TypeError) as exc:
        return [("manifest.shape", f"{INNER_MANIFEST} is not a list of files: {exc!r:.200}")]
    causes = []
    if inner["files"] != outer["files"] or inner.get("header") != outer.get("header"):
        causes.append(("manifest.twins", "the two manifests say different things"))
    there = files.keys() - {INNER_MANIFEST}
    causes += [("zip.missing", f"{name} is listed but not there") for name in sorted(listed.keys() - there)]
    causes += [("zip.extra", f"{name} is there but not listed") for name in sorted(there - listed.keys())]
    for name in sorted(there & listed.keys()):
        if (hashlib.sha256(files[name]).hexdigest(), len(files[name])) != listed[name]:
            causes.append(("file.hash", f"{name} is not the file that was sealed"))
    return causes + _journal(files, outer, chained)


def _journal(files: Mapping[str, bytes], outer: Mapping[str, Any], chained: Chained) -> list[tuple[str, str]]:
    if JOURNAL not in files:
        return [("journal.missing", f"{JOURNAL} is not in the package")]
    try:
        head, last = chained(files[JOURNAL])
    except ValueError as exc:
        return [("journal.chain", str(exc))]
    if head != outer["journal_head"] or last != outer["through_seq"]:
        sealed = f"fact {outer['through_seq']} ({outer['journal_head']:.12}…)"
        return [("journal.head", f"ends at fact {last} ({head:.12}…), was sealed at {sealed}")]
    return []


def journal_head(data: bytes) -> tuple[str, int]:
    """The head hash and the last ``seq`` of a journal. Raises ValueError naming the first line that is wrong."""
    if not data.endswith(b"\n"):
        raise ValueError(f"{JOURNAL}: its last line is cut off" if data else f"{JOURNAL}: is empty")
    head, body = chain.GENESIS, b""
    for number, line in enumerate(data[:-1].split(b"\n"), 1):
        try:
            head, body = chain.open_line(head, line)
        except ValueError as exc:
            raise ValueError(f"{JOURNAL} line {number}: {exc}") from None
    try:
        last = text.loads(body, JOURNAL)["seq"]
    except (EvidenceError, KeyError, TypeError):
        raise ValueError(f"{JOURNAL}: its last line names no seq") from None
    if type(last) is not int:
        raise ValueError(f"{JOURNAL}: its last line names no seq")
    return head, last
