"""The journal as the service sees it: put an entry beside the data, read what is integrated.

Everything here runs in the caller's transaction and commits nothing. An entry is seen by the readers once the
integrator has drained it, within its period (200 ms).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, insert, or_, select

from audit import tables
from audit.checkpoint import parse_checkpoint
from audit.entry import Entry, Outcome
from audit.errors import EntryNotFound, NothingPublished
from audit.execution import Execute
from audit.nodes import stored_nodes
from audit.receipt import Receipt
from audit.tree import consistency_proof, inclusion_proof, leaf_hash

# inline(): PostgreSQL would otherwise return the row's number, and the role may not read the inbox.
_INSERT_INBOX = insert(tables.inbox).values(log=bindparam("log"), entry=bindparam("entry")).inline()
_INSERT_DETAIL = (
    insert(tables.detail)
    .values(log=bindparam("log"), entry_id=bindparam("entry_id"), sealed=bindparam("sealed"))
    .inline()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a review looks for; everything that is given must hold. Times are µs: since ≤ time < until."""

    subjects: frozenset[bytes] | None = None
    actor: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Integrated:
    """An entry with its place in the log and its very bytes."""

    index: int
    entry: Entry
    raw: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Entries from the newest down, and the cursor of those before them; None at the beginning of the log."""

    entries: tuple[Integrated, ...]
    cursor: int | None


def record(
    connection: Connection,
    log: bytes,
    entry: Entry,
    detail: bytes | None = None,
    *,
    execute: Execute = Connection.execute,
) -> bytes:
    """Put `entry` (and its sealed detail) into the caller's transaction, to be integrated into `log`.

    Returns the entry's leaf hash.

    `execute` runs the two inserts; a caller with a quicker way to run what never changes passes its own.

    Raises:
        EntryRefused: the entry holds what the schema does not allow.

    """
    raw = entry.to_bytes()
    execute(connection, _INSERT_INBOX, {"log": log, "entry": raw})
    if detail is not None:
        execute(connection, _INSERT_DETAIL, {"log": log, "entry_id": entry.id, "sealed": detail})
    return leaf_hash(raw)


def entries(
    connection: Connection, log: bytes, filters: Filters, *, cursor: int | None = None, limit: int = 50
) -> Page:
    """The entries of `log` that match, newest first, at most `limit`, below index `cursor` if given."""
    table = tables.entry
    wanted = [table.c.log == log, *_conditions(filters)]
    if cursor is not None:
        wanted.append(table.c.idx < cursor)
    rows = connection.execute(
        select(table.c.idx, table.c.bytes).where(*wanted).order_by(table.c.idx.desc()).limit(limit + 1)
    ).all()
    shown = tuple(Integrated(index, Entry.from_bytes(raw), raw) for index, raw in rows[:limit])
    return Page(shown, shown[-1].index if len(rows) > limit else None)


def count_entries(connection: Connection, log: bytes, filters: Filters, *, most: int) -> tuple[int, int]:
    """How many entries of `log` match, counted up to `most`; and the log's size, the cursor that fixes them."""
    table = tables.entry
    matching = select(table.c.idx).where(table.c.log == log, *_conditions(filters)).limit(most).subquery()
    found: int = connection.execute(select(func.count()).select_from(matching)).scalar_one()
    size: int | None = connection.execute(
        select(tables.log.c.size).where(tables.log.c.log == log)
    ).scalar_one_or_none()
    return found, size or 0


def find_entry(connection: Connection, log: bytes, entry_id: str) -> Integrated:
    """The integrated entry with this id.

    Raises:
        EntryNotFound: not in this log, not integrated yet, or pruned.

    """
    table = tables.entry
    row = connection.execute(
        select(table.c.idx, table.c.bytes).where(table.c.log == log, table.c.entry_id == entry_id)
    ).one_or_none()
    if row is None:
        raise EntryNotFound
    return Integrated(row.idx, Entry.from_bytes(row.bytes), row.bytes)


def sealed_detail(connection: Connection, log: bytes, entry_id: str) -> bytes | None:
    """The sealed detail of an entry; None where there was none or it is shredded."""
    table = tables.detail
    return connection.execute(
        select(table.c.sealed).where(table.c.log == log, table.c.entry_id == entry_id)
    ).scalar_one_or_none()


def details_begin_with(connection: Connection, log: bytes, headers: Sequence[bytes]) -> bool:
    """Whether any sealed detail of `log` begins with one of these bytes: the key of that header is needed."""
    table = tables.detail
    begins = or_(*(func.substr(table.c.sealed, 1, len(header)) == header for header in headers))
    return bool(connection.execute(select(exists().where(table.c.log == log, begins))).scalar_one())


def latest_checkpoint(connection: Connection, log: bytes) -> str:
    """The newest signed note of `log`.

    Raises:
        NothingPublished: the log has none yet.

    """
    table = tables.checkpoint
    note: str | None = connection.execute(
        select(table.c.note).where(table.c.log == log).order_by(table.c.size.desc()).limit(1)
    ).scalar_one_or_none()
    if note is None:
        raise NothingPublished
    return note


def newest_time(connection: Connection, log: bytes) -> int | None:
    """The time of the latest entry of `log` in microseconds; None where there is none."""
    table = tables.entry
    newest: int | None = connection.execute(
        select(func.max(table.c.time)).where(table.c.log == log)
    ).scalar_one_or_none()
    return newest


def prove_inclusion(connection: Connection, log: bytes, entry_id: str) -> str:
    """The tlog-proof of an entry against the newest checkpoint; the entry's bytes go with it.

    Raises:
        EntryNotFound: see `find_entry`.
        NothingPublished: the log has no checkpoint yet.
        JournalRefused: a stored hash is missing.

    """
    found = find_entry(connection, log, entry_id)
    note = latest_checkpoint(connection, log)
    size = parse_checkpoint(note).checkpoint.size
    proof = inclusion_proof(found.index, size, stored_nodes(connection, log))
    return str(Receipt(found.index, tuple(proof), note, found.raw))


def prove_consistency(connection: Connection, log: bytes, old: int) -> tuple[list[bytes], str]:
    """The proof that the newest checkpoint (also returned) continues the tree of `old` leaves.

    Raises:
        ProofRefused: `old` is zero or larger than the newest checkpoint.
        NothingPublished: the log has no checkpoint yet.
        JournalRefused: a stored hash is missing.

    """
    note = latest_checkpoint(connection, log)
    size = parse_checkpoint(note).checkpoint.size
    return consistency_proof(old, size, stored_nodes(connection, log)), note


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    table = tables.entry
    conditions: list[ColumnElement[bool]] = []
    if filters.subjects is not None:
        of_subject = tables.subject
        conditions.append(
            exists().where(
                of_subject.c.log == table.c.log,
                of_subject.c.idx == table.c.idx,
                of_subject.c.pseudonym.in_(filters.subjects),
            )
        )
    for column, value in (
        (table.c.actor, filters.actor),
        (table.c.action, filters.action),
        (table.c.outcome, filters.outcome),
    ):
        if value is not None:
            conditions.append(column == value)
    if filters.since is not None:
        conditions.append(table.c.time >= filters.since)
    if filters.until is not None:
        conditions.append(table.c.time < filters.until)
    return conditions
