"""The next run, and one cadence in the words of four schedulers."""

import shutil
import subprocess
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_tui.analysis import cadence, schedule
from ray_tui.analysis.cadence import next_run
from ray_tui.analysis.schedule import Asset, Entry, coverage, judge
from ray_tui.core.errors import InputError
from ray_tui.core.verdicts import Verdict, worst

BERLIN = "Europe/Berlin"


def an_entry(name="dash-1", cron="*/30 * * * *", zone="UTC", owner="sre", asset="dash-1", command=("/bin/check",)):
    return Entry(name, asset, cron, zone, owner, tuple(command))


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("*/30 * * * *", "2026-11-22T19:15:00+00:00", "2026-11-22T20:30:00+01:00"),
        ("0 9 * * 1", "2026-11-22T19:15:00+00:00", "2026-11-23T09:00:00+01:00"),
        # 29 March 2026: 02:30 does not exist in Berlin; the run comes right after the gap
        ("30 2 * * *", "2026-03-28T12:00:00+00:00", "2026-03-29T03:00:00+02:00"),
        # 25 October 2026: 02:30 comes twice; the run comes once
        ("30 2 * * *", "2026-10-24T12:00:00+00:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "2026-10-25T00:30:00+00:00", "2026-10-26T02:30:00+01:00"),
        ("0 0 29 2 *", "2026-11-22T19:15:00+00:00", "2028-02-29T00:00:00+01:00"),
    ],
)
def test_the_next_run_is_in_its_time_zone_across_daylight_saving(cron, after, expected):
    """Cadence and zone give one next run, also where an hour is missing or comes twice. (P49)"""
    assert next_run(cron, datetime.fromisoformat(after), BERLIN).isoformat() == expected


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.sampled_from(["UTC", BERLIN, "Asia/Kolkata"]))
def test_a_next_run_is_always_later(after, zone):
    """Never now, never in the past, always at a minute that the expression names. (P49)"""
    aware = after.replace(tzinfo=UTC)
    found = next_run("*/15 * * * *", aware, zone)
    assert found > aware
    assert found.astimezone(ZoneInfo(zone)).minute % 15 == 0


@pytest.mark.parametrize(
    ("cron", "todo"),
    [
        ("* * * *", "five fields"),
        ("0 * * * * *", "five fields"),
        ("@daily", "five fields"),
        ("61 * * * *", "minute"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 L * *", "mean the same everywhere"),
        ("0 0 * * 5L", "mean the same everywhere"),
        ("0 0 * * 1#2", "mean the same everywhere"),
        ("5/15 * * * *", "a step needs a range"),
        ("0 0 * * 7", "Sunday as 0"),
        ("0 0 * * 1-7", "Sunday as 0"),
        ("0 0 1 * 1", "two entries"),
        ("0 0 * * *\n* * * * * rm", "five fields"),
        ("", "five fields"),
    ],
)
def test_what_schedulers_read_differently_is_refused_with_what_to_write(cron, todo):
    """One text must mean one cadence everywhere. (P49)"""
    with pytest.raises(InputError, match=todo):
        cadence.validate(cron)


@pytest.mark.parametrize("cron", ["*/30 * * * *", "0 9-17 * * MON-FRI", "0 0 1 JUL *", "5,10 0 * * WED", "7 17 * * 1"])
def test_what_they_all_read_alike_is_accepted(cron):
    """Names, lists, ranges and steps of ranges. (P49)"""
    cadence.validate(cron)


def test_an_unknown_zone_is_refused():
    """A typo in a zone is not UTC."""
    for zone in ("Europe/Berln", "", "../etc/passwd"):
        with pytest.raises(InputError, match="IANA"):
            next_run("* * * * *", datetime(2026, 1, 1, tzinfo=UTC), zone)


ASSETS = [Asset("dash-1", "dashboard"), Asset("group-1", "alert-group"), Asset("paths", "alert-path")]


def test_every_asset_must_be_scheduled_validly_and_owned():
    """Unscheduled, ownerless and unreadable entries are told apart. (P49)"""
    entries = [
        an_entry("a", asset="dash-1"),
        an_entry("b", asset="group-1", owner=" "),
        an_entry("c", asset="paths", cron="61 * * * *"),
        an_entry("d", asset="gone"),
    ]
    found = coverage(ASSETS, entries)
    assert (found.scheduled, found.ownerless, found.unscheduled) == (("dash-1",), ("group-1",), ("paths",))
    assert list(found.invalid) == ["c"]
    assert found.unknown == ("d",)
    assert found.ratio == pytest.approx(1 / 3)
    assert [(c.id, c.verdict) for c in judge(found)] == [
        ("schedule.coverage", Verdict.FAILED),
        ("schedule.owner:group-1", Verdict.FAILED),
    ]


def test_all_scheduled_passes_and_nothing_to_schedule_is_inconclusive():
    """The denominator is all assets; over none there is no pass. (P49)"""
    everything = coverage(ASSETS, [an_entry(a.id, asset=a.id) for a in ASSETS])
    assert everything.ratio == 1
    assert worst(judge(everything)) is Verdict.PASSED
    assert worst(judge(coverage([], []))) is Verdict.INCONCLUSIVE


def test_a_crontab_is_read_back_as_written():
    """What was emitted is found again by its id; a commented-out line is not installed. (P49)"""
    one, other = an_entry("a"), an_entry("b", cron="0 9 * * 1")
    block = schedule.crontab([one, other], "UTC")
    assert schedule.crontab_holds(block, one)
    assert schedule.crontab_holds(block, other)
    disabled = block.replace("0 9 * * 1 /bin", "#0 9 * * 1 /bin")
    assert schedule.crontab_holds(disabled, one)
    assert not schedule.crontab_holds(disabled, other)
    assert not schedule.crontab_holds(block, an_entry("a", command=("/bin/other",)))
    assert not schedule.crontab_holds(schedule.MARK + "a\n", one)


def test_a_command_in_a_crontab_stays_one_command():
    """Blanks, quotes and per cent signs (a line break to cron) reach the program as they are."""
    line = schedule.crontab([an_entry(command=("/bin/check", "50% off; rm -rf", "it's"))], "UTC").splitlines()[2]
    assert line.split(" ", 5)[5] == "/bin/check '50\\% off; rm -rf' 'it'\"'\"'s'"
    with pytest.raises(InputError, match="control character"):
        schedule.crontab([an_entry(command=("/bin/check", "a\nb"))], "UTC")


def test_a_cron_that_knows_no_zones_refuses_another_one():
    """Debian's cron would run it at the wrong hour, silently; every half hour is the same everywhere."""
    nine = an_entry(cron="0 9 * * *", zone=BERLIN)
    with pytest.raises(InputError, match="systemd timer"):
        schedule.crontab([nine], "UTC")
    assert "CRON_TZ=Europe/Berlin\n0 9" in schedule.crontab([nine], "UTC", knows_cron_tz=True)
    assert "CRON_TZ" not in schedule.crontab([nine], BERLIN)
    assert schedule.crontab([an_entry(zone="Asia/Kolkata")], "UTC")
    with pytest.raises(InputError):
        schedule.crontab([an_entry(zone="Asia/Kolkata", cron="0 * * * *")], "UTC")


def test_our_block_replaces_itself_and_touches_no_other_line():
    """Installing twice is installing once; half a block is not guessed at."""
    theirs = "MAILTO=me\n0 1 * * * backup\n"
    once = schedule.merge_crontab(theirs, schedule.crontab([an_entry("a")], "UTC"))
    twice = schedule.merge_crontab(once, schedule.crontab([an_entry("b")], "UTC"))
    assert twice.startswith(theirs)
    assert schedule.crontab_holds(twice, an_entry("b"))
    assert not schedule.crontab_holds(twice, an_entry("a"))
    with pytest.raises(InputError, match="repair"):
        schedule.merge_crontab(schedule.BEGIN + "\n", "")


def test_a_timer_names_its_entry_its_zone_and_its_cadence():
    """Two units with the id in both, the zone in the calendar event. (P49)"""
    units = schedule.systemd(an_entry("a", cron="0 9 * * 1-5", zone=BERLIN), "Check\ndash")
    assert set(units) == {"ray-tui-a.service", "ray-tui-a.timer"}
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 09:00:00 Europe/Berlin\n" in units["ray-tui-a.timer"]
    assert all(text.startswith(schedule.MARK + "a\n") for text in units.values())
    assert "Description=Check dash\n" in units["ray-tui-a.service"]
    with pytest.raises(InputError, match="full path"):
        schedule.systemd(an_entry(command=("check",)), "x")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_our_units(tmp_path):
    """systemd's own checker finds nothing wrong, odd arguments included."""
    command = ("/bin/true", "50%", "$HOME", 'a "b"', "back\\slash", "")
    for name, text in schedule.systemd(an_entry("a", zone=BERLIN, command=command), "Check 100%").items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            str(tmp_path / "ray-tui-a.timer"),
            str(tmp_path / "ray-tui-a.service"),
        ],
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stderr.splitlines() if "ray-tui" in line] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("cron", ["*/30 * * * *", "0 9-17 * * MON-FRI", "5 4 1,15 */3 *", "0 2 * * 0", "7 17 31 12 *"])
def test_systemd_and_cron_agree_on_the_next_run(cron):
    """The same instants, by systemd's own arithmetic. (P49)"""
    after = datetime(2026, 11, 22, 19, 15, tzinfo=UTC)
    event = f"{schedule.on_calendar(cron)} UTC"
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time", "2026-11-22 19:15:00 UTC", event],
        capture_output=True,
        text=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert next_run(cron, after, "UTC").strftime("%Y-%m-%d %H:%M:%S UTC") in done.stdout


NEEDS = schedule.Needs("ray-tui.toml", ("GRAFANA_TOKEN",), ("secrets/pagerduty",), ("vault",))


def test_a_workflow_brings_program_and_secrets_and_says_what_to_supply():
    """A version that is checked, secrets by reference, cron in UTC, a manual start, read-only permissions. (P49)"""
    text = schedule.github_workflow(an_entry("a"), NEEDS, "0.1.0")
    body = yaml.safe_load(text)
    assert body["on"] == {"schedule": [{"cron": "*/30 * * * *"}], "workflow_dispatch": {}}
    assert body["permissions"] == {"contents": "read"}
    *_, install, version, check = body["jobs"]["check"]["steps"]
    assert install["env"] == {"RAY_TUI_PACKAGE": "${{ vars.RAY_TUI_PACKAGE }}"}
    assert version["run"] == 'test "$(ray-tui --version)" = "ray-tui 0.1.0"'
    assert check == {"run": "/bin/check", "env": {"GRAFANA_TOKEN": "${{ secrets.GRAFANA_TOKEN }}"}}
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert head[0] == schedule.MARK + "a"
    for wanted in ("RAY_TUI_PACKAGE: ray-tui==0.1.0", "secret GRAFANA_TOKEN", "file:secrets/pagerduty", "cmd:vault"):
        assert any(wanted in line for line in head), wanted


def test_github_refuses_what_it_would_run_at_another_hour_or_rewrite():
    """It knows no zones, and replaces ${{ }} before a shell sees it."""
    with pytest.raises(InputError, match="UTC"):
        schedule.github_workflow(an_entry(cron="0 9 * * *", zone=BERLIN), NEEDS, "1")
    with pytest.raises(InputError, match="replaced by GitHub"):
        schedule.github_workflow(an_entry(command=("/bin/check", "${{ secrets.X }}")), NEEDS, "1")


def test_a_cron_job_is_read_back_as_written_unless_suspended():
    """Zone and cadence stand in the spec; it neither overlaps nor retries; suspended is not installed. (P49)"""
    text = schedule.kubernetes_cronjob(an_entry("a", zone=BERLIN, command=("/bin/check", "$(HOME)")), "ray:1", NEEDS)
    job = schedule.CronJob("*/30 * * * *", BERLIN, "ray:1", ("/bin/check", "$$(HOME)"))
    assert schedule.cronjobs(text) == {"a": job}
    body = yaml.safe_load(text)
    assert schedule.cronjobs(yaml.safe_dump({"kind": "List", "items": [body, 1, {}]})) == {"a": job}
    assert body["spec"]["concurrencyPolicy"] == "Forbid"
    body["spec"]["suspend"] = True
    assert schedule.cronjobs(yaml.safe_dump(body)) == {}


def test_a_cron_job_brings_configuration_and_secrets_and_says_what_to_supply():
    """The configuration from a ConfigMap, variables and files from a Secret; a person makes both. (P49)"""
    text = schedule.kubernetes_cronjob(an_entry("a"), "ray:1", NEEDS)
    pod = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["env"] == [
        {"name": "GRAFANA_TOKEN", "valueFrom": {"secretKeyRef": {"name": "ray-tui-secrets", "key": "GRAFANA_TOKEN"}}}
    ]
    mounted = {mount["mountPath"]: (mount["name"], mount["subPath"]) for mount in container["volumeMounts"]}
    assert mounted == {
        "/etc/ray-tui/ray-tui.toml": ("config", "ray-tui.toml"),
        "/etc/ray-tui/secrets/pagerduty": ("secrets", "secrets.pagerduty"),
    }
    assert pod["volumes"][1]["secret"] == {"secretName": "ray-tui-secrets", "defaultMode": 0o400}
    for wanted in ("image ray:1", "create configmap ray-tui-config", "key secrets.pagerduty", "cmd:vault"):
        assert wanted in text.split("apiVersion")[0], wanted


@pytest.mark.parametrize("text", ["", "a: [", "[]", "spec: 1\nmetadata: 2", "on: 3", "OnCalendar=x", "\x00"])
def test_nothing_is_installed_where_nothing_can_be_read(text):
    """Garbage read back is 'not installed', not a crash."""
    assert not schedule.crontab_holds(text, an_entry())
    assert schedule.cronjobs(text) == {}


@pytest.mark.parametrize("name", ["A", "a b", "a\nb", "-a", "", "x" * 60, "a;b"])
def test_an_id_that_could_be_read_as_something_else_is_refused(name):
    """Ids go into file names, comments and YAML."""
    for emit in (
        lambda e: schedule.crontab([e], "UTC"),
        lambda e: schedule.systemd(e, "x"),
        lambda e: schedule.github_workflow(e, NEEDS, "1"),
        lambda e: schedule.kubernetes_cronjob(e, "i", NEEDS),
    ):
        with pytest.raises(InputError, match="schedule id"):
            emit(an_entry(name))


@settings(max_examples=50)
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_asset_text_reaches_another_line(command, owner):
    """Whatever a command says, a crontab has one job line, or the entry is refused."""
    try:
        block = schedule.crontab([an_entry("a", owner=owner, command=("/bin/check", command))], "UTC")
    except InputError:
        return
    assert len(block.rstrip("\n").split("\n")) == 4
