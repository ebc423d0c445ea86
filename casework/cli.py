"""The command line: `casework`. Exit codes: 0 fine, 1 the check failed or was refused, 2 wrong use."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from casework.own_memory import close_own_memory

# What the service writes is its own: databases, keys, exports.
UMASK = 0o077

_PLACES = {
    "demo": "casework.demo.commands:demo",
    "init": "casework.commands.preparation:init",
    "serve": "casework.commands.serving:serve",
    "db": "casework.commands.preparation:db",
    "org": "casework.commands.organisations:org",
    "member": "casework.commands.members:member",
    "keys": "casework.commands.keys:keys",
    "import": "casework.commands.imports:import_",
    "alert": "casework.commands.alerting:alert",
    "audit": "casework.commands.journal:audit",
    "policy": "casework.commands.rules:policy",
    "rights": "casework.commands.rights:rights",
    "retention": "casework.commands.retention:retention",
    "doctor": "casework.commands.doctor:doctor",
    "backup-key": "casework.commands.backup:backup_key",
    "backup": "casework.commands.backup:backup",
    "restore": "casework.commands.restore:restore",
    "check": "casework.commands.check:check",
}


class _OnDemand(click.Group):
    """Imports a command's module once it is named: all take two seconds, `audit verify` alone half of that."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return sorted(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        module, _, name = _PLACES.get(cmd_name, "").partition(":")
        found = getattr(import_module(module), name) if module else None
        assert found is None or isinstance(found, click.Command)
        return found


@click.group(
    cls=_OnDemand,
    help="casework : les suivis de plusieurs organisations sous un même toit, chacune chez soi.",
)
def cli() -> None:
    pass


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong is said in one sentence, without a traceback."""
    try:
        code = cli.main(args=arguments, prog_name="casework", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        from casework.commands.refusals import usage_sentence

        click.echo(usage_sentence(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrompu.", err=True)
        return 1
    except Exception as error:  # noqa: BLE001 - the last place where an error can be kept from printing values
        from casework.commands.refusals import sentence

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
