"""The rows that every phase pane begins with: its actions and its gate, with what was measured."""

from ray_tui.core import plan
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.lines import Line, Row, Span, bar, columns, crop, fit
from ray_tui.tui.view import NAMES, VERDICT_STYLES, View

WAITING: Line = (("  ·  waiting", "dim"),)


def action_rows(view: View, number: int, width: int) -> list[Row]:
    """One row an action, then the gate."""
    phase = plan.PHASES[number - 1]
    rows = [_action_row(view, action, width) for action in phase.actions]
    gate = view.step(phase.gate.id)
    said = gate.summary or (f"{phase.gate.pass_threshold}" if gate.status == "waiting" else gate.status)
    label: Span = (fit(f"Gate {number}", 24), "strong" if gate.verdict else "dim")
    rows.append(
        Row(_row(view.mark(phase.gate.id), label, _said(view, phase.gate.id, said), width), _target(phase.gate.id))
    )
    return rows


def _action_row(view: View, action: plan.Action, width: int) -> Row:
    step = view.step(action.id)
    name = f"{action.id} {NAMES[action.id]}" + ("" if action.must else " ·guideline")
    label: Span = (fit(name, 24), "" if step.status != "waiting" else "dim")
    if step.status == "running":
        return Row(_row(view.mark(action.id), label, _progress(step.progress, step.done, step.total, width), width),
                   _target(action.id))  # fmt: skip
    return Row(_row(view.mark(action.id), label, _said(view, action.id, step.summary or step.status), width),
               _target(action.id))  # fmt: skip


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
