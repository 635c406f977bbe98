"""Gate 1: is every critical service seen, and is what must be watched written down? Judged from the evidence alone."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ray_tui.analysis import coverage
from ray_tui.core.policy import Thresholds
from ray_tui.core.rules import criterion_digest
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.gates import twins
from ray_tui.gates.settled import Settled
from ray_tui.gates.twins import Inputs

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


def judge(inputs: Inputs, thresholds: Thresholds, now: float) -> tuple[Criterion, ...]:
    """Coverage from the audit's own cells, requirements from 1.1's twin, and what both actions recorded themselves.

    What was waived at its action is waived here, while the waiver is valid and bound to that very finding.
    """
    settled = Settled.read(inputs.get(WAIVERS), now)
    return (
        *_coverage(inputs, thresholds, settled),
        *_requirements(inputs, settled),
        *twins.one_release("instrumentation.release", (AUDIT, REQUIREMENTS), inputs, REMEDY),
    )


def _coverage(inputs: Inputs, thresholds: Thresholds, settled: Settled) -> list[Criterion]:
    try:
        body = twins.body(AUDIT, inputs)
        cells = _CELLS.validate_python(body.get("cells"))
        services = _SERVICES.validate_python(body.get("services"))
        recorded = twins.recorded(AUDIT, inputs)
    except (ValueError, TypeError) as exc:
        return [twins.unusable(AUDIT, inputs, exc, REMEDY)]
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


def _requirements(inputs: Inputs, settled: Settled) -> list[Criterion]:
    try:
        body = twins.body(REQUIREMENTS, inputs)
        counts = {name: _rows(body, name) for name in ("services", "kpis", "slos", "risks", "inputs")}
        recorded = twins.recorded(REQUIREMENTS, inputs)
    except (ValueError, TypeError) as exc:
        return [twins.unusable(REQUIREMENTS, inputs, exc, REMEDY)]
    untraced = sum(not row.get("source") for name in ("kpis", "slos", "risks") for row in body[name])
    none = [name for name in ("services", "kpis", "slos", "inputs") if not counts[name]]
    actual = ", ".join(f"{count} {name}" for name, count in counts.items())
    actual += f"; {untraced} without a source" if untraced else ""
    verdict = Verdict.FAILED if none or untraced else Verdict.PASSED
    documented = _criterion(
        "requirements.documented", "Monitoring requirements documented", verdict, actual,
        "services, KPIs and SLOs, each traced to its source", (REQUIREMENTS,),
    )  # fmt: skip
    if any(settled.covers(one, "1.1") for one in recorded if one.id == "review.documented"):
        documented = documented.but(verdict=Verdict.WAIVED)
    return [documented, *_with_recorded([], recorded, "1.1", settled)]


def _rows(body: Mapping[str, Any], name: str) -> int:
    """How many there are of a part. Raises TypeError where it is no list of objects."""
    rows = body.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(f"body.{name} is not a list of objects")
    return len(rows)


def _with_recorded(
    judged: Sequence[Criterion], recorded: Sequence[Criterion], step: str, settled: Settled
) -> list[Criterion]:
    """Recomputed criteria, waived where the same finding was waived at its action; then what else the action held."""
    covered = {one.id: criterion_digest(one) for one in recorded if settled.covers(one, step)}
    out = []
    for one in judged:
        waived = not one.verdict.lets_go_on and covered.get(one.id) == criterion_digest(one)
        out.append(one.but(verdict=Verdict.WAIVED) if waived else one)
    return [*out, *settled.recorded(recorded, step, {one.id for one in judged})]


def _criterion(
    id_: str, title: str, verdict: Verdict, actual: str, required: str, evidence: tuple[str, ...] = (AUDIT,)
) -> Criterion:
    return Criterion(
        id=id_, title=title, verdict=verdict, actual=actual, required=required, evidence=evidence,
        remedy="" if verdict is Verdict.PASSED else REMEDY,
    )  # fmt: skip
