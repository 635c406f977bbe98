"""Which services send which signals since the deploy, and whether that is enough."""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from ray_tui.core.verdicts import Criterion, Verdict, combine

SIGNALS = ("metrics", "logs", "traces", "synthetics")
AHEAD_SECONDS = 60.0
"""A datum dated further ahead of our clock than this is not believed."""
THRESHOLD = 0.95
EVIDENCE = "instrumentation-audit.json"


@dataclass(frozen=True)
class Cell:
    """One service in one signal. ``verdict`` is None where the signal is not needed.

    ``age_seconds`` is of the newest datum, whether it passed or not; None where none was seen.
    """

    service: str
    signal: str
    required: bool
    verdict: Verdict | None
    age_seconds: float | None
    last_seen_at: float | None
    query: str
    required_by: str
    why: str


class Completeness(NamedTuple):
    """Passing required cells, required cells, and their ratio: None over no required cell."""

    passing: int
    required: int
    ratio: float | None


@dataclass(frozen=True)
class Red:
    """Which metric gives a request-serving service its rate, errors and duration; None where none does."""

    service: str
    rate: str | None
    errors: str | None
    duration: str | None
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Strangers:
    """Services that only one side knows: seen live but in no catalogue, and in the catalogue but never seen."""

    live_only: tuple[str, ...]
    catalogue_only: tuple[str, ...]


def cell(
    service: str,
    signal: str,
    required: bool,
    last_seen_at: float | None,
    deployed_at: float,
    now: float,
    max_age_seconds: float,
    query: str,
    error: str | None = None,
    required_by: str = "",
) -> Cell:
    """Judge one cell: passed only when a datum was seen *after* the deploy and is no older than
    ``max_age_seconds``.
    """

    def judged(verdict: Verdict | None, why: str) -> Cell:
        known = last_seen_at is not None and isfinite(last_seen_at)
        seen = last_seen_at if known else None
        age = None if seen is None else now - seen
        return Cell(service, signal, required, verdict, age, seen, query, required_by, why)

    if not required:
        return judged(None, "not needed")
    if error is not None:
        return judged(Verdict.ERROR, f"could not check: {error}")
    if last_seen_at is None:
        return judged(Verdict.FAILED, "no data")
    if not all(map(isfinite, (last_seen_at, deployed_at, now, max_age_seconds))):
        return judged(Verdict.ERROR, "could not check: a time in the answer is not a number")
    age = now - last_seen_at
    if age < -AHEAD_SECONDS:
        return judged(Verdict.INCONCLUSIVE, f"its newest datum is dated {-age:.0f} s ahead of us: check the clocks")
    if last_seen_at <= deployed_at:
        before = deployed_at - last_seen_at
        return judged(Verdict.FAILED, f"nothing since the deploy; the newest datum is {before:.0f} s older than it")
    if age > max_age_seconds:
        return judged(Verdict.FAILED, f"stale: {age:.0f} s old, {max_age_seconds:.0f} s allowed")
    return judged(Verdict.PASSED, f"seen {max(0.0, age):.0f} s ago")


def completeness(cells: Iterable[Cell]) -> Completeness:
    """Passing among required cells. A ratio of None (nothing required) is inconclusive, never a pass."""
    needed = [one for one in cells if one.required]
    passing = sum(one.verdict is Verdict.PASSED for one in needed)
    return Completeness(passing, len(needed), passing / len(needed) if needed else None)


def judge(
    cells: Sequence[Cell], critical_changed: Collection[str], threshold: float = THRESHOLD
) -> tuple[Criterion, ...]:
    """Gate 1's criteria: enough cells pass, and no critical changed service misses one of the four signals.

    Every critical service with a miss has a criterion of its own (``coverage.critical:<service>``), so that a
    waiver can name it; with none, one ``coverage.critical`` passes. A release without critical services has
    only the first.
    """
    return (_complete(cells, threshold), *_critical(cells, critical_changed))


def _complete(cells: Sequence[Cell], threshold: float) -> Criterion:
    passing, required, ratio = completeness(cells)
    unjudged = [one.verdict for one in cells if one.required and one.verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE)]
    if ratio is None:
        verdict, actual = Verdict.INCONCLUSIVE, "no cell is required"
    else:
        actual = f"{passing} of {required} required cells ({ratio:.1%})"
        if ratio >= threshold:
            verdict = Verdict.PASSED
        elif (passing + len(unjudged)) / required >= threshold:  # those we could not check would decide
            verdict = combine(one for one in unjudged if one is not None)
        else:
            verdict = Verdict.FAILED
    return Criterion(
        id="coverage.completeness",
        title="Instrumentation coverage",
        verdict=verdict,
        actual=actual,
        required=f"at least {threshold:.0%} of required cells",
        evidence=(EVIDENCE,),
        remedy="" if verdict is Verdict.PASSED else _remedy(cells, "instrument the cells that have no data"),
    )


def unconfigured(table: str) -> str:
    """Why nothing can be seen of a signal whose store nobody named."""
    return f"no [{table}] is configured"


def _remedy(cells: Iterable[Cell], instrument: str) -> str:
    """What would help: another thing where no store is named, where one could not be asked, and where data lack."""
    wrong = [one for one in cells if one.required and one.verdict is not Verdict.PASSED]
    tables = [table for table in SIGNALS if any(unconfigured(table) in one.why for one in wrong)]
    asked = [one for one in wrong if not any(unconfigured(table) in one.why for table in tables)]
    said = [f"name the store of {table} in [{table}]" for table in tables]
    if any(one.verdict in (Verdict.ERROR, Verdict.INCONCLUSIVE) for one in asked):
        said.append("repair what could not be checked")
    if any(one.verdict is Verdict.FAILED for one in asked) or not said:
        said.append(instrument)
    return f"{', '.join(said)}; then run coverage again"


def _critical(cells: Sequence[Cell], critical_changed: Collection[str]) -> tuple[Criterion, ...]:
    required = "metrics, logs, traces and synthetics seen since the deploy"
    found = [miss for service in sorted(set(critical_changed)) if (miss := _miss(service, cells))]
    criteria = [
        Criterion(
            id=f"coverage.critical:{service}",
            title=f"Critical service {service}",
            verdict=verdict,
            actual=actual,
            required=required,
            evidence=(EVIDENCE,),
            remedy=_remedy((one for one in cells if one.service == service), f"make {service} send what is missing"),
        )
        for service, verdict, actual in found
    ]
    if not criteria and critical_changed:
        criteria = [
            Criterion(
                id="coverage.critical",
                title="Critical changed services",
                verdict=Verdict.PASSED,
                actual=f"no miss on {len(set(critical_changed))} critical changed services",
                required=required,
                evidence=(EVIDENCE,),
            )
        ]
    return tuple(criteria)


def _miss(service: str, cells: Sequence[Cell]) -> tuple[str, Verdict, str] | None:
    own = [one for one in cells if one.service == service]
    wrong = [(f"{one.signal}: {one.why}", one.verdict) for one in own if one.required and one.verdict != Verdict.PASSED]
    wrong += [(f"{one.signal}: was not asked for", Verdict.INCONCLUSIVE) for one in own if not one.required]
    unchecked = sorted(set(SIGNALS) - {one.signal for one in own}, key=SIGNALS.index)
    wrong += [(f"{signal}: never checked", Verdict.INCONCLUSIVE) for signal in unchecked]
    if not wrong:
        return None
    verdict = combine(one or Verdict.ERROR for _, one in wrong)
    return service, verdict, "; ".join(text for text, _ in wrong)


def suggest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Names that may mean the same service (``job``, ``service``, ``service.name``, ``app`` differ); best
    first.

    A suggestion is for a person to confirm: nothing is resolved by it.
    """
    mine = _plain(name)
    scored = []
    for other in sorted(set(known)):
        theirs = _plain(other)
        ratio = 1.0 if mine == theirs else difflib.SequenceMatcher(a=mine, b=theirs, autojunk=False).ratio()
        if mine and theirs and (mine in theirs or theirs in mine) and min(len(mine), len(theirs)) >= 4:
            ratio = max(ratio, 0.9)
        if ratio >= 0.6:
            scored.append((-ratio, other))
    return tuple(other for _, other in sorted(scored)[:most])


def _plain(name: str) -> str:
    """A name without namespace, separators, case and the suffixes that deployments add."""
    last = re.split(r"[/:]", name.strip().casefold())[-1]
    return re.sub(r"(service|svc|server|app|api)$", "", re.sub(r"[^\w]|_", "", last)) or last


def strangers(catalogue: Iterable[str], live: Iterable[str]) -> Strangers:
    """What only one side knows, by resolved names."""
    ours, theirs = set(catalogue), set(live)
    return Strangers(tuple(sorted(theirs - ours)), tuple(sorted(ours - theirs)))


def endpoint_seen(endpoint: str, names: Iterable[str]) -> str | None:
    """The route label or span name that is this endpoint (``POST /cart/{id}`` is ``/cart/:id``), or None."""
    method, path = _endpoint(endpoint)
    for name in sorted(names):
        their_method, their_path = _endpoint(name)
        if their_path == path and (not method or not their_method or method == their_method):
            return name
    return None


def _endpoint(text: str) -> tuple[str, str]:
    method, _, path = text.strip().rpartition(" ")
    parts = ("{}" if re.fullmatch(r"\{.*\}|:\w+|<.*>|\*", part) else part for part in path.strip("/").split("/"))
    return method.upper(), "/".join(parts)
