"""1.3: which earlier baseline the new one is compared with, and which is kept because the new one takes its place."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ray_tui.analysis import compare, deployment_papers
from ray_tui.core.errors import InputError
from ray_tui.core.verdicts import Verdict
from ray_tui.evidence import baselines, text
from ray_tui.step import Context

NAME = baselines.NAME
STAGING = "staging-test-results.json"
MOST_SAMPLES = 2_000
"""Samples read from one KPI of a prior baseline."""
MOST_LINKS = 100
"""Kept baselines that are walked through; each names the one before it."""


@dataclass(frozen=True)
class Prior:
    """A baseline to compare with: samples by (service, KPI). ``problem`` says why one that is there is of no use."""

    source: str = ""
    release: str = ""
    environment: str = ""
    run_id: str = ""
    window: compare.Window | None = None
    samples: dict[tuple[str, str], tuple[float, ...]] = field(default_factory=dict)
    data: bytes = b""
    before: str = ""
    """The kept file that it names as the one before it."""
    problem: str = ""


@dataclass(frozen=True)
class Earlier:
    """What there was before this baseline."""

    prior: Prior
    rotated: str
    """Name of the kept file that the new baseline comes after; empty where nothing was published."""
    files: dict[str, bytes]
    """Kept baselines, name -> bytes as they were: to be written before the new one."""
    passed_over: tuple[str, ...] = ()
    """Baselines that were no prior, and why."""


def earlier_baseline(context: Context) -> Earlier:
    """The prior is the newest baseline of another release and of this environment that has samples: the published one,
    else those that were kept, each naming the one before it, else one among the inputs.

    What is published is kept whatever it is, unless an earlier attempt of this run wrote it.
    """
    try:
        data = context.inputs.published(NAME)
    except InputError as exc:
        return Earlier(Prior(NAME, problem=str(exc)), "", {})
    if data is None:
        return _from_inputs(context, None, "", {}, ())
    newest = read_prior(data, NAME)
    opened = context.state.opened
    ours = opened is not None and (newest.run_id, newest.release) == (opened.run_id, opened.release)
    rotated = newest.before if ours else baselines.kept_name(data)
    files = {} if ours else {rotated: data}
    passed_over: list[str] = []
    for _ in range(MOST_LINKS):
        if newest.problem:
            kept = f" (kept as {rotated})" if newest.source == NAME else ""
            return Earlier(Prior(newest.source, problem=f"{newest.problem}{kept}"), rotated, files)
        why = _no_prior(newest, context)
        if why == "":
            kept = baselines.kept_name(newest.data)
            return Earlier(newest, rotated, {**files, kept: newest.data}, tuple(passed_over))
        passed_over.append(why)
        if not newest.before:
            break
        newest = _kept(context, newest)
    return _from_inputs(context, data, rotated, files, passed_over)


def _kept(context: Context, newer: Prior) -> Prior:
    try:
        data = context.inputs.published(newer.before)
    except InputError as exc:
        return Prior(newer.before, problem=str(exc))
    if data is None:
        return Prior(newer.before, problem=f"{newer.before}: is not there, but {newer.source} names it as its prior")
    return read_prior(data, newer.before)


def _from_inputs(
    context: Context, published: bytes | None, rotated: str, files: dict[str, bytes], passed_over: Sequence[str]
) -> Earlier:
    """One baseline among the inputs; the published one may lie among them, and is not another."""
    try:
        found = {path: context.inputs.read(path) for path in context.inputs.find(NAME)}
    except InputError as exc:
        return Earlier(Prior(problem=str(exc)), rotated, files)
    others = [(path, data) for path, data in found.items() if data != published]
    if len(others) > 1:
        return Earlier(Prior(problem=f"{NAME} is there {len(others)} times; none was used"), rotated, files)
    if not others:
        return Earlier(Prior(), rotated, files, tuple(passed_over))
    path, data = others[0]
    prior = replace(read_prior(data, str(path)), source=NAME)
    if prior.problem:
        return Earlier(prior, rotated, files)
    why = _no_prior(prior, context)
    if why:
        return Earlier(Prior(), rotated, files, (*passed_over, why))
    return Earlier(prior, rotated, {**files, baselines.kept_name(data): data}, tuple(passed_over))


def _no_prior(one: Prior, context: Context) -> str:
    """Why a readable baseline is none to compare with; empty where it is one."""
    here = context.config.run.environment
    if one.release == context.config.run.release:
        return f"{one.source} is of this release itself"
    if one.environment and one.environment != here:
        return f"{one.source} ({one.release}) measures {one.environment}, not {here}: it was not compared with"
    if not any(one.samples.values()):
        return f"{one.source} ({one.release}) holds no sample: it was not compared with"
    return ""


def read_prior(data: bytes, source: str) -> Prior:
    """A baseline in the form that 1.3 writes. What cannot be read is a problem: no exception, and not "no prior"."""
    try:
        twin = text.loads(data, source, error=InputError)
        body = twin["body"]
        one = Prior(
            source, str(twin["release"]), str(twin.get("environment") or ""), str(twin.get("run_id") or ""),
            data=data, before=baselines.kept_by(body),
        )  # fmt: skip
        if twin.get("verdict") == Verdict.ERROR.value and not body.get("kpis"):  # it could not be measured at all
            return one
        window = compare.Window(float(body["window"]["start"]), float(body["window"]["end"]))
        samples = {
            (str(row["service"]), str(row["kpi"])): tuple(float(v) for v in row["samples"][:MOST_SAMPLES])
            for row in body["kpis"]
        }
        return replace(one, window=window, samples=samples)
    except InputError as exc:
        return Prior(source, problem=str(exc))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        missing = f"{exc.args[0]!r} is missing" if isinstance(exc, KeyError) and exc.args else str(exc)
        return Prior(source, problem=f"{source}: is not a baseline that 1.3 wrote: {missing}; see docs/inputs.md")


def staging_results(context: Context) -> Prior:
    """What staging measured; nothing where it measured nothing."""
    found = context.inputs.find(STAGING)
    if len(found) != 1:
        return Prior()
    try:
        claims = _read_staging(context, found[0])
    except InputError as exc:
        return Prior(STAGING, problem=str(exc))
    samples = {(one.service, one.kpi): one.samples for one in claims.measured}
    return Prior(STAGING if samples else "", claims.release, samples=samples)


def _read_staging(context: Context, path: Path) -> deployment_papers.Claims:
    data = context.inputs.read(path, limit=deployment_papers.LARGEST)
    return deployment_papers.read(STAGING, data, context.config.inputs.map)
