"""What can be taken away from a row: its text, its query, and the command line that asks the same elsewhere. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any

from ray_tui.core import plan
from ray_tui.tui.view import View, mapping, mappings

PLACES = {"metrics": "$PROMETHEUS_URL", "logs": "$LOKI_URL", "traces": "$TEMPO_URL", "alerting": "$ALERTMANAGER_URL"}
"""Stand for the addresses: a console knows no backend."""
GATE_COMMANDS = {1: "instrumentation", 2: "alerts", 3: "assurance", 4: "handoff"}
Copy = tuple[str, str]
"""(what it is, the text)."""


def copies(view: View, target: str) -> list[Copy]:
    """Everything that a row's target can be copied as, the most specific first; empty where only its text can be."""
    kind, _, rest = target.partition(":")
    match kind:
        case "service":
            cells = [c for c in mappings(mapping(view.step("1.2").data).get("cells")) if c.get("service") == rest]
            return [copy for cell in cells for copy in _of_cell(cell)]
        case "probe":
            return _of_probe(view, rest)
        case "data":
            return _of_datum(view, rest)
        case "step":
            return _of_step(rest)
        case "entry":
            return [("journal line", f"sed -n {int(rest)}p journal.jsonl"),
                    ("replay from here", f"ray-tui replay {run_id(view)}   # then  :{rest}")]  # fmt: skip
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


def _of_datum(view: View, path: str) -> list[Copy]:
    try:
        found = mapping(view.datum(path))
    except LookupError:
        return []
    out: list[Copy] = []
    if isinstance(found.get("expr"), str) and found["expr"]:
        out += [("query", found["expr"]), *promql("query", found["expr"])]
    for panel in mappings(found.get("panels")):
        for query in mappings(panel.get("queries")):
            if isinstance(query.get("expr"), str) and query["expr"]:
                out += [(f"{panel.get('title', 'panel')}: query", query["expr"]),
                        *promql(str(panel.get("title", "panel")), query["expr"])]  # fmt: skip
    if found.get("kind") == "rules":
        out.append(("promtool: check", f"promtool check rules {shlex.quote(str(found.get('name', '')))}"))
    out += [(key, str(found[key])) for key in ("url", "link", "path", "sha256", "diff") if found.get(key)]
    return out


def _of_step(name: str) -> list[Copy]:
    if name.startswith("gate."):
        return [("ray-tui: judge it offline", f"ray-tui gate {GATE_COMMANDS[plan.gate(name).number]} --json")]
    if name == plan.PREREQUISITES:
        return [("ray-tui: check alone", "ray-tui prerequisites --json")]
    if name == "1.3":
        return [("ray-tui: measure alone", "ray-tui baseline --output baseline-metrics.json")]
    return []
