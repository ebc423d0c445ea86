"""`casework import`: the cases of a spreadsheet, opened through the API in a worker's own session."""

import asyncio
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
import httpx

from casework.clock import Clock
from casework.commands.asking import agrees
from casework.commands.opening import CommandRefused
from casework.commands.organisations import Login
from casework.commands.progress import progress
from casework.commands.signing_in import ask
from casework.imports import sending
from casework.imports.checking import Checked, Line, check
from casework.imports.errors import ImportRefused
from casework.imports.progress_file import SUFFIX, ProgressFile, progress_file
from casework.imports.reading import MAX_BYTES, Sheet, read_sheet
from casework.imports.sending import Outcome
from casework.imports.session import Asker, make_client, session
from casework.imports.template import template as template_text

_FAULTS_SHOWN = 200


@click.group(name="import", help="Reprend les dossiers d’un tableur.")
def import_() -> None:
    pass


@import_.command(help="Montre l’en-tête attendu et une ligne d’exemple (fictive), en CSV.")
def template() -> None:
    click.echo(template_text(), nl=False)


@import_.command(
    help="Ouvre un dossier par ligne de FILE (CSV), par l’API et dans votre session. Relancée après une "
    "interruption, la commande reprend où elle s’était arrêtée."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option(
    "--dry-run", "is_dry_run", is_flag=True, help="Vérifie le fichier, sans connexion et sans rien envoyer."
)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Adresse du service.")
@click.option("--login", type=Login(), help="Votre identifiant ; sinon, il est demandé.")
@click.option(
    "--passwords",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fichier (mode 0600) de lignes « identifiant, tabulation, mot de passe » ; sinon, il est demandé.",
)
def cases(file: Path, *, is_dry_run: bool, url: str, login: str | None, passwords: Path | None) -> None:
    sheet, checked = _checked(file)
    _say_checked(sheet, checked)
    if is_dry_run:
        click.echo("Rien n’a été envoyé. Vos droits seront vérifiés à l’import, avant le premier dossier.")
        return
    http = make_client(url)
    with progress_file(file, sheet.digest) as made:
        asker = ask(login, passwords)
        outcome = asyncio.run(_import(http, asker, sheet.digest, checked.lines, made))
    _say_outcome(outcome, len(checked.lines))


async def _import(
    http: httpx.AsyncClient, asker: Asker, digest: str, lines: Sequence[Line], made: ProgressFile
) -> Outcome:
    async with http, session(http, asker) as signed_in:
        clock = Clock()
        sending.begin(signed_in, digest, lines, made)
        sending.settle(lines, made, clock.now(), _is_there)
        with progress("Dossiers") as show:
            return await sending.send(signed_in, lines, made, clock, show)


def _checked(file: Path) -> tuple[Sheet, Checked]:
    """The file, read once: what is checked is what is sent."""
    try:
        with file.open("rb") as opened:
            if not stat.S_ISREG(file.stat().st_mode):
                raise CommandRefused("FILE : il faut un fichier ordinaire, enregistré sur cette machine.")
            content = opened.read(MAX_BYTES + 1)
    except OSError:
        raise CommandRefused("FILE : le fichier est illisible.") from None
    sheet = read_sheet(content)
    return sheet, check(sheet)


def _say_checked(sheet: Sheet, checked: Checked) -> None:
    """Say what was found, by row and column.

    Raises:
        ImportRefused: a row has a fault; then no row is imported.

    """
    click.echo(f"{_count(len(sheet.rows), 'ligne')} ; {sheet.encoding}, séparateur : {sheet.separator}.")
    for fault in checked.faults[:_FAULTS_SHOWN]:
        click.echo(str(fault))
    for rows in checked.twins:
        click.echo(
            f"Attention : les lignes {', '.join(map(str, rows))} semblent décrire une même personne "
            "(mêmes noms, même date de naissance)."
        )
    if checked.faults:
        raise ImportRefused(f"{_count(len(checked.faults), 'erreur')} : rien n’a été importé.")
    click.echo("Aucune erreur.")


def _say_outcome(outcome: Outcome, total: int) -> None:
    """Say how far it came, and why no further.

    Raises:
        ImportRefused: not every row is a case.

    """
    created = f"{_count(outcome.created, 'dossier')} {_agree(outcome.created, 'créé')}"
    click.echo(f"{created}, {outcome.already} déjà {_agree(outcome.already, 'importé')}.")
    if outcome.stopped is not None:
        left = total - outcome.created - outcome.already
        raise ImportRefused(
            f"{outcome.stopped} Il reste {_count(left, 'ligne')} : relancez la même commande, elle reprendra là."
        )
    click.echo(
        "Le fichier CSV est en clair : toute personne qui l’ouvre lit ces dossiers. Vérifiez quelques dossiers, "
        f"puis effacez-le définitivement, avec son fichier « {SUFFIX} », ainsi que l’original et ses copies : "
        "pièces jointes, espace partagé, clé USB, corbeille, sauvegardes du poste."
    )


def _is_there(row: int, at: datetime) -> bool:
    click.echo(
        f"Ligne {row} : envoyée le {at.astimezone():%d/%m/%Y à %H:%M}, sans réponse. Cherchez cette personne dans "
        "vos dossiers avant de répondre."
    )
    return agrees("Son dossier est-il déjà là ?")


def _count(number: int, noun: str) -> str:
    return f"{number} {_agree(number, noun)}"


def _agree(number: int, word: str) -> str:
    return word if number < 2 else f"{word}s"  # noqa: PLR2004 - French: one and a half is singular
