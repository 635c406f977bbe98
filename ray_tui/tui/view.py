"""Everything that a pane paints from, at one moment: the run's state, live values, and who is looking."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ray_tui.core import facts as f
from ray_tui.core import plan, rules, views
from ray_tui.core.handle import Link, Transport
from ray_tui.core.readings import Gauges
from ray_tui.core.state import Probe, Prompt, RunState, Step
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.lines import Span, clock_text, short_seconds

NAMES = {
    "prerequisites": "Prerequisites", "1.1": "Review deployment", "1.2": "Coverage", "1.3": "Baseline",
    "2.1": "Dashboards, alerts", "2.2": "Alert paths", "2.3": "Runbooks", "3.1": "Schedule", "3.2": "Correlate",
    "3.3": "Scorecard", "4.1": "Package", "4.2": "Approval", "4.3": "Backlog", "completion": "Completion",
}  # fmt: skip
SHORT_PHASES = ("Instrumentation", "Alert validation", "Assurance", "Handoff")
VERDICT_STYLES = {
    Verdict.PASSED: "good", Verdict.FAILED: "bad", Verdict.INCONCLUSIVE: "warn", Verdict.ERROR: "bad",
    Verdict.WAIVED: "warn",
}  # fmt: skip


@dataclass
class View:
    """One look at the run. ``now`` is the replay's time in a replay."""

    state: RunState = field(default_factory=RunState)
    gauges: Gauges = field(default_factory=Gauges)
    now: float = 0.0
    person: str = ""
    console: str = ""
    read_only: bool = False
    roles: tuple[str, ...] = ()
    link: Link = Link.LIVE
    transport: Transport | None = None
    roomy: bool = False
    """The pane has the screen for itself."""

    @property
    def drives(self) -> bool:
        if self.read_only or self.transport is not None:
            return False
        return rules.drives(self.state, f.Actor(person=self.person, console=self.console))

    @property
    def demo(self) -> bool:
        return self.state.opened is not None and self.state.opened.demo

    def step(self, name: str) -> Step:
        return self.state.steps.get(name) or Step()

    def verdict(self, name: str) -> Verdict | None:
        return views.verdict_of(self.state, name, self.now) if name in self.state.steps else None

    def may_answer(self, prompt: f.PromptRaised) -> bool:
        """Whether the question should open here by itself; the host has the last word."""
        if self.read_only or self.transport is not None:
            return False
        if not prompt.roles or self.demo:
            return self.drives
        return bool(set(prompt.roles) & set(self.roles))

    def mark(self, name: str) -> Span:
        """A step's glyph and style."""
        step = self.step(name)
        verdict = self.verdict(name)
        glyph = views.glyph(step, verdict)
        if step.status == "running":
            return glyph, "run"
        if step.status in ("waiting", "declined") or verdict is None:
            return glyph, "dim"
        return glyph, VERDICT_STYLES[verdict]

    def phase_mark(self, number: int) -> Span:
        word, _, _ = views.phase_status(self.state, number)
        if word == "halted":
            return "✗", "bad"
        if word == "running":
            return "▶", "run"
        return ("✓", "good") if word == "done" else ("·", "dim")


def name_of(step: str) -> str:
    """A step's short name: ``2.2 Alert paths``, ``Gate 2``."""
    if step.startswith("gate."):
        return f"Gate {plan.gate(step).number}"
    short = NAMES.get(step, step)
    return f"{step} {short}" if step[:1].isdigit() else short


def wall(at: float) -> str:
    """``12:04:31`` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def day(at: float | None) -> str:
    """``2026-11-22`` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") if at else "–"


def mappings(value: Any) -> list[dict[str, Any]]:
    """The dicts of a list from a step's data; anything else is left out, so that a pane never crashes on a shape."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, Sequence) else []


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def pending(probe: Probe) -> bool:
    """Whether this probe is still waited for."""
    if probe.cleared is not None or any(problem.blocks for problem in probe.problems):
        return False
    return ("t6" if probe.intended.purpose == "acknowledge" else "t7") not in probe.hops


def ack_deadlines(state: RunState) -> list[tuple[float, Probe]]:
    """(unix time, probe) of every acknowledgement that is still waited for, soonest first."""
    waiting = [
        (probe.intended.starts_at + probe.intended.sla_seconds, probe)
        for probe in state.probes.values()
        if probe.intended.purpose == "acknowledge" and probe.intended.sla_seconds > 0 and pending(probe)
    ]
    return sorted(waiting, key=lambda pair: pair[0])


_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")


def measured(view: View, gate: plan.Gate) -> str:
    """A judged gate in a few cells: how much of it fails, or the figure that it is about."""
    step = view.step(gate.id)
    if step.verdict is None:
        return ""
    stopping = sum(not rules.effective(view.state, gate.id, c, view.now).lets_go_on for c in step.criteria)
    if stopping:
        return f"{stopping} of {len(step.criteria)}"
    if gate.key == "alert_validation":
        slowest = slowest_ack(view.state)
        if slowest is not None:
            return f"ack {short_seconds(slowest)}"
    found = _PERCENT.search(step.summary)
    if found is not None:
        return f"{float(found.group(1)):g}%"
    return f"{len(step.criteria)}/{len(step.criteria)}" if step.criteria else ""


def slowest_ack(state: RunState) -> float | None:
    """Seconds of the slowest acknowledgement of the newest probes; None where nobody has acknowledged."""
    took = [probe.hops["t6"].latest - probe.intended.starts_at for probe in state.probes.values() if "t6" in probe.hops]
    return max(took) if took else None


def asks_whom(prompt: Prompt, state: RunState) -> str:
    return " or ".join(prompt.raised.roles) or state.driver or "the driver"


def waits_for(view: View, prompt: f.PromptRaised) -> tuple[Span, ...]:
    """Who must answer, as this console's person reads it."""
    roles = " or ".join(prompt.roles)
    if view.may_answer(prompt):
        return (("you must answer", "warn"), (f" as {roles}: " if roles else ": ", "dim"))
    whom = roles or view.state.driver or "the driver"
    return ((f"waits for {whom}: ", "warn"),)


def badge(view: View) -> Span:
    """Is the release watched? In one word."""
    state = view.state
    if state.aborted is not None:
        return "✗ ABORTED", "bad"
    if state.completed is not None:
        return "✓ WATCHED", "good"
    if state.halt is not None:
        return "✗ HALTED", "bad"
    if state.open_prompts:
        mine = any(view.may_answer(prompt.raised) for prompt in state.open_prompts)
        return ("? YOUR ANSWER", "warn") if mine else ("? WAITS", "warn")
    return ("▶ RUNNING", "run") if state.running() else ("· NOT YET", "dim")


def next_line(view: View) -> tuple[Span, ...]:
    """Who must act, on what, and how long is left."""
    state = view.state
    if state.aborted is not None:
        return (("aborted: ", "bad"), (state.aborted.reason, ""))
    if state.completed is not None:
        return (("protocol complete ", "good"), (state.completed.next_command, "dim"))
    second = _second_person(view)
    if state.halt is not None:
        if second:
            return second
        who = "you" if view.drives else state.driver or "anyone"
        return ((f"{who} must decide", "bad"), (f" on {name_of(state.halt.step)}: {state.halt.reason}", ""))
    deadlines = ack_deadlines(state)
    if deadlines:
        at, probe = deadlines[0]
        left = at - view.now
        said = f"ack {probe.intended.receiver} by {wall(at)}Z"
        return ((said, "strong"), (f"  {clock_text(left)} left", "bad" if left < 60 else "warn"))
    if state.open_prompts:
        prompt = state.open_prompts[0]
        return (*waits_for(view, prompt.raised), (prompt.raised.title, ""))
    if second:
        return second
    running = state.running()
    if running is not None:
        step = state.steps[running]
        count = f" {step.done}/{step.total}" if step.done is not None and step.total else ""
        return ((f"{name_of(running)}{count}", "run"), (f"  {step.progress}", "dim"))
    return (("·  waiting", "dim"),)


def _second_person(view: View) -> tuple[Span, ...]:
    """Who must confirm the oldest waiver that is proposed; empty where none is."""
    waiver = next(iter(view.state.proposed.values()), None)
    if waiver is None:
        return ()
    mine = may_confirm(view, waiver.operator)
    whom = "you must confirm: " if mine else f"waits for a second person than {waiver.operator}: "
    return ((whom, "warn"), (f"waiver {waiver.id} of {waiver.criterion}", ""))


def may_confirm(view: View, operator: str) -> bool:
    """Whether this console's person can be the second of a waiver; the host has the last word."""
    if view.read_only or view.transport is not None:
        return False
    if view.demo:
        return view.drives
    return bool(view.roles) and operator != view.person
