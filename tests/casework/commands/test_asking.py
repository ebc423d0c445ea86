"""Questions are asked, and their answers understood, in French."""

import click
import pytest
from click.testing import CliRunner

from casework.commands.asking import agrees, require_agreement


@click.command()
def _ask() -> None:
    click.echo(agrees("Est-ce elle ?"))


@click.command()
def _require() -> None:
    require_agreement("Est-ce elle ?")
    click.echo("suite")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("o\n", True), ("OUI\n", True), ("n\n", False), ("non\n", False), ("\n", False), ("y\no\n", True)],
)
def test_yes_and_no_are_french(typed: str, answer: bool) -> None:
    ran = CliRunner().invoke(_ask, input=typed)
    assert ran.output.splitlines()[-1] == str(answer)
    assert "[o/N]" in ran.output
    assert "[y/N]" not in ran.output
    assert "invalid" not in ran.output
    assert ("Répondez par o" in ran.output) == (typed[0] == "y")


def test_without_a_yes_nothing_goes_on() -> None:
    for typed in ("n\n", "\n", ""):
        ran = CliRunner().invoke(_require, input=typed)
        assert (ran.exit_code, "suite" in ran.output) == (1, False)
    assert "suite" in CliRunner().invoke(_require, input="o\n").output
