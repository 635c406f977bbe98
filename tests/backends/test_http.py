"""What the one client does with a server that misbehaves: each fault has one error, which leaks no secret."""

import asyncio
import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import ValidationError

from ray_tui.backends import KINDS, Opening, open_backend, settings_model
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Inflater, TooLarge, deeper_than, tidy
from ray_tui.backends.http import Http
from ray_tui.clock import Clock
from ray_tui.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnreachable,
)

SECRET = "s3cr3t-token-value"
Write = Callable[[bytes], Awaitable[None]]


@dataclass
class Raw:
    """A server that answers with exactly the bytes it is told to, one script a connection."""

    scripts: list[Callable[["Raw", Write], Awaitable[None]]]
    requests: list[bytes] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            self.requests.append(head + await reader.readexactly(length))

            async def write(data: bytes) -> None:
                writer.write(data)
                await writer.drain()

            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            await script(self, write)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answering(status: int, body: bytes = b"", kind: str = "application/json", **headers: str):
    """A script: one whole answer."""

    async def script(_: Raw, write: Write) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        await write(head.encode() + extra.encode() + b"\r\n" + body)

    return script


async def silent(_: Raw, write: Write) -> None:
    await asyncio.sleep(30)


async def resetting(_: Raw, write: Write) -> None:
    await write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


async def dripping(_: Raw, write: Write) -> None:
    await write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(1000):
        await write(b" ")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def raw(*scripts: Callable[[Raw, Write], Awaitable[None]]) -> AsyncIterator[Raw]:
    server = Raw(list(scripts))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        tasks.add(task)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


@dataclass
class Waits:
    """Sleeps that only take note."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@asynccontextmanager
async def client(url: str, waits: Waits | None = None, base: Path | None = None, **settings) -> AsyncIterator[Http]:
    opening = Opening(Clock(), jitter=lambda: 0.5, config_folder=base, sleep=waits or Waits())
    access = HttpSettings(
        url=url, **{"bearer_token": "env:RAY_TUI_HTTP_SECRET", "read_seconds": 0.5, "total_seconds": 2} | settings
    )
    http = Http.open("metrics", url, access, opening)
    try:
        yield http
    finally:
        await http.close()


@pytest.fixture(autouse=True)
def _the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TUI_HTTP_SECRET", SECRET)


async def error_of(call: Awaitable[object], kind: type[BackendError]) -> BackendError:
    with pytest.raises(kind) as caught:
        await call
    assert SECRET not in str(caught.value)
    return caught.value


async def test_a_good_answer_is_cleaned_and_dated():
    """JSON is decoded with every string made visible; the Date header bounds the clock skew."""
    body = json.dumps({"a": "x\u001by\u202e", "n": [1, None]}).encode()
    async with raw(answering(200, body, Date="Sun, 22 Nov 2026 19:15:00 GMT")) as server, client(server.url) as http:
        answer = await http.get("/x", [("q", "1")])

        assert answer.json() == {"a": "x\\u{1b}y\\u{202e}", "n": [1, None]}
        least, most = answer.skew
        assert 2.0 <= most - least < 4.0
        assert f"authorization: bearer {SECRET}".encode() in server.requests[0].lower()
        assert b"accept-encoding: gzip, identity" in server.requests[0].lower()


async def test_gzip_is_decoded():
    """A compressed body arrives whole."""
    body = json.dumps({"data": list(range(5000))}).encode()
    async with raw(answering(200, gzip.compress(body), Content_Encoding="gzip")) as server, client(server.url) as http:
        assert (await http.get("/")).json()["data"][-1] == 4999


async def test_a_dripping_body_ends_at_the_total_deadline():
    """Bytes that keep coming do not keep a call alive."""
    async with raw(dripping) as server, client(server.url, total_seconds=0.4) as http:
        error = await error_of(http.get("/slow"), BackendTimeout)
        assert "/slow" in str(error)
        assert "0.4 s" in str(error)


async def test_silence_is_a_timeout_that_a_post_calls_unknown():
    """After a POST without an answer nobody knows whether it took effect, and the error says so."""
    async with raw(silent) as server, client(server.url, read_seconds=0.1) as http:
        await error_of(http.get("/"), BackendTimeout)
        error = await error_of(http.request("POST", "/", data={}), BackendTimeout)
        assert "whether it took effect is unknown" in str(error)
        assert len([one for one in server.requests if one.startswith(b"POST")]) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compression_bomb_stops_at_the_ratio(encoding: str):
    """100 MB in 100 kB are not inflated: the call ends as too large."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush()
    async with raw(answering(200, bomb, Content_Encoding=encoding)) as server, client(server.url) as http:
        error = await error_of(http.get("/"), TooLarge)
        assert "inflates more than 100 times" in str(error)


async def test_the_inflater_never_holds_more_than_its_cap():
    """Inflating stops within one step of the cap."""
    inflater = Inflater("gzip", cap=1_000_000)
    with pytest.raises(OverflowError):
        inflater.feed(gzip.compress(bytes(50_000_000)))
    assert inflater.size < 1_300_000


async def test_a_body_over_the_cap_is_too_large_announced_or_not():
    """The cap holds for a Content-Length and for what is really sent."""

    async def endless(_: Raw, write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            await write(b"x" * 65536)

    async with raw(answering(200, b"x" * 2_000_000), endless) as server, client(server.url) as http:
        await error_of(http.get("/", limit=1_000_000), TooLarge)
        await error_of(http.get("/", limit=1_000_000), TooLarge)


async def test_a_cut_off_compressed_body_is_broken():
    """Half a gzip stream is not an answer."""
    half = gzip.compress(json.dumps(list(range(5000))).encode())[:-200]
    async with raw(answering(200, half, Content_Encoding="gzip")) as server, client(server.url) as http:
        assert "cut off" in str(await error_of(http.get("/"), BackendBroken))


async def test_an_encoding_that_nobody_asked_for_is_broken():
    """Brotli was not offered, so it is not guessed at."""
    async with raw(answering(200, b"..", Content_Encoding="br")) as server, client(server.url) as http:
        assert "encoded as br" in str(await error_of(http.get("/"), BackendBroken))


async def test_a_redirect_is_not_followed():
    """Following would send the token elsewhere: the error names the target's origin, and no more of it."""
    async with (
        raw(answering(302, Location=f"https://user:{SECRET}@evil.example/x?token={SECRET}")) as server,
        client(server.url) as http,
    ):
        error = await error_of(http.get("/"), BackendBroken)
        assert "https://evil.example" in str(error)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"<html>Please log in</html>", "text/html; charset=utf-8", "HTML page"),
        (b"{'a': 1}", "application/json", "not JSON"),
        (b'{"a": NaN}', "application/json", "not JSON"),
        (b"\xff\xfe{}", "application/json", "not JSON"),
        (b"", "application/json", "0 bytes"),
        (b"[" * 100_000, "application/json", "nested deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "application/json", "nested deeper than 64"),
        (b"9" * 5000, "application/json", "not JSON"),
    ],
)
async def test_a_200_that_is_not_the_promised_json_is_broken(body: bytes, kind: str, said: str):
    """A login page, damaged JSON, NaN and deep nesting are never an empty answer."""
    async with raw(answering(200, body, kind)) as server, client(server.url) as http:
        answer = await http.get("/")
        with pytest.raises(BackendBroken, match=said):
            answer.json()


def test_nesting_of_exactly_64_is_allowed():
    """The limit is 64 levels, not 63."""
    assert not deeper_than(json.loads("[" * 64 + "]" * 64), 64)
    assert deeper_than(json.loads("[" * 65 + "]" * 65), 64)


@pytest.mark.parametrize("text", ["a\u202eb", "x" * 3000, 'say "x" \u200b', "tab\tnewline\n", "quote \\ \u0007"])
def test_the_short_cut_of_cleaning_gives_what_cleaning_gives(text: str):
    """Skipping the cleaning never changes its result."""
    from ray_tui.core.untrusted import deep_clean

    for ascii_only in (True, False):
        value = {"k": [text, {"n": 1.5}]}
        source = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert tidy(json.loads(source), source, 2000) == deep_clean(value, longest=2000)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BackendRefused),
        (401, BackendRefused),
        (403, BackendRefused),
        (404, BackendRefused),
        (422, BackendRefused),
        (429, BackendBusy),
        (500, BackendBroken),
        (502, BackendBroken),
        (503, BackendBusy),
        (204, BackendBroken),
    ],
)
async def test_each_status_has_one_error_that_keeps_it(status: int, kind: type[BackendError]):
    """The status, the server's reason and the place are in the error; a secret that the server repeats is not."""
    body = json.dumps({"error": {"message": f"no, {SECRET} will not do"}}).encode() if status != 204 else b""
    async with raw(answering(status, body)) as server, client(server.url) as http:
        error = await error_of(http.get("/api/x", [("token", SECRET)]), kind)
        assert error.status == status
        assert type(error) is kind
        assert f"GET {server.url}/api/x answered {status}" in str(error)
        if body:
            assert "will not do" in str(error)


async def test_a_refused_login_names_the_reference_and_asks_for_it_anew(monkeypatch: pytest.MonkeyPatch):
    """After a 401 the secret is resolved again, as it may have been rotated."""
    async with raw(answering(401), answering(200, b"{}")) as server, client(server.url) as http:
        error = await error_of(http.get("/"), BackendRefused)
        assert "Check env:RAY_TUI_HTTP_SECRET" in str(error)

        monkeypatch.setenv("RAY_TUI_HTTP_SECRET", "rotated")
        await http.get("/")
        assert b"bearer rotated" in server.requests[1].lower()


async def test_an_unset_secret_is_a_refusal_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch):
    """Without its credentials a call is not made."""
    monkeypatch.delenv("RAY_TUI_HTTP_SECRET")
    async with raw(answering(200, b"{}")) as server, client(server.url) as http:
        assert "env:RAY_TUI_HTTP_SECRET is not set" in str(await error_of(http.get("/"), BackendRefused))
        assert server.requests == []


async def test_a_get_is_repeated_with_full_jitter_and_then_given_up(waits: Waits):
    """Three attempts, waiting half of 0.2 s and half of 0.4 s at a jitter of one half."""
    async with raw(answering(500)) as server, client(server.url, waits) as http:
        await error_of(http.get("/"), BackendBroken)
        assert len(server.requests) == 3
        assert waits.seconds == [pytest.approx(0.1), pytest.approx(0.2)]


async def test_a_get_that_succeeds_at_last_is_an_answer():
    """A reset and a 503 are forgotten when the third attempt is answered."""
    async with raw(resetting, answering(503), answering(200, b"[1]")) as server, client(server.url) as http:
        assert (await http.get("/")).json() == [1]


async def test_a_post_is_repeated_only_where_the_call_allows_it():
    """A POST whose effect is unknown is never sent again by itself."""
    async with raw(answering(500)) as server, client(server.url) as http:
        await error_of(http.request("POST", "/", data={"a": 1}), BackendBroken)
        assert len(server.requests) == 1
        await error_of(http.request("POST", "/", data={"a": 1}, may_repeat=True), BackendBroken)
        assert len(server.requests) == 4
        assert len(set(server.requests)) == 1


async def test_retry_after_is_waited_for_within_the_deadline(waits: Waits):
    """One second asked for is waited; an hour ends the call at once and is told."""
    async with raw(answering(429, Retry_After="1"), answering(200, b"{}")) as server, client(server.url, waits) as http:
        await http.get("/")
        assert waits.seconds == [pytest.approx(1.1)]
    async with raw(answering(429, Retry_After="3600")) as server, client(server.url, waits) as http:
        error = await error_of(http.get("/"), BackendBusy)
        assert error.retry_after_seconds == 3600
        assert len(server.requests) == 1


async def test_a_lost_connection_is_unreachable():
    """A body that ends before its Content-Length is no answer."""
    async with raw(resetting) as server, client(server.url) as http:
        assert "connection was lost" in str(await error_of(http.get("/"), BackendUnreachable))


async def test_nobody_there_is_unreachable():
    """A refused connection names the address and says what to check."""
    async with raw(silent) as server:
        url = server.url
    async with client(url) as http:
        error = await error_of(http.get("/x"), BackendUnreachable)
        assert url in str(error)
        assert "Check that it runs" in str(error)


async def test_something_that_speaks_no_http_is_broken():
    """An SSH or SMTP port is told apart from a server that is down."""

    async def smtp(_: Raw, write: Write) -> None:
        await write(b"220 mail.example ESMTP\r\n500 what?\r\n\r\n")

    async with raw(smtp) as server, client(server.url) as http:
        assert "does not speak HTTP" in str(await error_of(http.get("/"), BackendBroken))


async def test_no_log_record_holds_a_url(caplog: pytest.LogCaptureFixture):
    """httpx's own INFO records would print the query with its token."""
    caplog.set_level(logging.DEBUG)
    async with raw(answering(200, b"{}")) as server, client(server.url) as http:
        await http.get("/", [("token", SECRET)])
    assert SECRET not in caplog.text
    assert server.url not in caplog.text


async def test_the_environments_proxies_are_ignored_unless_wanted(monkeypatch: pytest.MonkeyPatch):
    """HTTP_PROXY takes effect only by `use_proxy_environment`."""
    async with raw(answering(200, b'"target"')) as target, raw(answering(200, b'"proxy"')) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        async with client(target.url) as http:
            assert (await http.get("/")).json() == "target"
        async with client(target.url, use_proxy_environment=True) as http:
            assert (await http.get("/")).json() == "proxy"


async def test_basic_auth_and_secret_headers_are_sent_and_redacted(monkeypatch: pytest.MonkeyPatch):
    """Whatever lets us in is replaced in a message that repeats it."""
    monkeypatch.setenv("RAY_TUI_OTHER", "other-secret")
    settings = {
        "bearer_token": None,
        "username": "ann",
        "password": "env:RAY_TUI_HTTP_SECRET",
        "headers": {"X-Api-Key": "env:RAY_TUI_OTHER"},
        "tenant": "shop",
    }
    async with raw(answering(400, b'"bad key other-secret"')) as server, client(server.url, **settings) as http:
        error = await error_of(http.get("/"), BackendRefused)
        assert "bad key ***" in str(error)
        sent = server.requests[0].lower()
        assert b"authorization: basic " in sent
        assert b"x-api-key: other-secret" in sent
        assert b"x-scope-orgid: shop" in sent


async def test_a_proxy_that_cannot_be_used_is_a_refusal_without_its_password(monkeypatch: pytest.MonkeyPatch):
    """A wrong HTTP_PROXY is the user's to correct; what it holds is not repeated."""
    monkeypatch.setenv("HTTP_PROXY", f"gopher://ann:{SECRET}@proxy.example")
    async with client("http://x.example", use_proxy_environment=True) as http:
        assert "Correct HTTP_PROXY" in str(await error_of(http.get("/"), BackendRefused))


@pytest.mark.parametrize(
    "fields",
    [
        {"url": f"https://ann:{SECRET}@prometheus.example"},
        {"url": "prometheus:9090"},
        {"url": "https://x.example/?a=1"},
        {"url": "https://x.example", "bearer_token": SECRET},
        {"url": "https://x.example", "username": "ann"},
        {"url": "https://x.example", "surprise": 1},
    ],
)
def test_settings_refuse_what_is_wrong_without_repeating_it(fields: dict[str, object]):
    """Credentials in a URL, literals, half a login and unknown keys are errors that show no value."""
    with pytest.raises(ValidationError) as caught:
        settings_model("metrics", "prometheus")(kind="prometheus", **fields)
    assert SECRET not in str(caught.value)


def test_every_kind_has_settings_whose_every_field_is_explained():
    """Each kind can be loaded, names its own kind, and has a docstring under every field of its own."""
    import ast
    import inspect

    for port, kinds in KINDS.items():
        for kind in kinds:
            model = settings_model(port, kind)
            for cls in model.__mro__:
                if not cls.__module__.startswith("ray_tui."):
                    continue
                (tree,) = ast.parse(inspect.getsource(cls)).body
                for here, after in zip(tree.body, [*tree.body[1:], None], strict=True):
                    if isinstance(here, ast.AnnAssign):
                        said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                        assert said, f"{cls.__module__}.{cls.__name__}.{here.target.id} has no docstring"
            assert model.model_config["extra"] == "forbid"
            assert model.model_fields["kind"].annotation.__args__ == (kind,)


def test_an_unknown_port_or_kind_names_the_known_ones():
    """A typing error in the configuration is answered by what there is."""
    with pytest.raises(ValueError, match=r"known are prometheus$"):
        settings_model("metrics", "promethius")
    with pytest.raises(ValueError, match="metrics, rules"):
        settings_model("metric", "prometheus")


async def test_a_backend_is_opened_without_contacting_anybody():
    """Opening resolves no secret and makes no call."""
    settings = settings_model("metrics", "prometheus")(
        kind="prometheus", url="http://127.0.0.1:9", bearer_token="env:RAY_TUI_NEVER_SET"
    )
    backend = open_backend("metrics", settings, Opening(Clock(), jitter=lambda: 0.0))
    assert backend.name == "Prometheus"
    await backend.close()


def test_reading_settings_does_not_load_the_http_client():
    """A configuration is checked without paying for httpx; naming the kinds loads not even pydantic."""
    import subprocess
    import sys

    program = (
        "import sys, ray_tui.backends as b; assert 'pydantic' not in sys.modules; "
        "[b.settings_model(p, k) for p, kinds in b.KINDS.items() for k in kinds]; assert 'httpx' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
