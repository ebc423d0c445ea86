"""The stored hashes of a log, as the tree's proofs ask for them."""

from sqlalchemy import Connection, bindparam, select

from audit import tables
from audit.errors import JournalRefused
from audit.tree import Frontier, FullSubtree, frontier_nodes

_LEAF = select(tables.leaf.c.hash).where(
    tables.leaf.c.log == bindparam("log"), tables.leaf.c.idx == bindparam("idx")
)
_SUBTREE = select(tables.subtree.c.hash).where(
    tables.subtree.c.log == bindparam("log"),
    tables.subtree.c.level == bindparam("level"),
    tables.subtree.c.idx == bindparam("idx"),
)


def stored_nodes(connection: Connection, log: bytes) -> FullSubtree:
    """A reader of the full subtrees of `log`; it raises `JournalRefused` where one is missing."""

    def full(level: int, index: int) -> bytes:
        if level == 0:
            node = connection.execute(_LEAF, {"log": log, "idx": index}).scalar_one_or_none()
        else:
            node = connection.execute(
                _SUBTREE, {"log": log, "level": level, "idx": index}
            ).scalar_one_or_none()
        if node is None:
            raise JournalRefused(log, f"the hash at level {level}, index {index} is missing")
        return bytes(node)

    return full


def stored_frontier(connection: Connection, log: bytes, size: int) -> Frontier:
    """The tree of the first `size` leaves of `log`, ready to grow."""
    full = stored_nodes(connection, log)
    return Frontier(size, [full(level, index) for level, index in frontier_nodes(size)])
