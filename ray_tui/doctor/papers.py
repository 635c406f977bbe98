"""Whether the artifacts of the protocols before this one are there, judged as the prerequisites will judge them."""

from ray_tui import prerequisites
from ray_tui.config import Config
from ray_tui.core.plan import INPUTS_REQUIRED
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Verdict
from ray_tui.doctor.finding import Finding
from ray_tui.inputs import Inputs


def look(chosen: Config) -> list[Finding]:
    """One finding a required file."""
    judged = [(name, prerequisites.paper(chosen, Inputs(chosen), name)[0]) for name in INPUTS_REQUIRED]
    return [
        Finding("input", one.verdict is Verdict.PASSED, _said(name, one.actual), one.remedy) for name, one in judged
    ]


def _said(name: str, actual: str) -> str:
    return line(actual if name in actual else f"{name}: {actual}")
