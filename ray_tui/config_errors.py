"""What is said of a wrong configuration: file, line, key, why, and what was meant."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ray_tui import config_lines
from ray_tui.core.errors import ConfigError


class Fault(NamedTuple):
    """One thing that is wrong: the key's way from the top, and why."""

    path: config_lines.Path
    why: str

    def to_text(self) -> str:
        return f"{dotted(self.path)}: {self.why}" if self.path else self.why


class WrongTable(ConfigError):
    """Why a table of the configuration cannot be used."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.to_text() for fault in faults))
        self.faults = faults


PATTERNS = {
    r"^[a-z0-9][a-z0-9-]*$": "small letters, digits and hyphens",
    r"^[A-Za-z0-9][A-Za-z0-9._+-]*$": "letters, digits and . _ + - behind a letter or digit",
}
"""In words, for who does not read regular expressions."""


def faults_of(exc: ValidationError, model: type[BaseModel], before: config_lines.Path = ()) -> list[Fault]:
    """What a model refused of the table at ``before``; no value is repeated."""
    return [_fault(error, model, before) for error in exc.errors(include_input=False)]


def located(faults: Iterable[Fault], text: str, file: Path) -> str:
    """One line a fault, in the order of the file."""
    found = config_lines.lines(text)
    placed = sorted((config_lines.line_of(found, fault.path) or 0, fault.to_text()) for fault in faults)
    return "\n".join(f"{file}:{line}: {said}" if line else f"{file}: {said}" for line, said in placed)


def not_toml(why: str, text: str) -> tuple[int, str]:
    """(line, why) of what tomllib says; where a key stands twice, tomllib does not name it."""
    told = re.search(r" \(at line (\d+), column \d+\)", why)
    written = text.split("\n")
    line = int(told.group(1)) if told else len(text.rstrip().split("\n"))
    twice = re.match(r"\s*([\w.\"' -]+?)\s*=(?!=)", written[line - 1]) if why.startswith("Cannot overwrite") else None
    key = f": {twice.group(1)} is there already" if twice else ""
    return line, f"is not valid TOML: {why}{key}"


def dotted(path: Sequence[str | int]) -> str:
    """As it is written in TOML: ``schedule.assets."dashboard:b".cadence``."""
    return ".".join(_bare(str(part)) for part in path)


def _bare(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fault(error: Any, model: type[BaseModel], before: config_lines.Path) -> Fault:
    path = (*before, *error["loc"])
    if error["type"] == "extra_forbidden":
        known = known_keys(error["loc"][:-1], model)
        meant = difflib.get_close_matches(str(path[-1]), known, n=1)
        advice = f"did you mean {meant[0]!r}?" if meant else "see `ray-tui config schema`"
        return Fault(path, f"is not a known key; {advice}")
    if error["type"] == "string_pattern_mismatch" and (words := PATTERNS.get(error["ctx"]["pattern"])):
        return Fault(path, f"takes {words}")
    return Fault(path, str(error["msg"]).removeprefix("Value error, "))


def known_keys(place: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    """The keys that may stand in the table at this place; empty where any may."""
    found: Any = model
    for part in place:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(part))
            found = field.annotation if field else None
            if get_origin(found) in (Union, UnionType):
                found = _table_in(found)
        else:  # a table of tables, or a list of them: the last of dict[str, X], of tuple[X, ...]
            found = _table_in(found)
    found = _table_in(found)
    return list(found.model_fields) if found is not None else []


def _table_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is about: itself, or inside an optional, a dict or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for inner in get_args(annotation) if (table := _table_in(inner)) is not None), None)
