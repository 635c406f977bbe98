"""What of a changed line goes to the terminal: from its first changed cell on, where Textual begins at its widget."""

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.strip import Strip


class TrimmedUpdate(ChopsUpdate):
    """Textual's update of parts of the screen, cut on the left as it is on the right: a clock costs tens of bytes."""

    @classmethod
    def of(cls, update: ChopsUpdate) -> "TrimmedUpdate":
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """Escape sequences and text for every span, in the spans' order."""
        out: list[str] = []
        last = self.spans[-1][0]
        for y, begin, stop in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= stop or end <= begin:
                    continue
                start = max(x, begin) if _one_cell_each(strip) else x
                shown = strip.crop(start - x, min(end, stop) - x)
                out += [Control.move_to(start, y).segment.text, shown.render(console)]
            if y != last:
                out.append("\n")
        return "".join(out)


def _one_cell_each(strip: Strip) -> bool:
    """Whether every character has one cell: in the middle of a wide one nothing can be cut."""
    return len(strip.text) == strip.cell_length and all(get_character_cell_size(one) == 1 for one in strip.text)
