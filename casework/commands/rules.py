"""`casework policy`: are the policies sound, do they keep their sentences, who may do what."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

import policies
from casework.commands.opening import with_deployment
from casework.commands.progress import progress
from casework.commands.rule_changes import COMMANDS
from casework.commands.rule_files import read_text
from casework.commands.rule_trials import try_on_journal
from casework.policy_replay import DAYS
from policies.diff import BasesDiffer, compare, key_changes
from policies.engine import Engine
from policies.lint import SAYS, Finding, PolicyRefused, Rule, parse
from policies.matrix import matrix as matrix_of
from policies.matrix import matrix_path
from policies.phrases import broken_phrases, phrases_of
from policies.sources import NotAnOrganisation, Source, base_source, require_slug
from policies.wording import key_sentence, sentence


@click.group(help="Les règles d’accès.")
def policy() -> None:
    pass


for change in COMMANDS:
    policy.add_command(change)


@policy.command(
    help="Valide les règles de toutes les organisations et essaie leurs phrases. Code 1 sur une faute."
)
@click.pass_context
def check(ctx: click.Context) -> None:
    orgs = known_organisations()
    faults: list[str] = []
    with progress("Vérification des règles") as advance:
        for done, org in enumerate(orgs, 1):
            faults += faults_of(org, orgs)
            advance(done, len(orgs))
    # A fault of the base is found once for each organisation.
    for fault in dict.fromkeys(faults):
        click.echo(fault, err=True)
    if faults:
        ctx.exit(1)
    click.echo(f"Règles valides : {', '.join(orgs)}.")


@policy.command(help="Imprime qui peut faire quoi dans l’organisation ORG.")
@click.argument("org")
@click.option("--write", is_flag=True, help="Écrit aussi le tableau à sa place dans les sources.")
def matrix(org: str, write: bool) -> None:
    with progress("Calcul du tableau"):
        text = matrix_of(Engine.load(org, known_organisations()))
    if write:
        matrix_path(org).write_text(text, "utf-8")
    click.echo(text, nl=False)


@policy.command(
    help="Dit ce que le fichier NEW donne et retire par rapport au fichier OLD, en toutes lettres."
)
@click.argument("old", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_context
def diff(ctx: click.Context, old: Path, new: Path) -> None:
    with progress("Comparaison des règles"):
        try:
            before, after = engine_of_file(old), engine_of_file(new)
            changes = compare(before, after)
            keys = key_changes(before, after)
        except PolicyRefused as error:
            _refuse(ctx, error)
        except BasesDiffer:
            raise click.UsageError("Ces deux fichiers ne sont pas de la même organisation.") from None
    for change in changes:
        click.echo(sentence(change))
    for key in keys:
        click.echo(key_sentence(key))
    if not changes:
        click.echo("Rien ne change.")


@policy.command(
    "replay",
    help="Rejoue sous le fichier NEW les décisions que le journal de l’organisation ORG a notées :"
    " ce qui aurait été refusé, ce qui aurait été permis.",
)
@click.argument("org")
@click.argument("new", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True, help="Jours rejoués.")
@click.pass_context
def replay_command(ctx: click.Context, org: str, new: Path, days: int) -> None:
    text = read_text(new, "NEW")

    try:
        lines = with_deployment(lambda deployment: try_on_journal(deployment, org, text, days))
    except PolicyRefused as error:
        _refuse(ctx, error)
    for line in lines:
        click.echo(line)


def _refuse(ctx: click.Context, refused: PolicyRefused) -> NoReturn:
    for finding in refused.findings:
        click.echo(str(finding), err=True)
    ctx.exit(1)


def engine_of_file(path: Path) -> Engine:
    """The engine of an organisation's file, wherever it lies; its first rule's `@id` tells the organisation.

    Raises:
        PolicyRefused: it is not a file of rules that could be loaded.

    """
    text = read_text(path, path.name)
    named = [rule.id.partition(".")[0] for rule in parse(Source(path.name, text))]
    try:
        org = require_slug(next(iter(named), ""))
    except NotAnOrganisation:
        raise PolicyRefused([Finding(path.name, "", Rule.ID, SAYS[Rule.ID])]) from None
    return Engine(org, known_organisations(), [base_source(), Source(org, text)])


def known_organisations() -> list[str]:
    """The organisations that have a policy file."""
    return sorted(path.stem for path in (Path(policies.__file__).parent / "orgs").glob("*.cedar"))


def faults_of(org: str, orgs: list[str]) -> Iterator[str]:
    """What is wrong with an organisation's policies or phrases, each naming file and policy or sentence."""
    try:
        engine = Engine.load(org, orgs)
    except PolicyRefused as error:
        yield from map(str, error.findings)
        return
    except NotAnOrganisation:
        yield f"orgs/{org}.cedar : le nom du fichier n’est pas celui d’une organisation"
        return
    try:
        phrases = phrases_of(org)
    except (OSError, ValueError) as error:
        yield f"tests/{org}.toml : phrases absentes ou malformées ({error})"
        return
    for broken in broken_phrases(engine, phrases):
        yield f"tests/{org}.toml : {broken}"
