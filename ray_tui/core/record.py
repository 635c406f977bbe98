"""What is written down as JSON and read again: immutable, checked where it is read, and cheap to define.

What people write (a configuration, answers) is pydantic's to judge, which explains what is wrong with it. These
are written by us, read by the thousand, and defined at every start of a console.
"""

from typing import Any, Self, dataclass_transform

import msgspec
from msgspec import ValidationError as ValidationError  # what from_json raises; a ValueError

from ray_tui.core.value import Value
from ray_tui.core.value import field as field


class _ByName(msgspec.StructMeta):
    """msgspec does not hand this option down to the fields of a subclass."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        return super().__new__(mcs, name, bases, namespace, **{"kw_only": True, **options})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Record(Value, metaclass=_ByName, kw_only=True, repr_omit_defaults=True):
    """Fields by name only. Types are checked by ``from_json`` alone: whoever makes one in code has mypy."""

    def to_builtins(self) -> dict[str, Any]:
        """Its fields as ``json.dumps`` takes them: texts for enumerations, and tuples as they are."""
        body: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return body

    def to_json(self) -> dict[str, Any]:
        """Its fields as ``json.loads`` would give them: with lists for tuples."""
        body: dict[str, Any] = _listed(self.to_builtins())
        return body

    @classmethod
    def from_json(cls, body: Any) -> Self:
        """Raises ValidationError, which says where it does not fit."""
        return msgspec.convert(body, cls)

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        return cls.__struct_fields__


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(inner) for name, inner in value.items()}
    return [_listed(inner) for inner in value] if isinstance(value, list | tuple) else value
