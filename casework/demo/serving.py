"""Serving a demo: one process, on the loopback interface and nowhere else, until somebody stops it."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from casework.app import create_app
from casework.clock import Clock
from casework.demo.directory import DemoDirectory, DemoRefused
from casework.deployment import assemble, dismantle

LOOPBACK = "127.0.0.1"


class DemoServer(uvicorn.Server):
    """Says when it answers; stops on SIGINT and SIGTERM, and leaves closing the database to whoever serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The inherited one raises the signal again before the database could be closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def listen(port: int) -> socket.socket:
    """Take a port of the loopback interface, before anything is built for it; 0 takes a free one.

    Raises:
        DemoRefused: the port is taken.

    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        raise DemoRefused(f"Le port {port} est déjà pris : choisissez-en un autre avec « --port ».") from None
    return listener


async def serve(
    directory: DemoDirectory, listener: socket.socket, clock: Clock, ready: Callable[[], None]
) -> None:
    """Serve until a signal comes; a stop answers what was asked, drains the journal and closes the database.

    `ready` is called once the service answers.

    Raises:
        DemoRefused: the database was not marked as a demo when it was made.

    """
    deployment = await assemble(directory.settings(), clock)
    try:
        if not deployment.is_demo:
            raise DemoRefused(f"La base de {directory.path} n’est pas marquée comme démonstration.")
        config = uvicorn.Config(
            create_app(deployment),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="on",
        )
        await DemoServer(config, ready).serve([listener])
    finally:
        await dismantle(deployment)
