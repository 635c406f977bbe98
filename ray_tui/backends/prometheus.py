"""The Prometheus HTTP API: questions in PromQL, answers as samples whose oddities are kept for the caller to see."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpSettings
from ray_tui.backends.answers import Answer, TooLarge, moment, moment_or_none, unwell
from ray_tui.backends.http import LARGE, USUAL, Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendError, BackendRefused, NotSupported
from ray_tui.core.ports import ActiveAlert, Health, LoadedRule, Matrix, Sample, Series, Target, Vector

MOST_POINTS = 11_000
"""Per series and answer: the server's own limit."""
FEWEST_POINTS = 100
LONGEST_EXPRESSION = 50_000
LONGEST_CONFIG = 4_000_000


class Settings(HttpSettings):
    """Prometheus, or anything that speaks its API: Thanos, Mimir (url ends in /prometheus), VictoriaMetrics."""

    kind: Literal["prometheus"]
    """Which kind of system this is."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("metrics", "prometheus"): Settings}


def open(settings: Settings, opening: Opening) -> "Prometheus":  # noqa: A001 (each backend file has one)
    return Prometheus(Http.open("metrics", settings.url, settings, opening))


class Prometheus:
    """``Metrics`` over HTTP."""

    name = "Prometheus"

    def __init__(self, http: Http) -> None:
        self._http = http
        self._method = "POST"

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Asks a question that needs the credentials, as ``/-/ready`` needs none."""
        try:
            answer = await self._ask("query", [("query", "vector(1)")])
            data(answer)
            version = await self._version()
        except BackendError as error:
            return unwell(error)
        return Health(True, f"answers at {self._http.base_url}", version, answer.skew)

    async def query(self, expr: str, at: float | None = None) -> Vector:
        fields = [("query", expr)] + ([("time", f"{at:.3f}")] if at is not None else [])
        answer = await self._ask("query", fields)
        with answer.promised():
            result, warnings = data(answer)
            return Vector(tuple(samples(result)), warnings)

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Matrix:
        if step <= 0 or end < start:
            raise BackendRefused("metrics", f"a range from {start} to {end} by {step} s is none", "Correct the window")
        points: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
        names: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}
        warnings: list[str] = []
        total = int((end - start) / step + 1e-9) + 1
        first, size = 0, MOST_POINTS
        while first < total:
            last = min(first + size, total) - 1
            try:
                part = await self._range(expr, start + first * step, start + last * step, step)
            except TooLarge:
                if size <= FEWEST_POINTS:
                    raise
                size = max(FEWEST_POINTS, size // 4)
                continue
            for series in part.series:
                key = frozenset(series.labels.items())
                names.setdefault(key, series.labels)
                points.setdefault(key, []).extend(series.points)
            warnings += [warning for warning in part.warnings if warning not in warnings]
            first = last + 1
        return Matrix(tuple(Series(names[key], tuple(found)) for key, found in points.items()), tuple(warnings))

    async def rules(self) -> tuple[LoadedRule, ...]:
        answer = await self._get("rules")
        with answer.promised():
            found, _ = data(answer, LONGEST_EXPRESSION)
            return tuple(loaded_rule(group, rule) for group in found["groups"] for rule in group["rules"])

    async def targets(self) -> tuple[Target, ...]:
        answer = await self._get("targets", [("state", "active")])
        with answer.promised():
            found, _ = data(answer)
            return tuple(
                Target(
                    untrusted.labels(one["labels"]),
                    untrusted.line(one.get("scrapeUrl", "")),
                    untrusted.line(one["health"]),
                    untrusted.line(one.get("lastError", "")),
                    moment_or_none(one.get("lastScrape")),
                )
                for one in found["activeTargets"]
            )

    async def metadata(self) -> Mapping[str, str]:
        answer = await self._get("metadata")
        with answer.promised():
            found, _ = data(answer)
            return {name: str(kinds[0]["type"]) for name, kinds in found.items() if kinds}

    async def alerts(self) -> tuple[ActiveAlert, ...]:
        answer = await self._get("alerts")
        with answer.promised():
            found, _ = data(answer)
            return tuple(
                ActiveAlert(
                    untrusted.labels(one["labels"]),
                    dict(one.get("annotations") or {}),
                    one["state"],
                    moment(one["activeAt"]),
                    float(one["value"]),
                )
                for one in found["alerts"]
                if one["state"] in ("pending", "firing")
            )

    async def alertmanagers(self) -> tuple[str, ...]:
        answer = await self._get("alertmanagers")
        with answer.promised():
            found, _ = data(answer)
            return tuple(untrusted.line(one["url"]) for one in found["activeAlertmanagers"])

    async def rule_files(self) -> tuple[str, ...]:
        answer = await self._get("status/config")
        with answer.promised():
            found, _ = data(answer, LONGEST_CONFIG)
            try:
                read = yaml.safe_load(found["yaml"]) or {}
            except yaml.YAMLError as exc:
                raise ValueError(f"its configuration is not YAML: {exc}") from exc
            return tuple(str(pattern) for pattern in read.get("rule_files") or ())

    async def _range(self, expr: str, start: float, end: float, step: float) -> Matrix:
        fields = [("query", expr), ("start", f"{start:.3f}"), ("end", f"{end:.3f}"), ("step", f"{step:.3f}")]
        answer = await self._ask("query_range", fields, limit=LARGE)
        with answer.promised():
            result, warnings = data(answer)
            return Matrix(tuple(all_series(result)), warnings)

    async def _version(self) -> str | None:
        answer = await self._http.get("/api/v1/status/buildinfo", accept=(200, 404))
        if answer.status == 404:
            return None  # an old or a foreign implementation: the question above was answered, which counts
        with answer.promised():
            return str(data(answer)[0]["version"])

    async def _ask(self, what: str, fields: Sequence[tuple[str, str]], limit: int = USUAL) -> Answer:
        """A question as a POST form, which has no length limit; as a GET where a gateway allows no POST."""
        path = f"/api/v1/{what}"
        if self._method == "POST":
            try:
                return await self._http.request("POST", path, form=fields, may_repeat=True, limit=limit)
            except BackendRefused as refused:
                if refused.status != 405:
                    raise
                self._method = "GET"
        return await self._http.get(path, fields, limit=limit)

    async def _get(self, what: str, fields: Sequence[tuple[str, str]] = ()) -> Answer:
        try:
            return await self._http.get(f"/api/v1/{what}", fields, limit=LARGE)
        except BackendRefused as refused:
            if refused.status != 404:
                raise
            raise NotSupported(
                "metrics", f"this server has no /api/v1/{what}", "Ask a Prometheus for it", status=404
            ) from refused


def data(answer: Answer, longest: int = untrusted.LONGEST) -> tuple[Any, tuple[str, ...]]:
    """The envelope's data and warnings."""
    envelope = answer.json(longest)
    if not isinstance(envelope, dict) or envelope.get("status") != "success" or "data" not in envelope:
        raise answer.broken(f"its envelope does not say success ({json.dumps(envelope)[:200]})")
    return envelope["data"], tuple(str(warning) for warning in envelope.get("warnings") or ())


def samples(result: Mapping[str, Any]) -> Iterator[Sample]:
    """Of a vector or a scalar. A native histogram has no one value: it comes as NaN, which nothing may pass on."""
    kind, found = result["resultType"], result["result"]
    if kind in ("scalar", "string"):
        yield Sample({}, float(found[0]), float(found[1]) if kind == "scalar" else math.nan)
        return
    if kind != "vector":
        raise ValueError(f"a {kind} where a vector was asked for")
    for one in found:
        at, value = one.get("value") or (one["histogram"][0], "NaN")
        yield Sample(one["metric"], float(at), float(value))


def all_series(result: Mapping[str, Any]) -> Iterator[Series]:
    """Of a matrix."""
    if result["resultType"] != "matrix":
        raise ValueError(f"a {result['resultType']} where a matrix was asked for")
    for one in result["result"]:
        points = [(float(at), float(value)) for at, value in one.get("values", ())]
        points += [(float(at), math.nan) for at, _ in one.get("histograms", ())]
        yield Series(one["metric"], tuple(sorted(points, key=lambda point: point[0])))


def loaded_rule(group: Mapping[str, Any], rule: Mapping[str, Any]) -> LoadedRule:
    """One rule of ``/api/v1/rules``."""
    kind = rule["type"]
    if kind not in ("alerting", "recording"):
        raise ValueError(f"a rule of type {kind}")
    return LoadedRule(
        group=group["name"],
        file=group.get("file", ""),
        name=rule["name"],
        query=rule["query"],
        kind=kind,
        for_seconds=float(rule.get("duration") or 0),
        labels=dict(rule.get("labels") or {}),
        annotations=dict(rule.get("annotations") or {}),
        health=rule.get("health", "unknown"),
        state=rule.get("state", "inactive"),
        last_error=rule.get("lastError", ""),
    )
