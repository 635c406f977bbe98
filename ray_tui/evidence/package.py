"""The one zip that given files make: same files, same bytes, whoever builds it and wherever."""

import hashlib
import re
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_tui.core.errors import EvidenceError
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import text

ZIP_NAME = "MONITORING-PACKAGE.zip"
MANIFEST_NAME = "monitoring-package-manifest.json"
INNER_MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
BOOKS = ("waivers.json", "communication-log.jsonl", "improvement-backlog.json", "improvement-backlog.md")
"""What is written from the run itself, and has to be in the package."""
LIVING = frozenset({*BOOKS, "manual-validation-log.md", "evidence-index.json", JOURNAL})
"""What goes on after the seal: the package holds these as they were then."""
SCHEMA = "ray-tui/package/v1"
MOST_BYTES = 512 * 1024 * 1024
MOST_FILES = 10_000
THRESHOLD = 0.95

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_DATE_1980 = (1 << 5) | 1  # 1980-01-01, the first day that a zip can name; its time is 0
_VERSION = 20
_UNIX = 3
_MODE = 0o100600 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}(/[A-Za-z0-9][A-Za-z0-9._-]{0,119}){0,3}")


@dataclass(frozen=True)
class Item:
    """One file of the package: ``name`` inside the zip, ``action`` what produced it."""

    name: str
    data: bytes
    action: str
    required: bool
    media_type: str


@dataclass(frozen=True)
class Wanted:
    """One file that the package ought to hold."""

    name: str
    required: bool


@dataclass(frozen=True)
class Completeness:
    """How much of what is wanted is there. Ratios are None over nothing wanted."""

    required_present: int
    required: int
    optional_present: int
    optional: int
    missing: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """Over required and optional files together."""
        total = self.required + self.optional
        return (self.required_present + self.optional_present) / total if total else None


def build(files: Sequence[Item], header: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The zip and its outer manifest.

    ``header`` (run, release, environment…) stands in both manifests and must name ``through_seq`` (int) and
    ``journal_head`` (64 hex digits) of the ``journal.jsonl`` among the files. Raises EvidenceError on a name
    that we would not accept back, a duplicate, or a package over the size cap.
    """
    for key, kind in (("through_seq", int), ("journal_head", str)):
        if not isinstance(header.get(key), kind):
            raise EvidenceError(f"cannot build the package: its header has no {key}")
    if JOURNAL not in {item.name for item in files}:
        raise EvidenceError(f"cannot build the package: it has no {JOURNAL}")
    problem = bad_names([*(item.name for item in files), INNER_MANIFEST])
    if problem:
        raise EvidenceError(f"cannot build the package: {problem}")
    listed = [_listed(item) for item in sorted(files, key=lambda item: item.name.encode())]
    inner = text.dumps({"schema": SCHEMA, "header": dict(header), "files": listed})
    archive = zip_bytes({**{item.name: item.data for item in files}, INNER_MANIFEST: inner})
    outer = {
        "schema": SCHEMA,
        "header": dict(header),
        "zip": {"name": ZIP_NAME, "sha256": hashlib.sha256(archive).hexdigest(), "size": len(archive)},
        "inner_manifest_sha256": hashlib.sha256(inner).hexdigest(),
        "through_seq": header["through_seq"],
        "journal_head": header["journal_head"],
        "files": listed,
    }
    return archive, outer


def _listed(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "sha256": hashlib.sha256(item.data).hexdigest(),
        "size": len(item.data),
        "media_type": item.media_type,
        "action": item.action,
        "required": item.required,
    }


def completeness(wanted: Sequence[Wanted], present: Collection[str]) -> Completeness:
    """Count what is there of what is wanted."""
    required = [one.name for one in wanted if one.required]
    optional = [one.name for one in wanted if not one.required]
    missing = tuple(sorted(name for name in (*required, *optional) if name not in present))
    there = [sum(name in present for name in names) for names in (required, optional)]
    return Completeness(there[0], len(required), there[1], len(optional), missing)


def judge(found: Completeness, threshold: float = THRESHOLD) -> tuple[Criterion, ...]:
    """Gate 4's criteria on the package: all required files, and the threshold over all files."""
    missing = f"; missing: {', '.join(found.missing)}" if found.missing else ""
    whole = found.required_present == found.required
    enough = found.ratio is not None and found.ratio >= threshold
    required = Verdict.INCONCLUSIVE if not found.required else Verdict.PASSED if whole else Verdict.FAILED
    everything = Verdict.INCONCLUSIVE if found.ratio is None else Verdict.PASSED if enough else Verdict.FAILED
    return (
        Criterion(
            id="package.required",
            title="Required items in the package",
            verdict=required,
            actual=f"{found.required_present} of {found.required}{missing if not whole else ''}",
            required="all of them",
            evidence=(MANIFEST_NAME,),
            remedy="" if whole else "run the actions that produce the missing files, then build the package again",
        ),
        Criterion(
            id="package.completeness",
            title="Evidence completeness",
            verdict=everything,
            actual=("nothing is wanted" if found.ratio is None else f"{found.ratio:.1%}") + missing,
            required=f"at least {threshold:.0%} of all items",
            evidence=(MANIFEST_NAME,),
            remedy="" if enough else "run the actions that produce the missing files, then build the package again",
        ),
    )


def bad_names(names: Sequence[str]) -> str:
    """What is wrong with these names for a package, or "". Also two that some file system takes for one."""
    if len(names) > MOST_FILES:
        return f"{len(names)} files, over the cap of {MOST_FILES}"
    folded: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name) or ".." in name:
            return f"{name!r:.100} is not a name that a package may hold"
        if name.casefold() in folded:
            return f"{name} is there twice"
        folded.add(name.casefold())
    parents = {one.rsplit("/", depth)[0] for one in folded for depth in range(1, one.count("/") + 1)}
    clash = sorted(parents & folded)
    return f"{clash[0]} is both a file and a folder" if clash else ""


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """The zip of these files: stored, sorted by UTF-8 bytes, 1980-01-01, mode 0600, Unix, nothing optional.

    Written here and not by ``zipfile``, so that it cannot change with the Python that runs it. APPNOTE.TXT
    6.3.3.
    """
    if sum(map(len, files.values())) > MOST_BYTES:
        raise EvidenceError(f"cannot build the package: over the cap of {MOST_BYTES} bytes; take something out")
    body, directory = bytearray(), bytearray()
    for name in sorted(files, key=lambda one: one.encode()):
        data, raw = files[name], name.encode("ascii")
        facts = struct.pack("<HHHHIII", 0, 0, 0, _DATE_1980, zlib.crc32(data), len(data), len(data))
        at = len(body)
        body += LOCAL + struct.pack("<H", _VERSION) + facts + struct.pack("<HH", len(raw), 0) + raw + data
        directory += CENTRAL + struct.pack("<BBH", _VERSION, _UNIX, _VERSION) + facts
        directory += struct.pack("<HHHHHII", len(raw), 0, 0, 0, 0, _MODE, at) + raw
    count = len(files)
    end = END + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)
