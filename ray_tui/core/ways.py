"""What a person may do about a halt, and what each of the ways can be about. Pure."""

from typing import Literal

from ray_tui.core import rules
from ray_tui.core.state import RunState
from ray_tui.core.together import asked
from ray_tui.core.verdicts import Criterion, Verdict

Way = Literal["retry", "manual", "waive", "decline", "abort"]


def failing(state: RunState, step: str, now: float) -> tuple[Criterion, ...]:
    """What blocks a step now."""
    return rules.blocking(state, step, now) if step in state.steps else ()


def waivable(state: RunState, step: str, now: float) -> tuple[Criterion, ...]:
    """What a waiver can be asked for, and is not asked for already."""
    open_ = asked(state, step)
    return tuple(c for c in failing(state, step, now) if c.waivable and c.id not in open_)


def unjudged(state: RunState, step: str, now: float) -> tuple[Criterion, ...]:
    """What a person may have seen where automation could not judge; never a proven failure."""
    found = (c for c in failing(state, step, now) if c.waivable)
    return tuple(c for c in found if c.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR))


def ways(state: RunState, step: str, now: float) -> tuple[Way, ...]:
    """The ways on from a halt at this step, the safe one first."""
    offered: list[tuple[Way, bool]] = [
        ("retry", True),
        ("manual", bool(unjudged(state, step, now))),
        ("waive", bool(waivable(state, step, now))),
        ("decline", step not in state.declined and not rules.not_declinable(step)),
        ("abort", True),
    ]
    return tuple(way for way, there in offered if there)
