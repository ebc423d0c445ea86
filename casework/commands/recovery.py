"""`casework keys recover`: two holders of shares, each at her own screen, let in who shall hold the keys."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from casework.anchors import Anchors
from casework.clock import Clock
from casework.commands.asking import require_agreement
from casework.commands.opening import CommandRefused, as_owner, as_owner_beside_shreds
from casework.commands.organisations import Login, Member, positions_of, prepare_accounts
from casework.commands.progress import progress
from casework.commands.secret_files import write_together
from casework.commands.share_desk import Answer, Gift, Handed, ask, hand_in, open_desk
from casework.commands.share_pages import (
    OPTION,
    ShareSet,
    SplitType,
    page_files,
    require_folder,
    require_no_pages,
)
from casework.commands.sheets import access_page, fingerprint_words
from casework.deployment import NotPrepared
from casework.identity.members import NewAccount, Position
from casework.journal import Journal
from casework.organisations.deployments import find_mark
from casework.organisations.founding import Ground, organisation_name, organisation_slugs
from casework.organisations.holders import HOLDERS_WANTED, holders, thin, verified_directory
from casework.organisations.recovering import (
    Outlook,
    Recovered,
    RecoveryFault,
    RecoveryPlan,
    RecoveryRefused,
    Renew,
    foresee,
    record_refusal,
    renew_kek_copies,
)
from casework.organisations.recovering import recover as recover_keys
from casework.recovering import renew_named
from casework.rules import engine_in_force
from casework.settings import Settings, from_environment
from casework.shreds import ShredStore
from crypto.errors import SharesRefused
from crypto.handed_share import (
    SHARE_WORDS,
    ShareFacts,
    desk_code,
    read_share,
    seal_share,
    share_word,
)
from crypto.pepper import FileKeyProvider
from crypto.recovery import TWO_OF_THREE, Split
from crypto.secret import Secret
from crypto.words import verification_words, words_match
from policies.engine import Engine


def renewals(shreds: ShredStore) -> tuple[Renew, ...]:
    """What makes everything that is sealed to recovery anew."""
    return renew_kek_copies, partial(renew_named, shreds)


_ANSWERS = {
    Answer.KEPT: "Part reçue, et gardée scellée : une autre manque encore.",
    Answer.COMPLETE: "Part reçue : elles sont réunies. La suite est à l’écran de la récupération.",
}
_REFUSED = {
    Answer.TWICE: "Cette part a déjà été donnée : il en faut une autre.",
    Answer.OTHER_SET: "Cette part n’est pas du même jeu que celle qui a été donnée avant.",
    Answer.SAME_SCREEN: "Une part a déjà été tapée à cet écran : chacune se tape à un autre.",
    Answer.NOT_JOINED: "Ces parts ne vont pas ensemble.",
}


@click.group(
    help="Rend les clés d’une organisation avec ses parts de récupération, qui sont ensuite remplacées."
)
def recover() -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is known before any share is asked for."""

    plan: RecoveryPlan
    name: str
    deployment_name: str
    outlook: Outlook


@recover.command(
    help="Attend les parts de l’organisation ORG, remet toutes les clés que leur rôle permet aux membres nommés, et"
    " écrit les feuilles des nouvelles parts."
)
@click.argument("org")
@click.option("--holder", "logins", type=Login(), multiple=True, help="Un membre qui existe ; à répéter.")
@click.option(
    "--member",
    "members",
    type=Member(),
    multiple=True,
    help="Un membre à ajouter : identifiant, rôle, professions ; à répéter.",
)
@click.option(
    OPTION,
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Dossier où écrire les feuilles des nouvelles parts et les premiers accès (fichiers neufs, mode 0600).",
)
@click.option(
    "--split",
    type=SplitType(),
    default=TWO_OF_THREE,
    show_default="2/3",
    help="Nouvelles parts nécessaires, sur parts imprimées.",
)
def begin(
    org: str, logins: tuple[str, ...], members: tuple[tuple[str, Position], ...], folder: Path, split: Split
) -> None:
    settings = from_environment()
    require_folder(folder, settings)
    if not logins and not members:
        raise CommandRefused("--holder ou --member : il faut au moins une personne à qui remettre les clés.")
    accounts = prepare_accounts(positions_of(members))
    ready = _look(settings, org, tuple(dict.fromkeys(logins)), [new for new, _ in accounts], split)
    _tell_outlook(ready)
    require_no_pages(folder, org)
    for new, _ in accounts:
        if os.path.lexists(folder / _access_file(new.login)):
            raise CommandRefused(f"{OPTION} : un premier accès de « {new.login} » s’y trouve déjà.")
    try:
        seed = _collect(settings, ready, _hear(ready))
        recovered = _recover(settings, ready, seed, folder, accounts)
    except (SharesRefused, RecoveryRefused) as refused:
        reason = refused.fault if isinstance(refused, RecoveryRefused) else "shares_refused"
        as_owner(
            settings,
            lambda connection: record_refusal(_ground(settings, ready, connection), ready.plan, reason),
        )
        raise
    Anchors(settings.state_dir).raise_floor(ready.plan.org_id, recovered.floor)
    _tell(settings, ready, recovered)


@recover.command(
    help="Tape une part de récupération, pour la récupération que l’organisation ORG a commencée."
)
@click.argument("org")
def share(org: str) -> None:
    settings = from_environment()
    if not sys.stdin.isatty():
        raise CommandRefused("Une part se tape à un écran, mot par mot ; elle n’est jamais dans un fichier.")
    desk = ask(settings.state_dir, org)
    public = bytes.fromhex(desk.public)
    click.echo(
        f"Récupération de « {org} », avec le jeu de parts {fingerprint_words(bytes.fromhex(desk.mark))}."
    )
    click.echo(f"Code de cette récupération : {fingerprint_words(desk_code(public))}")
    require_agreement("Est-ce le code affiché à l’écran qui l’a commencée ?")
    _tell_gifts(desk.gifts)
    require_agreement("Sont-ce les personnes que vous avez décidées, et les mots que chacune vous a lus ?")
    click.echo("Rien ne s’affiche pendant la frappe. Les quatre premières lettres d’un mot suffisent.")
    mnemonic, facts = _type_share()
    handed = Handed(
        screen=_screen(),
        set_number=facts.set_number,
        number=facts.number,
        needed=facts.needed,
        sealed=seal_share(public, bytes.fromhex(desk.org), mnemonic).hex(),
    )
    answer = hand_in(settings.state_dir, org, desk, handed)
    if answer in _REFUSED:
        raise CommandRefused(_REFUSED[answer])
    click.echo(_ANSWERS[answer])


def _screen() -> str:
    """The terminal and who signed in at it: the next one may be given the same number."""
    return f"{os.ttyname(sys.stdin.fileno())} {os.getsid(0)}"


def _type_share() -> tuple[Secret, ShareFacts]:
    """Ask for the words until they are a share: a checksum tells one wrong word from none."""
    while True:
        words: list[str] = []
        while len(words) < SHARE_WORDS:
            typed = click.prompt(f"Mot {len(words) + 1} sur {SHARE_WORDS}", hide_input=True, type=str)
            try:
                words += map(share_word, typed.split())
            except SharesRefused:
                click.echo("Ce mot n’est pas dans la liste : tapez-le à nouveau.")
        mnemonic = Secret(" ".join(words).encode("ascii"))
        try:
            return mnemonic, read_share(mnemonic)
        except SharesRefused:
            click.echo("Un mot est faux, ou deux sont intervertis : reprenez au premier.")


def _look(
    settings: Settings, slug: str, logins: tuple[str, ...], accounts: Sequence[NewAccount], split: Split
) -> _Ready:
    """Everything that can be refused before a share is typed."""

    def read(connection: Connection) -> _Ready:
        mark, slugs = find_mark(connection), organisation_slugs(connection)
        if mark is None:
            raise NotPrepared
        org_id = next((known for known, its in slugs.items() if its == slug), None)
        if org_id is None:
            raise CommandRefused("L’organisation nommée n’existe pas dans ce déploiement.")
        engine = _engine_in_force(connection, settings, org_id, slugs)
        plan = RecoveryPlan(org_id, slug, engine, logins, tuple(accounts), split)
        with progress("Lecture des règles"):
            outlook = foresee(connection, Anchors(settings.state_dir), plan)
        return _Ready(plan, organisation_name(connection, org_id), mark.name, outlook)

    return as_owner(settings, read)


def _engine_in_force(
    connection: Connection, settings: Settings, org_id: UUID, slugs: Mapping[UUID, str]
) -> Engine:
    directory = verified_directory(connection, Anchors(settings.state_dir), org_id)
    return engine_in_force(connection, org_id, slugs, directory.rules_at(int(Clock().now().timestamp())))


def _tell_outlook(ready: _Ready) -> None:
    click.echo(f"Jeu de parts en vigueur : {fingerprint_words(ready.outlook.mark)}")
    click.echo(f"Empreinte de la racine : {fingerprint_words(ready.outlook.root_fingerprint)}")
    _tell_gifts(_gifts(ready, {}))


def _gifts(ready: _Ready, words: Mapping[str, tuple[str, ...]]) -> dict[str, Gift]:
    compartments = ready.outlook.compartments
    return {login: Gift(granted, words.get(login, ())) for login, granted in compartments.items()}


def _tell_gifts(gifts: Mapping[str, Gift]) -> None:
    for login, gift in gifts.items():
        click.echo(f"{login} recevra : {', '.join(gift.compartments) or 'aucune clé (son rôle n’en a pas)'}")
        if gift.words:
            click.echo(f"  ses huit mots : {' '.join(gift.words)}")


def _hear(ready: _Ready) -> dict[str, tuple[str, ...]]:
    """Ask for the words that each member who exists reads out, and hold them against her certified keys.

    Raises:
        RecoveryRefused: OTHER_WORDS: a custodian alone may have certified keys of somebody else's for her.

    """
    words = {}
    for login, hers in ready.outlook.certified.items():
        org = ready.plan.org_id.bytes
        words[login] = verification_words(org, hers.account.bytes, hers.fingerprints)
        heard = click.prompt(f"Les huit mots que {login} lit de vive voix, à son écran", type=str)
        if not words_match(words[login], heard):
            raise RecoveryRefused(RecoveryFault.OTHER_WORDS, login)
    return words


def _collect(settings: Settings, ready: _Ready, words: Mapping[str, tuple[str, ...]]) -> Secret:
    org, gifts = ready.plan.org_id.bytes, _gifts(ready, words)
    with open_desk(settings.state_dir, ready.plan.slug, org, ready.outlook.mark, gifts) as desk:
        click.echo(f"Code de cette récupération : {fingerprint_words(desk_code(desk.public))}")
        click.echo(
            "Chaque personne qui garde une part lance, à son écran, "
            f"« casework keys recover share {ready.plan.slug} », et compare ce code. On attend une heure."
        )
        return desk.collect(lambda facts: click.echo(f"Part n° {facts.number} reçue, sur {facts.needed}."))


def _recover(
    settings: Settings, ready: _Ready, seed: Secret, folder: Path, accounts: Sequence[tuple[NewAccount, str]]
) -> Recovered:
    """Recover in one transaction, the new pages on disk before its commit: at each moment some shares are valid."""
    is_written = False

    def work(connection: Connection, shreds: ShredStore) -> Recovered:
        nonlocal is_written
        ground = _ground(settings, ready, connection)
        recovered = recover_keys(ground, ready.plan, ready.outlook, seed, renewals(shreds))
        made = ShareSet(
            organisation=ready.name,
            slug=ready.plan.slug,
            root_fingerprint=recovered.root_fingerprint,
            mark=recovered.mark,
            made_at=ground.now,
            split=ready.plan.split,
            shares=recovered.shares,
        )
        issuer = ground.journal.origin(None)
        pages = (
            (_access_file(new.login), access_page(new, password, issuer).encode())
            for new, password in accounts
        )
        write_together(folder, chain(page_files(made), pages), OPTION)
        is_written = True
        return recovered

    try:
        return as_owner_beside_shreds(settings, work)
    except SQLAlchemyError:
        if is_written:
            click.echo(
                "La base n’a pas confirmé l’écriture : gardez les anciennes feuilles et les nouvelles. Relancez"
                " cette commande avec un autre dossier : le jeu en vigueur qu’elle affiche dit lesquelles valent.",
                err=True,
            )
        raise


def _access_file(login: str) -> str:
    return f"acces-{login}.txt"


def _ground(settings: Settings, ready: _Ready, connection: Connection) -> Ground:
    pepper = FileKeyProvider(settings.pepper_file).pepper()
    return Ground(connection, settings.state_dir, pepper, Journal(ready.deployment_name), Clock().now())


def _tell(settings: Settings, ready: _Ready, recovered: Recovered) -> None:
    plan = ready.plan
    for login, compartments in recovered.compartments.items():
        click.echo(f"Clés remises à {login} : {', '.join(compartments) or 'aucune'}.")
    click.echo(f"Nouvelles parts : {plan.split.total} feuilles, jeu {fingerprint_words(recovered.mark)}.")
    click.echo("Imprimez-les, remettez chacune à une autre personne, puis effacez ces fichiers.")
    click.echo("Les anciennes parts ne rendent plus rien : détruisez-les.")

    def count(connection: Connection) -> dict[str, int]:
        directory = verified_directory(connection, Anchors(settings.state_dir), plan.org_id)
        return holders(connection, directory, plan.org_id)

    with progress("Lecture des règles") as advance:
        found = thin(plan.engine, as_owner(settings, count), advance)
    for compartment, persons in found.items():
        click.echo(
            f"Attention : le compartiment « {compartment} » a {persons} détentrice au lieu de {HOLDERS_WANTED}.",
            err=True,
        )
