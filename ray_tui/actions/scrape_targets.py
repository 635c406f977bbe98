"""1.2: of a service without a sample since the deploy, whether its scrape targets are down, and why."""

import re
from collections.abc import Iterable

from ray_tui.actions.signals import Audit, names_of, required
from ray_tui.analysis import red
from ray_tui.config import Signal
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Target
from ray_tui.step import Context

SCRAPED: tuple[Signal, ...] = ("metrics", "synthetics")
_QUERY = re.compile(r"\?[^\s\"']*")
"""Parameters of an address in an error: they may be secret."""


async def ask_targets(context: Context, audit: Audit) -> None:
    """Fills ``audit.targets``: evidence for who mends it, no verdict of its own. A store that has no targets, or does
    not answer, is a warning."""
    audit.targets = {}
    silent = {
        signal: {one.name: names_of(context, audit, one.name, signal) for one in required(audit, signal)
                 if _is_silent(audit, one.name, signal)}
        for signal in SCRAPED
    }  # fmt: skip
    if context.ports.metrics is None or not any(silent.values()):
        return
    try:
        targets = await context.ports.metrics.targets()
    except BackendError as exc:
        audit.live_problems.append(f"why nothing is scraped could not be asked: {exc}")
        return
    for signal, services in silent.items():
        for service, labels in services.items():
            own = [target for target in targets if red.owner_of(target.labels, {service: labels})]
            audit.targets[service, signal] = said(own)


def _is_silent(audit: Audit, service: str, signal: Signal) -> bool:
    seen = audit.seen.get((service, signal))
    return seen is not None and not seen.problem and (seen.at is None or seen.at <= audit.deployed_at)


def said(targets: Iterable[Target]) -> str:
    """What is wrong with the targets of a service, in words; empty where one is up, or none carries its labels."""
    own = list(targets)
    if not own or any(target.health == "up" for target in own):
        return ""
    first = own[0]
    name = first.labels.get("instance") or _QUERY.sub("", first.url)
    more = f" and {len(own) - 1} more" if len(own) > 1 else ""
    why = f": {_QUERY.sub('', first.last_error)}" if first.last_error else ""
    return f"its scrape target {name}{more} is {first.health}{why}"
