"""Time is passed in: nothing below the clock asks the machine what time it is."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Seconds since some moment, which no setting of the clock moves."""
        return time.monotonic()

    def ahead(self) -> float:
        """By how many seconds the time of day is ahead of `elapsed`: it changes where somebody sets the clock."""
        return time.time() - time.monotonic()


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, the unit of every time in the journal."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
