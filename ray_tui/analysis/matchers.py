"""Alertmanager's matchers: both of its parsers, and what a matcher says about a label set."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ray_tui.analysis.re2 import RegexError, compile_pattern
from ray_tui.core.errors import InputError
from ray_tui.core.ports import Labels
from ray_tui.core.untrusted import clean

Op = Literal["=", "!=", "=~", "!~"]
OPERATORS: tuple[Op, ...] = ("=~", "!~", "!=", "=")


class MatcherError(InputError):
    """A matcher that Alertmanager refuses. ``reason`` is Alertmanager's own wording."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason
        super().__init__(clean(f"bad matcher {text!r}: {reason}"))


@dataclass(frozen=True)
class Matcher:
    """One condition on one label; a label that is absent counts as the empty text. Regexes match the whole value."""

    name: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            try:
                compile_pattern(self.value)
            except RegexError as exc:
                raise MatcherError(str(self), exc.reason) from exc

    def matches(self, labels: Labels) -> bool:
        actual = labels.get(self.name, "")
        match self.op:
            case "=":
                return actual == self.value
            case "!=":
                return actual != self.value
            case "=~":
                return compile_pattern(self.value).fullmatch(actual) is not None
            case "!~":
                return compile_pattern(self.value).fullmatch(actual) is None

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        name = self.name if _CLASSIC_NAME.fullmatch(self.name) else f'"{self.name}"'
        return f'{name}{self.op}"{escaped}"'


_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def all_match(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Whether every one matches; true for none at all."""
    return all(matcher.matches(labels) for matcher in matchers)


def text_of(matchers: Iterable[Matcher]) -> str:
    """``{a="b",c=~"d"}``, in the order given."""
    return "{" + ",".join(str(matcher) for matcher in matchers) + "}"


def parse(text: str) -> tuple[Matcher, ...]:
    """Matchers as Alertmanager 0.27 and later reads them by default; raises MatcherError.

    It tries both parsers: the UTF-8 one must accept, but where the classic one disagrees, the classic one wins;
    where only the classic one accepts, that is used too.
    """
    try:
        modern = parse_utf8(text)
    except MatcherError as refused:
        try:
            return parse_classic(text)
        except MatcherError:
            raise refused from None
    try:
        return parse_classic(text)
    except MatcherError:
        return modern


# --- the classic parser ----------------------------------------------------------------------------------------------

# \s of Go's RE2 is ASCII without \v.
_CLASSIC = re.compile(
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*(.*?)[\t\n\f\r ]*", re.DOTALL
)


def parse_classic(text: str) -> tuple[Matcher, ...]:
    """Matchers as Alertmanager before 0.27 reads them (and later with the feature flag classic-mode)."""
    return tuple(_classic_matcher(text, token) for token in _classic_tokens(text.removeprefix("{").removesuffix("}")))


def _classic_tokens(text: str) -> list[str]:
    tokens: list[str] = []
    token, quoted, escaped = "", False, False
    for char in text:
        if char == "," and not quoted:
            tokens.append(token)
            token = ""
            continue
        if char == '"':
            quoted, escaped = (quoted, False) if escaped else (not quoted, False)
        elif char == "\\":
            escaped = not escaped
        elif char != ",":
            escaped = False
        token += char
    if token.strip():
        tokens.append(token.strip())
    return tokens


def _classic_matcher(text: str, token: str) -> Matcher:
    found = _CLASSIC.fullmatch(token)
    if found is None:
        raise MatcherError(text, f"bad matcher format: {token}")
    name, op, raw = found.groups()
    return Matcher(name, _operator(op), _classic_value(text, raw))


def _classic_value(text: str, raw: str) -> str:
    inner = raw[1:] if raw.startswith('"') else raw
    must_close = raw.startswith('"')
    value, escaped = "", False
    for at, char in enumerate(inner):
        last = at == len(inner) - 1
        if escaped:
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(char, "\\" + char)
            escaped = False
        elif char == "\\" and not last:
            escaped = True
        elif char == '"':
            if not must_close or not last:
                raise MatcherError(text, f"matcher value contains unescaped double quote: {raw}")
            must_close = False
        else:
            value += char
    if must_close:
        raise MatcherError(text, f"matcher value contains unescaped double quote: {raw}")
    return value


def _operator(written: str) -> Op:
    return next(op for op in OPERATORS if op == written)


# --- the UTF-8 parser ------------------------------------------------------------------------------------------------

_RESERVED = frozenset("{}!=~,\\\"'`")


@dataclass(frozen=True)
class _Token:
    kind: Literal["{", "}", ",", "op", "quoted", "unquoted", "end"]
    text: str
    start: int
    end: int


class _Lexer:
    """Tokens of one text, one at a time; columns count characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._peeked: _Token | None = None

    def refuse(self, reason: str) -> MatcherError:
        return MatcherError(self.text, reason)

    def peek(self) -> _Token:
        if self._peeked is None:
            self._peeked = self._scan()
        return self._peeked

    def next(self) -> _Token:
        token = self.peek()
        self._peeked = None
        return token

    def _token(self, kind: Literal["{", "}", ",", "op", "quoted", "unquoted", "end"], start: int) -> _Token:
        return _Token(kind, self.text[start : self.at], start, self.at)

    def _scan(self) -> _Token:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        start = self.at
        if start == len(self.text):
            return self._token("end", start)
        char = self.text[start]
        self.at += 1
        match char:
            case "{" | "}" | ",":
                return _Token(char, char, start, self.at)
            case "=" | "!":
                return self._scan_operator(start, char)
            case '"':
                return self._scan_quoted(start)
        if char in _RESERVED:
            raise self.refuse(f"{start}:{self.at}: {char}: invalid input")
        while self.at < len(self.text) and self.text[self.at] not in _RESERVED and not self.text[self.at].isspace():
            self.at += 1
        return self._token("unquoted", start)

    def _scan_operator(self, start: int, char: str) -> _Token:
        following = self.text[self.at : self.at + 1]
        if following and following in ("~" if char == "=" else "=~"):
            self.at += 1
        elif char == "!":
            if not following:
                raise self.refuse(f"0:{self.at}: unexpected end of input, expected one of '=~'")
            raise self.refuse(f"{self.at}:{self.at + 1}: unexpected {following}: expected one of '=~'")
        return self._token("op", start)

    def _scan_quoted(self, start: int) -> _Token:
        escaped = False
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"' and not escaped:
                return self._token("quoted", start)
            escaped = char == "\\" and not escaped
        raise self.refuse(f'{start}:{self.at}: {self.text[start:]}: missing end "')


def parse_utf8(text: str) -> tuple[Matcher, ...]:
    """Matchers as Alertmanager 0.27 and later reads them with the feature flag utf8-strict-mode."""
    lexer = _Lexer(text)
    opened = lexer.peek().kind == "{"
    if opened:
        lexer.next()
    elif lexer.peek().kind == "end":
        return ()
    found: list[Matcher] = []
    while not (lexer.peek().kind == "}" or (lexer.peek().kind == "end" and (found or opened))):
        found.append(_utf8_matcher(lexer))
        following = lexer.peek()
        if following.kind in ("}", "end"):
            break
        _expect(lexer, (",",), "expected a comma or close brace")
        if lexer.peek().kind not in ("}", "end", "quoted", "unquoted"):
            bad = lexer.peek()
            raise lexer.refuse(
                f"{bad.start}:{bad.end}: unexpected {bad.text}: expected a matcher or close brace after comma"
            )
    _close(lexer, opened)
    return tuple(found)


def _close(lexer: _Lexer, opened: bool) -> None:
    token = lexer.next()
    if opened and token.kind != "}":
        raise lexer.refuse(f"0:{token.end}: end of input: expected close brace")
    if not opened and token.kind == "}":
        raise lexer.refuse(f"0:{token.end}: }}: expected opening brace")
    rest = lexer.next()
    if rest.kind != "end":
        raise lexer.refuse(f"{rest.start}:{rest.end}: {rest.text}: expected end of input")


def _expect(lexer: _Lexer, kinds: tuple[str, ...], otherwise: str) -> _Token:
    token = lexer.peek()
    if token.kind == "end":
        raise lexer.refuse(f"end of input: {otherwise}")
    if token.kind not in kinds:
        raise lexer.refuse(f"{token.start}:{token.end}: unexpected {token.text}: {otherwise}")
    return lexer.next()


def _utf8_matcher(lexer: _Lexer) -> Matcher:
    name = _unquoted(lexer, _expect(lexer, ("quoted", "unquoted"), "expected label name"))
    op = _expect(lexer, ("op",), "expected an operator such as '=', '!=', '=~' or '!~'")
    value = _unquoted(lexer, _expect(lexer, ("quoted", "unquoted"), "expected label value"))
    return Matcher(name, _operator(op.text), value)


_GO_ESCAPE = re.compile(
    r"\\(?:[abfnrtv\\\"]|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|(?P<bad>\\.?|\n)", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


def _unquoted(lexer: _Lexer, token: _Token) -> str:
    if token.kind != "quoted":
        return token.text

    def character(found: re.Match[str]) -> str:
        body = found.group()[1:]
        if found.group("bad") is not None:
            raise ValueError
        return _SIMPLE.get(body) or chr(int(body, 8) if body[0].isdigit() else int(body[1:], 16))

    try:
        value = _GO_ESCAPE.sub(character, token.text[1:-1])
        value.encode()
    except (ValueError, OverflowError) as exc:
        raise lexer.refuse(f"{token.start}:{token.end}: {token.text}: invalid input") from exc
    return value


# --- values that match -----------------------------------------------------------------------------------------------

_ANY = "probe"
_MOST_EXAMPLES = 50


def examples(matcher: Matcher) -> tuple[str, ...]:
    """Values that surely satisfy the matcher, simplest first; () where none was found. "" means: no such label."""
    match matcher.op:
        case "=":
            candidates = [matcher.value]
        case "!=" | "!~":
            candidates = ["", _ANY]
        case "=~":
            candidates = [*_Sampler(matcher.value).sample(), "", _ANY, "1", "a"]
    found = (value for value in dict.fromkeys(candidates) if matcher.matches({matcher.name: value}))
    return tuple(found)[:_MOST_EXAMPLES]


class _Sampler:
    """Texts that a simple regex may match (alternatives, groups, classes, repeats); the caller filters wrong ones."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def sample(self) -> list[str]:
        try:
            return self._alternatives()
        except (IndexError, RecursionError):
            return []

    def _alternatives(self) -> list[str]:
        found = self._sequence()
        while self._peek() == "|":
            self.at += 1
            found += self._sequence()
        return found[:_MOST_EXAMPLES]

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _sequence(self) -> list[str]:
        texts = [""]
        while self._peek() not in ("", "|", ")"):
            parts = self._repeated(*self._atom())
            texts = [text + part for text in texts for part in parts][:_MOST_EXAMPLES]
        return texts

    def _atom(self) -> tuple[list[str], bool]:
        """Samples of one atom, and whether it is the dot."""
        char = self._peek()
        self.at += 1
        if char == "(":
            flags = re.compile(r"\?[ims-]+\)").match(self.pattern, self.at)
            if flags:
                self.at = flags.end()
                return [""], False
            prefix = re.compile(r"\?(?:[imsU-]*:|P?<\w+>)|").match(self.pattern, self.at)
            self.at = prefix.end() if prefix else self.at
            inside = self._alternatives()
            self.at += 1
            return inside, False
        if char == "[":
            return [self._class_member()], False
        if char == "\\":
            escaped = self.pattern[self.at]
            self.at += 1
            return [
                {"d": "1", "w": "a", "s": " ", "D": "a", "S": "a", "W": "-", "n": "\n", "t": "\t"}.get(escaped, escaped)
            ], False
        if char in "^$":
            return [""], False
        return (["a"], True) if char == "." else ([char], False)

    def _class_member(self) -> str:
        end = self.pattern.index("]", self.at + 1) if "]" in self.pattern[self.at + 1 :] else len(self.pattern)
        inside = self.pattern[self.at : end]
        self.at = end + 1
        if inside.startswith("^"):
            return next(char for char in "a1-_ ~" if char not in inside)
        if inside.startswith("\\"):
            return {"d": "1", "w": "a", "s": " "}.get(inside[1], inside[1])
        return "a" if inside.startswith("[:") else inside[0]

    def _repeated(self, parts: list[str], dot: bool) -> list[str]:
        found = re.compile(r"([*+?]|\{(\d+)(?:,\d*)?\})\??").match(self.pattern, self.at)
        if found is None:
            return parts
        self.at = found.end()
        if found.group(2):
            return [part * int(found.group(2)) for part in parts]
        if dot and found.group(1) in "*+":
            return [_ANY]
        return parts if found.group(1) == "+" else [*parts, ""]
