"""Each command is imported when it is named, and no other is."""

import subprocess
import sys

import click

from casework.cli import cli, run


def test_every_command_is_there_under_its_name() -> None:
    context = click.Context(cli)
    names = cli.list_commands(context)
    assert {"demo", "serve", "doctor", "audit"} <= set(names)
    for name in names:
        found = cli.get_command(context, name)
        assert found is not None
        assert found.name == name
        assert found.help


def test_an_unknown_command_is_wrong_use() -> None:
    assert run(["nonsense"]) == 2


def test_whoever_verifies_a_bundle_loads_no_service() -> None:
    script = (
        "import sys; from casework.cli import run; run(['audit', 'verify', '--help']);"
        " print(sorted({'litestar', 'uvicorn', 'casework.app'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
