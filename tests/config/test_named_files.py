"""A run needs the files that its configuration names; to read a configuration, nobody does."""

import os

import pytest

from ray_tui import config, named_files
from ray_tui.core.errors import ConfigError

TEXT = """\
[run]
release = "v1"
[policy]
allowed_signers = "signers"
[metrics]
kind = "prometheus"
url = "https://m"
ca_file = "ca.pem"
[metrics.headers]
X-Gate = "file:gate"
[[incidents]]
kind = "file"
path = "incidents.csv"
[rules]
kind = "directory"
directory = "rules"
[acknowledge]
listen = "127.0.0.1:0"
slack_signing_secret = "file:slack"
"""
LINES = {
    "signers": "ray-tui.toml:4: policy.allowed_signers: ",
    "ca.pem": "ray-tui.toml:8: metrics.ca_file: ",
    "gate": "ray-tui.toml:10: metrics.headers.X-Gate: ",
    "incidents.csv": "ray-tui.toml:13: incidents.0.path: ",
    "slack": "ray-tui.toml:19: acknowledge.slack_signing_secret: ",
}


@pytest.fixture
def chosen(tmp_path):
    """A configuration whose files are all there."""
    (tmp_path / "ray-tui.toml").write_text(TEXT)
    for name in LINES:
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
    return config.load(tmp_path / "ray-tui.toml")


def refused(chosen):
    with pytest.raises(ConfigError) as caught:
        named_files.require(chosen)
    return str(caught.value)


def test_files_that_are_there_are_enough(chosen):
    """A folder for rules is made by the run."""
    assert named_files.require(chosen) is chosen


@pytest.mark.parametrize("name", LINES)
def test_a_missing_file_is_named_with_its_line(chosen, name):
    """File, line, key, and why; the configuration itself still loads."""
    (chosen.folder / name).unlink()
    config.load(chosen.file)
    said = refused(chosen)
    assert LINES[name] in said
    assert name in said.partition(LINES[name])[2]
    assert said.count("ray-tui.toml:") == 1


@pytest.mark.parametrize("name", LINES)
def test_what_is_no_file_is_named_at_once(chosen, name):
    """A FIFO that nobody writes to is not waited for."""
    (chosen.folder / name).unlink()
    os.mkfifo(chosen.folder / name, 0o600)
    assert LINES[name] in refused(chosen)


def test_a_secret_that_others_may_read_is_refused_without_showing_it(chosen):
    """Its key and its line, and chmod."""
    (chosen.folder / "gate").chmod(0o640)
    said = refused(chosen)
    assert (
        said == f"{chosen.file}:10: metrics.headers.X-Gate: file:gate may be read by others (mode 0640): chmod 600 it"
    )


def test_every_missing_file_is_told_at_once(chosen):
    """In the order of the file."""
    for name in LINES:
        (chosen.folder / name).unlink()
    said = refused(chosen)
    assert [line.split("ray-tui.toml")[1].split(": ")[0] for line in said.splitlines()] == [
        ":4", ":8", ":10", ":13", ":19",
    ]  # fmt: skip
