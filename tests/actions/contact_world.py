"""A world for contact-point tests: the servers of a fault world, and a Grafana that really delivers through them."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_tui.demo.contact_points import Outside
from ray_tui.demo.faults import Faults
from ray_tui.demo.grafana import TOKEN, DemoGrafana
from ray_tui.demo.people import SERVICES
from ray_tui.demo.scenario import Scenario
from ray_tui.demo.serving import start
from ray_tui.demo.slack import WEBHOOK_PATH
from ray_tui.step import Result
from tests.actions.fault_world import CLOCK, FaultWorld

NAME = "checkout-ops"


@dataclass
class ContactWorld(FaultWorld):
    """One Alertmanager receiver (a hook that works) and the Grafana contact point ``checkout-ops`` with ``kinds``."""

    receiver: str = "hook"
    kinds: tuple[str, ...] = ("slack",)
    names: tuple[str, ...] = (NAME,)
    """[alert_paths] grafana_contact_points."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further keys of [alert_paths]."""
    uids: dict[str, str] = field(default_factory=dict)
    """Kind -> uid, once it runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grafana = DemoGrafana(CLOCK, Scenario(name="t", title="t"))
        self.faults["grafana"] = Faults(self.grafana.app)
        self.fault_of: dict[str, Any] = {}
        """Kind -> what is wrong with its integration."""

    async def _open(self, leaving: AsyncExitStack) -> dict[str, Any]:
        tables = await super()._open(leaving)
        running = await start(self.faults["grafana"])
        leaving.push_async_callback(running.stop)
        pd, sink = tables["paging"]["events_url"], tables["webhook"]["url"].removesuffix("/received")
        chat = tables["chat"]["api_url"].removesuffix("/api")
        self.grafana.outside = Outside(tables["chat"]["api_url"], self.mail.smarthost)
        key = next(one.routing_key for one in SERVICES if one.id == "PSVCCHK")
        for kind in self.kinds:
            self.uids[kind] = {
                "slack": lambda: self._add("slack", {"recipient": "#release"}, url=f"{chat}{WEBHOOK_PATH}"),
                "webhook": lambda: self._add("webhook", {"url": f"{sink}/hook/grafana"}),
                "email": lambda: self._add("email", {"addresses": "audit@shop.example"}),
                "pagerduty": lambda: self._add("pagerduty", {"url": f"{pd}/v2/enqueue"}, integrationKey=key),
                "opsgenie": lambda: self._add("opsgenie", {}, apiKey="x"),
            }[kind]()
        self.grafana.contact_faults = {self.uids[kind]: fault for kind, fault in self.fault_of.items()}
        (self.folder / "grafana").write_text(TOKEN, encoding="utf-8")
        (self.folder / "grafana").chmod(0o600)
        tables["dashboards"] = {"kind": "grafana", "url": running.base_url, "bearer_token": "file:grafana"}
        paths = tables["alert_paths"]
        tables["alert_paths"] = {
            **paths, "grafana_contact_points": list(self.names),
            "slack_channels": {**paths["slack_channels"], NAME: "C0RELEASE"},
            "webhook_receivers": {**paths["webhook_receivers"], NAME: "webhook"}, **self.settings,
        }  # fmt: skip
        return tables

    def _add(self, kind: str, settings: dict[str, Any], **secrets: str) -> str:
        return self.grafana.add_contact_point(NAME, kind, settings, **secrets)

    def row(self) -> dict[str, Any]:
        """The evidence about ``checkout-ops``."""
        assert self.result is not None
        (row,) = (one for one in self.result.data["contact_points"] if one["contact_point"] == NAME)
        return dict(row)


async def carried_out(folder: Path, *kinds: str, **fields: Any) -> tuple[ContactWorld, Result]:
    world = ContactWorld(folder, kinds=kinds, **fields)
    return world, await world.carry_out()
