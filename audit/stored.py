"""A log read straight from the tables, as evidence for a verification or as the content of a bundle."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, LargeBinary, bindparam, cast, func, or_, select, union_all

from audit import tables
from audit.errors import NothingPublished
from audit.evidence import TILE_HEIGHT, TILE_WIDTH, EvidenceMissing, NodeName, ReviewColumns, Tile
from audit.log import latest_checkpoint
from audit.rollup import prove_rolled_up

_leaf, _entry, _subject, _subtree = tables.leaf, tables.entry, tables.subject, tables.subtree
# SQLite keeps text in a BLOB column if an administrator writes some: the cast makes bytes of anything.
_LEAVES = select(_leaf.c.idx, cast(_leaf.c.hash, LargeBinary)).where(
    _leaf.c.log == bindparam("log"), _leaf.c.idx.between(bindparam("first"), bindparam("last"))
)
_ENTRIES = select(
    _entry.c.idx,
    cast(_entry.c.bytes, LargeBinary),
    _entry.c.entry_id,
    _entry.c.time,
    _entry.c.action,
    _entry.c.outcome,
    _entry.c.actor,
).where(_entry.c.log == bindparam("log"), _entry.c.idx.between(bindparam("first"), bindparam("last")))
_SUBJECTS = select(_subject.c.idx, cast(_subject.c.pseudonym, LargeBinary)).where(
    _subject.c.log == bindparam("log"), _subject.c.idx.between(bindparam("first"), bindparam("last"))
)
_SUBTREES = select(_subtree.c.level, _subtree.c.idx, cast(_subtree.c.hash, LargeBinary)).where(
    _subtree.c.log == bindparam("log")
)
# One range a level: joined by OR they made SQLite read every subtree of the log for each tile.
_LOWER_SUBTREES = union_all(
    *(
        _SUBTREES.where(
            _subtree.c.level == level,
            _subtree.c.idx.between(bindparam(f"first_{level}"), bindparam(f"last_{level}")),
        )
        for level in range(1, TILE_HEIGHT + 1)
    )
)


class StoredLog:
    """`audit.evidence.Evidence` over one log of the database; nothing is trusted but its shape."""

    def __init__(self, connection: Connection, log: bytes) -> None:
        self._connection = connection
        self._log = log

    def latest(self) -> str:
        try:
            return latest_checkpoint(self._connection, self._log)
        except NothingPublished:
            raise EvidenceMissing("aucun point de contrôle") from None

    def earlier(self) -> Iterator[str]:
        table = tables.checkpoint
        mine = table.c.log == self._log
        newest = select(func.max(table.c.size)).where(mine).scalar_subquery()
        notes = select(table.c.note).where(mine, table.c.size < newest).order_by(table.c.size)
        # A page at a time: a busy log has as many checkpoints as fifth parts of a second.
        for page in self._connection.execute(notes).scalars().partitions(TILE_WIDTH):
            yield from page

    def rolled_up(self) -> tuple[str, str] | None:
        found = prove_rolled_up(self._connection, self._log)
        return None if found is None else (found.leaf, found.proof)

    def disclosed(self) -> Mapping[bytes, str]:
        return {}

    def minimum_index(self) -> int:
        table = tables.log
        pruned = self._connection.execute(select(table.c.pruned).where(table.c.log == self._log))
        return pruned.scalar_one_or_none() or 0

    def tiles(self, size: int) -> Iterator[Tile]:
        for first in range(0, size, TILE_WIDTH):
            yield self._tile(first, min(TILE_WIDTH, size - first))

    def stores(self, _level: int, /) -> bool:
        return True

    def upper_subtrees(self, _size: int, /) -> Mapping[NodeName, bytes]:
        rows = self._connection.execute(_SUBTREES.where(_subtree.c.level > TILE_HEIGHT), {"log": self._log})
        return {(level, index): node for level, index, node in rows}

    def leaves_beyond(self, size: int) -> bool:
        table = tables.log
        known = self._connection.execute(
            select(table.c.size).where(table.c.log == self._log)
        ).scalar_one_or_none()
        if known != size:
            return True
        return any(
            self._connection.execute(
                select(table.c.idx)
                .where(table.c.log == self._log, or_(table.c.idx >= size, table.c.idx < 0))
                .limit(1)
            ).first()
            for table in (_leaf, _entry)
        )

    def _tile(self, first: int, width: int) -> Tile:
        span = {"log": self._log, "first": first, "last": first + width - 1}
        leaves: list[bytes | None] = [None] * width
        for index, node in self._connection.execute(_LEAVES, span):
            leaves[index - first] = node
        persons: dict[int, list[bytes]] = {}
        for index, pseudonym in self._connection.execute(_SUBJECTS, span):
            persons.setdefault(index, []).append(pseudonym)
        entries: list[bytes | None] = [None] * width
        columns: list[ReviewColumns | None] = [None] * width
        for index, raw, *kept in self._connection.execute(_ENTRIES, span):
            entries[index - first] = raw
            columns[index - first] = (*kept, frozenset(persons.get(index, ())))
        return Tile(first, leaves, entries, self._lower_subtrees(first, width), columns)

    def _lower_subtrees(self, first: int, width: int) -> Mapping[NodeName, bytes]:
        span: dict[str, bytes | int] = {"log": self._log}
        for level in range(1, TILE_HEIGHT + 1):
            span[f"first_{level}"] = first >> level
            span[f"last_{level}"] = ((first + width) >> level) - 1
        rows = self._connection.execute(_LOWER_SUBTREES, span)
        return {(level, index): node for level, index, node in rows}
