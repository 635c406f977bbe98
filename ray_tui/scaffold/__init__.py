"""What `ray-tui init` writes into a user's repository: a configuration, the seed's scripts, a CI workflow."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ray_tui import config
from ray_tui.core.errors import InputError

EXAMPLE = "config.example.toml"
WORKFLOW = Path(".github/workflows/protocol-12-gates.yml")


@dataclass(frozen=True)
class Script:
    """One script that the protocol names, and the subcommand that does its work."""

    name: str
    command: tuple[str, ...]
    says: str


SCRIPTS: tuple[Script, ...] = (
    Script("validate_prerequisites_12.py", ("prerequisites",), "Check artifacts, approvals, systems, write access"),
    Script("collect_perf.py", ("baseline",), "Capture baseline metrics: --env NAME --output FILE"),
    Script("validate_gate_12_instrumentation.py", ("gate", "instrumentation"), "Judge gate 1: --threshold 0.95"),
    Script("validate_gate_12_alerts.py", ("gate", "alerts"), "Judge gate 2: --sla MINUTES"),
    Script("validate_gate_12_assurance.py", ("gate", "assurance"), "Judge gate 3"),
    Script("validate_gate_12_handoff.py", ("gate", "handoff"), "Judge gate 4: --threshold 0.95"),
    Script("aggregate_evidence_12.py", ("evidence",), "Index the evidence with hashes: --output FOLDER"),
    Script("run_protocol_12_gates.py", ("gates",), "Judge all four gates, read-only"),
)


def write(folder: Path, scripts: bool = False, workflow: bool = False) -> list[tuple[Path, bool]]:
    """Write what is missing; (path, whether it was written) for each. What exists is never touched.

    The workflow calls one of the scripts, which is then written, too. Raises InputError naming the path.
    """
    wanted = [(folder / config.FILE_NAME, example(), 0o644)]
    if scripts or workflow:
        chosen = [script for script in SCRIPTS if scripts or script.command == ("gates",)]
        wanted += [(folder / "scripts" / script.name, shim(script), 0o755) for script in chosen]
    if workflow:
        wanted.append((folder / WORKFLOW, _shipped("protocol-12-gates.yml"), 0o644))
    return [(path, _write_new(path, text, mode)) for path, text, mode in wanted]


def example() -> str:
    """The example configuration: shipped inside the wheel, at the root of a checkout."""
    packaged = resources.files(__name__) / EXAMPLE
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / EXAMPLE).read_text(encoding="utf-8")


def shim(script: Script) -> str:
    """The text of one script: flags, exit codes and signals are the subcommand's, as the script becomes it."""
    command = " ".join(script.command)
    return _shipped("shim.py.txt").format(
        says=script.says, command=command, arguments=", ".join(f'"{word}"' for word in script.command)
    )


def _shipped(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")


def _write_new(path: Path, text: str, mode: int) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        path.chmod(mode)
    except FileExistsError:
        if not path.is_file():
            raise InputError(f"{path}: is in the way and is no file; move it, then try again") from None
        return False
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}; choose a folder that you may write") from exc
    return True
