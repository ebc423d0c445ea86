"""Telling a database that is away from one that refuses: the first comes back, and a repetition succeeds."""

from errno import EDQUOT, EFBIG, ENOSPC

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

# PostgreSQL's codes by their beginnings: connection exceptions; shut down, crashed or not ready; no slot left.
_SQLSTATES = ("08", "57P0", "53300")
# SQLite's primary result codes: BUSY, LOCKED, READONLY, IOERR, CANTOPEN (https://sqlite.org/rescode.html).
_SQLITE_CODES = frozenset({5, 6, 8, 10, 14})
# SQLite's result codes (https://sqlite.org/rescode.html): FULL, and IOERR_WRITE, where a quota is used up.
_SQLITE_FULL = frozenset({13, 778})
# PostgreSQL's class 53, insufficient resources: disk_full.
_POSTGRESQL_FULL = "53100"
# What asyncpg raises itself: of a connection closed, or, where it was cut in the middle of an answer, in a state
# that its protocol does not know.
_DRIVEN = (asyncpg.InterfaceError, asyncpg.InternalClientError)
# Of the files beside the database: no space, no quota, too large (errno(3)).
_FILES_FULL = frozenset({ENOSPC, EDQUOT, EFBIG})


class CommitFailed(Exception):
    """The database did not confirm the unit: nothing of it counts as written."""


class StorageFull(CommitFailed):
    """The storage under the database refuses what is new: nothing of the unit is written."""


class DatabaseUnavailable(CommitFailed):
    """The database went away before it confirmed the unit."""


def storage_is_full(error: BaseException) -> bool:
    """Whether an error of a file or a driver, wrapped by SQLAlchemy or not, says that no more can be written."""
    raised = getattr(error, "orig", None) or error
    return (
        isinstance(error, StorageFull)
        or (isinstance(error, OSError) and error.errno in _FILES_FULL)
        or getattr(raised, "sqlite_errorcode", None) in _SQLITE_FULL
        or getattr(raised, "sqlstate", None) == _POSTGRESQL_FULL
    )


def database_is_away(error: BaseException) -> bool:
    """Whether an error says that the database cannot be reached or used now, whatever was asked of it."""
    # A server that is down, on TCP or on a socket whose file is gone.
    if isinstance(
        error, DatabaseUnavailable | ConnectionError | FileNotFoundError | TimeoutError | NoConnectionLeft
    ):
        return True
    raised = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(raised, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_CODES
    state = getattr(raised, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_SQLSTATES)
    # The driver's own, or as SQLAlchemy's adapter raises it where no statement was at hand.
    driven = error if isinstance(error, _DRIVEN) else error.__cause__
    if isinstance(driven, _DRIVEN):
        return not isinstance(driven, ValueError)
    if not isinstance(error, DBAPIError):
        return False
    # The driver's own: the connection was closed under it. A wrong value would be an error of ours.
    cause = error.orig.__cause__ if error.orig is not None else None
    return isinstance(error, InterfaceError | InternalError) and not isinstance(cause, ValueError)


def commit_failed(error: Exception) -> CommitFailed:
    """What to raise where a commit raised `error`: it carries the name of its type and no text of it."""
    kind = CommitFailed
    if storage_is_full(error):
        kind = StorageFull
    elif database_is_away(error):
        kind = DatabaseUnavailable
    return kind(type(error).__name__)
