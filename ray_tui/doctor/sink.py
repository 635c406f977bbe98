"""Whether a [webhook] sink answers in the form that 2.2 reads, as far as what it has got shows it."""

from ray_tui.actions.probe_routes import switches
from ray_tui.config import Config
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Ports, WebhookReceipt
from ray_tui.core.untrusted import line
from ray_tui.doctor.finding import Finding

DAY_SECONDS = 86400.0
STATUSES = ("firing", "resolved")
SHOWN = "docs/backends.md shows the form (Where webhooks are seen)"


async def look(chosen: Config, ports: Ports, now: float) -> list[Finding]:
    """Asked for the alert that fires always: what it got of that is there whether or not a run has been."""
    sink = ports.webhook
    if sink is None or (chosen.webhook or {}).get("kind") != "sink" or ports.metrics is None:
        return []
    name = "system.webhook.form"
    try:
        always = switches(await ports.metrics.rules(), chosen.alerts)
    except BackendError as exc:
        return [Finding(name, True, line(f"not seen: which alert fires always is not known: {exc}"), SHOWN)]
    try:
        rows = [(rule.name, row) for rule in always for row in await sink.receipts(rule.name, now - DAY_SECONDS)]
    except BackendError as exc:
        return [Finding(name, False, line(str(exc)), SHOWN)]
    if not rows:
        asked = ", ".join(line(rule.name) for rule in always) or "no alert that fires always"
        return [Finding(name, True, f"not seen: it got nothing of {asked} in the last day", SHOWN)]
    of = ", ".join(dict.fromkeys(line(alert) for alert, _ in rows))
    lacking = lacks([row for _, row in rows])
    if lacking:
        return [Finding(name, False, f"what it got of {of} {lacking}", SHOWN)]
    return [Finding(name, True, f"{len(rows)} receipts of {of} in the last day, each with receiver and status")]


def lacks(rows: list[WebhookReceipt]) -> str:
    """What 2.2 cannot do with some of these rows; "" where they say all that it needs."""
    said = []
    if any(not row.receiver for row in rows):
        said.append("names no `receiver`: the dead man's switch will be inconclusive")
    if any(row.status not in STATUSES for row in rows):
        said.append("has no `status` firing or resolved: no test alert will count as delivered")
    return "; ".join(said)
