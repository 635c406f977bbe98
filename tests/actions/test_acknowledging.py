"""2.2 with what people said by command, link or button: the hop t6 of mail, chat and webhook receivers."""

import json
from dataclasses import replace

import pytest

from ray_tui.actions import alert_paths
from ray_tui.actions.probe_codes import PLACEHOLDER
from ray_tui.actions.probe_sightings import Sighting, Stamp, heard, placed
from ray_tui.analysis.hops import Interval
from ray_tui.core import facts as f
from ray_tui.core.errors import InputError
from tests.actions.probe_world import World
from tests.fakes import FakeContext, actual, verdicts

ROUTES = {
    "mail-audit": [({"severity": "critical"}, ("mail-audit",))],
    "slack-release": [({"severity": "critical"}, ("slack-release",))],
    "hook": [({"severity": "critical"}, ("hook",))],
}


class Saying(FakeContext):
    """Somebody says it, so many seconds after each probe was sent."""

    says = f.ProbeAcknowledged(id="", at=0.0, person="mira", via="command", integration="email")
    after = 3.0

    async def sleep(self, seconds):
        await super().sleep(seconds)
        for probe in list(self.state.probes.values()):
            due = probe.intended.starts_at + self.after
            if not probe.acknowledged and probe.intended.purpose == "acknowledge" and self.now() >= due:
                kind = next(one for one in (*probe.intended.integrations, "") if one != "pagerduty")
                told = {"id": probe.intended.id, "at": due, "integration": kind or "slack"}
                self.apply(self.says.but(**told))


class Told(World):
    """Nobody replies or reacts; what is known of acknowledging is what was said to us."""

    def __init__(self, folder, receiver, routes=None, **says):
        super().__init__(folder, routes or ROUTES[receiver])
        self.says = says
        for inbox in (self.mail, self.chat, self.webhook):
            inbox.acknowledges_after = None
        self.people = {"mira": {"name": "Mira Example"}}

    def context(self, **more):
        context = super().context(**more)
        context.__class__ = Saying
        context.after = self.says.pop("after", 3.0)
        context.says = Saying.says.but(**self.says)
        self.seen = context
        return context


def t6(result, receiver):
    return next(row for row in result.data["receivers"] if row["receiver"] == receiver)["hops"]["t6"]


@pytest.mark.parametrize("receiver", ["mail-audit", "slack-release", "hook"])
@pytest.mark.parametrize(
    ("via", "source"),
    [("command", "acknowledge command"), ("link", "acknowledge link"), ("slack", "signed Slack action")],
)
async def test_what_a_person_says_is_the_acknowledgement(tmp_path, receiver, via, source):
    """Timed by our own clock to the moment, with the person's name and where we heard it. (P43)"""
    world = Told(tmp_path, receiver, via=via)
    result = await world.tested()

    assert verdicts(result)[f"alert_paths.ack:{receiver}"] == "passed"
    assert "after 3.0 s by Mira Example" in actual(result, f"alert_paths.ack:{receiver}")
    hop = t6(result, receiver)
    assert source in hop["source"]
    assert hop["earliest"] == hop["latest"]


async def test_nobody_says_anything_and_nobody_is_believed(tmp_path):
    """Without a word, a reply or a reaction the path fails. (P46)"""
    world = Told(tmp_path, "mail-audit", after=1e9)
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:mail-audit"] == "failed"
    assert "not_acknowledged" in actual(result, "alert_paths.ack:mail-audit")


async def test_a_word_after_the_sla_is_late(tmp_path):
    """8 s are allowed, 8.5 s it took."""
    result = await Told(tmp_path, "mail-audit", after=8.5).tested()

    assert verdicts(result)["alert_paths.ack:mail-audit"] == "failed"
    assert "late" in actual(result, "alert_paths.ack:mail-audit")


@pytest.mark.parametrize("receiver", ["mail-audit", "slack-release", "hook"])
async def test_our_own_word_is_auto_ack(tmp_path, receiver):
    """What ray-tui sends itself proves that no person was there. (P43)"""
    result = await Told(tmp_path, receiver, machine=True).tested()

    assert verdicts(result)[f"alert_paths.ack:{receiver}"] == "failed"
    assert "auto_ack at t6" in actual(result, f"alert_paths.ack:{receiver}")


async def test_a_pager_has_to_be_answered_on_the_pager(tmp_path):
    """The command does not replace it: that somebody tried is said, and the page counts as unanswered."""
    world = Told(tmp_path, "", routes=[({"severity": "critical"}, ("pd-checkout",))])
    world.paging.acknowledges_after = None
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:pd-checkout"] == "failed"
    (said,) = [one for one in world.seen.of_kind(f.ProbeProblem) if one.problem == "not_by_pager"]
    assert not said.blocks
    assert "Mira Example acknowledged it by command" in said.detail


async def test_the_message_holds_the_code_and_the_record_does_not(tmp_path):
    """Only who received it knows it: what is journalled and written as evidence has a placeholder."""
    world = Told(tmp_path, "mail-audit")
    sent = []
    fire = world.alerting.fire

    async def spy(alert):
        sent.append(alert)
        return await fire(alert)

    world.alerting.fire = spy
    result = await world.tested()

    (intended,) = world.seen.of_kind(f.ProbeIntended)
    code = world.seen.acknowledge_code(intended.id, "email")
    assert [f"`ray-tui acknowledge {code}`" in one.annotations["acknowledge"] for one in sent] == [True] * len(sent)
    assert intended.annotations["acknowledge"].startswith("[TEST] To acknowledge at mail-audit (email): ")
    assert PLACEHOLDER in intended.annotations["acknowledge"]
    on_record = "".join(str(one.to_json()) for one in world.seen.recorded) + json.dumps(result.data)
    assert code not in on_record


async def test_a_link_stands_in_the_message_where_one_is_configured(tmp_path):
    """And a pager's message names neither: it has a button of its own."""
    world = Told(tmp_path, "", routes=[({"severity": "critical"}, ("pd-checkout", "mail-audit"))])
    context = world.context()
    settings = context.config.acknowledge.model_copy(update={"listen": "127.0.0.1:1", "url": "https://ack.example/"})
    object.__setattr__(context.config, "acknowledge", settings)
    await alert_paths.run(context)
    texts = {one.receiver: one.annotations.get("acknowledge", "") for one in context.of_kind(f.ProbeIntended)}
    assert f"https://ack.example/acknowledge/{PLACEHOLDER}" in texts["mail-audit"]
    assert "pd-checkout" not in "".join(texts.values())


async def test_a_resumed_attempt_takes_what_was_said_meanwhile(tmp_path):
    """The host died after the send; the word came in before it, and is on record."""
    world = Told(tmp_path, "mail-audit", after=2.0)
    await world.tested()
    facts = world.seen.recorded
    said = next(n for n, one in enumerate(facts) if isinstance(one, f.ProbeAcknowledged))
    kept = [one for one in facts[: said + 1] if not isinstance(one, f.RunOpened | f.StepStarted)]

    result = await world.tested(resumed=True, facts=kept)

    assert verdicts(result)["alert_paths.ack:mail-audit"] == "passed"
    assert "after 2.0 s by Mira Example" in actual(result, "alert_paths.ack:mail-audit")


async def test_nobody_acknowledges_what_has_not_arrived(tmp_path):
    """One alert, one text: a mail's code that was read elsewhere proves nothing of the mail, which came later."""
    world = Told(tmp_path, "mail-audit", after=1.0)
    world.mail.delay_seconds = 4.0
    result = await world.tested()

    assert verdicts(result)["alert_paths.ack:mail-audit"] != "passed"
    assert "impossible_order" in {one.problem for one in world.seen.of_kind(f.ProbeProblem)}


async def test_what_is_said_of_one_receiver_says_nothing_of_another(tmp_path):
    """Mail and chat get the same alert; whoever answered the mail has not seen the chat."""
    world = Told(tmp_path, "", routes=[({"severity": "critical"}, ("mail-audit", "slack-release"))])
    context = world.context()

    async def only_mail(seconds):
        await FakeContext.sleep(context, seconds)
        for probe in list(context.state.probes.values()):
            if probe.intended.receiver == "mail-audit" and not probe.acknowledged:
                at = context.now()
                context.apply(context.says.but(id=probe.intended.id, at=at))

    context.sleep = only_mail
    result = await alert_paths.run(context)

    found = verdicts(result)
    assert found["alert_paths.ack:mail-audit"] == "passed"
    assert found["alert_paths.ack:slack-release"] == "failed"


async def test_a_probe_is_cleared_even_where_its_key_cannot_be_read(tmp_path):
    """Nothing that is out may stay out because a code is not to be had."""
    world = Told(tmp_path, "mail-audit")
    context = world.context()
    codes, asked = context.acknowledge_code, []

    def once(probe, integration):
        asked.append(probe)
        if len(asked) > 1:
            raise InputError("acknowledge.key: may be read by others")
        return codes(probe, integration)

    context.acknowledge_code = once
    await alert_paths.run(context)

    assert world.firing() == []
    assert [one.clean for one in context.of_kind(f.ProbeCleared)] == [True]


SAID = f.ProbeAcknowledged(id="p", at=100.0, person="Mira", via="link", integration="email", detail="typed")


def test_the_earlier_of_a_reply_and_a_word_counts():
    """A reply's date is its channel's; without one our own hearing is the exact one."""
    arrived = Sighting(delivered=Stamp(90.0))
    replied = replace(arrived, acknowledged=Stamp(95.0, 1.0, "lee", "reply"))
    undated = replace(arrived, acknowledged=Stamp(None, 0.001, "lee", "reaction"))

    assert heard(arrived, []) == arrived
    assert heard(replied, [SAID]).acknowledged == replied.acknowledged
    assert heard(undated, [SAID]).acknowledged == Stamp(100.0, 0.0, "Mira", "typed", "acknowledge link")
    later = replace(arrived, acknowledged=Stamp(105.0, 1.0, "lee", "reply"))
    assert heard(later, [SAID]).acknowledged.who == "Mira"


def test_what_we_heard_ourselves_needs_no_clock_but_ours():
    """No look and no skew widens it."""
    stamp = heard(Sighting(delivered=Stamp(90.0)), [SAID]).acknowledged
    assert placed(stamp, 0.0, 300.0, (-20.0, 20.0)) == (Interval(100.0, 100.0), "acknowledge link")
    assert placed(stamp, 0.0, 300.0, None) == (Interval(100.0, 100.0), "acknowledge link")
