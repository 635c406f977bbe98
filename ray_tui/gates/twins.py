"""The JSON twins that gates judge: whether one can be read, what its action recorded in it, of which release it is."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict

Inputs = Mapping[str, Mapping[str, Any]]


def body(name: str, inputs: Inputs) -> Mapping[str, Any]:
    """What the action found. Raises TypeError where there is none."""
    twin = inputs.get(name)
    if not isinstance(twin, Mapping) or not isinstance(twin.get("body"), Mapping):
        raise TypeError("it has no body")
    found: Mapping[str, Any] = twin["body"]
    return found


def recorded(name: str, inputs: Inputs) -> list[Criterion]:
    """What the action held for and against itself. Raises ValueError, or TypeError where that is nothing."""
    twin = inputs.get(name)
    rows = twin.get("criteria") if isinstance(twin, Mapping) else None
    if not isinstance(rows, list) or not rows:
        raise TypeError("it records no criteria")
    return criteria_of(rows)


def criteria_of(rows: Any) -> list[Criterion]:
    """Raises ValueError where they are not as an action writes them."""
    return msgspec.convert(rows, list[Criterion])


def unusable(name: str, inputs: Inputs, exc: Exception, remedy: str, prefix: str = "") -> Criterion:
    """A twin that is not there fails; one that cannot be judged is an error. Neither is a pass."""
    missing = inputs.get(name) is None
    actual = f"{name} is not of the form that its action writes: {line(str(exc), 200)}"
    return Criterion(
        id=f"{prefix}evidence:{name}", title=f"{name} {'present' if missing else 'readable'}",
        verdict=Verdict.FAILED if missing else Verdict.ERROR, actual="missing" if missing else actual,
        required="present" if missing else "readable", evidence=(name,), remedy=remedy,
    )  # fmt: skip


def one_release(id_: str, names: Iterable[str], inputs: Inputs, remedy: str) -> list[Criterion]:
    """Evidence of two releases is evidence of none."""
    read = [(name, twin) for name in names if isinstance(twin := inputs.get(name), Mapping)]
    releases = sorted({str(twin.get("release")) for _, twin in read})
    if len(releases) < 2:
        return []
    return [
        Criterion(
            id=id_, title="One release", verdict=Verdict.FAILED, required="one release", remedy=remedy,
            actual=f"the evidence is about different releases: {line(', '.join(releases))}",
            evidence=tuple(name for name, _ in read),
        )
    ]  # fmt: skip
