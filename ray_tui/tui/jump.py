"""Letters for everything on the screen that can be gone to: which letters, and what typing them means. Pure."""

from collections.abc import Mapping, Sequence

from ray_tui.core.value import Changing, Value, field

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
"""In the order in which a hand finds them."""


class Spot(Value):
    """A place to jump to. ``pane`` is 1–4 or 5 for the event log; an empty ``target`` is the pane itself."""

    pane: int
    target: str = ""


def labelled(spots: Sequence[Spot]) -> dict[str, Spot]:
    """Letters -> spot: single letters for the first, pairs for the rest; no label begins another.

    At most 676 spots get one.
    """
    kinds = list(dict.fromkeys(spots))[: len(LETTERS) ** 2]
    pairs_from = len(LETTERS)
    while pairs_from and pairs_from + (len(LETTERS) - pairs_from) * len(LETTERS) < len(kinds):
        pairs_from -= 1
    labels = list(LETTERS[:pairs_from])
    labels += [first + second for first in LETTERS[pairs_from:] for second in LETTERS]
    return dict(zip(labels, kinds, strict=False))


class Jump(Changing):
    """One jump that is under way."""

    spots: Mapping[str, Spot]
    typed: str = ""
    at: dict[Spot, str] = field(default_factory=dict)
    """Spot -> its letters; follows from the spots."""

    def __post_init__(self) -> None:
        self.at = {spot: label for label, spot in self.spots.items()}

    def type(self, letter: str) -> Spot | None:
        """The spot that the letters typed so far name; None while they name none. A letter that leads nowhere is
        passed over."""
        wanted = self.typed + letter.lower()
        if any(label.startswith(wanted) for label in self.spots):
            self.typed = wanted
        return self.spots.get(self.typed)

    def erase(self) -> None:
        self.typed = self.typed[:-1]

    def label(self, pane: int, target: str = "") -> str:
        """What to show at a spot: its letters while they can still be meant, else nothing."""
        label = self.at.get(Spot(pane, target), "")
        return label if label.startswith(self.typed) else ""
