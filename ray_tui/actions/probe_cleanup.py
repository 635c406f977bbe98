"""Leaves nothing behind: resolves every probe, sees that it is gone, closes what stays open, and says what is left."""

from collections.abc import Mapping, Sequence

from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert, record
from ray_tui.actions.probe_asking import EARLIER, Answers
from ray_tui.actions.probe_codes import private
from ray_tui.actions.probe_judging import WEBHOOKS
from ray_tui.analysis.hops import Interval
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import Page
from ray_tui.step import Context

CLEAR_SECONDS = 10.0
"""How long the pager may take to close an incident by itself before it is closed through its API."""
LONGEST_CLEARING = 330.0
STAYING = {"slack", "email"} | WEBHOOKS - {"webhook"}
"""Messages that a person finds in a chat or a mailbox, and that nobody takes back."""


async def begin_clearing(context: Context, alert: Alert) -> None:
    """Everything that was to be seen of it has been seen."""
    alert.phase, alert.cleared_from = "clearing", context.now()
    await resolve(context, alert)


async def resolve(context: Context, alert: Alert) -> None:
    """The same labels again, over already. No other end is asked for, so this may be repeated."""
    assert context.ports.alerting is not None
    now = context.now()
    try:
        if alert.withdraw is not None:
            await alert.withdraw()
        ended = alert.to_fire(_told(context, alert), max(alert.starts_at, now - 1.0))
        answers = await context.ports.alerting.fire(ended)
    except BackendError:
        answers = ()
    alert.resolve_heard = bool(answers) and all(one.ok for one in answers)


def _told(context: Context, alert: Alert) -> Mapping[str, str]:
    """As it was sent, where its codes are still to be had: it is resolved in any case."""
    try:
        return private(context, alert)
    except InputError:
        return {}


async def check_cleared(context: Context, alert: Alert, answers: Answers) -> None:
    """Cleared when every peer forgot it and no incident is open; given up, with what is left, after a while."""
    firing = [one.peer for one in answers.alerts.get(alert.token, ()) if one.ends_at > context.now()]
    if not alert.resolve_heard or (firing and alert.withdraw is not None):  # its source may have sent it once more
        await resolve(context, alert)
    waited = context.now() - alert.cleared_from
    gone = "alerting" in answers.ended and not firing and alert.resolve_heard
    pager = "pagerduty" not in alert.kinds or "paging" in answers.ended
    open_ = [one for one in answers.pages.get(alert.token, ()) if one.status != "resolved"]
    if gone and pager and not open_:
        when = Interval(alert.cleared_from, max(answers.ended.values()))
        for leg in alert.legs:
            leg.saw("t8", when, "gone from every peer, incidents resolved")
        await cleared(context, alert, True, ())
        return
    if waited >= CLEAR_SECONDS and open_ and not alert.closed_by_us:
        alert.closing_failed = await close(context, open_)
        alert.closed_by_us = not alert.closing_failed
    by_itself = alert.group_interval + CLEAR_SECONDS if alert.closing_failed else 2 * CLEAR_SECONDS
    if waited >= min(by_itself, LONGEST_CLEARING) + alert.lingers:
        await cleared(context, alert, False, left_of(alert, firing, open_, gone, pager))


async def close(context: Context, open_: Sequence[Page]) -> str:
    """Close incidents through the pager's API; what went wrong, if anything did."""
    assert context.ports.paging is not None
    wrong = []
    for page in open_:
        try:
            await context.ports.paging.resolve(page.incident_id, "ray-tui: the alert-path test is over")
        except BackendError as error:
            wrong.append(str(error))
    return "; ".join(wrong)


def left_of(alert: Alert, firing: Sequence[str], open_: Sequence[Page], gone: bool, pager: bool) -> tuple[str, ...]:
    """What a person has to look after, and where."""
    left = [f"alert {alert.token} on {peer}" for peer in firing]
    if not gone and not firing:
        left.append(f"alert {alert.token}: not confirmed as gone; it ends by itself at the latest")
    left += [f"incident {page.incident_id} ({page.url})" for page in open_]
    if not pager:
        left.append("incidents: the pager did not answer")
    return (*left, *([alert.closing_failed] if alert.closing_failed else []))


async def cleared(context: Context, alert: Alert, clean: bool, left: tuple[str, ...]) -> None:
    """The last facts about it. Messages cannot be taken back: that they stay is said, and is not unclean."""
    alert.phase = "cleared"
    await record(context, alert)
    for leg in alert.legs:
        stays = [one.kind for one in leg.channels if one.kind in STAYING and one.delivered]
        detail = f"messages stay on {', '.join(stays)}" if stays else ""
        await context.record(f.ProbeCleared(id=leg.id, clean=clean, detail=detail, left=left))


async def drop(context: Context, alerts: Sequence[Alert]) -> None:
    """The way out after an exception or a cancellation: resolve everything first, then look, then record."""
    for alert in alerts:
        await resolve(context, alert)
        await _outlast(context, alert)
    for alert in alerts:
        for leg in (one for one in alert.legs if not one.done):
            leg.problem("interrupted", "t6", "the test was stopped before it was over: test again")
            leg.done = True
        open_, firing, pager, looked = await look_back(context, alert)
        wrong = await close(context, open_) if open_ else ""
        alert.closing_failed = wrong
        gone = looked and not firing and alert.resolve_heard
        left = left_of(alert, firing, open_ if wrong else (), gone, pager)
        await cleared(context, alert, not left, left)


async def _outlast(context: Context, alert: Alert) -> None:
    """A source that lingers is given a little time to stop; what is left after it is listed."""
    until = context.now() + min(alert.lingers, CLEAR_SECONDS)
    while not alert.resolve_heard and context.now() < until:
        await context.sleep(context.config.alert_paths.poll_seconds)
        await resolve(context, alert)


async def look_back(context: Context, alert: Alert) -> tuple[list[Page], list[str], bool, bool]:
    """(open incidents, peers that still hold it, whether the pager answered, whether Alertmanager did)."""
    ports, now = context.ports, context.now()
    assert ports.alerting is not None
    open_: list[Page] = []
    firing: list[str] = []
    pager = looked = True
    try:
        seen = await ports.alerting.find({planning.PROBE_LABEL: alert.token})
        firing = [one.peer for one in seen if one.ends_at > now]
    except BackendError:
        looked = False
    if ports.paging is not None and "pagerduty" in alert.kinds:
        try:
            pages = await ports.paging.pages(alert.token, alert.starts_at - EARLIER)
            open_ = [one for one in pages if one.status != "resolved"]
        except BackendError:
            pager = False
    return open_, firing, pager, looked
