"""How a command reaches what is deployed: as the schema's owner, as the service, or the database alone."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, ProgrammingError

import migrations
from casework import postgres, sqlite
from casework.clock import Clock
from casework.database import Database
from casework.deployment import Deployment, assemble, dismantle, make_database
from casework.schema import migrate
from casework.settings import SettingRefused, Settings, from_environment
from casework.shreds import ShredStore

T = TypeVar("T")

OWNER_URL = "CASEWORK_OWNER_URL"


class CommandRefused(Exception):
    """What was asked cannot be done; the message is one French sentence, without any secret."""


class RevisionHidden(Exception):
    """This role may not read the schema's revision: only its owner may."""


def owner_url(settings: Settings) -> URL:
    """The database as the owner of its schema; on SQLite whoever may write the file is.

    Raises:
        SettingRefused: `CASEWORK_OWNER_URL` is missing, holds a password, or names no PostgreSQL database.

    """
    return settings.database_url if settings.is_sqlite else url_of_role(OWNER_URL)


def url_of_role(name: str) -> URL:
    """The address, from the environment, of a role that commands alone have.

    Raises:
        SettingRefused: it is missing, holds a password, or names no PostgreSQL database.

    """
    value = os.environ.get(name, "")
    if not value:
        raise SettingRefused(name, "is not set")
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise SettingRefused(name, "is not a database URL") from None
    if url.password is not None or "password" in url.query:
        raise SettingRefused(name, "must hold no password: PGPASSFILE names the file that does")
    if url.get_backend_name() != "postgresql":
        raise SettingRefused(name, "must be postgresql+asyncpg://")
    return url.set(drivername="postgresql+asyncpg")


def as_owner(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run `work` as the owner of the schema, in one transaction, and return its result once committed."""
    results: list[T] = []
    asyncio.run(migrate(owner_url(settings), lambda connection: results.append(work(connection))))
    return results[0]


def as_owner_beside_shreds(settings: Settings, work: Callable[[Connection, ShredStore], T]) -> T:
    """As `as_owner`, with the shred store open meanwhile."""
    results: list[T] = []

    async def run() -> None:
        shreds = ShredStore(settings.shred_url)
        try:
            await migrate(owner_url(settings), lambda connection: results.append(work(connection, shreds)))
        finally:
            await shreds.dispose()

    asyncio.run(run())
    return results[0]


def with_deployment(work: Callable[[Deployment], Coroutine[Any, Any, T]]) -> T:
    """Assemble the deployment with the service's own rights, run `work`, and take it apart.

    Raises:
        CommandRefused: the database is not there or not at the newest revision; what `assemble` raises.

    """

    async def run() -> T:
        settings = from_environment()
        await require_newest_revision(settings)
        deployment = await assemble(settings, Clock())
        try:
            return await work(deployment)
        finally:
            await dismantle(deployment)

    return asyncio.run(run())


def with_database(work: Callable[[Settings, Database], Coroutine[Any, Any, T]]) -> T:
    """Open the database alone, without pepper or policies, and run `work`."""

    async def run() -> T:
        settings = from_environment()
        await require_newest_revision(settings)
        database = make_database(settings, Clock())
        try:
            await database.start()
            return await work(settings, database)
        finally:
            await database.stop()

    return asyncio.run(run())


def newest_revision() -> str:
    head = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    assert head is not None
    return head


def revision_of(connection: Connection) -> str | None:
    """The revision of the schema; None where there is none yet.

    Raises:
        RevisionHidden: on PostgreSQL, for any role but the owner.

    """
    try:
        return MigrationContext.configure(connection).get_current_revision()
    except ProgrammingError:
        raise RevisionHidden from None


async def revision_at(url: URL) -> str | None:
    """`revision_of` a database that is not open yet; None too where a SQLite file is not there."""
    if url.get_backend_name() == "sqlite":
        return _revision_in(Path(url.database or ""))
    engine = postgres.make_engine(url, pool_size=1)
    try:
        async with engine.connect() as connecting:
            return await connecting.run_sync(revision_of)
    finally:
        await engine.dispose()


def _revision_in(file: Path) -> str | None:
    # Opening it would make it.
    if not file.exists():
        return None
    with sqlite.make_engine(file).connect().execution_options(sqlite_tx="DEFERRED") as connection:
        return revision_of(connection)


async def require_newest_revision(settings: Settings) -> None:
    """Refuse a database that this version of the program does not know. The service's role cannot tell.

    Raises:
        CommandRefused: the database has no schema, or another revision of it.

    """
    try:
        revision = await revision_at(settings.database_url)
    except RevisionHidden:
        return
    if revision is None:
        raise CommandRefused("La base n’est pas préparée : lancez « casework init ».")
    if revision != newest_revision():
        raise CommandRefused("La base n’est pas à la version du programme : lancez « casework db upgrade ».")
