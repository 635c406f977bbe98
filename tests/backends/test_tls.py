"""An authority of one's own and a certificate of ours, against a server that really speaks TLS."""

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpAccess
from ray_tui.backends.http import Http
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendRefused, BackendUnreachable

AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
LEAF = "subjectAltName=IP:127.0.0.1\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def new_key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")


def authority(folder: Path, name: str) -> None:
    extensions = [part for one in AUTHORITY for part in ("-addext", one)]
    openssl(folder, "req", "-x509", *new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.pem", *extensions)


def leaf(folder: Path, name: str, by: str) -> None:
    (folder / "leaf.ext").write_text(LEAF)
    openssl(folder, "req", *new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial",
        "-extfile", "leaf.ext", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Authorities ``ours`` and ``other``; a server's and a client's certificate by ours, a client's by other."""
    if shutil.which("openssl") is None:
        assert os.environ.get("RAY_TUI_REQUIRE_REAL") != "1", "openssl is not installed"
        pytest.skip("openssl is not installed: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ours", "other"):
        authority(folder, name)
    for name, by in (("server", "ours"), ("client", "ours"), ("stranger", "other")):
        leaf(folder, name, by)
    return folder


@dataclass
class Server:
    url: str
    asked: int = 0


@asynccontextmanager
async def serving(papers: Path, *, wants_client: bool = False) -> AsyncIterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there a refused client certificate ends the handshake itself
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(papers / "ours.pem")
    server = Server("")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        server.asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n")
        writer.write(b"Connection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    server.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


async def ask(server: Server, papers: Path, **access: Any) -> int:
    """The status of one answer; paths are relative to the configuration's folder, as a user writes them."""

    async def at_once(seconds: float) -> None:
        pass

    opening = Opening(Clock(), lambda: 0.0, config_folder=papers, sleep=at_once)
    http = Http.open("metrics", server.url, HttpAccess.model_validate(access), opening)
    try:
        return (await http.get("/-/ready")).status
    finally:
        await http.close()


async def test_an_authority_of_ones_own_is_believed(papers: Path) -> None:
    """ca_file names who is trusted instead of the machine's authorities."""
    async with serving(papers) as server:
        assert await ask(server, papers, ca_file="ours.pem") == 200


@pytest.mark.parametrize("access", [{}, {"ca_file": "other.pem"}], ids=["the machine's", "another"])
async def test_an_unknown_authority_is_refused_and_said_to_be_one(papers: Path, access: dict[str, str]) -> None:
    """No request is sent; the message says that the certificate is not trusted, and which setting would trust it."""
    async with serving(papers) as server:
        with pytest.raises(BackendUnreachable, match="certificate verify failed") as refused:
            await ask(server, papers, **access)
        assert server.asked == 0
    assert "ca_file" in str(refused.value) + refused.value.todo
    assert refused.value.never_sent


async def test_a_client_certificate_lets_us_in(papers: Path) -> None:
    """client_certificate and client_key are shown to a server that wants them."""
    async with serving(papers, wants_client=True) as server:
        ours = {"client_certificate": "client.pem", "client_key": "client.key"}
        assert await ask(server, papers, ca_file="ours.pem", **ours) == 200


STRANGERS: list[dict[str, str]] = [{}, {"client_certificate": "stranger.pem", "client_key": "stranger.key"}]


@pytest.mark.parametrize("shown", STRANGERS, ids=["none", "a stranger's"])
async def test_without_the_right_client_certificate_nobody_gets_in(papers: Path, shown: dict[str, str]) -> None:
    """No request is sent; the message names the handshake and the settings that would let us in."""
    async with serving(papers, wants_client=True) as server:
        with pytest.raises(BackendUnreachable, match="broke off the TLS handshake") as refused:
            await ask(server, papers, ca_file="ours.pem", **shown)
        assert server.asked == 0
    assert "client_certificate" in refused.value.todo


@pytest.mark.parametrize("name", ["gone.pem", "leaf.ext"])
async def test_a_ca_file_that_is_none_is_named_as_the_cause(papers: Path, name: str) -> None:
    """A missing or foreign file is refused with the settings to look at; nothing is contacted."""
    async with serving(papers) as server:
        with pytest.raises(BackendRefused, match="TLS files cannot be used") as refused:
            await ask(server, papers, ca_file=name)
        assert server.asked == 0
    assert "ca_file" in refused.value.todo
