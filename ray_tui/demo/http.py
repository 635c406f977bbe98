"""How the demo's HTTP servers read parameters and write answers: the parts that several wires share."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response


async def parameters(request: Request) -> dict[str, list[str]]:
    """The query's parameters, and a form's where one was posted."""
    found = parse_qs(request.url.query, keep_blank_values=True)
    if request.method == "POST" and "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        body = (await request.body()).decode("utf-8", "replace")
        for name, values in parse_qs(body, keep_blank_values=True).items():
            found[name] = values + found.get(name, [])
    return found


def first(parameters: Mapping[str, list[str]], name: str, default: str = "") -> str:
    """The first value, or the default where there is none."""
    values = parameters.get(name)
    return values[0] if values else default


def json_answer(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    return Response(json.dumps(body, separators=(",", ":"), allow_nan=False), status, media_type=content_type)


def text_answer(body: str, status: int = 200) -> Response:
    return Response(body, status, media_type="text/plain")


def unix_seconds(text: str) -> float:
    """Unix seconds or RFC 3339. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
