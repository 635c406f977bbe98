"""Which alerts will be sent to test which receivers, whom they will page, and which paths cannot be tested at all."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from ray_tui.analysis import routing
from ray_tui.analysis.matchers import examples
from ray_tui.config import Alerts
from ray_tui.core.policy import Person, quiet_span
from ray_tui.core.ports import EscalationPolicy, Labels, OnCall, PagerService
from ray_tui.core.verdicts import Verdict

PROBE_LABEL = "ray_tui_probe"
ALERTNAME = "RayTuiProbe"
HOUR = 3600.0
_COMBINATIONS = 500
_GENERIC_WORDS = frozenset(
    (
        "pd",
        "pagerduty",
        "pager",
        "oncall",
        "on",
        "call",
        "page",
        "critical",
        "urgent",
        "alerts",
        "alert",
        "team",
        "prod",
    )
)

Purpose = Literal["acknowledge", "escalate"]
How = Literal["injected", "rule"]
"""Posted to Alertmanager by us, or fired by a temporary rule."""


@dataclass(frozen=True)
class Target:
    """A receiver to prove. ``example`` is a label set that reaches it, or None; ``integrations`` one kind for each."""

    receiver: str
    example: Labels | None
    integrations: tuple[str, ...]


@dataclass(frozen=True)
class PlannedAlert:
    """One alert to send: its labels without the token, and every receiver that it proves, pagers first."""

    labels: Labels
    legs: tuple[Target, ...]
    also: tuple[str, ...] = ()
    """Receivers that it reaches too, and that are not to be proved."""
    group_interval: float = routing.GROUP_INTERVAL_SECONDS
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Untestable:
    """A receiver that no alert is sent to, and what that means."""

    receiver: str
    problem: str
    verdict: Verdict
    why: str
    remedy: str
    integrations: tuple[str, ...] = ()
    hop: str = "t0"
    """Where an alert would stop."""


@dataclass(frozen=True)
class PathPlan:
    alerts: tuple[PlannedAlert, ...]
    untestable: tuple[Untestable, ...]


@dataclass(frozen=True)
class Paged:
    """One person who will, or may, be paged because of one receiver. ``count`` is at most how often."""

    person: str
    user_id: str
    level: int
    until: float | None
    receiver: str
    policy_id: str
    count: int


# --- identity --------------------------------------------------------------------------------------------------------


def attempt_prefix(run_id: str, attempt: int) -> str:
    """What every token of one attempt begins with: short, and different for every run."""
    return f"{run_id.rsplit('-', 1)[-1]}{hashlib.sha256(run_id.encode()).hexdigest()[:6]}-a{attempt}-"


def token(prefix: str, receiver: str, purpose: Purpose) -> str:
    """The probe's id, the same whenever it is asked for; distinct for receivers whose slugs are equal."""
    slug = re.sub(r"[^a-z0-9]+", "-", receiver.lower()).strip("-")[:40]
    if slug != receiver:
        slug = f"{slug}-{hashlib.sha256(receiver.encode()).hexdigest()[:4]}"
    return f"{prefix}{slug}-{'ack' if purpose == 'acknowledge' else 'esc'}"


# --- which receivers -------------------------------------------------------------------------------------------------


def targets(
    config: routing.RoutingConfig, wanted: Sequence[str], base: Labels, alerts: Sequence[Labels], severities: Alerts
) -> tuple[Target, ...]:
    """The receivers that critical routes and loaded critical alerts lead to; or exactly the wanted ones.

    A route that only passes alerts on to its children names nobody by that: a receiver without integrations counts
    there only if a loaded alert ends in it.
    """
    kinds = {one.name: tuple(i.kind for i in one.integrations) for one in config.receivers}
    plain = {name: value for name, value in base.items() if name != "alertname"}
    ends = {chain[-1].key: not chain[-1].routes for chain in _chains(config.root)}
    alerted = {hit.receiver for labels in alerts for hit in routing.route(config, labels)}
    found: dict[str, Labels | None] = {}
    for fixed in (base, plain):  # with our alertname where the routes let it pass, else with one that they want
        for one in routing.critical_receivers(config, severities.severity_label, severities.critical, alerts, fixed):
            ours = one.integrations or one.name in alerted or any(ends[path] for path in one.paths)
            if ours:
                found[one.name] = found.get(one.name) or one.example
    for name in wanted:
        if found.get(name) is None:
            found[name] = _any_example(config, name, base) or _any_example(config, name, plain)
    chosen = list(dict.fromkeys(wanted)) if wanted else list(found)
    return tuple(Target(name, found[name], kinds.get(name, ())) for name in chosen)


def _any_example(config: routing.RoutingConfig, receiver: str, base: Labels) -> Labels | None:
    """Labels that reach a receiver by any route, critical or not."""
    for chain in _chains(config.root):
        if chain[-1].receiver != receiver:
            continue
        choices: dict[str, list[str]] = {}
        for matcher in (matcher for node in chain for matcher in node.matchers):
            choices.setdefault(matcher.name, []).extend(examples(matcher))
        for tried in itertools.islice(itertools.product(*choices.values()), _COMBINATIONS):
            labels = {**base, **{name: value for name, value in zip(choices, tried, strict=True) if value}}
            if receiver in {hit.receiver for hit in routing.route(config, labels)}:
                return labels
    return None


def _chains(node: routing.Route, above: tuple[routing.Route, ...] = ()) -> Iterable[tuple[routing.Route, ...]]:
    yield (*above, node)
    for child in node.routes:
        yield from _chains(child, (*above, node))


# --- which alerts ----------------------------------------------------------------------------------------------------


def plan(
    config: routing.RoutingConfig, chosen: Sequence[Target], extra: Labels, now: float, unseen: Mapping[str, str]
) -> PathPlan:
    """As few alerts as prove every target: an alert that reaches several receivers proves them together.

    ``unseen`` maps a receiver to the reason why nothing of it could be observed.
    """
    untestable: list[Untestable] = []
    candidates: list[tuple[Labels, tuple[routing.Hit, ...]]] = []
    open_: dict[str, Target] = {}
    for target in chosen:
        refusal, labels = _shape(config, target, extra, now, unseen)
        if refusal is not None:
            untestable.append(refusal)
        else:
            open_[target.receiver] = target
            hits = routing.route(config, {**labels, PROBE_LABEL: "token"}, now)
            candidates.append((labels, tuple(hit for hit in hits if not hit.inactive)))
    alerts: list[PlannedAlert] = []
    left = dict(open_)
    while left:
        labels, hits = max(candidates, key=lambda one: len({hit.receiver for hit in one[1]} & set(left)))
        reached = {hit.receiver for hit in hits}
        legs = sorted((left.pop(name) for name in list(left) if name in reached), key=_pagers_first)
        also = tuple(sorted(reached - {leg.receiver for leg in legs}))
        names = {leg.receiver for leg in legs}
        ours = [hit for hit in hits if hit.receiver in names]
        warnings = tuple(
            f"{hit.receiver} groups by {', '.join(hit.group_by) or 'nothing'}: a probe may be grouped with a live alert"
            for hit in ours
            if not hit.group_by_all and PROBE_LABEL not in hit.group_by
        )
        alerts.append(PlannedAlert(labels, tuple(legs), also, max(hit.group_interval for hit in ours), warnings))
    return PathPlan(tuple(sorted(alerts, key=lambda one: one.legs[0].receiver)), tuple(untestable))


def _pagers_first(target: Target) -> tuple[bool, str]:
    return "pagerduty" not in target.integrations, target.receiver


def _shape(
    config: routing.RoutingConfig, target: Target, extra: Labels, now: float, unseen: Mapping[str, str]
) -> tuple[Untestable | None, Labels]:
    """The labels that reach a target, or why it is not tested."""

    def refuse(problem: str, verdict: Verdict, why: str, remedy: str, hop: str = "t0") -> tuple[Untestable, Labels]:
        return Untestable(target.receiver, problem, verdict, why, remedy, target.integrations, hop), {}

    if not target.integrations:
        why = "a critical alert ends there, and no integration is behind it: nobody would be told"
        return refuse("nobody", Verdict.FAILED, why, "Give the receiver an integration, or route past it", "t3")
    if target.example is None:
        why = "no label set was found that reaches it: its routes may be shadowed by earlier ones"
        return refuse("no_labels", Verdict.FAILED, why, "Repair the routes, or name the labels in [alert_paths] labels")
    if target.receiver in unseen:
        why = unseen[target.receiver]
        key = re.search(r"\((\[.*)\)", why)
        remedy = f"{f'Set {key[1]}' if key else 'Configure what can see it'}, or validate it by hand"
        return refuse("unobservable", Verdict.INCONCLUSIVE, why, remedy, "t4")
    own = {name: value for name, value in target.example.items() if name != PROBE_LABEL}
    tried = ({**own, **extra, "alertname": ALERTNAME}, {**own, **extra}, {**extra, **own})
    for labels in ({**one, "alertname": one.get("alertname", ALERTNAME)} for one in tried):
        hits = routing.route(config, {**labels, PROBE_LABEL: "token"}, now)
        mine = [hit for hit in hits if hit.receiver == target.receiver]
        if mine and all(hit.inactive for hit in mine):
            muted = ", ".join(name for hit in mine for name in hit.muted_by) or "outside its active times"
            why = f"its routes are muted now ({muted}): nobody would be told"
            return refuse("suppressed", Verdict.FAILED, why, "Test again when the time interval is over", "t2")
        if mine:
            return None, labels
    why = "with the probe's own labels an alert no longer reaches it"
    return refuse("no_labels", Verdict.FAILED, why, "Change [alert_paths] labels so that the routes still match")


# --- who is paged ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rota:
    """What the pager says of services, policies and who is on call now."""

    services: tuple[PagerService, ...] = ()
    policies: tuple[EscalationPolicy, ...] = ()
    on_call: tuple[OnCall, ...] = ()

    def policy_name(self, policy_id: str) -> str:
        return next((one.name for one in self.policies if one.id == policy_id), policy_id)

    def first_delay(self, policy_id: str) -> float:
        """How long level 1 is given; half an hour, PagerDuty's default, where the policy is not known."""
        delays = next((one.delays_seconds for one in self.policies if one.id == policy_id), ())
        return delays[0] if delays else 1800.0

    def levels_called(self, policy_id: str, unanswered: float) -> tuple[int, ...]:
        """The levels that are called, in turn, where nobody answers for so many seconds; repeats of the policy too."""
        policy = next((one for one in self.policies if one.id == policy_id), None)
        if policy is None:
            return (1,)
        called, at = [], 0.0
        for _ in range(policy.loops + 1):
            for level, delay in enumerate(policy.delays_seconds, 1):
                called += [level] if at <= unanswered else []
                at += delay
        return tuple(called) or (1,)

    def at_level(self, policy_id: str, level: int) -> tuple[OnCall, ...]:
        return tuple(one for one in self.on_call if one.policy_id == policy_id and one.level == level)


def policies_meant(receiver: str, rota: Rota) -> tuple[str, ...]:
    """Policies that a receiver's name points to; all that have somebody on call where it points to none.

    The truth is known only when a page has arrived: Alertmanager does not show a receiver's key.
    """
    wanted = _words(receiver)
    meant = [one.policy_id for one in rota.services if wanted & _words(one.name)]
    meant = meant or [one.id for one in rota.policies if wanted & _words(one.name)]
    return tuple(dict.fromkeys(meant or (one.policy_id for one in rota.on_call)))


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", name.lower())) - _GENERIC_WORDS


def pages(alerts: Sequence[PlannedAlert], rota: Rota, unanswered: float = 0.0) -> tuple[Paged, ...]:
    """Who is paged, at most how often: one page to acknowledge for each pager receiver, one to escalate per policy.

    A page that nobody answers goes on to further levels within the ``unanswered`` seconds for which it is left firing.
    """
    found: dict[tuple[str, int, str, str], Paged] = {}

    def add(one: OnCall, receiver: str) -> None:
        key = (one.user_id, one.level, receiver, one.policy_id)
        before = found.get(key)
        found[key] = (
            replace(before, count=before.count + 1)
            if before
            else Paged(one.user, one.user_id, one.level, one.until, receiver, one.policy_id, 1)
        )

    escalated: set[str] = set()
    for alert in alerts:
        for leg in alert.legs:
            if "pagerduty" not in leg.integrations:
                continue
            for policy in policies_meant(leg.receiver, rota):
                levels = [*rota.levels_called(policy, unanswered), *([] if policy in escalated else [1, 2])]
                escalated.add(policy)
                for one in (one for level in levels for one in rota.at_level(policy, level)):
                    add(one, leg.receiver)
    return tuple(found.values())


def over_budget(paged: Sequence[Paged], before: Mapping[str, int], budget: int) -> tuple[str, ...]:
    """For each person above the budget of pages in an hour: the count in words. ``before``: pages in the last hour."""
    planned: Counter[str] = Counter()
    for one in paged:
        planned[one.person] += one.count
    return tuple(
        f"{person}: {count} now and {before.get(person, 0)} in the last hour ({budget} an hour allowed)"
        for person, count in sorted(planned.items())
        if count + before.get(person, 0) > budget
    )


def protected(user_id: str, name: str, people: Mapping[str, Person], now: float) -> str:
    """Why this person must not be paged by a test; "" where they may be."""
    for key, person in people.items():
        if user_id != (person.pager_id or key) and name not in (key, person.name):
            continue
        if not person.pages_opt_in:
            return f"{name} has not agreed to test pages (pages_opt_in)"
        if person.quiet_hours and in_quiet_hours(person.quiet_hours, person.timezone, now):
            return f"{name} has quiet hours ({person.quiet_hours} {person.timezone})"
    return ""


def in_quiet_hours(hours: str, zone: str, now: float) -> bool:
    """Whether ``22:00-07:00`` holds now; what cannot be read holds always: nobody is woken by a typing error."""
    try:
        start, end = quiet_span(hours)
        local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone)).time()
    except (ValueError, KeyError, OSError):
        return True
    return start <= local < end if start <= end else local >= start or local < end


@dataclass(frozen=True)
class Preview:
    """What a person confirms: who is paged, and which policies may be escalated on."""

    rows: tuple[Paged, ...]
    over: tuple[str, ...]
    protected: Mapping[str, str] = field(default_factory=dict)
    """Policy id -> why its second level must not be paged."""

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.person for row in self.rows))

    @property
    def expects(self) -> str:
        """What must be typed."""
        named = f"page {', '.join(self.people)}" if self.people else "send test messages, page nobody"
        return f"{named}, over budget" if self.over else named
