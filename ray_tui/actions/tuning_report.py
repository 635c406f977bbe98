"""``alert-tuning-report.md``: what 3.2 found, proposed and had decided, for people to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from ray_tui.clock import iso
from ray_tui.evidence import text
from ray_tui.step import Header


def percent(value: float | None) -> str:
    """A share in whole per cent."""
    return "unknown" if value is None else f"{value:.0%}"


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """``alert-tuning-report.md``."""
    window = data.get("window") or {}
    parts = [
        f"# Alert tuning report: {text.cell(header.release)} in {text.cell(header.environment)}",
        f"Run {text.cell(header.run_id)}, attempt {header.attempt}, {iso(header.generated_at)}. "
        f"Verdict: {text.cell(header.verdict)}. {text.cell(header.summary)}",
        f"Window: {text.cell(window.get('start', ''))} to {text.cell(window.get('end', ''))}, "
        f"looked at every {window.get('step_seconds', 0):g} s.",
        "## Alert rules",
        _rules_table(data.get("rules") or []),
        "## Adjustments",
        _proposals_table(data.get("proposals") or []),
        "## Incidents that no alert told of",
        _missed_table(data.get("missed") or []),
        "## Decisions",
        _decisions_table(data.get("decisions") or []),
    ]
    share = data.get("recall_share") or {}
    excluded = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in (data.get("excluded") or {}).items())
    parts.append(f"Recall: {percent(share.get('value'))} ({text.cell(share.get('why', 'not judged'))}).")
    parts.append(f"Not counted: {text.cell(excluded or 'nothing')}.")
    windows = data.get("maintenance") or []
    if windows:
        rows = [[one["start"], one["end"], ", ".join(one["services"]) or "all", one["reason"]] for one in windows]
        parts += ["## Maintenance", text.table(["Start", "End", "Services", "Reason"], rows)]
    notes = [f"- {text.cell(note)}" for note in data.get("notes") or ()]
    if notes:
        parts += ["## Notes", "\n".join(notes)]
    blocks = [one for one in header.criteria if not one.verdict.lets_go_on]
    if blocks:
        parts += ["## What blocks", "\n".join(f"- {text.cell(one.title)}: {text.cell(one.actual)}" for one in blocks)]
    return {"alert-tuning-report.md": "\n\n".join(part.rstrip("\n") for part in parts) + "\n"}


def _rules_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "No alert fired in the window."
    heads = ["Rule", "n", "True", "False", "Precision", "95% interval", "Duplicates", "Flaps", "Time to detect",
             "Pages/week", "Status"]  # fmt: skip
    return text.table(heads, [
        [row["rule"], row["n"], row["true"], row["false"], percent(row["precision"]),
         f"{row['low']:.0%}–{row['high']:.0%}", row["duplicates"], row["flaps"],
         "unknown" if row["time_to_detect"] is None else f"{row['time_to_detect']:.0f} s",
         "unknown" if row["pages_per_week"] is None else f"{row['pages_per_week']:.1f}", row["status"]]
        for row in rows
    ])  # fmt: skip


def _proposals_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "No change of a threshold was proposed."

    def rate(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.1f}"

    heads = ["Rule", "Change", "Pages/week before", "after", "Precision before", "after", "State"]
    return text.table(heads, [
        [row["rule"], row["change"], rate(row["pages_before"]), rate(row["pages_after"]),
         percent(row["precision_before"]), percent(row["precision_after"]), row["state"]]
        for row in rows
    ]) + "\n" + "\n".join(f"- {text.cell(row['rule'])}: {text.cell(row['why'])}" for row in rows)  # fmt: skip


def _missed_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "None."
    return text.table(
        ["Incident", "Service", "Started", "Title", "Action"],
        [[row["incident"], row["service"], row["started_at"], row["title"], row["action"] or "none"] for row in rows],
    )


def _decisions_table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Nothing had to be decided."
    return text.table(
        ["Subject", "Kind", "Why", "Decision"],
        [[row["subject"], row["kind"], row["why"], row["state"]] for row in rows],
    )
