"""What somebody on duty must look at: each alert has one stable name, and says nothing of a person.

It is a line of the log, and is kept until everybody was told of it (`casework/alerting`).
"""

import sqlite3
from enum import StrEnum
from typing import Protocol

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
    # A witness has seen another history of the roll-up than this database tells.
    WITNESS_CONTRADICTS = "witness_contradicts"
    CLOCK_STEPPED = "clock_stepped"
    # A setting without which a confirmed write may be lost, or a trigger of the journal, is not as it must be.
    DURABILITY_LOST = "durability_lost"
    # The database was put back to a backup; what it lacks is named by `log.restored`.
    RESTORED = "restored"
    # Something sealed does not open where it stands.
    SEALED_DATA_DAMAGED = "sealed_data_damaged"
    # A request for erasure is not what its preparer asked for, or nobody decided it.
    ERASURE_ALTERED = "erasure_altered"
    ERASURE_FORGED = "erasure_forged"
    # A case that nobody has a reason to open was opened.
    HONEYTOKEN_OPENED = "honeytoken_opened"
    # One member opened far more persons' files within an hour than a day's work is.
    BULK_READING = "bulk_reading"
    # One member was refused again and again.
    DENIAL_RUN = "denial_run"
    # An emergency access that nobody reviewed in time.
    EMERGENCY_UNREVIEWED = "emergency_unreviewed"
    # Somebody who audits was shown far more of the journal than she can read.
    MASS_AUDITING = "mass_auditing"
    # The newest key directory that was seen could not be remembered.
    FLOOR_NOT_RAISED = "floor_not_raised"
    # The rules that were approved cannot be loaded: others decide, or the base rules alone.
    POLICY_NOT_LOADED = "policy_not_loaded"
    # Somebody tried whether alerts arrive.
    TEST = "alert_test"


class Keeper(Protocol):
    """Who keeps alerts until they are told."""

    def keep(self, kind: AlertKind, organisation: str | None) -> None: ...


class _Process:
    """Of this process, as its log is."""

    keeper: Keeper | None = None


def keep_alerts(keeper: Keeper | None) -> None:
    """From now on what this process raises is kept with `keeper`; with None it is logged alone."""
    _Process.keeper = keeper


def alert(kind: AlertKind, *, organisation: str | None = None, **facts: str | int | None) -> None:
    """Raise an alert: a critical event of that name, of one organisation (by slug) or of the deployment.

    `facts` are ids, codes and numbers for the log, never what somebody typed; none of them leaves the machine.
    """
    about = {"organisation": organisation} if organisation is not None else {}
    log.critical(kind.value, **about, **facts)
    if _Process.keeper is not None:
        try:
            _Process.keeper.keep(kind, organisation)
        except sqlite3.Error as error:
            log.error("alert_not_kept", kind=kind.value, error=type(error).__name__)
