"""Someone with the database's own tools: the file on SQLite, the superuser's login on PostgreSQL."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, make_url, text

from casework.schema import migrate
from tests.conftest import RunningCluster

T = TypeVar("T")

# A constraint that is checked at the commit, and that no row put into the table meets.
_SQLITE_TRAP = (
    "CREATE TABLE empty_parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE trap (id INTEGER REFERENCES empty_parent (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TRIGGER spring AFTER INSERT ON {table} BEGIN INSERT INTO trap VALUES (1); END",
)
_POSTGRESQL_TRAP = (
    "CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION spring()",
)


class Administrator:
    """Acts on one database beside the service, in committed transactions of her own."""

    def __init__(self, url: URL) -> None:
        self.url = url if url.get_backend_name() == "sqlite" else url.set(username="postgres")

    @classmethod
    def of(cls, place: Any) -> "Administrator":
        """Of what the fixture `database_place` gives."""
        if isinstance(place, tuple):
            cluster: RunningCluster = place[0]
            return cls(cluster.url(place[1], "postgres"))
        return cls(make_url(f"sqlite:///{place}"))

    async def run(self, work: Callable[[Connection], T]) -> T:
        results: list[T] = []
        await migrate(self.url, lambda connection: results.append(work(connection)))
        return results[0]

    async def sql(self, *statements: str) -> None:
        for statement in statements:
            await self.run(lambda connection, statement=statement: connection.exec_driver_sql(statement))

    async def value(self, query: str, **values: Any) -> Any:
        if self.url.get_backend_name() == "sqlite":
            # Reading alone: whoever begins to write may wait for a busy service longer than she has patience.
            with closing(sqlite3.connect(f"file:{self.url.database}?mode=ro", uri=True)) as file:
                (value,) = file.execute(query, values).fetchone()
                return value
        return await self.run(lambda connection: connection.execute(text(query), values).scalar_one())

    async def set_trap(self, table: str) -> None:
        """From now on a transaction that inserts into this table fails, and only at its commit."""
        trap = _SQLITE_TRAP if self.url.get_backend_name() == "sqlite" else _POSTGRESQL_TRAP
        await self.sql(*(statement.format(table=table) for statement in trap))

    async def lift_trap(self, table: str) -> None:
        on_table = "" if self.url.get_backend_name() == "sqlite" else f" ON {table}"
        await self.sql(f"DROP TRIGGER spring{on_table}")
