"""Gate 2: does an alert reach a person in time, escalate if not, and do the dashboards show it? From evidence alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ray_tui.analysis.hops import Interval, judge_sla
from ray_tui.core.policy import Thresholds
from ray_tui.core.untrusted import line
from ray_tui.core.verdicts import Criterion, Verdict, combine
from ray_tui.gates import twins
from ray_tui.gates.settled import FILE as WAIVERS
from ray_tui.gates.settled import Settled
from ray_tui.gates.twins import Inputs

RULE_VERSION = "1"
PATHS, DASHBOARDS = "alert-test-results.json", "dashboard-config.json"
CRITICAL = ("critical", "page")
"""In evidence that does not say itself which alerts are critical, by the [alerts] of its run."""
REMEDY = "Repair alert routing, update dashboards, rerun tests."
PATHS_STEP, DASHBOARDS_STEP = "2.2", "2.1"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Problem(_Strict):
    problem: str
    detail: str = ""
    blocks: bool


class _Elapsed(_Strict):
    acknowledged: tuple[float, float] | None = Field(default=None, strict=False)
    escalated: tuple[float, float] | None = Field(default=None, strict=False)


class _Receiver(_Strict):
    receiver: str
    integrations: list[str]
    elapsed: _Elapsed
    verdict: str
    problems: list[_Problem]
    acknowledged_by: str | None = None


class _Escalation(_Strict):
    policy: str
    policy_name: str = ""
    limit_seconds: float
    elapsed: _Elapsed
    verdict: str
    problems: list[_Problem]
    escalated_to: str | None = None


class _Routed(_Strict):
    alert: str
    severity: str
    critical: bool | None = None

    @property
    def counts(self) -> bool:
        return self.severity in CRITICAL if self.critical is None else self.critical


class _Panel(_Strict):
    title: str
    state: str
    critical: bool
    why: str = ""


class _Dashboard(_Strict):
    uid: str
    title: str
    required: bool
    score: float
    panels: list[_Panel]


_RECEIVERS = TypeAdapter(list[_Receiver])
_ESCALATIONS = TypeAdapter(list[_Escalation])
_DASHBOARDS = TypeAdapter(list[_Dashboard])
_ROUTED = TypeAdapter(list[_Routed])


@dataclass(frozen=True)
class _Recorded:
    """What an action found, and which of its findings are validly waived."""

    criteria: tuple[Criterion, ...]
    waived: frozenset[str]

    @classmethod
    def read(cls, name: str, inputs: Inputs, step: str, settled: Settled) -> "_Recorded":
        """Raises ValueError, or TypeError where the action recorded nothing."""
        criteria = tuple(twins.recorded(name, inputs))
        return cls(criteria, frozenset(one.id for one in criteria if settled.covers(one, step)))

    def blocking(self, *ids: str) -> list[Criterion]:
        return [one for one in self.criteria if one.id in ids and not one.verdict.lets_go_on]

    def covers(self, criteria: Sequence[Criterion]) -> bool:
        """Whether something was found, and all of it was waived."""
        return bool(criteria) and all(one.id in self.waived for one in criteria)

    def cover_all(self, ids: Collection[str]) -> bool:
        """Whether each of these was found by the action, and waived there."""
        return bool(ids) and all(self.covers(self.blocking(id_)) for id_ in ids)


def judge(inputs: Inputs, thresholds: Thresholds, now: float) -> tuple[Criterion, ...]:
    """Acknowledgements judged anew from their intervals, escalations, dashboards, and what the actions recorded."""
    settled = Settled.read(inputs.get(WAIVERS), now)
    return (
        *_paths(inputs, thresholds, settled),
        *_boards(inputs, thresholds, settled),
        *twins.one_release("alert_validation.release", (PATHS, DASHBOARDS), inputs, REMEDY),
    )


# --- alert paths -----------------------------------------------------------------------------------------------------


def _paths(inputs: Inputs, thresholds: Thresholds, settled: Settled) -> list[Criterion]:
    try:
        body = twins.body(PATHS, inputs)
        receivers = _RECEIVERS.validate_python(body.get("receivers"))
        escalations = _ESCALATIONS.validate_python(body.get("escalations"))
        recorded = _Recorded.read(PATHS, inputs, PATHS_STEP, settled)
        acknowledged = [_acknowledged(one, thresholds.ack_sla_seconds, recorded) for one in receivers]
        escalated = [_escalated(one, recorded) for one in escalations]
        beyond = [*_unheard(body.get("paths"), recorded), *_heartbeat(body.get("watchdog"), recorded)]
    except (ValueError, TypeError) as exc:
        return [twins.unusable(PATHS, inputs, exc, REMEDY)]
    judged = [_at_least_one(receivers), *acknowledged, *escalated, *beyond]
    pagers = [one.receiver for one in receivers if "pagerduty" in one.integrations]
    known = any(one.id.startswith("alert_paths.escalation:") for one in recorded.criteria)
    if pagers and not escalations and not known:
        actual = f"no escalation was tested, and {line(', '.join(pagers))} page people"
        judged.append(
            _criterion("alert_validation.escalations", "Escalation tested", Verdict.INCONCLUSIVE, actual, "each policy")
        )
    about = {f"alert_paths.{kind}:{one.receiver}" for one in receivers for kind in ("ack", "delivered")}
    about |= {f"alert_paths.escalation:{one.policy}" for one in escalations}
    about |= {one.id.replace("alert_validation", "alert_paths") for one in beyond}
    return judged + settled.recorded(recorded.criteria, PATHS_STEP, about)


def _at_least_one(receivers: Sequence[_Receiver]) -> Criterion:
    names = [one.receiver for one in receivers]
    doubled = sorted({name for name in names if names.count(name) > 1})
    verdict = Verdict.ERROR if doubled else Verdict.PASSED if names else Verdict.INCONCLUSIVE
    actual = f"named twice: {line(', '.join(doubled))}" if doubled else f"{len(names)} receivers"
    return _criterion("alert_validation.receivers", "Alert paths were probed", verdict, actual, "≥ 1, each once")


def _acknowledged(row: _Receiver, sla: float, recorded: _Recorded) -> Criterion:
    """Passed only if the action passed it, nothing blocks it, and the interval lies within the SLA of now."""
    took = None if row.elapsed.acknowledged is None else Interval(*row.elapsed.acknowledged)
    said = judge_sla(took, sla)
    parts = [_verdict(row.verdict), said.verdict]
    if took is None and parts[0] in (Verdict.INCONCLUSIVE, Verdict.ERROR):
        parts.pop()  # never seen is a failure only where it could have been seen
    blocks = [one for one in row.problems if one.blocks]
    if blocks and parts[0].lets_go_on:
        parts.append(Verdict.FAILED)
    if took is not None and not row.acknowledged_by:
        parts.append(Verdict.INCONCLUSIVE)
    told = [said.why if took is not None else "never acknowledged", *(f"{o.problem}: {o.detail}" for o in blocks)]
    told += ["by nobody known"] if took is not None and not row.acknowledged_by else []
    ack, delivered = f"alert_paths.ack:{row.receiver}", f"alert_paths.delivered:{row.receiver}"
    found = recorded.blocking(ack, delivered)
    late_only_now = not said.verdict.lets_go_on and ack not in {one.id for one in found}
    return _criterion(
        f"alert_validation.ack:{row.receiver}", f"{row.receiver} is acknowledged in time", combine(parts),
        line("; ".join(told)), f"≤ {sla:g} s", (PATHS,), waived=recorded.covers(found) and not late_only_now,
    )  # fmt: skip


def _escalated(row: _Escalation, recorded: _Recorded) -> Criterion:
    took = None if row.elapsed.escalated is None else Interval(*row.elapsed.escalated)
    parts = [_verdict(row.verdict)]
    if took is not None:
        within = took.latest <= row.limit_seconds
        late = took.earliest > row.limit_seconds
        parts.append(Verdict.PASSED if within else Verdict.FAILED if late else Verdict.INCONCLUSIVE)
    elif parts[0].lets_go_on:
        parts.append(Verdict.INCONCLUSIVE)
    blocks = [one for one in row.problems if one.blocks]
    if blocks and parts[0].lets_go_on:
        parts.append(Verdict.FAILED)
    told = "; ".join(f"{one.problem}: {one.detail}" for one in blocks)
    if took is not None:
        told = f"{row.escalated_to or 'level 2'} was called after {max(0.0, took.latest):.1f} s" + (
            told and f"; {told}"
        )
    return _criterion(
        f"alert_validation.escalation:{row.policy}", f"{row.policy_name or row.policy} escalates", combine(parts),
        line(told or "no escalation was seen"), f"≤ {row.limit_seconds:g} s", (PATHS,),
        waived=recorded.covers(recorded.blocking(f"alert_paths.escalation:{row.policy}")),
    )  # fmt: skip


def _unheard(paths: object, recorded: _Recorded) -> list[Criterion]:
    """Critical alerts that the evidence itself lists as reaching nobody, whatever the action made of them."""
    if not paths:  # what an action did not look at, it says in a criterion of its own
        return []
    if not isinstance(paths, Mapping):
        raise TypeError("its paths are no table")
    routed = _ROUTED.validate_python(paths.get("reaches_nobody"))
    lost = [one.alert for one in routed if one.counts]
    if not lost:
        return []
    return [
        _criterion(
            "alert_validation.coverage", "Every critical alert reaches somebody", Verdict.FAILED,
            line(f"reach nobody: {', '.join(dict.fromkeys(lost))}"), "none reaches nobody",
            waived=recorded.cover_all({"alert_paths.coverage"}),
        )
    ]  # fmt: skip


def _heartbeat(watchdog: object, recorded: _Recorded) -> list[Criterion]:
    """The dead man's switch, where the evidence says that it is not alive."""
    if not watchdog:
        return []
    if not isinstance(watchdog, Mapping):
        raise TypeError("its watchdog is no table")
    verdict = _verdict(str(watchdog.get("verdict")))
    if verdict.lets_go_on:
        return []
    return [
        _criterion(
            "alert_validation.watchdog", "The dead man's switch is alive", verdict,
            line(str(watchdog.get("actual", ""))), "it arrives", waived=recorded.cover_all({"alert_paths.watchdog"}),
        )
    ]  # fmt: skip


# --- dashboards ------------------------------------------------------------------------------------------------------


def _boards(inputs: Inputs, thresholds: Thresholds, settled: Settled) -> list[Criterion]:
    try:
        body = twins.body(DASHBOARDS, inputs)
        boards = _DASHBOARDS.validate_python(body.get("dashboards"))
        recorded = _Recorded.read(DASHBOARDS, inputs, DASHBOARDS_STEP, settled)
    except (ValueError, TypeError) as exc:
        return [twins.unusable(DASHBOARDS, inputs, exc, REMEDY)]
    loaded = body.get("loaded_equals_written")
    rules = Verdict.PASSED if loaded is True else Verdict.FAILED if loaded is False else Verdict.INCONCLUSIVE
    said = {Verdict.PASSED: "they are equal", Verdict.FAILED: "they differ"}.get(rules, "not checked")
    return [
        _score(boards, thresholds.dashboard_score, recorded),
        _panels(boards, recorded),
        _criterion(
            "alert_validation.rules", "Rules loaded are the rules written", rules, said, "equal", (DASHBOARDS,),
            waived=recorded.cover_all({"configure.loaded"}),
        ),
        *settled.recorded(recorded.criteria, DASHBOARDS_STEP),
    ]  # fmt: skip


def _score(boards: Sequence[_Dashboard], least: float, recorded: _Recorded) -> Criterion:
    """The lowest required dashboard; none required, none judged."""
    required = [one for one in boards if one.required]
    title, wanted = "Dashboards validated", f"lowest required dashboard ≥ {least:g}"
    if not required:
        actual = "no required dashboard was validated"
        return _criterion("alert_validation.dashboards", title, Verdict.INCONCLUSIVE, actual, wanted, (DASHBOARDS,))
    lowest = min(required, key=lambda one: one.score)
    verdict = Verdict.PASSED if least <= lowest.score <= 100 else Verdict.FAILED
    if not 0 <= lowest.score <= 100 or any(one.score > 100 for one in required):
        verdict = Verdict.ERROR
    actual = f"{lowest.score:g} ({line(lowest.title)}), the lowest of {len(required)}"
    low = {f"configure.dashboard:{one.uid}" for one in required if not least <= one.score <= 100}
    waived = recorded.cover_all(low)
    return _criterion("alert_validation.dashboards", title, verdict, actual, wanted, (DASHBOARDS,), waived=waived)


def _panels(boards: Sequence[_Dashboard], recorded: _Recorded) -> Criterion:
    """RED and SLO panels of critical services: broken fails whatever the score, unchecked cannot pass."""
    critical = [(board, panel) for board in boards for panel in board.panels if panel.critical]
    broken = [one for one in critical if one[1].state in ("broken", "empty", "error")]
    unknown = [one for one in critical if one[1].state not in ("ok", "broken", "empty", "error")]
    verdict = Verdict.FAILED if broken else Verdict.INCONCLUSIVE if unknown or not critical else Verdict.PASSED
    told = [f"{board.uid}/{panel.title} is {panel.state}: {panel.why}" for board, panel in (*broken, *unknown)]
    waived = recorded.cover_all({f"configure.panels:{board.uid}" for board, _ in (*broken, *unknown)})
    actual = "; ".join(told) or (f"{len(critical)} work" if critical else "no such panel was validated")
    return _criterion(
        "alert_validation.panels", "RED and SLO panels of critical services show data", verdict, line(actual),
        "none broken, each checked", (DASHBOARDS,), waived=waived,
    )  # fmt: skip


def _verdict(said: str) -> Verdict:
    """An action's own verdict on a row; what is not one, or waived by itself, could not be judged."""
    try:
        verdict = Verdict(said)
    except ValueError:
        return Verdict.ERROR
    return Verdict.INCONCLUSIVE if verdict is Verdict.WAIVED else verdict


def _criterion(
    id_: str, title: str, verdict: Verdict, actual: str, required: str, evidence: tuple[str, ...] = (PATHS,),
    *, waived: bool = False,
) -> Criterion:  # fmt: skip
    verdict = Verdict.WAIVED if waived and not verdict.lets_go_on else verdict
    return Criterion(
        id=id_, title=title, verdict=verdict, actual=actual, required=required, evidence=evidence,
        remedy="" if verdict is Verdict.PASSED else REMEDY,
    )  # fmt: skip
