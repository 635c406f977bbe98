"""How a test alert asks to be acknowledged by its code, and what people said of it by command, link or button."""

from collections.abc import Callable, Sequence

from ray_tui.actions.probe_alert import Alert
from ray_tui.actions.probe_judging import Leg
from ray_tui.core import facts as f
from ray_tui.step import Context

ANNOTATION = "acknowledge"
"""The annotation that holds a line for each message that can be acknowledged so."""
PLACEHOLDER = "<acknowledge code>"
"""What stands on record where the message holds a code."""


def public(context: Context, legs: Sequence[Leg]) -> dict[str, str]:
    """The annotation as it is put on record: without any code."""
    return _annotation(context, legs, lambda _leg, _kind: PLACEHOLDER)


def private(context: Context, alert: Alert) -> dict[str, str]:
    """The same as it is sent: only who receives the message knows its code. Nothing where none is wanted."""
    return _annotation(context, alert.legs, lambda leg, kind: context.acknowledge_code(leg.id, kind))


def _annotation(context: Context, legs: Sequence[Leg], code: Callable[[Leg, str], str]) -> dict[str, str]:
    """One line a receiver and integration, for the messages are all the same, and who answers has read one of them.

    None for a pager, which has a button of its own, and none for a probe that is not to be acknowledged.
    """
    base = context.config.acknowledge.url.rstrip("/") if context.config.acknowledge.listen else ""
    lines = []
    for leg in (one for one in legs if one.purpose == "acknowledge"):
        for kind in (one.kind for one in leg.channels if one.kind != "pagerduty" and not one.blind):
            word = code(leg, kind)
            link = f" or {base}/acknowledge/{word}" if base else ""
            lines.append(f"[TEST] To acknowledge at {leg.receiver} ({kind}): `ray-tui acknowledge {word}`{link}")
    return {ANNOTATION: "\n".join(lines)} if lines else {}


def said_of(context: Context, leg: Leg, kind: str) -> tuple[f.ProbeAcknowledged, ...]:
    """What was said of one message of this probe, with the names that people go by."""
    probe = context.state.probes.get(leg.id)
    mine = [one for one in probe.acknowledged if one.integration == kind] if probe is not None else []
    return tuple(one.but(person=_name(context, one.person)) for one in mine)


def note_unheard(context: Context, leg: Leg) -> None:
    """Where the pager has to be answered, nothing else counts; that somebody tried is said."""
    probe = context.state.probes.get(leg.id)
    if probe is None or not any(one.kind == "pagerduty" for one in leg.answering):
        return
    for one in (one for one in probe.acknowledged if not one.machine):
        detail = f"{_name(context, one.person)} acknowledged it by {one.via}; only the pager's own button counts here"
        leg.problem("not_by_pager", "t6", detail, blocks=False)


def _name(context: Context, person: str) -> str:
    known = context.config.people.get(person)
    return (known.name if known else "") or person
