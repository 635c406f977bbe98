"""Who may say that a test alert has reached them, and what becomes of it in the run."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core.commands import AcknowledgeProbe, Refused
from ray_tui.core.rules import HEADLESS, LISTENER, PROBE_OVER, UNKNOWN_CODE, Rulebook, decide
from ray_tui.core.state import RunState, apply

AT = 1_795_377_600.0
PEOPLE = {"mira": ("sre-lead", "operator"), "jo": ("observer",)}
MIRA = f.Actor(person="mira", uid=1000, console="c1")
JO = f.Actor(person="jo", uid=1001, console="")
HEARD = f.Actor(console=LISTENER)
CODE = AcknowledgeProbe(code="ABCDEFGHIJ")
LINK = AcknowledgeProbe(code="ABCDEFGHIJ", via="link", claimed_person="jo", detail="typed")


def a_state(*more):
    state = RunState()
    probe = f.ProbeIntended(
        id="p1", step="2.2", receiver="mail-audit", purpose="acknowledge", labels={"ray_tui_probe": "p1"},
        starts_at=AT, ends_at=AT + 60, integrations=("email",),
    )  # fmt: skip
    for fact in (probe, *more):
        apply(state, f.Entry(seq=state.seq + 1, at=AT, mono=0.0, actor=f.ENGINE, fact=fact))
    return state


def book(acknowledges=("p1", "email"), people=PEOPLE):
    return Rulebook(people=people, now=AT + 4, acknowledges=acknowledges)


def refused(state, actor, command, rulebook=None):
    decision = decide(state, actor, command, rulebook or book())
    return decision.why if isinstance(decision, Refused) else ""


def test_a_person_who_has_the_code_acknowledges_without_driving():
    """Whoever received the message may: an observer of [people] as well, and while another person drives."""
    state = a_state(f.SeatTaken(person="mira", console="c1"))
    decision = decide(state, JO, CODE, book())
    assert decision == [
        f.ProbeAcknowledged(id="p1", at=AT + 4, person="jo", via="command", integration="email")
    ]  # fmt: skip
    apply(state, f.Entry(seq=9, at=AT, mono=0.0, actor=JO, fact=decision[0]))
    assert [one.person for one in state.probes["p1"].acknowledged] == ["jo"]
    assert state.log[-1].text == "mail-audit: jo acknowledged what came by email (command)"


def test_a_wrong_code_acknowledges_nothing():
    """The text names where the code stands, and nothing of what is open."""
    assert refused(a_state(), JO, CODE, book(acknowledges=None)) == UNKNOWN_CODE


def test_what_is_over_and_what_is_acknowledged_says_so():
    """A late word changes nothing; a second one names the first."""
    assert refused(a_state(f.ProbeCleared(id="p1", clean=True)), JO, CODE) == PROBE_OVER
    done = f.ProbeAcknowledged(id="p1", at=AT, person="mira", via="link", integration="email")
    assert refused(a_state(done), JO, CODE) == "mira has acknowledged it already."


def test_a_watching_console_and_a_stranger_may_not():
    """--observe means that; somebody whom [people] does not know has no name to record."""
    watching = f.ConsoleAttached(console="c1", person="mira", read_only=True)
    assert "only watches" in refused(a_state(watching), MIRA, CODE)
    stranger = f.Actor(person="uid:12", uid=12)
    assert "nobody in [people]" in refused(a_state(), stranger, CODE)
    assert refused(a_state(), stranger, CODE, book(people={})) == ""


@pytest.mark.parametrize(
    ("actor", "command"),
    [
        (MIRA, LINK),
        (MIRA, AcknowledgeProbe(probe="p1", via="slack", claimed_person="jo")),
        (MIRA, AcknowledgeProbe(code="ABCDEFGHIJ", claimed_person="jo")),
        (HEARD, CODE),
    ],
)
def test_only_the_listener_says_who_used_a_link_or_slack(actor, command):
    """A console cannot claim another's click, nor can the listener pass for a console."""
    assert "Only the listener" in refused(a_state(), actor, command)


def test_the_listener_names_the_person():
    """As far as that can be relied on stands beside it."""
    (fact,) = decide(a_state(), HEARD, LINK, book())
    assert (fact.person, fact.via, fact.detail, fact.machine) == ("jo", "link", "typed", False)


@pytest.mark.parametrize(
    ("actor", "command"),
    [(f.Actor(person="mira", console=HEADLESS), CODE), (MIRA, CODE.but(ours=True))],
)
def test_ray_tui_itself_is_no_person(actor, command):
    """What a headless run, or the host's own process, says is a machine's, whatever name it goes by. (P43)"""
    (fact,) = decide(a_state(), actor, command, book())
    assert fact.machine


def test_a_person_may_still_speak_after_a_machine():
    """What the machine said is on record and keeps failing; it does not silence anybody."""
    machine = f.ProbeAcknowledged(id="p1", at=AT, person="mira", via="command", integration="email", machine=True)
    assert refused(a_state(machine), JO, CODE) == ""
