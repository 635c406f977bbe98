"""What 2.1 and 2.3 will say of the alerts that a plan is about to load, told before anybody agrees to it."""

from collections.abc import Sequence

from ray_tui.actions import alert_checks, loaded_rules, runbook_links
from ray_tui.actions.alert_checks import named
from ray_tui.actions.loaded_rules import RuleFile
from ray_tui.actions.services import effective_services
from ray_tui.core.untrusted import line
from ray_tui.step import Context


async def failures(context: Context, files: Sequence[RuleFile]) -> str:
    """A sentence for each of the two steps that these files would fail; "" where nothing is known against them.

    A runbook behind an http(s) link is not visited yet: 2.3 does it.
    """
    config, label = context.config, context.config.telemetry.service_label
    services = effective_services(config, context.state)
    loaded = [rule for file in files for rule in loaded_rules.as_loaded(file)]
    routes = await alert_checks.read_routes(context.ports.alerting)
    alerts = alert_checks.examine(loaded, routes, files, services, label, config.alerts)
    at_once = {one.name: why for one in alerts if (why := alert_checks.fails(one, services))}
    later: dict[str, str] = {}
    for one in alerts:
        found = await runbook_links.resolve(one.runbook, one.name, config, context.inputs, None)
        if found.fails:
            later[one.name] = found.why
    said = [f"{len(why)} will fail {step}: {_each(why)}." for step, why in (("2.1", at_once), ("2.3", later)) if why]
    return f"It loads {len(alerts)} alerts, of which\n" + "\n".join(said) if said else ""


def _each(why: dict[str, str]) -> str:
    return named(f"{line(name)} ({reason})" for name, reason in why.items())
