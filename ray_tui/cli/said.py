"""What a command ends with: an exit code, and text or one JSON document."""

import json
import sys
from typing import Any

from ray_tui.echo import echo

PASSED, FAILED, USAGE, INCONCLUSIVE, TAMPERED, ABORTED = range(6)
ABORTED_BY_KEY = 130
"""Ctrl-C, or the end of the input, where a question waits for an answer."""


def say(value: Any, as_json: bool, text: str) -> None:
    echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) if as_json else text)


def say_failure(message: str, code: int, cause: str = "") -> None:
    """Whoever asked for a document gets one, whatever went wrong; also where the arguments could not be read."""
    if "--json" in sys.argv[1:]:
        say({"error": message, "exit_code": code, "cause": cause}, True, "")
