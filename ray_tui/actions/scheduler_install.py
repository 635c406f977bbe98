"""How scheduled checks get into cron, systemd, GitHub Actions or Kubernetes, and how what is there is read back."""

import asyncio
import contextlib
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ray_tui.analysis import schedule
from ray_tui.analysis.schedule import Entry
from ray_tui.core import untrusted
from ray_tui.core.errors import InputError, RayError
from ray_tui.core.ports import SideEffect
from ray_tui.evidence import writer

Target = Literal["cron", "systemd", "github", "kubernetes"]
TARGETS: tuple[Target, ...] = ("cron", "systemd", "github", "kubernetes")
CRONTAB_SECONDS = 10.0
IMAGE = "ray-tui:latest"
USER_CRONTAB = "the user's crontab"
LARGEST = 4 * 1024 * 1024


class CannotSchedule(RayError):
    """The scheduler, or the file it reads, could not be read or written; the message says what to do."""


Texts = Mapping[str, str]
"""File name -> text; one entry under "" for the user's crontab."""


class Place(Protocol):
    """Where a scheduler reads its entries."""

    @property
    def where(self) -> str: ...

    @property
    def side_effect(self) -> SideEffect:
        """Of ``write``."""
        ...

    async def read(self) -> dict[str, str]:
        """What is there now, of the files that concern us; absent ones are left out. Raises CannotSchedule."""
        ...

    async def write(self, texts: Texts) -> None:
        """Replace each atomically. Raises CannotSchedule."""
        ...


@dataclass(frozen=True)
class Files:
    """Plain files in one folder."""

    folder: Path
    names: tuple[str, ...]
    side_effect: SideEffect = SideEffect.QUERY  # read back first

    @property
    def where(self) -> str:
        return str(self.folder / self.names[0]) if len(self.names) == 1 else str(self.folder)

    async def read(self) -> dict[str, str]:
        found = {}
        for name in self.names:
            path = self.folder / name
            try:
                with path.open("rb") as file:
                    data = file.read(LARGEST + 1)
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise CannotSchedule(f"{path} cannot be read: {exc.strerror}") from exc
            try:
                found[name] = data.decode("utf-8")
            except UnicodeDecodeError:
                raise CannotSchedule(f"{path} is not UTF-8 text: move it away") from None
            if len(data) > LARGEST:
                raise CannotSchedule(f"{path} is larger than {LARGEST} bytes: that is no schedule of ours")
        return found

    async def write(self, texts: Texts) -> None:
        for name, text in sorted(texts.items()):
            try:
                writer.publish(self.folder, name, text.encode("utf-8"))
            except RayError as exc:
                raise CannotSchedule(str(exc)) from exc


@dataclass(frozen=True)
class UserCrontab:
    """The crontab of the user that runs the host, through ``crontab``."""

    where: str = USER_CRONTAB
    side_effect: SideEffect = SideEffect.QUERY  # read back first

    async def read(self) -> dict[str, str]:
        code, out, said = await _crontab("-l")
        if code == 0:
            return {"": out}
        if "no crontab for" in said:
            return {}
        raise CannotSchedule(f"crontab -l failed: {untrusted.line(said) or f'exit code {code}'}")

    async def write(self, texts: Texts) -> None:
        code, _, said = await _crontab("-", given=texts[""])
        if code != 0:
            raise CannotSchedule(f"crontab refused the new entries: {untrusted.line(said) or f'exit code {code}'}")


async def _crontab(argument: str, given: str | None = None) -> tuple[int, str, str]:
    """(exit code, output, error output) of ``crontab``. Raises CannotSchedule: absent, or it does not end."""
    program = shutil.which("crontab")
    if program is None:
        todo = "install cron, name a file in schedule.install_into, or choose another schedule.target"
        raise CannotSchedule(f"there is no crontab command here: {todo}")
    try:
        process = await asyncio.create_subprocess_exec(
            program, argument, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as exc:
        raise CannotSchedule(f"{program} cannot be started: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(CRONTAB_SECONDS):
            out, said = await process.communicate((given or "").encode("utf-8"))
    except TimeoutError:
        raise CannotSchedule(f"crontab did not answer within {CRONTAB_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode("utf-8", "replace"), said.decode("utf-8", "replace")


# --- what is to be there ---------------------------------------------------------------------------------------------


def place(target: Target, install_into: str, folder: Path, entries: Sequence[Entry]) -> Place:
    """Where the entries go. ``folder`` is what a relative path is relative to. Raises CannotSchedule."""
    if not install_into:
        if target == "cron":
            return UserCrontab()
        default = {"systemd": Path("~/.config/systemd/user").expanduser(), "github": folder / ".github" / "workflows",
                   "kubernetes": folder / "ray-tui-cronjobs.yaml"}  # fmt: skip
        chosen = default[target]
    else:
        chosen = (folder / Path(install_into).expanduser()).resolve()
    if target == "cron" and chosen.is_relative_to("/etc/cron.d"):
        raise CannotSchedule("files in /etc/cron.d need a user's name in each line: use a user's crontab instead")
    if target in ("cron", "kubernetes"):
        return Files(chosen.parent, (chosen.name,))
    if target == "github" and chosen.suffix in (".yml", ".yaml"):
        chosen = chosen.parent
    return Files(chosen, tuple(sorted(name for entry in entries for name in file_names(target, entry))))


def file_names(target: Target, entry: Entry) -> tuple[str, ...]:
    """The files of one entry, for schedulers that want one or more a check."""
    stem = f"ray-tui-{entry.id}"
    return (f"{stem}.yml",) if target == "github" else (f"{stem}.service", f"{stem}.timer")


def rendered(target: Target, entries: Sequence[Entry], zone: str) -> dict[str, str]:
    """The texts of a target alone (for cron: our block, under ""). Raises InputError when it cannot say it."""
    match target:
        case "cron":
            return {"": schedule.crontab(entries, zone)}
        case "systemd":
            return {name: text for entry in entries for name, text in _units(entry).items()}
        case "github":
            return {
                file_names(target, entry)[0]: schedule.github_workflow(entry, ("pip install ray-tui",))
                for entry in entries
            }
    return {"": "---\n".join(schedule.kubernetes_cronjob(entry, IMAGE) for entry in entries)}


def _units(entry: Entry) -> dict[str, str]:
    program = entry.command[0] if entry.command[0].startswith("/") else shutil.which(entry.command[0])
    if program is None:
        raise InputError(f"{entry.id}: systemd needs the full path of {entry.command[0]!r}, which is not on PATH here")
    whole = Entry(
        entry.id,
        entry.asset,
        entry.cron,
        entry.time_zone,
        entry.owner,
        (str(Path(program).absolute()), *entry.command[1:]),
    )
    return schedule.systemd(whole, f"ray-tui check of {entry.asset}")


def wanted(target: Target, before: Texts, names: Sequence[str], texts: Texts) -> dict[str, str]:
    """What the place is to hold, foreign crontab lines kept. Raises InputError on a broken crontab."""
    if target == "cron":
        name = names[0] if names else ""
        return {name: schedule.merge_crontab(before.get(name, ""), texts[""])}
    return {names[0]: texts[""]} if target == "kubernetes" else dict(texts)


def installed(target: Target, now: Texts) -> dict[str, str]:
    """Entry id -> its cadence in the scheduler's own words, parsed from what the scheduler reads."""
    found: dict[str, str] = {}
    for name, text in now.items():
        match target:
            case "cron":
                found |= schedule.installed_crontab(text)
            case "systemd" if name.endswith(".timer"):
                found |= schedule.installed_systemd(text)
            case "github":
                found |= schedule.installed_github(text)
            case "kubernetes":
                for part in text.split("\n---\n"):
                    found |= schedule.installed_kubernetes(part)
    return found


def cadence(target: Target, entry: Entry) -> str:
    """How an installed entry reads: five fields, or systemd's calendar event with its zone."""
    return f"{schedule.on_calendar(entry.cron)} {entry.time_zone}" if target == "systemd" else entry.cron


def what_is_left(target: Target, where: str) -> str:
    """What a person has to do after the files are in place; empty where nothing is left."""
    return {
        "cron": "" if where == USER_CRONTAB else f"have cron read {where}, if it does not yet",
        "systemd": "systemctl --user daemon-reload && systemctl --user enable --now 'ray-tui-*.timer'",
        "github": f"commit {where} to the default branch",
        "kubernetes": f"kubectl apply -f {shlex.quote(where)}",
    }[target]


def machine_zone() -> str:
    """The IANA name of the zone in which this machine's cron runs; UTC where nothing says so."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if "/" in named and not named.startswith("/"):
        return named
    if named:
        return named if named.isalpha() else "UTC"
    with contextlib.suppress(OSError):
        link = str(Path("/etc/localtime").resolve())
        if "/zoneinfo/" in link:
            zone = link.partition("/zoneinfo/")[2]
            return "UTC" if zone in ("Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu") else zone
    with contextlib.suppress(OSError):
        return Path("/etc/timezone").read_text(encoding="utf-8").strip() or "UTC"
    return "UTC"
