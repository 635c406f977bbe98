"""Whether the dead man's switch works: the alert that always fires still arrives, so its silence would be heard."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.actions import probe_routes as routes
from ray_tui.actions.probe_judging import Skew, too_skewed
from ray_tui.actions.probe_sightings import SECOND
from ray_tui.analysis import routing
from ray_tui.clock import iso
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import ActiveAlert, Labels, LoadedRule, Ping, WebhookSink
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Context, criterion

REMEDY = "Load an alert on vector(1), route it to what misses it when it stops ([heartbeat]), then test again"
SLACK_SECONDS = 60.0
"""How much later than Alertmanager's own repetition a heartbeat may be."""


@dataclass(frozen=True)
class Heartbeat:
    """What one look found. ``verdict`` FAILED may still become better while a fresh system starts."""

    verdict: Verdict
    actual: str
    alert: str = ""
    receivers: tuple[str, ...] = ()
    at: float | None = None
    """When a receiver last got it (its own clock)."""
    longest_silence: float = 0.0
    labels: Labels = field(default_factory=dict)
    remedy: str = REMEDY


async def listen(context: Context, config: routing.RoutingConfig | None, patience: float) -> Heartbeat:
    """Look, and while it is only not there yet look again, for ``patience`` seconds at most."""
    until = context.now() + patience
    while True:
        try:
            found = await _look(context, config)
        except BackendError as error:
            found = Heartbeat(Verdict.ERROR, f"it cannot be looked for: {error}")
        if found.verdict is not Verdict.FAILED or not found.alert or context.now() >= until:
            return found
        await context.sleep(context.config.alert_paths.poll_seconds)


async def _look(context: Context, config: routing.RoutingConfig | None) -> Heartbeat:
    ports = context.ports
    if ports.metrics is None or config is None:
        return Heartbeat(Verdict.INCONCLUSIVE, "neither loaded rules nor routes could be read")
    always = routes.switches(await ports.metrics.rules(), context.config.alerts)
    if not always:
        return Heartbeat(Verdict.FAILED, "no loaded alert fires always: nobody would notice that no alert arrives")
    firing = [one for one in await ports.metrics.alerts() if one.state == "firing"]
    looks = [await _one(context, config, rule, firing) for rule in always]
    order = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED, Verdict.ERROR)
    return min(looks, key=lambda one: order.index(one.verdict))


async def _one(
    context: Context, config: routing.RoutingConfig, rule: LoadedRule, firing: Sequence[ActiveAlert]
) -> Heartbeat:
    """One always-firing alert: does it fire, is it routed to somebody, did they get it?"""
    alert = next((one for one in firing if one.labels.get("alertname") == rule.name), None)
    if alert is None:
        return Heartbeat(Verdict.FAILED, f"{rule.name} should always fire, and does not", rule.name)
    kinds = {one.name: {integration.kind for integration in one.integrations} for one in config.receivers}
    hits = [hit for hit in routing.route(config, alert.labels, context.now()) if not hit.inactive]
    told = [hit for hit in hits if kinds.get(hit.receiver)]
    names = tuple(dict.fromkeys(hit.receiver for hit in told))
    if not told:
        ends = ", ".join(hit.receiver for hit in hits) or "a muted route"
        return Heartbeat(Verdict.FAILED, f"{rule.name} fires, and ends at {ends}, where nobody is told", rule.name)
    pinged = await _pinged(context, rule, alert.labels, told)
    hooks = [hit for hit in told if "webhook" in kinds[hit.receiver]]
    if pinged is not None and (pinged.verdict is Verdict.PASSED or not hooks or _sink(context) is None):
        return pinged
    if not hooks or _sink(context) is None:
        why = "no [webhook] sink and no [heartbeat] is configured" if hooks else "none of them is a webhook"
        said = f"{rule.name} fires and goes to {', '.join(names)}; whether it arrives cannot be seen: {why}"
        return Heartbeat(Verdict.INCONCLUSIVE, said, rule.name, names)
    received = await _received(context, rule, alert.labels, hooks, names)
    order = (Verdict.PASSED, Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE)
    return min((one for one in (received, pinged) if one is not None), key=lambda one: order.index(one.verdict))


def _sink(context: Context) -> WebhookSink | None:
    """What names the receiver of what it got. In a chat, somebody's word with the alert's name would count as one."""
    chat = (context.config.webhook or {}).get("kind") == "template"
    return None if chat else context.ports.webhook


async def _received(
    context: Context, rule: LoadedRule, labels: Labels, hooks: Sequence[routing.Hit], names: tuple[str, ...]
) -> Heartbeat:
    """What the webhook sink got of it."""
    sink = _sink(context)
    assert sink is not None
    longest = max(hit.repeat_interval + hit.group_interval for hit in hooks) + SLACK_SECONDS
    receipts = await sink.receipts(rule.name, context.now() - longest)
    wanted = {hit.receiver for hit in hooks}
    heard = [one for one in receipts if one.status != "resolved"]
    beats = [one for one in heard if one.receiver in wanted]
    nameless = [one for one in heard if not one.receiver]
    if not beats and nameless:
        said = f"{rule.name} fires and {sink.name} got it, but does not say for which receiver: it names no `receiver`"
        remedy = "Let each row of the sink's answer name its `receiver` (docs/backends.md), then test again"
        return Heartbeat(Verdict.INCONCLUSIVE, said, rule.name, names, None, longest, labels, remedy)
    if not beats:
        said = f"{rule.name} fires, and {', '.join(sorted(wanted))} has not got it for {longest:.0f} s"
        return Heartbeat(Verdict.FAILED, said, rule.name, names, None, longest, labels)
    last = max(beats, key=lambda one: one.at)
    said = f"{rule.name} fires, and {last.receiver} got it {max(0.0, context.now() - last.at):.0f} s ago"
    return Heartbeat(Verdict.PASSED, said, rule.name, names, last.at, longest, labels)


async def _pinged(context: Context, rule: LoadedRule, labels: Labels, told: Sequence[routing.Hit]) -> Heartbeat | None:
    """What a monitor says that only counts pings, which carry no token; None where it stands behind none of these."""
    monitor, named = context.ports.heartbeat, context.config.alert_paths.heartbeat_receiver
    mine = [hit for hit in told if not named or hit.receiver == named]
    if monitor is None or not mine:
        return None
    longest = max(hit.repeat_interval + hit.group_interval for hit in mine) + SLACK_SECONDS
    try:
        ping, skew = await monitor.last_ping(), (await monitor.health()).clock_skew_seconds
    except BackendError as error:
        said = f"{rule.name} fires; whether {monitor.name} is pinged cannot be seen: {error}"
        return Heartbeat(Verdict.ERROR, said, rule.name, tuple(hit.receiver for hit in mine))
    verdict, said = judge_ping(ping, longest, context.now(), skew)
    whole = f"{rule.name} fires, and {ping.check} ({monitor.name}) {said}"
    names = tuple(dict.fromkeys(hit.receiver for hit in mine))
    return Heartbeat(verdict, whole, rule.name, names, ping.at, longest, labels)


def judge_ping(ping: Ping, longest: float, now: float, skew: Skew) -> tuple[Verdict, str]:
    """Whether a monitor was pinged in the last ``longest`` seconds, and would tell somebody if it were not.

    A monitor that is paused, was never pinged, or says nothing that we know, is no dead man's switch.
    """
    if too_skewed(skew):
        return Verdict.INCONCLUSIVE, "has a clock that is too far off ours to say when it was pinged"
    if ping.status == "paused":
        return Verdict.FAILED, "is paused: nobody would be told when its pings stop"
    if ping.status == "new" or ping.at is None:
        return Verdict.FAILED, "was never pinged"
    least, most = skew or (0.0, 0.0)  # its clock minus ours
    newest, oldest = now - (ping.at - least), now - (ping.at - most)
    if oldest < -SECOND:
        return Verdict.INCONCLUSIVE, f"says that it was pinged {-oldest:.0f} s from now"
    ago = f"was pinged {max(0.0, oldest):.0f} s ago"
    if ping.status == "down" or newest > longest:
        return Verdict.FAILED, f"is {ping.status}: it {ago} (at most {longest:.0f} s are expected)"
    if ping.status == "unknown" or oldest > longest:
        why = "a status that is not known" if ping.status == "unknown" else "a clock that is not known well enough"
        return Verdict.INCONCLUSIVE, f"has {why}; it {ago} (at most {longest:.0f} s are expected)"
    missed = "" if ping.longest_silence is None else f", and is missed after {ping.longest_silence:.0f} s"
    return Verdict.PASSED, f"is {ping.status}: it {ago}{missed}"


def judge(found: Heartbeat) -> Criterion:
    """Fail-closed, and to be waived by name where somebody else watches the watchdog."""
    return criterion(
        "alert_paths.watchdog", "The dead man's switch is alive", found.verdict, found.actual,
        required="an always-firing alert arrives at a receiver", evidence=("alert-test-results.json",),
        remedy=found.remedy,
    )  # fmt: skip


def data(found: Heartbeat) -> dict[str, Any]:
    return {
        "alert": found.alert or None, "receivers": list(found.receivers), "verdict": found.verdict.value,
        "actual": found.actual, "last_seen": None if found.at is None else iso(found.at),
        "longest_silence_seconds": found.longest_silence or None,
    }  # fmt: skip
