"""A baseline's place on disk: what stood there is kept, under a name of its own, before another takes it."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_tui.core.errors import InputError
from ray_tui.evidence import text, writer

NAME = "baseline-metrics.json"
_KEPT = re.compile(r"baseline-metrics\.prior-[A-Za-z0-9._+-]+\.json")


def kept_name(data: bytes) -> str:
    """The file name that these bytes have for good: two baselines never share one, read or not."""
    try:
        release = str(text.loads(data, NAME, error=InputError)["release"])
    except (InputError, KeyError, TypeError):
        release = "unreadable"
    safe = re.sub(r"\.{2,}|[^A-Za-z0-9._-]", "_", release)[:100] or "unknown"
    return f"baseline-metrics.prior-{safe}-{hashlib.sha256(data).hexdigest()[:12]}.json"


def kept_by(body: Mapping[str, Any]) -> str:
    """The file that a baseline names as the one before it; empty where it names none, or a path of its own making."""
    prior = body.get("prior")
    name = body.get("rotated") or (prior.get("file") if isinstance(prior, Mapping) else "") or ""
    return name if isinstance(name, str) and _KEPT.fullmatch(name) else ""


def put(path: Path, data: bytes, kept: Mapping[str, bytes]) -> str:
    """Write a baseline with the earlier ones that it names beside it.

    Answers the name under which what stood at ``path`` is kept, empty where nothing did. Raises EvidenceError: then
    nothing was replaced.
    """
    try:
        stood = path.read_bytes() if path.exists() else None
    except OSError as exc:
        raise writer.cannot_write(path, exc) from exc
    name = kept_name(stood) if stood else ""
    for earlier, content in {**kept, **({name: stood} if stood else {})}.items():
        writer.publish(path.parent, earlier, content)
    writer.publish(path.parent, path.name, data)
    return name
