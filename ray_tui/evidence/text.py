"""How untrusted values are written into Markdown, CSV and JSON so that they stay values, and read back."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from ray_tui.core import untrusted
from ray_tui.core.errors import EvidenceError, RayError

MOST_DEPTH = 64
MOST_BYTES = 64 * 1024 * 1024
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#!])")
_LINE_START = re.compile(r"^(\s*)([-+](?=\s|$)|[-=](?=[-=]*\s*$)|\d{1,9}[.)](?=\s|$))", re.MULTILINE)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


# --- Markdown --------------------------------------------------------------------------------------------------------


def cell(value: object) -> str:
    """Any value as inline Markdown on one line that renders as its own characters: no markup, no HTML, no
    pipe.
    """
    return _block(" ".join(untrusted.clean(str(value)).split()))


def paragraph(text: str) -> str:
    """Any text as Markdown paragraphs that render as its own characters; line breaks stay."""
    lines = [line.strip() for line in untrusted.clean(text).split("\n")]
    return "\n".join(_block(line) for line in lines)


def code(value: object) -> str:
    """Any value as a code span, fenced by more backticks than it holds. For a table use ``cell``."""
    text = " ".join(untrusted.clean(str(value)).split())
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if not text or text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def table(headers: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A GitHub-flavoured table, every cell escaped; ends in a newline. Rows must be as long as the headers."""
    lines = [_row(headers), "|" + " --- |" * len(headers)]
    for row in rows:
        assert len(row) == len(headers), f"a row of {len(row)} cells under {len(headers)} headers"
        lines.append(_row(row))
    return "\n".join(lines) + "\n"


def _row(values: Sequence[object]) -> str:
    return "| " + " | ".join(cell(value) for value in values) + " |"


def _inline(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text.replace("&", "&amp;"))


def _block(line: str) -> str:
    """One line of text, escaped also where its beginning would make it a list, a rule or a heading."""
    escaped = _inline(line)
    return _LINE_START.sub(lambda found: found[1] + found[2][:-1] + "\\" + found[2][-1], escaped)


# --- CSV -------------------------------------------------------------------------------------------------------------


def csv_cell(value: str | float | None) -> str:
    """A value as a spreadsheet will show it and not run it: text that begins like a formula gets a ``'``."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return repr(value)


def csv_text(headers: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """A whole CSV file (RFC 4180: CRLF, quotes where needed)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([csv_cell(header) for header in headers])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return out.getvalue()


# --- JSON ------------------------------------------------------------------------------------------------------------


def dumps(value: Any) -> bytes:
    """Canonical JSON: keys sorted, ASCII, two spaces, no NaN, one newline at the end. The same value: the
    same bytes.

    Raises EvidenceError on what JSON cannot say.
    """
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=True, indent=2)
    except (ValueError, TypeError, RecursionError) as exc:
        raise EvidenceError(f"cannot write as JSON: {exc}") from exc
    return text.encode("ascii") + b"\n"


def loads(
    data: bytes,
    name: str,
    *,
    max_depth: int = MOST_DEPTH,
    max_bytes: int = MOST_BYTES,
    error: type[RayError] = EvidenceError,
) -> Any:
    """Decode JSON from outside; ``name`` is the file for the message.

    Raises only ``error`` (EvidenceError, or InputError for a user's file): over the size or depth cap, not
    UTF-8, not JSON, a duplicate key, NaN or infinity, a number too long, half of a surrogate pair.
    """
    if len(data) > max_bytes:
        raise error(f"{name}: is {len(data)} bytes, over the cap of {max_bytes}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise error(f"{name}: is nested more than {max_depth} deep") from None
    except ValueError as exc:  # JSONDecodeError and UnicodeDecodeError too
        raise error(f"{name}: is not JSON that we accept: {untrusted.line(str(exc), 200)}") from None
    problem = _walk(value, max_depth)
    if problem:
        raise error(f"{name}: {problem}")
    return value


def _walk(value: Any, max_depth: int) -> str:
    stack = [(value, 1)]
    while stack:
        one, depth = stack.pop()
        if isinstance(one, str):
            if not _encodable(one):
                return "holds half of a surrogate pair"
        elif isinstance(one, dict | list):
            if depth > max_depth:
                return f"is nested more than {max_depth} deep"
            if isinstance(one, dict):
                stack.extend((key, depth) for key in one)
            stack.extend((inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one))
    return ""


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value
