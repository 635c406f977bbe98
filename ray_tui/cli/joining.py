"""Join a run that is being carried out: its console, and the acknowledgement of what it sent."""

from typing import Annotated

import typer

from ray_tui.cli import asked, attaching
from ray_tui.cli.options import ConfigOption, JsonOption, SignOption
from ray_tui.cli.said import PASSED, say


def attach(
    run_id: Annotated[str | None, typer.Argument(help="The run; the newest live one by default.")] = None,
    config: ConfigOption = None,
    observe: Annotated[bool, typer.Option("--observe", help="Read-only for certain.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    sign_with: SignOption = None,
    plays: Annotated[str, typer.Option("--as", help="Whom of [people] to act as; in a demo only.")] = "",
) -> int:
    """Join a run that is being carried out."""
    return attaching.attach(run_id, config, observe=observe, plain=plain, sign_with=sign_with, plays=plays)


def acknowledge(
    code: Annotated[str, typer.Argument(help="The code in the test alert's message.")],
    run_id: Annotated[str | None, typer.Option("--run", help="The run; the newest live one by default.")] = None,
    config: ConfigOption = None,
    plays: Annotated[str, typer.Option("--as", help="Whom of [people] to act as; in a demo only.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Say that a test alert has reached you: by mail, by webhook, in Slack."""
    import asyncio

    from ray_tui import rendezvous, runs_on_disk
    from ray_tui.handles import socket

    chosen = asked.config(config)
    found = runs_on_disk.find_live(chosen.store, run_id)
    said = asyncio.run(socket.acknowledge(rendezvous.meeting_place(found.run_id, chosen), code, plays))
    late = " It is later than the SLA allows." if said["after_seconds"] > said["sla_seconds"] else ""
    what = f"what came to {said['receiver']} by {said['integration']}"
    text = f"{said['person']} acknowledged {what}, {said['after_seconds']:.1f} s after it was sent.{late}"
    say({**said, "run_id": found.run_id}, as_json, text)
    return PASSED
