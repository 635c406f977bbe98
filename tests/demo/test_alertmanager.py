"""The demo's Alertmanager against the contract, captured notifications and the real amtool; and a page's whole path."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ray_tui.clock import Clock, iso
from ray_tui.demo import alertmanager_messages as messages
from ray_tui.demo import pagerduty_shapes
from ray_tui.demo.alertmanager import DemoAlertmanager, demo_config, form_cluster
from ray_tui.demo.alertmanager_alerts import Alert, fingerprint, read_alert
from ray_tui.demo.alertmanager_config import (
    BadConfig,
    BadRequest,
    build_route,
    duration_seconds,
    in_interval,
    load_config,
    parse_matchers,
)
from ray_tui.demo.mail import DemoMail
from ray_tui.demo.pagerduty import DemoPagerDuty
from ray_tui.demo.people import People
from ray_tui.demo.scenario import Assets, Scenario
from ray_tui.demo.scenario import People as BentPeople
from ray_tui.demo.serving import serving
from ray_tui.demo.slack import WEBHOOK_PATH, DemoSlack
from ray_tui.demo.webhook_sink import DemoWebhookSink

WIRE = Path(__file__).parents[1] / "wire" / "alertmanager"
FAST = {"group_by": ["alertname", "probe"], "group_wait": "20ms", "group_interval": "60ms", "repeat_interval": "1h"}


def captured(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((WIRE / "captured-0.25" / name).read_text())["body"]
    return body


async def until(holds: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.01)
    assert found, what
    return found


def scenario(**bent: Any) -> Scenario:
    return Scenario(name="test", title="test", people=BentPeople(ack_after_seconds=0.05), **bent)


def alert(probe: str = "t-1", *, ends_in: float = 300.0, **labels: str) -> dict[str, Any]:
    now = Clock().wall()
    return {
        "labels": {"alertname": "Probe", "probe": probe, "severity": "critical", **labels},
        "annotations": {"summary": f"[TEST] please acknowledge {probe}"},
        "startsAt": iso(now),
        "endsAt": iso(now + ends_in),
        "generatorURL": "http://console.example/run",
    }


def webhook_config(url: str, *, route: Mapping[str, Any] | None = None, **more: Any) -> str:
    receivers = [{"name": "hook", "webhook_configs": [{"url": url}]}, {"name": "nobody"}]
    return yaml.safe_dump({"route": {"receiver": "hook", **FAST, **(route or {})}, "receivers": receivers, **more})


@dataclass
class Hooked:
    """A running Alertmanager whose only receiver is a webhook sink."""

    am: DemoAlertmanager
    http: httpx.AsyncClient
    sink: DemoWebhookSink

    async def post(self, *alerts: Mapping[str, Any]) -> httpx.Response:
        return await self.http.post("/api/v2/alerts", json=alerts)

    def statuses(self) -> list[str]:
        return [each.status for each in self.sink.received]


@asynccontextmanager
async def hooked(route: Mapping[str, Any] | None = None, **more: Any) -> AsyncIterator[Hooked]:
    sink = DemoWebhookSink(People(60.0), Clock())
    async with serving(sink.app) as sink_url:
        am = DemoAlertmanager(webhook_config(f"{sink_url}/hook/x", route=route, **more), Clock())
        async with serving(am.app) as url, httpx.AsyncClient(base_url=url) as http:
            try:
                yield Hooked(am, http, sink)
            finally:
                await am.stop()
                await sink.stop()


# --- decisions


def test_durations_are_prometheus_ones() -> None:
    """Units add up; anything else is refused."""
    assert duration_seconds("1h30m") == 5_400
    assert duration_seconds("200ms") == 0.2
    for wrong in ("", "5", "1.5s", "s5", "-1s"):
        with pytest.raises(BadConfig):
            duration_seconds(wrong)


def test_matchers_are_anchored_and_see_missing_labels_as_empty() -> None:
    """The four operators."""
    (is_not, like, unlike, equal) = parse_matchers('{a!="",b=~"x|y",c!~"z.*",d=""}')
    assert [is_not.matches({}), is_not.matches({"a": "1"})] == [False, True]
    assert [like.matches({"b": "y"}), like.matches({"b": "xy"})] == [True, False]
    assert [unlike.matches({"c": "zoo"}), unlike.matches({})] == [False, True]
    assert equal.matches({})
    for wrong in ("a", "=b", 'a="b', 'a=~"["', '{a="b"c}'):
        with pytest.raises(BadRequest):
            parse_matchers(wrong)


def test_routes_are_those_of_the_real_one() -> None:
    """Alertmanager's own routing table: receiver, grouping and route key for each label set."""
    table = json.loads((WIRE / "routing" / "TestRouteMatch.json").read_text())
    root = build_route(yaml.safe_load(table["route_yaml"]))
    assert table["cases"]
    for case in table["cases"]:
        got = [(each.receiver, each.key, each.group_by_all) for each in root.match(case["labels"])]
        assert got == [(each["receiver"], each["key"], each["group_by_all"]) for each in case["routes"]]


def test_bad_configurations_are_refused() -> None:
    """What the real one refuses to load for its routes and receivers, the demo refuses too."""
    files = sorted((WIRE / "inline-invalid").glob("*.yml"))
    assert files
    for file in files:
        with pytest.raises(BadConfig):
            load_config(file.read_text())


def test_fingerprints_are_those_of_the_real_one() -> None:
    """FNV-1a over the sorted labels gives what a real Alertmanager sent."""
    for name in ("webhook_firing.json", "webhook_resolved.json"):
        (sent,) = captured(name)["alerts"]
        assert fingerprint(sent["labels"]) == sent["fingerprint"]


def test_time_intervals() -> None:
    """Times are half open; weekdays, months and days of the month include both ends; negative days count back."""
    at = 1_795_373_700.0  # Sunday 2026-11-22 18:55 UTC
    for part, expected in (
        ({"times": [{"start_time": "18:55", "end_time": "19:00"}]}, True),
        ({"times": [{"start_time": "18:00", "end_time": "18:55"}]}, False),
        ({"weekdays": ["monday:friday"]}, False),
        ({"weekdays": ["saturday:sunday"]}, True),
        ({"months": ["october:december"], "days_of_month": ["-9"]}, True),
        ({"days_of_month": ["1:5", "-3:-1"]}, False),
        ({"years": ["2026:2027"]}, True),
        ({"location": "Asia/Tokyo", "weekdays": ["monday"]}, True),
    ):
        assert in_interval([part], at) is expected, part


# --- what it sends


async def test_notifications_have_the_captured_shapes() -> None:
    """PagerDuty, Slack and webhook bodies equal what a real Alertmanager sent for the same alert, times apart."""
    hook, pager, chat = (
        captured("webhook_firing.json"),
        captured("pagerduty_firing.json"),
        captured("slack_firing.json"),
    )

    def news(receiver: str, channel: str, run_id: str, severity: str) -> messages.Notification:
        labels = {
            "alertname": "SyntheticProbe",
            "channel": channel,
            "run_id": run_id,
            "severity": severity,
            "synthetic": "true",
        }
        notes = {"runbook_url": "http://wiki/rb", "summary": f"synthetic {run_id}"}
        one = Alert(labels, notes, 1.795373726252e9, 2e9, 0.0, f"http://console/run/{run_id}")
        group = {name: labels[name] for name in ("alertname", "run_id")}
        key = f'{{}}/{{channel="{channel}"}}:{{alertname="SyntheticProbe", run_id="{run_id}"}}'
        return messages.Notification(receiver, key, group, ((one, False),), "http://vm:19093")

    def timeless(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "alerts": [{**each, "startsAt": ""} for each in body["alerts"]]}

    assert timeless(messages.webhook_body(news("hook", "gw1", "r-0ae8f50b", "info"))) == timeless(hook)
    settings = {"routing_key": "0123456789abcdef0123456789abcdef", "severity": "critical"}
    made = messages.pagerduty_body(news("pd", "pagerduty", "pagerduty-a6da44", "critical"), settings)
    assert made == {**pager, "dedup_key": made["dedup_key"]}
    assert len(made["dedup_key"]) == len(pager["dedup_key"]) == 64
    text = {"channel": "#itest", "text": "{{ .CommonAnnotations.summary }}"}
    assert messages.slack_body(news("slack", "slack", "slack-441075", "critical"), text) == chat
    mail = messages.mail_message(
        news("mail", "email", "email-a914d9", "critical"), {"to": "oncall@itest.local", "from": "am@itest.local"}, 1e9
    )
    assert mail["Subject"] == "[FIRING:1] SyntheticProbe email-a914d9 (email critical true)"
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/html"]
    assert "runbook_url = http://wiki/rb" in str(list(mail.walk())[1].get_content())


# --- the API


async def test_a_mixed_batch_stores_the_valid_and_answers_400() -> None:
    """A valid batch is 200 with an empty body; a bad alert is a JSON string, and the good one next to it is kept."""
    async with hooked() as here:
        good = await here.post(alert("good"))
        assert (good.status_code, good.content) == (200, b"")
        mixed = await here.post({"labels": {"bad-name": "x"}}, alert("also"), {"labels": {"empty": ""}})
        assert mixed.status_code == 400
        assert isinstance(mixed.json(), str)
        listed = (await here.http.get("/api/v2/alerts")).json()
    assert {each["labels"]["probe"] for each in listed} == {"good", "also"}
    assert {each["status"]["state"] for each in listed} == {"active"}
    assert listed[0]["receivers"] == [{"name": "hook"}]


async def test_validation_errors_are_objects() -> None:
    """Bad JSON is 400; a missing field 422 with a code; a wrong uuid 422; each an object."""
    async with hooked() as here:
        post = here.http.post
        answers = [
            await post("/api/v2/alerts", content=b"{"),
            await here.post({"annotations": {}}),
            await post("/api/v2/silences", json={"comment": "x"}),
            await here.http.get("/api/v2/silence/not-a-uuid"),
            await here.http.get("/api/v2/alerts", params={"active": "perhaps"}),
        ]
        assert [(each.status_code, each.json()["code"]) for each in answers] == [
            (400, 400),
            (422, 602),
            (422, 602),
            (422, 601),
            (422, 601),
        ]
        for bad in ({"filter": "probe"}, {"receiver": "("}):
            refused = await here.http.get("/api/v2/alerts", params=bad)
            assert refused.status_code == 400
            assert isinstance(refused.json(), str)


async def test_alerts_are_filtered_by_matchers_receiver_and_state() -> None:
    """Filters narrow; the receiver is an anchored regular expression; groups show the same alerts."""
    async with hooked() as here:
        await here.post(alert("a", service="cart"), alert("b", service="auth"))

        async def probes(**params: Any) -> list[str]:
            found = (await here.http.get("/api/v2/alerts", params=params)).json()
            return sorted(each["labels"]["probe"] for each in found)

        assert await probes(filter=['service="cart"', "probe=~a|b"]) == ["a"]
        assert await probes(filter='service!~"c.*"') == ["b"]
        assert await probes(receiver="ho.k") == ["a", "b"]
        assert await probes(receiver="hoo") == []
        assert await probes(active="false") == []
        groups = (await here.http.get("/api/v2/alerts/groups", params={"receiver": "hook"})).json()
        assert [(each["labels"]["probe"], len(each["alerts"])) for each in groups] == [("a", 1), ("b", 1)]
        assert (await here.http.get("/api/v2/receivers")).json() == [{"name": "hook"}, {"name": "nobody"}]


async def test_an_alert_fires_once_and_resolves_once() -> None:
    """Three posts of one alert are one notification; its end is another; then it is gone from the list."""
    async with hooked() as here:
        for _ in range(3):
            await here.post(alert())
        await until(lambda: here.statuses() == ["firing"], "fired")
        await here.post(alert(ends_in=0.0))
        await until(lambda: here.statuses() == ["firing", "resolved"], "resolved")
        assert (await here.http.get("/api/v2/alerts")).json() == []
        await until(lambda: not here.am.groups, "the group is gone")
        payload = here.sink.received[1].payload
        metrics = (await here.http.get("/metrics")).text
    assert payload["alerts"][0]["status"] == "resolved"
    assert payload["groupKey"] == '{}:{alertname="Probe", probe="t-1"}'
    assert 'alertmanager_notifications_total{integration="webhook"} 2' in metrics
    assert 'alertmanager_notifications_failed_total{integration="webhook"} 0' in metrics


async def test_an_alert_ends_by_itself_at_its_ends_at() -> None:
    """Nobody has to resolve a probe."""
    async with hooked() as here:
        await here.post(alert(ends_in=0.3))
        await until(lambda: here.statuses() == ["firing", "resolved"], "ended")


async def test_a_failing_webhook_is_tried_again_in_the_flush_and_a_refusing_one_is_not() -> None:
    """5xx is retried inside the flush; 400 only at the next interval; failures are counted."""
    answers = [500, 502, 200]
    seen: list[str] = []

    async def flaky(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(scope["path"])
        status = (answers.pop(0) if answers else 200) if scope["path"] == "/flaky" else 400
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(flaky) as url:
        route = {"group_interval": "1h", "routes": [{"matchers": ["probe=bad"], "receiver": "refusing"}]}
        config = yaml.safe_load(webhook_config(f"{url}/flaky", route=route))
        config["receivers"].append({"name": "refusing", "webhook_configs": [{"url": f"{url}/refusing"}]})
        am = DemoAlertmanager(yaml.safe_dump(config), Clock())
        am.take([alert("good"), alert("bad")])
        await until(lambda: am.gossip.log and am.notifications_failed["webhook"], "told and refused")
        await am.stop()
    assert sorted(seen) == ["/flaky"] * 3 + ["/refusing"]
    assert (am.notifications["webhook"], am.notifications_failed["webhook"]) == (2, 1)
    assert (am.requests["webhook"], am.requests_failed["webhook"]) == (4, 3)


async def test_a_silence_keeps_quiet_until_it_is_deleted() -> None:
    """A silenced alert is suppressed, names the silence, and notifies once the silence is expired; it stays listed."""
    now = Clock().wall()
    silence = {
        "matchers": [{"name": "probe", "value": "t-.*", "isRegex": True}],
        "startsAt": iso(now - 60),
        "endsAt": iso(now + 600),
        "createdBy": "mira",
        "comment": "deploying",
    }
    async with hooked() as here:
        silence_id = (await here.http.post("/api/v2/silences", json=silence)).json()["silenceID"]
        await here.post(alert())
        (shown,) = (await here.http.get("/api/v2/alerts")).json()
        assert (shown["status"]["state"], shown["status"]["silencedBy"]) == ("suppressed", [silence_id])
        assert (await here.http.get("/api/v2/alerts", params={"silenced": "false"})).json() == []
        await until(lambda: all(each.flushed for each in here.am.groups.values()), "flushed")
        assert here.statuses() == []

        deleted = await here.http.delete(f"/api/v2/silence/{silence_id}")
        assert (deleted.status_code, deleted.content) == (200, b"")
        await until(lambda: here.statuses() == ["firing"], "fired after the silence")
        assert (await here.http.get(f"/api/v2/silence/{silence_id}")).json()["status"]["state"] == "expired"
        listed = (await here.http.get("/api/v2/silences", params={"expired": "false"})).json()
        assert listed == []


async def test_silences_are_updated_in_place_only_when_they_may_be() -> None:
    """A later end keeps the id; other matchers expire the old and give a new one; unknown ids are 404."""
    now = Clock().wall()
    wire = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": iso(now),
        "endsAt": iso(now + 600),
        "createdBy": "mira",
        "comment": "",
    }
    async with hooked() as here:

        async def put(**change: Any) -> httpx.Response:
            return await here.http.post("/api/v2/silences", json={**wire, **change})

        first = (await put()).json()["silenceID"]
        starts = (await here.http.get(f"/api/v2/silence/{first}")).json()["startsAt"]
        same = (await put(id=first, startsAt=starts, endsAt=iso(now + 900))).json()["silenceID"]
        other_matchers = [{"name": "a", "value": "c", "isRegex": False, "isEqual": False}]
        assert (await put(matchers=[{"name": "a", "value": "", "isRegex": False}])).status_code == 400
        other = (await put(id=first, matchers=[*wire["matchers"], *other_matchers])).json()["silenceID"]
        states = {each["id"]: each["status"]["state"] for each in (await here.http.get("/api/v2/silences")).json()}
        unknown = await put(id="00000000-0000-4000-8000-000000000000")
        past = await put(startsAt=iso(now - 20), endsAt=iso(now - 10))
        gone = await here.http.get("/api/v2/silence/00000000-0000-4000-8000-000000000000")
    assert same == first
    assert other != first
    assert states == {first: "expired", other: "active"}
    assert (unknown.status_code, unknown.json()) == (404, "silence not found")
    assert (past.status_code, past.json()) == (400, "Failed to create silence: end time can't be in the past")
    assert (gone.status_code, gone.content) == (404, b"")


async def test_inhibition_and_mute_intervals_suppress() -> None:
    """A firing source inhibits a target with equal labels; a muted route shows its interval."""
    rules = [{"source_matchers": ["probe=source"], "target_matchers": ["probe=~target.*"], "equal": ["service"]}]
    always = [{"name": "always", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}]
    quiet = {"routes": [{"matchers": ["probe=quiet"], "mute_time_intervals": ["always"]}]}
    async with hooked(quiet, inhibit_rules=rules, time_intervals=always) as here:
        await here.post(
            alert("source", service="cart"),
            alert("target", service="cart"),
            alert("target-elsewhere", service="auth"),
            alert("quiet"),
        )
        await until(lambda: all(each.flushed for each in here.am.groups.values()), "flushed")
        await until(lambda: len(here.sink.received) == 2, "two told")
        shown = {each["labels"]["probe"]: each for each in (await here.http.get("/api/v2/alerts")).json()}
    assert {each.payload["groupLabels"]["probe"] for each in here.sink.received} == {"source", "target-elsewhere"}
    assert shown["target"]["status"]["inhibitedBy"] == [shown["source"]["fingerprint"]]
    assert shown["quiet"]["status"]["mutedBy"] == ["always"]
    assert shown["target-elsewhere"]["status"]["state"] == "active"


async def test_reload_keeps_the_old_configuration_when_the_new_is_bad() -> None:
    """500 and plain text; then a good one takes effect."""
    async with hooked() as here:
        good = here.am.config_yaml
        here.am.config_yaml = "route: {receiver: missing}\nreceivers: []\n"
        refused = await here.http.post("/-/reload")
        assert refused.status_code == 500
        assert "undefined receiver" in refused.text
        assert here.am.config.route.receiver == "hook"
        here.am.config_yaml = good
        assert (await here.http.post("/-/reload")).status_code == 200
        assert (await here.http.get("/-/ready")).text == "OK"


# --- two peers


@dataclass
class Shop:
    """Two clustered peers and everybody whom they tell."""

    peers: tuple[DemoAlertmanager, DemoAlertmanager]
    http: tuple[httpx.AsyncClient, httpx.AsyncClient]
    pagerduty: DemoPagerDuty
    slack: DemoSlack
    mail: DemoMail
    sink: DemoWebhookSink

    async def fire(self, *alerts: Mapping[str, Any]) -> None:
        for http in self.http:
            assert (await http.post("/api/v2/alerts", json=alerts)).status_code == 200


@asynccontextmanager
async def shop(bent: Scenario | None = None) -> AsyncIterator[Shop]:
    bent, clock = bent or scenario(), Clock()
    people = People.of(bent)
    pagerduty, slack = DemoPagerDuty(people, clock, bent), DemoSlack(people, clock)
    mail, sink = DemoMail(people, clock), DemoWebhookSink(people, clock)
    await mail.start()
    async with serving(pagerduty.app) as pager, serving(slack.app) as chat, serving(sink.app) as hooks:
        config = demo_config(
            events_url=f"{pager}/v2/enqueue",
            slack_url=f"{chat}{WEBHOOK_PATH}",
            smarthost=mail.smarthost,
            watchdog_url=f"{hooks}/hook/watchdog",
            scenario=bent,
        )
        addresses = ("127.0.0.1:9094", "127.0.0.1:9095")
        one, two = (DemoAlertmanager(config, clock, name, lambda: addresses) for name in ("am-0", "am-1"))
        form_cluster(one, two)
        async with (
            serving(one.app) as url_one,
            serving(two.app) as url_two,
            httpx.AsyncClient(base_url=url_one) as http_one,
            httpx.AsyncClient(base_url=url_two) as http_two,
        ):
            try:
                yield Shop((one, two), (http_one, http_two), pagerduty, slack, mail, sink)
            finally:
                for each in (one, two, pagerduty, slack, mail, sink):
                    await each.stop()


def probe(service: str, token: str = "t-1", **more: Any) -> dict[str, Any]:
    ends_in = more.pop("ends_in", 300.0)
    return alert(token, ends_in=ends_in, service=service, ray_tui_probe=token, **more)


async def test_the_whole_path_of_a_page() -> None:
    """Alert, notification, incident with our token in its details, a person's acknowledgement, resolution."""
    async with shop() as here:
        await here.fire(probe("checkout"))
        (incident,) = await until(lambda: tuple(here.pagerduty.incidents.values()), "an incident")
        await until(lambda: incident.status == "acknowledged", "acknowledged")
        assert incident.log[-1]["agent"]["id"] == "PMIRA"
        assert (
            "ray_tui_probe = t-1" in pagerduty_shapes.alert_shown(here.pagerduty, incident)["body"]["details"]["firing"]
        )
        assert incident.policy.id == "PPOLCHK"

        await here.fire(probe("checkout", ends_in=0.0))
        await until(lambda: incident.status == "resolved", "resolved")
        assert [each["type"] for each in incident.log].count("acknowledge_log_entry") == 1
        assert len(here.pagerduty.pages_sent) == 1


async def test_many_posts_to_both_peers_are_one_page_each() -> None:
    """Ten alerts, three times to both peers: ten pages, and no more once both peers have told all they had to tell."""
    async with shop() as here:
        tokens = [f"t-{number}" for number in range(10)]
        for _ in range(3):
            await here.fire(*(probe("checkout", token) for token in tokens))
        await until(lambda: len(here.pagerduty.pages_sent) >= 10, "ten pages")
        await here.fire(*(probe("checkout", token, ends_in=0.0) for token in tokens))
        await until(lambda: not any(peer.groups for peer in here.peers), "both peers are done", 10)

        assert len({page.dedup_key for page in here.pagerduty.pages_sent}) == len(here.pagerduty.pages_sent) == 10
        actions = [each["event_action"] for each in here.pagerduty.events]
        assert actions == ["trigger"] * 10 + ["resolve"] * 10
        assert {each.status for each in here.pagerduty.incidents.values()} == {"resolved"}
        assert sum(peer.notifications["pagerduty"] for peer in here.peers) == 20


async def test_it_talks_to_this_machine_only() -> None:
    """A receiver elsewhere is a failed notification and no connection: the demo must never page anybody."""
    config = yaml.safe_load(webhook_config("http://127.0.0.1:1/"))
    config["receivers"][0] = {
        "name": "hook",
        "pagerduty_configs": [{"routing_key": "x" * 32}],
        "webhook_configs": [{"url": "http://192.0.2.1/"}],
        "email_configs": [{"to": "a@b.example", "from": "c@b.example", "smarthost": "192.0.2.1:25"}],
    }
    am = DemoAlertmanager(yaml.safe_dump(config), Clock())
    am.take([alert()])
    await until(lambda: all(am.notifications_failed[kind] for kind in ("pagerduty", "webhook", "email")), "all failed")
    await am.stop()
    assert am.gossip.log == {}


async def test_the_second_peer_notifies_when_the_first_is_down() -> None:
    """A peer that is down breaks connections; the page comes from the other one, once."""
    async with shop() as here:
        here.peers[0].down = True
        with pytest.raises(httpx.RemoteProtocolError):
            await here.http[0].get("/api/v2/status")
        await here.http[1].post("/api/v2/alerts", json=[probe("payments")])
        await until(lambda: here.pagerduty.pages_sent and len(here.mail.mailbox) >= 1, "paged and mailed")
        assert [page.user for page in here.pagerduty.pages_sent] == ["priya"]
        assert here.peers[1].notifications["pagerduty"] == 1


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"service": "checkout"}, {"pd:PSVCCHK"}),
        ({"service": "cart"}, {"pd:PSVCCHK"}),
        ({"service": "payments"}, {"pd:PSVCPAY", "mail"}),
        ({"service": "search"}, {"pd:PSVCPLT"}),
        ({"service": "payments", "channel": "release"}, {"slack"}),
        ({"service": "search", "severity": "warning"}, {"slack"}),
        ({"alertname": "Watchdog", "severity": "none"}, {"hook"}),
    ],
)
async def test_each_alert_reaches_its_receiver(labels: dict[str, str], told: set[str]) -> None:
    """The demo's routing tree, through to the receivers' own books, and everyone who is asked acknowledges."""
    async with shop() as here:
        await here.fire(alert("t-1", ray_tui_probe="t-1", **labels))

        def seen() -> set[str]:
            pages = {f"pd:{each.service.id}" for each in here.pagerduty.incidents.values()}
            messages = {"slack" for each in here.slack.messages["C0RELEASE"] if "reactions" in each}
            mails = {"mail"} if len(here.mail.mailbox) == 2 else set()
            return pages | messages | mails | {"hook" for each in here.sink.received if each.acknowledged_by}

        await until(lambda: seen() == told, f"told {told}")


async def test_a_misrouted_service_reaches_nobody() -> None:
    """The scenario's configuration leaves payments to the default receiver; the others are as before."""
    bent = scenario(assets=Assets(misrouted_services=("payments",)))
    async with shop(bent) as here:
        await here.fire(probe("payments"), probe("search", "t-2"))
        await until(lambda: here.pagerduty.incidents, "the other service's page")
        shown = (await here.http[0].get("/api/v2/alerts", params={"filter": "service=payments"})).json()
        assert shown[0]["receivers"] == [{"name": "nobody"}]
        assert [each.service.id for each in here.pagerduty.incidents.values()] == ["PSVCPLT"]


async def test_the_status_hides_secrets_and_shows_the_cluster() -> None:
    """Routing keys, the Slack URL and webhook URLs are <secret>; two peers are ready."""
    async with shop() as here:
        status = (await here.http[1].get("/api/v2/status")).json()
        assert status["cluster"]["status"] == "ready"
        assert [each["address"] for each in status["cluster"]["peers"]] == ["127.0.0.1:9094", "127.0.0.1:9095"]
        shown = status["config"]["original"]
        assert "rkpsvcchk" not in shown
        assert WEBHOOK_PATH not in shown
        assert shown.count("<secret>") == 5
        assert load_config(shown).route == here.peers[0].config.route
        here.peers[1].settling = True
        assert (await here.http[1].get("/api/v2/status")).json()["cluster"]["status"] == "settling"


# --- against the real one


def binary(name: str) -> str:
    """Where a program is; without it the test is skipped, or fails where it is required."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("RAY_TUI_REQUIRE_REAL") == "1":
            pytest.fail(f"{name} is required (RAY_TUI_REQUIRE_REAL=1) and not on the PATH")
        pytest.skip(f"{name} is not on the PATH")
    return found


@pytest.mark.real
async def test_the_demos_receivers_take_what_a_real_alertmanager_sends(tmp_path: Path) -> None:
    """With the demo's configuration in a real one, page, chat, mail and heartbeat arrive and are acknowledged."""
    program = binary("prometheus-alertmanager")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with shop() as here:
        (tmp_path / "am.yml").write_text(here.peers[0].config_yaml)
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={tmp_path}/am.yml",
            f"--storage.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as real:
                async with asyncio.timeout(10):
                    while True:
                        try:
                            if (await real.get("/-/ready")).is_success:
                                break
                        except httpx.TransportError:
                            await asyncio.sleep(0.05)
                alerts = [
                    probe("payments"),
                    probe("search", "t-2", channel="release"),
                    alert("t-3", alertname="Watchdog", severity="none"),
                ]
                assert (await real.post("/api/v2/alerts", json=alerts)).status_code == 200
                (incident,) = await until(lambda: tuple(here.pagerduty.incidents.values()), "an incident", 10)
                await until(lambda: incident.status == "acknowledged", "acknowledged", 10)
                await until(lambda: len(here.mail.mailbox) == 2, "mailed and answered", 10)
                chat = here.slack.messages["C0RELEASE"]
                await until(lambda: chat and "reactions" in chat[0], "reacted", 10)
                await until(lambda: here.sink.received and here.sink.received[0].acknowledged_by, "heartbeat", 10)
                shown = (await real.get("/api/v2/alerts", params={"filter": "service=payments"})).json()
                ours = DemoAlertmanager(here.peers[0].config_yaml, Clock())
                made = ours.wire(read_alert(alerts[0], Clock().wall(), 300.0), Clock().wall())
                assert set(shown[0]) == set(made)
                assert {**shown[0], "updatedAt": "", "status": ""} == {**made, "updatedAt": "", "status": ""}
                events = here.pagerduty.events
                await real.post("/api/v2/alerts", json=[probe("payments", ends_in=0.0)])
                await until(lambda: incident.status == "resolved", "resolved", 10)
        finally:
            process.terminate()
            await process.wait()
        (page,) = here.pagerduty.pages_sent
        assert (page.user, "ray_tui_probe = t-1" in page.custom_details["firing"]) == ("priya", True)
        assert [each["event_action"] for each in events] == ["trigger", "resolve"]
        mailed, answer = (each.message for each in here.mail.mailbox)
        assert answer["Subject"] == f"Re: {mailed['Subject']}"
        assert answer["In-Reply-To"] == mailed["Message-Id"]


@pytest.mark.real
@pytest.mark.parametrize("misrouted", [(), ("payments",), ("checkout", "search")])
def test_the_real_amtool_accepts_the_demos_configuration(tmp_path: Path, misrouted: tuple[str, ...]) -> None:
    """``amtool check-config`` says SUCCESS, and routes the demo's alerts as the demo does."""
    amtool = binary("amtool")
    config = demo_config(
        events_url="http://127.0.0.1:1/v2/enqueue",
        slack_url=f"http://127.0.0.1:1{WEBHOOK_PATH}",
        smarthost="127.0.0.1:2525",
        watchdog_url="http://127.0.0.1:1/hook/watchdog",
        scenario=scenario(assets=Assets(misrouted_services=misrouted)),
    )
    file = tmp_path / "alertmanager.yml"
    file.write_text(config)
    checked = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout
    route = load_config(config).route
    for labels in (
        {"severity": "critical", "service": "payments"},
        {"severity": "critical", "service": "cart"},
        {"severity": "critical", "service": "search"},
        {"severity": "critical", "service": "search", "channel": "release"},
        {"severity": "warning"},
        {"alertname": "Watchdog"},
        {"severity": "info"},
    ):
        pairs = [f"{name}={value}" for name, value in labels.items()]
        command = [amtool, "config", "routes", "test", f"--config.file={file}", *pairs]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        assert said.split(",") == [each.receiver for each in route.match(labels)]
