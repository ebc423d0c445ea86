"""What an administrator of the database can do once the triggers are gone."""

from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from audit import tables
from audit.checkpoint import Checkpoint, NoteSigner, sign_checkpoint
from audit.entry import Entry
from audit.tree import Frontier, leaf_hash
from audit.triggers import drop_triggers
from tests.audit.journal import LOG, ORIGIN, Journal

Tampering = Callable[[Connection], object]


def tamper(journal: Journal, *acts: Tampering) -> None:
    journal.sql(*drop_triggers(journal.dialect))
    for act in acts:
        journal.run(act)


def stored_bytes(connection: Connection) -> dict[int, bytes]:
    rows = connection.execute(select(tables.entry.c.idx, tables.entry.c.bytes))
    return {row.idx: row.bytes for row in rows}


def altered(raw: bytes) -> bytes:
    """The same entry with another reason: still of the prescribed form."""
    return msgspec.structs.replace(Entry.from_bytes(raw), reason="none.of.it").to_bytes()


def alter(index: int) -> Tampering:
    return lambda connection: put(connection, {index: altered(stored_bytes(connection)[index])})


def put(connection: Connection, entries: Mapping[int, bytes]) -> None:
    for index, raw in entries.items():
        connection.execute(update(tables.entry).where(tables.entry.c.idx == index), {"bytes": raw})


def swap(one: int, other: int) -> Tampering:
    def work(connection: Connection) -> None:
        stored = stored_bytes(connection)
        put(connection, {one: stored[other], other: stored[one]})

    return work


def swap_with_leaves(one: int, other: int) -> Tampering:
    def work(connection: Connection) -> None:
        stored = stored_bytes(connection)
        swap(one, other)(connection)
        for index, raw in ((one, stored[other]), (other, stored[one])):
            connection.execute(
                update(tables.leaf).where(tables.leaf.c.idx == index), {"hash": leaf_hash(raw)}
            )

    return work


def remove(first: int, last: int, *from_tables: str) -> Tampering:
    def work(connection: Connection) -> None:
        for name in from_tables:
            table = tables.metadata.tables[name]
            connection.execute(delete(table).where(table.c.idx.between(first, last)))

    return work


def cut_back(size: int) -> Tampering:
    """Back to what the log was at `size`, checkpoints and all."""

    def work(connection: Connection) -> None:
        for table in (tables.entry, tables.leaf, tables.subject):
            connection.execute(delete(table).where(table.c.idx >= size))
        connection.execute(delete(tables.checkpoint).where(tables.checkpoint.c.size > size))
        connection.execute(
            delete(tables.subtree).where((tables.subtree.c.idx + 1) * 2**tables.subtree.c.level > size)
            if connection.dialect.name == "postgresql"
            else delete(tables.subtree).where(
                (tables.subtree.c.idx + 1).bitwise_lshift(tables.subtree.c.level) > size
            )
        )
        connection.execute(update(tables.log), {"size": size})

    return work


def rewrite(index: int, signer: NoteSigner, *, from_size: int = 0) -> Tampering:
    """Alter an entry, compute the whole tree anew, and sign each checkpoint above `from_size` again."""

    def work(connection: Connection) -> None:
        alter(index)(connection)
        sizes = set(connection.execute(select(tables.checkpoint.c.size)).scalars())
        for table in (tables.leaf, tables.subtree):
            connection.execute(delete(table))
        frontier = Frontier()
        for at, raw in sorted(stored_bytes(connection).items()):
            connection.execute(insert(tables.leaf), {"log": LOG, "idx": at, "hash": leaf_hash(raw)})
            for level, place, node in frontier.append(leaf_hash(raw)):
                row = {"log": LOG, "level": level, "idx": place, "hash": node}
                connection.execute(insert(tables.subtree), row)
            if frontier.size in sizes and frontier.size > from_size:
                note = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()), [signer])
                mine = tables.checkpoint.c.size == frontier.size
                connection.execute(update(tables.checkpoint).where(mine), {"note": note})

    return work


def set_note(size: int, note: str) -> Tampering:
    return lambda connection: connection.execute(
        update(tables.checkpoint).where(tables.checkpoint.c.size == size), {"note": note}
    )
