"""Change one setting of a user's file and nothing else: comments stay, and what is not valid is not written."""

import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ray_tui import config
from ray_tui.core.errors import ConfigError, InputError
from ray_tui.evidence import writer


def set_value(path: Path, key: str, value: str) -> tuple[str, str]:
    """Set a dotted key; (what stood there, what stands there), as TOML, ``""`` for nothing.

    ``value`` is TOML (``0.9``, ``true``, ``["a"]``) or, where that does not fit the setting, plain text.
    Raises InputError for a key that cannot be one, and ConfigError for a value that the configuration refuses; the
    file is then as it was.
    """
    try:
        text = path.read_bytes().decode("utf-8")  # with its own line ends
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read: {exc}") from exc
    config.parse(text, path)  # a file that is wrong already is mended by hand, where its errors have lines
    parts = _parts(key)
    old, new, changed = _changed(text, parts, key, value, path)
    mode = path.stat().st_mode & 0o777
    target = path.resolve()  # a link stays one
    writer.publish(target.parent, target.name, changed.encode())
    target.chmod(mode)
    return old, new


def _changed(text: str, parts: list[str], key: str, value: str, path: Path) -> tuple[str, str, str]:
    """(old, new, whole text), from the first reading of the value that the configuration accepts."""
    refused: ConfigError | None = None
    for candidate in _readings(value):
        document = tomlkit.parse(text)
        old = _put(document, parts, key, candidate)
        changed = tomlkit.dumps(document)
        try:
            config.parse(changed, path)
        except ConfigError as exc:
            refused = refused or exc
            continue
        if tomllib.loads(changed) != _expected(text, parts, candidate):
            raise InputError(f"{path}: {key} cannot be changed without changing more; edit the file by hand")
        return old, _as_toml(candidate), changed
    assert refused is not None
    raise refused


def _parts(key: str) -> list[str]:
    try:
        tree: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError as exc:
        raise InputError(f"{key!r} is no key; write it as thresholds.coverage or notify.20.url") from exc
    parts = []
    while isinstance(tree, dict) and len(tree) == 1:
        part, tree = next(iter(tree.items()))
        parts.append(part)
    if tree != 0:
        raise InputError(f"{key!r} is no single key; write it as thresholds.coverage or notify.20.url")
    return parts


def _readings(value: str) -> list[Any]:
    """What a value can mean: TOML first, then the text itself."""
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return [value]
    return [value] if set(read) != {"value"} else [read["value"], value]


def _put(document: Any, parts: list[str], key: str, value: Any) -> str:
    """Set the value in place; what stood there, as TOML."""
    at = document
    for part in parts[:-1]:
        if isinstance(at, list):
            at = _item(at, part, key)
        else:
            if part not in at:
                at[part] = tomlkit.table()
            at = at[part]
        if not isinstance(at, dict | list):
            raise InputError(f"{key}: {part} is a value, not a table")
    if isinstance(at, list):
        raise InputError(f"{key}: names a whole list entry; name one of its keys")
    old = at.get(parts[-1])
    at[parts[-1]] = value
    return "" if old is None else _as_toml(old)


def _item(items: Any, part: str, key: str) -> Any:
    try:
        return items[int(part)]
    except (ValueError, IndexError):
        raise InputError(f"{key}: there are entries 0 to {len(items) - 1}, not {part}") from None


def _expected(text: str, parts: list[str], value: Any) -> dict[str, Any]:
    raw = tomllib.loads(text)
    at: Any = raw
    for part in parts[:-1]:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    at[parts[-1]] = value
    return raw


def _as_toml(value: Any) -> str:
    try:
        return str(tomlkit.item(value).as_string()).strip()
    except (TOMLKitError, ValueError):
        return str(value)
