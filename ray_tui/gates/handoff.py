"""Gate 4: the package is complete and intact, that very package is approved, and the next protocols were told."""

from collections.abc import Mapping
from typing import Any

from ray_tui.clock import iso
from ray_tui.config import parse_time
from ray_tui.core import declining, plan
from ray_tui.core.policy import Thresholds
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence.package import LIVING
from ray_tui.gates import twins
from ray_tui.gates.settled import Settled

RULE_VERSION = "2"
MANIFEST, RECORD, NOTIFICATIONS = (
    "monitoring-package-manifest.json", "monitoring-approval-record.json", "handoff-notifications.json",
)  # fmt: skip
ZIP = "MONITORING-PACKAGE.zip"
WAIVERS, REQUIREMENTS = "waivers.json", "monitoring-requirements.json"
ROLES = ("release-manager", "sre-lead")
"""Whose approval every package needs; a regulated service adds security."""

Inputs = Mapping[str, Mapping[str, Any]]


def judge(inputs: Inputs, thresholds: Thresholds, now: float) -> tuple[Criterion, ...]:
    """Fails closed on whatever is absent or malformed."""
    return (
        _complete(inputs, thresholds, now),
        _intact(inputs),
        _current(inputs),
        _approved(inputs, now),
        _same_package(inputs),
        _notified(inputs),
        *_recorded(inputs, now),
    )


def _complete(inputs: Inputs, thresholds: Thresholds, now: float) -> Criterion:
    files = inputs.get(MANIFEST, {}).get("files")
    if not isinstance(files, list):
        return _criterion(
            "complete", "Manifest complete", Verdict.FAILED, f"{MANIFEST} is missing or malformed", MANIFEST
        )
    present = {str(one.get("name")) for one in files if isinstance(one, dict)}
    names = _wanted(inputs, now)
    missing = sorted(name for name in names if name not in present)
    required = [name for name in missing if names[name]]
    share = 1 - len(missing) / len(names)
    good = not required and share >= thresholds.manifest_completeness
    actual = f"{share:.0%} of {len(names)} items" + (f"; missing: {', '.join(missing)}" if missing else "")
    return _criterion(
        "complete", "Manifest complete", Verdict.PASSED if good else Verdict.FAILED, actual, MANIFEST,
        required=f"every required item, ≥ {thresholds.manifest_completeness:.0%} of all",
    )  # fmt: skip


def _wanted(inputs: Inputs, now: float) -> dict[str, bool]:
    """Name -> whether it is required, of what phases 1–3 owe.

    A guideline action that was declined owes nothing, unless another protocol waits for its output and no waiver runs.
    """
    body = inputs.get(WAIVERS, {}).get("body")
    rows = body.get("declined") if isinstance(body, dict) else None
    declined = rows if isinstance(rows, dict) else {}
    settled = Settled.read(inputs.get(WAIVERS), now)
    left_out = {
        action.id for action in plan.ACTIONS
        if action.id in declined and not action.must
        and (not declining.owed(action.id)
             or settled.put_off(declining.criterion(action.id, str(declined[action.id])), action.id))
    }  # fmt: skip
    return {
        name: artifact.required
        for phase in plan.PHASES[:3]
        for action in phase.actions
        if action.id not in left_out
        for artifact in action.artifacts
        for name in (artifact.name, artifact.twin)
        if name
    }


def _intact(inputs: Inputs) -> Criterion:
    """The loader of gate inputs reads the zip and verifies it; here its report is judged."""
    report = inputs.get(ZIP, {})
    if not report:
        return _criterion("intact", "Package intact", Verdict.FAILED, f"{ZIP} is missing", ZIP)
    good = report.get("ok") is True
    actual = f"sha256 {str(report.get('sha256'))[:16]}…" if good else str(report.get("detail") or "does not verify")
    return _criterion("intact", "Package intact", Verdict.PASSED if good else Verdict.FAILED, actual, ZIP)


def _current(inputs: Inputs) -> Criterion:
    """A step that was run again has left other evidence than what was packed and approved."""
    differs = inputs.get(ZIP, {}).get("differs")
    stale = [f"{MANIFEST} could not be compared with the evidence"]
    if isinstance(differs, Mapping):
        stale = [f"{name} is {how}" for name, how in sorted(differs.items()) if name not in LIVING]
    return Criterion(
        id="handoff.current", title="The package holds the evidence as it is",
        verdict=Verdict.FAILED if stale else Verdict.PASSED,
        actual="; ".join(stale) or "every file as it was packed", required="the hashes of the manifest",
        evidence=(MANIFEST,), waivable=False,
        remedy="Run 4.1 again: the package is built anew, and approved anew at 4.2." if stale else "",
    )  # fmt: skip


def _approved(inputs: Inputs, now: float) -> Criterion:
    record = inputs.get(RECORD, {})
    body = record.get("body")
    if not isinstance(body, dict) or not isinstance(body.get("approvals"), list):
        return _criterion("approved", "Approvals captured", Verdict.FAILED, f"{RECORD} is missing or malformed", RECORD)
    roles = body.get("required_roles")
    owed = [*ROLES, *(["security"] if _regulated(inputs) else [])]
    if not isinstance(roles, list) or not set(owed) <= {role for role in roles if isinstance(role, str)}:
        actual = f"the record does not require {', '.join(owed)}"
        return _criterion("approved", "Approvals captured", Verdict.FAILED, actual, RECORD)
    problems = [_role_problem(str(role), body, record, now) for role in roles]
    bad = [problem for problem in problems if problem]
    captured = f"{len(roles) - len(bad)} of {len(roles)}"
    return _criterion(
        "approved", "Approvals captured", Verdict.FAILED if bad else Verdict.PASSED,
        captured + (f"; {'; '.join(bad)}" if bad else ""), RECORD, required="100%, none outdated",
    )  # fmt: skip


def _regulated(inputs: Inputs) -> bool:
    """Whether the release's papers name a regulated service, whatever the approval record says."""
    body = inputs.get(REQUIREMENTS, {}).get("body")
    rows = body.get("services") if isinstance(body, dict) else None
    return any(
        isinstance(row, dict) and row.get("regulated") is True for row in (rows if isinstance(rows, list) else ())
    )


def _recorded(inputs: Inputs, now: float) -> tuple[Criterion, ...]:
    """What 4.2 held against itself and nobody waived there: an empty rota, an approval that was refused."""
    record = inputs.get(RECORD, {})
    if not record:
        return ()
    try:
        found = twins.criteria_of(record.get("criteria"))
    except ValueError:
        found = []
    if not found:
        actual = f"{RECORD} records no criteria"
        return (_criterion("recorded", "Approval record judged", Verdict.ERROR, actual, RECORD),)
    return tuple(Settled.read(inputs.get(WAIVERS), now).recorded(found, "4.2"))


def _role_problem(role: str, body: Mapping[str, Any], record: Mapping[str, Any], now: float) -> str:
    given = [one for one in body["approvals"] if isinstance(one, dict) and one.get("role") == role]
    if not given:
        return f"{role} missing"
    latest = given[-1]
    if not latest.get("release") or latest.get("release") != record.get("release"):
        return f"{role} outdated: for release {latest.get('release')}"
    if not latest.get("config_digest") or latest.get("config_digest") != body.get("config_digest"):
        return f"{role} outdated: configuration changed since"
    try:
        expires = parse_time(str(latest.get("expires_at")))
    except (ValueError, OverflowError):
        return f"{role} has no expiry"
    return f"{role} outdated: expired {iso(expires)[:10]}" if expires <= now else ""


def _same_package(inputs: Inputs) -> Criterion:
    record, manifest, report = inputs.get(RECORD, {}), inputs.get(MANIFEST, {}), inputs.get(ZIP, {})
    body = record.get("body") if isinstance(record.get("body"), dict) else {}
    zipped = manifest.get("zip") if isinstance(manifest.get("zip"), dict) else {}
    hashes = [str((body or {}).get("package_sha256") or ""), str((zipped or {}).get("sha256") or ""),
              str(report.get("sha256") or "")]  # fmt: skip
    approvals = (body or {}).get("approvals")
    signed = any(
        isinstance(one, dict) and one.get("role") == "sre-lead" and one.get("subject_sha256") == hashes[0]
        for one in (approvals if isinstance(approvals, list) else [])
    )
    header = manifest.get("header") if isinstance(manifest.get("header"), dict) else {}
    releases = {str((header or {}).get("release") or ""), str(record.get("release") or "")}
    good = bool(hashes[0]) and len(set(hashes)) == 1 and signed and len(releases) == 1 and "" not in releases
    shown = ", ".join(
        f"{name} {value[:12] or 'none'}" for name, value in zip(("approved", "manifest", "zip"), hashes, strict=True)
    )
    if len(releases) > 1:
        shown += f"; releases {', '.join(sorted(one or 'none' for one in releases))}"
    return _criterion(
        "same_package", "The approved package is this one", Verdict.PASSED if good else Verdict.FAILED, shown, RECORD
    )


def _notified(inputs: Inputs) -> Criterion:
    body = inputs.get(NOTIFICATIONS, {}).get("body")
    told = body.get("notifications") if isinstance(body, dict) else None
    if not isinstance(told, list):
        return _criterion(
            "notified", "Downstream protocols notified", Verdict.FAILED, f"{NOTIFICATIONS} is missing", NOTIFICATIONS
        )
    sha = str(inputs.get(ZIP, {}).get("sha256") or "")
    good = {
        str(one.get("protocol")) for one in told
        if isinstance(one, dict) and one.get("ok") is True and sha and one.get("package_sha256") == sha
    }  # fmt: skip
    left = [protocol for protocol in plan.OUTPUTS if protocol not in good]
    actual = f"not told of this package: {', '.join(left)}" if left else f"protocols {', '.join(plan.OUTPUTS)}"
    verdict = Verdict.FAILED if left else Verdict.PASSED
    return _criterion("notified", "Downstream protocols notified", verdict, actual, NOTIFICATIONS)


def _criterion(name: str, title: str, verdict: Verdict, actual: str, evidence: str, *, required: str = "") -> Criterion:
    return Criterion(
        id=f"handoff.{name}", title=title, verdict=verdict, actual=actual, required=required, evidence=(evidence,),
        remedy=plan.gate("handoff").required_action, waivable=name != "intact",
    )  # fmt: skip
