"""The one place that asks the machine what time it is."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Wall and monotonic time, in seconds. Tests pass a subclass that stands still."""

    def wall(self) -> float:
        """Unix seconds, UTC, with a fraction."""
        return time.time()  # noqa: TID251 (this is the clock's home)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; only differences mean something, and only on one boot."""
        return time.monotonic()


def iso(unix_seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-11-22T19:15:00.000Z``."""
    at = datetime.fromtimestamp(unix_seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
