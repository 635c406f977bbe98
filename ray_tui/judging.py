"""Judging without a run: gates over an evidence folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui import gates
from ray_tui.clock import Clock
from ray_tui.core import announcements, plan
from ray_tui.core.policy import Thresholds
from ray_tui.core.state import Step
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.evidence import gate_inputs


@dataclass(frozen=True)
class Judged:
    """One gate or step, judged."""

    id: str
    title: str
    verdict: Verdict
    criteria: tuple[Criterion, ...]
    block: str = ""

    @classmethod
    def of_step(cls, step: str, found: Step) -> "Judged":
        return cls(step, plan.title(step), found.verdict or Verdict.INCONCLUSIVE, found.criteria, found.summary)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "verdict": self.verdict.value,
            "criteria": [criterion.to_json() for criterion in self.criteria],
        }

    def to_text(self) -> str:
        lines = [f"{self.verdict.glyph} {self.title}: {self.verdict.value}"]
        lines += [f"  {c.verdict.glyph} {c.title}: {c.actual}" for c in self.criteria]
        if self.block and not self.verdict.lets_go_on:
            lines.append(self.block)
        return "\n".join(lines)


def thresholds(configured: Thresholds | None, **changed: float) -> Thresholds:
    """The configured ones, or else the defaults, with some changed; ValidationError where one is out of range."""
    return Thresholds.model_validate({**(configured or Thresholds()).model_dump(), **changed})


def judge_all(evidence: Path, thresholds: Thresholds | None) -> list[Judged]:
    """All four gates; never runs anything and never pages."""
    return [judge_one(gate.key, evidence, thresholds or Thresholds()) for gate in plan.GATES]


def judge_one(key: str, evidence: Path, thresholds: Thresholds) -> Judged:
    """One gate."""
    gate = plan.gate(key)
    inputs, unreadable = gate_inputs.load(evidence)
    criteria = gates.judge(key, inputs, thresholds, Clock().wall())
    broken = tuple(
        Criterion(id=f"{gate.id}.unreadable:{name}", title=f"{name} readable", verdict=Verdict.ERROR, actual=why)
        for name, why in unreadable.items()
        if name in gate.evidence or name == "waivers.json"
    )
    criteria = (*criteria, *broken)
    verdict = worst(criteria)
    block = "" if verdict.lets_go_on else announcements.gate_failed(gate, announcements.not_passed(criteria))
    return Judged(gate.id, gate.title, verdict, criteria, block)


def exit_code(judged: Sequence[Judged]) -> int:
    """0 all let go on, 1 one failed, 3 the blocking verdict is inconclusive or error."""
    blocking = [one.verdict for one in judged if not one.verdict.lets_go_on]
    if not blocking:
        return 0 if judged else 3
    return 1 if Verdict.FAILED in blocking else 3
