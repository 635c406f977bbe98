"""One HTTP client with a deadline, a cap, a repeat rule and one translation of everything that can go wrong.

httpx alone has no total deadline, inflates a gzip bomb whole, follows nothing we would want followed and logs URLs.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpAccess
from ray_tui.backends.answers import (
    Answer,
    Inflater,
    TooLarge,
    failure,
    origin,
    path_of,
    pause,
    reason_in,
    retry_after,
    worth_repeating,
)
from ray_tui.clock import Clock
from ray_tui.core import untrusted
from ray_tui.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnreachable,
    ConfigError,
)

if TYPE_CHECKING:
    import httpx

USUAL = 8 * 1024 * 1024
"""Decoded bytes of one answer; more is BackendBroken."""
LARGE = 64 * 1024 * 1024
"""The same, for rules, targets and range queries."""
ERROR_BODY = 64 * 1024
ATTEMPTS = 3

# Their INFO and DEBUG records hold whole URLs and headers.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@cache
def _tls(ca_file: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _broke_off_tls(exc: BaseException | None) -> bool:
    while exc is not None and not isinstance(exc, ssl.SSLError):
        exc = exc.__cause__ or exc.__context__
    return exc is not None


class Http:
    """One system, one connection pool, one set of credentials.

    ``headers`` is called late, in a thread (it may run a program), and again after a 401."""

    def __init__(
        self,
        system: str,
        base_url: str,
        clock: Clock,
        *,
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
        credentials: str = "",
        user_agent: str = "ray-tui",
        access: HttpAccess | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        secret_path: bool = False,
    ) -> None:
        self.system = system
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.access = access or HttpAccess()
        self._jitter = jitter
        self._sleep = sleep or asyncio.sleep
        self._headers = headers
        self._credentials = credentials
        self._user_agent = user_agent
        self._tls = tls or (lambda: _tls(None, None, None))
        self._secret_path = secret_path
        self._client: httpx.AsyncClient | None = None
        self._resolved: Mapping[str, str] | None = None
        self._resolving = asyncio.Lock()

    @classmethod
    def open(
        cls,
        system: str,
        base_url: str,
        access: HttpAccess,
        opening: Opening,
        *,
        headers: Callable[[], Mapping[str, str]] | None = None,
        credentials: str = "",
        secret_path: bool = False,
    ) -> "Http":
        """As the configuration says; ``headers`` are added to those of ``access``. Nothing is resolved or contacted."""

        def path(given: Path | None) -> Path | None:
            return None if given is None else opening.path(given)

        def both() -> dict[str, str]:
            return {**access.header_values(opening.config_folder), **(headers() if headers else {})}

        def tls() -> ssl.SSLContext:
            return _tls(path(access.ca_file), path(access.client_certificate), path(access.client_key))

        return cls(
            system,
            base_url,
            opening.clock,
            jitter=opening.jitter,
            sleep=opening.sleep,
            headers=both,
            credentials=", ".join(part for part in (credentials, access.credentials) if part),
            user_agent=opening.user_agent,
            access=access,
            tls=tls,
            secret_path=secret_path,
        )

    async def close(self) -> None:
        """Drop every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(
        self,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        accept: Sequence[int] = (200,),
        limit: int = USUAL,
    ) -> Answer:
        """GET, repeated where that may help."""
        return await self.request("GET", path, params=params, accept=accept, limit=limit)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        data: Any = None,
        form: Sequence[tuple[str, str]] | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Sequence[int] = (200,),
        limit: int = USUAL,
        may_repeat: bool | None = None,
        keep_body: bool = True,
    ) -> Answer:
        """One call within the total deadline, its whole decoded body included.

        ``data`` is sent as JSON, ``form`` as a form, ``text`` as it is. A status outside ``accept`` is an error (empty:
        any is fine).
        ``may_repeat`` None: GET is repeated, nothing else is; a call's side-effect class may allow or forbid it.
        Raises only BackendError."""
        place = self._place(method, path)
        content, sent = _content(data, form, text)
        sent.update(headers or {})
        ends = self.clock.monotonic() + self.access.total_seconds
        last: BackendError | None = None
        attempts = ATTEMPTS if (method == "GET" if may_repeat is None else may_repeat) else 1
        try:
            async with asyncio.timeout(self.access.total_seconds):
                for attempt in range(attempts):
                    try:
                        return await self._once(method, path, place, params, content, sent, accept, limit, keep_body)
                    except BackendError as error:
                        last = error
                        wait = error.retry_after_seconds if isinstance(error, BackendBusy) else None
                        delay = pause(attempt, self._jitter(), wait)
                        hopeless = attempt + 1 == attempts or not worth_repeating(error)
                        if hopeless or self.clock.monotonic() + delay >= ends:
                            raise
                    await self._sleep(delay)
        except TimeoutError:
            if last is not None:
                raise last from None
            raise self._late(place, method) from None
        raise AssertionError("every attempt either answers or raises")

    async def _once(
        self,
        method: str,
        path: str,
        place: str,
        params: Sequence[tuple[str, str]],
        content: bytes | None,
        headers: Mapping[str, str],
        accept: Sequence[int],
        limit: int,
        keep_body: bool,
    ) -> Answer:
        import httpx  # here, not above: 110 ms that reading a configuration must not pay

        allowed = await self._allowed(place)
        encoded = [(name.encode(), value.encode()) for name, value in {**allowed, **headers}.items()]
        client = self._opened()
        sent_at = self.clock.wall()
        try:
            request = client.build_request(
                method, self.base_url + path, params=list(params) or None, content=content, headers=encoded
            )
            response = await client.send(request, stream=True)
            headers_at = self.clock.wall()
            try:
                wanted = not accept or response.status_code in accept
                body = b"" if not keep_body and wanted else await self._body(response, place, limit, wanted)
            finally:
                await response.aclose()
        except httpx.InvalidURL:
            raise BackendRefused(self.system, f"{place}: that is no address", "Correct the URL") from None
        except httpx.HTTPError as exc:
            raise self._lost(exc, place, method) from exc
        if wanted:
            return Answer(
                self.system,
                place,
                response.status_code,
                dict(response.headers),
                body,
                sent_at,
                self.clock.wall(),
                _skew(response.headers.get("date"), sent_at, headers_at),
            )
        raise self._said_no(place, response.status_code, response.headers, body)

    async def _body(self, response: "httpx.Response", place: str, limit: int, wanted: bool) -> bytes:
        def broken(what: str, kind: type[BackendBroken] = BackendBroken) -> BackendBroken:
            return kind(
                self.system, f"{place}: {what}", "Ask for less, or check the address", status=response.status_code
            )

        cap = limit if wanted else ERROR_BODY
        length = response.headers.get("content-length", "")
        if wanted and length.isascii() and length.isdigit() and int(length) > cap:
            raise broken(f"its body is larger than {cap // (1024 * 1024)} MiB", TooLarge)
        try:
            inflater = Inflater(response.headers.get("content-encoding", "").strip().lower(), cap)
        except ValueError as exc:
            raise broken(str(exc)) from None
        try:
            async for chunk in response.aiter_raw():
                inflater.feed(chunk)
            return inflater.body()
        except OverflowError as exc:
            if not wanted:
                return inflater.cut()
            raise broken(str(exc), TooLarge) from None
        except ValueError as exc:
            if not wanted:
                return inflater.cut()
            raise broken(str(exc)) from None

    async def _allowed(self, place: str) -> Mapping[str, str]:
        async with self._resolving:
            if self._resolved is None:
                try:
                    self._resolved = await asyncio.to_thread(self._headers)
                except ConfigError as exc:
                    raise BackendRefused(self.system, f"{place} was not asked: {exc}") from None
            return self._resolved

    def _opened(self) -> "httpx.AsyncClient":
        import httpx  # see _once

        if self._client is None:
            access = self.access
            try:
                tls = self._tls()
            except OSError as exc:
                what = f"the TLS files cannot be used ({exc.strerror or exc})"
                raise BackendRefused(self.system, what, "Check ca_file, client_certificate and client_key") from None
            try:
                self._client = httpx.AsyncClient(
                    headers={
                        "User-Agent": self._user_agent,
                        "Accept": "application/json, */*;q=0.5",
                        "Accept-Encoding": "gzip, identity",
                    },
                    verify=tls,
                    trust_env=access.use_proxy_environment,
                    follow_redirects=False,
                    timeout=httpx.Timeout(access.read_seconds, connect=access.connect_seconds),
                    limits=httpx.Limits(max_connections=10, max_keepalive_connections=10, keepalive_expiry=15.0),
                )
            except (ValueError, ImportError):
                what = "the proxy that the environment names cannot be used"
                raise BackendRefused(self.system, what, "Correct HTTP_PROXY, HTTPS_PROXY, NO_PROXY") from None
        return self._client

    def _place(self, method: str, path: str) -> str:
        url = self.base_url + path
        return f"{method} {origin(url)}{'' if self._secret_path else path_of(url)}"

    def redacted(self, text: str) -> str:
        """The text without any of our resolved secrets, in case a server repeats what it was sent."""
        for name, value in (self._resolved or {}).items():
            if name != "X-Scope-OrgID":
                for secret in {value, value.split(" ", 1)[-1].removeprefix("token=")}:
                    text = text.replace(secret, "***") if len(secret) > 3 else text
        return text

    def _said_no(self, place: str, status: int, headers: Mapping[str, str], body: bytes) -> BackendError:
        reason = self.redacted(reason_in(headers.get("content-type", ""), body))
        if status == 401:
            self._resolved = None  # it may have been rotated: ask for it anew next time
        if 300 <= status < 400:
            reason = (
                f"a redirect to {origin(headers.get('location', ''))}"
                if "://" in headers.get("location", "")
                else "a redirect"
            )
        wait = retry_after(headers, self.clock.wall())
        return failure(self.system, place, status, reason, credentials=self._credentials, wait=wait)

    def _lost(self, exc: "httpx.HTTPError", place: str, method: str) -> BackendError:
        import httpx  # see _once

        why = self.redacted(untrusted.line(str(exc) or type(exc).__name__, 200))
        if isinstance(exc, httpx.ConnectTimeout):
            late = BackendTimeout(
                self.system,
                f"{place}: no connection within {self.access.connect_seconds:g} s",
                "Check the address, the firewall and the VPN",
            )
            late.never_sent = True
            return late
        if isinstance(exc, httpx.TimeoutException):
            return self._late(place, method)
        if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
            todo = "Check that it runs and the address"
            if "certificate" in why.lower():
                todo = "Set ca_file to its authority"
            elif _broke_off_tls(exc):
                why = "it broke off the TLS handshake"
                todo = "Check that it speaks TLS there, and client_certificate and client_key if it wants them"
            nobody = BackendUnreachable(self.system, f"{place}: no connection ({why})", todo)
            nobody.never_sent = True
            return nobody
        if isinstance(exc, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
            return BackendRefused(
                self.system, f"{place} cannot be asked like that", "Check the address and the headers"
            )
        if isinstance(exc, httpx.NetworkError) or "disconnected" in why or "closed" in why:
            unknown = "" if method == "GET" else "; whether it took effect is unknown"
            return BackendUnreachable(
                self.system,
                f"{place}: the connection was lost before the answer was whole{unknown}",
                "Check that it is up",
            )
        return BackendBroken(
            self.system, f"{place}: it does not speak HTTP ({why})", "Check the port and http or https"
        )

    def _late(self, place: str, method: str) -> BackendTimeout:
        unknown = "" if method == "GET" else "; whether it took effect is unknown"
        return BackendTimeout(
            self.system,
            f"{place}: no whole answer in time (silence up to {self.access.read_seconds:g} s, "
            f"in total {self.access.total_seconds:g} s){unknown}",
            "Check its load, or raise read_seconds and total_seconds",
        )


def _content(
    data: Any, form: Sequence[tuple[str, str]] | None, text: str | None
) -> tuple[bytes | None, dict[str, str]]:
    if text is not None:
        return text.encode(), {"Content-Type": "text/plain; charset=utf-8"}
    if form is not None:
        return urlencode(list(form)).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    if data is not None:
        return json.dumps(data, allow_nan=False).encode(), {"Content-Type": "application/json; charset=utf-8"}
    return None, {}


def _skew(date: str | None, sent_at: float, headers_at: float) -> tuple[float, float] | None:
    """The Date header was made between our sending and our getting the headers.

    It is cut to a second, and some servers (uvicorn) renew it only once a second."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError):
        return None
    return (theirs - headers_at, theirs + 2.0 - sent_at)
