"""The dialogs in which a person decides on a halt, a waiver, a manual validation, a repetition or an abort."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

from ray_tui.core import alert_tests, announcements, changed, declining, plan, ways, whom
from ray_tui.core.answering import limits_of, wrong_days
from ray_tui.core.commands import Abort, AddNote, Decline, ProposeWaiver, RecordManual
from ray_tui.core.facts import AlertTest, Halted, WaiverProposed
from ray_tui.core.limits import Limits
from ray_tui.core.together import by_cause, named
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion
from ray_tui.tui.about import criterion_lines, paragraph, probe_lines
from ray_tui.tui.attached import attachment
from ray_tui.tui.lines import Line, crop, fit
from ray_tui.tui.screens.dialog import (
    NOT_NOW,
    Choice,
    ChoiceDialog,
    ConfirmDialog,
    Fault,
    Field,
    FormDialog,
    fault_in,
)
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.subject import signing_line
from ray_tui.tui.view import VERDICT_STYLES, View, day, name_of, settled_words, short_name, wall

REPEATS = {
    "2.1": "The plan is shown and asked for again before anything is changed.",
    "2.2": "New probes are fired. People may be paged once more; who, is shown and confirmed by typing first.",
    "3.1": "The schedule is written and installed again.",
    "4.1": "The package is built again; approvals of the old one no longer hold.",
}


LETTERS = {"retry": "r", "waive": "w", "manual": "m"}
"""The console's own keys; each asks once more."""
AGAIN = {"2.2": "new probes; people are paged once more, after you confirm it"}
"""The same in a line."""


def halt_lines(view: View, halt: Halted, width: int) -> list[Line]:
    """The failing criteria with their evidence, and the seed's line: before them where it names one, else after them,
    for then it names them all in one breath."""
    blocks = ways.failing(view.state, halt.step, view.now)
    error = paragraph(announcements.error(plan.title(halt.step), halt.reason), width, "bad")
    stale = changed.since(view.state)
    noted = "" if stale else changed.of_remedies(view.state, blocks)
    parts: list[list[Line]] = [_in_sum(view, halt.step, blocks, width) if len(blocks) > 1 else error]
    if progress := settled_words(view, halt.step):
        still = f"{progress}; {len(blocks)} still block{'s' * (len(blocks) == 1)}"
        parts.insert(len(blocks) > 1, [((still, "warn"),)])
    parts += [paragraph(f"{stale} {changed.to_go_on(view.state)}", width, "warn")] if stale else []
    parts += [cause_lines(view, halt.step, group, width) for group in by_cause(blocks)]
    parts += [error] if len(blocks) > 1 else []
    parts += [probe_lines(probe_id, probe, width) for probe_id, probe in view.state.probes.items()
              if halt.step == "2.2" and any(problem.blocks for problem in probe.problems)]  # fmt: skip
    parts += [paragraph(noted, width, "dim")] if noted else []
    return [line for part in parts for line in ((), *part)][1:]


def _in_sum(view: View, step: str, blocks: Sequence[Criterion], width: int) -> list[Line]:
    """How many block, and a line each; what all of one cause have measured alike is said once, above them."""
    causes = by_cause(blocks)
    said = ", all of one cause" if len(causes) == 1 else ""
    lines: list[Line] = [((f"{len(blocks)} of {len(view.step(step).criteria)} criteria block{said}", "bad"),)]
    for group in causes:
        mark = (f"{group[0].verdict.glyph} ", VERDICT_STYLES[group[0].verdict])
        alike = _alike([one.actual for one in group])
        if alike:
            lines.append(crop((mark, (f"{alike} …", "strong")), width))
        for one in group:
            told = one.actual[len(alike) :].strip()
            head = ("  ", "") if alike else mark
            lines.append(crop((head, (f"{short_name(one)}: ", "" if alike else "strong"), (told, "")), width))
    return lines


LEAST_ALIKE = 3
"""Words that several measurements must have in common at their beginning before these are said once."""


def _alike(said: Sequence[str]) -> str:
    """The words with which all of these begin; empty where they are too few, or all that one of them says."""
    words = [text.split() for text in said]
    first = [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))]
    whole = any(len(one) == len(first) for one in words)
    return " ".join(first) if len(said) > 1 and len(first) >= LEAST_ALIKE and not whole else ""


def waiting_halt_dialog(view: View, width: int) -> ReadDialog:
    """The same on a console that does not drive."""
    halt = view.state.halt
    assert halt is not None
    who = whom.driver(view.state)
    head: list[Line] = [(("waiting for ", "warn"), (who, "strong"), (" to decide", "warn")), ()]
    return ReadDialog(f"Halted at {plan.title(halt.step)} (waiting for {who})",
                      [*head, *halt_lines(view, halt, width)], key=f"halted:{view.state.halt_seq}")  # fmt: skip


def halt_dialog(view: View, width: int) -> ChoiceDialog:
    """What stopped the run, and the ways on: the safe one first."""
    halt = view.state.halt
    assert halt is not None
    lines = halt_lines(view, halt, width)
    waivable = ways.waivable(view.state, halt.step, view.now)
    together = max((len(group) for group in by_cause(waivable)), default=1)
    one = f"needs a second person; at most {limits_of(view.state).waiver_days} days"
    owed = halt.step[:1].isdigit() and declining.owed(halt.step)
    second = "; needs a second person" if owed else ""
    said: dict[ways.Way, tuple[str, str]] = {
        "retry": ("Retry", AGAIN.get(halt.step, f"run {name_of(halt.step)} again; asks first")),
        "manual": ("Manual", "record what you saw, with a screenshot"),
        "waive": ("Waive…", f"one, or {together} at once; needs a second person" if together > 1 else one),
        "decline": ("Decline…", f"a guideline may be declined, with a reason{second}"),
        "abort": ("Abort…", "ends this run for good; asks you to type it"),
    }
    choices = [Choice(way, *said[way], LETTERS.get(way, "")) for way in ways.ways(view.state, halt.step, view.now)]
    return ChoiceDialog(f"Halted at {plan.title(halt.step)}", lines, choices, key=f"halt:{view.state.halt_seq}")


def cause_lines(view: View, step: str, group: Sequence[Criterion], width: int) -> list[Line]:
    """What fails for one cause: the first in full, the others by name."""
    lines = criterion_lines(view, step, group[0], width)
    if len(group) > 1:
        lines.append(((f"and so {'is' if len(group) == 2 else 'are'} {len(group) - 1} more:", "warn"),))
        for other in group[1:]:
            lines += paragraph(f"{other.title}: {other.actual}", width, "", "  ")
            lines.append(((f"  {other.id}", "dim"),))
    return lines


ALL = "cause:"
"""Begins the id of a choice that stands for every criterion of one cause."""
EVERY = "every"


def which(criteria: Sequence[Criterion], width: int) -> list[Choice]:
    """What a form can be about, a line each: first all that have one cause, then each alone, at last all that block."""
    groups = by_cause(criteria)
    said = [(f"{ALL}{group[0].id}", f"All {len(group)} of one cause: {_in_short(group)}")
            for group in groups if len(group) > 1]  # fmt: skip
    said += [(criterion.id, criterion.title) for criterion in criteria]
    said += [(EVERY, f"All {len(criteria)}, of every cause")] if len(groups) > 1 else []
    return [Choice(name, fit(line(text, 400), width - 6).rstrip()) for name, text in said]


def _in_short(group: Sequence[Criterion]) -> str:
    return ", ".join(map(short_name, group))


def chosen_ids(choice: str, criteria: Sequence[Criterion]) -> list[str]:
    """The ids of the criteria that a choice stands for; never more than were shown."""
    if choice == EVERY:
        return [criterion.id for criterion in criteria]
    if not choice.startswith(ALL):
        return [choice]
    first = choice.removeprefix(ALL)
    group = next((group for group in by_cause(criteria) if group[0].id == first), ())
    return [criterion.id for criterion in group]


def retry_dialog(view: View, step: str, width: int) -> ConfirmDialog:
    attempt = view.step(step).attempt + 1
    text = f"{plan.title(step)} runs {'again, as attempt ' + str(attempt) if attempt > 1 else 'now'}."
    more = REPEATS.get(step, "")
    lines = paragraph(f"{text} {more}".strip(), width)
    if attempt > 1:
        anew = "; what was sealed is sealed and approved anew" if view.state.package and step[:1].isdigit() else ""
        lines += paragraph(f"The gates after it are judged again{anew}.", width, "dim")
    return ConfirmDialog(f"Run {name_of(step)}?", lines, f"run {name_of(step)}", key="")


class WaiveDialog(FormDialog):
    """One criterion of one step, or all of one cause; a reason, an expiry."""

    def __init__(self, view: View, step: str, width: int) -> None:
        self.step = step
        self.waivable = waivable = ways.waivable(view.state, step, view.now)
        limits = limits_of(view.state)
        lines: list[Line] = []
        for group in by_cause(waivable):
            lines += cause_lines(view, step, group, width)
        lines += [
            (),
            *paragraph(
                "A waiver is bound to this evidence, needs a second person, and never counts as passed.", width, "dim"
            ),
        ]
        fields = [
            _reason_field("reason", limits),
            Field("days", f"days (at most {limits.waiver_days})", f"{min(7, limits.waiver_days)}"),
            Field("ticket", "ticket (optional)"),
        ]
        self.most_days = limits.waiver_days
        super().__init__(
            f"Waive at {plan.title(step)}", lines, fields, choices=which(waivable, width), choose="Which criterion?"
        )

    def check_values(self, values: Mapping[str, str]) -> Fault | None:
        return fault_in("days", wrong_days(values["days"], self.most_days))

    def commands(self, values: dict[str, str]) -> list[ProposeWaiver]:
        """One for each criterion: a waiver names exactly one."""
        return [
            ProposeWaiver(
                criterion=criterion, step=self.step, reason=values["reason"].strip(), days=float(values["days"]),
                ticket=values["ticket"].strip(),
            )
            for criterion in chosen_ids(values["choice"], self.waivable)
        ]  # fmt: skip


class ManualDialog(FormDialog):
    """What a person saw where automation could not judge; a screenshot is recorded by its hash."""

    def __init__(self, view: View, step: str, width: int) -> None:
        self.step = step
        self._attached: tuple[dict[str, str], ...] = ()
        self._tests: tuple[AlertTest, ...] = ()
        self.unjudged = unjudged = ways.unjudged(view.state, step, view.now)
        lines: list[Line] = []
        for group in by_cause(unjudged):
            lines += cause_lines(view, step, group, width)
        lines += [(), *paragraph("It settles what could not be judged, never a proven failure.", width, "dim")]
        fields = [
            _reason_field("note", limits_of(view.state), "what you saw"),
            Field("file", "screenshot or sheet (path, optional)"),
        ]
        if step == alert_tests.STEP:
            fields.append(Field("tests", alert_tests.ASKED))
        super().__init__(
            f"Manual validation at {plan.title(step)}", lines, fields, choices=which(unjudged, width),
            choose="Which criterion?",
        )  # fmt: skip

    def check_values(self, values: Mapping[str, str]) -> Fault | None:
        try:
            self._tests = alert_tests.parse(values.get("tests", ""))
        except ValueError as exc:
            return Fault("tests", str(exc))
        if not values["file"].strip():
            self._attached = ()
            return None
        try:
            self._attached = (attachment(values["file"].strip()),)
        except OSError as exc:
            return Fault("file", f"{values['file'].strip()} cannot be read: {exc.strerror or exc}")
        return None

    def commands(self, values: dict[str, str]) -> list[RecordManual]:
        return [
            RecordManual(
                criterion=criterion, step=self.step, note=values["note"].strip(), attachments=self._attached,
                alert_tests=self._tests,
            )
            for criterion in chosen_ids(values["choice"], self.unjudged)
        ]  # fmt: skip


def waiver_lines(view: View, waivers: Sequence[WaiverProposed], width: int) -> list[Line]:
    """Who asks for what, why, until when, and every criterion as it stands."""
    waiver = waivers[0]
    what = waiver.criterion if len(waivers) == 1 else f"{len(waivers)} criteria"
    lines = paragraph(f"{waiver.operator} asks to waive {what} at {plan.title(waiver.step)}.", width)
    lines += paragraph(waiver.reason, width, "strong", "reason   ")
    left = (waiver.expires_at - view.now) / 86_400
    lines += paragraph(f"{day(waiver.expires_at)}, in {left:.1f} days", width, "", "expires  ")
    lines += paragraph(waiver.ticket or "–", width, "", "ticket   ")
    for one in waivers:
        lines += paragraph(f"{one.criterion}  evidence {one.evidence_sha256[:16]}", width, "dim", f"{one.id:<8} ")
    found = [c for w in waivers for c in view.step(w.step).criteria if c.id == w.criterion]
    for group in by_cause(found):
        lines += [(), *cause_lines(view, waiver.step, group, width)]
    return lines


def confirm_waiver_dialog(view: View, waivers: Sequence[WaiverProposed], width: int) -> ChoiceDialog:
    """The second person decides on all that were asked for together; what has no consequence first."""
    lines = [*waiver_lines(view, waivers, width), (), *signing_line(view, width)]
    what = f"waiver {waivers[0].id}" if len(waivers) == 1 else named(waivers)
    yes = "waive it" if len(waivers) == 1 else f"waive all {len(waivers)}, each recorded by itself"
    no = f"decline {'it' if len(waivers) == 1 else f'all {len(waivers)}'}; recorded, {waivers[0].operator} sees it"
    choices = [NOT_NOW, Choice("yes", "Yes", f"{yes}, as the second person"), Choice("no", "No", no)]
    return ChoiceDialog(f"Confirm {what}?", lines, choices, key=f"waiver:{waivers[0].id}")


def waiting_waiver_dialog(view: View, waivers: Sequence[WaiverProposed], width: int, come_back: str = "") -> ReadDialog:
    """The same where this person cannot be the second; ``come_back`` is the command that joins this run."""
    waiver = waivers[0]
    why = "you proposed it" if waiver.operator == view.person else "this needs someone with a role in [people]"
    if view.person in view.state.confirmed.get(waiver.id, ()):
        why = "you have confirmed it, and policy wants another person as well"
    what = f"Waiver {waiver.id} waits" if len(waivers) == 1 else f"{len(waivers)} waivers wait"
    head: list[Line] = [(("waiting for a second person", "warn"), (f"; {why}", "dim"))]
    if come_back:
        way = "in a demo you may play them" if view.demo else "anybody with a role in [people] that decides"
        head += paragraph(f"{come_back}{' --as tom' if view.demo else ''}   ({way})", width, "", "they confirm: ")
    head.append(())
    return ReadDialog(f"{what} for a second person", [*head, *waiver_lines(view, waivers, width)],
                      key=f"waiver:{waiver.id}")  # fmt: skip


def _reason_field(name: str, limits: Limits, what: str = "reason") -> Field:
    least = limits.reason_characters
    return Field(name, f"{what} (at least {least} characters)", least=least)


def decline_dialog(view: View, step: str, width: int) -> FormDialog:
    text = f"{plan.title(step)} is a guideline. Declining it goes into the record with your reason."
    if declining.owed(step):
        owed = ", ".join(declining.owed(step))
        text += f" Another protocol waits for {owed}: the run halts there until a second person has waived it."
    return FormDialog(f"Decline {name_of(step)}", paragraph(text, width),
                      [_reason_field("reason", limits_of(view.state))])  # fmt: skip


def abort_dialog(width: int) -> FormDialog:
    text = (
        "This ends the run for good: open probes are cleared, what 2.1 and 3.1 have put in place stays; a new run "
        "begins at the prerequisites. q only detaches."
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
