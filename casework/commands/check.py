"""`casework check`: everything that can be verified without a key, of the deployment or of a backup's files."""

from pathlib import Path

import click

from audit.checkpoint import VerificationKey
from casework.backups import Backup, BackupRefused, Part
from casework.clock import Clock
from casework.commands.opening import with_database
from casework.commands.progress import progress
from casework.commands.verification_keys import VerificationKeyType
from casework.database import Database
from casework.integrity import Check, check_deployment
from casework.settings import Settings
from casework.shreds import COPIES_KEPT, ShredStore


@click.command(
    help="Vérifie la base, chaque journal, chaque annuaire et les clés des dossiers, sans en ouvrir aucune ; ou,"
    " avec --backup et --key, les fichiers d’une sauvegarde. Code 1 si quelque chose est en cause."
)
@click.option(
    "--backup",
    "manifest",
    metavar="MANIFESTE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Vérifie les fichiers de cette sauvegarde au lieu du déploiement.",
)
@click.option("--key", type=VerificationKeyType(), help="Clé du journal du déploiement, pour --backup.")
@click.pass_context
def check(ctx: click.Context, manifest: Path | None, key: VerificationKey | None) -> None:
    if (manifest is None) is not (key is None):
        raise click.UsageError("--backup and --key go together", ctx)
    if manifest is not None and key is not None:
        found = _check_backup(manifest, key)
    else:
        found = with_database(_check_deployment)
    for one in found:
        click.echo(f"{'✓' if one.passed else '✗'} {one.what} : {one.words}")
    if not all(one.passed for one in found):
        ctx.exit(1)


async def _check_deployment(settings: Settings, database: Database) -> list[Check]:
    shreds = ShredStore(settings.shred_url)
    try:
        with progress("Vérification") as advance:
            return await check_deployment(database, shreds, settings.state_dir, advance)
    finally:
        await shreds.dispose()


def _check_backup(manifest: Path, key: VerificationKey) -> list[Check]:
    """What a backup shows to who cannot open it: that it is whole and the one that was written."""
    backup = Backup(manifest, key)
    made = backup.manifest.moment
    found = [Check("manifeste", passed=True, words=f"signé, sauvegarde du {made:%d/%m/%Y à %H:%M} UTC")]
    with progress("Vérification") as advance:
        for done, part in enumerate(Part, 1):
            try:
                backup.require_whole(part)
            except BackupRefused as error:
                found.append(Check(part.label, passed=False, words=str(error)))
            else:
                found.append(
                    Check(part.label, passed=True, words="le fichier est celui qui a été sauvegardé")
                )
            advance(done, len(Part))
    if made < Clock().now() - COPIES_KEPT:
        words = "il a plus de 30 jours : effacez-le, ou ce qui a été effacé depuis reste lisible"
        found.append(Check(f"{Part.SHREDS}, durée de conservation", passed=False, words=words))
    return found
