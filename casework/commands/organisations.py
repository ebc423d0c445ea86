"""`casework org`: founding organisations, and the cards by which they come to know one another."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
from sqlalchemy import Connection

from audit.rollup import ROLLUP
from casework.anchors import Anchors
from casework.clock import Clock
from casework.commands.opening import CommandRefused, as_owner, with_deployment
from casework.commands.progress import progress
from casework.commands.rule_files import checked, read_text
from casework.commands.secret_files import new_file, write_together
from casework.commands.share_pages import (
    OPTION,
    ShareSet,
    SplitType,
    page_files,
    require_folder,
    require_no_pages,
)
from casework.commands.sheets import PAGE, fingerprint_words, founding_pages
from casework.database import UnitOfWork
from casework.deployment import Deployment, NotPrepared
from casework.identity.members import (
    LOGIN_FORM,
    NewAccount,
    Position,
    initial_password,
    login_is_taken,
    prepare_account,
)
from casework.journal import Deed, Journal, Who
from casework.organisations.cards import Card, accept_card, own_card
from casework.organisations.deployments import find_mark
from casework.organisations.founding import Founded, Ground, found, organisation_slugs
from casework.organisations.holders import future_holders, thin
from casework.settings import Settings, from_environment
from casework.signers import rollup_signer
from crypto.password import DEFAULT_PARAMS
from crypto.pepper import FileKeyProvider
from crypto.recovery import TWO_OF_THREE, Split
from policies.engine import Engine
from policies.sources import org_source, require_slug
from policies.vocabulary import Profession, Role

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_ALONE = "si elle perd son mot de passe, seules les parts de récupération rendront la clé."
_NOBODY = "personne ne pourra remettre cette clé sans les parts de récupération."


class Member(click.ParamType[tuple[str, Position]]):
    """`LOGIN:ROLE[:PROFESSION+PROFESSION]`."""

    name = "LOGIN:RÔLE[:PROFESSION+PROFESSION]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Position]:
        login, role, professions, *rest = [*value.split(":"), "", ""][: max(3, value.count(":") + 1)]
        try:
            position = Position(
                Role(role), frozenset(Profession(word) for word in professions.split("+") if word)
            )
        except ValueError:
            self.fail(f"rôles admis : {', '.join(Role)} ; professions : {', '.join(Profession)}", param, ctx)
        if rest:
            self.fail("trois parties au plus sont attendues : identifiant, rôle, professions", param, ctx)
        return require_login(login, self, param, ctx), position


class Login(click.ParamType[str]):
    name = "identifiant"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return require_login(value, self, param, ctx)


class Fingerprint(click.ParamType[bytes]):
    """Sixty-four hexadecimal digits; spaces, colons and hyphens between them are what people write."""

    name = "empreinte"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        digits = re.sub(r"[\s:-]", "", value).lower()
        if not _FINGERPRINT.fullmatch(digits):
            self.fail("une empreinte de 64 chiffres hexadécimaux est attendue", param, ctx)
        return bytes.fromhex(digits)


def require_login(
    value: str, kind: click.ParamType[Any], param: click.Parameter | None, ctx: click.Context | None
) -> str:
    if not LOGIN_FORM.fullmatch(value):
        kind.fail("un identifiant a des minuscules, des chiffres, des points et des tirets", param, ctx)
    return value


@click.group(help="Les organisations.")
def org() -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Plan:
    """An organisation to be founded."""

    slug: str
    name: str
    engine: Engine
    phrases: str
    accounts: Sequence[tuple[NewAccount, str]]
    split: Split


@org.command(
    help="Fonde une organisation et écrit, une seule fois, ses secrets : une feuille par part de récupération"
    " (texte et PDF), et les premiers accès."
)
@click.argument("slug")
@click.option("--name", required=True, help="Nom complet de l’organisation.")
@click.option(
    "--member",
    "members",
    type=Member(),
    multiple=True,
    required=True,
    help="Un membre : identifiant, rôle, professions. À répéter ; il faut une gestionnaire des clés.",
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Le fichier de ses règles ; sinon celui de ce nom court, livré avec le programme.",
)
@click.option(
    "--phrases",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Les phrases que ses règles doivent tenir.",
)
@click.option(
    OPTION,
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Dossier où écrire les feuilles des parts de récupération (fichiers neufs, mode 0600).",
)
@click.option(
    "--split",
    type=SplitType(),
    default=TWO_OF_THREE,
    show_default="2/3",
    help="Parts nécessaires, sur parts imprimées.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="Fichier neuf (mode 0600) au lieu du terminal, pour tout le reste.",
)
def create(
    slug: str,
    name: str,
    members: tuple[tuple[str, Position], ...],
    policy: Path | None,
    phrases: Path | None,
    folder: Path,
    split: Split,
    to: Path | None,
) -> None:
    settings = from_environment()
    require_folder(folder, settings)
    positions = positions_of(members)
    if not any(position.role is Role.CUSTODIAN for _, position in members):
        raise CommandRefused("--member : il faut au moins une gestionnaire des clés (rôle « custodian »).")
    deployment_name, slugs = as_owner(settings, _read_deployment)
    if slug in slugs:
        raise CommandRefused("SLUG : une organisation porte déjà ce nom court.")
    if slug == ROLLUP:
        raise CommandRefused("SLUG : ce nom court est celui du récapitulatif des journaux.")
    engine = _rules_of(slug, frozenset({*slugs, slug}), policy, phrases)
    _require_holders(engine, list(positions.values()))
    require_no_pages(folder, slug)
    tried = read_text(phrases, "--phrases") if phrases is not None else ""
    plan = _Plan(slug, name, engine, tried, prepare_accounts(positions), split)
    with new_file(to) if to is not None else nullcontext() as file:

        def found_and_write(connection: Connection) -> tuple[Founded, list[str]]:
            founded, sheet, shares = _found(connection, settings, deployment_name, plan)
            if file is not None:
                file.write(PAGE.join(sheet).encode())
                file.flush()
            # Before the commit: an organisation whose shares were lost to a full disk could not be recovered.
            write_together(folder, page_files(shares), OPTION)
            return founded, sheet

        founded, sheet = as_owner(settings, found_and_write)
    if to is None:
        click.echo(("\n" + "─" * 78 + "\n\n").join(sheet))
    else:
        click.echo(f"Organisation « {slug} » fondée ; ses premiers accès sont dans le fichier indiqué.")
        click.echo(f"Empreinte de la racine : {fingerprint_words(founded.root_fingerprint)}")
    click.echo(
        f"Parts de récupération : {split.total} feuilles, jeu {fingerprint_words(founded.share_mark)}."
    )
    click.echo("Imprimez-les, remettez chacune à une autre personne, puis effacez ces fichiers.")
    click.echo("Relancez le service pour qu’il connaisse l’organisation.")


@org.command(help="Écrit la carte de l’organisation, à remettre à une autre, et imprime son empreinte.")
@click.argument("slug")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Fichier neuf.")
def card(slug: str, to: Path) -> None:
    async def make(deployment: Deployment) -> tuple[Card, bytes]:
        org_id = id_of(deployment, slug)

        def read(unit: UnitOfWork) -> Card:
            unit.enter_organisation(org_id)
            # A card of a directory that does not lead to our own root would spread it.
            deployment.directories.fresh(unit, org_id)
            return own_card(unit.connection, org_id)

        made = await deployment.database.unit(read)
        return made, Anchors(deployment.settings.state_dir).root(org_id)

    made, fingerprint = with_deployment(make)
    with new_file(to) as file:
        file.write(made.to_json())
    click.echo(f"Empreinte de la racine : {fingerprint_words(fingerprint)}")
    click.echo("Donnez-la par une autre voie que la carte : de vive voix ou sur papier.")


@org.command(
    help="Accepte la carte d’une autre organisation, si son empreinte est celle que vous avez reçue."
)
@click.argument("slug")
@click.argument("card_file", metavar="CARDFILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--root", type=Fingerprint(), required=True, help="Empreinte reçue par une autre voie.")
@click.option(
    "--days", type=click.IntRange(1, 3_650), default=365, show_default=True, help="Durée de validité."
)
def partner(slug: str, card_file: Path, root: bytes, days: int) -> None:
    card = Card.from_json(card_file.read_bytes())

    async def accept(deployment: Deployment) -> None:
        org_id = id_of(deployment, slug)

        def store(unit: UnitOfWork) -> None:
            unit.enter_organisation(org_id)
            accept_card(unit.connection, org_id, card, root, unit.now + timedelta(days=days))
            deployment.journal.record(unit, (org_id, slug), Who(uuid4()), Deed("partner.accept"))

        await deployment.database.unit(store)

    with_deployment(accept)
    click.echo(f"« {slug} » connaît désormais « {card.slug} » ({card.name}), pour {days} jours.")


def id_of(deployment: Deployment, slug: str) -> UUID:
    """The id of an organisation of this deployment.

    Raises:
        CommandRefused: there is none of this slug.

    """
    for org_id, known in deployment.slugs.items():
        if known == slug:
            return org_id
    raise CommandRefused("L’organisation nommée n’existe pas dans ce déploiement.")


def _rules_of(slug: str, slugs: frozenset[str], policy: Path | None, phrases: Path | None) -> Engine:
    """The rules with which an organisation begins.

    Raises:
        CommandRefused: they do not pass the checks; each fault is named.
        NotAnOrganisation: no file is given, and none of this name came with the program.

    """
    if policy is None and phrases is None:
        return Engine.load(slug, slugs)
    text = read_text(policy, "--policy") if policy is not None else org_source(slug).text
    tried = read_text(phrases, "--phrases") if phrases is not None else ""
    return checked(require_slug(slug), slugs, text, tried)


def _read_deployment(connection: Connection) -> tuple[str, set[str]]:
    mark = find_mark(connection)
    if mark is None:
        raise NotPrepared
    return mark.name, set(organisation_slugs(connection).values())


def _require_holders(engine: Engine, accounts: Sequence[Sequence[Position]]) -> None:
    """Refuse an organisation in which nobody would hold any key; warn of each compartment that lacks a second."""
    counts = future_holders(engine, accounts)
    if not counts:
        raise CommandRefused("--member : les règles ne remettent de clé à aucun de ces membres.")
    with progress("Lecture des règles") as advance:
        found = thin(engine, counts, advance)
    for compartment, count in found.items():
        click.echo(
            f"Attention : le compartiment « {compartment} » aura {count} détentrice au lieu de deux ; "
            + (_ALONE if count else _NOBODY),
            err=True,
        )


def positions_of(members: Iterable[tuple[str, Position]]) -> dict[str, list[Position]]:
    """The positions of each login, in the order given."""
    positions: dict[str, list[Position]] = {}
    for login, position in members:
        positions.setdefault(login, []).append(position)
    return positions


def prepare_accounts(positions: Mapping[str, Sequence[Position]]) -> list[tuple[NewAccount, str]]:
    """An account of each login with its initial password, not stored yet."""
    prepared = []
    with progress("Création des comptes") as advance:
        for done, (login, held) in enumerate(positions.items(), 1):
            password = initial_password()
            prepared.append((prepare_account(login, password, held, DEFAULT_PARAMS), password))
            advance(done, len(positions))
    return prepared


def _found(
    connection: Connection, settings: Settings, deployment_name: str, plan: _Plan
) -> tuple[Founded, list[str], ShareSet]:
    """Found the organisation and journal it, in the deployment's log and in its own, under one id.

    Returns what was founded, the pages of the founding sheet, and the shares.
    """
    for account, _ in plan.accounts:
        if login_is_taken(connection, account.login):
            raise CommandRefused(f"--member : l’identifiant « {account.login} » est déjà pris.")
    now = Clock().now()
    journal = Journal(deployment_name)
    pepper = FileKeyProvider(settings.pepper_file).pepper()
    ground = Ground(connection, settings.state_dir, pepper, journal, now)
    accounts = [account for account, _ in plan.accounts]
    founded = found(ground, plan.slug, plan.name, plan.engine, accounts, plan.split, plan.phrases)
    unit = UnitOfWork(connection, now)
    who, deed = Who(uuid4()), Deed("org.create", policy_set=plan.engine.hash, id=uuid4())
    journal.record(unit, None, who, deed)
    journal.record(unit, (founded.org_id, plan.slug), who, deed)
    rollup = rollup_signer(settings.state_dir, journal).key
    sheet = founding_pages(plan.name, plan.slug, founded, plan.accounts, deployment_name, str(rollup))
    shares = ShareSet(
        organisation=plan.name,
        slug=plan.slug,
        root_fingerprint=founded.root_fingerprint,
        mark=founded.share_mark,
        made_at=now,
        split=plan.split,
        shares=founded.shares,
    )
    return founded, sheet, shares
