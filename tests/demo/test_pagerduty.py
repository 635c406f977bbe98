"""The demo's PagerDuty, held against the contract over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from ray_tui.clock import Clock
from ray_tui.demo.pagerduty import API_KEY, DemoPagerDuty
from ray_tui.demo.people import SERVICES, People
from ray_tui.demo.scenario import People as BentPeople
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import serving, start

KEY = {service.id: service.routing_key for service in SERVICES}
HEADERS = {
    "Authorization": f"Token token={API_KEY}",
    "Accept": "application/vnd.pagerduty+json;version=2",
    "From": "mira@shop.example",
}


def scenario(**people: Any) -> Scenario:
    return Scenario(name="test", title="test", people=BentPeople(**({"ack_after_seconds": 0.05} | people)))


def demo(bent: Scenario | None = None, **more: Any) -> DemoPagerDuty:
    bent = bent or scenario()
    people = People.of(bent)
    people.escalation_seconds = 0.2
    return DemoPagerDuty(people, Clock(), bent, **more)


@pytest.fixture
async def pagerduty() -> AsyncIterator[DemoPagerDuty]:
    pd = demo()
    yield pd
    await pd.stop()


@pytest.fixture
async def client(pagerduty: DemoPagerDuty) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(pagerduty.app) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        yield http


async def until(holds: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.01)
    assert found, what
    return found


def trigger(dedup_key: str | None = "probe-1", service: str = "PSVCCHK", **payload: Any) -> dict[str, Any]:
    body = {"summary": "[TEST] please acknowledge", "source": "ray-tui", "severity": "critical", **payload}
    event: dict[str, Any] = {"routing_key": KEY[service], "event_action": "trigger", "payload": body}
    return event if dedup_key is None else {**event, "dedup_key": dedup_key}


def kinds(pd: DemoPagerDuty) -> list[str]:
    (incident,) = pd.incidents.values()
    return [entry["type"].removesuffix("_log_entry") for entry in incident.log]


async def test_a_trigger_opens_an_incident_that_the_person_on_call_acknowledges(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty
) -> None:
    """202, one incident, one page to level 1, and an acknowledgement by a user after the delay."""
    answer = await client.post("/v2/enqueue", json=trigger(custom_details={"token": "t-1"}))

    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "probe-1"}
    await until(lambda: "acknowledge" in kinds(pagerduty), "acknowledged")
    (page,) = pagerduty.pages_sent
    assert (page.user, page.level, page.dedup_key, page.custom_details) == ("mira", 1, "probe-1", {"token": "t-1"})

    found = (await client.get("/incidents", params={"incident_key": "probe-1"})).json()["incidents"]
    assert [(each["status"], each["service"]["id"], each["incident_key"]) for each in found] == [
        ("acknowledged", "PSVCCHK", None)
    ]
    alerts = (await client.get(f"/incidents/{found[0]['id']}/alerts")).json()["alerts"]
    assert alerts[0]["alert_key"] == "probe-1"
    assert alerts[0]["body"]["details"] == {"token": "t-1"}
    assert alerts[0]["body"]["cef_details"]["message"] == "[TEST] please acknowledge"
    log = (await client.get(f"/incidents/{found[0]['id']}/log_entries")).json()["log_entries"]
    assert [each["type"] for each in log] == [
        "acknowledge_log_entry",
        "notify_log_entry",
        "assign_log_entry",
        "trigger_log_entry",
    ]
    assert log[0]["agent"]["type"] == "user_reference"
    assert log[0]["agent"]["id"] == "PMIRA"
    assert log[1]["channel"]["type"] == "sms"
    assert log[-1]["agent"]["type"] == "service_reference"


async def test_the_same_key_pages_once_until_it_is_resolved(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty
) -> None:
    """Triggers with an open alert's key are appended; after a resolve the key opens a new incident."""
    for _ in range(3):
        await client.post("/v2/enqueue", json=trigger())
    await until(lambda: pagerduty.pages_sent, "paged")
    assert len(pagerduty.incidents) == 1

    resolve = {"routing_key": KEY["PSVCCHK"], "event_action": "resolve", "dedup_key": "probe-1"}
    assert (await client.post("/v2/enqueue", json=resolve)).status_code == 202
    assert [each.status for each in pagerduty.incidents.values()] == ["resolved"]
    await client.post("/v2/enqueue", json=trigger())
    await until(lambda: len(pagerduty.pages_sent) == 2, "paged again")
    assert len(pagerduty.incidents) == 2


async def test_do_not_acknowledge_escalates_and_level_two_answers(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty
) -> None:
    """Level 1 leaves the page alone, level 2 is called after the policy's delay and acknowledges."""
    await client.post("/v2/enqueue", json=trigger(custom_details={"note": "Do not acknowledge this one"}))

    await until(lambda: "acknowledge" in kinds(pagerduty), "acknowledged by level 2")
    assert kinds(pagerduty) == ["trigger", "assign", "notify", "escalate", "assign", "notify", "acknowledge"]
    assert [(page.user, page.level) for page in pagerduty.pages_sent] == [("mira", 1), ("tom", 2)]
    (incident,) = pagerduty.incidents.values()
    assert incident.log[-1]["agent"]["id"] == "PTOM"


async def test_a_broken_escalation_exhausts_the_path() -> None:
    """With nobody at level 2 an unacknowledged page ends in exhaust_escalation_path."""
    pd = demo(scenario(broken_escalation=True))
    async with serving(pd.app) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        await http.post("/v2/enqueue", json=trigger(custom_details={"note": "do not acknowledge"}))
        await until(lambda: "exhaust_escalation_path" in kinds(pd), "exhausted")
        on_call = (await http.get("/oncalls")).json()["oncalls"]
    assert len(pd.pages_sent) == 1
    assert {each["escalation_level"] for each in on_call} == {1}
    await pd.stop()


@pytest.mark.parametrize("named", ["PSVCCHK", "Checkout"])
async def test_a_lost_page_is_accepted_and_opens_nothing(named: str) -> None:
    """202 is not an incident."""
    pd = demo(scenario(lost_pages=(named,)))
    async with serving(pd.app) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        assert (await http.post("/v2/enqueue", json=trigger())).status_code == 202
        assert (await http.get("/incidents")).json()["incidents"] == []
    await pd.stop()


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (trigger(severity="page"), "payload.severity"),
        (trigger(summary=""), "payload.summary"),
        (trigger() | {"routing_key": "short"}, "routing key"),
        (trigger() | {"event_action": "poke"}, "event_action"),
        ({"routing_key": KEY["PSVCCHK"], "event_action": "resolve"}, "dedup_key"),
        (trigger(dedup_key="x" * 256), "dedup_key"),
    ],
)
async def test_an_invalid_event_is_refused_with_the_reason(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty, event: dict[str, Any], complaint: str
) -> None:
    """400, ``invalid event`` and a list of errors; nothing is opened."""
    answer = await client.post("/v2/enqueue", json=event)

    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert complaint in answer.json()["errors"][0]
    assert not pagerduty.incidents


async def test_events_too_large_rejected_or_unknown(client: httpx.AsyncClient, pagerduty: DemoPagerDuty) -> None:
    """Over 512 KB is 413; a rejected key 400; an unknown well-formed key, or resolving what is not open, is 202."""
    pagerduty.reject_routing_keys.add(KEY["PSVCPAY"])
    assert (await client.post("/v2/enqueue", json=trigger(source="x" * 600_000))).status_code == 413
    assert (await client.post("/v2/enqueue", json=trigger(service="PSVCPAY"))).status_code == 400
    assert (await client.post("/v2/enqueue", json=trigger() | {"routing_key": "z" * 32})).status_code == 202
    resolve = {"routing_key": KEY["PSVCCHK"], "event_action": "resolve", "dedup_key": "never"}
    assert (await client.post("/v2/enqueue", json=resolve)).status_code == 202
    assert (await client.post("/generic/enqueue", json=trigger(None))).json()["dedup_key"]
    assert len(pagerduty.incidents) == 1


async def test_a_change_event_opens_nothing(client: httpx.AsyncClient, pagerduty: DemoPagerDuty) -> None:
    """202 without a dedup key."""
    event = {"routing_key": KEY["PSVCCHK"], "payload": {"summary": "checkout-v2.4.1 deployed"}}
    answer = await client.post("/v2/change/enqueue", json=event)

    assert (answer.status_code, answer.json()) == (202, {"status": "success", "message": "Change event processed"})
    assert (len(pagerduty.changes), len(pagerduty.incidents)) == (1, 0)


async def test_the_test_service_pages_nobody(client: httpx.AsyncClient, pagerduty: DemoPagerDuty) -> None:
    """PSVCTST has an incident, and no page."""
    await client.post("/v2/enqueue", json=trigger(service="PSVCTST"))
    resolve = {"routing_key": KEY["PSVCTST"], "event_action": "resolve", "dedup_key": "probe-1"}
    await client.post("/v2/enqueue", json=resolve)

    assert kinds(pagerduty) == ["trigger", "resolve"]
    assert pagerduty.pages_sent == []


@pytest.mark.parametrize(("ack_by", "service"), [("integration", "PSVCCHK"), ("other_service", "PSVCPAY")])
async def test_a_machine_may_acknowledge_instead(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty, ack_by: Any, service: str
) -> None:
    """The switch makes the acknowledging agent a service, of this or another service."""
    pagerduty.ack_by = ack_by
    await client.post("/v2/enqueue", json=trigger())

    await until(lambda: "acknowledge" in kinds(pagerduty), "acknowledged")
    (incident,) = pagerduty.incidents.values()
    agent = incident.log[-1]["agent"]
    assert agent["type"] == "service_reference"
    assert (agent["id"] == "PSVCCHK") == (service == "PSVCCHK")


async def test_auto_ack_and_duplicates(client: httpx.AsyncClient, pagerduty: DemoPagerDuty) -> None:
    """The integration acknowledges at once; one trigger opens two incidents."""
    pagerduty.auto_ack = pagerduty.duplicate_incidents = True
    await client.post("/v2/enqueue", json=trigger())

    found = (await client.get("/incidents")).json()["incidents"]
    assert [each["status"] for each in found] == ["acknowledged", "acknowledged"]
    assert found[0]["acknowledgements"][0]["acknowledger"]["type"] == "service_reference"


async def test_writes_need_a_from_header_and_an_open_incident(
    client: httpx.AsyncClient, pagerduty: DemoPagerDuty
) -> None:
    """No From is 400; resolving works once; a second time is code 2001; an unknown id 404."""
    await client.post("/v2/enqueue", json=trigger())
    (incident_id,) = pagerduty.incidents
    body = {"incident": {"type": "incident_reference", "status": "resolved"}}

    async with httpx.AsyncClient(base_url=client.base_url, headers={"Authorization": HEADERS["Authorization"]}) as bare:
        assert (await bare.put(f"/incidents/{incident_id}", json=body)).status_code == 400
    done = await client.put(f"/incidents/{incident_id}", json=body)
    again = await client.put(f"/incidents/{incident_id}", json=body)

    assert done.json()["incident"]["status"] == "resolved"
    assert pagerduty.incidents[incident_id].log[-1]["agent"]["id"] == "PMIRA"
    assert (again.status_code, again.json()["error"]["code"]) == (400, 2001)
    assert again.json()["error"]["errors"] == ["Incident Already Resolved"]
    assert (await client.put("/incidents/NOPE", json=body)).json() == {"error": {"message": "Not Found", "code": 2100}}
    note = await client.post(f"/incidents/{incident_id}/notes", json={"note": {"content": "closed by a test"}})
    assert note.status_code == 201
    bulk = {"incidents": [{"id": incident_id, "type": "incident_reference", "status": "acknowledged"}]}
    assert (await client.put("/incidents", json=bulk)).status_code == 400


async def test_a_wrong_key_is_401(client: httpx.AsyncClient) -> None:
    """Code 2006, and nothing else said."""
    answer = await client.get("/incidents", headers={"Authorization": "Token token=wrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 2006)
    assert (await client.get("/abilities")).headers["ratelimit-limit"] == "960"


async def test_history_is_listed_filtered_and_paged() -> None:
    """Past incidents come with their logs; paging says ``more``, and ``total`` only when asked."""
    now = Clock().wall()
    past = [
        {
            "id": f"PAST{n}",
            "title": f"Payments slow {n}",
            "service": "payments",
            "started_at": now - n * 86_400,
            "ended_at": now - n * 86_400 + 900,
            "severity": "critical",
        }
        for n in range(1, 14)
    ]
    pd = demo(history=past)
    async with serving(pd.app) as url, httpx.AsyncClient(base_url=url, headers=HEADERS) as http:
        first = (await http.get("/incidents", params={"limit": 10, "sort_by": "created_at:desc"})).json()
        rest = (await http.get("/incidents", params={"limit": 10, "offset": 10, "total": "true"})).json()
        since = datetime.fromtimestamp(now - 3.5 * 86_400, UTC).isoformat()
        some = (await http.get("/incidents", params={"since": since, "service_ids[]": "PSVCPAY"})).json()
        none = (await http.get("/incidents", params={"statuses[]": ["triggered", "acknowledged"]})).json()
        far = await http.get("/incidents", params={"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"})
        deep = await http.get("/incidents", params={"offset": 9_990, "limit": 25})
        log = (await http.get("/incidents/PAST1/log_entries")).json()["log_entries"]
    assert [each["id"] for each in first["incidents"]] == [f"PAST{n}" for n in range(1, 11)]
    assert (first["more"], first["total"]) == (True, None)
    assert (len(rest["incidents"]), rest["more"], rest["total"]) == (3, False, 13)
    assert {each["id"] for each in some["incidents"]} == {"PAST1", "PAST2", "PAST3"}
    assert none["incidents"] == []
    assert (far.status_code, deep.status_code) == (400, 400)
    assert log[0]["type"] == "resolve_log_entry"
    assert log[0]["created_at"].endswith("Z")
    assert "." not in log[0]["created_at"]


async def test_who_is_on_call(client: httpx.AsyncClient) -> None:
    """Permanent on-call has null times; the Platform's first level comes from a schedule with an end."""
    rows = (await client.get("/oncalls")).json()["oncalls"]
    by_level = {(each["escalation_policy"]["id"], each["escalation_level"]): each for each in rows}
    assert by_level["PPOLCHK", 1]["user"]["id"] == "PMIRA"
    assert by_level["PPOLPAY", 2]["user"]["id"] == "PTOM"
    assert by_level["PPOLCHK", 1]["end"] is None
    assert by_level["PPOLPLT", 1]["schedule"]["id"] == "PSCHPLT"
    assert datetime.fromisoformat(by_level["PPOLPLT", 1]["end"]).timestamp() > Clock().wall() + 86_400
    only = (await client.get("/oncalls", params={"escalation_policy_ids[]": "PPOLPAY"})).json()["oncalls"]
    assert {each["user"]["id"] for each in only} == {"PPRIYA", "PTOM"}


async def test_policies_services_users_and_schedules_by_id(client: httpx.AsyncClient) -> None:
    """Each collection lists and finds; an unknown id is 404."""
    policy = (await client.get("/escalation_policies/PPOLCHK")).json()["escalation_policy"]
    assert [rule["targets"][0]["id"] for rule in policy["escalation_rules"]] == ["PMIRA", "PTOM"]
    assert policy["escalation_rules"][0]["escalation_delay_in_minutes"] == pytest.approx(0.2 / 60)
    services = (await client.get("/services")).json()["services"]
    assert {each["id"]: each["escalation_policy"]["id"] for each in services} == {
        "PSVCCHK": "PPOLCHK",
        "PSVCPAY": "PPOLPAY",
        "PSVCPLT": "PPOLPLT",
        "PSVCTST": "PPOLTST",
    }
    user = (await client.get("/users/PLEE")).json()["user"]
    assert (user["name"], user["contact_methods"][0]["type"]) == ("Lee Moreau", "sms_contact_method")
    bare = (await client.get("/schedules/PSCHPLT")).json()["schedule"]
    window = {"since": "2026-11-01T00:00:00Z", "until": "2026-11-08T00:00:00Z"}
    full = (await client.get("/schedules/PSCHPLT", params=window)).json()["schedule"]
    assert bare["final_schedule"]["rendered_schedule_entries"] == []
    assert full["final_schedule"]["rendered_schedule_entries"][0]["user"]["id"] == "PSAM"
    assert (await client.get("/services/NOPE")).json()["error"]["code"] == 2100


async def test_a_skewed_clock_shows_in_times_and_date() -> None:
    """created_at and the Date header are both shifted, and there is one Date header only."""
    pd = demo()
    pd.skew_seconds = 120.0
    running = await start(pd.app)
    running.server.config.date_header = False
    async with httpx.AsyncClient(base_url=running.base_url, headers=HEADERS) as http:
        await http.post("/v2/enqueue", json=trigger())
        async with asyncio.timeout(5):
            while len((answer := await http.get("/incidents")).headers.get_list("date")) > 1:
                await asyncio.sleep(0.05)  # the server drops its own within a second of being told to
    created = datetime.fromisoformat(answer.json()["incidents"][0]["created_at"]).timestamp()
    assert 117 < created - Clock().wall() < 122
    assert 117 < parsedate_to_datetime(answer.headers["date"]).timestamp() - Clock().wall() < 122
    await running.stop()
    await pd.stop()
