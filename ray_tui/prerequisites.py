"""What must stand before the protocol starts: the papers, the systems and folders, and three people's word."""

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray_tui.analysis import deployment_papers as papers
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.approvals import outdated
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.plan import APPROVAL_CRITERION, CONTEXT_KIT, INPUTS_REQUIRED, PREREQUISITES, STORE
from ray_tui.core.ports import Health, Probed
from ray_tui.core.rules import effective
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Ask, Context, Header, InputFolder, Result, criterion

OPTIONAL = ("baseline-metrics.json", "observability-baseline.md", "quality-audit-summary.json")
VALIDATION = "post-deployment-validation.json"
NO_CREDENTIALS = (401, 403)


async def run(context: Context) -> Result:
    """The papers, the live systems and the folders first; people are asked only when those let the run go on."""
    found, claims, warnings = await asyncio.to_thread(_artifacts, context)
    await context.progress("probing the monitoring stack and the alerting integrations")
    live = await _live(context)
    folders = [_folder(context, folder) for folder in (STORE, CONTEXT_KIT)]
    machine = [*found, *live, *folders]
    regulated = _regulated(context, claims)
    state, now = context.state, context.now()
    blocked = [one.title for one in machine if not effective(state, PREREQUISITES, one, now).lets_go_on]
    approvals = _not_asked(regulated, blocked) if blocked else await _approvals(context, claims, regulated)
    criteria = (*machine, *approvals)
    passed = sum(one.verdict is Verdict.PASSED for one in criteria)
    summary = f"{passed} of {len(criteria)} prerequisites met"
    if warnings:
        summary += f"; {'; '.join(warnings)}"
    return Result(summary, criteria, {"warnings": warnings, "regulated": sorted(regulated)})


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """None: the prerequisites leave no artifact of their own."""
    return {}


# --- papers ----------------------------------------------------------------------------------------------------------


def _artifacts(context: Context) -> tuple[list[Criterion], dict[str, papers.Claims], list[str]]:
    criteria: list[Criterion] = []
    claims: dict[str, papers.Claims] = {}
    for name in INPUTS_REQUIRED:
        judged, claimed = paper(context.config, context.inputs, name)
        criteria.append(judged)
        if claimed is not None:
            claims[name] = claimed
    return criteria, claims, [warning for name in OPTIONAL if (warning := _optional(context, name))]


def paper(config: Config, inputs: InputFolder, name: str) -> tuple[Criterion, papers.Claims | None]:
    """One required artifact judged, and what it claims where that can be read."""

    def judged(verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
        return criterion(
            f"prerequisites.artifact:{name}", f"Artifact {name}", verdict, actual,
            required=f"found once, readable, about {config.run.release}", remedy=remedy,
        )  # fmt: skip

    found = inputs.find(name)
    if not found:
        looked = ", ".join(config.paths.inputs)
        remedy = "let the protocol that writes it run, or add its folder to [paths] inputs"
        return judged(Verdict.FAILED, f"missing: not in {looked}", remedy), None
    if len(found) > 1:
        places = ", ".join(map(str, found))
        return judged(Verdict.FAILED, f"inconsistent: found {len(found)} times: {places}", "leave only one"), None
    try:
        claimed = papers.read(name, inputs.read(found[0], limit=papers.LARGEST), config.inputs.map)
    except InputError as exc:
        return judged(Verdict.FAILED, str(exc), "docs/inputs.md says what the file must hold"), None
    if claimed.release != config.run.release:
        actual = f"inconsistent: {claimed.release_source} is about release {claimed.release}"
        return judged(Verdict.FAILED, actual, "find this release's file, or run for that release"), None
    return judged(Verdict.PASSED, f"{found[0].name} is about {claimed.release}"), claimed


def _optional(context: Context, name: str) -> str:
    """A warning where an optional input cannot be used, else nothing."""
    found = context.inputs.find(name)
    if not found:
        return f"no {name}"
    if len(found) > 1 and name in papers.READERS:  # of baselines, 1.3 takes the published one
        return f"{name} is there {len(found)} times"
    try:
        data = context.inputs.read(found[0])
        if name in papers.READERS:
            papers.read(name, data, context.config.inputs.map)
        else:
            json.loads(data)
    except (InputError, ValueError, RecursionError) as exc:
        return str(exc) if isinstance(exc, InputError) else f"{name} is not JSON"
    return ""


# --- live systems ----------------------------------------------------------------------------------------------------


async def _live(context: Context) -> list[Criterion]:
    """One criterion a system, probed at the same time."""
    ports = context.ports
    probes: list[Awaitable[Criterion]] = [
        _system("metrics", "Metrics", ports.metrics),
        _system("logs", "Logs", ports.logs),
        _system("traces", "Traces", ports.traces),
        _synthetics(context),
        _paging(context),
        _system("chat", "Slack", ports.chat),
        _system("mail", "Email", ports.mail),
    ]
    return list(await asyncio.gather(*probes))


async def _system(key: str, title: str, port: Probed | None) -> Criterion:
    if port is None:
        return _unconfigured(key, title)
    return await _judged(key, title, port.health)


def _unconfigured(key: str, title: str, table: str = "") -> Criterion:
    table = table or key
    return criterion(
        f"prerequisites.system:{key}", f"{title} reachable", Verdict.FAILED, "not configured",
        required="reachable with test credentials", remedy=f"add [{table}] to the configuration, or waive it",
    )  # fmt: skip


async def _judged(key: str, title: str, probe: Callable[[], Awaitable[Health]]) -> Criterion:
    """A system that says no is an error of the check, not a proven failure: nobody knows whether it works."""
    remedy = ""
    try:
        health = await probe()
        verdict, actual = (Verdict.PASSED if health.ok else Verdict.ERROR), health.detail
        if not health.ok:
            remedy = f"see what [{key}] answers: ray-tui doctor"
    except BackendError as exc:
        verdict, actual, remedy = Verdict.ERROR, str(exc), exc.todo
        if exc.status in NO_CREDENTIALS and not remedy:
            remedy = f"check the credentials of [{key}]"
    return criterion(
        f"prerequisites.system:{key}", f"{title} reachable", verdict, actual,
        required="reachable with test credentials", remedy=remedy,
    )  # fmt: skip


async def _synthetics(context: Context) -> Criterion:
    """Synthetic probes are asked of the metrics store by the probe's series, else visited directly."""
    metrics, visits, probe = context.ports.metrics, context.ports.visits, context.config.telemetry.probe
    urls = [service.url for service in context.config.services.values() if service.url]

    async def by_series() -> Health:
        assert metrics is not None
        answer = await metrics.query(f"count({probe})")
        number = answer.samples[0].value if answer.samples else 0.0
        if answer.warnings:
            return Health(False, f"{probe}: the answer may be partial: {'; '.join(answer.warnings)}")
        return Health(number > 0, f"{number:.0f} series of {probe}" if number > 0 else f"no series of {probe}")

    async def by_visit() -> Health:
        assert visits is not None
        health = await visits.health()
        return Health(health.ok, f"direct visits: {health.detail}")

    if metrics is None:
        if visits is None or not urls:
            return _unconfigured("synthetics", "Synthetics", "metrics")
        return await _judged("synthetics", "Synthetics", by_visit)
    judged = await _judged("synthetics", "Synthetics", by_series)
    if judged.verdict is not Verdict.PASSED and visits is not None and urls:
        direct = await _judged("synthetics", "Synthetics", by_visit)
        return direct.but(actual=f"{direct.actual} ({judged.actual})")
    return judged


async def _paging(context: Context) -> Criterion:
    """REST credentials, then the Events side with the test key: it never pages."""
    paging = context.ports.paging
    if paging is None:
        return _unconfigured("paging", "PagerDuty")
    opened = context.state.opened
    token = f"ray-tui-prerequisites-{opened.run_id if opened else 'run'}-{context.attempt}"

    async def both() -> Health:
        health = await paging.health()
        if not health.ok:
            return health
        tested = await paging.test_event(token)
        return Health(tested.ok, f"{health.detail}; test event: {tested.detail}")

    return await _judged("paging", "PagerDuty", both)


# --- folders ---------------------------------------------------------------------------------------------------------


def _folder(context: Context, folder: str) -> Criterion:
    """Really write, sync and remove a file: permissions alone do not know of a full or read-only disk."""
    path = context.config.root / folder
    verdict, actual, remedy = Verdict.PASSED, "wrote, synced and removed a file", ""
    try:
        write_test(path, f".ray-tui-write-test-{os.getpid()}")
    except OSError as exc:
        verdict, actual = Verdict.FAILED, f"{path}: {exc.strerror or exc}"
        remedy = "make the folder writable for the user who runs ray-tui"
    return criterion(
        f"prerequisites.writable:{folder}", f"{folder} writable", verdict, actual,
        required="a file can be written, synced and removed", remedy=remedy,
    )  # fmt: skip


def write_test(folder: Path, name: str) -> None:
    """Raises OSError when a file cannot be written, synced and removed there. Creates the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, b"ray-tui write test\n")
        os.fsync(handle)
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            path.unlink()


# --- people ----------------------------------------------------------------------------------------------------------


def _regulated(context: Context, claims: Mapping[str, papers.Claims]) -> set[str]:
    ours = {name for name, service in context.config.services.items() if service.regulated}
    theirs = {claim.name for paper in claims.values() for claim in paper.services if claim.regulated}
    return ours | theirs


def _wanted(context: Context, regulated: set[str]) -> list[tuple[str, str]]:
    """(role, subject) of every approval that this run needs."""
    run = context.config.run
    wanted = [
        ("release-manager", f"{run.environment} deployment of {run.release} completed"),
        ("sre-lead", f"monitoring of {run.environment} may be adjusted for {run.release}"),
    ]
    if regulated:
        names = ", ".join(sorted(regulated))
        wanted.append(("security", f"alert thresholds of regulated services may be adjusted: {names}"))
    return wanted


def _not_asked(regulated: set[str], blocked: Sequence[str]) -> list[Criterion]:
    roles = ["release-manager", "sre-lead", *(["security"] if regulated else [])]
    why = f"not asked: {len(blocked)} other prerequisites are not met ({', '.join(blocked[:3])})"
    return [_approval_criterion(role, Verdict.INCONCLUSIVE, why, "mend those, then run the prerequisites again")
            for role in roles]  # fmt: skip


async def _approvals(context: Context, claims: Mapping[str, papers.Claims], regulated: set[str]) -> list[Criterion]:
    return [await _approval(context, role, subject, claims) for role, subject in _wanted(context, regulated)]


async def _approval(context: Context, role: str, subject: str, claims: Mapping[str, papers.Claims]) -> Criterion:
    given = _given(context, role)
    if given is not None:
        return _approval_criterion(role, Verdict.PASSED, _said(given))
    config = context.config
    digest = approved_digest(subject, config.run.release, config.digest(), claims)
    answered = await context.ask(
        Ask(
            name=f"approve-{role}", prompt="approve", roles=(role,),
            title=f"{_title(role)} approval", text=f"{subject}?",
            data={
                "role": role, "subject": subject, "sha256": digest, "release": config.run.release,
                "config_digest": config.digest(),
            },
        )
    )  # fmt: skip
    if answered.answer != "yes":
        who = f" by {answered.person}" if answered.person else ""
        reason = f": {answered.reason}" if answered.reason else ""
        remedy = f"settle it with the {_title(role).lower()}, then run the prerequisites again"
        return _approval_criterion(role, Verdict.FAILED, f"refused{who}{reason}", remedy)
    recorded = next((one for one in reversed(context.state.approvals) if one.role == role), None)
    if recorded is None:
        return _approval_criterion(role, Verdict.FAILED, f"{answered.person or 'somebody'} said yes, nothing recorded")
    why = outdated(recorded, config.run.release, config.digest(), context.now())
    if why:
        remedy = f"have the {_title(role).lower()} approve this release as it is configured now, then retry"
        return _approval_criterion(role, Verdict.FAILED, why, remedy)
    return _approval_criterion(role, Verdict.PASSED, _said(recorded))


def approved_digest(subject: str, release: str, config_digest: str, claims: Mapping[str, papers.Claims]) -> str:
    """SHA-256 of what a person approves: the words, the release, the configuration, and what the papers say."""
    services = sorted({claim.name for paper in claims.values() for claim in paper.services})
    bound = [subject, release, config_digest, sorted(claims), services]
    return hashlib.sha256(json.dumps(bound, ensure_ascii=True).encode()).hexdigest()


def _given(context: Context, role: str) -> f.ApprovalRecorded | None:
    """An approval of this release and configuration that is still valid need not be asked for again."""
    release, digest, now = context.config.run.release, context.config.digest(), context.now()
    held = (one for one in reversed(context.state.approvals) if one.role == role)
    return next((one for one in held if not outdated(one, release, digest, now)), None)


def _said(given: f.ApprovalRecorded) -> str:
    release = f" for {given.release}" if given.release else ""
    return f"{given.person} approved{release} ({given.assurance})"


def _title(role: str) -> str:
    return {"release-manager": "Release Manager", "sre-lead": "SRE lead", "security": "Security"}[role]


def _approval_criterion(role: str, verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
    return criterion(
        f"{APPROVAL_CRITERION}{role}", f"{_title(role)} approval", verdict, actual,
        required="given by somebody who holds the role, for this release and configuration, not expired",
        remedy=remedy,
    )  # fmt: skip
