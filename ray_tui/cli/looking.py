"""Look at the runs that there were: their list, one again, two side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ray_tui import holding
from ray_tui.cli import asked
from ray_tui.cli.options import ConfigOption, JsonOption
from ray_tui.cli.said import INCONCLUSIVE, PASSED, TAMPERED, say
from ray_tui.core.errors import TamperError
from ray_tui.echo import echo

if TYPE_CHECKING:
    from ray_tui.runs_on_disk import RunOnDisk


def replay(
    target: Annotated[
        str | None,
        typer.Argument(help="A run (by default the newest), a journal.jsonl, a run folder, a MONITORING-PACKAGE.zip."),
    ] = None,
    config: ConfigOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print the log; on a terminal, look anywhere in it.")] = False,
) -> int:
    """Show a past run on the same console: play, pause, seek."""
    from ray_tui import runs_on_disk, wiring

    path = Path(target) if target else None
    chosen = asked.config_or_none(config)
    if path is None or not path.exists():
        path = runs_on_disk.find_run(asked.store(chosen), target).folder
    if plain:
        return holding.replay_plain(path, chosen is not None and chosen.ui.ascii)
    holding.want_terminal(holding.TO_READ)
    import asyncio

    async def watch() -> int:
        return await holding.show(wiring.open_replay(path), chosen, recorded=path)

    return asyncio.run(watch())


def diff(
    a: Annotated[str, typer.Argument(help="A run, a journal.jsonl, a run folder, or a MONITORING-PACKAGE.zip.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same in both.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Two runs side by side: gates, coverage, delivery times, findings that came or went."""
    import shutil

    from ray_tui import runs_on_disk, wiring
    from ray_tui.core import run_diff
    from ray_tui.core.state import fold

    chosen = asked.config_or_none(config)
    store = asked.store(chosen)
    paths = [Path(one) if Path(one).exists() else runs_on_disk.find_run(store, one).folder for one in (a, b)]
    left, right = (fold(wiring.replay_entries(path)) for path in paths)
    width = shutil.get_terminal_size((120, 40)).columns
    said = run_diff.to_text(left, right, width=width, everything=everything)
    say(run_diff.to_json(left, right), as_json, said)
    return PASSED


def runs(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """List the runs of this repository, newest first."""
    from ray_tui import runs_on_disk
    from ray_tui.core import changed

    chosen = asked.config_or_none(config)
    rows = []
    for found in runs_on_disk.runs(asked.store(chosen)):
        state = found.state
        if found.broken is not None:
            status = "tampered" if isinstance(found.broken, TamperError) else "unreadable"
        elif state.ended:
            status = "complete" if state.completed else "aborted"
        else:
            status = "live" if found.alive else "resumable"
        rows.append(
            {
                "run_id": found.run_id, "status": status, "exit_code": _code_of(found),
                "release": state.opened.release if state.opened else "",
                "halted_at": state.halt.step if state.halt else "", "facts": state.seq,
                "changed": changed.since(state) if found.alive else "",
            }
        )  # fmt: skip
    lines = []
    for row in rows:
        lines.append(f"{row['run_id']:56} {row['status']:10} {row['halted_at'] or '–'}")
        lines += [f"  {row['changed']}"] if row["changed"] else []
    say(rows, as_json, "\n".join(lines) or "no runs yet; `ray-tui run` or `ray-tui demo` starts one")
    if not as_json:
        from ray_tui import demo_stack

        for left in demo_stack.left_running():
            echo(left.to_text(), err=True)
    return PASSED


def _code_of(found: "RunOnDisk") -> int:
    from ray_tui.core import views

    if found.broken is not None:
        return TAMPERED if isinstance(found.broken, TamperError) else INCONCLUSIVE
    return views.exit_code(found.state)
