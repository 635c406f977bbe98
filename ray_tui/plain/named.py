"""What a run's things are called on a line-by-line console, and which row of the full screen each name opens."""

from collections.abc import Iterator, Sequence

from ray_tui.core import plan, views
from ray_tui.tui.panes import baseline
from ray_tui.tui.view import View, mapping, mappings, newest_probes

SOME = 6
"""Names of a kind that are listed where nothing is called what was typed."""


class Unknown(Exception):
    """What was typed is no wish, or names nothing in this run; the text says what to type instead."""


def rows_named(view: View, typed: str) -> list[str]:
    """The targets of that name: several where, say, a rule was both checked and correlated. Raises Unknown."""
    wanted = " ".join(typed.casefold().split())
    gates = {word.format(gate.number): gate.id for gate in plan.GATES for word in ("gate {}", "g{}")}
    if wanted in plan.STEPS or wanted in gates:
        return [f"step:{gates.get(wanted, wanted)}"]
    if wanted.removeprefix("seq").strip().isdecimal():
        return [f"entry:{int(wanted.removeprefix('seq'))}"]
    groups = _groups(view)
    if wanted in groups:
        if groups[wanted]:
            return groups[wanted]
        raise Unknown(f"This run has no {wanted} (yet).")
    found = dict.fromkeys(target for _, name, target in _things(view) if name.casefold() == wanted)
    if found:
        return list(found)
    raise Unknown(f"Name a step (1.2), a gate (gate 2), a line (seq 17), {', '.join(groups)}, or {_known(view)}.")


def _groups(view: View) -> dict[str, list[str]]:
    """Words for everything of one kind."""
    state = view.state
    tuned = ("3.2/proposals", "3.2/decisions")
    return {
        "waivers": [f"waiver:{name}" for name in (*state.waivers, *state.proposed)],
        "rules": ["data:2.1/alerts"] if view.data("2.1").get("alerts") else [],
        "tuning": [f"data:{path}" for path in tuned if view.data("3.2").get(path.partition("/")[2])],
        "boxes": [f"box:{number}" for number, _ in enumerate(views.handoff_boxes(state, view.now))],
        "files": ["data:4.1/files"] if view.data("4.1").get("files") else [],
    }


def _things(view: View) -> Iterator[tuple[str, str, str]]:
    """(kind, name, target) of each thing of this run that has a name."""
    for name in dict.fromkeys(str(cell.get("service")) for cell in mappings(view.step("1.2").data.get("cells"))):
        yield "service", name, f"service:{name}"
    kpis = mappings(mapping(view.step("1.3").data).get("kpis"))
    for figure in baseline.figures_of(view):
        yield "KPI", f"{figure.service} {figure.name}", figure.target
    for index, kpi in enumerate(kpis):
        yield "", f"{kpi.get('service', '')} {kpi.get('kpi', '')}", f"data:1.3/kpis/{index}"
    for name, probe in newest_probes(view.state):
        yield "receiver", probe.intended.receiver, f"probe:{name}"
    for index, board in enumerate(mappings(view.data("2.1").get("dashboards"))):
        yield "dashboard", str(board.get("title", "")), f"data:2.1/dashboards/{index}"
    for index, alert in enumerate(mappings(view.data("2.1").get("alerts"))):
        yield "alert rule", str(alert.get("name", "")), f"data:2.1/alerts/{index}"
    for index, rule in enumerate(mappings(view.data("3.2").get("rules"))):
        yield "", str(rule.get("rule", "")), f"data:3.2/rules/{index}"
    for name in (*view.state.waivers, *view.state.proposed):
        yield "", name, f"waiver:{name}"


def _known(view: View) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, name, _ in _things(view):
        if kind and name not in kinds.setdefault(kind, []):
            kinds[kind].append(name)
    said = [f"a {kind} ({_some(names)})" for kind, names in kinds.items()]
    return ", ".join(said).replace("a alert", "an alert") or "what the steps will find: no service or receiver yet"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SOME]) + (f" and {len(names) - SOME} more" if len(names) > SOME else "")
