"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from ray_tui.cli.attaching import KEY_VARIABLE

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file (ray-tui.toml).")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SignOption = Annotated[
    Path | None,
    typer.Option("--sign-with", envvar=KEY_VARIABLE, help="Sign approvals with this SSH key (a .pub: by the agent)."),
]


def _seconds(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"{value:g} is no number of seconds; 0 is never")
    return value


TimeoutOption = Annotated[
    float, typer.Option(help="Seconds after which a headless run gives up; 0: never.", callback=_seconds)
]
EvidenceOption = Annotated[
    Path | None,
    typer.Option("--evidence", help="The folder that holds the evidence; by default where the configuration has it."),
]
