"""Commands that a person is to paste begin with what this terminal would find."""

import sys

import pytest

from ray_tui import invoked


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A ray-tui in a folder of its own, as in a virtual environment; gives its path."""
    path = tmp_path / "venv" / "bin" / "ray-tui"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path), "demo"])
    return path


def test_the_name_is_enough_where_the_shell_finds_this_very_one(installed, monkeypatch):
    """It is on the PATH."""
    monkeypatch.setenv("PATH", str(installed.parent))
    assert invoked.command("attach", "a b") == "ray-tui attach 'a b'"


@pytest.mark.parametrize("another", [True, False])
def test_its_path_is_said_where_the_shell_would_find_another_or_none(installed, monkeypatch, tmp_path, another):
    """Started as .venv/bin/ray-tui, as the README does."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    if another:
        (there / "ray-tui").write_text("#!/bin/sh\n")
        (there / "ray-tui").chmod(0o755)
    monkeypatch.setenv("PATH", str(there))
    assert invoked.command("runs") == f"{installed} runs"


def test_a_module_is_named_as_one(monkeypatch, tmp_path):
    """``python -m ray_tui`` where nothing is installed under the name."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/ray_tui/__main__.py", "demo"])
    monkeypatch.setattr(sys, "executable", "/opt/python3")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invoked.program() == "/opt/python3 -m ray_tui"
