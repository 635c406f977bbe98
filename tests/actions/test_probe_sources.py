"""2.2's further sources over fakes: event recorder, heartbeat monitor, a pushed series, and dates out of order."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import alert_paths, probe_pushed
from ray_tui.actions.probe_watchdog import judge_ping
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendUnreachable, NotSupported
from ray_tui.core.ports import (
    ActiveAlert,
    AlertToFire,
    Health,
    LoadedRule,
    Ping,
    Sample,
    SentEvent,
)
from ray_tui.core.verdicts import Verdict
from ray_tui.step import Header, Result
from tests.actions.probe_world import WATCHDOG, World
from tests.fakes import InMemoryHeartbeat, InMemoryPusher, actual, verdicts

DELIVERED, ACK, WATCH = "alert_paths.delivered:pd-checkout", "alert_paths.ack:pd-checkout", "alert_paths.watchdog"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def markdown(result: Result) -> str:
    header = Header("run", "rel", "production", "2.2", 1, 0.0, "passed", result.summary, result.criteria)
    return alert_paths.documents(result.data, header)["alert-test-results.md"]


# --- sent: the event recorder ----------------------------------------------------------------------------------------


def recording(world: World, after: float = 0.6, receiver: str = "pd-checkout", kind: str = "pagerduty") -> None:
    """An event recorder that writes of every firing alert; ``after`` seconds from its firing."""
    world.alerting.events = events = []
    world.alerting.condition = Health(True, "as if", "0.35.0", (0.0, 0.0))
    fire = world.alerting.fire

    async def recorded(alert: AlertToFire) -> Any:
        token = alert.labels["ray_tui_probe"]
        if alert.ends_at > world.clock.at and token not in dict(events):
            events.append((token, SentEvent(world.clock.at + after, receiver, kind, 0, "am-1")))
        return await fire(alert)

    world.alerting.fire = recorded  # type: ignore[method-assign]


async def test_the_event_recorder_times_the_send_of_each_receiver(world: World) -> None:
    """t3 is its date, for the first and the second probe, whatever moves the counters meanwhile. (P47)"""
    recording(world)
    world.alerting.counters = {("am-1", "pagerduty"): 5.0}
    result = await world.tested()

    assert result.verdict is Verdict.PASSED
    for row in (*result.data["receivers"], *result.data["escalations"]):
        sent = row["hops"]["t3"]
        assert sent["source"].startswith("event recorder")
        assert sent["who"] == "am-1"
        assert sent["detail"] == "pagerduty/0"
        assert row["hops"]["t0"]["latest"] <= sent["latest"] <= row["hops"]["t5"]["latest"]


@pytest.mark.parametrize(("receiver", "kind"), [("pd-payments", "pagerduty"), ("pd-checkout", "webhook")])
async def test_what_it_says_of_another_receiver_or_integration_is_not_ours(
    world: World, receiver: str, kind: str
) -> None:
    """Same alert, other receiver: unknown, as without a recorder."""
    recording(world, receiver=receiver, kind=kind)
    result = await world.tested()

    assert result.data["receivers"][0]["hops"]["t3"] is None


async def test_a_page_that_was_sent_and_never_arrived_is_lost_after_the_send(world: World) -> None:
    """The recorder has it: it is lost at t4, and t3 is on record. (P45)"""
    recording(world)
    world.paging.loses = {"pd-checkout"}
    result = await world.tested()

    assert "lost at t4" in actual(result, DELIVERED)
    assert result.data["receivers"][0]["hops"]["t3"]["source"].startswith("event recorder")


async def test_a_page_that_was_never_sent_is_lost_at_the_send(world: World) -> None:
    """The recorder is read and has nothing: it stopped at t3. (P45)"""
    recording(world)
    world.paging.loses = {"pd-checkout"}

    async def nothing(labels: Any, since: float) -> tuple[SentEvent, ...]:
        return ()

    world.alerting.sent = nothing  # type: ignore[method-assign]
    result = await world.tested()

    assert "lost at t3" in actual(result, DELIVERED)
    assert "event recorder shows no notification" in actual(result, DELIVERED)


async def test_a_log_that_cannot_be_read_leaves_the_send_unknown_and_is_said(world: World) -> None:
    """Neither a pass nor a failure hangs on it; a lost page is then lost at t4. (P45)"""

    async def broken(labels: Any, since: float) -> Any:
        raise BackendUnreachable("alerting", "the event log e.jsonl cannot be read")

    world.alerting.sent = broken  # type: ignore[method-assign]
    result = await world.tested()

    row = result.data["receivers"][0]
    assert result.verdict is Verdict.PASSED
    assert row["hops"]["t3"] is None
    assert any("event log e.jsonl" in one["detail"] for one in row["problems"])


async def test_a_recorder_whose_date_no_skew_explains_is_inconclusive(world: World) -> None:
    """Dated ten seconds before it was fired by a clock that is known to be right. (P45)"""
    recording(world, after=-10.0)
    world.alerting.condition = Health(True, "as if", "0.35.0", (-12.0, -3.0))  # within: 3 to 12 s behind
    within = await world.tested()
    other = World(world.folder)
    recording(other, after=-1.0)
    other.alerting.condition = Health(True, "as if", "0.35.0", (-0.5, 0.5))
    beyond = await other.tested()

    assert verdicts(within)[DELIVERED] == "passed"
    assert "flagged: sent is dated" in actual(within, DELIVERED)
    assert verdicts(beyond)[DELIVERED] == "inconclusive"
    assert "sent is dated 0.999 s before fired" in actual(beyond, DELIVERED)


# --- dates out of order ----------------------------------------------------------------------------------------------


def chat_world(folder: Path, behind: float, skew: tuple[float, float] | None) -> World:
    """A chat server whose clock is ``behind`` ours, of which the Date header lets us know ``skew``."""
    world = World(folder, [({"severity": "critical"}, ("slack-release",))])
    world.chat.condition = Health(True, "as if", "1.0", skew)
    find = world.chat.find

    async def dated(channel: str, token: str, since: float) -> Any:
        found = await find(channel, token, since - 600)
        return tuple(replace(one, at=one.at - behind) for one in found)

    world.chat.find = dated  # type: ignore[method-assign]
    return world


async def test_a_date_before_its_cause_within_the_skew_is_flagged(tmp_path: Path) -> None:
    """It passes; the criterion, the data and the table name the hop, the seconds and the skew. (P45, P47)"""
    result = await chat_world(tmp_path, 3.0, (-4.0, -2.5)).tested()

    found = "alert_paths.delivered:slack-release"
    assert verdicts(result)[found] == "passed"
    said = actual(result, found)
    assert "flagged: delivered is dated 2.499 s before fired by chat" in said
    assert "-4.0 to -2.5 s against ours: within that" in said
    (flag,) = result.data["receivers"][0]["out_of_order"]
    assert (flag["hop"], flag["name"], flag["within_skew"]) == ("t4", "delivered", True)
    assert "2.499 s before fired" in markdown(result)
    assert "Clocks against ours" in markdown(result)


async def test_a_date_before_its_cause_beyond_the_skew_is_inconclusive(tmp_path: Path) -> None:
    """What no skew explains proves nothing, although our own looks saw it arrive. (P45)"""
    result = await chat_world(tmp_path, 8.0, (-1.0, 1.0)).tested()

    assert verdicts(result)["alert_paths.delivered:slack-release"] == "inconclusive"
    assert verdicts(result)["alert_paths.ack:slack-release"] == "inconclusive"
    said = actual(result, "alert_paths.delivered:slack-release")
    assert "7.499 s before fired" in said
    assert "more than that explains" in said
    (flag,) = result.data["receivers"][0]["out_of_order"]
    assert flag["within_skew"] is False


async def test_an_acknowledgement_dated_before_what_it_acknowledges_is_inconclusive(world: World) -> None:
    """The same clock dated both: no skew comes between them. (P46)"""
    world.alerting.routes = [*world.alerting.routes[:1], ({"severity": "critical"}, ("hook",))]
    receipts = world.webhook.receipts

    async def backwards(token: str, since: float) -> Any:
        return tuple(
            replace(one, acknowledged_at=one.at - 2.0) if one.acknowledged_at else one
            for one in await receipts(token, since)
        )

    world.webhook.receipts = backwards  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)["alert_paths.delivered:hook"] == "passed"
    assert verdicts(result)["alert_paths.ack:hook"] == "inconclusive"
    assert "before delivered by webhook, both by its own clock" in actual(result, "alert_paths.ack:hook")


async def test_dates_in_order_flag_nothing(world: World) -> None:
    """The usual case has no such row."""
    result = await world.tested()

    assert result.data["receivers"][0]["out_of_order"] == []
    assert "Out of order" not in markdown(result)


# --- across receivers ------------------------------------------------------------------------------------------------


async def test_percentiles_and_the_slowest_hop_stand_in_data_and_table(tmp_path: Path) -> None:
    """p50 and p95 over the receivers, and the hop that took longest with its receiver. (P47)"""
    world = World(tmp_path, [({"severity": "critical"}, ("pd-checkout", "slack-release"))])
    world.chat.acknowledges_after = 5.0
    result = await world.tested()

    percentiles, slowest = result.data["percentiles"], result.data["slowest_hop"]
    assert percentiles["acknowledged"]["n"] == 2
    assert percentiles["delivered"]["p50"] <= percentiles["acknowledged"]["p50"] <= percentiles["acknowledged"]["p95"]
    assert (slowest["receiver"], slowest["hop"]) == ("slack-release", "t6")
    text = markdown(result)
    row = next(line for line in text.splitlines() if line.startswith("| acknowledged"))
    assert f"{percentiles['acknowledged']['p95']:.1f} s" in row
    assert "Slowest hop: t6 (acknowledged) at slack-release" in text


# --- the dead man's switch -------------------------------------------------------------------------------------------

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("ping", "skew", "verdict", "said"),
    [
        (Ping("c", "up", NOW - 30, 900.0), (0.0, 0.0), "passed", "30 s ago, and is missed after 900 s"),
        (Ping("c", "grace", NOW - 90, None), (0.0, 0.0), "passed", "grace"),
        (Ping("c", "up", NOW - 30, None), None, "passed", "30 s ago"),
        (Ping("c", "up", NOW - 101, None), (0.0, 0.0), "failed", "at most 100 s"),
        (Ping("c", "up", NOW - 100.5, None), (-1.0, 1.0), "inconclusive", "clock"),
        (Ping("c", "down", NOW - 30, None), (0.0, 0.0), "failed", "is down"),
        (Ping("c", "paused", NOW - 1, None), (0.0, 0.0), "failed", "paused"),
        (Ping("c", "new", None, None), (0.0, 0.0), "failed", "never pinged"),
        (Ping("c", "up", None, None), (0.0, 0.0), "failed", "never pinged"),
        (Ping("c", "unknown", NOW - 1, None), (0.0, 0.0), "inconclusive", "not known"),
        (Ping("c", "up", NOW + 20, None), (-1.0, 1.0), "inconclusive", "from now"),
        (Ping("c", "up", NOW + 20, None), (19.0, 21.0), "passed", "ago"),
        (Ping("c", "up", NOW + 60, None), (59.0, 61.0), "inconclusive", "too far off"),
    ],
)
def test_a_monitor_is_alive_where_it_was_pinged_and_would_miss_it(
    ping: Ping, skew: tuple[float, float] | None, verdict: str, said: str
) -> None:
    """Pinged recently by its own clock, against ours, and armed; anything else is named. (P41, P45)"""
    found, words = judge_ping(ping, 100.0, NOW, skew)

    assert found.value == verdict
    assert said in words


def by_monitor(world: World, **fields: Any) -> World:
    """The watchdog's receiver cannot be asked; a heartbeat monitor behind it can."""
    world.webhook.received.clear()
    ping = Ping("watchdog", "up", world.clock.at - 30, 900.0)
    world.heartbeat = InMemoryHeartbeat(ping=replace(ping, **fields))  # type: ignore[attr-defined]
    return world


@pytest.mark.parametrize(("webhook", "named"), [(True, ""), (False, ""), (False, "watchdog")])
async def test_pings_without_a_payload_prove_the_dead_mans_switch(world: World, webhook: bool, named: str) -> None:
    """No receipt carries the alert's name: the monitor saw its ping, which counts. (P41)"""
    by_monitor(world)
    world.settings["heartbeat_receiver"] = named
    sink = world.webhook if webhook else None
    ports = world.ports(heartbeat=world.heartbeat, webhook=sink)  # type: ignore[attr-defined]
    result = await world.tested(ports=ports)

    assert verdicts(result)[WATCH] == "passed"
    assert "watchdog (heartbeat) is up: it was pinged" in actual(result, WATCH)
    assert result.data["watchdog"]["last_seen"]


@pytest.mark.parametrize(
    ("fields", "verdict"), [({"status": "paused"}, "failed"), ({"status": "new", "at": None}, "failed")]
)
async def test_a_monitor_that_is_not_armed_fails(world: World, fields: Any, verdict: str) -> None:
    """Named, and the gate blocks. (P45)"""
    by_monitor(world, **fields)
    ports = world.ports(heartbeat=world.heartbeat, webhook=None)  # type: ignore[attr-defined]
    result = await world.tested(ports=ports)

    assert verdicts(result)[WATCH] == verdict


async def test_a_monitor_of_another_receiver_proves_nothing(world: World) -> None:
    """The alert does not go to the receiver that it stands behind."""
    by_monitor(world)
    world.settings["heartbeat_receiver"] = "somebody-else"
    ports = world.ports(heartbeat=world.heartbeat, webhook=None)  # type: ignore[attr-defined]
    result = await world.tested(ports=ports)

    assert verdicts(result)[WATCH] == "inconclusive"


async def test_a_monitor_that_does_not_answer_is_an_error(world: World) -> None:
    """Could not check is never a pass; where the sink has it, the sink decides. (P45)"""
    by_monitor(world)
    world.heartbeat.trouble = BackendUnreachable("heartbeat", "refused")  # type: ignore[attr-defined]
    alone = await world.tested(ports=world.ports(heartbeat=world.heartbeat, webhook=None))  # type: ignore[attr-defined]
    other = World(world.folder)
    both = await other.tested(ports=other.ports(heartbeat=world.heartbeat))  # type: ignore[attr-defined]

    assert verdicts(alone)[WATCH] == "error"
    assert "refused" in actual(alone, WATCH)
    assert verdicts(both)[WATCH] == "passed"


# --- pushed series ---------------------------------------------------------------------------------------------------

METRIC = "ray_tui_probe_until"
RULE = "alert_paths.rule:pd-checkout"
ANNOTATIONS = {"summary": "[TEST] ({{ $labels.ray_tui_probe }})"}


def permanent(query: str = "max without (instance, job) (ray_tui_probe_until) > time()", **fields: Any) -> LoadedRule:
    given = {"annotations": ANNOTATIONS, "health": "ok", **fields}
    return LoadedRule("g", "f", "RayTuiPushedProbe", query, "alerting", **given)


@pytest.mark.parametrize(
    "query",
    [
        f"{METRIC} > time()", f"{METRIC}>time()", f"max without (job, instance) ({METRIC}) > time()",
        f"max({METRIC}) without (job) > time()", f"max  without(job)\n({METRIC}) > time()",
    ],
)  # fmt: skip
def test_a_permanent_rule_is_known_by_what_it_says(query: str) -> None:
    """However its server writes it."""
    assert isinstance(probe_pushed.permanent([WATCHDOG, permanent(query)], METRIC), probe_pushed.Permanent)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "no loaded alerting rule"),
        ([permanent("ray_tui_probe_until_other > time()")], "no loaded alerting rule"),
        ([permanent(), permanent(f"{METRIC} > time()")], "each would page"),
        ([permanent(f"{METRIC} > 0")], "must compare"),
        ([permanent(f"{METRIC} > time() - 60")], "must compare"),
        ([permanent(f"sum({METRIC}) > time()")], "must compare"),
        ([permanent(for_seconds=60.0)], "`for`"),
        ([permanent(health="unknown")], "not well"),
        ([permanent(health="err", last_error="many-to-many")], "many-to-many"),
        ([permanent(labels={"severity": "{{ $labels.x }}"})], "template"),
        ([permanent(f"max without (ray_tui_probe) ({METRIC}) > time()")], "hides"),
        ([permanent(annotations={"summary": "a test"})], "token"),
    ],
)
def test_a_rule_that_does_not_end_by_itself_or_cannot_be_timed_is_not_used(rules: list[LoadedRule], said: str) -> None:
    """What is wrong is named, and nothing would be pushed. (P45)"""
    found = probe_pushed.permanent(rules, METRIC)

    assert isinstance(found, str)
    assert said in found


def test_the_rule_that_we_print_is_the_one_that_we_look_for() -> None:
    """Loaded as it is printed, it is found well."""
    import yaml

    (rule,) = yaml.safe_load(probe_pushed.rule_text(METRIC))["groups"][0]["rules"]
    loaded = LoadedRule("g", "f", rule["alert"], rule["expr"], "alerting", annotations=rule["annotations"], health="ok")
    found = probe_pushed.permanent([loaded], METRIC)

    assert isinstance(found, probe_pushed.Permanent)
    assert found.dropped == probe_pushed.DROPPED


class PushWorld(World):
    """A world in which a metrics store scrapes the Pushgateway at once, and its permanent rule does the rest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings |= {"rule_probe_receiver": "pd-checkout", "push_seconds": 5}
        self.pusher = InMemoryPusher(scraped=self.scrape)
        self.metrics.loaded = (*self.metrics.loaded, permanent())
        self.metrics.condition = Health(True, "as if", "1.0", (0.0, 0.0))
        self.always = self.metrics.firing
        self.since: dict[str, float] = {}
        self.unscraped = False

    def scrape(self) -> None:
        found = []
        for metric, labels, until in self.pusher.groups.values():
            if metric == METRIC and until > self.clock.at and not self.unscraped:
                kept = {name: value for name, value in labels.items() if name not in probe_pushed.DROPPED}
                alert = {**kept, "alertname": "RayTuiPushedProbe"}
                since = self.since.setdefault(labels["ray_tui_probe"], self.clock.at)
                found.append(ActiveAlert(alert, {}, "firing", since, until))
                text = {"summary": f"[TEST] please acknowledge ({labels['ray_tui_probe']})"}
                self.alerting._take(AlertToFire(alert, text, since, until), self.clock.at)
        self.metrics.firing = (*self.always, *found)
        self.metrics.answer(
            "ALERTS_FOR_STATE",
            [Sample({**one.labels}, self.clock.at, float(int(one.active_at))) for one in found],
        )

    def ports(self, **instead: Any) -> Any:
        return super().ports(**{"pusher": self.pusher, "rules": None, **instead})


async def test_a_pushed_series_is_on_record_first_and_taken_back(tmp_path: Path) -> None:
    """Intended before it is pushed, timed by ALERTS_FOR_STATE, deleted, read back. (P40 P43)"""
    world = PushWorld(tmp_path)
    context = world.context()
    on_record: list[bool] = []
    push = world.pusher.push

    async def watching(group: Any, *more: Any) -> None:
        on_record.append(group["ray_tui_probe"] in context.state.probes)
        await push(group, *more)

    world.pusher.push = watching  # type: ignore[method-assign]
    result = await alert_paths.run(context)

    assert verdicts(result)[RULE] == "passed", actual(result, RULE)
    assert verdicts(result)["alert_paths.clean"] == "passed"
    assert on_record == [True]
    assert [verb for verb, _ in world.pusher.done] == ["push", "delete"]
    assert world.pusher.groups == {}
    assert "ALERTS_FOR_STATE" in result.data["rule_probes"][0]["hops"]["t0"]["source"]


async def test_what_is_pushed_ends_by_itself(tmp_path: Path) -> None:
    """The value is the unix time of the probe's end, not far off; the labels are those of its route. (P40)"""
    world = PushWorld(tmp_path)
    seen: list[tuple[str, dict[str, str], float]] = []
    push = world.pusher.push

    async def watching(group: Any, metric: str, labels: Any, value: float) -> None:
        seen.append((metric, dict(labels), value - world.clock.at))
        await push(group, metric, labels, value)

    world.pusher.push = watching  # type: ignore[method-assign]
    await world.tested()

    ((metric, labels, lives),) = seen
    assert metric == METRIC
    assert labels["severity"] == "critical"
    assert "alertname" not in labels
    assert 0 < lives < 180


async def test_without_the_permanent_rule_nothing_is_pushed(tmp_path: Path) -> None:
    """Inconclusive, with the rule's text as the remedy. (P45)"""
    world = PushWorld(tmp_path)
    world.metrics.loaded = world.metrics.loaded[:-1]
    result = await world.tested()

    rule = next(one for one in result.criteria if one.id == RULE)
    assert rule.verdict is Verdict.INCONCLUSIVE
    assert probe_pushed.rule_text(METRIC) in rule.remedy
    assert world.pusher.done == []


async def test_a_rule_that_leads_elsewhere_pushes_nothing(tmp_path: Path) -> None:
    """The permanent rule sets a severity that is routed to nobody. (P45)"""
    world = PushWorld(tmp_path)
    world.metrics.loaded = (*world.metrics.loaded[:-1], permanent(labels={"severity": "info"}))
    result = await world.tested()

    assert verdicts(result)[RULE] == "inconclusive"
    assert "does not reach it" in actual(result, RULE)
    assert world.pusher.done == []


async def test_a_push_that_does_not_fire_is_named_and_taken_back(tmp_path: Path) -> None:
    """Nobody scrapes the gateway: it stopped at t0. (P45)"""
    world = PushWorld(tmp_path)
    world.unscraped = True
    result = await world.tested()

    assert verdicts(result)[RULE] == "failed"
    assert "does the metrics store scrape" in actual(result, RULE)
    assert world.pusher.groups == {}


async def test_a_push_that_is_refused_is_an_error(tmp_path: Path) -> None:
    """The gateway does not answer: nothing was fired by it, and the injected probes count. (P45)"""
    world = PushWorld(tmp_path)
    world.pusher.trouble = BackendUnreachable("pusher", "connection refused")
    result = await world.tested()

    assert verdicts(result)[RULE] == "error"
    assert verdicts(result)[ACK] == "passed"


async def test_a_group_that_cannot_be_deleted_is_left_and_listed(tmp_path: Path) -> None:
    """Answered well, and still there: not clean, with what is left. (P43)"""
    world = PushWorld(tmp_path)
    world.pusher.keeps = True
    result = await world.tested()

    assert verdicts(result)["alert_paths.clean"] == "failed"
    assert result.data["rule_probes"][0]["left"]


async def test_nothing_is_resolved_while_the_rule_still_fires(tmp_path: Path) -> None:
    """A resolve before the next scrape would be undone, and page again: it waits, also without an alerts API. (P43)"""
    world = PushWorld(tmp_path)
    scrape, resolved_at = world.pusher.scraped, []
    stops: list[float] = []

    def later() -> None:
        if world.pusher.groups:
            scrape()
        elif not stops:
            stops.append(world.clock.at + 3.0)

    async def still(expr: str, at: float | None = None) -> Any:
        if stops and world.clock.at >= stops[0]:
            scrape()
        return await query(expr, at)

    async def no_api() -> Any:
        raise NotSupported("metrics", "this server has no /api/v1/alerts")

    query, fire = world.metrics.query, world.alerting.fire

    async def watching(alert: AlertToFire) -> Any:
        if alert.labels["alertname"] == "RayTuiPushedProbe":
            resolved_at.append(world.clock.at)
        return await fire(alert)

    world.pusher.scraped = later
    world.metrics.query = still  # type: ignore[method-assign]
    world.metrics.alerts = no_api  # type: ignore[method-assign]
    world.alerting.fire = watching  # type: ignore[method-assign]
    result = await world.tested()

    assert verdicts(result)[RULE] == "passed", actual(result, RULE)
    assert resolved_at
    assert resolved_at[0] >= stops[0]
    assert world.paging.received[-1].alert.labels["alertname"] == "RayTuiPushedProbe"
    assert len([one for one in world.paging.received if "RayTuiPushedProbe" in one.text]) == 1


async def test_an_abort_takes_the_push_back(tmp_path: Path) -> None:
    """Cancelled while it fires: the group is gone when the action has ended. (P43)"""
    world = PushWorld(tmp_path)
    context = world.context()
    push = world.pusher.push

    async def then_abort(*given: Any) -> None:
        await push(*given)
        task.cancel()

    world.pusher.push = then_abort  # type: ignore[method-assign]
    task = asyncio.create_task(alert_paths.run(context))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert world.pusher.groups == {}
    assert [one.id for one in context.of_kind(f.ProbeCleared) if one.id.endswith("rule")]


async def test_a_host_that_died_after_the_push_leaves_it_to_the_next(tmp_path: Path) -> None:
    """Resumed with the intent on disk: deleted, read back, never pushed again, and said to be unproved. (P40)"""
    world = PushWorld(tmp_path)
    first = world.context()
    await alert_paths.run(first)
    journal = [one for one in first.recorded if not isinstance(one, f.RunOpened | f.StepStarted)]
    rule = next(one for one in first.of_kind(f.ProbeIntended) if one.how == "rule")
    later = (f.ProbeHopSeen, f.ProbeProblem, f.ProbeCleared)
    journal = [one for one in journal if not (isinstance(one, later) and one.id == rule.id)]
    group = {"job": probe_pushed.JOB, "ray_tui_probe": rule.labels["ray_tui_probe"]}
    await world.pusher.push(group, METRIC, {"severity": "critical"}, world.clock.at + 60)
    world.pusher.done.clear()

    resumed = world.context(resumed=True, facts=journal)
    result = await alert_paths.run(resumed)

    assert world.pusher.groups == {}
    assert [verb for verb, _ in world.pusher.done] == ["delete"]
    assert verdicts(result)[RULE] == "inconclusive"


async def test_sources_that_disagree_about_the_firing_are_inconclusive(tmp_path: Path) -> None:
    """activeAt and ALERTS_FOR_STATE twenty seconds apart: everything arrived, and nothing is timed. (P45)"""
    world = PushWorld(tmp_path)
    scrape = world.pusher.scraped

    def bent() -> None:
        scrape()
        stated = [Sample(one.labels, 0.0, one.active_at + 20) for one in world.metrics.firing[1:]]
        world.metrics.answer("ALERTS_FOR_STATE", stated)

    world.pusher.scraped = bent
    result = await world.tested()

    assert verdicts(result)[RULE] == "inconclusive"
    assert "apart" in actual(result, RULE)


async def test_a_metrics_store_with_another_time_proves_nothing_about_its_rules(tmp_path: Path) -> None:
    """Its clock is a minute off: the rule's probe is inconclusive, the injected ones are not concerned. (P45)"""
    world = PushWorld(tmp_path)
    world.metrics.condition = Health(True, "as if", "1.0", (59.0, 61.0))
    result = await world.tested()

    assert verdicts(result)[RULE] == "inconclusive"
    assert "clock" in actual(result, RULE)
    assert verdicts(result)[ACK] == "passed"


async def test_a_recorder_with_another_time_is_bounded_by_our_looks(world: World) -> None:
    """A minute off: its date is not used, that it has the event is."""
    recording(world, after=-60.0)
    world.alerting.condition = Health(True, "as if", "0.35.0", (-62.0, -59.0))
    result = await world.tested()

    sent = result.data["receivers"][0]["hops"]["t3"]
    assert sent["source"] == "event recorder: poll"
    assert result.data["receivers"][0]["out_of_order"] == []


def test_labels_that_a_series_cannot_carry_are_named() -> None:
    """The scrape's own labels, and names beyond the classic ones."""
    assert "job" in probe_pushed.unpushable({"job": "api"})
    assert "team.name" in probe_pushed.unpushable({"team.name": "x"})
    assert probe_pushed.unpushable({"severity": "critical", "service": "checkout"}) == ""


def test_the_documented_rule_is_the_one_that_we_look_for() -> None:
    """docs/backends.md shows what the remedy prints."""
    documented = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")

    assert probe_pushed.rule_text(METRIC) in documented
