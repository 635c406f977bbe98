"""The alerting, webhook, metrics and rule backends against real Alertmanagers and a real Prometheus."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ray_tui import backends
from ray_tui.actions.probe_judging import Channel, Leg, Look, Skew
from ray_tui.actions.probe_sightings import by_webhook
from ray_tui.backends.alertmanager import Alertmanager
from ray_tui.backends.prometheus import Prometheus
from ray_tui.backends.rule_directory import RuleDirectory
from ray_tui.backends.webhook import Sink
from ray_tui.clock import Clock, iso
from ray_tui.core.errors import BackendRefused
from ray_tui.core.ports import AlertSeen, AlertToFire
from ray_tui.demo.people import People
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import serving
from ray_tui.demo.webhook_sink import DemoWebhookSink, Received
from tests.real.systems import Peers, RealPrometheus, free_port, require_binaries

pytestmark = pytest.mark.real

CLOCK = Clock()
SINK_PORT = free_port()
PROBES = 100
RULE = "groups: [{name: probe, interval: 1s, rules: [{alert: RuleProbe, expr: vector(1), labels: {probe: rule}}]}]\n"
OTHER_RULE = RULE.replace("RuleProbe", "OtherProbe")
BAD_RULE = "groups: [{name: probe, rules: [{alert: Broken, expr: 'sum('}]}]\n"


def alertmanager_yaml(receiver: str) -> str:
    """Everything goes to one webhook, in a group of its own."""
    return yaml.safe_dump({
        "route": {"receiver": receiver, "group_by": ["alertname", "probe"], "group_wait": "200ms",
                  "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": receiver, "webhook_configs": [{"url": f"http://127.0.0.1:{SINK_PORT}/hook/{receiver}"}]}],
    })  # fmt: skip


@pytest.fixture
def own_peers(tmp_path: Path) -> Iterator[Peers]:
    """A cluster that a test may break."""
    require_binaries("prometheus-alertmanager")
    with Peers(tmp_path / "alertmanager", alertmanager_yaml("oncall")) as running:
        yield running


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    require_binaries("prometheus-alertmanager")
    with Peers(tmp_path_factory.mktemp("alertmanager"), alertmanager_yaml("oncall")) as running:
        yield running


@pytest.fixture
def server(peers: Peers, tmp_path: Path) -> Iterator[RealPrometheus]:
    """A Prometheus without rules that sends to both peers."""
    require_binaries("prometheus")
    with RealPrometheus(tmp_path / "prometheus", tmp_path / "rules", peers.urls, []) as running:
        yield running


@pytest.fixture
async def sink() -> AsyncIterator[DemoWebhookSink]:
    """What the configuration's webhook meets."""
    receiving = DemoWebhookSink(People.of(Scenario(name="t", title="t")), CLOCK)
    async with serving(receiving.app, SINK_PORT):
        yield receiving
    await receiving.stop()


Opener = Callable[[str, Mapping[str, Any]], Any]


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """Opens the product's backends, and closes them with the test."""
    async with AsyncExitStack() as leaving:

        def one(port: str, settings: Mapping[str, Any]) -> Any:
            model = backends.settings_model(port, settings["kind"]).model_validate(dict(settings))
            backend = backends.open_backend(port, model, backends.Opening(CLOCK, random.random))
            leaving.push_async_callback(backend.close)
            return backend

        yield one


def alerting(opened: Opener, peers: Peers) -> Alertmanager:
    backend: Alertmanager = opened("alerting", {"kind": "alertmanager", "urls": list(peers.urls)})
    return backend


def receipts(opened: Opener) -> Sink:
    backend: Sink = opened("webhook", {"kind": "sink", "url": f"http://127.0.0.1:{SINK_PORT}/received"})
    return backend


def probe(name: str, lives: float = 60.0) -> AlertToFire:
    now = CLOCK.wall()
    return AlertToFire({"alertname": "Probe", "probe": name}, {"summary": f"probe {name}"}, now, now + lives)


def resolved(alert: AlertToFire) -> AlertToFire:
    return AlertToFire(alert.labels, alert.annotations, alert.starts_at, max(alert.starts_at, CLOCK.wall() - 1.0))


async def eventually(question: Callable[[], Awaitable[bool]], what: str, seconds: float = 20.0) -> None:
    deadline = CLOCK.monotonic() + seconds
    while not await question():
        assert CLOCK.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)


def got(sink: DemoWebhookSink, name: str, status: str = "firing") -> list[Received]:
    return [one for one in sink.received if one.status == status and one.payload["commonLabels"].get("probe") == name]


@dataclass
class Followed:
    """A probe, the product's view of it, and what two looks without and with a receipt bound by themselves."""

    alert: AlertToFire
    leg: Leg
    looked: float
    polled: tuple[float, float] | None = None


async def follow(one: Followed, asking: Sink, skew: Skew) -> bool:
    """One look; whether it has arrived."""
    began = CLOCK.wall()
    found = await asking.receipts(one.leg.id, one.alert.starts_at - 5)
    ended = CLOCK.wall()
    look = Look(by_webhook(found, "oncall"), began, ended, one.looked)
    if found and one.polled is None:
        one.polled = (one.looked, ended)
    one.leg.take({"webhook": look}, {"webhook": skew}, {})
    one.looked = began
    return "t4" in one.leg.hops


async def test_the_measured_time_of_a_hundred_deliveries_is_the_time_at_which_the_receiver_got_them(
    peers: Peers, sink: DemoWebhookSink, opened: Opener
) -> None:
    """Fired at both peers, each arrives once, when ray-tui says that it did, and is gone after its resolve. (P41)"""
    alertmanager, asking = alerting(opened, peers), receipts(opened)
    skew = (await asking.health()).clock_skew_seconds
    assert skew is not None

    async def fire(number: int) -> Followed:
        alert = probe(f"delivery-{number:03d}")
        answers = await alertmanager.fire(alert)
        assert [(one.peer, one.ok) for one in answers] == [(url, True) for url in peers.urls]
        leg = Leg(alert.labels["probe"], "oncall", "acknowledge", [Channel("webhook")], alert.starts_at)
        return Followed(alert, leg, alert.starts_at)

    followed = [await fire(number) for number in range(PROBES)]

    async def all_arrived() -> bool:
        return all([await follow(one, asking, skew) for one in followed])

    await eventually(all_arrived, f"{PROBES} probes arrive")
    for one in followed:
        (receipt,) = got(sink, one.leg.id)
        t4 = one.leg.hops["t4"]
        assert t4.source == "webhook: date and poll"
        assert one.alert.starts_at <= t4.earliest <= receipt.at <= t4.latest
        assert one.polled is not None
        assert one.polled[0] <= t4.earliest <= t4.latest <= one.polled[1]
    counted = await alertmanager.notifications()
    assert sum(count for (_, kind), count in counted.items() if kind == "webhook") == PROBES

    for one in followed:
        assert all(answer.ok for answer in await alertmanager.fire(resolved(one.alert)))

    async def all_resolved() -> bool:
        return all(got(sink, one.leg.id, "resolved") for one in followed)

    await eventually(all_resolved, "every resolve arrives")

    async def none_left() -> bool:
        return await alertmanager.find({"alertname": "Probe"}) == ()

    await eventually(none_left, "nothing is firing on any peer")
    assert all(len(got(sink, one.leg.id)) == 1 for one in followed)


async def test_a_silenced_alert_is_seen_as_suppressed_by_a_silence_that_has_a_name(
    peers: Peers, sink: DemoWebhookSink, opened: Opener
) -> None:
    """Every peer shows who silenced it, and the receiver gets nothing."""
    alertmanager, now = alerting(opened, peers), CLOCK.wall()
    silence = {
        "matchers": [{"name": "probe", "value": "quiet", "isRegex": False, "isEqual": True}],
        "startsAt": iso(now), "endsAt": iso(now + 120), "createdBy": "mira", "comment": "maintenance of checkout",
    }  # fmt: skip
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{peers.urls[0]}/api/v2/silences", json=silence)
    silence_id = answer.json()["silenceID"]

    async def gossiped() -> bool:
        return all([(await _one_peer(opened, url).silences()) for url in peers.urls])

    await eventually(gossiped, "both peers know the silence")
    alert = probe("quiet")
    await alertmanager.fire(alert)
    await alertmanager.fire(probe("loud"))
    seen: tuple[AlertSeen, ...] = ()

    async def suppressed() -> bool:
        nonlocal seen
        seen = await alertmanager.find({"probe": "quiet"})
        return len(seen) == 2 and all(one.state == "suppressed" for one in seen)

    await eventually(suppressed, "both peers hold it back")
    assert {one.peer for one in seen} == set(peers.urls)
    assert {one.silenced_by for one in seen} == {(silence_id,)}
    (named,) = await alertmanager.silences()
    assert (named.id, named.created_by, named.comment) == (silence_id, "mira", "maintenance of checkout")
    assert named.matchers == (("probe", "=", "quiet"),)

    async def loud_arrived() -> bool:
        return bool(got(sink, "loud"))

    await eventually(loud_arrived, "the probe that is not silenced arrives")
    assert got(sink, "quiet") == []
    for one in (alert, probe("loud")):
        await alertmanager.fire(resolved(one))


def _one_peer(opened: Opener, url: str) -> Alertmanager:
    backend: Alertmanager = opened("alerting", {"kind": "alertmanager", "urls": [url]})
    return backend


async def test_a_peer_that_is_down_is_an_answer_and_the_other_still_delivers(
    own_peers: Peers, sink: DemoWebhookSink, opened: Opener
) -> None:
    """The dead peer is named in its answer and in the health; the alert arrives through the living one."""
    alertmanager = alerting(opened, own_peers)
    assert (await alertmanager.health()).ok
    alive, dead = own_peers.urls
    await asyncio.to_thread(own_peers.programs[1].stop)

    answers = await alertmanager.fire(probe("half"))

    assert [(one.peer, one.ok) for one in answers] == [(alive, True), (dead, False)]
    assert dead in answers[1].detail
    health = await alertmanager.health()
    assert not health.ok
    assert "1 of 2 peers" in health.detail
    assert dead in health.detail
    assert [one.peer for one in await alertmanager.status()] == [alive]

    async def arrived() -> bool:
        return len(got(sink, "half")) == 1

    await eventually(arrived, "the living peer delivers")


async def test_a_reloaded_configuration_is_what_the_peers_show_and_route_by(
    own_peers: Peers, sink: DemoWebhookSink, opened: Opener
) -> None:
    """Reloaded on one peer alone they differ; a file that is refused leaves what was loaded."""
    alertmanager = alerting(opened, own_peers)

    async def shown() -> list[str]:
        return [one.config_yaml for one in await alertmanager.status()]

    first, second = own_peers.urls
    own_peers.write(alertmanager_yaml("second"))
    assert all("oncall" in text for text in await shown())

    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{first}/-/reload")).status_code == 200
        assert ["second" in text for text in await shown()] == [True, False]
        assert (await client.post(f"{second}/-/reload")).status_code == 200
    loaded = await shown()
    assert loaded[0] == loaded[1]
    assert "second" in loaded[0]
    await alertmanager.fire(probe("rerouted"))

    async def arrived() -> bool:
        return bool(got(sink, "rerouted"))

    await eventually(arrived, "it arrives at the new receiver")
    assert {one.receiver for one in got(sink, "rerouted")} == {"second"}
    (seen, _) = await alertmanager.find({"probe": "rerouted"})
    assert seen.receivers == ("second",)

    own_peers.write("route: {receiver: nobody-knows}\nreceivers: []\n")
    assert {answer.status_code for answer in await asyncio.to_thread(own_peers.reload)} == {500}
    assert await shown() == loaded


async def test_rules_are_loaded_by_a_reload_and_a_bad_file_leaves_the_old_ones(
    peers: Peers, server: RealPrometheus, sink: DemoWebhookSink, opened: Opener, tmp_path: Path
) -> None:
    """A rule that was written fires through to the receiver; a refused reload is an error, and changes nothing."""
    rule_dir = tmp_path / "rules"
    metrics: Prometheus = opened("metrics", {"kind": "prometheus", "url": server.url})
    rules: RuleDirectory = opened(
        "rules", {"kind": "directory", "directory": rule_dir, "reload_urls": [f"{server.url}/-/reload"]}
    )
    assert await metrics.rules() == ()
    assert set(await metrics.alertmanagers()) == {f"{url}/api/v2/alerts" for url in peers.urls}

    await rules.write("probe.yml", RULE)
    assert await metrics.rules() == ()
    await rules.reload()
    (loaded,) = await metrics.rules()
    assert (loaded.name, loaded.query, loaded.kind) == ("RuleProbe", "vector(1)", "alerting")
    assert Path(loaded.file) == rule_dir / "probe.yml"

    async def sends_again() -> bool:
        return len(await metrics.alertmanagers()) == 2

    await eventually(sends_again, "the reloaded Prometheus knows its Alertmanagers")

    async def arrived() -> bool:
        return bool(got(sink, "rule"))

    await eventually(arrived, "the rule's alert arrives")
    assert got(sink, "rule")[0].payload["commonLabels"]["datacenter"] == "loopback"
    (firing,) = await metrics.alerts()
    assert (firing.state, firing.labels) == ("firing", {"alertname": "RuleProbe", "probe": "rule"})

    await rules.write("probe.yml", BAD_RULE)
    with pytest.raises(BackendRefused, match="reload"):
        await rules.reload()
    assert [one.name for one in await metrics.rules()] == ["RuleProbe"]

    await rules.write("probe.yml", OTHER_RULE)
    await rules.reload()
    assert [one.name for one in await metrics.rules()] == ["OtherProbe"]
    await rules.remove("probe.yml")
    await rules.reload()
    assert await metrics.rules() == ()
