"""The pages for operators name commands, options and probes that there are."""

import re
from pathlib import Path

import click
import pytest

from casework.cli import cli
from tests.conventions.project import ROOT
from tests.conventions.routes import ROUTES

PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
# In an indented block or between backticks: the command, then its words up to the end of the block's line.
_COMMAND = re.compile(r"(?:^ {4}|`)(?:cw|cw_owner|casework) ([^`\n]*)", re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    found = (line.split() for line in _COMMAND.findall(page.read_text("utf-8")))
    return [words for words in found if words != ["…"]]


def find(words: list[str]) -> click.Command:
    """The command that the words name."""
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        assert found is not None, words
        command = found
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_of_a_page_is_there(page: Path) -> None:
    for words in commands(page):
        known = {option for parameter in find(words).params for option in parameter.opts}
        options = {word for word in words if word.startswith("--")}
        assert options <= known, words


def test_the_pages_name_what_an_upgrade_and_a_restore_need() -> None:
    named = {" ".join(words[:1]) for page in PAGES for words in commands(page)}
    assert {"backup-key", "backup", "restore", "check", "doctor", "db", "serve"} <= named


def test_every_probe_that_a_page_names_is_a_route() -> None:
    probes = {probe for page in PAGES for probe in re.findall(r"/health/\w+", page.read_text("utf-8"))}
    assert {("GET", probe) for probe in probes} <= ROUTES.keys()
