"""3.1: what is scheduled, who owns it, and what the scheduler was seen to hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import schedule, scheduler_install
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendTimeout
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header
from tests.fakes import FakeContext, InMemoryPaging, a_config, actual, all_ports, verdicts

CONFIGURED = {
    "dashboards": [{"uid": "checkout-red", "title": "Checkout RED"}, {"uid": "slo", "title": "SLO"}],
    "alerts": [
        {"name": "A", "group": "shop", "owner": "checkout"},
        {"name": "B", "group": "shop", "owner": "checkout"},
    ],
}
OWNED = {"cadence": "*/30 * * * *", "owner": "checkout"}
PLAN: dict[str, Any] = {
    "crontab": "bin/crontab",
    "dashboards": OWNED,
    "alert_paths": {"cadence": "0 10 * * 1", "owner": "payments"},
}
ASSETS = {
    "dashboard:checkout-red", "dashboard:slo", "alerts:shop", "synthetic:checkout", "synthetic:payments",
    "synthetic:search", "alert-paths",
}  # fmt: skip


CRONTAB = """#!/bin/sh
tab="{folder}/tab"
case "$1" in
-l) if [ -f "$tab" ]; then /bin/cat "$tab"; else echo "no crontab for user" >&2; exit 1; fi ;;
-) {write} ;;
esac
"""


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(autouse=True)
def tab(tmp_path: Path) -> Path:
    """What cron holds, through a crontab command of its own; it is no file before something is installed."""
    a_program(tmp_path / "bin" / "crontab", CRONTAB.format(folder=tmp_path, write='/bin/cat > "$tab"'))
    return tmp_path / "tab"


def a_program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def context(tmp_path: Path, answer: str = "yes", data: Mapping[str, Any] = CONFIGURED, **more: Any) -> FakeContext:
    plan = {**PLAN, **more.pop("plan", {})}
    more.setdefault("ports", all_ports())
    return FakeContext(
        tmp_path, config=a_config(tmp_path, schedule=plan), step="3.1", answers={"install": answer},
        data={"2.1": data}, **more,
    )  # fmt: skip


async def test_every_asset_has_cadence_owner_and_next_run_and_is_read_back(tmp_path: Path, tab: Path) -> None:
    """Dashboards, alert groups, synthetics and the alert paths; installed is what is read back. (P49 P53)"""
    here = context(tmp_path)

    result = await schedule.run(here)

    assert result.verdict is Verdict.PASSED
    rows = {row["asset"]: row for row in result.data["entries"]}
    assert set(rows) == ASSETS
    assert rows["alert-paths"]["next_run"] == "2026-11-23T10:00:00.000Z"
    assert rows["dashboard:slo"]["next_run"] == "2026-11-22T20:30:00.000Z"
    assert rows["dashboard:slo"]["owner_why"] == "on call: Mira Okafor, Tom Brandt"
    assert rows["synthetic:payments"]["owner"] == "payments"
    assert all(row["installed"] for row in rows.values())
    assert result.data["coverage"] == {"assets": 7, "scheduled": 7, "ratio": 1.0, "unscheduled": []}
    assert tab.read_text().count("# ray-tui-id: ") == 7


async def test_each_entry_looks_at_its_own_asset(tmp_path: Path, tab: Path) -> None:
    """Twenty checks that judge the same evidence would look at nothing. (P49)"""
    await schedule.run(context(tmp_path))

    lines = [line for line in tab.read_text().splitlines() if " check " in line]
    assert {line.split(" check ")[1].split()[0] for line in lines} == ASSETS
    assert all(line.endswith(f" --json --config {tmp_path}/ray-tui.toml") for line in lines)


async def test_all_four_schedulers_are_written_out_for_reference(tmp_path: Path) -> None:
    """One is installed; the others can be copied."""
    result = await schedule.run(context(tmp_path))

    assert set(result.data["text"]) == {"cron", "systemd", "github", "kubernetes"}
    assert "CronJob" in result.data["text"]["kubernetes"]
    assert "workflow_dispatch" in result.data["text"]["github"]


async def test_other_lines_are_kept_and_our_old_ones_replaced(tmp_path: Path, tab: Path) -> None:
    """A person's own entries stay; a second run changes nothing and asks nothing."""
    file = tab
    file.write_text("5 4 * * * backup\n")
    await schedule.run(context(tmp_path))
    first = file.read_text()
    again = context(tmp_path)

    result = await schedule.run(again)

    assert first.startswith("5 4 * * * backup\n")
    assert file.read_text() == first
    assert again.asked == []
    assert verdicts(result)["schedule.installed"] == "passed"


async def test_nothing_is_written_before_a_person_says_yes(tmp_path: Path, tab: Path) -> None:
    """No is recorded and halts; no intent, no file. (P51)"""
    here = context(tmp_path, "no")

    result = await schedule.run(here)

    assert verdicts(result)["schedule.installed"] == "failed"
    assert here.of_kind(f.IntentRecorded) == []
    assert not tab.exists()
    assert [row["installed"] for row in result.data["entries"]] == [False] * 7


async def test_the_intent_stands_before_the_write_and_the_outcome_after(tmp_path: Path) -> None:
    """Class query: it is read back before it is written again."""
    here = context(tmp_path)

    await schedule.run(here)

    intent, outcome = here.of_kind(f.IntentRecorded)[0], here.of_kind(f.OutcomeRecorded)[0]
    assert (intent.side_effect, outcome.id, outcome.outcome) == ("query", intent.id, "done")


async def test_a_resumed_attempt_reads_back_what_was_written_before_the_crash(tmp_path: Path) -> None:
    """The file is there, the outcome was not recorded: reconciled, and nobody is asked again."""
    await schedule.run(context(tmp_path))
    intent = f.IntentRecorded(id="3.1#1:install", step="3.1", what="install 7 checks", side_effect="query")
    here = context(tmp_path, resumed=True, facts=[intent])

    result = await schedule.run(here)

    assert result.verdict is Verdict.PASSED
    assert here.asked == []
    assert here.of_kind(f.OutcomeRecorded) == [
        f.OutcomeRecorded(id="3.1#1:install", outcome="done", detail="found installed", reconciled=True)
    ]


async def test_an_owner_who_does_not_exist_halts_and_is_named_with_the_asset(tmp_path: Path) -> None:
    """Asset and owner stand in the words. (P52)"""
    plan = {"assets": {"dashboard:slo": {"cadence": "0 8 * * *", "owner": "ghost-team"}}}

    result = await schedule.run(context(tmp_path, plan=plan))

    assert verdicts(result)["schedule.owned"] == "failed"
    assert actual(result, "schedule.owned") == "dashboard:slo: ghost-team (ghost-team is not in [owners])"


async def test_an_asset_without_any_owner_halts(tmp_path: Path) -> None:
    """Neither the class nor the asset names one. (P52)"""
    result = await schedule.run(context(tmp_path, plan={"dashboards": {"cadence": "*/30 * * * *", "owner": ""}}))

    assert "dashboard:slo: nobody (no owner is named)" in actual(result, "schedule.owned")
    assert result.data["coverage"]["ratio"] == pytest.approx(5 / 7)


async def test_an_owner_with_an_empty_rota_halts(tmp_path: Path) -> None:
    """The team has people, but nobody is on call. (P52)"""
    result = await schedule.run(context(tmp_path, ports=all_ports(paging=InMemoryPaging(duty=()))))

    assert verdicts(result)["schedule.owned"] == "failed"
    assert "nobody is on call for PPOLCHK" in actual(result, "schedule.owned")


async def test_a_rota_that_cannot_be_asked_is_an_error_not_a_pass(tmp_path: Path) -> None:
    """The paging system times out."""
    ports = all_ports(paging=InMemoryPaging(trouble=BackendTimeout("paging", "15 s passed")))

    result = await schedule.run(context(tmp_path, ports=ports))

    assert verdicts(result)["schedule.owned"] == "error"


async def test_without_a_paging_system_the_people_of_the_team_count(tmp_path: Path) -> None:
    """A team that has no rota is resolved by its people."""
    result = await schedule.run(context(tmp_path, ports=all_ports(paging=None)))

    assert verdicts(result)["schedule.owned"] == "passed"
    assert result.data["entries"][0]["owner_why"] == "people: mira"


@pytest.mark.parametrize(
    "command",
    [
        "ray-tui run --headless",
        "python -m ray_tui run",
        "sh -c 'cd /x && ray-tui demo'",
        "ray-tui --config x.toml run gates",
        "ray-tui run check {asset}",
        "ray-tui gates --json",
        "ray-tui check",
        "sh -c 'ray-tui check {asset}'",
        "true",
        "ray-tui 'unbalanced gates",
    ],
)
async def test_a_command_that_may_page_or_looks_at_no_asset_is_not_scheduled(
    tmp_path: Path, tab: Path, command: str
) -> None:
    """Scheduled runs never page a person: refused, not installed, and not waivable."""
    here = context(tmp_path, plan={"command": command})

    result = await schedule.run(here)

    refused = next(one for one in result.criteria if one.id == "schedule.no_pages")
    assert (refused.verdict, refused.waivable) == (Verdict.FAILED, False)
    assert not tab.exists()
    assert here.asked == []


@pytest.mark.parametrize(
    "command",
    ["ray-tui check {asset}", "python -m ray_tui check {asset} --json", "docker run image /opt/ray-tui check {asset}"],
)
def test_a_command_that_only_looks_is_allowed(command: str) -> None:
    """``run`` before ray-tui is another program's."""
    assert schedule.pages(command.split()) == ""


async def test_a_cadence_that_no_scheduler_reads_halts_and_the_others_are_installed(tmp_path: Path) -> None:
    """The asset is named with what to write instead. (P51)"""
    plan = {"assets": {"dashboard:slo": {"cadence": "5/15 * * * *", "owner": "checkout"}}}

    result = await schedule.run(context(tmp_path, plan=plan))

    assert verdicts(result)["schedule.coverage"] == "failed"
    assert "a step needs a range" in actual(result, "schedule.coverage")
    rows = {row["asset"]: row for row in result.data["entries"]}
    assert (rows["dashboard:slo"]["installed"], rows["dashboard:slo"]["next_run"]) == (False, None)
    assert rows["dashboard:checkout-red"]["installed"]


async def test_assets_that_2_1_did_not_name_leave_the_schedule_unjudged(tmp_path: Path) -> None:
    """No dashboard and no alert group: not a pass over what is left."""
    result = await schedule.run(context(tmp_path, data={"dashboards": "none", "alerts": None}))

    assert verdicts(result)["schedule.assets"] == "inconclusive"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"dashboards": "none", "alerts": CONFIGURED["alerts"]}, "tag what must work 'ray-required'"),
        ({**CONFIGURED, "alerts": None}, "load alerting rules"),
        (None, "Run 2.1 first."),
    ],
)
async def test_what_helps_where_an_asset_is_missing_depends_on_whether_2_1_has_run(
    tmp_path: Path, data: Any, said: str
) -> None:
    """Where it has, running it again finds no more than it did."""
    here = context(tmp_path, data=data or {})
    here.state.steps["2.1"].attempt = 0 if data is None else 1
    (known,) = [one for one in (await schedule.run(here)).criteria if one.id == "schedule.assets"]
    assert said in known.remedy
    assert known.remedy.endswith("then run 2.1 again.") is (data is not None)


async def test_a_file_that_cannot_be_written_halts(tmp_path: Path) -> None:
    """A file stands where the folder should be. (P51)"""
    (tmp_path / "cron.d").write_text("not a folder")
    here = context(tmp_path, plan={"install_into": "cron.d/ray-tui"})

    result = await schedule.run(here)

    assert actual(result, "schedule.installed").startswith("cannot be scheduled: ")
    assert verdicts(result)["schedule.installed"] == "failed"


async def test_a_schedule_that_is_not_there_afterwards_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written and installed are different states: somebody empties the file in between."""

    async def lost(self: scheduler_install.UserCrontab, texts: Mapping[str, str]) -> None:
        return None

    monkeypatch.setattr(scheduler_install.UserCrontab, "write", lost)
    here = context(tmp_path)

    result = await schedule.run(here)

    assert verdicts(result)["schedule.installed"] == "failed"
    assert here.of_kind(f.OutcomeRecorded)[0].outcome == "failed"


# --- the user's crontab ----------------------------------------------------------------------------------------------


async def test_the_users_crontab_is_read_written_and_read_back(
    tmp_path: Path, tab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From none at all to one with our block; a foreign line stays."""
    tab.write_text("1 2 3 4 5 mine\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    result = await schedule.run(context(tmp_path, plan={"crontab": "crontab"}))

    assert result.verdict is Verdict.PASSED
    assert tab.read_text().startswith("1 2 3 4 5 mine\n# BEGIN ray-tui\n")
    assert result.data["installed_into"] == "the user's crontab"


async def test_a_user_without_a_crontab_gets_one(tmp_path: Path, tab: Path) -> None:
    """``crontab -l`` fails with "no crontab for": that is an empty one."""
    await schedule.run(context(tmp_path))

    assert tab.read_text().count("# ray-tui-id: ") == 7


async def test_a_crontab_that_refuses_halts(tmp_path: Path) -> None:
    """The reason is shown. (P51)"""
    refuses = 'echo "you (x) are not allowed to use this program" >&2; exit 1'
    a_program(tmp_path / "bin" / "crontab", CRONTAB.format(folder=tmp_path, write=refuses))

    result = await schedule.run(context(tmp_path))

    assert "not allowed to use this program" in actual(result, "schedule.installed")


async def test_without_a_crontab_command_it_cannot_be_scheduled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do instead is said. (P51)"""
    monkeypatch.setenv("PATH", str(tmp_path))

    result = await schedule.run(context(tmp_path, plan={"crontab": "crontab"}))

    assert verdicts(result)["schedule.installed"] == "failed"
    assert "install cron" in actual(result, "schedule.installed")


async def test_another_time_zone_than_crons_own_cannot_be_scheduled(tmp_path: Path) -> None:
    """Debian's cron would run a Monday 10:00 of Kathmandu at another hour. (P51)"""
    result = await schedule.run(context(tmp_path, plan={"timezone": "Asia/Kathmandu"}))

    assert "use a systemd timer" in actual(result, "schedule.installed")


def test_ids_are_stable_short_and_distinct() -> None:
    """Two assets whose names look alike have two ids that every scheduler takes."""
    ids = [schedule.entry_id(name) for name in ("alerts:a b", "alerts:a-b", "alerts:" + "x" * 200, "alerts:Ü")]

    assert len(set(ids)) == 4
    assert all(len(one) <= 52 for one in ids)
    assert schedule.entry_id("alerts:a b") == ids[0]


async def test_the_document_escapes_what_came_from_outside(tmp_path: Path) -> None:
    """A dashboard's uid cannot add a column or markup."""
    data = {**CONFIGURED, "dashboards": [{"uid": "a|b`<script>"}]}
    result = await schedule.run(context(tmp_path, data=data))
    header = Header("r", "v1", "production", "3.1", 1, 0.0, "passed", "s", result.criteria)

    written = schedule.documents(result.data, header)["observability-schedule.md"]

    assert "a\\|b\\`\\<script\\>" in written
