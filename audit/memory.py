"""What a writer keeps of its committed entries until a signed checkpoint that it has verified covers them.

Between its commit and its integration an entry is in the inbox alone, where no tree holds it: who deletes the row
there leaves a hole in a lane, and this memory, which no database reaches, misses it within half a minute.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from sqlalchemy import Connection, select

from audit import tables
from audit.entry import Entry
from audit.errors import EntryRefused
from audit.tree import leaf_hash

# An integrator that runs drains the inbox five times a second.
PATIENCE_SECONDS = 30.0
# Some seconds of the heaviest load that was measured. Beyond it nothing new is taken: an entry is never forgotten.
MOST_REMEMBERED = 65_536
# So many are looked for at once; the first are reason enough to stop.
_LOOKED_FOR = 256


class Fate(StrEnum):
    """Why an entry is not covered."""

    WAITING = "waiting"
    ALTERED = "altered"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A committed entry: its log, its leaf hash, its id, and when it was committed (s, by `elapsed`)."""

    log: bytes
    leaf: bytes
    entry_id: str
    since: float


class WriterMemory:
    """The entries of one process, all logs together. Safe to share between threads."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        """`elapsed` gives seconds that no setting of the clock moves."""
        self._elapsed = elapsed
        self._lock = Lock()
        self._entries: dict[bytes, Remembered] = {}

    def remember(self, log: bytes, leaf: bytes, entry_id: str) -> None:
        """The entry with this leaf hash has just been committed."""
        with self._lock:
            self._entries[leaf] = Remembered(log, leaf, entry_id, self._elapsed())

    def forget(self, leaves: Iterable[bytes]) -> None:
        """These leaves are covered."""
        with self._lock:
            for leaf in leaves:
                self._entries.pop(leaf, None)

    def holds(self, leaf: bytes) -> bool:
        """Whether this entry is still to be covered."""
        return leaf in self._entries

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= MOST_REMEMBERED

    @property
    def misses_one(self) -> bool:
        """Whether the oldest entry that is not covered was committed more than 30 s ago."""
        with self._lock:
            oldest = next(iter(self._entries.values()), None)
        return oldest is not None and oldest.since < self._elapsed() - PATIENCE_SECONDS

    def missing(self) -> list[Remembered]:
        """The entries of more than 30 s that are not covered, the oldest first."""
        before = self._elapsed() - PATIENCE_SECONDS
        with self._lock:
            return [entry for entry in self._entries.values() if entry.since < before]

    def uncovered(self) -> list[Remembered]:
        """All entries that are not covered, the oldest first."""
        with self._lock:
            return list(self._entries.values())


def fates(connection: Connection, log: bytes, missing: Iterable[Remembered]) -> Counter[Fate]:
    """What became of entries of `log` that nothing covers. Needs the integrator's rights.

    WAITING: its very bytes are in the inbox or the log, and no checkpoint that verifies covers them.
    """
    wanted = list(missing)[:_LOOKED_FOR]
    waiting = connection.execute(select(tables.inbox.c.entry).where(tables.inbox.c.log == log)).scalars()
    integrated = connection.execute(
        select(tables.entry.c.bytes).where(
            tables.entry.c.log == log, tables.entry.c.entry_id.in_([entry.entry_id for entry in wanted])
        )
    ).scalars()
    leaves: set[bytes] = set()
    ids: set[str | None] = set()
    for raw in (bytes(stored) for stored in (*waiting, *integrated)):
        leaves.add(leaf_hash(raw))
        ids.add(_id_of(raw))
    return Counter(_fate(entry, leaves, ids) for entry in wanted)


def _fate(entry: Remembered, leaves: set[bytes], ids: set[str | None]) -> Fate:
    if entry.leaf in leaves:
        return Fate.WAITING
    return Fate.ALTERED if entry.entry_id in ids else Fate.REMOVED


def _id_of(raw: bytes) -> str | None:
    try:
        return Entry.from_bytes(raw).id
    except EntryRefused:
        return None
