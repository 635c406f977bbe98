"""The listener over real HTTP: who may acknowledge by a link or in Slack, and what never does."""

import contextlib
import hashlib
import hmac
import json
import re
from urllib.parse import urlencode

import httpx
import pytest

from ray_tui import listener
from ray_tui.clock import Clock
from ray_tui.core import facts as f
from ray_tui.core.errors import InputError
from ray_tui.core.rules import LISTENER
from ray_tui.core.state import RunState
from ray_tui.engine import WRONG_CODES, Engine, Places
from ray_tui.handles.local import LocalHandle
from ray_tui.inputs import Inputs
from ray_tui.journal import Journal, read
from tests.fakes import a_config, all_ports

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PEOPLE = {
    "mira": {"name": "Mira Example", "email": "mira@shop.example", "slack_id": "U0MIRA1"},
    "sam": {"name": "Sam <b>Example</b>"},
}


class Run:
    """An engine with two open probes, and a listener in front of it."""

    def __init__(self, folder):
        self.config = a_config(folder, people=PEOPLE)
        places = Places.of(self.config, "2026-run-abc123")
        self.path = places.run / "journal.jsonl"
        journal, _ = Journal.open(self.path)
        self.engine = Engine(
            journal=journal, state=RunState(), config=self.config, ports=all_ports(), places=places,
            inputs=Inputs(self.config),
        )  # fmt: skip
        self.engine.record(
            f.RunOpened(run_id="r", release="v1", environment="production", deployed_at=0, config_digest="d")
        )
        for receiver, kinds in (("mail-audit", ("email",)), ("slack-release", ("slack",)), ("slack-ops", ("slack",))):
            self.sent(receiver, kinds)
        self.code = self.engine.codes.of(("x-mail-audit-ack", "email"))
        self.chat_code = self.engine.codes.of(("x-slack-release-ack", "slack"))

    def sent(self, receiver, kinds, purpose="acknowledge"):
        name = f"x-{receiver}-{'ack' if purpose == 'acknowledge' else 'esc'}"
        self.engine.record(
            f.ProbeIntended(
                id=name, step="2.2", receiver=receiver, purpose=purpose, starts_at=Clock().wall(),
                labels={"ray_tui_probe": name}, ends_at=Clock().wall() + 60, integrations=kinds,
            )
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def listening(self, people=None, secret=SECRET, **channels):
        settings = listener.Settings(self.config.people if people is None else people, channels, secret)
        handle = LocalHandle(self.engine, f.Actor(console=LISTENER))
        async with (
            listener.serving(handle, settings, Clock(), "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
        ):
            yield client

    @property
    def acknowledged(self):
        return [one for probe in self.engine.state.probes.values() for one in probe.acknowledged]

    def on_disk(self):
        return [line.entry.fact for line in read(self.path) if isinstance(line.entry.fact, f.ProbeAcknowledged)]


@pytest.fixture
def run(tmp_path):
    found = Run(tmp_path)
    yield found
    found.engine.journal.close()


def click(value="", user="U0MIRA1", channel="C1", kind="block_actions", **more):
    """A Slack payload, as its documentation shows it."""
    message = {"ts": "1.2", "text": more.pop("text", "[FIRING:1]"), "blocks": []}
    payload = {
        "type": kind, "team": {"id": "T1"}, "channel": {"id": channel, "name": "release"},
        "user": {"id": user, "username": "mira", **more.pop("who", {})},
        "actions": [{"action_id": "ack", "block_id": "b", "type": "button", "value": value}],
        "message" if kind == "block_actions" else "original_message": message, **more,
    }  # fmt: skip
    return urlencode({"payload": json.dumps(payload)}).encode()


def signature(body, at=None, secret=SECRET):
    stamp = str(int(at if at is not None else Clock().wall()))
    mac = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}",
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip


async def pressed(client, body, **kwargs):
    return await client.post("/slack/interactions", content=body, headers=signature(body, **kwargs))


# --- the link


async def test_looking_at_a_link_acknowledges_nothing(run):
    """Scanners of mail look at every link, HEAD and GET; only the form acknowledges."""
    async with run.listening() as client:
        page = await client.get(f"/acknowledge/{run.code}")
        assert page.status_code == 200
        assert "<form method=" in page.text
        assert (await client.head(f"/acknowledge/{run.code}")).status_code == 200
    assert run.acknowledged == []


@pytest.mark.parametrize("name", ["mira", "Mira Example", "MIRA@shop.example "])
async def test_the_form_acknowledges_with_a_name_of_people(run, name):
    """It is on disk when the answer comes; that the name was only typed is on record."""
    async with run.listening() as client:
        done = await client.post(f"/acknowledge/{run.code.lower()}", data={"name": name})
        assert done.status_code == 200
        (said,) = run.on_disk()
    assert (said.id, said.person, said.via, said.integration) == ("x-mail-audit-ack", "mira", "link", "email")
    assert "not proven" in said.detail
    assert not said.machine


async def test_a_name_that_is_not_listed_is_refused_and_escaped(run):
    """Nobody becomes a person by typing; what was typed is not run by the browser."""
    async with run.listening() as client:
        done = await client.post(f"/acknowledge/{run.code}", data={"name": "<script>alert(1)</script>"})
        assert done.status_code == 403
        assert (await client.post(f"/acknowledge/{run.code}", data={"name": " "})).status_code == 400
        assert run.acknowledged == []
        thanks = await client.post(f"/acknowledge/{run.code}", data={"name": "Sam <b>Example</b>"})
    assert "<script" not in done.text
    assert "Sam &lt;b&gt;Example&lt;/b&gt;" in thanks.text
    assert "<b>" not in thanks.text


async def test_without_people_the_name_is_recorded_as_said(run):
    """Where nobody is listed nobody can be looked up: it stands as a claim."""
    async with run.listening(people={}) as client:
        assert (await client.post(f"/acknowledge/{run.code}", data={"name": "Eve\x1b[31m"})).status_code == 200
    assert run.acknowledged[0].person.startswith("says: Eve")
    assert "\x1b" not in run.acknowledged[0].person


async def test_a_wrong_code_is_not_found_and_many_are_too_many(run):
    """404, then 429; a right one still gets through, for the alert's time is short."""
    async with run.listening() as client:
        answers = [
            (await client.post("/acknowledge/AAAAAAAAAA", data={"name": "mira"})).status_code
            for _ in range(WRONG_CODES + 2)
        ]
        assert answers == [404] * WRONG_CODES + [429] * 2
        assert (await client.post("/acknowledge/not-a-code", data={"name": "mira"})).status_code == 404
        assert (await client.get("/acknowledge/%3Cb%3E")).status_code == 404
        refusals = [line for line in run.engine.lines if isinstance(line.entry.fact, f.CommandRefused)]
        assert len(refusals) == WRONG_CODES
        assert (await client.post(f"/acknowledge/{run.code}", data={"name": "mira"})).status_code == 200
        assert (await client.post(f"/acknowledge/{run.code}", data={"name": "sam"})).status_code == 409
    assert [one.person for one in run.acknowledged] == ["mira"]


async def test_every_answer_keeps_the_code_from_leaking(run):
    """No cache, no referrer, no script, no frame: on errors and unknown paths as well."""
    async with run.listening() as client:
        for path in (f"/acknowledge/{run.code}", "/acknowledge/x", "/nowhere", "/slack/interactions"):
            headers = (await client.get(path)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "no-referrer"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "server" not in headers


async def test_a_form_that_is_too_long_or_no_form_is_refused(run):
    """A body is read to its limit and no further."""
    async with run.listening() as client:
        long = await client.post(f"/acknowledge/{run.code}", data={"name": "x" * listener.LONGEST_FORM})
        assert long.status_code == 413
        assert (await client.post(f"/acknowledge/{run.code}", content=b"\xff\xfe")).status_code == 400
        many = "&".join(f"a{n}=1" for n in range(30)).encode()
        assert (await client.post(f"/acknowledge/{run.code}", content=many)).status_code == 400
    assert run.acknowledged == []


# --- Slack


async def test_a_signed_button_acknowledges_with_the_slack_user(run):
    """By the code in the button's value; Slack's user is the person that [people] names. (P43)"""
    async with run.listening() as client:
        done = await pressed(client, click(f"ack {run.chat_code}"))
        assert (done.status_code, done.content) == (200, b"")
        (said,) = run.on_disk()
    assert (said.id, said.person, said.via, said.integration) == ("x-slack-release-ack", "mira", "slack", "slack")


@pytest.mark.parametrize("kind", ["block_actions", "interactive_message"])
async def test_the_token_of_the_message_is_enough(run, kind):
    """Slack has signed that the button belongs to this message; a user who is not in [people] keeps Slack's id."""
    async with run.listening() as client:
        body = click("ack", user="U0EVE99", kind=kind, text="[TEST] please acknowledge (x-slack-release-ack)")
        assert (await pressed(client, body)).status_code == 200
    assert [(one.id, one.person) for one in run.acknowledged] == [("x-slack-release-ack", "slack:U0EVE99")]


async def test_the_channel_tells_two_receivers_of_one_alert_apart(run):
    """Where a message names several probes, only the one of the channel that the button is in is acknowledged."""
    text = "x-slack-release-ack x-slack-ops-ack"
    async with run.listening(**{"slack-release": "C1", "slack-ops": "C2"}) as client:
        assert (await pressed(client, click("ack", channel="C2", text=text))).status_code == 200
        assert (await pressed(client, click("ack", channel="C9", text=text))).status_code == 404
    assert [one.id for one in run.acknowledged] == ["x-slack-ops-ack"]


async def test_a_signature_that_does_not_hold_is_refused(run):
    """Wrong secret, changed body, none at all: 401, and nothing is on record."""
    body = click(run.chat_code)
    async with run.listening() as client:
        assert (await pressed(client, body, secret="other")).status_code == 401
        changed = await client.post("/slack/interactions", content=body + b"x", headers=signature(body))
        assert changed.status_code == 401
        assert (await client.post("/slack/interactions", content=body)).status_code == 401
        odd = {**signature(body), "X-Slack-Request-Timestamp": "٣"}
        raw = [(name.encode(), value.encode()) for name, value in odd.items()]
        assert (await client.post("/slack/interactions", content=body, headers=raw)).status_code == 401
    assert run.acknowledged == []


@pytest.mark.parametrize(("off", "status"), [(-301, 401), (301, 401), (-290, 200)])
async def test_an_old_request_is_not_heard_again(run, off, status):
    """A signature holds for five minutes, either way."""
    body = click(run.chat_code)
    async with run.listening() as client:
        assert (await pressed(client, body, at=Clock().wall() + off)).status_code == status
    assert len(run.acknowledged) == (status == 200)


@pytest.mark.parametrize(
    "body",
    [
        {"user": "USLACKBOT"},
        {"user": "B0BOT123"},
        {"who": {"is_bot": True}},
        {"who": {"bot_id": "B1"}},
        {"user": "<b>"},
    ],
)
async def test_a_bot_is_no_person(run, body):
    """What a machine presses proves nothing. (P43)"""
    async with run.listening() as client:
        assert (await pressed(client, click(run.chat_code, **body))).status_code == 403
    assert run.acknowledged == []


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", '{"type":"view_submission"}', '{"type":"block_actions"}', "[" * 9999]
)
async def test_a_payload_of_another_shape_is_refused(run, payload):
    """Signed nonsense is nonsense: 400."""
    body = urlencode({"payload": payload}).encode()
    async with run.listening() as client:
        assert (await pressed(client, body)).status_code == 400


async def test_slack_cannot_speak_for_a_mail(run):
    """A button is pressed in Slack: the code of a mail is not acknowledged by it. An unknown code is 404."""
    async with run.listening() as client:
        assert (await pressed(client, click(run.code))).status_code == 404
        assert (await pressed(client, click("AAAAAAAAAA"))).status_code == 404
    assert run.acknowledged == []


async def test_without_a_secret_slack_is_not_heard(run):
    """An unsigned world has no such address."""
    async with run.listening(secret="") as client:
        body = click(run.chat_code)
        assert (await pressed(client, body, secret="")).status_code == 404


async def test_an_escalation_probe_cannot_be_acknowledged(run):
    """It is left unanswered on purpose: it has no code, and its token is nobody's."""
    run.sent("slack-esc", ("slack",), "escalate")
    code = run.engine.codes.of(("x-slack-esc-esc", "slack"))
    async with run.listening() as client:
        assert (await pressed(client, click(code))).status_code == 404
        assert (await pressed(client, click("ack", text="x-slack-esc-esc"))).status_code == 404


# --- the process


async def test_an_address_that_is_taken_is_said(run):
    """Two runs cannot listen at one place: the second says so instead of sending dead links."""
    async with run.listening() as client:
        port = client.base_url.port
        handle = LocalHandle(run.engine, f.Actor(console=LISTENER))
        with pytest.raises(InputError, match=re.escape(f"127.0.0.1:{port}: cannot be used")):
            async with listener.serving(handle, listener.Settings(), Clock(), "127.0.0.1", port):
                pass


async def test_no_code_is_put_on_record(run):
    """Not what was right, not what was wrong: the journal holds no code."""
    async with run.listening() as client:
        await client.post("/acknowledge/AAAABBBBCC", data={"name": "mira"})
        await client.post(f"/acknowledge/{run.code}", data={"name": "mira"})
        await pressed(client, click(run.chat_code))
    run.engine.journal.flush()
    journal = run.path.read_text()
    assert not [code for code in (run.code, run.chat_code, "AAAABBBBCC") if code in journal]
