"""The unit of work: the only thing that commits, on both engines.

A unit is a plain function over a `UnitOfWork`. On SQLite it runs in the one writer thread
(`casework.sqlite`), on PostgreSQL in SQLAlchemy's greenlet over asyncpg (`casework.postgres`). The function
returns the bytes of the answer, so a body is rendered before the commit and leaves only after it: a failed
commit is an error and never a success already sent. Services never commit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, MetaData, text

from audit.entry import Entry
from audit.log import record
from casework.clock import Clock
from casework.outages import CommitFailed, StorageFull, commit_failed, storage_is_full
from casework.statements import run_hot

T = TypeVar("T")

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING_CONVENTION)

_SET_ORGANISATION = text("SELECT set_config('casework.org', :org, true)")


class UnrecordedAccess(Exception):
    """Something was opened or changed and no journal entry stands beside it: a defect, refused at commit."""


class UnsafeDatabase(Exception):
    """The database is set so that an acknowledged write could be lost; the message names the setting."""


class UnitOfWork:
    """One transaction's worth of work: a connection, one moment, and the journal entries beside the data."""

    __slots__ = ("_commits", "_recorded", "_rollbacks", "_touched", "connection", "now")

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._recorded = 0
        self._touched = False
        self._commits: dict[Hashable, Callable[[], None]] = {}
        self._rollbacks: list[Callable[[], None]] = []

    def enter_organisation(self, org_id: UUID) -> None:
        """From here to the end of the unit, row-level security shows this organisation's rows alone."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(_SET_ORGANISATION, {"org": org_id.hex})

    def record(self, log: bytes, entry: Entry, detail: bytes | None = None) -> bytes:
        """Put a journal entry into this very transaction; returns its leaf hash."""
        leaf = record(self.connection, log, entry, detail, execute=run_hot)
        self._recorded += 1
        return leaf

    def touched(self) -> None:
        """Say that a person's data was opened or changed: the unit now needs an entry to commit."""
        self._touched = True

    def on_rollback(self, call: Callable[[], None]) -> None:
        """Have `call` run if this unit does not commit, or if its outcome is unknown."""
        self._rollbacks.append(call)

    def on_commit(self, call: Callable[[], None], about: Hashable = None) -> None:
        """Have `call` run once this unit is durably committed; of several about one thing the last alone."""
        self._commits[about if about is not None else object()] = call

    def ensure_recorded(self) -> None:
        """Refuse to commit what was opened without a trace.

        Raises:
            UnrecordedAccess: data was touched and no entry was recorded.

        """
        if self._touched and not self._recorded:
            raise UnrecordedAccess

    @property
    def has_written(self) -> bool:
        """Whether a journal entry was put in: a commit of it shows that the storage takes what is new."""
        return self._recorded > 0

    def rolled_back(self) -> None:
        for call in self._rollbacks:
            call()
        self._rollbacks.clear()

    def committed(self) -> None:
        for call in self._commits.values():
            call()
        self._commits.clear()


class Database(ABC):
    """What both engines offer. `start` checks the settings that durability rests on, `stop` drains.

    `is_full` from the moment when the storage refused a unit until one that wrote has committed.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.is_full = False

    def commit_failed(self, error: Exception) -> CommitFailed:
        """What to raise where a commit raised `error`; takes notice of a storage that is full."""
        failed = commit_failed(error)
        self.is_full = self.is_full or isinstance(failed, StorageFull)
        return failed

    def unit_failed(self, error: BaseException) -> None:
        """Take notice of a statement that the storage refused; the error itself goes to whoever asked."""
        if storage_is_full(error):
            self.is_full = True

    def unit_committed(self, unit: UnitOfWork) -> None:
        if unit.has_written:
            self.is_full = False
        unit.committed()

    @abstractmethod
    async def start(self) -> None:
        """Open the engine.

        Raises:
            UnsafeDatabase: a durability setting is off.

        """

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def unit(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in one transaction and return its result once that is durably committed.

        Raises:
            CommitFailed: the commit was not confirmed; whatever `work` itself raises, unchanged.

        """

    @abstractmethod
    async def snapshot(self, work: Callable[[Connection], T], org_id: UUID | None = None) -> T:
        """Run `work` over one consistent, read-only view; for long reads that change nothing."""

    @abstractmethod
    async def inspect(self, work: Callable[[Connection], T]) -> T:
        """Run `work` over one consistent, read-only view, with the journal integrator's rights: every log."""

    @abstractmethod
    async def faults(self) -> list[str]:
        """The settings that durability rests on and the journal's triggers that are not as they must be, by name.

        Of PostgreSQL as a new connection would find them: what was changed for a role or a database counts.
        """

    @abstractmethod
    async def integrate(self, work: Callable[[Connection], T]) -> T:
        """Run the journal integrator's `work` in a transaction of its own, with its rights."""
