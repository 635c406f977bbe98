"""Alert tests that a person made by hand, noted on one line."""

import pytest

from ray_tui.core.alert_tests import parse
from ray_tui.core.facts import AlertTest


def test_each_test_says_receiver_and_times_and_who_answered():
    """What did not happen is left empty. (P88)"""
    assert parse("pd-checkout, 19:15:02, 19:15:04, mira, 19:15:40; slack, 19:16,,,") == (
        AlertTest(
            receiver="pd-checkout", fired="19:15:02", delivered="19:15:04", acknowledged_by="mira",
            acknowledged="19:15:40",
        ),
        AlertTest(receiver="slack", fired="19:16"),
    )  # fmt: skip
    assert parse("") == ()


@pytest.mark.parametrize("text", ["pd-checkout", ",19:15,,,", "pd-checkout,,,,", "a,b,c,d,e,f"])
def test_half_a_test_is_refused_with_the_form(text):
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="acknowledged by, when"):
        parse(text)
