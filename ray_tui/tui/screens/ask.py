"""The five kinds of question that a run asks a person, each as a dialog that answers with a command."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, TextArea

from ray_tui.core.answering import Limits, safe_first, wrong_answer
from ray_tui.core.commands import AnswerPrompt
from ray_tui.core.facts import PromptRaised
from ray_tui.tui.lines import Line
from ray_tui.tui.screens.dialog import (
    Q_TYPES,
    Choice,
    ChoiceDialog,
    ConfirmDialog,
    Dialog,
    Field,
    FormDialog,
    choice_list,
)
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.subject import prompt_lines

MEANINGS = {"reject": "nothing changes", "file": "a backlog entry with an owner", "later": "the run halts here",
            "accept": "apply the proposal"}  # fmt: skip


def dialog_for(
    raised: PromptRaised, width: int, thresholds: Mapping[str, Any] | None = None, limits: Limits | None = None
) -> Dialog[Any]:
    """The dialog that asks this question; ``command_for`` makes the command of what it answers."""
    key = f"prompt:{raised.id}"
    lines = prompt_lines(raised, width, thresholds)
    match raised.prompt:
        case "confirm":
            return ConfirmDialog(raised.title, lines, "go on", key=key)
        case "typed":
            return TypedDialog(raised, lines, key=key)
        case "approve":
            return ApproveDialog(raised, lines, key=key)
        case "choose":
            if raised.with_reason:
                return ReasonedDialog(raised, lines, (limits or Limits()).reason_characters, key=key)
            return ChoiceDialog(raised.title, lines, _options(raised), key=key)
        case "edit":
            return EditDialog(raised, lines, key=key)


def waiting_dialog(raised: PromptRaised, person: str, width: int) -> ReadDialog:
    """The same question where it cannot be answered: who it waits for, and what it is about."""
    whom = " or ".join(raised.roles) or "the driver"
    head: list[Line] = [
        (("waiting for ", "warn"), (whom, "strong"), (" to answer", "warn"), (f"; {person or 'you'} cannot", "dim")),
        (),
    ]
    return ReadDialog(
        f"{raised.title} (waiting for {whom})", [*head, *prompt_lines(raised, width)], key=f"prompt:{raised.id}"
    )


def command_for(raised: PromptRaised, answered: str | dict[str, str]) -> AnswerPrompt:
    """The command for what a dialog has answered."""
    if isinstance(answered, str):
        return AnswerPrompt(prompt_id=raised.id, answer=answered)
    return AnswerPrompt(
        prompt_id=raised.id, answer=answered["answer"].strip(), reason=answered.get("reason", "").strip()
    )


def _options(raised: PromptRaised) -> list[Choice]:
    """The one that decides nothing yet first, and so chosen already."""
    return [Choice(option, option, MEANINGS.get(option, "")) for option in safe_first(raised.options)]


class TypedDialog(FormDialog):
    """To the letter, or ``no``."""

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        asked = f"type   {raised.expects}   to go on; typing  no  declines"
        super().__init__(raised.title, lines, [Field("answer", asked)], key=key)
        self.raised = raised

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        return wrong_answer(self.raised, values["answer"].strip(), "", 0)


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
            self.dismiss({"answer": choice})

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        values["answer"] = values["choice"]
        return wrong_answer(self.raised, values["answer"], values["reason"], self.least)


class ApproveDialog(FormDialog):
    """What is approved, by which role; No is chosen first. The note goes into the record."""

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        role = str(raised.data.get("role") or " or ".join(raised.roles) or "operator")
        choices = [Choice("no", "No", "decline; the run will halt"), Choice("yes", "Yes", f"approve as {role}")]
        super().__init__(
            raised.title,
            lines,
            [Field("reason", "note (goes into the record)")],
            choices=choices,
            choose="Approve?",
            key=key,
        )

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        values["answer"] = values["choice"]
        return ""


class EditDialog(Dialog[str]):
    """A text to edit here or in $EDITOR; nothing is saved before it is chosen."""

    hints = ("Tab: choices",)
    q_does = Q_TYPES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "choices", id="dialog.next", priority=True)
    ]

    def __init__(self, raised: PromptRaised, lines: list[Line], *, key: str) -> None:
        super().__init__(raised.title, lines, key=key)
        self.add_class("-tall")
        self.draft = str(raised.data.get("text") or raised.data.get("draft") or "")
        editor = os.environ.get("EDITOR", "")
        self.choices = [Choice("back", "Go on editing"), Choice("save", "Save", "answer with this text")]
        if editor:
            self.choices.append(Choice("editor", "Open in $EDITOR", editor))

    def inside(self) -> ComposeResult:
        area = TextArea(self.draft, id="edited", soft_wrap=True, tab_behavior="focus")
        area.cursor_blink = False  # nothing blinks
        yield area
        yield choice_list(self.choices, ascii_only=self.ascii_only)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    @on(OptionList.OptionSelected)
    async def _chosen(self, event: OptionList.OptionSelected) -> None:
        area = self.query_one(TextArea)
        match self.choices[event.option_index].id:
            case "save":
                self.dismiss(area.text)
            case "editor":
                area.text = await self._in_editor(area.text)
                area.focus()
            case _:
                area.focus()

    async def _in_editor(self, text: str) -> str:
        """The text after $EDITOR; unchanged where the editor failed."""
        handle, name = tempfile.mkstemp(suffix=".md", prefix="ray-tui-")
        path = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            with self.app.suspend():
                editor = await asyncio.create_subprocess_exec(*shlex.split(os.environ["EDITOR"]), name)
                code = await editor.wait()
            if code != 0:
                self.app.notify(f"The editor ended with code {code}; the text is as it was.", markup=False)
                return text
            return path.read_text("utf-8")
        except (OSError, ValueError, SuspendNotSupported) as exc:
            self.app.notify(f"$EDITOR could not be used: {exc}. Edit the text here.", markup=False)
            return text
        finally:
            path.unlink(missing_ok=True)
