"""Text from outside: made visible and bounded before anything of ours sees it."""

import re
import unicodedata
from typing import Any

LONGEST = 2_000
"""Characters kept of one outside text; what is cut is said."""

# C0 and C1 controls but newline and tab; bidi controls; zero-width; line separators; BOM; surrogates; tags.
_UNSAFE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def clean(text: str, longest: int = LONGEST) -> str:
    """The text with every invisible or steering character shown as ``\\u{1b}``, cut at ``longest`` characters.

    Newlines and tabs stay. Idempotent on what it returns, up to the cut.
    """
    cut = len(text) - longest
    if cut > 0:
        text = text[:longest]
    safe = _UNSAFE.sub(lambda found: f"\\u{{{ord(found.group()):x}}}", text)
    return f"{safe}… ({cut} characters more)" if cut > 0 else safe


def line(text: str, longest: int = 300) -> str:
    """``clean`` on one line: newlines and tabs become spaces, runs of them one."""
    return clean(" ".join(text.split()), longest)


def labels(outside: dict[Any, Any], longest: int = 300, most: int = 200) -> dict[str, str]:
    """A label map from outside, cleaned: at most ``most`` names, each value at most ``longest`` characters."""
    return {line(str(name), 200): line(str(value), longest) for name, value in list(outside.items())[:most]}


def deep_clean(value: Any, *, longest: int = LONGEST, depth: int = 64) -> Any:
    """Clean every string in decoded JSON. Deeper than ``depth`` is replaced by a note."""
    if isinstance(value, str):
        return clean(value, longest)
    if depth <= 0:
        return "(nested too deeply)" if isinstance(value, dict | list) else value
    if isinstance(value, dict):
        return {clean(str(k), longest): deep_clean(v, longest=longest, depth=depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [deep_clean(item, longest=longest, depth=depth - 1) for item in value]
    return value


def cell_width(text: str) -> int:
    """Terminal cells that a cleaned text takes, wide characters counted as two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
