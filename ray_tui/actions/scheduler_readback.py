"""What a scheduler itself says that it holds: a file that was written is not yet a check that runs."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray_tui.actions import programs
from ray_tui.actions.programs import CannotSchedule
from ray_tui.actions.scheduler_install import Files, Place, Texts, service_manager
from ray_tui.actions.scheduler_texts import file_names, placed
from ray_tui.analysis import schedule
from ray_tui.analysis.schedule import Entry
from ray_tui.config import Config

WORKFLOWS = ".github/workflows/"


@dataclass(frozen=True)
class Held:
    """The ids of our entries that the scheduler holds as meant, by whose word; ``unknown``: why nobody says."""

    ids: frozenset[str] = frozenset()
    by: str = ""
    unknown: str = ""


NOTHING = Held()


async def held(place: Place, entries: Sequence[Entry], texts: Texts, config: Config) -> Held:
    """Ask the scheduler. ``texts`` is what was written. Raises CannotSchedule where a crontab cannot be read."""
    if not isinstance(place, Files):
        text = (await place.read()).get("", "")
        ours = {one.id for one in entries if schedule.crontab_holds(text, placed("cron", one, config))}
        return Held(frozenset(ours), place.where)
    try:
        match config.schedule.target:
            case "systemd":
                return await _systemd(place.folder, entries)
            case "github":
                return await _github(place.folder, entries, texts)
            case "kubernetes":
                return await _kubernetes(place.folder, texts)
        return Held(unknown=f"cron does not say whether it reads {place.where}")
    except CannotSchedule as exc:
        return Held(unknown=str(exc))


async def _systemd(folder: Path, entries: Sequence[Entry]) -> Held:
    """Enabled, waiting, and read from the very file that was written, since it was written."""
    manager = service_manager(folder)
    units = {file_names("systemd", one)[1]: one.id for one in entries}
    properties = "--property=Id,UnitFileState,ActiveState,NeedDaemonReload,FragmentPath"
    said = await programs.ask(
        [*manager, "show", properties, "--", *units], folder, todo="install systemd, or choose another schedule.target"
    )
    by = f"`{shlex.join([*manager, 'show'])}`"
    if said.code != 0:
        return Held(unknown=f"{by} failed: {said.why}")
    ours = set()
    for block in said.out.split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name, fragment = shown.get("Id", ""), shown.get("FragmentPath", "")
        in_force = (shown.get("UnitFileState"), shown.get("ActiveState"), shown.get("NeedDaemonReload"))
        if name in units and in_force == ("enabled", "active", "no") and _same_file(fragment, folder / name):
            ours.add(units[name])
    return Held(frozenset(ours), by)


def _same_file(one: str, other: Path) -> bool:
    return bool(one) and Path(one).resolve() == other.resolve()


async def _github(folder: Path, entries: Sequence[Entry], texts: Texts) -> Held:
    """On the default branch of ``origin`` as it is there now, in the folder that GitHub reads, to the letter."""

    async def git(*words: str) -> programs.Said:
        return await programs.ask(["git", *words], folder, todo="install git, or choose another schedule.target")

    inside = await git("rev-parse", "--show-prefix")
    if inside.code != 0:
        return Held(unknown=f"{folder} is in no git repository: {inside.why}")
    if inside.out.strip() != WORKFLOWS:
        return Held(
            unknown=f"GitHub reads {WORKFLOWS} at a repository's top, and not {inside.out.strip() or 'its top'}"
        )
    remote = await git("ls-remote", "origin", "HEAD")
    commit = remote.out.split("\t")[0]
    if remote.code != 0 or not commit:
        return Held(unknown=f"the default branch of origin cannot be asked for: {remote.why}")
    if (await git("cat-file", "-e", f"{commit}^{{commit}}")).code != 0:
        return Held(unknown=f"origin's default branch is at {commit[:12]}, which is not here: git fetch, and retry")
    ours = set()
    for one in entries:
        name = file_names("github", one)[0]
        there = await git("show", f"{commit}:./{name}")
        if there.code == 0 and there.out == texts[name]:
            ours.add(one.id)
    return Held(frozenset(ours), f"origin's default branch at {commit[:12]}")


async def _kubernetes(folder: Path, texts: Texts) -> Held:
    """What the cluster would run: the same cadence, zone, image and command, and not suspended."""
    words = ["kubectl", "get", "cronjobs", "--namespace", "default", "-l", "app.kubernetes.io/managed-by=ray-tui",
             "-o", "json"]  # fmt: skip
    said = await programs.ask(words, folder, todo="install kubectl, or choose another schedule.target")
    if said.code != 0:
        return Held(unknown=f"kubectl get cronjobs failed: {said.why}")
    live = schedule.cronjobs(said.out)
    wanted = {name: job for text in texts.values() for name, job in schedule.cronjobs(text).items()}
    return Held(frozenset(name for name, job in wanted.items() if live.get(name) == job), "`kubectl get cronjobs`")
