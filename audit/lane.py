"""A lane: the numbers that one writer gives its entries, so that one that vanished leaves a hole.

Numbers are taken before the transaction commits and are not linked to one another: concurrent transactions of
one writer may commit in another order, or not at all.
"""

from collections.abc import Iterable
from threading import Lock
from typing import Protocol

from audit.entry import LaneNumber


class LaneMemory(Protocol):
    """Where a lane's state outlives its process; see `audit.lane_file`."""

    def remember(self, last: int, unsettled: Iterable[int]) -> None:
        """Keep the last number taken, and those that nobody knows to be committed or declared void."""


class Lane:
    """The numbering of one writer (a process, for one log). Safe to share between threads."""

    def __init__(
        self, writer: str, memory: LaneMemory | None = None, *, last: int = 0, unsettled: Iterable[int] = ()
    ) -> None:
        """`writer` is new for each start of the process (a UUID): numbers begin at 1.

        `last` and `unsettled` are those of a writer that died, and whose lane is to be closed.
        """
        self.writer = writer
        self._memory = memory
        # Held only while a number is taken or given back, never while a database is waited for.
        self._lock = Lock()
        self._last = last
        self._void = set(unsettled)
        self._unsettled = set(unsettled)

    def next(self) -> LaneNumber:
        """The next number; it carries the numbers that became void since the last one was taken."""
        with self._lock:
            self._last += 1
            void = tuple(sorted(self._void))
            self._void.clear()
            self._unsettled.add(self._last)
            self._remember()
            return LaneNumber(n=self._last, void=void, writer=self.writer)

    def void(self, number: LaneNumber) -> None:
        """The entry with this number was rolled back, or nobody knows: the next entry says so.

        What the lost entry itself had declared void is declared again.
        """
        with self._lock:
            self._void.update(number.void, (number.n,))

    def settle(self, number: LaneNumber) -> None:
        """The entry with this number is committed, and with it what it declares void."""
        with self._lock:
            self._unsettled.difference_update(number.void, (number.n,))
            self._remember()

    @property
    def is_unsettled(self) -> bool:
        """Whether a number was taken of which nobody knows that it is committed or declared void."""
        with self._lock:
            return bool(self._unsettled)

    def _remember(self) -> None:
        if self._memory is not None:
            self._memory.remember(self._last, self._unsettled)
