"""What can be taken away from a row: its text, its query, and the command line that asks the same elsewhere. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any

from ray_tui.core import plan
from ray_tui.tui.panes.phases import cell_said, cells_of
from ray_tui.tui.places import Places
from ray_tui.tui.view import View, mapping, mappings

PLACES = {"metrics": "$PROMETHEUS_URL", "logs": "$LOKI_URL", "traces": "$TEMPO_URL", "alerting": "$ALERTMANAGER_URL"}
"""Stand for the addresses: a console knows no backend."""
NOWHERE = Places()
GATE_COMMANDS = {1: "instrumentation", 2: "alerts", 3: "assurance", 4: "handoff"}
Copy = tuple[str, str]
"""(what it is, the text)."""


def copies(view: View, target: str, places: Places = NOWHERE) -> list[Copy]:
    """Everything that a row's target can be copied as, the most specific first; empty where only its text can be."""
    kind, _, rest = target.partition(":")
    match kind:
        case "service":
            cells = cells_of(view, rest)
            return [*(copy for cell in cells for copy in _of_cell(cell)),
                    *((f"{cell.get('signal', '')}: cell", f"{rest}: {cell_said(cell)}") for cell in cells)]  # fmt: skip
        case "probe":
            return _of_probe(view, rest)
        case "data":
            return _of_datum(view, rest, places)
        case "step":
            return _of_step(rest, places)
        case "entry":
            replayed = places.command("replay", places.run or run_id(view))
            return [("journal line", places.journal_line(int(rest))),
                    ("replay from here", f"{replayed}   # then  :{rest}")]  # fmt: skip
    return []


def run_id(view: View) -> str:
    return view.state.opened.run_id if view.state.opened else ""


def _of_cell(cell: Mapping[str, Any]) -> list[Copy]:
    signal, query = str(cell.get("signal", "")), str(cell.get("query") or "")
    if not query:
        return []
    if signal in ("metrics", "synthetics"):
        return [(f"{signal}: query", query), *promql(signal, query)]
    if signal == "logs":
        place, quoted = PLACES["logs"], shlex.quote(f"query={query}")
        return [("logs: query", query), ("logs: logcli", f"logcli query --addr={place} {shlex.quote(query)}"),
                ("logs: curl", f"curl -sG {place}/loki/api/v1/query_range --data-urlencode {quoted}")]  # fmt: skip
    place, quoted = PLACES["traces"], shlex.quote(f"q={query}")
    return [(f"{signal}: query", query),
            (f"{signal}: curl", f"curl -sG {place}/api/search --data-urlencode {quoted}")]  # fmt: skip


def promql(name: str, query: str) -> list[Copy]:
    """A PromQL expression for promtool and for curl, quoted for a shell."""
    place = PLACES["metrics"]
    return [(f"{name}: promtool", f"promtool query instant {place} {shlex.quote(query)}"),
            (f"{name}: curl", f"curl -sG {place}/api/v1/query --data-urlencode {shlex.quote('query=' + query)}"),
            ]  # fmt: skip


def _of_probe(view: View, name: str) -> list[Copy]:
    probe = view.state.probes.get(name)
    if probe is None:
        return []
    labels = probe.intended.labels
    place = PLACES["alerting"]
    matchers = " ".join(shlex.quote(f"{key}={value}") for key, value in labels.items())
    filters = " ".join("--data-urlencode " + shlex.quote(f'filter={key}="{value}"') for key, value in labels.items())
    return [("amtool: is it active", f"amtool alert query --alertmanager.url={place} {matchers}"),
            ("amtool: where it goes", f"amtool config routes test --alertmanager.url={place} {matchers}"),
            ("curl: is it active", f"curl -sG {place}/api/v2/alerts {filters}"),
            ("probe id", name)]  # fmt: skip


def _of_datum(view: View, path: str, places: Places) -> list[Copy]:
    try:
        found = mapping(view.datum(path))
    except LookupError:
        return []
    out: list[Copy] = _of_kpi(found, mapping(view.data("1.3").get("window"))) if path.startswith("1.3/kpis/") else []
    if isinstance(found.get("expr"), str) and found["expr"]:
        out += [("query", found["expr"]), *promql("query", found["expr"])]
    for panel in mappings(found.get("panels")):
        for query in mappings(panel.get("queries")):
            if isinstance(query.get("expr"), str) and query["expr"]:
                out += [(f"{panel.get('title', 'panel')}: query", query["expr"]),
                        *promql(str(panel.get("title", "panel")), query["expr"])]  # fmt: skip
    if found.get("kind") == "rules":
        out.append(("promtool: check", f"promtool check rules {places.rule_file(str(found.get('name', '')))}"))
    out += [(key, str(found[key])) for key in ("url", "link", "path", "sha256", "diff") if found.get(key)]
    return out


def _of_kpi(kpi: Mapping[str, Any], window: Mapping[str, Any]) -> list[Copy]:
    """The question of 1.3, over the window that was measured."""
    query = str(kpi.get("query") or "")
    span = [window.get(key) for key in ("start", "end", "step")]
    if not query:
        return []
    if not all(isinstance(at, int | float) for at in span):
        return [("query", query), *promql("query", query)]
    start, end, step = (f"{at:.3f}" for at in span if isinstance(at, int | float))
    place, quoted = PLACES["metrics"], shlex.quote(f"query={query}")
    ranged = f"--start={start} --end={end} --step={step}s"
    return [("query", query), ("promtool", f"promtool query range {ranged} {place} {shlex.quote(query)}"),
            ("curl", f"curl -sG {place}/api/v1/query_range -d start={start} -d end={end} -d step={step} "
                     f"--data-urlencode {quoted}")]  # fmt: skip


def _of_step(name: str, places: Places) -> list[Copy]:
    if name.startswith("gate."):
        judged = places.command("gate", GATE_COMMANDS[plan.gate(name).number], "--json")
        return [("ray-tui: judge it offline", judged)]
    if name == plan.PREREQUISITES:
        return [("ray-tui: check alone", places.command("prerequisites", "--json"))]
    if name == "1.3":
        return [("ray-tui: measure alone", places.command("baseline", "--output", "baseline-metrics.json"))]
    return []
