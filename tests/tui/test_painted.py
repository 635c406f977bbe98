"""What of a changed row goes to the terminal: every cell that differs, and few that do not."""

import random

import pytest

from ray_tui.tui.lines import columns
from ray_tui.tui.widgets.listing import _without
from ray_tui.tui.widgets.painted import NEAR, _changed_cells


def cells(line, width):
    """One (character, style) a cell; a wide character takes two."""
    out = []
    for text, style in line:
        for char in text:
            out += [(char, style), ("", style)] if ord(char) > 0x2FFF else [(char, style)]
    return (out + [(" ", "")] * width)[:width]


def row(chance, widths):
    words = ("231 ms", "p99", "", "▃▄▅▆▇", "日本", "✗ degraded", "a much longer text than there is room for")
    return columns([(chance.choice(words), chance.choice(("", "good", "bad"))) for _ in widths], widths)


@pytest.mark.parametrize("seed", range(60))
def test_every_changed_cell_is_sent(seed):
    """Whatever changes in a row, the regions cover it; also where its columns have moved, and at its cut end."""
    chance = random.Random(seed)
    widths = [chance.randint(1, 12) for _ in range(6)]
    old = row(chance, widths)
    new = row(chance, widths if seed % 3 else [*reversed(widths)])
    width = chance.randint(20, 80)
    sent = {
        cell for area in _changed_cells(old, new, 0, width) for cell in range(area.x, area.right) if area.y == 0
    }  # fmt: skip
    differ = {n for n, (a, b) in enumerate(zip(cells(old, width), cells(new, width), strict=True)) if a != b}
    assert differ <= sent


def test_two_far_figures_are_two_regions_and_near_ones_are_one():
    """Only what moved is sent: not what stands between two figures that are far from each other."""
    widths = (10, 6, 10, 20)
    old = columns(["checkout", "p99", "231 ms", "▃▄▅▆"], widths)
    far = columns(["xheckout", "p99", "231 ms", "▃▄▅▇"], widths)
    assert [(area.x, area.width) for area in _changed_cells(old, far, 3, 60)] == [(0, 1), (32, 1)]
    near = columns(["checkout", "p98", "331 ms", "▃▄▅▆"], widths)
    regions = _changed_cells(old, near, 3, 60)
    assert NEAR >= 18 - 14
    assert [(area.x, area.right) for area in regions] == [(13, 19)]
    assert all(area.y == 3 for area in regions)
    assert _changed_cells(old, old, 3, 60) == []


def test_letters_take_the_first_cells_of_a_row():
    """What stands behind them keeps its place; half of a wide character leaves a space."""
    assert _without((("✓", "good"), (" 2.2", "")), 2) == (("2.2", ""),)
    assert _without((("日本", ""), ("x", "dim")), 1) == ((" 本", ""), ("x", "dim"))
    assert _without((("ab", ""),), 5) == ()


async def test_rows_that_are_scrolled_away_cost_nothing():
    """A row that changes out of sight sends nothing; one in sight sends its own cells, not the pane."""
    from tests.tui.fake_handle import FakeHandle, mid_run, until
    from tests.tui.on_screen import console, shows

    async with console(FakeHandle(*mid_run()), (120, 40)) as (app, _):
        await shows(app, "2.2 Alert paths")
        await until(lambda: app._paint_timer is None, "settled")
        pane = app.console_screen.pane(1)
        rows, asked = list(pane.painted), []
        assert len(rows) > pane.size.height
        refresh = pane.refresh
        pane.refresh = lambda *areas, **more: (asked.append(areas), refresh(*areas, **more))[1]  # type: ignore[method-assign]
        pane.show_lines([*rows[:-1], (("out of sight", ""),)])
        assert asked == []
        pane.show_lines([(("x", ""), *rows[0][1:]), *rows[1:-1], (("out of sight", ""),)])
        assert [[area.height for area in areas] for areas in asked] == [[1]]
