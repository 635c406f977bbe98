"""What each scheduler is given: the same checks in its words, with the configuration and secrets they need there."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ray_tui import __version__
from ray_tui.analysis import schedule
from ray_tui.analysis.schedule import CONFIG_FOLDER, Entry, Needs
from ray_tui.config import Config
from ray_tui.core.errors import InputError
from ray_tui.secrets import SecretRef

Target = Literal["cron", "systemd", "github", "kubernetes"]
TARGETS: tuple[Target, ...] = ("cron", "systemd", "github", "kubernetes")
ASKED = ("metrics", "alerting", "dashboards", "paging")
"""The tables whose systems a check asks, and whose secrets it therefore needs."""


def rendered(target: Target, entries: Sequence[Entry], config: Config) -> dict[str, str]:
    """File name -> text (under "" where the place names the file). Raises InputError when it cannot say it."""
    named = [placed(target, entry, config) for entry in entries]
    match target:
        case "cron":
            return {"": schedule.crontab(named, machine_zone())}
        case "systemd":
            return {name: text for entry in named for name, text in _units(entry).items()}
        case "github":
            return {
                file_names(target, one)[0]: schedule.github_workflow(one, needs(config), __version__) for one in named
            }
    image = config.schedule.image or f"ray-tui:{__version__}"
    return {"": "---\n".join(schedule.kubernetes_cronjob(one, image, needs(config)) for one in named)}


def file_names(target: Target, entry: Entry) -> tuple[str, ...]:
    """The files of one entry, for schedulers that want one or more a check."""
    stem = f"ray-tui-{entry.id}"
    return (f"{stem}.yml",) if target == "github" else (f"{stem}.service", f"{stem}.timer")


def needs(config: Config) -> Needs:
    """The configuration's name, and where the secrets of the systems that a check asks are."""
    found: dict[str, list[str]] = {"env": [], "file": [], "cmd": []}
    for table in ASKED:
        for value in _texts_in(getattr(config, table)):
            with contextlib.suppress(ValueError):
                ref = SecretRef.parse(value)
                found[ref.scheme].append(str(ref).removeprefix("cmd:") if ref.scheme == "cmd" else ref.place)
    unique = {scheme: tuple(dict.fromkeys(places)) for scheme, places in found.items()}
    return Needs(config.file.name, unique["env"], unique["file"], unique["cmd"])


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts_in(one)


def placed(target: Target, entry: Entry, config: Config) -> Entry:
    """The command as it can run there: on this machine program and configuration are named in full, as a scheduler has
    another folder and PATH; in a checkout and in a container the configuration lies elsewhere.
    """
    if not entry.command:
        raise InputError(f"{entry.id}: has no command to run")
    program, *rest = entry.command
    where = {"github": config.file.name, "kubernetes": f"{CONFIG_FOLDER}/{config.file.name}"}
    if not {"--config", "-c"} & set(rest):
        rest += ["--config", where.get(target) or str(config.file.resolve())]
    return replace(entry, command=(_found(program) if target in ("cron", "systemd") else program, *rest))


def _found(program: str) -> str:
    """Its full path: on PATH, else beside the Python that runs us (a virtual environment that is not activated)."""
    beside = Path(sys.executable).parent / program
    return shutil.which(program) or (str(beside) if program and os.access(beside, os.X_OK) else program)


def _units(entry: Entry) -> dict[str, str]:
    program = entry.command[0]
    if not program.startswith("/"):
        raise InputError(f"{entry.id}: systemd needs the full path of {program!r}, which is not on PATH here")
    return schedule.systemd(entry, f"ray-tui check of {entry.asset}")


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
