"""Two runs side by side: what is better, worse, new and gone, and what was not looked at."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core import run_diff
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict


def run(*facts):
    state = RunState()
    opened = f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="c")
    for seq, fact in enumerate((opened, *facts), 1):
        apply(state, f.Entry(seq=seq, at=float(seq), mono=float(seq), actor=f.ENGINE, fact=fact))
    return state


def finished(step, verdict, *criteria, **data):
    return f.StepFinished(step=step, verdict=verdict, summary="", criteria=criteria, data=data)


def criterion(verdict, id_="c", actual="a"):
    return Criterion(id=id_, title="C", verdict=verdict, actual=actual)


def probe(acked, id_="p", receiver="pd"):
    intended = f.ProbeIntended(
        id=id_, step="2.2", receiver=receiver, purpose="acknowledge", labels={}, starts_at=100.0, ends_at=200.0
    )
    hops = [f.ProbeHopSeen(id=id_, hop="t4", earliest=101, latest=101, source="x")]
    if acked is not None:
        hops.append(f.ProbeHopSeen(id=id_, hop="t6", earliest=100 + acked, latest=100 + acked, source="x"))
    return [intended, *hops]


def changes(a, b):
    return {(row.section, row.name): row.change for row in run_diff.diff(a, b)}


def test_a_run_differs_in_nothing_from_itself():
    """Every row of a run beside itself is the same."""
    state = run(finished("1.2", Verdict.FAILED, criterion(Verdict.FAILED)), *probe(3.0))
    assert set(changes(state, state).values()) == {"same"}


def test_a_verdict_that_fell_is_worse_and_one_that_rose_is_better():
    """Passed over failed is better; an unjudged step is neither."""
    good, bad = run(finished("1.2", Verdict.PASSED)), run(finished("1.2", Verdict.FAILED))
    name = ("steps and gates", "1.2 Verify Instrumentation Coverage")
    assert (changes(good, bad)[name], changes(bad, good)[name], changes(good, run())[name]) == (
        "worse", "better", "other",
    )  # fmt: skip


def test_a_page_that_never_came_is_worse_than_a_slow_one():
    """Acknowledgements are compared in seconds; never is worse than late; half a second is no difference."""
    name = ("delivery", "pd acknowledged")
    quick, close, slow, never = (run(*probe(seconds)) for seconds in (3.0, 3.4, 90.0, None))
    assert [changes(quick, other)[name] for other in (close, slow, never)] == ["same", "worse", "worse"]
    assert changes(never, slow)[name] == "better"


def test_findings_come_and_go_by_step_and_id():
    """A criterion that fails only in one run is new or gone; one that fails otherwise is different."""
    a = run(finished("1.2", Verdict.FAILED, criterion(Verdict.FAILED, "x"), criterion(Verdict.ERROR, "y", "1")))
    b = run(finished("1.2", Verdict.FAILED, criterion(Verdict.FAILED, "z"), criterion(Verdict.ERROR, "y", "2")))
    found = changes(a, b)
    assert [found["findings", f"1.2 {name}"] for name in "xyz"] == ["gone", "other", "new"]


def test_a_backlog_entry_of_a_step_that_was_not_judged_is_not_called_gone():
    """What a run never came to does not look mended."""
    gap = f.GapFound(id="g", step="3.2", title="noisy", owner="jo", due="soon")
    a = run(finished("3.2", Verdict.PASSED), gap)
    assert changes(a, run())["backlog", "g"] == "other"
    assert changes(a, run(finished("3.2", Verdict.PASSED)))["backlog", "g"] == "gone"


def test_what_a_run_never_came_to_is_not_called_better():
    """Findings, delivery and cells of a step that was not judged are different, and the row says why; so both ways."""
    cells = {"cells": [{"service": "shop", "signal": "logs", "verdict": "failed"}], "completeness": {"ratio": 0.0}}
    far = run(finished("1.2", Verdict.FAILED, criterion(Verdict.FAILED), **cells),
              finished("2.2", Verdict.FAILED, criterion(Verdict.FAILED, "delivered")), *probe(2.1))  # fmt: skip
    halted = run()
    for rows in (run_diff.diff(far, halted), run_diff.diff(halted, far)):
        told = [row for row in rows if row.section in ("findings", "delivery", "coverage")]
        assert len(told) == 6
        assert {row.change for row in told} == {"other"}
        assert all(run_diff.UNJUDGED in (row.a, row.b) for row in told)


def test_a_path_that_was_tried_before_and_is_not_any_more_is_worse():
    """A probe that vanished from a judged step proves less than before; a cell that vanished proves nothing."""
    cell = {"service": "shop", "signal": "logs", "verdict": "failed"}
    tried = run(finished("1.2", Verdict.FAILED, cells=[cell]), finished("2.2", Verdict.PASSED), *probe(2.1))
    untried = run(finished("1.2", Verdict.FAILED, cells=[]), finished("2.2", Verdict.FAILED))
    found = changes(tried, untried)
    assert found["delivery", "pd acknowledged"] == "worse"
    assert found["coverage", "shop logs"] == "other"
    assert changes(untried, tried)["delivery", "pd acknowledged"] == "new"


def test_a_narrow_text_still_tells_two_runs_apart():
    """Where ids have no room their ends are printed; names get the room that they need where there is any."""
    a, b = (run(finished("2.2", Verdict.FAILED, criterion(Verdict.FAILED, "alert_paths.delivered.pd-checkout-primary")))
            for _ in range(2))  # fmt: skip
    a.opened = a.opened.but(run_id="2026-11-28T092233Z-checkout-v2.4.1-0a1b")
    b.opened = b.opened.but(run_id="2026-11-28T092233Z-checkout-v2.4.1-7f3c")
    first = run_diff.to_text(a, b, width=80).split("\n")[0]
    assert first.split() == ["run", "0a1b", "run", "7f3c"]
    assert "2.2 alert_paths.delivered.pd-checkout-primary" in run_diff.to_text(a, b, width=160, everything=True)


def test_coverage_is_compared_cell_by_cell():
    """A cell that is no longer seen is worse, and the ratio says so too."""

    def cells(verdict, ratio):
        cell = {"service": "shop", "signal": "logs", "verdict": verdict}
        return run(finished("1.2", Verdict.PASSED, cells=[cell], completeness={"ratio": ratio}))

    found = changes(cells("passed", 1.0), cells("inconclusive", 0.9))
    assert (found["coverage", "shop logs"], found["coverage", "required cells that are seen"]) == ("worse", "worse")


def test_the_text_lists_what_differs_and_counts_the_rest():
    """No line is wider than it may be; what is the same is a number."""
    a, b = run(*probe(3.0)), run(*probe(None))
    text = run_diff.to_text(a, b, width=100)
    assert "- pd acknowledged" in text
    assert "the same" in text
    assert "never" in text
    assert max(len(line) for line in text.split("\n")) <= 100
    assert run_diff.to_json(a, b)["changes"]["worse"] == 1


def attempt(number, verdict, *probes):
    """2.2 carried out once."""
    return [f.StepStarted(step="2.2", attempt=number), *(fact for one in probes for fact in one),
            f.StepFinished(step="2.2", attempt=number, verdict=verdict, summary="", data={})]  # fmt: skip


def test_an_attempt_does_not_lend_its_numbers_to_the_next_one():
    """A second attempt that fired nothing has tried no path; one that fired one has tried that one."""
    once = run(*attempt(1, Verdict.PASSED, probe(3.0), probe(4.0, "q", "slack")))
    nothing = run(*attempt(1, Verdict.PASSED, probe(3.0), probe(4.0, "q", "slack")), *attempt(2, Verdict.FAILED))
    one = run(*attempt(1, Verdict.FAILED, probe(9.0), probe(4.0, "q", "slack")),
              *attempt(2, Verdict.FAILED, probe(3.1, "p2")))  # fmt: skip
    found = {row.name: row for row in run_diff.diff(once, nothing) if row.section == "delivery"}
    assert (found["pd acknowledged"].b, found["pd acknowledged"].change) == ("not tried at attempt 2", "worse")
    found = {row.name: row for row in run_diff.diff(once, one) if row.section == "delivery"}
    assert (found["pd acknowledged"].b, found["pd acknowledged"].change) == ("3.1 s", "same")
    assert (found["slack acknowledged"].b, found["slack acknowledged"].change) == ("not tried at attempt 2", "worse")


def test_an_attempt_that_is_under_way_has_no_numbers_yet():
    """It is not judged: what the one before it measured is not what it will find."""
    once = run(*attempt(1, Verdict.PASSED, probe(3.0)))
    again = run(*attempt(1, Verdict.PASSED, probe(3.0)), f.StepStarted(step="2.2", attempt=2))
    (found,) = [row for row in run_diff.diff(once, again) if row.name == "pd acknowledged"]
    assert (found.b, found.change) == (run_diff.UNJUDGED, "other")


def correlated(*rules, missed=()):
    return run(finished("3.2", Verdict.PASSED, rules=list(rules), missed=list(missed)))


def rule(n, true, finding, status=None, name="CartErrors"):
    return {"rule": name, "n": n, "true": true, "precision": true / n, "finding": finding, "status": status or finding}


CALM, FEW = rule(14, 14, "ok"), rule(4, 4, "insufficient")
ACCEPTED, UNDECIDED = rule(14, 4, "degraded", "accepted"), rule(14, 4, "degraded", "noisy")


@pytest.mark.parametrize(
    ("a", "b", "change"),
    [
        (CALM, ACCEPTED, "worse"), (FEW, ACCEPTED, "worse"), (ACCEPTED, CALM, "better"),
        (ACCEPTED, UNDECIDED, "worse"), (UNDECIDED, ACCEPTED, "better"), (ACCEPTED, ACCEPTED, "same"),
        (ACCEPTED, rule(20, 4, "degraded", "accepted"), "other"),
    ],
)  # fmt: skip
def test_an_alert_that_became_noisy_is_a_finding_that_is_worse(a, b, change):
    """Also where its tuning is accepted: the pages were noise."""
    assert changes(correlated(a), correlated(b))["findings", "3.2 CartErrors"] == change


def test_noise_is_told_by_its_precision_and_what_was_decided():
    """Both runs' figures stand side by side; a calm rule is no finding."""
    rows = {row.name: row for row in run_diff.diff(correlated(FEW, rule(12, 12, "ok", name="Slow")),
                                                   correlated(ACCEPTED, rule(12, 11, "ok", name="Slow")))}  # fmt: skip
    assert rows["3.2 CartErrors"].a == "precision 100% (4 of 4), insufficient"
    assert rows["3.2 CartErrors"].b == "precision 29% (4 of 14), tuning accepted"
    assert "3.2 Slow" not in rows
    (noisy,) = [row for row in run_diff.diff(run(), correlated(UNDECIDED)) if row.name == "3.2 CartErrors"]
    assert (noisy.a, noisy.b, noisy.change) == (run_diff.UNJUDGED, "precision 29% (4 of 14), nothing decided", "other")


def test_an_incident_that_no_alert_told_of_comes_and_goes():
    """With what was decided about it."""
    missed = correlated(missed=[{"incident": "INC-7", "title": "cart down", "action": ""}])
    found = [row for row in run_diff.diff(correlated(), missed) if row.section == "findings"]
    assert [(row.name, row.b, row.change) for row in found] == [
        ("3.2 missed incident INC-7", "cart down, nothing decided", "new")
    ]
    assert changes(missed, correlated())["findings", "3.2 missed incident INC-7"] == "gone"
    assert changes(missed, run())["findings", "3.2 missed incident INC-7"] == "other"


def test_an_entry_that_only_informs_is_not_mended_by_going():
    """Too few episodes to judge became enough, and what they showed may be bad."""
    gap = f.GapFound(id="g", step="3.2", title="too few", owner="jo", due="soon", severity="info")
    judged = finished("3.2", Verdict.PASSED)
    assert changes(run(judged, gap), run(judged))["backlog", "g"] == "other"
