"""All commands under one name, as Typer carries them out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ray_tui import __version__, holding, whereabouts
from ray_tui.cli.commands import Commands
from ray_tui.cli.said import ABORTED_BY_KEY, PASSED, USAGE, say_failure
from ray_tui.core.errors import InputError
from ray_tui.echo import echo

app = typer.Typer(
    cls=Commands,
    name="ray-tui",
    help="Prove, right after a deployment, that the release is really being watched.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # [run] is a table of the configuration, not a style
    context_settings={"help_option_names": ["-h", "--help"]},
)


def carry_out() -> int:
    """The command that the arguments name; its exit code. What is wrong with the arguments is said here."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as exc:
        return int(exc.exit_code)
    except typer.Abort:
        return ABORTED_BY_KEY
    except Exception as exc:
        show = getattr(exc, "show", None)  # one of Typer's: it knows its usage line
        if show is None:
            raise
        show()
        say_failure(getattr(exc, "message", str(exc)), USAGE)
        return USAGE
    return code if isinstance(code, int) else PASSED


@app.callback(invoke_without_command=True)
def _default(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        echo(f"ray-tui {__version__}")
        raise typer.Exit(PASSED)
    if ctx.invoked_subcommand is not None:
        return
    found = whereabouts.find(Path.cwd())
    if found is not None:
        from ray_tui import config

        raise typer.Exit(holding.on_console(config.load(found), resume=None, observe=False, plain=False))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "no ray-tui.toml here or above, and no terminal to ask on. `ray-tui demo --headless` needs none."
        )
    if typer.confirm("No ray-tui.toml here or above. Start the demo (a whole stack on this machine, no set-up)?", True):
        from ray_tui.cli.carrying_out import demo

        raise typer.Exit(demo())
    echo("`ray-tui init` writes a configuration to start from.")
    raise typer.Exit(PASSED)
