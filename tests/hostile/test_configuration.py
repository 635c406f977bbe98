"""A configuration that is wrong in any way: exit 2 with file and line, or an error that names the secret, never it."""

import os
import re

import pytest

from tests.hostile.world import as_user, no_secret_in, program

LITERAL = "xoxb-1234567890-literal-secret"


def shown(repo):
    return program("config", "path", "--config", repo.config, seconds=20)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[thresholds]\n", "[thresholds]\ncovrage = 0.9\n", ("thresholds.covrage", "not a known key")),
        ("[thresholds]\n", '[thresholds]\ncoverage = "most"\n', ("thresholds.coverage", "number")),
        ("[thresholds]\n", "[thresholds]\ncoverage = nan\n", ("thresholds.coverage",)),
        ("[chat]\n", "[chatt]\n", ("chatt", "not a known key")),
        ('kind = "loki"', 'kind = "splunk"', ("logs.kind", "loki")),
        ('token = "file:secrets/slack"', f'token = "{LITERAL}"', ("chat.token", "env:NAME")),
        ('release = "checkout-v2.4.1"', 'release = "../../etc"', ("run.release",)),
        ("[run]\n", "[run\n", ("line 5", "TOML")),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_number(repo, old, new, words):
    """Exit 2, file:line, the key, what is allowed; never the value of a secret."""
    repo.edit((old, new))
    done = program("run", "--headless", "--config", repo.config, "--answers", repo.answers)
    assert done.code == 2, done.said
    assert "ray-tui.toml" in done.err
    assert re.search(r"ray-tui.toml:\d+:|at line \d+", done.err)
    for word in words:
        assert word in done.err
    assert LITERAL not in done.said
    assert repo.run_folder() is None


def no_file(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_fifo(path):
    path.unlink()
    os.mkfifo(path)


def binary(path):
    path.write_bytes(bytes(range(256)) * 64)


def empty(path):
    path.write_bytes(b"")


def huge(path):
    with path.open("ab") as file:
        file.write(b"# " + b"x" * 50 * 1024 * 1024 + b"\n")


def deep(path):
    path.write_bytes(b"a = " + b"[" * 20_000 + b"]" * 20_000)


@pytest.mark.parametrize("ruin", [no_file, a_folder, a_fifo, binary, empty, huge, deep], ids=lambda ruin: ruin.__name__)
def test_a_file_that_is_no_configuration_is_named(repo, ruin):
    """Exit 2, the path, what to do; at once, and in little memory."""
    ruin(repo.config)
    done = shown(repo)
    assert done.code == 2, done.said
    assert "ray-tui.toml" in done.err
    assert done.peak_kib < 160 * 1024


SECRET_FAULTS = {
    "readable": ("chmod 600", lambda path: path.chmod(0o644)),
    "missing": ("cannot be read", lambda path: path.unlink()),
    "empty": ("is empty", lambda path: path.write_bytes(b"\n")),
    "binary": ("not UTF-8", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "huge": ("larger than", lambda path: path.write_bytes(b"x" * 50_000_000)),
    "two-lines": ("control characters", lambda path: path.write_bytes(b"xoxb-demo\nX-Evil: 1\n")),
    "folder": ("secrets/slack", a_folder),
    "fifo": ("no regular file", a_fifo),
}


@pytest.mark.parametrize("fault", SECRET_FAULTS)
def test_a_secret_that_cannot_be_had_is_an_error_of_that_system(repo, fault):
    """Exit 3; the verdict names the reference and what to do; the others are judged all the same. (P16)"""
    words, ruin = SECRET_FAULTS[fault]
    path = repo.folder / "secrets" / "slack"
    path.chmod(0o600)
    ruin(path)
    if path.is_file() and fault != "readable":
        path.chmod(0o600)
    done = program(
        "prerequisites", "--json", "--config", repo.config, "--answers", repo.answers, seconds=20, cwd=repo.folder
    )
    assert done.code == 3, done.said
    found = {one["id"]: one for one in done.summary["criteria"]}
    chat = found["prerequisites.system:chat"]
    assert chat["verdict"] == "error"
    assert "secrets/slack" in chat["actual"]
    assert words in chat["actual"]
    assert found["prerequisites.system:metrics"]["verdict"] == "passed"
    no_secret_in(done, repo)


def test_an_environment_variable_that_is_not_set_is_named(repo):
    """The variable's name and what to do, in the verdict of the system that needs it. (P15)"""
    repo.edit(('file:secrets/pagerduty"', 'env:RAY_TUI_NO_SUCH"'))
    done = repo.run()
    assert done.code == 3, done.said
    said = repo.criteria()["prerequisites.system:paging"].actual
    assert "RAY_TUI_NO_SUCH" in said
    assert "export" in said


def test_a_configuration_that_may_not_be_read_is_named(repo):
    """As a user without rights: exit 2, the path, permissions."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody else")
    repo.config.chmod(0o600)
    somebody = as_user(65534)
    done = program("config", "path", "--config", repo.config, wrap=somebody, cwd="/")
    assert done.code == 2, done.said
    assert "ray-tui.toml" in done.err
    assert "ermission" in done.err
