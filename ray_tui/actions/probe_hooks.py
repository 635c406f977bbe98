"""Where what a receiver posts to a URL can be seen, and which of what is seen there is whose."""

from collections.abc import Mapping, Sequence

from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_judging import WEBHOOKS, Channel, Leg
from ray_tui.actions.probe_sightings import Sighting, Turn, by_webhook
from ray_tui.core.ports import WebhookReceipt
from ray_tui.step import Context

Receipts = Mapping[tuple[str, str], Sequence[WebhookReceipt]]
"""(probe's token, name of the sink) -> what it says that it got."""


def sink_of(context: Context, receiver: str, kind: str) -> str:
    """The name of the place where it can be seen; "" where nobody said: Alertmanager hides where it posts to."""
    known = context.config.alert_paths.webhook_receivers
    return known.get(f"{receiver}/{kind}") or known.get(receiver, "")


def blind(context: Context, receiver: str, kind: str) -> str:
    """Why nothing of it can be seen; "" where it can."""
    name = sink_of(context, receiver, kind)
    if not name:
        key = f'[alert_paths.webhook_receivers] {receiver!r} = "webhook", or a name under [webhooks]'
        return f"where its {kind} messages can be seen is not known ({key})"
    if context.ports.sink(name) is None:
        table = name if name == "webhook" else f"webhooks.{name}"
        return f"no [{table}] is configured to see what {kind} delivers"
    return ""


def sinks(alert: Alert) -> list[str]:
    """The names of the places that have to be asked about it."""
    return sorted({one.sink for leg in alert.legs for one in _hooks(leg)})


def seen(alert: Alert, leg: Leg, kind: str, receipts: Receipts) -> Sighting:
    """What the place of this channel knows of it. A chat does not say for which receiver a message is: they take turns.

    Two integrations that post to the same place need two messages: one never proves both."""
    channel = next(one for one in _hooks(leg) if one.kind == kind)
    beside = [one for one in _hooks(leg) if one.sink == channel.sink]
    earlier = alert.legs[: next(number for number, one in enumerate(alert.legs) if one is leg)]
    others = [one for each in alert.legs if each is not leg for one in _hooks(each) if one.sink == channel.sink]
    first = [one for each in earlier for one in _hooks(each) if one.sink == channel.sink]
    mine = Turn(_sum(beside[: beside.index(channel)]), channel.expected, _sum(beside))
    anyones = Turn(mine.before + _sum(first), channel.expected, mine.total + _sum(others))
    return by_webhook(receipts.get((alert.token, channel.sink), ()), leg.receiver, mine, anyones)


def _hooks(leg: Leg) -> list[Channel]:
    return [one for one in leg.channels if one.kind in WEBHOOKS and not one.blind]


def _sum(channels: Sequence[Channel]) -> int:
    return sum(one.expected for one in channels)
