"""The literal messages of the seed, and their rendering for terminals that cannot show ™."""

from collections.abc import Iterable, Sequence

from ray_tui.core import plan
from ray_tui.core.verdicts import Criterion

PHASE_COMPLETE = "[MASTER RAY™ | PHASE 4 COMPLETE] - Monitoring package delivered. Evidence: MONITORING-PACKAGE.zip."
PROTOCOL_COMPLETE = "[MASTER RAY™ | PROTOCOL COMPLETE] Ready for Protocol 20: Incident Response & Rollback"
CONFIRMATION = (
    "[RAY CONFIRMATION REQUIRED]\n"
    '> "Monitoring instrumentation and alert validation complete.\n'
    "> - MONITORING-PACKAGE.zip\n"
    "> - monitoring-approval-record.json\n"
    ">\n"
    '> Confirm readiness to transition to Protocol 20?"'
)


def phase_start(phase: plan.Phase) -> str:
    return f"[MASTER RAY™ | PHASE {phase.number} START] - {phase.start}"


def phase_line(phase: int, text: str) -> str:
    return f"[PHASE {phase}] {text}"


def for_step(step: str) -> tuple[str, ...]:
    """What is said when a step begins: the phase's start before its first action, then the action's own line."""
    said = []
    for phase in plan.PHASES:
        for action in phase.actions:
            if action.id != step:
                continue
            if action is phase.actions[0]:
                said.append(phase_start(phase))
            if action.announces:
                said.append(phase_line(phase.number, action.announces))
    return tuple(said)


def error(step: str, explanation: str) -> str:
    explanation = explanation.rstrip(".")
    return f'[RAY ERROR] - "Failed at {step}. Reason: {explanation}. Awaiting instructions."'


def gate_failed(gate: plan.Gate, result: str) -> str:
    return (
        f"[RAY GATE FAILED: {gate.title}]\n"
        f"> \"Quality gate '{gate.title}' failed.\n"
        f"> Criteria: {gate.criteria}\n"
        f"> Actual: {result}\n"
        f'> Required action: {gate.required_action}"'
    )


def not_passed(criteria: Iterable[Criterion]) -> str:
    """Why something is blocked, in one line: each blocking criterion with what was measured."""
    said = [f"{c.title}: {c.actual}" for c in criteria if not c.verdict.lets_go_on]
    return "; ".join(said) if said else "nothing was judged"


def to_ascii(text: str) -> str:
    """For terminals that cannot show the literal characters; the journal always keeps the literal ones."""
    for symbol, plain in (
        ("™", "(TM)"),
        ("≥", ">="),
        ("≤", "<="),
        ("🚫", "(!)"),
        ("—", "-"),
        ("–", "-"),
        ("…", "..."),
    ):
        text = text.replace(symbol, plain)
    return text.encode("ascii", "replace").decode("ascii")


LITERALS: Sequence[str] = (*(phase_start(phase) for phase in plan.PHASES), PHASE_COMPLETE, PROTOCOL_COMPLETE)
