"""Secrets are named, never written: what a reference allows, and what its errors may say."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from ray_tui.core.errors import ConfigError
from ray_tui.secrets import SecretRef

LITERAL = "xoxb-very-secret-value"


class Section(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    token: SecretRef


def test_a_literal_secret_is_refused_and_not_repeated():
    """A literal is a validation error that names the three forms and does not echo the value."""
    with pytest.raises(ValidationError) as caught:
        Section(token=LITERAL)

    assert LITERAL not in str(caught.value)
    assert LITERAL not in json.dumps(caught.value.errors(include_input=False))
    assert all(form in str(caught.value) for form in ("env:NAME", "file:", "cmd:"))


@pytest.mark.parametrize("text", ["", "env:", "ENV:X", "file: ", "cmd:'open", "vault:x", "env:A-B"])
def test_what_is_none_of_the_three_forms_is_refused(text: str):
    """Empty, unknown and half-written references are refused when they are read."""
    with pytest.raises(ValueError):
        SecretRef.parse(text)


def test_an_environment_variable_is_read_late(monkeypatch: pytest.MonkeyPatch):
    """The value is the variable's at the time of asking, not at the time of configuring."""
    ref = Section(token="env:RAY_TUI_TEST_SECRET").token
    with pytest.raises(ConfigError, match="env:RAY_TUI_TEST_SECRET is not set"):
        ref.resolve()

    monkeypatch.setenv("RAY_TUI_TEST_SECRET", LITERAL)

    assert ref.resolve() == LITERAL
    assert LITERAL not in repr(ref) + str(ref) + str(Section(token=ref))


def test_a_file_is_read_from_the_base_without_its_line_end(tmp_path: Path):
    """A relative path starts at the base; the trailing newline is no part of the secret."""
    (tmp_path / "token").write_text(f"{LITERAL}\n")
    (tmp_path / "token").chmod(0o600)

    assert SecretRef.parse("file:token").resolve(tmp_path) == LITERAL


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int):
    """Group or world bits on a secret's file are an error that says chmod 600 and not the secret."""
    (tmp_path / "token").write_text(LITERAL)
    (tmp_path / "token").chmod(mode)

    with pytest.raises(ConfigError, match="chmod 600") as caught:
        SecretRef.parse("file:token").resolve(tmp_path)
    assert LITERAL not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"), [("", "empty"), ("one\ntwo", "more than one line"), ("a\x1bb", "control")]
)
def test_a_file_without_exactly_one_line_is_refused(tmp_path: Path, content: str, said: str):
    """An empty file, two lines or control characters are no secret."""
    (tmp_path / "token").write_text(content)
    (tmp_path / "token").chmod(0o600)

    with pytest.raises(ConfigError, match=said):
        SecretRef.parse("file:token").resolve(tmp_path)


def test_a_missing_file_names_the_reference(tmp_path: Path):
    """The error says which reference could not be read."""
    with pytest.raises(ConfigError, match="file:nowhere cannot be read"):
        SecretRef.parse("file:nowhere").resolve(tmp_path)


def test_a_command_is_run_without_a_shell(tmp_path: Path):
    """The program's output is the secret; shell syntax in its arguments stays text."""
    assert SecretRef.parse("cmd:printf '%s\\n' 'a $(id) b'").resolve(tmp_path) == "a $(id) b"


def test_a_command_that_fails_says_its_status_and_not_its_output():
    """What a failing program printed may be secret: only its name and status are told."""
    ref = SecretRef.parse(f"cmd:sh -c 'echo {LITERAL}; exit 3'")

    with pytest.raises(ConfigError, match="cmd:sh … ended with status 3") as caught:
        ref.resolve()
    assert LITERAL not in str(caught.value) + repr(ref)


def test_a_command_that_cannot_be_started_is_named():
    """A program that is not there is an error that names it."""
    with pytest.raises(ConfigError, match="cmd:no-such-program-here cannot be started"):
        SecretRef.parse("cmd:no-such-program-here").resolve()
