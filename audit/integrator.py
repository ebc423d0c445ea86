"""The integrator: drains the inbox into the logs and signs a checkpoint of each log that grew.

It runs on a timer, in a transaction of its own; on PostgreSQL one process at a time, elected by an advisory
lock. Order of a round: read the state, append, check against the state, sign, the caller commits, the caller
has the state remember the heads (`SignerState.publish`), and only then shows them to anyone. A crash after
the commit leaves the database ahead of the state: the next round proves that it continues it. A crash before
it leaves everything as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection, Insert, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from audit import tables
from audit.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from audit.entry import Entry
from audit.errors import EntryRefused, JournalRefused, ProofRefused
from audit.execution import Execute
from audit.nodes import stored_frontier, stored_nodes
from audit.rotation import require_own, signing
from audit.state import SignerState
from audit.tree import Frontier, consistency_proof, leaf_hash, verify_consistency

BATCH = 2_048
# Any fixed number will do; it must differ from the other advisory locks of the database.
ADVISORY_LOCK = 0x6361_7365_6A6E_6C31


def _insert(table: Table) -> Insert:
    return insert(table).values({column.name: bindparam(column.name) for column in table.c}).inline()


_LEAF, _SUBTREE, _SUBJECT = (_insert(table) for table in (tables.leaf, tables.subtree, tables.subject))
_DRAINED = delete(tables.inbox).where(tables.inbox.c.seq == bindparam("drained"))


@dataclass(frozen=True, slots=True)
class Pending:
    """A checkpoint that is signed and not published: it stands once the caller has committed."""

    log: bytes
    checkpoint: Checkpoint
    note: str


def open_log(connection: Connection, log: bytes, origin: str) -> None:
    """Begin an empty log under a name that is never used again. A log that is open is refused by its key."""
    connection.execute(insert(tables.log), {"log": log, "origin": origin, "size": 0, "pruned": 0})


def log_is_open(connection: Connection, log: bytes) -> bool:
    """Whether the log was begun, under whatever name."""
    return connection.execute(select(tables.log.c.size).where(tables.log.c.log == log)).first() is not None


def integrate(
    connection: Connection,
    signers: Mapping[bytes, Sequence[NoteSigner]],
    state: SignerState,
    *,
    batch: int = BATCH,
    execute: Execute = Connection.execute,
) -> list[Pending]:
    """One round over the logs that have signers (two for a log whose key is being replaced).

    Takes at most `batch` entries in the order of their numbers; entries of other logs stay in the inbox.
    Returns the signed checkpoints; none where another process holds the lock or nothing waits. `execute` runs
    what is written in bulk.

    Raises:
        JournalRefused: a log is not what was last published of it, or an entry in the inbox is not one. The
            caller rolls back, raises the alarm, and may go on without that log.
        StateRefused: the signer's state is unreadable.

    """
    if not is_elected(connection):
        return []
    inbox = tables.inbox
    waiting = connection.execute(
        select(inbox.c.seq, inbox.c.log, inbox.c.entry)
        .where(inbox.c.log.in_(signers))
        .order_by(inbox.c.seq)
        .limit(batch)
    ).all()
    if not waiting:
        return []
    # A stable sort: within a log the order of the numbers stays.
    by_log = groupby(sorted(waiting, key=attrgetter("log")), key=attrgetter("log"))
    pending = [
        _grow(connection, log, [bytes(row.entry) for row in rows], signers[log], state, execute)
        for log, rows in by_log
    ]
    execute(connection, _DRAINED, [{"drained": row.seq} for row in waiting])
    return pending


def is_elected(connection: Connection) -> bool:
    """Whether this transaction may integrate. SQLite has one writer as it is."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))).scalar_one())


def _grow(
    connection: Connection,
    log: bytes,
    raws: list[bytes],
    signers: Sequence[NoteSigner],
    state: SignerState,
    execute: Execute,
) -> Pending:
    """Append the entries to the log and sign its new head."""
    table = tables.log
    head = connection.execute(select(table.c.origin, table.c.size).where(table.c.log == log)).one_or_none()
    if head is None:
        raise JournalRefused(log, "the log is not open")
    parsed = [_read(log, raw, head.origin) for raw in raws]
    for entry in parsed:
        require_own(log, entry, signers)
    published = published_head(state, log, head.origin, head.size)
    frontier = stored_frontier(connection, log, head.size)
    write_hashes(connection, log, frontier, [leaf_hash(raw) for raw in raws], execute)
    try:
        _write_entries(connection, log, head.size, parsed, raws)
    except IntegrityError:
        # Two entries of one id; the driver's own message would show rows.
        raise JournalRefused(log, "the inbox holds an entry whose id is taken") from None
    _write_subjects(connection, log, head.size, parsed, execute)
    checkpoint = Checkpoint(head.origin, frontier.size, frontier.root())
    return sign_head(connection, log, checkpoint, published, signing(connection, log, signers))


def sign_head(
    connection: Connection,
    log: bytes,
    checkpoint: Checkpoint,
    published: Checkpoint | None,
    signers: Sequence[NoteSigner],
) -> Pending:
    """Let the log have this head, whose hashes are written, and sign it.

    Raises:
        JournalRefused: it does not continue the head that was published last.

    """
    connection.execute(update(tables.log).where(tables.log.c.log == log), {"size": checkpoint.size})
    if published is not None:
        verify_continues(connection, log, published, checkpoint)
    note = sign_checkpoint(checkpoint, signers)
    connection.execute(insert(tables.checkpoint), {"log": log, "size": checkpoint.size, "note": note})
    return Pending(log, checkpoint, note)


def _read(log: bytes, raw: bytes, origin: str) -> Entry:
    try:
        entry = Entry.from_bytes(raw)
    except EntryRefused as error:
        raise JournalRefused(log, "the inbox holds what is not an entry") from error
    if entry.log != origin:
        raise JournalRefused(log, "the inbox holds an entry of another log")
    return entry


def hold_off(connection: Connection) -> None:
    """Until this transaction ends nobody integrates; waits for who does at this moment."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))


def published_head(state: SignerState, log: bytes, origin: str, size: int) -> Checkpoint | None:
    """What the state says of the log; a new one the state learns of before anything is signed.

    Raises:
        JournalRefused: the log has leaves and the state does not know it, or fewer than were published.

    """
    if not state.knows(origin):
        if size:
            raise JournalRefused(log, "the log has entries and the signer's state does not know it")
        state.begin(origin)
    last = state.last(origin)
    if last is not None and size < last.size:
        raise JournalRefused(log, f"the log has {size} leaves and {last.size} were published")
    return last


def verify_continues(connection: Connection, log: bytes, old: Checkpoint, new: Checkpoint) -> None:
    """Prove from the stored hashes that the tree of head `new` begins with that of `old`.

    Raises:
        JournalRefused: it does not.

    """
    try:
        proof = consistency_proof(old.size, new.size, stored_nodes(connection, log))
        verify_consistency(old.size, new.size, old.root, new.root, proof)
    except ProofRefused as error:
        raise JournalRefused(log, f"the log is not the one that was published at size {old.size}") from error


def write_hashes(
    connection: Connection, log: bytes, frontier: Frontier, added: Sequence[bytes], execute: Execute
) -> None:
    """Append the leaf hashes `added` to the tree, and the subtrees that they complete."""
    leaves: list[dict[str, bytes | int]] = []
    subtrees: list[dict[str, bytes | int]] = []
    for leaf in added:
        leaves.append({"log": log, "idx": frontier.size, "hash": leaf})
        subtrees += [
            {"log": log, "level": level, "idx": index, "hash": node}
            for level, index, node in frontier.append(leaf)
        ]
    execute(connection, _LEAF, leaves)
    if subtrees:
        execute(connection, _SUBTREE, subtrees)


def _write_entries(
    connection: Connection, log: bytes, first: int, parsed: Sequence[Entry], raws: Sequence[bytes]
) -> None:
    connection.execute(
        insert(tables.entry),
        [
            {
                "log": log,
                "idx": index,
                "entry_id": entry.id,
                "time": entry.time,
                "action": entry.action,
                "outcome": entry.outcome.value,
                "actor": entry.actor,
                "bytes": raw,
            }
            for index, (entry, raw) in enumerate(zip(parsed, raws, strict=True), first)
        ],
    )


def _write_subjects(
    connection: Connection, log: bytes, first: int, parsed: Sequence[Entry], execute: Execute
) -> None:
    subjects = [
        {"log": log, "pseudonym": bytes.fromhex(subject.p), "idx": index}
        for index, entry in enumerate(parsed, first)
        for subject in entry.subjects
    ]
    if subjects:
        execute(connection, _SUBJECT, subjects)
