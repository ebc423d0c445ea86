"""A serving process says in each log, every so often, that it serves: a silence is then a fault or a stoppage.

An entry `log.heartbeat` promises the next one within `count` seconds; with reason `started` it is the first of its
process, and what went before it is no silence but a stoppage.
"""

from audit.entry import Entry, Outcome

HEARTBEAT_ACTION = "log.heartbeat"
STARTED = "started"
# A busy database may take its time with one more entry.
TOLERANCE_SECONDS = 60
_SECOND = 1_000_000


class Heartbeats:
    """Follows the heartbeats of a log in its order, whichever process wrote them. Times are µs."""

    def __init__(self) -> None:
        self.newest: int | None = None
        self.stoppages = 0
        self._promised: int | None = None

    def promise_is_kept(self, entry: Entry) -> bool:
        """Take an entry; False where it is a heartbeat that comes later than the one before it had promised."""
        if entry.action != HEARTBEAT_ACTION or entry.outcome is not Outcome.ALLOWED:
            return True
        is_late = self._promised is not None and entry.time > self._promised
        self._promised = entry.time + ((entry.count or 0) + TOLERANCE_SECONDS) * _SECOND
        self.newest = max(self.newest or 0, entry.time)
        if is_late and entry.reason == STARTED:
            self.stoppages += 1
            return True
        return not is_late
