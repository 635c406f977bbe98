"""What a command was asked about: the configuration, the folder of evidence, the answers."""

from pathlib import Path
from typing import TYPE_CHECKING

from ray_tui import whereabouts
from ray_tui.core.errors import InputError

if TYPE_CHECKING:
    from ray_tui.config import Config
    from ray_tui.core.answers import Answers

STORE = Path(".artifacts/monitoring")


def config(path: Path | None, release: str | None = None, environment: str | None = None) -> "Config":
    from ray_tui import config as configuration

    chosen = configuration.load(config_file(path))
    changes = {key: value for key, value in (("release", release), ("environment", environment)) if value}
    return configuration.with_run(chosen, changes) if changes else chosen


def config_or_none(path: Path | None) -> "Config | None":
    found = path or whereabouts.find(Path.cwd())
    if found is None:
        return None
    from ray_tui import config as configuration

    return configuration.load(found)


def config_file(path: Path | None) -> Path:
    found = path or whereabouts.find(Path.cwd())
    if found is None:
        raise InputError(
            f"no {whereabouts.FILE_NAME} here or above. `ray-tui init` writes one; `ray-tui demo` needs none."
        )
    return found


def store(chosen: "Config | None") -> Path:
    return chosen.store if chosen else STORE


def answers(path: Path | None) -> "Answers":
    import tomllib

    from pydantic import ValidationError

    from ray_tui import config as configuration
    from ray_tui import files
    from ray_tui.core.answers import Answers

    if path is None:
        return Answers()
    try:
        text = files.read_file(path, configuration.LONGEST_BYTES).decode("utf-8")
        return Answers.model_validate(tomllib.loads(text))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as exc:
        raise InputError(f"{path}: cannot be read as TOML: {exc}") from exc
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors(include_input=False)
        )
        raise InputError(f"{path}: {wrong}") from exc
