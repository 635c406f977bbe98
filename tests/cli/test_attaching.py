"""`attach` is read without Typer where it is plain what is meant, and then as Typer reads it."""

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from ray_tui.cli import attaching, joining
from ray_tui.cli.app import app

WORDS = st.sampled_from([
    "7f3a", "2026-11-22T1915Z-v1-7f3a1c", "--observe", "--plain", "--config", "--config=a.toml", "-c", "-cb.toml",
    "--as", "--as=tom", "--sign-with", "--sign-with=key", "--", "--help", "-h", "--obs", "--json", "-x", "-", "", "run",
    "--as=", "--config=", "--sign-with=", "--observe=yes", "-c=a.toml", "a b", "é",
])  # fmt: skip


def by_typer(arguments, monkeypatch):
    """What Typer hands to the command; None where it refuses, or says something itself."""
    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(attaching, "attach", lambda *args, **named: seen.append((args, named)) or 0)
        try:
            app(["attach", *arguments], standalone_mode=False)
        except Exception:
            return None
    return seen[0] if seen else None


def directly(arguments):
    found = attaching.wanted(["attach", *arguments])
    return None if found is None else (found.args, found.keywords)


@given(st.lists(WORDS, max_size=4))
def test_what_is_understood_here_is_what_typer_understands(arguments):
    """Any line of words: the same run, configuration, flags and key, or it is left to Typer."""
    found = directly(arguments)
    if found is not None:
        (run_id,), named = found
        with pytest.MonkeyPatch.context() as patch:
            (args, told) = by_typer(arguments, patch) or ((), {})
        assert (args, told) == ((run_id, named.pop("config")), named)


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("7f3a",), ("--observe",), ("7f3a", "--plain", "--config", "a.toml"), ("--as", "tom", "-c", "a.toml"),
        ("--sign-with=key.pub", "7f3a"),
    ],
)  # fmt: skip
def test_every_way_that_the_documentation_spells_it_is_understood_here(arguments, monkeypatch):
    """And is what Typer makes of it."""
    monkeypatch.delenv(attaching.KEY_VARIABLE, raising=False)
    assert directly(arguments) is not None


@pytest.mark.parametrize("arguments", [("--help",), ("a", "b"), ("--obs",), ("--config",), ("--json",)])
def test_what_is_not_plain_is_left_to_typer(arguments):
    """It has the help, and the words for what is wrong."""
    assert directly(arguments) is None


@pytest.mark.parametrize("value", ["", "~/.ssh/id_ed25519.pub"])
def test_the_signing_key_may_come_from_the_environment(value, monkeypatch):
    """As for every command that signs; an empty value is none."""
    monkeypatch.setenv(attaching.KEY_VARIABLE, value)
    assert directly(())[1]["sign_with"] == (Path(value) if value else None)
    assert by_typer((), monkeypatch)[1]["sign_with"] == (Path(value) if value else None)


def test_only_attach_is_read_here():
    """Everything else is Typer's."""
    assert [attaching.wanted(words) for words in ([], ["runs"], ["--version"], ["--observe", "attach"])] == [None] * 4


def test_both_know_the_same_options():
    """An option that the command gains must be known here as well."""
    (command,) = (one for one in (typer.main.get_command(_alone()),) if one is not None)
    theirs = {name for option in command.params for name in option.opts if option.param_type_name == "option"}
    assert theirs - {"--help", "-h", "--install-completion", "--show-completion"} == {
        *attaching.FLAGS, *attaching.WITH_VALUE, "-c",
    }  # fmt: skip


def _alone():
    alone = typer.Typer(add_completion=False)
    alone.command()(joining.attach)
    return alone
