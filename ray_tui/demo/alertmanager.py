"""Alertmanager as the demo runs it: what becomes of an alert between POST and the notification that a human gets.

The notification log that peers share, the groups that send, the HTTP API, the demo's own configuration. What comes in
(alertmanager_config, alertmanager_alerts) and what goes out (alertmanager_messages) stand beside it.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ray_tui.clock import Clock, iso
from ray_tui.demo.alertmanager_alerts import Alert, Invalid, Silence, instant, read_alert
from ray_tui.demo.alertmanager_config import (
    INTEGRATIONS,
    BadConfig,
    BadRequest,
    Integration,
    Labels,
    Matcher,
    Route,
    in_interval,
    load_config,
    parse_matchers,
)
from ray_tui.demo.alertmanager_messages import (
    SEND_TIMEOUT_SECONDS,
    Notification,
    append,
    is_here,
    mail_message,
    notification_event,
    pagerduty_body,
    send_mail,
    slack_body,
    webhook_body,
)
from ray_tui.demo.people import SERVICES
from ray_tui.demo.scenario import Scenario

VERSION = "0.27.0"
PEER_TIMEOUT_SECONDS = 0.4
"""How long the next peer in line leaves the one before it to notify (the real one: 15 s)."""
RETRY_DELAYS_SECONDS = (0.1, 0.2, 0.4, 0.8)
"""Pauses between the tries of one notification inside one flush."""


# --- what peers share ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogEntry:
    """What one integration of one group was last told."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at: float


@dataclass
class Gossip:
    """What a cluster's peers know together: silences, and who has been told what. Alerts are *not* shared."""

    silences: dict[str, Silence] = field(default_factory=dict)
    log: dict[tuple[str, ...], LogEntry] = field(default_factory=dict)
    locks: dict[tuple[str, ...], asyncio.Lock] = field(default_factory=dict)
    """Held while a group's integration is being told: a demo cluster never pages twice."""


def needs_telling(
    entry: LogEntry | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    *,
    send_resolved: bool,
    repeat_before: float,
) -> bool:
    """Alertmanager's deduplication (notify.DedupStage.needsUpdate)."""
    if entry is None:
        return bool(firing)
    if not firing <= entry.firing:
        return True
    if not firing:
        return bool(entry.firing)
    if send_resolved and not resolved <= entry.resolved:
        return True
    return entry.at < repeat_before


# --- the server ------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    """Alerts of one route with equal group labels: they are told together, at the route's pace."""

    route: Route
    labels: dict[str, str]
    alerts: dict[str, Alert] = field(default_factory=dict)
    flushed: bool = False
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        inner = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(self.labels.items()))
        return f"{self.route.key}:{{{inner}}}"


class NoAnswer:
    """Middleware: while ``is_down()`` says so, the connection breaks in the middle of the answer."""

    def __init__(self, app: ASGIApp, is_down: Callable[[], bool]) -> None:
        self.app, self.is_down = app, is_down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.is_down():
            await self.app(scope, receive, send)
            return
        # The server closes the connection when fewer bytes than promised were sent.
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"1")]})


class DemoAlertmanager:
    """One peer. Its alerts, groups, silences and counters are plain attributes that tests may read.

    Several peers become a cluster by ``form_cluster``. ``down`` makes a peer break every connection and notify nobody.
    """

    def __init__(
        self,
        config_yaml: str,
        clock: Clock,
        name: str = "alertmanager-0",
        peers: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.config_yaml = config_yaml
        self.config = load_config(config_yaml)
        self.clock = clock
        self.name = name
        self.peers = peers
        """Addresses (host:port) of all peers, for the status endpoint."""
        self.cluster: list[DemoAlertmanager] = [self]
        self.gossip = Gossip()
        self.external_url = f"http://{name}:9093"
        self.settling = False
        self.down = False
        self.alerts: dict[str, Alert] = {}
        self.groups: dict[tuple[Route, str], Group] = {}
        """By route, not by its key: two siblings with the same matchers have the same key."""
        self.notifications: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.notifications_failed: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.requests: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.requests_failed: dict[str, int] = dict.fromkeys(INTEGRATIONS, 0)
        self.reload_ok = True
        self.event_log: Path | None = None
        """Where its event recorder writes; None: it is off."""
        self.started_at = clock.wall()
        self._http: httpx.AsyncClient | None = None
        self.app = Starlette(routes=_http_routes(self), middleware=[Middleware(NoAnswer, is_down=lambda: self.down)])

    async def stop(self) -> None:
        """End all groups. Stopping twice is fine."""
        tasks = [group.task for group in self.groups.values() if group.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.groups.clear()
        if self._http:
            await self._http.aclose()
            self._http = None

    # --- taking alerts in

    def take(self, wire: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store what is valid of a batch and put it into its groups; answers what was wrong with the rest."""
        errors: list[str] = []
        now = self.clock.wall()
        for each in wire:
            try:
                alert = read_alert(each, now, self.config.resolve_timeout)
            except BadRequest as error:
                errors.append(str(error))
                continue
            known = self.alerts.get(alert.fingerprint)
            if known and not known.resolved(now) and known.starts_at < alert.ends_at:
                alert.starts_at = min(known.starts_at, alert.starts_at)
            self.alerts[alert.fingerprint] = alert
            for route in self.config.route.match(alert.labels):
                self._put(alert, route, now)
        return errors

    def _put(self, alert: Alert, route: Route, now: float) -> None:
        labels = route.group_labels(alert.labels)
        key = (route, json.dumps(labels, sort_keys=True))
        group = self.groups.get(key)
        if group is None:
            if alert.resolved(now):
                return  # nobody was told that it fires
            group = self.groups[key] = Group(route, labels)
        group.alerts[alert.fingerprint] = alert
        if not group.flushed and alert.starts_at + route.group_wait < now:
            group.hurry.set()
        if group.task is None:
            group.task = asyncio.create_task(self._run(key, group))

    # --- telling people

    async def _run(self, key: tuple[Route, str], group: Group) -> None:
        try:
            async with asyncio.timeout(group.route.group_wait):
                await group.hurry.wait()
        except TimeoutError:
            pass
        while True:
            group.flushed = True
            if not self.down:
                await self._flush(group)
            if not group.alerts:
                del self.groups[key]
                return
            await asyncio.sleep(group.route.group_interval)

    def _position(self) -> int:
        """How many living peers come before this one: each of them gets a head start."""
        return sum(not peer.down for peer in self.cluster[: self.cluster.index(self)])

    async def _flush(self, group: Group) -> None:
        await asyncio.sleep(self._position() * PEER_TIMEOUT_SECONDS)
        now = self.clock.wall()
        seen = {key: (alert, alert.resolved(now)) for key, alert in group.alerts.items()}
        told = tuple(
            (alert, resolved)
            for alert, resolved in sorted(seen.values(), key=lambda pair: pair[0].starts_at)
            if not self.silenced_by(alert, now) and not self.inhibited_by(alert, now)
        )
        well = True
        if told and not self.muted_by(group.route, now):
            news = Notification(group.route.receiver, group.key, group.labels, told, self.external_url)
            integrations = self.config.receivers[group.route.receiver]
            well = all(await asyncio.gather(*(self._tell(news, each, group.route, now) for each in integrations)))
        if well:
            for key, (alert, resolved) in seen.items():
                if resolved and group.alerts.get(key) is alert:
                    del group.alerts[key]

    async def _tell(self, news: Notification, integration: Integration, route: Route, now: float) -> bool:
        """One integration, once per cluster. False: it could not be told; the next flush tries again."""
        key = (news.group_key, news.receiver, integration.kind, str(integration.index))
        firing = frozenset(alert.fingerprint for alert, resolved in news.alerts if not resolved)
        resolved = frozenset(alert.fingerprint for alert, resolved in news.alerts if resolved)
        async with self.gossip.locks.setdefault(key, asyncio.Lock()):
            if not needs_telling(
                self.gossip.log.get(key),
                firing,
                resolved,
                send_resolved=integration.send_resolved,
                repeat_before=now - route.repeat_interval,
            ):
                return True
            kept = news.alerts if integration.send_resolved else tuple(pair for pair in news.alerts if not pair[1])
            if kept:
                self.notifications[integration.kind] += 1
                if not await self._send(Notification(**{**vars(news), "alerts": kept}), integration):
                    self.notifications_failed[integration.kind] += 1
                    return False
                if self.event_log is not None:
                    event = notification_event(news, kept, integration, self.name, self.clock.wall())
                    await asyncio.to_thread(append, self.event_log, event)
            self.gossip.log[key] = LogEntry(firing, resolved, self.clock.wall())
            return True

    async def _send(self, news: Notification, integration: Integration) -> bool:
        """A few tries for what may pass (5xx, broken connections; 429 where the integration honours it)."""
        for delay in (*RETRY_DELAYS_SECONDS, None):
            self.requests[integration.kind] += 1
            ok, may_pass = await self._send_once(news, integration)
            if ok:
                return True
            self.requests_failed[integration.kind] += 1
            if not may_pass or delay is None:
                break
            await asyncio.sleep(delay)
        return False

    async def _send_once(self, news: Notification, integration: Integration) -> tuple[bool, bool]:
        settings = integration.settings
        if integration.kind == "email":
            message = mail_message(news, settings, self.clock.wall())
            try:
                await asyncio.to_thread(send_mail, message, settings)
            except OSError:
                return False, True
            return True, False
        url = str(settings.get("api_url" if integration.kind == "slack" else "url", ""))
        try:
            if not is_here(httpx.URL(url).host):
                return False, False
        except httpx.InvalidURL:
            return False, False
        if integration.kind == "pagerduty":
            body = pagerduty_body(news, settings)
        elif integration.kind == "slack":
            body = slack_body(news, settings)
        else:
            body = webhook_body(news)
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=SEND_TIMEOUT_SECONDS, trust_env=False)
        try:
            answer = await self._http.post(url, json=body, headers={"User-Agent": f"Alertmanager/{VERSION}"})
        except httpx.HTTPError:
            return False, True
        throttled = answer.status_code == 429 and integration.kind != "webhook"
        return answer.is_success, answer.status_code >= 500 or throttled

    # --- reasons not to

    def silenced_by(self, alert: Alert, at: float) -> list[str]:
        silences = self.gossip.silences.values()
        return sorted(each.id for each in silences if each.state(at) == "active" and each.matches(alert.labels))

    def inhibited_by(self, alert: Alert, at: float) -> list[str]:
        found: set[str] = set()
        for rule in self.config.inhibit_rules:
            if not _all_match(rule.target, alert.labels):
                continue
            both_sides = _all_match(rule.source, alert.labels)
            for other in self.alerts.values():
                if other is alert or other.resolved(at) or not _all_match(rule.source, other.labels):
                    continue
                if both_sides and _all_match(rule.target, other.labels):
                    continue
                if all(other.labels.get(name, "") == alert.labels.get(name, "") for name in rule.equal):
                    found.add(other.fingerprint)
        return sorted(found)

    def muted_by(self, route: Route, at: float) -> list[str]:
        """Names of the intervals that keep a route quiet now: its mute ones, or its active ones while none holds."""
        muting = [name for name in route.mute if in_interval(self.config.intervals[name], at)]
        if route.active and not any(in_interval(self.config.intervals[name], at) for name in route.active):
            muting.extend(route.active)
        return muting

    # --- what the API shows

    def wire(self, alert: Alert, at: float) -> dict[str, Any]:
        routes = self.config.route.match(alert.labels)
        silenced, inhibited = self.silenced_by(alert, at), self.inhibited_by(alert, at)
        muted = sorted({name for route in routes for name in self.muted_by(route, at)})
        return {
            "annotations": alert.annotations,
            "endsAt": iso(alert.ends_at),
            "fingerprint": alert.fingerprint,
            "receivers": [{"name": name} for name in dict.fromkeys(route.receiver for route in routes)],
            "startsAt": iso(alert.starts_at),
            "status": {
                "inhibitedBy": inhibited,
                "mutedBy": muted,
                "silencedBy": silenced,
                "state": "suppressed" if silenced or inhibited or muted else "active",
            },
            "updatedAt": iso(alert.updated_at),
            "generatorURL": alert.generator_url,
            "labels": alert.labels,
        }

    def status(self) -> dict[str, Any]:
        clustered = len(self.cluster) > 1 or bool(self.peers())
        cluster: dict[str, Any] = {"status": "disabled", "peers": []}
        if clustered:
            cluster = {
                "name": self.name,
                "status": "settling" if self.settling else "ready",
                "peers": [
                    {"name": f"peer-{number}", "address": address} for number, address in enumerate(self.peers())
                ],
            }
        return {
            "cluster": cluster,
            "versionInfo": {
                "version": VERSION,
                "revision": "demo",
                "branch": "HEAD",
                "buildUser": "ray-tui",
                "buildDate": "20260101-00:00:00",
                "goVersion": "go1.23",
            },
            "config": {"original": self.config.original},
            "uptime": iso(self.started_at),
        }

    def put_silence(self, wire: Mapping[str, Any]) -> str:
        """Create or update; answers the id that holds from now on. Raises Invalid, or KeyError."""
        wanted = _read_silence(wire, self.clock.wall())
        now = wanted.updated_at
        if wanted.id:
            known = self.gossip.silences.get(wanted.id)
            if known is None:
                raise KeyError(wanted.id)
            if _may_update(known, wanted, now):
                wanted.starts_at = known.starts_at if known.state(now) == "active" else wanted.starts_at
                self.gossip.silences[known.id] = wanted
                return known.id
            if known.state(now) != "expired":
                self.expire_silence(known.id)
        wanted.id = str(uuid.uuid4())
        wanted.starts_at = max(wanted.starts_at, now)
        self.gossip.silences[wanted.id] = wanted
        return wanted.id

    def expire_silence(self, silence_id: str) -> None:
        """It stays listed, as expired. Raises KeyError for an unknown one, BadRequest for one that is over."""
        silence, now = self.gossip.silences[silence_id], self.clock.wall()
        if silence.state(now) == "expired":
            raise BadRequest(f"silence {silence_id} already expired")
        silence.starts_at = min(silence.starts_at, now)
        silence.ends_at = silence.updated_at = now

    def metrics(self) -> str:
        now = self.clock.wall()
        firing = sum(not alert.resolved(now) for alert in self.alerts.values())
        counters = {
            "alertmanager_notifications_total": self.notifications,
            "alertmanager_notifications_failed_total": self.notifications_failed,
            "alertmanager_notification_requests_total": self.requests,
            "alertmanager_notification_requests_failed_total": self.requests_failed,
        }
        lines = [f'alertmanager_build_info{{version="{VERSION}"}} 1']
        for name, values in counters.items():
            lines.append(f"# TYPE {name} counter")
            lines.extend(f'{name}{{integration="{kind}"}} {count}' for kind, count in values.items())
        lines += [
            "# TYPE alertmanager_alerts gauge",
            f'alertmanager_alerts{{state="active"}} {firing}',
            "# TYPE alertmanager_cluster_members gauge",
            f"alertmanager_cluster_members {sum(not peer.down for peer in self.cluster)}",
            "# TYPE alertmanager_config_last_reload_successful gauge",
            f"alertmanager_config_last_reload_successful {int(self.reload_ok)}",
        ]
        return "".join(f"{line}\n" for line in lines)


def form_cluster(*peers: DemoAlertmanager) -> None:
    """Let these share silences and the notification log; the first that lives notifies."""
    for peer in peers:
        peer.cluster = list(peers)
        peer.gossip = peers[0].gossip


def _all_match(matchers: Sequence[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def _may_update(known: Silence, wanted: Silence, now: float) -> bool:
    if known.matchers != wanted.matchers:
        return False
    if known.state(now) == "active":
        return int(known.starts_at) == int(wanted.starts_at) and wanted.ends_at >= now
    return known.state(now) == "pending" and wanted.starts_at >= now


def _read_silence(wire: Mapping[str, Any], now: float) -> Silence:
    for name in ("matchers", "startsAt", "endsAt", "createdBy", "comment"):
        if wire.get(name) is None:
            raise Invalid(602, f"{name} in body is required")
    if not wire["matchers"]:
        raise Invalid(612, "matchers in body should have at least 1 items")
    matchers = []
    for number, each in enumerate(wire["matchers"]):
        for name in ("name", "value", "isRegex"):
            if each.get(name) is None:
                raise Invalid(602, f"matchers.{number}.{name} in body is required")
        op = ("=~" if each["isRegex"] else "=") if each.get("isEqual", True) else ("!~" if each["isRegex"] else "!=")
        matchers.append(Matcher(each["name"], op, each["value"]))
    starts, ends = instant(wire["startsAt"], "startsAt") or 0.0, instant(wire["endsAt"], "endsAt") or 0.0
    if starts >= ends:
        raise BadRequest("Failed to create silence: start time must be before end time")
    if ends < now:
        raise BadRequest("Failed to create silence: end time can't be in the past")
    if all(matcher.matches({}) for matcher in matchers):
        raise BadRequest("invalid silence: at least one matcher must not match the empty string")
    wanted_id = str(wire.get("id") or "")
    return Silence(wanted_id, tuple(matchers), starts, ends, now, wire["createdBy"], wire["comment"])


# --- HTTP ------------------------------------------------------------------------------------------------------------

Handler = Callable[[Request], Awaitable[Response]]


def _answering(handler: Handler) -> Handler:
    """Errors as this API words them: a JSON string, or the validator's object."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except BadRequest as error:
            return JSONResponse(str(error), 400)
        except Invalid as error:
            return JSONResponse({"code": error.code, "message": error.message}, error.status)

    return answered


async def _json_body(request: Request, name: str) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise Invalid(400, f'parsing {name} body from "" failed, because {error}', 400) from error


def _flags(request: Request, *names: str) -> dict[str, bool]:
    """Query parameters that are true unless they say otherwise."""
    read = {}
    for name in names:
        value = request.query_params.get(name, "true").lower()
        if value not in {"true", "false", "1", "0"}:
            raise Invalid(601, f'{name} in query must be of type boolean: "{value}"')
        read[name] = value in {"true", "1"}
    return read


def _filters(request: Request) -> list[Matcher]:
    return [matcher for text in request.query_params.getlist("filter") for matcher in parse_matchers(text)]


def _receiver_pattern(request: Request) -> re.Pattern[str] | None:
    text = request.query_params.get("receiver")
    try:
        return None if text is None else re.compile(f"^(?:{text})$")
    except re.error as error:
        raise BadRequest(f"failed to parse receiver param: {error}") from error


def _shown_alert(wire: Mapping[str, Any], include: Mapping[str, bool]) -> bool:
    status = wire["status"]
    return (
        (include["active"] or status["state"] != "active")
        and (include["silenced"] or not status["silencedBy"])
        and (include["inhibited"] or not status["inhibitedBy"])
    )


def _http_routes(am: DemoAlertmanager) -> list[HttpRoute]:
    async def get_status(_: Request) -> Response:
        return JSONResponse(am.status())

    async def get_receivers(_: Request) -> Response:
        return JSONResponse([{"name": name} for name in am.config.receivers])

    def listed(request: Request, alerts: Iterable[Alert]) -> list[dict[str, Any]]:
        now, matchers = am.clock.wall(), _filters(request)
        # "unprocessed" is checked, and without effect: every alert here has been processed.
        include = _flags(request, "active", "silenced", "inhibited", "unprocessed")
        current = [each for each in alerts if not each.resolved(now) and _all_match(matchers, each.labels)]
        wires = [am.wire(each, now) for each in sorted(current, key=lambda each: each.fingerprint)]
        return [each for each in wires if _shown_alert(each, include)]

    async def get_alerts(request: Request) -> Response:
        pattern = _receiver_pattern(request)
        wires = listed(request, am.alerts.values())
        if pattern:
            wires = [each for each in wires if any(pattern.match(one["name"]) for one in each["receivers"])]
        return JSONResponse(wires)

    async def post_alerts(request: Request) -> Response:
        batch = await _json_body(request, "alerts")
        if not isinstance(batch, list) or not all(isinstance(each, dict) for each in batch):
            raise Invalid(400, 'parsing alerts body from "" failed, because json: cannot unmarshal', 400)
        for number, each in enumerate(batch):
            if not isinstance(each.get("labels"), dict):
                raise Invalid(602, f"{number}.labels in body is required")
            for value in (*each["labels"].values(), *(each.get("annotations") or {}).values()):
                if not isinstance(value, str):
                    raise Invalid(400, 'parsing alerts body from "" failed, because json: cannot unmarshal', 400)
        errors = am.take(batch)
        return JSONResponse("; ".join(errors), 400) if errors else Response(status_code=200)

    async def get_groups(request: Request) -> Response:
        pattern, now = _receiver_pattern(request), am.clock.wall()
        with_muted = _flags(request, "muted")["muted"]
        shown = []
        for group in am.groups.values():
            alerts = listed(request, group.alerts.values())
            if not alerts or (pattern and not pattern.match(group.route.receiver)):
                continue
            muted = am.muted_by(group.route, now) or all(each["status"]["state"] == "suppressed" for each in alerts)
            if with_muted or not muted:
                receiver = {"name": group.route.receiver}
                shown.append({"labels": group.labels, "routeLabels": {}, "receiver": receiver, "alerts": alerts})
        return JSONResponse(shown)

    async def get_silences(request: Request) -> Response:
        matchers, now = _filters(request), am.clock.wall()
        include = _flags(request, "active", "expired", "pending")
        wires = [each.wire(now) for each in am.gossip.silences.values() if _silence_matches(each, matchers)]
        return JSONResponse([each for each in wires if include[each["status"]["state"]]])

    async def post_silences(request: Request) -> Response:
        body = await _json_body(request, "silence")
        if not isinstance(body, dict):
            raise Invalid(400, 'parsing silence body from "" failed, because json: cannot unmarshal', 400)
        try:
            return JSONResponse({"silenceID": am.put_silence(body)})
        except KeyError:
            return JSONResponse("silence not found", 404)

    async def one_silence(request: Request) -> Response:
        silence_id = request.path_params["silence_id"]
        try:
            uuid.UUID(silence_id)
        except ValueError as error:
            raise Invalid(601, f'silenceID in path must be of type uuid: "{silence_id}"') from error
        if silence_id not in am.gossip.silences:
            return Response(status_code=404)
        if request.method == "DELETE":
            try:
                am.expire_silence(silence_id)
            except BadRequest as error:
                return JSONResponse(str(error), 500)
            return Response(status_code=200)
        return JSONResponse(am.gossip.silences[silence_id].wire(am.clock.wall()))

    async def ok(_: Request) -> Response:
        return PlainTextResponse("OK")

    async def reload(_: Request) -> Response:
        try:
            am.config = load_config(am.config_yaml)
        except BadConfig as error:
            am.reload_ok = False
            return PlainTextResponse(f"failed to reload config: {error}\n", 500)
        am.reload_ok = True
        return Response(status_code=200)

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(am.metrics(), media_type="text/plain; version=0.0.4")

    table: list[tuple[str, str, Handler]] = [
        ("GET", "/api/v2/status", get_status),
        ("GET", "/api/v2/receivers", get_receivers),
        ("GET", "/api/v2/alerts", get_alerts),
        ("POST", "/api/v2/alerts", post_alerts),
        ("GET", "/api/v2/alerts/groups", get_groups),
        ("GET", "/api/v2/silences", get_silences),
        ("POST", "/api/v2/silences", post_silences),
        ("GET", "/api/v2/silence/{silence_id}", one_silence),
        ("DELETE", "/api/v2/silence/{silence_id}", one_silence),
        ("GET", "/-/healthy", ok),
        ("GET", "/-/ready", ok),
        ("POST", "/-/reload", reload),
        ("GET", "/metrics", metrics),
    ]
    return [HttpRoute(path, _answering(handler), methods=[method]) for method, path, handler in table]


def _silence_matches(silence: Silence, wanted: Sequence[Matcher]) -> bool:
    """A silence is listed when its own equality matchers, read as labels, satisfy the filter."""
    labels = {matcher.name: matcher.value for matcher in silence.matchers}
    return _all_match(wanted, labels)


# --- the demo's configuration ----------------------------------------------------------------------------------------


def demo_config(*, events_url: str, slack_url: str, smarthost: str, watchdog_url: str, scenario: Scenario) -> str:
    """The demo's alertmanager.yml, valid for a real Alertmanager ≥ 0.25 too.

    ``events_url`` is the exact URL of the Events API (``…/v2/enqueue``), ``slack_url`` an incoming webhook,
    ``smarthost`` ``host:port``, ``watchdog_url`` where the watchdog's heartbeat goes.
    """
    lost = frozenset(scenario.assets.misrouted_services)
    not_lost = [f'service!="{service}"' for service in sorted(lost)]
    critical: list[dict[str, Any]] = [{"matchers": ['channel="release"'], "receiver": "slack-release"}]
    if "payments" not in lost:
        critical += [
            {"matchers": ['service="payments"'], "receiver": "pd-payments", "continue": True},
            {"matchers": ['service="payments"'], "receiver": "mail-audit"},
        ]
    critical += [
        {"matchers": ['service=~"checkout|cart"', *not_lost], "receiver": "pd-checkout"},
        {"matchers": ['service=~".+"', *not_lost], "receiver": "pd-platform"},
    ]
    keys = {service.id: service.routing_key for service in SERVICES}
    text = "{{ .CommonAnnotations.summary }}\n{{ .CommonAnnotations.description }}"

    def pager(name: str, service_id: str) -> dict[str, Any]:
        settings = {"routing_key": keys[service_id], "url": events_url, "severity": "critical"}
        return {"name": name, "pagerduty_configs": [settings]}

    tree = {
        "global": {"resolve_timeout": "5m", "smtp_smarthost": smarthost, "smtp_from": "alertmanager@shop.example"},
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "service", "ray_tui_probe"],
            "group_wait": "200ms",
            "group_interval": "1s",
            "repeat_interval": "1h",
            "routes": [
                {"matchers": ['alertname="Watchdog"'], "receiver": "watchdog"},
                {"matchers": ['severity="critical"'], "routes": critical},
                {"matchers": ['severity="warning"'], "receiver": "slack-release"},
            ],
        },
        "receivers": [
            {"name": "nobody"},
            pager("pd-checkout", "PSVCCHK"),
            pager("pd-payments", "PSVCPAY"),
            pager("pd-platform", "PSVCPLT"),
            {
                "name": "slack-release",
                "slack_configs": [{"api_url": slack_url, "channel": "#release", "text": text}],
            },
            {"name": "mail-audit", "email_configs": [{"to": "audit@shop.example", "require_tls": False}]},
            {"name": "watchdog", "webhook_configs": [{"url": watchdog_url}]},
        ],
    }
    return yaml.safe_dump(tree, sort_keys=False)
