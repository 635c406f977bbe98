"""4.3 Queue improvement actions: every gap that was found in the run has an owner and a due date."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import records
from ray_tui.step import Context, Header, Result


async def run(context: Context) -> Result:
    """Finalise the backlog; an entry without owner or due date blocks."""
    entries = sorted(context.state.backlog.values(), key=lambda gap: gap.id)
    bare = [gap.id for gap in entries if gap.owner.strip() in ("", "unowned") or not gap.due.strip()]
    as_json, as_markdown = records.backlog(context.state)
    await context.publish("improvement-backlog.json", as_json)
    await context.publish("improvement-backlog.md", as_markdown)
    verdict = Verdict.FAILED if bare else Verdict.PASSED
    actual = (
        f"without owner or due date: {', '.join(bare)}"
        if bare
        else f"{len(entries)} entries, each with owner and due date"
    )
    criterion = Criterion(
        id="backlog.owned", title="Every gap has an owner and a due date", verdict=verdict, actual=actual,
        evidence=("improvement-backlog.json",), remedy="Name an owner for each in [owners] or [services].",
    )  # fmt: skip
    return Result(
        summary=f"{len(entries)} entries",
        criteria=(criterion,),
        data={"entries": [gap.model_dump(mode="json") for gap in entries]},
    )


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """Written by the action itself, in the same form as at the end of phase 3."""
    return {}
