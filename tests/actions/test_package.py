"""4.1: the package holds what was found, verifies, and the next protocols are told of exactly it."""

import asyncio
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import package
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError, BackendRefused, BackendTimeout, BackendUnreachable
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Verdict
from ray_tui.evidence import verify
from tests.actions.sealed import FiledContext
from tests.fakes import InMemoryNotifier, actual, all_ports, verdicts


@pytest.fixture
async def context(tmp_path: Path) -> FiledContext:
    made = FiledContext(tmp_path, ports=all_ports(), step="4.1")
    await made.file_everything()
    return made


def names(context: FiledContext) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(context.evidence("MONITORING-PACKAGE.zip") or b"")).namelist())


async def test_the_package_holds_evidence_books_and_journal_and_verifies(context: FiledContext) -> None:
    """Everything of phases 1 to 3, the run's books and the journal through N are in it. (P61 P65)"""
    result = await package.run(context)

    assert result.verdict is Verdict.PASSED
    assert {"alert-test-results.json", "journal.jsonl", "waivers.json", "improvement-backlog.json"} <= names(context)
    outer = context.evidence("monitoring-package-manifest.json") or b""
    assert verify.verify_zip(context.evidence("MONITORING-PACKAGE.zip") or b"", outer).ok
    row = next(one for one in json.loads(outer)["files"] if one["name"] == "alert-test-results.json")
    assert row == {
        "name": "alert-test-results.json", "sha256": hashlib.sha256(b"{}\n").hexdigest(), "size": 3, "action": "2.2",
        "required": True, "media_type": row["media_type"],
    }  # fmt: skip
    assert package.documents(result.data, None) == {}  # type: ignore[arg-type]


async def test_every_downstream_protocol_is_told_of_this_package(context: FiledContext) -> None:
    """20, 21 and 22 get the hash, each once, with a reference of the channel. (P71 P72 P73)"""
    result = await package.run(context)

    told = {protocol: notifier.sent for protocol, notifier in context.ports.notifiers.items()}  # type: ignore[attr-defined]
    assert {protocol: len(messages) for protocol, messages in told.items()} == {"20": 1, "21": 1, "22": 1}
    assert result.data["sha256"] in told["20"][0][1]
    assert "baseline-metrics.json" in told["21"][0][1]
    body = json.loads(context.evidence("handoff-notifications.json") or b"")["body"]
    assert {one["protocol"]: one["ok"] for one in body["notifications"]} == {"20": True, "21": True, "22": True}


async def test_a_missing_required_item_halts_and_nobody_is_told(tmp_path: Path) -> None:
    """Without the alert results the package is incomplete. (P63)"""
    context = FiledContext(tmp_path, ports=all_ports(), step="4.1")
    await context.file_everything(but=("alert-test-results.json",))

    result = await package.run(context)

    assert verdicts(result)["package.required"] == "failed"
    assert "alert-test-results.json" in actual(result, "package.required")
    assert context.of_kind(f.HandoffNotified) == []


async def test_evidence_that_vanished_from_disk_is_missing(context: FiledContext) -> None:
    """The journal says that it was written; the package cannot hold it all the same. (P63)"""
    (context.filed / "instrumentation-audit.json").unlink()

    result = await package.run(context)

    assert verdicts(result)["package.required"] == "failed"


async def test_evidence_that_was_changed_on_disk_halts(context: FiledContext) -> None:
    """What is packed must have the hash that the journal recorded when it was written. (P64)"""
    (context.filed / "instrumentation-audit.json").write_bytes(b'{"forged": true}\n')

    result = await package.run(context)

    assert verdicts(result)["package.unchanged"] == "failed"
    assert "instrumentation-audit.json" in actual(result, "package.unchanged")
    assert context.of_kind(f.HandoffNotified) == []


async def test_a_zip_that_is_damaged_when_it_is_read_back_halts(context: FiledContext) -> None:
    """One flipped bit between writing and reading back. (P64)"""
    publish = context.publish

    async def damaging(name: str, data: bytes, **more: Any) -> f.EvidenceWritten:
        fact = await publish(name, data, **more)
        if name == "MONITORING-PACKAGE.zip":
            (context.filed / name).write_bytes(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
        return fact

    context.publish = damaging  # type: ignore[method-assign]

    result = await package.run(context)

    assert verdicts(result)["package.intact"] == "failed"
    assert context.of_kind(f.HandoffNotified) == []


async def test_a_declined_guideline_owes_nothing(tmp_path: Path) -> None:
    """Runbooks declined with a reason: their artifact is neither missing nor counted."""
    context = FiledContext(tmp_path, ports=all_ports(), step="4.1")
    await context.file_everything(but=("runbook-updates.md", "runbook-updates.json"))
    context.apply(f.StepDeclined(step="2.3", reason="runbooks live in another system"))

    result = await package.run(context)

    assert verdicts(result)["package.completeness"] == "passed"


async def test_a_channel_that_refuses_fails_its_protocol_alone(context: FiledContext) -> None:
    """A refusal is named; a time-out is unknown, for the message may have arrived: a person must tell."""
    notifiers: dict[str, Any] = {**context.ports.notifiers}
    notifiers["21"] = InMemoryNotifier("p21", trouble=BackendRefused("notifier", "403"))
    notifiers["22"] = InMemoryNotifier("p22", trouble=BackendTimeout("notifier", "15 s passed"))
    context.ports = all_ports(notifiers=notifiers)

    result = await package.run(context)

    found = verdicts(result)
    assert (found["handoff.notified:20"], found["handoff.notified:21"], found["handoff.notified:22"]) == (
        "passed", "failed", "inconclusive",
    )  # fmt: skip
    outcomes = {one.id.split("notify-")[1][:2]: one.outcome for one in context.of_kind(f.OutcomeRecorded)}
    assert outcomes == {"20": "done", "21": "failed", "22": "unknown"}
    assert "only a person can tell" in actual(result, "handoff.notified:22")


async def test_a_protocol_without_a_channel_fails(context: FiledContext) -> None:
    """Nobody configured: said so, not skipped."""
    context.ports = all_ports(notifiers={"20": InMemoryNotifier("p20")})

    result = await package.run(context)

    assert "not configured" in actual(result, "handoff.notified:21")


async def test_a_resumed_attempt_keeps_the_package_that_it_sealed(context: FiledContext) -> None:
    """After a crash between sealing and telling: the same zip, and nobody is told twice."""
    first = await package.run(context)
    context.resumed = True

    second = await package.run(context)

    assert second.data["sha256"] == first.data["sha256"]
    assert len(context.of_kind(f.PackageSealed)) == 1
    assert all(len(one.sent) == 1 for one in context.ports.notifiers.values())  # type: ignore[attr-defined]


class DyingNotifier(InMemoryNotifier):
    """Its host dies around the first send; what it was told can be looked up or not, as ``lookup`` says."""

    lookup: BackendError | None = None
    dies = True

    async def notify(self, subject: str, text: str, token: str) -> str:
        if self.dies:
            self.dies = False
            raise asyncio.CancelledError
        return await super().notify(subject, text, token)

    async def told(self, token: str, since: float) -> str | None:
        if self.lookup is not None:
            raise self.lookup
        return await super().told(token, since)


@pytest.mark.parametrize("lookup", [None, BackendUnreachable("chat", "refused")])
async def test_what_cannot_be_looked_up_is_not_sent_again(context: FiledContext, lookup: BackendError | None) -> None:
    """After a crash around the send: sent where it is certainly not there, left to a person where nobody can say."""
    dying = DyingNotifier("p20")
    dying.lookup = lookup
    context.ports = all_ports(notifiers={**context.ports.notifiers, "20": dying})
    with pytest.raises(asyncio.CancelledError):
        await package.run(context)
    context.resumed = True

    result = await package.run(context)

    unknown = lookup is not None
    assert len(dying.sent) == (0 if unknown else 1)
    assert verdicts(result)["handoff.notified:20"] == ("inconclusive" if unknown else "passed")
    assert ("only a person can tell" in actual(result, "handoff.notified:20")) is unknown
    assert verdicts(result)["handoff.notified:21"] == "passed"


async def test_a_resumed_retry_does_not_keep_the_package_of_an_earlier_attempt(context: FiledContext) -> None:
    """The evidence may have changed between two attempts: what was sealed before the retry began is not enough."""
    first = await package.run(context)
    context.apply(f.StepStarted(step="4.1", attempt=2))
    context.attempt, context.resumed = 2, True

    second = await package.run(context)

    assert second.data["sha256"] != first.data["sha256"]
    assert len(context.of_kind(f.PackageSealed)) == 2


async def test_a_waived_gap_in_the_package_lets_the_others_be_told(tmp_path: Path) -> None:
    """The waiver was given at the first attempt for the same finding; at the retry the next protocols hear of it."""
    context = FiledContext(tmp_path, ports=all_ports(), step="4.1")
    await context.file_everything(but=("runbook-updates.md", "runbook-updates.json"))
    first = await package.run(context)
    blocked = next(one for one in first.criteria if one.id == "package.completeness")
    assert blocked.verdict is Verdict.FAILED
    context.apply(
        f.Waived(
            id="W1", criterion=blocked.id, step="4.1", reason="runbooks follow next week", operator="mira",
            approver="tom", expires_at=context.now() + 86_400, evidence_sha256=criterion_digest(blocked),
        )
    )  # fmt: skip
    context.attempt = 2
    context.apply(f.StepStarted(step="4.1", attempt=2))

    second = await package.run(context)

    assert verdicts(second)["handoff.notified:20"] == "passed"
