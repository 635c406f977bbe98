"""Rule files on a file system: whole or not at all, and never outside their folder."""

from pathlib import Path

import pytest

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendRefused, BackendUnreachable


def store(folder: Path, **fields):
    settings = settings_model("rules", "directory")(kind="directory", directory="rules", **fields)
    opening = Opening(Clock(), jitter=lambda: 0.0, config_folder=folder)
    return open_backend("rules", settings, opening)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    return tmp_path


async def test_a_file_is_replaced_whole_and_readable_for_the_server(folder: Path):
    """The new text is there, with mode 0644, and no temporary file stays behind."""
    await store(folder).write("a.yml", "one: 1\n")
    await store(folder).write("a.yml", "two: ü\n")

    assert await store(folder).read("a.yml") == "two: ü\n"
    assert (folder / "rules/a.yml").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (folder / "rules").iterdir()] == ["a.yml"]


@pytest.mark.parametrize(
    "name", ["../a.yml", "/etc/a.yml", "a/b.yml", ".hidden.yml", "a.txt", "", "a.yml\n", "a\x00.yml"]
)
async def test_a_name_that_leaves_the_folder_is_refused(folder: Path, name: str):
    """Only plain rule file names are read, written or removed."""
    for call in (store(folder).read(name), store(folder).write(name, "x"), store(folder).remove(name)):
        with pytest.raises(BackendRefused, match="no name for a rule file"):
            await call
    assert list((folder / "rules").iterdir()) == []


async def test_a_missing_folder_is_refused_and_a_missing_file_is_none(tmp_path: Path):
    """Reading what is not there is None; writing to nowhere is an error that names the path."""
    assert await store(tmp_path).read("a.yml") is None
    with pytest.raises(BackendRefused, match=r"cannot write .*rules/a\.yml"):
        await store(tmp_path).write("a.yml", "x")


async def test_removing_what_is_not_there_is_fine(folder: Path):
    """Removing twice ends in the same state."""
    await store(folder).write("a.yml", "x: 1")
    await store(folder).remove("a.yml")
    await store(folder).remove("a.yml")
    assert await store(folder).read("a.yml") is None


async def test_a_server_that_cannot_be_told_is_an_error(folder: Path):
    """A reload that reached nobody is not silently done; without servers there is nobody to tell."""
    await store(folder).reload()
    with pytest.raises(BackendUnreachable):
        await store(folder, reload_urls=["http://127.0.0.1:9/-/reload"]).reload()
