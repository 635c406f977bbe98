"""How two runs differ: gates, coverage, delivery times, and the findings that came or went. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ray_tui.core import plan, rules
from ray_tui.core.state import Probe, RunState
from ray_tui.core.untrusted import cell_width, line
from ray_tui.core.verdicts import Finding, Verdict

Change = Literal["same", "better", "worse", "new", "gone", "other"]
SIGNS: dict[Change, str] = {"same": " ", "better": "+", "worse": "-", "new": "!", "gone": "+", "other": "~"}
SECTIONS = ("run", "steps and gates", "coverage", "delivery", "findings", "backlog")
_RANK = {Verdict.PASSED: 0, Verdict.WAIVED: 1, Verdict.INCONCLUSIVE: 2, Verdict.ERROR: 3, Verdict.FAILED: 4}
_Times = dict[str, float | None]
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
    listed = [row for row in rows if everything or row.change != "same" or row.section == "run"]
    longest = max(cell_width(line(row.name, 400)) for row in listed)
    room = width - 4
    name = min(longest, room - 2 * max(12, room // 4))
    half = (room - name) // 2
    out = [_columns(" ", "", _short(a, half), _short(b, half), name, half)]
    for section in SECTIONS:
        found = [row for row in rows if row.section == section]
        shown = [row for row in listed if row.section == section]
        out += ["", section] if found else []
        out += [_columns(SIGNS[row.change], row.name, row.a, row.b, name, half) for row in shown]
        same = len(found) - len(shown)
        out += [f"  {same} the same"] if same else []
    return "\n".join(text.rstrip() for text in [*out, "", "+ better or gone   - worse   ! new   ~ different"])


def _columns(sign: str, name: str, a: str, b: str, wide: int, half: int) -> str:
    return f"{sign} {_fit(name, wide)} {_fit(a or '·', half)} {_fit(b or '·', half)}"


def _fit(text: str, width: int) -> str:
    text = line(text, 400)
    if cell_width(text) > width:
        while cell_width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cell_width(text))


def _id(state: RunState) -> str:
    return state.opened.run_id if state.opened else "(no run)"


def _short(state: RunState, width: int) -> str:
    """The whole id, or where that has no room its end, which tells two runs of one day apart."""
    whole = _id(state)
    return whole if len(whole) <= width else "run " + whole.rsplit("-", 1)[-1]


UNJUDGED = "(its step was not judged)"


def _judged(state: RunState, step: str) -> bool:
    """Whether what this run lacks of a step is really not there; else nobody looked."""
    return state.steps[step].verdict is not None


def outcome(state: RunState) -> str:
    """How a run ended, in words."""
    if state.aborted is not None:
        return f"aborted: {state.aborted.reason}"
    if state.completed is not None:
        return "complete"
    return f"halted at {plan.title(state.halt.step)}" if state.halt is not None else "not over"


def _run(a: RunState, b: RunState) -> list[Row]:
    took = [(state.at if state.ended_at is None else state.ended_at) - state.started_at for state in (a, b)]
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
    looked = _judged(a, "1.2") and _judged(b, "1.2")
    if any(ratio is not None for ratio in ratios):
        said = [
            f"{ratio:.1%}" if ratio is not None else _absent(state, "1.2")
            for ratio, state in zip(ratios, (a, b), strict=True)
        ]
        change = _less(ratios[1], ratios[0], 0) if looked else "other"
        rows.append(Row("coverage", "required cells that are seen", said[0], said[1], change))
    for name in _both(left, right):
        words = [str(cells[name].get("verdict") or "not needed") if name in cells else _absent(state, "1.2")
                 for cells, state in ((left, a), (right, b))]  # fmt: skip
        rows.append(Row("coverage", name, words[0], words[1], _word_change(words[0], words[1])))
    return rows


def _absent(state: RunState, step: str) -> str:
    return "" if _judged(state, step) else UNJUDGED


def _ratio(state: RunState) -> float | None:
    found = state.steps["1.2"].data.get("completeness")
    ratio = found.get("ratio") if isinstance(found, dict) else None
    return float(ratio) if isinstance(ratio, int | float) else None


def _word_change(left: str, right: str) -> Change:
    """A cell that nobody asked about any more is different, not better: what it would have shown is not known."""
    if left == right:
        return "same"
    if not left:
        return "new"
    known = {verdict.value: rank for verdict, rank in _RANK.items()}
    if left in known and right in known:
        return "better" if known[right] < known[left] else "worse"
    return "other"


def _delivery(a: RunState, b: RunState) -> list[Row]:
    left, right = _times(a), _times(b)
    rows = []
    for name in _both(left, right):
        said = [_took(times[name]) if name in times else _untried(state)
                for times, state in ((left, a), (right, b))]  # fmt: skip
        rows.append(Row("delivery", name, said[0], said[1], _delivery_change(name, left, right, said)))
    return rows


def _untried(state: RunState) -> str:
    """What stands for a path to which the last attempt sent nothing; what an attempt before it saw is not its own."""
    attempt = state.steps["2.2"].attempt
    return _absent(state, "2.2") or (f"not tried at attempt {attempt}" if attempt > 1 else "")


def _took(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def _delivery_change(name: str, left: _Times, right: _Times, said: list[str]) -> Change:
    if UNJUDGED in said:
        return "other"
    if name not in left:
        return "new"
    if name not in right:
        return "worse"  # that path was not tried: it proves less than before
    return _less(left[name], right[name], SLACK_SECONDS)


def _times(state: RunState) -> _Times:
    """``pd-checkout acknowledged`` -> seconds after it fired; None where it never came. The last attempt alone counts,
    and of a path that it tried twice the newer alert."""
    began = state.steps["2.2"].started_at or 0.0
    fired = [probe for probe in state.probes.values() if probe.at >= began]
    newest: dict[tuple[str, str], Probe] = {(p.intended.receiver, p.intended.purpose): p for p in fired}
    out: _Times = {}
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
    return [*_come_and_gone("findings", _findings_seen(a, b), _findings_seen(b, a)), *_noise(a, b)]


def _noise(a: RunState, b: RunState) -> list[Row]:
    """Alert rules that are noisy in one of the runs, by precision and what was decided; and incidents that none told
    of."""
    left, right = _rules(a), _rules(b)
    rows = []
    for name in _both(left, right):
        pair = [rules.get(name) for rules in (left, right)]
        if not any(rule is not None and _noisy(rule) for rule in pair):
            continue
        said = [_precision(state, rule) if rule else _absent(state, "3.2")
                for state, rule in zip((a, b), pair, strict=True)]  # fmt: skip
        rows.append(Row("findings", f"3.2 {name}", said[0], said[1], _noise_change(pair, said)))
    return [*rows, *_come_and_gone("findings", _missed(a, b), _missed(b, a))]


def _rules(state: RunState) -> dict[str, Mapping[str, Any]]:
    return {str(rule.get("rule", "?")): rule for rule in _listed(state, "rules")}


def _listed(state: RunState, key: str) -> list[dict[str, Any]]:
    found = state.steps["3.2"].data.get(key) if _judged(state, "3.2") else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _noisy(rule: Mapping[str, Any]) -> bool:
    return rule.get("finding") == Finding.DEGRADED


def _precision(state: RunState, rule: Mapping[str, Any]) -> str:
    """``precision 29% (4 of 14), tuning accepted``."""
    share = rule.get("precision")
    counted = f"({rule.get('true', '?')} of {rule.get('n', '?')})"
    said = f"precision {share:.0%} {counted}" if isinstance(share, int | float) else "no episode"
    if not _noisy(rule):
        return f"{said}, {rule.get('finding', '?')}"
    status = str(rule.get("status") or "noisy")
    return f"{said}, {f'tuning {status}' if status != 'noisy' else 'nothing decided'}"


def _noise_change(pair: Sequence[Mapping[str, Any] | None], said: Sequence[str]) -> Change:
    """Noise that came is worse, as is noise that nobody has decided about any more; too few episodes prove nothing,
    but a rule that was noisy among few is."""
    if UNJUDGED in said:
        return "other"
    left, right = (0 if rule is None or not _noisy(rule) else 1 + (rule.get("status") == "noisy") for rule in pair)
    if left != right:
        return "better" if right < left else "worse"
    return "same" if said[0] == said[1] else "other"


def _missed(state: RunState, other: RunState) -> dict[str, str]:
    """Incidents that no alert told of."""

    def told(of: RunState) -> dict[str, str]:
        return {f"3.2 missed incident {one.get('incident', '?')}": f"{one.get('title', '')}, "
                f"{one.get('action') or 'nothing decided'}" for one in _listed(of, "missed")}  # fmt: skip

    unseen = {} if _judged(state, "3.2") else dict.fromkeys(told(other), UNJUDGED)
    return {**unseen, **told(state)}


def _findings_seen(state: RunState, other: RunState) -> dict[str, str]:
    """What did not pass; a finding of the other run whose step this run never came to says so."""
    unseen = {name: UNJUDGED for name, (step, _) in _open_findings(other).items() if not _judged(state, step)}
    return {**unseen, **{name: said for name, (_, said) in _open_findings(state).items()}}


def _open_findings(state: RunState) -> dict[str, tuple[str, str]]:
    return {
        f"{name} {criterion.id}": (name, f"{criterion.verdict.glyph} {criterion.actual}")
        for name, step in state.steps.items()
        for criterion in step.criteria
        if criterion.verdict is not Verdict.PASSED
    }


def _backlog(a: RunState, b: RunState) -> list[Row]:
    """What only informs, as that samples were too few, is different where it is gone: what they showed may be bad."""
    rows = _come_and_gone("backlog", _gaps(a, b), _gaps(b, a))
    informs = {gap.id for gap in a.backlog.values() if gap.severity == "info"}
    return [replace(row, change="other") if row.change == "gone" and row.name in informs else row for row in rows]


def _gaps(state: RunState, other: RunState) -> dict[str, str]:
    """Open entries; one of the other run that this run never came to says so, instead of looking mended."""
    mine = {gap.id: f"{gap.title} ({gap.owner})" for gap in state.backlog.values() if gap.status == "open"}
    unseen = {
        gap.id: UNJUDGED for gap in other.backlog.values() if gap.status == "open" and not _judged(state, gap.step)
    }
    return {**unseen, **mine}


def _come_and_gone(section: str, left: Mapping[str, str], right: Mapping[str, str]) -> list[Row]:
    return [Row(section, name, left.get(name, ""), right.get(name, ""), _come_or_gone(name, left, right))
            for name in _both(left, right)]  # fmt: skip


def _come_or_gone(name: str, left: Mapping[str, str], right: Mapping[str, str]) -> Change:
    if UNJUDGED in (left.get(name), right.get(name)):
        return "other"
    if name not in left:
        return "new"
    if name not in right:
        return "gone"
    return "same" if left[name] == right[name] else "other"


def _both(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*left, *right]))
