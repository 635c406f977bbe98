"""The papers that the demo's earlier protocols (15, 19, 21) left behind, as true of its world as a team's would be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ray_tui.clock import iso
from ray_tui.demo import promql, world
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.series import Matcher, Samples
from ray_tui.demo.world import ENVIRONMENT, RELEASE, World

RELEASE_BEFORE = "checkout-v2.4.0"
PRIOR_SECONDS, PRIOR_STEP_SECONDS = 1800.0, 30.0
PRIOR_ENDED_BEFORE_DEPLOY_SECONDS = 600.0
NEW_ENDPOINTS = {"checkout": ("/api/v2/checkout",), "recommendations": ("/api/recommendations",)}
OWNERS = {"checkout": "checkout-team", "cart": "checkout-team", "payments": "payments-team"}

_REQUESTS = "sum by (service) (rate(http_requests_total[30s]))"
_FAILED = 'sum by (service) (rate(http_requests_total{status=~"5.."}[30s]))'
_LATENCY = "histogram_quantile({q}, sum by (service, le) (rate(http_request_duration_seconds_bucket[30s])))"
_HANDLED = "sum by (service) (rate(queue_messages_processed_total[30s]))"
_LAG = "max by (service) (queue_lag_seconds)"


@dataclass(frozen=True)
class _Past:
    """The world alone as a storage: what it was before the demo's own servers saw it."""

    shop: World

    def select(self, matchers: Sequence[Matcher], steps: Sequence[int], range_ms: int) -> Sequence[Samples]:
        return self.shop.select(matchers)


def write_artifacts(folder: Path, scenario: Scenario, deployed_at: float, started_at: float) -> None:
    """Write all seven input files into ``folder``. ``baseline-metrics.json`` measures the release before."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = prior_kpis(scenario, deployed_at, started_at)
    _json(folder / "post-deployment-validation.json", _validation(deployed_at))
    _json(folder / "staging-test-results.json", _staging(deployed_at, rows))
    _json(folder / "quality-audit-summary.json", _audit())
    _json(folder / "baseline-metrics.json", _prior_baseline(deployed_at, rows))
    for name, text in (
        ("deployment-health-log.md", _health_log(deployed_at)),
        ("DEPLOYMENT-REPORT.md", _report(deployed_at)),
        ("observability-baseline.md", _expectations(rows)),
    ):
        (folder / name).write_text(text, encoding="utf-8")


def prior_kpis(scenario: Scenario, deployed_at: float, started_at: float) -> list[dict[str, Any]]:
    """Every service's KPIs over half an hour that ended ten minutes before the deploy, as 1.3 writes them."""
    shop = _Past(World(scenario, started_at))
    end = deployed_at - PRIOR_ENDED_BEFORE_DEPLOY_SECONDS

    def ask(expr: str) -> dict[str, dict[int, float]]:
        start = end - PRIOR_SECONDS + PRIOR_STEP_SECONDS
        found = promql.over_range(shop, expr, int(start * 1000), int(end * 1000), int(PRIOR_STEP_SECONDS * 1000))
        return {dict(one.labels)["service"]: dict(zip(one.times, one.values, strict=True)) for one in found}

    total, failed = ask(_REQUESTS), ask(_FAILED)
    errors = {
        service: {at: failed.get(service, {}).get(at, 0.0) / value for at, value in points.items() if value > 0}
        for service, points in total.items()
    }
    answers = (
        ("request_rate", "reqps", total),
        ("error_ratio", "percentunit", errors),
        ("latency_p50", "s", ask(_LATENCY.format(q=0.5))),
        ("latency_p99", "s", ask(_LATENCY.format(q=0.99))),
        ("throughput", "ops", ask(_HANDLED)),
        ("queue_lag", "s", ask(_LAG)),
    )
    return [
        {"service": service, "kpi": kpi, "unit": unit, "samples": _finite(points.values())}
        for kpi, unit, answer in answers
        for service, points in sorted(answer.items())
        if points
    ]


def _finite(values: Any) -> list[float]:
    return [float(f"{value:.6g}") for value in values if isfinite(value)]


def _middle(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) // 2]


def _changed(name: str) -> str:
    return "new" if name in world.NEW else "modified" if name in world.MODIFIED else "unchanged"


def _owner(name: str) -> str:
    return OWNERS.get(name, "platform-team")


def _validation(deployed_at: float) -> dict[str, Any]:
    services = [
        {
            "name": service.name,
            "change": _changed(service.name),
            "critical": service.name in world.CRITICAL,
            "regulated": service.name in world.REGULATED,
            "owner": _owner(service.name),
            "endpoints": list(NEW_ENDPOINTS.get(service.name, ())),
        }
        for service in world.SERVICES
    ]
    checks = [{"name": f"{service.name} health", "service": service.name, "status": "passed"}
              for service in world.SERVICES]  # fmt: skip
    return {
        "release": RELEASE, "environment": ENVIRONMENT, "deployed_at": iso(deployed_at), "status": "passed",
        "services": services, "checks": checks,
    }  # fmt: skip


def _staging(deployed_at: float, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Staging saw this release do as well as production did before, in latency and errors."""
    kpis = [row for row in rows if row["kpi"] in ("latency_p50", "latency_p99", "error_ratio")]
    tests = [{"name": name, "status": "passed"} for name in ("smoke", "load", "payments regression")]
    return {
        "release": RELEASE, "environment": "staging", "finished_at": iso(deployed_at - 86400), "status": "passed",
        "tests": tests, "kpis": kpis,
    }  # fmt: skip


def _audit() -> dict[str, Any]:
    gaps = [
        {
            "id": "QA-41", "title": "shipping has no alert for a rise in latency", "service": "shipping",
            "severity": "medium", "owner": "platform-team", "due": "next release cycle",
        },
        {
            "id": "QA-42", "title": "search has no runbook section for cache misses", "service": "search",
            "severity": "low", "owner": "platform-team", "due": "next release cycle",
        },
    ]  # fmt: skip
    return {"release": RELEASE, "gaps": gaps}


def _prior_baseline(deployed_at: float, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    end = deployed_at - PRIOR_ENDED_BEFORE_DEPLOY_SECONDS
    return {
        "artifact": "baseline-metrics.json", "schema": 1, "run_id": f"demo-{RELEASE_BEFORE}", "release": RELEASE_BEFORE,
        "environment": ENVIRONMENT, "step": "1.3", "attempt": 1, "generated_at": iso(end), "verdict": "passed",
        "summary": "the release before", "criteria": [],
        "body": {
            "kpis": [{**row, "now": _middle(row["samples"]), "n": len(row["samples"])} for row in rows],
            "window": {"start": end - PRIOR_SECONDS, "end": end, "step": PRIOR_STEP_SECONDS},
        },
    }  # fmt: skip


def _front(release: str, environment: str, deployed_at: float) -> str:
    return f"---\nrelease: {release}\nenvironment: {environment}\ndeployed_at: {iso(deployed_at)}\n---\n"


def _health_log(deployed_at: float) -> str:
    observations = (
        (300, "all", "rolled out to every instance", "passed"),
        (600, "checkout", "connection pool near its limit for two minutes, then normal", "watch"),
        (900, "recommendations", "cache warm, latency as in staging", "passed"),
        (1200, "all", "no restarts, error ratios as before", "passed"),
    )
    return _front(RELEASE, ENVIRONMENT, deployed_at) + "\n".join(
        [
            "\n# Deployment health log\n",
            "## Observations\n",
            "| Time | Service | Observation | Status |",
            "|---|---|---|---|",
            *(f"| {iso(deployed_at + after)} | {s} | {what} | {status} |" for after, s, what, status in observations),
            "",
        ]
    )


def _report(deployed_at: float) -> str:
    changed = [service.name for service in world.SERVICES if _changed(service.name) != "unchanged"]
    services = [
        f"| {name} | {_changed(name)} | {'yes' if name in world.CRITICAL else 'no'} "
        f"| {'yes' if name in world.REGULATED else 'no'} | {_owner(name)} |"
        for name in changed
    ]
    endpoints = [f"| {path} | {name} |" for name, paths in NEW_ENDPOINTS.items() for path in paths]
    return f"""{_front(RELEASE, ENVIRONMENT, deployed_at)}
# Deployment report: {RELEASE}

Checkout moves to its second API; recommendations is new; payments and search take new clients.

## Services

| Service | Change | Critical | Regulated | Owner |
|---|---|---|---|---|
{chr(10).join(services)}

## Endpoints

| Endpoint | Service |
|---|---|
{chr(10).join(endpoints)}

## Risks

| Risk | Service | Severity | Mitigation |
|---|---|---|---|
| The new checkout API holds database connections longer | checkout | high | pool doubled; watch p99 latency |
| Payment provider client upgraded | payments | high | error ratio alert; roll back by flag |
| Cold recommendation cache after a restart | recommendations | medium | warm-up job |

## KPIs

| KPI | Service | Target |
|---|---|---|
| p99 latency | checkout | below 750 ms |
| error ratio | payments | below 0.5% |
| request rate | search | as before, ± 25% |
| queue lag | notifications | below 30 s |

## SLOs

| SLO | Service | Target | Window |
|---|---|---|---|
| availability | checkout | 99.9% | 30d |
| latency below 500 ms | checkout | 95% | 30d |
| availability | payments | 99.9% | 30d |
"""


def _expectations(rows: Sequence[dict[str, Any]]) -> str:
    shown = [row for row in rows if row["kpi"] == "latency_p99" and row["service"] in world.CRITICAL]
    lines = [f"| p99 latency | {row['service']} | {_middle(row['samples']) * 1000:.0f} ms |" for row in shown]
    front = f"---\nrelease: {RELEASE}\n---\n"
    return "\n".join(
        [
            f"{front}\n# Observability baseline\n",
            "## KPIs\n",
            "| KPI | Service | Expected |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False, sort_keys=True) + "\n", encoding="utf-8")
