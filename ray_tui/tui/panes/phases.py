"""Which pane shows which phase, and what one of its rows says in full: nothing cut, and no mark of who looks at it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_tui.core.verdicts import Verdict
from ray_tui.tui import charts
from ray_tui.tui.lines import Row, short_seconds
from ray_tui.tui.panes import alerts, assurance, handoff, instrumentation
from ray_tui.tui.panes.baseline import FINDINGS, Figure, against, figures_of
from ray_tui.tui.panes.waterfall import HOP_NAMES, problem_words
from ray_tui.tui.view import View, mapping, mappings, name_of, wall

Paint = Callable[[View, int], Sequence[Row]]
PHASES: tuple[Paint, ...] = (instrumentation.rows, alerts.rows, assurance.rows, handoff.rows)
UNCUT = 4_000
"""Columns in which no row has to give anything up."""


def said(view: View, target: str) -> str:
    """What the row of this target says, on one line; empty where there is no such row."""
    kind, _, rest = target.partition(":")
    match kind:
        case "entry":
            return _entry(view, int(rest))
        case "probe":
            return _probe(view, rest)
        case "service":
            return _service(view, rest)
        case "data" if rest.startswith("1.3/"):
            return next((_figure(figure) for figure in figures_of(view) if figure.target == target), "")
    whole = view.but(looks=(), roomy=True)
    rows = (row for paint in PHASES for row in paint(whole, UNCUT) if row.target == target)
    row = next(rows, None)
    text = " ".join("".join(text for text, _ in row.line).split()) if row else ""
    return _named(rest, text) if kind == "step" else text


def _named(step: str, text: str) -> str:
    """A step's name beside who looks at it may be shortened; here it is whole."""
    name = name_of(step)
    return text if name in text else f"{name}: {text}"


def _figure(figure: Figure) -> str:
    """``37.7 req/s frontend rate ok, +1% vs 37.3 req/s before``."""
    word = FINDINGS.get(figure.finding, (f"· {figure.finding}", ""))[0].partition(" ")[2]
    past = f", {against(figure)}" if figure.before is not None else ""
    return f"{charts.value_text(figure.now, figure.unit)} {figure.service} {figure.name} {word}{past}"


def cells_of(view: View, service: str) -> list[Mapping[str, Any]]:
    """What 1.2 found of a service, signal by signal."""
    cells = mappings(mapping(view.step("1.2").data).get("cells"))
    return [cell for cell in cells if cell.get("service") == service]


def cell_said(cell: Mapping[str, Any]) -> str:
    """``metrics passed, newest sample 8.0s old``."""
    try:
        word = Verdict(str(cell.get("verdict"))).value
    except ValueError:
        return f"{cell.get('signal', '')} not needed"
    why, age = str(cell.get("why") or ""), cell.get("age_seconds")
    told = why or (f"newest sample {short_seconds(age)} old" if isinstance(age, int | float) and age == age else "")
    return f"{cell.get('signal', '')} {word}{', ' if told else ''}{told}"


def _service(view: View, name: str) -> str:
    return f"{name}: " + "; ".join(map(cell_said, cells_of(view, name)))


def _probe(view: View, name: str) -> str:
    probe = view.state.probes.get(name)
    if probe is None:
        return ""
    fired = probe.intended.starts_at
    hops = [f"{HOP_NAMES[hop]}{f' by {seen.who}' * bool(seen.who)} after {short_seconds(seen.latest - fired)}"
            for hop, seen in sorted(probe.hops.items()) if hop in HOP_NAMES and hop != "t0"]  # fmt: skip
    wrong = [problem_words(problem, probe) for problem in probe.problems]
    told = "; ".join([", ".join(hops) or "nothing seen", *wrong])
    return f"{probe.intended.receiver} ({probe.intended.purpose}), fired {wall(fired)}Z: {told}"


def _entry(view: View, seq: int) -> str:
    line = next((line for line in view.state.log if line.seq == seq), None)
    if line is None:
        return ""
    return f"{wall(line.at)}Z  {line.signed}"
