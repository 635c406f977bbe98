"""Which commands there are, and where: a command is loaded and built when it is asked for.

Only help, completion, and the search for what a wrong name may have meant look at all of them.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

FILES = {
    "run": "carrying_out",
    "demo": "carrying_out",
    "attach": "joining",
    "sign": "carrying_out",
    "acknowledge": "joining",
    "replay": "looking",
    "diff": "looking",
    "runs": "looking",
    "_host": "carrying_out",
    "gates": "judging",
    "check": "judging",
    "prerequisites": "judging",
    "baseline": "judging",
    "evidence": "judging",
    "verify": "judging",
    "doctor": "setting_up",
    "locations": "setting_up",
    "themes": "setting_up",
    "init": "setting_up",
    "gate": "judging",
    "config": "setting_up",
}
"""In the order of the help; a command is the function, or the group, of its name."""


@cache
def _built(name: str) -> Any:
    found = getattr(import_module(f"ray_tui.cli.{FILES[name]}"), name)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, hidden=name.startswith("_"))(found)
    return get_command(alone)


class _Built(Mapping[str, Any]):
    """By name; to go through the names builds nothing."""

    def __getitem__(self, name: str) -> Any:
        return _built(name)

    def __iter__(self) -> Iterator[str]:
        return iter(FILES)

    def __len__(self) -> int:
        return len(FILES)


class Commands(TyperGroup):
    """The group of them all."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "commands": _Built()})
