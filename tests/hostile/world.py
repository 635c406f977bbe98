"""A demo stack whose every wire can be bent, and the program that is pointed at it as a user starts it."""

import asyncio
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ray_tui.clock import Clock
from ray_tui.core.state import RunState, apply
from ray_tui.demo import scenario as scenarios
from ray_tui.demo import stack as stacks
from ray_tui.demo.faults import Faults
from ray_tui.journal import read

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    **{name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "SSH_CONNECTION")},
    "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8",
}  # fmt: skip
SECRETS = ("demo-grafana-token", "demo-pagerduty-key", "xoxb-demo", "demo-mail", "rkpsvctst", "demo-github-token")
RAW_CONTROL = re.compile("[\x00-\x08\x0b-\x0d\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass
class Front:
    """What stands before one server: it bends requests that come while ``when`` says so."""

    app: object
    faults: Faults = field(init=False)
    when: object = staticmethod(lambda: True)
    rewrite: object = None
    """Answer (decoded JSON) -> answer, where set."""

    def __post_init__(self):
        self.faults = Faults(self.app)

    def clear(self):
        self.faults.waiting.clear()
        self.when, self.rewrite = (lambda: True), None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not self.when():
            await self.app(scope, receive, send)
        elif self.rewrite is not None:
            await self._rewritten(scope, receive, send)
        else:
            await self.faults(scope, receive, send)

    async def _rewritten(self, scope, receive, send):
        start, body = {}, bytearray()

        async def keep(message):
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.app(scope, receive, keep)
        sent = bytes(body)
        if sent[:1] in (b"{", b"["):
            sent = json.dumps(self.rewrite(json.loads(sent))).encode()
        headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(sent)).encode())]})
        await send({"type": "http.response.body", "body": sent})


class World:
    """One healthy stack in a thread of its own, for as many tests as like; ``fronts`` by the server's class name."""

    def __init__(self, folder):
        self.folder = folder
        self.fronts = {}
        self._ready = threading.Event()
        self._failed = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30), "the demo stack did not start"
        assert self._failed is None, self._failed
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    def clear(self):
        for front in self.fronts.values():
            front.clear()

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        usual = stacks.start
        try:
            async with AsyncExitStack() as leaving:
                stacks.start = self._fronted(usual)
                try:
                    self.stack = await stacks.open_stack(self.folder, scenarios.load("healthy"), Clock(), leaving)
                finally:
                    stacks.start = usual
                self._ready.set()
                await self._over.wait()
        except BaseException as exc:
            self._failed = exc
            self._ready.set()
            raise

    def _fronted(self, usual):
        names = iter((
            "targets", "pagerduty", "slack", "sink", "am0", "am1", "prometheus", "loki", "tempo", "grafana",
            "github", "cron",
        ))  # fmt: skip

        async def start(app, port=0):
            front = self.fronts[next(names)] = Front(app)
            return await usual(front, port)

        return start


@dataclass
class Done:
    """A process that has ended."""

    code: int
    out: str
    err: str
    peak_kib: int

    @property
    def said(self):
        return self.out + self.err

    @property
    def summary(self):
        return json.loads(self.out)


@dataclass
class Repo:
    """A user's repository: the demo's, copied, so that a test may ruin it."""

    folder: Path

    @classmethod
    def copy(cls, world, folder):
        shutil.copytree(
            world.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("stack.json", "pages.json", "runs")
        )
        repo = cls(folder)
        # Approvals only: such a run goes through phase 1 and stops where 2.1 asks, with nothing changed anywhere.
        answers = repo.answers.read_text()
        repo.answers.write_text(answers[: answers.index("[confirm]")] + answers[answers.index("[[approvals]]") :])
        return repo

    def answer_everything(self, world):
        """Let its runs go on past 2.1, as the demo's own do: they change the stack, and page its people."""
        self.edit(('directory = "prometheus/rules"', f'directory = "{world.folder}/prometheus/rules"'))
        everything = 'type_what_is_expected = true\n\n[confirm]\n"3.2:tuning-*" = "later"\n"*" = "yes"\n\n'
        self.answers.write_text(everything + self.answers.read_text().replace("type_what_is_expected = true\n", ""))

    @property
    def config(self):
        return self.folder / "ray-tui.toml"

    @property
    def answers(self):
        return self.folder / "answers.toml"

    @property
    def deployment(self):
        return self.folder / ".artifacts" / "deployment"

    @property
    def store(self):
        return self.folder / ".artifacts" / "monitoring"

    def edit(self, *changes):
        """Replace (old, new) in the configuration; each old must be there."""
        text = self.config.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.config.write_text(text)

    def in_table(self, table, line):
        """Add a line at the top of a table."""
        self.edit((f"[{table}]\n", f"[{table}]\n{line}\n"))

    def run(self, *more, **kwargs):
        """A headless run to its end."""
        return program(
            "run", "--headless", "--json", "--config", self.config, "--answers", self.answers, *more, **kwargs
        )

    def start(self, *more):
        command = ["run", "--headless", "--config", self.config, "--answers", self.answers, *more]
        return subprocess.Popen(
            [sys.executable, "-m", "ray_tui", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=ENV, cwd=self.folder,
        )  # fmt: skip

    def run_folder(self):
        """The newest run's folder; None before there is one."""
        found = list((self.store / "runs").glob("*/journal.jsonl"))
        return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None

    def journal(self):
        folder = self.run_folder()
        try:
            return (folder / "journal.jsonl").read_bytes() if folder else b""
        except OSError:
            return b""

    def state(self):
        """What the newest run's journal says; the journal must verify."""
        state = RunState()
        for line in read(self.run_folder() / "journal.jsonl", tail=True):
            apply(state, line.entry)
        return state

    def criteria(self, step="prerequisites"):
        return {criterion.id: criterion for criterion in self.state().steps[step].criteria}

    def has_started(self, step):
        """Whether the newest run's journal, right now, has a step's start."""
        named = f'"step":"{step}"'.encode()
        return any(b'"StepStarted"' in line and named in line for line in self.journal().splitlines())

    def written(self):
        """Every file that the runs of this repository left, with its bytes."""
        roots = [self.store, self.folder / ".artifacts" / "protocol-19", self.folder / ".cursor" / "context-kit"]
        return {path: path.read_bytes() for root in roots for path in sorted(root.rglob("*")) if path.is_file()}


_LAUNCH = """
import atexit, os, runpy, sys
peak = int(sys.argv.pop(1))
def tell():
    with open("/proc/self/status") as status:
        os.write(peak, next(line for line in status if line.startswith("VmHWM")).split()[1].encode())
atexit.register(tell)
runpy.run_module("ray_tui", run_name="__main__", alter_sys=True)
"""
"""As ``python -m ray_tui``, telling its peak memory at the end (ru_maxrss would count the parent's before exec)."""


def program(*args, seconds=60.0, cwd=None, env=None, wrap=()):
    """Run the command line to its end; a hang is the test's failure, and so is a traceback."""
    told, telling = os.pipe()
    process = subprocess.Popen(
        [*map(str, wrap), sys.executable, "-c", _LAUNCH, str(telling), *map(str, args)], pass_fds=(telling,),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**ENV, **(env or {})}, cwd=cwd,
        start_new_session=True,
    )  # fmt: skip
    os.close(telling)
    late = threading.Timer(seconds, lambda: os.killpg(process.pid, signal.SIGKILL))
    late.start()
    err = bytearray()
    reader = threading.Thread(target=lambda: err.extend(process.stderr.read()))
    reader.start()
    out = process.stdout.read()
    reader.join()
    process.wait()
    late.cancel()
    peak = int(os.read(told, 32) or 0)
    os.close(told)
    process.stdout.close()
    process.stderr.close()
    done = Done(process.returncode, out.decode("utf-8"), err.decode("utf-8"), peak)
    assert done.code != -signal.SIGKILL, f"hung for {seconds:g} s: {args}\n{done.said[-2000:]}"
    assert "Traceback (most recent call last)" not in done.said, done.said[-4000:]
    return done


@contextmanager
def raw_server(answer):
    """A TCP server in a thread that gives each connection to ``answer(reader, writer)``; yields its port."""
    ready, box = threading.Event(), {}

    async def safely(reader, writer):
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def serve():
        box["loop"], box["over"] = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(safely, "127.0.0.1", 0)
        box["port"] = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await box["over"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield box["port"]
    finally:
        box["loop"].call_soon_threadsafe(box["over"].set)
        thread.join(5)


def wait_until(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.005)


def no_secret_in(done, repo):
    """No credential in what was said or written."""
    for secret in SECRETS:
        assert secret not in done.said
        for path, data in repo.written().items():
            assert secret.encode() not in data, path


def no_raw_control_in(done, repo):
    """No character that steers a terminal, in what was said or written."""
    found = RAW_CONTROL.search(done.said)
    assert found is None, repr(done.said[max(0, found.start() - 80) : found.end() + 20])
    for path, data in repo.written().items():
        if path.suffix in (".json", ".jsonl", ".md", ".log", ".txt"):
            found = RAW_CONTROL.search(data.decode("utf-8"))
            assert found is None, (path, repr(data.decode()[max(0, found.start() - 80) : found.end() + 20]))


def repo_is_sound(repo):
    """The journal verifies to its end, and the command line says so."""
    repo.state()
    assert program("verify", repo.run_folder()).code == 0


@functools.cache
def _may_run(uid: int) -> str:
    """Why this OS user cannot run the program as it is installed here; empty when it can."""
    command = [*_become(uid), sys.executable, "-c", "import typer, ray_tui"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=ENV, check=False, timeout=60)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _become(uid: int) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


def as_user(uid: int) -> tuple[str, ...]:
    """The words that run a command as another user; skips where that user cannot read this installation."""
    if why := _may_run(uid):
        pytest.skip(f"another user cannot run this installation: {why}")
    return _become(uid)
