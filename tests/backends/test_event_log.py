"""Alertmanager's event recorder: both of its schemas, files that grow and are rotated, and the same behind HTTP."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from ray_tui.backends import Opening, event_log, open_backend, settings_model
from ray_tui.backends.alertmanager import Alertmanager
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import SentEvent
from ray_tui.demo.alertmanager import DemoAlertmanager, form_cluster
from ray_tui.demo.people import People
from ray_tui.demo.serving import serving
from ray_tui.demo.webhook_sink import DemoWebhookSink

CLOCK = Clock()
AT = "2026-08-01T10:00:01.123456789Z"
UNIX = 1_785_578_401.123456
TOKEN = {"ray_tui_probe": "tok-1"}
SECOND_SCHEMA = {
    "@timestamp": AT,
    "instance": "am-0",
    "clusterPosition": "1",
    "data": {
        "notification": {
            "alerts": [{"fingerprint": "1", "name": "X", "labels": {"alertname": "X", **TOKEN}}],
            "firingAlerts": [{"fingerprint": "1", "labels": {"alertname": "X", **TOKEN}}],
            "groupInfo": {"groupKey": "{}:{}", "receiverName": "oncall"},
            "integration": {"name": "pagerduty", "index": "2"},
            "reason": "NOTIFY_REASON_FIRST_NOTIFICATION",
            "somethingNew": {"not": ["known", "yet"]},
        }
    },
}
FIRST_SCHEMA = {
    "@timestamp": AT,
    "instance": "am-0",
    "data": {
        "notification": {
            "alerts": [
                {
                    "hash": "12", "details": {
                        "name": "X",
                        "labels": {"labels": [{"key": "alertname", "value": "X"},
                                              {"key": "ray_tui_probe", "value": "tok-1"}]},
                    },
                },
            ],
            "firingAlerts": [{"hash": "12"}],
            "groupInfo": {"receiverName": "oncall"},
            "integration": {"name": "pagerduty", "index": "2"},
        }
    },
}  # fmt: skip


def text(*events: Any) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def about(token: str, at: str = AT, *, resolved: bool = False, **integration: str) -> dict[str, Any]:
    """A notification of one probe."""
    alert: dict[str, Any] = {"labels": {"ray_tui_probe": token}} | ({"resolved": True} if resolved else {})
    by = {"name": "webhook", **integration}
    sent = {"alerts": [alert], "groupInfo": {"receiverName": "hook"}, "integration": by}
    return {"@timestamp": at, "instance": "am-1", "data": {"notification": sent}}


@pytest.mark.parametrize("event", [SECOND_SCHEMA, FIRST_SCHEMA])
def test_a_notification_names_receiver_integration_peer_and_time(event: dict[str, Any]) -> None:
    """Labels as a map, or as the first schema's list of pairs; what is not known is passed over."""
    found = event_log.notified(json.dumps(event).encode())

    assert found is not None
    assert found.event == SentEvent(pytest.approx(UNIX), "oncall", "pagerduty", 2, "am-0")  # type: ignore[arg-type]
    assert all(labels["ray_tui_probe"] == "tok-1" for labels in found.firing)
    assert found.firing


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"{}", b"not JSON, with a notification in it", b'{"data": {"alertCreated": {}}}',
        b'{"data": {"notification": []}}', b'{"data": {"notification": {"integration": {"index": "x"}}}}',
        b'{"@timestamp": "yesterday", "data": {"notification": {}}}', b'{"data": {"notification": {}}}',
        b'{"data": {"notification": ' + b"[" * 200 + b"]" * 200 + b"}}", b"\xff\xfe notification",
    ],
)  # fmt: skip
def test_a_line_that_is_no_notification_is_passed_over(line: bytes) -> None:
    """Other events, other shapes, other bytes: nothing is made of them, and nothing breaks."""
    assert event_log.notified(line) is None


def test_text_from_the_log_is_cleaned() -> None:
    """A receiver's name may steer a terminal."""
    event = json.loads(json.dumps(SECOND_SCHEMA))
    event["data"]["notification"]["groupInfo"]["receiverName"] = "on\u001b[2Jcall"
    found = event_log.notified(json.dumps(event).encode())

    assert found is not None
    assert found.event.receiver == "on\\u{1b}[2Jcall"


def test_resolved_notifications_are_not_sendings_of_a_firing_alert() -> None:
    """An alert that is marked as resolved was not told of as firing."""
    found = event_log.notified(json.dumps(about("tok-1", resolved=True)).encode())

    assert found is not None
    assert found.firing == ()


# --- the backend -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(base: Path, *logs: str, url: str = "http://127.0.0.1:9", **more: Any) -> AsyncIterator[Alertmanager]:
    urls = [url, *(f"http://127.0.0.1:{number}" for number in range(10, 9 + len(logs)))]
    settings = settings_model("alerting", "alertmanager")(kind="alertmanager", urls=urls, event_log=logs, **more)
    backend = open_backend("alerting", settings, Opening(CLOCK, jitter=lambda: 0.1, config_folder=base))
    try:
        yield backend
    finally:
        await backend.close()


def ranged(path: Path, seen: list[Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        seen.append(request.headers)
        if path.stat().st_size == 0:
            return PlainTextResponse("", 416)
        return FileResponse(path)

    return answer


def whole(path: Path, seen: list[Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        seen.append(request.headers)
        return Response(path.read_bytes())

    return answer


@asynccontextmanager
async def log_at(how: str, path: Path) -> AsyncIterator[tuple[str, list[Any]]]:
    """The file itself, or the address of a server that knows ranges, or of one that knows none."""
    seen: list[Any] = []
    if how == "file":
        yield path.name, seen
        return
    endpoint = {"ranges": ranged, "whole": whole}[how](path, seen)
    async with serving(Starlette(routes=[Route("/events.jsonl", endpoint)])) as url:
        yield f"{url}/events.jsonl", seen


HOWS = pytest.mark.parametrize("how", ["file", "ranges", "whole"])


async def test_without_an_event_log_nothing_is_known(tmp_path: Path) -> None:
    """None is not an empty answer."""
    async with opened(tmp_path) as port:
        assert await port.sent(TOKEN, 0.0) is None


@HOWS
async def test_only_what_is_written_after_the_first_look_is_read(how: str, tmp_path: Path) -> None:
    """What stood there is left alone; a line is taken once it is whole; later lines of others are not ours."""
    path = tmp_path / "events.jsonl"
    path.write_text(text(about("tok-1")))
    async with log_at(how, path) as (address, _), opened(tmp_path, address) as port:
        assert await port.sent(TOKEN, CLOCK.wall()) == ()
        line = text(about("tok-1"))
        with path.open("a") as file:
            file.write(text(about("tok-2")) + line[:40])
        assert await port.sent(TOKEN, 0.0) == ()
        with path.open("a") as file:
            file.write(line[40:] + "x" * 100)
        (found,) = await port.sent(TOKEN, 0.0) or ()
        assert (found.receiver, found.integration, found.index, found.peer) == ("hook", "webhook", 0, "am-1")
        assert await port.sent(TOKEN, 0.0) == (found,)
        assert await port.sent(TOKEN, found.at + 1) == ()
        assert await port.sent({}, 0.0) == ()


@HOWS
async def test_a_log_that_is_rotated_is_read_from_its_start(how: str, tmp_path: Path) -> None:
    """A new, shorter file under the same name."""
    path = tmp_path / "events.jsonl"
    path.write_text("x" * 5000 + "\n")
    async with log_at(how, path) as (address, _), opened(tmp_path, address) as port:
        assert await port.sent(TOKEN, CLOCK.wall()) == ()
        path.unlink()
        path.write_text(text(about("tok-1")))
        assert len(await port.sent(TOKEN, 0.0) or ()) == 1


@HOWS
async def test_after_a_crash_the_end_of_the_log_is_looked_through(how: str, tmp_path: Path) -> None:
    """Asked for what was sent before we began, the last of what stands there counts; a line cut in two does not."""
    path = tmp_path / "events.jsonl"
    path.write_text("y" * (event_log.TAIL_BYTES + 1000) + "\n" + text(about("tok-1")))
    async with log_at(how, path) as (address, _), opened(tmp_path, address) as port:
        assert len(await port.sent(TOKEN, UNIX - 10) or ()) == 1


async def test_a_line_without_end_is_dropped(tmp_path: Path) -> None:
    """Nothing of ours is a mebibyte long: it is skipped to its end, and what follows is read."""
    path = tmp_path / "events.jsonl"
    path.write_text("")
    async with opened(tmp_path, "events.jsonl") as port:
        assert await port.sent(TOKEN, CLOCK.wall()) == ()
        with path.open("a") as file:
            file.write("z" * (event_log.LONGEST_LINE + 10))
        assert await port.sent(TOKEN, 0.0) == ()
        with path.open("a") as file:
            file.write("notification\n" + text(about("tok-1")))
        assert len(await port.sent(TOKEN, 0.0) or ()) == 1


async def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """No file, a folder, nobody at the address: never an empty answer."""
    for address in ("nowhere.jsonl", ".", "http://127.0.0.1:9/events"):
        async with opened(tmp_path, address) as port:
            with pytest.raises(BackendError):
                await port.sent(TOKEN, 0.0)


async def test_our_credentials_are_not_shown_to_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is Alertmanager's; who serves its log elsewhere does not get it."""
    monkeypatch.setenv("AM_TOKEN", "s3cret-token")
    path = tmp_path / "events.jsonl"
    path.write_text(text(about("tok-1")))
    async with log_at("ranges", path) as (address, seen):
        async with opened(tmp_path, address, bearer_token="env:AM_TOKEN") as port:
            await port.sent(TOKEN, 0.0)
        base = address.removesuffix("/events.jsonl")
        async with opened(tmp_path, address, url=base, bearer_token="env:AM_TOKEN") as port:
            await port.sent(TOKEN, 0.0)

    told = ["authorization" in headers for headers in seen]
    assert told[0] is False
    assert told[-1] is True


async def test_one_log_may_be_named_without_a_list() -> None:
    """``event_log = "events.jsonl"`` is one log."""
    settings: Any = settings_model("alerting", "alertmanager")(
        kind="alertmanager", urls=["http://am"], event_log="e.jsonl"
    )
    assert settings.event_log == ("e.jsonl",)


async def test_the_demos_recorder_writes_what_the_backend_reads(tmp_path: Path) -> None:
    """Two peers, one notification: the peer that sent it is named, with the time at which the sink had it. (P41)"""
    sink = DemoWebhookSink(People(ack_after_seconds=60), CLOCK)
    async with serving(sink.app) as hook:
        config = (
            f"route: {{receiver: hook, group_wait: 100ms}}\n"
            f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook}/hook/hook'}}]}}]"
        )
        peers = [DemoAlertmanager(config, CLOCK, f"am-{n}") for n in (0, 1)]
        form_cluster(*peers)
        for peer in peers:
            peer.event_log = tmp_path / f"{peer.name}.jsonl"
            peer.event_log.touch()
        async with opened(tmp_path, "am-0.jsonl", "am-1.jsonl") as port:
            assert await port.sent(TOKEN, CLOCK.wall()) == ()
            now = CLOCK.wall()
            ends = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "2126-01-01T00:00:00Z"}
            for peer in peers:
                assert peer.take([{"labels": {"alertname": "X", **TOKEN}, **ends}]) == []
            found: tuple[SentEvent, ...] = ()
            while not found:
                assert CLOCK.wall() < now + 10, "it was never recorded"
                found = await port.sent(TOKEN, now - 1) or ()
            (event,) = found
            assert (event.receiver, event.integration, event.peer) == ("hook", "webhook", "am-0")
            (got,) = sink.received
            assert got.at - 0.002 <= event.at <= CLOCK.wall()
        for peer in peers:
            await peer.stop()
    await sink.stop()


@pytest.mark.parametrize(("peers", "logs"), [(2, ["a"]), (1, ["a", "b"])])
def test_every_peer_needs_its_log(peers: int, logs: list[str]) -> None:
    """What is not in one peer's log may be in another's: nothing could be said of what was not sent."""
    urls = [f"http://am-{number}" for number in range(peers)]
    with pytest.raises(ValidationError, match="one for each"):
        settings_model("alerting", "alertmanager")(kind="alertmanager", urls=urls, event_log=logs)
    same = settings_model("alerting", "alertmanager")(kind="alertmanager", urls=urls, event_log=["a"] * peers)
    assert same is not None
