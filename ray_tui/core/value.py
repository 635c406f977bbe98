"""Values that live in memory only: what a dataclass is, at a thirtieth of the price of defining one at every start."""

from typing import Any, Self, dataclass_transform

from msgspec import Struct, structs
from msgspec import field as field


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(Struct, frozen=True):
    """Immutable; equal where its fields are."""

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return structs.replace(self, **changes)


class Changing(Struct):
    """One whose fields change as a run goes on."""

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return structs.replace(self, **changes)
