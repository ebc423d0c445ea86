"""What somebody on duty must look at: each alert has one stable name, and names no person."""

from enum import StrEnum

import structlog

log = structlog.get_logger(__name__)


class AlertKind(StrEnum):
    """The value is the name of the log's event."""

    # The journal is not what was last published of it, or does not lead to its own checkpoint.
    JOURNAL_REFUSED = "journal_refused"
    # Committed half a minute ago, and gone from the inbox before it was integrated.
    ENTRY_REMOVED = "entry_removed"
    # Committed half a minute ago, and other bytes stand under its id.
    ENTRY_ALTERED = "entry_altered"
    # Committed half a minute ago, still there, and no checkpoint covers it: nobody integrates.
    CHECKPOINT_STALE = "checkpoint_stale"
    CLOCK_STEPPED = "clock_stepped"
    # A setting without which a confirmed write may be lost, or a trigger of the journal, is not as it must be.
    DURABILITY_LOST = "durability_lost"


def alert(kind: AlertKind, **facts: str | int) -> None:
    """Raise an alert: a critical event of that name. `facts` are ids, codes and numbers, never what was typed."""
    log.critical(kind.value, **facts)
