"""When the ongoing checks run next, and the same cadence in the words of four schedulers."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from cronsim import CronSim, CronSimError

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


# --- when ------------------------------------------------------------------------------------------------------------


def next_run(cron: str, after: datetime, time_zone: str) -> datetime:
    """The first run after ``after`` (aware), in ``time_zone``.

    Across DST as Debian's cron: a run in the hour that is skipped happens right after it, one in the hour
    that comes twice happens once. Raises InputError, saying what to write instead.
    """
    assert after.tzinfo is not None, "a time without a zone has no next run"
    validate(cron)
    try:
        return next(CronSim(cron, after.astimezone(_zone(time_zone))))
    except StopIteration:
        raise InputError(f'cron "{cron}" never comes round: no such date in the next 50 years') from None


def validate(cron: str) -> None:
    """Refuse what is no cron expression, or what not every scheduler reads in the same way. Raises
    InputError.
    """
    fields = cron.split()
    if len(fields) != 5 or cron != " ".join(fields):
        raise InputError(f'cron "{cron}": write five fields, e.g. "*/30 * * * *" (minute hour day month weekday)')
    if re.search(r"[^0-9A-Za-z*,/\- ]", cron) or re.search(r"\bL|L\b|W", re.sub(r"JUL|WED", "", cron.upper())):
        raise InputError(f'cron "{cron}": only numbers, names, "*", ",", "-" and "/" mean the same everywhere')
    if re.search(r"(^|,)\w+/", fields[4]) or any(re.search(r"(^|,)[^*,\-/]+/", field) for field in fields):
        raise InputError(f'cron "{cron}": a step needs a range: write "*/15" or "5-59/15", not "5/15"')
    if re.search(r"(?<![0-9/])0*7", fields[4]):
        raise InputError(f'cron "{cron}": write Sunday as 0, not 7')
    if fields[2] != "*" and fields[4] != "*":
        why = "schedulers disagree whether both days must match"
        raise InputError(f'cron "{cron}": {why}; use two entries, one by date and one by weekday')
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as exc:
        raise InputError(f'cron "{cron}": {exc}') from None


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f'time zone "{name}" is not known here: write an IANA name such as "Europe/Berlin"') from None


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
        lines.append(f"{entry.cron} {shlex.join(entry.command).replace('%', chr(92) + '%')}")
    return "\n".join([*lines, END]) + "\n"


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
    validate(cron)
    sim = CronSim(cron, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))

    def listed(values: Iterable[Any], every: int) -> str:
        plain = sorted(values)
        return "*" if len(plain) == every else ",".join(f"{value:02d}" for value in plain)

    weekdays = sorted({int(str(day)) % 7 for day in sim.weekdays})
    days = "" if len(weekdays) == 7 else ",".join(_DAYS[day] for day in weekdays) + " "
    date = f"*-{listed(sim.months, 12)}-{listed(sim.days, 31)}"
    return f"{days}{date} {listed(sim.hours, 24)}:{listed(sim.minutes, 60)}:00"


def github_workflow(entry: Entry, setup: Sequence[str] = (), runs_on: str = "ubuntu-latest") -> str:
    """A GitHub Actions workflow: the schedule and a manual start. GitHub reads cron in UTC."""
    _check(entry)
    if not _same_in(entry, "UTC"):
        raise InputError(f'{entry.id}: GitHub Actions reads cron in UTC; set time_zone = "UTC" and shift the hours')
    steps: list[dict[str, Any]] = [{"uses": "actions/checkout@v4"}]
    steps += [{"run": line} for line in (*setup, shlex.join(entry.command))]
    if any("${{" in step.get("run", "") for step in steps):
        raise InputError(f'{entry.id}: "${{{{" in a command would be replaced by GitHub: take it out')
    workflow = {
        "name": f"ray-tui {entry.id}",
        "on": {"schedule": [{"cron": entry.cron}], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"ray-tui-{entry.id}", "cancel-in-progress": False},
        "jobs": {"check": {"runs-on": runs_on, "timeout-minutes": 30, "steps": steps}},
    }
    return _yaml(entry, workflow)


def kubernetes_cronjob(entry: Entry, image: str, namespace: str = "default") -> str:
    """A Kubernetes CronJob (``timeZone`` needs 1.27). It never overlaps itself and never retries."""
    _check(entry)
    container = {"name": "check", "image": image, "command": [_kubernetes_word(word) for word in entry.command]}
    pod = {"restartPolicy": "Never", "containers": [container]}
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
    return _yaml(entry, job)


# --- reading back: "written" and "installed" are different states ----------------------------------------------------


def installed_crontab(text: str) -> dict[str, str]:
    """Id -> the five fields, of each of our entries whose job line is there and not commented out."""
    found: dict[str, str] = {}
    pending: str | None = None
    for line in text.splitlines():
        if line.startswith(MARK):
            pending = line.removeprefix(MARK).strip()
        elif pending and not line.startswith("CRON_TZ="):
            fields = line.split(None, 5)
            if len(fields) == 6 and not line.lstrip().startswith("#"):
                found[pending] = " ".join(fields[:5])
            pending = None
    return found


def installed_systemd(timer: str) -> dict[str, str]:
    """Id -> its OnCalendar, from the text of a timer unit (``systemctl cat`` shows it with its mark)."""
    lines = timer.splitlines()
    ids = [line.removeprefix(MARK).strip() for line in lines if line.startswith(MARK)]
    events = [line.removeprefix("OnCalendar=") for line in lines if line.startswith("OnCalendar=")]
    return {ids[0]: events[0]} if len(ids) == len(events) == 1 else {}


def installed_github(text: str) -> dict[str, str]:
    """Id -> its cron, from a workflow file. Reading the file does not show that GitHub has it enabled."""
    # YAML 1.1 reads a bare `on` as true; we quote it, but a person may have edited the file.
    body = _loaded(text)
    triggers = body.get("on", body.get(True))
    schedules = triggers.get("schedule") if isinstance(triggers, dict) else None
    crons = [one.get("cron") for one in schedules or () if isinstance(one, dict)]
    return {_marked(text): crons[0]} if _marked(text) and len(crons) == 1 and isinstance(crons[0], str) else {}


def installed_kubernetes(text: str) -> dict[str, str]:
    """Id -> its schedule, from our YAML or from ``kubectl get cronjob -o yaml`` of one that is not suspended."""
    body = _loaded(text)
    spec, meta = body.get("spec"), body.get("metadata")
    if not isinstance(spec, dict) or not isinstance(meta, dict) or spec.get("suspend"):
        return {}
    annotations = meta.get("annotations")
    name = annotations.get("ray-tui/id") if isinstance(annotations, dict) else None
    cron = spec.get("schedule")
    return {name: cron} if isinstance(name, str) and isinstance(cron, str) else {}


def _check(entry: Entry) -> None:
    """Refuse an entry that some scheduler would read otherwise than meant. Raises InputError."""
    if not _ID.fullmatch(entry.id):
        raise InputError(f'schedule id "{entry.id}": use up to 52 lower-case letters, digits and inner hyphens')
    validate(entry.cron)
    _zone(entry.time_zone)
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
        gap = (at.astimezone(_zone(entry.time_zone)).utcoffset() or timedelta()) - (
            at.astimezone(_zone(other)).utcoffset() or timedelta()
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


def _yaml(entry: Entry, body: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=False, width=1_000)
    return f"{MARK}{entry.id}\n{text}"


def _loaded(text: str) -> dict[Any, Any]:
    try:
        body = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _marked(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first.removeprefix(MARK).strip() if first.startswith(MARK) else ""
