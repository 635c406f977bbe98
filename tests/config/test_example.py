"""The example configuration loads, names every field there is, and its commented alternatives load too."""

import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from ray_tui import backends, config
from ray_tui.backends.access import HttpAccess
from ray_tui.config import Config

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
MARK = "#: "
TEXT = EXAMPLE.read_text(encoding="utf-8")


def blocks(text: str = TEXT) -> list[tuple[int, int]]:
    """(first, last + 1) line index of every run of commented settings."""
    found: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith(MARK):
            if found and found[-1][1] == number:
                found[-1] = (found[-1][0], number + 1)
            else:
                found.append((number, number + 1))
    return found


def with_block(first: int, last: int) -> dict[str, Any]:
    """The example with one commented block in use: a table replaces its namesake, a key stands in its table."""
    lines = TEXT.splitlines()
    inside = [line.removeprefix(MARK) for line in lines[first:last]]
    raw = tomllib.loads(TEXT)
    if inside[0].startswith("["):
        for name, value in tomllib.loads("\n".join(inside)).items():
            if name in ("services", "notify"):
                raw[name].update(value)
            else:
                raw[name] = value
        return raw
    return tomllib.loads("\n".join([*lines[:first], *inside, *lines[last:]]))


def documented() -> dict[str, Any]:
    """Every key that stands in the file, commented or not, as one tree; lists of tables become one table each kind."""
    tree: dict[str, Any] = {}
    for raw in [tomllib.loads(TEXT), *(with_block(*block) for block in blocks())]:
        _merge(tree, raw)
    return tree


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {one["kind"]: one for one in value} if "kind" in value[0] else value[0]
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = deepcopy(value)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (dict, tuple, Union, UnionType):
        return [model for arg in get_args(annotation) for model in models_in(arg)]
    return []


def missing(model: type[BaseModel], tree: Any, where: str) -> Iterator[str]:
    """Fields of a model, and of the models inside it, that the tree does not have."""
    for name, field in model.model_fields.items():
        if not isinstance(tree, dict) or name not in tree:
            yield f"{where}{name}"
            continue
        for inner in models_in(field.annotation):
            many = get_origin(field.annotation) is dict
            merged: dict[str, Any] = {}
            for one in tree[name].values() if many else [tree[name]]:
                _merge(merged, one)
            if merged or not many:
                yield from missing(inner, merged, f"{where}{name}.")


def backend_tables(port: str, kind: str) -> dict[str, Any]:
    """Everything documented for one kind of one port."""
    merged: dict[str, Any] = {}
    for raw in [tomllib.loads(TEXT), *(with_block(*block) for block in blocks())]:
        tables = {"notifiers": [*raw["notify"].values(), raw["tracker"]], "incidents": raw["incidents"]}.get(port)
        tables = tables or ([raw[port]] if port in raw else [])
        for table in tables:
            if table["kind"] == kind:
                _merge(merged, table)
    return merged


def test_the_example_loads_as_it_is():
    """A file that `ray-tui init` has written is a valid configuration."""
    assert config.load(EXAMPLE).run.release == "shop-v1.0.0"


def test_every_field_of_the_configuration_is_in_the_example():
    """A new field of any section must be documented before it can be merged."""
    lost = [name for name in missing(Config, documented(), "") if not name.startswith("services.signals")]
    assert lost == []


@pytest.mark.parametrize(("port", "kind"), [(port, kind) for port, kinds in backends.KINDS.items() for kind in kinds])
def test_every_setting_of_every_backend_is_in_the_example(port, kind):
    """Each kind has a table with all of its own settings; what all HTTP systems share stands under [metrics]."""
    there = backend_tables(port, kind)
    shared = set(HttpAccess.model_fields) if port != "metrics" else set()
    model = backends.settings_model(port, kind)
    own = {name for name in model.model_fields if name not in shared or not issubclass(model, HttpAccess)}
    assert own - set(there) == set()


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"line {block[0] + 1}")
def test_every_commented_alternative_loads_when_it_is_uncommented(block):
    """What a reader is told to uncomment is right."""
    assert config.examined(with_block(*block))[1] == []


def test_every_setting_says_what_it_means():
    """A comment stands on the line of each setting, or above the group that it is in."""
    said = False
    for number, line in enumerate(TEXT.splitlines(), 1):
        bare = line.removeprefix(MARK).strip()
        if not bare or bare.startswith("["):
            said = said and bool(bare)
        if bare.startswith("#") or " # " in bare:
            said = True
        elif "=" in bare and not said and bare not in UNEXPLAINED:
            pytest.fail(f"config.example.toml:{number}: {bare!r} has no comment")


UNEXPLAINED = frozenset(
    line.strip()
    for line in """
    roles = ["release-manager"]
    login = "sam"
    kind = "pagerduty"
    kind = "slack"
    """.splitlines()
)
"""A second person, and kinds whose table's name says it all."""


def test_no_secret_stands_in_the_example():
    """Every secret of the example is a reference."""
    for key in ("bearer_token", "password", "token", "test_routing_key", "secret_url"):
        for value in re.findall(rf'^(?:#: )?{key} = "([^"]*)"', TEXT, re.MULTILINE):
            assert value.startswith(("env:", "file:", "cmd:")), key
