"""Whether the dead man's switch works: the alert that always fires still arrives, so its silence would be heard."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.actions import probe_routes as routes
from ray_tui.analysis import routing
from ray_tui.clock import iso
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import ActiveAlert, Labels, LoadedRule
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Context, criterion

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
    always = routes.switches(await ports.metrics.rules())
    if not always:
        return Heartbeat(Verdict.FAILED, "no loaded alert fires always: nobody would notice that no alert arrives")
    firing = [one for one in await ports.metrics.alerts() if one.state == "firing"]
    looks = [await _one(context, config, rule, firing) for rule in always]
    order = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED)
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
    hooks = [hit for hit in told if "webhook" in kinds[hit.receiver]]
    if not hooks or context.ports.webhook is None:
        why = "no [webhook] sink is configured" if hooks else "none of them is a webhook"
        said = f"{rule.name} fires and goes to {', '.join(names)}; whether it arrives cannot be seen: {why}"
        return Heartbeat(Verdict.INCONCLUSIVE, said, rule.name, names)
    longest = max(hit.repeat_interval + hit.group_interval for hit in hooks) + SLACK_SECONDS
    receipts = await context.ports.webhook.receipts(rule.name, context.now() - longest)
    wanted = {hit.receiver for hit in hooks}
    beats = [one for one in receipts if one.receiver in wanted and one.status != "resolved"]
    if not beats:
        said = f"{rule.name} fires, and {', '.join(sorted(wanted))} has not got it for {longest:.0f} s"
        return Heartbeat(Verdict.FAILED, said, rule.name, names, None, longest, alert.labels)
    last = max(beats, key=lambda one: one.at)
    said = f"{rule.name} fires, and {last.receiver} got it {max(0.0, context.now() - last.at):.0f} s ago"
    return Heartbeat(Verdict.PASSED, said, rule.name, names, last.at, longest, alert.labels)


def judge(found: Heartbeat) -> Criterion:
    """Fail-closed, and to be waived by name where somebody else watches the watchdog."""
    return criterion(
        "alert_paths.watchdog", "The dead man's switch is alive", found.verdict, found.actual,
        required="an always-firing alert arrives at a receiver", evidence=("alert-test-results.json",),
        remedy="Load an alert on vector(1), route it to a webhook that misses it when it stops, then test again",
    )  # fmt: skip


def data(found: Heartbeat) -> dict[str, Any]:
    return {
        "alert": found.alert or None, "receivers": list(found.receivers), "verdict": found.verdict.value,
        "actual": found.actual, "last_seen": None if found.at is None else iso(found.at),
        "longest_silence_seconds": found.longest_silence or None,
    }  # fmt: skip
