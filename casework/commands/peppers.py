"""`casework keys pepper`: another secret of the server, and what `doctor` says until the one before can go."""

from functools import partial

import click

from casework.clock import Clock
from casework.commands.findings import Finding
from casework.commands.opening import with_deployment
from casework.deployment import make_database
from casework.identity.pepper_rotation import rotate_pepper, waiting_for_sign_in
from casework.organisations.founding import organisation_slugs
from casework.rights.erasing import renew_proofs
from casework.settings import Settings, from_environment
from crypto.errors import PepperRefused
from crypto.pepper import FileKeyProvider

_PEPPER = "CASEWORK_PEPPER_FILE"


@click.command(
    help="Change le secret du serveur (CASEWORK_PEPPER_FILE), le service étant arrêté. Interrompue, la même"
    " commande reprend où elle en était."
)
def pepper() -> None:
    provider = FileKeyProvider(from_environment().pepper_file)
    rotated = with_deployment(lambda deployment: rotate_pepper(deployment, provider, renew_proofs))
    click.echo(f"Nouveau secret en vigueur ; comptes scellés avec lui : {rotated.sealed}.")
    click.echo("Toutes les sessions sont terminées, et les renouvellements en attente sont à recommencer.")
    click.echo(f"Comptes qui attendent leur prochaine connexion : {rotated.waiting}.")
    click.echo(
        "Copiez le nouveau fichier en lieu sûr ; gardez l’ancien tant que « casework doctor » le demande."
    )


async def inspect_peppers(settings: Settings) -> list[Finding]:
    """Whether a change of pepper was interrupted, and for whom the one before must still be kept."""
    provider = FileKeyProvider(settings.pepper_file)
    try:
        current = provider.pepper()
    except PepperRefused:
        # `inspect_places` says it.
        return []
    if provider.next_path.exists():
        return [
            Finding(f"{_PEPPER} : un changement de secret est interrompu", "lancez « casework keys pepper »")
        ]
    database = make_database(settings, Clock())
    try:
        waiting = 0
        for org_id in await database.snapshot(organisation_slugs):
            count = partial(waiting_for_sign_in, org_id=org_id, current=current.id)
            waiting += await database.snapshot(count, org_id)
    finally:
        await database.stop()
    if waiting:
        return [
            Finding(
                f"{_PEPPER} : comptes qui ont encore besoin de l’ancien secret : {waiting}",
                "ils le quittent à leur prochaine connexion ; gardez jusque-là le fichier de l’ancien secret",
            )
        ]
    return [
        Finding(f"{_PEPPER} : un ancien secret ne sert plus à rien", f"détruisez-le (shred -u {path.name})")
        for path in provider.older()
    ]
