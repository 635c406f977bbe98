"""What another threshold or duration of a rule would have done to the pages people got."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite, log10
from operator import ge, gt, le, lt
from statistics import median

from ray_tui.analysis import episodes as alerting
from ray_tui.analysis.episodes import Episode
from ray_tui.core.ports import Incident, Series

COMPARE: dict[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}
DURATIONS = (0.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
"""Candidates for ``for``, in seconds."""
STEPS = 20
"""Candidate thresholds, spread over the values seen on the far side of the present one."""


@dataclass(frozen=True)
class Rule:
    """A threshold alert: its history holds the values of its left-hand side. ``service`` if its labels name
    none.
    """

    alert: str
    operator: str
    threshold: float
    for_seconds: float
    service: str = ""


@dataclass(frozen=True)
class Score:
    """What a setting did in a span. Precision and recall are None over no episode and no incident."""

    pages: int
    pages_per_week: float | None
    precision: float | None
    recall: float | None
    detected: frozenset[str]
    announced: frozenset[str]
    """Those of the detected that an episode began with: an alert that was firing anyway announces nothing."""
    time_to_detect_seconds: float | None


@dataclass(frozen=True)
class Effect:
    """The present setting against the proposed one, over the same span."""

    before: Score
    after: Score


@dataclass(frozen=True)
class Proposal:
    """A change that a person may accept. ``kind``: ``noisy`` (fewer pages) or ``missed`` (more incidents
    found).
    """

    kind: str
    before: Rule
    after: Rule
    train: Effect
    held_out: Effect
    why: str


@dataclass(frozen=True)
class Backtest:
    """At most one proposal of each kind; ``why`` says what kept the others back."""

    rule: Rule
    proposals: tuple[Proposal, ...]
    why: str


def propose(
    rule: Rule,
    history: Sequence[Series],
    incidents: Sequence[Incident],
    window: tuple[float, float],
    step_seconds: float,
    grace_seconds: float = alerting.GRACE_SECONDS,
) -> Backtest:
    """Search other settings on the first half of ``window``, and keep what the second half bears out.

    No proposal loses an incident that the present setting detects, on either half. The best on the first half
    is tried first, the mildest change among equals; one that the second half refuses is dropped for the next.
    200,000 points of pure noise take seconds: run it off the event loop.
    Raises ValueError on an operator that is not one of > >= < <=.
    """
    if rule.operator not in COMPARE:
        raise ValueError(f"{rule.alert}: cannot backtest the operator {rule.operator!r}, only {', '.join(COMPARE)}")
    start, end = window
    middle = (start + end) / 2
    halves = ((start, middle), (middle, end))
    ours = [i for i in incidents if start <= i.started_at < end]

    def scores(firing: Sequence[Episode]) -> tuple[Score, Score]:
        about = alerting.told(firing, ours, grace_seconds)
        return _score(firing, about, ours, halves[0], grace_seconds), _score(
            firing, about, ours, halves[1], grace_seconds
        )

    present = scores(simulate(rule, history, step_seconds))
    if not present[0].pages + present[1].pages and not ours:
        return Backtest(rule, (), "it never fired and there was no incident: nothing to learn from")
    tried = _try_all(rule, history, middle, step_seconds, scores)
    proposals, notes = [], []
    for kind, better, order in (("noisy", _quieter, _quiet_order), ("missed", _finds_more, _finding_order)):
        if kind == "noisy" and not present[0].detected:
            notes.append("noisy: it detected no incident in the first half, so nothing shows what must not be lost")
            continue
        good = [
            (s, t)
            for s, t in tried
            if _direction(rule, s) == kind and _keeps(present[0], t[0]) and better(present[0], t[0])
        ]
        good.sort(key=lambda one: (*order(one[1][0]), _distance(rule, one[0]), one[0].threshold, one[0].for_seconds))
        held = [(s, t) for s, t in good if _keeps(present[1], t[1]) and not _worsens(kind, present[1], t[1])]
        if not held:
            notes.append(f"{kind}: {len(good)} settings were better on the first half, none of them on the second")
            continue
        setting, (train, rest) = held[0]
        effects = Effect(present[0], train), Effect(present[1], rest)
        proposals.append(Proposal(kind, rule, setting, *effects, _why(setting, *effects)))
    return Backtest(rule, tuple(proposals), "; ".join(notes))


def simulate(rule: Rule, history: Sequence[Series], step_seconds: float) -> tuple[Episode, ...]:
    """The episodes that a setting would have fired; NaN does not fire, a gap of over two steps starts ``for``
    again.
    """
    return _firing(rule, [_runs(rule, series, step_seconds) for series in history], history)


Runs = list[tuple[float, float]]


def _runs(rule: Rule, series: Series, step: float) -> Runs:
    """Stretches [first, last] in which the condition held. Independent of ``for``."""
    holds, threshold = COMPARE[rule.operator], rule.threshold
    runs: Runs = []
    first: float | None = None
    last = 0.0
    for at, value in series.points:
        if first is not None and at - last > 2 * step:
            runs.append((first, last))
            first = None
        if holds(value, threshold):
            first = at if first is None else first
            last = at
        elif first is not None:
            runs.append((first, last))
            first = None
    if first is not None:
        runs.append((first, last))
    return runs


def _firing(rule: Rule, runs: Sequence[Runs], history: Sequence[Series]) -> tuple[Episode, ...]:
    found = []
    for series, own in zip(history, runs, strict=True):
        service = alerting.service_of(series.labels) or rule.service
        labels = {n: v for n, v in series.labels.items() if n not in alerting.OWN_LABELS}
        found += [
            Episode(rule.alert, service, labels, first + rule.for_seconds, last)
            for first, last in own
            if last - first >= rule.for_seconds
        ]
    return tuple(sorted(found, key=lambda episode: episode.started_at))


def _try_all(
    rule: Rule,
    history: Sequence[Series],
    middle: float,
    step: float,
    scores: Callable[[Sequence[Episode]], tuple[Score, Score]],
) -> list[tuple[Rule, tuple[Score, Score]]]:
    tried = []
    for threshold in _thresholds(rule, history, middle):
        at_threshold = replace(rule, threshold=threshold)
        runs = [_runs(at_threshold, series, step) for series in history]
        for seconds in sorted({*DURATIONS, rule.for_seconds}):
            setting = replace(at_threshold, for_seconds=seconds)
            if _direction(rule, setting):
                tried.append((setting, scores(_firing(setting, runs, history))))
    return tried


def _direction(rule: Rule, setting: Rule) -> str:
    """Whether a setting only fires where the rule does (``noisy``), or wherever it does (``missed``); "" if neither.

    Or a threshold so low that the alert fires for ever would be the quietest of all.
    """
    beyond, longer = setting.threshold - rule.threshold, setting.for_seconds - rule.for_seconds
    if rule.operator in ("<", "<="):
        beyond = -beyond
    if beyond >= 0 and longer >= 0 and beyond + longer > 0:
        return "noisy"
    return "missed" if beyond <= 0 and longer <= 0 and beyond + longer < 0 else ""


def _thresholds(rule: Rule, history: Sequence[Series], middle: float) -> list[float]:
    """The present threshold and round values on both sides of it, from the first half only."""
    seen = sorted({v for series in history for at, v in series.points if at < middle and isfinite(v)})
    below = [v for v in seen if v < rule.threshold]
    above = [v for v in seen if v > rule.threshold]
    picked = {_round(side[len(side) * k // STEPS]) for side in (below, above) if side for k in range(STEPS)}
    return sorted({rule.threshold, *picked})


def _round(value: float, digits: int = 3) -> float:
    return round(value, digits - 1 - floor(log10(abs(value)))) if value else 0.0


def _score(
    firing: Sequence[Episode],
    about: Sequence[Sequence[int]],
    incidents: Sequence[Incident],
    half: tuple[float, float],
    grace: float,
) -> Score:
    """Episodes and incidents belong to the half they start in; an incident may be told of by any episode."""
    start, end = half
    own = [bool(told) for episode, told in zip(firing, about, strict=True) if start <= episode.started_at < end]
    mine = {at for at, incident in enumerate(incidents) if start <= incident.started_at < end}
    soonest: dict[int, float] = {}
    announced: set[int] = set()
    for episode, told in zip(firing, about, strict=True):
        for at in mine.intersection(told):
            soonest[at] = min(soonest.get(at, episode.started_at), episode.started_at)
            if episode.started_at >= incidents[at].started_at - grace:
                announced.add(at)
    return Score(
        len(own),
        alerting.pages_per_week(len(own), end - start),
        sum(own) / len(own) if own else None,
        len(soonest) / len(mine) if mine else None,
        frozenset(incidents[at].id for at in soonest),
        frozenset(incidents[at].id for at in announced),
        median(seen - incidents[at].started_at for at, seen in soonest.items()) if soonest else None,
    )


def _keeps(before: Score, after: Score) -> bool:
    return before.detected <= after.detected and before.announced <= after.announced


def _precise(score: Score) -> float:
    """No page is no false page."""
    return 1.0 if score.precision is None else score.precision


def _quieter(before: Score, after: Score) -> bool:
    return after.pages < before.pages and _precise(after) >= _precise(before)


def _quiet_order(score: Score) -> tuple[float, ...]:
    return -_precise(score), score.pages


def _finds_more(before: Score, after: Score) -> bool:
    return len(after.announced) > len(before.announced) and _precise(after) >= min(_precise(before), 0.85)


def _finding_order(score: Score) -> tuple[float, ...]:
    return -len(score.announced), -_precise(score), score.pages


def _worsens(kind: str, before: Score, after: Score) -> bool:
    """Whether the held-out half speaks against it."""
    if kind == "noisy":
        return after.pages > before.pages or _precise(after) < _precise(before)
    return _precise(after) < min(_precise(before), 0.85)


def _distance(rule: Rule, setting: Rule) -> float:
    """How far a setting is from the present one: relative threshold, plus ``for`` in units of ten minutes."""
    scale = abs(rule.threshold) or 1.0
    return abs(setting.threshold - rule.threshold) / scale + abs(setting.for_seconds - rule.for_seconds) / 600


def _why(setting: Rule, train: Effect, rest: Effect) -> str:
    def half(effect: Effect) -> str:
        before, after = effect.before, effect.after
        return (
            f"pages/week {_number(before.pages_per_week)} → {_number(after.pages_per_week)}, "
            f"precision {_percent(before.precision)} → {_percent(after.precision)}, "
            f"recall {_percent(before.recall)} → {_percent(after.recall)}"
        )

    unproven = "" if rest.before.detected else "; the held-out half holds no detected incident that could be lost"
    new = f"{setting.operator} {setting.threshold:g} for {setting.for_seconds:g} s"
    return f"{new}: first half {half(train)}; held-out half {half(rest)}{unproven}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"
