"""Retention: the bytes of old entries go, with their subjects and sealed details; the tree that vouches stays.

The order makes a kill harmless at any point. First an entry `log.prune` says up to where (`count`), is integrated
and covered by a checkpoint; then the bytes go, a step a transaction, each of which also raises the log's minimum
index: between two steps a part of what was announced is gone, and all of what is gone was announced.
"""

from sqlalchemy import Connection, delete, func, select, update

from audit import tables
from audit.entry import Entry, Outcome
from audit.errors import JournalRefused
from audit.evidence import TILE_WIDTH
from audit.verifier import PRUNE_ACTION

# Entries of one transaction: on SQLite and for the integrator everybody waits for it.
STEP = 16 * TILE_WIDTH


def pruned_below(connection: Connection, log: bytes) -> int:
    """The log's minimum index: the bytes of the entries below are gone.

    Raises:
        JournalRefused: the log is not open.

    """
    found: int | None = connection.execute(
        select(tables.log.c.pruned).where(tables.log.c.log == log)
    ).scalar_one_or_none()
    if found is None:
        raise JournalRefused(log, "the log is not open")
    return found


def prunable_below(connection: Connection, log: bytes, before: int) -> int:
    """The largest minimum index such that every entry below is older than `before` (µs) and under a checkpoint.

    A multiple of 256; the newest entry under a checkpoint always stays. It trusts the column `time`: verify the
    log first, in the same view.

    Raises:
        JournalRefused: the log is not open.

    """
    entry = tables.entry
    signed = _signed(connection, log)
    kept: int | None = connection.execute(
        select(func.min(entry.c.idx)).where(entry.c.log == log, entry.c.time >= before)
    ).scalar_one()
    end = signed - 1 if kept is None else min(kept, signed - 1)
    return max(pruned_below(connection, log), end // TILE_WIDTH * TILE_WIDTH)


def explained_below(connection: Connection, log: bytes) -> int:
    """Up to where the entries `log.prune` under a checkpoint say that the log is pruned; 0 where there is none."""
    entry = tables.entry
    raws = connection.execute(
        select(entry.c.bytes).where(
            entry.c.log == log, entry.c.action == PRUNE_ACTION, entry.c.idx < _signed(connection, log)
        )
    ).scalars()
    said = [Entry.from_bytes(raw) for raw in raws]
    return max((one.count or 0 for one in said if one.outcome is Outcome.ALLOWED), default=0)


def prune_step(connection: Connection, log: bytes, minimum: int) -> int:
    """Drop at most `STEP` entries towards `minimum`, in the caller's transaction; returns the minimum index now.

    Two that do it at once take turns, and each goes on from where the other left it.

    Raises:
        JournalRefused: no entry under a checkpoint says that the log is pruned up to `minimum`; it is not open.

    """
    if explained_below(connection, log) < minimum:
        raise JournalRefused(log, "no entry under a checkpoint says that this is pruned")
    this = tables.log.c.log == log
    # Locked: of two steps at once the second would drop what it did not count.
    connection.execute(select(tables.log.c.pruned).where(this).with_for_update())
    known = pruned_below(connection, log)
    if known >= minimum:
        return known
    below = min(minimum, known + STEP)
    # First: the triggers let go only of what is below.
    connection.execute(update(tables.log).where(this).values(pruned=below))
    gone = tables.entry.c.log == log, tables.entry.c.idx < below
    detail, subject = tables.detail, tables.subject
    # While the entries still say which details are theirs.
    connection.execute(
        delete(detail).where(
            detail.c.log == log, detail.c.entry_id.in_(select(tables.entry.c.entry_id).where(*gone))
        )
    )
    connection.execute(delete(subject).where(subject.c.log == log, subject.c.idx < below))
    connection.execute(delete(tables.entry).where(*gone))
    return below


def _signed(connection: Connection, log: bytes) -> int:
    """How many entries are under the newest checkpoint."""
    table = tables.checkpoint
    newest: int | None = connection.execute(
        select(func.max(table.c.size)).where(table.c.log == log)
    ).scalar_one()
    return newest or 0
