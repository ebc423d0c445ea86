"""The web server of a process that a person starts: what it logs, where it listens, and how it stops."""

import logging
import signal
import socket

import structlog
import uvicorn
from litestar import Litestar

from casework.commands.opening import CommandRefused
from casework.logs import configure

# How long a stop waits for answers that are being sent.
STOP_SECONDS = 30
# A proxy on this machine may say for whom it asks; nobody else is believed.
TRUSTED_PROXIES = ["127.0.0.1", "::1"]

log = structlog.get_logger(__name__)


class TypesOnly(logging.Handler):
    """What libraries log, as the name of the logger and the type of the error: their texts may show a value."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        log.warning(
            "library", logger=record.name, severity=record.levelname, error=kind.__name__ if kind else None
        )


def log_types_only() -> None:
    """Log in JSON, and of libraries no text of their own."""
    configure()
    logging.basicConfig(handlers=[TypesOnly()], level=logging.WARNING, force=True)


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandRefused(f"--host, --port : l’adresse ne peut pas être ouverte ({reason}).") from None


async def answer_until_stopped(app: Litestar, listening: socket.socket, host: str) -> None:
    """Serve until SIGINT or SIGTERM; what was accepted by then is answered."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        forwarded_allow_ips=TRUSTED_PROXIES,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    # uvicorn raises the signal that stopped it once more when it is done: what follows must still run.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _nothing_more)
    log.info("serving", host=host, port=listening.getsockname()[1])
    await uvicorn.Server(config).serve(sockets=[listening])


def _nothing_more(_number: int, _frame: object) -> None:
    pass
