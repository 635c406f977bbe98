"""The shop's services as a visitor meets them: a health endpoint each, on one port."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ray_tui.demo.http import json_answer, text_answer
from ray_tui.demo.world import SERVICES, WORKERS


class DemoTargets:
    """``GET /<service>/healthz`` for every service that serves HTTP, ``GET /healthz`` for the shop."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        """Services in the order in which they were visited; empty for the shop itself."""
        self.down: set[str] = set()
        """Services that answer 503."""
        self.app = Starlette(routes=[Route("/healthz", self._health), Route("/{service}/healthz", self._health)])

    async def _health(self, request: Request) -> Response:
        service = request.path_params.get("service", "")
        if service and service not in {one.name for one in SERVICES if one.name not in WORKERS}:
            return text_answer("no such service\n", 404)
        self.visits.append(service)
        if service in self.down:
            return json_answer({"status": "down", "service": service}, 503)
        return json_answer({"status": "ok", "service": service or "shop"})
