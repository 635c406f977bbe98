"""The single writer: decides, runs one step at a time, and records what came of it."""

import asyncio
import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from ray_tui import actions, completion, gates, prerequisites
from ray_tui.clock import Clock, iso
from ray_tui.codes import Addressee, Codes
from ray_tui.config import Config
from ray_tui.core import announcements, declining, plan, untrusted
from ray_tui.core import facts as f
from ray_tui.core.commands import Accepted, AcknowledgeProbe, Command, Refused, Reply
from ray_tui.core.errors import BackendError, JournalError, RayError
from ray_tui.core.ports import Ports, SideEffect
from ray_tui.core.readings import Reading
from ray_tui.core.rules import (
    TOO_MANY_CODES,
    UNKNOWN_CODE,
    Do,
    Over,
    Rulebook,
    Wait,
    blocking,
    decide,
    next_step,
    paid,
)
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.evidence import gate_inputs, records, writer
from ray_tui.journal import Journal, Line
from ray_tui.step import RENDERER, ActionModule, Ask, Header, InputFolder, JournalSoFar, Live, Result

log = logging.getLogger("ray_tui.engine")

FLUSH_SECONDS = 0.1
CLEANUP_SECONDS = 30.0
"""How long a cancelled action may take to clear its probes."""
READINGS_KEPT = 4096
LIVE_STEP = "1.3"
"""The step whose figures go on moving on the screen after it."""
LIVE_LONGEST_SECONDS = 60.0
WRONG_CODES = 20
"""So many wrong acknowledgement codes a minute are put on record; further ones are only refused."""


@dataclass
class Places:
    """Where a run writes."""

    run: Path
    """``.artifacts/monitoring/runs/<run-id>/``: journal.jsonl, tape.jsonl, evidence/."""
    store: Path
    """``.artifacts/monitoring/``: the latest published evidence."""
    manual: Path
    """``.artifacts/protocol-19/``."""
    context_kit: Path

    @property
    def evidence(self) -> Path:
        return self.run / "evidence"

    @classmethod
    def of(cls, config: Config, run_id: str) -> "Places":
        artifacts = config.root / ".artifacts"
        return cls(
            run=artifacts / "monitoring" / "runs" / run_id,
            store=artifacts / "monitoring",
            manual=artifacts / "protocol-19",
            context_kit=config.root / ".cursor" / "context-kit",
        )


@dataclass
class Engine:
    """A run that is being carried out. One per run folder; the host holds the lock."""

    journal: Journal
    state: RunState
    config: Config
    ports: Ports
    places: Places
    inputs: InputFolder
    clock: Clock = field(default_factory=Clock)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    module_for: Callable[[str], ActionModule] = field(default_factory=lambda: module_for)
    """Step -> what carries it out; gates are judged by ray_tui/gates."""
    lines: list[Line] = field(default_factory=list)
    """Every line so far; consoles read them by index."""
    readings: deque[tuple[int, Reading]] = field(default_factory=lambda: deque(maxlen=READINGS_KEPT))
    _reading_count: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _read: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: str = ""
    _resumed_steps: set[str] = field(default_factory=set)
    _wrong_codes: deque[float] = field(default_factory=lambda: deque(maxlen=WRONG_CODES + 1))

    @cached_property
    def codes(self) -> Codes:
        """This run's acknowledgement codes; their key is made when the first is asked for."""
        return Codes(self.places.run)

    # --- facts in -----------------------------------------------------------------------------------------------------

    def record(self, *facts: f.Fact, actor: f.Actor = f.ENGINE) -> int:
        """Append facts, fold them, wake everyone. On disk when it returns if any is durable; answers the last seq.

        Raises JournalError when the disk refuses, and ValueError where a fact is not of its form.
        """
        if not facts:
            return self.state.seq
        at, mono = self.clock.wall(), self.clock.monotonic()
        entries = [
            f.Entry(seq=self.journal.seq + number, at=at, mono=mono, actor=actor, fact=fact)
            for number, fact in enumerate(facts, 1)
        ]
        for line in self.journal.append(entries):
            apply(self.state, line.entry)
            self.lines.append(line)
        self._wake()
        return self.state.seq

    def submit(self, command: Command, actor: f.Actor, verified_key: str = "") -> Reply:
        """Carry out or refuse a person's command."""
        book = self.rulebook(verified_key)
        if isinstance(command, AcknowledgeProbe):
            try:
                book = book.but(acknowledges=self._addressee(command))
            except RayError as exc:
                return Refused(str(exc))
        decision = decide(self.state, actor, command, book)
        if isinstance(decision, Refused):
            if decision.why == UNKNOWN_CODE and self._too_many_codes():
                return Refused(TOO_MANY_CODES)
            with contextlib.suppress(JournalError):
                self.record(f.CommandRefused(command=command.command, why=decision.why), actor=actor)
            return decision
        try:
            seq = self.record(*decision, actor=actor)
            if any(isinstance(fact, f.ManualRecorded) for fact in decision):
                self._write_manual()
        except RayError as exc:
            return Refused(str(exc))
        return Accepted(seq)

    def rulebook(self, verified_key: str = "") -> Rulebook:
        return Rulebook(
            policy=self.config.policy.limits,
            people={name: person.roles for name, person in self.config.people.items()},
            now=self.clock.wall(),
            config_digest=self.config.digest(),
            verified_key=verified_key,
        )

    def _addressee(self, command: AcknowledgeProbe) -> Addressee | None:
        """Whose message a person acknowledges: by its code, or as Slack has signed."""
        sent = [
            (probe.intended.id, kind)
            for probe in self.state.probes.values()
            if probe.intended.purpose == "acknowledge"
            for kind in dict.fromkeys(probe.intended.integrations)
            if command.via != "slack" or kind == "slack"
        ]
        if command.via == "slack" and command.probe:
            return next((one for one in sent if one[0] == command.probe), None)
        return self.codes.find(command.code, sent)

    def _too_many_codes(self) -> bool:
        now = self.clock.monotonic()
        self._wrong_codes.append(now)
        while now - self._wrong_codes[0] > 60:
            self._wrong_codes.popleft()
        return len(self._wrong_codes) > WRONG_CODES

    def observe(self, reading: Reading) -> None:
        """Show a live value to whoever looks; the oldest are dropped."""
        self._reading_count += 1
        self.readings.append((self._reading_count, reading))

    # --- facts out ----------------------------------------------------------------------------------------------------

    async def entries(self, since: int = 0) -> AsyncIterator[Line]:
        """Every line after ``since``, then the live ones, until the engine stops. For as many readers as like."""
        index = since
        while True:
            while index < len(self.lines):
                index += 1
                yield self.lines[index - 1]
            if self._stopping:
                return
            await self._changed.wait()

    async def live_readings(self) -> AsyncIterator[list[Reading]]:
        """Readings from now on, as many at a time as have come; a slow reader misses the oldest."""
        seen = self._reading_count
        while not self._stopping:
            fresh = [reading for number, reading in self.readings if number > seen]
            if fresh:
                seen = self._reading_count
                yield fresh
            await self._read.wait()

    def stop(self, why: str) -> None:
        """End the loop after the current write; the run stays resumable."""
        self._stopping = why or "stopped"
        self._wake()
        woken, self._read = self._read, asyncio.Event()
        woken.set()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _next_change(self) -> None:
        await self._changed.wait()

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry the protocol out until it is over or ``stop`` is called. Raises JournalError when the disk refuses."""
        running = self.state.running()
        if running is not None:
            self._resumed_steps.add(running)
        flusher = asyncio.create_task(self._flush())
        reader = asyncio.create_task(self._fan_out_readings())
        looker = asyncio.create_task(self._look())
        try:
            self._publish_again()
            await self._repair_evidence()
            while not self._stopping:
                changed = self._changed
                step = self.state.running()
                if step is None:
                    upcoming = next_step(self.state)
                    if isinstance(upcoming, Over):
                        break
                    if isinstance(upcoming, Wait):
                        await changed.wait()
                        continue
                    assert isinstance(upcoming, Do)
                    step = upcoming.step
                    if step in self.state.declined:
                        self._do_without(step)
                        continue
                    self.record(f.StepStarted(step=step, attempt=self.state.steps[step].attempt + 1))
                await self._supervise(step)
            if self.state.ended:
                await self._close_books()
        finally:
            for task in (flusher, reader, looker):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _do_without(self, step: str) -> None:
        """It was declined, and another protocol waits for its output: it blocks at its turn, until that is waived."""
        one = declining.criterion(step, self.state.declined[step])
        attempt = self.state.steps[step].attempt
        self.record(
            f.StepFinished(step=step, attempt=attempt, verdict=one.verdict, summary=one.actual, criteria=(one,))
        )
        self._halt_unless_passed(step)

    async def _look(self) -> None:
        """While somebody watches, read what was measured once on and on; a store that does not answer is spared."""
        seconds = self.config.host.live_seconds
        module = self.module_for(LIVE_STEP) if seconds else None
        if not isinstance(module, Live):
            return
        pause = seconds
        while not self.state.ended:
            await asyncio.sleep(pause)
            if self.state.consoles and self.state.steps[LIVE_STEP].finished_at is not None:
                try:
                    context = EngineContext(self, LIVE_STEP, self.state.steps[LIVE_STEP].attempt, resumed=False)
                    came = await module.look(context)
                except RayError:
                    came = False
                except Exception:
                    log.exception("live figures")
                    return
                pause = seconds if came else min(2 * pause, LIVE_LONGEST_SECONDS)

    async def _supervise(self, step: str) -> None:
        """Run a step; cancel it, and wait for its cleanup, when the run is aborted or the host stops."""
        task = asyncio.create_task(self._perform(step))
        try:
            while not task.done():
                changed = asyncio.create_task(self._changed.wait())
                if self.state.aborted or self._stopping:
                    changed.cancel()
                    task.cancel()
                    await asyncio.wait({task}, timeout=CLEANUP_SECONDS)
                    break
                await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            if not task.done():
                task.cancel()
        if task.cancelled() or not task.done():
            if self.state.aborted:
                attempt = self.state.steps[step].attempt
                self.record(f.StepInterrupted(step=step, attempt=attempt, why="the run was aborted"))
            return
        task.result()

    async def _perform(self, step: str) -> None:
        resumed = step in self._resumed_steps
        self._resumed_steps.discard(step)
        self._announce(step)
        if step.startswith("gate."):
            self._judge(step)
            return
        attempt = self.state.steps[step].attempt
        context = EngineContext(self, step, attempt, resumed)
        result = await self._result(step, context)
        for name, data in result.files.items():
            await context.publish(name, data)
        self.record(
            f.StepFinished(
                step=step, attempt=attempt, verdict=result.verdict, summary=result.summary,
                criteria=result.criteria, data=result.data,
            ),
            *result.gaps,
            *paid(self.state, step, result.criteria),
        )  # fmt: skip
        self._write_documents(step)
        self._halt_unless_passed(step)

    def _announce(self, step: str) -> None:
        """What the seed says when a step begins, once an attempt: a host that died may have left it unsaid."""
        began = self.state.steps[step].started_at or 0.0
        said = {text for at, of_step, text in self.state.announced if of_step == step and at >= began}
        self.record(*(f.Announced(text=t, step=step) for t in announcements.for_step(step) if t not in said))

    async def _result(self, step: str, context: "EngineContext") -> Result:
        """The step's result; what the world did wrong becomes one criterion with verdict error."""
        try:
            return await self.module_for(step).run(context)
        except JournalError:
            raise
        except BackendError as exc:
            return _broken(step, f"{exc.system} could not be used", str(exc), exc.todo)
        except RayError as exc:
            return _broken(step, "could not be carried out", str(exc), "")
        except Exception as exc:
            log.exception("step %s", step)
            said = f"{type(exc).__name__}: {untrusted.line(str(exc))}"
            return _broken(step, "ray-tui itself failed", said, "The traceback is in host.log; please report it.")

    def _write_documents(self, step: str) -> None:
        """Render and publish what a finished step leaves behind. Pure rendering: the same facts give the same bytes."""
        if step.startswith("gate.") or step == plan.COMPLETION:
            return
        for name, data, required in self.documents(step):
            self.publish(step, name, data, required=required)

    def documents(self, step: str) -> list[tuple[str, bytes, bool]]:
        """(name, bytes, required) of every document of a finished step."""
        found = self.state.steps[step]
        if step == plan.PREREQUISITES or step in self.state.declined:
            return []
        if found.finished_at is None or found.verdict is None:
            return []
        action = plan.action(step)
        opened = self.state.opened
        assert opened is not None
        header = Header(
            run_id=opened.run_id, release=opened.release, environment=opened.environment, step=step,
            attempt=found.attempt, generated_at=found.finished_at, verdict=found.verdict.value,
            summary=found.summary, criteria=found.criteria, demo=opened.demo,
        )  # fmt: skip
        required = {artifact.name: artifact.required for artifact in action.artifacts}
        # A step that broke has no data to render: its JSON form says what happened, and no page pretends to more.
        pages = self.module_for(step).documents(found.data, header) if found.data else {}
        written = [(name, text.encode("utf-8"), required.get(name, False)) for name, text in pages.items()]
        rendered = {name for name, _, _ in written}
        head = {
            "attempt": found.attempt,
            "generated_at": iso(found.finished_at),
            "verdict": found.verdict.value,
            "summary": found.summary,
            "criteria": [criterion.to_json() for criterion in found.criteria],
        }
        for artifact in action.artifacts:
            name = artifact.name if artifact.name.endswith(".json") else artifact.twin
            if name is None or name in rendered or (name in self.state.evidence and name.endswith(".zip")):
                continue
            if name in _WRITTEN_BY_ACTION:
                continue
            written.append((name, records.twin(name, self.state, step, found.data, **head), artifact.required))
        return written

    def publish(self, step: str, name: str, data: bytes, *, required: bool = True) -> f.EvidenceWritten:
        """Into this run's evidence first, then into the store where the next protocol looks; recorded when done."""
        written = writer.publish(self.places.evidence, name, data)
        before = self.state.evidence.get(name)
        writer.publish(self.places.store, name, data)
        fact = f.EvidenceWritten(
            name=name, sha256=written.sha256, size=written.size, step=step, required=required, renderer=RENDERER
        )
        if before is None or before.sha256 != written.sha256:
            self.record(fact)
        return fact

    def _publish_again(self) -> None:
        """Another run may have published since this one stopped; what is not as recorded is left for `verify`."""
        for name, recorded in self.state.evidence.items():
            with contextlib.suppress(OSError):
                data = (self.places.evidence / name).read_bytes()
                if hashlib.sha256(data).hexdigest() == recorded.sha256:
                    writer.publish(self.places.store, name, data)
        if self.state.manuals:
            self._fill_manual_folder()

    async def _repair_evidence(self) -> None:
        """After a crash: write what finished steps had not written yet, and halt where a halt was not recorded."""
        for step in plan.STEPS:
            found = self.state.steps[step]
            if found.status != "finished" or found.verdict is None:
                continue
            if not step.startswith("gate."):
                self._write_documents(step)
            if not found.settled and self.state.halt is None:
                self._halt_unless_passed(step)

    def _judge(self, step: str) -> None:
        """Judge a gate on the evidence folder: the same files that `ray-tui gate` and CI read."""
        gate = plan.gate(step)
        self._write_books(gate.id)
        inputs, _ = gate_inputs.load(self.places.evidence)  # a gate says of what is missing that it is missing
        criteria = gates.judge(gate.key, inputs, self.config.thresholds, self.clock.wall())
        verdict = worst(criteria)
        actual = announcements.not_passed(criteria) if not verdict.lets_go_on else _measured(criteria)
        attempt = self.state.steps[step].attempt
        self.record(
            f.GateJudged(gate=gate.key, attempt=attempt, verdict=verdict, actual=actual, criteria=criteria,
                         rule_version=gates.module_of(gate.key).RULE_VERSION),
            f.HookRan(hook=gate.hook, outcome=verdict, detail=actual),
            *paid(self.state, step, criteria),
        )  # fmt: skip
        if not verdict.lets_go_on:
            self.record(f.Announced(text=announcements.gate_failed(gate, actual), step=step))
        self._halt_unless_passed(step)

    def _halt_unless_passed(self, step: str) -> None:
        found = self.state.steps[step]
        if found.settled or self.state.aborted:
            return
        blocks = blocking(self.state, step, self.clock.wall())
        if found.criteria and not blocks:
            self.record(f.HaltCleared(step=step, how="waived"))
            return
        reason = announcements.not_passed(blocks)
        self.record(
            f.Announced(text=announcements.error(plan.title(step), reason), step=step),
            f.Halted(step=step, reason=reason, criteria=tuple(c.id for c in blocks), verdict=worst(blocks)),
        )

    # --- the run's own records ----------------------------------------------------------------------------------------

    def _write_books(self, step: str) -> None:
        """Waivers, backlog and communication log: written from the state whenever a gate is about to read them."""
        self.publish(step, "waivers.json", records.waivers(self.state))
        if plan.phase_of(step) >= 3:
            as_json, as_markdown = records.backlog(self.state)
            self.publish(step, "improvement-backlog.json", as_json)
            self.publish(step, "improvement-backlog.md", as_markdown)

    def _write_manual(self) -> None:
        log = self._fill_manual_folder()
        self.publish(plan.PREREQUISITES, "manual-validation-log.md", log, required=False)

    def _fill_manual_folder(self) -> bytes:
        """The manual fallback's log, its spreadsheet, and copies of what was attached, where the seed wants them."""
        folder = self.places.manual
        for manual in self.state.manuals.values():
            for attachment in manual.attachments:
                self._keep_attachment(attachment)
        writer.publish(folder, "manual-alert-tests.csv", records.manual_sheet(self.state).encode())
        log = records.manual_log(self.state).encode()
        writer.publish(folder, "manual-validation-log.md", log)
        return log

    def _keep_attachment(self, attachment: Mapping[str, str]) -> None:
        """A screenshot is copied only when it still is what was recorded; a file that is gone keeps its hash."""
        path, name = Path(attachment.get("path") or ""), records.attachment_file(attachment)
        if (self.places.manual / name).exists() or not path.is_file():
            return
        with contextlib.suppress(RayError, OSError):
            data = self.inputs.read(path)
            if hashlib.sha256(data).hexdigest() == attachment.get("sha256"):
                writer.publish(self.places.manual, name, data)

    async def _close_books(self) -> None:
        """The last words of a run that has ended."""
        with contextlib.suppress(RayError):
            self.publish(plan.COMPLETION, "communication-log.jsonl", records.communication_log(self.state))
            self._write_books(plan.COMPLETION)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(self.journal.flush)  # a busy disk must not stop the host's heart

    async def _fan_out_readings(self) -> None:
        """Wake readers of readings at most ten times a second, however fast the readings come."""
        told = 0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._reading_count > told:
                told = self._reading_count
                woken, self._read = self._read, asyncio.Event()
                woken.set()


def module_for(step: str) -> ActionModule:
    """What carries a step out: an action of the registry, the prerequisites, or the completion."""
    if step == plan.PREREQUISITES:
        return cast(ActionModule, prerequisites)
    if step == plan.COMPLETION:
        return cast(ActionModule, completion)
    return actions.module_of(plan.action(step).key)


_WRITTEN_BY_ACTION = frozenset(
    {
        "MONITORING-PACKAGE.zip",
        "monitoring-package-manifest.json",
        "handoff-notifications.json",
        "improvement-backlog.json",
    }
)
"""Artifacts whose bytes the action itself publishes: their form is not the common one."""


@dataclass
class EngineContext:
    """The Context (ray_tui/step.py) of one attempt of one step."""

    engine: Engine
    step: str
    attempt: int
    resumed: bool

    @property
    def ports(self) -> Ports:
        return self.engine.ports

    @property
    def config(self) -> Config:
        return self.engine.config

    @property
    def inputs(self) -> InputFolder:
        return self.engine.inputs

    @property
    def state(self) -> RunState:
        return self.engine.state

    def now(self) -> float:
        return self.engine.clock.wall()

    async def sleep(self, seconds: float) -> None:
        await self.engine.sleep(seconds)

    def acknowledge_code(self, probe: str, integration: str) -> str:
        return self.engine.codes.of((probe, integration))

    async def record(self, *facts: f.Fact) -> None:
        self.engine.record(*facts)

    def observe(self, reading: Reading) -> None:
        self.engine.observe(reading)

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        self.engine.record(f.Progressed(step=self.step, text=text, done=done, total=total))

    def evidence(self, name: str) -> bytes | None:
        path = self.engine.places.evidence / name
        return path.read_bytes() if path.is_file() else None

    async def journal(self) -> JournalSoFar:
        journal = self.engine.journal
        journal.flush()
        return JournalSoFar(journal.seq, journal.head, b"".join(line.raw for line in self.engine.lines))

    async def publish(self, name: str, data: bytes, *, required: bool = True) -> f.EvidenceWritten:
        return self.engine.publish(self.step, name, data, required=required)

    async def ask(self, question: Ask) -> f.PromptAnswered:
        prompt_id = f"{self.step}#{self.attempt}:{question.name}"
        if prompt_id not in self.state.prompts:
            self.engine.record(
                f.PromptRaised(
                    id=prompt_id, step=self.step, prompt=question.prompt, title=question.title, text=question.text,
                    expects=question.expects, roles=question.roles, options=question.options,
                    with_reason=question.with_reason, keeps=question.keeps, data=dict(question.data),
                )
            )  # fmt: skip
        while (answered := self.state.prompts[prompt_id].answered) is None:
            await self.engine._next_change()
        return answered

    async def intend(
        self,
        what: str,
        side_effect: SideEffect,
        target: str,
        *,
        name: str,
        digest: str = "",
        deadline: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str:
        intent_id = f"{self.step}#{self.attempt}:{name}"
        self.engine.record(
            f.IntentRecorded(
                id=intent_id, step=self.step, what=what, side_effect=side_effect, target=target, digest=digest,
                deadline=deadline, data=dict(data or {}),
            )
        )  # fmt: skip
        return intent_id

    async def outcome(
        self,
        intent_id: str,
        outcome: Literal["done", "failed", "unknown", "rolled-back"],
        detail: str = "",
        reference: str = "",
        *,
        reconciled: bool = False,
    ) -> None:
        self.engine.record(
            f.OutcomeRecorded(id=intent_id, outcome=outcome, detail=detail, reference=reference, reconciled=reconciled)
        )


def _broken(step: str, title: str, actual: str, remedy: str) -> Result:
    broken = Criterion(id=f"{step}.error", title=title, verdict=Verdict.ERROR, actual=actual, remedy=remedy)
    return Result(summary=actual, criteria=(broken,), data={})


def _measured(criteria: tuple[Criterion, ...]) -> str:
    return "; ".join(f"{c.title}: {c.actual}" for c in criteria)
