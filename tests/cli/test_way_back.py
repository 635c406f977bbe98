"""What a console says when it is left: how the same person comes back as they were, or goes on without a host."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ray_tui import holding, rendezvous
from ray_tui.cli.app import app
from tests.fakes import a_config

RUN = "2026-11-22T1155Z-checkout-v2.4.1-7f3a1c"


@pytest.fixture
def chosen(tmp_path):
    return a_config(tmp_path)


@pytest.mark.parametrize(
    ("observe", "plain", "key", "plays", "kept"),
    [
        (False, False, None, "", ""),
        (True, True, None, "", "--observe --plain "),
        (False, False, Path("/home/sam/my key"), "sam", "--sign-with '/home/sam/my key' --as sam "),
    ],
)
def test_while_a_host_is_there_the_same_console_is_opened_again(chosen, observe, plain, key, plays, kept):
    """Whether it answers or is stopped: with the options that it was started with."""
    lock = rendezvous.Lock.take(chosen.store / "runs" / RUN)
    said = holding._way_back(chosen, RUN, holding._words(observe, plain, key, plays))
    lock.release()
    assert said.startswith("Come back: ")
    assert said.endswith(f" attach {RUN} {kept}--config {chosen.file.resolve()}")


def test_where_no_host_is_left_the_run_is_resumed(chosen):
    """To attach would find nobody. Who one plays, and that one only watches, is not for who carries it on."""
    words = holding._words(True, True, Path("/keys/mira"), "mira")
    said = holding._way_back(chosen, RUN, words)
    assert said.startswith("No host carries it out now; go on with it: ")
    assert f" run --resume --run {RUN} --plain --sign-with /keys/mira --config {chosen.file.resolve()}" in said


@pytest.mark.parametrize("locked", [True, False])
def test_what_is_said_is_a_command_that_there_is(chosen, locked):
    """Its options are the command's own."""
    lock = rendezvous.Lock.take(chosen.store / "runs" / RUN) if locked else None
    said = holding._way_back(chosen, RUN, holding._words(True, True, Path("/k"), "sam"))
    if lock is not None:
        lock.release()
    found = re.search(r" ((attach|run) .*)", said.split(": ", 1)[1])
    assert found
    told = CliRunner().invoke(app, [found.group(2), "--help"], env={"COLUMNS": "200"}).output
    for word in shlex.split(found.group(1)):
        assert not word.startswith("--") or word in told
