"""The line-by-line console: what happens is printed, what is open is asked, and leaving never ends the run."""

import asyncio
import io
import os
import signal
import time

import pytest

from ray_tui import plain
from ray_tui.core import facts as f
from ray_tui.core.commands import (
    Abort,
    Accepted,
    AddNote,
    AnswerPrompt,
    ConfirmWaiver,
    DeclineWaiver,
    GrantSeat,
    KeepSeat,
    ProposeWaiver,
    RecordManual,
    Refused,
    RunStep,
)
from ray_tui.core.handle import Link
from ray_tui.core.verdicts import Verdict
from tests.tui.fake_handle import ENDS, FakeHandle, done, failed, opened, until


class Desk:
    """A person at a line console: reads what is printed, types what they are told to."""

    def __init__(self, handle, edit=None):
        self.handle = handle
        self.output = io.StringIO()
        reading, writing = os.pipe()
        self.source = os.fdopen(reading, encoding="utf-8")
        self.keys = os.fdopen(writing, "w", encoding="utf-8")
        self.task = asyncio.create_task(plain.follow(handle, self.source, self.output, edit))

    @property
    def shown(self):
        return self.output.getvalue()

    async def sees(self, text, times=1):
        await until(lambda: self.shown.count(text) >= times, f"{text!r} in {self.shown!r}")

    def types(self, *lines):
        for line in lines:
            self.keys.write(line + "\n")
        self.keys.flush()

    async def sent(self, kind):
        await until(lambda: any(isinstance(c, kind) for c in self.handle.submitted), f"a {kind.__name__}: {self.shown}")
        return next(c for c in self.handle.submitted if isinstance(c, kind))

    async def code(self):
        return await asyncio.wait_for(self.task, 10)


@pytest.fixture
async def desk():
    made = []

    def sit(*facts, edit=None, **how):
        made.append(Desk(FakeHandle(*opened(), *facts, **how), edit))
        return made[-1]

    yield sit
    for one in made:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)
        one.keys.close()
        one.source.close()


SAM_DRIVES = (f.ConsoleAttached(console="c-sam", person="sam"), f.SeatTaken(person="sam", console="c-sam"))


def asked(prompt, **more):
    return f.PromptRaised(
        id="2.1#1:apply", step="2.1", prompt=prompt, title="Apply the plan?", text="Two rules.", **more
    )


HALT = (
    *done("1.3", "degraded", None, failed("baseline.checkout", "Checkout baseline", "p99 +60%", remedy="Look.")),
    f.Halted(step="1.3", reason="checkout is degraded", criteria=("baseline.checkout",)),
)


async def test_what_happens_is_printed_line_by_line_and_the_run_s_verdict_is_the_exit_code(desk):
    """A run that completes ends the console with 0."""
    at = desk(*done("1.1", "10 services"), f.RunCompleted())
    assert await at.code() == 0
    assert "✓ 1.1 Review Deployment Outputs: 10 services" in at.shown
    assert at.shown.rstrip().endswith("protocol complete")


async def test_an_aborted_run_ends_with_its_own_code(desk):
    """Aborted is 5."""
    assert await desk(f.RunAborted(reason="wrong release")).code() == 5


async def test_a_lost_connection_is_said_and_is_no_pass(desk):
    """The host went away: not 0."""
    at = desk()
    at.handle._entries.put_nowait(ENDS)
    assert await at.code() == 1
    assert "connection to the run has ended" in at.shown


async def test_a_rejection_is_asked_for_its_reason(desk):
    """A short reason is asked for again, before the host has to refuse it; the option that decides nothing is first.
    (P58)"""
    at = desk(asked("choose", options=("reject", "file", "later"), with_reason=("reject",)))
    await at.sees("1  later")
    at.types("2", "no", "these pages are wanted")
    assert await at.sent(AnswerPrompt) == AnswerPrompt(
        prompt_id="2.1#1:apply", answer="reject", reason="these pages are wanted"
    )
    await at.sees("at least 15 characters", 2)


async def test_enter_on_a_confirmation_means_no(desk):
    """The default is the safe answer."""
    at = desk(asked("confirm"))
    await at.sees("N: no (default)")
    at.types("")
    assert (await at.sent(AnswerPrompt)).answer == "no"


async def test_a_confirmation_is_given_by_y(desk):
    """What is decided is shown before."""
    at = desk(asked("confirm", data={"changes": [{"kind": "rule", "name": "Slow"}], "sign": "secret-blob"}))
    await at.sees("N: no (default)")
    assert "name: Slow" in at.shown
    assert "secret-blob" not in at.shown
    at.types("y")
    assert await at.sent(AnswerPrompt) == AnswerPrompt(prompt_id="2.1#1:apply", answer="yes")


async def test_long_detail_waits_until_it_is_asked_for(desk):
    """A diff of hundreds of lines is not read out before the question."""
    at = desk(asked("confirm", data={"diff": "\n".join(f"+ line {n}" for n in range(300))}))
    await at.sees("301 lines of detail; d shows them")
    assert "+ line 299" not in at.shown
    at.types("d")
    await at.sees("+ line 299")
    await at.sees("N: no (default)", times=2)
    at.types("y")
    assert (await at.sent(AnswerPrompt)).answer == "yes"


async def test_a_typed_confirmation_takes_nothing_but_the_exact_text(desk):
    """A near miss is asked again and sends nothing."""
    at = desk(asked("typed", expects="page Priya"))
    await at.sees("Type exactly: page Priya")
    at.types("page priya")
    await at.sees("That is not it")
    assert at.handle.submitted == []
    at.types("page Priya")
    assert (await at.sent(AnswerPrompt)).answer == "page Priya"


async def test_an_approval_wants_the_whole_word_and_takes_a_note(desk):
    """y is not enough."""
    at = desk(asked("approve", roles=("sre-lead",), data={"role": "sre-lead", "sha256": "abc"}))
    await at.sees("Approve?")
    assert "Answered by sre-lead: mira or jo" in at.shown
    at.types("y")
    await at.sees("Write yes or no in full")
    at.types("yes", "seen on the dashboard")
    sent = await at.sent(AnswerPrompt)
    assert (sent.answer, sent.reason) == ("yes", "seen on the dashboard")


async def test_a_choice_is_made_by_number(desk):
    """A number that is not there is asked again."""
    at = desk(asked("choose", options=("accept", "reject")))
    await at.sees("2  reject")
    at.types("3")
    await at.sees("There is no such number")
    at.types("2")
    assert (await at.sent(AnswerPrompt)).answer == "reject"


async def test_a_text_is_edited_and_then_accepted(desk):
    """What the editor gave back is shown again before it is sent."""

    async def edit(text):
        return text + " and restart"

    at = desk(asked("edit", data={"text": "Scale up"}), edit=edit)
    await at.sees("| Scale up")
    at.types("2")
    await at.sees("| Scale up and restart")
    at.types("1")
    assert (await at.sent(AnswerPrompt)).answer == "Scale up and restart"


async def test_a_text_that_has_lost_a_part_is_not_sent(desk):
    """The line that tells its parts apart is gone: it is said, and asked again."""
    mark = "<!-- runbook: a.md -->"
    texts = iter(["words of nobody", f"{mark}\nScale up twice"])

    async def edit(text):
        return next(texts)

    at = desk(asked("edit", data={"text": f"{mark}\nScale up"}, keeps=(mark,)), edit=edit)
    at.types("2", "1")
    await at.sees(f"The text has lost the line  {mark}")
    at.types("2", "1")
    assert (await at.sent(AnswerPrompt)).answer == f"{mark}\nScale up twice"


async def test_a_question_that_somebody_else_answers_is_withdrawn(desk):
    """No stale question can be answered by mistake."""
    at = desk(asked("typed", expects="page Priya"))
    await at.sees("Type exactly")
    at.handle.feed(f.PromptAnswered(id="2.1#1:apply", answer="no", person="sam"))
    await at.sees("(answered meanwhile)")
    at.types("page Priya")
    await at.sees("'page' is nothing to type here")
    assert at.handle.submitted == []


async def test_a_question_of_the_past_is_not_asked(desk):
    """Joining late asks only what is still open."""
    at = desk(asked("confirm"), f.PromptAnswered(id="2.1#1:apply", answer="yes", person="sam"))
    at.types("n all is well")
    assert (await at.sent(AddNote)).text == "all is well"
    assert "QUESTION" not in at.shown


async def test_a_refusal_is_said_and_enter_asks_again(desk):
    """A refused answer neither loops nor is lost."""
    at = desk(asked("confirm"))
    at.handle.reply = lambda command: Refused("sam drives this run, and is asked.")
    await at.sees("N: no (default)")
    at.types("y")
    await at.sees("Refused: sam drives this run")
    at.types("")
    await at.sees("N: no (default)", times=2)


async def test_a_halt_shows_why_and_offers_a_retry_that_must_be_confirmed(desk):
    """The seed's line, the failing criterion, its remedy; retry is never one key. (P80)"""
    at = desk(*HALT)
    await at.sees("abort the run for good")
    assert '[RAY ERROR] - "Failed at 1.3 Capture Baseline Snapshot. Reason: checkout is degraded.' in at.shown
    assert "failed: Checkout baseline: p99 +60%" in at.shown
    assert "remedy: Look." in at.shown
    at.types("1", "y")
    assert (await at.sent(RunStep)).step == "1.3"


async def test_a_halt_says_that_the_configuration_has_changed_and_how_to_go_on(desk):
    """Before a retry that would judge by the old one once more."""
    at = desk(*HALT, f.ConfigurationChanged(file="ray-tui.toml"))
    await at.sees("abort the run for good")
    assert "ray-tui.toml has changed since; this run uses what it began with." in at.shown
    assert "ray-tui run --resume" in at.shown


async def test_a_halt_can_be_waived_with_a_reason_and_an_expiry(desk):
    """The proposal names one criterion of one step."""
    at = desk(*HALT)
    await at.sees("waive one criterion")
    at.types("2", "1", "expected after the cache change", "3", "OPS-7")
    assert await at.sent(ProposeWaiver) == ProposeWaiver(
        criterion="baseline.checkout", step="1.3", reason="expected after the cache change", days=3, ticket="OPS-7"
    )


async def test_a_measured_failure_offers_no_manual_validation(desk):
    """Only what could not be judged may be settled by what a person saw."""
    at = desk(*HALT)
    await at.sees("abort the run for good")
    assert "record manual validation" not in at.shown


async def test_what_could_not_be_judged_can_be_seen_by_hand(desk, tmp_path):
    """A screenshot enters by its hash."""
    shot = tmp_path / "panel.png"
    shot.write_bytes(b"png")
    criterion = failed("coverage.search", "Search logs", "no answer", Verdict.ERROR)
    at = desk(
        *done("1.2", "could not look", None, criterion),
        f.Halted(step="1.2", reason="logs did not answer", criteria=("coverage.search",), verdict=Verdict.ERROR),
    )
    await at.sees("record manual validation")
    at.types("2", "1", "saw its log lines in Grafana", str(shot))
    sent = await at.sent(RecordManual)
    assert sent.attachments[0]["name"] == "panel.png"
    assert len(sent.attachments[0]["sha256"]) == 64


async def test_aborting_must_be_typed(desk):
    """A stray number ends nothing."""
    at = desk(*HALT)
    await at.sees("4  abort the run for good")
    at.types("4", "yes")
    await at.sees("Put off")
    assert at.handle.submitted == []
    at.types("", "4", "abort", "wrong release")
    assert (await at.sent(Abort)).reason == "wrong release"


async def test_a_halt_that_was_put_off_stays_a_halt(desk):
    """Later sends nothing, and leaving then is 0 for the console only."""
    at = desk(*HALT)
    await at.sees("abort the run for good")
    at.types("")
    await at.sees("Put off")
    assert at.handle.submitted == []


async def test_a_waiver_waits_for_the_second_person(desk):
    """Anything but yes leaves it open."""
    waiver = f.WaiverProposed(
        id="W1", criterion="baseline.checkout", step="1.3", reason="expected after the cache change", operator="sam",
        expires_at=1_800_000_000, evidence_sha256="0" * 64,
    )  # fmt: skip
    at = desk(*SAM_DRIVES, *HALT, waiver)
    await at.sees("WAIVER W1: sam asks to waive baseline.checkout")
    at.types("yes")
    assert await at.sent(ConfirmWaiver) == ConfirmWaiver(waiver_id="W1")


async def test_an_approval_says_whether_it_is_signed(desk):
    """Before the yes."""
    at = desk(asked("approve"))
    await at.sees("signing  not signed: start with --sign-with KEY")


async def test_no_to_a_waiver_is_said(desk):
    """It is a command of its own, not a putting off."""
    waiver = f.WaiverProposed(
        id="W1", criterion="baseline.checkout", step="1.3", reason="expected after the cache change", operator="sam",
        expires_at=1_800_000_000, evidence_sha256="0" * 64,
    )  # fmt: skip
    at = desk(*SAM_DRIVES, *HALT, waiver)
    await at.sees("WAIVER W1")
    at.types("no")
    assert await at.sent(DeclineWaiver) == DeclineWaiver(waiver_id="W1")


async def test_q_leaves_and_says_how_to_come_back(desk):
    """The run is not told anything."""
    at = desk(asked("confirm"))
    await at.sees("N: no (default)")
    at.types("q")
    assert await at.code() == 0
    assert "ray-tui attach 2026-11-22T1155Z-checkout-v2.4.1-7f3a --plain" in at.shown
    assert at.handle.submitted == []


async def test_an_input_that_ends_before_an_open_question_is_no_pass(desk):
    """`ray-tui run --plain </dev/null` must not look like success."""
    at = desk(asked("confirm"))
    await at.sees("N: no (default)")
    at.keys.close()
    assert await at.code() == 1
    assert at.handle.submitted == []


async def test_an_input_that_has_ended_still_follows_a_run_that_asks_nothing(desk):
    """With no question open the console watches to the end."""
    at = desk()
    at.keys.close()
    await at.sees("mira drives")
    at.handle.feed(*done("1.1", "10 services"), f.RunCompleted())
    assert await at.code() == 0


async def test_ctrl_c_ends_nothing_and_says_how_to_leave(desk):
    """SIGINT is explained; SIGTERM detaches with 143."""
    at = desk()
    await at.sees("mira drives")
    os.kill(os.getpid(), signal.SIGINT)
    await at.sees("Ctrl-C ends nothing here")
    assert not at.task.done()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await at.code() == 143


async def test_who_does_not_drive_is_told_for_whom_the_run_waits_and_is_asked_nothing(desk):
    """A halt is the driver's, an approval its role's; both are said once."""
    at = desk(*SAM_DRIVES, *HALT)
    await at.sees("next: sam must decide on 1.3 Baseline")
    at.handle.feed(f.HaltCleared(step="1.3", how="waived"), asked("approve", roles=("security",)))
    await at.sees("next: waiting for security to answer: Apply the plan?")
    assert "QUESTION" not in at.shown
    assert "abort the run for good" not in at.shown


async def test_who_drives_is_asked_for_the_seat(desk):
    """Later is the default."""
    at = desk(f.ConsoleAttached(console="c-tom", person="tom"), f.SeatRequested(person="tom", console="c-tom"))
    await at.sees("tom asks for the driver's seat")
    at.types("y")
    assert (await at.sent(GrantSeat)).person == "tom"


async def test_who_drives_can_keep_the_seat(desk):
    """The no is sent, so that who asks learns of it."""
    at = desk(f.ConsoleAttached(console="c-tom", person="tom"), f.SeatRequested(person="tom", console="c-tom"))
    await at.sees("n: keep it")
    at.types("n")
    assert (await at.sent(KeepSeat)).person == "tom"


async def test_wishes_are_granted_between_questions(desk):
    """Where it stands, why, a note; ? lists them."""
    at = desk()
    await at.sees("mira drives")
    at.types("?", "s", "why 1.2", "n all is well")
    await at.sees("why WHAT")
    await at.sees("driving: mira (you)")
    await at.sees("Verify Instrumentation Coverage")
    assert (await at.sent(AddNote)).text == "all is well"


async def test_a_console_that_only_watches_is_asked_nothing(desk):
    """--observe prints the halt and offers no menu."""
    at = desk(*HALT, read_only=True)
    await at.sees("halted at 1.3")
    at.types("x")
    await at.sees("'x' is nothing to type here")
    assert "Retry" not in at.shown
    assert "retry" not in at.shown


async def test_an_accepted_answer_is_not_asked_again_before_its_fact_arrives(desk):
    """The reply overtakes the fact on a slow link."""
    at = desk(asked("confirm"))
    at.handle.reply = lambda command: Accepted(at.handle.seq + 1)
    await at.sees("N: no (default)")
    at.types("y")
    await at.sent(AnswerPrompt)
    at.handle.feed(f.PromptAnswered(id="2.1#1:apply", answer="yes", person="mira"))
    await at.sees("mira answered: yes")
    assert at.shown.count("QUESTION") == 1


async def test_a_terminal_without_utf_8_gets_ascii(tmp_path):
    """™ and ✓ never break an ASCII terminal."""
    handle = FakeHandle(*opened(), f.Announced(text="[MASTER RAY™ | PHASE 1 START] - Go"), f.RunCompleted())
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        assert await plain.follow(handle, io.StringIO(""), out) == 0
    assert "[MASTER RAY(TM) | PHASE 1 START] - Go" in (tmp_path / "out").read_text()


async def test_ten_thousand_entries_of_the_past_are_followed_in_a_moment():
    """Joining a long run is not slowed down by the questions of its past."""
    handle = FakeHandle(*opened(), *(f.NoteAdded(text=f"note {n}") for n in range(10_000)), f.RunCompleted())
    before = time.monotonic()
    out = io.StringIO()
    assert await plain.follow(handle, io.StringIO(""), out) == 0
    assert time.monotonic() - before < 10
    assert out.getvalue().count("note ") == 10_000


FIVE = tuple(failed(f"dashboards.panel:{n}", f"Panel {n}", "Grafana answered 503") for n in range(1, 6))
STOPPED = (
    f.StepFinished(step="2.1", verdict=Verdict.FAILED, summary="5 of 5", criteria=FIVE),
    f.Halted(step="2.1", reason="Grafana answered 503", criteria=tuple(c.id for c in FIVE)),
)


async def test_several_criteria_are_waived_with_one_reason(desk):
    """``all`` takes them together: one command for each, and how far it came is said."""
    at = desk(*STOPPED)
    await at.sees("waive one criterion or several")
    at.types("2")
    await at.sees("several as 1,3, or all")
    at.types("6", "all", "Grafana is being moved", "3", "")
    await until(lambda: len(at.handle.submitted) == 5, f"five commands: {at.shown}")
    assert [command.criterion for command in at.handle.submitted] == [c.id for c in FIVE]
    assert {(command.reason, command.days) for command in at.handle.submitted} == {("Grafana is being moved", 3.0)}
    await at.sees("5 of 5 taken.")
    assert "Name numbers of the list" in at.shown


async def test_waivers_that_were_asked_for_together_are_one_question(desk):
    """The second person reads every one of them, and one yes confirms each."""
    asked_for = [
        f.WaiverProposed(id=f"W{n}", criterion=c.id, step="2.1", reason="Grafana is being moved", operator="sam",
                         expires_at=1_764_000_000.0 + n / 10, evidence_sha256=f"{n}" * 64)
        for n, c in enumerate(FIVE, 1)
    ]  # fmt: skip
    at = desk(*SAM_DRIVES, *STOPPED, *asked_for)
    await at.sees("WAIVER W5: sam asks to waive dashboards.panel:5")
    await at.sees("Waive all 5")
    at.types("yes")
    await until(lambda: len(at.handle.submitted) == 5, f"five confirmations: {at.shown}")
    assert at.handle.submitted == [ConfirmWaiver(waiver_id=f"W{n}") for n in range(1, 6)]


@pytest.mark.parametrize(
    ("typed", "wanted"), [("1,3", [0, 2]), ("2 2 1", [1, 0]), ("all", [0, 1, 2]), ("4", []), ("1,x", []), (",", [])]
)
def test_numbers_of_a_list_are_read_to_the_letter(typed, wanted):
    """A part that is no number of the list makes all of it none."""
    assert plain.which(typed, 3) == wanted


async def test_ascii_is_ascii_here_too():
    """[ui] ascii: glyphs and arrows as on the full screen."""
    output = io.StringIO()
    handle = FakeHandle(*opened(), *done("1.1", "10 services → 2 critical"), f.RunCompleted())
    await plain.follow(handle, io.StringIO(), output, ascii_only=True)
    assert "+ 1.1 Review Deployment Outputs: 10 services > 2 critical" in output.getvalue()
    assert output.getvalue().isascii()


async def test_a_note_says_whose_it_is(desk):
    """Two people talk in one log."""
    at = desk()
    at.handle.feed(f.NoteAdded(text="rolling back at noon"), person="sam")
    await at.sees("rolling back at noon (sam)")


async def test_at_a_halt_the_words_are_listed_and_those_that_look_can_be_typed(desk):
    """The question stays open, and is asked again."""
    at = desk(*HALT)
    await at.sees("Enter for later")
    at.types("?")
    await at.sees("Enter for later", 2)
    assert "why WHAT" in at.shown
    assert "There is no such number." not in at.shown
    at.types("why 1.3")
    await at.sees("Enter for later", 3)
    assert "measured  p99 +60%" in at.shown
    at.types("why nosuch", "9")
    await at.sees("There is no such number.")
    assert "Name a step" in at.shown
    assert at.handle.submitted == []


async def test_a_question_mark_confirms_nothing(desk):
    """It is no no either."""
    at = desk(asked("confirm"))
    await at.sees("N: no (default)")
    at.types("?")
    await at.sees("N: no (default)", 2)
    assert at.handle.submitted == []


async def test_a_host_that_falls_silent_is_said_once_and_when_it_is_heard_again(desk, monkeypatch):
    """A line console has no header: it says what has changed."""
    monkeypatch.setattr(plain, "LINK_SECONDS", 0.01)
    at = desk()
    await at.sees("mira drives")
    at.handle.link = Link.SILENT
    await at.sees("The host has said nothing for 10 s: its process (1) is stopped or hangs.")
    at.handle.link = Link.LIVE
    await at.sees("The host is heard again.")
    assert at.shown.count("has said nothing") == 1
