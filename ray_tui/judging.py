"""Judging without a run: gates over an evidence folder, and whether what lies on disk is what was written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_tui import gates, journal
from ray_tui.clock import Clock
from ray_tui.core import announcements, plan
from ray_tui.core.errors import InputError, JournalError, RayError, TamperError
from ray_tui.core.policy import Thresholds
from ray_tui.core.state import RunState, Step, apply
from ray_tui.core.verdicts import Criterion, Verdict, worst
from ray_tui.evidence import gate_inputs, text
from ray_tui.evidence import verify as packages

PACKAGE = "MONITORING-PACKAGE.zip"
MANIFEST = "monitoring-package-manifest.json"


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
            "criteria": [criterion.model_dump(mode="json") for criterion in self.criteria],
        }

    def to_text(self) -> str:
        lines = [f"{self.verdict.glyph} {self.title}: {self.verdict.value}"]
        lines += [f"  {c.verdict.glyph} {c.title}: {c.actual}" for c in self.criteria]
        if self.block and not self.verdict.lets_go_on:
            lines.append(self.block)
        return "\n".join(lines)


def judge_one(key: str, evidence: Path, **changed: float) -> Judged:
    """One gate, with the given thresholds instead of the defaults."""
    thresholds = Thresholds.model_validate({**Thresholds().model_dump(), **changed})
    return _judge(key, evidence, thresholds)


def judge_all(evidence: Path, thresholds: Thresholds | None) -> list[Judged]:
    """All four gates; never runs anything and never pages."""
    return [_judge(gate.key, evidence, thresholds or Thresholds()) for gate in plan.GATES]


def _judge(key: str, evidence: Path, thresholds: Thresholds) -> Judged:
    gate = plan.gate(key)
    inputs, unreadable = gate_inputs.load(evidence)
    criteria = gates.module_of(key).judge(inputs, thresholds, Clock().wall())
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


def verify(target: Path) -> dict[str, Any]:
    """Check a run folder, a package, or a store: ``{"ok", "cause", "checks": [{"what", "ok", "cause", "detail"}]}``."""
    if not target.exists():
        raise InputError(f"{target}: no such run, package or folder")
    checks: list[dict[str, Any]] = []
    if target.is_file() and target.suffix == ".zip":
        checks.append(_package(target, target.with_name(MANIFEST)))
    elif target.is_file():
        checks.append(_journal(target)[0])
    elif (target / "journal.jsonl").is_file():
        checks += _run(target)
    else:
        folders = sorted((target / "runs").glob("*/journal.jsonl"))
        for path in folders:
            checks += _run(path.parent)
        if (target / PACKAGE).is_file():
            checks.append(_package(target / PACKAGE, target / MANIFEST))
        if not checks:
            raise InputError(f"{target}: holds no run and no package; nothing could be verified")
    bad = [check for check in checks if not check["ok"]]
    return {"ok": not bad, "cause": bad[0]["cause"] if bad else "", "checks": checks}


def _run(folder: Path) -> list[dict[str, Any]]:
    check, state = _journal(folder / "journal.jsonl")
    checks = [check]
    if state is not None:
        for name, written in sorted(state.evidence.items()):
            checks.append(_hashed(folder / "evidence" / name, written.sha256))
        if (folder / "evidence" / PACKAGE).is_file() and (folder / "evidence" / MANIFEST).is_file():
            checks.append(_package(folder / "evidence" / PACKAGE, folder / "evidence" / MANIFEST))
    return checks


def _journal(path: Path) -> tuple[dict[str, Any], RunState | None]:
    state = RunState()
    try:
        for line in journal.read(path, tail=True):
            apply(state, line.entry)
    except TamperError as exc:
        return _check(path, exc.cause, str(exc)), None
    except JournalError as exc:
        return _check(path, "journal.unreadable", str(exc)), None
    return _check(path, "", f"{state.seq} entries, chain intact"), state


def _hashed(path: Path, expected: str) -> dict[str, Any]:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        return _check(path, "evidence.missing", f"cannot be read: {exc.strerror}")
    if actual != expected:
        return _check(path, "evidence.hash", f"is {actual[:16]}…, the journal recorded {expected[:16]}…")
    return _check(path, "", f"sha256 {actual[:16]}…")


def _package(path: Path, manifest: Path) -> dict[str, Any]:
    try:
        outer: Mapping[str, Any] = text.loads(manifest.read_bytes(), manifest.name)
    except FileNotFoundError as exc:
        # Not a sign of tampering: without the manifest nothing can be said at all.
        raise InputError(
            f"{path}: cannot be verified without {manifest.name} beside it. Bring the manifest along, "
            "and compare its hash with the approval record."
        ) from exc
    except OSError as exc:
        raise InputError(f"{manifest}: cannot be read: {exc.strerror}. Check its permissions.") from exc
    except RayError as exc:
        return _check(path, "manifest.json", str(exc))
    report = packages.verify_zip(path, outer)
    return _check(path, "" if report.ok else report.cause, "; ".join(report.details) or "intact")


def _check(path: Path, cause: str, detail: str) -> dict[str, Any]:
    return {"what": str(path), "ok": not cause, "cause": cause, "detail": detail}
