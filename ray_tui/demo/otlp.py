"""A trace of the demo's world as OTLP JSON: what Tempo and Jaeger v3 share, up to how they write ids."""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from ray_tui.demo.world import BY_NAME, Span, Trace

_SERVER = 2
_ERROR = 2


def text_attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def hex_id(text: str) -> str:
    return text


def base64_id(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def resource_spans(
    traces: Iterable[Trace], write_id: Callable[[str], str], kind: int | str = _SERVER
) -> list[dict[str, Any]]:
    """One entry per service and trace. Zero values (no parent, status unset) are left out."""
    entries: list[dict[str, Any]] = []
    for trace in traces:
        by_service: dict[str, list[dict[str, Any]]] = {}
        for span in trace.spans:
            by_service.setdefault(span.service, []).append(_span(span, trace.trace_id, write_id, kind))
        for service, spans in by_service.items():
            attributes = [
                text_attribute("service.name", service),
                text_attribute("service.version", BY_NAME[service].version_after),
                text_attribute("deployment.environment.name", "production"),
            ]
            scope = {"name": "shop", "version": "1.0.0"}
            entries.append({"resource": {"attributes": attributes}, "scopeSpans": [{"scope": scope, "spans": spans}]})
    return entries


def _span(span: Span, trace_id: str, write_id: Callable[[str], str], kind: int | str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "traceId": write_id(trace_id),
        "spanId": write_id(span.span_id),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.start_ns + span.duration_ns),
        "attributes": [
            text_attribute("http.request.method", span.method),
            text_attribute("http.route", span.route),
            {"key": "http.response.status_code", "value": {"intValue": "500" if span.failed else "200"}},
        ],
        "status": {"code": _ERROR} if span.failed else {},
    }
    if span.parent_id:
        entry["parentSpanId"] = write_id(span.parent_id)
    return entry
