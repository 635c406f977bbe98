"""A rule probe where no rule file may be written: a pushed series makes a permanent rule of the user's fire.

The series' value is the unix time at which the probe ends, and the rule compares it with ``time()``: whatever becomes
of us, it stops by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ray_tui.actions import probe_evaluated as evaluated
from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert
from ray_tui.core.errors import BackendBusy, BackendError, BackendRefused
from ray_tui.core.ports import Labels, LoadedRule
from ray_tui.step import Context

JOB = "ray-tui"
DROPPED = ("exported_job", "instance", "job")
"""Labels of the scrape, which the rule's alert should not have."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class StillFiring(BackendBusy):
    """The series is deleted; the next scrape and evaluation end the alert."""


@dataclass(frozen=True)
class Permanent:
    """A loaded rule that a pushed series makes fire."""

    rule: LoadedRule
    dropped: tuple[str, ...]
    """Labels of the series that its alert does not have."""

    def alert_labels(self, pushed: Labels) -> dict[str, str]:
        """What an alert of it looks like, for these labels of the series."""
        kept = {name: value for name, value in pushed.items() if name not in self.dropped}
        return {**kept, **self.rule.labels, "alertname": self.rule.name}


def rule_text(metric: str) -> str:
    """The permanent rule that a user loads once."""
    token = f"{{{{ $labels.{planning.PROBE_LABEL} }}}}"
    return f"""groups:
  - name: ray-tui-probe
    rules:
      - alert: RayTuiPushedProbe
        expr: max without ({", ".join(DROPPED)}) ({metric}) > time()
        annotations:
          summary: "[TEST] ray-tui: please acknowledge ({token})"
          description: "[TEST] Synthetic alert, probe {token}: no service is affected."
"""


def permanent(rules: Sequence[LoadedRule], metric: str) -> Permanent | str:
    """The one loaded rule on this metric, if it is as it must be; else what is wrong."""
    word = re.compile(rf"(?<![\w:]){re.escape(metric)}(?![\w:])")
    found = [one for one in rules if one.kind == "alerting" and word.search(one.query)]
    if len(found) != 1:
        names = ", ".join(one.name for one in found)
        return f"{names} are all on {metric}: each would page" if found else f"no loaded alerting rule is on {metric}"
    (rule,) = found
    dropped = _dropped(rule.query, metric)
    if dropped is None:
        return f"{rule.name} must compare {metric} with time(), and nothing else; it says {rule.query}"
    if rule.for_seconds:
        return f"{rule.name} waits {rule.for_seconds:g} s before it fires (`for`): nothing could be timed"
    if rule.health != "ok":
        return f"{rule.name} is not well: {rule.last_error or f'its health is {rule.health}'}"
    if any("{{" in value for value in rule.labels.values()) or planning.PROBE_LABEL in (*rule.labels, *dropped):
        return f"{rule.name} sets labels by a template, or hides {planning.PROBE_LABEL}: its route is not known"
    if not any(planning.PROBE_LABEL in value for value in rule.annotations.values()):
        return f"no annotation of {rule.name} carries the probe's token, by which its messages are found"
    return Permanent(rule, dropped)


def _dropped(query: str, metric: str) -> tuple[str, ...] | None:
    """Labels that the expression aggregates away; None where it is not the one that ends by itself."""
    tight = re.sub(r"\s+", "", query)
    if tight == f"{metric}>time()":
        return ()
    name = re.escape(metric)
    shape = rf"max(?:without\(([\w,]*)\)\({name}\)|\({name}\)without\(([\w,]*)\))>time\(\)"
    found = re.fullmatch(shape, tight)
    return None if found is None else tuple(one for one in (found[1] or found[2] or "").split(",") if one)


def unpushable(labels: Labels) -> str:
    """Why a series cannot have these labels; "" where it can."""
    bad = [name for name in labels if not _LABEL.fullmatch(name) or name in (*DROPPED, planning.PROBE_LABEL)]
    return f"its route asks for {', '.join(bad)}, which a pushed series cannot carry" if bad else ""


# --- carry out -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PushedSeries:
    """Makes an alert fire by pushing, and stop by deleting what was pushed."""

    labels: Labels
    """Of the series, without the token."""
    settle: float
    patience: float
    name: str = "the series was pushed"
    silent: str = "its rule does not fire: does the metrics store scrape the Pushgateway?"

    async def begin(self, context: Context, alert: Alert, due: float) -> None:
        pusher = context.ports.pusher
        assert pusher is not None
        labels = {**self.labels, planning.PROBE_LABEL: alert.token}
        await pusher.push(group_of(alert), context.config.alert_paths.push_metric, labels, float(round(alert.ends_at)))

    async def end(self, context: Context, alert: Alert) -> None:
        await take_back(context, alert)


def group_of(alert: Alert) -> dict[str, str]:
    """A group of its own for each probe: deleting it touches nothing else."""
    return {"job": JOB, planning.PROBE_LABEL: alert.token}


async def take_back(context: Context, alert: Alert) -> None:
    """The pushed group, read back; StillFiring while its alert goes on until the next scrape. May be repeated."""
    pusher = context.ports.pusher
    if pusher is None:
        return
    group = group_of(alert)
    if await pusher.pushed(group):
        await pusher.delete(group)
        if await pusher.pushed(group):
            raise BackendRefused("pusher", f"{alert.token} was deleted, and is still there", "Delete the group by hand")
    if await _fires(context, alert.token):
        what = f"{alert.token} is deleted from the Pushgateway, and fires until the next scrape and evaluation"
        raise StillFiring("metrics", what)


async def _fires(context: Context, token: str) -> bool:
    """Whether the metrics store shows it, by either of its sources; where neither answers, that it may.

    A resolve of ours while it fires would be undone by its next send, and page once more.
    """
    if context.ports.metrics is None:
        return False
    found = await evaluated.look(context.ports.metrics, token)
    return found.found or not (found.api or found.series)


async def until_taken_back(context: Context, alert: Alert, seconds: float) -> None:
    """The same, and wait for the alert to end, ``seconds`` at most; what goes wrong is seen when it is looked back."""
    until = context.now() + seconds
    while True:
        try:
            return await take_back(context, alert)
        except StillFiring:
            if context.now() >= until:
                return None
        except BackendError:
            return None
        await context.sleep(context.config.alert_paths.poll_seconds)
