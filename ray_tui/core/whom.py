"""Whom a question waits for, in words: the people who hold a role that may answer it, or who drives. Pure."""

from collections.abc import Sequence

from ray_tui.core.facts import PromptRaised
from ray_tui.core.rules import book_of, roles_of
from ray_tui.core.state import RunState

MOST = 3
"""People who are named before the rest is only counted."""


def holders(raised: PromptRaised, state: RunState) -> tuple[str, ...]:
    """Who of [people] holds a role that may answer."""
    book = book_of(state)
    return tuple(person for person in book.people if set(raised.roles) & set(roles_of(person, book)))


def driver(state: RunState) -> str:
    """Who decides what the driver decides."""
    return state.driver or "anybody who may drive"


def asked(raised: PromptRaised, state: RunState) -> str:
    """``sam or lee (release-manager)``; who drives, where no role is asked for."""
    if not raised.roles:
        return driver(state)
    people = holders(raised, state)
    roles = " or ".join(raised.roles)
    return f"{_either(people)} ({roles})" if people else roles


def answered_by(raised: PromptRaised, state: RunState) -> str:
    """The same at length: ``release-manager: sam or lee``, ``the driver: mira``."""
    seat = f"the driver: {driver(state)}"
    if not raised.roles:
        return seat
    said = " or ".join(raised.roles)
    if state.host is not None and state.host.roles:
        said += f": {_either(holders(raised, state)) or 'nobody in [people] is one'}"
    return f"{said}; in a demo also {seat}" if state.opened is not None and state.opened.demo else said


def _either(people: Sequence[str]) -> str:
    if len(people) > MOST:
        return f"{', '.join(people[:MOST])} or {len(people) - MOST} more"
    return " or ".join(", ".join(people).rsplit(", ", 1))
