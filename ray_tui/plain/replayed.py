"""A past run, read line by line: after its log, any pane and any why, at any moment of it."""

from collections.abc import Sequence
from typing import TextIO

from ray_tui.core import facts as f
from ray_tui.core.handle import Link, Transport
from ray_tui.core.state import fold
from ray_tui.plain import wishes
from ray_tui.plain.named import Unknown
from ray_tui.plain.shown import shown
from ray_tui.tui.player import where
from ray_tui.tui.view import View

HELP = "at 3:05, at seq 42, at 2.2 or at gate 2 goes there; at the moment where it stands:"
ONLY_A_REPLAY = "This is a replay: what happened cannot be changed. ? lists what can be looked at, q leaves."


def read(
    entries: Sequence[f.Entry], transport: Transport, source: TextIO, output: TextIO, *, ascii_only: bool = False
) -> None:
    """Until the reader leaves. It begins at the run's end."""
    transport.seek(len(entries))
    said: Sequence[str] = _help()
    while True:
        output.write(shown("\n".join(said) + "\nreplay > ", output, ascii_only))
        output.flush()
        typed = source.readline()
        if not typed or typed.strip() == "q":
            return
        said = told(entries, transport, typed.strip())


def told(entries: Sequence[f.Entry], transport: Transport, typed: str) -> Sequence[str]:
    """What comes of a word, as lines."""
    word, _, rest = typed.partition(" ")
    if typed in ("", "?"):
        return _help()
    if word == "at":
        return _go(entries, transport, rest.strip().removeprefix("seq").strip())
    try:
        found = wishes.looked(_view(entries, transport), typed)
    except Unknown as exc:
        return [str(exc)]
    return [ONLY_A_REPLAY] if found is None else found


def _help() -> list[str]:
    return [HELP, *wishes.help_lines(wishes.LOOKS), "  q                       leave"]


def _go(entries: Sequence[f.Entry], transport: Transport, to: str) -> Sequence[str]:
    kind, value = where(to, transport.markers)
    match kind:
        case "seq":
            transport.seek(int(value))
        case "seconds":
            transport.seek_seconds(value)
        case _:
            return [f"{to!r} is no time, seq, step or gate of this run."]
    view = _view(entries, transport)
    last = [f"seq {line.seq}  {line.signed}" for line in view.state.log[-1:]]
    return [*(wishes.looked(view, "s") or ()), *last]


def _view(entries: Sequence[f.Entry], transport: Transport) -> View:
    state = fold(entries[: transport.position[0]])
    return View(state=state, now=state.at, read_only=True, link=Link.REPLAY, transport=transport)
