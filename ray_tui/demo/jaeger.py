"""The demo's Jaeger: the v3 query API in OTLP JSON, and the older API of its user interface."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.clock import Clock
from ray_tui.demo.http import first, json_answer, parameters, text_answer, unix_seconds
from ray_tui.demo.otlp import hex_id, resource_spans
from ray_tui.demo.ruleset import duration_seconds
from ray_tui.demo.world import TRACE_HISTORY_SECONDS, Span, Trace, World

RECENT_SECONDS = 3600.0
"""What the listings of services and operations look back on."""
DEFAULT_DEPTH = 20
_TRACE_ID = re.compile(r"[0-9a-fA-F]{1,32}")


class Refused(Exception):
    """An error answer of either API."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class DemoJaeger:
    """``legacy`` False: the older API is gone, as in the newest Jaeger."""

    def __init__(self, world: World, clock: Clock, legacy: bool = True) -> None:
        self.world = world
        self.clock = clock
        v3: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/api/v3/services", self._services),
            ("/api/v3/operations", self._operations),
            ("/api/v3/traces", self._find),
            ("/api/v3/traces/{trace_id}", self._get),
        ]
        older: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/api/services", self._old_services),
            ("/api/services/{service}/operations", self._old_service_operations),
            ("/api/operations", self._old_operations),
            ("/api/traces", self._old_find),
        ]
        routes = [Route(path, _guarded(handler, _v3_error)) for path, handler in v3]
        routes += [Route(path, _guarded(handler, _old_error)) for path, handler in older if legacy]
        routes += [Route("/api/traces/{trace_id}", _guarded(self._old_get, _old_error)), Route("/", _front)]
        self.app = Starlette(routes=routes, exception_handlers={404: _not_found})

    # --- what is there

    def _between(self, start: float, end: float) -> Iterator[Trace]:
        """Newest first, none from the future."""
        now = self.clock.wall()
        for trace in self.world.traces(int(start * 1e9), int(min(end, now) * 1e9)):
            if trace.end_ns <= now * 1e9:
                yield trace

    def _recent_spans(self) -> Iterator[Span]:
        now = self.clock.wall()
        for trace in self._between(now - RECENT_SECONDS, now):
            yield from trace.spans

    def _service_names(self) -> list[str]:
        return sorted({span.service for span in self._recent_spans()})

    def _operation_names(self, service: str) -> list[str]:
        return sorted({span.name for span in self._recent_spans() if span.service == service})

    def _by_id(self, text: str) -> Trace | None:
        if not _TRACE_ID.fullmatch(text):
            raise Refused(400, f"malformed parameter trace_id: strconv.ParseUint: parsing {text!r}: invalid syntax")
        trace = self.world.trace(text.lower().rjust(32, "0"))
        return trace if trace is not None and trace.root.start_ns <= self.clock.wall() * 1e9 else None

    def _search(
        self, service: str, operation: str, start: float, end: float, depth: int, least: float, most: float
    ) -> list[Trace]:
        found: list[Trace] = []
        for trace in self._between(start, end):
            if len(found) == depth:
                break
            if any(
                (not service or span.service == service)
                and (not operation or span.name == operation)
                and least <= span.duration_ns / 1e9 <= most
                for span in trace.spans
            ):
                found.append(trace)
        return found

    # --- v3

    async def _services(self, _request: Request) -> Response:
        return json_answer({"services": self._service_names()})

    async def _operations(self, request: Request) -> Response:
        asked = await parameters(request)
        service, kind = first(asked, "service"), first(asked, "span_kind")
        if not service:
            raise Refused(400, "malformed parameter service: missing")
        names = self._operation_names(service) if kind in ("", "server") else []
        return json_answer({"operations": [{"name": name, "spanKind": "server"} for name in names]} if names else {})

    async def _find(self, request: Request) -> Response:
        asked = await parameters(request)
        start, end = (_moment(asked, f"query.start_time_{edge}") for edge in ("min", "max"))
        least = _length(asked, "query.duration_min", 0.0)
        most = _length(asked, "query.duration_max", float("inf"))
        depth = _whole(asked, "query.search_depth", DEFAULT_DEPTH)
        service, operation = first(asked, "query.service_name"), first(asked, "query.operation_name")
        found = self._search(service, operation, start, end, depth, least, most)
        if not found:
            raise Refused(404, "No traces found")
        return json_answer({"result": {"resourceSpans": resource_spans(found, hex_id)}})

    async def _get(self, request: Request) -> Response:
        trace = self._by_id(request.path_params["trace_id"])
        if trace is None:
            raise Refused(404, "No traces found")
        return json_answer({"result": {"resourceSpans": resource_spans([trace], hex_id)}})

    # --- the older API

    async def _old_services(self, _request: Request) -> Response:
        return _envelope(self._service_names())

    async def _old_service_operations(self, request: Request) -> Response:
        return _envelope(self._operation_names(request.path_params["service"]))

    async def _old_operations(self, request: Request) -> Response:
        service = first(await parameters(request), "service")
        if not service:
            raise Refused(400, "unable to parse param 'service': parameter 'service' is required")
        return _envelope([{"name": name, "spanKind": "server"} for name in self._operation_names(service)])

    async def _old_find(self, request: Request) -> Response:
        asked = await parameters(request)
        wanted = asked.get("traceID", [])
        if wanted:
            traces = [trace for trace in map(self._by_id, wanted) if trace is not None]
            return _envelope([_old_trace(trace) for trace in traces])
        service = first(asked, "service")
        if not service:
            raise Refused(400, "unable to parse param 'service': parameter 'service' is required")
        now = self.clock.wall()
        lookback = _length(asked, "lookback", RECENT_SECONDS)
        end = _whole(asked, "end", int(now * 1e6)) / 1e6
        start = _whole(asked, "start", int((end - min(lookback, TRACE_HISTORY_SECONDS)) * 1e6)) / 1e6
        least, most = _length(asked, "minDuration", 0.0), _length(asked, "maxDuration", float("inf"))
        limit = _whole(asked, "limit", DEFAULT_DEPTH)
        found = self._search(service, first(asked, "operation"), start, end, limit, least, most)
        return _envelope([_old_trace(trace) for trace in found])

    async def _old_get(self, request: Request) -> Response:
        trace = self._by_id(request.path_params["trace_id"])
        if trace is None:
            raise Refused(404, "trace not found")
        return _envelope([_old_trace(trace)])


def _guarded(
    handler: Callable[[Request], Awaitable[Response]], error: Callable[[Refused], Response]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as exc:
            return error(exc)

    return endpoint


def _v3_error(refused: Refused) -> Response:
    """JSON under the name of plain text: so it is on the wire."""
    body = {"error": {"httpCode": refused.status, "message": refused.message}}
    return text_answer(json.dumps(body, separators=(",", ":")), refused.status)


def _old_error(refused: Refused) -> Response:
    errors = [{"code": refused.status, "msg": refused.message}]
    return json_answer({"data": None, "total": 0, "limit": 0, "offset": 0, "errors": errors}, refused.status)


def _envelope(data: list[Any]) -> Response:
    return json_answer({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None})


def _old_trace(trace: Trace) -> dict[str, Any]:
    services = sorted({span.service for span in trace.spans})
    names = {service: f"p{number}" for number, service in enumerate(services, start=1)}
    return {
        "traceID": trace.trace_id,
        "spans": [_old_span(span, trace.trace_id, names[span.service]) for span in trace.spans],
        "processes": {name: {"serviceName": service, "tags": []} for service, name in names.items()},
        "warnings": None,
    }


def _old_span(span: Span, trace_id: str, process: str) -> dict[str, Any]:
    references = [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": span.parent_id}] if span.parent_id else []
    tags = [
        {"key": "http.request.method", "type": "string", "value": span.method},
        {"key": "http.route", "type": "string", "value": span.route},
        {"key": "http.response.status_code", "type": "int64", "value": 500 if span.failed else 200},
        {"key": "span.kind", "type": "string", "value": "server"},
    ]
    if span.failed:
        tags.append({"key": "error", "type": "bool", "value": True})
    return {
        "traceID": trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": references,
        "startTime": span.start_ns // 1000,
        "duration": span.duration_ns // 1000,
        "tags": tags,
        "logs": [],
        "processID": process,
        "warnings": None,
    }


def _moment(asked: Mapping[str, list[str]], name: str) -> float:
    text = first(asked, name)
    try:
        if text and not re.fullmatch(r"[\d.]+", text):
            return unix_seconds(text)
    except ValueError:
        pass
    raise Refused(400, f"malformed parameter {name}: parsing time {json.dumps(text)} as RFC 3339 failed")


def _length(asked: Mapping[str, list[str]], name: str, default: float) -> float:
    """A Go duration such as ``100ms`` or ``1.2s``."""
    text = first(asked, name)
    if not text:
        return default
    found = re.fullmatch(r"(\d+\.\d+)(ms|s|m|h)", text)
    try:
        return float(found[1]) * duration_seconds(f"1{found[2]}") if found else duration_seconds(text)
    except ValueError as exc:
        raise Refused(400, f"malformed parameter {name}: time: invalid duration {json.dumps(text)}") from exc


def _whole(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    text = first(asked, name)
    try:
        return int(text) if text else default
    except ValueError as exc:
        raise Refused(400, f"malformed parameter {name}: strconv.ParseInt: parsing {json.dumps(text)}") from exc


async def _front(_request: Request) -> Response:
    return Response("<!doctype html><title>Jaeger UI</title>", media_type="text/html")


async def _not_found(_request: Request, _exc: Exception) -> Response:
    return text_answer("404 page not found\n", 404)
