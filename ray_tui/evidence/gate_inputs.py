"""What a gate judges: every JSON artifact of an evidence folder, by name; what cannot be read is left out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_tui.core.errors import RayError
from ray_tui.evidence import text

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
    return inputs, unreadable
