"""What is a proper answer to a question, and the limits that [policy] sets to reasons and waivers. Pure.

The host refuses by these rules, and both consoles ask by them: nobody learns of a limit by being refused.
"""

from collections.abc import Sequence

from ray_tui.core.facts import PromptRaised
from ray_tui.core.limits import DEFAULTS, Limits
from ray_tui.core.state import RunState

LATER = "later"
"""The option that decides nothing."""


def limits_of(state: RunState) -> Limits:
    """As the run's host has said that it holds them; what it does not say is as it is without a word."""
    host = state.host
    if host is None:
        return DEFAULTS
    return Limits(reason_characters=host.reason_characters, waiver_days=host.waiver_days)


def wrong_answer(raised: PromptRaised, answer: str, reason: str, least: int) -> str:
    """Why this does not answer the question; "" where it does. ``least``: the characters of a reason."""
    match raised.prompt:
        case "confirm" | "approve" if answer not in ("yes", "no"):
            return "Answer yes or no."
        case "typed" if answer not in (raised.expects, "no"):
            return f"Type exactly: {raised.expects}"
        case "choose" if raised.options and answer not in raised.options:
            return f"Choose one of: {', '.join(raised.options)}."
        case "edit" if answer.strip() not in ("", "yes", "no"):
            return _not_kept(raised, answer)
    if answer in raised.with_reason and len(reason.strip()) < least:
        return f"{answer}: say why, in at least {least} characters."
    return ""


def _not_kept(raised: PromptRaised, text: str) -> str:
    """What an edited text has lost of the lines that tell its parts apart, or has put before the first of them."""
    if not raised.keeps:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lost = next((kept for kept in raised.keeps if kept not in lines), "")
    if lost:
        return f"The text has lost the line  {lost}  ; put it back, or decline."
    if lines[0] not in raised.keeps:
        return f"Nothing may stand before the line  {raised.keeps[0]}  ; this does: {lines[0][:60]}"
    return ""


def safe_first(options: Sequence[str]) -> tuple[str, ...]:
    """The options in their order, but the one that changes nothing yet before all others: Enter alone takes it."""
    return tuple(sorted(options, key=lambda option: option != LATER))


def wrong_days(text: str, most: int) -> str:
    """Why a waiver cannot run for so many days; "" where it can."""
    try:
        return "" if 0 < float(text) <= most else f"days: more than 0, at most {most}"
    except ValueError:
        return f"days: a number, at most {most}; {text!r} is none"
