"""The protocol's twelve actions, one file each: found by listing the folder, imported when they are run."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from ray_tui.core import plan
from ray_tui.step import ActionModule


class Registry(Mapping[str, ActionModule]):
    """Plan key -> module. A file that the plan does not name (``services.py``) is a helper, not an action."""

    def __init__(self) -> None:
        found = {module.name for module in iter_modules(__path__)}
        self._keys = tuple(action.key for action in plan.ACTIONS if action.key in found)

    def __getitem__(self, key: str) -> ActionModule:
        if key not in self._keys:
            raise KeyError(key)
        return cast(ActionModule, import_module(f"{__name__}.{key}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


REGISTRY = Registry()


def module_of(key: str) -> ActionModule:
    """Raises KeyError for a key that has no file."""
    return REGISTRY[key]
