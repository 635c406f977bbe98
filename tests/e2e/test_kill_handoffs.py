"""4.1 killed around each message to a downstream owner, then resumed: told once, or said to be unknown.

The adapters are the real ones: over the demo's Slack and mail, and over a webhook receiver of our own that counts.
"""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ray_tui.core import plan
from ray_tui.core.ports import SideEffect
from ray_tui.core.verdicts import Criterion, Verdict
from tests.e2e.demo import Stack
from tests.e2e.kill_host import MOMENTS, Death
from tests.e2e.killing import (
    KILLED,
    Hosts,
    a_demo,
    addresses,
    begun,
    criterion,
    mails,
    slack_messages,
    state_of,
)

pytestmark = pytest.mark.timeout(300)
NOTIFIERS = {
    "webhook": SideEffect.NONE,
    "webhook with key": SideEffect.DEDUP,
    "slack": SideEffect.QUERY,
    "mail": SideEffect.NONE,
}
REPETITIONS = 5
LANES = 3
PROTOCOLS = tuple(plan.OUTPUTS)


class Receiver(ThreadingHTTPServer):
    """Remembers each POST whose body has arrived whole, whether or not anybody waits for the answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Posted)
        self.arrived: list[tuple[str, str]] = []
        """(Idempotency-Key, body)"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Posted(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.arrived.append((self.headers["Idempotency-Key"] or "", body.decode()))
        with contextlib.suppress(OSError):
            self.send_response(202)
            self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


@contextlib.contextmanager
def a_receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


@dataclass
class Told:
    """What became of one hand-off whose host was killed."""

    first: int
    judged: Criterion
    said: dict[str, Any]
    got: list[str]
    """What its reader got: each message."""
    recorded: str
    """The outcome that the journal ends with."""


def config_of(stack: Stack, name: str, kinds: tuple[str, ...], receiver: Receiver) -> Path:
    """The demo's configuration with these notifiers, for protocols 20, 21 and 22; in a repository of its own."""
    there = addresses(stack)
    settings = {
        "webhook": ['kind = "webhook"', f'url = "{receiver.url}"'],
        "webhook with key": ['kind = "webhook"', f'url = "{receiver.url}"', "honours_idempotency_key = true"],
        "slack": [
            'kind = "slack"', f'api_url = "{there["slack"]}/api"', 'token = "file:secrets/slack"',
            'channel = "C0RELEASE"',
        ],
        "mail": [
            'kind = "mail"', 'smtp_host = "127.0.0.1"', f"smtp_port = {there['smtp_port']}", 'smtp_security = "none"',
            'user = "demo"', 'password = "file:secrets/mail"', 'from_address = "ray-tui@shop.example"',
            'to = ["handoff@shop.example"]',
        ],
    }  # fmt: skip
    tables = re.split(r"\n(?=\[)", stack.config.read_text())
    tables = [table for table in tables if not table.startswith("[notify.")]
    for protocol, kind in zip(PROTOCOLS, kinds, strict=True):
        tables.append("\n".join([f"[notify.{protocol}]", *settings[kind], ""]))
    repository = stack.folder / name
    repository.mkdir()
    (repository / "secrets").symlink_to(stack.folder / "secrets")
    path = repository / "ray-tui.toml"
    path.write_text("\n".join(tables))
    return path


@dataclass(frozen=True)
class Ending:
    """One notifier, and when its host dies."""

    kind: str
    moment: str


def hand_off(
    stack: Stack, hosts: Hosts, receiver: Receiver, name: str, endings: tuple[Ending, ...]
) -> list[tuple[Ending, Told]]:
    """One run of 4.1 whose host is killed at each of its three hand-offs, and resumed."""
    config = config_of(stack, name, tuple(one.kind for one in endings), receiver)
    folder = begun(config, f"2026-11-22T2000Z-kill-{name}", "4.1")
    ended = []
    for protocol, one in zip(PROTOCOLS, endings, strict=True):
        death = Death(one.moment, f"-p{protocol}-", says=(f"notify-{protocol}-",))
        ended.append(hosts.carry_out(config, folder.name, death)[0])
    _, said = hosts.carry_out(config, folder.name)
    state = state_of(folder)
    told = []
    for protocol, one, code in zip(PROTOCOLS, endings, ended, strict=True):
        intent = next(found for id_, found in state.intents.items() if f"notify-{protocol}-" in id_)
        token = intent.intended.data["token"]
        texts = {"slack": slack_messages, "mail": mails}.get(one.kind, lambda _: list(map(repr, receiver.arrived)))
        judged = criterion(state, "4.1", f"handoff.notified:{protocol}")
        got = [text for text in texts(stack) if token in text]
        assert intent.outcome is not None
        told.append((one, Told(code, judged, json.loads(said), got, intent.outcome.outcome)))
    return told


@pytest.fixture(scope="module")
def handed_off(tmp_path_factory: pytest.TempPathFactory) -> dict[Ending, list[Told]]:
    """Every notifier and moment, five times each, in changing company."""
    every = [Ending(kind, moment) for kind in NOTIFIERS for moment in MOMENTS] * REPETITIONS
    every += every[: -len(every) % len(PROTOCOLS)]
    runs = list(enumerate(zip(*[iter(every)] * len(PROTOCOLS), strict=True)))
    hosts = Hosts(tmp_path_factory.mktemp("hosts"))
    demo = a_demo(tmp_path_factory.mktemp("demo"))
    with demo as stack, a_receiver() as receiver, hosts, ThreadPoolExecutor(LANES) as pool:
        told = pool.map(lambda run: hand_off(stack, hosts, receiver, f"handoff{run[0]}", run[1]), runs)
        found: dict[Ending, list[Told]] = {}
        for ending, one in itertools.chain.from_iterable(told):
            found.setdefault(ending, []).append(one)
    return found


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", NOTIFIERS)
def test_a_hand_off_whose_host_died_is_told_once_or_said_to_be_unknown(
    handed_off: dict[Ending, list[Told]], kind: str, moment: str
) -> None:
    """Looked up, repeated to the letter, or left to a person, as the adapter declares. (P71 P72 P73)"""
    effect, found = NOTIFIERS[kind], handed_off[Ending(kind, moment)]

    assert len(found) >= REPETITIONS
    for one in found:
        assert one.first == KILLED
        unknown = effect is SideEffect.NONE and moment != "after journal"
        if unknown and moment == "before send":
            assert one.got == []
        else:
            assert len(set(one.got)) == 1, one.got
            assert len(one.got) == 1 or effect is SideEffect.DEDUP
        assert one.recorded == ("unknown" if unknown else "done")
        assert one.judged.verdict is (Verdict.INCONCLUSIVE if unknown else Verdict.PASSED)
        if unknown:
            assert "unknown: only a person can tell" in one.judged.actual
            assert "only a person can tell" in one.said["why"]
            assert one.said["halted_at"] == "4.1"
