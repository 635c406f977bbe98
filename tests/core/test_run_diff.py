"""Two runs side by side: what is better, worse, new and gone, and what was not looked at."""

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


def probe(acked):
    intended = f.ProbeIntended(
        id="p", step="2.2", receiver="pd", purpose="acknowledge", labels={}, starts_at=100.0, ends_at=200.0
    )
    hops = [f.ProbeHopSeen(id="p", hop="t4", earliest=101, latest=101, source="x")]
    if acked is not None:
        hops.append(f.ProbeHopSeen(id="p", hop="t6", earliest=100 + acked, latest=100 + acked, source="x"))
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
    a.opened = a.opened.model_copy(update={"run_id": "2026-11-28T092233Z-checkout-v2.4.1-0a1b"})
    b.opened = b.opened.model_copy(update={"run_id": "2026-11-28T092233Z-checkout-v2.4.1-7f3c"})
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
