"""2.2 against what may break: a table of faults in the demo's servers, each with its verdict and the hop it names."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ray_tui.analysis.hops import Interval, judge_sla
from ray_tui.clock import iso
from ray_tui.core.errors import BackendError
from ray_tui.core.verdicts import Verdict
from ray_tui.demo.people import Policy
from tests.actions.fault_world import CLOCK, ESCALATION_SECONDS, SLA, FaultWorld, gate_of
from tests.fakes import verdicts

pytestmark = pytest.mark.usefixtures("impatient")
ALWAYS = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
NEVER = [{"years": ["1999"]}]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the path of one receiver. ``wanted``: criterion -> (verdict, what its text must contain)."""

    name: str
    receiver: str
    bend: Callable[[FaultWorld], None]
    wanted: dict[str, tuple[str, tuple[str, ...]]]


def bent(server: str, **switches: Any) -> Callable[[FaultWorld], None]:
    """Switches of one of the demo's servers."""

    def bend(world: FaultWorld) -> None:
        for name, value in switches.items():
            assert hasattr(getattr(world, server), name), name
            setattr(getattr(world, server), name, value)

    return bend


def broken(server: str, path: str, **answer: Any) -> Callable[[FaultWorld], None]:
    return lambda world: world.broken(server, path, **answer)


def delivered(receiver: str, verdict: str, *words: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f"alert_paths.delivered:{receiver}": (verdict, words)}


def answered(receiver: str, verdict: str, *words: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {
        f"alert_paths.delivered:{receiver}": ("passed", ()),
        f"alert_paths.ack:{receiver}": (verdict, words),
    }


def escalated(verdict: str, *words: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {"alert_paths.ack:pager": ("passed", ()), "alert_paths.escalation:PPOLCHK": (verdict, words)}


# --- what a server does to an alert


def _silenced(world: FaultWorld) -> None:
    def silence() -> None:
        now = CLOCK.wall()
        matcher = {"name": "severity", "value": "critical", "isRegex": False, "isEqual": True}
        world.peers[0].put_silence(
            {"matchers": [matcher], "startsAt": iso(now), "endsAt": iso(now + 60), "createdBy": "tom",
             "comment": "maintenance"}
        )  # fmt: skip

    world.confirmed = silence


def _inhibited(world: FaultWorld) -> None:
    world.extra["inhibit_rules"] = [
        {"source_matchers": ['alertname="DatacentreDown"'], "target_matchers": ['severity="critical"']}
    ]

    def fire() -> None:
        now = CLOCK.wall()
        down = {"labels": {"alertname": "DatacentreDown"}, "startsAt": iso(now), "endsAt": iso(now + 60)}
        for peer in world.peers:
            peer.take([down])

    world.confirmed = fire


def _muted(world: FaultWorld) -> None:
    world.extra["time_intervals"] = [{"name": "weekend", "time_intervals": ALWAYS}]
    world.own_route["mute_time_intervals"] = ["weekend"]


def _inactive(world: FaultWorld) -> None:
    world.extra["time_intervals"] = [{"name": "office-hours", "time_intervals": NEVER}]
    world.own_route["active_time_intervals"] = ["office-hours"]


def _muted_since_the_plan(world: FaultWorld) -> None:
    """The live configuration changed between our reading it and our firing."""
    world.extra["time_intervals"] = [{"name": "weekend", "time_intervals": NEVER}]
    world.own_route["mute_time_intervals"] = ["weekend"]

    def reload() -> None:
        for peer in world.peers:
            peer.config.intervals["weekend"] = ALWAYS

    world.confirmed = reload


def _dropping(world: FaultWorld) -> None:
    def drop() -> None:
        for peer in world.peers:
            peer.take = lambda wire: []  # type: ignore[method-assign]

    world.confirmed = drop


def _one_peer_down(world: FaultWorld) -> None:
    world.confirmed = lambda: setattr(world.peers[1], "down", True)


def _nobody_at_level_two(world: FaultWorld) -> None:
    world.people.policies = (Policy("PPOLCHK", "Checkout on-call", (("mira",), ())), *world.people.policies[1:])


def _never_tired(world: FaultWorld) -> None:
    world.people.acknowledges = lambda text, level: True  # type: ignore[method-assign]


def _late_escalation(world: FaultWorld) -> None:
    """Level 2 is called long after the policy says."""

    def slow() -> None:
        world.people.escalation_seconds = 30.0

    world.confirmed = slow


def _two_systems(world: FaultWorld) -> None:
    world.broken("paging", "/incidents", kind="html", status=502, times=2)
    world.broken("peer-0", "/metrics", status=500, times=2)


CONFIRMED_LATE = SLA + 1.5

QUICK: Sequence[Fault] = (
    Fault("nothing", "pager", lambda world: None, escalated("passed")),
    Fault("202, then nothing", "pager", bent("pagerduty", lost_pages=frozenset({"PSVCCHK"})),
          delivered("pager", "failed", "lost at t4 (delivered)", "pagerduty")),
    Fault("the integration acknowledges", "pager", bent("pagerduty", auto_ack=True),
          answered("pager", "failed", "auto_ack at t6", "not a person")),
    Fault("acknowledged by an integration later", "pager", bent("pagerduty", ack_by="integration"),
          answered("pager", "failed", "auto_ack at t6")),
    Fault("acknowledged by the wrong agent", "pager", bent("pagerduty", ack_by="other_service"),
          answered("pager", "failed", "auto_ack at t6", "not a person")),
    Fault("clock a minute ahead", "pager", bent("pagerduty", skew_seconds=60.0),
          {"alert_paths.ack:pager": ("inconclusive", ("skew at t6", "clocks"))}),
    Fault("clock a minute behind", "pager", bent("pagerduty", skew_seconds=-60.0),
          {"alert_paths.ack:pager": ("inconclusive", ("skew at t6", "clocks"))}),
    Fault("clock 20 s behind", "pager", bent("pagerduty", skew_seconds=-20.0), escalated("passed")),
    Fault("clock 20 s ahead", "pager", bent("pagerduty", skew_seconds=20.0), escalated("passed")),
    Fault("two incidents for one probe", "pager", bent("pagerduty", duplicate_incidents=True),
          delivered("pager", "failed", "duplicate at t4", "2 incidents")),
    Fault("exhausted escalation", "pager", _nobody_at_level_two,
          escalated("failed", "exhausted at t7 (escalated)")),
    Fault("late escalation", "pager", _late_escalation, escalated("failed", "not_escalated at t7")),
    Fault("level 1 acknowledges what it must not", "pager", _never_tired,
          escalated("inconclusive", "acknowledged_early at t7", "Mira Okafor")),
    Fault("an incident that nobody is told of", "pager", bent("pagerduty", notifies=False),
          answered("pager", "failed", "not_notified at t5]")),
    Fault("nobody acknowledges in time", "pager", bent("pagerduty", ack_after_seconds=CONFIRMED_LATE),
          answered("pager", "failed", "t6")),
)  # fmt: skip

ROUTES: Sequence[Fault] = (
    Fault("a silence", "pager", _silenced, delivered("pager", "failed", "suppressed at t2", "of tom: maintenance")),
    Fault("an inhibition", "pager", _inhibited, delivered("pager", "failed", "suppressed at t2", "the alert ")),
    Fault("a muted time interval", "pager", _muted, delivered("pager", "failed", "suppressed at t2", "weekend")),
    Fault("outside of its active times", "pager", _inactive,
          delivered("pager", "failed", "suppressed at t2", "active times")),
    Fault("muted after the plan was made", "hook", _muted_since_the_plan,
          delivered("hook", "failed", "suppressed at t2", "the time interval weekend")),
    Fault("Alertmanager answers 200 and drops it", "hook", _dropping,
          delivered("hook", "failed", "lost at t2 (active)", "never shown it")),
    Fault("a wrong routing key", "pager", lambda world: world.broken(
              "paging", "/v2/enqueue", status=400, body={"status": "invalid event", "errors": ["routing key"]}),
          delivered("pager", "failed", "lost at t3 (sent)", "nothing was sent")),
    Fault("the pager's events answer 500", "pager", broken("paging", "/v2/enqueue", status=500),
          delivered("pager", "failed", "lost at t3 (sent)", "pagerduty")),
    Fault("the pager's events answer 429", "pager",
          broken("paging", "/v2/enqueue", status=429, headers={"Retry-After": "60"}),
          delivered("pager", "failed", "lost at t3 (sent)", "pagerduty")),
    Fault("the pager's events answer 429 once", "pager", broken("paging", "/v2/enqueue", status=429, times=1),
          escalated("passed")),
    Fault("the sink is dead", "hook", broken("sink", "/hook", status=500),
          delivered("hook", "failed", "lost at t3 (sent)", "webhook")),
    Fault("the sink forgets", "hook", bent("sink", forgets=True),
          delivered("hook", "failed", "lost at t4 (delivered)", "webhook")),
    Fault("Slack's webhook is revoked", "chat", broken("chat", "/services", status=403, body="invalid_token"),
          delivered("chat", "failed", "lost at t3 (sent)", "slack")),
    Fault("a reaction by a bot", "chat", bent("slack", reaction_by_bot=True),
          answered("chat", "failed", "not_acknowledged at t6", "slack")),
    Fault("mail accepted but lost", "mail", bent("mail", delivers=False),
          delivered("mail", "failed", "lost at t4 (delivered)", "email")),
    Fault("a reply by our own address", "mail", bent("mail", reply_from="ray-tui@shop.example"),
          answered("mail", "failed", "not_acknowledged at t6", "email")),
    Fault("a reply by Alertmanager's own address", "mail", bent("mail", reply_from="alertmanager@shop.example"),
          answered("mail", "failed", "not_acknowledged at t6", "email")),
    Fault("an out-of-office reply", "mail", bent("mail", reply_subject="Automatic reply: "),
          answered("mail", "failed", "not_acknowledged at t6", "email")),
)  # fmt: skip

RECOVERING: Sequence[Fault] = (
    Fault("429 with Retry-After, then well", "pager",
          broken("paging", "/incidents", status=429, headers={"Retry-After": "1"}, times=2), escalated("passed")),
    Fault("a proxy's HTML page, then well", "pager", _two_systems, escalated("passed")),
    Fault("Slack says ratelimited, then well", "chat",
          broken("chat", "/api/conversations.history", status=200, body={"ok": False, "error": "ratelimited"}, times=4),
          answered("chat", "passed", "Sam Ito")),
    Fault("IMAP is slow", "mail", bent("mail", imap_delay_seconds=0.15), answered("mail", "passed", "lee@shop")),
    Fault("the sink works", "hook", lambda world: None, answered("hook", "passed", "jo")),
)  # fmt: skip

SILENT: Sequence[Fault] = (
    Fault("one peer down", "pager", _one_peer_down,
          delivered("pager", "failed", "peer_down at t1 (accepted)", "not accepted by every Alertmanager peer")),
    Fault("an orphaned incident", "pager", bent("pagerduty", stuck_incidents=True),
          {"alert_paths.ack:pager": ("passed", ()), "alert_paths.clean": ("failed", ("incident Q", "500"))}),
    Fault("the pager's REST API answers 401 from the send on", "pager",
          broken("paging", "/incidents", status=401, body={"error": {"message": "Invalid Authentication Provided"}}),
          delivered("pager", "error", "unreadable at t4", "401") | {"alert_paths.clean": ("failed", ("pager",))}),
    Fault("the pager's REST API answers 500", "pager", broken("paging", "/incidents", status=500),
          delivered("pager", "error", "unreadable at t4", "500")),
    Fault("the pager's REST API answers 429 for ever", "pager",
          broken("paging", "/incidents", status=429, headers={"Retry-After": "30"}),
          delivered("pager", "error", "unreadable at t4", "429")),
    Fault("the pager's REST API answers HTML", "pager", broken("paging", "/incidents", kind="html", status=200),
          delivered("pager", "error", "unreadable at t4", "paging did not answer")),
    Fault("Slack says ok:false", "chat", broken(
              "chat", "/api/conversations.history", status=200, body={"ok": False, "error": "not_in_channel"}),
          delivered("chat", "error", "unreadable at t4", "not_in_channel")),
    Fault("IMAP does not answer", "mail", bent("mail", imap_delay_seconds=60.0),
          delivered("mail", "error", "unreadable at t4", "silent for")),
    Fault("the sink cannot be asked", "hook", broken("sink", "/received", kind="invalid-json"),
          delivered("hook", "error", "unreadable at t4", "webhook")),
)  # fmt: skip


async def tried(fault: Fault, folder: Path, started_after: float) -> tuple[Fault, FaultWorld]:
    """One world with one fault; started a little after the others, so that they do not all begin at once."""
    await asyncio.sleep(started_after)
    world = FaultWorld(folder, fault.receiver, mail_silence_seconds=1.0)
    fault.bend(world)
    await world.carry_out()
    return fault, world


def wrong_with(fault: Fault, world: FaultWorld) -> list[str]:
    """What is not as the table says."""
    assert world.result is not None
    found = {one.id: one for one in world.result.criteria}
    out = []
    for id_, (verdict, words) in fault.wanted.items():
        one = found.get(id_)
        if one is None:
            out.append(f"{fault.name}: no {id_} among {sorted(found)}")
        elif one.verdict.value != verdict or any(word not in one.actual for word in words):
            out.append(f"{fault.name}: {id_} is {one.verdict.value}: {one.actual}; wanted {verdict}, {words}")
    passes = all(verdict == "passed" for verdict, _ in fault.wanted.values())
    blocked = [one.id for one in gate_of(world.result) if not one.verdict.lets_go_on and not one.id.startswith("evid")]
    if bool(blocked) is passes:
        out.append(f"{fault.name}: gate 2 is blocked by {blocked}")
    if (world.result.verdict is Verdict.PASSED) is not passes:
        out.append(f"{fault.name}: the whole is {world.result.verdict}: {world.result.summary}")
    if world.firing():
        out.append(f"{fault.name}: still firing: {world.firing()}")
    return out


@pytest.mark.parametrize(
    "faults", [SILENT, RECOVERING, QUICK, ROUTES], ids=["silent systems", "recovering", "people", "routes"]
)
async def test_every_fault_gets_its_verdict_and_names_its_hop(faults: Sequence[Fault], tmp_path: Path) -> None:
    """No fault passes wrongly, here or at gate 2; each is named with the hop at which the alert stopped. (P45 P46)"""
    tasks: list[Coroutine[Any, Any, tuple[Fault, FaultWorld]]] = [
        tried(fault, tmp_path / str(number), number * 0.3) for number, fault in enumerate(faults)
    ]
    wrong = [line for fault, world in await asyncio.gather(*tasks) for line in wrong_with(fault, world)]

    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_is_long_enough() -> None:
    """At least twenty faults, each with its own name."""
    names = [fault.name for group in (SILENT, QUICK, ROUTES, RECOVERING) for fault in group]
    assert len(names) == len(set(names)) >= 20 + len(RECOVERING)


async def test_what_was_unsteady_is_said_though_it_passes(tmp_path: Path) -> None:
    """A pager that answered 429 for a while: nothing blocks, and a reader learns of it."""
    world = FaultWorld(tmp_path, "pager")
    world.broken("paging", "/incidents", status=429, headers={"Retry-After": "20"}, times=2)
    result = await world.carry_out()

    problems = {one["problem"]: one for one in result.data["receivers"][0]["problems"]}
    assert verdicts(result)["alert_paths.ack:pager"] == "passed"
    assert "429" in problems["unsteady"]["detail"]
    assert problems["unsteady"]["blocks"] is False


async def test_no_alertmanager_at_all_is_an_error_before_anybody_is_asked(tmp_path: Path) -> None:
    """Nothing can be planned, so nothing is confirmed and nothing fired. (P41)"""
    world = FaultWorld(tmp_path, "pager")
    for name in ("peer-0", "peer-1"):
        world.broken(name, "/api/v2/status", status=500)
    world.confirmed()
    asked: list[str] = []
    world.confirmed = lambda: asked.append("page")

    with pytest.raises(BackendError, match="500"):
        await world.carry_out()

    assert asked == []
    assert world.pagerduty.pages_sent == []


@pytest.mark.parametrize(
    ("earliest", "latest", "verdict"),
    [
        (SLA - 0.2, SLA - 0.001, Verdict.PASSED),
        (SLA - 0.2, SLA, Verdict.PASSED),
        (SLA, SLA, Verdict.PASSED),
        (SLA - 0.2, SLA + 0.001, Verdict.INCONCLUSIVE),
        (SLA, SLA + 0.001, Verdict.INCONCLUSIVE),
        (SLA + 0.001, SLA + 0.001, Verdict.FAILED),
        (SLA + 0.001, SLA + 9.0, Verdict.FAILED),
        (-0.5, SLA - 1.0, Verdict.PASSED),
        (-2.0, -0.001, Verdict.INCONCLUSIVE),
    ],
)
def test_an_acknowledgement_around_the_sla(earliest: float, latest: float, verdict: Verdict) -> None:
    """Just under and exactly on the SLA pass; just over fails; what lies across it is neither. (P46)"""
    assert judge_sla(Interval(earliest, latest), SLA).verdict is verdict


assert ESCALATION_SECONDS < SLA
