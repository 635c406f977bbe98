"""What lies in an evidence folder: every file with its hash and the action that made it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_tui.core import untrusted
from ray_tui.core.errors import EvidenceError

NAME = "evidence-index.json"
SCHEMA = "ray-tui/evidence-index/v1"
_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".zip": "application/zip",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".sig": "application/x-ssh-signature",
    ".html": "text/html",
}


def media_type(name: str) -> str:
    """The media type of a file by its ending; a stream of octets if we don't know it."""
    return _MEDIA_TYPES.get(Path(name).suffix.casefold(), "application/octet-stream")


def index(folder: Path, produced_by: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The content of ``evidence-index.json`` for the files directly in ``folder``, by name.

    ``produced_by`` maps a file name to its action. Hidden files and the index itself are left out; a link is
    listed as skipped, for its target may change without us. The same files give the same index. Raises
    EvidenceError.
    """
    makers = produced_by or {}
    files, skipped = [], []
    try:
        for path in sorted(folder.iterdir(), key=lambda one: one.name.encode("utf-8", "surrogateescape")):
            if path.name.startswith(".") or path.name == NAME:
                continue
            if path.is_symlink():
                skipped.append({"name": untrusted.line(path.name), "why": "is a link"})
            elif path.is_file():
                files.append(_entry(path, makers.get(path.name)))
    except OSError as exc:
        why = exc.strerror or exc
        raise EvidenceError(f"cannot index {exc.filename or folder}: {why}; check its mode and owner") from exc
    return {"schema": SCHEMA, "count": len(files), "files": files, "skipped": skipped}


def _entry(path: Path, action: str | None) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {
        "name": untrusted.line(path.name),
        "sha256": digest.hexdigest(),
        "size": size,
        "media_type": media_type(path.name),
        "produced_by": action,
    }
