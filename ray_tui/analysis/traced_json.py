"""JSON from outside, read strictly: each value knows its line, and what a hostile file does is one clear complaint."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import deep_clean, line

DEEPEST = 64
_CUT = "ends in the middle: the file is cut off"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\]:,]|[^\s{}\[\]:,"]+')


@dataclass(frozen=True)
class Traced:
    """A decoded document. ``lines`` maps a path (``("services", 0, "name")``) to its line, 1-based."""

    source: str
    value: Any
    lines: dict[tuple[str | int, ...], int]

    def where(self, *path: str | int) -> str:
        """``file:line`` of a path, or of the nearest part of it that is there."""
        parts = path
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return f"{self.source}:{self.lines.get(parts, 1)}"


def read(data: bytes, source: str) -> Traced:
    """Raises InputError, naming file and line: not UTF-8, not JSON, cut off, NaN, a key twice, nested too deeply."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        if exc.reason == "unexpected end of data":
            last = data.count(b"\n") + 1
            raise InputError(f"{source}:{last}: {_CUT}") from exc
        raise InputError(f"{source}: is not text (byte {exc.start} is not UTF-8); expected JSON") from exc
    if not text.strip():
        raise InputError(f"{source}: is empty; expected JSON")
    _check_depth(text, source)
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except json.JSONDecodeError as exc:
        what = _CUT if _is_cut(text, exc) else f"is not JSON: {exc.msg}"
        raise InputError(f"{source}:{exc.lineno}: {what}") from exc
    except (ValueError, RecursionError) as exc:
        raise InputError(f"{source}: {line(str(exc), 200)}") from exc
    return Traced(source, deep_clean(value), dict(_lines(text)))


def _is_cut(text: str, exc: json.JSONDecodeError) -> bool:
    """Whether more text could mend it: something is open, and the complaint is about the last token or its end."""
    tokens = list(_TOKEN.finditer(text))
    still_open = sum({"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0) for token in tokens) > 0
    return still_open and exc.pos >= tokens[-1].start()


def _refuse(constant: str) -> Any:
    raise ValueError(f"holds {constant}, which is not JSON; write null where there is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} stands twice in one object; remove one of them")
        found[key] = value
    return found


def _check_depth(text: str, source: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        char = token.group()
        if char in ("{", "["):
            depth += 1
            if depth > DEEPEST:
                raise InputError(f"{source}: is nested deeper than {DEEPEST} levels")
        elif char in ("}", "]"):
            depth -= 1


def _lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The line of every value of a text that is known to be JSON; a member's is that of its key."""
    path: list[str | int] = []
    containers: list[str] = []
    number, seen_until, key = 1, 0, ""
    for token in _TOKEN.finditer(text):
        number += text.count("\n", seen_until, token.start())
        seen_until = token.start()
        char = token.group()
        if char in ("{", "["):
            yield tuple(path), number
            containers.append(char)
            path.append(0 if char == "[" else "")
        elif char in ("}", "]"):
            containers.pop()
            path.pop()
        elif char == ",":
            if containers[-1] == "[":
                path[-1] = int(path[-1]) + 1
        elif char == ":":
            path[-1] = key
            yield tuple(path), number
        else:
            if char.startswith('"'):
                key = json.loads(char)
            if containers and containers[-1] == "[":
                yield tuple(path), number
