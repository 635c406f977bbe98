"""Runs the command line in processes that can be killed at an exact moment: before send, after send, after response,
after journal.

``python -m tests.e2e.kill_host`` imports the program once. For each line on stdin (a ``Job``) it forks a host, and
answers a line with the job's number and the host's exit code (negative: the signal that ended it), in the order in
which they end. What is wrapped is httpx, SMTP and the journal's append: the program itself knows nothing of this.
"""

import asyncio
import json
import os
import signal
import smtplib
import sys
import threading
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, NoReturn

import httpx
import httpx._transports.default  # what is imported before the fork need not be imported after each

from ray_tui import actions, backends, cli, completion, doctor, gates, headless, host, prerequisites, wiring
from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.ports import SideEffect
from ray_tui.journal import Journal

MOMENTS = ("before send", "after send", "after response", "after journal")


@dataclass(frozen=True)
class Death:
    """When to die. A request is meant by a part of its body or address; what is journalled by its kind and JSON."""

    moment: str
    carries: str
    requests: int = 1
    """After so many of them were sent or answered: the earlier ones wait for the last."""
    kind: str = "OutcomeRecorded"
    says: tuple[str, ...] = ()
    entries: int = 1
    """After so many entries of that kind are on disk."""


@dataclass(frozen=True)
class Job:
    """A command line, where its output goes, and how its host ends."""

    number: int
    argv: tuple[str, ...]
    out: str
    err: str
    death: Death | None = None
    declared: dict[str, str] = field(default_factory=dict)
    """``module:Class`` -> the side-effect class that it declares instead of its own."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Job":
        said = json.loads(line)
        death = said.pop("death")
        if death is not None:
            death = Death(**{**death, "says": tuple(death["says"])})
        return cls(**{**said, "argv": tuple(said["argv"]), "death": death})


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


# --- the wires -------------------------------------------------------------------------------------------------------


class Grave:
    """Counts what the host does, and kills it at its moment."""

    def __init__(self, death: Death) -> None:
        self.death = death
        self.sent = self.answered = self.journalled = 0
        self.all_answered = asyncio.Event()

    def dig(self) -> None:
        handle, append, send = httpx.AsyncHTTPTransport.handle_async_request, Journal.append, smtplib.SMTP.send

        async def over_http(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            meant = self.death.carries in str(request.url) or self.death.carries.encode() in request.content
            if request.method == "POST" and meant:
                return await self.request(lambda: handle(transport, request), request)
            return await handle(transport, request)

        def over_smtp(server: smtplib.SMTP, data: Any) -> None:
            raw = data if isinstance(data, bytes) else str(data).encode()
            meant = raw.endswith(b"\r\n.\r\n") and self.death.carries.encode() in raw
            if meant and self.death.moment == "before send":
                die()
            send(server, data)
            if meant and self.death.moment == "after send":
                die()

        def on_disk(journal: Journal, entries: Any) -> Any:
            written = list(entries)
            meant = sum(self.meant(entry.fact) for entry in written)
            if meant and self.death.moment == "after response":
                die()
            lines = append(journal, written)
            self.journalled += meant
            if self.death.moment == "after journal" and self.journalled >= self.death.entries:
                die()
            return lines

        httpx.AsyncHTTPTransport.handle_async_request = over_http  # type: ignore[method-assign]
        smtplib.SMTP.send = over_smtp  # type: ignore[method-assign]
        Journal.append = on_disk  # type: ignore[method-assign]

    async def request(self, handle: Any, request: httpx.Request) -> httpx.Response:
        death = self.death
        if death.moment == "before send":
            die()
        if death.moment == "after send":

            async def traced(event: str, _: Any) -> None:
                if event == "http11.send_request_body.complete":
                    self.sent += 1
                    if self.sent >= death.requests:
                        die()
                    await asyncio.Event().wait()  # it is on the wire; its answer is never read

            request.extensions = {**request.extensions, "trace": traced}
        response: httpx.Response = await handle()
        if death.moment == "after response":
            self.answered += 1
            if self.answered >= death.requests:
                self.all_answered.set()
            await self.all_answered.wait()
        return response

    def meant(self, fact: f.Fact) -> bool:
        if fact.kind != self.death.kind:
            return False
        said = json.dumps(fact.to_json())
        return all(part in said for part in self.death.says)


# --- processes -------------------------------------------------------------------------------------------------------


def carry_out(job: Job) -> NoReturn:
    """In the fork: this command line, in place of this process."""
    for number, path in ((0, os.devnull), (1, job.out), (2, job.err)):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    for where, effect in job.declared.items():
        module, _, name = where.partition(":")
        getattr(import_module(module), name).side_effect = SideEffect(effect)
    if job.death is not None:
        Grave(job.death).dig()
    sys.argv = ["ray-tui", *job.argv]
    code = 99
    try:
        cli.main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def warm() -> None:
    """Import what a host would import."""
    assert all((cli, completion, doctor, headless, host, prerequisites, wiring, httpx))
    for kinds in backends.KINDS.values():
        for name in kinds.values():
            import_module(f"ray_tui.backends.{name}")
    for action in plan.ACTIONS:
        actions.module_of(action.key)
    for gate in plan.GATES:
        gates.module_of(gate.key)


def keep(job: Job) -> NoReturn:
    """In a fork of its own: start the host, wait for its end, tell of it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answers = os.dup(1)
    child = os.fork()
    if child == 0:
        carry_out(job)
    _, status = os.waitpid(child, 0)
    os.write(answers, f"{job.number} {os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def main() -> None:
    warm()
    assert threading.active_count() == 1, "a fork would lose the other threads"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a keeper
    for line in sys.stdin:
        job = Job.from_json(line)
        if os.fork() == 0:
            keep(job)


if __name__ == "__main__":
    main()
