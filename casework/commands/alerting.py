"""`casework alert`: whether alerts arrive."""

import asyncio

import click

from casework.alerting.config import SETTING, AlertSettings, read_settings
from casework.alerting.delivery import try_channels
from casework.clock import Clock
from casework.commands.opening import CommandRefused, with_database
from casework.database import Database
from casework.deployment import NotPrepared
from casework.organisations.deployments import find_mark
from casework.settings import Settings


@click.group(help="Les alertes : qui est prévenu quand quelque chose ne va pas.")
def alert() -> None:
    pass


@alert.command(help="Envoie un message d’essai par chaque voie réglée. Code 1 si l’une ne le prend pas.")
@click.pass_context
def test(ctx: click.Context) -> None:
    async def run(settings: Settings, database: Database) -> tuple[str, AlertSettings]:
        if settings.alerts_file is None:
            raise CommandRefused(f"{SETTING} : n’est pas défini : personne n’est prévenu.")
        mark = await database.snapshot(find_mark)
        if mark is None:
            raise NotPrepared
        return mark.name, read_settings(settings.alerts_file)

    name, told = with_database(run)
    failed = False
    for channel, fault in asyncio.run(try_channels(told, name, Clock().now())):
        failed |= fault is not None
        click.echo(f"{channel} : {'pris' if fault is None else f'refusé ({fault})'}")
    if failed:
        ctx.exit(1)
