"""`casework member`: people join an organisation, change role, leave it, and are let in again."""

from pathlib import Path

import click

from casework.commands.charters import charter
from casework.commands.keys import say_rotated
from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.progress import progress
from casework.commands.secret_files import PASSWORDS_HELP, passwords_of
from casework.commands.sheets import invitation_page
from casework.deployment import Deployment
from casework.identity.members import Position, SecrecyBasis, initial_password, prepare_account
from casework.identity.unlocking import UnknownLogin, unlock_login
from casework.organisations.joining import Joined, join
from casework.organisations.key_acts import Credentials
from casework.organisations.positions import change_at_terminal
from casework.organisations.removal import remove as remove_member
from casework.organisations.rotation import Rotated, rotate
from policies.vocabulary import Profession, Role


@click.group(help="Les membres.")
def member() -> None:
    pass


member.add_command(charter)


_ROLE = click.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="Son rôle."
)
_PROFESSIONS = click.option(
    "--profession",
    "professions",
    type=click.Choice([str(profession) for profession in Profession]),
    multiple=True,
    help="Une de ses professions ; à répéter.",
)
_SECRECY = click.option(
    "--secrecy-basis",
    type=click.Choice([str(basis) for basis in SecrecyBasis]),
    required=True,
    help="Ce sur quoi repose son secret professionnel : sa profession, sa mission ou son contrat.",
)
_SIGNS = click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui signe.")
_HOLDERS = click.option(
    "--holder",
    "holders",
    type=Login(),
    multiple=True,
    help="Une détentrice qui renouvelle les clés qu’elle a ; à répéter.",
)
_PASSWORDS = click.option(
    "--passwords", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=PASSWORDS_HELP
)


@member.command(
    help="Ajoute un membre : la gestionnaire le certifie, et il reçoit de quoi faire ses propres clés."
)
@click.argument("org")
@click.argument("login", type=Login())
@_ROLE
@_PROFESSIONS
@_SECRECY
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
    secrecy_basis: str,
    custodian: str,
    passwords: Path | None,
) -> None:
    given = passwords_of([custodian], passwords)
    position = Position(Role(role), frozenset(Profession(word) for word in professions))

    async def run(deployment: Deployment) -> tuple[Joined, str]:
        id_of(deployment, org)
        # Nobody is told this password: she sets her own, and makes keys that this process never kept.
        basis = SecrecyBasis(secrecy_basis)
        new = prepare_account(login, initial_password(), [position], deployment.kdf_params, basis)
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
@_SIGNS
@_HOLDERS
@_PASSWORDS
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


@member.command(
    help="Change le rôle ou les professions d’une personne : la gestionnaire signe, ses sessions finissent, et les"
    " détentrices nommées renouvellent les clés qu’elle n’a plus à avoir."
)
@click.argument("org")
@click.argument("login", type=Login())
@_ROLE
@_PROFESSIONS
@_SECRECY
@_SIGNS
@_HOLDERS
@_PASSWORDS
def change(
    org: str,
    login: str,
    role: str,
    professions: tuple[str, ...],
    secrecy_basis: str,
    custodian: str,
    holders: tuple[str, ...],
    passwords: Path | None,
) -> None:
    given = passwords_of(dict.fromkeys((custodian, *holders)), passwords)
    position = Position(Role(role), frozenset(Profession(word) for word in professions))

    async def run(deployment: Deployment) -> Rotated | None:
        id_of(deployment, org)
        credentials = Credentials(custodian, given[custodian])
        changed = await change_at_terminal(
            deployment, org, login, position, SecrecyBasis(secrecy_basis), credentials
        )
        click.echo(f"Attendent une détentrice qui aura entendu ses huit mots : {_listed(changed.waiting)}.")
        click.echo(f"À renouveler, car elle n’y a plus droit : {_listed(changed.ended)}.")
        if not changed.ended:
            return None
        signing = [Credentials(holder, given[holder]) for holder in dict.fromkeys(holders)]
        with progress("Clés des dossiers") as advance:
            return await rotate(deployment, org, signing, advance=advance)

    rotated = with_deployment(run)
    if rotated is not None:
        say_rotated(rotated)


def _listed(compartments: tuple[str, ...]) -> str:
    return ", ".join(compartments) or "aucune clé"


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
