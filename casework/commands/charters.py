"""`casework member charter`: the welcome charter that every member of an organisation accepts."""

import re
from pathlib import Path

import click

from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.secret_files import PASSWORDS_HELP, passwords_of
from casework.deployment import Deployment
from casework.identity.schemas import NOT_BLANK
from casework.organisations.charters import publish_at_terminal
from casework.organisations.key_acts import Credentials
from casework.organisations.schemas import CHARTER_LENGTH


@click.command(
    help="Met en vigueur le texte de la charte, que la gestionnaire signe : ensuite, personne ne travaille dans"
    " l’organisation avant de l’avoir accepté, elle comprise."
)
@click.argument("org")
@click.argument("text_file", metavar="TEXTFILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui signe.")
@click.option(
    "--passwords", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=PASSWORDS_HELP
)
def charter(org: str, text_file: Path, custodian: str, passwords: Path | None) -> None:
    text = _read(text_file)
    given = passwords_of([custodian], passwords)

    async def run(deployment: Deployment) -> int:
        id_of(deployment, org)
        return await publish_at_terminal(deployment, org, text, Credentials(custodian, given[custodian]))

    version = with_deployment(run)
    click.echo(f"Charte de « {org} » : version {version} en vigueur. Chacune l’accepte avant de continuer.")


def _read(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise CommandRefused("TEXTFILE : un texte en UTF-8 est attendu.") from None
    if len(text) > CHARTER_LENGTH or not re.search(NOT_BLANK, text):
        raise CommandRefused(f"TEXTFILE : un texte de 1 à {CHARTER_LENGTH} caractères est attendu.")
    return text
