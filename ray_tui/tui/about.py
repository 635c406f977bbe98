"""Why is it so? The facts behind one row of a pane, as lines to read and to copy. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from ray_tui.clock import iso
from ray_tui.core import plan, rules, views
from ray_tui.core.facts import Fact
from ray_tui.core.state import Probe
from ray_tui.core.untrusted import deep_clean
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.tui import charts
from ray_tui.tui.lines import Line, Span, crop, short_seconds, width_of, wrap
from ray_tui.tui.panes.baseline import FINDINGS, against, figure_of
from ray_tui.tui.panes.waterfall import HOP_NAMES, HOPS, problem_words
from ray_tui.tui.view import VERDICT_STYLES, View, day, mapping, mappings, released_at, wall

DEEPEST = 4
IN_UNIT = ("now", "prior", "shift", "allowed")
"""Values of a KPI that are in its unit."""


def about(view: View, target: str, width: int) -> tuple[str, list[Line]]:
    """Title and lines for a row's target; a target that is gone says so."""
    kind, _, rest = target.partition(":")
    match kind:
        case "step":
            return plan.title(rest), step_lines(view, rest, width)
        case "probe":
            probe = view.state.probes.get(rest)
            return (f"Probe to {probe.intended.receiver}", probe_lines(rest, probe, width)) if probe else _gone(target)
        case "service":
            return f"Coverage of {rest}", _service(view, rest, width)
        case "data":
            return _datum(view, rest, width)
        case "entry":
            return _entry(view, int(rest), width)
        case "box":
            return _box(view, int(rest), width)
        case "approval":
            given = view.state.approvals[int(rest)]
            return f"Approval as {given.role}", describe(given.to_json(), width)
        case "waiver":
            found = view.state.waivers.get(rest) or view.state.proposed.get(rest)
            return (f"Waiver {rest}", describe(found.to_json(), width)) if found else _gone(target)
        case "gap":
            gap = view.state.backlog.get(rest)
            return (gap.title, describe(gap.to_json(), width)) if gap else _gone(target)
    return _gone(target)


def _box(view: View, index: int, width: int) -> tuple[str, list[Line]]:
    """A handoff box: whether it is full, and everything that still keeps it open."""
    boxes = views.handoff_boxes(view.state, view.now)
    if index >= len(boxes):
        return _gone(f"box {index}")
    box = boxes[index]
    word: Span = ("✓ checked", "good") if box.checked else ("· open", "warn")
    said = box.why or "Nothing keeps it open."
    computed = "Computed from what this run has recorded; nobody ticks it."
    return box.title, [(word,), (), *paragraph(said, width), (), *paragraph(computed, width, "dim")]


def _gone(target: str) -> tuple[str, list[Line]]:
    return "Nothing here", [((f"{target} is not in this run (any more).", ""),)]


def paragraph(text: str, width: int, style: str = "", lead: str = "") -> list[Line]:
    room = max(10, width - len(lead))
    return [((lead if i == 0 else " " * len(lead), "dim"), (part, style)) for i, part in enumerate(wrap(text, room))]


def step_lines(view: View, name: str, width: int) -> list[Line]:
    """A step: its verdict, its criteria with evidence and remedy, and the journal line behind it."""
    step, verdict = view.step(name), view.verdict(name)
    word: Span = (verdict.value, VERDICT_STYLES[verdict]) if verdict else (step.status, "dim")
    when = f"  attempt {step.attempt}" if step.attempt else ""
    took = ""
    if step.started_at and step.finished_at:
        took = f"  {wall(step.started_at)}Z, took {short_seconds(step.finished_at - step.started_at)}"
    out: list[Line] = [(word, (f"{when}{took}", "dim"), (f"  journal seq {step.seq}" if step.seq else "", "dim"))]
    out += paragraph(step.summary, width) if step.summary else []
    if name.startswith("gate."):
        gate = plan.gate(name)
        out += paragraph(gate.criteria, width, "dim", "criteria  ") + paragraph(
            gate.pass_threshold, width, "dim", "passes at "
        )
    elif name[:1].isdigit():
        action = plan.action(name)
        out += paragraph(action.halts_when, width, "dim", "halts when ")
        for artifact in action.artifacts:
            written = view.state.evidence.get(artifact.name)
            mark: Span = ("✓", "good") if written else ("·", "dim")
            said = f" {artifact.name}" + (f"  sha256 {written.sha256[:16]}" if written else "  not written yet")
            out.append((mark, (said, "" if written else "dim")))
    out += journal_lines(view, name, width)
    ordered = sorted(step.criteria, key=lambda c: c.verdict.lets_go_on)
    for criterion in ordered:
        out += [(), *criterion_lines(view, name, criterion, width)]
    return out


def journal_lines(view: View, step: str, width: int, most: int = 5) -> list[Line]:
    """The newest journal lines about a step, by seq."""
    found = [line for line in view.state.log if line.step == step][-most:]
    out: list[Line] = [(), (("journal", "strong"), ("  5 and Enter open any line of it", "dim"))] if found else []
    for line in found:
        out += paragraph(line.text.split("\n")[0], width, "", f"  seq {line.seq:<5} {wall(line.at)}  ")
    return out


def criterion_lines(view: View, name: str, criterion: Criterion, width: int) -> list[Line]:
    """One criterion: verdict, actual, required, remedy, evidence."""
    verdict = rules.effective(view.state, name, criterion, view.now)
    out: list[Line] = [
        (
            (f"{verdict.glyph} {verdict.value} ", VERDICT_STYLES[verdict]),
            (criterion.title, "strong"),
            (f"  {criterion.id}", "dim"),
        )
    ]
    out += paragraph(criterion.actual, width, "", "  measured  ")
    out += paragraph(criterion.required, width, "", "  required  ") if criterion.required else []
    out += paragraph(criterion.remedy, width, "say", "  remedy    ") if criterion.remedy else []
    out += paragraph(", ".join(criterion.evidence), width, "dim", "  evidence  ") if criterion.evidence else []
    if not criterion.waivable and not verdict.lets_go_on:
        out.append((("  cannot be waived", "dim"),))
    return out


def probe_lines(probe_id: str, probe: Probe, width: int) -> list[Line]:
    """A probe's hops as intervals, with their sources."""
    intended = probe.intended
    out: list[Line] = [
        (("id  ", "dim"), (probe_id, "")),
        *paragraph(
            f"{intended.purpose}, {intended.how}; fired {iso(intended.starts_at)}; seq {probe.seq}", width, "", "for "
        ),
        (("SLA ", "dim"), (short_seconds(intended.sla_seconds) if intended.sla_seconds else "–", "")),
    ]
    if intended.pages:
        out += paragraph(", ".join(intended.pages), width, "warn", "pages ")
    out.append(())
    for hop in HOPS:
        seen = probe.hops.get(hop)
        if seen is None:
            out.append(((f"{hop} {HOP_NAMES[hop]:<10}", "dim"), ("not seen", "dim")))
            continue
        low, high = seen.earliest - intended.starts_at, seen.latest - intended.starts_at
        span = f"{low:.2f}–{high:.2f} s" if high - low > 0.005 else f"{high:.2f} s"
        seen_by = "  ".join(part for part in (seen.who, seen.detail, f"{seen.source}, seq {seen.seq}") if part)
        lead = f"{hop} {HOP_NAMES[hop]:<10}{span:<16}"
        first, *more = paragraph(seen_by, width, "dim", lead)
        out += [((lead[:13], ""), (lead[13:], "strong"), *first[1:]), *more]
    for problem in probe.problems:
        out += paragraph(problem_words(problem, probe), width, "bad" if problem.blocks else "warn", "✗ ")
    if probe.cleared is not None:
        left = f"; left: {', '.join(probe.cleared.left)}" if probe.cleared.left else ""
        detail = f": {probe.cleared.detail}" if probe.cleared.detail else ""
        clean = "clean" if probe.cleared.clean else "NOT CLEAN"
        out += paragraph(f"cleared {clean}{detail}{left}", width, "" if probe.cleared.clean else "bad")
    out += [(), (("labels", "dim"),), *describe(dict(intended.labels), width)]
    return out


def _service(view: View, name: str, width: int) -> list[Line]:
    """Each signal: its verdict, why, the last sample, and the query that was asked."""
    step = view.step("1.2")
    out: list[Line] = [((f"from {plan.title('1.2')}, attempt {step.attempt}, journal seq {step.seq}", "dim"),)]
    for cell in mappings(mapping(step.data).get("cells")):
        if cell.get("service") != name:
            continue
        word, style = _verdict_words(cell.get("verdict"))
        out += [(), ((f"{word}  ", style), (str(cell.get("signal", "")), "strong"), (f"  {cell.get('why') or ''}", ""))]
        seen = cell.get("last_seen_at")
        if isinstance(seen, int | float) and seen > 0:
            age = charts.value_text(cell.get("age_seconds"), "s")
            out += paragraph(f"{iso(seen)}, {age} old when looked at", width, "", "  last sample  ")
        out += paragraph(
            str(cell.get("required_by") or "nothing: it is not asked for"), width, "dim", "  required by  "
        )
        out += paragraph(str(cell.get("query") or "–"), width, "say", "  query        ")
    for row in mappings(mapping(step.data).get("red")):
        if row.get("service") == name:
            word, style = _verdict_words(row.get("verdict"))
            out += [(), ((f"{word}  ", style), ("RED", "strong"), (f"  {row.get('why') or ''}", ""))]
    for criterion in step.criteria:
        if criterion.id.endswith(f":{name}") or f":{name}/" in criterion.id:
            out += [(), *criterion_lines(view, "1.2", criterion, width)]
    return out if len(out) > 1 else [(("No cell names this service.", ""),)]


def _verdict_words(value: object) -> Span:
    try:
        verdict = Verdict(str(value))
    except ValueError:
        return "– not needed", "dim"
    return f"{verdict.glyph} {verdict.value}", VERDICT_STYLES[verdict]


def _kpi(view: View, index: int, kpi: Mapping[str, Any], width: int) -> list[Line]:
    """A KPI since the release: large, its chart with the normal band and the release, and the figures."""
    figure = figure_of(view, mapping(view.step("1.3").data), index, kpi)
    released = released_at(view)
    word, style = FINDINGS.get(figure.finding, (figure.finding, "dim"))
    digits = charts.large(charts.value_text(figure.now, figure.unit))
    said: list[Line] = [
        ((f"   {against(figure)}", ""),),
        ((f"   {word}", style),),
        ((f"   {kpi.get('why') or ''}", "dim"),),
    ]  # fmt: skip
    beside = zip(digits, said, strict=True)
    out: list[Line] = [((row, "strong"), *crop(right, width - len(row))) for row, right in beside]
    out += [(), *charts.panel(figure.points, width, 9, figure.band, figure.unit, released)]
    legend = charts.panel_legend(figure.points, figure.band, figure.unit, released, wall(released)[:5])
    told = {**kpi, **{key: charts.value_text(kpi[key], figure.unit) for key in IN_UNIT if kpi.get(key) is not None}}
    asked = paragraph(str(kpi["query"]), width, "say", "query  ") if kpi.get("query") else []
    return [*out, charts.under(legend, 12, width), (), *asked,
            *describe(told, width, skip=("samples", "unit", "query"))]  # fmt: skip


def _datum(view: View, path: str, width: int) -> tuple[str, list[Line]]:
    step, *keys = path.split("/")
    try:
        value = view.datum(path)
    except LookupError:
        return _gone(path)
    shown = mapping(value) if isinstance(value, dict) else {keys[-1] if keys else step: value}
    name = next((str(shown[k]) for k in ("title", "name", "rule", "metric", "asset", "service") if shown.get(k)), path)
    head: Line = ((f"from {plan.title(step)}, journal seq {view.step(step).seq}", "dim"),)
    if keys[:1] == ["kpis"]:
        index = int(keys[1]) if len(keys) > 1 and keys[1].isdigit() else 0
        name = f"{shown.get('service', '')} {shown.get('kpi', '')}".strip() or path
        return name, [head, (), *_kpi(view, index, shown, width)]
    lines = describe(shown, width, skip=("diff",))
    if isinstance(shown.get("diff"), str) and shown["diff"]:
        lines += [(), *diff_lines(shown["diff"], width)]
    return name, [head, (), *lines]


def _entry(view: View, seq: int, width: int) -> tuple[str, list[Line]]:
    line = next((found for found in view.state.log if found.seq == seq), None)
    if line is None:
        return _gone(f"entry {seq}")
    head: Line = ((f"{iso(line.at)}  {line.kind}  by {line.person}  {line.step}", "dim"),)
    said: list[Line] = [head, (), *((((text, "")),) for text in wrap(line.text, width))]
    return f"Journal seq {seq}", [*said, *(_fact(line.fact, width) if line.fact else ())]


def _fact(fact: Fact, width: int) -> list[Line]:
    """The fact as the journal holds it, in JSON whose text from outside is made visible and bounded."""
    body = {"kind": fact.kind, **deep_clean(fact.to_json())}
    shown = json.dumps(body, indent=2, ensure_ascii=False).split("\n")
    out: list[Line] = [(), (("the fact", "strong"),)]
    for text in shown[:LONGEST_JSON]:
        lead = " " * (len(text) - len(text.lstrip()))
        out += paragraph(text.lstrip(), width, "say", lead)
    left = len(shown) - LONGEST_JSON
    return [*out, ((f"… {left} more lines: `ray-tui runs` names the journal", "dim"),)] if left > 0 else out


def seq_of(view: View, target: str) -> int:
    """The journal line behind a row; 0 where none is known."""
    kind, _, rest = target.partition(":")
    match kind:
        case "entry":
            return int(rest)
        case "probe":
            probe = view.state.probes.get(rest)
            return probe.seq if probe else 0
        case "service":
            return view.step("1.2").seq
        case "step":
            return view.step(rest).seq
        case "data":
            return view.step(rest.partition("/")[0]).seq
    wanted = {"approval": "ApprovalRecorded", "waiver": "Waiver", "gap": "GapFound"}.get(kind, "–")
    found = [line.seq for line in view.state.log if line.kind.startswith(wanted) and _names(line.fact, kind, rest)]
    return found[-1] if found else 0


def _names(fact: Fact | None, kind: str, rest: str) -> bool:
    return kind == "approval" or getattr(fact, "id", "") == rest


LONGEST_DIFF = 2_000
LONGEST_JSON = 400
_DIFF_STYLES = {"+": "good", "-": "bad", "@": "run"}


def diff_lines(diff: str, width: int) -> list[Line]:
    """A unified diff; the sign says what the colour repeats."""
    out: list[Line] = []
    for text in diff.split("\n")[:LONGEST_DIFF]:
        style = "strong" if text.startswith(("--- ", "+++ ")) else _DIFF_STYLES.get(text[:1], "dim")
        line: Line = ((text.replace("\t", "    "), style),)
        out += [line] if width_of(line) <= width else paragraph(text, width, style)
    return out if diff else []


def describe(data: Mapping[str, Any], width: int, *, skip: tuple[str, ...] = (), depth: int = 0) -> list[Line]:
    """Any JSON as ``key  value`` lines, nested by indent."""
    out: list[Line] = []
    lead = "  " * depth
    for key, value in data.items():
        if key in skip or value in (None, "", [], {}):
            continue
        if isinstance(value, dict) and depth < DEEPEST:
            out += [((f"{lead}{key}", "dim"),), *describe(value, width, depth=depth + 1)]
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value) and depth < DEEPEST:
            out.append(((f"{lead}{key}", "dim"),))
            for item in value[:200]:
                out += _item(item, width, depth, f"{lead}  ")
        else:
            out += paragraph(_plain(key, value), width, "", f"{lead}{key}  ")
    return out


def _short(item: Mapping[str, Any]) -> bool:
    return len(str(item)) < 90 and not any(isinstance(value, dict | list) for value in item.values())


def _item(item: Any, width: int, depth: int, lead: str) -> list[Line]:
    """One entry of a list: a small mapping on one line."""
    if not isinstance(item, dict):
        return [((f"{lead}{item}", ""),)]
    if _short(item):
        pairs = ", ".join(f"{name} {_plain(name, value)}" for name, value in item.items())
        return paragraph(pairs, width, "", f"{lead}· ")
    return [((f"{lead}·", "dim"),), *describe(item, width, depth=depth + 1)]


def _plain(key: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if key.endswith("_at") and isinstance(value, int | float) and value > 1e8:
        return f"{iso(value)} ({day(value)})"
    return f"{value:g}" if isinstance(value, float) else str(value)
