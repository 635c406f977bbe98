"""What the protocol needs from the world, in our words, and the data it trades in.

Every method is async, has a deadline of its own inside the backend, and raises only ``BackendError`` (core/errors.py).
Every string in an answer has been through ``untrusted``. Times are unix seconds (float, UTC), durations seconds.
Wire models never leave their backend file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ray_tui.core.side_effects import SideEffect as SideEffect

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Health:
    """Whether a system is there and lets us in. ``ok`` is False for anything that we would call unusable."""

    ok: bool
    detail: str
    version: str | None = None
    clock_skew_seconds: tuple[float, float] | None = None
    """Their clock minus ours, as [least, most], from a Date header and the round trip; None when they sent none."""


class Probed(Protocol):
    """Every backend can be asked whether it is usable with the credentials we have."""

    name: str

    async def health(self) -> Health: ...


# --- metrics ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One value of one series at one time. ``value`` may be NaN or infinite: callers must look."""

    labels: Labels
    at: float
    value: float


@dataclass(frozen=True)
class Series:
    """One series over time, in time order; steps without data are absent."""

    labels: Labels
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Vector:
    """An instant answer. ``warnings`` on a 200 mean that it may be partial: never judge a pass on it."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """A range answer."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedRule:
    """A rule as the server has loaded it (not as a file says)."""

    group: str
    file: str
    name: str
    query: str
    kind: Literal["alerting", "recording"]
    for_seconds: float = 0.0
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    health: str = "unknown"
    state: str = "inactive"
    last_error: str = ""


@dataclass(frozen=True)
class Target:
    """A scrape target."""

    labels: Labels
    url: str
    health: str
    last_error: str
    last_scrape: float | None


@dataclass(frozen=True)
class ActiveAlert:
    """An alert as the metrics system sees it. ``active_at`` is the start of *pending*."""

    labels: Labels
    annotations: Labels
    state: Literal["pending", "firing"]
    active_at: float
    value: float


@runtime_checkable
class Metrics(Probed, Protocol):
    """A Prometheus-compatible store."""

    async def query(self, expr: str, at: float | None = None) -> Vector:
        """An instant vector; a scalar comes back as one sample without labels."""
        ...

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Matrix:
        """A matrix; chunked by the backend under the server's 11,000-point limit and joined again."""
        ...

    async def rules(self) -> tuple[LoadedRule, ...]: ...

    async def targets(self) -> tuple[Target, ...]: ...

    async def metadata(self) -> Mapping[str, str]:
        """Metric name -> type."""
        ...

    async def alerts(self) -> tuple[ActiveAlert, ...]: ...

    async def alertmanagers(self) -> tuple[str, ...]:
        """URLs of the Alertmanagers that it would send to now. Empty for seconds after a reload."""
        ...


@runtime_checkable
class TellsRuleFiles(Protocol):
    """A metrics store that says from which files it loads its rules."""

    async def rule_files(self) -> tuple[str, ...]:
        """Patterns of paths, as the server sees them."""
        ...


class RuleStore(Protocol):
    """Where rule files are written, and how they are made to take effect."""

    name: str
    side_effect: SideEffect
    """Of ``write``, ``remove`` and ``reload``."""

    async def read(self, file_name: str) -> str | None:
        """The file's text, or None where there is none."""
        ...

    async def write(self, file_name: str, text: str) -> None:
        """Replace the file atomically. Nothing takes effect before ``reload``."""
        ...

    async def remove(self, file_name: str) -> None: ...

    async def reload(self) -> None:
        """Make the files take effect; raises BackendRefused when the server keeps the old ones."""
        ...


# --- alerts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PeerAnswer:
    """What one Alertmanager peer said to a POST. ``sent_at``/``answered_at`` are our clock."""

    peer: str
    ok: bool
    detail: str
    sent_at: float
    answered_at: float


@dataclass(frozen=True)
class AlertSeen:
    """An alert as one Alertmanager peer holds it."""

    peer: str
    labels: Labels
    state: Literal["active", "suppressed", "unprocessed"]
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...]
    inhibited_by: tuple[str, ...]
    muted_by: tuple[str, ...]
    starts_at: float
    ends_at: float
    fingerprint: str


@dataclass(frozen=True)
class SentEvent:
    """A notification that Alertmanager's event recorder says was taken by its receiver. ``at`` is the peer's clock."""

    at: float
    receiver: str
    integration: str
    index: int = 0
    """Which of the receiver's integrations of this kind."""
    peer: str = ""
    """The peer that sent it, as it calls itself."""


@dataclass(frozen=True)
class PeerStatus:
    """One Alertmanager peer: its cluster state and the configuration it runs with (secrets shown as <secret>)."""

    peer: str
    cluster: str
    version: str
    config_yaml: str


@dataclass(frozen=True)
class Silence:
    """A silence, past, active or pending: its times say which. Matchers are (name, operator, value)."""

    id: str
    matchers: tuple[tuple[str, str, str], ...]
    starts_at: float
    ends_at: float
    created_by: str
    comment: str


@dataclass(frozen=True)
class AlertToFire:
    """An alert to inject. Its labels are its identity: nothing that changes between re-sends may be in them."""

    labels: Labels
    annotations: Labels
    starts_at: float
    ends_at: float
    generator_url: str = ""


@runtime_checkable
class Alerting(Probed, Protocol):
    """All peers of one Alertmanager cluster; never a load balancer in front of them."""

    side_effect: SideEffect
    """Of ``fire``."""

    @property
    def peers(self) -> tuple[str, ...]: ...

    async def fire(self, alert: AlertToFire) -> tuple[PeerAnswer, ...]:
        """POST to every peer; one answer each, in the order of ``peers``. A peer that is down is an answer too.

        Resolving is firing the same labels again with ``ends_at`` in the past."""
        ...

    async def find(self, matchers: Labels) -> tuple[AlertSeen, ...]:
        """Alerts with all these label values, on every peer that answers; raises when no peer does."""
        ...

    async def status(self) -> tuple[PeerStatus, ...]:
        """Every peer that answers; raises when none does."""
        ...

    async def silences(self) -> tuple[Silence, ...]:
        """All that are remembered; Alertmanager forgets an expired one after its retention (120 h by default)."""
        ...

    async def notifications(self) -> Mapping[tuple[str, str], float]:
        """(peer, integration) -> notifications sent so far minus failed ones, from /metrics; {} where not readable."""
        ...

    async def sent(self, labels: Labels, since: float) -> tuple[SentEvent, ...] | None:
        """Notifications of a firing alert with all these label values, by every peer's event recorder, oldest first.

        None where no event log is configured; raises where one of them cannot be read."""
        ...


# --- logs, traces, synthetics ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LastSeen:
    """The newest datum of one service in one signal. ``at`` is None when nothing was seen in the window."""

    service: str
    at: float | None
    query: str
    detail: str = ""


@runtime_checkable
class Logs(Probed, Protocol):
    """A Loki-compatible store."""

    async def last_seen(self, services: Mapping[str, Labels], since: float) -> Mapping[str, LastSeen]:
        """For each of our service names (value: the labels that select it), its newest line since then.

        A key for every service asked, whether seen or not."""
        ...

    async def known_services(self, label: str, since: float) -> frozenset[str]:
        """Values of a label seen since then."""
        ...


@runtime_checkable
class Traces(Probed, Protocol):
    """Tempo or Jaeger."""

    async def last_seen(self, services: Mapping[str, str], since: float) -> Mapping[str, LastSeen]:
        """For each of our service names (value: its service.name), its newest trace since then; a key for each."""
        ...

    async def operations(self, service_name: str, since: float) -> frozenset[str]:
        """Span (or operation) names of one service.name, of spans that began since then."""
        ...

    async def known_services(self, since: float) -> frozenset[str]: ...


@dataclass(frozen=True)
class Visit:
    """One direct HTTP check."""

    url: str
    ok: bool
    status: int | None
    seconds: float
    detail: str


@dataclass(frozen=True)
class WebPage:
    """What a visitor reads. ``text`` is None where there is none to read: not good, too large, or no text."""

    visit: Visit
    text: str | None = None
    media_type: str = ""


@runtime_checkable
class Visits(Probed, Protocol):
    """A direct HTTP probe of ours: GET, no redirects followed."""

    async def visit(self, url: str) -> Visit:
        """Whether it answers; the body is not kept."""
        ...

    async def read(self, url: str) -> WebPage:
        """The same, with up to 2 MiB of text."""
        ...


# --- dashboards ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dashboard:
    """A stored dashboard: ``model`` is Grafana's JSON, ``version`` what an update must name."""

    uid: str
    title: str
    version: int
    folder_uid: str
    url: str
    provisioned: bool
    model: Mapping[str, Any]


@dataclass(frozen=True)
class Datasource:
    uid: str
    name: str
    kind: str
    is_default: bool


@runtime_checkable
class Dashboards(Probed, Protocol):
    """Grafana."""

    side_effect: SideEffect
    """Of ``save``, ``delete`` and ``annotate``."""

    async def get(self, uid: str) -> Dashboard | None:
        """None where there is no such dashboard."""
        ...

    async def save(
        self, model: Mapping[str, Any], *, folder_uid: str, message: str, expected_version: int | None
    ) -> Dashboard:
        """Create (``expected_version`` None) or update. BackendRefused when someone else changed it meanwhile.

        Answers what is stored, read back; its version tells whether an earlier try took effect."""
        ...

    async def delete(self, uid: str) -> None: ...

    async def search(self, tag: str | None = None) -> tuple[tuple[str, str], ...]:
        """(uid, title) of every dashboard the account may see."""
        ...

    async def datasources(self) -> tuple[Datasource, ...]: ...

    async def annotate(self, text: str, tags: Sequence[str], at: float, dashboard_uid: str | None = None) -> str:
        """Answers the annotation's id; its tags find it again."""
        ...

    async def annotations(self, tags: Sequence[str]) -> tuple[str, ...]:
        """Texts of the annotations with all these tags."""
        ...


@dataclass(frozen=True)
class ContactIntegration:
    """One integration of a Grafana contact point. ``kind`` is Grafana's word: slack, email, pagerduty, webhook…"""

    uid: str
    kind: str


@dataclass(frozen=True)
class ContactPoint:
    """A Grafana contact point: all integrations of one name."""

    name: str
    integrations: tuple[ContactIntegration, ...]


@dataclass(frozen=True)
class ContactOutcome:
    """What Grafana says of one integration that it tested; ``unknown``: it says nothing of it."""

    uid: str
    status: Literal["ok", "failed", "unknown"]
    error: str = ""


@dataclass(frozen=True)
class ContactTest:
    """Grafana's answer to one test, an outcome for each integration in their order. Times are our clock."""

    outcomes: tuple[ContactOutcome, ...]
    sent_at: float
    answered_at: float


@runtime_checkable
class ContactPoints(Probed, Protocol):
    """Grafana's contact points. A test of one goes round every notification policy: it proves no routing."""

    contact_side_effect: SideEffect
    """Of ``test_contact_point``."""

    async def contact_points(self) -> tuple[ContactPoint, ...]: ...

    async def test_contact_point(self, point: ContactPoint, labels: Labels, annotations: Labels) -> ContactTest:
        """Send a test alert through every integration, for real. Refused where they are not those of ``point`` now."""
        ...


# --- people: paging, chat, mail, webhooks ----------------------------------------------------------------------------


@dataclass(frozen=True)
class OnCall:
    """Who is on call at one level of one escalation policy. ``until`` is None for permanent."""

    policy_id: str
    policy: str
    level: int
    user_id: str
    user: str
    until: float | None
    schedule: str | None = None


@dataclass(frozen=True)
class EscalationPolicy:
    """``delays_seconds[i]`` is how long level i+1 is given before the next level is called."""

    id: str
    name: str
    delays_seconds: tuple[float, ...]
    loops: int = 0


@dataclass(frozen=True)
class PagerService:
    """A PagerDuty service and the policy that it pages through."""

    id: str
    name: str
    policy_id: str


@dataclass(frozen=True)
class PageEvent:
    """One log entry of an incident, in our words. ``agent_kind`` user is a person; service/integration is a machine."""

    at: float
    kind: Literal["triggered", "assigned", "notified", "acknowledged", "escalated", "exhausted", "resolved", "other"]
    agent_kind: Literal["user", "service", "integration", "other"]
    agent: str
    agent_id: str = ""
    channel: str = ""
    level: int | None = None
    detail: str = ""
    recipients: tuple[str, ...] = ()
    """User ids that were notified or assigned."""


@dataclass(frozen=True)
class Page:
    """One incident that carries our token, and everything that happened to it, oldest first."""

    incident_id: str
    incident_key: str
    status: Literal["triggered", "acknowledged", "resolved"]
    created_at: float
    service_id: str
    service: str
    policy_id: str
    urgency: str
    url: str
    events: tuple[PageEvent, ...]
    alert_count: int = 1


@runtime_checkable
class Paging(Probed, Protocol):
    """PagerDuty. REST times have 1 s resolution."""

    side_effect: SideEffect
    """Of ``resolve``."""
    test_side_effect: SideEffect
    """Of ``test_event``."""

    async def services(self) -> tuple[PagerService, ...]: ...

    async def on_call(self) -> tuple[OnCall, ...]: ...

    async def policies(self) -> tuple[EscalationPolicy, ...]: ...

    async def pages(self, token: str, since: float) -> tuple[Page, ...]:
        """Every incident since then one of whose alerts carries the token (key, summary or body), with its log."""
        ...

    async def resolve(self, incident_id: str, note: str) -> None:
        """Close one incident of ours."""
        ...

    async def test_event(self, token: str) -> Health:
        """Prove the Events side with the test key: a trigger and its resolve of low severity on the *test* service.

        Never pages: ok is False where no test routing key is configured."""
        ...


@dataclass(frozen=True)
class ChatMessage:
    """A message with our token. ``at`` comes from its ts; reactions carry no time of their own."""

    channel: str
    id: str
    at: float
    text: str
    reactions: tuple[tuple[str, str, bool], ...]
    """(name, user, is a bot) for each."""
    replies: tuple[tuple[str, float, str, bool], ...] = ()
    """(user, at, text, is a bot) for each reply in its thread."""


@runtime_checkable
class Chat(Probed, Protocol):
    """Slack."""

    side_effect: SideEffect
    """Of ``post``."""

    async def find(self, channel: str, token: str, since: float) -> tuple[ChatMessage, ...]: ...

    async def post(self, channel: str, text: str) -> str:
        """Answers the message's id; a token in the text finds it again."""
        ...


@dataclass(frozen=True)
class Mail:
    """A delivered message. ``received_at`` is the server's INTERNALDATE (1 s resolution)."""

    message_id: str
    subject: str
    sender: str
    received_at: float
    in_reply_to: str = ""
    body_excerpt: str = ""


@runtime_checkable
class Mailbox(Probed, Protocol):
    """SMTP to send, IMAP to find. SMTP's 250 is relayed, not delivered."""

    side_effect: SideEffect
    """Of ``send``."""

    async def send(self, to: Sequence[str], subject: str, text: str, token: str) -> str:
        """Answers the Message-ID; the token finds it again."""
        ...

    async def find(self, token: str, since: float) -> tuple[Mail, ...]:
        """Messages whose subject or body carries the token, replies to them included."""
        ...


@dataclass(frozen=True)
class WebhookReceipt:
    """What a webhook sink says that it got. ``at`` is the sink's own clock."""

    at: float
    receiver: str
    status: str
    token_found_in: str
    acknowledged_by: str = ""
    acknowledged_at: float | None = None


@runtime_checkable
class WebhookSink(Probed, Protocol):
    """A webhook receiver that can be asked what it got (GET <url>?token=…)."""

    async def receipts(self, token: str, since: float) -> tuple[WebhookReceipt, ...]: ...


@dataclass(frozen=True)
class Ping:
    """What a heartbeat monitor knows of one check. ``at`` is its own clock; None: it was never pinged."""

    check: str
    status: Literal["new", "up", "grace", "down", "paused", "unknown"]
    at: float | None
    longest_silence: float | None = None
    """After how many seconds without a ping it tells somebody, where it says so."""


@runtime_checkable
class Heartbeat(Probed, Protocol):
    """A monitor that expects pings (healthchecks-style) and tells somebody when they stop. Only read."""

    async def last_ping(self) -> Ping: ...


@runtime_checkable
class Pusher(Probed, Protocol):
    """Where a series can be pushed for the metrics store to scrape (a Pushgateway)."""

    side_effect: SideEffect
    """Of ``push`` and ``delete``."""

    async def push(self, group: Labels, metric: str, labels: Labels, value: float) -> None:
        """One gauge, in a group of its own; it replaces whatever the group held. It stays until it is deleted."""
        ...

    async def delete(self, group: Labels) -> None:
        """The whole group; deleting it twice is fine."""
        ...

    async def pushed(self, group: Labels) -> bool:
        """Whether the group is there."""
        ...


@runtime_checkable
class Notifier(Probed, Protocol):
    """Tells a downstream owner something, once."""

    side_effect: SideEffect
    """Of ``notify``."""

    async def notify(self, subject: str, text: str, token: str) -> str:
        """Answers a reference (message id, URL)."""
        ...

    async def told(self, token: str, since: float) -> str | None:
        """The reference of what was told with this token since then; None where certainly nothing was.

        Asked only of a notifier of class QUERY; others raise NotSupported."""
        ...


@dataclass(frozen=True)
class Incident:
    """An incident ticket. ``ended_at`` None: still open. ``source`` says where it came from (system, file:line)."""

    id: str
    title: str
    service: str
    started_at: float
    ended_at: float | None
    severity: str
    source: str
    url: str = ""
    alert_keys: tuple[str, ...] = ()
    action: str = ""
    """A follow-up that is already filed for it, if the source knows one."""


@runtime_checkable
class Incidents(Probed, Protocol):
    """A ticket system or a file."""

    async def between(self, start: float, end: float) -> tuple[Incident, ...]: ...


class Signer(Protocol):
    """Signs in the console's process, where the person's agent is. None where there is no key at hand."""

    async def sign(self, message: bytes, namespace: str) -> str | None:
        """An armoured SSH signature (``ssh-keygen -Y sign``)."""
        ...


@dataclass(frozen=True)
class Ports:
    """Everything that the configuration named, opened. A port that it did not name is None."""

    metrics: Metrics | None = None
    rules: RuleStore | None = None
    alerting: Alerting | None = None
    logs: Logs | None = None
    traces: Traces | None = None
    visits: Visits | None = None
    dashboards: Dashboards | None = None
    paging: Paging | None = None
    chat: Chat | None = None
    mail: Mailbox | None = None
    webhook: WebhookSink | None = None
    heartbeat: Heartbeat | None = None
    pusher: Pusher | None = None
    incidents: tuple[Incidents, ...] = ()
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    """By downstream protocol's number as text: "20", "21", "22"."""
    tracker: Notifier | None = None
    """Where the backlog's entries are filed as issues."""
    webhooks: Mapping[str, WebhookSink] = field(default_factory=dict)
    """Further places that can be asked what a webhook brought, by the name of their table."""

    def sink(self, name: str) -> WebhookSink | None:
        """Where webhooks can be seen, by name: ``webhook`` is [webhook], any other [webhooks.<name>]."""
        return self.webhook if name == "webhook" else self.webhooks.get(name)

    @property
    def contact_points(self) -> ContactPoints | None:
        """The dashboards' system, where it has contact points as well."""
        return self.dashboards if isinstance(self.dashboards, ContactPoints) else None
