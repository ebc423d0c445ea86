"""Who signs in at the API from the command line: what she is asked, and what a file may give instead."""

from collections.abc import Sequence
from pathlib import Path

import click

from casework.commands.opening import CommandRefused
from casework.commands.organisations import Login
from casework.commands.secret_files import read_passwords
from casework.imports.session import Asker
from policies.labels import ROLES
from policies.vocabulary import Role


def ask(login: str | None, passwords: Path | None) -> Asker:
    """Login and password now, second factor and role when they are needed.

    Raises:
        CommandRefused: the file has no password for her.

    """
    login = login or click.prompt("Identifiant", type=Login())
    given = read_passwords(passwords) if passwords is not None else {}
    if passwords is not None and login not in given:
        raise CommandRefused(f"--passwords : le mot de passe de « {login} » manque.")
    password = given.get(login) or click.prompt(f"Mot de passe de {login}", hide_input=True, type=str)
    return Asker(login, password, _ask_code, _ask_role)


def _ask_code() -> str:
    return str(click.prompt("Code à six chiffres", type=str)).replace(" ", "")


def _ask_role(roles: Sequence[str]) -> str:
    for role in roles:
        click.echo(f"  {role} : {ROLES[Role(role)]}")
    return str(click.prompt("Rôle", type=click.Choice(roles)))
