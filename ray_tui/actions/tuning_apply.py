"""An accepted threshold in the rule file, loaded and read back; the old one again where that fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ray_tui.actions import tuning
from ray_tui.core.errors import BackendError
from ray_tui.step import Context

READ_BACK_TRIES = 15


@dataclass(frozen=True)
class Applied:
    """Whether the acceptance stands, and in which state: applied, left to the owner, or why it failed."""

    ok: bool
    state: str


async def change_rule(context: Context, slug: str, owner: str, proposal: Mapping[str, Any]) -> Applied:
    """Change the rule where its file is at hand; else it is its owner's to change. What the server loads is read back.

    After a crash what stands there is read first; the same text may be written again.
    """
    change = tuning.Change.of(proposal)
    store = context.ports.rules
    by_owner = Applied(True, f"accepted: to be applied by {owner}")
    if store is None:
        return by_owner
    file_name = await _file_of(context, change.rule)
    known = context.state.intents.get(f"{context.step}#{context.attempt}:tune-{slug}")
    try:
        before = await store.read(file_name) if file_name else None
        stands = tuning.state_in(before, change) if before is not None else "absent"
        new = before if stands == "after" else tuning.edited(before, change) if before is not None else None
    except BackendError:
        return by_owner
    if before is None or new is None:
        return by_owner
    if new == before and await _loaded_as(context, change, tries=1):
        if known is not None and known.outcome is None:
            await context.outcome(known.intended.id, "done", "found applied", reconciled=True)
        return Applied(True, "applied")
    intent = known.intended.id if known else await context.intend(
        f"{change.rule}: {proposal['change']}", store.side_effect, f"{store.name} {file_name}", name=f"tune-{slug}",
        data={"file": file_name, "rule": change.rule, "change": proposal["change"]},
    )  # fmt: skip
    try:
        if new != before:
            await store.write(file_name, new)
        await store.reload()
        problem = "" if await _loaded_as(context, change, READ_BACK_TRIES) else "the server did not load it"
    except BackendError as exc:
        problem = str(exc)
    if not problem:
        await context.outcome(intent, "done", "loaded and read back", file_name, reconciled=known is not None)
        return Applied(True, "applied")
    state = await _roll_back(context, intent, file_name, before, problem) if new != before else problem
    if new == before:
        await context.outcome(intent, "failed", problem)
    return Applied(False, f"accepted, but it could not be applied: {state}")


async def _roll_back(context: Context, intent: str, file_name: str, text_before: str, problem: str) -> str:
    store = context.ports.rules
    assert store is not None
    try:
        await store.write(file_name, text_before)
        await store.reload()
    except BackendError as exc:
        await context.outcome(intent, "failed", f"{problem}; rolling back failed: {exc}")
        return f"{problem}; the old file could not be put back: {exc}"
    await context.outcome(intent, "rolled-back", problem)
    return f"{problem}; the old rule stands again"


async def _file_of(context: Context, rule: str) -> str:
    """The rule file's name in our rule folder, from 2.1 or from what the server loaded; empty where unknown."""
    rows = context.state.steps["2.1"].data.get("alerts")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping) and row.get("name") == rule and row.get("file"):
            return PurePosixPath(str(row["file"])).name
    metrics = context.ports.metrics
    if metrics is None:
        return ""
    try:
        loaded = [one for one in await metrics.rules() if one.name == rule]
    except BackendError:
        return ""
    return PurePosixPath(loaded[0].file).name if len(loaded) == 1 else ""


async def _loaded_as(context: Context, change: tuning.Change, tries: int) -> bool:
    """Whether the server has the rule at its new setting; it needs seconds after a reload. Raises BackendError."""
    metrics = context.ports.metrics
    if metrics is None:
        return False
    for number in range(tries):
        loaded = [one for one in await metrics.rules() if one.name == change.rule and one.kind == "alerting"]
        if len(loaded) == 1 and tuning.holds(
            loaded[0].query, loaded[0].for_seconds, change.threshold_after, change.for_after
        ):
            return True
        if number + 1 < tries:
            await context.sleep(1.0)
    return False
