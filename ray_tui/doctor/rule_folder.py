"""Whether 2.1 can put rule files where [rules] says, and whether Prometheus reads them there, as far as it tells."""

import os
from pathlib import Path, PurePosixPath

from ray_tui.actions.monitoring_plan import read_desired
from ray_tui.config import Config
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Ports, TellsRuleFiles
from ray_tui.core.untrusted import line
from ray_tui.doctor.finding import Finding
from ray_tui.inputs import Inputs

NAME, READ_BY = "system.rules", "system.rules.read"


async def look(chosen: Config, ports: Ports) -> list[Finding]:
    """Nothing is written there. Another kind of rule store is asked by reading from it."""
    if ports.rules is None:
        return []
    directory = (chosen.rules or {}).get("directory")
    folder = None if directory is None else chosen.folder / Path(directory).expanduser()
    why = "" if folder is None else _unusable(folder)
    if why:
        return [Finding(NAME, False, why, "make it, writable for who runs ray-tui, or correct [rules] directory")]
    try:
        await ports.rules.read("ray-tui-doctor.yml")
    except BackendError as exc:
        return [Finding(NAME, False, line(str(exc)), "check [rules]: folder and rights")]
    if folder is None:
        return [Finding(NAME, True, "can be read")]
    return [Finding(NAME, True, f"{folder} is there and can be written"), await _read_by(chosen, ports, folder)]


def _unusable(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: is no folder" if folder.exists() else f"{folder}: there is no such folder"
    return "" if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else f"{folder}: cannot be read and written"


async def _read_by(chosen: Config, ports: Ports, folder: Path) -> Finding:
    """A server may see the folder under another path (in a container), so that no match is a warning, not a fault."""
    unknown = "whether the metrics server reads it cannot be seen"
    todo = f"see that its rule_files match {folder}/*.yml"
    if not isinstance(ports.metrics, TellsRuleFiles):
        return Finding(READ_BY, True, unknown, todo)
    try:
        patterns = await ports.metrics.rule_files()
    except BackendError as exc:
        return Finding(READ_BY, True, line(f"{unknown}: {exc}"), todo)
    names = [file.name for file in read_desired(Inputs(chosen), chosen).rules] or ["ray-tui.yml"]
    missed = [name for name in names if not any(_matches(folder, name, pattern) for pattern in patterns)]
    named = ", ".join(line(pattern) for pattern in patterns) or "nothing"
    if not missed:
        return Finding(READ_BY, True, f"the metrics server reads {named}: that takes in {', '.join(names)}")
    todo = f"add {folder}/*.yml to its rule_files, unless it sees this folder under another path that they match"
    return Finding(READ_BY, True, f"the metrics server reads {named}: that misses {folder}/{', '.join(missed)}", todo)


def _matches(folder: Path, name: str, pattern: str) -> bool:
    """A relative pattern starts at a folder that the server does not tell: its last parts are compared."""
    places = {folder.absolute(), folder.resolve()}
    return any(PurePosixPath(place / name).match(os.path.normpath(pattern)) for place in places)
