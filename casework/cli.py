"""The command line: `casework`. Exit codes: 0 fine, 1 the check failed or was refused, 2 wrong use."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from casework.commands.backup import backup, backup_key
from casework.commands.check import check
from casework.commands.doctor import doctor
from casework.commands.imports import import_
from casework.commands.journal import audit
from casework.commands.keys import keys
from casework.commands.members import member
from casework.commands.minimum import minimum
from casework.commands.organisations import org
from casework.commands.preparation import db, init
from casework.commands.refusals import sentence, usage_sentence
from casework.commands.restore import restore
from casework.commands.rights import rights
from casework.commands.rules import policy
from casework.commands.serving import serve
from casework.demo.commands import demo
from casework.own_memory import close_own_memory

# What the service writes is its own: databases, keys, exports.
UMASK = 0o077


@click.group(help="casework : les suivis de plusieurs organisations sous un même toit, chacune chez soi.")
def cli() -> None:
    pass


for command in (
    demo,
    init,
    serve,
    db,
    org,
    member,
    keys,
    import_,
    audit,
    policy,
    rights,
    doctor,
    backup_key,
    backup,
    restore,
    check,
):
    cli.add_command(command)
keys.add_command(minimum)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong is said in one sentence, without a traceback."""
    try:
        code = cli.main(args=arguments, prog_name="casework", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        click.echo(usage_sentence(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrompu.", err=True)
        return 1
    except Exception as error:  # noqa: BLE001 - the last place where an error can be kept from printing values
        words = sentence(error) or f"Erreur inattendue : {type(error).__name__}."
        click.echo(words, err=True)
        return 1
    return code if isinstance(code, int) else 0


def main() -> NoReturn:
    """The console's entry point."""
    # Every command: whichever asks for a password or a share, or opens the pepper, holds keys.
    close_own_memory()
    os.umask(UMASK)
    sys.exit(run())
