"""Every port, in memory: a small world that a test can bend, on a clock that stands until somebody sleeps.

What is delivered, seen or acknowledged "later" is put on the fake clock; ``FakeContext.sleep`` moves it.
Each fake has ``trouble`` (a BackendError that every call raises) and ``condition`` (what ``health`` answers).
"""

import asyncio
import copy
import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from ray_tui.clock import Clock
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError, BackendRefused, InputError
from ray_tui.core.ports import (
    ActiveAlert,
    AlertSeen,
    AlertToFire,
    ChatMessage,
    Dashboard,
    Datasource,
    EscalationPolicy,
    Health,
    Incident,
    Labels,
    LastSeen,
    LoadedRule,
    Mail,
    Matrix,
    OnCall,
    Page,
    PageEvent,
    PagerService,
    PeerAnswer,
    PeerStatus,
    Ping,
    Ports,
    Sample,
    SentEvent,
    Series,
    SideEffect,
    Silence,
    Target,
    Vector,
    Visit,
    WebhookReceipt,
    WebPage,
)  # fmt: skip
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState, apply
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import Ask, Result

NOW = 1_795_377_600.0
"""Where a FakeClock stands at first: 2026-11-22T20:00:00Z."""
DEPLOYED_AT = NOW - 3600.0
RELEASE = "checkout-v2.4.1"
SERVICES = ("checkout", "payments", "search")


class FakeClock(Clock):
    """Stands still until it is advanced."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at
        self.started = at

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - self.started

    def advance(self, seconds: float) -> None:
        self.at += max(0.0, seconds)


# --- configuration ---------------------------------------------------------------------------------------------------


def a_config(folder: Path | None = None, **sections: Any) -> Config:
    """A small valid configuration: checkout, payments, search; four people; no backends.

    ``sections`` are merged into it table by table (``policy={"approvers": 2}``); a value of None removes a key
    (``services={"search": None}``). ``folder`` is where relative paths start.
    """
    base: dict[str, Any] = {
        "run": {"release": RELEASE, "environment": "production", "deployed_at": "2026-11-22T19:00:00Z"},
        "services": {
            "checkout": {"critical": True, "changed": "modified", "owner": "checkout",
                         "endpoints": ["/api/v2/checkout"]},
            "payments": {"critical": True, "changed": "modified", "regulated": True, "owner": "payments"},
            "search": {"changed": "modified", "owner": "checkout"},
        },
        "owners": {
            "checkout": {"people": ["mira"], "policy": "PPOLCHK"},
            "payments": {"people": ["priya"], "policy": "PPOLPAY"},
        },
        "people": {
            "mira": {"name": "Mira Okafor", "roles": ["operator", "sre-lead"], "pager_id": "PMIRA"},
            "priya": {"name": "Priya Nair", "roles": ["operator", "security"], "pager_id": "PPRIYA"},
            "tom": {"name": "Tom Brandt", "roles": ["release-manager"], "pager_id": "PTOM"},
            "lee": {"name": "Lee Moreau", "roles": ["sre-lead"], "pager_id": "PLEE"},
        },
        "policy": {"unsigned_approvals": True},
    }  # fmt: skip
    config = Config.model_validate(_merged(base, sections))
    if folder is not None:
        config._file = folder / "ray-tui.toml"
    return config


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(out.get(key), dict):
            out[key] = _merged(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


# --- the context -----------------------------------------------------------------------------------------------------

FactT = TypeVar("FactT", bound=f.Fact)
Answer = str | Mapping[str, Any] | f.PromptAnswered


class FakeInputs:
    """The user's files under one folder: ``config.paths.inputs`` below it, and the folder itself."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder = folder
        self.config = config

    def find(self, name: str) -> tuple[Path, ...]:
        folders = (self.folder, *(self.folder / inputs for inputs in self.config.paths.inputs))
        return tuple(sorted({where / name for where in folders if (where / name).is_file()}))

    def read(self, path: Path, *, limit: int = 20_000_000) -> bytes:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path}: is empty")
        if size > limit:
            raise InputError(f"{path}: {size} bytes; at most {limit} are read")
        return path.read_bytes()

    def glob(self, patterns: tuple[str, ...]) -> tuple[Path, ...]:
        found = {path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file()}
        return tuple(sorted(found))

    def published(self, name: str) -> bytes | None:
        path = self.folder / ".artifacts" / "monitoring" / name
        return path.read_bytes() if path.is_file() else None


class FakeContext:
    """A step's Context over a state folded in memory.

    ``answers`` says what people answer, by the question's name: "yes", or a mapping (``answer``, ``person``,
    ``reason``, ``data``; for approvals also ``release``, ``config_digest``, ``expires_at``, ``given_at``), or it is a
    callable of the Ask. A question without an answer is an AssertionError that names it.
    ``recorded`` holds every fact, ``asked`` every question, ``readings`` every live value.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: Config | None = None,
        ports: Ports | None = None,
        step: str = "1.1",
        attempt: int = 1,
        resumed: bool = False,
        answers: Mapping[str, Answer] | Callable[[Ask], Answer] | None = None,
        clock: FakeClock | None = None,
        facts: Iterable[f.Fact] = (),
        data: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.config = config or a_config()
        self.config._file = folder / "ray-tui.toml"
        self.ports = ports or Ports()
        self.step = step
        self.attempt = attempt
        self.resumed = resumed
        self.answers = answers if answers is not None else {}
        self.clock = clock or FakeClock()
        self.inputs = FakeInputs(folder, self.config)
        self.folder = folder
        self._state = RunState()
        self.entries: list[f.Entry] = []
        self.asked: list[Ask] = []
        self.readings: list[Reading] = []
        self.said: list[str] = []
        self.apply(
            f.RunOpened(
                run_id=f"2026-11-22T2000Z-{self.config.run.release}-7f3a", release=self.config.run.release,
                environment=self.config.run.environment, deployed_at=self.config.deployed_at() or 0.0,
                config_digest=self.config.digest(), operator="mira",
            )
        )  # fmt: skip
        for earlier, body in (data or {}).items():
            self.finished(earlier, body)
        for fact in facts:
            self.apply(fact)
        self.apply(f.StepStarted(step=step, attempt=attempt))

    def finished(self, step: str, data: Mapping[str, Any], criteria: Sequence[Criterion] = ()) -> None:
        """Pretend that a step finished with this data."""
        self.apply(
            f.StepFinished(step=step, verdict=Verdict.PASSED, summary="", criteria=tuple(criteria), data=dict(data))
        )

    def apply(self, fact: f.Fact) -> None:
        entry = f.Entry(
            seq=len(self.entries) + 1, at=self.clock.wall(), mono=self.clock.monotonic(), actor=f.ENGINE, fact=fact
        )
        self.entries.append(entry)
        apply(self._state, entry)

    @property
    def recorded(self) -> list[f.Fact]:
        return [entry.fact for entry in self.entries]

    def of_kind(self, kind: type[FactT]) -> list[FactT]:
        return [fact for fact in self.recorded if isinstance(fact, kind)]

    @property
    def state(self) -> RunState:
        return self._state

    def now(self) -> float:
        return self.clock.wall()

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def acknowledge_code(self, probe: str, integration: str) -> str:
        return f"CODE-OF-{probe}-{integration}"

    async def record(self, *facts: f.Fact) -> None:
        for fact in facts:
            self.apply(fact)

    def observe(self, reading: Reading) -> None:
        self.readings.append(reading)

    async def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        self.said.append(text)
        self.apply(f.Progressed(step=self.step, text=text, done=done, total=total))

    async def ask(self, question: Ask) -> f.PromptAnswered:
        prompt_id = f"{self.step}#{self.attempt}:{question.name}"
        known = self._state.prompts.get(prompt_id)
        if known is not None and known.answered is not None:
            return known.answered
        self.asked.append(question)
        self.apply(
            f.PromptRaised(
                id=prompt_id, step=self.step, prompt=question.prompt, title=question.title, text=question.text,
                expects=question.expects, roles=question.roles, options=question.options,
                with_reason=question.with_reason, keeps=question.keeps, data=dict(question.data),
            )
        )  # fmt: skip
        answered = self._answered(prompt_id, question)
        if question.prompt == "approve" and answered.answer == "yes":
            self.apply(self._approval(question, answered))
        self.apply(answered)
        return answered

    def _answered(self, prompt_id: str, question: Ask) -> f.PromptAnswered:
        if callable(self.answers):
            given = self.answers(question)
        elif question.name in self.answers:
            given = self.answers[question.name]
        else:
            raise AssertionError(f"nobody answers {question.name!r}: {question.title} ({question.prompt})")
        if isinstance(given, f.PromptAnswered):
            return given.but(id=prompt_id)
        said: Mapping[str, Any] = {"answer": given} if isinstance(given, str) else given
        person = str(said.get("person") or self._someone(question.roles))
        return f.PromptAnswered(
            id=prompt_id, answer=str(said.get("answer", "yes")), reason=str(said.get("reason", "")), person=person,
            data={**said.get("data", {}), **{k: v for k, v in said.items() if k in _APPROVAL_KEYS}},
        )  # fmt: skip

    def _someone(self, roles: tuple[str, ...]) -> str:
        people = self.config.people.items()
        return next((key for key, person in people if set(roles) & set(person.roles)), "mira")

    def _approval(self, question: Ask, answered: f.PromptAnswered) -> f.ApprovalRecorded:
        given_at = float(answered.data.get("given_at", self.now()))
        days = self.config.policy.approval_days
        return f.ApprovalRecorded(
            role=str(question.data.get("role") or question.roles[0]), person=answered.person,
            subject=str(question.data.get("subject") or question.title),
            subject_sha256=str(question.data.get("sha256", "")),
            release=str(answered.data.get("release") or self.config.run.release),
            config_digest=str(answered.data.get("config_digest") or self.config.digest()),
            given_at=given_at, effective_at=given_at,
            expires_at=float(answered.data.get("expires_at", given_at + days * 86400)), note=answered.reason,
        )  # fmt: skip

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
        intent_id = f"{self.step}#{self.attempt}:{name}"
        self.apply(
            f.IntentRecorded(
                id=intent_id, step=self.step, what=what, side_effect=side_effect, target=target, digest=digest,
                deadline=deadline, data=dict(data or {}),
            )
        )  # fmt: skip
        return intent_id

    async def outcome(
        self,
        intent_id: str,
        outcome: Literal["done", "failed", "unknown", "rolled-back"],
        detail: str = "",
        reference: str = "",
        *,
        reconciled: bool = False,
    ) -> None:
        self.apply(
            f.OutcomeRecorded(id=intent_id, outcome=outcome, detail=detail, reference=reference, reconciled=reconciled)
        )


class LiveContext(FakeContext):
    """As FakeContext, on the machine's own clock."""

    def now(self) -> float:
        return Clock().wall()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_APPROVAL_KEYS = ("release", "config_digest", "expires_at", "given_at")


def verdicts(result: Result | Iterable[Criterion]) -> dict[str, str]:
    """Criterion id -> verdict, for expectations."""
    criteria = result.criteria if isinstance(result, Result) else result
    return {criterion.id: criterion.verdict.value for criterion in criteria}


def actual(result: Result | Iterable[Criterion], criterion_id: str) -> str:
    """What one criterion says that it measured."""
    criteria = result.criteria if isinstance(result, Result) else tuple(result)
    return next(criterion.actual for criterion in criteria if criterion.id == criterion_id)


# --- ports: the base -------------------------------------------------------------------------------------------------


@dataclass
class Fake:
    name: str = "fake"
    trouble: BackendError | None = None
    """Raised by every call."""
    condition: Health = field(default_factory=lambda: Health(True, "as if", "1.0"))

    def _checked(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def health(self) -> Health:
        self._checked()
        return self.condition


def _matches(pattern: str, expr: str) -> bool:
    if pattern in expr:
        return True
    with suppress(re.error):
        return re.search(pattern, expr) is not None
    return False


InstantAnswer = Vector | float | Sequence[Sample] | Exception | Callable[[str, float | None], Vector]
RangeAnswer = Matrix | Sequence[Series] | Exception | Callable[[str, float, float, float], Matrix]


@dataclass
class InMemoryMetrics(Fake):
    """Answers by part of the expression, or by regular expression; the one said last wins; else an empty answer."""

    name: str = "metrics"
    clock: FakeClock = field(default_factory=FakeClock)
    instant: list[tuple[str, InstantAnswer]] = field(default_factory=list)
    ranges: list[tuple[str, RangeAnswer]] = field(default_factory=list)
    loaded: tuple[LoadedRule, ...] = ()
    scraped: tuple[Target, ...] = ()
    types: dict[str, str] = field(default_factory=dict)
    firing: tuple[ActiveAlert, ...] = ()
    managers: tuple[str, ...] = ("http://alertmanager:9093/api/v2/alerts",)
    asked: list[str] = field(default_factory=list)

    def answer(self, pattern: str, value: InstantAnswer) -> "InMemoryMetrics":
        """An instant answer: a Vector, samples, one number without labels, an exception, or a callable(expr, at)."""
        self.instant.append((pattern, value))
        return self

    def answer_range(self, pattern: str, value: RangeAnswer) -> "InMemoryMetrics":
        """A range answer: a Matrix, series, an exception, or a callable(expr, start, end, step)."""
        self.ranges.append((pattern, value))
        return self

    def sample(self, value: float, **labels: str) -> Sample:
        return Sample(labels, self.clock.wall(), value)

    async def query(self, expr: str, at: float | None = None) -> Vector:
        self._checked()
        self.asked.append(expr)
        for pattern, value in reversed(self.instant):
            if _matches(pattern, expr):
                return self._vector(value, expr, at)
        return Vector(())

    def _vector(self, value: InstantAnswer, expr: str, at: float | None) -> Vector:
        if isinstance(value, Exception):
            raise value
        if isinstance(value, Vector):
            return value
        if isinstance(value, int | float):
            return Vector((Sample({}, self.clock.wall() if at is None else at, float(value)),))
        if callable(value):
            return value(expr, at)
        return Vector(tuple(value))

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Matrix:
        self._checked()
        self.asked.append(expr)
        for pattern, value in reversed(self.ranges):
            if _matches(pattern, expr):
                if isinstance(value, Exception):
                    raise value
                if isinstance(value, Matrix):
                    return value
                return value(expr, start, end, step) if callable(value) else Matrix(tuple(value))
        return Matrix(())

    async def rules(self) -> tuple[LoadedRule, ...]:
        self._checked()
        return self.loaded

    async def targets(self) -> tuple[Target, ...]:
        self._checked()
        return self.scraped

    async def metadata(self) -> Mapping[str, str]:
        self._checked()
        return self.types

    async def alerts(self) -> tuple[ActiveAlert, ...]:
        self._checked()
        return self.firing

    async def alertmanagers(self) -> tuple[str, ...]:
        self._checked()
        return self.managers


@dataclass
class InMemoryRules(Fake):
    """A rule folder; ``reload`` loads its files into ``metrics`` unless it ``refuses``."""

    name: str = "rules"
    side_effect: SideEffect = SideEffect.DEDUP
    metrics: InMemoryMetrics | None = None
    files: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    """Why a reload is refused; the old rules then stay."""
    drops: set[str] = field(default_factory=set)
    """Names of rules that the server silently does not load."""
    reloads: int = 0
    writes: list[str] = field(default_factory=list)

    async def read(self, file_name: str) -> str | None:
        self._checked()
        return self.files.get(file_name)

    async def write(self, file_name: str, text: str) -> None:
        self._checked()
        self.writes.append(file_name)
        self.files[file_name] = text

    async def remove(self, file_name: str) -> None:
        self._checked()
        self.files.pop(file_name, None)

    async def reload(self) -> None:
        self._checked()
        self.reloads += 1
        if self.refuses:
            raise BackendRefused(self.name, self.refuses, status=500)
        if self.metrics is not None:
            rules = [rule for file, text in sorted(self.files.items()) for rule in loaded_rules(file, text)]
            self.metrics.loaded = tuple(rule for rule in rules if rule.name not in self.drops)


def loaded_rules(file: str, text: str) -> list[LoadedRule]:
    """A Prometheus rule file as the server would list it."""
    groups = (yaml.safe_load(text) or {}).get("groups") or []
    return [
        LoadedRule(
            group=str(group["name"]), file=file, name=str(rule.get("alert") or rule.get("record")),
            query=str(rule["expr"]), kind="alerting" if "alert" in rule else "recording",
            for_seconds=_seconds(str(rule.get("for", "0s"))),
            labels={k: str(v) for k, v in (rule.get("labels") or {}).items()},
            annotations={k: str(v) for k, v in (rule.get("annotations") or {}).items()}, health="ok",
        )
        for group in groups
        for rule in group.get("rules") or []
    ]  # fmt: skip


def _seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


# --- logs, traces, synthetics ----------------------------------------------------------------------------------------


@dataclass
class InMemoryLogs(Fake):
    """``seen`` maps our service name to the time of its newest line."""

    name: str = "logs"
    seen: dict[str, float] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    async def last_seen(self, services: Mapping[str, Labels], since: float) -> Mapping[str, LastSeen]:
        self._checked()
        return {name: _last_seen(name, self.seen, since, f"{{{_selector(by)}}}") for name, by in services.items()}

    async def known_services(self, label: str, since: float) -> frozenset[str]:
        self._checked()
        return self.known or frozenset(name for name, at in self.seen.items() if at >= since)


@dataclass
class InMemoryTraces(Fake):
    """``seen`` as for logs; ``spans`` maps a service.name to its span names."""

    name: str = "traces"
    seen: dict[str, float] = field(default_factory=dict)
    spans: dict[str, frozenset[str]] = field(default_factory=dict)

    async def last_seen(self, services: Mapping[str, str], since: float) -> Mapping[str, LastSeen]:
        self._checked()
        return {name: _last_seen(name, self.seen, since, f"service.name={by}") for name, by in services.items()}

    async def operations(self, service_name: str, since: float) -> frozenset[str]:
        self._checked()
        traced = self.seen.get(service_name, since) >= since
        return self.spans.get(service_name, frozenset()) if traced else frozenset()

    async def known_services(self, since: float) -> frozenset[str]:
        self._checked()
        return frozenset(name for name, at in self.seen.items() if at >= since)


def _selector(by: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in sorted(by.items()))


def _last_seen(name: str, seen: Mapping[str, float], since: float, query: str) -> LastSeen:
    at = seen.get(name)
    return LastSeen(name, at if at is not None and at >= since else None, query)


@dataclass
class InMemoryVisits(Fake):
    """Every address answers 200 but those in ``down``; ``pages`` says with what: (media type, text or None)."""

    name: str = "visits"
    pages: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    down: dict[str, str] = field(default_factory=dict)
    visited: list[str] = field(default_factory=list)

    async def visit(self, url: str) -> Visit:
        self._checked()
        self.visited.append(url)
        why = self.down.get(url)
        return Visit(url, why is None, 200 if why is None else 503, 0.02, why or "200 OK")

    async def read(self, url: str) -> WebPage:
        visit = await self.visit(url)
        media_type, text = self.pages.get(url, ("text/plain", "ok"))
        return WebPage(visit, text, media_type) if visit.ok else WebPage(visit)


# --- dashboards ------------------------------------------------------------------------------------------------------


@dataclass
class InMemoryDashboards(Fake):
    """Grafana: versions count up, a wrong ``expected_version`` is refused (412)."""

    name: str = "dashboards"
    side_effect: SideEffect = SideEffect.QUERY
    stored: dict[str, Dashboard] = field(default_factory=dict)
    sources: tuple[Datasource, ...] = (Datasource("prom", "Prometheus", "prometheus", True),)
    notes: list[tuple[str, tuple[str, ...], float, str | None]] = field(default_factory=list)
    fails_on: dict[str, BackendError] = field(default_factory=dict)
    """uid -> what saving it raises."""
    saved: list[str] = field(default_factory=list)
    mangles: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """What the server makes of a model that it stores; for read-back tests."""

    def put(self, model: Mapping[str, Any], *, folder_uid: str = "", provisioned: bool = False) -> Dashboard:
        """Store a dashboard as if somebody else had."""
        uid = str(model["uid"])
        before = self.stored.get(uid)
        version = before.version + 1 if before else 1
        stored = Dashboard(
            uid=uid, title=str(model.get("title", uid)), version=version, folder_uid=folder_uid,
            url=f"https://grafana.example/d/{uid}", provisioned=provisioned,
            model={**copy.deepcopy(dict(model)), "version": version},
        )  # fmt: skip
        self.stored[uid] = stored
        return stored

    async def get(self, uid: str) -> Dashboard | None:
        self._checked()
        return self.stored.get(uid)

    async def save(
        self, model: Mapping[str, Any], *, folder_uid: str, message: str, expected_version: int | None
    ) -> Dashboard:
        self._checked()
        uid = str(model["uid"])
        if uid in self.fails_on:
            raise self.fails_on[uid]
        before = self.stored.get(uid)
        if (before.version if before else None) != expected_version:
            raise BackendRefused(self.name, f"{uid}: somebody else changed it (version-mismatch)", status=412)
        self.saved.append(uid)
        return self.put(self.mangles(model), folder_uid=folder_uid)

    async def delete(self, uid: str) -> None:
        self._checked()
        self.stored.pop(uid, None)

    async def search(self, tag: str | None = None) -> tuple[tuple[str, str], ...]:
        self._checked()
        found = (b for b in self.stored.values() if tag is None or tag in (b.model.get("tags") or ()))
        return tuple(sorted((board.uid, board.title) for board in found))

    async def datasources(self) -> tuple[Datasource, ...]:
        self._checked()
        return self.sources

    async def annotate(self, text: str, tags: Sequence[str], at: float, dashboard_uid: str | None = None) -> str:
        self._checked()
        self.notes.append((text, tuple(tags), at, dashboard_uid))
        return str(len(self.notes))

    async def annotations(self, tags: Sequence[str]) -> tuple[str, ...]:
        self._checked()
        return tuple(text for text, own, _, _ in self.notes if set(tags) <= set(own))


# --- people ----------------------------------------------------------------------------------------------------------

DO_NOT_ACKNOWLEDGE = "do not acknowledge"


@dataclass(frozen=True)
class Received:
    """An alert that reached a receiver. ``at`` may lie ahead of the clock: it is not seen before."""

    receiver: str
    alert: AlertToFire
    at: float
    number: int = 0

    @property
    def text(self) -> str:
        return "\n".join((*self.alert.labels.values(), *self.alert.annotations.values()))


@dataclass
class Inbox(Fake):
    """What the receivers of one channel got: the side that alerts arrive on. ``loses`` names receivers."""

    clock: FakeClock = field(default_factory=FakeClock)
    loses: set[str] = field(default_factory=set)
    delay_seconds: float = 0.5
    """From fired to delivered."""
    acknowledges_after: float | None = 2.0
    """From delivered to acknowledged by a person; None: nobody does."""
    received: list[Received] = field(default_factory=list)

    def receive(self, receiver: str, alert: AlertToFire) -> None:
        """An alert is on its way to a receiver (called by InMemoryAlerting)."""
        if receiver not in self.loses:
            at = self.clock.wall() + self.delay_seconds
            self.received.append(Received(receiver, alert, at, len(self.received) + 1))

    def resolved(self, receiver: str, alert: AlertToFire) -> None:
        """The same alert is over."""

    def arrived(self, token: str, since: float) -> list[Received]:
        now = self.clock.wall()
        return [one for one in self.received if token in one.text and since <= one.at <= now]

    def wants_ack(self, one: Received) -> bool:
        return self.acknowledges_after is not None and DO_NOT_ACKNOWLEDGE not in one.text.lower()


ON_CALL = (
    OnCall("PPOLCHK", "Checkout on-call", 1, "PMIRA", "Mira Okafor", None),
    OnCall("PPOLCHK", "Checkout on-call", 2, "PTOM", "Tom Brandt", None),
    OnCall("PPOLPAY", "Payments on-call", 1, "PPRIYA", "Priya Nair", None),
    OnCall("PPOLPAY", "Payments on-call", 2, "PTOM", "Tom Brandt", None),
)


@dataclass
class InMemoryPaging(Inbox):
    """PagerDuty with people who acknowledge: a person at level 1, or at level 2 where the text forbids level 1 to.

    ``service_of`` maps a receiver to its service's id (``pd-checkout`` and ``pd-payments`` by default).
    """

    name: str = "paging"
    side_effect: SideEffect = SideEffect.QUERY
    test_side_effect: SideEffect = SideEffect.DEDUP
    duty: tuple[OnCall, ...] = ON_CALL
    escalation: tuple[EscalationPolicy, ...] = (
        EscalationPolicy("PPOLCHK", "Checkout on-call", (3.0, 3.0)),
        EscalationPolicy("PPOLPAY", "Payments on-call", (3.0, 3.0)),
    )
    paged: tuple[PagerService, ...] = (
        PagerService("PSVCCHK", "Checkout", "PPOLCHK"),
        PagerService("PSVCPAY", "Payments", "PPOLPAY"),
    )
    service_of: dict[str, str] = field(default_factory=lambda: {"pd-checkout": "PSVCCHK", "pd-payments": "PSVCPAY"})
    auto_acknowledges: bool = False
    """A machine, not a person, acknowledges every page at once."""
    test_key: bool = True
    closed: dict[str, float] = field(default_factory=dict)
    """incident id -> when it was resolved."""
    tested: list[str] = field(default_factory=list)

    async def services(self) -> tuple[PagerService, ...]:
        self._checked()
        return self.paged

    async def on_call(self) -> tuple[OnCall, ...]:
        self._checked()
        return self.duty

    async def policies(self) -> tuple[EscalationPolicy, ...]:
        self._checked()
        return self.escalation

    async def pages(self, token: str, since: float) -> tuple[Page, ...]:
        self._checked()
        return tuple(self._page(one) for one in self.arrived(token, since))

    def resolved(self, receiver: str, alert: AlertToFire) -> None:
        for one in self.received:
            if one.receiver == receiver and one.alert.labels == alert.labels:
                self.closed.setdefault(_incident_id(one), self.clock.wall())

    async def resolve(self, incident_id: str, note: str) -> None:
        self._checked()
        self.closed.setdefault(incident_id, self.clock.wall())

    async def test_event(self, token: str) -> Health:
        self._checked()
        self.tested.append(token)
        return Health(self.test_key, "accepted" if self.test_key else "no test routing key is configured")

    def _page(self, one: Received) -> Page:
        service = self._service(one.receiver)
        incident = _incident_id(one)
        now = self.clock.wall()
        end = self.closed.get(incident, float("inf"))
        events = [event for event in self._story(one, service) if event.at <= min(now, end)]
        status: Literal["triggered", "acknowledged", "resolved"] = "triggered"
        if any(event.kind == "acknowledged" for event in events):
            status = "acknowledged"
        if end <= now:
            events.append(PageEvent(end, "resolved", "integration", "Alertmanager"))
            status = "resolved"
        return Page(
            incident_id=incident, incident_key=_digest(one.alert.labels), status=status, created_at=one.at,
            service_id=service.id, service=service.name, policy_id=service.policy_id, urgency="high",
            url=f"https://pd.example/incidents/{incident}", events=tuple(events),
        )  # fmt: skip

    def _service(self, receiver: str) -> PagerService:
        wanted = self.service_of.get(receiver)
        return next((service for service in self.paged if service.id == wanted), self.paged[0])

    def _story(self, one: Received, service: PagerService) -> list[PageEvent]:
        """Everything that will happen to a page, oldest first."""
        levels = sorted((d for d in self.duty if d.policy_id == service.policy_id), key=lambda duty: duty.level)
        policy = next((p for p in self.escalation if p.id == service.policy_id), None)
        story = [PageEvent(one.at, "triggered", "integration", "Alertmanager")]
        if self.auto_acknowledges:
            story.append(PageEvent(one.at + 0.1, "acknowledged", "service", "auto-responder"))
            return story
        at, unwilling = one.at, not self.wants_ack(one)
        for number, duty in enumerate(levels):
            who = (duty.user_id,)
            story.append(PageEvent(at, "assigned", "service", service.name, level=duty.level, recipients=who))
            story.append(
                PageEvent(at + 0.2, "notified", "service", service.name, "", "push", duty.level, recipients=who)
            )
            willing = self.acknowledges_after is not None and (number > 0 or not unwilling)
            if willing and self.acknowledges_after is not None:
                when = at + 0.2 + self.acknowledges_after
                story.append(PageEvent(when, "acknowledged", "user", duty.user, duty.user_id, level=duty.level))
                return story
            delays = policy.delays_seconds if policy else ()
            at += delays[number] if number < len(delays) else 3.0
            if number + 1 < len(levels):
                story.append(PageEvent(at, "escalated", "service", "escalation policy", level=number + 2))
        story.append(PageEvent(at, "exhausted", "service", "escalation policy"))
        return story


def _incident_id(one: Received) -> str:
    return f"PINC{one.number:04d}"


def _digest(labels: Labels) -> str:
    return hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()


@dataclass
class InMemoryChat(Inbox):
    """Slack. A person acknowledges by a reaction; ``channel_of`` maps a receiver to its channel."""

    name: str = "chat"
    side_effect: SideEffect = SideEffect.QUERY
    channel_of: dict[str, str] = field(default_factory=dict)
    person: str = "UMIRA"
    is_bot: bool = False
    posted: list[ChatMessage] = field(default_factory=list)

    async def find(self, channel: str, token: str, since: float) -> tuple[ChatMessage, ...]:
        self._checked()
        mine = [one for one in self.posted if one.channel == channel and token in one.text and one.at >= since]
        arrived = (a for a in self.arrived(token, since) if self.channel_of.get(a.receiver, channel) == channel)
        return (*mine, *(self._message(one, channel) for one in arrived))

    async def post(self, channel: str, text: str) -> str:
        self._checked()
        at = self.clock.wall()
        message_id = f"{at:.6f}-{len(self.posted)}"
        self.posted.append(ChatMessage(channel, message_id, at, text, ()))
        return message_id

    def _message(self, one: Received, channel: str) -> ChatMessage:
        done = self.wants_ack(one) and self.clock.wall() >= one.at + (self.acknowledges_after or 0.0)
        reactions = (("white_check_mark", self.person, self.is_bot),) if done else ()
        return ChatMessage(channel, f"{one.at:.6f}", one.at, one.text, reactions)


@dataclass
class InMemoryMail(Inbox):
    """A mailbox. Sent mail arrives after ``delay_seconds``; a person acknowledges by a reply."""

    name: str = "mail"
    side_effect: SideEffect = SideEffect.QUERY
    sent: list[tuple[tuple[str, ...], str, str]] = field(default_factory=list)
    person: str = "audit@shop.example"
    _mails: list[Mail] = field(default_factory=list)

    async def send(self, to: Sequence[str], subject: str, text: str, token: str) -> str:
        self._checked()
        self.sent.append((tuple(to), subject, text))
        message_id = f"<{len(self.sent)}@ray-tui.test>"
        if not set(to) & self.loses:
            at = self.clock.wall() + self.delay_seconds
            self._mails.append(Mail(message_id, f"{subject} {token}", "ray-tui@shop.example", at, "", text))
        return message_id

    async def find(self, token: str, since: float) -> tuple[Mail, ...]:
        self._checked()
        now = self.clock.wall()
        mails = [m for m in self._mails if token in f"{m.subject} {m.body_excerpt}" and since <= m.received_at <= now]
        for one in self.arrived(token, since):
            message_id = f"<alert-{one.number}@alertmanager>"
            mails.append(Mail(message_id, f"[FIRING:1] {token}", "alertmanager@shop.example", one.at, "", one.text))
            if self.wants_ack(one) and now >= (replied := one.at + (self.acknowledges_after or 0.0)):
                mails.append(
                    Mail(f"<reply-{one.number}@shop>", f"Re: {token}", self.person, replied, message_id, "seen")
                )
        return tuple(mails)


@dataclass
class InMemoryWebhook(Inbox):
    """A webhook receiver that can be asked."""

    name: str = "webhook"
    person: str = "mira"

    async def receipts(self, token: str, since: float) -> tuple[WebhookReceipt, ...]:
        self._checked()
        return tuple(self._receipt(one) for one in self.arrived(token, since))

    def _receipt(self, one: Received) -> WebhookReceipt:
        at = one.at + (self.acknowledges_after or 0.0)
        done = self.wants_ack(one) and self.clock.wall() >= at
        return WebhookReceipt(
            one.at, one.receiver, "firing", "annotations", self.person if done else "", at if done else None
        )


@dataclass
class InMemoryHeartbeat(Fake):
    """A monitor that expects pings."""

    name: str = "heartbeat"
    ping: Ping = field(default_factory=lambda: Ping("watchdog", "up", NOW - 30.0, 600.0))

    async def last_ping(self) -> Ping:
        self._checked()
        return self.ping


@dataclass
class InMemoryPusher(Fake):
    """A Pushgateway. ``scraped`` is called after each change, as the next scrape would be."""

    name: str = "pusher"
    side_effect: SideEffect = SideEffect.DEDUP
    groups: dict[tuple[tuple[str, str], ...], tuple[str, dict[str, str], float]] = field(default_factory=dict)
    keeps: bool = False
    """A delete is answered well, and does nothing."""
    done: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    scraped: Callable[[], None] = lambda: None

    async def push(self, group: Labels, metric: str, labels: Labels, value: float) -> None:
        self._checked()
        self.done.append(("push", dict(group)))
        self.groups[tuple(sorted(group.items()))] = (metric, {**labels, **group}, value)
        self.scraped()

    async def delete(self, group: Labels) -> None:
        self._checked()
        self.done.append(("delete", dict(group)))
        if not self.keeps:
            self.groups.pop(tuple(sorted(group.items())), None)
        self.scraped()

    async def pushed(self, group: Labels) -> bool:
        self._checked()
        return tuple(sorted(group.items())) in self.groups


@dataclass
class InMemoryAlerting(Fake):
    """An Alertmanager cluster. ``routes`` are (labels that an alert must have, receivers), the first that fits wins.

    ``sinks`` maps a receiver to the inboxes behind it (InMemoryPaging, InMemoryChat, …). ``config_yaml`` is what
    ``status`` shows; where empty it is written from routes and sinks.
    """

    name: str = "alerting"
    side_effect: SideEffect = SideEffect.QUERY
    clock: FakeClock = field(default_factory=FakeClock)
    urls: tuple[str, ...] = ("http://am-1:9093", "http://am-2:9093")
    routes: list[tuple[dict[str, str], tuple[str, ...]]] = field(default_factory=list)
    default_receiver: str = "nobody"
    sinks: dict[str, list[Inbox]] = field(default_factory=dict)
    config_yaml: str = ""
    down: set[str] = field(default_factory=set)
    """Peers that do not answer."""
    suppresses: bool = False
    """Every alert is held back by a silence."""
    active_silences: tuple[Silence, ...] = ()
    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    events: list[tuple[str, SentEvent]] | None = None
    """(probe token, what the event recorder says of it); None: there is no recorder."""
    fired: list[AlertToFire] = field(default_factory=list)
    held: dict[str, AlertToFire] = field(default_factory=dict)

    @property
    def peers(self) -> tuple[str, ...]:
        return self.urls

    async def fire(self, alert: AlertToFire) -> tuple[PeerAnswer, ...]:
        self._checked()
        now = self.clock.wall()
        self.fired.append(alert)
        answers = tuple(
            PeerAnswer(u, u not in self.down, "down" if u in self.down else "200", now, now) for u in self.urls
        )
        if any(answer.ok for answer in answers):
            self._take(alert, now)
        return answers

    def _take(self, alert: AlertToFire, now: float) -> None:
        key = _digest(alert.labels)
        was_firing = key in self.held and self.held[key].ends_at > now
        self.held[key] = alert
        for receiver in self.receivers_of(alert.labels):
            for sink in self.sinks.get(receiver, []):
                if alert.ends_at <= now:
                    sink.resolved(receiver, alert)
                elif not was_firing and not self.suppresses:
                    sink.receive(receiver, alert)

    def receivers_of(self, labels: Labels) -> tuple[str, ...]:
        for wanted, receivers in self.routes:
            if all(labels.get(name) == value for name, value in wanted.items()):
                return receivers
        return (self.default_receiver,)

    async def find(self, matchers: Labels) -> tuple[AlertSeen, ...]:
        self._checked()
        now = self.clock.wall()
        found = [
            alert for alert in self.held.values()
            if alert.ends_at > now and all(alert.labels.get(name) == value for name, value in matchers.items())
        ]  # fmt: skip
        return tuple(
            AlertSeen(
                peer, alert.labels, "suppressed" if self.suppresses else "active", self.receivers_of(alert.labels),
                ("silence-1",) if self.suppresses else (), (), (), alert.starts_at, alert.ends_at,
                _digest(alert.labels)[:16],
            )
            for alert, peer in itertools.product(found, (u for u in self.urls if u not in self.down))
        )  # fmt: skip

    async def status(self) -> tuple[PeerStatus, ...]:
        self._checked()
        text = self.config_yaml or self._written()
        return tuple(PeerStatus(url, "ready", "0.27.0", text) for url in self.urls if url not in self.down)

    def _written(self) -> str:
        children = [
            {"matchers": [f'{k}="{v}"' for k, v in wanted.items()], "receiver": receiver, "continue": more}
            for wanted, receivers in self.routes
            for receiver, more in ((r, r != receivers[-1]) for r in receivers)
        ]
        named = dict.fromkeys([self.default_receiver, *(r for _, rs in self.routes for r in rs), *self.sinks])
        receivers = [{"name": name, **self._integrations(name)} for name in named]
        root = {"receiver": self.default_receiver, "group_by": ["alertname", "service", "ray_tui_probe"]}
        return yaml.safe_dump({"route": {**root, "routes": children}, "receivers": receivers}, sort_keys=False)

    def _integrations(self, receiver: str) -> dict[str, list[dict[str, str]]]:
        kinds = {
            InMemoryPaging: ("pagerduty_configs", {"routing_key": "<secret>"}),
            InMemoryChat: ("slack_configs", {"api_url": "<secret>", "channel": "#release"}),
            InMemoryMail: ("email_configs", {"to": "audit@shop.example"}),
            InMemoryWebhook: ("webhook_configs", {"url": "<secret>"}),
        }
        out: dict[str, list[dict[str, str]]] = {}
        for sink in self.sinks.get(receiver, []):
            for kind, (key, settings) in kinds.items():
                if isinstance(sink, kind):
                    out.setdefault(key, []).append(settings)
        return out

    async def silences(self) -> tuple[Silence, ...]:
        self._checked()
        return self.active_silences

    async def notifications(self) -> Mapping[tuple[str, str], float]:
        self._checked()
        return self.counters

    async def sent(self, labels: Labels, since: float) -> tuple[SentEvent, ...] | None:
        self._checked()
        if self.events is None:
            return None
        return tuple(e for token, e in self.events if token == labels.get("ray_tui_probe") and since <= e.at)


# --- tickets and downstream ------------------------------------------------------------------------------------------


@dataclass
class InMemoryIncidents(Fake):
    name: str = "incidents"
    tickets: list[Incident] = field(default_factory=list)

    async def between(self, start: float, end: float) -> tuple[Incident, ...]:
        self._checked()
        return tuple(t for t in self.tickets if t.started_at <= end and (t.ended_at is None or t.ended_at >= start))


@dataclass
class InMemoryNotifier(Fake):
    name: str = "notifier"
    side_effect: SideEffect = SideEffect.QUERY
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    async def notify(self, subject: str, text: str, token: str) -> str:
        self._checked()
        self.sent.append((subject, text, token))
        return f"{self.name}-{len(self.sent)}"

    async def told(self, token: str, since: float) -> str | None:
        self._checked()
        numbers = [number for number, one in enumerate(self.sent, 1) if one[2] == token]
        return f"{self.name}-{numbers[0]}" if numbers else None


# --- a whole healthy world -------------------------------------------------------------------------------------------


def all_ports(clock: FakeClock | None = None, **instead: Any) -> Ports:
    """Every port, healthy, on one clock; ``instead`` replaces some (``paging=…``, ``logs=None``).

    Critical alerts of payments go to pd-payments and mail-audit, those of checkout and cart to pd-checkout; warnings
    to slack-release.
    """
    clock = clock or FakeClock()
    metrics = InMemoryMetrics(clock=clock)
    ports = Ports(
        metrics=metrics, rules=InMemoryRules(metrics=metrics), logs=InMemoryLogs(), traces=InMemoryTraces(),
        visits=InMemoryVisits(), dashboards=InMemoryDashboards(), paging=InMemoryPaging(clock=clock),
        chat=InMemoryChat(clock=clock), mail=InMemoryMail(clock=clock), webhook=InMemoryWebhook(clock=clock),
        heartbeat=InMemoryHeartbeat(), pusher=InMemoryPusher(),
        incidents=(InMemoryIncidents(),), notifiers={n: InMemoryNotifier(f"protocol-{n}") for n in ("20", "21", "22")},
    )  # fmt: skip
    ports = replace(ports, **instead)
    if "alerting" not in instead:
        ports = replace(ports, alerting=_alerting(clock, ports))
    return ports


def _alerting(clock: FakeClock, ports: Ports) -> InMemoryAlerting:
    routes: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"severity": "critical", "service": "payments"}, ("pd-payments", "mail-audit")),
        ({"severity": "critical"}, ("pd-checkout",)),
        ({"severity": "warning"}, ("slack-release",)),
    ]
    behind: dict[str, object] = {
        "pd-payments": ports.paging,
        "pd-checkout": ports.paging,
        "slack-release": ports.chat,
        "mail-audit": ports.mail,
    }
    sinks: dict[str, list[Inbox]] = {name: [sink] for name, sink in behind.items() if isinstance(sink, Inbox)}
    return InMemoryAlerting(clock=clock, routes=routes, sinks=sinks)
