"""`ray-tui config set` changes one setting: comments stay, and what is not valid is not written."""

import tomllib

import pytest

from ray_tui import scaffold
from ray_tui.core.errors import ConfigError, InputError
from ray_tui.scaffold import edit


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ray-tui.toml"
    path.write_text(scaffold.example())
    path.chmod(0o600)
    return path


def test_one_line_changes_and_every_comment_stays(file):
    """The rest of the file is the same, byte for byte."""
    before = file.read_text().splitlines()
    assert edit.set_value(file, "thresholds.coverage", "0.9") == ("0.95", "0.9")
    after = file.read_text().splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [
        (
            "coverage = 0.95 # gate 1: passing required cells / required cells",
            "coverage = 0.9 # gate 1: passing required cells / required cells",
        )
    ]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("key", "value", "stands"),
    [
        ("run.release", "v2", "v2"),
        ("run.release", "2.0", "2.0"),
        ("policy.unsigned_approvals", "true", True),
        ("paths.rules", '["a.yml", "b.yml"]', ["a.yml", "b.yml"]),
        ("notify.20.url", "https://other.example", "https://other.example"),
        ("services.search.critical", "true", True),
        ('schedule.assets."dashboard:a"', '{ cadence = "* * * * *", owner = "checkout-team" }', None),
        ("incidents.0.service_ids", '["P1"]', ["P1"]),
        ("services.checkout.names.metrics.job", "checkout", "checkout"),
    ],
)
def test_values_are_toml_or_plain_text(file, key, value, stands):
    """A string need not be quoted twice, even where it looks like a number."""
    edit.set_value(file, key, value)
    found = tomllib.loads(file.read_text())
    for part in edit._parts(key):
        found = found[int(part)] if isinstance(found, list) else found[part]
    assert stands is None or found == stands


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("thresholds.coverage", "2", "thresholds.coverage"),
        ("thresholds.coverge", "0.9", "is not a known key"),
        ("metrics.bearer_token", "abc123", "a secret is not written here"),
        ("services.checkout.owner", "ghosts", "not in [owners]"),
    ],
)
def test_a_value_that_is_not_valid_changes_nothing(file, key, value, said):
    """Validation comes before writing."""
    before = file.read_bytes()
    with pytest.raises(ConfigError) as caught:
        edit.set_value(file, key, value)
    assert said in str(caught.value)
    assert "abc123" not in str(caught.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize("key", ["", "a b", "[run]", "run.release = 1\nx", "run.release.part", "incidents.7.kind"])
def test_what_is_no_key_is_said(file, key):
    """Injection by key is no way in."""
    before = file.read_bytes()
    with pytest.raises(InputError):
        edit.set_value(file, key, "1")
    assert file.read_bytes() == before


def test_a_linked_file_stays_a_link(file, tmp_path):
    """Dotfile managers keep theirs elsewhere."""
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    edit.set_value(link, "ui.theme", "fjord")
    assert link.is_symlink()
    assert tomllib.loads(file.read_text())["ui"]["theme"] == "fjord"


def test_the_files_own_line_ends_stay(file):
    """A file from Windows differs in the one line."""
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    before = file.read_bytes().split(b"\n")
    edit.set_value(file, "thresholds.coverage", "0.9")
    after = file.read_bytes().split(b"\n")
    assert [b for a, b in zip(before, after, strict=True) if a != b] == [
        b"coverage = 0.9 # gate 1: passing required cells / required cells\r"
    ]
