"""`casework member`: people join an organisation, leave it, and are let in again."""

from pathlib import Path

import click

from casework.commands.keys import say_rotated
from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.progress import progress
from casework.commands.secret_files import PASSWORDS_HELP, passwords_of
from casework.commands.sheets import invitation_page
from casework.deployment import Deployment
from casework.identity.members import Position, initial_password, prepare_account
from casework.identity.unlocking import UnknownLogin, unlock_login
from casework.organisations.joining import Joined, join
from casework.organisations.key_acts import Credentials
from casework.organisations.removal import remove as remove_member
from casework.organisations.rotation import Rotated, rotate
from policies.vocabulary import Profession, Role


@click.group(help="Les membres.")
def member() -> None:
    pass


@member.command(
    help="Ajoute un membre : la gestionnaire le certifie, et il reçoit de quoi faire ses propres clés."
)
@click.argument("org")
@click.argument("login", type=Login())
@click.option("--role", type=click.Choice([str(role) for role in Role]), required=True, help="Son rôle.")
@click.option(
    "--profession",
    "professions",
    type=click.Choice([str(profession) for profession in Profession]),
    multiple=True,
    help="Une de ses professions ; à répéter.",
)
@click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui certifie.")
@click.option(
    "--passwords",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fichier (mode 0600) de lignes « identifiant, tabulation, mot de passe » ; sinon, ils sont demandés.",
)
def add(
    org: str,
    login: str,
    role: str,
    professions: tuple[str, ...],
    custodian: str,
    passwords: Path | None,
) -> None:
    given = passwords_of([custodian], passwords)
    position = Position(Role(role), frozenset(Profession(word) for word in professions))

    async def run(deployment: Deployment) -> tuple[Joined, str]:
        id_of(deployment, org)
        # Nobody is told this password: she sets her own, and makes keys that this process never kept.
        new = prepare_account(login, initial_password(), [position], deployment.kdf_params)
        joined = await join(deployment, org, new, Credentials(custodian, given[custodian]))
        return joined, invitation_page(new, joined.secret, deployment.journal.origin(None))

    joined, page = with_deployment(run)
    click.echo(page)
    click.echo(f"Attendent une détentrice qui aura entendu ses huit mots : {', '.join(joined.waiting)}.")


@member.command(
    help="Retire une personne : la gestionnaire signe, ses sessions finissent, et les détentrices nommées"
    " renouvellent les clés qu’elle a connues. Interrompue, « casework keys rotate » reprend."
)
@click.argument("org")
@click.argument("login", type=Login())
@click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui signe.")
@click.option(
    "--holder",
    "holders",
    type=Login(),
    multiple=True,
    help="Une détentrice qui renouvelle les clés qu’elle a ; à répéter.",
)
@click.option(
    "--passwords",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=PASSWORDS_HELP,
)
def remove(org: str, login: str, custodian: str, holders: tuple[str, ...], passwords: Path | None) -> None:
    if login in {custodian, *holders}:
        raise CommandRefused("LOGIN : la personne à retirer ne signe pas elle-même.")
    given = passwords_of(dict.fromkeys((custodian, *holders)), passwords)

    async def run(deployment: Deployment) -> Rotated:
        id_of(deployment, org)
        removed = await remove_member(deployment, org, login, Credentials(custodian, given[custodian]))
        click.echo(f"« {login} » est retirée ; sessions terminées : {removed.sessions}.")
        signing = [Credentials(holder, given[holder]) for holder in dict.fromkeys(holders)]
        with progress("Clés des dossiers") as advance:
            return await rotate(deployment, org, signing, advance=advance)

    say_rotated(with_deployment(run))


@member.command(help="Rouvre l’accès d’un identifiant bloqué par trop d’essais ; le journal le dit.")
@click.argument("login", type=Login())
def unlock(login: str) -> None:
    try:
        with_deployment(lambda deployment: unlock_login(deployment, login))
    except UnknownLogin:
        raise CommandRefused("LOGIN : aucun compte n’a cet identifiant.") from None
    click.echo(
        f"Les essais de « {login} » sont oubliés : son mot de passe et son code sont à nouveau acceptés."
    )
