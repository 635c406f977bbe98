"""Set it up: a configuration to start from, what is wrong with it, where everything lies."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ray_tui import holding, invoked
from ray_tui.cli import asked
from ray_tui.cli.options import ConfigOption, JsonOption
from ray_tui.cli.said import FAILED, PASSED, USAGE, say
from ray_tui.echo import echo

config = typer.Typer(
    help="Show or change the configuration.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """What is wrong here, and what to do about it."""
    import asyncio

    from ray_tui import doctor as checks
    from ray_tui import rendezvous, runs_on_disk, wiring

    outside = checks.Outside(
        open_ports=wiring.open_ports,
        socket_folder=rendezvous.socket_folder,
        runs=runs_on_disk.runs,
        looks=holding.wrong_looks,
    )
    found = asyncio.run(checks.examine(config, outside))
    wrong = sum(not item.ok for item in found)
    said = [*(item.to_text() for item in found), f"{wrong} of {len(found)} to mend" if wrong else "nothing to mend"]
    say([item.to_json() for item in found], as_json, "\n".join(said))
    return PASSED if all(item.ok for item in found) else FAILED


def init(
    folder: Annotated[Path, typer.Argument(help="The repository to write into.")] = Path(),
    scripts: Annotated[
        bool, typer.Option("--scripts", help="Also write scripts/*.py with the protocol's literal names.")
    ] = False,
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Also write a GitHub workflow that judges the gates.")
    ] = False,
) -> int:
    """Write a configuration to start from; files that exist are left alone."""
    from ray_tui import scaffold

    for path, written in scaffold.write(folder, scripts=scripts, workflow=workflow):
        echo(f"{'wrote' if written else 'kept '} {path}")
    echo("Next: put your systems into ray-tui.toml and take out the tables that you have none for; then")
    echo(f"{invoked.command('doctor')}   names what is still missing, {invoked.command('run')} begins.")
    return PASSED


def locations(config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Where everything is read and written."""
    from ray_tui import rendezvous

    chosen = asked.config_or_none(config)
    store = asked.store(chosen).resolve()
    found = {
        "config": str(chosen.file.resolve()) if chosen else "none found",
        "evidence": str(store),
        "runs": str(store / "runs"),
        "manual": str(store.parent / "protocol-19"),
        "context": str(store.parent.parent / ".cursor" / "context-kit"),
        "sockets": str(rendezvous.socket_folder(chosen)),
        "themes": str(holding.user_themes()),
    }
    say(found, as_json, "\n".join(f"{name:10} {path}" for name, path in found.items()))
    return PASSED


def themes(as_json: JsonOption = False) -> int:
    """The console's themes."""
    from ray_tui.tui import theme

    loaded, problems = theme.load((holding.user_themes(),))
    for problem in problems:
        echo(f"ray-tui: {problem}", err=True)
    say([one.name for one in loaded], as_json, "\n".join(f"{one.name:16} {one.path}" for one in loaded))
    return PASSED if not problems else USAGE


@config.command("show")
def config_show(config: ConfigOption = None) -> int:
    """The configuration with every default, as JSON. Secrets are references and stay so."""
    echo(asked.config(config).model_dump_json(indent=2))
    return PASSED


@config.command("schema")
def config_schema() -> int:
    """The JSON Schema of ray-tui.toml."""
    from ray_tui import described
    from ray_tui.config import Config

    echo(json.dumps(described.schema(Config), indent=2))
    return PASSED


@config.command("path")
def config_path(config: ConfigOption = None) -> int:
    """The configuration file that would be used."""
    echo(str(asked.config(config).file.resolve()))
    return PASSED


@config.command("set")
def config_set(
    key: Annotated[str, typer.Argument(help="A dotted key, such as thresholds.coverage.")],
    value: Annotated[str, typer.Argument(help="TOML, or plain text.")],
    config: ConfigOption = None,
) -> int:
    """Change one setting in the file; its comments stay. A value that is not valid changes nothing."""
    from ray_tui.scaffold import edit

    path = asked.config_file(config)
    old, new = edit.set_value(path, key, value)
    echo(f"{path}: {key} = {new}" + (f" (was {old})" if old else ""))
    return PASSED
