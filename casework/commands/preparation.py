"""`casework init` and `casework db upgrade`: places, pepper, schema, and the deployment's one row."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import click
from sqlalchemy import Connection

from audit.integrator import log_is_open
from audit.tables import ROLLUP_LOG
from casework.clock import Clock
from casework.commands.opening import CommandRefused, as_owner, newest_revision, revision_of
from casework.database import UnitOfWork
from casework.journal import Deed, Journal, Who
from casework.organisations.deployments import find_mark
from casework.organisations.founding import JournalKeys, prepare_deployment
from casework.schema import upgrade
from casework.settings import SettingRefused, Settings, from_environment
from casework.shreds import ShredStore
from casework.signers import open_rollup
from crypto.pepper import FileKeyProvider, create_pepper_file

_DIRECTORIES = ("CASEWORK_DATA_DIR", "CASEWORK_STATE_DIR")
_PEPPER = "CASEWORK_PEPPER_FILE"
# A restore marks the name with 15 characters more, of 100 (audit.incarnation).
_HOST_NAME = re.compile(r"(?=.{1,80}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")


class HostName(click.ParamType[str]):
    """The journal's origin: a host name, so that no two deployments share one."""

    name = "nom d’hôte"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _HOST_NAME.match(value):
            self.fail("un nom d’hôte en minuscules est attendu, par exemple casework.example.org", param, ctx)
        return value


@click.command(help="Prépare ce déploiement : répertoires, secret du serveur, base, journal. N’écrase rien.")
@click.option(
    "--name",
    type=HostName(),
    prompt="Nom d’hôte du déploiement (par exemple casework.example.org)",
    help="Nom d’hôte sous lequel le journal est signé ; il ne change plus.",
)
def init(name: str) -> None:
    for made in make_places(os.environ):
        click.echo(f"Créé : {made}")
    settings = from_environment()
    FileKeyProvider(settings.pepper_file).pepper()
    keys = as_owner(settings, lambda connection: _prepare(connection, settings, name))
    asyncio.run(_create_shred_store(settings))
    if keys is None:
        click.echo(f"Le déploiement « {name} » était déjà préparé.")
        return
    click.echo(f"Déploiement « {name} » préparé.")
    click.echo(f"Clé de vérification de son journal : {keys.own}")
    click.echo(f"Clé de vérification du récapitulatif : {keys.rollup}")
    click.echo("Copiez le fichier de CASEWORK_PEPPER_FILE en lieu sûr, loin des sauvegardes de la base.")


@click.group(help="La base de données.")
def db() -> None:
    pass


@db.command("upgrade", help="Amène la base et le magasin d’effacement à la version du programme.")
def upgrade_database() -> None:
    settings = from_environment()
    before, rollup = as_owner(settings, lambda connection: _upgrade(connection, settings))
    asyncio.run(_create_shred_store(settings))
    after = newest_revision()
    if before == after:
        click.echo(f"La base est déjà à la révision {after}.")
    else:
        click.echo(f"Base amenée de la révision {before or 'vide'} à la révision {after}.")
    if rollup is not None:
        click.echo(f"Clé de vérification du récapitulatif : {rollup}")


def make_places(environment: Mapping[str, str]) -> list[Path]:
    """Make the directories (mode 0700) and the pepper (mode 0600) that are not there yet; returns those made.

    Raises:
        SettingRefused: a setting is missing, or a secret would stand where it must not.
        PepperRefused: the pepper's file cannot be made.

    """
    for name in (*_DIRECTORIES, _PEPPER):
        if not environment.get(name):
            raise SettingRefused(name, "is not set")
    made = []
    pepper = Path(environment[_PEPPER]).absolute()
    for path in (*(Path(environment[name]).absolute() for name in _DIRECTORIES), pepper.parent):
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            made.append(path)
    # Before the pepper is written: it must not be made inside a directory that a backup takes.
    from_environment(environment)
    if not os.path.lexists(pepper):
        create_pepper_file(pepper)
        made.append(pepper)
    return made


def _prepare(connection: Connection, settings: Settings, name: str) -> JournalKeys | None:
    """The keys of the deployment's journal and of the roll-up, or None where all of this was done before."""
    revision = revision_of(connection)
    if revision is None:
        upgrade(connection)
    elif revision != newest_revision():
        raise CommandRefused("La base n’est pas à la version du programme : lancez « casework db upgrade ».")
    known = find_mark(connection)
    if known is not None and known.name == name:
        return None
    if known is not None:
        raise CommandRefused(f"--name : ce déploiement s’appelle « {known.name} » et ne change pas de nom.")
    now = Clock().now()
    try:
        keys = prepare_deployment(connection, settings.state_dir, name, is_demo=False, now=now)
    except FileExistsError:
        raise CommandRefused(
            "CASEWORK_STATE_DIR : ce répertoire garde la clé du journal d’une autre base ; une base neuve"
            " demande un répertoire d’état neuf."
        ) from None
    Journal(name).record(UnitOfWork(connection, now), None, Who(uuid4()), Deed("deployment.create"))
    return keys


def _upgrade(connection: Connection, settings: Settings) -> tuple[str | None, str | None]:
    """The revision before, and the key of the roll-up log where this deployment begins it now."""
    before = revision_of(connection)
    upgrade(connection)
    mark = find_mark(connection)
    if mark is None or log_is_open(connection, ROLLUP_LOG):
        return before, None
    return before, str(open_rollup(connection, settings.state_dir, Journal(mark.name)).key)


async def _create_shred_store(settings: Settings) -> None:
    store = ShredStore(settings.shred_url)
    try:
        await store.create()
    finally:
        await store.dispose()
