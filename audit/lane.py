"""A lane: the numbers that one writer gives its entries, so that one that vanished leaves a hole.

Numbers are taken before the transaction commits and are not linked to one another: concurrent transactions of
one writer may commit in another order, or not at all.
"""

from threading import Lock

from audit.entry import LaneNumber


class Lane:
    """The numbering of one writer (a process, for one log). Safe to share between threads."""

    def __init__(self, writer: str) -> None:
        """`writer` is new for each start of the process (a UUID): numbers begin at 1."""
        self.writer = writer
        # Held only while a number is taken or given back, never while a database is waited for.
        self._lock = Lock()
        self._last = 0
        self._void: set[int] = set()

    def next(self) -> LaneNumber:
        """The next number; it carries the numbers that became void since the last one was taken."""
        with self._lock:
            self._last += 1
            void = tuple(sorted(self._void))
            self._void.clear()
            return LaneNumber(n=self._last, void=void, writer=self.writer)

    def void(self, number: LaneNumber) -> None:
        """The entry with this number was rolled back, or nobody knows: the next entry says so.

        What the lost entry itself had declared void is declared again.
        """
        with self._lock:
            self._void.update(number.void, (number.n,))
