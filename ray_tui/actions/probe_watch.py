"""Sends the probes of one attempt and follows each until nothing is left to wait for."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ray_tui.actions import probe_cleanup as cleanup
from ray_tui.actions import probe_hooks as hooks
from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_alert import Alert, everywhere, record
from ray_tui.actions.probe_asking import Answers, ask_all, channel_of, earlier
from ray_tui.actions.probe_codes import note_unheard, private, said_of
from ray_tui.actions.probe_counter import SentCounter
from ray_tui.actions.probe_judging import WEBHOOKS, Leg, Limits, Look, Skew
from ray_tui.actions.probe_sightings import NOTHING, Sighting, by_pager, heard, in_chat, in_mailbox, shares
from ray_tui.analysis.hops import Interval
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import AlertSeen, Page, SideEffect
from ray_tui.core.untrusted import line
from ray_tui.step import Context


@dataclass
class Watch:
    """Everything that one attempt has in the air."""

    context: Context
    alerts: list[Alert]
    limits: Limits
    skews: Mapping[str, Skew]
    names: Mapping[str, str]
    """Pager user id -> name."""
    prefix: str
    rota: planning.Rota
    escalation_of: Callable[[Alert, Sequence[Leg]], Alert | None] = lambda _alert, _legs: None
    """The escalation probe for legs whose policy is not proved yet, or None where it must not be sent."""
    covered: set[str] = field(default_factory=set)
    """Policies with an escalation probe."""
    began: float = 0.0
    said: str = ""
    sent: SentCounter = field(default_factory=SentCounter)
    trouble: dict[str, list[str]] = field(default_factory=dict)
    """System -> what it said each time that it was asked in vain."""

    # --- the loop

    async def run(self) -> None:
        """Until every probe is cleared. Whatever happens inside, every alert is resolved before it returns."""
        try:
            self.began = self.context.now()
            self.sent.expect(self.alerts)
            self.sent.events.skew = self.skews.get("alerting")
            await self.sent.begin(self.context, self.alerts)
            await self._send([one for one in self.alerts if one.phase == "unsent"])
            while any(one.phase != "cleared" for one in self.alerts):
                answers = await ask_all(self.context, self.alerts, self.prefix, earlier(self.skews))
                await self._take(answers)
                await self._escalate()
                await self._progress()
                if any(one.phase != "cleared" for one in self.alerts):
                    await self.context.sleep(self.context.config.alert_paths.poll_seconds)
        finally:
            await cleanup.drop(self.context, [one for one in self.alerts if one.phase not in ("cleared", "unsent")])

    async def _send(self, alerts: Sequence[Alert]) -> None:
        """All at once; each is on record before it goes out."""
        for outcome in await asyncio.gather(*(self._send_one(one) for one in alerts), return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _send_one(self, alert: Alert) -> None:
        if alert.phase == "unsent":
            self._start(alert)
            alert.phase = "watching"
            await self.context.record(*(self.intended(alert, leg) for leg in alert.legs))
        alert.phase = "watching"
        await self._post(alert)
        await record(self.context, alert)

    def _start(self, alert: Alert) -> None:
        """Its time begins now; how long it may live was planned."""
        lives = alert.ends_at - alert.starts_at
        alert.starts_at = self.context.now()
        alert.ends_at = alert.starts_at + lives
        for leg in alert.legs:
            leg.starts_at = alert.starts_at

    def intended(self, alert: Alert, leg: Leg) -> f.ProbeIntended:
        return f.ProbeIntended(
            id=leg.id, step=self.context.step, receiver=leg.receiver, purpose=leg.purpose, how=leg.how,
            labels=alert.labels,
            annotations=alert.annotations, starts_at=alert.starts_at, ends_at=alert.ends_at,
            integrations=tuple(one.kind for one in leg.channels for _ in range(one.expected)), pages=leg.pages,
            sla_seconds=self.limits.sla, escalation_seconds=leg.escalation_limit,
            delivery_seconds=self.limits.delivery,
        )  # fmt: skip

    async def _post(self, alert: Alert) -> None:
        assert self.context.ports.alerting is not None
        try:
            answers = await self.context.ports.alerting.fire(alert.to_fire(private(self.context, alert)))
        except BackendError as error:
            everywhere(alert, "unsent", "t1", f"Alertmanager did not take it: {error}")
            return
        accepted = [one for one in answers if one.ok]
        first = max(alert.starts_at, min((one.sent_at for one in answers), default=alert.starts_at))
        for leg in alert.legs:
            leg.saw("t0", Interval(alert.starts_at, first), "our clock")
        if not accepted:
            everywhere(alert, "unsent", "t1", "; ".join(f"{one.peer}: {one.detail}" for one in answers))
        elif len(accepted) == len(answers):
            when = Interval(max(first, *(o.sent_at for o in answers)), max(first, *(o.answered_at for o in answers)))
            for leg in alert.legs:
                leg.saw("t1", when, "answer of every peer", detail=", ".join(one.peer for one in answers))
        else:
            down = "; ".join(f"{one.peer}: {one.detail}" for one in answers if not one.ok)
            everywhere(alert, "peer_down", "t1", f"not accepted by every Alertmanager peer: {down}")

    async def _progress(self) -> None:
        over = [leg for alert in self.alerts for leg in alert.legs if leg.done]
        legs = [leg for alert in self.alerts for leg in alert.legs]
        waiting = ", ".join(f"{leg.receiver} ({leg.purpose})" for leg in legs if not leg.done)
        text = f"waiting for {waiting}" if waiting else "clearing up"
        if text != self.said:
            self.said = text
            await self.context.progress(text, len(over), len(legs))

    # --- what the answers mean

    async def _take(self, answers: Answers) -> None:
        for system, said in answers.failed.items():
            self.trouble.setdefault(system, []).append(said)
        await self.sent.look(self.context, self.alerts)
        if self.sent.events.trouble:
            self.trouble.setdefault("alerting", []).append(self.sent.events.trouble)
        for alert in self.alerts:
            if alert.phase == "unsure":
                await self._make_sure(alert, answers)
            if alert.phase == "watching":
                await self._follow(alert, answers)
        await self.sent.take(self.context, self.alerts, answers.began)
        for alert in self.alerts:
            await record(self.context, alert)
            if alert.phase == "clearing":
                await cleanup.check_cleared(self.context, alert, answers)
            elif alert.phase == "watching" and all(leg.done for leg in alert.legs):
                self._note_trouble(alert)
                self.sent.close()
                await cleanup.begin_clearing(self.context, alert)

    @property
    def side_effect(self) -> SideEffect:
        """What may be done about a send whose outcome is unknown."""
        assert self.context.ports.alerting is not None
        return self.context.ports.alerting.side_effect

    async def _make_sure(self, alert: Alert, answers: Answers) -> None:
        """Whether a host that died had sent it.

        Sent again only when every system answered and none knows it, or where sending twice is sending once; where
        neither can be relied on it is never sent again.
        """
        needed = {"alerting"} | alert.systems
        known = bool(
            answers.alerts.get(alert.token) or answers.pages.get(alert.token) or answers.mails.get(alert.token)
            or any(rows for key, rows in answers.receipts.items() if key[0] == alert.token)
            or any(key[0] == alert.token for key in answers.messages)
        )  # fmt: skip
        if known:
            alert.phase = "watching"
            for leg in alert.legs:
                leg.saw("t0", Interval(alert.starts_at, alert.starts_at), "our journal")
            await self._accepted_before(alert, answers)
        elif self.side_effect is SideEffect.NONE:
            if self.context.now() >= alert.starts_at + self.limits.delivery + self.limits.margin:
                where = ", ".join(leg.receiver for leg in alert.legs)
                why = (
                    "the host died around the send, which cannot be repeated: only a person can tell whether it is "
                    f"out; look for {alert.token} at {where}"
                )
                everywhere(alert, "unknown", "t1", why)
                self._finish(alert)
        elif needed <= set(answers.ended) or self.side_effect is SideEffect.DEDUP:
            if self.context.now() < alert.ends_at:
                await self._send_one(alert)
                return
            everywhere(alert, "unknown", "t1", "the host died around the send, and its time is over: test again")
            self._finish(alert)
        elif self.context.now() >= max(alert.ends_at, self.began + self.limits.patience):
            silent = ", ".join(sorted(needed - set(answers.ended)))
            everywhere(alert, "unreadable", "t1", f"the host died around the send, and {silent} does not answer")
            self._finish(alert)

    async def _accepted_before(self, alert: Alert, answers: Answers) -> None:
        """It went out before the host died; only what every peer holds now proves that every peer took it."""
        assert self.context.ports.alerting is not None
        holding = {one.peer for one in answers.alerts.get(alert.token, ())}
        if holding >= set(self.context.ports.alerting.peers):
            for leg in alert.legs:
                when = Interval(alert.starts_at, answers.ended["alerting"])
                leg.saw("t1", when, "seen on every peer after a restart", detail=", ".join(sorted(holding)))
        elif holding:
            missing = ", ".join(sorted(set(self.context.ports.alerting.peers) - holding))
            everywhere(alert, "peer_unknown", "t1", f"the host died before {missing} was heard: test again")

    def _finish(self, alert: Alert) -> None:
        alert.phase = "watching"
        for leg in alert.legs:
            leg.done = True

    async def _follow(self, alert: Alert, answers: Answers) -> None:
        if "alerting" in answers.ended:
            await self._active(alert, answers)
        paged = self._shares(alert, answers)
        for number, leg in enumerate(alert.legs):
            if leg.done:
                continue
            looks: dict[str, Look] = {}
            for channel in leg.channels:
                system = channel.system
                if channel.blind or system not in answers.ended:
                    continue
                seen = self._sighting(alert, leg, channel.kind, number, answers, paged)
                seen = heard(seen, said_of(self.context, leg, channel.kind))
                looks[channel.kind] = Look(
                    seen, answers.began, answers.ended[system], alert.previous.get(system, alert.starts_at)
                )
            leg.take(looks, self.skews, self.names)
            note_unheard(self.context, leg)
            looked = dict.fromkeys(answers.ended, answers.began)
            last = {system: said[-1] for system, said in self.trouble.items()}
            where = self._whereabouts(alert, leg)
            leg.settle({**alert.previous, **looked}, self.context.now(), self.limits, where, last)
        alert.previous.update(dict.fromkeys(answers.ended, answers.began))

    def _whereabouts(self, alert: Alert, leg: Leg) -> dict[str, tuple[str, str]]:
        """Where the notifications that have not arrived have stopped, as far as Alertmanager lets us know."""
        waiting = [one.kind for one in leg.channels if not one.blind and one.delivered is None]
        if "alerting" in alert.previous and not alert.shown and not leg.has("peer_down", "unsent"):
            return dict.fromkeys(waiting, ("t2", "Alertmanager accepted it and has never shown it"))
        limit = leg.fired.latest + min(self.limits.delivery, self.limits.sla)
        found = {kind: self.sent.stopped(alert, leg, kind, self.alerts, limit) for kind in waiting}
        return {kind: ("t3", why) for kind, why in found.items() if why}

    def _note_trouble(self, alert: Alert) -> None:
        """Systems that were asked in vain, and answered in the end: nothing blocks, and it is said."""
        for leg in (one for one in alert.legs if not one.has("unreadable", "unsteady")):
            asked = {"alerting"} | {one.system for one in leg.channels if not one.blind}
            told = [f"{name} failed {len(said)} ×: {said[-1]}" for name, said in self.trouble.items() if name in asked]
            if told:
                leg.problem("unsteady", "t4", "; ".join(told), blocks=False)

    def _shares(self, alert: Alert, answers: Answers) -> dict[str, tuple[Page, ...]]:
        pagers = [leg.receiver for leg in alert.legs if any(one.kind == "pagerduty" for one in leg.channels)]
        legs = {receiver: planning.policies_meant(receiver, self.rota) for receiver in pagers}
        return shares(answers.pages.get(alert.token, ()), legs)

    def _sighting(
        self, alert: Alert, leg: Leg, kind: str, number: int, answers: Answers, paged: Mapping[str, tuple[Page, ...]]
    ) -> Sighting:
        before = alert.legs[:number]
        if kind == "pagerduty":
            return by_pager(paged.get(leg.receiver, ()))
        if kind == "slack":
            channel = channel_of(self.context, leg)
            same = [one for one in before if channel_of(self.context, one) == channel]
            return in_chat(answers.messages.get((alert.token, channel), ()), len(same))
        if kind == "email":
            mailed = [one for one in before if any(c.kind == "email" and not c.blind for c in one.channels)]
            own = str((self.context.config.mail or {}).get("from_address", ""))
            return in_mailbox(answers.mails.get(alert.token, ()), len(mailed), own)
        return hooks.seen(alert, leg, kind, answers.receipts) if kind in WEBHOOKS else NOTHING

    async def _active(self, alert: Alert, answers: Answers) -> None:
        assert self.context.ports.alerting is not None
        seen = answers.alerts.get(alert.token, [])
        alert.shown = alert.shown or bool(seen)
        ended = answers.ended["alerting"]
        sent = alert.legs[0].floor
        when = Interval(min(max(alert.previous.get("alerting", sent), sent), ended), ended)
        held = [one for one in seen if one.state == "suppressed"]
        if held:
            everywhere(alert, "suppressed", "t2", await self._why_held(held))
        peers = {one.peer for one in seen if one.state == "active"}
        if not held and peers >= set(self.context.ports.alerting.peers):
            for leg in alert.legs:
                leg.saw("t2", when, "GET alerts of every peer", detail=", ".join(sorted(peers)))

    async def _why_held(self, held: Sequence[AlertSeen]) -> str:
        assert self.context.ports.alerting is not None
        by = {name: {i for one in held for i in getattr(one, name)} for name in _HOLDERS}
        try:
            silences = {one.id: one for one in await self.context.ports.alerting.silences()}
        except BackendError:
            silences = {}
        told = []
        for name, noun in _HOLDERS.items():
            for holder in sorted(by[name]):
                silence = silences.get(holder)
                whose = (
                    " " + line(f"of {silence.created_by}: {silence.comment}")
                    if silence and name == "silenced_by"
                    else ""
                )
                told.append(f"{noun} {holder}{whose}")
        return f"held back by {', '.join(told) or 'Alertmanager, which does not say why'}"

    # --- escalation

    async def _escalate(self) -> None:
        """Once the pages of an alert have arrived, a second probe for every policy that has none yet."""
        fresh: list[Alert] = []
        for alert in self.alerts:
            if alert.purpose != "acknowledge" or alert.phase == "unsure":
                continue
            pagers = [leg for leg in alert.legs if any(one.kind == "pagerduty" for one in leg.channels)]
            arrived = [leg for leg in pagers if leg.policy_id and leg.policy_id not in self.covered]
            waiting = [leg for leg in pagers if not leg.policy_id and not leg.done]
            if arrived and not waiting and not any(leg.has("suppressed", "interrupted", "auto_ack") for leg in arrived):
                one_each = list({leg.policy_id: leg for leg in arrived}.values())
                self.covered.update(leg.policy_id for leg in one_each)
                planned = self.escalation_of(alert, one_each)
                await record(self.context, alert)
                if planned is not None:
                    fresh.append(planned)
        if fresh:
            self.sent.close()
            self.alerts += fresh
            await self._send(fresh)


_HOLDERS = {"silenced_by": "silence", "inhibited_by": "the alert", "muted_by": "the time interval"}
