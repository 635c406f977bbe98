"""Whether every panel of the required dashboards shows live data: each query is run as Grafana would send it."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_tui.actions.alert_checks import named
from ray_tui.actions.panel_queries import Answered, Asker, State, answered
from ray_tui.actions.services import ServiceFacts, owner_for_gap
from ray_tui.analysis import dashboards, promql
from ray_tui.analysis.dashboards import Panel, PanelResult, QueryResult, Score, Target
from ray_tui.config import Config
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendError
from ray_tui.core.ports import Dashboard, Datasource
from ray_tui.core.untrusted import clean, line
from ray_tui.core.verdicts import Criterion, Verdict
from ray_tui.step import criterion

EVIDENCE = ("dashboard-config.json",)
REQUIRED_TAG = "ray-required"
SERVICE_TAG = "service:"


@dataclass(frozen=True)
class CheckedPanel:
    """One panel that asks, with what came of its queries."""

    panel: Panel
    state: State
    why: str
    critical: bool
    """It shows RED or an SLO of a critical service."""
    services: tuple[str, ...]
    queries: tuple[dict[str, Any], ...]
    result: PanelResult
    unasked: bool


@dataclass(frozen=True)
class CheckedBoard:
    """One required dashboard, judged."""

    board: Dashboard
    services: tuple[str, ...]
    panels: tuple[CheckedPanel, ...]
    score: Score
    lint: tuple[str, ...]


# --- one dashboard ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """What a dashboard's panels are checked against."""

    services: Mapping[str, ServiceFacts]
    service_label: str
    route_label: str
    datasources: Sequence[Datasource]

    @property
    def critical(self) -> list[str]:
        return [name for name, one in self.services.items() if one.critical]


async def check(asker: Asker, board: Dashboard, setting: Setting) -> CheckedBoard:
    """Every panel of a dashboard, its score included. Raises InputError for a layout that cannot be read."""
    panels = dashboards.walk(board.model)
    tagged = services_of(board)
    values, lost = await _values(asker, board, tagged, setting)
    asking = [panel for panel in panels if panel.asks]
    checked = await asyncio.gather(*(_panel(asker, one, values, lost, tagged, setting) for one in asking))
    counted = [one.result for one in checked if one.state != "not-checked"]
    lint = dashboards.lint(board.model)
    score = dashboards.score(counted, release_fit(asking, values, tagged, setting), lint)
    return CheckedBoard(board, tagged, tuple(checked), score, tuple(issue.message for issue in lint))


def services_of(board: Dashboard) -> tuple[str, ...]:
    """The services that its tags ``service:<name>`` say it is about."""
    found = [str(tag) for tag in board.model.get("tags") or () if str(tag).startswith(SERVICE_TAG)]
    return tuple(dict.fromkeys(tag.removeprefix(SERVICE_TAG).strip() for tag in found))


Values = dict[str, str | tuple[str, ...]]


async def _values(
    asker: Asker, board: Dashboard, tagged: Sequence[str], setting: Setting
) -> tuple[Values, dict[str, str]]:
    """The variables' values, and why a variable has none."""
    found = dashboards.variables(board.model)
    live: dict[str, list[str]] = {}
    lost: dict[str, str] = {}
    for one in found:
        if one.value is None and one.lookup is not None:
            expr, label = one.lookup
            try:
                answer = await asker.vector(promql.substitute_grafana(expr, dashboards.values(found, live)))
            except (BackendError, promql.PromqlError) as exc:
                lost[one.name] = line(str(exc))
                continue
            live[one.name] = sorted({sample.labels[label] for sample in answer.samples if sample.labels.get(label)})
    values = dashboards.values(found, live)
    if tagged:
        for one in found:
            if one.name in ("service", setting.service_label):
                values[one.name] = tagged[0] if len(tagged) == 1 else tuple(tagged)
    return values, lost


async def _panel(
    asker: Asker, panel: Panel, values: Values, lost: Mapping[str, str], tagged: Sequence[str], setting: Setting
) -> CheckedPanel:
    shows = dashboards.red_kind(panel) is not None or dashboards.is_slo_panel(panel)
    about = _about(panel, tagged, setting) if shows else ()
    critical = any(name in setting.critical for name in about)
    if panel.library_uid and not panel.queries:
        said: list[tuple[str, str, Answered, QueryResult]] = [
            ("", "", Answered("not-checked", "a library panel: its queries lie elsewhere"), _unseen("A"))
        ]
    else:
        said = list(await asyncio.gather(*(_query(asker, one, values, lost, setting) for one in panel.queries)))
    state, why = _together([one for _, _, one, _ in said])
    return CheckedPanel(
        panel=panel,
        state=state,
        why=why,
        critical=critical,
        services=about,
        queries=tuple(
            {"ref": ref, "expr": clean(expr), "state": one.state, "why": one.why} for ref, expr, one, _ in said
        ),
        result=PanelResult(panel, tuple(result for _, _, _, result in said)),
        unasked=any(one.unasked for _, _, one, _ in said),
    )


def _unseen(ref: str) -> QueryResult:
    return QueryResult(ref, valid=True, resolved=True, live=None)


def _about(panel: Panel, tagged: Sequence[str], setting: Setting) -> tuple[str, ...]:
    """The services that a RED or SLO panel is about: those it names, else those of the dashboard, else all."""
    values = [one.value for target in panel.queries for one in _matchers(target)]
    by_name = [
        name for name in setting.services if any(re.search(rf"(^|\W){re.escape(name)}($|\W)", v) for v in values)
    ]
    return tuple(by_name or tagged or setting.services)


def _matchers(target: Target) -> Iterable[promql.LabelMatcher]:
    try:
        found = promql.label_matchers(dashboards.placeholders(target.expr)) if target.is_promql else ()
    except promql.PromqlError:
        return ()
    return [one for one in found if one.op in ("=", "=~")]


async def _query(
    asker: Asker, target: Target, values: Values, lost: Mapping[str, str], setting: Setting
) -> tuple[str, str, Answered, QueryResult]:
    """(ref id, expression as sent, what came of it, what it counts in the score)."""
    ref = target.ref_id
    kind, why = _kind(target, values, setting.datasources)
    if kind is None:
        return (
            ref,
            target.expr,
            Answered("broken", why),
            QueryResult(ref, valid=True, resolved=False, live=False, detail=why),
        )
    if kind != "prometheus":
        return (
            ref,
            target.expr,
            Answered("not-checked", f"it asks {kind or 'something'} and not Prometheus"),
            _unseen(ref),
        )
    if not target.expr:
        return (
            ref,
            "",
            Answered("error", "the query is empty"),
            QueryResult(ref, valid=False, resolved=True, live=False),
        )
    try:
        expr = promql.substitute_grafana(target.expr, values)
    except promql.PromqlError as exc:
        unasked = [lost[name] for name in promql.grafana_variables(target.expr) if name in lost]
        if unasked:
            return ref, target.expr, Answered("error", unasked[0], unasked=True), _unseen(ref)
        found = Answered("broken", line(str(exc)))
        return ref, target.expr, found, QueryResult(ref, valid=True, resolved=False, live=False, detail=found.why)
    found = await answered(asker, expr)
    live = None if found.unasked else found.state == "ok"
    invalid = found.state == "error" and not found.unasked
    result = QueryResult(ref, valid=not invalid, resolved=found.state != "broken", live=live, detail=found.why)
    return ref, expr, found, result


def _kind(target: Target, values: Values, known: Sequence[Datasource]) -> tuple[str | None, str]:
    """The kind of data source that a query asks; None and why where there is no such data source."""
    name = dashboards.datasource_of(target, values)
    if name is None or name in ("default", ""):
        default = next((one for one in known if one.is_default), None)
        if target.datasource_kind:
            return target.datasource_kind, ""
        return (default.kind, "") if default else (None, "it names no data source, and Grafana has no default one")
    found = next((one for one in known if name in (one.uid, one.name)), None)
    return (found.kind, "") if found else (None, f"there is no data source {line(name)!r}")


_WORST: tuple[State, ...] = ("broken", "error", "ok", "empty", "not-checked")


def _together(found: Sequence[Answered]) -> tuple[State, str]:
    """A panel's state: broken or wrong if any query is, live if any is."""
    for state in _WORST:
        said = [one.why for one in found if one.state == state]
        if said:
            return state, "; ".join(dict.fromkeys(said))
    return "not-checked", "no query"


def release_fit(panels: Sequence[Panel], values: Values, tagged: Sequence[str], setting: Setting) -> float:
    """The share of what the release brought to this dashboard's services, themselves and new endpoints, that it shows.

    A variable of services shows each of them; a breakdown by route shows each endpoint. 1 where nothing is new here.
    """
    scope = [one for name, one in setting.services.items() if one.changed and (not tagged or name in tagged)]
    if not scope:
        return 1.0
    texts = [f"{panel.title} {panel.row} {query.expr}" for panel in panels for query in panel.queries]
    mentioned = " ".join(texts).lower()
    every_service = "service" in values or setting.service_label in values
    by_route = re.search(rf"\bby\s*\([^)]*\b{re.escape(setting.route_label)}\b", mentioned) is not None
    shown = [every_service or one.name in tagged or one.name.lower() in mentioned for one in scope]
    shown += [by_route or path.lower() in mentioned for one in scope for path in one.endpoints]
    return sum(shown) / len(shown)


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(found: Sequence[CheckedBoard], threshold: float) -> tuple[Criterion, ...]:
    """Two criteria a dashboard: its score, and its RED and SLO panels of critical services."""
    return tuple(one for board in found for one in (_scored(board, threshold), _panels(board)))


def _scored(checked: CheckedBoard, threshold: float) -> Criterion:
    score, lost = checked.score, [one for one in checked.panels if one.unasked]
    bad = [f"{one.panel.title or one.panel.id} is {one.state}" for one in checked.panels if _off(one)]
    actual = f"{score.total:g} of 100" + (f": {named(bad)}" if bad else "")
    if score.conclusive:
        verdict = Verdict.PASSED if score.total >= threshold else Verdict.FAILED
    else:
        verdict = Verdict.ERROR if lost else Verdict.INCONCLUSIVE
        actual = f"not judged: {score.why_inconclusive or 'nothing could be asked'}" + (
            f" ({lost[0].why})" if lost else ""
        )
    parts = ", ".join(f"{part.name} {part.points:g}/{part.weight}" for part in score.parts)
    return criterion(
        f"configure.dashboard:{checked.board.uid}", f"Dashboard {checked.board.title} works", verdict,
        f"{actual}; {parts}", required=f"score of at least {threshold:g}", evidence=EVIDENCE,
        remedy="Mend the panels that are named, and run 2.1 again",
    )  # fmt: skip


def _off(checked: CheckedPanel) -> bool:
    return checked.state not in ("ok", "not-checked")


def _panels(checked: CheckedBoard) -> Criterion:
    critical = [one for one in checked.panels if one.critical]
    broken = [one for one in critical if _off(one) and not one.unasked]
    unasked = [one for one in critical if one.unasked]
    unchecked = [one for one in critical if one.state == "not-checked"]
    verdict, actual = Verdict.PASSED, f"{len(critical)} RED and SLO panels of critical services show live data"
    if not critical:
        actual = "it shows RED or SLOs of no critical service"
    for rows, worse in ((unchecked, Verdict.INCONCLUSIVE), (unasked, Verdict.ERROR), (broken, Verdict.FAILED)):
        if rows:
            verdict = worse
            actual = named(f"{one.panel.title or one.panel.id} is {one.state}: {one.why}" for one in rows)
    return criterion(
        f"configure.panels:{checked.board.uid}", f"Critical panels of {checked.board.title} are alive", verdict, actual,
        required="no broken or empty RED or SLO panel of a critical service", evidence=EVIDENCE,
        remedy="Mend the panel's query, or what should send its data, and run 2.1 again",
    )  # fmt: skip


def gaps(found: Sequence[CheckedBoard], setting: Setting, config: Config, threshold: float) -> tuple[f.GapFound, ...]:
    """A backlog entry for every panel that shows nothing, for lint, and for critical services without a RED panel."""
    out: list[f.GapFound] = []

    def add(id_: str, subject: str, title: str, blocking: bool) -> None:
        owner = owner_for_gap(setting.services.get(subject), config)
        out.append(
            f.GapFound(id=id_, step="2.1", title=title, subject=subject, owner=owner, due="next release cycle",
                       severity="blocks" if blocking else "warns")
        )  # fmt: skip

    for one in found:
        uid, title = one.board.uid, one.board.title
        low = one.score.total < threshold
        for panel in filter(_off, one.panels):
            subject = panel.services[0] if len(panel.services) == 1 else uid
            name = panel.panel.title or f"panel {panel.panel.id}"
            add(f"panel:{uid}:{panel.panel.id}", subject, f"{title}: {name} is {panel.state}: {panel.why}",
                panel.critical or low)  # fmt: skip
        if one.lint:
            add(f"lint:{uid}", uid, f"{title}: {named(one.lint)}", False)
    for name in setting.critical:
        if setting.services[name].serves_requests and not any(_shows_red(one, name) for one in found):
            add(f"red-panel:{name}", name, f"{name}: no required dashboard shows its rate, errors or duration", False)
    return tuple(out)


def unchecked(ids: Iterable[str], found: Sequence[CheckedBoard], lost: Sequence[str]) -> set[str]:
    """Which entries of dashboards nothing can be said about: those of dashboards that are lost, panels not checked."""
    about = {f"panel:{one.board.uid}:{each.panel.id}" for one in found for each in one.panels
             if each.state == "not-checked"} | {f"lint:{uid}" for uid in lost}  # fmt: skip
    starts = (*(f"panel:{uid}:" for uid in lost), *(["red-panel:"] if lost else []))
    return {one for one in ids if one in about or one.startswith(starts)}


def _shows_red(checked: CheckedBoard, service: str) -> bool:
    return any(dashboards.red_kind(one.panel) is not None and service in one.services for one in checked.panels)


def row(checked: CheckedBoard) -> dict[str, Any]:
    """The dashboard as JSON, for the record and for the actions after this one."""
    board = checked.board
    return {
        "uid": board.uid, "title": board.title, "url": board.url, "required": True, "score": checked.score.total,
        "conclusive": checked.score.conclusive,
        "parts": {part.name: round(part.points, 2) for part in checked.score.parts},
        "part_details": {part.name: part.detail for part in checked.score.parts},
        "services": list(checked.services), "lint": list(checked.lint),
        "panels": [
            {"title": one.panel.title, "id": one.panel.id, "state": one.state, "critical": one.critical,
             "why": one.why, "services": list(one.services), "queries": list(one.queries)}
            for one in checked.panels
        ],
    }  # fmt: skip
