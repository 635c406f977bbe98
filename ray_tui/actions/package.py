"""4.1 Deliver the monitoring package: seal the evidence and the journal, read it back, tell the next protocols."""

import hashlib
from collections.abc import Mapping
from typing import Any

from ray_tui.actions import telling
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.errors import EvidenceError
from ray_tui.core.rules import effective
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import index, package, records, text, verify
from ray_tui.step import Context, Header, Result

ZIP = package.ZIP_NAME
MANIFEST = "monitoring-package-manifest.json"
NOTIFICATIONS = "handoff-notifications.json"


async def run(context: Context) -> Result:
    """Build, verify, seal, notify. Halts when the package is incomplete or does not verify."""
    sealed = _sealed_already(context)
    if sealed is None:
        await _write_books(context)
        sealed = await _seal(context)
    archive, outer = context.evidence(ZIP) or b"", context.evidence(MANIFEST) or b""
    listed = _listed(outer)
    completeness = package.completeness(wanted(context.state), {str(one.get("name")) for one in listed})
    judged = package.judge(completeness, context.config.thresholds.manifest_completeness)
    criteria = [*judged, _unchanged(context.state, listed), _intact(archive, outer)]
    # A waiver of this very finding, given at an earlier attempt, lets the next protocols be told.
    now = context.now()
    if all(effective(context.state, context.step, criterion, now).lets_go_on for criterion in criteria):
        criteria += await _notify_all(context, sealed)
    return Result(
        summary=f"{sealed.files} files, {sealed.size} bytes, sha256 {sealed.sha256[:16]}",
        criteria=tuple(criteria),
        data={
            "sha256": sealed.sha256,
            "size": sealed.size,
            "through_seq": sealed.through_seq,
            "journal_head": sealed.journal_head,
            "manifest_sha256": sealed.manifest_sha256,
            "files": listed,
            "notified": {protocol: told.ok for protocol, told in sorted(context.state.notified.items())},
        },
    )


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """The package's files are written by the action itself; there is no Markdown."""
    return {}


def wanted(state: RunState) -> list[package.Wanted]:
    """Every file that the package ought to hold: the artifacts of phases 1–3 with their twins, and the run's books.

    A guideline action that was declined, with its reason, owes nothing.
    """
    names: dict[str, bool] = {}
    for phase in plan.PHASES[:3]:
        for action in phase.actions:
            if action.id in state.declined:
                continue
            for artifact in action.artifacts:
                for name in filter(None, (artifact.name, artifact.twin)):
                    names[name] = artifact.required
    names |= dict.fromkeys((*package.BOOKS, package.JOURNAL), True)
    return [package.Wanted(name, required) for name, required in sorted(names.items())]


def _sealed_already(context: Context) -> f.PackageSealed | None:
    """The package that this very attempt sealed before its host died: sealing again would give another hash."""
    sealed = context.state.package
    if not context.resumed or sealed is None or sealed.through_seq < context.state.steps[context.step].seq:
        return None  # nothing sealed, or by an earlier attempt: the evidence has changed since
    found = [hashlib.sha256(context.evidence(name) or b"").hexdigest() for name in (ZIP, MANIFEST)]
    return sealed if found == [sealed.sha256, sealed.manifest_sha256] else None


async def _write_books(context: Context) -> None:
    as_json, as_markdown = records.backlog(context.state)
    books = (records.waivers(context.state), records.communication_log(context.state), as_json, as_markdown)
    for name, data in zip(package.BOOKS, books, strict=True):
        await context.publish(name, data)


async def _seal(context: Context) -> f.PackageSealed:
    state, opened = context.state, context.state.opened
    assert opened is not None
    required = {want.name: want.required for want in wanted(state)}
    items = []
    for name, written in sorted(state.evidence.items()):
        data = context.evidence(name)
        if name in (ZIP, MANIFEST, NOTIFICATIONS, "monitoring-approval-record.json") or data is None:
            continue
        items.append(package.Item(name, data, written.step, required.get(name, False), index.media_type(name)))
    journal = await context.journal()
    items.append(package.Item(package.JOURNAL, journal.data, context.step, True, index.media_type(package.JOURNAL)))
    header = {
        "run_id": opened.run_id,
        "release": opened.release,
        "environment": opened.environment,
        "demo": opened.demo,
        "through_seq": journal.seq,
        "journal_head": journal.head,
    }
    archive, outer = package.build(items, header)
    manifest = text.dumps(outer)
    await context.publish(ZIP, archive)
    await context.publish(MANIFEST, manifest)
    sealed = f.PackageSealed(
        sha256=hashlib.sha256(archive).hexdigest(),
        size=len(archive),
        through_seq=journal.seq,
        journal_head=journal.head,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        files=len(items),
    )
    await context.record(sealed)
    return sealed


def _listed(outer: bytes) -> list[dict[str, Any]]:
    """The files that the outer manifest lists; none where it is not of that form (then it does not verify either)."""
    try:
        found = text.loads(outer, MANIFEST)
    except EvidenceError:
        return []
    rows = found.get("files") if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _unchanged(state: RunState, listed: list[dict[str, Any]]) -> Criterion:
    """What is packed is what the actions wrote: the journal knows each file's hash from when it was written."""
    packed = {str(one.get("name")): str(one.get("sha256")) for one in listed}
    changed = sorted(
        name for name, written in state.evidence.items() if name in packed and packed[name] != written.sha256
    )
    return Criterion(
        id="package.unchanged",
        title="Evidence is as it was written",
        verdict=Verdict.FAILED if changed else Verdict.PASSED if packed else Verdict.INCONCLUSIVE,
        actual=f"changed on disk since: {', '.join(changed)}" if changed else f"{len(packed)} files",
        required="the hashes that the journal recorded",
        evidence=(MANIFEST,),
        waivable=False,
        remedy="Run the step that writes it again, then retry." if changed else "",
    )


def _intact(archive: bytes, outer: bytes) -> Criterion:
    report = verify.verify_zip(archive, outer)
    return Criterion(
        id="package.intact",
        title="Package read back and verified",
        verdict=Verdict.PASSED if report.ok else Verdict.FAILED,
        actual=f"{len(report.files)} files, every hash as in the manifest" if report.ok else "; ".join(report.details),
        required="every file, hash and the journal's chain as sealed",
        evidence=(ZIP, MANIFEST),
        waivable=False,
        remedy="Retry: the package is built again from the evidence.",
    )


async def _notify_all(context: Context, sealed: f.PackageSealed) -> list[Criterion]:
    criteria = [await _notify(context, protocol, names, sealed) for protocol, names in plan.OUTPUTS.items()]
    told = [fact.to_json() for _, fact in sorted(context.state.notified.items())]
    body = {"package_sha256": sealed.sha256, "notifications": told}
    await context.publish(NOTIFICATIONS, records.twin(NOTIFICATIONS, context.state, context.step, body))
    return criteria


async def _notify(context: Context, protocol: str, names: tuple[str, ...], sealed: f.PackageSealed) -> Criterion:
    """Tell one protocol's owner of one package, once: told already means not again."""
    before = context.state.notified.get(protocol)
    if before is None or not before.ok or before.package_sha256 != sealed.sha256:
        before = await _tell(context, protocol, names, sealed)
    unknown = telling.is_unknown(context, _intent_name(protocol, sealed))
    remedy = f"Repair [notify.{protocol}], then retry."
    if unknown:
        remedy = f"Ask the owner of protocol {protocol} whether it came, and waive this; or retry: they are told anew."
    return Criterion(
        id=f"handoff.notified:{protocol}",
        title=f"Protocol {protocol} notified",
        verdict=Verdict.PASSED if before.ok else Verdict.INCONCLUSIVE if unknown else Verdict.FAILED,
        actual=f"by {before.channel}, reference {before.reference}" if before.ok else before.detail,
        required="a reference from the channel",
        evidence=(NOTIFICATIONS,),
        remedy=remedy,
    )


def _intent_name(protocol: str, sealed: f.PackageSealed) -> str:
    return f"notify-{protocol}-{sealed.sha256[:12]}"


async def _tell(context: Context, protocol: str, names: tuple[str, ...], sealed: f.PackageSealed) -> f.HandoffNotified:
    notifier = context.ports.notifiers.get(protocol)
    if notifier is None:
        told = f.HandoffNotified(
            protocol=protocol, channel="none", ok=False, detail=f"[notify.{protocol}] is not configured",
            package_sha256=sealed.sha256,
        )  # fmt: skip
        await context.record(told)
        return told
    opened = context.state.opened
    assert opened is not None
    token = f"{opened.run_id}-p{protocol}-{sealed.sha256[:12]}"
    subject = f"Monitoring package of {opened.release} in {opened.environment} is ready"

    def body(at: float) -> str:
        return (
            f"{subject}.\nFor protocol {protocol}: {', '.join(names)}.\nPackage sha256 {sealed.sha256}.\n"
            f"Run {opened.run_id}, {iso(at)}. Reference {token}.\n"
        )

    what = f"tell protocol {protocol} of the package"
    message = telling.Message(_intent_name(protocol, sealed), what, subject, token, body)
    found = await telling.tell(context, notifier, message)
    told = f.HandoffNotified(
        protocol=protocol, channel=notifier.name, ok=found.outcome == "done", reference=found.reference,
        detail=found.detail, package_sha256=sealed.sha256,
    )  # fmt: skip
    await context.record(told)
    return told
