"""The command line: arguments in, exit codes out."""

import gc
import os
import sys
import threading
from typing import NoReturn

from ray_tui import holding
from ray_tui.cli import attaching
from ray_tui.cli.said import INCONCLUSIVE, PASSED, TAMPERED, USAGE, say_failure
from ray_tui.core.errors import InputError, RayError, TamperError
from ray_tui.echo import echo

LOADED_SECONDS = 3.0
"""By then every import that a command needs is made."""


def main() -> NoReturn:
    """Run the command line; every foreseen failure ends in one clear message and a documented exit code."""
    _start_lightly()
    try:
        sys.exit(_carried_out(sys.argv[1:]))
    except TamperError as exc:
        _fail(str(exc), TAMPERED, exc.cause)
    except InputError as exc:
        _fail(str(exc), USAGE)
    except RayError as exc:
        _fail(str(exc), INCONCLUSIVE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PASSED)
    except Exception as exc:  # noqa: BLE001 (the last boundary: nothing is above it but the interpreter)
        # Ours, and not a gate's that failed: nothing was judged.
        _fail(f"an error of ray-tui's own: {exc!r:.200}. Please report it, with {_kept_traceback()}", INCONCLUSIVE)


def _carried_out(arguments: list[str]) -> int:
    joining = attaching.wanted(arguments)
    if joining is not None:
        return joining()
    from ray_tui.cli.app import carry_out

    return carry_out()


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
    echo(f"ray-tui: {message}", err=True)
    say_failure(message, code, cause)
    sys.exit(code)


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
