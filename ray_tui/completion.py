"""The end of a run: seven computed boxes, eight hooks' outcomes, and the confirmation that blocks the transition."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from ray_tui import runs_on_disk
from ray_tui.clock import iso
from ray_tui.core import announcements, plan, views
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.evidence import records, sound, text, writer
from ray_tui.step import Ask, Context, Header, Result

EARLIER_RUNS = 20
"""So many of the newest count for the pass rate across runs."""
NEXT_FILE = plan.NEXT_PROTOCOL.removeprefix("@apply ")


async def run(context: Context) -> Result:
    """Compute the boxes, ask, and say the last lines. Nothing is executed: the next command is shown."""
    await _run_hooks(context)
    metrics = views.quality_metrics(context.state, await asyncio.to_thread(_earlier, context))
    criteria = [_critical_block(context), *_boxes(context)]
    if all(criterion.verdict.lets_go_on for criterion in criteria):
        criteria.append(await _confirmation(context))
    result = Result(
        summary=_summary(criteria),
        criteria=tuple(criteria),
        data={
            "boxes": _table(context),
            "metrics": [structs.asdict(row) for row in metrics],
            "wrong": context.state.hooks[views.READS_EVIDENCE].wrong,
            "next": plan.NEXT_PROTOCOL,
        },
    )
    if result.verdict.lets_go_on:
        await _close(context, metrics)
    return result


async def _run_hooks(context: Context) -> None:
    """A hook's work was a step or a gate of this run, whose verdict now is its outcome, or is done here."""
    now = context.now()
    state = context.state
    steps = {"validate_prerequisites_12.py": plan.PREREQUISITES, "collect_perf.py": "1.3"}
    for hook, step in (*steps.items(), *((gate.hook, gate.id) for gate in plan.GATES)):
        verdict = views.verdict_of(state, step, now)
        outcome = verdict or (Verdict.WAIVED if step in state.declined else Verdict.INCONCLUSIVE)
        if (judged := state.hooks.get(hook)) is None or judged.outcome is not outcome:  # a halt may have been waived
            await context.record(f.HookRan(hook=hook, outcome=outcome, detail=state.steps[step].summary))
    made = {name: written.step for name, written in sorted(state.evidence.items())}
    listed = [state.evidence[name].to_json() for name in sorted(made)]
    for row in listed:
        del row["renderer"]
    await context.publish(
        "evidence-index.json", records.twin("evidence-index.json", state, context.step, {"files": listed})
    )
    await context.record(_read_again(context))
    verdicts = {gate.title: views.verdict_of(state, gate.id, now) for gate in plan.GATES}
    bad = [title for title, verdict in verdicts.items() if verdict is None or not verdict.lets_go_on]
    outcome = Verdict.FAILED if bad else Verdict.PASSED
    detail = f"not passed: {', '.join(bad)}" if bad else f"{len(verdicts)} gates"
    await context.record(f.HookRan(hook="run_protocol_12_gates.py", outcome=outcome, detail=detail))


def _read_again(context: Context) -> f.HookRan:
    """Every file of evidence read again: what is gone, changed or of another form is named."""
    opened, evidence = context.state.opened, context.state.evidence
    assert opened is not None
    found = {name: sound.problem(written, context.evidence(name), opened) for name, written in sorted(evidence.items())}
    wrong = {name: why for name, why in found.items() if why}
    return f.HookRan(
        hook=views.READS_EVIDENCE, outcome=Verdict.FAILED if wrong else Verdict.PASSED, wrong=wrong,
        detail="; ".join(f"{name} is {why}" for name, why in wrong.items())
        or f"{len(found)} files, each with the hash it was written with",
    )  # fmt: skip


def _earlier(context: Context) -> views.Checks:
    """Gate 2 in the runs before this one, the newest of those whose journals can be read."""
    opened = context.state.opened
    assert opened is not None
    before = [run for run in runs_on_disk.runs(context.config.store) if run.run_id != opened.run_id]
    return views.Checks.of([run.state for run in before[:EARLIER_RUNS] if run.broken is None])


def _critical_block(context: Context) -> Criterion:
    """The seed's [CRITICAL] line. It cannot be waived itself; what was waived below it is named, and is no pass."""
    verdict, actual = views.validated_for_completion(context.state, context.now())
    return Criterion(
        id="completion.critical",
        title="Rules, dashboards and runbooks validated on live telemetry",
        verdict=verdict,
        actual=actual,
        required=plan.CRITICAL,
        waivable=False,
        remedy="Run the steps that are named, one that was declined too: retry it by its number.",
    )


def _boxes(context: Context) -> list[Criterion]:
    return [
        Criterion(
            id=f"completion.box{number}",
            title=box.title,
            verdict=Verdict.PASSED if box.checked else Verdict.FAILED,
            actual="yes" if box.checked else box.why,
            waivable=False,
            remedy="Repair what is named, then retry.",
        )
        for number, box in enumerate(views.handoff_boxes(context.state, context.now()), 1)
    ]


async def _confirmation(context: Context) -> Criterion:
    answer = await context.ask(
        Ask(
            "transition",
            "confirm",
            "Confirm readiness to transition to Protocol 20?",
            announcements.CONFIRMATION,
            data={"next": plan.NEXT_PROTOCOL},
        )
    )
    yes = answer.answer == "yes"
    return Criterion(
        id="completion.confirmed",
        title="Readiness to transition confirmed",
        verdict=Verdict.PASSED if yes else Verdict.FAILED,
        actual=f"{answer.person} answered {answer.answer}" + (f": {answer.reason}" if answer.reason else ""),
        waivable=False,
        remedy="Retry when you are ready.",
    )


async def _close(context: Context, metrics: Sequence[views.QualityMetric]) -> None:
    if not (context.config.root / NEXT_FILE).is_file():
        await context.record(
            f.NoteAdded(text=f"{NEXT_FILE} is not in this repository: the next protocol's command is only shown.")
        )
    said = (announcements.PHASE_COMPLETE, announcements.PROTOCOL_COMPLETE, plan.NEXT_PROTOCOL)
    already = {text for _, _, text in context.state.announced}
    await context.record(*(f.Announced(text=line, step=context.step) for line in said if line not in already))
    await context.publish("communication-log.jsonl", records.communication_log(context.state))
    kit = context.config.root / plan.CONTEXT_KIT
    writer.publish(kit, "monitoring-summary.md", context_summary(context, metrics))
    boxes = {box.title: box.checked for box in views.handoff_boxes(context.state, context.now())}
    await context.record(f.RunCompleted(boxes=boxes, next_command=plan.NEXT_PROTOCOL))


def _table(context: Context) -> list[Mapping[str, Any]]:
    return [
        {"title": box.title, "checked": box.checked, "why": box.why}
        for box in views.handoff_boxes(context.state, context.now())
    ]


def _summary(criteria: list[Criterion]) -> str:
    open_ = [criterion.title for criterion in criteria if not criterion.verdict.lets_go_on]
    return f"open: {'; '.join(open_)}" if open_ else "ready for Protocol 20"


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """The completion's words are announcements and the context summary; there is no artifact of its own."""
    return {}


def context_summary(context: Context, metrics: Sequence[views.QualityMetric]) -> bytes:
    """The summary for ``.cursor/context-kit/``: what the next protocol's reader needs first."""
    state = context.state
    opened = state.opened
    assert opened is not None
    now = context.now()
    gates = [
        [
            gate.title,
            (views.verdict_of(state, gate.id, now) or Verdict.INCONCLUSIVE).value,
            state.steps[gate.id].summary,
        ]
        for gate in plan.GATES
    ]
    artifacts = [
        [artifact.name, artifact.location, artifact.purpose, ", ".join(artifact.consumers),
         state.evidence[artifact.name].sha256[:16] if artifact.name in state.evidence else "missing"]
        for action in plan.ACTIONS for artifact in action.artifacts
    ]  # fmt: skip
    return "\n\n".join(
        [
            f"# Monitoring of {text.cell(opened.release)} in {text.cell(opened.environment)}",
            f"Run {text.cell(opened.run_id)}, {iso(now)}.",
            text.table(["Gate", "Verdict", "Measured"], gates),
            text.table(
                ["Metric", "Target", "Actual", "Status"],
                [[m.name, m.target, m.actual, "✅" if m.met else "❌"] for m in metrics],
            ),
            text.table(["Artifact", "Location", "Purpose", "Consumer", "sha256"], artifacts),
            f"Next: `{plan.NEXT_PROTOCOL}`",
        ]
    ).encode()
