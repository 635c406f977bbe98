"""Fail closed."""

import pytest

from ray_tui.core.verdicts import Verdict, combine

P, F, I, E, W = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.WAIVED  # noqa: E741


@pytest.mark.parametrize(
    ("parts", "whole"),
    [([], I), ([P, P], P), ([P, W], W), ([P, I], I), ([I, E], E), ([E, F], F), ([W, F], F), ([W], W)],
)
def test_a_whole_is_its_worst_part(parts, whole):
    """Nothing judged is inconclusive; waived never turns into passed; one failure fails the whole."""
    assert combine(parts) is whole


def test_only_passed_and_waived_let_a_run_go_on():
    """Every other verdict blocks."""
    assert [verdict for verdict in Verdict if verdict.lets_go_on] == [P, W]
