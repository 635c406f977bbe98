"""The five kinds of question that a run asks a person, each as a dialog that answers with a command."""

import asyncio
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, TextArea

from ray_tui.core.commands import AnswerPrompt
from ray_tui.core.facts import PromptRaised
from ray_tui.tui.about import describe, paragraph
from ray_tui.tui.lines import Line
from ray_tui.tui.screens.dialog import Choice, ChoiceDialog, ConfirmDialog, Dialog, Field, FormDialog, choice_list

WIDTH = 98
HIDDEN = ("sign", "text", "draft")
"""Keys of a prompt's data that are not for reading: what is signed, what is edited."""


def prompt_lines(raised: PromptRaised, width: int) -> list[Line]:
    """The question word for word, then what is decided: subject, hash, diff, who is paged."""
    out = paragraph(raised.text, width)
    shown = describe(raised.data, width, skip=HIDDEN)
    if raised.roles:
        out.append((("asks ", "dim"), (" or ".join(raised.roles), "strong")))
    return [*out, (), *shown] if shown else out


def dialog_for(raised: PromptRaised, width: int) -> Dialog[Any]:
    """The dialog that asks this question; ``command_for`` makes the command of what it answers."""
    key = f"prompt:{raised.id}"
    lines = prompt_lines(raised, width)
    match raised.prompt:
        case "confirm":
            return ConfirmDialog(raised.title, lines, "go on", key=key)
        case "typed":
            return TypedDialog(raised.title, lines, raised.expects, key=key)
        case "approve":
            return ApproveDialog(raised, lines, key=key)
        case "choose":
            return ChoiceDialog(raised.title, lines, [Choice(option, option) for option in raised.options], key=key)
        case "edit":
            return EditDialog(raised, lines, key=key)


def command_for(raised: PromptRaised, answered: str | dict[str, str]) -> AnswerPrompt:
    """The command for what a dialog has answered."""
    if isinstance(answered, str):
        return AnswerPrompt(prompt_id=raised.id, answer=answered)
    return AnswerPrompt(
        prompt_id=raised.id, answer=answered["answer"].strip(), reason=answered.get("reason", "").strip()
    )


class TypedDialog(FormDialog):
    """To the letter, or ``no``."""

    def __init__(self, title: str, lines: list[Line], expects: str, *, key: str) -> None:
        super().__init__(title, lines, [Field("answer", f"type   {expects}   to go on; no declines")], key=key)
        self.expects = expects

    def check_values(self, values: dict[str, str]) -> str:  # type: ignore[override]
        return "" if values["answer"].strip() in (self.expects, "no") else f"Type exactly: {self.expects}"


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

    subtitle = "Tab: choices   Esc: later"
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
        yield TextArea(self.draft, id="edited", soft_wrap=True, tab_behavior="focus")
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
