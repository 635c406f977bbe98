"""What a person decides in 3.2: noisy rules and missed incidents, each with a proposal where history bears one out."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_tui.actions import tuning, tuning_apply
from ray_tui.actions.past_alerts import Past
from ray_tui.actions.services import effective_services, owner_for_gap
from ray_tui.actions.tuning_report import percent
from ray_tui.analysis import backtest, episodes
from ray_tui.analysis.wilson import Share
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Incident, LoadedRule
from ray_tui.core.verdicts import Finding
from ray_tui.step import Ask, Context

MOST_POINTS = 200_000
"""A left-hand side with more is not backtested: it would take more than seconds."""
MOST_BACKTESTS = 20
MOST_QUESTIONS = 25
LATER, REJECT = "later", "reject"
OTHER_KIND = {"noisy": "missed:", "missed": "noisy:"}
"""What a backtest says of the kind of proposal that was not asked for."""


@dataclass(frozen=True)
class Need:
    """A noisy rule or a missed incident: something that a person has to answer for."""

    slug: str
    kind: str
    subject: str
    service: str
    why: str
    owner: str
    proposal: dict[str, Any] | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What was decided on a need. ``action`` is "" while it is unresolved."""

    action: str
    state: str
    resolved: bool = False
    proposal: dict[str, Any] | None = None


# --- what needs a decision -------------------------------------------------------------------------------------------


async def find_needs(
    context: Context,
    past: Past,
    found: episodes.Correlation,
    shares: Mapping[str, Share],
    missed: Sequence[episodes.IncidentRecord],
) -> list[Need]:
    """Noisy rules and missed incidents without an action of their own, with a proposal where history bears one out."""
    services = effective_services(context.config, context.state)
    by_name = {rule.name: rule for rule in past.rules}
    incidents = [one.incident for one in found.incidents]
    left = MOST_BACKTESTS
    needs: list[Need] = []
    for rule in found.rules:
        share = shares[rule.alert]
        if share.finding is not Finding.DEGRADED:
            continue
        loaded = by_name.get(rule.alert)
        service = tuning.ours(episodes.service_of(loaded.labels) if loaded else "", context.config)
        owner = (loaded.labels.get("owner", "") if loaded else "") or owner_for_gap(
            services.get(service), context.config
        )
        proposals = []
        if loaded is not None and left > 0:
            left -= 1
            proposals = await _backtest(context, past, loaded, incidents, "noisy")
        needs.append(
            Need(
                _unique(f"noisy-{tuning.slug(rule.alert)}", needs), "noisy", rule.alert, service,
                f"{rule.true} of {rule.n} episodes had an incident: precision {percent(share.value)}, "
                f"95% interval {share.low:.0%} to {share.high:.0%}, n = {rule.n}",
                owner, proposals[0] if proposals else None, {"n": rule.n, **share_data(share)},
            )
        )  # fmt: skip
    for record in missed:
        one = record.incident
        if one.action.strip():
            continue
        proposals = []
        for loaded in (rule for rule in past.rules if service_of(rule, context) == one.service and one.service):
            if left > 0 and not proposals:
                left -= 1
                proposals = await _backtest(context, past, loaded, incidents, "missed")
        needs.append(
            Need(
                _unique(f"missed-{tuning.slug(one.id)}", needs), "missed", one.id, one.service,
                f"no alert told of it ({one.service or 'no service'}, {iso(one.started_at)}): {one.title}",
                owner_for_gap(services.get(one.service), context.config), proposals[0] if proposals else None,
                {"service": one.service, "title": one.title, "started_at": iso(one.started_at)},
            )
        )  # fmt: skip
    return needs


def service_of(rule: LoadedRule, context: Context) -> str:
    named = episodes.service_of(rule.labels, tuning.service_labels(context.config))
    return tuning.ours(named, context.config)


def _unique(slug: str, needs: Sequence[Need]) -> str:
    taken = {need.slug for need in needs}
    number, name = 1, slug
    while name in taken:
        number += 1
        name = f"{slug}-{number}"
    return name


async def _backtest(
    context: Context, past: Past, loaded: LoadedRule, incidents: Sequence[Incident], kind: str
) -> list[dict[str, Any]]:
    """Proposals of one kind for one rule; what keeps them back is noted."""
    compared = tuning.comparison(loaded.query)
    metrics, window = context.ports.metrics, past.window
    if compared is None or metrics is None:
        past.notes.append(f"{loaded.name}: not one numeric threshold, so nothing to backtest")
        return []
    await context.progress(f"backtesting {loaded.name}")
    try:
        history = await metrics.query_range(compared.left, window.start, window.end, window.step)
    except BackendError as exc:
        past.notes.append(f"{loaded.name}: its history could not be read: {exc}")
        return []
    points = sum(len(series.points) for series in history.series)
    if history.warnings or not points or points > MOST_POINTS:
        why = "may be partial" if history.warnings else "is empty" if not points else f"has {points} points"
        past.notes.append(f"{loaded.name}: not backtested, its history {why}")
        return []
    rule = backtest.Rule(
        loaded.name, compared.operator, compared.value, loaded.for_seconds, episodes.service_of(loaded.labels)
    )
    grace = context.config.thresholds.correlation_grace_seconds
    tried = await asyncio.to_thread(
        backtest.propose, rule, history.series, incidents, (window.start, window.end), window.step, grace
    )
    about = [part for part in tried.why.split("; ") if not part.startswith(OTHER_KIND[kind])]
    if any(about):
        past.notes.append(f"{loaded.name}: {'; '.join(about)}")
    return [
        tuning.proposal_data(one, loaded, f"{kind}-{tuning.slug(loaded.name)}")
        for one in tried.proposals
        if one.kind == kind
    ]


# --- deciding --------------------------------------------------------------------------------------------------------


async def decide(context: Context, needs: Sequence[Need]) -> dict[str, Decision]:
    """One for each need. Nobody is asked more than ``MOST_QUESTIONS`` in one attempt: what is left stays unresolved."""
    out: dict[str, Decision] = {}
    asked = 0
    for need in needs:
        new = _before(context, f"tuning-{need.slug}")[0] is None
        if new and asked == MOST_QUESTIONS:
            out[need.slug] = Decision("", f"not asked yet: {MOST_QUESTIONS} questions are enough for one attempt")
            continue
        asked += new
        out[need.slug] = await _decide(context, need)
    return out


async def _decide(context: Context, need: Need) -> Decision:
    """A decision that was made stays made in this run; "later" is asked again at the next attempt."""
    name = f"tuning-{need.slug}"
    answered, shown = _before(context, name)
    if answered is None:
        answered = await context.ask(_question(need, name))
        shown = context.state.prompts[f"{context.step}#{context.attempt}:{name}"].raised.data.get("proposal")
    proposal = dict(shown) if isinstance(shown, Mapping) else None
    reason = answered.reason.strip()
    match answered.answer:
        case "accept" if proposal is not None:
            done = await tuning_apply.change_rule(context, need.slug, need.owner, proposal)
            return Decision("accepted" if done.ok else "", done.state, done.ok, proposal)
        case "reject" if _settles(context, answered):
            return Decision(f"rejected: {reason}", f"rejected by {answered.person}: {reason}", True, proposal)
        case "file":
            reference = f"backlog entry correlate:{need.slug}, {need.owner}, next release cycle"
            return Decision(f"filed: {reference}", f"filed as {reference}", True, proposal)
    return Decision("", f"put off: {answered.answer}", False, proposal)


def _before(context: Context, name: str) -> tuple[f.PromptAnswered | None, Any]:
    """The last answer of this run to the same question that settles it, and the proposal that it was given to."""
    for prompt in reversed(list(context.state.prompts.values())):
        given = prompt.answered
        if given is None or prompt.raised.step != context.step or not prompt.raised.id.endswith(f":{name}"):
            continue
        if _settles(context, given):
            return given, prompt.raised.data.get("proposal")
    return None, None


def _settles(context: Context, given: f.PromptAnswered) -> bool:
    """Whether it decides: a rejection that an older journal holds may be without the reason that is asked for now."""
    enough = len(given.reason.strip()) >= context.config.policy.reason_characters
    return given.answer in ("accept", "file") or (given.answer == REJECT and enough)


def _question(need: Need, name: str) -> Ask:
    options = (LATER, REJECT, "file", *(("accept",) if need.proposal else ()))
    said = [f"{need.why}."]
    if need.proposal:
        said += [f"Proposal for {need.proposal['rule']}: {need.proposal['change']}.", str(need.proposal["why"]) + "."]
    said.append("later: the run halts. reject: nothing changes; say why. file: a backlog entry with an owner.")
    if need.proposal:
        said.append("accept: the rule is changed, here or by its owner.")
    title = f"{need.subject} is noisy" if need.kind == "noisy" else f"{need.subject} was missed"
    return Ask(
        name, "choose", f"{title}: what is to be done?", "\n".join(said), options=options, with_reason=(REJECT,),
        data={"kind": need.kind, "subject": need.subject, "why": need.why, "owner": need.owner,
              "proposal": need.proposal, **need.figures},
    )  # fmt: skip


def share_data(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "n": share.n, "value": share.value, "low": share.low, "high": share.high,
            "finding": share.finding.value, "why": share.why}  # fmt: skip
