"""`casework keys minimum`: the oldest algorithm that an organisation's case keys may have."""

from pathlib import Path

import click

from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.secret_files import PASSWORDS_HELP, passwords_of
from casework.deployment import Deployment
from casework.minimum import MinimumFault, MinimumRefused, raise_minimum
from casework.organisations.key_acts import Credentials
from crypto.algorithms import CASE_ALGORITHMS, Algorithm, CaseMinimum

_NAMES = {algorithm.name.lower().replace("_", "-"): algorithm for algorithm in sorted(CASE_ALGORITHMS)}


@click.command(
    help="Relève l’algorithme des clés des dossiers : celui des nouvelles, et le plus ancien encore accepté."
    " La gestionnaire le signe ; rien ne le rabaisse jamais."
)
@click.argument("org")
@click.option("--made", type=click.Choice(list(_NAMES)), required=True, help="Celui des nouvelles clés.")
@click.option(
    "--accepted",
    type=click.Choice(list(_NAMES)),
    default=next(iter(_NAMES)),
    show_default=True,
    help="Le plus ancien qui s’ouvre encore.",
)
@click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui signe.")
@click.option(
    "--passwords", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=PASSWORDS_HELP
)
def minimum(org: str, made: str, accepted: str, custodian: str, passwords: Path | None) -> None:
    wanted = CaseMinimum(_NAMES[made], _NAMES[accepted])
    if wanted.accepted > wanted.made:
        raise CommandRefused("--accepted : les nouvelles clés (--made) ne s’ouvriraient pas.")
    given = passwords_of([custodian], passwords)

    async def run(deployment: Deployment) -> None:
        credentials = Credentials(custodian, given[custodian])
        await raise_minimum(deployment, id_of(deployment, org), credentials, wanted)

    try:
        with_deployment(run)
    except MinimumRefused as refused:
        raise CommandRefused(_sentence(refused)) from None
    click.echo(f"Nouvelles clés : {_shown(wanted.made)} ; accepté depuis : {_shown(wanted.accepted)}.")
    click.echo("Relancez le service : il le saura au plus tard à la prochaine connexion.")


def _shown(algorithm: Algorithm) -> str:
    return algorithm.name.lower().replace("_", "-")


def _sentence(refused: MinimumRefused) -> str:
    if refused.fault is MinimumFault.OLDER_KEYS:
        return f"--accepted : {refused.count} clés de dossiers plus anciennes ne s’ouvriraient plus."
    return "--made, --accepted : ce minimum n’est pas plus haut que celui en vigueur."
