"""How a console and a host talk: one JSON object a line, bounded. Pure: bytes in, messages out."""

import json
from typing import Any

LONGEST = 16 * 1024 * 1024
"""Bytes of one message, its newline included."""
BEAT_SECONDS = 2.0
"""How often a host says that it is there; its welcome says so, for a host of before did not."""


class WireError(ValueError):
    """A line that is not a message of ours."""


def encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


BEAT = encode({"beat": True})


def decode(line: bytes) -> dict[str, Any]:
    """Raises WireError when the line is too long, not JSON, or not an object."""
    if len(line) > LONGEST:
        raise WireError(f"a message of {len(line)} bytes is over the limit of {LONGEST}")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise WireError(f"not JSON: {exc}") from exc
    if not isinstance(message, dict):
        raise WireError("not an object")
    return message
