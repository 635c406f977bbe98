"""What people settled: which findings of the evidence are covered by a running waiver or a manual validation."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from ray_tui.core.rules import criterion_digest
from ray_tui.core.verdicts import Criterion, Verdict

FILE = "waivers.json"


class _Manual(BaseModel):
    criterion: str
    step: str
    evidence_sha256: str


class _Waiver(_Manual):
    expires_at: float


@dataclass(frozen=True)
class Settled:
    """(criterion, step, the finding's digest) of waivers that still run, and of manual validations."""

    waivers: frozenset[tuple[str, str, str]] = frozenset()
    manual: frozenset[tuple[str, str, str]] = frozenset()

    @classmethod
    def read(cls, twin: object, now: float) -> "Settled":
        """From the parsed ``waivers.json``. What cannot be read, or has run out, settles nothing."""
        body = twin.get("body") if isinstance(twin, Mapping) else None
        found: dict[str, set[tuple[str, str, str]]] = {"waivers": set(), "manual": set()}
        for kind, keys in found.items():
            rows = body.get(kind) if isinstance(body, Mapping) else None
            for row in rows if isinstance(rows, list) else []:
                try:
                    one = (_Waiver if kind == "waivers" else _Manual).model_validate(row)
                except ValidationError:
                    continue
                if not isinstance(one, _Waiver) or one.expires_at > now:
                    keys.add((one.criterion, one.step, one.evidence_sha256))
        return cls(frozenset(found["waivers"]), frozenset(found["manual"]))

    def put_off(self, one: Criterion, step: str) -> bool:
        """Waived, and bound to this very finding."""
        return not one.verdict.lets_go_on and (one.id, step, criterion_digest(one)) in self.waivers

    def covers(self, one: Criterion, step: str) -> bool:
        """Waived, or seen by a person where automation could not judge; a proven failure can only be waived."""
        unjudged = one.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)
        seen = unjudged and (one.id, step, criterion_digest(one)) in self.manual
        return seen or self.put_off(one, step)

    def at_gate(self, judged: Sequence[Criterion], gate_id: str) -> tuple[Criterion, ...]:
        """A gate's judgement, with what people waived (or saw) at the gate itself; what may not be waived is not."""
        return tuple(
            one.but(verdict=Verdict.WAIVED) if one.waivable and self.covers(one, gate_id) else one for one in judged
        )

    def recorded(self, criteria: Sequence[Criterion], step: str, judged: Set[str] = frozenset()) -> list[Criterion]:
        """What an action held against itself and is not judged anew; it cannot waive its own finding."""
        out = []
        for one in criteria:
            if one.verdict is Verdict.PASSED or one.id in judged:
                continue
            verdict = Verdict.INCONCLUSIVE if one.verdict is Verdict.WAIVED else one.verdict
            out.append(one.but(verdict=Verdict.WAIVED if self.covers(one, step) else verdict))
        return out
