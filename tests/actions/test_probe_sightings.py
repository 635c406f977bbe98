"""What pages, messages, mails and receipts say about a probe."""

import pytest

from ray_tui.actions import probe_sightings as sightings
from ray_tui.analysis.hops import Interval
from ray_tui.core.ports import ChatMessage, Mail, Page, PageEvent

AT = 1_795_377_600.0


def page(*events: PageEvent, incident: str = "I1", service: str = "S1", policy: str = "P1") -> Page:
    return Page(incident, "", "triggered", AT, service, "Checkout", policy, "high", "", events)


def test_a_machine_that_acknowledges_before_a_person_is_seen() -> None:
    """The person's later acknowledgement does not hide it. (P43)"""
    found = sightings.by_pager(
        [page(PageEvent(AT + 1, "acknowledged", "service", "bot"), PageEvent(AT + 9, "acknowledged", "user", "Mira"))]
    )

    assert found.machine is not None
    assert found.machine.who == "bot"
    assert found.acknowledged is not None


def test_a_person_who_was_first_is_not_spoiled_by_a_machine() -> None:
    """Integrations acknowledge after people all the time. (P43)"""
    found = sightings.by_pager(
        [page(PageEvent(AT + 1, "acknowledged", "user", "Mira"), PageEvent(AT + 2, "acknowledged", "service", "bot"))]
    )

    assert found.machine is None


@pytest.mark.parametrize(
    ("events", "escalated"),
    [
        ((PageEvent(AT + 3, "escalated", "service", "", level=2, detail="Tom"),), True),
        ((PageEvent(AT + 3, "notified", "service", "", level=2, detail="Tom"),), True),
        ((PageEvent(AT + 3, "notified", "service", "", detail="Tom", recipients=("U2",)),), True),
        ((PageEvent(AT + 3, "notified", "service", "", detail="Mira", recipients=("U1",)),), False),
        ((PageEvent(AT + 3, "exhausted", "service", ""),), False),
        (
            (PageEvent(AT + 3, "escalated", "service", "", level=2), PageEvent(AT + 3, "exhausted", "service", "")),
            False,
        ),
    ],
)
def test_escalation_means_that_somebody_else_was_called(events: tuple[PageEvent, ...], escalated: bool) -> None:
    """The same person again, or a level with nobody, is none. (P42)"""
    first = PageEvent(AT, "notified", "service", "", detail="Mira", recipients=("U1",))

    assert (sightings.by_pager([page(first, *events)]).escalated is not None) is escalated


def test_pages_are_shared_out_by_service_and_name() -> None:
    """Two receivers of one alert, two services: each gets its own; a surplus page of one is a duplicate. (P41)"""
    pages = [page(incident="A", service="S2", policy="P2"), page(incident="B"), page(incident="C")]

    found = sightings.shares(pages, {"pd-a": ("P1",), "pd-b": ("P2",)})

    assert {name: [one.incident_id for one in mine] for name, mine in found.items()} == {
        "pd-a": ["B", "C"], "pd-b": ["A"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (Mail("2", "Re: probe", "lee@shop.example", AT + 5), True),
        (Mail("2", "probe", "lee@shop.example", AT + 5, in_reply_to="1"), True),
        (Mail("2", "Automatic reply: probe", "lee@shop.example", AT + 5, in_reply_to="1"), False),
        (Mail("2", "Re: probe", "MAILER-DAEMON@shop.example", AT + 5, in_reply_to="1"), False),
        (Mail("2", "probe", "lee@shop.example", AT + 5), False),
    ],
)
def test_only_a_persons_reply_acknowledges_a_mail(reply: Mail, counts: bool) -> None:
    """Bounces, absence notes and a second mail are no reply. (P43)"""
    found = sightings.in_mailbox([Mail("1", "[FIRING:1] probe", "am@shop.example", AT), reply], 0)

    assert (found.acknowledged is not None) is counts


def test_a_bots_reaction_is_not_a_persons() -> None:
    """A reaction has no time of its own; the poll bounds it. (P43)"""
    message = ChatMessage("C1", "1", AT, "probe", (("eyes", "UBOT", True), ("+1", "UMIRA", False)))

    found = sightings.in_chat([message], 0)

    assert found.acknowledged is not None
    assert (found.acknowledged.at, found.acknowledged.who) == (None, "UMIRA")


def test_a_hop_lies_within_its_polls_and_its_date_narrows_it() -> None:
    """Cut to the second, moved by the skew; a date that contradicts the polls is not believed. (P46)"""
    stamp = sightings.Stamp(AT + 3.0)

    assert sightings.placed(stamp, AT, AT + 10, (0.0, 0.0))[0] == Interval(AT + 3.0, AT + 4.0)
    assert sightings.placed(stamp, AT, AT + 10, (1.0, 2.0))[0] == Interval(AT + 1.0, AT + 3.0)
    assert sightings.placed(stamp, AT, AT + 10, None)[0] == Interval(AT, AT + 10)
    assert sightings.placed(stamp, AT + 7, AT + 10, (0.0, 0.0)) == (
        Interval(AT + 7, AT + 10), "poll, its date disagrees",
    )  # fmt: skip
