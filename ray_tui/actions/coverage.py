"""1.2: whether every service that must be watched really sends its four signals since the deploy, asked live."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from ray_tui.actions.scrape_targets import ask_targets
from ray_tui.actions.services import ServiceFacts, deployed_at, effective_services, owner_for_gap, with_resolved
from ray_tui.actions.signals import Audit, Seen, ask_endpoints, ask_red, ask_stores, make_visits, names_of, required
from ray_tui.analysis import coverage
from ray_tui.config import SIGNALS, Config, Signal
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Criterion, Verdict, combine
from ray_tui.step import Ask, Context, Header, Result, criterion

EVIDENCE = ("instrumentation-audit.json",)
TRACES_LAG_SECONDS = 30.0
"""Tempo finds a trace by search only about this long after it was sent."""
NONE_OF_THESE = "none of these"
NOT_THERE = (Verdict.FAILED, Verdict.INCONCLUSIVE)
"""Verdicts that are a gap; an error is a check that broke, and is not filed as one."""


async def run(context: Context) -> Result:
    """Ask each store once for all services; then resolve names, then RED, endpoints and strangers."""
    audit = Audit(effective_services(context.config, context.state), deployed_at(context.config, context.state))
    await context.progress(f"asking for the signals of {len(audit.services)} services")
    await ask_stores(context, audit)
    if await _confirm_names(context, audit):
        await ask_stores(context, audit)
    await ask_targets(context, audit)
    await context.progress("checking rate, errors, duration and new endpoints")
    await asyncio.gather(ask_red(context, audit), ask_endpoints(context, audit), make_visits(context, audit))
    cells = _cells(audit, context.config, context.now())
    criteria = _judge(audit, cells, context.config)
    data = _data(audit, cells, context.config)
    gaps = with_resolved(context.state, context.step, _gaps(audit, cells, context.config), _unchecked(audit, cells))
    return Result(_summary(data, criteria), criteria, data, gaps)


def documents(data: Mapping[str, Any], header: Header) -> dict[str, str]:
    """None: ``instrumentation-audit.json`` is the artifact."""
    return {}


# --- names -----------------------------------------------------------------------------------------------------------


def _resolved(context: Context, audit: Audit, signal: Signal) -> dict[str, str]:
    """Live name -> our service, by the explicit map and what a person confirmed."""
    found = {}
    for service in audit.services:
        names = names_of(context, audit, service, signal)
        for value in [names] if isinstance(names, str) else names.values():
            found[str(value)] = service
    return found


async def _confirm_names(context: Context, audit: Audit) -> bool:
    """Where a service was not seen and a stranger has a like name, a person says whether they are the same."""
    confirmed = False
    for signal in SIGNALS:
        strangers = audit.live.get(signal, frozenset()) - set(_resolved(context, audit, signal))
        for one in required(audit, signal):
            seen = audit.seen.get((one.name, signal))
            if seen is None or seen.at is not None or seen.problem or not strangers:
                continue
            options = coverage.suggest(one.name, strangers)
            if not options:
                continue
            answered = await context.ask(_which_name(one.name, signal, options))
            if answered.answer in options:
                audit.renamed[one.name, signal] = answered.answer
                strangers -= {answered.answer}
                confirmed = True
    return confirmed


def _which_name(service: str, signal: Signal, options: tuple[str, ...]) -> Ask:
    return Ask(
        name=f"name-{signal}-{service}", prompt="choose", title=f"What is {service} called in {signal}?",
        text=f"Nothing of {service} was seen in {signal}, but these were, and are in no catalogue. "
        f"Put the answer into [services.{service}.names] so that nobody is asked again.",
        options=(*options, NONE_OF_THESE), data={"service": service, "signal": signal},
    )  # fmt: skip


# --- judging ---------------------------------------------------------------------------------------------------------


def _cells(audit: Audit, config: Config, now: float) -> list[coverage.Cell]:
    return [_cell(one, signal, audit, config, now) for one in audit.services.values() for signal in SIGNALS]


def _cell(one: ServiceFacts, signal: Signal, audit: Audit, config: Config, now: float) -> coverage.Cell:
    needed = signal in one.required_signals
    seen = audit.seen.get((one.name, signal), Seen(None, "", "was not asked" if needed else ""))
    judged = coverage.cell(
        one.name, signal, needed, seen.at, audit.deployed_at, now, max_age(signal, config.thresholds.fresh_seconds),
        seen.query, seen.problem or None, ", ".join(one.sources[:3]),
    )  # fmt: skip
    if needed and seen.problem:
        return replace(judged, verdict=seen.verdict)
    if judged.verdict is Verdict.PASSED and seen.doubt:
        return replace(judged, verdict=Verdict.INCONCLUSIVE, why=f"the answer may be partial: {seen.doubt}")
    broken = audit.targets.get((one.name, signal), "")
    return replace(judged, why=f"{judged.why}; {broken}") if broken else judged


def max_age(signal: str, fresh_seconds: float) -> float:
    return fresh_seconds + (TRACES_LAG_SECONDS if signal == "traces" else 0.0)


def _judge(audit: Audit, cells: Sequence[coverage.Cell], config: Config) -> tuple[Criterion, ...]:
    critical = [one.name for one in audit.services.values() if one.critical_changed]
    return (
        _deploy_known(audit),
        *coverage.judge(cells, critical, config.thresholds.coverage),
        *_red_criteria(audit),
        *_endpoint_criteria(audit),
    )


def _deploy_known(audit: Audit) -> Criterion:
    known = audit.deployed_at > 0
    return criterion(
        "coverage.deploy-time", "Deploy time known", Verdict.PASSED if known else Verdict.INCONCLUSIVE,
        "known" if known else "nobody said when the deployment finished",
        required="a time after which data counts", evidence=EVIDENCE, waivable=False,
        remedy="" if known else "set [run] deployed_at, or deployed_at in post-deployment-validation.json",
    )  # fmt: skip


def _red_criteria(audit: Audit) -> list[Criterion]:
    """Critical changed services without rate, errors or duration block; of others it goes into the backlog."""
    critical = [one for one in audit.red if audit.services[one.service].critical_changed]
    bad = [one for one in critical if one.verdict is not Verdict.PASSED]
    required = "rate above 0, a status label and a duration histogram"
    if not bad:
        if not critical:
            return []
        actual = f"rate, errors and duration are measured for {len(critical)} critical changed services"
        return [criterion("coverage.red", "RED metrics", Verdict.PASSED, actual, required=required, evidence=EVIDENCE)]
    return [
        criterion(
            f"coverage.red:{one.service}", f"RED metrics of {one.service}", one.verdict, one.why, required=required,
            evidence=EVIDENCE, remedy=f"make {one.service} measure what is missing, then run coverage again",
        )
        for one in bad
    ]  # fmt: skip


def _endpoint_criteria(audit: Audit) -> list[Criterion]:
    required = "each new endpoint is a route label or a span name since the deploy"
    bad: dict[str, list[dict[str, Any]]] = {}
    for row in audit.endpoints:
        if row["verdict"] != Verdict.PASSED.value:
            bad.setdefault(row["service"], []).append(row)
    if not bad:
        if not audit.endpoints:
            return []
        actual = f"{len(audit.endpoints)} of {len(audit.endpoints)} new endpoints seen"
        return [
            criterion(
                "coverage.endpoints", "New endpoints", Verdict.PASSED, actual, required=required, evidence=EVIDENCE
            )
        ]
    return [
        criterion(
            f"coverage.endpoints:{service}", f"New endpoints of {service}",
            combine(Verdict(row["verdict"]) for row in rows),
            "; ".join(f"{row['endpoint']}: {row['why']}" for row in rows), required=required, evidence=EVIDENCE,
            remedy="send traffic through the endpoint, or give it a route label, then run coverage again",
        )
        for service, rows in bad.items()
    ]  # fmt: skip


# --- what is handed on -----------------------------------------------------------------------------------------------


def _data(audit: Audit, cells: Sequence[coverage.Cell], config: Config) -> dict[str, Any]:
    passing, required, ratio = coverage.completeness(cells)
    live_only, never = _strangers(audit, cells, config)
    return {
        "cells": [_cell_row(one) for one in cells],
        "services": [
            {"name": one.name, "critical": one.critical, "changed": one.changed, "regulated": one.regulated}
            for one in audit.services.values()
        ],
        "completeness": {"passing": passing, "required": required, "ratio": ratio},
        "red": [
            {"service": one.service, "rate": one.rate, "errors": one.errors, "duration": one.duration,
             "verdict": one.verdict.value, "why": one.why}
            for one in audit.red
        ],
        "endpoints": audit.endpoints,
        "unknown_live": live_only,
        "never_seen": never,
        "failing_probes": audit.failing_probes,
        "visits": audit.visits,
        "renamed": [
            {"service": service, "signal": signal, "as": name} for (service, signal), name in audit.renamed.items()
        ],
        "deployed_at": audit.deployed_at,
        "warnings": list(dict.fromkeys(audit.live_problems)),
    }  # fmt: skip


def _cell_row(one: coverage.Cell) -> dict[str, Any]:
    """JSON of a cell: a time that is no number becomes null."""

    def number(value: float | None) -> float | None:
        return None if value is None or not isfinite(value) else round(value, 3)

    return {
        "service": one.service,
        "signal": one.signal,
        "required": one.required,
        "verdict": one.verdict.value if one.verdict else None,
        "age_seconds": number(one.age_seconds),
        "last_seen_at": number(one.last_seen_at),
        "query": one.query,
        "required_by": one.required_by,
        "why": one.why,
    }


def _strangers(audit: Audit, cells: Sequence[coverage.Cell], config: Config) -> tuple[list[dict[str, Any]], list[str]]:
    """Live names that no service of ours has, with what they may be; and services of which nothing was seen."""
    live: dict[str, list[str]] = {}
    for signal in SIGNALS:
        for name in audit.live.get(signal, ()):
            live.setdefault(name, []).append(signal)
    known = {str(value) for service in audit.services for value in _all_names(config, service)}
    known |= set(audit.renamed.values())
    seen = {one.service for one in cells if one.last_seen_at is not None}
    resolved = {name for name in live if name not in known}
    strangers = coverage.strangers(audit.services, resolved | seen)
    rows = [
        {"name": name, "signals": live[name], "suggestions": list(coverage.suggest(name, audit.services))}
        for name in strangers.live_only
    ]
    return rows, list(strangers.catalogue_only)


def _all_names(config: Config, service: str) -> list[str]:
    found = [service]
    for signal in SIGNALS:
        names = config.names_of(service, signal)
        found += [names] if isinstance(names, str) else list(names.values())
    return found


def _unchecked(audit: Audit, cells: Sequence[coverage.Cell]) -> set[str]:
    """Ids of the gaps that an error left open: they are neither found nor closed."""
    broken = {f"coverage:{one.service}:{one.signal}" for one in cells if one.verdict is Verdict.ERROR}
    broken |= {f"red:{one.service}" for one in audit.red if one.verdict is Verdict.ERROR}
    return broken | ({f"probe:{name}" for name in audit.services} if audit.probes_unknown else set())


def _gaps(audit: Audit, cells: Sequence[coverage.Cell], config: Config) -> tuple[f.GapFound, ...]:
    """Backlog entries for what is missing; a critical changed service's gap blocks."""
    found = [
        (f"coverage:{one.service}:{one.signal}", one.service, f"{one.service}: {one.signal}: {one.why}")
        for one in cells
        if one.required and one.verdict in NOT_THERE
    ]
    found += [
        (f"red:{one.service}", one.service, f"{one.service}: {one.why}")
        for one in audit.red
        if one.verdict in NOT_THERE
    ]
    found += [
        (f"probe:{row['service']}", row["service"], f"{row['service']}: its synthetic probe fails")
        for row in audit.failing_probes
    ]
    return tuple(
        f.GapFound(
            id=id_, step="1.2", title=title, subject=service, owner=owner_for_gap(audit.services[service], config),
            due="next release cycle", severity="blocks" if audit.services[service].critical_changed else "warns",
        )
        for id_, service, title in found
    )  # fmt: skip


def _summary(data: Mapping[str, Any], criteria: Sequence[Criterion]) -> str:
    whole = data["completeness"]
    bad = [one.title for one in criteria if not one.verdict.lets_go_on]
    said = f"{whole['passing']} of {whole['required']} required cells pass"
    if whole["ratio"] is not None:
        said += f" ({whole['ratio']:.1%})"
    return f"{said}; blocked by: {', '.join(bad)}" if bad else said
