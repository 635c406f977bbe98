"""Grafana contact points, tested by Grafana itself: what it says, and what is seen to arrive; no route is proved."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ray_tui.actions import probe_build as build
from ray_tui.actions import probe_cleanup as cleanup
from ray_tui.actions import probe_hooks as hooks
from ray_tui.actions import probe_plan as planning
from ray_tui.actions.probe_asking import earlier
from ray_tui.actions.probe_judging import SYSTEM_OF, WEBHOOKS, Channel, Limits, Skew, span
from ray_tui.actions.probe_sightings import NOTHING, Sighting, Turn, by_pager, by_webhook, in_chat, in_mailbox, placed
from ray_tui.analysis.hops import Interval, elapsed
from ray_tui.clock import iso
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import ContactIntegration, ContactPoint, Page
from ray_tui.core.state import Intent
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict, combine
from ray_tui.step import Context, criterion

BYPASSES = "bypasses notification policies"
"""What is said of every such test, everywhere."""
ALERTNAME = "RayTuiContactPoint"
KIND = "contact_point"
"""``data.kind`` of the intents."""
GRAFANA_SECONDS = 30.0
"""How long Grafana may take to try every integration of one contact point."""
REMEDY = "Open the contact point in Grafana, repair the integration that is named, and test again"
REQUIRED = f"Grafana says ok and every integration is seen to deliver; {BYPASSES}: it proves no route"


# --- what is known ---------------------------------------------------------------------------------------------------


@dataclass
class Part:
    """One integration of a contact point. ``place``: where in its system what it brought must be."""

    uid: str
    channel: Channel
    place: str = ""
    turn: Turn = field(default_factory=Turn)
    """Which of the messages there is its own."""
    status: str = ""
    """What Grafana says: ok, failed, unknown; empty: it has not said anything."""
    error: str = ""
    previous: float = 0.0
    """When the last good look began that did not show it."""
    lost: bool = False

    @property
    def settled(self) -> bool:
        return bool(self.channel.blind) or self.lost or self.channel.delivered is not None


@dataclass
class Point:
    """One contact point in this attempt. ``spared`` is why no test is sent, with its verdict and what to do."""

    name: str
    token: str
    parts: list[Part] = field(default_factory=list)
    pages: tuple[planning.Paged, ...] = ()
    spared: tuple[Verdict, str, str] | None = None
    begun: bool = False
    """On record as intended: it is never sent again."""
    sent: Interval | None = None
    over: float = 0.0
    """From when on Grafana sends nothing of it any more."""
    unknown: str = ""
    """Why nobody but a person can tell whether it went out."""
    trouble: dict[str, str] = field(default_factory=dict)
    """System -> what it said when it was last asked in vain."""
    left: tuple[str, ...] = ()
    cleared: bool = False

    @property
    def label(self) -> str:
        return f"{self.name} ({', '.join(one.channel.kind for one in self.parts)})"

    @property
    def pagers(self) -> list[Part]:
        return [one for one in self.parts if one.channel.kind == "pagerduty"]

    @property
    def as_stored(self) -> ContactPoint:
        return ContactPoint(self.name, tuple(ContactIntegration(one.uid, one.channel.kind) for one in self.parts))

    def spare(self, verdict: Verdict, why: str, remedy: str) -> None:
        if self.spared is None and not self.begun:
            self.spared = (verdict, why, remedy)


def token(prefix: str, name: str) -> str:
    """As a probe's, and no part of any probe's."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{prefix}{slug}-{hashlib.sha256(f'contact point {name}'.encode()).hexdigest()[:6]}-gcp"


# --- plan ------------------------------------------------------------------------------------------------------------


async def plan(context: Context, prefix: str, rota: planning.Rota, limits: Limits) -> list[Point]:
    """Every contact point that the configuration names: begun before a crash, to be tested, or spared."""
    names = dict.fromkeys(context.config.alert_paths.grafana_contact_points)
    points = [_begun(context, name, token(prefix, name)) or Point(name, token(prefix, name)) for name in names]
    fresh = [one for one in points if not one.begun]
    grafana = context.ports.contact_points
    if not fresh:
        return points
    if grafana is None:
        for one in fresh:
            one.spare(Verdict.ERROR, "no [dashboards] of kind grafana is configured to test it", "Configure it")
        return points
    try:
        known = {one.name: one for one in await grafana.contact_points()}
    except BackendError as error:
        for one in fresh:
            one.spare(Verdict.ERROR, f"Grafana's contact points cannot be listed: {error}", "Repair it, test again")
        return points
    for one in fresh:
        if one.name not in known:
            there = line(", ".join(sorted(known))) or "none"
            one.spare(Verdict.FAILED, f"Grafana has no such contact point; there are: {there}", "Correct its name")
            continue
        one.parts = _parts(context, one.name, known[one.name].integrations)
        _protect(context, one, rota, limits)
    return points


def _parts(context: Context, name: str, integrations: Sequence[ContactIntegration]) -> list[Part]:
    """Several integrations that lead to one place take turns there: one message never proves two of them."""
    settings = context.config.alert_paths
    parts = []
    for one in integrations:
        channel = Channel(one.kind, 1, build.blind(context, name, one.kind))
        if one.kind in WEBHOOKS:
            channel.sink = hooks.sink_of(context, name, one.kind)
        place = {"slack": settings.slack_channels.get(name, "")}.get(one.kind, channel.sink)
        parts.append(Part(one.uid, channel, place))
    for part in parts:
        same = [one for one in parts if (one.channel.system, one.place) == (part.channel.system, part.place)]
        part.turn = Turn(next(n for n, one in enumerate(same) if one is part), 1, len(same))
    return parts


def _protect(context: Context, point: Point, rota: planning.Rota, limits: Limits) -> None:
    """Who may be paged; whoever cannot be named, or must not be, is spared."""
    strange = sorted({one.channel.kind for one in point.parts} - set(SYSTEM_OF))
    if strange:
        why = f"not sent: whom {', '.join(strange)} would reach, ray-tui cannot tell"
        point.spare(Verdict.INCONCLUSIVE, why, "Test it by hand in Grafana, and validate it")
        return
    if not point.pagers:
        return
    if context.ports.paging is None:
        why = "not sent: it may page through pagerduty, and no [paging] is configured to say whom"
        point.spare(Verdict.INCONCLUSIVE, why, "Configure [paging], and test again")
        return
    unanswered = GRAFANA_SECONDS + limits.delivery + limits.margin + limits.patience
    rows: dict[tuple[str, int, str], planning.Paged] = {}
    for policy in planning.policies_meant(point.name, rota):
        for level in rota.levels_called(policy, unanswered):
            for one in rota.at_level(policy, level):
                before = rows.get((one.user_id, level, policy))
                count = len(point.pagers) + (before.count if before else 0)
                rows[one.user_id, level, policy] = planning.Paged(
                    one.user, one.user_id, level, one.until, _whose(point.name), "", count
                )  # without its policy: nobody agrees by it to an escalation probe
    point.pages = tuple(rows.values())
    people, now = context.config.people, context.now()
    reasons = [planning.protected(one.user_id, one.person, people, now) for one in point.pages]
    if any(reasons):
        why = "not sent: " + "; ".join(dict.fromkeys(one for one in reasons if one))
        point.spare(Verdict.INCONCLUSIVE, why, "Test when they may be paged, or change who is on call")
    elif not rota.on_call:
        point.spare(Verdict.INCONCLUSIVE, "not sent: it may page, and nobody is known to be on call", "Repair the rota")


def _whose(name: str) -> str:
    return f"Grafana contact point {name}"


def to_send(points: Iterable[Point]) -> list[Point]:
    return [one for one in points if one.spared is None]


def pages(points: Iterable[Point]) -> list[planning.Paged]:
    """Whom the tests that are to be sent may page."""
    return [row for one in to_send(points) for row in one.pages]


def paged_before(intents: Iterable[Intent], prefix: str, since: float) -> list[str]:
    """Who was expected to be paged by tests of other attempts since then, one name a page."""
    mine = [one for one in intents if one.intended.data.get("kind") == KIND and one.at > since]
    others = [one for one in mine if not str(one.intended.data.get("token", "")).startswith(prefix)]
    rows = [row for one in others for row in one.intended.data.get("pages", ())]
    return [str(row["person"]) for row in rows for _ in range(int(row["count"]))]


def preview(points: Iterable[Point]) -> list[str]:
    """What a person agrees to, beside who is paged."""
    chosen = to_send(points)
    told = ", ".join(one.label for one in chosen)
    return [f"Grafana tests its contact points {told}; that {BYPASSES}."] if chosen else []


# --- carry out -------------------------------------------------------------------------------------------------------


async def carry_out(context: Context, points: Sequence[Point], limits: Limits, skews: Mapping[str, Skew]) -> None:
    """Send what is to be sent, follow it until it has arrived or cannot any more, and close what it opened."""
    mine = to_send(points)
    if not mine:
        return
    names = ", ".join(one.name for one in mine)
    await context.progress(f"Grafana tests {names} ({BYPASSES})")
    try:
        await asyncio.gather(*(_send(context, one) for one in mine if not one.begun))
        while any(not part.settled for one in mine if one.sent for part in one.parts):
            for one in mine:
                await _look(context, one, limits, skews)
            if any(not part.settled for one in mine if one.sent for part in one.parts):
                await context.sleep(context.config.alert_paths.poll_seconds)
    finally:
        for one in (one for one in mine if one.begun and one.pagers):
            await _clear(context, one, skews)


async def _send(context: Context, point: Point) -> None:
    """On record before it goes out. Nothing sends it a second time."""
    grafana = context.ports.contact_points
    assert grafana is not None
    intent = await context.intend(
        f"test Grafana contact point {point.name}", grafana.contact_side_effect, grafana.name,
        name=f"contact-point-{point.token}",
        data={
            "kind": KIND, "contact_point": point.name, "token": point.token, "note": BYPASSES,
            "integrations": [{"uid": one.uid, "kind": one.channel.kind} for one in point.parts],
            "pages": [{"person": one.person, "level": one.level, "count": one.count} for one in point.pages],
        },
    )  # fmt: skip
    point.begun = True
    began = context.now()
    labels = {"alertname": ALERTNAME, planning.PROBE_LABEL: point.token}
    try:
        answer = await grafana.test_contact_point(point.as_stored, labels, _annotations(context, point))
    except BackendError as error:
        if error.may_have_taken_effect:
            point.unknown, point.sent = only_a_person(str(error), point), Interval(began, began)
            point.over = context.now()  # a lost answer was waited for longer than Grafana tries
            await context.outcome(intent, "unknown", point.unknown)
        else:
            point.spared, point.begun = (Verdict.ERROR, str(error), REMEDY), False
            await context.outcome(intent, "failed", str(error))
        return
    point.sent, point.over = Interval(answer.sent_at, answer.sent_at), answer.answered_at
    for part, said in zip(point.parts, answer.outcomes, strict=True):
        part.status, part.error = said.status, said.error
    told = "; ".join(f"{one.channel.kind}: {one.status}{one.error and f' ({one.error})'}" for one in point.parts)
    known = json.dumps({one.uid: one.status for one in point.parts}, sort_keys=True)
    await context.outcome(intent, "done", told, known)


def _annotations(context: Context, point: Point) -> dict[str, str]:
    return {
        "summary": f"[TEST] ray-tui {context.config.run.release}: contact point test, nothing to do ({point.token})",
        "description": (
            f"[TEST] Grafana's own test of contact point {point.name}, asked for by run {build.run_id(context)}, "
            f"{point.token}. Do not acknowledge it: it is closed by itself. No service is affected."
        ),
    }


def only_a_person(why: str, point: Point) -> str:
    return f"{why}; only a person can tell whether it went out: look for {point.token} at {point.label}"


def _begun(context: Context, name: str, token_: str) -> Point | None:
    """What a host that died had begun of it: never sent again, whatever became of it."""
    known = context.state.intents.get(f"{context.step}#{context.attempt}:contact-point-{token_}")
    if known is None:
        return None
    rows = known.intended.data.get("integrations", ())
    point = Point(name, token_, begun=True, sent=Interval(known.at, known.at), over=known.at + GRAFANA_SECONDS)
    point.parts = _parts(context, name, [ContactIntegration(str(row["uid"]), str(row["kind"])) for row in rows])
    point.pages = tuple(
        planning.Paged(str(row["person"]), "", int(row["level"]), None, _whose(name), "", int(row["count"]))
        for row in known.intended.data.get("pages", ())
    )  # as it was confirmed
    outcome = known.outcome
    if outcome is None:
        point.unknown = only_a_person("the host died around the send, which cannot be repeated", point)
    elif outcome.outcome == "failed":
        point.spared, point.begun = (Verdict.ERROR, outcome.detail, REMEDY), False
    elif outcome.outcome == "unknown":
        point.unknown = outcome.detail
    else:
        said = json.loads(outcome.reference or "{}")
        for part in point.parts:
            part.status = str(said.get(part.uid, "unknown"))
            part.error = "" if part.status == "ok" else outcome.detail
    return point


# --- look ------------------------------------------------------------------------------------------------------------


async def _look(context: Context, point: Point, limits: Limits, skews: Mapping[str, Skew]) -> None:
    """One round: every system that is still to show something of it is asked for its token."""
    if point.sent is None:
        return
    began, since = context.now(), point.sent.earliest - earlier(skews)
    until = point.over + limits.delivery
    waiting = [one for one in point.parts if not one.settled]
    for group in {(one.channel.system, one.place): one for one in waiting}.values():
        system = group.channel.system
        try:
            found = await _ask(context, group, point.token, since)
        except BackendError as error:
            point.trouble[system] = str(error)
            for part in (one for one in waiting if one.channel.system == system and one.place == group.place):
                part.lost = began >= until + limits.margin + limits.patience
            continue
        ended = context.now()
        for part in (one for one in waiting if one.channel.system == system and one.place == group.place):
            seen = _sighting(context, part, found)
            if seen.delivered is not None:
                floor = max(part.previous, point.sent.latest)
                part.channel.delivered, part.channel.source = placed(seen.delivered, floor, ended, skews.get(system))
                part.channel.where = seen.delivered.who
            part.previous, part.lost = began, began >= until + limits.margin
            point.trouble.pop(system, None)


async def _ask(context: Context, part: Part, token_: str, since: float) -> Sequence[Any]:
    ports, kind = context.ports, part.channel.kind
    if kind == "pagerduty":
        assert ports.paging is not None
        return await ports.paging.pages(token_, since)
    if kind == "slack":
        assert ports.chat is not None
        return await ports.chat.find(part.place, token_, since)
    if kind == "email":
        assert ports.mail is not None
        return await ports.mail.find(token_, since)
    sink = ports.sink(part.place)
    assert sink is not None
    return await sink.receipts(token_, since)


def _sighting(context: Context, part: Part, found: Sequence[Any]) -> Sighting:
    """Its own among what carries the token there: the token is no other contact point's."""
    kind, number = part.channel.kind, part.turn.before
    if kind == "pagerduty":
        return by_pager(sorted(found, key=lambda one: one.created_at)[number : number + 1])
    if kind == "slack":
        return in_chat(found, number)
    if kind == "email":
        return in_mailbox(found, number, str((context.config.mail or {}).get("from_address", "")))
    if kind in WEBHOOKS:
        return by_webhook([replace(one, receiver="") for one in found], "", part.turn, part.turn)
    return NOTHING


async def _clear(context: Context, point: Point, skews: Mapping[str, Skew]) -> None:
    """Close every incident that carries its token, and look whether it is closed; what is left is named."""
    if context.ports.paging is None:
        point.left = (f"incidents with {point.token}: no [paging] is configured to look for them",)
        return
    since = (point.sent.earliest if point.sent else context.now() - GRAFANA_SECONDS) - earlier(skews)
    until = context.now() + 2 * cleanup.CLEAR_SECONDS
    wrong = ""
    while True:
        try:
            found = await context.ports.paging.pages(point.token, since)
        except BackendError as error:
            open_, wrong = None, str(error)
        else:
            open_ = [one for one in found if one.status != "resolved"]
            if not open_:
                point.cleared, point.left = True, ()
                return
            wrong = await cleanup.close(context, open_)
        if context.now() >= until:
            point.left = _left(open_, wrong)
            return
        await context.sleep(context.config.alert_paths.poll_seconds)


def _left(open_: Sequence[Page] | None, wrong: str) -> tuple[str, ...]:
    if open_ is None:
        return (f"incidents: the pager did not answer ({wrong})",)
    return (*(f"incident {one.incident_id} ({one.url})" for one in open_), *([wrong] if wrong else []))


# --- judge -----------------------------------------------------------------------------------------------------------


def judge(point: Point, limits: Limits) -> tuple[Verdict, str]:
    """Passed only where Grafana says ok and every integration is seen to have delivered."""
    if point.spared is not None:
        return point.spared[:2]
    told = [(_of_part(one, point, limits), one) for one in point.parts]
    verdicts = [verdict for (verdict, _), _ in told]
    said = "; ".join(f"{one.channel.kind}: {why}" for (_, why), one in told)
    if point.unknown:
        seen = "; ".join(f"{one.channel.kind} arrived" for one in point.parts if one.channel.delivered)
        return Verdict.INCONCLUSIVE, "; ".join(part for part in (point.unknown, seen, BYPASSES) if part)
    if not told:
        return Verdict.INCONCLUSIVE, "it has no integration: nothing was sent"
    return combine(verdicts), f"{said}; {BYPASSES}"


def _of_part(part: Part, point: Point, limits: Limits) -> tuple[Verdict, str]:
    channel = part.channel
    took = elapsed(point.sent, channel.delivered) if point.sent and channel.delivered else None
    if part.status == "failed":
        return Verdict.FAILED, f"Grafana says failed ({part.error})" + (", and it arrived" if took else "")
    if part.status != "ok":
        return Verdict.INCONCLUSIVE, part.error or "Grafana did not say what became of it"
    if channel.blind:
        return Verdict.INCONCLUSIVE, f"Grafana says ok; whether it arrived cannot be seen: {channel.blind}"
    if took is None:
        trouble = point.trouble.get(channel.system)
        return Verdict.INCONCLUSIVE, "Grafana says ok; " + (
            f"it could not be looked for: {trouble}" if trouble else f"it was not seen within {limits.delivery:g} s"
        )
    if took.earliest > limits.delivery:
        return Verdict.INCONCLUSIVE, f"arrived only after {span(took)} ({limits.delivery:g} s allowed)"
    return Verdict.PASSED, f"Grafana says ok, and it arrived after {span(took)}"


def criteria(points: Sequence[Point], limits: Limits) -> tuple[Criterion, ...]:
    """One for each, and one for what they may have left behind."""
    found = []
    for one in points:
        verdict, actual = judge(one, limits)
        found.append(
            criterion(
                f"alert_paths.contact_point:{one.name}", f"Grafana contact point {one.name} delivers ({BYPASSES})",
                verdict, actual, required=REQUIRED, evidence=("alert-test-results.json",),
                remedy=one.spared[2] if one.spared else REMEDY,
            )
        )  # fmt: skip
    paging = [one for one in points if one.begun and one.pagers]
    if paging:
        left = [f"{one.name}: {what}" for one in paging for what in one.left]
        left += [f"{one.name}: never looked at" for one in paging if not one.cleared and not one.left]
        found.append(
            criterion(
                "alert_paths.contact_points_clean", "Nothing of the contact-point tests is left",
                Verdict.FAILED if left else Verdict.PASSED, "; ".join(left) or "no incident of theirs is open",
                required="every incident that they opened is resolved", evidence=("alert-test-results.json",),
                remedy="Resolve by hand what is named here",
            )
        )  # fmt: skip
    return tuple(found)


def data(points: Sequence[Point], limits: Limits) -> list[dict[str, Any]]:
    """The section ``contact_points`` of alert-test-results.json."""
    rows = []
    for point in points:
        verdict, actual = judge(point, limits)
        rows.append(
            {
                "contact_point": point.name, "note": BYPASSES, "token": point.token, "tested": point.begun,
                "verdict": verdict.value, "actual": actual, "unknown": bool(point.unknown),
                "integrations": [_row(one, point) for one in point.parts],
                "clean": not point.left, "left": list(point.left),
            }
        )  # fmt: skip
    return rows


def _row(part: Part, point: Point) -> dict[str, Any]:
    sent, arrived = point.sent, part.channel.delivered
    took = elapsed(sent, arrived) if sent and arrived else None
    return {
        "uid": part.uid, "kind": part.channel.kind, "grafana_says": part.status or None, "error": part.error,
        "hops": {"t0": _hop(sent, "our clock"), "t4": _hop(arrived, part.channel.source)},
        "delivered": None if took is None else [round(took.earliest, 3), round(took.latest, 3)],
        "seen_by": part.channel.system if not part.channel.blind else None, "unobservable": part.channel.blind,
    }  # fmt: skip


def _hop(when: Interval | None, source: str) -> dict[str, Any] | None:
    if when is None:
        return None
    return {"at": iso(when.latest), "earliest": iso(when.earliest), "latest": iso(when.latest), "source": source}
