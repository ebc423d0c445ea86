"""The shred store: one random half of every key and pseudonym, kept apart so that erasure reaches the backups.

It is its own SQLite file or its own PostgreSQL database, outside the main backup. `add` commits at once, before
the unit of work it serves: an orphan left by a unit that then failed is harmless, a key without
its half never exists. `erase` comes the other way round, once the rows are gone from the database for good; and
what it erased it lists, for a database that is restored from before knows nothing of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import (
    URL,
    Column,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import SingletonThreadPool

from casework.column_types import Id, Moment, raw_id
from casework.database import NAMING_CONVENTION, UnsafeDatabase
from casework.postgres import make_engine, unsafe_durability
from casework.sqlite import Pragmas, set_pragmas
from casework.statements import HotStatement

shreds_metadata = MetaData(naming_convention=NAMING_CONVENTION)

shred = Table(
    "shred",
    shreds_metadata,
    Column("org_id", Id, primary_key=True),
    Column("owner_id", Id, primary_key=True),
    Column("purpose", String(20), primary_key=True),
    Column("part", LargeBinary(32), nullable=False),
    # Covers the one long read: an organisation's every half for one purpose.
    Index("ix_shred_purpose", "org_id", "purpose", "owner_id", "part"),
)

# Whose halves were destroyed on purpose: a restored database that still has them must lose them again.
# By marks under the pepper (crypto.erasure): none can be added to it, nor read from it, by whoever lacks that.
erased_mark = Table(
    "erased_mark",
    shreds_metadata,
    Column("org_id", Id, primary_key=True),
    Column("mark", LargeBinary(32), primary_key=True),
    Column("erased_at", Moment, nullable=False),
)

PSEUDONYM = "pseudonym"
# The half of an organisation's match key: its owner is the organisation.
MATCH = "match"
# How long a copy of the store may be kept: after it an erasure has reached the last of them.
COPIES_KEPT = timedelta(days=30)
# How many owners one statement names.
_AT_ONCE = 500


def half_purpose(group: str, number: int) -> str:
    """Under which purpose the numbered half of a case's key of a group is kept."""
    return group if number == 1 else f"{group}#{number}"


class UnsafeShredStore(UnsafeDatabase):
    """As `UnsafeDatabase`, of the shred store: a key whose half was lost opens nothing any more."""


class ShredMissing(Exception):
    """A key's other half is gone: erased, or the store is not the one that belongs to this database."""


# A deleted half must be gone from the file, a written one must stay. As in `casework.sqlite`, each is read back.
_PRAGMAS: Pragmas = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
)


class ShredStore:
    """Reads and writes halves. Called inside a unit of work, on its thread or in its greenlet."""

    def __init__(self, url: URL) -> None:
        self._async: AsyncEngine | None = None
        if url.get_backend_name() == "sqlite":
            self._engine = _sqlite_engine(Path(url.database or ""))
        else:
            self._async = make_engine(url)
            self._engine = self._async.sync_engine

    async def require_durable(self) -> None:
        """Refuse a server that may lose a half that it confirmed. A SQLite file is held to its pragmas on opening.

        Raises:
            UnsafeShredStore: a durability setting is off; the message names it.

        """
        if self._async is not None:
            async with self._async.connect() as connection:
                found = await connection.run_sync(unsafe_durability)
            if found:
                raise UnsafeShredStore(f"postgresql setting {found[0]} is off")

    async def create(self) -> None:
        """Make the store's one table where it is not there yet."""
        if self._async is None:
            shreds_metadata.create_all(self._engine)
            return
        async with self._async.begin() as connection:
            await connection.run_sync(shreds_metadata.create_all)

    def add(self, org_id: UUID, parts: Mapping[tuple[UUID, str], bytes]) -> None:
        """Commit the halves of (owner, purpose), durably, before the unit that needs them commits."""
        rows = [
            {"org_id": org_id, "owner_id": owner, "purpose": purpose, "part": part}
            for (owner, purpose), part in parts.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(shred), rows)

    def one(self, org_id: UUID, owner: UUID, purpose: str, made: bytes) -> bytes:
        """The half of an owner for a purpose; where there is none yet, the one that is given, durably."""
        known = self.of(org_id, [owner], (purpose,))
        if known:
            return known[owner, purpose]
        insert_one = (sqlite if self._async is None else postgresql).insert(shred)
        row = {"org_id": org_id, "owner_id": owner, "purpose": purpose, "part": made}
        with self._engine.begin() as connection:
            # Of two who give one at once, both use the one that came first.
            connection.execute(insert_one.values(row).on_conflict_do_nothing())
        return self.of(org_id, [owner], (purpose,))[owner, purpose]

    def renew(self, org_id: UUID, owner: UUID, parts: Mapping[str, bytes]) -> None:
        """As `add`, of one owner; what a unit that then failed left under the same purposes is replaced."""
        these = (shred.c.org_id == org_id, shred.c.owner_id == owner, shred.c.purpose.in_(parts))
        rows = [
            {"org_id": org_id, "owner_id": owner, "purpose": purpose, "part": part}
            for purpose, part in parts.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(delete(shred).where(*these))
            if rows:
                connection.execute(insert(shred), rows)

    def purposes_of(self, org_id: UUID, owner: UUID) -> set[str]:
        """For which purposes an owner has halves."""
        query = select(shred.c.purpose).where(shred.c.org_id == org_id, shred.c.owner_id == owner)
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def purposes_of_each(self, org_id: UUID, owners: Sequence[UUID]) -> dict[UUID, set[str]]:
        """As `purposes_of`, of those owners that have any."""
        found: dict[UUID, set[str]] = {}
        with self._engine.connect() as connection:
            for first in range(0, len(owners), _AT_ONCE):
                query = select(shred.c.owner_id, shred.c.purpose).where(
                    shred.c.org_id == org_id, shred.c.owner_id.in_(owners[first : first + _AT_ONCE])
                )
                for owner, purpose in connection.execute(query):
                    found.setdefault(owner, set()).add(purpose)
        return found

    def destroy(self, org_id: UUID, owner: UUID, purposes: Iterable[str]) -> None:
        """Destroy halves of an owner; only once the rows that needed them are gone for good."""
        these = (
            shred.c.org_id == org_id,
            shred.c.owner_id == owner,
            shred.c.purpose.in_(list(purposes)),
        )
        with self._engine.begin() as connection:
            connection.execute(delete(shred).where(*these))

    def of(
        self, org_id: UUID, owners: Iterable[UUID], purposes: Iterable[str]
    ) -> dict[tuple[UUID, str], bytes]:
        """The halves of these owners for these purposes; what was erased is absent."""
        values: dict[str, Any] = {f"owner{number}": owner for number, owner in enumerate(owners)}
        if not values:
            return {}
        statement = _halves_of(len(values), tuple(purposes))
        with closing(self._engine.raw_connection()) as borrowed:
            try:
                found = statement.rows_of(borrowed, self._engine.dialect, {"org": org_id, **values})
            except BaseException:
                # The pool does not see the driver's error: a connection that was lost must not be given out again.
                borrowed.invalidate()
                raise
        return {(owner, purpose): part for owner, purpose, part in found}

    def erase(self, org_id: UUID, owners: Mapping[UUID, bytes], now: datetime) -> int:
        """Destroy every half of these owners and list their marks, in one commit; returns how many halves.

        Only after the database has committed that their rows are gone. Doing it again changes nothing.
        """
        marks = set(owners.values())
        these = erased_mark.c.org_id == org_id, erased_mark.c.mark.in_(marks)
        with self._engine.begin() as connection:
            gone = connection.execute(
                delete(shred).where(shred.c.org_id == org_id, shred.c.owner_id.in_(owners.keys()))
            ).rowcount
            listed = {
                bytes(mark) for mark in connection.execute(select(erased_mark.c.mark).where(*these)).scalars()
            }
            new = [{"org_id": org_id, "mark": mark, "erased_at": now} for mark in marks - listed]
            if new:
                connection.execute(insert(erased_mark), new)
        return gone

    def discard(self, org_id: UUID, owners: Sequence[UUID]) -> int:
        """Destroy the halves of owners that no database has; returns how many. They are not listed as erased."""
        gone = 0
        for first in range(0, len(owners), _AT_ONCE):
            some = owners[first : first + _AT_ONCE]
            with self._engine.begin() as connection:
                gone += connection.execute(
                    delete(shred).where(shred.c.org_id == org_id, shred.c.owner_id.in_(some))
                ).rowcount
        return gone

    def count(self, org_id: UUID, owners: Iterable[UUID]) -> int:
        """How many halves these owners have."""
        query = select(shred.c.purpose).where(shred.c.org_id == org_id, shred.c.owner_id.in_(set(owners)))
        with self._engine.connect() as connection:
            return len(connection.execute(query).all())

    def owned(self, org_id: UUID) -> set[tuple[UUID, str]]:
        """(owner, purpose) of every half of an organisation that is there."""
        query = select(shred.c.owner_id, shred.c.purpose).where(shred.c.org_id == org_id)
        with self._engine.connect() as connection:
            return {(owner, purpose) for owner, purpose in connection.execute(query)}

    async def holds_any(self) -> bool:
        """Whether there is any half at all."""
        query = select(shred.c.owner_id).limit(1)
        if self._async is None:
            with self._engine.connect() as connection:
                return connection.execute(query).first() is not None
        async with self._async.connect() as asynchronous:
            return (await asynchronous.execute(query)).first() is not None

    async def every_erased(self) -> dict[UUID, set[bytes]]:
        """By organisation: the marks of whose halves were destroyed. Makes the list where an old copy has none."""
        await self.create()
        query = select(erased_mark.c.org_id, erased_mark.c.mark)
        if self._async is None:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        else:
            async with self._async.connect() as asynchronous:
                rows = (await asynchronous.execute(query)).all()
        found: dict[UUID, set[bytes]] = {}
        for org_id, mark in rows:
            found.setdefault(org_id, set()).add(bytes(mark))
        return found

    def all_of(self, org_id: UUID, purpose: str) -> dict[bytes, bytes]:
        """An organisation's every half for a purpose, by the owner's bytes: one read for thousands of owners."""
        owner = raw_id(shred.c.owner_id, self._engine.dialect.name)
        query = select(owner, shred.c.part).where(shred.c.org_id == org_id, shred.c.purpose == purpose)
        with self._engine.connect() as connection:
            return {owner_id: bytes(part) for owner_id, part in connection.execute(query)}

    async def dispose(self) -> None:
        if self._async is not None:
            await self._async.dispose()
        else:
            self._engine.dispose()


@cache
def _halves_of(owners: int, purposes: tuple[str, ...]) -> HotStatement:
    """Values: org, owner0, owner1, …"""
    names = [bindparam(f"owner{number}", type_=Id) for number in range(owners)]
    return HotStatement(
        select(shred.c.owner_id, shred.c.purpose, shred.c.part).where(
            shred.c.org_id == bindparam("org", type_=Id),
            shred.c.owner_id.in_(names),
            or_(*(shred.c.purpose == purpose for purpose in purposes)),
        )
    )


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        hide_parameters=True,
        poolclass=SingletonThreadPool,
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        raw: Any = connection
        set_pragmas(raw, _PRAGMAS)

    return engine
