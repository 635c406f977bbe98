"""On which line of a TOML file each key stands: what tomllib does not tell."""

import re
import tomllib
from collections.abc import Sequence

Path = tuple[str | int, ...]
"""A key's way from the top: names, and numbers of list entries."""

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<text>\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
    |(?P<sign>[\[\]{},=.\n])
    |(?P<bare>[^\s\[\]{},=."'\#]+)""",
    re.VERBOSE | re.DOTALL,
)


def lines(text: str) -> dict[Path, int]:
    """Every key, table and list entry of a valid TOML text -> its line, from 1."""
    reader = _Reader(text)
    reader.read()
    return reader.found


def line_of(found: dict[Path, int], path: Sequence[str | int]) -> int | None:
    """The line of a key or, where it is not written, of the table that it is missing from."""
    for length in range(len(path), 0, -1):
        if (line := found.get(tuple(path[:length]))) is not None:
            return line
    return None


class _Reader:
    """The tokens from left to right; the text was valid for tomllib, so that nothing is checked again."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._entries: dict[Path, int] = {}
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            if match.lastgroup != "skip":
                self._tokens.append((match.group(), line))
            line += match.group().count("\n")
        self._at = 0

    def read(self) -> None:
        table: Path = ()
        while self._at < len(self._tokens):
            if self._next() == "\n":
                self._at += 1
            elif self._next() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "\n"

    def _header(self) -> Path:
        _, line = self._tokens[self._at]
        self._at += 1
        several = self._next() == "["
        self._at += several
        *before, last = self._key()
        self._at += 1 + several
        path: Path = ()
        for part in before:  # [a.b] under [[a]] belongs to the newest entry of a
            path = self._entered((*path, part))
            self._note(path, line)
        path = (*path, last)
        if several:
            self._note(path, line)
            self._entries[path] = self._entries.get(path, -1) + 1
            path = self._entered(path)
        self._note(path, line)
        return path

    def _entered(self, path: Path) -> Path:
        return (*path, self._entries[path]) if path in self._entries else path

    def _pair(self, table: Path) -> None:
        _, line = self._tokens[self._at]
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, line)
        self._at += 1  # =
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while self._next() not in ("=", "]"):
            if self._next() != ".":
                parts.append(_name(self._next()))
            self._at += 1
        return parts

    def _value(self, path: Path) -> None:
        if self._next() == "[":
            self._list(path)
        elif self._next() == "{":
            self._table(path)
        else:
            while self._next() not in (",", "]", "}", "\n"):  # a date with a blank is two tokens, a float is three
                self._at += 1

    def _list(self, path: Path) -> None:
        number = 0
        self._at += 1
        while self._next() != "]":
            if self._next() in (",", "\n"):
                self._at += 1
                continue
            self._note((*path, number), self._tokens[self._at][1])
            self._value((*path, number))
            number += 1
        self._at += 1

    def _table(self, path: Path) -> None:
        self._at += 1
        while self._next() != "}":
            if self._next() in (",", "\n"):
                self._at += 1
            else:
                self._pair(path)
        self._at += 1

    def _note(self, path: Path, line: int) -> None:
        self.found.setdefault(path, line)


def _name(written: str) -> str:
    if written[0] in "\"'":
        return str(tomllib.loads(f"key = {written}")["key"])
    return written
