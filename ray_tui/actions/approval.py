"""4.2 Record approval and ownership: who approves exactly this package, who is on call for it, and from when."""

from collections.abc import Mapping
from typing import Any

from ray_tui.actions import services
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.approvals import outdated
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import OnCall
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Ask, Context, Header, Result

RECORD = "monitoring-approval-record.json"


async def run(context: Context) -> Result:
    """Ask the SRE lead to approve the sealed package, then judge every approval that this run stands on."""
    sealed = context.state.package
    if sealed is None:
        missing = Criterion(
            id="approval.package", title="A sealed package to approve", verdict=Verdict.FAILED,
            actual="no package was sealed", waivable=False, remedy="Run 4.1 first.",
        )  # fmt: skip
        return Result("nothing to approve", (missing,), {})
    answer = await context.ask(_question(context, sealed))
    owners, problem = await _owners(context)
    regulated = any(facts.regulated for facts in services.effective_services(context.config, context.state).values())
    roles = ("release-manager", "sre-lead", *(("security",) if regulated else ()))
    criteria = [
        _approved(context, sealed, answer),
        *(_current(context, role) for role in roles),
        _owned(owners, problem),
    ]
    effective = max((a.effective_at or a.given_at for a in context.state.approvals), default=context.now())
    return Result(
        summary=f"approved by {answer.person}" if answer.answer == "yes" else f"{answer.person} did not approve",
        criteria=tuple(criteria),
        data={
            "package_sha256": sealed.sha256,
            "manifest_sha256": sealed.manifest_sha256,
            "journal_head": sealed.journal_head,
            "through_seq": sealed.through_seq,
            "effective_date": iso(effective),
            "config_digest": context.config.digest(),
            "thresholds": context.config.thresholds.model_dump(mode="json"),
            "approvals": [_as_json(approval) for approval in context.state.approvals],
            "required_roles": list(roles),
            "owners": owners,
        },
    )


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """The record is JSON, written by the engine from ``data``."""
    return {}


def _question(context: Context, sealed: f.PackageSealed) -> Ask:
    opened = context.state.opened
    assert opened is not None
    thresholds = context.config.thresholds
    return Ask(
        "package",
        "approve",
        f"Approve the monitoring package of {opened.release}?",
        f"You approve exactly this package: sha256 {sealed.sha256}, {sealed.files} files, release {opened.release} in "
        f"{opened.environment}.\nThresholds: coverage {thresholds.coverage:.0%}, acknowledgement within "
        f"{thresholds.ack_sla_seconds:g} s, dashboards {thresholds.dashboard_score:g}.",
        roles=("sre-lead",),
        data={
            "role": "sre-lead",
            "subject": f"monitoring package of {opened.release}",
            "sha256": sealed.sha256,
            "release": opened.release,
            "config_digest": context.config.digest(),
        },
    )


def _approved(context: Context, sealed: f.PackageSealed, answer: f.PromptAnswered) -> Criterion:
    mine = [a for a in context.state.approvals if a.subject_sha256 == sealed.sha256 and a.role == "sre-lead"]
    given = answer.answer == "yes" and bool(mine)
    said = f"{mine[-1].person} approved ({mine[-1].assurance})" if given else f"{answer.person} said {answer.answer}"
    return Criterion(
        id="approval.package",
        title="SRE approval of this package",
        verdict=Verdict.PASSED if given else Verdict.FAILED,
        actual=said + (f": {answer.reason}" if answer.reason and not given else ""),
        required=f"sre-lead approves sha256 {sealed.sha256[:16]}…",
        evidence=(RECORD,),
        waivable=False,
        remedy="Retry when the SRE lead is ready to approve.",
    )


def _current(context: Context, role: str) -> Criterion:
    """Missing, expired, for another release, or given for another configuration: outdated."""
    opened = context.state.opened
    assert opened is not None
    given = [approval for approval in context.state.approvals if approval.role == role]
    why = "missing"
    if given:
        why = outdated(given[-1], opened.release, context.config.digest(), context.now())
    latest = given[-1] if given else None
    return Criterion(
        id=f"approval.current:{role}",
        title=f"Approval as {role} is current",
        verdict=Verdict.FAILED if why else Verdict.PASSED,
        actual=why or f"{latest.person} ({latest.assurance}), until {iso(latest.expires_at or 0.0)[:10]}"
        if latest
        else why,
        required="for this release and configuration, not expired",
        evidence=(RECORD,),
        remedy="Have it approved again: rerun the prerequisites, or retry after the new approval.",
    )


async def _owners(context: Context) -> tuple[list[dict[str, Any]], str]:
    """Who is on call for each owner, from the paging system or else the configuration; and what went wrong."""
    on_call: tuple[OnCall, ...] = ()
    problem = ""
    if context.ports.paging is not None:
        try:
            on_call = await context.ports.paging.on_call()
        except BackendError as exc:
            problem = str(exc)
    owners = []
    for name, owner in sorted(context.config.owners.items()):
        called = [one for one in on_call if owner.policy and one.policy_id == owner.policy]
        people = [
            {
                "name": one.user,
                "level": one.level,
                "until": iso(one.until) if one.until else "permanent",
                "from": "paging",
            }
            for one in sorted(called, key=lambda one: (one.level, one.user))
        ]
        if not people and not (owner.policy and context.ports.paging is not None):
            # Only where no rota is asked: an empty rota must not look as if the people of the team were on call.
            people = [
                {"name": person, "level": 1, "until": "permanent", "from": "configuration"} for person in owner.people
            ]
        owners.append({"owner": name, "policy": owner.policy, "on_call": people})
    return owners, problem


def _owned(owners: list[dict[str, Any]], problem: str) -> Criterion:
    empty = [owner["owner"] for owner in owners if not owner["on_call"]]
    if problem:
        verdict, actual = Verdict.ERROR, problem
    elif not owners:
        verdict, actual = Verdict.INCONCLUSIVE, "no [owners] are configured"
    else:
        verdict = Verdict.FAILED if empty else Verdict.PASSED
        actual = f"nobody on call: {', '.join(empty)}" if empty else f"{len(owners)} owners with somebody on call"
    return Criterion(
        id="approval.owners", title="On-call owners recorded", verdict=verdict, actual=actual,
        required="somebody on call for every owner", evidence=(RECORD,), remedy="Fill the rota, then retry.",
    )  # fmt: skip


def _as_json(approval: f.ApprovalRecorded) -> dict[str, Any]:
    shown = approval.to_json()
    for key in ("given_at", "effective_at", "expires_at"):
        shown[key] = iso(shown[key]) if shown[key] is not None else None
    return shown
