"""What an answers file says to a question, and when it says nothing."""

import pytest

from ray_tui.core import facts as f
from ray_tui.core.answers import Answers, prompt_name
from ray_tui.core.commands import Decline, ProposeWaiver


def prompt(kind="confirm", name="apply", **more):
    return f.PromptRaised(id=f"2.1#3:{name}", step="2.1", prompt=kind, title="?", text="?", **more)


def answered(answers, asked):
    command = Answers.model_validate(answers).to_prompt(asked)
    return None if command is None else (command.answer, command.reason)


def test_a_prompt_is_named_without_its_attempt():
    """An answers file does not know how often a step was tried."""
    assert prompt_name("2.1#3:apply") == "2.1:apply"


@pytest.mark.parametrize(
    ("confirm", "said"),
    [
        ({"2.1:apply": "yes"}, ("yes", "")),
        ({"2.1:*": "no"}, ("no", "")),
        ({"2.1:*": "no", "2.1:apply": "yes"}, ("yes", "")),
        ({"2.1:apply": {"answer": "reject", "reason": "known and tolerated"}}, ("reject", "known and tolerated")),
        ({"2.2:*": "yes"}, None),
        ({}, None),
    ],
)
def test_the_exact_name_comes_before_a_glob_and_silence_is_silence(confirm, said):
    """No answer is no answer: the run then halts, naming the prompt."""
    assert answered({"confirm": confirm}, prompt()) == said


def test_a_glob_never_answers_for_a_typed_confirmation():
    """Whoever pages people names them, or says by one word that this is a demo."""
    page = prompt("typed", "page", expects="page priya")
    assert answered({"confirm": {"*": "yes"}}, page) is None
    assert answered({"confirm": {"2.1:page": "page priya"}}, page) == ("page priya", "")
    assert answered({"confirm": {"*": "yes"}, "type_what_is_expected": True}, page) == ("page priya", "")


def test_an_approval_is_given_by_role_and_by_hash():
    """A block that names a hash answers only for that hash."""
    ask = prompt("approve", roles=("sre-lead",), data={"role": "sre-lead", "sha256": "ab"})
    blocks = [
        {"role": "security", "person": "lee"},
        {"role": "sre-lead", "person": "tom", "sha256": "cd"},
        {"role": "sre-lead", "person": "mira", "sha256": "ab", "expires_at": 5.0},
    ]
    command = Answers.model_validate({"approvals": blocks}).to_prompt(ask)
    assert (command.claimed_person, command.answer, command.data["expires_at"]) == ("mira", "yes", 5.0)
    assert Answers.model_validate({"approvals": blocks[:2]}).to_prompt(ask) is None


def test_of_what_blocks_at_a_halt_the_file_settles_what_it_names():
    """Also where others go on blocking; never at another step."""
    waiver = {"criterion": "a", "step": "1.2", "reason": "known since last week", "approver": "tom"}
    answers = Answers.model_validate({"waivers": [waiver]})
    (command,) = answers.to_halt("1.2", ["a", "b"])
    assert isinstance(command, ProposeWaiver)
    assert (command.criterion, command.claimed_approver) == ("a", "tom")
    assert answers.to_halt("1.3", ["a"]) == []


def test_a_guideline_can_be_declined():
    """With its reason."""
    answers = Answers.model_validate({"decline": [{"step": "2.3", "reason": "runbooks live elsewhere"}]})
    assert answers.to_halt("2.3", ["a"]) == [Decline(step="2.3", reason="runbooks live elsewhere")]
