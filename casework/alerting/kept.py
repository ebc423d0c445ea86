"""Alerts that wait to be told: a small SQLite file in the state directory, because the database may be what failed.

Of each kind (and organisation) it holds how often it was raised, and how much of that each channel was told. So a
flood costs one row, a channel that was away is told the sum, and whoever is told twice after a kill can see it.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from casework.alerts import AlertKind
from casework.clock import Clock

FILE_NAME = "alerts.db"
# The same again is told at most once an hour: who is woken by every one of a hundred stops reading.
QUIET = timedelta(hours=1)
# A channel that is new is not told what happened last month.
TOLD_WITHIN = timedelta(days=7)

_PATIENCE_SECONDS = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS raised (
    kind TEXT NOT NULL, organisation TEXT NOT NULL, total INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (kind, organisation)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
    kind TEXT NOT NULL, organisation TEXT NOT NULL, channel TEXT NOT NULL,
    total INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (kind, organisation, channel)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """What a channel has to be told: `count` new ones, `total` since ever, the last at `last`."""

    kind: AlertKind
    organisation: str | None
    total: int
    count: int
    last: datetime


class KeptAlerts:
    """The file in `state_dir`; any process of this machine may write it."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._path = state_dir / FILE_NAME
        self._clock = clock
        self._lock = Lock()
        # Those of the same second, which are written together: a search may meet ten thousand damaged records.
        self._more: Counter[tuple[str, str]] = Counter()
        self._written: dict[tuple[str, str], int] = {}

    def keep(self, kind: AlertKind, organisation: str | None) -> None:
        """Count one more: the first of a second is on disk when this returns. Any thread may call it.

        Raises:
            sqlite3.Error: it could not be kept.

        """
        key, now = (kind.value, organisation or ""), self._now()
        with self._lock:
            self._more[key] += 1
            if self._written.get(key) == now:
                return
            self._written[key] = now
            self._write(now)

    def flush(self) -> None:
        """Write those that the first of their second did not take along."""
        with self._lock:
            if self._more:
                self._write(self._now())

    def _write(self, now: int) -> None:
        with self._open() as file:
            file.executemany(
                "INSERT INTO raised VALUES (?, ?, ?, ?) ON CONFLICT (kind, organisation)"
                " DO UPDATE SET total = total + excluded.total, last = excluded.last",
                [(*key, count, now) for key, count in self._more.items()],
            )
        self._more.clear()

    def owed(self, channel: str, organisation: str | None) -> list[Owed]:
        """What `channel` is to be told now: of one organisation, or (None) of everything."""
        now = self._now()
        with self._open() as file:
            rows = file.execute(
                "SELECT raised.kind, raised.organisation, raised.total,"
                " raised.total - coalesce(told.total, 0), last"
                " FROM raised LEFT JOIN told ON told.kind = raised.kind"
                " AND told.organisation = raised.organisation AND told.channel = :channel"
                " WHERE raised.total > coalesce(told.total, 0) AND last > :old"
                # A clock that ran ahead once must not keep it quiet until then.
                " AND (coalesce(told.at, 0) <= :quiet OR told.at > :now)"
                " AND (:organisation IS NULL OR raised.organisation = :organisation)"
                " ORDER BY last, raised.kind",
                {
                    "channel": channel,
                    "organisation": organisation,
                    "now": now,
                    "quiet": now - int(QUIET.total_seconds()),
                    "old": now - int(TOLD_WITHIN.total_seconds()),
                },
            ).fetchall()
        # Of another version's kinds nothing is told: nobody knows the words, and the others must not wait for it.
        return [
            Owed(AlertKind(kind), org or None, total, count, datetime.fromtimestamp(last, UTC))
            for kind, org, total, count, last in rows
            if kind in set(AlertKind)
        ]

    def told(self, channel: str, owed: Owed) -> None:
        """`channel` knows of these."""
        with self._open() as file:
            file.execute(
                "INSERT INTO told VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, organisation, channel)"
                " DO UPDATE SET total = excluded.total, at = excluded.at",
                (owed.kind.value, owed.organisation or "", channel, owed.total, self._now()),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)) as file, file:
            file.execute("PRAGMA synchronous = FULL")
            file.executescript(_SCHEMA)
            yield file

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
