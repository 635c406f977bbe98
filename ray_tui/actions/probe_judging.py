"""One probe of one receiver as it goes: what was seen of it so far, and what each new look makes of it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ray_tui.actions.probe_plan import How, Purpose
from ray_tui.actions.probe_sightings import Sighting, Stamp, placed
from ray_tui.analysis.hops import MOST_SKEW_SECONDS, Interval, Judgement, elapsed, judge_sla
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Verdict, combine

WEBHOOKS = frozenset(
    (
        "webhook", "discord", "msteams", "msteamsv2", "teams", "mattermost", "rocketchat", "googlechat", "webex",
        "telegram",
    )
)  # fmt: skip
"""Integrations that post to a URL, Alertmanager's and Grafana's: seen where [alert_paths.webhook_receivers] says."""
SYSTEM_OF = {"pagerduty": "paging", "slack": "chat", "email": "mail", **dict.fromkeys(sorted(WEBHOOKS), "webhook")}
"""Alertmanager's integration -> the port that can see what it delivered."""

HOP_NAMES: Mapping[str, str] = {
    "t0": "fired", "t1": "accepted", "t2": "active", "t3": "sent", "t4": "delivered", "t5": "notified",
    "t6": "acknowledged", "t7": "escalated", "t8": "cleared",
}  # fmt: skip
"""The hops of 2.2, in order, in words."""

Skew = tuple[float, float] | None
ONE_CLOCK = (0.0, 0.0)
"""Two dates of the same system: no skew comes between them."""
Whereabouts = Mapping[str, tuple[str, str]]
"""Integration -> (the hop at which what did not arrive has stopped, how that shows)."""
POLICY_MARK = "policy "
"""How the fact that a page arrived says which escalation policy it went through."""
_When = Callable[[Stamp], tuple[Interval, str]]

VERDICT_OF: Mapping[str, Verdict] = {
    "unobservable": Verdict.INCONCLUSIVE,
    "unknown": Verdict.INCONCLUSIVE,
    "peer_unknown": Verdict.INCONCLUSIVE,
    "unconfirmed": Verdict.INCONCLUSIVE,
    "interrupted": Verdict.INCONCLUSIVE,
    "skew": Verdict.INCONCLUSIVE,
    "acknowledged_early": Verdict.INCONCLUSIVE,
    "resolved_early": Verdict.INCONCLUSIVE,
    "impossible_order": Verdict.INCONCLUSIVE,
    "sources_disagree": Verdict.INCONCLUSIVE,
    "unreadable": Verdict.ERROR,
    "unsent": Verdict.ERROR,
}
"""What a blocking problem means; one that is not listed is a proven failure."""
ABOUT_ACKNOWLEDGING = frozenset(
    ("auto_ack", "not_notified", "not_acknowledged", "skew", "interrupted", "unknown", "unreadable")
)

ORDER = ("dated_early", "impossible_order")
"""Problems of a date that lies before what it followed from: explained by the clocks, or not. Once for each hop."""


@dataclass(frozen=True)
class Limits:
    """What counts as in time, in seconds."""

    sla: float
    delivery: float
    margin: float
    """How long after a limit a look may still bring what happened before it."""
    patience: float
    """How long a system that does not answer is asked again after everything else is over."""


@dataclass(frozen=True)
class Look:
    """One answer of one system about one probe. ``previous`` is when the last good look began, which did not show more.

    ``began`` and ``ended`` are our clock.
    """

    sighting: Sighting
    began: float
    ended: float
    previous: float


@dataclass
class Channel:
    """One integration of a receiver. ``blind``: why nothing of it can be seen."""

    kind: str
    expected: int = 1
    blind: str = ""
    sink: str = ""
    """Where it can be seen, for an integration that posts to a URL: a name of ``Ports.sink``."""
    delivered: Interval | None = None
    acknowledged: Interval | None = None
    who: str = ""
    where: str = ""
    source: str = ""
    lost: bool = False
    dated: float | None = None
    """When it was delivered, by its system's own clock."""

    @property
    def system(self) -> str:
        """What has to be asked about it, by the name of its table."""
        return SYSTEM_OF.get(self.kind, "") if self.sink in ("", "webhook") else f"webhooks.{self.sink}"

    @property
    def settled(self) -> bool:
        return bool(self.blind) or self.lost or self.delivered is not None


@dataclass
class Leg:
    """A probe as one receiver sees it; several legs may share one alert, never a page."""

    id: str
    receiver: str
    purpose: Purpose
    channels: list[Channel]
    starts_at: float
    escalation_limit: float = 0.0
    """Delay of the policy plus slack: for probes that are left unacknowledged."""
    hops: dict[str, f.ProbeHopSeen] = field(default_factory=dict)
    problems: list[f.ProbeProblem] = field(default_factory=list)
    pages: tuple[str, ...] = ()
    policy_id: str = ""
    how: How = "injected"
    done: bool = False
    news: list[f.Fact] = field(default_factory=list)
    """Facts that are not yet recorded."""

    # --- what is known

    def interval(self, hop: str) -> Interval | None:
        seen = self.hops.get(hop)
        return Interval(seen.earliest, seen.latest) if seen else None

    @property
    def fired(self) -> Interval:
        return self.interval("t0") or Interval(self.starts_at, self.starts_at)

    @property
    def floor(self) -> float:
        """Before this nothing can have followed from it."""
        return self.fired.earliest if self.how == "rule" else self.fired.latest

    def took(self, hop: str, since: str = "t0") -> Interval | None:
        end = self.interval(hop)
        start = self.fired if since == "t0" else self.interval(since)
        return elapsed(start, end) if start and end else None

    def has(self, *problems: str) -> bool:
        return any(one.problem in problems for one in self.problems)

    @property
    def answering(self) -> list[Channel]:
        """The channels on which an acknowledgement is wanted: the pager's, or all where there is none."""
        seen = [one for one in self.channels if not one.blind]
        return [one for one in seen if one.kind == "pagerduty"] or seen

    # --- what is new

    def saw(self, hop: str, when: Interval, source: str, who: str = "", detail: str = "") -> None:
        if hop not in self.hops:
            seen = f.ProbeHopSeen(
                id=self.id, hop=hop, earliest=when.earliest, latest=when.latest, source=source, who=who, detail=detail
            )
            self.hops[hop] = seen
            self.news.append(seen)

    def problem(self, problem: str, hop: str, detail: str, *, blocks: bool = True) -> None:
        known = [one for one in self.problems if one.problem == problem]
        if not known or (problem in ORDER and hop not in {one.hop for one in known}):
            found = f.ProbeProblem(id=self.id, hop=hop, problem=problem, detail=detail, blocks=blocks)
            self.problems.append(found)
            self.news.append(found)

    def in_order(self, hop: str, stamp: Stamp, after: str, cause: float, skew: Skew, whose: str) -> None:
        """Flag a date before ``cause`` (on our clock): one that the skew explains is said, any other proves nothing."""
        if stamp.at is None or skew is None:
            return
        ends = stamp.at + stamp.resolution
        early, (least, most) = cause - ends, skew
        if early <= 0:
            return
        explained = ends - least >= cause
        said = f"{HOP_NAMES[hop]} is dated {early:.3f} s before {HOP_NAMES[after]} by {whose}"
        if skew == ONE_CLOCK:
            said += ", both by its own clock"
        else:
            why = "within that" if explained else "more than that explains"
            said += f", whose clock is {least:+.1f} to {most:+.1f} s against ours: {why}"
        self.problem("dated_early" if explained else "impossible_order", hop, said, blocks=not explained)

    def flagged(self, *hops: str) -> str:
        """What is to be said of the order of these hops, where nothing blocks; "" where there is nothing."""
        found = [one.detail for one in self.problems if one.problem in ORDER and not one.blocks and one.hop in hops]
        return "".join(f"; flagged: {detail}" for detail in found)

    # --- what a look makes of it

    def take(self, looks: Mapping[str, Look], skews: Mapping[str, Skew], names: Mapping[str, str]) -> None:
        """Take in a look at each channel that answered (by integration); ``names`` maps pager ids to people."""
        for channel in self.channels:
            look = looks.get(channel.kind)
            if look is not None and not channel.blind:
                self._take(channel, look, skews.get(channel.system), names)
        seen = [one for one in self.channels if not one.blind]
        arrived = [one.delivered for one in seen if one.delivered is not None]
        if seen and len(arrived) == len(seen):
            sources = ", ".join(f"{one.kind}: {one.source}" for one in seen)
            where = ", ".join(dict.fromkeys(one.where for one in seen if one.where))
            detail = f"{POLICY_MARK}{self.policy_id}" if self.policy_id else ""
            self.saw("t4", _last(arrived), sources, where, detail)
        answers = [one.acknowledged for one in self.answering if one.acknowledged is not None]
        if answers and len(answers) == len(self.answering):
            who = ", ".join(dict.fromkeys(one.who for one in self.answering))
            self.saw("t6", _last(answers), ", ".join(f"{one.kind}: {one.source}" for one in self.answering), who)

    def _take(self, channel: Channel, look: Look, skew: Skew, names: Mapping[str, str]) -> None:
        seen = look.sighting

        def when(stamp: Stamp) -> tuple[Interval, str]:
            after = channel.delivered.earliest if channel.delivered else self.floor
            return placed(stamp, max(look.previous, after), look.ended, skew)

        if seen.delivered is None:
            return
        whose = channel.system
        if channel.delivered is None:
            self.in_order("t4", seen.delivered, "t0", self.floor, skew, whose)
            channel.delivered, channel.source = when(seen.delivered)
            channel.dated = seen.delivered.at
            channel.where, channel.lost = seen.delivered.who, False
        if channel.kind == "pagerduty":
            self.policy_id = self.policy_id or seen.policy_id
            for hop, stamp in (("t5", seen.notified), ("t7", seen.escalated if self.purpose == "escalate" else None)):
                if stamp is not None and hop not in self.hops and channel.dated is not None:
                    self.in_order(hop, stamp, "t4", channel.dated, ONE_CLOCK, whose)
            self._of_pager(channel, seen, when, names)
        elif seen.machine:
            self.problem("auto_ack", "t6", f"acknowledged by {seen.machine.who}, which is not a person")
        if channel.kind != "pagerduty" and seen.copies > channel.expected:
            self.problem("repeated", "t4", f"{seen.copies} messages on {channel.kind}", blocks=False)
        if seen.acknowledged and channel.acknowledged is None and seen.machine is None:
            if channel.dated is not None:
                ours, turned = seen.acknowledged.ours, skew and (-skew[1], -skew[0])
                clock, by = (turned, "us") if ours else (ONE_CLOCK, whose)
                self.in_order("t6", seen.acknowledged, "t4", channel.dated, clock, by)
            channel.acknowledged, channel.source = when(seen.acknowledged)
            channel.who = names.get(seen.acknowledged.who, seen.acknowledged.who)

    def _of_pager(self, channel: Channel, seen: Sighting, when: _When, names: Mapping[str, str]) -> None:
        if seen.copies > channel.expected:
            self.problem("duplicate", "t4", f"{seen.copies} incidents for one probe ({channel.expected} expected)")
        if seen.notified:
            placed_at, source = when(seen.notified)
            who = names.get(seen.notified.who, seen.notified.who)
            self.saw("t5", placed_at, source, who, seen.notified.detail)
        if seen.machine:
            self.problem("auto_ack", "t6", f"acknowledged by {seen.machine.who}, which is not a person")
        if self.purpose == "escalate" and seen.escalated:
            placed_at, source = when(seen.escalated)
            self.saw("t7", placed_at, source, names.get(seen.escalated.who, seen.escalated.who))
        if seen.exhausted and not seen.escalated:
            self.problem(
                "exhausted", "t7", "the escalation path ended with nobody to call", blocks=self.purpose == "escalate"
            )
        if self.purpose == "escalate" and "t7" not in self.hops:
            if seen.acknowledged and not seen.machine:
                who = names.get(seen.acknowledged.who, seen.acknowledged.who)
                self.problem("acknowledged_early", "t7", f"{who} acknowledged it at level 1, so nothing was escalated")
            elif seen.resolved:
                self.problem("resolved_early", "t7", f"resolved by {seen.resolved.who} before it could be escalated")

    # --- what time makes of it

    def settle(
        self,
        looked: Mapping[str, float],
        now: float,
        limits: Limits,
        whereabouts: Whereabouts = MappingProxyType({}),
        trouble: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Decide whether there is anything left to wait for. ``looked``: system -> when its last good look began.

        Only a look that began after a limit proves that something did not happen before it. ``trouble`` is what each
        system said when it was last asked in vain.
        """
        for channel in (one for one in self.channels if not one.settled):
            until = self.fired.latest + self._delivery(channel, limits) + limits.margin
            channel.lost = looked.get(channel.system, 0.0) >= until
        if all(one.settled for one in self.channels):
            self._note_lost(whereabouts)
        took = self.took("t4")
        if took is not None and took.earliest > limits.delivery:
            self.problem("lost", "t4", f"arrived only after {took.earliest:.1f} s ({limits.delivery:g} s allowed)")
        ends = self._ends(limits)
        if self._over(limits):
            self.done = True
        elif now >= ends + limits.patience:
            silent = sorted({one.system for one in self._awaited() if looked.get(one.system, 0) < ends})
            self._note_lost(whereabouts)
            said = "; ".join(trouble[system] for system in silent if system in trouble)
            detail = f"{', '.join(silent) or 'a system'} did not answer until the end" + (said and f" ({said})")
            self.problem("unreadable", "t6" if self._arrived else "t4", detail)
            self.done = True
        elif all(looked.get(one.system, 0.0) >= ends for one in self._awaited()):
            self._ran_out(limits)
            self.done = True

    def _delivery(self, channel: Channel, limits: Limits) -> float:
        """How long it may take to arrive: what arrives after the SLA cannot be acknowledged within it."""
        answers = self.purpose == "acknowledge" and channel in self.answering
        return min(limits.delivery, limits.sla) if answers else limits.delivery

    def _note_lost(self, whereabouts: Whereabouts) -> None:
        """At the first hop that certainly did not happen, where that can be told."""
        lost = [one.kind for one in self.channels if one.lost]
        if lost:
            known = [whereabouts[kind] for kind in lost if kind in whereabouts]
            hop = min((hop for hop, _ in known), default="t4")
            why = "; ".join(dict.fromkeys(why for _, why in known))
            self.problem("lost", hop, f"nothing arrived on {', '.join(lost)} in time" + (why and f": {why}"))

    def _ends(self, limits: Limits) -> float:
        """When there is nothing more to wait for."""
        if self.purpose == "acknowledge":
            slowest = max((self._delivery(one, limits) for one in self.channels if not one.settled), default=0.0)
            return self.fired.latest + max(limits.sla, slowest) + limits.margin
        arrived = self.interval("t4")
        wait = self.escalation_limit if arrived else limits.delivery
        return (arrived or self.fired).latest + wait + limits.margin

    def _awaited(self) -> list[Channel]:
        waiting = [one for one in self.channels if not one.settled]
        return waiting + [one for one in self.answering if one.acknowledged is None and one not in waiting]

    def _over(self, limits: Limits) -> bool:
        if self.has("suppressed", "auto_ack", "unknown", "unsent", "interrupted"):
            return True
        settled = all(one.settled for one in self.channels)
        if self.purpose == "escalate":
            took = self.took("t7", "t4")
            if took is not None and took.earliest > self.escalation_limit:
                self.problem(
                    "not_escalated", "t7", f"only after {took.earliest:.1f} s ({self.escalation_limit:g} allowed)"
                )
            ended = self.has("exhausted", "acknowledged_early", "resolved_early", "lost", "not_escalated")
            return took is not None or ended
        if settled and self.answering and all(one.lost for one in self.answering):
            return True
        return settled and "t6" in self.hops

    def _ran_out(self, limits: Limits) -> None:
        if self.purpose == "escalate":
            self.problem("not_escalated", "t7", f"nobody beyond level 1 was called within {self.escalation_limit:g} s")
            return
        waiting = [one.kind for one in self.answering if one.acknowledged is None and not one.lost]
        if waiting == ["pagerduty"] and "t5" not in self.hops:
            self.problem("not_notified", "t5", "the incident was opened, and nobody was notified of it")
        elif waiting:
            detail = f"SLA of {duration(limits.sla)} expired: no person acknowledged on {', '.join(waiting)}"
            if "t5" in self.hops and self.hops["t5"].who:
                detail += f"; {self.hops['t5'].who} was notified"
            self.problem("not_acknowledged", "t6", detail)

    # --- verdicts

    def delivered(self) -> tuple[Verdict, str]:
        """Whether everything arrived where it should, and how that shows."""
        bad = [one for one in self.problems if one.blocks and one.problem not in ABOUT_ACKNOWLEDGING]
        bad = [one for one in bad if one.problem != "impossible_order" or one.hop != "t6"]
        bad += [
            one
            for one in self.problems
            if one.problem in ("unknown", "interrupted", "unreadable") and not self._arrived
        ]
        took = self.took("t4")
        if bad:
            return combine(VERDICT_OF.get(one.problem, Verdict.FAILED) for one in bad), _told(bad)
        if took is None:
            return Verdict.INCONCLUSIVE, "it is not known whether it arrived"
        return Verdict.PASSED, (
            f"after {span(took)} at {self.hops['t4'].who or self.receiver}{self.flagged('t3', 't4', 't5')}"
        )

    @property
    def _arrived(self) -> bool:
        return "t4" in self.hops

    def acknowledged(self, sla: float, skews: Mapping[str, Skew]) -> tuple[Verdict, str]:
        """Whether a person acknowledged in time."""
        took = self.took("t6")
        about = ABOUT_ACKNOWLEDGING | {"impossible_order", "sources_disagree"}
        bad = [one for one in self.problems if one.blocks and one.problem in about]
        bad = [one for one in bad if took is None or one.problem != "unreadable"]
        if bad:
            return combine(VERDICT_OF.get(one.problem, Verdict.FAILED) for one in bad), _told(bad)
        if took is None:
            stopped = [one for one in self.problems if one.blocks]
            verdict = combine(VERDICT_OF.get(one.problem, Verdict.FAILED) for one in stopped)
            return verdict, f"never acknowledged: {_told(stopped)}" if stopped else "not acknowledged"
        said = judge_sla(took, sla, skew=self.worst_skew(skews))
        return said.verdict, _acknowledged(said, took, self.hops["t6"].who, sla) + self.flagged("t6")

    def worst_skew(self, skews: Mapping[str, Skew]) -> Skew:
        known = [skew for one in self.answering if (skew := skews.get(one.system)) is not None]
        return max(known, key=lambda skew: max(abs(skew[0]), abs(skew[1])), default=None)

    def escalated(self) -> tuple[Verdict, str]:
        """Whether level 2 was called in time after the page arrived."""
        bad = [one for one in self.problems if one.blocks]
        if bad:
            return combine(VERDICT_OF.get(one.problem, Verdict.FAILED) for one in bad), _told(bad)
        took = self.took("t7", "t4")
        if took is None:
            return Verdict.INCONCLUSIVE, "no escalation was seen"
        who = self.hops["t7"].who or "level 2"
        flagged = self.flagged("t4", "t5", "t7")
        said = f"{who} was called {span(took)} after level 1 ({self.escalation_limit:g} s allowed){flagged}"
        if took.latest <= self.escalation_limit:
            return Verdict.PASSED, said
        return (Verdict.FAILED if took.earliest > self.escalation_limit else Verdict.INCONCLUSIVE), said


def _acknowledged(said: Judgement, took: Interval, who: str, sla: float) -> str:
    if said.verdict is Verdict.PASSED:
        return f"acknowledged after {span(took)} by {who}"
    if said.verdict is Verdict.FAILED:
        return f"acknowledged after {span(took)} by {who} ({sla:g} s allowed) {marked('late', 't6')}"
    return f"acknowledged by {who}, but {said.why}"


def _told(problems: Sequence[f.ProbeProblem]) -> str:
    return "; ".join(f"{one.detail} {marked(one.problem, one.hop)}" for one in problems)


def marked(problem: str, hop: str) -> str:
    """The problem's name and the hop at which it stopped, behind the words for it: ``[lost at t4 (delivered)]``."""
    name = HOP_NAMES[hop]
    return f"[{problem} at {hop}]" if name in problem else f"[{problem} at {hop} ({name})]"


def too_skewed(skew: Skew) -> bool:
    return skew is not None and not max(abs(skew[0]), abs(skew[1])) <= MOST_SKEW_SECONDS


def span(took: Interval) -> str:
    """``41 s``, or ``40.2 to 41.9 s`` where that matters."""
    low, high = max(0.0, took.earliest), max(0.0, took.latest)
    return f"{high:.1f} s" if high - low < 0.05 else f"{low:.1f} to {high:.1f} s"


def duration(seconds: float) -> str:
    """``5 min`` or ``8 s``."""
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def _last(intervals: Sequence[Interval]) -> Interval:
    """When the last of several things happened."""
    return Interval(max(one.earliest for one in intervals), max(one.latest for one in intervals))
