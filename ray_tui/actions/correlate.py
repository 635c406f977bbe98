"""3.2 Correlate alerts with incidents: which rules told the truth, what was missed, and what a person decides on it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from ray_tui.actions import probe_plan, tuning, tuning_apply, tuning_report
from ray_tui.actions.scorecard import COVERED, LOOK_SECONDS
from ray_tui.actions.services import effective_services, owner_for_gap, with_resolved
from ray_tui.actions.tuning_report import percent
from ray_tui.analysis import backtest, episodes, promql, red, wilson
from ray_tui.analysis.wilson import Share
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Incident, LoadedRule, Matrix, Metrics, PagerService, Silence
from ray_tui.core.verdicts import Criterion, Finding, Verdict
from ray_tui.step import Ask, Context, Header, Result, criterion

STEP_SECONDS = 300.0
MOST_STEPS = 8_640
"""30 days of five minutes; a longer window is looked at in wider steps."""
MOST_POINTS = 200_000
"""A left-hand side with more is not backtested: it would take more than seconds."""
MOST_BACKTESTS = 20
MOST_QUESTIONS = 25
REPORT = "alert-tuning-report.json"
LISTENED = "count(up) or count(ALERTS)"
"""Answers wherever the store holds any sample of a scrape, or of a rule that always fires."""
LATER, REJECT = "later", "reject"
OTHER_KIND = {"noisy": "missed:", "missed": "noisy:"}
"""What a backtest says of the kind of proposal that was not asked for."""


@dataclass(frozen=True)
class Window:
    start: float
    end: float
    step: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass
class Past:
    """Everything that was read of the window, and what kept the rest from being read."""

    window: Window
    matrix: Matrix = field(default_factory=lambda: Matrix(()))
    rules: tuple[LoadedRule, ...] = ()
    silences: tuple[Silence, ...] = ()
    incidents: tuple[Incident, ...] = ()
    pager: tuple[PagerService, ...] = ()
    covered: float | None = None
    """The share of the window that the store has samples of; None: not measured."""
    criteria: list[Criterion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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


async def run(context: Context) -> Result:
    """Read the past, match it, ask for a decision on every gap. An unresolved gap halts."""
    past = await _read(context)
    if any(not one.verdict.lets_go_on for one in past.criteria):
        return _unread(past)
    heard, foreign = _heard(context, past)
    ours, unattributed, probes = _incidents(context, past, heard.kept)
    found = episodes.match(
        heard.kept, ours, context.config.thresholds.correlation_grace_seconds, tuning.aliases(context.config)
    )
    target = context.config.thresholds.precision
    shares = {rule.alert: wilson.precision(rule.true, rule.n, target) for rule in found.rules}
    counted = [one for one in found.incidents if one.incident.started_at >= past.window.start]
    inside = [one for one in counted if not _worked_on(context, one.incident)]
    missed = [one for one in inside if one.missed]
    needs = await _needs(context, past, found, shares, missed)
    decisions = await _decisions(context, needs)
    insufficient = [rule for rule in found.rules if shares[rule.alert].finding is Finding.INSUFFICIENT]
    overall = wilson.precision(sum(rule.true for rule in found.rules), len(heard.kept), target)
    gaps = [*(_gap(need, decisions[need.slug]) for need in needs), *_thin(context, past, insufficient)]
    if overall.finding is Finding.INSUFFICIENT:
        gaps.append(_too_few(context, overall))
    attribution = _attribution(past, ours, unattributed)
    criteria = [*past.criteria, attribution, *_judged(needs, decisions, found.rules, inside)]
    recall = wilson.precision(sum(not one.missed for one in inside), len(inside), target)
    data = {
        "window": _window_data(past),
        "rules": [_rule_row(rule, shares[rule.alert], past, needs, decisions) for rule in found.rules],
        "proposals": [
            {**proposal, "accepted": decision.action.startswith("accepted") if decision.action else None,
             "state": decision.state}
            for need in needs
            if (proposal := (decision := decisions[need.slug]).proposal or need.proposal) is not None
        ],
        "missed": [_missed_row(one, needs, decisions) for one in missed],
        "recall": recall.value,
        "recall_share": _share(recall),
        "precision": overall.value,
        "precision_share": _share(overall),
        "incidents": len(inside),
        "episodes": len(heard.kept),
        "excluded": {
            "probes": heard.probes, "silenced": heard.silenced, "maintenance": heard.maintenance,
            "elsewhere": foreign, "probe_incidents": probes, "unattributed_incidents": len(unattributed),
            "maintenance_incidents": len(counted) - len(inside),
        },
        "maintenance": [one.model_dump(mode="json") for one in context.config.maintenance],
        "unattributed": [{"incident": one.id, "title": one.title, "service": one.service} for one in unattributed],
        "gaps": [
            {"id": gap.id, "subject": gap.subject, "title": gap.title, "status": gap.status,
             "reference": gap.reference} for gap in gaps
        ],
        "decisions": [
            {"criterion": f"correlate.gaps:{need.slug}", "kind": need.kind, "subject": need.subject,
             "why": need.why, "action": decisions[need.slug].action, "state": decisions[need.slug].state}
            for need in needs
        ],
        "notes": past.notes,
    }  # fmt: skip
    open_ = sum(not decision.resolved for decision in decisions.values())
    said = f"{len(heard.kept)} episodes, {len(inside)} incidents, precision {percent(overall.value)}"
    return Result(
        f"{said}; {open_} of {len(needs)} gaps unresolved",
        tuple(criteria),
        data,
        with_resolved(context.state, context.step, gaps),
    )


# --- reading ---------------------------------------------------------------------------------------------------------


async def _read(context: Context) -> Past:
    """Alerts and incidents of the window; each failure is a criterion, and then nothing may be judged."""
    end = context.now()
    seconds = context.config.thresholds.correlation_days * 86_400
    step = max(STEP_SECONDS, ceil(seconds / MOST_STEPS / 60) * 60.0)
    past = Past(Window(end - seconds, end, step))
    past.criteria.append(await _read_alerts(context, past))
    past.criteria.append(await _read_incidents(context, past))
    if context.ports.alerting is not None:
        try:
            past.silences = await context.ports.alerting.silences()
        except BackendError as exc:
            past.notes.append(f"silences could not be read: {exc}")
    past.notes.append(
        "silences that Alertmanager has forgotten (after its --data.retention, 120 h by default) "
        "and work that [[maintenance]] does not name are not left out"
    )
    if context.ports.paging is not None:
        try:
            past.pager = await context.ports.paging.services()
        except BackendError as exc:
            past.notes.append(f"paging services could not be read: {exc}")
    return past


async def _read_alerts(context: Context, past: Past) -> Criterion:
    metrics, window = context.ports.metrics, past.window
    if metrics is None:
        return _source("history", "Alert history", Verdict.ERROR, "no [metrics] are configured", "Configure [metrics].")
    await context.progress(f"reading {window.seconds / 86_400:g} days of ALERTS")
    # The maximum over the step: an alert that fired between two looks is seen too.
    expr = f'max_over_time(ALERTS{{alertstate="firing"}}[{red.seconds(window.step)}])'
    try:
        past.matrix = await metrics.query_range(expr, window.start, window.end, window.step)
        past.rules = tuple(rule for rule in await metrics.rules() if rule.kind == "alerting")
    except BackendError as exc:
        return _source("history", "Alert history", Verdict.ERROR, str(exc), "Repair the metrics store, then retry.")
    if past.matrix.warnings:
        actual = f"the answer may be partial: {'; '.join(past.matrix.warnings)}"
        return _source("history", "Alert history", Verdict.INCONCLUSIVE, actual, "Retry when the store is whole.")
    if not past.matrix.series and not past.rules:
        actual = "no ALERTS series and no alerting rule: this store does not know the alerts"
        return _source("history", "Alert history", Verdict.INCONCLUSIVE, actual, "Ask the store that runs the rules.")
    return await _read_coverage(metrics, past)


async def _read_coverage(metrics: Metrics, past: Past) -> Criterion:
    """Silence counts only where somebody listened: ``up`` tells of each scrape, ``ALERTS`` of an evaluated heartbeat.

    Counted in the store; whole looks only, so that the youngest and the oldest count alike.
    """
    window, title = past.window, "Alert history"
    look = min(LOOK_SECONDS, max(window.step, window.seconds / 24))
    looks = max(1, int(window.seconds // look))
    try:
        alive = await metrics.query_range(LISTENED, window.end - (looks - 1) * look, window.end, look)
    except BackendError as exc:
        return _source("history", title, Verdict.ERROR, str(exc), "Repair the metrics store, then retry.")
    if alive.warnings:
        actual = f"how far it reaches may be partial: {'; '.join(alive.warnings)}"
        return _source("history", title, Verdict.INCONCLUSIVE, actual, "Retry when the store is whole.")
    seen = {at for series in alive.series for at, value in series.points if value > 0}
    past.covered = min(1.0, len(seen) / looks)
    asked, covered = window.seconds / 86_400, len(seen) * look / 86_400
    if past.covered < COVERED:
        oldest = f", the oldest of {iso(min(seen))}" if seen else ""
        actual = f"the store answers for {covered:.3g} of {asked:g} days{oldest}: silence before proves nothing"
        remedy = "Ask the store that keeps the history, or set thresholds.correlation_days to what is kept; then retry."
        return _source("history", title, Verdict.INCONCLUSIVE, actual, remedy)
    actual = f"{len(past.matrix.series)} series; samples for {covered:.3g} of {asked:g} days, {window.step:g} s steps"
    return _source("history", title, Verdict.PASSED, actual)


async def _read_incidents(context: Context, past: Past) -> Criterion:
    sources = context.ports.incidents
    title = "Incident sources"
    if not sources:
        actual = "no [[incidents]] are configured: alerts cannot be held against what happened"
        return _source("sources", title, Verdict.INCONCLUSIVE, actual, "Configure [[incidents]]; a CSV file will do.")
    found: dict[tuple[str, str], Incident] = {}
    troubles = []
    for source in sources:
        try:
            for one in await source.between(past.window.start, past.window.end):
                found.setdefault((one.source, one.id), one)
        except BackendError as exc:
            troubles.append(f"{source.name}: {exc}")
    past.incidents = tuple(sorted(found.values(), key=lambda one: (one.started_at, one.id)))
    if troubles:
        return _source("sources", title, Verdict.ERROR, "; ".join(troubles), "Repair the source, then retry.")
    names = ", ".join(source.name for source in sources)
    return _source("sources", title, Verdict.PASSED, f"{len(found)} incidents from {names}")


def _source(name: str, title: str, verdict: Verdict, actual: str, remedy: str = "") -> Criterion:
    return criterion(
        f"correlate.{name}", title, verdict, actual, required="read in full", evidence=(REPORT,), remedy=remedy
    )


def _unread(past: Past) -> Result:
    bad = [one.actual for one in past.criteria if not one.verdict.lets_go_on]
    data = {
        "window": _window_data(past), "rules": [], "proposals": [], "missed": [], "recall": None,
        "recall_share": None, "precision": None, "precision_share": None, "incidents": len(past.incidents),
        "episodes": 0, "excluded": {}, "unattributed": [], "maintenance": [], "gaps": [], "decisions": [],
        "notes": past.notes,
    }  # fmt: skip
    return Result("; ".join(bad), tuple(past.criteria), data)


# --- what counts -----------------------------------------------------------------------------------------------------


def _heard(context: Context, past: Past) -> tuple[episodes.Episodes, int]:
    """The episodes that count, and how many are another team's. Heartbeats, which always fire, are no alerts."""
    heartbeats = {rule.name for rule in past.rules if _is_constant(rule.query)}
    series = [one for one in past.matrix.series if one.labels.get("alertname", "") not in heartbeats]
    labels = tuning.service_labels(context.config)
    names = {episodes.service_of(one.labels, labels) for one in series}
    found = episodes.find(series, past.window.step, past.silences, _maintenance(context, names), labels)
    rows = context.state.steps["2.1"].data.get("alerts")
    known = {str(row.get("name")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else set()
    kept = tuple(
        one for one in found.kept
        if not one.service or one.alert in known or tuning.ours(one.service, context.config)
    )  # fmt: skip
    counted = episodes.Episodes(kept, found.probes, found.silenced, found.maintenance)
    return counted, len(found.kept) - len(kept)


def _maintenance(context: Context, names: Collection[str]) -> list[episodes.Maintenance]:
    """The configured windows, their services under the names that the alerts' labels give them."""
    found = []
    for one in context.config.maintenance:
        services = frozenset(name for name in names if tuning.ours(name, context.config) in one.services)
        if services or not one.services:
            found.append(episodes.Maintenance(one.start.timestamp(), one.end.timestamp(), services))
    return found


def _is_constant(expr: str) -> bool:
    try:
        return promql.parse(expr).is_constant
    except promql.PromqlError:
        return False


def _incidents(
    context: Context, past: Past, heard: Sequence[episodes.Episode]
) -> tuple[list[Incident], list[Incident], int]:
    """(ours, those of no service of ours, how many our own probes opened)."""
    marks = (probe_plan.ALERTNAME, *context.state.probes)
    real = [one for one in past.incidents if not tuning.is_our_probe(one, marks)]
    kept: list[Incident] = []
    others: list[Incident] = []
    for one in real:
        named = tuning.attribute(one, heard, context.config, past.pager)
        (others if named is None else kept).append(named or one)
    return kept, others, len(past.incidents) - len(real)


def _worked_on(context: Context, incident: Incident) -> bool:
    return any(one.covers(incident.service, incident.started_at) for one in context.config.maintenance)


def _attribution(past: Past, ours: Sequence[Incident], unattributed: Sequence[Incident]) -> Criterion:
    """Incidents of other teams are left out; but when every incident is, the names do not fit."""
    lost = bool(unattributed) and not ours
    names = sorted({one.service or "(no service)" for one in unattributed})
    actual = f"{len(ours)} incidents belong to services of the catalogue"
    if unattributed:
        actual += f"; {len(unattributed)} do not ({', '.join(names[:8])})"
    return criterion(
        "correlate.attribution", "Incidents belong to services", Verdict.INCONCLUSIVE if lost else Verdict.PASSED,
        actual, required="not all of them elsewhere", evidence=(REPORT,),
        remedy="Name the services as the incidents do: [services.X.names], or [owners.X] policy." if lost else "",
    )  # fmt: skip


# --- what needs a decision -------------------------------------------------------------------------------------------


async def _needs(
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
                owner, proposals[0] if proposals else None, {"n": rule.n, **_share(share)},
            )
        )  # fmt: skip
    for record in missed:
        one = record.incident
        if one.action.strip():
            continue
        proposals = []
        for loaded in (rule for rule in past.rules if _service(rule, context) == one.service and one.service):
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


def _service(rule: LoadedRule, context: Context) -> str:
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


async def _decisions(context: Context, needs: Sequence[Need]) -> dict[str, Decision]:
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


# --- what came of it -------------------------------------------------------------------------------------------------


def _judged(
    needs: Sequence[Need],
    decisions: Mapping[str, Decision],
    records: Sequence[episodes.RuleRecord],
    incidents: Sequence[episodes.IncidentRecord],
) -> list[Criterion]:
    """A gap that nobody has answered for fails. Too few cases are a finding with a backlog entry: no block."""
    rules = sum(rule.n >= wilson.MINIMUM for rule in records)
    if not needs:
        actual = (
            f"none of {rules} rules with {wilson.MINIMUM} episodes is noisy, "
            f"none of {len(incidents)} incidents was missed without an action"
        )
        if not rules and not incidents:
            actual = "insufficient, see the backlog: no incident, and no rule has enough episodes to be judged"
        return [criterion("correlate.gaps", "No unresolved monitoring gap", Verdict.PASSED, actual, evidence=(REPORT,))]
    return [
        criterion(
            f"correlate.gaps:{need.slug}",
            "Alert noise" if need.kind == "noisy" else "Missed incident",
            Verdict.PASSED if decisions[need.slug].resolved else Verdict.FAILED,
            f"{need.subject}: {need.why}; {decisions[need.slug].state}",
            required="accepted, rejected with a reason, or filed", evidence=(REPORT,),
            remedy="" if decisions[need.slug].resolved else "Retry, and accept, reject with a reason, or file it.",
        )
        for need in needs
    ]  # fmt: skip


def _gap(need: Need, decision: Decision) -> f.GapFound:
    """A noisy rule or missed incident as a backlog entry: closed once nobody has to do anything more."""
    closed = decision.resolved and (decision.state == "applied" or decision.action.startswith("rejected"))
    title = f"{need.subject}: tune this noisy rule" if need.kind == "noisy" else f"Detect what {need.subject} was"
    return f.GapFound(
        id=f"correlate:{need.slug}", step="3.2", title=f"{title} ({decision.state})", subject=need.service,
        owner=need.owner, due="next release cycle", severity="warns" if decision.resolved else "blocks",
        status="resolved" if closed else "open", reference=decision.action,
    )  # fmt: skip


def _thin(context: Context, past: Past, rules: Sequence[episodes.RuleRecord]) -> list[f.GapFound]:
    services = effective_services(context.config, context.state)
    by_name = {rule.name: _service(rule, context) for rule in past.rules}
    return [
        f.GapFound(
            id=f"correlate:insufficient-{tuning.slug(rule.alert)}", step="3.2",
            title=f"{rule.alert}: {rule.n} episodes are too few to judge its precision",
            subject=by_name.get(rule.alert, ""),
            owner=owner_for_gap(services.get(by_name.get(rule.alert, "")), context.config),
            due="next release cycle", severity="info",
        )
        for rule in rules
    ]  # fmt: skip


def _too_few(context: Context, overall: Share) -> f.GapFound:
    return f.GapFound(
        id="correlate:insufficient", step="3.2", title=f"Alert precision could not be judged: {overall.why}",
        subject="alert precision", owner=owner_for_gap(None, context.config), due="next release cycle", severity="info",
    )  # fmt: skip


def _rule_row(
    rule: episodes.RuleRecord, share: Share, past: Past, needs: Sequence[Need], decisions: Mapping[str, Decision]
) -> dict[str, Any]:
    need = next((one for one in needs if one.kind == "noisy" and one.subject == rule.alert), None)
    status = share.finding.value
    if need is not None:
        status = decisions[need.slug].action.partition(":")[0] or "noisy"
    return {
        "rule": rule.alert, "n": rule.n, "true": rule.true, "false": rule.false, "precision": share.value,
        "low": share.low, "high": share.high, "finding": share.finding.value, "duplicates": rule.duplicates,
        "flaps": rule.flaps, "time_to_detect": rule.time_to_detect_seconds,
        "pages_per_week": episodes.pages_per_week(rule.n, past.window.seconds), "status": status,
    }  # fmt: skip


def _missed_row(
    record: episodes.IncidentRecord, needs: Sequence[Need], decisions: Mapping[str, Decision]
) -> dict[str, Any]:
    one = record.incident
    need = next((each for each in needs if each.kind == "missed" and each.subject == one.id), None)
    action = one.action.strip() or (decisions[need.slug].action if need else "")
    return {"incident": one.id, "title": one.title, "service": one.service, "started_at": iso(one.started_at),
            "severity": one.severity, "source": one.source, "action": action}  # fmt: skip


def _window_data(past: Past) -> dict[str, Any]:
    window = past.window
    return {"start": iso(window.start), "end": iso(window.end), "days": window.seconds / 86_400,
            "step_seconds": window.step, "covered": past.covered}  # fmt: skip


def _share(share: Share) -> dict[str, Any]:
    return {"hits": share.hits, "n": share.n, "value": share.value, "low": share.low, "high": share.high,
            "finding": share.finding.value, "why": share.why}  # fmt: skip


def documents(data: Mapping[str, Any], header: Header) -> Mapping[str, str]:
    """``alert-tuning-report.md``."""
    return tuning_report.documents(data, header)
