"""Where the others look: a pane or a step of the plan and nothing else; in passing, lossy, never journalled."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from ray_tui.core import plan
from ray_tui.core.untrusted import line
from ray_tui.core.value import Value

LOG = "log"
PLACES = frozenset({*(f"phase.{number}" for number in range(1, 5)), LOG, *plan.STEPS})
"""Everything that can be looked at, by its name on the wire."""
TELL_SECONDS = 0.5
"""Between two words of one console; only its newest place is passed on."""


class Look(Value):
    """One console and the place that it has in focus."""

    console: str
    person: str
    place: str

    def as_message(self) -> dict[str, str]:
        return {"console": self.console, "person": self.person, "place": self.place}


@runtime_checkable
class Presence(Protocol):
    """What a handle offers where others can be seen. One that has no others (local, replay) simply lacks it."""

    @property
    def looks(self) -> Sequence[Look]:
        """Where the other consoles look, as far as they have told."""
        ...

    def look_at(self, place: str) -> None:
        """Tell the others. Returns at once; what cannot be sent is lost."""
        ...


def place_of(value: object) -> str:
    """A place of ours, or empty for anything else that somebody sent."""
    return value if isinstance(value, str) and value in PLACES else ""


def look_of(message: Any) -> Look | None:
    """What a host passed on; None where it has another shape. An empty place means that they look away, or left."""
    if not isinstance(message, dict) or not isinstance(message.get("console"), str) or not message["console"]:
        return None
    return Look(line(message["console"], 80), line(str(message.get("person", "")), 80), place_of(message.get("place")))


def phase_of(place: str) -> int:
    """The pane in which a place is: 1–4, 5 for the event log, 0 for none."""
    if place.startswith("phase."):
        return int(place[-1])
    if place == LOG:
        return 5
    return max(1, min(4, plan.phase_of(place))) if place in PLACES else 0
