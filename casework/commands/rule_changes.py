"""`casework policy propose`, `approve`, `refuse`, `sets`, `export`: how an organisation changes its rules."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login, id_of
from casework.commands.progress import progress
from casework.commands.rule_files import checked, read_text
from casework.commands.rule_trials import try_on_journal
from casework.commands.secret_files import PASSWORDS_HELP, new_file, passwords_of
from casework.deployment import Deployment
from casework.organisations import ruling
from casework.organisations.key_acts import Credentials
from casework.organisations.ruling import RulesSet, State
from casework.policy_replay import DAYS
from policies.proposals import Difference, difference

_STATES = {
    State.PROPOSED: "proposé",
    State.IN_FORCE: "en vigueur",
    State.APPROVED: "approuvé, son jour n’est pas venu",
    State.PAST: "passé",
    State.REFUSED: "refusé",
    State.WITHDRAWN: "retiré",
    State.OVERTAKEN: "dépassé par un autre",
}
_SIGNED = frozenset({State.IN_FORCE, State.APPROVED, State.PAST})
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_passwords = click.option("--passwords", type=_FILE, help=PASSWORDS_HELP)


class Hash(click.ParamType[bytes]):
    """What `sha256sum` prints of the file that was reviewed."""

    name = "sha256"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            digest = bytes.fromhex(value)
        except ValueError:
            digest = b""
        if len(digest) != 32:  # noqa: PLR2004 - SHA-256
            self.fail("64 chiffres hexadécimaux sont attendus (« sha256sum FICHIER »)", param, ctx)
        return digest


class Moment(click.ParamType[datetime]):
    """An RFC 3339 time with its offset."""

    name = "moment"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("une date et une heure sont attendues : 2026-12-01T08:00:00+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail("le décalage horaire manque : 2026-12-01T08:00:00+01:00", param, ctx)
        return moment.astimezone(UTC)


@click.command(
    help="Propose à l’organisation ORG les règles du fichier FILE, après toutes les vérifications, et dit ce"
    " qu’elles changent. Elles n’entrent en vigueur qu’une fois approuvées par deux membres."
)
@click.argument("org")
@click.argument("file", type=_FILE)
@click.option("--phrases", type=_FILE, help="Les phrases avec lesquelles l’organisation essaie ses règles.")
@click.option("--from", "effective_at", type=Moment(), help="À partir de quand ; sinon dès l’approbation.")
@click.option("--custodian", type=Login(), required=True, help="La gestionnaire des clés qui propose.")
@_passwords
def propose(
    org: str,
    file: Path,
    phrases: Path | None,
    effective_at: datetime | None,
    custodian: str,
    passwords: Path | None,
) -> None:
    text = read_text(file, "FILE")
    given_phrases = read_text(phrases, "--phrases") if phrases is not None else None
    given = passwords_of([custodian], passwords)

    async def run(deployment: Deployment) -> tuple[RulesSet, Difference, list[str]]:
        id_of(deployment, org)
        engine, sets = await ruling.sets_of(deployment, org)
        # A sentence that the organisation keeps is not dropped by silence.
        tried = given_phrases if given_phrases is not None else _phrases_in_force(sets)
        slugs = frozenset(deployment.slugs.values())
        with progress("Vérification des règles"):
            told = difference(engine, checked(org, slugs, text, tried))
        past = await try_on_journal(deployment, org, text)
        credentials = Credentials(custodian, given[custodian])
        return await ruling.propose(deployment, org, text, tried, effective_at, credentials), told, past

    proposed, told, past = with_deployment(run)
    tell(told)
    click.echo(f"Sous ces règles, les {DAYS} derniers jours du journal :")
    for line in past:
        click.echo(f"  {line}")
    click.echo(f"Règles proposées : numéro {proposed.number}, empreinte {proposed.text_hash.hex()}.")
    click.echo("Deux membres, encadrement ou DPO, les approuvent : casework policy approve.")


@click.command(
    help="Signe, pour l’organisation ORG, les règles proposées sous le numéro NUMBER dont le fichier a l’empreinte"
    " SHA256, et dit ce qu’elles changent. À la seconde signature, d’une autre personne, elles sont approuvées."
)
@click.argument("org")
@click.argument("number", type=click.IntRange(1))
@click.argument("sha256", type=Hash())
@click.option("--member", type=Login(), required=True, help="Qui approuve : encadrement ou DPO.")
@_passwords
def approve(org: str, number: int, sha256: bytes, member: str, passwords: Path | None) -> None:
    given = passwords_of([member], passwords)

    async def run(deployment: Deployment) -> tuple[RulesSet, Difference]:
        id_of(deployment, org)
        engine, sets = await ruling.sets_of(deployment, org)
        proposed = next((one for one in sets if (one.number, one.text_hash) == (number, sha256)), None)
        told = Difference((), ())
        if proposed is not None:
            slugs = frozenset(deployment.slugs.values())
            with progress("Vérification des règles"):
                # Once more: the program may have changed since they were proposed.
                told = difference(engine, checked(org, slugs, proposed.text, proposed.phrases))
        credentials = Credentials(member, given[member])
        return await ruling.approve(deployment, org, number, sha256, credentials), told

    signed, told = with_deployment(run)
    tell(told)
    if signed.state is State.PROPOSED:
        click.echo("Signé. Il manque la signature d’une seconde personne.")
        return
    click.echo(f"Règles approuvées. État : {_STATES[signed.state]}.")
    if told.keys:
        click.echo("Qui détient les clés à remettre les remet ; celles à renouveler : casework keys rotate.")


@click.command(help="Refuse les règles proposées, ou retire celles que l’on a proposées soi-même.")
@click.argument("org")
@click.argument("number", type=click.IntRange(1))
@click.argument("sha256", type=Hash())
@click.option("--member", type=Login(), required=True, help="Qui refuse, ou qui retire sa proposition.")
@_passwords
def refuse(org: str, number: int, sha256: bytes, member: str, passwords: Path | None) -> None:
    given = passwords_of([member], passwords)

    async def run(deployment: Deployment) -> RulesSet:
        id_of(deployment, org)
        return await ruling.end(deployment, org, number, sha256, Credentials(member, given[member]))

    click.echo(f"Jeu de règles n° {number} : {_STATES[with_deployment(run).state]}.")


@click.command(help="Liste les règles de l’organisation ORG, proposées, approuvées et passées.")
@click.argument("org")
def sets(org: str) -> None:
    for one in with_deployment(lambda deployment: _sets(deployment, org)):
        click.echo(f"{one.number}  {one.text_hash.hex()}  {_STATES[one.state]}")


@click.command(
    help="Écrit qui a approuvé quelles règles de l’organisation ORG, à garder avec leur fichier dans les sources"
    " (policies/approvals/ORG.json)."
)
@click.argument("org")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Fichier neuf.")
def export(org: str, to: Path) -> None:
    found = with_deployment(lambda deployment: _sets(deployment, org))
    approved = [one for one in found if one.state in _SIGNED]
    told = [
        {
            "number": one.number,
            "sha256": one.text_hash.hex(),
            "effective_at": one.effective_at.isoformat(),
            # Of the founding's the root alone.
            "approved_by": [str(member) for member in one.approved_by] or ["root"],
        }
        for one in reversed(approved)
    ]
    with new_file(to) as file:
        file.write((json.dumps({"organisation": org, "sets": told}, indent=2) + "\n").encode())
    click.echo(f"{len(told)} jeu(x) de règles approuvé(s).")


@click.command(help="Écrit le texte des règles de l’organisation ORG qui portent le numéro NUMBER.")
@click.argument("org")
@click.argument("number", type=click.IntRange(1))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Fichier neuf.")
def text(org: str, number: int, to: Path) -> None:
    found = [
        one for one in with_deployment(lambda deployment: _sets(deployment, org)) if one.number == number
    ]
    if not found:
        raise CommandRefused(f"Aucun jeu de règles ne porte le numéro {number}.")
    # Several may have been proposed under one number: the one in force or approved, else the newest.
    chosen = next((one for one in found if one.state in _SIGNED), found[0])
    with new_file(to) as file:
        file.write(chosen.text.encode())
    click.echo(f"{chosen.text_hash.hex()}  {_STATES[chosen.state]}")


def _phrases_in_force(sets: list[RulesSet]) -> str:
    return next((one.phrases for one in sets if one.state is State.IN_FORCE), "")


async def _sets(deployment: Deployment, org: str) -> list[RulesSet]:
    id_of(deployment, org)
    return (await ruling.sets_of(deployment, org))[1]


def tell(told: Difference) -> None:
    for line in (*told.changes, *told.keys):
        click.echo(line)
    if not told.changes:
        click.echo("Rien ne change.")


COMMANDS = (propose, approve, refuse, sets, text, export)
