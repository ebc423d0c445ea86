"""`casework backup-key` and `casework backup`: sealed copies that two of three persons can open."""

import io
import tarfile
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import click
from sqlalchemy import URL, Connection

from audit.tables import DEPLOYMENT_LOG
from casework.backups import Part, Set, old_shreds, read_key, store_key
from casework.clock import Clock
from casework.commands.opening import CommandRefused, newest_revision, owner_url, with_database
from casework.commands.progress import progress
from casework.commands.secret_files import new_file
from casework.commands.sheets import PAGE, fingerprint_words, share_page
from casework.copying import copying
from casework.database import Database, UnitOfWork
from casework.deployment import NotPrepared
from casework.dumps import copy_of, engine_of, remove_stale_copies
from casework.journal import Deed, Journal, Who
from casework.organisations.deployments import find_mark
from casework.settings import Settings, from_environment
from casework.shreds import COPIES_KEPT
from casework.signers import load_signer
from crypto.recovery import recovery_key, split_seed
from crypto.secret import Secret

_KEY_USE = (
    "À remettre sur papier à une seule personne, hors de ce serveur et de qui l’administre, si possible une par\n"
    "organisation. Deux parts réunies ouvrent les sauvegardes ; une seule n’apprend rien.\n"
)


@click.command(
    "backup-key", help="Crée la clé qui ouvre les sauvegardes et imprime, une seule fois, ses parts."
)
@click.option("--to", type=click.Path(path_type=Path), help="Fichier neuf (mode 0600) au lieu du terminal.")
def backup_key(to: Path | None) -> None:
    settings = from_environment()
    if read_key(settings.state_dir) is not None:
        raise CommandRefused(
            "CASEWORK_STATE_DIR : la clé des sauvegardes existe déjà ; ses parts ont été imprimées une fois."
        )
    seed = Secret.random()
    public = recovery_key(seed).public
    shares = split_seed(seed)
    pages = [
        share_page("PART DES SAUVEGARDES", "sauvegardes", number, len(shares), words.split(), _KEY_USE)
        for number, words in enumerate(shares, 1)
    ]
    if to is None:
        click.echo(("\n" + "─" * 78 + "\n\n").join(pages))
    else:
        with new_file(to) as file:
            file.write(PAGE.join(pages).encode())
    # After the shares are out: a key whose shares were lost would seal backups that nobody can open.
    store_key(settings.state_dir, public)
    click.echo(f"Clé des sauvegardes : {fingerprint_words(public)}")


@click.command(
    help="Copie base, magasin d’effacement et répertoire d’état dans DIR, le service tournant ; chaque fichier"
    " est scellé."
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
def backup(folder: Path) -> None:
    now = Clock().now()
    settings = from_environment()
    public = read_key(settings.state_dir)
    if public is None:
        raise CommandRefused("Il n’y a pas encore de clé des sauvegardes : lancez « casework backup-key ».")
    if any(folder.resolve().is_relative_to(place) for place in (settings.data_dir, settings.state_dir)):
        raise CommandRefused(
            "DIR : une sauvegarde ne va ni dans CASEWORK_DATA_DIR ni dans CASEWORK_STATE_DIR."
        )
    database_url = owner_url(settings)
    remove_stale_copies(settings.data_dir)
    # First the beginning: whoever ends the process before the end leaves it in the journal.
    name = with_database(partial(_record, "backup.begin"))
    made = Set(folder, public, now)
    try:
        manifest = _copy(settings, database_url, made, name)
    except BaseException:
        made.discard()
        raise
    with_database(partial(_record, "backup.create"))
    click.echo(f"Sauvegarde écrite : {manifest.name}")
    click.echo(f"Scellée à la clé des sauvegardes : {fingerprint_words(public)}")
    click.echo(
        "N’y sont pas : les sessions, et le secret de CASEWORK_PEPPER_FILE, à garder ailleurs, une fois."
    )
    for path in old_shreds(folder, now - COPIES_KEPT):
        click.echo(
            f"Attention : {path.name} a plus de 30 jours ; effacez-le, ou ce qui a été effacé reste lisible.",
            err=True,
        )


def _copy(settings: Settings, database_url: URL, made: Set, name: str) -> Path:
    """State, database, halves, in this order.

    Halves are committed before the rows that need them: copied after them, none is missing, as long as none is
    destroyed meanwhile. The state is never newer than the database beside it.
    """
    with progress("Répertoire d’état"):
        made.add(Part.STATE, None, pack_state(settings.state_dir))
    with copying(settings.state_dir):
        for part, url, words in (
            (Part.DATABASE, database_url, "Base"),
            (Part.SHREDS, settings.shred_url, "Magasin d’effacement"),
        ):
            with progress(words), copy_of(url, settings.data_dir) as content:
                made.add(part, engine_of(url), content)
    signer = load_signer(settings.state_dir, DEPLOYMENT_LOG, name)
    return made.finish(signer, newest_revision())


def pack_state(state_dir: Path) -> BinaryIO:
    """The files of the state directory, each of which is only ever replaced as a whole: no lock, draft or lanes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(state_dir.rglob("*")):
            if path.is_file() and path.suffix not in {".lock", ".new", ".lanes"}:
                archive.add(path, path.relative_to(state_dir).as_posix())
    packed.seek(0)
    return packed


async def _record(action: str, _settings: Settings, database: Database) -> str:
    """Journal that a backup begins, or that it is whole; returns the deployment's name."""

    def read(connection: Connection) -> str:
        mark = find_mark(connection)
        if mark is None:
            raise NotPrepared
        return mark.name

    name = await database.snapshot(read)
    await database.unit(partial(_record_backup, name, action))
    return name


def _record_backup(name: str, action: str, unit: UnitOfWork) -> None:
    Journal(name).record(unit, None, Who(uuid4()), Deed(action))
