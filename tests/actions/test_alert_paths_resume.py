"""2.2 after a crash: whatever the moment, no probe is sent twice, and nothing is taken for granted."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ray_tui.actions import alert_paths
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable
from ray_tui.core.ports import AlertToFire, OnCall, SideEffect
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Ask, Result
from tests.actions.probe_world import World
from tests.fakes import FakeContext, actual, verdicts


class Problem(NamedTuple):
    problem: str
    detail: str


class Killed(BaseException):
    """kill -9: not even cleanup runs."""


class Death:
    """Kills the host at one moment; from then on nothing that it does has any effect."""

    def __init__(self, world: World, context: FakeContext) -> None:
        self.world, self.context, self.dead = world, context, False
        self._fire, self._record = world.alerting.fire, context.record
        world.alerting.fire = self.fire  # type: ignore[method-assign]
        context.record = self.record  # type: ignore[method-assign]
        self.before_fire: Callable[[AlertToFire], bool] = lambda _: False
        self.after_fire: Callable[[AlertToFire], bool] = lambda _: False
        self.before_record: Callable[[f.Fact], bool] = lambda _: False
        self.after_record: Callable[[f.Fact], bool] = lambda _: False

    def maybe(self, now: bool) -> None:
        self.dead = self.dead or now
        if self.dead:
            raise Killed

    async def fire(self, alert: AlertToFire) -> Any:
        self.maybe(self.before_fire(alert))
        answers = await self._fire(alert)
        self.maybe(self.after_fire(alert))
        return answers

    async def record(self, *facts: f.Fact) -> None:
        self.maybe(any(self.before_record(fact) for fact in facts))
        await self._record(*facts)
        self.maybe(any(self.after_record(fact) for fact in facts))

    def resurrect(self) -> None:
        self.world.alerting.fire = self._fire  # type: ignore[method-assign]


def is_hop(hop: str, purpose: str) -> Callable[[f.Fact], bool]:
    end = "-ack" if purpose == "acknowledge" else "-esc"
    return lambda fact: isinstance(fact, f.ProbeHopSeen) and fact.hop == hop and fact.id.endswith(end)


def is_for(purpose: str) -> Callable[[AlertToFire], bool]:
    end = "-ack" if purpose == "acknowledge" else "-esc"
    return lambda alert: alert.labels["ray_tui_probe"].endswith(end) and alert.ends_at > alert.starts_at + 30


def is_end(alert: AlertToFire) -> bool:
    return alert.ends_at <= alert.starts_at + 30


MOMENTS: dict[str, Callable[[Death, str], None]] = {
    "before send": lambda death, purpose: setattr(death, "before_fire", is_for(purpose)),
    "after send": lambda death, purpose: setattr(death, "after_fire", is_for(purpose)),
    "after response": lambda death, purpose: setattr(death, "before_record", is_hop("t1", purpose)),
    "after journal": lambda death, purpose: setattr(death, "after_record", is_hop("t4", purpose)),
    "before resolve": lambda death, _: setattr(death, "before_fire", is_end),
    "after resolve": lambda death, _: setattr(death, "after_fire", is_end),
    "before cleared": lambda death, _: setattr(death, "before_record", lambda one: isinstance(one, f.ProbeCleared)),
    "after cleared": lambda death, _: setattr(death, "after_record", lambda one: isinstance(one, f.ProbeCleared)),
}


def nobody(question: Ask) -> str:
    raise AssertionError(f"asked again: {question.title}")


async def killed_at(world: World, moment: str, purpose: str) -> FakeContext:
    """A first host that dies at this moment; answers its context, whose facts are the journal."""
    context = world.context()
    death = Death(world, context)
    MOMENTS[moment](death, purpose)
    with pytest.raises(Killed):
        await alert_paths.run(context)
    death.resurrect()
    return context


def resumed(world: World, first: FakeContext, **more: Any) -> FakeContext:
    journal = [fact for fact in first.recorded if not isinstance(fact, f.RunOpened | f.StepStarted)]
    world.answers = nobody
    return world.context(facts=journal, resumed=True, **more)


@pytest.mark.parametrize("purpose", ["acknowledge", "escalate"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_resumed_test_sends_no_probe_twice(tmp_path: Path, moment: str, purpose: str) -> None:
    """Killed around the send, its answer, the journal or the clearing: each id is sent once, and nobody asked again.

    (P40)
    """
    routes = [
        ({"severity": "critical", "service": "payments"}, ("pd-payments", "mail-audit")),
        ({"severity": "critical", "service": "checkout"}, ("pd-checkout",)),
    ]
    world = World(tmp_path, routes)
    first = await killed_at(world, moment, purpose)
    world.clock.advance(0.4)

    result = await alert_paths.run(resumed(world, first))

    assert set(world.sends().values()) == {1}
    pages = [(one.receiver, one.alert.labels["ray_tui_probe"]) for one in world.paging.received]
    assert len(pages) == len(set(pages)) == 4
    assert world.firing() == []
    assert result.verdict is Verdict.PASSED, [one for one in result.criteria if one.verdict is not Verdict.PASSED]


AROUND_THE_SEND = ("before send", "after send", "after response", "after journal")


@pytest.mark.parametrize("moment", AROUND_THE_SEND)
@pytest.mark.parametrize("effect", list(SideEffect))
async def test_a_host_that_dies_around_an_escalation_probe_pages_at_most_once(
    tmp_path: Path, effect: SideEffect, moment: str
) -> None:
    """As tests/e2e/test_kill_table.py has it for the first probe: one page an id, unknown where nobody knows. (P40)"""
    world = World(tmp_path)
    world.alerting.side_effect = effect
    first = await killed_at(world, moment, "escalate")
    world.clock.advance(0.4)

    result = await alert_paths.run(resumed(world, first))

    pages = Counter(one.alert.labels["ray_tui_probe"] for one in world.paging.received)
    assert max(pages.values(), default=0) <= 1
    assert world.firing() == []
    never_sent = effect is SideEffect.NONE and moment == "before send"
    if effect is not SideEffect.DEDUP:
        assert max(world.sends().values(), default=0) <= 1
    problems = {fact.problem for fact in result_problems(result)}
    assert ("unknown" in problems) is never_sent
    assert (result.verdict is Verdict.PASSED) is not never_sent, result.summary


def result_problems(result: Result) -> list[Problem]:
    rows = [*result.data["receivers"], *result.data["escalations"]]
    return [Problem(one["problem"], one["detail"]) for row in rows for one in row["problems"]]


@pytest.mark.parametrize("moment", AROUND_THE_SEND[1:3])
async def test_what_cannot_be_looked_up_nor_repeated_is_left_to_a_person(tmp_path: Path, moment: str) -> None:
    """Nothing shows whether it was sent: it is not sent again, and the criterion says that a person must tell. (P40)"""
    world = World(tmp_path)
    world.alerting.side_effect = SideEffect.NONE
    first = await killed_at(world, moment, "acknowledge")
    world.clock.advance(0.4)

    async def blind(labels: Any) -> Any:
        return ()

    async def no_pages(token: str, since: float) -> Any:
        return ()

    world.alerting.find, world.paging.pages = blind, no_pages  # type: ignore[method-assign]
    result = await alert_paths.run(resumed(world, first))

    assert set(world.sends().values()) == {1}
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "inconclusive"
    assert "only a person can tell" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_the_clock_of_a_resumed_probe_started_with_its_first_host(tmp_path: Path) -> None:
    """t0 stays the recorded start: the time that the host was dead counts. (P46)"""
    world = World(tmp_path)
    first = await killed_at(world, "after send", "acknowledge")
    began = first.of_kind(f.ProbeIntended)[0].starts_at
    world.clock.advance(4.0)
    context = resumed(world, first)
    await alert_paths.run(context)

    t0 = next(hop for hop in context.of_kind(f.ProbeHopSeen) if hop.hop == "t0" and hop.id.endswith("-ack"))
    assert t0.earliest == began


async def test_a_probe_whose_time_is_over_is_not_sent_again(tmp_path: Path) -> None:
    """Intended, nowhere known, and past its end: unknown, which blocks until a person tests again. (P40)"""
    world = World(tmp_path)
    first = await killed_at(world, "before send", "acknowledge")
    world.clock.advance(3600.0)

    result = await alert_paths.run(resumed(world, first))

    assert world.sends() == {}
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "inconclusive"
    assert "unknown" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_nothing_is_sent_again_while_the_pager_cannot_be_asked(tmp_path: Path) -> None:
    """Alertmanager does not know it, the pager does not answer: whether a page is out is not known, so wait. (P40)"""
    world = World(tmp_path)
    first = await killed_at(world, "before send", "acknowledge")
    polls = iter(range(100))
    pages = world.paging.pages
    sent_at_poll: list[tuple[int, int]] = []

    async def late(token: str, since: float) -> Any:
        number = next(polls)
        sent_at_poll.append((number, len(world.alerting.fired)))
        if number < 3:
            raise BackendUnreachable("paging", "refused")
        return await pages(token, since)

    world.paging.pages = late  # type: ignore[method-assign]
    await alert_paths.run(resumed(world, first))

    assert sent_at_poll[:4] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert set(world.sends().values()) == {1}


async def test_a_probe_that_only_one_peer_holds_is_not_sent_to_the_others(tmp_path: Path) -> None:
    """It may have paged already; that not every peer heard it is inconclusive. (P41)"""
    world = World(tmp_path)
    world.alerting.down = {"http://am-2:9093"}
    first = await killed_at(world, "after send", "acknowledge")

    result = await alert_paths.run(resumed(world, first))

    assert world.sends()[first.of_kind(f.ProbeIntended)[0].id] == 1
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "inconclusive"


async def test_other_people_on_call_than_confirmed_are_not_paged(tmp_path: Path) -> None:
    """The shift changed while the host was dead: the stored answer does not name them. (P40)"""
    world = World(tmp_path)
    context = world.context()
    death = Death(world, context)
    death.before_record = lambda fact: isinstance(fact, f.ProbeIntended)
    with pytest.raises(Killed):
        await alert_paths.run(context)
    death.resurrect()
    world.paging.duty = (OnCall("PPOLCHK", "Checkout on-call", 1, "PSAM", "Sam Ito", None),)

    result = await alert_paths.run(resumed(world, context))

    assert world.alerting.fired == []
    assert verdicts(result)["alert_paths.delivered:pd-checkout"] == "inconclusive"
    assert "unconfirmed" in actual(result, "alert_paths.delivered:pd-checkout")


async def test_a_new_attempt_uses_new_tokens(tmp_path: Path) -> None:
    """A retry by a person is another attempt: other ids, other pages, confirmed anew. (P40)"""
    world = World(tmp_path)
    first = world.context()
    await alert_paths.run(first)
    second = world.context(attempt=2, facts=first.of_kind(f.ProbeIntended))
    await alert_paths.run(second)

    assert set(world.sends().values()) == {1}
    assert len(world.sends()) == 4
    assert len(second.asked) == 1
