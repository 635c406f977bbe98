"""4.2: this very package is approved, by current approvals, and somebody is on call for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ray_tui import prerequisites
from ray_tui.actions import approval
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendTimeout
from ray_tui.core.verdicts import Verdict
from tests import papers
from tests.fakes import NOW, FakeContext, InMemoryMetrics, InMemoryPaging, a_config, actual, all_ports, verdicts

SEALED = f.PackageSealed(
    sha256="a" * 64, size=10, through_seq=3, journal_head="b" * 64, manifest_sha256="c" * 64, files=9
)
DAY = 86_400.0


def given(role: str, person: str, **changes: Any) -> f.ApprovalRecorded:
    base: dict[str, Any] = {
        "role": role, "person": person, "subject": "release", "release": "checkout-v2.4.1",
        "config_digest": a_config().digest(), "given_at": NOW - DAY, "expires_at": NOW + 29 * DAY,
    }  # fmt: skip
    return f.ApprovalRecorded(**{**base, **changes})


def context(tmp_path: Path, answer: Any = "yes", *, rm: Mapping[str, Any] | None = None, **more: Any) -> FakeContext:
    facts = [given("release-manager", "tom", **(rm or {})), given("security", "priya"), SEALED]
    more.setdefault("ports", all_ports())
    return FakeContext(tmp_path, step="4.2", answers={"package": answer}, facts=facts, **more)


async def test_an_approval_names_the_package_its_owners_and_its_date(tmp_path: Path) -> None:
    """The record holds the hash, who is on call by level, and the effective date. (P66 P69)"""
    here = context(tmp_path)

    result = await approval.run(here)

    assert result.verdict is Verdict.PASSED
    assert result.data["package_sha256"] == "a" * 64
    assert result.data["effective_date"] == "2026-11-22T20:00:00.000Z"
    owners = {row["owner"]: [one["name"] for one in row["on_call"]] for row in result.data["owners"]}
    assert owners == {"checkout": ["Mira Okafor", "Tom Brandt"], "payments": ["Priya Nair", "Tom Brandt"]}
    assert here.asked[0].data["sha256"] == "a" * 64
    assert result.data["required_roles"] == ["release-manager", "sre-lead", "security"]


async def test_a_refused_approval_halts_and_cannot_be_waived(tmp_path: Path) -> None:
    """The SRE lead says no. (P68)"""
    result = await approval.run(context(tmp_path, {"answer": "no", "reason": "the rota is empty"}))

    refused = next(one for one in result.criteria if one.id == "approval.package")
    assert (refused.verdict, refused.waivable) == (Verdict.FAILED, False)
    assert "the rota is empty" in refused.actual


async def test_without_a_sealed_package_nobody_is_asked(tmp_path: Path) -> None:
    """There is nothing to approve."""
    here = FakeContext(tmp_path, ports=all_ports(), step="4.2", answers={})

    result = await approval.run(here)

    assert verdicts(result) == {"approval.package": "failed"}
    assert here.asked == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expires_at": NOW - 1}, "expired"),
        ({"expires_at": None}, "expired"),
        ({"release": "checkout-v2.4.0"}, "checkout-v2.4.0"),
        ({"config_digest": "another"}, "configuration changed"),
    ],
)
async def test_an_outdated_approval_halts(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Expired, for another release, or for other thresholds. (P68)"""
    result = await approval.run(context(tmp_path, rm=changes))

    assert verdicts(result)["approval.current:release-manager"] == "failed"
    assert said in actual(result, "approval.current:release-manager")


async def test_an_approval_that_expires_during_the_run_halts(tmp_path: Path) -> None:
    """It was current when the run began and let it go on; when the package is approved it has expired. (P68)"""
    papers.write(tmp_path)
    brief = {"answer": "yes", "person": "tom", "expires_at": NOW + 60}
    ports = all_ports(metrics=InMemoryMetrics().answer("count(probe_success)", 3.0))
    answers = {"approve-release-manager": brief, "approve-sre-lead": "yes", "approve-security": "yes", "package": "yes"}
    here = FakeContext(tmp_path, ports=ports, step="prerequisites", answers=answers)
    assert (await prerequisites.run(here)).verdict is Verdict.PASSED

    here.clock.advance(61)
    here.apply(SEALED)
    result = await approval.run(here)

    assert verdicts(result)["approval.current:release-manager"] == "failed"
    assert "tom's approval expired" in actual(result, "approval.current:release-manager")
    assert verdicts(result)["approval.current:security"] == "passed"


async def test_a_missing_approval_halts(tmp_path: Path) -> None:
    """Nobody approved as release manager. (P68)"""
    here = FakeContext(tmp_path, ports=all_ports(), step="4.2", answers={"package": "yes"}, facts=[SEALED])

    result = await approval.run(here)

    assert actual(result, "approval.current:release-manager") == "missing"
    assert actual(result, "approval.current:security") == "missing"


async def test_an_empty_rota_halts_although_the_team_has_people(tmp_path: Path) -> None:
    """The paging system says that nobody is on call: the configuration's people do not stand in."""
    ports = all_ports(paging=InMemoryPaging(duty=()))

    result = await approval.run(context(tmp_path, ports=ports))

    assert verdicts(result)["approval.owners"] == "failed"
    assert "checkout" in actual(result, "approval.owners")


async def test_without_a_paging_system_the_people_of_the_configuration_own_it(tmp_path: Path) -> None:
    """On-call owners come from the configuration where no rota can be asked. (P66)"""
    result = await approval.run(context(tmp_path, ports=all_ports(paging=None)))

    assert verdicts(result)["approval.owners"] == "passed"
    assert result.data["owners"][0]["on_call"][0]["from"] == "configuration"


async def test_a_paging_system_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    """Could not be asked is not a pass."""
    ports = all_ports(paging=InMemoryPaging(trouble=BackendTimeout("paging", "15 s passed")))

    result = await approval.run(context(tmp_path, ports=ports))

    assert verdicts(result)["approval.owners"] == "error"
