"""A log as one of its writers follows it: from one signed checkpoint to the next, each verified.

It reads leaves and checkpoints as any auditor could and trusts its own memory of the tree alone, so what it says
is covered is covered, whichever process integrated it.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from audit import tables
from audit.checkpoint import Checkpoint, VerificationKey, Verify, parse_checkpoint, verify_checkpoint
from audit.errors import JournalRefused, NoteRefused
from audit.nodes import stored_frontier
from audit.tree import Frontier

# Read at once at most. Checkpoints are never so far apart: a round of the integrator is smaller.
MOST_LEAVES = 16_384


class Follower:
    """What one process has verified of one log."""

    def __init__(self, log: bytes) -> None:
        self._log = log
        self._frontier: Frontier | None = None

    def follow(self, connection: Connection, keys: Iterable[VerificationKey], verify: Verify) -> list[bytes]:
        """Go on to a later checkpoint, if there is one; returns the leaves that it newly covers.

        The first call takes the newest checkpoint as the beginning: call it before anything is written.

        Raises:
            JournalRefused: a checkpoint is not signed by one of `keys`, or the leaves do not lead to it.

        """
        newest = self._next(connection)
        if newest is None:
            self._frontier = self._frontier or Frontier()
            return []
        head = self._verified(newest, keys, verify)
        if self._frontier is None:
            frontier, leaves = stored_frontier(connection, self._log, head.size), []
        else:
            frontier, leaves = self._frontier.copy(), self._leaves(connection, self._frontier.size, head.size)
            for leaf in leaves:
                frontier.append(leaf)
        if frontier.size != head.size or frontier.root() != head.root:
            raise JournalRefused(self._log, f"its leaves do not lead to the checkpoint of size {head.size}")
        self._frontier = frontier
        return leaves

    def _next(self, connection: Connection) -> str | None:
        table = tables.checkpoint
        query = select(table.c.note).where(table.c.log == self._log).order_by(table.c.size.desc()).limit(1)
        if self._frontier is not None:
            known = self._frontier.size
            query = query.where(table.c.size > known, table.c.size <= known + MOST_LEAVES)
        note: str | None = connection.execute(query).scalar_one_or_none()
        return note

    def _verified(self, note: str, keys: Iterable[VerificationKey], verify: Verify) -> Checkpoint:
        try:
            signed = parse_checkpoint(note)
            verify_checkpoint(signed, keys, verify)
        except NoteRefused as error:
            raise JournalRefused(self._log, "a checkpoint is not signed by its key") from error
        return signed.checkpoint

    def _leaves(self, connection: Connection, first: int, end: int) -> list[bytes]:
        table = tables.leaf
        found = connection.execute(
            select(table.c.hash)
            .where(table.c.log == self._log, table.c.idx >= first, table.c.idx < end)
            .order_by(table.c.idx)
        )
        return [bytes(leaf) for leaf in found.scalars()]
