"""The demo's Prometheus: the HTTP API, the rule files that it loads, the alerts that it sends on."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import httpx
import promql_parser
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.clock import Clock, iso
from ray_tui.demo import promql
from ray_tui.demo.http import first, json_answer, parameters, text_answer, unix_seconds
from ray_tui.demo.rules import rule_file
from ray_tui.demo.ruleset import BadRuleFile, Group, LiveAlert, Rule, RuleEngine, duration_seconds, key_of, load_groups
from ray_tui.demo.series import GRID_MS, Labels, Matcher, Samples
from ray_tui.demo.world import METADATA, SERVICES, WORKERS, World

MAX_POINTS = 11_000
EVALUATION_SECONDS = 1.0
RESEND_SECONDS = 5.0
SEND_TIMEOUT_SECONDS = 2.0

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def initial_rules(world: World) -> str:
    """The text of ``shop.yml``: the rules that the team had before the release."""
    return rule_file(world.scenario.assets.rules_without_threshold)


class Refused(Exception):
    """An error answer in Prometheus's envelope."""

    def __init__(self, status: int, error_type: str, error: str) -> None:
        super().__init__(error)
        self.status, self.error_type, self.error = status, error_type, error


def _bad(error: str) -> Refused:
    return Refused(400, "bad_data", error)


@dataclass(frozen=True)
class _Snapshot:
    """What /rules and /alerts show, taken in one go."""

    groups: tuple[Group, ...]
    alerts: Mapping[tuple[str, str, str, str], list[LiveAlert]]
    errors: Mapping[tuple[str, str, str, str], str]


class DemoPrometheus:
    """``alertmanagers`` are base URLs. ``start`` evaluates rules every second until ``stop``."""

    def __init__(self, world: World, rule_dir: Path, clock: Clock, alertmanagers: tuple[str, ...] = ()) -> None:
        self.world = world
        self.rule_dir = rule_dir
        self.clock = clock
        self.alertmanagers = alertmanagers
        self.external_url = "http://prometheus.demo"
        self.reload_gap_seconds = 0.0
        """How long after a reload no Alertmanager is known (the real one: about four seconds)."""
        self.reloads: list[bool] = []
        self.engine = RuleEngine(world)
        self.engine.load(load_groups(rule_dir))
        self._blind_until = -math.inf
        self._lock = Lock()
        self._task: asyncio.Task[None] | None = None
        self.app = self._application()

    # --- evaluation

    def _ask(self, question: Callable[[RuleEngine], Any]) -> Any:
        """Put a question to the engine as of now. One at a time: the engine remembers what it computes."""
        with self._lock:
            self.engine.now = self.clock.wall()
            return question(self.engine)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=SEND_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                await self.evaluate(client)
                await asyncio.sleep(EVALUATION_SECONDS)

    async def evaluate(self, client: httpx.AsyncClient) -> None:
        """Evaluate every rule once and send what is due to every Alertmanager."""
        if self.world.scenario.telemetry.metrics_down:
            return
        await asyncio.to_thread(self._ask, lambda engine: engine.evaluate())
        due = self._ask(_due)
        peers = self.active_alertmanagers()
        if not due or not peers:
            return
        now = self.clock.wall()
        body = [self._wire(alert, expr, now) for expr, alert in due]
        if await self._send(client, peers, body):
            for _, alert in due:
                alert.last_sent = now
                alert.resolved_sent = alert.resolved_at is not None

    async def _send(self, client: httpx.AsyncClient, peers: Iterable[str], body: list[dict[str, Any]]) -> bool:
        """Whether at least one peer took them."""
        taken = False
        for peer in peers:
            try:
                answer = await client.post(f"{peer}/api/v2/alerts", json=body)
            except httpx.HTTPError:
                continue
            taken = taken or answer.is_success
        return taken

    def _wire(self, alert: LiveAlert, expr: str, now: float) -> dict[str, Any]:
        ends = alert.resolved_at if alert.resolved_at is not None else now + 4 * RESEND_SECONDS
        return {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": iso(alert.firing_since or now),
            "endsAt": iso(ends),
            "generatorURL": f"{self.external_url}/graph?g0.expr={quote(expr)}&g0.tab=1",
        }

    def active_alertmanagers(self) -> tuple[str, ...]:
        return () if self.clock.monotonic() < self._blind_until else self.alertmanagers

    # --- HTTP

    def _application(self) -> Starlette:
        both = ["GET", "POST"]
        api: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
            ("/query", self._query, both),
            ("/query_range", self._query_range, both),
            ("/query_exemplars", self._exemplars, both),
            ("/series", self._series, both),
            ("/labels", self._labels, both),
            ("/label/{name}/values", self._label_values, ["GET"]),
            ("/metadata", self._metadata, ["GET"]),
            ("/targets", self._targets, ["GET"]),
            ("/rules", self._rules, ["GET"]),
            ("/alerts", self._alerts, ["GET"]),
            ("/alertmanagers", self._alertmanagers, ["GET"]),
            ("/status/buildinfo", self._buildinfo, ["GET"]),
            ("/status/config", self._config, ["GET"]),
        ]
        routes = [Route(f"/api/v1{path}", _enveloped(handler), methods=methods) for path, handler, methods in api]
        routes += [
            Route("/-/healthy", self._healthy),
            Route("/-/ready", self._ready),
            Route("/-/reload", self._reload, methods=["POST", "PUT"]),
        ]
        if self.world.scenario.telemetry.metrics_down:
            routes = [Route("/{path:path}", _unavailable, methods=[*both, "PUT", "DELETE"])]
        return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed})

    async def _healthy(self, _request: Request) -> Response:
        return text_answer("Prometheus Server is Healthy.\n")

    async def _ready(self, _request: Request) -> Response:
        return text_answer("Prometheus Server is Ready.\n")

    async def _reload(self, _request: Request) -> Response:
        try:
            groups = load_groups(self.rule_dir)
        except BadRuleFile:
            self.reloads.append(False)
            reason = "failed to reload config: one or more errors occurred while applying the new configuration"
            return text_answer(f'{reason} (--config.file="prometheus.yml")\n', 500)
        self._ask(lambda engine: engine.load(groups))
        self.reloads.append(True)
        self._blind_until = self.clock.monotonic() + self.reload_gap_seconds
        return text_answer("")

    async def _query(self, request: Request) -> Response:
        asked = await parameters(request)
        at = _time(asked, "time", self.clock.wall())
        text = first(asked, "query")
        try:
            kind, value = await asyncio.to_thread(self._ask, lambda engine: promql.instant(engine, text, _ms(at)))
        except promql.BadExpression as exc:
            raise _bad(f'invalid parameter "query": {exc}') from exc
        if kind == "matrix":
            result: Any = [_matrix_entry(raw) for raw in sorted(value, key=lambda raw: raw.labels)]
        elif kind == "vector":
            when = _stamp(_ms(at))
            result = [
                {"metric": dict(point.labels), "value": [when, promql.format_value(point.value)]} for point in value
            ]
        else:
            result = [_stamp(_ms(at)), value if kind == "string" else promql.format_value(value)]
        return _success({"resultType": kind, "result": result})

    async def _query_range(self, request: Request) -> Response:
        asked = await parameters(request)
        start, end = _time(asked, "start"), _time(asked, "end")
        if end < start:
            raise _bad('invalid parameter "end": end timestamp must not be before start time')
        step = _step(first(asked, "step"))
        if step <= 0:
            raise _bad(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted.'
                " Try a positive integer"
            )
        if (end - start) / step > MAX_POINTS:
            raise _bad(
                "exceeded maximum resolution of 11,000 points per timeseries."
                " Try decreasing the query resolution (?step=XX)"
            )
        text = first(asked, "query")
        try:
            kind = promql.kind(promql.parse(text))
        except promql.BadExpression as exc:
            raise _bad(f'invalid parameter "query": {exc}') from exc
        if kind not in ("scalar", "vector"):
            named = {"matrix": "range vector"}.get(kind, kind)
            raise _bad(f'invalid expression type "{named}" for range query, must be Scalar or instant Vector')
        matrix = await asyncio.to_thread(
            self._ask, lambda engine: promql.over_range(engine, text, _ms(start), _ms(end), max(1, _ms(step)))
        )
        return _success({"resultType": "matrix", "result": [_matrix_entry(raw) for raw in matrix]})

    async def _exemplars(self, _request: Request) -> Response:
        return _success([])

    async def _series(self, request: Request) -> Response:
        asked = await parameters(request)
        if not asked.get("match[]"):
            raise _bad("no match[] parameter provided")
        found = await asyncio.to_thread(self._ask, lambda engine: self._matching(engine, asked))
        return _success([dict(labels) for labels in sorted(found)])

    async def _labels(self, request: Request) -> Response:
        asked = await parameters(request)
        found = await asyncio.to_thread(self._ask, lambda engine: self._matching(engine, asked))
        return _success(sorted({name for labels in found for name, _ in labels}))

    async def _label_values(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not _LABEL_NAME.fullmatch(name):
            raise _bad(f'invalid label name: "{name}"')
        asked = await parameters(request)
        found = await asyncio.to_thread(self._ask, lambda engine: self._matching(engine, asked))
        return _success(sorted({dict(labels)[name] for labels in found if name in dict(labels)}))

    def _matching(self, engine: RuleEngine, asked: Mapping[str, list[str]]) -> set[Labels]:
        """The label sets that one of ``match[]`` selects (none asked: all) and that have samples in the time asked."""
        now = self.clock.wall()
        start, end = _ms(_time(asked, "start", self.world.begins_at)), _ms(_time(asked, "end", now))
        sets = [_selector(text) for text in asked.get("match[]", ())] or [[Matcher("__name__", "!=", "")]]
        steps = range(max(start, _ms(now) - 600_000), end + 1, GRID_MS)  # recorded series: the last ten minutes do

        def there(samples: Samples) -> bool:
            return samples.edges(start, end) is not None

        return {one.labels for matchers in sets for one in engine.select(matchers, steps, 0) if there(one)}

    async def _metadata(self, request: Request) -> Response:
        asked = await parameters(request)
        wanted = first(asked, "metric")
        known = {
            metric: [{"type": kind, "help": help_text, "unit": ""}]
            for metric, (kind, help_text) in METADATA.items()
            if wanted in ("", metric)
        }
        return _success(known)

    async def _targets(self, request: Request) -> Response:
        asked = await parameters(request)
        state, pool = first(asked, "state", "any"), first(asked, "scrapePool")
        active = [target for target in self._active_targets() if pool in ("", target["scrapePool"])]
        return _success(
            {"activeTargets": [] if state == "dropped" else active, "droppedTargets": []},
        )

    def _active_targets(self) -> list[dict[str, Any]]:
        now = self.clock.wall()
        scraped = math.floor(now * 1000 / GRID_MS) * GRID_MS / 1000
        targets: list[dict[str, Any]] = []
        for service in SERVICES:
            if self.world.sends(service.name, "metrics", now):
                address = f"{service.name}:8080"
                url = f"http://{address}/metrics"
                labels = {"instance": address, "job": "shop", "service": service.name}
                targets.append(_target(labels, address, url, scraped))
            if service.name not in WORKERS and self.world.sends(service.name, "synthetics", now):
                probed = self.world.probe_url(service.name)
                labels = {"instance": probed, "job": "blackbox", "service": service.name}
                url = f"http://blackbox:9115/probe?module=http_2xx&target={quote(probed, safe='')}"
                targets.append(_target(labels, "blackbox:9115", url, scraped))
        return targets

    def _snapshot(self, engine: RuleEngine) -> _Snapshot:
        engine.evaluate()
        alerts = {
            key: [alert for alert in found.values() if alert.resolved_at is None]
            for key, found in engine.alerts.items()
        }
        return _Snapshot(engine.groups, alerts, dict(engine.errors))

    async def _rules(self, request: Request) -> Response:
        asked = await parameters(request)
        only = first(asked, "type")
        if only not in ("", "alert", "record"):
            raise _bad(f"invalid query parameter type={'' if not only else chr(34) + only + chr(34)}")
        snapshot: _Snapshot = await asyncio.to_thread(self._ask, self._snapshot)
        now = iso(self.clock.wall())
        names, groups_asked, files = (set(asked.get(f"{name}[]", ())) for name in ("rule_name", "rule_group", "file"))
        groups = []
        for group in snapshot.groups:
            if (groups_asked and group.name not in groups_asked) or (files and group.file not in files):
                continue
            rules = [
                _rule_entry(
                    rule, snapshot.alerts.get(key_of(group, rule), ()), snapshot.errors, key_of(group, rule), now
                )
                for rule in group.rules
                if only in ("", "alert" if rule.kind == "alerting" else "record") and (not names or rule.name in names)
            ]
            if rules or not (only or names):
                entry = {"name": group.name, "file": group.file, "rules": rules, "interval": group.interval_seconds}
                groups.append({**entry, "limit": 0, "evaluationTime": 0.001, "lastEvaluation": now})
        return _success({"groups": groups})

    async def _alerts(self, _request: Request) -> Response:
        snapshot: _Snapshot = await asyncio.to_thread(self._ask, self._snapshot)
        return _success({"alerts": [_alert_entry(alert) for found in snapshot.alerts.values() for alert in found]})

    async def _alertmanagers(self, _request: Request) -> Response:
        active = [{"url": f"{peer}/api/v2/alerts"} for peer in self.active_alertmanagers()]
        return _success({"activeAlertmanagers": active, "droppedAlertmanagers": []})

    async def _buildinfo(self, _request: Request) -> Response:
        return _success(
            {
                "version": "2.42.0",
                "revision": "demo",
                "branch": "demo",
                "buildUser": "ray-tui",
                "buildDate": "",
                "goVersion": "go1.19.8",
            }
        )

    async def _config(self, _request: Request) -> Response:
        peers = [peer.partition("://")[2] for peer in self.alertmanagers]
        config = {
            "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": peers}]}]},
            "rule_files": [f"{self.rule_dir}/*.yml"],
            "scrape_configs": [{"job_name": "shop"}, {"job_name": "blackbox", "metrics_path": "/probe"}],
        }
        return _success({"yaml": yaml.safe_dump(config, sort_keys=False)})


def _due(engine: RuleEngine) -> list[tuple[str, LiveAlert]]:
    """(expression, alert) of what an Alertmanager must be told now."""
    due = []
    for (_, _, _, expr), alerts in engine.alerts.items():
        for alert in alerts.values():
            if alert.firing_since is None or alert.resolved_sent:
                continue
            late = alert.last_sent is None or engine.now - alert.last_sent >= RESEND_SECONDS
            if late or alert.resolved_at is not None:
                due.append((expr, alert))
    return due


# --- answers


def _enveloped(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Errors as Prometheus says them."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as exc:
            return json_answer({"status": "error", "errorType": exc.error_type, "error": exc.error}, exc.status)
        except (promql.Unsupported, promql.ExecutionError) as exc:
            return json_answer({"status": "error", "errorType": "execution", "error": str(exc)}, 422)

    return endpoint


async def _unavailable(_request: Request) -> Response:
    return text_answer("Service Unavailable", 503)


async def _not_found(_request: Request, _exc: Exception) -> Response:
    return text_answer("404 page not found\n", 404)


async def _not_allowed(_request: Request, _exc: Exception) -> Response:
    return text_answer("Method Not Allowed\n", 405)


def _success(data: Any) -> Response:
    return json_answer({"status": "success", "data": data})


def _ms(seconds: float) -> int:
    return math.floor(seconds * 1000 + 0.5)


def _stamp(ms: int) -> float | int:
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def _matrix_entry(raw: promql.RawSeries) -> dict[str, Any]:
    values = [[_stamp(at), promql.format_value(value)] for at, value in zip(raw.times, raw.values, strict=True)]
    return {"metric": dict(raw.labels), "values": values}


def _time(asked: Mapping[str, list[str]], name: str, default: float | None = None) -> float:
    text = first(asked, name)
    if not text and default is not None:
        return default
    try:
        seconds = unix_seconds(text)
        if math.isfinite(seconds):
            return seconds
    except (ValueError, OverflowError):
        pass
    detail = f'cannot parse "{text}" to a valid timestamp'
    raise _bad(
        f'invalid parameter "{name}": {"Invalid time value for " + repr(name) + ": " if default else ""}{detail}'
    )


def _step(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return duration_seconds(text)
    except ValueError as exc:
        raise _bad(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from exc


def _selector(text: str) -> list[Matcher]:
    try:
        tree = promql.parse(text)
    except promql.BadExpression as exc:
        raise _bad(f'invalid parameter "match[]": {exc}') from exc
    if not isinstance(tree, promql_parser.VectorSelector):
        raise _bad('invalid parameter "match[]": 1:1: parse error: expected a series selector')
    return promql.matchers_of(tree)


def _target(labels: Mapping[str, str], address: str, url: str, scraped: float) -> dict[str, Any]:
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    return {
        "discoveredLabels": {
            "__address__": address,
            "__metrics_path__": f"/{path}",
            "__scheme__": "http",
            "__scrape_interval__": "5s",
            "__scrape_timeout__": "5s",
            "job": labels["job"],
        },
        "labels": dict(labels),
        "scrapePool": labels["job"],
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": "",
        "lastScrape": iso(scraped),
        "lastScrapeDuration": 0.004,
        "health": "up",
        "scrapeInterval": "5s",
        "scrapeTimeout": "5s",
    }


def _exponent(value: float) -> str:
    """As Go's ``%e`` with the fewest digits: 1e+00."""
    if not math.isfinite(value):
        return promql.format_value(value)
    return next(
        text for text in (f"{value:.{places}e}" for places in range(18)) if float(text) == value or len(text) > 22
    )


def _alert_entry(alert: LiveAlert) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": iso(alert.active_at),
        "value": _exponent(alert.value),
    }


def _rule_entry(
    rule: Rule,
    alerts: Iterable[LiveAlert],
    errors: Mapping[tuple[str, str, str, str], str],
    key: tuple[str, str, str, str],
    now: str,
) -> dict[str, Any]:
    error = errors.get(key)
    entry: dict[str, Any] = {
        "name": rule.name,
        "query": rule.expr,
        "labels": dict(rule.labels),
        "health": "unknown" if error is None else "err" if error else "ok",
        "evaluationTime": 0.0001,
        "lastEvaluation": now,
        "type": rule.kind,
    }
    if error:
        entry["lastError"] = error
    if rule.kind == "recording":
        if not rule.labels:
            del entry["labels"]
        return entry
    listed = list(alerts)
    states = {alert.state for alert in listed}
    state = "firing" if "firing" in states else "pending" if "pending" in states else "inactive"
    return {
        **entry,
        "duration": rule.wait_seconds,
        "keepFiringFor": 0,
        "annotations": dict(rule.annotations),
        "alerts": [_alert_entry(alert) for alert in listed],
        "state": state,
    }
