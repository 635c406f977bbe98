"""What happens in the demo's shop: every metric, alert, incident, log line and trace as a pure function of time."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, cos, exp, floor, inf, log, pi, sin
from statistics import NormalDist
from zlib import crc32

from ray_tui.demo.rules import TEAM_RULES
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.series import GRID_MS, GridSeries, Matcher, labels_of, selected

RELEASE = "checkout-v2.4.1"
ENVIRONMENT = "production"
OLD_VERSION, NEW_VERSION = "v2.4.0", "v2.4.1"
DEPLOYED_BEFORE_START_SECONDS = 2400.0
HISTORY_SECONDS = 15 * 86400.0
"""How far back before the start ordinary series and alerts reach."""
LOG_HISTORY_SECONDS = TRACE_HISTORY_SECONDS = 86400.0

CRITICAL = frozenset({"frontend", "gateway", "checkout", "payments", "cart", "auth"})
MODIFIED = frozenset({"checkout", "payments", "search"})
NEW = frozenset({"recommendations"})
REGULATED = frozenset({"payments"})
WORKERS = frozenset({"notifications"})

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, inf)


@dataclass(frozen=True)
class Route:
    """A route of a service and its share of the service's requests before and after the deploy."""

    path: str
    method: str
    before: float
    after: float


@dataclass(frozen=True)
class Service:
    name: str
    rate: float
    """Requests (of a worker: messages) a second."""
    median_seconds: float
    routes: tuple[Route, ...] = ()

    @property
    def version_before(self) -> str | None:
        return None if self.name in NEW else OLD_VERSION

    @property
    def version_after(self) -> str:
        return NEW_VERSION if self.name in MODIFIED | NEW else OLD_VERSION


SERVICES: tuple[Service, ...] = (
    Service("frontend", 40.0, 0.050, (Route("/", "GET", 0.7, 0.7), Route("/checkout", "POST", 0.3, 0.3))),
    Service("gateway", 60.0, 0.035, (Route("/api", "GET", 0.8, 0.8), Route("/api/orders", "POST", 0.2, 0.2))),
    Service(
        "checkout",
        16.0,
        0.080,
        (
            Route("/api/v1/checkout", "POST", 0.8, 0.3),
            Route("/api/v2/checkout", "POST", 0.0, 0.5),
            Route("/api/checkout/status", "GET", 0.2, 0.2),
        ),
    ),
    Service(
        "payments",
        12.0,
        0.120,
        (Route("/api/payments", "POST", 0.7, 0.7), Route("/api/payments/refund", "POST", 0.3, 0.3)),
    ),
    Service("cart", 25.0, 0.020, (Route("/api/cart", "GET", 0.6, 0.6), Route("/api/cart/items", "POST", 0.4, 0.4))),
    Service("search", 20.0, 0.070, (Route("/api/search", "GET", 1.0, 1.0),)),
    Service("catalog", 30.0, 0.025, (Route("/api/catalog", "GET", 1.0, 1.0),)),
    Service("recommendations", 15.0, 0.040, (Route("/api/recommendations", "GET", 0.0, 1.0),)),
    Service("inventory", 18.0, 0.022, (Route("/api/inventory", "GET", 1.0, 1.0),)),
    Service("shipping", 8.0, 0.060, (Route("/api/shipping/quote", "GET", 1.0, 1.0),)),
    Service("notifications", 6.0, 0.0),
    Service("auth", 22.0, 0.015, (Route("/api/token", "POST", 1.0, 1.0),)),
)
BY_NAME: Mapping[str, Service] = {service.name: service for service in SERVICES}

METADATA: Mapping[str, tuple[str, str]] = {
    "up": ("gauge", "Whether the last scrape succeeded."),
    "http_requests_total": ("counter", "Requests served."),
    "http_request_duration_seconds": ("histogram", "Time to serve a request."),
    "process_resident_memory_bytes": ("gauge", "Resident memory size in bytes."),
    "process_cpu_seconds_total": ("counter", "Total user and system CPU time spent in seconds."),
    "queue_messages_processed_total": ("counter", "Messages taken from the queue and handled."),
    "queue_lag_seconds": ("gauge", "Age of the oldest message in the queue."),
    "probe_success": ("gauge", "Displays whether or not the probe was a success."),
    "probe_duration_seconds": ("gauge", "Returns how long the probe took to complete in seconds."),
    "probe_http_status_code": ("gauge", "Response HTTP status code."),
    "build_info": ("gauge", "The version that runs; always 1."),
}
"""Metric (a histogram by its base name) -> type, help."""


@dataclass(frozen=True)
class DemoIncident:
    """A ticket of the last fortnight. ``alert_keys`` are the names of the alerts that saw it."""

    id: str
    title: str
    service: str
    started_at: float
    ended_at: float
    severity: str
    alert_keys: tuple[str, ...]


@dataclass(frozen=True)
class Episode:
    """An alert that fired once."""

    alert: str
    service: str
    severity: str
    started_at: float
    ended_at: float
    incident_id: str | None


@dataclass(frozen=True)
class LogLine:
    at_ns: int
    service: str
    level: str
    text: str


@dataclass(frozen=True)
class Span:
    span_id: str
    """16 hex digits; may begin with zeros."""
    parent_id: str
    """Empty for a root."""
    service: str
    name: str
    start_ns: int
    duration_ns: int
    method: str
    route: str
    failed: bool


@dataclass(frozen=True)
class Trace:
    trace_id: str
    """32 hex digits; may begin with zeros."""
    spans: tuple[Span, ...]

    @property
    def root(self) -> Span:
        return self.spans[0]

    @property
    def end_ns(self) -> int:
        return max(span.start_ns + span.duration_ns for span in self.spans)


def noise(cell: int, salt: int) -> float:
    """A number in [0, 1) that depends on its arguments alone (a splitmix64 step)."""
    mixed = (cell * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)


_LOAD = ((86400.0, 0.05), (2220.0, 0.02), (410.0, 0.04), (61.0, 0.05))
"""(period, share of the mean rate) of the swings of a service's load."""
_SLOW_SHARE = 0.2
_SLOWNESS = ((790.0, 0.01), (197.0, 0.02), (47.0, 0.04))
"""The same for the share of requests that are slow."""
_JITTER = 0.1
"""Per-cell noise in units of one cell's requests; with the swings above no counter can ever fall."""


@dataclass
class Load:
    """All requests and all slow requests of one service since the world began, in closed form."""

    rate: float
    salt: int
    begins_ms: int
    _known: dict[int, tuple[float, float]] = field(default_factory=dict)

    def totals(self, cell: int) -> tuple[float, float]:
        """(requests, slow requests among them) up to a grid cell: integrals of a base rate with sine swings."""
        known = self._known.get(cell)
        if known is not None:
            return known
        elapsed = (cell * GRID_MS - self.begins_ms) / 1000.0
        total, slow = elapsed, _SLOW_SHARE * elapsed
        for number, (period, size) in enumerate(_LOAD):
            total += _swing(elapsed, period, size, noise(number, self.salt))
        for number, (period, size) in enumerate(_SLOWNESS, start=10):
            slow += _swing(elapsed, period, size, noise(number, self.salt))
        total += _JITTER * (GRID_MS / 1000.0) * noise(cell, self.salt + 1)
        if len(self._known) > 20_000:
            self._known.clear()
        self._known[cell] = answer = (total * self.rate, slow * self.rate)
        return answer


def _swing(elapsed: float, period: float, size: float, phase: float) -> float:
    """The integral from 0 of ``size * sin(2 pi (t / period + phase))``."""
    pulse = 2 * pi / period
    return size / pulse * (cos(2 * pi * phase) - cos(pulse * elapsed + 2 * pi * phase))


@dataclass(frozen=True)
class Mix:
    """A counter as so many parts of all requests plus so many of the slow ones."""

    of_all: float
    of_slow: float = 0.0


_NOTHING = Mix(0.0)
_SIGMA = 0.45
_SLOW_FACTOR = 3.0
_NORMAL = NormalDist()


def _below(seconds: float, median: float) -> float:
    """The log-normal share of requests that take no longer."""
    return 1.0 if seconds == inf else _NORMAL.cdf(log(seconds / median) / _SIGMA)


def _bucket(share: float, upper: float, median: float) -> Mix:
    quick, slow = _below(upper, median), _below(upper, median * _SLOW_FACTOR)
    return Mix(share * quick, share * (slow - quick))


def _time_spent(share: float, median: float) -> Mix:
    mean = median * exp(_SIGMA * _SIGMA / 2)
    return Mix(share * mean, share * mean * (_SLOW_FACTOR - 1))


class World:
    """The shop under one scenario. ``started_at`` is unix seconds; nothing here looks at a clock."""

    def __init__(
        self,
        scenario: Scenario,
        started_at: float,
        seed: int = 12,
        targets_base: str = "https://shop.example",
    ) -> None:
        self.scenario = scenario
        self.started_at = started_at
        self.seed = seed
        self.deployed_at = started_at - DEPLOYED_BEFORE_START_SECONDS
        self.begins_at = started_at - HISTORY_SECONDS
        self.targets_base = targets_base
        self.missing = frozenset(scenario.telemetry.missing)
        self._begin = ceil(self.begins_at * 1000 / GRID_MS)
        self._deploy = ceil(self.deployed_at * 1000 / GRID_MS)
        self.episodes, self.incidents = _history(scenario, started_at, seed)
        self._trouble = _trouble_times(scenario, self.episodes)
        self._series: dict[str, list[GridSeries]] | None = None
        self._selected: dict[tuple[Matcher, ...], list[GridSeries]] = {}

    # --- who is who

    def sends(self, service: str, signal: str, at: float) -> bool:
        """Whether a service sends a signal (metrics, logs, traces, synthetics) at a time."""
        if at < self.begins_at or (service in NEW and at < self.deployed_at):
            return False
        if signal in ("traces", "synthetics") and service in WORKERS:
            return False
        return at < self.deployed_at or (service, signal) not in self.missing

    def probe_url(self, service: str) -> str:
        """What the synthetic check of a service gets."""
        return f"{self.targets_base}/{service}/healthz"

    def aim(self, targets_base: str) -> None:
        """Say where the services' own endpoints are, once their port is known and before anyone asks."""
        self.targets_base = targets_base
        self._series = None
        self._selected.clear()

    # --- metrics

    @property
    def metrics(self) -> Mapping[str, Sequence[GridSeries]]:
        """Every series by metric name."""
        if self._series is None:
            index: dict[str, list[GridSeries]] = {}
            for series in self._all_series():
                index.setdefault(dict(series.labels)["__name__"], []).append(series)
            self._series = index
        return self._series

    def select(self, matchers: Sequence[Matcher], steps: Sequence[int] = (), range_ms: int = 0) -> Sequence[GridSeries]:
        """Every series that matches, at any time (a Storage that knows the future, too); remembered, as none is new."""
        key = tuple(matchers)
        found = self._selected.get(key)
        if found is None:
            if len(self._selected) > 1000:
                self._selected.clear()
            names = [matcher.value for matcher in matchers if matcher.name == "__name__" and matcher.op == "="]
            groups = [self.metrics.get(name, ()) for name in names[:1]] if names else list(self.metrics.values())
            found = [series for group in groups for series in group if selected(series.labels, matchers)]
            self._selected[key] = found
        return found

    def _salt(self, *parts: str) -> int:
        return crc32(":".join((str(self.seed), *parts)).encode())

    def _runs(self, service: str, signal: str) -> tuple[tuple[int, int | None], ...]:
        first = self._deploy if service in NEW else self._begin
        last = self._deploy - 1 if (service, signal) in self.missing else None
        return () if last is not None and last < first else ((first, last),)

    def _all_series(self) -> Iterator[GridSeries]:
        for service in SERVICES:
            yield from self._service_series(service)
            if service.name not in WORKERS:
                yield from self._probe_series(service)
        yield from self._alert_series()

    def _service_series(self, service: Service) -> Iterator[GridSeries]:
        load = Load(service.rate, self._salt(service.name), self._begin * GRID_MS)
        target = {"job": "shop", "service": service.name, "instance": f"{service.name}:8080"}
        runs = self._runs(service.name, "metrics")
        if not runs:
            return

        def counter(name: str, before: Mix, after: Mix, whole: bool = True, **labels: str) -> GridSeries:
            own = self._from(runs, self._deploy) if before == _NOTHING else runs
            value = self._counted(load, before, after, whole)
            return GridSeries(labels_of(name, **target, **labels), own, value, monotonic=True)

        def gauge(name: str, base: float, swing: float, period: float) -> GridSeries:
            salt = self._salt(service.name, name)
            return GridSeries(labels_of(name, **target), runs, _wavering(base, swing, period, salt))

        def steady(name: str, **labels: str) -> GridSeries:
            return _constant(labels_of(name, **target, **labels), runs, 1.0)

        yield steady("up")
        yield from self._versions(service, target, runs)
        yield gauge("process_resident_memory_bytes", 180e6 + 4e6 * len(service.name), 0.03, 5400.0)
        yield counter("process_cpu_seconds_total", Mix(0.004), Mix(0.004), whole=False)
        if service.name in WORKERS:
            yield counter("queue_messages_processed_total", Mix(1.0), Mix(1.0), queue="outbox")
            yield gauge("queue_lag_seconds", 2.0, 0.4, 300.0)
            return
        for route in service.routes:
            yield from self._route_series(service, route, load, target, runs)
            name = "http_request_duration_seconds"
            slower = self._latency_factor(service.name)
            for upper in BUCKETS:
                before = _bucket(route.before, upper, service.median_seconds) if route.before else _NOTHING
                after = _bucket(route.after, upper, service.median_seconds * slower)
                bound = "+Inf" if upper == inf else f"{upper:g}"
                yield counter(f"{name}_bucket", before, after, route=route.path, le=bound)
            yield counter(f"{name}_count", Mix(route.before), Mix(route.after), route=route.path)
            spent_before = _time_spent(route.before, service.median_seconds)
            spent_after = _time_spent(route.after, service.median_seconds * slower)
            yield counter(f"{name}_sum", spent_before, spent_after, whole=False, route=route.path)

    def _route_series(
        self,
        service: Service,
        route: Route,
        load: Load,
        target: Mapping[str, str],
        runs: tuple[tuple[int, int | None], ...],
    ) -> Iterator[GridSeries]:
        """http_requests_total by status; a new version counts from nought."""
        worse = self.scenario.regression.error_factor if self.scenario.regression.service == service.name else 1.0
        trouble = _failed_then(load, self._trouble.get(service.name, ()))
        for status in ("200", "404", "500"):
            before, after = _status(status, route.before, 1.0), _status(status, route.after, worse)
            moved = {"500": route.before, "200": -route.before}.get(status, 0.0) if trouble else 0.0
            past = (trouble, moved) if trouble and moved else None
            labels = labels_of("http_requests_total", **target, route=route.path, status=status, version=OLD_VERSION)
            if service.version_after == OLD_VERSION:
                yield GridSeries(labels, runs, self._counted(load, before, after, past=past), monotonic=True)
                continue
            if route.before:
                old = self._until(runs, self._deploy - 1)
                yield GridSeries(labels, old, self._counted(load, before, after, past=past), monotonic=True)
            new = self._from(runs, self._deploy)
            if new:
                fresh = labels_of("http_requests_total", **target, route=route.path, status=status, version=NEW_VERSION)
                yield GridSeries(fresh, new, self._counted(load, _NOTHING, after), monotonic=True)

    def _versions(
        self, service: Service, target: Mapping[str, str], runs: tuple[tuple[int, int | None], ...]
    ) -> Iterator[GridSeries]:
        if service.version_before == service.version_after:
            yield _constant(labels_of("build_info", **target, version=service.version_after), runs, 1.0)
            return
        if service.version_before is not None:
            old = self._until(runs, self._deploy - 1)
            yield _constant(labels_of("build_info", **target, version=service.version_before), old, 1.0)
        new = self._from(runs, self._deploy)
        if new:
            yield _constant(labels_of("build_info", **target, version=service.version_after), new, 1.0)

    def _probe_series(self, service: Service) -> Iterator[GridSeries]:
        target = {"job": "blackbox", "service": service.name, "instance": self.probe_url(service.name)}
        runs = self._runs(service.name, "synthetics")
        if not runs:
            return
        yield _constant(labels_of("up", **target), runs, 1.0)
        yield _constant(labels_of("probe_success", **target), runs, 1.0)
        yield _constant(labels_of("probe_http_status_code", **target), runs, 200.0)
        duration = _wavering(service.median_seconds, 0.2, 130.0, self._salt(service.name, "probe"))
        yield GridSeries(labels_of("probe_duration_seconds", **target), runs, duration)

    def _alert_series(self) -> Iterator[GridSeries]:
        """ALERTS and ALERTS_FOR_STATE of the history; those of live rules are the metrics server's own."""
        grouped: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
        for episode in self.episodes:
            run = (ceil(episode.started_at * 1000 / GRID_MS), floor(episode.ended_at * 1000 / GRID_MS))
            grouped.setdefault((episode.alert, episode.service, episode.severity), []).append(run)
        for (alert, service, severity), runs in grouped.items():
            labels = {"alertname": alert, "service": service, "severity": severity}
            ordered = tuple(sorted(runs))
            yield _constant(labels_of("ALERTS", **labels, alertstate="firing"), ordered, 1.0)
            yield GridSeries(labels_of("ALERTS_FOR_STATE", **labels), ordered, _began(ordered))

    def _latency_factor(self, service: str) -> float:
        regression = self.scenario.regression
        return regression.latency_factor if regression.service == service else 1.0

    def _counted(
        self,
        load: Load,
        before: Mix,
        after: Mix,
        whole: bool = True,
        past: tuple[Callable[[int], float], float] | None = None,
    ) -> Callable[[int], float]:
        """A counter in closed form. ``past``: requests that ended otherwise in times of trouble, and what part of
        them counts here."""
        deploy = self._deploy

        def value(cell: int) -> float:
            total, slow = load.totals(cell)
            if cell < deploy:
                counted = before.of_all * total + before.of_slow * slow
            else:
                total_then, slow_then = load.totals(deploy)
                counted = (
                    before.of_all * total_then
                    + before.of_slow * slow_then
                    + after.of_all * (total - total_then)
                    + after.of_slow * (slow - slow_then)
                )
            if past is not None:
                counted += past[1] * past[0](cell)
            return float(floor(counted)) if whole else counted

        return value

    @staticmethod
    def _from(runs: tuple[tuple[int, int | None], ...], first: int) -> tuple[tuple[int, int | None], ...]:
        return tuple((max(low, first), high) for low, high in runs if high is None or high >= first)

    @staticmethod
    def _until(runs: tuple[tuple[int, int | None], ...], last: int) -> tuple[tuple[int, int | None], ...]:
        return tuple((low, last if high is None else min(high, last)) for low, high in runs if low <= last)

    # --- logs

    def logs(self, service: str, start_ns: int, end_ns: int, *, newest_first: bool = False) -> Iterator[LogLine]:
        """The lines of a service in [start, end), in time order or against it."""
        first = max(start_ns, int((self.started_at - LOG_HISTORY_SECONDS) * 1e9)) // _LOG_CELL_NS
        cells = range(first, -(-end_ns // _LOG_CELL_NS))
        salt = self._salt(service, "log")
        for cell in reversed(cells) if newest_first else cells:
            at = cell * _LOG_CELL_NS + int(noise(cell, salt) * _LOG_CELL_NS)
            if start_ns <= at < end_ns and self.sends(service, "logs", at / 1e9):
                yield _line(service, at, noise(cell, salt + 1), noise(cell, salt + 2))

    # --- traces

    def traces(self, start_ns: int, end_ns: int, *, newest_first: bool = True) -> Iterator[Trace]:
        """The traces that began in [start, end)."""
        first = max(start_ns, int((self.started_at - TRACE_HISTORY_SECONDS) * 1e9)) // _TRACE_CELL_NS
        cells = range(first, -(-end_ns // _TRACE_CELL_NS))
        for cell in reversed(cells) if newest_first else cells:
            trace = self._trace(cell)
            if trace is not None and start_ns <= trace.root.start_ns < end_ns:
                yield trace

    def trace(self, trace_id: str) -> Trace | None:
        """By its id (32 hex digits), or None: the cell that it belongs to stands in the id."""
        try:
            cell = int(trace_id[:16], 16)
        except ValueError:
            return None
        if cell * _TRACE_CELL_NS < (self.started_at - TRACE_HISTORY_SECONDS) * 1e9:
            return None
        trace = self._trace(cell)
        return trace if trace is not None and trace.trace_id == trace_id else None

    def _trace(self, cell: int) -> Trace | None:
        salt = self._salt("trace")
        start = cell * _TRACE_CELL_NS + int(noise(cell, salt) * _TRACE_CELL_NS / 2)
        at = start / 1e9
        deployed = at >= self.deployed_at
        flow = _FLOWS[cell % len(_FLOWS)]
        spans: list[Span] = []
        kept: dict[int, str] = {}
        for number, (parent, service, name_before, name_after) in enumerate(flow):
            name = name_after if deployed else name_before
            if not name or not self.sends(service, "traces", at):
                kept[number] = kept.get(parent, "")
                continue
            span_id = f"{int(noise(cell * 16 + number, salt + 2) * 2**60):016x}"
            wobble = exp(_SIGMA * (noise(cell * 16 + number, salt + 3) - 0.5) * 3)
            factor = self._latency_factor(service) if deployed else 1.0
            own = BY_NAME[service].median_seconds * factor * wobble
            method, _, route = name.partition(" ")
            failed = noise(cell * 16 + number, salt + 4) < 0.004
            spans.append(
                Span(
                    span_id,
                    kept.get(parent, ""),
                    service,
                    name,
                    start + number * 700_000,
                    int(own * 1e9),
                    method,
                    route,
                    failed,
                )
            )
            kept[number] = span_id
        if not spans:
            return None
        return Trace(f"{cell:016x}{int(noise(cell, salt + 1) * 2**62):016x}", _nested(spans))


_LOG_CELL_NS = 4_000_000_000
_TRACE_CELL_NS = 2_000_000_000

Flow = tuple[tuple[int, str, str, str], ...]
_FLOWS: tuple[Flow, ...] = (
    # (place of the parent in this flow, service, span name before the deploy, after it)
    (
        (-1, "frontend", "POST /checkout", "POST /checkout"),
        (0, "gateway", "POST /api/orders", "POST /api/orders"),
        (1, "auth", "POST /api/token", "POST /api/token"),
        (1, "checkout", "POST /api/v1/checkout", "POST /api/v2/checkout"),
        (3, "cart", "GET /api/cart", "GET /api/cart"),
        (3, "payments", "POST /api/payments", "POST /api/payments"),
        (3, "shipping", "GET /api/shipping/quote", "GET /api/shipping/quote"),
    ),
    (
        (-1, "frontend", "GET /", "GET /"),
        (0, "gateway", "GET /api", "GET /api"),
        (1, "catalog", "GET /api/catalog", "GET /api/catalog"),
        (2, "inventory", "GET /api/inventory", "GET /api/inventory"),
        (1, "recommendations", "", "GET /api/recommendations"),
    ),
    (
        (-1, "frontend", "GET /", "GET /"),
        (0, "gateway", "GET /api", "GET /api"),
        (1, "search", "GET /api/search", "GET /api/search"),
        (1, "cart", "POST /api/cart/items", "POST /api/cart/items"),
    ),
)


def _nested(spans: list[Span]) -> tuple[Span, ...]:
    """Give every span at least the time that its children take, and a root that comes first."""
    ends: dict[str, int] = {}
    done: list[Span] = []
    for span in reversed(spans):
        end = max(span.start_ns + span.duration_ns, ends.get(span.span_id, 0))
        done.append(
            Span(
                span.span_id,
                span.parent_id,
                span.service,
                span.name,
                span.start_ns,
                end - span.start_ns,
                span.method,
                span.route,
                span.failed,
            )
        )
        if span.parent_id:
            ends[span.parent_id] = max(ends.get(span.parent_id, 0), end + 200_000)
    return tuple(reversed(done))


def _line(service: str, at_ns: int, kind: float, detail: float) -> LogLine:
    known = BY_NAME[service]
    took = max(1, int((known.median_seconds or 0.2) * 1000 * (0.5 + 2 * detail)))
    if known.routes:
        route = known.routes[int(detail * len(known.routes))]
        what = f"method={route.method} path={route.path}"
    else:
        what = "queue=outbox message=handled"
    if kind < 0.003:
        return LogLine(at_ns, service, "error", f'level=error {what} status=500 took={took}ms msg="upstream timed out"')
    if kind < 0.03:
        return LogLine(at_ns, service, "warn", f'level=warn {what} took={took * 4}ms msg="slow"')
    return LogLine(at_ns, service, "info", f"level=info {what} status=200 took={took}ms")


def _status(status: str, share: float, worse: float) -> Mix:
    """How much of a route's requests end so: 0.6% are not found, 0.15% of the slow ones fail."""
    if not share:
        return _NOTHING
    failed = min(0.0015 * worse, 0.9)
    if status == "500":
        return Mix(0.0, share * failed)
    if status == "404":
        return Mix(share * 0.006)
    return Mix(share * 0.994, -share * failed)


def _constant(labels: tuple[tuple[str, str], ...], runs: Sequence[tuple[int, int | None]], value: float) -> GridSeries:
    return GridSeries(labels, tuple(runs), lambda _cell: value, constant=value)


def _began(runs: Sequence[tuple[int, int]]) -> Callable[[int], float]:
    """The start of the run that a cell is in, in unix seconds."""

    def value(cell: int) -> float:
        return max(first for first, _ in runs if first <= cell) * GRID_MS / 1000

    return value


def _wavering(base: float, swing: float, period: float, salt: int) -> Callable[[int], float]:
    """A gauge around ``base``: a sine of relative size ``swing`` and a third of that in noise."""
    phase = noise(0, salt) * 2 * pi

    def value(cell: int) -> float:
        wave = sin(2 * pi * cell * GRID_MS / 1000 / period + phase)
        return base * (1 + swing * wave + swing / 3 * (noise(cell, salt) - 0.5))

    return value


_PAST: tuple[tuple[str, int, int], ...] = (
    # alert, how often it fired in the fortnight, how often something was wrong
    ("CheckoutHighLatency", 12, 12),
    ("PaymentsHighErrorRatio", 12, 11),
    ("CartHighErrorRatio", 4, 4),
    ("GatewayTargetDown", 3, 3),
    ("FrontendProbeFailed", 2, 2),
    ("QueueLagHigh", 5, 4),
)
_NOISY_TIMES, _NOISY_RIGHT = 14, 4


def _history(scenario: Scenario, started_at: float, seed: int) -> tuple[tuple[Episode, ...], tuple[DemoIncident, ...]]:
    """Alerts and incidents from 13.8 to 1.2 days ago, far enough apart that none is taken for another."""
    noisy = scenario.history.noisy_rules
    counts = {alert: (times, right) for alert, times, right in _PAST}
    counts.update(dict.fromkeys(noisy, (_NOISY_TIMES, _NOISY_RIGHT)))
    known = {rule.name: rule for rule in TEAM_RULES}
    plan: list[tuple[str, str, str, bool]] = []
    for alert, (times, right) in counts.items():
        rule = known.get(alert)
        service, severity = (rule.service, rule.severity) if rule else ("search", "warning")
        plan += [(alert, service, severity, number < right) for number in range(times)]
    plan += [("", service, "critical", True) for service in scenario.history.missed_incidents]
    chance = random.Random(seed)
    chance.shuffle(plan)
    begin, slot = started_at - 13.8 * 86400, 12.6 * 86400 / max(1, len(plan))
    episodes: list[Episode] = []
    incidents: list[DemoIncident] = []
    for number, (alert, service, severity, right) in enumerate(plan):
        start = begin + slot * number + chance.uniform(0, slot * 0.3)
        end = start + chance.uniform(600, 2100)
        before, after = chance.uniform(60, 240), chance.uniform(60, 600)
        incident_id = f"SHOP-{1200 + len(incidents)}" if right else None
        if alert:
            episodes.append(Episode(alert, service, severity, start, end, incident_id))
        if incident_id is not None:
            title = f"{service}: {_trouble(alert)}"
            keys = (alert,) if alert else ()
            incidents.append(DemoIncident(incident_id, title, service, start - before, end + after, severity, keys))
    return tuple(episodes), tuple(incidents)


_TROUBLE_BEFORE = 200.0
"""Seconds before a noisy alert in which requests fail already: the rule's 5 minutes see it when it fires."""
_FALSE_ALARM, _TRUE_ALARM = (460.0, 0.065), (580.0, 0.11)
"""(seconds, share of failed requests) of an alert that cries wolf, just beyond the rule's 5%, and of one that is right.
Short enough to leave the service's error budget whole."""

Trouble = tuple[tuple[int, int, float], ...]
"""(first cell, last cell, share of the requests that fail) in time order."""


def _trouble_times(scenario: Scenario, episodes: Sequence[Episode]) -> Mapping[str, Trouble]:
    """Service -> when its requests failed in the past: at each episode of a noisy rule about failed requests."""
    found: dict[str, list[tuple[int, int, float]]] = {}
    for episode in episodes:
        if episode.alert in scenario.history.noisy_rules and episode.alert.endswith("ErrorRatio"):
            lasts, share = _FALSE_ALARM if episode.incident_id is None else _TRUE_ALARM
            first, last = episode.started_at - _TROUBLE_BEFORE, episode.started_at + lasts
            cells = (floor(first * 1000 / GRID_MS), floor(last * 1000 / GRID_MS), share)
            found.setdefault(episode.service, []).append(cells)
    return {service: tuple(sorted(times)) for service, times in found.items()}


def _failed_then(load: Load, trouble: Trouble) -> Callable[[int], float] | None:
    """How many requests had failed in all of the trouble up to a cell; None where there was none."""
    if not trouble:
        return None

    def failed(cell: int) -> float:
        count = 0.0
        for first, last, share in trouble:
            if cell > first:
                count += share * (load.totals(min(cell, last))[0] - load.totals(first)[0])
        return count

    return failed


def _trouble(alert: str) -> str:
    for part, words in (("Latency", "slow answers"), ("Error", "failed requests"), ("Lag", "late messages")):
        if part in alert:
            return words
    return "unreachable" if alert else "customers reported failures"
