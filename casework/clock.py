"""Time is passed in: nothing below the clock asks the machine what time it is."""

from datetime import UTC, datetime


class Clock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, the unit of every time in the journal."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
