"""`casework audit rotate-key` and `retire-key`: another signing key for a log, in two steps that no kill spoils."""

import asyncio
from functools import partial
from uuid import UUID, uuid4

import click
from sqlalchemy import Connection

from audit.checkpoint import NoteSigner
from audit.integrator import integrate
from audit.rotation import says, waits
from audit.signing_keys import RETIRED_ACTION, ROTATED_ACTION
from audit.state import SignerState
from audit.tables import DEPLOYMENT_LOG
from casework.commands.found_logs import find_log
from casework.commands.opening import CommandRefused, with_database
from casework.database import Database, UnitOfWork
from casework.journal import Deed, Journal, Who
from casework.settings import Settings
from casework.signers import begin_succession, end_succession, log_signers

_ATTEMPTS = 100
_PAUSE_SECONDS = 0.2


@click.command(
    "rotate-key",
    help="Donne au journal de l’organisation ORG (ou du déploiement) une nouvelle clé de signature ; les deux"
    " signent ensuite, jusqu’à « retire-key ». Interrompue, la même commande reprend.",
)
@click.argument("org")
def rotate_key(org: str) -> None:
    async def run(settings: Settings, database: Database) -> NoteSigner:
        name, log = await find_log(database, org)
        origin = _origin(name, log, org)
        # First the key: an announcement of one that nobody has would be refused.
        new = begin_succession(settings.state_dir, log.bytes, origin)
        await _announce(settings, database, log, org, name, ROTATED_ACTION, new.key.public)
        return new

    new = with_database(run)
    click.echo(f"Nouvelle clé de vérification du journal : {new.key}")
    click.echo("Donnez-la à qui vérifie ce journal, puis lancez « casework audit retire-key ».")


@click.command(
    "retire-key",
    help="Retire l’ancienne clé de signature du journal de l’organisation ORG : la nouvelle signe seule, et"
    " l’ancienne est détruite. Interrompue, la même commande reprend.",
)
@click.argument("org")
def retire_key(org: str) -> None:
    async def run(settings: Settings, database: Database) -> None:
        name, log = await find_log(database, org)
        old, *new = log_signers(settings.state_dir, log.bytes, _origin(name, log, org))
        if not new or not await database.snapshot(
            lambda connection: says(connection, log.bytes, ROTATED_ACTION, new[0].key.public), log
        ):
            raise CommandRefused(
                "ORG : aucune nouvelle clé n’est annoncée : lancez « casework audit rotate-key »."
            )
        await _announce(settings, database, log, org, name, RETIRED_ACTION, old.key.public)
        end_succession(settings.state_dir, log.bytes)

    with_database(run)
    click.echo("L’ancienne clé est retirée et détruite.")


async def _announce(
    settings: Settings, database: Database, log: UUID, org: str, name: str, action: str, key: bytes
) -> None:
    """Have the log say it once, under a published checkpoint when this returns.

    Raises:
        CommandRefused: nobody integrates.

    """
    signers = {log.bytes: log_signers(settings.state_dir, log.bytes, _origin(name, log, org))}
    state = SignerState(settings.state_dir)

    def is_there(connection: Connection) -> bool:
        return any(holds(connection, log.bytes, action, key) for holds in (says, waits))

    if not await database.integrate(is_there):
        await database.unit(partial(_record, name, log, org, action, key))
    for _ in range(_ATTEMPTS):
        pending = await database.integrate(partial(integrate, signers=signers, state=state))
        await asyncio.to_thread(state.publish, [one.checkpoint for one in pending])
        if await database.integrate(lambda connection: says(connection, log.bytes, action, key)):
            return
        # A service that integrates at this moment takes it along.
        await asyncio.sleep(_PAUSE_SECONDS)
    raise CommandRefused("Le journal n’est pas intégré en ce moment : recommencez.")


def _record(name: str, log: UUID, org: str, action: str, key: bytes, unit: UnitOfWork) -> None:
    unit.enter_organisation(log)
    where = (log, org) if log.bytes != DEPLOYMENT_LOG else None
    Journal(name).record(unit, where, Who(uuid4()), Deed(action, policy_set=key.hex()))


def _origin(name: str, log: UUID, org: str) -> str:
    return Journal(name).origin(org if log.bytes != DEPLOYMENT_LOG else None)
