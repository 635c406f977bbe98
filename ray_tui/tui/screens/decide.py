"""The dialogs in which a person decides on a halt, a waiver, a manual validation, a repetition or an abort."""

import hashlib
from pathlib import Path

from ray_tui.core import announcements, plan, rules
from ray_tui.core.commands import Abort, AddNote, Decline, ProposeWaiver, RecordManual
from ray_tui.core.facts import WaiverProposed
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.tui.about import criterion_lines, paragraph, probe_lines
from ray_tui.tui.lines import Line, crop
from ray_tui.tui.screens.dialog import Choice, ChoiceDialog, ConfirmDialog, Field, FormDialog
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.view import VERDICT_STYLES, View, day, name_of, wall

REASON = 15
"""The shortest reason; policy may ask for more, and then the host refuses."""
REPEATS = {
    "2.1": "The plan is shown and asked for again before anything is changed.",
    "2.2": "New probes are fired. People may be paged once more; who, is shown and confirmed by typing first.",
    "3.1": "The schedule is written and installed again.",
    "4.1": "The package is built again; approvals of the old one no longer hold.",
}


def failing(view: View, step: str) -> tuple[Criterion, ...]:
    """What blocks a step now."""
    return rules.blocking(view.state, step, view.now) if step in view.state.steps else ()


def halt_dialog(view: View, width: int) -> ChoiceDialog:
    """The seed's line, the failing criteria with their evidence, and four ways on: the safe one first."""
    halt = view.state.halt
    assert halt is not None
    blocks = failing(view, halt.step)
    lines: list[Line] = []
    if len(blocks) > 1:  # the seed's line then names them all in one breath: say first how many there are
        total = len(view.step(halt.step).criteria)
        lines += [((f"{len(blocks)} of {total} criteria block", "bad"),)]
        lines += [
            crop(((f"{c.verdict.glyph} ", VERDICT_STYLES[c.verdict]), (c.title, "strong")), width) for c in blocks
        ]
        lines.append(())
    lines += paragraph(announcements.error(plan.title(halt.step), halt.reason), width, "bad")
    for criterion in blocks:
        lines += [(), *criterion_lines(view, halt.step, criterion, width)]
    if halt.step == "2.2":
        for probe_id, probe in view.state.probes.items():
            if any(problem.blocks for problem in probe.problems):
                lines += [(), *probe_lines(probe_id, probe, width)]
    choices = [Choice("retry", "Retry", REPEATS.get(halt.step, f"run {name_of(halt.step)} again; asks first"))]
    if any(c.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR) for c in failing(view, halt.step)):
        choices.append(Choice("manual", "Manual", "record what you saw, with a screenshot"))
    if any(c.waivable for c in failing(view, halt.step)):
        choices.append(Choice("waive", "Waive…", "needs a second person; at most 30 days"))
    if halt.step[:1].isdigit() and not plan.action(halt.step).must:
        choices.append(Choice("decline", "Decline…", "a guideline may be declined, with a reason"))
    choices.append(Choice("abort", "Abort…", "ends this run for good; asks you to type it"))
    return ChoiceDialog(f"Halted at {plan.title(halt.step)}", lines, choices, key=f"halt:{view.state.halt_seq}")


def retry_dialog(view: View, step: str, width: int) -> ConfirmDialog:
    attempt = view.step(step).attempt + 1
    text = f"{plan.title(step)} runs {'again, as attempt ' + str(attempt) if attempt > 1 else 'now'}."
    more = REPEATS.get(step, "")
    lines = paragraph(f"{text} {more}".strip(), width)
    if attempt > 1:
        lines += paragraph("The gates after it are judged again.", width, "dim")
    return ConfirmDialog(f"Run {name_of(step)}?", lines, f"run {name_of(step)}", key="")


class WaiveDialog(FormDialog):
    """One criterion of one step, a reason, an expiry."""

    def __init__(self, view: View, step: str, width: int) -> None:
        self.step = step
        waivable = [c for c in failing(view, step) if c.waivable]
        lines: list[Line] = []
        for criterion in waivable:
            lines += criterion_lines(view, step, criterion, width)
        lines += [
            (),
            *paragraph(
                "A waiver is bound to this evidence, needs a second person, and never counts as passed.", width, "dim"
            ),
        ]
        fields = [
            Field("reason", f"reason (at least {REASON} characters)", least=REASON),
            Field("days", "days (1–30)", "7"),
            Field("ticket", "ticket (optional)"),
        ]
        choices = [Choice(c.id, c.title) for c in waivable]
        super().__init__(f"Waive at {plan.title(step)}", lines, fields, choices=choices, choose="Which criterion?")

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        try:
            return "" if 0 < float(values["days"]) <= 30 else "days: from 1 to 30"
        except ValueError:
            return "days: a number from 1 to 30"

    def command(self, values: dict[str, str]) -> ProposeWaiver:
        return ProposeWaiver(
            criterion=values["choice"], step=self.step, reason=values["reason"].strip(), days=float(values["days"]),
            ticket=values["ticket"].strip(),
        )  # fmt: skip


class ManualDialog(FormDialog):
    """What a person saw where automation could not judge; a screenshot is recorded by its hash."""

    def __init__(self, view: View, step: str, width: int) -> None:
        self.step = step
        self._attached: tuple[dict[str, str], ...] = ()
        unjudged = [c for c in failing(view, step) if c.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)]
        lines: list[Line] = []
        for criterion in unjudged:
            lines += criterion_lines(view, step, criterion, width)
        lines += [(), *paragraph("It settles what could not be judged, never a proven failure.", width, "dim")]
        fields = [
            Field("note", f"what you saw (at least {REASON} characters)", least=REASON),
            Field("file", "screenshot or sheet (path, optional)"),
        ]
        choices = [Choice(c.id, c.title) for c in unjudged]
        super().__init__(
            f"Manual validation at {plan.title(step)}", lines, fields, choices=choices, choose="Which criterion?"
        )

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        if not values["file"].strip():
            self._attached = ()
            return ""
        path = Path(values["file"].strip()).expanduser()
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as exc:
            return f"{path} cannot be read: {exc.strerror or exc}"
        self._attached = ({"name": path.name, "sha256": digest, "path": str(path.absolute())},)
        return ""

    def command(self, values: dict[str, str]) -> RecordManual:
        return RecordManual(
            criterion=values["choice"], step=self.step, note=values["note"].strip(), attachments=self._attached
        )


def waiver_lines(view: View, waiver: WaiverProposed, width: int) -> list[Line]:
    """Who asks for what, why, until when, and the criterion as it stands."""
    lines = paragraph(f"{waiver.operator} asks to waive {waiver.criterion} at {plan.title(waiver.step)}.", width)
    lines += paragraph(waiver.reason, width, "strong", "reason   ")
    left = (waiver.expires_at - view.now) / 86_400
    lines += paragraph(f"{day(waiver.expires_at)}, in {left:.1f} days", width, "", "expires  ")
    lines += paragraph(waiver.ticket or "–", width, "", "ticket   ")
    lines += paragraph(waiver.evidence_sha256[:16], width, "dim", "evidence ")
    for criterion in view.step(waiver.step).criteria:
        if criterion.id == waiver.criterion:
            lines += [(), *criterion_lines(view, waiver.step, criterion, width)]
    return lines


def confirm_waiver_dialog(view: View, waiver: WaiverProposed, width: int) -> ConfirmDialog:
    """The second person decides; No first."""
    lines = waiver_lines(view, waiver, width)
    return ConfirmDialog(
        f"Confirm waiver {waiver.id}?", lines, "waive it, as the second person", key=f"waiver:{waiver.id}"
    )


def waiting_waiver_dialog(view: View, waiver: WaiverProposed, width: int) -> ReadDialog:
    """The same where this person cannot be the second."""
    why = "you proposed it" if waiver.operator == view.person else "this needs someone with a role in [people]"
    head: list[Line] = [(("waits for a second person", "warn"), (f"; {why}", "dim")), ()]
    return ReadDialog(f"Waiver {waiver.id} waits for a second person", [*head, *waiver_lines(view, waiver, width)],
                      key=f"waiver:{waiver.id}")  # fmt: skip


def decline_dialog(step: str, width: int) -> FormDialog:
    text = f"{plan.title(step)} is a guideline. Declining it goes into the record with your reason."
    return FormDialog(f"Decline {name_of(step)}", paragraph(text, width),
                      [Field("reason", f"reason (at least {REASON} characters)", least=REASON)])  # fmt: skip


def abort_dialog(width: int) -> FormDialog:
    text = (
        "This ends the run for good: open probes are cleared; a new run begins at the prerequisites. q only detaches."
    )
    fields = [Field("reason", "reason", least=3), Field("typed", "type  abort  to end the run", exactly="abort")]
    return FormDialog("Abort this run?", paragraph(text, width, "bad"), fields)


def note_dialog(view: View, width: int) -> FormDialog:
    """The last notes, as in a chat, and a line for the next."""
    said: list[Line] = []
    for at, person, text in view.state.notes[-6:]:
        said += paragraph(f"{person}: {text}", width, "say", f"{wall(at)}  ")
    whose = f" as {view.person}" if view.person else ""
    return FormDialog("Add a note", [*said, *paragraph(f"It goes into the journal{whose}.", width, "dim")],
                      [Field("text", "note", least=1)])  # fmt: skip


def abort_command(values: dict[str, str]) -> Abort:
    return Abort(reason=values["reason"].strip())


def decline_command(step: str, values: dict[str, str]) -> Decline:
    return Decline(step=step, reason=values["reason"].strip())


def note_command(values: dict[str, str]) -> AddNote:
    return AddNote(text=values["text"].strip())
