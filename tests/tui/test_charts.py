"""Small charts: the normal band, the release, what is drawn when, and figures as Grafana prints them."""

import asyncio

import pytest

from ray_tui.core.readings import Gauge, Gauges, Reading
from ray_tui.tui import charts
from ray_tui.tui.about import about
from ray_tui.tui.lines import ASCII, width_of
from ray_tui.tui.panes import baseline
from ray_tui.tui.view import View
from tests.tui.fake_handle import T0, FakeHandle, done, mid_run, opened, until
from tests.tui.on_screen import console, shows, text_of

NAN = float("nan")


def text(line):
    return "".join(part for part, _ in line)


def steps(values, start=1000.0, step=30.0):
    return [(start + step * n, value) for n, value in enumerate(values)]


def measured(**more):
    """1.3's data for one figure, measured over half an hour that begins ten minutes after the release."""
    kpi = {"service": "checkout", "kpi": "latency_p99", "unit": "s", "now": 0.231, "prior": 0.222, "allowed": 0.05,
           "relative": 0.04, "finding": "ok", "samples": [0.2 + 0.002 * n for n in range(60)], **more}  # fmt: skip
    return {"kpis": [kpi], "window": {"start": T0, "end": T0 + 1800, "step": 30}}


def test_values_stand_against_the_band():
    """Below it, within it and above it look different, by glyph and by colour."""
    line = charts.spark(steps([5, 10, 15, 20, 25, 40]), 6, band=(10, 20))
    assert text(line) == "▂▃▅▆▇█"
    assert [style for _, style in line] == ["warn", "say", "warn"]
    assert text(charts.spark(steps([0, 15]), 6, band=(10, 20))).startswith("▂▅")


def test_without_a_band_the_values_fill_the_height():
    """No past, no band: least and greatest value are the lowest and the highest block."""
    assert text(charts.spark(steps([1, 2, 3, 4]), 4)) == "▁▃▆█"
    assert text(charts.spark(steps([7, 7]), 4)) == "▃▃  "


def test_the_release_is_marked_where_it_was():
    """Within the chart at its time; before it with the past at its left; nowhere where it is not known."""
    points = steps([10, 10, 10, 20, 20, 20])
    assert text(charts.spark(points, 6, band=(5, 15), released=1070)) == "▅▅┆▇▇▇"
    assert text(charts.spark(points, 12, band=(5, 15), before=10, released=900)).startswith("▅▅┆▅▅▅▇▇▇")
    assert text(charts.spark(points, 12, band=(5, 15), released=900)).startswith("┆▅")
    assert "┆" not in text(charts.spark(points, 12, band=(5, 15)))


@pytest.mark.parametrize("width", [0, 1, 3, 8, 20, 36])
@pytest.mark.parametrize("values", [[], [NAN], [1.0], [1, NAN, 3], list(range(500))])
def test_a_chart_never_leaves_its_place(values, width):
    """As many cells as were asked for at most, whatever the values are."""
    for released in (0.0, 900.0, 1020.0):
        assert width_of(charts.spark(steps(values), width, (1, 2), 1.5, released)) <= width


def test_a_chart_moves_only_when_a_cell_is_full():
    """New points within the newest cell leave all others as they are: that is what goes to the terminal."""
    points = steps([10 + n % 3 for n in range(100)], step=1.0)
    band = (5.0, 15.0)
    one = text(charts.spark([*points, (1100.0, 11)], 20, band))
    two = text(charts.spark([*points, (1100.0, 11), (1101.0, 14), (1104.0, 14)], 20, band))
    assert one != two
    assert sum(a != b for a, b in zip(one, two, strict=True)) <= 1


def test_a_panel_shades_the_band_marks_the_release_and_says_so():
    """Several rows: dots in the band, the release as a column, the scale with units, and a legend in words."""
    points = steps([0.2, 0.21, 0.22, 0.4, 0.41, 0.4])
    rows = charts.panel(points, 60, 7, (0.18, 0.25), "s", released=1075)
    assert text(rows[0]).strip().startswith("410 ms")
    assert text(rows[-1]).strip().startswith("180 ms")
    assert sum("┆" in text(row) for row in rows) >= 5
    assert any("·" in text(row) for row in rows)
    assert sum(text(row).count("●") for row in rows) == 6
    legend = text(charts.panel_legend(points, (0.18, 0.25), "s", 1075, "12:00"))
    assert "normal: 180 ms to 250 ms" in legend
    assert "┆ release 12:00Z" in legend
    assert "10 min earlier" in text(charts.panel_legend(points, None, "s", 400, "12:00"))
    assert text(charts.panel([], 60, 7)[0]) == "no samples"


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0.231, "s", "231 ms"), (0.0021, "percentunit", "0.210%"), (37.74, "reqps", "37.7 req/s"),
     (3 * 1024**3, "bytes", "3 GiB"), (None, "s", "–"), (NAN, "s", "?"), (True, "s", "True"), ("odd", "", "odd")],
)  # fmt: skip
def test_figures_are_printed_as_grafana_prints_them(value, unit, said):
    """One formatting for panels and for reports."""
    assert charts.value_text(value, unit) == said


def test_a_figure_in_large_digits_is_three_rows_of_ascii():
    """Readable from afar, in any terminal; the unit stands small beside it."""
    rows = charts.large("-12.5 ms")
    assert len({len(row) for row in rows}) == 1
    assert rows[2].endswith(" ms")
    assert all(row.isascii() for row in rows)


def test_the_band_is_the_past_give_or_take_what_is_allowed():
    """Never below nought for a figure that was not; none where the past is not known."""
    assert charts.band_of(10, 2.5) == (7.5, 12.5)
    assert charts.band_of(0.0, 0.005) == (0.0, 0.005)
    assert charts.band_of(None, 1) is None


def test_a_gauge_keeps_two_points_a_second():
    """A flood of readings is thinned where it is kept: the last of each half second counts."""
    gauge = Gauge()
    for n in range(1000):
        gauge.add(Reading(series="a", at=1000 + n / 100, value=n, unit="s"))
    assert len(gauge.points) == 20
    assert gauge.points[-1][1] == 999
    gauge.add(Reading(series="a", at=10.0, value=-1))
    assert gauge.points[-1][1] == 999


def test_the_table_shows_now_past_shift_chart_and_verdict():
    """With the legend that says what the signs mean; what does not fit is left out from the least needed on."""
    view = View(now=T0)
    view.state.steps["1.3"].data = measured()
    view.state.steps["1.1"].data = {"deployed_at": T0 - 600}
    for width, prior in ((100, True), (70, False), (44, False)):
        rows = [text(row.line) for row in baseline.rows(view, width)]
        row = next(row for row in rows if row.startswith("checkout"))
        assert "+4%" in row
        assert "┆" in row
        assert ("222 ms" in row) is prior
        assert "✓" in row
        assert any("┆ release" in row and "normal" in row for row in rows)
        assert all(width_of(row.line) <= width + 1 for row in baseline.rows(view, width))


@pytest.mark.parametrize(
    ("now", "prior", "moved", "said"),
    [
        (813.0, 764.0, "+6%", "+6% vs 764 before"),
        (0.363, 0.0, "new", "new vs 0 before"),
        (0.0, 0.0, "0%", "0% vs 0 before"),
        (37.7, None, "–", "no past to compare with"),
        (None, 764.0, "–", "– vs 764 before"),
    ],
)
def test_a_shift_is_of_the_two_figures_beside_it(now, prior, moved, said):
    """Whoever reads now, prior and shift in one row can compute the third."""
    figure = baseline.Figure("checkout", "p99", "", now, prior, "ok", (), None)
    assert (figure.moved, baseline.against(figure)) == (moved, said)


def test_a_live_value_stands_in_place_of_the_measured_one():
    """Newer than the measurement: now and the shift follow it, the verdict stays what was judged."""
    view = View(now=T0, gauges=Gauges())
    view.state.steps["1.3"].data = measured()
    view.gauges.add(Reading(series="checkout/p99", at=T0 + 1900, value=0.444, unit="s"))
    figure = baseline.figures_of(view)[0]
    assert figure.now == 0.444
    assert figure.moved == "+100%"
    assert figure.finding == "ok"
    view.gauges = Gauges()
    view.gauges.add(Reading(series="checkout/p99", at=T0 + 1800, value=0.3, unit="s"))
    assert baseline.figures_of(view)[0].now == 0.231


def test_the_detail_of_a_figure_is_in_its_unit_and_its_legend_is_whole_at_80_columns():
    """All of its values as Grafana would print them: nobody compares 0.05 with 231 ms at night."""
    view = View(now=T0)
    view.state.steps["1.1"].data = {"deployed_at": T0 - 600}
    view.state.steps["1.3"].data = measured(shift=0.009)
    lines = [text(line) for line in about(view, "data:1.3/kpis/0", 73)[1]]
    assert {"now  231 ms", "prior  222 ms", "shift  9 ms", "allowed  50 ms"} <= set(lines)
    legend = next(line for line in lines if "● measured" in line)
    assert legend.endswith("release 11:45Z, 10 min earlier")
    assert "…" not in legend


async def test_zoomed_the_worst_figure_is_large_with_its_band_and_the_release():
    """In a pane with room: digits of three rows, the chart, and its legend in words; in ASCII too."""
    for ascii_only in (False, True):
        facts = [*opened(), *done("1.3", "measured", measured(finding="degraded"))]
        async with console(FakeHandle(*facts), (140, 50), ascii=ascii_only) as (app, pilot):
            await pilot.press("1", "z")
            await shows(app, "normal: 172 ms to 272 ms")
            shown = text_of(app)
            assert "release" in shown
            assert ("┆" if not ascii_only else "|") in shown
            assert any(charts.large("231 ms")[1].rstrip() in row for row in shown.split("\n"))
            assert not ascii_only or shown.isascii()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_worst_figure_is_in_sight_without_scrolling(size):
    """Large enough to read, with its finding and its past, under the services; the unseen service is there too."""
    async with console(FakeHandle(*mid_run()), size) as (app, pilot):
        await pilot.press("1")
        await shows(app, " 0 . 2 1 0 %   payments errors  ✗ degraded")
        await shows(app, "+3× vs 0.0700% before")
        assert "search" in text_of(app)


async def test_enter_on_a_figure_shows_it_large_with_its_chart():
    """The detail: the figure, its shift to the past in words, the chart with band and release."""
    facts = [*opened(), *done("1.3", "measured", measured())]
    async with console(FakeHandle(*facts), (100, 40)) as (app, _):
        app.open_detail("data:1.3/kpis/0")
        await shows(app, "┆ release 11:45Z")
        assert "normal: 172 ms to 272 ms" in text_of(app)
        assert "+4% vs 222 ms before" in text_of(app)


async def test_live_charts_move_twice_a_second_however_many_there_are():
    """A flood over forty series: two paints of the charts a second, no fewer for many lines."""
    handle = FakeHandle(*opened())
    async with console(handle, (120, 40)) as (app, pilot):
        await pilot.press("1", "z")
        handle.read(Reading(series="a/x0", at=1.0, value=1.0))
        await until(lambda: app._reading_timer is None and app.gauges.series, "the first values")
        loop = asyncio.get_running_loop()
        before, began, number = app.console_screen.pane(1).repaints, loop.time(), 0
        while loop.time() - began < 3.0:
            number += 1
            handle.read(*(Reading(series=f"a/x{n}", at=2.0 + number, value=number * n % 7) for n in range(40)))
            await asyncio.sleep(0.05)
        paints = app.console_screen.pane(1).repaints - before
        assert 3 <= paints <= 9


async def test_values_that_come_while_the_console_leaves_are_not_painted():
    """Its screens are gone by then, and their timer may still fire."""
    async with console(FakeHandle(*opened()), (120, 40)) as (app, _):
        before, screens = app.paints, app._screen_stack.copy()
        app._screen_stack.clear()
        app._paint_readings()
        app.repaint()
        app._screen_stack.extend(screens)
        assert app.paints == before


def test_units_and_ascii_cover_every_sign_of_a_chart():
    """Each sign has its ASCII stand-in, and those of band and release are not the same."""
    signs = charts.LOW + charts.NORMAL + charts.HIGH + charts.RELEASE + "●·–"
    assert signs.translate(ASCII).isascii()
    stood = {sign.translate(ASCII) for sign in charts.LOW + charts.NORMAL + charts.HIGH}
    assert len(stood) == 8
    assert charts.RELEASE.translate(ASCII) not in stood


def test_live_points_follow_the_measured_samples_and_never_replace_them():
    """Live readings are lossy: two of them must not turn an hour's chart into two points; earlier ones add nothing."""
    gauge = Gauge()
    for at, value in ((1050.0, 9.0), (1065.0, 4.0), (1070.0, 5.0)):
        gauge.add(Reading(series="checkout/p99", at=at, value=value))
    assert charts.points_of(gauge, [1.0, 2.0, 3.0], 1060.0, 30.0) == [
        (1000.0, 1.0), (1030.0, 2.0), (1060.0, 3.0), (1065.0, 4.0), (1070.0, 5.0),
    ]  # fmt: skip
    assert charts.points_of(gauge, [], 1060.0, 30.0) == list(gauge.points)
    assert charts.points_of(None, [1.0], 1060.0, 30.0) == [(1060.0, 1.0)]
