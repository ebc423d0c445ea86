"""`casework serve`: one process, JSON logs, and a stop that loses nothing."""

import asyncio
import gc
from ipaddress import ip_address

import click
import structlog
import uvloop

from casework.alerting.config import AlertSettings, read_settings, require_known
from casework.alerting.delivery import Delivery
from casework.alerting.kept import KeptAlerts
from casework.alerts import keep_alerts
from casework.app import create_app
from casework.clock import Clock
from casework.commands.opening import CommandRefused, require_newest_revision
from casework.commands.web_server import answer_until_stopped, listen, log_types_only
from casework.deployment import assemble, dismantle, load_rules
from casework.dumps import remove_stale_copies
from casework.handoffs.reminding import Reminders
from casework.settings import from_environment
from crypto.pepper import FileKeyProvider

log = structlog.get_logger(__name__)


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
    log_types_only()
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
    clock = Clock()
    told = read_settings(settings.alerts_file) if settings.alerts_file is not None else AlertSettings()
    deployment = await assemble(settings, clock)
    kept = KeptAlerts(settings.state_dir, clock)
    keep_alerts(kept)
    delivery = Delivery(told, kept, settings.state_dir, deployment.journal.origin(None), clock)
    reminders = Reminders(deployment, told)
    try:
        require_known(told, deployment.slugs.values())
        if deployment.is_demo and not _is_loopback(host):
            raise CommandRefused("--host : une base de démonstration n’est servie que sur 127.0.0.1.")
        listening = listen(host, port)
        await load_rules(deployment)
        app = create_app(deployment)
        # What is loaded by now stays: a collection that walked it would hold up every answer meanwhile.
        gc.freeze()
        delivery.start()
        reminders.start()
        await answer_until_stopped(app, listening, host)
    finally:
        await reminders.stop()
        await delivery.stop()
        await dismantle(deployment)
    log.info("stopped")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
