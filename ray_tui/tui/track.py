"""The line of a replay in cells: where each moment and each mark stands, and which moment a cell is. Pure."""

from collections.abc import Sequence

from ray_tui.core.handle import Marker, Transport
from ray_tui.core.verdicts import GLYPHS

SIGNS = {"halt": "✗", "waiver": "w"}


class Track:
    """Time runs evenly between two marks, and is stretched where labels need room: each is whole, or a single sign."""

    def __init__(self, transport: Transport, room: int) -> None:
        self.room = room
        self.total = transport.duration[1]
        drawn = [marker for marker in transport.markers if marker.kind not in ("action", "end")]
        self.markers, texts, gap = _fitting(drawn, room - 2)
        self.places = _spread([self._even(marker.at) for marker in self.markers], texts, gap, room - 1)
        self.cells = ["─"] * room
        stops = [(0.0, 0)]
        for marker, place, text in zip(self.markers, self.places, texts, strict=True):
            self.cells[place : place + len(text)] = text
            stops += [(marker.at, place), (marker.at, place + len(text))]
        self._texts = texts
        self._stops = [*stops, (self.total, room - 1)]

    def cell(self, seq: int, seconds: float) -> int:
        """Where the replay stands; on a mark while its entry is the last one shown and no time has passed since."""
        for marker, place in zip(self.markers, self.places, strict=True):
            if marker.seq == seq and seconds <= marker.at:
                return place
        for (since, low), (until, high) in reversed(list(zip(self._stops, self._stops[1:], strict=False))):
            if since <= seconds and until > since:
                return min(high, low + int((seconds - since) / (until - since) * (high - low)))
        return 0

    def marker(self, cell: int) -> Marker | None:
        """The mark whose label covers this cell."""
        for marker, place, text in zip(self.markers, self.places, self._texts, strict=True):
            if place <= cell < place + len(text):
                return marker
        return None

    def seconds(self, cell: int) -> float:
        """The moment of a cell: the middle of it, the very start and the very end at the ends."""
        if not 0 < cell < self.room - 1:
            return 0.0 if cell <= 0 else self.total
        marker = self.marker(cell)
        if marker is not None:
            return marker.at
        (since, low), (until, high) = next(
            pair for pair in zip(self._stops, self._stops[1:], strict=False) if pair[0][1] <= cell < pair[1][1]
        )
        return since + (cell + 0.5 - low) / (high - low) * (until - since)

    def along(self, cell: int, by: int) -> int:
        """That many cells on, as far as there are any; a label is one place, its first cell."""
        there = max(0, min(self.room - 1, cell + by))
        for place, text in zip(self.places, self._texts, strict=True):
            if place <= there < place + len(text):
                return place if place != cell else place + len(text)
        return there

    def beside(self, cell: int, by: int) -> int:
        """The cell of the next mark after, or of the last before; the ends where there is none."""
        if by > 0:
            return next((place for place in self.places if place > cell), self.room - 1)
        return next((place for place in reversed(self.places) if place < cell), 0)

    def _even(self, seconds: float) -> int:
        return int(max(0.0, min(1.0, seconds / self.total)) * self.room) if self.total > 0 else 0


def label(marker: Marker) -> str:
    """A gate's result and number, or the sign of what happened."""
    if marker.kind == "gate" and marker.label[:1] in GLYPHS.values():
        return marker.label.replace(" ", "")[:3]
    return SIGNS.get(marker.kind, "·")


def _fitting(markers: Sequence[Marker], room: int) -> tuple[Sequence[Marker], list[str], int]:
    """(which marks, their labels, cells between two): whole ones, else whole ones of what was judged last and a sign
    for the attempts before, else signs; where even those have no room waivers go first."""
    last = {marker.id or marker.label: marker.seq for marker in markers}
    whole = [label(marker) for marker in markers]
    latest = [text if last[m.id or m.label] == m.seq else text[:1] for m, text in zip(markers, whole, strict=True)]
    for texts in (whole, latest, [text[:1] for text in whole]):
        if sum(len(text) + 1 for text in texts) <= room:
            return markers, texts, 1
    kept = sorted(sorted(markers, key=lambda marker: marker.kind == "waiver")[:room], key=lambda marker: marker.seq)
    return kept, [label(marker)[:1] for marker in kept], 0


def _spread(wanted: Sequence[int], texts: Sequence[str], gap: int, end: int) -> list[int]:
    """Each label as near to its place as the ones before and after leave it; none in the first cell or past the end."""
    places: list[int] = []
    free = 1
    for place, text in zip(wanted, texts, strict=True):
        places.append(max(place, free))
        free = places[-1] + len(text) + gap
    for n in range(len(places) - 1, -1, -1):
        places[n] = min(places[n], end - len(texts[n]))
        end = places[n] - gap
    return places
