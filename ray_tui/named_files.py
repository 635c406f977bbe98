"""The files that a configuration names, as a run on this machine will need them: there, readable, secrets private."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ray_tui import config, config_lines, files
from ray_tui.config import Config
from ray_tui.config_errors import Fault
from ray_tui.core.errors import ConfigError, InputError
from ray_tui.secrets import SecretRef

FOLDERS = ("directory",)
"""Settings that name a folder: a run makes it."""


def require(chosen: Config) -> Config:
    """The same configuration. Raises ConfigError naming file, line and key of every file that cannot be used here."""
    if found := faults(chosen):
        raise config.refusal(chosen.file, found)
    return chosen


def faults(chosen: Config) -> list[Fault]:
    """Every named file that is missing or cannot be used. ``env:`` and ``cmd:`` secrets are asked for when needed."""
    named: list[tuple[config_lines.Path, Any]] = []
    if chosen.policy.allowed_signers:
        named.append((("policy", "allowed_signers"), Path(chosen.policy.allowed_signers)))
    named += _values(chosen.acknowledge, ("acknowledge",))
    for port, path, table in config.backend_tables(dict(chosen)):
        named += _values(config.check_backend(port, path, table), path)
    checked = ((path, _wrong(value, chosen.folder)) for path, value in named)
    return [Fault(path, why) for path, why in checked if why]


def _values(value: Any, path: config_lines.Path) -> Iterator[tuple[config_lines.Path, Any]]:
    """Every value of a model that may name a file, and where it stands."""
    if isinstance(value, SecretRef | Path):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name not in FOLDERS:
                yield from _values(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _values(inner, (*path, name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from _values(inner, (*path, number))


def _wrong(named: Path | SecretRef, folder: Path) -> str:
    """Why this file cannot be used; "" where it can."""
    if isinstance(named, Path):
        return _unreadable(folder / named.expanduser())
    if named.scheme != "file":
        return ""
    try:
        named.resolve(folder)
    except ConfigError as exc:
        return str(exc)
    return ""


def _unreadable(path: Path) -> str:
    try:
        with files.opened(path):
            return ""
    except InputError as exc:
        return str(exc)
