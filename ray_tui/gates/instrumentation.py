"""Gate 1: is every critical service seen, and is what must be watched written down? Judged from the evidence alone."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ray_tui.analysis import coverage
from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.gates.settled import Settled

RULE_VERSION = "1"
AUDIT, REQUIREMENTS, WAIVERS = "instrumentation-audit.json", "monitoring-requirements.json", "waivers.json"
REMEDY = "Engage service owners to implement missing instrumentation; rerun audit."
TRACES_LAG_SECONDS = 30.0
"""As in 1.2: a trace store finds a trace by search only about this long after it was sent."""


class _Cell(BaseModel):
    model_config = ConfigDict(strict=True)

    service: str
    signal: str
    verdict: str | None
    age_seconds: float | int | None
    query: str
    why: str


class _Service(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    critical: bool
    changed: str


_CELLS = TypeAdapter(list[_Cell])
_SERVICES = TypeAdapter(list[_Service])


def judge(inputs: Mapping[str, Mapping[str, Any]], thresholds: Thresholds, now: float) -> tuple[Criterion, ...]:
    """Coverage from the audit's own cells, requirements from 1.1's twin, and what both actions recorded themselves.

    What was waived at its action is waived here, while the waiver is valid and bound to that very finding.
    """
    settled = Settled.read(inputs.get(WAIVERS), now)
    criteria = [*_coverage(inputs.get(AUDIT), thresholds, settled), *_requirements(inputs.get(REQUIREMENTS), settled)]
    releases = {
        str(inputs[name].get("release")) for name in (AUDIT, REQUIREMENTS) if isinstance(inputs.get(name), Mapping)
    }
    if len(releases) > 1:
        actual = f"the evidence is about different releases: {line(', '.join(sorted(releases)))}"
        criteria.append(_criterion("instrumentation.release", "One release", Verdict.FAILED, actual, "one release"))
    return tuple(criteria)


def _coverage(twin: Mapping[str, Any] | None, thresholds: Thresholds, settled: Settled) -> list[Criterion]:
    unreadable = _unusable(AUDIT, twin)
    if unreadable is not None:
        return [unreadable]
    assert twin is not None
    try:
        cells = _CELLS.validate_python(twin["body"].get("cells"))
        services = _SERVICES.validate_python(twin["body"].get("services"))
        recorded = _recorded(twin)
    except (ValidationError, TypeError) as exc:
        return [_malformed(AUDIT, exc)]
    doubles = _doubles(cells)
    if doubles:
        actual = f"{AUDIT} names a cell twice: {line(doubles)}"
        return [_criterion(f"evidence:{AUDIT}", "Audit readable", Verdict.ERROR, actual, "one verdict a cell")]
    critical = [one.name for one in services if one.critical and one.changed]
    believed = [_believed(cell, thresholds.fresh_seconds) for cell in cells]
    judged = list(coverage.judge(believed, critical, thresholds.coverage))
    unknown = sorted({cell.service for cell in cells} - {one.name for one in services})
    if not services or unknown:
        actual = f"cells of services that the audit does not list: {line(', '.join(unknown))}" if unknown else "none"
        judged.append(_criterion("coverage.services", "Services listed", Verdict.INCONCLUSIVE, actual, "all of them"))
    return _with_recorded(judged, recorded, "1.2", settled)


def _doubles(cells: Sequence[_Cell]) -> str:
    seen: set[tuple[str, str]] = set()
    for cell in cells:
        if (cell.service, cell.signal) in seen:
            return f"{cell.service} × {cell.signal}"
        seen.add((cell.service, cell.signal))
    return ""


def _believed(cell: _Cell, fresh_seconds: float) -> coverage.Cell:
    """A cell that says it passed is believed only with an age that could have."""
    verdict: Verdict | None
    why = cell.why
    try:
        verdict = None if cell.verdict is None else Verdict(cell.verdict)
    except ValueError:
        verdict, why = Verdict.ERROR, f"its verdict is {line(cell.verdict or '', 40)!r}"
    limit = fresh_seconds + (TRACES_LAG_SECONDS if cell.signal == "traces" else 0.0)
    age = cell.age_seconds
    if verdict is Verdict.PASSED and (age is None or not isfinite(age)):
        verdict, why = Verdict.INCONCLUSIVE, "passed without an age"
    elif verdict is Verdict.PASSED and age is not None and not -coverage.AHEAD_SECONDS <= age <= limit:
        verdict, why = Verdict.FAILED, f"passed at an age of {age:.0f} s; {limit:.0f} s are allowed"
    return coverage.Cell(cell.service, cell.signal, verdict is not None, verdict, age, None, cell.query, "", why)


def _requirements(twin: Mapping[str, Any] | None, settled: Settled) -> list[Criterion]:
    unreadable = _unusable(REQUIREMENTS, twin)
    if unreadable is not None:
        return [unreadable]
    assert twin is not None
    body = twin["body"]
    counts = {}
    for name in ("services", "kpis", "slos", "risks", "inputs"):
        rows = body.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return [_malformed(REQUIREMENTS, TypeError(f"body.{name} is not a list of objects"))]
        counts[name] = len(rows)
    untraced = sum(not row.get("source") for name in ("kpis", "slos", "risks") for row in body[name])
    none = [name for name in ("services", "kpis", "slos", "inputs") if not counts[name]]
    actual = ", ".join(f"{count} {name}" for name, count in counts.items())
    actual += f"; {untraced} without a source" if untraced else ""
    verdict = Verdict.FAILED if none or untraced else Verdict.PASSED
    documented = _criterion(
        "requirements.documented", "Monitoring requirements documented", verdict, actual,
        "services, KPIs and SLOs, each traced to its source", (REQUIREMENTS,),
    )  # fmt: skip
    try:
        recorded = _recorded(twin)
    except (ValidationError, TypeError) as exc:
        return [_malformed(REQUIREMENTS, exc)]
    if any(settled.covers(one, "1.1") for one in recorded if one.id == "review.documented"):
        documented = documented.model_copy(update={"verdict": Verdict.WAIVED})
    return [documented, *_with_recorded([], recorded, "1.1", settled)]


# --- twins -----------------------------------------------------------------------------------------------------------


def _unusable(name: str, twin: Mapping[str, Any] | None) -> Criterion | None:
    if twin is None:
        return _criterion(f"evidence:{name}", f"{name} present", Verdict.FAILED, "missing", "present", (name,))
    if not isinstance(twin, Mapping) or not isinstance(twin.get("body"), Mapping):
        return _malformed(name, TypeError("it has no body"))
    return None


def _malformed(name: str, exc: Exception) -> Criterion:
    actual = f"{name} is not of the form that its action writes: {line(str(exc), 200)}"
    return _criterion(f"evidence:{name}", f"{name} readable", Verdict.ERROR, actual, "readable", (name,))


def _recorded(twin: Mapping[str, Any]) -> list[Criterion]:
    """The criteria that the action recorded. Raises ValidationError; none at all is a TypeError."""
    rows = twin.get("criteria")
    if not isinstance(rows, list) or not rows:
        raise TypeError("it records no criteria")
    return [Criterion.model_validate(row) for row in rows]


def _with_recorded(
    judged: Sequence[Criterion], recorded: Sequence[Criterion], step: str, settled: Settled
) -> list[Criterion]:
    """Recomputed criteria, waived where the same finding was waived at its action; then what else the action held."""
    covered = {one.id: criterion_digest(one) for one in recorded if settled.covers(one, step)}
    out = []
    for one in judged:
        waived = not one.verdict.lets_go_on and covered.get(one.id) == criterion_digest(one)
        out.append(one.model_copy(update={"verdict": Verdict.WAIVED}) if waived else one)
    return [*out, *settled.recorded(recorded, step, {one.id for one in judged})]


def _criterion(
    id_: str, title: str, verdict: Verdict, actual: str, required: str, evidence: tuple[str, ...] = (AUDIT,)
) -> Criterion:
    return Criterion(
        id=id_, title=title, verdict=verdict, actual=actual, required=required, evidence=evidence,
        remedy="" if verdict is Verdict.PASSED else REMEDY,
    )  # fmt: skip
