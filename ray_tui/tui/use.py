"""Which keys have a use now, and what those of a row do with the row that is chosen. Pure."""

from ray_tui.core import ways
from ray_tui.tui.copies import copies
from ray_tui.tui.keys import Key
from ray_tui.tui.panes.phases import said
from ray_tui.tui.places import Places
from ray_tui.tui.view import View

AT_A_HALT: dict[str, ways.Way] = {"run.retry": "retry", "run.waive": "waive", "run.manual": "manual"}
"""Keys that settle a halt, and the way that each of them is."""
SHOWS = {
    "step": "why: its criteria with evidence and remedy, its journal lines",
    "probe": "its hops: when, where and by whom each was seen",
    "service": "each signal with its query and its newest sample",
    "entry": "the fact as the journal holds it",
    "box": "what still keeps it open",
    "approval": "who gave it, for what, and how it was signed",
    "waiver": "what is waived, why, by whom and until when",
    "gap": "whose it is, until when, and what it is about",
    "data": "all that was found about it",
}
"""What Enter opens, by the kind of the row."""
CHARTED = "its chart, its figures and its query"


def useful(view: View, key: Key) -> bool:
    """Whether a key does anything now, but say that it cannot."""
    if key.replay or view.transport is not None:
        return view.transport is not None and key.group not in ("Decide", "Pair")
    if key.group not in ("Decide", "Pair"):
        return True
    if view.read_only or view.state.ended:
        return key.id == "run.prompts" and not view.state.ended
    if key.id in AT_A_HALT:
        return AT_A_HALT[key.id] in ways_now(view)
    if key.id == "seat.take":
        return not (view.drives and view.state.driver_console)
    return view.drives if key.id == "seat.grant" else True


def ways_now(view: View) -> tuple[ways.Way, ...]:
    """What this console can do about the halt; nothing where there is none, or where another drives."""
    halt = view.state.halt
    return ways.ways(view.state, halt.step, view.now) if halt is not None and view.drives else ()


def row_keys(view: View, target: str, places: Places) -> list[tuple[str, str]]:
    """(id of the key, what it does with this row)."""
    if not target:
        return []
    kind, _, rest = target.partition(":")
    names = ", ".join(dict.fromkeys(name for name, _ in copies(view, target, places)))
    return [
        ("open.detail", CHARTED if rest.startswith("1.3/kpis/") else SHOWS.get(kind, SHOWS["data"])),
        ("copy", f"copy: {said(view, target)}"),
        ("copy.as", f"copy as: {names}" if names else "the same text: no query or command belongs to it"),
    ]
