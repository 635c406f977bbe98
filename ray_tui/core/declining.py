"""Doing without a guideline action: a reason is enough, unless another protocol waits for its output."""

from ray_tui.core import plan
from ray_tui.core.verdicts import Criterion, Verdict


def owed(step: str) -> tuple[str, ...]:
    """The artifacts of this action that are outputs to other protocols, sorted."""
    outputs = {name for names in plan.OUTPUTS.values() for name in names}
    return tuple(sorted({artifact.name for artifact in plan.action(step).artifacts} & outputs))


def criterion(step: str, reason: str) -> Criterion:
    """What blocks when such an action is declined; a waiver covers it, bound to this very reason."""
    return Criterion(
        id=f"decline:{step}",
        title=f"{plan.action(step).title} carried out",
        verdict=Verdict.FAILED,
        actual=f"declined: {reason}",
        required=f"{', '.join(owed(step))}, an output to another protocol",
        remedy="Have a second person waive it, or carry it out after all: retry.",
    )
