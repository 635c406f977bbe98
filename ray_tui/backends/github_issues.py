"""GitHub's REST API for issues: tells a team something as an issue of its repository, once."""

import re
from typing import Any, Literal

from pydantic import BaseModel, Field

from ray_tui.backends import Opening
from ray_tui.backends.access import BaseUrl, HttpAccess
from ray_tui.backends.answers import unwell
from ray_tui.backends.http import Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBroken, BackendError
from ray_tui.core.ports import Health, SideEffect
from ray_tui.secrets import SecretRef

VERSION = "2022-11-28"
PAGE = 100
MOST_PAGES = 10
"""Of open issues with our labels; a backlog that is longer is not searched to its end, and that is an error."""
LONGEST_BODY = 60_000
"""Characters; GitHub takes 65,536."""
_NEXT = re.compile(r'<[^>]*>\s*;\s*rel="?next"?')


class Settings(HttpAccess):
    """The issues of one repository."""

    kind: Literal["github"]
    """Which kind of system this is."""
    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    """``owner/name``."""
    url: BaseUrl = "https://api.github.com"
    """The API's address; ``https://HOST/api/v3`` of a server of one's own."""
    token: SecretRef
    """A token that may read and write the repository's issues."""
    labels: tuple[str, ...] = ("ray-tui",)
    """Put on each issue, and used to find it again."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("notifiers", "github"): Settings}


def open(settings: Settings, opening: Opening) -> "GitHubIssues":  # noqa: A001 (each backend file has one)
    def headers() -> dict[str, str]:
        return {
            "Authorization": f"Bearer {settings.token.resolve(opening.config_folder)}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": VERSION,
        }

    http = Http.open("tracker", settings.url, settings, opening, headers=headers, credentials=str(settings.token))
    return GitHubIssues(http, settings.repository, settings.labels)


class GitHubIssues:
    """``Notifier``: an issue each. Class QUERY, by the token in the body of an open issue.

    Open issues are listed, not searched: GitHub's search learns of a new issue only after a while.
    """

    name = "GitHub issues"
    side_effect = SideEffect.QUERY

    def __init__(self, http: Http, repository: str, labels: tuple[str, ...]) -> None:
        self._http = http
        self._path = f"/repos/{repository}"
        self._labels = labels

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Well when the repository can be read and has issues; that we may write them shows only by writing."""
        try:
            answer = await self._http.get(self._path)
            with answer.promised():
                has_issues = answer.json()["has_issues"] is True
        except BackendError as error:
            return unwell(error)
        if not has_issues:
            return Health(False, f"{self._path}: issues are switched off there", None, answer.skew)
        return Health(True, f"issues at {self._http.base_url}{self._path}", None, answer.skew)

    async def notify(self, subject: str, text: str, token: str) -> str:
        """Answers the issue's address."""
        body = text[:LONGEST_BODY] if token in text[:LONGEST_BODY] else f"{text[: LONGEST_BODY - 200]}\n\n{token}"
        issue = {"title": subject[:250], "body": body, "labels": list(self._labels)}
        answer = await self._http.request("POST", f"{self._path}/issues", data=issue, accept=(201,))
        with answer.promised():
            return _address(answer.json())

    async def told(self, token: str, since: float) -> str | None:
        """Whatever its age: an entry that is still open need not be filed by the next run again."""
        for page in range(1, MOST_PAGES + 1):
            labels = ("labels", ",".join(self._labels))
            query = [("state", "open"), labels, ("per_page", f"{PAGE}"), ("page", f"{page}")]
            answer = await self._http.get(f"{self._path}/issues", query)
            with answer.promised():
                for issue in answer.json():
                    if "pull_request" not in issue and token in str(issue.get("body") or "").split():
                        return _address(issue)
            if not _NEXT.search(answer.headers.get("link", "")):
                return None
        what = f"{self._path}: more than {MOST_PAGES * PAGE} open issues have the label {', '.join(self._labels)}"
        raise BackendBroken("tracker", f"{what}; whether {token} is among them is not known", "Close old ones")


def _address(issue: Any) -> str:
    return untrusted.line(str(issue["html_url"]))
