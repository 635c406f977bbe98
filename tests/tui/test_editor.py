"""The person's own editor: found, run, and what it leaves behind."""

import pytest

from ray_tui.tui import editor


def test_the_editor_gives_back_what_was_saved(tmp_path):
    """A real editor program, and one that fails."""
    program = tmp_path / "editor"
    program.write_text("#!/bin/sh\nprintf ' more' >> \"$1\"\n")
    program.chmod(0o755)
    assert editor.edited([str(program)], "text") == "text more"
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ValueError, match="code 3"):
        editor.edited([str(program)], "text")


def test_visual_comes_before_editor_and_both_before_what_is_found(tmp_path, monkeypatch):
    """Both consoles ask here, so both use the same one; without any there is none."""
    assert editor.command({"VISUAL": "code --wait", "EDITOR": "vi"}) == ("code", "--wait")
    assert editor.command({"EDITOR": "vi"}) == ("vi",)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert editor.command({}) == ()
    (tmp_path / "nano").write_text("")
    (tmp_path / "nano").chmod(0o755)
    assert editor.command({}) == ("nano",)
