"""A changed cell costs its own bytes: cut on the left, the screen is the same as with the whole line."""

import re

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from ray_tui.tui.trimmed import TrimmedUpdate

CONSOLE = Console(force_terminal=True, color_system="truecolor", width=40)
BOLD, DIM = Style.parse("bold #ff0000"), Style.parse("#888888 on #000000")
TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|(\n)|(.)")


def an_update(line, *spans):
    """One line of two widgets, the second from column 20 on."""
    left = Strip(
        [Segment(line, BOLD), Segment(" " * (14 - Strip([Segment(line)]).cell_length)), Segment("x=1234", DIM)]
    )
    right = Strip([Segment("right ", DIM), Segment("wing, 14 cells", BOLD)])
    return ChopsUpdate([{0: left, 20: right}], [(0, *span) for span in spans], [[20, 40]])


def painted(update):
    """What a terminal shows of it: column -> (character, style as it was told)."""
    cells, column, style = {}, 0, ""
    for _, at, told, newline, character in TOKEN.findall(update.render_segments(CONSOLE)):
        if at:
            column = int(at) - 1
        elif character:
            cells[column] = (character, style)
            column += Strip([Segment(character)]).cell_length
        elif not newline:
            style = "" if told in ("", "0") else told
    return cells


@pytest.mark.parametrize("spans", [[(0, 40)], [(3, 4)], [(17, 18)], [(18, 22)], [(2, 5), (30, 33)], [(39, 40)]])
def test_the_changed_cells_are_the_same_and_no_others_are_sent(spans):
    """Against Textual's own update: every cell of the spans is equal, and nothing beside them is written."""
    update = an_update("status line 1", *spans)
    trimmed = TrimmedUpdate.of(update)
    whole, cut = painted(update), painted(trimmed)
    wanted = {column for begin, end in spans for column in range(begin, end)}
    assert set(cut) == wanted
    assert all(cut[column] == whole[column] for column in wanted)


def test_a_clock_costs_tens_of_bytes():
    """One digit at the end of a styled line: where Textual sends its whole line up to there."""
    update = an_update("status line 1", (19, 20))
    assert len(TrimmedUpdate.of(update).render_segments(CONSOLE)) < 50
    assert len(update.render_segments(CONSOLE)) > 60


def test_a_line_with_wide_characters_is_not_cut():
    """In the middle of a wide character nothing can be cut: such a line goes out from its widget's start."""
    update = an_update("状态", (3, 6))
    assert painted(TrimmedUpdate.of(update)) == painted(update)
