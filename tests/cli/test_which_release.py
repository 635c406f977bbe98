"""A run is for the release and the environment that it was opened for, whoever carries it out."""

import contextlib
import os
import signal

import pytest

from ray_tui import config, journal, runs_on_disk, wiring
from ray_tui.core.errors import InputError
from tests.cli.runs import clean

RUN = "2026-11-22T1915Z-v1-abc123"


@pytest.fixture
def chosen(tmp_path):
    path = tmp_path / config.FILE_NAME
    path.write_text(f'[run]\nrelease = "v1"\n[host]\nsocket_dir = "{tmp_path}"\n')
    return config.load(path)


async def test_a_run_is_not_resumed_for_another_release(chosen):
    """No page may name another release than its evidence; nothing is written, and the message says how to go on."""
    async with wiring.engine_for(chosen, RUN, resume=False):
        pass
    before = (chosen.store / "runs" / RUN / "journal.jsonl").read_bytes()
    for changes in ({"release": "v2"}, {"environment": "staging"}):
        with pytest.raises(InputError, match="was opened for v1 in production") as caught:
            async with wiring.engine_for(config.with_run(chosen, changes), RUN, resume=True):
                pass
        assert next(iter(changes.values())) in str(caught.value)
        assert "--release" in str(caught.value)
    assert (chosen.store / "runs" / RUN / "journal.jsonl").read_bytes() == before
    async with wiring.engine_for(chosen, RUN, resume=True):
        pass


@pytest.mark.parametrize("how", ["--headless", "--plain"])
async def test_that_is_an_error_of_usage(ray, chosen, how):
    """Exit 2, without a person and with one, whose host is another process."""
    async with wiring.engine_for(chosen, RUN, resume=False):
        pass
    said = clean(ray("run", "--resume", "--release", "v2", how), 2).stderr
    assert "was opened for v1 in production" in said
    assert "v2 in production" in said


def test_a_host_is_for_the_release_that_was_asked_for(ray, chosen):
    """What the command line overrides reaches the process that carries the run out."""
    ray("run", "--release", "v2", "--environment", "staging", "--plain")
    (run,) = runs_on_disk.runs(chosen.store)
    opened, started, *_ = (line.entry.fact for line in journal.read(run.folder / "journal.jsonl", tail=True))
    with contextlib.suppress(ProcessLookupError):
        os.kill(started.pid, signal.SIGTERM)
    assert (opened.release, opened.environment) == ("v2", "staging")
