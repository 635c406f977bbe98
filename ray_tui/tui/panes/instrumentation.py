"""Phase 1 on the screen: which service is seen by which signal, and how the release behaves against its past."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core.readings import Gauges
from ray_tui.core.verdicts import GLYPHS, Verdict
from ray_tui.tui.lines import Row, Span, columns, number, sparkline
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import VERDICT_STYLES, View, mapping, mappings

SIGNALS = (("metrics", "met"), ("logs", "log"), ("traces", "trc"), ("synthetics", "syn"))
COMPACT = 8
"""Services that are listed in the overview; the unseen ones are always among them."""
FINDINGS = {"ok": ("ok", "good"), "degraded": ("degraded", "bad"), "insufficient": ("too few", "warn"),
            "none-prior": ("no past", "dim")}  # fmt: skip
SHORT_KPIS = {"request_rate": "rate", "throughput": "rate", "error_ratio": "errors", "latency_p50": "p50",
              "latency_p99": "p99", "queue_lag": "lag"}  # fmt: skip


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 1, width)
    out += _matrix(view, mapping(view.step("1.2").data), width)
    out += _baseline(mapping(view.step("1.3").data), view.gauges, width)
    return out


def _matrix(view: View, data: Mapping[str, Any], width: int) -> list[Row]:
    services, cells = mappings(data.get("services")), mappings(data.get("cells"))
    if not cells:
        return []
    names = [str(s.get("name", "")) for s in services] or list(dict.fromkeys(str(c.get("service", "")) for c in cells))
    about = {str(s.get("name", "")): s for s in services}
    grid = {(str(c.get("service", "")), str(c.get("signal", ""))): c for c in cells}
    names.sort(key=lambda name: (not _bad(grid, name), not mapping(about.get(name)).get("critical"), name))
    name_width = max(10, min(22, width - 34))
    widths = (name_width, 12, *(3 for _ in SIGNALS), 12 if width >= 60 else 0)
    ratio = mapping(data.get("completeness"))
    share = f"{ratio.get('passing', '?')}/{ratio.get('required', '?')} seen" if ratio else ""
    out = [blank(), heading("service", "", *(short for _, short in SIGNALS), share, widths=widths)]
    unseen = sum(_bad(grid, name) for name in names)
    shown = names if view.roomy else names[: max(COMPACT, unseen)]
    for name in shown:
        service = mapping(about.get(name))
        tags = "crit " if service.get("critical") else ""
        tags += "changed" if service.get("changed") or service.get("modified") or service.get("new") else ""
        marks = [_mark(grid.get((name, signal))) for signal, _ in SIGNALS]
        oldest = max((_age(cell) for (service_name, _), cell in grid.items() if service_name == name), default=0.0)
        age: Span = (f"{oldest:.0f}s old" if oldest else "", "dim")
        style = "strong" if _bad(grid, name) else ""
        out.append(Row(columns([(name, style), (tags, "dim"), *marks, age], widths), f"service:{name}"))
    if len(shown) < len(names):
        more = f"… {len(names) - len(shown)} more, all seen; z shows them"
        out.append(Row(((more, "dim"),)))
    return out


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


def _baseline(data: Mapping[str, Any], gauges: Gauges, width: int) -> list[Row]:
    kpis = mappings(data.get("kpis"))
    spark = max(0, min(30, width - 54)) if width >= 58 else 0
    name = max(8, min(18, width - 43 - spark))
    widths = (name, 6, -8, -8, -5, spark, 8)
    shown = [(index, kpi, _short(kpi)) for index, kpi in enumerate(kpis)]
    out: list[Row] = []
    for index, kpi, short in sorted(shown, key=lambda item: _worst_first(item[1])):
        series = f"{kpi.get('service', '')}/{short}"
        word, style = FINDINGS.get(str(kpi.get("finding", "")), (str(kpi.get("finding") or "·"), "dim"))
        unit = str(kpi.get("unit") or "")
        cells: list[Span | str] = [str(kpi.get("service", "")), short,
                 (number(kpi.get("now"), unit), "strong"),
                 (number(kpi.get("prior"), unit), "dim"), (_shift(kpi.get("relative")), style),
                 (_spark(gauges, series, spark) or sparkline(_samples(kpi), spark), "say"), (word, style)]  # fmt: skip
        out.append(Row(columns(cells, widths), f"data:1.3/kpis/{index}"))
    known = {f"{kpi.get('service', '')}/{short}" for _, kpi, short in shown}
    for series, gauge in sorted(gauges.series.items())[:64]:
        if series in known or not gauge.points:
            continue
        service, _, kpi_name = series.partition("/")
        cells = [service, kpi_name, (number(gauge.points[-1][1], gauge.unit), "strong"), ("live", "dim"), ("", ""),
                 (_spark(gauges, series, spark), "say"), ("", "")]  # fmt: skip
        out.append(Row(columns(cells, widths)))
    if out:
        out[:0] = [blank(), heading("baseline", "kpi", "now", "prior", "Δ", "", "finding", widths=widths)]
    return out


def _short(kpi: Mapping[str, Any]) -> str:
    """As the live series calls it."""
    name = str(kpi.get("kpi", ""))
    return SHORT_KPIS.get(name, name)


def _worst_first(kpi: Mapping[str, Any]) -> int:
    return (
        ("degraded", "insufficient", "ok", "none-prior").index(str(kpi.get("finding")))
        if kpi.get("finding") in FINDINGS
        else 4
    )


def _samples(kpi: Mapping[str, Any]) -> list[float]:
    found = kpi.get("samples")
    return [float(v) for v in found if isinstance(v, int | float)] if isinstance(found, list) else []


def _spark(gauges: Gauges, series: str, width: int) -> str:
    gauge = gauges.series.get(series)
    return sparkline([value for _, value in gauge.points], width) if gauge and width else ""


def _shift(relative: object) -> str:
    if not isinstance(relative, int | float) or relative != relative:
        return "–"
    if relative >= 2:
        return f"+{relative + 1:.0f}×" if relative < 1e6 else "?"
    return f"{relative * 100:+.0f}%"
