"""One monitoring asset checked by hand or by a scheduler, outside any run: open what is configured, look, judge."""

from ray_tui import wiring
from ray_tui.actions import asset_checks
from ray_tui.clock import Clock
from ray_tui.config import Config
from ray_tui.core.verdicts import worst
from ray_tui.judging import Judged


async def check(asset: str, chosen: Config) -> Judged:
    """Read-only, and pages nobody. Raises InputError for an asset of no known form, or without its system."""
    clock = Clock()
    async with wiring.open_ports(chosen, clock) as ports:
        criteria = await asset_checks.check(asset, asset_checks.Looking(chosen, ports, clock.wall()))
    return Judged(asset, asset, worst(criteria), criteria)
