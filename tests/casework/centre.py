"""A whole centre for tests: four organisations, their members and partners, the app, and signed-in clients."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from ipaddress import ip_network
from itertools import permutations
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import UUID, uuid4

import httpx
import pyotp
from litestar import Litestar
from sqlalchemy import URL, Connection

from casework.act import Act, Circumstances, begin_act
from casework.anchors import Anchors
from casework.app import create_app
from casework.clock import Clock
from casework.database import UnitOfWork
from casework.deployment import Deployment, assemble, dismantle
from casework.identity import sessions, sign_in
from casework.identity.members import NewAccount, Position, prepare_account
from casework.identity.sessions import SignedIn, Token
from casework.journal import Journal
from casework.organisations.founding import Founded, Ground, found, prepare_deployment
from casework.organisations.holders import verified_directory
from casework.organisations.partners import own_chain, remember_partner
from casework.organisations.teams import make_team
from casework.routing import decode_token
from casework.schema import migrate
from casework.settings import Settings
from crypto.directory import Directory
from crypto.password import FLOOR_PARAMS, KdfParams, stretch
from crypto.pepper import create_pepper_file
from crypto.secret import Secret
from policies.engine import Engine, EngineFailure
from policies.sources import org_source
from policies.vocabulary import Profession, Role
from tests.casework.administrator import Administrator

NAME = "centre.example"
PASSWORD = "correct horse battery"
SLUGS = ("avec", "cidff", "planning", "med")
# Every text that a test seals holds it, so that a leak is found by one word.
CANARY = "canari"
T = TypeVar("T")
Alarm = Callable[[EngineFailure], None]
_PROFESSIONS = {str(profession) for profession in Profession}
LOGINS = (
    "avec.social",
    "avec.jurist",
    "avec.psychologist",
    "avec.supervisor",
    "avec.reception",
    "avec.auditor",
    "avec.double",
    "avec.custodian",
    "avec.dpo",
    "cidff.jurist",
    "cidff.social",
    "cidff.supervisor",
    "cidff.reception",
    "cidff.auditor",
    "cidff.custodian",
    "cidff.dpo",
    "planning.health",
    "planning.social",
    "planning.supervisor",
    "planning.reception",
    "planning.auditor",
    "med.reception",
    "med.supervisor",
    "med.auditor",
    "med.custodian",
)


# Who holds several roles with one login.
SEVERAL = {"avec.double": (Position(Role.WORKER, frozenset({Profession.SOCIAL})), Position(Role.SUPERVISOR))}


class MovableClock(Clock):
    """The machine's clock, moved by tests.

    `offset` moves the time of day, on which no timer depends; `waited` are seconds that passed for the timers, and
    `stepped` seconds by which somebody set the clock.
    """

    def __init__(self) -> None:
        self.offset = timedelta()
        self.waited = 0.0
        self.stepped = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset + timedelta(seconds=self.stepped)

    def elapsed(self) -> float:
        return super().elapsed() + self.waited

    def ahead(self) -> float:
        return super().ahead() + self.stepped


@dataclass
class Centre:
    """What a test talks to. `member` and `org` give ids by login and slug."""

    deployment: Deployment
    app: Litestar
    clock: MovableClock
    founded: Mapping[str, Founded]
    accounts: Mapping[str, NewAccount]
    http: httpx.AsyncClient
    urls: "Urls"
    _steps: dict[str, int] = field(default_factory=dict)

    def org(self, slug: str) -> UUID:
        return self.founded[slug].org_id

    def member(self, login: str) -> UUID:
        return self.accounts[login].memberships[0].id

    async def token(
        self, login: str, *, step_up: bool = False, password: str = PASSWORD, role: str | None = None
    ) -> str:
        """Sign in with both factors through the API; returns the bearer token."""
        chosen = {"role": role} if role is not None else {}
        begun = await self.http.post(
            "/api/v1/sessions", json={"login": login, "password": password, **chosen}
        )
        assert begun.status_code == 201, begun.text
        headers = {"authorization": f"Bearer {begun.json()['token']}"}
        factor = await self.http.post(
            "/api/v1/sessions/current/second-factor", json={"code": self.code(login)}, headers=headers
        )
        assert factor.status_code == 200, factor.text
        if step_up:
            stepped = await self.http.post(
                "/api/v1/sessions/current/step-up", json={"password": password}, headers=headers
            )
            assert stepped.status_code == 204, stepped.text
        return str(begun.json()["token"])

    def code(self, login: str) -> str:
        """A fresh TOTP code; the clock moves on by a step where the last one was used."""
        now = int(self.clock.now().timestamp()) // 30
        used = self._steps.get(login, 0)
        if used >= now:
            self.clock.offset += timedelta(seconds=30 * (used - now + 1))
            now = used + 1
        self._steps[login] = now
        return pyotp.TOTP(self.accounts[login].totp_seed).generate_otp(now)

    async def sign_in(
        self, login: str, *, step_up: bool = False, password: str = PASSWORD, role: str | None = None
    ) -> "Client":
        return Client(self, await self.token(login, step_up=step_up, password=password, role=role))

    async def integrate(self) -> None:
        """Have everything that waits in the inbox put into the logs now."""
        while await self.app.state.integration.round():
            pass

    async def journal(self, slug: str, **filters: Any) -> list[dict[str, Any]]:
        """The organisation's newest entries, as its auditor reads them, details opened."""
        await self.integrate()
        auditor = await self.sign_in(f"{slug}.auditor")
        page = await auditor.get("/journal/entries", params={"limit": 200, **filters})
        return list(page["items"])

    async def dba(self, work: Callable[[Connection], T]) -> T:
        """Do something with the database's own tools, beside the service."""
        return await Administrator(self.urls.owner).run(work)

    def directory(self, connection: Connection, slug: str) -> Directory:
        """An organisation's key directory as the database has it, verified; nobody remembers that it was read."""
        anchors = Anchors(self.deployment.settings.state_dir)
        return verified_directory(connection, anchors, self.org(slug))

    async def learn(self, slug: str) -> Directory:
        """Have the service read an organisation's directory anew, as it does once a minute."""

        def read(unit: UnitOfWork) -> Directory:
            unit.enter_organisation(self.org(slug))
            return self.deployment.directories.fresh(unit, self.org(slug))

        return await self.deployment.database.unit(read)

    async def engine(self, slug: str) -> Engine:
        """The rules by which the service decides for an organisation."""

        def read(unit: UnitOfWork) -> Engine:
            unit.enter_organisation(self.org(slug))
            return self.deployment.engine(unit, self.org(slug))

        return await self.deployment.database.unit(read)

    async def decide_by(self, slug: str, change: Callable[[Engine], Engine]) -> None:
        """Have the service decide by what nobody approved, as if its own memory were changed."""
        engine, loaded = change(await self.engine(slug)), self.deployment.rules._loaded
        loaded[self.org(slug)] = replace(loaded[self.org(slug)], engine=engine)

    async def act(self, client: "Client", work: Callable[[Act], T]) -> T:
        """Run a service's function as this member's act, without a request."""

        def unit_of_work(unit: UnitOfWork) -> T:
            session = sessions.find(unit, Token.of(self.deployment.pepper, decode_token(client.token)))
            assert isinstance(session, SignedIn)
            circumstances = Circumstances(
                request=uuid4(), source="00" * 32, purpose=None, address=b"", device=True
            )
            return work(begin_act(self.deployment, unit, session, circumstances))

        return await self.deployment.database.unit(unit_of_work)

    async def team(self, slug: str, name: str, *logins: str) -> UUID:
        members = [self.member(login) for login in logins]
        now = self.clock.now()
        return await self.dba(lambda connection: make_team(connection, self.org(slug), name, members, now))


@dataclass
class Client:
    """One signed-in member over HTTP."""

    centre: Centre
    token: str

    async def request(self, method: str, path: str, expect: int | None = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        answer = await self.centre.http.request(method, f"/api/v1{path}", headers=headers, **more)
        if expect is not None:
            assert answer.status_code == expect, (method, path, answer.status_code, answer.text)
        return answer

    async def get(self, path: str, expect: int = 200, **more: Any) -> Any:
        return _body(await self.request("GET", path, expect, **more))

    async def post(self, path: str, json: Any = None, expect: int = 201, **more: Any) -> Any:
        return _body(await self.request("POST", path, expect, json=json, **more))

    async def patch(self, path: str, json: Any, version: int, expect: int = 200) -> Any:
        headers = {"if-match": f'"{version}"'}
        return _body(await self.request("PATCH", path, expect, json=json, headers=headers))

    async def refused(self, method: str, path: str, status: int, code: str, **more: Any) -> dict[str, Any]:
        """Try what must be refused: a problem of this status and code, that shows nothing else."""
        return assert_problem(await self.request(method, path, **more), status, code)


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem and holds none of the texts that the tests seal."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text.lower()
    body: dict[str, Any] = answer.json()
    assert set(body) <= {"type", "title", "status", "code", "errors", "advice", "roles"}, body
    return body


def _body(answer: httpx.Response) -> Any:
    kind = answer.headers.get("content-type", "")
    return answer.json() if "json" in kind else answer.content


@cache
def all_accounts() -> dict[str, NewAccount]:
    """One account per login, prepared once a process: the keys are the slow part."""
    return {login: prepare_account(login, PASSWORD, _positions(login), FLOOR_PARAMS) for login in LOGINS}


def _positions(login: str) -> Sequence[Position]:
    name = login.partition(".")[2]
    if login in SEVERAL:
        return SEVERAL[login]
    if name in _PROFESSIONS:
        return [Position(Role.WORKER, frozenset({Profession(name)}))]
    return [Position(Role(name))]


_of_text = Engine.of_text


@cache
def _engine(slug: str, orgs: frozenset[str], text: str, alarm: Alarm | None = None) -> Engine:
    """An engine with what it has decided before: a process asks Cedar each question once, and not in each test."""
    return _of_text(slug, orgs, text, alarm=alarm)


def known_engine(slug: str, orgs: Iterable[str], text: str, *, alarm: Alarm | None = None) -> Engine:
    return _engine(slug, frozenset(orgs), text, alarm)


# Applications that no centre has at the moment: their routes take longer to make than anything else of one.
_idle: list[Litestar] = []


@contextmanager
def _application(deployment: Deployment) -> Iterator[Litestar]:
    """The application, of this deployment for a while."""
    app = _idle.pop() if _idle else create_app(deployment)
    app.state.deployment = deployment
    yield app
    _idle.append(app)


@lru_cache(maxsize=512)
def stretched_once(password: str, salt: bytes, params: KdfParams) -> bytes:
    return stretch(password, salt, params).reveal()


def _stretch_once(password: str, salt: bytes, params: KdfParams) -> Secret:
    """What `stretch` gives: a process stretches each password with each salt once, and not at each sign-in."""
    return Secret(stretched_once(password, salt, params))


@dataclass(frozen=True)
class Foundation:
    """A founded database and what stands beside it, to copy for each test."""

    folder: Path
    founded: Mapping[str, Founded]


async def found_centre(folder: Path, owner_url: URL) -> Foundation:
    """Found the four organisations in an empty migrated database, with `state/` and the pepper in `folder`."""
    state = folder / "state"
    state.mkdir()
    pepper = create_pepper_file(folder / "pepper")
    founded: dict[str, Founded] = {}

    def build(connection: Connection) -> None:
        now = datetime.now(UTC)
        prepare_deployment(connection, state, NAME, is_demo=False, now=now)
        ground = Ground(connection, state, pepper, Journal(NAME), now)
        for slug in SLUGS:
            accounts = [account for login, account in all_accounts().items() if login.startswith(f"{slug}.")]
            founded[slug] = found(
                ground, slug, slug.upper(), known_engine(slug, SLUGS, org_source(slug).text), accounts
            )
        for reader, other in permutations(SLUGS, 2):
            remember_partner(
                connection,
                founded[reader].org_id,
                partner_id=founded[other].org_id,
                slug=other,
                name=other.upper(),
                root_fingerprint=founded[other].root_fingerprint,
                chain=own_chain(connection, founded[other].org_id),
                valid_until=now + timedelta(days=365),
            )

    await migrate(owner_url, build)
    return Foundation(folder, founded)


@dataclass(frozen=True)
class Urls:
    """Where a test's databases are; `owner` is the schema's owner on PostgreSQL."""

    service: URL
    owner: URL
    integrator: URL
    shreds: URL


@asynccontextmanager
async def open_centre(folder: Path, foundation: Foundation, urls: Urls) -> AsyncIterator[Centre]:
    """Run the app on a copy of a foundation."""
    shutil.copytree(foundation.folder / "state", folder / "state")
    shutil.copy(foundation.folder / "pepper", folder / "pepper")
    (folder / "data").mkdir()
    settings = Settings(
        database_url=urls.service,
        integrator_url=urls.integrator,
        shred_url=urls.shreds,
        data_dir=folder / "data",
        state_dir=folder / "state",
        pepper_file=folder / "pepper",
        managed_networks=(ip_network("127.0.0.0/8"),),
    )
    clock = MovableClock()
    deployment = await assemble(settings, clock, FLOOR_PARAMS)
    await deployment.shreds.create()
    with (
        _application(deployment) as app,
        patch.object(Engine, "of_text", known_engine),
        patch.object(sign_in, "stretch", _stretch_once),
    ):
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
            yield Centre(deployment, app, clock, foundation.founded, all_accounts(), http, urls)
    await dismantle(deployment)
