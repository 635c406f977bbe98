"""How the release behaves against its past: each figure now, its shift, its chart against the normal band."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from ray_tui.core.readings import Gauge
from ray_tui.core.untrusted import cell_width
from ray_tui.core.value import Value
from ray_tui.tui import charts
from ray_tui.tui.charts import Band, Points
from ray_tui.tui.lines import Line, Row, Span, columns, crop, fit, width_of
from ray_tui.tui.panes.actions import blank, heading
from ray_tui.tui.view import View, mapping, mappings, released_at, wall

FINDINGS = {"ok": ("✓ ok", "good"), "degraded": ("✗ degraded", "bad"), "insufficient": ("? too few", "warn"),
            "none-prior": ("– no past", "dim")}  # fmt: skip
ORDER = ("degraded", "insufficient", "ok", "none-prior")
SHORT_KPIS = {"request_rate": "rate", "throughput": "rate", "error_ratio": "errors", "latency_p50": "p50",
              "latency_p99": "p99", "queue_lag": "lag"}  # fmt: skip
CARD_WIDTH, CARD_HEIGHT = 90, 5
"""From which width on the figure that matters most is shown large, and how many rows its chart has."""
MOST_LIVE = 64


class Figure(Value):
    """One KPI as it is drawn."""

    service: str
    name: str
    unit: str
    now: object
    prior: object
    finding: str
    points: Points
    band: Band
    target: str = ""

    @property
    def before(self) -> float | None:
        return float(self.prior) if isinstance(self.prior, int | float) else None

    @property
    def moved(self) -> str:
        """Of the two figures that stand beside it; what was judged is the shift of all samples, told with the why."""
        if self.before is None or not isinstance(self.now, int | float) or not isfinite(self.now):
            return "–"
        if not self.before:
            return "new" if self.now else "0%"
        return shift(self.now / self.before - 1)


def rows(view: View, width: int) -> list[Row]:
    """The table, worst first; the first figure stands out above it, as large as the pane allows."""
    figures = figures_of(view)
    live = _only_live(view, figures)
    if not figures and not live:
        return []
    released = released_at(view)
    clock = wall(released)[:5] if released else ""
    widths = _widths(width)
    out = [blank()]
    if figures:
        card = _card if view.roomy and width >= CARD_WIDTH else _small_card
        out += [Row(line, figures[0].target) for line in card(figures[0], width, released, clock)]
    if widths[5]:
        out.append(Row(crop(charts.legend(released, clock), width)))
    out.append(heading("baseline", "kpi", "now", "prior", "Δ", "", "finding" if widths[-1] > 1 else "", widths=widths))
    return out + [Row(_row(figure, widths, released), figure.target) for figure in (*figures, *live)]


def degraded(view: View) -> bool:
    """Whether a figure was judged to be worse than it may be."""
    return any(one.finding == "degraded" for one in figures_of(view))


def figures_of(view: View) -> list[Figure]:
    """Every KPI of 1.3, the worst first. A live value that is newer than the measurement stands in its place."""
    data = mapping(view.step("1.3").data)
    found = [figure_of(view, data, index, kpi) for index, kpi in enumerate(mappings(data.get("kpis")))]
    return sorted(found, key=lambda one: ORDER.index(one.finding) if one.finding in ORDER else len(ORDER))


def figure_of(view: View, data: Mapping[str, Any], index: int, kpi: Mapping[str, Any]) -> Figure:
    name = str(kpi.get("kpi", ""))
    short = SHORT_KPIS.get(name, name)
    service, prior, now = str(kpi.get("service", "")), kpi.get("prior"), kpi.get("now")
    window = mapping(data.get("window"))
    end, step = _number(window.get("end")), _number(window.get("step")) or 30.0
    gauge = view.gauges.series.get(f"{service}/{short}")
    if gauge is not None and gauge.points and gauge.points[-1][0] > end + 1:
        now = gauge.points[-1][1]
    return Figure(service, short, str(kpi.get("unit") or ""), now, prior, str(kpi.get("finding") or "·"),
                  charts.points_of(gauge, _samples(kpi), end, step), charts.band_of(prior, kpi.get("allowed")),
                  f"data:1.3/kpis/{index}")  # fmt: skip


def _only_live(view: View, known: list[Figure]) -> list[Figure]:
    """Series that are no KPI of 1.3."""
    taken = {f"{one.service}/{one.name}" for one in known}
    found: list[tuple[str, Gauge]] = sorted(view.gauges.series.items())[:MOST_LIVE]
    return [
        Figure(*series.partition("/")[::2], gauge.unit, gauge.points[-1][1], None, "live", gauge.points, None)
        for series, gauge in found
        if series not in taken and gauge.points
    ]


def _widths(width: int) -> tuple[int, ...]:
    """Service, KPI, now, prior, shift, chart, finding. The prior goes first, then the word of the finding."""
    name = max(8, min(15, width // 5))
    prior = -10 if width >= 78 else 0
    finding = 10 if width >= 56 else 1
    fixed = name + 6 + 10 + abs(prior) + 5 + finding + (6 if prior else 5)
    return (name, 6, -10, prior, -5, max(0, min(36, width - fixed)), finding)


def _row(figure: Figure, widths: tuple[int, ...], released: float) -> Line:
    word, style = FINDINGS.get(figure.finding, (figure.finding, "dim"))
    drawn = charts.spark(figure.points, widths[5], figure.band, figure.before, released)
    pad = widths[5] - width_of(drawn)
    left = columns(
        [figure.service, figure.name, (charts.value_text(figure.now, figure.unit), "strong"),
         (charts.value_text(figure.prior, figure.unit), "dim"), (figure.moved, style)], widths[:5],
    )  # fmt: skip
    chart: Line = (*drawn, (" " * (pad + 1), "")) if widths[5] else ()
    return (*left, *chart, (fit(word, widths[6]) if widths[6] > 1 else word[:1], style))


def _card(figure: Figure, width: int, released: float, clock: str) -> list[Line]:
    """The figure in large digits, and its chart with the normal band and the release."""
    word, style = FINDINGS.get(figure.finding, (figure.finding, "dim"))
    digits = charts.large(charts.value_text(figure.now, figure.unit))
    said = f"{figure.service} {figure.name}  {word}"
    room = max(24, len(digits[0]) + 2, min(40, cell_width(said) + 1))
    left: list[Span] = [(said, style), *((row, "strong") for row in digits), (against(figure), style)]
    right = charts.panel(figure.points, width - room - 1, CARD_HEIGHT, figure.band, figure.unit, released)
    out: list[Line] = []
    for n in range(CARD_HEIGHT):
        text, of = left[n] if n < len(left) else ("", "")
        out.append(crop(((fit(text, room), of), (" ", ""), *(right[n] if n < len(right) else ())), width))
    legend = charts.panel_legend(figure.points, figure.band, figure.unit, released, clock)
    return [*out, charts.under(legend, room + 13, width), ()]


def _small_card(figure: Figure, width: int, released: float, clock: str) -> list[Line]:
    """Two rows: the figure now beside its name and finding; its shift beside its chart."""
    word, style = FINDINGS.get(figure.finding, (figure.finding, "dim"))
    digits, _, unit = charts.value_text(figure.now, figure.unit).partition(" ")
    now = f" {' '.join(digits)} {unit} " if unit else f" {' '.join(digits)} "
    badge = f"badge-{style}" if style in ("good", "bad", "warn") else "badge-dim"
    head: Line = ((now, badge), (f"  {figure.service} {figure.name}  ", "strong"), (word, style))
    said = f"{against(figure)}  "
    drawn = charts.spark(figure.points, min(48, width - cell_width(said)), figure.band, figure.before, released)
    return [crop(head, width), crop(((said, style), *drawn), width)]


def _samples(kpi: Mapping[str, Any]) -> list[float]:
    found = kpi.get("samples")
    return [float(v) for v in found if isinstance(v, int | float)] if isinstance(found, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


def against(figure: Figure) -> str:
    """``+7% vs 38.4 before``: the shift, and what it is a shift from."""
    if figure.before is None:
        return "no past to compare with"
    return f"{figure.moved} vs {charts.value_text(figure.prior, figure.unit)} before"


def shift(relative: float) -> str:
    """``+4%``, ``+3×``."""
    if relative >= 2:
        return f"+{relative + 1:.0f}×" if relative < 1e6 else "?"
    percent = round(relative * 100)
    return f"{percent:+d}%" if percent else "0%"
