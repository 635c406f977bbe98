"""What is said where the configuration file has changed under a run, or must: its host has read it once. Pure."""

import re
from collections.abc import Sequence

from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion

_NAMES_IT = re.compile(r"\[\[?[a-z][\w.]*\]|\bthe configuration\b|\bthresholds\.\w")
"""A remedy that names a table, or a key, of ours."""


def since(state: RunState) -> str:
    """That the file is not what this run uses any more; "" where it is, as far as its host has seen."""
    if not state.changed_file or state.ended:
        return ""
    return f"{state.changed_file} has changed since; this run uses what it began with."


def to_go_on(state: RunState) -> str:
    """How a run comes to use the file as it is now."""
    host, run = state.host, state.opened
    end = f"`kill {host.pid}`" if host is not None else "its end"
    again = f"`ray-tui run --resume --run {run.run_id}`" if run is not None else "`ray-tui run --resume`"
    said = f"To use it as it is now, end the run's host ({end}), then {again}."
    if state.approvals:
        said += " Approvals were given for it as it was: run the prerequisites again to have them renewed."
    return said


def of_remedies(state: RunState, blocks: Sequence[Criterion]) -> str:
    """What must follow where a remedy sends somebody to the file; "" where none does."""
    if not any(_NAMES_IT.search(one.remedy) for one in blocks):
        return ""
    return f"The configuration was read when this run's host began: a retry alone sees no change. {to_go_on(state)}"
