"""Gate 3, judged over evidence that is whole, bent, thin or missing."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.gates import assurance as gate
from tests.actions.sealed import as_twin

NOW = 1_795_377_600.0
SCHEDULE, REPORT, BACKLOG = "observability-schedule.json", "alert-tuning-report.json", "improvement-backlog.json"
BASELINE, AUDIT = "baseline-metrics.json", "instrumentation-audit.json"
Inputs = dict[str, Any]


def found(id_: str, verdict: Verdict = Verdict.PASSED, actual: str = "as measured") -> Criterion:
    return Criterion(id=id_, title=id_, verdict=verdict, actual=actual)


def entry(ident: str, **more: str) -> dict[str, str]:
    base = {"id": ident, "step": ident.partition(":")[0], "title": ident, "subject": "", "owner": "checkout",
            "due": "next release cycle", "severity": "warns", "status": "open", "reference": ""}  # fmt: skip
    return {**base, **more}


def scheduled(asset: str) -> dict[str, Any]:
    return {
        "id": asset, "asset": asset, "kind": "dashboard", "cadence": "*/30 * * * *", "timezone": "UTC",
        "next_run": "2026-11-22T20:30:00.000Z", "owner": "checkout", "owner_ok": True, "owner_why": "on call: Mira",
        "installed": True,
    }  # fmt: skip


def evidence() -> Inputs:
    """Two checks, one thin rule with its entry, one new service without a prior baseline, one filed gap."""
    schedule = {
        "entries": [scheduled("dashboard:red"), scheduled("alert-paths")],
        "coverage": {"assets": 2, "scheduled": 2, "ratio": 1.0},
    }
    report = {
        "rules": [
            {"rule": "Thin", "n": 2, "finding": "insufficient"},
            {"rule": "Noisy", "n": 14, "finding": "degraded"},
        ],
        "decisions": [{"subject": "Noisy", "action": "filed: x", "criterion": "correlate.gaps:noisy-noisy"}],
        "gaps": [{"id": "correlate:noisy-noisy"}, {"id": "correlate:insufficient-thin"}],
    }  # fmt: skip
    kpis = [{"service": "new", "kpi": "p99", "finding": "none-prior"}, {"service": "a", "kpi": "p99", "finding": "ok"}]
    entries = [entry("correlate:noisy-noisy"), entry("correlate:insufficient-thin"), entry("baseline:new:none-prior")]
    ids = ("schedule.coverage", "schedule.owned", "schedule.installed", "schedule.no_pages")
    return {
        SCHEDULE: as_twin(SCHEDULE, schedule, tuple(found(one) for one in ids)),
        REPORT: as_twin(REPORT, report, (found("correlate.sources"), found("correlate.gaps:noisy-noisy"))),
        BASELINE: as_twin(BASELINE, {"kpis": kpis}, (found("baseline.measured"),), verdict="passed"),
        AUDIT: as_twin(AUDIT, {}, (found("coverage.completeness"),)),
        BACKLOG: as_twin(BACKLOG, {"entries": entries}),
    }


def judged(inputs: Inputs, now: float = NOW) -> dict[str, Criterion]:
    return {one.id: one for one in gate.judge(inputs, Thresholds(), now)}


def waive(inputs: Inputs, one: Criterion, step: str, expires_at: float = NOW + 60, kind: str = "waivers") -> None:
    body = inputs.setdefault("waivers.json", as_twin("waivers.json", {"waivers": [], "manual": []}))["body"]
    body[kind].append(
        {"criterion": one.id, "step": step, "evidence_sha256": criterion_digest(one), "expires_at": expires_at}
    )


def test_whole_evidence_passes() -> None:
    """Scheduled, owned, tuned, and every gap has an entry. (P77)"""
    assert {one.id: one.verdict.value for one in judged(evidence()).values()} == {
        "assurance.schedule": "passed", "assurance.owners": "passed", "assurance.tuning": "passed",
        "assurance.backlog": "passed",
    }  # fmt: skip


def test_the_remedy_is_that_of_what_was_in_the_way() -> None:
    """Where 3.2 could judge nothing, to define a schedule would not help: what it said itself does."""
    short = Criterion(id="correlate.history", title="History", verdict=Verdict.INCONCLUSIVE, actual="1 hour of 14 days",
                      remedy="Shorten thresholds.correlation_days, or wait")  # fmt: skip
    inputs = evidence()
    inputs[REPORT]["criteria"] = [short.to_json()]

    assert judged(inputs)["assurance.tuning"].remedy == short.remedy


@pytest.mark.parametrize("name", [SCHEDULE, REPORT, BACKLOG])
def test_missing_evidence_fails(name: str) -> None:
    """Each of the three is named by the seed."""
    inputs = evidence()
    del inputs[name]

    assert judged(inputs)[f"assurance.evidence:{name}"].verdict is Verdict.FAILED


@pytest.mark.parametrize("name", [SCHEDULE, REPORT, BACKLOG])
@pytest.mark.parametrize("twin", [{}, {"body": []}, {"body": {}, "criteria": []}, {"body": {"entries": [1]}}, []])
def test_malformed_evidence_is_an_error_never_an_exception(name: str, twin: Any) -> None:
    """Whatever stands there instead."""
    inputs = {**evidence(), name: twin}

    assert judged(inputs)[f"assurance.evidence:{name}"].verdict is Verdict.ERROR


def test_no_evidence_passes_nothing() -> None:
    """An empty folder."""
    assert all(one.verdict is Verdict.FAILED for one in judged({}).values())


Bend = Callable[[Inputs], Any]
BENT: list[tuple[str, str, Verdict, Bend]] = [
    ("not installed", "schedule", Verdict.FAILED, lambda i: i[SCHEDULE]["body"]["entries"][0].update(installed=False)),
    ("never runs", "schedule", Verdict.FAILED, lambda i: i[SCHEDULE]["body"]["entries"][0].update(next_run=None)),
    ("an asset without entry", "schedule", Verdict.FAILED, lambda i: i[SCHEDULE]["body"]["coverage"].update(assets=3)),
    ("nothing to schedule", "schedule", Verdict.INCONCLUSIVE,
     lambda i: i[SCHEDULE]["body"].update(entries=[], coverage={"assets": 0})),
    ("unowned", "owners", Verdict.FAILED, lambda i: i[SCHEDULE]["body"]["entries"][1].update(owner_ok=False)),
    ("an empty name", "owners", Verdict.FAILED, lambda i: i[SCHEDULE]["body"]["entries"][1].update(owner=" ")),
    ("an unresolved gap", "tuning", Verdict.FAILED, lambda i: i[REPORT]["criteria"].append(
        found("correlate.gaps:missed-1", Verdict.FAILED).to_json())),
    ("noise that nobody decided on", "tuning", Verdict.FAILED, lambda i: i[REPORT]["body"].update(decisions=[])),
    ("no gap was judged", "tuning", Verdict.INCONCLUSIVE,
     lambda i: i[REPORT].update(criteria=i[REPORT]["criteria"][:1])),
    ("a gap without entry", "backlog", Verdict.FAILED, lambda i: i[BACKLOG]["body"]["entries"].pop(0)),
    ("a baseline finding without entry", "backlog", Verdict.FAILED, lambda i: i[BACKLOG]["body"]["entries"].pop(2)),
    ("a staging finding without entry", "backlog", Verdict.FAILED,
     lambda i: i[BASELINE]["body"]["kpis"][1].update(staging={"finding": "degraded"})),
    ("an entry without owner", "backlog", Verdict.FAILED,
     lambda i: i[BACKLOG]["body"]["entries"][0].update(owner="")),
    ("an entry that nobody owns", "backlog", Verdict.FAILED,
     lambda i: i[BACKLOG]["body"]["entries"][0].update(owner="unowned")),
    ("an entry without date", "backlog", Verdict.FAILED, lambda i: i[BACKLOG]["body"]["entries"][0].update(due="")),
    ("another release", "release", Verdict.FAILED, lambda i: i[REPORT].update(release="v1")),
    ("a broken twin", "backlog", Verdict.ERROR, lambda i: i.update({AUDIT: {"body": "x"}})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "verdict", "bend"), [pytest.param(n, v, b, id=i) for i, n, v, b in BENT])
def test_what_was_bent_shows_in_its_own_criterion(name: str, verdict: Verdict, bend: Bend) -> None:
    """Each check by itself, on the one thing that it looks at. (P77)"""
    inputs = copy.deepcopy(evidence())
    bend(inputs)

    assert judged(inputs)[f"assurance.{name}"].verdict is verdict


def test_nan_in_the_figures_is_not_evidence() -> None:
    """A count that is no whole number is malformed."""
    inputs = evidence()
    inputs[SCHEDULE]["body"]["coverage"]["assets"] = float("nan")

    assert judged(inputs)[f"assurance.evidence:{SCHEDULE}"].verdict is Verdict.ERROR


def test_a_gap_that_was_waived_at_its_action_is_waived_here() -> None:
    """Bound to the finding: it covers this one, no other and no later one, and only with a backlog entry."""
    inputs = evidence()
    gap = found("correlate.gaps:missed-1", Verdict.FAILED, "no alert told of INC-1")
    inputs[REPORT]["criteria"].append(gap.to_json())
    waive(inputs, gap, "3.2")

    assert judged(inputs)["assurance.tuning"].verdict is Verdict.WAIVED
    assert judged(inputs)["assurance.backlog"].verdict is Verdict.FAILED
    assert judged(inputs, NOW + 61)["assurance.tuning"].verdict is Verdict.FAILED

    inputs[BACKLOG]["body"]["entries"].append(entry("waived:3.2:correlate.gaps:missed-1"))
    assert worst(judged(inputs).values()) is Verdict.WAIVED

    inputs[REPORT]["criteria"][-1]["actual"] = "something else"
    assert judged(inputs)["assurance.tuning"].verdict is Verdict.FAILED


def test_a_waived_coverage_miss_needs_an_entry_about_its_service() -> None:
    """What was put off in phase 1 is in the backlog, or Gate 3 names it."""
    inputs = evidence()
    miss = found("coverage.critical:payments", Verdict.FAILED)
    inputs[AUDIT]["criteria"].append(miss.to_json())
    waive(inputs, miss, "1.2")
    assert "coverage.critical:payments (waived)" in judged(inputs)["assurance.backlog"].actual

    inputs[BACKLOG]["body"]["entries"].append(entry("coverage:payments:traces", step="1.2", subject="payments"))

    assert judged(inputs)["assurance.backlog"].verdict is Verdict.PASSED


def test_a_waiver_of_the_scorecard_itself_needs_no_entry() -> None:
    """3.3 gives waivers their entries; after it no step is left before the gate."""
    inputs = evidence()
    card = found("scorecard.computed", Verdict.ERROR)
    inputs["observability-scorecard.json"] = as_twin("observability-scorecard.json", {}, (card,))
    waive(inputs, card, "3.3")

    assert judged(inputs)["assurance.backlog"].verdict is Verdict.PASSED


def test_an_unowned_check_that_was_waived_is_waived() -> None:
    """At 3.1, with an entry in the backlog."""
    inputs = evidence()
    inputs[SCHEDULE]["body"]["entries"][0]["owner_ok"] = False
    unowned = found("schedule.owned", Verdict.FAILED, "dashboard:red: ghost")
    inputs[SCHEDULE]["criteria"][1] = unowned.to_json()
    assert judged(inputs)["assurance.owners"].verdict is Verdict.FAILED

    waive(inputs, unowned, "3.1")

    assert judged(inputs)["assurance.owners"].verdict is Verdict.WAIVED


def test_what_an_action_could_not_judge_blocks_until_a_person_has_looked() -> None:
    """Inconclusive at 3.1 is inconclusive here; a manual validation covers it, but never a proven failure."""
    for verdict, after in ((Verdict.INCONCLUSIVE, Verdict.WAIVED), (Verdict.FAILED, Verdict.FAILED)):
        inputs = evidence()
        one = found("schedule.assets", verdict)
        inputs[SCHEDULE]["criteria"].append(one.to_json())
        assert judged(inputs)["schedule.assets"].verdict is verdict

        waive(inputs, one, "3.1", kind="manual")

        assert judged(inputs)["schedule.assets"].verdict is after


def test_an_action_cannot_waive_its_own_finding() -> None:
    """A twin that says waived without a waiver is inconclusive."""
    inputs = evidence()
    inputs[SCHEDULE]["criteria"].append(found("schedule.assets", Verdict.WAIVED).to_json())

    assert judged(inputs)["schedule.assets"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("waivers", [{}, {"body": 3}, {"body": {"waivers": [7, {"criterion": "x"}]}}])
def test_waivers_that_cannot_be_read_waive_nothing(waivers: Any) -> None:
    """And raise nothing."""
    inputs = {**evidence(), "waivers.json": waivers}
    inputs[SCHEDULE]["body"]["entries"][0]["installed"] = False

    assert judged(inputs)["assurance.schedule"].verdict is Verdict.FAILED
