"""Questions, halts and waivers: what a person chooses becomes exactly one command."""

import hashlib
from contextlib import nullcontext
from typing import Any

import pytest
from textual.widgets import Input, TextArea

from ray_tui.core import announcements, plan
from ray_tui.core import facts as f
from ray_tui.core.commands import (
    Abort,
    Accepted,
    AddNote,
    AnswerPrompt,
    ConfirmWaiver,
    Decline,
    DeclineWaiver,
    GrantSeat,
    KeepSeat,
    ProposeWaiver,
    RecordManual,
    Refused,
    RequestSeat,
    RunStep,
    TakeSeat,
)
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.app import RayApp
from ray_tui.tui.screens.ask import ApproveDialog, EditDialog, ReasonedDialog, TypedDialog
from ray_tui.tui.screens.decide import ManualDialog, WaiveDialog
from ray_tui.tui.screens.dialog import ChoiceDialog, Choices, ConfirmDialog, Dialog, FormDialog
from ray_tui.tui.screens.read import HelpDialog, ReadDialog
from tests.tui.fake_handle import ROLES, T0, FakeHandle, failed, mid_run, opened, until
from tests.tui.on_screen import console, dialog, notices, shows, submitted, text_of

LATE = failed("alert_paths.ack:slack", "Acknowledgement by slack", "none within 5 min", remedy="Wake sam.")
BROKEN = failed("alert_paths.peers", "Every peer took it", "am-2 answered 503", Verdict.ERROR)


def asks(prompt: str, **more: Any) -> f.PromptRaised:
    return f.PromptRaised(id=f"2.2#1:{prompt}", step="2.2", prompt=prompt, title="A question", text="Shall we?", **more)


def halted(*criteria: Any, step: str = "2.2") -> list[f.Fact]:
    return [
        *mid_run(),
        f.StepFinished(step=step, verdict=Verdict.FAILED, summary="late", criteria=criteria or (LATE, BROKEN)),
        f.Halted(step=step, reason="slack was not acknowledged", criteria=(LATE.id,)),
    ]


async def test_a_confirmation_opens_by_itself_and_no_is_chosen():
    """Enter on a confirmation that just opened says no; nothing is confirmed by accident."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("enter")
        assert await submitted(handle) == AnswerPrompt(prompt_id="2.2#1:confirm", answer="no")


async def test_an_enter_that_comes_as_a_question_opens_answers_nothing():
    """Somebody presses Enter a few times, and the next question is not refused by the last of them."""
    handle = FakeHandle(*opened(), asks("approve", roles=("sre-lead",)))
    async with console(handle) as (app, pilot):
        asked = await dialog(app, ApproveDialog, read=False)
        await pilot.press("enter", "enter", "enter")
        (choices,) = asked.query(Choices)
        assert asked.focused is choices, "the list still has the keys"
        assert choices._held is not None
        await until(lambda: choices._held is None, "time enough to have read it")
        await pilot.press("enter")
        await until(lambda: app.screen is app.console_screen, "the console")
        assert handle.submitted == []


async def test_an_arrow_key_says_that_the_question_was_seen():
    """Nobody who chooses has to wait."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog, read=False)
        await pilot.press("down", "enter")
        assert (await submitted(handle)).answer == "yes"


async def test_the_keys_of_the_console_work_in_the_dialog_of_a_halt():
    """r asks whether to run it again, w opens the waiver: what the README says of a halt holds where one is shown."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("r")
        await until(lambda: getattr(app.screen, "dialog_title", "").startswith("Run "), "retry asks")
        await pilot.press("escape", "p")
        await until(lambda: getattr(app.screen, "dialog_title", "").startswith("Halted"), "the halt again")
        await pilot.press("w")
        await dialog(app, WaiveDialog)
        await pilot.press("escape", "p")
        asked = await dialog(app, ChoiceDialog)
        assert asked.live_keys()[:3] == [("r", "Retry"), ("m", "Manual"), ("w", "Waive")]
        assert handle.submitted == []


async def test_a_reason_is_there_again_when_its_form_is():
    """Esc puts a form off; what was written into it is not lost, and the word that ends a run has to be typed anew."""
    handle = FakeHandle(*opened())
    async with console(handle) as (app, pilot):
        app.desk.abort()
        await dialog(app, FormDialog)
        await pilot.press(*"rolled back", "enter", *"abort", "escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        app.desk.abort()
        form = await dialog(app, FormDialog)
        assert [one.value for one in form.query(Input)] == ["rolled back", ""]
        assert handle.submitted == []


async def test_yes_needs_a_move_and_enter():
    """Down and Enter answer yes."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("down", "enter")
        assert (await submitted(handle)).answer == "yes"


async def test_the_confirmation_block_is_shown_verbatim():
    """Every line of the seed's [RAY CONFIRMATION REQUIRED] block stands on the screen, to the letter. (P81)"""
    raised = f.PromptRaised(
        id="completion#1:ready", step="completion", prompt="confirm", title="Ready?", text=announcements.CONFIRMATION
    )
    handle = FakeHandle(*opened(), raised)
    async with console(handle, (80, 24)) as (app, _):
        await dialog(app, ConfirmDialog)
        await shows(app, "Confirm readiness")
        for line in announcements.CONFIRMATION.split("\n"):
            assert line in text_of(app)


async def test_a_page_must_be_typed_to_the_letter():
    """A wrong text stays in the dialog and says what to type; the right one is submitted."""
    handle = FakeHandle(*opened(), asks("typed", expects="page priya"))
    async with console(handle) as (app, pilot):
        await dialog(app, TypedDialog)
        await pilot.press(*"page pria", "enter")
        await shows(app, "Type exactly: page priya")
        assert handle.submitted == []
        await pilot.press(*["backspace"] * 9, *"page priya", "enter")
        assert (await submitted(handle)).answer == "page priya"


async def test_no_declines_a_typed_confirmation():
    """Typing no answers no."""
    handle = FakeHandle(*opened(), asks("typed", expects="page priya"))
    async with console(handle) as (app, pilot):
        await dialog(app, TypedDialog)
        await pilot.press(*"no", "enter")
        assert (await submitted(handle)).answer == "no"


async def test_an_approval_shows_its_subject_and_carries_a_note():
    """Subject, hash and role stand beside the choice; yes and a note become the answer."""
    data = {"subject": "MONITORING-PACKAGE.zip", "sha256": "ab" * 32, "role": "sre-lead", "sign": "secret-form"}
    handle = FakeHandle(*opened(), asks("approve", roles=("sre-lead",), data=data))
    async with console(handle) as (app, pilot):
        await dialog(app, ApproveDialog)
        await shows(app, "MONITORING-PACKAGE.zip")
        assert "ab" * 32 in text_of(app)
        assert "approve as sre-lead" in text_of(app)
        assert "secret-form" not in text_of(app)
        await pilot.press("down", "enter", *"ok", "enter")
        answer = await submitted(handle)
        assert (answer.answer, answer.reason) == ("yes", "ok")


@pytest.mark.parametrize(
    ("signing", "shown"),
    [("", "not signed: start with --sign-with KEY"), ("signed with SHA256:abc (id)", "signed with SHA256:abc (id)")],
)
async def test_an_approval_says_whether_it_is_signed(signing, shown):
    """Before the yes, in the approval and in the confirmation of a waiver."""
    waiver = f.WaiverProposed(id="W1", criterion=LATE.id, step="2.2", reason="sam is away until noon", operator="jo",
                              expires_at=T0 + 7 * 86400, evidence_sha256="0" * 64)  # fmt: skip
    for question in (asks("approve"), waiver):
        async with console(FakeHandle(*opened(), question), signing=lambda: signing) as (app, _):
            await dialog(app)
            await shows(app, f"signing  {shown}")


async def test_a_hash_is_copied_out_of_an_approval_and_its_keys_are_told(tmp_path):
    """y copies what is read there, ? lists the dialog's own keys; neither answers. In a field both are letters."""
    data = {"subject": "MONITORING-PACKAGE.zip", "sha256": "ab" * 32, "role": "sre-lead"}
    handle = FakeHandle(*opened(), asks("approve", data=data))
    async with console(handle, copy_folder=tmp_path) as (app, pilot):
        top = await dialog(app, ApproveDialog)
        await pilot.press("y")
        await until(lambda: "clipboard" in notices(app), "a copy")
        assert "ab" * 32 in (tmp_path / "copied.txt").read_text()
        await pilot.press("?")
        told = await dialog(app, HelpDialog)
        assert "In this dialog" in told.text_shown()
        assert "copy all of the text" in told.text_shown()
        for elsewhere in ("phase 1", "waive a criterion", "zoom", "the pane alone"):
            assert elsewhere not in told.text_shown()
        await pilot.press("escape")
        await until(lambda: app.screen is top, "the approval again")
        await pilot.press("down", "enter", "y", "?", "enter")
        assert (await submitted(handle)).reason == "y?"


async def test_the_mission_s_key_for_help_works_in_the_mission():
    """It says so itself. (P20)"""
    async with console(FakeHandle(*opened()), show_mission=True) as (app, pilot):
        await shows(app, "? shows this again")
        await pilot.press("?")
        await dialog(app, HelpDialog)


async def test_a_key_after_the_one_that_closes_a_dialog_is_the_console_s():
    """Typed in one go: the answer is given, and the note's dialog opens."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, pilot):
        for round_ in range(1, 4):
            await dialog(app, ConfirmDialog)
            await pilot.press("enter", "n", *"word", "enter")
            assert await submitted(handle, 2 * round_) == AddNote(text="word")
            await pilot.press("p")


async def test_enter_on_an_approval_decides_nothing():
    """Its no halts the run: what is chosen first leaves the question open, and p brings it back. No takes a move."""
    handle = FakeHandle(*opened(), asks("approve", roles=("sre-lead",)))
    async with console(handle) as (app, pilot):
        await dialog(app, ApproveDialog)
        await shows(app, "▸ Not now")
        await pilot.press("enter")
        await until(lambda: app.screen is app.console_screen, "the console")
        assert handle.submitted == []
        await pilot.press("p")
        await dialog(app, ApproveDialog)
        await pilot.press("down", "down", "enter", "enter")
        assert (await submitted(handle)).answer == "no"


async def test_a_note_without_a_choice_approves_nothing():
    """Who goes past the choice is sent back to it."""
    handle = FakeHandle(*opened(), asks("approve"))
    async with console(handle) as (app, pilot):
        top = await dialog(app, ApproveDialog)
        await pilot.press("tab", *"fine", "enter")
        await shows(app, "Choose Yes or No first")
        assert top.focused is top.query_one(Choices)
        assert handle.submitted == []


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_a_small_approval_shows_what_is_signed_and_that_there_is_more(size):
    """Subject, hash and signature stand first; below the fold is a page key away, and that is said."""
    data = {"subject": "MONITORING-PACKAGE.zip", "sha256": "ab" * 32, "role": "sre-lead", "release": "v2.4.1",
            "config_digest": "c" * 64}  # fmt: skip
    raised = f.PromptRaised(id="4.2#1:a", step="4.2", prompt="approve", title="Approve the package?", data=data,
                            text="\n".join(f"line {n} of what is approved" for n in range(12)))  # fmt: skip
    handle = FakeHandle(*opened(), raised)
    async with console(handle, size, signing=lambda: "signed with SHA256:abc") as (app, pilot):
        await dialog(app, ApproveDialog)
        for part in ("MONITORING-PACKAGE.zip", "abababab", "signing  signed with SHA256:abc", "PgDn: read on"):
            await shows(app, part)
        await shows(app, "Yes")
        assert "Enter: next, submit" in text_of(app)
        await pilot.press(*["pagedown"] * 6)
        await shows(app, "release  v2.4.1")


async def test_a_refused_signature_keeps_the_question_open():
    """The reason stands in the dialog, the note that was written too; a second try is taken."""
    handle = FakeHandle(*opened(), asks("approve"))
    handle.reply = lambda command: Refused("key may not sign for approvals [/x]")
    async with console(handle) as (app, pilot):
        first = await dialog(app, ApproveDialog)
        await pilot.press("down", "enter", *"seen", "enter")
        await submitted(handle)
        await until(lambda: app.screen is not first and isinstance(app.screen, ApproveDialog), "the question again")
        await dialog(app, ApproveDialog)
        await shows(app, "key may not sign for approvals [/x]")
        handle.reply = lambda command: Accepted(1)
        await pilot.press("down", "enter", "enter")
        again = await submitted(handle, 2)
        assert (again.answer, again.reason) == ("yes", "seen")


async def test_up_and_down_go_from_field_to_field():
    """As Tab does, and back; in the list they choose."""
    async with console(FakeHandle(*halted()), (80, 24)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("w")
        form = await dialog(app, WaiveDialog)
        reason, days, _ = form.query(Input)
        await pilot.press("enter")
        await until(lambda: form.focused is reason, "the first field")
        for key, field in (("down", days), ("up", reason), ("up", form.query_one(Choices))):
            await pilot.press(key)
            await until(lambda field=field: form.focused is field, f"what {key} goes to")


async def test_the_keys_are_in_the_field_that_is_wrong():
    """A number of days that is too high is mended where it stands."""
    async with console(FakeHandle(*halted()), (80, 24)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("w")
        form = await dialog(app, WaiveDialog)
        await pilot.press("enter", *"sam is away until noon", "enter", "9", "9", "enter", "enter")
        await shows(app, "days: more than 0, at most 30")
        assert form.focused is form.query_one("#field-days")


async def test_a_long_waiver_tells_both_how_to_submit_and_how_to_read_on():
    """Text below the fold takes nothing from the form's own keys. (P58)"""
    many = [failed(f"alert_paths.ack:r{n}", f"Acknowledgement by r{n}", f"none in {n} min") for n in range(9)]
    for size in ((60, 20), (80, 24)):
        async with console(FakeHandle(*halted(*many)), size) as (app, pilot):
            await dialog(app, ChoiceDialog)
            await pilot.press("w")
            await dialog(app, WaiveDialog)
            await shows(app, "PgDn: read on")
            assert "Enter: next, submit" in text_of(app)


@pytest.mark.parametrize("kind", ["approve", "confirm", "edit"])
async def test_a_question_closes_when_the_run_is_over(kind):
    """Aborted from another console: the dialog that offers to halt the run is gone, and nothing was answered."""
    handle = FakeHandle(*opened(), asks(kind))
    async with console(handle) as (app, _):
        await dialog(app)
        handle.feed(f.RunAborted(reason="wrong release"))
        await until(lambda: app.screen is app.console_screen, "the console")
        assert handle.submitted == []


async def test_a_choice_answers_with_the_option():
    """The chosen option is the answer."""
    handle = FakeHandle(*opened(), asks("choose", options=("cron", "systemd", "github")))
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        assert (await submitted(handle)).answer == "systemd"


TUNING = {"options": ("reject", "file", "later", "accept"), "with_reason": ("reject",)}


async def test_enter_on_a_tuning_question_changes_nothing():
    """Whatever the order of the options, the one that decides nothing is chosen; it answers without a reason."""
    handle = FakeHandle(*opened(), asks("choose", **TUNING))
    async with console(handle) as (app, pilot):
        await dialog(app, ReasonedDialog)
        await pilot.press("enter")
        assert await submitted(handle) == AnswerPrompt(prompt_id="2.2#1:choose", answer="later")


async def test_a_rejection_is_asked_for_its_reason():
    """As long as this run's policy wants it; a shorter one stays in the dialog and says so. (P58)"""
    handle = FakeHandle(*opened(), f.HostStarted(pid=2, reason_characters=20), asks("choose", **TUNING))
    async with console(handle) as (app, pilot):
        await dialog(app, ReasonedDialog)
        await shows(app, "reason, for reject (at least 20 characters)")
        await pilot.press("down", "enter", *"wanted", "enter")
        await shows(app, "reject: say why, in at least 20 characters.")
        assert handle.submitted == []
        await pilot.press(*" by the team on duty", "enter")
        answer = await submitted(handle)
        assert (answer.answer, answer.reason) == ("reject", "wanted by the team on duty")


async def test_an_edited_text_is_the_answer():
    """What stands in the editor is saved; markup in it stays text."""
    handle = FakeHandle(*opened(), asks("edit", data={"text": "see [/runbook]"}))
    async with console(handle) as (app, pilot):
        await dialog(app, EditDialog)
        await pilot.press("enter", "X", "tab", "down", "enter")
        assert (await submitted(handle)).answer == "Xsee [/runbook]"


async def test_keys_of_the_console_do_not_land_in_a_text_that_opened_by_itself():
    """The choices have the keys first; nothing looks chosen while the text has them."""
    handle = FakeHandle(*opened(), asks("edit", data={"text": "see the runbook"}))
    async with console(handle) as (app, pilot):
        top = await dialog(app, EditDialog)
        await pilot.press("z", "z", "2")
        assert top.query_one(TextArea).text == "see the runbook"
        await shows(app, "▸ Edit here")
        await pilot.press("tab")
        await until(lambda: "▸" not in text_of(app), "no sign beside the text")
        await pilot.press("z")
        assert top.query_one(TextArea).text == "zsee the runbook"


async def test_a_text_that_has_lost_a_part_is_not_saved():
    """What would halt the step is said before it is answered; declining is offered."""
    marks = ("<!-- runbook: a.md -->", "<!-- runbook: b.md -->")
    text = f"{marks[0]}\nScale up\n\n{marks[1]}\nRestart\n"
    handle = FakeHandle(*opened(), asks("edit", data={"text": text}, keeps=marks))
    async with console(handle) as (app, pilot):
        top = await dialog(app, EditDialog)
        await pilot.press("enter", "z", "tab", "down", "enter")
        await shows(app, "The text has lost the line")
        top.query_one(TextArea).text = f"words of nobody\n{text}"
        await pilot.press("enter")
        await shows(app, "Nothing may stand before the line")
        assert handle.submitted == []
        await pilot.press("end", "enter")
        assert (await submitted(handle)).answer == "no"


async def test_after_the_editor_the_save_is_chosen(tmp_path, monkeypatch):
    """One Enter more answers with what the editor left."""
    program = tmp_path / "editor"
    program.write_text("#!/bin/sh\nprintf ' more' >> \"$1\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(program))
    monkeypatch.setattr(RayApp, "suspend", nullcontext)
    handle = FakeHandle(*opened(), asks("edit", data={"text": "text"}))
    async with console(handle) as (app, pilot):
        await dialog(app, EditDialog)
        await pilot.press("down", "down", "enter")
        await shows(app, "▸ Save")
        await pilot.press("enter")
        assert (await submitted(handle)).answer == "text more"


async def test_esc_puts_a_question_off_and_p_brings_it_back():
    """Later means later: it does not open again by itself, and p opens it."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        handle.feed(f.NoteAdded(text="something else"))
        await until(lambda: app.state.seq == handle.seq, "the note")
        await shows(app, "something else")
        assert app.screen is app.console_screen
        await pilot.press("p")
        await dialog(app, ConfirmDialog)
        assert handle.submitted == []


async def test_a_question_answered_elsewhere_closes_here():
    """When another console has answered, the dialog goes away."""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle) as (app, _):
        await dialog(app, ConfirmDialog)
        handle.feed(f.PromptAnswered(id="2.2#1:confirm", answer="yes", person="jo"))
        await until(lambda: app.screen is app.console_screen, "the console again")


async def test_a_console_that_may_not_answer_shows_whom_it_waits_for():
    """Without the role nothing opens; the next line names the role and the people who hold it."""
    handle = FakeHandle(*opened(), asks("approve", roles=("release-manager",)))
    async with console(handle) as (app, _):
        await shows(app, "waiting for sam or lee (release-manager) to answer: A question")
        assert app.screen is app.console_screen


async def test_a_watcher_is_not_asked():
    """On a console that does not drive, the driver's questions stay closed."""
    handle = FakeHandle(*opened(), f.ConsoleAttached(console="c-jo", person="jo"), asks("confirm"), person="jo")
    async with console(handle) as (app, _):
        await shows(app, "waiting for mira to answer: A question")
        assert app.screen is app.console_screen


@pytest.mark.parametrize("how", [{"person": "jo"}, {"person": "jo", "read_only": True}])
async def test_p_shows_a_halt_to_who_does_not_decide_it(how):
    """On the console of another, and of one who only watches: whom it waits for, and why; no way to decide."""
    handle = FakeHandle(*halted(), **how)
    async with console(handle) as (app, pilot):
        await shows(app, "mira must decide")
        await pilot.press("p")
        top = await dialog(app, ReadDialog)
        assert "waiting for mira to decide" in top.text_shown()
        assert "Wake sam." in top.text_shown()
        handle.feed(f.HaltCleared(step="2.2", how="waived"))
        await until(lambda: app.screen is app.console_screen, "the console again")
        assert handle.submitted == []


async def test_p_lists_what_waits_for_others_with_their_names():
    """A question for a role, one for the driver and a waiver: each says whom it waits for."""
    waiver = f.WaiverProposed(id="W1", criterion=LATE.id, step="2.2", reason="sam is away until noon", operator="mira",
                              expires_at=T0 + 7 * 86400, evidence_sha256="0" * 64)  # fmt: skip
    questions = (asks("approve", roles=("release-manager",)), asks("confirm"))
    handle = FakeHandle(*opened(), *questions, waiver, person="jo", read_only=True)
    async with console(handle) as (app, pilot):
        await pilot.press("p")
        top = await dialog(app, ChoiceDialog)
        assert [choice.says for choice in top.choices] == [
            "waits for sam or lee (release-manager)", "waits for mira", "waits for a second person"
        ]  # fmt: skip


async def test_questions_open_one_at_a_time():
    """The second question opens when the first is answered."""
    first = asks("confirm")
    second = f.PromptRaised(id="2.2#1:two", step="2.2", prompt="confirm", title="Second", text="And this?")
    handle = FakeHandle(*opened(), first, second)
    async with console(handle) as (app, pilot):
        top = await dialog(app, ConfirmDialog)
        assert top.key == "prompt:2.2#1:confirm"
        await pilot.press("enter")
        await submitted(handle)
        handle.feed(f.PromptAnswered(id="2.2#1:confirm", answer="no"))
        await until(lambda: getattr(app.screen, "key", "") == "prompt:2.2#1:two", "the second question")


async def test_a_halt_shows_the_literal_line_with_its_evidence():
    """The seed's [RAY ERROR] line, the failing criterion and its remedy stand together; Retry is chosen. (P80)"""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, _):
        await dialog(app, ChoiceDialog)
        await shows(app, '[RAY ERROR] - "Failed at 2.2 Test Alert Paths. Reason: slack was not acknowledged. Awaiting')
        assert "none within 5 min" in text_of(app)
        assert "Wake sam." in text_of(app)
        options = app.screen.choices  # type: ignore[attr-defined]
        assert [choice.id for choice in options] == ["retry", "manual", "waive", "abort"]


async def test_retry_is_confirmed_and_says_what_it_does():
    """Retry of 2.2 warns of pages and its default is No."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("enter")
        await dialog(app, ConfirmDialog)
        await shows(app, "People may be paged")
        await pilot.press("down", "enter")
        assert await submitted(handle) == RunStep(step="2.2")


async def test_a_waiver_is_proposed_with_reason_and_days():
    """A short reason is refused in place; a whole one becomes the command."""
    handle = FakeHandle(*halted())
    async with console(handle, (80, 24)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        await pilot.press("w")
        await dialog(app, WaiveDialog)
        await pilot.press("enter", *"short", "enter", "enter", "enter")
        await until(lambda: "at least 15" in text_of(app), "the problem")
        app.screen.query_one("#field-reason").focus()
        await pilot.press("end", *" no more, sam is away", "enter", "enter", *"OPS-1", "enter")
        assert await submitted(handle) == ProposeWaiver(
            criterion=LATE.id, step="2.2", reason="short no more, sam is away", days=7, ticket="OPS-1"
        )


async def test_waive_out_of_a_halt():
    """The halt's Waive opens the form."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "down", "enter")
        await dialog(app, WaiveDialog)


async def test_manual_validation_records_a_screenshot_by_its_hash(tmp_path):
    """Only what could not be judged is offered; the attachment's sha256 goes into the command. (P87)"""
    picture = tmp_path / "seen.png"
    picture.write_bytes(b"pixels")
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        form = await dialog(app, ManualDialog)
        assert [choice.id for choice in form.choices] == [BROKEN.id]
        await pilot.press("enter", *"am-2 shows the alert in its UI", "enter")
        app.screen.query_one("#field-file").value = str(picture)
        await pilot.press("enter", *"pd,19:15,19:16,mira,19:17", "enter")
        command = await submitted(handle)
        assert isinstance(command, RecordManual)
        assert [(test.receiver, test.acknowledged_by) for test in command.alert_tests] == [("pd", "mira")]
        assert command.criterion == BROKEN.id
        assert command.attachments[0]["sha256"] == hashlib.sha256(b"pixels").hexdigest()


async def test_a_missing_screenshot_is_said():
    """A path that cannot be read keeps the form open."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        await dialog(app, ManualDialog)
        await pilot.press("enter", *"am-2 shows the alert in its UI", "enter", *"/nowhere/x.png", "enter", "enter")
        await shows(app, "cannot be read")
        assert handle.submitted == []


async def test_an_abort_is_typed():
    """Abort needs a reason and the word; anything else ends nothing."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("end", "enter")
        await dialog(app, FormDialog)
        await pilot.press(*"rolled back", "enter", *"yes", "enter")
        await shows(app, "Type exactly: abort")
        assert handle.submitted == []
        await pilot.press(*["backspace"] * 3, *"abort", "enter")
        assert await submitted(handle) == Abort(reason="rolled back")


async def test_a_guideline_may_be_declined_from_its_halt():
    """A halted guideline offers Decline, with a reason."""
    criterion = failed("runbooks.link:A", "Runbook of A", "404")
    handle = FakeHandle(*halted(criterion, step="2.3"))
    async with console(handle) as (app, pilot):
        top = await dialog(app, ChoiceDialog)
        assert [choice.id for choice in top.choices] == ["retry", "waive", "decline", "abort"]
        await pilot.press("down", "down", "enter")
        await dialog(app, FormDialog)
        await pilot.press(*"runbooks move next week", "enter")
        assert await submitted(handle) == Decline(step="2.3", reason="runbooks move next week")


async def test_a_waiver_is_asked_for_within_this_run_s_policy():
    """Nobody learns of a shorter limit by being refused."""
    handle = FakeHandle(*halted(), f.HostStarted(pid=2, reason_characters=40, waiver_days=3),
                        f.SeatTaken(person="mira", console="c-mira"))  # fmt: skip
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("escape", "w")
        await dialog(app, WaiveDialog)
        await shows(app, "reason (at least 40 characters)")
        await shows(app, "days (at most 3)")
        await pilot.press("enter", *"x" * 40, "enter", "backspace", "5", "enter", "enter")
        await shows(app, "days: more than 0, at most 3")
        assert handle.submitted == []


async def test_the_second_person_confirms_a_waiver():
    """It opens for a person with a role who is not its initiator; Enter alone leaves it open, No is said."""
    waiver = f.WaiverProposed(id="W1", criterion=LATE.id, step="2.2", reason="sam is away until noon", operator="mira",
                              expires_at=T0 + 7 * 86400, evidence_sha256="0" * 64)  # fmt: skip
    handle = FakeHandle(*opened(), f.ConsoleAttached(console="c-jo", person="jo"), waiver, person="jo")
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await shows(app, "sam is away until noon")
        await pilot.press("enter")
        await until(lambda: app.screen is app.console_screen, "the console")
        assert handle.submitted == []
        await pilot.press("p")
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "down", "enter")
        assert await submitted(handle) == DeclineWaiver(waiver_id="W1")
        await pilot.press("p")
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        assert await submitted(handle, 2) == ConfirmWaiver(waiver_id="W1")


async def test_a_refusal_is_shown():
    """What the rules refuse is said, word for word."""
    handle = FakeHandle(*opened(), asks("confirm"))
    handle.reply = lambda command: Refused("mira [/x] drives this run; ask for the seat first.")
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("enter")
        await shows(app, "mira [/x] drives this run")
        assert isinstance(app.screen, ConfirmDialog), "and the question is still there"


async def test_a_note_is_added():
    """n, a text, Enter."""
    handle = FakeHandle(*mid_run())
    async with console(handle) as (app, pilot):
        await pilot.press("n")
        await dialog(app, FormDialog)
        await pilot.press(*"sam [b]called", "enter")
        assert await submitted(handle) == AddNote(text="sam [b]called")


async def test_the_seat_is_asked_for_before_it_is_taken():
    """With a driver present the first choice is to ask; with none the seat is taken at once."""
    handle = FakeHandle(*opened(), f.ConsoleAttached(console="c-jo", person="jo"), person="jo")
    async with console(handle) as (app, pilot):
        await pilot.press("t")
        await dialog(app, ChoiceDialog)
        await pilot.press("enter")
        assert await submitted(handle) == RequestSeat()
        await until(lambda: app.screen is app.console_screen, "the console")
        handle.feed(f.ConsoleDetached(console="c-mira"))
        await until(lambda: app.state.driver_console == "", "an empty seat")
        await pilot.press("t")
        assert await submitted(handle, 2) == TakeSeat()


async def test_the_driver_is_asked_for_the_seat_and_keeps_it_by_default():
    """A request opens at the driver's console with keeping chosen; Enter gives nothing away, and the no is sent."""
    handle = FakeHandle(*opened(), f.ConsoleAttached(console="c-jo", person="jo"), f.SeatRequested(person="jo"))
    async with console(handle) as (app, pilot):
        await shows(app, "jo asks for the seat")
        await dialog(app, ChoiceDialog)
        await pilot.press("enter")
        await until(lambda: app.screen is app.console_screen, "the console")
        assert await submitted(handle) == KeepSeat(person="jo")
        await pilot.press("p")
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        assert await submitted(handle, 2) == GrantSeat(person="jo")


async def test_the_driver_grants_the_seat():
    """g offers who is here."""
    handle = FakeHandle(*opened(), f.ConsoleAttached(console="c-jo", person="jo"))
    async with console(handle) as (app, pilot):
        await pilot.press("g")
        await dialog(app, ChoiceDialog)
        await pilot.press("enter")
        assert await submitted(handle) == GrantSeat(person="jo")


async def test_the_mission_is_shown_once_at_the_start_and_in_the_help():
    """Mission and [CRITICAL] rule stand on the first screen, verbatim; questions wait behind it. (P20)"""
    handle = FakeHandle(*opened(), asks("confirm"))
    async with console(handle, (80, 30), show_mission=True) as (app, pilot):
        top = await dialog(app)
        assert top.dialog_title == "Mission"
        said = " ".join(top.text_shown().split())
        assert plan.MISSION in said
        assert plan.CRITICAL in said
        await shows(app, "Site Reliability Engineer")
        await pilot.press("enter")
        await dialog(app, ConfirmDialog)
        await pilot.press("escape", "question_mark")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Help", "help")
        assert plan.MISSION in " ".join(app.screen.text_shown().split())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "key", ["r", "w", "m", "n", "t", "g", "p", "y", "q", "z", "x", "d", "delete", "ctrl+d", "ctrl+q"]
)
async def test_no_single_key_destroys_anything(key):
    """On a halted run each key alone submits nothing."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("escape")
        await until(lambda: app.screen is app.console_screen, "the console")
        await pilot.press(key)
        await until(lambda: not app._opening, "settled")
        assert handle.submitted == []
        assert not isinstance(app.screen, Dialog) or handle.submitted == []


async def test_in_a_demo_too_who_holds_the_role_answers_from_their_own_console():
    """lee drives; sam holds the role and is asked, mira holds it not and reads whom the question waits for."""
    seats = (f.ConsoleAttached(console="c-lee", person="lee"), f.SeatTaken(person="lee", console="c-lee"))
    facts = (*opened(demo=True, roles={**ROLES, "lee": ()}), *seats, asks("approve", roles=("release-manager",)))
    async with console(FakeHandle(*facts, person="sam")) as (app, _):
        await dialog(app, ApproveDialog)
    async with console(FakeHandle(*facts, person="mira")) as (app, _):
        await shows(app, "waiting for sam (release-manager) to answer: A question")
    async with console(FakeHandle(*facts, person="lee")) as (app, _):
        await dialog(app, ApproveDialog)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (False, "mira drives, and gives the seat. t asks for it, or takes it."),
        (True, "Nobody drives. t takes the seat."),
    ],
)
async def test_g_on_a_console_that_does_not_drive_says_who_does_and_how_to_drive(left, said):
    """It offers to give away nothing that is not here."""
    gone = [f.ConsoleDetached(console="c-mira")] if left else []
    facts = (*opened(), f.ConsoleAttached(console="c-jo", person="jo"), *gone)
    async with console(FakeHandle(*facts, person="jo")) as (app, pilot):
        await pilot.press("g")
        await until(lambda: said in notices(app), "the notice")
        assert app.screen is app.console_screen
