"""`casework audit witness`: a witness that a partner hosts, for the logs of deployments that are not its own."""

import asyncio
from pathlib import Path

import click

from audit.checkpoint import NoteSigner, SignatureType, VerificationKey, require_name
from audit.errors import NoteRefused
from audit.heads import HeadsFile
from audit.witness import FILE_NAME, Witness
from casework.clock import Clock
from casework.commands.opening import CommandRefused
from casework.commands.verification_keys import VerificationKeyType
from casework.signers import load_key, new_key
from crypto.signing import verify

_KEY_FILE = "witness.key"


class WitnessName(click.ParamType[str]):
    """A URL without a scheme, as C2SP tlog-cosignature has it."""

    name = "nom"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            require_name(value)
        except NoteRefused:
            self.fail("un nom sans espace ni « + » est attendu, par exemple temoin.example.org/1", param, ctx)
        return value


@click.command(
    help="Tient un témoin : il signe le récapitulatif des journaux d’un partenaire tant que chaque nouvelle"
    " tête prolonge celles qu’il a vues. Imprime sa clé. Derrière un mandataire qui termine TLS."
)
@click.option("--name", type=WitnessName(), required=True, help="Nom du témoin ; il ne change plus.")
@click.option(
    "--state",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Répertoire de sa clé et de sa mémoire ; il n’est jamais ramené en arrière.",
)
@click.option(
    "--log",
    "logs",
    type=VerificationKeyType(),
    multiple=True,
    required=True,
    help="Clé de vérification d’un récapitulatif à suivre ; à répéter.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Adresse d’écoute.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8100, show_default=True, help="Port ; 0 : libre."
)
def witness(name: str, state: Path, logs: tuple[VerificationKey, ...], host: str, port: int) -> None:
    signer = open_signer(state, name)
    made = Witness(signer, logs, state, verify, lambda: int(Clock().now().timestamp()))
    click.echo(f"Clé de vérification du témoin : {signer.key}")
    asyncio.run(_serve(made, host, port))


def open_signer(state: Path, name: str) -> NoteSigner:
    """The witness's key, made on first use with an empty memory.

    Raises:
        SigningKeyRefused: the key is damaged, or others may read it.
        CommandRefused: the key is gone, and the memory of what it signed is not.

    """
    path, memory = state / _KEY_FILE, state / FILE_NAME
    if path.exists():
        return NoteSigner(name, load_key(path), SignatureType.COSIGNATURE)
    if HeadsFile(memory).read():
        raise CommandRefused("--state : la clé de ce témoin manque, et sa mémoire y est encore.")
    # First the memory: a key beside none has forgotten what it signed, and is refused.
    Witness.prepare(state)
    return NoteSigner(name, new_key(path), SignatureType.COSIGNATURE)


async def _serve(made: Witness, host: str, port: int) -> None:
    # Here, and not above: `audit verify` need not wait until a web server is imported.
    from casework.commands.web_server import answer_until_stopped, listen, log_types_only
    from casework.witness_app import create_witness_app

    log_types_only()
    await answer_until_stopped(create_witness_app(made), listen(host, port), host)
