"""2.2 through real Alertmanagers to Discord-style receivers: what they post is seen in the channel, and who reacts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_tui import wiring
from ray_tui.actions import alert_paths
from ray_tui.clock import Clock
from ray_tui.core.ports import Ports
from ray_tui.demo.serving import serving
from ray_tui.step import Result
from tests.chat_servers import BOT, TOKEN, Discord
from tests.fakes import LiveContext, a_config, actual, verdicts
from tests.real.systems import Peers, free_port, require_binaries

pytestmark = pytest.mark.real

CLOCK = Clock()
DISCORD_PORT = free_port()
HOOK = f"http://127.0.0.1:{DISCORD_PORT}/api/webhooks/1/t"
ALERTMANAGER = yaml.safe_dump({
    "route": {
        "receiver": "nobody", "group_by": ["alertname", "ray_tui_probe"], "group_wait": "200ms",
        "group_interval": "1s", "repeat_interval": "1h",
        "routes": [{"matchers": ['severity="critical"'], "receiver": "chat-one", "continue": True},
                   {"matchers": ['severity="critical"'], "receiver": "chat-two"},
                   {"matchers": ['severity="page"'], "receiver": "elsewhere"}],
    },
    "receivers": [{"name": "nobody"},
                  {"name": "chat-one", "discord_configs": [{"webhook_url": HOOK}]},
                  {"name": "chat-two", "discord_configs": [{"webhook_url": HOOK}]},
                  {"name": "elsewhere", "webhook_configs": [{"url": HOOK}]}],
})  # fmt: skip


@dataclass
class Here:
    folder: Path
    discord: Discord
    tables: dict[str, Any]
    ports: Ports

    async def tested(self, attempt: int) -> Result:
        config = a_config(self.folder, **self.tables)
        return await alert_paths.run(
            LiveContext(
                self.folder, config=config, ports=self.ports, step="2.2", attempt=attempt,
                answers=lambda ask: ask.expects,
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    require_binaries("prometheus-alertmanager")
    with Peers(tmp_path_factory.mktemp("alertmanager"), ALERTMANAGER) as running:
        yield running


@pytest.fixture
async def here(peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Here]:
    monkeypatch.setenv("BOT", f"Bot {TOKEN}")
    discord = Discord(CLOCK, reacts_after=0.3)
    tables: dict[str, Any] = {
        "thresholds": {"ack_sla_seconds": 6, "delivery_seconds": 5},
        "alert_paths": {
            "webhook_receivers": {"chat-one": "ops", "chat-two": "ops"}, "poll_seconds": 0.3,
            "receivers": ["chat-one", "chat-two", "elsewhere"],
        },
        "alerting": {"kind": "alertmanager", "urls": list(peers.urls)},
        "webhooks": {
            "ops": {
                "kind": "template", "style": "discord", "headers": {"Authorization": "env:BOT"},
                "url": f"http://127.0.0.1:{DISCORD_PORT}/api/v10/channels/1/messages",
            }
        },
    }  # fmt: skip
    async with AsyncExitStack() as leaving:
        await leaving.enter_async_context(serving(discord.app, DISCORD_PORT))
        leaving.push_async_callback(discord.stop)
        ports = await leaving.enter_async_context(wiring.open_ports(a_config(tmp_path, **tables), CLOCK))
        yield Here(tmp_path, discord, tables, ports)


async def test_what_alertmanager_posts_to_discord_is_seen_and_a_persons_reaction_acknowledges(here: Here) -> None:
    """Two receivers in one channel need a message each; one that nobody named stays unobserved. (P40 P43 P45)"""
    result = await here.tested(1)

    said = verdicts(result)
    for name in ("chat-one", "chat-two"):
        assert said[f"alert_paths.delivered:{name}"] == "passed", actual(result, f"alert_paths.delivered:{name}")
        assert said[f"alert_paths.ack:{name}"] == "passed", actual(result, f"alert_paths.ack:{name}")
    rows = {one["receiver"]: one for one in result.data["receivers"]}
    assert rows["chat-one"]["integrations"] == ["discord"]
    assert rows["chat-one"]["acknowledged_by"] == "Ann Lee"
    assert rows["chat-one"]["hops"]["t4"]["source"] == "discord: date and poll"
    assert rows["chat-one"]["problems"] == []
    firing = [one for one in here.discord.messages if "[FIRING" in str(one["embeds"])]
    assert len(firing) == 2
    assert said["alert_paths.delivered:elsewhere"] == "inconclusive"
    (unseen,) = (one for one in result.criteria if one.id == "alert_paths.delivered:elsewhere")
    assert "[alert_paths.webhook_receivers] 'elsewhere'" in unseen.actual
    assert "[alert_paths.webhook_receivers] 'elsewhere'" in unseen.remedy
    assert "webhooks.ops" in result.data["skew_seconds"]


async def test_a_bots_reaction_in_discord_is_nobodys(here: Here) -> None:
    """Delivered, and not acknowledged by a person. (P43)"""
    here.discord.reacts = BOT
    result = await here.tested(2)

    assert verdicts(result)["alert_paths.delivered:chat-one"] == "passed"
    assert verdicts(result)["alert_paths.ack:chat-one"] == "failed"
    assert "not_acknowledged at t6" in actual(result, "alert_paths.ack:chat-one")


async def test_one_message_does_not_prove_two_receivers(here: Here) -> None:
    """The second message is lost on its way: the receiver whose turn it was fails. (P46)"""
    kept = here.discord.say

    def once(author: Any, content: str, at: float | None = None, **more: Any) -> Any:
        if not here.discord.messages:
            return kept(author, content, at, **more)
        return {"id": "0"}

    here.discord.say = once  # type: ignore[method-assign]
    result = await here.tested(3)

    said = [verdicts(result)[f"alert_paths.delivered:{name}"] for name in ("chat-one", "chat-two")]
    assert sorted(said) == ["failed", "passed"]
