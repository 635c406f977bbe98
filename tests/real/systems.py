"""Debian's Prometheus, Alertmanagers and exporters on loopback ports, and the demo's shop as what they watch."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

import ray_tui
from ray_tui import journal
from ray_tui.clock import Clock
from ray_tui.core import plan
from ray_tui.core.state import Probe, RunState, apply
from ray_tui.demo import promql, workspace
from ray_tui.demo.alertmanager import demo_config
from ray_tui.demo.artifacts import write_artifacts
from ray_tui.demo.cron import DemoCron
from ray_tui.demo.github import DemoGitHub
from ray_tui.demo.grafana import DemoGrafana
from ray_tui.demo.loki import DemoLoki
from ray_tui.demo.mail import DemoMail
from ray_tui.demo.pagerduty import DemoPagerDuty
from ray_tui.demo.people import People
from ray_tui.demo.prometheus import initial_rules
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.series import GRID_MS, GridSeries
from ray_tui.demo.serving import start
from ray_tui.demo.slack import WEBHOOK_PATH, DemoSlack
from ray_tui.demo.targets import DemoTargets
from ray_tui.demo.tempo import DemoTempo
from ray_tui.demo.webhook_sink import DemoWebhookSink
from ray_tui.demo.workspace import Addresses
from ray_tui.demo.world import METADATA, SERVICES, WORKERS, World

BINARIES = (
    "prometheus", "promtool", "prometheus-alertmanager", "prometheus-blackbox-exporter", "prometheus-pushgateway",
)  # fmt: skip
READY_SECONDS = 20.0
STOP_SECONDS = 5.0
HISTORY_SECONDS, HISTORY_STEP_SECONDS = 45 * 60.0, 15.0
DENSE_SECONDS = 60.0
"""The end of the history has every sample, so that the gap before the first scrape is short."""
ALERT_HISTORY_SECONDS, ALERT_STEP_SECONDS = 14 * 86_400.0, 60.0
"""A sample a minute: further apart than the look-back of five minutes, an episode would fall to pieces."""
SCRAPED_STEP_SECONDS = 240.0
"""That it was scraped all the while; within the look-back too."""
RUN_SECONDS = 170.0
HEADLESS = (
    "run", "--headless", "--config", "ray-tui.toml", "--answers", "answers.toml", "--json",
    "--timeout", f"{RUN_SECONDS:.0f}",
)  # fmt: skip
PROBE = "ray_tui_probe"
PUSHED = "shop_deployment_finished_timestamp_seconds"


def require_binaries(*names: str) -> None:
    """Skip where a binary is not installed; fail instead where RAY_TUI_REQUIRE_REAL=1 says that it must be."""
    missing = [name for name in names or BINARIES if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("RAY_TUI_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Poll; AssertionError saying what did not come true. A refused connection is a "not yet"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if condition():
                return
        time.sleep(0.03)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def get(url: str, **params: str) -> Any:
    """The JSON behind a URL; httpx's error for an answer that is none."""
    answer = httpx.get(url, params=params, timeout=5, trust_env=False)
    answer.raise_for_status()
    return answer.json()


# --- one program -----------------------------------------------------------------------------------------------------


@dataclass
class Program:
    """One of Debian's binaries while it runs; its output is kept in ``log``."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, url: str, folder: Path, arguments: Sequence[str]) -> Self:
        log = folder / f"{name}-{url.rpartition(':')[2]}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [name, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder
            )
        return cls(name, url, log, process)

    def wait_ready(self, path: str = "/-/ready") -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                said = self.log.read_text(errors="replace").strip().splitlines()[-5:]
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: {said}")
            return httpx.get(f"{self.url}{path}", timeout=2, trust_env=False).status_code == 200

        wait_until(ready, f"{self.name} is ready at {self.url}")

    def stop(self) -> None:
        """Politely, then not. Stopping twice is fine."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)


# --- two Alertmanagers -----------------------------------------------------------------------------------------------


class Peers:
    """Two clustered Alertmanagers over one configuration file, which ``write`` replaces."""

    def __init__(self, folder: Path, config_yaml: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config_file = folder / "alertmanager.yml"
        self.write(config_yaml)
        self.urls = tuple(f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._gossip = tuple(f"127.0.0.1:{free_port()}" for _ in range(2))
        self.programs: list[Program] = []

    def write(self, config_yaml: str) -> None:
        self.config_file.write_text(config_yaml, encoding="utf-8")

    def start(self) -> None:
        """Both, and wait until each says that its cluster of two is ready."""
        for number, url in enumerate(self.urls):
            self.programs.append(self._launch(number, url))
        for program in self.programs:
            program.wait_ready()
        wait_until(self.settled, "both peers say that the cluster is ready")

    def _launch(self, number: int, url: str) -> Program:
        arguments = [
            f"--config.file={self.config_file}",
            f"--storage.path={self.folder / f'data-{number}'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            f"--cluster.listen-address={self._gossip[number]}",
            f"--cluster.peer={self._gossip[1 - number]}",
            "--cluster.gossip-interval=50ms",  # settling takes some ten of these: seconds instead of ten
            "--cluster.reconnect-interval=1s",
        ]
        return Program.start("prometheus-alertmanager", url, self.folder, arguments)

    def settled(self) -> bool:
        clusters = [get(f"{url}/api/v2/status")["cluster"] for url in self.urls]
        return all(one["status"] == "ready" and len(one["peers"]) == 2 for one in clusters)

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """What each peer holds."""
        return {url: get(f"{url}/api/v2/alerts") for url in self.urls}

    def reload(self) -> list[httpx.Response]:
        return [httpx.post(f"{url}/-/reload", timeout=5, trust_env=False) for url in self.urls]

    def stop(self) -> None:
        for program in self.programs:
            program.stop()
        self.programs.clear()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# --- Prometheus ------------------------------------------------------------------------------------------------------


class RealPrometheus:
    """One Prometheus over ``folder/data``, with the scrapes, rule files and Alertmanagers that it is given."""

    def __init__(
        self, folder: Path, rule_dir: Path, peers: Sequence[str], scrapes: Sequence[Mapping[str, Any]]
    ) -> None:
        self.folder = folder
        self.peers = tuple(peers)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.program: Program | None = None
        folder.mkdir(parents=True, exist_ok=True)
        rule_dir.mkdir(parents=True, exist_ok=True)
        self.config = {
            "global": {
                "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
                "external_labels": {"datacenter": "loopback"},
            },
            "alerting": {"alertmanagers": [
                {"api_version": "v2", "static_configs": [{"targets": [url.removeprefix("http://") for url in peers]}]},
            ]},
            "rule_files": [f"{rule_dir}/*.yml"],
            "scrape_configs": list(scrapes),
        }  # fmt: skip

    def backfill(self, lines: Iterator[str]) -> None:
        """Make blocks of OpenMetrics lines, before the start."""
        samples = self.folder / "history.om"
        with samples.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=486h",
                   str(samples), str(self.folder / "data")]  # fmt: skip
        made = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """It, and wait until it is ready and knows every Alertmanager."""
        config_file = self.folder / "prometheus.yml"
        config_file.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")
        arguments = [
            f"--config.file={config_file}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=1s",
        ]
        self.program = Program.start("prometheus", self.url, self.folder, arguments)
        self.program.wait_ready()
        if self.peers:
            wait_until(lambda: len(self.alertmanagers()) == len(self.peers), "Prometheus knows its Alertmanagers")

    def stop(self) -> None:
        if self.program is not None:
            self.program.stop()

    def get(self, path: str, **params: str) -> Any:
        return get(f"{self.url}/api/v1{path}", **params)["data"]

    def alertmanagers(self) -> list[str]:
        return [one["url"] for one in self.get("/alertmanagers")["activeAlertmanagers"]]

    def rules(self) -> dict[str, list[dict[str, Any]]]:
        """File name -> its rules, as loaded."""
        found: dict[str, list[dict[str, Any]]] = {}
        for group in self.get("/rules")["groups"]:
            found.setdefault(Path(group["file"]).name, []).extend(group["rules"])
        return found

    def value(self, expr: str) -> float | None:
        """The one value of an instant query; None where there is none."""
        result = self.get("/query", query=expr)["result"]
        return float(result[0]["value"][1]) if result else None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def sample(series: GridSeries, value: float, at: float | None = None, without: Sequence[str] = ()) -> str:
    """One line of an exposition; ``at`` is unix seconds."""
    labels = dict(series.labels)
    inner = ",".join(f'{name}="{text}"' for name, text in labels.items() if name not in ("__name__", *without))
    stamp = "" if at is None else f" {at:.3f}"
    return f"{labels['__name__']}{{{inner}}} {promql.format_value(value)}{stamp}\n"


def history(world: World, now: float) -> Iterator[str]:
    """The world's last 45 minutes; and of a fortnight the alerts, and that it was scraped; as OpenMetrics."""
    first, last = int((now - ALERT_HISTORY_SECONDS) * 1000), int((now - HISTORY_SECONDS) * 1000) - 1
    for name, group in world.metrics.items():
        alerts = name.startswith("ALERTS")
        since, step = now - HISTORY_SECONDS, HISTORY_STEP_SECONDS
        if alerts:
            since, step = now - ALERT_HISTORY_SECONDS, ALERT_STEP_SECONDS
        every, dense_from = int(step * 1000) // GRID_MS, (now - DENSE_SECONDS) * 1000
        for series in group:
            if name == "up":
                for at, value in zip(*series.window(first, last), strict=True):
                    if at // GRID_MS % (int(SCRAPED_STEP_SECONDS * 1000) // GRID_MS) == 0:
                        yield sample(series, value, at / 1000)
            for at, value in zip(*series.window(int(since * 1000), int(now * 1000)), strict=True):
                if at // GRID_MS % every == 0 or (at >= dense_from and not alerts):
                    yield sample(series, value, at / 1000)
    yield "# EOF\n"


# --- what is scraped -------------------------------------------------------------------------------------------------


class ShopExporter:
    """``GET /metrics/<service>``: what the service's process would expose now, without the labels of its target."""

    TARGET_LABELS = ("job", "service", "instance")

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.app = Starlette(routes=[Route("/metrics/{service}", self._metrics)])
        self._series: dict[str, dict[str, list[GridSeries]]] = {}
        for name, group in world.metrics.items():
            for series in group:
                labels = dict(series.labels)
                if labels.get("job") == "shop" and name != "up":
                    self._series.setdefault(labels["service"], {}).setdefault(name, []).append(series)

    async def _metrics(self, request: Request) -> Response:
        at = int(self.clock.wall() * 1000)
        lines: list[str] = []
        for name, group in self._series.get(request.path_params["service"], {}).items():
            if name in METADATA:
                lines.append(f"# HELP {name} {METADATA[name][1]}\n# TYPE {name} {METADATA[name][0]}\n")
            elif name == "http_request_duration_seconds_bucket":
                lines.append("# TYPE http_request_duration_seconds histogram\n")
            for series in group:
                value = value_now(series, at)
                if value is not None:
                    lines.append(sample(series, value, without=self.TARGET_LABELS))
        return PlainTextResponse("".join(lines), media_type="text/plain; version=0.0.4")


def value_now(series: GridSeries, at_ms: int) -> float | None:
    """Between two cells of the world's grid a counter goes on growing; anything else keeps its value."""
    last = series.last(at_ms)
    if last is None or not series.monotonic:
        return None if last is None else last[1]
    cell = at_ms // GRID_MS
    return last[1] + (series.value(cell + 1) - last[1]) * (at_ms % GRID_MS) / GRID_MS


def scrapes(exporter_url: str, blackbox_url: str, pushgateway_url: str, world: World) -> list[dict[str, Any]]:
    """Scrape jobs whose series carry the same labels as the world's own."""
    exporter, blackbox, pushgateway = (
        url.removeprefix("http://") for url in (exporter_url, blackbox_url, pushgateway_url)
    )
    shop = [
        {"targets": [exporter], "labels": {
            "__metrics_path__": f"/metrics/{one.name}", "service": one.name, "instance": f"{one.name}:8080"}}
        for one in SERVICES
    ]  # fmt: skip
    probed = [
        {"targets": [world.probe_url(one.name)], "labels": {"service": one.name}}
        for one in SERVICES
        if one.name not in WORKERS
    ]
    relabel = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": blackbox},
    ]
    return [
        {"job_name": "shop", "honor_labels": True, "static_configs": shop},
        {"job_name": "blackbox", "metrics_path": "/probe", "params": {"module": ["http_2xx"]},
         "scrape_interval": "2s", "static_configs": probed, "relabel_configs": relabel},
        {"job_name": "pushgateway", "honor_labels": True, "static_configs": [{"targets": [pushgateway]}]},
    ]  # fmt: skip


BLACKBOX = {"modules": {"http_2xx": {"prober": "http", "timeout": "900ms", "http": {
    "preferred_ip_protocol": "ip4", "follow_redirects": False}}}}  # fmt: skip


# --- all of it -------------------------------------------------------------------------------------------------------


@dataclass
class RealSystems:
    """Everything that a run needs: real where Debian has it, the demo's servers for the rest, and a repository.

    ``async with RealSystems(folder, scenario) as systems``: when it is entered every program is ready, the cluster is
    settled, Prometheus knows its Alertmanagers, and each service has been scraped and probed.
    """

    folder: Path
    scenario: Scenario
    clock: Clock = field(default_factory=Clock)
    _leaving: AsyncExitStack = field(default_factory=AsyncExitStack)

    world: World = field(init=False)
    peers: Peers = field(init=False)
    prometheus: RealPrometheus = field(init=False)
    pagerduty: DemoPagerDuty = field(init=False)
    slack: DemoSlack = field(init=False)
    mail: DemoMail = field(init=False)
    sink: DemoWebhookSink = field(init=False)
    grafana: DemoGrafana = field(init=False)
    addresses: Addresses = field(init=False)

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def rule_dir(self) -> Path:
        return self.repository / "prometheus" / "rules"

    async def __aenter__(self) -> Self:
        require_binaries()
        try:
            await self._open()
        except BaseException:
            await self._leaving.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leaving.aclose()

    async def _open(self) -> None:
        self.rule_dir.mkdir(parents=True)
        now = self.clock.wall()
        targets_url = await self._serve(DemoTargets().app)
        self.world = World(self.scenario, now, targets_base=targets_url)
        urls = await self._people()
        self.peers = Peers(self.folder / "alertmanager", self._alertmanager_config(urls))
        await self._run(self.peers.start, self.peers.stop)
        (self.rule_dir / "shop.yml").write_text(initial_rules(self.world), encoding="utf-8")
        exporter = await self._serve(ShopExporter(self.world, self.clock).app)
        blackbox, pushgateway = await asyncio.to_thread(self._exporters)
        jobs = scrapes(exporter, blackbox, pushgateway, self.world)
        self.prometheus = RealPrometheus(self.folder / "prometheus", self.rule_dir, self.peers.urls, jobs)
        await asyncio.to_thread(lambda: self.prometheus.backfill(history(self.world, self.clock.wall())))
        await self._run(self.prometheus.start, self.prometheus.stop)
        self.grafana = DemoGrafana(self.clock, self.scenario, self.prometheus.url)
        self._leaving.push_async_callback(self.grafana.stop)
        self.addresses = Addresses(
            prometheus=self.prometheus.url,
            alertmanagers=self.peers.urls,
            loki=await self._serve(DemoLoki(self.world, self.clock).app),
            tempo=await self._serve(DemoTempo(self.world, self.clock).app),
            grafana=await self._serve(self.grafana.app),
            pagerduty=urls["pagerduty"],
            slack=urls["slack"],
            sink=urls["sink"],
            github=await self._serve(DemoGitHub(self.clock).app),
            targets=targets_url,
            cron=await self._serve(DemoCron(self.clock, self.folder).app),
            smtp_port=self.mail.smtp_port,
            imap_port=self.mail.imap_port,
        )
        self._write_repository(now)
        await asyncio.to_thread(self._wait_for_scrapes)

    async def _serve(self, app: ASGIApp) -> str:
        running = await start(app)
        self._leaving.push_async_callback(running.stop)
        return running.base_url

    async def _run(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._leaving.push_async_callback(asyncio.to_thread, end)
        await asyncio.to_thread(begin)

    async def _people(self) -> dict[str, str]:
        """PagerDuty, Slack, mail and the webhook sink, with their people."""
        people = People.of(self.scenario)
        self.pagerduty = DemoPagerDuty(people, self.clock, self.scenario, [asdict(one) for one in self.world.incidents])
        self.slack, self.sink = DemoSlack(people, self.clock), DemoWebhookSink(people, self.clock)
        self.mail = DemoMail(people, self.clock)
        await self.mail.start()
        self._leaving.push_async_callback(self.mail.stop)
        servers: dict[str, DemoPagerDuty | DemoSlack | DemoWebhookSink] = {
            "pagerduty": self.pagerduty, "slack": self.slack, "sink": self.sink,
        }  # fmt: skip
        urls = {name: await self._serve(server.app) for name, server in servers.items()}
        for server in servers.values():
            self._leaving.push_async_callback(server.stop)
        return urls

    def _alertmanager_config(self, urls: Mapping[str, str]) -> str:
        return demo_config(
            events_url=f"{urls['pagerduty']}/v2/enqueue", slack_url=f"{urls['slack']}{WEBHOOK_PATH}",
            smarthost=self.mail.smarthost, watchdog_url=f"{urls['sink']}/hook/watchdog", scenario=self.scenario,
        )  # fmt: skip

    def _exporters(self) -> tuple[str, str]:
        """The blackbox exporter and a pushgateway that has been pushed to."""
        config_file = self.folder / "blackbox.yml"
        config_file.write_text(yaml.safe_dump(BLACKBOX), encoding="utf-8")
        blackbox, pushgateway = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        probing = Program.start(
            "prometheus-blackbox-exporter", blackbox, self.folder,
            [f"--config.file={config_file}", f"--web.listen-address={blackbox.removeprefix('http://')}"],
        )  # fmt: skip
        self._leaving.push_async_callback(asyncio.to_thread, probing.stop)
        taking = Program.start(
            "prometheus-pushgateway", pushgateway, self.folder,
            [f"--web.listen-address={pushgateway.removeprefix('http://')}",
             f"--persistence.file={self.folder / 'pushed.data'}"],  # Debian's default is one file for all
        )  # fmt: skip
        self._leaving.push_async_callback(asyncio.to_thread, taking.stop)
        probing.wait_ready("/-/healthy")
        taking.wait_ready()
        pushed = f'# TYPE {PUSHED} gauge\n{PUSHED}{{release="{workspace.RELEASE}"}} {self.world.deployed_at:.3f}\n'
        answer = httpx.put(f"{pushgateway}/metrics/job/deployments", content=pushed, timeout=5, trust_env=False)
        assert answer.is_success, answer.text
        return blackbox, pushgateway

    def _write_repository(self, now: float) -> None:
        workspace.write(self.repository, self.scenario, self.addresses, self.world.deployed_at, now)
        for group in yaml.safe_load(initial_rules(self.world))["groups"]:
            for rule in group["rules"]:
                path = self.repository / "docs" / "runbooks" / f"{rule['alert']}.md"
                if not path.exists():
                    path.write_text(workspace.runbook_for(rule["alert"]), encoding="utf-8")
        write_artifacts(self.repository / ".artifacts" / "deployment", self.scenario, self.world.deployed_at, now)

    def _wait_for_scrapes(self) -> None:
        def scraped() -> bool:
            targets = self.prometheus.get("/targets")["activeTargets"]
            return all(one["health"] == "up" for one in targets)

        wait_until(scraped, "every target is up")
        wait_until(
            lambda: self.prometheus.value("sum(probe_success)") == len(SERVICES) - len(WORKERS), "probes succeed"
        )
        wait_until(lambda: self.prometheus.value(PUSHED) is not None, "the pushed value is scraped")


# --- the product -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """What one ``ray-tui`` process answered."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"exit {self.code}\n{self.err[-4000:]}\n{self.out[-4000:]}"


async def launch(repository: Path, *arguments: str) -> asyncio.subprocess.Process:
    """``ray-tui`` as a user starts it in that folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(ray_tui.__file__).parents[1])}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ray_tui", *arguments, cwd=repository, env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ray(repository: Path, *arguments: str, seconds: float) -> Command:
    """The same to its end; killed ten seconds after it should have ended by itself."""
    process = await launch(repository, *arguments)
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds + 10)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
    assert process.returncode is not None
    return Command(process.returncode, out.decode(), err.decode())


def run_folder(repository: Path) -> Path:
    """Of the only run that there is."""
    (only,) = (one for one in (repository / plan.STORE / "runs").iterdir() if one.is_dir())
    return only


def probes_of(repository: Path) -> dict[str, Probe]:
    """Every probe of the run, from its journal."""
    state = RunState()
    for line in journal.read(run_folder(repository) / "journal.jsonl"):
        apply(state, line.entry)
    return state.probes


def assert_paged_once(systems: RealSystems, probes: Mapping[str, Probe]) -> None:
    """One incident for each probe and pager service, one notification of each person about it, all resolved."""
    tokens = {probe.intended.labels[PROBE] for probe in probes.values()}
    ours = [
        (token, one)
        for one in systems.pagerduty.incidents.values()
        for token in tokens
        if token in json.dumps(one.event)
    ]
    assert ours
    assert set(Counter((token, one.service.id) for token, one in ours).values()) == {1}
    ids = {one.id for _, one in ours}
    pages = Counter((one.incident_id, one.user) for one in systems.pagerduty.pages_sent)
    assert {incident for incident, _ in pages} == ids
    assert set(pages.values()) == {1}
    assert {one.status for _, one in ours} == {"resolved"}
