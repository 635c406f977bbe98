"""Carry a run out: anew or resumed, on the demo, in its host, and approved from outside."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ray_tui import holding
from ray_tui.cli import asked
from ray_tui.cli.options import ConfigOption, JsonOption, SignOption, TimeoutOption
from ray_tui.cli.said import PASSED, say
from ray_tui.core.errors import InputError
from ray_tui.echo import echo

if TYPE_CHECKING:
    from ray_tui.config import Config


def run(
    config: ConfigOption = None,
    release: Annotated[str | None, typer.Option(help="Overrides [run] release.")] = None,
    environment: Annotated[str | None, typer.Option(help="Overrides [run] environment.")] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a person: answers come from --answers.")
    ] = False,
    answers: Annotated[Path | None, typer.Option(help="A TOML answers file, for --headless.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run that is not over.")] = False,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run to resume.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Begin a new run, though one is not over.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    timeout: TimeoutOption = 0,
    sign_with: SignOption = None,
    as_json: JsonOption = False,
) -> int:
    """Carry the protocol out for one release."""
    _want_no_json(as_json, headless)
    if anew and (resume or run_id):
        raise InputError("--anew begins a new run, and --resume goes on with one: choose one of them")
    chosen = asked.config(config, release, environment)
    wanted = _resumed(chosen, run_id) if resume or run_id else None
    if headless:
        if wanted is None and not anew:
            holding.to_go_on_with(chosen, asking=False)
        return holding.without_a_person(chosen, asked.answers(answers), wanted, timeout, as_json)
    return holding.on_console(chosen, resume=wanted, observe=False, plain=plain, key=sign_with, anew=anew)


def demo(
    scenario: Annotated[
        str, typer.Option(help="What is wrong in the demo's world; `--scenario list` names them.")
    ] = "healthy",
    headless: Annotated[
        bool, typer.Option("--headless", help="Without a person; exits with the run's verdict.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where the demo lives; a new folder in /tmp by default.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's servers running at the end.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line instead of full screen.")] = False,
    timeout: TimeoutOption = 170,
    as_json: JsonOption = False,
) -> int:
    """The main job on an embedded stack: real servers on 127.0.0.1, a seeded world, no configuration."""
    from ray_tui import demo_stack

    if scenario == "list":
        known = demo_stack.scenarios()
        say(known, as_json, "\n".join(f"{name:24} {title}" for name, title in known.items()))
        return PASSED
    _want_no_json(as_json, headless)
    if not headless and not plain:
        holding.want_terminal()
    with demo_stack.started(scenario, folder, keep=keep) as stack:
        echo(f"demo stack '{scenario}' in {stack.folder}", err=True)
        if headless:
            return holding.without_a_person(stack.config, stack.answers, None, timeout, as_json)
        try:
            return holding.on_console(stack.config, resume=None, observe=False, plain=plain, anew=True)
        finally:  # however the console ended: a hang-up must not take the run's world away
            stack.leave_running_if_unfinished()
            if parting := stack.parting():
                echo(parting, err=True)


def sign(
    key: Annotated[Path, typer.Option("--key", help="Your SSH key, or the .pub of one in your agent.")],
    person: Annotated[str, typer.Option("--as", help="Who you are in [people].")],
    run_id: Annotated[str | None, typer.Argument(help="The run; the newest that is not over by default.")] = None,
    config: ConfigOption = None,
) -> int:
    """Sign the approvals that a run waits for: prints [[approvals]] blocks for its answers file."""
    from ray_tui import runs_on_disk, wiring

    chosen = asked.config(config)
    found = runs_on_disk.find_run(chosen.store, run_id, resumable=True)
    given = wiring.sign_open_approvals(found, chosen.people, person, key)
    if not given:
        raise InputError(f"{found.run_id}: waits for no approval that {person} may give")
    for approval in given:
        echo("[[approvals]]")
        for name, value in approval.model_dump(mode="json", exclude_defaults=True).items():
            echo(f"{name} = {json.dumps(value)}")
        echo("")
    return PASSED


def _want_no_json(as_json: bool, headless: bool) -> None:
    if as_json and not headless:
        raise InputError("--json is for --headless: a console is for a person. `ray-tui gates --json` answers scripts.")


def _resumed(chosen: "Config", run_id: str | None) -> str:
    from ray_tui import runs_on_disk

    found = runs_on_disk.find_run(chosen.store, run_id, resumable=True)
    if found.broken is not None:
        raise found.broken
    if found.state.ended:
        raise InputError(f"{found.run_id}: is over. `ray-tui replay {found.run_id}` shows it.")
    return found.run_id


def _host(
    config: Annotated[Path, typer.Option()],
    run_id: Annotated[str, typer.Option("--run")],
    release: Annotated[str, typer.Option()],
    environment: Annotated[str, typer.Option()],
    resume: Annotated[bool, typer.Option("--resume")] = False,
) -> int:
    import asyncio
    import logging

    from ray_tui import wiring

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    return asyncio.run(wiring.serve(asked.config(config, release, environment), run_id, resume=resume))
