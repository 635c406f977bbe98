"""Markdown from outside as data: front matter, and the tables and lists under each heading, with their lines."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ray_tui.analysis import strict_yaml
from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import clean, line


@dataclass(frozen=True)
class Row:
    """One table row: column heading -> text. ``line`` is 1-based."""

    cells: dict[str, str]
    line: int


@dataclass
class Part:
    """What stands under one heading, up to the next: its tables' rows, and its list items as (text, line)."""

    title: str
    line: int
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    bullets: list[tuple[str, int]] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True)
class Paper:
    source: str
    front: dict[str, Any]
    front_lines: dict[str, int]
    parts: tuple[Part, ...]

    def part(self, title: str) -> Part | None:
        """The part whose heading is this title, by letters only: ``SLOs (30 d)`` is found by ``slos``."""
        wanted = _letters(title)
        return next((part for part in self.parts if _letters(part.title).startswith(wanted)), None)


def read(data: bytes, source: str) -> Paper:
    """Raises InputError, naming file and line: not text, empty, front matter that is not YAML or never ends."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InputError(f"{source}: is not text (byte {exc.start} is not UTF-8); expected Markdown") from exc
    if "\x00" in text:
        raise InputError(f"{source}: is not text (it holds NUL bytes); expected Markdown")
    if not text.strip():
        raise InputError(f"{source}: is empty; expected Markdown with front matter")
    front, lines, body, skipped = _front_matter(text, source)
    return Paper(source, front, lines, tuple(_parts(body, skipped)))


def _front_matter(text: str, source: str) -> tuple[dict[str, Any], dict[str, int], str, int]:
    """(values, their lines, the text after it, lines before that); nothing where there is no front matter."""
    rows = text.splitlines()
    if not rows or rows[0].strip() != "---":
        return {}, {}, text, 0
    end = next((number for number, row in enumerate(rows[1:], 1) if row.strip() in ("---", "...")), None)
    if end is None:
        raise InputError(f"{source}:1: the front matter does not end: no line that is only ---")
    # the opening line stays, as YAML's document start, so that line numbers are the file's
    found = strict_yaml.fields(strict_yaml.document("\n".join(rows[:end]), source), source, "the front matter", 2)
    plain = strict_yaml.plain(found)
    assert isinstance(plain, dict)
    return plain, dict(found.lines), "\n".join(rows[end + 1 :]), end + 1


def _parts(body: str, skipped: int) -> Iterator[Part]:
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(body)
    part = Part("", skipped + 1)
    for at, token in enumerate(tokens):
        number = skipped + (token.map[0] if token.map else 0) + 1
        if token.type == "heading_open":
            yield part
            part = Part(line(tokens[at + 1].content, 200), number)
        elif token.type == "table_open":
            _table(tokens[at:], skipped, part)
        elif token.type == "list_item_open":
            inline = next((t for t in tokens[at:] if t.type == "inline"), None)
            if inline is not None:
                part.bullets.append((_plain(inline), number))
        elif token.type == "inline" and tokens[at - 1].type == "paragraph_open":
            part.text = f"{part.text}\n{_plain(token)}".strip()
    yield part


def _table(tokens: Sequence[Token], skipped: int, part: Part) -> None:
    columns: list[str] = []
    cells: list[str] = []
    number = 0
    for at, token in enumerate(tokens):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            cells, number = [], skipped + (token.map[0] if token.map else 0) + 1
        elif token.type in ("th_open", "td_open"):
            cells.append(_plain(tokens[at + 1]))
        elif token.type == "tr_close":
            if not columns:
                columns = cells
                part.columns = tuple(columns)
            elif any(cells):
                part.rows.append(Row(dict(zip(columns, cells, strict=False)), number))


def _plain(inline: Token) -> str:
    """The text of an inline token without emphasis, code marks and link targets."""
    words = [child.content if child.type in ("text", "code_inline") else " " for child in inline.children or ()
             if child.type in ("text", "code_inline", "softbreak", "hardbreak")]  # fmt: skip
    return clean("".join(words).strip())


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
