"""The questions that panes, headless runs and CI all ask of a run."""

from collections.abc import Sequence

from ray_tui.core import declining, plan
from ray_tui.core import facts as f
from ray_tui.core.rules import blocking, covered_by, effective_verdict
from ray_tui.core.state import RunState, Step
from ray_tui.core.value import Value
from ray_tui.core.verdicts import Verdict, worst

PASSED_CODE, FAILED_CODE, USAGE_CODE, INCONCLUSIVE_CODE, TAMPER_CODE, ABORTED_CODE = range(6)
"""Exit codes; 129/130/143 are by signal."""
READS_EVIDENCE = "aggregate_evidence_12.py"
"""The hook that reads all evidence again."""


def verdict_of(state: RunState, step: str, now: float) -> Verdict | None:
    """A step's verdict with waivers taken into account; None before it was judged."""
    found = state.steps[step]
    if found.verdict is None:
        return None
    return effective_verdict(state, step, found.criteria, now) if found.criteria else found.verdict


def exit_code(state: RunState) -> int:
    """0 passed, 1 failed or halted, 3 the blocking verdict is inconclusive or error, 5 aborted."""
    if state.aborted is not None:
        return ABORTED_CODE
    if state.completed is not None:
        return PASSED_CODE
    if state.halt is not None:
        left = blocking(state, state.halt.step, state.at)  # some of what had stopped it may be waived by now
        if (worst(left) if left else state.halt.verdict) in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            return INCONCLUSIVE_CODE
    return FAILED_CODE


def phase_status(state: RunState, number: int) -> tuple[str, int, int]:
    """(word, settled actions, actions) of a phase: waiting, open, running, halted, aborted (in it), done."""
    phase = plan.PHASES[number - 1]
    steps = [state.steps[action.id] for action in phase.actions]
    gate = state.steps[phase.gate.id]
    settled = sum(step.settled for step in steps)
    for word in ("halted", "running"):
        if any(step.status == word for step in (*steps, gate)):
            return (word if state.aborted is None else "aborted"), settled, len(steps)
    if settled == len(steps) and gate.settled:
        return "done", settled, len(steps)
    return ("open" if settled else "waiting"), settled, len(steps)


def glyph(step: Step, verdict: Verdict | None = None) -> str:
    """One character for a step's state; the word stands beside it."""
    if step.status == "running":
        return "▶"
    if step.status == "declined":
        return "–"
    if step.status == "waiting" or step.verdict is None:
        return "·"
    return (verdict or step.verdict).glyph


class Box(Value):
    """One of the seven handoff boxes: computed, never ticked."""

    title: str
    checked: bool
    why: str
    """What keeps it open; of a checked one, what was waived for it."""


def handoff_boxes(state: RunState, now: float) -> tuple[Box, ...]:
    """The seed's seven boxes, from the evidence."""
    must = [action for action in plan.ACTIONS if action.must]
    open_must = [a.id for a in must if not state.steps[a.id].settled]
    open_any = [a.id for a in plan.ACTIONS if not state.steps[a.id].settled]
    gates_bad = [g.title for g in plan.GATES if not _lets_go_on(verdict_of(state, g.id, now))]
    needed = [
        artifact.name
        for action in plan.ACTIONS
        for artifact in action.artifacts
        if artifact.required and action.id not in state.declined
    ]
    missing = _not_whole(state, needed)
    let_off = {name for step in state.declined for name in declining.owed(step)}
    outputs = _not_whole(state, [name for names in plan.OUTPUTS.values() for name in names if name not in let_off])
    untold = [number for number in plan.OUTPUTS if not (state.notified.get(number) and state.notified[number].ok)]
    unrun = [hook for hook in plan.HOOKS if hook not in state.hooks or not state.hooks[hook].outcome.lets_go_on]
    starts = {text for _, _, text in state.announced}
    unsaid = [phase.number for phase in plan.PHASES if not any(f"PHASE {phase.number} START" in t for t in starts)]
    prerequisites = _lets_go_on(verdict_of(state, plan.PREREQUISITES, now))
    return (
        Box(
            "All prerequisites were met",
            prerequisites,
            _waived(state, [plan.PREREQUISITES], now) if prerequisites else "prerequisites not met",
        ),
        Box(
            "All workflow steps completed successfully",
            not open_must and not open_any,
            _open(open_must or open_any) or _waived(state, [action.id for action in plan.ACTIONS], now),
        ),
        Box(
            "All quality gates passed (or waivers documented)",
            not gates_bad,
            _open(gates_bad) or _waived(state, [gate.id for gate in plan.GATES], now),
        ),
        Box("All evidence artifacts captured and stored", not missing, _open(missing)),
        Box("All integration outputs generated", not outputs and not untold, _open(outputs + untold)),
        Box("All automation hooks executed successfully", not unrun, _open(unrun)),
        Box("Communication log complete", not unsaid, _open([f"phase {n}" for n in unsaid])),
    )


def _not_whole(state: RunState, names: Sequence[str]) -> list[str]:
    """Those that were never written, or that were found wrong when the evidence was last read again; with the why."""
    read = state.hooks.get(READS_EVIDENCE)
    wrong = read.wrong if read is not None else {}
    return [
        f"{name} ({wrong[name]})" if name in wrong else name
        for name in names
        if name not in state.evidence or name in wrong
    ]


def _lets_go_on(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.lets_go_on


def _waived(state: RunState, steps: Sequence[str], now: float) -> str:
    """What goes on by a waiver is no pass: it is named beside the tick."""
    off = [step for step in steps if verdict_of(state, step, now) is Verdict.WAIVED]
    return f"with waivers: {', '.join(plan.title(step) for step in off)}" if off else ""


def _open(names: list[str]) -> str:
    return f"open: {', '.join(names)}" if names else ""


class QualityMetric(Value):
    """One row of the seed's quality metrics: a measured figure against its target."""

    name: str
    target: str
    actual: str
    met: bool


class Checks(Value):
    """Checks of Gate 2 as they were judged last, of one run or of several."""

    passed: int = 0
    judged: int = 0
    runs: int = 0

    @classmethod
    def of(cls, states: Sequence[RunState]) -> "Checks":
        """A run in which Gate 2 was never judged counts for nothing."""
        judged = [checks for state in states if (checks := state.steps["gate.alert_validation"].criteria)]
        passed = sum(check.verdict is Verdict.PASSED for checks in judged for check in checks)
        return cls(passed, sum(map(len, judged)), len(judged))


def quality_metrics(state: RunState, earlier: Checks | None = None) -> tuple[QualityMetric, ...]:
    """Gate 2 pass rate, evidence completeness, integration integrity. Waived checks do not count as passed."""
    checks = Checks.of([state])
    gate_2 = _rate("Gate 2 Pass Rate", checks.passed, checks.judged, 0.95)
    if earlier is not None and earlier.judged:
        runs = f"{earlier.runs} earlier run{'s' * (earlier.runs != 1)}"
        share = f"{earlier.passed / earlier.judged:.0%} ({earlier.passed} of {earlier.judged})"
        gate_2 = gate_2.but(actual=f"{gate_2.actual}; {share} in {runs}")
    needed = [a.name for action in plan.ACTIONS for a in action.artifacts if a.required]
    outputs = [name for names in plan.OUTPUTS.values() for name in names]
    return (
        gate_2,
        _rate("Evidence Completeness", len(needed) - len(_not_whole(state, needed)), len(needed), 1.0),
        _rate("Integration Integrity", len(outputs) - len(_not_whole(state, outputs)), len(outputs), 1.0),
    )


def _rate(name: str, part: int, whole: int, target: float) -> QualityMetric:
    sign = "≥ " if target < 1 else ""
    if not whole:
        return QualityMetric(name, f"{sign}{target:.0%}", "nothing was judged", False)
    return QualityMetric(name, f"{sign}{target:.0%}", f"{part / whole:.0%} ({part} of {whole})", part / whole >= target)


def validated_for_completion(state: RunState, now: float) -> tuple[Verdict, str]:
    """The seed's [CRITICAL] line: whether rules, dashboards and runbooks were validated on live telemetry, in words."""
    left, put_off = [], []
    for step in ("2.1", "2.2", "2.3"):
        verdict = None if step in state.declined else verdict_of(state, step, now)
        if not _lets_go_on(verdict):
            left.append(f"{step} (declined)" if step in state.declined else step)
        elif verdict is Verdict.WAIVED:
            put_off += [
                f"{step} {criterion.id} ({covered_by(state, step, criterion, now) or 'waived'})"
                for criterion in state.steps[step].criteria
                if criterion.verdict is not Verdict.PASSED
            ]
    if left:
        return Verdict.FAILED, f"not validated: {', '.join(left)}"
    if put_off:
        return Verdict.WAIVED, f"not measured, but waived or seen by a person: {', '.join(put_off)}"
    return Verdict.PASSED, "validated in this run"


def probes_of(state: RunState, attempt: int | None = None) -> list[str]:
    """Ids of this run's probes, in the order in which they were fired; all, or of one attempt of 2.2."""
    wanted = f"-a{attempt}-" if attempt is not None else ""
    return [probe_id for probe_id in state.probes if wanted in probe_id]


def who_must_act(state: RunState) -> tuple[f.PromptRaised, ...]:
    """Open questions, oldest first."""
    return tuple(prompt.raised for prompt in state.open_prompts)
