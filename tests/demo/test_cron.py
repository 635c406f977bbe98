"""The demo's cron: what it reads, when a job is due, and what becomes of one. As cron's own manual says it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ray_tui.demo import cron as cron_module
from ray_tui.demo.cron import DemoCron, jobs
from ray_tui.demo.serving import serving
from tests.fakes import FakeClock


@pytest.fixture
async def cron(tmp_path: Path) -> AsyncIterator[DemoCron]:
    demo = DemoCron(FakeClock(), tmp_path)
    await demo.start()
    yield demo
    await demo.stop()


@pytest.fixture
async def client(cron: DemoCron) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(cron.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


async def comes(condition, what):
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


def due(times: str, at: str) -> bool:
    (job,) = jobs(f"{times} true")
    return job.due(datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("times", "yes", "no"),
    [
        ("* * * * *", "2026-11-22T19:15", None),
        ("*/30 * * * *", "2026-11-22T19:30", "2026-11-22T19:15"),
        ("5 4 * * *", "2026-11-22T04:05", "2026-11-22T04:06"),
        ("0 9-17/4 * * *", "2026-11-22T13:00", "2026-11-22T12:00"),
        ("0,20,40 * * * *", "2026-11-22T19:40", "2026-11-22T19:30"),
        ("0 0 1 * *", "2026-12-01T00:00", "2026-12-02T00:00"),
        ("0 0 * 12 *", "2026-12-05T00:00", "2026-11-05T00:00"),
        ("0 0 * * 0", "2026-11-22T00:00", "2026-11-23T00:00"),  # the 22nd is a Sunday
        ("0 0 * * 7", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("0 0 * * 1-5", "2026-11-23T00:00", "2026-11-22T00:00"),
    ],
)
def test_a_job_is_due_in_the_minutes_that_its_line_names(times, yes, no):
    """Every minute, steps, ranges, lists; Sunday is 0 and 7."""
    assert due(times, yes)
    assert no is None or not due(times, no)


@pytest.mark.parametrize(("at", "is_due"), [("2026-11-13T06:00", True), ("2026-11-20T06:00", True),
                                            ("2026-12-13T06:00", True), ("2026-11-19T06:00", False)])  # fmt: skip
def test_a_day_and_a_weekday_mean_either(at, is_due):
    """cron's oldest trap: the 13th, and every Friday, not the 13th that is one."""
    assert due("0 6 13 * 5", at) is is_due
    assert not due("0 6 13 * *", "2026-11-20T06:00")


def test_comments_and_empty_lines_are_no_jobs():
    """What is left is, in its order, with the command as it stands."""
    text = "# ray-tui\n\n  # more\n*/5 * * * * ray-tui check  alerts\n0 0 * * * true\n"
    assert [job.command for job in jobs(text)] == ["ray-tui check  alerts", "true"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("* * * * *", "line 2: five fields and a command are needed"),
        ("60 * * * * x", "line 2: bad minute '60'"),
        ("* 24 * * * x", "line 2: bad hour '24'"),
        ("* * 0 * * x", "line 2: bad day '0'"),
        ("* * * 13 * x", "line 2: bad month '13'"),
        ("* * * * 8 x", "line 2: bad weekday '8'"),
        ("30-10 * * * * x", "line 2: bad minute '30-10'"),
        ("*/0 * * * * x", "line 2: bad minute '*/0'"),
        ("5/15 * * * * x", "line 2: bad minute '5/15'"),
        ("1,,2 * * * * x", "line 2: bad minute ''"),
        ("@daily x y z a b", "line 2: bad minute '@daily'"),
    ],
)
def test_a_line_that_is_none_is_named(line, said):
    """By its number and the field, as crontab does it."""
    with pytest.raises(ValueError, match=r"^line 2") as raised:
        list(jobs(f"0 0 * * * true\n{line}\n"))
    assert str(raised.value) == said


async def test_a_crontab_is_taken_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    """One bad line refuses it, and the one that was there stays."""
    assert (await client.get("/crontab")).status_code == 404
    good = "*/5 * * * * true\n"
    assert (await client.put("/crontab", content=good)).status_code == 200
    refused = await client.put("/crontab", content=good + "nonsense\n")
    assert (refused.status_code, "line 2" in refused.text) == (400, True)
    assert (await client.get("/crontab")).text == good


async def test_what_is_due_is_run_in_order_with_its_exit_code(
    cron: DemoCron, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """In the demo's folder; what it prints goes into the log."""
    await client.put("/crontab", content="* * * * * echo one; exit 3\n0 0 * * * echo never\n* * * * * pwd\n")
    cron.tick(datetime(2026, 11, 22, 19, 15, tzinfo=UTC))
    await comes(lambda: len(cron.ran) == 2, "both jobs")
    ran = (await client.get("/ran")).json()
    assert [(one["command"], one["code"]) for one in ran] == [("echo one; exit 3", 3), ("pwd", 0)]
    assert (tmp_path / "cron.log").read_text() == f"one\n{tmp_path}\n"


async def test_no_minute_is_left_out(cron: DemoCron, client: httpx.AsyncClient) -> None:
    """A machine that was busy for three minutes runs what was due in each of them."""
    await client.put("/crontab", content="* * * * * true\n")
    assert isinstance(cron.clock, FakeClock)
    cron.clock.advance(180.0)
    await comes(lambda: len(cron.ran) == 3, "three minutes")


@pytest.mark.parametrize(
    ("command", "printed"),
    [(r"date -d @0 +\%Y", "1970\n"), ("cat%first%second", "first\nsecond"), ("echo a%b", "a\n")],
)
async def test_a_percent_sign_ends_the_command(cron: DemoCron, tmp_path: Path, command: str, printed: str) -> None:
    """Unless it is escaped; what follows is the job's input, a line each."""
    cron.tab = f"* * * * * {command}\n"
    cron.tick(datetime(2026, 11, 22, tzinfo=UTC))
    await comes(lambda: cron.ran, "the job")
    assert (cron.ran[0].code, (tmp_path / "cron.log").read_text()) == (0, printed)


async def test_a_job_that_takes_too_long_is_ended_with_all_that_it_started(
    cron: DemoCron, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no exit code, and the next one gets its turn."""
    monkeypatch.setattr(cron_module, "JOB_SECONDS", 0.5)
    cron.tab = "* * * * * sleep 300 & echo $! > child; wait\n* * * * * true\n"
    cron.tick(datetime(2026, 11, 22, tzinfo=UTC))
    await comes(lambda: len(cron.ran) == 2, "both jobs")
    assert [one.code for one in cron.ran] == [None, 0]
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    await comes(lambda: not child.exists() or child.read_text().split()[2] == "Z", "the child's end")
