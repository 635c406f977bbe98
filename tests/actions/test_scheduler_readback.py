"""3.1: a file that was written is not a check that runs; only the scheduler's own word makes it installed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_tui.actions import schedule
from ray_tui.analysis.schedule import cronjobs
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Verdict
from ray_tui.gates import assurance
from ray_tui.step import Result
from tests.actions.test_schedule import a_program, context
from tests.fakes import actual, verdicts


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC, with a ray-tui and git on PATH, and neither systemd nor kubectl."""
    monkeypatch.setenv("TZ", "UTC")
    for name in ("ray-tui", "systemctl", "kubectl"):
        a_program(tmp_path / "bin" / name, "#!/bin/sh\necho 'nobody is here' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")


async def scheduled(tmp_path: Path, target: str, into: str = "", **plan: Any) -> Result:
    return await schedule.run(context(tmp_path, plan={"target": target, "install_into": into, **plan}))


def gate_says(result: Result) -> dict[str, str]:
    """What Gate 3 makes of the schedule."""
    criteria = [one.to_json() for one in result.criteria]
    twin = {"release": "r", "verdict": result.verdict.value, "criteria": criteria, "body": result.data}
    return verdicts(assurance.judge({assurance.SCHEDULE: twin}, context_thresholds(), 0.0))


def context_thresholds() -> Any:
    from ray_tui.core.policy import Thresholds

    return Thresholds()


@pytest.mark.parametrize(
    ("target", "into", "why"),
    [
        ("cron", "cron.d/ray-tui", "cron does not say whether it reads"),
        ("systemd", "units", "nobody is here"),
        ("github", ".github/workflows", "is in no git repository"),
        ("kubernetes", "jobs.yaml", "nobody is here"),
    ],
)
async def test_written_where_nobody_says_that_it_is_installed_is_never_a_pass(
    tmp_path: Path, target: str, into: str, why: str
) -> None:
    """Inconclusive here and in Gate 3, with what is left to do; a person may validate it by hand. (P51)"""
    result = await scheduled(tmp_path, target, into)

    assert verdicts(result)["schedule.installed"] == "inconclusive"
    assert why in actual(result, "schedule.installed")
    assert result.data["left_to_do"]
    assert {(row["installed"], row["state"]) for row in result.data["entries"]} == {(False, "written")}
    assert gate_says(result)["assurance.schedule"] == "inconclusive"


async def test_gate_3_passes_what_a_person_saw_installed(tmp_path: Path) -> None:
    """Manual validation of the very finding settles it."""
    from ray_tui.core.rules import criterion_digest

    result = await scheduled(tmp_path, "cron", "cron.d/ray-tui")
    found = next(one for one in result.criteria if one.id == "schedule.installed")
    seen = {"criterion": found.id, "step": "3.1", "evidence_sha256": criterion_digest(found)}
    criteria = [one.to_json() for one in result.criteria]
    twin = {"release": "r", "verdict": "inconclusive", "criteria": criteria, "body": result.data}

    judged = assurance.judge(
        {assurance.SCHEDULE: twin, assurance.WAIVERS: {"body": {"manual": [seen]}}}, context_thresholds(), 0.0
    )

    assert verdicts(judged)["assurance.schedule"] == "waived"


async def test_the_write_is_on_record_whatever_the_scheduler_says(tmp_path: Path) -> None:
    """The outcome of the intent is that the files stand."""
    here = context(tmp_path, plan={"target": "kubernetes", "install_into": "jobs.yaml"})

    await schedule.run(here)

    assert [one.outcome for one in here.of_kind(f.OutcomeRecorded)] == ["done"]


# --- systemd ---------------------------------------------------------------------------------------------------------

SHOWS = """#!/bin/sh
for unit in "$@"; do case "$unit" in *.timer)
  echo "Id=$unit"; echo "FragmentPath={folder}/$unit"; echo "{said}" | tr ' ' '\\n'; echo ;;
esac; done
"""


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("UnitFileState=enabled ActiveState=active NeedDaemonReload=no", "passed"),
        ("UnitFileState=disabled ActiveState=inactive NeedDaemonReload=no", "failed"),
        ("UnitFileState=enabled ActiveState=inactive NeedDaemonReload=no", "failed"),
        ("UnitFileState=enabled ActiveState=active NeedDaemonReload=yes", "failed"),
    ],
)
async def test_a_timer_is_installed_when_systemd_has_it_enabled_and_waiting(
    tmp_path: Path, said: str, verdict: str
) -> None:
    """By systemctl's word about the very file that was written; else what is left stands there. (P49 P51)"""
    a_program(tmp_path / "bin" / "systemctl", SHOWS.format(folder=tmp_path / "units", said=said))

    result = await scheduled(tmp_path, "systemd", "units")

    assert verdicts(result)["schedule.installed"] == verdict
    assert ("enable --now" in result.data["left_to_do"]) == (verdict == "failed")
    assert gate_says(result)["assurance.schedule"] == verdict


async def test_a_timer_of_another_file_is_not_ours(tmp_path: Path) -> None:
    """Somebody's older unit of the same name, elsewhere, runs instead."""
    said = "UnitFileState=enabled ActiveState=active NeedDaemonReload=no"
    a_program(tmp_path / "bin" / "systemctl", SHOWS.format(folder="/elsewhere", said=said))

    assert verdicts(await scheduled(tmp_path, "systemd", "units"))["schedule.installed"] == "failed"


# --- GitHub ----------------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=m", "-c", "user.email=m@x", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


async def test_a_workflow_is_installed_when_it_is_on_the_default_branch_of_origin(tmp_path: Path) -> None:
    """Written, committed, pushed: only the last is what GitHub reads. (P49)"""
    git(tmp_path, "init", "--bare", "-b", "main", "origin.git")
    git(tmp_path, "init", "-b", "main", ".")
    git(tmp_path, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    git(tmp_path, "push", "origin", "main")
    into = ".github/workflows"

    written = await scheduled(tmp_path, "github", into)
    git(tmp_path, "add", into)
    git(tmp_path, "commit", "-m", "checks")
    committed = await scheduled(tmp_path, "github", into)
    git(tmp_path, "push", "origin", "main")
    pushed = await scheduled(tmp_path, "github", into)

    assert [verdicts(one)["schedule.installed"] for one in (written, committed, pushed)] == [
        "failed", "failed", "passed"
    ]  # fmt: skip
    assert pushed.data["left_to_do"] == ""
    assert verdicts(await scheduled(tmp_path, "github", "workflows"))["schedule.installed"] == "inconclusive"


# --- Kubernetes ------------------------------------------------------------------------------------------------------


async def test_a_cron_job_is_installed_when_the_cluster_has_it_as_written(tmp_path: Path) -> None:
    """The same cadence and command, and not suspended. (P49)"""
    await scheduled(tmp_path, "kubernetes", "jobs.yaml")
    items = list(yaml.safe_load_all((tmp_path / "jobs.yaml").read_text()))

    def the_cluster_has(jobs: list[Any]) -> None:
        (tmp_path / "live.json").write_text(json.dumps({"kind": "List", "items": jobs}))
        a_program(tmp_path / "bin" / "kubectl", f"#!/bin/sh\ncat {tmp_path}/live.json\n")

    the_cluster_has(items)
    assert (await scheduled(tmp_path, "kubernetes", "jobs.yaml")).verdict is Verdict.PASSED

    items[0]["spec"]["suspend"] = True
    items[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"] = ["ray-tui", "gates"]
    the_cluster_has(items)
    result = await scheduled(tmp_path, "kubernetes", "jobs.yaml")
    assert actual(result, "schedule.installed").startswith("cannot be scheduled: 5 of 7 entries read back")


async def test_jobs_elsewhere_are_given_the_configuration_and_secrets_by_reference(tmp_path: Path) -> None:
    """In a container it lies in a mounted folder; in a checkout beside the code. No secret is written down."""
    (tmp_path / "ray-tui.toml").write_text("")
    here = context(tmp_path)
    here.config = here.config.model_copy(
        update={"dashboards": {"kind": "grafana", "bearer_token": "env:GRAFANA_TOKEN"}, "mail": {"password": "env:NO"}}
    )
    here.config._file = tmp_path / "ray-tui.toml"

    result = await schedule.run(here)

    jobs, workflow = result.data["text"]["kubernetes"], result.data["text"]["github"]
    assert {job.command[-2:] for job in cronjobs(jobs).values()} == {("--config", "/etc/ray-tui/ray-tui.toml")}
    assert "--json --config ray-tui.toml" in workflow
    assert "${{ secrets.GRAFANA_TOKEN }}" in workflow
    assert "secretKeyRef" in jobs
    assert "latest" not in jobs.replace("ubuntu-latest", "")
    assert "NO" not in [line.split()[-1] for line in jobs.splitlines() if line.strip()]
