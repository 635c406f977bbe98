"""YAML as a strict Go program reads it: scalars keep their text, keys know their line, none may repeat."""

import re
from collections.abc import Iterable
from typing import TypeAlias

import yaml

from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import clean

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_DEEPEST = 100


class Scalar(str):
    """A scalar's text as it stands in the file (``2`` stays "2"), with what YAML would have made of it."""

    line: int
    tag: str
    """``str``, ``int``, ``float``, ``bool`` or ``timestamp``."""

    @property
    def is_true(self) -> bool:
        return self.tag == "bool" and self.lower() in ("true", "yes", "on")


class Fields(dict[str, "Value"]):
    """A mapping in file order."""

    line: int
    lines: dict[str, int]


class Items(list["Value"]):
    """A sequence."""

    line: int


Value: TypeAlias = Scalar | Fields | Items | None


def complaint(source: str, line: int, message: str) -> InputError:
    """An error that names the file and the line (1 is the first)."""
    return InputError(clean(f"{source}:{line}: {message}"))


def documents(text: str, source: str) -> tuple[Value, ...]:
    """Every document of the text; raises InputError with file and line when it isn't YAML. Empty ones are None."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        return tuple(_value(node, source, {}, 0) for node in nodes)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise complaint(source, mark.line + 1 if mark else 1, f"not valid YAML: {exc.problem or exc.context}") from exc
    except yaml.YAMLError as exc:
        raise complaint(source, 1, f"not valid YAML: {exc}") from exc
    except RecursionError as exc:
        raise complaint(source, 1, "nested too deeply to read") from exc


def document(text: str, source: str) -> Value:
    """The one document of the text; more than one is an error."""
    found = documents(text, source)
    if len(found) > 1:
        raise complaint(source, 1, f"{len(found)} YAML documents where one was expected")
    return found[0] if found else None


def fields(value: Value, source: str, what: str, line: int = 1) -> Fields:
    """The value as a mapping; nothing (``key:``) is an empty one."""
    if value is None:
        empty = Fields()
        empty.line, empty.lines = line, {}
        return empty
    if not isinstance(value, Fields):
        raise complaint(source, line_of(value, line), f"{what} must be a mapping, not {_kind(value)}")
    return value


def items(value: Value, source: str, what: str, line: int = 1) -> Items:
    """The value as a list; nothing is an empty one."""
    if value is None:
        empty = Items()
        empty.line = line
        return empty
    if not isinstance(value, Items):
        raise complaint(source, line_of(value, line), f"{what} must be a list, not {_kind(value)}")
    return value


def text(value: Value, source: str, what: str, line: int = 1) -> str:
    """The value as text; nothing is ""."""
    if value is None:
        return ""
    if not isinstance(value, Scalar):
        raise complaint(source, line_of(value, line), f"{what} must be text, not {_kind(value)}")
    return str(value)


def text_map(value: Value, source: str, what: str, line: int = 1) -> dict[str, str]:
    """The value as a mapping of text to text."""
    found = fields(value, source, what, line)
    return {key: text(item, source, f"{what}.{key}", found.lines[key]) for key, item in found.items()}


def reject_unknown(found: Fields, allowed: Iterable[str], source: str, what: str) -> None:
    """Raise for the first key that isn't allowed, naming its line and the keys that are."""
    known = frozenset(allowed)
    for key in found:
        if key not in known:
            options = ", ".join(sorted(known))
            raise complaint(source, found.lines[key], f"unknown field {key!r} in {what}; it may have: {options}")


def line_of(value: Value, default: int = 1) -> int:
    """The line where a value starts."""
    return default if value is None else value.line


def plain(value: Value) -> object:
    """The value as ordinary dicts, lists, numbers and text."""
    if value is None:
        return None
    if isinstance(value, Fields):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Items):
        return [plain(item) for item in value]
    if value.tag == "bool":
        return value.is_true
    if value.tag == "int" and re.fullmatch(r"[+-]?\d{1,18}", value):
        return int(value)
    if value.tag == "float" and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value):
        return float(value)
    return str(value)


def _kind(value: Value) -> str:
    if value is None:
        return "nothing"
    return "a mapping" if isinstance(value, Fields) else "a list" if isinstance(value, Items) else "text"


def _value(node: yaml.Node | None, source: str, seen: dict[int, Value], depth: int) -> Value:
    if node is None:
        return None
    if depth > _DEEPEST:
        raise complaint(source, node.start_mark.line + 1, "nested too deeply to read")
    if id(node) not in seen:  # an alias is read once: a "billion laughs" file stays small
        seen[id(node)] = _read(node, source, seen, depth)
    return seen[id(node)]


def _read(node: yaml.Node, source: str, seen: dict[int, Value], depth: int) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, source, seen, depth)
    if isinstance(node, yaml.SequenceNode):
        found = Items(_value(child, source, seen, depth + 1) for child in node.value)
        found.line = line
        return found
    assert isinstance(node, yaml.ScalarNode)
    if node.tag == _NULL:
        return None
    scalar = Scalar(node.value)
    scalar.line, scalar.tag = line, node.tag.rsplit(":", 1)[-1]
    return scalar


def _mapping(node: yaml.MappingNode, source: str, seen: dict[int, Value], depth: int) -> Fields:
    found, merged = Fields(), Fields()
    found.line, found.lines = node.start_mark.line + 1, {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise complaint(source, line, "a key must be text")
        value = _value(value_node, source, seen, depth + 1)
        if key_node.tag == _MERGE:
            for part in value if isinstance(value, Items) else [value]:
                merged.update(fields(part, source, "what << merges", line))
            continue
        if key_node.value in found:
            first = found.lines[key_node.value]
            raise complaint(source, line, f"key {key_node.value!r} is already set on line {first}; remove one of them")
        found[key_node.value] = value
        found.lines[key_node.value] = line
    for key, value in merged.items():
        if key not in found:
            found[key], found.lines[key] = value, found.line
    return found
