"""Gate 3: everything is checked from now on, the alerts were tuned, and every gap has somebody's name and a date."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ray_tui.core import plan
from ray_tui.core.policy import Thresholds
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Finding, Verdict
from ray_tui.gates import twins
from ray_tui.gates.settled import Settled
from ray_tui.gates.twins import Inputs

RULE_VERSION = "1"
SCHEDULE, REPORT, BACKLOG = "observability-schedule.json", "alert-tuning-report.json", "improvement-backlog.json"
WAIVERS, BASELINE = "waivers.json", "baseline-metrics.json"
PREFIX = "assurance."
REMEDY = plan.gate("assurance").required_action


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Scheduled(_Strict):
    asset: str
    owner: str
    owner_ok: bool
    installed: bool
    next_run: str | None
    owner_why: str = ""
    state: str = ""
    """``written``: the scheduler could not be asked whether it holds it."""


class _Rule(_Strict):
    rule: str
    n: int
    finding: str


class _Entry(_Strict):
    id: str
    step: str
    owner: str
    due: str
    subject: str = ""
    status: str = "open"


_SCHEDULED = TypeAdapter(list[_Scheduled])
_RULES = TypeAdapter(list[_Rule])
_ENTRIES = TypeAdapter(list[_Entry])
_STEPS = {
    name: action.id
    for phase in plan.PHASES[:3]
    for action in phase.actions
    for artifact in action.artifacts
    for name in (artifact.name, artifact.twin)
    if name and name.endswith(".json")
}
"""Twin -> the action that wrote it, of phases 1 to 3."""


def judge(inputs: Inputs, thresholds: Thresholds, now: float) -> tuple[Criterion, ...]:
    """The schedule, the tuning and the backlog, judged anew from their twins; fails closed on what is not there."""
    waived = Settled.read(inputs.get(WAIVERS), now)
    return (
        *_schedule(inputs, waived),
        *_tuning(inputs, waived),
        *_backlog(inputs, waived),
        *twins.one_release("assurance.release", (SCHEDULE, REPORT, BACKLOG), inputs, REMEDY),
    )


# --- schedule --------------------------------------------------------------------------------------------------------


def _schedule(inputs: Inputs, waived: Settled) -> list[Criterion]:
    try:
        body, recorded = twins.body(SCHEDULE, inputs), twins.recorded(SCHEDULE, inputs)
        rows = _SCHEDULED.validate_python(body.get("entries"))
        covered = body.get("coverage")
        total = covered.get("assets") if isinstance(covered, Mapping) else None
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise TypeError("it does not say how many assets there are")
    except (ValueError, TypeError) as exc:
        return [twins.unusable(SCHEDULE, inputs, exc, REMEDY, PREFIX)]
    return [
        _coverage(rows, total, recorded, waived),
        _owned(rows, recorded, waived),
        *waived.recorded(recorded, "3.1", {"schedule.coverage", "schedule.owned", "schedule.installed"}),
    ]


def _coverage(rows: Sequence[_Scheduled], total: int, recorded: Sequence[Criterion], waived: Settled) -> Criterion:
    """Every asset has an entry that the scheduler was seen to hold and that runs some day."""
    good = {row.asset for row in rows if row.installed and row.next_run}
    bad = sorted({row.asset for row in rows} - good)
    unknown = {row.asset for row in rows if row.state == "written" and row.next_run} - good
    wanted = max(total, len({row.asset for row in rows}))
    verdict = Verdict.PASSED if len(good) == wanted else Verdict.FAILED
    if not wanted or len(good) < wanted == len(good | unknown):
        verdict = Verdict.INCONCLUSIVE
    actual = f"{len(good)} of {wanted} assets installed" + (f"; not: {', '.join(bad)}" if bad else "")
    actual += f"; only written: {len(unknown)}" if unknown else ""
    return _criterion(
        "schedule", "Schedule coverage", verdict, actual, "100%", SCHEDULE,
        waived=_all_waived(recorded, ("schedule.coverage", "schedule.installed"), "3.1", waived),
    )  # fmt: skip


def _owned(rows: Sequence[_Scheduled], recorded: Sequence[Criterion], waived: Settled) -> Criterion:
    bad = [f"{row.asset}: {row.owner or 'nobody'} ({row.owner_why})" for row in rows
           if not (row.owner_ok and row.owner.strip())]  # fmt: skip
    verdict = Verdict.INCONCLUSIVE if not rows else Verdict.FAILED if bad else Verdict.PASSED
    return _criterion(
        "owners", "Every check has an owner", verdict, "; ".join(bad) or f"{len(rows)} entries owned",
        "100%", SCHEDULE, waived=_all_waived(recorded, ("schedule.owned",), "3.1", waived),
    )  # fmt: skip


# --- tuning ----------------------------------------------------------------------------------------------------------


def _tuning(inputs: Inputs, waived: Settled) -> list[Criterion]:
    try:
        body, recorded = twins.body(REPORT, inputs), twins.recorded(REPORT, inputs)
        rules = _RULES.validate_python(body.get("rules"))
        decided = body.get("decisions")
        if not isinstance(decided, list):
            raise TypeError("it lists no decisions")
        subjects = {str(row.get("subject")) for row in decided if isinstance(row, Mapping)}
    except (ValueError, TypeError) as exc:
        return [twins.unusable(REPORT, inputs, exc, REMEDY, PREFIX)]
    about = [one for one in recorded if one.id.startswith("correlate.gaps")]
    noisy = [rule.rule for rule in rules if rule.finding == Finding.DEGRADED.value]
    silent = [name for name in noisy if name not in subjects]
    left = [one for one in about if not one.verdict.lets_go_on and not waived.covers(one, "3.2")]
    any_waived = any(not one.verdict.lets_go_on for one in about)
    if silent:
        verdict, actual = Verdict.FAILED, f"noisy, and nothing was decided: {', '.join(silent)}"
    elif not about:
        verdict, actual = Verdict.INCONCLUSIVE, "3.2 did not judge any gap"
    elif left:
        verdict, actual = _worst(left), "; ".join(one.actual for one in left)
    else:
        verdict = Verdict.WAIVED if any_waived else Verdict.PASSED
        actual = f"{len(rules)} rules judged, {len(subjects)} gaps decided"
    why_none = [one for one in recorded if not about and not one.verdict.lets_go_on]
    helped = [] if silent else left or why_none
    return [
        _criterion("tuning", "Alert tuning documented", verdict, actual, "no unresolved gap", REPORT,
                   remedy="; ".join(dict.fromkeys(one.remedy for one in helped if one.remedy))),
        *waived.recorded(recorded, "3.2", {one.id for one in about}),
    ]  # fmt: skip


def _worst(criteria: Sequence[Criterion]) -> Verdict:
    verdicts = {one.verdict for one in criteria}
    return next(one for one in (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE) if one in verdicts)


# --- backlog ---------------------------------------------------------------------------------------------------------


def _backlog(inputs: Inputs, waived: Settled) -> list[Criterion]:
    try:
        entries = _ENTRIES.validate_python(twins.body(BACKLOG, inputs).get("entries"))
    except (ValueError, TypeError) as exc:
        return [twins.unusable(BACKLOG, inputs, exc, REMEDY, PREFIX)]
    bare = sorted(one.id for one in entries if one.owner.strip() in ("", "unowned") or not one.due.strip())
    ids = {one.id for one in entries}
    missing, broken, wanted = [], [], 0
    for name, step in _STEPS.items():
        found = inputs.get(name)
        if found is None:
            continue  # whether it must be there is judged by the gate of its phase
        if not isinstance(found, Mapping) or not isinstance(found.get("body"), Mapping):
            broken.append(name)
            continue
        named = list(_named_gaps(name, found["body"], found.get("verdict") == Verdict.ERROR.value))
        missing += [gap for gap in named if gap not in ids]
        # 3.3 is what gives the earlier waivers their entries: one of its own has no step left to do so.
        put_off = [one for one in _criteria_of(found) if step != "3.3" and waived.put_off(one, step)]
        missing += [f"{one.id} (waived)" for one in put_off if not _has_entry(one, step, entries)]
        wanted += len(named) + len(put_off)
    said = []
    if missing:
        said.append(f"no entry for: {', '.join(sorted(set(missing)))}")
    if bare:
        said.append(f"without owner or due date: {', '.join(bare)}")
    if broken:
        said.append(f"cannot be read: {', '.join(broken)}")
    verdict = Verdict.FAILED if missing or bare else Verdict.ERROR if broken else Verdict.PASSED
    actual = "; ".join(said) or f"{len(entries)} entries; {wanted} gaps named in the evidence, each has one"
    return [_criterion("backlog", "Every gap has a backlog entry", verdict, actual, "owner and due date each", BACKLOG)]


def _named_gaps(name: str, body: Mapping[str, Any], failed: bool) -> Iterator[str]:
    """Ids of the entries that a twin's gaps must have. A measurement that broke names none but what it lists."""
    gaps = body.get("gaps")
    for gap in gaps if isinstance(gaps, list) else ():
        ident = gap.get("id") if isinstance(gap, Mapping) else gap
        if isinstance(ident, str) and ident:
            yield ident
    if name != BASELINE or failed:
        return
    rows = body.get("kpis")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and row.get("finding") not in (None, Finding.OK.value):
            yield f"baseline:{row.get('service')}:{row.get('finding')}"
        staging = row.get("staging") if isinstance(row, Mapping) else None
        if isinstance(staging, Mapping) and staging.get("finding") == Finding.DEGRADED.value:
            yield f"baseline:{row.get('service')}:staging-degraded"


def _has_entry(one: Criterion, step: str, entries: Sequence[_Entry]) -> bool:
    """An entry that names the waived criterion, or one of its step that is about the same subject."""
    _, _, subject = one.id.partition(":")
    for entry in entries:
        if one.id in entry.id or one.id == entry.subject:
            return True
        about = subject and subject in (entry.subject, entry.id, entry.id.partition(":")[2])
        if entry.step == step and (about or not subject):
            return True
    return False


# --- twins -----------------------------------------------------------------------------------------------------------


def _criteria_of(twin: Mapping[str, Any]) -> list[Criterion]:
    try:
        return twins.criteria_of(twin.get("criteria"))
    except ValueError:
        return []


def _all_waived(recorded: Sequence[Criterion], ids: Sequence[str], step: str, waived: Settled) -> bool:
    """Whether the action found something of these, and all of it was waived there."""
    found = [one for one in recorded if one.id in ids and not one.verdict.lets_go_on]
    return bool(found) and all(waived.covers(one, step) for one in found)


def _criterion(
    name: str, title: str, verdict: Verdict, actual: str, required: str, evidence: str, *, waived: bool = False,
    remedy: str = "",
) -> Criterion:  # fmt: skip
    """``remedy``: what helps in this very case; the gate's own where nothing is known of it."""
    verdict = Verdict.WAIVED if waived and not verdict.lets_go_on else verdict
    return Criterion(
        id=f"{PREFIX}{name}", title=title, verdict=verdict, actual=line(actual, 1_000), required=required,
        evidence=(evidence,), remedy="" if verdict.lets_go_on else remedy or REMEDY,
    )  # fmt: skip
