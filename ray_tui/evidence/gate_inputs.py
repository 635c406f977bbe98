"""What a gate judges: every JSON artifact of an evidence folder, by name; what cannot be read is left out."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_tui.core.errors import RayError
from ray_tui.evidence import package, text, verify

MANIFEST = "monitoring-package-manifest.json"
LARGEST = 64 * 1024 * 1024


def load(folder: Path) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """(artifact name -> parsed JSON object, artifact name -> why it could not be read).

    An absent folder gives nothing; gates then fail closed.
    """
    inputs: dict[str, Mapping[str, Any]] = {}
    unreadable: dict[str, str] = {}
    if not folder.is_dir():
        return inputs, unreadable
    for path in sorted(folder.glob("*.json")):
        try:
            if not path.is_file():  # a FIFO would keep us waiting
                raise RayError(f"{path}: is not a file")
            if path.stat().st_size > LARGEST:
                raise RayError(f"{path}: is over {LARGEST} bytes")
            parsed = text.loads(path.read_bytes(), path.name)
        except (OSError, RayError) as exc:
            unreadable[path.name] = str(exc)
            continue
        if isinstance(parsed, dict):
            inputs[path.name] = parsed
        else:
            unreadable[path.name] = f"{path.name}: is not a JSON object"
    zipped = folder / package.ZIP_NAME
    if zipped.is_file():
        inputs[package.ZIP_NAME] = _package(zipped, folder / MANIFEST)
    return inputs, unreadable


def _package(path: Path, manifest: Path) -> Mapping[str, Any]:
    """``{"ok", "sha256", "detail", "differs"}`` of the zip beside its manifest; a gate is pure and cannot open it.

    ``differs``: name -> how the file beside the zip is another than the packed one; None where nobody could tell.
    """
    if not manifest.is_file():
        return {"ok": False, "sha256": "", "detail": f"{manifest}: is not there, or not a file"}
    try:
        data, outer = path.read_bytes(), manifest.read_bytes()
    except OSError as exc:
        return {"ok": False, "sha256": "", "detail": f"{exc.filename}: {exc.strerror}"}
    report = verify.verify_zip(data, outer)
    return {
        "ok": report.ok, "sha256": hashlib.sha256(data).hexdigest(), "detail": "; ".join(report.details),
        "differs": _differing(outer, path.parent),
    }  # fmt: skip


def _differing(outer: bytes, folder: Path) -> dict[str, str] | None:
    try:
        listed = {str(one["name"]): one["sha256"] for one in text.loads(outer, MANIFEST)["files"]}
        if package.bad_names(list(listed)):
            return None
        differs = {}
        for name, sha256 in listed.items():
            path = folder / name
            if not path.is_file():
                differs[name] = "gone"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                differs[name] = "changed"
    except (OSError, RayError, KeyError, TypeError):
        return None
    return differs
