"""The user's TOML: every field, what it means, and errors that name file, key and line."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from ray_tui import backends, config_lines
from ray_tui.config_errors import Fault, WrongTable, faults_of, located, not_toml
from ray_tui.core.errors import ConfigError, InputError
from ray_tui.core.policy import Person, Policy, Thresholds, quiet_span
from ray_tui.files import NO_FILE, read_file
from ray_tui.secrets import SecretRef
from ray_tui.whereabouts import FILE_NAME as FILE_NAME
from ray_tui.whereabouts import LONGEST_BYTES as LONGEST_BYTES
from ray_tui.whereabouts import Looks, folder_of, root_of, store_of

Signal = Literal["metrics", "logs", "traces", "synthetics"]
SIGNALS: tuple[Signal, ...] = ("metrics", "logs", "traces", "synthetics")
_LOOKS = Looks()


class Section(BaseModel):
    """A table of the configuration: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Run(Section):
    """Which release is proved, and where."""

    release: str = Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    """The release's id; it stands in every artifact and must agree with the input artifacts."""
    environment: str = Field(default="production", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The environment's name."""
    deployed_at: datetime | None = None
    """When the deployment finished (with a time zone); taken from post-deployment-validation.json where absent."""
    operator: str = ""
    """The person of [people] who opens the run; found by OS user where empty."""

    @field_validator("deployed_at")
    @classmethod
    def _zoned(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a time zone, as in 2026-11-22T19:00:00Z")
        return value


class Paths(Section):
    """Where things lie; relative to this file's folder."""

    root: str = "."
    """The folder that holds .artifacts/ and .cursor/."""
    inputs: tuple[str, ...] = (
        ".artifacts/deployment",
        ".artifacts/protocol-15",
        ".artifacts/staging",
        ".artifacts/protocol-19",
        ".artifacts/protocol-21",
        ".artifacts/monitoring",
    )
    """Folders searched for the input artifacts of the protocols before this one."""
    rules: tuple[str, ...] = ()
    """Prometheus rule files (globs) that this release wants loaded."""
    slos: tuple[str, ...] = ()
    """SLO specs (globs; sloth or OpenSLO) from which burn-rate rules are generated."""
    dashboards: tuple[str, ...] = ()
    """Grafana dashboard JSON files (globs) that this release wants in place."""
    runbooks: tuple[str, ...] = ("docs/runbooks",)
    """Folders in which a relative runbook link is resolved."""


class Inputs(Section):
    """How the input artifacts are read."""

    map: dict[str, str] = Field(default_factory=dict)
    """Our key -> yours, as dotted paths: ``"post-deployment-validation.release" = "meta.version"``."""


class Names(Section):
    """What a service is called in each store. A table of labels selects its series, lines or probes."""

    metrics: dict[str, str] = Field(default_factory=dict)
    """Labels that select its series; ``{<telemetry.service_label> = <service>}`` where empty."""
    logs: dict[str, str] = Field(default_factory=dict)
    """Labels that select its log stream; ``{service_name = <service>}`` where empty."""
    traces: str = ""
    """Its service.name in traces; the service's own name where empty."""
    synthetics: dict[str, str] = Field(default_factory=dict)
    """Labels that select its probe's series; as for metrics where empty."""


class Service(Section):
    """One service of the catalogue."""

    critical: bool = False
    """An outage of it is an incident: no telemetry gap is tolerated when it changed."""
    changed: Literal["", "new", "modified"] = ""
    """What this release did to it; the input artifacts may say more."""
    regulated: bool = False
    """Its alert thresholds need the Security approval."""
    serves_requests: bool = True
    """False for workers: no RED check, no traces and no synthetics required unless ``signals`` says so or
    it is critical and changed."""
    signals: tuple[Signal, ...] | None = None
    """Required signals; all four for a service that serves requests, metrics and logs for a worker, where absent.
    Of a critical service that changed all four are required, whatever stands here: fewer only by a waiver."""
    owner: str = ""
    """A key of [owners]."""
    names: Names = Field(default_factory=Names)
    """What it is called in each store."""
    activity: str = ""
    """A metric that moves while it works, for a worker that serves no requests."""
    url: str = ""
    """An address that a direct check visits."""
    endpoints: tuple[str, ...] = ()
    """New endpoints of this release, as route label or span name; the input artifacts may name more."""

    @property
    def required_signals(self) -> tuple[Signal, ...]:
        if self.signals is not None:
            return self.signals
        return SIGNALS if self.serves_requests else ("metrics", "logs")


class Telemetry(Section):
    """The names of metrics and labels that templates are written with."""

    requests: str = "http_requests_total"
    """Counter of requests."""
    duration: str = "http_request_duration_seconds"
    """Histogram of durations, without _bucket."""
    errors: str = 'status=~"5.."'
    """Matcher that selects failed requests."""
    service_label: str = "service"
    """The label that names a service."""
    route_label: str = "route"
    """The label that names an endpoint."""
    environment_label: str = ""
    """The label of services' metrics that names the environment: every question about a service then selects [run]
    environment by it. Empty: the store holds one environment alone, or [services.NAME.names] selects it."""
    probe: str = "probe_success"
    """The synthetic probe's result."""


class Owner(Section):
    """A team that owns checks and backlog entries."""

    people: tuple[str, ...] = ()
    """Keys of [people]."""
    policy: str = ""
    """The paging system's escalation policy id; the team is resolved when somebody is on call for it."""


class Check(Section):
    """The cadence and owner of a class of checks, or of one asset."""

    cadence: str
    """Five-field cron."""
    owner: str
    """A key of [owners]."""


class Schedule(Section):
    """3.1: where ongoing checks run."""

    target: Literal["cron", "systemd", "github", "kubernetes"] = "cron"
    """The scheduler that is installed into."""
    timezone: str = "UTC"
    """The time zone of every cadence."""
    install_into: str = ""
    """A file (crontab fragment, manifest) or folder (systemd, workflows); empty: where the scheduler looks, so for cron
    the user's crontab. A crontab fragment is written, and never counts as installed: no cron says that it reads it."""
    command: str = "ray-tui check {asset} --json"
    """What a scheduled check runs, with the asset's id for ``{asset}``; it looks read-only and pages nobody."""
    crontab: str = "crontab"
    """The program that shows (``-l``) and takes (``-``) the crontab, such as ``"crontab -u monitoring"``."""
    image: str = ""
    """Kubernetes: the image that holds ray-tui; empty: ``ray-tui:<this version>``."""
    dashboards: Check = Check(cadence="*/30 * * * *", owner="")
    """Default for dashboards."""
    alerts: Check = Check(cadence="*/30 * * * *", owner="")
    """Default for alert groups."""
    synthetics: Check = Check(cadence="*/15 * * * *", owner="")
    """Default for synthetic probes."""
    alert_paths: Check = Check(cadence="0 10 * * 1", owner="")
    """The alert-path test (without pages)."""
    assets: dict[str, Check] = Field(default_factory=dict)
    """By asset id, such as ``"dashboard:checkout-red"``."""


class Maintenance(Section):
    """3.2: announced work, during which alerts were expected and incidents are no misses."""

    start: datetime
    """When it began (with a time zone)."""
    end: datetime
    """When it was over (with a time zone)."""
    services: tuple[str, ...] = ()
    """Keys of [services]; every service where empty."""
    reason: str = Field(min_length=1)
    """Why; it stands in the report."""

    @model_validator(mode="after")
    def _ordered(self) -> "Maintenance":
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a time zone, as in 2026-11-22T19:00:00Z")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self

    def covers(self, service: str, at: float) -> bool:
        """Whether this service was worked on at that time."""
        there = self.start.timestamp() <= at < self.end.timestamp()
        return there and (not self.services or service in self.services)


class Alerts(Section):
    """How alerts say how bad they are."""

    severity_label: str = Field(default="severity", min_length=1)
    """The label that holds it."""
    critical: tuple[str, ...] = Field(default=("critical", "page"), min_length=1)
    """Its values that page somebody, whatever their case; routes are asked for the first one where no rule says."""

    def severity(self, labels: Mapping[str, str]) -> str:
        return labels.get(self.severity_label, "").strip()

    def is_critical(self, labels: Mapping[str, str]) -> bool:
        return self.severity(labels).casefold() in {one.casefold() for one in self.critical}


class AlertPaths(Section):
    """2.2: how alert paths are probed."""

    slack_channels: dict[str, str] = Field(default_factory=dict)
    """Receiver name -> channel id, for receivers that post to Slack."""
    mailboxes: tuple[str, ...] = ()
    """Receivers whose mail arrives in the [mail] mailbox; all that send mail where empty."""
    webhook_receivers: dict[str, str] = Field(default_factory=dict)
    """Receiver, or ``receiver/kind`` such as ``ops/discord`` -> where what it posts can be seen: ``webhook``, or a name
    under [webhooks]. Nothing is assumed of a receiver that is not named here."""
    receivers: tuple[str, ...] = ()
    """Receivers to probe; every receiver that a critical route names where empty."""
    grafana_contact_points: tuple[str, ...] = ()
    """Grafana contact points to test as well, each for real; that goes round notification policies. Empty: none."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels added to every probe."""
    poll_seconds: float = Field(default=1.0, gt=0)
    """How often each receiver is asked."""
    real_pages: bool = True
    """False: a dry run that does everything but fire."""
    rule_probe_receiver: str = ""
    """A probed receiver that a temporary rule is to reach as well, one more page; empty: no rule is written.

    With [pusher], a pushed series under a permanent rule of yours fires it, and no rule is written."""
    push_metric: str = Field(default="ray_tui_probe_until", pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    """The pushed series' name; its value is when the probe ends, so that the permanent rule stops by itself."""
    push_seconds: float = Field(default=150.0, gt=0, le=900)
    """How long a push may take until the rule fires: one scrape and one evaluation, with something to spare."""
    heartbeat_receiver: str = ""
    """The receiver whose pings [heartbeat] counts; any that the always-firing alert reaches where empty."""


class Acknowledge(Section):
    """2.2: ways to acknowledge a test alert beside pager, reaction, reply and `ray-tui acknowledge`."""

    listen: str = ""
    """``host:port`` on which the run's host answers links and Slack; empty: it listens to nobody."""
    url: str = ""
    """The address under which people reach it, for links in messages; empty: messages name the command only."""
    slack_signing_secret: SecretRef | None = None
    """Your Slack app's signing secret; its interactivity URL is ``<url>/slack/interactions``."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _whole(self) -> "Acknowledge":
        host, _, port = self.listen.rpartition(":")
        if self.listen and not (host and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError(f"listen: {self.listen!r} is not host:port, as in 127.0.0.1:8912")
        if not self.listen and (self.url or self.slack_signing_secret):
            raise ValueError("listen: without it nobody answers at url or to Slack")
        if self.url and not _PUBLIC.fullmatch(self.url):
            raise ValueError("url: is https://host[:port][/path] (http:// for this machine alone): a link holds a code")
        return self


_PUBLIC = re.compile(
    r"(https://[A-Za-z0-9._\[\]:-]+|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)(/[A-Za-z0-9._~/-]*)?"
)


class Host(Section):
    """The run's host process."""

    live_seconds: float = Field(default=5.0, ge=0)
    """How often the baseline's figures are read again while a console is attached; 0: never."""

    socket_dir: str = ""
    """Where its socket lies; /tmp/ray-tui-<uid> where empty. For pairing across OS users: a folder of mode 2750."""
    group: str = ""
    """The group that may attach; the socket is then 0660."""


class Ui(Section):
    """The console's looks."""

    theme: str = _LOOKS.theme
    """A theme's name; `ray-tui themes` lists them."""
    ascii: bool = _LOOKS.ascii
    """ASCII glyphs only."""
    keymap: dict[str, str] = Field(default_factory=dict)
    """Binding id -> keys, as `?` lists them."""
    animations: bool = _LOOKS.animations
    """Animations; off over SSH in any case."""


class Config(Section):
    """A whole configuration."""

    run: Run
    """Which release is proved, and where."""
    paths: Paths = Paths()
    """Where things lie."""
    inputs: Inputs = Inputs()
    """How the input artifacts are read."""
    services: dict[str, Service] = Field(default_factory=dict)
    """The catalogue: one table a service."""
    telemetry: Telemetry = Telemetry()
    """Metric and label names."""
    owners: dict[str, Owner] = Field(default_factory=dict)
    """Teams."""
    people: dict[str, Person] = Field(default_factory=dict)
    """Who may drive, approve, or be paged."""
    policy: Policy = Policy()
    """What the team allows."""
    thresholds: Thresholds = Thresholds()
    """What counts as enough."""
    schedule: Schedule = Schedule()
    """Ongoing checks."""
    maintenance: tuple[Maintenance, ...] = ()
    """Announced work: ``[[maintenance]]``, one table a window; 3.2 leaves it out."""
    alerts: Alerts = Alerts()
    """How alerts say how bad they are."""
    alert_paths: AlertPaths = AlertPaths()
    """How alert paths are probed."""
    acknowledge: Acknowledge = Acknowledge()
    """How test alerts are acknowledged by link and by Slack's button."""
    metrics: dict[str, Any] | None = None
    """The metrics store; ``kind = "prometheus"``."""
    rules: dict[str, Any] | None = None
    """Where rule files go; ``kind = "directory"``."""
    alerting: dict[str, Any] | None = None
    """Every Alertmanager peer; ``kind = "alertmanager"``."""
    logs: dict[str, Any] | None = None
    """``kind = "loki"``."""
    traces: dict[str, Any] | None = None
    """``kind = "tempo"`` or ``"jaeger"``."""
    visits: dict[str, Any] | None = None
    """Direct HTTP checks; ``kind = "http"``."""
    dashboards: dict[str, Any] | None = None
    """``kind = "grafana"``."""
    paging: dict[str, Any] | None = None
    """``kind = "pagerduty"``."""
    chat: dict[str, Any] | None = None
    """``kind = "slack"``."""
    mail: dict[str, Any] | None = None
    """``kind = "smtp-imap"``."""
    webhook: dict[str, Any] | None = None
    """A webhook receiver that can be asked; ``kind = "sink"`` or ``"template"`` (Discord, Teams, other chats)."""
    webhooks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Further ones, each by a name: ``[webhooks.discord]``, as [webhook]; ``alert_paths.webhook_receivers`` uses it."""
    heartbeat: dict[str, Any] | None = None
    """What misses the dead man's switch when it stops; ``kind = "healthchecks"``."""
    pusher: dict[str, Any] | None = None
    """Where a probe's series is pushed; ``kind = "pushgateway"``."""
    incidents: tuple[dict[str, Any], ...] = ()
    """Ticket systems and files: ``[[incidents]]``, ``kind = "pagerduty"`` or ``"file"``."""
    notify: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Who is told at hand-off: ``[notify.20]``, ``kind = "webhook"``, ``"slack"`` or ``"mail"``."""
    tracker: dict[str, Any] | None = None
    """Where 4.3 files the backlog's entries; ``kind = "github"``, or ``"webhook"``, ``"slack"``, ``"mail"``."""
    host: Host = Host()
    """The host process."""
    ui: Ui = Ui()
    """The console."""
    _file: Path = PrivateAttr(default=Path(FILE_NAME))

    @property
    def file(self) -> Path:
        return self._file

    @property
    def folder(self) -> Path:
        """What relative paths are relative to."""
        return folder_of(self._file)

    @property
    def root(self) -> Path:
        """The folder that holds .artifacts/ and .cursor/."""
        return root_of(self._file, self.paths.root)

    @property
    def store(self) -> Path:
        return store_of(self._file, self.paths.root)

    def deployed_at(self) -> float | None:
        return self.run.deployed_at.timestamp() if self.run.deployed_at else None

    def digest(self) -> str:
        """SHA-256 of what approvals depend on: everything but looks, host, paths and the operator."""
        bound = self.model_dump(mode="json", exclude={"ui": True, "host": True, "paths": True, "run": {"operator"}})
        return hashlib.sha256(json.dumps(bound, sort_keys=True, ensure_ascii=True).encode()).hexdigest()

    def service_names(self, signal: Signal) -> dict[str, Any]:
        """Our service name -> what selects it in that signal's store."""
        return {name: self.names_of(name, signal) for name in self.services}

    def names_of(self, service: str, signal: Signal) -> Any:
        names = self.services[service].names if service in self.services else Names()
        if signal == "traces":
            return names.traces or service
        if signal == "logs":
            return names.logs or {"service_name": service}
        if signal == "synthetics" and names.synthetics:
            return names.synthetics
        return self.in_environment(names.metrics or {self.telemetry.service_label: service})

    def in_environment(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels that select a service's metrics, in the environment of the run where a label names it."""
        label = self.telemetry.environment_label
        return {**({label: self.run.environment} if label else {}), **labels}


CLASSES = ("dashboards", "alerts", "synthetics", "alert_paths")
"""Of [schedule]: what a cadence and an owner are given for."""
PORTS = (
    "metrics", "rules", "alerting", "logs", "traces", "visits", "dashboards", "paging", "chat", "mail", "webhook",
    "heartbeat", "pusher",
)  # fmt: skip


def check_backend(port: str, path: config_lines.Path, settings: Mapping[str, Any]) -> BaseModel:
    """The settings model of the backend table at this place. Raises ConfigError naming keys and known kinds."""
    kind = settings.get("kind")
    known = backends.KINDS[port]
    if not isinstance(kind, str) or kind not in known:
        why = f"{kind!r} is not known; there are: {', '.join(sorted(known))}"
        raise WrongTable([Fault((*path, "kind"), why)])
    model = backends.settings_model(port, kind)
    try:
        return model.model_validate(settings)
    except ValidationError as exc:
        raise WrongTable(faults_of(exc, model, path)) from exc


def backend_tables(tables: Mapping[str, Any]) -> Iterator[tuple[str, config_lines.Path, dict[str, Any]]]:
    """(port, where it stands, table) of every backend, in a configuration's fields or in its raw TOML."""
    places: list[tuple[str, config_lines.Path, Any]] = [(port, (port,), tables.get(port)) for port in PORTS]
    places.append(("notifiers", ("tracker",), tables.get("tracker")))
    for port, key in (("incidents", "incidents"), ("notifiers", "notify"), ("webhook", "webhooks")):
        among = tables.get(key)
        entries = among.items() if isinstance(among, dict) else enumerate(among) if isinstance(among, Sequence) else ()
        places += [(port, (key, name), table) for name, table in entries]
    return ((port, path, table) for port, path, table in places if isinstance(table, dict))


def _wrong_backends(raw: Mapping[str, Any]) -> Iterator[Fault]:
    for port, path, table in backend_tables(raw):
        try:
            check_backend(port, path, table)
        except WrongTable as exc:
            yield from exc.faults


def _wrong_references(chosen: Config) -> Iterator[Fault]:
    """Names that lead nowhere."""
    for name, service in chosen.services.items():
        if service.owner and service.owner not in chosen.owners:
            yield Fault(("services", name, "owner"), f"{service.owner!r} is not in [owners]")
    for name, owner in chosen.owners.items():
        for person in owner.people:
            if person not in chosen.people:
                yield Fault(("owners", name, "people"), f"{person!r} is not in [people]")
    for number, window in enumerate(chosen.maintenance):
        for name in window.services:
            if name not in chosen.services:
                yield Fault(("maintenance", number, "services"), f"{name!r} is not in [services]")
    if "webhook" in chosen.webhooks:
        yield Fault(("webhooks", "webhook"), "that name is [webhook]'s own; take another")
    for receiver, name in chosen.alert_paths.webhook_receivers.items():
        if name != "webhook" and name not in chosen.webhooks:
            yield Fault(("alert_paths", "webhook_receivers", receiver), f"there is no [webhooks.{name}]")


def _wrong_times(chosen: Config) -> Iterator[Fault]:
    """Cadences, time zones and quiet hours that nobody could keep."""
    for read, path, value in _times(chosen):
        try:
            read(value)
        except (ValueError, InputError) as exc:
            yield Fault(path, str(exc))


def _times(chosen: Config) -> Iterator[tuple[Callable[[str], object], config_lines.Path, str]]:
    """(how it is read, where it stands, what stands there) of what is written; our defaults need no look."""
    schedule = chosen.schedule
    classes = [key for key in CLASSES if key in schedule.model_fields_set]
    written: dict[config_lines.Path, Check] = {("schedule", key): getattr(schedule, key) for key in classes}
    written |= {("schedule", "assets", name): check for name, check in schedule.assets.items()}
    zones: dict[config_lines.Path, str] = {("schedule", "timezone"): schedule.timezone}
    zones |= {("people", name, "timezone"): person.timezone for name, person in chosen.people.items()}
    zones = {path: zone for path, zone in zones.items() if zone != "UTC"}
    if written or zones:
        from ray_tui.analysis import cadence  # takes a while, and a small configuration needs none

        yield from ((cadence.validate, (*path, "cadence"), check.cadence) for path, check in written.items())
        yield from ((cadence.zone, path, zone) for path, zone in zones.items())
    for name, person in chosen.people.items():
        if person.quiet_hours:
            yield quiet_span, ("people", name, "quiet_hours"), person.quiet_hours


def load(path: Path, *, with_backends: bool = True) -> Config:
    """Raises ConfigError: missing, unreadable, not TOML, unknown key, wrong type, literal secret.

    Without backends their tables are not looked into: enough for a console, whose host has checked them.
    """
    try:
        text = read_file(path, LONGEST_BYTES).decode("utf-8")
    except InputError as exc:
        todo = ". `ray-tui init` writes one; `ray-tui demo` needs none." if str(exc).endswith(NO_FILE) else ""
        raise ConfigError(f"{exc}{todo}") from exc
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        what = f"is not text (byte {exc.start} is not UTF-8); a configuration is TOML"
        raise ConfigError(f"{path}:{line}: {what}. Name the right file with --config.") from exc
    return parse(text, path, with_backends=with_backends)


def parse(text: str, path: Path, *, with_backends: bool = True) -> Config:
    """As ``load``, from text; ``path`` is what errors name and relative paths start from."""
    if text.startswith("\ufeff"):
        raise ConfigError(f"{path}:1: begins with a byte order mark, which is not TOML: save it as UTF-8 without one")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line, why = not_toml(str(exc), text)
        raise ConfigError(f"{path}:{line}: {why}") from exc
    except RecursionError as exc:
        raise ConfigError(f"{path}: is nested too deeply to be a configuration. Name the right file.") from exc
    chosen, faults = examined(raw, with_backends=with_backends)
    if chosen is None or faults:
        raise ConfigError(located(faults, text, path))
    chosen._file = path
    return chosen


def examined(raw: Mapping[str, Any], *, with_backends: bool = True) -> tuple[Config | None, list[Fault]]:
    """The configuration of a TOML tree, and all that is wrong with it wherever it is read; files are another matter."""
    chosen: Config | None = None
    try:
        chosen = Config.model_validate(raw)
        faults = [*_wrong_references(chosen), *(_wrong_times(chosen) if with_backends else ())]
    except ValidationError as exc:
        faults = faults_of(exc, Config)
    return chosen, [*faults, *(_wrong_backends(raw) if with_backends else ())]


def refusal(file: Path, faults: Sequence[Fault]) -> ConfigError:
    """What to raise for faults that were found after the file was read."""
    return ConfigError(located(faults, read_file(file, LONGEST_BYTES).decode("utf-8"), file))


def with_run(chosen: Config, changes: dict[str, str]) -> Config:
    """The same configuration for another release or environment, checked again."""
    try:
        run = Run.model_validate({**chosen.run.model_dump(), **changes})
    except ValidationError as exc:
        raise WrongTable(faults_of(exc, Run, ("run",))) from exc
    changed = chosen.model_copy(update={"run": run})
    changed._file = chosen.file
    return changed


def parse_time(text: str) -> float:
    """Unix seconds from RFC 3339. Raises ValueError when it has no time zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at.astimezone(UTC).timestamp()
