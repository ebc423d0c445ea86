"""`casework retention`: how long each organisation's journal is kept, and the pruning of what is older."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import click
from sqlalchemy import Connection

from casework import postgres
from casework.clock import Clock
from casework.commands.opening import CommandRefused, as_owner, url_of_role, with_deployment
from casework.commands.progress import progress
from casework.database import UnitOfWork
from casework.deployment import Deployment, NotPrepared
from casework.journal import Deed, Journal, Who
from casework.organisations.deployments import find_mark
from casework.organisations.founding import organisation_slugs
from casework.organisations.periods import LONGEST, SHORTEST, USUAL, journal_months, set_journal_months
from casework.retention import NotCovered, Prune, Pruning, find_prunable, prune
from casework.settings import from_environment

PRUNER_URL = "CASEWORK_PRUNER_URL"


@click.group(help="La conservation du journal : sa durée, et l’élagage de ce qui est plus ancien.")
def retention() -> None:
    pass


@retention.command(
    help="Élague chaque journal de ce qui dépasse la durée de conservation. Ce qui reste se vérifie comme avant."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Dit ce qui serait élagué, et ne change rien.")
@click.pass_context
def run(ctx: click.Context, *, is_dry_run: bool) -> None:
    async def work(deployment: Deployment) -> int:
        refused = 0
        async with _pruner(deployment) as as_pruner:
            with progress("Vérification") as advance:
                async for log, found in find_prunable(deployment, advance):
                    if found.count and not is_dry_run:
                        await prune(deployment, log, found, as_pruner)
                    click.echo(_in_words(found, is_dry_run=is_dry_run))
                    refused += found.refused is not None
        return refused

    try:
        ctx.exit(1 if with_deployment(work) else 0)
    except NotCovered:
        raise CommandRefused(
            "Aucun point de contrôle n’est venu couvrir l’écriture qui annonce l’élagage : rien n’a été élagué."
            " Relancez la commande."
        ) from None


@retention.command(
    help=f"Montre combien de mois est conservé le journal de l’organisation ORG ; avec MOIS, le change (de "
    f"{SHORTEST} à {LONGEST} mois)."
)
@click.argument("org")
@click.argument("months", metavar="[MOIS]", type=click.IntRange(SHORTEST, LONGEST), required=False)
def period(org: str, months: int | None) -> None:
    settings = from_environment()

    def work(connection: Connection) -> int:
        mark = find_mark(connection)
        if mark is None:
            raise NotPrepared
        org_id = next((one for one, slug in organisation_slugs(connection).items() if slug == org), None)
        if org_id is None:
            raise CommandRefused("L’organisation nommée n’existe pas dans ce déploiement.")
        if months is None:
            return journal_months(connection, org_id)
        set_journal_months(connection, org_id, months)
        unit = UnitOfWork(connection, Clock().now())
        deed = Deed("retention.set_period", count=months)
        Journal(mark.name).record(unit, (org_id, org), Who(uuid4()), deed)
        return months

    kept = as_owner(settings, work)
    click.echo(f"Le journal de « {org} » est conservé {kept} mois.")
    if kept > USUAL:
        click.echo(f"Au-delà de {USUAL} mois, la CNIL demande que le besoin soit documenté (2021-122).")


@asynccontextmanager
async def _pruner(deployment: Deployment) -> AsyncIterator[Prune]:
    """A way to run transactions with the pruner's rights; on SQLite whoever may write the file has them."""
    if deployment.settings.is_sqlite:
        yield deployment.database.integrate
        return
    engine = postgres.make_engine(url_of_role(PRUNER_URL), pool_size=1)

    async def as_pruner(work: Callable[[Connection], int]) -> int:
        async with engine.begin() as connection:
            return await connection.run_sync(work)

    try:
        yield as_pruner
    finally:
        await engine.dispose()


def _in_words(found: Pruning, *, is_dry_run: bool) -> str:
    name = f"« {found.slug} »" if found.slug is not None else "Journal du déploiement"
    if found.refused is not None:
        return f"{name} : rien n’est élagué d’un journal refusé ({found.refused.words})."
    kept = f"conservation : {found.months} mois"
    if found.is_held:
        kept += ", et plus pour une procédure en cours"
    if found.is_unreviewed:
        kept += ", et plus pour un accès d’urgence que personne n’a revu"
    if not found.count:
        return f"{name} : rien à élaguer ({kept})."
    gone = "seraient élaguées" if is_dry_run else "ont été élaguées"
    return f"{name} : {found.count} écritures d’avant le {found.before:%d/%m/%Y} {gone} ({kept})."
