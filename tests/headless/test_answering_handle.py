"""A headless run acts for the people of its answers file: with the role that a question wants, or not at all."""

import asyncio
import shutil
import subprocess

import pytest

from ray_tui.core import facts as f
from ray_tui.core import signing
from ray_tui.core.answers import Answers
from ray_tui.core.rules import HEADLESS
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.engine import Engine, Places
from ray_tui.evidence import signatures
from ray_tui.headless import Headless, Outcome
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal
from ray_tui.step import Ask, Result
from ray_tui.wiring import AnsweringHandle
from tests.fakes import a_config, all_ports

DATA = {"role": "sre-lead", "subject": "this", "sha256": "ab", "release": "v1", "config_digest": "d"}


class Approving:
    """A step that asks for the SRE lead's approval."""

    async def run(self, context):
        await context.ask(Ask("ok", "approve", "Approve?", "Approve?", roles=("sre-lead",), data=DATA))
        return Result("toy", (Criterion(id="toy", title="toy", verdict=Verdict.FAILED, actual="over"),), {})

    def documents(self, data, header):
        return {}


async def outcome(folder, approval, policy, signers=None) -> Outcome:
    """How a run ends whose only question is answered by this approval."""
    config = a_config(folder, people={"jo": {"roles": ["observer"]}}, policy=policy)
    places = Places.of(config, "run-1")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    engine = Engine(
        journal=journal, state=RunState(), config=config, ports=all_ports(), places=places, inputs=Inputs(config),
        module_for=lambda step: Approving(),
    )  # fmt: skip
    engine.record(f.RunOpened(run_id="run-1", release="v1", environment="e", deployed_at=0, config_digest="d"))
    handle = AnsweringHandle(engine, f.Actor(person="uid:4711", console=HEADLESS), signers)
    answers = Answers.model_validate({"approvals": [{"role": "sre-lead", **approval}]})
    loop = asyncio.create_task(engine.run())
    ended = await asyncio.wait_for(Headless(handle, answers).follow(), 10)
    engine.stop("test over")
    await loop
    journal.close()
    return ended


@pytest.mark.parametrize("person", ["intern", "jo", "tom"])
async def test_a_name_without_the_role_approves_nothing(tmp_path, person):
    """Nobody whom [people] knows, an observer, the release manager: none is the SRE lead. (P9)"""
    ended = await outcome(tmp_path, {"person": person}, {"unsigned_approvals": True})

    assert ended.state.approvals == []
    assert (ended.code, ended.unanswered) == (1, "prerequisites:ok")
    assert f"This needs sre-lead; {person} has no such role" in ended.why


async def test_a_name_with_the_role_is_recorded_as_claimed(tmp_path):
    """The file's word, and labelled so. (P9)"""
    ended = await outcome(tmp_path, {"person": "lee"}, {"unsigned_approvals": True})

    assert [(one.person, one.role, one.assurance) for one in ended.state.approvals] == [("lee", "sre-lead", "claimed")]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize(
    ("person", "signer", "why"),
    [
        ("lee", "lee", ""),
        ("jo", "jo", "This needs sre-lead; jo has no such role"),
        ("lee", "jo", "The signature is not valid"),
    ],
    ids=["the lead's own", "an observer's own", "an observer's for the lead"],
)
async def test_a_signature_proves_who_it_was_and_gives_nobody_a_role(tmp_path, person, signer, why):
    """A key that is known is not enough: its owner has to hold the role that is asked for. (P9)"""
    for name in ("lee", "jo"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    allowed = tmp_path / "allowed_signers"
    allowed.write_text("".join(f"{name} {(tmp_path / f'{name}.pub').read_text()}" for name in ("lee", "jo")))
    signature = signatures.sign(signing.approval_text(DATA, "yes"), tmp_path / signer, signing.NAMESPACE)

    approval = {"person": person, "signature": signature}
    ended = await outcome(tmp_path, approval, {"unsigned_approvals": False}, allowed)

    assert why in ended.why
    given = [(one.person, one.assurance) for one in ended.state.approvals]
    assert given == ([] if why else [("lee", "signed")])
