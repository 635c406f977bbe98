"""How two runs differ: gates, coverage, delivery times, and the findings that came or went. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ray_tui.core import plan, rules
from ray_tui.core.state import Probe, RunState
from ray_tui.core.untrusted import cell_width, line
from ray_tui.core.verdicts import Verdict

Change = Literal["same", "better", "worse", "new", "gone", "other"]
SIGNS: dict[Change, str] = {"same": " ", "better": "+", "worse": "-", "new": "!", "gone": "+", "other": "~"}
SECTIONS = ("run", "steps and gates", "coverage", "delivery", "findings", "backlog")
_RANK = {Verdict.PASSED: 0, Verdict.WAIVED: 1, Verdict.INCONCLUSIVE: 2, Verdict.ERROR: 3, Verdict.FAILED: 4}
SLACK_SECONDS = 0.5
"""Delivery times that differ by less are the same: they are measured by polling."""


@dataclass(frozen=True)
class Row:
    """One thing in both runs; empty text where a run does not have it."""

    section: str
    name: str
    a: str
    b: str
    change: Change


def diff(a: RunState, b: RunState) -> tuple[Row, ...]:
    """Every row of every section, in the order of ``SECTIONS``; findings are told apart by step and id."""
    return (*_run(a, b), *_steps(a, b), *_coverage(a, b), *_delivery(a, b), *_findings(a, b), *_backlog(a, b))


def to_json(a: RunState, b: RunState) -> dict[str, Any]:
    rows = diff(a, b)
    return {"schema": 1, "a": _id(a), "b": _id(b), "rows": [asdict(row) for row in rows],
            "changes": {change: sum(row.change == change for row in rows) for change in SIGNS}}  # fmt: skip


def to_text(a: RunState, b: RunState, *, width: int = 100, everything: bool = False) -> str:
    """Two columns side by side; what is the same is counted, not listed, unless ``everything``."""
    rows = diff(a, b)
    half = max(12, (width - 36) // 2)
    out = [_columns(" ", "", _id(a), _id(b), half)]
    for section in SECTIONS:
        found = [row for row in rows if row.section == section]
        shown = [row for row in found if everything or row.change != "same" or section == "run"]
        out += ["", section] if found else []
        out += [_columns(SIGNS[row.change], row.name, row.a, row.b, half) for row in shown]
        same = len(found) - len(shown)
        out += [f"  {same} the same"] if same else []
    return "\n".join(text.rstrip() for text in [*out, "", "+ better or gone   - worse   ! new   ~ different"])


def _columns(sign: str, name: str, a: str, b: str, half: int) -> str:
    return f"{sign} {_fit(name, 32)} {_fit(a or '·', half)} {_fit(b or '·', half)}"


def _fit(text: str, width: int) -> str:
    text = line(text, 400)
    if cell_width(text) > width:
        while cell_width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cell_width(text))


def _id(state: RunState) -> str:
    return state.opened.run_id if state.opened else "(no run)"


def outcome(state: RunState) -> str:
    """How a run ended, in words."""
    if state.aborted is not None:
        return f"aborted: {state.aborted.reason}"
    if state.completed is not None:
        return "complete"
    return f"halted at {plan.title(state.halt.step)}" if state.halt is not None else "not over"


def _run(a: RunState, b: RunState) -> list[Row]:
    took = [state.at - state.started_at for state in (a, b)]
    pairs = [("release", *(s.opened.release if s.opened else "" for s in (a, b))),
             ("environment", *(s.opened.environment if s.opened else "" for s in (a, b))),
             ("outcome", outcome(a), outcome(b)), ("took", *(f"{seconds:.0f} s" for seconds in took)),
             ("configuration", *(s.opened.config_digest[:12] if s.opened else "" for s in (a, b)))]  # fmt: skip
    return [Row("run", name, left, right, "same" if left == right else "other") for name, left, right in pairs]


def _steps(a: RunState, b: RunState) -> list[Row]:
    rows = []
    for step in plan.STEPS:
        left, right = _verdict(a, step), _verdict(b, step)
        said = [f"{v.glyph} {v.value}" if v else "not judged" for v in (left, right)]
        rows.append(Row("steps and gates", plan.title(step), said[0], said[1], _verdict_change(left, right)))
    return rows


def _verdict(state: RunState, step: str) -> Verdict | None:
    found = state.steps[step]
    if found.verdict is None or not found.criteria:
        return found.verdict
    return rules.effective_verdict(state, step, found.criteria, state.at)


def _verdict_change(left: Verdict | None, right: Verdict | None) -> Change:
    if left is right:
        return "same"
    if left is None or right is None:
        return "other"
    return "better" if _RANK[right] < _RANK[left] else "worse"


def _cells(state: RunState) -> dict[str, Mapping[str, Any]]:
    found = state.steps["1.2"].data.get("cells")
    cells = [cell for cell in found if isinstance(cell, dict)] if isinstance(found, list) else []
    return {f"{cell.get('service', '?')} {cell.get('signal', '?')}": cell for cell in cells}


def _coverage(a: RunState, b: RunState) -> list[Row]:
    left, right = _cells(a), _cells(b)
    rows = []
    ratios = [_ratio(state) for state in (a, b)]
    if any(ratio is not None for ratio in ratios):
        said = [f"{ratio:.1%}" if ratio is not None else "" for ratio in ratios]
        rows.append(Row("coverage", "required cells that are seen", said[0], said[1], _less(ratios[1], ratios[0], 0)))
    for name in _both(left, right):
        one, other = left.get(name), right.get(name)
        words = [str(cell.get("verdict") or "not needed") if cell else "" for cell in (one, other)]
        rows.append(Row("coverage", name, words[0], words[1], _word_change(words[0], words[1])))
    return rows


def _ratio(state: RunState) -> float | None:
    found = state.steps["1.2"].data.get("completeness")
    ratio = found.get("ratio") if isinstance(found, dict) else None
    return float(ratio) if isinstance(ratio, int | float) else None


def _word_change(left: str, right: str) -> Change:
    if left == right:
        return "same"
    if not left or not right:
        return "new" if not left else "gone"
    known = {verdict.value: rank for verdict, rank in _RANK.items()}
    if left in known and right in known:
        return "better" if known[right] < known[left] else "worse"
    return "other"


def _delivery(a: RunState, b: RunState) -> list[Row]:
    left, right = _times(a), _times(b)
    rows = []
    for name in _both(left, right):
        one, other = left.get(name), right.get(name)
        said = ["" if name not in times else f"{times[name]:.1f} s" if times[name] is not None else "never"
                for times in (left, right)]  # fmt: skip
        if name not in left or name not in right:
            change: Change = "new" if name not in left else "gone"
        else:
            change = _less(one, other, SLACK_SECONDS)
        rows.append(Row("delivery", name, said[0], said[1], change))
    return rows


def _times(state: RunState) -> dict[str, float | None]:
    """``pd-checkout acknowledged`` -> seconds after it fired; None where it never came. The newest attempt counts."""
    newest: dict[tuple[str, str], Probe] = {(p.intended.receiver, p.intended.purpose): p for p in state.probes.values()}
    out: dict[str, float | None] = {}
    for (receiver, purpose), probe in newest.items():
        last, word = ("t6", "acknowledged") if purpose == "acknowledge" else ("t7", "escalated")
        for hop, said in (("t4", "delivered" if purpose == "acknowledge" else "delivered, escalation"), (last, word)):
            seen = probe.hops.get(hop)
            out[f"{receiver} {said}"] = seen.latest - probe.intended.starts_at if seen else None
    return out


def _less(left: float | None, right: float | None, slack: float) -> Change:
    """Whether ``right`` is better for being less than ``left``."""
    if left is None or right is None:
        return "same" if left is right else "better" if left is None else "worse"
    return "same" if abs(left - right) <= slack else "better" if right < left else "worse"


def _findings(a: RunState, b: RunState) -> list[Row]:
    left, right = _open_findings(a), _open_findings(b)
    return [Row("findings", name, left.get(name, ""), right.get(name, ""), _come_or_gone(name, left, right))
            for name in _both(left, right)]  # fmt: skip


def _open_findings(state: RunState) -> dict[str, str]:
    return {
        f"{name} {criterion.id}": f"{criterion.verdict.glyph} {criterion.actual}"
        for name, step in state.steps.items()
        for criterion in step.criteria
        if criterion.verdict is not Verdict.PASSED
    }


def _backlog(a: RunState, b: RunState) -> list[Row]:
    left, right = _gaps(a, b), _gaps(b, a)
    return [Row("backlog", name, left.get(name, ""), right.get(name, ""), _gap_change(name, left, right))
            for name in _both(left, right)]  # fmt: skip


UNJUDGED = "(its step was not judged)"


def _gaps(state: RunState, other: RunState) -> dict[str, str]:
    """Open entries; one of the other run that this run never came to says so, instead of looking mended."""
    mine = {gap.id: f"{gap.title} ({gap.owner})" for gap in state.backlog.values() if gap.status == "open"}
    skipped = {step for step, found in state.steps.items() if found.verdict is None}
    unseen = {gap.id: UNJUDGED for gap in other.backlog.values() if gap.status == "open" and gap.step in skipped}
    return {**unseen, **mine}


def _gap_change(name: str, left: Mapping[str, str], right: Mapping[str, str]) -> Change:
    if UNJUDGED in (left.get(name), right.get(name)):
        return "other"
    return _come_or_gone(name, left, right)


def _come_or_gone(name: str, left: Mapping[str, str], right: Mapping[str, str]) -> Change:
    if name not in left:
        return "new"
    if name not in right:
        return "gone"
    return "same" if left[name] == right[name] else "other"


def _both(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*left, *right]))
