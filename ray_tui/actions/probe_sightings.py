"""What a page, a message, a mail or a receipt says about a probe: delivered, seen by whom, escalated, when."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr

from ray_tui.analysis.hops import Interval, observed
from ray_tui.core.facts import ProbeAcknowledged
from ray_tui.core.ports import ChatMessage, Mail, Page, PageEvent, WebhookReceipt

SECOND = 1.0
EXACT = 0.001
_REPLY = re.compile(r"^\s*(re|aw|sv|antw)\s*(\[\d+\])?:", re.IGNORECASE)
_MACHINE_MAIL = re.compile(r"^\s*(auto(matic)?[ -]?(reply|response|antwort)|out of office|abwesen)", re.IGNORECASE)
_MACHINE_SENDER = re.compile(r"(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@", re.IGNORECASE)


@dataclass(frozen=True)
class Stamp:
    """Something that happened, dated by the system that saw it; ``at`` None: it gives no time, the poll bounds it."""

    at: float | None
    resolution: float = SECOND
    who: str = ""
    detail: str = ""
    ours: str = ""
    """Where we heard of it ourselves, at the very moment of our clock: ``acknowledge command``. Else empty."""


@dataclass(frozen=True)
class Sighting:
    """What one channel knows of one probe at one look."""

    delivered: Stamp | None = None
    notified: Stamp | None = None
    acknowledged: Stamp | None = None
    """By a person."""
    machine: Stamp | None = None
    """Acknowledged by something that is not a person, before any person did."""
    escalated: Stamp | None = None
    exhausted: Stamp | None = None
    resolved: Stamp | None = None
    copies: int = 0
    policy_id: str = ""


NOTHING = Sighting()


def placed(
    stamp: Stamp, floor: float, seen_at: float, skew: tuple[float, float] | None
) -> tuple[Interval, str]:  # fmt: skip
    """When it happened on our clock: after the last look that did not show it, before this one, as far as dates agree.

    Answers the interval and whether it comes from the poll alone or from the system's date as well.
    """
    if stamp.ours and stamp.at is not None:
        return Interval(stamp.at, stamp.at), stamp.ours
    polled = Interval(min(floor, seen_at), seen_at)
    if stamp.at is None or skew is None:
        return polled, "poll"
    dated = observed(stamp.at, stamp.resolution, skew)
    earliest, latest = max(polled.earliest, dated.earliest), min(polled.latest, dated.latest)
    return (Interval(earliest, latest), "date and poll") if earliest <= latest else (polled, "poll, its date disagrees")


def shares(pages: Sequence[Page], legs: Mapping[str, Sequence[str]]) -> dict[str, tuple[Page, ...]]:
    """Which pages belong to which receiver. ``legs``: receiver -> policies that its name points to.

    The pages of one service belong together; a surplus goes to the first receiver, where it counts as duplicate.
    """
    by_service: dict[str, list[Page]] = {}
    for page in sorted(pages, key=lambda one: one.created_at):
        by_service.setdefault(page.service_id, []).append(page)
    found: dict[str, list[Page]] = {receiver: [] for receiver in legs}
    groups = list(by_service.values())
    for group in list(groups):
        fits = [name for name, meant in legs.items() if group[0].policy_id in meant and not found[name]]
        if len(fits) == 1 or (fits and len(groups) == 1):
            found[fits[0]] += group
            groups.remove(group)
    for group in groups:
        free = [name for name, pages_ in found.items() if not pages_]
        if legs:
            found[(free or list(legs))[0]] += group
    return {receiver: tuple(mine) for receiver, mine in found.items()}


def by_pager(pages: Sequence[Page]) -> Sighting:
    """Pages of one receiver, oldest first."""
    if not pages:
        return NOTHING
    first = pages[0]
    events = sorted((event for page in pages for event in page.events), key=lambda one: one.at)
    acknowledged = [event for event in events if event.kind == "acknowledged"]
    person = next((event for event in acknowledged if event.agent_kind == "user"), None)
    machine = acknowledged[0] if acknowledged and acknowledged[0].agent_kind != "user" else None
    notified = [event for event in events if event.kind == "notified"]
    exhausted = next((event for event in events if event.kind == "exhausted"), None)
    return Sighting(
        delivered=Stamp(first.created_at, SECOND, first.service, f"incident {first.incident_id}"),
        notified=_stamp(notified[0], _names(notified[0])) if notified else None,
        acknowledged=_stamp(person, person.agent) if person else None,
        machine=_stamp(machine, machine.agent or machine.agent_kind) if machine else None,
        escalated=_escalated(events, notified, exhausted),
        exhausted=_stamp(exhausted, "") if exhausted else None,
        resolved=next((_stamp(event, event.agent) for event in events if event.kind == "resolved"), None),
        copies=len(pages),
        policy_id=first.policy_id,
    )


def _escalated(events: Sequence[PageEvent], notified: Sequence[PageEvent], exhausted: PageEvent | None) -> Stamp | None:
    """The first sign that somebody beyond level 1 was called; a level with nobody at it does not count."""

    def beyond(event: PageEvent) -> bool:
        if event.level is not None:
            return event.level >= 2
        return event.at > notified[0].at and _who(event) != _who(notified[0]) if notified else False

    called = next((event for event in notified if beyond(event)), None)
    moved = next((event for event in events if event.kind == "escalated"), None)
    if called is None and (moved is None or exhausted is not None):
        return None
    first = min((one for one in (called, moved) if one is not None), key=lambda one: one.at)
    return _stamp(first, _names(called) if called else _names(first))


def _who(event: PageEvent) -> tuple[str, ...]:
    return event.recipients or (event.detail or event.agent,)


def _names(event: PageEvent) -> str:
    return event.detail or ", ".join(event.recipients)


def _stamp(event: PageEvent, who: str) -> Stamp:
    return Stamp(event.at, SECOND, who, event.channel)


def in_chat(messages: Sequence[ChatMessage], number: int) -> Sighting:
    """The ``number``-th message (from 0) with the token. Reactions have no time of their own; bots do not count."""
    ordered = sorted(messages, key=lambda one: one.at)
    if len(ordered) <= number:
        return NOTHING
    message = ordered[number]
    replies = sorted((at, user) for user, at, _, is_bot in message.replies if not is_bot)
    reactions = [(user, name) for name, user, is_bot in message.reactions if not is_bot]
    acknowledged = None
    if replies:
        acknowledged = Stamp(replies[0][0], EXACT, replies[0][1], "reply")
    elif reactions:
        acknowledged = Stamp(None, EXACT, reactions[0][0], f"reaction :{reactions[0][1]}:")
    return Sighting(
        delivered=Stamp(message.at, EXACT, message.channel, f"message {message.id}"),
        acknowledged=acknowledged,
        copies=len(ordered),
    )


def in_mailbox(mails: Sequence[Mail], number: int, own_address: str = "") -> Sighting:
    """The ``number``-th mail (from 0) with the token, and the first reply of a person to any of them.

    Whoever sent the alert, and we ourselves, acknowledge nothing.
    """
    ids = {mail.message_id for mail in mails}
    replies = [m for m in mails if (m.in_reply_to and m.in_reply_to in ids) or _REPLY.match(m.subject)]
    originals = sorted(
        (m for m in mails if m not in replies and not _MACHINE_MAIL.match(m.subject)), key=lambda one: one.received_at
    )
    if len(originals) <= number:
        return NOTHING
    original = originals[number]
    senders = {_address(m.sender) for m in originals} | {own_address.lower()}
    people = sorted(
        (m for m in replies if not _by_machine(m) and _address(m.sender) not in senders),
        key=lambda one: one.received_at,
    )
    return Sighting(
        delivered=Stamp(original.received_at, SECOND, "mailbox", original.message_id),
        acknowledged=Stamp(people[0].received_at, SECOND, people[0].sender, "reply") if people else None,
        copies=len(originals),
    )


def _by_machine(mail: Mail) -> bool:
    return bool(_MACHINE_MAIL.match(mail.subject) or _MACHINE_SENDER.search(mail.sender))


def _address(sender: str) -> str:
    return parseaddr(sender)[1].lower() or sender.lower()


@dataclass(frozen=True)
class Turn:
    """Which of ``total`` messages, in order of arrival, are ours: ``expected``, after ``before`` of somebody else's."""

    before: int = 0
    expected: int = 1
    total: int = 1


def by_webhook(
    receipts: Sequence[WebhookReceipt], receiver: str, named: Turn = Turn(), unnamed: Turn = Turn()
) -> Sighting:
    """What a sink got for one receiver; its times are as exact as they look. Delivered is the last one expected.

    ``named`` is its turn among what is named for it, ``unnamed`` among what a sink got that names no receiver."""
    firing = sorted((one for one in receipts if one.status == "firing"), key=lambda one: one.at)
    mine, turn = [one for one in firing if one.receiver == receiver], named
    if not mine:
        mine, turn = [one for one in firing if not one.receiver], unnamed
    surplus = max(0, len(mine) - turn.total)
    mine = mine[turn.before : turn.before + turn.expected + surplus]
    if len(mine) < turn.expected:
        return NOTHING
    last = mine[turn.expected - 1]
    seen = [one for one in mine if one.acknowledged_by]
    acknowledged = None
    if seen:
        acknowledged = Stamp(seen[0].acknowledged_at, _resolution(seen[0].acknowledged_at), seen[0].acknowledged_by)
    return Sighting(
        delivered=Stamp(last.at, _resolution(last.at), "webhook", last.token_found_in),
        acknowledged=acknowledged,
        copies=len(mine),
    )


HEARD = {"command": "acknowledge command", "link": "acknowledge link", "slack": "signed Slack action"}


def heard(seen: Sighting, said: Sequence[ProbeAcknowledged]) -> Sighting:
    """With what people said to us of this very message: the first of it, unless a date of the channel is earlier.

    What ray-tui itself said is a machine's. ``said``: in the order in which we heard it, with names to show.
    """
    machine = next((one for one in said if one.machine), None)
    person = next((one for one in said if not one.machine), None)
    if machine is not None:
        seen = replace(seen, machine=seen.machine or Stamp(machine.at, 0.0, f"{machine.person} (ray-tui itself)"))
    if person is None:
        return seen
    stamp = Stamp(person.at, 0.0, person.person, person.detail, HEARD[person.via])
    other = seen.acknowledged
    first = other is None or other.at is None or person.at <= other.at
    return replace(seen, acknowledged=stamp if first else other)


def _resolution(at: float | None) -> float:
    return SECOND if at is None or at == int(at) else EXACT
