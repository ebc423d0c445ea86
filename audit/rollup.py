"""The roll-up log: one more log of the deployment, whose leaves are the heads of all others, once an hour.

It alone is shown to witnesses: its size and its rhythm tell nothing of how much anybody did. Leaf data is the text
(three lines) of a log's last published checkpoint; an hour's leaves stand in ascending order of log id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, insert, select

from audit import tables
from audit.checkpoint import (
    Checkpoint,
    NoteSigner,
    VerificationKey,
    Verify,
    parse_checkpoint,
    parse_text,
    verify_checkpoint,
)
from audit.errors import JournalRefused, NoteRefused, NothingPublished
from audit.incarnation import unmarked
from audit.integrator import is_elected, published_head, sign_head, verify_continues, write_hashes
from audit.log import latest_checkpoint
from audit.nodes import stored_frontier, stored_nodes
from audit.receipt import Receipt
from audit.state import SignerState
from audit.tables import ROLLUP_LOG
from audit.tree import Frontier, inclusion_proof, leaf_hash

# The last part of its origin, behind the deployment's name: no organisation is called so.
ROLLUP = "rollup"

# Rows read at once.
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class RolledUp:
    """One head of a log in the roll-up: the text that is the leaf, and the tlog-proof of its inclusion."""

    leaf: str
    proof: str


def roll_up(connection: Connection, signer: NoteSigner, state: SignerState, hour: int) -> bool:
    """Append the published head of every log, unless it was done in this hour (counted since 1970), and sign.

    Returns whether this hour's roll-up stands once the caller has committed: not where another process integrates
    at this moment, or where no log has published anything yet. The caller then has the state publish the new head.

    Raises:
        JournalRefused: the roll-up is not what was last published of it, or a log is not what was rolled up of it
            before. The caller rolls back and raises the alarm.
        StateRefused: the signer's state is unreadable.

    """
    if not is_elected(connection):
        return False
    table = tables.rollup
    newest = connection.execute(select(table.c.hour).order_by(table.c.idx.desc()).limit(1)).scalar()
    # Another than this one, not an earlier one: after a clock that ran ahead it goes on all the same.
    if newest == hour:
        return True
    heads = list(_published_heads(connection, state))
    if not heads:
        return False
    row = connection.execute(
        select(tables.log.c.origin, tables.log.c.size).where(tables.log.c.log == ROLLUP_LOG)
    ).one_or_none()
    if row is None:
        raise JournalRefused(ROLLUP_LOG, "the log is not open")
    published = published_head(state, ROLLUP_LOG, row.origin, row.size)
    frontier = stored_frontier(connection, ROLLUP_LOG, row.size)
    leaves = [leaf_hash(head.text.encode()) for _, head in heads]
    write_hashes(connection, ROLLUP_LOG, frontier, leaves, Connection.execute)
    connection.execute(
        insert(table),
        [
            {"idx": index, "log": log, "hour": hour, "head": head.text}
            for index, (log, head) in enumerate(heads, row.size)
        ],
    )
    checkpoint = Checkpoint(row.origin, frontier.size, frontier.root())
    sign_head(connection, ROLLUP_LOG, checkpoint, published, [signer])
    return True


def prove_rolled_up(connection: Connection, log: bytes) -> RolledUp | None:
    """The newest head of `log` in the newest roll-up that a witness has signed, or else in the newest there is.

    None where the log was never rolled up, and where a damaged database no longer proves it: a bundle is then
    without it, as one that no witness has seen.
    """
    size = connection.execute(
        select(tables.cosignature.c.size).order_by(tables.cosignature.c.size.desc()).limit(1)
    ).scalar_one_or_none()
    try:
        note = latest_checkpoint(connection, ROLLUP_LOG) if size is None else note_at(connection, size)
        head = parse_checkpoint(note).checkpoint
        row = connection.execute(
            select(tables.rollup.c.idx, tables.rollup.c.head)
            .where(tables.rollup.c.log == log, tables.rollup.c.idx < head.size)
            .order_by(tables.rollup.c.idx.desc())
            .limit(1)
        ).one_or_none()
        if row is None:
            return None
        proof = inclusion_proof(row.idx, head.size, stored_nodes(connection, ROLLUP_LOG))
    except (NothingPublished, NoteRefused, JournalRefused):
        return None
    return RolledUp(row.head, str(Receipt(row.idx, tuple(proof), note)))


def note_at(connection: Connection, size: int) -> str:
    """The roll-up's signed checkpoint of this size, with the lines of the witnesses who signed it.

    Raises:
        NothingPublished: there is none.

    """
    table = tables.checkpoint
    note = connection.execute(
        select(table.c.note).where(table.c.log == ROLLUP_LOG, table.c.size == size)
    ).scalar_one_or_none()
    if note is None:
        raise NothingPublished
    cosigned = tables.cosignature
    lines = connection.execute(
        select(cosigned.c.line).where(cosigned.c.size == size).order_by(cosigned.c.witness)
    ).scalars()
    return str(note) + "".join(lines)


def cosigned_size(connection: Connection, witness: VerificationKey) -> int:
    """The size of the newest roll-up that this witness signed; 0 where it signed none."""
    table = tables.cosignature
    size = connection.execute(
        select(table.c.size).where(table.c.witness == str(witness)).order_by(table.c.size.desc()).limit(1)
    ).scalar_one_or_none()
    return size or 0


def keep_cosignature(connection: Connection, size: int, witness: VerificationKey, line: str) -> None:
    """Keep what a witness signed of the roll-up of this size; the first of two that say the same stays."""
    table = tables.cosignature
    is_kept = connection.execute(
        select(table.c.size).where(table.c.size == size, table.c.witness == str(witness))
    ).first()
    if is_kept is None:
        connection.execute(insert(table), {"size": size, "witness": str(witness), "line": line})


def rolled_up_heads(connection: Connection, log: bytes) -> list[Checkpoint]:
    """Every head of `log` that was rolled up, by ascending size; each once.

    Raises:
        NoteRefused: a row is not the text of a head.

    """
    table = tables.rollup
    texts = connection.execute(select(table.c.head).where(table.c.log == log).distinct()).scalars()
    return sorted((parse_text(text) for text in texts), key=lambda head: (head.size, head.origin))


def verify_rollup(
    connection: Connection, key: VerificationKey, published: Checkpoint | None, verify: Verify
) -> int:
    """The roll-up's tree is that of its leaves, and every checkpoint of it is signed; returns its size.

    `published` is what the signer's state says of it. Reads every leaf: for `casework check` and after a restore.

    Raises:
        JournalRefused: it is not; which leaf or which checkpoint, in numbers.

    """
    frontier = Frontier()
    heads = _signed_heads(connection, key, verify)
    following = next(heads, None)
    newest = following
    full = stored_nodes(connection, ROLLUP_LOG)
    query = select(tables.rollup.c.idx, tables.rollup.c.head).order_by(tables.rollup.c.idx)
    for row in connection.execute(query.execution_options(yield_per=_BATCH)):
        leaf = leaf_hash(row.head.encode())
        if row.idx != frontier.size or full(0, row.idx) != leaf:
            raise JournalRefused(ROLLUP_LOG, f"leaf {row.idx} is not what was rolled up")
        if any(full(level, index) != node for level, index, node in frontier.append(leaf)):
            raise JournalRefused(ROLLUP_LOG, f"the subtrees above leaf {row.idx} are not those of its leaves")
        for known in (following, published):
            if known is not None and known.size == frontier.size and known.root != frontier.root():
                raise JournalRefused(
                    ROLLUP_LOG, f"its leaves do not lead to the checkpoint of size {known.size}"
                )
        if following is not None and following.size == frontier.size:
            newest, following = following, next(heads, None)
    size = connection.execute(
        select(tables.log.c.size).where(tables.log.c.log == ROLLUP_LOG)
    ).scalar_one_or_none()
    ends = {frontier.size, size or 0, newest.size if newest is not None else 0}
    if following is not None or len(ends) > 1 or (published is not None and published.size > frontier.size):
        raise JournalRefused(
            ROLLUP_LOG, f"it does not end at its last checkpoint, but with {frontier.size} leaves"
        )
    return frontier.size


def _published_heads(connection: Connection, state: SignerState) -> Iterator[tuple[bytes, Checkpoint]]:
    logs = connection.execute(
        select(tables.log.c.log, tables.log.c.origin)
        .where(tables.log.c.log != ROLLUP_LOG)
        .order_by(tables.log.c.log)
    ).all()
    for log, origin in logs:
        # From the state and not from the tables: a head that somebody put there is not what was published.
        head = state.last(origin)
        if head is None:
            continue
        before = _rolled_up_before(connection, bytes(log))
        # Witnesses vouch for the roll-up's leaves: a log that was rewritten contradicts one of them.
        if before is not None and before.origin == origin:
            verify_continues(connection, bytes(log), before, head)
        yield bytes(log), head


def _rolled_up_before(connection: Connection, log: bytes) -> Checkpoint | None:
    table = tables.rollup
    text = connection.execute(
        select(table.c.head).where(table.c.log == log).order_by(table.c.idx.desc()).limit(1)
    ).scalar_one_or_none()
    try:
        return parse_text(text) if text is not None else None
    except NoteRefused:
        raise JournalRefused(log, "what was rolled up of it is not a head") from None


def _signed_heads(connection: Connection, key: VerificationKey, verify: Verify) -> Iterator[Checkpoint]:
    table = tables.checkpoint
    notes: Iterable[str] = connection.execute(
        select(table.c.note)
        .where(table.c.log == ROLLUP_LOG)
        .order_by(table.c.size)
        .execution_options(yield_per=_BATCH)
    ).scalars()
    for text in notes:
        try:
            note = parse_checkpoint(text)
            origin = note.checkpoint.origin
            # A log keeps its key when a restore gives it another origin.
            keys = [replace(key, name=origin)] if unmarked(origin) == unmarked(key.name) else []
            verify_checkpoint(note, keys, verify)
        except NoteRefused:
            raise JournalRefused(ROLLUP_LOG, "a checkpoint is not signed by its key") from None
        yield note.checkpoint
