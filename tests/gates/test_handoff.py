"""Gate 4, judged over a package that was really sealed and approved, and over what may happen to it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import approval, package
from ray_tui.core import declining
from ray_tui.core import facts as f
from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.evidence import gate_inputs
from ray_tui.gates import handoff as gate
from tests.actions.sealed import FiledContext, as_twin
from tests.fakes import NOW, a_config, all_ports

MANIFEST, RECORD = "monitoring-package-manifest.json", "monitoring-approval-record.json"
TOLD, ZIP = "handoff-notifications.json", "MONITORING-PACKAGE.zip"
Inputs = dict[str, Any]


@pytest.fixture
async def evidence(tmp_path: Path) -> Inputs:
    """The evidence folder after 4.1 and 4.2 of a good run, as a gate reads it."""
    context = FiledContext(tmp_path, ports=all_ports(), step="4.1", answers={"package": "yes"})
    await context.file_everything()
    for role, person in (("release-manager", "tom"), ("security", "priya")):
        context.apply(
            f.ApprovalRecorded(
                role=role, person=person, subject="release", release="checkout-v2.4.1", given_at=NOW,
                config_digest=a_config().digest(), expires_at=NOW + 86_400,
            )
        )  # fmt: skip
    sealed = await package.run(context)
    assert sealed.verdict is Verdict.PASSED
    context.step = "4.2"
    await context.file_result("4.2", RECORD, await approval.run(context))
    inputs, unreadable = gate_inputs.load(context.filed)
    assert unreadable == {}
    return copy.deepcopy({name: dict(twin) for name, twin in inputs.items()})


def judged(inputs: Inputs, now: float = NOW) -> dict[str, Criterion]:
    return {one.id: one for one in gate.judge(inputs, Thresholds(), now)}


def test_a_sealed_approved_and_announced_package_passes(evidence: Inputs) -> None:
    """Complete, intact, approved, the same one everywhere, and the next protocols were told. (P78)"""
    assert {one.id: one.verdict.value for one in judged(evidence).values()} == {
        "handoff.complete": "passed", "handoff.intact": "passed", "handoff.current": "passed",
        "handoff.approved": "passed",
        "handoff.same_package": "passed", "handoff.notified": "passed",
    }  # fmt: skip


@pytest.mark.parametrize("name", [MANIFEST, RECORD, TOLD, ZIP])
def test_anything_missing_fails(evidence: Inputs, name: str) -> None:
    """Each of the four files is needed."""
    del evidence[name]

    assert worst(judged(evidence).values()) in (Verdict.FAILED, Verdict.ERROR)


def test_no_evidence_at_all_passes_nothing() -> None:
    """Empty hashes that are equal to each other are no proof."""
    assert all(not one.verdict.lets_go_on for one in judged({}).values())


def approvals(inputs: Inputs) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = inputs[RECORD]["body"]["approvals"]
    return found


Bend = Callable[[Inputs], Any]
BENT: list[tuple[str, str, Bend]] = [
    ("a required file is not listed", "handoff.complete", lambda i: i[MANIFEST].update(
        files=[one for one in i[MANIFEST]["files"] if one["name"] != "instrumentation-audit.json"])),
    ("a twin is not listed", "handoff.complete", lambda i: i[MANIFEST].update(
        files=[one for one in i[MANIFEST]["files"] if one["name"] != "alert-tuning-report.json"])),
    ("files is no list", "handoff.complete", lambda i: i[MANIFEST].update(files={"a": 1})),
    ("the zip does not verify", "handoff.intact", lambda i: i[ZIP].update(ok=False, detail="file.hash: bad")),
    ("nobody compared it with the evidence", "handoff.current", lambda i: i[ZIP].update(differs=None)),
    ("ok is only truthy", "handoff.intact", lambda i: i[ZIP].update(ok="yes")),
    ("another zip", "handoff.same_package", lambda i: i[ZIP].update(sha256="f" * 64)),
    ("another approved hash", "handoff.same_package", lambda i: i[RECORD]["body"].update(package_sha256="f" * 64)),
    ("the lead approved another hash", "handoff.same_package",
     lambda i: [one.update(subject_sha256="f" * 64) for one in approvals(i)]),
    ("a package of another release", "handoff.same_package", lambda i: i[MANIFEST]["header"].update(release="v1")),
    ("no approval of the security", "handoff.approved",
     lambda i: i[RECORD]["body"].update(approvals=[a for a in approvals(i) if a["role"] != "security"])),
    ("roles were struck from the record", "handoff.approved",
     lambda i: i[RECORD]["body"].update(required_roles=["sre-lead"])),
    ("roles is no list", "handoff.approved", lambda i: i[RECORD]["body"].update(required_roles="sre-lead")),
    ("for another release", "handoff.approved", lambda i: approvals(i)[0].update(release="v1")),
    ("for other thresholds", "handoff.approved", lambda i: approvals(i)[0].update(config_digest="x")),
    ("no digests at all", "handoff.approved", lambda i: (
        i[RECORD]["body"].pop("config_digest"), [a.pop("config_digest") for a in approvals(i)])),
    ("no expiry", "handoff.approved", lambda i: approvals(i)[0].update(expires_at=None)),
    ("an impossible expiry", "handoff.approved",
     lambda i: approvals(i)[0].update(expires_at="0001-01-01T00:00:00+23:59")),
    ("a protocol was not told", "handoff.notified", lambda i: i[TOLD]["body"]["notifications"].pop()),
    ("told of another package", "handoff.notified",
     lambda i: i[TOLD]["body"]["notifications"][0].update(package_sha256="f" * 64)),
    ("told without success", "handoff.notified", lambda i: i[TOLD]["body"]["notifications"][0].update(ok=False)),
]  # fmt: skip


@pytest.mark.parametrize(("criterion", "bend"), [pytest.param(c, b, id=n) for n, c, b in BENT])
def test_what_was_bent_fails_its_own_criterion(evidence: Inputs, criterion: str, bend: Bend) -> None:
    """Each check fails by itself on the one thing that it looks at. (P63 P64 P68)"""
    bend(evidence)

    assert judged(evidence)[criterion].verdict is Verdict.FAILED


@pytest.mark.parametrize(("bend", "how"), [(Path.unlink, "gone"), (lambda p: p.write_text("{}"), "changed")])
async def test_evidence_that_is_no_longer_what_was_packed_fails(tmp_path: Path, bend: Any, how: str) -> None:
    """A step was run again after the seal: the package is stale; the run's own books may go on. (P63 P64)"""
    context = FiledContext(tmp_path, ports=all_ports(), step="4.1")
    await context.file_everything()
    await package.run(context)
    (context.filed / "communication-log.jsonl").write_text("one more line\n")
    assert judged(gate_inputs.load(context.filed)[0])["handoff.current"].verdict is Verdict.PASSED

    bend(context.filed / "observability-schedule.json")
    found = judged(gate_inputs.load(context.filed)[0])["handoff.current"]

    assert (found.verdict, found.actual) == (Verdict.FAILED, f"observability-schedule.json is {how}")
    assert not found.waivable


def test_an_approval_runs_out(evidence: Inputs) -> None:
    """The same evidence a month later is outdated. (P68)"""
    later = judged(evidence, NOW + 40 * 86_400)

    assert later["handoff.approved"].verdict is Verdict.FAILED
    assert "expired" in later["handoff.approved"].actual


def test_a_regulated_service_needs_the_security_approval_whatever_the_record_says(evidence: Inputs) -> None:
    """The papers of 1.1 name payments as regulated."""
    evidence[RECORD]["body"]["required_roles"] = ["release-manager", "sre-lead"]
    assert judged(evidence)["handoff.approved"].verdict is Verdict.PASSED

    body = {"services": [{"name": "payments", "regulated": True}]}
    evidence["monitoring-requirements.json"] = as_twin("monitoring-requirements.json", body)

    assert judged(evidence)["handoff.approved"].verdict is Verdict.FAILED


def test_a_declined_guideline_is_not_missed(evidence: Inputs) -> None:
    """Runbooks were declined: their files are not owed; a [MUST] cannot be declined away."""

    def without(*names: str) -> None:
        evidence[MANIFEST]["files"] = [one for one in evidence[MANIFEST]["files"] if one["name"] not in names]

    without("runbook-updates.md", "runbook-updates.json")
    assert judged(evidence)["handoff.complete"].verdict is Verdict.FAILED

    evidence["waivers.json"]["body"]["declined"] = {"2.3": "runbooks live elsewhere", "1.2": "no"}
    assert judged(evidence)["handoff.complete"].verdict is Verdict.PASSED

    without("instrumentation-audit.json")
    assert judged(evidence)["handoff.complete"].verdict is Verdict.FAILED


def test_a_declined_output_is_missed_unless_its_waiver_runs(evidence: Inputs) -> None:
    """Another protocol waits for the scorecard: a reason alone is not enough, nor is a waiver that has run out."""
    scorecard = ("observability-scorecard.md", "observability-scorecard.json")
    evidence[MANIFEST]["files"] = [one for one in evidence[MANIFEST]["files"] if one["name"] not in scorecard]
    settled = evidence["waivers.json"]["body"]
    settled["declined"] = {"3.3": "published by another team"}
    assert judged(evidence)["handoff.complete"].verdict is Verdict.FAILED

    found = declining.criterion("3.3", "published by another team")
    waiver = {"criterion": found.id, "step": "3.3", "evidence_sha256": criterion_digest(found)}
    settled["waivers"] = [{**waiver, "expires_at": NOW + 9}]
    assert judged(evidence)["handoff.complete"].verdict is Verdict.PASSED
    settled["waivers"] = [{**waiver, "expires_at": NOW - 9}]
    assert judged(evidence)["handoff.complete"].verdict is Verdict.FAILED


def test_what_the_action_held_against_itself_blocks_until_it_is_waived(evidence: Inputs) -> None:
    """An empty rota at 4.2 blocks the gate too; a waiver bound to that finding covers it, an expired one does not."""
    found = Criterion(id="approval.owners", title="owners", verdict=Verdict.FAILED, actual="nobody on call: checkout")
    evidence[RECORD]["criteria"].append(found.to_json())
    assert judged(evidence)["approval.owners"].verdict is Verdict.FAILED

    waiver = {"criterion": found.id, "step": "4.2", "evidence_sha256": criterion_digest(found), "expires_at": NOW + 9}
    evidence["waivers.json"]["body"]["waivers"] = [waiver]

    assert judged(evidence)["approval.owners"].verdict is Verdict.WAIVED
    assert judged(evidence, NOW + 10)["approval.owners"].verdict is Verdict.FAILED


def test_a_record_without_criteria_is_an_error(evidence: Inputs) -> None:
    """Nothing judged is never a pass."""
    evidence[RECORD]["criteria"] = []

    assert judged(evidence)["handoff.recorded"].verdict is Verdict.ERROR


def test_a_package_without_a_hash_was_told_to_nobody(evidence: Inputs) -> None:
    """An empty hash in the notifications is not the hash of a missing zip."""
    del evidence[ZIP]
    for one in evidence[TOLD]["body"]["notifications"]:
        one["package_sha256"] = ""

    assert judged(evidence)["handoff.notified"].verdict is Verdict.FAILED
