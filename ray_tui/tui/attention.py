"""What should open by itself now: one question at a time, only where it can be answered. Pure."""

from collections.abc import Collection

from ray_tui.tui.view import View, may_confirm


def wanted(view: View, later: Collection[str]) -> str | None:
    """``prompt:<id>``, ``halt:<seq>``, ``waiver:<id>`` or ``seat:<person>``; nothing that was put off with Esc."""
    return next((key for key in waiting(view) if key not in later), None)


def waiting(view: View) -> list[str]:
    """Everything that this console may decide now, oldest question first."""
    if view.read_only or view.transport is not None or view.state.ended:
        return []
    state = view.state
    keys = [f"prompt:{prompt.raised.id}" for prompt in state.open_prompts if view.may_answer(prompt.raised)]
    if state.halt is not None and view.drives:
        keys.append(f"halt:{state.halt_seq}")
    keys += [f"waiver:{w.id}" for w in state.proposed.values() if may_confirm(view, w.operator)]
    if view.drives and state.driver_console:
        keys += [f"seat:{person}" for person in state.seat_requests]
    return keys


def still_open(view: View, key: str) -> bool:
    """Whether what a dialog asks is still to be decided; an answer may have come from another console."""
    kind, _, name = key.partition(":")
    if kind == "prompt":
        prompt = view.state.prompts.get(name)
        return prompt is not None and prompt.answered is None
    if kind == "halt":
        return view.state.halt is not None and str(view.state.halt_seq) == name
    if kind == "seat":
        return name in view.state.seat_requests
    return name in view.state.proposed if kind == "waiver" else True
