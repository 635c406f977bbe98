"""Every command of the command line, found by walking it; so that no list of them can be out of date."""

from typing import Any

import typer.main

from ray_tui.cli.app import app


def commands() -> list[tuple[str, ...]]:
    """The words of each visible command: ("run",), ("gate", "alerts"), …"""
    return sorted(words for words, _ in walk(typer.main.get_command(app)))


def walk(command: Any, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """(words, command) of each visible command under this one."""
    inside = getattr(command, "commands", None)
    if inside is None:
        return [(words, command)]
    return [found for name, one in inside.items() if not one.hidden for found in walk(one, (*words, name))]
