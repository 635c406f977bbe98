"""What the probes of one attempt prove: criteria, the body of alert-test-results.json, and the readable table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ray_tui.actions.probe_judging import HOP_NAMES, ORDER, Leg, Skew, duration, marked
from ray_tui.actions.probe_plan import Preview, Rota, Untestable
from ray_tui.analysis.hops import Interval, percentile
from ray_tui.clock import iso
from ray_tui.core import facts as f
from ray_tui.core.verdicts import Criterion, Verdict, combine
from ray_tui.evidence import text
from ray_tui.step import Header, criterion

ARTIFACT = "alert-test-results.json"
HOPS = tuple(HOP_NAMES)


@dataclass(frozen=True)
class Findings:
    """Everything that the report is written from."""

    legs: Sequence[Leg]
    untestable: Sequence[Untestable]
    cleared: Mapping[str, f.ProbeCleared]
    rota: Rota
    skews: Mapping[str, Skew]
    preview: Preview
    sla: float
    started_at: float
    finished_at: float
    labels: Mapping[str, Mapping[str, str]]
    """Leg id -> the labels of its alert."""
    dry: bool = False
    declined_by: str = ""
    paths: Mapping[str, Any] = field(default_factory=dict)
    """Where every loaded alert would go."""
    watchdog: Mapping[str, Any] = field(default_factory=dict)
    by_rule: Sequence[Leg] = ()
    """Legs whose alert a temporary rule fired."""
    contact_points: Sequence[Mapping[str, Any]] = ()
    """Grafana's own tests: they prove no route."""

    @property
    def acknowledging(self) -> list[Leg]:
        return [leg for leg in self.legs if leg.purpose == "acknowledge"]

    @property
    def escalating(self) -> list[Leg]:
        return [leg for leg in self.legs if leg.purpose == "escalate"]


# --- criteria --------------------------------------------------------------------------------------------------------


def criteria(found: Findings) -> tuple[Criterion, ...]:
    """Every condition that blocks, receiver by receiver."""
    return (
        _receivers(found),
        *(one for leg in found.acknowledging for one in _of_receiver(leg, found)),
        *(one for untestable in found.untestable for one in _of_untestable(untestable, found)),
        *_escalations(found),
        *(_of_rule(leg, found) for leg in found.by_rule),
        *_clean(found),
    )


def _receivers(found: Findings) -> Criterion:
    probed = len(found.acknowledging)
    known = probed + len(found.untestable)
    verdict = Verdict.PASSED if probed else Verdict.INCONCLUSIVE
    if found.declined_by:
        verdict, actual = Verdict.FAILED, f"declined by {found.declined_by}: no probe was fired"
    elif found.dry:
        verdict, actual = Verdict.INCONCLUSIVE, f"dry run (alert_paths.real_pages is off): {known} planned, none fired"
    elif not known:
        actual = "no critical route names a receiver: there is nothing that could be proved"
    else:
        actual = f"{probed} of {known} receivers probed"
    return criterion(
        "alert_paths.receivers", "Receivers of critical routes are probed", verdict, actual, required="≥ 1 probed",
        evidence=(ARTIFACT,), remedy="Route critical alerts to a receiver, confirm the pages, and test again",
    )  # fmt: skip


def _of_receiver(leg: Leg, found: Findings) -> tuple[Criterion, Criterion]:
    arrived, how = leg.delivered()
    verdict, answered = leg.acknowledged(found.sla, found.skews)
    return (
        criterion(
            f"alert_paths.delivered:{leg.receiver}", f"A critical alert reaches {leg.receiver}", arrived, how,
            required="delivered on every integration", evidence=(ARTIFACT,),
            remedy="Follow the hops: it stopped after the last one that was seen",
        ),
        criterion(
            f"alert_paths.ack:{leg.receiver}", f"A person acknowledges what {leg.receiver} sends", verdict, answered,
            required=f"≤ {duration(found.sla)}", evidence=(ARTIFACT,),
            remedy="Check who is on call and how they are notified, then test again",
        ),
    )  # fmt: skip


def _of_rule(leg: Leg, found: Findings) -> Criterion:
    (arrived, how), (verdict, answered) = leg.delivered(), leg.acknowledged(found.sla, found.skews)
    told = f"delivered {how}; {answered}" if arrived is Verdict.PASSED else how
    return criterion(
        f"alert_paths.rule:{leg.receiver}", f"A rule's alert reaches {leg.receiver}", combine((arrived, verdict)), told,
        required=f"evaluated, delivered, acknowledged ≤ {duration(found.sla)}", evidence=(ARTIFACT,),
        remedy="Check that Prometheus evaluates its rules and sends to every Alertmanager peer",
    )  # fmt: skip


def _of_untestable(one: Untestable, found: Findings) -> tuple[Criterion, Criterion]:
    delivered = criterion(
        f"alert_paths.delivered:{one.receiver}", f"A critical alert reaches {one.receiver}", one.verdict,
        f"{one.why} {marked(one.problem, one.hop)}", required="delivered on every integration",
        evidence=(ARTIFACT,), remedy=one.remedy,
    )  # fmt: skip
    acknowledged = criterion(
        f"alert_paths.ack:{one.receiver}", f"A person acknowledges what {one.receiver} sends", one.verdict,
        f"not probed: {one.problem}", required=f"≤ {duration(found.sla)}", evidence=(ARTIFACT,), remedy=one.remedy,
    )  # fmt: skip
    return delivered, acknowledged


def _escalations(found: Findings) -> list[Criterion]:
    """One for every policy that a page went through, and for every pager path whose policy never showed."""
    tested = {leg.policy_id: leg for leg in found.escalating}
    rows = [_escalation(leg.policy_id or leg.receiver, found, *leg.escalated()) for leg in found.escalating]
    missing: dict[str, str] = {}
    for leg in found.acknowledging:
        if any(one.kind == "pagerduty" and not one.blind for one in leg.channels) and leg.policy_id not in tested:
            said = [one.detail for one in leg.problems if one.problem in ("unescalated", "auto_ack")]
            why = said[0] if said else "no page of it arrived, so nothing could be escalated"
            missing.setdefault(leg.policy_id or leg.receiver, why)
    for one in found.untestable:
        if "pagerduty" in one.integrations:
            missing.setdefault(one.receiver, f"not probed: {one.problem}")
    return rows + [
        _escalation(name, found, Verdict.INCONCLUSIVE, f"not tested: {why}") for name, why in missing.items()
    ]


def _escalation(policy: str, found: Findings, verdict: Verdict, actual: str) -> Criterion:
    return criterion(
        f"alert_paths.escalation:{policy}", f"An unanswered page escalates ({found.rota.policy_name(policy)})", verdict,
        actual, required="level 2 is called within the policy's delay and its slack", evidence=(ARTIFACT,),
        remedy="Put somebody on the second level of the escalation policy, then test again",
    )  # fmt: skip


def _clean(found: Findings) -> tuple[Criterion, ...]:
    legs = [*found.legs, *found.by_rule]
    if not legs:
        return ()
    left = [what for leg in legs for what in _left(leg, found)]
    actual = "; ".join(dict.fromkeys(left)) if left else "nothing is firing, no incident is open"
    return (
        criterion(
            "alert_paths.clean", "Nothing of the test is left", Verdict.FAILED if left else Verdict.PASSED, actual,
            required="every probe resolved and verified", evidence=(ARTIFACT,),
            remedy="Resolve by hand what is named here",
        ),
    )  # fmt: skip


def _left(leg: Leg, found: Findings) -> tuple[str, ...]:
    cleared = found.cleared.get(leg.id)
    if cleared is None:
        return (f"{leg.id} was never cleared",)
    return () if cleared.clean else (cleared.left or (f"{leg.id} is not clean",))


# --- data ------------------------------------------------------------------------------------------------------------


def data(found: Findings) -> dict[str, Any]:
    """The body of ``alert-test-results.json``. Times are RFC 3339, durations seconds as [least, most]."""
    rows = [_row(leg, found) for leg in found.acknowledging]
    return {
        "sla_seconds": found.sla,
        "receivers": rows + [_untested(one) for one in found.untestable],
        "escalations": [_escalation_row(leg, found) for leg in found.escalating],
        "percentiles": {name: _percentiles(rows, name) for name in ("delivered", "acknowledged")},
        "slowest_hop": _slowest(found),
        "rule_probes": [_row(leg, found) for leg in found.by_rule],
        "paths": dict(found.paths),
        "watchdog": dict(found.watchdog),
        "contact_points": [dict(one) for one in found.contact_points],
        "pages": pages(found.preview),
        "over_budget": list(found.preview.over),
        "skew_seconds": {system: list(skew) if skew else None for system, skew in sorted(found.skews.items())},
        "dry_run": found.dry,
        "declined_by": found.declined_by,
        "started_at": iso(found.started_at),
        "finished_at": iso(found.finished_at),
    }


def pages(preview: Preview) -> list[dict[str, Any]]:
    """Who is paged, because of which receiver, at most how often."""
    return [
        {
            "person": row.person, "level": row.level, "until": None if row.until is None else iso(row.until),
            "receiver": row.receiver, "count": row.count,
        }
        for row in preview.rows
    ]  # fmt: skip


def _common(leg: Leg, found: Findings) -> dict[str, Any]:
    cleared = found.cleared.get(leg.id)
    return {
        "receiver": leg.receiver,
        "integrations": [one.kind for one in leg.channels for _ in range(one.expected)],
        "probe": leg.id,
        "labels": dict(found.labels.get(leg.id, {})),
        "hops": {hop: _hop(leg.hops.get(hop)) for hop in HOPS},
        "problems": [
            {"problem": one.problem, "hop": one.hop, "detail": one.detail, "blocks": one.blocks} for one in leg.problems
        ],
        "clean": cleared.clean if cleared else False,
        "left": list(_left(leg, found)),
    }


def _row(leg: Leg, found: Findings) -> dict[str, Any]:
    verdict = combine((leg.delivered()[0], leg.acknowledged(found.sla, found.skews)[0]))
    known = {name: leg.took(hop) for hop, name in HOP_NAMES.items() if hop not in ("t0", "t7")}
    return {
        **_common(leg, found),
        "elapsed": {name: _seconds(took) for name, took in known.items()},
        "perhaps_before_firing": [name for name, took in known.items() if took is not None and took.perhaps_negative],
        "out_of_order": [
            {"hop": one.hop, "name": HOP_NAMES[one.hop], "detail": one.detail, "within_skew": not one.blocks}
            for one in leg.problems
            if one.problem in ORDER
        ],
        "acknowledged_by": leg.hops["t6"].who if "t6" in leg.hops else None,
        "verdict": verdict.value,
    }


def _escalation_row(leg: Leg, found: Findings) -> dict[str, Any]:
    verdict, actual = leg.escalated()
    return {
        **_common(leg, found),
        "policy": leg.policy_id,
        "policy_name": found.rota.policy_name(leg.policy_id),
        "limit_seconds": leg.escalation_limit,
        "elapsed": {"delivered": _seconds(leg.took("t4")), "escalated": _seconds(leg.took("t7", "t4"))},
        "escalated_to": leg.hops["t7"].who if "t7" in leg.hops else None,
        "verdict": verdict.value,
        "actual": actual,
    }


def _untested(one: Untestable) -> dict[str, Any]:
    return {
        "receiver": one.receiver, "integrations": list(one.integrations), "probe": None, "labels": {},
        "hops": dict.fromkeys(HOPS), "elapsed": {}, "perhaps_before_firing": [], "out_of_order": [],
        "acknowledged_by": None,
        "verdict": one.verdict.value,
        "problems": [{"problem": one.problem, "hop": one.hop, "detail": one.why, "blocks": True}],
        "clean": True, "left": [],
    }  # fmt: skip


def _hop(seen: f.ProbeHopSeen | None) -> dict[str, Any] | None:
    """``at`` is by when it had happened for certain."""
    if seen is None:
        return None
    return {
        "at": iso(seen.latest), "earliest": iso(seen.earliest), "latest": iso(seen.latest), "source": seen.source,
        "who": seen.who, "detail": seen.detail,
    }  # fmt: skip


def _seconds(took: Interval | None) -> list[float] | None:
    return None if took is None else [round(took.earliest, 3), round(took.latest, 3)]


def _percentiles(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Over the latest that each may have been; None over nothing."""
    values = [float(row["elapsed"][name][1]) for row in rows if row["elapsed"].get(name)]
    return {"n": len(values), "p50": percentile(values, 50), "p95": percentile(values, 95)}


def _slowest(found: Findings) -> dict[str, Any] | None:
    """The hop that took longest after the last one before it that is known."""
    worst: dict[str, Any] | None = None
    for leg in found.acknowledging:
        known = [hop for hop in HOPS[:7] if hop in leg.hops]
        for before, hop in pairwise(known):
            seconds = leg.hops[hop].latest - leg.hops[before].latest
            if worst is None or seconds > worst["seconds"]:
                worst = {"receiver": leg.receiver, "hop": hop, "after": before, "seconds": round(seconds, 3)}
    return worst


# --- Markdown --------------------------------------------------------------------------------------------------------


def markdown(body: Mapping[str, Any], header: Header) -> str:
    """The results as a person reads them."""
    parts = [
        f"# Alert path test: {text.cell(header.release)} in {text.cell(header.environment)}",
        f"Run {text.cell(header.run_id)}, attempt {header.attempt}, {iso(header.generated_at)}. "
        f"Verdict: **{text.cell(header.verdict)}**. {text.cell(header.summary)}",
        f"From fired to acknowledged by a person: at most {duration(float(body.get('sla_seconds', 0)))}. "
        "Each duration is [least, most]: what clocks, their resolution and polling let us know.",
        "## Receivers",
        _table(
            ("Receiver", "By", "Verdict", "Accepted", "Delivered", "Notified", "Acknowledged", "By whom", "Problems"),
            [_receiver_cells(row) for row in body.get("receivers", ())],
        ),
        *_timing(body),
        "## Escalation",
        _table(
            ("Policy", "Receiver", "Verdict", "Level 2 called after", "Allowed", "Who", "What was seen"),
            [_escalation_cells(row) for row in body.get("escalations", ())],
        ),
        "## Fired by a temporary rule",
        _table(
            ("Receiver", "By", "Verdict", "Accepted", "Delivered", "Notified", "Acknowledged", "By whom", "Problems"),
            [_receiver_cells(row) for row in body.get("rule_probes", ())],
        ),
        *_contact_points(body.get("contact_points", ())),
        "## Who was to be paged",
        _table(
            ("Person", "Level", "Until", "Receiver", "At most"),
            [(p["person"], p["level"], p["until"] or "-", p["receiver"], p["count"]) for p in body.get("pages", ())],
        ),
        "## Where every loaded alert goes",
        *_coverage(body.get("paths") or {}),
        "## Dead man's switch",
        text.cell((body.get("watchdog") or {}).get("actual", "not looked at")),
        "## Criteria",
        _table(
            ("Criterion", "Verdict", "Required", "Actual"),
            [(one.id, one.verdict.value, one.required, one.actual) for one in header.criteria],
        ),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _timing(body: Mapping[str, Any]) -> list[str]:
    """Across receivers: percentiles, the slowest hop, clocks, and dates that lie before what they followed from."""
    parts = ["## Across receivers"]
    rows = [
        (name, found["n"], _in_seconds(found["p50"]), _in_seconds(found["p95"]))
        for name, found in (body.get("percentiles") or {}).items()
    ]
    parts.append(_table(("Fired until", "Receivers", "p50", "p95"), rows))
    slowest = body.get("slowest_hop")
    if slowest:
        hop, after = (f"{slowest[key]} ({HOP_NAMES[slowest[key]]})" for key in ("hop", "after"))
        told = f"{hop} at {slowest['receiver']}, {slowest['seconds']:.1f} s after {after}"
        parts.append(f"Slowest hop: {text.cell(told)}.")
    skews = [
        f"{system} {skew[0]:+.1f} to {skew[1]:+.1f} s" if skew else f"{system} not known"
        for system, skew in (body.get("skew_seconds") or {}).items()
    ]
    parts.append(f"Clocks against ours: {text.cell(', '.join(skews) or 'none was asked')}.")
    probed = [*body.get("receivers", ()), *body.get("rule_probes", ())]
    early = [f"{row['receiver']}: {one['detail']}" for row in probed for one in row.get("out_of_order", ())]
    return [*parts, *([f"Out of order: {text.cell('; '.join(early))}."] if early else [])]


def _in_seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} s"


def _contact_points(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Nothing where none was asked for."""
    if not rows:
        return []
    cells = [
        (
            row["contact_point"], row["note"], one["kind"], one["grafana_says"] or "-", _span(one["delivered"]),
            one["seen_by"] or "nobody", row["verdict"],
        )
        for row in rows
        for one in row["integrations"] or [{"kind": "-", "grafana_says": "", "delivered": None, "seen_by": ""}]
    ]  # fmt: skip
    headers = ("Contact point", "Note", "Integration", "Grafana says", "Delivered", "Seen by", "Verdict")
    told = "Grafana's own test of a contact point bypasses notification policies: it proves delivery, and no route."
    return ["## Grafana contact points", told, _table(headers, cells)]


def _coverage(paths: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            row["receiver"],
            ", ".join(row["integrations"]) or "nobody",
            ", ".join(row["routes_name"]) or "-",
            ", ".join(f"{count} {severity}" for severity, count in row["alerts"].items()) or "-",
        )
        for row in paths.get("receivers", ())
    ]
    parts = [_table(("Receiver", "By", "Severities that routes name", "Loaded alerts"), rows)]
    lists = {
        "reaches_nobody": "Reach nobody", "only_default": "Reach only the default receiver", "muted_now": "Muted now",
        "inhibited_now": "Inhibited now",
    }  # fmt: skip
    for key, title in lists.items():
        alerts = [f"{one['alert']} ({one['severity']})" for one in paths.get(key, ())]
        parts.append(f"{title}: {text.cell(', '.join(dict.fromkeys(alerts)) or 'none')}")
    return parts


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return text.table(headers, rows) if rows else "None."


def _receiver_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = [_span(row["elapsed"].get(name)) for name in ("accepted", "delivered", "notified", "acknowledged")]
    problems = "; ".join(f"{one['problem']}: {one['detail']}" for one in row["problems"]) or "-"
    by = row["acknowledged_by"] or "-"
    return (row["receiver"], ", ".join(row["integrations"]) or "nobody", row["verdict"], *times, by, problems)


def _escalation_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    took, who = _span(row["elapsed"].get("escalated")), row["escalated_to"] or "-"
    return (
        row["policy_name"],
        row["receiver"],
        row["verdict"],
        took,
        f"{row['limit_seconds']:g} s",
        who,
        row["actual"],
    )


def _span(took: Sequence[float] | None) -> str:
    return "unknown" if not took else f"[{took[0]:.1f}, {took[1]:.1f}] s"
