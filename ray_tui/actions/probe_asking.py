"""Asks every system about every open probe, once a round, and keeps what failed apart from what is not there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_hooks import sinks
from ray_tui.actions.probe_judging import Leg, Skew
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import AlertSeen, ChatMessage, Mail, Page, WebhookReceipt
from ray_tui.step import Context

EARLIER = 5.0
"""How much before its start a probe is searched for at least: other clocks may be behind."""
T = TypeVar("T")


@dataclass
class Answers:
    """What every system said in one round; a system that failed is absent."""

    began: float
    ended: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, list[AlertSeen]] = field(default_factory=dict)
    pages: dict[str, tuple[Page, ...]] = field(default_factory=dict)
    messages: dict[tuple[str, str], list[ChatMessage]] = field(default_factory=dict)
    mails: dict[str, tuple[Mail, ...]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], tuple[WebhookReceipt, ...]] = field(default_factory=dict)
    """By token and name of the sink."""
    failed: dict[str, str] = field(default_factory=dict)


def channel_of(context: Context, leg: Leg) -> str:
    """The Slack channel that a receiver posts to; "" where nobody said."""
    return context.config.alert_paths.slack_channels.get(leg.receiver, "")


def earlier(skews: Mapping[str, Skew]) -> float:
    """How much before its start a probe is searched for: the slowest clock decides."""
    return EARLIER + max((max(0.0, -skew[0]) for skew in skews.values() if skew is not None), default=0.0)


async def ask_all(context: Context, alerts: Sequence[Alert], prefix: str, before: float = EARLIER) -> Answers:
    """One round: every system once for all open probes, as far as its port allows; from ``before`` seconds earlier."""
    ports, now = context.ports, context.now()
    open_ = [one for one in alerts if one.phase not in ("cleared", "unsent")]
    followed = [one for one in open_ if one.phase != "clearing"]
    answers = Answers(began=now)
    since = min((one.starts_at for one in open_), default=now) - before
    calls: list[tuple[str, Awaitable[None]]] = []

    def ask(system: str, call: Awaitable[T], store: Callable[[T], None]) -> None:
        calls.append((system, stored(system, call, store)))

    async def stored(system: str, call: Awaitable[T], store: Callable[[T], None]) -> None:
        store(await call)
        answers.ended[system] = context.now()

    if ports.alerting is not None:
        tokens = {one.token for one in open_}
        for name in sorted({one.labels["alertname"] for one in open_}):
            ask("alerting", ports.alerting.find({"alertname": name}), lambda s: _by_token(s, tokens, answers))
    for alert in (one for one in open_ if "pagerduty" in one.kinds):
        if ports.paging is not None:
            ask("paging", ports.paging.pages(alert.token, since), _into(answers.pages, alert.token))
    if ports.chat is not None:
        channels = {channel_of(context, leg) for one in followed if "slack" in one.kinds for leg in one.legs} - {""}
        for channel in sorted(channels):
            found = ports.chat.find(channel, prefix, since)
            ask("chat", found, lambda ms, c=channel: _messages(ms, c, followed, answers))  # type: ignore[misc]
    for alert in followed:
        if ports.mail is not None and "email" in alert.kinds:
            ask("mail", ports.mail.find(alert.token, since), _into(answers.mails, alert.token))
        for name in sinks(alert):
            if (sink := ports.sink(name)) is not None:
                system = name if name == "webhook" else f"webhooks.{name}"
                ask(system, sink.receipts(alert.token, since), _into(answers.receipts, (alert.token, name)))
    outcomes = await asyncio.gather(*(call for _, call in calls), return_exceptions=True)
    for (system, _), outcome in zip(calls, outcomes, strict=True):
        if isinstance(outcome, BackendError):
            answers.failed[system] = str(outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
    for system in answers.failed:
        answers.ended.pop(system, None)
    return answers


def _into(where: dict[Any, Any], key: object) -> Callable[[Any], None]:
    def store(value: Any) -> None:
        where[key] = value

    return store


def _by_token(seen: Iterable[AlertSeen], tokens: set[str], answers: Answers) -> None:
    for one in seen:
        token = one.labels.get(planning.PROBE_LABEL, "")
        if token in tokens:
            answers.alerts.setdefault(token, []).append(one)


def _messages(messages: Iterable[ChatMessage], channel: str, alerts: Sequence[Alert], answers: Answers) -> None:
    for message in messages:
        for alert in alerts:
            if alert.token in message.text:
                answers.messages.setdefault((alert.token, channel), []).append(message)
