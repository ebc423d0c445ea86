"""`casework audit compare`: whether two people were shown the same journal."""

from pathlib import Path

import click

from audit.checkpoint import Checkpoint, VerificationKey, parse_checkpoint, verify_checkpoint
from audit.errors import NoteRefused
from audit.verdict import Verdict
from casework.commands.opening import CommandRefused
from casework.commands.verification_keys import VerificationKeyType
from crypto.signing import verify


@click.command(
    help="Compare deux points de contrôle signés, gardés par deux personnes. Codes de sortie\u00a0: 0 le même"
    " journal, 20 de tailles différentes, 30 deux journaux différents ont été montrés."
)
@click.argument("one", metavar="FICHIER", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("other", metavar="FICHIER", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key", type=VerificationKeyType(), required=True, help="Clé imprimée à la création du journal."
)
@click.pass_context
def compare(ctx: click.Context, one: Path, other: Path, key: VerificationKey) -> None:
    first, second = _signed(one, key), _signed(other, key)
    if first.size != second.size:
        smaller, larger = sorted((first.size, second.size))
        click.echo(
            f"Tailles différentes ({smaller} et {larger})\u00a0: vérifiez une archive du plus grand avec"
            " « casework audit verify » et --trusted pour le plus petit."
        )
        ctx.exit(Verdict.INCOMPLETE)
    if first.root != second.root:
        click.echo(f"Deux journaux différents de {first.size} écritures ont été signés et montrés.")
        ctx.exit(Verdict.INCONSISTENT)
    click.echo(f"Le même journal de {first.size} écritures.")


def _signed(path: Path, key: VerificationKey) -> Checkpoint:
    """The head in a file, if the log's key has signed it: an unsigned one would accuse an honest log."""
    try:
        note = parse_checkpoint(path.read_text("utf-8-sig"))
        verify_checkpoint(note, [key], verify)
    except (OSError, UnicodeDecodeError, NoteRefused):
        raise CommandRefused("FICHIER\u00a0: un point de contrôle signé par cette clé est attendu.") from None
    return note.checkpoint
