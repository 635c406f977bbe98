"""Who signed what: SSH signatures, made and checked by ``ssh-keygen -Y``, distrusted until we have looked
too.
"""

import base64
import binascii
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
import time
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray_tui.core import untrusted
from ray_tui.core.errors import EvidenceError

NAMESPACE = "ray-tui-approval@v1"
TIMEOUT_SECONDS = 10.0
SIGN_TIMEOUT_SECONDS = 60.0
"""A FIDO key waits for a touch."""
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_KEY_TYPE = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+")
_ARMOUR = re.compile(r"\s*-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END SSH SIGNATURE-----\s*")
_MOST_ARMOUR = 16_384


@dataclass(frozen=True)
class Verified:
    """``cause`` is a stable id ("" when ok): armour, namespace, principal, key, expired, not-yet, mismatch,
    tool.

    ``fingerprint`` is of the key that signed, known once the armour was read: two people must not share one.
    """

    ok: bool
    principal: str
    fingerprint: str
    cause: str
    why: str


@dataclass(frozen=True)
class Signature:
    """What an armoured signature says of itself. Proves nothing."""

    key: bytes
    namespace: str
    hash_algorithm: str

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it."""
        return fingerprint_of(self.key)


@dataclass(frozen=True)
class Allowed:
    """One line of allowed_signers. Times are unix seconds, None where open."""

    principals: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    valid_after: float | None
    valid_before: float | None
    certificate_authority: bool
    key_type: str
    key: bytes


def sign(message: bytes, key: Path, namespace: str = NAMESPACE, *, agent: str | None = None) -> str:
    """An armoured signature by a private key, or by an agent that holds the key of a ``.pub``.

    Never asks for a passphrase: a key that needs one must be in the agent (``agent`` overrides
    SSH_AUTH_SOCK). Raises EvidenceError.
    """
    extra = {} if agent is None else {"SSH_AUTH_SOCK": agent}
    done = _run(["-Y", "sign", "-f", str(key), "-n", namespace], message, SIGN_TIMEOUT_SECONDS, extra)
    armoured = done.stdout.decode("ascii", "replace")
    if done.returncode or "BEGIN SSH SIGNATURE" not in armoured:
        why = untrusted.line(done.stderr.decode("utf-8", "replace")) or f"exit code {done.returncode}"
        raise EvidenceError(f"cannot sign with {key}: {why}; is the key in your agent (ssh-add -l)?")
    return armoured


def verify(
    message: bytes, armoured: str, principal: str, allowed_signers: str, now: float, namespace: str = NAMESPACE
) -> Verified:
    """Whether ``principal`` signed ``message`` with a key that the text of an allowed_signers file gives
    them.

    We check namespace, principal, key and validity at ``now`` ourselves, then let ssh-keygen check the
    signature against that one line only. Certificates and principal patterns are not accepted. Never raises
    on bad input.
    """
    try:
        signature = inspect(armoured)
    except ValueError as exc:
        return Verified(False, principal, "", "armour", f"is not an SSH signature: {exc}")

    def refused(cause: str, why: str) -> Verified:
        return Verified(False, principal, signature.fingerprint, cause, why)

    if signature.namespace != namespace:
        theirs = untrusted.line(signature.namespace, 80)
        return refused("namespace", f'was signed for "{theirs}", not for "{namespace}"')
    if not _PRINCIPAL.fullmatch(principal):
        return refused("principal", "is not a plain name that we look up")
    own = [line for line in parse_allowed(allowed_signers) if principal in line.principals]
    if not own:
        return refused("principal", f"{principal} is not in allowed_signers: add a line for them")
    lines = [line for line in own if line.key == signature.key and not line.certificate_authority]
    if not lines:
        return refused("key", f"{signature.fingerprint} is not a key of {principal}'s in allowed_signers")
    lines = [line for line in lines if line.namespaces is None or namespace in line.namespaces]
    if not lines:
        return refused("namespace", f'{principal}\'s key may not sign for "{namespace}": name it in full there')
    valid = [line for line in lines if _at(line, now) == ""]
    if not valid:
        cause = _at(lines[0], now)
        return refused(cause, f"{principal}'s key is {'expired' if cause == 'expired' else 'not valid yet'}")
    return _checked(message, armoured, principal, namespace, signature, valid[0].key_type)


def _checked(
    message: bytes, armoured: str, principal: str, namespace: str, signature: Signature, key_type: str
) -> Verified:
    key = base64.b64encode(signature.key).decode("ascii")
    fingerprint = signature.fingerprint
    with tempfile.TemporaryDirectory(prefix="ray-tui-verify-") as folder:
        allowed, file = Path(folder, "allowed"), Path(folder, "signature")
        allowed.write_text(f'{principal} namespaces="{namespace}" {key_type} {key}\n', encoding="ascii")
        file.write_text(armoured, encoding="ascii")
        arguments = ["-Y", "verify", "-f", str(allowed), "-I", principal, "-n", namespace, "-s", str(file)]
        try:
            done = _run(arguments, message, TIMEOUT_SECONDS)
        except EvidenceError as exc:
            return Verified(False, principal, fingerprint, "tool", str(exc))
    expected = f'Good "{namespace}" signature for {principal} with '
    if done.returncode == 0 and done.stdout.decode("utf-8", "replace").startswith(expected):
        return Verified(True, principal, fingerprint, "", f"signed by {principal} ({fingerprint})")
    return Verified(False, principal, fingerprint, "mismatch", "the signature is not of this text by that key")


def inspect(armoured: str) -> Signature:
    """Read an armoured signature (OpenSSH's PROTOCOL.sshsig). Raises ValueError."""
    if len(armoured) > _MOST_ARMOUR:
        raise ValueError("too long")
    found = _ARMOUR.fullmatch(armoured)
    if not found:
        raise ValueError("no armour")
    try:
        blob = base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error as exc:
        raise ValueError(f"not base64: {exc}") from None
    if blob[:10] != b"SSHSIG" + (1).to_bytes(4, "big"):
        raise ValueError("not version 1 of SSHSIG")
    key, namespace, _reserved, algorithm, _signature = _strings(blob[10:], 5)
    if algorithm not in (b"sha256", b"sha512"):
        raise ValueError("an unknown hash algorithm")
    return Signature(key, namespace.decode("utf-8"), algorithm.decode("ascii"))


def parse_allowed(text: str) -> tuple[Allowed, ...]:
    """The lines of an allowed_signers file that we can read in full; one that we can't allows nobody."""
    lines = (line.strip() for line in text.splitlines())
    found = (_allowed(line) for line in lines if line and not line.startswith("#"))
    return tuple(line for line in found if line is not None)


def principals_of(armoured: str, allowed_signers: str) -> tuple[str, ...]:
    """Whose key made this signature, by allowed_signers. Says nothing about its validity."""
    try:
        key = inspect(armoured).key
    except ValueError:
        return ()
    return tuple(sorted({one for line in parse_allowed(allowed_signers) if line.key == key for one in line.principals}))


def fingerprint_of(key: bytes) -> str:
    """``SHA256:…`` of a public key blob."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def _allowed(line: str) -> Allowed | None:
    try:
        words = shlex.split(line.replace("\\", "\\\\"), posix=True)
        at = next(i for i, word in enumerate(words) if i and _KEY_TYPE.fullmatch(word))
        key = base64.b64decode(words[at + 1], validate=True)
        options = _options(line.split(None, 1)[1]) if at > 1 else {}
        if options.keys() - {"namespaces", "valid-after", "valid-before", "cert-authority"}:
            return None
        return Allowed(
            tuple(words[0].split(",")),
            tuple(options["namespaces"].split(",")) if "namespaces" in options else None,
            _time(options["valid-after"]) if "valid-after" in options else None,
            _time(options["valid-before"]) if "valid-before" in options else None,
            "cert-authority" in options,
            words[at],
            key,
        )
    except (ValueError, IndexError, StopIteration):
        return None


def _options(rest: str) -> dict[str, str]:
    """Comma-separated ``name`` or ``name="value"``, up to the first blank outside of quotes."""
    found: dict[str, str] = {}
    while True:
        option = re.match(r'([a-z-]+)(?:="([^"]*)")?(,|\s)', rest)
        if not option:
            raise ValueError("options")
        if option[1] in found:
            raise ValueError("an option twice")
        found[option[1]] = option[2] or ""
        rest = rest[option.end() :]
        if option[3] != ",":
            return found


def _time(text: str) -> float:
    """ssh-keygen's YYYYMMDD[HHMM[SS]][Z]: UTC with Z, else local time."""
    found = re.fullmatch(r"(\d{8}|\d{12}|\d{14})(Z?)", text)
    if not found:
        raise ValueError("time")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(found[1])]
    at = time.strptime(found[1], form)
    return float(timegm(at)) if found[2] else time.mktime(at)


def _at(line: Allowed, now: float) -> str:
    if line.valid_after is not None and not now >= line.valid_after:
        return "not-yet"
    if line.valid_before is not None and not now < line.valid_before:
        return "expired"
    return ""


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Exactly so many length-prefixed strings."""
    found = []
    for _ in range(count):
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise ValueError("cut off")
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    if blob:
        raise ValueError("something follows it")
    return found


def _run(
    arguments: Sequence[str], message: bytes, timeout: float, extra: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # A session of its own has no terminal to ask on; without these it would open a dialog or hang.
    environment = {**_environment(), **(extra or {}), "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=message,
            capture_output=True,
            timeout=timeout,
            env=environment,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise EvidenceError("ssh-keygen is not installed: install OpenSSH 8.2 or later") from None
    except subprocess.TimeoutExpired:
        raise EvidenceError(f"ssh-keygen did not finish within {timeout:.0f} s: is the agent alive?") from None
    except OSError as exc:
        raise EvidenceError(f"cannot run ssh-keygen: {exc.strerror or exc}") from exc


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK", "TMPDIR") if name in os.environ}
