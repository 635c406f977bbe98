"""Tell somebody outside something once, whatever dies around the send: what may be repeated is the adapter's to say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Notifier, SideEffect
from ray_tui.step import Context

EARLIER = 300.0
"""How much before its intent a message is searched for: other clocks may be behind."""


@dataclass(frozen=True)
class Told:
    """What became of a message."""

    outcome: Literal["done", "failed", "unknown"]
    reference: str = ""
    detail: str = ""
    reconciled: bool = False


@dataclass(frozen=True)
class Message:
    """What is told. ``name`` is the intent's within its attempt; ``token`` stands in the text and can be looked for."""

    name: str
    what: str
    subject: str
    token: str
    text: Callable[[float], str]
    """From the time of the intent: what a resumed attempt repeats is identical."""


def intent_of(context: Context, name: str) -> str:
    return f"{context.step}#{context.attempt}:{name}"


def is_unknown(context: Context, name: str) -> bool:
    """Whether only a person can tell what became of this message."""
    known = context.state.intents.get(intent_of(context, name))
    return known is not None and known.outcome is not None and known.outcome.outcome == "unknown"


async def tell(context: Context, notifier: Notifier, message: Message) -> Told:
    """Record the intent, send, record the outcome; a resumed attempt finds out first what it may."""
    id_ = intent_of(context, message.name)
    told = None
    if id_ in context.state.intents:
        told = await _found_out(context, notifier, id_, message.token)
    else:
        await context.intend(
            message.what, notifier.side_effect, notifier.name, name=message.name, data={"token": message.token}
        )
    if told is None:
        told = await _send(notifier, message, context.state.intents[id_].at)
    detail = "" if told.outcome == "done" else told.detail
    await context.outcome(id_, told.outcome, detail, told.reference, reconciled=told.reconciled)
    return told


async def _send(notifier: Notifier, message: Message, at: float) -> Told:
    try:
        return Told("done", await notifier.notify(message.subject, message.text(at), message.token))
    except BackendError as exc:
        if not exc.may_have_taken_effect:
            return Told("failed", detail=str(exc))
        return Told("unknown", detail=f"{exc}; {_only_a_person(notifier, message.token)}")


async def _found_out(context: Context, notifier: Notifier, id_: str, token: str) -> Told | None:
    """What became of the message of a host that died; None where it is to be sent.

    Sent again only when it is certainly not there, or where sending twice is sending once.
    """
    known = context.state.intents[id_]
    outcome = None if known.outcome is None else known.outcome.outcome
    if known.outcome is not None and outcome == "done":
        return Told("done", known.outcome.reference, reconciled=True)
    if outcome == "failed" or notifier.side_effect is SideEffect.DEDUP:
        return None
    if notifier.side_effect is SideEffect.QUERY:
        try:
            reference = await notifier.told(token, known.at - EARLIER)
        except BackendError as exc:
            why = f"the host died around the send, and it cannot be looked up ({exc})"
            return Told("unknown", detail=f"{why}; {_only_a_person(notifier, token)}", reconciled=True)
        return None if reference is None else Told("done", reference, reconciled=True)
    why = f"the host died around the send, which cannot be repeated; {_only_a_person(notifier, token)}"
    return Told("unknown", detail=why, reconciled=True)


def _only_a_person(notifier: Notifier, token: str) -> str:
    return f"unknown: only a person can tell whether {notifier.name} told its reader; look there for {token}"
