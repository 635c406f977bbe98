"""When Alertmanager says that it sent our notifications, as far as its counters can be told apart from other sends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ray_tui.actions.probe_alert import Alert
from ray_tui.analysis.hops import Interval
from ray_tui.core.errors import BackendError
from ray_tui.step import Context

_LOOKS = 10


@dataclass
class SentCounter:
    """When Alertmanager's counters show that our notifications, and only ours, were sent (t3).

    The counters are per integration, not per receiver: nothing is said unless all of ours are known to have arrived
    and the counter rose by exactly their number since before the first was fired.
    """

    expected: dict[str, int] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    rising_since: dict[str, float] = field(default_factory=dict)
    now: dict[str, float] | None = None
    """Totals at the last look; None where they could not be read."""
    recent: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """When each of the last looks began, and its totals."""
    looked: float = 0.0
    open: bool = True

    def close(self) -> None:
        """From now on other notifications of ours move the counters too."""
        self.open = False

    def expect(self, alerts: Sequence[Alert]) -> None:
        """How many notifications are ours; nothing can be said of probes that another host fired."""
        if any(alert.phase != "unsent" for alert in alerts):
            self.close()
        for leg in (leg for alert in alerts for leg in alert.legs):
            for channel in leg.channels:
                self.expected[channel.kind] = self.expected.get(channel.kind, 0) + channel.expected

    async def _totals(self, context: Context) -> dict[str, float] | None:
        assert context.ports.alerting is not None
        try:
            counts = await context.ports.alerting.notifications()
        except BackendError:
            return None
        kinds = groupby(sorted(counts, key=lambda key: key[1]), key=lambda key: key[1])
        return {kind: sum(counts[key] for key in keys) for kind, keys in kinds}

    async def begin(self, context: Context) -> None:
        totals = await self._totals(context) if self.open else None
        if not totals:
            self.close()
        self.before, self.looked = totals or {}, context.now()

    async def look(self, context: Context, alerts: Sequence[Alert]) -> None:
        """Read the counters, while anything of ours may still be on its way."""
        waiting = any(not one.settled for alert in alerts for leg in alert.legs for one in leg.channels)
        began = context.now()
        self.now = await self._totals(context) if self.open or (waiting and self.before) else None
        if self.now is not None:
            self.recent = [*self.recent, (began, self.now)][-_LOOKS:]

    def sent_nothing(self, kind: str, alerts: Sequence[Alert], limit: float) -> bool:
        """Whether every notification that was sent on this integration until ``limit`` has arrived as one of ours.

        One look after it is enough: a request that is under way counts as sent until it has failed.
        """
        looks = [totals.get(kind, 0.0) for at, totals in self.recent if at >= limit]
        if not looks or not self.before:
            return False
        channels = [one for alert in alerts for leg in alert.legs for one in leg.channels if one.kind == kind]
        arrived = sum(one.expected for one in channels if one.delivered)
        return min(looks) - self.before.get(kind, 0.0) <= arrived

    async def take(self, context: Context, alerts: Sequence[Alert], began: float) -> None:
        """What the last look says of the notifications that have arrived by now."""
        totals = self.now if self.open else None
        if totals is None:
            return
        for kind, wanted in list(self.expected.items()):
            rise = totals.get(kind, 0.0) - self.before.get(kind, 0.0)
            if rise > 0:
                self.rising_since.setdefault(kind, self.looked)
            legs = [leg for alert in alerts for leg in alert.legs if any(one.kind == kind for one in leg.channels)]
            arrived = all(one.delivered for leg in legs for one in leg.channels if one.kind == kind)
            if arrived and rise == wanted:
                for leg in (one for one in legs if len({c.kind for c in one.channels}) == 1):
                    until = min(context.now(), max(one.delivered.latest for one in leg.channels if one.delivered))
                    when = Interval(min(max(self.rising_since[kind], leg.fired.latest), until), until)
                    leg.saw("t3", when, f"notification counters of {kind}")
            if (arrived and rise == wanted) or rise > wanted:
                del self.expected[kind]
        self.looked = began
