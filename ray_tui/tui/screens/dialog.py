"""What every dialog shares: a box with a title, text that is never markup, fields, choices, and Esc for later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from ray_tui.core.untrusted import cell_width
from ray_tui.tui import keys
from ray_tui.tui.lines import Line
from ray_tui.tui.panes.frame import header, last_events, next_row, rail
from ray_tui.tui.stage import Stage
from ray_tui.tui.view import View, leaving
from ray_tui.tui.widgets.painted import Painted, content, literal

Answer = TypeVar("Answer")
HELD_SECONDS = 0.6
"""Without an Enter, after which one is taken in a question that may have opened by itself; an arrow key takes it at
once."""
GROUNDED = 34
"""Rows from which several of the last events stay in sight below a dialog; below, the newest one."""
Q_LEAVES, Q_TYPES, Q_CLOSES = "q: ", "Esc: later, then q: ", "q or Esc: close, then q: "
"""What q does: leaves the console; is a letter in a field; closes what was only shown."""
SHOWN = {"question_mark": "?", "pagedown": "PgDn", "pageup": "PgUp", "escape": "Esc", "f1": "F1", "enter": "Enter",
         "up": "↑", "down": "↓", "tab": "Tab"}  # fmt: skip
"""Keys as people call them, where Textual's name is another."""


def text_width(screen: int) -> int:
    """Cells that a dialog's text has on a screen of so many."""
    return max(30, min(98, int(screen * 0.94) - 6))


@dataclass(frozen=True)
class Choice:
    """One line to choose; ``says`` is what it will do, ``letter`` takes it at once."""

    id: str
    label: str
    says: str = ""
    letter: str = ""


NOT_NOW = Choice("", "Not now", "stays open, as with Esc")
"""Stands first where a no has consequences as a yes has: the Enter of somebody who has not read decides nothing."""


@dataclass(frozen=True)
class Field:
    """One line to fill in. ``exactly`` must be typed to the letter; else ``least`` characters are needed."""

    id: str
    label: str
    value: str = ""
    placeholder: str = ""
    least: int = 0
    exactly: str = ""


class Dialog(ModalScreen[Answer]):
    """A question over the whole screen, with the run's badge and its next deadline kept in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "later", "later", id="dialog.later"),
        *keys.bindings(keys.DIALOG),
    ]
    hints: tuple[str, ...] = ("Esc: later", "y: copy", "?: keys")
    """What the box's last line says beside what q does; the last ones are left out first where it is narrow."""
    q_does = Q_LEAVES

    def __init__(self, title: str, lines: Sequence[Line] = (), *, key: str = "") -> None:
        super().__init__()
        self.dialog_title = title
        self.lines = list(lines)
        self.key = key
        """What is decided here (``prompt:<id>``…); the dialog closes when someone else has decided it."""
        self.taken_back: tuple[Answer, str] | None = None
        """What was answered here before, and why the run has not taken it."""
        self.remake: Callable[[int], Dialog[Answer]] | None = None
        """The same dialog for another width: its tables are laid out again when the terminal changes."""

    @property
    def ascii_only(self) -> bool:
        return self.app.has_class("-ascii")

    def compose(self) -> ComposeResult:
        self.set_class(self.ascii_only, "-plain")
        with Vertical(id="sky"):
            yield Painted(id="dialog-header", ascii_only=self.ascii_only)
            yield Painted(id="dialog-rail", ascii_only=self.ascii_only)
            yield Painted(id="dialog-next", ascii_only=self.ascii_only)
        yield Painted(id="ground", ascii_only=self.ascii_only)
        with Vertical(id="box") as box:
            box.border_title = literal(self.dialog_title, ascii_only=self.ascii_only)
            box.border_subtitle = literal(self.foot(), ascii_only=self.ascii_only)
            if self.lines:
                with VerticalScroll(id="text", can_focus=False):
                    yield Static(self.joined(), markup=False, id="words")
                yield Static(id="more", markup=False)
            yield from self.inside()

    def inside(self) -> ComposeResult:
        """What stands below the text."""
        yield from ()

    def foot(self) -> str:
        """The box's last line: the keys that have room, and always what happens when q is pressed."""
        return "   ".join([*self._hints_with_room(), self._leave()])

    def _leave(self) -> str:
        return self.q_does + leaving(cast("Stage", self.app).view())

    def _hints_with_room(self) -> list[str]:
        hints = list(self.hints)
        room = min(104, int(self.app.size.width * 0.94)) - 4
        while hints and cell_width("   ".join([*hints, self._leave()])) > room:
            hints.pop()
        return hints

    def read_on_words(self) -> str:
        """Below a text that goes on; with the first of the keys where the last line has no room for it."""
        first = self.hints[:1] if not self._hints_with_room() else ()
        return "   ".join(["▼ PgDn: read on", *first])

    def joined(self) -> Content:
        return Content("\n").join([content(line, ascii_only=self.ascii_only) for line in self.lines])

    def text_shown(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self.lines)

    def show_view(self, view: View) -> None:
        """The run has moved on: keep the badge and the deadline true."""
        if not self.query("#dialog-next"):
            return  # not composed yet
        width = self.size.width
        self.query_one("#dialog-header", Painted).show_lines([header(view, width)])
        self.query_one("#dialog-rail", Painted).show_lines([rail(view, width, 0)])
        self.query_one("#dialog-next", Painted).show_lines([next_row(view, width)])
        most = 3 if self.size.height >= GROUNDED else 1
        self.query_one("#ground", Painted).show_lines(last_events(view, width, most))

    def on_resize(self) -> None:
        """The text takes what the choices and fields leave; the rest of it is a page key away."""
        self.set_class(self.size.height < GROUNDED, "-short")
        if self.remake is not None and self.query("#words"):
            self.lines = self.remake(text_width(self.app.size.width)).lines
            self.query_one("#words", Static).update(self.joined())
        self.call_after_refresh(self.fit_text)

    def complain(self, problem: str) -> None:
        """What is wrong with what was entered, below it."""
        shown = self.query_one(Problem)
        shown.update(literal(problem, ascii_only=self.ascii_only))
        shown.display = True

    def show_refusal(self) -> None:
        """Where the run has not taken what was answered here: why, and the question is still open."""
        if self.taken_back is not None:
            self.complain(self.taken_back[1])

    def fit_text(self) -> None:
        if not self.query("#text") or self.has_class("-tall"):
            return
        text, box, more = self.query_one("#text"), self.query_one("#box"), self.query_one("#more", Static)
        asked = sum(
            child.outer_size.height + child.styles.margin.height
            for child in box.children if child not in (text, more) and child.display
        )  # fmt: skip
        sky = 3 + (4 if self.size.height >= GROUNDED else 1)
        room = self.size.height - sky - 2 - asked
        more.display = self.query_one("#words").size.height > room
        more.update(literal(self.read_on_words(), ascii_only=self.ascii_only))
        text.styles.max_height = max(3, room - more.display)
        box.border_subtitle = literal(self.foot(), ascii_only=self.ascii_only)

    def action_read_on(self, pages: float) -> None:
        if self.query("#text"):
            text = self.query_one("#text")
            rows = max(1, int(abs(pages) * (text.size.height - 1)))
            text.scroll_to(y=text.scroll_offset.y + (rows if pages > 0 else -rows), animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In an editor the page keys belong to the text that is edited."""
        if action == "leave":
            return self.q_does == Q_LEAVES
        return action != "read_on" or not isinstance(self.focused, TextArea)

    def action_later(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        cast("Stage", self.app).copy(self.text_shown())

    def action_help(self) -> None:
        cast("Stage", self.app).open_help(self.live_keys())

    def live_keys(self) -> list[tuple[str, str]]:
        """(keys, what they do) in this dialog now; in a field letters are text."""
        found = [("↑ ↓ Enter", "choose, and take it")] if self.query(OptionList) else []
        found += [("Enter", "the next field, at the last one submit")] if self.query(Input) else []
        said: dict[str, list[str]] = {}
        for active in self.active_bindings.values():
            if active.node is self and active.enabled and active.binding.id:  # Textual's own have none
                said.setdefault(active.binding.description, []).append(
                    SHOWN.get(active.binding.key, active.binding.key)
                )
        return [*found, *((" ".join(keys), what) for what, keys in said.items())]

    def action_leave(self) -> None:
        """Off the screen, the question stays open; in a field q is a letter and never comes here."""
        cast("Stage", self.app).detach()


class ChoiceDialog(Dialog[str]):
    """Choose one; the first is the safe one and is chosen already."""

    hints: tuple[str, ...] = ("Enter: choose", *Dialog.hints)

    def __init__(self, title: str, lines: Sequence[Line], choices: Sequence[Choice], *, key: str = "") -> None:
        super().__init__(title, lines, key=key)
        self.choices = list(choices)

    def inside(self) -> ComposeResult:
        yield choice_list(self.choices, ascii_only=self.ascii_only)
        yield Problem()

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.show_refusal()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.choices[event.option_index].id or None)

    def live_keys(self) -> list[tuple[str, str]]:
        return [*((choice.letter, choice.label.strip("…")) for choice in self.choices if choice.letter),
                *super().live_keys()]  # fmt: skip

    def on_key(self, event: Key) -> None:
        taken = next((choice.id for choice in self.choices if choice.letter and choice.letter == event.character), None)
        if taken is not None:
            event.stop()
            self.dismiss(taken)


class Choices(OptionList):
    """A short list whose ends are ends, and whose chosen line is marked by a sign as well as by colour."""

    def __init__(self, choices: Sequence[Choice], *, ascii_only: bool, id: str) -> None:  # noqa: A002
        wide = max((len(choice.label) for choice in choices), default=0) + 2
        self._worded = [
            Content.assemble(
                literal(choice.label.ljust(wide), "strong", ascii_only=ascii_only),
                literal(choice.says, "dim", ascii_only=ascii_only),
            )
            for choice in choices
        ]
        self._chosen_sign = "* " if ascii_only else "▸ "
        self._marked_index: int | None = None
        self._held: Timer | None = None
        """Runs while an Enter may still be one that was meant for what was on the screen before."""
        super().__init__(*(Option(Content.assemble("  ", line)) for line in self._worded), id=id, markup=False)

    def watch_highlighted(self, highlighted: int | None) -> None:
        super().watch_highlighted(highlighted)
        for index, sign in ((self._marked_index, "  "), (highlighted, self._chosen_sign)):
            if index is not None and index < self.option_count:
                self.replace_option_prompt_at_index(index, Content.assemble(sign, self._worded[index]))
        self._marked_index = highlighted

    def on_mount(self) -> None:
        if isinstance(self.screen, Dialog) and self.screen.key:
            self._hold()

    def _hold(self) -> None:
        self._let_go()
        self._held = self.set_timer(HELD_SECONDS, self._let_go)

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.stop()
        self._held = None

    def action_select(self) -> None:
        """Enter, unless it came as the question opened, or in a row with one that did: nobody has read it by then."""
        if self._held is None:
            super().action_select()
        else:
            self._hold()

    def action_cursor_down(self) -> None:
        self._let_go()
        if self.highlighted is None or self.highlighted < self.option_count - 1:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        self._let_go()
        if self.highlighted is None or self.highlighted > 0:
            super().action_cursor_up()


def choice_list(choices: Sequence[Choice], *, ascii_only: bool, id: str = "choices") -> OptionList:  # noqa: A002
    """The first one is chosen already."""
    found = Choices(choices, ascii_only=ascii_only, id=id)
    found.highlighted = 0 if choices else None
    return found


class ConfirmDialog(ChoiceDialog):
    """No is chosen; ``yes`` and ``no`` say what they will do."""

    def __init__(self, title: str, lines: Sequence[Line], yes: str, no: str = "", *, key: str = "") -> None:
        super().__init__(title, lines, [Choice("no", "No", no), Choice("yes", "Yes", yes)], key=key)


class Problem(Static):
    """What is wrong with what was entered; where it takes rows, the text above gives them up."""

    def __init__(self) -> None:
        super().__init__("", id="problem", markup=False)

    def on_resize(self) -> None:
        dialog = self.screen
        if isinstance(dialog, Dialog):
            dialog.call_after_refresh(dialog.fit_text)


class FormDialog(Dialog[dict[str, str]]):
    """Fields to fill in, and a first list to choose from where there is one. Enter goes on, at the end it submits."""

    hints: tuple[str, ...] = ("Enter: next, submit", "↑↓: field")
    q_does = Q_TYPES
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.FORM)

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        fields: Sequence[Field],
        *,
        choices: Sequence[Choice] = (),
        choose: str = "",
        key: str = "",
    ) -> None:
        super().__init__(title, lines, key=key)
        self.fields = list(fields)
        self.choices = list(choices)
        self.choose = choose
        if len(self.fields) > 1 or self.choices:
            self.add_class("-form")
        else:
            self.hints = ("Enter: submit",)

    def inside(self) -> ComposeResult:
        if self.choices:
            yield Static(literal(self.choose), classes="label", markup=False)
            yield choice_list(self.choices, ascii_only=self.ascii_only)
        before = self.taken_back[0] if self.taken_back else {}
        for field in self.fields:
            yield Static(literal(field.label), classes="label", markup=False)
            written = before.get(field.id, "") or self.drafts().get(self._draft(field), "") or field.value
            line = Input(written, placeholder=field.placeholder, id=f"field-{field.id}", select_on_focus=False)
            line.cursor_blink = False  # nothing blinks
            yield line
        yield Problem()

    def on_mount(self) -> None:
        (self.query_one(OptionList) if self.choices else self.query(Input).first()).focus()
        self.show_refusal()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.go_on_from(self.choices[event.option_index].id)

    def go_on_from(self, choice: str) -> None:
        """A choice was taken with Enter: on to the fields."""
        self.query(Input).first().focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        at = inputs.index(event.input)
        if at + 1 < len(inputs):
            inputs[at + 1].focus()
            return
        values = {field.id: self._field(field.id).value for field in self.fields}
        if self.choices:
            chosen = self.query_one(OptionList).highlighted
            values[CHOICE] = self.choices[chosen or 0].id
        fault = wrong(self.fields, values) or self.check_values(values)
        if fault is not None:
            self.complain(fault.why)
            (self.query_one(OptionList) if fault.field == CHOICE else self._field(fault.field)).focus()
            return
        for field in self.fields:
            self.drafts().pop(self._draft(field), None)
        self.dismiss(values)

    def _field(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    def action_field(self, by: int) -> None:
        """To the field below or above; above the first one is the list, where there is one."""
        fields: list[Input | OptionList] = [*self.query(OptionList), *self.query(Input)]
        at = next((n for n, field in enumerate(fields) if field is self.focused), 0)
        fields[max(0, min(len(fields) - 1, at + by))].focus()

    def drafts(self) -> dict[tuple[str, str], str]:
        return cast("Stage", self.app).drafts

    def _draft(self, field: Field) -> tuple[str, str]:
        return self.dialog_title, field.id

    def action_later(self) -> None:
        """What was written is there again when the form is; what has to be typed to the letter is typed anew."""
        for field in self.fields:
            if field.least and not field.exactly:
                self.drafts()[self._draft(field)] = self._field(field.id).value
        super().action_later()

    def check_values(self, values: Mapping[str, str]) -> "Fault | None":
        """What else is wrong with these values."""
        return None


CHOICE = "choice"
"""Names the list of a form, among the values and where that is what is wrong."""


@dataclass(frozen=True)
class Fault:
    """What keeps a form from being submitted, and the field in which it can be mended."""

    field: str
    why: str


def fault_in(field: str, why: str) -> Fault | None:
    """None where there is nothing to say."""
    return Fault(field, why) if why else None


def wrong(fields: Sequence[Field], values: Mapping[str, str]) -> Fault | None:
    """The first thing that is wrong."""
    for field in fields:
        value = values[field.id].strip()
        if field.exactly and value != field.exactly:
            return Fault(field.id, f"Type exactly: {field.exactly}")
        if len(value) < field.least:
            said = f"{field.label.split(' (')[0]}: at least {field.least} characters, this has {len(value)}."
            return Fault(field.id, said)
    return None
