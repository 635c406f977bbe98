"""4.3 Queue improvement actions: every gap of the run has an owner and a date, and is filed where the team works."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ray_tui.actions import telling
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Notifier, SideEffect
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import records
from ray_tui.step import Context, Header, Result


async def run(context: Context) -> Result:
    """Finalise the backlog. An entry without owner or due date blocks, and so does one that could not be filed."""
    entries = sorted(context.state.backlog.values(), key=lambda gap: gap.id)
    criteria = [_owned(entries)]
    tracker = context.ports.tracker
    if tracker is not None and criteria[0].verdict is Verdict.PASSED:
        criteria.append(await _filed(context, tracker, [gap for gap in entries if gap.status == "open"]))
    as_json, as_markdown = records.backlog(context.state)
    await context.publish("improvement-backlog.json", as_json)
    await context.publish("improvement-backlog.md", as_markdown)
    filed = f", {criteria[1].actual}" if len(criteria) > 1 else ""
    return Result(
        summary=f"{len(entries)} entries{filed}",
        criteria=tuple(criteria),
        data={"entries": [gap.to_json() for gap in sorted(context.state.backlog.values(), key=_by_id)]},
    )


def _by_id(gap: f.GapFound) -> str:
    return gap.id


def _owned(entries: list[f.GapFound]) -> Criterion:
    bare = [gap.id for gap in entries if gap.owner.strip() in ("", "unowned") or not gap.due.strip()]
    return Criterion(
        id="backlog.owned", title="Every gap has an owner and a due date",
        verdict=Verdict.FAILED if bare else Verdict.PASSED,
        actual=f"without owner or due date: {', '.join(bare)}" if bare
        else f"{len(entries)} entries, each with owner and due date",
        evidence=("improvement-backlog.json",), remedy="Name an owner for each in [owners] or [services].",
    )  # fmt: skip


async def _filed(context: Context, tracker: Notifier, entries: list[f.GapFound]) -> Criterion:
    """Each open entry once, also where an earlier attempt has filed some of them."""
    lost: list[str] = []
    unknown = False
    known = filed_in(context.state)
    for count, gap in enumerate(entries):
        if gap.id in known:
            continue
        await context.progress(f"filing {gap.id}", count, len(entries))
        told = await _file(context, tracker, _message(context.state, gap))
        if told.outcome != "done":
            unknown = unknown or told.outcome == "unknown"
            lost.append(f"{gap.id}: {told.detail}")
        elif told.reference not in gap.reference:
            reference = f"{told.reference} ({gap.reference})" if gap.reference else told.reference
            await context.record(gap.but(reference=reference))
    done = len(entries) - len(lost)
    verdict = Verdict.PASSED if not lost else Verdict.INCONCLUSIVE if unknown else Verdict.FAILED
    return Criterion(
        id="backlog.filed", title="Every open gap is filed as an issue", verdict=verdict,
        actual=f"{done} of {len(entries)} filed by {tracker.name}" + (f"; {'; '.join(lost)}" if lost else ""),
        required="an address for each, from the tracker", evidence=("improvement-backlog.json",),
        remedy="Repair [tracker], then retry: what is filed is not filed again." if lost else "",
    )  # fmt: skip


async def _file(context: Context, tracker: Notifier, message: telling.Message) -> telling.Told:
    """Where the tracker can be asked, what is open there from an earlier run is not filed again."""
    if tracker.side_effect is SideEffect.QUERY:
        try:
            there = await tracker.told(message.token, 0.0)
        except BackendError as exc:
            return telling.Told("failed", detail=str(exc))
        if there is not None:
            return telling.Told("done", there)
    return await telling.tell(context, tracker, message)


def filed_in(state: RunState) -> dict[str, str]:
    """Id of each entry that this run has filed -> where."""
    done = {
        name.partition(":")[2]: intent.outcome.reference
        for name, intent in state.intents.items()
        if intent.outcome is not None and intent.outcome.outcome == "done"
    }
    named = {gap: _name(gap) for gap in state.backlog}
    return {gap: done[name] for gap, name in named.items() if name in done}


def _name(gap_id: str) -> str:
    return f"file-{sha256(gap_id.encode()).hexdigest()[:16]}"


def _message(state: RunState, gap: f.GapFound) -> telling.Message:
    """The token is the same in every run of an environment."""
    opened = state.opened
    assert opened is not None
    token = f"ray-tui-{sha256(f'{opened.environment}/{gap.id}'.encode()).hexdigest()[:20]}"
    lines = (
        f"{token}\n", gap.title, f"\n- subject: {gap.subject or gap.id}", f"- owner: {gap.owner}", f"- due: {gap.due}",
        f"- severity: {gap.severity}", f"- found at step {gap.step} of run {opened.run_id} ({opened.release} in "
        f"{opened.environment})",
    )  # fmt: skip
    subject = f"{gap.title} ({opened.environment})"
    return telling.Message(_name(gap.id), f"file {gap.id}", subject, token, lambda at: "\n".join(lines))


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """Written by the action itself, in the same form as at the end of phase 3."""
    return {}
