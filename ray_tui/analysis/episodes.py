"""Which alerts meant something: episodes from ALERTS history, matched with the incidents people wrote down."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from ray_tui.analysis import wilson
from ray_tui.analysis.matchers import OPERATORS, Matcher, MatcherError, all_match
from ray_tui.analysis.wilson import Share
from ray_tui.core.ports import Incident, Labels, Series, Silence

GRACE_SECONDS = 600.0
WEEK_SECONDS = 7 * 86_400.0
PROBE_LABEL = "ray_tui_probe"
SERVICE_LABELS = ("service", "service_name", "app", "job")
OWN_LABELS = frozenset({"__name__", "alertname", "alertstate"})


@dataclass(frozen=True)
class Episode:
    """One stretch of one alert's firing; ``ended_at`` is when it was last seen firing. ``labels``: its
    identity.
    """

    alert: str
    service: str
    labels: Labels
    started_at: float
    ended_at: float


@dataclass(frozen=True)
class Maintenance:
    """Announced work, during which alerts are expected; ``services`` empty means all of them."""

    starts_at: float
    ends_at: float
    services: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Episodes:
    """The episodes that count, in time order, and how many did not."""

    kept: tuple[Episode, ...]
    probes: int = 0
    silenced: int = 0
    maintenance: int = 0


@dataclass(frozen=True)
class RuleRecord:
    """How one rule did. ``duplicates`` told of an incident the rule had told of; ``flaps`` fired again within
    grace.

    ``time_to_detect_seconds`` is the median from an incident's start; negative when the alert was first.
    """

    alert: str
    n: int
    true: int
    false: int
    duplicates: int
    flaps: int
    precision: Share
    time_to_detect_seconds: float | None
    incidents: tuple[str, ...]


@dataclass(frozen=True)
class IncidentRecord:
    """Which rules told of an incident; none: it was missed."""

    incident: Incident
    detected_by: tuple[str, ...]
    time_to_detect_seconds: float | None

    @property
    def missed(self) -> bool:
        return not self.detected_by


@dataclass(frozen=True)
class Correlation:
    """Rules by name, incidents by start. ``precision`` is over all episodes, ``recall`` over all incidents."""

    rules: tuple[RuleRecord, ...]
    incidents: tuple[IncidentRecord, ...]
    precision: Share
    recall: Share


def find(
    series: Iterable[Series],
    step_seconds: float,
    silences: Sequence[Silence] = (),
    maintenance: Sequence[Maintenance] = (),
    service_labels: Sequence[str] = SERVICE_LABELS,
    external_labels: Labels | None = None,
) -> Episodes:
    """Episodes of firing in an ``ALERTS`` matrix of that step; a gap of more than two steps ends one.

    Our own probes do not count. Time under a silence or maintenance paged nobody: an episode that begins in
    it begins when it ends, and one that lies within it does not count. ``external_labels`` are those that
    Prometheus adds on the way to Alertmanager, for silences that name them.
    """
    kept: list[Episode] = []
    probes = silenced = maintained = 0
    for one in series:
        if one.labels.get("alertstate", "firing") != "firing":
            continue
        for episode in _stretches(one, step_seconds, service_labels):
            if PROBE_LABEL in episode.labels:
                probes += 1
                continue
            seen = {**(external_labels or {}), **one.labels}
            quiet = [(s.starts_at, s.ends_at) for s in silences if silences_labels(s, seen)]
            work = [(m.starts_at, m.ends_at) for m in maintenance if not m.services or episode.service in m.services]
            if _begin(episode, quiet) is None:
                silenced += 1
            elif (begin := _begin(episode, quiet + work)) is None:
                maintained += 1
            else:
                kept.append(Episode(episode.alert, episode.service, episode.labels, begin, episode.ended_at))
    kept.sort(key=lambda e: (e.started_at, e.alert, sorted(e.labels.items())))
    return Episodes(tuple(kept), probes, silenced, maintained)


def silences_labels(silence: Silence, labels: Labels) -> bool:
    """Whether all matchers of a silence match these labels, as Alertmanager does: anchored, a missing label
    is ''.
    """
    try:
        matchers = [
            Matcher(name, op, value) for name, text, value in silence.matchers for op in OPERATORS if op == text
        ]
    except MatcherError:
        return False  # a pattern we can't read silences nothing: the page stays in the count
    return bool(matchers) and len(matchers) == len(silence.matchers) and all_match(matchers, labels)


def match(
    episodes: Sequence[Episode],
    incidents: Sequence[Incident],
    grace_seconds: float = GRACE_SECONDS,
    aliases: Mapping[str, str] | None = None,
) -> Correlation:
    """Match episodes with incidents of the same service whose times overlap, give or take the grace.

    An incident that names the alert in ``alert_keys`` needs no service. An open incident has no end.
    ``aliases`` maps other names of a service to ours. Nothing is matched on an empty service.
    """
    ordered = sorted(incidents, key=lambda i: (i.started_at, i.id))
    about = told(episodes, ordered, grace_seconds, aliases)
    by_rule: dict[str, list[int]] = defaultdict(list)
    for at, episode in enumerate(episodes):
        by_rule[episode.alert].append(at)
    rules = tuple(_rule(alert, by_rule[alert], episodes, about, ordered, grace_seconds) for alert in sorted(by_rule))
    records = tuple(_incident(at, ordered[at], episodes, about) for at in range(len(ordered)))
    return Correlation(
        rules,
        records,
        wilson.precision(sum(r.true for r in rules), len(episodes)),
        wilson.precision(sum(not r.missed for r in records), len(records)),
    )


def told(
    episodes: Sequence[Episode],
    incidents: Sequence[Incident],
    grace_seconds: float = GRACE_SECONDS,
    aliases: Mapping[str, str] | None = None,
) -> list[list[int]]:
    """For each episode, the positions of the incidents that it told of. See ``match``."""
    names = {_fold(other): _fold(ours) for other, ours in (aliases or {}).items()}

    def ours(service: str) -> str:
        return names.get(_fold(service), _fold(service))

    near: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    found = []
    for episode in episodes:
        key = (episode.service, episode.alert)
        if key not in near:
            service = ours(episode.service)
            near[key] = [
                (i.started_at - grace_seconds, inf if i.ended_at is None else i.ended_at + grace_seconds, at)
                for at, i in enumerate(incidents)
                if (service and service == ours(i.service)) or episode.alert in i.alert_keys
            ]
        start, end = episode.started_at, episode.ended_at
        found.append([at for begin, over, at in near[key] if start <= over and end >= begin])
    return found


def pages_per_week(count: int, window_seconds: float) -> float | None:
    """Episodes as a weekly rate; None over an empty window."""
    return count / window_seconds * WEEK_SECONDS if window_seconds > 0 else None


def service_of(labels: Labels, service_labels: Sequence[str] = SERVICE_LABELS) -> str:
    """The service that an alert's labels name, by the first label that has a value; "" if none does."""
    return next((labels[name] for name in service_labels if labels.get(name)), "")


def _stretches(series: Series, step: float, service_labels: Sequence[str]) -> list[Episode]:
    alert = series.labels.get("alertname", "")
    identity = {name: value for name, value in series.labels.items() if name not in OWN_LABELS}
    service = service_of(series.labels, service_labels)
    spans: list[list[float]] = []
    for at, value in series.points:
        if not value > 0:  # NaN too
            continue
        if spans and at - spans[-1][1] <= 2 * step:
            spans[-1][1] = at
        else:
            spans.append([at, at])
    return [Episode(alert, service, identity, start, end) for start, end in spans]


def _begin(episode: Episode, quiet: Sequence[tuple[float, float]]) -> float | None:
    """When the episode was first outside of all the quiet spans; None if it never was."""
    begin = episode.started_at
    for start, end in sorted(quiet):
        if start <= begin < end:
            begin = end
    return begin if begin <= episode.ended_at else None


def _fold(service: str) -> str:
    return service.strip().casefold()


def _rule(
    alert: str,
    own: Sequence[int],
    episodes: Sequence[Episode],
    told: Sequence[Sequence[int]],
    incidents: Sequence[Incident],
    grace: float,
) -> RuleRecord:
    first: dict[int, float] = {}
    last_end: dict[tuple[tuple[str, str], ...], float] = {}
    true = duplicates = flaps = 0
    for at in sorted(own, key=lambda one: episodes[one].started_at):
        episode, about = episodes[at], told[at]
        true += bool(about)
        duplicates += bool(about) and all(incident in first for incident in about)
        for incident in about:
            first.setdefault(incident, episode.started_at)
        identity = tuple(sorted(episode.labels.items()))
        flaps += episode.started_at - last_end.get(identity, -inf) <= grace
        last_end[identity] = episode.ended_at
    return RuleRecord(
        alert,
        len(own),
        true,
        len(own) - true,
        duplicates,
        flaps,
        wilson.precision(true, len(own)),
        median(at - incidents[i].started_at for i, at in first.items()) if first else None,
        tuple(incidents[i].id for i in sorted(first)),
    )


def _incident(
    at: int, incident: Incident, episodes: Sequence[Episode], told: Sequence[Sequence[int]]
) -> IncidentRecord:
    by = [episode for episode, about in zip(episodes, told, strict=True) if at in about]
    soonest = min((episode.started_at for episode in by), default=None)
    took = None if soonest is None else soonest - incident.started_at
    return IncidentRecord(incident, tuple(sorted({episode.alert for episode in by})), took)
