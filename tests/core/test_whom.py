"""Whom a question waits for, in words."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import whom
from ray_tui.core.state import RunState, apply

ROLES = {"mira": ("operator", "sre-lead"), "sam": ("release-manager",), "lee": ("release-manager",)}


def state_of(*facts, roles=ROLES, demo=False):
    state = RunState()
    opened = f.RunOpened(run_id="r", release="v1", environment="e", deployed_at=0, config_digest="d", demo=demo)
    seat = f.SeatTaken(person="mira", console="c1")
    for seq, fact in enumerate((opened, f.HostStarted(pid=1, roles=roles), seat, *facts), 1):
        apply(state, f.Entry(seq=seq, at=seq, mono=seq, actor=f.ENGINE, fact=fact))
    return state


def question(*roles):
    return f.PromptRaised(id="q", step="4.2", prompt="approve", title="Approve?", text="", roles=roles)


@pytest.mark.parametrize(
    ("roles", "short", "long"),
    [
        ((), "mira", "the driver: mira"),
        (("release-manager",), "sam or lee (release-manager)", "release-manager: sam or lee"),
        (("sre-lead", "operator"), "mira (sre-lead or operator)", "sre-lead or operator: mira"),
        (("security",), "security", "security: nobody in [people] is one"),
    ],
)
def test_a_question_names_its_roles_and_the_people_who_hold_them(roles, short, long):
    """By role and by person; a role that nobody holds is said to be nobody's."""
    assert whom.asked(question(*roles), state_of()) == short
    assert whom.answered_by(question(*roles), state_of()) == long


def test_in_a_demo_who_drives_is_named_beside_the_role():
    """A demo's driver plays every role."""
    assert whom.answered_by(question("security"), state_of(demo=True)).endswith("; in a demo also the driver: mira")


def test_many_people_are_counted():
    """A line stays a line."""
    many = dict.fromkeys(("ann", "bob", "cyd", "dan", "eve"), ("security",))
    assert whom.asked(question("security"), state_of(roles=many)) == "ann, bob, cyd or 2 more (security)"


def test_a_journal_of_before_names_the_role_alone():
    """It has not recorded who held which roles."""
    assert whom.asked(question("sre-lead"), state_of(roles={})) == "sre-lead"
    assert whom.answered_by(question("sre-lead"), state_of(roles={})) == "sre-lead"
