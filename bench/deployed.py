"""casework as it is deployed: founded with real parameters, filled through its services, served by its command."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, permutations
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec
import pyotp
from sqlalchemy import URL, Connection

from bench.content import Person, people
from bench.place import PASSWORD, SEARCHING, SIGNING_IN, Login, Place
from bench.scale import FOLLOW_UPS, HANDED_OVER, Scale
from casework.act import Act, Circumstances, begin_act
from casework.cases.schemas import NewCase
from casework.cases.service import create_case
from casework.clock import Clock
from casework.database import UnitOfWork
from casework.deployment import Deployment, assemble, dismantle
from casework.follow_ups.schemas import NewFollowUp
from casework.follow_ups.service import record_follow_up
from casework.identity import sessions
from casework.identity.members import NewAccount, Position, prepare_account
from casework.identity.sessions import SignedIn, Token
from casework.identity.sign_in import give_second_factor
from casework.identity.sign_in import sign_in as begin_session
from casework.identity.totp import STEP_SECONDS
from casework.integration import Integration
from casework.journal import Journal, Who
from casework.organisations.founding import Founded, Ground, found, prepare_deployment
from casework.organisations.partners import own_chain, remember_partner
from casework.organisations.teams import make_team
from casework.schema import migrate
from casework.settings import Settings, from_environment
from crypto.password import DEFAULT_PARAMS
from crypto.pepper import create_pepper_file
from policies.engine import Engine
from policies.vocabulary import Profession, Role

NAME = "bench.casework.example"
SLUGS = ("avec", "cidff")
SERVE = [sys.executable, "-c", "from casework.cli import main; main()", "serve"]
_CASES_A_UNIT = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the databases are; all the same file on SQLite, but for the shreds."""

    service: URL
    owner: URL
    integrator: URL
    shreds: URL


def environment(folder: Path, urls: Urls) -> dict[str, str]:
    return {
        "CASEWORK_DATA_DIR": str(folder / "data"),
        "CASEWORK_STATE_DIR": str(folder / "state"),
        "CASEWORK_PEPPER_FILE": str(folder / "pepper"),
        "CASEWORK_DATABASE_URL": urls.service.render_as_string(),
        "CASEWORK_SHRED_URL": urls.shreds.render_as_string(),
        "CASEWORK_INTEGRATOR_URL": urls.integrator.render_as_string(),
        "CASEWORK_OWNER_URL": urls.owner.render_as_string(),
    }


def deploy(folder: Path, urls: Urls, scale: Scale) -> Place:
    """Found the organisations in empty databases, fill them, and return what a client needs to know."""
    for part in ("data", "state"):
        (folder / part).mkdir(mode=0o700)
    settings = from_environment(environment(folder, urls))
    accounts = _accounts(scale)
    asyncio.run(_found(settings, urls.owner, accounts))
    return asyncio.run(_fill(settings, accounts, scale))


def _accounts(scale: Scale) -> dict[str, NewAccount]:
    social, jurist = (
        Position(Role.WORKER, frozenset({profession}))
        for profession in (Profession.SOCIAL, Profession.JURIST)
    )
    positions = {
        "avec.social": social,
        **dict.fromkeys(SIGNING_IN[: scale.signing_in], social),
        **dict.fromkeys(SEARCHING, Position(Role.RECEPTION)),
        "cidff.jurist": jurist,
    }
    return {
        login: prepare_account(login, PASSWORD, [position], DEFAULT_PARAMS)
        for login, position in positions.items()
    }


async def _found(settings: Settings, owner: URL, accounts: dict[str, NewAccount]) -> None:
    pepper = create_pepper_file(settings.pepper_file)

    def build(connection: Connection) -> None:
        now = datetime.now(UTC)
        prepare_deployment(connection, settings.state_dir, NAME, is_demo=False, now=now)
        ground = Ground(connection, settings.state_dir, pepper, Journal(NAME), now)
        founded: dict[str, Founded] = {}
        for slug in SLUGS:
            members = [account for login, account in accounts.items() if login.startswith(f"{slug}.")]
            founded[slug] = found(ground, slug, slug.upper(), Engine.load(slug, SLUGS), members)
        other = accounts[SIGNING_IN[0]].memberships[0].id
        make_team(connection, founded["avec"].org_id, "Accompagnement", [other], now)
        for reader, partner in permutations(SLUGS, 2):
            remember_partner(
                connection,
                founded[reader].org_id,
                partner_id=founded[partner].org_id,
                slug=partner,
                name=partner.upper(),
                root_fingerprint=founded[partner].root_fingerprint,
                chain=own_chain(connection, founded[partner].org_id),
                valid_until=now + timedelta(days=365),
            )

    await migrate(owner)
    await migrate(owner, build)


async def _fill(settings: Settings, accounts: dict[str, NewAccount], scale: Scale) -> Place:
    deployment = await assemble(settings, Clock())
    try:
        await deployment.shreds.create()
        social = await _Worker.sign_in(deployment, accounts["avec.social"])
        other = await _Worker.sign_in(deployment, accounts[SIGNING_IN[0]])
        thin = list(people(scale.thin_cases, 0))
        long = await social.record(people(scale.long_cases, HANDED_OVER))
        await other.record(iter(thin))
        usual_people = list(people(scale.cases, FOLLOW_UPS))
        usual = await social.record(iter(usual_people))
        integration = Integration(deployment)
        while await integration.round():
            pass
    finally:
        await dismantle(deployment)
    return Place(
        logins={login: Login(PASSWORD, account.totp_seed) for login, account in accounts.items()},
        cases=[str(case) for case, _ in usual],
        long_cases={str(case): [str(one) for one in follow_ups] for case, follow_ups in long},
        names=[person.name for person in (*thin, *usual_people)],
    )


@dataclass(frozen=True, slots=True)
class _Worker:
    """Somebody who fills the database in her own name, many cases to a unit of work."""

    deployment: Deployment
    token: Token

    @classmethod
    async def sign_in(cls, deployment: Deployment, account: NewAccount) -> "_Worker":
        who = Who(uuid4(), "00" * 32)
        begun = await begin_session(deployment, who, account.login, PASSWORD, None)
        token = Token.of(deployment.pepper, begun.token)
        # The step before: the present one stays good for the client.
        step = int(deployment.clock.now().timestamp()) // STEP_SECONDS - 1
        code = pyotp.TOTP(account.totp_seed).generate_otp(step)
        await give_second_factor(deployment, who, token, code, None)
        return cls(deployment, token)

    async def record(self, persons: Iterator[Person]) -> list[tuple[UUID, list[UUID]]]:
        """A case for each person, with her follow-ups; returns their ids."""
        made: list[tuple[UUID, list[UUID]]] = []
        while batch := list(islice(persons, _CASES_A_UNIT)):
            made += await self._act(partial(_record_all, batch))
        return made

    async def _act(self, work: Callable[[Act], T]) -> T:
        def unit_of_work(unit: UnitOfWork) -> T:
            session = sessions.find(unit, self.token)
            assert isinstance(session, SignedIn)
            circumstances = Circumstances(
                request=uuid4(), source="00" * 32, purpose=None, address=b"", device=True
            )
            return work(begin_act(self.deployment, unit, session, circumstances))

        return await self.deployment.database.unit(unit_of_work)


def _record_all(persons: list[Person], act: Act) -> list[tuple[UUID, list[UUID]]]:
    return [_record(act, person) for person in persons]


def _record(act: Act, person: Person) -> tuple[UUID, list[UUID]]:
    contents = {group: fields for group, fields in person.contents.items() if group != "intake"}
    case_id = create_case(act, msgspec.convert({"public": "seeking", **contents}, NewCase)).id
    follow_ups = [
        record_follow_up(act, case_id, msgspec.convert(told, NewFollowUp)).id for told in person.follow_ups
    ]
    return case_id, follow_ups
