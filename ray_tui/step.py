"""What an action gets and what it gives back: the seam between the engine and the protocol's twelve actions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.ports import Ports, SideEffect
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Criterion, Verdict, worst

RENDERER = "1"
"""The version of how documents are rendered; the same facts and version give the same bytes."""


@dataclass(frozen=True)
class Ask:
    """A question to a person. ``name`` is unique within the action's attempt; the answer survives a crash."""

    name: str
    prompt: Literal["confirm", "typed", "approve", "choose", "edit"]
    title: str
    text: str
    expects: str = ""
    roles: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    with_reason: tuple[str, ...] = ()
    """Options that are taken only with a reason."""
    keeps: tuple[str, ...] = ()
    """Lines of a text to edit that must stay, one before each of its parts."""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What an action found. The verdict is the worst of its criteria; without criteria it is inconclusive.

    ``data`` is JSON (no NaN): documents are rendered from it and gates judge it. ``gaps`` become backlog entries.
    ``files`` are binary artifacts (name -> bytes) beside the documents.
    """

    summary: str
    criteria: tuple[Criterion, ...]
    data: dict[str, Any]
    gaps: tuple[f.GapFound, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        return worst(self.criteria)


@dataclass(frozen=True)
class Header:
    """What stands at the head of every document; all of it from facts, so that re-rendering gives the same bytes."""

    run_id: str
    release: str
    environment: str
    step: str
    attempt: int
    generated_at: float
    """When the step finished (unix seconds)."""
    verdict: str
    summary: str
    criteria: tuple[Criterion, ...]
    demo: bool = False


class Context(Protocol):
    """What the engine hands to a running action. Everything that touches the world goes through it."""

    @property
    def ports(self) -> Ports: ...

    @property
    def config(self) -> Config: ...

    @property
    def step(self) -> str: ...

    @property
    def attempt(self) -> int: ...

    @property
    def resumed(self) -> bool:
        """True when this attempt was begun by a host that died: look at the state's intents before acting again."""
        ...

    @property
    def inputs(self) -> "InputFolder": ...

    @property
    def state(self) -> RunState:
        """The run so far; it moves while the action runs. Never change it."""
        ...

    def now(self) -> float:
        """Unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def acknowledge_code(self, probe: str, integration: str) -> str:
        """What who read this probe's message proves it with. For the message alone: never on record."""
        ...

    async def record(self, *facts: f.Fact) -> None:
        """On disk when it returns (display-only kinds may lag by 100 ms)."""
        ...

    def observe(self, reading: Reading) -> None:
        """Show a live value; lossy."""
        ...

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None: ...

    async def ask(self, question: Ask) -> f.PromptAnswered:
        """Waits for the answer, however long; an answer already given to this question is returned at once."""
        ...

    def evidence(self, name: str) -> bytes | None:
        """An artifact that this run has written; None where it has not."""
        ...

    async def journal(self) -> "JournalSoFar":
        """Everything that is recorded by now, synced."""
        ...

    async def publish(self, name: str, data: bytes, *, required: bool = True) -> f.EvidenceWritten:
        """Write an artifact into this run's evidence and publish it, atomically; recorded when it returns."""
        ...

    async def intend(
        self,
        what: str,
        side_effect: SideEffect,
        target: str,
        *,
        name: str,
        digest: str = "",
        deadline: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> str:
        """Record an intent before a side effect; answers its id (``<step>#<attempt>:<name>``).

        ``side_effect`` is what the adapter declares: a resumed attempt follows it.
        """
        ...

    async def outcome(
        self,
        intent_id: str,
        outcome: Literal["done", "failed", "unknown", "rolled-back"],
        detail: str = "",
        reference: str = "",
        *,
        reconciled: bool = False,
    ) -> None: ...


@dataclass(frozen=True)
class JournalSoFar:
    """The journal's bytes through one entry, and the chain's head there."""

    seq: int
    head: str
    data: bytes


@dataclass(frozen=True)
class InputFile:
    """A file of the user's that was read: the bytes that a verdict relied on."""

    name: str
    path: Path
    data: bytes


class InputFolder(Protocol):
    """The user's files, read with bounds. All paths come from the configuration."""

    def find(self, name: str) -> tuple[Path, ...]:
        """Every file of that name in the input folders (several are "inconsistent")."""
        ...

    def read(self, path: Path, *, limit: int = 20_000_000) -> bytes:
        """Raises core InputError naming the file: missing, unreadable, a folder, empty, over ``limit`` bytes."""
        ...

    def glob(self, patterns: tuple[str, ...]) -> tuple[Path, ...]:
        """Files matching globs relative to the configuration's folder, sorted."""
        ...

    def published(self, name: str) -> bytes | None:
        """An artifact published under .artifacts/monitoring/ by an earlier run; None where there is none."""
        ...


class ActionModule(Protocol):
    """What a file in ray_tui/actions offers."""

    async def run(self, context: Context) -> Result: ...

    def documents(self, data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
        """File name -> text of the Markdown artifacts; JSON twins are written by the engine from ``data``. Pure."""
        ...


@runtime_checkable
class Live(Protocol):
    """What an action offers whose figures can be read again at any time."""

    async def look(self, context: Context) -> bool:
        """Observe them as they are now. False where nothing came; raises nothing of the systems it asks."""
        ...


def criterion(
    id_: str,
    title: str,
    verdict: Verdict,
    actual: str,
    *,
    required: str = "",
    evidence: tuple[str, ...] = (),
    waivable: bool = True,
    remedy: str = "",
) -> Criterion:
    return Criterion(
        id=id_, title=title, verdict=verdict, actual=actual, required=required, evidence=evidence,
        waivable=waivable, remedy=remedy,
    )  # fmt: skip
