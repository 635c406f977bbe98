"""2.2's Grafana contact points: opt-in, agreed to, sent once, seen to arrive, and never a proof of any route."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import alert_paths
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendTimeout
from ray_tui.core.ports import (
    AlertToFire,
    ContactIntegration,
    ContactOutcome,
    ContactPoint,
    ContactTest,
    Labels,
    OnCall,
    SideEffect,
)
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Ask, Header, Result
from tests.actions.contact_world import NAME, ContactWorld, carried_out
from tests.actions.fault_world import gate_of
from tests.actions.probe_world import World
from tests.fakes import FakeContext, Inbox, InMemoryDashboards, actual, verdicts

ID = f"alert_paths.contact_point:{NAME}"
CLEAN = "alert_paths.contact_points_clean"
BYPASSES = "bypasses notification policies"


# --- over the demo's servers -----------------------------------------------------------------------------------------


async def test_a_contact_point_passes_when_grafana_says_ok_and_everything_is_seen(tmp_path: Path) -> None:
    """Slack, mail, hook and pager each show our token, after the time of the test; the page is closed again. (P45)"""
    world, result = await carried_out(tmp_path, "slack", "email", "webhook", "pagerduty")

    assert verdicts(result)[ID] == "passed", actual(result, ID)
    assert verdicts(result)[CLEAN] == "passed"
    rows = world.row()["integrations"]
    assert [(one["kind"], one["seen_by"]) for one in rows] == [
        ("slack", "chat"), ("email", "mail"), ("webhook", "webhook"), ("pagerduty", "paging"),
    ]  # fmt: skip
    assert all(0 <= one["delivered"][1] < 10 and one["hops"]["t0"] and one["hops"]["t4"] for one in rows)
    incidents = [one for one in world.pagerduty.incidents.values() if world.row()["token"] in str(vars(one))]
    assert [one.status for one in incidents] == ["resolved"]


async def test_it_is_labelled_as_bypassing_policies_everywhere(tmp_path: Path) -> None:
    """In the question, the criterion, the JSON body, the record and the report. (P45)"""
    world, result = await carried_out(tmp_path, "slack")

    assert world.row()["note"] == BYPASSES
    criterion = next(one for one in result.criteria if one.id == ID)
    assert BYPASSES in criterion.title
    assert BYPASSES in criterion.actual
    assert BYPASSES in criterion.required
    header = Header("r", "r1", "production", "2.2", 1, 0.0, "passed", "", tuple(result.criteria))
    (text,) = alert_paths.documents(result.data, header).values()
    assert "## Grafana contact points" in text
    assert text.count(BYPASSES) >= 3


@pytest.mark.usefixtures("impatient")
async def test_a_working_contact_point_proves_no_route(tmp_path: Path) -> None:
    """The Alertmanager receiver beside it loses what it gets, and fails as ever. (P46)"""
    world = ContactWorld(tmp_path, kinds=("slack",))
    world.broken("sink", "/hook/hook", status=500)
    result = await world.carry_out()

    assert verdicts(result)[ID] == "passed"
    assert verdicts(result)["alert_paths.delivered:hook"] == "failed"
    assert result.verdict is Verdict.FAILED


@dataclass(frozen=True)
class Fault:
    name: str
    kinds: tuple[str, ...]
    bend: Callable[[ContactWorld], None]
    verdict: str
    words: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)


def integration(kind: str, fault: str) -> Callable[[ContactWorld], None]:
    return lambda world: world.fault_of.update({kind: fault})


def alertmanager(state: Any) -> Callable[[ContactWorld], None]:
    return lambda world: setattr(world.grafana, "alertmanager", state)


TEST = "/api/alertmanager"
FAULTS: Sequence[Fault] = (  # the one that takes longest begins first
    Fault("the chat cannot be asked", ("slack",), lambda w: w.broken("chat", "/api", status=500), "inconclusive",
          ("could not be looked for", "500")),
    Fault("207, one failed", ("slack", "webhook"), integration("webhook", "failed"), "failed", ("answered 500",)),
    Fault("207, the only one failed", ("slack",), integration("slack", "failed"), "failed", ("Grafana says failed",)),
    Fault("408", ("slack",), integration("slack", "timeout"), "failed", ("deadline exceeded",)),
    Fault("404, no Alertmanager", ("slack",), alertmanager("none"), "error", ("does not exist",)),
    Fault("409, not ready", ("slack",), alertmanager("starting"), "error", ("not ready",)),
    Fault("HTML for an answer", ("slack",), lambda w: w.faults["grafana"].next(TEST, kind="html", status=200),
          "inconclusive", ("only a person can tell", "HTML")),
    Fault("HTML for the list", ("slack",), lambda w: w.faults["grafana"].next("/api/v1/provisioning", kind="html",
          status=200), "error", ("cannot be listed", "HTML")),
    Fault("500 after it was taken", ("slack",), lambda w: w.faults["grafana"].next(TEST, status=500),
          "inconclusive", ("only a person can tell",)),
    Fault("403", ("slack",), lambda w: w.faults["grafana"].next(TEST, status=403), "error", ("403",)),
    Fault("ok, and nothing arrives", ("slack", "webhook"), integration("webhook", "swallowed"), "inconclusive",
          ("slack: Grafana says ok, and it arrived", "webhook: Grafana says ok; it was not seen")),
    Fault("an answer that leaves one out", ("slack",), lambda w: w.faults["grafana"].next(TEST, status=200, body={
          "receivers": []}), "inconclusive", ("says nothing",)),
    Fault("nobody said where its hook can be seen", ("webhook",), lambda w: w.settings.update(webhook_receivers={
          "hook": "webhook"}), "inconclusive", ("cannot be seen", "[alert_paths.webhook_receivers]", NAME)),
    Fault("an integration that may reach anybody", ("slack", "opsgenie"), lambda w: None, "inconclusive",
          ("not sent", "opsgenie")),
)  # fmt: skip


@pytest.mark.usefixtures("impatient")
async def test_every_fault_of_a_contact_point_gets_its_verdict(tmp_path: Path) -> None:
    """None passes wrongly, here or at gate 2; the working receiver beside it stays proved. (P45 P46)"""

    async def tried(number: int, fault: Fault) -> list[str]:
        world = ContactWorld(tmp_path / str(number), kinds=fault.kinds)
        fault.bend(world)
        await asyncio.sleep(number * 0.2)
        result = await world.carry_out()
        said = actual(result, ID)
        wrong = [f"{fault.name}: no {word!r} in {said!r}" for word in fault.words if word not in said]
        if verdicts(result)[ID] != fault.verdict:
            wrong.append(f"{fault.name}: {verdicts(result)[ID]}, not {fault.verdict}: {said}")
        if verdicts(result)["alert_paths.delivered:hook"] != "passed":
            wrong.append(f"{fault.name}: hook: {actual(result, 'alert_paths.delivered:hook')}")
        if all(one.verdict.lets_go_on for one in gate_of(result)):
            wrong.append(f"{fault.name}: gate 2 lets it pass")
        return wrong

    wrong = [line for lines in await asyncio.gather(*(tried(*one) for one in enumerate(FAULTS))) for line in lines]

    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.usefixtures("impatient")
async def test_an_incident_that_cannot_be_closed_is_named(tmp_path: Path) -> None:
    """The test itself passed; that something is left blocks. (P45)"""
    world = ContactWorld(tmp_path, kinds=("pagerduty",))
    world.pagerduty.stuck_incidents = True
    result = await world.carry_out()

    assert verdicts(result)[ID] == "passed"
    assert verdicts(result)[CLEAN] == "failed"
    assert "incident" in actual(result, CLEAN)
    assert world.row()["clean"] is False


# --- on one clock ----------------------------------------------------------------------------------------------------


@dataclass
class Grafana(InMemoryDashboards):
    """Contact points in memory: kind -> the inbox behind it."""

    points: tuple[ContactPoint, ...] = ()
    inboxes: dict[str, Inbox] = field(default_factory=dict)
    contact_side_effect: SideEffect = SideEffect.NONE
    sent: list[str] = field(default_factory=list)
    raises: BaseException | None = None
    clock: Any = None

    async def contact_points(self) -> tuple[ContactPoint, ...]:
        return self.points

    async def test_contact_point(self, point: ContactPoint, labels: Labels, annotations: Labels) -> ContactTest:
        self.sent.append(labels["ray_tui_probe"])
        now = self.clock.wall()
        for one in point.integrations:
            if one.kind in self.inboxes:
                alert = AlertToFire(labels, annotations, now, now + 600)
                self.inboxes[one.kind].receive("pd-checkout", alert)
        if self.raises is not None:
            raise self.raises
        return ContactTest(tuple(ContactOutcome(one.uid, "ok") for one in point.integrations), now, now)


def a_point(*kinds: str, name: str = NAME) -> ContactPoint:
    return ContactPoint(name, tuple(ContactIntegration(f"uid-{n}", kind) for n, kind in enumerate(kinds)))


def with_grafana(folder: Path, *kinds: str) -> tuple[World, Grafana]:
    world = World(folder)
    world.settings["grafana_contact_points"] = [NAME]
    world.settings["slack_channels"][NAME] = "C1"
    inboxes: dict[str, Inbox] = {"slack": world.chat, "pagerduty": world.paging, "email": world.mail}
    return world, Grafana(clock=world.clock, points=(a_point(*kinds),), inboxes=inboxes)


async def test_whom_it_may_page_is_in_the_same_question(tmp_path: Path) -> None:
    """Its pages count, it is named with what it goes round, and what must be typed covers it. (P45)"""
    world, grafana = with_grafana(tmp_path, "slack", "pagerduty")
    context = world.context(ports=world.ports(dashboards=grafana))
    await alert_paths.run(context)

    (asked,) = context.asked
    assert f"contact points {NAME} (slack, pagerduty); that {BYPASSES}" in asked.text
    assert any(row["receiver"] == f"Grafana contact point {NAME}" for row in asked.data["pages"])
    assert asked.expects.startswith("page Mira Okafor")
    (intent,) = (one for one in context.of_kind(f.IntentRecorded) if one.data.get("kind") == "contact_point")
    assert intent.side_effect == "none"
    assert intent.data["note"] == BYPASSES
    assert len(grafana.sent) == 1


async def test_its_pages_count_in_the_budget_now_and_in_the_next_hour(tmp_path: Path) -> None:
    """One page more than the budget allows is over it; an hour's tests count together. (P45)"""
    world, grafana = with_grafana(tmp_path, "pagerduty")
    ports = world.ports(dashboards=grafana)
    world.settings["grafana_contact_points"] = []
    before = world.context(ports=ports)
    await alert_paths.run(before)
    pages = sum(row["count"] for row in before.asked[0].data["pages"] if row["person"] == "Mira Okafor")

    world.settings["grafana_contact_points"] = [NAME]
    world.thresholds["pages_per_person_and_hour"] = pages
    world.clock.advance(7200)
    over = world.context(ports=ports, attempt=2)
    await alert_paths.run(over)
    assert over.asked[0].expects.endswith(", over budget")

    facts = [fact for fact in over.recorded if isinstance(fact, f.IntentRecorded)]
    world.settings["grafana_contact_points"] = []
    again = world.context(ports=ports, attempt=3, facts=facts)
    await alert_paths.run(again)
    assert any("1 in the last hour" in one for one in again.asked[0].data["over_budget"])


async def test_a_person_who_agreed_to_its_page_alone_is_not_escalated_past(tmp_path: Path) -> None:
    """Its page agrees to no escalation probe of that policy."""
    world, grafana = with_grafana(tmp_path, "pagerduty")
    context = world.context(ports=world.ports(dashboards=grafana))
    await alert_paths.run(context)

    rows = [row for row in context.asked[0].data["pages"] if NAME in row["receiver"]]
    assert {row["person"] for row in rows} == {"Mira Okafor", "Tom Brandt"}  # nobody answers: level 2 is called as well
    assert all(one.receiver != NAME for one in context.of_kind(f.ProbeIntended))


async def test_nothing_is_sent_without_being_named_in_a_dry_run_or_when_declined(tmp_path: Path) -> None:
    """Opt-in; a dry run leaves it open, a refusal fails it. (P45 P46)"""
    world, grafana = with_grafana(tmp_path / "a", "slack")
    world.settings["grafana_contact_points"] = []
    result = await world.tested(ports=world.ports(dashboards=grafana))
    assert ID not in verdicts(result)
    assert result.data["contact_points"] == []

    world, grafana = with_grafana(tmp_path / "b", "slack")
    world.settings["real_pages"] = False
    result = await world.tested(ports=world.ports(dashboards=grafana))
    assert verdicts(result)[ID] == "inconclusive"
    assert "dry run" in actual(result, ID)
    assert grafana.sent == []

    world, grafana = with_grafana(tmp_path / "c", "slack")
    world.answers = lambda ask: "no"
    result = await world.tested(ports=world.ports(dashboards=grafana))
    assert verdicts(result)[ID] == "failed"
    assert "declined" in actual(result, ID)
    assert grafana.sent == []


@pytest.mark.parametrize(
    ("bend", "verdict", "words"),
    [
        (lambda world, grafana: setattr(grafana, "points", ()), "failed", "no such contact point"),
        (lambda world, grafana: world.people.update(mira={"name": "Mira Okafor", "pages_opt_in": False}),
         "inconclusive", "has not agreed to test pages"),
        (lambda world, grafana: setattr(world.paging, "duty", ()), "inconclusive", "nobody is known to be on call"),
    ],
)  # fmt: skip
async def test_who_cannot_or_must_not_be_paged_is_spared(
    tmp_path: Path, bend: Callable[[World, Grafana], None], verdict: str, words: str
) -> None:
    """Whoever did not agree, or cannot be named, is not paged by Grafana either. (P45)"""
    world, grafana = with_grafana(tmp_path, "pagerduty")
    bend(world, grafana)
    result = await world.tested(ports=world.ports(dashboards=grafana))

    assert verdicts(result)[ID] == verdict
    assert words in actual(result, ID)
    assert grafana.sent == []


async def test_without_a_pager_to_ask_nobody_is_paged(tmp_path: Path) -> None:
    """A pager integration whose pages nobody could name or close is not tried."""
    world, grafana = with_grafana(tmp_path, "slack", "pagerduty")
    result = await world.tested(ports=world.ports(dashboards=grafana, paging=None))

    assert verdicts(result)[ID] == "inconclusive"
    assert "no [paging] is configured" in actual(result, ID)
    assert grafana.sent == []


async def test_without_grafana_it_is_an_error(tmp_path: Path) -> None:
    """Dashboards that have no contact points cannot be asked for a test."""
    world, _ = with_grafana(tmp_path, "slack")
    result = await world.tested()

    assert verdicts(result)[ID] == "error"
    assert "no [dashboards]" in actual(result, ID)


async def test_two_integrations_need_two_messages(tmp_path: Path) -> None:
    """One message in the shared channel never proves both. (P46)"""
    world, grafana = with_grafana(tmp_path, "slack", "slack")
    both = await world.tested(ports=world.ports(dashboards=grafana))
    assert verdicts(both)[ID] == "passed"

    world, grafana = with_grafana(tmp_path, "slack", "slack")
    arrives = world.chat.receive

    def once(receiver: str, alert: AlertToFire) -> None:
        if not world.chat.received:
            arrives(receiver, alert)

    world.chat.receive = once  # type: ignore[method-assign]
    one = await world.tested(ports=world.ports(dashboards=grafana))
    assert verdicts(one)[ID] == "inconclusive"


# --- after a crash ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9."""


async def after(world: World, grafana: Grafana, first: FakeContext) -> tuple[FakeContext, Result]:
    grafana.raises = None
    world.clock.advance(5)
    facts = [fact for fact in first.recorded if not isinstance(fact, f.RunOpened | f.StepStarted)]
    context = world.context(ports=world.ports(dashboards=grafana), resumed=True, facts=facts)
    return context, await alert_paths.run(context)


async def test_a_resumed_attempt_never_sends_it_again(tmp_path: Path) -> None:
    """Killed between intent and answer: looked for, closed, and left to a person. (P45)"""
    world, grafana = with_grafana(tmp_path, "slack", "pagerduty")
    grafana.raises = Killed()
    first = world.context(ports=world.ports(dashboards=grafana))
    with pytest.raises(Killed):
        await alert_paths.run(first)
    _, result = await after(world, grafana, first)

    assert len(grafana.sent) == 1
    assert verdicts(result)[ID] == "inconclusive"
    assert "only a person can tell" in actual(result, ID)
    assert grafana.sent[0] in actual(result, ID)
    assert verdicts(result)[CLEAN] == "passed"
    since = world.clock.wall() - 600
    assert [one.status for one in await world.paging.pages(grafana.sent[0], since)] == ["resolved"]


MOMENTS = ("before intent", "before send", "after send", "after response", "after journal")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_it_is_sent_at_most_once(tmp_path: Path, moment: str) -> None:
    """Class none: only what was certainly not begun is sent by the run that goes on; it never passes unseen. (P45)"""
    world, grafana = with_grafana(tmp_path, "slack", "pagerduty")
    first = world.context(ports=world.ports(dashboards=grafana))
    intend, outcome, test = first.intend, first.outcome, grafana.test_contact_point

    async def intending(what: str, *rest: Any, **more: Any) -> str:
        if moment == "before intent":
            raise Killed
        return await intend(what, *rest, **more)

    async def testing(*rest: Any) -> ContactTest:
        if moment == "before send":
            raise Killed
        answer = await test(*rest)
        if moment == "after send":
            raise Killed
        return answer

    async def ending(*rest: Any, **more: Any) -> None:
        if moment == "after response":
            raise Killed
        await outcome(*rest, **more)
        if moment == "after journal":
            raise Killed

    first.intend, first.outcome = intending, ending  # type: ignore[method-assign,assignment]
    grafana.test_contact_point = testing  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await alert_paths.run(first)
    grafana.test_contact_point = test  # type: ignore[method-assign]
    _, result = await after(world, grafana, first)

    assert len(grafana.sent) == (0 if moment == "before send" else 1)
    known = moment in ("before intent", "after journal")
    assert verdicts(result)[ID] == ("passed" if known else "inconclusive"), actual(result, ID)
    assert known or "only a person can tell" in actual(result, ID)
    assert verdicts(result)[CLEAN] == "passed"


async def test_an_answer_on_record_counts_after_a_crash(tmp_path: Path) -> None:
    """Killed after the answer was recorded: what Grafana said is known, and the delivery is looked for."""
    world, grafana = with_grafana(tmp_path, "slack")
    first = world.context(ports=world.ports(dashboards=grafana))
    slept = first.sleep

    async def sleep(seconds: float) -> None:
        if any(one.reference.startswith("{") for one in first.of_kind(f.OutcomeRecorded)):
            raise Killed
        await slept(seconds)

    first.sleep = sleep  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await alert_paths.run(first)
    _, result = await after(world, grafana, first)

    assert len(grafana.sent) == 1
    assert verdicts(result)[ID] == "passed", actual(result, ID)


async def test_a_refusal_on_record_stays_an_error_after_a_crash(tmp_path: Path) -> None:
    """It never went out; this attempt does not try again."""
    world, grafana = with_grafana(tmp_path, "slack")
    lost = BackendTimeout("dashboards", "no connection", "")
    lost.never_sent = True
    grafana.raises = lost
    first = world.context(ports=world.ports(dashboards=grafana))
    assert verdicts(await alert_paths.run(first))[ID] == "error"
    _, result = await after(world, grafana, first)

    assert len(grafana.sent) == 1
    assert verdicts(result)[ID] == "error"


async def test_other_people_on_call_after_a_crash_are_not_paged_by_it(tmp_path: Path) -> None:
    """Confirmed for Mira, now Priya is on call: nothing is sent. (P45)"""
    world, grafana = with_grafana(tmp_path, "pagerduty")
    first = world.context(ports=world.ports(dashboards=grafana))

    def die(ask: Ask) -> str:
        return ask.expects

    world.answers = die
    slept = first.record

    async def record(*facts: f.Fact) -> None:
        if any(isinstance(fact, f.ProbeIntended) for fact in facts):
            raise Killed
        await slept(*facts)

    first.record = record  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await alert_paths.run(first)
    world.paging.duty = (OnCall("PPOLCHK", "Checkout on-call", 1, "PPRIYA", "Priya Nair", None),)
    _, result = await after(world, grafana, first)

    assert grafana.sent == []
    assert verdicts(result)[ID] == "inconclusive"
    assert "other people" in actual(result, ID)
