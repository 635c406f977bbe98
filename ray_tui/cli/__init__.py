"""The command line: arguments in, exit codes out, and the only place that prints."""

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ray_tui import __version__, holding
from ray_tui.cli.commands import Commands
from ray_tui.cli.said import ABORTED, FAILED, INCONCLUSIVE, PASSED, TAMPERED, USAGE, say
from ray_tui.core.errors import InputError, RayError, TamperError

__all__ = ["ABORTED", "FAILED", "INCONCLUSIVE", "PASSED", "TAMPERED", "USAGE", "app", "main"]

LOADED_SECONDS = 3.0
"""By then every import that a command needs is made."""

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


def main() -> NoReturn:
    """Run the command line; every foreseen failure ends in one clear message and a documented exit code."""
    _start_lightly()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else PASSED)
    except TamperError as exc:
        _fail(str(exc), TAMPERED, exc.cause)
    except InputError as exc:
        _fail(str(exc), USAGE)
    except RayError as exc:
        _fail(str(exc), INCONCLUSIVE)
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PASSED)
    except Exception as exc:  # noqa: BLE001 (the last boundary: nothing is above it but the interpreter)
        show = getattr(exc, "show", None)
        if show is None:  # ours, and not a gate's that failed: nothing was judged
            _fail(f"an error of ray-tui's own: {exc!r:.200}. Please report it, with {_kept_traceback()}", INCONCLUSIVE)
        show()
        _say_failure(getattr(exc, "message", str(exc)), USAGE)
        sys.exit(USAGE)


def _start_lightly() -> None:
    """A start is imports: they make objects that stay, and next to no garbage to look for.

    What was loaded when the collector goes on is left out for good, so that no key ever waits for a look at it. Other
    packages' pydantic plugins are not ours to run, and to look for them reads every installed package.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()

    def go_on() -> None:
        gc.freeze()
        gc.enable()

    loaded = threading.Timer(LOADED_SECONDS, go_on)
    loaded.daemon = True
    loaded.start()


def _fail(message: str, code: int, cause: str = "") -> NoReturn:
    typer.echo(f"ray-tui: {message}", err=True)
    _say_failure(message, code, cause)
    sys.exit(code)


def _say_failure(message: str, code: int, cause: str = "") -> None:
    """Whoever asked for a document gets one, whatever went wrong; also where the arguments could not be read."""
    if "--json" in sys.argv[1:]:
        say({"error": message, "exit_code": code, "cause": cause}, True, "")


def _kept_traceback() -> str:
    """Where the traceback of the exception in hand lies."""
    import traceback

    path = holding.cache() / "error.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as exc:
        return f"its traceback, which could not be kept ({exc})"
    return str(path)


@app.callback(invoke_without_command=True)
def _default(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"ray-tui {__version__}")
        raise typer.Exit(PASSED)
    if ctx.invoked_subcommand is not None:
        return
    from ray_tui import config

    found = config.find(Path.cwd())
    if found is not None:
        raise typer.Exit(holding.on_console(config.load(found), resume=None, observe=False, plain=False))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "no ray-tui.toml here or above, and no terminal to ask on. `ray-tui demo --headless` needs none."
        )
    if typer.confirm("No ray-tui.toml here or above. Start the demo (a whole stack on this machine, no set-up)?", True):
        from ray_tui.cli.carrying_out import demo

        raise typer.Exit(demo())
    typer.echo("`ray-tui init` writes a configuration to start from.")
    raise typer.Exit(PASSED)
