"""The whole demo stack: every server on its own loopback port, one world behind them, one repository in front."""

import json
import os
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ray_tui.clock import Clock
from ray_tui.demo import workspace
from ray_tui.demo.alertmanager import DemoAlertmanager, demo_config, form_cluster
from ray_tui.demo.artifacts import write_artifacts
from ray_tui.demo.contact_points import Outside
from ray_tui.demo.cron import DemoCron
from ray_tui.demo.github import DemoGitHub
from ray_tui.demo.grafana import DemoGrafana
from ray_tui.demo.loki import DemoLoki
from ray_tui.demo.mail import DemoMail
from ray_tui.demo.pagerduty import DemoPagerDuty
from ray_tui.demo.people import People
from ray_tui.demo.prometheus import DemoPrometheus, initial_rules
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import Running, start
from ray_tui.demo.slack import WEBHOOK_PATH, DemoSlack
from ray_tui.demo.targets import DemoTargets
from ray_tui.demo.tempo import DemoTempo
from ray_tui.demo.webhook_sink import DemoWebhookSink
from ray_tui.demo.workspace import Addresses
from ray_tui.demo.world import World

HISTORY_SECONDS = 2400.0


@dataclass
class Stack:
    """The servers, by name, while they run."""

    folder: Path
    scenario: Scenario
    clock: Clock
    addresses: Addresses
    pagerduty: DemoPagerDuty
    alertmanagers: tuple[DemoAlertmanager, ...]
    prometheus: DemoPrometheus
    grafana: DemoGrafana
    slack: DemoSlack
    mail: DemoMail
    sink: DemoWebhookSink
    world: World
    cron: DemoCron
    running: list[Running] = field(default_factory=list)


async def open_stack(folder: Path, scenario: Scenario, clock: Clock, leaving: AsyncExitStack) -> Stack:
    """Start everything and write the repository; all of it ends with ``leaving``."""
    folder.mkdir(parents=True, exist_ok=True)
    now = clock.wall()
    people = People.of(scenario)

    async def up(app: object) -> str:
        running = await start(app)  # type: ignore[arg-type]
        leaving.push_async_callback(running.stop)
        return running.base_url

    targets = DemoTargets()
    targets_url = await up(targets.app)
    world = World(scenario, now, targets_base=targets_url)
    pagerduty = DemoPagerDuty(people, clock, scenario, [asdict(one) for one in world.incidents])
    slack, sink, mail = DemoSlack(people, clock), DemoWebhookSink(people, clock), DemoMail(people, clock)
    await mail.start()
    leaving.push_async_callback(mail.stop)
    urls = {name: await up(server.app) for name, server in (("pd", pagerduty), ("slack", slack), ("sink", sink))}
    config_yaml = demo_config(
        events_url=f"{urls['pd']}/v2/enqueue", slack_url=f"{urls['slack']}{WEBHOOK_PATH}",
        smarthost=mail.smarthost, watchdog_url=f"{urls['sink']}/hook/watchdog", scenario=scenario,
    )  # fmt: skip
    peer_urls: list[str] = []
    event_logs = [folder / f"alertmanager-{n}.events.jsonl" for n in (0, 1)] if scenario.event_recorder else []
    peers = tuple(DemoAlertmanager(config_yaml, clock, f"alertmanager-{n}", lambda: peer_urls) for n in (0, 1))
    for peer, path in zip(peers, event_logs, strict=False):
        path.touch()  # as the real one at its start
        peer.event_log = path
    form_cluster(*peers)
    for peer in peers:
        peer_urls.append(await up(peer.app))
        leaving.push_async_callback(peer.stop)
    rule_dir = folder / "prometheus" / "rules"
    rule_dir.mkdir(parents=True, exist_ok=True)
    if not any(rule_dir.iterdir()):
        (rule_dir / "shop.yml").write_text(initial_rules(world), encoding="utf-8")
    prometheus = DemoPrometheus(world, rule_dir, clock, tuple(peer_urls))
    prometheus_url = await up(prometheus.app)
    grafana = DemoGrafana(clock, scenario, prometheus_url)
    grafana.outside = Outside(f"{urls['slack']}/api", mail.smarthost)
    cron = DemoCron(clock, folder)
    addresses = Addresses(
        prometheus=prometheus_url,
        alertmanagers=tuple(peer_urls),
        loki=await up(DemoLoki(world, clock).app),
        tempo=await up(DemoTempo(world, clock).app),
        grafana=await up(grafana.app),
        pagerduty=urls["pd"],
        slack=urls["slack"],
        sink=urls["sink"],
        github=await up(DemoGitHub(clock).app),
        targets=targets_url,
        cron=await up(cron.app),
        smtp_port=mail.smtp_port,
        imap_port=mail.imap_port,
        event_logs=tuple(path.name for path in event_logs),
    )
    for server in (pagerduty, slack, sink, grafana):
        leaving.push_async_callback(server.stop)
    await cron.start()
    leaving.push_async_callback(cron.stop)
    await prometheus.start()
    leaving.push_async_callback(prometheus.stop)
    workspace.write(folder, scenario, addresses, world.deployed_at, now)
    _write_runbooks(folder, world)
    write_artifacts(folder / ".artifacts" / "deployment", scenario, world.deployed_at, now)
    stack = Stack(
        folder, scenario, clock, addresses, pagerduty, peers, prometheus, grafana, slack, mail, sink, world, cron
    )  # fmt: skip
    _announce(stack)
    return stack


def _write_runbooks(folder: Path, world: World) -> None:
    import yaml

    for group in yaml.safe_load(initial_rules(world))["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                path = folder / "docs" / "runbooks" / f"{rule['alert']}.md"
                if not path.exists():
                    path.write_text(workspace.runbook_for(rule["alert"]), encoding="utf-8")


def _announce(stack: Stack) -> None:
    """``stack.json`` appears when everything answers; whoever started the stack waits for it."""
    path = stack.folder / "stack.json"
    temporary = path.with_suffix(".tmp")
    content = {"pid": os.getpid(), "scenario": stack.scenario.name, "addresses": asdict(stack.addresses)}
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
