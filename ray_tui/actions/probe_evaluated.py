"""When a rule began to fire: what ``ALERTS_FOR_STATE``, the alerts API and our looks say, and whether they agree."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ray_tui.actions.probe_judging import Skew
from ray_tui.actions.probe_plan import PROBE_LABEL
from ray_tui.actions.probe_sightings import EXACT, SECOND, Stamp
from ray_tui.analysis.hops import Interval, observed
from ray_tui.core.errors import BackendError, NotSupported
from ray_tui.core.ports import Metrics

SERIES, API = "ALERTS_FOR_STATE", "activeAt"


@dataclass(frozen=True)
class Looked:
    """One look. ``shown`` and ``stated`` are what the alerts API and the series say; None: they do not show it."""

    shown: Stamp | None
    stated: Stamp | None
    api: bool
    """The alerts API answered."""
    series: bool
    """The series could be asked for."""
    trouble: str = ""

    @property
    def found(self) -> bool:
        return self.shown is not None or self.stated is not None

    @property
    def half(self) -> bool:
        """One shows it, and the other answers and does not: it may only be a moment behind."""
        if self.shown is None:
            return self.stated is not None and self.api
        return self.stated is None and self.series


@dataclass(frozen=True)
class Fired:
    """When, from where that is known, and what the sources disagree on ("" where they agree)."""

    when: Interval
    source: str
    disagreement: str = ""


async def look(metrics: Metrics, token: str) -> Looked:
    """Both sources, each as far as it is there: an agent has no alerts, a query front end may have no rules."""
    shown = stated = None
    api = series = False
    trouble: list[str] = []
    try:
        active = [one for one in await metrics.alerts() if one.labels.get(PROBE_LABEL) == token]
        api = True
        since = [one.active_at for one in active if one.state == "firing"]
        shown = Stamp(min(since), EXACT) if since else None
    except NotSupported:
        pass
    except BackendError as error:
        trouble.append(str(error))
    try:
        vector = await metrics.query(f"{SERIES}{{{PROBE_LABEL}={json.dumps(token)}}}")
        series = True
        values = [one.value for one in vector.samples if one.labels.get(PROBE_LABEL) == token]
        good = [value for value in values if math.isfinite(value) and value > 0]
        stated = Stamp(min(good), SECOND) if good else None
    except BackendError as error:
        trouble.append(str(error))
    if not api and not series and not trouble:
        trouble.append("metrics: it has neither an alerts API nor ALERTS_FOR_STATE")
    return Looked(shown, stated, api, series, "; ".join(trouble))


def fired_at(found: Looked, looked: float, seen_at: float, skew: Skew) -> Fired:
    """The intersection of what the sources say; ``looked`` is when the last look began that did not show it.

    Where a date cannot be placed on our clock (``skew`` None), our looks alone bound it. Where the sources exclude
    each other by more than resolution and skew, our looks do as well, and the disagreement is said.
    """
    polled = Interval(min(looked, seen_at), seen_at)
    dated = {name: stamp for name, stamp in ((SERIES, found.stated), (API, found.shown)) if stamp is not None}
    names = ", ".join(dated)
    if skew is None:
        apart = _apart({name: observed(_at(stamp), stamp.resolution) for name, stamp in dated.items()})
        return Fired(polled, f"poll ({names}; its clock is not known)", apart)
    spans = {name: observed(_at(stamp), stamp.resolution, skew) for name, stamp in dated.items()}
    apart = _apart({**spans, "our looks": polled})
    if apart:
        return Fired(
            polled, f"poll, {names} disagree", f"{apart}, with its clock {skew[0]:+.1f} to {skew[1]:+.1f} s off"
        )
    everything = [polled, *spans.values()]
    when = Interval(max(one.earliest for one in everything), min(one.latest for one in everything))
    return Fired(when, f"{names} and poll")


def _at(stamp: Stamp) -> float:
    assert stamp.at is not None
    return stamp.at


def _apart(spans: Mapping[str, Interval]) -> str:
    """Which two exclude each other most, and by how much; "" where all of them overlap."""
    last = max(spans, key=lambda name: spans[name].earliest)
    first = min(spans, key=lambda name: spans[name].latest)
    gap = spans[last].earliest - spans[first].latest
    return f"{first} and {last} are {gap:.3f} s apart" if gap > 0 else ""
