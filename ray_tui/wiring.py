"""The composition root: a configuration becomes backends, an engine, a host, and a handle to hold."""

import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_tui import __version__, backends, config, headless, host, journal, rendezvous, rereading, runs_on_disk
from ray_tui.actions.baseline import unselected
from ray_tui.clock import Clock
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core import signing
from ray_tui.core.answers import Answers, Approval
from ray_tui.core.commands import AnswerPrompt, Command, ConfirmWaiver, ProposeWaiver, Refused, Reply
from ray_tui.core.errors import InputError, JournalError, RayError, TamperError
from ray_tui.core.policy import Person
from ray_tui.core.ports import Ports
from ray_tui.core.rules import LISTENER
from ray_tui.core.state import LogLine, RunState, Step, apply
from ray_tui.core.verdicts import Verdict
from ray_tui.engine import Engine, EngineContext, Places
from ray_tui.evidence import baselines, signatures, writer
from ray_tui.handles.local import LocalHandle
from ray_tui.handles.replay import Replay, read_tape
from ray_tui.inputs import Inputs

if TYPE_CHECKING:
    from ray_tui.listener import Settings as ListenerSettings

TAPE_SECONDS = 1.0
"""At most one reading of each series this often goes to the tape."""

# --- backends --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_ports(chosen: Config, clock: Clock) -> AsyncIterator[Ports]:
    """Every backend that the configuration names, closed again at the end. Contacts nobody yet."""
    opening = backends.Opening(clock=clock, jitter=random.random, config_folder=chosen.folder)
    opened: list[Any] = []

    def one(port: str, key: str, name: str | int | None, settings: Mapping[str, Any]) -> Any:
        model = config.check_backend(port, (key,) if name is None else (key, name), settings)
        backend = backends.open_backend(port, model, opening)
        opened.append(backend)
        return backend

    tables = {port: table for port in config.PORTS if (table := getattr(chosen, port)) is not None}
    named = {port: one(port, port, None, table) for port, table in tables.items()}
    incidents = tuple(one("incidents", "incidents", n, table) for n, table in enumerate(chosen.incidents))
    notifiers = {number: one("notifiers", "notify", number, table) for number, table in chosen.notify.items()}
    tracker = one("notifiers", "tracker", None, chosen.tracker) if chosen.tracker is not None else None
    webhooks = {name: one("webhook", "webhooks", name, table) for name, table in chosen.webhooks.items()}
    try:
        yield replace(Ports(**named), incidents=incidents, notifiers=notifiers, tracker=tracker, webhooks=webhooks)
    finally:
        for backend in opened:
            with contextlib.suppress(Exception):
                await backend.close()


@asynccontextmanager
async def engine_for(chosen: Config, run_id: str, *, resume: bool, clock: Clock | None = None) -> AsyncIterator[Engine]:
    """An engine that holds the run's lock and its journal, ready to ``run()``."""
    clock = clock or Clock()
    places = Places.of(chosen, run_id)
    lock = rendezvous.Lock.take(places.run)
    try:
        written, lines = journal.Journal.open(places.run / "journal.jsonl")
        state = RunState()
        for line in lines:
            apply(state, line.entry)
        resumed = bool(lines)
        if resume and state.opened is None:
            raise JournalError(f"{written.path}: holds no run that could be resumed")
        _same_release(state, chosen)
        async with open_ports(chosen, clock) as ports:
            engine = Engine(
                journal=written, state=state, config=chosen, ports=ports, places=places, inputs=Inputs(chosen),
                clock=clock, lines=lines,
            )  # fmt: skip
            if state.opened is None:
                engine.record(_opened(chosen, run_id, clock))
                _name_config(places.run / "run.json", chosen)
            engine.record(
                f.HostStarted(pid=os.getpid(), resumed=resumed, torn=written.torn, boot_id=_boot_id(),
                              config_digest=chosen.digest(), reason_characters=chosen.policy.reason_characters,
                              waiver_days=chosen.policy.waiver_days,
                              roles={name: person.roles for name, person in chosen.people.items()})
            )  # fmt: skip
            beside = [
                asyncio.create_task(_tape(engine, places.run / "tape.jsonl")),
                asyncio.create_task(rereading.watch(engine)),
            ]
            try:
                yield engine
            finally:
                for task in beside:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                with contextlib.suppress(JournalError):
                    written.close()
    finally:
        lock.release()


def _same_release(state: RunState, chosen: Config) -> None:
    """A run goes on for what it was opened for: no page or annotation may name another release than its evidence."""
    opened = state.opened
    if opened is None:
        return
    before, now = (opened.release, opened.environment), (chosen.run.release, chosen.run.environment)
    if before != now:
        raise InputError(
            f"{opened.run_id}: was opened for {before[0]} in {before[1]}, and {chosen.file} says {now[0]} in {now[1]}. "
            "Resume it with --release and --environment as it was opened, or begin a new run with `ray-tui run`."
        )


def _opened(chosen: Config, run_id: str, clock: Clock) -> f.RunOpened:
    return f.RunOpened(
        run_id=run_id, release=chosen.run.release, environment=chosen.run.environment,
        deployed_at=chosen.deployed_at() or 0.0, config_digest=chosen.digest(),
        thresholds=chosen.thresholds.model_dump(mode="json"),
        operator=chosen.run.operator or rendezvous.person_of(os.getuid(), chosen.people), demo=chosen.policy.demo,
        version=__version__,
    )  # fmt: skip


def _name_config(path: Path, chosen: Config) -> None:
    try:
        path.write_text(json.dumps({"config": str(chosen.file.resolve())}) + "\n")
    except OSError as exc:
        raise writer.cannot_write(path, exc) from exc


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


async def _tape(engine: Engine, path: Path) -> None:
    """Keep a thinned trace of the live values, so that a replay has graphs. Illustration: lost lines are no loss."""
    last: dict[str, float] = {}
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
        async for readings in engine.live_readings():
            for reading in readings:
                if reading.at - last.get(reading.series, -TAPE_SECONDS) >= TAPE_SECONDS:
                    last[reading.series] = reading.at
                    file.write(json.dumps(reading.to_json(), sort_keys=True) + "\n")
            file.flush()


def _signers(chosen: Config) -> Path | None:
    return chosen.folder / chosen.policy.allowed_signers if chosen.policy.allowed_signers else None


# --- a host process --------------------------------------------------------------------------------------------------


async def serve(chosen: Config, run_id: str, *, resume: bool) -> int:
    """The body of a host process: carry the run out and serve consoles until it is over or a signal comes."""
    heard = await _heard(chosen)
    async with (
        _publishing(chosen) as no_more,
        engine_for(chosen, run_id, resume=resume) as engine,
        _listening(engine, chosen, heard),
    ):
        serving = host.Host(engine, _signers(chosen))
        await serving.listen(rendezvous.socket_path(run_id, chosen), chosen.host.group)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, engine.stop, signal.Signals(number).name)
        why = "the run is over"
        try:
            await engine.run()
            if not engine.state.ended:
                why = "the host was stopped; `ray-tui run --resume` goes on"
            else:
                no_more()
                await _linger(serving)
        except RayError as exc:  # a full disk: the journal's or the evidence's
            logging.getLogger("ray_tui").error("%s", exc)
            why = str(exc)
        finally:
            with contextlib.suppress(JournalError):
                engine.record(f.HostStopped(reason=why))
            engine.stop(why)
            await serving.close(why)
    return 0


@asynccontextmanager
async def _publishing(chosen: Config) -> AsyncIterator[Callable[[], None]]:
    """One run at a time publishes into a store. What is given ends that early: a run that is over only shows itself."""
    with contextlib.ExitStack() as held:
        held.callback(runs_on_disk.hold_store(chosen.store).release)
        yield held.close


async def _heard(chosen: Config) -> "ListenerSettings | None":
    """Whom a listener of this configuration would hear; None where none is wanted.

    InputError before a run begins, so that none is left behind: no secret, or an address that is not to be had.
    """
    if not chosen.acknowledge.listen:
        return None
    from ray_tui import listener

    secret = chosen.acknowledge.slack_signing_secret
    listener.bound(*chosen.acknowledge.address).close()
    return listener.Settings(
        people=chosen.people, slack_channels=chosen.alert_paths.slack_channels,
        slack_secret=await asyncio.to_thread(secret.resolve, chosen.folder) if secret else "",
    )  # fmt: skip


@asynccontextmanager
async def _listening(engine: Engine, chosen: Config, heard: "ListenerSettings | None") -> AsyncIterator[None]:
    """Answer acknowledge links and Slack's buttons, where [acknowledge] says so."""
    if heard is None:
        yield
        return
    from ray_tui import listener

    handle = LocalHandle(engine, f.Actor(console=LISTENER))
    async with listener.serving(handle, heard, engine.clock, *chosen.acknowledge.address):
        yield


async def _linger(serving: host.Host) -> None:
    """A finished run stays up while consoles look at it, and for a moment for one that is about to."""
    quiet = 0.0
    while quiet < 2.0:
        await asyncio.sleep(0.25)
        quiet = 0.0 if serving.consoles else quiet + 0.25


# --- signing ---------------------------------------------------------------------------------------------------------


class SshSigner:
    """Signs in this process, where the person's agent is: by a private key, or by the .pub of one in the agent."""

    def __init__(self, key: Path) -> None:
        self._key = key.expanduser()

    async def sign(self, message: bytes, namespace: str) -> str | None:
        return await asyncio.to_thread(signatures.sign, message, self._key, namespace)


def sign_open_approvals(
    found: runs_on_disk.RunOnDisk, people: Mapping[str, Person], person: str, key: Path
) -> list[Approval]:
    """A signed approval for every open question of this run that ``person`` may answer; for an answers file."""
    roles = people[person].roles if person in people else ()
    given = []
    for prompt in found.state.open_prompts:
        raised = prompt.raised
        role = next((mine for mine in roles if mine == raised.data.get("role")), None)
        if raised.prompt == "approve" and role is not None:
            signature = signatures.sign(signing.prompt_text(raised, "yes"), key.expanduser(), signing.NAMESPACE)
            given.append(
                Approval(
                    role=role, person=person, release=str(raised.data.get("release") or ""),
                    config_digest=str(raised.data.get("config_digest") or ""),
                    sha256=str(raised.data.get("sha256") or ""), signature=signature,
                )
            )  # fmt: skip
    return given


# --- headless --------------------------------------------------------------------------------------------------------


class AnsweringHandle(LocalHandle):
    """The headless run's handle: it may act for the people whom its answers file names, with their signatures."""

    def __init__(self, engine: Engine, actor: f.Actor, signers: Path | None) -> None:
        super().__init__(engine, actor)
        self._signers = signers

    async def submit(self, command: Command) -> Reply:
        verified = ""
        if isinstance(command, AnswerPrompt | ConfirmWaiver | ProposeWaiver) and command.signature:
            person = getattr(command, "claimed_person", "") or getattr(command, "claimed_approver", "")
            if self._signers is None:
                return Refused("The answers file has signatures, but [policy] names no allowed_signers.")
            checked = host.verify_signature(self._engine, command, person or self.person, self._signers)
            if isinstance(checked, Refused):
                return checked
            verified = checked
        return self._engine.submit(command, self._actor, verified)


async def run_headless(
    chosen: Config, run_id: str, answers: Answers, tell: Callable[[LogLine], None], *, resume: bool, seconds: float = 0
) -> headless.Outcome:
    """A run in this process, answered from a file; consoles may watch it meanwhile."""
    heard = await _heard(chosen)
    async with (
        _publishing(chosen),
        engine_for(chosen, run_id, resume=resume) as engine,
        _listening(engine, chosen, heard),
    ):
        serving = host.Host(engine, _signers(chosen))
        await serving.listen(rendezvous.socket_path(run_id, chosen), chosen.host.group)
        actor = f.Actor(person=rendezvous.person_of(os.getuid(), chosen.people), uid=os.getuid(), console="headless")
        handle = AnsweringHandle(engine, actor, _signers(chosen))
        loop = asyncio.get_running_loop()
        caught: list[int] = []

        def stop(number: int) -> None:
            caught.append(number)
            engine.stop(signal.Signals(number).name)

        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, stop, number)
        carried_out = asyncio.create_task(engine.run())
        following = asyncio.create_task(headless.follow(handle, answers, tell, seconds))
        try:
            await asyncio.wait({carried_out, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                await asyncio.wait({following}, timeout=2)
            engine.stop("headless run ended")
            outcome = await following
            await carried_out
        finally:
            for task in (carried_out, following):
                if not task.done():
                    task.cancel()
            with contextlib.suppress(JournalError):
                engine.record(f.HostStopped(reason=outcome.why if following.done() and not caught else "signal"))
            await serving.close("the headless run ended")
        if caught:
            return replace(outcome, code=128 + caught[0], why=f"stopped by {signal.Signals(caught[0]).name}")
        return outcome


# --- one step alone --------------------------------------------------------------------------------------------------


async def capture_baseline(chosen: Config, output: Path) -> tuple[Step, str]:
    """1.3 outside any run; answers the step and what became of ``output``.

    What stood there is kept beside it, and stays where it is when there is nothing to put in its place.
    """
    found, evidence = await _one_step(chosen, "1.3", None)
    measured = evidence.pop(baselines.NAME, None)
    sampled = any(row["n"] for row in found.data.get("kpis", ()))
    if measured is None or (output.exists() and (found.verdict is Verdict.ERROR or not sampled)):
        return found, f"not written: {output}; nothing was measured that could take its place"
    kept = baselines.put(output, measured, evidence)
    said = (f"written: {output}", f"what stood there is kept as {kept}" if kept else "", unselected(chosen))
    return found, "; ".join(text for text in said if text)


async def run_one_step(chosen: Config, step: str, answers: Answers | None) -> Step:
    """Carry out one step outside any run, in a scratch folder.

    A question that ``answers`` does not answer ends it: the step's own criteria then say what is missing.
    """
    found, _ = await _one_step(chosen, step, answers)
    return found


async def _one_step(chosen: Config, step: str, answers: Answers | None) -> tuple[Step, dict[str, bytes]]:
    """The step and the evidence that it wrote, by name."""
    with tempfile.TemporaryDirectory(prefix="ray-tui-") as scratch:
        clock = Clock()
        places = Places.of(chosen, "scratch")
        places = replace(places, run=Path(scratch), store=Path(scratch) / "store", manual=Path(scratch))
        written, _ = journal.Journal.open(Path(scratch) / "journal.jsonl")
        async with open_ports(chosen, clock) as ports:
            engine = Engine(
                journal=written, state=RunState(), config=chosen, ports=ports, places=places, inputs=Inputs(chosen),
                clock=clock,
            )  # fmt: skip
            engine.record(_opened(chosen, "scratch", clock), f.StepStarted(step=step))
            me = rendezvous.person_of(os.getuid(), chosen.people)
            actor = f.Actor(person=me, uid=os.getuid(), console="headless")
            handle = AnsweringHandle(engine, actor, _signers(chosen))
            performing = asyncio.create_task(engine._perform(step))
            following = asyncio.create_task(headless.follow(handle, answers or Answers(), lambda line: None, 0))
            await asyncio.wait({performing, following}, return_when=asyncio.FIRST_COMPLETED)
            if not performing.done():
                performing.cancel()
            engine.stop("one step")
            with contextlib.suppress(asyncio.CancelledError):
                await performing
            outcome = await following
            context = EngineContext(engine, step, 1, False)
            evidence = {name: data for name in engine.state.evidence if (data := context.evidence(name)) is not None}
            written.close()
        found = engine.state.steps[step]
        if found.verdict is None:
            found.verdict, found.summary = Verdict.INCONCLUSIVE, outcome.why
        return found, evidence


# --- replay ----------------------------------------------------------------------------------------------------------


def open_replay(target: Path, *, playing: bool = True) -> Replay:
    """A journal, a run folder or a package, to be watched. Raises RayError when it is not as it was written."""
    path = _readable(target)
    tape = [] if path.suffix == ".zip" else read_tape(path.with_name("tape.jsonl"))
    return Replay(replay_entries(path), tape, playing=playing)


def replay_entries(target: Path) -> list[f.Entry]:
    """Every entry of a journal, a run folder or a package."""
    path = _readable(target)
    if path.suffix == ".zip":
        return _entries_of_package(path)
    return [line.entry for line in journal.read(path, tail=True)]


def _readable(target: Path) -> Path:
    """A pipe would be waited for without end."""
    path = target / "journal.jsonl" if target.is_dir() else target
    if not path.is_file():
        raise InputError(f"{path}: no such journal or package. `ray-tui runs` lists the runs.")
    return path


def _entries_of_package(path: Path) -> list[f.Entry]:
    from ray_tui import chain
    from ray_tui.evidence import verify

    files = verify.open_package(path)
    if "journal.jsonl" not in files:
        raise InputError(f"{path}: holds no journal.jsonl; is it a MONITORING-PACKAGE.zip?")
    head, entries = chain.GENESIS, []
    for number, raw in enumerate(files["journal.jsonl"].splitlines(), 1):
        try:
            head, body = chain.open_line(head, raw)
            entries.append(f.entry_from_json(json.loads(body)))
        except (ValueError, KeyError) as exc:
            raise TamperError("journal.chain", f"{path}!journal.jsonl:{number}: {exc}") from exc
    return entries
