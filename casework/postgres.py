"""PostgreSQL: the same plain units of work, run in SQLAlchemy's greenlet over asyncpg.

The service connects with a role that owns nothing and is under row-level security; the journal's integrator
has a role and an engine of its own.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from audit.triggers import changed_triggers
from casework.clock import Clock
from casework.database import Database, UnitOfWork, UnsafeDatabase

T = TypeVar("T")

_DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
_SETTING = text("SELECT current_setting(:name)")
# A superuser, a role with BYPASSRLS, the owner of a table behind the wall, the other logins to which the wall shows
# more than one organisation, and whoever may become one of them by SET ROLE.
ESCAPES_THE_WALL = text("""
    SELECT EXISTS (
        SELECT FROM pg_roles AS role
        WHERE pg_has_role(current_user, role.oid, 'MEMBER') AND (
            role.rolsuper OR role.rolbypassrls OR role.rolname IN ('casework_integrator', 'casework_pruner')
            OR EXISTS (SELECT FROM pg_class WHERE relowner = role.oid AND relrowsecurity)))
""")


_ANYTHING = text("SELECT 1")


def make_engine(url: URL, *, pool_size: int = 8) -> AsyncEngine:
    return create_async_engine(url, hide_parameters=True, pool_size=pool_size, max_overflow=0)


def setting(connection: Connection, name: str) -> str:
    """A setting of the server as it is in force for this role and database."""
    return str(connection.execute(_SETTING, {"name": name}).scalar_one())


def unsafe_durability(connection: Connection) -> list[str]:
    """The settings that are off and without which a confirmed write may be lost or torn."""
    return [name for name in _DURABILITY if setting(connection, name) == "off"]


class PostgresDatabase(Database):
    """The database on a server; several processes may share it."""

    def __init__(self, url: URL, integrator_url: URL, clock: Clock) -> None:
        super().__init__(clock)
        self.engine = make_engine(url)
        self._integrator = make_engine(integrator_url, pool_size=1)

    async def start(self) -> None:
        async with self.engine.connect() as connection:
            found = await connection.run_sync(unsafe_durability)
            if found:
                raise UnsafeDatabase(f"postgresql setting {found[0]} is off")
            if (await connection.execute(ESCAPES_THE_WALL)).scalar_one():
                raise UnsafeDatabase("the service's database role escapes row-level security")

    async def stop(self) -> None:
        await self.engine.dispose()
        await self._integrator.dispose()

    async def unit(self, work: Callable[[UnitOfWork], T]) -> T:
        async with self.engine.connect() as connection:
            return await connection.run_sync(self._attempt, work)

    def _attempt(self, connection: Connection, work: Callable[[UnitOfWork], T]) -> T:
        unit = UnitOfWork(connection, self.clock.now())
        transaction = connection.begin()
        driver: Any = connection.connection.driver_connection
        try:
            # Hot statements go past SQLAlchemy's adapter, which begins only before a statement of its own.
            adapter: Any = connection.connection.dbapi_connection
            await_only(adapter._start_transaction())  # noqa: SLF001 - it has no other name
            result = work(unit)
            unit.ensure_recorded()
        except BaseException as error:
            # First: with the connection lost, the rollback itself raises.
            unit.rolled_back()
            self.unit_failed(error)
            if driver.is_closed() and not connection.invalidated:
                # SQLAlchemy did not see the error of a hot statement: so it learns that its pool is stale.
                with suppress(DBAPIError):
                    connection.execute(_ANYTHING)
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except BaseException as error:
            unit.rolled_back()
            if isinstance(error, Exception):
                raise self.commit_failed(error) from None
            raise
        self.unit_committed(unit)
        return result

    async def snapshot(self, work: Callable[[Connection], T], org_id: UUID | None = None) -> T:
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await connection.run_sync(_read, work, org_id, self.clock)

    async def inspect(self, work: Callable[[Connection], T]) -> T:
        async with self._integrator.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await connection.run_sync(_read, work, None, self.clock)

    async def faults(self) -> list[str]:
        found: set[str] = set()
        for url in (self.engine.url, self._integrator.url):
            # New connections: those of the pools keep what they began with.
            fresh = make_engine(url, pool_size=1)
            try:
                async with fresh.connect() as connection:
                    found.update(await connection.run_sync(_faults))
            finally:
                await fresh.dispose()
        return sorted(found)

    async def integrate(self, work: Callable[[Connection], T]) -> T:
        async with self._integrator.begin() as connection:
            return await connection.run_sync(work)


def _faults(connection: Connection) -> list[str]:
    fires = setting(connection, "session_replication_role") == "origin"
    return [
        *unsafe_durability(connection),
        *([] if fires else ["session_replication_role"]),
        *changed_triggers(connection),
    ]


def _read(connection: Connection, work: Callable[[Connection], T], org_id: UUID | None, clock: Clock) -> T:
    with connection.begin():
        if org_id is not None:
            UnitOfWork(connection, clock.now()).enter_organisation(org_id)
        return work(connection)
