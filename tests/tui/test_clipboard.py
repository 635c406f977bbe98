"""What is copied also lies in a file, on a home that has no folder for it yet."""

import stat

from ray_tui.tui import clipboard


def test_the_first_copy_makes_its_folder(tmp_path):
    """For the person alone: what is copied may name things that others need not read."""
    folder = tmp_path / "cache" / "ray-tui"
    path = clipboard.to_file("sha256 abc", folder)
    assert path is not None
    assert path.read_text("utf-8") == "sha256 abc"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_without_a_place_there_is_no_file(tmp_path):
    """No folder was named, or something else stands where it should be."""
    (tmp_path / "taken").write_text("")
    assert clipboard.to_file("x", None) is None
    assert clipboard.to_file("x", tmp_path / "taken") is None
