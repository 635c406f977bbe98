"""Which decisions are one decision: criteria that fail for one cause, waivers that were asked for together. Pure."""

from collections.abc import Iterable, Sequence

from ray_tui.core.facts import WaiverProposed
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion

TOGETHER_SECONDS = 120.0
"""Waivers of one reason whose expiries lie closer than so were asked for in one breath."""


def cause(criterion: Criterion) -> str:
    """Criteria of one check (``alert_paths.ack:*``) with one verdict have one cause, as have those that measured the
    same, word for word."""
    check, of, _ = criterion.id.partition(":")
    return f"{check}: {criterion.verdict}" if of else " ".join(criterion.actual.casefold().split()) or criterion.id


def by_cause(criteria: Iterable[Criterion]) -> list[tuple[Criterion, ...]]:
    """The criteria in groups of one cause each, in the order of their first; alone where nothing else is like it."""
    groups: dict[str, list[Criterion]] = {}
    for criterion in criteria:
        groups.setdefault(cause(criterion), []).append(criterion)
    return [tuple(group) for group in groups.values()]


def asked(state: RunState, step: str) -> dict[str, WaiverProposed]:
    """Criterion -> the open waiver that is asked of it at this step."""
    return {waiver.criterion: waiver for waiver in state.proposed.values() if waiver.step == step}


def asked_together(state: RunState) -> list[tuple[WaiverProposed, ...]]:
    """The open waivers in groups: one person, one step, one reason, one expiry."""
    groups: list[list[WaiverProposed]] = []
    for waiver in state.proposed.values():
        fitting = next((group for group in groups if _like(group[0], waiver)), None)
        if fitting is None:
            groups.append([waiver])
        else:
            fitting.append(waiver)
    return [tuple(group) for group in groups]


def _like(one: WaiverProposed, other: WaiverProposed) -> bool:
    same = (one.operator, one.step, one.reason, one.ticket) == (other.operator, other.step, other.reason, other.ticket)
    return same and abs(one.expires_at - other.expires_at) < TOGETHER_SECONDS


def group_of(state: RunState, waiver_id: str) -> tuple[WaiverProposed, ...]:
    """The waivers that are decided with this one; empty where it is open no more."""
    return next((group for group in asked_together(state) if any(w.id == waiver_id for w in group)), ())


def named(waivers: Sequence[WaiverProposed]) -> str:
    """``waiver W1 of coverage.x`` or ``5 waivers (W1, W2, …)``."""
    if len(waivers) == 1:
        return f"waiver {waivers[0].id} of {waivers[0].criterion}"
    return f"{len(waivers)} waivers ({', '.join(waiver.id for waiver in waivers)})"
