"""Rule files in a folder that Prometheus reads, and the reload that makes them take effect."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess
from ray_tui.backends.http import Http
from ray_tui.core.errors import BackendError, BackendRefused
from ray_tui.core.ports import SideEffect

LONGEST_BYTES = 8 * 1024 * 1024
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.(ya?ml|rules)")


class Settings(HttpAccess):
    """A folder, and the servers that read it."""

    kind: Literal["directory"]
    """Which kind of system this is."""
    directory: Path
    """The folder; a ``rule_files`` pattern of the server must match what is in it."""
    reload_urls: tuple[BaseUrl, ...] = Field(default=())
    """What is POSTed to after a change (``https://prometheus.example/-/reload``); empty: they watch the folder."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("rules", "directory"): Settings}


def open(settings: Settings, opening: Opening) -> "RuleDirectory":  # noqa: A001 (each backend file has one)
    servers = [Http.open("rules", url, settings, opening) for url in settings.reload_urls]
    return RuleDirectory(opening.path(settings.directory), servers)


class RuleDirectory:
    """``RuleStore`` on a file system."""

    name = "rule directory"
    side_effect = SideEffect.DEDUP  # the same text under the same name, loaded again

    def __init__(self, directory: Path, servers: Sequence[Http]) -> None:
        self._directory = directory
        self._servers = tuple(servers)

    async def close(self) -> None:
        for http in self._servers:
            await http.close()

    async def read(self, file_name: str) -> str | None:
        path = self._path(file_name)
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._refused("read", path, exc) from exc
        if len(content) > LONGEST_BYTES:
            raise BackendRefused("rules", f"{path} is larger than {LONGEST_BYTES} bytes", "Split it")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise BackendRefused("rules", f"{path} is not UTF-8", "Correct the file by hand") from None

    async def write(self, file_name: str, text: str) -> None:
        path = self._path(file_name)
        try:
            _replace(path, text.encode("utf-8"))
        except OSError as exc:
            raise self._refused("write", path, exc) from exc

    async def remove(self, file_name: str) -> None:
        path = self._path(file_name)
        try:
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as exc:
            raise self._refused("remove", path, exc) from exc

    async def reload(self) -> None:
        """Every server in turn; the first that keeps its old rules ends it."""
        for http in self._servers:
            try:
                await http.request("POST", "", may_repeat=True, accept=(200, 202, 204))
            except BackendError as error:
                raise _kept(error) from error

    def _path(self, file_name: str) -> Path:
        if not _FILE_NAME.fullmatch(file_name):
            what = f"{file_name[:100]!r} is no name for a rule file"
            raise BackendRefused(
                "rules", what, "Use letters, digits, '_', '-', '.' and the ending .yml, .yaml or .rules"
            )
        return self._directory / file_name

    @staticmethod
    def _refused(verb: str, path: Path, exc: OSError) -> BackendRefused:
        return BackendRefused("rules", f"cannot {verb} {path}: {exc.strerror}", "Check `directory` and its permissions")


def _kept(error: BackendError) -> BackendError:
    """A reload that was answered by no is a refusal, whatever its status: the server goes on with its old rules."""
    if error.status == 403 and "ifecycle" in error.what:
        return BackendRefused("rules", error.what, "Start the server with --web.enable-lifecycle", status=403)
    if error.status == 500:
        todo = "It keeps its old rules; run `promtool check rules` on the folder, the reason is in its log"
        return BackendRefused("rules", error.what, todo, status=500)
    return error


def _replace(path: Path, content: bytes) -> None:
    """Old or new, never a part: temporary file beside it, fsync, rename, fsync of the folder."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # the server runs as another user
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
