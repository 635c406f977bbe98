"""What may be made of a server's answer: inflated under a cap, decoded, cleaned, or turned into the one error it is."""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ray_tui.core import untrusted
from ray_tui.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnreachable,
    NotSupported,
)
from ray_tui.core.ports import Health

RATIO = 100
"""How many times its size on the wire a body may become, once it is larger than ``RATIO_FREE``."""
RATIO_FREE = 1024 * 1024
STEP = 256 * 1024
DEEPEST = 64
BACKOFF_SECONDS = 0.2
BACKOFF_MOST_SECONDS = 2.0
LAST_TIME = 253_402_300_800.0
"""The year 10000 in unix seconds; milliseconds given as seconds are beyond it."""


class TooLarge(BackendBroken):
    """The answer is over its cap: asking for less may work."""


@dataclass(frozen=True)
class Answer:
    """A whole, decoded answer. ``sent_at`` and ``answered_at`` are our wall clock around the attempt that succeeded."""

    system: str
    place: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: float
    answered_at: float
    skew: tuple[float, float] | None = None
    """Their clock minus ours, as [least, most] seconds; None without a Date header."""

    def text(self, longest: int = untrusted.LONGEST) -> str:
        """The body as cleaned text."""
        return untrusted.clean(self.body.decode("utf-8", "replace"), longest)

    def json(self, longest: int = untrusted.LONGEST) -> Any:
        """Decoded JSON whose every string is clean and at most ``longest`` characters. BackendBroken otherwise."""
        return tidy(self.raw_json(), self.body, longest)

    def raw_json(self) -> Any:
        """The same before cleaning: only to send it back where it came from."""
        kind = self.headers.get("content-type", "").lower()
        if "html" in kind:
            raise self.broken(
                "it answered an HTML page where JSON was promised",
                "Check the address: a login page or another server may be in front",
            )
        try:
            value = json.loads(self.body.decode("utf-8"), parse_constant=_no_constant)
        except RecursionError:
            raise self.broken(f"its JSON is nested deeper than {DEEPEST}") from None
        except ValueError as exc:
            where = f"; {exc.msg} at byte {exc.pos}" if isinstance(exc, json.JSONDecodeError) else ""
            raise self.broken(
                f"it answered {self.status} with something that is not JSON ({len(self.body)} bytes{where})",
                "Check that the address is the system's own API",
            ) from None
        if deeper_than(value, DEEPEST):
            raise self.broken(f"its JSON is nested deeper than {DEEPEST}")
        return value

    def broken(self, what: str, todo: str = "") -> BackendBroken:
        """The error that says what this answer has against its contract."""
        return BackendBroken(self.system, f"{self.place}: {what}", todo, status=self.status)

    @contextmanager
    def promised(self) -> Iterator[None]:
        """Around reading the answer's fields: a missing or misshapen one is BackendBroken."""
        with promised(self.system, self.place, self.status):
            yield


@contextmanager
def promised(system: str, place: str, status: int | None = None) -> Iterator[None]:
    """Around reading fields of an answer from ``place``: a missing or misshapen one is BackendBroken."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        what = f"field {exc} is missing" if isinstance(exc, KeyError) else f"a field has another shape ({exc})"
        what = untrusted.line(f"{place}: its answer is not what its API promises: {what}")
        raise BackendBroken(system, what, "Check the system's version", status=status) from exc


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def deeper_than(value: Any, most: int) -> bool:
    """Whether lists and objects are nested deeper than ``most``."""
    level = [value]
    for _ in range(most):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = [item for item in below if isinstance(item, dict | list)]
        if not level:
            return False
    return True


_ESCAPED = re.compile(rb'\\[bfru"]')


def tidy(value: Any, source: bytes, longest: int) -> Any:
    """``untrusted.deep_clean``, skipped where a look at the source shows that there is nothing to clean.

    A range answer has half a million strings, and hardly ever one to change."""
    text = source.decode("utf-8", "replace")
    if (
        not _ESCAPED.search(source)
        and len(untrusted.clean(text, len(text))) == len(text)
        and not _has_long(text, longest)
    ):
        return value
    return untrusted.deep_clean(value, longest=longest, depth=DEEPEST + 1)


def _has_long(text: str, longest: int) -> bool:
    """Whether a JSON text may hold a string longer than that: whether two quotes stand so far apart."""
    at = -1
    while (after := at + longest) < len(text):
        nearest = text.rfind('"', at + 1, after + 1)
        if nearest < 0:
            return True
        at = nearest
    return False


def moment(text: str) -> float:
    """Unix seconds of an RFC 3339 time (any number of fraction digits). ValueError for anything else."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def unix(value: Any) -> float:
    """Unix seconds of a number or an RFC 3339 time. ValueError or TypeError for anything else, NaN and infinity too."""
    if isinstance(value, str):
        return moment(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__} is no time")
    if not abs(value) < LAST_TIME:
        raise ValueError("a time is out of range")
    return float(value)


def moment_or_none(text: str | None) -> float | None:
    """The same; None for an absent time, and for Go's zero time (year 1)."""
    return None if not text or text.startswith("0001-") else moment(text)


def origin(url: str) -> str:
    """Scheme, host and port: all of a URL that may stand in a message."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(no address)"
    host = parts.hostname or "?"
    return untrusted.line(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}", 200)


def path_of(url: str) -> str:
    """The path of a URL, for a message; never its query."""
    try:
        return untrusted.line(urlsplit(url).path, 200)
    except ValueError:
        return ""


# --- what went wrong -------------------------------------------------------------------------------------------------


def reason_in(content_type: str, body: bytes) -> str:
    """What a failed call's body says, in one short line."""
    if "html" in content_type.lower() or body[:200].lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "an HTML page"
    text = body.decode("utf-8", "replace")
    try:
        said = _said(json.loads(text))
    except (ValueError, RecursionError):
        said = text
    return untrusted.line(said, 300)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    found = next((value[key] for key in ("error", "message", "msg", "detail") if value.get(key)), "")
    errors = value.get("errors")
    more = "; ".join(_said(item) for item in errors if item) if isinstance(errors, list) else ""
    return ": ".join(part for part in (_said(found), more) if part)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from a Retry-After (seconds or a date) or a ``ratelimit-reset`` header; None without one."""
    value = headers.get("retry-after") or headers.get("ratelimit-reset") or ""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError):
        return None


def failure(system: str, place: str, status: int, reason: str, *, credentials: str, wait: float | None) -> BackendError:
    """The error for a status that the caller did not ask for. ``reason`` is already cleaned and redacted."""
    what = f"{place} answered {status}" + (f": {reason}" if reason else "")
    if status in (401, 403):
        named = f"Check {credentials}" if credentials else "Configure a token or a user for it"
        todo = f"{named}; it is {'not accepted' if status == 401 else 'not allowed to do this'}"
        return BackendRefused(system, what, todo, status=status)
    if status in (429, 503):
        todo = f"It asks to wait {wait:.0f} s" if wait is not None else "Try again in a moment"
        return BackendBusy(system, what, todo, status=status, retry_after_seconds=wait)
    if status == 501:
        return NotSupported(system, what, "Use another version or another kind of system", status=status)
    if status >= 500:
        return BackendBroken(system, what, "Look at the system's own log", status=status)
    if 300 <= status < 400:
        return BackendBroken(system, what, "Redirects are not followed: configure the final address", status=status)
    if status >= 400:
        todo = "Check the address and what is asked for" if status == 404 else ""
        return BackendRefused(system, what, todo, status=status)
    return BackendBroken(system, what, "Its API promises another status: check its version", status=status)


def worth_repeating(error: BackendError) -> bool:
    """Whether the same question may be answered a moment later."""
    return isinstance(error, BackendUnreachable | BackendTimeout | BackendBusy) or error.status in (500, 502, 504)


def pause(attempt: int, chance: float, asked: float | None) -> float:
    """Seconds before attempt ``attempt`` + 1: full jitter over a doubling range, after what the server asked for."""
    return (asked or 0.0) + chance * min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * float(2**attempt))


# --- the body --------------------------------------------------------------------------------------------------------


class Inflater:
    """Decodes one body, piece by piece, and stops at the cap before it has inflated more."""

    def __init__(self, encoding: str, cap: int) -> None:
        self.cap = cap
        self.size = 0
        self._raw = 0
        self._pieces: list[bytes] = []
        self._gzip = None
        if encoding in ("gzip", "x-gzip"):
            self._gzip = zlib.decompressobj(31)
        elif encoding == "deflate":
            self._gzip = zlib.decompressobj()
        elif encoding not in ("", "identity"):
            raise ValueError(f"its body is encoded as {encoding}, which was not asked for")

    def feed(self, chunk: bytes) -> None:
        """OverflowError past the cap or the ratio; ValueError for a damaged stream."""
        self._raw += len(chunk)
        if self._gzip is None:
            self._keep(chunk)
            return
        while chunk and not self._gzip.eof:
            try:
                piece = self._gzip.decompress(chunk, STEP)
            except zlib.error:
                raise ValueError("its compressed body is damaged") from None
            chunk = self._gzip.unconsumed_tail
            self._keep(piece)
            if self.size > RATIO_FREE and self.size > RATIO * self._raw:
                raise OverflowError(f"its body inflates more than {RATIO} times")
            if not piece and not chunk:
                break

    def body(self) -> bytes:
        """Everything, at the end. ValueError where the stream is cut off."""
        if self._gzip is not None and self._raw and not self._gzip.eof:
            raise ValueError("its compressed body is cut off")
        return b"".join(self._pieces)

    def cut(self) -> bytes:
        """What there is so far."""
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.cap:
            raise OverflowError(f"its body is larger than {self.cap // (1024 * 1024)} MiB")
        self._pieces.append(piece)


def unwell(error: BackendError) -> Health:
    """An error as a health answer."""
    return Health(ok=False, detail=str(error))
