"""When Alertmanager says that it sent our notifications: by its event recorder, or by counters that moved for us alone.

The event recorder names receiver, integration and alert, and is believed first. It writes once the receiver has
answered, so what has arrived bounds when the sending began.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_asking import EARLIER
from ray_tui.actions.probe_judging import Channel, Leg, Skew, too_skewed
from ray_tui.actions.probe_sightings import EXACT, Stamp, placed
from ray_tui.analysis.hops import Interval
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import SentEvent
from ray_tui.step import Context

_LOOKS = 10
RECORDER = "event recorder"


@dataclass
class SentEvents:
    """What the event recorder says of our alerts; silent where none is configured, or where it cannot be read."""

    skew: Skew = None
    """Alertmanager's clock against ours."""
    configured: bool = False
    trouble: str = ""
    """Why it could not be read the last time."""
    looked: float = 0.0
    """When the last good look began."""
    seen: dict[str, tuple[SentEvent, ...]] = field(default_factory=dict)
    """Token -> notifications of it that were sent firing, oldest first."""

    async def begin(self, context: Context, alerts: Sequence[Alert]) -> None:
        """From now on; for alerts of a host that died, from when they were sent."""
        resumed = [one.starts_at for one in alerts if one.phase != "unsent"]
        await self._ask(context, "", min(resumed) - self._earlier() if resumed else context.now() + 1.0)

    async def look(self, context: Context, alerts: Sequence[Alert]) -> None:
        began = context.now()
        if not self.configured:
            return
        good = [await self._ask(context, one.token, one.starts_at - self._earlier()) for one in alerts]
        if good and all(good):
            self.looked = began

    def _earlier(self) -> float:
        return EARLIER if self.skew is None else EARLIER + max(0.0, -self.skew[0])

    async def _ask(self, context: Context, token: str, since: float) -> bool:
        assert context.ports.alerting is not None
        labels = {planning.PROBE_LABEL: token} if token else {}
        try:
            found = await context.ports.alerting.sent(labels, since)
        except BackendError as error:
            self.configured, self.trouble = True, str(error)
            return False
        self.configured, self.trouble = found is not None, ""
        self.seen[token] = found or ()
        return found is not None

    def of(self, alert: Alert, leg: Leg, channel: Channel) -> list[SentEvent]:
        """The first notification by each of the receiver's integrations of this kind."""
        firsts: dict[int, SentEvent] = {}
        for one in self.seen.get(alert.token, ()):
            if one.receiver == leg.receiver and one.integration == channel.kind:
                firsts.setdefault(one.index, one)
        return list(firsts.values())

    def take(self, context: Context, alerts: Sequence[Alert]) -> None:
        """Sent, for every receiver whose integrations have all sent; what arrives is waited for as long as it may."""
        for alert, leg in ((one, leg) for one in alerts for leg in one.legs if "t3" not in leg.hops):
            found = {channel.kind: self.of(alert, leg, channel) for channel in leg.channels}
            whole = all(len(found[channel.kind]) >= channel.expected for channel in leg.channels)
            if leg.channels and whole and (leg.done or all(one.settled for one in leg.channels)):
                self._saw(context, leg, found)

    def _saw(self, context: Context, leg: Leg, found: dict[str, list[SentEvent]]) -> None:
        now, spans, how = context.now(), [], ""
        skew = None if too_skewed(self.skew) else self.skew  # a date that far off says nothing: our looks bound it
        for channel in leg.channels:
            for event in found[channel.kind]:
                stamp = Stamp(event.at, EXACT)
                leg.in_order("t3", stamp, "t0", leg.floor, skew, f"{RECORDER} of {event.peer or 'Alertmanager'}")
                when, how = placed(stamp, leg.floor, now, skew)
                arrived = channel.delivered.earliest if channel.delivered else when.earliest
                spans.append(Interval(min(when.earliest, max(arrived, leg.floor)), when.latest))
        last = Interval(max(one.earliest for one in spans), max(one.latest for one in spans))
        peers = ", ".join(dict.fromkeys(one.peer for events in found.values() for one in events if one.peer))
        kinds = ", ".join(f"{kind}/{one.index}" for kind, events in found.items() for one in events)
        leg.saw("t3", last, f"{RECORDER}: {how}", peers, kinds)


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
    events: SentEvents = field(default_factory=SentEvents)

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

    async def begin(self, context: Context, alerts: Sequence[Alert]) -> None:
        await self.events.begin(context, alerts)
        totals = await self._totals(context) if self.open else None
        if not totals:
            self.close()
        self.before, self.looked = totals or {}, context.now()

    async def look(self, context: Context, alerts: Sequence[Alert]) -> None:
        """Read the counters, while anything of ours may still be on its way."""
        await self.events.look(context, alerts)
        waiting = any(not one.settled for alert in alerts for leg in alert.legs for one in leg.channels)
        began = context.now()
        self.now = await self._totals(context) if self.open or (waiting and self.before) else None
        if self.now is not None:
            self.recent = [*self.recent, (began, self.now)][-_LOOKS:]

    def stopped(self, alert: Alert, leg: Leg, kind: str, alerts: Sequence[Alert], limit: float) -> str:
        """How it shows that nothing was sent to this integration until ``limit``; "" where that does not show."""
        if self.events.looked >= limit:
            channel = next(one for one in leg.channels if one.kind == kind)
            missing = len(self.events.of(alert, leg, channel)) < channel.expected
            return "Alertmanager's event recorder shows no notification that was taken there" if missing else ""
        why = "Alertmanager's counters show that nothing was sent there: it was refused, or there was no answer"
        return why if self.sent_nothing(kind, alerts, limit) else ""

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
        self.events.take(context, alerts)
        if self.events.configured and not self.events.trouble:
            return  # it will say so itself, and better
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
