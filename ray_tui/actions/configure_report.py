"""How 2.1 reads on paper: dashboard links, alert thresholds and runbooks, SLOs, and what was changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.clock import iso
from ray_tui.evidence.text import cell, table
from ray_tui.step import Header


def markdown(data: Mapping[str, Any], header: Header) -> str:
    """``dashboard-config.md``; also from the empty data of an attempt that broke."""
    needed = data.get("thresholds", {}).get("dashboard_score")
    parts = [
        f"# Dashboards and alerts: {cell(header.release)} in {cell(header.environment)}",
        f"Run {cell(header.run_id)}, attempt {header.attempt}, {iso(header.generated_at)}. "
        f"Verdict: **{cell(header.verdict)}**. {cell(header.summary)}",
        "## Dashboards",
        f"A required dashboard must score at least {needed:g} of 100." if isinstance(needed, int | float) else "",
        table(("Dashboard", "Link", "Score", "Services", "Panels", "Not live"), map(_board, _of(data, "dashboards"))),
        *_scores(_of(data, "dashboards")),
        "## Alerts",
        table(
            ("Alert", "Threshold", "For", "Severity", "Service", "Owner", "Runbook", "Receivers", "Issues"),
            map(_alert, _of(data, "alerts")),
        ),
        "## Service level objectives",
        table(
            ("Service", "SLO", "Objective", "Period", "Pages and tickets on", "Alerts"), map(_slo, _of(data, "slos"))
        ),
        "## Plan",
        table(
            ("Kind", "Name", "Action", "Detail"),
            [_cells(i, "kind", "name", "action", "detail") for i in _of(data, "plan")],
        ),
        _loaded(data),
        "## Criteria",
        table(
            ("Criterion", "Verdict", "Required", "Actual"),
            [(one.id, one.verdict.value, one.required, one.actual) for one in header.criteria],
        ),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _of(data: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    return [row for row in data.get(key) or () if isinstance(row, Mapping)]


def _cells(row: Mapping[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(row.get(key, "") for key in keys)


def _listed(values: Any) -> str:
    return ", ".join(str(value) for value in values or ()) or "-"


def _board(row: Mapping[str, Any]) -> tuple[Any, ...]:
    panels = _of(row, "panels")
    off = [f"{panel.get('title')} ({panel.get('state')})" for panel in panels if panel.get("state") != "ok"]
    score = f"{row['score']:g}" if row.get("conclusive", True) else "not judged"
    return (row["title"], row["url"], score, _listed(row.get("services")), len(panels), _listed(off))


def _scores(boards: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for board in boards for name in board.get("parts", {})))
    if not names:
        return []
    rows = [(board["title"], *(board["parts"].get(name, "") for name in names)) for board in boards]
    return ["### How the scores come about", table(("Dashboard", *names), rows)]


def _alert(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        row["name"], " and ".join(row.get("thresholds") or ()) or "-", row.get("for", ""), row.get("severity") or "-",
        row.get("service") or "-", row.get("owner") or "-", row.get("runbook") or "-", _listed(row.get("receivers")),
        "; ".join(row.get("issues") or ()) or "-",
    )  # fmt: skip


def _slo(row: Mapping[str, Any]) -> tuple[Any, ...]:
    windows = [f"{w['severity']}: {w['burn_rate']:g} × over {w['long']} and {w['short']}" for w in _of(row, "windows")]
    return (
        row["service"], row["name"], f"{row['objective']:g} %", f"{row['period_days']:g} d", "; ".join(windows),
        _listed(row.get("alerts")),
    )  # fmt: skip


def _loaded(data: Mapping[str, Any]) -> str:
    if data.get("loaded_equals_written") is None:
        return "What is loaded was not looked at."
    said = "are loaded as written" if data["loaded_equals_written"] else "are NOT loaded as written"
    written = (
        f"Written: {cell(_listed(data.get('written')))}. " if data.get("written") else "No rule file was written. "
    )
    note = data.get("annotation")
    marked = f" Annotation: {cell(note['text'])} (tags {cell(_listed(note['tags']))})." if note else ""
    return f"{written}The release's rules {said}.{marked}"
