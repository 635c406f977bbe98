"""The user's files: found where the configuration says, read with bounds."""

import os
from dataclasses import dataclass
from pathlib import Path

from ray_tui.config import Config
from ray_tui.core.errors import InputError
from ray_tui.files import read_file


@dataclass(frozen=True)
class Inputs:
    """The InputFolder of a configuration."""

    config: Config

    def find(self, name: str) -> tuple[Path, ...]:
        """Everything of that name in the input folders, each once, in the order of the configuration.

        A folder, a FIFO or a broken link counts: ``read`` says what is wrong with it."""
        found: dict[Path, None] = {}
        for folder in self.config.paths.inputs:
            path = self.config.root / folder / name
            try:
                path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                found[path] = None  # what cannot be looked at is not missing
            else:
                found[Path(os.path.realpath(path)) if path.is_file() else path] = None
        return tuple(found)

    def read(self, path: Path, *, limit: int = 20_000_000) -> bytes:
        """The bytes of a file. Raises InputError naming it: missing, unreadable, no file, empty, too large."""
        data = read_file(path, limit)
        if not data:
            raise InputError(f"{path}: is empty. Let the pipeline that writes it run again.")
        return data

    def glob(self, patterns: tuple[str, ...]) -> tuple[Path, ...]:
        """Files that match, sorted; a pattern may be absolute."""
        found: set[Path] = set()
        for pattern in patterns:
            start = Path("/") if Path(pattern).is_absolute() else self.config.folder
            found.update(path for path in start.glob(pattern.lstrip("/")) if path.is_file())
        return tuple(sorted(found))

    def published(self, name: str) -> bytes | None:
        """An artifact that an earlier run published; None where there is none."""
        path = self.config.store / name
        return self.read(path) if path.is_file() else None
