"""An answers file that settles a part of what blocks: that part is settled, and the run goes on as far as it can."""

import asyncio
from dataclasses import replace

from ray_tui import prerequisites
from ray_tui.core import facts as f
from ray_tui.core.answers import Answers
from ray_tui.core.rules import HEADLESS
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.engine import Engine, Places
from ray_tui.headless import Headless
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal
from ray_tui.step import Result
from ray_tui.wiring import AnsweringHandle
from tests import papers
from tests.fakes import RELEASE, InMemoryMetrics, a_config, all_ports

SYSTEMS = ("chat", "mail", "logs")


def waived(system):
    return {"criterion": f"prerequisites.system:{system}", "step": "prerequisites", "approver": "tom",
            "reason": f"{system} comes with the next release"}  # fmt: skip


def approved(*roles):
    given = {"release-manager": "tom", "sre-lead": "lee", "security": "priya"}
    return [{"role": role, "person": given[role]} for role in roles]


class Fails:
    """The step after the prerequisites: where it runs, those have let the run go on."""

    async def run(self, context):
        return Result("toy", (Criterion(id="toy", title="toy", verdict=Verdict.FAILED, actual="over"),), {})

    def documents(self, data, header):
        return {}


async def a_run(folder, answers, *, unsigned=True, missing=SYSTEMS, step=prerequisites):
    """(How it ends, the lines that it told); the systems of ``missing`` are not configured."""
    papers.write(folder)
    config = a_config(folder, policy={"unsigned_approvals": unsigned})
    places = Places.of(config, "run-1")
    journal, _ = Journal.open(places.run / "journal.jsonl")
    ports = all_ports(metrics=InMemoryMetrics().answer("count(probe_success)", 3.0))
    engine = Engine(
        journal=journal, state=RunState(), config=config, ports=replace(ports, **dict.fromkeys(missing)),
        places=places, inputs=Inputs(config), module_for=lambda name: step if name == "prerequisites" else Fails(),
    )  # fmt: skip
    engine.record(
        f.RunOpened(run_id="run-1", release=RELEASE, environment="e", deployed_at=0, config_digest=config.digest())
    )
    handle = AnsweringHandle(engine, f.Actor(person="mira", uid=4711, console=HEADLESS), None)
    told = []
    loop = asyncio.create_task(engine.run())
    follower = Headless(handle, Answers.model_validate(answers), lambda line: told.append(line.text))
    ended = await asyncio.wait_for(follower.follow(), 20)
    engine.stop("test over")
    await loop
    journal.close()
    return ended, told


async def test_who_was_not_asked_because_of_what_is_waived_is_asked_then(tmp_path):
    """The systems are waived, the prerequisites run again, and the approvals of the file are given. (P8 P9)"""
    given = approved("release-manager", "sre-lead", "security")
    answers = {"waivers": [waived(system) for system in SYSTEMS], "approvals": given}
    ended, _ = await a_run(tmp_path, answers)

    assert {one.person for one in ended.state.approvals} == {"tom", "lee", "priya"}
    assert ended.why == "halted at 1.1: toy: over"
    assert ended.account[-1] == "still blocks: toy: toy: over (the answers file says nothing of it)"


async def test_an_approval_that_the_file_has_not_is_asked_for_and_named(tmp_path):
    """Not "not asked": the run waits for it, so that `ray-tui sign` finds it."""
    answers = {"waivers": [waived(system) for system in SYSTEMS], "approvals": approved("release-manager")}
    ended, _ = await a_run(tmp_path, answers)
    assert ended.unanswered == "prerequisites:approve-sre-lead"
    assert "waiver of prerequisites.system:chat: taken" in ended.account


async def test_what_the_file_names_is_waived_though_others_go_on_blocking(tmp_path):
    """What was taken, what still blocks, and why, is said; nobody is asked for a run that cannot start."""
    answers = {"waivers": [waived("chat"), waived("mail")], "approvals": approved("release-manager", "sre-lead")}
    ended, told = await a_run(tmp_path, answers)

    assert {one.criterion for one in ended.state.waivers.values()} == {waived(x)["criterion"] for x in ("chat", "mail")}
    assert ended.state.steps["prerequisites"].attempt == 1
    assert ended.account[:3] == (
        "waiver of prerequisites.system:chat: taken",
        "waiver of prerequisites.system:mail: taken",
        "still blocks: prerequisites.system:logs: Logs reachable: not configured (the answers file says nothing of it)",
    )
    assert ended.why.startswith("halted at prerequisites: Logs reachable: not configured; ")
    assert "w prerequisites.system:chat waived by tom: chat comes with the next release" in told


async def test_each_refusal_is_told_by_the_run_that_got_it(tmp_path):
    """All of them, not the first one only, and none of them with the next start."""
    ended, told = await a_run(tmp_path, {"waivers": [waived("chat"), waived("mail")]}, unsigned=False)

    why = "The answers file names an approver, but policy wants a signature."
    assert told.count(f"waive refused: {why}") == 2
    assert ended.account[:2] == tuple(f"waiver of prerequisites.system:{x}: refused: {why}" for x in ("chat", "mail"))
    assert f"still blocks: prerequisites.system:chat: Slack reachable: not configured (refused: {why})" in ended.account
    assert why in ended.why


async def test_a_file_that_says_nothing_leaves_what_blocks_to_be_read(tmp_path):
    """With the ids that a waiver would have to name."""
    ended, _ = await a_run(tmp_path, {}, missing=("chat",))
    assert any(line.startswith("still blocks: prerequisites.system:chat: ") for line in ended.account)


class Changes(Fails):
    """Prerequisites that measure something else each time, so that no waiver holds."""

    ran = 0

    async def run(self, context):
        self.ran += 1
        chat = Criterion(id="prerequisites.system:chat", title="chat", verdict=Verdict.ERROR, actual=f"{self.ran} s")
        lead = chat.but(id="prerequisites.approval:sre-lead", verdict=Verdict.INCONCLUSIVE)
        return Result("toy", (chat, lead), {})


async def test_what_blocks_anew_after_every_run_is_not_run_for_ever(tmp_path):
    """The file settles one halt over the same things once."""
    changes = Changes()
    ended, _ = await a_run(tmp_path, {"waivers": [waived("chat")]}, step=changes)
    assert changes.ran == 2
    assert "has settled it once, and it was measured again since" in " ".join(ended.account)
