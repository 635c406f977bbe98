"""The ways on from a halt are those that the rules would take."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan, rules, ways
from ray_tui.core.answering import limits_of, safe_first, wrong_days
from ray_tui.core.commands import Decline, RecordManual, Refused
from ray_tui.core.limits import Limits
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict

NOW = 1000.0


def halted(step: str, verdict: Verdict, *, waivable: bool = True) -> RunState:
    state = RunState()
    state.steps[step].criteria = (Criterion(id="x.y", title="Y", verdict=verdict, actual="none", waivable=waivable),)
    state.halt = f.Halted(step=step, reason="y")
    return state


@pytest.mark.parametrize("step", [*(action.id for action in plan.ACTIONS), "gate.handoff", plan.PREREQUISITES])
@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE])
@pytest.mark.parametrize("waivable", [True, False])
def test_nothing_is_offered_that_would_be_refused(step, verdict, waivable):
    """Declining and manual validation are offered exactly where the rules take them; retry is first."""
    state = halted(step, verdict, waivable=waivable)
    offered = ways.ways(state, step, NOW)
    book = rules.Rulebook(now=NOW)
    why = "as long a reason as anybody wants"
    declined = rules.decide(state, f.Actor(person="mira"), Decline(step=step, reason=why), book)
    seen = rules.decide(state, f.Actor(person="mira"), RecordManual(criterion="x.y", step=step, note=why), book)
    assert offered[0] == "retry"
    assert ("decline" in offered) == (not isinstance(declined, Refused))
    assert ("manual" in offered) == (not isinstance(seen, Refused))
    assert ("waive" in offered) == waivable


def test_the_limits_are_the_host_s():
    """As it recorded them at its start; before it did, they were those of a [policy] without a word."""
    state = RunState()
    assert limits_of(state) == Limits()
    state.host = f.HostStarted(pid=1, reason_characters=40, waiver_days=3)
    assert limits_of(state) == Limits(reason_characters=40, waiver_days=3)


@pytest.mark.parametrize(("text", "fits"), [("3", True), ("0.5", True), ("3.1", False), ("0", False), ("nan", False)])
def test_a_waiver_s_days_have_a_limit(text, fits):
    """A number above nothing, up to what policy allows."""
    assert (wrong_days(text, 3) == "") is fits


def test_what_decides_nothing_stands_first():
    """The others keep their order."""
    assert safe_first(("reject", "file", "later")) == ("later", "reject", "file")
    assert safe_first(("cron", "systemd")) == ("cron", "systemd")
