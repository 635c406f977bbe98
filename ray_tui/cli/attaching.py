"""`ray-tui attach`, spelt as its help says, without Typer: a console must be there before one has looked away.

Typer, and pydantic which it loads to read an argument, are a quarter of a start. Whatever is not understood here, an
abbreviation, a mistake, --help, is Typer's; a test holds both to the same reading.
"""

import getopt
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ray_tui import holding
from ray_tui.cli import asked

FLAGS, WITH_VALUE = ("--observe", "--plain"), ("--config", "--sign-with", "--as")
KEY_VARIABLE = "RAY_TUI_SIGNING_KEY"


def wanted(arguments: Sequence[str]) -> Callable[[], int] | None:
    """What joins the run that these arguments mean; None where they are not plainly an `attach`."""
    if not arguments or arguments[0] != "attach":
        return None
    words = arguments[1:]
    if any(word.startswith("--") and word.partition("=")[0] not in (*FLAGS, *WITH_VALUE) for word in words):
        return None
    try:
        given, named = getopt.gnu_getopt(
            list(words), "c:", [*(flag[2:] for flag in FLAGS), *(f"{option[2:]}=" for option in WITH_VALUE)]
        )
    except getopt.GetoptError:
        return None
    if len(named) > 1:
        return None
    said = dict(given)
    config, key = said.get("--config", said.get("-c")), said.get("--sign-with", os.environ.get(KEY_VARIABLE) or None)
    if "--config" in said and "-c" in said:
        return None
    return partial(
        attach,
        named[0] if named else None,
        config=Path(config) if config is not None else None,
        observe="--observe" in said,
        plain="--plain" in said,
        sign_with=Path(key) if key is not None else None,
        plays=said.get("--as", ""),
    )


def attach(
    run_id: str | None, config: Path | None, *, observe: bool, plain: bool, sign_with: Path | None, plays: str
) -> int:
    return holding.join(asked.config_file(config), run_id, observe, plain, sign_with, plays)
