"""How wide each column of a table is: as its cells need, and what a narrow pane takes from whom. Pure."""

from collections.abc import Sequence

from ray_tui.core.untrusted import cell_width
from ray_tui.core.value import Value
from ray_tui.tui.lines import Row, Span, columns

Cells = Sequence[Span | str]


class Column(Value):
    """One column. Where cells are missing, the column that can best spare some gives them, down to ``least``."""

    head: str = ""
    least: int = 1
    drop: int = 0
    """Columns with a higher number are left out first where even the least of all has no room; 0: never."""
    right: bool = False


def table(
    shape: Sequence[Column], found: Sequence[tuple[Cells, str]], width: int, *, headed: bool = True
) -> tuple[Row, list[Row]]:
    """(heading, a row for each of the cells with its target), none wider than ``width``."""
    widths = widths_of(shape, [cells for cells, _ in found], width, headed=headed)
    head = Row(columns([(column.head, "dim") for column in shape], widths))
    return head, [Row(columns(cells, widths), target) for cells, target in found]


def widths_of(shape: Sequence[Column], found: Sequence[Cells], width: int, *, headed: bool = True) -> tuple[int, ...]:
    """Widths for ``columns()``: 0 for a column that is empty or left out, negative for one that aligns right."""
    wanted = [
        max((min(width, cell_width(text)) for text in (column.head if headed else "", *map(_text, cells))), default=0)
        for column, cells in zip(shape, zip(*found, strict=True) if found else ((),) * len(shape), strict=True)
    ]
    least = [min(want, column.least) for want, column in zip(wanted, shape, strict=True)]
    for n in sorted(range(len(shape)), key=lambda n: -shape[n].drop):
        if shape[n].drop and _together(least) > width:
            wanted[n] = least[n] = 0
    for floor in (least, [min(1, one) for one in least]):
        while _together(wanted) > width:
            spare = max(range(len(wanted)), key=lambda n: (wanted[n] - floor[n], wanted[n]))
            if wanted[spare] <= floor[spare]:
                break
            wanted[spare] -= 1
    return tuple(-one if column.right else one for one, column in zip(wanted, shape, strict=True))


def _together(widths: Sequence[int]) -> int:
    return sum(one + 1 for one in widths if one) - 1


def _text(cell: Span | str) -> str:
    return cell if isinstance(cell, str) else cell[0]
