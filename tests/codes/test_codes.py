"""Acknowledgement codes: only who received a message knows its code."""

import stat

import pytest

from ray_tui.codes import CODE, KEY_NAME, Codes
from ray_tui.core.errors import InputError

MAIL, CHAT = ("7f3a-a1-ops-ack", "email"), ("7f3a-a1-ops-ack", "slack")


def test_a_code_is_the_same_after_a_restart_and_another_in_another_run(tmp_path):
    """A resumed run takes the codes that are out; they are worth nothing in any other run."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    before = Codes(tmp_path / "a").of(MAIL)
    assert CODE.fullmatch(before)
    assert Codes(tmp_path / "a").of(MAIL) == before
    assert Codes(tmp_path / "b").of(MAIL) != before
    assert Codes(tmp_path / "a").of(CHAT) != before


def test_the_key_may_be_read_by_its_owner_alone(tmp_path):
    """Mode 0600 from the first moment, and nothing else is left beside it; a key that others read is not used."""
    Codes(tmp_path).of(MAIL)
    assert [one.name for one in tmp_path.iterdir()] == [KEY_NAME]
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600
    (tmp_path / KEY_NAME).chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        Codes(tmp_path).of(MAIL)


def test_a_key_that_a_full_disk_cut_off_is_made_anew(tmp_path):
    """A short key is none: codes from an empty one could be guessed."""
    (tmp_path / KEY_NAME).touch(mode=0o600)
    Codes(tmp_path).of(MAIL)
    assert (tmp_path / KEY_NAME).stat().st_size == 32


def test_a_key_is_no_link(tmp_path):
    """Nobody can have us read, or write, another file."""
    (tmp_path / KEY_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        Codes(tmp_path).of(MAIL)
    assert not (tmp_path / "elsewhere").exists()


def test_a_code_is_found_as_people_type_it(tmp_path):
    """Small letters, spaces and hyphens do not matter; one wrong letter does."""
    codes = Codes(tmp_path)
    code = codes.of(CHAT)
    assert codes.find(f" {code[:5].lower()}-{code[5:]} ", [MAIL, CHAT]) == CHAT
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert codes.find(wrong, [MAIL, CHAT]) is None
    assert codes.find("", [MAIL, CHAT]) is None
    assert codes.find(code, []) is None
