"""Phase 1 on the screen: which service is seen by which signal, and how the release behaves against its past."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, crop
from ray_tui.tui.panes import baseline
from ray_tui.tui.panes.actions import action_rows, blank
from ray_tui.tui.table import Cells, Column, table
from ray_tui.tui.view import VERDICT_STYLES, View, mapping, mappings

SIGNALS = (("metrics", "met"), ("logs", "log"), ("traces", "trc"), ("synthetics", "syn"))
COMPACT = 2
"""Services that are listed where a pane has few rows; the unseen ones are always among them."""


def rows(view: View, width: int) -> list[Row]:
    """What is wrong comes first: degraded figures stand above a coverage that misses nothing."""
    data = mapping(view.step("1.2").data)
    seen, figures = _matrix(view, data, width), baseline.rows(view, width)
    calm = all(_verdict(cell) in (None, Verdict.PASSED) for cell in mappings(data.get("cells")))
    below = [*figures, *seen] if calm and baseline.degraded(view) else [*seen, *figures]
    return [*action_rows(view, 1, width), *below]


def _matrix(view: View, data: Mapping[str, Any], width: int) -> list[Row]:
    services, cells = mappings(data.get("services")), mappings(data.get("cells"))
    if not cells:
        return []
    names = [str(s.get("name", "")) for s in services] or list(dict.fromkeys(str(c.get("service", "")) for c in cells))
    about = {str(s.get("name", "")): s for s in services}
    grid = {(str(c.get("service", "")), str(c.get("signal", ""))): c for c in cells}
    names.sort(key=lambda name: (not _bad(grid, name), *_rank(mapping(about.get(name))), name))
    ratio = mapping(data.get("completeness"))
    share = f"{ratio.get('passing', '?')}/{ratio.get('required', '?')} seen" if ratio else ""
    signals = (Column(short, 3) for _, short in SIGNALS)
    shape = (Column("service", 14), Column("", 12), *signals, Column(share, 10, drop=1))
    found: list[tuple[Cells, str]] = []
    unseen = sum(_bad(grid, name) for name in names)
    shown = names if view.roomy else names[: max(COMPACT, unseen)]
    for name in shown:
        service = mapping(about.get(name))
        tags = ("crit " if service.get("critical") else "") + ("changed" if _changed(service) else "")
        marks = [_mark(grid.get((name, signal))) for signal, _ in SIGNALS]
        oldest = max((_age(cell) for (service_name, _), cell in grid.items() if service_name == name), default=0.0)
        age: Span = (f"{oldest:.0f}s old" if oldest else "", "dim")
        style = "strong" if _bad(grid, name) else ""
        found.append(([(name, style), (tags, "dim"), *marks, age], f"service:{name}"))
    head, listed = table(shape, found, width)
    out = [blank(), head, *listed]
    if len(shown) < len(names):
        more = f"… {len(names) - len(shown)} more, all seen; z shows them"
        out.append(Row(crop(((more, "dim"),), width)))
    return out


def _changed(service: Mapping[str, Any]) -> bool:
    return bool(service.get("changed") or service.get("modified") or service.get("new"))


def _rank(service: Mapping[str, Any]) -> tuple[bool, bool]:
    """Before the others come those that the release has changed, the critical ones first."""
    return not _changed(service), not service.get("critical")


def _age(cell: Mapping[str, Any]) -> float:
    age = cell.get("age_seconds")
    return float(age) if isinstance(age, int | float) and age == age else 0.0


def _bad(grid: Mapping[tuple[str, str], Mapping[str, Any]], name: str) -> bool:
    return any(_verdict(grid.get((name, s))) not in (None, Verdict.PASSED) for s, _ in SIGNALS)


def _verdict(cell: Mapping[str, Any] | None) -> Verdict | None:
    try:
        return Verdict(str(cell["verdict"])) if cell and cell.get("verdict") else None
    except ValueError:
        return Verdict.ERROR


def _mark(cell: Mapping[str, Any] | None) -> Span:
    verdict = _verdict(cell)
    return (" –", "dim") if verdict is None else (f" {GLYPHS[verdict]}", VERDICT_STYLES[verdict])
