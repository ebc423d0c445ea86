"""`casework serve`: one process, JSON logs, and a stop that loses nothing."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import click
import structlog
import uvicorn
import uvloop

from casework.alerting.config import AlertSettings, read_settings, require_known
from casework.alerting.daily import DailyCheckpoints
from casework.alerting.delivery import Delivery
from casework.alerting.kept import KeptAlerts
from casework.alerts import keep_alerts
from casework.app import create_app
from casework.clock import Clock
from casework.commands.opening import CommandRefused, require_newest_revision
from casework.deployment import Deployment, assemble, dismantle
from casework.dumps import remove_stale_copies
from casework.logs import configure
from casework.settings import from_environment
from crypto.pepper import FileKeyProvider

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


@click.command(help="Sert l’application. Derrière un mandataire qui termine TLS (docs/how-to/run.md).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Adresse d’écoute.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Port ; 0 pour un port libre.",
)
def serve(host: str, port: int) -> None:
    configure()
    logging.basicConfig(handlers=[TypesOnly()], level=logging.WARNING, force=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(host, port))


async def _serve(host: str, port: int) -> None:
    settings = from_environment()
    # What an interrupted backup left holds halves that an erasure would not reach.
    remove_stale_copies(settings.data_dir)
    await require_newest_revision(settings)
    if FileKeyProvider(settings.pepper_file).next_path.exists():
        raise CommandRefused(
            "CASEWORK_PEPPER_FILE : un changement de secret est interrompu : relancez « casework keys pepper »."
        )
    deployment = await assemble(settings, Clock())
    try:
        if deployment.is_demo and not _is_loopback(host):
            raise CommandRefused("--host : une base de démonstration n’est servie que sur 127.0.0.1.")
        listening = _listen(host, port)
        config = uvicorn.Config(
            create_app(deployment),
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
        # What is loaded by now stays: a collection that walked it would hold up every answer meanwhile.
        gc.freeze()
        async with _telling(deployment):
            log.info("serving", host=host, port=listening.getsockname()[1])
            await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await dismantle(deployment)
    log.info("stopped")


@asynccontextmanager
async def _telling(deployment: Deployment) -> AsyncIterator[None]:
    """Keep what is raised meanwhile, and tell whoever is to be told."""
    settings, clock = deployment.settings, deployment.clock
    told = read_settings(settings.alerts_file) if settings.alerts_file is not None else AlertSettings()
    require_known(told, deployment.slugs.values())
    kept = KeptAlerts(settings.state_dir, clock)
    keep_alerts(kept)
    daily = DailyCheckpoints(told, kept, deployment.database, deployment.slugs)
    delivery = Delivery(told, kept, daily, settings.state_dir, deployment.journal.origin(None), clock)
    delivery.start()
    try:
        yield
    finally:
        await delivery.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandRefused(f"--host, --port : l’adresse ne peut pas être ouverte ({reason}).") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _nothing_more(_number: int, _frame: object) -> None:
    pass
