"""What a chat-style system shows of the webhooks that it got, read as a template in the configuration says."""

import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, model_validator

from ray_tui.backends import Opening
from ray_tui.backends.access import HttpAccess
from ray_tui.backends.answers import Answer, path_of, unix, unwell
from ray_tui.backends.http import LARGE, Http
from ray_tui.core import untrusted
from ray_tui.core.errors import BackendBroken, BackendError
from ray_tui.core.ports import Health, WebhookReceipt

NOBODY = "ray-tui-no-such-token"
PAGE = {"discord": 100, "teams": 50}
"""Messages of one page: the most that either system gives."""
MOST_PAGES = 10
MOST_EMOJI = 10
"""Different reactions to one message that are looked at."""
DISCORD_EPOCH_MS = 1_420_070_400_000
RESOLVED = "[RESOLVED"
"""How Alertmanager's and Grafana's own titles begin when an alert is over."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"[^.\[\]]+(\[\])?(\.[^.\[\]]+(\[\])?)*")

Where = tuple[int, ...]
"""The items of lists that a path has gone through."""


# --- settings --------------------------------------------------------------------------------------------------------


def _template_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL starts with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no user or password in a URL: use the fields `username` and `password`")
    if "{" in parts.netloc or parts.fragment:
        raise ValueError("{token} and {since} stand in the path or behind the ?; a # part is not sent")
    unknown = set(_PLACEHOLDER.findall(text)) - {"token", "since"}
    if unknown:
        raise ValueError(f"{{{sorted(unknown)[0]}}} is not known; there are {{token}} and {{since}}")
    return text


def _dotted(text: str) -> str:
    if text and not _PATH.fullmatch(text):
        raise ValueError(f"{text!r} is no dotted path, as in data.items or reactions[].user.name")
    return text


Path = Annotated[str, AfterValidator(_dotted)]


class Settings(HttpAccess):
    """Messages that a chat-style system got, by HTTP GET: ``style`` for one that is known, else a template.

    A path is dotted (``message.text``); ``[]`` behind a name goes through every item of a list
    (``embeds[].description``). Paths through the same list go together item by item."""

    kind: Literal["template"]
    """Which kind of system this is."""
    url: Annotated[str, AfterValidator(_template_url)]
    """What is asked: ``{token}`` and ``{since}`` (whole unix seconds) are filled in; with a style the channel's
    messages."""
    style: Literal["", "discord", "teams"] = ""
    """``discord`` or ``teams`` (Microsoft Graph) fill in everything below; leave it empty there."""
    rows: Path = ""
    """Where the list of messages is in the answer; the answer itself where empty."""
    at: Path = ""
    """When a message came: unix seconds or RFC 3339."""
    text: tuple[Path, ...] = ()
    """Texts of a message; one of them must hold the token."""
    status: Path = ""
    """``firing`` or ``resolved``; by ``[RESOLVED`` in its text where empty."""
    acknowledged_by: Path = ""
    """Who acknowledged; nobody ever does where empty."""
    acknowledged_at: Path = ""
    """When; our own looks bound it where empty."""
    is_machine: Path = ""
    """Anything but false, 0 and nothing there: that was not a person, and does not count."""

    @model_validator(mode="after")
    def _whole(self) -> "Settings":
        given = [name for name in _FILLED if getattr(self, name)]
        if self.style and given:
            raise ValueError(f"{given[0]}: style = {self.style!r} fills it in; leave one of them out")
        if self.style and _PLACEHOLDER.search(self.url):
            raise ValueError("url: with a style it is the channel's messages, without {token} and {since}")
        if self.style and urlsplit(self.url).query:
            raise ValueError("url: with a style it has no ? part")
        if not self.style and not (self.at and self.text):
            raise ValueError("without a style it needs `at` and `text`")
        if not self.acknowledged_by and (self.acknowledged_at or self.is_machine):
            raise ValueError("acknowledged_at and is_machine say nothing without `acknowledged_by`")
        return self


_FILLED = ("rows", "at", "text", "status", "acknowledged_by", "acknowledged_at", "is_machine")
SETTINGS: dict[tuple[str, str], type[BaseModel]] = {("webhook", "template"): Settings}


# --- how a message is read -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Acknowledging:
    """One way to acknowledge: the first of ``by`` that is there names the person."""

    by: tuple[str, ...]
    at: str = ""
    machine: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """Where in an answer everything stands."""

    rows: str
    at: str
    text: tuple[str, ...]
    status: str = ""
    acknowledged: tuple[Acknowledging, ...] = ()


DISCORD = Template(
    rows="", at="timestamp",
    text=("content", "embeds[].title", "embeds[].description", "embeds[].fields[].value", "embeds[].footer.text"),
)  # fmt: skip
TEAMS = Template(
    rows="value", at="createdDateTime",
    text=("body.content", "subject", "summary", "attachments[].content"),
    acknowledged=(
        Acknowledging(
            ("reactions[].user.user.displayName", "reactions[].user.user.id"), "reactions[].createdDateTime",
            ("reactions[].user.application", "reactions[].user.device"),
        ),
        Acknowledging(
            ("replies[].from.user.displayName", "replies[].from.user.id"), "replies[].createdDateTime",
            ("replies[].from.application", "replies[].from.device", "replies[].deletedDateTime"),
        ),
    ),
)  # fmt: skip


def template_of(settings: Settings) -> Template:
    if settings.style:
        return {"discord": DISCORD, "teams": TEAMS}[settings.style]
    machine = (settings.is_machine,) if settings.is_machine else ()
    by = Acknowledging((settings.acknowledged_by,), settings.acknowledged_at, machine)
    return Template(settings.rows, settings.at, settings.text, settings.status, (by,) if by.by[0] else ())


def at_path(value: Any, path: str) -> Iterator[tuple[Where, Any]]:
    """Everything at a path, and which items of lists it went through; nothing where a part of it is not there.

    TypeError where something that is there has another shape than the path says."""
    name, _, rest = path.partition(".")
    if not name:
        yield (), value
        return
    if value is None:
        return
    if not isinstance(value, dict):
        raise TypeError(f"{name} is looked for in {type(value).__name__}")
    found = value.get(name.removesuffix("[]"))
    if found is None:
        return
    if not name.endswith("[]"):
        yield from at_path(found, rest)
        return
    if not isinstance(found, list):
        raise TypeError(f"{name} is {type(found).__name__}, no list")
    for index, item in enumerate(found):
        for where, one in at_path(item, rest):
            yield (index, *where), one


def _there(value: Any, path: str) -> dict[Where, Any]:
    return dict(at_path(value, path)) if path else {}


def _beside(found: Mapping[Where, Any], where: Where) -> Any:
    """What stands at the same item, or above it; None where nothing does."""
    return next((found[where[:n]] for n in range(len(where), -1, -1) if where[:n] in found), None)


def token_at(row: Any, template: Template, token: str) -> str:
    """Which text of a message holds the token; "" where none does."""
    texts = ((path, text) for path in template.text for _, text in at_path(row, path))
    return next((path for path, text in texts if isinstance(text, str) and holds(text, token)), "")


def holds(text: str, token: str) -> bool:
    """Whether the token stands in a text as a word of its own: one token may begin like another."""
    begins = r"(?:(?<![A-Za-z0-9-])|(?<=\\n)|(?<=\\r)|(?<=\\t))"  # a card inside a message is JSON, with its escapes
    return re.search(rf"{begins}{re.escape(token)}(?![A-Za-z0-9-])", text) is not None


def acknowledged_by(row: Any, ways: Sequence[Acknowledging]) -> tuple[str, float | None]:
    """The first person and when; ("", None) where no person has, or only machines have."""
    people: list[tuple[float | None, str]] = []
    for way in ways:
        names = [_there(row, path) for path in way.by]
        times = _there(row, way.at)
        machines = [_there(row, path) for path in way.machine]
        for where in sorted({where for found in names for where in found}):
            who = next((name for found in names if isinstance(name := found.get(where), str) and name.strip()), "")
            by_machine = any(_beside(found, where) for found in machines)
            if who and not by_machine:
                at = _beside(times, where)
                people.append((None if at is None else unix(at), who))
    if not people:
        return "", None
    dated = [(at, who) for at, who in people if at is not None]
    at, who = min(dated) if dated else people[0]
    return untrusted.line(who), at


def status_of(row: Any, template: Template) -> str:
    if template.status:
        said = next((one for _, one in at_path(row, template.status)), "")
        return untrusted.line(str(said)).lower()
    texts = (text for path in template.text for _, text in at_path(row, path))
    return "resolved" if any(isinstance(text, str) and RESOLVED in text for text in texts) else "firing"


def receipt(row: Any, template: Template, found_in: str) -> WebhookReceipt:
    """A message that holds the token. It does not say for which receiver it is: the configuration does."""
    who, when = acknowledged_by(row, template.acknowledged)
    at = next((one for _, one in at_path(row, template.at)), None)
    return WebhookReceipt(unix(at), "", status_of(row, template), untrusted.line(found_in), who, when)


# --- asking ----------------------------------------------------------------------------------------------------------


def open(settings: Settings, opening: Opening) -> "Chats":  # noqa: A001 (each backend file has one)
    parts = urlsplit(settings.url)
    return Chats(Http.open("webhook", f"{parts.scheme}://{parts.netloc}", settings, opening), settings)


class Chats:
    """``WebhookSink`` over whatever shows messages."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._template = template_of(settings)
        parts = urlsplit(settings.url)
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self.name = f"{settings.style or 'chat'} messages"

    async def close(self) -> None:
        await self._http.close()

    async def health(self) -> Health:
        """Asks for a token that nobody sends: the messages can be read, and none of them is taken for it."""
        now = self._http.clock.wall()
        try:
            answers = [answer async for answer in self._answers(NOBODY, now - 60.0)]
            with answers[0].promised():
                rows = [row for answer in answers for row in self._rows(answer)]
                found = [row for row in rows if token_at(row, self._template, NOBODY)]
        except BackendError as error:
            return unwell(error)
        if found:
            return Health(False, "it answers messages with whatever token it is asked for")
        return Health(True, f"answers at {self._http.base_url}", None, answers[0].skew)

    async def receipts(self, token: str, since: float) -> tuple[WebhookReceipt, ...]:
        assert token, "an empty token would match every message"
        found: list[WebhookReceipt] = []
        rows: list[tuple[Any, Answer]] = []
        async for answer in self._answers(token, since):
            with answer.promised():
                rows += [(row, answer) for row in self._rows(answer)]
        for row, answer in rows:
            with answer.promised():
                if not (where := token_at(row, self._template, token)):
                    continue
                one = receipt(row, self._template, where)
            if one.at < since:
                continue
            if self._settings.style == "discord":
                one = await self._discord_answer(row, one, answer, [other for other, _ in rows])
            found.append(one)
        return tuple(sorted(found, key=lambda one: one.at))

    def _rows(self, answer: Answer) -> list[Any]:
        body = answer.json()
        found = next((one for _, one in at_path(body, self._template.rows)), None)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            where = self._template.rows or "its answer"
            raise TypeError(f"{where} is no list of messages")
        return found

    async def _answers(self, token: str, since: float) -> AsyncIterator[Answer]:
        """Every page that may hold messages since then."""
        if self._settings.style == "discord":
            pages = self._discord(since)
        elif self._settings.style == "teams":
            pages = self._teams(since)
        else:
            pages = self._one(token, since)
        async for answer in pages:
            yield answer

    async def _one(self, token: str, since: float) -> AsyncIterator[Answer]:
        filled = {"token": quote(token, safe=""), "since": str(int(since))}
        yield await self._http.get(_PLACEHOLDER.sub(lambda name: filled[name[1]], self._path), limit=LARGE)

    async def _discord(self, since: float) -> AsyncIterator[Answer]:
        """Messages after an id that is made from the time; a page is sorted anyhow, the newest id leads on."""
        after = max(0, int(since * 1000) - DISCORD_EPOCH_MS) << 22
        for _ in range(MOST_PAGES):
            params = [("limit", str(PAGE["discord"])), ("after", str(after))]
            answer = await self._http.get(self._path, params, limit=LARGE)
            yield answer
            with answer.promised():
                ids = [int(row["id"]) for row in self._rows(answer)]
            if len(ids) < PAGE["discord"]:
                return
            if max(ids) <= after:
                raise answer.broken("its pages do not go on", "Check the address")
            after = max(ids)
        raise self._too_many(since)

    async def _teams(self, since: float) -> AsyncIterator[Answer]:
        """Messages with their replies, those last moved first; on through its own link until all are too old."""
        params = [("$top", str(PAGE["teams"])), ("$expand", "replies")]
        path = self._path
        for _ in range(MOST_PAGES):
            answer = await self._http.get(path, params, limit=LARGE)
            yield answer
            with answer.promised():
                rows, link = self._rows(answer), answer.json().get("@odata.nextLink")
                old = [unix(row["createdDateTime"]) < since for row in rows]
            if not link or all(old):
                return
            path, params = self._next(answer, link), []
        raise self._too_many(since)

    def _next(self, answer: Answer, link: Any) -> str:
        """The rest of a link to the same place. Our credentials go nowhere else."""
        if not isinstance(link, str) or not link.startswith(f"{self._http.base_url}/"):
            raise answer.broken("its link to the next page leads elsewhere", "Check the address")
        return link.removeprefix(self._http.base_url)

    def _too_many(self, since: float) -> BackendError:
        minutes = max(1.0, (self._http.clock.wall() - since) / 60)
        what = f"{path_of(self._settings.url)}: more than {MOST_PAGES} pages of messages in {minutes:.0f} minutes"
        return BackendBroken("webhook", what, "Let test alerts go to a channel with less traffic")

    async def _discord_answer(
        self, row: Mapping[str, Any], one: WebhookReceipt, answer: Answer, rows: Sequence[Any]
    ) -> WebhookReceipt:
        """A reply of a person, which has a time; else a person among those who reacted, which has none."""
        with answer.promised():
            id_ = str(int(row["id"]))
            replies = [reply for other in rows if (reply := _discord_reply(other, id_)) is not None]
            emoji = [each["emoji"] for each in row.get("reactions") or ()]
            names = [f"{each['name']}:{each['id']}" if each.get("id") else str(each["name"]) for each in emoji]
        if replies:
            at, who = min(replies)
            return _acknowledged(one, who, at)
        for name in itertools.islice(names, MOST_EMOJI):
            path = f"{self._path}/{id_}/reactions/{quote(name, safe='')}"
            users = await self._http.get(path, [("limit", "100")])
            with users.promised():
                people = [_discord_name(user) for user in users.json() if not user.get("bot")]
            if people:
                return _acknowledged(one, people[0], None)
        return one


def _acknowledged(one: WebhookReceipt, who: str, at: float | None) -> WebhookReceipt:
    return WebhookReceipt(one.at, one.receiver, one.status, one.token_found_in, untrusted.line(who), at)


def _discord_reply(row: Mapping[str, Any], id_: str) -> tuple[float, str] | None:
    """(when, who) where this message answers that one, and a person wrote it: neither a bot nor a webhook."""
    if str((row.get("message_reference") or {}).get("message_id", "")) != id_ or row.get("webhook_id"):
        return None
    author = row["author"]
    return None if author.get("bot") else (unix(row["timestamp"]), _discord_name(author))


def _discord_name(user: Mapping[str, Any]) -> str:
    return str(user.get("global_name") or user["username"])
