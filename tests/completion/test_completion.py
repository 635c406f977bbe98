"""The end of a run: what lies on disk is read again, and decides boxes and figures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ray_tui import completion
from ray_tui.actions import approval, package
from ray_tui.core import announcements, plan, views
from ray_tui.core import facts as f
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import records
from tests.actions.sealed import FiledContext
from tests.fakes import NOW, a_config, all_ports

OK = Criterion(id="ok", title="ok", verdict=Verdict.PASSED, actual="ok")
OUTPUTS = [name for names in plan.OUTPUTS.values() for name in names]


@pytest.fixture
async def run(tmp_path: Path) -> FiledContext:
    """A good run that has only its completion before it, with its evidence on disk."""
    here = FiledContext(tmp_path, ports=all_ports(), step="4.1", answers={"package": "yes", "transition": "yes"})
    for phase in plan.PHASES:
        here.apply(f.Announced(text=announcements.phase_start(phase)))
    for role, person in (("release-manager", "tom"), ("security", "priya")):
        here.apply(
            f.ApprovalRecorded(
                role=role, person=person, subject="release", release="checkout-v2.4.1", given_at=NOW,
                config_digest=a_config().digest(), expires_at=NOW + 86_400,
            )
        )  # fmt: skip
    for action in (action for phase in plan.PHASES[:3] for action in phase.actions):
        here.step = action.id
        for name in (name for artifact in action.artifacts for name in (artifact.name, artifact.twin) if name):
            twin = records.twin(name, here.state, action.id, {}, criteria=[])
            await here.publish(name, twin if name.endswith(".json") else b"# x\n")
    here.step = "4.1"
    await package.run(here)
    here.step = "4.2"
    await here.file_result("4.2", approval.RECORD, await approval.run(here))
    for step in plan.STEPS[:-1]:
        here.apply(f.StepFinished(step=step, verdict=Verdict.PASSED, summary="ok", criteria=(OK,)))
    for gate in plan.GATES:
        here.apply(f.GateJudged(gate=gate.key, verdict=Verdict.PASSED, actual="ok", criteria=(OK,)))
        here.apply(f.HookRan(hook=gate.hook, outcome=Verdict.PASSED))
    here.step = plan.COMPLETION
    return here


async def test_a_run_whose_evidence_is_as_it_was_written_completes(run: FiledContext) -> None:
    """All seven boxes and all three figures come from files that were read again. (P90 P95 P96 P97)"""
    result = await completion.run(run)

    assert {one.id: one.actual for one in result.criteria if one.verdict is not Verdict.PASSED} == {}
    assert all(row["met"] for row in result.data["metrics"])
    assert result.data["wrong"] == {}
    assert run.state.completed is not None


BENT: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "gone"),
    "replaced": (lambda path: path.write_text("{}"), "changed"),
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(("bend", "how"), BENT.values(), ids=BENT)
async def test_an_output_that_is_not_what_was_written_blocks(
    run: FiledContext, name: str, bend: Callable[[Path], object], how: str
) -> None:
    """Boxes 4 and 5 open, and integrity is no longer 100%: a name in the journal is no file. (P90 P97)"""
    bend(run.filed / name)

    result = await completion.run(run)

    boxes = views.handoff_boxes(run.state, NOW)
    assert not boxes[4].checked
    assert f"{name} ({how})" in boxes[4].why
    assert boxes[3].checked == (name not in {a.name for action in plan.ACTIONS for a in action.artifacts if a.required})
    assert not result.data["metrics"][2]["met"]
    assert result.data["wrong"] == {name: how}
    hook = run.state.hooks["aggregate_evidence_12.py"]
    assert (hook.outcome, hook.detail) == (Verdict.FAILED, f"{name} is {how}")
    assert run.state.completed is None
    assert run.asked == [] or run.asked[-1].name != "transition"


@pytest.mark.parametrize("data", [b"{}", b"[]", b"{", b'{"artifact": "instrumentation-audit.json", "body": []}'])
async def test_a_file_that_is_not_of_its_form_is_wrong_whatever_its_hash(run: FiledContext, data: bytes) -> None:
    """What was recorded with that very hash but cannot be read by the next protocol is no output. (P97)"""
    await run.publish("instrumentation-audit.json", data)

    result = await completion.run(run)

    assert result.data["wrong"]["instrumentation-audit.json"].startswith("not of its form")
    assert not result.data["metrics"][2]["met"]


async def test_a_gate_whose_own_halt_was_waived_keeps_no_box_open(run: FiledContext) -> None:
    """Its hook's outcome is the gate's verdict now, not what it was before the waiver; the box names it. (P85)"""
    gate = plan.gate("alert_validation")
    found = Criterion(id="alert_validation.panels", title="Panels", verdict=Verdict.INCONCLUSIVE, actual="none")
    run.apply(f.StepFinished(step=gate.id, verdict=Verdict.INCONCLUSIVE, summary="none", criteria=(found,)))
    run.apply(f.GateJudged(gate=gate.key, verdict=Verdict.INCONCLUSIVE, actual="none", criteria=(found,)))
    run.apply(f.HookRan(hook=gate.hook, outcome=Verdict.INCONCLUSIVE, detail="none"))
    run.apply(
        f.Waived(
            id="W1", criterion=found.id, step=gate.id, reason="there is no Grafana", operator="mira", approver="tom",
            expires_at=NOW + 60, evidence_sha256=criterion_digest(found),
        )
    )  # fmt: skip

    await completion.run(run)

    assert run.state.hooks[gate.hook].outcome is Verdict.WAIVED
    assert run.state.completed is not None
    said = views.handoff_boxes(run.state, NOW)[2]
    assert (said.checked, said.why) == (True, f"with waivers: {gate.title}")
