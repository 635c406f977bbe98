"""Where a secret is, never what it is: references that are validated early and resolved late."""

import os
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ray_tui.core.errors import ConfigError

FORMS = "env:NAME, file:/path/to/file (mode 0600) or cmd:program arguments"
LONGEST_BYTES = 64 * 1024
COMMAND_SECONDS = 10.0

Scheme = Literal["env", "file", "cmd"]
_SCHEMES: dict[str, Scheme] = {"env": "env", "file": "file", "cmd": "cmd"}


@dataclass(frozen=True)
class SecretRef:
    """One of ``env:NAME``, ``file:/path`` and ``cmd:program arguments``; usable as the type of a pydantic field.

    ``str`` and ``repr`` name the place and nothing else; a command's arguments are left out, as they may be secret.
    """

    scheme: Scheme
    place: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything but the three forms, without repeating what was given."""
        before, _, place = text.partition(":")
        scheme = _SCHEMES.get(before)
        place = place.strip()
        if scheme is None or not place:
            raise ValueError(f"a secret is not written here: say where it is, as {FORMS}")
        if scheme == "env" and not place.replace("_", "a").isalnum():
            raise ValueError("env: takes the name of an environment variable (letters, digits and _)")
        if scheme == "cmd":
            _arguments(place)
        return cls(scheme, place)

    def __str__(self) -> str:
        if self.scheme == "cmd":
            program, *rest = _arguments(self.place)
            return f"cmd:{program}" + (" …" if rest else "")
        return f"{self.scheme}:{self.place}"

    def __repr__(self) -> str:
        return f"SecretRef({str(self)!r})"

    def resolve(self, base: Path | None = None) -> str:
        """The secret now, without its line end. Relative paths and commands start in ``base``.

        Blocks (a command for up to 10 s). Raises ConfigError, which names the reference and says what to do."""
        if self.scheme == "env":
            value = _from_environment(self.place)
        elif self.scheme == "file":
            value = _from_file(self, (base or Path()) / Path(self.place).expanduser())
        else:
            value = _from_command(self, base)
        value = value.rstrip("\r\n")
        if not value:
            raise ConfigError(f"{self} is empty: put the secret there")
        if any(ord(char) < 32 for char in value):
            raise ConfigError(f"{self} holds more than one line, or control characters: keep the secret alone there")
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_before_validator_function(_as_text, core_schema.str_schema())
        return core_schema.no_info_after_validator_function(
            _validated,
            text,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _as_text, return_schema=core_schema.str_schema()
            ),
        )


def _as_text(value: Any) -> Any:
    return f"{value.scheme}:{value.place}" if isinstance(value, SecretRef) else value


def _validated(text: str) -> SecretRef:
    try:
        return SecretRef.parse(text)
    except ValueError as exc:
        raise PydanticCustomError("secret_reference", "{reason}", {"reason": str(exc)}) from None


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as exc:
        raise ValueError("cmd: takes a program and its arguments, quoted as in a shell; a quote is not closed") from exc
    if not arguments:
        raise ValueError("cmd: takes a program and its arguments")
    return arguments


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"env:{name} is not set: export {name} before the start")
    return value


def _from_file(ref: SecretRef, path: Path) -> str:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{ref} is no regular file: name a file that holds the secret")
            if mode & 0o077:
                raise ConfigError(f"{ref} may be read by others (mode {mode & 0o777:04o}): chmod 600 it")
            content = file.read(LONGEST_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{ref} cannot be read ({exc.strerror}): write the secret there, mode 0600") from exc
    if len(content) > LONGEST_BYTES:
        raise ConfigError(f"{ref} is larger than {LONGEST_BYTES} bytes: that is no secret of ours")
    return _decoded(ref, content)


def _without_waiting(path: str, flags: int) -> int:
    """Opening a FIFO that nobody writes to would wait for ever."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _from_command(ref: SecretRef, base: Path | None) -> str:
    try:
        done = subprocess.run(
            _arguments(ref.place),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            cwd=base,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{ref} did not end within {COMMAND_SECONDS:.0f} s: run it by hand") from None
    except OSError as exc:
        raise ConfigError(f"{ref} cannot be started ({exc.strerror}): check the program's path") from None
    if done.returncode != 0:
        raise ConfigError(f"{ref} ended with status {done.returncode}: run it by hand to see why")
    if len(done.stdout) > LONGEST_BYTES:
        raise ConfigError(f"{ref} printed more than {LONGEST_BYTES} bytes: that is no secret of ours")
    return _decoded(ref, done.stdout)


def _decoded(ref: SecretRef, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{ref} is not UTF-8 text: keep the secret there as plain text") from None
