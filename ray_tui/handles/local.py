"""A run in this very process: what headless holds."""

from collections.abc import AsyncIterator

from ray_tui.core.commands import Command, Reply
from ray_tui.core.facts import Actor, Entry
from ray_tui.core.handle import Link, Rewound, Transport
from ray_tui.core.readings import Reading
from ray_tui.engine import Engine


class LocalHandle:
    """A RunHandle on an engine of this process."""

    def __init__(self, engine: Engine, actor: Actor) -> None:
        self._engine = engine
        self._actor = actor
        opened = engine.state.opened
        self.run_id = opened.run_id if opened else ""
        self.person = actor.person
        self.console = actor.console
        self.read_only = False

    @property
    def link(self) -> Link:
        return Link.ENDED if self._engine.state.ended else Link.LIVE

    @property
    def transport(self) -> Transport | None:
        return None

    async def entries(self) -> AsyncIterator[Entry | Rewound]:
        async for line in self._engine.entries():
            yield line.entry

    async def readings(self) -> AsyncIterator[Reading]:
        async for readings in self._engine.live_readings():
            for reading in readings:
                yield reading

    async def submit(self, command: Command) -> Reply:
        return self._engine.submit(command, self._actor)

    async def close(self, why: str = "left") -> None:
        """Nothing to let go of: whoever made the engine ends it."""
