"""Where cron, systemd, GitHub Actions or Kubernetes take their entries from, and how ours get there."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ray_tui.actions import programs
from ray_tui.actions.programs import CannotSchedule
from ray_tui.actions.scheduler_texts import Target, file_names
from ray_tui.analysis import schedule
from ray_tui.analysis.schedule import Entry
from ray_tui.config import Schedule
from ray_tui.core.errors import RayError
from ray_tui.core.ports import SideEffect
from ray_tui.evidence import writer

LARGEST = 4 * 1024 * 1024
NO_CRONTAB = "install cron, name its program in schedule.crontab, or choose another schedule.target"


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
    """The crontab that cron keeps for a user, through ``crontab``: what it shows is what it runs."""

    program: tuple[str, ...]
    folder: Path
    side_effect: SideEffect = SideEffect.QUERY  # read back first

    @property
    def where(self) -> str:
        usual = self.program == ("crontab",)
        return "the user's crontab" if usual else f"the crontab that {shlex.join(self.program)} keeps"

    async def read(self) -> dict[str, str]:
        said = await programs.ask([*self.program, "-l"], self.folder, todo=NO_CRONTAB)
        if said.code == 0:
            return {"": said.out}
        if "no crontab for" in said.errors:
            return {}
        raise CannotSchedule(f"crontab -l failed: {said.why}")

    async def write(self, texts: Texts) -> None:
        said = await programs.ask([*self.program, "-"], self.folder, todo=NO_CRONTAB, given=texts[""])
        if said.code != 0:
            raise CannotSchedule(f"crontab refused the new entries: {said.why}")


# --- what is to be there ---------------------------------------------------------------------------------------------


def place(settings: Schedule, folder: Path, entries: Sequence[Entry]) -> Place:
    """Where the entries go. ``folder`` is what a relative path is relative to. Raises CannotSchedule."""
    target = settings.target
    if not settings.install_into:
        if target == "cron":
            try:
                return UserCrontab(tuple(shlex.split(settings.crontab)) or ("crontab",), folder)
            except ValueError as exc:
                raise CannotSchedule(f"schedule.crontab cannot be read as a command: {exc}") from exc
        default = {"systemd": Path("~/.config/systemd/user").expanduser(), "github": folder / ".github" / "workflows",
                   "kubernetes": folder / "ray-tui-cronjobs.yaml"}  # fmt: skip
        chosen = default[target]
    else:
        chosen = (folder / Path(settings.install_into).expanduser()).resolve()
    if target == "cron" and chosen.is_relative_to("/etc/cron.d"):
        raise CannotSchedule("files in /etc/cron.d need a user's name in each line: use a user's crontab instead")
    if target in ("cron", "kubernetes"):
        return Files(chosen.parent, (chosen.name,))
    if target == "github" and chosen.suffix in (".yml", ".yaml"):
        chosen = chosen.parent
    return Files(chosen, tuple(sorted(name for entry in entries for name in file_names(target, entry))))


def wanted(target: Target, before: Texts, names: Sequence[str], texts: Texts) -> dict[str, str]:
    """What the place is to hold, foreign crontab lines kept. Raises InputError on a broken crontab."""
    if target == "cron":
        name = names[0] if names else ""
        return {name: schedule.merge_crontab(before.get(name, ""), texts[""])}
    return {names[0]: texts[""]} if target == "kubernetes" else dict(texts)


def what_is_left(target: Target, where: str) -> str:
    """What a person has to do after the files are in place, for the scheduler to hold them."""
    systemctl = shlex.join(service_manager(Path(where)))
    return {
        "cron": f"empty schedule.install_into, so that the crontab itself takes them; or see that cron reads {where}",
        "systemd": f"{systemctl} daemon-reload && cd {shlex.quote(where)} && {systemctl} enable --now ray-tui-*.timer",
        "github": f"supply what the head of each file in {where} names, commit them to the default branch, and push",
        "kubernetes": f"supply what the head of each job names, then: kubectl apply -f {shlex.quote(where)}",
    }[target]


def service_manager(folder: Path) -> list[str]:
    """``systemctl`` for the manager that reads units in this folder: the machine's, or the user's."""
    return ["systemctl"] if str(folder).startswith(("/etc/", "/run/", "/usr/")) else ["systemctl", "--user"]
