"""Text as an output can show it: in ASCII where that is wished, and in whatever its encoding has."""

from typing import TextIO

from ray_tui.core import announcements
from ray_tui.tui.lines import ASCII


def shown(text: str, output: TextIO, ascii_only: bool = False) -> str:
    encoding = (getattr(output, "encoding", None) or "utf-8").lower()
    text = text.translate(ASCII) if ascii_only else text
    return text if "utf" in encoding else announcements.to_ascii(text)
