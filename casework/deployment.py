"""The parts of one running service, put together once at start."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog
from sqlalchemy import Connection, select

from audit.lane_file import LaneFile
from audit.memory import WriterMemory
from casework.alerts import AlertKind
from casework.anchors import AnchorMissing, Anchors
from casework.clock import Clock
from casework.database import Database, UnitOfWork, UnsafeDatabase
from casework.identity.tables import sessions_metadata
from casework.journal import Journal
from casework.keyring import Directories
from casework.organisations.tables import deployment as deployment_table
from casework.organisations.tables import organisation
from casework.postgres import PostgresDatabase
from casework.rounds import Rounds
from casework.rules import Rules
from casework.settings import Settings
from casework.shreds import ShredStore
from casework.sqlite import SqliteDatabase
from casework.turns import Turns
from crypto.errors import DirectoryRefused
from crypto.password import DEFAULT_PARAMS, KdfParams
from crypto.pepper import FileKeyProvider, Pepper, Peppers
from policies.engine import Engine, EngineFailure

log = structlog.get_logger(__name__)

# Two at once: each takes 64 MiB and a core for a tenth of a second.
PASSWORDS_AT_ONCE = 2
# Some five seconds of waiting: a longer line would be given up by whoever stands in it.
PASSWORDS_IN_LINE = 50
# Beside those, so that no flood of sign-ins keeps who is signed in from a sensitive act.
STEP_UPS_AT_ONCE = 1
# One at a time: two that compare would only share the interpreter, and everybody else would wait for both.
SEARCHES_AT_ONCE = 1


class NotPrepared(Exception):
    """The database has no deployment row: `casework org create` or `casework demo` makes it."""


@dataclass(slots=True)
class Deployment:
    """Everything a request needs. `kdf_params` are what new passwords are stretched with."""

    settings: Settings
    clock: Clock
    database: Database
    shreds: ShredStore
    peppers: Peppers
    directories: Directories
    journal: Journal
    memory: WriterMemory
    is_demo: bool
    kdf_params: KdfParams = DEFAULT_PARAMS
    rounds: Rounds = field(default_factory=Rounds)
    # What durability rests on and is not as it must be, since somebody changed it under the running service.
    faults: tuple[str, ...] = ()
    slugs: dict[UUID, str] = field(default_factory=dict)
    # Requests for erasure that the database calls decided and nobody decided: each is journaled once a process.
    forged_erasures: set[tuple[UUID, UUID]] = field(default_factory=set)
    # What the last look at each organisation's journal found: an alarm is raised once while its cause lasts.
    review_alarms: dict[UUID, set[tuple[AlertKind, str]]] = field(default_factory=dict)
    search_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SEARCHES_AT_ONCE))
    password_turns: Turns = field(default_factory=lambda: Turns(PASSWORDS_AT_ONCE, PASSWORDS_IN_LINE))
    step_up_turns: Turns = field(default_factory=lambda: Turns(STEP_UPS_AT_ONCE, PASSWORDS_IN_LINE))
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.rules = Rules(self.directories, self.journal, self.slugs, _alarm)

    @property
    def pepper(self) -> Pepper:
        """The pepper in force."""
        return self.peppers.current

    def engine(self, unit: UnitOfWork, org_id: UUID) -> Engine:
        """The rules that an organisation decides by, of one that the unit is in; see `casework.rules`."""
        return self.rules.engine(unit, org_id)


def _alarm(failure: EngineFailure) -> None:
    log.error("policy_engine_failed", organisation=failure.org, action=failure.action)


def lanes_folder(settings: Settings) -> Path:
    """Where each process that serves keeps what its lanes have not settled."""
    return settings.state_dir / "journal-lanes"


def make_database(settings: Settings, clock: Clock) -> Database:
    if settings.is_sqlite:
        return SqliteDatabase(settings.sqlite_path, clock)
    return PostgresDatabase(settings.database_url, settings.integrator_url, clock)


async def assemble(settings: Settings, clock: Clock, kdf_params: KdfParams = DEFAULT_PARAMS) -> Deployment:
    """Open everything and check it.

    Raises:
        PepperRefused, UnsafeDatabase, NotPrepared: what stands in the way, by name.

    """
    peppers = FileKeyProvider(settings.pepper_file).peppers()
    database = make_database(settings, clock)
    try:
        await database.start()
        return await _put_together(settings, clock, kdf_params, database, peppers)
    except BaseException:
        await database.stop()
        raise


async def _put_together(
    settings: Settings, clock: Clock, kdf_params: KdfParams, database: Database, peppers: Peppers
) -> Deployment:
    name, is_demo, slugs = await database.unit(lambda unit: _read_deployment(unit.connection))
    if found := await database.faults():
        raise UnsafeDatabase(f"{found[0]} was changed")
    shreds = ShredStore(settings.shred_url)
    try:
        await shreds.require_durable()
    except BaseException:
        await shreds.dispose()
        raise
    memory = WriterMemory(clock.elapsed)
    return Deployment(
        settings=settings,
        clock=clock,
        database=database,
        shreds=shreds,
        peppers=peppers,
        directories=Directories(Anchors(settings.state_dir)),
        journal=Journal(name, LaneFile(lanes_folder(settings)), memory),
        memory=memory,
        is_demo=is_demo,
        kdf_params=kdf_params,
        slugs=dict(slugs),
    )


async def load_rules(deployment: Deployment) -> None:
    """Load the rules of each organisation, before anybody waits for them.

    One whose directory is refused has none, and each of its members hears so.
    """
    for org_id in deployment.slugs:

        def load(unit: UnitOfWork, org_id: UUID = org_id) -> None:
            unit.enter_organisation(org_id)
            deployment.engine(unit, org_id)

        with suppress(AnchorMissing, DirectoryRefused):
            await deployment.database.unit(load)


async def dismantle(deployment: Deployment) -> None:
    await deployment.database.stop()
    await deployment.shreds.dispose()
    deployment.journal.end()


def _read_deployment(connection: Connection) -> tuple[str, bool, list[tuple[UUID, str]]]:
    if connection.dialect.name == "sqlite":
        # The sessions file is in no backup: after a restore it is made anew.
        sessions_metadata.create_all(connection)
    row = connection.execute(select(deployment_table.c.name, deployment_table.c.is_demo)).one_or_none()
    if row is None:
        raise NotPrepared
    slugs = connection.execute(select(organisation.c.id, organisation.c.slug)).all()
    return row.name, row.is_demo, [(org_id, slug) for org_id, slug in slugs]
