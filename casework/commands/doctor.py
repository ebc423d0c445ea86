"""`casework doctor`: every unsafe setting, one line each, with how to mend it."""

import asyncio
import os
from collections.abc import Sequence

import click
from sqlalchemy.exc import SQLAlchemyError

from casework.commands.database_inspection import inspect_database, inspect_shreds
from casework.commands.findings import Finding
from casework.commands.log_inspection import inspect_logs
from casework.commands.memory_inspection import inspect_memory
from casework.commands.peppers import inspect_peppers
from casework.commands.place_inspection import inspect_places, inspect_settings
from casework.commands.refusals import sentence
from casework.settings import SettingRefused, from_environment

_SETTINGS_MEND = "corrigez ce réglage dans l’environnement du service"


@click.command(help="Nomme chaque réglage dangereux et dit comment le corriger. Code 1 s’il y en a.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    findings = examine()
    for finding in findings:
        click.echo(str(finding))
    if findings:
        ctx.exit(1)
    click.echo("Rien de dangereux.")


def examine() -> Sequence[Finding]:
    """Everything that is unsafe; what cannot be reached is a finding, and what lies behind it is not looked at."""
    memory = inspect_memory()
    findings = [*inspect_settings(os.environ), *memory]
    if len(findings) > len(memory):
        return findings
    try:
        settings = from_environment()
    except SettingRefused as error:
        return [Finding((sentence(error) or "").rstrip("."), _SETTINGS_MEND), *memory]
    findings = [*inspect_places(settings), *memory]

    async def look() -> list[Finding]:
        unsafe, is_usable = await inspect_database(settings)
        if not is_usable:
            return unsafe
        return [
            *unsafe,
            *await inspect_shreds(settings),
            *await inspect_logs(settings),
            *await inspect_peppers(settings),
        ]

    try:
        findings += asyncio.run(look())
    except (SQLAlchemyError, OSError) as error:
        findings.append(
            Finding(
                f"CASEWORK_DATABASE_URL : la base n’a pas pu être examinée ({type(error).__name__})",
                "vérifiez l’adresse, le rôle et que la base tourne",
            )
        )
    return findings
