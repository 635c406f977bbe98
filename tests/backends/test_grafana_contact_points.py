"""Grafana's contact points: listed, and tested with what Grafana has stored, over the demo's server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.requests import Request

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.backends.grafana import CONTACT_POINTS, CONTACT_TEST, TEST_SECONDS, without_hidden
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendBroken, BackendBusy, BackendError, BackendRefused
from ray_tui.core.ports import ContactIntegration, ContactPoint, ContactPoints, Dashboards, SideEffect
from ray_tui.demo.faults import Faults
from ray_tui.demo.grafana import TOKEN, DemoGrafana
from ray_tui.demo.people import People
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import serving
from ray_tui.demo.webhook_sink import DemoWebhookSink

CLOCK = Clock()
LABELS = {"alertname": "RayTuiContactPoint", "ray_tui_probe": "tok-1"}


@dataclass
class Case:
    port: ContactPoints
    server: DemoGrafana
    faults: Faults
    sink: DemoWebhookSink
    sink_url: str

    async def point(self, name: str = "ops") -> ContactPoint:
        return next(one for one in await self.port.contact_points() if one.name == name)

    async def tested(self, name: str = "ops") -> list[tuple[str, str]]:
        answer = await self.port.test_contact_point(await self.point(name), LABELS, {"summary": "[TEST] tok-1"})
        assert answer.sent_at <= answer.answered_at
        return [(one.status, one.error) for one in answer.outcomes]

    def tests(self) -> int:
        return sum(path.startswith(CONTACT_TEST) for _, path in self.faults.seen)


@pytest.fixture
async def case(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Case]:
    monkeypatch.setenv("DEMO_GRAFANA", TOKEN)
    async with a_case() as found:
        yield found


@asynccontextmanager
async def a_case() -> AsyncIterator[Case]:
    server, sink = DemoGrafana(CLOCK, Scenario(name="t", title="t")), DemoWebhookSink(People(60.0), CLOCK)
    faults = Faults(server.app)
    async with serving(faults) as url, serving(sink.app) as sink_url:
        settings = settings_model("dashboards", "grafana")(kind="grafana", url=url, bearer_token="env:DEMO_GRAFANA")
        port = open_backend("dashboards", settings, Opening(CLOCK, jitter=lambda: 0.1))
        try:
            yield Case(port, server, faults, sink, sink_url)
        finally:
            await port.close()
            await sink.stop()


def test_grafana_is_both_ports_and_its_tests_are_never_repeated() -> None:
    """A dashboard's save can be looked up; a sent test cannot be taken back. (P45)"""
    settings = settings_model("dashboards", "grafana")(kind="grafana", url="http://g")
    port = open_backend("dashboards", settings, Opening(CLOCK, jitter=lambda: 0.1))
    assert isinstance(port, ContactPoints)
    assert isinstance(port, Dashboards)
    assert (port.side_effect, port.contact_side_effect) == (SideEffect.QUERY, SideEffect.NONE)


async def test_integrations_of_one_name_are_one_contact_point(case: Case) -> None:
    """Grafana lists integrations; each has its uid and its kind."""
    first = case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    second = case.server.add_contact_point("ops", "slack", {"recipient": "#a"}, token="x")
    assert await case.point() == ContactPoint(
        "ops", (ContactIntegration(first, "webhook"), ContactIntegration(second, "slack"))
    )
    assert {one.name for one in await case.port.contact_points()} == {"release-channel", "audit-mail", "ops"}


async def test_a_test_uses_what_grafana_has_stored(case: Case) -> None:
    """Its hidden address is not sent back as [REDACTED]: by the uid the stored one is used. (P45)"""
    case.server.add_contact_point("ops", "webhook", {"httpMethod": "POST"}, url=f"{case.sink_url}/hook/grafana")
    assert await case.tested() == [("ok", "")]
    (got,) = case.sink.received
    assert got.payload["alerts"][0]["labels"] == {"instance": "Grafana", **LABELS}
    assert "tok-1" in json.dumps(got.payload["alerts"][0]["annotations"])


async def test_what_is_sent_is_what_is_stored_but_for_secrets(case: Case) -> None:
    """As it stands there, characters that we would not show included; within the time that Grafana allows."""
    settings = {"url": "http://127.0.0.1:9", "title": "\u202eodd\u0007", "nested": {"a": ["[REDACTED]", 1]}}
    uid = case.server.add_contact_point("ops\u200b", "webhook", settings, password="secret")
    seen: list[tuple[Any, dict[str, str]]] = []
    inner = case.server.app

    async def spy(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == CONTACT_TEST:
            request = Request(scope, receive)
            seen.append((await request.json(), dict(request.headers)))
            body = json.dumps(seen[0][0]).encode()

            async def again() -> Any:
                return {"type": "http.request", "body": body, "more_body": False}

            receive = again
        await inner(scope, receive, send)

    case.faults.app = spy
    (point,) = (one for one in await case.port.contact_points() if one.integrations[0].uid == uid)
    assert "\u200b" not in point.name
    await case.port.test_contact_point(point, LABELS, {})
    ((body, headers),) = seen
    (receiver,) = body["receivers"]
    assert receiver["name"] == "ops\u200b"
    (sent,) = receiver["grafana_managed_receiver_configs"]
    assert (sent["uid"], sent["secureSettings"]) == (uid, {})
    assert sent["settings"] == {
        "url": "http://127.0.0.1:9",
        "title": "\u202eodd\u0007",
        "nested": {"a": ["[REDACTED]", 1]},
    }
    assert int(headers["request-timeout"]) == TEST_SECONDS < 30


def test_hidden_settings_are_left_out_at_any_depth() -> None:
    """A secret's placeholder would be taken for the secret."""
    stored = {"a": "[REDACTED]", "b": {"c": "[REDACTED]", "d": 1}, "e": [{"f": "[REDACTED]"}]}
    assert without_hidden(stored) == {"b": {"d": 1}, "e": [{}]}


async def test_each_integration_has_its_own_outcome(case: Case) -> None:
    """207 covers any failure; the body says whose. (P46)"""
    case.server.add_contact_point("ops", "webhook", {"url": f"{case.sink_url}/hook/grafana"})
    case.server.add_contact_point("ops", "webhook", {"url": f"{case.sink_url}/nowhere"})
    (fine, broken) = await case.tested()
    assert fine == ("ok", "")
    assert broken[0] == "failed"
    assert "404" in broken[1]


@pytest.mark.parametrize(
    ("kind", "settings", "fault", "said"),
    [
        ("webhook", {"url": "http://127.0.0.1:9"}, "timeout", "deadline exceeded"),  # 408
        ("webhook", {}, None, "url is missing"),  # 400 with a result
        ("webhook", {"url": "http://127.0.0.1:9"}, "failed", "500"),  # 207 for the only one
    ],
)
async def test_a_failure_is_read_from_the_body_whatever_the_status(
    case: Case, kind: str, settings: dict[str, Any], fault: Any, said: str
) -> None:
    """408, 400 and 207 all carry the result."""
    uid = case.server.add_contact_point("ops", kind, settings)
    if fault:
        case.server.contact_faults[uid] = fault
    ((status, error),) = await case.tested()
    assert status == "failed"
    assert said in error


@pytest.mark.parametrize(("state", "kind"), [("none", BackendRefused), ("starting", BackendBusy)])
async def test_without_a_ready_alertmanager_nothing_was_sent(case: Case, state: Any, kind: type[BackendError]) -> None:
    """404 and 409 are plain refusals."""
    case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    case.server.alertmanager = state
    with pytest.raises(kind) as caught:
        await case.tested()
    assert not caught.value.may_have_taken_effect


@pytest.mark.parametrize("status", [200, 502])
async def test_an_answer_that_cannot_be_read_leaves_it_open(case: Case, status: int) -> None:
    """HTML from a proxy, after the POST: it may be out, and nothing repeats it."""
    case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    case.faults.next(CONTACT_TEST, kind="html", status=status)
    with pytest.raises(BackendBroken) as caught:
        await case.tested()
    assert caught.value.may_have_taken_effect
    assert case.tests() == 1


async def test_a_list_that_cannot_be_read_sends_nothing(case: Case) -> None:
    """What fails before the POST is certainly not out."""
    case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    point = await case.point()
    case.faults.next(CONTACT_POINTS, kind="html", status=200)
    with pytest.raises(BackendBroken) as caught:
        await case.port.test_contact_point(point, LABELS, {})
    assert not caught.value.may_have_taken_effect
    assert case.tests() == 0


async def test_a_contact_point_that_changed_meanwhile_is_not_tested(case: Case) -> None:
    """Whom it reaches is no longer what a person agreed to. (P45)"""
    case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    before = await case.point()
    case.server.add_contact_point("ops", "pagerduty", {}, integrationKey="k")
    for changed in (before, replace(before, name="gone")):
        with pytest.raises(BackendRefused) as caught:
            await case.port.test_contact_point(changed, LABELS, {})
        assert not caught.value.may_have_taken_effect
    assert case.tests() == 0


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([], "unknown"),
        ([{"uid": "another", "status": "ok"}], "unknown"),
        ([{"uid": "UID", "status": "ok"}, {"uid": "UID", "status": "ok"}], "unknown"),
        ([{"uid": "UID", "status": "ok"}, {"uid": "UID", "status": "failed"}], "failed"),
        ([{"uid": "UID", "status": "splendid"}], "unknown"),
        ([{"uid": "UID", "status": "ok"}], "ok"),
    ],
)
async def test_only_a_plain_ok_is_ok(case: Case, rows: list[dict[str, str]], status: str) -> None:
    """What Grafana omits, or says twice, is not taken for delivered. (P46)"""
    uid = case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    said = [{name: value.replace("UID", uid) for name, value in row.items()} for row in rows]
    body = {"receivers": [{"name": "ops", "grafana_managed_receiver_configs": said}]}
    case.faults.next(CONTACT_TEST, status=200, body=body)
    ((found, _),) = await case.tested()
    assert found == status


@pytest.mark.parametrize(
    "body",
    ['{"receivers": 7}', '{"receivers": [7]}', "[]", "{}", '{"receivers": [{"grafana_managed_receiver_configs": 1}]}'],
)
async def test_an_answer_of_another_shape_is_broken(case: Case, body: str) -> None:
    """Never an empty success."""
    case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    case.faults.next(CONTACT_TEST, status=200, body=body, content_type="application/json")
    with pytest.raises(BackendBroken):
        await case.tested()


async def test_errors_from_outside_are_cleaned(case: Case) -> None:
    """What an integration answers is shown on a terminal."""
    uid = case.server.add_contact_point("ops", "webhook", {"url": "http://127.0.0.1:9"})
    row = {"uid": uid, "status": "failed", "error": "bad\u001b[31m\u202e thing"}
    body = {"receivers": [{"name": "ops", "grafana_managed_receiver_configs": [row]}]}
    case.faults.next(CONTACT_TEST, status=207, body=body)
    ((_, error),) = await case.tested()
    assert "\x1b" not in error
    assert "\u202e" not in error
    assert "bad" in error
