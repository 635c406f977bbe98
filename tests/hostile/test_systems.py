"""Systems that are down, slow, wrong or busy: an error that names them, never a pass, and no token anywhere."""

import gzip
import socket
import struct
from functools import cache

import pytest

from tests.hostile.world import no_raw_control_in, no_secret_in, raw_server, repo_is_sound

TABLES = {"metrics": "prometheus", "logs": "loki", "traces": "tempo", "paging": "pagerduty", "chat": "slack"}
PASSED_NEVER = ("error", "failed", "inconclusive")
FAULTS = {
    "html": {"kind": "html", "status": 502},
    "invalid-json": {"kind": "invalid-json"},
    "hang": {"kind": "hang"},
    "drip": {"kind": "drip"},
    "huge": {"kind": "huge"},
    "401": {"status": 401, "body": {"error": "no"}},
    "429": {"status": 429, "body": "slow down", "headers": {"Retry-After": "3600"}},
    "500": {"status": 500, "body": "\x1b[31mboom\x1b]0;evil\x07 \u202e"},
    "empty-object": {"status": 200, "body": {}},
    "list": {"status": 200, "body": "[[[]]]", "content_type": "application/json"},
    "deep": {"status": 200, "body": "[" * 200_000, "content_type": "application/json"},
    "redirect": {"status": 302, "headers": {"Location": "http://127.0.0.1:9/?token=xoxb-demo"}},
}  # fmt: skip


def hurried(repo, seconds=1.5):
    """Short deadlines, in every table that is asked here; longer ones where a system is to pass on a busy machine."""
    for table in ("metrics", "logs", "traces"):
        repo.in_table(table, f"total_seconds = {seconds}")
    for table in ("paging", "chat"):
        repo.in_table(table, f"access = {{total_seconds = {seconds}}}")


def systems_are_errors(repo, done, tables):
    found = repo.criteria()
    for table in tables:
        judged = found[f"prerequisites.system:{table}"]
        assert judged.verdict.value in PASSED_NEVER, (table, judged)
        assert table in judged.actual, judged
        assert judged.remedy, judged
    assert done.code in (1, 3), done.said
    assert done.summary["halted_at"] == "prerequisites"
    no_secret_in(done, repo)
    no_raw_control_in(done, repo)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_system_that_answers_badly_is_an_error_that_names_it(world, repo, fault):
    """Every HTTP system bent the same way at once: five errors, within the deadline, no secret in any of them. (P11)"""
    hurried(repo)
    for server in TABLES.values():
        world.fronts[server].faults.next("/", times=10_000, **FAULTS[fault])
    if fault == "401":  # the two that we log in to repeat what they were sent
        world.fronts["pagerduty"].clear()
        world.fronts["slack"].clear()
        said = "bad: Token token=demo-pagerduty-key"
        world.fronts["pagerduty"].faults.next("/", times=10_000, status=401, body={"error": {"message": said}})
        world.fronts["slack"].faults.next("/", times=10_000, status=401, body={"error": "bad: Bearer xoxb-demo"})
    done = repo.run(seconds=30)
    systems_are_errors(repo, done, TABLES)
    assert done.peak_kib < 400 * 1024


def pointed_at(repo, world, port):
    """Every HTTP system at this port of ours."""
    addresses = world.stack.addresses
    for url in (addresses.prometheus, addresses.loki, addresses.tempo, addresses.pagerduty, addresses.slack):
        repo.edit((url, f"http://127.0.0.1:{port}"))


def test_systems_that_are_down_are_named(world, repo):
    """Nobody listens: unreachable, with what to check. (P11)"""
    hurried(repo)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        pointed_at(repo, world, free.getsockname()[1])
        done = repo.run()
    systems_are_errors(repo, done, TABLES)
    assert "no connection" in repo.criteria()["prerequisites.system:metrics"].actual


async def reset(reader, writer):
    await reader.read(64)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half(reader, writer):
    await reader.read(64)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"status":')
    await writer.drain()


async def other_language(reader, writer):
    writer.write(b"220 mail.example ESMTP\x1b[2J\r\n" * 3)
    await writer.drain()


async def endless_header(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    for _ in range(200):
        writer.write(b"a" * 65536)
        await writer.drain()


@cache
def _bomb():
    return gzip.compress(b" " * 40_000_000, 1)


async def bomb(reader, writer):
    await reader.read(64)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(_bomb())}"
    )
    writer.write(head.encode() + b"\r\n\r\n" + _bomb())
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("answer", [reset, half, other_language, endless_header, bomb], ids=lambda one: one.__name__)
def test_a_connection_that_breaks_is_an_error_that_names_the_system(world, repo, answer):
    """Reset, cut, not HTTP, an endless header, a gzip bomb: the same, in bounded memory. (P11)"""
    hurried(repo)
    with raw_server(answer) as port:
        pointed_at(repo, world, port)
        done = repo.run(seconds=30)
    systems_are_errors(repo, done, TABLES)
    assert done.peak_kib < 300 * 1024


@pytest.mark.parametrize("answer", [reset, half], ids=lambda one: one.__name__)
def test_a_mail_server_that_breaks_is_an_error_that_names_it(world, repo, answer):
    """SMTP and IMAP that reset or babble: the mail verdict is an error, the others stand. (P17)"""
    repo.in_table("mail", "total_seconds = 2.0")
    with raw_server(answer) as port:
        repo.edit(
            (f"smtp_port = {world.stack.addresses.smtp_port}", f"smtp_port = {port}"),
            (f"imap_port = {world.stack.addresses.imap_port}", f"imap_port = {port}"),
        )
        done = repo.run(seconds=30)
    systems_are_errors(repo, done, ["mail"])
    assert repo.criteria()["prerequisites.system:chat"].verdict.value == "passed"


@pytest.mark.parametrize("fault", ["html", "invalid-json", "hang", "empty-object"])
def test_a_system_that_fails_while_coverage_is_checked_never_passes_it(world, repo, fault):
    """Metrics, logs and traces break once 1.2 has begun: it ends without a pass and names what broke. (P28)"""
    hurried(repo, 5.0)
    for server in ("prometheus", "loki", "tempo"):
        front = world.fronts[server]
        front.faults.next("/", times=10_000, **FAULTS[fault])
        front.when = lambda: repo.has_started("1.2")
    done = repo.run(seconds=60)
    assert done.code in (1, 3), done.said
    assert done.summary["halted_at"] == "1.2", done.said
    assert done.summary["verdicts"]["1.2"] in PASSED_NEVER
    assert any(name in done.summary["why"] for name in ("metrics", "logs", "traces")), done.summary["why"]
    no_secret_in(done, repo)
    no_raw_control_in(done, repo)
    world.clear()
    repo_is_sound(repo)


def test_a_system_that_comes_back_lets_the_next_run_pass(world, repo):
    """Nothing of a bad hour stays behind: once the systems answer, the same repository passes phase 1."""
    for server in TABLES.values():
        world.fronts[server].faults.next("/", times=10_000, status=503, body="not ready")
    assert repo.run().code == 3
    world.clear()
    done = repo.run("--anew")
    assert done.summary["verdicts"].get("gate.instrumentation") == "passed", done.said
