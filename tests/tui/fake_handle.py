"""A run without a host: scripted facts go in, submitted commands come out. Knows how a handle behaves, nothing more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.clock import Clock
from ray_tui.core import announcements
from ray_tui.core import facts as f
from ray_tui.core.commands import Accepted, Command, Reply
from ray_tui.core.facts import Entry
from ray_tui.core.handle import Link, Marker, Rewound
from ray_tui.core.readings import Reading
from ray_tui.core.state import RunState, fold
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.tui.view import View

T0 = 1_763_812_500.0
ENDS = object()


@dataclass(frozen=True)
class StillClock(Clock):
    """Time that stands where the test puts it."""

    at: list[float] = field(default_factory=lambda: [T0 + 400.0])

    def wall(self) -> float:
        return self.at[0]

    def monotonic(self) -> float:
        return self.at[0]


@dataclass
class FakeTransport:
    """Remembers what was pressed; moves where it is told."""

    markers: Sequence[Marker] = ()
    playing: bool = False
    speed: float = 1.0
    at: int = 1
    last: int = 300
    has_graphs: bool = True
    calls: list[tuple[str, float]] = field(default_factory=list)

    @property
    def position(self) -> tuple[int, float]:
        return self.at, float(self.at)

    @property
    def duration(self) -> tuple[int, float]:
        return self.last, float(self.last)

    def play(self) -> None:
        self.playing = True
        self.calls.append(("play", 0))

    def pause(self) -> None:
        self.playing = False
        self.calls.append(("pause", 0))

    def set_speed(self, speed: float) -> None:
        self.speed = speed
        self.calls.append(("speed", speed))

    def step(self) -> None:
        self.at += 1
        self.calls.append(("step", 0))

    def seek(self, seq: int) -> None:
        self.at = seq
        self.calls.append(("seek", seq))

    def seek_seconds(self, seconds: float) -> None:
        self.at = int(seconds)
        self.calls.append(("seconds", seconds))


class FakeHandle:
    """Feed it facts; read what was submitted."""

    def __init__(
        self, *facts: f.Fact, person: str = "mira", read_only: bool = False, transport: FakeTransport | None = None
    ) -> None:
        self.run_id = "2026-11-22T1155Z-checkout-v2.4.1-7f3a"
        self.person = person
        self.console = f"c-{person}"
        self.read_only = read_only
        self.link = Link.LIVE if transport is None else Link.REPLAY
        self.transport = transport
        self.submitted: list[Command] = []
        self.reply: Callable[[Command], Reply] = lambda command: Accepted(0)
        self.closed = False
        self.seq = 0
        self._entries: asyncio.Queue[Any] = asyncio.Queue()
        self._readings: asyncio.Queue[Any] = asyncio.Queue()
        self.feed(*facts)

    def feed(self, *facts: f.Fact, at: float | None = None, person: str = "engine") -> None:
        """Each fact as the next entry, a second after the one before unless told."""
        for fact in facts:
            self.seq += 1
            when = T0 + self.seq if at is None else at
            actor = f.Actor(person=person)
            self._entries.put_nowait(Entry(seq=self.seq, at=when, mono=when, actor=actor, fact=fact))

    def rewind(self) -> None:
        self.seq = 0
        self._entries.put_nowait(Rewound())

    def read(self, *readings: Reading) -> None:
        for reading in readings:
            self._readings.put_nowait(reading)

    def break_link(self, error: Exception) -> None:
        self._entries.put_nowait(error)

    async def entries(self) -> AsyncIterator[Entry | Rewound]:
        while True:
            entry = await self._entries.get()
            if entry is ENDS:
                return
            if isinstance(entry, Exception):
                raise entry
            yield entry

    async def readings(self) -> AsyncIterator[Reading]:
        while True:
            yield await self._readings.get()

    async def submit(self, command: Command) -> Reply:
        self.submitted.append(command)
        return self.reply(command)

    async def close(self, why: str = "left") -> None:
        self.closed = True


def folded(*facts: f.Fact) -> RunState:
    """The state after these facts, all of one moment."""
    actor = f.Actor(person="engine")
    return fold(Entry(seq=seq, at=T0, mono=T0, actor=actor, fact=fact) for seq, fact in enumerate(facts, start=1))


ROLES = {
    "mira": ("operator", "sre-lead"),
    "jo": ("sre-lead",),
    "sam": ("release-manager",),
    "lee": ("release-manager",),
}
"""Who holds which roles where a test does not say otherwise."""


def opened(*, demo: bool = False, roles: Mapping[str, tuple[str, ...]] = ROLES) -> list[f.Fact]:
    """A run that mira drives."""
    return [
        f.RunOpened(
            run_id="2026-11-22T1155Z-checkout-v2.4.1-7f3a",
            release="checkout v2.4.1",
            environment="production",
            deployed_at=T0 - 600,
            config_digest="c" * 64,
            operator="mira",
            demo=demo,
        ),
        f.HostStarted(pid=1, roles=dict(roles)),
        f.ConsoleAttached(console="c-mira", person="mira"),
        f.SeatTaken(person="mira", console="c-mira"),
    ]


def done(step: str, summary: str, data: dict[str, Any] | None = None, *criteria: Criterion) -> list[f.Fact]:
    """A step that ran and passed (or as its criteria say)."""
    verdict = next((c.verdict for c in criteria if not c.verdict.lets_go_on), Verdict.PASSED)
    return [
        f.StepStarted(step=step),
        f.StepFinished(step=step, verdict=verdict, summary=summary, data=data or {}, criteria=criteria),
    ]


def failed(id_: str, title: str, actual: str, verdict: Verdict = Verdict.FAILED, **more: Any) -> Criterion:
    return Criterion(id=id_, title=title, verdict=verdict, actual=actual, **more)


def coverage() -> dict[str, Any]:
    services = ["checkout", "payments", "search", "catalog", "cart", "users", "mail", "media", "ledger", "gateway"]
    signals = ("metrics", "logs", "traces", "synthetics")
    cells = [
        {
            "service": name,
            "signal": signal,
            "age_seconds": 8.0 + i,
            "query": f'up{{job="{name}"}}',
            "why": "",
            "verdict": "inconclusive"
            if (name, signal) == ("search", "traces")
            else (None if name == "mail" and signal == "synthetics" else "passed"),
        }
        for i, name in enumerate(services)
        for signal in signals
    ]
    known = [{"name": n, "critical": n in ("checkout", "payments"), "changed": n == "checkout"} for n in services]
    return {"cells": cells, "services": known, "completeness": {"passing": 38, "required": 39, "ratio": 38 / 39}}


def baseline() -> dict[str, Any]:
    def kpi(service: str, name: str, unit: str, now: float, prior: float, finding: str) -> dict[str, Any]:
        return {
            "service": service,
            "kpi": name,
            "unit": unit,
            "now": now,
            "prior": prior,
            "relative": now / prior - 1,
            "finding": finding,
            "p": 0.02,
            "n": 60,
        }

    return {
        "kpis": [
            kpi("checkout", "p99", "s", 0.231, 0.222, "ok"),
            kpi("checkout", "errors", "percentunit", 0.0004, 0.0005, "ok"),
            kpi("payments", "p99", "s", 0.412, 0.390, "ok"),
            kpi("payments", "errors", "percentunit", 0.0021, 0.0007, "degraded"),
            kpi("search", "p99", "s", 0.088, 0.091, "insufficient"),
        ]
    }


def configured() -> dict[str, Any]:
    return {
        "plan": [
            {"kind": "rule", "name": "CheckoutErrorBudgetBurn", "action": "create", "detail": "14.4x over 1h and 5m"},
            {"kind": "dashboard", "name": "Checkout RED", "action": "update", "detail": "2 panels"},
            {"kind": "rule", "name": "PaymentsLatency", "action": "keep", "detail": ""},
        ],
        "dashboards": [
            {
                "uid": "a",
                "title": "Checkout RED",
                "score": 96,
                "url": "http://g/d/a",
                "panels": [{"title": "Rate", "state": "ok", "why": ""}, {"title": "Errors", "state": "ok", "why": ""}],
            },
            {
                "uid": "b",
                "title": "Payments SLO",
                "score": 94,
                "url": "http://g/d/b",
                "panels": [{"title": "Budget", "state": "ok", "why": ""}],
            },
        ],
        "alerts": [
            {"name": "CheckoutErrorBudgetBurn", "receivers": ["pd-checkout"], "issues": []},
            {"name": "PaymentsLatency", "receivers": ["pd-payments"], "issues": []},
        ],
    }


def probe(name: str, receiver: str, at: float, purpose: str = "acknowledge", **hops: tuple[float, str]) -> list[f.Fact]:
    """A probe and its hops as (seconds after it fired, who)."""
    intended = f.ProbeIntended(
        id=name,
        step="2.2",
        receiver=receiver,
        purpose=purpose,
        labels={"alertname": "RayProbe"},
        starts_at=at,
        ends_at=at + 900,
        pages=("Priya (level 1)",),
        sla_seconds=300,
    )
    seen = [
        f.ProbeHopSeen(id=name, hop=hop, earliest=at + after - 0.1, latest=at + after, source="pagerduty", who=who)
        for hop, (after, who) in hops.items()
    ]
    return [intended, *seen]


def mid_run() -> list[f.Fact]:
    """Phase 1 is done, 2.2 runs: one page acknowledged, two on their way, one lost."""
    return [
        *opened(),
        f.ConsoleAttached(console="c-jo", person="jo"),
        f.ConsoleAttached(console="c-sam", person="sam", read_only=True),
        *done("prerequisites", "5 inputs, 2 approvals, 7 systems"),
        *(f.Announced(step="1.1", text=text) for text in announcements.for_step("1.1")),
        *done("1.1", "10 services, 2 critical, 3 new endpoints"),
        *(f.Announced(step="1.2", text=text) for text in announcements.for_step("1.2")),
        *done("1.2", "38/39 cells see data newer than the deploy", coverage()),
        *done("1.3", "1 degraded, 1 with too few samples", baseline()),
        f.StepStarted(step="gate.instrumentation"),
        f.GateJudged(gate="instrumentation", verdict=Verdict.PASSED, actual="coverage 97.4% of 39 required cells"),
        f.GapFound(id="g1", step="1.2", title="search has no traces", owner="search-team", due="2026-12-06"),
        *(f.Announced(step="2.1", text=text) for text in announcements.for_step("2.1")),
        *done("2.1", "2 dashboards, lowest score 94; 9 rules written, 9 loaded", configured()),
        f.StepStarted(step="2.2"),
        *(f.Announced(step="2.2", text=text) for text in announcements.for_step("2.2")),
        *probe(
            "7f3a-a1-1",
            "pd-checkout",
            T0 + 330,
            t0=(0, ""),
            t1=(0.1, ""),
            t2=(0.2, ""),
            t3=(0.2, ""),
            t4=(1.1, ""),
            t5=(3.0, "Priya"),
            t6=(41, "Priya"),
        ),
        *probe(
            "7f3a-a1-2",
            "pd-payments",
            T0 + 328,
            t0=(0, ""),
            t1=(0.1, ""),
            t2=(0.2, ""),
            t3=(0.2, ""),
            t4=(1.3, ""),
            t5=(3.2, "Tom"),
        ),
        *probe("7f3a-a1-3", "slack-release", T0 + 50, t0=(0, ""), t1=(0.1, ""), t4=(0.4, "")),
        f.ProbeProblem(id="7f3a-a1-3", hop="t6", problem="late", detail="no acknowledgement within 5 min"),
        *probe("7f3a-a1-4", "mail-audit", T0 + 352, "escalate", t0=(0, ""), t1=(0.1, ""), t4=(6.1, "")),
        f.Progressed(step="2.2", text="waiting for acknowledgements", done=1, total=4),
    ]


def assured() -> dict[str, dict[str, Any]]:
    """What the steps of phases 3 and 4 have found, by step."""
    checks = ("dashboard:Checkout RED", "alerts:checkout", "synthetic:checkout/login", "alert-path-test")
    entry = {"cadence": "*/30 * * * *", "next_run": "2026-11-22T23:30:00Z", "owner_ok": True, "installed": True}
    rule = {"rule": "CheckoutHighLatency", "n": 12, "true": 12, "precision": 1.0, "low": 0.75, "high": 1.0,
            "duplicates": 0, "flaps": 0, "status": "ok"}  # fmt: skip
    noisy = {"rule": "CartHighErrorRatio", "n": 14, "true": 4, "precision": 0.29, "low": 0.12, "high": 0.55,
             "status": "noisy"}  # fmt: skip
    proposal = {"rule": "CartHighErrorRatio", "change": "> 0.05 for 2m → > 0.0653 for 2m", "pages_before": 3.0,
                "pages_after": 1.0, "precision_before": 0.33, "precision_after": 1.0, "accepted": True}  # fmt: skip
    attained = {"metric": "SLO attainment: checkout/requests", "target": "99.900%", "actual": "99.970% over 30 days",
                "status": "met"}  # fmt: skip
    precise = {"metric": "Alert precision", "target": "85%", "actual": "62%", "status": "below"}
    files = [("monitoring-requirements.md", "1.1"), ("alert-test-results.json", "2.2"), ("journal.jsonl", ""),
             ("waivers.json", "gate.handoff")]  # fmt: skip
    return {
        "3.1": {"entries": [{**entry, "asset": name, "owner": "sre"} for name in checks]},
        "3.2": {"rules": [rule, {**rule, **noisy}], "proposals": [proposal], "missed": [{"title": "INC-7 cart down"}]},
        "3.3": {"rows": [attained, precise]},
        "4.1": {"files": [{"name": name, "action": step, "sha256": "ab" * 32, "size": 37_257} for name, step in files]},
    }


def late_run() -> list[f.Fact]:
    """Phases 3 and 4 have data, one approval is given, one waiver holds, one gap is open."""
    given = f.ApprovalRecorded(role="sre-lead", person="mira", subject="package", subject_sha256="ab" * 32,
                               given_at=T0, assurance="signed")  # fmt: skip
    waived = f.Waived(id="W1", criterion="alert_paths.ack:slack-release", step="2.2", reason="nobody reads it at night",
                      operator="mira", approver="jo", evidence_sha256="e" * 64, expires_at=T0 + 7 * 86_400)  # fmt: skip
    finished = (done(step, "done", data) for step, data in assured().items())
    return [*mid_run(), *done("2.2", "4 of 4 proven"), *(fact for facts in finished for fact in facts), given, waived]


def live_values() -> list[Reading]:
    out = []
    for index in range(60):
        at = T0 + index * 5
        out.append(Reading(series="checkout/p99", at=at, value=0.22 + 0.02 * ((index * 7) % 5), unit="s"))
        out.append(
            Reading(series="payments/errors", at=at, value=0.0007 + (0.0016 if index > 40 else 0.0), unit="percentunit")
        )
        out.append(Reading(series="payments/p99", at=at, value=0.39 + 0.03 * ((index * 3) % 4), unit="s"))
    return out


async def until(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    """Wait for a condition; fail by naming it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)


def view_of(facts: Sequence[f.Fact], person: str = "engine") -> View:
    """What mira's console paints from these facts, a second apart."""
    actor = f.Actor(person=person)
    state = fold(Entry(seq=n, at=T0 + n, mono=T0 + n, actor=actor, fact=fact) for n, fact in enumerate(facts, start=1))
    return View(state=state, now=T0 + 400, person="mira", console="c-mira")
