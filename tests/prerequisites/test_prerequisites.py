"""The prerequisites: papers, live systems, folders, and the three approvals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui import prerequisites
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendBusy, BackendRefused, BackendUnreachable
from ray_tui.core.ports import Health, Ports
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Result
from tests import papers
from tests.fakes import (
    NOW,
    RELEASE,
    FakeClock,
    FakeContext,
    InMemoryLogs,
    InMemoryMetrics,
    InMemoryPaging,
    InMemoryVisits,
    a_config,
    actual,
    all_ports,
    verdicts,
)

YES = {"approve-release-manager": "yes", "approve-sre-lead": "yes", "approve-security": "yes"}


def metrics() -> InMemoryMetrics:
    return InMemoryMetrics().answer("count(probe_success)", 3.0)


def context(folder: Path, *, ports: Ports | None = None, write: bool = True, **more: Any) -> FakeContext:
    if write:
        papers.write(folder)
    ports = ports or all_ports(metrics=metrics())
    return FakeContext(folder, ports=ports, step="prerequisites", answers=more.pop("answers", YES), **more)


def bad(result: Result) -> dict[str, str]:
    return {id_: verdict for id_, verdict in verdicts(result).items() if verdict != "passed"}


async def test_a_run_with_everything_in_place_may_start(tmp_path: Path) -> None:
    """Papers, systems, folders and approvals in place: passed, and three people were asked."""
    run = context(tmp_path)
    result = await prerequisites.run(run)

    assert result.verdict is Verdict.PASSED
    assert [question.roles for question in run.asked] == [("release-manager",), ("sre-lead",), ("security",)]


@pytest.mark.parametrize("key", ["validation", "health_log", "report", "staging"])
async def test_a_missing_paper_is_named_and_nobody_is_asked(tmp_path: Path, key: str) -> None:
    """Each of the four papers must be there; approvals are not collected for a run that cannot start. (P1 P2 P3 P4)"""
    papers.write(tmp_path, **{key: None})
    run = context(tmp_path, write=False)

    result = await prerequisites.run(run)

    assert verdicts(result)[f"prerequisites.artifact:{papers.NAMES[key]}"] == "failed"
    assert "missing" in actual(result, f"prerequisites.artifact:{papers.NAMES[key]}")
    assert run.asked == []
    assert verdicts(result)["prerequisites.approval:sre-lead"] == "inconclusive"


async def test_a_paper_of_another_release_is_inconsistent(tmp_path: Path) -> None:
    """A different release id inside is inconsistent, and the line is named."""
    papers.write(tmp_path, staging=papers.changed(papers.STAGING, release="checkout-v2.4.0"))
    result = await prerequisites.run(context(tmp_path, write=False))

    said = actual(result, "prerequisites.artifact:staging-test-results.json")
    assert "staging-test-results.json:2 is about release checkout-v2.4.0" in said


async def test_a_paper_found_twice_is_inconsistent(tmp_path: Path) -> None:
    """More than one match is inconsistent."""
    papers.write(tmp_path)
    (tmp_path / "DEPLOYMENT-REPORT.md").write_text(papers.REPORT)

    result = await prerequisites.run(context(tmp_path, write=False))

    assert "found 2 times" in actual(result, "prerequisites.artifact:DEPLOYMENT-REPORT.md")


@pytest.mark.parametrize("data", [b"", b"{", b"\x00\x01", b"[]", b"[" * 100_000])
async def test_a_paper_that_cannot_be_read_fails(tmp_path: Path, data: bytes) -> None:
    """Empty, truncated, binary, other-shaped and hostile papers fail; they do not break the check."""
    papers.write(tmp_path, validation=data)
    result = await prerequisites.run(context(tmp_path, write=False))
    assert verdicts(result)["prerequisites.artifact:post-deployment-validation.json"] == "failed"


async def test_optional_inputs_only_warn(tmp_path: Path) -> None:
    """A prior baseline and the two optional papers are missed in a warning, never in a verdict. (P5 P6)"""
    result = await prerequisites.run(context(tmp_path))

    assert result.verdict is Verdict.PASSED
    for name in ("baseline-metrics.json", "observability-baseline.md", "quality-audit-summary.json"):
        assert any(name in warning for warning in result.data["warnings"])


SYSTEMS = ["metrics", "logs", "traces", "paging", "chat", "mail"]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_system_that_is_not_configured_fails_and_can_be_waived(tmp_path: Path, system: str) -> None:
    """Metrics, logs, traces, PagerDuty, Slack and email are all needed. (P11 P12 P13 P15 P16 P17)"""
    ports = replace(all_ports(metrics=metrics()), **{system: None})
    result = await prerequisites.run(context(tmp_path, ports=ports))

    found = next(one for one in result.criteria if one.id == f"prerequisites.system:{system}")
    assert (found.verdict, found.actual, found.waivable) == (Verdict.FAILED, "not configured", True)


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_system_that_cannot_be_reached_is_an_error(tmp_path: Path, system: str) -> None:
    """A refused connection says nothing of the system but that we could not check. (P11 P12 P13 P15 P16 P17)"""
    ports = all_ports(metrics=metrics())
    getattr(ports, system).trouble = BackendUnreachable(system, "connection refused", "start it")
    result = await prerequisites.run(context(tmp_path, ports=ports))

    assert verdicts(result)[f"prerequisites.system:{system}"] == "error"
    assert "connection refused" in actual(result, f"prerequisites.system:{system}")


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_system_that_says_it_is_unhealthy_is_an_error(tmp_path: Path, system: str) -> None:
    """Answering is not enough: the credentials must work."""
    ports = all_ports(metrics=metrics())
    getattr(ports, system).condition = Health(False, "token revoked")
    result = await prerequisites.run(context(tmp_path, ports=ports))

    assert verdicts(result)[f"prerequisites.system:{system}"] == "error"


async def test_synthetics_need_at_least_one_probe_series(tmp_path: Path) -> None:
    """No series of the probe, and no direct check: the synthetics are not there. (P14)"""
    result = await prerequisites.run(context(tmp_path, ports=all_ports(metrics=InMemoryMetrics(), visits=None)))
    assert verdicts(result)["prerequisites.system:synthetics"] == "error"


async def test_direct_visits_stand_in_for_probe_series(tmp_path: Path) -> None:
    """Where no probe is scraped, direct checks of configured addresses are synthetics too. (P14)"""
    config = a_config(services={"checkout": {"url": "http://checkout/healthz"}})
    ports = all_ports(metrics=InMemoryMetrics(), visits=InMemoryVisits())
    result = await prerequisites.run(context(tmp_path, ports=ports, config=config))
    assert verdicts(result)["prerequisites.system:synthetics"] == "passed"


async def test_pagerduty_is_proved_with_the_test_key(tmp_path: Path) -> None:
    """A test event goes to the test service; without a test key PagerDuty is not proved. (P15)"""
    paging = InMemoryPaging()
    assert (
        verdicts(await prerequisites.run(context(tmp_path, ports=all_ports(metrics=metrics(), paging=paging))))[
            "prerequisites.system:paging"
        ]
        == "passed"
    )
    assert len(paging.tested) == 1

    keyless = all_ports(metrics=metrics(), paging=InMemoryPaging(test_key=False))
    result = await prerequisites.run(context(tmp_path, ports=keyless))
    assert "no test routing key" in actual(result, "prerequisites.system:paging")
    assert verdicts(result)["prerequisites.system:paging"] == "error"


async def test_a_refused_credential_says_which_table_to_look_at(tmp_path: Path) -> None:
    """401 and 403 name the credentials' place."""
    ports = all_ports(metrics=metrics(), logs=InMemoryLogs(trouble=BackendRefused("logs", "401", status=401)))
    result = await prerequisites.run(context(tmp_path, ports=ports))
    assert next(c for c in result.criteria if c.id.endswith(":logs")).remedy == "check the credentials of [logs]"


@pytest.mark.parametrize("folder", [".artifacts/monitoring", ".cursor/context-kit"])
async def test_a_folder_that_cannot_be_written_fails(tmp_path: Path, folder: str) -> None:
    """Both folders are proved by writing a file there; a file in their place is no folder. (P18 P19)"""
    place = tmp_path / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")

    result = await prerequisites.run(context(tmp_path))

    assert verdicts(result)[f"prerequisites.writable:{folder}/"] == "failed"


async def test_the_write_test_leaves_nothing_behind(tmp_path: Path) -> None:
    """After the test both folders are there and empty. (P18 P19)"""
    await prerequisites.run(context(tmp_path))
    assert list((tmp_path / ".artifacts" / "monitoring").iterdir()) == []
    assert list((tmp_path / ".cursor" / "context-kit").iterdir()) == []


@pytest.mark.parametrize("role", ["release-manager", "sre-lead", "security"])
async def test_each_approval_is_needed(tmp_path: Path, role: str) -> None:
    """A no of the Release Manager, the SRE lead or Security fails, with the reason given. (P8 P9 P10)"""
    answers = {**YES, f"approve-{role}": {"answer": "no", "reason": "canary still burning"}}
    result = await prerequisites.run(context(tmp_path, answers=answers))

    assert bad(result) == {f"prerequisites.approval:{role}": "failed"}
    assert "canary still burning" in actual(result, f"prerequisites.approval:{role}")


async def test_security_is_not_asked_without_a_regulated_service(tmp_path: Path) -> None:
    """Only regulated services need the third approval. (P10)"""
    services = [{**row, "regulated": False} for row in papers.VALIDATION["services"]]
    papers.write(tmp_path, validation=papers.changed(papers.VALIDATION, services=services))
    config = a_config(services={"payments": {"regulated": False}})

    run = context(tmp_path, write=False, config=config)
    result = await prerequisites.run(run)

    assert "prerequisites.approval:security" not in verdicts(result)
    assert result.verdict is Verdict.PASSED


async def test_a_service_that_the_papers_call_regulated_needs_security(tmp_path: Path) -> None:
    """The papers alone can make a service regulated. (P10)"""
    run = context(tmp_path, config=a_config(services={"payments": {"regulated": False}}))
    await prerequisites.run(run)
    assert ("security",) in [question.roles for question in run.asked]


async def test_an_approval_says_what_it_is_of(tmp_path: Path) -> None:
    """The question carries role, subject, digest, release and configuration, for signing and for 4.2."""
    run = context(tmp_path)
    await prerequisites.run(run)

    data = run.asked[0].data
    assert data["subject"] == f"production deployment of {RELEASE} completed"
    assert len(data["sha256"]) == 64
    assert (data["release"], data["config_digest"]) == (RELEASE, run.config.digest())


def given(run: FakeContext, **changes: Any) -> f.ApprovalRecorded:
    return f.ApprovalRecorded(**{
        "role": "sre-lead", "person": "lee", "subject": "s", "release": RELEASE, "given_at": NOW,
        "config_digest": run.config.digest(), "expires_at": NOW + 60, **changes,
    })  # fmt: skip


async def test_a_valid_approval_is_not_asked_for_again(tmp_path: Path) -> None:
    """An approval of this release and configuration that has not expired stands."""
    run = context(tmp_path)
    run.apply(given(run))
    await prerequisites.run(run)
    assert ("sre-lead",) not in [question.roles for question in run.asked]


@pytest.mark.parametrize("change", [{"release": "checkout-v2.4.0"}, {"expires_at": NOW - 1}, {"config_digest": "old"}])
async def test_an_approval_of_something_else_is_asked_for_again(tmp_path: Path, change: dict[str, Any]) -> None:
    """Another release, an expired one or another configuration does not spare the question."""
    run = context(tmp_path)
    run.apply(given(run, **change))
    await prerequisites.run(run)
    assert ("sre-lead",) in [question.roles for question in run.asked]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"release": "checkout-v2.4.0"}, "outdated: lee approved release checkout-v2.4.0, not checkout-v2.4.1"),
        ({"expires_at": NOW - 1}, "outdated: lee's approval expired (2026-11-22)"),
        ({"config_digest": "old"}, "outdated: thresholds or configuration changed since lee approved"),
    ],
)
async def test_an_answer_that_brings_a_stale_approval_authorises_nothing(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """A yes given for another release or configuration, or long ago, blocks before anything is changed. (P9)"""
    stale = {"answer": "yes", "person": "lee", **change}
    result = await prerequisites.run(context(tmp_path, answers={**YES, "approve-sre-lead": stale}))

    assert bad(result) == {"prerequisites.approval:sre-lead": "failed"}
    assert actual(result, "prerequisites.approval:sre-lead") == said


async def test_a_waived_system_does_not_keep_people_from_being_asked(tmp_path: Path) -> None:
    """When what fails is waived, the next attempt goes on to the approvals."""
    ports = all_ports(metrics=metrics(), chat=None)
    run = context(tmp_path, ports=ports)
    first = await prerequisites.run(run)
    assert run.asked == []
    slack = next(one for one in first.criteria if one.id == "prerequisites.system:chat")
    run.apply(
        f.Waived(
            id="w1", criterion=slack.id, step="prerequisites", reason="no Slack in this team", operator="mira",
            approver="lee", expires_at=NOW + 60, evidence_sha256=criterion_digest(slack),
        )
    )  # fmt: skip

    second = await prerequisites.run(run)

    assert bad(second) == {"prerequisites.system:chat": "failed"}
    assert len(run.asked) == 3


async def test_a_busy_system_does_not_hide_the_others(tmp_path: Path) -> None:
    """Every system is probed, whatever the first one says."""
    clock = FakeClock()
    ports = all_ports(clock, metrics=InMemoryMetrics(trouble=BackendBusy("metrics", "503", status=503)))
    result = await prerequisites.run(context(tmp_path, ports=ports))

    assert verdicts(result)["prerequisites.system:metrics"] == "error"
    assert verdicts(result)["prerequisites.system:mail"] == "passed"
