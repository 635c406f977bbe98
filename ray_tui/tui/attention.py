"""What should open by itself now: one question at a time, only where it can be answered. Pure."""

from collections.abc import Collection

from ray_tui.core.facts import WaiverProposed
from ray_tui.core.together import asked_together
from ray_tui.tui.view import View, may_confirm


def wanted(view: View, later: Collection[str]) -> str | None:
    """``prompt:<id>``, ``halt:<seq>``, ``waiver:<ids>`` or ``seat:<person>``; nothing that was put off with Esc."""
    return next((key for key in waiting(view) if key not in later), None)


def waiting(view: View) -> list[str]:
    """Everything that this console may decide now, oldest question first."""
    if not view.decides or view.state.ended:
        return []
    state = view.state
    keys = [f"prompt:{prompt.raised.id}" for prompt in state.open_prompts if view.may_answer(prompt.raised)]
    if state.halt is not None and view.drives:
        keys.append(f"halt:{state.halt_seq}")
    keys += [waiver_key(group[0].id) for group in asked_together(state) if _confirms(view, group[0])]
    if view.drives and state.driver_console:
        keys += [f"seat:{person}" for person in state.seat_requests]
    return keys


def for_others(view: View) -> list[str]:
    """Everything that waits for a decision which this console cannot make: to be read, and to know whom it waits for.
    Empty in a replay."""
    state = view.state
    if view.transport is not None or state.ended:
        return []
    keys = [f"prompt:{prompt.raised.id}" for prompt in state.open_prompts]
    if state.halt is not None:
        keys.append(f"halt:{state.halt_seq}")
    keys += [waiver_key(group[0].id) for group in asked_together(state)]
    mine = waiting(view)
    return [key for key in keys if key not in mine]


def _confirms(view: View, waiver: WaiverProposed) -> bool:
    return may_confirm(view, waiver.operator) and view.person not in view.state.confirmed.get(waiver.id, ())


def waiver_key(waiver_id: str) -> str:
    """Waivers that were asked for together are one question, under the key of the first."""
    return f"waiver:{waiver_id}"


def still_open(view: View, key: str) -> bool:
    """Whether what a dialog asks is still to be decided, and here; an answer may have come from another console, and
    the seat may have gone to another person."""
    if view.state.ended:
        return False
    kind, _, name = key.partition(":")
    if kind == "prompt":
        prompt = view.state.prompts.get(name)
        return prompt is not None and prompt.answered is None
    if kind in ("halt", "halted"):  # halted: only shown, where somebody else decides
        halted = view.state.halt is not None and str(view.state.halt_seq) == name
        return halted and (view.drives or kind == "halted")
    if kind == "seat":
        return name in view.state.seat_requests
    return name in view.state.proposed if kind == "waiver" else True
