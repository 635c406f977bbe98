"""The user's files: found where the configuration says, read with bounds."""

from dataclasses import dataclass
from pathlib import Path

from ray_tui.config import Config
from ray_tui.core.errors import InputError


@dataclass(frozen=True)
class Inputs:
    """The InputFolder of a configuration."""

    config: Config

    def find(self, name: str) -> tuple[Path, ...]:
        """Every file of that name in the input folders, each once, in the order of the configuration."""
        found: dict[Path, None] = {}
        for folder in self.config.paths.inputs:
            path = self.config.root / folder / name
            if path.is_file():
                found[path.resolve()] = None
        return tuple(found)

    def read(self, path: Path, *, limit: int = 20_000_000) -> bytes:
        """The bytes of a file. Raises InputError naming it: missing, unreadable, a folder, empty, too large."""
        try:
            size = path.stat().st_size
            if size > limit:
                raise InputError(f"{path}: has {size} bytes, over the limit of {limit}. Is it the right file?")
            data = path.read_bytes()
        except FileNotFoundError as exc:
            raise InputError(f"{path}: no such file") from exc
        except OSError as exc:
            raise InputError(f"{path}: cannot be read: {exc.strerror}. Check its permissions.") from exc
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
