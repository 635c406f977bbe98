"""The four gates, one file each: pure functions over the evidence's JSON twins, found by listing the folder."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from ray_tui.core import plan
from ray_tui.core.policy import Thresholds
from ray_tui.core.verdicts import Criterion
from ray_tui.gates.settled import FILE, Settled


class GateModule(Protocol):
    """What a file in ray_tui/gates offers."""

    RULE_VERSION: str

    def judge(
        self, inputs: Mapping[str, Mapping[str, Any]], thresholds: Thresholds, now: float
    ) -> tuple[Criterion, ...]:
        """``inputs``: artifact JSON name -> its parsed twin. A bad one is a criterion, never an exception."""
        ...


class Registry(Mapping[str, GateModule]):
    """Plan key -> module; other files in the folder are helpers."""

    def __init__(self) -> None:
        found = {module.name for module in iter_modules(__path__)}
        self._keys = tuple(gate.key for gate in plan.GATES if gate.key in found)

    def __getitem__(self, key: str) -> GateModule:
        if key not in self._keys:
            raise KeyError(key)
        return cast(GateModule, import_module(f"{__name__}.{key}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


REGISTRY = Registry()


def module_of(key: str) -> GateModule:
    """Raises KeyError for a key that has no file."""
    return REGISTRY[key]


def judge(
    key: str, inputs: Mapping[str, Mapping[str, Any]], thresholds: Thresholds, now: float
) -> tuple[Criterion, ...]:
    """A gate as its file judges it, and what was waived where it had halted. Raises KeyError as `module_of`."""
    judged = module_of(key).judge(inputs, thresholds, now)
    return Settled.read(inputs.get(FILE), now).at_gate(judged, plan.gate(key).id)
