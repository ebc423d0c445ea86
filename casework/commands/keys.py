"""`casework keys`: an organisation's keys over the years."""

from pathlib import Path

import click

from casework.commands.minimum import minimum
from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.peppers import pepper
from casework.commands.progress import progress
from casework.commands.recovery import recover
from casework.commands.secret_files import PASSWORDS_HELP, passwords_of
from casework.deployment import Deployment
from casework.organisations.compartments import COMPARTMENTS
from casework.organisations.due import Due, Reason
from casework.organisations.key_acts import Credentials
from casework.organisations.rotation import Order, Rotated, rotate

_REASONS = {
    Reason.REMOVED: "quelqu’un qui n’y a plus droit a connu sa clé",
    Reason.NOT_ENTITLED: "une personne à qui les règles ne donnent plus sa clé l’a encore",
    Reason.ORDERED: "son renouvellement est ordonné",
    Reason.UNFINISHED: "son renouvellement n’est pas achevé",
    Reason.DROP_KEY: "sa clé de dépôt a plus d’un mois",
}


@click.group(help="Les clés d’une organisation, et le secret du serveur.")
def keys() -> None:
    pass


keys.add_command(minimum)
keys.add_command(pepper)
keys.add_command(recover)


@keys.command(
    "rotate",
    help="Renouvelle les clés qui doivent l’être ; interrompue, la même commande reprend où elle en était."
    " Le service continue pendant ce temps.",
)
@click.argument("org")
@click.option(
    "--holder",
    "holders",
    type=Login(),
    multiple=True,
    required=True,
    help="Une détentrice qui renouvelle les clés qu’elle a ; à répéter.",
)
@click.option(
    "--compartment",
    "compartments",
    type=click.Choice(COMPARTMENTS),
    multiple=True,
    help="Un compartiment à renouveler sans attendre ; à répéter, avec --custodian.",
)
@click.option("--custodian", type=Login(), help="La gestionnaire des clés qui l’ordonne.")
@click.option(
    "--passwords", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=PASSWORDS_HELP
)
def rotate_(
    org: str,
    holders: tuple[str, ...],
    compartments: tuple[str, ...],
    custodian: str | None,
    passwords: Path | None,
) -> None:
    if bool(compartments) is not (custodian is not None):
        raise CommandRefused("--compartment et --custodian vont ensemble : la gestionnaire ordonne.")
    signers = dict.fromkeys((*holders, *([custodian] if custodian is not None else [])))
    given = passwords_of(signers, passwords)
    order = Order(Credentials(custodian, given[custodian]), compartments) if custodian is not None else None

    async def run(deployment: Deployment) -> Rotated:
        id_of(deployment, org)
        signing = [Credentials(holder, given[holder]) for holder in dict.fromkeys(holders)]
        with progress("Clés des dossiers") as advance:
            return await rotate(deployment, org, signing, order, advance)

    say_rotated(with_deployment(run))


def say_rotated(rotated: Rotated) -> None:
    """Print what was renewed, and what waits for another holder."""
    click.echo(f"Clés renouvelées : {', '.join(rotated.keks) or 'aucune'}.")
    click.echo(f"Clés de dépôt renouvelées : {', '.join(rotated.drops) or 'aucune'}.")
    if rotated.destroyed:
        old = ", ".join(f"{compartment} n° {number}" for compartment, number in rotated.destroyed)
        click.echo(f"Anciennes clés de dépôt détruites : {old}.")
    for due in rotated.waiting:
        click.echo(f"En attente d’une détentrice : {due.compartment} ({words(due)}).")


def words(due: Due) -> str:
    """Why a compartment's keys are due."""
    return _REASONS[due.reason]
