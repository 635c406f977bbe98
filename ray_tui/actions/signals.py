"""What each telemetry store says of every service: one question a signal, aggregated where the data lies."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from ray_tui.actions.services import ServiceFacts
from ray_tui.analysis import coverage, red
from ray_tui.config import Signal
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Labels, LastSeen, Metrics, Vector
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Context

RATE_SECONDS = 300.0
"""The window over which traffic is looked for; it never reaches back before the deploy."""
SHORTEST_RATE_SECONDS = 60.0
"""A rate needs two samples: in less time than this, none is no news."""


@dataclass(frozen=True)
class Seen:
    """What one signal's store said of one service. ``problem`` says why there is no answer, ``doubt`` why it may be
    partial."""

    at: float | None
    query: str
    problem: str = ""
    verdict: Verdict = Verdict.ERROR
    """What a cell with a problem is."""
    doubt: str = ""


@dataclass
class Audit:
    """Everything asked, before it is judged."""

    services: dict[str, ServiceFacts]
    deployed_at: float
    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)
    live: dict[str, frozenset[str]] = field(default_factory=dict)
    """Signal -> names that its store knows."""
    live_problems: list[str] = field(default_factory=list)
    failing_probes: list[dict[str, Any]] = field(default_factory=list)
    probes_unknown: bool = False
    visits: list[dict[str, Any]] = field(default_factory=list)
    red: list[coverage.Red] = field(default_factory=list)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    renamed: dict[tuple[str, str], str] = field(default_factory=dict)
    """(service, signal) -> the live name that a person confirmed."""
    targets: dict[tuple[str, Signal], str] = field(default_factory=dict)
    """(service, signal) -> what is wrong with its scrape targets, where no sample was seen since the deploy."""


async def ask_stores(context: Context, audit: Audit) -> None:
    await asyncio.gather(
        _metrics_cells(context, audit), _synthetics_cells(context, audit), _logs_cells(context, audit),
        _traces_cells(context, audit), _known(context, audit),
    )  # fmt: skip


def names_of(context: Context, audit: Audit, service: str, signal: Signal) -> Any:
    """What selects a service in a store: what a person confirmed, else the configuration's map."""
    config = context.config
    confirmed = audit.renamed.get((service, signal))
    if confirmed is None:
        return config.names_of(service, signal)
    if signal == "traces":
        return confirmed
    if signal == "logs":
        return {"service_name": confirmed}
    return config.in_environment({config.telemetry.service_label: confirmed})


def required(audit: Audit, signal: Signal) -> list[ServiceFacts]:
    return [one for one in audit.services.values() if signal in one.required_signals]


async def _metrics_cells(context: Context, audit: Audit) -> None:
    """Requests of what serves them; of a worker, the metric that moves while it works. ``up`` is not coverage."""
    by_metric: dict[str, dict[str, Labels]] = {}
    for one in required(audit, "metrics"):
        metric = context.config.telemetry.requests if one.serves_requests else one.activity
        if metric:
            by_metric.setdefault(metric, {})[one.name] = names_of(context, audit, one.name, "metrics")
        else:
            why = f"nothing to look at: name a metric that moves in [services.{one.name}] activity"
            audit.seen[one.name, "metrics"] = Seen(None, "", why, Verdict.INCONCLUSIVE)
    await asyncio.gather(*(_newest(context, audit, "metrics", metric, own) for metric, own in by_metric.items()))


async def _synthetics_cells(context: Context, audit: Audit) -> None:
    probed = {one.name: names_of(context, audit, one.name, "synthetics") for one in required(audit, "synthetics")}
    probe = context.config.telemetry.probe
    await asyncio.gather(
        _newest(context, audit, "synthetics", probe, probed), _probe_results(context, audit, probe, probed)
    )


async def _newest(context: Context, audit: Audit, signal: Signal, metric: str, services: Mapping[str, Labels]) -> None:
    """One query for each set of label names: the newest sample of every service."""
    for names, own in red.grouped(services).items():
        expr = red.last_seen(metric, names, own.values())
        answer = await _query(context.ports.metrics, expr)
        if isinstance(answer, Seen):
            audit.seen.update({(service, signal): answer for service in own})
            continue
        newest: dict[str, float] = {}
        for sample in answer.samples:
            service = red.owner_of(sample.labels, own)
            if service is not None:
                newest[service] = _later(newest.get(service), sample.value)
        doubt = "; ".join(answer.warnings)
        audit.seen.update({(service, signal): Seen(newest.get(service), expr, doubt=doubt) for service in own})


def _later(known: float | None, at: float) -> float:
    """The newer time; one that is no number stays, so that it is judged an error and not hidden."""
    if known is None or not isfinite(at):
        return at
    return known if not isfinite(known) else max(known, at)


async def _query(metrics: Metrics | None, expr: str) -> Vector | Seen:
    if metrics is None:
        return Seen(None, expr, coverage.unconfigured("metrics"), Verdict.INCONCLUSIVE)
    try:
        return await metrics.query(expr)
    except BackendError as exc:
        return Seen(None, expr, str(exc))


async def _probe_results(context: Context, audit: Audit, probe: str, services: Mapping[str, Labels]) -> None:
    """Probes that run but fail are coverage, and news."""
    audit.failing_probes, audit.probes_unknown = [], False
    for names, own in red.grouped(services).items():
        expr = f"min {red.by(names)} ({red.selector(probe, own.values())})"
        answer = await _query(context.ports.metrics, expr)
        if isinstance(answer, Seen):
            audit.probes_unknown = True
            continue
        for sample in answer.samples:
            service = red.owner_of(sample.labels, own)
            if service is not None and not sample.value >= 1:
                audit.failing_probes.append({"service": service, "query": expr})


async def _logs_cells(context: Context, audit: Audit) -> None:
    wanted = {one.name: names_of(context, audit, one.name, "logs") for one in required(audit, "logs")}
    logs, since = context.ports.logs, audit.deployed_at
    ask = None if logs is None else lambda: logs.last_seen(wanted, since)
    await _store_cells(audit, "logs", list(wanted), ask)


async def _traces_cells(context: Context, audit: Audit) -> None:
    wanted = {one.name: names_of(context, audit, one.name, "traces") for one in required(audit, "traces")}
    traces, since = context.ports.traces, audit.deployed_at
    ask = None if traces is None else lambda: traces.last_seen(wanted, since)
    await _store_cells(audit, "traces", list(wanted), ask)


async def _store_cells(
    audit: Audit, signal: Signal, services: Sequence[str], ask: Callable[[], Awaitable[Mapping[str, LastSeen]]] | None
) -> None:
    if not services:
        return
    if ask is None:
        missing = Seen(None, "", coverage.unconfigured(signal), Verdict.INCONCLUSIVE)
        audit.seen.update({(service, signal): missing for service in services})
        return
    try:
        found = await ask()
    except BackendError as exc:
        audit.seen.update({(service, signal): Seen(None, "", str(exc)) for service in services})
        return
    for service in services:
        last = found.get(service)
        seen = Seen(None, "", "the store did not answer for it") if last is None else Seen(last.at, last.query)
        audit.seen[service, signal] = seen


async def _known(context: Context, audit: Audit) -> None:
    """Names that each store knows since the deploy. A store that cannot tell is a warning, not a verdict."""
    ports, since, telemetry = context.ports, audit.deployed_at, context.config.telemetry
    label = telemetry.service_label
    audit.live, audit.live_problems = {}, []

    async def by_metric(metric: str) -> frozenset[str]:
        if ports.metrics is None:
            return frozenset()
        here = red.selector(metric, [context.config.in_environment({})], f'{label}!=""')
        answer = await ports.metrics.query(f"group by ({label}) ({here})")
        return frozenset(sample.labels[label] for sample in answer.samples if label in sample.labels)

    async def known(signal: Signal, ask: Callable[[], Awaitable[frozenset[str]]]) -> None:
        try:
            audit.live[signal] = await ask()
        except BackendError as exc:
            audit.live_problems.append(str(exc))

    asks = [
        known("metrics", lambda: by_metric(telemetry.requests)),
        known("synthetics", lambda: by_metric(telemetry.probe)),
    ]
    if (logs := ports.logs) is not None:
        asks.append(known("logs", lambda: logs.known_services("service_name", since)))
    if (traces := ports.traces) is not None:
        asks.append(known("traces", lambda: traces.known_services(since)))
    await asyncio.gather(*asks)


# --- RED, endpoints, visits ------------------------------------------------------------------------------------------


async def ask_red(context: Context, audit: Audit) -> None:
    """Three questions for all request-serving services: is there traffic, a status label, a histogram?"""
    telemetry = context.config.telemetry
    serving = {
        one.name: names_of(context, audit, one.name, "metrics")
        for one in audit.services.values()
        if one.serves_requests
    }
    label = red.status_label(telemetry.errors)
    since_deploy = context.now() - audit.deployed_at
    window = float(int(max(0.0, min(RATE_SECONDS, since_deploy))))  # a rounded-up one would reach back before it
    audit.red = []
    for names, own in red.grouped(serving).items():
        with_status = red.selector(telemetry.requests, own.values(), f'{label}!=""' if label else telemetry.errors)
        buckets = red.selector(f"{telemetry.duration}_bucket", own.values())
        answers = await asyncio.gather(
            _query(context.ports.metrics, red.rate(telemetry.requests, names, own.values(), red.seconds(window))),
            _query(context.ports.metrics, red.scraped_since(with_status, names, audit.deployed_at)),
            _query(context.ports.metrics, red.scraped_since(buckets, names, audit.deployed_at)),
        )
        problem = next((answer for answer in answers if isinstance(answer, Seen)), None)
        if problem is not None:
            why = f"could not check: {problem.problem}"
            audit.red += [coverage.Red(service, None, None, None, problem.verdict, why) for service in own]
            continue
        found = [_positive(answer, own) for answer in answers if isinstance(answer, Vector)]
        doubts = [text for answer in answers if isinstance(answer, Vector) for text in answer.warnings]
        audit.red += [
            _red_of(service, found, doubts, telemetry.requests, telemetry.duration, window) for service in own
        ]


def _positive(answer: Vector, services: Mapping[str, Labels]) -> frozenset[str]:
    """Services with a finite value above nought."""
    owners = (red.owner_of(s.labels, services) for s in answer.samples if isfinite(s.value) and s.value > 0)
    return frozenset(owner for owner in owners if owner)


def _red_of(
    service: str, found: Sequence[frozenset[str]], doubts: Sequence[str], requests: str, duration: str, window: float
) -> coverage.Red:
    rate, errors, seconds = (service in names for names in found)
    traffic = (
        f"no traffic in the last {window:.0f} s, since the deploy"
        if window < RATE_SECONDS
        else ("no traffic in the last 5 minutes")
    )
    parts = {traffic: rate, "no status label": errors, "no duration histogram": seconds}
    missing = [what for what, there in parts.items() if not there]
    verdict, why = Verdict.PASSED, "rate, errors and duration are measured"
    if missing:
        verdict, why = Verdict.FAILED, ", ".join(missing)
        if window < SHORTEST_RATE_SECONDS:
            verdict, why = Verdict.INCONCLUSIVE, f"too soon after the deploy to tell: {why}"
    elif doubts:
        verdict, why = Verdict.INCONCLUSIVE, f"the answer may be partial: {'; '.join(doubts)}"
    return coverage.Red(
        service, requests if rate else None, requests if errors else None, f"{duration}_bucket" if seconds else None,
        verdict, why,
    )  # fmt: skip


async def ask_endpoints(context: Context, audit: Audit) -> None:
    """A new endpoint must be a route label or a span name since the deploy."""
    with_new = [one for one in audit.services.values() if one.endpoints]
    if not with_new:
        return
    (routes, routes_problem), spans = await asyncio.gather(
        _routes(context, audit, with_new),
        asyncio.gather(*(_spans(context, audit, one) for one in with_new)),
    )
    audit.endpoints = []
    for one, (operations, spans_problem) in zip(with_new, spans, strict=True):
        problems = [text for text in (routes_problem, spans_problem) if text]
        for endpoint in one.endpoints:
            route = coverage.endpoint_seen(endpoint, routes.get(one.name, frozenset()))
            span = coverage.endpoint_seen(endpoint, operations)
            audit.endpoints.append(_endpoint(one.name, endpoint, route, span, problems))


def _endpoint(
    service: str, endpoint: str, route: str | None, span: str | None, problems: Sequence[str]
) -> dict[str, Any]:
    if route or span:
        verdict, why = Verdict.PASSED, f"seen as {'route' if route else 'span'} {route or span}"
    elif problems:
        verdict, why = Verdict.ERROR, f"could not check: {'; '.join(problems)}"
    else:
        verdict, why = Verdict.FAILED, "neither a route label nor a span name since the deploy"
    return {
        "service": service, "endpoint": endpoint, "route": route, "span": span, "verdict": verdict.value, "why": why
    }  # fmt: skip


async def _routes(
    context: Context, audit: Audit, services: Sequence[ServiceFacts]
) -> tuple[dict[str, frozenset[str]], str]:
    """(service -> route labels with a sample since the deploy, what went wrong)."""
    telemetry = context.config.telemetry
    wanted = {one.name: names_of(context, audit, one.name, "metrics") for one in services}
    found: dict[str, set[str]] = {}
    for names, own in red.grouped(wanted).items():
        expr = red.last_seen(telemetry.requests, (*names, telemetry.route_label), own.values())
        answer = await _query(context.ports.metrics, expr)
        if isinstance(answer, Seen):
            return {}, answer.problem
        for sample in answer.samples:
            service = red.owner_of(sample.labels, own)
            if service is not None and sample.value > audit.deployed_at:
                found.setdefault(service, set()).add(sample.labels.get(telemetry.route_label, ""))
    return {service: frozenset(routes - {""}) for service, routes in found.items()}, ""


async def _spans(context: Context, audit: Audit, one: ServiceFacts) -> tuple[frozenset[str], str]:
    traces = context.ports.traces
    if traces is None:
        return frozenset(), ""
    try:
        return await traces.operations(names_of(context, audit, one.name, "traces"), audit.deployed_at), ""
    except BackendError as exc:
        return frozenset(), str(exc)


async def make_visits(context: Context, audit: Audit) -> None:
    """Direct checks of addresses that the catalogue names: detail, no verdict of their own."""
    visits = context.ports.visits
    if visits is None:
        return

    async def one_visit(service: str, url: str) -> dict[str, Any]:
        try:
            visit = await visits.visit(url)
        except BackendError as exc:
            return {"service": service, "url": url, "ok": False, "detail": str(exc)}
        return {"service": service, "url": url, "ok": visit.ok, "detail": visit.detail}

    audit.visits += await asyncio.gather(*(one_visit(one.name, one.url) for one in audit.services.values() if one.url))
