"""Runs that are killed at an exact moment and resumed: where they begin, their hosts, and what the other side got."""

import contextlib
import email
import imaplib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx

from ray_tui.clock import Clock
from ray_tui.config import load
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.journal import Journal, read
from tests.e2e.demo import ENV, Stack
from tests.e2e.kill_host import Death, Job

KILLED = -9
HOST_SECONDS = 100.0
ANSWERS = 'type_what_is_expected = true\n\n[confirm]\n"*" = "yes"\n'


# --- hosts -----------------------------------------------------------------------------------------------------------


class Hosts:
    """Starts hosts, each a process of its own; from as many threads as like. Ends with its ``with``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers = folder / "answers.toml"
        self.answers.write_text(ANSWERS)
        self.waiting: dict[int, Future[int]] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> "Hosts":
        self.log = (self.folder / "hosts.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.kill_host"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True, bufsize=1, env=ENV, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self.process, self.log:
            assert self.process.stdin
            self.process.stdin.close()
            self.listener.join()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            number, code = map(int, line.split())
            self.waiting[number].set_result(code)
        for one in self.waiting.values():
            if not one.done():
                one.set_exception(AssertionError((self.folder / "hosts.log").read_text()))

    def carry_out(
        self, config: Path, run_id: str, death: Death | None = None, declared: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """(exit code or minus the signal, standard output) of ``ray-tui run --headless --json --resume``.

        Of a host that was to be killed its standard error as well: should it come to its end, that says why.
        """
        assert self.process.stdin
        with self.lock:
            number = len(self.waiting)
            self.waiting[number] = Future()
            out, err = (str(self.folder / f"{number}.{end}") for end in ("out", "err"))
            argv = ("run", "--headless", "--json", "--resume", "--run", run_id, "--config", str(config),
                    "--answers", str(self.answers), "--timeout", "90")  # fmt: skip
            job = Job(number, argv, out, err, death, dict(declared or {}))
            print(job.to_json(), file=self.process.stdin, flush=True)
        code = self.waiting[number].result(HOST_SECONDS)
        return code, Path(out).read_text() + (Path(err).read_text() if death else "")


# --- runs ------------------------------------------------------------------------------------------------------------


def begun(config: Path, run_id: str, step: str) -> Path:
    """The folder of a run that stands before this step: its other actions are declined, its gates behind are passed."""
    chosen, clock = load(config), Clock()
    folder = chosen.store / "runs" / run_id
    facts: list[f.Fact] = [
        f.RunOpened(
            run_id=run_id, release=chosen.run.release, environment=chosen.run.environment,
            deployed_at=clock.wall() - 3600, config_digest=chosen.digest(), operator="mira", demo=True,
        )
    ]  # fmt: skip
    for one in plan.STEPS[: plan.STEPS.index(step)]:
        facts.append(f.StepStarted(step=one))
        if one.startswith("gate."):
            gate = plan.gate(one)
            facts.append(f.GateJudged(gate=gate.key, verdict=Verdict.PASSED, actual="", criteria=(), rule_version="1"))
        else:
            facts.append(f.StepFinished(step=one, verdict=Verdict.PASSED, summary="", criteria=(), data={}))
    facts += [f.StepDeclined(step=one.id, reason="not of this test") for one in plan.ACTIONS if one.id != step]
    written, _ = Journal.open(folder / "journal.jsonl")
    at = clock.wall()
    written.append(f.Entry(seq=n, at=at, mono=0.0, actor=f.ENGINE, fact=fact) for n, fact in enumerate(facts, 1))
    written.close()
    return folder


def state_of(folder: Path) -> RunState:
    state = RunState()
    for line in read(folder / "journal.jsonl", tail=True):
        apply(state, line.entry)
    return state


def criterion(state: RunState, step: str, id_: str) -> Criterion:
    return next(one for one in state.steps[step].criteria if one.id == id_)


# --- the other side --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_demo(folder: Path) -> Iterator[Stack]:
    """A stack whose configuration waits for less long."""
    with Stack(folder) as stack:
        text, changes = re.subn(r"delivery_seconds = [\d.]+", "delivery_seconds = 6.0", stack.config.read_text())
        assert changes == 1
        stack.config.write_text(text)
        yield stack


def addresses(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stack.folder / "stack.json").read_text())["addresses"]
    return found


def slack_messages(stack: Stack) -> list[str]:
    """Every message in the release's channel, as JSON."""
    found, cursor = [], ""
    while True:
        answer = httpx.get(
            f"{addresses(stack)['slack']}/api/conversations.history",
            params={"channel": "C0RELEASE", "cursor": cursor, "limit": "100"},
            headers={"Authorization": "Bearer xoxb-demo"},
        ).json()
        assert answer["ok"], answer
        found += [json.dumps(one, ensure_ascii=False) for one in answer["messages"]]
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return found


def mails(stack: Stack) -> list[str]:
    """The texts of what was sent to somebody; answers to it are left out."""
    found = []
    with imaplib.IMAP4("127.0.0.1", addresses(stack)["imap_port"]) as server:
        server.login("demo", "demo-mail")
        server.select("INBOX", readonly=True)
        _, data = server.uid("SEARCH", "ALL")
        for uid in (data[0] or b"").split():
            _, parts = server.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            message = email.message_from_bytes(parts[0][1])
            text = "\n".join(
                (part.get_payload(decode=True) or b"").decode("utf-8", "replace")
                for part in message.walk()
                if not part.is_multipart()
            )
            if message["In-Reply-To"] is None:
                found.append(f"{message['Subject']}\n{text}")
    return found
