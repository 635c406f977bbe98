"""1.1: what the release's papers ask to be watched, each requirement traced to the file and line that says so."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_tui.actions.services import with_resolved
from ray_tui.analysis import deployment_papers as papers
from ray_tui.clock import iso
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.errors import InputError
from ray_tui.core.plan import INPUTS_REQUIRED
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence.text import cell, table
from ray_tui.step import Context, Header, InputFile, Result, criterion

AUDIT = "quality-audit-summary.json"
OPTIONAL = ("observability-baseline.md", AUDIT)
EVIDENCE = ("monitoring-requirements.md",)


async def run(context: Context) -> Result:
    """Read the papers, hold them against each other, and list services, endpoints, risks, KPIs and SLOs."""
    criteria: list[Criterion] = []
    claims: list[papers.Claims] = []
    files: list[InputFile] = []
    for name in INPUTS_REQUIRED:
        await context.progress(f"reading {name}", len(files), len(INPUTS_REQUIRED))
        judged, file, claimed = await asyncio.to_thread(read_paper, context, name)
        criteria.append(judged)
        files += [file] if file else []
        claims += [claimed] if claimed else []
    extras, extra_files, warnings = await asyncio.to_thread(_optional, context)
    warnings += [warning for claimed in claims for warning in claimed.warnings]
    if len(claims) == len(INPUTS_REQUIRED):
        criteria += _together(claims, context.config, context.now())
    data = _data(context.config, [*claims, *extras], [*files, *extra_files], warnings)
    if len(claims) == len(INPUTS_REQUIRED):
        criteria += _documented(data)
    gaps = _gaps(extras, context.config)
    if any(paper.name == AUDIT for paper in extras):  # one that cannot be read has closed nothing
        gaps = with_resolved(context.state, context.step, gaps)
    return Result(_summary(data, criteria), tuple(criteria), data, gaps)


def read_paper(context: Context, name: str) -> tuple[Criterion, InputFile | None, papers.Claims | None]:
    """One required paper: its criterion, its bytes, and what it claims; the latter None where it cannot be read."""

    def judged(verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
        return criterion(
            f"review.input:{name}", f"Input {name}", verdict, actual,
            required="found once, readable, of the published shape", evidence=EVIDENCE, remedy=remedy,
        )  # fmt: skip

    found = context.inputs.find(name)
    if not found:
        looked = ", ".join(context.config.paths.inputs)
        remedy = "let the protocol before this one write it, or add its folder to [paths] inputs"
        return judged(Verdict.FAILED, f"missing: not in {looked}", remedy), None, None
    if len(found) > 1:
        places = ", ".join(_shown(path, context.config) for path in found)
        return judged(Verdict.FAILED, f"found {len(found)} times: {places}", "leave only one of them"), None, None
    try:
        file = InputFile(name, found[0], context.inputs.read(found[0], limit=papers.LARGEST))
        claimed = papers.read(name, file.data, context.config.inputs.map)
    except InputError as exc:
        remedy = "docs/inputs.md says what the file must hold; mend it or map its keys, then run 1.1 again"
        return judged(Verdict.FAILED, str(exc), remedy), None, None
    return judged(Verdict.PASSED, f"release {claimed.release}, {len(file.data)} bytes"), file, claimed


def _optional(context: Context) -> tuple[list[papers.Claims], list[InputFile], list[str]]:
    """Optional papers that could be used, and warnings for those that could not: they never block."""
    claims: list[papers.Claims] = []
    files: list[InputFile] = []
    warnings: list[str] = []
    for name in OPTIONAL:
        found = context.inputs.find(name)
        if len(found) != 1:
            why = "is not there" if not found else f"is there {len(found)} times; none was used"
            warnings.append(f"{name} {why}")
            continue
        try:
            data = context.inputs.read(found[0], limit=papers.LARGEST)
            claimed = papers.read(name, data, context.config.inputs.map)
        except InputError as exc:
            warnings.append(f"not used: {exc}")
            continue
        if claimed.release != context.config.run.release:
            warnings.append(f"{claimed.release_source} is about release {claimed.release}; used all the same")
        claims.append(claimed)
        files.append(InputFile(name, found[0], data))
    return claims, files, warnings


def _together(claims: Sequence[papers.Claims], config: Config, now: float) -> list[Criterion]:
    """Consistency of the papers with the run and with each other, and whether the deployment is done."""
    wrong = list(papers.contradictions(claims, config.run.release, config.run.environment))
    wrong += _against_catalogue(claims, config)
    wrong += _deploy_time(claims, config, now)
    verdict = Verdict.FAILED if wrong else Verdict.PASSED
    consistent = criterion(
        "review.consistent", "Papers agree", verdict,
        "; ".join(wrong) if wrong else f"{len(claims)} papers agree on release {config.run.release}",
        required="one release, environment and deploy time; no service described in two ways", evidence=EVIDENCE,
        remedy="find out which paper is right and write the other one again" if wrong else "",
    )  # fmt: skip
    bad = [one for one in claims if one.status and one.status.casefold() not in papers.GOOD]
    status = criterion(
        "review.status", "Deployment and staging succeeded", Verdict.FAILED if bad else Verdict.PASSED,
        "; ".join(f"{one.status_source} says {one.status}" for one in bad) or "every status says passed",
        required="status passed", evidence=EVIDENCE,
        remedy="finish or roll back the deployment first" if bad else "",
    )  # fmt: skip
    return [consistent, status]


def _against_catalogue(claims: Sequence[papers.Claims], config: Config) -> list[str]:
    wrong = []
    for claim in (claim for paper in claims for claim in paper.services):
        ours = config.services[claim.name].changed if claim.name in config.services else ""
        if ours and claim.change is not None and claim.change != ours:
            wrong.append(f"{claim.name} is {ours} in the configuration but {claim.change} in {claim.source}")
    return wrong


def _deploy_time(claims: Sequence[papers.Claims], config: Config, now: float) -> list[str]:
    wrong = []
    ours = config.deployed_at()
    for paper in claims:
        if paper.deployed_at is None:
            continue
        if ours is not None and abs(paper.deployed_at - ours) > papers.SAME_TIME_SECONDS:
            apart = abs(paper.deployed_at - ours)
            wrong.append(f"{paper.deployed_at_source} and [run] deployed_at are {apart:.0f} s apart")
        if paper.deployed_at > now + papers.SAME_TIME_SECONDS:
            wrong.append(f"{paper.deployed_at_source}: the deployment lies {paper.deployed_at - now:.0f} s ahead of us")
    return wrong


def _documented(data: Mapping[str, Any]) -> list[Criterion]:
    """Requirements must name something: no KPI or no SLO is nothing to watch."""
    counts = {name: len(data[name]) for name in ("kpis", "slos", "services")}
    none = [name for name, count in counts.items() if not count]
    actual = ", ".join(f"{count} {name}" for name, count in counts.items())
    return [
        criterion(
            "review.documented", "Monitoring requirements documented", Verdict.FAILED if none else Verdict.PASSED,
            f"{actual}, {len(data['risks'])} risks, {len(data['endpoints'])} new endpoints",
            required="at least one KPI, one SLO and one service", evidence=EVIDENCE,
            remedy=f"name {' and '.join(none)} in DEPLOYMENT-REPORT.md" if none else "",
        )
    ]  # fmt: skip


def _data(
    config: Config, claims: Sequence[papers.Claims], files: Sequence[InputFile], warnings: Sequence[str]
) -> dict[str, Any]:
    items = [item for paper in claims for item in paper.items]
    at = config.deployed_at() or next((one.deployed_at for one in claims if one.deployed_at is not None), None)
    return {
        "services": _services(claims, items),
        "endpoints": _endpoints(items),
        "risks": [_item(item) for item in items if item.kind == "risk"],
        "kpis": [_item(item) for item in items if item.kind == "kpi"],
        "slos": [_item(item) for item in items if item.kind == "slo"],
        "deployed_at": at,
        "inputs": [
            {"name": file.name, "sha256": hashlib.sha256(file.data).hexdigest(), "path": _shown(file.path, config)}
            for file in files
        ],
        "warnings": list(warnings),
    }


def _item(item: papers.Item) -> dict[str, Any]:
    return {"text": item.text, "service": item.service, "detail": dict(item.detail), "source": item.source}


def _endpoints(items: Sequence[papers.Item]) -> list[dict[str, Any]]:
    """Each endpoint of a service once, with every line that names it."""
    sources: dict[tuple[str, str], list[str]] = {}
    for item in items:
        if item.kind == "endpoint":
            sources.setdefault((item.service, item.text), []).append(item.source)
    return [
        {"text": text, "service": service, "detail": {}, "source": ", ".join(dict.fromkeys(found))}
        for (service, text), found in sources.items()
    ]


def _services(claims: Sequence[papers.Claims], items: Sequence[papers.Item]) -> list[dict[str, Any]]:
    """Every service that a paper names, with all that the papers say of it."""
    rows: dict[str, dict[str, Any]] = {}
    for claim in (claim for paper in claims for claim in paper.services):
        row = rows.setdefault(claim.name, _empty(claim.name))
        if claim.change in ("new", "modified"):
            row["changed"] = claim.change
        row["critical"] = row["critical"] or bool(claim.critical)
        row["regulated"] = row["regulated"] or bool(claim.regulated)
        row["owner"] = row["owner"] or (claim.owner or "")
        row["sources"].append(claim.source)
    for item in items:
        if item.kind == "endpoint" and item.service:
            row = rows.setdefault(item.service, _empty(item.service))
            if item.text not in row["endpoints"]:
                row["endpoints"].append(item.text)
            if item.source not in row["sources"]:
                row["sources"].append(item.source)
    return list(rows.values())


def _empty(name: str) -> dict[str, Any]:
    return {
        "name": name, "critical": False, "changed": "", "regulated": False, "owner": "", "endpoints": [], "sources": []
    }  # fmt: skip


def _gaps(claims: Sequence[papers.Claims], config: Config) -> tuple[f.GapFound, ...]:
    """The quality audit's gaps go into the backlog."""
    fallback = next(iter(config.owners), "unowned")
    return tuple(
        f.GapFound(
            id=f"quality-audit:{gap.id}", step="1.1", title=gap.title, subject=gap.service,
            owner=gap.owner or _owner(gap.service, config) or fallback, due=gap.due or "next release cycle",
            severity="info" if gap.severity in ("low", "info") else "warns", reference=gap.source,
        )
        for paper in claims
        for gap in paper.gaps
    )  # fmt: skip


def _owner(service: str, config: Config) -> str:
    return config.services[service].owner if service in config.services else ""


def _summary(data: Mapping[str, Any], criteria: Sequence[Criterion]) -> str:
    bad = [one.title for one in criteria if not one.verdict.lets_go_on]
    if bad:
        return f"{len(bad)} of {len(criteria)} checks of the papers do not pass: {', '.join(bad)}"
    changed = sum(bool(row["changed"]) for row in data["services"])
    return (
        f"{changed} changed of {len(data['services'])} services, {len(data['endpoints'])} new endpoints, "
        f"{len(data['risks'])} risks, {len(data['kpis'])} KPIs, {len(data['slos'])} SLOs"
    )


def _shown(path: Path, config: Config) -> str:
    return str(path.relative_to(config.root)) if path.is_relative_to(config.root) else str(path)


# --- the document ----------------------------------------------------------------------------------------------------


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """``monitoring-requirements.md``; also from the empty data of an attempt that broke."""
    deployed = iso(data["deployed_at"]) if data.get("deployed_at") else "not known"
    lines = [
        f"# Monitoring requirements: {cell(header.release)}\n",
        f"Run {cell(header.run_id)} · environment {cell(header.environment)} · deployed {deployed} · "
        f"written {iso(header.generated_at)} · verdict **{header.verdict}**\n",
        cell(header.summary) + "\n",
        "## Services\n",
        _table(("Service", "Change", "Critical", "Regulated", "Owner", "Source"), map(_service, _of(data, "services"))),
        *_section("New endpoints", "Endpoint", _of(data, "endpoints")),
        *_section("Risks", "Risk", _of(data, "risks")),
        *_section("KPIs", "KPI", _of(data, "kpis")),
        *_section("SLOs", "SLO", _of(data, "slos")),
        "## Inputs\n",
        _table(("File", "SHA-256", "Path"), [(i["name"], i["sha256"], i["path"]) for i in _of(data, "inputs")]),
        "## Checks\n",
        _table(("Check", "Verdict", "Measured"), [(c.title, c.verdict.value, c.actual) for c in header.criteria]),
    ]
    if data.get("warnings"):
        lines += ["## Warnings\n", "\n".join(f"- {cell(warning)}" for warning in data["warnings"]) + "\n"]
    return {"monitoring-requirements.md": "\n".join(lines)}


def _of(data: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    return data.get(key) or ()


def _service(row: Mapping[str, Any]) -> tuple[str, ...]:
    flags = ("yes" if row[flag] else "no" for flag in ("critical", "regulated"))
    return row["name"], row["changed"] or "unchanged", *flags, row["owner"] or "none", ", ".join(row["sources"])


def _section(title: str, first: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (i["text"], i["service"] or "all", "; ".join(f"{k}: {v}" for k, v in i["detail"].items()), i["source"])
        for i in items
    ]
    return [f"## {title}\n", _table((first, "Service", "Detail", "Source"), rows)]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = list(rows)
    return table(columns, body) if body else "None named.\n"
