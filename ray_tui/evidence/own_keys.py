"""Which key signs in this process, and which lie ready in the person's agent: by fingerprint, never the key itself."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

SECONDS = 5.0


def fingerprint(key: Path) -> str:
    """``SHA256:…`` of a key file, private or public; empty where ssh-keygen cannot tell."""
    return next(iter(_fingerprints(["ssh-keygen", "-l", "-f", str(key)])), "")


def in_agent() -> tuple[str, ...]:
    """``SHA256:…`` of every key that the agent holds; empty where there is none, or it cannot be asked."""
    return _fingerprints(["ssh-add", "-l"]) if os.environ.get("SSH_AUTH_SOCK") else ()


def _fingerprints(command: list[str]) -> tuple[str, ...]:
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    try:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    words = [line.split() for line in said.stdout.decode("utf-8", "replace").splitlines()]
    return tuple(line[1] for line in words if len(line) > 1 and line[1].startswith("SHA256:"))


def told(key: Path | None) -> str:
    """Whether what is decided here gets signed, in words for the person who decides."""
    if key is not None:
        return f"signed with {fingerprint(key) or 'a key whose fingerprint ssh-keygen cannot tell'} ({key})"
    held = in_agent()
    if held:
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        return f"not signed; your agent holds {held[0]}{more}: start with --sign-with and its .pub file"
    return ""


def asked(key: Path | None) -> Callable[[], str]:
    """``told``, asked in the background: an agent at the far end of a link may take seconds, and no console waits."""
    said = [f"signed with {key}" if key is not None else "not known yet: your agent has not answered"]

    def ask() -> None:
        said[0] = told(key)

    threading.Thread(target=ask, daemon=True).start()
    return lambda: said[0]
