"""The single writer: order, halts, crashes and aborts."""

import asyncio
import contextlib
import csv
import hashlib
import os

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan, views
from ray_tui.core.answers import Answers
from ray_tui.core.commands import (
    Abort,
    Accepted,
    ConfirmWaiver,
    Decline,
    ProposeWaiver,
    RecordManual,
    Refused,
    RunStep,
)
from ray_tui.core.errors import BackendTimeout, JournalError
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.engine import Engine, Places
from ray_tui.handles.local import LocalHandle
from ray_tui.headless import Headless
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal
from ray_tui.step import Result
from tests.fakes import a_config, all_ports

MIRA = f.Actor(person="mira", console="c1")
TOM = f.Actor(person="tom", console="c2")


def criterion(verdict, id_="toy.ok"):
    return Criterion(id=id_, title="toy", verdict=verdict, actual="3 of 4")


class Toy:
    """A step whose verdict, fault and pace a test chooses."""

    def __init__(self, verdict=Verdict.PASSED, fault=None, wait=False):
        self.verdict, self.fault, self.wait = verdict, fault, wait
        self.ran = 0
        self.cleaned = False

    async def run(self, context):
        self.ran += 1
        try:
            if self.fault is not None:
                raise self.fault
            if self.wait:
                await asyncio.Event().wait()
        finally:
            self.cleaned = True
        return Result("toy", (criterion(self.verdict),), {"n": 1})

    def documents(self, data, header):
        return {"monitoring-requirements.md": f"# {header.release} {data['n']}\n"} if header.step == "1.1" else {}


class Living(Toy):
    """One whose figures can be read again."""

    looks = 0

    async def look(self, context):
        self.looks += 1
        context.observe(Reading(series="checkout/p99", at=context.now(), value=self.looks))
        if self.fault is not None and self.looks == 2:
            raise self.fault
        return True


class Rig:
    """An engine of toys in a folder."""

    def __init__(self, folder, toys, policy=None, **sections):
        self.config = a_config(folder, policy=policy or {"unsigned_approvals": True}, **sections)
        self.places = Places.of(self.config, "run-1")
        self.toys = toys
        journal, lines = Journal.open(self.places.run / "journal.jsonl")
        state = RunState()
        for line in lines:
            apply(state, line.entry)
        self.engine = Engine(
            journal=journal, state=state, config=self.config, ports=all_ports(), places=self.places,
            inputs=Inputs(self.config), lines=lines, module_for=lambda step: self.toys.get(step, Toy()),
        )  # fmt: skip
        if state.opened is None:
            self.engine.record(
                f.RunOpened(run_id="run-1", release="v1", environment="production", deployed_at=0, config_digest="d")
            )

    async def until(self, condition, what):
        task = asyncio.create_task(self.engine.run())
        for _ in range(500):
            if condition(self.engine.state) or task.done():
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError(f"never came: {what}")
        self.engine.stop("test")
        await asyncio.wait({task}, timeout=5)
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
        self.engine.journal.close()
        return self.engine.state


def halted(step):
    return lambda state: state.halt is not None and state.halt.step == step


async def test_a_failed_step_halts_with_the_error_line(tmp_path):
    """The run stops there, says [RAY ERROR], and nothing after it runs. (P80)"""
    later = Toy()
    rig = Rig(tmp_path, {"1.1": Toy(Verdict.FAILED), "1.2": later})
    state = await rig.until(halted("1.1"), "the halt")
    assert state.announced[-1][2] == (
        '[RAY ERROR] - "Failed at 1.1 Review Deployment Outputs. Reason: toy: 3 of 4. Awaiting instructions."'
    )
    assert later.ran == 0


async def test_inconclusive_halts_too(tmp_path):
    """Could not be judged is not a pass."""
    state = await Rig(tmp_path, {"1.1": Toy(Verdict.INCONCLUSIVE)}).until(halted("1.1"), "the halt")
    assert state.halt.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("fault", [BackendTimeout("metrics", "no answer in 15 s"), ValueError("a bug"), KeyError("x")])
async def test_a_fault_in_a_step_is_a_verdict_not_a_crash(tmp_path, fault):
    """The world's faults and ours end in an error verdict that names them; the run stays alive."""
    state = await Rig(tmp_path, {"1.1": Toy(fault=fault)}).until(halted("1.1"), "the halt")
    assert state.halt.verdict is Verdict.ERROR
    assert str(fault.args[0]).split(":")[0] in state.halt.reason


async def test_a_gate_over_missing_evidence_fails_with_the_seeds_block(tmp_path):
    """Toys write no evidence: gate 1 does not pass, and says so in the seed's words. (P82)"""
    state = await Rig(tmp_path, {}).until(halted("gate.instrumentation"), "the gate's halt")
    assert any(text.startswith("[RAY GATE FAILED: Instrumentation Coverage Gate]") for _, _, text in state.announced)
    assert state.hooks["validate_gate_12_instrumentation.py"].outcome is not Verdict.PASSED


async def test_a_retry_runs_the_step_again(tmp_path):
    """The same step, the next attempt."""
    toy = Toy(Verdict.FAILED)
    rig = Rig(tmp_path, {"1.1": toy})
    await rig.until(halted("1.1"), "the halt")
    again = Rig(tmp_path, {"1.1": toy})
    toy.verdict = Verdict.PASSED
    again.engine.submit(RunStep(step="1.1"), MIRA)
    state = await again.until(lambda s: s.steps["1.1"].settled, "the retry")
    assert state.steps["1.1"].attempt == 2
    assert toy.ran == 2


async def test_a_waived_halt_lets_the_run_go_on_as_waived(tmp_path):
    """A second person's waiver settles the step; the verdict stays failed, its effect is waived."""
    rig = Rig(tmp_path, {"1.1": Toy(Verdict.FAILED)})
    await rig.until(halted("1.1"), "the halt")
    again = Rig(tmp_path, {})
    reply = again.engine.submit(
        ProposeWaiver(criterion="toy.ok", step="1.1", reason="known and accepted today", claimed_approver="tom"), MIRA
    )
    assert not isinstance(reply, Refused), reply
    state = await again.until(lambda s: s.steps["1.2"].settled, "going on")
    assert state.steps["1.1"].verdict is Verdict.FAILED
    assert state.waivers["W1"].approver == "tom"


async def test_what_was_waived_and_then_passes_is_off_the_backlog(tmp_path):
    """The waiver's entry is resolved by the attempt that no longer needs it. (P70)"""
    toy = Toy(Verdict.FAILED)
    await Rig(tmp_path, {"1.1": toy}).until(halted("1.1"), "the halt")
    again = Rig(tmp_path, {"1.1": toy, "1.2": Toy(wait=True)})
    again.engine.submit(
        ProposeWaiver(criterion="toy.ok", step="1.1", reason="known and accepted today", claimed_approver="tom"), MIRA
    )
    assert again.engine.state.backlog["waived:1.1:toy.ok"].status == "open"
    toy.verdict = Verdict.PASSED
    again.engine.submit(RunStep(step="1.1"), MIRA)
    state = await again.until(lambda s: s.running() == "1.2", "the second attempt")
    assert state.steps["1.1"].attempt == 2
    assert state.backlog["waived:1.1:toy.ok"].status == "resolved"


async def came(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def declines(rig, step="1.3"):
    reply = rig.engine.submit(Decline(step=step, reason="measured by another team"), MIRA)
    assert isinstance(reply, Accepted)


async def test_a_declined_output_halts_at_its_turn_until_a_second_person_waives_it(tmp_path):
    """It does not run; what blocks is named and can be waived; after that the run goes on without it."""
    baseline = Toy()
    rig = Rig(tmp_path, {"1.3": baseline})
    declines(rig)
    loop = asyncio.create_task(rig.engine.run())
    await came(lambda: halted("1.3")(rig.engine.state))
    assert rig.engine.state.halt.criteria == ("decline:1.3",)
    assert rig.engine.state.steps["1.2"].settled

    waive = ProposeWaiver(criterion="decline:1.3", step="1.3", reason="their baseline is as good as ours")
    assert isinstance(rig.engine.submit(waive, MIRA), Accepted)
    assert isinstance(rig.engine.submit(ConfirmWaiver(waiver_id="W1"), MIRA), Refused)
    assert isinstance(rig.engine.submit(ConfirmWaiver(waiver_id="W1"), TOM), Accepted)
    await came(lambda: halted("gate.instrumentation")(rig.engine.state))

    rig.engine.stop("test")
    await loop
    assert baseline.ran == 0
    assert rig.engine.state.steps["1.3"].status == "declined"
    assert views.verdict_of(rig.engine.state, "1.3", rig.engine.clock.wall()) is Verdict.WAIVED
    assert not (rig.places.store / "baseline-metrics.json").exists()


async def test_a_halted_output_is_declined_or_carried_out_after_all(tmp_path):
    """Where it has halted, a decline is what blocks from then on; a retry takes the decline back."""
    baseline = Toy(Verdict.FAILED)
    rig = Rig(tmp_path, {"1.3": baseline})
    loop = asyncio.create_task(rig.engine.run())
    await came(lambda: halted("1.3")(rig.engine.state))
    declines(rig)
    await came(lambda: halted("1.3")(rig.engine.state))
    assert rig.engine.state.halt.criteria == ("decline:1.3",)

    baseline.verdict = Verdict.PASSED
    assert isinstance(rig.engine.submit(RunStep(step="1.3"), MIRA), Accepted)
    await came(lambda: rig.engine.state.steps["1.3"].settled)
    rig.engine.stop("test")
    await loop
    assert rig.engine.state.declined == {}
    assert views.verdict_of(rig.engine.state, "1.3", 0) is Verdict.PASSED


async def test_an_answers_file_declines_an_output_and_names_who_waives_it(tmp_path):
    """README's example: the guideline is declined before its turn, and the waiver of it comes from the same file."""
    baseline = Toy()
    rig = Rig(tmp_path, {"1.3": baseline})
    answers = Answers.model_validate({
        "decline": [{"step": "1.3", "reason": "measured by another team"}],
        "waivers": [{"criterion": "decline:1.3", "step": "1.3", "approver": "tom",
                     "reason": "their baseline is as good as ours"}],
    })  # fmt: skip
    following = asyncio.create_task(Headless(LocalHandle(rig.engine, MIRA), answers).follow())
    await came(lambda: rig.engine.state.declined)  # toys are quicker than any prerequisites
    loop = asyncio.create_task(rig.engine.run())
    outcome = await asyncio.wait_for(following, 10)
    rig.engine.stop("test")
    await loop
    assert outcome.why.startswith("halted at gate.instrumentation")  # toys leave no evidence for it
    assert baseline.ran == 0
    assert [one.criterion for one in rig.engine.state.waivers.values()] == ["decline:1.3"]


async def test_manual_validation_is_logged_with_its_screenshots_and_alert_tests(tmp_path):
    """To the seed's path: log, a spreadsheet of alert tests, and two pictures of one name. (P87, P88, P89)"""
    pictures = [tmp_path / place / "dashboard.png" for place in ("before", "after")]
    for picture in pictures:
        picture.parent.mkdir()
        picture.write_bytes(f"\x89PNG what the person saw {picture.parent.name}".encode())
    digests = [hashlib.sha256(picture.read_bytes()).hexdigest() for picture in pictures]
    attached = tuple(
        {"name": "dashboard.png", "sha256": digest, "path": str(picture)}
        for picture, digest in zip(pictures, digests, strict=True)
    )
    tested = f.AlertTest(receiver="=HYPERLINK(1)", fired="19:15:02", delivered="19:15:04", acknowledged_by="mira",
                         acknowledged="19:15:40")  # fmt: skip
    rig = Rig(tmp_path, {"1.1": Toy(Verdict.INCONCLUSIVE)})
    await rig.until(halted("1.1"), "the halt")
    again = Rig(tmp_path, {})
    reply = again.engine.submit(
        RecordManual(
            criterion="toy.ok", step="1.1", note="=HYPERLINK(1) looked at every panel by hand",
            attachments=attached, alert_tests=(tested,),
        ),
        MIRA,
    )  # fmt: skip
    assert not isinstance(reply, Refused), reply
    folder = tmp_path / ".artifacts" / "protocol-19"
    log = (folder / "manual-validation-log.md").read_text()
    assert "looked at every panel by hand" in log
    for picture, digest in zip(pictures, digests, strict=True):
        kept = f"dashboard-{digest[:12]}.png"
        assert digest in log
        assert kept in log
        assert (folder / kept).read_bytes() == picture.read_bytes()
    sheet = list(csv.DictReader((folder / "manual-alert-tests.csv").read_text().splitlines()))
    assert [(row["receiver"], row["fired"], row["delivered"], row["acknowledged by"], row["acknowledged"])
            for row in sheet] == [("'=HYPERLINK(1)", "19:15:02", "19:15:04", "mira", "19:15:40")]  # fmt: skip
    assert sheet[0]["note"].startswith("'=HYPERLINK")
    state = await again.until(lambda s: s.steps["1.2"].settled, "going on")
    assert "manual-validation-log.md" in state.evidence


async def test_an_abort_cancels_the_step_and_waits_for_its_cleanup(tmp_path):
    """Nothing is left firing: the action's finally runs before the run is over."""
    toy = Toy(wait=True)
    rig = Rig(tmp_path, {"1.1": toy})
    task = asyncio.create_task(rig.engine.run())
    while not toy.ran:
        await asyncio.sleep(0.01)
    rig.engine.submit(Abort(reason="rolled back"), MIRA)
    await asyncio.wait_for(task, 5)
    assert toy.cleaned
    assert rig.engine.state.steps["1.1"].status == "waiting"
    assert rig.engine.state.aborted.reason == "rolled back"
    rig.engine.journal.close()


async def test_a_host_that_died_in_a_step_goes_on_with_the_same_attempt(tmp_path):
    """The step is told that it is resumed; its attempt number stays, so its intents can be found."""
    seen = []

    class Watching(Toy):
        async def run(self, context):
            seen.append((context.attempt, context.resumed))
            return await super().run(context)

    rig = Rig(tmp_path, {"1.1": Watching(wait=True)})
    await rig.until(lambda s: s.running() == "1.1" and seen, "the step running")
    again = Rig(tmp_path, {"1.1": Watching()})
    await again.until(lambda s: s.steps["1.1"].settled, "the resumed step")
    assert seen == [(1, False), (1, True)]


async def test_a_line_that_a_crash_left_unsaid_is_said_once(tmp_path):
    """Killed between the start of a step and its announcement: the resume says it, and says nothing twice. (P23)"""
    rig = Rig(tmp_path, {"1.1": Toy(wait=True)})
    await rig.until(lambda s: s.running() == "1.1" and s.announced, "the step running")
    journal = rig.places.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: next(n for n, line in enumerate(lines) if b'"Announced"' in line)]))
    for _ in range(2):
        again = Rig(tmp_path, {"1.1": Toy(wait=True)})
        state = await again.until(lambda s: s.running() == "1.1" and s.announced, "the step running again")
        assert [text for _, step, text in state.announced if step == "1.1"] == [
            "[MASTER RAY™ | PHASE 1 START] - Reviewing deployment evidence to map monitoring requirements..."
        ]


class Ordered(Toy):
    """One whose page lists its data in the order in which it finds it."""

    async def run(self, context):
        return Result("toy", (criterion(Verdict.PASSED),), {"severity": "high", "mitigation": {"b": 1, "a": 2}})

    def documents(self, data, header):
        said = "; ".join(f"{key}: {list(value)}" for key, value in data.items())
        return {"monitoring-requirements.md": f"{said}\n"} if header.step == "1.1" else {}


async def test_a_resume_leaves_what_was_written_as_it_was(tmp_path):
    """A page that was sealed is rendered to the same bytes by the next host, whatever order its data had."""
    page = Rig(tmp_path, {"1.1": Ordered(), "1.2": Toy(wait=True)})
    state = await page.until(lambda s: s.running() == "1.2", "the page")
    before = (page.places.evidence / "monitoring-requirements.md").read_bytes()
    again = Rig(tmp_path, {"1.1": Ordered(), "1.2": Toy(wait=True)})
    later = await again.until(lambda s: s.steps["1.2"].attempt and s.running() == "1.2", "the resume")
    assert (again.places.evidence / "monitoring-requirements.md").read_bytes() == before
    assert later.evidence["monitoring-requirements.md"] == state.evidence["monitoring-requirements.md"]


async def test_evidence_that_a_crash_left_unwritten_is_written_on_resume(tmp_path):
    """StepFinished is on disk, its document is not: rendering is pure, so the resume writes the same bytes."""
    rig = Rig(tmp_path, {"1.2": Toy(wait=True)})
    await rig.until(lambda s: s.running() == "1.2", "1.1 done")
    path = rig.places.evidence / "monitoring-requirements.md"
    before = path.read_bytes()
    journal = rig.places.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if b'"EvidenceWritten"' in line)
    journal.write_bytes(b"".join(lines[:cut]))
    path.unlink()
    state = await Rig(tmp_path, {"1.2": Toy(wait=True)}).until(lambda s: s.running() == "1.2", "the resume")
    assert path.read_bytes() == before
    assert "monitoring-requirements.json" in state.evidence


async def test_what_another_run_has_published_meanwhile_is_published_anew_on_resume(tmp_path):
    """Books and documents alike, for the next protocol and `verify` look there; the manual log in its folder, too."""
    rig = Rig(tmp_path, {"1.2": Toy(Verdict.INCONCLUSIVE)})
    await rig.until(halted("1.2"), "the halt")
    again = Rig(tmp_path, {})
    note = RecordManual(criterion="toy.ok", step="1.2", note="looked at every panel by hand")
    assert isinstance(again.engine.submit(note, MIRA), Accepted)
    state = await again.until(halted("gate.instrumentation"), "the gate's halt")
    assert {"waivers.json", "monitoring-requirements.md", "manual-validation-log.md"} <= state.evidence.keys()
    published = [again.places.store / name for name in state.evidence]
    published += [again.places.manual / "manual-alert-tests.csv", again.places.manual / "manual-validation-log.md"]
    written = [path.read_bytes() for path in published]
    for path in published:
        path.write_bytes(b"of a newer run\n")

    facts = (await Rig(tmp_path, {}).until(halted("gate.instrumentation"), "the resume")).seq

    assert [path.read_bytes() for path in published] == written
    assert facts == state.seq, "the same bytes are no news"


async def test_evidence_that_is_not_what_was_recorded_is_published_by_no_resume(tmp_path):
    """What was changed in the run's own folder stays where `verify` finds it."""
    rig = Rig(tmp_path, {})
    await rig.until(halted("gate.instrumentation"), "the gate's halt")
    (rig.places.evidence / "waivers.json").write_bytes(b"{}\n")
    (rig.places.store / "waivers.json").write_bytes(b"of a newer run\n")
    await Rig(tmp_path, {}).until(halted("gate.instrumentation"), "the resume")
    assert (rig.places.evidence / "waivers.json").read_bytes() == b"{}\n"
    assert (rig.places.store / "waivers.json").read_bytes() == b"of a newer run\n"


async def test_a_full_disk_ends_the_loop_and_keeps_what_was_acknowledged(tmp_path):
    """The journal refuses: the run stops with the reason instead of going on unrecorded."""
    rig = Rig(tmp_path, {"1.2": Toy(wait=True)})
    task = asyncio.create_task(rig.engine.run())
    while rig.engine.state.running() != "1.2":
        await asyncio.sleep(0.01)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, rig.engine.journal._fd)
    os.close(full)
    reply = rig.engine.submit(Abort(reason="rolled back"), MIRA)
    assert isinstance(reply, Refused)
    assert "free space" in reply.why
    rig.engine.stop("test")
    with contextlib.suppress(JournalError):
        await asyncio.wait_for(task, 5)
    rig.engine.journal.close()
    again = Rig(tmp_path, {})
    assert again.engine.state.steps["1.1"].settled
    again.engine.journal.close()


def test_every_step_of_the_plan_has_a_module():
    """The plan and the files agree: an action or gate without a file cannot be forgotten."""
    from ray_tui import actions, gates
    from ray_tui.engine import module_for

    for step in plan.STEPS:
        if step.startswith("gate."):
            assert gates.module_of(plan.gate(step).key).judge
        else:
            assert module_for(step).run
    assert set(actions.REGISTRY) == {action.key for action in plan.ACTIONS}


@pytest.mark.parametrize("watched", [True, False])
async def test_figures_go_on_moving_while_somebody_watches(tmp_path, watched):
    """After 1.3 its figures are read again and again, on no record; not for a run at which nobody looks."""
    live = Living()
    rig = Rig(tmp_path, {"1.3": live}, host={"live_seconds": 0.01})
    if watched:
        rig.engine.record(f.ConsoleAttached(console="c1", person="mira"))
    halts = halted("gate.instrumentation")
    state = await rig.until(lambda state: halts(state) and (live.looks >= 3 or not watched), "three looks")
    assert (live.looks >= 3) is watched
    facts = [line.entry.fact for line in rig.engine.lines]
    assert not any("p99" in str(fact.to_json()) for fact in facts)
    assert state.halt is not None


async def test_a_fault_while_looking_again_is_no_fault_of_the_run(tmp_path):
    """Live figures are shown, never judged: when reading them breaks, they stop, and the run goes on."""
    live = Living()
    rig = Rig(tmp_path, {"1.3": live}, host={"live_seconds": 0.01})
    rig.engine.record(f.ConsoleAttached(console="c1", person="mira"))
    task = asyncio.create_task(rig.engine.run())
    live.fault = None
    while rig.engine.state.steps["1.3"].finished_at is None:
        await asyncio.sleep(0.01)
    live.fault = ValueError("odd")
    for _ in range(300):
        if live.looks >= 2 and halted("gate.instrumentation")(rig.engine.state):
            break
        await asyncio.sleep(0.01)
    rig.engine.stop("test")
    await asyncio.wait_for(task, 5)
    assert live.looks == 2
    rig.engine.journal.close()
