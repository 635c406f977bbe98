"""What must be read from the screen alone in ten seconds, also while a dialog is open: is it watched, what failed, who
must act, how long is left, what does q do."""

import pytest
from textual import events

from ray_tui.core import facts as f
from ray_tui.core.commands import Accepted, AddNote, AnswerPrompt, DeclineWaiver, ProposeWaiver, Refused
from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.lines import clock_text, crop, left_of
from ray_tui.tui.panes.frame import rail
from ray_tui.tui.screens import decide
from ray_tui.tui.screens.ask import TypedDialog
from ray_tui.tui.screens.decide import WaiveDialog
from ray_tui.tui.screens.dialog import ChoiceDialog, ConfirmDialog, Dialog, FormDialog
from ray_tui.tui.screens.read import ReadDialog
from ray_tui.tui.view import View, next_line
from tests.tui.fake_handle import T0, FakeHandle, StillClock, failed, folded, mid_run, opened, until
from tests.tui.on_screen import console, dialog, notices, shows, submitted, text_of

LEAVES = "q: leave, the run"
SIZES = [(60, 20), (80, 24), (160, 48)]


def asks(prompt="confirm", **more):
    return f.PromptRaised(id=f"2.2#1:{prompt}", step="2.2", prompt=prompt, title="A question", text="Shall we?", **more)


def halted(*criteria):
    found = criteria or (failed("alert_paths.ack:slack", "Acknowledgement by slack", "none within 5 min"),)
    return [
        *mid_run(),
        f.StepFinished(step="2.2", verdict=Verdict.FAILED, summary="late", criteria=found),
        f.Halted(step="2.2", reason="slack was not acknowledged", criteria=tuple(c.id for c in found)),
    ]


def rows(app):
    return text_of(app).split("\n")


def type_at_once(app, *keys):
    """As a paste or a script does it: every key is there before the first has had its effect."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


# --- while a dialog is open ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_under_a_question_clock_deadline_and_events_move_on(size):
    """Elapsed time, what is left of the SLA and the newest event go on while a question is open."""
    clock = StillClock()
    handle = FakeHandle(*mid_run(), asks())
    async with console(handle, size, clock=clock) as (app, _):
        await dialog(app, ConfirmDialog)
        await shows(app, "3:48 left of 5:00")
        assert "Tom" in rows(app)[2] or "Priya" in rows(app)[2]
        before = rows(app)[0]
        clock.at[0] += 9
        await shows(app, "3:39 left of 5:00")
        assert rows(app)[0] != before or size == (60, 20)
        handle.feed(f.NoteAdded(text="the newest thing"))
        await shows(app, "the newest thing")
        assert isinstance(app.screen, ConfirmDialog)


async def test_the_clock_of_a_halted_run_goes_on_under_its_dialog():
    """Nothing runs, and the header still tells how long this takes."""
    clock = StillClock()
    async with console(FakeHandle(*halted()), (80, 24), clock=clock) as (app, _):
        await dialog(app, ChoiceDialog)
        await shows(app, "6:39")
        await shows(app, "you must decide on 2.2 Alert paths; ack pd-payments 3:48 left of 5:00")
        clock.at[0] += 61
        await shows(app, "7:40")
        await shows(app, "2:47 left of 5:00")


@pytest.mark.parametrize("size", SIZES)
async def test_every_kind_of_dialog_says_what_q_does(size):
    """A choice: q leaves. A form: Esc, then q, for q is a letter there. A text: q closes, and again leaves."""
    async with console(FakeHandle(*mid_run(), asks()), size) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await shows(app, LEAVES)
        await pilot.press("escape", "n")
        await dialog(app, FormDialog)
        await shows(app, f"Esc: later, then {LEAVES}")
        await pilot.press("escape", "question_mark")
        await dialog(app, ReadDialog)
        await shows(app, f"q or Esc: close, then {LEAVES}")


async def test_q_leaves_from_a_question_and_answers_nothing():
    """The console is off the screen, the question is still open."""
    handle = FakeHandle(*opened(), asks())
    async with console(handle, (80, 24)) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("q")
        await until(lambda: app.return_value is not None, "the end")
        assert app.return_value.how == "detached"
        assert "the run waits" in app.return_value.message
        assert handle.submitted == []


async def test_q_is_a_letter_in_a_form():
    """In a field it is typed; in the list of a form it does nothing."""
    handle = FakeHandle(*opened())
    async with console(handle) as (app, pilot):
        await pilot.press("n")
        await dialog(app, FormDialog)
        await pilot.press(*"queue", "enter")
        assert await submitted(handle) == AddNote(text="queue")


async def test_ctrl_c_says_how_to_leave_where_one_is():
    """On the console, in a choice, in a form: three ways, each the true one."""
    handle = FakeHandle(*opened(), asks())
    async with console(handle) as (app, pilot):
        await dialog(app, ConfirmDialog)
        await pilot.press("ctrl+c")
        await until(lambda: "q: leave, the run waits" in notices(app), "the notice")
        await pilot.press("escape", "n")
        await dialog(app, FormDialog)
        await pilot.press("ctrl+c")
        await until(lambda: "Esc, then q: leave, the run waits" in notices(app), "the notice in a form")
        assert handle.submitted == []


# --- keys that are typed ahead ---------------------------------------------------------------------------------------


async def test_keys_typed_while_a_dialog_opens_are_the_dialogs():
    """A note typed in one go is whole, and no letter of it was taken for a key of the console."""
    handle = FakeHandle(*opened())
    async with console(handle) as (app, _):
        type_at_once(app, "n", *"take it quietly", "enter")
        assert await submitted(handle) == AddNote(text="take it quietly")
        await until(lambda: app.screen is app.console_screen, "the console")
        assert app.return_value is None


async def test_keys_typed_through_two_dialogs_arrive_in_both():
    """Halt, Waive…, the form with its reason: typed in one go it becomes the command."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, _):
        await dialog(app, ChoiceDialog)
        type_at_once(app, "down", "enter", "enter", *"nobody reads it at night", "enter", "enter", *"OPS-7", "enter")
        command = await submitted(handle)
        assert command == ProposeWaiver(criterion="alert_paths.ack:slack", step="2.2", days=7, ticket="OPS-7",
                                        reason="nobody reads it at night")  # fmt: skip


async def test_keys_typed_before_a_question_is_painted_are_in_it():
    """A typed confirmation keeps the letters that came while it opened."""
    handle = FakeHandle(*opened())
    async with console(handle) as (app, _):
        handle.feed(asks("typed", expects="page mira"))
        await until(lambda: isinstance(app.screen, TypedDialog), "the dialog, painted or not")
        type_at_once(app, *"page mira", "enter")
        assert await submitted(handle) == AnswerPrompt(prompt_id="2.2#1:typed", answer="page mira")


async def test_a_key_whose_widget_is_gone_does_not_hold_up_the_others():
    """The keyboard goes on after a dialog was closed under the fingers."""
    handle = FakeHandle(*opened(), asks("typed", expects="page mira"))
    async with console(handle) as (app, _):
        await dialog(app, TypedDialog)
        type_at_once(app, *"page", "escape", "question_mark")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Help", "help")


# --- the first three rows and the footer -----------------------------------------------------------------------------


def test_there_is_no_minus_nothing_and_the_colour_is_of_the_share():
    """What is left is said in words; red only below a fifth, also for an SLA of fifteen seconds."""
    assert clock_text(-0.4) == "0:00"
    assert clock_text(-61) == "-1:01"
    assert left_of(14, 15) == ("14 s left of 15 s", "run")
    assert left_of(7, 15) == ("7 s left of 15 s", "warn")
    assert left_of(2.9, 15) == ("3 s left of 15 s, hurry", "bad"), "2 of 3 s used and 12 left would not be 15"
    assert left_of(-0.4, 15) == ("0 s left of 15 s, hurry", "bad")
    assert left_of(-75, 300) == ("1:15 past the limit of 5:00", "bad")


def test_a_cut_between_two_spans_leaves_an_ellipsis_too():
    """Wherever the cut falls, something says that there was more."""
    line = (("abc", ""), ("def", ""))
    assert "".join(text for text, _ in crop(line, 3)) == "ab…"
    assert "".join(text for text, _ in crop(line, 5)) == "abcd…"
    assert "".join(text for text, _ in crop(line, 6)) == "abcdef"


@pytest.mark.parametrize("size", SIZES)
async def test_the_demo_says_that_it_is_one(size):
    """At every size the header has the word."""
    async with console(FakeHandle(*opened(demo=True)), size) as (app, _):
        await shows(app, "DEMO")
        assert "DEMO" in rows(app)[0]


async def test_who_drives_is_said_at_80_columns():
    """In fewer words where there is less room."""
    async with console(FakeHandle(*opened(demo=True)), (80, 24)) as (app, _):
        await shows(app, "you drive")
    async with console(FakeHandle(*opened(demo=True), person="jo"), (80, 24)) as (app, _):
        await shows(app, "mira drives")


async def test_an_empty_seat_is_said_at_once_and_by_the_same_who_may_act():
    """The driver has left: header, next line and footer agree that nobody drives and that whoever is here may act."""
    stopped = f.Halted(step="2.2", reason="sam's phone is off")
    facts = (*opened(), f.ConsoleAttached(console="c-jo", person="jo"), stopped)
    async with console(FakeHandle(*facts, f.ConsoleDetached(console="c-mira"), person="jo"), (160, 40)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("escape")
        await shows(app, "driving: nobody")
        await shows(app, "you must decide")
        assert "mira" not in rows(app)[0]
    handle = FakeHandle(*facts, person="jo", read_only=True)
    async with console(handle, (160, 40)) as (app, _):
        await shows(app, "mira must decide")
        handle.feed(f.ConsoleDetached(console="c-mira"))
        await shows(app, "driving: nobody")
        await shows(app, "anybody who may drive must decide")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_an_observer_is_offered_only_what_an_observer_may_do(size):
    """READ-ONLY in the header, no p and no n in the footer, and the line says who answers."""
    async with console(FakeHandle(*mid_run()[:-1], asks(), read_only=True, person="jo"), size) as (app, pilot):
        await shows(app, "READ-ONLY")
        foot = rows(app)[-1]
        assert LEAVES.replace(":", "") in foot
        assert " n note" not in foot
        assert " p " not in foot
        await pilot.press("n")
        await until(lambda: "only watches" in notices(app), "the notice")
    async with console(FakeHandle(*opened(), asks(), read_only=True, person="jo"), size) as (app, _):
        await shows(app, "waiting for mira to answer: A question")


async def test_the_observer_of_a_halt_is_told_who_decides():
    """No retry, no waiver: who must decide stands in the third row."""
    async with console(FakeHandle(*halted(), read_only=True, person="jo"), (80, 24)) as (app, _):
        await shows(app, "mira must decide on 2.2 Alert paths")
        for word in ("retry", "waive", "manual", "decide"):
            assert word not in rows(app)[-1]


async def test_what_stopped_the_run_is_its_first_measurement_and_of_what():
    """Whose it is stands behind the first clause, so that it is not cut off by the others."""
    shifted = "latency_p50 shifted by +150 ms, 20 ms allowed; latency_p99 shifted by +800 ms, 100 ms allowed"
    async with console(FakeHandle(*halted(failed("baseline.degraded:checkout", "checkout", shifted))), (160, 48)) as (
        app,
        _,
    ):
        await shows(app, "latency_p50 shifted by +150 ms, 20 ms allowed: checkout")


PAGED = [
    f.ProbeIntended(id="x-a1-1", step="2.2", receiver="pd-platform", purpose="acknowledge", labels={}, starts_at=T0,
                    ends_at=T0 + 900, pages=("Sam Ito (level 1)",), sla_seconds=600),
    f.ProbeIntended(id="x-a1-2", step="2.2", receiver="slack-release", purpose="acknowledge", labels={},
                    starts_at=T0 + 1, ends_at=T0 + 900, sla_seconds=600),
]  # fmt: skip


def test_who_must_act_is_said_of_two_as_long_as_there_is_room():
    """The second by name too; in a narrow row only that there is one, and how long is left is never cut off."""
    clock = StillClock()
    state = folded(*opened(), f.StepStarted(step="2.2"), *PAGED)
    view = View(state=state, now=clock.wall())
    said = {room: "".join(text for text, _ in next_line(view, room)) for room in (120, 80, 73, 50)}
    both = "Sam Ito must ack pd-platform, anybody slack-release: 3:20 left of 10:00"
    assert said[120].startswith(f"{both}  by ")
    assert said[73] == both
    assert said[50].startswith("Sam Ito must ack pd-platform and 1 more: 3:20 left")


def test_the_rail_says_whether_the_release_is_watched():
    """Not yet while it runs, no where it stands still; a phase that has not begun counts nothing."""
    for facts, said in ((mid_run(), "not yet"), (halted(), "no")):
        row = "".join(text for text, _ in rail(View(state=folded(*facts), now=T0), 80, 2))
        assert row.endswith(f"Watched: {said}")
        assert "0/3" not in row
        long = "".join(text for text, _ in rail(View(state=folded(*facts), now=T0), 160, 2))
        assert f"Watched: {said}, 1 of 7 boxes" in long


async def test_a_halt_lists_what_was_measured_not_what_was_required():
    """A title reads as if it were so: beside the cross stands whose it is, and what was seen."""
    late = "SLA of 15 s expired: no person acknowledged on pagerduty; Mira Okafor was notified"
    found = [failed(f"alert_paths.ack:{name}", f"A person acknowledges what {name} sends", late) for name in ("a", "b")]
    async with console(FakeHandle(*halted(*found)), (80, 24)) as (app, _):
        await dialog(app, ChoiceDialog)
        await shows(app, "✗ a: SLA of 15 s expired: no person")
        await shows(app, "✗ b: SLA of 15 s expired: no person")


def test_a_halt_says_that_the_configuration_has_changed_before_what_blocks():
    """And where it has not, a remedy that names it says what must follow its change."""

    def said(*facts):
        view = View(state=folded(*facts), now=T0)
        lines = decide.halt_lines(view, view.state.halt, 78)
        return " ".join("".join(text for text, _ in line).strip() for line in lines)

    unset = failed("a.b", "A", "not configured", remedy="add [logs] to the configuration")
    stale = "ray-tui.toml has changed since; this run uses what it began with."
    changed = said(*halted(unset), f.ConfigurationChanged(file="ray-tui.toml"))
    assert changed.index(stale) < changed.index("remedy")
    assert "a retry alone sees no change" not in changed
    assert "a retry alone sees no change" in said(*halted(unset))
    assert "`kill 1`" in said(*halted(unset))
    assert "a retry alone" not in said(*halted())


async def test_the_footer_always_says_how_to_leave():
    """It is the last to be left out, not the first."""
    for facts, run in (
        (opened(), "the run goes on"), (mid_run(), "the run goes on"), (halted(), "the run stays halted"),
    ):  # fmt: skip
        async with console(FakeHandle(*facts), (60, 20)) as (app, pilot):
            await until(lambda app=app: app._paint_timer is None, "a paint")
            if isinstance(app.screen, Dialog):
                await pilot.press("escape")
            await shows(app, f"q leave, {run}")


# --- r, z, the mission, the help -------------------------------------------------------------------------------------


async def test_retry_offers_the_halted_step_first_and_the_chosen_one_after_it():
    """Whatever row is chosen, r begins with what the run waits for."""
    handle = FakeHandle(*halted())
    async with console(handle) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("escape", "1", "r")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Run which step again?", "the choice")
        assert [choice.id for choice in app.screen.choices] == ["2.2", "1.1"]
        await pilot.press("enter")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Run 2.2 Alert paths?", "the confirmation")


async def test_the_halt_closes_where_the_seat_is_taken_away():
    """The choice is the driver's; who has lost the seat is not left with a dialog that would be refused."""
    handle = FakeHandle(*halted(), f.ConsoleAttached(console="c-jo", person="jo"))
    async with console(handle) as (app, _):
        await dialog(app, ChoiceDialog)
        handle.feed(f.SeatTaken(person="jo", console="c-jo", how="taken"))
        await until(lambda: app.screen is app.console_screen, "the console")
        await shows(app, "jo must decide on 2.2")


async def test_retry_on_a_console_that_does_not_drive_names_the_halt_and_the_driver():
    """It says who may, instead of asking and being refused."""
    async with console(FakeHandle(*halted(), person="jo")) as (app, pilot):
        await pilot.press("r")
        await until(lambda: "2.2 Alert paths is halted; mira drives" in notices(app), "the notice")


async def test_zoom_is_seen_at_80_columns():
    """The pane has the place of the event log; once more and the log is back."""
    async with console(FakeHandle(*mid_run()), (80, 24)) as (app, pilot):
        await shows(app, "Events")
        await pilot.press("z")
        await until(lambda: "Events" not in text_of(app), "the pane alone")
        assert "z all panes" in rows(app)[-1]
        await pilot.press("z")
        await shows(app, "Events")


async def test_the_mission_is_for_the_console_that_a_run_begins_with():
    """Who joins, or comes back, is not asked to read it again."""
    joins = f.ConsoleAttached(console="c-jo", person="jo")
    async with console(FakeHandle(*opened(), joins, person="jo"), show_mission=True) as (app, _):
        await until(lambda: app.state.seq >= 5 and app._paint_timer is None, "everything")
        assert app.screen is app.console_screen
    async with console(FakeHandle(*opened()), show_mission=True) as (app, _):
        assert (await dialog(app)).dialog_title == "Mission"


async def test_help_names_bindings_only_when_asked():
    """The first page has keys and words; i turns to what [ui.keymap] calls them, and back."""
    async with console(FakeHandle(*opened()), (80, 24)) as (app, pilot):
        await pilot.press("question_mark")
        top = await dialog(app, ReadDialog)
        assert "run.note" not in top.text_shown()
        assert "add a note" in top.text_shown()
        await pilot.press("i")
        await shows(app, "focus.overview")
        await pilot.press("i")
        await until(lambda: "focus.overview" not in text_of(app), "the keys")


# --- the event log ---------------------------------------------------------------------------------------------------


def noted(*texts):
    return [f.NoteAdded(text=text) for text in texts]


async def test_the_log_goes_on_following_after_a_resize():
    """Smaller, larger, and new lines after it: the end stays in sight."""
    handle = FakeHandle(*opened(), *noted(*(f"note {n}" for n in range(60))))
    async with console(handle, (120, 40)) as (app, pilot):
        await shows(app, "note 59")
        for width, height in ((80, 24), (160, 48), (100, 30)):
            await pilot.resize_terminal(width, height)
            await shows(app, "note 59")
        handle.feed(*noted("the last one"))
        await shows(app, "the last one")


async def test_a_log_that_was_scrolled_back_stays_there():
    """A resize and new lines leave the reader where they were."""
    handle = FakeHandle(*opened(), *noted(*(f"note {n} of many" for n in range(60))))
    async with console(handle, (120, 40)) as (app, pilot):
        await shows(app, "note 59 of many")
        await pilot.press("5", *["pageup"] * 3)
        await shows(app, "note 29 of many")
        await pilot.resize_terminal(120, 36)
        handle.feed(*noted("the last one"))
        await until(lambda: app.state.seq == handle.seq and app._paint_timer is None, "the paint")
        assert "the last one" not in text_of(app)


@pytest.mark.parametrize("size", [(80, 24), (119, 40)])
async def test_a_log_that_was_hidden_follows_when_it_is_back(size):
    """Zoomed and back below 120 columns: what came meanwhile is in sight, and so is what comes next."""
    handle = FakeHandle(*opened(), *noted(*(f"note {n} of many, long enough for more rows" for n in range(60))))
    async with console(handle, size) as (app, pilot):
        await shows(app, "note 59 of many")
        await pilot.press("z")
        await until(lambda: not app.console_screen.event_log.size.width, "no log")
        for text in ("came while it was hidden", "and so did this"):
            handle.feed(*noted(text))
            await until(lambda: app.state.seq == handle.seq and app._paint_timer is None, "the paint")
            await pilot.pause()
        await pilot.press("z")
        await shows(app, "and so did this")
        handle.feed(*noted("the last one"))
        await shows(app, "the last one")
        assert "newer" not in text_of(app)


async def test_a_log_that_does_not_show_its_end_counts_what_is_newer():
    """In the title, as long as the end is out of sight; as lines come, and gone at the end."""
    handle = FakeHandle(*opened(), *noted(*(f"note {n} of many" for n in range(60))))
    async with console(handle, (120, 40)) as (app, pilot):
        await shows(app, "note 59 of many")
        assert "newer" not in text_of(app)
        await pilot.press("5", *["pageup"] * 3)
        await shows(app, "newer")
        before = app.console_screen.event_log.newer
        await shows(app, f"▼ {before} newer")
        handle.feed(*noted("one more", "two more"))
        await shows(app, f"▼ {before + 2} newer")
        await pilot.press("end", *["pagedown"] * 9)
        await until(lambda: "newer" not in text_of(app), "the end")


async def test_a_filter_counts_says_nothing_found_and_is_cleared_by_esc():
    """The title has how many of how many; nothing found is said; Esc shows all, in the dialog and outside."""
    handle = FakeHandle(*opened(), *noted("sam called", "jo called", "quiet"))
    async with console(handle, (120, 40)) as (app, pilot):
        await pilot.press("slash")
        await dialog(app, FormDialog)
        await pilot.press(*"called", "enter")
        await shows(app, "Events with 'called'  2 of 7")
        handle.feed(*noted("mira called"))
        await shows(app, "3 of 8")
        await pilot.press("escape")
        await until(lambda: "Events with" not in text_of(app), "all events")
        await pilot.press("slash")
        await dialog(app, FormDialog)
        await pilot.press(*"zebra", "enter")
        await shows(app, "none of 8 events has 'zebra' in it; Esc shows all of them")
        await pilot.press("slash")
        await dialog(app, FormDialog)
        await pilot.press("escape")
        await shows(app, "sam called")


# --- one cause, several criteria -------------------------------------------------------------------------------------

FIVE = tuple(
    failed(f"dashboards.panel:{name}", f"Panel {name}", "Grafana answered 503", remedy="Wake Grafana.")
    for name in ("rate", "errors", "latency", "budget", "saturation")
)
OTHER = failed("dashboards.score", "Lowest score", "71 of 90")


async def test_criteria_of_one_cause_are_waived_together_each_by_its_own_command():
    """One reason, one expiry; five commands, none for the criterion that failed for another cause."""
    handle = FakeHandle(*halted(*FIVE, OTHER))
    async with console(handle, (80, 24)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        form = await dialog(app, WaiveDialog)
        assert form.choices[0].label.startswith("All 5 of one cause: rate, errors, latency")
        await pilot.press("enter", *"Grafana is being moved", "enter", *["backspace"], *"3", "enter", "enter")
        await submitted(handle, 5)
        assert [command.criterion for command in handle.submitted] == [c.id for c in FIVE]
        assert {(c.reason, c.days, c.step) for c in handle.submitted} == {("Grafana is being moved", 3.0, "2.2")}
        await until(lambda: "5 of 5 waivers proposed" in notices(app), "the notice")


async def test_a_refusal_in_the_middle_says_how_far_it_came():
    """The ones before it stand; nothing after it is sent."""
    handle = FakeHandle(*halted(*FIVE))
    handle.reply = lambda command: Refused("not this one") if len(handle.submitted) == 3 else Accepted(1)
    async with console(handle, (80, 24)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "enter")
        await dialog(app, WaiveDialog)
        await pilot.press("enter", *"Grafana is being moved", "enter", "enter", "enter")
        await until(lambda: "2 of 5 waivers proposed" in notices(app), "the notice")
        assert len(handle.submitted) == 3


def proposals(reason="Grafana is being moved"):
    return [
        f.WaiverProposed(id=f"W{n}", criterion=c.id, step="2.2", reason=reason, operator="mira",
                         expires_at=T0 + 7 * 86_400 + n / 10, evidence_sha256=f"{n}" * 64)
        for n, c in enumerate(FIVE, 1)
    ]  # fmt: skip


async def test_the_second_person_sees_all_of_them_in_one_dialog():
    """Every criterion by name, one yes, and one confirmation for each."""
    handle = FakeHandle(*halted(*FIVE), *proposals(), person="jo")
    async with console(handle, (120, 40)) as (app, pilot):
        top = await dialog(app, ChoiceDialog)
        assert top.dialog_title == "Confirm 5 waivers (W1, W2, W3, W4, W5)?"
        for criterion in FIVE:
            assert criterion.id in top.text_shown()
        await pilot.press("down", "enter")
        await submitted(handle, 5)
        assert [command.waiver_id for command in handle.submitted] == ["W1", "W2", "W3", "W4", "W5"]
        await until(lambda: app.screen is app.console_screen, "no second question")


async def test_a_waiver_for_another_reason_is_another_question():
    """Together is what was asked for together, and nothing else."""
    lone = f.WaiverProposed(id="W6", criterion=OTHER.id, step="2.2", reason="the score is read wrongly",
                            operator="mira", expires_at=T0 + 86_400, evidence_sha256="6" * 64)  # fmt: skip
    handle = FakeHandle(*halted(*FIVE, OTHER), *proposals(), lone, person="jo")
    async with console(handle, (120, 40)) as (app, pilot):
        await dialog(app, ChoiceDialog)
        await pilot.press("down", "down", "enter")
        await until(lambda: getattr(app.screen, "dialog_title", "") == "Confirm waiver W6?", "the other question")
        assert await submitted(handle, 5) == DeclineWaiver(waiver_id="W5")
        assert len(handle.submitted) == 5


async def test_how_far_the_waivers_have_come_is_said():
    """The third row counts them while the halt lasts."""
    waived = [
        f.Waived(id=p.id, criterion=p.criterion, step=p.step, reason=p.reason, operator="mira", approver="jo",
                 expires_at=p.expires_at, evidence_sha256=criterion_digest(c), assurance="unsigned")
        for p, c in zip(proposals()[:2], FIVE[:2], strict=True)
    ]  # fmt: skip
    async with console(FakeHandle(*halted(*FIVE), *waived, person="jo"), (120, 40)) as (app, _):
        await shows(app, "mira must decide on 2.2 Alert paths (2 of 5 waived)")


SENDERS = (("pd-checkout", "pagerduty; Mira Okafor was notified"), ("mail-audit", "email"), ("slack", "slack"))


async def test_a_halt_says_once_what_all_have_in_common_and_of_each_what_differs():
    """At 80 columns the receivers' own words are in sight; the words that they share are not repeated."""
    found = [failed(f"alert_paths.ack:{name}", f"A person acknowledges what {name} sends",
                    f"SLA of 15 s expired: no person acknowledged on {where} [not_acknowledged at t6]")
             for name, where in SENDERS]  # fmt: skip
    async with console(FakeHandle(*halted(*found)), (80, 24)) as (app, _):
        await dialog(app, ChoiceDialog)
        await shows(app, "3 of 3 criteria block, all of one cause")
        await shows(app, "✗ SLA of 15 s expired: no person acknowledged on …")
        await shows(app, "pd-checkout: pagerduty; Mira Okafor was notified [not_acknowledged")
        await shows(app, "mail-audit: email [not_acknowledged at t6]")


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        ("no [dashboards] is configured", "no [dashboards] is configured: dashboards"),
        ("late: 400 s at pager [late at t6 (acknowledged)]; flagged: x", "late: 400 s at pager: dashboards"),
    ],
)
async def test_the_next_line_leaves_out_marks_and_no_words(actual, said):
    """What is in brackets may be a table's name, without which the reason is none."""
    view = View(state=folded(*halted(failed("configure.ok:dashboards", "Dashboards", actual))), now=T0)
    assert said in "".join(text for text, _ in next_line(view))
