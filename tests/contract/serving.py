"""The centre as a real HTTP server, in a thread and an event loop of its own: schemathesis is no coroutine."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import uvicorn

from tests.casework.centre import Centre, Foundation, Urls, open_centre

T = TypeVar("T")
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A centre that answers at `url`."""

    url: str
    centre: Centre
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine beside the server, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)


@contextmanager
def served_centre(folder: Path, foundation: Foundation, urls: Urls) -> Iterator[Served]:
    """Serve a copy of a foundation on a free port of this machine."""
    started: Future[Served] = Future()
    stopping = asyncio.Event()

    async def live() -> None:
        async with open_centre(folder, foundation, urls) as centre:
            # The centre keeps the application's lifespan.
            config = uvicorn.Config(centre.app, port=0, lifespan="off", log_config=None, access_log=False)
            server = _Server(config, started, centre)
            serving = asyncio.create_task(server.serve())
            await stopping.wait()
            server.should_exit = True
            await serving

    def run() -> None:
        try:
            asyncio.run(live())
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = Thread(target=run, name="centre")
    thread.start()
    served = started.result(PATIENCE_SECONDS)
    try:
        yield served
    finally:
        served.loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE_SECONDS)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: "Future[Served]", centre: Centre) -> None:
        super().__init__(config)
        self._told, self._centre = started, centre

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        served = Served(f"http://127.0.0.1:{port}", self._centre, asyncio.get_running_loop())
        self._told.set_result(served)
