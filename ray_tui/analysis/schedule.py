"""What is checked again and again, whether all of it is scheduled, and one cadence in the words of four schedulers."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml
from cronsim import CronSim

from ray_tui.analysis import cadence
from ray_tui.core.errors import InputError
from ray_tui.core.verdicts import Criterion, Verdict

EVIDENCE = "observability-schedule.json"
MARK = "# ray-tui-id: "
BEGIN, END = "# BEGIN ray-tui", "# END ray-tui"
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


@dataclass(frozen=True)
class Asset:
    """Something that is to be checked again and again: ``kind`` is dashboard, alert-group, synthetic,
    alert-path.
    """

    id: str
    kind: str
    name: str = ""


@dataclass(frozen=True)
class Entry:
    """One scheduled check. ``id`` is stable (DNS label, at most 52 characters), ``asset`` an Asset's id,
    ``cron`` five fields, ``time_zone`` an IANA name, ``command`` its arguments, never a shell line."""

    id: str
    asset: str
    cron: str
    time_zone: str
    owner: str
    command: tuple[str, ...]


class CronJob(NamedTuple):
    """What a Kubernetes CronJob would run, and when."""

    cron: str
    time_zone: str
    image: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Needs:
    """What a check needs where it runs elsewhere: secrets by name and by file path, and what cannot be brought along.

    ``config`` is the configuration file's name there; the rest are the places of its ``env:``, ``file:`` and ``cmd:``
    references.
    """

    config: str = "ray-tui.toml"
    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """Which assets are scheduled (validly, with an owner); ids sorted. ``ratio`` is None over no asset."""

    scheduled: tuple[str, ...]
    unscheduled: tuple[str, ...]
    ownerless: tuple[str, ...]
    invalid: Mapping[str, str]
    unknown: tuple[str, ...]
    """Entries for an asset that is none of ours."""
    ratio: float | None


# --- is everything scheduled -----------------------------------------------------------------------------------------


def coverage(assets: Iterable[Asset], entries: Iterable[Entry]) -> Coverage:
    """Which assets have an entry that is valid and owned. An asset needs only one such entry."""
    known = {asset.id for asset in assets}
    good: set[str] = set()
    ownerless: set[str] = set()
    invalid: dict[str, str] = {}
    unknown = set()
    for entry in entries:
        if entry.asset not in known:
            unknown.add(entry.id)
        elif problem := _problem(entry):
            invalid[entry.id] = problem
        elif not entry.owner.strip():
            ownerless.add(entry.asset)
        else:
            good.add(entry.asset)
    ownerless -= good
    return Coverage(
        tuple(sorted(good)),
        tuple(sorted(known - good - ownerless)),
        tuple(sorted(ownerless)),
        dict(sorted(invalid.items())),
        tuple(sorted(unknown)),
        len(good) / len(known) if known else None,
    )


def _problem(entry: Entry) -> str:
    try:
        _check(entry)
    except InputError as exc:
        return str(exc)
    return ""


def judge(found: Coverage) -> tuple[Criterion, ...]:
    """Gate 3's schedule criteria: every asset scheduled; each one without an owner has a criterion of its
    own.
    """
    total = len(found.scheduled) + len(found.unscheduled) + len(found.ownerless)
    missing = [*found.unscheduled, *(f"{name} ({why})" for name, why in found.invalid.items())]
    verdict = Verdict.INCONCLUSIVE if not total else Verdict.FAILED if missing else Verdict.PASSED
    actual = f"{len(found.scheduled)} of {total} assets scheduled with an owner"
    return (
        Criterion(
            id="schedule.coverage",
            title="Ongoing checks are scheduled",
            verdict=verdict,
            actual=actual + (f"; not scheduled: {', '.join(missing)}" if missing else ""),
            required="every dashboard, alert group, synthetic and the alert-path test",
            evidence=(EVIDENCE,),
            remedy="give each of them a cron entry" if missing else "",
        ),
        *(
            Criterion(
                id=f"schedule.owner:{asset}",
                title=f"Owner of {asset}",
                verdict=Verdict.FAILED,
                actual="nobody",
                required="an owner who exists and is on call",
                evidence=(EVIDENCE,),
                remedy=f"name an owner for {asset}",
            )
            for asset in found.ownerless
        ),
    )


# --- emitters --------------------------------------------------------------------------------------------------------


def crontab(entries: Sequence[Entry], machine_zone: str, *, knows_cron_tz: bool = False) -> str:
    """A block of crontab lines. Debian's cron ignores CRON_TZ (cronie reads it): there, refuse another zone."""
    lines = [BEGIN]
    for entry in entries:
        _check(entry)
        lines.append(MARK + entry.id)
        if knows_cron_tz:
            lines.append(f"CRON_TZ={entry.time_zone}")
        elif entry.time_zone != machine_zone and not _same_in(entry, machine_zone):
            why = f"this machine's cron runs in {machine_zone} and cannot run an entry in {entry.time_zone}"
            raise InputError(f"{entry.id}: {why}; use a systemd timer, or set the entry's time_zone to {machine_zone}")
        lines.append(_job_line(entry))
    return "\n".join([*lines, END]) + "\n"


def _job_line(entry: Entry) -> str:
    return f"{entry.cron} {shlex.join(entry.command).replace('%', chr(92) + '%')}"


def merge_crontab(existing: str, block: str) -> str:
    """The user's crontab with our block replaced, at its end: a CRON_TZ of ours must not reach their lines."""
    kept, inside = [], False
    for line in existing.splitlines():
        if line == BEGIN:
            inside = True
        elif line == END and inside:
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise InputError(f'crontab: "{BEGIN}" without "{END}": repair it by hand with crontab -e')
    return "".join(f"{line}\n" for line in kept) + block


def systemd(entry: Entry, description: str) -> dict[str, str]:
    """File name -> text of a service unit and its timer. ``command[0]`` must be an absolute path."""
    _check(entry)
    if not entry.command[0].startswith("/"):
        raise InputError(f'{entry.id}: systemd needs the full path of "{entry.command[0]}"')
    about = " ".join(description.split()).replace("%", "%%")
    stem = f"ray-tui-{entry.id}"
    service = (
        f"{MARK}{entry.id}\n[Unit]\nDescription={about}\nWants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(map(_systemd_word, entry.command))}\n"
    )
    timer = (
        f"{MARK}{entry.id}\n[Unit]\nDescription={about} (timer)\n\n"
        f"[Timer]\nOnCalendar={on_calendar(entry.cron)} {entry.time_zone}\nPersistent=true\n"
        f"Unit={stem}.service\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{stem}.service": service, f"{stem}.timer": timer}


def on_calendar(cron: str) -> str:
    """The same cadence as a systemd calendar event (without a zone)."""
    cadence.validate(cron)
    sim = CronSim(cron, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))

    def listed(values: Iterable[Any], every: int) -> str:
        plain = sorted(values)
        return "*" if len(plain) == every else ",".join(f"{value:02d}" for value in plain)

    weekdays = sorted({int(str(day)) % 7 for day in sim.weekdays})
    days = "" if len(weekdays) == 7 else ",".join(_DAYS[day] for day in weekdays) + " "
    date = f"*-{listed(sim.months, 12)}-{listed(sim.days, 31)}"
    return f"{days}{date} {listed(sim.hours, 24)}:{listed(sim.minutes, 60)}:00"


PACKAGE = "RAY_TUI_PACKAGE"
"""The repository variable that says where GitHub gets the program from."""


def github_workflow(entry: Entry, needs: Needs, version: str, runs_on: str = "ubuntu-latest") -> str:
    """A GitHub Actions workflow: the schedule and a manual start. GitHub reads cron in UTC."""
    _check(entry)
    if not _same_in(entry, "UTC"):
        raise InputError(f'{entry.id}: GitHub Actions reads cron in UTC; set time_zone = "UTC" and shift the hours')
    if any("${{" in word for word in entry.command):
        raise InputError(f'{entry.id}: "${{{{" in a command would be replaced by GitHub: take it out')
    install = f'python -m pip install "${{{PACKAGE}:?set the repository variable {PACKAGE}}}"'
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.11"}},
        {"run": install, "env": {PACKAGE: f"${{{{ vars.{PACKAGE} }}}}"}},
        {"run": f'test "$(ray-tui --version)" = "ray-tui {version}"'},
        {"run": shlex.join(entry.command), "env": {name: f"${{{{ secrets.{name} }}}}" for name in needs.variables}},
    ]
    workflow = {
        "name": f"ray-tui {entry.id}",
        "on": {"schedule": [{"cron": entry.cron}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"ray-tui-{entry.id}", "cancel-in-progress": False},
        "jobs": {"check": {"runs-on": runs_on, "timeout-minutes": 30, "steps": steps}},
    }
    supply = [
        f"the repository variable {PACKAGE}: ray-tui=={version} from your index, or the wheel's address",
        f"{needs.config} in this repository, naming systems that a runner can reach (runs_on is {runs_on})",
        *(f"the repository secret {name}" for name in needs.variables),
        *(f"an env: reference instead of file:{path}, which is in no checkout" for path in needs.files),
        *(f"the program of cmd:{program} on the runner" for program in needs.programs),
    ]
    return _yaml(entry, workflow, supply)


CONFIG_FOLDER = "/etc/ray-tui"
CONFIG_MAP, SECRET = "ray-tui-config", "ray-tui-secrets"  # the names of Kubernetes objects, not their contents


def kubernetes_cronjob(entry: Entry, image: str, needs: Needs, namespace: str = "default") -> str:
    """A Kubernetes CronJob (``timeZone`` needs 1.27). It never overlaps itself and never retries.

    The configuration comes from a ConfigMap and every secret from a Secret, both of which a person makes.
    """
    _check(entry)
    keys = {path: re.sub(r"[^\w.-]+", ".", path).strip(".") for path in needs.files}
    mounts = [{"name": "config", "mountPath": f"{CONFIG_FOLDER}/{needs.config}", "subPath": needs.config}]
    mounts += [
        {"name": "secrets", "mountPath": path if path.startswith("/") else f"{CONFIG_FOLDER}/{path}", "subPath": key}
        for path, key in keys.items()
    ]
    volumes: list[dict[str, Any]] = [{"name": "config", "configMap": {"name": CONFIG_MAP}}]
    if keys:  # 0400: a secret that others may read is refused
        volumes.append({"name": "secrets", "secret": {"secretName": SECRET, "defaultMode": 0o400}})
    container = {
        "name": "check",
        "image": image,
        "command": [_kubernetes_word(word) for word in entry.command],
        "env": [{"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}
                for name in needs.variables],
        "volumeMounts": [{**mount, "readOnly": True} for mount in mounts],
    }  # fmt: skip
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": entry.id,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "ray-tui"},
            "annotations": {"ray-tui/id": entry.id, "ray-tui/owner": entry.owner},
        },
        "spec": {
            "schedule": entry.cron,
            "timeZone": entry.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }
    supply = [
        f"the image {image}, with ray-tui in it, where the cluster can pull it",
        f"the configuration: kubectl -n {namespace} create configmap {CONFIG_MAP} --from-file={needs.config}",
        *(f"the secret {name}: a key of that name in the Secret {SECRET}" for name in needs.variables),
        *(f"the secret file:{path}: a key {key} in the Secret {SECRET}; the pod's user must own it (root does)"
          for path, key in keys.items()),
        *(f"the program of cmd:{program} in the image" for program in needs.programs),
    ]  # fmt: skip
    return _yaml(entry, job, supply)


# --- reading back: "written" and "installed" are different states ----------------------------------------------------


def crontab_holds(text: str, entry: Entry) -> bool:
    """Whether a crontab has this entry's very job line under its mark: same cadence, same command, not disabled."""
    lines = [line for line in text.splitlines() if not line.startswith("CRON_TZ=")]
    return (MARK + entry.id, _job_line(entry)) in pairwise(lines)


def cronjobs(text: str) -> dict[str, CronJob]:
    """Id -> what would run, from our YAML or ``kubectl get cronjobs -o json``; a suspended one is left out."""
    found: dict[str, CronJob] = {}
    for body in _loaded(text):
        for item in body["items"] if isinstance(body.get("items"), list) else [body]:
            with suppress(KeyError, TypeError, IndexError):
                spec, name = item["spec"], item["metadata"]["annotations"]["ray-tui/id"]
                container = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
                if not spec.get("suspend"):
                    found[name] = CronJob(
                        spec["schedule"], spec.get("timeZone", ""), container["image"], tuple(container["command"])
                    )
    return found


def _check(entry: Entry) -> None:
    """Refuse an entry that some scheduler would read otherwise than meant. Raises InputError."""
    if not _ID.fullmatch(entry.id):
        raise InputError(f'schedule id "{entry.id}": use up to 52 lower-case letters, digits and inner hyphens')
    cadence.validate(entry.cron)
    cadence.zone(entry.time_zone)
    if not entry.command or not entry.command[0]:
        raise InputError(f"{entry.id}: has no command to run")
    if any(re.search(r"[\x00-\x1f\x7f]", word) for word in entry.command):
        raise InputError(f"{entry.id}: its command holds a line break or a control character: take it out")


def _same_in(entry: Entry, other: str) -> bool:
    """Whether an entry runs at the same instants when its fields are read in another zone.

    So it is for those of every hour of every day, if the zones' offsets from each other move its minutes onto
    themselves. Offsets are looked at in each month of one year.
    """
    if entry.time_zone == other:
        return True
    if entry.cron.split()[1:] != ["*"] * 4:
        return False
    start = datetime(2026, 1, 15, tzinfo=ZoneInfo("UTC"))
    minutes = CronSim(entry.cron, start).minutes
    for month in range(12):
        at = start + timedelta(days=30 * month)
        gap = (at.astimezone(cadence.zone(entry.time_zone)).utcoffset() or timedelta()) - (
            at.astimezone(cadence.zone(other)).utcoffset() or timedelta()
        )
        if {(minute + int(gap.total_seconds()) // 60) % 60 for minute in minutes} != minutes:
            return False
    return True


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w./:=@%$+,-]+", escaped) else f'"{escaped}"'


def _kubernetes_word(word: str) -> str:
    """Kubernetes replaces $(NAME); $$ is a dollar sign."""
    return word.replace("$", "$$")


def _yaml(entry: Entry, body: dict[str, Any], supply: Sequence[str]) -> str:
    """``supply`` is what a person has to bring before it can run: it stands at the file's head."""
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=False, width=1_000)
    head = ["It asks live systems, pages nobody, changes nothing. Before it can run, supply:"]
    head += [f" - {' '.join(line.split())}" for line in supply]
    return f"{MARK}{entry.id}\n" + "".join(f"# {line}\n" for line in head) + text


def _loaded(text: str) -> list[dict[Any, Any]]:
    try:
        found = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    return [body for body in found if isinstance(body, dict)]
