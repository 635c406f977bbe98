"""What a command ends with: an exit code, and text or one JSON document."""

import json
from typing import Any

import typer

PASSED, FAILED, USAGE, INCONCLUSIVE, TAMPERED, ABORTED = range(6)


def say(value: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) if as_json else text)
