"""Whether the host of a run still speaks, and what it owes an answer to; in passing, never journalled."""

from typing import Protocol, runtime_checkable

SILENT_SECONDS = 10.0
"""A host that beats and has not been heard for so long is silent: stopped, or it hangs."""
PENDING_SECONDS = 1.0
"""What has not been answered for so long is shown as unanswered."""


@runtime_checkable
class Pulse(Protocol):
    """What a handle offers whose host is another process. One that has no such host (local, replay) simply lacks it."""

    @property
    def silent_seconds(self) -> float:
        """Since when nothing was heard, once that is longer than it should be; 0 while all is well."""
        ...

    @property
    def unanswered(self) -> int:
        """Commands that were sent and that the host has not answered."""
        ...


def silence(pid: int) -> str:
    """What to say, once, when a host has fallen silent."""
    return (
        f"The host has said nothing for {SILENT_SECONDS:.0f} s: its process ({pid}) is stopped or hangs. What is asked "
        f"of it now stays unanswered until it wakes; `kill -CONT {pid}` wakes one that was stopped."
    )


HEARD_AGAIN = "The host is heard again."
ASKED_OF_THE_SILENT = "Sent, but the host is silent: it stays unanswered until the host wakes."
