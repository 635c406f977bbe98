"""The rows that every phase pane begins with: its actions and its gate, with what was measured."""

from ray_tui.core import plan, rules
from ray_tui.core.untrusted import cell_width
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.lines import Line, Row, Span, bar, columns, crop, fit
from ray_tui.tui.view import NAMES, VERDICT_STYLES, View, asks_whom, lookers, measured, path_words

LABEL = 24
"""Cells for the name of an action."""
WAITING: Line = (("  ·  waiting", "dim"),)


def action_rows(view: View, number: int, width: int) -> list[Row]:
    """One row an action, then the gate."""
    phase = plan.PHASES[number - 1]
    rows = [_action_row(view, action, width) for action in phase.actions]
    said = _gate_words(view, phase.gate)
    label: Span = (fit(f"Gate {number}", LABEL), "strong" if view.step(phase.gate.id).verdict else "dim")
    rows.append(
        Row(_row(view.mark(phase.gate.id), label, _said(view, phase.gate.id, said), width), _target(phase.gate.id))
    )
    return rows


def _gate_words(view: View, gate: plan.Gate) -> str:
    """What stops it first; the figure that it is about; or what it will ask for."""
    step = view.step(gate.id)
    if step.verdict is None:
        return gate.pass_threshold if step.status == "waiting" else step.status
    stopping = [c for c in step.criteria if not rules.effective(view.state, gate.id, c, view.now).lets_go_on]
    if stopping:
        return "; ".join(f"{c.title}: {c.actual}" for c in stopping)
    waived = sum(c.verdict is not Verdict.PASSED for c in step.criteria)
    count = f"{len(step.criteria) - waived} of {len(step.criteria)} checks passed" + (
        f", {waived} waived" * bool(waived)
    )
    figure = measured(view, gate)
    if not step.criteria:
        return step.summary
    return count if "/" in figure else f"{figure}, {count}"


def _action_row(view: View, action: plan.Action, width: int) -> Row:
    step = view.step(action.id)
    label: Span = (_name(view, action), "" if step.status != "waiting" else "dim")
    asked = next((prompt for prompt in view.state.open_prompts if prompt.raised.step == action.id), None)
    if asked is not None:
        said: tuple[Span, ...] = (("waits for ", "warn"), (asks_whom(view, asked.raised), "warn"),
                                  (f": {asked.raised.title}", "dim"))  # fmt: skip
        return Row(_row(view.mark(action.id), label, said, width), _target(action.id))
    if view.state.aborted is not None and step.status in ("waiting", "running"):
        far = f": {path_words(view.state)[2]}" if action.id == "2.2" and view.state.probes else ""
        return Row(_row(view.mark(action.id), label, ((f"not done{far}", "dim"),), width), _target(action.id))
    if step.status == "running":
        done, total, doing = step.done, step.total, step.progress
        if action.id == "2.2" and view.state.probes:
            done, total, doing = path_words(view.state)
        return Row(_row(view.mark(action.id), label, _progress(doing, done, total, width), width), _target(action.id))
    blocks = rules.blocking(view.state, action.id, view.now) if step.criteria else ()
    count = f"{len(blocks)} of {len(step.criteria)}: " if len(blocks) > 1 else ""
    said = _said(view, action.id, count + (step.summary or step.status))
    return Row(_row(view.mark(action.id), label, said, width), _target(action.id))  # fmt: skip


def _name(view: View, action: plan.Action) -> str:
    """The action, then who else looks at it: where both have no room the name gives way."""
    name = f"{action.id} {NAMES[action.id]}" + ("" if action.must else " ·guideline")
    others = lookers(view, plan.phase_of(action.id), action.id)
    if not others:
        return fit(name, LABEL)
    room = max(8, LABEL - cell_width(others) - 1)
    return fit(f"{fit(name, min(room, cell_width(name)))} {others}", LABEL)


def _row(mark: Span, label: Span, said: tuple[Span, ...], width: int) -> Line:
    return crop((mark, (" ", ""), label, (" ", ""), *said), width)


def _target(step: str) -> str:
    return f"step:{step}"


def _said(view: View, name: str, text: str) -> tuple[Span, ...]:
    """The verdict in a word where it is not a pass, then the summary."""
    step, verdict = view.step(name), view.verdict(name)
    again = f" (attempt {step.attempt})" if step.attempt > 1 else ""
    if step.status == "waiting" or verdict is None:
        return ((text, "dim"),)
    if verdict is Verdict.PASSED:
        return ((text + again, ""),)
    return ((verdict.value, VERDICT_STYLES[verdict]), (f" {text}{again}", ""))


def _progress(text: str, done: int | None, total: int | None, width: int) -> tuple[Span, ...]:
    if done is None or not total:
        return ((text or "running", "run"),)
    full, empty = bar(done / total, 10)
    return ((full, "run"), (empty, "dim"), (f" {done}/{total} ", "run"), (text, "dim"))


def heading(*cells: str, widths: tuple[int, ...]) -> Row:
    return Row(columns([(cell, "dim") for cell in cells], widths))


def blank() -> Row:
    return Row(())
