"""`casework demo`: make a fresh demo and serve it; show its accounts; play the main job against it."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import rich.progress
import structlog
import uvloop
from rich.console import Console
from rich.table import Table

from casework.clock import Clock
from casework.commands.web_server import TypesOnly
from casework.demo.building import CASES, build
from casework.demo.directory import DemoDirectory, existing_directory, fresh_directory
from casework.demo.people import Authenticator
from casework.demo.progress import Progress, Stage
from casework.demo.serving import LOOPBACK, listen, serve
from casework.demo.walk import StepFailed
from casework.demo.walk import walk as play
from casework.logs import configure

DIRECTORY = Path("var/demo")
_PORT = 8000
_TABLE_WIDTH = 160

directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Répertoire de la démonstration ({DIRECTORY} sans cette option).",
)


@click.group(
    invoke_without_command=True,
    help="Prépare une démonstration aux données fictives, puis la sert sur cette machine.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="Port ; 0 pour un port libre.",
)
@directory_option
@click.pass_context
def demo(context: click.Context, port: int, directory: Path | None) -> None:
    context.obj = directory or DIRECTORY
    if context.invoked_subcommand is None:
        # The port first: nobody waits for a demo that cannot be served.
        listener = listen(port)
        with listener, fresh_directory(context.obj) as made:
            _make_and_serve(made, listener)


@demo.command(help="Montre les comptes de la démonstration : identifiants, mots de passe, secrets TOTP.")
@click.option("--json", "as_json", is_flag=True, help="En JSON, avec les clés de vérification des journaux.")
@directory_option
@click.pass_obj
def accounts(default: Path, as_json: bool, directory: Path | None) -> None:
    found = existing_directory(directory or default).read_accounts()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    table = Table("Identifiant", "Mot de passe", "Secret TOTP", "Association", "Rôle")
    for account in found:
        table.add_row(
            account.login, account.password, account.totp_secret, account.organisation, account.role
        )
    # Wide whatever the terminal: a line cut short would be a password that does not work.
    Console(width=_TABLE_WIDTH).print(table)


@demo.command(help="Joue le parcours principal par HTTP et vérifie les deux journaux hors ligne.")
@click.option(
    "--url", default=f"http://{LOOPBACK}:{_PORT}", show_default=True, help="Adresse de la démonstration."
)
@directory_option
@click.pass_context
def walk(context: click.Context, url: str, directory: Path | None) -> None:
    found = existing_directory(directory or context.obj).read_accounts()
    try:
        asyncio.run(play(url, found, _authenticator(), click.echo))
    except StepFailed as failed:
        click.echo(str(failed), err=True)
        context.exit(1)


def _make_and_serve(directory: DemoDirectory, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        with _quiet_logs(), _bars() as progress:
            runner.run(build(directory, _authenticator(), progress))
        configure()
        logging.basicConfig(handlers=[TypesOnly()], level=logging.WARNING, force=True)
        runner.run(serve(directory, listener, Clock(), lambda: click.echo(_welcome(directory, port))))
    click.echo("Démonstration arrêtée.")


def _authenticator() -> Authenticator:
    return Authenticator(
        Clock(),
        asyncio.sleep,
        lambda seconds: click.echo(f"    Ce code a déjà servi : attente du suivant ({seconds} s)."),
    )


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Leave out a line for each request while the data are made."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _bars() -> Iterator[Progress]:
    """A bar for each stage, on the error stream; nothing where no one looks at a terminal."""
    console = Console(stderr=True)
    with rich.progress.Progress(console=console, disable=not console.is_terminal) as bars:
        tasks: dict[Stage, rich.progress.TaskID] = {}

        def show(stage: Stage, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield show


def _welcome(directory: DemoDirectory, port: int) -> str:
    where = "" if directory.path == DIRECTORY else f" --directory {directory.path}"
    url = f"http://{LOOPBACK}:{port}"
    return "\n".join(
        (
            "",
            f"Démonstration prête : {url} (sur cette machine seulement).",
            f"Quatre associations, environ {CASES} dossiers : tout est fictif, rien ne décrit une personne.",
            f"Comptes : casework demo accounts{where}",
            f"Parcours : casework demo walk --url {url}{where}",
            "Ctrl+C pour arrêter ; le prochain lancement efface tout et recommence.",
            "",
        )
    )
