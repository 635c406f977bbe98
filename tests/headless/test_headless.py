"""A run without a person: what is open is answered from the file, and what was settled before is left alone."""

import asyncio

import pytest

from ray_tui.core import facts as f
from ray_tui.core.answers import Answers
from ray_tui.core.commands import Accepted, AnswerPrompt, RecordManual, Refused, RunStep
from ray_tui.core.verdicts import Verdict
from ray_tui.headless import Headless
from tests.tui.fake_handle import ENDS, FakeHandle, failed, opened

BROKEN = failed("coverage.logs", "Logs are seen", "HTTP 503", Verdict.ERROR)


def halted(attempt=1):
    return [
        f.StepStarted(step="1.2", attempt=attempt),
        f.StepFinished(step="1.2", attempt=attempt, verdict=Verdict.ERROR, summary="no logs", criteria=(BROKEN,)),
        f.Halted(step="1.2", reason="no logs", criteria=(BROKEN.id,), verdict=Verdict.ERROR),
    ]


def asked():
    return f.PromptRaised(id="2.1#1:apply", step="2.1", prompt="confirm", title="Apply?", text="Two rules.")


class Pauses:
    """How long it slept, without sleeping."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)


async def outcome(handle, answers, sleep=None):
    follower = Headless(handle, Answers.model_validate(answers))
    if sleep is not None:
        follower.sleep = sleep
    return await asyncio.wait_for(follower.follow(), 10)


async def test_what_a_person_settled_before_the_run_was_resumed_is_not_asked_again():
    """The past is folded first: a halt that was waived and a question that was answered end nothing."""
    answered = f.PromptAnswered(id="2.1#1:apply", answer="yes", person="mira")
    handle = FakeHandle(*opened(), *halted(), f.HaltCleared(step="1.2", how="waived"), asked(), answered)
    handle._entries.put_nowait(ENDS)
    left = await outcome(handle, {})
    assert handle.submitted == []
    assert left.unanswered == ""
    assert "no logs" not in left.why


async def test_a_question_that_is_open_and_has_no_answer_ends_the_run_naming_it():
    """Nothing is assumed."""
    left = await outcome(FakeHandle(*opened(), asked()), {})
    assert (left.code, left.unanswered) == (1, "2.1:apply")


async def test_an_answer_is_given_once():
    """Facts that come after it do not bring it again."""
    handle = FakeHandle(*opened(), asked())
    follower = Headless(handle, Answers.model_validate({"confirm": {"2.1:apply": "yes"}}))
    following = asyncio.create_task(follower.follow())
    while not handle.submitted:
        await asyncio.sleep(0)
    handle.feed(f.NoteAdded(text="hello"), f.RunAborted(reason="enough"))
    left = await asyncio.wait_for(following, 10)
    assert [type(command) for command in handle.submitted] == [AnswerPrompt]
    assert left.code == 5


async def test_a_halt_that_may_mend_itself_is_retried_as_often_as_the_file_says():
    """After a pause each time; then the run ends as halted, with its verdict's exit code."""
    handle, pauses = FakeHandle(*opened(), *halted()), Pauses()

    def reply(command):
        handle.feed(*halted(len(handle.submitted) + 1))
        return Accepted(0)

    handle.reply = reply
    left = await outcome(handle, {"retry": [{"step": "1.2", "times": 2, "after_seconds": 20}]}, pauses)
    assert handle.submitted == [RunStep(step="1.2")] * 2
    assert pauses.seconds == [20, 20]
    assert (left.code, left.why) == (3, "halted at 1.2: no logs")


async def test_what_could_not_be_judged_is_settled_by_what_a_person_saw():
    """As on the console (P87)."""
    handle = FakeHandle(*opened(), *halted())

    def reply(command):
        handle.feed(f.HaltCleared(step="1.2", how="manual"), f.RunAborted(reason="enough"))
        return Accepted(0)

    handle.reply = reply
    seen = {"step": "1.2", "criterion": BROKEN.id, "note": "log lines of 12:03 seen in the store by mira"}
    await outcome(handle, {"manual": [seen]})
    assert handle.submitted == [RecordManual(step="1.2", criterion=BROKEN.id, note=seen["note"])]


async def test_a_decline_that_is_refused_ends_the_run_at_once():
    """A [MUST] in [[decline]] is a mistake in the file: nothing runs for hours before it is told."""
    handle = FakeHandle(*opened())
    handle.reply = lambda command: Refused("1.2 is a [MUST]")
    left = await outcome(handle, {"decline": [{"step": "1.2", "reason": "not of interest to us"}]})
    assert left.code == 1
    assert "declines 1.2, and that was refused: 1.2 is a [MUST]" in left.why


async def test_a_refusal_ends_the_run_with_its_words():
    """The rules are the host's: the file only asks."""
    handle = FakeHandle(*opened(), *halted())
    handle.reply = lambda command: Refused("cannot be waived")
    waiver = {"step": "1.2", "criterion": BROKEN.id, "reason": "known since last week", "approver": "tom"}
    left = await outcome(handle, {"waivers": [waiver]})
    assert left.code == 3
    assert "cannot be waived" in left.why
    assert left.account[0] == f"waiver of {BROKEN.id}: refused: cannot be waived"


@pytest.mark.parametrize("wrong", [{"times": 0}, {"after_seconds": float("inf")}, {"after_seconds": -1}])
def test_a_retry_is_bounded(wrong):
    """A file cannot keep a run alive for ever."""
    with pytest.raises(ValueError, match="retry"):
        Answers.model_validate({"retry": [{"step": "1.2", **wrong}]})
