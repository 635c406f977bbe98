"""The demo's Tempo: search by a subset of TraceQL, traces by id, tag values."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.http import first, json_answer, parameters, text_answer
from ray_tui.demo.otlp import base64_id, resource_spans, text_attribute
from ray_tui.demo.world import Span, Trace, World

RECENT_SECONDS = 1800.0
"""What a search without start and end looks at."""
MAX_INSPECTED = 3000
"""A search gives up after so many traces, as the real one is not exhaustive."""


class Refused(Exception):
    """An error answer: Tempo's are plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True)
class Condition:
    """One comparison of a TraceQL filter; all of a filter's must hold on one span."""

    attribute: str
    operator: str
    value: str

    def holds(self, span: Span) -> bool:
        actual = attribute_of(span, self.attribute)
        if actual is None:
            return False
        if self.operator in ("=~", "!~"):
            return (re.fullmatch(self.value, actual) is not None) is (self.operator == "=~")
        return (actual == self.value) is (self.operator == "=")


def attribute_of(span: Span, name: str) -> str | None:
    plain = name.removeprefix("resource.").removeprefix("span.").removeprefix(".")
    match plain:
        case "service.name" | "rootServiceName":
            return span.service
        case "name" | "span:name":
            return span.name
        case "status" | "span:status":
            return "error" if span.failed else "unset"
        case "http.route":
            return span.route
        case "http.request.method" | "http.method":
            return span.method
        case "http.response.status_code" | "http.status_code":
            return "500" if span.failed else "200"
        case "kind" | "span:kind":
            return "server"
        case _:
            return None


_COMPARISON = re.compile(r'\s*([A-Za-z_.:][\w.:]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|([\w.]+))\s*')


def parse(text: str) -> tuple[Condition, ...]:
    """``{}`` or ``{a="b" && c="d"}``. Raises Refused(400)."""
    body = text.strip()
    if not body.startswith("{"):
        raise Refused(400, "invalid TraceQL query: parse error at line 1, col 1: syntax error: unexpected IDENTIFIER")
    if not body.endswith("}"):
        column = len(body) + 1
        raise Refused(400, f"invalid TraceQL query: parse error at line 1, col {column}: syntax error: unexpected $end")
    inner, place = body[1:-1], 0
    conditions: list[Condition] = []
    while inner[place:].strip():
        found = _COMPARISON.match(inner, place)
        if found is None:
            raise Refused(400, f"invalid TraceQL query: parse error at line 1, col {place + 2}: syntax error")
        quoted = found[3]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else found[4] or found[5] or ""
        conditions.append(Condition(found[1], found[2], value))
        place = found.end()
        if not inner[place:].strip():
            break
        if not inner.startswith("&&", place):
            raise Refused(400, f"invalid TraceQL query: parse error at line 1, col {place + 2}: syntax error")
        place += 2
        if not inner[place:].strip():
            raise Refused(400, f"invalid TraceQL query: parse error at line 1, col {place + 2}: syntax error")
    return tuple(conditions)


def parse_tags(text: str) -> tuple[Condition, ...]:
    """logfmt: ``service.name=checkout name="POST /x"``."""
    pairs = re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', text)
    return tuple(Condition(name, "=", quoted or plain) for name, quoted, plain in pairs)


_TRACE_ID = re.compile(r"[0-9a-fA-F]{1,32}")
_TAGS: Mapping[str, tuple[str, ...]] = {
    "resource": ("service.name",),
    "span": ("http.request.method", "http.response.status_code", "http.route"),
    "intrinsic": ("kind", "name", "status"),
}


class DemoTempo:
    """``tenant`` set: every call needs it in X-Scope-OrgID."""

    def __init__(self, world: World, clock: Clock, tenant: str = "") -> None:
        self.world = world
        self.clock = clock
        self.tenant = tenant
        calls: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/api/search", self._search),
            ("/api/search/tags", self._tags),
            ("/api/v2/search/tags", self._tags_v2),
            ("/api/search/tag/{tag}/values", self._tag_values),
            ("/api/v2/search/tag/{tag}/values", self._tag_values_v2),
            ("/api/traces/{trace_id}", self._trace),
            ("/api/v2/traces/{trace_id}", self._trace_v2),
        ]
        routes = [Route(path, self._guarded(handler)) for path, handler in calls]
        routes += [
            Route("/ready", _ready),
            Route("/api/echo", _echo),
            Route("/api/status/buildinfo", _buildinfo),
            Route("/status/version", _version),
        ]
        self.app = Starlette(routes=routes, exception_handlers={404: _not_found})

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if self.tenant and request.headers.get("x-scope-orgid") != self.tenant:
                return text_answer("no org id", 401)
            try:
                return await handler(request)
            except Refused as exc:
                return text_answer(exc.text, exc.status)

        return endpoint

    def _traces(self, asked: Mapping[str, list[str]]) -> Iterator[Trace]:
        """Newest first, none from the future, at most MAX_INSPECTED."""
        now = self.clock.wall()
        start, end = _seconds(asked, "start", now - RECENT_SECONDS), _seconds(asked, "end", now)
        if end < start:
            raise Refused(400, "invalid start/end: start must be before end")
        found = self.world.traces(int(start * 1e9), int(min(end, now) * 1e9))
        for _, trace in zip(range(MAX_INSPECTED), found, strict=False):
            if trace.end_ns <= now * 1e9:
                yield trace

    async def _search(self, request: Request) -> Response:
        asked = await parameters(request)
        q, tags = first(asked, "q"), first(asked, "tags")
        conditions = parse(q) if q else parse_tags(tags)
        limit, per_set = _whole(asked, "limit", 20), _whole(asked, "spss", 3)
        found: list[dict[str, Any]] = []
        inspected = 0
        for trace in self._traces(asked):
            inspected += 1
            matched = [span for span in trace.spans if all(condition.holds(span) for condition in conditions)]
            if matched:
                found.append(_summary(trace, matched, per_set, conditions))
                if len(found) == limit:
                    break
        metrics = {"inspectedTraces": inspected, "inspectedBytes": str(inspected * 900), "totalBlocks": 1}
        return json_answer({"traces": found, "metrics": metrics})

    def _found(self, request: Request) -> Trace | None:
        text = request.path_params["trace_id"]
        if not _TRACE_ID.fullmatch(text):
            raise Refused(400, "trace IDs can only contain hex characters: invalid character at position 1")
        trace = self.world.trace(text.lower().rjust(32, "0"))
        return trace if trace is not None and trace.root.start_ns <= self.clock.wall() * 1e9 else None

    async def _trace(self, request: Request) -> Response:
        trace = self._found(request)
        if trace is None:
            return text_answer("trace not found", 404)
        return json_answer({"batches": resource_spans([trace], base64_id, "SPAN_KIND_SERVER")})

    async def _trace_v2(self, request: Request) -> Response:
        trace = self._found(request)
        if trace is None:
            return text_answer("trace not found", 404)
        spans = resource_spans([trace], base64_id, "SPAN_KIND_SERVER")
        return json_answer({"trace": {"resourceSpans": spans}, "metrics": {"inspectedBytes": "900"}})

    async def _tags(self, _request: Request) -> Response:
        return json_answer({"tagNames": sorted(tag for tags in _TAGS.values() for tag in tags), "metrics": {}})

    async def _tags_v2(self, request: Request) -> Response:
        wanted = first(await parameters(request), "scope")
        scopes = [{"name": name, "tags": list(tags)} for name, tags in _TAGS.items() if wanted in ("", "none", name)]
        return json_answer({"scopes": scopes, "metrics": {}})

    def _values(self, tag: str, asked: Mapping[str, list[str]]) -> tuple[list[str], int]:
        try:
            conditions = parse(first(asked, "q")) if first(asked, "q") else ()
        except Refused:
            conditions = ()  # an unparsable q is ignored silently
        values: set[str] = set()
        inspected = 0
        for trace in self._traces(asked):
            inspected += 1
            for span in trace.spans:
                value = attribute_of(span, tag)
                if value is not None and all(condition.holds(span) for condition in conditions):
                    values.add(value)
        return sorted(values), inspected

    async def _tag_values(self, request: Request) -> Response:
        values, _ = self._values(request.path_params["tag"], await parameters(request))
        return json_answer({"tagValues": values, "metrics": {}})

    async def _tag_values_v2(self, request: Request) -> Response:
        values, inspected = self._values(request.path_params["tag"], await parameters(request))
        typed = [{"type": "string", "value": value} for value in values]
        return json_answer({"tagValues": typed, "metrics": {"inspectedBytes": str(inspected * 900)}})


def _summary(trace: Trace, matched: list[Span], per_set: int, conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """A search hit: ids in hex without leading zeros, a duration below 1 ms left out."""
    root = trace.root
    spans = []
    for span in matched[:per_set]:
        shown = {condition.attribute for condition in conditions}
        attributes = [
            text_attribute(name.removeprefix("resource.").removeprefix("span."), attribute_of(span, name) or "")
            for name in sorted(shown)
            if name != "name"
        ]
        entry: dict[str, Any] = {"spanID": span.span_id, "startTimeUnixNano": str(span.start_ns)}
        if span.duration_ns:
            entry["durationNanos"] = str(span.duration_ns)
        if "name" in shown:
            entry["name"] = span.name
        if attributes:
            entry["attributes"] = attributes
        spans.append(entry)
    duration = (trace.end_ns - root.start_ns) // 1_000_000
    span_set = {"spans": spans, "matched": len(matched)}
    return {
        "traceID": trace.trace_id.lstrip("0"),
        "rootServiceName": root.service,
        "rootTraceName": root.name,
        "startTimeUnixNano": str(root.start_ns),
        **({"durationMs": duration} if duration else {}),
        "spanSet": span_set,
        "spanSets": [span_set],
    }


def _seconds(asked: Mapping[str, list[str]], name: str, default: float) -> float:
    text = first(asked, name)
    try:
        return float(int(text)) if text else default
    except ValueError as exc:
        raise Refused(400, f'invalid {name}: strconv.ParseInt: parsing "{text}": invalid syntax') from exc


def _whole(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    text = first(asked, name)
    try:
        number = int(text) if text else default
    except ValueError as exc:
        raise Refused(400, f'invalid {name}: strconv.Atoi: parsing "{text}": invalid syntax') from exc
    if number <= 0:
        raise Refused(400, f"invalid {name}: must be a positive number")
    return number


async def _ready(_request: Request) -> Response:
    return text_answer("ready\n")


async def _echo(_request: Request) -> Response:
    return text_answer("echo")


async def _buildinfo(_request: Request) -> Response:
    return json_answer(
        {"version": "2.6.0", "revision": "demo", "branch": "demo", "buildDate": "", "goVersion": "go1.22"}
    )


async def _version(_request: Request) -> Response:
    return text_answer("tempo, version 2.6.0 (branch: demo, revision: demo)\n")


async def _not_found(_request: Request, _exc: Exception) -> Response:
    return text_answer("404 page not found\n", 404)
