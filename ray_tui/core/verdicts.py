"""The five verdicts, and how several become one. Fail closed: nothing judged is never a pass."""

from collections.abc import Iterable
from enum import StrEnum

from ray_tui.core.record import Record


class Verdict(StrEnum):
    """What a blocking check can say. Only PASSED and WAIVED let a run go on."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"  # could not be judged: no data, too few samples
    ERROR = "error"  # the check itself broke: 503, timeout, bad configuration
    WAIVED = "waived"

    @property
    def lets_go_on(self) -> bool:
        return self in (Verdict.PASSED, Verdict.WAIVED)

    @property
    def glyph(self) -> str:
        return GLYPHS[self]


GLYPHS = {
    Verdict.PASSED: "✓",
    Verdict.FAILED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ERROR: "!",
    Verdict.WAIVED: "w",
}
ASCII_GLYPHS = {
    Verdict.PASSED: "+",
    Verdict.FAILED: "x",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ERROR: "!",
    Verdict.WAIVED: "w",
}


class Finding(StrEnum):
    """The outcome of a comparison or a statistic. INSUFFICIENT and NONE_PRIOR never block, nor count as a pass."""

    OK = "ok"
    DEGRADED = "degraded"
    INSUFFICIENT = "insufficient"
    NONE_PRIOR = "none-prior"


# Worst first: a broken check hides whatever it should have seen, but a proven failure is the stronger news.
_WORST_FIRST = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WAIVED, Verdict.PASSED)


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a whole: its worst part. A whole without parts is inconclusive, never passed."""
    seen = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in seen), Verdict.INCONCLUSIVE)


class Criterion(Record):
    """One thing that blocks: what was required, what was measured, and which evidence says so.

    ``id`` is stable and dotted (``coverage.completeness``, ``alert_paths.ack:pd-checkout``): waivers name it.
    """

    id: str
    title: str
    verdict: Verdict
    actual: str
    required: str = ""
    evidence: tuple[str, ...] = ()
    waivable: bool = True
    remedy: str = ""


def worst(criteria: Iterable[Criterion]) -> Verdict:
    """The combined verdict of some criteria."""
    return combine(criterion.verdict for criterion in criteria)
