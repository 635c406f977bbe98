"""How a confirmed plan is carried out: each change after its intent, read back, and all of it undone if one fails."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.actions import loaded_rules, monitoring_plan, services
from ray_tui.actions.loaded_rules import RuleFile
from ray_tui.actions.monitoring_plan import BoardFile, Current, Desired, Item
from ray_tui.config import Run
from ray_tui.core.errors import BackendBroken, BackendError, BackendRefused, NotSupported
from ray_tui.core.ports import Dashboard, Dashboards, Metrics, RuleStore
from ray_tui.core.state import Intent
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Context

LOAD_SECONDS = 15.0
"""How long a reload may take to show in what the server says is loaded."""
EVALUATION_SECONDS = 90.0
"""How long a new rule may take to be evaluated for the first time: an interval of one minute, and some."""
POLL_SECONDS = 0.25

NOT_READ = "See that the server's rule_files match what is in the folder of [rules], and that it may read it"


@dataclass(frozen=True)
class Applied:
    """How it ended. ``left`` names what could not be undone and must be set right by hand."""

    verdict: Verdict
    actual: str
    left: tuple[str, ...] = ()
    todo: str = ""
    """What would help, where that is known."""


class NotTaken(Exception):
    """The server did not take what was written, without saying no."""

    def __init__(self, what: str, todo: str = "") -> None:
        self.todo = todo
        super().__init__(what)


@dataclass
class Undo:
    """One change and how it is taken back; ``take_back`` raises BackendError or NotTaken where it cannot."""

    intent: str
    what: str
    take_back: Callable[[], Awaitable[None]]


@dataclass
class Change:
    """A plan that is being carried out."""

    context: Context
    desired: Desired
    current: Current
    undo: list[Undo] = field(default_factory=list)
    reloaded: bool = False


def tags(run: Run) -> tuple[str, ...]:
    """What the release's annotation is found by: staging and production may share one Grafana."""
    return ("release", run.release, f"environment:{run.environment}", "ray-tui")


async def apply(context: Context, desired: Desired, current: Current, items: Sequence[Item]) -> Applied:
    """Carry the plan out; after any failure everything is as it was, or ``left`` says what is not."""
    change = Change(context, desired, current)
    changed: set[tuple[str, str]] = {(item.kind, item.name) for item in items if item.action != "unchanged"}
    change.undo = _of_before_the_crash(change, changed)
    try:
        await _write_rules(change, [file for file in desired.rules if ("rules", file.name) in changed])
        for board in desired.boards:
            if ("dashboard", board.uid) in changed:
                await context.progress(f"saving dashboard {board.title}")
                await _save(change, _the(context.ports.dashboards), board)
        if any(item.kind == "annotation" and item.action == "create" for item in items):
            await _annotate(context)
    except (BackendError, NotTaken) as exc:
        left = await _roll_back(change)
        refused = isinstance(exc, BackendRefused | NotTaken)
        ending = "everything was rolled back" if not left else f"NOT rolled back: {'; '.join(left)}"
        return Applied(Verdict.FAILED if refused and not left else Verdict.ERROR, f"{exc}; {ending}", left, exc.todo)
    except asyncio.CancelledError:
        await _roll_back(change)
        raise
    return Applied(Verdict.PASSED, f"{len(changed)} changes applied and read back")


def _the(port: Any) -> Any:
    assert port is not None, "a plan without its port is refused before it is applied"
    return port


# --- rules -----------------------------------------------------------------------------------------------------------


async def _write_rules(change: Change, files: Sequence[RuleFile]) -> None:
    if not files:
        return
    context, rules = change.context, _the(change.context.ports.rules)
    for number, file in enumerate(files):
        await context.progress(f"writing {file.name}", number, len(files))
        previous = original(context, f"rules:{file.name}", change.current.rules.get(file.name))
        intent = await context.intend(
            f"write rule file {file.name}", rules.side_effect, rules.name, name=f"rules:{file.name}",
            digest=_sha(file.text),
            data={"kind": "rules", "name": file.name, "previous": previous},
        )  # fmt: skip
        change.undo.append(_undo_rules(rules, intent, file.name, previous))
        await _recorded(context, intent, rules.write(file.name, file.text))
        if await rules.read(file.name) != file.text:
            await context.outcome(intent, "failed", "what was read back is not what was written")
            raise NotTaken(f"{file.name}: what was read back is not what was written")
        await context.outcome(intent, "done", "read back")
    await context.progress("reloading the rules")
    intent = await context.intend(
        "reload the rules", rules.side_effect, rules.name, name="reload", data={"kind": "reload"}
    )
    change.reloaded = True
    await _recorded(context, intent, rules.reload())
    differing = await until_loaded(context, change.desired.rules)
    if differing:
        await context.outcome(intent, "failed", differing[0])
        said = f"after the reload, not loaded as written within {LOAD_SECONDS:g} s: {'; '.join(differing[:5])}"
        raise NotTaken(said, NOT_READ)
    await context.outcome(intent, "done", "loaded as written")


def _undo_rules(rules: RuleStore, intent: str, name: str, previous: str | None) -> Undo:
    async def take_back() -> None:
        if previous is None:
            await rules.remove(name)
        else:
            await rules.write(name, previous)
        if await rules.read(name) != previous:
            raise NotTaken(f"{name} could not be put back")

    return Undo(intent, f"rule file {name}", take_back)


async def _recorded(context: Context, intent: str, effect: Awaitable[None]) -> None:
    """Await a side effect; a failure is its outcome, and is raised."""
    try:
        await effect
    except BackendError as exc:
        await context.outcome(intent, "failed" if isinstance(exc, BackendRefused) else "unknown", str(exc))
        raise


async def until_loaded(context: Context, files: Sequence[RuleFile]) -> tuple[str, ...]:
    """Wait until the server shows these files loaded; what still differs when the time is over."""
    metrics: Metrics = _the(context.ports.metrics)
    deadline = context.now() + LOAD_SECONDS
    while True:
        try:
            differing = loaded_rules.differences(files, await metrics.rules())
        except BackendError as exc:  # it may be reloading
            differing = (str(exc),)
            if context.now() >= deadline:
                raise
        if not differing or context.now() >= deadline:
            return differing
        await context.sleep(POLL_SECONDS)


async def until_alertmanagers(context: Context) -> tuple[str, ...] | None:
    """Where alerts are sent to; None where the server cannot say. After a reload nobody is known for seconds."""
    metrics: Metrics = _the(context.ports.metrics)
    deadline = context.now() + LOAD_SECONDS
    while True:
        try:
            found = await metrics.alertmanagers()
        except NotSupported:
            return None
        if found or context.now() >= deadline:
            return found
        await context.sleep(POLL_SECONDS)


async def until_evaluated(context: Context) -> None:
    """Wait until every loaded rule was evaluated once, so that its health means something."""
    metrics: Metrics = _the(context.ports.metrics)
    deadline = context.now() + EVALUATION_SECONDS
    while context.now() < deadline:
        waiting = [rule.name for rule in await metrics.rules() if rule.health == "unknown"]
        if not waiting:
            return
        await context.progress(f"waiting for the first evaluation of {len(waiting)} rules")
        await context.sleep(4 * POLL_SECONDS)


# --- dashboards ------------------------------------------------------------------------------------------------------


async def _save(change: Change, dashboards: Dashboards, board: BoardFile) -> None:
    context, stands = change.context, change.current.boards.get(board.uid)
    version = None if stands is None else stands.version
    now = _described(stands)
    kept = original(context, f"dashboard:{board.uid}", now)
    intent = await context.intend(
        f"save dashboard {board.uid}", dashboards.side_effect, dashboards.name, name=f"dashboard:{board.uid}",
        digest=monitoring_plan.model_digest(board.model),
        data={"kind": "dashboard", "name": board.uid, "previous": kept, "expected_version": version},
    )  # fmt: skip
    folder = "" if stands is None else stands.folder_uid
    message = f"ray-tui: release {context.config.run.release}"
    try:
        saved = await dashboards.save(board.model, folder_uid=folder, message=message, expected_version=version)
    except BackendRefused as exc:
        await context.outcome(intent, "failed", str(exc))
        raise
    except BackendError as exc:
        saved = await _perhaps_saved(context, dashboards, board, version, intent, exc)
    change.undo.append(_undo_board(dashboards, intent, board, saved.version, kept))
    if not monitoring_plan.holds(monitoring_plan.comparable(saved.model), monitoring_plan.comparable(board.model)):
        await context.outcome(intent, "failed", "what was read back is not what was saved", str(saved.version))
        raise NotTaken(f"dashboard {board.uid}: what was read back is not what was saved")
    if saved.folder_uid != folder:
        await context.outcome(intent, "failed", f"it moved to folder {saved.folder_uid!r}", str(saved.version))
        raise NotTaken(f"dashboard {board.uid}: it moved from folder {folder!r} to {saved.folder_uid!r}")
    await context.outcome(intent, "done", "read back", str(saved.version))


async def _perhaps_saved(
    context: Context, dashboards: Dashboards, board: BoardFile, before: int | None, intent: str, error: BackendError
) -> Dashboard:
    """A save whose answer was lost: its version tells. Raises the error where it took no effect."""
    try:
        stored = await dashboards.get(board.uid)
    except BackendError as exc:
        await context.outcome(intent, "unknown", f"{error}; and then: {exc}")
        raise error from exc
    ours = stored is not None and stored.version != before
    if (
        stored is not None
        and ours
        and monitoring_plan.model_digest(stored.model) == monitoring_plan.model_digest(board.model)
    ):
        return stored
    await context.outcome(intent, "failed", str(error))
    raise error


def _described(stored: Dashboard | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    return {"model": dict(stored.model), "folder_uid": stored.folder_uid, "version": stored.version}


def _undo_board(
    dashboards: Dashboards, intent: str, board: BoardFile, saved_version: int, previous: Mapping[str, Any] | None
) -> Undo:
    async def take_back() -> None:
        stored = await dashboards.get(board.uid)
        if stored is None:
            if previous is None:
                return
            raise NotTaken(f"dashboard {board.uid} was deleted by somebody else")
        if stored.version != saved_version:
            raise NotTaken(f"dashboard {board.uid} was changed by somebody else (version {stored.version})")
        if previous is None:
            await dashboards.delete(board.uid)
            if await dashboards.get(board.uid) is not None:
                raise NotTaken(f"dashboard {board.uid} could not be deleted")
            return
        back = await dashboards.save(
            previous["model"], folder_uid=previous["folder_uid"], message="ray-tui: rolled back",
            expected_version=stored.version,
        )  # fmt: skip
        if not monitoring_plan.holds(
            monitoring_plan.comparable(back.model), monitoring_plan.comparable(previous["model"])
        ):
            raise NotTaken(f"dashboard {board.uid} could not be put back")

    return Undo(intent, f"dashboard {board.uid}", take_back)


async def _annotate(context: Context) -> None:
    dashboards: Dashboards = _the(context.ports.dashboards)
    run = context.config.run
    intent = await context.intend(
        f"annotate release {run.release}", dashboards.side_effect, dashboards.name, name="annotation",
        data={"kind": "annotation"},
    )  # fmt: skip
    text = annotation_text(context)
    at = services.deployed_at(context.config, context.state) or context.now()
    if await dashboards.annotations(tags(run)):  # an earlier try took effect
        await context.outcome(intent, "done", "is there already", reconciled=True)
        return
    try:
        reference = await dashboards.annotate(text, tags(run), at)
    except BackendError as exc:
        await context.outcome(intent, "failed" if isinstance(exc, BackendRefused) else "unknown", str(exc))
        raise
    if text not in await dashboards.annotations(tags(run)):
        await context.outcome(intent, "failed", "it is not found by its tags", reference)
        raise BackendBroken("dashboards", "the release annotation was accepted and is not found by its tags")
    await context.outcome(intent, "done", "found by its tags", reference)


def annotation_text(context: Context) -> str:
    run = context.config.run
    return f"Release {run.release} deployed to {run.environment}"


# --- undoing ---------------------------------------------------------------------------------------------------------


async def _roll_back(change: Change) -> tuple[str, ...]:
    """Take every change back, last first; what could not be taken back."""
    context, left = change.context, []
    await context.progress(f"rolling {len(change.undo)} changes back")
    reload_needed = change.reloaded or any(":rules:" in undo.intent for undo in change.undo)
    for undo in reversed(change.undo):
        try:
            await undo.take_back()
        except (BackendError, NotTaken) as exc:
            left.append(f"{undo.what}: {exc}")
            await context.outcome(undo.intent, "unknown", f"could not be taken back: {exc}")
        else:
            await context.outcome(undo.intent, "rolled-back")
    if reload_needed and context.ports.rules is not None:
        try:
            await context.ports.rules.reload()
        except BackendError as exc:
            left.append(f"the reload of the old rules: {exc}")
    change.undo.clear()
    return tuple(left)


# --- after a crash ---------------------------------------------------------------------------------------------------


def _mine(context: Context) -> dict[str, Intent]:
    """This attempt's intents, by name."""
    prefix = f"{context.step}#{context.attempt}:"
    return {key.removeprefix(prefix): intent for key, intent in context.state.intents.items() if key.startswith(prefix)}


def original(context: Context, name: str, now: Any) -> Any:
    """What stood there before this attempt touched it, also where a host died since."""
    earlier = _mine(context).get(name)
    if earlier is None or "previous" not in earlier.intended.data:
        return now
    if earlier.outcome is not None and earlier.outcome.outcome != "done":
        return now
    return earlier.intended.data["previous"]


def _of_before_the_crash(change: Change, changed: set[tuple[str, str]]) -> list[Undo]:
    """Changes that this attempt made before its host died and that the plan no longer shows."""
    context, found = change.context, []
    for intent in _mine(context).values():
        data, id_ = intent.intended.data, intent.intended.id
        kind, name = str(data.get("kind")), str(data.get("name"))
        if intent.outcome is None or intent.outcome.outcome != "done" or (kind, name) in changed:
            continue
        if kind == "rules":
            found.append(_undo_rules(_the(context.ports.rules), id_, name, data.get("previous")))
        stored = change.current.boards.get(name) if kind == "dashboard" else None
        board = next((board for board in change.desired.boards if board.uid == name), None)
        if stored is not None and board is not None:
            found.append(_undo_board(_the(context.ports.dashboards), id_, board, stored.version, data.get("previous")))
    return found


async def reconcile(context: Context) -> None:
    """Find out what became of intents that the last host left open, by reading back. Raises BackendError."""
    for intent in _mine(context).values():
        if intent.outcome is not None:
            continue
        outcome, detail, reference = await _found_out(context, intent)
        await context.outcome(intent.intended.id, outcome, detail, reference, reconciled=True)  # type: ignore[arg-type]


async def _found_out(context: Context, intent: Intent) -> tuple[str, str, str]:
    data, digest, ports = intent.intended.data, intent.intended.digest, context.ports
    name = str(data.get("name", ""))
    match data.get("kind"):
        case "rules" if ports.rules is not None:
            text = await ports.rules.read(name)
            if text is not None and _sha(text) == digest:
                return "done", "the file stands as it was to be written", ""
            return _untouched(text == data.get("previous"))
        case "dashboard" if ports.dashboards is not None:
            stored = await ports.dashboards.get(name)
            if stored is not None and monitoring_plan.model_digest(stored.model) == digest:
                return "done", "stored as it was to be saved", str(stored.version)
            return _untouched((None if stored is None else stored.version) == data.get("expected_version"))
        case "annotation" if ports.dashboards is not None:
            there = await ports.dashboards.annotations(tags(context.config.run))
            return ("done", "found by its tags", "") if there else ("failed", "it is not there", "")
        case "reload":
            return "unknown", "a reload leaves no trace; it is repeated where what is loaded differs", ""
        case _:
            return "unknown", "its system is not configured any more", ""


def _untouched(unchanged: bool) -> tuple[str, str, str]:
    if unchanged:
        return "failed", "it never took effect", ""
    return "unknown", "something else stands there now", ""


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
