"""`casework rights`: erasures, in the session of whoever prepares or approves them; and halves without an owner."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
import httpx
import msgspec

from casework.commands.opening import CommandRefused, with_deployment
from casework.commands.organisations import Login
from casework.commands.signing_in import ask
from casework.deployment import Deployment
from casework.imports.session import Session, make_client, session
from casework.rights.certificate import BASES
from casework.rights.schemas import RequestView
from casework.rights.states import Basis, Ground
from casework.rights.sweeping import SweepRefused, sweep_orphans

_REQUESTS = "/rights-requests"
_GROUNDS = {
    Ground.LEGAL_HOLD: "une procédure est en cours",
    Ground.RETENTION_DUTY: "une obligation de conserver court",
    Ground.NOT_ENTITLED: "le droit n’est pas ouvert",
    Ground.REQUEST_WITHDRAWN: "la personne y renonce",
}


class _Told(msgspec.Struct):
    """What is read of a request, and of a problem."""

    id: UUID | None = None
    state: str | None = None
    title: str | None = None


@click.group(help="Les droits des personnes : effacer un dossier, à deux.")
def rights() -> None:
    pass


def _in_session(command: Callable[..., Callable[[Session], Awaitable[None]]]) -> Callable[..., None]:
    """Run what a command returns in the session of whoever signs in; her password is confirmed at once."""

    @click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Adresse du service.")
    @click.option("--login", type=Login(), help="Votre identifiant ; sinon, il est demandé.")
    @click.option(
        "--passwords",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Fichier (mode 0600) de lignes « identifiant, tabulation, mot de passe » ; sinon, il est demandé.",
    )
    @wraps(command)
    def run(url: str, login: str | None, passwords: Path | None, **given: Any) -> None:
        work = command(**given)
        http = make_client(url)
        asker = ask(login, passwords)

        async def act() -> None:
            async with http, session(http, asker) as signed_in:
                await signed_in.confirm(asker.password)
                try:
                    await work(signed_in)
                except httpx.TransportError as error:
                    raise CommandRefused(
                        f"Le service ne répond pas ({type(error).__name__}). Regardez la demande avant de"
                        " recommencer."
                    ) from None

        asyncio.run(act())

    return run


@rights.command(
    help="Prépare l’effacement du dossier CASE ; une autre personne l’approuve. Le motif est demandé, et ne se "
    "lit que par qui approuve."
)
@click.argument("case", type=click.UUID)
@click.option("--basis", type=click.Choice([str(basis) for basis in Basis]), required=True, help="Fondement.")
@_in_session
def erase(case: UUID, basis: str) -> Callable[[Session], Awaitable[None]]:
    click.echo(f"Fondement : {BASES[Basis(basis)]}.")
    reason = click.prompt("Motif", type=str)

    async def prepare(signed_in: Session) -> None:
        body = {"kind": "erasure", "case_id": case, "basis": basis, "reason": reason}
        told = await _post(signed_in, _REQUESTS, body)
        click.echo(f"Effacement préparé, à faire approuver : {told.id}")

    return prepare


@rights.command(
    help="Approuve l’effacement REQUEST, préparé par une autre personne. Rien ne le défait : la demande est "
    "montrée, puis le numéro du dossier est demandé, tel que l’a donné qui l’a préparée."
)
@click.argument("request", type=click.UUID)
@click.option(
    "--basis",
    type=click.Choice([str(basis) for basis in Basis]),
    required=True,
    help="Fondement, comme il a été préparé.",
)
@_in_session
def approve(request: UUID, basis: str) -> Callable[[Session], Awaitable[None]]:
    async def work(signed_in: Session) -> None:
        answer = await signed_in.get(f"{_REQUESTS}/{request}")
        _require(answer, HTTPStatus.OK)
        click.echo(_in_words(msgspec.json.decode(answer.content, type=RequestView)))
        # Not read from the answer: whoever writes to the database could have put another one there.
        body = {"case_id": _ask_case(), "basis": basis}
        await _post(signed_in, f"{_REQUESTS}/{request}/approval", body)
        click.echo("Effacé. Le certificat : casework rights certificate " + str(request))

    return work


@rights.command(help="Refuse l’effacement REQUEST.")
@click.argument("request", type=click.UUID)
@click.option(
    "--ground",
    type=click.Choice([str(ground) for ground in Ground]),
    required=True,
    help=" ; ".join(f"{ground} : {words}" for ground, words in _GROUNDS.items()) + ".",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Jusqu’à quand une procédure ou une obligation demande de garder le dossier.",
)
@_in_session
def refuse(request: UUID, ground: str, until: datetime | None) -> Callable[[Session], Awaitable[None]]:
    async def work(signed_in: Session) -> None:
        body: dict[str, Any] = {"ground": ground}
        if until is not None:
            body["until"] = until.astimezone()
        await _post(signed_in, f"{_REQUESTS}/{request}/refusal", body)
        click.echo("Refusé.")

    return work


@rights.command(help="Le certificat de l’effacement REQUEST, à imprimer et à remettre en main propre.")
@click.argument("request", type=click.UUID)
@click.option("--json", "as_json", is_flag=True, help="Le même, pour un programme.")
@_in_session
def certificate(request: UUID, *, as_json: bool) -> Callable[[Session], Awaitable[None]]:
    async def work(signed_in: Session) -> None:
        answer = await signed_in.get(f"{_REQUESTS}/{request}/certificate")
        _require(answer, HTTPStatus.OK)
        given = msgspec.json.decode(answer.content)
        text = given.pop("text")
        click.echo(msgspec.json.format(msgspec.json.encode(given)).decode() if as_json else text, nl=as_json)

    return work


@rights.command(
    help="Détruit les moitiés de clés de dossiers qui n’existent dans aucune base : ce qu’une création interrompue "
    "a laissé il y a plus d’un jour."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Les compte, et n’en détruit aucune.")
def sweep(*, is_dry_run: bool) -> None:
    async def run(deployment: Deployment) -> int:
        return await sweep_orphans(deployment, is_dry_run=is_dry_run)

    try:
        found = with_deployment(run)
    except SweepRefused:
        raise CommandRefused(
            "La base a été rétablie il y a moins de trente jours : une sauvegarde plus récente, si elle est "
            "retrouvée, aurait encore besoin de ces moitiés."
        ) from None
    click.echo(f"Dossiers sans base : {found}{' (rien n’a été détruit)' if is_dry_run else ''}.")


def _ask_case() -> UUID:
    """Ask until it is a number: click's own type would show again, in English, what was typed."""
    while True:
        typed = click.prompt("Numéro du dossier à effacer", type=str)
        try:
            return UUID(typed.strip())
        except ValueError:
            click.echo("Ce n’est pas un numéro de dossier : tapez-le à nouveau.")


def _in_words(view: RequestView) -> str:
    """What is about to be approved. The number of the case is left out: it is given by whoever prepared it."""
    return "\n".join(
        (
            f"Préparé le : {view.prepared_at:%d/%m/%Y}",
            f"Fondement  : {BASES[view.basis]}",
            f"Motif      : {view.reason or 'il ne s’ouvre pas avec vos clés'}",
        )
    )


async def _post(signed_in: Session, path: str, body: dict[str, Any]) -> _Told:
    answer = await signed_in.post(path, msgspec.json.encode(body), uuid4().hex)
    _require(answer, HTTPStatus.OK, HTTPStatus.CREATED)
    return msgspec.json.decode(answer.content, type=_Told)


def _require(answer: httpx.Response, *expected: int) -> None:
    """Raise CommandRefused with the service's own title; it never holds what was typed."""
    if answer.status_code in expected:
        return
    try:
        title = msgspec.json.decode(answer.content, type=_Told).title
    except msgspec.DecodeError:
        title = None
    raise CommandRefused(
        title or f"--url : ce n’est pas le service attendu qui répond ({answer.status_code})."
    )
