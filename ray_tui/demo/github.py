"""GitHub as far as a backlog needs it: one repository, its issues, and what the real one says to a wrong question."""

import json
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_tui.clock import Clock

TOKEN = "demo-github-token"  # noqa: S105 (the demo's own, in its public configuration)
REPOSITORY = "shop/operations"
_DOCS = "https://docs.github.com/rest"


class DemoGitHub:
    """``issues`` in the order in which they were opened; all of them stay open."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.issues: list[dict[str, Any]] = []
        self.has_issues = True
        self.app = Starlette(
            routes=[
                Route("/repos/{owner}/{name}", self._repository, methods=["GET"]),
                Route("/repos/{owner}/{name}/issues", self._list, methods=["GET"]),
                Route("/repos/{owner}/{name}/issues", self._create, methods=["POST"]),
            ]
        )

    def _refused(self, request: Request) -> Response | None:
        if not request.headers.get("user-agent"):
            return Response("Request forbidden by administrative rules.", 403, media_type="text/plain")
        if request.headers.get("authorization") not in (f"Bearer {TOKEN}", f"token {TOKEN}"):
            return _error(401, "Bad credentials")
        if f"{request.path_params['owner']}/{request.path_params['name']}" != REPOSITORY:
            return _error(404, "Not Found")
        return None

    async def _repository(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse({"full_name": REPOSITORY, "has_issues": self.has_issues})

    async def _list(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        wanted = {label for label in request.query_params.get("labels", "").split(",") if label}
        found = [one for one in reversed(self.issues) if wanted <= {label["name"] for label in one["labels"]}]
        size = min(100, int(request.query_params.get("per_page", "30")))
        page = int(request.query_params.get("page", "1"))
        links = {}
        if page * size < len(found):
            query = "&".join(f"{k}={v}" for k, v in {**request.query_params, "page": str(page + 1)}.items())
            links["link"] = f'<{request.url.replace(query=query)}>; rel="next"'
        return JSONResponse(found[(page - 1) * size : page * size], headers=links)

    async def _create(self, request: Request) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        if not self.has_issues:
            return _error(410, "Issues has been disabled in this repository.")
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return _error(400, "Problems parsing JSON")
        if not isinstance(asked, dict) or not asked.get("title"):
            return _error(422, "Validation Failed", [{"resource": "Issue", "field": "title", "code": "missing_field"}])
        number = len(self.issues) + 1
        at = datetime.fromtimestamp(self.clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        issue = {
            "number": number, "title": asked["title"], "body": asked.get("body"), "state": "open",
            "labels": [{"name": name} for name in asked.get("labels", [])], "created_at": at, "updated_at": at,
            "closed_at": None, "html_url": f"https://github.com/{REPOSITORY}/issues/{number}",
        }  # fmt: skip
        self.issues.append(issue)
        return JSONResponse(issue, 201)


def _error(status: int, message: str, errors: list[dict[str, str]] | None = None) -> Response:
    body: dict[str, Any] = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return JSONResponse(body | ({"errors": errors} if errors else {}), status)
