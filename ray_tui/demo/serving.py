"""How one demo server is put on a loopback port of the running event loop, and taken off it again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

STOP_SECONDS, GRACE_SECONDS, TICK_SECONDS = 3.0, 1.0, 1.0


class Server(uvicorn.Server):
    """Uvicorn for many servers in one loop: signals are left to the process, and an end is told, not looked for.

    Its own looks ten times a second whether it should end, then gives every connection a tenth of a second.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # renews the Date header
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()


@dataclass
class Running:
    """A server that accepts connections on ``base_url`` (``http://127.0.0.1:PORT``, no slash at the end)."""

    base_url: str
    server: Server
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop listening and drop what still hangs, within ``STOP_SECONDS``. Stopping twice is fine."""
        self.server.should_exit = True
        self.server.leaving.set()
        done, _ = await asyncio.wait({self.task}, timeout=STOP_SECONDS)
        if not done:
            self.server.force_exit = True
            self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def start(app: ASGIApp, port: int = 0, *, dates: bool = True) -> Running:
    """Serve ``app`` on 127.0.0.1 (port 0: a free one). It accepts connections when this returns.

    ``dates`` False: no Date header but the app's own.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # TCP by name: with protocol 0 asyncio leaves Nagle on, and every answer waits 40 ms for a delayed ACK.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(
        app,
        log_level="critical",
        log_config=None,
        lifespan="off",
        access_log=False,
        loop="none",
        ws="none",
        date_header=dates,
        server_header=False,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            listener.close()
            await task
            raise RuntimeError("the demo's server ended before it began to listen")
        await asyncio.sleep(0.001)
    return Running(f"http://127.0.0.1:{listener.getsockname()[1]}", server, task)


@asynccontextmanager
async def serving(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """The same for the length of a ``with`` block; gives the base URL."""
    running = await start(app, port)
    try:
        yield running.base_url
    finally:
        await running.stop()
