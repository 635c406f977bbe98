"""The doctor finds what would get in a run's way, says what to do, and gives no secret away."""

import json
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ray_tui import doctor, holding
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable, ConfigError, InputError
from ray_tui.core.ports import Health, Ports
from ray_tui.core.state import RunState, fold
from tests import papers
from tests.fakes import InMemoryMetrics, all_ports

CONFIG = """
[run]
release = "checkout-v2.4.1"

[policy]
unsigned_approvals = true
"""


@pytest.fixture
def place(tmp_path):
    """A repository with a configuration, and an outside world in which all is well."""
    (tmp_path / "ray-tui.toml").write_text(CONFIG)
    papers.write(tmp_path)
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    outside = doctor.Outside(
        open_ports=opening(all_ports()), socket_folder=lambda config: sockets, runs=lambda store: [],
        environment={"TERM": "xterm-256color", "COLORTERM": "truecolor"}, system_root=tmp_path / "root",
        which=lambda name: f"/usr/bin/{name}", folder=tmp_path,
    )  # fmt: skip
    return SimpleNamespace(folder=tmp_path, sockets=sockets, outside=outside)


def opening(ports):
    @asynccontextmanager
    async def open_ports(config, clock):
        yield ports

    return open_ports


async def examined(place, **instead):
    found = await doctor.examine(None, replace(place.outside, **instead))
    return {finding.name: finding for finding in found}


async def test_a_healthy_place_has_nothing_wrong(place):
    """Every system is named, and nothing needs doing at once."""
    found = await examined(place)
    assert [name for name, finding in found.items() if not finding.ok] == []
    assert {f"system.{name}" for name in (*doctor.NEEDED, *doctor.OPTIONAL)} <= set(found)
    assert {"system.incidents.0", "system.notify.20", "disk", "logind", "promtool"} <= set(found)


async def test_no_configuration_is_said_with_what_to_do(place):
    """`ray-tui init` is one command away."""
    (place.folder / "ray-tui.toml").unlink()
    finding = (await examined(place))["config"]
    assert not finding.ok
    assert "ray-tui init" in finding.todo


async def test_a_wrong_configuration_is_said_with_its_line(place):
    """The file's own error comes through."""
    (place.folder / "ray-tui.toml").write_text(CONFIG + "\n[thresholds]\ncoverge = 1\n")
    finding = (await examined(place))["config"]
    assert "ray-tui.toml:9: thresholds.coverge" in finding.detail


async def test_a_system_that_is_down_and_one_that_is_not_there_are_both_wrong(place):
    """Not configured is not well."""
    ports = all_ports(logs=None)
    ports.metrics.trouble = BackendUnreachable("metrics", "nobody answers at http://127.0.0.1:1")
    found = await examined(place, open_ports=opening(ports))
    assert not found["system.metrics"].ok
    assert "nobody answers" in found["system.metrics"].detail
    assert found["system.logs"].detail == "not configured"
    assert not found["system.logs"].ok
    assert found["system.traces"].ok


async def test_systems_that_cannot_be_opened_are_one_finding(place):
    """A missing secret names its reference."""

    @asynccontextmanager
    async def broken(config, clock):
        raise ConfigError("env:GRAFANA_TOKEN is not set")
        yield Ports()

    finding = (await examined(place, open_ports=broken))["systems"]
    assert not finding.ok
    assert "env:GRAFANA_TOKEN" in finding.detail


@pytest.mark.parametrize(
    ("least", "most", "good"), [(-0.4, 0.9, True), (4, 6, True), (5.5, 6.5, False), (-90, -89, False)]
)
def test_only_a_clock_that_is_surely_off_is_wrong(least, most, good):
    """The bound is an interval: it may be wide without being wrong."""
    assert doctor.skew("metrics", least, most).ok is good


async def test_a_skewed_clock_is_found_at_its_system(place):
    """Health brings the bound along."""
    ports = all_ports()
    ports.paging.condition = Health(True, "answers", None, (61.0, 62.0))
    found = await examined(place, open_ports=opening(ports))
    assert found["system.paging"].ok
    assert not found["clock.paging"].ok


async def test_a_policy_under_which_nobody_can_approve_is_wrong(place):
    """Better said before the run than at its prerequisites."""
    (place.folder / "ray-tui.toml").write_text('[run]\nrelease = "v1"\n')
    found = await examined(place)
    assert not found["config.approvals"].ok
    assert "allowed_signers" in found["config.approvals"].todo


async def test_each_file_that_a_configuration_names_and_that_is_not_there_is_wrong(place):
    """File, line and key; the rest is looked at all the same."""
    missing = 'allowed_signers = "a"\n[[incidents]]\nkind = "file"\npath = "b.csv"\n'
    (place.folder / "ray-tui.toml").write_text(CONFIG + missing)
    found = await doctor.examine(None, place.outside)
    files = [finding.detail for finding in found if finding.name == "config.files" and not finding.ok]
    assert len(files) == 2
    assert "ray-tui.toml:7: policy.allowed_signers: " in files[0]
    assert "ray-tui.toml:10: incidents.0.path: " in files[1]
    assert any(finding.name == "system.metrics" and finding.ok for finding in found)


async def test_what_a_console_cannot_use_and_an_owner_that_is_not_there_are_wrong(place):
    """Each with file, line and key; a run would go on, and its gate 3 would fail."""
    text = '[ui]\ntheme = "pink"\n[ui.keymap]\n"focus.zoom" = "nosuchkey"\n"runn.note" = "N"\n'
    check = '[schedule.alerts]\ncadence = "*/30 * * * *"\nowner = "ghosts"\n'
    (place.folder / "ray-tui.toml").write_text(CONFIG + text + check)
    found = await doctor.examine(None, replace(place.outside, looks=holding.wrong_looks))
    said = [finding.detail for finding in found if finding.name in ("config.looks", "config.owners")]
    assert len(said) == 4
    for words in (
        'ray-tui.toml:10: ui.keymap."focus.zoom": nosuchkey is no key',
        'ray-tui.toml:11: ui.keymap."runn.note": is no binding, did you mean run.note?',
        "ray-tui.toml:8: ui.theme: 'pink' is not there; there are: ",
        "ray-tui.toml:14: schedule.alerts.owner: 'ghosts' is not in [owners]",
    ):
        assert any(words in one for one in said), words


async def test_each_input_file_is_judged_as_the_prerequisites_will(place):
    """Missing, of another release, unreadable: in their words, with what to do, before a run halts at it. (P17)"""
    papers.write(place.folder, staging=papers.changed(papers.STAGING, release="v0"), report="# Nothing\n")
    (place.folder / papers.FOLDER / "deployment-health-log.md").unlink()
    found = [finding for finding in await doctor.examine(None, place.outside) if finding.name == "input"]
    wrong = {name: one for one in found for name in papers.NAMES.values() if not one.ok and name in one.detail}
    assert len(found) == 4
    assert set(wrong) == {"deployment-health-log.md", "staging-test-results.json", "DEPLOYMENT-REPORT.md"}
    assert "missing: not in .artifacts/deployment" in wrong["deployment-health-log.md"].detail
    assert "is about release v0" in wrong["staging-test-results.json"].detail
    assert all(finding.todo for finding in wrong.values())


RULES = """
[paths]
rules = ["*.rules.yml"]

[rules]
kind = "directory"
directory = "rules"
"""
A_RULE = "groups:\n  - name: g\n    rules:\n      - {alert: Down, expr: up == 0}\n"


class Telling(InMemoryMetrics):
    """A metrics store that says which rule files it reads; an exception: it cannot be asked."""

    said: tuple[str, ...] | Exception = ()

    async def rule_files(self):
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


async def test_a_rule_folder_that_is_not_there_is_wrong(place):
    """It cannot be read only because nobody looked: 2.1 would fail when it writes."""
    (place.folder / "ray-tui.toml").write_text(CONFIG + RULES)
    finding = (await examined(place))["system.rules"]
    assert (finding.ok, "there is no such folder" in finding.detail) == (False, True)
    (place.folder / "rules").write_text("")
    assert "is no folder" in (await examined(place))["system.rules"].detail


@pytest.mark.parametrize(
    ("patterns", "said", "warned"),
    [
        (("{folder}/rules/*.yml",), "that takes in shop.rules.yml", False),
        (("rules/shop*.yml", "other/*.yml"), "that takes in shop.rules.yml", False),
        (("{folder}/rules/slo-*.yml",), "that misses {folder}/rules/shop.rules.yml", True),
        (("/etc/prometheus/*.yml",), "that misses {folder}/rules/shop.rules.yml", True),
        ((), "reads nothing", True),
        (BackendUnreachable("metrics", "refused"), "cannot be seen: ", True),
        (None, "cannot be seen", True),
    ],
)
async def test_whether_the_metrics_server_reads_the_rule_folder_is_said_as_far_as_it_tells(
    place, patterns, said, warned
):
    """A file of the release that no pattern takes in would be written and never loaded; another path is no proof."""
    (place.folder / "ray-tui.toml").write_text(CONFIG + RULES)
    (place.folder / "rules").mkdir()
    (place.folder / "shop.rules.yml").write_text(A_RULE)
    metrics = InMemoryMetrics() if patterns is None else Telling()
    if isinstance(patterns, tuple):
        patterns = tuple(pattern.replace("{folder}", str(place.folder)) for pattern in patterns)
    metrics.said = patterns
    found = await examined(place, open_ports=opening(all_ports(metrics=metrics)))
    finding = found["system.rules.read"]
    assert found["system.rules"].ok
    assert said.replace("{folder}", str(place.folder)) in finding.detail
    assert (finding.ok, bool(finding.todo)) == (True, warned)
    assert str(place.folder / "rules") in finding.todo or not warned


async def test_a_host_that_is_still_the_examples_is_wrong(place):
    """File, line and key of each; an address of mail, or a host of ours, is none of them."""
    tables = """
[metrics]
kind = "prometheus"
url = "https://prometheus.example:9090"

[alerting]
kind = "alertmanager"
urls = ["http://am.ours.test:9093", "http://am.example"]

[services.checkout]
url = "https://shop.example/healthz"

[people.mira]
email = "mira@shop.example"
"""
    (place.folder / "ray-tui.toml").write_text(CONFIG + tables)
    found = await doctor.examine(None, place.outside)
    hosts = [finding.detail.partition("ray-tui.toml:")[2] for finding in found if finding.name == "config.hosts"]
    assert [one.split(": ")[:2] for one in hosts] == [
        ["10", "metrics.url"], ["14", "alerting.urls.1"], ["17", "services.checkout.url"],
    ]  # fmt: skip
    (place.folder / "ray-tui.toml").write_text(CONFIG)
    assert (await examined(place))["config.hosts"].ok


async def test_a_folder_that_cannot_be_written_is_wrong(place):
    """A file stands where the evidence folder should be."""
    (place.folder / ".artifacts").mkdir(exist_ok=True)
    (place.folder / ".artifacts" / "monitoring").symlink_to("/proc/1")
    found = await examined(place)
    assert not found["folder.evidence"].ok
    assert found["folder.context"].ok


async def test_nothing_is_left_behind(place):
    """Looking changes nothing."""
    before = sorted(place.folder.rglob("*"))
    await examined(place)
    assert sorted(place.folder.rglob("*")) == before


async def test_an_unsafe_socket_folder_is_wrong(place):
    """Its own check speaks."""

    def unsafe(config):
        raise InputError("/tmp/ray-tui-0: must be a folder of yours with mode 0700, and is not")

    found = await examined(place, socket_folder=unsafe)
    assert not found["sockets"].ok
    assert "0700" in found["sockets"].detail


@pytest.mark.parametrize(
    ("people", "host", "empty"),
    [
        ("[people.sam]\nuid = 4711\n", "", "socket_dir and group is empty"),
        ('[people.sam]\nlogin = "sam"\n', '[host]\nsocket_dir = "/srv/meet"\n', "group is empty"),
        ("[people.sam]\nuid = 4711\n", '[host]\nsocket_dir = "/srv/meet"\ngroup = "sre"\n', ""),
        (f"[people.mira]\nuid = {os.getuid()}\n[people.tom]\n", "", ""),
    ],
)
async def test_people_of_other_os_users_who_could_not_join_are_told_of_before_a_run_begins(place, people, host, empty):
    """Pairing needs a folder and a group to meet in; one OS user alone needs neither."""
    (place.folder / "ray-tui.toml").write_text(CONFIG + people + host)
    found = (await examined(place)).get("sockets.people")
    assert (found is not None) == bool(empty)
    if found is not None:
        assert found.ok
        assert "(sam)" in found.detail
        assert empty in found.detail
        assert "mode 2750" in found.todo


async def test_abandoned_sockets_are_told_from_live_ones(place):
    """A host that was killed leaves its socket behind."""
    for name, listens in (("live", True), ("dead", False)):
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(place.sockets / f"{name}.sock"))
        if listens:
            bound.listen()
            live = bound
        else:
            bound.close()
    with live:
        found = await examined(place)
    assert found["sockets.abandoned"].detail == "1: dead.sock"


async def test_live_unfinished_and_unreadable_runs_are_told_apart(place):
    """Each with the command that goes on from there."""
    opened = f.RunOpened(run_id="r", release="v1", environment="e", deployed_at=0, config_digest="")
    runs = [
        SimpleNamespace(run_id="r-live", state=RunState(opened=opened), alive=True),
        SimpleNamespace(run_id="r-left", state=RunState(opened=opened), alive=False),
        SimpleNamespace(run_id="r-torn", state=RunState(), alive=False),
        SimpleNamespace(run_id="r-done", state=RunState(opened=opened, aborted=f.RunAborted(reason="x")), alive=False),
    ]
    found = await examined(place, runs=lambda store: runs)
    assert "attach r-live" in found["runs.live"].todo
    assert "--resume --run r-left" in found["runs.unfinished"].todo
    assert not found["runs.unreadable"].ok
    assert "r-done" not in json.dumps([finding.to_json() for finding in found.values()])


async def test_a_live_run_whose_configuration_has_changed_is_said(place):
    """With the way to go on by it; the run itself uses what it began with."""
    facts = [f.HostStarted(pid=7), f.ConfigurationChanged(file="ray-tui.toml")]
    folded = fold([f.Entry(seq=n, at=n, mono=n, actor=f.ENGINE, fact=fact) for n, fact in enumerate(facts, 1)])
    live = [SimpleNamespace(run_id="r", state=folded, alive=True)]
    finding = (await examined(place, runs=lambda store: live))["runs.changed"]
    assert "r: ray-tui.toml has changed since" in finding.detail
    assert "`kill 7`" in finding.todo


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        ({}, False),
        ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, True),
        ({"usr/lib/systemd/logind.conf.d/10.conf": "KillUserProcesses=yes", "etc/systemd/logind.conf.d/50.conf":
            "KillUserProcesses=no"}, False),
    ],
)  # fmt: skip
async def test_a_logind_that_ends_runs_with_the_session_is_warned_about(place, files, warned):
    """The last file that says so wins."""
    for name, text in files.items():
        path = place.outside.system_root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    finding = (await examined(place))["logind"]
    assert finding.ok
    assert ("enable-linger" in finding.todo) is warned


async def test_a_terminal_without_a_screen_is_a_warning(place):
    """CI has none, and that is no fault."""
    finding = (await examined(place, environment={}))["terminal"]
    assert finding.ok
    assert "--headless" in finding.todo


async def test_missing_programs_are_said(place):
    """Without ssh-keygen nobody can sign; promtool is a convenience."""
    found = await examined(place, which=lambda name: None)
    assert "OpenSSH" in found["ssh-keygen"].todo
    assert found["promtool"].ok
    assert not found["promtool"].todo


async def test_no_secret_is_printed(place, monkeypatch):
    """Neither the environment's nor a file's."""
    monkeypatch.setenv("DOCTOR_TOKEN", "s3cret-value")
    (place.folder / "token").write_text("s3cret-value")
    (place.folder / "token").chmod(0o600)
    tables = '\n[metrics]\nkind = "prometheus"\nurl = "http://127.0.0.1:1"\nbearer_token = "env:DOCTOR_TOKEN"\n'
    tables += '[logs]\nkind = "loki"\nurl = "http://127.0.0.1:1"\nbearer_token = "file:token"\n'
    (place.folder / "ray-tui.toml").write_text(CONFIG + tables)
    from ray_tui import wiring

    found = await examined(place, open_ports=wiring.open_ports)
    said = json.dumps([finding.to_json() for finding in found.values()]) + "".join(
        finding.to_text() for finding in found.values()
    )
    assert not found["system.metrics"].ok
    assert "s3cret-value" not in said


async def test_the_listener_for_acknowledgements_is_tried(place):
    """Its address and Slack's secret: what would stop a run from starting is said before one does."""
    file = place.folder / "ray-tui.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(f'{CONFIG}\n[acknowledge]\nlisten = "127.0.0.1:{port}"\n')
        assert not (await examined(place))["acknowledge"].ok
        live = [SimpleNamespace(run_id="r", state=RunState(), alive=True, folder=place.folder)]
        assert (await examined(place, runs=lambda store: live))["acknowledge"].ok
    assert (await examined(place))["acknowledge"].ok
    file.write_text(file.read_text() + 'slack_signing_secret = "env:NO_SUCH_VARIABLE_OF_OURS"\n')
    found = (await examined(place))["acknowledge"]
    assert not found.ok
    assert "NO_SUCH_VARIABLE_OF_OURS" in found.detail
