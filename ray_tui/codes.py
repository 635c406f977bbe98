"""Acknowledgement codes: what stands in a probe's message, so that only who received it can know it."""

import base64
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from ray_tui.core.errors import InputError

KEY_NAME = "acknowledge.key"
KEY_BYTES = 32
LENGTH = 10
"""Characters of a code, 5 bits each: guessing 20 a minute for a year hits one with a chance of 1 in 10⁸."""
CODE = re.compile(rf"(?<![A-Za-z0-9])[A-Z2-7]{{{LENGTH}}}(?![A-Za-z0-9])")
"""A code within a text."""
Addressee = tuple[str, str]
"""(Probe, integration): one message that somebody could have read."""


class Codes:
    """The codes of one run, by a key of its own (mode 0600) that lies beside its journal and is in no evidence."""

    def __init__(self, run_folder: Path, entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.path = run_folder / KEY_NAME
        self._entropy = entropy
        self._key = b""

    def of(self, addressee: Addressee) -> str:
        """The same whenever it is asked for, after a restart as well. Raises InputError when the key has no place."""
        mac = hmac.digest(self._load(), "\0".join(addressee).encode(), "sha256")
        return base64.b32encode(mac)[:LENGTH].decode("ascii")

    def find(self, typed: str, addressees: Iterable[Addressee]) -> Addressee | None:
        """Whose code was typed; small letters, spaces and hyphens do not matter. Takes as long when it is wrong."""
        code = re.sub(r"[\s-]", "", typed).upper().encode()
        found = None
        for one in addressees:
            if hmac.compare_digest(self.of(one).encode(), code):
                found = one
        return found

    def _load(self) -> bytes:
        if not self._key:
            try:
                self._key = self._read() or self._make()
            except OSError as exc:
                raise InputError(
                    f"{self.path}: cannot be used: {exc.strerror}. The run's folder must be ours."
                ) from exc
        return self._key

    def _read(self) -> bytes:
        """Empty where there is none yet, or one that a full disk cut off."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        with os.fdopen(fd, "rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise InputError(f"{self.path}: may be read by others: chmod 600 it, or remove it for a new one.")
            key = file.read(KEY_BYTES + 1)
        return key if len(key) == KEY_BYTES else b""

    def _make(self) -> bytes:
        key, fresh = self._entropy(KEY_BYTES), self.path.with_name(f".{KEY_NAME}.new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        return key
