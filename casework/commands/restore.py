"""`casework restore`: a backup into empty places. What still stands beside them is newer, and is kept."""

import asyncio
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import click
from sqlalchemy import URL, Connection, inspect

from audit.checkpoint import VerificationKey
from audit.integrator import Pending
from audit.state import SignerState
from casework.alerting.kept import KeptAlerts
from casework.alerts import AlertKind
from casework.backups import Backup, Part
from casework.clock import Clock
from casework.commands.opening import CommandRefused, as_owner, newest_revision, owner_url
from casework.commands.progress import progress
from casework.commands.secret_files import read_shares
from casework.commands.verification_keys import VerificationKeyType
from casework.dumps import engine_of, put_back
from casework.restoring import Restored, begin_again, integrate_restored
from casework.settings import Settings, from_environment
from casework.shreds import ShredStore
from casework.sqlite import sessions_file
from crypto.pepper import FileKeyProvider, Peppers
from crypto.recovery import join_shares, recovery_key
from crypto.secret import Secret

_SHARES_NEEDED = 2


@click.command(
    help="Rétablit une sauvegarde dans une base vide. Ce qui existe encore du répertoire d’état et du magasin"
    " d’effacement est plus récent, et gardé."
)
@click.argument("manifest", metavar="MANIFESTE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    type=VerificationKeyType(),
    required=True,
    help="Clé du journal du déploiement, imprimée par « casework init ».",
)
@click.option(
    "--shreds",
    "newer",
    metavar="MANIFESTE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sauvegarde plus récente, dont prendre le magasin d’effacement : ce qui y est effacé le reste.",
)
@click.option(
    "--shares",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fichier (mode 0600) de deux parts, une par ligne, au lieu de les demander.",
)
def restore(manifest: Path, key: VerificationKey, newer: Path | None, shares: Path | None) -> None:
    settings = from_environment()
    peppers = FileKeyProvider(settings.pepper_file).peppers()
    backup = Backup(manifest, key)
    halves = Backup(newer, key) if newer is not None else backup
    _require_fitting(settings, backup, halves)
    _require_empty(settings)
    keeps_halves = _has_halves(settings)
    with progress("Vérification des fichiers"):
        backup.require_whole(Part.STATE)
        backup.require_whole(Part.DATABASE)
        if not keeps_halves:
            halves.require_whole(Part.SHREDS)
    private = recovery_key(join_shares(read_shares(shares) if shares else _ask_shares())).private
    with (
        _new_state(settings, backup, private) as state_dir,
        _discarded_on_failure(settings, keeps_halves=keeps_halves),
    ):
        if not keeps_halves:
            with progress("Magasin d’effacement"), halves.open(Part.SHREDS, private) as chunks:
                put_back(settings.shred_url, chunks)
        with progress("Base"), backup.open(Part.DATABASE, private) as chunks:
            put_back(owner_url(settings), chunks)
        restored = _go_on(settings, state_dir, peppers)
    KeptAlerts(settings.state_dir, Clock()).keep(AlertKind.RESTORED, None)
    _tell(restored, None if keeps_halves else halves.manifest.moment)


def _go_on(settings: Settings, state_dir: Path, peppers: Peppers) -> Restored:
    """Verify, rename and erase again in one transaction, then integrate what says so."""
    erased = asyncio.run(_every_erased(settings.shred_url))

    def begin(connection: Connection) -> tuple[Restored, Sequence[Pending]]:
        with progress("Vérification des journaux") as advance:
            restored = begin_again(connection, state_dir, peppers, erased, Clock().now(), advance)
        return restored, integrate_restored(connection, state_dir)

    restored, pending = as_owner(settings, begin)
    SignerState(state_dir).publish([one.checkpoint for one in pending])
    return restored


def _require_fitting(settings: Settings, backup: Backup, halves: Backup) -> None:
    if halves.manifest.made_at < backup.manifest.made_at:
        raise CommandRefused(
            "--shreds : ce magasin d’effacement est plus ancien que la base ; il lui manquerait des clés."
        )
    if halves.manifest.deployment.partition("~")[0] != backup.manifest.deployment.partition("~")[0]:
        raise CommandRefused("--shreds : cette sauvegarde est celle d’un autre déploiement.")
    if backup.manifest.revision != newest_revision():
        raise CommandRefused(
            f"MANIFESTE : la base sauvegardée est à la révision {backup.manifest.revision} ; rétablissez-la avec"
            " la version du programme qui l’a écrite, puis mettez à jour."
        )
    for part, url, source in (
        (Part.DATABASE, settings.database_url, backup),
        (Part.SHREDS, settings.shred_url, halves),
    ):
        if source.manifest.files[part].engine != engine_of(url):
            raise CommandRefused(f"MANIFESTE : « {part} » vient d’un autre moteur de base de données.")


def _require_empty(settings: Settings) -> None:
    if settings.is_sqlite:
        # A log that was left beside a file that was moved away would be played into the restored one.
        is_empty = not any(file.exists() for file in _sqlite_files(settings.sqlite_path))
    else:
        is_empty = as_owner(
            settings,
            lambda connection: (
                not inspect(connection).get_table_names()
                and "sessions" not in inspect(connection).get_schema_names()
            ),
        )
    if not is_empty:
        raise CommandRefused(
            "CASEWORK_DATABASE_URL : cette base n’est pas vide ; une sauvegarde n’écrase jamais rien."
        )


def _has_halves(settings: Settings) -> bool:
    """Whether the shred store still stands. The file of one that is empty is cleared away."""
    url = settings.shred_url
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and not path.exists():
        return False
    if asyncio.run(_holds_any(url)):
        return True
    if url.get_backend_name() == "sqlite":
        for file in _sqlite_files(path):
            file.unlink(missing_ok=True)
    return False


async def _every_erased(url: URL) -> dict[UUID, set[bytes]]:
    store = ShredStore(url)
    try:
        return await store.every_erased()
    finally:
        await store.dispose()


async def _holds_any(url: URL) -> bool:
    store = ShredStore(url)
    try:
        await store.create()
        return await store.holds_any()
    finally:
        await store.dispose()


@contextmanager
def _new_state(settings: Settings, backup: Backup, private: Secret) -> Iterator[Path]:
    """The state directory as it shall be, put in place at the end: kept if there is one, else restored."""
    standing = [path for path in settings.state_dir.iterdir() if not path.name.startswith(".")]
    with TemporaryDirectory(dir=settings.state_dir, prefix=".restore-") as folder:
        state_dir = Path(folder)
        if standing:
            for path in standing:
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, state_dir / path.name)
        else:
            with tarfile.open(fileobj=backup.read(Part.STATE, private)) as archive:
                archive.extractall(state_dir, filter="data")
        for path in state_dir.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        yield state_dir
        for path in sorted(file for file in state_dir.rglob("*") if file.is_file()):
            target = settings.state_dir / path.relative_to(state_dir)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            path.replace(target)


@contextmanager
def _discarded_on_failure(settings: Settings, *, keeps_halves: bool) -> Iterator[None]:
    """What was refused must not be served: files that were made go; on PostgreSQL the operator drops it.

    Only names that this run makes and that were free before it: what somebody keeps beside them is left.
    """
    made = [file for file in _files_made(settings, keeps_halves=keeps_halves) if not file.exists()]
    try:
        yield
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        if not settings.is_sqlite:
            click.echo("La base rétablie est refusée : supprimez-la et recréez-la vide.", err=True)
        if not keeps_halves and settings.shred_url.get_backend_name() != "sqlite":
            click.echo("Supprimez et recréez vide aussi le magasin d’effacement, qui l’était.", err=True)
        raise


def _files_made(settings: Settings, *, keeps_halves: bool) -> list[Path]:
    """Every file that a restore may leave where the databases are; none on a server."""
    databases: list[Path] = []
    if settings.is_sqlite:
        databases += [settings.sqlite_path, sessions_file(settings.sqlite_path)]
    if not keeps_halves and settings.shred_url.get_backend_name() == "sqlite":
        databases.append(Path(settings.shred_url.database or ""))
    return [file for database in databases for file in _sqlite_files(database)]


def _sqlite_files(path: Path) -> list[Path]:
    """A SQLite database's file and those that SQLite keeps beside it."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _ask_shares() -> list[str]:
    return [
        click.prompt(f"Part {number}", hide_input=True, err=True) for number in range(1, _SHARES_NEEDED + 1)
    ]


def _tell(restored: Restored, copied_at: datetime | None) -> None:
    """What was restored and what is lost; `copied_at`: when the halves were copied, if they were."""
    click.echo(f"Base rétablie. Le déploiement s’appelle désormais « {restored.name} ».")
    for origin, key in restored.keys.items():
        click.echo(f"Clé de vérification du journal {origin} : {key}")
    for origin, lost in restored.lost_entries.items():
        if lost:
            click.echo(f"Perdu du journal {origin} : {lost} écritures déjà publiées.")
    for slug, lost in restored.lost_directory_entries.items():
        if lost:
            click.echo(
                f"Attention : l’annuaire de « {slug} » a perdu {lost} entrées. Refaites-les : un membre écarté"
                " depuis ne l’est plus."
            )
    for slug, count in restored.erased_again.items():
        if count:
            click.echo(
                f"Dossiers de « {slug} » effacés depuis la sauvegarde, et effacés à nouveau : {count}."
            )
    if copied_at is None:
        click.echo("Le magasin d’effacement qui existait a été gardé : ce qui est effacé le reste.")
    else:
        click.echo(
            f"Attention : le magasin d’effacement est celui du {copied_at:%d/%m/%Y à %H:%M} UTC. Ce qui a été"
            f" effacé ensuite est revenu : refaites chaque effacement dont un certificat porte une date plus"
            " récente."
        )
    click.echo("Lancez « casework check », puis le service.")
