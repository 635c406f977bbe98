"""RE2's regular expressions for Python's ``re``: translated construct by construct, refused where RE2 refuses."""

import re
from functools import lru_cache

from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import clean


class RegexError(InputError):
    """A pattern that RE2 refuses, or that we can't translate. ``reason`` is worded as Go words it."""

    def __init__(self, pattern: str, reason: str) -> None:
        self.pattern = pattern
        self.reason = reason
        super().__init__(clean(f"bad regular expression {pattern!r}: {reason}"))


_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_LONGEST_REPEAT = 1000
_ASSERTIONS = {"^": "(?:^)", "$": r"(?:\Z)", "z": r"(?:\Z)", "A": r"(?:\A)", "b": r"(?:\b)", "B": r"(?:\B)"}
"""In groups, for RE2 allows ``^*`` and Python doesn't; and Python's $ would also match before a last newline."""


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern for Python's ``re``, refusing what RE2 refuses (backreferences, lookaround, possessive repeats).

    Use ``fullmatch``. Known differences: Unicode classes (``\\pL``) and the flags U and m are refused though RE2
    has them; ``(?i)`` folds ASCII only; and Python backtracks, so a pattern that is slow there was fast in RE2.
    """
    try:
        return re.compile(_Re2(pattern).translate(), re.ASCII)
    except (re.error, OverflowError, RecursionError) as exc:
        raise RegexError(pattern, f"error parsing regexp: {exc}") from exc


def _others(members: str) -> str:
    """Members of a class for every character that the ASCII class ``members`` does not hold."""
    inside = re.compile(f"[{members}]", re.ASCII)
    return "".join(f"\\x{code:02x}" for code in range(128) if not inside.match(chr(code))) + "\\x80-\\U0010ffff"


class _Re2:
    """Rewrites RE2's syntax into Python's, construct by construct."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        self.open_flags: list[list[str]] = [[]]
        """For each open group, the flag groups that we opened inside it: RE2's (?i) reaches to the group's end."""

    def refuse(self, what: str) -> RegexError:
        return RegexError(self.pattern, f"error parsing regexp: {what}")

    def translate(self) -> str:
        while self.at < len(self.pattern):
            self._step()
        return "".join(self.out) + ")" * len(self.open_flags[0])

    def _step(self) -> None:
        char = self.pattern[self.at]
        match char:
            case "\\":
                self.out.append(self._escape(in_class=False))
            case "[":
                self._class()
            case "(":
                self._open_group()
            case ")":
                if len(self.open_flags) == 1:
                    raise self.refuse(f"unexpected ): `{self.pattern}`")
                self.out.append(")" * (1 + len(self.open_flags.pop())))
                self.at += 1
            case "|":
                flags = self.open_flags[-1]
                self.out.append(")" * len(flags) + "|" + "".join(flags))
                self.at += 1
            case "*" | "+" | "?" | "{":
                self._repeat(char)
            case "^" | "$":
                self.out.append(_ASSERTIONS[char])
                self.at += 1
            case _:
                self.out.append(char if char not in "#}]" else "\\" + char)
                self.at += 1

    def _repeat(self, char: str) -> None:
        counted = re.compile(r"\{(\d+)(?:,(\d*))?\}").match(self.pattern, self.at)
        if char == "{" and counted is None:
            self.out.append(r"\{")
            self.at += 1
            return
        written = counted.group() if char == "{" and counted else char
        if counted and char == "{" and any(int(size or 0) > _LONGEST_REPEAT for size in counted.groups()):
            raise self.refuse(f"invalid repeat count: `{written}`")
        self.at += len(written)
        if self.pattern[self.at : self.at + 1] == "?":
            written += "?"
            self.at += 1
        following = re.compile(r"[*+?]|\{\d+(,\d*)?\}").match(self.pattern, self.at)
        if following:
            raise self.refuse(f"invalid nested repetition operator: `{written}{following.group()}`")
        self.out.append(written)

    def _open_group(self) -> None:
        rest = self.pattern[self.at :]
        if not rest.startswith("(?"):
            self._push("(", 1)
        elif named := re.match(r"\(\?P?<([A-Za-z_]\w*)>", rest):
            self._push(f"(?P<{named.group(1)}>", named.end())
        elif flagged := re.match(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])", rest):
            on, off, end = flagged.groups()
            if set("Um") & set(on + (off or "")):
                raise self.refuse("the flags U and m are not supported here")
            opening = f"(?{on}{'-' + off if off else ''}:"
            if end == ":":
                self._push(opening, flagged.end())
            else:
                self.open_flags[-1].append(opening)
                self.out.append(opening)
                self.at += flagged.end()
        else:
            raise self.refuse(f"invalid or unsupported Perl syntax: `{rest[:4]}`")

    def _push(self, opening: str, length: int) -> None:
        self.out.append(opening)
        self.open_flags.append([])
        self.at += length

    def _escape(self, *, in_class: bool) -> str:
        rest = self.pattern[self.at + 1 :]
        if not rest:
            raise self.refuse("trailing backslash at end of expression: ``")
        char = rest[0]
        if char == "Q" and not in_class:
            end = rest.find("\\E")
            literal = rest[1:end] if end >= 0 else rest[1:]
            self.at += 2 + len(literal) + (2 if end >= 0 else 0)
            return re.escape(literal)
        coded = re.match(r"x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})", rest)
        if coded:
            self.at += 1 + coded.end()
            code = int(coded.group(3), 8) if coded.group(3) else int(coded.group(1) or coded.group(2), 16)
            if code > 0x10FFFF:
                raise self.refuse("invalid escape sequence")
            return f"\\U{code:08x}"
        self.at += 2
        if char == "s":
            return r"\t\n\f\r " if in_class else r"[\t\n\f\r ]"
        if char == "S":
            return _others(r"\t\n\f\r ") if in_class else r"[^\t\n\f\r ]"
        if char in _ASSERTIONS and char not in "^$" and not in_class:
            return _ASSERTIONS[char]
        if char in "dDwWafnrtv" or (char.isascii() and not char.isalnum()):
            return "\\" + char
        raise self.refuse(f"invalid escape sequence: `\\{char}`")

    def _class(self) -> None:
        self.at += 1
        written = "["
        if self.pattern[self.at : self.at + 1] == "^":
            written += "^"
            self.at += 1
        first = True
        while True:
            char = self.pattern[self.at : self.at + 1]
            if not char:
                raise self.refuse("missing closing ]")
            if char == "]" and not first:
                break
            first = False
            single = not re.compile(r"\\[dDwWsS]|\[:\^?\w+:\]").match(self.pattern, self.at)
            written += self._class_item(char)
            if single and re.compile(r"-[^\]]", re.DOTALL).match(self.pattern, self.at):
                self.at += 1
                written += "-" + self._class_item(self.pattern[self.at])
        self.at += 1
        self.out.append(written + "]")

    def _class_item(self, char: str) -> str:
        posix = re.compile(r"\[:(\^?)(\w+):\]").match(self.pattern, self.at)
        if posix:
            if posix.group(2) not in _POSIX:
                raise self.refuse(f"invalid character class range: `{posix.group()}`")
            self.at = posix.end()
            return _others(_POSIX[posix.group(2)]) if posix.group(1) else _POSIX[posix.group(2)]
        if char == "\\":
            return self._escape(in_class=True)
        self.at += 1
        return "\\" + char if char in "[]&|~^-" else char
