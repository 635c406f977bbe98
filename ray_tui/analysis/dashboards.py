"""Grafana dashboards: walk their panels and variables, say what each panel shows, and score how well they work."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ray_tui.analysis import promql
from ray_tui.core.errors import InputError
from ray_tui.core.untrusted import line

WITHOUT_QUERIES = frozenset({"row", "text", "news", "dashlist", "alertlist", "welcome", "gettingstarted", "annolist"})
"""Kinds of panels that ask no data source: they don't count in a score."""

_GRAFANAS_OWN = frozenset({"grafana", "-- Grafana --", "-- Mixed --", "-- Dashboard --", "__expr__"})
_NEEDS_UNIT = frozenset({"timeseries", "graph", "stat", "singlestat", "gauge", "bargauge"})
_DEEPEST = 8

Model = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One query of a panel. ``expr`` is "" where the data source isn't asked in one expression."""

    expr: str
    ref_id: str
    datasource_uid: str
    datasource_kind: str
    hidden: bool = False
    instant: bool = False

    @property
    def is_promql(self) -> bool:
        """Whether it goes to Prometheus, as far as the model says: a data source without a kind is taken for one."""
        return bool(self.expr) and self.datasource_kind in ("prometheus", "")


@dataclass(frozen=True)
class Panel:
    """One panel, wherever it stood. ``row`` is the title of the row above it, or ""."""

    id: int
    title: str
    kind: str
    row: str
    targets: tuple[Target, ...]
    links: tuple[str, ...] = ()
    unit: str = ""
    description: str = ""
    datasource_uid: str = ""
    library_uid: str = ""

    @property
    def asks(self) -> bool:
        """Whether it shows data of a query, its own or its library panel's."""
        return self.kind not in WITHOUT_QUERIES and bool(self.library_uid or self.queries)

    @property
    def queries(self) -> tuple[Target, ...]:
        """The targets that are not hidden and ask a data source that isn't Grafana itself."""
        return tuple(one for one in self.targets if not one.hidden and one.datasource_uid not in _GRAFANAS_OWN)


@dataclass(frozen=True)
class Variable:
    """One template variable. ``value`` is what is chosen at first; None where only the live data tell."""

    name: str
    kind: str
    value: str | tuple[str, ...] | None
    query: str
    datasource_uid: str
    multi: bool
    all_value: str

    @property
    def lookup(self) -> tuple[str, str] | None:
        """(PromQL, label): the label's values in its answer are the choices. None where it is no label_values()."""
        found = re.fullmatch(r"\s*label_values\((?:(?P<expr>.+),)?\s*(?P<label>\w+)\s*\)\s*", self.query, re.DOTALL)
        if found is None or self.kind != "query":
            return None
        label = found.group("label")
        expr = (found.group("expr") or "").strip() or f'{{{label}!=""}}'
        return f"group by ({label}) ({expr})", label


def walk(model: Model) -> tuple[Panel, ...]:
    """Every panel in reading order, rows included, over all layouts up to schema version 42; InputError for others."""
    inner = model.get("dashboard", model) if isinstance(model, Mapping) else None
    if not isinstance(inner, Mapping):
        raise InputError("not a dashboard: it must be a JSON object with panels; export it as JSON again")
    if "elements" in inner or "elements" in (_mapping(inner.get("spec"))):
        raise InputError(
            f"dashboard {line(str(inner.get('title', '')))!r} has the v2 layout, which can't be read; export it as v1"
        )
    return (*_from_rows(inner), *_from_panels(_list(inner.get("panels")), "", 0))


def variables(model: Model) -> tuple[Variable, ...]:
    """Every template variable, in the order of the dashboard."""
    inner = _mapping(model.get("dashboard", model))
    listed = _list(_mapping(inner.get("templating")).get("list"))
    return tuple(_variable(found) for found in map(_mapping, listed) if found.get("name"))


def values(
    found: Sequence[Variable], live: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str | tuple[str, ...]]:
    """Name -> value for ``promql.substitute_grafana``; ``live`` holds the choices seen for variables without one.

    A variable that has neither is left out: substituting it then fails, as it should.
    """
    known: dict[str, str | tuple[str, ...]] = {}
    for one in found:
        if one.value is not None:
            chosen = one.value if isinstance(one.value, str) else tuple(one.value)
            everything = chosen == promql.ALL or promql.ALL in chosen
            known[one.name] = (one.all_value or ".*") if everything else chosen
        elif live and live.get(one.name):
            known[one.name] = (live[one.name][0],) if one.multi else live[one.name][0]
    return known


def datasource_of(target: Target, known: Mapping[str, str | tuple[str, ...]]) -> str | None:
    """The data source's uid or name with its variable filled in; "" is the default one, None an unknown variable."""
    named = re.fullmatch(r"\$\{?(\w+)(?::\w+)?\}?", target.datasource_uid)
    if named is None:
        return target.datasource_uid
    value = known.get(named.group(1))
    return value if isinstance(value, str) or value is None else value[0]


# --- walking ---------------------------------------------------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _from_rows(model: Model) -> Iterator[Panel]:
    """The layout before schema version 16: rows that hold panels."""
    for row in map(_mapping, _list(model.get("rows"))):
        title = line(_text(row.get("title")))
        yield Panel(0, title, "row", title, ())
        yield from _from_panels(_list(row.get("panels")), title, 1)


def _from_panels(listed: list[Any], row: str, depth: int) -> Iterator[Panel]:
    if depth > _DEEPEST:
        raise InputError(f"dashboard row {row!r} nests panels more than {_DEEPEST} deep; flatten it")
    for found in map(_mapping, listed):
        panel = _panel(found, row)
        if panel.kind == "row":
            row = panel.title
        yield panel
        yield from _from_panels(_list(found.get("panels")), row, depth + 1)


def _panel(found: Mapping[str, Any], row: str) -> Panel:
    kind = _text(found.get("type")) or ("library-panel" if found.get("libraryPanel") else "")
    title = line(_text(found.get("title")))
    uid, datasource_kind = _datasource(found.get("datasource"))
    identity = found.get("id")
    targets = tuple(_target(one, uid, datasource_kind) for one in map(_mapping, _list(found.get("targets"))))
    defaults = _mapping(_mapping(found.get("fieldConfig")).get("defaults"))
    axes = _list(found.get("yaxes"))  # before schema version 27 the unit stood on an axis, or in "format"
    unit = defaults.get("unit") or (_mapping(axes[0]).get("format") if axes else None) or found.get("format")
    links = tuple(_text(one.get("url")) for one in map(_mapping, _list(found.get("links"))) if one.get("url"))
    return Panel(
        identity if isinstance(identity, int) else 0,
        title,
        kind,
        title if kind == "row" else row,
        targets,
        links,
        _text(unit),
        line(_text(found.get("description"))),
        uid,
        _text(_mapping(found.get("libraryPanel")).get("uid")),
    )


def _datasource(value: object) -> tuple[str, str]:
    """(uid or name, kind); both "" for the default data source."""
    if isinstance(value, Mapping):
        return _text(value.get("uid")), _text(value.get("type"))
    return _text(value), ""


def _target(found: Mapping[str, Any], panel_uid: str, panel_kind: str) -> Target:
    uid, kind = _datasource(found.get("datasource"))
    if not uid and not kind:
        uid, kind = panel_uid, panel_kind
    expr = found.get("expr") or found.get("query")
    return Target(
        _text(expr).strip(),
        _text(found.get("refId")),
        uid,
        kind,
        found.get("hide") is True,
        found.get("instant") is True,
    )


def _variable(found: Mapping[str, Any]) -> Variable:
    kind = _text(found.get("type"))
    query = found.get("query")
    asked = _text(found.get("definition")) or (
        _text(query.get("query")) if isinstance(query, Mapping) else _text(query)
    )
    current = _mapping(found.get("current")).get("value")
    value: str | tuple[str, ...] | None
    if isinstance(current, list):
        value = tuple(str(one) for one in current) or None
    else:
        value = str(current) if current not in (None, "") else None
    if value is None and kind in ("constant", "textbox"):
        value = asked
    if value is None and kind in ("custom", "interval") and asked:
        value = asked.split(",")[0].split(":")[-1].strip()
    if kind == "interval" and isinstance(value, str) and value.startswith("$__auto"):
        value = "$__interval"
    if value is None and found.get("includeAll") is True:
        value = promql.ALL  # Grafana chooses "All" first where it is offered
    uid, _ = _datasource(found.get("datasource"))
    name, all_value = _text(found.get("name")), _text(found.get("allValue"))
    return Variable(name, kind, value, asked, uid, found.get("multi") is True, all_value)


# --- what a panel shows ----------------------------------------------------------------------------------------------

_SERVICE_LABELS = frozenset({"service", "service_name", "job", "app", "application", "namespace", "component"})
_SLO_METRIC = re.compile(r"^slo:|^sloth_|error_budget|burn_?rate|(^|[_:])sl[io]([_:]|$)")
_SLO_TITLE = re.compile(r"\bSL[IO]s?\b|error budget|burn rate|objective", re.IGNORECASE)
_FAILED = re.compile(r"(^|[\"^(|])5(\.\.|xx|\d\d|\[0-9\]|\\d)|error|fail|STATUS_CODE_ERROR", re.IGNORECASE)
_SLOW = re.compile(
    r"duration|latency|response_time|_seconds(_bucket|_sum|_count)?$|_milliseconds(_bucket|_sum|_count)?$"
)
_REQUESTS = re.compile(
    r"request|calls|queries|transactions|operations|messages_|rpc|http(?!.*bytes)|_duration\w*_count$"
)
RedKind = Literal["rate", "errors", "duration"]


def placeholders(expr: str) -> str:
    """The expression with something parseable in the place of every variable, to read it without its values."""

    def stand_in(found: re.Match[str]) -> str:
        before = expr[: found.start()]
        quoted = len(re.findall(r'(?<!\\)"', before)) % 2 == 1
        if quoted:
            return "x"
        name = found.group(1) or found.group(2) or found.group(3)
        if name in ("__range_s", "__range_ms", "__interval_ms"):
            return "60"
        return "5m" if before.rfind("[") > before.rfind("]") or "offset" in before[-8:] else "x"

    return re.sub(r"\$(\w+)|\[\[(\w+)(?::\w+)?\]\]|\$\{(\w+)[^}]*\}", stand_in, expr)


def _facts(target: Target) -> promql.Expression | None:
    if not target.is_promql:
        return None
    try:
        return promql.parse(placeholders(target.expr))
    except promql.PromqlError:
        return None


def red_kind(panel: Panel) -> RedKind | None:
    """Which of request rate, errors, duration a panel's queries show; None for none of them."""
    for target in panel.queries:
        facts = _facts(target)
        if facts is None or not facts.functions & {"rate", "irate", "increase", "histogram_quantile", "delta"}:
            continue
        failures = [
            one for s in facts.selectors for one in s.matchers if one.op in ("=", "=~") and _FAILED.search(one.value)
        ]
        if failures or any(_FAILED.search(name) for name in facts.metrics):
            return "errors"
        if "histogram_quantile" in facts.functions:
            return "duration"
        if any(_SLOW.search(name) and not name.endswith("_count") for name in facts.metrics):
            return "duration"
        if any(_REQUESTS.search(name) for name in facts.metrics):
            return "rate"
    return None


def is_red_panel(panel: Panel, service: str) -> bool:
    """Whether it shows rate, errors or duration of this service: named in a matcher, a title, or by a variable."""
    if red_kind(panel) is None:
        return False
    if service and service.lower() in f"{panel.title} {panel.row}".lower():
        return True
    for target in panel.queries:
        facts = _facts(target)
        for one in promql.label_matchers(facts.text) if facts else ():
            chosen_by_variable = one.value == "x" and one.name in _SERVICE_LABELS
            if chosen_by_variable or (
                one.op in ("=", "=~") and re.search(rf"(^|\W){re.escape(service)}($|\W)", one.value)
            ):
                return True
    return False


def is_slo_panel(panel: Panel) -> bool:
    """Whether it shows an SLO: attainment, error budget or burn rate."""
    found = (facts for target in panel.queries if (facts := _facts(target)))
    return any(_SLO_METRIC.search(name) for facts in found for name in facts.metrics) or (
        panel.asks and bool(_SLO_TITLE.search(panel.title))
    )


# --- lint ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LintIssue:
    """One thing to mend; ``panel_id`` 0 is the dashboard itself."""

    id: str
    panel_id: int
    message: str


def lint(model: Model) -> tuple[LintIssue, ...]:
    """What a reviewer would ask to mend, dashboard first, then panel by panel."""
    inner = _mapping(model.get("dashboard", model))
    found = []
    if not _text(inner.get("title")).strip():
        found.append(LintIssue("dashboard-title-missing", 0, "the dashboard has no title"))
    if not _text(inner.get("uid")):
        found.append(LintIssue("dashboard-uid-missing", 0, "it has no uid: every import makes another copy"))
    panels = walk(model)
    if not any(panel.asks for panel in panels):
        found.append(LintIssue("no-queries", 0, "no panel asks for data"))
    seen: set[int] = set()
    for panel in panels:
        if panel.id and panel.id in seen:
            found.append(LintIssue("panel-id-repeated", panel.id, f"id {panel.id} is used by more than one panel"))
        seen.add(panel.id)
        found += _lint_panel(panel)
    return tuple(found)


def _lint_panel(panel: Panel) -> list[LintIssue]:
    if panel.kind in WITHOUT_QUERIES:
        return []
    found = []
    if not panel.title:
        found.append(LintIssue("panel-title-missing", panel.id, "it has no title"))
    if not panel.asks:
        found.append(LintIssue("panel-without-query", panel.id, f"{panel.title!r} has no query"))
    if panel.asks and not panel.library_uid and panel.kind in _NEEDS_UNIT and not panel.unit:
        found.append(LintIssue("unit-missing", panel.id, f"{panel.title!r} has no unit"))
    for target in panel.queries:
        if not target.expr and target.is_promql:
            found.append(LintIssue("query-empty", panel.id, f"{panel.title!r}: query {target.ref_id} is empty"))
        if not target.datasource_uid:
            message = f"{panel.title!r}: query {target.ref_id} names no data source and takes the default"
            found.append(LintIssue("datasource-missing", panel.id, message))
    return found


# --- score -----------------------------------------------------------------------------------------------------------

WEIGHTS: Mapping[str, int] = {
    "live data": 50,
    "valid queries": 20,
    "references resolve": 15,
    "release fit": 10,
    "lint": 5,
}


@dataclass(frozen=True)
class QueryResult:
    """What came of asking one query live.

    ``valid``: the server took it. ``resolved``: its data source and variables exist. ``live``: it answered fresh,
    finite samples; None where we could not ask (an error of the network is no finding about the dashboard).
    """

    ref_id: str
    valid: bool
    resolved: bool
    live: bool | None
    detail: str = ""


@dataclass(frozen=True)
class PanelResult:
    """What came of one panel that asks."""

    panel: Panel
    queries: tuple[QueryResult, ...]

    @property
    def works(self) -> bool:
        """Every query is valid and resolves, and at least one shows live data."""
        sound = all(query.valid and query.resolved for query in self.queries)
        return bool(self.queries) and sound and any(query.live for query in self.queries)


@dataclass(frozen=True)
class Part:
    """One part of a score: points of at most ``weight``."""

    name: str
    weight: int
    points: float
    detail: str


@dataclass(frozen=True)
class Score:
    """0 to 100. ``conclusive`` is False where nothing was there to judge or something could not be asked."""

    total: float
    parts: tuple[Part, ...]
    conclusive: bool = True
    why_inconclusive: str = ""
    broken: tuple[str, ...] = field(default=())
    """Titles of the panels that don't work."""


def score(results: Sequence[PanelResult], release_fit: float = 1.0, lint_issues: Sequence[LintIssue] = ()) -> Score:
    """The dashboard's score from its panels' results.

    ``release_fit`` is the share (0 to 1) of what the release brought that the dashboard shows, see ``release_share``.
    Panels that ask nothing don't count. A dashboard without any that does scores 0 and is inconclusive.
    """
    asking = [result for result in results if result.panel.asks]
    if not asking:
        parts = tuple(Part(name, weight, 0.0, "no panel with a query") for name, weight in WEIGHTS.items())
        return Score(0.0, parts, conclusive=False, why_inconclusive="no panel with a query")
    queries = [query for result in asking for query in result.queries]
    live = [result for result in asking if any(query.live for query in result.queries)]
    unasked = [result for result in asking if not result.queries or any(query.live is None for query in result.queries)]
    shares = {
        "live data": _share(len(live), len(asking), "panels show fresh data"),
        "valid queries": _share(sum(query.valid for query in queries), len(queries), "queries are valid"),
        "references resolve": _share(sum(query.resolved for query in queries), len(queries), "queries resolve"),
        "release fit": (_clamped(release_fit), f"{_clamped(release_fit):.0%} of what the release brought is shown"),
        "lint": (_clamped(1 - len(lint_issues) / len(asking)), f"{len(lint_issues)} lint issues"),
    }
    parts = tuple(Part(name, weight, shares[name][0] * weight, shares[name][1]) for name, weight in WEIGHTS.items())
    reason = f"{len(unasked)} panels could not be asked" if unasked else ""
    broken = tuple(result.panel.title or f"panel {result.panel.id}" for result in asking if not result.works)
    return Score(round(sum(part.points for part in parts), 1), parts, not unasked, reason, broken)


def release_share(panels: Sequence[Panel], wanted: Sequence[str]) -> float:
    """Share of the wanted names (services, metrics, endpoints) that some query or title mentions; 1 for none."""
    mentioned = " ".join(
        f"{panel.title} {panel.row} {' '.join(query.expr for query in panel.queries)}" for panel in panels
    ).lower()
    return sum(name.lower() in mentioned for name in wanted) / len(wanted) if wanted else 1.0


def _share(count: int, of: int, what: str) -> tuple[float, str]:
    return (count / of if of else 0.0), f"{count} of {of} {what}"


def _clamped(share: float) -> float:
    return min(1.0, max(0.0, share)) if share == share else 0.0  # NaN counts as nothing
