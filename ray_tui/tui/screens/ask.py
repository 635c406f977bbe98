"""The five kinds of question that a run asks a person, each as a dialog that answers with a command."""

import asyncio
import os
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.widgets import OptionList, TextArea

from ray_tui.core import whom
from ray_tui.core.answering import limits_of, safe_first, wrong_answer
from ray_tui.core.commands import AnswerPrompt
from ray_tui.core.facts import PromptRaised
from ray_tui.tui import editor, keys
from ray_tui.tui.about import paragraph
from ray_tui.tui.lines import Line
from ray_tui.tui.screens.dialog import (
    CHOICE,
    NOT_NOW,
    Q_TYPES,
    Choice,
    ChoiceDialog,
    Choices,
    ConfirmDialog,
    Dialog,
    Fault,
    Field,
    FormDialog,
    Problem,
    fault_in,
)
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.stage import Stage
from ray_tui.tui.subject import prompt_lines, signing_line
from ray_tui.tui.view import View

MEANINGS = {"reject": "nothing changes", "file": "a backlog entry with an owner", "later": "the run halts here",
            "accept": "apply the proposal"}  # fmt: skip


def dialog_for(view: View, raised: PromptRaised, width: int) -> Dialog[Any]:
    """The dialog that asks this question; ``command_for`` makes the command of what it answers."""
    key = f"prompt:{raised.id}"
    thresholds = view.state.opened.thresholds if view.state.opened else {}
    signing = signing_line(view, width) if raised.prompt == "approve" else ()
    lines = prompt_lines(raised, width, thresholds, whom.answered_by(raised, view.state), signing)
    match raised.prompt:
        case "confirm":
            return ConfirmDialog(raised.title, lines, "go on", key=key)
        case "typed":
            return TypedDialog(raised, lines, key=key)
        case "approve":
            return ApproveDialog(raised, lines, key=key)
        case "choose":
            if raised.with_reason:
                return ReasonedDialog(raised, lines, limits_of(view.state).reason_characters, key=key)
            return ChoiceDialog(raised.title, lines, _options(raised), key=key)
        case "edit":
            return EditDialog(raised, lines, key=key)


def waiting_dialog(view: View, raised: PromptRaised, width: int) -> ReadDialog:
    """The same question where it cannot be answered: who it waits for, and what it is about."""
    named = whom.asked(raised, view.state)
    head = paragraph(f"waiting for {named} to answer; {view.person or 'you'} cannot", width, "warn")
    about = prompt_lines(raised, width, answered_by=whom.answered_by(raised, view.state))
    return ReadDialog(f"{raised.title} (waiting for {named})", [*head, (), *about], key=f"prompt:{raised.id}")


def command_for(raised: PromptRaised, answered: str | dict[str, str]) -> AnswerPrompt:
    """The command for what a dialog has answered."""
    if isinstance(answered, str):
        return AnswerPrompt(prompt_id=raised.id, answer=answered)
    answer = answered.get(CHOICE) or answered["answer"]
    return AnswerPrompt(prompt_id=raised.id, answer=answer.strip(), reason=answered.get("reason", "").strip())


def _options(raised: PromptRaised) -> list[Choice]:
    """The one that decides nothing yet first, and so chosen already."""
    return [Choice(option, option, MEANINGS.get(option, "")) for option in safe_first(raised.options)]


class TypedDialog(FormDialog):
    """To the letter, or ``no``."""

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        asked = f"type   {raised.expects}   to go on; typing  no  declines"
        super().__init__(raised.title, lines, [Field("answer", asked)], key=key)
        self.raised = raised

    def check_values(self, values: Mapping[str, str]) -> Fault | None:
        return fault_in("answer", wrong_answer(self.raised, values["answer"].strip(), "", 0))


class ReasonedDialog(FormDialog):
    """Options of which some are taken only with a reason; the others answer at once."""

    def __init__(self, raised: PromptRaised, lines: list[Line], least: int, *, key: str) -> None:
        asked = f"reason, for {' or '.join(raised.with_reason)} (at least {least} characters)"
        super().__init__(
            raised.title, lines, [Field("reason", asked)], choices=_options(raised), choose="What is to be done?",
            key=key,
        )  # fmt: skip
        self.raised = raised
        self.least = least

    def go_on_from(self, choice: str) -> None:
        if choice in self.raised.with_reason:
            super().go_on_from(choice)
        else:
            self.dismiss({CHOICE: choice})

    def check_values(self, values: Mapping[str, str]) -> Fault | None:
        return fault_in("reason", wrong_answer(self.raised, values[CHOICE], values["reason"], self.least))


class ApproveDialog(FormDialog):
    """What is approved, by which role. A no halts the run, so it takes a move as a yes does. The note goes into the
    record."""

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        role = str(raised.data.get("role") or " or ".join(raised.roles) or "operator")
        choices = [NOT_NOW, Choice("yes", "Yes", f"approve as {role}"),
                   Choice("no", "No", "decline; the run will halt")]  # fmt: skip
        super().__init__(
            raised.title,
            lines,
            [Field("reason", "note (goes into the record)")],
            choices=choices,
            choose="Approve?",
            key=key,
        )

    def go_on_from(self, choice: str) -> None:
        if choice == NOT_NOW.id:
            self.action_later()
        else:
            super().go_on_from(choice)

    def check_values(self, values: Mapping[str, str]) -> Fault | None:
        return Fault(CHOICE, "Choose Yes or No first; Esc leaves it open.") if values[CHOICE] == NOT_NOW.id else None


class EditDialog(Dialog[str]):
    """A text to edit here or in the person's editor; nothing is saved before it is chosen, nor with a part lost."""

    hints = ("Tab: the text, or back",)
    q_does = Q_TYPES
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.EDITOR)

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        super().__init__(raised.title, lines, key=key)
        self.add_class("-tall")
        self.raised = raised
        self.draft = str(raised.data.get("text") or raised.data.get("draft") or "")
        self.editor = editor.command(os.environ)
        self.choices = [
            Choice("here", "Edit here", "" if self.editor else "no editor was found; EDITOR would name one"),
            Choice("save", "Save", "answer with this text"),
            *([Choice("editor", "Open in editor", shlex.join(self.editor))] if self.editor else []),
            Choice("no", "Decline", "answer no: nothing is written"),
        ]

    def inside(self) -> ComposeResult:
        area = TextArea(
            self.taken_back[0] if self.taken_back else self.draft, id="edited", soft_wrap=True, tab_behavior="focus"
        )
        area.cursor_blink = False  # nothing blinks
        yield area
        yield Problem()
        yield Deeds(self.choices, ascii_only=self.ascii_only, id="choices")

    def on_mount(self) -> None:
        self.query_one(Deeds).focus()
        self.show_refusal()

    @on(OptionList.OptionSelected)
    async def _chosen(self, event: OptionList.OptionSelected) -> None:
        area = self.query_one(TextArea)
        match self.choices[event.option_index].id:
            case "save":
                self._save(area.text)
            case "editor":
                area.text = await self._in_editor(area.text)
                self.query_one(Deeds).highlighted = next(n for n, c in enumerate(self.choices) if c.id == "save")
            case "no":
                self.dismiss("no")
            case _:
                area.focus()

    def _save(self, text: str) -> None:
        problem = wrong_answer(self.raised, text, "", 0)
        if problem:
            self.complain(problem)
        else:
            self.dismiss(text)

    async def _in_editor(self, text: str) -> str:
        """The text after the editor; unchanged where that failed."""
        try:
            with self.app.suspend():
                return await asyncio.to_thread(editor.edited, self.editor, text)
        except (OSError, ValueError, SuspendNotSupported) as exc:
            cast("Stage", self.app).say(f"{self.editor[0]} could not be used: {exc}. The text is as it was.", bad=True)
            return text


class Deeds(Choices):
    """Marks one only while it has the keys: beside a text that has them, nothing looks chosen."""

    def on_focus(self) -> None:
        if self.highlighted is None:
            self.highlighted = 0

    def on_blur(self) -> None:
        self.highlighted = None
