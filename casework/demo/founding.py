"""Founding the demo: accounts, four organisations, their teams, and the cards they have compared."""

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from casework.anchors import Anchors
from casework.clock import Clock
from casework.demo.directory import Account, DemoDirectory
from casework.demo.progress import Progress, Stage
from casework.demo.staff import HOUSES, SLUGS, Colleague, House
from casework.deployment import PASSWORDS_AT_ONCE
from casework.identity.members import NewAccount, NewMembership, prepare_account
from casework.journal import Journal
from casework.organisations.charters import keep_text, next_version
from casework.organisations.entries import append_entry
from casework.organisations.founding import Founded, Ground, found, prepare_deployment
from casework.organisations.holders import verified_directory
from casework.organisations.partners import own_chain, remember_partner
from casework.organisations.teams import make_team
from casework.schema import migrate
from crypto.directory_agreements import CharterAcceptedBody
from crypto.directory_entries import Body, EntrySigner
from crypto.password import KdfParams
from crypto.pepper import create_pepper_file
from policies.engine import Engine
from policies.phrases import phrases_text
from policies.vocabulary import Role

NAME = "demo.casework.example"
_CARDS_VALID = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class FoundedDemo:
    """The accounts by login, and the teams' ids by organisation and name."""

    accounts: Mapping[str, Account]
    teams: Mapping[tuple[str, str], UUID]


async def found_demo(
    directory: DemoDirectory, clock: Clock, params: KdfParams, progress: Progress
) -> FoundedDemo:
    """Make the database, marked as a demo, with the four organisations; writes the list of accounts."""
    settings = directory.settings()
    passwords = {
        f"{house.slug}.{colleague.name}": _password() for house in HOUSES for colleague in house.staff
    }
    prepared = _prepare_accounts(passwords, params, progress)
    pepper = create_pepper_file(directory.pepper_file)
    founded: dict[str, Founded] = {}
    teams: dict[tuple[str, str], UUID] = {}

    def found_all(connection: Connection) -> None:
        now = clock.now()
        prepare_deployment(connection, settings.state_dir, NAME, is_demo=True, now=now)
        ground = Ground(connection, settings.state_dir, pepper, Journal(NAME), now)
        for done, house in enumerate(HOUSES, start=1):
            accounts = [prepared[f"{house.slug}.{colleague.name}"] for colleague in house.staff]
            engine = Engine.load(house.slug, SLUGS)
            phrases = phrases_text(house.slug)
            founded[house.slug] = found(ground, house.slug, house.name, engine, accounts, phrases=phrases)
            _adopt_charter(connection, settings.state_dir, house, founded[house.slug].org_id, accounts, now)
            teams.update(_make_teams(connection, house, founded[house.slug].org_id, prepared, now))
            progress(Stage.FOUNDING, done, len(HOUSES))
        _exchange_cards(connection, founded, now)

    await migrate(settings.database_url)
    await migrate(settings.database_url, found_all)
    accounts = {
        login: _account(login, passwords[login], new, founded[login.partition(".")[0]])
        for login, new in prepared.items()
    }
    directory.write_accounts(list(accounts.values()))
    return FoundedDemo(accounts, teams)


def _prepare_accounts(
    passwords: Mapping[str, str], params: KdfParams, progress: Progress
) -> dict[str, NewAccount]:
    colleagues = {
        f"{house.slug}.{colleague.name}": colleague for house in HOUSES for colleague in house.staff
    }
    prepared: dict[str, NewAccount] = {}

    def prepare(item: tuple[str, Colleague]) -> NewAccount:
        login, colleague = item
        return prepare_account(login, passwords[login], [colleague.position], params, colleague.secrecy_basis)

    with ThreadPoolExecutor(max_workers=PASSWORDS_AT_ONCE) as threads:
        for new in threads.map(prepare, colleagues.items()):
            prepared[new.login] = new
            progress(Stage.ACCOUNTS, len(prepared), len(colleagues))
    return prepared


def _make_teams(
    connection: Connection, house: House, org_id: UUID, prepared: Mapping[str, NewAccount], now: datetime
) -> dict[tuple[str, str], UUID]:
    made = {}
    for name, colleagues in house.teams.items():
        members = [prepared[f"{house.slug}.{colleague}"].memberships[0].id for colleague in colleagues]
        made[house.slug, name] = make_team(connection, org_id, name, members, now)
    return made


def _adopt_charter(
    connection: Connection,
    state_dir: Path,
    house: House,
    org_id: UUID,
    accounts: Sequence[NewAccount],
    now: datetime,
) -> None:
    """Put a charter in force, and have everybody accept it: the demo's people have read it."""
    text = (files("casework.demo") / "charter.txt").read_text("utf-8").format(name=house.name)
    members = [member for account in accounts for member in account.memberships]
    directory = verified_directory(connection, Anchors(state_dir), org_id)
    adopted = next_version(directory, text)
    assert adopted is not None
    custodian = next(member for member in members if member.position.role is Role.CUSTODIAN)
    accepted = CharterAcceptedBody(adopted.version, adopted.text_hash)
    signed: list[tuple[NewMembership, Body]] = [(custodian, adopted)]
    signed += [(member, accepted) for member in members]
    for member, body in signed:
        entry = directory.next_entry(body, EntrySigner(member.id.bytes, member.signing))
        append_entry(connection, org_id, entry)
        directory = directory.extend([entry])
    keep_text(connection, org_id, adopted.version, text, now)


def _exchange_cards(connection: Connection, founded: Mapping[str, Founded], now: datetime) -> None:
    names = {house.slug: house.name for house in HOUSES}
    for reader, other in permutations(founded, 2):
        remember_partner(
            connection,
            founded[reader].org_id,
            partner_id=founded[other].org_id,
            slug=other,
            name=names[other],
            root_fingerprint=founded[other].root_fingerprint,
            chain=own_chain(connection, founded[other].org_id),
            valid_until=now + _CARDS_VALID,
        )


def _account(login: str, password: str, new: NewAccount, founded: Founded) -> Account:
    return Account(
        login=login,
        password=password,
        totp_secret=new.totp_seed,
        organisation=login.partition(".")[0],
        role=new.memberships[0].position.role,
        journal_key=founded.journal_key,
    )


def _password() -> str:
    """Four words and two digits: easy to read aloud at a demonstration, good enough for loopback."""
    words = (files("casework.demo") / "words.txt").read_text("utf-8").split()
    return "-".join([*secrets.SystemRandom().sample(words, 4), str(secrets.randbelow(90) + 10)])
