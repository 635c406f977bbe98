"""The host sees that its configuration file has changed, puts it on record, and goes by what it began with."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_tui import config, rereading, wiring
from ray_tui.core import facts as f
from ray_tui.engine import Engine

BEGUN = '[run]\nrelease = "v1"\n'


Stamp = tuple[int, int, int] | None


@pytest.fixture(autouse=True)
def stamps(monkeypatch: pytest.MonkeyPatch) -> list[Stamp]:
    """What each look of the watchers has found, as it is found; they look soon."""
    found: list[Stamp] = []
    usual = rereading._stamp

    def noted(path: Path) -> Stamp:
        found.append(usual(path))
        return found[-1]

    monkeypatch.setattr(rereading, "_stamp", noted)
    monkeypatch.setattr(rereading, "LOOK_SECONDS", 0.01)
    return found


def said(engine: Engine) -> list[f.ConfigurationChanged]:
    return [one.entry.fact for one in engine.lines if isinstance(one.entry.fact, f.ConfigurationChanged)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def dealt_with(stamps: list[Stamp]) -> None:
    """Wait until the watcher has looked at the file as it is now, and looked again: the first look is then over."""
    before = len(stamps)
    await until(lambda: len(stamps) >= before + 2)


async def test_a_change_is_on_record_once_and_what_was_read_still_counts(tmp_path: Path, stamps: list[Stamp]) -> None:
    """Nothing that the host goes by moves under it; a file that says the same again is said, too."""
    file = tmp_path / config.FILE_NAME
    file.write_text(BEGUN)
    async with wiring.engine_for(config.load(file), "r-1", resume=False) as engine:
        file.write_text(BEGUN + "[thresholds]\ncoverage = 0.5\n")
        await until(lambda: engine.state.changed_file == config.FILE_NAME)
        assert engine.config.thresholds.coverage == 0.95
        file.write_text("no longer TOML")  # changed it was already
        await dealt_with(stamps)
        file.write_text(BEGUN)
        await until(lambda: not engine.state.changed_file)
        assert [one.back for one in said(engine)] == [False, True]


@pytest.mark.parametrize("text", ["# why\n" + BEGUN, BEGUN + '[ui]\ntheme = "ray-light"\n'])
async def test_comments_and_looks_are_no_change(tmp_path: Path, stamps: list[Stamp], text: str) -> None:
    """The run goes by neither."""
    file = tmp_path / config.FILE_NAME
    file.write_text(BEGUN)
    async with wiring.engine_for(config.load(file), "r-1", resume=False) as engine:
        file.write_text(text)
        await dealt_with(stamps)
        assert said(engine) == []
        file.unlink()
        await until(lambda: bool(engine.state.changed_file))
        assert len(said(engine)) == 1


async def test_a_resumed_run_reads_it_anew(tmp_path: Path, stamps: list[Stamp]) -> None:
    """The next host goes by the file as it is then, and its digest is on record."""
    file = tmp_path / config.FILE_NAME
    file.write_text(BEGUN)
    chosen = config.with_run(config.load(file), {"environment": "staging"})
    async with wiring.engine_for(chosen, "r-1", resume=False) as engine:
        file.write_text(BEGUN + "[thresholds]\ncoverage = 0.9\n")
        await until(lambda: bool(engine.state.changed_file))
    chosen = config.with_run(config.load(file), {"environment": "staging"})
    async with wiring.engine_for(chosen, "r-1", resume=True) as engine:
        await dealt_with(stamps)
        assert engine.state.changed_file == ""
        assert engine.config.thresholds.coverage == 0.9
        assert engine.state.host is not None
        assert engine.state.host.config_digest == chosen.digest()
