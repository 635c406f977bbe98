"""How a person notes alert tests that they made by hand: one line, the same at every front end."""

from ray_tui.core.facts import AlertTest

STEP = "2.2"
"""Where alert paths are tested."""
FORM = "receiver, fired, delivered, acknowledged by, when"
ASKED = f"alert tests: {FORM}; a ; between two (optional)"


def parse(text: str) -> tuple[AlertTest, ...]:
    """Raises ValueError saying what to write. What did not happen is left empty."""
    return tuple(_one(part) for part in text.split(";") if part.strip())


def _one(text: str) -> AlertTest:
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) != 5 or not cells[0] or not cells[1]:
        raise ValueError(f"{text.strip()!r}: write {FORM}; leave empty what did not happen")
    return AlertTest(**dict(zip(AlertTest.fields(), cells, strict=True)))
