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
    """Why something is blocked, in one line: what was measured, with everything of which the same was measured."""
    told: dict[tuple[str, str], list[Criterion]] = {}
    for one in criteria:
        if not one.verdict.lets_go_on:
            told.setdefault((one.id.partition(":")[0], one.actual), []).append(one)
    said = [f"{_of_all(alike)}: {actual}" for (_, actual), alike in told.items()]
    return "; ".join(said) if said else "nothing was judged"


def _of_all(alike: Sequence[Criterion]) -> str:
    """One title for criteria that differ only in their subject, which stands behind the colon of the id."""
    title, subject = alike[0].title, alike[0].id.partition(":")[2]
    if len(alike) == 1:
        return title
    subjects = [one.id.partition(":")[2] for one in alike]
    if not subject or [one.title for one in alike] != [title.replace(subject, other) for other in subjects]:
        return "; ".join(one.title for one in alike)
    return title.replace(subject, f"{', '.join(subjects[:-1])} and {subjects[-1]}")


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
