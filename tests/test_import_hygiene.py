"""What is imported when: a gate check in CI must not pay for a console, nor a headless run for a web server."""

import subprocess
import sys
from pathlib import Path

import pytest

from ray_tui.cli.commands import FILES

ROOT = Path(__file__).parents[1]
HEAVY = frozenset({
    "textual", "rich", "starlette", "uvicorn", "httpx", "pydantic", "typer", "yaml", "promql_parser", "aiosmtpd",
    "tomlkit", "cronsim", "markdown_it", "asyncio",
})  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The modules that are loaded after a statement, in a process of its own."""
    code = f"{statement}\nimport sys\nprint('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def imported_by(statement: str) -> set[str]:
    """The heavy packages among them."""
    return HEAVY & {name.partition(".")[0] for name in loaded_by(statement)}


def run_of(*arguments: str) -> str:
    return (
        f"import sys, runpy\nsys.argv = ['ray-tui', *{list(arguments)!r}]\n"
        "try:\n    runpy.run_module('ray_tui', run_name='__main__')\nexcept SystemExit:\n    pass"
    )


def test_the_package_itself_imports_nothing():
    """`import ray_tui` is free."""
    assert imported_by("import ray_tui") == set()


def test_the_line_by_line_console_speaks_the_panes_words_without_textual():
    """It reads the same rows and details, and paints nothing."""
    assert imported_by("import ray_tui.plain") <= {"pydantic", "asyncio"}


def test_a_headless_run_needs_neither_a_console_nor_a_web_server():
    """Importing the follower loads no front end and no demo."""
    assert imported_by("import ray_tui.headless") <= {"pydantic", "asyncio"}


@pytest.mark.parametrize("module", ["ray_tui.plain", "ray_tui.core.state", "ray_tui.engine", "ray_tui.wiring"])
def test_no_module_but_the_console_loads_textual(module):
    """The run's process paints nothing and serves no demo."""
    assert not imported_by(f"import {module}") & {"textual", "rich", "starlette", "uvicorn"}


def test_saying_the_version_is_quick():
    """No HTTP client and no console for one line of text."""
    assert not imported_by(run_of("--version")) & {"httpx", "textual", "rich", "starlette", "uvicorn"}


@pytest.mark.parametrize("arguments", [("gates", "--evidence", "/nonexistent"), ("verify", "/nonexistent"), ("runs",)])
def test_judging_offline_loads_no_http_client(arguments):
    """CI judges files: nothing that could reach a network is loaded."""
    assert not imported_by(run_of(*arguments)) & {"httpx", "textual", "rich", "starlette", "uvicorn", "aiosmtpd"}


@pytest.mark.parametrize(
    ("arguments", "files"),
    [(("attach", "--help"), {"joining"}), (("gate", "handoff", "--help"), {"judging"}), (("--version",), set())],
)
def test_a_start_loads_the_file_of_the_command_that_is_asked_for(arguments, files):
    """The other commands are neither loaded nor built; help of them all loads them all."""
    of_commands = {f"ray_tui.cli.{name}" for name in FILES.values()}
    assert loaded_by(run_of(*arguments)) & of_commands == {f"ray_tui.cli.{name}" for name in files}
    assert of_commands <= loaded_by(run_of("--help"))


def test_a_console_that_joins_a_run_loads_no_parser_of_arguments_nor_of_what_people_write():
    """Typer and pydantic are a quarter of a start: the arguments are plain, and the host has read the configuration."""
    statement = (
        "from ray_tui.cli import attaching\nassert attaching.wanted(['attach', '--observe']) is not None\n"
        "import ray_tui.whereabouts, ray_tui.runs_on_disk, ray_tui.rendezvous, ray_tui.handles.socket\n"
        "import ray_tui.evidence.own_keys, ray_tui.tui.app"
    )
    assert not imported_by(statement) & {"typer", "pydantic", "httpx", "tomlkit", "yaml", "promql_parser"}
