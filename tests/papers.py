"""The input papers of a small release, as text that a test can bend before it writes them."""

import copy
import json
from pathlib import Path
from typing import Any

from tests.fakes import RELEASE

FOLDER = ".artifacts/deployment"
VALIDATION: dict[str, Any] = {
    "release": RELEASE, "environment": "production", "deployed_at": "2026-11-22T19:00:00Z", "status": "passed",
    "services": [
        {"name": "checkout", "change": "modified", "critical": True, "endpoints": ["/api/v2/checkout"]},
        {"name": "payments", "change": "modified", "critical": True, "regulated": True},
        {"name": "search", "change": "modified", "critical": False},
    ],
    "checks": [{"name": "smoke", "service": "checkout", "status": "passed"}],
}  # fmt: skip
HEALTH_LOG = f"""---
release: {RELEASE}
environment: production
---
## Observations

| Time | Service | Observation | Status |
|---|---|---|---|
| 19:05 | checkout | pool near its limit | watch |
| 19:10 | all | steady | passed |
"""
REPORT = f"""---
release: {RELEASE}
environment: production
deployed_at: 2026-11-22T19:00:00Z
---
# Report

## Risks

| Risk | Service | Severity |
|---|---|---|
| client upgraded | payments | high |

## KPIs

| KPI | Service | Target |
|---|---|---|
| p99 latency | checkout | 750 ms |

## SLOs

| SLO | Service | Target |
|---|---|---|
| availability | checkout | 99.9% |
"""
STAGING: dict[str, Any] = {"release": RELEASE, "environment": "staging", "status": "passed", "kpis": []}
AUDIT: dict[str, Any] = {
    "release": RELEASE,
    "gaps": [{"id": "QA-1", "title": "no alert on refunds", "service": "payments", "severity": "high"}],
}
EXPECTATIONS = f"""---
release: {RELEASE}
---
## KPIs

| KPI | Service | Expected |
|---|---|---|
| p50 | search | 80 ms |
"""


def write(folder: Path, **instead: Any) -> Path:
    """Write the four required papers into their folder; ``validation=…`` etc. replace one, None leaves it out."""
    where = folder / FOLDER
    where.mkdir(parents=True, exist_ok=True)
    papers: dict[str, Any] = {"validation": VALIDATION, "health_log": HEALTH_LOG, "report": REPORT, "staging": STAGING}
    for key, content in {**papers, **instead}.items():
        if content is not None:
            (where / NAMES[key]).write_bytes(as_bytes(content))
    return where


def as_bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else json.dumps(content, indent=2).encode()


def changed(paper: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A copy with some keys replaced; a value of None removes the key."""
    out = copy.deepcopy(paper)
    for key, value in keys.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out


NAMES = {
    "validation": "post-deployment-validation.json",
    "health_log": "deployment-health-log.md",
    "report": "DEPLOYMENT-REPORT.md",
    "staging": "staging-test-results.json",
    "audit": "quality-audit-summary.json",
    "expectations": "observability-baseline.md",
}
