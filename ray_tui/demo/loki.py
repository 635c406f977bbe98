"""The demo's Loki: log selectors, counts over time, labels, as its HTTP API answers them."""

import math
import re
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.http import first, json_answer, parameters, text_answer
from ray_tui.demo.promql import format_value
from ray_tui.demo.ruleset import duration_seconds
from ray_tui.demo.series import Matcher, selected
from ray_tui.demo.world import SERVICES, LogLine, World

MAX_ENTRIES = 5000
MAX_POINTS = 11_000
MAX_QUERY_SECONDS = 721 * 3600.0
LEVELS = ("error", "info", "warn")
SECOND_NS = 1_000_000_000


class Refused(Exception):
    """An error answer: Loki's are plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class LogQuery:
    """A stream selector with line filters; ``|=``, ``!=``, ``|~`` and ``!~``."""

    matchers: tuple[Matcher, ...]
    filters: tuple[tuple[str, str], ...]

    def takes(self, text: str) -> bool:
        return all(_filtered(text, operator, wanted) for operator, wanted in self.filters)


@dataclass(frozen=True)
class MetricQuery:
    """``<aggregation> by (labels) (<function>(<log query>[range]))``; ``aggregation`` empty: none."""

    function: str
    log: LogQuery
    range_seconds: float
    aggregation: str = ""
    by: tuple[str, ...] = ()


def _filtered(text: str, operator: str, wanted: str) -> bool:
    found = wanted in text if operator in ("|=", "!=") else re.search(wanted, text) is not None
    return found is operator.startswith("|")


_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(\|=|\|~|=~|!~|!=|[{}()\[\],=|])|([A-Za-z0-9_.:-]+))')
_FUNCTIONS = ("count_over_time", "rate", "bytes_over_time", "bytes_rate")
_AGGREGATIONS = ("sum", "min", "max", "avg", "count")


class _Reader:
    """A recursive-descent reader of the LogQL subset. Raises Refused(400) in Loki's words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def peek(self) -> str:
        found = _TOKEN.match(self.text, self.place)
        return found[0].strip() if found else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if (wanted and token not in wanted) or not token:
            self.fail()
        found = _TOKEN.match(self.text, self.place)
        assert found is not None
        self.place = found.end()
        return token

    def fail(self) -> None:
        rest = self.text[self.place :]
        column = self.place + len(rest) - len(rest.lstrip()) + 1
        what = "$end" if not rest.strip() else "IDENTIFIER" if (rest.strip()[0].isalpha()) else rest.strip()[0]
        raise Refused(400, f"parse error at line 1, col {column}: syntax error: unexpected {what}")

    def text_value(self) -> str:
        if self.peek()[:1] not in ("`", '"'):
            self.fail()
        token = self.take()
        if token[0] == "`":
            return token[1:-1]
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), token[1:-1])

    def whole(self) -> LogQuery | MetricQuery:
        query = self.log() if self.peek() == "{" else self.metric()
        if self.text[self.place :].strip():
            self.fail()
        return query

    def log(self) -> LogQuery:
        self.take("{")
        matchers: list[Matcher] = []
        while self.peek() != "}":
            name = self.take()
            operator = self.take("=", "!=", "=~", "!~")
            matchers.append(Matcher(name, operator, self.text_value()))
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        if not any(matcher.op in ("=", "=~") and not matcher.matches("") for matcher in matchers):
            raise Refused(
                400,
                "parse error : queries require at least one regexp or equality matcher that does not have an"
                ' empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will',
            )
        filters: list[tuple[str, str]] = []
        while self.peek() in ("|=", "|~", "!=", "!~"):
            filters.append((self.take(), self.text_value()))
        return LogQuery(tuple(matchers), tuple(filters))

    def metric(self) -> MetricQuery:
        word = self.peek()
        if word in _FUNCTIONS:
            return self.counted()
        if word not in _AGGREGATIONS:
            self.fail()
        self.take()
        by = self.grouping()
        self.take("(")
        inner = self.counted()
        self.take(")")
        return MetricQuery(inner.function, inner.log, inner.range_seconds, word, by or self.grouping())

    def grouping(self) -> tuple[str, ...]:
        if self.peek() != "by":
            return ()
        self.take()
        self.take("(")
        names: list[str] = []
        while self.peek() != ")":
            names.append(self.take())
            if self.peek() != ")":
                self.take(",")
        self.take(")")
        return tuple(names)

    def counted(self) -> MetricQuery:
        function = self.take(*_FUNCTIONS)
        self.take("(")
        log = self.log()
        self.take("[")
        try:
            seconds = duration_seconds(self.take())
        except ValueError as exc:
            raise Refused(400, f"parse error at line 1, col {self.place}: {exc}") from exc
        self.take("]")
        self.take(")")
        return MetricQuery(function, log, seconds)


def parse(text: str) -> LogQuery | MetricQuery:
    if not text.strip():
        raise Refused(400, "parse error : syntax error: unexpected $end")
    return _Reader(text).whole()


def stream_labels(service: str, level: str) -> dict[str, str]:
    return {"app": service, "level": level, "service_name": service}


class DemoLoki:
    """``tenant`` set: every call needs it in X-Scope-OrgID."""

    def __init__(self, world: World, clock: Clock, tenant: str = "") -> None:
        self.world = world
        self.clock = clock
        self.tenant = tenant
        both = ["GET", "POST"]
        prefix = "/loki/api/v1"
        calls: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
            (f"{prefix}/query", self._query, both),
            (f"{prefix}/query_range", self._query_range, both),
            (f"{prefix}/labels", self._labels, both),
            (f"{prefix}/label/{{name}}/values", self._label_values, ["GET"]),
            (f"{prefix}/series", self._series, both),
            (f"{prefix}/index/stats", self._stats, both),
            (f"{prefix}/index/volume", self._volume, both),
        ]
        routes = [Route(path, self._guarded(handler), methods=methods) for path, handler, methods in calls]
        routes += [Route("/ready", _ready), Route(f"{prefix}/status/buildinfo", _buildinfo)]
        self.app = Starlette(routes=routes, exception_handlers={404: _not_found})

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if self.tenant and request.headers.get("x-scope-orgid") != self.tenant:
                return text_answer("no org id\n", 401)
            try:
                return await handler(request)
            except Refused as exc:
                return text_answer(exc.text + "\n", exc.status)

        return endpoint

    # --- what is there

    def _lines(self, query: LogQuery, start_ns: int, end_ns: int, newest_first: bool = False) -> Iterator[LogLine]:
        """Lines that match, in time order or against it; nothing from the future."""
        end_ns = min(end_ns, int(self.clock.wall() * SECOND_NS) + 1)
        chosen = [one.name for one in SERVICES if any(_matches(query, one.name, level) for level in LEVELS)]
        of_each = (self.world.logs(service, start_ns, end_ns, newest_first=newest_first) for service in chosen)
        for line in merge(*of_each, key=lambda line: line.at_ns, reverse=newest_first):
            if _matches(query, line.service, line.level) and query.takes(line.text):
                yield line

    def _streams(self, query: LogQuery, start_ns: int, end_ns: int) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for service in SERVICES:
            levels = {level for level in LEVELS if _matches(query, service.name, level)}
            only = LogQuery((*query.matchers, Matcher("service_name", "=", service.name)), query.filters)
            seen: set[str] = set()
            for line in self._lines(only, start_ns, end_ns, newest_first=True) if levels else ():
                seen.add(line.level)
                if seen == levels:  # every line is a computation: read no more than it takes
                    break
            found += [stream_labels(service.name, level) for level in sorted(seen)]
        return sorted(found, key=lambda stream: sorted(stream.items()))

    def _window(self, asked: Mapping[str, list[str]], default_seconds: float = 3600.0) -> tuple[int, int]:
        now = int(self.clock.wall() * SECOND_NS)
        end = nanoseconds(asked, "end", now)
        back = default_seconds
        if first(asked, "since"):
            back = _duration(first(asked, "since"))
        start = nanoseconds(asked, "start", end - int(back * SECOND_NS))
        if end < start:
            raise Refused(400, "end timestamp must not be before or equal to start time")
        if (end - start) / SECOND_NS > MAX_QUERY_SECONDS:
            length = _go_duration((end - start) / SECOND_NS)
            raise Refused(400, f"the query time range exceeds the limit (query length: {length}, limit: 30d1h)")
        return start, end

    # --- queries

    async def _query(self, request: Request) -> Response:
        asked = await parameters(request)
        query = parse(first(asked, "query"))
        if isinstance(query, LogQuery):
            raise Refused(
                400,
                "log queries are not supported as an instant query type,"
                " please change your query to a range query type",
            )
        at = nanoseconds(asked, "time", int(self.clock.wall() * SECOND_NS))
        found = self._counts(query, [at]).items()
        vector = [{"metric": dict(labels), "value": [_seconds(at), text]} for labels, ((_, text),) in found]
        return _success({"resultType": "vector", "result": vector})

    async def _query_range(self, request: Request) -> Response:
        asked = await parameters(request)
        query = parse(first(asked, "query"))
        start, end = self._window(asked)
        if isinstance(query, MetricQuery):
            return self._metric_range(query, start, end, asked)
        limit = _whole(first(asked, "limit", "100"))
        if limit > MAX_ENTRIES:
            reason = f"limit > max_entries_limit_per_query ({limit} > {MAX_ENTRIES})"
            raise Refused(400, f"max entries limit per query exceeded, {reason}")
        direction = first(asked, "direction", "backward").lower()
        if direction not in ("backward", "forward"):
            raise Refused(400, f"invalid direction '{direction}'")
        backward = direction == "backward"
        streams: dict[tuple[str, str], list[list[str]]] = {}
        for line in islice(self._lines(query, start, end, backward), limit):
            streams.setdefault((line.service, line.level), []).append([str(line.at_ns), line.text])
        result = [{"stream": stream_labels(*stream), "values": values} for stream, values in streams.items()]
        return _success({"resultType": "streams", "result": result})

    def _metric_range(self, query: MetricQuery, start: int, end: int, asked: Mapping[str, list[str]]) -> Response:
        text = first(asked, "step")
        step = _duration(text) if text else max(1.0, math.floor((end - start) / SECOND_NS / 250))
        if step <= 0:
            raise Refused(400, "zero or negative query resolution step widths are not accepted. Try a positive integer")
        if (end - start) / SECOND_NS / step > MAX_POINTS:
            raise Refused(
                400,
                "exceeded maximum resolution of 11,000 points per time series."
                " Try increasing the value of the step parameter",
            )
        steps = list(range(start, end + 1, int(step * SECOND_NS)))
        found = self._counts(query, steps).items()
        result = [
            {"metric": dict(labels), "values": [[_seconds(at), text] for at, text in points]}
            for labels, points in found
        ]
        return _success({"resultType": "matrix", "result": result})

    def _counts(self, query: MetricQuery, steps: list[int]) -> dict[tuple[tuple[str, str], ...], list[tuple[int, str]]]:
        """By labels, (time, value as text) for each step that has lines in (step - range, step]."""
        span = int(query.range_seconds * SECOND_NS)
        lines: dict[tuple[str, str], list[LogLine]] = {}
        for line in self._lines(query.log, min(steps) - span + 1, max(steps) + 1):
            lines.setdefault((line.service, line.level), []).append(line)
        times = {stream: [line.at_ns for line in found] for stream, found in lines.items()}
        sized = query.function.startswith("bytes")
        per_second = query.function in ("rate", "bytes_rate")
        answer: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = {}
        for at in steps:
            groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
            for stream, found in lines.items():
                within = found[bisect_right(times[stream], at - span) : bisect_right(times[stream], at)]
                if not within:
                    continue
                amount = float(sum(len(line.text) for line in within) if sized else len(within))
                labels = stream_labels(*stream)
                if query.aggregation:
                    labels = {name: value for name, value in labels.items() if name in query.by}
                key = tuple(sorted(labels.items()))
                groups.setdefault(key, []).append(amount / query.range_seconds if per_second else amount)
            for key, amounts in groups.items():
                answer.setdefault(key, []).append((at, format_value(_combined(query.aggregation, amounts))))
        return answer

    # --- labels and index

    async def _labels(self, request: Request) -> Response:
        asked = await parameters(request)
        streams = self._streams(_asked_query(asked), *self._window(asked, 6 * 3600.0))
        names = sorted({name for stream in streams for name in stream})
        return json_answer({"status": "success", **({"data": names} if names else {})})

    async def _label_values(self, request: Request) -> Response:
        asked = await parameters(request)
        name = request.path_params["name"]
        streams = self._streams(_asked_query(asked), *self._window(asked, 6 * 3600.0))
        values = sorted({stream[name] for stream in streams if name in stream})
        return json_answer({"status": "success", **({"data": values} if values else {})})

    async def _series(self, request: Request) -> Response:
        asked = await parameters(request)
        texts = asked.get("match[]") or asked.get("match") or []
        if not texts:
            raise Refused(400, "0 matcher groups supplied")
        window = self._window(asked, 6 * 3600.0)
        found = {tuple(sorted(stream.items())) for text in texts for stream in self._streams(_log(text), *window)}
        return json_answer({"status": "success", "data": [dict(stream) for stream in sorted(found)]})

    async def _stats(self, request: Request) -> Response:
        asked = await parameters(request)
        lines = list(self._lines(_log(first(asked, "query")), *self._window(asked, 6 * 3600.0)))
        streams = len({(line.service, line.level) for line in lines})
        size = sum(len(line.text) for line in lines)
        return json_answer({"streams": streams, "chunks": streams, "entries": len(lines), "bytes": size})

    async def _volume(self, request: Request) -> Response:
        asked = await parameters(request)
        start, end = self._window(asked, 6 * 3600.0)
        query = _log(first(asked, "query"))
        targets = [name for name in first(asked, "targetLabels").split(",") if name]
        names = targets or [matcher.name for matcher in query.matchers]
        sizes: dict[tuple[tuple[str, str], ...], int] = {}
        for line in self._lines(query, start, end):
            labels = stream_labels(line.service, line.level)
            key = tuple((name, labels[name]) for name in names if name in labels)
            sizes[key] = sizes.get(key, 0) + len(line.text)
        biggest = sorted(sizes.items(), key=lambda item: -item[1])[: _whole(first(asked, "limit", "100"))]
        when = _seconds(end)
        vector = [{"metric": dict(labels), "value": [when, str(size)]} for labels, size in biggest]
        return _success({"resultType": "vector", "result": vector})


async def _ready(_request: Request) -> Response:
    return text_answer("ready\n")


async def _buildinfo(_request: Request) -> Response:
    return json_answer(
        {"version": "3.0.0", "revision": "demo", "branch": "demo", "buildDate": "", "goVersion": "go1.23"}
    )


async def _not_found(_request: Request, _exc: Exception) -> Response:
    return text_answer("404 page not found\n", 404)


_STATS: Mapping[str, Any] = {
    "summary": {
        "bytesProcessedPerSecond": 0,
        "linesProcessedPerSecond": 0,
        "totalBytesProcessed": 0,
        "totalLinesProcessed": 0,
        "execTime": 0.01,
        "queueTime": 0,
    },
    "ingester": {},
    "store": {},
}


def _success(data: Mapping[str, Any]) -> Response:
    return json_answer({"status": "success", "data": {**data, "stats": _STATS}})


def _matches(query: LogQuery, service: str, level: str) -> bool:
    return selected(tuple(stream_labels(service, level).items()), query.matchers)


def _log(text: str) -> LogQuery:
    query = parse(text)
    if not isinstance(query, LogQuery):
        raise Refused(400, "only label matchers are supported")
    return query


def _asked_query(asked: Mapping[str, list[str]]) -> LogQuery:
    text = first(asked, "query")
    return _log(text) if text else LogQuery((), ())


def _combined(aggregation: str, amounts: Iterable[float]) -> float:
    values = list(amounts)
    match aggregation:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "avg":
            return sum(values) / len(values)
        case "count":
            return float(len(values))
        case _:
            return sum(values)


def nanoseconds(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    """An integer is nanoseconds, a number with a point seconds; else RFC 3339."""
    text = first(asked, name)
    if not text:
        return default
    try:
        if re.fullmatch(r"-?\d+", text):
            number = int(text)
            return number if len(text) > 10 else number * SECOND_NS  # as Loki: ten digits or fewer are seconds
        if re.fullmatch(r"-?\d*\.\d+", text):
            return int(float(text) * SECOND_NS)
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * SECOND_NS)
    except (ValueError, OverflowError) as exc:
        raise Refused(400, f'could not parse "{name}" parameter: cannot parse "{text}" to a valid timestamp') from exc


def _duration(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return duration_seconds(text)
    except ValueError as exc:
        raise Refused(400, f'cannot parse "{text}" to a valid duration') from exc


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError as exc:
        raise Refused(400, f'strconv.Atoi: parsing "{text}": invalid syntax') from exc
    if number <= 0:
        raise Refused(400, "limit must be a positive value")
    return number


def _seconds(at_ns: int) -> float | int:
    return at_ns // SECOND_NS if at_ns % SECOND_NS == 0 else round(at_ns / SECOND_NS, 3)


def _go_duration(seconds: float) -> str:
    return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60)}m{seconds % 60:g}s"
